// SPDX-License-Identifier: GPL-2.0
/*
 * calls [--cpu N] [--rounds N] [--calls N] connect|send ADDRESS PORT NAME=NETNS[,CGROUP]...
 *
 * What a connect() or a send() of a datagram costs the thread that makes it, in namespaces side by side: rounds of so many
 * calls each, the order of the namespaces turned from round to round. A socket belongs to the cgroup that it was made in.
 *
 * Says {"targets": [{"name": ..., "ns": [a call's cost, one a round]}]}.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TARGETS_MAX 16
#define ROUNDS_MAX  1000

struct target {
	const char *name;
	int socket;
	double ns[ROUNDS_MAX];
};

static int fail(const char *what, const char *on)
{
	fprintf(stderr, "calls: cannot %s %s: %s\n", what, on, strerror(errno));
	exit(1);
}

static void into_cgroup(const char *directory)
{
	char path[512];
	FILE *procs;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	procs = fopen(path, "w");
	if (!procs || fprintf(procs, "%d", getpid()) < 0 || fclose(procs))
		fail("enter", directory);
}

/* NAME=NETNS[,CGROUP] */
static void target_open(struct target *t, char *words, const struct sockaddr_in *to)
{
	char *netns = strchr(words, '='), *cgroup;
	int fd;

	if (!netns)
		fail("read", words);
	*netns++ = 0;
	cgroup = strchr(netns, ',');
	if (cgroup)
		*cgroup++ = 0;
	fd = open(netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("enter", netns);
	close(fd);
	if (cgroup)
		into_cgroup(cgroup);
	t->name = words;
	t->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->socket < 0 || connect(t->socket, (const struct sockaddr *)to, sizeof(*to)))
		fail("connect in", netns);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double round_of(const struct target *t, bool connects, const struct sockaddr_in *to, int calls)
{
	static const char bytes[32];
	double start = now_ns();

	for (int i = 0; i < calls; i++) {
		if (connects ? connect(t->socket, (const struct sockaddr *)to, sizeof(*to))
			     : send(t->socket, bytes, sizeof(bytes), 0) < 0)
			fail("call in", t->name);
	}
	return (now_ns() - start) / calls;
}

static void say(const struct target *targets, int n, int rounds)
{
	printf("{\"targets\": [");
	for (int i = 0; i < n; i++) {
		printf("%s{\"name\": \"%s\", \"ns\": [", i ? ", " : "", targets[i].name);
		for (int r = 0; r < rounds; r++)
			printf("%s%.2f", r ? ", " : "", targets[i].ns[r]);
		printf("]}");
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "cpu", required_argument, 0, 'c' },
						 { "rounds", required_argument, 0, 'r' },
						 { "calls", required_argument, 0, 'n' },
						 { 0 } };
	static struct target targets[TARGETS_MAX];
	struct sockaddr_in to = { .sin_family = AF_INET };
	int rounds = 21, calls = 20000, n = 0, option;
	bool connects;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			CPU_SET(atoi(optarg), &cpus);
		else if (option == 'r')
			rounds = atoi(optarg);
		else if (option == 'n')
			calls = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind < 4 || argc - optind - 3 > TARGETS_MAX || rounds < 1 || rounds > ROUNDS_MAX || calls < 1 ||
	    inet_pton(AF_INET, argv[optind + 1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: calls [--cpu N] [--rounds N] [--calls N] connect|send ADDRESS PORT "
				"NAME=NETNS[,CGROUP]...\n");
		return 2;
	}
	connects = !strcmp(argv[optind], "connect");
	to.sin_port = htons(atoi(argv[optind + 2]));
	if (CPU_COUNT(&cpus) && sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("run on", "that CPU");
	for (int i = optind + 3; i < argc; i++)
		target_open(&targets[n++], argv[i], &to);
	for (int i = 0; i < n; i++)
		round_of(&targets[i], connects, &to, calls);
	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < n; i++)
			targets[(i + r) % n].ns[r] = round_of(&targets[(i + r) % n], connects, &to, calls);
	say(targets, n, rounds);
	return 0;
}
