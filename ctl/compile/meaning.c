// SPDX-License-Identifier: GPL-2.0
/* A condition in the words of the key: which tests must hold first, and which values it asks for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

#define L4_TCP    6
#define L4_UDP    17
#define L4_SCTP   132
#define L4_ICMP   1
#define L4_ICMPV6 58

static void guard(struct meaning *m, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi)
{
	for (size_t i = 0; i < m->n_guards; i++)
		if (m->guard[i].word == word && m->guard[i].mask == mask && m->guard[i].lo == lo &&
		    m->guard[i].hi == hi)
			return;
	m->guard[m->n_guards++] = (struct guard_test){ word, mask, lo, hi };
}

static void guard_bit(struct meaning *m, uint32_t bit)
{
	guard(m, KEY_PRESENT, bit, bit, bit);
}

static void guard_layer(struct meaning *m, enum layer layer)
{
	switch (layer) {
	case LAYER_ANY:
	case LAYER_LINK_OR_IP:
	case LAYER_MAX:
		break;
	case LAYER_LINK:
		guard_bit(m, PRESENT_LINK);
		break;
	case LAYER_VLAN:
		guard_bit(m, PRESENT_VLAN0);
		break;
	case LAYER_VLAN2:
		guard_bit(m, PRESENT_VLAN1);
		break;
	case LAYER_IP_ANY:
		guard(m, KEY_FAMILY, UINT32_MAX, 4, 6);
		break;
	case LAYER_IP4:
		guard(m, KEY_FAMILY, UINT32_MAX, 4, 4);
		break;
	case LAYER_IP6:
		guard(m, KEY_FAMILY, UINT32_MAX, 6, 6);
		break;
	case LAYER_FRAGHDR:
		guard_bit(m, PRESENT_FRAGHDR);
		break;
	case LAYER_TCP:
		guard(m, KEY_L4, UINT32_MAX, L4_TCP, L4_TCP);
		break;
	case LAYER_UDP:
		guard(m, KEY_L4, UINT32_MAX, L4_UDP, L4_UDP);
		break;
	case LAYER_SCTP:
		guard(m, KEY_L4, UINT32_MAX, L4_SCTP, L4_SCTP);
		break;
	case LAYER_PORTS:
		m->ports = true;
		break;
	case LAYER_ICMP:
		guard(m, KEY_FAMILY, UINT32_MAX, 4, 4);
		guard(m, KEY_L4, UINT32_MAX, L4_ICMP, L4_ICMP);
		break;
	case LAYER_ICMPV6:
		guard(m, KEY_FAMILY, UINT32_MAX, 6, 6);
		guard(m, KEY_L4, UINT32_MAX, L4_ICMPV6, L4_ICMPV6);
		break;
	case LAYER_SKUID:
		guard_bit(m, PRESENT_SKUID);
		break;
	}
}

static void place_word(struct place *place, uint8_t word, uint32_t mask, uint8_t shift)
{
	place->word[place->n] = word;
	place->mask[place->n] = mask;
	place->shift[place->n] = shift;
	place->n++;
}

static void place_words(struct place *place, uint8_t first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		place_word(place, first + i, UINT32_MAX, 0);
}

/* Appends the words of a field. Family-neutral addresses: ipv6 says which. */
void place_field(struct place *place, enum field field, enum policy_hook hook, bool ipv6)
{
	switch (field) {
	case FIELD_ETHER_TYPE:
		return place_word(place, KEY_ETYPE, UINT32_MAX, 0);
	case FIELD_ETHER_SADDR:
		return place_words(place, KEY_SMAC0, 2);
	case FIELD_ETHER_DADDR:
		return place_words(place, KEY_DMAC0, 2);
	case FIELD_VLAN_ID:
		return place_word(place, KEY_VLAN0, 0xfff, 0);
	case FIELD_VLAN_PCP:
		return place_word(place, KEY_VLAN0, 0xe000, 13);
	case FIELD_VLAN_INNER_ID:
		return place_word(place, KEY_VLAN1, 0xfff, 0);
	case FIELD_VLAN_INNER_PCP:
		return place_word(place, KEY_VLAN1, 0xe000, 13);
	case FIELD_SADDR:
		return place_words(place, KEY_SADDR0, ipv6 ? 4 : 1);
	case FIELD_DADDR:
		return place_words(place, KEY_DADDR0, ipv6 ? 4 : 1);
	case FIELD_IP_SADDR:
		return place_words(place, KEY_SADDR0, 1);
	case FIELD_IP_DADDR:
		return place_words(place, KEY_DADDR0, 1);
	case FIELD_IP6_SADDR:
		return place_words(place, KEY_SADDR0, 4);
	case FIELD_IP6_DADDR:
		return place_words(place, KEY_DADDR0, 4);
	case FIELD_DSCP:
	case FIELD_IP_DSCP:
	case FIELD_IP6_DSCP:
		return place_word(place, KEY_TOS, 0xfc, 2);
	case FIELD_ECN:
	case FIELD_IP_ECN:
	case FIELD_IP6_ECN:
		return place_word(place, KEY_TOS, 3, 0);
	case FIELD_TTL:
	case FIELD_IP_TTL:
	case FIELD_IP6_HOPLIMIT:
		return place_word(place, KEY_TTL, UINT32_MAX, 0);
	case FIELD_FRAGMENT:
		return place_word(place, KEY_PRESENT, PRESENT_FRAGMENT, __builtin_ctz(PRESENT_FRAGMENT));
	case FIELD_IP_OPTIONS:
	case FIELD_IP6_EXTHDR:
		return place_word(place, KEY_PRESENT, PRESENT_OPTIONS, __builtin_ctz(PRESENT_OPTIONS));
	case FIELD_IP_PROTOCOL:
	case FIELD_IP6_NEXTHDR:
		return place_word(place, KEY_NEXTHDR, UINT32_MAX, 0);
	case FIELD_IP_LENGTH:
	case FIELD_IP6_LENGTH:
		return place_word(place, KEY_IPLEN, UINT32_MAX, 0);
	case FIELD_IP_FRAG_OFF:
		return place_word(place, KEY_FRAG, UINT32_MAX, 0);
	case FIELD_FRAG_OFF:
		return place_word(place, KEY_FRAG, 0xfff8, 3);
	case FIELD_FRAG_MORE:
		return place_word(place, KEY_FRAG, 1, 0);
	case FIELD_TCP_SPORT:
	case FIELD_UDP_SPORT:
	case FIELD_SCTP_SPORT:
	case FIELD_TH_SPORT:
		return place_word(place, KEY_SPORT, UINT32_MAX, 0);
	case FIELD_TCP_DPORT:
	case FIELD_UDP_DPORT:
	case FIELD_SCTP_DPORT:
	case FIELD_TH_DPORT:
		return place_word(place, KEY_DPORT, UINT32_MAX, 0);
	case FIELD_TCP_FLAGS:
		return place_word(place, KEY_TCPFLAGS, UINT32_MAX, 0);
	case FIELD_ICMP_TYPE:
	case FIELD_ICMPV6_TYPE:
		return place_word(place, KEY_ICMP, 0xff00, 8);
	case FIELD_ICMP_CODE:
	case FIELD_ICMPV6_CODE:
		return place_word(place, KEY_ICMP, 0xff, 0);
	case FIELD_META_L4PROTO:
		return place_word(place, KEY_PROTO, UINT32_MAX, 0);
	case FIELD_META_NFPROTO:
		return place_word(place, KEY_FAMILY, UINT32_MAX, 0);
	case FIELD_META_LENGTH:
		return place_word(place, KEY_LENGTH, UINT32_MAX, 0);
	case FIELD_META_MARK:
		return place_word(place, KEY_MARK, UINT32_MAX, 0);
	case FIELD_META_SKUID:
		return place_word(place, KEY_SKUID, UINT32_MAX, 0);
	case FIELD_CT_STATE:
		return place_word(place, KEY_CT, UINT32_MAX, 0);
	case FIELD_IIF:
		return place_word(place, KEY_IIF, UINT32_MAX, 0);
	case FIELD_OIF:
		return place_word(place, KEY_OIF, UINT32_MAX, 0);
	case FIELD_DEVICE:
		return place_word(place, hook == POLICY_TC_EGRESS ? KEY_OIF : KEY_IIF, UINT32_MAX, 0);
	case FIELD_MAX:
		break;
	}
}

/* One part of a concatenation: addresses take their family and four words, so that both families compare alike. */
unsigned int place_part(struct place *place, enum field field, enum value_type type, enum policy_hook hook)
{
	unsigned int before = place->n;

	if (type == TYPE_ADDR) {
		bool destination = field == FIELD_DADDR || field == FIELD_IP_DADDR || field == FIELD_IP6_DADDR;

		place_word(place, KEY_FAMILY, UINT32_MAX, 0);
		place_words(place, destination ? KEY_DADDR0 : KEY_SADDR0, 4);
	} else {
		place_field(place, field, hook, false);
	}
	return place->n - before;
}

/* false: a device that is not there, which no packet comes from */
static bool span_fill(struct span *span, const struct place *place, unsigned int from, const struct range *range,
		      enum value_type type, const struct device_env *devices)
{
	for (unsigned int i = from; i < place->n; i++) {
		uint32_t lo = range->lo.w[i - from], hi = range->hi.w[i - from];

		if (type == TYPE_IFACE) {
			lo = hi = devices[lo].ifindex;
			if (!lo)
				return false;
		}
		span->lo[i] = lo << place->shift[i];
		span->hi[i] = hi << place->shift[i];
	}
	return true;
}

static int meaning_add_values(struct meaning *m, const struct condition *c, const struct device_env *devices)
{
	enum value_type type = field_info[c->field[0]].type;

	for (size_t i = 0; i < c->n_elements; i++) {
		const struct range *range = &c->elements[i].part[0];
		unsigned int half = m->two && range->family == 6;
		struct span span = { 0 };

		if (!span_fill(&span, &m->place[half], 0, range, type, devices))
			continue;
		if (spans_add(&m->spans[half], &span))
			return -ENOMEM;
	}
	return 0;
}

static int meaning_add_tuples(struct meaning *m, const struct condition *c, const struct device_env *devices)
{
	for (size_t i = 0; i < c->n_elements; i++) {
		struct place so_far = m->place[0];
		struct span span = { 0 };
		unsigned int at = 0;
		bool there = true;

		for (unsigned int f = 0; f < c->n_fields && there; f++) {
			const struct range *range = &c->elements[i].part[f];
			enum value_type type = field_info[c->field[f]].type;
			unsigned int words = type == TYPE_ADDR ? 5 : type == TYPE_MAC ? 2 : 1;

			so_far.n = at + words;
			if (type == TYPE_ADDR) {
				span.lo[at] = span.hi[at] = range->family;
				there = span_fill(&span, &so_far, at + 1, range, type, devices);
			} else {
				there = span_fill(&span, &so_far, at, range, type, devices);
			}
			at += words;
		}
		if (there && spans_add(&m->spans[0], &span))
			return -ENOMEM;
	}
	return 0;
}

/* lookup_bit: for a named set, its number among the filter's lookups. -ENOMEM or 0. */
int meaning_of(struct meaning *m, const struct condition *c, enum policy_hook hook, const struct device_env *devices,
	       uint32_t lookup_bit)
{
	enum field field = c->field[0];
	int r;

	memset(m, 0, sizeof(*m));
	m->negated = c->negated;
	for (unsigned int i = 0; i < c->n_fields; i++)
		guard_layer(m, field_info[c->field[i]].layer);
	if (c->set) {
		m->is_set = true;
		m->lookup_bit = lookup_bit;
		return 0;
	}
	if (c->n_fields > 1) {
		for (unsigned int i = 0; i < c->n_fields; i++)
			place_part(&m->place[0], c->field[i], field_info[c->field[i]].type, hook);
		r = meaning_add_tuples(m, c, devices);
	} else {
		m->two = field == FIELD_SADDR || field == FIELD_DADDR;
		place_field(&m->place[0], field, hook, false);
		if (m->two)
			place_field(&m->place[1], field, hook, true);
		if (c->has_mask)
			for (unsigned int half = 0; half <= m->two; half++)
				for (unsigned int i = 0; i < m->place[half].n; i++)
					m->place[half].mask[i] &= c->mask.w[i] << m->place[half].shift[i];
		r = meaning_add_values(m, c, devices);
	}
	if (r)
		return r;
	for (unsigned int half = 0; half <= m->two; half++)
		spans_normalise(&m->spans[half], m->place[half].n);
	return 0;
}

void meaning_clear(struct meaning *m)
{
	free(m->spans[0].at);
	free(m->spans[1].at);
	memset(m->spans, 0, sizeof(m->spans));
}
