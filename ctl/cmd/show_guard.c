// SPDX-License-Identifier: GPL-2.0
#include "show_guard.h"

#include <errno.h>
#include <stdlib.h>

#include "../out/out.h"
#include "rules.h"

static const struct {
	const char *name, *text;
	bool denied;
} outcomes[GUARD_OUTCOME_MAX] = {
#define X(name, json, kind, text) [GUARD_DID_##name] = { json, text, GUARD_KIND_##kind == GUARD_KIND_D },
	GUARD_OUTCOMES(X)
#undef X
};

static const struct {
	const char *name, *unit;
} layers[GUARD_LAYER_MAX] = {
	[GUARD_CALL] = { "call", "calls" },
	[GUARD_PACKET] = { "packet", "packets" },
};

static void say_counter(struct out *out, enum guard_layer layer, enum guard_outcome outcome, uint64_t n)
{
	out_object(out, NULL);
	out_string(out, "layer", layers[layer].name);
	out_string(out, "outcome", outcomes[outcome].name);
	out_bool(out, "denied", outcomes[outcome].denied);
	out_integer(out, "packets", n);
	out_end(out);
	if (n)
		out_text(out, "%12llu %-7s  %s: %s\n", (unsigned long long)n, layers[layer].unit,
			 outcomes[outcome].name, outcomes[outcome].text);
}

static int say_endpoints(struct out *out, const struct guard_statement *guard)
{
	out_array(out, "endpoints");
	for (size_t i = 0; i < guard->n_targets; i++) {
		char *text = guard_target_print(&guard->targets[i]);

		if (!text)
			return -ENOMEM;
		out_string(out, NULL, text);
		free(text);
	}
	out_end(out);
	return 0;
}

static int say_lines(struct out *out, const struct policy *policy, const struct guard_statement *guard)
{
	size_t n;
	char **lines = guard_lines(policy, guard, true, &n);

	if (!lines)
		return -ENOMEM;
	out_array(out, "statements");
	for (size_t i = 0; i < n; i++) {
		out_text(out, "    %s\n", lines[i]);
		out_string(out, NULL, lines[i]);
	}
	out_end(out);
	guard_lines_free(lines, n);
	return 0;
}

static int say_guard(struct out *out, const struct policy *policy, const struct guard_statement *guard,
		     const struct counter *counters)
{
	const char *file = policy_location_file(policy, guard->loc);
	int rc;

	out_object(out, NULL);
	out_string(out, "name", guard->name);
	out_string(out, "file", file);
	out_integer(out, "line", guard->loc.line);
	out_text(out, "\nguard %s: %s:%u\n", guard->name, file, guard->loc.line);
	rc = say_endpoints(out, guard);
	if (!rc)
		rc = say_lines(out, policy, guard);
	if (rc)
		return rc;
	out_array(out, "counters");
	for (enum guard_layer layer = 0; layer < GUARD_LAYER_MAX; layer++)
		for (enum guard_outcome i = 0; i < GUARD_OUTCOME_MAX; i++)
			say_counter(out, layer, i, counters[layer * GUARD_OUTCOME_MAX + i].packets);
	out_end(out);
	out_end(out);
	return 0;
}

static bool is_there(const struct attachment *attachment)
{
	return attachment->guard && !attachment->gone;
}

static void say_places(struct out *out, const struct attachment *attachments, size_t n)
{
	const char *cgroup = NULL;
	size_t calls = 0, devices = 0;

	out_array(out, "guard_attachments");
	for (size_t i = 0; i < n; i++) {
		const struct attachment *a = &attachments[i];

		if (!a->guard)
			continue;
		out_object(out, NULL);
		attachment_say(out, a);
		out_end(out);
		if (is_there(a) && a->cgroup) {
			calls++;
			cgroup = a->cgroup;
		}
	}
	out_end(out);
	out_text(out, "\nguards: %zu kinds of calls in %s, packets that leave by", calls, cgroup ?: "no cgroup");
	for (size_t i = 0; i < n; i++)
		if (is_there(&attachments[i]) && !attachments[i].cgroup)
			out_text(out, "%s %s (%s)", devices++ ? "," : "", attachments[i].device, attachments[i].how);
	out_text(out, devices ? "\n" : " no device\n");
}

int guards_say(struct out *out, const struct running *running, const struct counter *counters,
	       const struct attachment *attachments, size_t n_attachments)
{
	const struct policy *policy = running->policy;
	int rc = 0;

	if (policy->n_guards)
		say_places(out, attachments, n_attachments);
	out_array(out, "guards");
	for (size_t g = 0; g < policy->n_guards && !rc; g++)
		rc = say_guard(out, policy, &policy->guards[g], counters + running->counters->guard[g]);
	out_end(out);
	return rc;
}
