// SPDX-License-Identifier: GPL-2.0
/* For t-limit-bpf: packets of `requests` against limits, at times that each of them says; and many against the clock. */
#include "../../bpf/limit.h"

struct request {
	__u64 now_ns;
	__u32 word[4]; /* source address */
	__u32 family;
	__u32 length;
	__u32 limit;
	__s32 within; /* out */
	__u32 full;   /* out: how often COUNTER_LIMITS_FULL counted it */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct request);
} requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} accepted SEC(".maps");

__u32 n_requests;
__u32 n_keys; /* source addresses of the packets against the clock */

static __always_inline __u64 times_full(void)
{
	__u64 number = array_key(COUNTER_LIMITS_FULL);
	const struct counter *counter = bpf_map_lookup_elem(&counters, &number);

	return counter ? counter->packets : 0;
}

static __always_inline struct scratch *packet_of(__u32 family)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return NULL;
	s->half = 0;
	s->key[KEY_FAMILY] = family;
	return s;
}

static long ask_one(__u32 i, void *unused)
{
	struct request *q = bpf_map_lookup_elem(&requests, &i);
	__u64 full = times_full();
	struct scratch *s;

	(void)unused;
	if (!q)
		return 1;
	s = packet_of(q->family);
	if (!s)
		return 1;
	s->length = q->length;
	for (int word = 0; word < 4; word++)
		s->key[KEY_SADDR0 + word] = q->word[word];
	trace.now_ns = q->now_ns;
	q->within = limit_within(q->limit);
	q->full = times_full() - full;
	return 0;
}

/* A packet of a random key, now. */
static long hammer_one(__u32 i, void *unused)
{
	__u32 key = n_keys == 1 ? 0 : bpf_get_prandom_u32() % n_keys;
	__u64 *count = bpf_map_lookup_elem(&accepted, &key);
	struct scratch *s = packet_of(4);

	(void)i;
	(void)unused;
	if (!count || !s)
		return 1;
	s->key[KEY_SADDR0] = key;
	if (limit_within(0))
		__sync_fetch_and_add(count, 1);
	return 0;
}

/* The program `name`: `each` as often as there are requests. */
#define LOOP(name, each)                                                                                               \
	SEC("tc")                                                                                                      \
	int name(struct __sk_buff *skb)                                                                                \
	{                                                                                                              \
		(void)skb;                                                                                             \
		return bpf_loop(n_requests, each, NULL, 0);                                                            \
	}

/* The program `name`: `work` for packets of all keys in turn. A macro, so that nothing but the work is measured. */
#define COST(name, work)                                                                                               \
	static long name##_one(__u32 i, void *unused)                                                                  \
	{                                                                                                              \
		struct scratch *s = packet_of(4);                                                                      \
                                                                                                                       \
		(void)unused;                                                                                          \
		if (!s)                                                                                                \
			return 1;                                                                                      \
		s->key[KEY_SADDR0] = i & (n_keys - 1);                                                                 \
		work;                                                                                                  \
		return 0;                                                                                              \
	}                                                                                                              \
	LOOP(name, name##_one)

LOOP(ask, ask_one)
LOOP(hammer, hammer_one)
COST(loop_nothing, )
COST(loop_clock, s->generation = bpf_ktime_get_ns())
COST(loop_limit, limit_within(0))

char gpl[] SEC("license") = "GPL";
