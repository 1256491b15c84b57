/* SPDX-License-Identifier: GPL-2.0 */
/* What a writer of output must be able to do; only out/ includes this. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "out.h"

enum out_kind { OUT_NULL, OUT_STRING, OUT_INTEGER, OUT_REAL, OUT_BOOL };

struct out_value {
	enum out_kind kind;
	union {
		const char *string;
		uint64_t integer;
		double real;
		bool truth;
	};
};

struct out {
	const struct out_writer *writer;
	FILE *to;
	bool lines;  /* a record a line instead of one document */
	bool failed; /* it took no more; error says why */
	int error;   /* errno of that */
};

struct out_writer {
	void (*text)(struct out *out, const char *format, va_list args);
	void (*open)(struct out *out, const char *key, bool array);
	void (*open_long)(struct out *out, const char *key);
	void (*close)(struct out *out);
	void (*value)(struct out *out, const char *key, const struct out_value *value);
	void (*record)(struct out *out);
	void (*problems)(struct out *out, const struct diag *diag, const char *closing);
	void (*finish)(struct out *out, int code); /* frees what the writer holds, not out */
};

struct out *out_text_new(void);
struct out *out_json_new(void);
struct out *out_journal_new(void);

/* The bytes of the UTF-8 character there, of which n are at hand; 0: it is none. */
size_t utf8_length(const char *text, size_t n);
/* Escaped as by out_quote(), without its quotes. */
struct strbuf;
void quote_add(struct strbuf *b, const char *text);

/* Remembers that writing failed with errno. */
void out_fail(struct out *out);
