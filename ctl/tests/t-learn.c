// SPDX-License-Identifier: GPL-2.0
/*
 * Talks that are made by hand here, and the rules that `learn` proposes for them: against ctl/tests/learn.ok (UPDATE=1 writes
 * it anew: read the diff). Each proposal must parse, have no rule that another one covers, and name every talk that it is of;
 * so must those for random talks. Then what a baseline does not name.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../cmd/baseline_rules.h"
#include "../cmd/learn_rules.h"
#include "../kernel/kernel.h"
#include "check.h"
#include "random.h"

#define GOLDEN "ctl/tests/learn.ok"
#define START  1767225600 /* 2026-01-01 */

#define V4(a, b, c, d) .family = 4, .addr = { (uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d) }
#define V6(host)       .family = 6, .addr = { 0x20010db8, 0, 0, host }
#define SEEN           .n = 1, .first = START, .last = START
#define OUT_OF(uid, p)                                                                                                 \
	.direction = LEARN_OUT, .euid = uid, .owner = uid, .exe = p, .cgroup = "/system.slice/a.service", SEEN
#define IN_TO(uid, p)                                                                                                  \
	.direction = LEARN_IN, .euid = uid, .owner = uid, .exe = p, .cgroup = "/system.slice/n.service", SEEN
#define TCP(n) .proto = IPPROTO_TCP, .port = n
#define UDP(n) .proto = IPPROTO_UDP, .port = n

#define LONG10 "/long-name"
#define LONG   LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10

#define TALKS 20

/* clang-format off */
static const struct {
	const char *name;
	unsigned int widen;
	struct talk talk[TALKS]; /* up to one without n */
	uint64_t losses[LEARN_LOSS_MAX];
} cases[] = {
	{ "nothing was seen", 8, .talk = { { 0 } } },
	{ "ports with the same addresses are one rule", 8, .talk = {
		{ OUT_OF(0, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/curl"), TCP(80), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/curl"), TCP(25), V4(192, 0, 2, 2) } } },
	{ "so are programs of one user with the same ports and addresses", 8, .talk = {
		{ OUT_OF(33, "/usr/bin/wget"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(33, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) } } },
	{ "users are not", 8, .talk = {
		{ OUT_OF(33, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) } } },
	{ "what is within another rule stands before it", 3, .talk = {
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 2) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 3) },
		{ OUT_OF(0, "/usr/bin/b"), TCP(443), V4(192, 0, 2, 2) } } },
	{ "a user without a name, one with a name that rules cannot spell, one that looks like a number", 8, .talk = {
		{ OUT_OF(1000, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(1001, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(1002, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) } } },
	{ "two addresses are two, three within a /24 are the /24", 3, .talk = {
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 200) },
		{ OUT_OF(0, "/usr/bin/b"), TCP(443), V4(198, 51, 100, 1) },
		{ OUT_OF(0, "/usr/bin/b"), TCP(443), V4(198, 51, 100, 3) },
		{ OUT_OF(0, "/usr/bin/b"), TCP(443), V4(198, 51, 100, 200) },
		{ OUT_OF(0, "/usr/bin/b"), TCP(443), V4(198, 51, 101, 3) } } },
	{ "three /16 are everybody of IPv4, three /64 a /48", 3, .talk = {
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), V4(10, 1, 0, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), V4(10, 1, 1, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), V4(10, 1, 2, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), V4(10, 2, 0, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), V4(172, 16, 0, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), .family = 6, .addr = { 0x20010db8, 1, 0, 1 } },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), .family = 6, .addr = { 0x20010db8, 2, 0, 1 } },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(443), .family = 6, .addr = { 0x20010db8, 3, 0, 1 } } } },
	{ "everybody of both needs no address", 2, .talk = {
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(80), V4(10, 1, 0, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(80), V4(172, 16, 0, 1) },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(80), .family = 6, .addr = { 0x20010db8, 1, 0, 1 } },
		{ IN_TO(33, "/usr/sbin/nginx"), TCP(80), .family = 6, .addr = { 0x2a000000, 2, 0, 1 } } } },
	{ "never widened", 0, .talk = {
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 2) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(443), V4(192, 0, 2, 3) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(40000), V4(192, 0, 2, 3) },
		{ OUT_OF(0, "/usr/bin/a"), TCP(40001), V4(192, 0, 2, 3) } } },
	{ "many high ports of one address are all of them", 3, .talk = {
		{ OUT_OF(0, "/usr/bin/ftp"), TCP(21), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/ftp"), TCP(40000), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/ftp"), TCP(50000), V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/ftp"), TCP(60000), V4(192, 0, 2, 1) } } },
	{ "protocols", 8, .talk = {
		{ OUT_OF(0, ""), .proto = IPPROTO_ICMP, V4(192, 0, 2, 1) },
		{ OUT_OF(0, ""), .proto = IPPROTO_ICMPV6, V6(1) },
		{ OUT_OF(0, "/usr/bin/dig"), UDP(53), V6(0x53) },
		{ OUT_OF(0, "/usr/bin/dig"), UDP(53), V4(192, 0, 2, 53) },
		{ OUT_OF(0, "/usr/bin/sip"), .proto = IPPROTO_SCTP, .port = 5060, V4(192, 0, 2, 1) },
		{ OUT_OF(0, "/usr/bin/lite"), .proto = IPPROTO_UDPLITE, .port = 5000, V4(192, 0, 2, 1) } } },
	{ "the socket's owner is not who called", 8, .talk = {
		{ .direction = LEARN_OUT, .euid = 33, .owner = 0, .exe = "/usr/sbin/dnsmasq", .cgroup = "/", SEEN, UDP(53), V4(192, 0, 2, 53) } } },
	{ "names that somebody chose with care", 8, .talk = {
		{ OUT_OF(0, "/tmp/a\" accept\n\tmeta skuid root accept # "), TCP(443), V4(192, 0, 2, 1) },
		{ .direction = LEARN_OUT, .owner = 33, .euid = 33, .exe = "/tmp/50%, \xc3\xa4*", .cgroup = "/x\n}\nfilter y {", SEEN, TCP(443), V4(192, 0, 2, 1) } } },
	{ "a path that is too long for a comment, and many programs", 8, .talk = {
		{ OUT_OF(0, "/%%" LONG "/end"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(33, LONG10 LONG10 LONG10 LONG10 LONG10 "/1"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(33, LONG10 LONG10 LONG10 LONG10 LONG10 "/2"), TCP(443), V4(192, 0, 2, 1) },
		{ OUT_OF(33, LONG10 LONG10 LONG10 LONG10 LONG10 "/3"), TCP(443), V4(192, 0, 2, 1) } } },
	{ "counts and times", 8, .talk = {
		{ .direction = LEARN_OUT, .exe = "/usr/bin/a", .cgroup = "/1", .n = 3, .first = START, .last = START + 60, TCP(80), V4(192, 0, 2, 1) },
		{ .direction = LEARN_OUT, .exe = "/usr/bin/a", .cgroup = "/2", .n = 4, .first = START - 60, .last = START, TCP(80), V4(192, 0, 2, 1) },
		{ .direction = LEARN_OUT, .exe = "/usr/bin/a", .cgroup = "/3", .n = 1, .first = START, .last = START, TCP(80), V4(192, 0, 2, 1) },
		{ .direction = LEARN_OUT, .exe = "/usr/bin/a", .cgroup = "/4", .n = 1, .first = START, .last = START, TCP(80), V4(192, 0, 2, 1) } } },
	{ "what found no room is said", 8, .talk = { { OUT_OF(0, "/usr/bin/a"), TCP(80), V4(192, 0, 2, 1) } },
	  .losses = { [LEARN_LOST_IDENTITIES] = 1, [LEARN_LOST_OUT] = 2, [LEARN_LOST_IN] = 3, [LEARN_LOST_NEWS] = 4, [LEARN_FOREIGN] = 5 } },
};
/* clang-format on */

static struct random rng = { 1 };

/* ---- the world ---- */

static const char *user_name_of(void *context, uint32_t uid)
{
	(void)context;
	switch (uid) {
	case 0:
		return "root";
	case 33:
		return "www-data";
	case 1001:
		return "corp\\jane doe\" accept";
	case 1002:
		return "7up";
	default:
		return NULL;
	}
}

static int lookup_user(void *context, const char *name, uint32_t *ret_uid)
{
	(void)context;
	*ret_uid = !strcmp(name, "www-data") ? 33 : 0;
	return !strcmp(name, "www-data") || !strcmp(name, "root") ? 0 : -ENOENT;
}

static int read_text(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	(void)path;
	*ret_text = strdup(context);
	*ret_length = strlen(context);
	return *ret_text ? 0 : -ENOMEM;
}

static int compile(const struct policy *policy, struct diag *diag)
{
	struct compile_input input = { .policy = policy,
				       .devices = device_env_plain(policy),
				       .set_slot = set_slots_plain(policy) };
	struct counter_plan *counters = NULL;
	struct image *image = NULL;
	int r = counter_plan_plain(&counters, policy);

	input.counters = counters;
	if (!r)
		r = compile_policy(&image, &input, diag);
	if (image)
		image_free(image);
	if (counters)
		counter_plan_free(counters);
	free((void *)input.devices);
	free((void *)input.set_slot);
	return r;
}

/* The policy, or NULL. Neither errors nor warnings: no rule of a proposal covers another one. */
static struct policy *accepted(const char *name, const char *text)
{
	struct lang_env env = { .context = (void *)text, .read_file = read_text, .lookup_user = lookup_user };
	struct policy *policy = NULL;
	struct diag diag;
	char *words;
	int r;

	diag_init(&diag);
	r = policy_parse_file(&policy, "learned.rules", &env, &diag);
	if (!r)
		r = compile(policy, &diag);
	words = diag_text(&diag, NULL);
	check(!r && !diag.n, "%s: %s\n%s", name, words ? words : "", text);
	free(words);
	diag_clear(&diag);
	return policy;
}

static char *propose(const struct talk *talk, size_t n, unsigned int widen, const uint64_t *losses)
{
	static const char *const devices[] = { "eth0", "wg0.1" };
	struct learn_proposal proposal = { .devices = devices,
					   .n_devices = 2,
					   .widen = widen,
					   .started = START,
					   .ended = START + 3600,
					   .user_name = user_name_of };
	struct talks talks = { 0 };
	char *text;

	for (size_t i = 0; i < n; i++)
		if (talks_add(&talks, &talk[i]))
			return NULL;
	if (losses)
		memcpy(talks.losses, losses, sizeof(talks.losses));
	text = learn_rules(&talks, &proposal);
	talks_clear(&talks);
	return text;
}

/* The proposal names all that it was made of. */
static void names_all(const char *name, const struct policy *policy, const struct talk *talk, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(baseline_names(policy, &talk[i]), "%s: talk %zu is not named", name, i);
}

/* ---- goldens ---- */

static void goldens(void)
{
	char *got = NULL, *want = NULL;
	size_t n_got, n_want = 0;
	FILE *file = open_memstream(&got, &n_got), *golden = fopen(GOLDEN, getenv("UPDATE") ? "w" : "r");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy *policy;
		size_t n = 0;
		char *text;

		while (n < TALKS && cases[i].talk[n].n)
			n++;
		text = propose(cases[i].talk, n, cases[i].widen, cases[i].losses);
		if (!check(text, "%s: no text", cases[i].name))
			continue;
		fprintf(file, "#### %s\n%s\n", cases[i].name, text);
		policy = accepted(cases[i].name, text);
		if (policy) {
			names_all(cases[i].name, policy, cases[i].talk, n);
			policy_free(policy);
		}
		free(text);
	}
	fclose(file);
	if (golden && getenv("UPDATE"))
		fwrite(got, 1, n_got, golden);
	else if (golden)
		want = calloc(1, 1 << 20);
	if (want)
		n_want = fread(want, 1, (1 << 20) - 1, golden);
	if (golden)
		fclose(golden);
	check(getenv("UPDATE") || (want && n_want == n_got && !memcmp(want, got, n_got)), GOLDEN " differs:\n%s", got);
	free(want);
	free(got);
}

/* ---- what a baseline does not name ---- */

static const char edited[] = "define web = { 80, 443 }\n"
			     "set dns { type addr; 192.0.2.53, 2001:db8::53 }\n"
			     "filter in {\n\thook ingress; device eth0; default accept\n"
			     "\ttcp dport 22 saddr 192.0.2.66 drop\n"
			     "\ttcp dport 22 saddr 192.0.2.0/24 accept comment \"by /usr/sbin/sshd\"\n"
			     "\tsaddr . udp dport { 192.0.2.1 . 53 } accept\n"
			     "}\nfilter out {\n\thook egress; device eth0; default drop\n"
			     "\tct state established,related accept\n"
			     "\tmeta skuid root tcp dport $web accept comment \"by /usr/bin/curl, /usr/bin/w%20get\"\n"
			     "\tmeta skuid 33 udp dport 53 daddr @dns accept\n"
			     "\tmeta skuid != { root, 33 } ip6 daddr 2001:db8::/64 tcp dport != 25 accept\n"
			     "\tmeta skuid 34 meta l4proto icmp accept comment \"by *-cut/name\"\n"
			     "\tudp dport 67 udp sport 68 accept\n"
			     "}\n";

/* clang-format off */
static const struct {
	const char *what;
	bool named;
	struct talk talk;
} departures[] = {
	{ "as it says", true, { OUT_OF(0, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) } },
	{ "another port", false, { OUT_OF(0, "/usr/bin/curl"), TCP(8443), V4(192, 0, 2, 1) } },
	{ "another protocol", false, { OUT_OF(0, "/usr/bin/curl"), UDP(443), V4(192, 0, 2, 1) } },
	{ "another user", false, { OUT_OF(33, "/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) } },
	{ "another program", false, { OUT_OF(0, "/usr/bin/nc"), TCP(443), V4(192, 0, 2, 1) } },
	{ "a program whose name ends so", false, { OUT_OF(0, "/tmp/usr/bin/curl"), TCP(443), V4(192, 0, 2, 1) } },
	{ "a program that nobody knows", false, { OUT_OF(0, ""), TCP(443), V4(192, 0, 2, 1) } },
	{ "a name that is written with a sign", true, { OUT_OF(0, "/usr/bin/w get"), TCP(443), V4(192, 0, 2, 1) } },
	{ "of a set", true, { OUT_OF(33, "/usr/bin/any"), UDP(53), V6(0x53) } },
	{ "not of the set", false, { OUT_OF(33, "/usr/bin/any"), UDP(53), V6(0x54) } },
	{ "negated", true, { OUT_OF(1000, "/usr/bin/any"), TCP(80), V6(1) } },
	{ "negated, and it is that", false, { OUT_OF(1000, "/usr/bin/any"), TCP(25), V6(1) } },
	{ "the end of a path", true, { OUT_OF(34, "/very/long-cut/name"), .proto = IPPROTO_ICMP, V4(192, 0, 2, 1) } },
	{ "another end", false, { OUT_OF(34, "/very/long-cut/other"), .proto = IPPROTO_ICMP, V4(192, 0, 2, 1) } },
	{ "a source port is not known", false, { OUT_OF(0, "/usr/bin/any"), UDP(67), V4(192, 0, 2, 1) } },
	{ "served", true, { IN_TO(0, "/usr/sbin/sshd"), TCP(22), V4(192, 0, 2, 1) } },
	{ "served by another program", false, { IN_TO(0, "/tmp/sshd"), TCP(22), V4(192, 0, 2, 1) } },
	{ "a rule before it drops", false, { IN_TO(0, "/usr/sbin/sshd"), TCP(22), V4(192, 0, 2, 66) } },
	{ "from elsewhere", false, { IN_TO(0, "/usr/sbin/sshd"), TCP(22), V4(198, 51, 100, 1) } },
	{ "the default names nobody", false, { IN_TO(0, "/usr/sbin/sshd"), TCP(23), V4(192, 0, 2, 1) } },
	{ "fields together", true, { IN_TO(0, "/usr/bin/any"), UDP(53), V4(192, 0, 2, 1) } },
	{ "fields together, one of them other", false, { IN_TO(0, "/usr/bin/any"), UDP(53), V4(192, 0, 2, 2) } },
};
/* clang-format on */

static void departed(void)
{
	struct policy *policy = accepted("the edited file", edited);

	for (size_t i = 0; policy && i < sizeof(departures) / sizeof(departures[0]); i++)
		check(baseline_names(policy, &departures[i].talk) == departures[i].named, "%s: wanted %s",
		      departures[i].what, departures[i].named ? "named" : "not named");
	if (policy)
		policy_free(policy);
}

/* ---- random talks ---- */

static void random_talks(unsigned int round)
{
	static const char *const programs[] = { "", "/usr/bin/curl", "/a b", "/usr/sbin/\"x\"", LONG };
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };
	static const uint32_t users[] = { 0, 33, 1000 };
	struct talk talk[300];
	size_t n = 1 + random_below(&rng, 300);
	unsigned int widen = round % 10 == 9 ? 0 : 2 + random_below(&rng, 8);
	struct policy *policy;
	char name[40], *text;

	for (size_t i = 0; i < n; i++) {
		bool in = random_below(&rng, 3) == 0;
		uint8_t proto = protocols[random_below(&rng, in ? 2 : 3)];
		uint32_t uid = users[random_below(&rng, 3)];

		talk[i] = (struct talk){ .direction = in ? LEARN_IN : LEARN_OUT,
					 .proto = proto,
					 .family = random_below(&rng, 3) ? 4 : 6,
					 .port = proto == IPPROTO_ICMP
							 ? 0
							 : 1 + random_below(&rng, random_below(&rng, 4) ? 5 : 65535),
					 .euid = uid,
					 .owner = uid,
					 .exe = programs[random_below(&rng, 5)],
					 .cgroup = "/",
					 .n = 1 };
		talk[i].addr[0] = talk[i].family == 4 ? random_below(&rng, 4) << 24 | random_below(&rng, 3) << 16 |
								random_below(&rng, 3) << 8 | random_below(&rng, 10)
						      : 0x20010db8 + random_below(&rng, 2);
		for (int w = 1; talk[i].family == 6 && w < 4; w++)
			talk[i].addr[w] = random_below(&rng, 3);
	}
	snprintf(name, sizeof(name), "random talks %u", round);
	text = propose(talk, n, widen, NULL);
	policy = text ? accepted(name, text) : NULL;
	if (policy) {
		names_all(name, policy, talk, n);
		policy_free(policy);
	}
	free(text);
}

int main(void)
{
	goldens();
	departed();
	for (unsigned int i = 0; i < 100; i++)
		random_talks(i);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
