// SPDX-License-Identifier: GPL-2.0
/* A policy as one generation: devices to filters, filters to roots, everything at its place in a half. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

_Static_assert((int)HOOK_XDP == (int)POLICY_XDP && (int)HOOK_TC_INGRESS == (int)POLICY_TC_INGRESS &&
		       (int)HOOK_TC_EGRESS == (int)POLICY_TC_EGRESS,
	       "hooks have the same numbers");

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
	uint32_t n_limits = 0, n_bans = 0;
	int r = 0;

	if (image)
		image->head = calloc(1, sizeof(*image->head));
	if (!image || !image->head) {
		free(image);
		return diag_oom(diag);
	}
	if (program_begin(&program))
		r = -ENOMEM;
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
						 .limits = image->head->limit,
						 .n_limits = &n_limits,
						 .bans = image->head->ban,
						 .n_bans = &n_bans,
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
	if (r == 0 && (program.n_nodes > REF_NUMBER || program.n_refs > REF_NUMBER)) {
		r = diag_error(diag, (struct location){ 0 },
			       "the rules take %zu nodes and %zu references, at most %u fit", program.n_nodes,
			       program.n_refs, REF_NUMBER);
		diag_hint(diag, "put long lists of addresses or ports into a set");
	}
	if (r == 0)
		r = bind_devices(image->head, input, diag);
	if (r == 0)
		r = compile_guards(&image->guards, input, diag);
	state_settings(image, policy, n_limits);
	free(program.cost);
	image->nodes = program.nodes;
	image->n_nodes = program.n_nodes;
	image->refs = program.refs;
	image->n_refs = program.n_refs;
	image->n_counters = input->counters->n;
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
	free(image->guards);
	free(image->nodes);
	free(image->refs);
	free(image->rule_of);
	free(image);
}
