// SPDX-License-Identifier: GPL-2.0
/* What packets find in tables of exact values is what the command says: exact.bpf.c over keys in a map, on this kernel. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../compile/exact.h"
#include "check.h"
#include "random.h"
#include "tests/exact.skel.h"

#define KEYS_MAX 65536 /* looked up in one run */

/* The programs with a table of their own in their pool. */
struct world {
	struct exact_bpf *bpf;
	enum set_table which;
	struct pool pool;
	struct set_quad_key *keys; /* of the map: what to look up */
	int64_t *found;
};

static void *map_memory(const struct bpf_map *map)
{
	void *memory = mmap(NULL, (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map), PROT_READ | PROT_WRITE,
			    MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED) {
		printf("mmap %s: %s\n", bpf_map__name(map), strerror(errno));
		exit(1);
	}
	return memory;
}

static void world_open(struct world *w, enum set_table which, size_t lines)
{
	*w = (struct world){ .bpf = exact_bpf__open(), .which = which };
	if (!w->bpf)
		exit(1);
	bpf_map__set_max_entries(w->bpf->maps.lines, lines + 1);
	bpf_map__set_max_entries(w->bpf->maps.keys, KEYS_MAX);
	bpf_map__set_max_entries(w->bpf->maps.found, KEYS_MAX);
	if (exact_bpf__load(w->bpf)) {
		printf("FAIL the kernel refuses the programs\n0 passed, 1 failed\n");
		exit(1);
	}
	w->pool = (struct pool){ map_memory(w->bpf->maps.lines), lines + 1 };
	w->keys = map_memory(w->bpf->maps.keys);
	w->found = map_memory(w->bpf->maps.found);
	w->bpf->bss->table = (struct table){ .first = 1, .lines = lines };
}

static void world_close(struct world *w)
{
	munmap(w->pool.lines, w->pool.n * sizeof(struct line));
	munmap(w->keys, KEYS_MAX * sizeof(*w->keys));
	munmap(w->found, KEYS_MAX * sizeof(*w->found));
	exact_bpf__destroy(w->bpf);
}

/* found[i] for keys[i], for the first n. */
static bool look_up(struct world *w, size_t n)
{
	struct bpf_program *program = w->which == TABLE_QUAD ? w->bpf->progs.find_quad : w->bpf->progs.find_word;
	unsigned char frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	memset(w->found, 0x55, n * sizeof(*w->found));
	w->bpf->bss->n_keys = n;
	return bpf_prog_test_run_opts(bpf_program__fd(program), &opts) == 0;
}

/* Do the programs and the command agree about keys[]? Says how many are in. */
static size_t compare(struct world *w, size_t n, const char *what)
{
	size_t different = 0, in = 0;

	if (!look_up(w, n)) {
		check(false, "%s: cannot run: %s", what, strerror(errno));
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct table *t = &w->bpf->bss->table;

		different += w->found[i] != exact_matches(&w->pool, t, w->which, w->keys[i].word);
		in += w->found[i] == 1;
	}
	check(!different, "%s: %zu of %zu different", what, different, n);
	return in;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Looks up elements, words one bit from them, random words. Elements begin at list + i * bytes. */
static void compare_all(struct world *w, const char *list, size_t n, struct random *r, const char *what)
{
	size_t bytes = w->which == TABLE_QUAD ? sizeof(struct set_quad_key) : sizeof(struct set_word_key);

	for (size_t at = 0; at < n; at += KEYS_MAX) {
		size_t part = smaller(n - at, KEYS_MAX);

		for (size_t i = 0; i < part; i++)
			memcpy(w->keys[i].word, list + (at + i) * bytes, bytes);
		check(compare(w, part, what) == part, "%s: an element is not found", what);
		for (size_t i = 0; i < part; i++)
			w->keys[i].word[random_below(r, bytes / 4)] ^= 1u << random_below(r, 32);
		compare(w, part, what);
	}
	for (size_t i = 0; i < KEYS_MAX; i++)
		for (size_t word = 0; word < 4; word++)
			w->keys[i].word[word] = i == 0 ? 0 : i == 1 ? -1u : random_next(r);
	check(compare(w, KEYS_MAX, what) < KEYS_MAX, "%s: all are found", what);
}

static const struct row {
	const char *what;
	enum set_table which;
	size_t n, room;
} rows[] = {
	{ "no words", TABLE_WORD, 0, 0 },
	{ "a word", TABLE_WORD, 1, 0 },
	{ "1000 words", TABLE_WORD, 1000, 0 },
	{ "100000 words", TABLE_WORD, 100000, 0 },
	{ "100000 words in half lanes", TABLE_WORD, 100000, 700000 },
	{ "1000000 words", TABLE_WORD, 1000000, 0 },
	{ "no quads", TABLE_QUAD, 0, 0 },
	{ "a quad", TABLE_QUAD, 1, 0 },
	{ "1000 quads", TABLE_QUAD, 1000, 0 },
	{ "300000 quads", TABLE_QUAD, 300000, 0 },
};

/* As built, then filled until there is no place, so that rows of spare lines are walked to their ends. */
static void try_row(const struct row *row, struct random *r)
{
	size_t bytes = row->which == TABLE_QUAD ? sizeof(struct set_quad_key) : sizeof(struct set_word_key);
	size_t n;
	uint32_t *list = calloc(row->n + 1, bytes), key[4] = { 0 };
	struct world w;

	if (!list)
		exit(1);
	world_open(&w, row->which, exact_lines(row->which, NULL, row->n, row->room));
	for (size_t i = 0; i < row->n * bytes / 4; i++)
		list[i] = i < bytes / 4 ? 0 : random_next(r);
	check(exact_build(&w.pool, &w.bpf->bss->table, row->which, list, row->n) == 0, "%s: build", row->what);
	compare_all(&w, (const char *)list, row->n, r, row->what);
	do {
		for (size_t word = 0; word < bytes / 4; word++)
			key[word] = random_next(r);
	} while (row->n < 200000 && exact_add(&w.pool, &w.bpf->bss->table, row->which, key) >= 0);
	n = exact_list(&w.pool, &w.bpf->bss->table, row->which, NULL);
	free(list);
	list = calloc(n + 1, bytes);
	if (!list)
		exit(1);
	exact_list(&w.pool, &w.bpf->bss->table, row->which, list);
	compare_all(&w, (const char *)list, n, r, row->what);
	free(list);
	world_close(&w);
}

/* A line outside the pool: nobody may say that something is not in. */
static void try_outside(enum set_table which)
{
	struct world w;
	size_t wrong = 0;

	world_open(&w, which, 8);
	w.bpf->bss->table = (struct table){ .first = 9, .lines = 8, .size = 4, .kind = EXACT_WORDS };
	check(look_up(&w, 100), "outside: cannot run");
	for (size_t i = 0; i < 100; i++)
		wrong += w.found[i] != -1;
	check(!wrong, "outside the pool, an answer is not -1");
	w.bpf->bss->table = (struct table){ 0 };
	check(look_up(&w, 100), "no table: cannot run");
	for (size_t i = 0; i < 100; i++)
		wrong += w.found[i] != 0;
	check(!wrong, "no table, an answer is not 0");
	world_close(&w);
}

/* Adds and deletes other keys until it is told to stop; the pool is shared. */
static _Noreturn void edit(const struct world *w, const struct table *t)
{
	struct random r = { .state = 1 };
	uint32_t key[64][4] = { 0 };

	for (size_t i = 0;; i = (i + 1) % 64) {
		exact_del(&w->pool, t, w->which, key[i]);
		for (size_t word = 0; word < 4; word++)
			key[i][word] = random_next(&r) | 0x80000000;
		exact_add(&w->pool, t, w->which, key[i]);
	}
}

/* Elements that nobody touches are found at all times, while others come and go in the same lines. */
static void try_edits(enum set_table which, struct random *r)
{
	enum { KEYS = 500, RUNS = 300 };
	size_t bytes = which == TABLE_QUAD ? sizeof(struct set_quad_key) : sizeof(struct set_word_key), missed = 0;
	uint32_t list[KEYS * 4];
	struct table t;
	struct world w;
	pid_t editor;

	world_open(&w, which, exact_lines(which, NULL, 0, KEYS)); /* so full that spare lines are used, too */
	for (size_t i = 0; i < KEYS * 4; i++)
		list[i] = random_next(r) & 0x7fffffff;
	check(exact_build(&w.pool, &w.bpf->bss->table, which, list, KEYS) == 0, "edits: build");
	for (size_t i = 0; i < KEYS; i++)
		memcpy(w.keys[i].word, (char *)list + i * bytes, bytes);
	t = w.bpf->bss->table;
	editor = fork();
	if (editor == 0)
		edit(&w, &t);
	for (unsigned int run = 0; run < RUNS; run++) {
		check(look_up(&w, KEYS), "edits: cannot run");
		for (size_t i = 0; i < KEYS; i++)
			missed += w.found[i] != 1;
	}
	check(editor > 0 && kill(editor, SIGKILL) == 0 && waitpid(editor, NULL, 0) == editor, "edits: no editor");
	check(!missed, "edits: %zu times, an element was not found", missed);
	check(compare(&w, KEYS, "behind a killed editor") == KEYS, "edits: an element is gone");
	world_close(&w);
}

int main(void)
{
	struct random r = { .state = 20240608 };

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		try_row(&rows[i], &r);
	try_edits(TABLE_WORD, &r);
	try_edits(TABLE_QUAD, &r);
	try_outside(TABLE_WORD);
	try_outside(TABLE_QUAD);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
