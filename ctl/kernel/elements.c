// SPDX-License-Identifier: GPL-2.0
/*
 * Elements of running sets: single ones in place, whole contents by a new generation. Sets in the pool go on in
 * tables.c; here are those in kernel maps, and what both share.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "inner.h"
#include "link.h"
#include "root.h"
#include "tables.h"

/*
 * Interfaces by number, of every device the policy knows: elements given now may name one that the rules
 * do not, so the numbers of the running generation are not enough.
 */
static struct device_env *devices_now(const struct weir_root *root, const struct set *set, struct diag *diag)
{
	const struct policy *policy = root->running.policy;
	struct device_env *devices = calloc(policy->n_devices + 1, sizeof(*devices));
	bool wanted = false;
	struct link_info info;

	for (unsigned int i = 0; i < set->n_types; i++)
		wanted |= set->type[i] == TYPE_IFACE;
	for (size_t i = 0; devices && wanted && i < policy->n_devices; i++)
		if (link_get(policy->devices[i], &info, diag) == 0)
			devices[i].ifindex = info.ifindex;
	return devices;
}

static int keys_of(struct set_image *image, struct weir_root *root, const struct set *set,
		   const struct element_list *list, struct diag *diag)
{
	const struct element *elements = list->elements;
	size_t n = list->n;
	struct device_env *devices = devices_now(root, set, diag);
	int r = devices ? set_image_add(image, set, elements, n, devices, diag) : diag_oom(diag);

	for (size_t i = 0; r == 0 && set->type[0] == TYPE_IFACE && set->n_types == 1 && i < n; i++)
		if (!devices[elements[i].part[0].lo.w[0]].ifindex)
			r = diag_error(diag, elements[i].loc, "there is no device '%s'",
				       root->running.policy->devices[elements[i].part[0].lo.w[0]]);
	if (r == 0)
		r = set_image_add_addresses(image, set, &list->addresses, diag);
	free(devices);
	return r;
}

int set_full(const struct set *set, struct diag *diag)
{
	diag_errno(diag, ENOSPC, "set '%s' is full", set->name);
	diag_hint(diag, "state a larger `size` in the rule file and apply it, or use `weir set load`");
	return -ENOSPC;
}

int set_fits(const struct set *set, const struct set_image *image, struct diag *diag)
{
	size_t n = set_image_count(image);

	if (!set->size || n <= set->size)
		return 0;
	diag_errno(diag, ENOSPC, "cannot load %zu elements into set '%s': its size is %u", n, set->name, set->size);
	diag_hint(diag, "ranges count as the prefixes that make them up; state a larger `size`");
	return -ENOSPC;
}

/* ---- single elements, each in place ---- */

static int inner_edit(struct weir_root *root, const struct set *set, const struct set_image *image, bool add,
		      struct set_change *ret, struct diag *diag)
{
	size_t *changed = add ? &ret->added : &ret->deleted;
	struct inner inner;
	int r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);

	if (r)
		return r;
	r = inner_purge(&inner, set);
	for (int map = 0; map < SET_MAP_MAX && r >= 0; map++) {
		for (size_t i = 0; i < image->n[map] && r >= 0; i++) {
			const void *key = set_image_key(image, map, i);
			struct set_value value = set_image_value(image, map, i);

			r = add ? inner_add(inner.fd[map], map, key, &value) : inner_del(inner.fd[map], map, key);
			if (r >= 0)
				(*(r == 2 ? &ret->refreshed : r ? changed : &ret->unchanged))++;
		}
	}
	inner_close(&inner);
	return r > 0 ? 0 : r;
}

static int edit(struct weir_root *root, const struct set *set, const struct element_list *elements, bool add,
		struct set_change *ret, struct diag *diag)
{
	struct set_image image = { 0 };
	int r = keys_of(&image, root, set, elements, diag);

	memset(ret, 0, sizeof(*ret));
	if (r == 0) {
		r = set_in_pool(set) ? tables_edit(root, set, &image, add, ret, diag)
				     : inner_edit(root, set, &image, add, ret, diag);
		if (r == -E2BIG || r == -ENOSPC)
			r = set_full(set, diag);
		else if (r)
			r = diag_errno(diag, -r, "cannot change set '%s'", set->name);
	}
	set_image_clear(&image);
	return r;
}

int root_set_add(struct weir_root *root, const struct set *set, const struct element_list *elements,
		 struct set_change *ret, struct diag *diag)
{
	return edit(root, set, elements, true, ret, diag);
}

int root_set_del(struct weir_root *root, const struct set *set, const struct element_list *elements,
		 struct set_change *ret, struct diag *diag)
{
	return edit(root, set, elements, false, ret, diag);
}

/* ---- the whole content ---- */

void root_flip(struct weir_root *root)
{
	struct control *control = root->instance->memory.control;

	__atomic_store_n(&control->generation, control->generation + 1, __ATOMIC_RELEASE);
	root->running.generation = control->generation;
}

/*
 * The same rules in the other half, but every lookup of one set at another slot. The manifest names the slot
 * before anything is put there, so that a kill in between leaves a note of what to tidy up.
 */
static int prepare_slot(struct weir_root *root, const struct set *set, uint16_t slot, struct diag *diag)
{
	struct memory *memory = &root->instance->memory;
	unsigned int to = !(memory->control->generation & 1);
	uint16_t old = root->running.set_slot[set->number];
	struct tables_head *head;
	char *manifest;
	int r;

	root->contents->slots[set->number] = slot;
	r = manifest_write(&manifest, root->running.policy, root->running.devices, root->running.counters,
			   root->running.set_slot, root->running.file, root->contents->netns, &root->contents->cgroup);
	if (r)
		return diag_oom(diag);
	if (strlen(manifest) + 1 > memory->capacity.n_manifest) {
		free(manifest);
		return diag_errno(diag, E2BIG, "cannot write the manifest; apply the rule file again");
	}
	head = memory_repeat_half(memory);
	for (size_t i = 0; i < LOOKUPS_MAX; i++)
		if (head->lookup[i].slot == old)
			head->lookup[i].slot = slot;
	for (size_t i = 0; i < BANS_MAX; i++)
		if (head->ban[i].lines && head->ban[i].slot == old)
			head->ban[i].slot = slot;
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

static int inner_replace(struct weir_root *root, const struct set *set, const struct set_image *image,
			 struct diag *diag)
{
	uint16_t slot = 0, old = root->running.set_slot[set->number];
	struct inner inner = inner_none;
	int r = root_settle(root, diag), t;

	if (r == 0)
		r = free_slot(root, &slot, diag);
	if (r == 0)
		r = inner_create(&inner, set, image, diag);
	if (r)
		return r;
	root->instance->memory.control->settled = 0; /* a kill from here on leaves something to tidy up */
	r = prepare_slot(root, set, slot, diag);
	if (r == 0)
		r = inner_publish(root->instance->set, &slot, &inner, 1, diag);
	inner_close(&inner);
	if (r == 0)
		root_flip(root);
	else
		root->contents->slots[set->number] = old;
	t = tidy(root, diag);
	return r ? r : t;
}

int root_set_replace(struct weir_root *root, const struct set *set, const struct element_list *elements,
		     struct set_change *ret, struct diag *diag)
{
	struct set_image image = { 0 };
	int r = keys_of(&image, root, set, elements, diag);

	memset(ret, 0, sizeof(*ret));
	ret->added = set_image_count(&image);
	if (r == 0)
		r = set_fits(set, &image, diag);
	if (r == 0)
		r = root_set_count(root, set, &ret->deleted, diag);
	if (r == 0)
		r = set_in_pool(set) ? tables_replace(root, set, &image, diag) : inner_replace(root, set, &image, diag);
	set_image_clear(&image);
	return r;
}

/* ---- asking ---- */

static void trie_keys(const struct set_image *image, size_t i, bool quad, struct set_quad_lpm_key *ret)
{
	*ret = (struct set_quad_lpm_key){ .prefix_len = quad ? 128 : 32 };
	for (int w = 0; w < (quad ? 4 : 1); w++)
		ret->word_be[w] = htonl(quad ? image->quad[i].word[w] : image->word[i].word);
}

/* A single value may also be inside a prefix: a trie finds it by its longest key. */
static bool inner_test(const struct inner *inner, const struct set_image *image)
{
	struct set_quad_lpm_key key;
	bool found = false;

	for (int map = 0; map < SET_MAP_MAX; map++)
		for (size_t i = 0; i < image->n[map] && !found; i++)
			found = inner_matches(inner->fd[map], map, set_image_key(image, map, i));
	for (size_t i = 0; i < image->n[SET_WORD] && !found && inner->fd[SET_WORD_LPM] >= 0; i++) {
		trie_keys(image, i, false, &key);
		found = inner_matches(inner->fd[SET_WORD_LPM], SET_WORD_LPM, &key);
	}
	for (size_t i = 0; i < image->n[SET_QUAD] && !found && inner->fd[SET_QUAD_LPM] >= 0; i++) {
		trie_keys(image, i, true, &key);
		found = inner_matches(inner->fd[SET_QUAD_LPM], SET_QUAD_LPM, &key);
	}
	return found;
}

int root_set_test(struct weir_root *root, const struct set *set, const struct element *element, bool *ret,
		  struct diag *diag)
{
	struct set_image image = { 0 };
	struct element_list one = { .elements = (struct element *)element, .n = 1 };
	struct inner inner = inner_none;
	int r = keys_of(&image, root, set, &one, diag);

	*ret = false;
	if (r == 0 && set_in_pool(set))
		*ret = tables_test(root, set, &image);
	else if (r == 0)
		r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);
	if (r == 0 && !set_in_pool(set))
		*ret = inner_test(&inner, &image);
	inner_close(&inner);
	set_image_clear(&image);
	return r;
}
