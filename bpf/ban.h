/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packet's source goes into a set (abi.h: struct ban), from the next packet on.
 *
 * An element that is there gets its time anew, in place. A new one needs a line of the set's ring, which are handed out in
 * turn: one whose element has expired, or was deleted by the command, is free. With one timeout the next line is the
 * oldest, so that the first look decides; with several the turn comes round.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "counters.h"

#define BAN_LOOKS 4 /* lines that one packet looks at */

enum ban_what {
	BAN_RENEW,   /* 1: the element is there, and has its time anew; 0: it is not */
	BAN_RECLAIM, /* 1: it is not there any more, or not this line's; 0: it lives on */
	BAN_INSERT,  /* 1: it is there now; 0: there is no room */
};

static __always_inline __u64 ban_now(void)
{
	return cfg.trace ? trace.boot_ns : bpf_ktime_get_boot_ns();
}

static __always_inline int ban_renew(struct set_value *value, const struct ban_line *line, __u64 timeout_ns)
{
	if (!value || value->prefix_len != line->prefix_len)
		return 0;
	value->timeout_ns = timeout_ns;
	value->expires_ns = line->expires_ns;
	return 1;
}

/* Does the line still speak for a living element? Takes note of when that one dies. */
static __always_inline bool ban_lives(const struct set_value *value, struct ban_line *line, __u32 number, __u64 now)
{
	if (!value || value->prefix_len != line->prefix_len || value->ring != number)
		return false;
	line->expires_ns = value->expires_ns ?: ~0ull;
	return line->expires_ns > now;
}

/* -1: the set is not there. arg: timeout of a renewed or new element; of one to reclaim: now */
#define BAN_ON(outer, key)                                                                                             \
	({                                                                                                             \
		void *map_ = SET_INNER(outer, slot);                                                                   \
		struct set_value *value_, anew_ = { .expires_ns = line->expires_ns,                                    \
						    .timeout_ns = arg,                                                 \
						    .prefix_len = line->prefix_len,                                    \
						    .ring = number };                                                  \
		if (!map_)                                                                                             \
			return -1;                                                                                     \
		if (what == BAN_INSERT)                                                                                \
			return !bpf_map_update_elem(map_, &(key), &anew_, BPF_ANY);                                    \
		value_ = bpf_map_lookup_elem(map_, &(key));                                                            \
		if (what == BAN_RENEW)                                                                                 \
			return ban_renew(value_, line, arg);                                                           \
		if (ban_lives(value_, line, number, arg))                                                              \
			return 0;                                                                                      \
		if (value_ && value_->ring == number)                                                                  \
			bpf_map_delete_elem(map_, &(key));                                                             \
		return 1;                                                                                              \
	})

/* One thing with the element that a line says: a function of its own, and global, so that it is verified once. */
__weak __noinline int ban_element(struct ban_line *line, __u32 slot, __u32 number, __u32 what, __u64 arg)
{
	struct set_word_trie_key word_prefix = {};
	struct set_quad_lpm_key quad_prefix;
	struct set_word_key word;
	struct set_quad_key quad;

	if (!line)
		return -1;
	switch (line->map) {
	case SET_WORD:
		word.word = line->word[0];
		BAN_ON(set_word, word);
	case SET_WORD_LPM:
		word_prefix.prefix_len = line->prefix_len;
		word_prefix.word_be = bpf_htonl(line->word[0]);
		BAN_ON(set_word_lpm, word_prefix);
	case SET_QUAD:
		for (int i = 0; i < 4; i++)
			quad.word[i] = line->word[i];
		BAN_ON(set_quad, quad);
	case SET_QUAD_LPM:
		quad_prefix.prefix_len = line->prefix_len;
		for (int i = 0; i < 4; i++)
			quad_prefix.word_be[i] = bpf_htonl(line->word[i]);
		BAN_ON(set_quad_lpm, quad_prefix);
	}
	return -1;
}

/* A line for the element: taken from one that is dead. false: those that it is the turn of are all alive. */
static __always_inline bool ban_insert(struct ban_line *line, const struct ban *ban, __u64 now)
{
	__u32 slot = ban->slot & (SET_SLOTS - 1), zero = 0;
	void *ring = SET_INNER(set_ring, slot);
	struct ban_line *head, *old;

	if (!ring || !ban->lines)
		return false;
	head = bpf_map_lookup_elem(ring, &zero);
	if (!head)
		return false;
#pragma clang loop unroll(disable)
	for (__u32 look = 0; look < BAN_LOOKS; look++) {
		__u32 number = __sync_fetch_and_add(&head->expires_ns, 1) % ban->lines + 1;

		old = bpf_map_lookup_elem(ring, &number);
		if (!old)
			return false;
		if (old->expires_ns > now ||
		    (old->expires_ns && ban_element(old, slot, number, BAN_RECLAIM, now) == 0))
			continue;
		*old = *line;
		return ban_element(line, slot, number, BAN_INSERT, ban->timeout_ns) > 0;
	}
	return false;
}

/* false: the packet has no source, since it is not IP. */
static __always_inline bool ban_line_of(const struct scratch *s, const struct ban *ban, struct ban_line *line)
{
	__u32 family = s->key[KEY_FAMILY] == 6;

	if (!family && s->key[KEY_FAMILY] != 4)
		return false;
	for (__u32 i = 0; i < 4; i++)
		line->word[i] = s->key[KEY_SADDR0 + i] & ban->mask[family][i];
	line->prefix_len = family ? ban->prefix6 : ban->prefix4;
	line->map = (family ? SET_QUAD : SET_WORD) + !!line->prefix_len;
	return true;
}

/* What ban `number` says. A function of its own, and global, for the same reasons as event_log(). */
__weak __noinline int ban_source(__u32 number)
{
	struct ban_line line;
	const struct ban *ban;
	struct scratch *s;
	const void *half;
	__u64 now;

	if (!packet_memory(&s, &half))
		return 0;
	ban = &((const struct tables_head *)half)->ban[number & (BANS_MAX - 1)];
	if ((cfg.trace && !trace.bans) || !ban_line_of(s, ban, &line))
		return 0;
	now = ban_now();
	line.expires_ns = now + ban->timeout_ns;
	if (ban_element(&line, ban->slot, 0, BAN_RENEW, ban->timeout_ns) <= 0 && !ban_insert(&line, ban, now))
		counter_add(s, COUNTER_BANS_FULL);
	return 0;
}
