// SPDX-License-Identifier: GPL-2.0
/* explain: each packet of a capture through a private copy of the programs; which rule decides, and why. */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../lang/suggest.h"
#include "../out/out.h"
#include "capture.h"
#include "rules.h"

/* Interfaces of the running rules that are not there get numbers that no interface has. */
#define MADE_UP_IFINDEX 0x40000000

struct explain {
	struct run *run;
	struct out *out;
	struct capture *capture;
	struct runner *runner; /* NULL: the device has no filter on this hook */
	struct weir_root *root;
	struct rules rules; /* with --rules */
	/* of the rules or of the running ones */
	const struct policy *policy;
	struct device_env *devices; /* a copy */
	struct image *image;
	enum hook hook;
	uint32_t ifindex;
	uint64_t start_ns; /* when the capture begins: now, so that the flows that are there are those of its packets */
};

static int hook_find(struct run *run, enum hook *ret)
{
	const char *word = run->value[OPTION_HOOK];
	struct suggestion near;

	suggest_start(&near, word, strlen(word));
	for (enum hook hook = 0; hook < HOOK_MAX; hook++) {
		if (!strcmp(word, hook_name(hook))) {
			*ret = hook;
			return EXIT_DONE;
		}
		suggest_offer(&near, hook_name(hook));
	}
	diag_error(&run->diag, NOWHERE, "there is no hook '%s'", word);
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	else
		diag_hint(&run->diag, "one of: xdp, tc-ingress, tc-egress");
	return EXIT_USAGE;
}

/* The filter that judges the device's packets on this hook; *ret_device: its number. */
static const struct filter *filter_find(const struct explain *explain, unsigned int *ret_device)
{
	for (size_t f = 0; f < explain->policy->n_filters; f++) {
		const struct filter *filter = &explain->policy->filters[f];

		for (size_t i = 0; i < filter->n_devices && hook_of(filter->hook) == explain->hook; i++) {
			*ret_device = filter->devices[i].device;
			if (!strcmp(explain->policy->devices[*ret_device], explain->run->value[OPTION_DEVICE]))
				return filter;
		}
	}
	return NULL;
}

/* A cooked capture has no addresses of the link layer: rules that ask for them cannot be answered. */
static int cooked_check(struct run *run, const struct filter *filter)
{
	for (size_t r = 0; r < filter->n_rules; r++)
		for (size_t i = 0; i < filter->rules[r].n_items; i++) {
			const struct item *item = &filter->rules[r].items[i];

			for (unsigned int n = 0; item->kind == ITEM_CONDITION && n < item->condition.n_fields; n++)
				if (item->condition.field[n] == FIELD_ETHER_SADDR ||
				    item->condition.field[n] == FIELD_ETHER_DADDR) {
					diag_error(
						&run->diag, NOWHERE,
						"the capture is of all devices at once ('cooked') and has no Ethernet "
						"addresses, but filter '%s' matches them",
						filter->name);
					diag_hint(&run->diag, "capture on the device itself");
					return EXIT_FAILED;
				}
		}
	return EXIT_DONE;
}

/* ---- where the rules come from ---- */

static int read_rules(struct explain *explain)
{
	struct run *run = explain->run;
	int code = rules_parse(run->value[OPTION_RULES], &run->diag, &explain->rules);

	if (code == EXIT_REJECTED)
		run->closing = "apply would reject this file";
	explain->policy = explain->rules.policy;
	return code;
}

static int read_running(struct explain *explain)
{
	const struct running *running;
	int code = running_open(explain->run, &explain->root, &running);

	if (code == EXIT_DONE)
		explain->policy = running->policy;
	return code;
}

static int copy_devices(struct explain *explain)
{
	size_t n = explain->policy->n_devices;
	const struct device_env *from = explain->root ? root_running(explain->root)->devices : explain->rules.devices;

	explain->devices = calloc(n + 1, sizeof(*explain->devices));
	if (!explain->devices)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		explain->devices[i] = from[i];
		if (!from[i].ifindex)
			explain->devices[i].ifindex = MADE_UP_IFINDEX + (uint32_t)i;
	}
	return 0;
}

static int stage_open(struct explain *explain)
{
	struct diag *diag = &explain->run->diag;

	if (explain->root)
		return runner_open_running(&explain->runner, explain->root, diag);
	return runner_open(&explain->runner, explain->image->n_nodes, explain->image->n_refs, diag);
}

/* Compiles the rules for the capture's kind of frames and loads them where no interface sees them. */
static int stage(struct explain *explain)
{
	struct run *run = explain->run;
	struct compile_input input = { .policy = explain->policy, .set_slot = explain->rules.set_slot };
	struct counter_plan *plain = NULL;
	const struct filter *filter;
	unsigned int device = 0;
	int rc;

	filter = filter_find(explain, &device);
	if (filter && capture_link(explain->capture) == CAPTURE_COOKED && cooked_check(run, filter) != EXIT_DONE)
		return EXIT_FAILED;
	rc = copy_devices(explain);
	if (!rc)
		rc = counter_plan_plain(&plain, explain->policy);
	if (rc)
		goto out;
	if (filter)
		explain->devices[device].raw_ip = capture_link(explain->capture) == CAPTURE_RAW_IP;
	explain->ifindex = explain->devices[device].ifindex;
	input.devices = explain->devices;
	input.counters = plain;
	if (explain->root)
		input.set_slot = root_running(explain->root)->set_slot;
	rc = compile_policy(&explain->image, &input, &run->diag);
	if (rc) {
		counter_plan_free(plain);
		return rc == -EINVAL ? EXIT_REJECTED : EXIT_FAILED;
	}
	if (filter)
		rc = stage_open(explain);
	if (!rc && filter)
		rc = runner_load(explain->runner, explain->policy, explain->devices, explain->image, &run->diag);
out:
	if (plain)
		counter_plan_free(plain);
	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	else if (rc == -E2BIG)
		diag_errno(&run->diag, E2BIG, "cannot stage the rules");
	return rc ? EXIT_FAILED : EXIT_DONE;
}

/* ---- packets ---- */

static const char *device_name(const struct explain *explain, uint32_t ifindex, char buffer[64])
{
	for (size_t i = 0; i < explain->policy->n_devices; i++)
		if (explain->devices[i].ifindex == ifindex)
			return explain->policy->devices[i];
	if (link_name(ifindex, buffer))
		snprintf(buffer, 64, "%u", ifindex);
	return buffer;
}

static void say_packet(struct explain *explain, uint64_t packet, const struct runner_result *result)
{
	const char *ct = result->ct < CT_MAX ? ct_word(result->ct) : NULL;
	const char *verdict = verdict_word(result->verdict);
	const struct filter *filter =
		result->filter < explain->policy->n_filters ? &explain->policy->filters[result->filter] : NULL;
	char rule[160] = "", name[64];
	struct out *out = explain->out;

	if (filter && result->rule < filter->n_rules) {
		struct location loc = filter->rules[result->rule].loc;

		snprintf(rule, sizeof(rule), "%s:%u", policy_location_file(explain->policy, loc), loc.line);
	}
	out_integer(out, "packet", packet);
	out_string(out, "hook", hook_name(explain->hook));
	out_string(out, "verdict", verdict);
	out_string(out, "filter", filter ? filter->name : NULL);
	out_string(out, "rule", *rule ? rule : NULL);
	out_string(out, "reason", reason_name(result->reason));
	out_string(out, "ct", ct);
	out_text(out, "%llu %s", (unsigned long long)packet, verdict);
	if (result->verdict == VERDICT_REDIRECT)
		out_text(out, " to %s", device_name(explain, result->redirect, name));
	if (filter)
		out_text(out, ", filter %s", filter->name);
	if (ct)
		out_text(out, ", ct %s", ct);
	out_text(out, "%s%s, %s\n", *rule ? ", " : "", rule, reason_name(result->reason));
	out_record_end(out);
}

static int say_packets(struct explain *explain)
{
	struct diag *diag = &explain->run->diag;
	struct capture_frame frame;
	uint64_t packet = 0;
	int rc;

	while ((rc = capture_next(explain->capture, &frame, diag)) > 0 && !out_failed(explain->out)) {
		struct runner_result result = {
			.verdict = VERDICT_ACCEPT,
			.reason = REASON_UNBOUND,
			.filter = RULE_NONE,
			.rule = RULE_NONE,
		};
		struct runner_frame run = {
			.hook = explain->hook,
			.bytes = frame.bytes,
			.length = frame.length,
			.wire_length = frame.wire_length,
			.ifindex = explain->ifindex,
			.skuid = -1,
			.now_ns = explain->start_ns + frame.time_ns,
		};

		packet++;
		if (explain->runner) {
			rc = runner_run(explain->runner, &run, &result);
			if (rc) {
				diag_errno(diag, -rc, "cannot run packet %llu (%zu bytes) through the programs",
					   (unsigned long long)packet, frame.length);
				return EXIT_FAILED;
			}
		}
		say_packet(explain, packet, &result);
	}
	return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

int cmd_explain(struct run *run)
{
	struct explain explain = { .run = run, .out = run->out, .start_ns = runner_clock() };
	int code = hook_find(run, &explain.hook);

	out_lines(run->out);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (code != EXIT_DONE)
		return code;
	if (run->value[OPTION_RULES] && !strcmp(run->value[OPTION_RULES], "-") && !strcmp(run->operands[0], "-")) {
		diag_error(&run->diag, NOWHERE, "the rules and the capture cannot both come from standard input");
		return EXIT_USAGE;
	}
	/* The capture first: opening waits for its head, which may come late, and the running rules are locked. */
	if (capture_open(&explain.capture, run->operands[0], &run->diag))
		return EXIT_FAILED;
	code = run->value[OPTION_RULES] ? read_rules(&explain) : read_running(&explain);
	if (code == EXIT_DONE)
		code = stage(&explain);
	/* The capture may be a pipe that never ends, and what is needed of the running rules is at hand now. */
	if (code == EXIT_DONE && explain.root && root_unlock(explain.root))
		code = EXIT_FAILED;
	if (code == EXIT_DONE)
		code = say_packets(&explain);
	if (explain.runner)
		runner_close(explain.runner);
	if (explain.image)
		image_free(explain.image);
	if (explain.capture)
		capture_close(explain.capture);
	if (explain.root)
		root_close(explain.root);
	free(explain.devices);
	rules_clear(&explain.rules);
	return code;
}
