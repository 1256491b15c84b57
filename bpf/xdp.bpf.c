// SPDX-License-Identifier: GPL-2.0
/* XDP entry points: build the packet, call the core, spell the verdict. */
#include "hook_xdp.h"
#include "datapath.h"
#include "answer_xdp.h"

static __always_inline int xdp_judge(struct xdp_md *ctx, const bool answers)
{
	__u32 redirect = 0;

	switch (datapath(ctx, HOOK_XDP, &redirect)) {
	case VERDICT_ACCEPT:
		return XDP_PASS;
	case VERDICT_REDIRECT:
		return bpf_redirect(redirect, 0);
	case VERDICT_REJECT:
		return answers ? answer_xdp(ctx) : XDP_DROP;
	case VERDICT_SYNPROXY:
		return answers ? answer_syn_xdp(ctx) : XDP_DROP;
	default:
		return XDP_DROP;
	}
}

SEC("xdp.frags")
int weir_xdp(struct xdp_md *ctx)
{
	return xdp_judge(ctx, false);
}

/* Loaded instead of the other one where rules answer, and only then: it does not go behind every dispatcher. */
SEC("?xdp.frags")
int weir_xdp_answers(struct xdp_md *ctx)
{
	return xdp_judge(ctx, true);
}

char LICENSE[] __weak SEC("license") = "GPL";
