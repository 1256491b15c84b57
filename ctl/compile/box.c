// SPDX-License-Identifier: GPL-2.0
/* The smallest range of each key word around what a rule can match: what follows from it follows from the rule. */
#include <string.h>

#include "program.h"

static const uint8_t box_word[BOX_DIMENSIONS] = {
	KEY_FAMILY, KEY_L4,     KEY_SADDR0, KEY_DADDR0, KEY_SPORT, KEY_DPORT, KEY_SADDR1, KEY_DADDR1, KEY_SADDR2,
	KEY_DADDR2, KEY_SADDR3, KEY_DADDR3, KEY_PROTO,  KEY_ETYPE, KEY_IIF,   KEY_OIF,    KEY_ICMP,   KEY_VLAN0,
};

static int dimension_of(uint8_t word)
{
	for (int d = 0; d < BOX_DIMENSIONS; d++)
		if (box_word[d] == word)
			return d;
	return -1;
}

/* Bits of the word that can be set at all; what a mask leaves out below them may be anything. */
static uint32_t word_domain(uint8_t word)
{
	switch (word) {
	case KEY_SPORT:
	case KEY_DPORT:
	case KEY_ETYPE:
	case KEY_ICMP:
	case KEY_VLAN0:
		return 0xffff;
	default:
		return UINT32_MAX;
	}
}

static void box_narrow(struct box *box, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi)
{
	uint32_t below = word_domain(word) & ~mask;
	int d = dimension_of(word);

	/* Only where the mask leaves out nothing but low bits are the matching values one range. */
	if (d < 0 || (below & (below + 1)) || (lo & below) || (hi & below))
		return;
	hi |= below;
	if (lo > box->lo[d])
		box->lo[d] = lo;
	if (hi < box->hi[d])
		box->hi[d] = hi;
}

/* The smallest ranges, word by word, around all spans; a word behind one that is not a point is left open. */
static void box_narrow_spans(struct box *box, const struct spans *spans, const struct place *place)
{
	if (spans->n == 0)
		return; /* it matches nothing, and has no area */
	for (unsigned int w = 0; w < place->n; w++) {
		uint32_t lo = UINT32_MAX, hi = 0;

		for (size_t i = 0; i < spans->n; i++) {
			if (spans->at[i].lo[w] < lo)
				lo = spans->at[i].lo[w];
			if (spans->at[i].hi[w] > hi)
				hi = spans->at[i].hi[w];
		}
		box_narrow(box, place->word[w], place->mask[w], lo, hi);
		if (lo != hi)
			return;
	}
}

static void box_narrow_meaning(struct box *box, const struct meaning *m)
{
	for (size_t i = 0; i < m->n_guards; i++)
		box_narrow(box, m->guard[i].word, m->guard[i].mask, m->guard[i].lo, m->guard[i].hi);
	if (m->ports)
		box_narrow(box, KEY_L4, UINT32_MAX, 6, 132);
	if (m->is_set || m->negated)
		return;
	if (!m->two) {
		box_narrow_spans(box, &m->spans[0], &m->place[0]);
	} else if (!m->spans[0].n || !m->spans[1].n) {
		unsigned int half = m->spans[1].n ? 1 : 0;

		box_narrow(box, KEY_FAMILY, UINT32_MAX, half ? 6 : 4, half ? 6 : 4);
		box_narrow_spans(box, &m->spans[half], &m->place[half]);
	}
}

/* What is left of everything when the rule's conditions before its first statement hold. */
void box_of_rule(struct box *box, const struct rule *rule, const struct meaning *meanings)
{
	memset(box->lo, 0, sizeof(box->lo));
	memset(box->hi, 0xff, sizeof(box->hi));
	for (size_t i = 0; i < lower_conditions(rule); i++)
		box_narrow_meaning(box, &meanings[i]);
}

/* Is the word of every packet in the box in [lo, hi]? */
bool box_within(const struct box *box, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi)
{
	int d = mask == UINT32_MAX ? dimension_of(word) : -1;

	return d >= 0 && box->lo[d] >= lo && box->hi[d] <= hi;
}
