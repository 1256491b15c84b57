// SPDX-License-Identifier: GPL-2.0
/* Prefix tables: a table from all its elements, in order; and how large it will be. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "prefix_region.h"

/* Room for additions is no larger than the table, or this many words where the table is small. */
#define ROOM_WORDS 7600
#define ADD_WORDS  20

struct builder {
	const struct region *r; /* NULL: only count */
	uint64_t words;         /* of blocks, counted: at most so many will be used */
	bool full;
};

static uint32_t reserve(struct builder *b, uint32_t leaves, uint32_t nodes)
{
	uint32_t base = 1;

	if (b->r) {
		base = region_take(b->r, leaves, nodes);
		b->full = b->full || !base;
	}
	b->words = nodes ? (b->words + 3) / 4 * 4 + (leaves + 3) / 4 * 4 + 4 * nodes : b->words + leaves;
	return base;
}

/*
 * Levels without element and branch are skipped. Elements are in order, so the first and the last one tell of all; and
 * one that ends here comes before all that go on like it.
 */
static uint32_t skipped(const struct prefix *p, size_t n, uint32_t depth)
{
	uint32_t skip = 0;

	while (skip < PREFIX_SKIP_MAX && p[0].length >= depth + skip + PREFIX_STRIDE &&
	       prefix_stride(&p[0], depth + skip) == prefix_stride(&p[n - 1], depth + skip))
		skip += PREFIX_STRIDE;
	return skip;
}

/* How many from the first on go to the same child; whether all end there. */
static size_t same_child(const struct prefix *p, size_t n, uint32_t depth, bool *ret_leaf)
{
	uint32_t v = prefix_stride(&p[0], depth);
	size_t k = 0;

	*ret_leaf = true;
	for (; k < n && prefix_stride(&p[k], depth) == v; k++)
		*ret_leaf = *ret_leaf && p[k].length < depth + 2 * PREFIX_STRIDE;
	return k;
}

static uint64_t build_leaf(const struct prefix *p, size_t n, uint32_t depth)
{
	uint64_t internal = 0;

	for (size_t k = 0; k < n; k++)
		internal |= prefix_internal(&p[k], depth);
	return internal;
}

/* The node of these elements, which agree up to `depth` and do not end before it. Below it all is written. */
static struct prefix_node build_node(struct builder *b, const struct prefix *p, size_t n, uint32_t depth)
{
	struct prefix_node node = { .skip = prefix_skip(p, depth, skipped(p, n, depth)) };
	uint32_t leaf, child;
	size_t step;
	bool ends;

	depth += node.skip >> 24;
	for (size_t k = 0; k < n; k += step) {
		uint64_t bit = 1ull << prefix_stride(&p[k], depth);

		step = 1;
		if (p[k].length < depth + PREFIX_STRIDE) {
			node.internal |= prefix_internal(&p[k], depth);
			continue;
		}
		step = same_child(&p[k], n - k, depth, &ends);
		*(ends ? &node.leaves : &node.nodes) |= bit;
	}
	if (!node.leaves && !node.nodes)
		return node;
	node.base = reserve(b, prefix_count(node.leaves), prefix_count(node.nodes));
	leaf = node.base - 1;
	child = node.base;
	for (size_t k = 0; k < n && !b->full; k += step) {
		step = 1;
		if (p[k].length < depth + PREFIX_STRIDE)
			continue;
		step = same_child(&p[k], n - k, depth, &ends);
		if (!ends) {
			struct prefix_node below = build_node(b, &p[k], step, depth + PREFIX_STRIDE);

			if (b->r)
				*region_node(b->r, child) = below;
			child += 4;
		} else if (b->r) {
			b->r->word[leaf--] = build_leaf(&p[k], step, depth + PREFIX_STRIDE);
		}
	}
	return node;
}

/* Elements of one slot. */
static void build_slot(struct builder *b, uint32_t slot, uint32_t depth, const struct prefix *p, size_t n)
{
	struct prefix_node node = build_node(b, p, n, depth);
	uint32_t at = reserve(b, 0, 1);

	if (!b->r || b->full)
		return;
	*region_node(b->r, at) = node;
	b->r->slot[slot] = at;
}

/* `places` knows only bits and lead; the builder may have no region. */
static void build(struct builder *b, const struct region *places, const struct prefix *p, size_t n)
{
	size_t step;

	for (size_t k = 0; k < n && !b->full; k += step) {
		uint32_t number = region_short(places, &p[k]), slot = region_slot(places, &p[k]);

		step = 1;
		if (number) {
			if (b->r)
				b->r->shorts[number / 64] |= 1ull << (number % 64);
			continue;
		}
		while (k + step < n && region_slot(places, &p[k + step]) == slot)
			step++;
		build_slot(b, slot, region_slot_depth(places, slot), &p[k], step);
	}
}

/*
 * Bits of slots: such that IPv4 prefixes of /19 to /24 are one leaf, /13 to /18 one node before it, and with IPv6 /27 to
 * /32, then /33 to /38, /39 to /44, /45 to /50.
 */
static uint32_t choose_bits(enum set_table which, size_t n)
{
	if (which == TABLE_QUAD_PREFIX)
		return n < 32 ? 6 : n < 32768 ? 12 : 18;
	return n < 64 ? 7 : 13;
}

size_t prefix_lines(enum set_table which, const void *keys, size_t n, size_t room)
{
	struct table t = { 0 };
	struct line none;
	struct pool pool = { &none, 1 };
	struct builder b = { 0 };
	struct region places;
	struct prefix *p;
	uint64_t extra, most;

	if (prefix_sort(&p, &n, which, keys, n) < 0)
		return 0;
	t.bits = choose_bits(which, n);
	places = region_open(&pool, &t, which);
	build(&b, &places, p, n);
	free(p);
	/* What additions keep in the end, and what they hold until they settle: old copies of what is on their way. */
	extra = n / 8 * (4 + (n ? b.words / n : 0));
	extra = extra > (uint64_t)room * ADD_WORDS ? extra : (uint64_t)room * ADD_WORDS;
	most = b.words > ROOM_WORDS ? b.words : ROOM_WORDS;
	return (places.blocks + b.words + REGION_RECORDS + (extra < most ? extra : most) + 7) / 8;
}

int prefix_build(const struct pool *pool, struct table *t, enum set_table which, const void *keys, size_t n)
{
	struct builder b = { 0 };
	struct region r;
	struct prefix *p;
	int error;

	error = prefix_sort(&p, &n, which, keys, n);
	if (error < 0)
		return error;
	t->size = 0;
	t->kind = 0;
	t->bits = (uint8_t)choose_bits(which, n);
	r = region_open(pool, t, which);
	if (r.blocks > r.words) {
		free(p);
		return -ENOSPC;
	}
	memset(r.word, 0, r.blocks * sizeof(*r.word));
	r.head->used = r.blocks;
	b.r = &r;
	build(&b, &r, p, n);
	free(p);
	if (b.full)
		return -ENOSPC;
	region_mend_all(&r);
	return 0;
}
