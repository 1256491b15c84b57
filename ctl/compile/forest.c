// SPDX-License-Identifier: GPL-2.0
/*
 * One tree for all rules of a filter, or several.
 *
 * A tree that cuts by source address copies every rule that names none, and one that cuts by destination
 * the others. Where that makes lists long, rules are sorted by which addresses they name, and each kind
 * gets a tree of its own: four short walks instead of one long one. The first match of a tree is then only
 * a candidate, and what a rule does waits until the lowest candidate is known. Rules that must run in file
 * order (a statement before a condition, or no verdict) go into the last tree, where that is known.
 */
#include <errno.h>
#include <stdlib.h>

#include "program.h"

/* Worst-case steps that one tree may take before several are tried. */
#define STEPS_GOOD 96

enum kind { KIND_BOTH, KIND_SOURCE, KIND_DESTINATION, KIND_NONE, KIND_EAGER, KIND_MAX };
_Static_assert((int)KIND_MAX == TREES_MAX, "a tree a kind");

/* Does the box leave less than a 256th of the word's values? */
static bool names(const struct box *box, uint8_t word)
{
	for (int d = 0; d < BOX_DIMENSIONS; d++)
		if (box_word[d] == word)
			return box->hi[d] - box->lo[d] < 1u << 24;
	return false;
}

static enum kind kind_of(const struct box *box, const struct rule *rule)
{
	bool source = names(box, KEY_SADDR0), destination = names(box, KEY_DADDR0);

	if (lower_is_eager(rule))
		return KIND_EAGER;
	if (source)
		return destination ? KIND_BOTH : KIND_SOURCE;
	return destination ? KIND_DESTINATION : KIND_NONE;
}

struct mark {
	size_t n_nodes, n_refs;
};

static struct mark mark(const struct program *program)
{
	return (struct mark){ program->n_nodes, program->n_refs };
}

static void rewind_to(struct program *program, struct mark mark)
{
	program->n_nodes = mark.n_nodes;
	program->n_refs = mark.n_refs;
}

static int one_tree(struct forest *forest, struct lower_context *c, struct box *boxes, struct meaning *const *meanings,
		    uint32_t *rules)
{
	uint32_t end = lower_default(c);
	size_t n = 0;

	for (size_t i = 0; i < c->filter->n_rules; i++) {
		boxes[i].entry = RULE_NONE;
		if (boxes[i].never)
			continue;
		boxes[i].entry = lower_rule(c, i, meanings[i], lower_action(c, i), RULE_NONE, RULE_NONE);
		rules[n++] = i;
	}
	if (c->program->out_of_memory)
		return -ENOMEM;
	forest->n = 1;
	forest->exit[0] = end;
	return tree_build(&forest->root[0], c->program, boxes, rules, n, end);
}

/* From the last tree to the first, since each one ends at the next one's root. */
static int many_trees(struct forest *forest, struct lower_context *c, struct box *boxes,
		      struct meaning *const *meanings, uint32_t *rules)
{
	struct program *program = c->program;
	uint32_t *actions = malloc((c->filter->n_rules + 1) * sizeof(*actions));
	uint32_t finish, exit, longest = 0, root[TREES_MAX], ends[TREES_MAX];
	size_t n_trees = 0;
	int r = 0;

	if (!actions)
		return -ENOMEM;
	finish = lower_default(c);
	for (size_t i = 0; i < c->filter->n_rules; i++) {
		actions[i] = lower_action(c, i);
		if (!program->out_of_memory && program_cost(program, actions[i]) > longest)
			longest = program_cost(program, actions[i]);
	}
	finish = program_add(program, (struct node){ .op = NODE_FINISH, .yes = finish });
	if (program->out_of_memory) {
		free(actions);
		return -ENOMEM;
	}
	program->cost[finish] = 1 + (longest > 1 ? longest : 1);
	exit = finish;
	for (int kind = KIND_MAX - 1; kind >= 0 && r == 0; kind--) {
		size_t n = 0;

		for (size_t i = 0; i < c->filter->n_rules; i++) {
			if (boxes[i].never || (int)kind_of(&boxes[i], &c->filter->rules[i]) != kind)
				continue;
			boxes[i].entry = lower_rule(c, i, meanings[i], actions[i], exit, finish);
			rules[n++] = i;
		}
		if (!n)
			continue;
		r = program->out_of_memory ? -ENOMEM : tree_build(&root[n_trees], program, boxes, rules, n, exit);
		ends[n_trees] = exit;
		exit = root[n_trees++];
	}
	free(actions);
	forest->n = n_trees;
	for (size_t t = 0; t < n_trees; t++) {
		forest->root[t] = root[n_trees - 1 - t];
		forest->exit[t] = ends[n_trees - 1 - t];
	}
	return r;
}

int forest_build(struct forest *ret, struct lower_context *c, struct box *boxes, struct meaning *const *meanings)
{
	uint32_t *rules = malloc((c->filter->n_rules + 1) * sizeof(*rules)), alone;
	struct mark start = mark(c->program);
	struct forest one = { 0 }, many = { 0 };
	int r = rules ? one_tree(&one, c, boxes, meanings, rules) : -ENOMEM;

	*ret = one;
	if (r == 0 && (alone = program_cost(c->program, one.root[0])) > STEPS_GOOD) {
		rewind_to(c->program, start);
		r = many_trees(&many, c, boxes, meanings, rules);
		*ret = many;
		if (r == 0 && (!many.n || program_cost(c->program, many.root[0]) >= alone)) {
			rewind_to(c->program, start);
			r = one_tree(&one, c, boxes, meanings, rules);
			*ret = one;
		}
	}
	free(rules);
	return r;
}
