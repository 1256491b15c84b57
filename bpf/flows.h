/* SPDX-License-Identifier: GPL-2.0 */
/* What a packet's flow says of it: its ct state (docs/decisions/0011-flows.md). */
#pragma once

#include "flow_make.h"

static __always_inline enum ct_state flow_other(struct scratch *s, struct flow *flow, enum icmp_role role,
						const struct flow_settings *settings)
{
	bool replied;

	if (!flow) {
		if (role == ICMP_ANSWER)
			return CT_INVALID;
		s->flow_make = FLOW_OTHER;
		return CT_NEW;
	}
	if ((role == ICMP_QUESTION && s->reply) || (role == ICMP_ANSWER && !s->reply))
		return CT_INVALID;
	if (s->reply)
		flow_flag(flow, FLOW_REPLIED);
	replied = flow->flags & FLOW_REPLIED;
	if (replied && !s->reply)
		flow_flag(flow, FLOW_ASSURED);
	flow_extend(flow, settings, s->now, flow_timeout_other(s->id.proto, replied));
	return replied ? CT_ESTABLISHED : CT_NEW;
}

static __always_inline enum ct_state flow_state_of(struct scratch *s, const struct flow_settings *settings)
{
	enum icmp_role role = ICMP_ELSE;
	__u32 proto = s->key[KEY_PROTO], question = 0;
	struct flow *flow;

	if (s->key[KEY_FAMILY] == 0)
		return CT_UNTRACKED;
	if (s->key[KEY_PRESENT] & PRESENT_LATER)
		return CT_INVALID;
	flow_identify(s);
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		role = icmp_role(proto, s->id.ipv6, s->key[KEY_ICMP] >> 8, &question);
		if (role == ICMP_NEIGHBOUR)
			return CT_UNTRACKED;
		if (role == ICMP_ELSE || (role == ICMP_ERROR && !flow_quoted(s)))
			return CT_INVALID;
		if (role == ICMP_QUESTION)
			s->id.ports = s->window << 16 | question;
		else if (role == ICMP_ANSWER)
			s->id.ports = question << 16 | s->window;
	}
	flow = flow_find(s);
	if (role == ICMP_ERROR)
		return flow ? CT_RELATED : CT_INVALID;
	if (proto == IPPROTO_TCP)
		return flow_tcp(s, flow, settings);
	return flow_other(s, flow, role, settings);
}

/* Sets KEY_CT, and s->flow_make where the packet is to make a flow if it is accepted. */
__weak __noinline int HOOK_NAME(flow_track)(struct hook_ctx *ctx)
{
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return 0;
	flow_read(ctx, s);
	s->now = ticks_now(s);
	s->key[KEY_CT] = flow_state_of(s, &((const struct tables_head *)half)->flows);
	return 0;
}
