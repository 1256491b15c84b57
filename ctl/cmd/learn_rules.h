/* SPDX-License-Identifier: GPL-2.0 */
/* A rule file that lets through what was seen, and nothing else. Pure: no system call, no printing. */
#pragma once

#include "../kernel/learn.h"
#include "../lang/strbuf.h"

#define LEARN_WIDEN 8

struct learn_proposal {
	const char *const *devices;
	size_t n_devices;
	unsigned int widen;     /* so many addresses or prefixes within the next larger prefix become that; 0: never */
	int64_t started, ended; /* seconds since 1970 */
	void *context;
	/* A user's name, or NULL; good until the next call. */
	const char *(*user_name)(void *context, uint32_t uid);
};

/* malloc'ed; NULL when memory ends. The talks are put into another order. */
char *learn_rules(struct talks *talks, const struct learn_proposal *proposal);

/*
 * How a rule's comment names programs: `by PATH, PATH`. In a path everything but letters, digits and -._/+@:=~ is written as %41;
 * one that begins with '*' stands for all that end so. A comment without it means any program.
 */
#define LEARN_BY "by "
void learn_path_encode(struct strbuf *b, const char *path);
