// SPDX-License-Identifier: GPL-2.0
/* A completion script for bash, made from the tables. */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../lang/strbuf.h"
#include "../out/out.h"
#include "flow.h"
#include "watch.h"

static void add_options(struct strbuf *b, uint32_t options)
{
	for (enum option_id i = 0; i < OPTION_MAX; i++)
		if (options & OPTION_BIT(i))
			strbuf_format(b, " --%s", option_info[i].name);
}

/* First words of commands; each noun that has several commands once. */
static void add_first_words(struct strbuf *b)
{
	size_t last_length = 0;
	const char *last = "";

	for (const struct command *c = commands; c->name; c++) {
		size_t length = strcspn(c->name, " ");

		if (length == last_length && !strncmp(c->name, last, length))
			continue;
		last = c->name;
		last_length = length;
		strbuf_format(b, " %.*s", (int)length, c->name);
	}
}

/* "[rules|sets]" as words. */
static void add_choices(struct strbuf *b, const char *args)
{
	strbuf_char(b, ' ');
	for (const char *p = args + 1; !strchr(" ]", *p); p++)
		strbuf_char(b, *p == '|' ? ' ' : *p);
}

/* Second words of commands with this first one. */
static void add_second_words(struct strbuf *b, const char *noun, size_t length)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strncmp(c->name, noun, length) && c->name[length] == ' ')
			strbuf_format(b, " %s", c->name + length + 1);
}

/* Each noun that is no command by itself, when its second word is asked for. */
static void add_nouns(struct strbuf *b)
{
	const struct command *last = NULL;

	for (const struct command *c = commands; c->name; c++) {
		size_t length = strcspn(c->name, " ");

		if (!c->name[length] || (last && !strncmp(last->name, c->name, length + 1)))
			continue;
		last = c;
		strbuf_format(b, "\t\t%.*s) words=\"", (int)length, c->name);
		add_second_words(b, c->name, length);
		strbuf_str(b, "\" ;;\n");
	}
}

static void add_filter(struct strbuf *b, const struct word_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		strbuf_format(b, " %s", list->words[i].name);
}

static char *bash_script(void)
{
	struct strbuf b = { 0 };

	strbuf_str(&b, "# bash completion for weir; source this file.\n"
		       "_weir()\n{\n"
		       "\tlocal word=${COMP_WORDS[COMP_CWORD]} words= command=${COMP_WORDS[1]}\n\n"
		       "\tcase \"$command ${COMP_WORDS[2]}\" in\n");
	for (const struct command *c = commands; c->name; c++) {
		if (!strchr(c->name, ' '))
			continue;
		strbuf_format(&b, "\t\"%s\") command=\"%s\" ;;\n", c->name, c->name);
	}
	strbuf_str(&b, "\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords=\"");
	add_first_words(&b);
	add_options(&b, OPTIONS_GLOBAL);
	strbuf_str(&b, "\"\n\telse\n\t\tcase \"$command\" in\n");
	for (const struct command *c = commands; c->name; c++) {
		strbuf_format(&b, "\t\t\"%s\") words=\"", c->name);
		add_options(&b, OPTIONS_GLOBAL | c->options);
		if (*c->args == '[' && strchr(c->args, '|'))
			add_choices(&b, c->args);
		else if (strstr(c->args, "FILTER"))
			add_filter(&b, c->run == cmd_watch ? &watch_words : &flow_words);
		strbuf_str(&b, "\" ;;\n");
	}
	add_nouns(&b);
	strbuf_str(&b, "\t\tesac\n\tfi\n"
		       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
		       "\tif [[ $word != -* ]] && [ \"$COMP_CWORD\" -gt 1 ]; then\n"
		       "\t\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$word\")\n"
		       "\tfi\n}\ncomplete -o filenames -F _weir weir\n");
	return strbuf_take(&b);
}

int cmd_completion(struct run *run)
{
	char *script;

	if (strcmp(run->operands[0], "bash")) {
		diag_error(&run->diag, NOWHERE, "cannot complete for '%s': only for bash", run->operands[0]);
		return EXIT_USAGE;
	}
	script = bash_script();
	if (!script)
		return EXIT_FAILED;
	out_text(run->out, "%s", script);
	out_string(run->out, "script", script);
	free(script);
	return EXIT_DONE;
}
