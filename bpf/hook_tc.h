/* SPDX-License-Identifier: GPL-2.0 */
/* TC: the packet as an skb, its outer tag perhaps beside it, its data perhaps not linear. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "abi.h"

#define HOOK_PICKED
#define hook_ctx        __sk_buff
#define HOOK_NAME(name) name##_tc /* of a global function that takes the packet */

#include "cursor.h"
#include "packet.h"

static __always_inline void *hook_data(struct __sk_buff *skb)
{
	return (void *)(long)skb->data;
}

static __always_inline void *hook_data_end(struct __sk_buff *skb)
{
	return (void *)(long)skb->data_end;
}

static __always_inline long hook_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes(skb, offset, to, bytes);
}

static __always_inline __u32 hook_length(struct __sk_buff *skb)
{
	__u32 value = skb->len;

	barrier_var(value); /* clang: else it selects between addresses, and the context must be read in place */
	return value;
}

static __always_inline __u32 hook_linear(struct __sk_buff *skb)
{
	return hook_length(skb); /* no call here either */
}

static __always_inline __u32 hook_ifindex(struct __sk_buff *skb)
{
	__u32 value = skb->ifindex;

	barrier_var(value); /* clang: else it selects between addresses, and the context must be read in place */
	return value;
}

static __always_inline __u32 hook_iif(struct __sk_buff *skb)
{
	__u32 value = skb->ingress_ifindex;

	barrier_var(value); /* clang: else it selects between addresses, and the context must be read in place */
	return value;
}

static __always_inline __u32 hook_mark(struct __sk_buff *skb)
{
	__u32 value = skb->mark;

	barrier_var(value); /* clang: else it selects between addresses, and the context must be read in place */
	return value;
}

/*
 * The socket's owner. No socket (forwarded), and sockets that are not full (TIME_WAIT, request), have
 * none: bpf_get_socket_uid would call them 65534, which is a real user's number too.
 */
static __always_inline void hook_owner(struct __sk_buff *skb, struct scratch *s)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	s->key[KEY_SKUID] = bpf_get_socket_uid(skb);
	s->key[KEY_PRESENT] |= PRESENT_SKUID;
}

static __always_inline enum reason hook_tag(struct __sk_buff *skb, struct scratch *s)
{
	if (!skb->vlan_present)
		return REASON_RULE;
	return packet_add_tag(s, skb->vlan_tci);
}
