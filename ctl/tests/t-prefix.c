// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of prefixes against a list of what should be in them: built, edited, and with the writer killed behind any store.
 *
 * The sources are included, so that each store of a writer comes by here.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stored(void);
#define PREFIX_STORED() stored()
#include "../compile/prefix.c"
#include "../compile/prefix_alloc.c"
#include "../compile/prefix_build.c"
#include "../compile/prefix_edit.c"
#include "../compile/prefix_region.c"
#include "../compile/prefix_sort.c"
#include "random.h"

static unsigned int passed, failed;

static bool expect(bool good, const char *what, const char *detail)
{
	if (good) {
		passed++;
	} else {
		failed++;
		printf("FAIL %s: %s\n", what, detail);
	}
	return good;
}

/* ---- What should be in a table: a hash of its keys. A key is a set_quad_lpm_key for both families. ---- */

struct truth {
	enum set_table which;
	struct set_quad_lpm_key *key; /* prefix_len NONE: empty; GONE: was there */
	size_t slots, n;
	bool length[129]; /* there was a key of this length */
};

#define NONE 0xffffffffu
#define GONE 0xfffffffeu

static struct set_quad_lpm_key masked(enum set_table which, uint32_t length, const uint32_t *word)
{
	struct set_quad_lpm_key key = { .prefix_len = length };

	for (uint32_t i = 0; i < (which == TABLE_QUAD_PREFIX ? 4 : 1); i++)
		if (length > 32 * i)
			key.word_be[i] =
				htonl(length >= 32 * (i + 1) ? word[i] : word[i] & ~0u << (32 * (i + 1) - length));
	return key;
}

static void truth_open(struct truth *t, enum set_table which, size_t most)
{
	*t = (struct truth){ .which = which, .slots = 16 };
	while (t->slots < 2 * most + 16)
		t->slots *= 2;
	t->key = malloc(t->slots * sizeof(*t->key));
	for (size_t i = 0; i < t->slots; i++)
		t->key[i].prefix_len = NONE;
}

static struct set_quad_lpm_key *truth_find(const struct truth *t, const struct set_quad_lpm_key *key)
{
	uint64_t hash = key->prefix_len;

	for (int i = 0; i < 4; i++)
		hash = (hash ^ key->word_be[i]) * 0x9e3779b97f4a7c15u;
	for (size_t i = hash >> 20;; i++) {
		struct set_quad_lpm_key *at = &t->key[i & (t->slots - 1)];

		if (at->prefix_len == NONE || memcmp(at, key, sizeof(*key)) == 0)
			return at;
	}
}

static bool truth_has(const struct truth *t, const struct set_quad_lpm_key *key)
{
	return truth_find(t, key)->prefix_len == key->prefix_len;
}

static bool truth_add(struct truth *t, const struct set_quad_lpm_key *key)
{
	struct set_quad_lpm_key *at = truth_find(t, key);

	if (at->prefix_len != NONE)
		return false;
	*at = *key;
	t->n++;
	t->length[key->prefix_len] = true;
	return true;
}

static bool truth_del(struct truth *t, const struct set_quad_lpm_key *key)
{
	struct set_quad_lpm_key *at = truth_find(t, key);

	if (at->prefix_len == NONE)
		return false;
	at->prefix_len = GONE;
	t->n--;
	return true;
}

static bool truth_matches(const struct truth *t, const uint32_t *word)
{
	for (uint32_t length = 0; length <= 128; length++) {
		struct set_quad_lpm_key key;

		if (!t->length[length])
			continue;
		key = masked(t->which, length, word);
		if (truth_has(t, &key))
			return true;
	}
	return false;
}

/* As the table takes them; free() it. */
static void *truth_keys(const struct truth *t)
{
	size_t size = prefix_key_size(t->which), n = 0;
	char *keys = malloc((t->n + 1) * size);

	for (size_t i = 0; i < t->slots; i++)
		if (t->key[i].prefix_len < GONE)
			memcpy(keys + n++ * size, &t->key[i], size);
	return keys;
}

/* ---- A table with its pool ---- */

struct trial {
	struct pool pool;
	struct table table;
	struct truth truth;
};

static bool trial_build(struct trial *t, size_t room)
{
	void *keys = truth_keys(&t->truth);
	size_t lines = prefix_lines(t->truth.which, keys, t->truth.n, room);
	int r;

	free(t->pool.lines);
	t->pool.n = (uint32_t)lines + 3;
	t->pool.lines = malloc(t->pool.n * sizeof(struct line));
	memset(t->pool.lines, 0xa5, t->pool.n * sizeof(struct line));
	t->table = (struct table){ .first = 2, .lines = (uint32_t)lines };
	r = prefix_build(&t->pool, &t->table, t->truth.which, keys, t->truth.n);
	free(keys);
	return r == 0;
}

static void trial_close(struct trial *t)
{
	free(t->pool.lines);
	free(t->truth.key);
}

static void words_in(struct random *r, const struct set_quad_lpm_key *key, uint32_t *word)
{
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t free_bits = key->prefix_len <= 32 * i         ? ~0u
				     : key->prefix_len >= 32 * (i + 1) ? 0
								       : ~0u >> (key->prefix_len - 32 * i);

		word[i] = ntohl(key->word_be[i]) | ((uint32_t)random_next(r) & free_bits);
	}
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct set_word_lpm_key));
}

static int compare_quad_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct set_quad_lpm_key));
}

/* Does the table list just what it should? */
static bool lists_truth(const struct trial *t)
{
	enum set_table which = t->truth.which;
	size_t size = prefix_key_size(which), n = prefix_list(&t->pool, &t->table, which, NULL);
	char *got = malloc((n + 1) * size), *want = truth_keys(&t->truth);
	int (*compare)(const void *, const void *) = which == TABLE_QUAD_PREFIX ? compare_quad_keys : compare_keys;
	bool same;

	prefix_list(&t->pool, &t->table, which, got);
	qsort(got, n, size, compare);
	qsort(want, t->truth.n, size, compare);
	same = n == t->truth.n && memcmp(got, want, n * size) == 0;
	free(got);
	free(want);
	return same;
}

/* Addresses in elements, beside them and anywhere. */
static bool answers_truth(const struct trial *t, struct random *r, unsigned int probes)
{
	for (size_t i = 0; i < t->truth.slots; i++) {
		uint32_t word[4] = { 0 };

		if (t->truth.key[i].prefix_len < GONE && random_below(r, t->truth.n) < probes) {
			words_in(r, &t->truth.key[i], word);
			if (!prefix_matches(&t->pool, &t->table, t->truth.which, word) ||
			    !prefix_has(&t->pool, &t->table, t->truth.which, &t->truth.key[i]))
				return false;
			word[random_below(r, t->truth.which == TABLE_QUAD_PREFIX ? 4 : 1)] ^= 1u << random_below(r, 32);
		} else if (random_below(r, t->truth.slots) < probes) {
			for (int w = 0; w < 4; w++)
				word[w] = (uint32_t)random_next(r);
		} else {
			continue;
		}
		if (prefix_matches(&t->pool, &t->table, t->truth.which, word) != truth_matches(&t->truth, word))
			return false;
	}
	return true;
}

/* ---- The allocator: no word is in two blocks ---- */

struct usage {
	uint8_t *taken;
	const struct region *r;
	bool good;
	size_t words; /* in blocks of any kind */
};

static void use(struct usage *u, uint32_t at, uint32_t words)
{
	if (at < u->r->blocks || at + words > u->r->head->used ||
	    u->r->head->used > u->r->words - u->r->head->retired) {
		u->good = false;
		return;
	}
	for (uint32_t i = 0; i < words; i++) {
		u->good = u->good && !u->taken[at + i];
		u->taken[at + i] = 1;
	}
	u->words += words;
}

static void use_children(struct usage *u, const struct prefix_node *node)
{
	uint32_t leaves = prefix_count(node->leaves), nodes = prefix_count(node->nodes);

	if (leaves + nodes == 0)
		return;
	u->good = u->good && !(node->leaves & node->nodes) && (nodes == 0 || node->base % 4 == 0);
	use(u, node->base - words_before(leaves, nodes), class_words(class_of(leaves, nodes)));
	for (uint32_t i = 0; u->good && i < nodes; i++)
		use_children(u, region_node(u->r, node->base + 4 * i));
}

/* ret_lost, where it is not NULL: words that no block has. */
static bool count_blocks(const struct trial *t, size_t *ret_lost)
{
	struct region r = region_open(&t->pool, &t->table, t->truth.which);
	struct usage u = { .taken = calloc(r.words, 1), .r = &r, .good = true };

	for (uint32_t slot = 0; slot < r.n_slots && u.good; slot++) {
		uint32_t at = r.slot[slot] & ~PREFIX_COVERED;

		if (!at)
			continue;
		use(&u, at, 4);
		if (u.good)
			use_children(&u, region_node(&r, at));
	}
	for (uint32_t class = 1; class <= PREFIX_CLASSES && u.good; class ++)
		for (uint32_t at = r.head->free[class - 1]; at && u.good; at = (uint32_t)r.word[at])
			use(&u, at, class_words(class));
	for (uint32_t i = 1; i <= r.head->retired && u.good; i++)
		use(&u, (uint32_t)r.word[r.words - i], class_words((uint32_t)(r.word[r.words - i] >> 32)));
	free(u.taken);
	if (ret_lost)
		*ret_lost = r.head->used - r.blocks - u.words;
	return u.good;
}

static bool blocks_are_apart(const struct trial *t)
{
	return count_blocks(t, NULL);
}

/* ---- Rows ---- */

struct row {
	const char *belief;
	const char *elements;
	const char *address;
	bool in;
};

/* clang-format off */
static const struct row rows[] = {
	{ "nothing is in an empty set",              "",                             "192.0.2.1",       false },
	{ "an address is in its prefix",             "192.0.2.0/24",                 "192.0.2.255",     true },
	{ "the next address is not",                 "192.0.2.0/24",                 "192.0.3.0",       false },
	{ "nor the one before",                      "192.0.2.0/24",                 "192.0.1.255",     false },
	{ "everything is in 0/0",                    "0.0.0.0/0",                    "203.0.113.9",     true },
	{ "half of all is in a /1",                  "128.0.0.0/1",                  "128.0.0.0",       true },
	{ "the other half is not",                   "128.0.0.0/1",                  "127.255.255.255", false },
	{ "a /32 is one address",                    "192.0.2.7/32",                 "192.0.2.7",       true },
	{ "its neighbour is another",                "192.0.2.7/32",                 "192.0.2.6",       false },
	{ "the last address of all can be in",       "255.255.255.255/32",           "255.255.255.255", true },
	{ "the first, too",                          "0.0.0.0/32",                   "0.0.0.0",         true },
	{ "a /31 is two addresses",                  "192.0.2.6/31",                 "192.0.2.7",       true },
	{ "the longer of two decides nothing",       "10.0.0.0/8 10.1.0.0/16",       "10.2.0.1",        true },
	{ "a hole stays one",                        "10.1.0.0/16 10.3.0.0/16",      "10.2.0.1",        false },
	{ "bits behind the length do not count",     "192.0.2.99/24",                "192.0.2.1",       true },
	{ "twice is once",                           "192.0.2.0/24 192.0.2.0/24",    "192.0.2.1",       true },
	{ "a skipped level must agree",              "192.0.2.7/32",                 "192.9.2.7",       false },
	{ "nothing is in an empty set",              "",                             "::",              false },
	{ "everything is in ::/0",                   "::/0",                         "ff02::1",         true },
	{ "one half by its first bit",               "8000::/1",                     "fe80::1",         true },
	{ "the other half is not",                   "8000::/1",                     "2001:db8::1",     false },
	{ "all global addresses",                    "2000::/3",                     "3fff::1",         true },
	{ "what comes before them is not",           "2000::/3",                     "1fff::1",         false },
	{ "a /48 in a documentation prefix",         "2001:db8:1::/48",              "2001:db8:1:ffff::1", true },
	{ "the next /48 is not",                     "2001:db8:1::/48",              "2001:db8:2::1",   false },
	{ "one address",                             "2001:db8::1/128",              "2001:db8::1",     true },
	{ "its neighbour is another",                "2001:db8::1/128",              "2001:db8::2",     false },
	{ "the last address of all",                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
	                                             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "the first",                               "::/128",                       "::",              true },
	{ "loopback is not the first",               "::/128",                       "::1",             false },
	{ "a /127 is two addresses",                 "2001:db8::2/127",              "2001:db8::3",     true },
	{ "link-local, outside the lead",            "fe80::/10 2001:db8::/32",      "febf::1",         true },
	{ "unique local is not",                     "fe80::/10 2001:db8::/32",      "fdff::1",         false },
	{ "both sides of the lead",                  "fe80::/10 2001:db8::/32",      "2001:db8::",      true },
	{ "a /2 that holds the lead and more",       "::/2",                         "2001:db8::1",     true },
	{ "a difference in a skipped level",         "2001:db8::1/128",              "2001:db8:0:1::1", false },
};
/* clang-format on */

static struct set_quad_lpm_key parse_key(const char *text, enum set_table *ret_which)
{
	struct set_quad_lpm_key key = { 0 };
	char address[64];
	unsigned int length = 0;

	*ret_which = strchr(text, ':') ? TABLE_QUAD_PREFIX : TABLE_WORD_PREFIX;
	if (sscanf(text, "%63[0-9a-f:.]/%u", address, &length) < 1 ||
	    inet_pton(*ret_which == TABLE_QUAD_PREFIX ? AF_INET6 : AF_INET, address, key.word_be) != 1)
		printf("FAIL bad row: %s\n", text);
	key.prefix_len = length;
	return key;
}

/* Built with the elements, and grown by them one by one. */
static void try_row(const struct row *row, bool grown)
{
	struct set_quad_lpm_key address, key[4];
	enum set_table which;
	struct trial t = { 0 };
	char text[256], *save = NULL;
	uint32_t word[4];
	size_t n = 0;

	address = parse_key(row->address, &which);
	for (int i = 0; i < 4; i++)
		word[i] = ntohl(address.word_be[i]);
	truth_open(&t.truth, which, 4);
	snprintf(text, sizeof(text), "%s", row->elements);
	for (char *one = strtok_r(text, " ", &save); one; one = strtok_r(NULL, " ", &save))
		key[n++] = parse_key(one, &which);
	for (size_t i = 0; !grown && i < n; i++) {
		struct set_quad_lpm_key plain;
		uint32_t w[4];

		for (int k = 0; k < 4; k++)
			w[k] = ntohl(key[i].word_be[k]);
		plain = masked(which, key[i].prefix_len, w);
		truth_add(&t.truth, &plain);
	}
	expect(trial_build(&t, 16), row->belief, "it cannot be built");
	for (size_t i = 0; grown && i < n; i++)
		expect(prefix_add(&t.pool, &t.table, which, &key[i]) >= 0, row->belief, "it cannot be added");
	expect(prefix_matches(&t.pool, &t.table, which, word) == row->in, row->belief, grown ? "grown" : "built");
	for (size_t i = 0; i < n; i++)
		expect(prefix_has(&t.pool, &t.table, which, &key[i]), row->belief, "an element is not there");
	for (size_t i = 0; i < n; i++)
		prefix_del(&t.pool, &t.table, which, &key[i]);
	expect(prefix_list(&t.pool, &t.table, which, NULL) == 0 && !prefix_matches(&t.pool, &t.table, which, word),
	       row->belief, "something is left of it");
	trial_close(&t);
}

static void refuses_bad_keys(void)
{
	struct set_word_lpm_key word = { 33, 0 };
	struct set_quad_lpm_key quad = { 129, { 0 } };
	struct trial t = { 0 };

	truth_open(&t.truth, TABLE_WORD_PREFIX, 1);
	trial_build(&t, 0);
	expect(prefix_add(&t.pool, &t.table, TABLE_WORD_PREFIX, &word) == -EINVAL, "a /33", "was added");
	expect(prefix_build(&t.pool, &t.table, TABLE_QUAD_PREFIX, &quad, 1) == -EINVAL, "a /129", "was built");
	expect(prefix_lines(TABLE_WORD_PREFIX, NULL, 0, 4096) <= 1024, "an empty table", "is over 64 KB");
	t.table.first = 0;
	expect(!prefix_matches(&t.pool, &t.table, TABLE_WORD_PREFIX, &word.word_be), "no table", "matches");
	expect(prefix_list(&t.pool, &t.table, TABLE_WORD_PREFIX, NULL) == 0, "no table", "lists");
	trial_close(&t);
}

/* ---- Sets of many kinds ---- */

enum shape {
	MIXED,   /* any length, lengths near each other, in few places */
	TYPICAL, /* /16 to /28, mostly /24; IPv6 /29 to /64 */
	NESTED,  /* all lengths of a few addresses */
	LONGEST, /* /31 and /32, or /127 and /128 */
	CROWDED, /* all in one /16 */
	SHORT,   /* 0 to 20 */
	SHAPE_MAX
};

static const char *const shape_names[] = { "mixed", "typical", "nested", "longest", "crowded", "short" };

static struct set_quad_lpm_key random_key(struct random *r, enum set_table which, enum shape shape)
{
	uint32_t width = which == TABLE_QUAD_PREFIX ? 128 : 32, length, word[4];

	for (int i = 0; i < 4; i++)
		word[i] = (uint32_t)random_next(r);
	if (width == 128 && random_chance(r, 80))
		word[0] = (word[0] & 0x0f1fffff) | 0x20000000;
	length = random_below(r, width + 1);
	if (shape == MIXED && random_chance(r, 70)) {
		word[0] &= 0xf00ff0ff;
		word[1] &= 0x00ff0000;
		word[2] &= 0x0000f00f;
	} else if (shape == TYPICAL) {
		length = width == 128           ? random_between(r, 29, 64)
			 : random_chance(r, 75) ? 24
						: random_between(r, 16, 28);
	} else if (shape == NESTED) {
		word[0] = 0x2a0fbeef ^ random_below(r, 5) << 9;
		word[1] = word[2] = word[3] = word[0] * 0x9e3779b1u;
	} else if (shape == LONGEST) {
		length = width - random_below(r, 2);
	} else if (shape == CROWDED) {
		word[0] = 0x20010000 | (word[0] & 0xffff);
		length = random_chance(r, 10) ? random_between(r, 16, 31) : width;
	} else if (shape == SHORT) {
		length = random_below(r, 21);
	}
	return masked(which, length, word);
}

static void fill(struct truth *t, struct random *r, enum shape shape, size_t n)
{
	for (size_t tries = 0; t->n < n && tries < 4 * n; tries++) {
		struct set_quad_lpm_key key = random_key(r, t->which, shape);

		truth_add(t, &key);
	}
}

/* Built, then added to and deleted from; now and then settled, laid out anew when it is full. */
static void try_churn(enum set_table which, enum shape shape, size_t n, unsigned int edits)
{
	struct random r = { n * 131 + shape * 7 + which };
	struct trial t = { 0 };
	unsigned int layouts = 0, wrong = 0;
	char what[80];

	snprintf(what, sizeof(what), "%zu %s %s", n, shape_names[shape],
		 which == TABLE_QUAD_PREFIX ? "quads" : "words");
	truth_open(&t.truth, which, n + edits);
	fill(&t.truth, &r, shape, n);
	if (!expect(trial_build(&t, edits / 4), what, "cannot be built"))
		return trial_close(&t);
	expect(lists_truth(&t), what, "built: the list is another");
	expect(answers_truth(&t, &r, 2000), what, "built: an answer is wrong");
	expect(blocks_are_apart(&t), what, "built: blocks overlap");
	for (unsigned int i = 0; i < edits; i++) {
		struct set_quad_lpm_key key = random_key(&r, which, shape);
		bool add = random_chance(&r, i < edits / 2 ? 70 : 30);

		if (random_chance(&r, 60)) { /* one that is there */
			size_t at = random_below(&r, t.truth.slots);

			for (size_t k = 0; k < 64 && key.prefix_len < GONE; k++, at++)
				if (t.truth.key[at & (t.truth.slots - 1)].prefix_len < GONE)
					key = t.truth.key[at & (t.truth.slots - 1)];
		}
		if (add) {
			int done = prefix_add(&t.pool, &t.table, which, &key);

			if (done == -ENOSPC) {
				prefix_settle(&t.pool, &t.table);
				done = prefix_add(&t.pool, &t.table, which, &key);
			}
			if (done == -ENOSPC) {
				layouts++;
				wrong += !trial_build(&t, edits / 4);
				done = prefix_add(&t.pool, &t.table, which, &key);
			}
			wrong += done != truth_add(&t.truth, &key);
		} else {
			wrong += prefix_del(&t.pool, &t.table, which, &key) != truth_del(&t.truth, &key);
		}
		if (random_below(&r, 50) == 0)
			prefix_settle(&t.pool, &t.table);
		if (i % (edits / 4) == 0 || i == edits - 1) {
			expect(lists_truth(&t), what, "edited: the list is another");
			expect(answers_truth(&t, &r, 2000), what, "edited: an answer is wrong");
			expect(blocks_are_apart(&t), what, "edited: blocks overlap");
		}
	}
	expect(wrong == 0, what, "an edit says what is not so");
	expect(layouts <= 40, what, "too often laid out anew");
	/* And all away. */
	for (size_t i = 0; i < t.truth.slots; i++) {
		struct set_quad_lpm_key key = t.truth.key[i];

		if (key.prefix_len < GONE && truth_del(&t.truth, &key))
			wrong += prefix_del(&t.pool, &t.table, which, &key) != 1;
	}
	expect(wrong == 0 && lists_truth(&t), what, "not all can be deleted");
	trial_close(&t);
}

/* Additions to a full table change nothing and lose no space, however often they are tried. */
static void try_full(enum set_table which, enum shape shape)
{
	struct random r = { which };
	struct trial t = { 0 };
	unsigned int refused = 0;
	size_t lost;

	truth_open(&t.truth, which, 10000);
	fill(&t.truth, &r, shape, 500);
	expect(trial_build(&t, 0), shape_names[shape], "cannot be built");
	for (int i = 0; i < 20000 && refused < 2000; i++) {
		struct set_quad_lpm_key key = random_key(&r, which, shape);
		int done;

		if (!refused)
			prefix_settle(&t.pool, &t.table);
		done = prefix_add(&t.pool, &t.table, which, &key);
		refused += done == -ENOSPC;
		if (done == 1)
			truth_add(&t.truth, &key);
	}
	expect(refused > 0, shape_names[shape], "is never full");
	expect(lists_truth(&t), shape_names[shape], "full: the list is another");
	expect(count_blocks(&t, &lost) && lost == 0, shape_names[shape], "full: space was lost");
	trial_close(&t);
}

/* ---- Kills ---- */

static jmp_buf killed;
static unsigned int life;           /* stores until the writer is killed; 0: it lives */
static const struct trial *watched; /* at each store all of its elements but `editing` must be found */
static struct set_quad_lpm_key editing;
static unsigned int missed;

static void look(const struct trial *t)
{
	for (size_t i = 0; i < t->truth.slots; i++) {
		const struct set_quad_lpm_key *key = &t->truth.key[i];
		uint32_t word[4];

		if (key->prefix_len >= GONE || memcmp(key, &editing, sizeof(editing)) == 0)
			continue;
		for (int w = 0; w < 4; w++)
			word[w] = ntohl(key->word_be[w]);
		missed += !prefix_matches(&t->pool, &t->table, t->truth.which, word);
	}
}

static void stored(void)
{
	if (watched)
		look(watched);
	if (life && --life == 0)
		longjmp(killed, 1);
}

enum deed { ADD, DEL, SETTLE };

/* false: killed before the end */
static bool do_deed(const struct trial *t, enum deed deed, unsigned int stores)
{
	if (setjmp(killed))
		return false;
	life = stores;
	if (deed == ADD)
		prefix_add(&t->pool, &t->table, t->truth.which, &editing);
	else if (deed == DEL)
		prefix_del(&t->pool, &t->table, t->truth.which, &editing);
	else
		prefix_settle(&t->pool, &t->table);
	life = 0;
	return true;
}

/* The deed killed behind each of its stores in turn; then done again by the next writer. */
static void try_kills(struct trial *t, enum deed deed, const char *what)
{
	size_t size = t->pool.n * sizeof(struct line);
	struct line *before = malloc(size);
	struct set_quad_lpm_key other = editing;
	bool whole = false;

	/* Another edit, which may come upon the half of this one. */
	other.word_be[0] ^= htonl(0x00080000);
	memcpy(before, t->pool.lines, size);
	if (deed == ADD)
		truth_add(&t->truth, &editing);
	else if (deed == DEL)
		truth_del(&t->truth, &editing);
	for (unsigned int stores = 1; !whole; stores += stores < 40 ? 1 : 97) {
		struct random r = { stores };

		memcpy(t->pool.lines, before, size);
		missed = 0;
		watched = t;
		whole = do_deed(t, deed, stores);
		watched = NULL;
		look(t);
		expect(missed == 0, what, "another element was not found");
		expect(blocks_are_apart(t), what, "killed: blocks overlap");
		if (other.prefix_len > 12 && !truth_has(&t->truth, &other)) {
			prefix_add(&t->pool, &t->table, t->truth.which, &other);
			prefix_del(&t->pool, &t->table, t->truth.which, &other);
		}
		do_deed(t, deed, 0);
		prefix_settle(&t->pool, &t->table);
		expect(lists_truth(t), what, "done again: the list is another");
		expect(blocks_are_apart(t), what, "done again: blocks overlap");
		expect(answers_truth(t, &r, 100), what, "done again: an answer is wrong");
	}
	free(before);
}

static void try_killed_edits(enum set_table which, enum shape shape, size_t n, unsigned int edits)
{
	struct random r = { 77 + shape };
	struct trial t = { 0 };
	char what[80];

	truth_open(&t.truth, which, n + edits);
	fill(&t.truth, &r, shape, n);
	expect(trial_build(&t, 1000), shape_names[shape], "cannot be built");
	for (unsigned int i = 0; i < edits; i++) {
		enum deed deed = i % 3;

		editing = random_key(&r, which, shape);
		for (size_t at = random_below(&r, t.truth.slots); deed == DEL && t.truth.n; at++) {
			editing = t.truth.key[at & (t.truth.slots - 1)];
			if (editing.prefix_len < GONE)
				break;
		}
		if (deed == SETTLE) /* something to settle */
			prefix_del(&t.pool, &t.table, which, &editing), truth_del(&t.truth, &editing);
		snprintf(what, sizeof(what), "kill %u: %s of a /%u, %s %s", i,
			 deed == ADD   ? "add"
			 : deed == DEL ? "del"
				       : "settle",
			 editing.prefix_len, shape_names[shape], which == TABLE_QUAD_PREFIX ? "quads" : "words");
		try_kills(&t, deed, what);
	}
	trial_close(&t);
}

/* A reader that has read its slot before many edits finds what they did not touch. */
static void try_late_readers(enum set_table which, enum shape shape, size_t n)
{
	struct random r = { 5 + shape };
	struct trial t = { 0 };
	struct region region;
	uint32_t *then, *now;
	size_t size;

	truth_open(&t.truth, which, n);
	fill(&t.truth, &r, shape, n);
	expect(trial_build(&t, n / 4), shape_names[shape], "cannot be built");
	region = region_open(&t.pool, &t.table, which);
	size = region.n_slots * sizeof(*region.slot);
	then = malloc(size);
	now = malloc(size);
	memset(&editing, 0xff, sizeof(editing));
	for (int round = 0; round < 8; round++) {
		missed = 0;
		prefix_settle(&t.pool, &t.table);
		memcpy(then, region.slot, size);
		for (int i = 0; i < 200; i++) {
			struct set_quad_lpm_key key = random_key(&r, which, shape);

			if (random_chance(&r, 50))
				key = t.truth.key[random_below(&r, t.truth.slots)];
			if (key.prefix_len >= GONE)
				continue;
			truth_del(&t.truth, &key); /* no longer watched */
			if (random_chance(&r, 50))
				prefix_add(&t.pool, &t.table, which, &key);
			else
				prefix_del(&t.pool, &t.table, which, &key);
		}
		memcpy(now, region.slot, size);
		memcpy(region.slot, then, size);
		look(&t);
		memcpy(region.slot, now, size);
		look(&t);
		expect(missed == 0, shape_names[shape], "a late reader missed an element");
	}
	free(then);
	free(now);
	trial_close(&t);
}

int main(void)
{
	static const enum set_table both[] = { TABLE_WORD_PREFIX, TABLE_QUAD_PREFIX };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		try_row(&rows[i], false);
		try_row(&rows[i], true);
	}
	refuses_bad_keys();
	for (int w = 0; w < 2; w++) {
		for (enum shape shape = 0; shape < SHAPE_MAX; shape++) {
			try_churn(both[w], shape, 0, 1000);
			try_churn(both[w], shape, 1, 100);
			try_churn(both[w], shape, 100, 1000);
			try_churn(both[w], shape, 10000, 8000);
			if (shape == MIXED || shape == TYPICAL || shape == LONGEST)
				try_full(both[w], shape);
			try_killed_edits(both[w], shape, 60, 60);
			try_late_readers(both[w], shape, 3000);
		}
		try_churn(both[w], TYPICAL, 100000, 20000);
		try_churn(both[w], CROWDED, 100000, 4000);
		try_churn(both[w], LONGEST, 100000, 4000);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
