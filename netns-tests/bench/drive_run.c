// SPDX-License-Identifier: GPL-2.0
/* The driver's runs: one flow, one slice, all rounds. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "drive.h"
#include "scaffold.skel.h"

#define BATCH      64 /* live frames: the NAPI budget, so that one poll takes what one batch brings */
#define REPEAT_MAX 0x40000000ul

unsigned long fixed_ns;

static unsigned long slice_ns(void)
{
	return o.slice_ms * 1000000;
}

/* `packets` packets to the target; the verdict of the last one. */
static int run(int t, unsigned long packets)
{
	static unsigned char back[sizeof(frame)];
	struct xdp_md xdp = { .data_end = o.size,
			      .ingress_ifindex = targets[t].ifindex ? targets[t].ifindex : o.device };
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
	unsigned long n = o.packets ? o.packets : slice_ns() / target->ns;

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
	for (;; n *= spent < slice_ns() / 50 ? 16 : 4) {
		spent = shortest(t, n);
		if (spent > slice_ns() / 4 || n * 4 > most)
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
void verify_flows(int t, unsigned long count)
{
	bpf->bss->next = 0;
	for (unsigned long i = 0; i < count; i++) {
		int verdict = run(t, 1);

		if (verdict >= 0 && verdict < 8)
			targets[t].verdicts[verdict]++;
		else
			targets[t].odd++;
	}
	bpf->bss->next = 0;
}

/* All flows, in their order and no more of them. */
void send_once(int t, unsigned long count)
{
	bpf->bss->next = 0;
	run(t, count);
	bpf->bss->next = 0;
}

static bool stdin_ended(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

void run_rounds(void)
{
	struct timespec pause = { .tv_nsec = o.pause_us * 1000 };

	for (int t = 0; t < n_targets; t++)
		estimate(t);
	fixed_ns = fixed_cost();
	for (unsigned long round = 0; round < o.rounds; round++) {
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

/* What the programs write, as a capture: what is measured is what is checked. */
void write_pcap(unsigned int count)
{
	static unsigned char back[sizeof(frame)];
	const unsigned int head[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, sizeof(frame), 1 /* Ethernet */ };
	int program = bpf_program__fd(bpf->progs.call_xdp);

	target_set_program(0, "drop");
	fwrite(head, sizeof(head), 1, stdout);
	for (unsigned int i = 0; i < count; i++) {
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = o.size, .data_out = back,
				    .data_size_out = sizeof(back), .repeat = 1);
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
