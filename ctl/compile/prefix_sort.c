// SPDX-License-Identifier: GPL-2.0
/* Prefix tables: keys of any order, also twice, become prefixes in order, each once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "prefix_region.h"

#define DIGITS 17 /* bytes of a prefix, from the last: length, lo, hi */

static uint32_t digit_of(const struct prefix *p, uint32_t i)
{
	uint64_t part = i == 0 ? p->length : i <= 8 ? p->lo >> (8 * (i - 1)) : p->hi >> (8 * (i - 9));

	return part & 255;
}

/* One pass of a radix sort; false: all have the same digit, nothing was moved. */
static bool sort_by_digit(struct prefix *to, const struct prefix *from, size_t n, uint32_t i)
{
	size_t start[256] = { 0 }, sum = 0;

	for (size_t k = 0; k < n; k++)
		start[digit_of(&from[k], i)]++;
	if (start[digit_of(&from[0], i)] == n)
		return false;
	for (uint32_t d = 0; d < 256; d++) {
		size_t count = start[d];

		start[d] = sum;
		sum += count;
	}
	for (size_t k = 0; k < n; k++)
		to[start[digit_of(&from[k], i)]++] = from[k];
	return true;
}

static size_t drop_doubles(struct prefix *p, size_t n)
{
	size_t kept = 0;

	for (size_t k = 0; k < n; k++)
		if (k == 0 || p[k].hi != p[kept - 1].hi || p[k].lo != p[kept - 1].lo ||
		    p[k].length != p[kept - 1].length)
			p[kept++] = p[k];
	return kept;
}

int prefix_sort(struct prefix **ret, size_t *ret_n, enum set_table which, const void *keys, size_t n)
{
	struct prefix *now = malloc((n + 1) * sizeof(*now)), *next = malloc((n + 1) * sizeof(*next));
	int r = now && next ? 0 : -ENOMEM;

	for (size_t k = 0; r == 0 && k < n; k++)
		r = prefix_from_key(&now[k], which, (const char *)keys + k * prefix_key_size(which));
	for (uint32_t i = 0; r == 0 && n > 0 && i < DIGITS; i++) {
		if (sort_by_digit(next, now, n, i)) {
			struct prefix *swap = now;

			now = next;
			next = swap;
		}
	}
	free(next);
	if (r < 0) {
		free(now);
		return r;
	}
	*ret_n = drop_doubles(now, n);
	*ret = now;
	return 0;
}
