// SPDX-License-Identifier: GPL-2.0
/* Elements of running sets: single ones in place, whole contents by a new generation. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "inner.h"
#include "link.h"
#include "root.h"

static const void *key_at(const struct set_image *image, enum set_map map, size_t i)
{
	const void *keys[SET_MAP_MAX] = { image->word, image->word_lpm, image->quad, image->quad_lpm, image->tuple };

	return (const char *)keys[map] + i * set_key_bytes(map);
}

/*
 * Interfaces by number, of every device the policy knows: elements given now may name one that the rules
 * do not, so the numbers of the running generation are not enough.
 */
static struct device_env *devices_now(const struct weir_root *root, struct diag *diag)
{
	const struct policy *policy = root->running.policy;
	struct device_env *devices = calloc(policy->n_devices + 1, sizeof(*devices));
	struct link_info info;

	for (size_t i = 0; devices && i < policy->n_devices; i++)
		if (link_get(policy->devices[i], &info, diag) == 0)
			devices[i].ifindex = info.ifindex;
	return devices;
}

static int keys_of(struct set_image *image, struct weir_root *root, const struct set *set,
		   const struct element *elements, size_t n, struct diag *diag)
{
	struct device_env *devices = devices_now(root, diag);
	int r = devices ? set_image_add(image, set, elements, n, devices, diag) : diag_oom(diag);

	for (size_t i = 0; r == 0 && set->type[0] == TYPE_IFACE && set->n_types == 1 && i < n; i++)
		if (!devices[elements[i].part[0].lo.w[0]].ifindex)
			r = diag_error(diag, elements[i].loc, "there is no device '%s'",
				       root->running.policy->devices[elements[i].part[0].lo.w[0]]);
	free(devices);
	return r;
}

static int set_full(const struct set *set, struct diag *diag)
{
	diag_errno(diag, ENOSPC, "set '%s' is full", set->name);
	diag_hint(diag, "state a larger `size` in the rule file and apply it, or use `weir set load`");
	return -ENOSPC;
}

static int add_key(int fd, const void *key, struct set_change *change)
{
	uint32_t one = 1;
	int r = bpf_map_update_elem(fd, key, &one, BPF_NOEXIST);

	/* Tries before 6.13 overwrite instead: there a prefix that was in counts as added. */
	if (r == -EEXIST) {
		change->unchanged++;
		return 0;
	}
	change->added += r == 0;
	return r;
}

static int delete_key(int fd, const void *key, struct set_change *change)
{
	int r = bpf_map_delete_elem(fd, key);

	if (r == -ENOENT) {
		change->unchanged++;
		return 0;
	}
	change->deleted += r == 0;
	return r;
}

/* Each element in place, one after the other. */
static int edit(struct weir_root *root, const struct set *set, const struct element *elements, size_t n,
		int (*one)(int, const void *, struct set_change *), struct set_change *ret, struct diag *diag)
{
	struct set_image image = { 0 };
	struct inner inner;
	int r = keys_of(&image, root, set, elements, n, diag);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);
	if (r) {
		set_image_clear(&image);
		return r;
	}
	for (int map = 0; map < SET_MAP_MAX && r == 0; map++)
		for (size_t i = 0; i < image.n[map] && r == 0; i++)
			r = one(inner.fd[map], key_at(&image, map, i), ret);
	inner_close(&inner);
	set_image_clear(&image);
	if (r == -E2BIG || r == -ENOSPC)
		return set_full(set, diag);
	return r ? diag_errno(diag, -r, "cannot change set '%s'", set->name) : 0;
}

int root_set_add(struct weir_root *root, const struct set *set, const struct element *elements, size_t n,
		 struct set_change *ret, struct diag *diag)
{
	return edit(root, set, elements, n, add_key, ret, diag);
}

int root_set_del(struct weir_root *root, const struct set *set, const struct element *elements, size_t n,
		 struct set_change *ret, struct diag *diag)
{
	return edit(root, set, elements, n, delete_key, ret, diag);
}

/*
 * The same rules in the other half, but every lookup of one set at another slot. The manifest names the slot
 * before anything is put there, so that a kill in between leaves a note of what to tidy up.
 */
static int prepare_slot(struct weir_root *root, const struct set *set, uint16_t slot, struct diag *diag)
{
	struct memory *memory = &root->instance->memory;
	struct control *control = memory->control;
	size_t size = half_layout(&memory->capacity).size;
	unsigned int from = control->generation & 1, to = !from;
	struct tables_head *head = (struct tables_head *)(memory->tables + to * size);
	uint16_t old = root->running.set_slot[set->number];
	char *manifest;
	int r;

	root->contents->slots[set->number] = slot;
	r = manifest_write(&manifest, root->running.policy, root->running.devices, root->running.counters,
			   root->running.set_slot, root->running.file, root->contents->netns);
	if (r)
		return diag_oom(diag);
	if (strlen(manifest) + 1 > memory->capacity.n_manifest) {
		free(manifest);
		return diag_errno(diag, E2BIG, "cannot write the manifest; apply the rule file again");
	}
	memcpy(head, memory->tables + from * size, size);
	for (size_t i = 0; i < LOOKUPS_MAX; i++)
		if (head->lookup[i].slot == old)
			head->lookup[i].slot = slot;
	memcpy(memory->manifest + to * memory->capacity.n_manifest, manifest, strlen(manifest) + 1);
	free(manifest);
	return 0;
}

static int free_slot(struct weir_root *root, uint16_t *ret, struct diag *diag)
{
	uint64_t used[SET_SLOTS / 64] = { 0 };

	for (size_t i = 0; i < root->running.policy->n_sets; i++)
		used[root->running.set_slot[i] / 64] |= 1ul << (root->running.set_slot[i] % 64);
	for (unsigned int slot = 0; slot < SET_SLOTS; slot++) {
		if (!(used[slot / 64] & 1ul << (slot % 64))) {
			*ret = slot;
			return 0;
		}
	}
	return diag_errno(diag, ENOSPC, "no free set slot");
}

static int count_elements(struct weir_root *root, const struct set *set, size_t *ret, struct diag *diag)
{
	struct inner inner;
	int r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);

	*ret = 0;
	for (int map = 0; map < SET_MAP_MAX && r == 0; map++) {
		size_t n = 0;
		void *keys = NULL;

		if (inner.fd[map] >= 0)
			r = inner_keys(&keys, &n, inner.fd[map], map);
		free(keys);
		*ret += n;
	}
	inner_close(&inner);
	return r;
}

int root_set_replace(struct weir_root *root, const struct set *set, const struct element *elements, size_t n,
		     struct set_change *ret, struct diag *diag)
{
	struct set_image image = { 0 };
	struct inner inner = { { -1, -1, -1, -1, -1 } };
	uint16_t slot = 0, old = root->running.set_slot[set->number];
	int r = keys_of(&image, root, set, elements, n, diag), t;

	memset(ret, 0, sizeof(*ret));
	for (int map = 0; map < SET_MAP_MAX; map++)
		ret->added += image.n[map];
	if (r == 0)
		r = count_elements(root, set, &ret->deleted, diag);
	if (r == 0)
		r = free_slot(root, &slot, diag);
	if (r == 0)
		r = inner_create(&inner, set, &image, diag);
	set_image_clear(&image);
	if (r)
		return r;
	root->instance->memory.control->settled = 0; /* a kill from here on leaves something to tidy up */
	r = prepare_slot(root, set, slot, diag);
	if (r == 0)
		r = inner_publish(root->instance->set, &slot, &inner, 1, diag);
	inner_close(&inner);
	if (r == 0) {
		struct control *control = root->instance->memory.control;

		__atomic_store_n(&control->generation, control->generation + 1, __ATOMIC_RELEASE);
		root->running.generation = control->generation;
	} else {
		root->contents->slots[set->number] = old;
	}
	t = tidy(root, diag);
	return r ? r : t;
}

int root_set_test(struct weir_root *root, const struct set *set, const struct element *element, bool *ret,
		  struct diag *diag)
{
	struct set_image image = { 0 };
	struct inner inner;
	uint32_t value;
	int r = keys_of(&image, root, set, element, 1, diag);

	*ret = false;
	if (r == 0)
		r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);
	if (r) {
		set_image_clear(&image);
		return r;
	}
	for (int map = 0; map < SET_MAP_MAX; map++)
		for (size_t i = 0; i < image.n[map] && !*ret; i++)
			*ret = bpf_map_lookup_elem(inner.fd[map], key_at(&image, map, i), &value) == 0;
	/* A single value may also be inside a prefix: a trie finds it by its longest key. */
	for (size_t i = 0; i < image.n[SET_WORD] && !*ret && inner.fd[SET_WORD_LPM] >= 0; i++) {
		struct set_word_lpm_key key = { .prefix_len = 32, .word_be = htonl(image.word[i].word) };

		*ret = bpf_map_lookup_elem(inner.fd[SET_WORD_LPM], &key, &value) == 0;
	}
	for (size_t i = 0; i < image.n[SET_QUAD] && !*ret && inner.fd[SET_QUAD_LPM] >= 0; i++) {
		struct set_quad_lpm_key key = { .prefix_len = 128 };

		for (int w = 0; w < 4; w++)
			key.word_be[w] = htonl(image.quad[i].word[w]);
		*ret = bpf_map_lookup_elem(inner.fd[SET_QUAD_LPM], &key, &value) == 0;
	}
	inner_close(&inner);
	set_image_clear(&image);
	return 0;
}

/* ---- listing: keys back to ranges ---- */

static uint32_t device_number(const struct weir_root *root, uint32_t ifindex)
{
	for (size_t i = 0; i < root->running.policy->n_devices; i++)
		if (root->running.devices[i].ifindex == ifindex)
			return i;
	return UINT32_MAX;
}

static struct range word_range(const struct weir_root *root, enum value_type type, uint32_t word, unsigned int length)
{
	struct range range = { .family = type == TYPE_ADDR ? 4 : 0, .prefix_len = length };

	if (type == TYPE_IFACE)
		word = device_number(root, word);
	range.lo.w[0] = word;
	range.hi.w[0] = length == 32 ? word : word | (uint32_t)(UINT64_C(0xffffffff) >> length);
	if (type != TYPE_ADDR)
		range.prefix_len = length == 32 ? 32 : 255;
	return range;
}

static struct range quad_range(enum value_type type, const uint32_t word[4], unsigned int length)
{
	struct range range = { .family = type == TYPE_ADDR ? 6 : 0, .prefix_len = length };

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = length > i * 32 ? length - i * 32 : 0;

		range.lo.w[i] = word[i];
		range.hi.w[i] = bits >= 32 ? word[i] : word[i] | (uint32_t)(UINT64_C(0xffffffff) >> bits);
	}
	if (type == TYPE_MAC) {
		range.hi.w[2] = range.hi.w[3] = 0;
		range.prefix_len = length == 128 ? 32 : 255;
	}
	return range;
}

static void tuple_ranges(const struct weir_root *root, const struct set *set, const uint32_t *words,
			 struct range *parts)
{
	for (unsigned int i = 0; i < set->n_types; i++) {
		struct range range = { .prefix_len = 32 };

		if (set->type[i] == TYPE_ADDR) {
			range.family = words[0];
			range.prefix_len = words[0] == 6 ? 128 : 32;
			memcpy(range.lo.w, words + 1, sizeof(range.lo.w));
			words += 5;
		} else if (set->type[i] == TYPE_MAC) {
			memcpy(range.lo.w, words, 2 * sizeof(*words));
			words += 2;
		} else {
			range.lo.w[0] = set->type[i] == TYPE_IFACE ? device_number(root, *words) : *words;
			words++;
		}
		range.hi = range.lo;
		parts[i] = range;
	}
}

static void key_ranges(const struct weir_root *root, const struct set *set, enum set_map map, const void *key,
		       struct range *parts)
{
	const struct set_word_lpm_key *word_lpm = key;
	const struct set_quad_lpm_key *quad_lpm = key;
	uint32_t words[4];

	switch (map) {
	case SET_WORD:
		*parts = word_range(root, set->type[0], ((const struct set_word_key *)key)->word, 32);
		break;
	case SET_WORD_LPM:
		*parts = word_range(root, set->type[0], ntohl(word_lpm->word_be), word_lpm->prefix_len);
		break;
	case SET_QUAD:
		*parts = quad_range(set->type[0], ((const struct set_quad_key *)key)->word, 128);
		break;
	case SET_QUAD_LPM:
		for (int i = 0; i < 4; i++)
			words[i] = ntohl(quad_lpm->word_be[i]);
		*parts = quad_range(set->type[0], words, quad_lpm->prefix_len);
		break;
	default:
		tuple_ranges(root, set, ((const struct set_tuple_key *)key)->word, parts);
	}
}

static int compare_elements(const void *a, const void *b, void *n_parts)
{
	const struct range *x = a, *y = b;

	for (unsigned int i = 0; i < *(unsigned int *)n_parts; i++) {
		if (x[i].family != y[i].family)
			return x[i].family < y[i].family ? -1 : 1;
		for (int w = 0; w < 4; w++)
			if (x[i].lo.w[w] != y[i].lo.w[w])
				return x[i].lo.w[w] < y[i].lo.w[w] ? -1 : 1;
		if (x[i].prefix_len != y[i].prefix_len)
			return x[i].prefix_len < y[i].prefix_len ? -1 : 1;
	}
	return 0;
}

/* An interface that is gone left its number behind, which no packet comes by and no name stands for. */
static bool has_names(const struct set *set, const struct range *parts)
{
	for (unsigned int i = 0; i < set->n_types; i++)
		if (set->type[i] == TYPE_IFACE && parts[i].lo.w[0] == UINT32_MAX)
			return false;
	return true;
}

int root_set_list(struct weir_root *root, const struct set *set, struct range **ret, size_t *ret_n, struct diag *diag)
{
	unsigned int n_parts = set->n_types;
	struct range *ranges = NULL;
	struct inner inner;
	size_t n = 0;
	int r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);

	if (r)
		return r;
	for (int map = 0; map < SET_MAP_MAX && r == 0; map++) {
		struct range *grown;
		size_t n_keys;
		void *keys;

		if (inner.fd[map] < 0)
			continue;
		r = inner_keys(&keys, &n_keys, inner.fd[map], map);
		if (r)
			break;
		grown = realloc(ranges, (n + n_keys + 1) * n_parts * sizeof(*ranges));
		if (grown) {
			ranges = grown;
			for (size_t i = 0; i < n_keys; i++) {
				key_ranges(root, set, map, (const char *)keys + i * set_key_bytes(map),
					   ranges + n * n_parts);
				n += has_names(set, ranges + n * n_parts);
			}
		} else {
			r = -ENOMEM;
		}
		free(keys);
	}
	inner_close(&inner);
	if (r) {
		free(ranges);
		return diag_errno(diag, -r, "cannot list set '%s'", set->name);
	}
	if (n)
		qsort_r(ranges, n, n_parts * sizeof(*ranges), compare_elements, &n_parts);
	*ret = ranges;
	*ret_n = n;
	return 0;
}
