/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of exact values (bpf/abi.h), built and edited in the pool: what table.h says, for TABLE_WORD and TABLE_QUAD.
 *
 * Values never move, and one store makes a value appear or vanish, so that a reader sees each at all times and a writer
 * that is killed leaves a good table. One writer at a time.
 */
#pragma once

#include "table.h"

size_t exact_lines(enum set_table which, const void *keys, size_t n, size_t room);
/*
 * t->seed: what the caller drew at random, so that nobody can choose addresses that share a line. A seed under which the
 * keys do not fit is left for another one, and t->seed is the one taken; -ENOSPC after EXACT_SEEDS of them.
 */
int exact_build(const struct pool *pool, struct table *t, enum set_table which, const void *keys, size_t n);
int exact_add(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
int exact_del(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
bool exact_has(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
bool exact_matches(const struct pool *pool, const struct table *t, enum set_table which, const uint32_t *word);
size_t exact_list(const struct pool *pool, const struct table *t, enum set_table which, void *keys);
