// SPDX-License-Identifier: GPL-2.0
/*
 * `fragments track`: random datagrams in parts, in and out of order, lost, repeated, overlapping, interleaved, before the
 * programs on every hook and before the reference model; and a table of datagrams that is full.
 *
 *	t-datagrams [FRAGMENTS [SEED]]
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "frame.h"
#include "loaded.h"
#include "random.h"
#include "reason_words.h"

#define DIFFERENCES_SHOWN 5
#define FLIGHT            10 /* datagrams on their way at a time */
#define PARTS_MOST        12
#define START_NS          1000000000000ull
#define SECOND_NS         1000000000ull

#define ON_HOOK(name, device, hook, rules)                                                                             \
	"filter " name "\n\thook " hook "\n\tdevice " device "\n\tfragments track\n" rules "}\n"
#define ON_HOOKS(device, rules)                                                                                        \
	ON_HOOK(device "_xdp {", device, "ingress", rules)                                                             \
	ON_HOOK(device "_tc {", device, "ingress tc", rules)                                                           \
	ON_HOOK(device "_out {", device, "egress", rules)

/* clang-format off */
static const char *const policies[] = {
	ON_HOOKS("dev0", "\tdefault drop\n"
		 "\tudp dport 53 accept\n\tudp dport 54 redirect to dev1\n\tudp dport 55 reject\n\ttcp dport 80 accept\n"
		 "\tmeta l4proto { icmp, icmpv6, gre } counter accept\n")
	ON_HOOKS("dev1", "\tdefault drop\n\tudp dport { 53, 55 } accept\n"),
	ON_HOOKS("dev0", "\tdefault accept\n\tmalformed accept\n\tudp dport 54 drop\n\ttcp dport 80 reject\n")
	ON_HOOKS("dev1", "\tdefault accept\n\tfragment exists udp dport 53 drop\n"),
	ON_HOOKS("dev0", "\tdefault drop\n\tct state established accept\n\tudp dport 53 accept\n"
		 "\tct state new udp dport 54 accept\n\ttcp dport 80 limit rate 100/second burst 5 packets accept\n")
	ON_HOOKS("dev1", "\tdefault accept\n\tct state invalid drop\n"),
};
/* clang-format on */

/* ---- datagrams ---- */

struct part {
	unsigned int from, bytes; /* from: units of 8 bytes */
	bool more;
};

/* A datagram on its way. */
struct parcel {
	int family, proto;
	const uint8_t *saddr, *daddr;
	uint16_t dport;
	uint32_t id;
	bool hop, dest;       /* IPv6: a header before the fragment header, one behind that of the first part */
	unsigned int options; /* IPv4 */
	int device;
	bool in_trouble;      /* parts are lost, repeated, wrong */
	unsigned int n, next; /* parts */
	struct part part[PARTS_MOST];
};

static const uint8_t hosts4[][4] = { { 192, 0, 2, 1 }, { 192, 0, 2, 2 }, { 198, 51, 100, 3 } };
static const uint8_t hosts6[][16] = { { 0x20, 1, 0xd, 0xb8, [15] = 1 },
				      { 0x20, 1, 0xd, 0xb8, [15] = 2 },
				      { 0x20, 1, 0xd, 0xb9, [15] = 3 } };

static void cut(struct parcel *d, struct random *r)
{
	unsigned int at = 0;

	d->n = 1 + random_below(r, random_chance(r, 40) ? PARTS_MOST : 5);
	d->next = 0;
	for (unsigned int i = 0; i < d->n; i++) {
		struct part *p = &d->part[i];
		unsigned int units = i == 0 ? 3 + random_below(r, 10) : 1 + random_below(r, 40);

		*p = (struct part){ .from = at, .bytes = units * 8, .more = i + 1 < d->n };
		if (!p->more)
			p->bytes -= random_below(r, 8);
		at += units;
	}
	d->part[0].more |= random_chance(r, 90); /* else a whole packet */
	/* Near the end of what a datagram can be. */
	if (d->n > 2 && random_chance(r, 3))
		d->part[d->n - 1].from = 8192 - random_below(r, 60);
}

static void shuffle(struct parcel *d, struct random *r)
{
	unsigned int first = random_chance(r, 85); /* mostly the first one stays where it is */

	for (unsigned int i = d->n - 1; i > first; i--) {
		unsigned int with = first + random_below(r, i + 1 - first);
		struct part p = d->part[i];

		d->part[i] = d->part[with];
		d->part[with] = p;
	}
}

static void begin(struct parcel *d, struct random *r)
{
	static const uint16_t ports[] = { 53, 53, 53, 54, 55, 80 };
	static const int protos[] = { 17, 17, 17, 6, 1, 47 };
	unsigned int from = random_below(r, 3), to = random_below(r, 3);
	uint32_t before = d->id;

	*d = (struct parcel){ .family = random_chance(r, 50) ? 4 : 6,
			      .proto = random_pick(r, protos),
			      .dport = random_pick(r, ports),
			      .id = random_below(r, 65535) + 1,
			      .hop = random_chance(r, 20),
			      .dest = random_chance(r, 10),
			      .options = random_chance(r, 10) ? 2 : 0,
			      .device = random_below(r, 2),
			      .in_trouble = random_chance(r, 50) };
	if (d->family == 6 && random_chance(r, 50))
		d->id |= 0xabcd0000;
	if (d->proto == 1 && d->family == 6)
		d->proto = 58;
	if (d->proto == 6)
		d->dport = 80;
	if (before && random_chance(r, 10)) /* one that was there */
		d->id = before;
	d->saddr = d->family == 4 ? hosts4[from] : hosts6[from];
	d->daddr = d->family == 4 ? hosts4[to] : hosts6[to];
	cut(d, r);
	if (random_chance(r, 40))
		shuffle(d, r);
}

/* Something is wrong with a part. */
static void spoil(struct part *p, struct random *r)
{
	switch (random_below(r, 6)) {
	case 0:
		p->more = !p->more;
		break;
	case 1:
		p->bytes += random_between(r, 1, 24);
		break;
	case 2:
		p->bytes -= random_below(r, p->bytes < 12 ? p->bytes : 12);
		break;
	case 3:
		p->from += 1 + random_below(r, 3);
		break;
	case 4:
		p->from -= p->from > 3 ? 1 + random_below(r, 3) : 0;
		break;
	case 5:
		p->bytes = 0;
		break;
	}
}

static unsigned int transport_bytes(const struct parcel *d)
{
	return d->proto == 6 ? 20 : d->proto == 47 ? 0 : 8;
}

static void make(struct frame *frame, const struct parcel *d, const struct part *p, struct random *r)
{
	unsigned int header = transport_bytes(d), n = 0;
	struct frame_spec s = { .family = d->family,
				.saddr = d->saddr,
				.daddr = d->daddr,
				.proto = d->proto,
				.dport = d->dport,
				.type = d->family == 4 ? 8 : 128,
				.id = d->id };

	if (d->family == 4) {
		s.frag_offset = p->from & 0x1fff;
		s.more = p->more;
		s.options = d->options;
	} else {
		if (d->hop)
			s.ext[n++] = (struct frame_exthdr){ .type = EXT_HOP };
		s.ext[n++] = (struct frame_exthdr){ .type = EXT_FRAGMENT, .frag = p->from << 3 | p->more };
		if (random_chance(r, 1))
			s.ext[n++] = (struct frame_exthdr){ .type = EXT_FRAGMENT,
							    .frag = random_below(r, 3) << 3 | random_below(r, 2) };
		if (d->dest && p->from == 0) {
			s.ext[n++] = (struct frame_exthdr){ .type = EXT_DESTINATION };
			header += 8;
		}
	}
	s.payload = p->bytes > header ? p->bytes - header : 0;
	s.short_by = header > p->bytes ? header - p->bytes : 0;
	frame_make(frame, &s);
}

/* ---- before both ---- */

struct tally {
	unsigned long passed, failed, reason[REASON_MAX];
};

static void judge(struct loaded *loaded, struct model_counters *sums, struct tally *tally, const struct frame *frame,
		  int device, uint64_t now_ns)
{
	for (int hook = 0; hook < POLICY_HOOK_MAX; hook++) {
		struct meeting meeting = {
			.hook = hook, .device = device, .iif = device, .skuid = -1, .now_ns = now_ns, .ct = MODEL_NONE
		};
		struct model_result model = loaded_model(loaded, frame, &meeting, sums), kernel;
		int r = loaded_run(loaded, frame, &meeting, &kernel);

		tally->reason[model.reason]++;
		if (r == 0 && model_result_same(&kernel, &model)) {
			tally->passed++;
			continue;
		}
		if (tally->failed++ < DIFFERENCES_SHOWN) {
			char a[300] = "", b[300], hex[600];

			if (r == 0)
				model_print(loaded->policy, &kernel, a, sizeof(a));
			model_print(loaded->policy, &model, b, sizeof(b));
			frame_hex(frame, hex, sizeof(hex));
			printf("difference on hook %d of %s at %llu ns (%d)\n  kernel %s\n  model  %s\n  %s\n", hook,
			       loaded->policy->devices[device], (unsigned long long)now_ns, r, a, b, hex);
		}
	}
}

static void check_counters(struct loaded *loaded, const struct model_counters *sums, struct tally *tally)
{
	for (size_t f = 0; f < loaded->policy->n_filters; f++)
		for (unsigned int i = 0; i < REASON_MAX; i++) {
			struct counter c = { 0 };
			int r = runner_counters(loaded->runner, loaded->counters->filter[f] + i, 1, &c);

			if (r == 0 && c.packets == sums->reason[f][i].packets) {
				tally->passed++;
				continue;
			}
			tally->failed++;
			printf("counter %s of %s: %llu, the model has %llu\n", reason_words[i],
			       loaded->policy->filters[f].name, (unsigned long long)c.packets,
			       (unsigned long long)sums->reason[f][i].packets);
		}
}

static void try_policy(struct loaded *loaded, const char *text, unsigned int fragments, struct random *r,
		       struct tally *tally)
{
	static struct frame frame;
	struct parcel flight[FLIGHT] = { 0 };
	struct model_counters *sums;
	uint64_t now = START_NS;

	if (loaded_open(loaded, text) < 0 || runner_forget(loaded->runner) < 0) {
		tally->failed++;
		return;
	}
	sums = model_counters_new(loaded->policy);
	for (unsigned int i = 0; i < fragments; i++) {
		struct parcel *d = &flight[random_below(r, FLIGHT)];
		int device;
		struct part p;

		if (d->next >= d->n)
			begin(d, r);
		p = d->part[d->next];
		if (d->in_trouble && d->next && random_chance(r, 10))
			p = d->part[random_below(r, d->next)]; /* again */
		else
			d->next++;
		if (d->in_trouble && random_chance(r, 4)) /* lost */
			continue;
		if (d->in_trouble && random_chance(r, 10))
			spoil(&p, r);
		device = random_chance(r, 1) ? !d->device : d->device;
		make(&frame, d, &p, r);
		now += random_below(r, 1000) < 2 ? 25 * SECOND_NS + random_below(r, 100) * (SECOND_NS / 10)
						 : random_below(r, 100) * (SECOND_NS / 1000);
		judge(loaded, sums, tally, &frame, device, now);
	}
	check_counters(loaded, sums, tally);
	model_counters_free(sums);
	loaded_forget(loaded);
}

/* ---- a full table ---- */

#define MANY  20000
#define LANES (1024 * 7)

static enum reason meet(struct loaded *loaded, uint32_t id, unsigned int from, uint64_t now_ns)
{
	static struct frame frame;
	struct meeting meeting = { .hook = POLICY_XDP, .skuid = -1, .now_ns = now_ns, .ct = MODEL_NONE };
	struct model_result result = { .reason = REASON_MAX };
	struct frame_spec s = { .family = 6,
				.proto = 17,
				.dport = 53,
				.payload = 16,
				.id = id,
				.ext = { { .type = EXT_FRAGMENT, .frag = from << 3 | 1 } } };

	frame_make(&frame, &s);
	return loaded_run(loaded, &frame, &meeting, &result) == 0 ? result.reason : REASON_MAX;
}

static void believe(struct tally *tally, const char *what, bool holds, unsigned long got)
{
	printf("%-6s%s (%lu)\n", holds ? "ok" : "FAIL", what, got);
	if (holds)
		tally->passed++;
	else
		tally->failed++;
}

static unsigned long meet_many(struct loaded *loaded, uint32_t first, unsigned int n, unsigned int from,
			       uint64_t now_ns, enum reason counted)
{
	unsigned long found = 0;

	for (unsigned int i = 0; i < n; i++)
		found += meet(loaded, first + i, from, now_ns) == counted;
	return found;
}

static void try_full(struct loaded *loaded, struct tally *tally)
{
	uint64_t now = START_NS;
	unsigned long n;

	if (loaded_open(loaded, policies[0]) < 0 || runner_forget(loaded->runner) < 0) {
		tally->failed++;
		return;
	}
	n = meet_many(loaded, 1, MANY, 0, now, REASON_RULE);
	believe(tally, "as many datagrams as the table holds pass", n > LANES * 98 / 100 && n <= LANES, n);
	n = MANY - n - meet_many(loaded, 1, MANY, 3, now, REASON_FRAGMENT_EARLY);
	believe(tally, "later fragments of those that did not are early", n == 0, n);
	n = meet_many(loaded, MANY + 1, MANY, 3, now + 20 * SECOND_NS, REASON_FRAGMENT_EARLY);
	believe(tally, "so are others, and none of them takes the place of a live one", n == MANY, n);
	n = meet_many(loaded, 1, MANY, 6, now + 20 * SECOND_NS, REASON_FRAGMENT);
	believe(tally, "which goes on", n > LANES * 98 / 100, n);
	now += 31 * SECOND_NS;
	n = meet_many(loaded, 1, MANY, 3, now, REASON_FRAGMENT_EARLY);
	believe(tally, "when their time is over, none is known", n == MANY, n);
	n = meet_many(loaded, 3 * MANY, 1000, 0, now, REASON_RULE);
	believe(tally, "dropped ones make room", n == 1000, n);
	n = meet_many(loaded, 3 * MANY, 1000, 3, now, REASON_FRAGMENT);
	believe(tally, "for those that pass", n == 1000, n);
	loaded_forget(loaded);
}

int main(int argc, char **argv)
{
	static const char usage[] = "[FRAGMENTS [SEED]]";
	unsigned int fragments = number_argument(argc, argv, 1, 20000, usage);
	uint64_t seed = number_argument(argc, argv, 2, (unsigned long long)time(NULL), usage);
	unsigned int n = sizeof(policies) / sizeof(*policies);
	struct loaded loaded = { 0 };
	struct tally tally = { 0 };
	struct random random = { seed };

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	printf("%u fragments, seed %llu\n", fragments, (unsigned long long)seed);
	for (unsigned int i = 0; i < n; i++)
		try_policy(&loaded, policies[i], fragments / n, &random, &tally);
	printf("by");
	reasons_print(tally.reason);
	printf("\n");
	try_full(&loaded, &tally);
	loaded_close(&loaded);
	printf("%lu passed, %lu failed\n", tally.passed, tally.failed);
	return tally.failed ? 1 : 0;
}
