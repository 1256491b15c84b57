/* SPDX-License-Identifier: GPL-2.0 */
/* The spellings of match fields. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy.h"

struct suggestion;

#define FIELD_WORDS 3

struct field_word {
	const char *text;
	size_t length;
};

/* How many of the n words (at most FIELD_WORDS) spell a field; 0: none. The longest spelling wins. */
size_t field_find(const struct field_word *words, size_t n, enum field *ret_field);
/* A spelling starts with this word. */
bool field_is_first_word(const char *text, size_t length);
/* Offers what could stand in the last place of these words. */
void field_suggest(struct suggestion *s, const struct field_word *words, size_t n);
/* "sport, dport or flags": what may follow the first word. */
void field_list_seconds(const char *first, size_t first_length, char *text, size_t size);
