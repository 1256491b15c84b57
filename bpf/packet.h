/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ethernet to transport header, parsed once into the key. A length field is an attacker's opinion: each
 * one is held against the bytes that are there. The order of the checks is part of the contract (the
 * frame table in ctl/tests names the reason of each).
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "cursor.h"

#define VLAN_TAGS_MAX   2
#define EXT_HEADERS_MAX 8

/* Bytes of a transport header that must be there before its ports, type or flags are believed. */
#define TCP_BYTES  20
#define UDP_BYTES  8
#define SCTP_BYTES 12
#define ICMP_BYTES 8

#define IPPROTO_MOBILITY 135
#define IPPROTO_HIP      139
#define IPPROTO_SHIM6    140

/* On the wire, RFC 8200 section 4.5. The reserved byte and bits mean nothing and are not looked at. */
struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

/* The first bytes that all other extension headers and AH (RFC 4302) share. */
struct extension_header {
	__u8 next;
	__u8 length;
};

static __always_inline bool is_vlan(__u16 type_be)
{
	return type_be == bpf_htons(ETH_P_8021Q) || type_be == bpf_htons(ETH_P_8021AD);
}

static __always_inline __u32 load_be32(const void *at)
{
	const __u8 *b = at;

	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

static __always_inline __u32 load_be16(const void *at)
{
	const __u8 *b = at;

	return (__u32)b[0] << 8 | b[1];
}

/* Records one more tag; the third is one too many. */
static __always_inline enum reason packet_add_tag(struct scratch *s, __u16 tci)
{
	if (!(s->key[KEY_PRESENT] & PRESENT_VLAN0)) {
		s->key[KEY_VLAN0] = tci;
		s->key[KEY_PRESENT] |= PRESENT_VLAN0;
		return REASON_RULE;
	}
	if (s->key[KEY_PRESENT] & PRESENT_VLAN1)
		return REASON_TOO_MANY_TAGS;
	s->key[KEY_VLAN1] = tci;
	s->key[KEY_PRESENT] |= PRESENT_VLAN1;
	return REASON_RULE;
}

/* A tag that the NIC or the stack has taken off the frame is the outer one; the hook adds it before this. */
static __always_inline enum reason packet_parse_link(struct hook_ctx *ctx, struct scratch *s)
{
	const struct ethhdr *eth = cursor_at(ctx, s, 0, sizeof(*eth));
	__u32 offset = sizeof(*eth);
	__u16 type_be;

	if (!eth)
		return REASON_TRUNCATED;
	s->key[KEY_PRESENT] |= PRESENT_LINK;
	s->key[KEY_DMAC0] = load_be32(eth->h_dest);
	s->key[KEY_DMAC1] = load_be16(eth->h_dest + 4);
	s->key[KEY_SMAC0] = load_be32(eth->h_source);
	s->key[KEY_SMAC1] = load_be16(eth->h_source + 4);
	type_be = eth->h_proto;

	for (int i = 0; i <= VLAN_TAGS_MAX; i++) {
		const __be16 *tag; /* tag control information, then the next type */
		enum reason reason;

		if (!is_vlan(type_be))
			break;
		tag = cursor_at(ctx, s, offset, 4);
		if (!tag)
			return REASON_TRUNCATED;
		type_be = tag[1];
		reason = packet_add_tag(s, bpf_ntohs(tag[0]));
		if (reason != REASON_RULE)
			return reason;
		offset += 4;
	}
	s->l3 = offset;
	s->key[KEY_ETYPE] = bpf_ntohs(type_be);
	return REASON_RULE;
}

/*
 * Follows the headers between the IP header and the transport header: all of IPv6's, in IPv4 only AH.
 * ESP is where looking ends. `next` is the protocol of the header at `offset`.
 */
static __always_inline enum reason packet_parse_chain(struct hook_ctx *ctx, struct scratch *s, __u32 offset, __u32 next,
						      const bool ipv6)
{
	for (int i = 0; i <= EXT_HEADERS_MAX; i++) {
		const struct extension_header *ext;
		__u32 bytes;

		if (next == IPPROTO_AH) {
			bytes = 4;
		} else if (ipv6 && next == IPPROTO_FRAGMENT) {
			bytes = 0;
		} else if (ipv6 && (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
				    next == IPPROTO_MOBILITY || next == IPPROTO_HIP || next == IPPROTO_SHIM6)) {
			bytes = 8;
		} else {
			s->key[KEY_PROTO] = next;
			s->l3 = offset;
			return REASON_RULE;
		}
		if (i == EXT_HEADERS_MAX)
			return REASON_CHAIN_LENGTH;
		if (offset + 8 > s->end)
			return REASON_CHAIN_END;
		ext = cursor_at(ctx, s, offset, 8);
		if (!ext)
			return REASON_TRUNCATED;
		if (ipv6)
			s->key[KEY_PRESENT] |= PRESENT_OPTIONS;
		next = ext->next;
		if (!bytes) {
			__u32 field = bpf_ntohs(((const struct fragment_header *)ext)->offset);

			s->key[KEY_FRAG] = field;
			s->key[KEY_PRESENT] |= PRESENT_FRAGHDR;
			if (!(s->key[KEY_PRESENT] & PRESENT_FRAGMENT)) {
				s->fragment_id = bpf_ntohl(((const struct fragment_header *)ext)->id);
				s->fragment_at = offset + 8;
			} else {
				s->fragment_at = 0;
			}
			if (field & 0xfff9)
				s->key[KEY_PRESENT] |= PRESENT_FRAGMENT;
			if (field & 0xfff8) {
				s->key[KEY_PRESENT] |= PRESENT_LATER;
				s->key[KEY_PROTO] = next;
				return REASON_RULE;
			}
			bytes = 8;
		} else if (bytes == 4) {
			bytes = (ext->length + 2) * 4;
		} else {
			bytes = (ext->length + 1) * 8;
		}
		if (offset + bytes > s->end)
			return REASON_CHAIN_END;
		offset += bytes;
	}
	return REASON_CHAIN_LENGTH;
}

static __always_inline enum reason packet_parse_ipv4(struct hook_ctx *ctx, struct scratch *s)
{
	const struct iphdr *ip = cursor_at(ctx, s, s->l3, sizeof(*ip));
	__u32 left, header, total, frag, next;

	if (!ip)
		return REASON_TRUNCATED;
	left = s->length - s->l3;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	frag = bpf_ntohs(ip->frag_off);
	next = ip->protocol;
	if (ip->version != 4)
		return REASON_BAD_VERSION;
	if (header < sizeof(*ip) || header > left)
		return REASON_BAD_IHL;
	s->key[KEY_FAMILY] = 4;
	s->key[KEY_SADDR0] = bpf_ntohl(ip->saddr);
	s->key[KEY_DADDR0] = bpf_ntohl(ip->daddr);
	s->key[KEY_NEXTHDR] = next;
	s->key[KEY_TOS] = ip->tos;
	s->key[KEY_TTL] = ip->ttl;
	s->key[KEY_IPLEN] = total;
	s->key[KEY_FRAG] = frag;
	if (header > sizeof(*ip))
		s->key[KEY_PRESENT] |= PRESENT_OPTIONS;
	if (total == 0 && left > 0xffff) /* BIG TCP: the stack leaves the field 0 where 16 bits do not hold it */
		total = left;
	if (total < header || total > left)
		return REASON_BAD_LENGTH;
	s->end = s->l3 + total;
	if ((frag & 0x1fff) == 1) /* RFC 1858: it would overwrite the flags of the TCP header before it */
		return REASON_FRAGMENT_OFFSET;
	if (frag & 0x3fff) {
		s->key[KEY_PRESENT] |= PRESENT_FRAGMENT;
		s->fragment_id = bpf_ntohs(ip->id);
		s->fragment_at = s->l3 + header;
	}
	if (frag & 0x1fff) {
		s->key[KEY_PRESENT] |= PRESENT_LATER;
		s->key[KEY_PROTO] = next;
		return REASON_RULE;
	}
	return packet_parse_chain(ctx, s, s->l3 + header, next, false);
}

static __always_inline enum reason packet_parse_ipv6(struct hook_ctx *ctx, struct scratch *s)
{
	const struct ipv6hdr *ip6 = cursor_at(ctx, s, s->l3, sizeof(*ip6));
	__u32 left, payload, next, l4;

	if (!ip6)
		return REASON_TRUNCATED;
	if (ip6->version != 6)
		return REASON_BAD_VERSION;
	left = s->length - s->l3 - sizeof(*ip6);
	payload = bpf_ntohs(ip6->payload_len);
	next = ip6->nexthdr;
	s->key[KEY_FAMILY] = 6;
	for (int i = 0; i < 4; i++) {
		s->key[KEY_SADDR0 + i] = bpf_ntohl(ip6->saddr.in6_u.u6_addr32[i]);
		s->key[KEY_DADDR0 + i] = bpf_ntohl(ip6->daddr.in6_u.u6_addr32[i]);
	}
	s->key[KEY_NEXTHDR] = next;
	s->key[KEY_TOS] = load_be16(ip6) >> 4 & 0xff;
	s->key[KEY_TTL] = ip6->hop_limit;
	s->key[KEY_IPLEN] = payload;
	if (payload == 0 && left > 0xffff) /* BIG TCP, RFC 2675 */
		payload = left;
	if (payload > left)
		return REASON_BAD_LENGTH;
	l4 = s->l3 + sizeof(*ip6);
	s->end = l4 + payload;
	return packet_parse_chain(ctx, s, l4, next, true);
}

static __always_inline enum reason packet_parse_tcp(struct hook_ctx *ctx, struct scratch *s, const enum reason cut)
{
	const __u8 *tcp = cursor_at(ctx, s, s->l3, TCP_BYTES);
	__u32 header;

	if (!tcp)
		return cut;
	header = (tcp[12] >> 4) * 4;
	s->key[KEY_SPORT] = load_be16(tcp);
	s->key[KEY_DPORT] = load_be16(tcp + 2);
	s->key[KEY_TCPFLAGS] = tcp[13];
	if (header < TCP_BYTES)
		return REASON_BAD_DOFF;
	if (s->l3 + header > s->end)
		return s->key[KEY_PRESENT] & PRESENT_FRAGMENT ? REASON_TINY_FRAGMENT : REASON_BAD_DOFF;
	return REASON_RULE;
}

/* s->l3 is the transport header's offset by now, KEY_PROTO its protocol. */
static __always_inline enum reason packet_parse_transport(struct hook_ctx *ctx, struct scratch *s)
{
	enum reason cut = s->key[KEY_PRESENT] & PRESENT_FRAGMENT ? REASON_TINY_FRAGMENT : REASON_TRUNCATED;
	__u32 proto = s->key[KEY_PROTO];
	enum reason reason;
	const __u8 *header;
	__u32 bytes;

	if (proto == IPPROTO_TCP)
		bytes = TCP_BYTES;
	else if (proto == IPPROTO_SCTP)
		bytes = SCTP_BYTES;
	else if (proto == IPPROTO_UDP || proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		bytes = UDP_BYTES;
	else
		return REASON_RULE;
	if (s->l3 + bytes > s->end)
		return cut;
	if (proto == IPPROTO_TCP) {
		reason = packet_parse_tcp(ctx, s, cut);
		if (reason != REASON_RULE)
			return reason;
		s->key[KEY_PRESENT] |= PRESENT_PORTS;
	} else {
		header = cursor_at(ctx, s, s->l3, UDP_BYTES);
		if (!header)
			return cut;
		if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
			s->key[KEY_ICMP] = load_be16(header);
		} else {
			s->key[KEY_SPORT] = load_be16(header);
			s->key[KEY_DPORT] = load_be16(header + 2);
			s->key[KEY_PRESENT] |= PRESENT_PORTS;
		}
	}
	s->key[KEY_L4] = proto;
	return REASON_RULE;
}

/* The words that rules are compared by, from the others. */
static __always_inline void packet_summarise(struct scratch *s)
{
	__u32 proto = s->key[KEY_PROTO];

	s->key[KEY_PORTS] = s->key[KEY_SPORT] << 16 | s->key[KEY_DPORT] | s->key[KEY_ICMP];
	s->key[KEY_CLASS] = (proto & 0xff) << CLASS_PROTO | (s->key[KEY_L4] != PROTO_NONE) << CLASS_L4 |
			    (s->key[KEY_PRESENT] / PRESENT_PORTS & 1) << CLASS_PORTS |
			    (proto == s->key[KEY_NEXTHDR]) << CLASS_DIRECT | s->key[KEY_TCPFLAGS] << CLASS_TCPFLAGS;
}

/*
 * The usual packet in one go: untagged Ethernet, IPv4 without options, not a fragment, TCP or UDP, all of it
 * right and in the linear part. false: anything else, and nothing is written; packet_parse() says what it is.
 *
 * What a frame in several buffers has behind such a packet is padding, and is not counted into its length.
 */
static __always_inline bool packet_parse_usual(struct hook_ctx *ctx, struct scratch *s)
{
	const __u8 *frame = hook_data(ctx);
	const struct iphdr *ip = (const void *)(frame + ETH_HLEN);
	const __u8 *l4 = (const void *)(ip + 1);
	__u32 total, least, proto, header, ports, flags = 0;

	if ((const void *)(l4 + TCP_BYTES) > hook_data_end(ctx))
		return false;
	if (*(const __u16 *)(frame + 12) != bpf_htons(ETH_P_IP) || *(const __u8 *)ip != 0x45 ||
	    ip->frag_off & bpf_htons(0x3fff))
		return false;
	total = bpf_ntohs(ip->tot_len);
	proto = ip->protocol;
	ports = load_be32(l4);
	header = UDP_BYTES;
	least = UDP_BYTES;
	if (proto == IPPROTO_TCP) {
		header = (l4[12] >> 4) * 4;
		least = TCP_BYTES;
		flags = l4[13];
	} else if (proto != IPPROTO_UDP) {
		return false;
	}
	if (header < least || sizeof(*ip) + header > total || ETH_HLEN + total > s->length)
		return false;
	s->ip = ETH_HLEN;
	s->l3 = ETH_HLEN + sizeof(*ip);
	s->end = ETH_HLEN + total;
	s->key[KEY_PRESENT] |= PRESENT_LINK | PRESENT_PORTS;
	s->key[KEY_LENGTH] = s->length - ETH_HLEN;
	s->key[KEY_ETYPE] = ETH_P_IP;
	s->key[KEY_DMAC0] = load_be32(frame);
	s->key[KEY_DMAC1] = load_be16(frame + 4);
	s->key[KEY_SMAC0] = load_be32(frame + 6);
	s->key[KEY_SMAC1] = load_be16(frame + 10);
	s->key[KEY_FAMILY] = 4;
	s->key[KEY_NEXTHDR] = proto;
	s->key[KEY_PROTO] = proto;
	s->key[KEY_L4] = proto;
	s->key[KEY_SADDR0] = bpf_ntohl(ip->saddr);
	s->key[KEY_DADDR0] = bpf_ntohl(ip->daddr);
	s->key[KEY_TOS] = ip->tos;
	s->key[KEY_TTL] = ip->ttl;
	s->key[KEY_IPLEN] = total;
	s->key[KEY_FRAG] = bpf_ntohs(ip->frag_off);
	s->key[KEY_SPORT] = ports >> 16;
	s->key[KEY_DPORT] = ports & 0xffff;
	s->key[KEY_TCPFLAGS] = flags;
	s->key[KEY_PORTS] = ports;
	s->key[KEY_CLASS] =
		proto << CLASS_PROTO | 1 << CLASS_L4 | 1 << CLASS_PORTS | 1 << CLASS_DIRECT | flags << CLASS_TCPFLAGS;
	return true;
}

/* Fills the key. REASON_RULE: the rules may judge it; anything else is why they may not. */
static __always_inline enum reason packet_parse_any(struct hook_ctx *ctx, struct scratch *s, bool raw_ip)
{
	enum reason reason;

	if (raw_ip) {
		const __u8 *first = cursor_at(ctx, s, 0, 1);

		if (!first)
			return REASON_TRUNCATED;
		s->l3 = 0;
		s->key[KEY_ETYPE] = *first >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	} else {
		reason = packet_parse_link(ctx, s);
		if (reason != REASON_RULE)
			return reason;
	}
	s->ip = s->l3;
	s->key[KEY_LENGTH] = s->length - s->l3;
	if (s->key[KEY_ETYPE] == ETH_P_IP)
		reason = packet_parse_ipv4(ctx, s);
	else if (s->key[KEY_ETYPE] == ETH_P_IPV6)
		reason = packet_parse_ipv6(ctx, s);
	else
		return REASON_RULE;
	if (reason != REASON_RULE || s->key[KEY_PRESENT] & PRESENT_LATER)
		return reason;
	return packet_parse_transport(ctx, s);
}

/* The same, the usual packet first. A tag that the hook took off the frame makes it unusual. */
static __always_inline enum reason packet_parse(struct hook_ctx *ctx, struct scratch *s, bool raw_ip)
{
	if (!raw_ip && !(s->key[KEY_PRESENT] & PRESENT_VLAN0) && packet_parse_usual(ctx, s)) {
		s->reason = REASON_RULE;
	} else {
		if (!cfg.trace)
			s->length = hook_length(ctx);
		s->reason = packet_parse_any(ctx, s, raw_ip);
		packet_summarise(s);
	}
	barrier(); /* Verifier: both ways look alike from here. */
	return s->reason;
}
