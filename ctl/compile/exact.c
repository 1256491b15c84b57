// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "exact.h"

/* Readers look at the pool meanwhile: all stores to it go through here. Tests put a counter in its place. */
#ifndef EXACT_STORE
#define EXACT_STORE(at, value) __atomic_store_n(at, value, __ATOMIC_RELEASE)
#endif

/*
 * Values that a home line may have on average when all the room is used. While values come and go, those in spare lines
 * stay there until they are deleted, so that more and more of them are: Erlang's formula says 4, 1 and 3 of 100,
 * and then a spare line is a third full.
 */
#define LOAD_WORDS  10
#define LOAD_HALVES 22
#define LOAD_TAGS   24

#define EXACT_SEEDS 8

/* What a key is in a table: where it may be, and as what. */
struct element {
	uint32_t home;         /* line of the region */
	uint32_t spare;        /* the first of its row of spare lines */
	uint32_t hash;         /* TABLE_WORD: what a lane of a word holds */
	uint32_t half;         /* what half a word holds: the lower half of that; the tag */
	uint64_t upper, lower; /* TABLE_QUAD: the words */
};

/* Lines of a region with this many home lines. */
static size_t region_lines(size_t size, enum set_table which)
{
	return (size + size / EXACT_SPARE + EXACT_PROBES) * (which == TABLE_QUAD ? 1 + EXACT_ENTRY_LINES : 1);
}

/* And back: the most home lines for a region. */
static uint32_t region_size(uint32_t lines, enum set_table which)
{
	if (which == TABLE_QUAD)
		lines /= 1 + EXACT_ENTRY_LINES;
	if (lines <= EXACT_PROBES)
		return 0;
	lines -= EXACT_PROBES;
	return lines - (lines + 1) / (EXACT_SPARE + 1);
}

/* Lines of a region whose home lines have this load. */
static size_t lines_for(size_t n, size_t load, size_t least, enum set_table which)
{
	size_t size = (n + load - 1) / load;

	return region_lines(size > least ? size : least, which);
}

size_t exact_lines(enum set_table which, const void *keys, size_t n, size_t room)
{
	size_t words, halves;

	(void)keys;
	n += n / 8;
	if (n < room)
		n = room;
	if (which == TABLE_QUAD)
		return lines_for(n, LOAD_TAGS, 1, which);
	words = lines_for(n, LOAD_WORDS, 1, which);
	halves = lines_for(n, LOAD_HALVES, EXACT_HALVES_MIN, which);
	return words < halves ? words : halves;
}

static struct line *table_line(const struct pool *pool, const struct table *t, uint32_t line)
{
	return &pool->lines[t->first + line];
}

/* Two words: the entry of a lane, `bit` as exact_scan_half() says it. */
static __u64 *line_entry(const struct pool *pool, const struct table *t, uint32_t line, unsigned int bit)
{
	uint32_t entry = (bit >> 4) * 8 + (bit & 7);
	uint32_t first = t->size + exact_spare(t->size) + line * EXACT_ENTRY_LINES;

	return &table_line(pool, t, first + entry / 4)->word[entry % 4 * 2];
}

static struct element make_element(const struct table *t, const uint32_t *word)
{
	struct element e = { 0 };

	if (t->kind == EXACT_TAGS) {
		uint64_t hash = exact_hash_quad(word, t->seed);

		e.hash = hash;
		e.half = exact_tag(hash);
		e.upper = (uint64_t)word[0] << 32 | word[1];
		e.lower = (uint64_t)word[2] << 32 | word[3];
		e.home = exact_pick(hash >> 32, t->size);
	} else {
		e.hash = exact_hash_word(word[0], t->seed);
		e.half = e.hash & 0xffff;
		e.home = exact_pick(e.hash, t->size);
	}
	e.spare = t->size + exact_pick_spare(e.hash, t->size);
	return e;
}

/* Line `step` of the row in which an element may be: its home line, then spare ones. */
static uint32_t row_line(const struct element *e, unsigned int step)
{
	return step ? e->spare + step - 1 : e->home;
}

/* Are the lanes of this line of an element's row half words? */
static bool has_halves(const struct table *t, unsigned int step)
{
	return t->kind == EXACT_TAGS || (t->kind == EXACT_HALVES && step == 0);
}

/* Lanes that look like the element's; empty ones for e = NULL. */
static uint64_t scan(const struct table *t, const struct line *line, unsigned int step, const struct element *e)
{
	if (has_halves(t, step))
		return exact_scan_half(line, e ? e->half : 0);
	return exact_scan_word(line, e ? e->hash : 0);
}

/* The value whose lane would be 0 is a flag. */
static bool is_flag(const struct table *t, const struct element *e)
{
	return (has_halves(t, 0) ? e->half : e->hash) == 0;
}

/* The lane the element has in line `step` of its row, or -1. */
static int find_lane(const struct pool *pool, const struct table *t, const struct element *e, unsigned int step)
{
	uint64_t found = scan(t, table_line(pool, t, row_line(e, step)), step, e);
	int bit = found ? __builtin_ctzll(found) : -1;

	if (found && t->kind == EXACT_TAGS) {
		const __u64 *entry = line_entry(pool, t, row_line(e, step), bit);

		if (entry[0] != e->upper || entry[1] != e->lower)
			return -1;
	}
	return bit;
}

static bool row_ends(const struct pool *pool, const struct table *t, const struct element *e, unsigned int step)
{
	return step == EXACT_PROBES || !(table_line(pool, t, row_line(e, step))->word[7] & EXACT_MORE);
}

static bool is_in(const struct pool *pool, const struct table *t, const struct element *e)
{
	if (is_flag(t, e))
		return table_line(pool, t, e->home)->word[7] & EXACT_ZERO;
	for (unsigned int step = 0;; step++) {
		if (find_lane(pool, t, e, step) >= 0)
			return true;
		if (row_ends(pool, t, e, step))
			return false;
	}
}

bool exact_matches(const struct pool *pool, const struct table *t, enum set_table which, const uint32_t *word)
{
	struct element e;

	(void)which;
	if (!t->first)
		return false;
	e = make_element(t, word);
	return is_in(pool, t, &e);
}

bool exact_has(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	return exact_matches(pool, t, which, key);
}

static void set_bits(__u64 *word, uint64_t mask, uint64_t bits)
{
	EXACT_STORE(word, (*word & ~mask) | bits);
}

/* Puts `lane` where `bit` says; 0 empties it. */
static void set_lane(const struct table *t, struct line *line, unsigned int step, unsigned int bit, uint32_t lane)
{
	bool halves = has_halves(t, step);
	unsigned int shift = bit & (halves ? 0x30 : 0x20);

	set_bits(&line->word[bit & 7], (halves ? 0xffffull : 0xffffffffull) << shift, (uint64_t)lane << shift);
}

/*
 * A reader may still compare an entry that was freed just now, so the lowest free lane would be a bad choice:
 * it begins anywhere.
 */
static unsigned int choose_lane(uint64_t empty, const struct element *e)
{
	uint64_t upper = empty & ~0ull << (e->hash >> 26);

	return __builtin_ctzll(upper ? upper : empty);
}

/* One line never has the same tag twice: readers look at one entry a line. */
static bool has_place(const struct pool *pool, const struct table *t, const struct element *e, unsigned int step)
{
	const struct line *line = table_line(pool, t, row_line(e, step));

	return scan(t, line, step, NULL) && !(t->kind == EXACT_TAGS && scan(t, line, step, e));
}

static void put(const struct pool *pool, const struct table *t, const struct element *e, unsigned int step)
{
	struct line *line = table_line(pool, t, row_line(e, step));
	unsigned int bit = choose_lane(scan(t, line, step, NULL), e);

	if (t->kind == EXACT_TAGS) {
		__u64 *entry = line_entry(pool, t, row_line(e, step), bit);

		EXACT_STORE(&entry[0], e->upper);
		EXACT_STORE(&entry[1], e->lower);
	}
	set_lane(t, line, step, bit, has_halves(t, step) ? e->half : e->hash);
}

/* The lines before line `step` of its row know of one value more, or one less. */
static void count(const struct pool *pool, const struct table *t, const struct element *e, unsigned int step, bool more)
{
	for (unsigned int i = 0; i < step; i++) {
		__u64 *word = &table_line(pool, t, row_line(e, i))->word[7];
		uint64_t now = *word & EXACT_MORE;

		if (now != EXACT_MORE && (more || now))
			set_bits(word, EXACT_MORE, more ? now + EXACT_MORE_ONE : now - EXACT_MORE_ONE);
	}
}

int exact_add(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	struct element e = make_element(t, key);
	unsigned int step = 0;

	(void)which;
	if (is_in(pool, t, &e))
		return 0;
	if (is_flag(t, &e)) {
		set_bits(&table_line(pool, t, e.home)->word[7], EXACT_ZERO, EXACT_ZERO);
		return 1;
	}
	while (!has_place(pool, t, &e, step))
		if (++step > EXACT_PROBES)
			return -ENOSPC;
	count(pool, t, &e, step, true);
	put(pool, t, &e, step);
	return 1;
}

int exact_del(const struct pool *pool, const struct table *t, enum set_table which, const void *key)
{
	struct element e = make_element(t, key);
	struct line *line = table_line(pool, t, e.home);
	int bit, done = 0;

	(void)which;
	if (is_flag(t, &e)) {
		if (!(line->word[7] & EXACT_ZERO))
			return 0;
		set_bits(&line->word[7], EXACT_ZERO, 0);
		return 1;
	}
	for (unsigned int step = 0;; step++) {
		line = table_line(pool, t, row_line(&e, step));
		while ((bit = find_lane(pool, t, &e, step)) >= 0) {
			set_lane(t, line, step, bit, 0);
			count(pool, t, &e, step, false);
			done = 1;
		}
		if (row_ends(pool, t, &e, step))
			return done;
	}
}

static int fill(const struct pool *pool, const struct table *t, enum set_table which, const void *keys, size_t n)
{
	size_t bytes = which == TABLE_QUAD ? sizeof(struct set_quad_key) : sizeof(struct set_word_key);

	const char *key = keys;

	memset(table_line(pool, t, 0), 0, t->lines * sizeof(struct line));
	for (size_t i = 0; i < n; i++, key += bytes)
		if (exact_add(pool, t, which, key) < 0)
			return -ENOSPC;
	return 0;
}

int exact_build(const struct pool *pool, struct table *t, enum set_table which, const void *keys, size_t n)
{
	t->size = region_size(t->lines, which);
	t->bits = 0;
	t->kind = which == TABLE_QUAD ? EXACT_TAGS : t->size < EXACT_HALVES_MIN ? EXACT_WORDS : EXACT_HALVES;
	if (!t->size)
		return -ENOSPC;
	for (int i = 0; i < EXACT_SEEDS; i++, t->seed = t->seed * 0x5c4d + 0x3619)
		if (fill(pool, t, which, keys, n) == 0)
			return 0;
	return -ENOSPC;
}

/* exact_hash_word(), undone. */
static uint32_t unhash_word(uint32_t hash, uint16_t seed)
{
	hash *= 0x43021123u;
	hash ^= hash >> 15 ^ hash >> 30;
	hash *= 0x1d69e2a5u;
	return hash ^ hash >> 16 ^ seed * 0x9e3779b1u;
}

/* The whole of a hash in a home line of EXACT_HALVES: the line's hashes begin at `least`, and are 65536 at most. */
static uint32_t whole_hash(const struct table *t, uint32_t line, uint32_t half)
{
	uint32_t least = (((uint64_t)line << 32) + t->size - 1) / t->size;

	return least + ((half - least) & 0xffff);
}

/* Puts the key that `bit` of the line has to keys[n], or just says n + 1. */
static size_t list_lane(const struct pool *pool, const struct table *t, uint32_t at, unsigned int bit, void *keys,
			size_t n)
{
	const struct line *line = table_line(pool, t, at);
	struct set_quad_key *quad = keys;
	struct set_word_key *word = keys;

	if (!keys)
		return n + 1;
	if (t->kind == EXACT_TAGS) {
		const __u64 *entry = line_entry(pool, t, at, bit);

		for (unsigned int i = 0; i < 4; i++)
			quad[n].word[i] = entry[i / 2] >> (i % 2 ? 0 : 32);
	} else if (has_halves(t, at >= t->size)) {
		uint32_t half = line->word[bit & 7] >> (bit & 0x30) & 0xffff;

		word[n].word = unhash_word(whole_hash(t, at, half), t->seed);
	} else {
		word[n].word = unhash_word(line->word[bit & 7] >> (bit & 0x20), t->seed);
	}
	return n + 1;
}

size_t exact_list(const struct pool *pool, const struct table *t, enum set_table which, void *keys)
{
	uint32_t tag_lines = t->size + exact_spare(t->size);
	struct set_word_key *word = keys;
	size_t n = 0;

	(void)which;
	if (!t->first)
		return 0;
	for (uint32_t at = 0; at < tag_lines; at++) {
		const struct line *line = table_line(pool, t, at);
		uint64_t lanes = has_halves(t, at >= t->size) ? EXACT_LANES_HALF : EXACT_LANES_WORD;

		for (lanes &= ~scan(t, line, at >= t->size, NULL); lanes; lanes &= lanes - 1)
			n = list_lane(pool, t, at, __builtin_ctzll(lanes), keys, n);
		if (line->word[7] & EXACT_ZERO) {
			if (keys)
				word[n].word = unhash_word(whole_hash(t, at, 0), t->seed);
			n++;
		}
	}
	return n;
}
