/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TC: the skb gets the answer's length, and what the kernel keeps beside its bytes is made to agree with it.
 *
 * bpf_skb_change_tail() makes it linear, nobody else's and no GSO packet. A checksum that the sender left to the
 * device (CHECKSUM_PARTIAL: add up from here, store it there) would still be stored into the answer; the kernel
 * forgets it when the place where it begins, the transport header, is taken off the head. So the frame is first
 * made longer than the answer by all up to there, and then this is taken off.
 */
#pragma once

#include <linux/pkt_cls.h>

#include "hook_tc.h"

#include "answer.h"

#define ANSWER_TAKEN_MOST 4000 /* bpf_skb_adjust_room() takes at most 4095 bytes off */

/* The frame has this many bytes then, and the sums are all in it. Its protocol must be IP: no tag in it. */
static __always_inline bool answer_resize(struct __sk_buff *skb, const struct scratch *s, __u32 bytes)
{
	__u32 taken = s->l3 + 2; /* a byte is enough; two keep sums of 16 bits in step */

	if (taken > ANSWER_TAKEN_MOST)
		taken = ANSWER_TAKEN_MOST;
	return !bpf_skb_change_tail(skb, bytes + taken, 0) &&
	       !bpf_skb_adjust_room(skb, -(__s32)taken, BPF_ADJ_ROOM_MAC, 0);
}

static __always_inline bool answer_store(struct __sk_buff *skb, const struct answer *a)
{
	const __u64 flags = BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH;
	__u64 bytes = a->bytes, link = a->link_bytes ? ETH_HLEN : 0;

	if (!answer_between(&bytes, sizeof(struct iphdr), sizeof(a->packet)))
		return false;
	return (!link || !bpf_skb_store_bytes(skb, 0, a->link, ETH_HLEN, flags)) &&
	       !bpf_skb_store_bytes(skb, link, a->packet, bytes, flags);
}

/*
 * With a tag in the frame its protocol is the tag's, which bpf_skb_adjust_room() refuses: all tags are taken off and put
 * on again. The outer one is beside the frame then, where the kernel has it anyway.
 */
static __always_inline bool answer_put_tagged(struct __sk_buff *skb, const struct scratch *s, struct answer *a)
{
	bool two = s->key[KEY_PRESENT] & PRESENT_VLAN1;
	__u32 inner_at = a->link_bytes == ETH_HLEN + 4 ? ETH_HLEN - 2 : ETH_HLEN + 2;
	__be16 inner = *(const __be16 *)(a->link + inner_at);
	__be16 outer = skb->vlan_present ? skb->vlan_proto : *(const __be16 *)(a->link + ETH_HLEN - 2);

	if (bpf_skb_vlan_pop(skb) || (two && bpf_skb_vlan_pop(skb)))
		return false;
	*(__be16 *)(a->link + ETH_HLEN - 2) = bpf_htons(s->key[KEY_ETYPE]);
	if (!answer_resize(skb, s, ETH_HLEN + a->bytes) || !answer_store(skb, a))
		return false;
	return (!two || !bpf_skb_vlan_push(skb, inner, s->key[KEY_VLAN1])) &&
	       !bpf_skb_vlan_push(skb, outer, s->key[KEY_VLAN0]);
}

static __always_inline bool answer_put(struct __sk_buff *skb, const struct scratch *s, struct answer *a)
{
	if (a->link_bytes > ETH_HLEN)
		return answer_put_tagged(skb, s, a);
	return answer_resize(skb, s, a->link_bytes + a->bytes) && answer_store(skb, a);
}

/*
 * Back to who sent it: on ingress out of the device, on egress into it, so that this host takes it for an answer
 * from there. On lo out again, too: what goes into it without a route is a martian.
 */
__weak __noinline int answer_tc(struct __sk_buff *skb)
{
	__u64 zero = 0;
	const struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	bool in;

	if (!s || !answer(skb))
		return TC_ACT_SHOT;
	in = s->hook == HOOK_TC_EGRESS && skb->ifindex != LOOPBACK_DEVICE;
	return bpf_redirect(skb->ifindex, in ? BPF_F_INGRESS : 0);
}
