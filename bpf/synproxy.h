/* SPDX-License-Identifier: GPL-2.0 */
/*
 * `synproxy`: which segments get a SYN cookie, and which bring one back. docs/decisions/0015-synproxy.md says what the
 * stack demands of both. The SYN-ACK itself is written in answer_syn.h.
 *
 * The cookies are the kernel's: the helpers (6.0) know its secret, and the stack makes the connection of an
 * acknowledgement that it believes. It does so only if the listener sent cookies of late, or thinks so.
 */
#pragma once

#include "flows.h"

/* What the helpers read: addresses and version of one header, and the TCP header. */
struct synproxy_headers {
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
	};
	struct tcphdr tcp;
};

static __always_inline void synproxy_write_ip(const struct scratch *s, void *ip, const bool ipv6)
{
	struct ipv6hdr *ip6 = ip;
	struct iphdr *ip4 = ip;

	*(__u8 *)ip = ipv6 ? 0x60 : 0x45;
	if (!ipv6) {
		ip4->saddr = bpf_htonl(s->key[KEY_SADDR0]);
		ip4->daddr = bpf_htonl(s->key[KEY_DADDR0]);
		return;
	}
	for (int i = 0; i < 4; i++) {
		ip6->saddr.in6_u.u6_addr32[i] = bpf_htonl(s->key[KEY_SADDR0 + i]);
		ip6->daddr.in6_u.u6_addr32[i] = bpf_htonl(s->key[KEY_DADDR0 + i]);
	}
}

/*
 * The stack believes a cookie only while the listener's queue of SYNs overflowed within two minutes, and it has not:
 * the SYN never got there. Making one more cookie, for the listener this time, sets that mark; it is thrown away. Works
 * with net.ipv4.tcp_syncookies = 2 (or where the queue is indeed full).
 */
static __always_inline void synproxy_note_listener(struct hook_ctx *ctx, struct synproxy_headers *h, const bool ipv6)
{
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;

	__builtin_memset(&tuple, 0, sizeof(tuple));
	if (ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, &h->ipv6.saddr, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, &h->ipv6.daddr, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = h->tcp.source;
		tuple.ipv6.dport = h->tcp.dest;
	} else {
		tuple.ipv4.saddr = h->ipv4.saddr;
		tuple.ipv4.daddr = h->ipv4.daddr;
		tuple.ipv4.sport = h->tcp.source;
		tuple.ipv4.dport = h->tcp.dest;
	}
	sk = bpf_skc_lookup_tcp(ctx, &tuple, ipv6 ? sizeof(tuple.ipv6) : sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return;
	h->tcp.ack = 0;
	h->tcp.syn = 1;
	h->tcp.doff = sizeof(h->tcp) / 4;
	bpf_tcp_gen_syncookie(sk, h, ipv6 ? sizeof(h->ipv6) : sizeof(h->ipv4), &h->tcp, sizeof(h->tcp));
	bpf_sk_release(sk);
}

static __always_inline bool synproxy_cookie_is_right(struct hook_ctx *ctx, const struct scratch *s, const bool ipv6)
{
	struct synproxy_headers h;

	__builtin_memset(&h, 0, sizeof(h));
	synproxy_write_ip(s, &h, ipv6);
	if (hook_load(ctx, s->l3, &h.tcp, sizeof(h.tcp)))
		return false;
	if (ipv6 ? bpf_tcp_raw_check_syncookie_ipv6(&h.ipv6, &h.tcp)
		 : bpf_tcp_raw_check_syncookie_ipv4(&h.ipv4, &h.tcp))
		return false;
	synproxy_note_listener(ctx, &h, ipv6);
	return true;
}

/* An acknowledgement that belongs to no flow, so far: with a right cookie it is a handshake's end, and begins one. */
__weak __noinline int HOOK_NAME(synproxy_check)(struct hook_ctx *ctx)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	/* Verifier: older kernels look into every function, and those before 6.0 do not know the helpers. */
	if (!(cfg.features & FEATURE_SYNPROXY) || !s)
		return 0;
	if (s->key[KEY_L4] != IPPROTO_TCP || (s->key[KEY_TCPFLAGS] & TCP_FLAGS_TOLD) != TCP_ACK)
		return 0;
	if (!(s->key[KEY_FAMILY] == 6 ? synproxy_cookie_is_right(ctx, s, true)
				      : synproxy_cookie_is_right(ctx, s, false)))
		return 0;
	counter_add(s, COUNTER_COOKIES_RIGHT);
	s->cookie = 1;
	s->key[KEY_CT] = CT_NEW;
	s->flow_make = FLOW_ESTABLISHED;
	s->reply = 0;
	return 0;
}

/*
 * What the verdict `synproxy` is for this packet. A SYN is answered, unless it begins a flow anew that was there: the
 * stack may have a socket in TIME_WAIT, which only a SYN ends.
 */
static __always_inline void synproxy_judge(struct scratch *s)
{
	__u32 flags = s->key[KEY_TCPFLAGS] & TCP_FLAGS_TOLD, state = s->key[KEY_CT];
	bool anew = s->flow_make == FLOW_SYN_SENT && s->flow != FLOW_NONE;

	if (s->reason != REASON_RULE)
		return;
	if (state == CT_ESTABLISHED || s->cookie || anew) {
		s->verdict = VERDICT_ACCEPT;
		s->redirect = 0;
	} else if (s->key[KEY_L4] != IPPROTO_TCP || flags != TCP_SYN) {
		s->verdict = VERDICT_DROP;
		s->redirect = 0;
		s->reason = REASON_SYNPROXY_COOKIE;
	}
}
