/* SPDX-License-Identifier: GPL-2.0 */
/* The packet as the reference model reads it: where its headers are, and what is wrong with it. */
#pragma once

#include "model.h"

#define MODEL_TAGS 2

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_AH = 51, PROTO_ICMPV6 = 58, PROTO_SCTP = 132 };

struct fragment {
	bool any;   /* a part of a packet */
	bool later; /* and not the first part */
	unsigned int offset, more;
	bool nested; /* IPv6: a fragment within a fragment */
	uint32_t id; /* of the outermost header that makes it a fragment */
	size_t data; /* where its part of the datagram starts */
};

struct packet {
	const struct model_frame *frame;
	unsigned int etype;
	unsigned int n_tags, tag[MODEL_TAGS];
	size_t l3;           /* where the network header starts */
	size_t end;          /* where the IP packet ends: what is behind it is padding */
	unsigned int family; /* 4, 6, or 0: not IP */
	struct fragment fragment;
	bool has_fragment_header; /* IPv6 */
	bool has_options;         /* IPv4 */
	bool has_extensions;      /* IPv6 */
	unsigned int proto;       /* behind all extension headers */
	bool has_transport;       /* its header is in this packet */
	size_t l4;
	enum policy_ct ct; /* of filters that track: what the flow table says */
};

unsigned int byte_at(const struct packet *p, size_t at); /* 0 behind the bytes at hand */
unsigned int half_at(const struct packet *p, size_t at);
uint32_t word_at(const struct packet *p, size_t at);
/* The bytes up to `at` are not at hand: the frame ends before, or a capture has cut it. */
bool ends_before(const struct packet *p, size_t at);

/* p->frame is set, the rest is zero. REASON_RULE: well-formed; else why the packet is malformed. */
enum reason read_packet(struct packet *p);
