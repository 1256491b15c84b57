/* SPDX-License-Identifier: GPL-2.0 */
/* What several commands do with a rule file or with the running rules, in the words of the command. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../compile/compile.h"
#include "../kernel/kernel.h"

struct run;
struct out;

/* A rule file, and, when compiled, its image with made-up interface numbers. */
struct rules {
	struct policy *policy;
	struct device_env *devices;
	struct counter_plan *counters;
	uint16_t *set_slot;
	struct image *image;
};

/* Both return enum exit_code: EXIT_REJECTED where the file is wrong or cannot be read. */
int rules_parse(const char *file, struct diag *diag, struct rules *ret);
int rules_compile(struct rules *rules, struct diag *diag);
void rules_clear(struct rules *rules);

/* Something that failed with rc and has said why in the diag: EXIT_REJECTED when the rules are to blame. */
int rules_exit(const struct diag *diag, int rc);

/* Takes the lock and finds the running rules; EXIT_FAILED with a problem where nothing is loaded. */
int running_open(struct run *run, struct weir_root **ret_root, const struct running **ret_running);

/* Names for people and scripts. */
const char *hook_name(enum hook hook);
enum hook hook_of(enum policy_hook hook);
/* The members of an object that say where a program is. */
void attachment_say(struct out *out, const struct attachment *attachment);
const char *reason_name(enum reason reason);
const char *reason_text(enum reason reason);
bool reason_is_malformed(enum reason reason);
/* "addr . proto . port", malloc'ed. */
char *set_type_text(const struct set *set);
/* One value as rules write it; malloc'ed. family: 4 or 6, of addresses only. */
char *value_text(enum value_type type, unsigned int family, struct value value);
