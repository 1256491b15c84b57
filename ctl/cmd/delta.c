// SPDX-License-Identifier: GPL-2.0
#include "delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Interfaces are numbers of their policy: across two policies only the names can be compared. */
struct member {
	const struct policy *policy;
	const struct range *part;
};

static int compare_parts(const void *a, const void *b, void *context)
{
	const struct member *x = a, *y = b;
	const struct set *set = context;

	for (unsigned int i = 0; i < set->n_types; i++) {
		const struct range *p = &x->part[i], *q = &y->part[i];
		int order;

		if (set->type[i] == TYPE_IFACE) {
			order = strcmp(x->policy->devices[p->lo.w[0]], y->policy->devices[q->lo.w[0]]);
		} else {
			order = (int)p->family - (int)q->family;
			if (!order)
				order = memcmp(&p->lo, &q->lo, sizeof(p->lo));
			if (!order)
				order = memcmp(&p->hi, &q->hi, sizeof(p->hi));
		}
		if (order)
			return order;
	}
	return 0;
}

/* *ret_ranges: what some of them point at. */
static struct member *members_sorted(const struct policy *policy, const struct set *set, struct range **ret_ranges)
{
	const struct addresses *addresses = &set->addresses;
	struct member *members = calloc(set_size(set) + 1, sizeof(*members));
	struct range *ranges = calloc(addresses->n4 + addresses->n6 + 1, sizeof(*ranges)), *at = ranges;

	*ret_ranges = ranges;
	if (!members || !ranges) {
		free(members);
		return NULL;
	}
	for (size_t i = 0; i < addresses->n4; i++)
		address_range4(&addresses->v4[i], at++);
	for (size_t i = 0; i < addresses->n6; i++)
		address_range6(&addresses->v6[i], at++);
	for (size_t i = 0; i < addresses->n4 + addresses->n6; i++)
		members[set->n_elements + i] = (struct member){ policy, &ranges[i] };
	for (size_t i = 0; i < set->n_elements; i++)
		members[i] = (struct member){ policy, set->elements[i].part };
	qsort_r(members, set_size(set), sizeof(*members), compare_parts, (void *)set);
	return members;
}

bool set_types_same(const struct set *a, const struct set *b)
{
	return a->n_types == b->n_types && !memcmp(a->type, b->type, a->n_types * sizeof(a->type[0]));
}

int set_delta(const struct policy *old_policy, const struct set *old, const struct policy *new_policy,
	      const struct set *new, struct set_delta *ret)
{
	struct set_delta delta = { .known = true };
	struct range *x_ranges = NULL, *y_ranges = NULL;
	size_t i = 0, j = 0, n_old, n_new;
	struct member *x, *y;
	int rc = -ENOMEM;

	if ((old && !old->has_content) || (new && !new->has_content) || (old && new && !set_types_same(old, new))) {
		*ret = (struct set_delta){ 0 };
		return 0;
	}
	if (!old || !new) {
		delta.added = new ? set_size(new) : 0;
		delta.removed = old ? set_size(old) : 0;
		*ret = delta;
		return 0;
	}
	x = members_sorted(old_policy, old, &x_ranges);
	y = members_sorted(new_policy, new, &y_ranges);
	if (!x || !y)
		goto out;
	n_old = set_size(old);
	n_new = set_size(new);
	while (i < n_old || j < n_new) {
		int order = i == n_old ? 1 : j == n_new ? -1 : compare_parts(&x[i], &y[j], (void *)new);

		delta.removed += order < 0;
		delta.added += order > 0;
		i += order <= 0;
		j += order >= 0;
	}
	*ret = delta;
	rc = 0;
out:
	free(x);
	free(y);
	free(x_ranges);
	free(y_ranges);
	return rc;
}
