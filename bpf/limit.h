/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is the packet within a limit (abi.h: struct limit)? A key has one bucket, a bucket one number: the time up to which
 * what passed has been paid for. All CPUs share them, without locks:
 *
 * - A charge is one compare-and-swap of that number, so that nothing is counted twice or forgotten.
 * - A bucket whose time is past holds nothing, and an empty one is the same to everybody: a claim is one
 *   compare-and-swap of the key, and `paid` stays as it is. So there is no moment between claim and a first store.
 * - Who finds a bucket idle may claim it just after its owner charged it, and who found his own may charge it just after
 *   somebody claimed it. One charge then is the wrong key's: docs/decisions/0012-limits.md says how much that is.
 */
#pragma once

#include "counters.h"

#define LIMIT_BUCKETS (2 * BUCKETS_PER_LINE)
#define LIMIT_CLAIMS  4  /* a claim that is lost to another key looks again */
#define LIMIT_CHARGES 16 /* the same, lost to another packet of the key */
/* CPUs may differ that much in what is now: one may sleep between its look at the clock and its charge. */
#define LIMIT_SKEW (1000000000ull << LIMIT_TICK)

static __always_inline __u64 limit_now(void)
{
	return (cfg.trace ? trace.now_ns : bpf_ktime_get_ns()) << LIMIT_TICK;
}

/* Odd, since 0 is no key; the upper half names the buckets. */
static __always_inline __u64 limit_key(const struct scratch *s, const struct limit *limit)
{
	__u32 family = s->key[KEY_FAMILY] == 6;
	__u64 secret = cfg.seed, hash = secret_hash(secret, &secret, limit->number);

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < LIMIT_WORDS; i++) {
		if (i >= limit->n_words)
			break;
		hash = secret_hash(hash, &secret, s->key[limit->word[i] & (KEY_MAX - 1)] & limit->mask[family][i]);
	}
	return node_mix(hash) | 1;
}

/* Bucket `number` of the pair that the key names. */
static __always_inline struct bucket *limit_bucket(__u64 key, __u64 number)
{
	__u64 at = array_key((key >> 32 & cfg.bucket_mask & ~1u) | number / BUCKETS_PER_LINE);
	struct bucket_line *line = bpf_map_lookup_elem(&buckets, &at);

	return line ? &line->bucket[number % BUCKETS_PER_LINE] : NULL;
}

/* May another key have the bucket? 0 or 1, without branches: the verifier would walk each of them to the end. */
static __always_inline __u64 limit_idle(const struct bucket *bucket, __u64 owner, __u64 now)
{
	__u64 past = *(volatile __u64 *)&bucket->paid - now - 1, used = owner | -owner;

	barrier_var(used);
	return (past | ~used) >> 63;
}

/*
 * Number of the key's bucket: the first one in order that has the key, so that two CPUs that claimed one each agree
 * from then on; else one that is idle. LIMIT_BUCKETS: all are in use.
 */
static __always_inline __u64 limit_find(const struct scratch *s, __u64 key, __u64 now)
{
#pragma clang loop unroll(disable)
	for (__u32 claim = 0; claim < LIMIT_CLAIMS; claim++) {
		struct bucket *bucket = limit_bucket(key, 0);
		__u64 idle = 0, owner;

		for (__u64 i = 0; i < LIMIT_BUCKETS; i++) {
			if (i == BUCKETS_PER_LINE)
				bucket = limit_bucket(key, i);
			if (!bucket)
				return LIMIT_BUCKETS;
			owner = *(volatile __u64 *)&bucket->key;
			if (owner == key)
				return i;
			idle |= limit_idle(bucket, owner, now) << i;
			bucket++;
		}
		if (!idle)
			return LIMIT_BUCKETS;
		idle = forget(s, prefix_count((idle & -idle) - 1), LIMIT_BUCKETS - 1);
		bucket = limit_bucket(key, idle);
		if (!bucket)
			return LIMIT_BUCKETS;
		owner = *(volatile __u64 *)&bucket->key;
		if (limit_idle(bucket, owner, now) && __sync_val_compare_and_swap(&bucket->key, owner, key) == owner)
			return idle;
	}
	return LIMIT_BUCKETS;
}

enum limit_side { LIMIT_IS_WITHIN, LIMIT_IS_OVER, LIMIT_IS_UNKNOWN };

/* That `burst`, and the cost of the largest packet, are below 2^62 is the compiler's part. */
static __always_inline enum limit_side limit_charge(struct bucket *bucket, __u64 cost, __u64 burst, __u64 now)
{
	__u64 paid = *(volatile __u64 *)&bucket->paid;

#pragma clang loop unroll(disable)
	for (__u32 charge = 0; charge < LIMIT_CHARGES; charge++) {
		__u64 ahead = paid - now, seen;

		/* Past, or what no packet of this limit can have left: of another key, of a larger burst, of 0, years ago. */
		if (ahead > burst + LIMIT_SKEW)
			ahead = 0;
		if (ahead + cost > burst)
			return LIMIT_IS_OVER;
		seen = __sync_val_compare_and_swap(&bucket->paid, paid, now + ahead + cost);
		if (seen == paid)
			return LIMIT_IS_WITHIN;
		paid = seen;
	}
	return LIMIT_IS_UNKNOWN;
}

static __always_inline enum limit_side limit_ask(const struct scratch *s, const struct limit *limit)
{
	__u64 now = limit_now();
	__u64 key = limit_key(s, limit), number = forget(s, limit_find(s, key, now), 2 * LIMIT_BUCKETS - 1);
	struct bucket *bucket;

	if (number >= LIMIT_BUCKETS)
		return LIMIT_IS_UNKNOWN;
	bucket = limit_bucket(key, number);
	if (!bucket)
		return LIMIT_IS_UNKNOWN;
	return limit_charge(bucket, limit->flags & LIMIT_BYTES ? limit->cost * s->length : limit->cost, limit->burst,
			    now);
}

/*
 * Does the packet pass the node of limit `number`? Charges it if it is within the limit. A function of its own, and
 * global, for the same reasons as event_log(). A packet that lost all its charges to others is one without a bucket.
 */
__weak __noinline int limit_within(__u32 number)
{
	const struct limit *limit;
	enum limit_side side;
	struct scratch *s;
	const void *half;

	if (!packet_memory(&s, &half))
		return 0;
	limit = &((const struct tables_head *)half)->limit[number & (LIMITS_MAX - 1)];
	side = limit_ask(s, limit);
	if (side == LIMIT_IS_UNKNOWN) {
		counter_add(s, COUNTER_LIMITS_FULL);
		side = limit->flags & LIMIT_FULL_UNDER ? LIMIT_IS_WITHIN : LIMIT_IS_OVER;
	}
	return (side == LIMIT_IS_OVER) == !!(limit->flags & LIMIT_OVER);
}
