// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>
#include <netlink/netlink.h>

#include "follow.h"
#include "root.h"

/* ---- the running rules, where they are needed now ---- */

/* Has a device another number than when the rules were applied, or lost its program? Seldom, and cheap to ask. */
static bool is_behind(const struct weir_root *root)
{
	const struct running *running = &root->running;

	for (size_t i = 0; i < running->policy->n_devices; i++)
		if (if_nametoindex(running->policy->devices[i]) != running->devices[i].ifindex)
			return true;
	return !filters_attached(root, running->policy, running->devices);
}

int root_follow(struct weir_root *root, bool *ret_changed, struct diag *diag)
{
	const struct memory *memory = &root->instance->memory;
	struct apply_result result;
	struct manifest *copy;
	int r = root_check_netns(root, diag);

	*ret_changed = false;
	if (r || !is_behind(root))
		return r;
	/* A copy: root_apply() reads the running rules again, and frees those that it finds. */
	r = manifest_read(
		&copy, (const char *)memory->manifest + (memory->control->generation & 1) * memory->capacity.n_manifest,
		diag);
	if (r == 0) {
		struct apply_options options = { .file = copy->file, .follow = true };

		r = root_apply(root, copy->policy, &options, &result, diag);
		*ret_changed = r == 0 && !result.unchanged;
		manifest_free(copy);
	}
	return r;
}

/* ---- devices come and go ---- */

struct link_events {
	struct nl_sock *sock;
};

int link_events_open(struct link_events **ret, struct diag *diag)
{
	struct link_events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return diag_oom(diag);
	events->sock = nl_socket_alloc();
	r = events->sock ? nl_connect(events->sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (r == 0)
		r = nl_socket_add_membership(events->sock, RTNLGRP_LINK);
	if (r) {
		link_events_close(events);
		return diag_errno(diag, EIO, "cannot be told of devices that come and go: %s", nl_geterror(r));
	}
	*ret = events;
	return 0;
}

void link_events_close(struct link_events *events)
{
	if (!events)
		return;
	nl_socket_free(events->sock);
	free(events);
}

int link_events_fd(const struct link_events *events)
{
	return nl_socket_get_fd(events->sock);
}

/* What they say is not read: what matters is how things are now. ENOBUFS: more came than was kept. */
void link_events_drain(struct link_events *events)
{
	char some[8192];

	while (recv(link_events_fd(events), some, sizeof(some), MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR)
		;
}
