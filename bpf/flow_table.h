/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table: a packet's flow in it, and how long that stays. */
#pragma once

#include "maps.h"

#define FLOW_NONE 0xffffffffu

static __always_inline struct flow *flow_line(__u64 number)
{
	__u64 key = array_key(number & cfg.flow_mask);

	return bpf_map_lookup_elem(&flows, &key);
}

static __always_inline __u64 flow_word(const struct flow *flow)
{
	return *(const volatile __u64 *)flow;
}

#define FLOW_HIT_ORIGINAL 1u
#define FLOW_HIT_REPLY    2u

#define WORDS_IPV4 1
#define WORDS_ANY  4

/*
 * Is the flow the one of the packet? FLOW_HIT_* or 0, without branches: few paths for the verifier. `words`: of an
 * address that are looked at. One is enough if the packet is IPv4: the others are 0 in both then.
 */
static __always_inline __u64 flow_hit(const struct scratch *s, const struct flow *flow, const int words)
{
	__u64 word = flow_word(flow), ports = s->id.ports, same, other, differ;

	differ = ((word >> 40 & 0xff) ^ s->id.proto) | ((word >> 48 & FLOW_IPV6) ^ s->id.ipv6);
	differ |= below(word >> 32 & 0xff, FLOW_BUSY + 1);                 /* free, or not yet there */
	differ |= (((word & 0xffffffff) - s->now - 1) & 0xffffffff) >> 31; /* gone */
	barrier_var(differ);
	same = differ | (flow->ports ^ ports);
	other = differ | (flow->ports ^ ((ports << 16 & 0xffff0000) | ports >> 16));
	for (int i = 0; i < words; i++) {
		same |= (flow->addr[0][i] ^ s->id.addr[0][i]) | (flow->addr[1][i] ^ s->id.addr[1][i]);
		other |= (flow->addr[0][i] ^ s->id.addr[1][i]) | (flow->addr[1][i] ^ s->id.addr[0][i]);
		barrier_var(same);
		barrier_var(other);
	}
	return below(same, 1) * FLOW_HIT_ORIGINAL | below(other, 1) * FLOW_HIT_REPLY;
}

/* flow_hash(), which is much shorter for IPv4: most of what it folds is 0 then. */
static __always_inline __u64 flow_number(const struct scratch *s)
{
	struct flow_id id = { .ports = s->id.ports, .proto = s->id.proto };

	if (s->id.ipv6)
		return flow_hash(&s->id, cfg.seed) >> 32;
	id.addr[0][0] = s->id.addr[0][0];
	id.addr[1][0] = s->id.addr[1][0];
	return flow_hash(&id, cfg.seed) >> 32;
}

/* Leaves the flow's line, or FLOW_NONE, and the direction in s. */
static __always_inline struct flow *flow_find(struct scratch *s)
{
	__u64 home = flow_number(s), hit;
	struct flow *flow = flow_line(home);
	__u32 i = 0;

	s->flow_home = home & cfg.flow_mask;
	s->flow = FLOW_NONE;
	if (!flow)
		return NULL;
	hit = s->id.ipv6 ? flow_hit(s, flow, WORDS_ANY) : flow_hit(s, flow, WORDS_IPV4);
	if (!hit && flow->home_more >> 4) {
#pragma clang loop unroll(disable)
		for (i = 1; i < FLOW_BUCKET; i++) {
			home = (s->flow_home & ~(FLOW_BUCKET - 1u)) | ((s->flow_home + i) & (FLOW_BUCKET - 1));
			flow = flow_line(home);
			if (!flow)
				return NULL;
			hit = flow_hit(s, flow, WORDS_ANY);
			if (hit)
				break;
		}
	}
	if (!hit)
		return NULL;
	s->flow = home & cfg.flow_mask;
	s->reply = !(hit & FLOW_HIT_ORIGINAL);
	return flow;
}

static __always_inline void flow_extend(struct flow *flow, const struct flow_settings *settings, __u32 now,
					__u32 timeout)
{
	__u32 expires;

	if (timeout >= FLOW_TIMEOUT_MAX)
		return;
	expires = now + settings->timeout[timeout];
	if (flow->expires != expires) /* most packets come in the same tick: a line that is not written stays shared */
		flow->expires = expires;
}

static __always_inline __u32 flow_timeout_other(__u32 proto, bool replied)
{
	switch (proto) {
	case IPPROTO_UDP:
		return FLOW_TIMEOUT_UDP + replied;
	case IPPROTO_SCTP:
		return FLOW_TIMEOUT_SCTP + replied;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return FLOW_TIMEOUT_ICMP + replied;
	}
	return FLOW_TIMEOUT_OTHER + replied;
}

static __always_inline void flow_flag(struct flow *flow, __u8 flags)
{
	if ((flow->flags & flags) != flags)
		flow->flags |= flags;
}
