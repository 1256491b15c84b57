// SPDX-License-Identifier: GPL-2.0
/* plan: which guards come, go and change, line by line. */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../out/out.h"
#include "diff.h"

static void say_line(struct plan *plan, enum diff_side side, const char *text)
{
	if (side == DIFF_SAME)
		return;
	out_text(plan->out, "  %c      %s\n", side == DIFF_NEW ? '+' : '-', text);
	out_object(plan->out, NULL);
	out_string(plan->out, "change", side == DIFF_NEW ? "added" : "removed");
	out_string(plan->out, "text", text);
	out_end(plan->out);
}

static void say_guard(struct plan *plan, const char *name, const char *change, const struct diff_step *steps, size_t n,
		      char *const *old, char *const *new)
{
	plan->changed = true;
	out_text(plan->out, "guard %s: %s\n", name, change);
	out_object(plan->out, NULL);
	out_string(plan->out, "name", name);
	out_string(plan->out, "change", change);
	out_array(plan->out, "lines");
	for (size_t i = 0; i < n; i++)
		say_line(plan, steps[i].side, steps[i].side == DIFF_NEW ? new[steps[i].new] : old[steps[i].old]);
	out_end(plan->out);
	out_end(plan->out);
}

/* Either may be NULL, not both. A name with another number behind it is a change. */
static void plan_guard(struct plan *plan, const struct guard_statement *old, const struct guard_statement *new)
{
	const struct guard_statement *either = new ? new : old;
	char **old_lines = NULL, **new_lines = NULL;
	struct diff_step *steps = NULL;
	size_t n_old = 0, n_new = 0, n = 0, n_changed = 0;

	if (old)
		old_lines = guard_lines(plan->old, old, true, &n_old);
	if (new)
		new_lines = guard_lines(plan->new, new, true, &n_new);
	if ((old && !old_lines) || (new && !new_lines) || diff_lines(old_lines, n_old, new_lines, n_new, &steps, &n))
		plan->rc = -ENOMEM;
	for (size_t i = 0; i < n; i++)
		n_changed += steps[i].side != DIFF_SAME;
	if (n_changed)
		say_guard(plan, either->name,
			  !old   ? "added"
			  : !new ? "removed"
				 : "changed",
			  steps, n, old_lines, new_lines);
	free(steps);
	guard_lines_free(old_lines, n_old);
	guard_lines_free(new_lines, n_new);
}

static const struct guard_statement *guard_find(const struct policy *policy, const char *name)
{
	for (size_t i = 0; policy && i < policy->n_guards; i++)
		if (!strcmp(policy->guards[i].name, name))
			return &policy->guards[i];
	return NULL;
}

void plan_guards(struct plan *plan)
{
	out_array(plan->out, "guards");
	for (size_t i = 0; plan->old && i < plan->old->n_guards && !plan->rc; i++)
		if (!guard_find(plan->new, plan->old->guards[i].name))
			plan_guard(plan, &plan->old->guards[i], NULL);
	for (size_t i = 0; i < plan->new->n_guards && !plan->rc; i++)
		plan_guard(plan, guard_find(plan->old, plan->new->guards[i].name), &plan->new->guards[i]);
	out_end(plan->out);
}
