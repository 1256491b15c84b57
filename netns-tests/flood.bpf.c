// SPDX-License-Identifier: GPL-2.0
/*
 * For t-synproxy: a SYN flood from addresses that nobody has, and the end of the cable where it is sent.
 *
 * flood writes each live frame anew: IPv4 and IPv6 in turns, an option (the MSS), right checksums.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MSS 0x020405b4u

struct syn {
	struct tcphdr tcp;
	__be32 mss;
} __attribute__((packed));

struct frame4 {
	struct ethhdr eth;
	struct iphdr ip;
	struct syn syn;
} __attribute__((packed));

struct frame6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct syn syn;
} __attribute__((packed));

static const __u8 victim[ETH_ALEN] = { 0x02, 0, 0, 0, 0, 0x01 }, source[ETH_ALEN] = { 0x02, 0xbb, 0, 0, 0, 1 };

static __always_inline __u32 add(const void *at, const __u32 bytes, __u32 sum)
{
	const __u16 *half = at;

	for (__u32 i = 0; i < bytes / 2; i++)
		sum += half[i];
	return sum;
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void write_syn(struct syn *syn, __u32 pseudo)
{
	__builtin_memset(syn, 0, sizeof(*syn));
	syn->tcp.source = bpf_get_prandom_u32();
	syn->tcp.dest = bpf_htons(80);
	syn->tcp.seq = bpf_get_prandom_u32();
	syn->tcp.doff = sizeof(*syn) / 4;
	syn->tcp.syn = 1;
	syn->tcp.window = bpf_htons(64240);
	syn->mss = bpf_htonl(MSS);
	syn->tcp.check = fold(add(syn, sizeof(*syn), pseudo + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*syn))));
}

/* From 10.0.0.0/8 to 192.0.2.2. */
static __always_inline void write4(struct frame4 *f)
{
	f->eth.h_proto = bpf_htons(ETH_P_IP);
	__builtin_memset(&f->ip, 0, sizeof(f->ip));
	f->ip.version = 4;
	f->ip.ihl = 5;
	f->ip.tot_len = bpf_htons(sizeof(f->ip) + sizeof(f->syn));
	f->ip.ttl = 64;
	f->ip.protocol = IPPROTO_TCP;
	f->ip.saddr = bpf_htonl(10u << 24 | (bpf_get_prandom_u32() & 0xffffff));
	f->ip.daddr = bpf_htonl(0xc0000202);
	f->ip.check = fold(add(&f->ip, sizeof(f->ip), 0));
	write_syn(&f->syn, add(&f->ip.saddr, 8, 0));
}

/* From 2001:db8:1::/96 to 2001:db8::2. */
static __always_inline void write6(struct frame6 *f)
{
	f->eth.h_proto = bpf_htons(ETH_P_IPV6);
	__builtin_memset(&f->ip, 0, sizeof(f->ip));
	f->ip.version = 6;
	f->ip.payload_len = bpf_htons(sizeof(f->syn));
	f->ip.nexthdr = IPPROTO_TCP;
	f->ip.hop_limit = 64;
	f->ip.saddr.in6_u.u6_addr32[0] = bpf_htonl(0x20010db8);
	f->ip.saddr.in6_u.u6_addr32[1] = bpf_htonl(0x00010000);
	f->ip.saddr.in6_u.u6_addr32[3] = bpf_get_prandom_u32();
	f->ip.daddr.in6_u.u6_addr32[0] = bpf_htonl(0x20010db8);
	f->ip.daddr.in6_u.u6_addr32[3] = bpf_htonl(2);
	write_syn(&f->syn, add(&f->ip.saddr, 32, 0));
}

/* XDP_TX sends a live frame through the device that it is said to have come by. */
SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(struct frame6) > end)
		return XDP_ABORTED;
	__builtin_memcpy(eth->h_dest, victim, ETH_ALEN);
	__builtin_memcpy(eth->h_source, source, ETH_ALEN);
	if (bpf_get_prandom_u32() & 1)
		write4(data);
	else
		write6(data);
	return XDP_TX;
}

/* Where it is sent: what comes back to it goes nowhere. (A cable takes frames of XDP only if its other end has XDP.) */
SEC("xdp")
int origin(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	return eth->h_dest[0] == source[0] && eth->h_dest[1] == source[1] ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
