// SPDX-License-Identifier: GPL-2.0
/*
 * send list                                   the ways, a JSON object a line
 * send [OPTION...] WAY FAMILY ADDRESS PORT    sends once that way, and says what happened as a JSON object
 *
 * FAMILY is 4, 6, or mapped: an IPv4 address through an IPv6 socket. Needs root, and gives it up.
 *
 *   --uid R[,E[,F]]       real, effective and file-system user (E, F: as R)
 *   --gid N  --groups N[,N...]
 *   --raw                 keep CAP_NET_RAW
 *   --cgroup DIRECTORY    where the process is when it sends
 *   --userns              as root of a new user namespace
 *   --open-uid N  --open-cgroup DIRECTORY (where it sends)
 *                         who makes the socket; then the process becomes who sends
 *   --pass                another process makes the socket, and passes it on
 *   --delegated           ..and connects it
 *   --before              one exchange, "ready", and on a line of stdin another, which is the one that is told of
 *   --from ADDRESS  --device NAME  --mac MAC  --own-mac MAC
 *                         of packets whose headers we write
 *   --via ADDRESS         where packets with a source route go first
 *   --timeout MS          how long to wait for an answer (300)
 *
 * {"way", "family", "step": where it ended: open, become, listen, connect, send, answer; "errno", "error": its name;
 * "ms": from connect or send to there; "bytes": that came back}
 */
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	unsigned int bit;
} families[] = { { "4", FAMILY_4 }, { "6", FAMILY_6 }, { "mapped", FAMILY_MAPPED } };

#define N_FAMILIES (sizeof(families) / sizeof(*families))

static void bad(const char *what, const char *word)
{
	fprintf(stderr, "send: %s '%s'\n", what, word);
	exit(2);
}

static void list(void)
{
	for (size_t i = 0; i < n_ways; i++) {
		const char *comma = "";

		printf("{\"way\": \"%s\", \"families\": [", ways[i].name);
		for (size_t f = 0; f < N_FAMILIES; f++)
			if (ways[i].families & families[f].bit) {
				printf("%s\"%s\"", comma, families[f].name);
				comma = ", ";
			}
		printf("], \"call\": %s, \"raw\": %s, \"bypass\": %s, \"connects\": %s}\n",
		       ways[i].flags & WAY_CALL ? "true" : "false", ways[i].flags & WAY_RAW ? "true" : "false",
		       ways[i].flags & WAY_BYPASS ? "true" : "false", ways[i].reach ? "true" : "false");
	}
}

/* ---- the command line ---- */

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end)
		bad("not a number", text);
	return n;
}

static size_t numbers(char *text, unsigned int *out, size_t most)
{
	size_t n = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (n == most)
			bad("too many numbers, at", word);
		out[n++] = number(word);
	}
	return n;
}

static void mac(const char *text, uint8_t out[6])
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &out[0], &out[1], &out[2], &out[3], &out[4], &out[5]) != 6)
		bad("not a MAC", text);
}

static socklen_t address(unsigned int family, const char *text, uint16_t port, union address *out)
{
	char mapped[INET6_ADDRSTRLEN + 8];

	if (family == FAMILY_4) {
		out->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		if (inet_pton(AF_INET, text, &out->in.sin_addr) != 1)
			bad("not an IPv4 address", text);
		return sizeof(out->in);
	}
	snprintf(mapped, sizeof(mapped), "%s%s", family == FAMILY_MAPPED ? "::ffff:" : "", text);
	out->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	if (inet_pton(AF_INET6, mapped, &out->in6.sin6_addr) != 1)
		bad("not an IPv6 address", mapped);
	return sizeof(out->in6);
}

struct request {
	struct job job;
	struct who who, opener;
	bool opened_by_other, pass, delegated, before;
	const char *from;
};

enum {
	OPTION_UID,
	OPTION_GID,
	OPTION_GROUPS,
	OPTION_RAW,
	OPTION_CGROUP,
	OPTION_USERNS,
	OPTION_OPEN_UID,
	OPTION_OPEN_CGROUP,
	OPTION_PASS,
	OPTION_DELEGATED,
	OPTION_BEFORE,
	OPTION_FROM,
	OPTION_DEVICE,
	OPTION_MAC,
	OPTION_OWN_MAC,
	OPTION_VIA,
	OPTION_TIMEOUT,
};

static const struct option options[] = {
	{ "uid", 1, NULL, OPTION_UID },           { "gid", 1, NULL, OPTION_GID },
	{ "groups", 1, NULL, OPTION_GROUPS },     { "raw", 0, NULL, OPTION_RAW },
	{ "cgroup", 1, NULL, OPTION_CGROUP },     { "userns", 0, NULL, OPTION_USERNS },
	{ "open-uid", 1, NULL, OPTION_OPEN_UID }, { "open-cgroup", 1, NULL, OPTION_OPEN_CGROUP },
	{ "pass", 0, NULL, OPTION_PASS },         { "delegated", 0, NULL, OPTION_DELEGATED },
	{ "before", 0, NULL, OPTION_BEFORE },     { "from", 1, NULL, OPTION_FROM },
	{ "device", 1, NULL, OPTION_DEVICE },     { "mac", 1, NULL, OPTION_MAC },
	{ "own-mac", 1, NULL, OPTION_OWN_MAC },   { "via", 1, NULL, OPTION_VIA },
	{ "timeout", 1, NULL, OPTION_TIMEOUT },   { 0 },
};

static void take_option(struct request *r, int option)
{
	unsigned int n[GROUPS];
	size_t count;

	switch (option) {
	case OPTION_UID:
		count = numbers(optarg, n, 3);
		if (!count)
			bad("no user in", optarg);
		r->who.uid = n[0];
		r->who.euid = count > 1 ? n[1] : n[0];
		r->who.fsuid = count > 2 ? n[2] : r->who.euid;
		break;
	case OPTION_GID:
		r->who.gid = number(optarg);
		break;
	case OPTION_GROUPS:
		r->who.n_groups = numbers(optarg, n, GROUPS);
		memcpy(r->who.groups, n, sizeof(n));
		break;
	case OPTION_RAW:
		r->who.raw = r->opener.raw = true;
		break;
	case OPTION_CGROUP:
		r->who.cgroup = optarg;
		break;
	case OPTION_USERNS:
		r->who.userns = true;
		break;
	case OPTION_OPEN_UID:
		r->opener.uid = r->opener.euid = r->opener.fsuid = number(optarg);
		r->opened_by_other = true;
		break;
	case OPTION_OPEN_CGROUP:
		r->opener.cgroup = optarg;
		r->opened_by_other = true;
		break;
	case OPTION_PASS:
		r->pass = r->opened_by_other = true;
		break;
	case OPTION_DELEGATED:
		r->delegated = r->pass = r->opened_by_other = true;
		break;
	case OPTION_BEFORE:
		r->before = true;
		break;
	case OPTION_FROM:
		r->from = optarg;
		break;
	case OPTION_DEVICE:
		r->job.device = optarg;
		break;
	case OPTION_MAC:
		mac(optarg, r->job.mac);
		break;
	case OPTION_OWN_MAC:
		mac(optarg, r->job.own_mac);
		break;
	case OPTION_VIA:
		r->job.via = optarg;
		break;
	case OPTION_TIMEOUT:
		r->job.timeout_ms = number(optarg);
		break;
	default:
		exit(2);
	}
}

static void parse(struct request *r, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		take_option(r, option);
	if (argc - optind != 4)
		bad("expected 'WAY FAMILY ADDRESS PORT' after the options of", argv[0]);
	for (size_t i = 0; i < n_ways; i++)
		if (!strcmp(ways[i].name, argv[optind]))
			r->job.way = &ways[i];
	for (size_t i = 0; i < N_FAMILIES; i++)
		if (!strcmp(families[i].name, argv[optind + 1]))
			r->job.family = families[i].bit;
	if (!r->job.way || !(r->job.way->families & r->job.family))
		bad("no such way of this family:", argv[optind]);
	r->job.to_len = address(r->job.family, argv[optind + 2], number(argv[optind + 3]), &r->job.to);
	if (!r->opener.cgroup)
		r->opener.cgroup = r->who.cgroup;
	if (r->from)
		address(r->job.family, r->from, 0, &r->job.from);
}

/* ---- one exchange ---- */

struct outcome {
	const char *step;
	double ms;
	ssize_t result; /* bytes, or -errno */
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* The first of the steps that fails; true: go on. */
static bool step(struct outcome *o, const char *name, ssize_t result)
{
	o->step = name;
	o->result = result;
	return result >= 0;
}

static void prepare(struct request *r, struct outcome *o)
{
	struct job *job = &r->job;

	if (r->opened_by_other && !step(o, "open", who_open(&r->opener, job, r->pass, r->delegated)))
		return;
	if (!step(o, "become", who_become(&r->who)))
		return;
	if (!r->opened_by_other && !step(o, "open", job_open(job)))
		return;
	job->answers = job->fd;
	step(o, "listen", job->way->listen ? job->way->listen(job) : 0);
}

static void exchange(struct job *job, struct outcome *o, bool connected)
{
	double start = now_ms();

	if (connected || step(o, "connect", job->way->reach ? job->way->reach(job) : 0))
		if (job->said || step(o, "send", job->way->say(job)))
			step(o, "answer", job_answer(job));
	o->ms = now_ms() - start;
	job->said = false;
}

int main(int argc, char **argv)
{
	struct request r = { .job = { .timeout_ms = 300, .fd = -1, .answers = -1 } };
	struct outcome o = { 0 };

	if (argc == 2 && !strcmp(argv[1], "list")) {
		list();
		return 0;
	}
	parse(&r, argc, argv);
	prepare(&r, &o);
	if (o.result >= 0)
		exchange(&r.job, &o, r.delegated);
	if (r.before && o.result >= 0) {
		puts("ready");
		fflush(stdout);
		if (getchar() == EOF)
			return 1;
		exchange(&r.job, &o, true);
	}
	printf("{\"way\": \"%s\", \"step\": \"%s\", \"errno\": %d, \"error\": \"%s\", \"ms\": %.3f, \"bytes\": %zd}\n",
	       r.job.way->name, o.step, o.result < 0 ? (int)-o.result : 0,
	       o.result < 0 ? strerrorname_np(-o.result) : "", o.ms, o.result < 0 ? 0 : o.result);
	return 0;
}
