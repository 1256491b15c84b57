/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `reject` sends back: a TCP reset, or an ICMP error that quotes the packet.
 *
 * Here is who may be answered, how often, and what the answer says, written into memory of its own. The hook's
 * half (answer_xdp.h, answer_tc.h) gives the frame the answer's length and copies the answer over it. Bytes are
 * loaded and stored through helpers: there are few answers, and no bounds to prove.
 */
#pragma once

#ifndef HOOK_PICKED
#error "include hook_xdp.h or hook_tc.h first"
#endif

#include "counters.h"
#include "filter.h"
#include "packet.h"

#define ANSWER4_MOST    576  /* RFC 1812, 4.3.2.3 */
#define ANSWER6_MOST    1280 /* RFC 4443, 2.4 (c) */
#define ANSWER_TTL      64
#define ANSWER_TOS      0xc0 /* of ICMP errors: internetwork control, RFC 1812, 4.3.2.5 */
#define ANSWER_COST     (1000000000ull / ANSWERS_PER_SECOND)
#define ANSWER_BURST    (1000000000ull / 20)
#define ANSWER_RETRIES  4
#define LOOPBACK_DEVICE 1 /* ifindex of lo, in every network namespace */

/* RFC 792: types below 19 that ask or answer are these; others are errors, or nobody knows. RFC 4443: errors are below 128. */
#define ICMP4_UNREACHABLE 3
#define ICMP4_QUERIES     (1u << 0 | 1u << 8 | 0x3fu << 13)
#define ICMP6_UNREACHABLE 1
#define ICMP6_QUERIES     128
#define ICMP6_REDIRECT    137

/* Destination unreachable, of both families: RFC 792, RFC 4443, 3.1. The packet's first bytes follow. */
struct unreachable {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 unused;
};

/* This comes from answer_xdp.h or answer_tc.h: the frame becomes the answer, or false. */
static __always_inline bool answer_put(struct hook_ctx *ctx, const struct scratch *s, struct answer *a);

/* ---- who is answered ---- */

/* An address that names one host, this one's own (loopback) only where `own` is set. */
static __always_inline bool answer_is_host4(__u32 address, bool own)
{
	__u32 net = address >> 24;

	return net && (net != 127 || own) && address >> 28 != 0xe && address != 0xffffffff;
}

static __always_inline bool answer_is_host6(const __u32 *address, bool own)
{
	if (address[0] | address[1] | address[2])
		return address[0] >> 24 != 0xff;
	return address[3] > 1 || (address[3] == 1 && own);
}

/* ICMP errors, and what is neither a question nor an answer to one: RFC 1122, 3.2.2; RFC 4443, 2.4 (e). */
static __always_inline bool answer_is_error(const struct scratch *s)
{
	__u32 type = s->key[KEY_ICMP] >> 8;

	if (s->key[KEY_FAMILY] == 4)
		return s->key[KEY_PROTO] == IPPROTO_ICMP && (type > 31 || !(ICMP4_QUERIES >> type & 1));
	return s->key[KEY_PROTO] == IPPROTO_ICMPV6 && (type < ICMP6_QUERIES || type == ICMP6_REDIRECT);
}

/* From one host to one other, for all that can be seen. */
static __always_inline bool answer_is_between_hosts(const struct scratch *s)
{
	const __u32 *saddr = &s->key[KEY_SADDR0], *daddr = &s->key[KEY_DADDR0];
	bool own = s->ifindex == LOOPBACK_DEVICE;

	if (s->key[KEY_PRESENT] & PRESENT_LINK && s->key[KEY_DMAC0] >> 24 & 1)
		return false;
	if (s->key[KEY_FAMILY] == 4)
		return answer_is_host4(*saddr, own) && answer_is_host4(*daddr, own);
	return s->key[KEY_FAMILY] == 6 && answer_is_host6(saddr, own) && answer_is_host6(daddr, own);
}

static __always_inline bool answer_is_refused(const struct scratch *s)
{
	__u32 kind = s->redirect & 0xff;
	bool tcp = s->key[KEY_L4] == IPPROTO_TCP;

	if (reason_is_malformed(s->reason) || s->key[KEY_PRESENT] & PRESENT_LATER)
		return true;
	if (kind == REJECT_RESET ? !tcp : kind != REJECT_ICMP)
		return true;
	if (tcp && s->key[KEY_TCPFLAGS] & TCP_RST)
		return true;
	return !answer_is_between_hosts(s) || answer_is_error(s);
}

/* ANSWERS_PER_SECOND of the whole host: a GCRA (ITU-T I.371) on one word. */
static __always_inline bool answer_is_in_time(void)
{
	__u64 now = cfg.trace ? trace.now_ns : bpf_ktime_get_ns();

	for (int i = 0; i < ANSWER_RETRIES; i++) {
		__u64 paid = *(volatile __u64 *)&answers_paid;
		__u64 next = (paid > now ? paid : now) + ANSWER_COST;

		if (next > now + ANSWER_BURST)
			return false;
		if (__sync_val_compare_and_swap(&answers_paid, paid, next) == paid)
			return true;
	}
	return false; /* so many at once are too many */
}

/* 1: the packet is to be answered. Counts those that are not. */
__weak __noinline int answer_allowed(void)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return 0;
	if (answer_is_refused(s)) {
		counter_add(s, COUNTER_ANSWERS_REFUSED);
		return 0;
	}
	if (!answer_is_in_time()) {
		counter_add(s, COUNTER_ANSWERS_LIMITED);
		return 0;
	}
	return 1;
}

/* ---- what the answer says ---- */

/* Verifier: a length between two numbers. clang would make one comparison of a difference of it. */
static __always_inline bool answer_between(__u64 *bytes, const __u64 least, const __u64 most)
{
	__u64 value = *bytes;

	barrier_var(value);
	if (value > most)
		return false;
	barrier_var(value);
	if (value < least)
		return false;
	*bytes = value;
	return true;
}

/* The sum of 32-bit words in the order of memory: RFC 1071 (B). */
static __always_inline __u64 answer_sum(const struct answer *a, const __u32 first, const __u32 end)
{
	const __u32 *word = (const __u32 *)a->packet;
	__u64 sum = 0;

	barrier(); /* clang: what was written as other types is in memory */
#pragma clang loop unroll(disable)
	for (__u32 i = first; i < end; i++)
		sum += word[i];
	return sum;
}

static __always_inline __u16 answer_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void answer_write_ipv4(const struct scratch *s, struct answer *a, __u32 proto, __u32 tos)
{
	struct iphdr *ip = (void *)a->packet;

	*(__u8 *)ip = 0x45;
	ip->tos = tos;
	ip->tot_len = bpf_htons(a->bytes);
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000); /* do not fragment, so that the id means nothing: RFC 6864 */
	ip->ttl = ANSWER_TTL;
	ip->protocol = proto;
	ip->check = 0;
	ip->saddr = bpf_htonl(s->key[KEY_DADDR0]);
	ip->daddr = bpf_htonl(s->key[KEY_SADDR0]);
	ip->check = answer_fold(answer_sum(a, 0, sizeof(*ip) / 4));
}

static __always_inline void answer_write_ipv6(const struct scratch *s, struct answer *a, __u32 proto)
{
	struct ipv6hdr *ip6 = (void *)a->packet;

	*(__be32 *)ip6 = bpf_htonl(6u << 28);
	ip6->payload_len = bpf_htons(a->bytes - sizeof(*ip6));
	ip6->nexthdr = proto;
	ip6->hop_limit = ANSWER_TTL;
	for (int i = 0; i < 4; i++) {
		ip6->saddr.in6_u.u6_addr32[i] = bpf_htonl(s->key[KEY_DADDR0 + i]);
		ip6->daddr.in6_u.u6_addr32[i] = bpf_htonl(s->key[KEY_SADDR0 + i]);
	}
}

/* The sum of the pseudo header, from the IP header that is written. */
static __always_inline __u64 answer_pseudo(const struct answer *a, __u32 proto, const bool ipv6)
{
	const __u32 header = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	return answer_sum(a, ipv6 ? 2 : 3, header / 4) + bpf_htonl(proto) + bpf_htonl(a->bytes - header);
}

/* RFC 9293, 3.10.7.1. */
static __always_inline bool answer_write_reset(struct hook_ctx *ctx, const struct scratch *s, struct answer *a,
					       const bool ipv6)
{
	const __u32 header = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct tcphdr *tcp = (void *)((__u8 *)a->packet + header), got;

	if (hook_load(ctx, s->l3, &got, sizeof(got)))
		return false;
	a->bytes = header + sizeof(*tcp);
	if (ipv6)
		answer_write_ipv6(s, a, IPPROTO_TCP);
	else
		answer_write_ipv4(s, a, IPPROTO_TCP, 0);
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = got.dest;
	tcp->dest = got.source;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (got.ack) {
		tcp->seq = got.ack_seq;
	} else {
		__u32 payload = s->end - s->l3 - got.doff * 4;

		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(bpf_ntohl(got.seq) + payload + got.syn + got.fin);
	}
	tcp->check = answer_fold(answer_sum(a, header / 4, (header + sizeof(*tcp)) / 4) +
				 answer_pseudo(a, IPPROTO_TCP, ipv6));
	return true;
}

/* With as much of the packet as its size allows. */
static __always_inline bool answer_write_icmp(struct hook_ctx *ctx, const struct scratch *s, struct answer *a,
					      const bool ipv6)
{
	const __u32 header = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 most = ipv6 ? ANSWER6_MOST : ANSWER4_MOST;
	const __u32 room = most - header - sizeof(struct unreachable);
	struct unreachable *icmp = (void *)((__u8 *)a->packet + header);
	__u64 quote = s->end - s->ip, sum;

	for (__u64 i = 0; i < sizeof(a->packet) / 8; i++) {
		a->packet[i] = 0;
		barrier(); /* clang: else a call of memset, which there is none */
	}
	if (quote > room)
		quote = room;
	if (!answer_between(&quote, sizeof(struct iphdr), room) || hook_load(ctx, s->ip, icmp + 1, quote))
		return false;
	a->bytes = header + sizeof(*icmp) + quote;
	if (ipv6)
		answer_write_ipv6(s, a, IPPROTO_ICMPV6);
	else
		answer_write_ipv4(s, a, IPPROTO_ICMP, ANSWER_TOS);
	icmp->type = ipv6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE;
	icmp->code = s->redirect >> (ipv6 ? REJECT_CODE6 : REJECT_CODE4);
	sum = answer_sum(a, header / 4, most / 4);
	if (ipv6)
		sum += answer_pseudo(a, IPPROTO_ICMPV6, true);
	icmp->checksum = answer_fold(sum);
	return true;
}

/* Back to where the frame came from, with the same tags. */
static __always_inline bool answer_write_link(struct hook_ctx *ctx, const struct scratch *s, struct answer *a)
{
	__u64 bytes = s->ip;

	a->link_bytes = 0;
	if (!(s->key[KEY_PRESENT] & PRESENT_LINK))
		return true;
	if (!answer_between(&bytes, ETH_HLEN, sizeof(a->link)))
		return false;
	a->link_bytes = bytes;
	return !hook_load(ctx, ETH_ALEN, a->link, ETH_ALEN) && !hook_load(ctx, 0, a->link + ETH_ALEN, ETH_ALEN) &&
	       !hook_load(ctx, 2 * ETH_ALEN, a->link + 2 * ETH_ALEN, bytes - 2 * ETH_ALEN);
}

static __always_inline bool answer_write(struct hook_ctx *ctx, const struct scratch *s, struct answer *a)
{
	bool reset = (s->redirect & 0xff) == REJECT_RESET, done;

	if (s->key[KEY_FAMILY] == 6)
		done = reset ? answer_write_reset(ctx, s, a, true) : answer_write_icmp(ctx, s, a, true);
	else
		done = reset ? answer_write_reset(ctx, s, a, false) : answer_write_icmp(ctx, s, a, false);
	return done && answer_write_link(ctx, s, a);
}

/* true: the frame is the answer now, to be sent to where it came from. */
static __always_inline bool answer(struct hook_ctx *ctx)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct answer *a = bpf_map_lookup_elem(&answer_buffer, &zero);

	if (!s || !a || !answer_allowed())
		return false;
	if (!answer_write(ctx, s, a) || !answer_put(ctx, s, a)) {
		counter_add(s, COUNTER_ANSWERS_REFUSED);
		return false;
	}
	counter_add(s, COUNTER_ANSWERS);
	return true;
}
