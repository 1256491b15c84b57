// SPDX-License-Identifier: GPL-2.0
/* learn: looks on for a while, then proposes rules under which the same goes on. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "../lang/lang.h"
#include "../out/out.h"
#include "cmd.h"
#include "learn_rules.h"
#include "rules.h"
#include "watch.h"

#define PAUSE_MS   200
#define FOR_MOST   (31ull * 24 * 3600 * 1000) /* ms */
#define WIDEN_MOST 65536

struct learning {
	struct run *run;
	const char *path;
	char *fresh; /* the file until it is whole; NULL: not made yet */
	int fd;
	uint64_t for_ms;
	char **devices;
	size_t n_devices;
	struct talks talks;
	struct learn_proposal proposal;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/* ---- what is wanted ---- */

static int read_duration(struct learning *learning)
{
	const char *text = learning->run->value[OPTION_FOR];

	if (value_duration(text, strlen(text), &learning->for_ms) && learning->for_ms && learning->for_ms <= FOR_MOST)
		return EXIT_DONE;
	diag_error(&learning->run->diag, NOWHERE, "'%s' is no time to learn for", text);
	diag_hint(&learning->run->diag, "expected up to 31d, as in 1h or 2d12h");
	return EXIT_USAGE;
}

static int read_widen(struct learning *learning)
{
	const char *text = learning->run->value[OPTION_WIDEN];
	char *end;
	unsigned long n;

	learning->proposal.widen = LEARN_WIDEN;
	if (!text)
		return EXIT_DONE;
	n = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && n != 1 && n <= WIDEN_MOST) {
		learning->proposal.widen = (unsigned int)n;
		return EXIT_DONE;
	}
	diag_error(&learning->run->diag, NOWHERE, "'%s' is no number of addresses to widen at", text);
	diag_hint(&learning->run->diag, "expected 2 to %d, or 0 for never", WIDEN_MOST);
	return EXIT_USAGE;
}

/* "eth0,eth1" */
static int read_devices(struct learning *learning)
{
	const char *text = learning->run->value[OPTION_DEVICE];
	struct diag *diag = &learning->run->diag;

	if (!text) {
		if (learn_devices(&learning->devices, &learning->n_devices)) {
			diag_oom(diag);
			return EXIT_FAILED;
		}
		if (learning->n_devices)
			return EXIT_DONE;
		diag_error(diag, NOWHERE, "there is no device to propose rules for");
		diag_hint(diag, "--device names them; they need not exist");
		return EXIT_FAILED;
	}
	while (*text) {
		size_t length = strcspn(text, ",");
		char **grown = realloc(learning->devices, (learning->n_devices + 1) * sizeof(*grown));

		if (!grown)
			break;
		learning->devices = grown;
		grown[learning->n_devices] = strndup(text, length);
		if (!grown[learning->n_devices])
			break;
		learning->n_devices++;
		if (!length || length > DEVICE_MOST || memchr(text, '"', length) || memchr(text, '\n', length)) {
			diag_error(diag, NOWHERE, "'%.*s' is no name of a device", (int)length, text);
			return EXIT_USAGE;
		}
		text += length + (text[length] == ',');
	}
	if (!*text && learning->n_devices)
		return EXIT_DONE;
	diag_oom(diag);
	return EXIT_FAILED;
}

/* ---- the file ---- */

static bool to_stdout(const struct learning *learning)
{
	return !strcmp(learning->path, "-");
}

/* Before the time begins: who waits an hour must not hear then that it was for nothing. */
static int file_begin(struct learning *learning)
{
	struct diag *diag = &learning->run->diag;

	if (to_stdout(learning))
		return EXIT_DONE;
	if (!learning->run->value[OPTION_FORCE] && !faccessat(AT_FDCWD, learning->path, F_OK, AT_SYMLINK_NOFOLLOW)) {
		diag_error(diag, NOWHERE, "'%s' is there already", learning->path);
		diag_hint(diag, "--force replaces it");
		return EXIT_FAILED;
	}
	if (asprintf(&learning->fresh, "%s.XXXXXX", learning->path) < 0) {
		learning->fresh = NULL;
		diag_oom(diag);
		return EXIT_FAILED;
	}
	learning->fd = mkostemp(learning->fresh, O_CLOEXEC); /* 0600 */
	if (learning->fd >= 0)
		return EXIT_DONE;
	diag_errno(diag, errno, "cannot make '%s'", learning->path);
	free(learning->fresh);
	learning->fresh = NULL;
	return EXIT_FAILED;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		text += n;
		length -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

static int file_end(struct learning *learning, const char *text)
{
	struct run *run = learning->run;
	int r;

	if (to_stdout(learning)) {
		out_text(run->out, "%s", text);
		return 0;
	}
	r = write_all(learning->fd, text, strlen(text));
	/* link() fails where a file came into being meanwhile, rename() replaces it. */
	if (!r && run->value[OPTION_FORCE])
		r = rename(learning->fresh, learning->path) ? -errno : 0;
	else if (!r)
		r = link(learning->fresh, learning->path) ? -errno : 0;
	return r ? diag_errno(&run->diag, -r, "cannot write '%s'", learning->path) : 0;
}

/* ---- looking on ---- */

static const char *name_of(void *context, uint32_t uid)
{
	(void)context;
	return user_name(uid);
}

static void wait_for(uint64_t ms)
{
	struct timespec end, now, pause = { .tv_nsec = PAUSE_MS * 1000000L };

	clock_gettime(CLOCK_BOOTTIME, &end);
	end.tv_sec += (time_t)(ms / 1000);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	do {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_BOOTTIME, &now);
	} while (!stop && (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec)));
}

static int look_on(struct learning *learning)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct run *run = learning->run;
	struct learn *learn;
	int r;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	r = learn_open(&learn, run->value[OPTION_CGROUP], false, &run->diag);
	if (r)
		return r;
	learning->proposal.started = time(NULL);
	if (!to_stdout(learning))
		out_text(run->out, "learning for %s; an interrupt ends it, with what there is\n",
			 run->value[OPTION_FOR]);
	out_flush(run->out);
	wait_for(learning->for_ms);
	learning->proposal.ended = time(NULL);
	r = learn_read(learn, &learning->talks, &run->diag);
	learn_close(learn);
	return r;
}

/* What cannot be loaded is no proposal. */
static int read_back(struct learning *learning)
{
	struct rules rules = { 0 };
	int code = EXIT_DONE;

	if (to_stdout(learning))
		return code;
	code = rules_parse(learning->path, &learning->run->diag, &rules);
	if (code == EXIT_DONE)
		code = rules_compile(&rules, &learning->run->diag);
	rules_clear(&rules);
	return code == EXIT_DONE ? code : EXIT_FAILED;
}

static void say_losses(struct learning *learning)
{
	const uint64_t *losses = learning->talks.losses;
	uint64_t lost = losses[LEARN_LOST_IDENTITIES] + losses[LEARN_LOST_OUT] + losses[LEARN_LOST_IN];
	struct out *out = learning->run->out;

	out_integer(out, "lost", lost);
	out_integer(out, "foreign", losses[LEARN_FOREIGN]);
	if (lost)
		diag_warning(&learning->run->diag, NOWHERE,
			     "%llu times there was no room to note who talked to what: rules are missing",
			     (unsigned long long)lost);
}

static int propose(struct learning *learning)
{
	struct learn_proposal *proposal = &learning->proposal;
	struct run *run = learning->run;
	size_t n = learning->talks.n;
	char *text;
	int r;

	proposal->devices = (const char *const *)learning->devices;
	proposal->n_devices = learning->n_devices;
	proposal->user_name = name_of;
	text = learn_rules(&learning->talks, proposal);
	if (!text) {
		diag_oom(&run->diag);
		return EXIT_FAILED;
	}
	r = file_end(learning, text);
	free(text);
	if (r)
		return EXIT_FAILED;
	out_string(run->out, "file", learning->path);
	out_integer(run->out, "talks", n);
	if (!to_stdout(learning))
		out_text(run->out, "%s: rules for %zu talks; read them before you apply them\n", learning->path, n);
	say_losses(learning);
	return read_back(learning);
}

int cmd_learn(struct run *run)
{
	struct learning learning = { .run = run, .path = run->value[OPTION_OUT], .fd = -1 };
	int code = read_duration(&learning);

	if (code == EXIT_DONE)
		code = read_widen(&learning);
	if (code == EXIT_DONE)
		code = read_devices(&learning);
	if (code == EXIT_DONE)
		code = file_begin(&learning);
	if (code == EXIT_DONE && look_on(&learning))
		code = EXIT_FAILED;
	if (code == EXIT_DONE)
		code = propose(&learning);
	if (learning.fresh) {
		unlink(learning.fresh);
		close(learning.fd);
	}
	free(learning.fresh);
	learn_devices_free(learning.devices, learning.n_devices);
	talks_clear(&learning.talks);
	return code;
}
