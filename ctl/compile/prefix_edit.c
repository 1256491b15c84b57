// SPDX-License-Identifier: GPL-2.0
/*
 * Prefix tables: one element more or less, while packets read.
 *
 * Where a node or leaf for the element is there, one store of `internal` does it. Else the nodes from the slot down to
 * the place are made anew, with the blocks they are in; then one store of the slot shows them, and the old blocks are
 * retired. A short element is a bit that only writers read, and PREFIX_COVERED of all slots inside it: which one is
 * being written is noted first, so that the next edit goes on after a kill.
 */
#include <errno.h>

#include "prefix_region.h"

struct edit {
	const struct region *r;
	const struct prefix *key;
	struct block fresh[REGION_RECORDS], old[REGION_RECORDS]; /* one a level, and the root */
	uint32_t n_fresh, n_old;
};

/* A node opened for change: children by their bits. */
struct open {
	struct prefix_node node;
	struct prefix_node child[64];
	uint64_t leaf[64];
};

static struct block block_of(const struct prefix_node *node)
{
	return (struct block){ node->base, prefix_count(node->leaves), prefix_count(node->nodes) };
}

static uint32_t children_of(const struct prefix_node *node)
{
	return prefix_count(node->leaves | node->nodes);
}

static bool is_empty(const struct prefix_node *node)
{
	return !(node->internal | node->leaves | node->nodes);
}

/* The block of the node is about to be replaced. */
static void open_node(struct edit *e, struct open *o, const struct prefix_node *node)
{
	uint32_t leaf = node->base - 1, child = node->base;

	o->node = *node;
	for (uint32_t v = 0; v < 64; v++) {
		if (node->leaves >> v & 1)
			o->leaf[v] = e->r->word[leaf--];
		if (node->nodes >> v & 1) {
			o->child[v] = *region_node(e->r, child);
			child += 4;
		}
	}
	if (node->leaves | node->nodes)
		e->old[e->n_old++] = block_of(node);
}

static int take(struct edit *e, struct block *b)
{
	b->base = region_take(e->r, b->leaves, b->nodes);
	if (!b->base)
		return -ENOSPC;
	e->fresh[e->n_fresh++] = *b;
	return 0;
}

static int close_node(struct edit *e, const struct open *o, struct prefix_node *ret)
{
	struct block b = block_of(&o->node);
	uint32_t leaf, child;

	*ret = o->node;
	ret->base = 0;
	if (!(o->node.leaves | o->node.nodes))
		return 0;
	if (take(e, &b) < 0)
		return -ENOSPC;
	ret->base = child = b.base;
	leaf = b.base - 1;
	for (uint32_t v = 0; v < 64; v++) {
		if (o->node.leaves >> v & 1)
			e->r->word[leaf--] = o->leaf[v];
		if (o->node.nodes >> v & 1) {
			*region_node(e->r, child) = o->child[v];
			child += 4;
		}
	}
	return 0;
}

static void set_leaf(struct open *o, uint32_t v, uint64_t internal)
{
	o->node.nodes &= ~(1ull << v);
	o->node.leaves |= 1ull << v;
	o->leaf[v] = internal;
}

/* As what it is least: nothing, a leaf or a node. */
static void set_child(struct open *o, uint32_t v, const struct prefix_node *child)
{
	o->node.leaves &= ~(1ull << v);
	o->node.nodes &= ~(1ull << v);
	if (is_empty(child))
		return;
	if (!(child->leaves | child->nodes) && !child->skip) {
		set_leaf(o, v, child->internal);
		return;
	}
	o->node.nodes |= 1ull << v;
	o->child[v] = *child;
}

static struct prefix_node get_child(const struct open *o, uint32_t v)
{
	if (o->node.nodes >> v & 1)
		return o->child[v];
	return (struct prefix_node){ .internal = o->node.leaves >> v & 1 ? o->leaf[v] : 0 };
}

/* skip: the n bits from the first-th on. */
static uint32_t part_of_skip(uint32_t skip, uint32_t first, uint32_t n)
{
	uint32_t behind = (skip >> 24) - first - n;

	return n ? n << 24 | ((skip & 0xffffff) >> behind & ((1u << n) - 1)) : 0;
}

/* How far the key goes along the skipped bits, in whole strides. */
static uint32_t along(const struct prefix *key, uint32_t skip, uint32_t depth)
{
	uint32_t n = skip >> 24;

	while (n && (key->length < depth + n || prefix_skip(key, depth, n) != part_of_skip(skip, 0, n)))
		n -= PREFIX_STRIDE;
	return n;
}

/* Opens the node down to where the key leaves its skipped bits; the rest of it becomes the only child. */
static void open_along(struct edit *e, struct open *o, const struct prefix_node *node, uint32_t depth)
{
	uint32_t skip = node->skip >> 24, n = along(e->key, node->skip, depth);
	struct prefix_node below = *node;

	if (is_empty(node)) {
		n = (e->key->length - depth) / PREFIX_STRIDE * PREFIX_STRIDE;
		o->node = (struct prefix_node){
			.skip = prefix_skip(e->key, depth, n < PREFIX_SKIP_MAX ? n : PREFIX_SKIP_MAX),
		};
	} else if (n == skip) {
		open_node(e, o, node);
	} else {
		o->node = (struct prefix_node){ .skip = part_of_skip(node->skip, 0, n) };
		below.skip = part_of_skip(node->skip, n + PREFIX_STRIDE, skip - n - PREFIX_STRIDE);
		set_child(o, part_of_skip(node->skip, n, PREFIX_STRIDE) & 63, &below);
	}
}

/* *node, whose place is at this depth, becomes one that has the key too. */
static int add_below(struct edit *e, struct prefix_node *node, uint32_t depth)
{
	struct prefix_node child;
	struct open o;
	uint32_t v;
	int r;

	open_along(e, &o, node, depth);
	depth += o.node.skip >> 24;
	if (e->key->length < depth + PREFIX_STRIDE) {
		o.node.internal |= prefix_internal(e->key, depth);
		return close_node(e, &o, node);
	}
	v = prefix_stride(e->key, depth);
	depth += PREFIX_STRIDE;
	child = get_child(&o, v);
	if (e->key->length < depth + PREFIX_STRIDE && !(o.node.nodes >> v & 1)) {
		child.internal |= prefix_internal(e->key, depth);
	} else {
		r = add_below(e, &child, depth);
		if (r < 0)
			return r;
	}
	set_child(&o, v, &child);
	return close_node(e, &o, node);
}

/* An only child and nothing else: the node is the child, with more bits to skip. */
static bool merge(const struct open *o, struct prefix_node *ret)
{
	uint64_t bits = o->node.leaves | o->node.nodes;
	uint32_t v, n, skip = o->node.skip >> 24;
	struct prefix_node child;

	if (o->node.internal || prefix_count(bits) != 1)
		return false;
	v = (uint32_t)__builtin_ctzll(bits);
	child = get_child(o, v);
	n = child.skip >> 24;
	if (skip + PREFIX_STRIDE + n > PREFIX_SKIP_MAX)
		return false;
	child.skip = (skip + PREFIX_STRIDE + n) << 24 |
		     (((o->node.skip & 0xffffff) << PREFIX_STRIDE | v) << n | (child.skip & 0xffffff));
	*ret = child;
	return true;
}

/* *node becomes one without what is empty on the key's way; the way is there. */
static int prune_below(struct edit *e, struct prefix_node *node, uint32_t depth)
{
	struct open o;

	if (e->key->length < depth + (node->skip >> 24) + PREFIX_STRIDE && children_of(node) > 1)
		return -EBUSY; /* it is needed as it is */
	open_node(e, &o, node);
	depth += node->skip >> 24;
	if (e->key->length >= depth + PREFIX_STRIDE) {
		uint32_t v = prefix_stride(e->key, depth);
		struct prefix_node child = get_child(&o, v);

		if (o.node.nodes >> v & 1) {
			int r = prune_below(e, &child, depth + PREFIX_STRIDE);

			if (r < 0)
				return r;
		}
		set_child(&o, v, &child);
	}
	return merge(&o, node) ? 0 : close_node(e, &o, node);
}

/* A change of the tree below the key's slot: all or nothing. */
static int edit_slot(const struct region *r, const struct prefix *key,
		     int (*change)(struct edit *, struct prefix_node *, uint32_t))
{
	struct edit e = { .r = r, .key = key };
	uint32_t slot = region_slot(r, key), now = r->slot[slot], at = now & ~PREFIX_COVERED;
	struct prefix_node root = { 0 };
	struct block b = { .nodes = 1 };
	int error;

	if (at) {
		root = *region_node(r, at);
		e.old[e.n_old++] = (struct block){ at, 0, 1 };
	}
	error = change(&e, &root, region_slot_depth(r, slot));
	if (error == 0 && !is_empty(&root))
		error = take(&e, &b);
	if (error == 0 && !region_can_retire(r, e.n_old))
		error = -ENOSPC;
	if (error < 0) {
		while (e.n_fresh)
			region_give(r, &e.fresh[--e.n_fresh]);
		return error;
	}
	if (b.base)
		*region_node(r, b.base) = root;
	store32(&r->slot[slot], b.base | (now & PREFIX_COVERED));
	while (e.n_old)
		region_retire(r, &e.old[--e.n_old]);
	return 0;
}

/* What a killed writer has begun. */
static void finish_short(const struct region *r)
{
	if (!r->head->mending)
		return;
	region_mend(r, r->head->mending);
	store32(&r->head->mending, 0);
}

static int edit_short(const struct region *r, uint32_t number, bool there)
{
	uint64_t *word = &r->shorts[number / 64], bit = 1ull << (number % 64);

	if (!(*word & bit) == !there)
		return 0;
	store32(&r->head->mending, number);
	store64(word, *word ^ bit);
	finish_short(r);
	return 1;
}

/* The prefix and the region to edit, with what a killed writer left undone in it done. 1, or why there is none. */
static int begin_edit(struct region *r, struct prefix *p, const struct pool *pool, const struct table *t,
		      enum set_table which, const void *key)
{
	int error = prefix_from_key(p, which, key);

	if (error < 0)
		return error;
	if (!t->first)
		return 0;
	*r = region_open(pool, t, which);
	finish_short(r);
	return 1;
}

int prefix_add(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	uint32_t number, depth;
	uint64_t *internal;
	struct region r;
	struct prefix p;
	int error;

	error = begin_edit(&r, &p, pool, t, which, key);
	if (error <= 0)
		return error ? error : -ENOSPC;
	number = region_short(&r, &p);
	if (number)
		return edit_short(&r, number, true);
	internal = region_internal(&r, &p, &depth);
	if (!internal) {
		error = edit_slot(&r, &p, add_below);
		return error < 0 ? error : 1;
	}
	if (*internal & prefix_internal(&p, depth))
		return 0;
	store64(internal, *internal | prefix_internal(&p, depth));
	return 1;
}

int prefix_del(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	uint32_t number, depth;
	uint64_t *internal;
	struct region r;
	struct prefix p;
	int error;

	error = begin_edit(&r, &p, pool, t, which, key);
	if (error <= 0)
		return error;
	number = region_short(&r, &p);
	if (number)
		return edit_short(&r, number, false);
	internal = region_internal(&r, &p, &depth);
	if (!internal || !(*internal & prefix_internal(&p, depth)))
		return 0;
	store64(internal, *internal & ~prefix_internal(&p, depth));
	if (!*internal)
		edit_slot(&r, &p, prune_below);
	return 1;
}

void prefix_settle(const struct pool *pool, const struct table *t)
{
	struct region r;

	if (!t->first)
		return;
	r = region_open(pool, t, TABLE_WORD_PREFIX); /* the allocator is the same for both */
	region_settle(&r);
}
