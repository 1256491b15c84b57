/* SPDX-License-Identifier: GPL-2.0 */
/* Problems, collected while a library works and shown by the command afterwards. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct location {
	uint16_t file;   /* number in the diag's sources + 1; 0: no place */
	uint16_t column; /* from 1, in bytes */
	uint32_t line;   /* from 1 */
	uint16_t length; /* bytes to underline, at least 1 */
	uint16_t pad;
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE };

struct problem {
	enum severity severity;
	struct location loc;   /* where; file 0: the whole run */
	struct location other; /* the second place of a conflict or duplicate; file 0: none */
	char *message;         /* lower case, no final stop, user text in single quotes */
	char *hint;            /* what was expected, or what to do; or NULL */
};

struct diag {
	struct problem *problems;
	size_t n, capacity;
	size_t n_errors, n_warnings;
	size_t n_dropped; /* problems beyond DIAG_MOST, counted only */
	bool out_of_memory;
	bool last_dropped; /* the last problem was only counted: hints go nowhere */
	/* The texts that locations point into, so that the caret line can be shown. Copies, owned. */
	struct diag_source {
		char *name;
		char *text;
		size_t length;
	} *sources;
	size_t n_sources;
};

#define DIAG_MOST 200

void diag_init(struct diag *diag);
void diag_clear(struct diag *diag);

/* Registers a text; returns the file number for locations (0 when memory ends). */
uint16_t diag_add_source(struct diag *diag, const char *name, const char *text, size_t length);
/* The same of a malloc'ed text, which is the diag's from then on, also where there was no memory. */
uint16_t diag_take_source(struct diag *diag, const char *name, char *text, size_t length);

/* Each returns -EINVAL (errors) or 0 (warnings), so that `return diag_error(...)` reads well. */
int diag_error(struct diag *diag, struct location loc, const char *format, ...) __attribute__((format(printf, 3, 4)));
int diag_warning(struct diag *diag, struct location loc, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* These add to the last problem. */
void diag_hint(struct diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_other(struct diag *diag, struct location other);
/* A problem without a place: "cannot open map 'x': Permission denied". error is a positive errno; returns -error. */
int diag_errno(struct diag *diag, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
int diag_oom(struct diag *diag); /* -ENOMEM */

/* The whole text for people: every problem with its line, caret and hint, sorted by place, errors first in ties; ends
 * with the count line ("edge.rules: 2 errors; nothing was loaded, the running rules are unchanged") when `closing`
 * is not NULL: closing is what stands behind the count. malloc'ed. */
char *diag_text(const struct diag *diag, const char *closing);
