/* SPDX-License-Identifier: GPL-2.0 */
/* One vtable, two writers: text for people, one JSON document for scripts. A command never calls printf. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../lang/diag.h"

struct out;

/* json: everything said becomes one document on stdout at out_finish(), problems included; text: at once. */
struct out *out_new(bool json);
bool out_is_json(const struct out *out);
/* Returns code, or 1 where stdout could not be written. */
int out_finish(struct out *out, int code);
/* Problems: text to stderr with carets; JSON into "problems": [{severity, file, line, column, message, hint, other}]. */
void out_diag(struct out *out, const struct diag *diag, const char *closing);
