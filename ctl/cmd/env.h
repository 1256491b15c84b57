/* SPDX-License-Identifier: GPL-2.0 */
/* How the rule language reaches the real world. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../lang/policy.h"

/* What happened while a rule file was read. */
struct world {
	bool stdin_taken; /* by the rules or by a set: there is nothing left for another one */
};

struct lang_env world_env(struct world *world);

/* The whole file, "-" for standard input; 0 and a malloc'ed text, or a negative errno. */
int file_read(const char *path, char **ret_text, size_t *ret_length);

/* The number of the user of that name; -ENOENT where there is none. */
int user_number(const char *name, uint32_t *ret_uid);
