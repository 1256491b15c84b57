/* SPDX-License-Identifier: GPL-2.0 */
/* Records for people, through one ring buffer. */
#pragma once

#include "counters.h"

/*
 * A function of its own, and global so that it is verified once: a packet that is logged can afford a
 * call, the walk cannot afford the instructions at each of its steps. Weak: both entry files bring it.
 */
__weak __noinline int event_log(__u32 prefix, __u32 rule)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct event *event;

	if (!s)
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		counter_add(s, COUNTER_EVENTS_LOST);
		return 0;
	}
	event->kind = EVENT_LOG;
	event->pad = 0;
	event->time_ns = bpf_ktime_get_ns();
	event->generation = s->generation;
	event->hook = s->hook;
	event->ifindex = s->ifindex;
	event->filter = s->filter;
	event->rule = rule;
	event->prefix = prefix;
	event->length = s->length;
	for (int i = 0; i < KEY_WORDS; i++)
		event->key[i] = s->key[i];
	bpf_ringbuf_submit(event, 0);
	return 0;
}
