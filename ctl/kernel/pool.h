/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool of lines: where the tables of sets stand.
 *
 * Only the heads of the generations say which regions are in use, nothing records what is free: a command that
 * is killed leaves nothing to clean up here. Whoever wants a region settles first (root_settle), so that the
 * running head is the only one that counts.
 */
#pragma once

#include "../compile/table.h"
#include "load.h"

struct region {
	uint32_t first, lines;
};

/* Regions in use, in order; line 0 is nobody's. */
struct regions {
	struct region *at;
	size_t n, capacity;
};

int regions_of(struct regions *ret, const struct tables_head *head);
void regions_clear(struct regions *regions);
/* Behind the last one. */
uint32_t regions_end(const struct regions *regions);
/* First fit, without a limit: whoever has no room so far back makes some. 0: memory ended, or 2^32 lines. */
uint32_t regions_take(struct regions *regions, size_t lines);

/* Where the tables of this set will stand: first and lines of each that has keys, the others empty. */
int pool_place(struct regions *regions, struct set_head *ret, const struct set_image *image);
/* One table of it. room: for at least so many keys. */
int pool_place_table(struct regions *regions, struct table *ret, enum set_table which, const void *keys, size_t n,
		     size_t room);
/* Writes them there. */
int pool_build(const struct pool *pool, struct set_head *head, const struct set_image *image);
/* Lines for a pool that ends at `end`: enough for another copy of the largest set of `head`, too. */
uint32_t pool_roomy(const struct tables_head *head, uint32_t end);

/* The keys of a set image as table `which` takes them. */
const void *pool_keys(const struct set_image *image, enum set_table which);
size_t pool_key_bytes(enum set_table which);
