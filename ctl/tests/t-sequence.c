// SPDX-License-Identifier: GPL-2.0
/*
 * Random conversations through random policies: what the programs in the kernel say of each packet in its turn, against
 * the reference model, with a time of their own.
 *
 *	t-sequence [POLICIES [PACKETS [SEED]]]
 *
 * Each policy has a seed of its own, printed with a difference; the command line printed there repeats just that policy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "gen_sequence.h"
#include "loaded.h"
#include "reason_words.h"

#define DIFFERENCES_SHOWN 3
#define HISTORY           65536 /* packets, of all conversations */
#define HISTORY_SHOWN     25    /* of one */

struct tally {
	unsigned long passed, failed;
	unsigned long reason[REASON_MAX], verdict[POLICY_REJECT + 1], ct[POLICY_CT_INVALID + 1];
	unsigned int shown; /* differences of this policy */
};

/* A packet that was judged, for people. */
struct past {
	unsigned int slot;
	char text[400];
};

struct trial {
	const char *program;
	uint64_t seed;
	unsigned int packets;
	const char *text;
	struct loaded loaded;
	struct model_counters *sums;
	struct tally *tally;
	struct past *past;
	size_t n_past;
};

static const char *const hook_names[] = { "xdp", "tc-ingress", "tc-egress" };

/* ---- what happened ---- */

static void note(struct trial *t, const struct sighting *s, const struct meeting *m, const struct model_result *result)
{
	struct past *p = &t->past[t->n_past++ % HISTORY];
	char said[200];

	model_print(t->loaded.policy, result, said, sizeof(said));
	p->slot = s->slot;
	snprintf(p->text, sizeof(p->text), "%12.6f s %s dev%d%s: %.150s: %.150s", m->now_ns / 1e9, hook_names[m->hook],
		 m->device, m->hook == POLICY_TC_EGRESS && m->iif != MODEL_NONE ? " forwarded" : "", s->text, said);
}

static void show_history(const struct trial *t, unsigned int slot)
{
	size_t shown = 0, first = t->n_past;

	while (first > 0 && t->n_past - first + 1 < HISTORY && shown < HISTORY_SHOWN)
		shown += t->past[--first % HISTORY].slot == slot;
	for (size_t i = first; i < t->n_past; i++)
		if (t->past[i % HISTORY].slot == slot)
			printf("  %s\n", t->past[i % HISTORY].text);
}

static void show_policy(struct trial *t)
{
	if (!t->tally->shown++)
		printf("---- %s 1 %u %llu\n%s----\n", t->program, t->packets, (unsigned long long)t->seed, t->text);
}

static void show_difference(struct trial *t, const struct sighting *s, const struct model_result *kernel,
			    const struct model_result *model)
{
	static char hex[2 * FRAME_MOST + 8];
	char a[300], b[300];

	t->tally->failed++;
	show_policy(t);
	if (t->tally->shown > DIFFERENCES_SHOWN)
		return;
	model_print(t->loaded.policy, kernel, a, sizeof(a));
	model_print(t->loaded.policy, model, b, sizeof(b));
	frame_hex(&s->frame, hex, sizeof(hex));
	printf("difference at packet %zu\n", t->n_past);
	show_history(t, s->slot);
	printf("  kernel %s\n  model  %s\n  %s\n", a, b, hex);
}

/* ---- judging ---- */

static bool is_bound(const struct policy *policy, enum policy_hook hook, unsigned int device)
{
	for (size_t f = 0; f < policy->n_filters; f++)
		for (size_t d = 0; policy->filters[f].hook == hook && d < policy->filters[f].n_devices; d++)
			if (policy->filters[f].devices[d].device == device)
				return true;
	return false;
}

/* The number of devN: -1 where the rules do not name it. */
static int find_device(const struct policy *policy, unsigned int n)
{
	char name[16];

	snprintf(name, sizeof(name), "dev%u", n);
	for (size_t i = 0; i < policy->n_devices; i++)
		if (!strcmp(policy->devices[i], name))
			return (int)i;
	return MODEL_ELSEWHERE;
}

static enum policy_hook pick_ingress(const struct policy *policy, unsigned int device, struct random *r)
{
	bool xdp = is_bound(policy, POLICY_XDP, device), tc = is_bound(policy, POLICY_TC_INGRESS, device);

	if (random_chance(r, 2) || (xdp && tc))
		return random_below(r, 2) ? POLICY_XDP : POLICY_TC_INGRESS;
	return xdp ? POLICY_XDP : POLICY_TC_INGRESS;
}

/* False: it comes by a device that the rules do not name. */
static bool meet(struct trial *t, const struct sighting *s, struct random *r, struct meeting *ret)
{
	const struct policy *policy = t->loaded.policy;
	int device = find_device(policy, s->device);

	if (device < 0)
		return false;
	*ret = (struct meeting){ .hook = s->out ? POLICY_TC_EGRESS : pick_ingress(policy, device, r),
				 .device = device,
				 .iif = device,
				 .skuid = -1,
				 .now_ns = s->now_ns,
				 .ct = MODEL_NONE };
	if (s->out)
		ret->iif = s->from < 0 ? MODEL_NONE : find_device(policy, s->from);
	if (random_chance(r, 1))
		ret->ct = random_below(r, POLICY_CT_INVALID + 1);
	return true;
}

static int judge(struct trial *t, const struct sighting *s, const struct meeting *m)
{
	struct model_result kernel, model = loaded_model(&t->loaded, &s->frame, m, t->sums);
	int r = loaded_run(&t->loaded, &s->frame, m, &kernel);

	if (r < 0) {
		printf("cannot run a frame of %zu bytes on %s: %s\n", s->frame.length, hook_names[m->hook],
		       strerror(-r));
		t->tally->failed++;
		show_policy(t);
		return r;
	}
	note(t, s, m, &model);
	t->tally->reason[model.reason]++;
	t->tally->verdict[model.verdict]++;
	if (model.ct != MODEL_NONE)
		t->tally->ct[model.ct]++;
	if (model_result_same(&kernel, &model))
		t->tally->passed++;
	else
		show_difference(t, s, &kernel, &model);
	return 0;
}

static void differs(void *context, const char *what)
{
	struct trial *t = context;

	t->tally->failed++;
	show_policy(t);
	if (t->tally->shown <= DIFFERENCES_SHOWN)
		printf("%s\n", what);
}

static void try_packets(struct trial *t, struct random *random)
{
	struct sequence *sequence = sequence_new(random, &t->loaded.policy->flows);
	static struct sighting seen;

	t->sums = model_counters_new(t->loaded.policy);
	t->n_past = 0;
	for (unsigned int i = 0; i < t->packets; i++) {
		struct meeting meeting;

		sequence_next(sequence, &seen);
		if (meet(t, &seen, random, &meeting) && judge(t, &seen, &meeting) < 0)
			break;
	}
	t->tally->passed += loaded_check_counters(&t->loaded, t->sums, differs, t);
	model_counters_free(t->sums);
	sequence_free(sequence);
}

static void try_policy(struct trial *t)
{
	struct random random = { t->seed };
	char *text = gen_sequence_policy(&random);

	t->text = text;
	t->tally->shown = 0;
	if (loaded_open(&t->loaded, text) < 0 || runner_forget(t->loaded.runner) < 0) {
		t->tally->failed++;
		show_policy(t);
	} else {
		try_packets(t, &random);
	}
	loaded_forget(&t->loaded);
	free(text);
}

/* ---- numbers ---- */

static void print_summary(const struct tally *tally)
{
	printf("verdicts: %lu accept, %lu drop, %lu redirect, %lu reject; by", tally->verdict[POLICY_ACCEPT],
	       tally->verdict[POLICY_DROP], tally->verdict[POLICY_REDIRECT], tally->verdict[POLICY_REJECT]);
	reasons_print(tally->reason);
	printf("\nstates: %lu established, %lu related, %lu new, %lu untracked, %lu invalid\n",
	       tally->ct[POLICY_CT_ESTABLISHED], tally->ct[POLICY_CT_RELATED], tally->ct[POLICY_CT_NEW],
	       tally->ct[POLICY_CT_UNTRACKED], tally->ct[POLICY_CT_INVALID]);
}

int main(int argc, char **argv)
{
	static const char usage[] = "[POLICIES [PACKETS [SEED]]]";
	unsigned int policies = number_argument(argc, argv, 1, 40, usage);
	unsigned int packets = number_argument(argc, argv, 2, 500, usage);
	uint64_t seed = number_argument(argc, argv, 3, (unsigned long long)time(NULL), usage);
	struct tally tally = { 0 };
	struct trial trial = { .program = argv[0], .packets = packets, .tally = &tally };

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	trial.past = calloc(HISTORY, sizeof(*trial.past));
	if (!trial.past)
		abort();
	printf("%u policies of %u packets, seed %llu\n", policies, packets, (unsigned long long)seed);
	for (unsigned int i = 0; i < policies; i++) {
		trial.seed = seed + i;
		try_policy(&trial);
	}
	loaded_close(&trial.loaded);
	free(trial.past);
	print_summary(&tally);
	printf("%lu passed, %lu failed\n", tally.passed, tally.failed);
	return tally.failed ? 1 : 0;
}
