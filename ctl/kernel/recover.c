// SPDX-License-Identifier: GPL-2.0
/*
 * What a killed command left behind, and the one change that takes several steps: growing.
 *
 * An instance is a directory under the root:
 *   N-new     being made; nobody uses it: removed
 *   N-ready   made, carries the rules that run, its programs are being put in place: finished
 *   N         in use; the highest one, lower ones are finished with: removed
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "guard.h"
#include "inner.h"

/* ---- sets and attachments that the running generation does not name ---- */

static bool bound(const struct weir_root *root, const struct pin *pin)
{
	const struct running *running = &root->running;

	if (pin->entry >= (enum entry)HOOK_MAX)
		return guards_want(root, pin);
	for (size_t f = 0; f < running->policy->n_filters; f++) {
		const struct filter *filter = &running->policy->filters[f];

		if ((int)filter->hook != (int)pin->entry)
			continue;
		for (size_t i = 0; i < filter->n_devices; i++)
			if (running->devices[filter->devices[i].device].ifindex == pin->ifindex)
				return true;
	}
	return false;
}

/*
 * The other half's manifest names the kernel maps of the generation before, or of one that was being made when
 * its command was killed. Those that the running generation does not name are taken out of their slots. (The
 * pool needs none of this: what no head names is free.)
 */
static int tidy_sets(struct weir_root *root, struct diag *diag)
{
	const struct memory *memory = &root->instance->memory;
	unsigned int other = (memory->control->generation + 1) & 1;
	const char *text = (const char *)memory->manifest + other * memory->capacity.n_manifest;
	struct slot slots[SET_SLOTS], forget[SET_SLOTS];
	size_t n = 0, n_slots = 0;

	if (memchr(text, 0, memory->capacity.n_manifest))
		n_slots = manifest_slots(text, slots, SET_SLOTS);
	for (size_t i = 0; i < n_slots; i++) {
		bool in_use = slots[i].number >= SET_SLOTS || !slots[i].maps;

		for (size_t k = 0; k < root->running.policy->n_sets && !in_use; k++)
			in_use = root->running.set_slot[k] == slots[i].number;
		if (!in_use)
			forget[n++] = slots[i];
	}
	return n ? inner_forget(root->instance->set, forget, n, diag) : 0;
}

int tidy(struct weir_root *root, struct diag *diag)
{
	struct control *control = root->instance->memory.control;
	struct pin *pins;
	size_t n;
	int r = 0;

	/* Nothing below may be in use by a packet that still runs under the generation before. */
	if (control->settled != control->generation)
		r = wait_for_packets(diag);
	if (r == 0)
		r = tidy_sets(root, diag);
	if (r)
		return r;
	if (pins_list(&pins, &n, root->path))
		return diag_errno(diag, EIO, "cannot list '%s/links'", root->path);
	for (size_t i = 0; i < n && r == 0; i++)
		if (!bound(root, &pins[i]) || !attach_alive(root, &pins[i]))
			r = attach_remove(root, &pins[i], diag);
	free(pins);
	if (r == 0)
		control->settled = control->generation;
	return r;
}

/* A flip alone (set load) leaves settled one behind; anything else, 0 above all, more than the old half. */
static bool only_flipped(const struct control *control)
{
	return control->settled && control->settled + 1 == control->generation;
}

int root_settle(struct weir_root *root, struct diag *diag)
{
	struct control *control = root->instance->memory.control;
	int r = 0;

	if (control->settled == control->generation)
		return 0;
	if (!only_flipped(control))
		return tidy(root, diag);
	r = wait_for_packets(diag);
	if (r == 0)
		control->settled = control->generation;
	return r;
}

/* ---- growing ---- */

/* to.base := from.base + what from's CPUs counted; may be done again. */
static int carry_counters(const struct instance *from, const struct instance *to, struct diag *diag)
{
	uint32_t n = from->memory.capacity.n_counters;
	struct counter *counted = calloc(n, sizeof(*counted));
	int r = counted ? counters_sum(from->counters, 0, n, counted) : -ENOMEM;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		struct counter base;

		r = bpf_map_lookup_elem(from->counter_base, &i, &base);
		base.packets += counted[i].packets;
		base.bytes += counted[i].bytes;
		if (r == 0 && (base.packets || base.bytes))
			r = bpf_map_update_elem(to->counter_base, &i, &base, BPF_ANY);
	}
	free(counted);
	return r ? diag_errno(diag, -r, "cannot carry the counters over") : 0;
}

static void copy_pool(const struct instance *from, struct instance *to)
{
	const struct tables_head *head = memory_head(&from->memory, from->memory.control->generation);

	for (size_t slot = 0; slot < SET_SLOTS; slot++) {
		for (int which = 0; which < SET_TABLE_MAX; which++) {
			const struct table *t = &head->set[slot].table[which];

			if (t->first)
				memcpy(to->memory.lines + t->first, from->memory.lines + t->first,
				       t->lines * sizeof(struct line));
		}
	}
}

/* The larger instance starts with the rules that run, so that replacing programs changes nothing for any packet. */
static void copy_generation(const struct instance *from, struct instance *to)
{
	uint64_t generation = from->memory.control->generation;
	unsigned int half = generation & 1;
	struct half_layout a = half_layout(&from->memory.capacity), b = half_layout(&to->memory.capacity);
	const uint8_t *src = from->memory.tables + half * a.size;
	uint8_t *dst = to->memory.tables + half * b.size;

	memcpy(dst, src, sizeof(struct tables_head));
	memcpy(dst + b.nodes_off, src + a.nodes_off, from->memory.capacity.n_nodes * sizeof(struct node));
	memcpy(dst + b.refs_off, src + a.refs_off, from->memory.capacity.n_refs * sizeof(uint32_t));
	memcpy(to->memory.manifest + half * to->memory.capacity.n_manifest,
	       from->memory.manifest + half * from->memory.capacity.n_manifest, from->memory.capacity.n_manifest);
	if (from->memory.guards && to->memory.guards)
		to->memory.guards[half] = from->memory.guards[half];
	/* The regions of the pool stay where they are: other sets' tables, and what was placed for new ones, fit. */
	copy_pool(from, to);
	to->memory.control->settled = from->memory.control->settled;
	__atomic_store_n(&to->memory.control->generation, generation, __ATOMIC_RELEASE);
}

static int rename_instance(const char *root, unsigned int number, const char *from, const char *to, struct diag *diag)
{
	char a[600], b[600];

	snprintf(a, sizeof(a), "%s/%u%s", root, number, from);
	snprintf(b, sizeof(b), "%s/%u%s", root, number, to);
	return rename(a, b) ? diag_errno(diag, errno, "cannot rename '%s'", a) : 0;
}

/* `to` is ready: put its programs in place of the old ones, then it alone counts. May be done again from any point. */
static int grow_finish(struct weir_root *root, struct instance *to, struct diag *diag)
{
	struct instance *from = root->instance;
	struct flow_carry *carry = NULL;
	struct pin *pins;
	char name[32];
	size_t n;
	int r = pins_list(&pins, &n, root->path);

	if (r)
		return diag_errno(diag, -r, "cannot list '%s/links'", root->path);
	if (from)
		r = flow_carry_begin(&carry, from, to, diag);
	for (size_t i = 0; i < n && r == 0; i++)
		r = attach_move(root, &pins[i], to, diag);
	free(pins);
	if (r == 0)
		r = wait_for_packets(diag);
	if (r == 0)
		flow_carry_rest(carry);
	flow_carry_end(carry);
	if (r == 0 && from)
		r = carry_counters(from, to, diag);
	if (r == 0)
		r = rename_instance(root->path, to->number, "-ready", "", diag);
	if (r)
		return r;
	if (from) {
		snprintf(name, sizeof(name), "%u", from->number);
		instance_remove(root->path, name);
		instance_close(from);
	}
	root->instance = to;
	return 0;
}

/* Asked before anything is made ready, which every later command would have to finish. */
static int may_move_all(const struct weir_root *root, struct diag *diag)
{
	struct pin *pins;
	size_t n;
	int r = pins_list(&pins, &n, root->path);

	if (r)
		return diag_errno(diag, -r, "cannot list '%s/links'", root->path);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (attach_may_move(&pins[i]))
			continue;
		r = diag_errno(diag, EPERM, "cannot replace the program of '%s/links/%s'", root->path, pins[i].name);
		diag_hint(diag, "to work on libxdp's dispatcher takes CAP_SYS_ADMIN");
	}
	free(pins);
	return r;
}

int grow(struct weir_root *root, const struct capacity *need, struct diag *diag)
{
	struct instance *to;
	int r = may_move_all(root, diag);

	if (r)
		return r;
	r = instance_create(&to, root->path, root->instance->number + 1, need, root->instance, diag);
	if (r)
		return r;
	copy_generation(root->instance, to);
	r = rename_instance(root->path, to->number, "-new", "-ready", diag);
	if (r == 0)
		r = grow_finish(root, to, diag);
	if (r)
		instance_close(to);
	return r;
}

/* ---- opening what is there ---- */

static int remove_all(struct weir_root *root, struct diag *diag)
{
	struct pin *pins;
	size_t n;
	int r = pins_list(&pins, &n, root->path);

	for (size_t i = 0; i < n && r == 0; i++)
		r = attach_remove(root, &pins[i], diag);
	free(pins);
	return r;
}

struct found {
	unsigned int current, ready;
	unsigned int old[64];
	size_t n_old;
};

static int look(struct found *found, const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	memset(found, 0, sizeof(*found));
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		unsigned int number;
		char rest[16] = "";

		if (sscanf(entry->d_name, "%u%15s", &number, rest) < 1)
			continue;
		if (!strcmp(rest, "-new")) {
			instance_remove(path, entry->d_name);
		} else if (!strcmp(rest, "-ready")) {
			found->ready = number;
		} else if (!*rest) {
			unsigned int lower = number > found->current ? found->current : number;

			if (lower && found->n_old < 64)
				found->old[found->n_old++] = lower;
			if (number > found->current)
				found->current = number;
		}
	}
	closedir(dir);
	return 0;
}

/* Leaves root->instance and root->running as they should be; NULL and empty where nothing is loaded. */
int recover(struct weir_root *root, struct diag *diag)
{
	const struct control *control;
	struct instance *ready;
	struct found found;
	char path[600];
	int r = look(&found, root->path);

	if (r)
		return diag_errno(diag, -r, "cannot read '%s'", root->path);
	for (size_t i = 0; i < found.n_old; i++) {
		snprintf(path, sizeof(path), "%u", found.old[i]);
		instance_remove(root->path, path);
	}
	if (found.current) {
		snprintf(path, sizeof(path), "%s/%u", root->path, found.current);
		r = instance_open(&root->instance, path, found.current, diag);
	}
	if (r == 0 && found.ready && root->instance) {
		/* What is left to do is done to interfaces by number: only where those numbers hold. */
		r = root_reload(root, diag);
		if (r == 0)
			r = root_check_netns(root, diag);
	}
	if (r == 0 && found.ready) {
		snprintf(path, sizeof(path), "%s/%u-ready", root->path, found.ready);
		r = instance_open(&ready, path, found.ready, diag);
		if (r == 0)
			r = grow_finish(root, ready, diag);
	}
	if (r)
		return r;
	if (!root->instance)
		return remove_all(root, diag);
	if (!root->instance->memory.control->generation) {
		/* The first apply did not get to its end: nothing was ever enforced. */
		r = remove_all(root, diag);
		snprintf(path, sizeof(path), "%u", root->instance->number);
		instance_remove(root->path, path);
		instance_close(root->instance);
		root->instance = NULL;
		return r;
	}
	r = root_reload(root, diag);
	control = root->instance->memory.control;
	if (r == 0 && control->settled != control->generation && !only_flipped(control) &&
	    root->contents->netns == netns_number())
		r = tidy(root, diag);
	return r;
}
