/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is this very value in a table (abi.h: tables of exact values)? One line for most packets, two where the element is in a
 * table of four words. 1 in, 0 not, -1 a line outside the pool.
 *
 * The command edits the table meanwhile. A value never moves, so each line may be read on its own; that EXACT_MORE
 * counts a value before it appears, and that its entry is there before its tag, is the writer's part.
 */
#pragma once

#include "maps.h"

/* Is it in one of the lanes? Less work than exact_scan(), which says in which. */
static __always_inline int exact_any(const struct line *line, __u64 pattern, __u64 low, __u64 flags)
{
	__u64 differ = exact_differ(line->word[7], pattern, low) | flags;

	for (int i = 0; i < 7; i++)
		differ &= exact_differ(line->word[i], pattern, low);
	return (~differ & ~low) != 0;
}

static __always_inline int exact_any_half(const struct line *line, __u32 lane)
{
	return exact_any(line, lane * EXACT_ONES_HALF, EXACT_LOW_HALF, 0xffffull << 48);
}

static __always_inline int exact_any_word(const struct line *line, __u32 lane)
{
	return exact_any(line, lane * EXACT_ONES_WORD, EXACT_LOW_WORD, 0xffffffffull << 32);
}

static __always_inline int exact_find_word(const struct table *t, __u32 word)
{
	__u32 hash = exact_hash_word(word, t->seed), lane = hash, at;
	const struct line *line;
	int found;

	if (!t->first)
		return 0;
	line = pool_line(t->first + exact_pick(hash, t->size));
	if (!line)
		return -1;
	if (t->kind == EXACT_HALVES) {
		lane = hash & 0xffff;
		found = exact_any_half(line, lane);
	} else {
		found = exact_any_word(line, lane);
	}
	if (!lane)
		return line->word[7] & EXACT_ZERO ? 1 : 0;
	if (found)
		return 1;
	at = t->first + t->size + exact_pick_spare(hash, t->size);
	for (__u32 i = 0; i < EXACT_PROBES && line->word[7] & EXACT_MORE; i++) {
		line = pool_line(at + i);
		if (!line)
			return -1;
		if (exact_any_word(line, hash))
			return 1;
	}
	return 0;
}

/* How many bits are set: few, so that a table would be slower. */
static __always_inline __u32 exact_count_bits(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
	return ((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full) * 0x0101010101010101ull >> 56;
}

/* Of the lowest bit that exact_scan_half() found; `found` is not 0. */
static __always_inline __u32 exact_entry_number(__u64 found)
{
	__u32 bit = exact_count_bits((found & -found) - 1);

	return (bit >> 1 & 0x18) | (bit & 7);
}

static __always_inline int exact_find_quad(const struct table *t, const __u32 word[4])
{
	__u64 hash = exact_hash_quad(word, t->seed), upper = (__u64)word[0] << 32 | word[1],
	      lower = (__u64)word[2] << 32 | word[3];
	__u32 entries = t->first + t->size + exact_spare(t->size);
	__u32 at = exact_pick(hash >> 32, t->size);
	const struct line *line;

	if (!t->first)
		return 0;
	for (int i = 0; i <= EXACT_PROBES; i++) {
		__u64 found, more;

		line = pool_line(t->first + at);
		if (!line)
			return -1;
		more = line->word[7] & EXACT_MORE;
		found = exact_scan_half(line, exact_tag(hash));
		if (found) {
			__u32 entry = exact_entry_number(found);

			line = pool_line(entries + at * EXACT_ENTRY_LINES + entry / 4);
			if (!line)
				return -1;
			if (line->word[entry % 4 * 2] == upper && line->word[entry % 4 * 2 + 1] == lower)
				return 1;
		}
		if (!more)
			return 0;
		at = i ? at + 1 : t->size + exact_pick_spare(hash, t->size);
	}
	return 0;
}
