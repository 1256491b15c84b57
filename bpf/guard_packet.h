/* SPDX-License-Identifier: GPL-2.0 */
/* A packet to a guarded endpoint: what it is, who sent it, what becomes of it. */
#pragma once

#include "datapath.h"
#include "guard_event.h"
#include "guard_http.h"
#include "guard_sender.h"

/* ---- where it goes ---- */

#define PORTS_BYTES 4

/* Protocols whose ports the parser leaves alone. */
static __always_inline __u32 guard_packet_other_port(struct __sk_buff *skb, struct scratch *s)
{
	__u32 proto = s->key[KEY_PROTO];
	const __u8 *ports;

	if (!guard_has_ports(proto) || s->l3 + PORTS_BYTES > s->end)
		return GUARD_NO_PORT;
	ports = cursor_at(skb, s, s->l3, PORTS_BYTES);
	return ports ? load_be16(ports + 2) : GUARD_NO_PORT;
}

static __always_inline __u32 guard_packet_port(struct __sk_buff *skb, struct scratch *s)
{
	if (s->reason != REASON_RULE || s->key[KEY_PRESENT] & PRESENT_LATER)
		return GUARD_NO_PORT;
	if (s->key[KEY_PRESENT] & PRESENT_PORTS)
		return s->key[KEY_DPORT];
	return guard_packet_other_port(skb, s);
}

/* Of a header that the parser did not believe: routers may. */
static __always_inline bool guard_packet_raw_address(struct __sk_buff *skb, struct scratch *s)
{
	bool ipv6 = s->key[KEY_ETYPE] == ETH_P_IPV6;
	__be32 word[4];

	if (!ipv6 && s->key[KEY_ETYPE] != ETH_P_IP)
		return false;
	if (hook_load(skb, s->ip + (ipv6 ? 24 : 16), word, ipv6 ? 16 : 4))
		return false;
	s->key[KEY_FAMILY] = ipv6 ? 6 : 4;
	for (int i = 0; i < (ipv6 ? 4 : 1); i++)
		s->key[KEY_DADDR0 + i] = bpf_ntohl(word[i]);
	return true;
}

/* false: it has no address of IP. */
static __always_inline bool guard_packet_parse(struct __sk_buff *skb, struct scratch *s, struct guard_case *c,
					       bool raw_ip)
{
	datapath_begin(skb, s, HOOK_TC_EGRESS);
	s->reason = hook_tag(skb, s);
	if (s->reason == REASON_RULE)
		s->reason = packet_parse(skb, s, raw_ip);
	if (!s->key[KEY_FAMILY] && !guard_packet_raw_address(skb, s))
		return false;
	c->family = s->key[KEY_FAMILY];
	for (int i = 0; i < 4; i++)
		c->addr[i] = s->key[KEY_DADDR0 + i];
	c->port = guard_packet_port(skb, s);
	c->bytes = s->length;
	return true;
}

/* ---- what it is ---- */

#define CONTROL_ICMP4 (1u << 0 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12 | 1u << 14 | 1u << 16 | 1u << 18)
#define ICMP6_ECHO    128
#define ICMP6_REPLY   129
#define ICMP6_ND      133 /* router solicitation, and up to redirect: neighbour discovery */
#define ICMP6_ND_LAST 137

/* Bytes behind the TCP header. */
static __always_inline __u32 guard_packet_payload(struct __sk_buff *skb, struct scratch *s)
{
	__u8 offset;

	if (hook_load(skb, s->l3 + 12, &offset, 1))
		return 0;
	return s->end - s->l3 - (offset >> 4) * 4;
}

/* Nothing is asked by it, and no data sent: what a kernel answers without any process. */
static __always_inline bool guard_packet_is_control(struct __sk_buff *skb, struct scratch *s)
{
	__u32 type = s->key[KEY_ICMP] >> 8;

	if (s->reason != REASON_RULE)
		return false;
	switch (s->key[KEY_L4]) {
	case IPPROTO_TCP:
		return (s->key[KEY_TCPFLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN && !guard_packet_payload(skb, s);
	case IPPROTO_ICMP:
		return type < 32 && CONTROL_ICMP4 >> type & 1;
	case IPPROTO_ICMPV6:
		return type < ICMP6_ECHO || type == ICMP6_REPLY || (type >= ICMP6_ND && type <= ICMP6_ND_LAST);
	default:
		return false;
	}
}

/* ---- what becomes of it ---- */

static __always_inline __u32 guard_packet_forwarded(const struct guard *guard, __u32 iif)
{
	bool from = guard->forwarded == GUARD_FROM_ALL;

	if (guard->forwarded == GUARD_FROM_SOME && iif)
		for (int i = 0; i < GUARD_DEVICES; i++)
			from |= i < guard->n_devices && guard->device[i] == iif;
	return from ? GUARD_DID_FORWARDED : GUARD_DID_DENY_FORWARDED;
}

/* 1: the request's path is one that the rule allows. */
__weak __noinline int guard_path_is(__u64 generation, __u32 number)
{
	const struct guard_tables *t = guard_half(generation);
	__u64 zero = 0;
	const struct guard_request *request = bpf_map_lookup_elem(&guard_request, &zero);
	const struct guard_rule *rule;
	__u32 n;

	if (!t || !request || number >= GUARD_RULES_TOTAL)
		return 0;
	rule = &t->rule[number & (GUARD_RULES_TOTAL - 1)];
	n = rule->n_path;
	if (!n || request->session)
		return 1;
	if (n > GUARD_PATH || request->n_path < n || request->odd_path)
		return 0;
	for (__u32 i = 0; i < GUARD_PATH; i++) {
		if (i >= n)
			break;
		if (rule->path[i] != request->path[i])
			return 0;
	}
	return request->n_path == n || rule->path[(n - 1) & (GUARD_PATH - 1)] == '/';
}

/* Of the rules that name the sender none allows every packet: one of them must allow the request. */
static __always_inline __u32 guard_packet_rules(struct guard_case *c, const struct guard *guard,
						const struct guard_tables *t, bool token)
{
	__u32 outcome = GUARD_DID_PATH;

	for (__u32 r = 0; r < GUARD_RULES_MAX; r++) {
		__u32 number = guard->first_rule + r;

		if (!(c->rules >> r & 1) || !guard_path_is(c->generation, number))
			continue;
		if (token || !(t->rule[number & (GUARD_RULES_TOTAL - 1)].flags & GUARD_RULE_TOKEN)) {
			c->rule = r;
			return GUARD_DID_REQUEST;
		}
		outcome = GUARD_DID_NO_TOKEN;
	}
	return outcome;
}

static __always_inline __u32 guard_packet_request(struct __sk_buff *skb, struct scratch *s, struct guard_packet *p,
						  const struct guard_tables *t, const struct guard *guard)
{
	__u64 zero = 0;
	struct guard_request *request = bpf_map_lookup_elem(&guard_request, &zero);
	struct guard_case *c = &p->judged;

	if (!request)
		return GUARD_DID_TABLE;
	if (s->reason != REASON_RULE || s->key[KEY_L4] != IPPROTO_TCP || s->key[KEY_PRESENT] & PRESENT_FRAGMENT)
		return GUARD_DID_BAD_REQUEST;
	if (!guard_packet_payload(skb, s)) {
		c->rule = guard_first_rule(c->rules);
		return GUARD_DID_ALLOW;
	}
	request->tokens = t->endpoint[c->endpoint & (GUARD_ENDPOINTS_MAX - 1)].tokens;
	guard_http(skb);
	if (request->result == HTTP_BAD)
		return GUARD_DID_BAD_REQUEST;
	p->has |= GUARD_HAS_HTTP;
	return guard_packet_rules(c, guard, t, request->result == HTTP_TOKEN);
}

static __always_inline __u32 guard_packet_owned(struct __sk_buff *skb, struct scratch *s, struct guard_packet *p,
						const struct guard_tables *t, const struct guard *guard)
{
	struct guard_case *c = &p->judged;
	__u64 plain;

	c->rules = guard_sender_rules(p);
	if (!c->rules)
		return GUARD_DID_DENY;
	plain = c->rules & guard->plain;
	if (!plain)
		return guard_packet_request(skb, s, p, t, guard);
	c->rule = guard_first_rule(plain);
	return GUARD_DID_ALLOW;
}

/* enum guard_outcome of a packet to an endpoint. */
static __always_inline __u32 guard_packet_outcome(struct __sk_buff *skb, struct scratch *s, struct guard_packet *p)
{
	const struct guard_tables *t = guard_half(p->judged.generation);
	const struct guard *guard;
	enum guard_sender sender;

	if (!t || !guard_is_there(t, &p->judged))
		return GUARD_DID_TABLE;
	guard = guard_of(t, &p->judged);
	if (s->key[KEY_PRESENT] & PRESENT_LATER)
		return GUARD_DID_FRAGMENT;
	sender = guard_sender(skb, p);
	if (sender == SENDER_FORWARDED)
		return guard_packet_forwarded(guard, skb->ingress_ifindex);
	if ((sender == SENDER_NOBODY || p->kernel) && guard_packet_is_control(skb, s))
		return GUARD_DID_CONTROL;
	if (sender == SENDER_NOBODY)
		return GUARD_DID_NO_OWNER;
	if (p->netns != t->netns)
		return guard_packet_forwarded(guard, 0);
	return guard_packet_owned(skb, s, p, t, guard);
}

/* ---- what is told ---- */

static __always_inline void guard_packet_describe(struct guard_event *e, const struct scratch *s,
						  const struct guard_packet *p)
{
	e->has = p->has;
	e->proto = s->key[KEY_PROTO];
	e->sport = s->key[KEY_SPORT];
	for (int i = 0; i < 4; i++)
		e->saddr[i] = s->key[KEY_SADDR0 + i];
	e->ifindex = s->ifindex;
	e->iif = s->key[KEY_IIF];
	e->login_uid = ~0u;
	e->session = ~0u;
	if (p->has & GUARD_HAS_OWNER) {
		e->owner = p->owner;
		e->netns = p->netns_inode;
	}
	if (p->has & GUARD_HAS_STAMP) {
		e->pid = p->stamp.pid;
		e->euid = p->stamp.euid;
	}
}

static __always_inline void guard_packet_quote(struct guard_event *e, const struct guard_request *request)
{
	for (int i = 0; i < (int)sizeof(e->method); i++)
		e->method[i] = request->method[i];
	for (__u32 i = 0; i < GUARD_PATH - 1; i++) {
		if (i >= request->n_path)
			break;
		e->path[i] = request->path[i];
	}
}

/* 0: it is told. */
__weak __noinline int guard_packet_tell(struct __sk_buff *skb)
{
	__u64 zero = 0;
	const struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	const struct guard_packet *p = bpf_map_lookup_elem(&guard_packets, &zero);
	const struct guard_request *request = bpf_map_lookup_elem(&guard_request, &zero);
	struct guard_event *e;

	if (!s || !p || !request)
		return -1;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return -1;
	guard_event_begin(e, &p->judged);
	guard_packet_describe(e, s, p);
	if (p->has & GUARD_HAS_HTTP)
		guard_packet_quote(e, request);
	e->cookie = bpf_get_socket_cookie(skb);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* ---- all of it ---- */

static __always_inline void guard_packet_begin(struct guard_packet *p, __u64 generation)
{
	p->judged.generation = generation;
	p->judged.layer = GUARD_PACKET;
	p->judged.identity = GUARD_RATE_OTHERS;
	p->judged.rule = RULE_NONE;
	p->judged.rules = 0;
	p->judged.untold = 0;
	p->kernel = 0;
	p->has = 0;
}

/* That a socket may send was told when it was connected; that the kernel answers is news to nobody. */
static __always_inline bool guard_packet_is_quiet(const struct guard_packet *p)
{
	__u32 outcome = p->judged.outcome;

	return outcome == GUARD_DID_CONTROL || outcome == GUARD_DID_FRAGMENT ||
	       (outcome == GUARD_DID_ALLOW && p->has & GUARD_HAS_STAMP);
}

/* enum guard_outcome, or GUARD_OUTCOME_MAX: the packet goes to no endpoint. */
__weak __noinline int guard_packet(struct __sk_buff *skb, __u64 generation, __u32 raw_ip)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct guard_packet *p = bpf_map_lookup_elem(&guard_packets, &zero);

	if (!s || !p)
		return GUARD_DID_TABLE;
	guard_packet_begin(p, generation);
	if (!guard_packet_parse(skb, s, &p->judged, raw_ip) || !guard_find(&p->judged))
		return GUARD_OUTCOME_MAX;
	p->judged.outcome = guard_packet_outcome(skb, s, p);
	p->judged.quiet = guard_packet_is_quiet(p);
	if (guard_settle(&p->judged) && guard_packet_tell(skb))
		guard_lose(&p->judged);
	return p->judged.outcome;
}
