// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen_sequence.h"

#define TICK_NS      (1ull << 24)
#define SECOND_NS    1000000000ull
#define START_NS     (1000 * SECOND_NS)
#define REMEMBERED   4 /* packets of each slot */
#define PAYLOAD_MOST 1400
#define KEPT_BYTES   1700 /* frames that are longer are not repeated */

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };
enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_GRE = 47, PROTO_ICMPV6 = 58, PROTO_SCTP = 132 };

static const uint8_t here4[4] = { 192, 0, 2, 1 }, here6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 };
static const uint8_t hosts4[][4] = { { 198, 51, 100, 7 }, { 198, 51, 100, 8 }, { 203, 0, 113, 10 } };
static const uint8_t hosts6[][16] = { { 0x20, 1, 0x0d, 0xb8, [5] = 7, [15] = 1 },
				      { 0x20, 1, 0x0d, 0xb8, [5] = 7, [15] = 2 },
				      { 0x20, 1, 0x0d, 0xb8, [5] = 8, [7] = 0xff, [8] = 0x80, [15] = 9 } };
static const uint16_t ports[] = { 22, 53, 80, 443, 40000, 40001 };

/* ---- conversations ---- */

struct address {
	uint8_t b[16];
};

enum stage { TCP_NOTHING, TCP_SYN, TCP_SYN_ACK, TCP_OPEN, TCP_CLOSING };

struct tcp_side {
	uint32_t first, next; /* to send */
	uint32_t got;         /* what it has from the other side, in order */
	unsigned int scale;
	uint16_t window;
	uint32_t widest; /* of the windows, scaled */
	bool fin;
};

/* A packet that may come again, or be quoted. */
struct memory {
	size_t length, l3, l4;
	unsigned int side;
	char text[100];
	uint8_t bytes[KEPT_BYTES];
};

struct slot {
	unsigned int family, proto;
	struct address end[2];
	uint16_t port[2]; /* ICMP: port[0] is the identifier */
	unsigned int question;
	/* where the ends are: side 0 is this host, or behind device[0] */
	bool forwarded;
	unsigned int device[2];
	/* the conversation of the moment */
	enum stage stage;
	unsigned int origin;
	struct tcp_side tcp[2];
	uint64_t last_ns;
	struct memory memory[REMEMBERED];
	unsigned int n_memory;
};

struct sequence {
	struct random *r;
	const struct flows *times;
	uint64_t now_ns;
	struct slot slot[SEQUENCE_SLOTS];
	bool pending; /* the packet of `sighting`, forwarded, is to leave by the other device */
	unsigned int pending_device;
};

static struct address pick_host(struct random *r, unsigned int family)
{
	struct address a = { 0 };

	if (family == 4)
		memcpy(a.b, random_pick(r, hosts4), 4);
	else
		memcpy(a.b, random_pick(r, hosts6), 16);
	return a;
}

static struct address this_host(unsigned int family)
{
	struct address a = { 0 };

	memcpy(a.b, family == 4 ? here4 : here6, family == 4 ? 4 : 16);
	return a;
}

static unsigned int pick_question(struct random *r, unsigned int family)
{
	static const uint8_t of4[] = { 8, 8, 8, 13, 15, 17 }, of6[] = { 128, 128, 139 };

	return family == 4 ? random_pick(r, of4) : random_pick(r, of6);
}

static void make_slot(struct slot *s, struct random *r)
{
	static const uint8_t protos[] = { PROTO_TCP,  PROTO_TCP,  PROTO_TCP,  PROTO_TCP,    PROTO_TCP, PROTO_TCP,
					  PROTO_TCP,  PROTO_UDP,  PROTO_UDP,  PROTO_SCTP,   PROTO_GRE, 50,
					  PROTO_ICMP, PROTO_ICMP, PROTO_ICMP, PROTO_ICMPV6, 44 };
	static const uint16_t idents[] = { 1, 2, 8, 13, 128 };

	*s = (struct slot){ .family = random_chance(r, 55) ? 4 : 6 };
	s->proto = random_pick(r, protos);
	if (s->proto == PROTO_ICMP && s->family == 6 && random_chance(r, 80))
		s->proto = PROTO_ICMPV6;
	if (s->proto == 44 && s->family == 6)
		s->proto = PROTO_UDP;
	s->forwarded = random_chance(r, 35);
	s->device[0] = random_below(r, SEQUENCE_DEVICES);
	s->device[1] = s->forwarded ? !s->device[0] : s->device[0];
	s->end[0] = s->forwarded ? pick_host(r, s->family) : this_host(s->family);
	s->end[1] = pick_host(r, s->family);
	s->port[0] = random_pick(r, ports);
	s->port[1] = random_pick(r, ports);
	s->question = pick_question(r, s->family);
	if (s->proto == PROTO_ICMP || s->proto == PROTO_ICMPV6)
		s->port[0] = random_pick(r, idents);
	if (random_chance(r, 4)) { /* with oneself */
		s->end[1] = s->end[0];
		s->port[1] = s->port[0];
	}
}

struct sequence *sequence_new(struct random *random, const struct flows *times)
{
	struct sequence *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->r = random;
	s->times = times;
	s->now_ns = START_NS + random_next(random) % (1000 * SECOND_NS);
	for (unsigned int i = 0; i < SEQUENCE_SLOTS; i++)
		make_slot(&s->slot[i], random);
	return s;
}

void sequence_free(struct sequence *sequence)
{
	free(sequence);
}

/* ---- what a packet says ---- */

/* A packet in the making. */
struct draft {
	struct frame_spec spec;
	unsigned int side; /* of the slot: who sends it */
	uint8_t options[40];
	uint8_t data[400];
	char text[100];
};

/* A number beside this one, now and then at a distance at which windows end. */
static uint32_t beside(struct random *r, uint32_t number)
{
	uint32_t distance = random_below(r, 3);

	if (random_chance(r, 15))
		distance += 65535 + random_below(r, 2);
	else if (random_chance(r, 15))
		distance += 1u << random_below(r, 32);
	return random_chance(r, 50) ? number + distance : number - distance;
}

static uint16_t pick_window(struct random *r)
{
	static const uint16_t windows[] = { 0, 1, 2, 3, 500, 512, 513, 1000, 4096, 16385, 32768, 32769, 65535, 65535 };

	return random_chance(r, 90) ? random_pick(r, windows) : random_below(r, 65536);
}

static unsigned int pick_scale(struct random *r)
{
	static const uint8_t scales[] = { 0, 1, 2, 5, 7, 7, 8, 14, 15, 255 };

	return random_pick(r, scales);
}

/* Options of a SYN, the window scale among them or not. */
static void put_options(struct draft *d, struct random *r, unsigned int scale)
{
	/* 201: the scale; 202: another one */
	static const uint8_t forms[][40] = {
		{ 4, 1, 3, 3, 201 },
		{ 20, 2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 201 },
		{ 8, 2, 4, 5, 180, 1, 3, 3, 201 },
		{ 4, 3, 3, 201, 0 },
		{ 8, 3, 4, 9, 9, 3, 3, 201, 1 },
		{ 8, 3, 3, 201, 3, 3, 202, 1, 1 },
		{ 4, 0, 3, 3, 201 },
		{ 8, 0, 2, 3, 3, 201, 0, 0, 0 },
		{ 8, 8, 0, 3, 3, 201, 1, 1, 1 },
		{ 8, 8, 1, 3, 3, 201, 1, 1, 1 },
		{ 8, 8, 9, 3, 3, 201, 1, 1, 1 },
		{ 8, 8, 8, 3, 3, 201, 1, 1, 1 },
		{ 4, 1, 1, 3, 3 },
		{ 4, 1, 1, 1, 3 },
		{ 8, 1, 1, 1, 1, 1, 3, 3, 201 },
		{ 36, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,
		  1,  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 201 },
		{ 24, 30, 2, 30, 2, 30, 2, 30, 2, 30, 2, 30, 2, 30, 2, 30, 2, 30, 2, 30, 2, 1, 3, 3, 201 },
	};
	const uint8_t *form = random_chance(r, 40) ? forms[random_below(r, 3)] : random_pick(r, forms);
	unsigned int n = form[0];

	if (random_chance(r, 15))
		return;
	for (unsigned int i = 0; i < n; i++)
		d->options[i] = form[i + 1] == 201 ? scale : form[i + 1] == 202 ? pick_scale(r) : form[i + 1];
	if (random_chance(r, 3)) {
		n = 40;
		for (unsigned int i = 0; i < n; i++)
			d->options[i] = random_chance(r, 50) ? random_below(r, 5) : random_next(r);
	}
	d->spec.tcp_options = n / 4;
	d->spec.tcp_bytes = d->options;
	d->spec.n_tcp_bytes = n;
}

static unsigned int pick_length(struct random *r)
{
	static const uint16_t lengths[] = { 1, 1, 2, 10, 100, 536, PAYLOAD_MOST };

	return random_pick(r, lengths);
}

/* ---- TCP ---- */

static void tcp_start(struct slot *s, struct random *r)
{
	static const uint32_t edges[] = { 0, 1, 0x7ffffff0, 0xffffff00, 0xffffffff };

	s->origin = random_chance(r, 70) ? 0 : 1;
	for (unsigned int i = 0; i < 2; i++) {
		struct tcp_side *side = &s->tcp[i];
		uint32_t before = side->next;

		*side = (struct tcp_side){ .scale = pick_scale(r),
					   .window = random_chance(r, 60) ? 65535 : pick_window(r) };
		side->first = random_chance(r, 15)   ? before + random_below(r, 100000)
			      : random_chance(r, 20) ? random_pick(r, edges)
						     : (uint32_t)random_next(r);
		side->next = side->first;
	}
}

static uint32_t most(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t scaled(const struct tcp_side *side)
{
	return (uint32_t)side->window << (side->scale > 14 ? 14 : side->scale);
}

/* What the side says now, if it tells the truth; the other one gets it, mostly. */
static void tcp_send(struct slot *s, struct random *r, struct draft *d, unsigned int side, unsigned int flags,
		     unsigned int length)
{
	struct tcp_side *own = &s->tcp[side], *peer = &s->tcp[!side];

	if (random_chance(r, 15))
		own->window = pick_window(r);
	d->side = side;
	d->spec.flags = flags;
	d->spec.seq = own->next;
	d->spec.ack = flags & ACK ? own->got : 0;
	d->spec.window = own->window ? own->window : -1;
	d->spec.payload = length;
	if (flags & SYN)
		put_options(d, r, own->scale);
	own->widest = most(own->widest, flags & SYN ? own->window : scaled(own));
	own->next += length + !!(flags & SYN) + !!(flags & FIN);
	if (random_chance(r, 92))
		peer->got = own->next;
}

static void tcp_answer_syn(struct slot *s, struct random *r, struct draft *d)
{
	unsigned int way = random_below(r, 100), origin = s->origin;
	struct tcp_side *own = &s->tcp[origin], *peer = &s->tcp[!origin];

	if (way < 72) {
		peer->got = own->next;
		if (random_chance(r, 10))
			peer->got = own->first + 1; /* data in the SYN is not taken */
		tcp_send(s, r, d, !origin, SYN | ACK, 0);
		if (random_chance(r, 10))
			own->next = peer->got;
		s->stage = TCP_SYN_ACK;
	} else if (way < 82) { /* again, or another one */
		own->next = random_chance(r, 70) ? own->first : own->first + random_below(r, 1000);
		own->first = own->next;
		tcp_send(s, r, d, origin, SYN, 0);
	} else if (way < 87) {
		peer->got = own->next;
		peer->next = random_chance(r, 70) ? 0 : peer->next;
		tcp_send(s, r, d, !origin, random_chance(r, 85) ? RST | ACK : RST, 0);
		s->stage = random_chance(r, 60) ? TCP_NOTHING : TCP_SYN;
	} else if (way < 93) { /* both at once */
		tcp_send(s, r, d, !origin, SYN, 0);
		s->stage = TCP_SYN_ACK;
	} else if (way < 97) {
		tcp_send(s, r, d, origin, random_chance(r, 80) ? RST : RST | ACK, 0);
		s->stage = random_chance(r, 60) ? TCP_NOTHING : TCP_SYN;
	} else {
		tcp_send(s, r, d, random_below(r, 2), ACK, random_below(r, 2));
	}
}

static void tcp_say(struct slot *s, struct random *r, struct draft *d)
{
	unsigned int way = random_below(r, 100), side = random_below(r, 2);
	struct tcp_side *own = &s->tcp[side];

	if (own->fin && way < 80)
		way = 60;
	if (way < 50) {
		tcp_send(s, r, d, side, random_chance(r, 50) ? ACK | PSH : ACK, pick_length(r));
	} else if (way < 75) {
		tcp_send(s, r, d, side, ACK, 0);
	} else if (way < 79) { /* keepalive */
		tcp_send(s, r, d, side, ACK, 0);
		d->spec.seq--;
		d->spec.payload = random_below(r, 2);
	} else if (way < 82) {
		tcp_send(s, r, d, side, random_chance(r, 70) ? RST : RST | ACK, 0);
		s->stage = random_chance(r, 70) ? TCP_NOTHING : TCP_OPEN;
	} else if (way < 84) { /* the origin or its answer again */
		d->side = side;
		d->spec.flags = side == s->origin ? SYN : SYN | ACK;
		d->spec.seq = own->first;
		d->spec.ack = side == s->origin ? 0 : s->tcp[!side].first + 1;
	} else {
		tcp_send(s, r, d, side, FIN | ACK, random_chance(r, 20) ? pick_length(r) : 0);
		own->fin = true;
		s->stage = s->tcp[!side].fin && random_chance(r, 40) ? TCP_NOTHING : TCP_CLOSING;
	}
}

static void tcp_truth(struct slot *s, struct random *r, struct draft *d)
{
	switch (s->stage) {
	case TCP_NOTHING:
		if (random_chance(r, 30)) { /* what is left of the conversation before */
			tcp_send(s, r, d, random_below(r, 2), ACK, 0);
			return;
		}
		tcp_start(s, r);
		if (random_chance(r, 8)) { /* older than the rules */
			s->tcp[0].got = s->tcp[1].next;
			s->tcp[1].got = s->tcp[0].next;
			s->stage = TCP_OPEN;
			tcp_say(s, r, d);
			return;
		}
		tcp_send(s, r, d, s->origin, SYN, random_chance(r, 15) ? pick_length(r) : 0);
		s->stage = TCP_SYN;
		return;
	case TCP_SYN:
		tcp_answer_syn(s, r, d);
		return;
	case TCP_SYN_ACK:
		if (random_chance(r, 10)) { /* again */
			s->tcp[!s->origin].next = s->tcp[!s->origin].first;
			tcp_send(s, r, d, !s->origin, SYN | ACK, 0);
			return;
		}
		s->stage = TCP_OPEN;
		if (random_chance(r, 75)) {
			s->tcp[s->origin].got = s->tcp[!s->origin].next;
			tcp_send(s, r, d, s->origin, ACK, random_chance(r, 30) ? pick_length(r) : 0);
			return;
		}
		tcp_say(s, r, d);
		return;
	case TCP_OPEN:
	case TCP_CLOSING:
		tcp_say(s, r, d);
		if (random_chance(r, s->stage == TCP_CLOSING ? 8 : 1))
			s->stage = TCP_NOTHING;
		return;
	}
}

static uint32_t power_above(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

/* Sequence numbers that the side did not mean, most of them where the window ends. */
static uint32_t odd_seq(const struct slot *s, struct random *r, const struct draft *d)
{
	const struct tcp_side *own = &s->tcp[d->side], *peer = &s->tcp[!d->side];
	uint32_t behind = power_above(peer->widest);
	const uint32_t seqs[] = {
		d->spec.seq,
		own->next,
		own->first,
		peer->got + scaled(peer),
		peer->got + peer->window,
		peer->got + ((uint32_t)peer->window << random_below(r, 15)),
		peer->got + peer->widest,
		own->first + 1 + behind,
		own->next - behind,
		own->next - behind - 1,
		own->next - behind - 1 - d->spec.payload,
	};

	return beside(r, random_pick(r, seqs));
}

static uint32_t odd_ack(const struct slot *s, struct random *r, const struct draft *d)
{
	const struct tcp_side *own = &s->tcp[d->side], *peer = &s->tcp[!d->side];
	const uint32_t acks[] = { d->spec.ack, own->got,   peer->next,
				  peer->first, peer->next, peer->next - most(power_above(own->widest), 65536) };

	return beside(r, random_pick(r, acks));
}

static void tcp_lie(struct slot *s, struct random *r, struct draft *d)
{
	static const uint8_t odd[] = { 0,
				       SYN,
				       SYN | ACK,
				       RST,
				       RST | ACK,
				       FIN | ACK,
				       ACK,
				       SYN | FIN,
				       FIN,
				       URG | PSH,
				       RST | FIN | ACK,
				       SYN | RST | ACK,
				       0xff,
				       0xc2,
				       0xc0 | ACK,
				       SYN | ACK | 0x40 };

	switch (random_below(r, 6)) {
	case 0:
	case 1:
		d->spec.seq = odd_seq(s, r, d);
		break;
	case 2:
		d->spec.ack = odd_ack(s, r, d);
		break;
	case 3:
		d->spec.flags = random_pick(r, odd);
		if (!d->spec.flags)
			d->spec.flags = PSH; /* the builder takes none for syn */
		break;
	case 4: /* a reset, or an acknowledgement, by somebody who guesses */
		d->spec.flags = random_chance(r, 60) ? RST : random_chance(r, 50) ? RST | ACK : ACK;
		d->spec.seq = odd_seq(s, r, d);
		d->spec.ack = odd_ack(s, r, d);
		d->spec.payload = 0;
		break;
	default:
		d->side = !d->side;
		break;
	}
}

static void put_tcp(struct slot *s, struct random *r, struct draft *d)
{
	char flags[9] = "";

	tcp_truth(s, r, d);
	if (random_chance(r, 18))
		tcp_lie(s, r, d);
	for (unsigned int i = 0, n = 0; i < 8; i++)
		if (d->spec.flags >> i & 1)
			flags[n++] = "FSRPAUEC"[i];
	snprintf(d->text, sizeof(d->text), "tcp %s seq %u ack %u win %d len %u opt %u", flags, d->spec.seq, d->spec.ack,
		 d->spec.window < 0 ? 0 : d->spec.window, d->spec.payload, d->spec.tcp_options);
}

/* ---- the others ---- */

static unsigned int answer_of(unsigned int question)
{
	return question == 8 ? 0 : question + 1;
}

static void put_query(struct slot *s, struct random *r, struct draft *d)
{
	unsigned int way = random_below(r, 100), other = random_below(r, 256);
	bool asks = way < 50;

	if (random_chance(r, 10))
		s->question = pick_question(r, s->family);
	d->side = asks ? s->origin : !s->origin;
	if (random_chance(r, 8))
		d->side = !d->side;
	d->spec.type = asks ? s->question : answer_of(s->question);
	if (way > 94)
		d->spec.type = s->family == 4 ? other % 44 : 126 + other % 20;
	if (random_chance(r, 3))
		s->origin = !s->origin;
	d->spec.ident = random_chance(r, 95) ? s->port[0] : random_below(r, 20) + 1;
	d->spec.payload = random_below(r, 30);
	snprintf(d->text, sizeof(d->text), "icmp type %u ident %u", d->spec.type, d->spec.ident);
}

static void put_plain(struct slot *s, struct random *r, struct draft *d)
{
	static const uint8_t types[] = { 0, 1, 3, 8, 128, 129, 135 }; /* of ICMP in the wrong family */

	d->side = random_below(r, 2);
	if (random_chance(r, 20))
		d->side = s->origin;
	d->spec.payload = random_below(r, 60);
	d->spec.type = random_pick(r, types);
	snprintf(d->text, sizeof(d->text), "proto %u len %u", s->proto, d->spec.payload);
}

static bool is_query(const struct slot *s)
{
	return s->proto == (s->family == 4 ? PROTO_ICMP : PROTO_ICMPV6);
}

/* ---- ICMP errors ---- */

static unsigned int pick_error(struct random *r, unsigned int family)
{
	static const uint8_t of4[] = { 3, 3, 3, 4, 5, 11, 12, 9 }, of6[] = { 1, 1, 2, 3, 4, 5, 137 };

	return family == 4 ? random_pick(r, of4) : random_pick(r, of6);
}

/* Takes a packet of the slot for what could not be delivered. False: there was none yet. */
static bool put_error(struct slot *s, struct random *r, struct draft *d)
{
	const struct memory *m = &s->memory[random_below(r, REMEMBERED)];
	unsigned int bytes, at;

	if (m->length <= m->l4)
		return false;
	bytes = m->l4 - m->l3 + 8;
	if (random_chance(r, 30))
		bytes = random_chance(r, 50) ? bytes - random_below(r, 12) : bytes + random_below(r, 100);
	if (bytes > m->length - m->l3)
		bytes = m->length - m->l3;
	if (bytes > sizeof(d->data))
		bytes = sizeof(d->data);
	memcpy(d->data, m->bytes + m->l3, bytes);
	d->side = random_chance(r, 92) ? !m->side : m->side;
	d->spec.proto = s->family == 4 ? PROTO_ICMP : PROTO_ICMPV6;
	d->spec.type = pick_error(r, s->family);
	d->spec.data = d->data;
	d->spec.n_data = bytes;
	at = random_below(r, 100);
	if (at < 20 &&
	    bytes) { /* a lie: in the first word, the fragment, the protocol, an address, a port, or anywhere */
		static const uint8_t at4[] = { 0, 0, 3, 6, 7, 9, 12, 16, 20, 21, 23, 24, 25 },
				     at6[] = { 0, 4, 6, 6, 8, 23, 24, 39, 40, 41, 43, 44, 45 };

		at = s->family == 4 ? random_pick(r, at4) : random_pick(r, at6);
		at = random_chance(r, 80) ? at : random_below(r, bytes);
		if (at < bytes)
			d->data[at] ^= random_chance(r, 60) ? 1u << random_below(r, 8) : random_below(r, 256);
	}
	snprintf(d->text, sizeof(d->text), "icmp error %u, %u bytes of: %.50s", d->spec.type, bytes, m->text);
	return true;
}

/* ---- what is of no conversation ---- */

static void put_stranger(struct random *r, struct draft *d)
{
	static const uint8_t types[] = { 0, 5, 127, 130, 132, 133, 135, 136, 137, 138, 141, 142, 143, 144, 255 };

	if (random_chance(r, 30)) {
		d->spec.family = -1;
		d->spec.etype = 0x0806;
		d->spec.payload = 46;
		snprintf(d->text, sizeof(d->text), "arp");
		return;
	}
	d->spec.family = 6;
	d->spec.proto = PROTO_ICMPV6;
	d->spec.type = random_pick(r, types);
	d->spec.saddr = hosts6[0];
	d->spec.daddr = here6;
	snprintf(d->text, sizeof(d->text), "icmpv6 type %u", d->spec.type);
}

/* ---- the packet around it ---- */

static void vary(struct draft *d, struct random *r)
{
	struct frame_spec *s = &d->spec;

	switch (random_below(r, 9)) {
	case 0:
		s->more = s->family == 4;
		if (s->family == 6)
			s->ext[0] = (struct frame_exthdr){ EXT_FRAGMENT, .frag = 1 };
		strcat(d->text, " first-fragment");
		break;
	case 1:
		s->frag_offset = s->family == 4 ? 100 : 0;
		if (s->family == 6)
			s->ext[0] = (struct frame_exthdr){ EXT_FRAGMENT, .frag = 100 << 3 };
		strcat(d->text, " later-fragment");
		break;
	case 2:
		s->ext[0].type = s->family == 4 ? EXT_AH : random_between(r, EXT_HOP, EXT_AH);
		s->ext[0].length = random_below(r, 3);
		strcat(d->text, " header");
		break;
	case 3:
		s->options = s->family == 4 ? random_between(r, 1, 10) : 0;
		break;
	case 4:
		s->tag[0].type = 0x8100;
		s->tag[0].tci = 7;
		break;
	case 5:
		s->pad = random_between(r, 1, 40);
		break;
	case 6:
		s->short_by = random_between(r, 1, 20);
		strcat(d->text, " short");
		break;
	case 7:
		s->pokes[0] = (struct frame_poke){ L3, random_below(r, 40), 1, random_below(r, 256) };
		strcat(d->text, " poked");
		break;
	default:
		s->pokes[0] = (struct frame_poke){ L4, random_below(r, 20), 1, random_below(r, 256) };
		strcat(d->text, " poked");
		break;
	}
}

static void address_draft(struct draft *d, const struct slot *s, struct random *r)
{
	struct frame_spec *spec = &d->spec;

	spec->family = s->family;
	spec->saddr = s->end[d->side].b;
	spec->daddr = s->end[!d->side].b;
	if (!spec->proto)
		spec->proto = s->proto;
	spec->sport = s->port[d->side];
	spec->dport = s->port[!d->side];
	if (spec->n_data) {
		static const uint8_t router4[4] = { 10, 0, 0, 1 }, router6[16] = { 0xfe, 0x80, [15] = 1 };

		if (random_chance(r, 40))
			spec->saddr = s->family == 4 ? router4 : router6;
		if (random_chance(r, 5))
			spec->daddr = s->family == 4 ? hosts4[2] : hosts6[2];
	}
}

static void remember(struct slot *s, const struct sighting *seen, unsigned int side)
{
	struct memory *m = &s->memory[s->n_memory++ % REMEMBERED];

	m->length = 0;
	if (seen->frame.length > sizeof(m->bytes))
		return;
	m->length = seen->frame.length;
	m->l3 = seen->frame.l3;
	m->l4 = seen->frame.l4;
	m->side = side;
	snprintf(m->text, sizeof(m->text), "%.99s", seen->text);
	memcpy(m->bytes, seen->frame.bytes, m->length);
}

/* One of the last packets of the slot, as it was. */
static bool repeat(struct slot *s, struct random *r, struct sighting *ret, unsigned int *side)
{
	const struct memory *m = &s->memory[random_below(r, REMEMBERED)];

	if (!m->length)
		return false;
	ret->frame.length = ret->frame.wire_length = m->length;
	ret->frame.l3 = m->l3;
	ret->frame.l4 = m->l4;
	memcpy(ret->frame.bytes, m->bytes, m->length);
	snprintf(ret->text, sizeof(ret->text), "again: %.90s", m->text);
	*side = m->side;
	return true;
}

static void compose(struct slot *s, struct random *r, struct sighting *ret, unsigned int *side)
{
	struct draft d = { 0 };
	bool error = random_chance(r, 7) && put_error(s, r, &d);

	if (!error && s->proto == PROTO_TCP)
		put_tcp(s, r, &d);
	else if (!error && is_query(s))
		put_query(s, r, &d);
	else if (!error)
		put_plain(s, r, &d);
	address_draft(&d, s, r);
	if (random_chance(r, 6))
		vary(&d, r);
	frame_make(&ret->frame, &d.spec);
	snprintf(ret->text, sizeof(ret->text), "%s", d.text);
	*side = d.side;
	if (!error)
		remember(s, ret, *side);
}

static void compose_stranger(struct random *r, struct sighting *ret)
{
	struct draft d = { 0 };

	put_stranger(r, &d);
	frame_make(&ret->frame, &d.spec);
	snprintf(ret->text, sizeof(ret->text), "%s", d.text);
	ret->slot = SEQUENCE_NO_SLOT;
}

/* ---- time and place ---- */

/* To where a flow of the slot ends, if its last packet was the last one that it saw; one tick more or less. */
static void jump(struct sequence *q, const struct slot *s)
{
	unsigned int time = random_below(q->r, FLOW_TIME_COUNT);
	uint64_t ticks = (q->times->time_ms[time] * 1000000 >> 24) + random_below(q->r, 3);
	uint64_t to;

	if (time == FLOW_TIME_TCP_ESTABLISHED && q->times->time_ms[time] > 1000000 && random_chance(q->r, 90))
		return;
	to = ((s->last_ns >> 24) + ticks - 1) * TICK_NS + random_below(q->r, TICK_NS);
	if (to > q->now_ns)
		q->now_ns = to;
}

static void pass_time(struct sequence *q, const struct slot *s)
{
	unsigned int way = random_below(q->r, 1000);

	if (way < 30)
		jump(q, s);
	else if (way < 100)
		q->now_ns += random_next(q->r) % (2 * SECOND_NS);
	else if (way < 900)
		q->now_ns += random_below(q->r, 5000000);
}

static void place(struct sequence *q, const struct slot *s, unsigned int side, struct sighting *ret)
{
	bool out = !s->forwarded && side == 0;

	if (random_chance(q->r, 1))
		out = !out;
	ret->out = out;
	ret->device = s->device[side];
	ret->from = -1;
	if (out && random_chance(q->r, 3))
		ret->from = random_below(q->r, SEQUENCE_DEVICES);
	q->pending = s->forwarded && random_chance(q->r, 85);
	q->pending_device = s->device[!side];
}

static void leave(struct sequence *q, struct sighting *ret)
{
	q->pending = false;
	ret->from = (int)ret->device;
	ret->device = q->pending_device;
	ret->out = true;
}

void sequence_next(struct sequence *sequence, struct sighting *ret)
{
	struct sequence *q = sequence;
	unsigned int number = random_below(q->r, SEQUENCE_SLOTS), side;
	struct slot *s = &q->slot[number];

	if (q->pending) {
		leave(q, ret);
		return;
	}
	if (random_below(q->r, 1000) < 5)
		make_slot(s, q->r);
	pass_time(q, s);
	ret->now_ns = q->now_ns;
	ret->slot = number;
	if (random_chance(q->r, 2)) {
		compose_stranger(q->r, ret);
		side = random_below(q->r, 2);
	} else if (!random_chance(q->r, 6) || !repeat(s, q->r, ret, &side)) {
		do
			compose(s, q->r, ret, &side);
		while (random_chance(q->r, 5)); /* lost on the way to us */
	}
	s->last_ns = q->now_ns;
	place(q, s, side, ret);
}
