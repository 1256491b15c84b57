/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flow -> the bytes of a well-formed frame: IPv4 or IPv6 header and the transport header, checksums right.
 *
 * Everything that a flow can change is written each time, since the frame under it is the last one's. The Ethernet
 * addresses and what follows the transport header are the template's, and zero. Every target of a run pays the same
 * for this, so it is gone from each difference.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"

#define TRANSPORT_WORDS 5 /* 20 bytes: TCP without options */

/* One's complement sums do not care for byte order: big-endian words may be added as they are. */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* `pseudo`: the sum of addresses, protocol and length. */
static __always_inline void write_transport(__u32 *to, __u32 ports_be, __u32 proto, __u32 flags, __u32 length,
					    __u64 pseudo, bool tcp_only)
{
	__u16 *half = (__u16 *)to;

	if (tcp_only || proto == IPPROTO_TCP) {
		__u32 third = bpf_htonl(0x50000000 | flags << 16 | 0xffff); /* data offset 5, window */
		/* Both ends begin with 0 and have sent nothing since: so segments of both lie in the windows. */
		__u32 seq_be = bpf_htonl(~flags >> 1 & 1), ack_be = bpf_htonl(flags >> 4 & 1);

		to[0] = ports_be;
		to[1] = seq_be;
		to[2] = ack_be;
		to[3] = third;
		to[4] = fold(pseudo + ports_be + seq_be + ack_be + third); /* and no urgent pointer */
		return;
	}
	to[0] = to[1] = to[2] = to[3] = to[4] = 0;
	if (proto == IPPROTO_UDP) {
		__u16 sum;

		to[0] = ports_be;
		sum = fold(pseudo + ports_be + bpf_htons(length));
		half[2] = bpf_htons(length);
		half[3] = sum ? sum : 0xffff;
	} else if (proto == IPPROTO_SCTP) {
		to[0] = ports_be;
	} else if (proto == IPPROTO_ICMP) { /* an echo request */
		to[0] = bpf_htonl(0x08000000);
		half[1] = fold(bpf_htonl(0x08000000));
	} else if (proto == IPPROTO_ICMPV6) {
		to[0] = bpf_htonl(0x80000000);
		half[1] = fold(pseudo + bpf_htonl(0x80000000));
	} else if (proto == IPPROTO_AH) { /* 12 bytes, then a protocol for experiments: nothing to parse on */
		to[0] = bpf_htonl(253u << 24 | 1 << 16);
	}
}

static __always_inline bool write4(void *data, void *end, const struct frame_config *f, __u32 saddr, __u32 daddr,
				   __u32 ports, __u32 proto, __u32 flags, bool tcp_only)
{
	__u32 *ip = data + ETH_HLEN;
	__u64 addresses = (__u64)saddr + daddr;
	__u32 first = bpf_htonl(0x45000000 | f->total4), third = bpf_htonl(64 << 24 | proto << 16);

	if ((void *)(ip + 5 + TRANSPORT_WORDS) > end)
		return false;
	ip[0] = first;
	ip[1] = 0;
	ip[2] = third | (__u32)fold(addresses + first + third) << 16; /* little-endian: the second half */
	ip[3] = saddr;
	ip[4] = daddr;
	write_transport(ip + 5, ports, proto, flags, f->transport4, addresses + bpf_htonl(proto << 16 | f->transport4),
			tcp_only);
	return true;
}

static __always_inline bool write6(void *data, void *end, const struct frame_config *f, const struct flow *flow)
{
	__u32 *ip = data + ETH_HLEN;
	__u64 addresses = 0;

	if ((void *)(ip + 10 + TRANSPORT_WORDS) > end)
		return false;
	ip[0] = bpf_htonl(0x60000000);
	ip[1] = bpf_htonl(f->payload6 << 16 | flow->proto << 8 | 64);
	for (int i = 0; i < 4; i++) {
		ip[2 + i] = flow->saddr_be[i];
		ip[6 + i] = flow->daddr_be[i];
		addresses += (__u64)flow->saddr_be[i] + flow->daddr_be[i];
	}
	write_transport(ip + 10, flow->ports_be, flow->proto, flow->flags, f->payload6,
			addresses + bpf_htonl(flow->proto << 16 | f->payload6), f->tcp);
	return true;
}

/* A frame of either family over one of either family. */
static __always_inline bool write_any(void *data, void *end, const struct frame_config *f, const struct flow *flow)
{
	__u16 *type = data + 2 * ETH_ALEN;
	__u32 *behind = data + ETH_HLEN + 40;

	if ((void *)(behind + TRANSPORT_WORDS) > end)
		return false;
	if (flow->family == 6) {
		*type = bpf_htons(ETH_P_IPV6);
		return write6(data, end, f, flow);
	}
	*type = bpf_htons(ETH_P_IP);
	for (int i = 0; i < TRANSPORT_WORDS; i++) /* an IPv6 frame's ports would be this one's payload */
		behind[i] = 0;
	return write4(data, end, f, flow->saddr_be[0], flow->daddr_be[0], flow->ports_be, flow->proto, flow->flags,
		      f->tcp);
}

static __always_inline bool write_record(void *data, void *end, const struct frame_config *f, const void *record)
{
	if (f->words == FLOW4_WORDS) {
		const struct flow4 *flow = record;

		return write4(data, end, f, flow->saddr_be, flow->daddr_be, flow->ports_be, flow->proto, flow->flags,
			      f->tcp);
	}
	return write_any(data, end, f, record);
}
