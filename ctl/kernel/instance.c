// SPDX-License-Identifier: GPL-2.0
/* One loaded copy of programs and maps, pinned in a directory of its own so that no process need live. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "inner.h"
#include "root.h"
#include "weir.skel.h"

static const char *const program_names[HOOK_MAX] = { "prog_xdp", "prog_tc_ingress", "prog_tc_egress" };

static void instance_none(struct instance *instance)
{
	memset(instance, 0, sizeof(*instance));
	instance->control = instance->tables = instance->manifest = instance->counters = instance->counter_base = -1;
	instance->lines = instance->flows = instance->buckets = instance->datagrams = instance->events = -1;
	for (int i = 0; i < SET_OUTER_MAX; i++)
		instance->set[i] = -1;
	for (int i = 0; i < HOOK_MAX; i++)
		instance->program[i] = -1;
}

/* The descriptors of an instance under the names they are pinned by. */
#define FILES (10 + SET_OUTER_MAX + HOOK_MAX)
struct file {
	const char *name;
	int *fd;
};

static void instance_files(struct instance *instance, struct file files[FILES])
{
	size_t n = 0;

	files[n++] = (struct file){ "control", &instance->control };
	files[n++] = (struct file){ "tables", &instance->tables };
	files[n++] = (struct file){ "manifest", &instance->manifest };
	files[n++] = (struct file){ "counters", &instance->counters };
	files[n++] = (struct file){ "counter_base", &instance->counter_base };
	files[n++] = (struct file){ "lines", &instance->lines };
	files[n++] = (struct file){ "flows", &instance->flows };
	files[n++] = (struct file){ "buckets", &instance->buckets };
	files[n++] = (struct file){ "datagrams", &instance->datagrams };
	files[n++] = (struct file){ "events", &instance->events };
	for (int i = 0; i < SET_OUTER_MAX; i++)
		files[n++] = (struct file){ set_map_names[i], &instance->set[i] };
	for (int i = 0; i < HOOK_MAX; i++)
		files[n++] = (struct file){ program_names[i], &instance->program[i] };
}

void instance_close(struct instance *instance)
{
	struct file files[FILES];

	if (!instance)
		return;
	memory_unmap(&instance->memory);
	instance_files(instance, files);
	for (size_t i = 0; i < FILES; i++)
		if (*files[i].fd >= 0)
			close(*files[i].fd);
	free(instance);
}

int directory_remove(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(path) ? -errno : 0;
}

int instance_remove(const char *root, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return directory_remove(path);
}

static int pin_all(struct instance *instance, const char *directory, struct diag *diag)
{
	struct file files[FILES];
	char path[600];

	if (mkdir(directory, 0700))
		return diag_errno(diag, errno, "cannot make '%s'", directory);
	instance_files(instance, files);
	for (size_t i = 0; i < FILES; i++) {
		int r;

		snprintf(path, sizeof(path), "%s/%s", directory, files[i].name);
		r = bpf_obj_pin(*files[i].fd, path);
		if (r)
			return diag_errno(diag, -r, "cannot pin '%s'", path);
	}
	return 0;
}

static int duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* What outlives an instance goes on in the next one: as it is where it has the same size. */
static void share(struct shared_maps *shared, struct capacity *capacity, const struct instance *with)
{
	const struct capacity *have = &with->memory.capacity;

	memcpy(shared->set, with->set, sizeof(shared->set));
	shared->events = with->events;
	capacity->seed = have->seed;
	if (have->n_flows == capacity->n_flows)
		shared->flows = with->flows;
	if (have->n_buckets == capacity->n_buckets)
		shared->buckets = with->buckets;
	if (have->n_datagrams == capacity->n_datagrams)
		shared->datagrams = with->datagrams;
}

/*
 * Loads and pins an instance in ROOT/NUMBER-new, at generation 0. It counts for nothing until it is renamed.
 * With `shares`, it looks into the same sets and sends to the same ring buffer.
 */
int instance_create(struct instance **ret, const char *root, unsigned int number, const struct capacity *wanted,
		    const struct instance *shares, struct diag *diag)
{
	struct shared_maps shared = shared_none;
	struct capacity with_seed = *wanted, *capacity = &with_seed;
	struct instance *instance;
	struct weir_bpf *bpf;
	char directory[512];
	int r;

	if (shares)
		share(&shared, capacity, shares);
	if (!capacity->seed && getrandom(&capacity->seed, sizeof(capacity->seed), 0) != sizeof(capacity->seed))
		return diag_errno(diag, errno, "cannot draw a random number");
	r = load_open(&bpf, capacity, 0, &shared, diag);
	if (r)
		return r;
	instance = malloc(sizeof(*instance));
	if (!instance) {
		load_close(bpf);
		return diag_oom(diag);
	}
	instance_none(instance);
	instance->number = number;
	instance->control = duplicate(bpf_map__fd(bpf->maps.control));
	instance->tables = duplicate(bpf_map__fd(bpf->maps.tables));
	instance->manifest = duplicate(bpf_map__fd(bpf->maps.manifest));
	instance->counters = duplicate(bpf_map__fd(bpf->maps.counters));
	instance->counter_base = duplicate(bpf_map__fd(bpf->maps.counter_base));
	instance->lines = duplicate(bpf_map__fd(bpf->maps.lines));
	instance->flows = duplicate(bpf_map__fd(bpf->maps.flows));
	instance->buckets = duplicate(bpf_map__fd(bpf->maps.buckets));
	instance->datagrams = duplicate(bpf_map__fd(bpf->maps.datagrams));
	instance->events = duplicate(bpf_map__fd(bpf->maps.events));
	instance->set[SET_WORD] = duplicate(bpf_map__fd(bpf->maps.set_word));
	instance->set[SET_WORD_LPM] = duplicate(bpf_map__fd(bpf->maps.set_word_lpm));
	instance->set[SET_QUAD] = duplicate(bpf_map__fd(bpf->maps.set_quad));
	instance->set[SET_QUAD_LPM] = duplicate(bpf_map__fd(bpf->maps.set_quad_lpm));
	instance->set[SET_TUPLE] = duplicate(bpf_map__fd(bpf->maps.set_tuple));
	instance->set[SET_RING] = duplicate(bpf_map__fd(bpf->maps.set_ring));
	instance->program[HOOK_XDP] = duplicate(bpf_program__fd(load_xdp(bpf, capacity->features)));
	instance->program[HOOK_TC_INGRESS] = duplicate(bpf_program__fd(bpf->progs.weir_tc_ingress));
	instance->program[HOOK_TC_EGRESS] = duplicate(bpf_program__fd(bpf->progs.weir_tc_egress));
	load_close(bpf);
	r = memory_map(&instance->memory, instance->control, instance->tables, instance->manifest, instance->lines,
		       capacity, diag);
	if (r == 0) {
		*instance->memory.control = (struct control){
			.magic = WEIR_ABI_MAGIC,
			.abi_version = WEIR_ABI_VERSION,
			.n_nodes = capacity->n_nodes,
			.n_refs = capacity->n_refs,
			.n_counters = capacity->n_counters,
			.n_manifest = capacity->n_manifest,
			.n_lines = capacity->n_lines,
			.features = capacity->features,
			.n_flows = capacity->n_flows,
			.n_buckets = capacity->n_buckets,
			.n_datagrams = capacity->n_datagrams,
			.seed = capacity->seed,
			.programs = load_programs_hash(),
		};
		snprintf(directory, sizeof(directory), "%s/%u-new", root, number);
		directory_remove(directory);
		r = pin_all(instance, directory, diag);
	}
	if (r) {
		instance_close(instance);
		return r;
	}
	*ret = instance;
	return 0;
}

int instance_open(struct instance **ret, const char *directory, unsigned int number, struct diag *diag)
{
	struct instance *instance = malloc(sizeof(*instance));
	struct control control = { 0 };
	struct capacity capacity;
	struct file files[FILES];
	char path[600];
	uint32_t zero = 0;
	int r = 0;

	if (!instance)
		return diag_oom(diag);
	instance_none(instance);
	instance->number = number;
	instance_files(instance, files);
	for (size_t i = 0; i < FILES && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, files[i].name);
		*files[i].fd = bpf_obj_get(path);
		if (*files[i].fd < 0)
			r = diag_errno(diag, errno, "cannot open '%s'", path);
	}
	if (r == 0 && bpf_map_lookup_elem(instance->control, &zero, &control))
		r = diag_errno(diag, errno, "cannot read '%s/control'", directory);
	if (r == 0 && (control.magic != WEIR_ABI_MAGIC || control.abi_version != WEIR_ABI_VERSION)) {
		r = diag_errno(diag, EPROTO, "'%s' was made by another version of weir (layout %u, this one has %u)",
			       directory, control.abi_version, WEIR_ABI_VERSION);
		diag_hint(diag, "take it down with the version that loaded it, then apply again");
	}
	capacity = (struct capacity){ control.n_nodes,     control.n_refs,   control.n_counters, control.n_manifest,
				      control.n_lines,     control.features, control.n_flows,    control.n_buckets,
				      control.n_datagrams, control.seed };
	if (r == 0)
		r = memory_map(&instance->memory, instance->control, instance->tables, instance->manifest,
			       instance->lines, &capacity, diag);
	if (r) {
		instance_close(instance);
		return r;
	}
	*ret = instance;
	return 0;
}
