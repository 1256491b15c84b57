// SPDX-License-Identifier: GPL-2.0
/*
 * Random policies times random frames: the programs in the kernel, on every hook, against the reference model, which
 * shares no code with them.
 *
 *	t-differential [--structured RULES] [POLICIES [PACKETS [SEED]]]
 *
 * With --structured, policies of that many rules that look like real ones (gen_structured.h). Without any word, some of
 * both kinds. Each policy has a seed of its own, printed with a difference; the command line printed there repeats just
 * that policy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "gen_packet.h"
#include "gen_policy.h"
#include "gen_structured.h"
#include "loaded.h"
#include "reason_words.h"

#define DIFFERENCES_SHOWN 5

struct tally {
	unsigned long passed, failed;
	unsigned long packets, judged;
	unsigned long reason[REASON_MAX], verdict[POLICY_SYNPROXY + 1];
	unsigned int shown; /* differences of this policy */
};

/* One policy under test. */
struct trial {
	const char *program;
	uint64_t seed;
	unsigned int packets;
	unsigned int rules; /* of a structured policy; 0: a random one */
	bool alone;         /* this policy only: large ones are printed, too */
	const char *text;
	struct loaded loaded;
	struct model_counters *sums;
	struct tally *tally;
};

static const char *const hook_names[] = { "xdp", "tc-ingress", "tc-egress" };

static void show_policy(struct trial *t)
{
	char option[40] = "";

	if (t->tally->shown++)
		return;
	if (t->rules)
		snprintf(option, sizeof(option), "--structured %u ", t->rules);
	printf("---- %s %s1 %u %llu\n%s----\n", t->program, option, t->packets, (unsigned long long)t->seed,
	       t->rules && !t->alone ? "" : t->text);
}

static void show_difference(struct trial *t, const struct frame *frame, const struct meeting *m, const char *a_name,
			    const struct model_result *a, const char *b_name, const struct model_result *b)
{
	static char hex[2 * FRAME_MOST + 8];
	char a_text[300], b_text[300];

	t->tally->failed++;
	show_policy(t);
	if (t->tally->shown > DIFFERENCES_SHOWN)
		return;
	model_print(t->loaded.policy, a, a_text, sizeof(a_text));
	model_print(t->loaded.policy, b, b_text, sizeof(b_text));
	frame_hex(frame, hex, sizeof(hex));
	printf("difference on %s of %s (iif %d mark %u skuid %lld), %zu of %zu bytes\n  %-10s %s\n  %-10s %s\n  %s\n",
	       hook_names[m->hook], t->loaded.policy->devices[m->device], m->iif, m->mark, (long long)m->skuid,
	       frame->length, frame->wire_length, a_name, a_text, b_name, b_text, hex);
}

/* Same stem: the same rules on another hook. */
static bool same_rules(const struct policy *policy, int a, int b)
{
	const char *x, *y;
	size_t stem;

	if (a < 0 || b < 0)
		return false;
	x = policy->filters[a].name;
	y = policy->filters[b].name;
	stem = strcspn(x, "_");
	return strncmp(x, y, stem + 1) == 0;
}

/* The verdicts of one frame on all hooks of one device. */
static int judge_everywhere(struct trial *t, const struct frame *frame, const struct meeting *where)
{
	struct model_result first = { .filter = MODEL_NONE };

	for (int hook = 0; hook < POLICY_HOOK_MAX; hook++) {
		struct meeting m = *where;
		struct model_result kernel, model;
		int r;

		m.hook = hook;
		if (hook != POLICY_TC_EGRESS) {
			m.iif = m.device;
			m.skuid = -1;
		}
		if (hook == POLICY_XDP)
			m.mark = 0;
		model = loaded_model(&t->loaded, frame, &m, t->sums);
		r = loaded_run(&t->loaded, frame, &m, &kernel);
		if (r < 0) {
			printf("cannot run a frame of %zu bytes (%zu) on %s: %s\n", frame->length, frame->wire_length,
			       hook_names[hook], strerror(-r));
			t->tally->failed++;
			show_policy(t);
			return r;
		}
		t->tally->judged++;
		t->tally->reason[model.reason]++;
		t->tally->verdict[model.verdict]++;
		if (model_result_same(&kernel, &model))
			t->tally->passed++;
		else
			show_difference(t, frame, &m, "kernel", &kernel, "model", &model);
		if (first.filter == MODEL_NONE) {
			first = kernel;
		} else if (same_rules(t->loaded.policy, first.filter, kernel.filter) &&
			   (hook != POLICY_TC_EGRESS || m.iif == m.device)) {
			struct model_result same = kernel;

			same.filter = first.filter;
			if (!model_result_same(&first, &same))
				show_difference(t, frame, &m, "first hook", &first, "this hook", &kernel);
		}
	}
	return 0;
}

static void show_counter(void *context, const char *what)
{
	struct trial *t = context;

	t->tally->failed++;
	show_policy(t);
	if (t->tally->shown <= DIFFERENCES_SHOWN)
		printf("%s\n", what);
}

/* ---- trials ---- */

/* Mostly one that has a filter. */
static int pick_device(struct trial *t, struct random *r)
{
	const struct policy *policy = t->loaded.policy;
	const struct filter *filter = &policy->filters[random_below(r, policy->n_filters)];

	if (random_chance(r, 5))
		return random_below(r, policy->n_devices);
	return filter->devices[random_below(r, filter->n_devices)].device;
}

static struct meeting pick_meeting(struct trial *t, struct random *r)
{
	static const uint32_t marks[] = { 0, 0, 1, 2, 0x10, 0xff00, 0x80000001 };
	static const int64_t uids[] = { -1, -1, 0, 1, 33, 1000, 65534 };
	struct meeting m = { .mark = random_pick(r, marks), .skuid = random_pick(r, uids), .ct = MODEL_NONE };

	m.device = pick_device(t, r);
	switch (random_below(r, 4)) {
	case 0:
		m.iif = MODEL_NONE;
		break;
	case 1:
		m.iif = random_below(r, t->loaded.policy->n_devices);
		break;
	case 2:
		m.iif = MODEL_ELSEWHERE;
		break;
	default:
		m.iif = m.device;
		break;
	}
	return m;
}

static void frame_of(struct frame *ret, const struct shape_packet *p)
{
	frame_make(ret, &(struct frame_spec){ .family = p->family,
					      .saddr = p->saddr,
					      .daddr = p->daddr,
					      .proto = p->proto,
					      .sport = p->sport,
					      .dport = p->dport,
					      .flags = p->flags,
					      .type = p->type,
					      .ttl = p->ttl,
					      .tos = p->dscp << 2 });
}

/* structure: that of the policy, or NULL. */
static void try_packets(struct trial *t, const struct structure *structure, struct random *random)
{
	static struct frame frame;

	t->sums = model_counters_new(t->loaded.policy);
	for (unsigned int i = 0; i < t->packets; i++) {
		struct meeting meeting = pick_meeting(t, random);

		if (structure) {
			struct shape_packet packet;

			structure_pick(structure, random, &packet);
			frame_of(&frame, &packet);
		} else {
			gen_packet(&frame, random);
		}
		t->tally->packets++;
		if (judge_everywhere(t, &frame, &meeting) < 0)
			break;
	}
	t->tally->passed += loaded_check_counters(&t->loaded, t->sums, show_counter, t);
	model_counters_free(t->sums);
	t->sums = NULL;
}

static void try_policy(struct trial *t)
{
	struct random random = { t->seed };
	struct structure structure = { 0 };
	char *text;

	if (t->rules)
		structure_make(&structure, &random, t->rules, true);
	text = t->rules ? structure.text : gen_policy(&random);
	t->text = text;
	t->tally->shown = 0;
	if (loaded_open(&t->loaded, text) < 0 || runner_forget(t->loaded.runner) < 0) {
		t->tally->failed++;
		show_policy(t);
	} else {
		try_packets(t, t->rules ? &structure : NULL, &random);
	}
	loaded_forget(&t->loaded);
	if (t->rules)
		structure_clear(&structure);
	else
		free(text);
}

static void try_policies(struct trial *t, unsigned int rules, unsigned int policies, unsigned int packets,
			 uint64_t seed)
{
	t->rules = rules;
	t->packets = packets;
	t->alone = policies == 1;
	printf("%u policies%s of %u packets, seed %llu\n", policies, rules ? " of many rules" : "", packets,
	       (unsigned long long)seed);
	for (unsigned int i = 0; i < policies; i++) {
		t->seed = seed + i;
		try_policy(t);
	}
}

static void print_summary(const struct tally *tally)
{
	printf("verdicts: %lu accept, %lu drop, %lu redirect; by", tally->verdict[POLICY_ACCEPT],
	       tally->verdict[POLICY_DROP], tally->verdict[POLICY_REDIRECT]);
	reasons_print(tally->reason);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const char usage[] = "[--structured RULES] [POLICIES [PACKETS [SEED]]]";
	bool structured = argc > 1 && !strcmp(argv[1], "--structured");
	int first = structured ? 3 : 1;
	unsigned int rules = structured ? number_argument(argc, argv, 2, 1000, usage) : 0;
	unsigned int policies = number_argument(argc, argv, first, structured ? 3 : 60, usage);
	unsigned int packets = number_argument(argc, argv, first + 1, 500, usage);
	uint64_t seed = number_argument(argc, argv, first + 2, (unsigned long long)time(NULL), usage);
	struct tally tally = { 0 };
	struct trial trial = { .program = argv[0], .tally = &tally };

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	try_policies(&trial, rules, policies, packets, seed);
	if (argc == 1) {
		try_policies(&trial, 1000, 8, 500, seed);
		try_policies(&trial, 10000, 3, 500, seed);
	}
	loaded_close(&trial.loaded);
	print_summary(&tally);
	printf("%lu frames, %lu verdicts\n", tally.packets, tally.judged);
	printf("%lu passed, %lu failed\n", tally.passed, tally.failed);
	return tally.failed ? 1 : 0;
}
