// SPDX-License-Identifier: GPL-2.0
#include "addresses.h"

#include <stdlib.h>
#include <string.h>

size_t set_size(const struct set *set)
{
	return set->n_elements + set->addresses.n4 + set->addresses.n6;
}

/* ---- pairs as ranges ---- */

/* How long the prefix lo ... hi is, or 255 where it is none. bits: of an address. */
static uint8_t prefix_length(const uint32_t *lo, const uint32_t *hi, unsigned int bits)
{
	unsigned int length = 0;

	while (length < bits && !((lo[length / 32] ^ hi[length / 32]) << (length % 32) >> 31))
		length++;
	for (unsigned int bit = length; bit < bits; bit++)
		if (lo[bit / 32] << (bit % 32) >> 31 || !(hi[bit / 32] << (bit % 32) >> 31))
			return 255;
	return (uint8_t)length;
}

void address_range4(const struct address_range4 *address, struct range *ret)
{
	*ret = (struct range){ .family = 4, .lo = { .w = { address->lo } }, .hi = { .w = { address->hi } } };
	ret->prefix_len = prefix_length(ret->lo.w, ret->hi.w, 32);
}

void address_range6(const struct address_range6 *address, struct range *ret)
{
	*ret = (struct range){ .family = 6 };
	memcpy(ret->lo.w, address->lo, sizeof(address->lo));
	memcpy(ret->hi.w, address->hi, sizeof(address->hi));
	ret->prefix_len = prefix_length(ret->lo.w, ret->hi.w, 128);
}

/* ---- reading ---- */

/* Room for all lines that are still to come, so that a long list is never copied. */
static void *make_room(struct gathering *g, void *items, size_t n, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : g->expected;
	void *grown = arena_alloc(g->arena, (wanted ? wanted : 8) * size);

	if (n)
		memcpy(grown, items, n * size);
	*capacity = wanted ? wanted : 8;
	return grown;
}

static void push4(struct gathering *g, uint32_t lo, uint32_t hi)
{
	if (g->at.n4 == g->capacity4)
		g->at.v4 = make_room(g, g->at.v4, g->at.n4, &g->capacity4, sizeof(*g->at.v4));
	g->at.v4[g->at.n4++] = (struct address_range4){ lo, hi };
}

static void push6(struct gathering *g, const struct value *lo, const struct value *hi)
{
	struct address_range6 *to;

	if (g->at.n6 == g->capacity6)
		g->at.v6 = make_room(g, g->at.v6, g->at.n6, &g->capacity6, sizeof(*g->at.v6));
	to = &g->at.v6[g->at.n6++];
	memcpy(to->lo, lo->w, sizeof(to->lo));
	memcpy(to->hi, hi->w, sizeof(to->hi));
}

bool addresses_word(struct gathering *g, const char *text, size_t length)
{
	const char *slash = memchr(text, '/', length);
	size_t address = slash ? (size_t)(slash - text) : length;
	struct value lo, hi;
	uint32_t prefix;
	uint8_t family;

	if (length > 64 || !value_address(text, address, &lo, &family))
		return false;
	hi = lo;
	if (slash) {
		if (!value_number(slash + 1, length - address - 1, &prefix) || prefix > (family == 4 ? 32 : 128))
			return false;
		for (uint32_t i = 0; i < (family == 4 ? 1 : 4); i++) {
			uint32_t kept = prefix <= 32 * i ? 0 : prefix - 32 * i;
			uint32_t host = kept >= 32 ? 0 : UINT32_MAX >> kept;

			if (lo.w[i] & host)
				return false;
			hi.w[i] |= host;
		}
	}
	if (family == 4)
		push4(g, lo.w[0], hi.w[0]);
	else
		push6(g, &lo, &hi);
	return true;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* One line; NULL where it is for the parser. */
static const char *one_line(struct gathering *g, const char *p, const char *end)
{
	const char *word = p = skip_blanks(p, end);

	while (p < end && lex_is_word_char((unsigned char)*p))
		p++;
	end = memchr(p, '\n', (size_t)(end - p)); /* the last line is for the parser where it does not end */
	if (!end)
		return NULL;
	if (p - word >= 1) {
		const char *rest = skip_blanks(p, end);

		if (*rest != '#' && rest != end && !(*rest == '\r' && rest + 1 == end))
			return NULL;
		return addresses_word(g, word, (size_t)(p - word)) ? end + 1 : NULL;
	}
	return *p == '#' || p == end || (*p == '\r' && p + 1 == end) ? end + 1 : NULL;
}

void addresses_lines(struct gathering *g, struct lexer *lex)
{
	const char *next;

	while ((next = one_line(g, lex->pos, lex->end))) {
		lex->pos = lex->line_start = next;
		lex->line++;
	}
}

/* ---- in order ---- */

static int compare4(const void *a, const void *b)
{
	const struct address_range4 *x = a, *y = b;

	return x->lo != y->lo ? (x->lo < y->lo ? -1 : 1) : x->hi != y->hi ? (x->hi < y->hi ? -1 : 1) : 0;
}

static int compare6(const void *a, const void *b)
{
	const uint32_t *x = ((const struct address_range6 *)a)->lo, *y = ((const struct address_range6 *)b)->lo;

	for (int i = 0; i < 8; i++) /* hi is behind lo */
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* By lo, 11 bits at a time; qsort() takes ten times as long for a million. */
static bool sort_by_lo(struct address_range4 *items, size_t n)
{
	struct address_range4 *from = items, *to = malloc(n * sizeof(*to)), *spare = to;

	if (!to)
		return false;
	for (unsigned int shift = 0; shift < 33; shift += 11) {
		size_t start[2048] = { 0 }, sum = 0;

		for (size_t i = 0; i < n; i++)
			start[from[i].lo >> shift & 2047]++;
		for (size_t i = 0; i < 2048; i++) {
			size_t count = start[i];

			start[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[start[from[i].lo >> shift & 2047]++] = from[i];
		to = from;
		from = from == items ? spare : items;
	}
	memcpy(items, spare, n * sizeof(*items)); /* three passes end there */
	free(spare);
	return true;
}

static void sort4(struct address_range4 *items, size_t n)
{
	if (n < 1000 || !sort_by_lo(items, n)) {
		if (n)
			qsort(items, n, sizeof(*items), compare4);
		return;
	}
	for (size_t i = 0, same; i < n; i += same) {
		for (same = 1; i + same < n && items[i + same].lo == items[i].lo;)
			same++;
		if (same > 1)
			qsort(items + i, same, sizeof(*items), compare4);
	}
}

static void pair4(const struct range *range, void *ret)
{
	*(struct address_range4 *)ret = (struct address_range4){ range->lo.w[0], range->hi.w[0] };
}

static void pair6(const struct range *range, void *ret)
{
	struct address_range6 *pair = ret;

	memcpy(pair->lo, range->lo.w, sizeof(pair->lo));
	memcpy(pair->hi, range->hi.w, sizeof(pair->hi));
}

/* What the two families differ in. */
struct kind {
	uint8_t family;
	size_t bytes;
	int (*compare)(const void *a, const void *b);
	void (*pair)(const struct range *range, void *ret);
};
static const struct kind kind4 = { 4, sizeof(struct address_range4), compare4, pair4 };
static const struct kind kind6 = { 6, sizeof(struct address_range6), compare6, pair6 };

/* Sorted ones, each once, without those that are elements. Returns how many are left. */
static size_t keep_new(struct gathering *g, const struct kind *kind, char *items, size_t n,
		       const struct element *elements, size_t n_elements)
{
	char *known = n_elements ? arena_alloc(g->arena, n) : NULL;
	struct address_range6 key;
	size_t kept = 0;

	for (size_t i = 0; i < n_elements && n; i++) {
		const struct range *range = &elements[i].part[0];
		char *found;

		if (range->family != kind->family)
			continue;
		kind->pair(range, &key);
		found = bsearch(&key, items, n, kind->bytes, kind->compare);
		/* Any of several equal ones was found. */
		for (size_t at = found ? (size_t)(found - items) / kind->bytes : n; at < n && !known[at]; at++) {
			if (kind->compare(&key, items + at * kind->bytes))
				break;
			known[at] = 1;
		}
		for (size_t at = found ? (size_t)(found - items) / kind->bytes : 0; at > 0; at--) {
			if (kind->compare(&key, items + (at - 1) * kind->bytes))
				break;
			known[at - 1] = 1;
		}
	}
	for (size_t i = 0; i < n; i++) {
		char *item = items + i * kind->bytes;

		if (known && known[i])
			continue;
		if (kept && !kind->compare(items + (kept - 1) * kind->bytes, item))
			continue;
		memmove(items + kept++ * kind->bytes, item, kind->bytes);
	}
	return kept;
}

static bool in_order4(const struct address_range4 *items, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare4(&items[i - 1], &items[i]) > 0)
			return false;
	return true;
}

size_t addresses_settle(struct gathering *g, const struct element *elements, size_t n)
{
	struct addresses *at = &g->at;
	size_t before = at->n4 + at->n6;

	if (!in_order4(at->v4, at->n4))
		sort4(at->v4, at->n4);
	if (at->n6)
		qsort(at->v6, at->n6, sizeof(*at->v6), compare6);
	at->n4 = keep_new(g, &kind4, (char *)at->v4, at->n4, elements, n);
	at->n6 = keep_new(g, &kind6, (char *)at->v6, at->n6, elements, n);
	return before - at->n4 - at->n6;
}
