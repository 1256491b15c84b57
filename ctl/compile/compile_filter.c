// SPDX-License-Identifier: GPL-2.0
/* One filter as nodes: what its conditions mean, its rules as comparisons and programs, the indexes over them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

/* Working memory of one filter. */
struct work {
	struct meaning **meanings; /* per rule: one per item */
	struct meaning *pool;
	size_t n_pool, most_items;
	struct box *boxes;
	struct areas areas[FAMILY_MAX];
	bool *settled[2]; /* per item of one rule: for this family, and for the one before */
	uint32_t *states; /* per item of one rule: the number of its limit or ban */
};

static void work_clear(struct work *work)
{
	for (size_t i = 0; i < work->n_pool; i++)
		meaning_clear(&work->pool[i]);
	for (int family = 0; family < FAMILY_MAX; family++)
		free(work->areas[family].at);
	free(work->settled[0]);
	free(work->settled[1]);
	free(work->states);
	free(work->pool);
	free(work->meanings);
	free(work->boxes);
}

static int work_begin(struct work *work, const struct filter *filter)
{
	size_t items = 0;

	for (size_t i = 0; i < filter->n_rules; i++) {
		items += filter->rules[i].n_items;
		if (filter->rules[i].n_items > work->most_items)
			work->most_items = filter->rules[i].n_items;
	}
	work->pool = calloc(items + 1, sizeof(*work->pool));
	work->meanings = calloc(filter->n_rules + 1, sizeof(*work->meanings));
	work->boxes = calloc(filter->n_rules + 1, sizeof(*work->boxes));
	work->settled[0] = calloc(work->most_items + 1, sizeof(bool));
	work->settled[1] = calloc(work->most_items + 1, sizeof(bool));
	work->states = calloc(work->most_items + 1, sizeof(*work->states));
	if (!work->states || !work->pool || !work->meanings || !work->boxes || !work->settled[0] || !work->settled[1])
		return -ENOMEM;
	work->n_pool = items;
	items = 0;
	for (size_t i = 0; i < filter->n_rules; i++) {
		work->meanings[i] = work->pool + items;
		items += filter->rules[i].n_items;
	}
	return 0;
}

/* Lookups in the pool get the first bits: they cost no call, and packets make them before the others. */
static int lookups_in_order(struct lower_context *c)
{
	for (int pool = 1; pool >= 0; pool--) {
		for (size_t i = 0; i < c->filter->n_rules; i++) {
			const struct rule *rule = &c->filter->rules[i];

			for (size_t k = 0; k < rule->n_items; k++) {
				const struct condition *condition = &rule->items[k].condition;
				int bit = 0;

				if (rule->items[k].kind == ITEM_CONDITION && condition->set &&
				    set_in_pool(condition->set) == pool)
					bit = lower_lookup_bit(c, condition);
				if (bit < 0)
					return bit;
			}
		}
	}
	return 0;
}

/* What each condition means; sets the filter's lookups and needs on the way. */
static int understand(struct lower_context *c, struct work *work)
{
	for (size_t i = 0; i < c->filter->n_rules; i++) {
		const struct rule *rule = &c->filter->rules[i];

		for (size_t k = 0; k < rule->n_items; k++) {
			const struct condition *condition = &rule->items[k].condition;
			int bit = 0, r;

			if (rule->items[k].kind != ITEM_CONDITION)
				continue;
			if (condition->set && (bit = lower_lookup_bit(c, condition)) < 0)
				return bit;
			for (unsigned int f = 0; f < condition->n_fields; f++)
				if (condition->field[f] == FIELD_META_SKUID)
					c->head->flags |= FILTER_NEEDS_SKUID;
			r = meaning_of(&work->meanings[i][k], condition, c->filter->hook, c->input->devices, bit);
			if (r)
				return r;
		}
		box_of_rule(&work->boxes[i], rule, work->meanings[i]);
	}
	return 0;
}

#define STEPS_SLOW 1000

static int check_cost(struct image *image, const struct lower_context *c, struct diag *diag)
{
	uint32_t cost = image->worst_steps[c->filter_number];

	if (cost > LISTS_MAX) {
		diag_error(diag, c->filter->loc, "a packet could need %u steps through filter '%s'; it has %u", cost,
			   c->filter->name, LISTS_MAX);
		diag_hint(diag, "put long lists of addresses or ports into a set");
		return -EINVAL;
	}
	if (cost > STEPS_SLOW) {
		diag_warning(diag, c->filter->loc, "filter '%s' is slow: a packet could need %u steps", c->filter->name,
			     cost);
		diag_hint(diag,
			  "many rules overlap here; addresses and ports that get the same verdict belong into a set");
	}
	return 0;
}

/* ---- rules as nodes ---- */

/* How many areas one rule may become in one family, so that all together stay in proportion to the file. */
static size_t areas_most(const struct filter *filter)
{
	return filter->n_rules > 4096 ? 16 : 256;
}

static void write_rule(struct node *node, const struct area *area, enum family family, uint8_t flags, uint32_t more)
{
	struct node_rule *rule = (struct node_rule *)node;
	unsigned int saddr = area->saddr_len, daddr = area->daddr_len;

	*rule = (struct node_rule){ .op = NODE_RULE4,
				    .flags = flags,
				    .saddr_shift = 32 - saddr,
				    .daddr_shift = 32 - daddr,
				    .saddr = area->saddr[1],
				    .daddr = area->daddr[1],
				    .sport_lo = area->sport[0],
				    .sport_hi = area->sport[1],
				    .dport_lo = area->dport[0],
				    .dport_hi = area->dport[1],
				    .class = area->class,
				    .class_mask = area->class_mask,
				    .more = more };
	if (family != FAMILY_IPV6)
		return;
	rule->op = NODE_RULE6;
	rule->saddr_shift = saddr < 64 ? 64 - saddr : 0;
	rule->daddr_shift = daddr < 64 ? 64 - daddr : 0;
	rule->saddr = (saddr <= 64 ? 64 : 128 - saddr) | (daddr <= 64 ? 64 : 128 - daddr) << 8;
	rule->daddr = 0;
	*(struct node_quad *)(node + 1) =
		(struct node_quad){ { area->saddr[0], area->saddr[1] }, { area->daddr[0], area->daddr[1] } };
}

static int too_long(const struct lower_context *c, const struct rule *rule, uint32_t steps)
{
	diag_error(c->diag, rule->loc, "this rule takes %u steps; one rule may take %d", steps, PROGRAM_MAX);
	diag_hint(c->diag, "put long lists of addresses or ports into a set");
	return -EINVAL;
}

static int add_states(struct lower_context *c, struct work *work, const struct rule *rule)
{
	uint32_t ordinal = 0;

	for (size_t i = 0; i < rule->n_items; i++) {
		const struct item *item = &rule->items[i];
		int r = 0;

		if (item->kind == ITEM_LIMIT)
			r = limit_add(c, &item->limit, rule->handle, ordinal++, &work->states[i]);
		else if (item->kind == ITEM_BAN)
			r = ban_add(c, &item->ban, &work->states[i]);
		if (r)
			return r;
	}
	return 0;
}

/* Writes the comparisons of a rule; a program that is the same in two families is written once. */
static int lower_areas(struct lower_context *c, struct work *work, size_t number)
{
	const struct rule *rule = &c->filter->rules[number];
	uint8_t flags = 0;
	uint32_t more = 0;
	bool written = false;
	int r = add_states(c, work, rule);

	if (r)
		return r;
	for (int family = 0; family < FAMILY_MAX; family++) {
		struct areas *areas = &work->areas[family];
		bool *settled = work->settled[0], *before = work->settled[1];
		size_t first = areas->n;

		r = areas_add_rule(areas, settled, rule, number, family, work->meanings[number], areas_most(c->filter));

		if (r)
			return r;
		if (areas->n == first)
			continue;
		if (!written || memcmp(settled, before, rule->n_items * sizeof(*settled)))
			lower_rule(c, number, work->meanings[number], settled, work->states, &flags, &more);
		written = true;
		memcpy(before, settled, rule->n_items * sizeof(*settled));
		for (size_t i = first; i < areas->n; i++) {
			uint32_t node = program_reserve(c->program, family == FAMILY_IPV6 ? 2 : 1);

			if (c->program->out_of_memory)
				return -ENOMEM;
			areas->at[i].node = node;
			write_rule(&c->program->nodes[node], &areas->at[i], family, flags, more);
			if (flags & (RULE_PROGRAM | RULE_ACTION))
				c->program->cost[node] += c->program->cost[more];
			if (c->program->cost[node] > PROGRAM_MAX)
				return too_long(c, rule, c->program->cost[node]);
		}
	}
	return 0;
}

/* The index over the areas of those rules that are eager, or not. */
static int index_some(uint32_t *ret_root, struct price *ret_price, struct lower_context *c, const struct areas *areas,
		      enum family family, bool eager)
{
	struct area *some = malloc((areas->n + 1) * sizeof(*some));
	size_t n = 0;
	int r = some ? 0 : -ENOMEM;

	for (size_t i = 0; i < areas->n && r == 0; i++)
		if (lower_is_eager(&c->filter->rules[areas->at[i].rule]) == eager)
			some[n++] = areas->at[i];
	if (r == 0)
		r = index_build(ret_root, ret_price, c->program, family, some, n);
	free(some);
	return r;
}

/*
 * Roots of all families. Eager rules are searched once more for each one that holds, of which there are at most
 * as many as one search compares.
 */
static int index_all(struct lower_context *c, const struct work *work, uint32_t *ret_worst)
{
	uint64_t worst = 0;
	int r = 0;

	for (int family = 0; family < FAMILY_MAX && r == 0; family++) {
		struct price price = { 0 }, eager = { 0 };
		uint64_t all;

		r = index_some(&c->head->root[family], &price, c, &work->areas[family], family, false);
		if (r == 0)
			r = index_some(&c->head->eager[family], &eager, c, &work->areas[family], family, true);
		all = 1 + (uint64_t)price.forks + price.steps + eager.steps;
		if (eager.rules)
			all += (uint64_t)(eager.forks + eager.rules + 1) * (eager.rules + 1);
		if (all > worst)
			worst = all;
	}
	*ret_worst = worst > UINT32_MAX ? UINT32_MAX : worst;
	return r;
}

static int note_rules(struct image *image, const struct lower_context *c, const struct work *work)
{
	uint32_t *grown = realloc(image->rule_of, c->program->n_nodes * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	for (size_t i = image->rule_of ? image->n_nodes : 0; i < c->program->n_nodes; i++)
		grown[i] = RULE_NONE;
	image->rule_of = grown;
	image->n_nodes = c->program->n_nodes;
	for (int family = 0; family < FAMILY_MAX; family++)
		for (size_t i = 0; i < work->areas[family].n; i++)
			grown[work->areas[family].at[i].node] = work->areas[family].at[i].rule;
	return 0;
}

static void warn_of_covered(const struct image *image, const struct lower_context *c, const struct work *work,
			    struct diag *diag)
{
	cover_warn(&(struct cover_input){ .filter = c->filter,
					  .boxes = work->boxes,
					  .meanings = work->meanings,
					  .program = c->program,
					  .rule_of = image->rule_of,
					  .areas = work->areas,
					  .head = c->head,
					  .policy = c->input->policy },
		   diag);
}

static bool has_synproxy(const struct filter *filter)
{
	for (size_t i = 0; i < filter->n_rules; i++)
		if (filter->rules[i].verdict == POLICY_SYNPROXY)
			return true;
	return false;
}

int compile_filter(struct lower_context *c, struct image *image, struct diag *diag)
{
	const struct filter *filter = c->filter;
	struct work work = { 0 };
	int r;

	c->head->counters = c->input->counters->filter[c->filter_number];
	c->head->malformed = lower_verdict_of(filter->malformed);
	c->head->fragments = filter->fragments == FRAGMENTS_ACCEPT ? VERDICT_ACCEPT : VERDICT_DROP;
	c->head->fallback = lower_verdict_of(filter->default_verdict);
	c->head->flags = (filter->tracks ? FILTER_TRACKS : 0) | (has_synproxy(filter) ? FILTER_SYNPROXY : 0) |
			 (filter->fragments == FRAGMENTS_TRACK ? FILTER_FOLLOWS : 0);
	c->head->fragments_judged = filter->fragments == FRAGMENTS_ACCEPT;
	r = work_begin(&work, filter);
	if (r == 0)
		r = lookups_in_order(c);
	if (r == 0)
		r = understand(c, &work);
	for (size_t i = 0; i < filter->n_rules && r == 0; i++)
		r = lower_areas(c, &work, i);
	if (r == 0)
		r = index_all(c, &work, &image->worst_steps[c->filter_number]);
	if (r == 0)
		r = check_cost(image, c, diag);
	if (r == 0)
		r = note_rules(image, c, &work);
	if (r == 0)
		warn_of_covered(image, c, &work, diag);
	work_clear(&work);
	return r;
}
