// SPDX-License-Identifier: GPL-2.0
/* For t-exact-bpf: looks keys[i] up in a table of the pool, and says in found[i] what the packets' code says. */
#include "../../bpf/exact.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct set_quad_key);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __s64); /* entries of an array are multiples of 8 bytes */
} found SEC(".maps");

struct table table;
__u32 n_keys;

static long look_up_word(__u32 i, void *unused)
{
	struct set_quad_key *key = bpf_map_lookup_elem(&keys, &i);
	__s64 *answer = bpf_map_lookup_elem(&found, &i);

	(void)unused;
	if (!key || !answer)
		return 1;
	*answer = exact_find_word(&table, key->word[0]);
	return 0;
}

static long look_up_quad(__u32 i, void *unused)
{
	struct set_quad_key *key = bpf_map_lookup_elem(&keys, &i);
	__s64 *answer = bpf_map_lookup_elem(&found, &i);

	(void)unused;
	if (!key || !answer)
		return 1;
	*answer = exact_find_quad(&table, key->word);
	return 0;
}

SEC("tc")
int find_word(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_keys, look_up_word, NULL, 0);
}

SEC("tc")
int find_quad(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_loop(n_keys, look_up_quad, NULL, 0);
}

char gpl[] SEC("license") = "GPL";
