// SPDX-License-Identifier: GPL-2.0
/* Programs at TC: a TCX link, or a filter on clsact where the kernel has none (before 6.6). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "link.h"

/* Not in the headers of libbpf 1.1; the numbers are the kernel's (6.6). */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define ATTACH_FIRST       (1u << 3) /* BPF_F_BEFORE, of nobody: before all */

/*
 * A filter is behind those of others, which it leaves in peace. A guard is before them: a program that ends the chain with
 * TC_ACT_OK would hide packets from it.
 */
static const struct tc_place {
	enum bpf_tc_attach_point point;
	int tcx;
	uint32_t flags; /* of a TCX link */
	uint32_t handle, priority;
} places[ENTRY_MAX] = {
	[ENTRY_TC_INGRESS] = { BPF_TC_INGRESS, ATTACH_TCX_INGRESS, 0, 0x77656972 /* "weir" */, 0x7765 },
	[ENTRY_TC_EGRESS] = { BPF_TC_EGRESS, ATTACH_TCX_EGRESS, 0, 0x77656972, 0x7765 },
	[ENTRY_GUARD_EGRESS] = { BPF_TC_EGRESS, ATTACH_TCX_EGRESS, ATTACH_FIRST, 0x77656967 /* "weig" */, 2 },
	[ENTRY_GUARD_EGRESS_IP] = { BPF_TC_EGRESS, ATTACH_TCX_EGRESS, ATTACH_FIRST, 0x77656967, 2 },
};

bool pin_is_clsact(const struct pin *pin)
{
	return pin_is(pin, "cls") || pin_is(pin, "clsq");
}

/* libbpf refuses a hook whose padding is not zero, so it is filled in place, never copied. */
static void cls_hook(struct bpf_tc_hook *h, uint32_t ifindex, enum bpf_tc_attach_point point)
{
	memset(h, 0, sizeof(*h));
	h->sz = sizeof(*h);
	h->ifindex = ifindex;
	h->attach_point = point;
}

static int cls_set(uint32_t ifindex, enum entry entry, int program)
{
	struct bpf_tc_hook h;
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .handle = places[entry].handle,
			    .priority = places[entry].priority, .flags = BPF_TC_F_REPLACE);

	cls_hook(&h, ifindex, places[entry].point);
	return bpf_tc_attach(&h, &opts);
}

static void cls_name(char name[64], enum entry entry, bool made_qdisc, uint32_t ifindex)
{
	snprintf(name, 64, "%s-%s-%u", attach_names[entry], made_qdisc ? "clsq" : "cls", ifindex);
}

static int cls_add(const struct weir_root *root, enum entry entry, uint32_t ifindex, const char *device,
		   struct diag *diag)
{
	struct bpf_tc_hook h;
	char path[600], name[64];
	int r, program = root->instance->program[entry];

	cls_hook(&h, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	load_log_reset();
	r = bpf_tc_hook_create(&h);
	if (r && r != -EEXIST)
		return diag_errno(diag, -r, "cannot add a clsact qdisc to '%s' (%s)", device, load_log_tail());
	cls_name(name, entry, r == 0, ifindex);
	pin_path(path, root, name);
	r = pin_note(root, name, program);
	if (r == 0)
		r = cls_set(ifindex, entry, program);
	if (r) {
		unlink(path);
		return diag_errno(diag, -r, "cannot attach to '%s' at clsact (%s)", device, load_log_tail());
	}
	return 0;
}

/* Was the qdisc made for this filter, or handed on to it since? */
static bool made_qdisc(const struct weir_root *root, const struct pin *pin)
{
	char path[600], name[64];

	cls_name(name, pin->entry, true, pin->ifindex);
	pin_path(path, root, name);
	return access(path, F_OK) == 0;
}

/* Somebody else's filter, or another one of ours, is still there; ours takes the qdisc down with it one day. */
static void hand_on_qdisc(const struct weir_root *root, const struct pin *pin)
{
	for (enum entry i = 0; i < ENTRY_MAX; i++) {
		char from[600], to[600], name[64];

		if (!places[i].handle || i == pin->entry)
			continue;
		cls_name(name, i, false, pin->ifindex);
		pin_path(from, root, name);
		cls_name(name, i, true, pin->ifindex);
		pin_path(to, root, name);
		if (rename(from, to) == 0)
			return;
	}
}

int cls_remove(const struct weir_root *root, const struct pin *pin)
{
	const struct tc_place *place = &places[pin->entry];
	bool made = made_qdisc(root, pin);
	struct bpf_tc_hook h;
	char path[600], name[64];
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = place->handle, .priority = place->priority);

	cls_hook(&h, pin->ifindex, place->point);
	load_log_reset();
	bpf_tc_detach(&h, &opts);
	if (made && link_clsact_is_empty(pin->ifindex)) {
		h.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&h);
	} else if (made) {
		hand_on_qdisc(root, pin);
	}
	cls_name(name, pin->entry, made, pin->ifindex);
	pin_path(path, root, name);
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int cls_move(const struct weir_root *root, const struct pin *pin, const struct instance *to)
{
	int program = to->program[pin->entry];

	return cls_set(pin->ifindex, pin->entry, program) ?: pin_note(root, pin->name, program);
}

bool cls_alive(const struct pin *pin)
{
	const struct tc_place *place = &places[pin->entry];
	struct bpf_tc_hook h;
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = place->handle, .priority = place->priority);

	cls_hook(&h, pin->ifindex, place->point);
	return bpf_tc_query(&h, &opts) == 0;
}

int tc_add(const struct weir_root *root, enum entry entry, uint32_t ifindex, const char *device, struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = places[entry].flags);
	int link = bpf_link_create(root->instance->program[entry], ifindex, (enum bpf_attach_type)places[entry].tcx,
				   &opts);
	char name[64];
	int r;

	if (link < 0)
		return cls_add(root, entry, ifindex, device, diag);
	snprintf(name, sizeof(name), "%s-tcx-%u", attach_names[entry], ifindex);
	r = pin_link(root, name, link);
	return r ? diag_errno(diag, -r, "cannot pin the link of '%s'", device) : 0;
}
