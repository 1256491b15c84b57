/* SPDX-License-Identifier: GPL-2.0 */
/* Names of numbers, as nft writes them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

struct named_number {
	const char *name;
	uint32_t number;
};

/* The names of a type, ended by a NULL name; NULL for a type without names. A number's first name is its canonical one. */
const struct named_number *words_of(enum value_type type);
bool words_find(enum value_type type, const char *name, size_t length, uint32_t *ret_number);
const char *words_name(enum value_type type, uint32_t number); /* or NULL */
bool words_type(const char *name, size_t length, enum value_type *ret_type);
/* weir's name of a type that nft spells otherwise, or NULL. */
const char *words_nft_type(const char *name, size_t length);

/* What a reject answers, as nft names it; ended by a NULL name. The first one is that of a `reject` alone. */
struct reject_name {
	const char *with, *name;
	uint8_t family; /* as in struct reject */
	uint8_t code4, code6;
};
extern const struct reject_name reject_names[];

/* Words of guards; each ended by a NULL name. */
extern const struct named_number guard_errnos[], guard_tokens[], guard_principals[], guard_audits[];
/* false: none of them. */
bool words_find_in(const struct named_number *words, const char *name, size_t length, uint32_t *ret_number);

/* Words with a meaning in a rule, which cannot be names of counters. */
bool words_reserved(const char *word, size_t length);
/* What to say of a word of nft's that weir does not have (yet): "is not supported yet"; NULL if it is none. */
const char *words_unsupported(const char *word, size_t length, const char **ret_hint);

/* The text is the word. Most comparisons end at the first letter, so no strlen() of the word comes before it. */
static inline bool word_is(const char *text, size_t length, const char *word)
{
	for (size_t i = 0; i < length; i++)
		if (!word[i] || text[i] != word[i])
			return false;
	return !word[length];
}
