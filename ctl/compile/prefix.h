/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of prefixes (bpf/abi.h): table.h for TABLE_WORD_PREFIX and TABLE_QUAD_PREFIX.
 *
 * Bits of a key behind its length count as zero; a length beyond 32 or 128 is -EINVAL. Only packets may read while
 * another process edits: who lists a table holds the lock, too.
 */
#pragma once

#include "table.h"

/* 0: a bad key, or no memory. A table without elements needs lines, too. */
size_t prefix_lines(enum set_table which, const void *keys, size_t n, size_t room);
int prefix_build(const struct pool *pool, struct table *t, enum set_table which, const void *keys, size_t n);
/*
 * What an edit replaces may still be read by packets and is not used again before prefix_settle(). So -ENOSPC of
 * prefix_add() may mean only that: wait until no packet can read what was there before, settle, try again; if it comes
 * again, lay the table out anew. prefix_del() always succeeds; without space it leaves empty nodes, which later
 * additions fill.
 */
int prefix_add(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
int prefix_del(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
/* No packet reads any more what earlier edits have replaced: a grace period has passed since the last of them. */
void prefix_settle(const struct pool *pool, const struct table *t);
bool prefix_has(const struct pool *pool, const struct table *t, enum set_table which, const void *key);
bool prefix_matches(const struct pool *pool, const struct table *t, enum set_table which, const uint32_t *word);
size_t prefix_list(const struct pool *pool, const struct table *t, enum set_table which, void *keys);
