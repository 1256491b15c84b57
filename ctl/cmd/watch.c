// SPDX-License-Identifier: GPL-2.0
/* watch: events as they happen, until interrupted. */
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "../command.h"
#include "../kernel/privilege.h"
#include "../out/out.h"
#include "baseline.h"
#include "cmd.h"
#include "env.h"
#include "rules.h"

#define NS_PER_S  1000000000ull
#define POLL_MS   200
#define LOSSES_NS (5 * NS_PER_S) /* between counts of what was lost */

struct watch {
	struct run *run;
	struct event_reader *reader;
	struct weir_root *root; /* whose rules the numbers in events mean; opened again when others run */
	struct watch_losses *losses;
	struct watch_output *output;
	struct baseline *baseline; /* or NULL */
	struct word_value filter[WATCH_WORDS_MOST];
	struct watch_scene scene;
	struct record record;
	uint64_t told_ns; /* when losses were counted last */
	uint64_t end_ns;  /* when we were told to stop; 0: not yet */
};

static volatile sig_atomic_t stop, moved;

static void on_stop(int signal)
{
	(void)signal;
	stop = 1;
}

static void on_hangup(int signal)
{
	(void)signal;
	moved = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- the rules ---- */

/* What runs now; watch->root is NULL where nothing does. */
static void open_rules(struct watch *watch)
{
	struct diag ignored;

	if (watch->root)
		root_close(watch->root);
	watch->root = NULL;
	diag_init(&ignored);
	if (root_open(&watch->root, watch->run->bpffs, ROOT_READ, &ignored))
		watch->root = NULL;
	else
		root_unlock(watch->root);
	diag_clear(&ignored);
}

/* The rules an event was made by, or NULL: numbers of another generation must not be given names of this one. */
static const struct running *rules_of(struct watch *watch, uint64_t generation)
{
	const struct running *running = watch->root ? root_running(watch->root) : NULL;

	if (!running || running->generation < generation) {
		open_rules(watch);
		running = watch->root ? root_running(watch->root) : NULL;
	}
	return running && running->generation == generation ? running : NULL;
}

/* ---- records ---- */

static int say(void *context, const struct record *record)
{
	struct watch *watch = context;

	if (!watch_filter_holds(watch->filter, record))
		return 0;
	return watch_output_say(watch->output, record, &watch->run->diag);
}

static int on_record(void *context, const void *data, size_t size)
{
	struct watch *watch = context;
	const struct event *event = data;
	const struct guard_event *guard = data;
	uint64_t time_ns = event->kind == EVENT_LOG ? event->time_ns : guard->time_ns;
	int rc;

	(void)size;
	if (event->kind == EVENT_LOG) {
		watch->scene.running = rules_of(watch, event->generation);
		event_record(&watch->record, &watch->scene, event);
	} else {
		watch->scene.running = rules_of(watch, guard->generation);
		guard_record(&watch->record, &watch->scene, guard);
	}
	rc = say(watch, &watch->record);
	/* What comes later is the next reader's: it may come as fast as we read. This one is out of the ring, and so was told. */
	return !rc && watch->end_ns && time_ns > watch->end_ns ? -ECANCELED : rc;
}

static int tell_losses(struct watch *watch)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct event_losses now;
	struct diag ignored;
	int rc;

	watch->told_ns = now_ns;
	if (!watch->reader)
		return 0;
	if (!watch->root || !root_is_current(watch->root))
		open_rules(watch);
	if (!watch->root)
		return 0;
	/* Another command may take the programs down just now. */
	diag_init(&ignored);
	rc = root_losses(watch->root, &now, &ignored);
	diag_clear(&ignored);
	if (rc)
		return 0;
	watch->scene.running = root_running(watch->root);
	rc = watch_losses_tell(watch->losses, &now, events_malformed(watch->reader), &watch->scene, now_ns, say, watch);
	free(now.loss);
	return rc;
}

static int tell_baseline(struct watch *watch, bool at_end)
{
	return baseline_tell(watch->baseline, at_end, &watch->scene, say, watch, &watch->run->diag);
}

static int read_events(struct watch *watch, int timeout_ms)
{
	struct timespec pause = { .tv_nsec = timeout_ms * 1000000L };

	/* The calendar may be set, and goes on while the machine sleeps. */
	watch->scene.offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
	if (watch->reader)
		return events_read(watch->reader, timeout_ms, on_record, watch, &watch->run->diag);
	nanosleep(&pause, NULL);
	return 0;
}

/* ---- from the first to the last ---- */

/* The rules were taken down, or are not there yet: others will be loaded some time, and nothing of theirs is to be missed. */
static int follow(struct watch *watch)
{
	events_close(watch->reader);
	watch->reader = NULL;
	open_rules(watch);
	if (!watch->root)
		return 0;
	watch_losses_free(watch->losses);
	watch->losses = watch_losses_new(true);
	if (!watch->losses)
		return diag_oom(&watch->run->diag);
	return events_open(&watch->reader, watch->root, &watch->run->diag);
}

static int finish(struct watch *watch)
{
	int rc = tell_baseline(watch, true);

	if (rc || !watch->reader)
		return rc;
	watch->end_ns = clock_ns(CLOCK_MONOTONIC);
	rc = read_events(watch, 0);
	/* Twice: see watch_lost.c. */
	for (unsigned int i = 0; i < 2 && (!rc || rc == -ECANCELED); i++)
		rc = tell_losses(watch);
	return rc;
}

static int watch_all(struct watch *watch)
{
	int rc = tell_losses(watch);

	while (!rc && !stop) {
		rc = read_events(watch, POLL_MS);
		if (!rc)
			rc = tell_baseline(watch, false);
		if (!rc && moved) {
			moved = 0;
			rc = watch_output_reopen(watch->output, &watch->run->diag);
		}
		if (!rc && clock_ns(CLOCK_MONOTONIC) - watch->told_ns >= LOSSES_NS)
			rc = tell_losses(watch);
		if (!rc && (!watch->reader || events_ended(watch->reader)))
			rc = follow(watch);
	}
	return rc ? rc : finish(watch);
}

static void on_signals(bool file)
{
	struct sigaction stopping = { .sa_handler = on_stop }, moving = { .sa_handler = on_hangup };

	sigaction(SIGINT, &stopping, NULL);
	sigaction(SIGTERM, &stopping, NULL);
	if (file)
		sigaction(SIGHUP, &moving, NULL);
}

/* Files get its group as they are made: no right to change it later is needed. */
static int join_group(struct run *run)
{
	const char *name = run->value[OPTION_GROUP];
	struct world world = { 0 };
	uint32_t gid;
	int rc;

	if (!name)
		return 0;
	rc = world_env(&world).lookup_group(&world, name, &gid);
	if (rc)
		return diag_errno(&run->diag, -rc, "there is no group '%s'", name);
	return privilege_join(gid, name, &run->diag);
}

static int open_now(struct watch *watch)
{
	struct run *run = watch->run;
	const struct running *running;
	int rc, code;

	if (watch->baseline) {
		/* There is something to watch without rules, too. */
		open_rules(watch);
		if (!watch->root)
			return EXIT_DONE;
		root_close(watch->root);
		watch->root = NULL;
	}
	code = running_open(run, &watch->root, &running);
	if (code != EXIT_DONE)
		return code;
	rc = root_unlock(watch->root);
	if (rc)
		diag_errno(&run->diag, -rc, "cannot let go of the lock");
	else
		rc = events_open(&watch->reader, watch->root, &run->diag);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

static int start(struct watch *watch, const struct watch_output_options *options)
{
	struct run *run = watch->run;
	int rc, code = open_now(watch);

	if (code != EXIT_DONE)
		return code;
	on_signals(options->file);
	rc = join_group(run);
	if (!rc)
		rc = watch_output_open(&watch->output, options, &run->diag);
	watch->losses = watch_losses_new(false);
	if (!rc && !watch->losses)
		rc = diag_oom(&run->diag);
	/* Whoever gets hold of this process through what it reads gets no more than that. */
	if (!rc)
		rc = privilege_drop(PRIVILEGE_KEEP_NONE, &run->diag);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

int cmd_watch(struct run *run)
{
	struct watch_output_options options = { .stop = &stop };
	struct watch *watch = calloc(1, sizeof(*watch));
	int code;

	out_lines(run->out);
	if (!watch) {
		diag_oom(&run->diag);
		return EXIT_FAILED;
	}
	watch->run = run;
	/* The words first: what is wrong with them does not depend on what runs. */
	code = watch_output_options(run, &options);
	if (code == EXIT_DONE)
		code = words_read(run, &watch_words, run->operands, run->n_operands, watch->filter);
	if (code == EXIT_DONE)
		code = baseline_open(&watch->baseline, run);
	if (code == EXIT_DONE)
		code = start(watch, &options);
	if (code == EXIT_DONE && watch_all(watch))
		code = EXIT_FAILED;
	baseline_close(watch->baseline);
	watch_output_close(watch->output);
	watch_losses_free(watch->losses);
	events_close(watch->reader);
	if (watch->root)
		root_close(watch->root);
	words_clear(&watch_words, watch->filter);
	free(watch);
	return code;
}
