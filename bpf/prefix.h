/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is this address inside a prefix of the set? A walk through a table of prefixes (abi.h): slot, nodes, leaf.
 *
 * No call anywhere. Two or three dependent reads for IPv4, three to five for IPv6.
 */
#pragma once

#include "maps.h"

/* A word of the region and the rest of its line; NULL outside the pool. */
static __always_inline const struct line *prefix_line(const struct table *t, __u32 word)
{
	return pool_line(t->first + (word >> 3));
}

/* From the root node in `slot` on; hi, lo: the address from the slot's depth on. */
static __always_inline int prefix_walk(const struct table *t, __u32 slot, __u64 hi, __u64 lo, int depths)
{
	__u32 at = slot, n;

	if (slot & PREFIX_COVERED)
		return 1;
	for (int i = 0; i < depths; i++) {
		const struct prefix_node *node;
		const struct line *line;
		__u64 bit;

		if (!at)
			return 0;
		line = prefix_line(t, at);
		if (!line)
			return -1;
		node = (const void *)&line->word[at & 4];
		n = node->skip >> 24;
		if (n) {
			if ((hi >> 40 >> (PREFIX_SKIP_MAX - n)) != (node->skip & 0xffffff))
				return 0;
			hi = hi << n | lo >> (64 - n);
			lo <<= n;
		}
		if (node->internal & prefix_holders(hi))
			return 1;
		bit = 1ull << (hi >> 58);
		hi = hi << PREFIX_STRIDE | lo >> (64 - PREFIX_STRIDE);
		lo <<= PREFIX_STRIDE;
		if (node->leaves & bit) {
			at = node->base - 1 - prefix_count(node->leaves & (bit - 1));
			line = prefix_line(t, at);
			if (!line)
				return -1;
			return (line->word[at & 7] & prefix_holders(hi)) != 0;
		}
		if (!(node->nodes & bit))
			return 0;
		at = node->base + 4 * prefix_count(node->nodes & (bit - 1));
	}
	return -1;
}

/* Where a value goes into a table: its slot, and what of it is behind the slot's bits. */
struct prefix_way {
	__u64 hi, lo;
	__u32 slot;
};

static __always_inline struct prefix_way prefix_way_word(const struct table *t, __u32 word)
{
	__u64 hi = (__u64)word << 32;
	__u32 bits = t->bits & 31;

	return (struct prefix_way){ .hi = hi << bits, .slot = hi >> 32 >> (32 - bits) };
}

static __always_inline struct prefix_way prefix_way_quad(const struct table *t, const __u32 word[4])
{
	__u64 hi = ((__u64)word[0] << 32 | word[1]) ^ PREFIX_FLIP, lo = (__u64)word[2] << 32 | word[3];
	__u32 bits = t->bits & 31, lead = hi >> 61, slot;

	hi = hi << PREFIX_LEAD | lo >> (64 - PREFIX_LEAD);
	lo <<= PREFIX_LEAD;
	if (lead) {
		slot = (1u << bits) + lead;
	} else {
		slot = hi >> 32 >> (32 - bits);
		hi = hi << bits | lo >> 1 >> (63 - bits);
		lo <<= bits;
	}
	return (struct prefix_way){ .hi = hi, .lo = lo, .slot = slot };
}

/* 1 in the set, 0 not, -1 the table leaves the pool */
static __always_inline int prefix_find(const struct table *t, const struct prefix_way *way, int depths)
{
	const struct line *line;

	if (!t->first)
		return 0;
	line = prefix_line(t, PREFIX_SLOTS + (way->slot >> 1));
	if (!line)
		return -1;
	return prefix_walk(t, ((const __u32 *)line)[way->slot & 15], way->hi, way->lo, depths);
}

/* The same. */
static __always_inline int prefix_find_word(const struct table *t, __u32 word)
{
	struct prefix_way way = prefix_way_word(t, word);

	return prefix_find(t, &way, PREFIX_DEPTHS_WORD);
}

/* The same. */
static __always_inline int prefix_find_quad(const struct table *t, const __u32 word[4])
{
	struct prefix_way way = prefix_way_quad(t, word);

	return prefix_find(t, &way, PREFIX_DEPTHS);
}
