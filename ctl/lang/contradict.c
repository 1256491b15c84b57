// SPDX-License-Identifier: GPL-2.0
/*
 * Conditions of one rule that exclude each other. Only what is certain: a warning that is wrong once is never
 * read again. That one rule covers another is the compiler's business.
 */
#include <string.h>

#include "lang.h"

/* What a packet may still be after the conditions so far. */
enum {
	KIND_V4 = 1 << 0,
	KIND_V6 = 1 << 1,
	KIND_NOT_IP = 1 << 2,
	KIND_ANY_FAMILY = KIND_V4 | KIND_V6 | KIND_NOT_IP,
};

enum {
	L4_TCP = 1 << 0,
	L4_UDP = 1 << 1,
	L4_SCTP = 1 << 2,
	L4_ICMP = 1 << 3,
	L4_ICMPV6 = 1 << 4,
	L4_OTHER = 1 << 5,
	L4_ANY = (1 << 6) - 1,
};

struct narrowed {
	unsigned int left;
	struct location by; /* the condition that narrowed it last */
};

struct facts {
	struct narrowed family, l4;
	const struct condition *last[FIELD_MAX];
	bool warned;
};

#define SEARCH_MOST 64 /* lists longer than this are not compared with each other */

static unsigned int l4_of_proto(uint32_t proto)
{
	switch (proto) {
	case 6:
		return L4_TCP;
	case 17:
		return L4_UDP;
	case 132:
		return L4_SCTP;
	case 1:
		return L4_ICMP;
	case 58:
		return L4_ICMPV6;
	default:
		return L4_OTHER;
	}
}

static void layer_needs(enum layer layer, unsigned int *family, unsigned int *l4)
{
	static const struct {
		unsigned int family, l4;
	} needs[LAYER_MAX] = {
		[LAYER_IP_ANY] = { KIND_V4 | KIND_V6, L4_ANY },
		[LAYER_IP4] = { KIND_V4, L4_ANY },
		[LAYER_IP6] = { KIND_V6, L4_ANY },
		[LAYER_FRAGHDR] = { KIND_V6, L4_ANY },
		[LAYER_TCP] = { KIND_V4 | KIND_V6, L4_TCP },
		[LAYER_UDP] = { KIND_V4 | KIND_V6, L4_UDP },
		[LAYER_SCTP] = { KIND_V4 | KIND_V6, L4_SCTP },
		[LAYER_PORTS] = { KIND_V4 | KIND_V6, L4_TCP | L4_UDP | L4_SCTP },
		[LAYER_ICMP] = { KIND_V4, L4_ICMP },
		[LAYER_ICMPV6] = { KIND_V6, L4_ICMPV6 },
	};

	if (needs[layer].l4) {
		*family &= needs[layer].family;
		*l4 &= needs[layer].l4;
	}
}

/* What the condition's values leave, where it is a plain one. */
static void values_need(const struct condition *c, unsigned int *family, unsigned int *l4)
{
	unsigned int families = 0, protos = 0;
	enum field field = c->field[0];

	if (c->n_fields != 1 || c->negated || c->has_mask || c->set || c->n_elements > SEARCH_MOST || !c->n_elements)
		return;
	for (size_t i = 0; i < c->n_elements; i++) {
		const struct range *r = c->elements[i].part;

		switch (field) {
		case FIELD_SADDR:
		case FIELD_DADDR:
			families |= r->family == 4 ? KIND_V4 : KIND_V6;
			break;
		case FIELD_META_NFPROTO:
			families |= r->lo.w[0] == 4 ? KIND_V4 : r->lo.w[0] == 6 ? KIND_V6 : 0;
			break;
		case FIELD_CT_STATE: /* what is not IP is untracked */
			families |= r->lo.w[0] == POLICY_CT_UNTRACKED ? KIND_ANY_FAMILY : KIND_V4 | KIND_V6;
			break;
		case FIELD_ETHER_TYPE:
			if (value_compare(&r->lo, &r->hi))
				return;
			families |= r->lo.w[0] == 0x0800 ? KIND_V4 : r->lo.w[0] == 0x86dd ? KIND_V6 : KIND_NOT_IP;
			break;
		case FIELD_META_L4PROTO:
			if (value_compare(&r->lo, &r->hi))
				return;
			protos |= l4_of_proto(r->lo.w[0]);
			break;
		default:
			return;
		}
	}
	if (field == FIELD_META_L4PROTO)
		*l4 &= protos;
	else
		*family &= families;
}

static void never(struct lang *l, struct facts *facts, const struct condition *c, struct location other)
{
	if (facts->warned)
		return;
	facts->warned = true;
	diag_warning(l->diag, c->loc, "this rule can never match: its conditions exclude each other");
	diag_other(l->diag, other);
}

static void narrow(struct lang *l, struct facts *facts, struct narrowed *n, unsigned int needs, unsigned int any,
		   const struct condition *c)
{
	if (!(n->left & needs)) {
		never(l, facts, c, n->by);
		return;
	}
	if ((needs & any) == any || (n->left & needs) == n->left)
		return;
	n->left &= needs;
	n->by = c->loc;
}

static bool overlap(const struct range *a, const struct range *b)
{
	return a->family == b->family && value_compare(&a->lo, &b->hi) <= 0 && value_compare(&b->lo, &a->hi) <= 0;
}

static bool inside(const struct range *a, const struct range *b)
{
	return a->family == b->family && value_compare(&a->lo, &b->lo) >= 0 && value_compare(&a->hi, &b->hi) <= 0;
}

/* Two conditions on one field: no value is in both. */
static bool exclude(const struct condition *a, const struct condition *b)
{
	if (a->negated && b->negated)
		return false;
	if (b->negated) {
		const struct condition *swap = a;

		a = b;
		b = swap;
	}
	/* b is positive; each of its values must be refused by a. */
	for (size_t i = 0; i < b->n_elements; i++) {
		bool refused = !a->negated;

		for (size_t j = 0; j < a->n_elements; j++) {
			if (a->negated)
				refused |= inside(b->elements[i].part, a->elements[j].part);
			else
				refused &= !overlap(b->elements[i].part, a->elements[j].part);
		}
		if (!refused)
			return false;
	}
	return true;
}

static void compare_field(struct lang *l, struct facts *facts, const struct condition *c)
{
	const struct condition *last;

	if (c->n_fields != 1 || c->has_mask || !c->n_elements || c->n_elements > SEARCH_MOST)
		return;
	if (c->set)
		return;
	last = facts->last[c->field[0]];
	facts->last[c->field[0]] = c;
	if (last && exclude(last, c))
		never(l, facts, c, last->loc);
}

void contradict_rule(struct lang *l, const struct rule *rule)
{
	struct facts facts = { .family.left = KIND_ANY_FAMILY, .l4.left = L4_ANY };

	if (rule->n_items < 2)
		return;
	for (size_t i = 0; i < rule->n_items; i++) {
		const struct condition *c = &rule->items[i].condition;
		unsigned int family = KIND_ANY_FAMILY, l4 = L4_ANY;

		if (rule->items[i].kind != ITEM_CONDITION)
			continue;
		for (size_t f = 0; f < c->n_fields; f++)
			layer_needs(field_info[c->field[f]].layer, &family, &l4);
		values_need(c, &family, &l4);
		narrow(l, &facts, &facts.family, family, KIND_ANY_FAMILY, c);
		narrow(l, &facts, &facts.l4, l4, L4_ANY, c);
		compare_field(l, &facts, c);
	}
}
