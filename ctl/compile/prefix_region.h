/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the prefix tables share: one form of keys for both families, places in a region, its allocator. */
#pragma once

#include "prefix.h"

/* Tests stop a writer here: every store into a region that packets or a later writer go by. */
#ifndef PREFIX_STORED
#define PREFIX_STORED() ((void)0)
#endif

/* A key in the table's order of bits (abi.h), from the top of hi; zero behind its length. */
struct prefix {
	uint64_t hi, lo;
	uint32_t length; /* of a word at most 32 */
};

struct region {
	uint64_t *word;
	uint32_t words;
	struct prefix_head *head;
	uint32_t *slot;
	uint32_t n_slots;
	uint64_t *shorts; /* a bit for each short element */
	uint32_t n_shorts;
	uint32_t blocks; /* first word of nodes and leaves */
	uint32_t lead, bits;
};

/* A node's children: n leaves, then the base, then n nodes. */
struct block {
	uint32_t base;
	uint32_t leaves, nodes;
};

struct region region_open(const struct pool *pool, const struct table *t, enum set_table which);
/* Of a region of so many bits of slots, before its blocks. */
uint32_t region_words_before(enum set_table which, uint32_t bits);

int prefix_from_key(struct prefix *ret, enum set_table which, const void *key);
struct prefix prefix_from_words(enum set_table which, const uint32_t *word, uint32_t length);
void prefix_to_key(const struct prefix *p, enum set_table which, void *keys, size_t at);
size_t prefix_key_size(enum set_table which);

/* From keys in any order, also twice, to prefixes by bits and length, each once; free() them. */
int prefix_sort(struct prefix **ret, size_t *ret_n, enum set_table which, const void *keys, size_t n);

/* Slot of an address, and the depth of what is below it. */
uint32_t region_slot(const struct region *r, const struct prefix *p);
uint32_t region_slot_depth(const struct region *r, uint32_t slot);
struct prefix region_slot_prefix(const struct region *r, uint32_t slot);
/* Number of the bit of a short prefix, or 0: it belongs into a node below its slot. */
uint32_t region_short(const struct region *r, const struct prefix *p);
struct prefix region_short_prefix(const struct region *r, uint32_t number);
/* Writes PREFIX_COVERED of all slots inside this short prefix, by the bits of the short elements. */
void region_mend(const struct region *r, uint32_t number);
void region_mend_all(const struct region *r);

/* The word and the depth that has the bit of this prefix, which is not a short one, or NULL: there is none yet. */
uint64_t *region_internal(const struct region *r, const struct prefix *p, uint32_t *ret_depth);

/* Word of base, or 0 where there is no space. */
uint32_t region_take(const struct region *r, uint32_t leaves, uint32_t nodes);
/* Back at once: no packet has ever seen it. */
void region_give(const struct region *r, const struct block *b);
/* Back when the region settles, which is noted in a record. After settling there is space for those of one edit. */
#define REGION_RECORDS (PREFIX_DEPTHS + 1)
bool region_can_retire(const struct region *r, uint32_t n);
void region_retire(const struct region *r, const struct block *b);
void region_settle(const struct region *r);

/* The bits of an address from a depth below 128 on, from the top of the word. */
static inline uint64_t prefix_bits(const struct prefix *p, uint32_t depth)
{
	if (depth >= 64)
		return p->lo << (depth - 64);
	return depth ? p->hi << depth | p->lo >> (64 - depth) : p->hi;
}

static inline uint32_t prefix_stride(const struct prefix *p, uint32_t depth)
{
	return (uint32_t)(prefix_bits(p, depth) >> (64 - PREFIX_STRIDE));
}

/* `skip` of a node for the n bits from a depth on. */
static inline uint32_t prefix_skip(const struct prefix *p, uint32_t depth, uint32_t n)
{
	return n ? n << 24 | (uint32_t)(prefix_bits(p, depth) >> (64 - n)) : 0;
}

/* The bit of `internal` at this depth; length is at least depth, and less than a stride more. */
static inline uint64_t prefix_internal(const struct prefix *p, uint32_t depth)
{
	return 1ull << (1u << (p->length - depth) | prefix_stride(p, depth) >> (PREFIX_STRIDE - (p->length - depth)));
}

/* Stores that are seen by packets or counted on by the next writer happen whole and in the order of the program. */
static inline void store32(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	PREFIX_STORED();
}

static inline void store64(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	PREFIX_STORED();
}

static inline struct prefix_node *region_node(const struct region *r, uint32_t at)
{
	return (struct prefix_node *)&r->word[at];
}
