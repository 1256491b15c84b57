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
	struct node *nodes;
	uint32_t *cost; /* per node: the longest path from it, in steps */
	size_t n_nodes, node_capacity;
	uint32_t *refs;
	size_t n_refs, ref_capacity;
	bool out_of_memory;
};

uint32_t program_add(struct program *program, struct node node);
uint32_t program_test(struct program *program, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi, uint32_t yes,
		      uint32_t no);
uint32_t program_list(struct program *program, const uint32_t *entries, size_t n, uint32_t last);
uint32_t program_cost(const struct program *program, uint32_t node);

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
	struct diag *diag;
};
/* What a rule does once its conditions hold: statements at its end, then the verdict. NODE_NEXT: it has none. */
uint32_t lower_action(struct lower_context *context, size_t rule_number);
/* A rule with a statement that later conditions or rules do not undo: it must run in file order. */
bool lower_is_eager(const struct rule *rule);
/* All of the rule. exit: RULE_NONE in a filter of one tree, else where a candidate goes on. finish: of several trees. */
uint32_t lower_rule(struct lower_context *context, size_t rule_number, const struct meaning *meanings, uint32_t action,
		    uint32_t exit, uint32_t finish);
uint32_t lower_default(struct lower_context *context);
int lower_lookup_bit(struct lower_context *context, const struct condition *condition);

/* tree.c: rules in a tree of comparisons, lists at its leaves */
#define BOX_DIMENSIONS 18
extern const uint8_t box_word[BOX_DIMENSIONS];

struct box {
	uint32_t lo[BOX_DIMENSIONS], hi[BOX_DIMENSIONS];
	bool exact;     /* the rule matches all of the box */
	bool final;     /* and then ends the search */
	bool never;     /* the rule cannot match */
	uint32_t entry; /* node, set before the tree is built */
};

void box_of_rule(struct box *box, const struct rule *rule, const struct meaning *meanings);
/* true where every packet in the box passes the condition */
bool box_implies(const struct box *box, const struct meaning *meaning);

int tree_build(uint32_t *ret_root, struct program *program, const struct box *boxes, const uint32_t *rules, size_t n,
	       uint32_t exit);
/* The list that a packet at the low corner of the box meets: its first reference and their number. */
size_t tree_list_at(const struct program *program, uint32_t root, uint32_t exit, const struct box *box,
		    const uint32_t **ret_refs);

/* forest.c: one tree, or several where that is shorter */
#define TREES_MAX 5
struct forest {
	size_t n;
	uint32_t root[TREES_MAX], exit[TREES_MAX];
};
int forest_build(struct forest *ret, struct lower_context *context, struct box *boxes, struct meaning *const *meanings);

/* cover.c */
void cover_warn(const struct filter *filter, const struct box *boxes, struct meaning *const *meanings,
		const struct forest *forest, const struct program *program, const struct policy *policy,
		struct diag *diag);
