// SPDX-License-Identifier: GPL-2.0
/*
 * XDP beside the programs of others, through libxdp's dispatcher. A component is one more copy of the XDP
 * program, loaded as an extension of the dispatcher over the maps of an instance; by those it is known.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "dispatcher.h"
#include "privilege.h"
#include "weir.skel.h"

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

static bool program_uses(uint32_t program, uint32_t map)
{
	uint32_t maps[32] = { 0 }, length;
	struct bpf_prog_info info = { .map_ids = (uintptr_t)maps, .nr_map_ids = 32 };
	int fd = bpf_prog_get_fd_by_id(program);
	bool uses = false;

	length = sizeof(info);
	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0)
		for (uint32_t i = 0; i < info.nr_map_ids && i < 32; i++)
			uses |= maps[i] == map;
	close(fd);
	return uses;
}

/* The component of this instance on an interface's dispatcher; NULL: none. *ret_mp is the caller's to close. */
static struct xdp_program *dispatcher_find(struct xdp_multiprog **ret_mp, uint32_t ifindex,
					   const struct instance *instance)
{
	struct xdp_program *program = NULL;
	uint32_t control = map_id(instance->control);

	*ret_mp = xdp_multiprog__get_from_ifindex(ifindex);
	if (libxdp_get_error(*ret_mp)) {
		*ret_mp = NULL;
		return NULL;
	}
	while ((program = xdp_multiprog__next_prog(program, *ret_mp)))
		if (control && program_uses(xdp_program__id(program), control))
			break;
	return program;
}

static bool any_program(uint32_t ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_query_opts, query);

	return bpf_xdp_query(ifindex, 0, &query) == 0 && (query.prog_id || query.drv_prog_id || query.skb_prog_id);
}

bool dispatcher_holds(uint32_t ifindex, const struct instance *instance)
{
	struct xdp_multiprog *mp;
	bool found;

	/* Who may not look believes the note, as long as there can be something behind it. */
	if (!privilege_is_admin())
		return instance && any_program(ifindex);
	found = instance && dispatcher_find(&mp, ifindex, instance);
	if (instance)
		xdp_multiprog__close(mp);
	return found;
}

int dispatcher_remove(uint32_t ifindex, const struct instance *instance)
{
	struct xdp_multiprog *mp;
	struct xdp_program *program;
	int r;

	if (!privilege_is_admin() && any_program(ifindex))
		return -EPERM;
	program = dispatcher_find(&mp, ifindex, instance);
	r = program ? xdp_program__detach(program, ifindex, xdp_multiprog__attach_mode(mp), 0) : 0;

	xdp_multiprog__close(mp);
	return r;
}

int dispatcher_add(const struct instance *instance, uint32_t ifindex, bool generic, struct diag *diag)
{
	struct shared_maps shared = { .events = instance->events,
				      .guard_stamps = -1,
				      .guard_rates = -1,
				      .lines = instance->lines,
				      .flows = instance->flows,
				      .buckets = instance->buckets,
				      .datagrams = instance->datagrams,
				      .control = instance->control,
				      .tables = instance->tables,
				      .manifest = instance->manifest,
				      .counters = instance->counters,
				      .counter_base = instance->counter_base };
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts);
	struct xdp_program *program;
	struct weir_bpf *bpf;
	int r;

	if (!privilege_is_admin())
		return -EPERM;
	if (dispatcher_holds(ifindex, instance))
		return 0;
	memcpy(shared.set, instance->set, sizeof(shared.set));
	r = load_open(&bpf, &instance->memory.capacity, LOAD_XDP_ONLY, &shared, diag);
	if (r)
		return r;
	opts.obj = bpf->obj;
	opts.prog_name = bpf_program__name(load_entry(bpf, ENTRY_XDP, instance->memory.capacity.features));
	program = xdp_program__create(&opts);
	r = libxdp_get_error(program);
	if (r == 0) {
		xdp_program__set_run_prio(program, 10); /* before programs that do not say (50) */
		r = xdp_program__attach(program, ifindex, generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
		xdp_program__close(program);
	}
	load_close(bpf);
	return r;
}
