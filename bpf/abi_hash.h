/* SPDX-License-Identifier: GPL-2.0 */
/* How bits are mixed: programs and command find the same place in the same table. */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

/* A bijection of 64 bits that spreads (after M. Stafford's mixers). */
static inline __attribute__((always_inline)) __u64 node_mix(__u64 h)
{
	h ^= h >> 32;
	h *= 0x9fb21c651e98df25u;
	return h ^ h >> 29;
}

/* The two halves of an IPv6 address. */
static inline __attribute__((always_inline)) __u64 node_fold(__u64 upper, __u64 lower)
{
	return upper ^ (lower * 0xd6e8feb86659fd93u >> 7) ^ lower << 31;
}
