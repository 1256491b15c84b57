// SPDX-License-Identifier: GPL-2.0
/* Prefix tables: keys of both families in one form, the places of a region, and its short elements. */
#include <arpa/inet.h>
#include <errno.h>

#include "prefix_region.h"

static uint32_t lead_of(enum set_table which)
{
	return which == TABLE_QUAD_PREFIX ? PREFIX_LEAD : 0;
}

static uint32_t slots_of(uint32_t lead, uint32_t bits)
{
	return (1u << bits) + (lead ? 1u << lead : 0);
}

static uint32_t shorts_of(uint32_t lead, uint32_t bits)
{
	return (2u << bits) + (lead ? 2u << lead : 0);
}

static uint32_t slot_words(uint32_t n_slots)
{
	return (n_slots + 15) / 16 * 8;
}

uint32_t region_words_before(enum set_table which, uint32_t bits)
{
	uint32_t lead = lead_of(which);
	uint32_t words = PREFIX_SLOTS + slot_words(slots_of(lead, bits)) + (shorts_of(lead, bits) + 63) / 64;

	return (words + 7) / 8 * 8;
}

struct region region_open(const struct pool *pool, const struct table *t, enum set_table which)
{
	struct region r = { .word = (uint64_t *)&pool->lines[t->first], .lead = lead_of(which), .bits = t->bits };

	r.words = t->lines * 8;
	r.head = (struct prefix_head *)r.word;
	r.slot = (uint32_t *)&r.word[PREFIX_SLOTS];
	r.n_slots = slots_of(r.lead, r.bits);
	r.shorts = &r.word[PREFIX_SLOTS + slot_words(r.n_slots)];
	r.n_shorts = shorts_of(r.lead, r.bits);
	r.blocks = region_words_before(which, r.bits);
	return r;
}

size_t prefix_key_size(enum set_table which)
{
	return which == TABLE_QUAD_PREFIX ? sizeof(struct set_quad_lpm_key) : sizeof(struct set_word_lpm_key);
}

/* The upper `length` bits. */
static uint64_t upper(uint64_t bits, uint32_t length)
{
	return length == 0 ? 0 : length >= 64 ? bits : bits & ~0ull << (64 - length);
}

static struct prefix turn(const struct prefix *p, enum set_table which)
{
	struct prefix q = *p;

	if (which == TABLE_QUAD_PREFIX)
		q.hi ^= PREFIX_FLIP;
	q.hi = upper(q.hi, q.length);
	q.lo = upper(q.lo, q.length > 64 ? q.length - 64 : 0);
	return q;
}

struct prefix prefix_from_words(enum set_table which, const uint32_t *word, uint32_t length)
{
	struct prefix p = { .hi = (uint64_t)word[0] << 32, .length = length };

	if (which == TABLE_QUAD_PREFIX) {
		p.hi |= word[1];
		p.lo = (uint64_t)word[2] << 32 | word[3];
	}
	return turn(&p, which);
}

int prefix_from_key(struct prefix *ret, enum set_table which, const void *key)
{
	const struct set_quad_lpm_key *quad = key; /* its start is laid out like the key of a word */
	uint32_t word[4], n = which == TABLE_QUAD_PREFIX ? 4 : 1;

	if (quad->prefix_len > 32 * n)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		word[i] = ntohl(quad->word_be[i]);
	*ret = prefix_from_words(which, word, quad->prefix_len);
	return 0;
}

void prefix_to_key(const struct prefix *p, enum set_table which, void *keys, size_t at)
{
	struct prefix q = turn(p, which);

	if (which == TABLE_QUAD_PREFIX)
		((struct set_quad_lpm_key *)keys)[at] = (struct set_quad_lpm_key){
			.prefix_len = q.length,
			.word_be = { htonl((uint32_t)(q.hi >> 32)), htonl((uint32_t)q.hi),
				     htonl((uint32_t)(q.lo >> 32)), htonl((uint32_t)q.lo) },
		};
	else
		((struct set_word_lpm_key *)keys)[at] = (struct set_word_lpm_key){
			.prefix_len = q.length,
			.word_be = htonl((uint32_t)(q.hi >> 32)),
		};
}

/* The first n bits of an address, as a number. */
static uint32_t first_bits(const struct prefix *p, uint32_t n)
{
	return n ? (uint32_t)(p->hi >> (64 - n)) : 0;
}

uint32_t region_slot(const struct region *r, const struct prefix *p)
{
	uint32_t lead = first_bits(p, r->lead);

	return lead ? (1u << r->bits) + lead : first_bits(p, r->lead + r->bits);
}

uint32_t region_slot_depth(const struct region *r, uint32_t slot)
{
	return slot < 1u << r->bits ? r->lead + r->bits : r->lead;
}

struct prefix region_slot_prefix(const struct region *r, uint32_t slot)
{
	struct prefix p = { .length = region_slot_depth(r, slot) };

	if (p.length)
		p.hi = (uint64_t)(slot < 1u << r->bits ? slot : slot - (1u << r->bits)) << (64 - p.length);
	return p;
}

uint32_t region_short(const struct region *r, const struct prefix *p)
{
	uint32_t number = first_bits(p, p->length > 32 ? 32 : p->length);

	if (p->length >= r->lead && first_bits(p, r->lead) == 0)
		return p->length > r->lead + r->bits ? 0 : 1u << (p->length - r->lead) | number;
	return p->length > r->lead ? 0 : (2u << r->bits) + (1u << p->length | number);
}

struct prefix region_short_prefix(const struct region *r, uint32_t number)
{
	bool behind_lead = number < 2u << r->bits;
	uint32_t in_tree = behind_lead ? number : number - (2u << r->bits);
	uint32_t height = 31 - (uint32_t)__builtin_clz(in_tree);
	struct prefix p = { .length = height + (behind_lead ? r->lead : 0) };

	if (p.length)
		p.hi = (uint64_t)(in_tree - (1u << height)) << (64 - p.length);
	return p;
}

/*
 * The short prefixes are a binary tree: that of the lead, where there is one, with the root of the other one in the
 * place of its leftmost leaf.
 */
static uint32_t short_parent(const struct region *r, uint32_t number)
{
	uint32_t in_lead = number < 2u << r->bits ? 1u << r->lead : number - (2u << r->bits);

	if (number < 2u << r->bits && (number > 1 || r->lead == 0))
		return number >> 1;
	return in_lead > 1 ? (2u << r->bits) + (in_lead >> 1) : 0;
}

static bool is_element(const struct region *r, uint32_t number)
{
	return r->shorts[number / 64] >> (number % 64) & 1;
}

static void cover_slot(const struct region *r, uint32_t slot, bool covered)
{
	uint32_t now = r->slot[slot], then = (now & ~PREFIX_COVERED) | (covered ? PREFIX_COVERED : 0);

	if (now != then)
		store32(&r->slot[slot], then);
}

static void cover(const struct region *r, uint32_t number, bool covered)
{
	uint32_t top = 2u << r->bits, in_lead = number - top, leaf = 1u << r->lead;

	covered = covered || is_element(r, number);
	if (number < top && number >= 1u << r->bits) {
		cover_slot(r, number - (1u << r->bits), covered);
	} else if (number < top) {
		cover(r, 2 * number, covered);
		cover(r, 2 * number + 1, covered);
	} else if (in_lead >= leaf) {
		cover_slot(r, (1u << r->bits) + in_lead - leaf, covered);
	} else {
		cover(r, 2 * in_lead == leaf ? 1 : top + 2 * in_lead, covered);
		cover(r, top + 2 * in_lead + 1, covered);
	}
}

void region_mend(const struct region *r, uint32_t number)
{
	bool covered = false;

	for (uint32_t up = short_parent(r, number); up; up = short_parent(r, up))
		covered = covered || is_element(r, up);
	cover(r, number, covered);
}

void region_mend_all(const struct region *r)
{
	region_mend(r, r->lead ? (2u << r->bits) + 1 : 1);
}
