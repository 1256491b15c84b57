/* SPDX-License-Identifier: GPL-2.0 */
/* The difference of two lists of lines. */
#pragma once

#include <stddef.h>

enum diff_side { DIFF_SAME, DIFF_OLD, DIFF_NEW };

struct diff_step {
	enum diff_side side;
	size_t old, new; /* numbers in the lists: old is meant unless side is DIFF_NEW, new unless DIFF_OLD */
};

/*
 * Steps that lead from the old lines to the new ones, in order; *ret: malloc'ed, n_old + n_new of them at most. The
 * shortest way where the lists differ over fewer than 16 million pairs of lines. Beyond that the lines that occur once on
 * each side divide them first, and a piece that is still too large is all removed, then all added.
 * 0 or -ENOMEM.
 */
int diff_lines(char *const *old, size_t n_old, char *const *new, size_t n_new, struct diff_step **ret, size_t *ret_n);
