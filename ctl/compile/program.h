/* SPDX-License-Identifier: GPL-2.0 */
/* The nodes and lists of a generation while they are made, and what a condition means in key words. */
#pragma once

#include "compile.h"

/* Comparisons of up to this many words in a row: CONCAT_MAX addresses of five words. */
#define SPAN_WORDS (CONCAT_MAX * 5)

/* The words a value stands in, in order of comparison. Value v is at (key[word] & mask) == v << shift. */
struct place {
	uint8_t n;
	uint8_t word[SPAN_WORDS];
	uint8_t shift[SPAN_WORDS];
	uint32_t mask[SPAN_WORDS];
};

/* Values lo ... hi in lexicographic order of the words, both ends in, already masked and shifted into place. */
struct span {
	uint32_t lo[SPAN_WORDS], hi[SPAN_WORDS];
};

struct spans {
	struct span *at;
	size_t n, capacity;
};

/* A test of one word that must hold before a field means anything. */
struct guard_test {
	uint8_t word;
	uint32_t mask, lo, hi;
};

/* Everything a condition asks for, ready for emission, for boxes and for the covering check. */
struct meaning {
	struct guard_test guard[CONCAT_MAX * 2];
	size_t n_guards;
	bool ports;            /* and KEY_L4 is TCP, UDP or SCTP */
	struct place place[2]; /* [1]: the IPv6 half of a family-neutral address */
	struct spans spans[2];
	bool two; /* place[0] for FAMILY 4, place[1] for FAMILY 6 */
	bool is_set;
	uint32_t lookup_bit;
	bool negated;
};

struct program {
	struct node *nodes; /* of any kind: struct node_rule, node_fork, node_quad in their places */
	uint32_t *cost;     /* per node: the longest path from it, in steps */
	size_t n_nodes, node_capacity;
	uint32_t *refs;
	size_t n_refs, ref_capacity;
	bool out_of_memory;
};

/* What every program has: nodes 0 and AT_RESUME, and the reference 0. */
int program_begin(struct program *program);
uint32_t program_add(struct program *program, struct node node);
/* n nodes in a row, zeroed, of cost 1. */
uint32_t program_reserve(struct program *program, size_t n);
/* n references in a row, zeroed; align is a power of two. */
uint32_t program_reserve_refs(struct program *program, size_t n, size_t align);
uint32_t program_test(struct program *program, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi, uint32_t yes,
		      uint32_t no);

/* meaning.c */
int meaning_of(struct meaning *ret, const struct condition *condition, enum policy_hook hook,
	       const struct device_env *devices, uint32_t lookup_bit);
void meaning_clear(struct meaning *meaning);
void place_field(struct place *place, enum field field, enum policy_hook hook, bool ipv6);
unsigned int place_part(struct place *place, enum field field, enum value_type type, enum policy_hook hook);

/* spans.c: sorted, disjoint, joined where they touch */
void spans_normalise(struct spans *spans, unsigned int words);
int spans_add(struct spans *spans, const struct span *span);
uint32_t spans_emit(struct program *program, const struct spans *spans, const struct place *place, uint32_t yes,
		    uint32_t no);
bool spans_within(const struct spans *inner, const struct spans *outer, unsigned int words);
bool spans_disjoint(const struct spans *a, const struct spans *b, unsigned int words);

/* lower.c: the entry node of a rule; what it needs from the outside */
struct lower_context {
	struct program *program;
	const struct compile_input *input;
	const struct filter *filter;
	unsigned int filter_number;
	struct filter_head *head;
	struct lookup *lookups; /* of this filter */
	struct limit *limits;   /* of all filters, LIMITS_MAX */
	uint32_t *n_limits;
	struct ban *bans; /* the same: BANS_MAX */
	uint32_t *n_bans;
	struct diag *diag;
};
/* Has the rule a statement that later conditions or rules do not undo? Then it must run in file order. */
bool lower_is_eager(const struct rule *rule);
bool lower_has_limit(const struct rule *rule);
/* How many of the rule's items stand before its first statement. */
size_t lower_conditions(const struct rule *rule);
/* Fills flags and `more` of the rule's nodes. settled: per item, the comparison says it all. states: per item, the number
 * of its limit or ban. */
void lower_rule(struct lower_context *context, size_t rule_number, const struct meaning *meanings, const bool *settled,
		const uint32_t *states, uint8_t *ret_flags, uint32_t *ret_more);
int lower_lookup_bit(struct lower_context *context, const struct condition *condition);

/* box.c: what a rule asks of each word by itself */
#define BOX_DIMENSIONS 18
struct box {
	uint32_t lo[BOX_DIMENSIONS], hi[BOX_DIMENSIONS];
};
void box_of_rule(struct box *box, const struct rule *rule, const struct meaning *meanings);
/* Is the word of every packet in the box in [lo, hi]? */
bool box_within(const struct box *box, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi);

/* area.c: what a rule asks of addresses, ports and class, as comparisons that a node can hold */
#define POINTS_MAX 2

struct area {
	uint64_t saddr[2], daddr[2]; /* upper and lower half; an IPv4 address is the lower one */
	uint8_t saddr_len, daddr_len;
	uint16_t sport[2], dport[2]; /* lowest and highest */
	uint32_t class, class_mask;
	struct point {
		uint8_t word;
		uint32_t mask, value;
	} point[POINTS_MAX]; /* other words that must have one value; the rule's program asks for it */
	uint8_t n_points;
	uint32_t rule; /* number in the filter */
	uint32_t node; /* its comparison */
};

struct areas {
	struct area *at;
	size_t n, capacity;
};

/*
 * Appends the areas of one rule in one family: disjoint, and every packet the rule matches is in one.
 * settled: per item, true where being in an area is all that the item asks for.
 */
int areas_add_rule(struct areas *areas, bool *settled, const struct rule *rule, size_t number, enum family family,
		   const struct meaning *meanings, size_t most);

/* The bits of an address that a prefix of this length says, as in struct area. */
void area_address_mask(uint64_t ret[2], unsigned int length, enum family family);

/* index.c: rows of forks over areas, which are sorted by node */

/* The most that a packet pays for one search. */
struct price {
	uint32_t forks; /* that it asks */
	uint32_t rules; /* that it is compared with */
	uint32_t steps; /* of comparing them and running their programs */
};
int index_build(uint32_t *ret_root, struct price *ret_price, struct program *program, enum family family,
		const struct area *areas, size_t n);

/* visit.c: the search of bpf/search.h, for one packet: every rule whose comparison holds */
struct visit_key {
	uint64_t saddr[2], daddr[2];
	uint32_t ports, class;
	uint32_t word[KEY_MAX];
};
/* Calls until it returns true. */
void index_visit(const struct program *program, uint32_t ref, const struct visit_key *key,
		 bool (*found)(void *context, uint32_t node), void *context);

/* cover.c */
struct cover_input {
	const struct filter *filter;
	const struct box *boxes;
	struct meaning *const *meanings;
	const struct program *program;
	const uint32_t *rule_of;   /* per node */
	const struct areas *areas; /* per family */
	const struct filter_head *head;
	const struct policy *policy;
};
void cover_warn(const struct cover_input *input, struct diag *diag);

/* state.c: word `word` of the mask of a prefix. */
uint32_t prefix_word(unsigned int length, unsigned int word);
/* One limit of a rule, the ordinal-th of it. -EINVAL: there are too many. */
int limit_add(struct lower_context *context, const struct limit_rate *rate, uint64_t handle, uint32_t ordinal,
	      uint32_t *ret);
/* One ban; equal ones are one. -EINVAL: there are too many. */
int ban_add(struct lower_context *context, const struct ban_statement *statement, uint32_t *ret);
/* What the programs must have for the policy, and how the flow table is to work. */
void state_settings(struct image *image, const struct policy *policy, uint32_t n_limits);

/* compile_filter.c: fills the filter's head, lookups and its part of the image. -EINVAL with problems in diag, -ENOMEM. */
int compile_filter(struct lower_context *context, struct image *image, struct diag *diag);
