/* SPDX-License-Identifier: GPL-2.0 */
/* Membership in named sets: one bit of the key for each lookup that the filter's rules name. */
#pragma once

#include <bpf/bpf_endian.h>

#include "maps.h"

/* The inner map of a slot; a rule that names an empty slot must not decide anything. */
#define SET_INNER(outer, slot)                                                                                         \
	({                                                                                                             \
		__u32 slot_ = (slot);                                                                                  \
		bpf_map_lookup_elem(&(outer), &slot_);                                                                 \
	})

static __always_inline int sets_find_word(__u32 slot, __u32 word)
{
	struct set_word_lpm_key prefix = { .prefix_len = 32, .word_be = bpf_htonl(word) };
	struct set_word_key key = { .word = word };
	void *exact = SET_INNER(set_word, slot);
	void *lpm = SET_INNER(set_word_lpm, slot);

	if (!exact || !lpm)
		return -1;
	return bpf_map_lookup_elem(exact, &key) || bpf_map_lookup_elem(lpm, &prefix);
}

static __always_inline int sets_find_quad(__u32 slot, const __u32 word[4])
{
	struct set_quad_lpm_key prefix = { .prefix_len = 128 };
	struct set_quad_key key;
	void *exact = SET_INNER(set_quad, slot);
	void *lpm = SET_INNER(set_quad_lpm, slot);

	if (!exact || !lpm)
		return -1;
	for (int i = 0; i < 4; i++) {
		key.word[i] = word[i];
		prefix.word_be[i] = bpf_htonl(word[i]);
	}
	return bpf_map_lookup_elem(exact, &key) || bpf_map_lookup_elem(lpm, &prefix);
}

static __always_inline int sets_find_tuple(const struct scratch *s, const struct lookup *l)
{
	struct set_tuple_key key = {};
	void *exact = SET_INNER(set_tuple, l->slot);

	if (!exact)
		return -1;
	for (int i = 0; i < TUPLE_WORDS; i++)
		if (i < l->count)
			key.word[i] = (s->key[l->word[i] & (KEY_MAX - 1)] & l->wmask[i]) >> (l->wshift[i] & 31);
	return bpf_map_lookup_elem(exact, &key) ? 1 : 0;
}

/* 1 in the set, 0 not, -1 the set is not loaded */
static __always_inline int sets_find(const struct scratch *s, const struct lookup *l)
{
	__u32 at = l->word[0] & (KEY_MAX / 2 - 1); /* addresses and MACs are in the first half of the key */
	__u32 quad[4] = {};

	switch (l->kind) {
	case LOOKUP_WORD:
		return sets_find_word(l->slot, (s->key[l->word[0] & (KEY_MAX - 1)] & l->mask) >> (l->shift & 31));
	case LOOKUP_ADDR:
		if (s->key[KEY_FAMILY] == 4)
			return sets_find_word(l->slot, s->key[at]);
		if (s->key[KEY_FAMILY] != 6)
			return 0;
		quad[2] = s->key[at + 2];
		quad[3] = s->key[at + 3];
		/* fall through */
	case LOOKUP_MAC:
		quad[0] = s->key[at];
		quad[1] = s->key[at + 1];
		return sets_find_quad(l->slot, quad);
	case LOOKUP_TUPLE:
		return sets_find_tuple(s, l);
	}
	return -1;
}

/* bpf_loop callback: lookup number i of the packet's filter. */
static long sets_find_step(__u32 i, void *unused)
{
	__u32 zero = 0, half;
	const struct tables_head *t;
	struct scratch *s;
	int found;

	(void)unused;
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 1;
	half = s->half;
	t = bpf_map_lookup_elem(&tables, &half);
	if (!t)
		return 1;
	found = sets_find(s, &t->lookup[(t->filter[s->filter & (FILTERS_MAX - 1)].lookups + i) & (LOOKUPS_MAX - 1)]);
	if (found < 0) {
		s->done = 1;
		s->reason = REASON_SET_MISSING;
		return 1;
	}
	if (found)
		s->key[KEY_SETS0 + (i >> 5 & 1)] |= 1u << (i & 31);
	return 0;
}

static __always_inline void sets_find_all(const struct filter_head *filter)
{
	__u32 n = filter->n_lookups;

	if (n)
		bpf_loop(n < LOOKUPS_PER_FILTER ? n : LOOKUPS_PER_FILTER, sets_find_step, NULL, 0);
}
