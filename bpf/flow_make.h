/* SPDX-License-Identifier: GPL-2.0 */
/*
 * New flows: a line for each, if there is one, and who makes room.
 *
 * Nothing is locked. A line is claimed by one compare-and-swap of its word, filled, and published by one more; all else are
 * single stores of what the packets of one flow know. Two packets of a flow on two CPUs may each make a line: the first one
 * in the order of the lookup is the flow, the other one expires. A packet that found its flow just before another one took
 * the line writes to that: only flows that make room are taken, and what it writes is a time and numbers of TCP.
 */
#pragma once

#include "counters.h"
#include "flow_tcp.h"

#define FLOW_WORD_MORE (1ull << 60)
#define FLOW_MORE_MOST 15u
#define FLOW_TRIES     4

/* Adds to the count of flows of a home line that are elsewhere. At its highest it stays. */
static __always_inline bool flow_more(struct flow *home, __u64 delta)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < FLOW_TRIES; i++) {
		__u64 word = flow_word(home);

		if (word >> 60 == FLOW_MORE_MOST)
			return true;
		if (__sync_val_compare_and_swap((__u64 *)home, word, word + delta) == word)
			return true;
	}
	return false;
}

/* The line's flow is over: its home line need not be left for it any more. */
static __always_inline void flow_unlink(__u64 at, __u64 word)
{
	__u64 home = (at & ~(FLOW_BUCKET - 1ull)) | (word >> 56 & (FLOW_BUCKET - 1));
	struct flow *line;

	if (!(__u8)(word >> 32) || home == at)
		return;
	line = flow_line(home);
	if (line && line->home_more >> 4)
		flow_more(line, -FLOW_WORD_MORE);
}

/* Fills a line that was seen to hold `word`. false: somebody else was faster. */
static __always_inline bool flow_fill(struct scratch *s, const struct flow_settings *settings, __u64 at, __u64 word)
{
	__u32 state = s->flow_make, proto = s->id.proto, lane = s->flow_home & (FLOW_BUCKET - 1);
	__u32 flags = s->id.ipv6 | (state == FLOW_ESTABLISHED ? FLOW_LIBERAL | FLOW_ASSURED : 0) |
		      (s->cookie ? FLOW_REPLIED : 0);
	__u32 timeout =
		state == FLOW_OTHER ? flow_timeout_other(proto, false) : FLOW_TIMEOUT_TCP + state - FLOW_SYN_SENT;
	struct flow *flow = flow_line(at), *home = flow_line(s->flow_home);
	__u64 claim;

	if (!flow || !home || timeout >= FLOW_TIMEOUT_MAX)
		return false;
	claim = (word & (__u64)FLOW_MORE_MOST << 60) | (__u64)lane << 56 | (__u64)flags << 48 | (__u64)proto << 40 |
		(__u64)FLOW_BUSY << 32 | (__u32)(s->now + settings->timeout[timeout]);
	if (__sync_val_compare_and_swap((__u64 *)flow, word, claim) != word)
		return false;
	flow_unlink(at, word);
	if (at != s->flow_home && !flow_more(home, FLOW_WORD_MORE)) {
		/* Nobody would find it. */
		flow->state = FLOW_FREE;
		return false;
	}
	for (int i = 0; i < 4; i++) {
		flow->addr[0][i] = s->id.addr[0][i];
		flow->addr[1][i] = s->id.addr[1][i];
	}
	flow->ports = s->id.ports;
	*(__u64 *)flow->end = 0;
	*(__u64 *)flow->max_end = 0;
	flow->window[0] = 0;
	flow->window[1] = 0;
	flow->scale[0] = FLOW_NO_SCALE;
	flow->scale[1] = FLOW_NO_SCALE;
	if (state == FLOW_SYN_SENT)
		tcp_open(s, flow, FLOW_ORIGINAL, true);
	else if (state == FLOW_ESTABLISHED)
		tcp_note(s, flow);
	__sync_fetch_and_xor((__u64 *)flow, (__u64)(FLOW_BUSY ^ state) << 32);
	return true;
}

/*
 * How much a flow has to stay, the least first: what is closed, what nobody has answered, what is not assured; among these, what
 * was quiet for longest. FLOW_STAYS: it makes room for nobody.
 */
#define FLOW_STAYS 0xffffffffull
#define FLOW_QUIET 0x3fffffffull

static __always_inline __u64 flow_rank(const struct flow_settings *settings, __u64 word, __u64 left)
{
	__u32 state = word >> 32 & 0xff, flags = word >> 48 & 0xff, timeout;
	bool closed = state >= FLOW_LAST_ACK && state <= FLOW_CLOSE;
	__u64 quiet;

	if (state == FLOW_BUSY || (flags & FLOW_ASSURED && !closed))
		return FLOW_STAYS;
	timeout = state == FLOW_OTHER ? flow_timeout_other(word >> 40 & 0xff, flags & FLOW_REPLIED)
				      : FLOW_TIMEOUT_TCP + state - FLOW_SYN_SENT;
	if (timeout >= FLOW_TIMEOUT_MAX)
		return FLOW_STAYS;
	quiet = settings->timeout[timeout] - left;
	if (quiet > FLOW_QUIET)
		quiet = 0;
	return (closed ? 0 : flags & FLOW_REPLIED ? 2ull : 1ull) << 30 | (FLOW_QUIET - quiet);
}

/*
 * The line for a new flow: the first free one in the order of the lookup, else that of the flow that makes room, else
 * FLOW_NONE. s->flow_evicts says which. A function of its own, so that it is verified once.
 */
__weak __noinline __u32 flow_pick(void)
{
	const struct flow_settings *settings;
	__u64 victim = FLOW_NONE, least = FLOW_STAYS;
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return FLOW_NONE;
	settings = &((const struct tables_head *)half)->flows;
	s->flow_evicts = 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FLOW_BUCKET; i++) {
		__u64 at = (s->flow_home & ~(FLOW_BUCKET - 1ull)) | ((s->flow_home + i) & (FLOW_BUCKET - 1));
		struct flow *flow = flow_line(at);
		__u64 word, left, rank;

		least = forget(s, least, RULE_NONE);
		victim = forget(s, victim, RULE_NONE);
		if (!flow)
			break;
		word = flow_word(flow);
		left = (word - s->now) & 0xffffffff;
		if ((word >> 32 & 0xff) == FLOW_FREE || left - 1 >= 0x7fffffff)
			return at;
		rank = flow_rank(settings, word, left);
		if (rank < least) {
			least = rank;
			victim = at;
		}
	}
	s->flow_evicts = 1;
	return victim;
}

/* Makes the flow that s->flow_make asks for. 0: there is no room. */
__weak __noinline int flow_make(void)
{
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < FLOW_TRIES; i++) {
		__u32 at = s->flow != FLOW_NONE ? s->flow : flow_pick();
		struct flow *flow = flow_line(at);

		if (at == FLOW_NONE || !flow)
			return 0;
		if (flow_fill(s, &((const struct tables_head *)half)->flows, at, flow_word(flow))) {
			if (s->flow == FLOW_NONE && s->flow_evicts)
				counter_add(s, COUNTER_FLOWS_EVICTED);
			return 1;
		}
	}
	return 0;
}
