// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to guarded endpoints (bpf/guard_http.h): a table of them, whole and in parts; then random ones beside the
 * reference. t-http-bpf [REQUESTS [SEED]]
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "../../bpf/abi.h"
#include "tests/t-http.skel.h"

#include "check.h"
#include "frame.h"
#include "http_table.h"
#include "model_http.h"
#include "random.h"

#define TEXT_MOST 3000 /* what a test run takes */
#define HEAD_MOST 2048
#define REQUESTS  200000
#define REPEAT    20000
#define ACK_PUSH  0x18
#define URGENT    0x20

static struct t_http_bpf *bpf;

/* ---- one segment ---- */

struct text {
	char bytes[TEXT_MOST];
	size_t n;
};

static void add(struct text *t, const void *bytes, size_t n)
{
	if (t->n + n > TEXT_MOST)
		n = TEXT_MOST - t->n;
	memcpy(t->bytes + t->n, bytes, n);
	t->n += n;
}

/* How the segment comes; all zero: over IPv4, on its own. */
struct way {
	int family;
	unsigned int tcp_options;
	bool urgent;
	bool more_fragments;
	unsigned int padding; /* behind the IP packet */
	unsigned int gso_segs;
};

/* enum model_http_result, or -1: no segment */
static int ask(const void *bytes, size_t n, unsigned int tokens, const struct way *way)
{
	static struct frame frame;
	struct frame_spec spec = { .family = way->family,
				   .dport = 80,
				   .flags = ACK_PUSH | (way->urgent ? URGENT : 0),
				   .tcp_options = way->tcp_options,
				   .more = way->more_fragments,
				   .pad = way->padding,
				   .data = bytes,
				   .n_data = n };
	struct __sk_buff skb = { .gso_segs = way->gso_segs };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.bytes, .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	frame_make(&frame, &spec);
	opts.data_size_in = frame.length;
	bpf->bss->tokens = tokens;
	if (bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.http_request), &opts)) {
		check(false, "cannot run a request of %zu bytes", n);
		return -1;
	}
	return opts.retval;
}

static const struct way alone = { 0 };

/* ---- the table ---- */

static const char *const results[] = { "bad", "plain", "with a token" };

static bool same_text(const char *field, size_t most, size_t n_told, const char *text, size_t n)
{
	size_t shown = n < most ? n : most;

	if (n_told != n || memcmp(field, text, shown))
		return false;
	while (shown < most)
		if (field[shown++])
			return false;
	return true;
}

static bool told_path_is(const char *path, size_t n)
{
	return same_text(bpf->bss->path, sizeof(bpf->bss->path), bpf->bss->n_path, path, n);
}

static void try_row(const struct request_row *row, const struct way *way, const char *how)
{
	int result = ask(row->bytes, row->n, row->tokens, way);

	check(result == (int)row->result, "%s%s: %s, not %s", row->what, how,
	      result >= 0 && result <= WITH ? results[result] : "no segment", results[row->result]);
	check(told_path_is(row->path ? row->path : "", row->path ? strlen(row->path) : 0), "%s%s: told of '%.*s'",
	      row->what, how, (int)sizeof(bpf->bss->path), bpf->bss->path);
	if (row->result != BAD)
		check(bpf->bss->odd_path == row->odd, "%s%s: odd %u", row->what, how, bpf->bss->odd_path);
}

/* The rows, and each over the roads that must make no difference. */
static void try_rows(void)
{
	static const struct {
		const char *how;
		struct way way;
	} roads[] = {
		{ "", { 0 } },
		{ " (IPv6)", { .family = 6 } },
		{ " (TCP options)", { .tcp_options = 10 } },
		{ " (one segment, as the device counts)", { .gso_segs = 1 } },
		{ " (Ethernet padding)", { .padding = 9 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t j = 0; j < sizeof(roads) / sizeof(*roads); j++)
			try_row(&rows[i], &roads[j].way, roads[j].how);
}

/* What is refused however good the request is. */
static void try_bad_roads(void)
{
	static const struct {
		const char *what;
		struct way way;
	} roads[] = {
		{ "an urgent byte", { .urgent = true } },
		{ "a first fragment", { .more_fragments = true } },
		{ "two segments to be", { .gso_segs = 2 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t j = 0; j < sizeof(roads) / sizeof(*roads); j++)
			check(ask(rows[i].bytes, rows[i].n, rows[i].tokens, &roads[j].way) == BAD && !bpf->bss->n_path,
			      "%s: %s", roads[j].what, rows[i].what);
}

/* No part of a good request is one, whatever its first half makes a server wait for. */
static void try_parts(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct request_row *row = &rows[i];
		size_t taken = 0;

		if (row->result == BAD)
			continue;
		for (size_t n = 1; n < row->n; n++) {
			taken += ask(row->bytes, n, row->tokens, &alone) != BAD;
			taken += ask(row->bytes + n, row->n - n, row->tokens, &alone) != BAD;
		}
		for (size_t n = 0; n < row->n; n++)
			taken += ask(row->bytes + n, 1, row->tokens, &alone) != BAD;
		check(!taken, "%s: %zu of its parts taken", row->what, taken);
	}
}

/* Each two in one segment are none; one after the other they are what they are alone. */
static void try_pairs(void)
{
	static struct text both;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t pipelined = 0, kept = 0;
		bool whole = rows[i].result != BAD; /* with what comes behind it, a first half may be a request */

		for (size_t j = 0; j < sizeof(rows) / sizeof(*rows); j++) {
			both.n = 0;
			add(&both, rows[i].bytes, rows[i].n);
			add(&both, rows[j].bytes, rows[j].n);
			pipelined += whole && ask(both.bytes, both.n, ALL, &alone) != BAD;
			ask(rows[i].bytes, rows[i].n, rows[i].tokens, &alone);
			kept += ask(rows[j].bytes, rows[j].n, rows[j].tokens, &alone) != (int)rows[j].result;
		}
		check(!pipelined, "%s: %zu taken with another one behind it", rows[i].what, pipelined);
		check(!kept, "%s: %zu read in another way after it", rows[i].what, kept);
	}
}

/* ---- lengths ---- */

/* A request with a token in `n` bytes. */
static void make_long(struct text *t, size_t n)
{
	static const char start[] = "GET /latest/meta-data/ HTTP/1.1\r\nX-Padding: ";
	static const char end[] = "\r\n" TOKEN_LINE "\r\n";

	t->n = 0;
	add(t, start, sizeof(start) - 1);
	while (t->n < n - sizeof(end) + 1)
		add(t, "x", 1);
	add(t, end, sizeof(end) - 1);
}

static void try_lengths(void)
{
	static const struct way two_segments = { .gso_segs = 2 };
	static const char name[] = "X-aws-ec2-metadata-token";
	static struct text t;
	size_t taken = 0;

	check(ask("", 0, A, &alone) == BAD, "no data");
	make_long(&t, 1900);
	check(ask(t.bytes, t.n, A, &alone) == WITH, "1900 bytes in one segment");
	check(ask(t.bytes, t.n, A, &two_segments) == BAD, "1900 bytes in two segments, which the device makes");
	for (size_t mss = 500; mss < 1900; mss += 100)
		taken += ask(t.bytes, mss, A, &alone) != BAD || ask(t.bytes + mss, t.n - mss, A, &alone) != BAD;
	check(!taken, "1900 bytes in two segments: %zu taken", taken);
	for (size_t n = HEAD_MOST - 3; n < HEAD_MOST + 4; n++) {
		make_long(&t, n);
		check(ask(t.bytes, t.n, A, &alone) == (int)(n <= HEAD_MOST ? WITH : BAD), "%zu bytes", n);
	}
	for (size_t n = 1; n < HEAD_MOST - 15; n += n < 200 ? 1 : 100) { /* the path alone */
		t.n = 0;
		add(&t, "GET /", 5);
		while (t.n < 4 + n)
			add(&t, "p", 1);
		add(&t, " HTTP/1.1\r\n\r\n", 13);
		check(ask(t.bytes, t.n, A, &alone) == PLAIN && told_path_is(t.bytes + 4, n), "a path of %zu bytes", n);
	}
	for (size_t n = 1; n < 60; n++) { /* the name of a header */
		t.n = 0;
		add(&t, "GET / HTTP/1.1\r\n", 16);
		for (size_t i = 0; i < n; i++)
			add(&t, i < sizeof(name) - 1 ? &name[i] : "n", 1);
		add(&t, ":ab\r\n\r\n", 7);
		check(ask(t.bytes, t.n, A, &alone) == (int)(n == sizeof(name) - 1 ? WITH : PLAIN),
		      "a name of %zu bytes", n);
	}
}

/* ---- beside the reference ---- */

static const char *const pieces[] = {
	"\r\n",
	"\n",
	"\r",
	"\r\n\r\n",
	" ",
	"\t",
	":",
	"/",
	"?",
	".",
	"..",
	"/../",
	"%2e",
	"//",
	";",
	"\\",
	"\x80",
	"\x7f",
	"\x01",
	"0",
	"GET",
	"PUT",
	"HEAD",
	"POST",
	"GET / HTTP/1.1\r\n",
	"HTTP/1.1",
	"/latest/api/token",
	"true",
	"Google",
	"Bearer Oracle",
	"Content-Length: 0\r\n",
	"Content-Length: 7\r\n",
	"Transfer-Encoding: chunked\r\n",
	"X-Forwarded-For: a\r\n",
	"Expect: x\r\n",
	"Connection: close\r\n",
	"Connection: upgrade\r\n",
	TOKEN_LINE,
	"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n",
	"X-aliyun-ecs-metadata-token: a\r\n",
	"Metadata: TRUE\r\n",
	"X-aliyun-ecs-metadata-token-ttl-seconds: 1\r\n",
	"Metadata-Flavor: Google\r\n",
	"Authorization: Bearer Oracle\r\n",
	"A: b\r\n",
};

static void insert(struct text *t, size_t at, const void *bytes, size_t n)
{
	static struct text out;

	out.n = 0;
	add(&out, t->bytes, at);
	add(&out, bytes, n);
	add(&out, t->bytes + at, t->n - at);
	*t = out;
}

static void cut_out(struct text *t, size_t at, size_t n)
{
	memmove(t->bytes + at, t->bytes + at + n, t->n - at - n);
	t->n -= n;
}

/* Behind a line of the text, its last one excepted. */
static size_t pick_line(const struct text *t, struct random *r)
{
	size_t at = random_below(r, t->n + 1);
	const char *found = memmem(t->bytes + at, t->n - at, "\r\n", 2);

	return found && found + 4 < t->bytes + t->n ? (size_t)(found - t->bytes) + 2 : at;
}

static void mutate(struct text *t, struct random *r)
{
	size_t at = random_below(r, t->n + 1), n = random_below(r, 12);
	const char *piece = random_pick(r, pieces);
	const struct request_row *other = &random_pick(r, rows);

	if (n > t->n - at)
		n = t->n - at;
	switch (random_below(r, 9)) {
	case 0:
		if (at < t->n)
			t->bytes[at] = random_next(r);
		break;
	case 1:
		if (at < t->n)
			t->bytes[at] ^= 1u << random_below(r, 8);
		break;
	case 2:
		if (at < t->n && ((t->bytes[at] | 0x20) >= 'a' && (t->bytes[at] | 0x20) <= 'z'))
			t->bytes[at] ^= 0x20;
		break;
	case 3:
		insert(t, at, piece, strlen(piece));
		break;
	case 4:
	case 5:
		insert(t, pick_line(t, r), piece, strlen(piece));
		break;
	case 6:
		cut_out(t, at, n);
		break;
	case 7: { /* some of it again */
		static struct text again;

		again.n = 0;
		add(&again, t->bytes + at, n);
		insert(t, pick_line(t, r), again.bytes, again.n);
		break;
	}
	default: { /* a part of another one */
		size_t from = random_below(r, other->n), most = random_below(r, 60);

		insert(t, pick_line(t, r), other->bytes + from, most < other->n - from ? most : other->n - from);
	}
	}
}

/* Most often one that is good, where a change says most. */
static const struct request_row *pick_row(struct random *r)
{
	const struct request_row *row;

	do {
		row = &random_pick(r, rows);
	} while (row->result != WITH && random_chance(r, 70));
	return row;
}

static bool same_answer(int result, const struct model_request *m)
{
	const struct t_http_bpf__bss *told = bpf->bss;

	return result == (int)m->result &&
	       same_text(told->method, sizeof(told->method), told->n_method, m->method ? m->method : "", m->n_method) &&
	       told_path_is(m->path ? m->path : "", m->n_path) &&
	       (m->result == BAD || (told->odd_path == m->odd_path && told->session == m->session));
}

static void show(const struct text *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->bytes[i] >= ' ' && t->bytes[i] <= '~' && t->bytes[i] != '\\')
			putchar(t->bytes[i]);
		else
			printf("\\x%02x", (unsigned char)t->bytes[i]);
	printf("\n");
}

/* Each byte at each place of a request, for the one that is there and before it. */
static void try_bytes(void)
{
	static const char *const requests[] = {
		"GET /a./b?c HTTP/1.1\r\nMetadata: true \r\nX-aws-ec2-metadata-token: a b\r\n\r\n",
		"PUT /latest/api/token HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds:\t60\r\n\r\n",
		"HEAD /../ HTTP/1.1\r\nX-aws-ec2-metadata-token: a\r\n\r\n",
	};
	static struct text t;

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		size_t n = strlen(requests[i]), different = 0;

		for (size_t place = 0; place < 2 * n; place++) {
			for (unsigned int byte = 0; byte < 256; byte++) {
				struct model_request m;

				t.n = 0;
				add(&t, requests[i], place / 2);
				add(&t, &(char){ byte }, 1);
				add(&t, requests[i] + place / 2 + place % 2, n - place / 2 - place % 2);
				m = model_http(t.bytes, t.n, A | Z);
				different += !same_answer(ask(t.bytes, t.n, A | Z, &alone), &m);
			}
		}
		check(!different, "a byte in '%.20s...': %zu different", requests[i], different);
	}
}

static void try_random(size_t n, uint64_t seed)
{
	static struct text t;
	struct random r = { seed };
	size_t different = 0, count[WITH + 1] = { 0 };

	printf("%zu random requests, seed %llu\n", n, (unsigned long long)seed);
	for (size_t i = 0; i < n && different < 10; i++) {
		const struct request_row *row = pick_row(&r);
		unsigned int tokens = random_chance(&r, 80) ? row->tokens : random_below(&r, ALL + 1);
		struct model_request m;
		int result;

		t.n = 0;
		add(&t, row->bytes, row->n);
		for (unsigned int times = random_below(&r, 4); times; times--)
			mutate(&t, &r);
		m = model_http(t.bytes, t.n, tokens);
		result = ask(t.bytes, t.n, tokens, &alone);
		count[m.result]++;
		if (same_answer(result, &m))
			continue;
		different++;
		printf("request %zu, tokens %u: %d, the reference says %u\n", i, tokens, result, m.result);
		show(&t);
	}
	check(!different, "%zu different", different);
	for (unsigned int i = 0; i <= WITH; i++)
		check(count[i] > n / 20, "only %zu were %s", count[i], results[i]);
	printf("%zu bad, %zu plain, %zu with a token\n", count[BAD], count[PLAIN], count[WITH]);
}

/* The table, too, as the reference sees it. */
static void try_reference(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct model_request m = model_http(rows[i].bytes, rows[i].n, rows[i].tokens);

		check(m.result == rows[i].result, "%s: the reference says %s", rows[i].what, results[m.result]);
	}
}

/* ---- cost ---- */

static unsigned int cost(const struct bpf_program *program, const struct text *t)
{
	static struct frame frame;
	struct frame_spec spec = { .dport = 80, .flags = ACK_PUSH, .data = (const void *)t->bytes, .n_data = t->n };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.bytes, .repeat = REPEAT);
	unsigned int least = UINT32_MAX;

	frame_make(&frame, &spec);
	opts.data_size_in = frame.length;
	bpf->bss->tokens = ALL;
	for (unsigned int i = 0; i < 5; i++) {
		if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
			return 0;
		if (opts.duration < least)
			least = opts.duration;
	}
	return least;
}

static void tell_cost(const char *what, const struct text *t)
{
	printf("%s, %zu bytes: %u ns, parsed alone %u ns\n", what, t->n, cost(bpf->progs.http_request, t),
	       cost(bpf->progs.http_nothing, t));
}

static void tell_costs(void)
{
	static const char curl[] = "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n" HOST
				   "User-Agent: curl/8.14.1\r\nAccept: */*\r\n" TOKEN_LINE "\r\n";
	static struct text t;

	add(&t, curl, sizeof(curl) - 1);
	tell_cost("a usual request", &t);
	t.n = 0;
	add(&t, "no request", 10);
	tell_cost("no request", &t);
	make_long(&t, HEAD_MOST);
	tell_cost("the longest one", &t);
	t.n = 0;
	add(&t, "GET / HTTP/1.1\r\n", 16);
	while (t.n < HEAD_MOST - 18)
		add(&t, "Metadata2:\r\n", 12);
	add(&t, "\r\n", 2);
	tell_cost("many header fields", &t);
}

static bool load(void)
{
	libbpf_set_print(NULL);
	bpf = t_http_bpf__open_and_load();
	return bpf;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : REQUESTS;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	if (!load()) {
		printf("FAIL the kernel refuses the programs\n0 passed, 1 failed\n");
		return 1;
	}
	try_reference();
	try_rows();
	try_bad_roads();
	try_parts();
	try_pairs();
	try_lengths();
	try_bytes();
	try_random(n, seed);
	tell_costs();
	t_http_bpf__destroy(bpf);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
