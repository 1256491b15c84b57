// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of exact values against a sorted array: built from any keys, edited, listed, and stopped between any two stores.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void store(uint64_t *at, uint64_t value);

#define EXACT_STORE(at, value) store((uint64_t *)(at), value)
#include "../compile/exact.c"
#include "check.h"
#include "random.h"

/* A writer that is killed: `fuse` more stores, then out. */
static unsigned int fuse = -1u;
static jmp_buf killed;

static void store(uint64_t *at, uint64_t value)
{
	if (!fuse)
		longjmp(killed, 1);
	fuse--;
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* A key of either kind; words use word[0] only. */
struct key {
	uint32_t word[4];
};

static size_t key_bytes(enum set_table which)
{
	return which == TABLE_QUAD ? sizeof(struct set_quad_key) : sizeof(struct set_word_key);
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	for (unsigned int i = 0; i < 4; i++)
		if (x->word[i] != y->word[i])
			return x->word[i] < y->word[i] ? -1 : 1;
	return 0;
}

/* A table in a pool of its own, and what should be in it, sorted. */
struct world {
	enum set_table which;
	struct pool pool;
	struct table table;
	struct key *keys;
	size_t n, capacity;
};

#define GUARD  3 /* lines before and behind the region that nobody may touch */
#define CANARY 0xa5

static void *need(void *memory)
{
	if (!memory) {
		printf("out of memory\n");
		exit(1);
	}
	return memory;
}

static void world_open(struct world *w, enum set_table which, size_t lines)
{
	*w = (struct world){ .which = which, .pool.n = lines + 2 * GUARD };
	w->pool.lines = need(malloc(w->pool.n * sizeof(struct line)));
	memset(w->pool.lines, CANARY, w->pool.n * sizeof(struct line));
	w->table = (struct table){ .first = GUARD, .lines = lines, .seed = 1 };
}

static void world_close(struct world *w)
{
	free(w->pool.lines);
	free(w->keys);
}

static bool guards_whole(const struct world *w)
{
	const unsigned char *before = (const unsigned char *)w->pool.lines;
	const unsigned char *behind = (const unsigned char *)(w->pool.lines + GUARD + w->table.lines);

	for (size_t i = 0; i < GUARD * sizeof(struct line); i++)
		if (before[i] != CANARY || behind[i] != CANARY)
			return false;
	return true;
}

/* Sorts the keys and drops what is there twice. */
static size_t unique(struct key *keys, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare_keys(&keys[kept - 1], &keys[i]))
			keys[kept++] = keys[i];
	return kept;
}

static bool expected(const struct world *w, const struct key *key)
{
	return w->n && bsearch(key, w->keys, w->n, sizeof(*key), compare_keys);
}

/* Keys as the builder takes them, one behind the other. */
static void *pack(enum set_table which, const struct key *keys, size_t n)
{
	char *packed = need(calloc(n + 1, key_bytes(which)));

	for (size_t i = 0; i < n; i++)
		memcpy(packed + i * key_bytes(which), keys[i].word, key_bytes(which));
	return packed;
}

static int world_build(struct world *w, const struct key *keys, size_t n)
{
	void *packed = pack(w->which, keys, n);
	int r = exact_build(&w->pool, &w->table, w->which, packed, n);

	free(packed);
	w->keys = need(realloc(w->keys, (n + 1) * sizeof(*keys)));
	if (n)
		memcpy(w->keys, keys, n * sizeof(*keys));
	w->n = unique(w->keys, n);
	return r;
}

static bool found(const struct world *w, const struct key *key)
{
	return exact_matches(&w->pool, &w->table, w->which, key->word);
}

static bool all_found(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!found(w, &w->keys[i]))
			return false;
	return true;
}

/* Values one bit away from elements, and random ones. */
static bool strangers_agree(const struct world *w, struct random *r)
{
	for (unsigned int i = 0; i < 20000; i++) {
		struct key key = { { 0 } };

		for (size_t word = 0; word < key_bytes(w->which) / 4; word++)
			key.word[word] = random_next(r);
		if (i % 2 && w->n) {
			key = w->keys[random_below(r, w->n)];
			key.word[random_below(r, key_bytes(w->which) / 4)] ^= 1u << random_below(r, 32);
		}
		if (found(w, &key) != expected(w, &key) ||
		    exact_has(&w->pool, &w->table, w->which, key.word) != expected(w, &key))
			return false;
	}
	return true;
}

static bool list_agrees(const struct world *w)
{
	size_t n = exact_list(&w->pool, &w->table, w->which, NULL);
	char *packed = need(calloc(n + 1, key_bytes(w->which)));
	struct key *keys = need(calloc(n + 1, sizeof(*keys)));
	bool good = n == w->n && exact_list(&w->pool, &w->table, w->which, packed) == n;

	for (size_t i = 0; good && i < n; i++)
		memcpy(keys[i].word, packed + i * key_bytes(w->which), key_bytes(w->which));
	if (good && n)
		qsort(keys, n, sizeof(*keys), compare_keys);
	good = good && (!n || !memcmp(keys, w->keys, n * sizeof(*keys)));
	free(packed);
	free(keys);
	return good;
}

static void check_world(const struct world *w, struct random *r, const char *what, const char *when)
{
	check(all_found(w), "%s, %s: an element is not found", what, when);
	check(strangers_agree(w, r), "%s, %s: a stranger is found, or an element is not", what, when);
	check(list_agrees(w), "%s, %s: the list differs", what, when);
	check(guards_whole(w), "%s, %s: a line outside the region was written", what, when);
}

/* Shapes of sets: element i. */
static struct key shape_random(uint32_t i, struct random *r)
{
	(void)i;
	return (struct key){ { random_next(r), random_next(r), random_next(r), random_next(r) } };
}

static struct key shape_sequence(uint32_t i, struct random *r)
{
	(void)r;
	return (struct key){ { 0x0a000000 + i, 0, 0, i } };
}

static struct key shape_strides(uint32_t i, struct random *r)
{
	(void)r;
	return (struct key){ { i << 16 | i >> 16, 0, i, 0 } };
}

/* A /16 or a /64 of which each second address is there. */
static struct key shape_dense(uint32_t i, struct random *r)
{
	(void)r;
	return (struct key){ { 0xc0a80000 + 2 * i, 0x20010db8, 0, 2 * i } };
}

static struct key shape_mac(uint32_t i, struct random *r)
{
	(void)r;
	return (struct key){ { 0x00163e00 + (i >> 16), i << 16, 0, 0 } };
}

static struct key shape_ends(uint32_t i, struct random *r)
{
	struct key key = { { 0 } };

	(void)r;
	memset(key.word, i % 2 ? 0xff : 0, sizeof(key.word));
	return key;
}

static const struct row {
	const char *what;
	enum set_table which;
	size_t n, room;
	struct key (*shape)(uint32_t i, struct random *r);
} rows[] = {
	{ "no words", TABLE_WORD, 0, 0, shape_random },
	{ "one word", TABLE_WORD, 1, 0, shape_random },
	{ "two words, 0 and all ones", TABLE_WORD, 2, 0, shape_ends },
	{ "15 words", TABLE_WORD, 15, 0, shape_random },
	{ "16 words", TABLE_WORD, 16, 0, shape_random },
	{ "1000 words", TABLE_WORD, 1000, 0, shape_random },
	{ "1000 words in sequence", TABLE_WORD, 1000, 0, shape_sequence },
	{ "65536 words, strides of 65536", TABLE_WORD, 65536, 0, shape_strides },
	{ "32768 words of a /16", TABLE_WORD, 32768, 0, shape_dense },
	{ "100000 words", TABLE_WORD, 100000, 0, shape_random },
	{ "0 and all ones in half lanes", TABLE_WORD, 2, 700000, shape_ends },
	{ "100000 words in sequence, in half lanes", TABLE_WORD, 100000, 700000, shape_sequence },
	{ "100000 words, strides, in half lanes", TABLE_WORD, 100000, 1700000, shape_strides },
	{ "1000000 words", TABLE_WORD, 1000000, 0, shape_random },
	{ "no quads", TABLE_QUAD, 0, 0, shape_random },
	{ "one quad", TABLE_QUAD, 1, 0, shape_random },
	{ "two quads, 0 and all ones", TABLE_QUAD, 2, 0, shape_ends },
	{ "15 quads", TABLE_QUAD, 15, 0, shape_random },
	{ "16 quads", TABLE_QUAD, 16, 0, shape_random },
	{ "1000 quads", TABLE_QUAD, 1000, 0, shape_random },
	{ "1000 quads of a /64", TABLE_QUAD, 1000, 0, shape_dense },
	{ "1000 MACs", TABLE_QUAD, 1000, 0, shape_mac },
	{ "100000 quads", TABLE_QUAD, 100000, 0, shape_random },
	{ "100000 quads, strides", TABLE_QUAD, 100000, 0, shape_strides },
	{ "1000000 quads in sequence", TABLE_QUAD, 1000000, 0, shape_sequence },
};

static struct key *make_keys(const struct row *row, size_t n, struct random *r)
{
	struct key *keys = need(calloc(n + 1, sizeof(*keys)));

	for (size_t i = 0; i < n; i++) {
		keys[i] = row->shape(i, r);
		if (row->which == TABLE_WORD)
			keys[i].word[1] = keys[i].word[2] = keys[i].word[3] = 0;
	}
	return keys;
}

static void shuffle(struct key *keys, size_t n, struct random *r)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = random_below(r, i);
		struct key key = keys[j];

		keys[j] = keys[i - 1];
		keys[i - 1] = key;
	}
}

/* Each tenth key is there twice. */
static struct key *with_doubles(const struct key *keys, size_t n, size_t *ret_n, struct random *r)
{
	struct key *doubled = need(calloc(n + n / 10 + 1, sizeof(*keys)));

	for (size_t i = 0; i < n; i++)
		doubled[i] = keys[i];
	for (size_t i = 0; i < n / 10; i++)
		doubled[n + i] = keys[random_below(r, n)];
	*ret_n = n + n / 10;
	shuffle(doubled, *ret_n, r);
	return doubled;
}

/* Adds keys[from] to keys[to - 1]; false where one that was not there is refused, or a second time is not noticed. */
static bool add_all(struct world *w, const struct key *keys, size_t from, size_t to)
{
	w->keys = need(realloc(w->keys, (w->n + to - from + 1) * sizeof(*keys)));
	for (size_t i = from; i < to; i++) {
		bool had = exact_has(&w->pool, &w->table, w->which, keys[i].word);

		if (exact_add(&w->pool, &w->table, w->which, keys[i].word) != !had ||
		    exact_add(&w->pool, &w->table, w->which, keys[i].word) != 0)
			return false;
		w->keys[w->n + i - from] = keys[i];
	}
	w->n = unique(w->keys, w->n + to - from);
	return true;
}

/* Deletes each second element. */
static bool delete_half(struct world *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (i % 2) {
			w->keys[kept++] = w->keys[i];
			continue;
		}
		if (exact_del(&w->pool, &w->table, w->which, w->keys[i].word) != 1 ||
		    exact_del(&w->pool, &w->table, w->which, w->keys[i].word) != 0)
			return false;
	}
	w->n = kept;
	return true;
}

/* Deletes what is left: no lane, no flag and no count stays. */
static bool delete_all(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (exact_del(&w->pool, &w->table, w->which, w->keys[i].word) != 1)
			return false;
	w->n = 0;
	for (size_t at = 0; at < w->table.size + exact_spare(w->table.size); at++)
		for (unsigned int i = 0; i < 8; i++)
			if (w->pool.lines[w->table.first + at].word[i])
				return false;
	return true;
}

/* Built from doubled keys, filled up to the room that exact_lines() promises, halved, filled again. */
static void try_row(const struct row *row, struct random *r)
{
	size_t room = row->n + row->n / 8, n;
	struct key *keys = make_keys(row, room, r), *doubled = with_doubles(keys, row->n, &n, r);
	struct table before;
	struct world w;

	world_open(&w, row->which, exact_lines(row->which, doubled, row->n, row->room));
	check(world_build(&w, doubled, n) == 0, "%s: does not fit", row->what);
	check_world(&w, r, row->what, "built");
	before = w.table;
	check(add_all(&w, keys, row->n, room), "%s: adding", row->what);
	check_world(&w, r, row->what, "filled");
	check(delete_half(&w), "%s: deleting", row->what);
	check_world(&w, r, row->what, "halved");
	check(add_all(&w, keys, 0, room), "%s: adding again", row->what);
	check_world(&w, r, row->what, "filled again");
	check(delete_all(&w), "%s: deleting all", row->what);
	check_world(&w, r, row->what, "emptied");
	check(!memcmp(&before, &w.table, sizeof(before)), "%s: an edit changed the table", row->what);
	world_close(&w);
	free(doubled);
	free(keys);
}

/* What a set costs, in lines of 64 bytes. */
static void try_lines(void)
{
	static const struct {
		enum set_table which;
		size_t n, room, most;
	} costs[] = {
		{ TABLE_WORD, 0, 0, 4 },          { TABLE_WORD, 0, 4096, 512 },       { TABLE_WORD, 1000, 0, 128 },
		{ TABLE_WORD, 100000, 0, 12000 }, { TABLE_WORD, 1000000, 0, 70312 },  { TABLE_QUAD, 0, 0, 36 },
		{ TABLE_QUAD, 1000, 0, 512 },     { TABLE_QUAD, 1000000, 0, 453125 },
	};

	for (size_t i = 0; i < sizeof(costs) / sizeof(*costs); i++) {
		size_t lines = exact_lines(costs[i].which, NULL, costs[i].n, costs[i].room);

		check(lines <= costs[i].most, "%zu keys, room for %zu: %zu lines", costs[i].n, costs[i].room, lines);
	}
	/* All of a region is used, and no more. */
	for (size_t lines = 0; lines < 5000; lines++)
		for (int which = TABLE_WORD; which <= TABLE_QUAD; which += TABLE_QUAD - TABLE_WORD) {
			uint32_t size = region_size(lines, which);

			if ((size && region_lines(size, which) > lines) || region_lines(size + 1, which) <= lines) {
				check(false, "region of %zu lines: size %u", lines, size);
				return;
			}
		}
	check(true, "regions");
}

/* Room for keys that come one by one. */
static void try_room(const struct row *row, struct random *r)
{
	static const size_t rooms[] = { 1, 10, 31, 100, 4096, 50000 };

	for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++) {
		struct key *keys = make_keys(row, rooms[i], r);
		struct world w;

		world_open(&w, row->which, exact_lines(row->which, NULL, 0, rooms[i]));
		check(world_build(&w, NULL, 0) == 0, "nothing with room for %zu", rooms[i]);
		check(add_all(&w, keys, 0, rooms[i]), "room for %zu: %s", rooms[i], row->what);
		check_world(&w, r, row->what, "in their room");
		world_close(&w);
		free(keys);
	}
}

/* `n` keys that all have home line 0 under the first seed. */
static struct key *colliding_keys(const struct world *w, size_t n, struct random *r)
{
	struct key *keys = need(calloc(n, sizeof(*keys)));
	struct table t = w->table;

	t.size = region_size(t.lines, w->which);
	for (size_t i = 0; i < n; i++)
		if (w->which == TABLE_WORD)
			keys[i].word[0] = unhash_word(i, t.seed);
		else
			do {
				keys[i] = shape_random(i, r);
			} while (exact_pick(exact_hash_quad(keys[i].word, t.seed) >> 32, t.size));
	return keys;
}

static void try_adversary(const char *what, enum set_table which, size_t n, size_t room, struct random *r)
{
	struct key *keys;
	struct world w;

	world_open(&w, which, exact_lines(which, NULL, n, room));
	keys = colliding_keys(&w, n, r);
	check(world_build(&w, keys, n) == 0, "%s: does not fit", what);
	check(w.table.seed != 1, "%s: not an adversary", what);
	check_world(&w, r, what, "built");
	world_close(&w);
	free(keys);
}

static void try_too_small(enum set_table which, struct random *r)
{
	struct key *keys = make_keys(&(struct row){ .which = which, .shape = shape_random }, 1000, r);
	struct world w;

	for (size_t lines = 0; lines < 100; lines++) {
		int got;

		world_open(&w, which, which == TABLE_QUAD ? 3 * lines : lines / 2);
		got = world_build(&w, keys, 1000);
		check(got == -ENOSPC && guards_whole(&w), "1000 keys in %u lines: %d", w.table.lines, got);
		world_close(&w);
	}
	free(keys);
}

/* Keys come and go for long, then only come, until there is no place. */
static void try_churn(enum set_table which, size_t room, struct random *r)
{
	size_t many = 4 * room, most = 0;
	struct key *keys = make_keys(&(struct row){ .which = which, .shape = shape_random }, many, r);
	bool *in = need(calloc(many, sizeof(*in))), good = true;
	struct world w;

	world_open(&w, which, exact_lines(which, NULL, 0, room));
	world_build(&w, NULL, 0);
	many = unique(keys, many);
	for (size_t i = 0; i < 50 * room && good; i++) {
		size_t k = random_below(r, many);

		if (in[k] || most < room) {
			const void *key = keys[k].word;
			int got = in[k] ? exact_del(&w.pool, &w.table, which, key)
					: exact_add(&w.pool, &w.table, which, key);

			good = got == 1;
			most += in[k] ? -1 : 1;
			in[k] = !in[k];
		}
	}
	check(good, "churn of %zu: an edit failed", room);
	for (size_t i = 0; i < many; i++)
		if (!in[i] && exact_add(&w.pool, &w.table, which, keys[i].word) == 1)
			in[i] = true;
	w.keys = need(realloc(w.keys, many * sizeof(*keys)));
	for (size_t i = 0; i < many; i++)
		if (in[i])
			w.keys[w.n++] = keys[i];
	check(w.n > room && w.n < many, "churn of %zu: full with %zu of %zu", room, w.n, many);
	check_world(&w, r, "churn", "full");
	check(delete_half(&w), "churn: deleting from a full table");
	check_world(&w, r, "churn", "halved");
	check(delete_all(&w), "churn: deleting all");
	world_close(&w);
	free(in);
	free(keys);
}

/* One edit, killed before store number `after`. False where it came to its end. */
static bool edit_killed(const struct world *w, const struct key *key, bool add, unsigned int after)
{
	if (setjmp(killed)) {
		fuse = -1u;
		return true;
	}
	fuse = after;
	if (add)
		exact_add(&w->pool, &w->table, w->which, key->word);
	else
		exact_del(&w->pool, &w->table, w->which, key->word);
	fuse = -1u;
	return false;
}

/* All but keys[but] are as in[] says; that one is, too, where `also` says so. */
static bool others_agree(const struct world *w, const struct key *keys, const bool *in, size_t n, size_t but, bool also)
{
	for (size_t i = 0; i < n; i++)
		if ((i != but || also) && found(w, &keys[i]) != in[i])
			return false;
	return true;
}

/*
 * Edits of a table so full that rows of spare lines are used, each killed at each of its stores: all other elements are as
 * they were, and the next writer can do the same edit, its opposite, and any other.
 */
static void try_kills(enum set_table which, struct random *r)
{
	enum { KEYS = 160, EDITS = 2000 };
	struct key *keys = make_keys(&(struct row){ .which = which, .shape = shape_random }, KEYS, r);
	struct line *saved;
	unsigned int kills = 0;
	bool in[KEYS] = { 0 }, good = true;
	struct world w;

	world_open(&w, which, exact_lines(which, NULL, 0, 75));
	world_build(&w, NULL, 0);
	saved = need(malloc(w.pool.n * sizeof(struct line)));
	for (unsigned int i = 0; i < EDITS && good; i++) {
		size_t k = random_below(r, KEYS);
		bool add = !in[k];

		for (unsigned int after = 0;; after++) {
			memcpy(saved, w.pool.lines, w.pool.n * sizeof(struct line));
			if (!edit_killed(&w, &keys[k], add, after))
				break;
			kills++;
			good = good && others_agree(&w, keys, in, KEYS, k, false);
			edit_killed(&w, &keys[k], !add, -1u);
			good = good && others_agree(&w, keys, in, KEYS, k, true);
			if (i % 2) /* else go on with what the kill left */
				memcpy(w.pool.lines, saved, w.pool.n * sizeof(struct line));
		}
		in[k] = found(&w, &keys[k]); /* a full table refuses */
		good = good && (add || !in[k]) && others_agree(&w, keys, in, KEYS, k, false);
	}
	check(good, "killed edits: an element is gone, or came");
	check(kills > EDITS, "killed edits: only %u", kills);
	free(w.keys);
	w.keys = keys;
	for (size_t i = 0; i < KEYS; i++)
		if (in[i])
			keys[w.n++] = keys[i];
	w.n = unique(keys, w.n);
	check_world(&w, r, "killed edits", "in the end");
	free(saved);
	world_close(&w);
}

/* Hashes are values in another order, and half of one is enough in its home line. */
static void try_hash(struct random *r)
{
	static const uint32_t sizes[] = { 65536, 65537, 100003, 131072, 1u << 20, 12345678 };
	bool inverse = true, whole = true;

	for (unsigned int i = 0; i < 100000; i++) {
		uint32_t word = i < 2 ? -i : random_next(r), hash = exact_hash_word(word, i);
		struct table t = { .size = sizes[i % 6], .kind = EXACT_HALVES };

		inverse = inverse && unhash_word(hash, i) == word;
		whole = whole && whole_hash(&t, exact_pick(hash, t.size), hash & 0xffff) == hash;
	}
	check(inverse, "a hash is not turned back into its word");
	check(whole, "half a hash and its line do not make the whole");
}

static void try_no_table(void)
{
	static struct line lines[8];
	static const struct table none;
	struct pool pool = { lines, 8 };
	struct key key = { { 0 } };

	check(!exact_matches(&pool, &none, TABLE_WORD, key.word) && !exact_has(&pool, &none, TABLE_QUAD, key.word),
	      "something is in no table");
	check(!exact_list(&pool, &none, TABLE_WORD, NULL), "no table has a list");
}

int main(void)
{
	struct random r = { .state = 20240607 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		try_row(&rows[i], &r);
		if (rows[i].n == 1000)
			try_room(&rows[i], &r);
	}
	try_lines();
	try_hash(&r);
	try_no_table();
	try_adversary("200 words of one line", TABLE_WORD, 200, 0, &r);
	try_adversary("65536 words of one line of a large table", TABLE_WORD, 65536, 1000000, &r);
	try_adversary("1000 quads of one line", TABLE_QUAD, 1000, 0, &r);
	try_too_small(TABLE_WORD, &r);
	try_too_small(TABLE_QUAD, &r);
	try_churn(TABLE_WORD, 30, &r);
	try_churn(TABLE_WORD, 5000, &r);
	try_churn(TABLE_QUAD, 5000, &r);
	try_kills(TABLE_WORD, &r);
	try_kills(TABLE_QUAD, &r);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
