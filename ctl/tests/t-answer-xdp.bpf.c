// SPDX-License-Identifier: GPL-2.0
/* XDP that rejects. */
#include "../../bpf/answer_xdp.h"

#include "answer_judge.h"

SEC("xdp.frags")
int reject_xdp(struct xdp_md *ctx)
{
	return is_rejected(ctx, HOOK_XDP) ? answer_xdp(ctx) : XDP_PASS;
}

/* A cable takes frames of XDP only if there is a program at its other end, too. */
SEC("xdp.frags")
int pass_xdp(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
