// SPDX-License-Identifier: GPL-2.0
/* The pinned state of one weir: a directory on bpffs, its user's alone, locked while a command works on it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpffs.h"
#include "directory.h"
#include "root.h"

const struct instance *root_instance(const struct weir_root *root)
{
	return root->instance;
}

const char *root_path(const struct weir_root *root)
{
	return root->path;
}

const struct running *root_running(const struct weir_root *root)
{
	return root->running.policy ? &root->running : NULL;
}

static int lock(struct weir_root *root, enum root_mode mode, struct diag *diag)
{
	char links[300];

	for (;;) {
		struct stat ours, there;
		int r;

		if (mode == ROOT_CREATE && (r = bpffs_mount(root->path, diag)))
			return r;
		r = directory_open(root->path, mode == ROOT_CREATE, diag);
		if (r == -ENOENT)
			return bpffs_check(root->path, diag) ? -EXDEV : -ENOENT;
		if (r < 0)
			return r;
		root->lock = r;
		while (flock(root->lock, LOCK_EX) && errno == EINTR)
			;
		/* `down` of another command may have removed it while we waited. */
		if (fstat(root->lock, &ours) == 0 && stat(root->path, &there) == 0 && ours.st_ino == there.st_ino)
			break;
		close(root->lock);
		root->lock = -1;
		if (mode == ROOT_READ)
			return -ENOENT;
	}
	snprintf(links, sizeof(links), "%s/links", root->path);
	if (mode == ROOT_CREATE && mkdir(links, 0700) && errno != EEXIST)
		return diag_errno(diag, errno, "cannot make '%s'", links);
	return 0;
}

/* Reads what runs: the manifest's half that goes with the generation. */
int root_reload(struct weir_root *root, struct diag *diag)
{
	struct memory *memory = &root->instance->memory;
	uint64_t generation = memory->control->generation;
	const char *text = (const char *)memory->manifest + (generation & 1) * memory->capacity.n_manifest;
	struct manifest *contents;
	int r;

	if (!memchr(text, 0, memory->capacity.n_manifest))
		return diag_errno(diag, EPROTO, "cannot read back the running rules: no end");
	r = manifest_read(&contents, text, diag);
	if (r)
		return r;
	manifest_free(root->contents);
	root->contents = contents;
	root->running = (struct running){ .generation = generation,
					  .policy = contents->policy,
					  .devices = contents->devices,
					  .counters = contents->counters,
					  .set_slot = contents->slots,
					  .file = contents->file,
					  .applied_at = contents->applied_at };
	return 0;
}

int root_open(struct weir_root **ret, const char *path, enum root_mode mode, struct diag *diag)
{
	struct weir_root *root = calloc(1, sizeof(*root));
	int r;

	if (!root)
		return diag_oom(diag);
	root->lock = -1;
	if (path[0] != '/' || strlen(path) >= sizeof(root->path) || strchr(path + 1, '.')) {
		free(root);
		return diag_errno(diag, EINVAL,
				  "cannot use '%s': an absolute path below " BPFFS " without dots is needed", path);
	}
	snprintf(root->path, sizeof(root->path), "%s", path);
	r = lock(root, mode, diag);
	if (r == 0)
		r = directory_check(root->lock, root->path, diag);
	if (r == 0)
		r = recover(root, diag);
	if (r == 0 && mode == ROOT_READ && !root->instance)
		r = -ENOENT;
	if (r) {
		root_close(root);
		return r;
	}
	*ret = root;
	return 0;
}

int root_unlock(struct weir_root *root)
{
	return flock(root->lock, LOCK_UN) ? -errno : 0;
}

void root_close(struct weir_root *root)
{
	char links[300];

	if (!root)
		return;
	if (root->lock >= 0 && !root->instance) {
		/* Nothing is loaded: an empty directory would only puzzle people. Fails where it is not empty. */
		snprintf(links, sizeof(links), "%s/links", root->path);
		rmdir(links);
		rmdir(root->path);
	}
	manifest_free(root->contents);
	instance_close(root->instance);
	if (root->lock >= 0)
		close(root->lock);
	free(root);
}

int root_counters(struct weir_root *root, uint32_t first, uint32_t n, struct counter *ret, struct diag *diag)
{
	int r = counters_sum(root->instance->counters, first, n, ret);

	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint32_t number = first + i;
		struct counter base;

		r = bpf_map_lookup_elem(root->instance->counter_base, &number, &base);
		ret[i].packets += base.packets;
		ret[i].bytes += base.bytes;
	}
	return r ? diag_errno(diag, -r, "cannot read the counters") : 0;
}

/* The interfaces of an instance have numbers that mean nothing in another network namespace. */
int root_check_netns(const struct weir_root *root, struct diag *diag)
{
	if (!root->contents || root->contents->netns == netns_number())
		return 0;
	diag_errno(diag, EXDEV, "'%s' belongs to another network namespace", root->path);
	diag_hint(diag, "enter that one, or use a directory of its own for this one with --bpffs");
	return -EXDEV;
}

static bool any_device_alive(struct weir_root *root, const struct pin *pins, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!entry_is_call(pins[i].entry) && attach_alive(root, &pins[i]))
			return true;
	return false;
}

int root_down(const char *path, struct diag *diag)
{
	char name[300], number[32];
	struct weir_root *root;
	struct pin *pins;
	size_t n = 0;
	int r = root_open(&root, path, ROOT_READ, diag);

	if (r)
		return r;
	r = pins_list(&pins, &n, root->path);
	/* Where the interfaces are gone, the files may be removed from anywhere. */
	if (r == 0 && any_device_alive(root, pins, n))
		r = root_check_netns(root, diag);
	for (size_t i = 0; i < n && r == 0; i++)
		r = attach_remove(root, &pins[i], diag);
	free(pins);
	if (r == 0) {
		snprintf(number, sizeof(number), "%u", root->instance->number);
		instance_remove(root->path, number);
		snprintf(name, sizeof(name), "%s/links", root->path);
		directory_remove(name);
		if (rmdir(root->path))
			r = diag_errno(diag, errno, "cannot remove '%s'", root->path);
	}
	root_close(root);
	return r;
}
