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

/* The descriptors of an instance under the names they are pinned by. */
#define FILES (13 + SET_OUTER_MAX + ENTRY_MAX)
struct file {
	const char *name; /* of a map also in the object */
	int *fd;
	uint32_t feature; /* FEATURE_* without which it is not there */
	enum entry entry; /* ENTRY_MAX: a map */
};

static struct file file_of_map(const char *name, int *fd, uint32_t feature)
{
	return (struct file){ name, fd, feature, ENTRY_MAX };
}

static void instance_files(struct instance *instance, struct file files[FILES])
{
	size_t n = 0;

	files[n++] = file_of_map("control", &instance->control, 0); /* first: it says what else there is */
	files[n++] = file_of_map("tables", &instance->tables, 0);
	files[n++] = file_of_map("manifest", &instance->manifest, 0);
	files[n++] = file_of_map("counters", &instance->counters, 0);
	files[n++] = file_of_map("counter_base", &instance->counter_base, 0);
	files[n++] = file_of_map("lines", &instance->lines, 0);
	files[n++] = file_of_map("flows", &instance->flows, 0);
	files[n++] = file_of_map("buckets", &instance->buckets, 0);
	files[n++] = file_of_map("datagrams", &instance->datagrams, 0);
	files[n++] = file_of_map("events", &instance->events, 0);
	files[n++] = file_of_map("guards", &instance->guards, FEATURE_GUARDS);
	files[n++] = file_of_map("guard_stamps", &instance->guard_stamps, FEATURE_GUARDS);
	files[n++] = file_of_map("guard_rates", &instance->guard_rates, FEATURE_GUARDS);
	for (int i = 0; i < SET_OUTER_MAX; i++)
		files[n++] = file_of_map(set_map_names[i], &instance->set[i], 0);
	for (enum entry i = 0; i < ENTRY_MAX; i++)
		files[n++] = (struct file){ entry_info[i].file, &instance->program[i], entry_info[i].feature, i };
}

static bool has_file(const struct file *file, uint32_t features)
{
	return !file->feature || file->feature & features;
}

static void instance_none(struct instance *instance)
{
	struct file files[FILES];

	memset(instance, 0, sizeof(*instance));
	instance_files(instance, files);
	for (size_t i = 0; i < FILES; i++)
		*files[i].fd = -1;
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

static int pin_all(struct instance *instance, const char *directory, uint32_t features, struct diag *diag)
{
	struct file files[FILES];
	char path[600];

	if (mkdir(directory, 0700))
		return diag_errno(diag, errno, "cannot make '%s'", directory);
	instance_files(instance, files);
	for (size_t i = 0; i < FILES; i++) {
		int r;

		if (!has_file(&files[i], features))
			continue;
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

/* What was loaded outlives the object that it was loaded from. */
static void take_all(struct instance *instance, const struct weir_bpf *bpf, uint32_t features)
{
	struct file files[FILES];

	instance_files(instance, files);
	for (size_t i = 0; i < FILES; i++) {
		const struct file *file = &files[i];

		if (has_file(file, features))
			*file->fd = duplicate(file->entry == ENTRY_MAX
						      ? bpf_object__find_map_fd_by_name(bpf->obj, file->name)
						      : bpf_program__fd(load_entry(bpf, file->entry, features)));
	}
}

static int map_memory(struct instance *instance, const struct capacity *capacity, struct diag *diag)
{
	struct memory_files files = { instance->control, instance->tables, instance->manifest, instance->lines,
				      instance->guards };

	return memory_map(&instance->memory, &files, capacity, diag);
}

/* What outlives an instance goes on in the next one: as it is where it has the same size. */
static void share(struct shared_maps *shared, struct capacity *capacity, const struct instance *with)
{
	const struct capacity *have = &with->memory.capacity;

	memcpy(shared->set, with->set, sizeof(shared->set));
	shared->events = with->events;
	shared->guard_stamps = with->guard_stamps;
	shared->guard_rates = with->guard_rates;
	capacity->seed = have->seed;
	if (have->n_flows == capacity->n_flows)
		shared->flows = with->flows;
	if (have->n_buckets == capacity->n_buckets)
		shared->buckets = with->buckets;
	if (have->n_datagrams == capacity->n_datagrams)
		shared->datagrams = with->datagrams;
}

int seed_draw(uint64_t *ret, struct diag *diag)
{
	if (getrandom(ret, sizeof(*ret), 0) != sizeof(*ret))
		return diag_errno(diag, errno, "cannot draw a random number");
	return 0;
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
	r = capacity->seed ? 0 : seed_draw(&capacity->seed, diag);
	if (r)
		return r;
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
	take_all(instance, bpf, capacity->features);
	load_close(bpf);
	r = map_memory(instance, capacity, diag);
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
		r = pin_all(instance, directory, capacity->features, diag);
	}
	if (r) {
		instance_close(instance);
		return r;
	}
	*ret = instance;
	return 0;
}

static int open_file(const struct file *file, const char *directory, struct diag *diag)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", directory, file->name);
	*file->fd = bpf_obj_get(path);
	return *file->fd < 0 ? diag_errno(diag, errno, "cannot open '%s'", path) : 0;
}

int instance_open(struct instance **ret, const char *directory, unsigned int number, struct diag *diag)
{
	struct instance *instance = malloc(sizeof(*instance));
	struct control control = { 0 };
	struct capacity capacity;
	struct file files[FILES];
	uint32_t zero = 0;
	int r;

	if (!instance)
		return diag_oom(diag);
	instance_none(instance);
	instance->number = number;
	instance_files(instance, files);
	r = open_file(&files[0], directory, diag);
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
	for (size_t i = 1; i < FILES && r == 0; i++)
		if (has_file(&files[i], control.features))
			r = open_file(&files[i], directory, diag);
	if (r == 0)
		r = map_memory(instance, &capacity, diag);
	if (r) {
		instance_close(instance);
		return r;
	}
	*ret = instance;
	return 0;
}
