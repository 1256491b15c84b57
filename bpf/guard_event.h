/* SPDX-License-Identifier: GPL-2.0 */
/* The one way out of a guard: an outcome is counted, and told to people as often as their identity may be. */
#pragma once

#include "guard_table.h"

#define GUARD_EVENT_COST  (1000000000ull / GUARD_EVENTS_PER_SECOND)
#define GUARD_EVENT_AHEAD (GUARD_EVENTS_BURST * GUARD_EVENT_COST)
#define GUARD_RETRIES     8

static __always_inline bool guard_denies(__u32 outcome)
{
	return GUARD_DENIALS >> (outcome & 31) & 1;
}

/* Atomic, although counters are a CPU's own: calls of processes interrupt each other. */
static __always_inline void guard_count(__u32 number, __u32 bytes)
{
	__u64 key = array_key(number);
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		return;
	__sync_fetch_and_add(&counter->packets, 1);
	__sync_fetch_and_add(&counter->bytes, bytes);
}

static __always_inline struct guard_rate *guard_rate_make(const struct guard_rate_key *key)
{
	const struct guard_rate unused = { 0 };

	bpf_map_update_elem(&guard_rates, key, &unused, BPF_NOEXIST);
	return bpf_map_lookup_elem(&guard_rates, key);
}

/* The others' entry is made before any that could take its room. */
static __always_inline struct guard_rate *guard_rate_of(const struct guard_case *c)
{
	struct guard_rate_key key = { .uid = c->identity, .guard = c->guard, .denied = guard_denies(c->outcome) };
	const struct guard_rate_key others = { .uid = GUARD_RATE_OTHERS };
	struct guard_rate *rate = bpf_map_lookup_elem(&guard_rates, &key), *theirs;

	if (rate)
		return rate;
	theirs = guard_rate_make(&others);
	rate = guard_rate_make(&key);
	return rate ? rate : theirs;
}

static __always_inline bool guard_rate_pay(struct guard_rate *rate)
{
	__u64 now = bpf_ktime_get_ns();

	for (int i = 0; i < GUARD_RETRIES; i++) {
		__u64 paid = *(volatile __u64 *)&rate->paid_ns;
		__u64 next = (paid > now ? paid : now) + GUARD_EVENT_COST;

		if (next > now + GUARD_EVENT_AHEAD)
			return false;
		if (__sync_val_compare_and_swap(&rate->paid_ns, paid, next) == paid)
			return true;
	}
	return false;
}

static __always_inline void guard_rate_lose(struct guard_rate *rate, __u64 untold)
{
	if (rate) {
		__sync_fetch_and_add(&rate->untold, untold);
		__sync_fetch_and_add(&rate->lost, 1);
	}
	guard_count(COUNTER_GUARD_LOST, 0);
}

/* There was no room in the ring for what guard_settle() allowed. */
__weak __noinline int guard_lose(struct guard_case *c)
{
	if (c)
		guard_rate_lose(guard_rate_of(c), c->untold + 1);
	return 0;
}

static __always_inline bool guard_audits(const struct guard *guard, __u32 outcome)
{
	return guard->audit == GUARD_AUDIT_ALL || (guard->audit == GUARD_AUDIT_DENIED && guard_denies(outcome));
}

/* Counts the outcome. 1: it is to be told, and the case says what was not before it. */
__weak __noinline int guard_settle(struct guard_case *c)
{
	const struct guard_tables *t;
	const struct guard *guard;
	struct guard_rate *rate;

	if (!c)
		return 0;
	t = guard_half(c->generation);
	if (!t)
		return 0;
	guard = guard_of(t, c);
	if (guard->counters >= COUNTERS_RESERVED)
		guard_count(guard->counters + c->layer * GUARD_OUTCOME_MAX + c->outcome, c->bytes);
	if (c->quiet || !guard_audits(guard, c->outcome))
		return 0;
	rate = guard_rate_of(c);
	if (!rate || !guard_rate_pay(rate)) {
		guard_rate_lose(rate, 1);
		return 0;
	}
	c->untold = __sync_lock_test_and_set(&rate->untold, 0);
	return 1;
}

/* Verifier: a place in the ring cannot be handed to a function, so both layers fill this part in line. */
static __always_inline void guard_event_begin(struct guard_event *e, const struct guard_case *c)
{
	__u64 *word = (__u64 *)e;

	for (__u32 i = 0; i < sizeof(*e) / 8; i++) {
		word[i] = 0;
		barrier(); /* clang: else a call of memset, which there is none */
	}
	e->kind = EVENT_GUARD;
	e->guard = c->guard;
	e->time_ns = bpf_ktime_get_ns();
	e->generation = c->generation;
	e->untold = c->untold;
	e->layer = c->layer;
	e->outcome = c->outcome;
	e->family = c->family;
	e->rule = c->rule;
	e->dport = c->port == GUARD_NO_PORT ? 0 : c->port;
	for (int i = 0; i < 4; i++)
		e->daddr[i] = c->addr[i];
}
