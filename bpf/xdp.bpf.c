// SPDX-License-Identifier: GPL-2.0
/* XDP entry points: build the packet, call the core, spell the verdict. */
#include "hook_xdp.h"
#include "datapath.h"
#include "answer_xdp.h"

SEC("xdp.frags")
int weir_xdp(struct xdp_md *ctx)
{
	__u32 redirect = 0;

	switch (datapath(ctx, HOOK_XDP, &redirect)) {
	case VERDICT_ACCEPT:
		return XDP_PASS;
	case VERDICT_REDIRECT:
		return bpf_redirect(redirect, 0);
	default:
		return XDP_DROP;
	}
}

/* The same where rules answer. Loaded instead of the other one, only then: it does not go behind every dispatcher. */
SEC("?xdp.frags")
int weir_xdp_answers(struct xdp_md *ctx)
{
	__u32 redirect = 0;

	switch (datapath(ctx, HOOK_XDP, &redirect)) {
	case VERDICT_ACCEPT:
		return XDP_PASS;
	case VERDICT_REDIRECT:
		return bpf_redirect(redirect, 0);
	case VERDICT_REJECT:
		return answer_xdp(ctx);
	case VERDICT_SYNPROXY:
		return answer_syn_xdp(ctx);
	default:
		return XDP_DROP;
	}
}

char LICENSE[] __weak SEC("license") = "GPL";
