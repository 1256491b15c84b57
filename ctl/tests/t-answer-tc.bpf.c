// SPDX-License-Identifier: GPL-2.0
/* TC that rejects. */
#include "../../bpf/answer_tc.h"

#include "answer_judge.h"

/* Tags that the packet gets first, the inner one first; type 0: none. */
__u32 tag_type_be[2];
__u32 tag_tci[2];
/* The tag beside the answer. */
__u32 beside_type_be;
__u32 beside_tci;

static __always_inline int reject_tc(struct __sk_buff *skb, const enum hook hook)
{
	int action;

	for (int i = 0; i < 2; i++)
		if (tag_type_be[i])
			bpf_skb_vlan_push(skb, tag_type_be[i], tag_tci[i]);
	action = is_rejected(skb, hook) ? answer_tc(skb) : TC_ACT_OK;
	beside_type_be = skb->vlan_present ? skb->vlan_proto : 0;
	beside_tci = skb->vlan_tci;
	return action;
}

SEC("tc")
int reject_ingress(struct __sk_buff *skb)
{
	return reject_tc(skb, HOOK_TC_INGRESS);
}

SEC("tc")
int reject_egress(struct __sk_buff *skb)
{
	return reject_tc(skb, HOOK_TC_EGRESS);
}

char LICENSE[] SEC("license") = "GPL";
