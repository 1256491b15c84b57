// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lang/policy.h"
#include "gen_policy.h"
#include "pool.h"

#define SETS_MOST 8
#define N_DEVICES 6
#define LIST_MOST 6

/* What is being written. */
struct writer {
	FILE *out;
	struct random *r;
	const char *hooks; /* letters of FIELDS that the rules of this filter may use */
	bool in_list;      /* equal elements must be equal texts, so that put_list() finds them */
	bool list_names;   /* in a list: names where there are some */
	unsigned int n_sets;
	struct set_shape {
		unsigned int n_types;
		enum value_type type[3];
		bool with_ranges;
	} set[SETS_MOST];
};

#define say(w, ...) fprintf((w)->out, __VA_ARGS__)

/* ---- values ---- */

/* What an address in this place may be: FAMILY_ANY writes IPv4 and IPv6 alike. */
enum family { FAMILY_ANY = 0, FAMILY_4 = 4, FAMILY_6 = 6 };

static enum family family_of(struct writer *w, enum family family)
{
	return family != FAMILY_ANY ? family : random_chance(w->r, 50) ? FAMILY_4 : FAMILY_6;
}

static void put_address_bytes(struct writer *w, const uint8_t *b, enum family family)
{
	if (family == FAMILY_4) {
		say(w, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return;
	}
	for (unsigned int i = 0; i < 16; i += 2)
		say(w, "%s%x", i ? ":" : "", b[i] << 8 | b[i + 1]);
}

static const uint8_t *pick_address(struct writer *w, enum family family)
{
	return family == FAMILY_4 ? random_pick(w->r, pool_ipv4) : random_pick(w->r, pool_ipv6);
}

static void put_prefix(struct writer *w, enum family family)
{
	unsigned int bits = family == FAMILY_4 ? 32 : 128, length = random_below(w->r, bits + 1);
	static const uint8_t usual4[] = { 0, 8, 9, 16, 24, 25, 31, 32 },
			     usual6[] = { 0, 10, 32, 48, 63, 64, 65, 127, 128 };
	uint8_t b[16];

	if (random_chance(w->r, 80))
		length = family == FAMILY_4 ? random_pick(w->r, usual4) : random_pick(w->r, usual6);
	memcpy(b, pick_address(w, family), bits / 8);
	for (unsigned int i = length; i < bits; i++)
		b[i / 8] &= ~(0x80 >> i % 8);
	put_address_bytes(w, b, family);
	if (length < bits || !w->in_list)
		say(w, "/%u", length);
}

static void put_address_range(struct writer *w, enum family family)
{
	const uint8_t *a = pick_address(w, family), *b = pick_address(w, family);

	if (memcmp(a, b, family == FAMILY_4 ? 4 : 16) > 0) {
		const uint8_t *c = a;

		a = b;
		b = c;
	}
	put_address_bytes(w, a, family);
	if (w->in_list && family == FAMILY_4 && a[0] == 0 && b[0] == 255) {
		say(w, "/0");
	} else if (a != b || !w->in_list) {
		say(w, "-");
		put_address_bytes(w, b, family);
	}
}

static uint32_t pick_number(struct writer *w, enum value_type type, unsigned int bits)
{
	uint32_t most = bits >= 32 ? 0xffffffffu : (1u << bits) - 1;

	if (random_chance(w->r, 10))
		return (uint32_t)random_next(w->r) & most;
	switch (type) {
	case TYPE_PORT:
		return random_pick(w->r, pool_port);
	case TYPE_PROTO:
		return random_pick(w->r, pool_proto);
	case TYPE_ETYPE:
		return random_chance(w->r, 50)   ? 0x0800
		       : random_chance(w->r, 50) ? 0x86dd
						 : random_pick(w->r, pool_etype);
	case TYPE_ICMP:
		return random_pick(w->r, pool_icmp);
	case TYPE_ICMPV6:
		return random_pick(w->r, pool_icmpv6);
	case TYPE_DSCP:
		return random_pick(w->r, pool_dscp);
	case TYPE_USER:
		return random_pick(w->r, pool_uid);
	case TYPE_MARK:
		return random_pick(w->r, pool_mark);
	default:
		break;
	}
	if (bits == 12)
		return random_pick(w->r, pool_vlan);
	if (bits == 8)
		return random_pick(w->r, pool_ttl) & (random_chance(w->r, 50) ? 0xff : 3);
	if (bits == 16 || bits == 32)
		return random_pick(w->r, pool_length);
	if (bits == 13)
		return random_pick(w->r, pool_frag_off);
	return random_below(w->r, most + 1);
}

static void put_number(struct writer *w, enum value_type type, uint32_t n)
{
	static const struct {
		enum value_type type;
		uint32_t n;
		const char *name;
	} names[] = {
		{ TYPE_PORT, 22, "ssh" },
		{ TYPE_PORT, 53, "domain" },
		{ TYPE_PORT, 80, "http" },
		{ TYPE_PROTO, 6, "tcp" },
		{ TYPE_PROTO, 17, "udp" },
		{ TYPE_PROTO, 1, "icmp" },
		{ TYPE_ETYPE, 0x0800, "ip" },
		{ TYPE_ETYPE, 0x86dd, "ip6" },
		{ TYPE_ETYPE, 0x0806, "arp" },
		{ TYPE_ICMP, 8, "echo-request" },
		{ TYPE_ICMPV6, 128, "echo-request" },
		{ TYPE_DSCP, 46, "ef" },
		{ TYPE_DSCP, 8, "cs1" },
	};

	if (w->in_list ? w->list_names : random_chance(w->r, 60))
		for (size_t i = 0; i < POOL_SIZE(names); i++)
			if (names[i].type == type && names[i].n == n) {
				say(w, "%s", names[i].name);
				return;
			}
	if (type == TYPE_ETYPE)
		say(w, "0x%04x", n);
	else
		say(w, !w->in_list && random_chance(w->r, 15) ? "0x%x" : "%u", n);
}

static void put_value(struct writer *w, enum value_type type, unsigned int bits, enum family family)
{
	const uint8_t *m;

	switch (type) {
	case TYPE_ADDR:
		family = family_of(w, family);
		put_address_bytes(w, pick_address(w, family), family);
		break;
	case TYPE_MAC:
		m = random_pick(w->r, pool_mac);
		say(w, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
		break;
	case TYPE_IFACE:
		say(w, "dev%u", random_below(w->r, N_DEVICES));
		break;
	case TYPE_NFPROTO:
		say(w, random_chance(w->r, 50) ? "ipv4" : "ipv6");
		break;
	case TYPE_BOOL:
		say(w, random_chance(w->r, 50) ? "exists" : "missing");
		break;
	default:
		put_number(w, type, pick_number(w, type, bits));
		break;
	}
}

/* Has an order that a rule may ask about: ranges and < >. */
static bool has_order(enum value_type type)
{
	switch (type) {
	case TYPE_INT:
	case TYPE_PORT:
	case TYPE_PROTO:
	case TYPE_ICMP:
	case TYPE_ICMPV6:
	case TYPE_DSCP:
	case TYPE_MARK:
	case TYPE_USER:
		return true;
	default:
		return false;
	}
}

static void put_number_range(struct writer *w, enum value_type type, unsigned int bits, unsigned int widest)
{
	uint32_t a = pick_number(w, type, bits), b = pick_number(w, type, bits);
	uint32_t lo = a < b ? a : b, hi = a < b ? b : a;

	if (hi - lo > widest)
		hi = lo + random_below(w->r, widest) + 1;
	if (lo == hi && w->in_list)
		put_number(w, type, lo);
	else
		say(w, "%u-%u", lo, hi);
}

/* A value, prefix or range, as elements of lists and sets may be. */
static void put_element(struct writer *w, enum value_type type, unsigned int bits, enum family family)
{
	if (random_chance(w->r, 55) || (!has_order(type) && type != TYPE_ADDR)) {
		put_value(w, type, bits, family);
	} else if (type != TYPE_ADDR) {
		put_number_range(w, type, bits, 0xffffffff);
	} else {
		family = family_of(w, family);
		if (random_chance(w->r, 65))
			put_prefix(w, family);
		else
			put_address_range(w, family);
	}
}

/* Runs put_one until n different texts came out (or it does not find any more) and writes them as a list. */
typedef void (*put_one)(struct writer *w, const void *what);

static void put_list(struct writer *w, unsigned int n, put_one one, const void *what)
{
	char *texts[64] = { 0 };
	unsigned int have = 0;
	FILE *out = w->out;

	w->in_list = true;
	w->list_names = random_chance(w->r, 50);
	for (unsigned int tries = 0; have < n && have < POOL_SIZE(texts) && tries < 4 * n; tries++) {
		size_t size;
		bool twice = false;

		w->out = open_memstream(&texts[have], &size);
		if (!w->out)
			abort();
		one(w, what);
		fclose(w->out);
		for (unsigned int i = 0; i < have && !twice; i++)
			twice = strcmp(texts[i], texts[have]) == 0;
		if (twice)
			free(texts[have]);
		else
			have++;
	}
	w->out = out;
	w->in_list = false;
	say(w, "{ ");
	for (unsigned int i = 0; i < have; i++) {
		say(w, "%s%s", i ? ", " : "", texts[i]);
		free(texts[i]);
	}
	say(w, " }");
}

/* ---- named sets ---- */

static unsigned int type_bits(enum value_type type)
{
	switch (type) {
	case TYPE_PORT:
	case TYPE_ETYPE:
		return 16;
	case TYPE_DSCP:
		return 6;
	case TYPE_MARK:
	case TYPE_USER:
		return 32;
	default:
		return 8;
	}
}

static void put_set_element(struct writer *w, const void *what)
{
	const struct set_shape *s = what;

	for (unsigned int i = 0; i < s->n_types; i++) {
		say(w, "%s", i ? " . " : "");
		if (s->with_ranges && s->n_types == 1)
			put_element(w, s->type[i], type_bits(s->type[i]), FAMILY_ANY);
		else if (s->with_ranges && s->type[i] == TYPE_PORT && random_chance(w->r, 30))
			put_number_range(w, TYPE_PORT, 16, 4); /* each port of it is an element */
		else
			put_value(w, s->type[i], type_bits(s->type[i]), FAMILY_ANY);
	}
}

static void put_set(struct writer *w, unsigned int number)
{
	static const enum value_type single[] = { TYPE_ADDR, TYPE_ADDR,  TYPE_ADDR,  TYPE_ADDR, TYPE_PORT,
						  TYPE_PORT, TYPE_PROTO, TYPE_MAC,   TYPE_ICMP, TYPE_IFACE,
						  TYPE_DSCP, TYPE_ETYPE, TYPE_ICMPV6 };
	static const enum value_type joined[] = { TYPE_ADDR, TYPE_ADDR, TYPE_PROTO, TYPE_PORT, TYPE_PORT, TYPE_MAC };
	struct set_shape *s = &w->set[number];

	s->n_types = random_chance(w->r, 65) ? 1 : random_between(w->r, 2, 3);
	for (unsigned int i = 0; i < s->n_types; i++)
		s->type[i] = s->n_types == 1 ? random_pick(w->r, single) : random_pick(w->r, joined);
	s->with_ranges = random_chance(w->r, 60);
	say(w, "set s%u {\n\ttype ", number);
	for (unsigned int i = 0; i < s->n_types; i++)
		say(w, "%s%s", i ? " . " : "", value_type_name(s->type[i]));
	say(w, "\n");
	if (random_chance(w->r, 92)) {
		say(w, "\telements ");
		put_list(w, random_between(w->r, 1, random_chance(w->r, 80) ? 8 : 40), put_set_element, s);
		say(w, "\n");
	}
	say(w, "}\n");
}

/* ---- conditions ---- */

static bool field_allowed(const struct writer *w, enum field field)
{
	/* ct state depends on the packets before: t-sequence has it. */
	return field != FIELD_CT_STATE && strchr(w->hooks, field_info[field].hooks) != NULL;
}

/* Fields that decide most packets come more often than the rest. */
static enum field pick_field(struct writer *w)
{
	static const enum field usual[] = { FIELD_SADDR,     FIELD_DADDR,        FIELD_IP_SADDR,  FIELD_IP_DADDR,
					    FIELD_IP6_SADDR, FIELD_IP6_DADDR,    FIELD_TCP_DPORT, FIELD_UDP_DPORT,
					    FIELD_TCP_SPORT, FIELD_META_L4PROTO, FIELD_TH_DPORT,  FIELD_TCP_FLAGS,
					    FIELD_ICMP_TYPE, FIELD_ICMPV6_TYPE,  FIELD_VLAN_ID,   FIELD_META_LENGTH };

	if (strchr(w->hooks, 'E') && random_chance(w->r, 10))
		return FIELD_META_SKUID;
	for (;;) {
		enum field field =
			random_chance(w->r, 50) ? random_pick(w->r, usual) : (enum field)random_below(w->r, FIELD_MAX);

		if (field_allowed(w, field))
			return field;
	}
}

static enum family field_family(enum field field)
{
	switch (field_info[field].layer) {
	case LAYER_IP4:
		return FAMILY_4;
	case LAYER_IP6:
		return FAMILY_6;
	default:
		return FAMILY_ANY;
	}
}

static void put_field_element(struct writer *w, const void *what)
{
	enum field field = *(const enum field *)what;

	put_element(w, field_info[field].type, field_info[field].bits, field_family(field));
}

static void put_field_value(struct writer *w, enum field field)
{
	put_value(w, field_info[field].type, field_info[field].bits, field_family(field));
}

static const char *equal_sign(struct writer *w)
{
	static const char *const signs[] = { "", "", "== ", "!= " };

	return random_pick(w->r, signs);
}

static const char *maybe_not(struct writer *w)
{
	return random_chance(w->r, 30) ? "!= " : "";
}

static void put_tcp_flags(struct writer *w)
{
	static const char *const conditions[] = {
		"syn",
		"!= syn",
		"== syn",
		"== syn|ack",
		"& syn != 0",
		"& (syn | ack) == syn",
		"& (syn|ack) != syn",
		"& (fin | syn | rst | ack) == syn",
		"& (fin | syn) == (fin | syn)",
		"syn / syn,ack",
		"!= syn / syn,ack,rst,fin",
		"syn,ack / syn,ack",
		"& (fin|syn|rst|psh|ack|urg) == 0x0",
		"{ syn, ack, syn|ack, fin|ack }",
		"!= { syn, ack }",
		"& 0x3f == 0x2",
		"fin,psh,urg / fin,psh,urg",
	};

	say(w, "tcp flags %s", random_pick(w->r, conditions));
}

static void put_masked_address(struct writer *w, enum field field)
{
	enum family family = family_of(w, field_family(field));
	unsigned int bytes = family == FAMILY_4 ? 4 : 16;
	uint8_t mask[16], value[16];

	for (unsigned int i = 0; i < bytes; i++)
		mask[i] = random_chance(w->r, 70) ? 0xff : random_below(w->r, 256);
	memcpy(value, pick_address(w, family), bytes);
	for (unsigned int i = 0; i < bytes; i++)
		value[i] &= mask[i];
	say(w, "%s & ", field_info[field].words);
	put_address_bytes(w, mask, family);
	say(w, random_chance(w->r, 70) ? " == " : " != ");
	put_address_bytes(w, value, family);
}

/* (field & mask): numbers and addresses. */
static bool put_masked(struct writer *w, enum field field)
{
	const struct field_info *f = &field_info[field];
	uint32_t most = f->bits >= 32 ? 0xffffffffu : (1u << f->bits) - 1, mask, n;

	if (f->type == TYPE_ADDR) {
		put_masked_address(w, field);
		return true;
	}
	if (f->bits > 32 ||
	    (f->type != TYPE_INT && f->type != TYPE_PORT && f->type != TYPE_MARK && f->type != TYPE_DSCP))
		return false;
	mask = random_chance(w->r, 40) ? 1u << random_below(w->r, f->bits) : (uint32_t)random_next(w->r) & most;
	if (field == FIELD_IP_FRAG_OFF) {
		static const uint32_t masks[] = { 0x1fff, 0x2000, 0x3fff, 0x4000, 0xe000 };

		mask = random_pick(w->r, masks);
	}
	if (!mask)
		mask = most;
	n = pick_number(w, f->type, f->bits) & mask;
	say(w, "%s & 0x%x %s 0x%x", f->words, mask, random_chance(w->r, 60) ? "==" : "!=", n);
	return true;
}

static void put_comparison(struct writer *w, enum field field)
{
	static const char *const signs[] = { "<", ">", "<=", ">=" };
	const struct field_info *f = &field_info[field];
	uint32_t most = f->bits >= 32 ? 0xffffffffu : (1u << f->bits) - 1, n;

	do
		n = pick_number(w, f->type, f->bits);
	while (n == 0 || n == most);
	say(w, "%s %s %u", f->words, random_pick(w->r, signs), n);
}

static void put_field_condition(struct writer *w)
{
	enum field field = pick_field(w);
	const struct field_info *f = &field_info[field];
	unsigned int form = random_below(w->r, 100);

	if (f->type == TYPE_TCPFLAGS) {
		put_tcp_flags(w);
	} else if (f->type == TYPE_BOOL) {
		say(w, "%s ", f->words);
		put_field_value(w, field);
	} else if (form < 15 && put_masked(w, field)) {
		/* done */
	} else if (form < 30 && has_order(f->type) && f->bits > 1) {
		put_comparison(w, field);
	} else if (form < 45 && has_order(f->type)) {
		say(w, "%s %s", f->words, maybe_not(w));
		put_number_range(w, f->type, f->bits, 0xffffffff);
	} else if (form < 45 && f->type == TYPE_ADDR) {
		say(w, "%s %s", f->words, maybe_not(w));
		if (random_chance(w->r, 70))
			put_prefix(w, family_of(w, field_family(field)));
		else
			put_address_range(w, family_of(w, field_family(field)));
	} else if (form < 70) {
		say(w, "%s %s", f->words, maybe_not(w));
		put_list(w, random_between(w->r, 1, LIST_MOST), put_field_element, &field);
	} else {
		say(w, "%s %s", f->words, equal_sign(w));
		put_field_value(w, field);
	}
}

/* A field of this type, to be looked up in a named set. */
static bool pick_field_of_type(struct writer *w, enum value_type type, enum field *ret)
{
	for (unsigned int tries = 0; tries < 500; tries++) {
		enum field field = random_below(w->r, FIELD_MAX);

		if (field_info[field].type == type && field_allowed(w, field)) {
			*ret = field;
			return true;
		}
	}
	return false;
}

static bool put_set_condition(struct writer *w)
{
	unsigned int number = random_below(w->r, w->n_sets);
	const struct set_shape *s = &w->set[number];
	enum field field[3];

	for (unsigned int i = 0; i < s->n_types; i++)
		if (!pick_field_of_type(w, s->type[i], &field[i]))
			return false;
	for (unsigned int i = 0; i < s->n_types; i++)
		say(w, "%s%s", i ? " . " : "", field_info[field[i]].words);
	say(w, " %s@s%u", maybe_not(w), number);
	return true;
}

static void put_joined_element(struct writer *w, const void *what)
{
	const enum field *field = what;

	for (unsigned int i = 0; i < 2; i++) {
		if (i == 0) { /* only the last part may be more than one value */
			put_field_value(w, field[i]);
			say(w, " . ");
		} else {
			put_field_element(w, &field[i]);
		}
	}
}

static void put_joined_condition(struct writer *w)
{
	enum field field[2];

	for (unsigned int i = 0; i < 2; i++)
		do
			field[i] = pick_field(w);
		while (field_info[field[i]].type == TYPE_TCPFLAGS || field_info[field[i]].type == TYPE_BOOL ||
		       (i && field[0] == field[1]));
	say(w, "%s . %s %s", field_info[field[0]].words, field_info[field[1]].words, maybe_not(w));
	put_list(w, random_between(w->r, 1, LIST_MOST), put_joined_element, field);
}

static void put_condition(struct writer *w)
{
	unsigned int kind = random_below(w->r, 100);

	if (kind < 25 && w->n_sets && put_set_condition(w))
		return;
	if (kind >= 90)
		put_joined_condition(w);
	else
		put_field_condition(w);
}

/* ---- rules and filters ---- */

static void put_statement(struct writer *w)
{
	switch (random_below(w->r, 4)) {
	case 0:
		say(w, " log prefix \"p%u \"", random_below(w->r, 3));
		break;
	case 1:
		say(w, " counter c%u", random_below(w->r, 3));
		break;
	case 2:
		say(w, " log");
		break;
	default:
		say(w, " counter");
		break;
	}
}

static void put_verdict(struct writer *w)
{
	unsigned int kind = random_below(w->r, 100);

	if (kind < 45)
		say(w, " accept");
	else if (kind < 90)
		say(w, " drop");
	else
		say(w, " redirect to dev%u", random_below(w->r, N_DEVICES));
}

static void put_rule(struct writer *w)
{
	unsigned int conditions = random_chance(w->r, 55) ? 1 : random_between(w->r, 2, 4);
	bool counted = false;

	say(w, "\t");
	for (unsigned int i = 0; i < conditions; i++) {
		if (i)
			say(w, " ");
		put_condition(w);
		if (!counted && random_chance(w->r, 12)) {
			put_statement(w);
			counted = true;
		}
	}
	if (!counted && random_chance(w->r, 15)) {
		put_statement(w);
		counted = true;
	}
	if (!counted || random_chance(w->r, 60))
		put_verdict(w);
	if (random_chance(w->r, 8))
		say(w, " comment \"rule %u\"", random_below(w->r, 100));
	if (random_chance(w->r, 8))
		say(w, " # accept drop");
	say(w, "\n");
}

/* The inside of a filter: policies and rules. malloc'ed. */
static char *make_body(struct writer *w, const char *hooks, const char *devices)
{
	static const char *const way[] = { "drop", "accept" };
	static const char *const fragments[] = { "drop", "accept", "accept", "track" };
	FILE *out = w->out;
	unsigned int n;
	char *text;
	size_t size;

	w->hooks = hooks;
	w->out = open_memstream(&text, &size);
	if (!w->out)
		abort();
	say(w, "\tdevice %s\n", devices);
	if (random_chance(w->r, 60))
		say(w, "\tmalformed %s\n", random_pick(w->r, way));
	if (random_chance(w->r, 70))
		say(w, "\tfragments %s\n", random_pick(w->r, fragments));
	say(w, "\tdefault %s\n", random_pick(w->r, way));
	if (random_chance(w->r, 20))
		say(w, "\tcounters off\n");
	n = random_chance(w->r, 6)    ? 300
	    : random_chance(w->r, 30) ? random_between(w->r, 20, 60)
				      : random_between(w->r, 1, 20);
	for (unsigned int i = 0; i < n; i++)
		put_rule(w);
	fclose(w->out);
	w->out = out;
	return text;
}

/* One body on several hooks. */
static void put_filters(struct writer *w, const char *stem, const char *hooks, const char *devices)
{
	char *body = make_body(w, hooks, devices);

	if (strcmp(hooks, "AI") == 0 || strcmp(hooks, "A") == 0)
		say(w, "filter %s_xdp {\n\thook ingress\n%s}\n", stem, body);
	if (strchr(hooks, 'I') || strcmp(hooks, "A") == 0 || strcmp(hooks, "AT") == 0)
		say(w, "filter %s_tc {\n\thook ingress tc\n%s}\n", stem, body);
	if (strchr(hooks, 'E') || strcmp(hooks, "A") == 0 || strcmp(hooks, "AT") == 0)
		say(w, "filter %s_out {\n\thook egress\n%s}\n", stem, body);
	free(body);
}

char *gen_policy(struct random *random)
{
	struct writer w = { .r = random };
	char *text;
	size_t size;

	w.out = open_memstream(&text, &size);
	if (!w.out)
		abort();
	say(&w, "# a comment\ndefine uplinks = { dev1, dev2 }\n");
	w.n_sets = random_below(random, SETS_MOST + 1);
	for (unsigned int i = 0; i < w.n_sets; i++)
		put_set(&w, i);
	put_filters(&w, "all", "A", "dev0");
	if (random_chance(random, 50))
		put_filters(&w, "more", "A", "$uplinks");
	if (random_chance(random, 40))
		put_filters(&w, "tc", "AT", "dev3");
	if (random_chance(random, 40))
		put_filters(&w, "own", "ATE", "dev4, dev5");
	fclose(w.out);
	return text;
}
