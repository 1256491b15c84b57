// SPDX-License-Identifier: GPL-2.0
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "kernel/kernel.h"
#include "kernel/privilege.h"
#include "lang/suggest.h"
#include "out/out.h"

const struct option_info option_info[OPTION_MAX] = {
	[OPTION_JSON] = { "json", NULL, "print JSON, errors included" },
	[OPTION_BPFFS] = { "bpffs", "DIR", "where the pinned state lives (" WEIR_ROOT_DEFAULT ", or $WEIR_BPFFS)" },
	[OPTION_HELP] = { "help", NULL, "print help and exit" },
	[OPTION_VERSION] = { "version", NULL, "print the version and exit" },
	[OPTION_OFFLINE] = { "offline", NULL, "compare with nothing loaded, or with --against; needs no root" },
	[OPTION_AGAINST] = { "against", "OLD", "with --offline: compare with this rule file" },
	[OPTION_FORCE] = { "force", NULL, "replace an XDP program that is not weir's, or a file" },
	[OPTION_CGROUP] = { "cgroup", "PATH", "guard, or watch, the calls and packets of this cgroup, not of all" },
	[OPTION_RULES] = { "rules", "FILE", "judge by this rule file, not by the running rules" },
	[OPTION_DEVICE] = { "device", "NAME", "the device of the packets or of the rules; it need not exist" },
	[OPTION_HOOK] = { "hook", "HOOK", "xdp, tc-ingress or tc-egress" },
	[OPTION_OUTPUT] = { "output", "FILE", "append to this file, and move it away when it is large" },
	[OPTION_FORMAT] = { "format", "FORMAT", "text, json, syslog or journal" },
	[OPTION_ROTATE] = { "rotate", "SIZE,COUNT", "size to move FILE at, and how many old ones stay (64M,5)" },
	[OPTION_GROUP] = { "group", "GROUP", "who else may read FILE" },
	[OPTION_INTERVAL] = { "interval", "SECONDS", "how long to wait for a change at most (30)" },
	[OPTION_FOR] = { "for", "DURATION", "how long to look on: 1h, 30m" },
	[OPTION_OUT] = { "out", "FILE", "where the proposed rules go" },
	[OPTION_WIDEN] = { "widen", "N",
			   "so many addresses within the next larger prefix become that prefix (8); 0: never" },
	[OPTION_BASELINE] = { "baseline", "FILE", "tell, too, who talks to what these rules do not name" },
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

char *command_usage(const struct command *command)
{
	char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	if (!file)
		return NULL;
	fprintf(file, "weir %s", command->name);
	for (enum option_id i = 0; i < OPTION_MAX; i++) {
		const struct option_info *info = &option_info[i];
		bool required = command->required & OPTION_BIT(i);

		if (!(command->options & OPTION_BIT(i)))
			continue;
		fprintf(file, required ? " --%s" : " [--%s", info->name);
		if (info->value)
			fprintf(file, " %s", info->value);
		if (!required)
			fputc(']', file);
	}
	if (*command->args)
		fprintf(file, " %s", command->args);
	if (fclose(file)) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- options ---- */

#define OPTION_CODE 256 /* what getopt returns for option 0: no character */

static void unknown_option(struct run *run, const char *word, uint32_t allowed)
{
	size_t length = strcspn(word, "=");
	struct suggestion near;

	diag_error(&run->diag, NOWHERE, "unknown option '%.*s'", (int)length, word);
	if (strncmp(word, "--", 2))
		return;
	suggest_start(&near, word + 2, length - 2);
	for (enum option_id i = 0; i < OPTION_MAX; i++) {
		/* The start of a name is no name (a later option would change its meaning), but a good hint. */
		if (!(allowed & OPTION_BIT(i)))
			continue;
		suggest_offer(&near, option_info[i].name);
		if (length > 2 && !strncmp(option_info[i].name, word + 2, length - 2)) {
			diag_hint(&run->diag, "did you mean '--%s'?", option_info[i].name);
			return;
		}
	}
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '--%s'?", suggest_best(&near));
}

/* One long option that getopt knows, maybe by its beginning only. */
static int option_take(struct run *run, enum option_id id, const char *word, uint32_t allowed)
{
	const struct option_info *info = &option_info[id];

	if (strcspn(word + 2, "=") != strlen(info->name)) {
		unknown_option(run, word, allowed);
		return -EINVAL;
	}
	if (run->value[id] && info->value && strcmp(run->value[id], optarg))
		return diag_error(&run->diag, NOWHERE, "option '--%s' is given twice", info->name);
	run->value[id] = optarg ? optarg : "";
	return 0;
}

static void option_refuse(struct run *run, int c, const char *word, uint32_t allowed)
{
	if (c == ':')
		diag_error(&run->diag, NOWHERE, "option '%s' needs a value", word);
	else if (optopt >= OPTION_CODE && optopt < OPTION_CODE + OPTION_MAX)
		diag_error(&run->diag, NOWHERE, "option '--%s' takes no value", option_info[optopt - OPTION_CODE].name);
	else
		unknown_option(run, word, allowed);
}

/*
 * Takes the options out of argv. mode "+": stops at the first operand; "-": goes on to the end and collects
 * operands. Neither lets getopt reorder argv, so argv[at] is always the word it looks at.
 * Returns the index of the first word not looked at, or -1.
 */
static int options_parse(struct run *run, int argc, char **argv, const char *mode, uint32_t allowed)
{
	struct option longs[OPTION_MAX + 1] = { 0 };
	char shorts[4];
	size_t n = 0;

	for (enum option_id i = 0; i < OPTION_MAX; i++)
		if (allowed & OPTION_BIT(i))
			longs[n++] = (struct option){ option_info[i].name,
						      option_info[i].value ? required_argument : no_argument, NULL,
						      OPTION_CODE + (int)i };
	snprintf(shorts, sizeof(shorts), "%s:h", mode);
	optind = 0;
	opterr = 0;
	for (;;) {
		int at = optind ? optind : 1;
		int c = getopt_long(argc, argv, shorts, longs, NULL);
		const char *word = at < argc ? argv[at] : "";

		if (c == -1)
			return optind;
		if (c == 1) {
			run->operands[run->n_operands++] = optarg;
		} else if (c == 'h') {
			run->value[OPTION_HELP] = "";
		} else if (c < OPTION_CODE) {
			option_refuse(run, c, word, allowed);
			return -1;
		} else if (option_take(run, (enum option_id)(c - OPTION_CODE), word, allowed)) {
			return -1;
		}
	}
}

/* Errors of the command line itself must already be said the way the caller can read. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json"))
			return true;
	return false;
}

/* ---- commands ---- */

static void unknown_command(struct run *run, const char *word, const char *second)
{
	size_t length = strlen(word);
	char both[128], members[256] = "";
	struct suggestion near;
	const char *said = word;

	for (const struct command *c = commands; c->name; c++)
		if (!strncmp(c->name, word, length) && c->name[length] == ' ') {
			size_t used = strlen(members);

			snprintf(members + used, sizeof(members) - used, "%s%s", used ? ", " : "",
				 c->name + length + 1);
		}
	if (*members && !second) {
		diag_error(&run->diag, NOWHERE, "'%s' needs one of: %s", word, members);
		return;
	}
	if (*members) {
		snprintf(both, sizeof(both), "%s %s", word, second);
		said = both;
	}
	diag_error(&run->diag, NOWHERE, "unknown command '%s'", said);
	suggest_start(&near, said, strlen(said));
	for (const struct command *c = commands; c->name; c++)
		suggest_offer(&near, c->name);
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	else if (*members)
		diag_hint(&run->diag, "'%s' takes one of: %s", word, members);
	else
		diag_hint(&run->diag, "'weir help' lists the commands");
}

/* The command that the first one or two words name; *ret_words: how many. */
static const struct command *words_find(int argc, char **argv, int *ret_words)
{
	char both[128];

	*ret_words = 2;
	if (argc > 1 && (size_t)snprintf(both, sizeof(both), "%s %s", argv[0], argv[1]) < sizeof(both) &&
	    command_find(both) && !strchr(argv[0], ' '))
		return command_find(both);
	*ret_words = 1;
	return strchr(argv[0], ' ') ? NULL : command_find(argv[0]);
}

static bool operands_fit(struct run *run)
{
	const struct command *c = run->command;
	const char *problem = NULL;

	for (enum option_id i = 0; i < OPTION_MAX; i++)
		if (c->required & OPTION_BIT(i) && !run->value[i]) {
			diag_error(&run->diag, NOWHERE, "'%s' needs --%s %s", c->name, option_info[i].name,
				   option_info[i].value);
			return false;
		}
	if (run->n_operands < c->least)
		problem = "something is missing";
	else if (run->n_operands > c->most)
		problem = "that is too much";
	if (problem)
		diag_error(&run->diag, NOWHERE, "'%s' takes %s: %s", c->name, *c->args ? c->args : "no arguments",
			   problem);
	return !problem;
}

static int dispatch(struct run *run)
{
	const struct command *c = run->command;
	bool rootless = !c->needs_root;
	char doing[64];

	for (enum option_id i = 0; i < OPTION_MAX; i++)
		rootless |= c->rootless & OPTION_BIT(i) && run->value[i];
	if (!operands_fit(run))
		return EXIT_USAGE;
	snprintf(doing, sizeof(doing), "run '%s'", c->name);
	if (!rootless && privilege_check(doing, &run->diag))
		return EXIT_FAILED;
	return c->run(run);
}

/* Reads the command line and runs what it names. */
static int run_words(struct run *run, int argc, char **argv)
{
	int first, words;

	first = options_parse(run, argc, argv, "+", OPTIONS_GLOBAL | OPTION_BIT(OPTION_VERSION));
	if (first < 0)
		return EXIT_USAGE;
	if (first == argc) {
		if (run->value[OPTION_HELP])
			return cmd_help(run);
		if (run->value[OPTION_VERSION])
			return cmd_version(run);
		diag_error(&run->diag, NOWHERE, "a command is missing");
		diag_hint(&run->diag, "'weir help' lists the commands");
		return EXIT_USAGE;
	}
	run->command = words_find(argc - first, argv + first, &words);
	if (!run->command && argc - first == 2 && !strcmp(argv[first + 1], "--help")) {
		/* `weir set --help`: a noun has help, too. */
		run->command = command_find("help");
		run->operands[run->n_operands++] = argv[first];
		return cmd_help(run);
	}
	if (!run->command) {
		unknown_command(run, argv[first],
				first + 1 < argc && argv[first + 1][0] != '-' ? argv[first + 1] : NULL);
		return EXIT_USAGE;
	}
	/* The last word of the command stands where getopt expects a program's name. */
	first += words - 1;
	words = options_parse(run, argc - first, argv + first, "-", OPTIONS_GLOBAL | run->command->options);
	if (words < 0)
		return EXIT_USAGE;
	for (int i = first + words; i < argc; i++)
		run->operands[run->n_operands++] = argv[i];
	run->bpffs = run->value[OPTION_BPFFS];
	if (!run->bpffs)
		run->bpffs = getenv("WEIR_BPFFS");
	if (!run->bpffs || !*run->bpffs)
		run->bpffs = WEIR_ROOT_DEFAULT;
	return run->value[OPTION_HELP] ? cmd_help(run) : dispatch(run);
}

int command_main(int argc, char **argv)
{
	struct run run = { 0 };
	int code;

	signal(SIGPIPE, SIG_IGN); /* a reader that leaves early is an error of write(), not our death */
	run.out = out_new(wants_json(argc, argv));
	run.operands = calloc((size_t)argc + 1, sizeof(*run.operands));
	diag_init(&run.diag);
	if (!run.out || !run.operands) {
		fputs("weir: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	code = run_words(&run, argc, argv);
	out_diag(run.out, &run.diag, run.closing);
	if (code == EXIT_USAGE && run.command && !out_is_json(run.out)) {
		char *usage = command_usage(run.command);

		fprintf(stderr, "usage: %s\n", usage ? usage : "");
		free(usage);
	}
	code = out_finish(run.out, code);
	diag_clear(&run.diag);
	free(run.operands);
	return code;
}
