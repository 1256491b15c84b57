// SPDX-License-Identifier: GPL-2.0
/*
 * Prefix tables: the allocator of a region. Its state is in the region, so that the next writer goes on with it.
 *
 * A block leaves a list before it is used, and reaches one only when nothing refers to it: a writer that is killed
 * between two stores loses blocks until the table is laid out anew, but none is ever in two places. Links are in the
 * free blocks themselves; retired blocks, which packets may still read, are recorded at the end of the region.
 */
#include "prefix_region.h"

#define SMALL (PREFIX_CLASSES / 2) /* classes up to here count words, those behind count nodes */

static uint32_t class_words(uint32_t class)
{
	return class <= SMALL ? class : (class - SMALL) * 4;
}

/* Leaves before nodes are rounded up to a node, so that the base is aligned. */
static uint32_t class_of(uint32_t leaves, uint32_t nodes)
{
	return nodes ? SMALL + nodes + (leaves + 3) / 4 : leaves;
}

static uint32_t words_before(uint32_t leaves, uint32_t nodes)
{
	return nodes ? (leaves + 3) / 4 * 4 : leaves;
}

static void push(const struct region *r, uint32_t class, uint32_t at)
{
	r->word[at] = r->head->free[class - 1];
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	store32(&r->head->free[class - 1], at);
}

static uint32_t pop(const struct region *r, uint32_t class)
{
	uint32_t at = r->head->free[class - 1];

	if (at)
		store32(&r->head->free[class - 1], (uint32_t)r->word[at]);
	return at;
}

static uint32_t limit(const struct region *r)
{
	return r->words - r->head->retired;
}

/* From what was never in a block. The words before an aligned block are a block of their own. */
static uint32_t extend(const struct region *r, uint32_t class)
{
	uint32_t before = r->head->used, at = class > SMALL ? (before + 3) / 4 * 4 : before;
	uint32_t size = class_words(class);

	if (at + size + REGION_RECORDS > limit(r))
		return 0;
	store32(&r->head->used, at + size);
	if (at > before)
		push(r, at - before, before);
	return at;
}

/* The front of a larger block. */
static uint32_t split(const struct region *r, uint32_t class)
{
	uint32_t last = class <= SMALL ? SMALL : PREFIX_CLASSES, at, from, nodes;

	for (from = class + 1; from <= last; from++) {
		at = pop(r, from);
		if (!at)
			continue;
		push(r, class > SMALL ? SMALL + from - class : from - class, at + class_words(class));
		return at;
	}
	if (class > SMALL)
		return 0;
	nodes = (class + 3) / 4;
	for (from = SMALL + nodes; from <= PREFIX_CLASSES; from++) {
		at = pop(r, from);
		if (!at)
			continue;
		if (nodes * 4 > class)
			push(r, nodes * 4 - class, at + class);
		if (from > SMALL + nodes)
			push(r, from - nodes, at + nodes * 4);
		return at;
	}
	return 0;
}

uint32_t region_take(const struct region *r, uint32_t leaves, uint32_t nodes)
{
	uint32_t class = class_of(leaves, nodes);
	uint32_t at = pop(r, class);

	if (!at)
		at = extend(r, class);
	if (!at)
		at = split(r, class);
	return at ? at + words_before(leaves, nodes) : 0;
}

void region_give(const struct region *r, const struct block *b)
{
	push(r, class_of(b->leaves, b->nodes), b->base - words_before(b->leaves, b->nodes));
}

bool region_can_retire(const struct region *r, uint32_t n)
{
	return r->head->used + n <= limit(r);
}

void region_retire(const struct region *r, const struct block *b)
{
	uint64_t class = class_of(b->leaves, b->nodes);

	r->word[limit(r) - 1] = class << 32 | (b->base - words_before(b->leaves, b->nodes));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	store32(&r->head->retired, r->head->retired + 1);
}

void region_settle(const struct region *r)
{
	while (r->head->retired) {
		uint64_t record = r->word[limit(r)];

		store32(&r->head->retired, r->head->retired - 1);
		push(r, (uint32_t)(record >> 32), (uint32_t)record);
	}
}
