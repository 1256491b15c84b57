// SPDX-License-Identifier: GPL-2.0
/*
 * Running sets in the pool.
 *
 * An element changes in place. Where its table has no room left, that table is laid out anew in another region,
 * which the other half of the tables names, and one store of the generation turns to it, as for a whole new
 * content. No step waits for packets, except where the other half may still be read from the turn before.
 */
#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "root.h"

/* Room in a table that was laid out anew for one element: it is not to happen again soon. */
#define ROOM_MIN 64

static struct pool pool_of(const struct weir_root *root)
{
	const struct memory *memory = &root->instance->memory;

	return (struct pool){ memory->lines, memory->capacity.n_lines };
}

static struct set_head *head_of(const struct weir_root *root, const struct set *set)
{
	const struct memory *memory = &root->instance->memory;

	return &memory_head(memory, memory->control->generation)->set[root->running.set_slot[set->number]];
}

/* ---- new tables, and the turn to them ---- */

static int make_room(struct weir_root *root, const struct regions *regions, uint16_t slot,
		     const struct set_head *wanted, struct diag *diag)
{
	const struct memory *memory = &root->instance->memory;
	struct capacity larger = memory->capacity;
	struct tables_head *after;

	if (regions_end(regions) <= memory->capacity.n_lines)
		return 0;
	after = malloc(sizeof(*after));
	if (!after)
		return diag_oom(diag);
	memcpy(after, memory_head(memory, memory->control->generation), sizeof(*after));
	after->set[slot] = *wanted;
	larger.n_lines = pool_roomy(after, regions_end(regions));
	free(after);
	return grow(root, &larger, diag);
}

/* wanted: tables that stay, and those of `image` where it has keys, placed by this. */
static int turn_to(struct weir_root *root, const struct set *set, struct set_head *wanted,
		   const struct set_image *image, const size_t room[SET_TABLE_MAX], struct diag *diag)
{
	uint16_t slot = root->running.set_slot[set->number];
	struct regions regions = { 0 };
	struct memory *memory;
	struct pool pool;
	int r = root_settle(root, diag);

	if (r)
		return r;
	memory = &root->instance->memory;
	r = regions_of(&regions, memory_head(memory, memory->control->generation));
	for (int which = 0; which < SET_TABLE_MAX && r == 0; which++)
		if (image->n[which])
			r = pool_place_table(&regions, &wanted->table[which], which, pool_keys(image, which),
					     image->n[which], room[which]);
	if (r == 0)
		r = make_room(root, &regions, slot, wanted, diag);
	regions_clear(&regions);
	if (r)
		return r;
	pool = pool_of(root);
	for (int which = 0; which < SET_TABLE_MAX && r == 0; which++)
		if (image->n[which])
			r = table_build(&pool, &wanted->table[which], which, pool_keys(image, which), image->n[which]);
	if (r)
		return r;
	memory_repeat_half(&root->instance->memory)->set[slot] = *wanted;
	root_flip(root);
	return 0;
}

int tables_replace(struct weir_root *root, const struct set *set, const struct set_image *image, struct diag *diag)
{
	static const size_t room[SET_TABLE_MAX];
	struct set_head wanted = { 0 };

	return turn_to(root, set, &wanted, image, room, diag);
}

/* ---- single elements ---- */

/* A command's work on one set. */
struct work {
	struct weir_root *root;
	const struct set *set;
	const struct set_image *given;
	bool add;
	size_t n;              /* elements that the set has; kept only where it has a size */
	struct set_image anew; /* contents of tables that must be laid out anew */
	bool rebuild[SET_TABLE_MAX];
	bool waited; /* for packets, so that what edits had freed could be used again */
	struct set_change *change;
	struct diag *diag;
};

static int one_in_place(struct work *w, enum set_table which, const void *key)
{
	const struct table *t = &head_of(w->root, w->set)->table[which];
	struct pool pool = pool_of(w->root);
	int r;

	if (!t->first)
		return w->add ? -ENOSPC : 0;
	r = w->add ? table_add(&pool, t, which, key) : table_del(&pool, t, which, key);
	if (r != -ENOSPC || w->waited)
		return r;
	/* What earlier edits freed can be used again once no packet reads it. */
	w->waited = true;
	r = wait_for_packets(w->diag);
	if (r)
		return r;
	table_settle(&pool, t, which);
	return w->add ? table_add(&pool, t, which, key) : table_del(&pool, t, which, key);
}

static bool find_key(const char *keys, size_t n, size_t bytes, const void *key)
{
	size_t from = 0;

	while (from < n) {
		size_t middle = from + (n - from) / 2;
		int order = memcmp(key, keys + middle * bytes, bytes);

		if (!order)
			return true;
		if (order < 0)
			n = middle;
		else
			from = middle + 1;
	}
	return false;
}

/* All elements of a table as it is now. */
static int read_table(struct set_image *ret, const struct weir_root *root, const struct set *set, enum set_table which)
{
	const struct table *t = &head_of(root, set)->table[which];
	struct pool pool = pool_of(root);
	size_t n = t->first ? table_list(&pool, t, which, NULL) : 0;
	int r = n ? set_image_reserve(ret, (enum set_map)which, n) : 0;

	if (r)
		return r;
	if (n)
		table_list(&pool, t, which, (void *)pool_keys(ret, which));
	ret->n[which] = n;
	return 0;
}

static bool size_is_reached(const struct work *w)
{
	return w->add && w->set->size && w->n >= w->set->size;
}

/* From key `from` on, the table's new content instead of the table. */
static int rebuild_from(struct work *w, enum set_table which, size_t from)
{
	const struct table *t = &head_of(w->root, w->set)->table[which];
	struct pool pool = pool_of(w->root);
	size_t bytes = pool_key_bytes(which), n = w->given->n[which] - from, kept = 0;
	char *keys = malloc(n * bytes);
	int r = keys ? read_table(&w->anew, w->root, w->set, which) : -ENOMEM;

	w->rebuild[which] = true;
	if (r) {
		free(keys);
		return r;
	}
	memcpy(keys, set_image_key(w->given, (enum set_map)which, from), n * bytes);
	w->change->unchanged += n;
	n = set_keys_sort(keys, n, bytes);
	if (w->add) {
		for (size_t i = 0; i < n && r == 0; i++) {
			if (t->first && table_has(&pool, t, which, keys + i * bytes))
				continue;
			if (size_is_reached(w)) {
				r = -ENOSPC;
				break;
			}
			r = set_image_push(&w->anew, (enum set_map)which, keys + i * bytes, NULL);
			kept++;
			w->n++;
		}
		w->change->added += kept;
	} else {
		char *all = (char *)pool_keys(&w->anew, which);
		size_t left = 0;

		for (size_t i = 0; i < w->anew.n[which]; i++) {
			if (find_key(keys, n, bytes, all + i * bytes))
				kept++;
			else
				memmove(all + left++ * bytes, all + i * bytes, bytes);
		}
		w->anew.n[which] = left;
		w->change->deleted += kept;
	}
	w->change->unchanged -= kept;
	free(keys);
	return r;
}

static int edit_table(struct work *w, enum set_table which)
{
	for (size_t i = 0; i < w->given->n[which]; i++) {
		const void *key = set_image_key(w->given, (enum set_map)which, i);
		int r;

		if (size_is_reached(w)) {
			const struct table *t = &head_of(w->root, w->set)->table[which];
			struct pool pool = pool_of(w->root);

			if (!t->first || !table_has(&pool, t, which, key))
				return -ENOSPC;
		}
		r = one_in_place(w, which, key);
		if (r == -ENOSPC)
			return rebuild_from(w, which, i);
		if (r < 0)
			return r;
		w->n += r && w->add;
		(*(!r ? &w->change->unchanged : w->add ? &w->change->added : &w->change->deleted))++;
	}
	return 0;
}

/* What could not be done in place; also where an error ended the rest, so that what was counted is there. */
static int rebuild(struct work *w)
{
	struct set_head wanted = *head_of(w->root, w->set);
	size_t room[SET_TABLE_MAX] = { 0 };
	bool any = false;

	for (int which = 0; which < SET_TABLE_MAX; which++) {
		if (!w->rebuild[which])
			continue;
		any = true;
		wanted.table[which] = (struct table){ 0 };
		room[which] = w->anew.n[which] + w->anew.n[which] / 4 + ROOM_MIN;
	}
	return any ? turn_to(w->root, w->set, &wanted, &w->anew, room, w->diag) : 0;
}

int tables_edit(struct weir_root *root, const struct set *set, const struct set_image *image, bool add,
		struct set_change *ret, struct diag *diag)
{
	struct work w = { .root = root, .set = set, .given = image, .add = add, .change = ret, .diag = diag };
	int r = 0, t;

	if (add && set->size)
		w.n = tables_count(root, set);
	for (int which = 0; which < SET_TABLE_MAX && r == 0; which++)
		r = edit_table(&w, which);
	t = r == 0 || r == -ENOSPC ? rebuild(&w) : 0;
	set_image_clear(&w.anew);
	return t ? t : r;
}

/* ---- asking ---- */

bool tables_test(const struct weir_root *root, const struct set *set, const struct set_image *image)
{
	const struct set_head *head = head_of(root, set);
	struct pool pool = pool_of(root);
	bool found = false;

	for (int which = 0; which < SET_TABLE_MAX; which++) {
		bool quad = which == TABLE_QUAD || which == TABLE_QUAD_PREFIX;
		const struct table *t = &head->table[which];
		size_t n = image->n[quad ? SET_QUAD : SET_WORD];

		for (size_t i = 0; i < n && !found && t->first; i++)
			found = table_matches(&pool, t, which, quad ? image->quad[i].word : &image->word[i].word);
	}
	return found;
}

size_t tables_count(const struct weir_root *root, const struct set *set)
{
	const struct set_head *head = head_of(root, set);
	struct pool pool = pool_of(root);
	size_t n = 0;

	for (int which = 0; which < SET_TABLE_MAX; which++)
		if (head->table[which].first)
			n += table_list(&pool, &head->table[which], which, NULL);
	return n;
}

int tables_image(struct set_image *ret, const struct weir_root *root, const struct set *set)
{
	int r = 0;

	for (int which = 0; which < SET_TABLE_MAX && r == 0; which++)
		r = read_table(ret, root, set, which);
	return r;
}
