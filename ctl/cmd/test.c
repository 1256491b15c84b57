// SPDX-License-Identifier: GPL-2.0
/* test: the test blocks of a rule file, on the real programs, touching no interface. */
#include "cmd.h"

#include <errno.h>

#include "../command.h"
#include "../kernel/tests.h"
#include "../out/out.h"
#include "rules.h"

struct tally {
	struct out *out;
	const struct policy *policy;
	size_t passed, failed;
};

static void say_outcome(void *context, const struct test_outcome *outcome)
{
	const struct test *test = outcome->test;
	struct tally *tally = context;
	const char *file = policy_location_file(tally->policy, test->loc);

	if (outcome->passed) {
		tally->passed++;
		out_text(tally->out, "ok   %s\n", test->name);
	} else {
		tally->failed++;
		out_text(tally->out, "FAIL %s\n     %s:%u: expected %s, got %s\n", test->name, file,
			 test->expect_loc.line, outcome->want, outcome->got);
	}
	out_object(tally->out, NULL);
	out_string(tally->out, "name", test->name);
	out_string(tally->out, "file", file);
	out_integer(tally->out, "line", test->loc.line);
	out_bool(tally->out, "passed", outcome->passed);
	out_string(tally->out, "expected", outcome->want);
	out_string(tally->out, "got", outcome->got);
	out_end(tally->out);
}

static int run_tests(struct run *run, struct rules *rules, struct tally *tally)
{
	struct runner *runner = NULL;
	int rc;

	rc = runner_open(&runner, rules->image->n_nodes, rules->image->n_refs, &run->diag);
	if (!rc)
		rc = runner_load(runner, rules->policy, rules->devices, rules->image, &run->diag);
	if (!rc)
		rc = tests_run(runner, rules->policy, rules->devices, say_outcome, tally, &run->diag);
	if (runner)
		runner_close(runner);
	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	else if (rc == -E2BIG)
		diag_errno(&run->diag, E2BIG, "cannot stage the rules");
	return rc ? EXIT_FAILED : EXIT_DONE;
}

int cmd_test(struct run *run)
{
	const char *file = run->operands[0];
	struct tally tally = { .out = run->out };
	struct rules rules = { 0 };
	int code;

	out_string(run->out, "file", file);
	code = rules_parse(file, &run->diag, &rules);
	if (code == EXIT_DONE)
		code = rules_compile(&rules, &run->diag);
	if (code == EXIT_REJECTED)
		run->closing = "apply would reject this file";
	if (code != EXIT_DONE)
		goto out;
	tally.policy = rules.policy;
	out_array(run->out, "tests");
	if (rules.policy->n_tests)
		code = run_tests(run, &rules, &tally);
	out_end(run->out);
	out_integer(run->out, "passed", tally.passed);
	out_integer(run->out, "failed", tally.failed);
	if (!rules.policy->n_tests)
		out_text(run->out, "%s: no test blocks\n", file);
	else if (tally.passed + tally.failed)
		out_text(run->out, "%s: %zu passed, %zu failed\n", file, tally.passed, tally.failed);
	if (tally.failed)
		diag_error(&run->diag, NOWHERE, "%zu of %zu tests failed", tally.failed, tally.passed + tally.failed);
out:
	rules_clear(&rules);
	return code;
}
