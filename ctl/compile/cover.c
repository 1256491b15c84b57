// SPDX-License-Identifier: GPL-2.0
/*
 * Warnings for rules that can never match, naming the rule that covers them.
 *
 * Rule A covers rule B when A ends the search and each condition of A follows from B's: from the box of
 * B, or from a condition of B on the same words with fewer values. Sound, not complete: rules that only
 * together cover another are not found. The index keeps this from comparing all pairs: whoever covers B
 * matches a packet at any point of B, so one point is enough.
 */
#include <stdlib.h>
#include <string.h>

#include "program.h"

#define COMPARISONS_MAX 20000000u

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

	if (rule->verdict == POLICY_NONE || lower_has_limit(rule))
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

/* Whoever covers rule b holds at any point of its area: the lowest such rule is looked for at one. */
struct search {
	const struct cover_input *input;
	size_t b;
	size_t *left; /* comparisons that may still be made */
	uint32_t best;
};

static bool on_rule(void *context, uint32_t node)
{
	struct search *s = context;
	uint32_t a = s->input->rule_of[node];

	if (*s->left == 0)
		return true;
	--*s->left;
	if (a < s->b && a < s->best && covers(s->input->filter, s->input->boxes, s->input->meanings, a, s->b))
		s->best = a;
	return false;
}

static void search_area(struct search *s, enum family family, const struct area *area)
{
	struct visit_key key = { .ports = (uint32_t)area->sport[0] << 16 | area->dport[0], .class = area->class };

	for (int half = 0; half < 2; half++) {
		key.saddr[half] = area->saddr[half];
		key.daddr[half] = area->daddr[half];
	}
	for (unsigned int i = 0; i < area->n_points; i++)
		key.word[area->point[i].word] |= area->point[i].value;
	index_visit(s->input->program, s->input->head->root[family], &key, on_rule, s);
	index_visit(s->input->program, s->input->head->eager[family], &key, on_rule, s);
}

/* meanings[rule][item]; areas sorted by rule */
void cover_warn(const struct cover_input *input, struct diag *diag)
{
	size_t left = COMPARISONS_MAX, at[FAMILY_MAX] = { 0 };

	for (size_t b = 0; b < input->filter->n_rules; b++) {
		struct search s = { input, b, &left, RULE_NONE };
		bool searched = false;

		for (int family = 0; family < FAMILY_MAX; family++) {
			const struct areas *areas = &input->areas[family];

			while (at[family] < areas->n && areas->at[at[family]].rule < b)
				at[family]++;
			if (searched || at[family] == areas->n || areas->at[at[family]].rule != b)
				continue;
			search_area(&s, family, &areas->at[at[family]]);
			searched = true; /* who covers it does so everywhere */
		}
		if (s.best != RULE_NONE)
			warn(input->filter, b, s.best, input->policy, diag);
	}
}
