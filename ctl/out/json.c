// SPDX-License-Identifier: GPL-2.0
/* The writer for scripts: one JSON document at the end, or one object a line. */
#include "writer.h"

#include "../lang/strbuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define DEPTH_MAX 12

struct json_out {
	struct out out;
	json_t *open[DEPTH_MAX]; /* open[0] is the document, the others what is open in it; a reference each */
	unsigned int depth;      /* index of the innermost open one */
	json_t *problems;
	bool in_long;  /* open[1] is a long array: it holds only what was not printed yet */
	size_t n_long; /* elements printed */
	bool begun;    /* a long array has opened the document */
};

static struct json_out *json_out(struct out *out)
{
	return (struct json_out *)out;
}

/* JSON is UTF-8, but rule files, interfaces and programs have names of bytes: each that is no UTF-8 becomes U+FFFD. */
static json_t *string_from_bytes(const char *text)
{
	struct strbuf clean = { 0 };
	json_t *string = json_string(text);
	size_t n, left = strlen(text);

	if (string)
		return string;
	for (; left; text += n, left -= n) {
		n = utf8_length(text, left);
		if (n)
			strbuf_add(&clean, text, n);
		else
			strbuf_str(&clean, "\xef\xbf\xbd");
		n = n ? n : 1;
	}
	string = clean.failed ? NULL : json_string(clean.text);
	strbuf_clear(&clean);
	return string;
}

/* Takes the reference to value, which is NULL when memory has ended. */
static void add(struct json_out *json, const char *key, json_t *value)
{
	json_t *into = json->open[json->depth];
	int rc = key ? json_object_set_new(into, key, value) : json_array_append_new(into, value);

	if (rc) {
		errno = ENOMEM;
		out_fail(&json->out);
	}
}

/* Takes the reference to part. */
static void push(struct json_out *json, json_t *part)
{
	if (json->depth + 1 == DEPTH_MAX)
		abort();
	json->open[++json->depth] = part;
}

static void json_open(struct out *out, const char *key, bool array)
{
	struct json_out *json = json_out(out);
	json_t *part = array ? json_array() : json_object();

	json_incref(part);
	add(json, key, part);
	push(json, part);
}

static void print_value(struct json_out *json, const json_t *value)
{
	if (!json->out.failed &&
	    json_dumpf(value, json->out.to,
		       JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))) /* 0.1 stays 0.1 */
		out_fail(&json->out);
}

static void print_char(struct json_out *json, char c)
{
	if (!json->out.failed && putc(c, json->out.to) == EOF)
		out_fail(&json->out);
}

static void json_open_long(struct out *out, const char *key)
{
	struct json_out *json = json_out(out);
	json_t *name = json_string(key);

	print_char(json, '{');
	print_value(json, name);
	print_char(json, ':');
	print_char(json, '[');
	json_decref(name);
	push(json, json_array());
	json->in_long = json->begun = true;
}

/* What the long array has got since. */
static void print_long(struct json_out *json)
{
	json_t *element;
	size_t i;

	json_array_foreach(json->open[1], i, element)
	{
		if (json->n_long++)
			print_char(json, ',');
		print_value(json, element);
	}
	json_array_clear(json->open[1]);
}

static void json_close(struct out *out)
{
	struct json_out *json = json_out(out);

	if (!json->depth)
		return;
	json_decref(json->open[json->depth--]);
	if (!json->in_long)
		return;
	if (json->depth == 1)
		print_long(json);
	else if (json->depth == 0)
		print_char(json, ']');
	json->in_long = json->depth;
}

static void json_value(struct out *out, const char *key, const struct out_value *value)
{
	json_t *json = NULL;

	switch (value->kind) {
	case OUT_NULL:
		json = json_null();
		break;
	case OUT_STRING:
		json = string_from_bytes(value->string);
		break;
	case OUT_INTEGER:
		json = json_integer((json_int_t)value->integer);
		break;
	case OUT_REAL:
		json = json_real(value->real);
		break;
	case OUT_BOOL:
		json = json_boolean(value->truth);
		break;
	}
	add(json_out(out), key, json);
	if (json_out(out)->in_long && json_out(out)->depth == 1)
		print_long(json_out(out));
}

static void dump(struct json_out *json, const json_t *document)
{
	print_value(json, document);
	print_char(json, '\n');
}

/* All of the document but what opens it. */
static void dump_rest(struct json_out *json, const json_t *document)
{
	char *text = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(15));

	print_char(json, ',');
	if (!text || (!json->out.failed && fprintf(json->out.to, "%s\n", text + 1) < 0))
		out_fail(&json->out);
	free(text);
}

/*
 * A record is shown by pagers and terminals as it is, and its strings are others': all beyond ASCII is escaped, and DEL,
 * which JSON takes for a letter. It only stands in strings.
 */
static void dump_record(struct json_out *json)
{
	char *text = json_dumps(json->open[0], JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII);

	if (!text) {
		errno = ENOMEM;
		out_fail(&json->out);
	}
	for (const char *at = text; at && *at && !json->out.failed; at++)
		if (*at != 0x7f)
			print_char(json, *at);
		else if (fputs("\\u007F", json->out.to) == EOF)
			out_fail(&json->out);
	print_char(json, '\n');
	free(text);
}

static void json_record(struct out *out)
{
	struct json_out *json = json_out(out);

	if (!out->lines)
		return;
	dump_record(json);
	json_object_clear(json->open[0]);
}

static void add_place(struct json_out *json, const struct diag *diag, struct location loc)
{
	if (!loc.file || loc.file > diag->n_sources) {
		out_null(&json->out, "file");
		return;
	}
	out_string(&json->out, "file", diag->sources[loc.file - 1].name);
	out_integer(&json->out, "line", loc.line);
	out_integer(&json->out, "column", loc.column);
}

static void add_problem(struct json_out *json, const struct diag *diag, const struct problem *problem)
{
	static const char *const severity[] = {
		[SEVERITY_ERROR] = "error",
		[SEVERITY_WARNING] = "warning",
		[SEVERITY_NOTE] = "note",
	};
	struct out *out = &json->out;

	out_object(out, NULL);
	out_string(out, "severity", severity[problem->severity]);
	add_place(json, diag, problem->loc);
	out_string(out, "message", problem->message);
	if (problem->hint)
		out_string(out, "hint", problem->hint);
	if (problem->other.file) {
		out_object(out, "other");
		add_place(json, diag, problem->other);
		out_end(out);
	}
	out_end(out);
}

/* The list stands beside the document: a command may be in the middle of an object when it reports. */
static void json_problems(struct out *out, const struct diag *diag, const char *closing)
{
	struct json_out beside = { .out = *out, .open = { json_out(out)->problems } };

	(void)closing;
	for (size_t i = 0; i < diag->n; i++)
		add_problem(&beside, diag, &diag->problems[i]);
	if (diag->out_of_memory || diag->n_dropped) {
		out_object(&beside.out, NULL);
		out_string(&beside.out, "severity", diag->out_of_memory ? "error" : "note");
		out_null(&beside.out, "file");
		if (diag->out_of_memory)
			out_string(&beside.out, "message", "out of memory");
		else
			out_format(&beside.out, "message", "%zu more problems", diag->n_dropped);
		out_end(&beside.out);
	}
	out->failed = beside.out.failed;
	out->error = beside.out.error;
}

static void json_finish(struct out *out, int code)
{
	struct json_out *json = json_out(out);
	bool ok = code == 0 || code == 4; /* a difference is a result */

	while (json->depth)
		json_close(out);
	if (!out->lines || (!ok && json_array_size(json->problems))) {
		json_t *document = json_object();

		json_object_set_new(document, "ok", json_boolean(ok));
		if (!out->lines)
			json_object_update(document, json->open[0]);
		json_object_set(document, "problems", json->problems);
		if (json->begun)
			dump_rest(json, document);
		else
			dump(json, document);
		json_decref(document);
	}
	json_decref(json->open[0]);
	json_decref(json->problems);
}

static const struct out_writer json_writer = {
	.open = json_open,
	.open_long = json_open_long,
	.close = json_close,
	.value = json_value,
	.record = json_record,
	.problems = json_problems,
	.finish = json_finish,
};

struct out *out_json_new(void)
{
	struct json_out *json = calloc(1, sizeof(*json));

	if (!json)
		return NULL;
	json->out.writer = &json_writer;
	json->open[0] = json_object();
	json->problems = json_array();
	if (!json->open[0] || !json->problems) {
		json_decref(json->open[0]);
		json_decref(json->problems);
		free(json);
		return NULL;
	}
	return &json->out;
}
