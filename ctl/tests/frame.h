/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames by description: what is not said is sane, so that a test names only what it is about.
 *
 *	{ .dport = 22 }                                    a TCP SYN over IPv4, as small as it gets
 *	{ .family = 6, .ext = { HOP }, .dport = 22 }       the same over IPv6, behind a hop-by-hop header
 *	{ .dport = 22, .pokes = { { L3, 0, 1, 0x44 } } }   an IPv4 header that says it has four words
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MOST  12000
#define FRAME_TAGS  4
#define FRAME_EXTS  12
#define FRAME_POKES 6

enum frame_ext {
	EXT_NONE, /* ends the list */
	EXT_HOP,
	EXT_ROUTING,
	EXT_DESTINATION,
	EXT_MOBILITY,
	EXT_HIP,
	EXT_SHIM6,
	EXT_AH,
	EXT_FRAGMENT,
	EXT_MAX
};

/* A lie: written over the finished frame, big endian. */
struct frame_poke {
	enum { NOWHERE, LINK, L3, EXT, L4 } from; /* EXT: the first extension header or AH */
	uint16_t at;
	uint8_t bytes; /* 1 or 2 */
	uint16_t value;
};

struct frame_spec {
	/* link */
	const uint8_t *smac, *dmac;
	struct {
		uint16_t type, tci; /* type 0: no more tags */
	} tag[FRAME_TAGS];
	uint16_t etype; /* 0: the family's; with family -1: a frame that is not IP */
	/* network */
	int family; /* 0 and 4: IPv4; 6: IPv6; -1: not IP, only `payload` bytes behind the link header */
	const uint8_t *saddr, *daddr;
	uint8_t tos, ttl;         /* ttl 0: 64 */
	uint32_t id;              /* identification: of IPv4 and of fragment headers; 0: some fixed one */
	unsigned int options;     /* IPv4: words */
	unsigned int frag_offset; /* IPv4: units of 8 bytes */
	bool more, dont;          /* IPv4: flags */
	struct frame_exthdr {
		enum frame_ext type;
		uint8_t length;   /* the header's length field; its bytes are there */
		uint16_t frag;    /* fragment header: offset << 3 | reserved | more */
		uint8_t reserved; /* fragment header: the reserved byte */
	} ext[FRAME_EXTS];
	/* transport */
	int proto;                /* 0: TCP; -1: protocol number 0 */
	uint16_t sport, dport;    /* sport 0: 40000 */
	uint8_t flags;            /* 0: syn */
	unsigned int tcp_options; /* words, no-operations */
	const uint8_t *tcp_bytes; /* over the first of them */
	unsigned int n_tcp_bytes;
	uint32_t seq, ack;
	int window;          /* 0: 65535; -1: 0 */
	uint8_t type, code;  /* ICMP */
	uint16_t ident;      /* of its queries; 0: 1 */
	const uint8_t *data; /* behind the transport header */
	unsigned int n_data;
	unsigned int payload; /* behind that: bytes of 0xa5 */
	/* ends */
	unsigned int short_by; /* the IP packet lacks its last bytes and its lengths agree */
	unsigned int cut_by;   /* the frame lacks its last bytes and the lengths lie */
	unsigned int cut_to;   /* the frame has only these bytes; 0: all */
	unsigned int pad;      /* bytes behind the IP packet */
	unsigned int beyond;   /* the frame is longer by this than the bytes at hand */
	struct frame_poke pokes[FRAME_POKES];
};

struct frame {
	size_t length;
	size_t wire_length;
	size_t l3, ext, l4; /* offsets */
	uint8_t bytes[FRAME_MOST];
};

void frame_make(struct frame *ret, const struct frame_spec *spec);
/* "00a1 b2...", into text */
void frame_hex(const struct frame *frame, char *text, size_t size);
