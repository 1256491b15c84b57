/* SPDX-License-Identifier: GPL-2.0 */
/* How the rule language reaches the real world. */
#pragma once

#include <stddef.h>

#include "../lang/policy.h"

/* What happened while a rule file was read. */
struct world {
	const char *file;  /* the rule file; "-" is standard input */
	int file_error;    /* why it could not be read: a positive errno, or 0 */
	bool stdin_taken;
};

struct lang_env world_env(struct world *world);

/* The whole file, "-" for standard input; 0 and a malloc'ed text, or a negative errno. */
int file_read(const char *path, char **ret_text, size_t *ret_length);
