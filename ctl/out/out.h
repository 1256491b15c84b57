/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One vtable, two writers: text for people, JSON for scripts. A command never calls printf.
 *
 * A command says everything twice over, in the words of each reader: out_text() is for people and the JSON
 * writer ignores it; out_object() ... out_null() describe the document and the text writer ignores them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../lang/diag.h"

struct out;

/* json: everything said becomes one document on stdout at out_finish(), problems included; text: at once.
 * NULL when memory ends. */
struct out *out_new(bool json);

/* Records alone, as of out_lines(), to a file of the caller. A journal's record has the fields of its native protocol:
 * out_text() is MESSAGE, and each key stands in capitals behind WEIR_. NULL when memory ends. */
enum out_form { OUT_FORM_TEXT, OUT_FORM_JSON, OUT_FORM_JOURNAL };
struct out *out_records_new(enum out_form form, FILE *to);
bool out_is_json(const struct out *out);

/* From now on each out_record_end() prints what was said as one JSON object on a line of its own. The document
 * at the end appears only where there are errors. */
void out_lines(struct out *out);
void out_record_end(struct out *out);
/* Whatever is buffered: for output that somebody watches. */
void out_flush(struct out *out);
/* Where it goes takes no more: a closed pipe, a full disk. A command that prints without end stops here. */
bool out_failed(const struct out *out);

/* Returns code, or 1 where stdout could not be written; frees out. */
int out_finish(struct out *out, int code);

/* Problems: text to stderr with carets; JSON into "problems": [{severity, file, line, column, message, hint, other}]. */
void out_diag(struct out *out, const struct diag *diag, const char *closing);

/*
 * A string from outside, as a word for people: as it is if it has but letters, digits and a few harmless signs, else in
 * double quotes. Quotes and backslashes, control characters, what turns the direction of writing and bytes that are no
 * UTF-8 are escaped: \" \\ \x1b. malloc'ed; NULL when memory ends.
 */
char *out_quote(const char *text);

/* For people, on stdout. */
void out_text(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For scripts: members of the innermost open object or array (then key is NULL). */
void out_object(struct out *out, const char *key);
void out_array(struct out *out, const char *key);
/* An array that may be long, of the document itself: each element is printed as it ends, in front of all else. At most one. */
void out_array_long(struct out *out, const char *key);
void out_end(struct out *out);
void out_string(struct out *out, const char *key, const char *value); /* NULL: null */
void out_format(struct out *out, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
void out_integer(struct out *out, const char *key, uint64_t value);
void out_real(struct out *out, const char *key, double value);
void out_bool(struct out *out, const char *key, bool value);
void out_null(struct out *out, const char *key);
