/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Large rule files that look like real ones: prefixes of several lengths out of a few networks, exact, ranged and wild
 * ports, protocols, TCP flags, lists, sets, and some rules that only a program can say. As text, and as structures that
 * say plainly what a rule matches; and packets at the corners of the rules.
 */
#pragma once

#include "random.h"

#define SHAPE_VALUES   3
#define SHAPE_SETS     2 /* `@s0` is looked up by saddr, `@s1` by daddr */
#define SHAPE_ELEMENTS 12

/* Addresses lo ... hi; IPv4: the first 4 bytes. */
struct shape_address {
	uint8_t family; /* 4 or 6 */
	int length;     /* of the prefix; -1: a range */
	uint8_t lo[16], hi[16];
};

struct shape_addresses {
	unsigned int n;    /* 0: any */
	bool not, neutral; /* neutral: `saddr`, else `ip saddr` or `ip6 saddr` */
	struct shape_address at[SHAPE_VALUES];
};

struct shape_ports {
	unsigned int n; /* 0: any */
	bool not;
	struct {
		uint16_t lo, hi;
	} at[SHAPE_VALUES];
};

/* One rule. */
struct shape {
	struct shape_addresses saddr, daddr;
	enum { SET_UNUSED, SET_IN, SET_NOT_IN } set[SHAPE_SETS];
	enum { PROTO_ANY, PROTO_LIST, PROTO_TCP, PROTO_UDP, PROTO_PORTS, PROTO_ICMP, PROTO_ICMPV6 } proto;
	uint8_t protos[SHAPE_VALUES]; /* PROTO_LIST */
	unsigned int n_protos;
	struct shape_ports sport, dport;
	uint8_t flags, flags_mask; /* of TCP, where the mask is not 0 */
	uint8_t type;              /* of ICMP */
	enum { MORE_NONE, MORE_TTL, MORE_TTL_ABOVE, MORE_DSCP } more;
	uint8_t more_value;
	bool rough; /* comparisons of addresses, ports and class may hold where the rule does not */
	enum { ACT_VERDICT, ACT_COUNT, ACT_LOG, ACT_ONLY_COUNT, ACT_COUNT_EARLY } act;
	bool drop;
	bool eager;      /* must run in file order */
	uint32_t weight; /* how narrow; no two are the same */
};

struct structure {
	struct shape *shapes;
	size_t n;
	struct shape_address set[SHAPE_SETS][SHAPE_ELEMENTS];
	char *text; /* one filter; with `hooks`: the same rules on all hooks of device dev0 */
};

/* An IP packet without tags, options or extension headers, as far as rules here ask. */
struct shape_packet {
	uint8_t family; /* 4 or 6 */
	uint8_t saddr[16], daddr[16];
	uint8_t proto;
	uint16_t sport, dport; /* TCP, UDP */
	uint8_t flags;         /* TCP */
	uint8_t type;          /* ICMP */
	uint8_t ttl, dscp;
};

/* Aborts when memory ends. */
void structure_make(struct structure *ret, struct random *random, size_t rules, bool hooks);
void structure_clear(struct structure *structure);
void structure_pick(const struct structure *structure, struct random *random, struct shape_packet *ret);
bool structure_in_set(const struct structure *structure, unsigned int set, const struct shape_packet *packet);
bool shape_matches(const struct structure *structure, const struct shape *shape, const struct shape_packet *packet);
