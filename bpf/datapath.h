/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The whole story of a packet: which generation, which filter, parse, judge, settle.
 *
 * An entry file picks its hook (hook_xdp.h or hook_tc.h) before it includes this. Later: balance and
 * rewrite come between judge and settle.
 */
#pragma once

#ifndef HOOK_PICKED
#error "include hook_xdp.h or hook_tc.h first"
#endif

#include "filter.h"

/* Fresh working memory for this packet. */
static __always_inline void datapath_begin(struct hook_ctx *ctx, struct scratch *s, const enum hook hook)
{
	__builtin_memset(s->key, 0, sizeof(__u32) * KEY_WORDS);
	s->key[KEY_PROTO] = PROTO_NONE;
	s->key[KEY_L4] = PROTO_NONE;
	s->hook = hook;
	s->done = 0;
	s->steps = 0;
	s->verdict = VERDICT_DROP;
	s->reason = REASON_TABLE;
	s->rule = RULE_NONE;
	s->node = 0;
	s->redirect = 0;
	if (cfg.features & FEATURE_FLOWS)
		s->flow_make = 0;
	if (cfg.features & FEATURE_SYNPROXY)
		s->cookie = 0;
	if (cfg.features & FEATURE_FRAGMENTS)
		s->fragment_waits = 0;
	if (cfg.trace) {
		trace.ct_said = CT_MAX;
		s->ifindex = trace.ifindex;
		s->length = trace.length;
		s->key[KEY_IIF] = trace.iif;
		s->key[KEY_MARK] = trace.mark;
	} else {
		s->ifindex = hook_ifindex(ctx);
		s->length = hook_linear(ctx); /* packet_parse() asks for all of it where that could matter */
		if (hook == HOOK_TC_EGRESS)
			s->key[KEY_IIF] = hook_iif(ctx);
		s->key[KEY_MARK] = hook_mark(ctx);
	}
	if (hook == HOOK_TC_EGRESS)
		s->key[KEY_OIF] = s->ifindex;
	else
		s->key[KEY_IIF] = s->ifindex;
}

static __always_inline void datapath_owner(struct hook_ctx *ctx, struct scratch *s)
{
	if (cfg.trace) {
		if (trace.has_skuid) {
			s->key[KEY_SKUID] = trace.skuid;
			s->key[KEY_PRESENT] |= PRESENT_SKUID;
		}
	} else {
		hook_owner(ctx, s);
	}
}

static __always_inline enum verdict datapath_end(struct scratch *s, __u32 filter)
{
	if (cfg.trace) {
		trace.verdict = s->verdict;
		trace.reason = s->reason;
		trace.rule = s->rule;
		trace.node = s->node;
		trace.filter = filter;
		trace.redirect = s->redirect;
		trace.steps = s->steps;
	}
	return s->verdict;
}

/* *redirect: the ifindex, for VERDICT_REDIRECT. */
static __always_inline enum verdict datapath(struct hook_ctx *ctx, const enum hook hook, __u32 *redirect)
{
	__u64 zero = 0, half;
	__u32 number;
	const struct filter_head *filter;
	const struct control *word;
	const struct binding *binding;
	const struct tables_head *t;
	enum reason parsed;
	struct scratch *s;
	__u64 generation;

	s = bpf_map_lookup_elem(&scratch, &zero);
	word = bpf_map_lookup_elem(&control, &zero);
	if (!s || !word)
		return VERDICT_DROP;
	generation = *(volatile __u64 *)&word->generation;
	if (!generation)
		return VERDICT_ACCEPT;
	half = array_key(generation & 1);
	t = bpf_map_lookup_elem(&tables, &half);
	if (!t)
		return VERDICT_DROP;

	datapath_begin(ctx, s, hook);
	s->generation = generation;
	s->half = generation & 1;
	binding = filter_binding(t, hook, s->ifindex);
	if (!binding) {
		s->verdict = VERDICT_ACCEPT;
		s->reason = REASON_UNBOUND;
		return datapath_end(s, RULE_NONE);
	}
	number = binding->filter & (FILTERS_MAX - 1);
	filter = &t->filter[number];
	s->filter = number;

	if (filter->flags & FILTER_NEEDS_SKUID)
		datapath_owner(ctx, s);
	parsed = hook_tag(ctx, s);
	if (parsed == REASON_RULE)
		parsed = packet_parse(ctx, s, binding->raw_ip);
	filter_judge(ctx, s, t, filter, parsed, hook);
	filter_settle(s, t, filter);
	*redirect = s->redirect;
	return datapath_end(s, number);
}
