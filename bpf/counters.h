/* SPDX-License-Identifier: GPL-2.0 */
/* Dense per-CPU counters of packets and bytes (frame bytes, as on the wire). */
#pragma once

#include "maps.h"

/*
 * false: the number is outside the map. The key lies in the scratch map: a stack slot that is written in
 * part keeps what it held before alive for the verifier, and states that differ only there do not merge.
 */
static __always_inline bool counter_add(struct scratch *s, __u32 number)
{
	struct counter *counter;

	if (number == COUNTER_NONE)
		return true;
	s->number = number;
	counter = bpf_map_lookup_elem(&counters, &s->number);
	if (!counter)
		return false;
	counter->packets++;
	counter->bytes += s->length;
	return true;
}
