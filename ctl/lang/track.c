// SPDX-License-Identifier: GPL-2.0
/*
 * Which filters track flows: those that ask for `ct state` or have a synproxy, and whatever stands on the same devices,
 * so that both directions are seen. Where nothing stands in one direction, a filter is implied that accepts everything.
 */
#include "lang.h"

static bool asks(const struct filter *filter)
{
	for (size_t r = 0; r < filter->n_rules; r++) {
		const struct rule *rule = &filter->rules[r];

		if (rule->verdict == POLICY_SYNPROXY)
			return true;
		for (size_t i = 0; i < rule->n_items; i++) {
			const struct condition *condition = &rule->items[i].condition;

			for (unsigned int f = 0; rule->items[i].kind == ITEM_CONDITION && f < condition->n_fields; f++)
				if (condition->field[f] == FIELD_CT_STATE)
					return true;
		}
	}
	return false;
}

static bool stands_on(const struct filter *filter, unsigned int device)
{
	for (size_t i = 0; i < filter->n_devices; i++)
		if (filter->devices[i].device == device)
			return true;
	return false;
}

enum way { WAY_IN = 1, WAY_OUT = 2 };

static void imply(struct lang *l, const uint8_t *missing, enum way way, enum policy_hook hook, const char *name)
{
	struct policy *policy = l->policy;
	struct filter filter = { .name = name,
				 .hook = hook,
				 .default_verdict = POLICY_ACCEPT,
				 .malformed = POLICY_ACCEPT,
				 .fragments = FRAGMENTS_ACCEPT,
				 .tracks = true,
				 .implied = true };
	size_t capacity = 0;

	for (unsigned int d = 0; d < policy->n_devices; d++)
		if (missing[d] & way)
			arena_push(l->arena, filter.devices, filter.n_devices, capacity) =
				(struct filter_device){ .device = d, .optional = true };
	if (filter.n_devices)
		arena_push(l->arena, policy->filters, policy->n_filters, l->filters_capacity) = filter;
}

void lang_track(struct lang *l)
{
	struct policy *policy = l->policy;
	uint8_t *missing = arena_alloc(l->arena, policy->n_devices + 1);
	bool *tracked = arena_alloc(l->arena, (policy->n_devices + 1) * sizeof(*tracked));
	bool any = false;

	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		for (size_t i = 0; i < filter->n_devices && asks(filter); i++)
			tracked[filter->devices[i].device] = any = true;
	}
	if (!any)
		return;
	for (unsigned int d = 0; d < policy->n_devices; d++) {
		missing[d] = tracked[d] ? WAY_IN | WAY_OUT : 0;
		for (size_t f = 0; f < policy->n_filters && tracked[d]; f++) {
			if (!stands_on(&policy->filters[f], d))
				continue;
			policy->filters[f].tracks = true;
			missing[d] &= policy->filters[f].hook == POLICY_TC_EGRESS ? ~WAY_OUT : ~WAY_IN;
		}
	}
	imply(l, missing, WAY_IN, POLICY_TC_INGRESS, "(ingress)");
	imply(l, missing, WAY_OUT, POLICY_TC_EGRESS, "(egress)");
}
