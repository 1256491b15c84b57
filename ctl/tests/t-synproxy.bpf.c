// SPDX-License-Identifier: GPL-2.0
/* For t-synproxy-bpf: every SYN is answered, every cookie looked at, without rules. */
#include "../../bpf/hook_xdp.h"

#include "../../bpf/answer_xdp.h"
#include "../../bpf/datapath.h"

__u32 offer;  /* SYNPROXY_* of the rule */
__u32 raw_ip; /* 1: frames start with the IP header */

static __always_inline struct scratch *parsed(struct xdp_md *ctx)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return NULL;
	datapath_begin(ctx, s, HOOK_XDP);
	return packet_parse(ctx, s, raw_ip) == REASON_RULE ? s : NULL;
}

SEC("xdp.frags")
int syn_xdp(struct xdp_md *ctx)
{
	struct scratch *s = parsed(ctx);

	if (!s)
		return XDP_ABORTED;
	s->redirect = offer;
	return answer_syn_xdp(ctx);
}

/* XDP_PASS: the cookie is right. */
SEC("xdp.frags")
int ack_xdp(struct xdp_md *ctx)
{
	struct scratch *s = parsed(ctx);

	if (!s)
		return XDP_ABORTED;
	synproxy_check_xdp(ctx);
	return s->cookie ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
