// SPDX-License-Identifier: GPL-2.0
#include "suggest.h"

#include <string.h>

#define WORD_MOST 64

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* The "optimal string alignment" form: no part is edited twice, which is all that typing needs. */
unsigned int suggest_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned int rows[3][WORD_MOST + 1];
	unsigned int *before = rows[0], *last = rows[1], *now = rows[2];

	if (a_length > WORD_MOST || b_length > WORD_MOST)
		return WORD_MOST;
	for (size_t j = 0; j <= b_length; j++)
		last[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned int *spare = before;

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_length; j++) {
			now[j] = last[j - 1] + (a[i - 1] != b[j - 1]);
			now[j] = least(now[j], least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[b_length];
}

void suggest_start(struct suggestion *s, const char *word, size_t length)
{
	*s = (struct suggestion){ .word = word, .length = length, .distance = WORD_MOST };
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
	unsigned int distance;

	if (s->length > WORD_MOST)
		return;
	distance = suggest_distance(s->word, s->length, candidate, strlen(candidate));
	if (distance < s->distance) {
		s->distance = distance;
		s->best = candidate;
	}
}

const char *suggest_best(const struct suggestion *s)
{
	size_t length;

	if (!s->best)
		return NULL;
	length = s->length > strlen(s->best) ? s->length : strlen(s->best);
	/* One slip in three letters; in short words one slip must leave most of the word. */
	return s->distance * 3 <= length && s->distance < s->length ? s->best : NULL;
}
