/* SPDX-License-Identifier: GPL-2.0 */
/* Bounded reading of packet bytes, the same for XDP and TC, linear or not. */
#pragma once

#include "maps.h"

/* Largest offset at which a header may begin: beyond what tags and the followed extension headers can reach. */
#define OFFSET_MASK 0x7fff

/* These come from hook_xdp.h or hook_tc.h: */
static __always_inline void *hook_data(struct hook_ctx *ctx);
static __always_inline void *hook_data_end(struct hook_ctx *ctx);
static __always_inline __u32 hook_length(struct hook_ctx *ctx);
static __always_inline long hook_load(struct hook_ctx *ctx, __u32 offset, void *to, __u32 bytes);

/*
 * The `size` bytes at `offset`, or NULL when the frame has fewer. size is a constant of at most 64.
 * Reads in place where the bytes are in the linear part, else from a copy in s->header (which the next
 * call overwrites).
 */
static __always_inline const void *cursor_at(struct hook_ctx *ctx, struct scratch *s, __u32 offset, const __u32 size)
{
	void *data, *end;

	if (offset > OFFSET_MASK || offset + size > s->length)
		return NULL;
	data = hook_data(ctx);
	end = hook_data_end(ctx);
	offset &= OFFSET_MASK; /* Verifier: the compiler drops the comparison above from what it can see. */
	if (data + offset + size <= end)
		return data + offset;
	if (hook_load(ctx, offset, s->header, size))
		return NULL;
	return s->header;
}
