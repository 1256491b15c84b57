// SPDX-License-Identifier: GPL-2.0
/* The writer of records for systemd's journal: fields of its native protocol, NAME=value, a line each. */
#include "writer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lang/strbuf.h"

struct journal_out {
	struct out out;
	struct strbuf message, fields; /* of the record so far */
};

static struct journal_out *journal_out(struct out *out)
{
	return (struct journal_out *)out;
}

static void journal_text(struct out *out, const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0) {
		out_fail(out);
		return;
	}
	/* The line's own end would be one of the field. */
	for (const char *at = text; *at; at++)
		if (*at != '\n')
			strbuf_char(&journal_out(out)->message, *at);
	free(text);
}

/* Escaped, a value has no line end, which alone would need the protocol's other form. */
static void journal_value(struct out *out, const char *key, const struct out_value *value)
{
	struct strbuf *b = &journal_out(out)->fields;

	if (value->kind == OUT_NULL)
		return;
	strbuf_str(b, "WEIR_");
	for (; *key; key++)
		strbuf_char(b, (char)toupper((unsigned char)*key));
	strbuf_char(b, '=');
	switch (value->kind) {
	case OUT_STRING:
		quote_add(b, value->string);
		break;
	case OUT_INTEGER:
		strbuf_number(b, value->integer);
		break;
	case OUT_REAL:
		strbuf_format(b, "%g", value->real);
		break;
	case OUT_BOOL:
		strbuf_char(b, value->truth ? '1' : '0');
		break;
	case OUT_NULL:
		break;
	}
	strbuf_char(b, '\n');
}

static void journal_record(struct out *out)
{
	struct journal_out *journal = journal_out(out);

	if (journal->message.failed || journal->fields.failed) {
		errno = ENOMEM;
		out_fail(out);
	} else if (fprintf(out->to, "MESSAGE=%s\n%s", journal->message.length ? journal->message.text : "",
			   journal->fields.length ? journal->fields.text : "") < 0) {
		out_fail(out);
	}
	strbuf_clear(&journal->message);
	strbuf_clear(&journal->fields);
}

static void journal_finish(struct out *out, int code)
{
	(void)code;
	strbuf_clear(&journal_out(out)->message);
	strbuf_clear(&journal_out(out)->fields);
}

static const struct out_writer journal_writer = {
	.text = journal_text,
	.value = journal_value,
	.record = journal_record,
	.finish = journal_finish,
};

struct out *out_journal_new(void)
{
	struct journal_out *journal = calloc(1, sizeof(*journal));

	if (!journal)
		return NULL;
	journal->out.writer = &journal_writer;
	return &journal->out;
}
