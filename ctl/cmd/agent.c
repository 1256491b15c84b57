// SPDX-License-Identifier: GPL-2.0
/*
 * agent: keeps the running rules up to date with what they name. Packets need nothing of it: killed, all stays as it was.
 * Between two looks it holds nothing open, so no other command waits for it.
 */
#include "cmd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "../kernel/follow.h"
#include "../kernel/privilege.h"
#include "../out/out.h"
#include "notify.h"
#include "rules.h"

#define INTERVAL      30 /* seconds between two looks, where nothing asks for one */
#define INTERVAL_MOST 86400
#define PAUSE_MS      100 /* between two looks, however fast devices come and go */

struct agent {
	struct run *run;
	struct link_events *links;
	int signals;
	int interval_ms;
	char *trouble; /* what was wrong at the last look, malloc'ed: said once; NULL: nothing */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what it says ---- */

static void say(struct agent *agent, const char *event, uint64_t generation, const char *message)
{
	struct out *out = agent->run->out;
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	out_string(out, "time", text);
	out_string(out, "event", event);
	if (generation)
		out_integer(out, "generation", generation);
	else
		out_null(out, "generation");
	out_string(out, "message", message);
	out_text(out, "%s %s\n", event, message);
	out_record_end(out);
	out_flush(out);
}

static void say_trouble(struct agent *agent, const struct diag *diag, uint64_t generation)
{
	const char *message = "it failed, and nothing says why";

	for (size_t i = 0; i < diag->n; i++)
		if (diag->problems[i].severity == SEVERITY_ERROR)
			message = diag->problems[i].message;
	if (agent->trouble && !strcmp(agent->trouble, message))
		return;
	free(agent->trouble);
	agent->trouble = strdup(message);
	say(agent, "agent.trouble", generation, message);
	notify("STATUS=trouble: %s\n", message);
}

static void say_well(struct agent *agent, uint64_t generation, bool changed)
{
	if (agent->trouble)
		say(agent, "agent.well", generation, "what was wrong is no more");
	else if (!generation)
		notify("STATUS=nothing is loaded\n");
	else
		notify("STATUS=generation %llu is up to date\n", (unsigned long long)generation);
	free(agent->trouble);
	agent->trouble = NULL;
	if (changed)
		say(agent, "agent.refresh", generation, "rules follow what changed among devices and names");
}

/* ---- one look ---- */

static void look(struct agent *agent)
{
	bool followed = false, refreshed = false;
	struct weir_root *root = NULL;
	uint64_t generation = 0;
	struct diag diag;
	int r;

	diag_init(&diag);
	r = root_open(&root, agent->run->bpffs, ROOT_READ, &diag);
	if (r == 0) {
		/* Each does what it can: one that fails does not hold up the other. */
		int follow = root_follow(root, &followed, &diag);

		r = root_refresh(root, &refreshed, &diag) ?: follow;
		generation = root_running(root) ? root_running(root)->generation : 0;
		root_close(root);
	}
	if (r == 0 || r == -ENOENT)
		say_well(agent, generation, followed || refreshed);
	else
		say_trouble(agent, &diag, generation);
	diag_clear(&diag);
}

/* ---- what it waits for ---- */

/* false: told to stop. */
static bool take_signal(struct agent *agent)
{
	struct signalfd_siginfo info;

	return read(agent->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGHUP;
}

/* Until something asks for a look; false: told to stop. */
static bool wait_for_reason(struct agent *agent)
{
	int64_t began = now_ms(), due = began + agent->interval_ms;
	bool links = false;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = agent->signals, .events = POLLIN },
			/* Not asked while one has come and waits for the pause to end. */
			{ .fd = links ? -1 : link_events_fd(agent->links), .events = POLLIN },
		};
		int64_t left = (links ? began + PAUSE_MS : due) - now_ms();

		if (left <= 0)
			return true;
		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return take_signal(agent);
		links |= fds[1].revents != 0;
	}
}

static int agent_run(struct agent *agent)
{
	say(agent, "agent.start", 0, "devices and names of the running rules are looked after");
	look(agent);
	notify("READY=1\n");
	while (wait_for_reason(agent) && !out_failed(agent->run->out)) {
		link_events_drain(agent->links);
		look(agent);
	}
	notify("STOPPING=1\n");
	return EXIT_DONE;
}

/* Seconds; all of the text. */
static int read_interval(struct run *run, int *ret_ms)
{
	const char *text = run->value[OPTION_INTERVAL];
	long seconds = INTERVAL;
	char *end = NULL;

	if (text) {
		errno = 0;
		seconds = strtol(text, &end, 10);
		if (end == text || *end || errno || seconds < 1 || seconds > INTERVAL_MOST) {
			diag_error(&run->diag, NOWHERE, "'%s' is no interval: expected seconds, 1 to %d", text,
				   INTERVAL_MOST);
			return EXIT_USAGE;
		}
	}
	*ret_ms = (int)seconds * 1000;
	return EXIT_DONE;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cmd_agent(struct run *run)
{
	struct agent agent = { .run = run, .signals = -1 };
	int code = read_interval(run, &agent.interval_ms);

	if (code != EXIT_DONE)
		return code;
	out_lines(run->out);
	code = EXIT_FAILED;
	agent.signals = open_signals();
	if (agent.signals < 0)
		diag_errno(&run->diag, errno, "cannot take signals");
	else if (!privilege_drop(PRIVILEGE_KEEP_LOAD, &run->diag) && !link_events_open(&agent.links, &run->diag))
		code = agent_run(&agent);
	link_events_close(agent.links);
	if (agent.signals >= 0)
		close(agent.signals);
	free(agent.trouble);
	return code;
}
