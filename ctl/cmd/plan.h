/* SPDX-License-Identifier: GPL-2.0 */
/* What the files share that compare two policies for `plan`. */
#pragma once

#include <stdbool.h>

#include "../lang/policy.h"

struct out;
struct weir_root;

struct plan {
	struct out *out;
	const struct policy *old, *new; /* old NULL: nothing is loaded */
	struct weir_root *root;         /* whose rules the old ones are, or NULL */
	struct diag *diag;
	bool changed;
	int rc;
};

void plan_guards(struct plan *plan);
