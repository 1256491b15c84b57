/* SPDX-License-Identifier: GPL-2.0 */
/* What a TCP segment says of its flow, and does to it: docs/decisions/0011-flows.md, state by state. */
#pragma once

#include "flow_packet.h"
#include "flow_table.h"

#define FLOW_ACK_LEAST 65536 /* how far behind an acknowledgement may be, at least */

static __always_inline bool seq_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

static __always_inline void seq_raise(__u32 *at, __u32 to)
{
	if (seq_after(to, *at))
		*at = to;
}

/* The least n with window <= 1 << n. */
static __always_inline __u8 window_bits(__u32 window)
{
	__u8 n = 0;

	if (window <= 1)
		return 0;
	window--;
	for (int step = 16; step; step /= 2) {
		if (window >> step) {
			window >>= step;
			n += step;
		}
	}
	return n + 1;
}

/* A SYN opens its direction. */
static __always_inline void tcp_open(const struct scratch *s, struct flow *flow, __u32 own, bool first)
{
	flow->end[own & 1] = s->seq_end;
	flow->window[own & 1] = window_bits(s->window);
	flow->scale[own & 1] = s->scale;
	flow->max_end[own & 1] = first ? s->seq + 1 : s->seq_end + (1u << (flow->window[~own & 1] & 31));
}

static __always_inline enum ct_state tcp_reported(const struct scratch *s, const struct flow *flow)
{
	return s->reply || flow->flags & FLOW_REPLIED ? CT_ESTABLISHED : CT_NEW;
}

static __always_inline enum ct_state tcp_move(const struct scratch *s, struct flow *flow,
					      const struct flow_settings *settings, enum flow_state state)
{
	if (flow->state != state)
		flow->state = state;
	if (s->reply)
		flow_flag(flow, FLOW_REPLIED);
	flow_extend(flow, settings, s->now, FLOW_TIMEOUT_TCP + state - FLOW_SYN_SENT);
	return tcp_reported(s, flow);
}

/* Made by this host, as it leaves: nobody else can say so. */
static __always_inline bool flow_is_own(const struct scratch *s)
{
	return s->hook == HOOK_TC_EGRESS && !s->key[KEY_IIF];
}

/* Where the connection is long under way, only this host is believed that it has forgotten it and begins again. */
static __always_inline enum ct_state tcp_syn(struct scratch *s, struct flow *flow, const struct flow_settings *settings)
{
	switch (flow->state) {
	case FLOW_SYN_SENT:
		tcp_open(s, flow, s->reply, !s->reply);
		return tcp_move(s, flow, settings, s->reply ? FLOW_SYN_RECV : FLOW_SYN_SENT);
	case FLOW_SYN_RECV:
		return tcp_reported(s, flow);
	case FLOW_TIME_WAIT:
	case FLOW_CLOSE:
		break;
	default:
		/* Who began a liberal flow is not known. */
		if (!flow_is_own(s))
			return s->reply && !(flow->flags & FLOW_LIBERAL) ? CT_INVALID : tcp_reported(s, flow);
	}
	s->flow_make = FLOW_SYN_SENT;
	return CT_NEW;
}

/* Does the packet acknowledge the SYN of the other side? */
static __always_inline bool tcp_answers(const struct scratch *s, const struct flow *flow)
{
	__u32 peer = ~s->reply & 1;

	return !seq_after(flow->max_end[peer], s->ack) && !seq_after(s->ack, flow->end[peer]);
}

static __always_inline enum ct_state tcp_syn_ack(struct scratch *s, struct flow *flow,
						 const struct flow_settings *settings)
{
	switch (flow->state) {
	case FLOW_SYN_SENT:
		if (!s->reply || !tcp_answers(s, flow))
			return CT_INVALID;
		break;
	case FLOW_SYN_RECV:
		return tcp_reported(s, flow);
	case FLOW_TIME_WAIT:
	case FLOW_CLOSE:
		return s->reply ? tcp_reported(s, flow) : CT_INVALID;
	default:
		if (flow->flags & FLOW_LIBERAL)
			return tcp_reported(s, flow);
		if (!s->reply || !flow_is_own(s))
			return s->reply ? tcp_reported(s, flow) : CT_INVALID;
		/* The host answers a SYN that was let through above: of the new connection only this much is known. */
		flow_flag(flow, FLOW_LIBERAL);
		flow->end[FLOW_ORIGINAL] = s->ack;
	}
	tcp_open(s, flow, FLOW_REPLY, false);
	flow->max_end[FLOW_ORIGINAL] = s->ack + s->window;
	return tcp_move(s, flow, settings, FLOW_SYN_RECV);
}

static __always_inline enum ct_state tcp_reset(struct scratch *s, struct flow *flow,
					       const struct flow_settings *settings)
{
	__u32 own = s->reply & 1, peer = ~s->reply & 1;

	switch (flow->state) {
	case FLOW_TIME_WAIT:
	case FLOW_CLOSE:
		return tcp_reported(s, flow);
	case FLOW_SYN_SENT:
		if (s->reply && (!(s->key[KEY_TCPFLAGS] & TCP_ACK) || !tcp_answers(s, flow)))
			return CT_INVALID;
		if (!s->reply && (seq_after(flow->max_end[own], s->seq) || seq_after(s->seq, flow->end[own])))
			return tcp_reported(s, flow);
		break;
	default:
		if (flow->flags & FLOW_LIBERAL)
			break;
		if (seq_after(flow->end[own] - (1u << (flow->window[peer] & 31)), s->seq) ||
		    seq_after(s->seq, flow->max_end[own]))
			return CT_INVALID;
		/* RFC 5961, 3.2: the other end will ask back. */
		if (s->seq != flow->end[own])
			return tcp_reported(s, flow);
	}
	return tcp_move(s, flow, settings, FLOW_CLOSE);
}

enum tcp_place { TCP_OUTSIDE, TCP_ASIDE, TCP_INSIDE };

/*
 * Senders overrun a window by less than a window, and are acknowledged. ASIDE: late. It may well be true, and the other end
 * can do with it; the flow learns nothing from it.
 */
static __always_inline enum tcp_place tcp_place(const struct scratch *s, const struct flow *flow)
{
	__u32 own = s->reply & 1, peer = ~s->reply & 1;
	__u32 behind = 1u << (flow->window[own] & 31), window = 1u << (flow->window[peer] & 31);

	if (behind < FLOW_ACK_LEAST)
		behind = FLOW_ACK_LEAST;
	if (seq_after(s->ack, flow->end[peer]) || seq_after(s->seq, flow->max_end[own] + window))
		return TCP_OUTSIDE;
	if (seq_after(flow->end[own] - window - 1, s->seq_end) || seq_after(flow->end[peer] - behind, s->ack))
		return TCP_ASIDE;
	return TCP_INSIDE;
}

/* What a segment says of the windows. */
static __always_inline void tcp_note(const struct scratch *s, struct flow *flow)
{
	__u32 own = s->reply & 1, peer = ~s->reply & 1, window = s->window;
	__u8 bits;

	if (flow->scale[own] != FLOW_NO_SCALE && flow->scale[peer] != FLOW_NO_SCALE)
		window <<= flow->scale[own] & 31;
	bits = window_bits(window);
	if (bits > flow->window[own])
		flow->window[own] = bits;
	seq_raise(&flow->end[own], s->seq_end);
	seq_raise(&flow->max_end[peer], s->ack + window + !window);
}

static __always_inline enum flow_state tcp_next(const struct scratch *s, __u32 state)
{
	bool fin = s->key[KEY_TCPFLAGS] & TCP_FIN;

	switch (state) {
	case FLOW_SYN_RECV:
		return fin ? FLOW_FIN_WAIT : s->reply ? FLOW_SYN_RECV : FLOW_ESTABLISHED;
	case FLOW_ESTABLISHED:
		return fin ? FLOW_FIN_WAIT : FLOW_ESTABLISHED;
	case FLOW_FIN_WAIT:
		return fin ? FLOW_LAST_ACK : FLOW_CLOSE_WAIT;
	case FLOW_CLOSE_WAIT:
		return fin ? FLOW_LAST_ACK : FLOW_CLOSE_WAIT;
	case FLOW_LAST_ACK:
		return fin ? FLOW_LAST_ACK : FLOW_TIME_WAIT;
	}
	return state;
}

static __always_inline enum ct_state tcp_segment(struct scratch *s, struct flow *flow,
						 const struct flow_settings *settings)
{
	enum flow_state state;

	/* The answer of one who believes in an older connection: who asked will reset it. */
	if (flow->state == FLOW_SYN_SENT)
		return s->reply && !(s->key[KEY_TCPFLAGS] & TCP_FIN) ? CT_ESTABLISHED : CT_INVALID;
	if (!(flow->flags & FLOW_LIBERAL)) {
		enum tcp_place place = tcp_place(s, flow);

		if (place != TCP_INSIDE)
			return place == TCP_ASIDE ? tcp_reported(s, flow) : CT_INVALID;
	}
	tcp_note(s, flow);
	state = tcp_next(s, flow->state);
	if (state == FLOW_ESTABLISHED)
		flow_flag(flow, FLOW_ASSURED);
	return tcp_move(s, flow, settings, state);
}

static __always_inline enum ct_state flow_tcp(struct scratch *s, struct flow *flow,
					      const struct flow_settings *settings)
{
	__u32 flags = s->key[KEY_TCPFLAGS] & TCP_FLAGS_TOLD;

	if (!flow) {
		if (flags == TCP_SYN)
			s->flow_make = FLOW_SYN_SENT;
		else if (flags == TCP_ACK && flow_is_own(s))
			s->flow_make = FLOW_ESTABLISHED;
		return s->flow_make ? CT_NEW : CT_INVALID;
	}
	switch (flags) {
	case TCP_SYN:
		return tcp_syn(s, flow, settings);
	case TCP_SYN | TCP_ACK:
		return tcp_syn_ack(s, flow, settings);
	case TCP_RST:
	case TCP_RST | TCP_ACK:
		return tcp_reset(s, flow, settings);
	case TCP_ACK:
	case TCP_FIN | TCP_ACK:
		return tcp_segment(s, flow, settings);
	}
	return CT_INVALID;
}
