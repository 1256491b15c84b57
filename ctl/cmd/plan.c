// SPDX-License-Identifier: GPL-2.0
/* plan: what apply would change, as a difference of the canonical texts. */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../lang/strbuf.h"
#include "../out/out.h"
#include "diff.h"
#include "delta.h"
#include "plan.h"
#include "rules.h"

/* ---- one filter ---- */

static char *devices_text(const struct policy *policy, const struct filter *filter)
{
	struct strbuf b = { 0 };

	for (size_t i = 0; i < filter->n_devices; i++)
		strbuf_format(&b, "%s%s%s", i ? ", " : "", policy->devices[filter->devices[i].device],
			      filter->devices[i].optional && !filter->implied ? " optional" : "");
	return strbuf_take(&b);
}

/* A line before the rules. old or new NULL: there is none. */
static void say_property(struct plan *plan, const char *name, const char *old, const char *new)
{
	if ((!old && !new) || (old && new && !strcmp(old, new)))
		return;
	if (old)
		out_text(plan->out, "  -      %s %s\n", name, old);
	if (new)
		out_text(plan->out, "  +      %s %s\n", name, new);
	out_object(plan->out, NULL);
	out_string(plan->out, "name", name);
	out_string(plan->out, "old", old);
	out_string(plan->out, "new", new);
	out_end(plan->out);
}

static const char *hook_text(const struct filter *filter)
{
	return filter->generic ? "xdp generic" : hook_name(hook_of(filter->hook));
}

static void say_properties(struct plan *plan, const struct filter *old, const struct filter *new)
{
	char *old_devices = old ? devices_text(plan->old, old) : NULL;
	char *new_devices = new ? devices_text(plan->new, new) : NULL;

	if ((old && !old_devices) || (new && !new_devices))
		plan->rc = -ENOMEM;
	out_array(plan->out, "properties");
#define SAY(name, value)  say_property(plan, name, old ? value(old) : NULL, new ? value(new) : NULL)
#define DEFAULT(filter)   policy_verdict_word(filter->default_verdict)
#define MALFORMED(filter) policy_verdict_word(filter->malformed)
#define FRAGMENTS(filter) policy_fragments_word(filter->fragments)
#define COUNTERS(filter)  (filter->rule_counters ? "on" : "off")
#define TRACKS(filter)    (filter->tracks ? "flows" : NULL)
	SAY("hook", hook_text);
	say_property(plan, "device", old_devices, new_devices);
	if (!(new ? new : old)->implied) {
		SAY("malformed", MALFORMED);
		SAY("fragments", FRAGMENTS);
		SAY("counters", COUNTERS);
		SAY("default", DEFAULT);
		SAY("tracks", TRACKS);
	}
#undef SAY
	out_end(plan->out);
	free(old_devices);
	free(new_devices);
}

static void say_rule(struct plan *plan, char sign, const struct policy *policy, const struct rule *rule,
		     const char *text)
{
	out_text(plan->out, "  %c %4u %s\n", sign, rule->loc.line, text);
	out_object(plan->out, NULL);
	out_string(plan->out, "change", sign == '+' ? "added" : "removed");
	out_string(plan->out, "file", policy_location_file(policy, rule->loc));
	out_integer(plan->out, "line", rule->loc.line);
	out_string(plan->out, "text", text);
	out_end(plan->out);
}

static char **rule_texts(const struct policy *policy, const struct filter *filter)
{
	size_t n = filter ? filter->n_rules : 0;
	char **texts = calloc(n + 1, sizeof(*texts));

	for (size_t i = 0; texts && i < n; i++) {
		texts[i] = rule_print(policy, &filter->rules[i]);
		if (!texts[i]) {
			while (i--)
				free(texts[i]);
			free(texts);
			return NULL;
		}
	}
	return texts;
}

static void texts_free(char **texts, const struct filter *filter)
{
	for (size_t i = 0; texts && filter && i < filter->n_rules; i++)
		free(texts[i]);
	free(texts);
}

static bool properties_same(const struct plan *plan, const struct filter *old, const struct filter *new)
{
	if (old->hook != new->hook || old->generic != new->generic || old->default_verdict != new->default_verdict ||
	    old->malformed != new->malformed || old->fragments != new->fragments ||
	    old->rule_counters != new->rule_counters || old->tracks != new->tracks || old->n_devices != new->n_devices)
		return false;
	for (size_t i = 0; i < old->n_devices; i++)
		if (old->devices[i].optional != new->devices[i].optional ||
		    strcmp(plan->old->devices[old->devices[i].device], plan->new->devices[new->devices[i].device]))
			return false;
	return true;
}

/* Either may be NULL, not both. */
static void plan_filter(struct plan *plan, const struct filter *old, const struct filter *new)
{
	const struct filter *either = new ? new : old;
	const char *change = !old ? "added" : !new ? "removed" : "changed";
	char **old_texts = rule_texts(plan->old, old), **new_texts = rule_texts(plan->new, new);
	struct diff_step *steps = NULL;
	size_t n = 0, n_changed = 0;

	if (!old_texts || !new_texts ||
	    diff_lines(old_texts, old ? old->n_rules : 0, new_texts, new ? new->n_rules : 0, &steps, &n)) {
		plan->rc = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		n_changed += steps[i].side != DIFF_SAME;
	if (!n_changed && old && new && properties_same(plan, old, new))
		goto out;
	plan->changed = true;
	out_text(plan->out, "filter %s: %s%s\n", either->name, change,
		 either->implied ? ", implied: accepts everything, to track flows" : "");
	out_object(plan->out, NULL);
	out_string(plan->out, "name", either->name);
	out_string(plan->out, "change", change);
	out_bool(plan->out, "implied", either->implied);
	say_properties(plan, old, new);
	out_array(plan->out, "rules");
	for (size_t i = 0; i < n; i++) {
		if (steps[i].side == DIFF_OLD)
			say_rule(plan, '-', plan->old, &old->rules[steps[i].old], old_texts[steps[i].old]);
		else if (steps[i].side == DIFF_NEW)
			say_rule(plan, '+', plan->new, &new->rules[steps[i].new], new_texts[steps[i].new]);
	}
	out_end(plan->out);
	out_end(plan->out);
out:
	free(steps);
	texts_free(old_texts, old);
	texts_free(new_texts, new);
}

static const struct filter *filter_find(const struct policy *policy, const char *name)
{
	for (size_t i = 0; policy && i < policy->n_filters; i++)
		if (!strcmp(policy->filters[i].name, name))
			return &policy->filters[i];
	return NULL;
}

static void plan_filters(struct plan *plan)
{
	out_array(plan->out, "filters");
	for (size_t i = 0; plan->old && i < plan->old->n_filters && !plan->rc; i++)
		if (!filter_find(plan->new, plan->old->filters[i].name))
			plan_filter(plan, &plan->old->filters[i], NULL);
	for (size_t i = 0; i < plan->new->n_filters && !plan->rc; i++)
		plan_filter(plan, filter_find(plan->old, plan->new->filters[i].name), &plan->new->filters[i]);
	out_end(plan->out);
}

/* ---- one set ---- */

static void say_type(struct plan *plan, const struct set *old, const struct set *new)
{
	char *old_type = set_type_text(old), *new_type = set_type_text(new);

	if (!old_type || !new_type)
		plan->rc = -ENOMEM;
	else if (strcmp(old_type, new_type))
		out_text(plan->out, "; type %s, was %s", new_type, old_type);
	if (old->size != new->size)
		out_text(plan->out, "; size %u, was %u", new->size, old->size);
	out_string(plan->out, "old_type", old_type);
	free(old_type);
	free(new_type);
}

static void say_counts(struct plan *plan, const struct set_delta *delta)
{
	if (!delta->known) {
		out_null(plan->out, "added");
		out_null(plan->out, "removed");
		return;
	}
	out_integer(plan->out, "added", delta->added);
	out_integer(plan->out, "removed", delta->removed);
	out_text(plan->out, "; elements:");
	if (delta->added || !delta->removed)
		out_text(plan->out, " +%zu", delta->added);
	if (delta->removed)
		out_text(plan->out, " -%zu", delta->removed);
}

static void plan_set(struct plan *plan, const struct set *old, const struct set *new)
{
	const struct set *either = new ? new : old;
	const char *change = !old ? "added" : !new ? "removed" : "changed";
	struct set_delta delta = { 0 };
	char *type;

	if (old && new && old->digest == new->digest && old->has_content == new->has_content)
		return;
	/* Element files were not kept with the running rules, but the kernel has what they held. */
	if (plan->root)
		plan->rc = set_delta_live(plan->root, old, plan->new, new, &delta, plan->diag);
	else
		plan->rc = set_delta(plan->old, old, plan->new, new, &delta);
	if (!plan->rc && old && new && delta.known && !delta.added && !delta.removed && old->size == new->size &&
	    old->has_timeout == new->has_timeout && old->timeout_ms == new->timeout_ms &&
	    old->has_counter == new->has_counter)
		return; /* the digests of interface names differ where their numbers do */
	plan->changed = true;
	type = set_type_text(either);
	if (plan->rc || !type) {
		plan->rc = plan->rc ? plan->rc : -ENOMEM;
		free(type);
		return;
	}
	out_text(plan->out, "set %s: %s", either->name, change);
	out_object(plan->out, NULL);
	out_string(plan->out, "name", either->name);
	out_string(plan->out, "change", change);
	out_string(plan->out, "type", type);
	if (old && new)
		say_type(plan, old, new);
	say_counts(plan, &delta);
	out_text(plan->out, "\n");
	out_end(plan->out);
	free(type);
}

static const struct set *set_find(const struct policy *policy, const char *name)
{
	for (size_t i = 0; policy && i < policy->n_sets; i++)
		if (!strcmp(policy->sets[i].name, name))
			return &policy->sets[i];
	return NULL;
}

static void plan_sets(struct plan *plan)
{
	out_array(plan->out, "sets");
	for (size_t i = 0; plan->old && i < plan->old->n_sets && !plan->rc; i++)
		if (!set_find(plan->new, plan->old->sets[i].name))
			plan_set(plan, &plan->old->sets[i], NULL);
	for (size_t i = 0; i < plan->new->n_sets && !plan->rc; i++)
		plan_set(plan, set_find(plan->old, plan->new->sets[i].name), &plan->new->sets[i]);
	out_end(plan->out);
}

/* ---- the flows block ---- */

static void say_time(struct plan *plan, enum flow_time time, const struct flows *old, const struct flows *new)
{
	const struct flow_time_info *info = &flow_time_info[time];
	char name[64], old_time[DURATION_MOST], new_time[DURATION_MOST];

	snprintf(name, sizeof(name), "timeout %s %s", info->protocol, info->state);
	duration_print(old->time_ms[time], old_time);
	duration_print(new->time_ms[time], new_time);
	say_property(plan, name, old_time, new_time);
}

/* What the block says, or what holds without it. Where nothing is loaded, that is what held before. */
static void plan_flows(struct plan *plan)
{
	char old_size[16], new_size[16];
	struct flows none = { 0 };
	const struct flows *old = plan->old ? &plan->old->flows : &none, *new = &plan->new->flows;

	flows_default(&none);
	snprintf(old_size, sizeof(old_size), "%u", old->size);
	snprintf(new_size, sizeof(new_size), "%u", new->size);
	out_array(plan->out, "flows");
	if (old->size != new->size || old->full != new->full ||
	    memcmp(old->time_ms, new->time_ms, sizeof(old->time_ms))) {
		plan->changed = true;
		out_text(plan->out, "flows: changed\n");
		say_property(plan, "size", old_size, new_size);
		say_property(plan, "full", policy_verdict_word(old->full), policy_verdict_word(new->full));
		for (enum flow_time i = 0; i < FLOW_TIME_COUNT; i++)
			say_time(plan, i, old, new);
	}
	out_end(plan->out);
}

/* ---- the command ---- */

/* root NULL: compare with the policy `old`, or with nothing. */
static int plan_say(struct run *run, struct weir_root *root, const struct policy *old, const struct policy *new)
{
	const struct running *running = root ? root_running(root) : NULL;
	struct plan plan = {
		.out = run->out,
		.old = running ? running->policy : old,
		.new = new,
		.root = running ? root : NULL,
		.diag = &run->diag,
	};

	out_string(run->out, "file", run->operands[0]);
	if (running)
		out_integer(run->out, "generation", running->generation);
	else
		out_null(run->out, "generation");
	plan_flows(&plan);
	plan_filters(&plan);
	if (!plan.rc)
		plan_sets(&plan);
	if (!plan.rc)
		plan_guards(&plan);
	if (plan.rc == -ENOMEM)
		diag_oom(&run->diag);
	if (plan.rc)
		return EXIT_FAILED;
	out_bool(run->out, "changed", plan.changed);
	if (!plan.changed)
		out_text(run->out, "nothing would change\n");
	return plan.changed ? EXIT_DIFFERENT : EXIT_DONE;
}

/* The problems of another file than the one the command is about. */
static int plan_against(struct run *run, const struct rules *new)
{
	struct rules old = { 0 };
	struct diag diag;
	int code;

	diag_init(&diag);
	code = rules_parse(run->value[OPTION_AGAINST], &diag, &old);
	if (code == EXIT_DONE)
		code = plan_say(run, NULL, old.policy, new->policy);
	else
		out_diag(run->out, &diag, NULL);
	rules_clear(&old);
	diag_clear(&diag);
	return code;
}

static int plan_running(struct run *run, const struct rules *new)
{
	struct weir_root *root = NULL;
	int code, rc = root_open(&root, run->bpffs, ROOT_READ, &run->diag);

	if (rc && rc != -ENOENT)
		return EXIT_FAILED;
	code = plan_say(run, rc ? NULL : root, NULL, new->policy);
	if (!rc)
		root_close(root);
	return code;
}

int cmd_plan(struct run *run)
{
	struct rules rules = { 0 };
	int code;

	if (run->value[OPTION_AGAINST] && !run->value[OPTION_OFFLINE]) {
		diag_error(&run->diag, NOWHERE, "'--against' compares two files: it needs --offline");
		return EXIT_USAGE;
	}
	code = rules_parse(run->operands[0], &run->diag, &rules);
	/* What the compiler refuses cannot be applied either. */
	if (code == EXIT_DONE)
		code = rules_compile(&rules, &run->diag);
	if (code == EXIT_REJECTED)
		run->closing = "apply would reject this file";
	if (code != EXIT_DONE)
		goto out;
	if (run->value[OPTION_AGAINST])
		code = plan_against(run, &rules);
	else if (run->value[OPTION_OFFLINE])
		code = plan_say(run, NULL, NULL, rules.policy);
	else
		code = plan_running(run, &rules);
out:
	rules_clear(&rules);
	return code;
}
