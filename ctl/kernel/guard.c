// SPDX-License-Identifier: GPL-2.0
/*
 * Guards: where their programs are, and their tables as names and devices change. docs/decisions/0017-guard.md says why.
 *
 * The programs of the calls are at one cgroup, those of the packets on every device but lo. What judges is the half of the
 * generation that runs, so a program that is too many, or early, changes nothing.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "attach.h"
#include "guard.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static const struct call {
	enum entry entry;
	enum bpf_attach_type type;
} calls[] = {
	{ ENTRY_GUARD_CONNECT4, BPF_CGROUP_INET4_CONNECT },
	{ ENTRY_GUARD_CONNECT6, BPF_CGROUP_INET6_CONNECT },
	{ ENTRY_GUARD_SENDMSG4, BPF_CGROUP_UDP4_SENDMSG },
	{ ENTRY_GUARD_SENDMSG6, BPF_CGROUP_UDP6_SENDMSG },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

uint64_t netns_cookie(void)
{
	/* Of any family: where services are confined, this one is left. */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length))
		cookie = 0;
	close(fd);
	return cookie;
}

/* ---- the cgroup ---- */

int guards_place(struct cgroup *ret, const struct weir_root *root, const struct policy *policy, const char *named,
		 struct diag *diag)
{
	const struct cgroup *now = root->contents ? &root->contents->cgroup : NULL;
	struct diag quiet;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!policy->n_guards)
		return 0;
	/* Without it everybody here would count as from elsewhere. */
	if (!netns_cookie())
		return diag_errno(diag, ENOTSUP, "cannot tell this network namespace from others");
	if (named)
		return cgroup_at(ret, named, diag);
	if (!now || !now->id) {
		r = cgroup_top(ret, diag);
		if (r == 0 && !cgroup_is_top(ret)) {
			diag_warning(
				diag, (struct location){ 0 },
				"'%s' is not the top of the host's cgroups: who is outside is known by packets alone",
				ret->path);
		}
		return r;
	}
	diag_init(&quiet);
	r = cgroup_at(ret, now->path, &quiet);
	diag_clear(&quiet);
	if (r == 0 && ret->id == now->id)
		return 0;
	diag_errno(diag, ENOENT, "the cgroup '%s', whose calls the guards judge, is gone", now->path);
	diag_hint(diag, "name another one with --cgroup");
	return -ENOENT;
}

static int call_add(const struct weir_root *root, const struct call *call, const struct cgroup *cgroup,
		    struct diag *diag)
{
	int fd = cgroup_open(cgroup), link, r;
	char name[64];

	if (fd < 0)
		return diag_errno(diag, -fd, "cannot open the cgroup '%s'", cgroup->path);
	link = bpf_link_create(root->instance->program[call->entry], fd, call->type, NULL);
	r = -errno;
	close(fd);
	if (link < 0) {
		diag_errno(diag, -r, "cannot attach to the cgroup '%s'", cgroup->path);
		if (r == -EPERM)
			diag_hint(diag, "a program is there that was attached to be alone: `bpftool cgroup show %s`",
				  cgroup->path);
		return r;
	}
	snprintf(name, sizeof(name), "%s-cgroup-%llu", attach_names[call->entry], (unsigned long long)cgroup->id);
	r = pin_link(root, name, link);
	return r ? diag_errno(diag, -r, "cannot pin the link of '%s'", cgroup->path) : 0;
}

/* ---- attachments, there and missing ---- */

struct pins {
	const struct weir_root *root;
	struct pin *at;
	size_t n;
};

static int pins_read(struct pins *ret, const struct weir_root *root, struct diag *diag)
{
	int r = pins_list(&ret->at, &ret->n, root->path);

	ret->root = root;
	return r ? diag_errno(diag, -r, "cannot list '%s/links'", root->path) : 0;
}

static const struct pin *pins_find(const struct pins *pins, enum entry entry, uint32_t ifindex, uint64_t cgroup)
{
	for (size_t i = 0; i < pins->n; i++) {
		const struct pin *pin = &pins->at[i];

		if (pin->entry == entry && pin->ifindex == ifindex && pin->cgroup == cgroup)
			return pin;
	}
	return NULL;
}

static bool pins_alive(const struct pins *pins, enum entry entry, uint32_t ifindex, uint64_t cgroup)
{
	const struct pin *pin = pins_find(pins, entry, ifindex, cgroup);

	return pin && attach_alive(pins->root, pin);
}

static enum entry entry_of(const struct link_info *link)
{
	return link->ethernet ? ENTRY_GUARD_EGRESS : ENTRY_GUARD_EGRESS_IP;
}

/* A file whose attachment has gone, or was made for another kind of device. */
static int pins_clear(const struct pins *pins, enum entry entry, uint32_t ifindex, struct diag *diag)
{
	const struct pin *pin = pins_find(pins, entry, ifindex, 0);

	return pin ? attach_remove(pins->root, pin, diag) : 0;
}

static int device_add(const struct pins *pins, const struct link_info *link, struct diag *diag)
{
	struct diag why;
	int r = pins_clear(pins, ENTRY_GUARD_EGRESS, link->ifindex, diag);

	if (r == 0)
		r = pins_clear(pins, ENTRY_GUARD_EGRESS_IP, link->ifindex, diag);
	if (r)
		return r;
	diag_init(&why);
	r = tc_add(pins->root, entry_of(link), link->ifindex, link->name, &why);
	if (r && !if_nametoindex(link->name))
		r = -ENODEV; /* it left while we were at it */
	else if (r)
		diag_errno(diag, -r, "%s", why.n ? why.problems[0].message : "cannot attach a guard");
	diag_clear(&why);
	return r;
}

static bool device_has(const struct pins *pins, const struct link_info *link)
{
	return link->loopback || pins_alive(pins, entry_of(link), link->ifindex, 0);
}

static int devices_attach(const struct pins *pins, size_t *ret, struct diag *diag)
{
	struct link_info *links;
	size_t n;
	int r = link_list(&links, &n, diag);

	if (r)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (device_has(pins, &links[i]))
			continue;
		r = device_add(pins, &links[i], diag);
		*ret += r == 0;
		if (r == -ENODEV)
			r = 0;
	}
	free(links);
	return r;
}

int guards_attach(const struct weir_root *root, const struct cgroup *cgroup, size_t *ret, struct diag *diag)
{
	struct pins pins;
	int r = pins_read(&pins, root, diag);

	*ret = 0;
	if (r)
		return r;
	for (size_t i = 0; i < CALLS && r == 0; i++)
		if (!pins_alive(&pins, calls[i].entry, 0, cgroup->id))
			r = call_add(root, &calls[i], cgroup, diag);
	if (r == 0)
		r = devices_attach(&pins, ret, diag);
	free(pins.at);
	return r;
}

bool guards_attached(const struct weir_root *root, const struct cgroup *cgroup)
{
	struct link_info *links = NULL;
	struct pins pins = { 0 };
	struct diag quiet;
	bool all = true;
	size_t n = 0;

	diag_init(&quiet);
	all = pins_read(&pins, root, &quiet) == 0 && link_list(&links, &n, &quiet) == 0;
	diag_clear(&quiet);
	for (size_t i = 0; i < CALLS && all; i++)
		all = pins_alive(&pins, calls[i].entry, 0, cgroup->id);
	for (size_t i = 0; i < n && all; i++)
		all = device_has(&pins, &links[i]);
	free(links);
	free(pins.at);
	return all;
}

bool guards_want(const struct weir_root *root, const struct pin *pin)
{
	if (!root->running.policy->n_guards)
		return false;
	return !entry_is_call(pin->entry) || pin->cgroup == root->contents->cgroup.id;
}

/* ---- tables ---- */

static int tables_now(struct guard_tables **ret, const struct weir_root *root, const struct policy *policy,
		      const struct device_env *devices, struct diag *diag)
{
	struct compile_input input = { .policy = policy,
				       .devices = devices,
				       .set_slot = root->running.set_slot,
				       .counters = root->running.counters,
				       .netns = netns_cookie(),
				       .secret = root->instance->memory.control->seed };

	return compile_guards(ret, &input, diag);
}

static const struct guard_tables *tables_running(const struct weir_root *root)
{
	const struct memory *memory = &root->instance->memory;

	return memory_guards(memory, memory->control->generation);
}

bool guards_same(const struct weir_root *root, const struct policy *policy, const struct device_env *devices)
{
	struct guard_tables *tables = NULL;
	struct diag quiet;
	bool same;

	if (!policy->n_guards)
		return true;
	diag_init(&quiet);
	same = tables_running(root) && tables_now(&tables, root, policy, devices, &quiet) == 0 &&
	       !memcmp(tables, tables_running(root), sizeof(*tables));
	diag_clear(&quiet);
	free(tables);
	return same;
}

/* Those that guards name, by the numbers that they have now. */
static int devices_now(struct device_env **ret, const struct running *running, struct diag *diag)
{
	const struct policy *policy = running->policy;
	struct device_env *devices = calloc(policy->n_devices + 1, sizeof(*devices));

	if (!devices)
		return diag_oom(diag);
	memcpy(devices, running->devices, policy->n_devices * sizeof(*devices));
	for (size_t g = 0; g < policy->n_guards; g++) {
		const struct guard_statement *guard = &policy->guards[g];

		for (size_t i = 0; i < guard->n_devices; i++)
			devices[guard->devices[i]].ifindex = if_nametoindex(policy->devices[guard->devices[i]]);
	}
	*ret = devices;
	return 0;
}

static int turn_tables(struct weir_root *root, bool *ret_changed, struct diag *diag)
{
	struct guard_tables *tables = NULL;
	struct device_env *devices = NULL;
	int r = devices_now(&devices, &root->running, diag);

	if (r)
		return r;
	r = tables_now(&tables, root, root->running.policy, devices, diag);
	free(devices);
	if (r == 0 && memcmp(tables, tables_running(root), sizeof(*tables))) {
		r = root_settle(root, diag);
		if (r == 0) {
			struct memory *memory = &root->instance->memory;

			memory_repeat_half(memory);
			*memory_guards(memory, memory->control->generation + 1) = *tables;
			root_flip(root);
			*ret_changed = true;
		}
	}
	free(tables);
	return r;
}

/* Of devices and cgroups that left. */
static int drop_dead(const struct weir_root *root, bool *ret_changed, struct diag *diag)
{
	struct pins pins;
	int r = pins_read(&pins, root, diag);

	if (r)
		return r;
	for (size_t i = 0; i < pins.n && r == 0; i++) {
		if (pins.at[i].entry < (enum entry)HOOK_MAX || attach_alive(root, &pins.at[i]))
			continue;
		r = attach_remove(root, &pins.at[i], diag);
		*ret_changed = true;
	}
	free(pins.at);
	return r;
}

int root_refresh(struct weir_root *root, bool *ret_changed, struct diag *diag)
{
	bool turned = false;
	size_t attached = 0;
	int r;

	*ret_changed = false;
	if (!root_running(root))
		return 0;
	r = root_check_netns(root, diag);
	if (r == 0)
		r = root_reload(root, diag);
	if (r || !root->running.policy->n_guards)
		return r;
	if (root->contents->names_unknown)
		return diag_errno(diag, EAGAIN, "cannot look up the users and groups that guards name");
	if (!netns_cookie())
		return diag_errno(diag, ENOTSUP, "cannot tell this network namespace from others");
	r = turn_tables(root, &turned, diag);
	if (r == 0)
		r = drop_dead(root, ret_changed, diag);
	if (r == 0)
		r = guards_attach(root, &root->contents->cgroup, &attached, diag);
	if (turned)
		guards_close_sockets(root);
	*ret_changed |= turned || attached;
	return r;
}
