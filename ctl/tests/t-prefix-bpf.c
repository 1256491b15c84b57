// SPDX-License-Identifier: GPL-2.0
/* The lookups of bpf/prefix.h in the kernel give the answers of prefix_matches(). */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "tests/t-prefix.skel.h"

#include "../compile/prefix.h"
#include "random.h"

#define LINES     65536
#define QUESTIONS 16384
/* What the verifier may spend on one lookup and the loop around it. */
#define VERIFIED_MAX 8000

struct question { /* of t-prefix.bpf.c */
	uint32_t word[4];
	int32_t answer;
	uint32_t pad[3];
};

static unsigned int passed, failed;
static struct t_prefix_bpf *programs;
static struct question *questions;
static struct pool pool = { .n = LINES };

static void expect(bool good, const char *what, const char *detail)
{
	if (good) {
		passed++;
		return;
	}
	failed++;
	printf("FAIL %s: %s\n", what, detail);
}

static void *map_memory(const struct bpf_map *map, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static bool load(void)
{
	libbpf_set_print(NULL);
	programs = t_prefix_bpf__open();
	if (!programs || bpf_map__set_max_entries(programs->maps.lines, LINES) ||
	    bpf_map__set_max_entries(programs->maps.questions, QUESTIONS) || t_prefix_bpf__load(programs))
		return false;
	pool.lines = map_memory(programs->maps.lines, LINES * sizeof(struct line));
	questions = map_memory(programs->maps.questions, QUESTIONS * sizeof(struct question));
	return pool.lines && questions;
}

static void ask(const struct table *t, enum set_table which, uint32_t n)
{
	const struct bpf_program *program =
		which == TABLE_QUAD_PREFIX ? programs->progs.prefix_quads : programs->progs.prefix_words;
	char frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));

	memcpy(&programs->bss->asked, t, sizeof(*t));
	programs->bss->n_questions = n;
	expect(bpf_prog_test_run_opts(bpf_program__fd(program), &run) == 0, "the program", "does not run");
}

/* Keys have the form of a quad here; those of words are packed into what the tables take. */
struct keys {
	enum set_table which;
	struct set_quad_lpm_key *key;
	size_t n;
};

static struct set_quad_lpm_key random_key(struct random *r, enum set_table which)
{
	bool quad = which == TABLE_QUAD_PREFIX;
	struct set_quad_lpm_key key = { .prefix_len = random_chance(r, 40) ? random_below(r, quad ? 129 : 33)
						      : quad               ? random_between(r, 29, 64)
									   : random_between(r, 16, 28) };

	for (int i = 0; i < (quad ? 4 : 1); i++)
		key.word_be[i] = (uint32_t)random_next(r);
	if (quad && random_chance(r, 80))
		key.word_be[0] = htonl((ntohl(key.word_be[0]) & 0x0f1fffff) | 0x20000000);
	if (key.prefix_len < 8)
		key.prefix_len += 8; /* else nearly everything is in */
	return key;
}

static int build(struct table *t, const struct keys *k)
{
	struct set_word_lpm_key *words = malloc((k->n + 1) * sizeof(*words));
	const void *keys = k->which == TABLE_QUAD_PREFIX ? (const void *)k->key : words;
	int r;

	for (size_t i = 0; i < k->n; i++)
		words[i] = (struct set_word_lpm_key){ k->key[i].prefix_len, k->key[i].word_be[0] };
	*t = (struct table){ .first = 1, .lines = (uint32_t)prefix_lines(k->which, keys, k->n, 1000) };
	r = t->lines < LINES ? prefix_build(&pool, t, k->which, keys, k->n) : -1;
	free(words);
	return r;
}

/* Members, their neighbours and strangers. */
static void compare(const struct table *t, const struct keys *k, struct random *r, const char *what)
{
	unsigned int wrong = 0;

	for (uint32_t i = 0; i < QUESTIONS; i++) {
		const struct set_quad_lpm_key *key = k->n ? &k->key[random_below(r, k->n)] : NULL;
		struct question *q = &questions[i];

		for (uint32_t w = 0; w < (k->which == TABLE_QUAD_PREFIX ? 4 : 1); w++) {
			uint32_t length = key && key->prefix_len > 32 * w ? key->prefix_len - 32 * w : 0;
			uint32_t keep = i % 3 == 2 || length == 0 ? 0 : length >= 32 ? ~0u : ~0u << (32 - length);

			q->word[w] = (uint32_t)random_next(r) & ~keep;
			q->word[w] |= key ? ntohl(key->word_be[w]) & keep : 0;
		}
		if (i % 3 == 1 && key && key->prefix_len)
			q->word[(key->prefix_len - 1) / 32] ^= 1u << (31 - (key->prefix_len - 1) % 32);
		q->answer = -2;
	}
	ask(t, k->which, QUESTIONS);
	for (uint32_t i = 0; i < QUESTIONS; i++)
		wrong += questions[i].answer != prefix_matches(&pool, t, k->which, questions[i].word);
	expect(wrong == 0, what, "the kernel answers otherwise");
}

static void try_size(enum set_table which, size_t n)
{
	struct keys k = { which, malloc((n + 1) * sizeof(*k.key)), n };
	struct random r = { n + which };
	struct table t;
	char what[80];

	snprintf(what, sizeof(what), "%zu %s", n, which == TABLE_QUAD_PREFIX ? "quads" : "words");
	for (size_t i = 0; i < n; i++)
		k.key[i] = random_key(&r, which);
	expect(build(&t, &k) == 0, what, "cannot be built");
	compare(&t, &k, &r, what);
	for (size_t i = 0; i < n; i++)
		if (random_chance(&r, 30))
			prefix_del(&pool, &t, which, &k.key[i]);
	for (size_t i = 0; i < n; i++) {
		prefix_settle(&pool, &t);
		k.key[i] = random_key(&r, which);
		if (i < 500)
			prefix_add(&pool, &t, which, &k.key[i]);
	}
	compare(&t, &k, &r, what);
	free(k.key);
}

/* A table that leads out of the pool is a failure of its own: neither in nor out. */
static void leaves_pool(enum set_table which)
{
	struct keys none = { which, NULL, 0 };
	struct table t = { 0 };
	uint32_t *slot;

	memset(questions, 0, sizeof(*questions));
	ask(&t, which, 1);
	expect(questions[0].answer == 0, "no table", "something is in it");
	build(&t, &none);
	slot = (uint32_t *)&pool.lines[t.first + PREFIX_SLOTS / 8];
	/* A quad of zeros is outside the lead of 2000::/3, whose slots come last. */
	for (uint32_t i = 0; i < (1u << t.bits) + (1u << PREFIX_LEAD); i++)
		slot[i] = LINES * 8;
	ask(&t, which, 1);
	expect(questions[0].answer == -1, "a slot that leads out of the pool", "is no failure");
	t.first = LINES;
	ask(&t, which, 1);
	expect(questions[0].answer == -1, "a table outside the pool", "is no failure");
}

static void costs(const struct bpf_program *program, const char *what)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0) {
		printf("%s: %u verified instructions\n", what, info.verified_insns);
		expect(info.verified_insns < VERIFIED_MAX, what, "it costs the verifier too much");
	}
}

int main(void)
{
	static const size_t sizes[] = { 0, 1, 10, 100, 1000, 5000, 40000 };

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	if (!load()) {
		printf("FAIL cannot load the programs\n0 passed, 1 failed\n");
		return 1;
	}
	costs(programs->progs.prefix_words, "prefix_find_word");
	costs(programs->progs.prefix_quads, "prefix_find_quad");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		try_size(TABLE_WORD_PREFIX, sizes[i]);
		try_size(TABLE_QUAD_PREFIX, sizes[i]);
	}
	leaves_pool(TABLE_WORD_PREFIX);
	leaves_pool(TABLE_QUAD_PREFIX);
	t_prefix_bpf__destroy(programs);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
