/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who sent a packet, at the egress of a device: the process is not known there any more, its socket is. Read from the
 * kernel's own socket: the helpers know the owner only as a user namespace numbers him, and the network namespace not
 * before 6.16.
 */
#pragma once

#include "guard_table.h"
#include "kernel_types.h"

enum guard_sender {
	SENDER_FORWARDED, /* it came in by a device */
	SENDER_NOBODY,    /* no socket, or what is left of one: TIME_WAIT, a handshake */
	SENDER_SOCKET
};

/* false: it cannot be read. */
static __always_inline bool guard_sender_read(struct guard_packet *p)
{
	const struct sock *sock = (const struct sock *)p->sock;
	const struct net *net;
	kuid_t owner;

	if (bpf_core_read(&owner, sizeof(owner), &sock->sk_uid) ||
	    bpf_core_read(&net, sizeof(net), &sock->__sk_common.skc_net.net) ||
	    bpf_core_read(&p->netns, sizeof(p->netns), &net->net_cookie))
		return false;
	p->owner = owner.val;
	p->netns_inode = BPF_CORE_READ(net, ns.inum);
	p->kernel = BPF_CORE_READ_BITFIELD_PROBED(sock, sk_kern_sock);
	return true;
}

/* The stamp that a call left, as it was at one moment. */
static __always_inline void guard_sender_stamp(struct guard_packet *p, struct bpf_sock *sk)
{
	struct guard_stamp_slot *slot = bpf_sk_storage_get(&guard_stamps, sk, NULL, 0);

	if (!slot)
		return;
	bpf_spin_lock(&slot->lock);
	p->stamp = slot->stamp;
	bpf_spin_unlock(&slot->lock);
	if (p->stamp.guard == p->judged.guard)
		p->has |= GUARD_HAS_STAMP;
}

static __always_inline enum guard_sender guard_sender(struct __sk_buff *skb, struct guard_packet *p)
{
	struct bpf_sock *sk = skb->sk;
	bool known;

	if (!sk)
		return skb->ingress_ifindex ? SENDER_FORWARDED : SENDER_NOBODY;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return SENDER_NOBODY;
	p->sock = (__u64)
		sk; /* Verifier: read back, it is a number, and no pointer that only some members may be read of. */
	barrier();
	known = guard_sender_read(p);
	p->sock = 0;
	if (!known)
		return SENDER_NOBODY;
	p->has |= GUARD_HAS_OWNER;
	p->judged.identity = p->owner;
	guard_sender_stamp(p, sk);
	return SENDER_SOCKET;
}

/* The rules that name the sender: those of the call, or of the socket's owner where no call was seen. */
static __always_inline __u64 guard_sender_rules(const struct guard_packet *p)
{
	const struct guard_case *c = &p->judged;
	__u64 rules;

	if (!(p->has & GUARD_HAS_STAMP))
		return guard_rules_of(c->generation, c->guard, p->owner, GUARD_USER);
	if (p->stamp.generation == c->generation)
		return p->stamp.rules;
	rules = guard_rules_of(c->generation, c->guard, p->stamp.euid, GUARD_USER);
	for (__u32 i = 0; i < GUARD_STAMP_PRINCIPALS; i++) {
		if (i >= p->stamp.n)
			break;
		rules |= guard_rules_of(c->generation, c->guard, p->stamp.principal[i].id, p->stamp.principal[i].who);
	}
	return rules;
}
