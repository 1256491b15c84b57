// SPDX-License-Identifier: GPL-2.0
/*
 * Limits in the kernel (bpf/limit.h): at times that the test says, each answer is that of a GCRA in plain C; against the
 * clock, on two CPUs at once, what passes is the rate.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../bpf/abi.h"
#include "check.h"
#include "random.h"
#include "tests/t-limit.skel.h"

#define REQUESTS_MAX 65536 /* in one run */
#define SECOND       1000000000ull
#define VERIFIED_MAX 6000 /* what the verifier may spend on one packet and the loop around it */

struct request { /* of t-limit.bpf.c */
	uint64_t now_ns;
	uint32_t word[4];
	uint32_t family;
	uint32_t length;
	uint32_t limit;
	int32_t within;
	uint32_t full;
	uint32_t pad;
};

/* The programs with buckets of their own. */
struct world {
	struct t_limit_bpf *bpf;
	struct request *requests;
	struct tables_head *head;
	uint64_t *accepted;
	size_t n_keys;
};

static size_t map_size(const struct bpf_map *map)
{
	return (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) & ~7u);
}

static void *map_memory(const struct bpf_map *map)
{
	void *memory = mmap(NULL, map_size(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED) {
		printf("mmap %s: %s\n", bpf_map__name(map), strerror(errno));
		exit(1);
	}
	return memory;
}

/* lines: a power of two. */
static void world_open(struct world *w, size_t lines, size_t n_keys, bool trace)
{
	*w = (struct world){ .bpf = t_limit_bpf__open(), .n_keys = n_keys };
	if (!w->bpf)
		exit(1);
	w->bpf->rodata->cfg.bucket_mask = lines - 1;
	w->bpf->rodata->cfg.seed = 0x5eed5eed12345678u;
	w->bpf->rodata->cfg.trace = trace;
	w->bpf->rodata->cfg.features = FEATURE_LIMITS;
	bpf_map__set_max_entries(w->bpf->maps.buckets, lines);
	bpf_map__set_max_entries(w->bpf->maps.requests, REQUESTS_MAX);
	bpf_map__set_max_entries(w->bpf->maps.accepted, n_keys);
	if (t_limit_bpf__load(w->bpf)) {
		printf("FAIL the kernel refuses the programs\n0 passed, 1 failed\n");
		exit(1);
	}
	w->requests = map_memory(w->bpf->maps.requests);
	w->head = map_memory(w->bpf->maps.tables);
	w->accepted = map_memory(w->bpf->maps.accepted);
	w->bpf->bss->n_keys = n_keys;
}

static void world_close(struct world *w)
{
	munmap(w->requests, map_size(w->bpf->maps.requests));
	munmap(w->head, map_size(w->bpf->maps.tables));
	munmap(w->accepted, map_size(w->bpf->maps.accepted));
	t_limit_bpf__destroy(w->bpf);
}

static bool run(const struct bpf_program *program, uint32_t *ret_ns)
{
	unsigned char frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return false;
	if (ret_ns)
		*ret_ns = opts.duration;
	return true;
}

static void ask(struct world *w, size_t n)
{
	w->bpf->bss->n_requests = n;
	if (!run(w->bpf->progs.ask, NULL))
		check(false, "cannot run: %s", strerror(errno));
}

/* `rate` per `per_ns`; of each source address, IPv4 /32 and IPv6 /64. */
static struct limit limit_of(uint64_t rate, uint64_t per_ns, uint64_t burst, uint8_t flags)
{
	uint64_t cost = (per_ns << LIMIT_TICK) / rate;

	return (struct limit){ .cost = cost,
			       .burst = cost * burst,
			       .number = 1,
			       .flags = flags,
			       .n_words = 4,
			       .word = { KEY_SADDR0, KEY_SADDR1, KEY_SADDR2, KEY_SADDR3 },
			       .mask = { { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u, 0, 0 } } };
}

/* The reference: a bucket with `burst` in it that fills by the time. */
static bool model_within(const struct limit *limit, uint64_t *paid, const struct request *q)
{
	uint64_t now = q->now_ns << LIMIT_TICK, from = *paid > now ? *paid : now;
	uint64_t until = from + limit->cost * (limit->flags & LIMIT_BYTES ? q->length : 1);

	if (until - now > limit->burst)
		return false;
	*paid = until;
	return true;
}

static bool passes(const struct limit *limit, bool within)
{
	return limit->flags & LIMIT_OVER ? !within : within;
}

/* ---- one bucket ---- */

/* Packets of one key, `gap_ns` apart; `random`: that is the mean. */
static const struct row {
	const char *what;
	uint64_t rate, per_ns, burst;
	uint8_t flags;
	uint32_t n;
	uint64_t gap_ns;
	bool random;
	uint32_t pass; /* 0: what the model says */
} rows[] = {
	{ "all at once, the burst passes", 10, SECOND, 5, 0, 1000, 0, false, 5 },
	{ "all at once, what is over passes", 10, SECOND, 5, LIMIT_OVER, 1000, 0, false, 995 },
	{ "just the rate", 10, SECOND, 1, 0, 1000, 100000000, false, 1000 },
	{ "a nanosecond too early", 10, SECOND, 1, 0, 1000, 99999999, false, 500 },
	{ "twice the rate", 10, SECOND, 5, 0, 1000, 50000000, false, 504 },
	{ "twice the rate, over", 10, SECOND, 5, LIMIT_OVER, 1000, 50000000, false, 496 },
	{ "a million a second", 1000000, SECOND, 1000, 0, 65536, 500, false, 33767 },
	{ "three an hour", 3, 3600 * SECOND, 3, 0, 10000, SECOND, false, 11 },
	{ "a rate that divides nothing", 7, SECOND, 3, 0, 65536, 10000000, false, 4590 },
	{ "after long idleness, the burst and no more", 100, SECOND, 10, 0, 1000, 3600 * SECOND, false, 1000 },
	{ "bytes", 1000000, SECOND, 10000, LIMIT_BYTES, 1000, 1000000, false, 672 },
	{ "a packet larger than the burst", 1000000, SECOND, 1499, LIMIT_BYTES, 1000, SECOND, false, UINT32_MAX },
	{ "random gaps", 1000, SECOND, 20, 0, 65536, 1000000, true, 0 },
	{ "random gaps, over", 1000, SECOND, 20, LIMIT_OVER, 65536, 1000000, true, 0 },
	{ "random gaps, far too much", 1000, SECOND, 200, 0, 65536, 1000, true, 0 },
	{ "random gaps, bytes", 125000000, SECOND, 100000, LIMIT_BYTES, 65536, 10000, true, 0 },
};

static void try_row(const struct row *row, struct random *r)
{
	struct limit limit = limit_of(row->rate, row->per_ns, row->burst, row->flags);
	uint32_t different = 0, pass = 0, expected = row->pass == UINT32_MAX ? 0 : row->pass;
	uint64_t now_ns = 12345678901234, paid = 0;
	struct world w;

	world_open(&w, 64, 1, true);
	w.head->limit[7] = limit;
	for (uint32_t i = 0; i < row->n; i++) {
		w.requests[i] = (struct request){ .now_ns = now_ns,
						  .word = { 0xc0000201 },
						  .family = 4,
						  .limit = 7,
						  .length = row->random ? random_between(r, 40, 1500) : 1500 };
		now_ns += row->random ? random_next(r) % (2 * row->gap_ns) : row->gap_ns;
	}
	ask(&w, row->n);
	for (uint32_t i = 0; i < row->n; i++) {
		different += w.requests[i].within != passes(&limit, model_within(&limit, &paid, &w.requests[i]));
		pass += w.requests[i].within;
	}
	check(!different, "%s: %u of %u different", row->what, different, row->n);
	check(!row->pass || pass == expected, "%s: %u pass, not %u", row->what, pass, expected);
	world_close(&w);
}

/* ---- many ---- */

struct key_model {
	uint64_t paid;
	uint32_t word[4];
	uint32_t family;
};

static struct key_model *random_keys(size_t n, struct random *r)
{
	struct key_model *keys = calloc(n, sizeof(*keys));

	if (!keys)
		exit(1);
	for (size_t i = 0; i < n; i++) {
		keys[i].family = i % 2 ? 6 : 4;
		keys[i].word[0] = i; /* so that no two are the same */
		if (i % 2)
			keys[i].word[1] = random_next(r);
	}
	return keys;
}

/* What a crowd of packets met. */
struct crowd {
	size_t packets;
	size_t different;
	size_t full;
	size_t full_wrong; /* not on the configured side, or of a key that had something in its bucket */
};

/* Packets of random keys, the mean gap apart, until each had some `each`. */
static struct crowd try_crowd(struct world *w, const struct limit *limit, struct key_model *keys, size_t n, size_t each,
			      uint64_t gap_ns, struct random *r)
{
	struct crowd crowd = { 0 };
	uint64_t now_ns = 1000 * SECOND;
	uint32_t *who = calloc(REQUESTS_MAX, sizeof(*who));

	if (!who)
		exit(1);
	while (crowd.packets < n * each) {
		for (size_t i = 0; i < REQUESTS_MAX; i++) {
			const struct key_model *key = &keys[who[i] = random_below(r, n)];
			struct request *q = &w->requests[i];

			*q = (struct request){ .now_ns = now_ns, .family = key->family, .length = 100 };
			memcpy(q->word, key->word, sizeof(q->word));
			if (key->family == 6)
				q->word[3] = random_next(r); /* behind the mask */
			now_ns += random_next(r) % (2 * gap_ns);
		}
		ask(w, REQUESTS_MAX);
		crowd.packets += REQUESTS_MAX;
		for (size_t i = 0; i < REQUESTS_MAX; i++) {
			const struct request *q = &w->requests[i];
			struct key_model *key = &keys[who[i]];
			bool under = limit->flags & LIMIT_FULL_UNDER;

			crowd.full += q->full;
			if (q->full)
				crowd.full_wrong +=
					q->within != passes(limit, under) || key->paid > q->now_ns << LIMIT_TICK;
			else
				crowd.different += q->within != passes(limit, model_within(limit, &key->paid, q));
		}
	}
	free(who);
	return crowd;
}

static const struct crowd_row {
	const char *what;
	size_t keys, each, lines;
	uint64_t rate, burst, gap_ns;
	uint8_t flags;
	double full_min, full_max; /* share of the packets */
} crowds[] = {
	{ "10000 keys", 10000, 100, 32768, 1, 5, 10000, 0, 0, 0 },
	{ "10000 keys, over", 10000, 100, 32768, 1, 5, 10000, LIMIT_OVER, 0, 0 },
	{ "1000000 keys", 1000000, 4, 1 << 20, 1, 1, 500, 0, 0, 0.001 },
	/* 1000 of 100000 keys at a time are not idle: their buckets are used again and again. */
	{ "100000 keys that come and go", 100000, 30, 4096, 100, 2, 10000, 0, 0, 0.0001 },
	{ "more keys than buckets", 10000, 100, 512, 1, 5, 10000, 0, 0.1, 0.95 },
	{ "more keys than buckets, under", 10000, 100, 512, 1, 5, 10000, LIMIT_FULL_UNDER, 0.1, 0.95 },
	{ "more keys than buckets, over, under", 10000, 100, 512, 1, 5, 10000, LIMIT_OVER | LIMIT_FULL_UNDER, 0.1,
	  0.95 },
};

static void try_crowd_row(const struct crowd_row *row, struct random *r)
{
	struct limit limit = limit_of(row->rate, SECOND, row->burst, row->flags);
	struct key_model *keys = random_keys(row->keys, r);
	struct crowd crowd;
	struct world w;
	double share;

	world_open(&w, row->lines, 1, true);
	w.head->limit[0] = limit;
	crowd = try_crowd(&w, &limit, keys, row->keys, row->each, row->gap_ns, r);
	share = (double)crowd.full / crowd.packets;
	check(!crowd.different, "%s: %zu different", row->what, crowd.different);
	check(!crowd.full_wrong, "%s: %zu wrong without a bucket", row->what, crowd.full_wrong);
	check(share >= row->full_min && share <= row->full_max, "%s: %.4f %% without a bucket", row->what, 100 * share);
	printf("%s, %zu buckets: %.4f %% of the packets found none\n", row->what, row->lines * BUCKETS_PER_LINE,
	       100 * share);
	free(keys);
	world_close(&w);
}

/* ---- one pair of lines, packet by packet ---- */

static struct request packet(uint64_t now_ns, uint32_t family, uint32_t upper, uint32_t lower, uint32_t limit)
{
	return (struct request){ .now_ns = now_ns, .word = { upper, 0, 0, lower }, .family = family, .limit = limit };
}

/* One packet each ten seconds of a key, eight buckets. Keys are first and last word of the address. */
static const struct step {
	const char *what;
	uint32_t family, upper, lower, limit;
	uint64_t second;
	int32_t within;
	uint32_t full;
} steps[] = {
	{ "1st key", 6, 1, 1, 0, 10, 1, 0 },
	{ "1st key, another host of its /64", 6, 1, 2, 0, 10, 0, 0 },
	{ "1st key as IPv4, where the mask is another", 4, 1, 2, 0, 10, 1, 0 },
	{ "3rd", 6, 3, 0, 0, 10, 1, 0 },
	{ "4th", 6, 4, 0, 0, 10, 1, 0 },
	{ "5th", 6, 5, 0, 0, 10, 1, 0 },
	{ "6th, a bucket of another limit", 6, 1, 1, 1, 10, 1, 0 },
	{ "6th again", 6, 1, 1, 1, 10, 0, 0 },
	{ "7th", 6, 7, 0, 0, 10, 1, 0 },
	{ "8th", 6, 8, 0, 0, 10, 1, 0 },
	{ "9th: no bucket, over", 6, 9, 0, 0, 10, 0, 1 },
	{ "9th again", 6, 9, 0, 0, 10, 0, 1 },
	{ "9th, a limit that lets it pass", 6, 9, 0, 1, 10, 1, 1 },
	{ "9th, one that asks for what is over", 6, 9, 0, 2, 10, 1, 1 },
	{ "9th, that and lets it pass as under", 6, 9, 0, 3, 10, 0, 1 },
	{ "the others still have theirs", 6, 4, 0, 0, 10, 0, 0 },
	{ "just before they are idle", 6, 9, 0, 0, 19, 0, 1 },
	{ "an idle bucket is taken", 6, 9, 0, 0, 20, 1, 0 },
	{ "and is the new key's", 6, 9, 0, 0, 20, 0, 0 },
	{ "the rest as well", 6, 10, 0, 0, 20, 1, 0 },
	{ "an old key takes another one", 6, 1, 1, 0, 20, 1, 0 },
};

static void try_steps(void)
{
	static const uint8_t flags[] = { 0, LIMIT_FULL_UNDER, LIMIT_OVER, LIMIT_OVER | LIMIT_FULL_UNDER };
	struct world w;

	world_open(&w, 2, 1, true);
	for (uint32_t i = 0; i < sizeof(flags); i++) {
		w.head->limit[i] = limit_of(1, 10 * SECOND, 1, flags[i]);
		w.head->limit[i].number = i;
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const struct step *step = &steps[i];

		w.requests[0] = packet(step->second * SECOND, step->family, step->upper, step->lower, step->limit);
		ask(&w, 1);
		check(w.requests[0].within == step->within && w.requests[0].full == step->full,
		      "step %zu, %s: %d, without a bucket %u", i, step->what, w.requests[0].within, w.requests[0].full);
	}
	world_close(&w);
}

/* A bucket whose time nobody can have paid for is empty: of a limit with a larger burst, or untouched for a year. */
static void try_stale(void)
{
	struct world w;

	world_open(&w, 2, 1, true);
	w.head->limit[0] = limit_of(1, 3600 * SECOND, 1, 0);
	w.requests[0] = packet(SECOND, 4, 1, 0, 0);
	w.requests[1] = w.requests[0];
	ask(&w, 2);
	check(w.requests[0].within == 1 && w.requests[1].within == 0, "an hour: %d %d", w.requests[0].within,
	      w.requests[1].within);
	w.head->limit[0] = limit_of(1, SECOND, 1, 0);
	ask(&w, 2);
	check(w.requests[0].within == 1 && w.requests[1].within == 0, "a second of what was an hour: %d %d",
	      w.requests[0].within, w.requests[1].within);
	w.requests[0] = packet(1ull << 55, 4, 2, 0, 0); /* paid - now is positive in 64 bits, and nobody has paid */
	w.requests[1] = w.requests[0];
	w.requests[1].now_ns += 1;
	ask(&w, 2);
	check(w.requests[0].within == 1 && w.requests[1].within == 0, "a new bucket after a year: %d %d",
	      w.requests[0].within, w.requests[1].within);
	world_close(&w);
}

/* No words: one bucket for all. All words of the table: each counts. */
static void try_words(struct random *r)
{
	struct world w;
	size_t within = 0;

	world_open(&w, 1024, 1, true);
	w.head->limit[0] = limit_of(1, SECOND, 10, 0);
	w.head->limit[0].n_words = 0;
	for (size_t i = 0; i < 1000; i++)
		w.requests[i] = packet(SECOND, i % 2 ? 4 : 6, random_next(r), random_next(r), 0);
	ask(&w, 1000);
	for (size_t i = 0; i < 1000; i++)
		within += w.requests[i].within;
	check(within == 10, "one bucket for all: %zu pass", within);

	w.head->limit[1] = limit_of(1, SECOND, 1, 0);
	w.head->limit[1].number = 2;
	w.head->limit[1].n_words = LIMIT_WORDS;
	for (size_t i = 0; i < LIMIT_WORDS; i++) {
		w.head->limit[1].word[i] = i == LIMIT_WORDS - 1 ? KEY_SADDR0 : KEY_SPORT;
		w.head->limit[1].mask[0][i] = ~0u;
	}
	for (size_t i = 0; i < 500; i++)
		w.requests[i] = packet(2 * SECOND, 4, i, 0, 1);
	ask(&w, 500);
	within = 0;
	for (size_t i = 0; i < 500; i++)
		within += w.requests[i].within;
	check(within == 500, "the last of twelve words: %zu pass", within);
	world_close(&w);
}

/* ---- against the clock ---- */

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* How many packets of all CPUs found no bucket, or lost all their charges to others. */
static uint64_t without_bucket(const struct world *w)
{
	struct counter counter[libbpf_num_possible_cpus()];
	uint32_t number = COUNTER_LIMITS_FULL;
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(w->bpf->maps.counters), &number, counter))
		return UINT64_MAX;
	for (size_t i = 0; i < sizeof(counter) / sizeof(*counter); i++)
		sum += counter[i].packets;
	return sum;
}

struct driver {
	struct world *w;
	int cpu;
	uint64_t until_ns;
	uint64_t last_ns; /* when it began to offer for the last time */
	uint64_t offered;
	bool failed;
};

static void *drive(void *argument)
{
	struct driver *driver = argument;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(driver->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		driver->failed = true;
	for (uint64_t now = clock_ns(); !driver->failed && now < driver->until_ns; now = clock_ns()) {
		driver->last_ns = now;
		driver->failed = !run(driver->w->bpf->progs.hammer, NULL);
		driver->offered += driver->w->bpf->bss->n_requests;
	}
	return NULL;
}

/*
 * `keys` of `rate` packets a second each, from two CPUs that offer far more. The burst is what passes in 0.1 s, so that a
 * machine with other work loses nothing; it does not count. crowded: fewer buckets than keys, each of them changes hands
 * all the time, and passes no more than the rate.
 */
static const struct clock_row {
	const char *what;
	size_t keys, lines;
	uint64_t rate, burst;
	bool crowded;
} clocks[] = {
	{ "1 key", 1, 1024, 100000, 10000, false },
	{ "1 key, few packets", 1, 1024, 1000, 100, false },
	{ "100 keys", 100, 1024, 5000, 500, false },
	{ "10000 keys", 10000, 32768, 100, 10, false },
	{ "64 keys fight for 8 buckets", 64, 2, 20000, 1, true },
};

struct clock_run {
	double least; /* what a key has by its rate until nobody offers any more, and until the end: its burst comes on top */
	double each;
	double share;
	uint64_t low, high;
};

static struct clock_run run_clock(const struct clock_row *row)
{
	struct driver driver[2];
	pthread_t thread[2];
	struct world w;
	struct clock_run run = { .low = UINT64_MAX };
	size_t owners = row->crowded ? row->lines * BUCKETS_PER_LINE : row->keys;
	uint64_t start, end, sum = 0;
	double seconds;

	world_open(&w, row->lines, row->keys, false);
	w.head->limit[0] = limit_of(row->rate, SECOND, row->burst, 0);
	w.bpf->bss->n_requests = 2000;
	start = clock_ns();
	for (int i = 0; i < 2; i++) {
		driver[i] = (struct driver){ .w = &w, .cpu = i, .until_ns = start + SECOND };
		if (pthread_create(&thread[i], NULL, drive, &driver[i]))
			exit(1);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	end = clock_ns();
	check(!driver[0].failed && !driver[1].failed, "%s: cannot run on two CPUs", row->what);
	seconds = (double)(end - start) / SECOND;
	run.each = seconds * row->rate;
	run.least = (double)((driver[0].last_ns > driver[1].last_ns ? driver[0].last_ns : driver[1].last_ns) - start) /
		    SECOND * row->rate;
	for (size_t i = 0; i < row->keys; i++) {
		sum += w.accepted[i];
		run.low = w.accepted[i] < run.low ? w.accepted[i] : run.low;
		run.high = w.accepted[i] > run.high ? w.accepted[i] : run.high;
	}
	run.share = ((double)sum / owners - row->burst) / run.each;
	printf("%s, %.1f million packets a second from two CPUs: %.4f of the rate passes, per key %.4f to %.4f\n",
	       row->what, (driver[0].offered + driver[1].offered) / seconds / 1e6, run.share,
	       ((double)run.low - row->burst) / run.each, ((double)run.high - row->burst) / run.each);
	check(run.share <= 1.02, "%s: more than the rate passes", row->what);
	check(run.high <= 1.02 * run.each + row->burst + 1, "%s: a key has more than its rate", row->what);
	check(row->crowded || !without_bucket(&w), "%s: packets without a bucket", row->what);
	world_close(&w);
	return run;
}

#define CLOCK_TRIES 5

/* Too much is wrong each time; too little only if it is always so: a key saves its burst up, and others may have the CPUs for longer. */
static void try_clock(const struct clock_row *row)
{
	bool share = row->crowded, low = row->crowded; /* a crowded bucket saves nothing up */
	int tries = 0;

	do {
		struct clock_run run = run_clock(row);

		share |= run.share * run.each >= 0.98 * run.least;
		low |= run.low >= 0.98 * run.least + row->burst - 1;
	} while (!(share && low) && ++tries < CLOCK_TRIES);
	check(share, "%s: less than the rate passes", row->what);
	check(low, "%s: a key has less than its rate", row->what);
}

/* ---- what it costs ---- */

static double cost(struct world *w, const struct bpf_program *program)
{
	uint32_t best = UINT32_MAX, ns;

	for (int i = 0; i < 20; i++)
		if (run(program, &ns) && ns < best)
			best = ns;
	return (double)best / w->bpf->bss->n_requests;
}

static void print_cost(const char *what, uint32_t keys, uint8_t n_words, uint64_t rate)
{
	double nothing, clock;
	struct world w;

	world_open(&w, 1 << 18, 1, false);
	w.head->limit[0] = limit_of(rate, SECOND, 1000, 0);
	w.head->limit[0].n_words = n_words;
	w.bpf->bss->n_requests = 200000;
	w.bpf->bss->n_keys = keys;
	nothing = cost(&w, w.bpf->progs.loop_nothing);
	clock = cost(&w, w.bpf->progs.loop_clock) - nothing;
	printf("%s: %.1f ns a packet, %.1f of them the clock\n", what, cost(&w, w.bpf->progs.loop_limit) - nothing,
	       clock);
	world_close(&w);
}

static void check_verified(void)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	struct world w;

	world_open(&w, 64, 1, false);
	if (bpf_obj_get_info_by_fd(bpf_program__fd(w.bpf->progs.loop_limit), &info, &size) == 0) {
		printf("limit_within: %u verified instructions\n", info.verified_insns);
		check(info.verified_insns < VERIFIED_MAX, "it costs the verifier too much");
	}
	world_close(&w);
}

int main(void)
{
	struct random r = { .state = 20250611 };

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	libbpf_set_print(NULL);
	check_verified();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		try_row(&rows[i], &r);
	try_steps();
	try_stale();
	try_words(&r);
	for (size_t i = 0; i < sizeof(crowds) / sizeof(*crowds); i++)
		try_crowd_row(&crowds[i], &r);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++)
			try_clock(&clocks[i]);
	print_cost("a bucket for all, within", 1, 0, 100000000);
	print_cost("one word, within", 1, 1, 100000000);
	print_cost("one word, over", 1, 1, 1);
	print_cost("four words, within", 1, 4, 100000000);
	print_cost("one word, 65536 keys in turn", 65536, 1, 100000000);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
