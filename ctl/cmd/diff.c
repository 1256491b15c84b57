// SPDX-License-Identifier: GPL-2.0
#include "diff.h"

#include <errno.h>
#include <stdbool.h>
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

static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

/* ---- small pieces: the longest common subsequence ---- */

/*
 * length[i][j] is that of the tails from i and j. It fits 16 bits: the product is bounded, so the shorter list has at
 * most 4096 lines.
 */
static int diff_table(struct steps *steps, char *const *old, size_t n_old, char *const *new, size_t n_new,
		      struct diff_step at)
{
	size_t width = n_new + 1, i, j;
	uint64_t *old_hash = malloc((n_old + 1) * sizeof(*old_hash)), *new_hash = malloc(width * sizeof(*new_hash));
	uint16_t *length = calloc((n_old + 1) * width, sizeof(*length));
	int rc = -ENOMEM;

	if (!old_hash || !new_hash || !length)
		goto out;
	for (i = 0; i < n_old; i++)
		old_hash[i] = hash(old[at.old + i]);
	for (j = 0; j < n_new; j++)
		new_hash[j] = hash(new[at.new + j]);
#define SAME(i, j) (old_hash[i] == new_hash[j] && !strcmp(old[at.old + (i)], new[at.new + (j)]))
	for (i = n_old; i-- > 0;)
		for (j = n_new; j-- > 0;) {
			uint16_t down = length[(i + 1) * width + j], right = length[i * width + j + 1];

			length[i * width + j] = SAME(i, j)     ? length[(i + 1) * width + j + 1] + 1
						: down > right ? down
							       : right;
		}
	for (i = j = 0; i < n_old || j < n_new;) {
		if (i < n_old && j < n_new && SAME(i, j)) {
			add(steps, DIFF_SAME, at.old + i, at.new + j);
			i++, j++;
		} else if (i < n_old && (j == n_new || length[(i + 1) * width + j] >= length[i * width + j + 1])) {
			add(steps, DIFF_OLD, at.old + i++, at.new + j);
		} else {
			add(steps, DIFF_NEW, at.old + i, at.new + j++);
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

static int diff_piece(struct steps *steps, char *const *old, size_t n_old, char *const *new, size_t n_new,
		      struct diff_step at)
{
	if (n_old && n_new && n_old + 1 <= PAIRS_MOST / (n_new + 1))
		return diff_table(steps, old, n_old, new, n_new, at);
	for (size_t i = 0; i < n_old; i++)
		add(steps, DIFF_OLD, at.old + i, at.new);
	for (size_t i = 0; i < n_new; i++)
		add(steps, DIFF_NEW, at.old + n_old, at.new + i);
	return 0;
}

/* ---- large pieces: lines that occur once on each side hold the pieces between them together ---- */

struct line {
	const char *text;
	uint64_t hash;
	size_t number;
	bool new;
};

struct anchor {
	size_t old, new;
	size_t before; /* the anchor before it in the longest chain that ends here, + 1 */
};

static int by_text(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : strcmp(x->text, y->text);
}

static int by_old(const void *a, const void *b)
{
	const struct anchor *x = a, *y = b;

	return x->old < y->old ? -1 : x->old > y->old;
}

static size_t find_anchors(struct anchor *anchors, struct line *lines, size_t n)
{
	size_t n_anchors = 0;

	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && !by_text(&lines[i], &lines[end]); end++)
			;
		if (end - i != 2 || lines[i].new == lines[i + 1].new)
			continue;
		anchors[n_anchors++] = (struct anchor){
			.old = lines[i + lines[i].new].number,
			.new = lines[i + !lines[i].new].number,
		};
	}
	qsort(anchors, n_anchors, sizeof(*anchors), by_old);
	return n_anchors;
}

/* Keeps the longest chain of anchors that rises on both sides; returns its length. */
static size_t keep_rising(struct anchor *anchors, size_t n, size_t *ends)
{
	size_t length = 0, at;

	/* ends[k]: the chain of k + 1 anchors that ends lowest on the new side. */
	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = length;

		while (low < high) {
			size_t middle = (low + high) / 2;

			if (anchors[ends[middle]].new < anchors[i].new)
				low = middle + 1;
			else
				high = middle;
		}
		anchors[i].before = low ? ends[low - 1] + 1 : 0;
		ends[low] = i;
		length += low == length;
	}
	at = length ? ends[length - 1] + 1 : 0;
	for (size_t k = length; k-- > 0; at = anchors[at - 1].before)
		ends[k] = at - 1;
	for (size_t k = 0; k < length; k++)
		anchors[k] = anchors[ends[k]];
	return length;
}

static int diff_anchored(struct steps *steps, char *const *old, size_t n_old, char *const *new, size_t n_new,
			 struct diff_step at)
{
	size_t n = 0, most = n_old < n_new ? n_old : n_new, end_old = at.old + n_old, end_new = at.new + n_new;
	struct line *lines = malloc((n_old + n_new + 1) * sizeof(*lines));
	struct anchor *anchors = malloc((most + 1) * sizeof(*anchors));
	size_t *ends = malloc((most + 1) * sizeof(*ends));
	int rc = -ENOMEM;

	if (!lines || !anchors || !ends)
		goto out;
	for (size_t i = 0; i < n_old; i++)
		lines[n++] = (struct line){ old[at.old + i], hash(old[at.old + i]), at.old + i, false };
	for (size_t i = 0; i < n_new; i++)
		lines[n++] = (struct line){ new[at.new + i], hash(new[at.new + i]), at.new + i, true };
	n = keep_rising(anchors, find_anchors(anchors, lines, n), ends);
	rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = diff_piece(steps, old, anchors[i].old - at.old, new, anchors[i].new - at.new, at);
		add(steps, DIFF_SAME, anchors[i].old, anchors[i].new);
		at = (struct diff_step){ .old = anchors[i].old + 1, .new = anchors[i].new + 1 };
	}
	if (!rc)
		rc = diff_piece(steps, old, end_old - at.old, new, end_new - at.new, at);
out:
	free(lines);
	free(anchors);
	free(ends);
	return rc;
}

int diff_lines(char *const *old, size_t n_old, char *const *new, size_t n_new, struct diff_step **ret, size_t *ret_n)
{
	size_t least = n_old < n_new ? n_old : n_new, head = 0, tail = 0;
	struct steps steps = { .step = malloc((n_old + n_new + 1) * sizeof(*steps.step)) };
	struct diff_step at;
	int rc;

	if (!steps.step)
		return -ENOMEM;
	while (head < least && !strcmp(old[head], new[head]))
		head++;
	while (tail < least - head && !strcmp(old[n_old - 1 - tail], new[n_new - 1 - tail]))
		tail++;
	for (size_t i = 0; i < head; i++)
		add(&steps, DIFF_SAME, i, i);
	at = (struct diff_step){ .old = head, .new = head };
	n_old -= head + tail;
	n_new -= head + tail;
	if (n_old + 1 <= PAIRS_MOST / (n_new + 1))
		rc = diff_piece(&steps, old, n_old, new, n_new, at);
	else
		rc = diff_anchored(&steps, old, n_old, new, n_new, at);
	if (rc) {
		free(steps.step);
		return rc;
	}
	for (size_t i = 0; i < tail; i++)
		add(&steps, DIFF_SAME, head + n_old + i, head + n_new + i);
	*ret = steps.step;
	*ret_n = steps.n;
	return 0;
}
