// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include <bpf/libbpf.h>

#include "root.h"

struct forward {
	event_handler handler;
	void *context;
	int result;
};

static int on_record(void *context, void *data, size_t size)
{
	struct forward *forward = context;

	if (size < sizeof(struct event))
		return 0;
	forward->result = forward->handler(forward->context, data);
	return forward->result ? -ECANCELED : 0;
}

int root_watch(struct weir_root *root, event_handler handler, void *context, const volatile int *stop,
	       struct diag *diag)
{
	struct forward forward = { handler, context, 0 };
	struct ring_buffer *ring;
	int r = 0;

	if (!root->instance)
		return diag_errno(diag, ENOENT, "cannot watch: nothing is loaded");
	load_log_reset();
	ring = ring_buffer__new(root->instance->events, on_record, &forward, NULL);
	if (!ring)
		return diag_errno(diag, errno, "cannot open the ring buffer");
	while (!*stop && !forward.result) {
		r = ring_buffer__poll(ring, 200);
		if (r < 0 && r != -EINTR && r != -ECANCELED)
			break;
		r = 0;
	}
	ring_buffer__free(ring);
	return r < 0 ? diag_errno(diag, -r, "cannot read the ring buffer") : 0;
}
