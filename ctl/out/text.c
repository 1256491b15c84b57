// SPDX-License-Identifier: GPL-2.0
/* The writer for people: results to stdout as they come, problems to stderr. */
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>

static void text_text(struct out *out, const char *format, va_list args)
{
	if (!out->failed && vfprintf(out->to, format, args) < 0)
		out_fail(out);
}

static void text_problems(struct out *out, const struct diag *diag, const char *closing)
{
	char *text = diag_text(diag, closing);

	/* Results and problems often go to the same terminal: keep them in the order they were said. */
	out_flush(out);
	fputs(text ? text : "weir: out of memory\n", stderr);
	free(text);
}

static void text_finish(struct out *out, int code)
{
	(void)out;
	(void)code;
}

static const struct out_writer text_writer = {
	.text = text_text,
	.problems = text_problems,
	.finish = text_finish,
};

struct out *out_text_new(void)
{
	struct out *out = calloc(1, sizeof(*out));

	if (out)
		out->writer = &text_writer;
	return out;
}
