// SPDX-License-Identifier: GPL-2.0
#include "out.h"
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out *out_new(bool json)
{
	struct out *out = json ? out_json_new() : out_text_new();

	if (out)
		out->to = stdout;
	return out;
}

struct out *out_records_new(enum out_form form, FILE *to)
{
	static struct out *(*const new[])(void) = {
		[OUT_FORM_TEXT] = out_text_new,
		[OUT_FORM_JSON] = out_json_new,
		[OUT_FORM_JOURNAL] = out_journal_new,
	};
	struct out *out = new[form]();

	if (out) {
		out->to = to;
		out->lines = true;
	}
	return out;
}

bool out_is_json(const struct out *out)
{
	return out->writer->record;
}

void out_lines(struct out *out)
{
	out->lines = true;
}

void out_record_end(struct out *out)
{
	if (out->writer->record)
		out->writer->record(out);
}

void out_fail(struct out *out)
{
	if (!out->failed)
		out->error = errno;
	out->failed = true;
}

void out_flush(struct out *out)
{
	if (fflush(out->to))
		out_fail(out);
}

bool out_failed(const struct out *out)
{
	return out->failed;
}

int out_finish(struct out *out, int code)
{
	out->writer->finish(out, code);
	out_flush(out);
	if (out->failed) {
		/* A reader that has seen enough is no news to anybody. */
		if (out->error != EPIPE)
			fprintf(stderr, "weir: cannot write to standard output: %s\n", strerror(out->error));
		code = 1;
	}
	free(out);
	return code;
}

void out_diag(struct out *out, const struct diag *diag, const char *closing)
{
	if (diag->n || diag->out_of_memory)
		out->writer->problems(out, diag, closing);
}

void out_text(struct out *out, const char *format, ...)
{
	va_list args;

	if (!out->writer->text)
		return;
	va_start(args, format);
	out->writer->text(out, format, args);
	va_end(args);
}

void out_object(struct out *out, const char *key)
{
	if (out->writer->open)
		out->writer->open(out, key, false);
}

void out_array(struct out *out, const char *key)
{
	if (out->writer->open)
		out->writer->open(out, key, true);
}

void out_array_long(struct out *out, const char *key)
{
	if (out->writer->open_long)
		out->writer->open_long(out, key);
}

void out_end(struct out *out)
{
	if (out->writer->close)
		out->writer->close(out);
}

static void say(struct out *out, const char *key, struct out_value value)
{
	if (out->writer->value)
		out->writer->value(out, key, &value);
}

void out_string(struct out *out, const char *key, const char *value)
{
	if (value)
		say(out, key, (struct out_value){ .kind = OUT_STRING, .string = value });
	else
		out_null(out, key);
}

void out_format(struct out *out, const char *key, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	if (!out->writer->value)
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		out_string(out, key, text);
	else
		out_fail(out);
	free(text);
}

void out_integer(struct out *out, const char *key, uint64_t value)
{
	say(out, key, (struct out_value){ .kind = OUT_INTEGER, .integer = value });
}

void out_real(struct out *out, const char *key, double value)
{
	say(out, key, (struct out_value){ .kind = OUT_REAL, .real = value });
}

void out_bool(struct out *out, const char *key, bool value)
{
	say(out, key, (struct out_value){ .kind = OUT_BOOL, .truth = value });
}

void out_null(struct out *out, const char *key)
{
	say(out, key, (struct out_value){ .kind = OUT_NULL });
}
