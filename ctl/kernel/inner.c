// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "inner.h"

/* Room for elements that `weir set add` brings later, where the file states no size. */
#define ROOM_MIN 4096

const char *const set_map_names[SET_MAP_MAX] = { "set_word", "set_word_lpm", "set_quad", "set_quad_lpm", "set_tuple" };

static const struct {
	enum bpf_map_type type;
	size_t key_bytes;
} shape[SET_MAP_MAX] = {
	[SET_WORD] = { BPF_MAP_TYPE_HASH, sizeof(struct set_word_key) },
	[SET_WORD_LPM] = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct set_word_lpm_key) },
	[SET_QUAD] = { BPF_MAP_TYPE_HASH, sizeof(struct set_quad_key) },
	[SET_QUAD_LPM] = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct set_quad_lpm_key) },
	[SET_TUPLE] = { BPF_MAP_TYPE_HASH, sizeof(struct set_tuple_key) },
};

size_t set_key_bytes(enum set_map map)
{
	return shape[map].key_bytes;
}

static const void *image_keys(const struct set_image *image, enum set_map map)
{
	const void *keys[SET_MAP_MAX] = { image->word, image->word_lpm, image->quad, image->quad_lpm, image->tuple };

	return keys[map];
}

void inner_close(struct inner *inner)
{
	for (int map = 0; map < SET_MAP_MAX; map++) {
		if (inner->fd[map] >= 0)
			close(inner->fd[map]);
		inner->fd[map] = -1;
	}
}

/* One call for all keys where the kernel can, else one each. */
static int fill(int fd, enum set_map map, const void *keys, size_t n)
{
	DECLARE_LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_ANY);
	uint32_t *values, count = n;
	int r;

	if (!n)
		return 0;
	values = malloc(n * sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		values[i] = 1;
	r = bpf_map_update_batch(fd, keys, values, &count, &opts);
	if (r == -EOPNOTSUPP || r == -524 || r == -EINVAL) { /* 524: ENOTSUPP, which user space has no name for */
		r = 0;
		for (size_t i = 0; i < n && r == 0; i++)
			r = bpf_map_update_elem(fd, (const char *)keys + i * shape[map].key_bytes, &values[0], BPF_ANY);
	}
	free(values);
	return r;
}

int inner_create(struct inner *ret, const struct set *set, const struct set_image *image, struct diag *diag)
{
	struct inner inner = { { -1, -1, -1, -1, -1 } };
	unsigned int used = set_maps_used(set);
	size_t all = 0;

	for (int map = 0; map < SET_MAP_MAX; map++)
		all += image->n[map];
	if (set->size && all > set->size) {
		diag_errno(diag, ENOSPC, "cannot load %zu elements into set '%s': its size is %u", all, set->name,
			   set->size);
		diag_hint(diag, "ranges count as the prefixes that make them up; state a larger `size`");
		return -ENOSPC;
	}
	for (int map = 0; map < SET_MAP_MAX; map++) {
		DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
		size_t n = image->n[map], room = set->size ? set->size : n * 2 > n + ROOM_MIN ? n * 2 : n + ROOM_MIN;
		int r;

		if (!(used & 1u << map))
			continue;
		if (room < n)
			room = n;
		inner.fd[map] = bpf_map_create(shape[map].type, set_map_names[map], shape[map].key_bytes,
					       sizeof(uint32_t), room, &opts);
		r = inner.fd[map] < 0 ? -errno : fill(inner.fd[map], map, image_keys(image, map), n);
		if (r) {
			inner_close(&inner);
			return diag_errno(diag, -r, "cannot load %zu elements into set '%s'", n, set->name);
		}
	}
	*ret = inner;
	return 0;
}

/*
 * Every change of a map of maps makes the kernel wait for packets (before 6.7 even every look from user space):
 * one call for all slots of a kind, and no scan.
 */
int inner_publish(const int outer[SET_MAP_MAX], const uint16_t *slots, const struct inner *inner, size_t n,
		  struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_ANY);
	uint32_t keys[SET_SLOTS], values[SET_SLOTS];

	for (int map = 0; map < SET_MAP_MAX; map++) {
		uint32_t count = 0, all;
		int r = 0;

		for (size_t i = 0; i < n; i++) {
			if (inner[i].fd[map] < 0)
				continue;
			keys[count] = slots[i];
			values[count++] = inner[i].fd[map];
		}
		if (!count)
			continue;
		all = count;
		if (bpf_map_update_batch(outer[map], keys, values, &count, &opts))
			for (uint32_t i = 0; i < all && r == 0; i++)
				r = bpf_map_update_elem(outer[map], &keys[i], &values[i], BPF_ANY);
		if (r)
			return diag_errno(diag, -r, "cannot put %u sets in place", all);
	}
	return 0;
}

int inner_forget(const int outer[SET_MAP_MAX], const uint16_t *slots, size_t n, struct diag *diag)
{
	for (int map = 0; map < SET_MAP_MAX; map++) {
		for (size_t i = 0; i < n; i++) {
			uint32_t slot = slots[i];
			int r = bpf_map_delete_elem(outer[map], &slot);

			if (r && r != -ENOENT)
				return diag_errno(diag, -r, "cannot remove an old set");
		}
	}
	return 0;
}

int inner_open(struct inner *ret, const struct set *set, const int outer[SET_MAP_MAX], uint16_t slot, struct diag *diag)
{
	struct inner inner = { { -1, -1, -1, -1, -1 } };
	unsigned int used = set_maps_used(set);

	for (int map = 0; map < SET_MAP_MAX; map++) {
		uint32_t key = slot, id;

		if (!(used & 1u << map) || bpf_map_lookup_elem(outer[map], &key, &id))
			continue;
		inner.fd[map] = bpf_map_get_fd_by_id(id);
		if (inner.fd[map] < 0) {
			int error = errno;

			inner_close(&inner);
			return diag_errno(diag, error, "cannot open a set's table");
		}
	}
	*ret = inner;
	return 0;
}

/* Tries have no batch lookup worth its name on old kernels; walking by key works everywhere. */
int inner_keys(void **ret, size_t *ret_n, int fd, enum set_map map)
{
	size_t bytes = shape[map].key_bytes, n = 0, capacity = 1024;
	char *keys = malloc(capacity * bytes);
	void *previous = NULL;

	if (!keys)
		return -ENOMEM;
	while (bpf_map_get_next_key(fd, previous, keys + n * bytes) == 0) {
		if (++n == capacity) {
			char *grown = realloc(keys, (capacity *= 2) * bytes);

			if (!grown) {
				free(keys);
				return -ENOMEM;
			}
			keys = grown;
		}
		previous = keys + (n - 1) * bytes;
	}
	*ret = keys;
	*ret_n = n;
	return 0;
}
