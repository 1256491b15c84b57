// SPDX-License-Identifier: GPL-2.0
/* Which code makes which table: exact values or prefixes. */
#include "table.h"

#include "exact.h"
#include "prefix.h"

static bool is_exact(enum set_table which)
{
	return which == TABLE_WORD || which == TABLE_QUAD;
}

size_t table_lines(enum set_table which, const void *keys, size_t n, size_t room)
{
	return is_exact(which) ? exact_lines(which, keys, n, room) : prefix_lines(which, keys, n, room);
}

int table_build(const struct pool *pool, struct table *t, enum set_table which, const void *keys, size_t n)
{
	return is_exact(which) ? exact_build(pool, t, which, keys, n) : prefix_build(pool, t, which, keys, n);
}

int table_add(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	return is_exact(which) ? exact_add(pool, t, which, key) : prefix_add(pool, t, which, key);
}

int table_del(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	return is_exact(which) ? exact_del(pool, t, which, key) : prefix_del(pool, t, which, key);
}

void table_settle(const struct pool *pool, const struct table *t, enum set_table which)
{
	if (!is_exact(which))
		prefix_settle(pool, t);
}

bool table_has(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	return is_exact(which) ? exact_has(pool, t, which, key) : prefix_has(pool, t, which, key);
}

bool table_matches(const struct pool *pool, const struct table *t, enum set_table which, const uint32_t *word)
{
	return is_exact(which) ? exact_matches(pool, t, which, word) : prefix_matches(pool, t, which, word);
}

size_t table_list(const struct pool *pool, const struct table *t, enum set_table which, void *keys)
{
	return is_exact(which) ? exact_list(pool, t, which, keys) : prefix_list(pool, t, which, keys);
}
