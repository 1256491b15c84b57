// SPDX-License-Identifier: GPL-2.0
/* Prefix tables: what is in them. */
#include "prefix_region.h"

/* The same walk as bpf/prefix.h. */
bool prefix_matches(const struct pool *pool, const struct table *t, enum set_table which, const uint32_t *word)
{
	struct prefix p;
	struct region r;
	uint32_t slot, depth, at;

	if (!t->first)
		return false;
	p = prefix_from_words(which, word, which == TABLE_QUAD_PREFIX ? 128 : 32);
	r = region_open(pool, t, which);
	slot = region_slot(&r, &p);
	depth = region_slot_depth(&r, slot);
	at = r.slot[slot];
	if (at & PREFIX_COVERED)
		return true;
	while (at) {
		const struct prefix_node *node = region_node(&r, at);
		uint32_t skip = node->skip >> 24;
		uint64_t bit;

		if (prefix_skip(&p, depth, skip) != node->skip)
			return false;
		depth += skip;
		if (node->internal & prefix_holders(prefix_bits(&p, depth)))
			return true;
		bit = 1ull << prefix_stride(&p, depth);
		depth += PREFIX_STRIDE;
		if (node->leaves & bit)
			return r.word[node->base - 1 - prefix_count(node->leaves & (bit - 1))] &
			       prefix_holders(prefix_bits(&p, depth));
		at = node->nodes & bit ? node->base + 4 * prefix_count(node->nodes & (bit - 1)) : 0;
	}
	return false;
}

uint64_t *region_internal(const struct region *r, const struct prefix *p, uint32_t *ret_depth)
{
	uint32_t slot = region_slot(r, p);
	uint32_t depth = region_slot_depth(r, slot);
	uint32_t at = r->slot[slot] & ~PREFIX_COVERED;

	while (at) {
		struct prefix_node *node = region_node(r, at);
		uint32_t skip = node->skip >> 24;
		uint64_t bit;

		if (p->length < depth + skip || prefix_skip(p, depth, skip) != node->skip)
			return NULL;
		depth += skip;
		*ret_depth = depth;
		if (p->length < depth + PREFIX_STRIDE)
			return (uint64_t *)&node->internal;
		bit = 1ull << prefix_stride(p, depth);
		depth += PREFIX_STRIDE;
		*ret_depth = depth;
		if (node->leaves & bit)
			return p->length < depth + PREFIX_STRIDE
				       ? &r->word[node->base - 1 - prefix_count(node->leaves & (bit - 1))]
				       : NULL;
		at = node->nodes & bit ? node->base + 4 * prefix_count(node->nodes & (bit - 1)) : 0;
	}
	return NULL;
}

bool prefix_has(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	const uint64_t *internal;
	struct region r;
	struct prefix p;
	uint32_t number, depth;

	if (!t->first || prefix_from_key(&p, which, key) < 0)
		return false;
	r = region_open(pool, t, which);
	number = region_short(&r, &p);
	if (number)
		return r.shorts[number / 64] >> (number % 64) & 1;
	internal = region_internal(&r, &p, &depth);
	return internal && *internal & prefix_internal(&p, depth);
}

struct listing {
	const struct region *r;
	enum set_table which;
	void *keys;
	size_t n;
};

static void list_one(struct listing *l, const struct prefix *p)
{
	if (l->keys)
		prefix_to_key(p, l->which, l->keys, l->n);
	l->n++;
}

/* `to` becomes n bits longer. */
static struct prefix longer(const struct prefix *p, uint32_t n, uint64_t bits)
{
	struct prefix q = *p;
	uint32_t end = p->length + n;

	q.length = end;
	if (n == 0)
		return q;
	if (end <= 64)
		q.hi |= bits << (64 - end);
	else
		q.lo |= bits << (128 - end);
	if (p->length < 64 && end > 64)
		q.hi |= bits >> (end - 64);
	return q;
}

static void list_internal(struct listing *l, const struct prefix *above, uint64_t internal)
{
	while (internal) {
		uint32_t bit = (uint32_t)__builtin_ctzll(internal), height = 31 - (uint32_t)__builtin_clz(bit);
		struct prefix p = longer(above, height, bit - (1u << height));

		list_one(l, &p);
		internal &= internal - 1;
	}
}

static void list_node(struct listing *l, const struct prefix *above, const struct prefix_node *node)
{
	struct prefix p = longer(above, node->skip >> 24, node->skip & 0xffffff);
	uint32_t leaf = node->base - 1, child = node->base;

	list_internal(l, &p, node->internal);
	for (uint32_t v = 0; v < 64; v++) {
		struct prefix below;

		if (!((node->leaves | node->nodes) >> v & 1))
			continue;
		below = longer(&p, PREFIX_STRIDE, v);
		if (node->leaves >> v & 1) {
			list_internal(l, &below, l->r->word[leaf--]);
		} else {
			list_node(l, &below, region_node(l->r, child));
			child += 4;
		}
	}
}

size_t prefix_list(const struct pool *pool, const struct table *t, enum set_table which, void *keys)
{
	struct listing l = { .which = which, .keys = keys };
	struct region r;

	if (!t->first)
		return 0;
	r = region_open(pool, t, which);
	l.r = &r;
	for (uint32_t i = 0; i < r.n_shorts; i++) {
		struct prefix p;

		if (!(r.shorts[i / 64] >> (i % 64) & 1))
			continue;
		p = region_short_prefix(&r, i);
		list_one(&l, &p);
	}
	for (uint32_t slot = 0; slot < r.n_slots; slot++) {
		uint32_t at = r.slot[slot] & ~PREFIX_COVERED;
		struct prefix p;

		if (!at)
			continue;
		p = region_slot_prefix(&r, slot);
		list_node(&l, &p, region_node(&r, at));
	}
	return l.n;
}
