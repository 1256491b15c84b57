// SPDX-License-Identifier: GPL-2.0
/* check: everything that can be said about a rule file without the kernel. */
#include "cmd.h"

#include <stdlib.h>

#include "../command.h"
#include "../out/out.h"
#include "rules.h"

/* What a step and a look-up cost on an ordinary machine; good for comparing rule files, not for promises. */
#define STEP_NS   8
#define LOOKUP_NS 40

static void say_devices(struct out *out, const struct policy *policy, const struct filter *filter)
{
	out_array(out, "devices");
	for (size_t i = 0; i < filter->n_devices; i++) {
		const char *name = policy->devices[filter->devices[i].device];

		out_text(out, "%s%s%s", i ? ", " : "", name,
			 filter->devices[i].optional && !filter->implied ? " (optional)" : "");
		out_object(out, NULL);
		out_string(out, "name", name);
		out_bool(out, "optional", filter->devices[i].optional);
		out_end(out);
	}
	out_end(out);
}

static void say_filter(struct out *out, const struct rules *rules, size_t n)
{
	const struct filter *filter = &rules->policy->filters[n];
	unsigned int lookups = rules->image->head->filter[n].n_lookups;
	uint32_t steps = rules->image->worst_steps[n];
	uint64_t ns = (uint64_t)steps * STEP_NS + lookups * LOOKUP_NS;

	out_object(out, NULL);
	out_string(out, "name", filter->name);
	out_string(out, "hook", hook_name(hook_of(filter->hook)));
	out_bool(out, "generic", filter->generic);
	out_bool(out, "tracks", filter->tracks);
	out_bool(out, "implied", filter->implied);
	out_text(out, "filter %s: %s%s on ", filter->name, hook_name(hook_of(filter->hook)),
		 filter->generic ? " generic" : "");
	say_devices(out, rules->policy, filter);
	if (filter->implied)
		out_text(out, "; implied: accepts everything, to track flows\n");
	else
		out_text(out, "; %zu rule%s, default %s%s\n", filter->n_rules, filter->n_rules == 1 ? "" : "s",
			 policy_verdict_word(filter->default_verdict), filter->tracks ? ", tracks flows" : "");
	out_text(out, "  at most %u step%s and %u set lookup%s a packet: about %llu ns\n", steps, steps == 1 ? "" : "s",
		 lookups, lookups == 1 ? "" : "s", (unsigned long long)ns);
	out_string(out, "default", policy_verdict_word(filter->default_verdict));
	out_string(out, "malformed", policy_verdict_word(filter->malformed));
	out_string(out, "fragments", policy_fragments_word(filter->fragments));
	out_integer(out, "rules", filter->n_rules);
	out_integer(out, "steps", steps);
	out_integer(out, "lookups", lookups);
	out_integer(out, "ns", ns);
	out_end(out);
}

static int say_endpoints(struct out *out, const struct guard_statement *guard)
{
	bool first = true;

	out_array(out, "endpoints");
	for (size_t i = 0; i < guard->n_targets; i++) {
		const struct guard_target *target = &guard->targets[i];
		char *text = guard_target_print(target);
		bool again = false;

		if (!text)
			return EXIT_FAILED;
		for (size_t j = 0; j < i; j++)
			again |= guard_target_same(&guard->targets[j], target);
		if (!again)
			out_text(out, "%s%s", first ? " " : ", ", text);
		first = false;
		out_object(out, NULL);
		out_string(out, "endpoint", text);
		out_string(out, "provider", target->provider);
		out_bool(out, "tokens", target->tokens != 0);
		out_end(out);
		free(text);
	}
	out_end(out);
	return EXIT_DONE;
}

static int say_guard(struct out *out, const struct guard_statement *guard)
{
	int code;

	out_object(out, NULL);
	out_string(out, "name", guard->name);
	out_text(out, "guard %s:", guard->name);
	code = say_endpoints(out, guard);
	if (guard->n_allows)
		out_text(out, "; %zu identit%s allowed, audit %s\n", guard->n_allows,
			 guard->n_allows == 1 ? "y" : "ies", guard_audit_text(guard->audit));
	else
		out_text(out, "; nobody is allowed, audit %s\n", guard_audit_text(guard->audit));
	out_integer(out, "allowed", guard->n_allows);
	out_string(out, "audit", guard_audit_text(guard->audit));
	out_end(out);
	return code;
}

static int say_set(struct out *out, const struct set *set)
{
	char *type = set_type_text(set);

	if (!type)
		return EXIT_FAILED;
	out_text(out, "set %s: %s, %zu element%s", set->name, type, set_size(set), set_size(set) == 1 ? "" : "s");
	if (set->n_duplicates)
		out_text(out, " (%zu duplicate%s left out)", set->n_duplicates, set->n_duplicates == 1 ? "" : "s");
	if (!set->has_content)
		out_text(out, " (filled by 'weir set')");
	if (set->size)
		out_text(out, ", room for %u", set->size);
	out_text(out, "%s\n", set->used ? "" : ", not used by any rule");
	out_object(out, NULL);
	out_string(out, "name", set->name);
	out_string(out, "type", type);
	out_integer(out, "elements", set_size(set));
	out_integer(out, "duplicates", set->n_duplicates);
	if (set->size)
		out_integer(out, "size", set->size);
	else
		out_null(out, "size");
	out_bool(out, "used", set->used);
	out_end(out);
	free(type);
	return EXIT_DONE;
}

/* What flows, limits and datagrams in parts take, whatever they hold. */
static void say_memory(struct out *out, const struct rules *rules)
{
	const struct image *image = rules->image;
	uint64_t flows = (uint64_t)image->n_flows * sizeof(struct flow);
	uint64_t limits = (uint64_t)image->n_buckets * sizeof(struct bucket_line);
	uint64_t fragments = (uint64_t)image->n_datagrams * DATAGRAM_BUCKET_BYTES;

	out_object(out, "memory");
	out_integer(out, "flows", flows);
	out_integer(out, "limits", limits);
	out_integer(out, "fragments", fragments);
	out_end(out);
	if (flows)
		out_text(out, "flows: room for %u in %llu KiB, when it is full: %s\n", rules->policy->flows.size,
			 (unsigned long long)flows >> 10, policy_verdict_word(rules->policy->flows.full));
	if (limits)
		out_text(out, "limits: room for %llu keys in %llu KiB\n",
			 (unsigned long long)image->n_buckets * BUCKETS_PER_LINE, (unsigned long long)limits >> 10);
	if (fragments)
		out_text(out, "fragments: room for %u datagrams in %llu KiB\n", image->n_datagrams * DATAGRAM_LANES,
			 (unsigned long long)fragments >> 10);
}

int cmd_check(struct run *run)
{
	const char *file = run->operands[0];
	struct out *out = run->out;
	struct rules rules = { 0 };
	const struct image *image;
	int code;

	code = rules_parse(file, &run->diag, &rules);
	if (code == EXIT_DONE)
		code = rules_compile(&rules, &run->diag);
	if (code == EXIT_REJECTED)
		run->closing = "apply would reject this file";
	out_string(out, "file", file);
	if (code != EXIT_DONE)
		goto out;
	image = rules.image;
	out_array(out, "filters");
	for (size_t i = 0; i < rules.policy->n_filters; i++)
		say_filter(out, &rules, i);
	out_end(out);
	out_array(out, "sets");
	for (size_t i = 0; i < rules.policy->n_sets && code == EXIT_DONE; i++)
		code = say_set(out, &rules.policy->sets[i]);
	out_end(out);
	out_array(out, "guards");
	for (size_t i = 0; i < rules.policy->n_guards && code == EXIT_DONE; i++)
		code = say_guard(out, &rules.policy->guards[i]);
	out_end(out);
	say_memory(out, &rules);
	out_integer(out, "tests", rules.policy->n_tests);
	if (rules.policy->n_tests)
		out_text(out, "tests: %zu; 'weir test' runs them\n", rules.policy->n_tests);
	out_text(out, "size: %zu bytes (%zu nodes, %zu references), sets not counted\n", image->bytes, image->n_nodes,
		 image->n_refs);
	out_integer(out, "bytes", image->bytes);
	out_integer(out, "nodes", image->n_nodes);
	out_integer(out, "refs", image->n_refs);
out:
	rules_clear(&rules);
	return code;
}
