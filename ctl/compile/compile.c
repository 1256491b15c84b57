// SPDX-License-Identifier: GPL-2.0
/* A policy as one generation: devices to filters, filters to roots, everything at its place in a half. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/reasons.h"
#include "program.h"

_Static_assert((int)HOOK_XDP == (int)POLICY_XDP && (int)HOOK_TC_INGRESS == (int)POLICY_TC_INGRESS &&
		       (int)HOOK_TC_EGRESS == (int)POLICY_TC_EGRESS,
	       "hooks have the same numbers");

/* Working memory of one filter. */
struct work {
	struct meaning **meanings; /* per rule: one per item */
	struct meaning *pool;
	size_t n_pool;
	struct box *boxes;
};

static void work_clear(struct work *work)
{
	for (size_t i = 0; i < work->n_pool; i++)
		meaning_clear(&work->pool[i]);
	free(work->pool);
	free(work->meanings);
	free(work->boxes);
}

static int work_begin(struct work *work, const struct filter *filter)
{
	size_t items = 0;

	for (size_t i = 0; i < filter->n_rules; i++)
		items += filter->rules[i].n_items;
	work->pool = calloc(items + 1, sizeof(*work->pool));
	work->meanings = calloc(filter->n_rules + 1, sizeof(*work->meanings));
	work->boxes = calloc(filter->n_rules + 1, sizeof(*work->boxes));
	if (!work->pool || !work->meanings || !work->boxes)
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
	uint32_t cost = program_cost(c->program, c->head->root);

	image->worst_steps[c->filter_number] = cost;
	if (cost > WALK_MAX) {
		diag_error(diag, c->filter->loc, "a packet could need %u steps through filter '%s'; it has %u", cost,
			   c->filter->name, WALK_MAX);
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

static int compile_filter(struct lower_context *c, struct image *image, struct diag *diag)
{
	const struct filter *filter = c->filter;
	struct forest forest = { 0 };
	struct work work = { 0 };
	int r;

	c->head->counters = c->input->counters->filter[c->filter_number];
	c->head->malformed = filter->malformed == POLICY_ACCEPT ? VERDICT_ACCEPT : VERDICT_DROP;
	c->head->fragments = filter->fragments == POLICY_ACCEPT ? VERDICT_ACCEPT : VERDICT_DROP;
	c->head->fragments_judged = filter->fragments == POLICY_ACCEPT;
	r = work_begin(&work, filter);
	if (r == 0)
		r = lookups_in_order(c);
	if (r == 0)
		r = understand(c, &work);
	if (r == 0)
		r = forest_build(&forest, c, work.boxes, work.meanings);
	if (r == 0) {
		c->head->root = forest.root[0];
		r = check_cost(image, c, diag);
		cover_warn(filter, work.boxes, work.meanings, &forest, c->program, c->input->policy, diag);
	}
	work_clear(&work);
	return r;
}

/* Finds a seed under which the devices of a hook share no slot. */
static bool bind_hook(struct tables_head *head, enum hook hook, const struct binding *bindings, size_t n)
{
	for (uint32_t seed = 1; seed < 1000000; seed++) {
		bool clash = false;

		memset(head->binding[hook], 0, sizeof(head->binding[hook]));
		for (size_t i = 0; i < n && !clash; i++) {
			struct binding *slot = &head->binding[hook][binding_slot(bindings[i].ifindex, seed)];

			clash = slot->ifindex != 0;
			*slot = bindings[i];
		}
		if (!clash) {
			head->seed[hook] = seed;
			return true;
		}
	}
	return false;
}

#define DEVICES_PER_HOOK 64

static int bind_devices(struct tables_head *head, const struct compile_input *input, struct diag *diag)
{
	const struct policy *policy = input->policy;

	for (int hook = 0; hook < HOOK_MAX; hook++) {
		struct binding bindings[DEVICES_PER_HOOK] = { 0 };
		size_t n = 0;

		for (size_t f = 0; f < policy->n_filters; f++) {
			const struct filter *filter = &policy->filters[f];

			for (size_t i = 0; (int)filter->hook == hook && i < filter->n_devices; i++) {
				const struct device_env *device = &input->devices[filter->devices[i].device];

				if (!device->ifindex)
					continue;
				if (n == DEVICES_PER_HOOK)
					return diag_error(diag, filter->devices[i].loc,
							  "more than %d devices on one hook", DEVICES_PER_HOOK);
				bindings[n++] = (struct binding){ .ifindex = device->ifindex,
								  .filter = f,
								  .raw_ip = device->raw_ip };
			}
		}
		if (!bind_hook(head, hook, bindings, n))
			return diag_error(diag, (struct location){ 0 }, "no place for %zu devices on one hook", n);
	}
	return 0;
}

int compile_policy(struct image **ret, const struct compile_input *input, struct diag *diag)
{
	const struct policy *policy = input->policy;
	struct image *image = calloc(1, sizeof(*image));
	struct program program = { 0 };
	size_t n_lookups = 0;
	int r = 0;

	if (image)
		image->head = calloc(1, sizeof(*image->head));
	if (!image || !image->head) {
		free(image);
		return diag_oom(diag);
	}
	if (policy->n_filters > FILTERS_MAX)
		r = diag_error(diag, policy->filters[FILTERS_MAX].loc, "more than %d filters", FILTERS_MAX);
	for (size_t f = 0; f < policy->n_filters && r == 0; f++) {
		struct lookup lookups[LOOKUPS_PER_FILTER] = { 0 };
		struct lower_context context = { .program = &program,
						 .input = input,
						 .filter = &policy->filters[f],
						 .filter_number = f,
						 .head = &image->head->filter[f],
						 .lookups = lookups,
						 .diag = diag };

		context.head->lookups = n_lookups;
		r = compile_filter(&context, image, diag);
		if (r == 0 && n_lookups + context.head->n_lookups > LOOKUPS_MAX)
			r = diag_error(diag, context.filter->loc, "more than %d set lookups in all filters",
				       LOOKUPS_MAX);
		if (r == 0)
			memcpy(image->head->lookup + n_lookups, lookups, context.head->n_lookups * sizeof(lookups[0]));
		n_lookups += context.head->n_lookups;
	}
	if (r == 0)
		r = bind_devices(image->head, input, diag);
	free(program.cost);
	image->nodes = program.nodes;
	image->n_nodes = program.n_nodes;
	image->refs = program.refs;
	image->n_refs = program.n_refs;
	image->bytes =
		sizeof(*image->head) + image->n_nodes * sizeof(*image->nodes) + image->n_refs * sizeof(*image->refs);
	if (r) {
		image_free(image);
		return r == -ENOMEM ? diag_oom(diag) : -EINVAL;
	}
	*ret = image;
	return 0;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->head);
	free(image->nodes);
	free(image->refs);
	free(image);
}
