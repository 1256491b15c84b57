// SPDX-License-Identifier: GPL-2.0
#include "diff.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MOST (16u << 20)

struct steps {
	struct diff_step *step;
	size_t n;
};

static void add(struct steps *steps, enum diff_side side, size_t old, size_t new)
{
	steps->step[steps->n++] = (struct diff_step){ side, old, new };
}

/* Equal lines get equal numbers, so that the table below compares numbers: hashes with the text behind them. */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

/*
 * The longest common subsequence of what is left between `from` and the ends. length[i][j] is that of the tails
 * from i and j. It fits 16 bits: the product is bounded, so the shorter list has at most 4096 lines.
 */
static int diff_middle(struct steps *steps, char *const *old, size_t n_old, char *const *new, size_t n_new, size_t from)
{
	size_t width = n_new + 1, i, j;
	uint64_t *old_hash = malloc((n_old + 1) * sizeof(*old_hash)), *new_hash = malloc(width * sizeof(*new_hash));
	uint16_t *length = calloc((n_old + 1) * width, sizeof(*length));
	int rc = -ENOMEM;

	if (!old_hash || !new_hash || !length)
		goto out;
	for (i = 0; i < n_old; i++)
		old_hash[i] = hash(old[i]);
	for (j = 0; j < n_new; j++)
		new_hash[j] = hash(new[j]);
#define SAME(i, j) (old_hash[i] == new_hash[j] && !strcmp(old[i], new[j]))
	for (i = n_old; i-- > 0;)
		for (j = n_new; j-- > 0;) {
			uint16_t down = length[(i + 1) * width + j], right = length[i * width + j + 1];

			length[i * width + j] = SAME(i, j)     ? length[(i + 1) * width + j + 1] + 1
						: down > right ? down
							       : right;
		}
	for (i = j = 0; i < n_old || j < n_new;) {
		if (i < n_old && j < n_new && SAME(i, j)) {
			add(steps, DIFF_SAME, from + i, from + j);
			i++, j++;
		} else if (i < n_old && (j == n_new || length[(i + 1) * width + j] >= length[i * width + j + 1])) {
			add(steps, DIFF_OLD, from + i++, from + j);
		} else {
			add(steps, DIFF_NEW, from + i, from + j++);
		}
	}
#undef SAME
	rc = 0;
out:
	free(old_hash);
	free(new_hash);
	free(length);
	return rc;
}

int diff_lines(char *const *old, size_t n_old, char *const *new, size_t n_new, struct diff_step **ret, size_t *ret_n)
{
	size_t least = n_old < n_new ? n_old : n_new, head = 0, tail = 0;
	struct steps steps = { .step = malloc((n_old + n_new + 1) * sizeof(*steps.step)) };

	if (!steps.step)
		return -ENOMEM;
	while (head < least && !strcmp(old[head], new[head]))
		head++;
	while (tail < least - head && !strcmp(old[n_old - 1 - tail], new[n_new - 1 - tail]))
		tail++;
	for (size_t i = 0; i < head; i++)
		add(&steps, DIFF_SAME, i, i);
	n_old -= head + tail;
	n_new -= head + tail;
	if ((n_old + 1) <= PAIRS_MOST / (n_new + 1)) {
		if (diff_middle(&steps, old + head, n_old, new + head, n_new, head)) {
			free(steps.step);
			return -ENOMEM;
		}
	} else {
		for (size_t i = 0; i < n_old; i++)
			add(&steps, DIFF_OLD, head + i, head);
		for (size_t i = 0; i < n_new; i++)
			add(&steps, DIFF_NEW, head + n_old, head + i);
	}
	for (size_t i = 0; i < tail; i++)
		add(&steps, DIFF_SAME, head + n_old + i, head + n_new + i);
	*ret = steps.step;
	*ret_n = steps.n;
	return 0;
}
