// SPDX-License-Identifier: GPL-2.0
/*
 * The answers of `reject`, byte by byte: frames by description, XDP and TC, beside a builder of answers that shares
 * nothing with bpf/answer.h. Then how many there are a second.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "tests/t-answer-tc.skel.h"
#include "tests/t-answer-xdp.skel.h"

#include "answer_packet.h"
#include "bytes.h"
#include "check.h"

#define CODE4      13
#define CODE6      1
#define RESET      REJECT_RESET
#define ICMP       (REJECT_ICMP | CODE4 << REJECT_CODE4 | CODE6 << REJECT_CODE6)
#define TC_MOST    3000 /* what a test run takes */
#define NOW        1000000000000ull
#define PERIOD     (1000000000ull / ANSWERS_PER_SECOND)
#define BURST      50
#define IFINDEX    1000
#define IFINDEX_LO 1

static struct t_answer_xdp_bpf *xdp;
static struct t_answer_tc_bpf *tc;
static int n_cpus;

/* ---- what the answer must be ---- */

static void expect_answer(struct packet *a, const struct packet *p, uint32_t what)
{
	const uint8_t *ip = p->bytes + p->ip, *tcp = p->bytes + p->l4;
	bool ipv6 = *ip >> 4 == 6;
	size_t header = ipv6 ? 40 : 20, total = ipv6 ? 40 + half(ip + 4) : half(ip + 2);
	size_t most = (ipv6 ? 1280 : 576) - header - 8, quote = total < most ? total : most;
	uint8_t *l4;

	if (what == RESET) {
		l4 = packet_answer(a, p, 6, 0, 20);
		set_half(l4, half(tcp + 2));
		set_half(l4 + 2, half(tcp));
		l4[12] = 0x50;
		if (tcp[13] & 0x10) {
			set_word(l4 + 4, word(tcp + 8));
			l4[13] = 0x04;
		} else {
			set_word(l4 + 8, word(tcp + 4) + (p->ip + total - p->l4) - (tcp[12] >> 4) * 4 +
						 (tcp[13] >> 1 & 1) + (tcp[13] & 1));
			l4[13] = 0x14;
		}
		set_half(l4 + 16, ~transport_sum(a->bytes + a->ip));
	} else {
		l4 = packet_answer(a, p, ipv6 ? 58 : 1, 0xc0, 8 + quote);
		l4[0] = ipv6 ? 1 : 3;
		l4[1] = ipv6 ? CODE6 : CODE4;
		memcpy(l4 + 8, ip, quote);
		set_half(l4 + 2, ~transport_sum(a->bytes + a->ip));
	}
}

/* ---- running ---- */

static void counters(struct bpf_map *map, uint64_t ret[3])
{
	struct counter values[n_cpus];

	for (uint32_t i = 0; i < 3; i++) {
		uint32_t number = COUNTER_ANSWERS + i;

		ret[i] = 0;
		bpf_map_lookup_elem(bpf_map__fd(map), &number, values);
		for (int cpu = 0; cpu < n_cpus; cpu++)
			ret[i] += values[cpu].packets;
	}
}

/* Runs a program; the answer, or length 0 where the packet is dropped and nothing said. -1: it went another way. */
static int run_xdp(struct packet *ret, const struct packet *p, uint32_t what)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = p->bytes, .data_size_in = p->length, .data_out = ret->bytes,
		    .data_size_out = sizeof(ret->bytes));

	xdp->bss->reject = what;
	xdp->bss->raw_ip = !p->ip;
	xdp->bss->trace.length = p->length;
	if (bpf_prog_test_run_opts(bpf_program__fd(xdp->progs.reject_xdp), &run))
		return -1;
	ret->length = run.retval == XDP_TX ? run.data_size_out : 0;
	return run.retval == XDP_TX || run.retval == XDP_DROP ? 0 : -1;
}

static int run_tc(struct packet *ret, const struct packet *p, uint32_t what, const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = p->bytes, .data_size_in = p->length, .data_out = ret->bytes,
		    .data_size_out = sizeof(ret->bytes));

	tc->bss->reject = what;
	tc->bss->raw_ip = !p->ip;
	tc->bss->trace.length = p->length;
	if (tc->bss->tag_type_be[0] && tc->bss->tag_type_be[1])
		tc->bss->trace.length += 4; /* one is in the frame, the other beside it */
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &run))
		return -1;
	ret->length = run.retval == TC_ACT_REDIRECT ? run.data_size_out : 0;
	if (ret->length && tc->bss->beside_type_be) { /* back into the frame */
		memmove(ret->bytes + 16, ret->bytes + 12, ret->length - 12);
		memcpy(ret->bytes + 12, &tc->bss->beside_type_be, 2);
		set_half(ret->bytes + 14, tc->bss->beside_tci);
		ret->length += 4;
	}
	return run.retval == TC_ACT_REDIRECT || run.retval == TC_ACT_SHOT ? 0 : -1;
}

static void compare(const char *belief, const char *where, int ran, const struct packet *got,
		    const struct packet *wanted)
{
	if (!check(ran == 0, "%s: %s: the program does not run, or lets it pass", belief, where))
		return;
	if (!check(got->length == wanted->length && !memcmp(got->bytes, wanted->bytes, got->length), "%s: %s", belief,
		   where)) {
		packet_show("wanted", wanted);
		packet_show("got   ", got);
		for (size_t i = 0; i < got->length && i < wanted->length; i++)
			if (got->bytes[i] != wanted->bytes[i]) {
				printf("  first at %zu\n", i);
				break;
			}
	}
}

/* ---- the table ---- */

/* What answers a packet, and where it comes from. */
enum how { NOBODY, BY_ICMP = 1, BY_RESET = 2, BY_BOTH = 3, RAW = 4 /* without a link header */, ON_LO = 8 };

static const uint8_t to_group[] = { 0x01, 0, 0x5e, 1, 2, 3 }, to_all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
#define IP4(a, b, c, d) ((const uint8_t[]){ a, b, c, d })
#define IP6(a, b, z)    ((const uint8_t[]){ a, b, [15] = z })
#define NO_IP6          ((const uint8_t[16]){ 0 })

static const struct row {
	const char *belief;
	enum how how;
	struct frame_spec frame;
} rows[] = {
	/* clang-format off */
	{ "a syn", BY_BOTH, { .dport = 22 } },
	{ "a syn over IPv6", BY_BOTH, { .family = 6, .dport = 22 } },
	{ "an ack", BY_BOTH, { .dport = 22, .flags = 0x10 } },
	{ "an ack over IPv6", BY_BOTH, { .family = 6, .dport = 22, .flags = 0x18, .payload = 77 } },
	{ "a syn with an ack", BY_BOTH, { .dport = 22, .flags = 0x12 } },
	{ "a fin", BY_BOTH, { .dport = 22, .flags = 0x01 } },
	{ "a fin with bytes", BY_BOTH, { .dport = 22, .flags = 0x01, .payload = 31 } },
	{ "a syn with bytes", BY_BOTH, { .dport = 22, .payload = 1001 } },
	{ "a syn with fin", BY_BOTH, { .family = 6, .dport = 22, .flags = 0x03, .payload = 3 } },
	{ "no flags", BY_BOTH, { .dport = 22, .flags = 0x80, .payload = 5 } },
	{ "a syn with options", BY_BOTH, { .dport = 22, .tcp_options = 5, .payload = 7 } },
	{ "a syn with all options", BY_BOTH, { .family = 6, .dport = 22, .tcp_options = 10 } },
	{ "a syn behind IPv4 options", BY_BOTH, { .dport = 22, .options = 10, .payload = 9 } },
	{ "a syn behind a hop-by-hop header", BY_BOTH, { .family = 6, .dport = 22, .ext = { { EXT_HOP } } } },
	{ "a syn behind three headers", BY_BOTH,
	  { .family = 6, .dport = 22, .ext = { { EXT_HOP, .length = 2 }, { EXT_DESTINATION, .length = 9 }, { EXT_AH, .length = 4 } }, .payload = 8 } },
	{ "a syn in an atomic fragment", BY_BOTH, { .family = 6, .dport = 22, .ext = { { EXT_FRAGMENT } } } },
	{ "a syn in a first fragment", BY_BOTH, { .dport = 22, .more = true, .payload = 4 } },
	{ "a padded syn", BY_BOTH, { .dport = 22, .pad = 6 } },
	{ "a syn with much behind it", BY_BOTH, { .dport = 22, .pad = 2000 } },
	{ "a syn behind a tag", BY_BOTH, { .dport = 22, .tag = { { 0x8100, 0x6007 } } } },
	{ "a syn over IPv6 behind a tag", BY_BOTH, { .family = 6, .dport = 22, .tag = { { 0x88a8, 0xf007 } } } },
	{ "a syn behind two tags", BY_BOTH, { .dport = 22, .tag = { { 0x88a8, 0x2007 }, { 0x8100, 9 } } } },
	{ "a syn over IPv6 behind two tags", BY_BOTH, { .family = 6, .dport = 22, .tag = { { 0x8100, 7 }, { 0x8100, 8 } } } },
	{ "a syn without a link header", BY_BOTH | RAW, { .dport = 22, .saddr = IP4(8, 0, 3, 4) } },
	{ "a syn over IPv6 without a link header", BY_BOTH | RAW,
	  { .family = 6, .dport = 22, .saddr = (const uint8_t[]){ 0x20, 1, 0xd, 0xb8, 0x86, 0xdd, [15] = 1 } } },
	{ "a full segment", BY_BOTH, { .dport = 22, .flags = 0x10, .payload = 1460 } },
	{ "a full segment over IPv6", BY_BOTH, { .family = 6, .dport = 22, .flags = 0x10, .payload = 1440 } },
	{ "a full segment behind two tags", BY_BOTH, { .family = 6, .dport = 22, .flags = 0x10, .payload = 1440, .tag = { { 0x88a8, 7 }, { 0x8100, 8 } } } },
	{ "a large segment", BY_BOTH, { .dport = 22, .payload = 9000 } },
	{ "a large segment over IPv6", BY_BOTH, { .family = 6, .dport = 22, .flags = 0x10, .payload = 11000 } },
	{ "a syn with several buffers behind it", BY_BOTH, { .dport = 22, .pad = 9000 } },

	{ "a datagram", BY_ICMP, { .proto = 17, .dport = 53 } },
	{ "a datagram over IPv6", BY_ICMP, { .family = 6, .proto = 17, .dport = 53 } },
	{ "an odd datagram", BY_ICMP, { .proto = 17, .dport = 53, .payload = 1 } },
	{ "an odd datagram of three", BY_ICMP, { .family = 6, .proto = 17, .dport = 53, .payload = 3 } },
	{ "a padded datagram", BY_ICMP, { .proto = 17, .dport = 53, .payload = 2, .pad = 16 } },
	{ "the largest that is quoted whole", BY_ICMP, { .proto = 17, .dport = 53, .payload = 520 } },
	{ "one byte more", BY_ICMP, { .proto = 17, .dport = 53, .payload = 521 } },
	{ "one byte less", BY_ICMP, { .proto = 17, .dport = 53, .payload = 519 } },
	{ "the largest that is quoted whole over IPv6", BY_ICMP, { .family = 6, .proto = 17, .dport = 53, .payload = 1184 } },
	{ "one byte more over IPv6", BY_ICMP, { .family = 6, .proto = 17, .dport = 53, .payload = 1185 } },
	{ "one byte less over IPv6", BY_ICMP, { .family = 6, .proto = 17, .dport = 53, .payload = 1183 } },
	{ "a datagram whose answer is as long", BY_ICMP, { .proto = 17, .dport = 53, .payload = 520, .pad = 28 } },
	{ "a large datagram", BY_ICMP, { .proto = 17, .dport = 53, .payload = 10000 } },
	{ "a datagram behind a tag", BY_ICMP, { .proto = 17, .dport = 53, .payload = 600, .tag = { { 0x8100, 5 } } } },
	{ "a datagram behind two tags", BY_ICMP, { .family = 6, .proto = 17, .dport = 53, .tag = { { 0x88a8, 5 }, { 0x8100, 6 } } } },
	{ "a datagram without a link header", BY_ICMP | RAW, { .proto = 17, .dport = 53, .saddr = IP4(8, 0, 3, 4), .payload = 20 } },
	{ "an sctp packet", BY_ICMP, { .proto = 132, .dport = 9, .payload = 20 } },
	{ "a tunnelled packet", BY_ICMP, { .proto = 47, .payload = 60 } },
	{ "an echo request", BY_ICMP, { .proto = 1, .type = 8, .payload = 56 } },
	{ "an echo reply", BY_ICMP, { .proto = 1, .type = 0, .payload = 56 } },
	{ "a timestamp request", BY_ICMP, { .proto = 1, .type = 13, .payload = 12 } },
	{ "an echo request over IPv6", BY_ICMP, { .family = 6, .proto = 58, .type = 128, .payload = 56 } },
	{ "a neighbour solicitation", BY_ICMP, { .family = 6, .proto = 58, .type = 135, .payload = 16 } },
	{ "from a class E address", BY_ICMP, { .proto = 17, .saddr = IP4(240, 0, 0, 1) } },
	{ "this host to itself", BY_BOTH | ON_LO, { .dport = 22, .saddr = IP4(127, 0, 0, 1), .daddr = IP4(127, 0, 0, 2) } },
	{ "this host to itself over IPv6", BY_BOTH | ON_LO, { .family = 6, .dport = 22, .saddr = IP6(0, 0, 1), .daddr = IP6(0, 0, 1) } },

	{ "a reset", NOBODY, { .dport = 22, .flags = 0x04 } },
	{ "a reset with an ack", NOBODY, { .family = 6, .dport = 22, .flags = 0x14 } },
	{ "an unreachable", NOBODY, { .proto = 1, .type = 3, .payload = 28 } },
	{ "a quench", NOBODY, { .proto = 1, .type = 4, .payload = 28 } },
	{ "a redirect", NOBODY, { .proto = 1, .type = 5, .payload = 28 } },
	{ "a time exceeded", NOBODY, { .proto = 1, .type = 11, .payload = 28 } },
	{ "a parameter problem", NOBODY, { .proto = 1, .type = 12, .payload = 28 } },
	{ "an ICMP type of no one's", NOBODY, { .proto = 1, .type = 40, .payload = 28 } },
	{ "the next one", NOBODY, { .proto = 1, .type = 45, .payload = 28 } },
	{ "an unreachable over IPv6", NOBODY, { .family = 6, .proto = 58, .type = 1, .payload = 48 } },
	{ "a packet too big", NOBODY, { .family = 6, .proto = 58, .type = 2, .payload = 48 } },
	{ "an error of no one's over IPv6", NOBODY, { .family = 6, .proto = 58, .type = 127, .payload = 48 } },
	{ "a redirect over IPv6", NOBODY, { .family = 6, .proto = 58, .type = 137, .payload = 48 } },
	{ "a later fragment", NOBODY, { .proto = 17, .frag_offset = 100, .payload = 40 } },
	{ "a later fragment over IPv6", NOBODY, { .family = 6, .proto = 17, .ext = { { EXT_FRAGMENT, .frag = 800 } }, .payload = 40 } },
	{ "to a group", NOBODY, { .proto = 17, .daddr = IP4(224, 0, 0, 251) } },
	{ "to the last group", NOBODY, { .proto = 17, .daddr = IP4(239, 255, 255, 255) } },
	{ "to all", NOBODY, { .proto = 17, .daddr = IP4(255, 255, 255, 255) } },
	{ "to nobody", NOBODY, { .proto = 17, .daddr = IP4(0, 0, 0, 0) } },
	{ "to a group over IPv6", NOBODY, { .family = 6, .proto = 17, .daddr = IP6(0xff, 2, 1) } },
	{ "to a group's MAC", NOBODY, { .proto = 17, .dmac = to_group } },
	{ "to everybody's MAC", NOBODY, { .dport = 22, .dmac = to_all } },
	{ "from nobody", NOBODY, { .proto = 17, .saddr = IP4(0, 0, 0, 0) } },
	{ "from a group", NOBODY, { .dport = 22, .saddr = IP4(230, 0, 0, 1) } },
	{ "from all", NOBODY, { .dport = 22, .saddr = IP4(255, 255, 255, 255) } },
	{ "from this host", NOBODY, { .dport = 22, .saddr = IP4(127, 0, 0, 1) } },
	{ "to this host", NOBODY, { .dport = 22, .daddr = IP4(127, 0, 0, 1) } },
	{ "from nobody over IPv6", NOBODY, { .family = 6, .dport = 22, .saddr = NO_IP6 } },
	{ "from a group over IPv6", NOBODY, { .family = 6, .dport = 22, .saddr = IP6(0xff, 5, 9) } },
	{ "from this host over IPv6", NOBODY, { .family = 6, .dport = 22, .saddr = IP6(0, 0, 1) } },
	{ "what is not IP", NOBODY, { .family = -1, .etype = 0x0806, .payload = 46 } },
	{ "a wrong version", NOBODY, { .dport = 22, .pokes = { { L3, 0, 1, 0x55 } } } },
	{ "an IPv4 header of four words", NOBODY, { .dport = 22, .pokes = { { L3, 0, 1, 0x44 } } } },
	{ "a TCP header of four words", NOBODY, { .dport = 22, .pokes = { { L4, 12, 1, 0x40 } } } },
	{ "a length that lies", NOBODY, { .dport = 22, .pokes = { { L3, 2, 2, 400 } } } },
	{ "three tags", NOBODY, { .dport = 22, .tag = { { 0x8100, 1 }, { 0x8100, 2 }, { 0x8100, 3 } } } },
	/* clang-format on */
};

static void make(struct packet *p, const struct row *row)
{
	struct frame_spec spec = row->frame;

	spec.seq = 0xfffffff0; /* wraps */
	spec.ack = 0x89abcdef;
	packet_make(p, &spec, row->how & RAW);
}

/* The same frame with its tags beside it: TC puts them on by itself. */
static void try_beside(const struct row *row, uint32_t what, const struct packet *wanted)
{
	static struct packet p, got;
	struct row bare = *row;
	unsigned int n = row->frame.tag[1].type ? 2 : 1;
	int ran;

	if (!row->frame.tag[0].type || row->frame.tag[2].type)
		return;
	memset(bare.frame.tag, 0, sizeof(bare.frame.tag));
	make(&p, &bare);
	for (unsigned int i = 0; i < n; i++) {
		tc->bss->tag_type_be[n - 1 - i] = htons(row->frame.tag[i].type);
		tc->bss->tag_tci[n - 1 - i] = row->frame.tag[i].tci;
	}
	ran = run_tc(&got, &p, what, tc->progs.reject_ingress);
	memset(tc->bss->tag_type_be, 0, sizeof(tc->bss->tag_type_be));
	compare(row->belief, "TC, tag beside", ran, &got, wanted);
}

static void try(const struct row *row, uint32_t what, bool answered)
{
	static struct packet p, wanted, got;
	uint64_t before[2][3], after[2][3];
	unsigned int runs = 1;
	int ran;

	make(&p, row);
	if (answered)
		expect_answer(&wanted, &p, what);
	else
		wanted.length = 0;
	counters(xdp->maps.counters, before[0]);
	counters(tc->maps.counters, before[1]);
	xdp->bss->answers_paid = tc->bss->answers_paid = 0;
	xdp->bss->trace.ifindex = tc->bss->trace.ifindex = row->how & ON_LO ? IFINDEX_LO : IFINDEX;
	ran = run_xdp(&got, &p, what);
	compare(row->belief, what == RESET ? "XDP, reset" : "XDP, ICMP", ran, &got, &wanted);
	counters(xdp->maps.counters, after[0]);
	check(after[0][0] - before[0][0] == answered && after[0][1] == before[0][1] &&
		      after[0][2] - before[0][2] == !answered,
	      "%s: XDP's counters", row->belief);
	if (p.length > TC_MOST)
		return;
	ran = run_tc(&got, &p, what, tc->progs.reject_ingress);
	compare(row->belief, what == RESET ? "TC ingress, reset" : "TC ingress, ICMP", ran, &got, &wanted);
	ran = run_tc(&got, &p, what, tc->progs.reject_egress);
	compare(row->belief, what == RESET ? "TC egress, reset" : "TC egress, ICMP", ran, &got, &wanted);
	runs = 2;
	counters(tc->maps.counters, after[1]);
	check(after[1][0] - before[1][0] == answered * runs && after[1][1] == before[1][1] &&
		      after[1][2] - before[1][2] == !answered * runs,
	      "%s: TC's counters", row->belief);
	try_beside(row, what, &wanted);
}

/* Each length of a datagram: odd ends, quotes that are cut, frames that shrink and grow. */
static void try_lengths(void)
{
	for (unsigned int n = 0; n < 1300; n += n < 40 ? 1 : 7) {
		struct row row = { "a datagram of some length", BY_ICMP, { .proto = 17, .payload = n } };

		try(&row, ICMP, true);
		row.frame.family = 6;
		try(&row, ICMP, true);
	}
}

/* ---- how many ---- */

/* How many of n packets at one moment are answered. */
static unsigned int answers_at(uint64_t now, unsigned int n)
{
	static const struct row row = { "", BY_BOTH, { .dport = 22 } };
	static struct packet p, got;
	unsigned int answered = 0;

	make(&p, &row);
	xdp->bss->trace.now_ns = now;
	for (unsigned int i = 0; i < n; i++)
		answered += run_xdp(&got, &p, RESET) == 0 && got.length;
	return answered;
}

static void try_rate(void)
{
	static const struct row refused = { "", NOBODY, { .dport = 22, .flags = 4 } };
	static struct packet p, got;
	uint64_t before[3], after[3];
	unsigned int n = 0;

	xdp->bss->answers_paid = 0;
	counters(xdp->maps.counters, before);
	check(answers_at(NOW, 80) == BURST, "a burst is answered, and no more");
	counters(xdp->maps.counters, after);
	check(after[0] - before[0] == BURST && after[1] - before[1] == 80 - BURST && after[2] == before[2],
	      "what is not answered in time is counted");
	check(answers_at(NOW + PERIOD - 1, 5) == 0, "nothing before its time");
	check(answers_at(NOW + PERIOD, 5) == 1, "one after a thousandth of a second");
	check(answers_at(NOW + 4 * PERIOD + PERIOD / 2, 5) == 3, "what was not used is there later");
	check(answers_at(NOW + 1000 * PERIOD, 80) == BURST, "but not more than a burst");
	for (unsigned int i = 1; i <= 2000; i++)
		n += answers_at(NOW + 1000 * PERIOD + i * PERIOD / 4, 1);
	check(n == 500, "%u of 2000 in half a second", n);
	make(&p, &refused);
	xdp->bss->answers_paid = 0;
	for (unsigned int i = 0; i < 80; i++)
		run_xdp(&got, &p, RESET);
	check(xdp->bss->answers_paid == 0, "what is not answered costs nothing");
}

static bool load(void)
{
	libbpf_set_print(NULL);
	n_cpus = libbpf_num_possible_cpus();
	xdp = t_answer_xdp_bpf__open();
	tc = t_answer_tc_bpf__open();
	if (!xdp || !tc)
		return false;
	xdp->rodata->cfg.trace = tc->rodata->cfg.trace = 1;
	return !t_answer_xdp_bpf__load(xdp) && !t_answer_tc_bpf__load(tc);
}

int main(void)
{
	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	if (!load()) {
		printf("FAIL cannot load the programs\n0 passed, 1 failed\n");
		return 1;
	}
	xdp->bss->trace.now_ns = tc->bss->trace.now_ns = NOW;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		try(&rows[i], ICMP, rows[i].how & BY_ICMP);
		try(&rows[i], RESET, rows[i].how & BY_RESET);
		try(&rows[i], 0, false);
	}
	try_lengths();
	try_rate();
	t_answer_xdp_bpf__destroy(xdp);
	t_answer_tc_bpf__destroy(tc);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
