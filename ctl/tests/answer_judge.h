/* SPDX-License-Identifier: GPL-2.0 */
/* The rules of t-answer-*.bpf.c: parse, and reject. Include answer_xdp.h or answer_tc.h first. */
#pragma once

#include "../../bpf/datapath.h"

__u32 reject; /* REJECT_* */
__u32 raw_ip; /* 1: frames start with the IP header */
__u32 port;   /* what is rejected: packets to this port; 0: every packet, also what rules may not judge */

static __always_inline bool is_rejected(struct hook_ctx *ctx, const enum hook hook)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return false;
	datapath_begin(ctx, s, hook);
	s->reason = hook_tag(ctx, s);
	if (s->reason == REASON_RULE)
		s->reason = packet_parse(ctx, s, raw_ip);
	s->verdict = VERDICT_REJECT;
	s->redirect = reject;
	return !port || (s->reason == REASON_RULE && s->key[KEY_DPORT] == port);
}
