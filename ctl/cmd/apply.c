// SPDX-License-Identifier: GPL-2.0
/* apply and down: what changes the host. */
#include "cmd.h"

#include <errno.h>

#include "../command.h"
#include "../out/out.h"
#include "rules.h"

/* Microseconds are enough. */
static double rounded(double ms)
{
	return (double)(uint64_t)(ms * 1000 + 0.5) / 1000;
}

static void say_applied(struct out *out, const char *file, const struct apply_result *result)
{
	out_bool(out, "unchanged", result->unchanged);
	out_integer(out, "generation", result->generation);
	out_integer(out, "attached", result->attached);
	out_integer(out, "detached", result->detached);
	out_integer(out, "sets_loaded", result->sets_loaded);
	out_integer(out, "sets_kept", result->sets_kept);
	out_integer(out, "sockets_closed", result->closed);
	out_real(out, "stage_ms", rounded(result->stage_ms));
	out_real(out, "swap_ms", rounded(result->swap_ms));
	if (result->unchanged) {
		out_text(out, "%s: unchanged, generation %llu runs on\n", file, (unsigned long long)result->generation);
		return;
	}
	out_text(out, "%s: generation %llu runs\n", file, (unsigned long long)result->generation);
	out_text(out, "  devices: %zu attached, %zu detached; sets: %zu loaded, %zu kept\n", result->attached,
		 result->detached, result->sets_loaded, result->sets_kept);
	if (result->closed)
		out_text(out, "  guards: %zu sockets closed that were open to an endpoint\n", result->closed);
	out_text(out, "  staged in %.1f ms, swapped in %.3f ms\n", result->stage_ms, result->swap_ms);
}

int cmd_apply(struct run *run)
{
	const char *file = run->operands[0];
	struct apply_options options = { .force = run->value[OPTION_FORCE],
					 .file = file,
					 .cgroup = run->value[OPTION_CGROUP] };
	struct apply_result result = { 0 };
	struct weir_root *root = NULL;
	struct rules rules = { 0 };
	int code, rc;

	run->closing = "nothing was loaded, the running rules are unchanged";
	out_string(run->out, "file", file);
	code = rules_parse(file, &run->diag, &rules);
	if (code != EXIT_DONE)
		goto out;
	rc = root_open(&root, run->bpffs, ROOT_CREATE, &run->diag);
	if (!rc)
		rc = root_apply(root, rules.policy, &options, &result, &run->diag);
	code = rules_exit(&run->diag, rc);
	if (code == EXIT_DONE) {
		say_applied(run->out, file, &result);
		run->closing = NULL;
	}
	if (root)
		root_close(root);
out:
	rules_clear(&rules);
	return code;
}

int cmd_down(struct run *run)
{
	int rc = root_down(run->bpffs, &run->diag);
	bool was_up = rc != -ENOENT;

	if (rc && was_up)
		return EXIT_FAILED;
	out_bool(run->out, "was_loaded", was_up);
	if (was_up)
		out_text(run->out, "everything of weir under '%s' is gone\n", run->bpffs);
	else
		out_text(run->out, "nothing was loaded under '%s'\n", run->bpffs);
	return EXIT_DONE;
}
