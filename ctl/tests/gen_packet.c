// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "gen_packet.h"
#include "pool.h"

/* Few frames are that large: they cost the most time. A test run of TC sees their first 3072 bytes (ctl/kernel/runner.c). */
#define JUMBO_PER_1000 6
#define JUMBO_EXTS     1000
/* Captures that end in the IP header are judged as frames that do, so a longer frame cannot be told there. */
#define CAPTURE_LEAST 54

static unsigned int pick_port(struct random *r)
{
	return random_chance(r, 85) ? random_pick(r, pool_port) : random_below(r, 65536);
}

static void pick_tags(struct frame_spec *s, struct random *r)
{
	static const uint16_t types[] = { 0x8100, 0x8100, 0x88a8 };
	unsigned int n = random_below(r, 100);

	n = n < 70 ? 0 : n < 85 ? 1 : n < 96 ? 2 : 3;
	for (unsigned int i = 0; i < n; i++) {
		s->tag[i].type = random_pick(r, types);
		s->tag[i].tci = random_pick(r, pool_vlan);
		if (random_chance(r, 40))
			s->tag[i].tci |= random_below(r, 16) << 12;
	}
}

static void pick_addresses(struct frame_spec *s, struct random *r, uint8_t (*scratch)[16])
{
	if (s->family == 6) {
		s->saddr = random_pick(r, pool_ipv6);
		s->daddr = random_pick(r, pool_ipv6);
	} else {
		s->saddr = random_pick(r, pool_ipv4);
		s->daddr = random_pick(r, pool_ipv4);
	}
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t **address = i ? &s->daddr : &s->saddr;

		if (!random_chance(r, 15))
			continue;
		memcpy(scratch[i], *address, s->family == 6 ? 16 : 4); /* a neighbour of one in the pool */
		scratch[i][random_below(r, s->family == 6 ? 16 : 4)] ^= 1u << random_below(r, 8);
		*address = scratch[i];
	}
}

static void pick_fragment(struct frame_spec *s, struct random *r)
{
	unsigned int offset = random_chance(r, 50) ? 0 : random_pick(r, pool_frag_off);

	if (random_chance(r, 10))
		offset = 1;
	if (s->family != 6) {
		s->frag_offset = offset;
		s->more = random_chance(r, 60);
		return;
	}
	for (unsigned int i = 0; i < FRAME_EXTS; i++) {
		if (s->ext[i].type && !random_chance(r, 30))
			continue;
		s->ext[i].type = EXT_FRAGMENT; /* at the end, or in place of some other header */
		s->ext[i].length = 0;
		s->ext[i].frag = offset << 3 | random_below(r, 2);
		if (random_chance(r, 20))
			s->ext[i].frag |= random_below(r, 4) << 1;
		if (random_chance(r, 30))
			s->ext[i].reserved = random_below(r, 256);
		return;
	}
}

static void pick_extensions(struct frame_spec *s, struct random *r)
{
	unsigned int n = random_chance(r, 80) ? random_between(r, 1, 3) : random_between(r, 4, 10);

	for (unsigned int i = 0; i < n; i++) {
		s->ext[i].type = s->family == 6 ? random_between(r, EXT_HOP, EXT_MAX - 1) : EXT_AH;
		if (random_chance(r, 40))
			s->ext[i].length = i || random_chance(r, 90) ? random_below(r, 5) : random_below(r, 256);
		if (s->ext[i].type == EXT_FRAGMENT && random_chance(r, 50))
			s->ext[i].frag = random_below(r, 65536);
	}
}

static void pick_transport(struct frame_spec *s, struct random *r)
{
	static const uint8_t flags[] = { 0x02, 0x12, 0x10, 0x18, 0x04, 0x11, 0x01, 0x29, 0xff, 0xc2, 0x03 };

	s->proto = random_chance(r, 97) ? random_pick(r, pool_proto) : random_below(r, 256);
	if (s->family == 6 && s->proto == 1 && random_chance(r, 80))
		s->proto = 58;
	if (s->family != 6 && s->proto == 58 && random_chance(r, 80))
		s->proto = 1;
	if (s->proto == 0)
		s->proto = -1;
	s->sport = pick_port(r);
	s->dport = pick_port(r);
	s->flags = random_pick(r, flags);
	if (random_chance(r, 20))
		s->tcp_options = random_between(r, 1, 10);
	s->type = s->family == 6 ? random_pick(r, pool_icmpv6) : random_pick(r, pool_icmp);
	s->code = random_chance(r, 60) ? 0 : random_below(r, 6);
	if (random_chance(r, 40))
		s->payload = random_chance(r, 80) ? random_below(r, 64) : random_below(r, 1400);
}

/* Makes honest frames with short chains large. */
static void pick_jumbo(struct frame_spec *s, struct random *r)
{
	unsigned int in_chain = 0;

	for (unsigned int i = 0; i < FRAME_EXTS && s->ext[i].type; i++)
		in_chain += (s->ext[i].length + 1) * 8;
	if (in_chain < JUMBO_EXTS)
		s->payload = random_between(r, 3000, 8800);
}

/* One lie in a header, at its edges or anywhere. */
static void pick_lie(struct frame_spec *s, struct random *r, unsigned int n)
{
	static const uint16_t halves[] = { 0, 1, 19, 20, 21, 27, 28, 39, 40, 41, 59, 60, 61, 0x7fff, 0xffff };
	struct frame_poke *p = &s->pokes[n];
	bool ipv6 = s->family == 6;

	switch (random_below(r, 7)) {
	case 0: /* version, ihl */
		*p = (struct frame_poke){ L3, 0, 1, random_below(r, 256) };
		break;
	case 1: /* only ihl */
		*p = (struct frame_poke){ L3, 0, 1, (ipv6 ? 0x60 : 0x40) | random_below(r, 16) };
		break;
	case 2: /* total or payload length */
		*p = (struct frame_poke){ L3, ipv6 ? 4 : 2, 2, random_pick(r, halves) };
		break;
	case 3:
		*p = (struct frame_poke){ L3, ipv6 ? 4 : 2, 2, random_below(r, 120) };
		break;
	case 4: /* doff */
		s->proto = random_chance(r, 70) ? 6 : s->proto;
		*p = (struct frame_poke){ L4, 12, 1, random_below(r, 256) };
		break;
	case 5: /* an extension header's next header or length */
		*p = (struct frame_poke){ EXT, random_below(r, 2), 1, random_below(r, 256) };
		break;
	default: /* anything anywhere */
		*p = (struct frame_poke){ LINK, random_below(r, 90), random_between(r, 1, 2), random_below(r, 65536) };
		break;
	}
}

static void pick_hostility(struct frame_spec *s, struct random *r)
{
	switch (random_below(r, 7)) {
	case 6: /* a first fragment that ends early */
		s->frag_offset = 0;
		s->more = true;
		s->proto = random_chance(r, 50) ? 6 : s->proto;
		s->short_by = s->payload + random_below(r, 24);
		break;
	case 0: /* the frame ends anywhere */
		s->cut_to = random_between(r, 1, 100);
		break;
	case 1:
		s->cut_by = random_between(r, 1, 24);
		break;
	case 2:
		s->short_by = random_between(r, 1, 24);
		break;
	case 3:
		pick_lie(s, r, 1);
		pick_lie(s, r, 0);
		break;
	default:
		pick_lie(s, r, 0);
		break;
	}
	if (random_chance(r, 10)) {
		s->cut_to = random_between(r, 1, 100);
		s->beyond = random_chance(r, 50) ? random_below(r, 80) : 65536 + random_below(r, 3000);
	}
}

void gen_packet(struct frame *ret, struct random *random)
{
	struct frame_spec s = { 0 };
	struct random *r = random;
	uint8_t scratch[2][16];
	unsigned int kind = random_below(r, 100);

	s.smac = random_pick(r, pool_mac);
	s.dmac = random_pick(r, pool_mac);
	pick_tags(&s, r);
	if (kind < 6) {
		s.family = -1;
		s.etype = random_chance(r, 80) ? random_pick(r, pool_etype) : random_below(r, 65536);
		s.payload = random_below(r, 80);
	} else {
		s.family = kind < 55 ? 4 : 6;
		pick_addresses(&s, r, scratch);
		s.tos = random_pick(r, pool_dscp) << 2 | (random_chance(r, 30) ? random_below(r, 4) : 0);
		s.ttl = random_pick(r, pool_ttl);
		s.dont = random_chance(r, 30);
		if (s.family == 4 && random_chance(r, 3)) /* the reserved bit, with one of the others or not */
			s.pokes[0] = (struct frame_poke){ L3, 6, 1, 0x80 | random_below(r, 4) << 5 };
		if (s.family == 4 && random_chance(r, 15))
			s.options = random_between(r, 1, 10);
		if (random_chance(r, s.family == 6 ? 25 : 6))
			pick_extensions(&s, r);
		if (random_chance(r, 12))
			pick_fragment(&s, r);
		pick_transport(&s, r);
		if (random_chance(r, 20))
			s.pad = random_between(r, 1, 40);
	}
	if (random_chance(r, 18))
		pick_hostility(&s, r);
	else if (random_below(r, 1000) < JUMBO_PER_1000)
		pick_jumbo(&s, r);
	frame_make(ret, &s);
	if (ret->length < CAPTURE_LEAST)
		ret->wire_length = ret->length;
	if (random_below(r, 300) == 0) /* noise from end to end */
		for (size_t i = random_chance(r, 70) ? 14 : 0; i < ret->length; i++)
			ret->bytes[i] = random_next(r);
}
