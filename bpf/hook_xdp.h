/* SPDX-License-Identifier: GPL-2.0 */
/* XDP: the packet as a frame, tags inside, possibly in several buffers. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "abi.h"

#define HOOK_PICKED
#define hook_ctx        xdp_md
#define HOOK_NAME(name) name##_xdp /* of a global function that takes the packet */

#include "cursor.h"

static __always_inline void *hook_data(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *hook_data_end(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline long hook_load(struct xdp_md *ctx, __u32 offset, void *to, __u32 bytes)
{
	return bpf_xdp_load_bytes(ctx, offset, to, bytes);
}

static __always_inline __u32 hook_length(struct xdp_md *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}

/* Bytes at hand without a call: of a frame in several buffers, those of the first. */
static __always_inline __u32 hook_linear(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

static __always_inline __u32 hook_ifindex(struct xdp_md *ctx)
{
	__u32 value = ctx->ingress_ifindex;

	barrier_var(value); /* clang: else it selects between addresses, and the context must be read in place */
	return value;
}

static __always_inline __u32 hook_iif(struct xdp_md *ctx)
{
	__u32 value = ctx->ingress_ifindex;

	barrier_var(value); /* clang: else it selects between addresses, and the context must be read in place */
	return value;
}

static __always_inline __u32 hook_mark(struct xdp_md *ctx)
{
	(void)ctx;
	return 0;
}

static __always_inline void hook_owner(struct xdp_md *ctx, struct scratch *s)
{
	(void)ctx;
	(void)s;
}

static __always_inline enum reason hook_tag(struct xdp_md *ctx, struct scratch *s)
{
	(void)ctx;
	(void)s;
	return REASON_RULE;
}
