/* SPDX-License-Identifier: GPL-2.0 */
/* Running sets whose tables are in the pool. */
#pragma once

#include "kernel.h"

/* Elements in place; a table that has no room is laid out anew. -ENOSPC: more than the set's size. */
int tables_edit(struct weir_root *root, const struct set *set, const struct set_image *image, bool add,
		struct set_change *ret, struct diag *diag);
/* The whole content: new tables, and one flip. */
int tables_replace(struct weir_root *root, const struct set *set, const struct set_image *image, struct diag *diag);
bool tables_test(const struct weir_root *root, const struct set *set, const struct set_image *image);
size_t tables_count(const struct weir_root *root, const struct set *set);
int tables_image(struct set_image *ret, const struct weir_root *root, const struct set *set);
