// SPDX-License-Identifier: GPL-2.0
/* show: what runs now, with its counters. */
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../command.h"
#include "../out/out.h"
#include "flow.h"
#include "rules.h"
#include "show_guard.h"

enum part {
	PART_RULES = 1,
	PART_SETS = 2,
	PART_COUNTERS = 4,
	PART_DEVICES = 8,
	PART_REASONS = 16,
	PART_GUARDS = 32,
	PART_ALL = 63,
};

struct show {
	struct run *run;
	struct out *out;
	struct weir_root *root;
	const struct running *running;
	const struct policy *policy;
	struct counter *counters; /* all of them, read once */
	struct attachment *attachments;
	size_t n_attachments;
	uint32_t features; /* FEATURE_* of the running rules */
	uint64_t flows[FLOW_TIME_COUNT];
	unsigned int parts;
};

static struct counter counter_at(const struct show *show, uint32_t number)
{
	return number < show->running->counters->n ? show->counters[number] : (struct counter){ 0 };
}

static void say_counter(struct show *show, struct counter counter)
{
	out_integer(show->out, "packets", counter.packets);
	out_integer(show->out, "bytes", counter.bytes);
}

static void text_counter(struct show *show, struct counter counter)
{
	out_text(show->out, "%12llu packets %14llu bytes", (unsigned long long)counter.packets,
		 (unsigned long long)counter.bytes);
}

/* ---- filters ---- */

static const struct attachment *attachment_find(const struct show *show, enum hook hook, uint32_t ifindex)
{
	for (size_t i = 0; i < show->n_attachments; i++)
		if (!show->attachments[i].guard && show->attachments[i].hook == hook &&
		    show->attachments[i].ifindex == ifindex && ifindex)
			return &show->attachments[i];
	return NULL;
}

static void say_devices(struct show *show, const struct filter *filter)
{
	out_array(show->out, "devices");
	for (size_t i = 0; i < filter->n_devices; i++) {
		unsigned int number = filter->devices[i].device;
		const char *name = show->policy->devices[number];
		const struct attachment *found =
			attachment_find(show, hook_of(filter->hook), show->running->devices[number].ifindex);
		bool attached = found && !found->gone;

		out_text(show->out, "%s%s (%s)", i ? ", " : "", name, attached ? found->how : "not attached");
		out_object(show->out, NULL);
		out_string(show->out, "name", name);
		out_bool(show->out, "optional", filter->devices[i].optional);
		out_bool(show->out, "attached", attached);
		out_string(show->out, "how", attached ? found->how : NULL);
		out_end(show->out);
	}
	out_end(show->out);
}

static void say_policy(struct show *show, const char *name, const char *word, struct counter counter)
{
	out_object(show->out, name);
	out_string(show->out, "verdict", word);
	say_counter(show, counter);
	out_end(show->out);
	if (!(show->parts & PART_RULES))
		return;
	text_counter(show, counter);
	out_text(show->out, "  %s %s\n", name, word);
}

static void say_policies(struct show *show, size_t f)
{
	const struct filter *filter = &show->policy->filters[f];
	uint32_t first = show->running->counters->filter[f];
	struct counter malformed = { 0 };

	for (unsigned int i = 0; i < REASON_MAX; i++)
		if (reason_is_malformed((enum reason)i)) {
			struct counter counter = counter_at(show, first + i);

			malformed.packets += counter.packets;
			malformed.bytes += counter.bytes;
		}
	say_policy(show, "malformed", policy_verdict_word(filter->malformed), malformed);
	say_policy(show, "fragments", policy_fragments_word(filter->fragments),
		   counter_at(show, first + REASON_FRAGMENT));
	say_policy(show, "default", policy_verdict_word(filter->default_verdict),
		   counter_at(show, first + REASON_DEFAULT));
}

static int say_rule(struct show *show, size_t f, size_t r)
{
	const struct rule *rule = &show->policy->filters[f].rules[r];
	uint32_t decided = show->running->counters->rule[f][r], own = show->running->counters->own[f][r];
	const char *file = policy_location_file(show->policy, rule->loc);
	char *text = rule_print(show->policy, rule);

	if (!text)
		return -ENOMEM;
	if (decided != COUNTER_NONE)
		text_counter(show, counter_at(show, decided));
	else if (own != COUNTER_NONE)
		text_counter(show, counter_at(show, own));
	else
		out_text(show->out, "%12s         %14s      ", "-", "-");
	out_text(show->out, "  %s:%u: %s\n", file, rule->loc.line, text);
	out_object(show->out, NULL);
	out_string(show->out, "file", file);
	out_integer(show->out, "line", rule->loc.line);
	out_string(show->out, "text", text);
	out_format(show->out, "handle", "%016llx", (unsigned long long)rule->handle);
	if (decided != COUNTER_NONE) {
		say_counter(show, counter_at(show, decided));
	} else {
		out_null(show->out, "packets");
		out_null(show->out, "bytes");
	}
	if (own != COUNTER_NONE) {
		out_object(show->out, "counter");
		say_counter(show, counter_at(show, own));
		out_end(show->out);
	}
	if (rule->comment)
		out_string(show->out, "comment", rule->comment);
	out_end(show->out);
	free(text);
	return 0;
}

static void say_reasons(struct show *show, size_t f)
{
	uint32_t first = show->running->counters->filter[f];

	out_object(show->out, "reasons");
	for (unsigned int i = 0; i < REASON_MAX; i++) {
		struct counter counter = counter_at(show, first + i);

		out_object(show->out, reason_name((enum reason)i));
		say_counter(show, counter);
		out_end(show->out);
		if (!counter.packets)
			continue;
		text_counter(show, counter);
		out_text(show->out, "  reason %s: %s\n", reason_name((enum reason)i), reason_text((enum reason)i));
	}
	out_end(show->out);
}

static int say_filter(struct show *show, size_t f)
{
	const struct filter *filter = &show->policy->filters[f];
	int rc = 0;

	out_object(show->out, NULL);
	out_string(show->out, "name", filter->name);
	out_string(show->out, "hook", hook_name(hook_of(filter->hook)));
	out_bool(show->out, "generic", filter->generic);
	out_bool(show->out, "tracks", filter->tracks);
	out_bool(show->out, "implied", filter->implied);
	out_text(show->out, "\nfilter %s: %s on ", filter->name, hook_name(hook_of(filter->hook)));
	say_devices(show, filter);
	out_text(show->out, "%s\n",
		 filter->implied  ? ", implied: tracks flows"
		 : filter->tracks ? ", tracks flows"
				  : "");
	if (show->parts & PART_RULES) {
		say_policies(show, f);
		out_array(show->out, "rules");
		for (size_t r = 0; r < filter->n_rules && !rc; r++)
			rc = say_rule(show, f, r);
		out_end(show->out);
	}
	if (show->parts & PART_REASONS)
		say_reasons(show, f);
	out_end(show->out);
	return rc;
}

/* ---- the rest ---- */

static int say_set(struct show *show, const struct set *set)
{
	size_t n = 0;
	char *type;
	int rc = root_set_count(show->root, set, &n, &show->run->diag);

	if (rc)
		return rc;
	type = set_type_text(set);
	if (!type)
		return -ENOMEM;
	out_text(show->out, "set %s: %s, %zu element%s\n", set->name, type, n, n == 1 ? "" : "s");
	out_object(show->out, NULL);
	out_string(show->out, "name", set->name);
	out_string(show->out, "type", type);
	out_integer(show->out, "elements", n);
	out_end(show->out);
	free(type);
	return 0;
}

static int say_sets(struct show *show)
{
	int rc = 0;

	out_text(show->out, "%s", show->policy->n_sets ? "\n" : "");
	out_array(show->out, "sets");
	for (size_t i = 0; i < show->policy->n_sets && !rc; i++)
		rc = say_set(show, &show->policy->sets[i]);
	out_end(show->out);
	return rc;
}

static void say_counters(struct show *show)
{
	struct counter lost = counter_at(show, COUNTER_EVENTS_LOST);

	out_text(show->out, "%s", show->policy->n_counters ? "\n" : "");
	out_array(show->out, "counters");
	for (size_t i = 0; i < show->policy->n_counters; i++) {
		struct counter counter = counter_at(show, show->running->counters->named[i]);

		text_counter(show, counter);
		out_text(show->out, "  counter %s\n", show->policy->counters[i]);
		out_object(show->out, NULL);
		out_string(show->out, "name", show->policy->counters[i]);
		say_counter(show, counter);
		out_end(show->out);
	}
	out_end(show->out);
	out_integer(show->out, "events_lost", lost.packets);
	if (lost.packets)
		out_text(show->out, "%12llu log events were lost: nobody read them in time\n",
			 (unsigned long long)lost.packets);
}

static void say_attachments(struct show *show)
{
	out_array(show->out, "attachments");
	for (size_t i = 0; i < show->n_attachments; i++) {
		const struct attachment *a = &show->attachments[i];

		out_object(show->out, NULL);
		attachment_say(show->out, a);
		out_end(show->out);
		if (a->gone)
			out_text(show->out, "%s %s: was attached (%s), but has gone\n", a->cgroup ? "cgroup" : "device",
				 a->cgroup ?: a->device, a->how);
		else if (a->guard && !(show->parts & PART_GUARDS))
			out_text(show->out, "guards: %s on %s\n", a->how, a->cgroup ?: a->device);
	}
	out_end(show->out);
}

/* ---- flows, limits and rejects: what is not any one filter's ---- */

static int count_flow(void *context, const struct flow *flow, uint64_t left_ns, bool *end)
{
	struct show *show = context;

	(void)left_ns;
	(void)end;
	show->flows[flow_time_of(flow)]++;
	return 0;
}

static void say_rare(struct show *show, const char *key, uint32_t counter, const char *text)
{
	uint64_t packets = counter_at(show, counter).packets;

	out_integer(show->out, key, packets);
	if (packets)
		out_text(show->out, "%12llu %s\n", (unsigned long long)packets, text);
}

/* By protocol, then state. */
static void say_flow_states(struct show *show)
{
	out_object(show->out, "states");
	for (enum flow_time i = 0; i < FLOW_TIME_COUNT; i++) {
		const struct flow_time_info *info = &flow_time_info[i];
		bool first = !i || strcmp(info[-1].protocol, info->protocol);
		bool last = i + 1 == FLOW_TIME_COUNT || strcmp(info[1].protocol, info->protocol);

		if (first)
			out_object(show->out, info->protocol);
		out_integer(show->out, info->state, show->flows[i]);
		if (last)
			out_end(show->out);
		if (show->flows[i])
			out_text(show->out, "%12llu %s %s\n", (unsigned long long)show->flows[i], info->protocol,
				 info->state);
	}
	out_end(show->out);
}

static int say_flows(struct show *show)
{
	uint64_t all = 0;
	int rc;

	if (!(show->features & FEATURE_FLOWS)) {
		out_null(show->out, "flow_table");
		return 0;
	}
	rc = root_flows(show->root, count_flow, show, &show->run->diag);
	if (rc)
		return rc;
	for (enum flow_time i = 0; i < FLOW_TIME_COUNT; i++)
		all += show->flows[i];
	out_text(show->out, "\nflows: %llu, made for %u\n", (unsigned long long)all, show->policy->flows.size);
	out_object(show->out, "flow_table");
	out_integer(show->out, "flows", all);
	out_integer(show->out, "size", show->policy->flows.size);
	say_flow_states(show);
	say_rare(show, "evicted", COUNTER_FLOWS_EVICTED, "flows ended early to make room for others");
	out_end(show->out);
	return 0;
}

static void say_limits(struct show *show)
{
	if (!(show->features & FEATURE_LIMITS)) {
		out_null(show->out, "limits_full");
		return;
	}
	say_rare(show, "limits_full", COUNTER_LIMITS_FULL, "packets found no room for their key of a limit");
}

static void say_bans(struct show *show)
{
	if (!(show->features & FEATURE_BANS)) {
		out_null(show->out, "bans_full");
		return;
	}
	say_rare(show, "bans_full", COUNTER_BANS_FULL, "packets found no room for a ban in its set");
}

static void say_answers(struct show *show)
{
	if (!(show->features & FEATURE_ANSWERS)) {
		out_null(show->out, "answers");
		return;
	}
	out_object(show->out, "answers");
	say_rare(show, "sent", COUNTER_ANSWERS, "answers of reject were sent");
	say_rare(show, "limited", COUNTER_ANSWERS_LIMITED, "were not: too many a second");
	say_rare(show, "refused", COUNTER_ANSWERS_REFUSED, "rejected packets were such as nobody may answer");
	out_end(show->out);
}

static void say_head(struct show *show)
{
	time_t at = (time_t)show->running->applied_at;
	char when[64] = "";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	out_text(show->out, "generation %llu from %s, applied %s\n", (unsigned long long)show->running->generation,
		 show->running->file, when);
	out_integer(show->out, "generation", show->running->generation);
	out_string(show->out, "file", show->running->file);
	out_integer(show->out, "applied_at", (uint64_t)show->running->applied_at);
}

static int show_read(struct show *show)
{
	size_t n = show->running->counters->n;
	int rc;

	show->counters = calloc(n + 1, sizeof(*show->counters));
	if (!show->counters)
		return -ENOMEM;
	rc = n ? root_counters(show->root, 0, (uint32_t)n, show->counters, &show->run->diag) : 0;
	if (!rc)
		rc = root_attachments(show->root, &show->attachments, &show->n_attachments, &show->run->diag);
	return rc;
}

static int show_say(struct show *show)
{
	int rc = 0;

	say_head(show);
	if (show->parts & (PART_RULES | PART_REASONS | PART_DEVICES)) {
		out_array(show->out, "filters");
		for (size_t f = 0; f < show->policy->n_filters && !rc; f++)
			rc = say_filter(show, f);
		out_end(show->out);
	}
	if (!rc && show->parts & PART_GUARDS)
		rc = guards_say(show->out, show->running, show->counters, show->attachments, show->n_attachments);
	if (!rc && show->parts & PART_DEVICES)
		say_attachments(show);
	if (!rc && show->parts & PART_SETS)
		rc = say_sets(show);
	if (!rc && show->parts & PART_COUNTERS) {
		say_counters(show);
		say_limits(show);
		say_bans(show);
		say_answers(show);
		rc = say_flows(show);
	}
	return rc;
}

static int parts_find(struct run *run, unsigned int *ret)
{
	static const struct {
		const char *word;
		unsigned int parts;
	} words[] = { { "rules", PART_RULES },     { "sets", PART_SETS },       { "counters", PART_COUNTERS },
		      { "devices", PART_DEVICES }, { "reasons", PART_REASONS }, { "guards", PART_GUARDS } };

	*ret = PART_ALL;
	if (!run->n_operands)
		return EXIT_DONE;
	if (run->n_operands > 1) {
		diag_error(&run->diag, NOWHERE, "'show %s' takes no arguments: that is too much", run->operands[0]);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(run->operands[0], words[i].word)) {
			*ret = words[i].parts;
			return EXIT_DONE;
		}
	diag_error(&run->diag, NOWHERE, "cannot show '%s'", run->operands[0]);
	diag_hint(&run->diag, "one of: rules, sets, counters, devices, reasons, guards, flows");
	return EXIT_USAGE;
}

int cmd_show(struct run *run)
{
	struct show show = { .run = run, .out = run->out };
	int code, rc;

	if (run->n_operands && !strcmp(run->operands[0], "flows"))
		return flow_list(run, run->operands + 1, run->n_operands - 1);
	code = parts_find(run, &show.parts);
	if (code != EXIT_DONE)
		return code;
	rc = root_open(&show.root, run->bpffs, ROOT_READ, &run->diag);
	if (rc == -ENOENT || (!rc && !root_running(show.root))) {
		/* An answer, not a failure. */
		out_text(run->out, "nothing is loaded under '%s'\n", run->bpffs);
		out_null(run->out, "generation");
		goto out;
	}
	if (rc)
		return EXIT_FAILED;
	show.running = root_running(show.root);
	show.policy = show.running->policy;
	show.features = policy_features(show.policy);
	rc = show_read(&show);
	if (!rc)
		rc = show_say(&show);
	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	code = rc ? EXIT_FAILED : EXIT_DONE;
out:
	free(show.counters);
	free(show.attachments);
	if (show.root)
		root_close(show.root);
	return code;
}
