// SPDX-License-Identifier: GPL-2.0
/*
 * The first layer of a guard: connect() and send calls with an address, judged by the process that makes them. Who may
 * not is told at once; who may leaves a stamp at the socket, for the packets (guard_egress.bpf.c).
 */
#include <bpf/bpf_endian.h>

#include "guard_event.h"
#include "guard_who.h"

#define CALL_GOES_ON 1
#define CALL_FAILS   0

/* The socket's namespace is not the guards': no user of this host makes the call, its packets come in by a device. */
static __always_inline __u32 guard_call_foreign(const struct guard *guard)
{
	if (guard->forwarded == GUARD_FROM_NONE)
		return GUARD_DID_DENY_FORWARDED;
	return guard->forwarded == GUARD_FROM_ALL ? GUARD_DID_FORWARDED : GUARD_OUTCOME_MAX;
}

static __always_inline __u32 guard_call_own(struct guard_caller *c, const struct guard *guard)
{
	__u64 plain;

	if (guard_who_rules(c))
		return GUARD_DID_TABLE;
	if (!c->judged.rules)
		return GUARD_DID_DENY;
	plain = c->judged.rules & guard->plain;
	c->judged.rule = guard_first_rule(plain ?: c->judged.rules);
	return GUARD_DID_ALLOW;
}

static __always_inline bool guard_call_stamp(struct bpf_sock_addr *ctx, const struct guard_caller *c)
{
	struct guard_stamp_slot *slot;
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	slot = bpf_sk_storage_get(&guard_stamps, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!slot)
		return false;
	bpf_spin_lock(&slot->lock);
	slot->stamp.generation = c->judged.generation;
	slot->stamp.rules = c->judged.rules;
	slot->stamp.guard = c->judged.guard;
	slot->stamp.n = c->n;
	slot->stamp.pid = pid;
	slot->stamp.euid = c->judged.identity;
	for (int i = 0; i < GUARD_STAMP_PRINCIPALS; i++)
		slot->stamp.principal[i] = c->principal[i];
	bpf_spin_unlock(&slot->lock);
	return true;
}

/* GUARD_OUTCOME_MAX: that is for the packets to say. */
static __always_inline __u32 guard_call_outcome(struct bpf_sock_addr *ctx, const struct guard_tables *t,
						const struct guard *guard, struct guard_caller *c)
{
	__u32 outcome;

	if (!guard_is_there(t, &c->judged) || !guard_who(c))
		return GUARD_DID_TABLE;
	if (bpf_get_netns_cookie(ctx) != t->netns)
		return guard_call_foreign(guard);
	outcome = guard_call_own(c, guard);
	if (outcome == GUARD_DID_ALLOW && !guard_call_stamp(ctx, c))
		return GUARD_DID_TABLE;
	return outcome;
}

__weak __noinline int guard_call_tell(const struct guard_caller *c)
{
	struct guard_event *e;

	if (!c)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return -1;
	guard_event_begin(e, &c->judged);
	e->cookie = c->cookie;
	e->proto = c->proto;
	e->sport = c->sport;
	for (int i = 0; i < 4; i++)
		e->saddr[i] = c->saddr[i];
	guard_name_task(e);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* Where the call goes is near an endpoint. */
static __always_inline int guard_call_judge(struct bpf_sock_addr *ctx, const struct guard_tables *t,
					    struct guard_caller *c)
{
	const struct guard *guard;

	c->judged.layer = GUARD_CALL;
	c->judged.rule = RULE_NONE;
	c->proto = ctx->protocol;
	c->judged.port = guard_has_ports(c->proto) ? bpf_ntohs(ctx->user_port) : GUARD_NO_PORT;
	if (!guard_find(&c->judged))
		return CALL_GOES_ON;
	guard = guard_of(t, &c->judged);
	c->cookie = bpf_get_socket_cookie(ctx);
	c->sport = ctx->sk->src_port;
	c->judged.outcome = guard_call_outcome(ctx, t, guard, c);
	if (c->judged.outcome == GUARD_OUTCOME_MAX)
		return CALL_GOES_ON;
	if (guard_settle(&c->judged) && guard_call_tell(c))
		guard_lose(&c->judged);
	if (!guard_denies(c->judged.outcome))
		return CALL_GOES_ON;
	bpf_set_retval(-(int)guard->deny_errno);
	return CALL_FAILS;
}

static __always_inline int guard_call4(struct bpf_sock_addr *ctx, __u32 addr)
{
	__u64 generation;
	const struct guard_tables *t = guard_now(&generation);
	struct guard_caller c;

	if (!t || !guard_near(t, false, addr >> 16))
		return CALL_GOES_ON;
	c = (struct guard_caller){ .judged = { .generation = generation, .family = 4, .addr = { addr } },
				   .saddr = { bpf_ntohl(ctx->sk->src_ip4) } };
	return guard_call_judge(ctx, t, &c);
}

static __always_inline int guard_call6(struct bpf_sock_addr *ctx)
{
	__u64 generation;
	const struct guard_tables *t = guard_now(&generation);
	struct guard_caller c;

	if (!t || !guard_near(t, true, bpf_ntohl(ctx->user_ip6[0]) >> 16))
		return CALL_GOES_ON;
	c = (struct guard_caller){ .judged = { .generation = generation, .family = 6 } };
	c.judged.addr[0] = bpf_ntohl(ctx->user_ip6[0]);
	c.judged.addr[1] = bpf_ntohl(ctx->user_ip6[1]);
	c.judged.addr[2] = bpf_ntohl(ctx->user_ip6[2]);
	c.judged.addr[3] = bpf_ntohl(ctx->user_ip6[3]);
	c.saddr[0] = bpf_ntohl(ctx->sk->src_ip6[0]);
	c.saddr[1] = bpf_ntohl(ctx->sk->src_ip6[1]);
	c.saddr[2] = bpf_ntohl(ctx->sk->src_ip6[2]);
	c.saddr[3] = bpf_ntohl(ctx->sk->src_ip6[3]);
	return guard_call_judge(ctx, t, &c);
}

/* ::ffff:a.b.c.d goes out as IPv4. */
static __always_inline int guard_call6_any(struct bpf_sock_addr *ctx)
{
	if (!ctx->user_ip6[0] && !ctx->user_ip6[1] && ctx->user_ip6[2] == bpf_htonl(0xffff))
		return guard_call4(ctx, bpf_ntohl(ctx->user_ip6[3]));
	return guard_call6(ctx);
}

SEC("?cgroup/connect4")
int weir_guard_connect4(struct bpf_sock_addr *ctx)
{
	return guard_call4(ctx, bpf_ntohl(ctx->user_ip4));
}

SEC("?cgroup/sendmsg4")
int weir_guard_sendmsg4(struct bpf_sock_addr *ctx)
{
	return guard_call4(ctx, bpf_ntohl(ctx->user_ip4));
}

SEC("?cgroup/connect6")
int weir_guard_connect6(struct bpf_sock_addr *ctx)
{
	return guard_call6_any(ctx);
}

SEC("?cgroup/sendmsg6")
int weir_guard_sendmsg6(struct bpf_sock_addr *ctx)
{
	return guard_call6_any(ctx);
}

char LICENSE[] __weak SEC("license") = "GPL";
