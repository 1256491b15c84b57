// SPDX-License-Identifier: GPL-2.0
/* help, version and completion: everything here is read from the tables. */
#include "cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/abi.h"
#include "../command.h"
#include "../kernel/privilege.h"
#include "../lang/suggest.h"
#include "../out/out.h"

static void list_options(struct out *out, uint32_t options, uint32_t required)
{
	out_array(out, "options");
	for (enum option_id i = 0; i < OPTION_MAX; i++) {
		const struct option_info *info = &option_info[i];

		if (!(options & OPTION_BIT(i)))
			continue;
		out_object(out, NULL);
		out_string(out, "name", info->name);
		out_string(out, "value", info->value);
		out_string(out, "help", info->help);
		out_bool(out, "required", required & OPTION_BIT(i));
		out_end(out);
	}
	out_end(out);
}

static void print_options(struct out *out, uint32_t options)
{
	for (enum option_id i = 0; i < OPTION_MAX; i++) {
		const struct option_info *info = &option_info[i];
		char both[32];

		if (!(options & OPTION_BIT(i)))
			continue;
		snprintf(both, sizeof(both), "%s %s", info->name, info->value ? info->value : "");
		out_text(out, "  --%-17s %s\n", both, info->help);
	}
}

static int help_command(struct out *out, const struct command *command)
{
	char *usage = command_usage(command);

	if (!usage)
		return EXIT_FAILED;
	out_text(out, "usage: %s\n\n%s.%s\n\noptions:\n", usage, command->help,
		 !command->needs_root ? ""
		 : command->rootless  ? " Needs root, or " PRIVILEGE_NEEDED ", unless --offline is given."
				      : " Needs root, or " PRIVILEGE_NEEDED ".");
	out_string(out, "command", command->name);
	out_string(out, "usage", usage);
	out_string(out, "help", command->help);
	out_bool(out, "needs_root", command->needs_root);
	print_options(out, command->options | OPTIONS_GLOBAL);
	list_options(out, command->options | OPTIONS_GLOBAL, command->required);
	free(usage);
	return EXIT_DONE;
}

static int help_all(struct out *out)
{
	out_text(out,
		 "usage: weir COMMAND [OPTION...] [ARGUMENT...]\n\n"
		 "weir is a firewall: a rule file becomes XDP and TC programs, swapped in one step.\n\ncommands:\n");
	out_array(out, "commands");
	for (const struct command *c = commands; c->name; c++) {
		char *usage = command_usage(c);

		if (!usage)
			return EXIT_FAILED;
		out_text(out, "  %-11s %s\n", c->name, c->help);
		out_object(out, NULL);
		out_string(out, "name", c->name);
		out_string(out, "args", c->args);
		out_string(out, "usage", usage);
		out_string(out, "help", c->help);
		out_bool(out, "needs_root", c->needs_root);
		list_options(out, c->options, c->required);
		out_end(out);
		free(usage);
	}
	out_end(out);
	out_text(out, "\noptions of every command:\n");
	print_options(out, OPTIONS_GLOBAL);
	list_options(out, OPTIONS_GLOBAL, 0);
	out_text(out, "\n'weir COMMAND --help' says more; FILE may be '-', standard input.\n"
		      "exit status: 0 done, 1 failed, 2 wrong command line, 3 rules rejected, 4 a difference.\n"
		      "manual: man 8 weir, man 5 weir-rules\n");
	return EXIT_DONE;
}

/* A noun that is the first word of several commands: "set". False: it is none. */
static bool help_noun(struct out *out, const char *noun)
{
	size_t length = strlen(noun);
	bool found = false;

	for (const struct command *c = commands; c->name; c++) {
		char *usage;

		if (strncmp(c->name, noun, length) || c->name[length] != ' ')
			continue;
		if (!found)
			out_array(out, "commands");
		found = true;
		usage = command_usage(c);
		out_text(out, "%s\n      %s\n", usage ? usage : c->name, c->help);
		out_object(out, NULL);
		out_string(out, "name", c->name);
		out_string(out, "usage", usage);
		out_string(out, "help", c->help);
		out_end(out);
		free(usage);
	}
	if (found)
		out_end(out);
	return found;
}

/* `weir help COMMAND`, and `weir COMMAND --help` of any other command. */
int cmd_help(struct run *run)
{
	const struct command *command = run->command;
	struct suggestion near;
	char name[64] = "";

	if (!command)
		return help_all(run->out);
	if (command->run != cmd_help || (run->value[OPTION_HELP] && !run->n_operands))
		return help_command(run->out, command);
	if (!run->n_operands)
		return help_all(run->out);
	for (size_t i = 0; i < run->n_operands; i++) {
		strncat(name, i ? " " : "", sizeof(name) - strlen(name) - 1);
		strncat(name, run->operands[i], sizeof(name) - strlen(name) - 1);
	}
	command = command_find(name);
	if (command)
		return help_command(run->out, command);
	if (help_noun(run->out, name))
		return EXIT_DONE;
	diag_error(&run->diag, NOWHERE, "unknown command '%s'", name);
	suggest_start(&near, name, strlen(name));
	for (const struct command *c = commands; c->name; c++)
		suggest_offer(&near, c->name);
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	return EXIT_USAGE;
}

int cmd_version(struct run *run)
{
	out_text(run->out, "weir %s (map layout %d)\n", WEIR_VERSION, WEIR_ABI_VERSION);
	out_string(run->out, "version", WEIR_VERSION);
	out_integer(run->out, "abi", WEIR_ABI_VERSION);
	return EXIT_DONE;
}
