/* SPDX-License-Identifier: GPL-2.0 */
/* Words on the command line that pick some of many: `proto tcp src 192.0.2.0/24`. All must hold. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../lang/policy.h"

struct run;

struct word_info {
	const char *name;
	enum value_type type;       /* what its values are; TYPE_MAX: text, */
	const char *const *choices; /* one of these up to NULL; NULL: any */
};

struct word_list {
	const char *of; /* "flows": what the words are said of */
	const struct word_info *words;
	size_t n;
};

struct word_value {
	bool given;
	const char *text;     /* as on the command line */
	struct range *ranges; /* one of them must hold; malloc'ed */
	size_t n_ranges;
};

/* Pairs of a word and a value, each word once; ret: one a word of the list, to be cleared also after a failure. enum
 * exit_code, EXIT_USAGE with a problem. */
int words_read(struct run *run, const struct word_list *list, char **operands, size_t n, struct word_value *ret);
void words_clear(const struct word_list *list, struct word_value *values);

/* family: 4 or 6, of addresses only. */
bool word_holds(const struct word_info *word, const struct word_value *wanted, unsigned int family,
		const struct value *value);
