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

/* Has a device another number than when the rules were applied, or lost a program? Seldom, and cheap to ask. */
static int is_behind(const struct weir_root *root, bool *ret, struct diag *diag)
{
	const struct running *running = &root->running;
	struct pin *pins;
	size_t n;
	int r = pins_list(&pins, &n, root->path);

	if (r)
		return diag_errno(diag, -r, "cannot list '%s/links'", root->path);
	*ret = false;
	for (size_t i = 0; i < running->policy->n_devices && !*ret; i++)
		*ret = if_nametoindex(running->policy->devices[i]) != running->devices[i].ifindex;
	for (size_t i = 0; i < n && !*ret; i++)
		*ret = pins[i].entry < (enum entry)HOOK_MAX && !attach_alive(root, &pins[i]);
	free(pins);
	return 0;
}

int root_follow(struct weir_root *root, bool *ret_changed, struct diag *diag)
{
	const struct memory *memory = &root->instance->memory;
	struct apply_result result;
	struct manifest *copy;
	bool behind = false;
	int r = root_check_netns(root, diag);

	*ret_changed = false;
	if (r == 0)
		r = is_behind(root, &behind, diag);
	if (r || !behind)
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
