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

static long ask_one(__u32 i, void *unused)
{
	struct request *q = bpf_map_lookup_elem(&requests, &i);
	__u64 zero = 0, full = times_full();
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	(void)unused;
	if (!q || !s)
		return 1;
	s->half = 0;
	s->length = q->length;
	s->key[KEY_FAMILY] = q->family;
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
	__u64 zero = 0, *count = bpf_map_lookup_elem(&accepted, &key);
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	(void)i;
	(void)unused;
	if (!count || !s)
		return 1;
	s->half = 0;
	s->key[KEY_FAMILY] = 4;
	s->key[KEY_SADDR0] = key;
	if (limit_within(0))
		__sync_fetch_and_add(count, 1);
	return 0;
}

static long cost_nothing(__u32 i, void *unused)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	(void)unused;
	if (!s)
		return 1;
	s->half = 0;
	s->key[KEY_SADDR0] = i & (n_keys - 1);
	return 0;
}

static long cost_clock(__u32 i, void *unused)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	(void)unused;
	if (!s)
		return 1;
	s->half = 0;
	s->key[KEY_SADDR0] = i & (n_keys - 1);
	s->generation = bpf_ktime_get_ns();
	return 0;
}

static long cost_limit(__u32 i, void *unused)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	(void)unused;
	if (!s)
		return 1;
	s->half = 0;
	s->key[KEY_SADDR0] = i & (n_keys - 1);
	limit_within(0);
	return 0;
}

SEC("tc")
int ask(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_requests, ask_one, NULL, 0);
}

SEC("tc")
int hammer(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_requests, hammer_one, NULL, 0);
}

SEC("tc")
int loop_nothing(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_requests, cost_nothing, NULL, 0);
}

SEC("tc")
int loop_clock(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_requests, cost_clock, NULL, 0);
}

SEC("tc")
int loop_limit(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_requests, cost_limit, NULL, 0);
}

char gpl[] SEC("license") = "GPL";
