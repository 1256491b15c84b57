// SPDX-License-Identifier: GPL-2.0
/*
 * Areas -> rows of forks (bpf/abi.h, struct node_fork), so that a packet meets few rules, however many there are.
 *
 * A fork hashes some fields, each to a length that it picks. Areas that say all of these fields fall into
 * groups that share a bucket's reference; groups that are still large get a row of forks of their own. The
 * others (wildcards, shorter prefixes, ranges of ports) go to the next fork of the row, which tries other
 * fields. What no field tells apart stays a list, however long: slow, never wrong, and `check` says so.
 *
 * Bounded in time and copies by budgets, and in forks by what a search may ask. Deterministic.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

#define LIST_MEDIUM 6                             /* so few only where the fork is cheaper by the model */
#define FORKS_MAX   (SEARCH_FORKS - 2)            /* that one packet asks, in all rows */
#define FORKS_BELOW 10                            /* of these, for one group at most */
#define FORKS_KEPT  2                             /* and at least, where there are large ones */
#define GROUPS_MAX  (REF_NUMBER / REF_BUCKET / 2) /* of one fork: their places must fit a reference */
#define LOOKS_MAX   UINT64_C(400000000)
#define COPIES      8 /* of an area in pieces, on average */

/* Where the search goes on behind a row, and the lowest rule from there on. */
struct behind {
	uint32_t next, low;
};

/* Areas of one group stand together, groups in the order of their first ones. */
struct member {
	uint64_t hash; /* with seed 0: tells groups apart */
	uint32_t id;
	uint32_t leader; /* first area of the group */
};

static int compare_hashes(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_leaders(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->leader != y->leader)
		return x->leader < y->leader ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_ids(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint32_t build(struct builder *b, const uint32_t *ids, size_t n, const struct behind *behind, bool in_bucket,
		      uint32_t forks, struct price *ret_price);

static uint32_t node_of(const struct builder *b, uint32_t id)
{
	return b->areas[id].node;
}

static uint32_t lower_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* A list, as a reference in a bucket or as the last fork of a row. */
static uint32_t build_list(struct builder *b, const uint32_t *ids, size_t n, const struct behind *behind,
			   bool in_bucket, struct price *ret_price)
{
	struct program *program = b->program;
	uint64_t cost = 0;
	uint32_t base, number;

	for (size_t i = 0; i < n; i++)
		cost += program->cost[node_of(b, ids[i])];
	*ret_price = (struct price){ .forks = !in_bucket, .rules = n, .steps = cost > UINT32_MAX ? UINT32_MAX : cost };
	if (in_bucket && n == 1)
		return REF_RULE | node_of(b, ids[0]);
	base = program_reserve_refs(program, n + 1, 1);
	for (size_t i = 0; i < n && !program->out_of_memory; i++)
		program->refs[base + i] = REF_RULE | node_of(b, ids[i]);
	if (in_bucket)
		return REF_LIST | base;
	number = program_reserve(program, 1);
	if (!program->out_of_memory)
		*(struct node_fork *)&program->nodes[number] =
			(struct node_fork){ .op = NODE_LIST,
					    .base = base,
					    .next = behind->next,
					    .low = lower_of(node_of(b, ids[0]), behind->low) };
	return REF_FORK | number;
}

/* How many groups of the fork find no place in their buckets; marks: one byte a bucket, tags: four. */
static size_t place_groups(const struct builder *b, const struct member *members, size_t n, const struct spec *spec,
			   uint8_t seed, uint32_t buckets, uint8_t *fill, uint8_t *tags, uint32_t *ret_place)
{
	uint64_t smask[2], dmask[2];
	size_t left_out = 0;

	area_address_mask(smask, spec->saddr, b->family);
	area_address_mask(dmask, spec->daddr, b->family);
	memset(fill, 0, buckets);
	for (size_t i = 0; i < n; i++) {
		uint64_t hash;
		uint32_t bucket;
		bool clash;

		if (i && members[i].leader == members[i - 1].leader) {
			ret_place[i] = ret_place[i - 1];
			left_out += ret_place[i] == UINT32_MAX;
			continue;
		}
		hash = index_hash(&b->areas[members[i].id], spec, smask, dmask, seed);
		bucket = node_bucket(hash, buckets);
		clash = fill[bucket] == REF_BUCKET;
		for (unsigned int k = 0; k < fill[bucket]; k++)
			clash = clash || tags[bucket * REF_BUCKET + k] == node_tag(hash);
		if (clash) {
			ret_place[i] = UINT32_MAX;
			left_out++;
		} else {
			tags[bucket * REF_BUCKET + fill[bucket]] = node_tag(hash);
			ret_place[i] = (bucket * REF_BUCKET + fill[bucket]++) | node_tag(hash) << REF_TAG_SHIFT;
		}
	}
	return left_out;
}

/* Everything about the areas that a fork takes in. */
struct crowd {
	struct member *members;
	uint32_t *place; /* bucket * 4 + position, with the tag; UINT32_MAX: none */
	uint32_t *rest;  /* areas that go to the side */
	uint32_t *group; /* working memory: the areas of one group */
	size_t n, n_rest;
};

static void crowd_clear(struct crowd *crowd)
{
	free(crowd->members);
	free(crowd->place);
	free(crowd->rest);
	free(crowd->group);
}

/* Who fits, in groups, and who does not. */
static int crowd_gather(struct crowd *crowd, const struct builder *b, const uint32_t *ids, size_t n,
			const struct spec *spec)
{
	uint64_t smask[2], dmask[2];

	crowd->members = malloc(n * sizeof(*crowd->members));
	crowd->place = malloc(n * sizeof(*crowd->place));
	crowd->rest = malloc(n * sizeof(*crowd->rest));
	crowd->group = malloc(n * sizeof(*crowd->group));
	if (!crowd->members || !crowd->place || !crowd->rest || !crowd->group)
		return -ENOMEM;
	area_address_mask(smask, spec->saddr, b->family);
	area_address_mask(dmask, spec->daddr, b->family);
	for (size_t i = 0; i < n; i++) {
		if (index_fits(&b->areas[ids[i]], spec))
			crowd->members[crowd->n++] =
				(struct member){ .hash = index_hash(&b->areas[ids[i]], spec, smask, dmask, 0),
						 .id = ids[i] };
		else
			crowd->rest[crowd->n_rest++] = ids[i];
	}
	qsort(crowd->members, crowd->n, sizeof(*crowd->members), compare_hashes);
	for (size_t i = 0; i < crowd->n; i++)
		crowd->members[i].leader = i && crowd->members[i].hash == crowd->members[i - 1].hash
						   ? crowd->members[i - 1].leader
						   : crowd->members[i].id;
	qsort(crowd->members, crowd->n, sizeof(*crowd->members), compare_leaders);
	return 0;
}

/* Gives groups their places; those without one join the rest. -ENOSPC: nobody got a place. */
static int crowd_place(struct crowd *crowd, const struct builder *b, const struct spec *spec, uint8_t *ret_seed,
		       uint32_t *ret_buckets)
{
	size_t groups = 0, left_out, best = SIZE_MAX, seeds;
	uint32_t buckets;
	uint8_t *fill, *tags;

	for (size_t i = 0; i < crowd->n; i++)
		groups += !i || crowd->members[i].leader != crowd->members[i - 1].leader;
	if (groups > GROUPS_MAX)
		return -ENOSPC;
	buckets = groups == 1 ? 1 : groups * 2;
	seeds = groups < 64 ? 32 : groups < 1024 ? 8 : 3;
	fill = malloc(buckets);
	tags = malloc((size_t)REF_BUCKET * buckets);
	if (!fill || !tags) {
		free(fill);
		free(tags);
		return -ENOMEM;
	}
	*ret_buckets = buckets;
	for (size_t seed = 0; seed < seeds && best; seed++) {
		left_out = place_groups(b, crowd->members, crowd->n, spec, seed, buckets, fill, tags, crowd->place);
		if (left_out < best) {
			best = left_out;
			*ret_seed = seed;
		}
	}
	place_groups(b, crowd->members, crowd->n, spec, *ret_seed, buckets, fill, tags, crowd->place);
	free(fill);
	free(tags);
	if (best == crowd->n)
		return -ENOSPC;
	for (size_t i = 0; i < crowd->n; i++)
		if (crowd->place[i] == UINT32_MAX)
			crowd->rest[crowd->n_rest++] = crowd->members[i].id;
	qsort(crowd->rest, crowd->n_rest, sizeof(*crowd->rest), compare_ids);
	return 0;
}

static void price_raise(struct price *price, const struct price *other)
{
	if (other->forks > price->forks)
		price->forks = other->forks;
	if (other->rules > price->rules)
		price->rules = other->rules;
	if (other->steps > price->steps)
		price->steps = other->steps;
}

/* References to all groups. */
static void build_groups(struct builder *b, struct crowd *crowd, uint32_t base, const struct behind *behind,
			 uint32_t forks, struct price *ret_price)
{
	for (size_t i = 0; i < crowd->n && !b->program->out_of_memory;) {
		uint32_t place = crowd->place[i], leader = crowd->members[i].leader, ref;
		struct price price = { 0 };
		size_t n = 0;

		for (; i < crowd->n && crowd->members[i].leader == leader; i++)
			crowd->group[n++] = crowd->members[i].id;
		if (place == UINT32_MAX)
			continue;
		ref = build(b, crowd->group, n, behind, true, forks, &price);
		if (b->program->out_of_memory)
			break;
		b->program->refs[base + (place & REF_NUMBER)] = ref | (place >> REF_TAG_SHIFT) << REF_TAG_SHIFT;
		price_raise(ret_price, &price);
	}
}

static void write_fork(const struct builder *b, uint32_t number, const struct spec *spec, const struct node_fork *known)
{
	struct node_fork *fork = (struct node_fork *)&b->program->nodes[number];
	uint64_t smask[2], dmask[2];

	area_address_mask(smask, spec->saddr, b->family);
	area_address_mask(dmask, spec->daddr, b->family);
	*fork = *known;
	fork->op = spec->op;
	fork->proto = spec->op == NODE_WORD ? spec->word : spec->proto ? 0xff : 0;
	fork->saddr_mask = spec->op == NODE_WORD ? spec->word_mask : (uint32_t)smask[1];
	fork->daddr_mask = dmask[1];
	fork->ports_mask = (spec->sport ? 0xffff0000 : 0) | (spec->dport ? 0xffff : 0);
	if (spec->op == NODE_HASH6)
		*(struct node_quad *)&b->program->nodes[number + 1] =
			(struct node_quad){ { smask[0], smask[1] }, { dmask[0], dmask[1] } };
}

/* Forks that the rest of the row leaves to the groups. */
static uint32_t kept_below(const struct crowd *crowd, uint32_t forks)
{
	size_t largest = 0, size = 0;

	for (size_t i = 0; i < crowd->n; i++) {
		size = i && crowd->members[i].leader == crowd->members[i - 1].leader ? size + 1 : 1;
		largest = size > largest ? size : largest;
	}
	if (largest <= LIST_MEDIUM || forks < 2)
		return 0;
	return forks > 2 * FORKS_KEPT ? FORKS_KEPT : forks / 2;
}

/* The fork, and the rest of its row. */
static uint32_t build_fork(struct builder *b, const uint32_t *ids, size_t n, const struct behind *behind,
			   uint32_t forks, const struct spec *spec, struct price *ret_price)
{
	struct program *program = b->program;
	struct node_fork fork = { 0 };
	struct behind here = *behind;
	struct price groups = { 0 }, rest = { 0 };
	struct crowd crowd = { 0 };
	uint32_t number = 0;
	int r = crowd_gather(&crowd, b, ids, n, spec);

	if (r == 0)
		r = crowd_place(&crowd, b, spec, &fork.seed, &fork.buckets);
	if (r == -ENOMEM)
		program->out_of_memory = true;
	if (r) {
		crowd_clear(&crowd);
		return program->out_of_memory ? 0 : build_list(b, ids, n, behind, false, ret_price);
	}
	forks--;
	if (crowd.n_rest) {
		here.next = build(b, crowd.rest, crowd.n_rest, behind, false, forks - kept_below(&crowd, forks), &rest);
		here.low = lower_of(node_of(b, crowd.rest[0]), behind->low);
	}
	forks -= rest.forks;
	number = program_reserve(program, spec->op == NODE_HASH6 ? 2 : 1);
	fork.base = program_reserve_refs(program, (size_t)REF_BUCKET * fork.buckets, REF_BUCKET);
	fork.next = here.next;
	fork.low = lower_of(here.low, node_of(b, ids[0]));
	build_groups(b, &crowd, fork.base, &here, forks < FORKS_BELOW ? forks : FORKS_BELOW, &groups);
	if (!program->out_of_memory)
		write_fork(b, number, spec, &fork);
	crowd_clear(&crowd);
	ret_price->forks = 1 + groups.forks + rest.forks;
	ret_price->rules = groups.rules + rest.rules;
	ret_price->steps = groups.steps + rest.steps < groups.steps ? UINT32_MAX : groups.steps + rest.steps;
	return REF_FORK | number;
}

/* A fork by a port; an area is in each piece that it reaches into. */
static uint32_t build_cut(struct builder *b, const uint32_t *ids, size_t n, const struct behind *behind, uint32_t forks,
			  const struct spec *spec, struct price *ret_price)
{
	struct program *program = b->program;
	uint32_t *some = malloc(n * sizeof(*some)), number, base, before = 0;
	struct price groups = { 0 };
	size_t n_before = 0;

	if (!some) {
		program->out_of_memory = true;
		return 0;
	}
	number = program_reserve(program, 1);
	base = program_reserve_refs(program, 1 << CUT_BITS, 1);
	forks = forks > FORKS_BELOW ? FORKS_BELOW : forks - 1;
	for (unsigned int p = 0; p < 1 << CUT_BITS && !program->out_of_memory; p++) {
		struct price price = { 0 };
		bool same = p > 0;
		size_t k = 0;

		for (size_t i = 0; i < n; i++) {
			unsigned int piece[2];

			index_pieces(&b->areas[ids[i]], spec->sport, piece);
			if (p < piece[0] || p > piece[1])
				continue;
			same = same && k < n_before && some[k] == ids[i];
			some[k++] = ids[i];
		}
		b->copies -= k < b->copies ? k : b->copies;
		if (!same || k != n_before)
			before = k ? build(b, some, k, behind, true, forks, &price) : 0;
		n_before = k;
		if (!program->out_of_memory)
			program->refs[base + p] = before;
		price_raise(&groups, &price);
	}
	free(some);
	if (!program->out_of_memory)
		*(struct node_fork *)&program->nodes[number] =
			(struct node_fork){ .op = NODE_CUT,
					    .bits = CUT_BITS,
					    .proto = KEY_PORTS,
					    .seed = (spec->sport ? 32 : 16) - CUT_BITS,
					    .base = base,
					    .next = behind->next,
					    .low = lower_of(node_of(b, ids[0]), behind->low) };
	*ret_price = (struct price){ 1 + groups.forks, groups.rules, groups.steps };
	return REF_FORK | number;
}

/* ids ascend. Returns a reference; no packet asks more than this many forks of it. */
static uint32_t build(struct builder *b, const uint32_t *ids, size_t n, const struct behind *behind, bool in_bucket,
		      uint32_t forks, struct price *ret_price)
{
	struct spec spec = { 0 };
	double cost = HUGE_VAL;

	if (n > LIST_SMALL && forks > 1 && b->looks)
		cost = index_choose(b, ids, n, &spec);
	if (cost == HUGE_VAL || (n <= LIST_MEDIUM && cost > 1 + (n - 1) * 0.8))
		return build_list(b, ids, n, behind, in_bucket, ret_price);
	if (spec.op == NODE_CUT)
		return build_cut(b, ids, n, behind, forks, &spec, ret_price);
	return build_fork(b, ids, n, behind, forks, &spec, ret_price);
}

int index_build(uint32_t *ret_root, struct price *ret_price, struct program *program, enum family family,
		const struct area *areas, size_t n)
{
	struct builder b = { .program = program,
			     .family = family,
			     .areas = areas,
			     .looks = LOOKS_MAX,
			     .copies = n * COPIES + (1 << CUT_BITS) };
	const struct behind nothing = { 0, RULE_NONE };
	uint32_t *ids = malloc((n + 1) * sizeof(*ids));
	int r = 0;

	*ret_root = 0;
	*ret_price = (struct price){ 0 };
	if (!ids || !index_make_room(&b, n < 2 * INDEX_SAMPLE ? n + 1 : 2 * INDEX_SAMPLE))
		r = -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		ids[i] = i;
	if (r == 0 && n)
		*ret_root = build(&b, ids, n, &nothing, n <= LIST_SMALL, FORKS_MAX, ret_price);
	free(ids);
	index_forget(&b);
	return r || program->out_of_memory ? -ENOMEM : 0;
}
