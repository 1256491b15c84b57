/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XDP: the frame is cut at its end or grows at its head, and goes back through the device it came by.
 *
 * Only a program that changes frames may include this: from 6.12 on, kernels do not take one behind libxdp's
 * dispatcher (decision 13).
 */
#pragma once

#include "hook_xdp.h"

#include "answer_syn.h"

static __always_inline bool answer_put(struct xdp_md *ctx, const struct scratch *s, struct answer *a)
{
	__u64 link = a->link_bytes, bytes = a->bytes;
	__s64 more = link + bytes - bpf_xdp_get_buff_len(ctx);

	(void)s;
	/* There is always room before a frame, but behind it only where the driver says so. */
	if (more > 0 ? bpf_xdp_adjust_head(ctx, -more) : more < 0 ? bpf_xdp_adjust_tail(ctx, more) : 0)
		return false;
	if (!answer_between(&bytes, sizeof(struct iphdr), sizeof(a->packet)) ||
	    bpf_xdp_store_bytes(ctx, link, a->packet, bytes))
		return false;
	return !link ||
	       (answer_between(&link, ETH_HLEN, sizeof(a->link)) && !bpf_xdp_store_bytes(ctx, 0, a->link, link));
}

/* Verified once, and of no cost to the packets that are not answered. */
__weak __noinline int answer_xdp(struct xdp_md *ctx)
{
	return answer(ctx) ? XDP_TX : XDP_DROP;
}

__weak __noinline int answer_syn_xdp(struct xdp_md *ctx)
{
	return answer_syn(ctx) ? XDP_TX : XDP_DROP;
}
