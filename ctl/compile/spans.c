// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of values of one or several words, and the tests that find out whether a key is in one.
 *
 * The words of a value are compared in order, like the digits of a number. spans_emit() works word by
 * word: the values of the first word fall into segments that are all in, all out, or depend on the
 * words behind; a binary search over the segments picks one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

static int words_compare(const uint32_t *a, const uint32_t *b, unsigned int words)
{
	for (unsigned int i = 0; i < words; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static int span_compare(const void *a, const void *b, void *words)
{
	return words_compare(((const struct span *)a)->lo, ((const struct span *)b)->lo, *(unsigned int *)words);
}

int spans_add(struct spans *spans, const struct span *span)
{
	if (spans->n == spans->capacity) {
		size_t capacity = spans->capacity ? spans->capacity * 2 : 1; /* most conditions have one */
		struct span *at = realloc(spans->at, capacity * sizeof(*at));

		if (!at)
			return -ENOMEM;
		spans->at = at;
		spans->capacity = capacity;
	}
	spans->at[spans->n++] = *span;
	return 0;
}

/* Is b the value right behind a? Only looked for in the last word: joining more is not worth the code. */
static bool words_adjacent(const uint32_t *a, const uint32_t *b, unsigned int words)
{
	return words_compare(a, b, words - 1) == 0 && a[words - 1] != UINT32_MAX && a[words - 1] + 1 == b[words - 1];
}

void spans_normalise(struct spans *spans, unsigned int words)
{
	size_t kept = 0;

	if (spans->n < 2)
		return;
	qsort_r(spans->at, spans->n, sizeof(*spans->at), span_compare, &words);
	for (size_t i = 1; i < spans->n; i++) {
		struct span *last = &spans->at[kept], *next = &spans->at[i];

		if (words_compare(next->lo, last->hi, words) <= 0 || words_adjacent(last->hi, next->lo, words)) {
			if (words_compare(next->hi, last->hi, words) > 0)
				memcpy(last->hi, next->hi, sizeof(last->hi));
		} else {
			spans->at[++kept] = *next;
		}
	}
	spans->n = kept + 1;
}

/* Both normalised. */
bool spans_within(const struct spans *inner, const struct spans *outer, unsigned int words)
{
	size_t o = 0;

	for (size_t i = 0; i < inner->n; i++) {
		while (o < outer->n && words_compare(outer->at[o].hi, inner->at[i].lo, words) < 0)
			o++;
		if (o == outer->n || words_compare(outer->at[o].lo, inner->at[i].lo, words) > 0 ||
		    words_compare(outer->at[o].hi, inner->at[i].hi, words) < 0)
			return false;
	}
	return true;
}

bool spans_disjoint(const struct spans *a, const struct spans *b, unsigned int words)
{
	size_t i = 0, j = 0;

	while (i < a->n && j < b->n) {
		if (words_compare(a->at[i].hi, b->at[j].lo, words) < 0)
			i++;
		else if (words_compare(b->at[j].hi, a->at[i].lo, words) < 0)
			j++;
		else
			return false;
	}
	return true;
}

/* A stretch of one word's values with one target; between segments is `no`. */
struct segment {
	uint32_t lo, hi, target;
};

struct segments {
	struct segment *at;
	size_t n, capacity;
};

static void segments_add(struct program *program, struct segments *segments, uint32_t lo, uint32_t hi, uint32_t target)
{
	struct segment *last = segments->n ? &segments->at[segments->n - 1] : NULL;

	if (last && last->target == target && last->hi + 1 == lo) {
		last->hi = hi;
		return;
	}
	if (segments->n == segments->capacity) {
		size_t capacity = segments->capacity ? segments->capacity * 2 : 8;
		struct segment *at = realloc(segments->at, capacity * sizeof(*at));

		if (!at) {
			program->out_of_memory = true;
			return;
		}
		segments->at = at;
		segments->capacity = capacity;
	}
	segments->at[segments->n++] = (struct segment){ lo, hi, target };
}

static uint32_t segments_emit(struct program *program, const struct segment *at, size_t n, uint8_t word, uint32_t mask,
			      uint32_t no)
{
	size_t half = n / 2;
	uint32_t left, right;

	if (n == 0)
		return no;
	if (n == 1)
		return program_test(program, word, mask, at->lo, at->hi, at->target, no);
	left = segments_emit(program, at, half, word, mask, no);
	right = segments_emit(program, at + half, n - half, word, mask, no);
	return program_test(program, word, mask, 0, at[half - 1].hi, left, right);
}

static bool tail_is(const uint32_t *words, unsigned int from, const struct place *place, bool ones)
{
	for (unsigned int i = from; i < place->n; i++)
		if (words[i] != (ones ? place->mask[i] : 0))
			return false;
	return true;
}

static struct span tail_filled(const struct span *span, unsigned int from, const struct place *place)
{
	struct span filled = *span;

	for (unsigned int i = from; i < place->n; i++) {
		filled.lo[i] = 0;
		filled.hi[i] = place->mask[i];
	}
	return filled;
}

/*
 * Cuts lo ... hi into pieces that are a point in their first words, a range in one, and everything in the
 * words behind: what lies between two addresses, as the digits of a number show it.
 */
static int span_cut(struct spans *pieces, const struct span *span, unsigned int level, const struct place *place)
{
	bool from_start, to_end;
	struct span piece;

	while (level < place->n && span->lo[level] == span->hi[level])
		level++;
	if (level >= place->n - 1u)
		return spans_add(pieces, span);
	from_start = tail_is(span->lo, level + 1, place, false);
	to_end = tail_is(span->hi, level + 1, place, true);
	if (!from_start) {
		piece = tail_filled(span, level + 1, place);
		memcpy(piece.lo + level, span->lo + level, (place->n - level) * sizeof(piece.lo[0]));
		piece.hi[level] = span->lo[level];
		if (span_cut(pieces, &piece, level + 1, place))
			return -ENOMEM;
	}
	piece = tail_filled(span, level + 1, place);
	piece.lo[level] = span->lo[level] + !from_start;
	piece.hi[level] = span->hi[level] - !to_end;
	if (piece.lo[level] <= piece.hi[level] && spans_add(pieces, &piece))
		return -ENOMEM;
	if (!to_end) {
		piece = tail_filled(span, level + 1, place);
		memcpy(piece.hi + level, span->hi + level, (place->n - level) * sizeof(piece.hi[0]));
		piece.lo[level] = span->hi[level];
		if (span_cut(pieces, &piece, level + 1, place))
			return -ENOMEM;
	}
	return 0;
}

/* The pieces agree in all words before `level`. */
static uint32_t emit_level(struct program *program, const struct span *at, size_t n, unsigned int level,
			   const struct place *place, uint32_t yes, uint32_t no)
{
	struct segments segments = { 0 };
	uint32_t entry;

	for (size_t i = 0; i < n && !program->out_of_memory;) {
		uint32_t lo = at[i].lo[level], hi = at[i].hi[level], target = yes;
		size_t end = i + 1;

		if (level + 1 < place->n &&
		    !(tail_is(at[i].lo, level + 1, place, false) && tail_is(at[i].hi, level + 1, place, true))) {
			while (end < n && at[end].lo[level] == lo)
				end++;
			target = emit_level(program, at + i, end - i, level + 1, place, yes, no);
		}
		segments_add(program, &segments, lo, hi, target);
		i = end;
	}
	entry = segments_emit(program, segments.at, segments.n, place->word[level], place->mask[level], no);
	free(segments.at);
	return entry;
}

/* spans are normalised. Goes on at yes where the key is in one of them, at no where it is not. */
uint32_t spans_emit(struct program *program, const struct spans *spans, const struct place *place, uint32_t yes,
		    uint32_t no)
{
	struct spans pieces = { 0 };
	uint32_t entry = no;

	for (size_t i = 0; i < spans->n; i++)
		if (span_cut(&pieces, &spans->at[i], 0, place))
			program->out_of_memory = true;
	if (!program->out_of_memory)
		entry = emit_level(program, pieces.at, pieces.n, 0, place, yes, no);
	free(pieces.at);
	return entry;
}
