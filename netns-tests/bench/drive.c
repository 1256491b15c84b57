// SPDX-License-Identifier: GPL-2.0
/*
 * drive test [OPTION...] NAME=PROGRAM...    method 2: programs alone, by BPF_PROG_TEST_RUN
 * drive live [OPTION...] NAME=IFINDEX...    method 1: frames to devices, by live frames
 * drive pin DIRECTORY                       pin the bench's programs there
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
 *   --verify N       test: first run N flows one by one and count the verdicts of each target
 *   --until-eof      stop after the slice in which stdin ends, at the latest after the last round
 *
 * PROGRAM: drop, parse, xdp:IFINDEX (what is attached there) or a pinned program's path.
 *
 * The answer is one JSON object on stdout: for each target its slices as [packets, ns, ns of ksoftirqd], and what each
 * slice costs beside its packets, which is in its ns. Time is the
 * thread's own CPU time: what the hypervisor or other tasks take does not count. The softirq of a veth's receiver
 * runs in the sender's context and so is in it, unless the kernel keeps interrupt time apart or hands work to
 * ksoftirqd: the first is refused (see check_clock), the second is measured.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/pkt_cls.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "flow.h"
#include "scaffold.skel.h"

#define TARGETS_MAX 16 /* slots of the program arrays */
#define ROUNDS_MAX  1000
#define BATCH       64 /* live frames: the NAPI budget, so that one poll takes what one batch brings */
#define REPEAT_MAX  0x40000000ul

struct slice {
	unsigned long packets, ns, ksoftirqd_ns;
};

struct target {
	const char *name;
	unsigned int ifindex; /* live */
	unsigned long most;   /* packets of a slice, at most */
	double ns;            /* of a packet, estimated */
	unsigned long verdicts[8];
	unsigned long odd; /* verdicts beyond */
	unsigned long sent;
	struct slice slice[ROUNDS_MAX];
};

static struct {
	const char *flows, *most[TARGETS_MAX];
	int n_most;
	unsigned int size, rounds, cpu, device;
	unsigned long slice_ns, packets, verify, pause_us;
	unsigned char dmac[6];
	bool tc, live, until_eof;
} o = { .size = FRAME_MIN, .rounds = 21, .slice_ns = 50000000, .dmac = { 2, 0, 0, 0, 0, 1 } };

static struct target targets[TARGETS_MAX];
static int n_targets;
static struct scaffold_bpf *bpf;
static unsigned char frame[9216];
static int ksoftirqd = -1;
static unsigned long fixed_ns; /* of a test run */

static void die(const char *what, int error)
{
	fprintf(stderr, "drive: %s%s%s\n", what, error ? ": " : "", error ? strerror(error < 0 ? -error : error) : "");
	exit(1);
}

static unsigned long number(const char *text)
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

static unsigned long now(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		die("cannot read a clock", errno);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

/* ---- time that belongs to the run, but not to this thread ---- */

/* ksoftirqd of our CPU; its run time is the first number of schedstat. */
static void ksoftirqd_open(void)
{
	char path[300], want[32], comm[32];
	DIR *proc = opendir("/proc");
	struct dirent *each;

	snprintf(want, sizeof(want), "ksoftirqd/%u", o.cpu);
	while (proc && ksoftirqd < 0 && (each = readdir(proc))) {
		FILE *f;

		if (!isdigit((unsigned char)each->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", each->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && (comm[strcspn(comm, "\n")] = 0, !strcmp(comm, want))) {
			snprintf(path, sizeof(path), "/proc/%s/schedstat", each->d_name);
			ksoftirqd = open(path, O_RDONLY | O_CLOEXEC);
		}
		fclose(f);
	}
	if (proc)
		closedir(proc);
	if (ksoftirqd < 0)
		die("cannot find the run time of ksoftirqd: live frames could not be charged", 0);
}

static unsigned long ksoftirqd_ns(void)
{
	char text[100];
	ssize_t n;

	if (ksoftirqd < 0)
		return 0;
	n = pread(ksoftirqd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		die("cannot read the run time of ksoftirqd", errno);
	text[n] = 0;
	return strtoul(text, NULL, 10);
}

/* ---- loading ---- */

static void *map_file(const char *path, size_t *ret_size)
{
	struct stat s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0 || fstat(fd, &s))
		die(path, errno);
	at = mmap(NULL, s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		die(path, errno);
	close(fd);
	*ret_size = s.st_size;
	return at;
}

static void load_flows(const struct flow_file *file)
{
	size_t record = 4ul * file->words, bytes = file->count * ((record + 7) & ~7ul);
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = bpf_map__fd(bpf->maps.flows);
	void *to;

	if (record % 8)
		die("a record is not a multiple of 8 bytes", 0);
	bytes = (bytes + page - 1) & ~(page - 1);
	to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		die("cannot map the flows", errno);
	memcpy(to, file + 1, record * file->count);
	munmap(to, bytes);
}

/* What the record says is written by the programs; here is what stays. */
static void make_frame(bool ipv6)
{
	memset(frame, 0, sizeof(frame));
	memcpy(frame, o.dmac, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x02", 6);
	frame[12] = ipv6 ? 0x86 : 0x08;
	frame[13] = ipv6 ? 0xdd : 0x00;
	frame[14] = ipv6 ? 0x60 : 0x45;
}

static void load(const struct flow_file *file)
{
	struct scaffold_bpf__rodata *ro;
	bool any = file && file->words == FLOW_WORDS;
	int r;

	bpf = scaffold_bpf__open();
	if (!bpf)
		die("cannot open the bench's programs", errno);
	ro = bpf->rodata;
	if (file) {
		if (any && o.size < FRAME_MIN_6)
			o.size = FRAME_MIN_6;
		ro->frame.words = file->words;
		ro->frame.count = file->count;
		ro->frame.tcp = file->tcp;
		/* The shortest frame is a bare header and padding, a longer one is full. */
		ro->frame.total4 = o.size == FRAME_MIN ? 40 : o.size - 14;
		ro->frame.transport4 = ro->frame.total4 - 20;
		ro->frame.payload6 = any ? o.size - 54 : 0;
		bpf_map__set_value_size(bpf->maps.flows, 4 * file->words);
		bpf_map__set_max_entries(bpf->maps.flows, file->count);
	}
	r = scaffold_bpf__load(bpf);
	if (r)
		die("cannot load the bench's programs", r);
	if (file)
		load_flows(file);
	make_frame(any);
}

static int attached_fd(const char *ifindex)
{
	__u32 id = 0;
	int r = bpf_xdp_query_id(number(ifindex), 0, &id);

	if (r || !id)
		die("no XDP program is attached where one was expected", r);
	return bpf_prog_get_fd_by_id(id);
}

static void add_target(int slot, const char *program)
{
	struct bpf_program *drop = o.tc ? bpf->progs.drop_tc : bpf->progs.drop_xdp;
	struct bpf_program *parse = o.tc ? bpf->progs.parse_tc : bpf->progs.parse_xdp;
	int array = bpf_map__fd(o.tc ? bpf->maps.tc_targets : bpf->maps.xdp_targets), fd;

	if (!strcmp(program, "drop"))
		fd = bpf_program__fd(drop);
	else if (!strcmp(program, "parse"))
		fd = bpf_program__fd(parse);
	else if (!strncmp(program, "xdp:", 4))
		fd = attached_fd(program + 4);
	else
		fd = bpf_obj_get(program);
	if (fd < 0)
		die(program, errno);
	if (bpf_map_update_elem(array, &slot, &fd, BPF_ANY))
		die("the program under test cannot be called from the bench's", errno);
}

/* ---- running ---- */

/* `packets` packets to the target; the verdict of the last one. */
static int run(int t, unsigned long packets)
{
	static unsigned char back[sizeof(frame)];
	struct xdp_md xdp = { .data_end = o.size, .ingress_ifindex = o.device };
	struct __sk_buff skb = { .ifindex = o.device };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = o.size);
	unsigned long before = bpf->bss->sent;
	struct bpf_program *program;
	int r;

	opts.repeat = packets;
	if (o.live) {
		program = bpf->progs.live_xdp;
		xdp.ingress_ifindex = 0;
		opts.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
		opts.batch_size = BATCH;
		bpf->bss->to = targets[t].ifindex;
	} else {
		program = o.tc ? bpf->progs.call_tc : bpf->progs.call_xdp;
		opts.data_out = back;
		opts.data_size_out = sizeof(back);
		bpf->bss->slot = t;
	}
	opts.ctx_in = o.tc ? (void *)&skb : (void *)&xdp;
	opts.ctx_size_in = o.tc ? sizeof(skb) : sizeof(xdp);
	r = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
	if (r)
		die("a test run failed", r);
	if (bpf->bss->failed)
		die("the programs failed to write or hand on a packet", 0);
	if (bpf->bss->sent - before != packets)
		die("a test run ran fewer packets than it was told", 0);
	targets[t].sent += packets;
	return opts.retval;
}

static struct slice run_slice(int t, unsigned long packets)
{
	unsigned long soft = ksoftirqd_ns(), start = now(CLOCK_THREAD_CPUTIME_ID);
	struct slice slice = { .packets = packets };

	run(t, packets);
	slice.ns = now(CLOCK_THREAD_CPUTIME_ID) - start;
	slice.ksoftirqd_ns = ksoftirqd_ns() - soft;
	return slice;
}

static unsigned long packets_of(const struct target *target)
{
	unsigned long n = o.packets ? o.packets : o.slice_ns / target->ns;

	if (target->most && n > target->most)
		n = target->most;
	if (n > REPEAT_MAX)
		n = REPEAT_MAX;
	n -= n % BATCH;
	return n ? n : BATCH;
}

/* The shortest of two runs: what else happened to come in between is none of the packets' cost. */
static unsigned long shortest(int t, unsigned long packets)
{
	unsigned long best = -1ul;

	for (int i = 0; i < 2; i++) {
		struct slice slice = run_slice(t, packets);

		if (slice.ns + slice.ksoftirqd_ns < best)
			best = slice.ns + slice.ksoftirqd_ns;
	}
	return best;
}

/* How long a packet takes, from runs that grow until they last a third of a slice; warms the caches as well. */
static void estimate(int t)
{
	unsigned long n = BATCH, most = targets[t].most ? targets[t].most : 1ul << 28, spent;

	/* Each run waits for RCU twice, many milliseconds on a busy machine: few runs, with long steps in between. */
	for (;; n *= spent < o.slice_ns / 50 ? 16 : 4) {
		spent = shortest(t, n);
		if (spent > o.slice_ns / 4 || n * 4 > most)
			break;
	}
	targets[t].ns = (double)spent / n;
	if (targets[t].ns < 1)
		die("a packet took less than a nanosecond: the clock does not count what runs", 0);
}

static int compare_longs(const void *a, const void *b)
{
	const unsigned long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * What a test run costs whatever it runs: the kernel patches its XDP dispatcher and makes a pool of pages. It has to
 * be taken off each slice, since a slice of a slow target has fewer packets to spread it over.
 */
static unsigned long fixed_cost(void)
{
	unsigned long spent[5], all;

	for (int i = 0; i < 5; i++)
		spent[i] = run_slice(0, BATCH).ns;
	qsort(spent, 5, sizeof(spent[0]), compare_longs);
	all = BATCH * targets[0].ns;
	return spent[2] > all ? spent[2] - all : 0;
}

/* Each flow alone: what every single packet gets. */
static void verify(int t)
{
	bpf->bss->next = 0;
	for (unsigned long i = 0; i < o.verify; i++) {
		int verdict = run(t, 1);

		if (verdict >= 0 && verdict < 8)
			targets[t].verdicts[verdict]++;
		else
			targets[t].odd++;
	}
	bpf->bss->next = 0;
}

static bool stdin_ended(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

static void all_rounds(void)
{
	struct timespec pause = { .tv_nsec = o.pause_us * 1000 };

	for (int t = 0; t < n_targets; t++)
		estimate(t);
	fixed_ns = fixed_cost();
	for (unsigned int round = 0; round < o.rounds; round++) {
		for (int i = 0; i < n_targets; i++) {
			int t = (i + round) % n_targets;

			targets[t].slice[round] = run_slice(t, packets_of(&targets[t]));
			if (o.pause_us)
				nanosleep(&pause, NULL);
		}
		if (o.until_eof && stdin_ended())
			o.rounds = round + 1;
	}
}

/* A kernel that keeps interrupt time apart takes softirqs out of the thread's time: live frames would look free. */
static void check_clock(void)
{
	FILE *f = popen("zcat /proc/config.gz 2>/dev/null || cat /boot/config-$(uname -r) 2>/dev/null", "re");
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		if (!strcmp(line, "CONFIG_IRQ_TIME_ACCOUNTING=y\n") && o.live)
			die("this kernel keeps interrupt time apart (IRQ_TIME_ACCOUNTING): boot it with tsc=noirqtime",
			    0);
	if (f)
		pclose(f);
}

static void settle_on_cpu(void)
{
	struct sched_param most = { .sched_priority = 50 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(o.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot stay on one CPU", errno);
	if (sched_setscheduler(0, SCHED_FIFO, &most))
		fprintf(stderr, "drive: no SCHED_FIFO here: %s; the figures are noisier\n", strerror(errno));
}

static void print_targets(void)
{
	printf("{\"size\":%u,\"fixed_ns\":%lu,\"targets\":[", o.size, fixed_ns);
	for (int t = 0; t < n_targets; t++) {
		const struct target *target = &targets[t];

		printf("%s\n{\"name\":\"%s\",\"sent\":%lu,\"odd\":%lu,\"verdicts\":[", t ? "," : "", target->name,
		       target->sent, target->odd);
		for (int i = 0; i < 8; i++)
			printf("%s%lu", i ? "," : "", target->verdicts[i]);
		printf("],\"slices\":[");
		for (unsigned int i = 0; i < o.rounds; i++)
			printf("%s[%lu,%lu,%lu]", i ? "," : "", target->slice[i].packets, target->slice[i].ns,
			       target->slice[i].ksoftirqd_ns);
		printf("]}");
	}
	printf("]}\n");
}

static void pin(const char *directory)
{
	struct bpf_program *each;
	char path[400];

	load(NULL);
	bpf_object__for_each_program(each, bpf->obj) {
		snprintf(path, sizeof(path), "%s/%s", directory, bpf_program__name(each));
		if (bpf_program__pin(each, path))
			die(path, errno);
	}
}

/* What the programs write, as a capture: what is measured is what is checked. */
static void write_pcap(unsigned int count)
{
	static unsigned char back[sizeof(frame)];
	const unsigned int head[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, sizeof(frame), 1 /* Ethernet */ };
	int program = bpf_program__fd(bpf->progs.call_xdp);

	add_target(0, "drop");
	fwrite(head, sizeof(head), 1, stdout);
	for (unsigned int i = 0; i < count; i++) {
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = o.size,
				    .data_out = back, .data_size_out = sizeof(back), .repeat = 1);
		unsigned int record[] = { 0, 0, o.size, o.size };
		int r = bpf_prog_test_run_opts(program, &opts);

		if (r || bpf->bss->failed)
			die("a test run failed", r);
		fwrite(record, sizeof(record), 1, stdout);
		fwrite(back, o.size, 1, stdout);
	}
	if (fflush(stdout) || ferror(stdout))
		die("cannot write the capture", errno);
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
		for (int i = 0; i < o.n_most; i++)
			if (!strncmp(o.most[i], word, strlen(word)) && o.most[i][strlen(word)] == '=')
				targets[n_targets].most = number(o.most[i] + strlen(word) + 1);
		if (o.live)
			targets[n_targets].ifindex = number(is + 1);
		else
			add_target(n_targets, is + 1);
	}
}

static void take_mac(const char *text)
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &o.dmac[0], &o.dmac[1], &o.dmac[2], &o.dmac[3], &o.dmac[4],
		   &o.dmac[5]) != 6)
		die("that is not a MAC address", 0);
}

static void take_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "flows", 1, NULL, 'f' },  { "size", 1, NULL, 's' },	{ "rounds", 1, NULL, 'r' },
		{ "slice", 1, NULL, 'l' },  { "packets", 1, NULL, 'p' }, { "most", 1, NULL, 'm' },
		{ "cpu", 1, NULL, 'c' },    { "dmac", 1, NULL, 'd' },	{ "device", 1, NULL, 'i' },
		{ "tc", 0, NULL, 't' },	    { "verify", 1, NULL, 'v' }, { "until-eof", 0, NULL, 'e' },
		{ "pause", 1, NULL, 'u' }, {}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'f': o.flows = optarg; break;
		case 's': o.size = number(optarg); break;
		case 'r': o.rounds = number(optarg); break;
		case 'l': o.slice_ns = number(optarg) * 1000000; break;
		case 'p': o.packets = number(optarg); break;
		case 'm': if (o.n_most < TARGETS_MAX) o.most[o.n_most++] = optarg; break;
		case 'c': o.cpu = number(optarg); break;
		case 'd': take_mac(optarg); break;
		case 'i': o.device = number(optarg); break;
		case 't': o.tc = true; break;
		case 'v': o.verify = number(optarg); break;
		case 'e': o.until_eof = true; break;
		case 'u': o.pause_us = number(optarg); break;
		default: exit(2);
		}
	if (o.size < FRAME_MIN || o.size > sizeof(frame) / 3)
		die("a frame has 60 to 3072 bytes", 0);
	if (o.rounds > ROUNDS_MAX)
		die("too many rounds", 0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	const struct flow_file *file;
	size_t size;

	if (strcmp(mode, "test") && strcmp(mode, "live") && strcmp(mode, "pin") && strcmp(mode, "pcap")) {
		fprintf(stderr, "usage: drive test|live|pin|pcap [OPTION...] ...\n");
		return 2;
	}
	take_options(argc - 1, argv + 1);
	optind++;
	if (!strcmp(mode, "pin")) {
		if (optind >= argc)
			die("pin where?", 0);
		pin(argv[optind]);
		return 0;
	}
	o.live = !strcmp(mode, "live");
	if (!o.flows)
		die("--flows is missing", 0);
	file = map_file(o.flows, &size);
	if (size < sizeof(*file) || file->magic != FLOW_MAGIC || !file->count ||
	    (file->words != FLOW4_WORDS && file->words != FLOW_WORDS) ||
	    size != sizeof(*file) + 4ul * file->words * file->count)
		die("that is not a file of flows", 0);
	check_clock();
	load(file);
	if (!strcmp(mode, "pcap")) {
		write_pcap(file->count);
		return 0;
	}
	take_targets(argv + optind, argc - optind);
	settle_on_cpu();
	if (o.live)
		ksoftirqd_open();
	if (o.verify > file->count)
		o.verify = file->count;
	for (int t = 0; t < n_targets && o.verify; t++)
		verify(t);
	if (o.rounds)
		all_rounds();
	print_targets();
	return 0;
}
