/* SPDX-License-Identifier: GPL-2.0 */
/*
 * `fragments track`: later fragments get what their first one got. docs/decisions/0014-fragments-track.md says which are
 * refused, and why.
 *
 * A datagram has one lane of one bucket, and a bucket has a lock: to look for it, to add to it and to make room are one
 * step. A first fragment takes its lane before the rules judge it, so that one that is refused counts and makes nothing;
 * their verdict is noted behind them.
 */
#pragma once

#include "packet.h"

#define FRAGMENT_BYTES_MOST 65535 /* of an IPv4 datagram, of an IPv6 payload */
#define IPV6_FRAGMENT_BYTES 48    /* the IPv6 header, which its length does not count, and the fragment header */

static __always_inline struct datagram_bucket *datagram_bucket(__u32 number)
{
	__u64 key = array_key(number & cfg.datagram_mask);

	return bpf_map_lookup_elem(&datagrams, &key);
}

static __always_inline __u64 datagram_hash(const struct datagram *d)
{
	__u64 secret = cfg.seed, hash = secret;

#pragma clang loop unroll(disable)
	for (int i = 0; i < DATAGRAM_KEY; i++)
		hash = secret_hash(hash, &secret, d->key[i]);
	return node_mix(hash);
}

static __always_inline bool datagram_same(const struct datagram *a, const struct datagram *b)
{
	__u32 differ = 0;

	for (int i = 0; i < DATAGRAM_KEY; i++)
		differ |= a->key[i] ^ b->key[i];
	return !differ;
}

/* Which datagram, and which part of it. */
static __always_inline void fragment_read(struct scratch *s)
{
	bool ipv6 = s->key[KEY_FAMILY] == 6;
	__u32 field = s->key[KEY_FRAG], bytes = s->end - s->fragment_at;
	__u32 at = ipv6 ? field & 0xfff8 : (field & 0x1fff) << 3;
	__u32 more = ipv6 ? field & 1 : field >> 13 & 1;
	__u32 whole = s->end - s->ip + at - (ipv6 ? IPV6_FRAGMENT_BYTES : 0);

	for (int i = 0; i < 8; i++)
		s->datagram.key[i] = s->key[KEY_SADDR0 + i];
	s->datagram.key[8] = s->fragment_id;
	s->datagram.key[9] = s->ifindex;
	/* IPv6 knows a datagram without a protocol (RFC 8200, 4.5): the headers of two fragments may name two. */
	s->datagram.key[10] = s->hook << 8 | (ipv6 ? DATAGRAM_IPV6 : s->key[KEY_NEXTHDR]);
	s->fragment_from = at >> 3;
	s->fragment_to = (at + bytes + 7) >> 3;
	s->fragment_last = !more;
	s->fragment_bad = !s->fragment_at || !bytes || (more && bytes & 7) || whole > FRAGMENT_BYTES_MOST;
}

/* The lane of the packet's datagram, or where it could be: first what is free, then what is of no more use. */
static __always_inline void datagram_find(struct scratch *s, const struct datagram_bucket *b)
{
	__u64 least = 0x80000000, room = DATAGRAM_LANES;

	s->datagram_lane = DATAGRAM_LANES;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < DATAGRAM_LANES; i++) {
		const struct datagram *d = &b->lane[i];
		__u32 left = b->expires[i] - s->now;

		least = forget(s, least, 0xffffffff);
		room = forget(s, room, 7);
		if (d->state == DATAGRAM_FREE || (__s32)left <= 0) {
			left = 0;
		} else if (datagram_same(d, &s->datagram)) {
			s->datagram_lane = i;
			break;
		} else if (d->state < DATAGRAM_COMPLETE) {
			continue;
		}
		if (left < least) {
			least = left;
			room = i;
		}
	}
	s->datagram_room = room;
}

/* The datagram in this lane is the packet's from now on. */
static __always_inline void datagram_begin(struct scratch *s, struct datagram_bucket *b, __u32 lane,
					   enum datagram_state state)
{
	struct datagram *d;

	if (lane >= DATAGRAM_LANES)
		return;
	d = &b->lane[lane];
	for (int i = 0; i < DATAGRAM_KEY; i++)
		d->key[i] = s->datagram.key[i];
	d->state = state;
	d->verdict = VERDICT_DROP;
	d->last = 0;
	for (int i = 1; i < DATAGRAM_PARTS; i++)
		d->part[i] = (struct datagram_part){ 0 };
	d->part[0] = (struct datagram_part){ 0, s->fragment_to };
	b->expires[lane] = s->now + DATAGRAM_TIMEOUT;
	b->redirect[lane] = 0;
	s->datagram_lane = lane;
	s->fragment_waits = state == DATAGRAM_WAITS;
}

/* Adds the packet's part. Parts do not overlap, so at most one ends where it begins, and one begins where it ends. */
static __always_inline enum reason datagram_add(struct scratch *s, struct datagram *d)
{
	__u64 from = s->fragment_from, to = s->fragment_to, overlaps = 0, most = 0;
	__u64 before = DATAGRAM_PARTS, behind = DATAGRAM_PARTS, place = DATAGRAM_PARTS;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < DATAGRAM_PARTS; i++) {
		__u64 begins = d->part[i].from, ends = d->part[i].to;

		overlaps = forget(s, overlaps, 1);
		most = forget(s, most, 0xffff);
		before = forget(s, before, 7);
		behind = forget(s, behind, 7);
		place = forget(s, place, 7);
		overlaps |= below(begins, to) & below(from, ends);
		if (ends > most)
			most = ends;
		if (!ends)
			place = i;
		else if (ends == from)
			before = i;
		else if (begins == to)
			behind = i;
	}
	if (overlaps || (s->fragment_last ? d->last || to < most : d->last && to > most))
		return REASON_FRAGMENT_OVERLAP;
	if (behind < DATAGRAM_PARTS) {
		to = d->part[behind].to;
		d->part[behind] = (struct datagram_part){ 0 };
		place = behind;
	}
	if (before < DATAGRAM_PARTS) {
		from = d->part[before].from;
		place = before;
	}
	if (place >= DATAGRAM_PARTS)
		return REASON_FRAGMENT_GAPS;
	d->part[place] = (struct datagram_part){ from, to };
	d->last |= s->fragment_last;
	if (d->last && from == 0 && to >= most)
		d->state = DATAGRAM_COMPLETE;
	return REASON_FRAGMENT;
}

/* A fragment of a datagram that is noted. REASON_RULE: the rules judge it. */
static __always_inline enum reason fragment_join(struct scratch *s, struct datagram_bucket *b, __u32 lane)
{
	struct datagram *d = &b->lane[lane];
	enum reason reason;

	if (d->state == DATAGRAM_DROPPED)
		return REASON_FRAGMENT;
	if (s->fragment_bad) {
		reason = REASON_BAD_FRAGMENT;
	} else if (s->fragment_from) {
		reason = d->state == DATAGRAM_WAITS ? REASON_FRAGMENT_EARLY : datagram_add(s, d);
	} else if (d->state == DATAGRAM_COMPLETE) {
		datagram_begin(s, b, lane, DATAGRAM_WAITS);
		return REASON_RULE;
	} else {
		reason = REASON_FRAGMENT_OVERLAP;
	}
	if (reason == REASON_FRAGMENT) {
		s->verdict = d->verdict;
		s->redirect = b->redirect[lane];
	} else if (d->state != DATAGRAM_COMPLETE) {
		d->state = DATAGRAM_DROPPED;
	}
	return reason;
}

/* The first fragment that came of a datagram. REASON_RULE: the rules judge it. */
static __always_inline enum reason fragment_first(struct scratch *s, struct datagram_bucket *b)
{
	enum reason reason = s->fragment_bad    ? REASON_BAD_FRAGMENT
			     : s->fragment_from ? REASON_FRAGMENT_EARLY
						: REASON_RULE;

	if (s->datagram_room < DATAGRAM_LANES)
		datagram_begin(s, b, s->datagram_room, reason == REASON_RULE ? DATAGRAM_WAITS : DATAGRAM_DROPPED);
	else if (reason == REASON_RULE)
		reason = REASON_FRAGMENTS_FULL;
	return reason;
}

/* A fragment, where later ones follow their first one. */
static __always_inline enum reason fragment_follow(struct scratch *s)
{
	struct datagram_bucket *b;
	enum reason reason;

	s->now = ticks_now(s);
	fragment_read(s);
	s->datagram_bucket = datagram_hash(&s->datagram) >> 32;
	b = datagram_bucket(s->datagram_bucket);
	if (!b)
		return REASON_TABLE;
	bpf_spin_lock(&b->lock);
	datagram_find(s, b);
	if (s->datagram_lane < DATAGRAM_LANES)
		reason = fragment_join(s, b, s->datagram_lane);
	else
		reason = fragment_first(s, b);
	bpf_spin_unlock(&b->lock);
	return reason;
}

/* The filter's policy for fragments. s->reason stays REASON_RULE: the rules judge it. Else s->verdict is what it gets. */
__weak __noinline int fragment_meet(void)
{
	const struct filter_head *filter;
	const struct tables_head *t;
	struct scratch *s;

	if (!packet_memory(&s, (const void **)&t))
		return 0;
	filter = &t->filter[s->filter & (FILTERS_MAX - 1)];
	if (filter->fragments_judged)
		return 0;
	s->reason = REASON_FRAGMENT;
	s->verdict = filter->fragments;
	if (cfg.features & FEATURE_FRAGMENTS && filter->flags & FILTER_FOLLOWS)
		s->reason = fragment_follow(s);
	return 0;
}

/* Notes what the first fragment got. 0: meanwhile its datagram was dropped, by a fragment on another CPU. */
__weak __noinline int fragment_note(void)
{
	struct datagram_bucket *b;
	const void *half;
	struct scratch *s;
	struct datagram *d;
	__u32 lane;
	int noted = 0;

	if (!packet_memory(&s, &half))
		return 0;
	b = datagram_bucket(s->datagram_bucket);
	lane = s->datagram_lane;
	if (!b || lane >= DATAGRAM_LANES)
		return 0;
	d = &b->lane[lane];
	bpf_spin_lock(&b->lock);
	if (d->state == DATAGRAM_WAITS && datagram_same(d, &s->datagram)) {
		d->state = s->verdict == VERDICT_ACCEPT || s->verdict == VERDICT_REDIRECT ? DATAGRAM_OPEN
											  : DATAGRAM_DROPPED;
		d->verdict = s->verdict;
		b->redirect[lane] = s->redirect;
		noted = 1;
	}
	bpf_spin_unlock(&b->lock);
	return noted;
}
