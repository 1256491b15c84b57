/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The SYN-ACK of `synproxy`: the kernel's SYN cookie as its sequence number, what the client offered in its timestamp.
 *
 * The low six bits of the timestamp are the kernel's, too (net/ipv4/syncookies.c): the client's window scale, or 15 for
 * none, and a bit for SACK. The stack reads them from the echo, as they stand only with net.ipv4.tcp_timestamps = 2:
 * with 1 it takes an offset off first that nobody can know.
 */
#pragma once

#include "answer.h"

#define TCP_OPTION_MSS 2

#define SYN_ACK_WORDS     10 /* header, MSS, SACK and timestamp, window scale */
#define SYN_ACK_TIMESTAMP 9  /* words up to the timestamp's end */
#define SYN_ACK_MSS       6
/* Ten segments, which is what a client may send at once, and less than what a listener has, so that none is lost. */
#define SYN_ACK_WINDOW 16384
#define SYN_ACK_MSS4   1460
#define SYN_ACK_MSS6   1440

#define COOKIE_SCALE_NONE 15
#define COOKIE_SACK       (1u << 4)
#define COOKIE_BITS       63u
#define NS_PER_MS         1000000

/* Now, in ms, as the stack counts; the bits below are the cookie's. Never later than now: later segments have its time. */
static __always_inline __u32 syn_timestamp(const struct scratch *s, __u32 agreed)
{
	__u64 now = (cfg.trace ? trace.now_ns : bpf_ktime_get_ns()) / NS_PER_MS, stamp = now & ~(__u64)COOKIE_BITS;

	stamp |= agreed & SYNPROXY_SCALES ? s->scale : COOKIE_SCALE_NONE;
	if (agreed & SYNPROXY_SACK)
		stamp |= COOKIE_SACK;
	return stamp > now ? stamp - COOKIE_BITS - 1 : stamp;
}

static __always_inline void syn_write_options(const struct scratch *s, __be32 *word, __u32 rule, __u32 agreed,
					      const bool ipv6)
{
	__u32 mss = rule & SYNPROXY_MSS;

	if (!mss)
		mss = ipv6 ? SYN_ACK_MSS6 : SYN_ACK_MSS4;
	word[5] = bpf_htonl(TCP_OPTION_MSS << 24 | 4 << 16 | mss);
	if (!(agreed & SYNPROXY_TIMESTAMP))
		return;
	word[6] = bpf_htonl((agreed & SYNPROXY_SACK ? TCP_OPTION_SACK << 24 | 2 << 16
						    : TCP_OPTION_NOP << 24 | TCP_OPTION_NOP << 16) |
			    TCP_OPTION_TIMESTAMP << 8 | 10);
	word[7] = bpf_htonl(syn_timestamp(s, agreed));
	word[8] = bpf_htonl(s->tsval);
	if (agreed & SYNPROXY_SCALES)
		word[9] = bpf_htonl(TCP_OPTION_NOP << 24 | TCP_OPTION_SCALE << 16 | 3 << 8 |
				    (rule >> SYNPROXY_SCALE & 15));
}

/* The cookie, from the SYN in s->header; negative: the kernel makes none. */
static __always_inline __s64 syn_cookie(struct hook_ctx *ctx, struct scratch *s, void *ip, const bool ipv6)
{
	__u64 bytes;

	if (hook_load(ctx, s->l3, s->header, TCP_BYTES))
		return -1;
	bytes = (s->header[12] >> 4) * 4;
	if (!answer_between(&bytes, TCP_BYTES, TCP_BYTES + TCP_OPTIONS_BYTES) ||
	    hook_load(ctx, s->l3, s->header, bytes))
		return -1;
	s->n_header = bytes;
	synproxy_write_ip(s, ip, ipv6);
	return ipv6 ? bpf_tcp_raw_gen_syncookie_ipv6(ip, (void *)s->header, bytes)
		    : bpf_tcp_raw_gen_syncookie_ipv4(ip, (void *)s->header, bytes);
}

static __always_inline bool syn_write_ack(struct hook_ctx *ctx, struct scratch *s, struct answer *a, const bool ipv6)
{
	const __u32 header = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__be32 *word = (__be32 *)a->packet + header / 4;
	__u32 rule = s->redirect, agreed = 0, words;
	__s64 cookie = syn_cookie(ctx, s, a->packet, ipv6);

	if (cookie < 0)
		return false;
	tcp_read_options(s, TCP_BYTES);
	if (rule & s->offered & SYNPROXY_TIMESTAMP)
		agreed = rule & s->offered;
	words = !(agreed & SYNPROXY_TIMESTAMP) ? SYN_ACK_MSS
		: agreed & SYNPROXY_SCALES     ? SYN_ACK_WORDS
					       : SYN_ACK_TIMESTAMP;
	a->bytes = header + words * 4;
	if (ipv6)
		answer_write_ipv6(s, a, IPPROTO_TCP);
	else
		answer_write_ipv4(s, a, IPPROTO_TCP, 0);
	word[0] = bpf_htonl(s->key[KEY_DPORT] << 16 | s->key[KEY_SPORT]);
	word[1] = bpf_htonl(cookie);
	word[2] = bpf_htonl(load_be32(s->header + 4) + 1);
	word[3] = bpf_htonl(words << 28 | (TCP_SYN | TCP_ACK) << 16 | SYN_ACK_WINDOW);
	for (int i = 4; i < SYN_ACK_WORDS; i++)
		word[i] = 0;
	syn_write_options(s, word, rule, agreed, ipv6);
	((struct tcphdr *)word)->check = answer_fold(answer_sum(a, header / 4, header / 4 + SYN_ACK_WORDS) +
						     answer_pseudo(a, IPPROTO_TCP, ipv6));
	return true;
}

/* true: the frame is the SYN-ACK now, to be sent to where the SYN came from. */
static __always_inline bool answer_syn(struct hook_ctx *ctx)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct answer *a = bpf_map_lookup_elem(&answer_buffer, &zero);

	if (!(cfg.features & FEATURE_SYNPROXY) || !s || !a)
		return false;
	if (!answer_is_between_hosts(s) || !answer_write_link(ctx, s, a) ||
	    !(s->key[KEY_FAMILY] == 6 ? syn_write_ack(ctx, s, a, true) : syn_write_ack(ctx, s, a, false)) ||
	    !answer_put(ctx, s, a)) {
		counter_add(s, COUNTER_ANSWERS_REFUSED);
		return false;
	}
	counter_add(s, COUNTER_COOKIES_SENT);
	return true;
}
