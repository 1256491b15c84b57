/* SPDX-License-Identifier: GPL-2.0 */
/* What the guards' tables say: is an address guarded, by which guard, and which of its rules name somebody. */
#pragma once

#include <linux/in.h>

#include "maps.h"

#define GUARD_NO_PORT 0x10000u /* what is sent has no ports, or nobody can tell */

static __always_inline bool guard_has_ports(__u32 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_DCCP ||
	       proto == IPPROTO_UDPLITE || proto == IPPROTO_MPTCP;
}

static __always_inline const struct guard_tables *guard_half(__u64 generation)
{
	__u64 half = array_key(generation & 1);

	return bpf_map_lookup_elem(&guards, &half);
}

/* The half that counts now; NULL: nothing is guarded. */
static __always_inline const struct guard_tables *guard_now(__u64 *generation)
{
	__u64 zero = 0;
	const struct control *word = bpf_map_lookup_elem(&control, &zero);

	if (!word)
		return NULL;
	*generation = *(volatile __u64 *)&word->generation;
	return *generation ? guard_half(*generation) : NULL;
}

/* first: the first 16 bits of an address. */
static __always_inline bool guard_near(const struct guard_tables *t, const bool ipv6, __u64 first)
{
	__u64 word = first / 64;

	barrier_var(word); /* Verifier: 6.1 forgets what two bytes can be. */
	return t->near[ipv6][word & (GUARD_NEAR_WORDS - 1)] >> (first % 64) & 1;
}

static __always_inline const struct guard *guard_of(const struct guard_tables *t, const struct guard_case *c)
{
	return &t->guard[c->guard & (GUARDS_MAX - 1)];
}

/* false: an index led outside the tables, and there is nobody to ask. */
static __always_inline bool guard_is_there(const struct guard_tables *t, const struct guard_case *c)
{
	return c->guard < t->n_guards && c->guard < GUARDS_MAX;
}

static __always_inline bool guard_endpoint_is(const struct guard_endpoint *e, const struct guard_case *c)
{
	__u32 differ = e->family ^ c->family;

	for (int i = 0; i < 4; i++)
		differ |= (c->addr[i] & e->mask[i]) ^ e->addr[i];
	return !differ && (!e->port || c->port == GUARD_NO_PORT || c->port == e->port);
}

/* 1: it goes to an endpoint, and the case says to which. */
__weak __noinline int guard_find(struct guard_case *c)
{
	const struct guard_tables *t;

	if (!c)
		return 0;
	t = guard_half(c->generation);
	if (!t)
		return 0;
	for (__u32 i = 0; i < GUARD_ENDPOINTS_MAX; i++) {
		const struct guard_endpoint *e = &t->endpoint[i];

		if (i >= t->n_endpoints)
			return 0;
		if (guard_endpoint_is(e, c)) {
			c->endpoint = i;
			c->guard = e->guard;
			return 1;
		}
	}
	return 0;
}

/* The rules of a guard that name this one: a function of its own, since callers ask it at each round of their loops. */
__weak __noinline __u64 guard_rules_of(__u64 generation, __u32 guard, __u64 id, __u32 who)
{
	const struct guard_tables *t = guard_half(generation);
	__u32 place;

	if (!t)
		return 0;
	place = guard_principal_place(id, guard, who, t->seed);
	for (__u32 i = 0; i < GUARD_PRINCIPAL_LOOKS; i++) {
		const struct guard_principal *p = &t->principal[(place + i) & (GUARD_PRINCIPALS - 1)];

		if (p->id == id && p->guard == guard && p->who == who)
			return p->rules;
	}
	return 0;
}

/* Number of the lowest rule of a mask, which is not 0. */
static __always_inline __u32 guard_first_rule(__u64 rules)
{
	return prefix_count((rules & -rules) - 1);
}
