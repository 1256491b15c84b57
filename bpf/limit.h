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

#define LIMIT_CLAIMS  4  /* a claim that is lost to another key looks again */
#define LIMIT_CHARGES 16 /* the same, lost to another packet of the key */
/* CPUs may differ that much in what is now: one may sleep between its look at the clock and its charge. */
#define LIMIT_SKEW (1000000000ull << LIMIT_TICK)

static __always_inline __u64 limit_now(void)
{
	return (cfg.trace ? trace.now_ns : bpf_ktime_get_ns()) << LIMIT_TICK;
}

/*
 * Each word is multiplied by a secret number of its own: who does not know the seed cannot choose two keys that are
 * more likely to meet than any others.
 */
static __always_inline __u64 limit_key(const struct scratch *s, const struct limit *limit)
{
	__u32 family = s->key[KEY_FAMILY] == 6;
	__u64 secret = cfg.seed, hash = secret + node_mix(secret) * limit->number;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < LIMIT_WORDS; i++) {
		if (i >= limit->n_words)
			break;
		secret += 0x9e3779b97f4a7c15u;
		hash += node_mix(secret) * (s->key[limit->word[i] & (KEY_MAX - 1)] & limit->mask[family][i]);
	}
	hash = node_mix(hash);
	return hash ? hash : 1;
}

/*
 * The key's bucket: the first one in order that has the key, so that two CPUs that claimed one each agree from then
 * on; else one that is free. NULL: all are in use.
 */
static __always_inline struct bucket *limit_bucket(__u64 key, __u64 now)
{
	__u64 at = array_key(key >> 32 & cfg.bucket_mask & ~1u);
	__u64 next = array_key((key >> 32 & cfg.bucket_mask) | 1);

#pragma clang loop unroll(disable)
	for (__u32 claim = 0; claim < LIMIT_CLAIMS; claim++) {
		struct bucket_line *line = bpf_map_lookup_elem(&buckets, &at);
		struct bucket *idle = NULL;
		__u64 owner = 0, seen;

		for (__u32 i = 0; i < 2 * BUCKETS_PER_LINE; i++) {
			struct bucket *bucket;

			if (i == BUCKETS_PER_LINE)
				line = bpf_map_lookup_elem(&buckets, &next);
			if (!line)
				return NULL;
			bucket = &line->bucket[i % BUCKETS_PER_LINE];
			seen = *(volatile __u64 *)&bucket->key;
			if (seen == key)
				return bucket;
			if (!idle && (!seen || (__s64)(*(volatile __u64 *)&bucket->paid - now) <= 0)) {
				idle = bucket;
				owner = seen;
			}
		}
		if (!idle)
			return NULL;
		seen = __sync_val_compare_and_swap(&idle->key, owner, key);
		if (seen == owner || seen == key)
			return idle;
	}
	return NULL;
}

enum limit_side { LIMIT_IS_WITHIN, LIMIT_IS_OVER, LIMIT_IS_UNKNOWN };

/* The caller sees to it that nothing here reaches 2^63. */
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
	struct bucket *bucket = limit_bucket(limit_key(s, limit), now);

	if (!bucket)
		return LIMIT_IS_UNKNOWN;
	return limit_charge(bucket, limit->flags & LIMIT_BYTES ? limit->cost * s->length : limit->cost, limit->burst,
			    now);
}

/* Does the packet pass the node of limit `number`? Charges it if it is within the limit. */
__weak __noinline int limit_within(__u32 number)
{
	const struct tables_head *t;
	const struct limit *limit;
	enum limit_side side;
	struct scratch *s;

	if (!packet_memory(&s, (const void **)&t))
		return 0;
	limit = &t->limit[number & (LIMITS_MAX - 1)];
	side = limit_ask(s, limit);
	if (side == LIMIT_IS_UNKNOWN) {
		counter_add(s, COUNTER_LIMITS_FULL);
		side = limit->flags & LIMIT_FULL_UNDER ? LIMIT_IS_WITHIN : LIMIT_IS_OVER;
	}
	return (side == LIMIT_IS_OVER) == !!(limit->flags & LIMIT_OVER);
}
