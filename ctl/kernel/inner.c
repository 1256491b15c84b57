// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "inner.h"

/* Room for elements that `weir set add` brings later, where the file states no size. */
#define ROOM_MIN 4096

const char *const set_map_names[SET_OUTER_MAX] = { "set_word",     "set_word_lpm", "set_quad",
						   "set_quad_lpm", "set_tuple",    "set_ring" };
const struct inner inner_none = { { -1, -1, -1, -1, -1, -1 } };

static const struct {
	enum bpf_map_type type;
	size_t key_bytes; /* in the kernel; in an image: set_key_bytes() */
} shape[SET_MAP_MAX] = {
	[SET_WORD] = { BPF_MAP_TYPE_HASH, sizeof(struct set_word_key) },
	[SET_WORD_LPM] = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct set_word_trie_key) },
	[SET_QUAD] = { BPF_MAP_TYPE_HASH, sizeof(struct set_quad_key) },
	[SET_QUAD_LPM] = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct set_quad_lpm_key) },
	[SET_TUPLE] = { BPF_MAP_TYPE_HASH, sizeof(struct set_tuple_key) },
};

#define KEY_BYTES_MOST sizeof(struct set_tuple_key)

/* A key of an image as the kernel's map has it, and back: the same bytes, and zeros behind them in a trie of words. */
static const void *to_kernel(enum set_map map, const void *key, char buffer[KEY_BYTES_MOST])
{
	memset(buffer, 0, KEY_BYTES_MOST);
	memcpy(buffer, key, set_key_bytes(map));
	return buffer;
}

void inner_close(struct inner *inner)
{
	for (int map = 0; map < SET_OUTER_MAX; map++) {
		if (inner->fd[map] >= 0)
			close(inner->fd[map]);
		inner->fd[map] = -1;
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static uint32_t prefix_length(enum set_map map, const void *key)
{
	return map == SET_WORD_LPM || map == SET_QUAD_LPM ? *(const uint32_t *)key : 0;
}

/* An image says how long an element has to live, a kernel map when it dies. */
static struct set_value as_of(struct set_value value, uint64_t now)
{
	if (value.expires_ns)
		value.expires_ns += now;
	return value;
}

static bool expired(const struct set_value *value, uint64_t now)
{
	return value->expires_ns && value->expires_ns <= now;
}

static bool not_supported(int r)
{
	return r == -EOPNOTSUPP || r == -524 || r == -EINVAL; /* 524: ENOTSUPP, which user space has no name for */
}

/* One call for all keys where the kernel can, else one each. */
static int fill(int fd, enum set_map map, const struct set_image *image)
{
	DECLARE_LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_ANY);
	size_t n = image->n[map], bytes = shape[map].key_bytes;
	uint64_t now = now_ns();
	struct set_value *values;
	uint32_t count = n;
	char *keys;
	int r;

	if (!n)
		return 0;
	values = calloc(n, sizeof(*values));
	keys = calloc(n, bytes);
	if (!values || !keys) {
		free(values);
		free(keys);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(keys + i * bytes, set_image_key(image, map, i), set_key_bytes(map));
		values[i] = as_of(set_image_value(image, map, i), now);
		values[i].prefix_len = prefix_length(map, set_image_key(image, map, i));
	}
	r = bpf_map_update_batch(fd, keys, values, &count, &opts);
	if (not_supported(r)) {
		r = 0;
		for (size_t i = 0; i < n && r == 0; i++)
			r = bpf_map_update_elem(fd, keys + i * bytes, &values[i], BPF_ANY);
	}
	free(values);
	free(keys);
	return r;
}

/* Line 0 and one for each element that packets may put there. */
int inner_create_ring(struct inner *ret, const struct set *set, struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, set_map_names[SET_RING], sizeof(uint32_t), sizeof(struct ban_line),
				set->size + 1, &opts);

	if (fd < 0)
		return diag_errno(diag, errno, "cannot make room for %u bans in set '%s'", set->size, set->name);
	*ret = inner_none;
	ret->fd[SET_RING] = fd;
	return 0;
}

int inner_create(struct inner *ret, const struct set *set, const struct set_image *image, struct diag *diag)
{
	struct inner inner = inner_none;
	unsigned int used = set_maps_used(set);

	for (int map = 0; map < SET_MAP_MAX; map++) {
		DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
		size_t n = image->n[map], room = set->size ? set->size : n * 2 > n + ROOM_MIN ? n * 2 : n + ROOM_MIN;
		int r;

		if (!(used & 1u << map))
			continue;
		if (room < n)
			room = n;
		inner.fd[map] = bpf_map_create(shape[map].type, set_map_names[map], shape[map].key_bytes,
					       sizeof(struct set_value), room, &opts);
		r = inner.fd[map] < 0 ? -errno : fill(inner.fd[map], map, image);
		if (r) {
			inner_close(&inner);
			return diag_errno(diag, -r, "cannot load %zu elements into set '%s'", n, set->name);
		}
	}
	if (set->banned) {
		struct inner ring;
		int r = inner_create_ring(&ring, set, diag);

		if (r) {
			inner_close(&inner);
			return r;
		}
		inner.fd[SET_RING] = ring.fd[SET_RING];
	}
	*ret = inner;
	return 0;
}

/*
 * Every change of a map of maps makes the kernel wait for packets (before 6.7 even every look from user space):
 * one call for all slots of a kind, and no scan.
 */
int inner_publish(const int outer[SET_OUTER_MAX], const uint16_t *slots, const struct inner *inner, size_t n,
		  struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_ANY);
	uint32_t keys[SET_SLOTS], values[SET_SLOTS];

	for (int map = 0; map < SET_OUTER_MAX; map++) {
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

int inner_forget(const int outer[SET_OUTER_MAX], const struct slot *slots, size_t n, struct diag *diag)
{
	for (int map = 0; map < SET_OUTER_MAX; map++) {
		for (size_t i = 0; i < n; i++) {
			uint32_t slot = slots[i].number;
			int r = slots[i].maps & 1u << map ? bpf_map_delete_elem(outer[map], &slot) : 0;

			if (r && r != -ENOENT)
				return diag_errno(diag, -r, "cannot remove an old set");
		}
	}
	return 0;
}

int inner_open(struct inner *ret, const struct set *set, const int outer[SET_OUTER_MAX], uint16_t slot,
	       struct diag *diag)
{
	struct inner inner = inner_none;
	unsigned int used = set_maps_used(set);

	for (int map = 0; map < SET_OUTER_MAX; map++) {
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

/* ---- elements ---- */

/* What a walk over a map does with each element. */
typedef int (*visitor)(void *context, int fd, enum set_map map, const void *key, const struct set_value *value);

static int walk_by_key(int fd, enum set_map map, visitor visit, void *context)
{
	char key[KEY_BYTES_MOST], next[KEY_BYTES_MOST];
	bool first = true;
	int r = 0;

	while (r == 0 && bpf_map_get_next_key(fd, first ? NULL : key, next) == 0) {
		struct set_value value;

		memcpy(key, next, sizeof(key));
		first = false;
		if (bpf_map_lookup_elem(fd, key, &value) == 0)
			r = visit(context, fd, map, key, &value);
	}
	return r;
}

#define BATCH 4096

/* Deleting what it visits is safe: a batch was read before its elements are visited. */
static int walk(int fd, enum set_map map, visitor visit, void *context)
{
	DECLARE_LIBBPF_OPTS(bpf_map_batch_opts, opts);
	char from[KEY_BYTES_MOST], to[KEY_BYTES_MOST];
	size_t bytes = shape[map].key_bytes;
	struct set_value *values = malloc(BATCH * sizeof(*values));
	char *keys = malloc(BATCH * bytes);
	bool first = true;
	int r = values && keys ? 0 : -ENOMEM, end = 0;

	/* A trie's walk goes on from a key: not from one that was deleted. */
	if (r == 0 && shape[map].type != BPF_MAP_TYPE_HASH)
		r = walk_by_key(fd, map, visit, context);
	while (r == 0 && !end && shape[map].type == BPF_MAP_TYPE_HASH) {
		uint32_t n = BATCH;

		end = bpf_map_lookup_batch(fd, first ? NULL : from, to, keys, values, &n, &opts);
		if (end && end != -ENOENT) {
			r = first ? walk_by_key(fd, map, visit, context) : end;
			break;
		}
		for (uint32_t i = 0; i < n && r == 0; i++)
			r = visit(context, fd, map, keys + i * bytes, &values[i]);
		memcpy(from, to, sizeof(from));
		first = false;
	}
	free(keys);
	free(values);
	return r;
}

struct reading {
	struct set_image *image;
	uint64_t now;
};

static int read_one(void *context, int fd, enum set_map map, const void *key, const struct set_value *value)
{
	struct reading *reading = context;
	struct set_value left = *value;

	(void)fd;
	if (expired(value, reading->now))
		return 0;
	if (left.expires_ns)
		left.expires_ns -= reading->now;
	return set_image_push(reading->image, map, key, &left);
}

int inner_image(struct set_image *ret, struct inner *inner, const struct set *set)
{
	struct reading reading = { .image = ret, .now = now_ns() };
	int r = 0;

	ret->has_values = set_has_values(set);
	for (int map = 0; map < SET_MAP_MAX && r == 0; map++)
		if (inner->fd[map] >= 0)
			r = walk(inner->fd[map], map, read_one, &reading);
	return r;
}

/* Expired keys of one map, remembered: a trie cannot be walked while it changes. */
int inner_purge(struct inner *inner, const struct set *set)
{
	struct set_image old = { 0 };
	uint64_t now = now_ns();
	int r = 0;

	if (!set->has_timeout)
		return 0;
	old.has_values = true;
	for (int map = 0; map < SET_MAP_MAX && r == 0; map++) {
		/* all of them, as of before the first element could expire */
		struct reading reading = { .image = &old, .now = 0 };
		char key[KEY_BYTES_MOST];

		if (inner->fd[map] >= 0)
			r = walk(inner->fd[map], map, read_one, &reading);
		for (size_t i = 0; i < old.n[map] && r == 0; i++) {
			struct set_value value = set_image_value(&old, map, i);

			if (expired(&value, now))
				bpf_map_delete_elem(inner->fd[map], to_kernel(map, set_image_key(&old, map, i), key));
		}
	}
	set_image_clear(&old);
	return r;
}

int inner_add(int fd, enum set_map map, const void *key, const struct set_value *value)
{
	struct set_value anew = as_of(*value, now_ns()), old;
	char buffer[KEY_BYTES_MOST];
	bool was;
	int r;

	anew.prefix_len = prefix_length(map, key);
	key = to_kernel(map, key, buffer);
	r = bpf_map_update_elem(fd, key, &anew, BPF_NOEXIST);
	/* Tries before 6.13 overwrite instead: there a prefix that was in counts as added, its counters begin again. */
	if (r != -EEXIST)
		return r ? r : 1;
	if (bpf_map_lookup_elem(fd, key, &old))
		return 0;
	was = !expired(&old, now_ns());
	if (was && !old.expires_ns && !value->expires_ns)
		return 0;
	if (was) {
		anew.packets = old.packets;
		anew.bytes = old.bytes;
	}
	r = bpf_map_update_elem(fd, key, &anew, BPF_ANY);
	return r ? r : was ? 2 : 1;
}

int inner_del(int fd, enum set_map map, const void *key)
{
	char buffer[KEY_BYTES_MOST];
	int r = bpf_map_delete_elem(fd, to_kernel(map, key, buffer));

	return r == -ENOENT ? 0 : r ? r : 1;
}

bool inner_matches(int fd, enum set_map map, const void *key)
{
	char buffer[KEY_BYTES_MOST];
	struct set_value value;

	return bpf_map_lookup_elem(fd, to_kernel(map, key, buffer), &value) == 0 && !expired(&value, now_ns());
}
