// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests.h"

static const char *reason_word(enum reason reason)
{
	static const char *const words[] = {
#define X(name, json, kind, text) json,
		REASONS(X)
#undef X
	};

	return reason < REASON_MAX ? words[reason] : "?";
}

static const struct rule *rule_of(const struct policy *policy, const struct runner_result *result)
{
	if (result->filter >= policy->n_filters || result->rule >= policy->filters[result->filter].n_rules)
		return NULL;
	return &policy->filters[result->filter].rules[result->rule];
}

static bool as_expected(const struct policy *policy, const struct test *test, const struct runner_result *got)
{
	const struct rule *rule = rule_of(policy, got);

	if (got->verdict != lower_verdict_of(test->verdict))
		return false;
	if (test->by_reason && strcmp(test->by_reason, reason_word(got->reason)))
		return false;
	if (!test->by_line)
		return true;
	if (!rule || rule->loc.line != test->by_line)
		return false;
	if (test->by_file && strchr(test->by_file, '.'))
		return !strcmp(test->by_file, policy_location_file(policy, rule->loc));
	return !test->by_file || !strcmp(test->by_file, policy->filters[got->filter].name);
}

static void describe(struct test_outcome *o, const struct policy *policy)
{
	const struct rule *rule = rule_of(policy, &o->result);
	const struct test *test = o->test;

	if (rule)
		snprintf(o->got, sizeof(o->got), "%s by %s:%u (%s)", verdict_word(o->result.verdict),
			 policy_location_file(policy, rule->loc), rule->loc.line, reason_word(o->result.reason));
	else
		snprintf(o->got, sizeof(o->got), "%s by %s", verdict_word(o->result.verdict),
			 reason_word(o->result.reason));
	if (test->by_line)
		snprintf(o->want, sizeof(o->want), "%s by %s:%u", policy_verdict_word(test->verdict),
			 test->by_file ? test->by_file : "line", test->by_line);
	else if (test->by_reason)
		snprintf(o->want, sizeof(o->want), "%s by %s", policy_verdict_word(test->verdict), test->by_reason);
	else
		snprintf(o->want, sizeof(o->want), "%s", policy_verdict_word(test->verdict));
}

/* The device a test is on: the one it names, else the first of its filter that is there. */
static uint32_t test_device(const struct policy *policy, const struct device_env *devices, const struct test *test)
{
	const struct filter *filter = &policy->filters[test->filter];

	if (test->device >= 0)
		return devices[test->device].ifindex;
	for (size_t i = 0; i < filter->n_devices; i++)
		if (devices[filter->devices[i].device].ifindex)
			return devices[filter->devices[i].device].ifindex;
	return 0;
}

static bool test_raw_ip(const struct policy *policy, const struct device_env *devices, uint32_t ifindex)
{
	for (size_t i = 0; i < policy->n_devices; i++)
		if (devices[i].ifindex == ifindex)
			return devices[i].raw_ip;
	return false;
}

int tests_run(struct runner *runner, const struct policy *policy, const struct device_env *devices,
	      test_handler handler, void *context, struct diag *diag)
{
	int failed = 0;

	for (size_t i = 0; i < policy->n_tests; i++) {
		const struct test *test = &policy->tests[i];
		struct test_outcome outcome = { .test = test };
		struct runner_frame frame = {
			.hook = (enum hook)policy->filters[test->filter].hook,
			.ifindex = test_device(policy, devices, test),
			.mark = test->packet.mark,
			.skuid = test->packet.skuid,
			.iif = test->packet.iif >= 0 ? devices[test->packet.iif].ifindex : 0,
		};
		uint8_t *bytes;
		int r;

		r = frame_build(&bytes, &frame.length, &test->packet, test_raw_ip(policy, devices, frame.ifindex));
		if (r)
			return diag_oom(diag);
		frame.bytes = bytes;
		frame.has_ct = test->packet.ct >= 0;
		frame.ct = frame.has_ct ? (enum ct_state)test->packet.ct : CT_MAX;
		r = runner_forget(runner) ?: runner_run(runner, &frame, &outcome.result);
		free(bytes);
		if (r)
			return diag_errno(diag, -r, "cannot run test '%s'", test->name);
		outcome.passed = as_expected(policy, test, &outcome.result);
		describe(&outcome, policy);
		failed += !outcome.passed;
		handler(context, &outcome);
	}
	return failed;
}
