// SPDX-License-Identifier: GPL-2.0
/*
 * drive test [OPTION...] NAME=PROGRAM...    method 2: programs alone, by BPF_PROG_TEST_RUN
 * drive live [OPTION...] NAME=IFINDEX...    method 1: frames to devices, by live frames
 * drive pin DIRECTORY                       pin the bench's programs there
 * drive table --entries N PATH              pin one of the programs of tables.bpf.c, which the path names
 * drive pcap [OPTION...]                    the frames of the flows, as a capture on stdout
 *
 *   --flows FILE     what to send (flow.h), in this order, again and again
 *   --size BYTES     of a frame, without check sequence
 *   --rounds N       every target has one slice a round; each round starts with another target
 *   --slice MS       length of a slice
 *   --packets N      packets of a slice, the same for all targets, instead of --slice
 *   --most NAME=N    at most N packets a slice for this target: a slow one
 *   --pause US       sleep between slices
 *   --cpu N          where to run
 *   --dmac MAC       destination of the frames
 *   --device IFINDEX test: the device that the packets came by
 *   --tc             test: programs of TC, not of XDP
 *   --verify         test: first run all flows one by one and count the verdicts of each program under test
 *   --once           first send all flows to each target, as they are in the file; with --rounds 0 only that
 *   --until-eof      stop after the slice in which stdin ends, at the latest after the last round
 *
 * PROGRAM: drop, parse, xdp:IFINDEX (what is attached there) or a pinned program's path.
 *
 * The answer is one JSON object on stdout: for each target its slices as [packets, ns, ns of ksoftirqd], and what each
 * slice costs beside its packets, which is in its ns. Time is the thread's own CPU time: what other tasks take does not
 * count. The softirq of a veth's receiver runs in the sender's context and so is in it, unless the kernel keeps
 * interrupt time apart or hands work to ksoftirqd: the first is refused (clock_check), the second is measured.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive.h"

struct options o = { .size = FRAME_MIN, .rounds = 21, .slice_ms = 50, .dmac = { 2, 0, 0, 0, 0, 1 } };
struct target targets[TARGETS_MAX];
int n_targets;

_Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "drive: %s%s%s\n", what, error ? ": " : "", error ? strerror(error < 0 ? -error : error) : "");
	exit(1);
}

unsigned long number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || !isdigit((unsigned char)*text)) {
		fprintf(stderr, "drive: '%s' is not a number\n", text);
		exit(2);
	}
	return value;
}

static void print_targets(void)
{
	printf("{\"size\":%lu,\"fixed_ns\":%lu,\"targets\":[", o.size, fixed_ns);
	for (int t = 0; t < n_targets; t++) {
		const struct target *target = &targets[t];

		printf("%s\n{\"name\":\"%s\",\"sent\":%lu,\"odd\":%lu,\"verdicts\":[", t ? "," : "", target->name,
		       target->sent, target->odd);
		for (int i = 0; i < 8; i++)
			printf("%s%lu", i ? "," : "", target->verdicts[i]);
		printf("],\"slices\":[");
		for (unsigned long i = 0; i < o.rounds; i++)
			printf("%s[%lu,%lu,%lu]", i ? "," : "", target->slice[i].packets, target->slice[i].ns,
			       target->slice[i].ksoftirqd_ns);
		printf("]}");
	}
	printf("]}\n");
}

static void take_targets(char **words, int n)
{
	if (n < 1 || n > TARGETS_MAX)
		die("give one to sixteen targets", 0);
	for (; n_targets < n; n_targets++) {
		char *word = words[n_targets], *is = strchr(word, '=');

		if (!is)
			die("a target is NAME=PROGRAM or NAME=IFINDEX", 0);
		*is = 0;
		targets[n_targets].name = word;
		targets[n_targets].floor = !strcmp(is + 1, "drop") || !strcmp(is + 1, "parse");
		for (size_t i = 0; i < o.n_most; i++)
			if (!strncmp(o.most[i], word, strlen(word)) && o.most[i][strlen(word)] == '=')
				targets[n_targets].most = number(o.most[i] + strlen(word) + 1);
		if (o.live)
			targets[n_targets].ifindex = number(is + 1);
		else
			target_set_program(n_targets, is + 1);
	}
}

static void take_mac(const char *text)
{
	unsigned char *m = o.dmac;

	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		die("that is not a MAC address", 0);
}

/* One of: a number, a flag, a text. */
static const struct {
	const char *name;
	unsigned long *number;
	bool *flag;
	const char **text;
} options[] = {
	{ .name = "--flows", .text = &o.flows },         { .name = "--size", .number = &o.size },
	{ .name = "--rounds", .number = &o.rounds },     { .name = "--slice", .number = &o.slice_ms },
	{ .name = "--packets", .number = &o.packets },   { .name = "--pause", .number = &o.pause_us },
	{ .name = "--cpu", .number = &o.cpu },           { .name = "--device", .number = &o.device },
	{ .name = "--verify", .flag = &o.verify },       { .name = "--tc", .flag = &o.tc },
	{ .name = "--until-eof", .flag = &o.until_eof }, { .name = "--once", .flag = &o.once },
	{ .name = "--entries", .number = &o.entries },
};

static void take_option(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(options[i].name, name))
			continue;
		if (options[i].number)
			*options[i].number = number(value);
		else
			*options[i].text = value;
		return;
	}
	if (!strcmp(name, "--dmac"))
		take_mac(value);
	else if (!strcmp(name, "--most") && o.n_most < TARGETS_MAX)
		o.most[o.n_most++] = value;
	else
		die("there is no such option, or too many of it", 0);
}

static bool take_flag(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].flag && !strcmp(options[i].name, name)) {
			*options[i].flag = true;
			return true;
		}
	return false;
}

/* How many words of argv were options. */
static int take_options(int argc, char **argv)
{
	int i = 0;

	while (i < argc && !strncmp(argv[i], "--", 2)) {
		if (take_flag(argv[i])) {
			i++;
			continue;
		}
		if (i + 1 == argc)
			die("an option lacks its value", 0);
		take_option(argv[i], argv[i + 1]);
		i += 2;
	}
	if (o.size < FRAME_MIN || o.size > FRAME_MOST)
		die("a frame has 60 to 3072 bytes", 0);
	if (o.rounds > ROUNDS_MAX)
		die("too many rounds", 0);
	return i;
}

static int measure(int argc, char **argv, const struct flow_file *file)
{
	clock_check();
	take_targets(argv, argc);
	clock_settle_on_cpu();
	if (o.live)
		ksoftirqd_open();
	for (int t = 0; t < n_targets && o.once; t++)
		if (!targets[t].floor)
			send_once(t, file->count);
	for (int t = 0; t < n_targets && o.verify; t++)
		if (!targets[t].floor)
			verify_flows(t, file->count);
	if (o.rounds)
		run_rounds();
	print_targets();
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	const struct flow_file *file;
	int taken;

	if (strcmp(mode, "test") && strcmp(mode, "live") && strcmp(mode, "pin") && strcmp(mode, "table") &&
	    strcmp(mode, "pcap")) {
		fprintf(stderr, "usage: drive test|live|pin|table|pcap [OPTION...] ...\n");
		return 2;
	}
	taken = 2 + take_options(argc - 2, argv + 2);
	argc -= taken;
	argv += taken;
	if (!strcmp(mode, "pin") || !strcmp(mode, "table")) {
		if (argc != 1)
			die("pin where?", 0);
		if (!strcmp(mode, "pin"))
			programs_pin(argv[0]);
		else
			table_pin(argv[0]);
		return 0;
	}
	o.live = !strcmp(mode, "live");
	if (!o.flows)
		die("--flows is missing", 0);
	file = flows_open(o.flows);
	programs_load(file);
	if (!strcmp(mode, "pcap")) {
		write_pcap(file->count);
		return 0;
	}
	return measure(argc, argv, file);
}
