// SPDX-License-Identifier: GPL-2.0
/*
 * The table of commands, --help and docs/weir.8 say the same; so do bpf/reasons.h, bpf/guard_outcomes.h and the manual page. Runs the built
 * command ($WEIR, or weir in $B or .build) from the top of the tree.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <jansson.h>

#include "../../bpf/guard_outcomes.h"
#include "../../bpf/reasons.h"
#include "check.h"

static char *page; /* docs/weir.8 */

static char *read_all(FILE *file)
{
	char *text = NULL;
	size_t length = 0;
	FILE *into = open_memstream(&text, &length);
	int c;

	while (into && (c = getc(file)) != EOF)
		putc(c, into);
	if (into)
		fclose(into);
	return text;
}

/* The exit status; *ret_text: standard output and error together, malloc'ed. */
static int weir(char **ret_text, const char *format, ...)
{
	const char *build = getenv("B") ? getenv("B") : ".build";
	char words[256], line[512];
	va_list args;
	FILE *pipe;
	int status;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	if (getenv("WEIR"))
		snprintf(line, sizeof(line), "%s %s 2>&1 </dev/null", getenv("WEIR"), words);
	else
		snprintf(line, sizeof(line), "%s/weir %s 2>&1 </dev/null", build, words);
	pipe = popen(line, "r");
	if (!pipe)
		exit(1);
	*ret_text = read_all(pipe);
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- the manual page against the table ---- */

/* "plan Oo Fl -offline Oc Ar FILE" without its macros: "plan -offline FILE"; options lose one dash to mdoc. */
static void plain_words(char *ret, size_t size, const char *line)
{
	static const char *const macros[] = { "Nm", "Cm", "Ar", "Op", "Oo", "Oc", "Fl", "|" };
	char copy[256], *rest = copy;
	const char *word;

	*ret = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " "))) {
		bool macro = !*word;

		for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
			macro |= !strcmp(word, macros[i]);
		if (macro)
			continue;
		if (*ret)
			strncat(ret, " ", size - strlen(ret) - 1);
		strncat(ret, word, size - strlen(ret) - 1);
	}
}

/* The usage of the table, in the same form: brackets, bars and the second dash gone. */
static void plain_usage(char *ret, size_t size, const char *usage)
{
	size_t n = 0;
	bool space = true;

	for (usage += strlen("weir "); *usage && n + 2 < size; usage++) {
		bool gap = strchr(" []|", *usage);

		if ((usage[0] == '-' && usage[1] == '-') || (gap && space))
			continue;
		if (!strncmp(usage, "...", 3) && !space)
			ret[n++] = ' ';
		ret[n++] = gap ? ' ' : *usage;
		space = gap;
	}
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = '\0';
}

static void check_commands(const json_t *commands)
{
	size_t n_page = 0, i;
	json_t *command;

	json_array_foreach((json_t *)commands, i, command)
	{
		const char *name = string_of(command, "name");
		char want[256], have[256], *text, line[256];
		bool found = false;
		int code;

		plain_usage(want, sizeof(want), string_of(command, "usage"));
		for (const char *at = page; (at = strstr(at, "\n.It Nm Cm ")); at++) {
			snprintf(line, sizeof(line), "%.*s", (int)strcspn(at + 5, "\n"), at + 5);
			plain_words(have, sizeof(have), line);
			found |= !strcmp(have, want);
		}
		check(found, "docs/weir.8 has no item '%s'", want);
		code = weir(&text, "%s --help", name);
		check(code == 0 && !strncmp(text, "usage: weir ", 12) && strstr(text, string_of(command, "usage")),
		      "weir %s --help: exit %d: %s", name, code, text);
		free(text);
		code = weir(&text, "help %s", name);
		check(code == 0, "weir help %s: exit %d", name, code);
		free(text);
	}
	for (const char *at = page; (at = strstr(at, "\n.It Nm Cm ")); at++)
		n_page++;
	check(n_page == json_array_size(commands), "docs/weir.8 has %zu commands, the table %zu", n_page,
	      json_array_size(commands));
}

static void check_help(const json_t *commands)
{
	char *text, line[160];
	json_t *command;
	size_t i;

	check(weir(&text, "--help") == 0, "weir --help exits 0");
	json_array_foreach((json_t *)commands, i, command)
	{
		snprintf(line, sizeof(line), "\n  %-11s %s\n", string_of(command, "name"), string_of(command, "help"));
		check(strstr(text, line), "weir --help has no line '%s'", line);
	}
	free(text);
}

static void check_reasons(void)
{
#define X(id, json, kind, sentence)                                                                                    \
	{                                                                                                              \
		char item[200];                                                                                        \
                                                                                                                       \
		snprintf(item, sizeof(item), "\n.It Cm %s\n%c%s.\n", json, sentence[0] & ~0x20, sentence + 1);         \
		check(strstr(page, item), "docs/weir.8 has no reason '%s' with its sentence", json);                   \
	}
	REASONS(X)
#undef X
#define X(id, json, kind, sentence)                                                                                    \
	{                                                                                                              \
		char item[200];                                                                                        \
                                                                                                                       \
		snprintf(item, sizeof(item), "\n.It Cm %s\n%c%s.\n", json, sentence[0] & ~0x20, sentence + 1);         \
		check(strstr(page, item), "docs/weir.8 has no outcome '%s' with its sentence", json);                  \
	}
	GUARD_OUTCOMES(X)
#undef X
	size_t n = 0;

	for (const char *at = strstr(page, "\n.Sh REASONS"); at && at < strstr(page, "\n.Ss Outcomes of guards"); at++)
		n += !strncmp(at, "\n.It Cm ", 8);
	check(n == REASON_MAX, "docs/weir.8 has %zu reasons, bpf/reasons.h %d", n, REASON_MAX);
}

static void check_completion(const json_t *commands)
{
	char *text, line[160];
	json_t *command;
	size_t i;

	check(weir(&text, "completion bash | bash -n #") == 0, "the completion script is bash");
	free(text);
	check(weir(&text, "completion bash") == 0, "weir completion bash exits 0");
	json_array_foreach((json_t *)commands, i, command)
	{
		snprintf(line, sizeof(line), "\"%s\") words=", string_of(command, "name"));
		check(strstr(text, line), "completion does not know '%s'", string_of(command, "name"));
	}
	free(text);
}

/* What bash offers for the last of these words. */
static void check_completed(const char *words, const char *want)
{
	char *text;

	weir(&text,
	     "completion bash | bash -c '. /dev/stdin; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _weir; "
	     "echo \" ${COMPREPLY[*]} \"' #",
	     words);
	check(strstr(text, want), "%s TAB: %s (wanted: %s)", words, text, want);
	free(text);
}

static void check_completions(void)
{
	check_completed("weir fl", " flow ");
	check_completed("weir flow \"\"", " list del ");
	check_completed("weir flow list \"\"", " proto src dst sport dport state family ");
	check_completed("weir flow del proto tcp st", " state ");
	check_completed("weir show f", " flows ");
	check_completed("weir show \"\"", " reasons guards flows ");
	check_completed("weir set l", " load list ");
	check_completed("weir watch \"\"", " event guard filter verdict outcome ");
	check_completed("weir watch --r", " --rotate ");
}

/* ---- wrong command lines ---- */

static void check_usage(void)
{
	/* words, exit status, what is said */
	static const struct {
		const char *words;
		int code;
		const char *said;
	} rows[] = {
		{ "", 2, "weir help" },
		{ "--version", 0, "weir " },
		{ "version", 0, "weir " },
		{ "--versio", 2, "'--version'" },
		{ "chekc -", 2, "'check'" },
		{ "set", 2, "add, del, test, load, flush, list" },
		{ "set lsit", 2, "'set list'" },
		{ "set adds x", 2, "'set add'" },
		{ "set --help", 0, "weir set add NAME" },
		{ "help set", 0, "weir set add NAME" },
		{ "nosuch --help", 2, "unknown command 'nosuch'" },
		{ "help chekc", 2, "'check'" },
		{ "check", 2, "usage: weir check FILE" },
		{ "check a b", 2, "too much" },
		{ "check --offline -", 2, "unknown option '--offline'" },
		{ "plan --off -", 2, "'--offline'" },
		{ "plan --offlien -", 2, "'--offline'" },
		{ "plan --against", 2, "needs a value" },
		{ "plan --offline=yes -", 2, "takes no value" },
		{ "plan --against x -", 2, "--offline" },
		{ "check -j -", 2, "unknown option '-j'" },
		{ "--jso version", 2, "'--json'" },
		{ "--json --help", 0, "\"ok\":true" },
		{ "nosuch --json", 2, "\"ok\":false" },
		{ "version --json --json", 0, "\"abi\":" },
		{ "version -- --json", 2, "no arguments" },
		{ "explain x", 2, "--device NAME" },
		{ "flow", 2, "'flow' needs one of: list, del" },
		{ "flow --help", 0, "weir flow del all|FILTER..." },
		{ "flow lsit", 2, "did you mean 'flow list'?" },
		{ "flow del", 2, "something is missing" },
		{ "show nosuch", 2, "counters, devices, reasons, guards, flows" },
		{ "show rules now", 2, "too much" },
		{ "completion fish", 2, "bash" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text;
		int code = weir(&text, "%s", rows[i].words);

		check(code == rows[i].code && strstr(text, rows[i].said),
		      "weir %s: exit %d (wanted %d), said: %s (wanted: %s)", rows[i].words, code, rows[i].code, text,
		      rows[i].said);
		free(text);
	}
}

int main(void)
{
	FILE *file = fopen("docs/weir.8", "re");
	json_t *document, *commands;
	char *text;

	if (!file) {
		perror("docs/weir.8");
		return 1;
	}
	page = read_all(file);
	fclose(file);
	check(weir(&text, "help --json") == 0, "weir help --json exits 0");
	document = json_loads(text, 0, NULL);
	commands = json_object_get(document, "commands");
	check(json_array_size(commands) > 10, "weir help --json lists the commands: %s", text);
	free(text);
	check_commands(commands);
	check_help(commands);
	check_completion(commands);
	check_completions();
	check_reasons();
	check_usage();
	json_decref(document);
	free(page);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
