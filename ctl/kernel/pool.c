// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "pool.h"

_Static_assert((int)SET_WORD == (int)TABLE_WORD && (int)SET_WORD_LPM == (int)TABLE_WORD_PREFIX &&
		       (int)SET_QUAD == (int)TABLE_QUAD && (int)SET_QUAD_LPM == (int)TABLE_QUAD_PREFIX,
	       "tables and the maps of the same keys have the same numbers");

/* ---- regions ---- */

static int by_first(const void *a, const void *b)
{
	const struct region *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static int insert(struct regions *regions, size_t at, struct region region)
{
	if (regions->n == regions->capacity) {
		size_t capacity = regions->capacity ? regions->capacity * 2 : 64;
		struct region *grown = realloc(regions->at, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		regions->at = grown;
		regions->capacity = capacity;
	}
	memmove(regions->at + at + 1, regions->at + at, (regions->n - at) * sizeof(*regions->at));
	regions->at[at] = region;
	regions->n++;
	return 0;
}

int regions_of(struct regions *ret, const struct tables_head *head)
{
	int r = 0;

	*ret = (struct regions){ 0 };
	for (size_t slot = 0; head && slot < SET_SLOTS && r == 0; slot++) {
		for (int which = 0; which < SET_TABLE_MAX && r == 0; which++) {
			const struct table *t = &head->set[slot].table[which];

			if (t->first)
				r = insert(ret, ret->n, (struct region){ t->first, t->lines });
		}
	}
	if (r)
		regions_clear(ret);
	else if (ret->n)
		qsort(ret->at, ret->n, sizeof(*ret->at), by_first);
	return r;
}

void regions_clear(struct regions *regions)
{
	free(regions->at);
	*regions = (struct regions){ 0 };
}

uint32_t regions_end(const struct regions *regions)
{
	const struct region *last = regions->n ? &regions->at[regions->n - 1] : NULL;

	return last ? last->first + last->lines : 1;
}

uint32_t regions_take(struct regions *regions, size_t lines)
{
	uint64_t first = 1;
	size_t i;

	for (i = 0; i < regions->n; i++) {
		if (regions->at[i].first >= first + lines)
			break;
		first = (uint64_t)regions->at[i].first + regions->at[i].lines;
	}
	if (!lines || first + lines > UINT32_MAX || insert(regions, i, (struct region){ first, lines }))
		return 0;
	return first;
}

/* ---- sets ---- */

const void *pool_keys(const struct set_image *image, enum set_table which)
{
	const void *keys[SET_TABLE_MAX] = { image->word, image->word_lpm, image->quad, image->quad_lpm };

	return keys[which];
}

size_t pool_key_bytes(enum set_table which)
{
	static const size_t bytes[SET_TABLE_MAX] = { sizeof(struct set_word_key), sizeof(struct set_word_lpm_key),
						     sizeof(struct set_quad_key), sizeof(struct set_quad_lpm_key) };

	return bytes[which];
}

int pool_place_table(struct regions *regions, struct table *ret, enum set_table which, const void *keys, size_t n,
		     size_t room)
{
	struct table t = { 0 };
	size_t lines;

	*ret = t;
	if (!n)
		return 0;
	lines = table_lines(which, keys, n, room);
	t.first = regions_take(regions, lines);
	t.lines = lines;
	/* secret, so that nobody can choose addresses that crowd one line */
	if (getrandom(&t.seed, sizeof(t.seed), GRND_NONBLOCK) != sizeof(t.seed))
		t.seed = (uintptr_t)&t >> 4 ^ time(NULL);
	if (!t.first)
		return -ENOMEM;
	*ret = t;
	return 0;
}

int pool_place(struct regions *regions, struct set_head *ret, const struct set_image *image)
{
	int r = 0;

	for (int which = 0; which < SET_TABLE_MAX && r == 0; which++)
		r = pool_place_table(regions, &ret->table[which], which, pool_keys(image, which), image->n[which], 0);
	return r;
}

int pool_build(const struct pool *pool, struct set_head *head, const struct set_image *image)
{
	int r = 0;

	for (int which = 0; which < SET_TABLE_MAX && r == 0; which++)
		if (head->table[which].first)
			r = table_build(pool, &head->table[which], which, pool_keys(image, which), image->n[which]);
	return r;
}

uint32_t pool_roomy(const struct tables_head *head, uint32_t end)
{
	uint64_t all = 1, largest = 0, lines;

	for (size_t slot = 0; slot < SET_SLOTS; slot++) {
		uint64_t set = 0;

		for (int which = 0; which < SET_TABLE_MAX; which++)
			set += head->set[slot].table[which].first ? head->set[slot].table[which].lines : 0;
		all += set;
		largest = set > largest ? set : largest;
	}
	/* An eighth more each: what replaces a set is not just as large, and holes do not fit. */
	lines = all + all / 8 + largest + largest / 8;
	if (lines < end)
		lines = end;
	return lines < POOL_MIN ? POOL_MIN : lines > UINT32_MAX ? UINT32_MAX : lines;
}
