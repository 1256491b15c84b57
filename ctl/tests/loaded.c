// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loaded.h"
#include "policy_text.h"

#define IFINDEX_ELSEWHERE 77 /* of no device in any policy */
#define SOME_TIME         1000000000000ull

static int parse_and_compile(struct loaded *l, const char *text, struct diag *diag)
{
	struct compile_input input;
	uint16_t *slots;
	int r;

	r = policy_of_text(&l->policy, text, strlen(text), diag);
	if (r < 0)
		return r;
	l->devices = device_env_plain(l->policy);
	slots = set_slots_plain(l->policy);
	r = l->devices && slots ? counter_plan_plain(&l->counters, l->policy) : -ENOMEM;
	input = (struct compile_input){ l->policy, l->devices, slots, l->counters, 0, 0 };
	if (r == 0)
		r = compile_policy(&l->image, &input, diag);
	free(slots);
	return r;
}

static int put_in_place(struct loaded *l, struct diag *diag)
{
	int r;

	if (l->image->n_nodes > l->most_nodes || l->image->n_refs > l->most_refs) {
		runner_close(l->runner);
		l->runner = NULL;
		while (l->most_nodes < l->image->n_nodes || l->most_nodes < 4096)
			l->most_nodes = l->most_nodes ? 2 * l->most_nodes : 4096;
		while (l->most_refs < l->image->n_refs || l->most_refs < 4096)
			l->most_refs = l->most_refs ? 2 * l->most_refs : 4096;
	}
	if (!l->runner) {
		r = runner_open(&l->runner, l->most_nodes, l->most_refs, diag);
		if (r < 0)
			return r;
	}
	return runner_load(l->runner, l->policy, l->devices, l->image, diag);
}

int loaded_open(struct loaded *loaded, const char *text)
{
	struct diag diag;
	int r;

	loaded_forget(loaded);
	r = parse_and_compile(loaded, text, &diag);
	if (r == 0)
		r = put_in_place(loaded, &diag);
	if (r < 0) {
		char *words = diag_text(&diag, "");

		fprintf(stderr, "%s\n%s\n", words ? words : "", strerror(-r));
		free(words);
	}
	diag_clear(&diag);
	if (r == 0)
		loaded->state = model_state_new(loaded->policy);
	return r;
}

void loaded_forget(struct loaded *loaded)
{
	model_state_free(loaded->state);
	image_free(loaded->image);
	counter_plan_free(loaded->counters);
	free(loaded->devices);
	policy_free(loaded->policy);
	loaded->state = NULL;
	loaded->image = NULL;
	loaded->counters = NULL;
	loaded->devices = NULL;
	loaded->policy = NULL;
}

void loaded_close(struct loaded *loaded)
{
	loaded_forget(loaded);
	runner_close(loaded->runner);
	loaded->runner = NULL;
}

static int device_number(const struct loaded *l, uint32_t ifindex)
{
	for (size_t i = 0; i < l->policy->n_devices; i++)
		if (l->devices[i].ifindex == ifindex)
			return (int)i;
	return MODEL_ELSEWHERE;
}

static int filter_number(const struct loaded *l, uint32_t filter)
{
	if (filter == RULE_NONE)
		return MODEL_NONE;
	return filter < l->policy->n_filters && l->policy->filters[filter].implied ? MODEL_IMPLICIT : (int)filter;
}

static uint64_t now_of(const struct meeting *meeting)
{
	return meeting->now_ns ? meeting->now_ns : SOME_TIME;
}

int loaded_run(struct loaded *loaded, const struct frame *frame, const struct meeting *meeting,
	       struct model_result *ret)
{
	static const enum hook hooks[] = {
		[POLICY_XDP] = HOOK_XDP,
		[POLICY_TC_INGRESS] = HOOK_TC_INGRESS,
		[POLICY_TC_EGRESS] = HOOK_TC_EGRESS,
	};
	static const enum policy_verdict verdicts[] = {
		[VERDICT_ACCEPT] = POLICY_ACCEPT,     [VERDICT_DROP] = POLICY_DROP,
		[VERDICT_REDIRECT] = POLICY_REDIRECT, [VERDICT_REJECT] = POLICY_REJECT,
		[VERDICT_SYNPROXY] = POLICY_SYNPROXY,
	};
	static const enum ct_state states[] = {
		[POLICY_CT_ESTABLISHED] = CT_ESTABLISHED, [POLICY_CT_RELATED] = CT_RELATED, [POLICY_CT_NEW] = CT_NEW,
		[POLICY_CT_UNTRACKED] = CT_UNTRACKED,     [POLICY_CT_INVALID] = CT_INVALID,
	};
	struct runner_frame rf = {
		.hook = hooks[meeting->hook],
		.bytes = frame->bytes,
		.length = frame->length,
		.wire_length = frame->wire_length,
		.ifindex = loaded->devices[meeting->device].ifindex,
		.mark = meeting->mark,
		.skuid = meeting->skuid,
		.now_ns = now_of(meeting),
		.bans = true,
		.has_ct = meeting->ct != MODEL_NONE,
		.ct = meeting->ct == MODEL_NONE ? CT_MAX : states[meeting->ct],
	};
	struct runner_result rr;
	int r;

	if (meeting->iif >= 0)
		rf.iif = loaded->devices[meeting->iif].ifindex;
	else if (meeting->iif == MODEL_ELSEWHERE)
		rf.iif = IFINDEX_ELSEWHERE;
	r = runner_run(loaded->runner, &rf, &rr);
	if (r < 0)
		return r;
	ret->verdict = verdicts[rr.verdict];
	ret->reason = rr.reason;
	ret->filter = filter_number(loaded, rr.filter);
	ret->rule = rr.rule == RULE_NONE ? MODEL_NONE : (int)rr.rule;
	ret->redirect = rr.verdict == VERDICT_REDIRECT ? device_number(loaded, rr.redirect) : MODEL_NONE;
	ret->ct = MODEL_NONE;
	return 0;
}

struct model_result loaded_model(const struct loaded *loaded, const struct frame *frame, const struct meeting *meeting,
				 struct model_counters *counters)
{
	struct model_frame mf = {
		.hook = meeting->hook,
		.device = meeting->device,
		.bytes = frame->bytes,
		.length = frame->length,
		.wire_length = frame->wire_length,
		.iif = meeting->iif,
		.mark = meeting->mark,
		.skuid = meeting->skuid,
		.now_ns = now_of(meeting),
		.ct = meeting->ct,
	};

	return model_judge(loaded->policy, &mf, loaded->state, counters);
}

bool model_result_same(const struct model_result *a, const struct model_result *b)
{
	return a->verdict == b->verdict && a->reason == b->reason && a->filter == b->filter && a->rule == b->rule &&
	       a->redirect == b->redirect;
}

/* ---- counters ---- */

struct counter_check {
	struct loaded *loaded;
	loaded_differs *differs;
	void *context;
	unsigned int same;
};

static void check_counter(struct counter_check *check, uint32_t number, struct model_count expected, const char *what,
			  const char *where, int at)
{
	struct counter c = { 0 };
	char text[300];
	int r;

	if (number == COUNTER_NONE)
		return;
	r = runner_counters(check->loaded->runner, number, 1, &c);
	if (r == 0 && c.packets == expected.packets && c.bytes == expected.bytes) {
		check->same++;
		return;
	}
	snprintf(text, sizeof(text), "counter %u (%s %s %d): %llu packets, %llu bytes, the model has %llu, %llu (%d)",
		 number, what, where, at, (unsigned long long)c.packets, (unsigned long long)c.bytes,
		 (unsigned long long)expected.packets, (unsigned long long)expected.bytes, r);
	check->differs(check->context, text);
}

unsigned int loaded_check_counters(struct loaded *loaded, const struct model_counters *sums, loaded_differs *differs,
				   void *context)
{
	struct counter_check check = { loaded, differs, context, 0 };
	const struct policy *policy = loaded->policy;
	const struct counter_plan *plan = loaded->counters;

	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		if (filter->implied) /* the model has no sums of it */
			continue;
		for (unsigned int i = 0; i < REASON_MAX; i++)
			check_counter(&check, plan->filter[f] + i, sums->reason[f][i], "reason", filter->name, i);
		for (size_t i = 0; i < filter->n_rules; i++) {
			check_counter(&check, plan->rule[f][i], sums->rule[f][i], "rule", filter->name, i);
			check_counter(&check, plan->own[f][i], sums->own[f][i], "own", filter->name, i);
		}
	}
	for (size_t i = 0; i < policy->n_counters; i++)
		check_counter(&check, plan->named[i], sums->named[i], "named", policy->counters[i], i);
	return check.same;
}
