// SPDX-License-Identifier: GPL-2.0
/*
 * Warnings for rules that can never match, naming the rule that covers them.
 *
 * Rule A covers rule B when A ends the search and each condition of A follows from B's: from the box of
 * B, or from a condition of B on the same words with fewer values. Sound, not complete: rules that only
 * together cover another are not found. The trees keep this from comparing all pairs: whoever covers B
 * is in the list that a packet at any point of B's box meets, so one point is enough.
 */
#include <stdlib.h>
#include <string.h>

#include "program.h"

#define COMPARISONS_MAX 20000000u

static bool box_within(const struct box *box, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi)
{
	for (int d = 0; d < BOX_DIMENSIONS; d++)
		if (box_word[d] == word && mask == UINT32_MAX)
			return box->lo[d] >= lo && box->hi[d] <= hi;
	return false;
}

static bool same_place(const struct meaning *a, const struct meaning *b)
{
	return a->two == b->two && !a->is_set && !b->is_set && !memcmp(&a->place[0], &b->place[0], sizeof(a->place[0]));
}

static bool guard_implied(const struct guard_test *guard, const struct box *box, const struct meaning *theirs, size_t n)
{
	if (box_within(box, guard->word, guard->mask, guard->lo, guard->hi))
		return true;
	for (size_t i = 0; i < n; i++)
		for (size_t g = 0; g < theirs[i].n_guards; g++)
			if (!memcmp(&theirs[i].guard[g], guard, sizeof(*guard)))
				return true;
	return false;
}

/* The values of one condition of A, from one condition of B. */
static bool values_implied_by(const struct meaning *a, const struct meaning *b)
{
	if (a->is_set)
		return b->is_set && a->lookup_bit == b->lookup_bit && a->negated == b->negated;
	if (!same_place(a, b) || (!a->negated && b->negated))
		return false;
	for (unsigned int half = 0; half <= a->two; half++) {
		unsigned int words = a->place[half].n;

		if (!a->negated && !spans_within(&b->spans[half], &a->spans[half], words))
			return false;
		if (a->negated && !b->negated && !spans_disjoint(&a->spans[half], &b->spans[half], words))
			return false;
		if (a->negated && b->negated && !spans_within(&a->spans[half], &b->spans[half], words))
			return false;
	}
	return true;
}

static bool values_implied_by_box(const struct meaning *a, const struct box *box)
{
	if (a->is_set || a->negated || a->two || a->spans[0].n != 1 || a->place[0].n != 1)
		return false;
	return box_within(box, a->place[0].word[0], a->place[0].mask[0], a->spans[0].at[0].lo[0],
			  a->spans[0].at[0].hi[0]);
}

static bool ports_implied(const struct box *box, const struct meaning *theirs, size_t n)
{
	static const uint32_t proto[] = { 6, 17, 132 };

	for (size_t i = 0; i < 3; i++)
		if (box_within(box, KEY_L4, UINT32_MAX, proto[i], proto[i]))
			return true;
	for (size_t i = 0; i < n; i++)
		if (theirs[i].ports)
			return true;
	return false;
}

static bool covers(const struct filter *filter, const struct box *boxes, struct meaning *const *meanings, size_t a,
		   size_t b)
{
	const struct rule *rule = &filter->rules[a], *other = &filter->rules[b];

	if (rule->verdict == POLICY_NONE)
		return false;
	for (size_t i = 0; i < rule->n_items; i++) {
		const struct meaning *m = &meanings[a][i];
		bool found = false;

		if (rule->items[i].kind != ITEM_CONDITION)
			continue;
		for (size_t g = 0; g < m->n_guards; g++)
			if (!guard_implied(&m->guard[g], &boxes[b], meanings[b], other->n_items))
				return false;
		if (m->ports && !ports_implied(&boxes[b], meanings[b], other->n_items))
			return false;
		if (values_implied_by_box(m, &boxes[b]))
			continue;
		for (size_t k = 0; k < other->n_items && !found; k++)
			found = other->items[k].kind == ITEM_CONDITION && values_implied_by(m, &meanings[b][k]);
		if (!found)
			return false;
	}
	return true;
}

static void warn(const struct filter *filter, size_t b, size_t a, const struct policy *policy, struct diag *diag)
{
	const struct location at = filter->rules[a].loc;

	diag_warning(diag, filter->rules[b].loc, "this rule can never match: the rule at %s:%u covers it",
		     policy_location_file(policy, at), at.line);
	diag_other(diag, at);
}

static int compare_entries(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* The lowest rule before b that covers it, or RULE_NONE. owner: pairs of entry node and rule, sorted. */
static uint32_t find_cover(const struct filter *filter, const struct box *boxes, struct meaning *const *meanings,
			   const struct forest *forest, const struct program *program, const uint32_t (*owner)[2],
			   size_t b, size_t *left)
{
	uint32_t best = RULE_NONE;

	for (size_t t = 0; t < forest->n; t++) {
		const uint32_t *refs = NULL;
		size_t n = tree_list_at(program, forest->root[t], forest->exit[t], &boxes[b], &refs);

		for (size_t i = 0; i < n && *left; i++, --*left) {
			const uint32_t(*found)[2] =
				bsearch(&refs[i], owner, filter->n_rules, sizeof(*owner), compare_entries);
			uint32_t a = found ? (*found)[1] : RULE_NONE;

			if (a >= b || a >= best)
				break;
			if (covers(filter, boxes, meanings, a, b)) {
				best = a;
				break;
			}
		}
	}
	return best;
}

/* meanings[rule][item]; boxes as the trees have them. */
void cover_warn(const struct filter *filter, const struct box *boxes, struct meaning *const *meanings,
		const struct forest *forest, const struct program *program, const struct policy *policy,
		struct diag *diag)
{
	uint32_t(*owner)[2] = malloc((filter->n_rules + 1) * sizeof(*owner));
	size_t left = COMPARISONS_MAX;

	for (size_t i = 0; owner && i < filter->n_rules; i++) {
		owner[i][0] = boxes[i].entry;
		owner[i][1] = i;
	}
	if (owner)
		qsort(owner, filter->n_rules, sizeof(*owner), compare_entries);
	for (size_t b = 0; owner && b < filter->n_rules; b++) {
		uint32_t a;

		if (boxes[b].never)
			continue; /* its own conditions contradict each other; said when it was checked */
		a = find_cover(filter, boxes, meanings, forest, program, (const uint32_t(*)[2])owner, b, &left);
		if (a != RULE_NONE)
			warn(filter, b, a, policy, diag);
	}
	free(owner);
}
