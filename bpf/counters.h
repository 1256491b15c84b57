/* SPDX-License-Identifier: GPL-2.0 */
/* Dense per-CPU counters of packets and bytes (frame bytes, as on the wire). */
#pragma once

#include "maps.h"

/* false: the number is outside the map */
static __always_inline bool counter_add(__u32 number, __u32 bytes)
{
	struct counter *counter;

	if (number == COUNTER_NONE)
		return true;
	counter = bpf_map_lookup_elem(&counters, &number);
	if (!counter)
		return false;
	counter->packets++;
	counter->bytes += bytes;
	return true;
}
