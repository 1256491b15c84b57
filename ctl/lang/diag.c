// SPDX-License-Identifier: GPL-2.0
/*
 * Problems and their presentation. User text may hold any bytes: what goes into a message or a shown line is
 * made printable first, so that a rule file cannot send escape sequences to a terminal.
 */
#include "diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strbuf.h"

#define SHOWN_MOST 160 /* bytes of a line; more is cut around the caret */

void diag_init(struct diag *diag)
{
	*diag = (struct diag){ 0 };
}

void diag_clear(struct diag *diag)
{
	for (size_t i = 0; i < diag->n; i++) {
		free(diag->problems[i].message);
		free(diag->problems[i].hint);
	}
	free(diag->problems);
	for (size_t i = 0; i < diag->n_sources; i++) {
		free(diag->sources[i].name);
		free(diag->sources[i].text);
	}
	free(diag->sources);
	diag_init(diag);
}

uint16_t diag_take_source(struct diag *diag, const char *name, char *text, size_t length)
{
	bool room = diag->n_sources < UINT16_MAX;
	struct diag_source *grown = room ? realloc(diag->sources, (diag->n_sources + 1) * sizeof(*grown)) : NULL;
	char *copy = strdup(name), *whole = realloc(text, length + 1);

	if (!whole)
		free(text);
	if (grown)
		diag->sources = grown;
	if (!grown || !copy || !whole) {
		diag->out_of_memory |= room;
		free(whole);
		free(copy);
		return 0;
	}
	whole[length] = '\0';
	grown[diag->n_sources] = (struct diag_source){ .name = copy, .text = whole, .length = length };
	return (uint16_t)++diag->n_sources;
}

uint16_t diag_add_source(struct diag *diag, const char *name, const char *text, size_t length)
{
	char *copy = malloc(length + 1);

	if (!copy) {
		diag->out_of_memory = true;
		return 0;
	}
	if (length)
		memcpy(copy, text, length);
	return diag_take_source(diag, name, copy, length);
}

/* Length of the UTF-8 character at p (1 to 4), or 0 where the bytes are none. Control characters are none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
	size_t n = *p < 0x80                 ? 1
		   : *p >= 0xc2 && *p < 0xe0 ? 2
		   : *p >= 0xe0 && *p < 0xf0 ? 3
		   : *p >= 0xf0 && *p < 0xf5 ? 4
					     : 0;

	if (n == 0 || n > left || (n == 1 && (*p < 0x20 || *p == 0x7f)))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* C1 controls */
		return 0;
	if ((n == 3 && p[0] == 0xe0 && p[1] < 0xa0) || (n == 3 && p[0] == 0xed && p[1] >= 0xa0) ||
	    (n == 4 && p[0] == 0xf0 && p[1] < 0x90) || (n == 4 && p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

/* Replaces in place what a terminal or a JSON reader should not see. */
static void make_printable(char *text)
{
	size_t left = strlen(text);

	while (left) {
		size_t n = utf8_length((unsigned char *)text, left);

		if (n == 0) {
			*text = '?';
			n = 1;
		}
		text += n;
		left -= n;
	}
}

static char *format_text(struct diag *diag, const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0) {
		diag->out_of_memory = true;
		return NULL;
	}
	make_printable(text);
	return text;
}

static void diag_add(struct diag *diag, enum severity severity, struct location loc, const char *format, va_list args)
{
	/* Warnings leave half of the room to errors. */
	size_t most = severity == SEVERITY_ERROR ? DIAG_MOST : DIAG_MOST / 2;
	struct problem *problem;

	if (severity == SEVERITY_ERROR)
		diag->n_errors++;
	else if (severity == SEVERITY_WARNING)
		diag->n_warnings++;
	diag->last_dropped = true;
	if (diag->n >= most) {
		diag->n_dropped++;
		return;
	}
	if (diag->n == diag->capacity) {
		size_t capacity = diag->capacity ? diag->capacity * 2 : 16;
		struct problem *grown = realloc(diag->problems, capacity * sizeof(*grown));

		if (!grown) {
			diag->out_of_memory = true;
			return;
		}
		diag->problems = grown;
		diag->capacity = capacity;
	}
	problem = &diag->problems[diag->n];
	*problem = (struct problem){ .severity = severity, .loc = loc };
	problem->message = format_text(diag, format, args);
	if (!problem->message)
		return;
	diag->n++;
	diag->last_dropped = false;
}

int diag_error(struct diag *diag, struct location loc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	diag_add(diag, SEVERITY_ERROR, loc, format, args);
	va_end(args);
	return -EINVAL;
}

int diag_warning(struct diag *diag, struct location loc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	diag_add(diag, SEVERITY_WARNING, loc, format, args);
	va_end(args);
	return 0;
}

void diag_hint(struct diag *diag, const char *format, ...)
{
	struct problem *problem;
	va_list args;

	if (!diag->n || diag->last_dropped)
		return;
	problem = &diag->problems[diag->n - 1];
	free(problem->hint);
	va_start(args, format);
	problem->hint = format_text(diag, format, args);
	va_end(args);
}

void diag_other(struct diag *diag, struct location other)
{
	if (diag->n && !diag->last_dropped)
		diag->problems[diag->n - 1].other = other;
}

int diag_errno(struct diag *diag, int error, const char *format, ...)
{
	char reason[128];
	char *what = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&what, format, args) < 0) {
		what = NULL;
		diag->out_of_memory = true;
	}
	va_end(args);
	diag_error(diag, (struct location){ 0 }, "%s: %s", what ? what : "", strerror_r(error, reason, sizeof(reason)));
	free(what);
	return -error;
}

int diag_oom(struct diag *diag)
{
	diag->out_of_memory = true;
	return -ENOMEM;
}

/* ---- the text for people ---- */

/* Start of the line a location is in. The cache makes many problems of one long file cost one walk through it. */
struct line_cache {
	uint16_t file;
	uint32_t line;
	const char *start;
};

static const char *find_line(const struct diag *diag, struct line_cache *cache, struct location loc, size_t *ret_length)
{
	const struct diag_source *source;
	const char *end, *p;

	if (!loc.file || loc.file > diag->n_sources || !loc.line)
		return NULL;
	source = &diag->sources[loc.file - 1];
	end = source->text + source->length;
	if (cache->file != loc.file || cache->line > loc.line)
		*cache = (struct line_cache){ .file = loc.file, .line = 1, .start = source->text };
	while (cache->line < loc.line) {
		p = memchr(cache->start, '\n', (size_t)(end - cache->start));
		if (!p)
			return NULL;
		cache->start = p + 1;
		cache->line++;
	}
	p = memchr(cache->start, '\n', (size_t)(end - cache->start));
	*ret_length = (size_t)((p ? p : end) - cache->start);
	if (*ret_length && cache->start[*ret_length - 1] == '\r')
		--*ret_length;
	return cache->start;
}

static bool in_mark(size_t column, struct location loc)
{
	return loc.file && column >= loc.column && column < (size_t)loc.column + loc.length;
}

/* The line and, below it, what is meant: ^~~~ for the main place, ~~~~ for a second place on the same line. */
static void add_snippet(struct strbuf *b, const char *line, size_t length, struct location loc, struct location other,
			bool caret, const char *hint)
{
	size_t from = 0, to = length, last = 0;
	struct strbuf marks = { 0 };

	if (length > SHOWN_MOST) {
		from = loc.column > SHOWN_MOST / 2 ? loc.column - SHOWN_MOST / 2 : 0;
		to = from + SHOWN_MOST < length ? from + SHOWN_MOST : length;
		/* Do not cut a character. */
		while (from > 0 && ((unsigned char)line[from] & 0xc0) == 0x80 && loc.column - from < SHOWN_MOST)
			from--;
	}
	strbuf_format(b, "%5u | %s", loc.line, from ? "..." : "");
	strbuf_str(&marks, from ? "      |    " : "      | ");
	for (size_t i = from; i < to;) {
		size_t n = utf8_length((const unsigned char *)line + i, to - i);
		size_t column = i + 1;

		strbuf_add(b, n ? line + i : line[i] == '\t' ? "\t" : "?", n ? n : 1);
		if (caret && column == loc.column)
			strbuf_char(&marks, '^');
		else if (in_mark(column, loc) || in_mark(column, other))
			strbuf_char(&marks, '~');
		else
			strbuf_char(&marks, line[i] == '\t' ? '\t' : ' ');
		if (in_mark(column, loc) || in_mark(column, other))
			last = marks.length;
		i += n ? n : 1;
	}
	if (!last && caret) { /* behind the end of the line */
		strbuf_char(&marks, '^');
		last = marks.length;
	}
	strbuf_str(b, to < length ? "...\n" : "\n");
	if (marks.text)
		strbuf_add(b, marks.text, last);
	if (hint)
		strbuf_format(b, " %s", hint);
	strbuf_char(b, '\n');
	strbuf_clear(&marks);
}

static void add_place(struct strbuf *b, const struct diag *diag, struct location loc)
{
	if (loc.file && loc.file <= diag->n_sources)
		strbuf_format(b, "%s:%u:%u: ", diag->sources[loc.file - 1].name, loc.line, loc.column);
}

static void add_problem(struct strbuf *b, const struct diag *diag, struct line_cache *cache,
			const struct problem *problem)
{
	static const char *const words[] = { "error", "warning", "note" };
	bool same_line = problem->other.file == problem->loc.file && problem->other.line == problem->loc.line;
	struct line_cache other_cache = { 0 };
	const char *line;
	size_t length;

	add_place(b, diag, problem->loc);
	strbuf_format(b, "%s: %s\n", words[problem->severity], problem->message);
	line = find_line(diag, cache, problem->loc, &length);
	if (line)
		add_snippet(b, line, length, problem->loc, same_line ? problem->other : (struct location){ 0 }, true,
			    problem->hint);
	else if (problem->hint)
		strbuf_format(b, "      = %s\n", problem->hint);
	if (!problem->other.file || same_line)
		return;
	add_place(b, diag, problem->other);
	strbuf_str(b, "note: the other place\n");
	line = find_line(diag, &other_cache, problem->other, &length);
	if (line)
		add_snippet(b, line, length, problem->other, (struct location){ 0 }, false, NULL);
}

static int by_place(const void *a, const void *b)
{
	const struct problem *x = *(const struct problem *const *)a, *y = *(const struct problem *const *)b;

	/* Without a place: last. */
	if (x->loc.file != y->loc.file)
		return (uint16_t)(x->loc.file - 1) < (uint16_t)(y->loc.file - 1) ? -1 : 1;
	if (x->loc.line != y->loc.line)
		return x->loc.line < y->loc.line ? -1 : 1;
	if (x->loc.column != y->loc.column)
		return x->loc.column < y->loc.column ? -1 : 1;
	if (x->severity != y->severity)
		return x->severity < y->severity ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void add_count(struct strbuf *b, const struct diag *diag, const char *closing)
{
	if (diag->n_sources)
		strbuf_format(b, "%s: ", diag->sources[0].name);
	if (diag->n_errors)
		strbuf_format(b, "%zu error%s", diag->n_errors, diag->n_errors == 1 ? "" : "s");
	if (diag->n_warnings)
		strbuf_format(b, "%s%zu warning%s", diag->n_errors ? ", " : "", diag->n_warnings,
			      diag->n_warnings == 1 ? "" : "s");
	if (diag->n_dropped)
		strbuf_format(b, " (%zu of them not shown)", diag->n_dropped);
	strbuf_format(b, "; %s\n", closing);
}

char *diag_text(const struct diag *diag, const char *closing)
{
	const struct problem **order = malloc((diag->n + 1) * sizeof(*order));
	struct line_cache cache = { 0 };
	struct strbuf b = { 0 };

	if (!order)
		return NULL;
	for (size_t i = 0; i < diag->n; i++)
		order[i] = &diag->problems[i];
	qsort(order, diag->n, sizeof(*order), by_place);
	for (size_t i = 0; i < diag->n; i++)
		add_problem(&b, diag, &cache, order[i]);
	free(order);
	if (diag->out_of_memory)
		strbuf_str(&b, "error: out of memory\n");
	if (closing && (diag->n_errors || diag->n_warnings))
		add_count(&b, diag, closing);
	return strbuf_take(&b);
}
