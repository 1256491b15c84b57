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

static struct member *members_sorted(const struct policy *policy, const struct set *set)
{
	struct member *members = calloc(set->n_elements + 1, sizeof(*members));

	if (!members)
		return NULL;
	for (size_t i = 0; i < set->n_elements; i++)
		members[i] = (struct member){ policy, set->elements[i].part };
	qsort_r(members, set->n_elements, sizeof(*members), compare_parts, (void *)set);
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
	struct member *x, *y;
	size_t i = 0, j = 0;
	int rc = -ENOMEM;

	if ((old && !old->has_content) || (new && !new->has_content) || (old && new && !set_types_same(old, new))) {
		*ret = (struct set_delta){ 0 };
		return 0;
	}
	if (!old || !new) {
		delta.added = new ? new->n_elements : 0;
		delta.removed = old ? old->n_elements : 0;
		*ret = delta;
		return 0;
	}
	x = members_sorted(old_policy, old);
	y = members_sorted(new_policy, new);
	if (!x || !y)
		goto out;
	while (i < old->n_elements || j < new->n_elements) {
		int order = i == old->n_elements   ? 1
			    : j == new->n_elements ? -1
						   : compare_parts(&x[i], &y[j], (void *)new);

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
	return rc;
}
