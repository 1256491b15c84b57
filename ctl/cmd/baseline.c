// SPDX-License-Identifier: GPL-2.0
#include "baseline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../command.h"
#include "baseline_rules.h"
#include "rules.h"

#define NS_PER_S 1000000000ull

/* A program that tries one address after the other must not fill the log: so many at once, then so many a second. */
#define BURST      100
#define PER_SECOND 10
#define LOSSES_NS  (5 * NS_PER_S) /* between counts of what was lost */

struct baseline {
	struct rules rules;
	struct learn *learn;
	bool began;       /* what is older has been judged */
	uint64_t paid_ns; /* until then the rate is used up */
	uint64_t untold;  /* departures beyond the rate */
	uint64_t lost;    /* as of the last count */
	uint64_t counted_ns;
	/* of this baseline_tell() */
	const struct watch_scene *scene;
	record_sink say;
	void *context;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int baseline_open(struct baseline **ret, struct run *run)
{
	const char *file = run->value[OPTION_BASELINE];
	struct baseline *baseline;
	int code;

	*ret = NULL;
	if (!file) {
		if (!run->value[OPTION_CGROUP])
			return EXIT_DONE;
		diag_error(&run->diag, NOWHERE, "--cgroup needs --baseline FILE");
		return EXIT_USAGE;
	}
	baseline = calloc(1, sizeof(*baseline));
	if (!baseline) {
		diag_oom(&run->diag);
		return EXIT_FAILED;
	}
	code = rules_parse(file, &run->diag, &baseline->rules);
	if (code == EXIT_DONE && learn_open(&baseline->learn, run->value[OPTION_CGROUP], true, &run->diag))
		code = EXIT_FAILED;
	if (code == EXIT_DONE)
		*ret = baseline;
	else
		baseline_close(baseline);
	return code;
}

void baseline_close(struct baseline *baseline)
{
	if (!baseline)
		return;
	learn_close(baseline->learn);
	rules_clear(&baseline->rules);
	free(baseline);
}

/* ---- departures ---- */

static bool pay(struct baseline *baseline)
{
	uint64_t now = now_ns(), cost = NS_PER_S / PER_SECOND;
	uint64_t next = (baseline->paid_ns > now ? baseline->paid_ns : now) + cost;

	if (next > now + BURST * cost)
		return false;
	baseline->paid_ns = next;
	return true;
}

static void say_text(struct record *record, const char *key, const char *text)
{
	record_text(record, key, *text ? text : NULL);
}

static void say_end(struct record *record, const struct talk *talk, bool is_source)
{
	bool is_far = is_source == (talk->direction == LEARN_IN);
	struct value addr;

	memcpy(addr.w, talk->addr, sizeof(addr.w));
	if (is_far)
		record_value(record, is_source ? "src_addr" : "dst_addr", TYPE_ADDR, talk->family, addr);
	else
		record_nothing(record, is_source ? "src_addr" : "dst_addr");
	if (!is_source && talk->port)
		record_number(record, "dst_port", talk->port);
	else
		record_nothing(record, is_source ? "src_port" : "dst_port");
}

static void departure_record(struct record *ret, const struct watch_scene *scene, const struct talk *talk)
{
	watch_record_start(ret, scene, now_ns(), "baseline.departure");
	record_text(ret, "direction", talk->direction == LEARN_IN ? "in" : "out");
	ret->look = LOOK_PAIR;
	record_text(ret, "user", user_name(talk->euid));
	record_number(ret, "uid", talk->euid);
	record_number(ret, "euid", talk->euid);
	record_number(ret, "owner_uid", talk->owner);
	say_text(ret, "path", talk->exe);
	say_text(ret, "cgroup", talk->cgroup);
	record_value(ret, "proto", TYPE_PROTO, 0, (struct value){ { talk->proto } });
	ret->look = LOOK_NOT;
	record_number(ret, "version", talk->family);
	ret->look = LOOK_PAIR;
	say_end(ret, talk, true);
	say_end(ret, talk, false);
}

static int on_talk(void *context, const struct talk *talk)
{
	struct baseline *baseline = context;
	struct record *record;
	int r;

	if (baseline_names(baseline->rules.policy, talk))
		return 0;
	if (!pay(baseline)) {
		baseline->untold++;
		return 0;
	}
	record = malloc(sizeof(*record));
	if (!record)
		return -ENOMEM;
	departure_record(record, baseline->scene, talk);
	r = baseline->say(baseline->context, record);
	free(record);
	return r;
}

/* ---- losses ---- */

static int is_named(void *context, const struct talk *talk)
{
	const struct baseline *baseline = context;

	return baseline_names(baseline->rules.policy, talk);
}

static int tell_losses(struct baseline *baseline)
{
	uint64_t losses[LEARN_LOSS_MAX], total = baseline->untold, before = baseline->lost;
	struct record *record;
	int r;

	baseline->counted_ns = now_ns();
	learn_losses(baseline->learn, losses);
	for (int i = 0; i < LEARN_LOSS_MAX; i++)
		total += i == LEARN_FOREIGN ? 0 : losses[i];
	if (total == before)
		return 0;
	baseline->lost = total;
	learn_forget(baseline->learn, is_named, baseline);
	record = malloc(sizeof(*record));
	if (!record)
		return -ENOMEM;
	watch_record_start(record, baseline->scene, baseline->counted_ns, "events.lost");
	record_text(record, "lost", "baseline.departure");
	record->look = LOOK_NOT;
	record_nothing(record, "guard");
	record_nothing(record, "verdict");
	record_nothing(record, "user");
	record_nothing(record, "uid");
	record->look = LOOK_PAIR;
	record_number(record, "count", total - before);
	record_number(record, "total", total);
	r = baseline->say(baseline->context, record);
	free(record);
	return r;
}

int baseline_tell(struct baseline *baseline, bool at_end, const struct watch_scene *scene, record_sink say,
		  void *context, struct diag *diag)
{
	int r = 0;

	if (!baseline)
		return 0;
	baseline->scene = scene;
	baseline->say = say;
	baseline->context = context;
	if (!baseline->began)
		r = learn_older(baseline->learn, on_talk, baseline, diag);
	baseline->began = true;
	if (!r)
		r = learn_poll(baseline->learn, 0, on_talk, baseline, diag);
	if (!r && (at_end || now_ns() - baseline->counted_ns >= LOSSES_NS))
		r = tell_losses(baseline);
	return r;
}
