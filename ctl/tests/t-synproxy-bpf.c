// SPDX-License-Identifier: GPL-2.0
/*
 * The SYN-ACKs of `synproxy`, byte by byte but for the cookie, beside a builder that shares nothing with bpf/answer_syn.h; and
 * which acknowledgements bring a right cookie back. Then the verdict: rules, conversations, and the model beside them.
 */
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../bpf/abi.h"
#include "tests/t-synproxy.skel.h"

#include "answer_packet.h"
#include "bytes.h"
#include "check.h"
#include "loaded.h"

#define NOW_MS  1000000123ull
#define SEQ     0xfffffff0u
#define WINDOW  16384
#define OPTIONS 40

static struct t_synproxy_bpf *bpf;
static int n_cpus;

/* ---- what a client offers, and what the answer must be ---- */

/* Options of a SYN, and what of them counts. */
struct offer {
	const char *belief;
	unsigned int n;
	uint8_t bytes[OPTIONS];
	int scale; /* -1: none */
	bool sack, stamp;
};

#define STAMP 8, 10, 0xca, 0xfe, 0x12, 0x34, 0, 0, 0, 0
#define TSVAL 0xcafe1234u

static const struct offer offers[] = {
	/* clang-format off */
	{ "nothing", 0, { 0 }, -1, false, false },
	{ "an MSS", 4, { 2, 4, 5, 0xb4 }, -1, false, false },
	{ "what Linux offers", 20, { 2, 4, 5, 0xb4, 4, 2, STAMP, 1, 3, 3, 7 }, 7, true, true },
	{ "what Windows offers", 12, { 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 }, 8, true, false },
	{ "what macOS offers", 24, { 2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, STAMP, 4, 2, 0, 0 }, 6, true, true },
	{ "timestamps", 12, { 1, 1, STAMP }, -1, false, true },
	{ "timestamps and SACK", 12, { 4, 2, STAMP }, -1, true, true },
	{ "timestamps and no scaling", 16, { 1, 3, 3, 0, 1, 1, STAMP }, 0, false, true },
	{ "timestamps and the largest scale", 16, { STAMP, 1, 1, 1, 3, 3, 14 }, 14, false, true },
	{ "a scale beyond the largest", 16, { STAMP, 1, 1, 1, 3, 3, 15 }, 14, false, true },
	{ "a scale far beyond", 16, { STAMP, 1, 1, 1, 3, 3, 255 }, 14, false, true },
	{ "everything, at the very end", 40, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, STAMP, 4, 2, 3, 3, 9 }, 9, true, true },
	{ "nothing behind the end", 20, { 2, 4, 5, 0xb4, 0, 1, STAMP, 1, 3, 3, 7 }, -1, false, false },
	{ "options of no one's", 32, { 254, 8, 1, 2, 3, 4, 5, 6, STAMP, 34, 2, 99, 6, 4, 2, 4, 2, 3, 3, 2, 1 }, 2, false, true },
	{ "an option of no length", 16, { 4, 2, 99, 0, STAMP }, -1, true, false },
	{ "an option of length 1", 16, { 4, 2, 99, 1, STAMP }, -1, true, false },
	{ "an option beyond the header", 16, { 4, 2, STAMP, 3, 8, 7, 7 }, -1, true, true },
	{ "a timestamp beyond the header", 12, { 4, 2, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7 }, -1, true, false },
	{ "a scale of the wrong length", 16, { 3, 4, 7, 7, STAMP, 1, 1 }, -1, false, true },
	{ "a kind as the last byte", 12, { 4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8 }, -1, true, false },
	/* clang-format on */
};

static const uint32_t rules[] = {
	0,
	1400,
	SYNPROXY_TIMESTAMP,
	SYNPROXY_TIMESTAMP | SYNPROXY_SACK | 9000,
	SYNPROXY_TIMESTAMP | SYNPROXY_SCALES | 10 << SYNPROXY_SCALE,
	SYNPROXY_TIMESTAMP | SYNPROXY_SCALES | 0 << SYNPROXY_SCALE | SYNPROXY_SACK,
	SYNPROXY_TIMESTAMP | SYNPROXY_SCALES | 14 << SYNPROXY_SCALE | SYNPROXY_SACK | 1460,
};

/* The low bits as net/ipv4/syncookies.c reads them; not later than now, and not much earlier. */
static uint32_t expect_stamp(int scale, bool sack)
{
	uint32_t low = (scale < 0 ? 15 : scale) | sack << 4, stamp = NOW_MS;

	while ((stamp & 63) != low)
		stamp--;
	return stamp;
}

static void expect_syn_ack(struct packet *a, const struct packet *p, uint32_t rule, const struct offer *offer)
{
	const uint8_t *ip = p->bytes + p->ip, *tcp = p->bytes + p->l4;
	bool ipv6 = *ip >> 4 == 6, stamp = rule & SYNPROXY_TIMESTAMP && offer->stamp;
	bool sack = stamp && rule & SYNPROXY_SACK && offer->sack;
	bool scales = stamp && rule & SYNPROXY_SCALES && offer->scale >= 0;
	size_t at = 24;
	uint8_t *l4 = packet_answer(a, p, 6, 0, at + (stamp ? 12 : 0) + (scales ? 4 : 0));

	memcpy(l4, tcp + 2, 2);
	memcpy(l4 + 2, tcp, 2);
	set_word(l4 + 8, SEQ + 1);
	l4[12] = (a->length - a->l4) / 4 << 4;
	l4[13] = 0x12;
	set_half(l4 + 14, WINDOW);
	set_word(l4 + 20, 0x02040000 | (rule & 0xffff ? rule & 0xffff : ipv6 ? 1440 : 1460));
	if (stamp) {
		set_word(l4 + at, sack ? 0x0402080a : 0x0101080a);
		set_word(l4 + at + 4, expect_stamp(scales ? offer->scale : -1, sack));
		set_word(l4 + at + 8, TSVAL);
		at += 12;
	}
	if (scales)
		set_word(l4 + at, 0x01030300 | (rule >> SYNPROXY_SCALE & 15));
}

/* ---- running ---- */

static uint64_t counter(uint32_t number)
{
	struct counter values[n_cpus];
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.counters), &number, values))
		return 0;
	for (int cpu = 0; cpu < n_cpus; cpu++)
		sum += values[cpu].packets;
	return sum;
}

/* The program's verdict; *ret: the frame behind it. */
static int run(struct packet *ret, const struct bpf_program *program, const struct packet *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->bytes, .data_size_in = p->length, .data_out = ret->bytes,
		    .data_size_out = sizeof(ret->bytes));

	bpf->bss->raw_ip = !p->ip;
	bpf->bss->trace.length = p->length;
	bpf->bss->trace.ifindex = 1000;
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return -1;
	ret->length = opts.data_size_out;
	return opts.retval;
}

/* ---- SYN-ACKs ---- */

static void compare(const char *where, const char *belief, uint32_t rule, struct packet *got,
		    const struct packet *wanted)
{
	uint8_t *l4 = got->bytes + wanted->l4;
	bool sums;

	if (got->length < wanted->l4 + 20) {
		check(false, "%s, %s, rule %x: %zu bytes are no SYN-ACK", where, belief, rule, got->length);
		return;
	}
	sums = transport_sum(got->bytes + got->ip) == 0xffff;
	memset(l4 + 4, 0, 4);
	memset(l4 + 16, 0, 2);
	if (!check(sums && got->length == wanted->length && !memcmp(got->bytes, wanted->bytes, got->length),
		   "%s, %s, rule %x%s", where, belief, rule, sums ? "" : ": the checksum is wrong")) {
		packet_show("wanted", wanted);
		packet_show("got   ", got);
	}
}

/* The handshake's third packet, as the SYN-ACK makes the client send it. */
static void make_ack(struct packet *ack, const struct frame_spec *syn, const struct packet *syn_ack, bool raw)
{
	struct frame_spec spec = *syn;

	spec.flags = 0x10;
	spec.seq = SEQ + 1;
	spec.ack = word(syn_ack->bytes + syn_ack->l4 + 4) + 1;
	packet_make(ack, &spec, raw);
}

static void expect_cookie(const char *where, const char *what, const struct packet *ack, bool right)
{
	static struct packet got;
	uint64_t before = counter(COUNTER_COOKIES_RIGHT);

	check(run(&got, bpf->progs.ack_xdp, ack) == (right ? XDP_PASS : XDP_DROP), "%s: %s", where, what);
	check(counter(COUNTER_COOKIES_RIGHT) - before == right, "%s: %s: the counter", where, what);
}

static void try_cookies(const char *where, const struct frame_spec *syn, const struct packet *syn_ack, bool raw)
{
	static struct packet ack, lie;
	uint8_t *tcp = lie.bytes;

	make_ack(&ack, syn, syn_ack, raw);
	expect_cookie(where, "the cookie comes back", &ack, true);
	tcp = lie.bytes + ack.l4;
#define LIE(what, ...)                                                                                                 \
	lie = ack;                                                                                                     \
	__VA_ARGS__;                                                                                                   \
	expect_cookie(where, what, &lie, false)
	LIE("four more is wrong", set_word(tcp + 8, word(tcp + 8) + 4)); /* fewer may be another MSS */
	LIE("its upper bits are wrong", tcp[8] ^= 0x40);
	LIE("another port is wrong", tcp[1] ^= 1);
	LIE("another sequence number is wrong", set_word(tcp + 4, SEQ + 5));
	LIE("another address is wrong", lie.bytes[ack.ip + 15] ^= 1);
	LIE("a SYN is none", tcp[13] = 0x02);
	LIE("a SYN with an ACK is none", tcp[13] = 0x12);
	LIE("a FIN is none", tcp[13] = 0x11);
	LIE("a reset is none", tcp[13] = 0x14);
	LIE("no flags are none", tcp[13] = 0);
#undef LIE
	lie = ack;
	tcp[13] = 0x18;
	expect_cookie(where, "the first data bring it, too", &lie, true);
}

static void try_syn(const char *where, const struct frame_spec *spec, const struct offer *offer, uint32_t rule,
		    bool raw)
{
	static struct packet syn, wanted, got;
	uint64_t before = counter(COUNTER_COOKIES_SENT);
	struct frame_spec s = *spec;
	int verdict;

	s.seq = SEQ;
	s.tcp_options = (offer->n + 3) / 4;
	s.tcp_bytes = offer->bytes;
	s.n_tcp_bytes = offer->n;
	packet_make(&syn, &s, raw);
	expect_syn_ack(&wanted, &syn, rule, offer);
	bpf->bss->offer = rule;
	verdict = run(&got, bpf->progs.syn_xdp, &syn);
	got.ip = wanted.ip;
	got.l4 = wanted.l4;
	if (!check(verdict == XDP_TX, "%s, %s, rule %x: %d is not XDP_TX", where, offer->belief, rule, verdict))
		return;
	check(counter(COUNTER_COOKIES_SENT) - before == 1, "%s, %s: the counter", where, offer->belief);
	try_cookies(where, &s, &got, raw);
	compare(where, offer->belief, rule, &got, &wanted);
}

static const struct {
	const char *where;
	bool raw;
	struct frame_spec syn;
} places[] = {
	/* clang-format off */
	{ "IPv4", false, { .dport = 80 } },
	{ "IPv6", false, { .family = 6, .dport = 80 } },
	{ "behind a tag", false, { .dport = 80, .tag = { { 0x8100, 0x6007 } } } },
	{ "IPv6 behind two tags", false, { .family = 6, .dport = 443, .tag = { { 0x88a8, 7 }, { 0x8100, 8 } } } },
	{ "without a link header", true, { .dport = 80 } },
	{ "IPv6 without a link header", true, { .family = 6, .dport = 80 } },
	{ "with ECN", false, { .dport = 80, .flags = 0xc2 } },
	{ "with bytes", false, { .dport = 80, .payload = 700 } },
	{ "with more than a buffer", false, { .family = 6, .dport = 80, .payload = 9000 } },
	{ "with padding", false, { .dport = 80, .pad = 6 } },
	{ "behind IPv4 options", false, { .dport = 80, .options = 10 } },
	{ "behind a hop-by-hop header", false, { .family = 6, .dport = 80, .ext = { { EXT_HOP } } } },
	/* clang-format on */
};

static const uint8_t to_group[] = { 0x01, 0, 0x5e, 1, 2, 3 };

static const struct {
	const char *belief;
	struct frame_spec frame;
} refused[] = {
	{ "to a group's MAC", { .dport = 80, .dmac = to_group } },
	{ "to a group", { .dport = 80, .daddr = (const uint8_t[]){ 224, 0, 0, 1 } } },
	{ "from all", { .dport = 80, .saddr = (const uint8_t[]){ 255, 255, 255, 255 } } },
	{ "from this host", { .dport = 80, .saddr = (const uint8_t[]){ 127, 0, 0, 1 } } },
	{ "from a group over IPv6", { .family = 6, .dport = 80, .saddr = (const uint8_t[16]){ 0xff, 2 } } },
	{ "from nobody over IPv6", { .family = 6, .dport = 80, .saddr = (const uint8_t[16]){ 0 } } },
};

static void try_refused(void)
{
	static struct packet p, got;

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		uint64_t before = counter(COUNTER_ANSWERS_REFUSED);

		packet_make(&p, &refused[i].frame, false);
		check(run(&got, bpf->progs.syn_xdp, &p) == XDP_DROP, "no answer %s", refused[i].belief);
		check(counter(COUNTER_ANSWERS_REFUSED) - before == 1, "no answer %s: the counter", refused[i].belief);
	}
}

/* ---- the verdict ---- */

static const char policy[] = "filter in {\n"
			     "	hook ingress\n"
			     "	device d\n"
			     "	default drop\n"
			     "	fragments accept\n"
			     "	tcp dport 81 accept\n"
			     "	tcp dport 82 ct state invalid drop\n"
			     "	ct state related accept\n"
			     "	ip ttl 9 meta l4proto tcp synproxy\n"
			     "	tcp dport { 80, 82 } counter synproxy mss 1460 wscale 7 timestamp sack-perm\n"
			     "}\n";

enum { OUT = 1, FORGET = 2 };

/* One conversation each, from a first row to the next FORGET. OUT: this host sends it, by the egress that is implied. */
static const struct step {
	const char *belief;
	unsigned int how;
	struct frame_spec frame;
	enum policy_verdict verdict;
	enum reason reason;
} steps[] = {
	/* clang-format off */
	{ "a SYN is answered", FORGET, { .dport = 80 }, POLICY_SYNPROXY, REASON_RULE },
	{ "over IPv6, too", 0, { .family = 6, .dport = 80 }, POLICY_SYNPROXY, REASON_RULE },
	{ "with ECN, too", 0, { .dport = 80, .flags = 0xc2 }, POLICY_SYNPROXY, REASON_RULE },
	{ "again and again", 0, { .dport = 80 }, POLICY_SYNPROXY, REASON_RULE },
	{ "an ACK without a cookie is dropped", 0, { .dport = 80, .flags = 0x10 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "over IPv6, too", 0, { .family = 6, .dport = 80, .flags = 0x18, .payload = 9 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "a FIN", 0, { .dport = 80, .flags = 0x11 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "a reset", 0, { .dport = 80, .flags = 0x04 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "a SYN-ACK", 0, { .dport = 80, .flags = 0x12 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "a SYN with FIN", 0, { .dport = 80, .flags = 0x03 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "no flags", 0, { .dport = 80, .flags = 0x80 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "a first fragment is answered", 0, { .dport = 80, .more = true, .payload = 4 }, POLICY_SYNPROXY, REASON_RULE },
	{ "a later one is dropped", 0, { .ttl = 9, .frag_offset = 100, .payload = 40 }, POLICY_DROP, REASON_SYNPROXY_COOKIE },
	{ "what is not TCP does not match", 0, { .ttl = 9, .proto = 17, .dport = 80 }, POLICY_DROP, REASON_DEFAULT },
	{ "an ACK that an earlier rule drops as invalid", 0, { .dport = 82, .flags = 0x10 }, POLICY_DROP, REASON_RULE },
	{ "and its SYN, which is new", 0, { .dport = 82 }, POLICY_SYNPROXY, REASON_RULE },

	{ "a connection by another rule", FORGET, { .sport = 5, .dport = 81, .seq = 99 }, POLICY_ACCEPT, REASON_RULE },
	{ "answered", OUT, { .sport = 81, .dport = 5, .flags = 0x12, .seq = 500, .ack = 100 }, POLICY_ACCEPT, REASON_DEFAULT },
	{ "and answered", 0, { .sport = 5, .dport = 81, .flags = 0x10, .seq = 100, .ack = 501 }, POLICY_ACCEPT, REASON_RULE },

	{ "this host's connection from the port", FORGET | OUT, { .sport = 80, .dport = 7, .flags = 0x10, .seq = 1, .ack = 1 }, POLICY_ACCEPT, REASON_DEFAULT },
	{ "is established, and passes", 0, { .sport = 7, .dport = 80, .flags = 0x10, .seq = 1, .ack = 1 }, POLICY_ACCEPT, REASON_RULE },
	{ "with a SYN, too, which the stack knows how to take", 0, { .sport = 7, .dport = 80, .seq = 77 }, POLICY_ACCEPT, REASON_RULE },
	{ "its reset ends it", 0, { .sport = 7, .dport = 80, .flags = 0x04, .seq = 1 }, POLICY_ACCEPT, REASON_RULE },
	{ "a SYN begins it anew in the stack", 0, { .sport = 7, .dport = 80, .seq = 1000 }, POLICY_ACCEPT, REASON_RULE },
	{ "where it is not answered, the next one is", 0, { .sport = 7, .dport = 80, .seq = 1000 }, POLICY_SYNPROXY, REASON_RULE },
	/* clang-format on */
};

static void forget(struct loaded *loaded)
{
	model_state_free(loaded->state);
	loaded->state = model_state_new(loaded->policy);
	check(runner_forget(loaded->runner) == 0, "the flow table is emptied");
}

static void expect_step(const struct step *step, const char *who, const struct model_result *r)
{
	check(r->verdict == step->verdict && r->reason == step->reason, "%s: %s says %d (%d)", step->belief, who,
	      r->verdict, r->reason);
}

static void try_policy(void)
{
	static const uint8_t here[] = { 198, 51, 100, 10 }, there[] = { 192, 0, 2, 10 };
	struct loaded loaded = { 0 };
	static struct frame frame;

	if (!check(loaded_open(&loaded, policy) == 0, "the rules load"))
		return;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const struct step *step = &steps[i];
		struct frame_spec spec = step->frame;
		struct meeting m = { .skuid = -1, .ct = MODEL_NONE };
		struct model_result kernel, model;

		if (step->how & FORGET)
			forget(&loaded);
		m.hook = step->how & OUT ? POLICY_TC_EGRESS : POLICY_XDP;
		m.iif = step->how & OUT ? MODEL_NONE : 0;
		if (spec.family == 0) {
			spec.saddr = step->how & OUT ? here : there;
			spec.daddr = step->how & OUT ? there : here;
		}
		frame_make(&frame, &spec);
		model = loaded_model(&loaded, &frame, &m, NULL);
		expect_step(step, "the model", &model);
		if (check(loaded_run(&loaded, &frame, &m, &kernel) == 0, "%s: it runs", step->belief))
			expect_step(step, "the kernel", &kernel);
	}
	loaded_close(&loaded);
}

static bool load(void)
{
	libbpf_set_print(NULL);
	n_cpus = libbpf_num_possible_cpus();
	bpf = t_synproxy_bpf__open();
	if (!bpf)
		return false;
	bpf->rodata->cfg.trace = 1;
	bpf->rodata->cfg.features = FEATURE_SYNPROXY;
	return !t_synproxy_bpf__load(bpf);
}

int main(void)
{
	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_tcp_raw_gen_syncookie_ipv4, NULL) == 0) {
		printf("SKIP this kernel has no SYN cookies in XDP\n");
		return 77;
	}
	if (!load()) {
		printf("FAIL cannot load the programs\n0 passed, 1 failed\n");
		return 1;
	}
	bpf->bss->trace.now_ns = NOW_MS * 1000000 + 999999;
	for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++)
		for (size_t o = 0; o < sizeof(offers) / sizeof(*offers); o++)
			for (size_t r = 0; r < sizeof(rules) / sizeof(*rules); r++)
				try_syn(places[p].where, &places[p].syn, &offers[o], rules[r], places[p].raw);
	try_refused();
	try_policy();
	t_synproxy_bpf__destroy(bpf);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
