/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of sets in the pool of lines (abi.h): built at once, edited in place.
 *
 * Pure memory work, no system call. The memory may be read by packets all the while: each step of an edit
 * leaves a table in which every other element is found, and a writer that is killed between two steps leaves
 * one that the next writer can go on with. One writer at a time (the caller holds the lock).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi.h"

struct pool {
	struct line *lines;
	uint32_t n;
};

/*
 * `which` says what the keys are: TABLE_WORD struct set_word_key, TABLE_QUAD struct set_quad_key,
 * TABLE_WORD_PREFIX struct set_word_lpm_key, TABLE_QUAD_PREFIX struct set_quad_lpm_key.
 */

/* Lines of a region for these keys, with room for about an eighth more, and for at least `room` keys. */
size_t table_lines(enum set_table which, const void *keys, size_t n, size_t room);
/*
 * Fills the region t->first, t->lines and the rest of *t. Keys in any order, also twice. t->seed: what the caller drew
 * at random, or 0; it may become another one.
 * -ENOSPC: the region is too small. -ENOMEM.
 */
int table_build(const struct pool *pool, struct table *t, enum set_table which, const void *keys, size_t n);
/* 1 done, 0 nothing to do (was there, was not there), -ENOSPC: lay the table out anew in a larger region. */
int table_add(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
int table_del(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
/* A grace period has passed since the last edit: what edits freed may be used again. */
void table_settle(const struct pool *pool, const struct table *t, enum set_table which);
/* Is this very key an element? (A prefix table says nothing of what lies inside a prefix.) */
bool table_has(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
/* Would a packet with this value be found? word: one word or four. */
bool table_matches(const struct pool *pool, const struct table *t, enum set_table which, const uint32_t *word);
/* Elements, in no order, each once; keys may be NULL to count. Returns how many. */
size_t table_list(const struct pool *pool, const struct table *t, enum set_table which, void *keys);
