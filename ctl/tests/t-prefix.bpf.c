// SPDX-License-Identifier: GPL-2.0
/* Lookups in tables of prefixes, many in one run: values in `questions`, answers behind each of them. */
#include "../../bpf/prefix.h"

/* Padding to half a line. */
struct question {
	__u32 word[4];
	__s32 answer;
	__u32 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct question);
} questions SEC(".maps");

struct table asked; /* the table in question */
__u32 n_questions;

static long ask_nothing(__u32 i, void *unused)
{
	struct question *q = bpf_map_lookup_elem(&questions, &i);

	(void)unused;
	if (!q)
		return 1;
	q->answer = (__s32)(q->word[0] ^ q->word[1] ^ q->word[2] ^ q->word[3]);
	return 0;
}

static long ask_word(__u32 i, void *unused)
{
	struct question *q = bpf_map_lookup_elem(&questions, &i);

	(void)unused;
	if (!q)
		return 1;
	q->answer = prefix_find_word(&asked, q->word[0]);
	return 0;
}

static long ask_quad(__u32 i, void *unused)
{
	struct question *q = bpf_map_lookup_elem(&questions, &i);

	(void)unused;
	if (!q)
		return 1;
	q->answer = prefix_find_quad(&asked, q->word);
	return 0;
}

SEC("tc")
int prefix_nothing(struct __sk_buff *skb)
{
	(void)skb;
	bpf_loop(n_questions, ask_nothing, NULL, 0);
	return 0;
}

SEC("tc")
int prefix_words(struct __sk_buff *skb)
{
	(void)skb;
	bpf_loop(n_questions, ask_word, NULL, 0);
	return 0;
}

SEC("tc")
int prefix_quads(struct __sk_buff *skb)
{
	(void)skb;
	bpf_loop(n_questions, ask_quad, NULL, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
