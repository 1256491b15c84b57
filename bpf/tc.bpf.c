// SPDX-License-Identifier: GPL-2.0
/*
 * TC entry points: build the packet, call the core, spell the verdict. Accept is TC_ACT_UNSPEC (TCX_NEXT
 * has the same number), so that programs of others behind ours still see the packet.
 */
#include <linux/pkt_cls.h>

#include "hook_tc.h"
#include "datapath.h"
#include "answer_tc.h"

static __always_inline int tc_action(struct __sk_buff *skb, enum verdict verdict, __u32 redirect)
{
	switch (verdict) {
	case VERDICT_ACCEPT:
		return TC_ACT_UNSPEC;
	case VERDICT_REDIRECT:
		return bpf_redirect(redirect, 0);
	case VERDICT_REJECT:
		return cfg.features & FEATURE_ANSWERS ? answer_tc(skb) : TC_ACT_SHOT;
	default:
		return TC_ACT_SHOT;
	}
}

SEC("tc")
int weir_tc_ingress(struct __sk_buff *skb)
{
	__u32 redirect = 0;
	enum verdict verdict = datapath(skb, HOOK_TC_INGRESS, &redirect);

	return tc_action(skb, verdict, redirect);
}

SEC("tc")
int weir_tc_egress(struct __sk_buff *skb)
{
	__u32 redirect = 0;
	enum verdict verdict = datapath(skb, HOOK_TC_EGRESS, &redirect);

	return tc_action(skb, verdict, redirect);
}

char LICENSE[] __weak SEC("license") = "GPL";
