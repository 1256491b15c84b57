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

/* -1: the set is not there. */
#define BAN_ON(outer)                                                                                                  \
	({                                                                                                             \
		void *map_ = SET_INNER(outer, slot);                                                                   \
		struct set_value *value_;                                                                              \
		if (!map_)                                                                                             \
			return -1;                                                                                     \
		if (what == BAN_INSERT)                                                                                \
			return !bpf_map_update_elem(map_, s->ban_key, &s->ban_value, BPF_ANY);                         \
		value_ = bpf_map_lookup_elem(map_, s->ban_key);                                                        \
		if (what == BAN_RENEW)                                                                                 \
			return ban_renew(value_, line, s->ban_value.timeout_ns);                                       \
		if (ban_lives(value_, line, number, now))                                                              \
			return 0;                                                                                      \
		if (value_ && value_->ring == number)                                                                  \
			bpf_map_delete_elem(map_, s->ban_key);                                                         \
		return 1;                                                                                              \
	})

/*
 * One thing with the element that a line says. A function of its own, and global, so that it is verified once; keys and
 * values are in the scratch map, since the frames of all calls from the program to here share 512 bytes.
 */
__weak __noinline int ban_element(struct ban_line *line, __u32 slot, __u32 number, __u32 what, __u64 now)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!line || !s)
		return -1;
	switch (line->map) {
	case SET_WORD:
		s->ban_key[0] = line->word[0];
		BAN_ON(set_word);
	case SET_WORD_LPM:
		s->ban_key[0] = line->prefix_len;
		s->ban_key[1] = bpf_htonl(line->word[0]);
		s->ban_key[2] = 0;
		BAN_ON(set_word_lpm);
	case SET_QUAD:
		for (int i = 0; i < 4; i++)
			s->ban_key[i] = line->word[i];
		BAN_ON(set_quad);
	case SET_QUAD_LPM:
		s->ban_key[0] = line->prefix_len;
		for (int i = 0; i < 4; i++)
			s->ban_key[1 + i] = bpf_htonl(line->word[i]);
		BAN_ON(set_quad_lpm);
	}
	return -1;
}

/* A line for the element: taken from one that is dead. false: those that it is the turn of are all alive. */
static __always_inline bool ban_insert(struct scratch *s, const struct ban *ban, __u64 now)
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
		if (old->expires_ns > now || (old->expires_ns && ban_element(old, slot, number, BAN_RECLAIM, now) == 0))
			continue;
		*old = s->ban;
		s->ban_value.ring = number;
		return ban_element(&s->ban, slot, number, BAN_INSERT, now) > 0;
	}
	return false;
}

/* The packet's source as an element. false: there is none, since the packet is not IP. */
static __always_inline bool ban_begin(struct scratch *s, const struct ban *ban, __u64 now)
{
	__u32 family = s->key[KEY_FAMILY] == 6;
	struct ban_line *line = &s->ban;

	if (!family && s->key[KEY_FAMILY] != 4)
		return false;
	for (__u32 i = 0; i < 4; i++)
		line->word[i] = s->key[KEY_SADDR0 + i] & ban->mask[family][i];
	line->prefix_len = family ? ban->prefix6 : ban->prefix4;
	line->map = (family ? SET_QUAD : SET_WORD) + !!line->prefix_len;
	line->expires_ns = now + ban->timeout_ns;
	s->ban_value = (struct set_value){ .expires_ns = line->expires_ns,
					   .timeout_ns = ban->timeout_ns,
					   .prefix_len = line->prefix_len };
	return true;
}

/* What ban `number` says. A function of its own, and global, for the same reasons as event_log(). */
__weak __noinline int ban_source(__u32 number)
{
	const struct ban *ban;
	struct scratch *s;
	const void *half;
	__u64 now;

	if (!packet_memory(&s, &half) || (cfg.trace && !trace.bans))
		return 0;
	ban = &((const struct tables_head *)half)->ban[number & (BANS_MAX - 1)];
	now = cfg.trace ? trace.boot_ns : bpf_ktime_get_boot_ns();
	if (!ban_begin(s, ban, now))
		return 0;
	if (ban_element(&s->ban, ban->slot, 0, BAN_RENEW, now) <= 0 && !ban_insert(s, ban, now))
		counter_add(s, COUNTER_BANS_FULL);
	return 0;
}
