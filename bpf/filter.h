/* SPDX-License-Identifier: GPL-2.0 */
/* Which filter a device has, and from its policies, sets and rules one verdict and one reason. */
#pragma once

#include "classify.h"
#include "flows.h"
#include "fragments.h"
#include "packet.h"
#include "sets.h"
#include "synproxy.h"

static __always_inline bool reason_is_malformed(__u32 reason)
{
	return (__u32)REASONS_MALFORMED >> (reason & 31) & 1;
}

/* NULL: the device has no filter on this hook. */
static __always_inline const struct binding *filter_binding(const struct tables_head *t, const enum hook hook,
							    __u32 ifindex)
{
	const struct binding *b = &t->binding[hook][binding_slot(ifindex, t->seed[hook]) & (BINDINGS_MAX - 1)];

	return b->ifindex == ifindex && ifindex ? b : NULL;
}

/* The packet's ct state joins the key. */
static __always_inline void filter_track(struct hook_ctx *ctx, struct scratch *s, const struct filter_head *filter,
					 const enum hook hook)
{
	if (!(cfg.features & FEATURE_FLOWS) || !(filter->flags & FILTER_TRACKS))
		return;
	if (cfg.trace && trace.ct < CT_MAX)
		s->key[KEY_CT] = trace.ct;
	else
		HOOK_NAME(flow_track)(ctx);
	if (hook == HOOK_XDP && cfg.features & FEATURE_SYNPROXY && filter->flags & FILTER_SYNPROXY &&
	    s->key[KEY_CT] == CT_INVALID)
		HOOK_NAME(synproxy_check)(ctx);
	s->key[KEY_CLASS] |= (s->key[KEY_CT] & 7) << CLASS_CT;
	if (cfg.trace)
		trace.ct_said = s->key[KEY_CT];
}

/* Leaves the outcome in s: verdict, reason, rule, redirect. `parsed` is what the parser said. */
static __always_inline void filter_judge(struct hook_ctx *ctx, struct scratch *s, const struct tables_head *t,
					 const struct filter_head *filter, enum reason parsed, const enum hook hook)
{
	if (parsed != REASON_RULE) {
		s->reason = parsed;
		return;
	}
	if (s->key[KEY_PRESENT] & PRESENT_FRAGMENT)
		fragment_meet();
	/* packet_parse() left the reason there, too. Verifier: a barrier here costs 15,000 instructions. */
	if (s->reason != REASON_RULE)
		return;
	filter_track(ctx, s, filter, hook);
	sets_find_all(s, t, filter);
	if (s->done)
		return;
	classify(s, t, filter);
	if (s->reason == REASON_DEFAULT && s->key[KEY_PRESENT] & PRESENT_LATER) {
		s->reason = REASON_FRAGMENT;
		s->verdict = filter->fragments;
	}
	if (hook == HOOK_XDP && cfg.features & FEATURE_SYNPROXY && s->verdict == VERDICT_SYNPROXY)
		synproxy_judge(s);
}

/*
 * Of what is accepted. A reject at egress makes one as well, if there is room: its answer comes in by the device, and
 * filters there are to know whose it is.
 */
static __always_inline bool filter_makes_flow(const struct scratch *s)
{
	return s->verdict == VERDICT_ACCEPT || s->verdict == VERDICT_REDIRECT ||
	       (s->verdict == VERDICT_REJECT && s->hook == HOOK_TC_EGRESS);
}

/* The one place where a reason becomes a verdict and is counted. */
static __always_inline void filter_settle(struct scratch *s, const struct tables_head *t,
					  const struct filter_head *filter)
{
	__u32 reason = s->reason;

	if (reason == REASON_RULE || reason == REASON_DEFAULT || reason == REASON_FRAGMENT) {
		/* the verdict is there */
	} else {
		s->verdict = reason_is_malformed(reason) ? filter->malformed : VERDICT_DROP;
		s->rule = RULE_NONE;
	}
	if (cfg.features & FEATURE_FLOWS && s->flow_make && filter_makes_flow(s) && !flow_make() &&
	    s->verdict != VERDICT_REJECT) {
		reason = REASON_FLOWS_FULL;
		s->reason = reason;
		s->verdict = t->flows.full;
	}
	if (cfg.features & FEATURE_FRAGMENTS && s->fragment_waits && !fragment_note()) {
		reason = REASON_FRAGMENT;
		s->reason = reason;
		s->verdict = VERDICT_DROP;
		s->rule = RULE_NONE;
		s->node = 0;
	}
	counter_add(s, filter->counters + reason);
}
