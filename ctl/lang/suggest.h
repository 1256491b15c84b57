/* SPDX-License-Identifier: GPL-2.0 */
/* What the user may have meant. */
#pragma once

#include <stddef.h>

/* Damerau-Levenshtein: insertions, deletions, replacements and swaps of neighbours. Long words count as far apart. */
unsigned int suggest_distance(const char *a, size_t a_length, const char *b, size_t b_length);

struct suggestion {
	const char *word;
	size_t length;
	const char *best;
	unsigned int distance;
};

void suggest_start(struct suggestion *s, const char *word, size_t length);
void suggest_offer(struct suggestion *s, const char *candidate);
/* The nearest offer, if near enough to be a slip of the finger; else NULL. */
const char *suggest_best(const struct suggestion *s);
