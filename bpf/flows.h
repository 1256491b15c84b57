/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow table: what a packet's flow says of it, and new flows. docs/decisions/0011-flows.md says what each packet
 * does to it.
 *
 * Nothing is locked. A line is claimed by one compare-and-swap of its word, filled, and published by one more; all else are
 * single stores of what the packets of one flow know. Two packets of a flow on two CPUs may each make a line: the first one
 * in the order of the lookup is the flow, the other one expires.
 */
#pragma once

#include "counters.h"
#include "packet.h"

#define FLOW_NONE      0xffffffffu
#define FLOW_ACK_LEAST 65536 /* how far behind an acknowledgement may be, at least */
#define FLOW_WORD_MORE (1ull << 60)
#define FLOW_MORE_MOST 15u
#define FLOW_TRIES     4

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_OPTION_END    0
#define TCP_OPTION_NOP    1
#define TCP_OPTION_SCALE  3
#define TCP_SCALE_MOST    14
#define TCP_OPTIONS_BYTES 40

#define ICMP_QUOTE_BYTES 68 /* an IPv4 header with all options, and 8 bytes more */

/* ---- what of a packet is read, beyond the key ---- */

/* Bytes of the packet from `offset` on into s->header, at most `most`; how many are noted. */
static __always_inline void flow_load(struct hook_ctx *ctx, struct scratch *s, __u32 offset, const __u32 most)
{
	__u32 bytes = s->end - offset;

	s->n_header = 0;
	if (offset >= s->end)
		return;
	if (bytes > most)
		bytes = most;
	bytes = ((bytes - 1) & (HEADER_BYTES - 1)) +
		1; /* Verifier: it changes nothing, and is a range that clang leaves alone. */
	if (hook_load(ctx, offset, s->header, bytes))
		return;
	s->n_header = bytes;
}

/* The window scale option of a SYN (RFC 7323) in s->header, FLOW_NO_SCALE without. */
static __always_inline __u8 tcp_scale(const struct scratch *s)
{
	__u64 at = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < TCP_OPTIONS_BYTES; i++) {
		__u64 kind, length, next;

		at = forget(s, at, 63);
		next = at + 1;
		if (at + 2 >= s->n_header || at > TCP_OPTIONS_BYTES - 3)
			break;
		kind = s->header[at];
		if (kind == TCP_OPTION_END)
			break;
		if (kind != TCP_OPTION_NOP) {
			length = s->header[at + 1];
			if (length < 2)
				break;
			if (kind == TCP_OPTION_SCALE && length == 3)
				return s->header[at + 2] < TCP_SCALE_MOST ? s->header[at + 2] : TCP_SCALE_MOST;
			next = at + length;
		}
		at = next;
	}
	return FLOW_NO_SCALE;
}

static __always_inline void flow_read(struct hook_ctx *ctx, struct scratch *s)
{
	__u32 proto = s->key[KEY_L4];
	const __u8 *l4;

	s->n_header = 0;
	if (proto == IPPROTO_TCP) {
		__u32 header;

		l4 = cursor_at(ctx, s, s->l3, TCP_BYTES);
		if (!l4)
			return;
		s->seq = load_be32(l4 + 4);
		s->ack = load_be32(l4 + 8);
		s->window = load_be16(l4 + 14);
		header = (l4[12] >> 4) * 4;
		s->seq_end = s->seq + (s->end - s->l3 - header) + (s->key[KEY_TCPFLAGS] & TCP_FIN) +
			     (s->key[KEY_TCPFLAGS] >> 1 & 1);
		if (s->key[KEY_TCPFLAGS] & TCP_SYN) {
			flow_load(ctx, s, s->l3 + TCP_BYTES, TCP_OPTIONS_BYTES);
			if (s->n_header > header - TCP_BYTES)
				s->n_header = header - TCP_BYTES;
			s->scale = tcp_scale(s);
		}
	} else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		l4 = cursor_at(ctx, s, s->l3, ICMP_BYTES);
		if (!l4)
			return;
		s->window = load_be16(l4 + 4); /* the identifier of a query */
		flow_load(ctx, s, s->l3 + ICMP_BYTES, ICMP_QUOTE_BYTES);
	}
}

/* ---- ICMP ---- */

enum icmp_role { ICMP_ELSE, ICMP_QUESTION, ICMP_ANSWER, ICMP_ERROR, ICMP_NEIGHBOUR };

/* *question: of an answer, the type of what it answers. ICMP of the other family is nothing. */
static __always_inline enum icmp_role icmp_role(__u32 proto, __u32 ipv6, __u32 type, __u32 *question)
{
	*question = type;
	if ((proto == IPPROTO_ICMPV6) != !!ipv6)
		return ICMP_ELSE;
	if (!ipv6) {
		switch (type) {
		case 8:
		case 13:
		case 15:
		case 17:
			return ICMP_QUESTION;
		case 0:
			*question = 8;
			return ICMP_ANSWER;
		case 14:
		case 16:
		case 18:
			*question = type - 1;
			return ICMP_ANSWER;
		case 3:
		case 4:
		case 5:
		case 11:
		case 12:
			return ICMP_ERROR;
		}
		return ICMP_ELSE;
	}
	if (type == 128 || type == 139)
		return ICMP_QUESTION;
	if (type == 129 || type == 140) {
		*question = type - 1;
		return ICMP_ANSWER;
	}
	if (type >= 1 && type <= 4)
		return ICMP_ERROR;
	if ((type >= 130 && type <= 137) || type == 143)
		return ICMP_NEIGHBOUR;
	return ICMP_ELSE;
}

/* ---- the table ---- */

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

/* ---- TCP ---- */

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
		if (!flow_is_own(s))
			return s->reply ? CT_INVALID : tcp_reported(s, flow);
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
	__u32 flags = s->key[KEY_TCPFLAGS] & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);

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

/* ---- other protocols ---- */

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

/* The ends of the packet that an ICMP error quotes; false: it cannot be told, or was not sent by whom the error goes to. */
static __always_inline bool flow_quoted(struct scratch *s)
{
	const __u8 *quote = s->header;
	__u32 l4, question = 0, proto, words = s->id.ipv6 ? 4 : 1;

	if (s->id.ipv6) {
		if (s->n_header < 48 || quote[0] >> 4 != 6)
			return false;
		l4 = 40;
		proto = quote[6];
	} else {
		l4 = (quote[0] & 15) * 4;
		if (s->n_header < 28 || quote[0] >> 4 != 4 || l4 < 20 || l4 + 8 > s->n_header ||
		    load_be16(quote + 6) & 0x1fff)
			return false;
		proto = quote[9];
	}
	for (__u32 i = 0; i < 4; i++) {
		__u32 to = s->id.addr[1][i];

		if (i >= words)
			break;
		s->id.addr[0][i] = load_be32(quote + (s->id.ipv6 ? 8 : 12) + 4 * i);
		s->id.addr[1][i] = load_be32(quote + (s->id.ipv6 ? 24 : 16) + 4 * i);
		if (s->id.addr[0][i] != to)
			return false;
	}
	if (l4 > ICMP_QUOTE_BYTES - 8)
		return false;
	quote += l4;
	s->id.proto = proto;
	s->id.ports = 0;
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP) {
		s->id.ports = load_be32(quote);
	} else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		switch (icmp_role(proto, s->id.ipv6, quote[0], &question)) {
		case ICMP_QUESTION:
			s->id.ports = load_be16(quote + 4) << 16 | question;
			break;
		case ICMP_ANSWER:
			s->id.ports = question << 16 | load_be16(quote + 4);
			break;
		default:
			return false;
		}
	}
	return true;
}

/* ---- a packet ---- */

static __always_inline void flow_identify(struct scratch *s)
{
	for (int i = 0; i < 4; i++) {
		s->id.addr[0][i] = s->key[KEY_SADDR0 + i];
		s->id.addr[1][i] = s->key[KEY_DADDR0 + i];
	}
	s->id.ports = s->key[KEY_PORTS];
	s->id.proto = s->key[KEY_PROTO];
	s->id.ipv6 = s->key[KEY_FAMILY] == 6 ? FLOW_IPV6 : 0;
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

/* In ticks. The clock takes 13 ns, the number of the jiffy none; ticks are longer than jiffies. */
static __always_inline __u32 flow_now(struct scratch *s)
{
	__u64 jiffies = bpf_jiffies64();

	if (cfg.trace)
		return trace.now_ns >> FLOW_TICK;
	if (s->flow_jiffies != jiffies) {
		s->flow_ticks = bpf_ktime_get_coarse_ns() >> FLOW_TICK;
		s->flow_jiffies = jiffies;
	}
	return s->flow_ticks;
}

/* Sets KEY_CT, and s->flow_make where the packet is to make a flow if it is accepted. */
__weak __noinline int HOOK_NAME(flow_track)(struct hook_ctx *ctx)
{
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return 0;
	flow_read(ctx, s);
	s->now = flow_now(s);
	s->key[KEY_CT] = flow_state_of(s, &((const struct tables_head *)half)->flows);
	return 0;
}

/* ---- new flows ---- */

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
