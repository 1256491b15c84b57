/* SPDX-License-Identifier: GPL-2.0 */
/* The `test` blocks of a policy, run through the programs. */
#pragma once

#include "kernel.h"

struct test_outcome {
	const struct test *test;
	struct runner_result result;
	bool passed;
	char got[160]; /* "drop by edge.rules:14 (rule)" */
	char want[160];
};
typedef void (*test_handler)(void *context, const struct test_outcome *outcome);

/* The number that failed, or a negative errno. */
int tests_run(struct runner *runner, const struct policy *policy, const struct device_env *devices,
	      test_handler handler, void *context, struct diag *diag);
