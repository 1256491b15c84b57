// SPDX-License-Identifier: GPL-2.0
/*
 * Which fork suits some areas best, by a model of what a packet pays: a step for each fork of the row, and what
 * its group costs. Greedy, and bounded in time by a budget of looks at areas. Deterministic.
 */
#include <math.h>
#include <stdlib.h>

#include "index.h"

#define LENGTHS_MAX 10  /* prefix lengths that are tried for one address */
#define WORDS_MAX   8   /* other words that are tried */
#define FORK_COST   0.7 /* in comparisons of a rule; with the slope in group_cost() found best on ClassBench sets */
#define CUT_AREAS   512 /* more areas than this are not cut: each may be in every piece */

static const struct point *point_of(const struct area *area, const struct spec *spec)
{
	for (unsigned int i = 0; i < area->n_points; i++)
		if (area->point[i].word == spec->word && area->point[i].mask == spec->word_mask)
			return &area->point[i];
	return NULL;
}

bool index_fits(const struct area *area, const struct spec *spec)
{
	if (spec->op == NODE_WORD)
		return point_of(area, spec);
	return area->saddr_len >= spec->saddr && area->daddr_len >= spec->daddr &&
	       (!spec->sport || area->sport[0] == area->sport[1]) &&
	       (!spec->dport || area->dport[0] == area->dport[1]) &&
	       (!spec->proto || (area->class_mask & 0xff) == 0xff);
}

uint64_t index_hash(const struct area *area, const struct spec *spec, const uint64_t smask[2], const uint64_t dmask[2],
		    uint8_t seed)
{
	uint32_t ports = (spec->sport ? (uint32_t)area->sport[0] << 16 : 0) | (spec->dport ? area->dport[0] : 0);
	uint64_t saddr, daddr;

	if (spec->op == NODE_WORD)
		return node_hash(point_of(area, spec)->value, 0, 0, 0, seed);
	saddr = area->saddr[1] & smask[1];
	daddr = area->daddr[1] & dmask[1];
	if (spec->op == NODE_HASH6) {
		saddr = node_fold(area->saddr[0] & smask[0], saddr);
		daddr = node_fold(area->daddr[0] & dmask[0], daddr);
	}
	return node_hash(saddr, daddr, ports, spec->proto ? area->class & 0xff : 0, seed);
}

/* Steps to find the rule among n that a fork could not tell apart. */
static double group_cost(double n)
{
	return n <= LIST_SMALL ? 1 + (n - 1) * 0.6 : 2.2 + 2.0 * log2(n / LIST_SMALL);
}

void index_forget(struct builder *b)
{
	free(b->key);
	free(b->count);
	free(b->stamp);
	free(b->used);
}

bool index_make_room(struct builder *b, size_t n)
{
	size_t capacity = 64;

	while (capacity < n * 2)
		capacity *= 2;
	if (capacity <= b->capacity)
		return true;
	index_forget(b);
	b->key = malloc(capacity * sizeof(*b->key));
	b->count = malloc(capacity * sizeof(*b->count));
	b->stamp = calloc(capacity, sizeof(*b->stamp));
	b->used = malloc(capacity * sizeof(*b->used));
	b->now = 0;
	b->capacity = b->key && b->count && b->stamp && b->used ? capacity : 0;
	return b->capacity;
}

/* What a fork of this kind would cost a packet; HUGE_VAL where it tells nothing apart. ids: n of them, every step'th. */
static double spec_cost(struct builder *b, const uint32_t *ids, size_t n, size_t step, const struct spec *spec)
{
	size_t slots = 64, groups = 0, fitting = 0, seen = 0;
	uint64_t smask[2], dmask[2];
	double sum = 0, share, forks;

	while (slots < n / step * 2 + 2)
		slots *= 2;
	area_address_mask(smask, spec->saddr, b->family);
	area_address_mask(dmask, spec->daddr, b->family);
	b->now++;
	for (size_t i = 0; i < n; i += step, seen++) {
		const struct area *area = &b->areas[ids[i]];
		uint64_t hash;
		size_t slot;

		if (!index_fits(area, spec))
			continue;
		fitting++;
		hash = index_hash(area, spec, smask, dmask, 0);
		for (slot = hash & (slots - 1); b->stamp[slot] == b->now && b->key[slot] != hash;)
			slot = (slot + 1) & (slots - 1);
		if (b->stamp[slot] != b->now) {
			b->stamp[slot] = b->now;
			b->key[slot] = hash;
			b->count[slot] = 0;
			b->used[groups++] = slot;
		}
		b->count[slot]++;
	}
	b->looks -= b->looks < seen ? b->looks : seen;
	if (!fitting || (groups == 1 && fitting == seen))
		return HUGE_VAL;
	for (size_t i = 0; i < groups; i++) {
		double size = 1 + (b->count[b->used[i]] - 1.0) * step; /* of what was not looked at, too */

		sum += b->count[b->used[i]] * group_cost(size);
	}
	/* Every packet passes the forks behind, of which each takes as large a share of what is left. */
	share = (double)fitting / seen;
	forks = fitting == seen ? 1 : log(n + 1.0) / -log(1 - share);
	return sum / fitting + FORK_COST * (fitting < seen && forks < 2 ? 2 : forks);
}

void index_pieces(const struct area *area, bool source, unsigned int ret[2])
{
	const uint16_t *range = source ? area->sport : area->dport;

	ret[0] = range[0] >> (16 - CUT_BITS);
	ret[1] = range[1] >> (16 - CUT_BITS);
}

/* The same for a fork that cuts by a port: everybody fits, some into several pieces. */
static double cut_cost(struct builder *b, const uint32_t *ids, size_t n, bool source)
{
	size_t size[1 << CUT_BITS] = { 0 };
	unsigned int piece[2];
	size_t copies = 0;
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		index_pieces(&b->areas[ids[i]], source, piece);
		for (unsigned int p = piece[0]; p <= piece[1]; p++)
			size[p]++;
		copies += piece[1] - piece[0] + 1;
	}
	b->looks -= b->looks < n ? b->looks : n;
	if (copies > b->copies)
		return HUGE_VAL;
	for (size_t i = 0; i < n; i++) {
		double mine = 0;

		index_pieces(&b->areas[ids[i]], source, piece);
		for (unsigned int p = piece[0]; p <= piece[1]; p++)
			mine += group_cost(size[p]);
		sum += mine / (piece[1] - piece[0] + 1);
	}
	for (unsigned int p = 0; p < 1 << CUT_BITS; p++)
		if (size[p] < n)
			return sum / n + FORK_COST;
	return HUGE_VAL;
}

/* Lengths at the quantiles of those that the areas have, and 0. */
static size_t lengths_of(const struct builder *b, const uint32_t *ids, size_t n, bool source, size_t most, uint8_t *ret)
{
	size_t have[129] = { 0 }, found = 0, before = 0, next = 0;

	for (size_t i = 0; i < n; i++)
		have[source ? b->areas[ids[i]].saddr_len : b->areas[ids[i]].daddr_len]++;
	ret[found++] = 0;
	before = have[0];
	for (unsigned int length = 1; length <= 128 && found < most; length++) {
		if (!have[length])
			continue;
		if (before >= next || have[length] > n / most) {
			ret[found++] = length;
			next = before + n / most;
		}
		before += have[length];
	}
	return found;
}

static size_t words_of(const struct builder *b, const uint32_t *ids, size_t n, struct spec ret[WORDS_MAX])
{
	size_t found = 0;

	for (size_t i = 0; i < n && found < WORDS_MAX; i += n / INDEX_SAMPLE + 1) {
		const struct area *area = &b->areas[ids[i]];

		for (unsigned int p = 0; p < area->n_points && found < WORDS_MAX; p++) {
			struct spec spec = { .op = NODE_WORD,
					     .word = area->point[p].word,
					     .word_mask = area->point[p].mask };
			bool known = false;

			for (size_t k = 0; k < found; k++)
				known = known || (ret[k].word == spec.word && ret[k].word_mask == spec.word_mask);
			if (!known)
				ret[found++] = spec;
		}
	}
	return found;
}

double index_choose(struct builder *b, const uint32_t *ids, size_t n, struct spec *ret)
{
	size_t step = n / INDEX_SAMPLE + 1, most = n > 256 ? 6 : LENGTHS_MAX, n_saddr, n_daddr, n_words;
	uint8_t saddr[LENGTHS_MAX], daddr[LENGTHS_MAX];
	struct spec words[WORDS_MAX];
	double best = HUGE_VAL;

	n_saddr = lengths_of(b, ids, n, true, most, saddr);
	n_daddr = lengths_of(b, ids, n, false, most, daddr);
	n_words = words_of(b, ids, n, words);
	for (size_t i = 0; i < n_words; i++) {
		double cost = spec_cost(b, ids, n, step, &words[i]);

		if (cost < best) {
			best = cost;
			*ret = words[i];
		}
	}
	for (size_t i = 0; i < n_saddr * n_daddr * 8 && b->looks; i++) {
		struct spec spec = { .op = b->family == FAMILY_IPV6 ? NODE_HASH6 : NODE_HASH4,
				     .saddr = saddr[i / 8 % n_saddr],
				     .daddr = daddr[i / 8 / n_saddr],
				     .sport = i & 1,
				     .dport = i & 2,
				     .proto = i & 4 };
		double cost = spec_cost(b, ids, n, step, &spec);

		if (cost < best) {
			best = cost;
			*ret = spec;
		}
	}
	for (int source = 0; source < 2 && n <= CUT_AREAS; source++) {
		double cost = cut_cost(b, ids, n, source);

		if (cost < best) {
			best = cost;
			*ret = (struct spec){ .op = NODE_CUT, .sport = source, .dport = !source };
		}
	}
	return best;
}
