/* SPDX-License-Identifier: GPL-2.0 */
/* What names a packet's flow, or that of the packet which an ICMP error quotes, and what else of a packet the flow asks for. */
#pragma once

#include "packet.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_FLAGS_TOLD (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK) /* what a segment is; the others say nothing of that */

#define TCP_OPTION_END       0
#define TCP_OPTION_NOP       1
#define TCP_OPTION_SCALE     3
#define TCP_OPTION_SACK      4
#define TCP_OPTION_TIMESTAMP 8
#define TCP_SCALE_MOST       14
#define TCP_OPTIONS_BYTES    40

#define ICMP_QUOTE_BYTES 68 /* an IPv4 header with all options, and 8 bytes more */

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

/* The options of a SYN (RFC 9293, 7323, 2018) in s->header from `at` on. Leaves scale, offered and tsval. */
static __always_inline void tcp_read_options(struct scratch *s, __u64 at)
{
	s->scale = FLOW_NO_SCALE;
	s->offered = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < TCP_OPTIONS_BYTES; i++) {
		__u64 kind, length;

		at = forget(s, at, 63);
		kind = s->header[at];
		length = s->header[at + 1];
		if (at + 1 >= s->n_header || kind == TCP_OPTION_END)
			break;
		if (kind == TCP_OPTION_NOP) {
			at++;
			continue;
		}
		if (length < 2 || at + length > s->n_header)
			break;
		if (kind == TCP_OPTION_SCALE && length == 3 && s->scale == FLOW_NO_SCALE) {
			s->scale = s->header[at + 2] < TCP_SCALE_MOST ? s->header[at + 2] : TCP_SCALE_MOST;
			s->offered |= SYNPROXY_SCALES;
		} else if (kind == TCP_OPTION_SACK && length == 2) {
			s->offered |= SYNPROXY_SACK;
		} else if (kind == TCP_OPTION_TIMESTAMP && length == 10) {
			s->tsval = load_be32(&s->header[at + 2]);
			s->offered |= SYNPROXY_TIMESTAMP;
		}
		at += length;
	}
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
			tcp_read_options(s, 0);
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

/* ---- whose flow ---- */

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
