// SPDX-License-Identifier: GPL-2.0
/*
 * Rules in a tree of comparisons of one word with one number, lists of rules at its leaves.
 *
 * Each rule has a box: for each dimension (a key word) the values it can match lie in [lo, hi]. A leaf's
 * list holds, in file order, every rule whose box meets the leaf's region, so walking it decides as the
 * whole file would, also for rules that do not end the search. A comparison is chosen by what it leaves
 * on its worse side; a region in which no comparison helps stays a list, however long: slow, never wrong.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

const uint8_t box_word[BOX_DIMENSIONS] = {
	KEY_FAMILY, KEY_L4,     KEY_SADDR0, KEY_DADDR0, KEY_SPORT, KEY_DPORT, KEY_SADDR1, KEY_DADDR1, KEY_SADDR2,
	KEY_DADDR2, KEY_SADDR3, KEY_DADDR3, KEY_PROTO,  KEY_ETYPE, KEY_IIF,   KEY_OIF,    KEY_ICMP,   KEY_VLAN0,
};

#define LEAF_RULES    6
#define DEPTH_MAX     64
#define SAMPLE_BOUNDS 12
#define SAMPLE_RULES  256

static int dimension_of(uint8_t word)
{
	for (int d = 0; d < BOX_DIMENSIONS; d++)
		if (box_word[d] == word)
			return d;
	return -1;
}

/* Bits of the word that can be set at all; what a mask leaves out below them may be anything. */
static uint32_t word_domain(uint8_t word)
{
	switch (word) {
	case KEY_SPORT:
	case KEY_DPORT:
	case KEY_ETYPE:
	case KEY_ICMP:
	case KEY_VLAN0:
		return 0xffff;
	default:
		return UINT32_MAX;
	}
}

static void box_narrow(struct box *box, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi)
{
	uint32_t below = word_domain(word) & ~mask;
	int d = dimension_of(word);

	/* Only where the mask leaves out nothing but low bits are the matching values one range. */
	if (d < 0 || (below & (below + 1)) || (lo & below) || (hi & below)) {
		box->exact = false;
		return;
	}
	hi |= below;
	if (lo > box->lo[d])
		box->lo[d] = lo;
	if (hi < box->hi[d])
		box->hi[d] = hi;
	if (box->lo[d] > box->hi[d])
		box->never = true;
}

/* The smallest ranges, word by word, around all spans; a word behind one that is not a point is left open. */
static void box_narrow_spans(struct box *box, const struct spans *spans, const struct place *place)
{
	if (spans->n == 0) {
		box->never = true;
		return;
	}
	if (spans->n > 1)
		box->exact = false;
	for (unsigned int w = 0; w < place->n; w++) {
		uint32_t lo = UINT32_MAX, hi = 0;

		for (size_t i = 0; i < spans->n; i++) {
			if (spans->at[i].lo[w] < lo)
				lo = spans->at[i].lo[w];
			if (spans->at[i].hi[w] > hi)
				hi = spans->at[i].hi[w];
		}
		box_narrow(box, place->word[w], place->mask[w], lo, hi);
		if (lo == hi)
			continue;
		for (unsigned int rest = w + 1; rest < place->n; rest++)
			if (spans->at[0].lo[rest] != 0 || spans->at[0].hi[rest] != place->mask[rest])
				box->exact = false;
		return;
	}
}

static void box_narrow_meaning(struct box *box, const struct meaning *m)
{
	for (size_t i = 0; i < m->n_guards; i++)
		box_narrow(box, m->guard[i].word, m->guard[i].mask, m->guard[i].lo, m->guard[i].hi);
	if (m->ports) {
		box_narrow(box, KEY_L4, UINT32_MAX, 6, 132);
		box->exact = false;
	}
	if (m->is_set || m->negated) {
		box->exact = false;
		return;
	}
	if (!m->two) {
		box_narrow_spans(box, &m->spans[0], &m->place[0]);
	} else if (!m->spans[0].n || !m->spans[1].n) {
		unsigned int half = m->spans[1].n ? 1 : 0;

		box_narrow(box, KEY_FAMILY, UINT32_MAX, half ? 6 : 4, half ? 6 : 4);
		box_narrow_spans(box, &m->spans[half], &m->place[half]);
	} else {
		box->exact = false;
	}
}

/* What is left of everything when the rule's conditions before its first statement hold. */
void box_of_rule(struct box *box, const struct rule *rule, const struct meaning *meanings)
{
	memset(box->lo, 0, sizeof(box->lo));
	memset(box->hi, 0xff, sizeof(box->hi));
	box->exact = true;
	box->never = false;
	box->final = rule->verdict != POLICY_NONE;
	for (size_t i = 0; i < rule->n_items; i++) {
		if (rule->items[i].kind != ITEM_CONDITION) {
			for (; i < rule->n_items; i++)
				if (rule->items[i].kind == ITEM_CONDITION)
					box->exact = false;
			return;
		}
		box_narrow_meaning(box, &meanings[i]);
	}
}

/* ---- the tree ---- */

struct builder {
	struct program *program;
	const struct box *boxes;
	uint32_t exit;
	size_t budget; /* list entries that may still be made */
	uint32_t *scratch;
	uint64_t *leaf_hash; /* open addressing: hash of a list -> its node, so that equal leaves are one */
	uint32_t *leaf_node;
	size_t leaf_slots, leaves;
};

struct region {
	uint32_t lo[BOX_DIMENSIONS], hi[BOX_DIMENSIONS];
};

static bool box_covers_region(const struct box *box, const struct region *region)
{
	for (int d = 0; d < BOX_DIMENSIONS; d++)
		if (box->lo[d] > region->lo[d] || box->hi[d] < region->hi[d])
			return false;
	return true;
}

/* Rules behind one that decides the whole region are not reached there. */
static size_t cut_behind_certain(struct builder *b, const uint32_t *rules, size_t n, const struct region *region)
{
	for (size_t i = 0; i < n; i++) {
		const struct box *box = &b->boxes[rules[i]];

		if (box->final && box->exact && box_covers_region(box, region))
			return i + 1;
	}
	return n;
}

static uint64_t list_hash(const uint32_t *rules, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325u ^ n;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ rules[i]) * 0x100000001b3u;
	return hash | 1;
}

static bool same_list(const struct builder *b, uint32_t node, const uint32_t *rules, size_t n)
{
	const uint32_t *refs = b->program->refs + b->program->nodes[node].lo;
	size_t left = b->program->n_refs - b->program->nodes[node].lo;

	if (left < n + 1 || refs[n] != b->exit)
		return false;
	for (size_t i = 0; i < n; i++)
		if (refs[i] != b->boxes[rules[i]].entry)
			return false;
	return true;
}

static uint32_t build_leaf(struct builder *b, const uint32_t *rules, size_t n)
{
	uint64_t hash = list_hash(rules, n);
	uint32_t node;
	size_t slot;

	if (n == 0)
		return b->exit;
	for (slot = hash & (b->leaf_slots - 1); b->leaf_hash[slot]; slot = (slot + 1) & (b->leaf_slots - 1))
		if (b->leaf_hash[slot] == hash && same_list(b, b->leaf_node[slot], rules, n))
			return b->leaf_node[slot];
	for (size_t i = 0; i < n; i++)
		b->scratch[i] = b->boxes[rules[i]].entry;
	node = program_list(b->program, b->scratch, n, b->exit);
	b->budget -= n < b->budget ? n : b->budget;
	if (b->leaves < b->leaf_slots / 2) {
		b->leaf_hash[slot] = hash;
		b->leaf_node[slot] = node;
		b->leaves++;
	}
	return node;
}

/* By insertion: there are at most 2 * SAMPLE_BOUNDS, and this runs for each dimension of each node. */
static void sort_numbers(uint32_t *at, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint32_t value = at[i];
		size_t k = i;

		for (; k > 0 && at[k - 1] > value; k--)
			at[k] = at[k - 1];
		at[k] = value;
	}
}

/* Rules on either side of `value <= bound`, counted over a sample. */
static void count_sides(const struct builder *b, const uint32_t *rules, size_t n, int d, uint32_t bound, size_t *left,
			size_t *right)
{
	size_t step = n > SAMPLE_RULES ? n / SAMPLE_RULES : 1;

	*left = *right = 0;
	for (size_t i = 0; i < n; i += step) {
		*left += b->boxes[rules[i]].lo[d] <= bound;
		*right += b->boxes[rules[i]].hi[d] > bound;
	}
}

/* The best comparison for these rules; false: none is worth it. */
static bool choose(const struct builder *b, const uint32_t *rules, size_t n, const struct region *region, int *ret_d,
		   uint32_t *ret_bound)
{
	size_t sample = n > SAMPLE_RULES ? (n + n / SAMPLE_RULES - 1) / (n / SAMPLE_RULES) : n;
	size_t best = sample * 4;

	for (int d = 0; d < BOX_DIMENSIONS; d++) {
		uint32_t bounds[SAMPLE_BOUNDS * 2];
		size_t n_bounds = 0, step = n > SAMPLE_BOUNDS ? n / SAMPLE_BOUNDS : 1;

		if (region->lo[d] == region->hi[d])
			continue;
		for (size_t i = 0; i < n && n_bounds + 2 <= SAMPLE_BOUNDS * 2; i += step) {
			const struct box *box = &b->boxes[rules[i]];

			if (box->lo[d] > region->lo[d])
				bounds[n_bounds++] = box->lo[d] - 1;
			if (box->hi[d] < region->hi[d])
				bounds[n_bounds++] = box->hi[d];
		}
		if (!n_bounds)
			continue;
		sort_numbers(bounds, n_bounds);
		for (size_t q = 1; q <= 3; q++) {
			uint32_t bound = bounds[n_bounds * q / 4 < n_bounds ? n_bounds * q / 4 : n_bounds - 1];
			size_t left, right, score;

			count_sides(b, rules, n, d, bound, &left, &right);
			if (left + right > sample + sample * 3 / 4)
				continue;
			score = (left > right ? left : right) * 2 + left + right;
			if (score < best && left < sample && right < sample) {
				best = score;
				*ret_d = d;
				*ret_bound = bound;
			}
		}
	}
	return best < sample * 4 - sample / 8;
}

static uint32_t build(struct builder *b, const uint32_t *rules, size_t n, const struct region *region, int depth)
{
	struct region side = *region;
	uint32_t *part, bound = 0, yes, no;
	size_t n_part = 0;
	int d = 0;

	n = cut_behind_certain(b, rules, n, region);
	if (n <= LEAF_RULES || depth == DEPTH_MAX || b->budget < n * 2 || !choose(b, rules, n, region, &d, &bound))
		return build_leaf(b, rules, n);
	part = malloc(n * sizeof(*part));
	if (!part) {
		b->program->out_of_memory = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (b->boxes[rules[i]].lo[d] <= bound)
			part[n_part++] = rules[i];
	side.hi[d] = bound;
	yes = build(b, part, n_part, &side, depth + 1);
	n_part = 0;
	for (size_t i = 0; i < n; i++)
		if (b->boxes[rules[i]].hi[d] > bound)
			part[n_part++] = rules[i];
	side = *region;
	side.lo[d] = bound + 1;
	no = build(b, part, n_part, &side, depth + 1);
	free(part);
	if (b->program->out_of_memory)
		return 0;
	return program_test(b->program, box_word[d], UINT32_MAX, 0, bound, yes, no);
}

/* rules: their numbers, ascending; exit: the node behind the tree, where no rule of it decided. */
int tree_build(uint32_t *ret_root, struct program *program, const struct box *boxes, const uint32_t *rules, size_t n,
	       uint32_t exit)
{
	struct builder b = {
		.program = program, .boxes = boxes, .exit = exit, .budget = n * 8 + 65536, .leaf_slots = 1024
	};
	struct region all;
	int r = -ENOMEM;

	while (b.leaf_slots < n * 2)
		b.leaf_slots *= 2;
	b.scratch = malloc((n + 1) * sizeof(*b.scratch));
	b.leaf_hash = calloc(b.leaf_slots, sizeof(*b.leaf_hash));
	b.leaf_node = calloc(b.leaf_slots, sizeof(*b.leaf_node));
	if (b.scratch && b.leaf_hash && b.leaf_node) {
		memset(all.lo, 0, sizeof(all.lo));
		memset(all.hi, 0xff, sizeof(all.hi));
		*ret_root = build(&b, rules, n, &all, 0);
		r = program->out_of_memory ? -ENOMEM : 0;
	}
	free(b.scratch);
	free(b.leaf_hash);
	free(b.leaf_node);
	return r;
}

size_t tree_list_at(const struct program *program, uint32_t root, uint32_t exit, const struct box *box,
		    const uint32_t **ret_refs)
{
	const struct node *node;
	size_t n = 0;

	while (root != exit && program->nodes[root].op == NODE_TEST) {
		int d;

		node = &program->nodes[root];
		d = dimension_of(node->word);
		root = box->lo[d < 0 ? 0 : d] <= node->hi ? node->yes : node->no;
	}
	if (root == exit || program->nodes[root].op != NODE_LIST)
		return 0;
	*ret_refs = program->refs + program->nodes[root].lo;
	while ((*ret_refs)[n] != exit)
		n++;
	return n;
}
