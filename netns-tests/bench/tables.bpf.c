// SPDX-License-Identifier: GPL-2.0
/*
 * What state costs at the least, by the tables that a kernel has: each program finds the packet's 5-tuple, drops what is
 * known, and remembers and passes what is not. Both directions have one key.
 *   hash_xdp   a hash map
 *   lru_xdp    an LRU hash map
 *   ct_xdp     the kernel's own conntrack (a kernel may refuse it)
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct tuple {
	__u32 addr[2];
	__u32 ports;
	__u32 proto;
};

struct known {
	__u64 packets;
	__u64 pad[3];
};

#define TABLE(name, kind)                                                                                              \
	struct {                                                                                                       \
		__uint(type, kind);                                                                                    \
		__uint(max_entries, 1);                                                                                \
		__type(key, struct tuple);                                                                             \
		__type(value, struct known);                                                                           \
	} name SEC(".maps")

TABLE(hash, BPF_MAP_TYPE_HASH);
TABLE(lru, BPF_MAP_TYPE_LRU_HASH);

/* IPv4 without options, TCP or UDP: all that the cases send. */
static __always_inline _Bool read_tuple(struct xdp_md *ctx, struct tuple *ret)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *ip = data + ETH_HLEN;

	if ((void *)(ip + 40) > end || *(__u16 *)(data + 12) != bpf_htons(ETH_P_IP) || ip[0] != 0x45)
		return 0;
	ret->proto = ip[9];
	ret->addr[0] = *(__u32 *)(ip + 12);
	ret->addr[1] = *(__u32 *)(ip + 16);
	ret->ports = *(__u32 *)(ip + 20);
	return 1;
}

static __always_inline void sort_ends(struct tuple *t)
{
	__u32 first = t->addr[0];

	if (first <= t->addr[1])
		return;
	t->addr[0] = t->addr[1];
	t->addr[1] = first;
	t->ports = t->ports << 16 | t->ports >> 16;
}

static __always_inline int judge(struct xdp_md *ctx, void *table)
{
	struct known new = { .packets = 1 }, *known;
	struct tuple t;

	if (!read_tuple(ctx, &t))
		return XDP_ABORTED;
	sort_ends(&t);
	known = bpf_map_lookup_elem(table, &t);
	if (known && *(volatile __u64 *)&known->packets)
		return XDP_DROP;
	return bpf_map_update_elem(table, &t, &new, BPF_ANY) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp.frags")
int hash_xdp(struct xdp_md *ctx)
{
	return judge(ctx, &hash);
}

SEC("xdp.frags")
int lru_xdp(struct xdp_md *ctx)
{
	return judge(ctx, &lru);
}

/* ---- the kernel's conntrack ---- */

struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

struct nf_conn___init {
	struct nf_conn ct;
};

struct bpf_ct_opts___local {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *, struct bpf_sock_tuple *, __u32, struct bpf_ct_opts___local *,
					 __u32) __ksym;
extern struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *, struct bpf_sock_tuple *, __u32,
					       struct bpf_ct_opts___local *, __u32) __ksym;
extern struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *) __ksym;
extern void bpf_ct_set_timeout(struct nf_conn___init *, __u32) __ksym;
extern void bpf_ct_release(struct nf_conn *) __ksym;

SEC("xdp.frags")
int ct_xdp(struct xdp_md *ctx)
{
	struct bpf_ct_opts___local opts = { .netns_id = BPF_F_CURRENT_NETNS };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn___init *new;
	struct nf_conn *known;
	struct tuple t;

	if (!read_tuple(ctx, &t))
		return XDP_ABORTED;
	opts.l4proto = t.proto;
	tuple.ipv4.saddr = t.addr[0];
	tuple.ipv4.daddr = t.addr[1];
	tuple.ipv4.sport = t.ports & 0xffff;
	tuple.ipv4.dport = t.ports >> 16;
	known = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (known) {
		bpf_ct_release(known);
		return XDP_DROP;
	}
	new = bpf_xdp_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_ABORTED;
	bpf_ct_set_timeout(new, 3600000);
	known = bpf_ct_insert_entry(new);
	if (!known)
		return XDP_ABORTED;
	bpf_ct_release(known);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
