// SPDX-License-Identifier: GPL-2.0
/*
 * Conditions that nobody wrote: what a limit, a reject or a synproxy needs of a packet. With them in the rule, nobody
 * behind the parser has to know that a limit is of packets that have its key, or that a reset answers TCP.
 */
#include "lang.h"

/* A packet of this layer is one of that layer, too; LAYER_ANY ends it. */
static const enum layer within[LAYER_MAX] = {
	[LAYER_VLAN2] = LAYER_VLAN,  [LAYER_IP4] = LAYER_IP_ANY,   [LAYER_IP6] = LAYER_IP_ANY,
	[LAYER_FRAGHDR] = LAYER_IP6, [LAYER_TCP] = LAYER_PORTS,    [LAYER_UDP] = LAYER_PORTS,
	[LAYER_SCTP] = LAYER_PORTS,  [LAYER_PORTS] = LAYER_IP_ANY, [LAYER_ICMP] = LAYER_IP4,
	[LAYER_ICMPV6] = LAYER_IP6,
};

static bool fields_have(const enum field *fields, size_t n, enum layer layer)
{
	for (size_t i = 0; i < n; i++)
		for (enum layer at = field_info[fields[i]].layer; at != LAYER_ANY; at = within[at])
			if (at == layer)
				return true;
	return false;
}

/* A condition on a field fails where the field is not, so whatever it asks for, its packets have the layer. */
static bool items_have(const struct item *items, size_t n, enum layer layer)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].kind == ITEM_CONDITION &&
		    fields_have(items[i].condition.field, items[i].condition.n_fields, layer))
			return true;
	return false;
}

static struct condition implied(struct lang *l, enum field field, size_t n, struct location loc)
{
	struct condition c = { .loc = loc, .n_fields = 1, .field = { field }, .n_elements = n, .implied = true };

	c.elements = arena_alloc(l->arena, n * sizeof(*c.elements));
	for (size_t i = 0; i < n; i++) {
		c.elements[i].loc = loc;
		c.elements[i].part = arena_alloc(l->arena, sizeof(*c.elements[i].part));
	}
	return c;
}

static void set_value(const struct condition *c, size_t element, uint32_t number)
{
	struct range *r = c->elements[element].part;

	r->prefix_len = (uint8_t)field_info[c->field[0]].bits;
	r->lo.w[0] = r->hi.w[0] = number;
}

/* The field has any value. */
static struct condition has_field(struct lang *l, enum field field, struct location loc)
{
	struct condition c = implied(l, field, 1, loc);
	struct range *r = c.elements[0].part;
	unsigned int bits = field_info[field].bits;

	r->prefix_len = 255;
	r->hi.w[0] = value_bits_mask(bits);
	if (bits > 32) /* a MAC address */
		r->hi.w[1] = value_bits_mask(bits - 32);
	return c;
}

bool imply_key_field(struct lang *l, const struct item *items, size_t n, const struct limit_rate *limit, size_t field,
		     struct condition *ret)
{
	enum layer layer = field_info[limit->field[field]].layer;
	bool both = layer == LAYER_IP_ANY;

	if (layer == LAYER_ANY || layer == LAYER_LINK_OR_IP || fields_have(limit->field, field, layer) ||
	    items_have(items, n, layer))
		return false;
	if (!both && layer != LAYER_IP4 && layer != LAYER_IP6) {
		*ret = has_field(l, limit->field[field], limit->loc);
		return true;
	}
	*ret = implied(l, FIELD_META_NFPROTO, both ? 2 : 1, limit->loc);
	set_value(ret, 0, layer == LAYER_IP6 ? 6 : 4);
	if (both)
		set_value(ret, 1, 6);
	return true;
}

bool imply_verdict(struct lang *l, const struct item *items, size_t n, const struct rule *rule, struct location loc,
		   struct condition *ret)
{
	bool tcp = rule->verdict == POLICY_SYNPROXY || rule->reject.kind == REJECT_WITH_TCP_RESET;
	uint8_t family = rule->reject.family;

	if (!tcp && !family) /* anything; what is not IP gets no answer */
		return false;
	if (items_have(items, n, tcp ? LAYER_TCP : family == 4 ? LAYER_IP4 : LAYER_IP6))
		return false;
	*ret = implied(l, tcp ? FIELD_META_L4PROTO : FIELD_META_NFPROTO, 1, loc);
	set_value(ret, 0, tcp ? 6 : family);
	return true;
}
