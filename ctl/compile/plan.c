// SPDX-License-Identifier: GPL-2.0
/* Counter numbers without history, for what leaves no trace: check, explain --rules, tests. */
#include <errno.h>
#include <stdlib.h>

#include "../../bpf/reasons.h"
#include "compile.h"

void counter_plan_free(struct counter_plan *plan)
{
	if (!plan)
		return;
	free(plan->filter);
	if (plan->rule)
		free(plan->rule[0]);
	if (plan->own)
		free(plan->own[0]);
	free(plan->rule);
	free(plan->own);
	free(plan->named);
	free(plan->guard);
	free(plan);
}

/* Room for a plan of this policy, every rule without counters. */
struct counter_plan *counter_plan_new(const struct policy *policy)
{
	struct counter_plan *plan = calloc(1, sizeof(*plan));
	size_t rules = 0, at = 0;

	if (!plan)
		return NULL;
	for (size_t f = 0; f < policy->n_filters; f++)
		rules += policy->filters[f].n_rules;
	plan->filter = calloc(policy->n_filters + 1, sizeof(*plan->filter));
	plan->rule = calloc(policy->n_filters + 1, sizeof(*plan->rule));
	plan->own = calloc(policy->n_filters + 1, sizeof(*plan->own));
	plan->named = calloc(policy->n_counters + 1, sizeof(*plan->named));
	plan->guard = calloc(policy->n_guards + 1, sizeof(*plan->guard));
	if (plan->rule)
		plan->rule[0] = malloc((rules + 1) * sizeof(**plan->rule));
	if (plan->own)
		plan->own[0] = malloc((rules + 1) * sizeof(**plan->own));
	if (!plan->filter || !plan->rule || !plan->own || !plan->named || !plan->guard || !plan->rule[0] ||
	    !plan->own[0]) {
		counter_plan_free(plan);
		return NULL;
	}
	for (size_t i = 0; i < rules; i++)
		plan->rule[0][i] = plan->own[0][i] = COUNTER_NONE;
	for (size_t f = 0; f < policy->n_filters; f++) {
		plan->rule[f] = plan->rule[0] + at;
		plan->own[f] = plan->own[0] + at;
		at += policy->filters[f].n_rules;
	}
	plan->n = COUNTERS_RESERVED;
	return plan;
}

/* Does the rule count what it decided; has it a `counter` of its own? */
bool counter_plan_wants(const struct filter *filter, const struct rule *rule, bool *ret_own)
{
	*ret_own = false;
	for (size_t i = 0; i < rule->n_items; i++)
		if (rule->items[i].kind == ITEM_COUNTER && rule->items[i].counter.named < 0)
			*ret_own = true;
	return filter->rule_counters && rule->verdict != POLICY_NONE;
}

int counter_plan_plain(struct counter_plan **ret, const struct policy *policy)
{
	struct counter_plan *plan = counter_plan_new(policy);
	bool own;

	if (!plan)
		return -ENOMEM;
	for (size_t f = 0; f < policy->n_filters; f++) {
		plan->filter[f] = plan->n;
		plan->n += REASON_MAX;
		for (size_t i = 0; i < policy->filters[f].n_rules; i++) {
			if (counter_plan_wants(&policy->filters[f], &policy->filters[f].rules[i], &own))
				plan->rule[f][i] = plan->n++;
			if (own)
				plan->own[f][i] = plan->n++;
		}
	}
	for (size_t c = 0; c < policy->n_counters; c++)
		plan->named[c] = plan->n++;
	for (size_t g = 0; g < policy->n_guards; g++) {
		plan->guard[g] = plan->n;
		plan->n += GUARD_COUNTERS;
	}
	*ret = plan;
	return 0;
}
