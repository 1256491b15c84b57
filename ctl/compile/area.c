// SPDX-License-Identifier: GPL-2.0
/*
 * A rule as areas: comparisons of addresses, ports and class that one node can hold.
 *
 * Each condition cuts the areas so far to what it asks for; one of several ranges multiplies them. What an
 * area cannot say (and what would make too many) leaves the areas wider than the rule, and the item is not
 * settled: the rule's program asks for it again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

static uint64_t upper_mask(unsigned int length)
{
	return length == 0 ? 0 : length >= 64 ? UINT64_MAX : UINT64_MAX << (64 - length);
}

void area_address_mask(uint64_t ret[2], unsigned int length, enum family family)
{
	ret[0] = family == FAMILY_IPV6 ? upper_mask(length) : 0;
	ret[1] = family == FAMILY_IPV6 ? (length > 64 ? upper_mask(length - 64) : 0) : upper_mask(length) >> 32;
}

/* ---- one area ---- */

/* Both prefixes; false where they exclude each other. */
static bool cut_address(uint64_t address[2], uint8_t *length, const uint64_t other[2], uint8_t other_length,
			enum family family)
{
	uint64_t mask[2];

	area_address_mask(mask, *length < other_length ? *length : other_length, family);
	if ((address[0] ^ other[0]) & mask[0] || (address[1] ^ other[1]) & mask[1])
		return false;
	if (other_length > *length) {
		address[0] = other[0];
		address[1] = other[1];
		*length = other_length;
	}
	return true;
}

static bool cut_range(uint16_t range[2], uint32_t lo, uint32_t hi)
{
	if (lo > range[0])
		range[0] = lo;
	if (hi < range[1])
		range[1] = hi;
	return range[0] <= range[1];
}

static bool cut_class(struct area *area, uint32_t mask, uint32_t value)
{
	if ((area->class ^ value) & area->class_mask & mask)
		return false;
	area->class |= value;
	area->class_mask |= mask;
	return true;
}

/* KEY_L4 is value: the protocol is, and its header is in this packet. */
static bool cut_l4(struct area *area, uint32_t value)
{
	return cut_class(area, 0xffu << CLASS_PROTO | 1u << CLASS_L4, value << CLASS_PROTO | 1u << CLASS_L4);
}

static void note_point(struct area *area, uint8_t word, uint32_t mask, uint32_t value)
{
	if (area->n_points < POINTS_MAX)
		area->point[area->n_points++] = (struct point){ word, mask, value };
}

/* ---- what a condition's values become ---- */

enum cut {
	CUT_NONE,
	CUT_SADDR,
	CUT_DADDR,
	CUT_SPORT,
	CUT_DPORT,
	CUT_ICMP,
	CUT_PROTO,
	CUT_NEXTHDR,
	CUT_FAMILY,
	CUT_TCPFLAGS,
	CUT_CT
};

static bool full_masks(const struct place *place)
{
	for (unsigned int i = 0; i < place->n; i++)
		if (place->mask[i] != UINT32_MAX)
			return false;
	return true;
}

static enum cut cut_of(const struct place *place, enum family family)
{
	unsigned int address_words = family == FAMILY_IPV6 ? 4 : 1;

	if (place->n == 1 && place->word[0] == KEY_ICMP)
		return place->mask[0] == 0xff00 ? CUT_ICMP : CUT_NONE;
	if (place->n == 1 && place->word[0] == KEY_TCPFLAGS)
		return CUT_TCPFLAGS;
	if (!full_masks(place))
		return CUT_NONE;
	if (place->n == address_words && family != FAMILY_OTHER) {
		if (place->word[0] == KEY_SADDR0)
			return CUT_SADDR;
		if (place->word[0] == KEY_DADDR0)
			return CUT_DADDR;
	}
	if (place->n != 1)
		return CUT_NONE;
	switch (place->word[0]) {
	case KEY_SPORT:
		return CUT_SPORT;
	case KEY_DPORT:
		return CUT_DPORT;
	case KEY_PROTO:
		return family == FAMILY_OTHER ? CUT_NONE : CUT_PROTO;
	case KEY_NEXTHDR:
		return family == FAMILY_OTHER ? CUT_NONE : CUT_NEXTHDR;
	case KEY_FAMILY:
		return CUT_FAMILY;
	case KEY_CT:
		return CUT_CT;
	default:
		return CUT_NONE;
	}
}

/* One value, range or prefix that a condition allows. */
struct choice {
	uint64_t address[2];
	uint8_t length;
	uint32_t lo, hi;
};

struct choices {
	struct choice *at;
	size_t n, capacity;
};

static int choices_add(struct choices *choices, struct choice choice)
{
	if (choices->n == choices->capacity) {
		size_t capacity = choices->capacity ? choices->capacity * 2 : 4;
		struct choice *at = realloc(choices->at, capacity * sizeof(*at));

		if (!at)
			return -ENOMEM;
		choices->at = at;
		choices->capacity = capacity;
	}
	choices->at[choices->n++] = choice;
	return 0;
}

/* lo ... hi as the fewest prefixes */
static int choices_add_range4(struct choices *choices, uint32_t lo, uint32_t hi)
{
	for (uint64_t at = lo; at <= hi;) {
		unsigned int bits = at ? __builtin_ctzll(at) : 32;
		int r;

		while (bits && at + (UINT64_C(1) << bits) - 1 > hi)
			bits--;
		if (bits > 32)
			bits = 32;
		r = choices_add(choices, (struct choice){ .address = { 0, at }, .length = 32 - bits });
		if (r)
			return r;
		at += UINT64_C(1) << bits;
	}
	return 0;
}

#define CT_MASK 7u /* of the bits of a state */

/* States lo ... hi as the fewest patterns of bits: `hi` of a choice is the mask. No state is behind CT_MAX. */
static int choices_add_states(struct choices *choices, uint32_t lo, uint32_t hi)
{
	if (hi >= CT_MAX - 1)
		hi = CT_MASK;
	for (uint32_t at = lo; at <= hi;) {
		uint32_t size = at ? at & -at : CT_MASK + 1;
		int r;

		while (at + size - 1 > hi)
			size /= 2;
		r = choices_add(choices, (struct choice){ .lo = at, .hi = CT_MASK & ~(size - 1) });
		if (r)
			return r;
		at += size;
	}
	return 0;
}

/* The longest prefix that holds lo ... hi; *ret_exact: and nothing else. */
static struct choice prefix_around(const uint32_t lo[4], const uint32_t hi[4], bool *ret_exact)
{
	struct choice choice = { .address = { (uint64_t)lo[0] << 32 | lo[1], (uint64_t)lo[2] << 32 | lo[3] } };
	uint64_t last[2] = { (uint64_t)hi[0] << 32 | hi[1], (uint64_t)hi[2] << 32 | hi[3] }, rest[2];

	if (choice.address[0] != last[0])
		choice.length = __builtin_clzll(choice.address[0] ^ last[0]);
	else
		choice.length = 64 + (choice.address[1] != last[1] ? __builtin_clzll(choice.address[1] ^ last[1]) : 64);
	rest[0] = ~upper_mask(choice.length);
	rest[1] = choice.length > 64 ? ~upper_mask(choice.length - 64) : UINT64_MAX;
	*ret_exact = !(choice.address[0] & rest[0]) && !(choice.address[1] & rest[1]) &&
		     (last[0] & rest[0]) == rest[0] && (last[1] & rest[1]) == rest[1];
	choice.address[0] &= ~rest[0];
	choice.address[1] &= ~rest[1];
	return choice;
}

/* Protocols behind which looking goes on: what the IP header names is not what is found in the end. */
static bool is_followed(uint32_t proto)
{
	static const uint8_t followed[] = { 0, 43, 44, 51, 60, 135, 139, 140 };

	return memchr(followed, proto, sizeof(followed));
}

/*
 * Everything that a condition allows. *ret_settled: and nothing else. -EDOM: it cannot be said by choices.
 * mask: of the first word.
 */
static int choices_of(struct choices *choices, bool *ret_settled, enum cut cut, const struct spans *spans,
		      uint32_t mask, enum family family)
{
	int r = 0;

	for (size_t i = 0; i < spans->n && r == 0; i++) {
		const uint32_t *lo = spans->at[i].lo, *hi = spans->at[i].hi;
		bool exact = true;

		switch (cut) {
		case CUT_SADDR:
		case CUT_DADDR:
			if (family == FAMILY_IPV4)
				r = choices_add_range4(choices, lo[0], hi[0]);
			else
				r = choices_add(choices, prefix_around(lo, hi, &exact));
			break;
		case CUT_PROTO:
		case CUT_NEXTHDR:
			for (uint32_t value = lo[0]; value <= hi[0] && value < 256 && r == 0; value++)
				r = cut == CUT_NEXTHDR && is_followed(value)
					    ? -EDOM
					    : choices_add(choices, (struct choice){ .lo = value });
			break;
		case CUT_TCPFLAGS:
			r = lo[0] == hi[0] ? choices_add(choices, (struct choice){ .lo = lo[0], .hi = mask & 0xff })
					   : -EDOM;
			break;
		case CUT_ICMP:
			r = choices_add(choices, (struct choice){ .lo = lo[0], .hi = hi[0] | 0xff });
			break;
		case CUT_CT:
			r = choices_add_states(choices, lo[0], hi[0]);
			break;
		case CUT_FAMILY:
			if ((family == FAMILY_IPV4 && lo[0] <= 4 && hi[0] >= 4) ||
			    (family == FAMILY_IPV6 && lo[0] <= 6 && hi[0] >= 6) ||
			    (family == FAMILY_OTHER && lo[0] == 0))
				r = choices_add(choices, (struct choice){ 0 });
			break;
		default:
			r = choices_add(choices, (struct choice){ .lo = lo[0], .hi = hi[0] });
		}
		*ret_settled = *ret_settled && exact;
	}
	return r;
}

/* Prefixes around ranges may hold each other: only those stay that no other one holds, so that areas are disjoint. */
static void choices_drop_nested(struct choices *choices, enum family family)
{
	size_t kept = 0;

	for (size_t i = 0; i < choices->n; i++) {
		bool nested = false;

		for (size_t k = 0; k < choices->n && !nested; k++) {
			struct choice wide = choices->at[k], narrow = choices->at[i];

			nested = k != i && (wide.length < narrow.length || (wide.length == narrow.length && k < i)) &&
				 cut_address(wide.address, &wide.length, narrow.address, narrow.length, family);
		}
		choices->at[i].hi = nested;
	}
	for (size_t i = 0; i < choices->n; i++)
		if (!choices->at[i].hi)
			choices->at[kept++] = choices->at[i];
	choices->n = kept;
}

static bool cut_area(struct area *area, enum cut cut, const struct choice *choice, enum family family)
{
	switch (cut) {
	case CUT_SADDR:
		return cut_address(area->saddr, &area->saddr_len, choice->address, choice->length, family);
	case CUT_DADDR:
		return cut_address(area->daddr, &area->daddr_len, choice->address, choice->length, family);
	case CUT_SPORT:
		return cut_range(area->sport, choice->lo, choice->hi);
	case CUT_DPORT:
	case CUT_ICMP:
		return cut_range(area->dport, choice->lo, choice->hi);
	case CUT_PROTO:
		return cut_class(area, 0xffu << CLASS_PROTO, choice->lo << CLASS_PROTO);
	case CUT_NEXTHDR:
		return cut_class(area, 0xffu << CLASS_PROTO | 1u << CLASS_DIRECT,
				 choice->lo << CLASS_PROTO | 1u << CLASS_DIRECT);
	case CUT_TCPFLAGS:
		return cut_class(area, choice->hi << CLASS_TCPFLAGS, choice->lo << CLASS_TCPFLAGS);
	case CUT_CT:
		return cut_class(area, choice->hi << CLASS_CT, choice->lo << CLASS_CT);
	default:
		return true;
	}
}

/* ---- a rule ---- */

static int areas_push(struct areas *areas, const struct area *area)
{
	if (areas->n == areas->capacity) {
		size_t capacity = areas->capacity ? areas->capacity * 2 : 16;
		struct area *at = realloc(areas->at, capacity * sizeof(*at));

		if (!at)
			return -ENOMEM;
		areas->at = at;
		areas->capacity = capacity;
	}
	areas->at[areas->n++] = *area;
	return 0;
}

/* The areas from `first` on, each cut to each of the choices. */
static int areas_multiply(struct areas *areas, size_t first, enum cut cut, const struct choices *choices,
			  enum family family)
{
	size_t n = areas->n - first, kept = first;
	struct area *before = malloc((n + 1) * sizeof(*before));
	int r = 0;

	if (!before)
		return -ENOMEM;
	memcpy(before, areas->at + first, n * sizeof(*before));
	areas->n = kept;
	for (size_t i = 0; i < n && r == 0; i++) {
		for (size_t k = 0; k < choices->n && r == 0; k++) {
			struct area area = before[i];

			if (cut_area(&area, cut, &choices->at[k], family))
				r = areas_push(areas, &area);
		}
	}
	free(before);
	return r;
}

/* false: no packet of this family, or none at all, is left. *ret_settled: the guards are said by the areas. */
static bool areas_guard(struct areas *areas, size_t first, const struct meaning *m, enum family family,
			bool *ret_settled)
{
	static const uint32_t number[FAMILY_MAX] = { 4, 6, 0 };
	size_t kept = first;

	for (size_t g = 0; g < m->n_guards; g++) {
		const struct guard_test *guard = &m->guard[g];

		if (guard->word == KEY_FAMILY) {
			if (number[family] < guard->lo || number[family] > guard->hi)
				return false;
		} else if (guard->word != KEY_L4 || guard->lo != guard->hi) {
			*ret_settled = false;
		} else if (family == FAMILY_OTHER) {
			return false;
		}
	}
	if (m->ports && family == FAMILY_OTHER)
		return false;
	for (size_t i = first; i < areas->n; i++) {
		struct area area = areas->at[i];
		bool left = true;

		for (size_t g = 0; g < m->n_guards && left; g++)
			if (m->guard[g].word == KEY_L4 && m->guard[g].lo == m->guard[g].hi)
				left = cut_l4(&area, m->guard[g].lo);
		if (left && m->ports)
			left = cut_class(&area, 1u << CLASS_PORTS, 1u << CLASS_PORTS);
		if (left)
			areas->at[kept++] = area;
	}
	areas->n = kept;
	return true;
}

/* Words that must have one value each, for forks that go by such a word. */
static void areas_note_points(struct areas *areas, size_t first, const struct spans *spans, const struct place *place)
{
	for (unsigned int w = 0; spans->n == 1 && w < place->n; w++)
		for (size_t i = first; spans->at[0].lo[w] == spans->at[0].hi[w] && i < areas->n; i++)
			note_point(&areas->at[i], place->word[w], place->mask[w], spans->at[0].lo[w]);
}

static int areas_cut(struct areas *areas, size_t first, const struct meaning *m, enum family family, size_t most,
		     bool *ret_settled)
{
	unsigned int half = m->two && family == FAMILY_IPV6;
	struct choices choices = { 0 };
	enum cut cut;
	int r;

	*ret_settled = true;
	if (!areas_guard(areas, first, m, family, ret_settled)) {
		areas->n = first;
		return 0;
	}
	if (m->is_set) {
		size_t kept = first;
		uint32_t bit;

		if (m->lookup_bit >= CLASS_SETS_BITS) {
			*ret_settled = false;
			return 0;
		}
		bit = 1u << (CLASS_SETS + m->lookup_bit);
		for (size_t i = first; i < areas->n; i++)
			if (cut_class(&areas->at[i], bit, m->negated ? 0 : bit))
				areas->at[kept++] = areas->at[i];
		areas->n = kept;
		return 0;
	}
	cut = cut_of(&m->place[half], family);
	if (cut == CUT_NONE || m->negated) {
		*ret_settled = false;
		if (!m->negated)
			areas_note_points(areas, first, &m->spans[half], &m->place[half]);
		return 0;
	}
	r = choices_of(&choices, ret_settled, cut, &m->spans[half], m->place[half].mask[0], family);
	if (r == 0 && choices.n <= most && !*ret_settled && (cut == CUT_SADDR || cut == CUT_DADDR))
		choices_drop_nested(&choices, family);
	if (r == 0 && choices.n * (areas->n - first) <= most)
		r = areas_multiply(areas, first, cut, &choices, family);
	else
		*ret_settled = false;
	free(choices.at);
	return r == -EDOM ? 0 : r;
}

int areas_add_rule(struct areas *areas, bool *settled, const struct rule *rule, size_t number, enum family family,
		   const struct meaning *meanings, size_t most)
{
	size_t first = areas->n, n = lower_conditions(rule);
	struct area all = { .sport = { 0, UINT16_MAX }, .dport = { 0, UINT16_MAX }, .rule = number };
	int r = areas_push(areas, &all);

	memset(settled, 0, rule->n_items * sizeof(*settled));
	for (size_t i = 0; i < n && r == 0; i++)
		r = areas_cut(areas, first, &meanings[i], family, most, &settled[i]);
	return r;
}
