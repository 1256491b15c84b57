/* SPDX-License-Identifier: GPL-2.0 */
/* How much two versions of a set differ. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../kernel/kernel.h"
#include "../lang/policy.h"

struct set_delta {
	bool known; /* both contents are known and of one type */
	size_t added, removed;
};

/* old or new may be NULL: there is no such set. 0 or -ENOMEM. */
int set_delta(const struct policy *old_policy, const struct set *old, const struct policy *new_policy,
	      const struct set *new, struct set_delta *ret);

/* The same for a set of the running rules: what it holds now, as prefixes and single values. Negative errno with a
 * problem. */
int set_delta_live(struct weir_root *root, const struct set *old, const struct policy *policy, const struct set *new,
		   struct set_delta *ret, struct diag *diag);
bool set_types_same(const struct set *a, const struct set *b);
