// SPDX-License-Identifier: GPL-2.0
/*
 * The guards' program at egress, frame by frame: which are to the endpoint, and what is said of them. A test run gives
 * each frame a socket of the kernel's own, of uid 0; t-guard-live-bpf has the senders.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/pkt_cls.h>

#include "guard_world_bpf.h"
#include "weir.skel.h"

#include "check.h"
#include "frame.h"

#define IMDS  ((const uint8_t[]){ 169, 254, 169, 254 })
#define NEXT  ((const uint8_t[]){ 169, 254, 169, 253 })
#define IMDS6 ((const uint8_t[]){ 0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54 })
#define NEXT6 ((const uint8_t[]){ 0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x55 })
#define OPEN  ((const uint8_t[]){ 10, 9, 3, 4 }) /* in a prefix that is guarded, whatever the port */

/* Where a frame without a link header is taken to have one, its type says IP. */
#define AS_IP  ((const uint8_t[]){ 8, 0, 3, 4 })
#define AS_IP6 ((const uint8_t[]){ 0x20, 1, 0xd, 0xb8, 0x86, 0xdd, [15] = 1 })

#define TO(family_, daddr_, ...) { .family = family_, .daddr = daddr_, __VA_ARGS__ }
/* enum guard_outcome, and: */
#define NOT   GUARD_OUTCOME_MAX /* nothing to the guard */
#define RESET (GUARD_DID_DENY | 1u << 8)
#define RAW   (1u << 9) /* without a link header */

static const struct row {
	const char *belief;
	unsigned int what;
	struct frame_spec frame;
} rows[] = {
	/* clang-format off */
	{ "a syn to the port", RESET, TO(4, IMDS, .dport = 80) },
	{ "a syn to the port over IPv6", RESET, TO(6, IMDS6, .dport = 80) },
	{ "to another port", NOT, TO(4, IMDS, .dport = 53) },
	{ "to another port over IPv6", NOT, TO(6, IMDS6, .dport = 8080) },
	{ "from the port", NOT, TO(4, IMDS, .sport = 80, .dport = 40000) },
	{ "to the address beside it", NOT, TO(4, NEXT, .dport = 80) },
	{ "to the address beside it over IPv6", NOT, TO(6, NEXT6, .dport = 80) },
	{ "to an address far away", NOT, TO(4, NULL, .dport = 80) },
	{ "to an address far away over IPv6", NOT, TO(6, NULL, .dport = 80) },
	{ "a datagram to the port", GUARD_DID_DENY, TO(4, IMDS, .proto = 17, .dport = 80) },
	{ "a name server's datagram", NOT, TO(4, IMDS, .proto = 17, .dport = 53) },
	{ "sctp to the port", GUARD_DID_DENY, TO(4, IMDS, .proto = 132, .dport = 80) },
	{ "sctp to another port", NOT, TO(4, IMDS, .proto = 132, .dport = 81) },
	{ "udp-lite to the port", GUARD_DID_DENY, TO(4, IMDS, .proto = 136, .data = (const uint8_t[]){ 0, 9, 0, 80, 0, 0, 0, 0 }, .n_data = 8) },
	{ "udp-lite to another port", NOT, TO(4, IMDS, .proto = 136, .data = (const uint8_t[]){ 0, 80, 0, 9, 0, 0, 0, 0 }, .n_data = 8) },
	{ "udp-lite too short for ports", GUARD_DID_DENY, TO(4, IMDS, .proto = 136, .data = (const uint8_t[]){ 0, 80 }, .n_data = 2) },
	{ "dccp to the port over IPv6", GUARD_DID_DENY, TO(6, IMDS6, .proto = 33, .data = (const uint8_t[]){ 0, 9, 0, 80, 0, 0, 0, 0 }, .n_data = 8) },
	{ "an echo request", GUARD_DID_DENY, TO(4, IMDS, .proto = 1, .type = 8) },
	{ "an echo request over IPv6", GUARD_DID_DENY, TO(6, IMDS6, .proto = 58, .type = 128) },
	{ "a protocol without ports", GUARD_DID_DENY, TO(4, IMDS, .proto = 47, .payload = 20) },
	{ "any port of a prefix", RESET, TO(4, OPEN, .dport = 9999) },
	{ "a datagram to a prefix", GUARD_DID_DENY, TO(4, OPEN, .proto = 17, .dport = 1) },

	{ "behind a tag", RESET, TO(4, IMDS, .dport = 80, .tag = { { 0x8100, 7 } }) },
	{ "behind two tags over IPv6", RESET, TO(6, IMDS6, .dport = 80, .tag = { { 0x88a8, 7 }, { 0x8100, 8 } }) },
	{ "behind a tag, to the address beside it", NOT, TO(4, NEXT, .dport = 80, .tag = { { 0x8100, 7 } }) },
	{ "behind options", RESET, TO(4, IMDS, .dport = 80, .options = 10) },
	{ "behind headers", RESET, TO(6, IMDS6, .dport = 80, .ext = { { EXT_HOP }, { EXT_DESTINATION, .length = 9 }, { EXT_AH, .length = 4 } }) },
	{ "behind headers, to another port", NOT, TO(6, IMDS6, .dport = 81, .ext = { { EXT_HOP }, { EXT_DESTINATION, .length = 9 } }) },
	{ "behind too many headers", GUARD_DID_DENY,
	  TO(6, IMDS6, .dport = 81, .ext = { { EXT_HOP }, { EXT_DESTINATION }, { EXT_DESTINATION }, { EXT_DESTINATION }, { EXT_DESTINATION },
					     { EXT_DESTINATION }, { EXT_DESTINATION }, { EXT_DESTINATION }, { EXT_DESTINATION } }) },
	{ "in an atomic fragment", RESET, TO(6, IMDS6, .dport = 80, .ext = { { EXT_FRAGMENT } }) },
	{ "in a first fragment", RESET, TO(4, IMDS, .dport = 80, .more = true, .payload = 4) },
	{ "in a first fragment to another port", NOT, TO(4, IMDS, .dport = 81, .more = true, .payload = 4) },
	{ "in a first fragment that ends before its port", GUARD_DID_DENY, TO(4, IMDS, .dport = 81, .more = true, .short_by = 12) },
	{ "a later fragment", GUARD_DID_FRAGMENT, TO(4, IMDS, .proto = 17, .frag_offset = 100, .payload = 40) },
	{ "a later fragment over IPv6", GUARD_DID_FRAGMENT, TO(6, IMDS6, .proto = 17, .ext = { { EXT_FRAGMENT, .frag = 800 } }, .payload = 40) },
	{ "a fragment over the flags", GUARD_DID_DENY, TO(4, IMDS, .dport = 81, .frag_offset = 1) },
	{ "an IPv4 header that says it has four words", GUARD_DID_DENY, TO(4, IMDS, .dport = 81, .pokes = { { L3, 0, 1, 0x44 } }) },
	{ "an IPv4 header of version 5", GUARD_DID_DENY, TO(4, IMDS, .dport = 81, .pokes = { { L3, 0, 1, 0x55 } }) },
	{ "an IPv6 header of version 4", GUARD_DID_DENY, TO(6, IMDS6, .dport = 81, .pokes = { { L3, 0, 1, 0x40 } }) },
	{ "a length behind the frame's end", GUARD_DID_DENY, TO(4, IMDS, .dport = 81, .pokes = { { L3, 2, 2, 1500 } }) },
	{ "a TCP header that says it has four words", GUARD_DID_DENY, TO(4, IMDS, .dport = 81, .pokes = { { L4, 12, 1, 0x40 } }) },
	{ "a malformed one to the address beside it", NOT, TO(4, NEXT, .dport = 80, .pokes = { { L3, 0, 1, 0x44 } }) },

	{ "an acknowledgement of the kernel", GUARD_DID_CONTROL, TO(4, IMDS, .dport = 80, .flags = 0x10) },
	{ "a reset of the kernel", GUARD_DID_CONTROL, TO(6, IMDS6, .dport = 80, .flags = 0x14) },
	{ "a syn with an ack", GUARD_DID_CONTROL, TO(4, IMDS, .dport = 80, .flags = 0x12) },
	{ "an acknowledgement with a byte", RESET, TO(4, IMDS, .dport = 80, .flags = 0x10, .payload = 1) },
	{ "an acknowledgement behind options", GUARD_DID_CONTROL, TO(4, IMDS, .dport = 80, .flags = 0x10, .tcp_options = 3) },
	{ "a padded acknowledgement", GUARD_DID_CONTROL, TO(4, IMDS, .dport = 80, .flags = 0x10, .pad = 6) },
	{ "an echo reply", GUARD_DID_CONTROL, TO(4, IMDS, .proto = 1, .type = 0) },
	{ "an echo reply over IPv6", GUARD_DID_CONTROL, TO(6, IMDS6, .proto = 58, .type = 129) },
	{ "an unreachable", GUARD_DID_CONTROL, TO(4, IMDS, .proto = 1, .type = 3, .payload = 28) },
	{ "a packet too big", GUARD_DID_CONTROL, TO(6, IMDS6, .proto = 58, .type = 2, .payload = 48) },
	{ "a neighbour solicitation", GUARD_DID_CONTROL, TO(6, IMDS6, .proto = 58, .type = 135, .payload = 16) },
	{ "a timestamp request", GUARD_DID_DENY, TO(4, IMDS, .proto = 1, .type = 13, .payload = 12) },
	{ "a listener query", GUARD_DID_DENY, TO(6, IMDS6, .proto = 58, .type = 130, .payload = 16) },

	{ "without a link header", RAW | RESET, TO(4, IMDS, .dport = 80, .saddr = AS_IP) },
	{ "without a link header over IPv6", RAW | RESET, TO(6, IMDS6, .dport = 80, .saddr = AS_IP6) },
	{ "without a link header, to another port", RAW | NOT, TO(4, IMDS, .dport = 81) },
	{ "without a link header, to the address beside it", RAW | NOT, TO(6, NEXT6, .dport = 80) },
	/* clang-format on */
};

static struct guard_world world;

static void endpoints(void)
{
	guard_world_clear(&world);
	guard_world_endpoint(&world, 1, "192.0.2.9", 32, 0);
	guard_world_endpoint(&world, 0, "169.254.169.254", 32, 80);
	guard_world_endpoint(&world, 0, "fd00:ec2::254", 128, 80);
	guard_world_endpoint(&world, 0, "10.9.0.0", 16, 0);
}

static uint8_t answer[FRAME_MOST];

static int run(const struct frame_spec *spec, bool raw_ip)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_out = answer, .data_size_out = sizeof(answer));
	const struct bpf_program *program =
		raw_ip ? world.bpf->progs.weir_guard_egress_ip : world.bpf->progs.weir_guard_egress;
	struct frame frame;

	frame_make(&frame, spec);
	opts.data_in = frame.bytes + (raw_ip ? frame.l3 : 0);
	opts.data_size_in = frame.length - (raw_ip ? frame.l3 : 0);
	world.bpf->bss->answers_paid = 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return -1000;
	return opts.retval;
}

/* The flags of a TCP header behind an IP header without options. */
static unsigned int answer_flags(const struct row *row)
{
	size_t tags = row->frame.tag[1].type ? 4 : 0; /* the outer one is beside the frame */

	return answer[(row->what & RAW ? 0 : 14) + tags + (row->frame.family == 6 ? 40 : 20) + 13];
}

static int judge_outcome(const struct row *row, unsigned int what)
{
	int action = run(&row->frame, what & RAW);
	uint32_t seen = guard_world_outcomes(&world, GUARD_PACKET);
	unsigned int outcome = what & 0xff;

	check(seen == (outcome == NOT ? 0 : 1u << outcome), "%s: is %s, and should be %s", row->belief,
	      guard_world_outcome_name(seen ? __builtin_ctz(seen) : NOT), guard_world_outcome_name(outcome));
	return action;
}

static void judge(const struct row *row, unsigned int what)
{
	int action = judge_outcome(row, what);
	unsigned int outcome = what & 0xff;

	if (outcome == NOT || !(GUARD_DENIALS >> outcome & 1))
		check(action == TC_ACT_UNSPEC, "%s: passes (%d)", row->belief, action);
	else if ((what & 0x1ff) == RESET)
		check(action == TC_ACT_REDIRECT && answer_flags(row) & 0x04, "%s: is answered with a reset (%d)",
		      row->belief, action);
	else
		check(action == TC_ACT_SHOT, "%s: is dropped (%d)", row->belief, action);
}

static void test_strangers(void)
{
	endpoints();
	guard_world_turn(&world);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		judge(&rows[i], rows[i].what);
}

/* What was denied is allowed; all else stays what it was. */
static void test_allowed(void)
{
	endpoints();
	guard_world_allow(&world, 0, GUARD_USER, 0, 1);
	guard_world_guard(&world, 0)->plain = 1;
	guard_world_turn(&world);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		judge(&rows[i],
		      (rows[i].what & 0xff) == GUARD_DID_DENY ? (rows[i].what & RAW) | GUARD_DID_ALLOW : rows[i].what);
}

/* The owner's rules ask something of a request, so what cannot be one is refused. */
static void test_no_requests(void)
{
	const struct row asked[] = {
		/* clang-format off */
		{ "a syn before a request", GUARD_DID_ALLOW, TO(4, IMDS, .dport = 80) },
		{ "a syn with bytes that are no request", GUARD_DID_BAD_REQUEST, TO(4, IMDS, .dport = 80, .payload = 9) },
		{ "bytes that are no request", GUARD_DID_BAD_REQUEST, TO(6, IMDS6, .dport = 80, .flags = 0x18, .payload = 9) },
		{ "a request in a fragment", GUARD_DID_BAD_REQUEST, TO(4, IMDS, .dport = 80, .flags = 0x18, .more = true, .payload = 9) },
		{ "a datagram instead of a request", GUARD_DID_BAD_REQUEST, TO(4, IMDS, .proto = 17, .dport = 80) },
		{ "an echo instead of a request", GUARD_DID_BAD_REQUEST, TO(4, IMDS, .proto = 1, .type = 8) },
		{ "a header that lies, instead of a request", GUARD_DID_BAD_REQUEST, TO(4, IMDS, .dport = 80, .pokes = { { L3, 0, 1, 0x44 } }) },
		/* clang-format on */
	};

	endpoints();
	guard_world_allow(&world, 0, GUARD_USER, 0, 1u << 5);
	world.next.rule[5].flags = GUARD_RULE_TOKEN;
	guard_world_turn(&world);
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		judge_outcome(&asked[i], asked[i].what);
}

/* Rules by number; the owner has the ones of each row. */
enum { WITH_TOKEN, BELOW_LATEST, JUST_ONE, BELOW_TOKENS };

static void rule(unsigned int number, unsigned int flags, const char *path)
{
	struct guard_rule *at = &world.next.rule[world.next.guard[0].first_rule + number];

	at->flags = flags;
	at->n_path = strlen(path);
	memcpy(at->path, path, at->n_path);
}

static const struct request {
	const char *belief;
	unsigned int rules; /* bits */
	unsigned int outcome;
	const char *path;
	bool token;
} requests[] = {
	{ "a token, as asked", 1u << WITH_TOKEN, GUARD_DID_REQUEST, "/any", true },
	{ "no token", 1u << WITH_TOKEN, GUARD_DID_NO_TOKEN, "/any", false },
	{ "below the path", 1u << BELOW_LATEST, GUARD_DID_REQUEST, "/latest/x", false },
	{ "the path itself", 1u << BELOW_LATEST, GUARD_DID_REQUEST, "/latest/", false },
	{ "beside the path", 1u << BELOW_LATEST, GUARD_DID_PATH, "/latesty/x", false },
	{ "above the path", 1u << BELOW_LATEST, GUARD_DID_PATH, "/latest", false },
	{ "out of the path again", 1u << BELOW_LATEST, GUARD_DID_PATH, "/latest/../x", false },
	{ "one path", 1u << JUST_ONE, GUARD_DID_REQUEST, "/one", false },
	{ "one path with a query", 1u << JUST_ONE, GUARD_DID_REQUEST, "/one?x=1", false },
	{ "below that path", 1u << JUST_ONE, GUARD_DID_PATH, "/one/x", false },
	{ "a part of that path", 1u << JUST_ONE, GUARD_DID_PATH, "/on", false },
	{ "more than that path", 1u << JUST_ONE, GUARD_DID_PATH, "/once", false },
	{ "the path without its token", 1u << BELOW_TOKENS, GUARD_DID_NO_TOKEN, "/t/x", false },
	{ "the path with its token", 1u << BELOW_TOKENS, GUARD_DID_REQUEST, "/t/x", true },
	{ "the token at another path", 1u << BELOW_TOKENS, GUARD_DID_PATH, "/x", true },
	{ "the second of two rules", 1u << JUST_ONE | 1u << BELOW_LATEST, GUARD_DID_REQUEST, "/one", false },
	{ "none of two rules", 1u << WITH_TOKEN | 1u << JUST_ONE, GUARD_DID_NO_TOKEN, "/two", false },
	{ "nobody's rule", 0, GUARD_DID_DENY, "/one", true },
};

static struct row request_row(const struct request *r, char *text, size_t size)
{
	static const uint8_t daddr[] = { 169, 254, 169, 254 };
	struct row row = { r->belief, r->outcome, TO(4, daddr, .dport = 80, .flags = 0x18) };

	row.frame.n_data = snprintf(text, size, "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\n%s\r\n", r->path,
				    r->token ? "X-aws-ec2-metadata-token: AQAEAL==\r\n" : "");
	row.frame.data = (const uint8_t *)text;
	return row;
}

static void test_requests(void)
{
	char text[1024];

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct row row = request_row(&requests[i], text, sizeof(text));

		endpoints();
		for (unsigned int e = 0; e < world.next.n_endpoints; e++)
			world.next.endpoint[e].tokens = GUARD_TOKEN_AWS;
		rule(WITH_TOKEN, GUARD_RULE_TOKEN, "");
		rule(BELOW_LATEST, 0, "/latest/");
		rule(JUST_ONE, 0, "/one");
		rule(BELOW_TOKENS, GUARD_RULE_TOKEN, "/t/");
		guard_world_allow(&world, 0, GUARD_USER, 0, requests[i].rules);
		guard_world_turn(&world);
		judge_outcome(&row, row.what);
	}
}

/* What the tables do not say is denied. */
static void test_table(void)
{
	static const uint8_t daddr[] = { 169, 254, 169, 254 };
	const struct frame_spec spec = TO(4, daddr, .proto = 17, .dport = 80);

	endpoints();
	guard_world_guard(&world, 0)->forwarded = GUARD_FROM_ALL;
	guard_world_allow(&world, 0, GUARD_USER, 0, 1);
	guard_world_guard(&world, 0)->plain = 1;
	world.next.n_guards = 0;
	guard_world_turn(&world);
	check(run(&spec, false) == TC_ACT_SHOT, "an endpoint of a guard that is not there");
	check(guard_world_outcomes(&world, GUARD_PACKET) == 1u << GUARD_DID_TABLE, "is counted as that");
}

static int keep_event(void *context, void *data, size_t size)
{
	memcpy(context, data, size < sizeof(struct guard_event) ? size : sizeof(struct guard_event));
	return 0;
}

/* The last of the requests that has no token is told with what it asked for. */
static void test_event(void)
{
	struct guard_event e = { 0 };
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(world.bpf->maps.events), keep_event, &e, NULL);
	const struct request asked = { "a request that is told", 1u << WITH_TOKEN, GUARD_DID_NO_TOKEN, "/any?key=1",
				       false };
	char text[1024];
	struct row row = request_row(&asked, text, sizeof(text));

	endpoints();
	rule(WITH_TOKEN, GUARD_RULE_TOKEN, "");
	guard_world_allow(&world, 0, GUARD_USER, 0, asked.rules);
	guard_world_turn(&world);
	usleep(1000000 / GUARD_EVENTS_PER_SECOND * 2);
	judge_outcome(&row, row.what);
	ring_buffer__consume(ring);
	check(e.kind == EVENT_GUARD && e.layer == GUARD_PACKET && e.outcome == GUARD_DID_NO_TOKEN, "%s", asked.belief);
	check(e.has == (GUARD_HAS_OWNER | GUARD_HAS_HTTP) && e.owner == 0 && e.netns, "by its owner");
	check(!strcmp(e.method, "GET") && !strcmp(e.path, "/any"), "with its method and path, '%s' '%s'", e.method,
	      e.path);
	check(e.saddr[0] == 0xc0000201 && e.daddr[0] == 0xa9fea9fe && e.sport == 40000 && e.dport == 80 &&
		      e.proto == IPPROTO_TCP && e.family == 4,
	      "from where it came to where it goes");
	check(e.rule == RULE_NONE && e.generation == world.control->generation, "and no rule");
	ring_buffer__free(ring);
}

int main(void)
{
	int r = guard_world_open(&world);

	if (!check(r == 0, "the programs load: %s", strerror(-r)))
		return 1;
	test_strangers();
	test_allowed();
	test_no_requests();
	test_requests();
	test_table();
	test_event();
	guard_world_close(&world);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
