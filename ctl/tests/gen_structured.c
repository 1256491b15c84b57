// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen_structured.h"

#define NETS         8  /* of each family */
#define COMBINATIONS 16 /* of values that the compiler writes out for one rule of a large file */

struct maker {
	struct random *r;
	uint8_t net[2][NETS][16]; /* IPv4, IPv6 */
	uint8_t net_length[2][NETS];
	uint16_t port[40];
};

static unsigned int bits_of(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

/* ---- rules ---- */

static void make_networks(struct maker *m)
{
	for (unsigned int i = 0; i < NETS; i++) {
		for (unsigned int k = 0; k < 16; k++) {
			m->net[0][i][k] = random_next(m->r);
			m->net[1][i][k] = random_next(m->r);
		}
		m->net[0][i][0] = 11 + i / 2; /* some networks share their first bits */
		m->net[1][i][0] = 0x20;
		m->net[1][i][1] = i / 2;
		m->net_length[0][i] = random_between(m->r, 8, 20);
		m->net_length[1][i] = random_between(m->r, 16, 48);
	}
	for (unsigned int i = 0; i < sizeof(m->port) / sizeof(m->port[0]); i++)
		m->port[i] =
			random_chance(m->r, 60) ? random_between(m->r, 1, 1023) : random_between(m->r, 1024, 65535);
}

/* An address in one of the networks. */
static void make_host(struct maker *m, uint8_t family, uint8_t *ret)
{
	unsigned int net = random_below(m->r, NETS), length = m->net_length[family == 6][net];

	memcpy(ret, m->net[family == 6][net], 16);
	for (unsigned int i = length; i < bits_of(family); i++)
		if (random_chance(m->r, family == 6 ? 10 : 50))
			ret[i / 8] ^= 0x80 >> i % 8;
	if (family == 4)
		memset(ret + 4, 0, 12);
}

static void set_bits(uint8_t *address, unsigned int from, unsigned int to, bool value)
{
	for (unsigned int i = from; i < to; i++) {
		if (value)
			address[i / 8] |= 0x80 >> i % 8;
		else
			address[i / 8] &= ~(0x80 >> i % 8);
	}
}

static struct shape_address make_address(struct maker *m, uint8_t family)
{
	static const uint8_t lengths4[] = { 8, 12, 16, 16, 20, 22, 24, 24, 24, 26, 28, 30, 31, 32, 32, 32, 32, 32 };
	static const uint8_t lengths6[] = { 16, 32, 32, 48, 48, 56, 63, 64, 64, 64, 65, 96, 127, 128, 128, 128 };
	struct shape_address a = { .family = family };

	a.length = family == 4 ? random_pick(m->r, lengths4) : random_pick(m->r, lengths6);
	make_host(m, family, a.lo);
	memcpy(a.hi, a.lo, 16);
	set_bits(a.lo, a.length, bits_of(family), false);
	set_bits(a.hi, a.length, bits_of(family), true);
	return a;
}

/* From an address to one that differs in its last bits. */
static struct shape_address make_range(struct maker *m, uint8_t family)
{
	unsigned int bits = bits_of(family);
	struct shape_address a = { .family = family, .length = -1 };

	make_host(m, family, a.lo);
	memcpy(a.hi, a.lo, 16);
	for (unsigned int i = bits - random_between(m->r, 2, 14); i < bits; i++)
		set_bits(a.hi, i, i + 1, random_chance(m->r, 50));
	if (memcmp(a.lo, a.hi, 16) > 0) {
		struct shape_address b = a;

		memcpy(a.lo, b.hi, 16);
		memcpy(a.hi, b.lo, 16);
	}
	if (!memcmp(a.lo, a.hi, 16)) { /* one address twice is no range */
		a.lo[bits / 8 - 1] = 1;
		a.hi[bits / 8 - 1] = 7;
	}
	return a;
}

static bool same_address(const struct shape_address *a, const struct shape_address *b)
{
	return a->family == b->family && !memcmp(a->lo, b->lo, 16) && !memcmp(a->hi, b->hi, 16);
}

static void make_addresses(struct maker *m, struct shape *s, struct shape_addresses *a, uint8_t family, bool source)
{
	static const uint8_t any[] = { 45, 30 };

	if (random_chance(m->r, any[!source]))
		return;
	a->n = random_chance(m->r, 90) ? 1 : random_between(m->r, 2, SHAPE_VALUES);
	a->neutral = random_chance(m->r, 30);
	for (unsigned int i = 0; i < a->n; i++) {
		bool range = random_chance(m->r, 2);

		a->at[i] = range ? make_range(m, family) : make_address(m, family);
		s->rough = s->rough || range;
		for (unsigned int k = 0; k < i; k++) /* the same element twice is an error */
			if (same_address(&a->at[k], &a->at[i]))
				a->n = i;
	}
	a->not = random_chance(m->r, 2);
	s->rough = s->rough || a->not;
}

static void make_ports(struct maker *m, struct shape *s, struct shape_ports *p, unsigned int any)
{
	if (random_chance(m->r, any))
		return;
	p->n = random_chance(m->r, 92) ? 1 : random_between(m->r, 2, SHAPE_VALUES);
	for (unsigned int i = 0; i < p->n; i++) {
		unsigned int kind = random_below(m->r, 100);
		uint16_t a = random_pick(m->r, m->port), b = random_pick(m->r, m->port);

		if (kind < 70)
			b = a;
		p->at[i].lo = a < b ? a : b;
		p->at[i].hi = a < b ? b : a;
		if (kind >= 90) {
			p->at[i].lo = kind < 93 ? 0 : 1024;
			p->at[i].hi = kind < 93 ? 1023 : 65535;
		}
		for (unsigned int k = 0; k < i; k++)
			if (!memcmp(&p->at[k], &p->at[i], sizeof(p->at[i])))
				p->n = i;
	}
	p->not = random_chance(m->r, 2);
	s->rough = s->rough || p->not;
}

static void make_transport(struct maker *m, struct shape *s, uint8_t family)
{
	static const uint8_t protos[] = { 6, 17, 47, 50, 89 }, types4[] = { 0, 3, 8, 11 },
			     types6[] = { 1, 128, 129, 135 };
	static const uint8_t flags[][2] = { { 0x02, 0x12 }, { 0x02, 0x17 }, { 0x10, 0x10 }, { 0x02, 0xff } };
	unsigned int kind = random_below(m->r, 100), flag = random_below(m->r, 4);

	if (kind < 6)
		return;
	if (kind < 14) {
		s->proto = PROTO_LIST;
		s->n_protos = random_chance(m->r, 70) ? 1 : 2;
		s->protos[0] = random_pick(m->r, protos);
		s->protos[1] = s->protos[0] == 6 ? 17 : 6;
	} else if (kind < 20) {
		s->proto = family == 4 ? PROTO_ICMP : PROTO_ICMPV6;
		s->type = family == 4 ? random_pick(m->r, types4) : random_pick(m->r, types6);
	} else {
		s->proto = kind < 65 ? PROTO_TCP : kind < 92 ? PROTO_UDP : PROTO_PORTS;
		make_ports(m, s, &s->sport, 75);
		make_ports(m, s, &s->dport, 15);
		if (!s->sport.n && !s->dport.n) {
			s->dport.n = 1;
			s->dport.at[0].lo = s->dport.at[0].hi = random_pick(m->r, m->port);
		}
		if (s->proto == PROTO_TCP && random_chance(m->r, 8)) {
			s->flags = flags[flag][0];
			s->flags_mask = flags[flag][1];
		}
	}
}

static void make_more(struct maker *m, struct shape *s)
{
	static const uint8_t ttls[] = { 1, 63, 64, 128, 255 }, dscps[] = { 0, 8, 46 };
	unsigned int kind = random_below(m->r, 100);

	if (kind >= 3)
		return;
	s->more = kind == 0 ? MORE_TTL : kind == 1 ? MORE_TTL_ABOVE : MORE_DSCP;
	s->more_value = kind < 2 ? random_pick(m->r, ttls) : random_pick(m->r, dscps);
	if (s->more == MORE_TTL_ABOVE && s->more_value == 255)
		s->more_value = 100;
	s->rough = true;
}

static unsigned int combinations(const struct shape *s)
{
	return (s->saddr.n ?: 1) * (s->daddr.n ?: 1) * (s->sport.n ?: 1) * (s->dport.n ?: 1) * (s->n_protos ?: 1);
}

static void make_shape(struct maker *m, struct shape *s)
{
	uint8_t family = random_chance(m->r, 60) ? 4 : 6;
	unsigned int act = random_below(m->r, 1000);

	make_addresses(m, s, &s->saddr, family, true);
	make_addresses(m, s, &s->daddr, family, false);
	for (unsigned int i = 0; i < SHAPE_SETS; i++)
		if (random_chance(m->r, 2))
			s->set[i] = random_chance(m->r, 80) ? SET_IN : SET_NOT_IN;
	make_transport(m, s, family);
	make_more(m, s);
	s->act = act < 900   ? ACT_VERDICT
		 : act < 940 ? ACT_COUNT
		 : act < 970 ? ACT_LOG
		 : act < 990 ? ACT_ONLY_COUNT
			     : ACT_COUNT_EARLY;
	s->drop = random_chance(m->r, 50);
	if (!s->saddr.n && !s->daddr.n && s->proto == PROTO_ANY) /* would end most packets' search */
		s->act = ACT_ONLY_COUNT;
	if (s->act == ACT_COUNT_EARLY && !s->daddr.n && s->proto == PROTO_ANY && !s->more)
		s->act = ACT_COUNT; /* nothing stands behind the statement */
	s->eager = s->act == ACT_ONLY_COUNT || s->act == ACT_COUNT_EARLY;
	s->rough = s->rough || s->act == ACT_COUNT_EARLY || combinations(s) > COMBINATIONS;
}

static int address_weight(const struct shape_addresses *a)
{
	if (!a->n || a->not)
		return 0;
	return a->at[0].family == 4 ? (a->at[0].length < 0 ? 24 : a->at[0].length)
				    : (a->at[0].length < 0 ? 30 : a->at[0].length / 4);
}

static int ports_weight(const struct shape_ports *p)
{
	return p->n && !p->not && p->at[0].lo == p->at[0].hi ? 12 : 0;
}

/* Narrow rules mostly stand before wide ones, or few rules would decide on all packets. */
static int compare_weights(const void *a, const void *b)
{
	const struct shape *x = a, *y = b;

	return (y->weight > x->weight) - (y->weight < x->weight);
}

/* ---- text ---- */

static void put_bytes(FILE *out, const uint8_t *b, uint8_t family)
{
	if (family == 4)
		fprintf(out, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else
		for (unsigned int i = 0; i < 16; i += 2)
			fprintf(out, "%s%x", i ? ":" : "", b[i] << 8 | b[i + 1]);
}

static void put_address(FILE *out, const struct shape_address *a)
{
	put_bytes(out, a->lo, a->family);
	if (a->length >= 0 && a->length < (int)bits_of(a->family))
		fprintf(out, "/%d", a->length);
	if (a->length < 0) {
		fputc('-', out);
		put_bytes(out, a->hi, a->family);
	}
}

static void put_addresses(FILE *out, const struct shape_addresses *a, const char *word)
{
	if (!a->n)
		return;
	fprintf(out, " %s%s%s", a->neutral ? "" : a->at[0].family == 4 ? "ip " : "ip6 ", word, a->not? " !=" : "");
	fputs(a->n > 1 ? " { " : " ", out);
	for (unsigned int i = 0; i < a->n; i++) {
		fputs(i ? ", " : "", out);
		put_address(out, &a->at[i]);
	}
	fputs(a->n > 1 ? " }" : "", out);
}

static void put_ports(FILE *out, const struct shape_ports *p, const char *proto, const char *word)
{
	if (!p->n)
		return;
	fprintf(out, " %s %s%s%s", proto, word, p->not? " !=" : "", p->n > 1 ? " { " : " ");
	for (unsigned int i = 0; i < p->n; i++) {
		fprintf(out, "%s%u", i ? ", " : "", p->at[i].lo);
		if (p->at[i].lo != p->at[i].hi)
			fprintf(out, "-%u", p->at[i].hi);
	}
	fputs(p->n > 1 ? " }" : "", out);
}

static void put_transport(FILE *out, const struct shape *s)
{
	static const char *const words[] = { [PROTO_TCP] = "tcp", [PROTO_UDP] = "udp", [PROTO_PORTS] = "th" };

	switch (s->proto) {
	case PROTO_ANY:
		break;
	case PROTO_LIST:
		fprintf(out, s->n_protos > 1 ? " meta l4proto { %u, %u }" : " meta l4proto %u", s->protos[0],
			s->protos[1]);
		break;
	case PROTO_ICMP:
		fprintf(out, " icmp type %u", s->type);
		break;
	case PROTO_ICMPV6:
		fprintf(out, " icmpv6 type %u", s->type);
		break;
	default:
		put_ports(out, &s->sport, words[s->proto], "sport");
		put_ports(out, &s->dport, words[s->proto], "dport");
		if (s->flags_mask)
			fprintf(out, " tcp flags & 0x%x == 0x%x", s->flags_mask, s->flags);
	}
}

static void put_shape(FILE *out, const struct shape *s)
{
	static const char *const more[] = { "", " ttl %u", " ttl > %u", " dscp %u" };

	if (s->set[0])
		fprintf(out, " saddr %s@s0", s->set[0] == SET_NOT_IN ? "!= " : "");
	if (s->set[1])
		fprintf(out, " daddr %s@s1", s->set[1] == SET_NOT_IN ? "!= " : "");
	put_addresses(out, &s->saddr, "saddr");
	if (s->act == ACT_COUNT_EARLY)
		fputs(" counter", out);
	put_addresses(out, &s->daddr, "daddr");
	put_transport(out, s);
	if (s->more)
		fprintf(out, more[s->more], s->more_value);
	if (s->act == ACT_LOG)
		fputs(" log prefix \"x\"", out);
	else if (s->act == ACT_COUNT || s->act == ACT_ONLY_COUNT)
		fputs(" counter", out);
	if (s->act != ACT_ONLY_COUNT)
		fputs(s->drop ? " drop" : " accept", out);
	fputc('\n', out);
}

static void put_text(const struct structure *structure, FILE *out, bool hooks)
{
	static const char *const names[] = { "xdp", "tc", "out" }, *const words[] = { "ingress", "ingress tc",
										      "egress" };

	for (unsigned int i = 0; i < SHAPE_SETS; i++) {
		fprintf(out, "set s%u {\n\ttype addr\n\telements { ", i);
		for (unsigned int k = 0; k < SHAPE_ELEMENTS; k++) {
			fputs(k ? ", " : "", out);
			put_address(out, &structure->set[i][k]);
		}
		fputs(" }\n}\n", out);
	}
	for (unsigned int h = 0; h < (hooks ? 3 : 1); h++) {
		fprintf(out, "filter all_%s {\n\thook %s\n\tdevice dev0\n\tdefault accept\n", names[h], words[h]);
		for (size_t i = 0; i < structure->n; i++)
			put_shape(out, &structure->shapes[i]);
		fputs("}\n", out);
	}
}

static void make_elements(struct maker *m, struct shape_address *ret)
{
	for (unsigned int n = 0; n < SHAPE_ELEMENTS;) {
		unsigned int k = 0;

		ret[n] = make_address(m, n % 2 ? 6 : 4);
		while (k < n && !same_address(&ret[k], &ret[n]))
			k++;
		n += k == n; /* the same element twice is an error */
	}
}

void structure_make(struct structure *ret, struct random *random, size_t rules, bool hooks)
{
	struct maker maker = { .r = random };
	size_t size;
	FILE *out;

	*ret = (struct structure){ .n = rules, .shapes = calloc(rules, sizeof(*ret->shapes)) };
	out = open_memstream(&ret->text, &size);
	if (!ret->shapes || !out)
		abort();
	make_networks(&maker);
	for (unsigned int i = 0; i < SHAPE_SETS; i++)
		make_elements(&maker, ret->set[i]);
	for (size_t i = 0; i < rules; i++) {
		struct shape *shape = &ret->shapes[i];
		uint32_t weight;

		make_shape(&maker, shape);
		weight = address_weight(&shape->saddr) + address_weight(&shape->daddr) + ports_weight(&shape->sport) +
			 ports_weight(&shape->dport) + random_below(random, 30);
		shape->weight = weight << 20 | i; /* no two are the same */
	}
	qsort(ret->shapes, rules, sizeof(*ret->shapes), compare_weights);
	put_text(ret, out, hooks);
	fclose(out);
}

void structure_clear(struct structure *structure)
{
	free(structure->shapes);
	free(structure->text);
}

/* ---- what a rule matches ---- */

static bool in_address(const struct shape_address *a, uint8_t family, const uint8_t *address)
{
	return a->family == family && memcmp(a->lo, address, bits_of(family) / 8) <= 0 &&
	       memcmp(address, a->hi, bits_of(family) / 8) <= 0;
}

static bool in_addresses(const struct shape_addresses *a, uint8_t family, const uint8_t *address)
{
	bool in = false;

	if (!a->n)
		return true;
	if (!a->neutral && a->at[0].family != family)
		return false; /* the field is not there */
	for (unsigned int i = 0; i < a->n; i++)
		in = in || in_address(&a->at[i], family, address);
	return in != a->not;
}

static bool in_ports(const struct shape_ports *p, uint16_t port)
{
	bool in = false;

	for (unsigned int i = 0; i < p->n; i++)
		in = in || (p->at[i].lo <= port && port <= p->at[i].hi);
	return !p->n || in != p->not;
}

bool structure_in_set(const struct structure *structure, unsigned int set, const struct shape_packet *packet)
{
	for (unsigned int i = 0; i < SHAPE_ELEMENTS; i++)
		if (in_address(&structure->set[set][i], packet->family, set ? packet->daddr : packet->saddr))
			return true;
	return false;
}

static bool transport_matches(const struct shape *s, const struct shape_packet *p)
{
	switch (s->proto) {
	case PROTO_ANY:
		return true;
	case PROTO_LIST:
		return p->proto == s->protos[0] || (s->n_protos > 1 && p->proto == s->protos[1]);
	case PROTO_ICMP:
		return p->family == 4 && p->proto == 1 && p->type == s->type;
	case PROTO_ICMPV6:
		return p->family == 6 && p->proto == 58 && p->type == s->type;
	case PROTO_TCP:
		if (p->proto != 6 || (p->flags & s->flags_mask) != s->flags)
			return false;
		break;
	case PROTO_UDP:
		if (p->proto != 17)
			return false;
		break;
	case PROTO_PORTS:
		if (p->proto != 6 && p->proto != 17)
			return false;
		break;
	}
	return in_ports(&s->sport, p->sport) && in_ports(&s->dport, p->dport);
}

bool shape_matches(const struct structure *structure, const struct shape *s, const struct shape_packet *p)
{
	for (unsigned int i = 0; i < SHAPE_SETS; i++)
		if (s->set[i] && structure_in_set(structure, i, p) != (s->set[i] == SET_IN))
			return false;
	if (!in_addresses(&s->saddr, p->family, p->saddr) || !in_addresses(&s->daddr, p->family, p->daddr))
		return false;
	if (!transport_matches(s, p))
		return false;
	switch (s->more) {
	case MORE_TTL:
		return p->ttl == s->more_value;
	case MORE_TTL_ABOVE:
		return p->ttl > s->more_value;
	case MORE_DSCP:
		return p->dscp == s->more_value;
	default:
		return true;
	}
}

/* ---- packets ---- */

static void pick_address(struct random *r, const struct shape_addresses *a, uint8_t family, uint8_t *ret)
{
	unsigned int bits = bits_of(family), kind = random_below(r, 100), at;
	const struct shape_address *from;

	if (!a->n)
		return;
	from = &a->at[random_below(r, a->n)];
	if (from->family != family)
		return;
	memcpy(ret, kind < 40 ? from->lo : from->hi, 16);
	if (kind >= 60 && from->length >= 0) /* inside */
		for (unsigned int i = from->length; i < bits; i++)
			set_bits(ret, i, i + 1, random_chance(r, 50));
	if (kind >= 90) { /* a neighbour */
		at = random_below(r, bits);
		ret[at / 8] ^= 0x80 >> at % 8;
	}
}

static uint16_t pick_port(struct random *r, const struct shape_ports *p)
{
	unsigned int kind = random_below(r, 100), i;

	if (!p->n || kind >= 95)
		return random_below(r, 65536);
	i = random_below(r, p->n);
	if (kind < 10)
		return p->at[i].lo - 1;
	if (kind < 20)
		return p->at[i].hi + 1;
	return kind < 50 ? p->at[i].lo : kind < 80 ? p->at[i].hi : random_between(r, p->at[i].lo, p->at[i].hi);
}

/* What the rule asks for, as far as it asks. */
static void pick_from(struct random *r, const struct shape *s, struct shape_packet *p)
{
	pick_address(r, &s->saddr, p->family, p->saddr);
	pick_address(r, &s->daddr, p->family, p->daddr);
	if (s->proto == PROTO_LIST)
		p->proto = s->protos[random_below(r, s->n_protos)];
	else if (s->proto == PROTO_TCP || s->proto == PROTO_UDP)
		p->proto = s->proto == PROTO_TCP ? 6 : 17;
	else if (s->proto == PROTO_PORTS)
		p->proto = random_chance(r, 50) ? 6 : 17;
	else if (s->proto != PROTO_ANY)
		p->proto = p->family == 4 ? 1 : 58;
	if (s->proto == PROTO_ICMP || s->proto == PROTO_ICMPV6)
		p->type = s->type;
	if (s->sport.n)
		p->sport = pick_port(r, &s->sport);
	if (s->dport.n)
		p->dport = pick_port(r, &s->dport);
	if (s->flags_mask)
		p->flags = s->flags | (random_next(r) & ~s->flags_mask);
	if (s->more == MORE_TTL || s->more == MORE_TTL_ABOVE)
		p->ttl = s->more_value + (s->more == MORE_TTL_ABOVE && random_chance(r, 70));
	else if (s->more == MORE_DSCP)
		p->dscp = s->more_value;
}

static uint8_t family_of(const struct shape *s, struct random *r)
{
	if (s->saddr.n)
		return s->saddr.at[0].family;
	if (s->daddr.n)
		return s->daddr.at[0].family;
	return s->proto == PROTO_ICMP ? 4 : s->proto == PROTO_ICMPV6 ? 6 : random_chance(r, 50) ? 4 : 6;
}

/* Clears what a packet of this protocol does not have. */
static void settle(struct shape_packet *p)
{
	if (p->proto != 6 && p->proto != 17)
		p->sport = p->dport = 0;
	if (p->proto != 6)
		p->flags = 0;
	if (p->proto != 1 && p->proto != 58)
		p->type = 0;
	if (p->family == 4) {
		memset(p->saddr + 4, 0, 12);
		memset(p->daddr + 4, 0, 12);
	}
}

void structure_pick(const struct structure *structure, struct random *r, struct shape_packet *ret)
{
	static const uint8_t protos[] = { 6, 6, 17, 17, 47, 50 }, flags[] = { 0x02, 0x10, 0x12, 0x18 };
	const struct shape *s = &structure->shapes[random_below(r, structure->n)];
	struct shape_packet p = { .family = family_of(s, r) };

	for (unsigned int i = 0; i < 16; i++) {
		p.saddr[i] = random_next(r);
		p.daddr[i] = random_next(r);
	}
	p.saddr[0] = p.daddr[0] = p.family == 4 ? random_between(r, 11, 15) : 0x20;
	p.proto = random_pick(r, protos);
	p.sport = random_below(r, 65536);
	p.dport = random_below(r, 65536);
	p.flags = random_pick(r, flags);
	p.ttl = random_between(r, 1, 255);
	p.dscp = random_chance(r, 50) ? 0 : random_below(r, 64);
	if (random_chance(r, 50)) /* half of another rule first */
		pick_from(r, &structure->shapes[random_below(r, structure->n)], &p);
	if (random_chance(r, 95))
		pick_from(r, s, &p);
	if (random_chance(r, 8)) { /* an element of a set */
		unsigned int set = random_below(r, SHAPE_SETS);
		const struct shape_address *a = &structure->set[set][random_below(r, SHAPE_ELEMENTS)];

		if (a->family == p.family)
			memcpy(set ? p.daddr : p.saddr, random_chance(r, 50) ? a->lo : a->hi, 16);
	}
	settle(&p);
	*ret = p;
}
