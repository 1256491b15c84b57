/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Membership in named sets: one bit of the key for each lookup that the filter's rules name.
 *
 * Sets in the pool come first, and the first few of those without a call. What is left goes through bpf_loop,
 * whose body is verified once: many lookups, and sets in kernel maps, which are helper calls anyway.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "exact.h"
#include "maps.h"
#include "prefix.h"

#define SETS_INLINE 1 /* each takes some 20,000 verified instructions, and makes the count of the search rise */

/* Each find function: 1 in the set, 0 not, -1 the set is not there or a table leaves the pool. */

/* ---- sets in the pool ---- */

static __always_inline int sets_find_pool(const struct scratch *s, const struct tables_head *t, const struct lookup *l)
{
	const struct set_head *set = &t->set[l->slot & (SET_SLOTS - 1)];
	__u32 at = l->word[0] & (KEY_MAX / 2 - 1); /* addresses and MACs are in the first half of the key */
	__u32 quad[4] = { s->key[at], s->key[at + 1], 0, 0 }, word, prefixes;
	__u64 nought = *(volatile __u32 *)&s->nought;
	struct prefix_way way;
	int found;

	if (l->kind == LOOKUP_ADDR && s->key[KEY_FAMILY] != 4) {
		if (s->key[KEY_FAMILY] != 6)
			return 0;
		quad[2] = s->key[at + 2];
		quad[3] = s->key[at + 3];
	} else if (l->kind != LOOKUP_MAC) {
		word = quad[0];
		if (l->kind == LOOKUP_WORD)
			word = (s->key[l->word[0] & (KEY_MAX - 1)] & l->mask) >> (l->shift & 31);
		found = exact_find_word(&set->table[TABLE_WORD], word);
		if (found)
			return found;
		prefixes = TABLE_WORD_PREFIX;
		way = prefix_way_word(&set->table[TABLE_WORD_PREFIX], word);
		goto walk;
	}
	found = exact_find_quad(&set->table[TABLE_QUAD], quad);
	if (found)
		return found;
	prefixes = TABLE_QUAD_PREFIX;
	way = prefix_way_quad(&set->table[TABLE_QUAD_PREFIX], quad);
walk:
	/* Verifier: both kinds go one way from here, as unknown numbers; two walks cost it twice as much. */
	asm volatile("%0 ^= %4; %1 ^= %4; %2 ^= %4; %3 ^= %4"
		     : "+r"(way.hi), "+r"(way.lo), "+r"(way.slot), "+r"(prefixes)
		     : "r"(nought));
	return prefix_find(&set->table[prefixes & (SET_TABLE_MAX - 1)], &way, PREFIX_DEPTHS);
}

/* ---- sets in kernel maps ---- */

/*
 * CLOCK_BOOTTIME, at most a jiffy ago: the clock takes 30 ns and more, the number of the jiffy none. What is late by that
 * much is the end of an element's time.
 */
static __always_inline __u64 sets_now(struct scratch *s)
{
	__u64 jiffies = bpf_jiffies64();

	if (cfg.trace)
		return trace.boot_ns;
	if (s->clock_jiffies != jiffies) {
		s->clock_ns = bpf_ktime_get_boot_ns();
		s->clock_jiffies = jiffies;
	}
	return s->clock_ns;
}

/* Only sets whose elements expire ask for the time. */
static __always_inline bool sets_expired(struct scratch *s, const struct lookup *l, const struct set_value *value)
{
	return l->flags & LOOKUP_EXPIRES && value->expires_ns && value->expires_ns <= sets_now(s);
}

static __always_inline int sets_hit(struct scratch *s, const struct lookup *l, struct set_value *value)
{
	if (!value || sets_expired(s, l, value))
		return 0;
	if (l->flags & LOOKUP_COUNTS) {
		__sync_fetch_and_add(&value->packets, 1);
		__sync_fetch_and_add(&value->bytes, s->length);
	}
	return 1;
}

/* The longest prefix that has not expired: an expired one may hide a shorter one. */
#define SETS_HIDDEN 32
#define SETS_HIT_TRIE(s, l, lpm, key)                                                                                  \
	({                                                                                                             \
		struct set_value *value_;                                                                              \
		int found_ = -1;                                                                                       \
		for (int i_ = 0; i_ < SETS_HIDDEN; i_++) {                                                             \
			value_ = bpf_map_lookup_elem(lpm, &(key));                                                     \
			if (!value_ || !sets_expired(s, l, value_) || !value_->prefix_len) {                           \
				found_ = sets_hit(s, l, value_);                                                       \
				break;                                                                                 \
			}                                                                                              \
			(key).prefix_len = value_->prefix_len - 1;                                                     \
		}                                                                                                      \
		found_;                                                                                                \
	})

static __always_inline int sets_find_word(struct scratch *s, const struct lookup *l, __u32 word)
{
	struct set_word_trie_key prefix = { .prefix_len = 32, .word_be = bpf_htonl(word) };
	struct set_word_key key = { .word = word };
	void *exact = SET_INNER(set_word, l->slot);
	void *lpm = SET_INNER(set_word_lpm, l->slot);

	if (!exact || !lpm)
		return -1;
	return sets_hit(s, l, bpf_map_lookup_elem(exact, &key)) ?: SETS_HIT_TRIE(s, l, lpm, prefix);
}

static __always_inline int sets_find_quad(struct scratch *s, const struct lookup *l, const __u32 word[4])
{
	struct set_quad_lpm_key prefix = { .prefix_len = 128 };
	struct set_quad_key key;
	void *exact = SET_INNER(set_quad, l->slot);
	void *lpm = SET_INNER(set_quad_lpm, l->slot);

	if (!exact || !lpm)
		return -1;
	for (int i = 0; i < 4; i++) {
		key.word[i] = word[i];
		prefix.word_be[i] = bpf_htonl(word[i]);
	}
	return sets_hit(s, l, bpf_map_lookup_elem(exact, &key)) ?: SETS_HIT_TRIE(s, l, lpm, prefix);
}

static __always_inline int sets_find_tuple(struct scratch *s, const struct lookup *l)
{
	struct set_tuple_key key = {};
	void *exact = SET_INNER(set_tuple, l->slot);

	if (!exact)
		return -1;
	for (int i = 0; i < TUPLE_WORDS; i++)
		if (i < l->count)
			key.word[i] = (s->key[l->word[i] & (KEY_MAX - 1)] & l->wmask[i]) >> (l->wshift[i] & 31);
	return sets_hit(s, l, bpf_map_lookup_elem(exact, &key));
}

static __always_inline int sets_find_kernel(struct scratch *s, const struct lookup *l)
{
	__u32 at = l->word[0] & (KEY_MAX / 2 - 1);
	__u32 quad[4] = {};

	switch (l->kind) {
	case LOOKUP_WORD:
		return sets_find_word(s, l, (s->key[l->word[0] & (KEY_MAX - 1)] & l->mask) >> (l->shift & 31));
	case LOOKUP_ADDR:
		if (s->key[KEY_FAMILY] == 4)
			return sets_find_word(s, l, s->key[at]);
		if (s->key[KEY_FAMILY] != 6)
			return 0;
		quad[2] = s->key[at + 2];
		quad[3] = s->key[at + 3];
		/* fall through */
	case LOOKUP_MAC:
		quad[0] = s->key[at];
		quad[1] = s->key[at + 1];
		return sets_find_quad(s, l, quad);
	case LOOKUP_TUPLE:
		return sets_find_tuple(s, l);
	}
	return -1;
}

/* ---- all lookups of a filter ---- */

/* false: no rule may decide */
static __always_inline bool sets_note(struct scratch *s, __u32 i, int found, enum reason reason)
{
	if (found < 0) {
		s->done = 1;
		s->reason = reason;
		return false;
	}
	if (found)
		s->key[KEY_SETS0 + (i >> 5 & 1)] |= 1u << (i & 31);
	return true;
}

static __always_inline const struct lookup *sets_lookup(const struct tables_head *t, const struct filter_head *filter,
							__u32 i)
{
	return &t->lookup[(filter->lookups + i) & (LOOKUPS_MAX - 1)];
}

static __always_inline __u32 sets_inline(const struct filter_head *filter)
{
	return filter->n_pool_lookups < SETS_INLINE ? filter->n_pool_lookups : SETS_INLINE;
}

/* bpf_loop callback: the filter's lookups behind those that need no call. */
static long sets_find_step(__u32 i, void *unused)
{
	const struct filter_head *filter;
	const struct tables_head *t;
	const struct lookup *l;
	const void *half;
	struct scratch *s;

	(void)unused;
	if (!packet_memory(&s, &half))
		return 1;
	t = half;
	filter = &t->filter[s->filter & (FILTERS_MAX - 1)];
	i += sets_inline(filter);
	l = sets_lookup(t, filter, i);
	if (l->flags & LOOKUP_KERNEL)
		return !sets_note(s, i, sets_find_kernel(s, l), REASON_SET_MISSING);
	return !sets_note(s, i, sets_find_pool(s, t, l), REASON_TABLE);
}

static __always_inline void sets_find_all(struct scratch *s, const struct tables_head *t,
					  const struct filter_head *filter)
{
	__u32 n = filter->n_lookups, n_inline = sets_inline(filter);

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SETS_INLINE; i++) {
		n_inline = forget(s, n_inline, RULE_NONE);
		if (i >= n_inline)
			break;
		if (!sets_note(s, i, sets_find_pool(s, t, sets_lookup(t, filter, i)), REASON_TABLE))
			return;
	}
	if (n > n_inline)
		bpf_loop((n < LOOKUPS_PER_FILTER ? n : LOOKUPS_PER_FILTER) - n_inline, sets_find_step, NULL, 0);
}
