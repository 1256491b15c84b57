// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* ---- the packet, as fields that are there or not ---- */

#define MOST_TAGS       2
#define MOST_EXTENSIONS 8

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_AH = 51, PROTO_ICMPV6 = 58, PROTO_SCTP = 132 };

struct fragment {
	bool any;   /* a part of a packet */
	bool later; /* and not the first part */
	unsigned int offset, more;
};

struct packet {
	const struct model_frame *frame;
	unsigned int etype;
	unsigned int n_tags, tag[MOST_TAGS];
	size_t l3;           /* where the network header starts */
	size_t end;          /* where the IP packet ends: what is behind it is padding */
	unsigned int family; /* 4, 6, or 0: not IP */
	struct fragment fragment;
	bool has_fragment_header; /* IPv6 */
	bool has_options;         /* IPv4 */
	bool has_extensions;      /* IPv6 */
	unsigned int proto;       /* behind all extension headers */
	bool has_transport;       /* its header is in this packet */
	size_t l4;
};

static unsigned int byte_at(const struct packet *p, size_t at)
{
	return at < p->frame->length ? p->frame->bytes[at] : 0;
}

static unsigned int half_at(const struct packet *p, size_t at)
{
	return byte_at(p, at) << 8 | byte_at(p, at + 1);
}

static uint32_t word_at(const struct packet *p, size_t at)
{
	return (uint32_t)half_at(p, at) << 16 | half_at(p, at + 2);
}

/* The bytes up to `at` are not at hand: the frame ends before, or a capture has cut it. */
static bool ends_before(const struct packet *p, size_t at)
{
	return p->frame->length < at;
}

/* Each reader returns REASON_RULE for "well-formed so far" or the reason why the packet is malformed. */
#define FINE REASON_RULE

static enum reason read_link(struct packet *p)
{
	if (ends_before(p, 14))
		return REASON_TRUNCATED;
	p->etype = half_at(p, 12);
	p->l3 = 14;
	while (p->etype == 0x8100 || p->etype == 0x88a8) {
		if (ends_before(p, p->l3 + 4))
			return REASON_TRUNCATED;
		if (p->n_tags == MOST_TAGS)
			return REASON_TOO_MANY_TAGS;
		p->tag[p->n_tags++] = half_at(p, p->l3);
		p->etype = half_at(p, p->l3 + 2);
		p->l3 += 4;
	}
	return FINE;
}

static bool is_extension(const struct packet *p, unsigned int proto)
{
	if (p->family == 4)
		return proto == PROTO_AH;
	switch (proto) {
	case 0:   /* hop-by-hop */
	case 43:  /* routing */
	case 44:  /* fragment */
	case 51:  /* authentication */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 139: /* host identity */
	case 140: /* shim6 */
		return true;
	default:
		return false;
	}
}

/* Walks from header to header, the first of which starts at `at`, to the transport protocol. */
static enum reason read_chain(struct packet *p, unsigned int proto, size_t at)
{
	unsigned int n = 0;

	while (is_extension(p, proto)) {
		size_t length;

		if (n++ == MOST_EXTENSIONS)
			return REASON_CHAIN_LENGTH;
		if (at + 8 > p->end)
			return REASON_CHAIN_END;
		if (ends_before(p, at + 8))
			return REASON_TRUNCATED;
		if (proto == 44)
			length = 8;
		else if (proto == PROTO_AH)
			length = (byte_at(p, at + 1) + 2) * 4;
		else
			length = (byte_at(p, at + 1) + 1) * 8;
		if (at + length > p->end)
			return REASON_CHAIN_END;
		p->has_extensions = p->family == 6;
		if (proto == 44) {
			p->has_fragment_header = true;
			p->fragment.offset = half_at(p, at + 2) >> 3;
			p->fragment.more = half_at(p, at + 2) & 1;
			if (p->fragment.offset || p->fragment.more)
				p->fragment.any = true;
			if (p->fragment.offset) {
				p->fragment.later = true;
				p->proto = byte_at(p, at);
				return FINE;
			}
		}
		proto = byte_at(p, at);
		at += length;
	}
	p->proto = proto;
	p->l4 = at;
	return FINE;
}

static enum reason read_ipv4(struct packet *p)
{
	size_t in_frame = p->frame->wire_length - p->l3, header, total;
	unsigned int fragment_word;

	if (ends_before(p, p->l3 + 20))
		return REASON_TRUNCATED;
	p->family = 4;
	if (byte_at(p, p->l3) >> 4 != 4)
		return REASON_BAD_VERSION;
	header = (byte_at(p, p->l3) & 15) * 4;
	if (header < 20 || header > in_frame)
		return REASON_BAD_IHL;
	total = half_at(p, p->l3 + 2);
	if (total == 0 && in_frame > 65535)
		total = in_frame; /* BIG TCP */
	if (total < header || total > in_frame)
		return REASON_BAD_LENGTH;
	p->end = p->l3 + total;
	p->has_options = header > 20;

	fragment_word = half_at(p, p->l3 + 6);
	p->fragment.offset = fragment_word & 0x1fff;
	p->fragment.more = !!(fragment_word & 0x2000);
	p->fragment.any = p->fragment.offset || p->fragment.more;
	p->fragment.later = p->fragment.offset;
	if (p->fragment.offset == 1)
		return REASON_FRAGMENT_OFFSET;
	p->proto = byte_at(p, p->l3 + 9);
	if (p->fragment.later)
		return FINE;
	return read_chain(p, p->proto, p->l3 + header);
}

static enum reason read_ipv6(struct packet *p)
{
	size_t in_frame = p->frame->wire_length - p->l3, payload;

	if (ends_before(p, p->l3 + 40))
		return REASON_TRUNCATED;
	p->family = 6;
	if (byte_at(p, p->l3) >> 4 != 6)
		return REASON_BAD_VERSION;
	payload = half_at(p, p->l3 + 4);
	if (payload == 0 && in_frame - 40 > 65535)
		payload = in_frame - 40; /* BIG TCP */
	if (payload > in_frame - 40)
		return REASON_BAD_LENGTH;
	p->end = p->l3 + 40 + payload;
	return read_chain(p, byte_at(p, p->l3 + 6), p->l3 + 40);
}

static enum reason read_transport(struct packet *p)
{
	enum reason too_short = p->fragment.any ? REASON_TINY_FRAGMENT : REASON_TRUNCATED;
	size_t left = p->end - p->l4, least, data_offset;

	switch (p->proto) {
	case PROTO_TCP:
		least = 20;
		break;
	case PROTO_SCTP:
		least = 12;
		break;
	case PROTO_UDP:
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		least = 8;
		break;
	default:
		return FINE;
	}
	if (left < least)
		return too_short;
	if (ends_before(p, p->l4 + (p->proto == PROTO_TCP ? 20 : 8)))
		return too_short;
	if (p->proto == PROTO_TCP) {
		data_offset = (byte_at(p, p->l4 + 12) >> 4) * 4;
		if (data_offset < 20)
			return REASON_BAD_DOFF;
		if (data_offset > left)
			return p->fragment.any ? REASON_TINY_FRAGMENT : REASON_BAD_DOFF;
	}
	p->has_transport = true;
	return FINE;
}

static enum reason read_packet(struct packet *p)
{
	enum reason reason = read_link(p);

	if (reason != FINE)
		return reason;
	if (p->etype == 0x0800)
		reason = read_ipv4(p);
	else if (p->etype == 0x86dd)
		reason = read_ipv6(p);
	else
		return FINE;
	if (reason != FINE || p->fragment.later)
		return reason;
	return read_transport(p);
}

/* ---- the fields of the language ---- */

static bool has_ports(const struct packet *p)
{
	return p->proto == PROTO_TCP || p->proto == PROTO_UDP || p->proto == PROTO_SCTP;
}

static bool layer_is_there(const struct packet *p, enum layer layer)
{
	switch (layer) {
	case LAYER_ANY:
	case LAYER_LINK: /* the model judges Ethernet frames only */
	case LAYER_LINK_OR_IP:
		return true;
	case LAYER_VLAN:
		return p->n_tags >= 1;
	case LAYER_VLAN2:
		return p->n_tags >= 2;
	case LAYER_IP_ANY:
		return p->family != 0;
	case LAYER_IP4:
		return p->family == 4;
	case LAYER_IP6:
		return p->family == 6;
	case LAYER_FRAGHDR:
		return p->has_fragment_header;
	case LAYER_TCP:
		return p->has_transport && p->proto == PROTO_TCP;
	case LAYER_UDP:
		return p->has_transport && p->proto == PROTO_UDP;
	case LAYER_SCTP:
		return p->has_transport && p->proto == PROTO_SCTP;
	case LAYER_PORTS:
		return p->has_transport && has_ports(p);
	case LAYER_ICMP:
		return p->has_transport && p->proto == PROTO_ICMP && p->family == 4;
	case LAYER_ICMPV6:
		return p->has_transport && p->proto == PROTO_ICMPV6 && p->family == 6;
	case LAYER_SKUID:
		return p->frame->skuid >= 0;
	case LAYER_MAX:
		break;
	}
	abort();
}

struct field_value {
	unsigned int family; /* of an address */
	struct value value;
};

static struct field_value number(uint32_t n)
{
	return (struct field_value){ .value.w[0] = n };
}

static struct field_value mac_at(const struct packet *p, size_t at)
{
	return (struct field_value){ .value.w = { word_at(p, at), half_at(p, at + 4) } };
}

static struct field_value address(const struct packet *p, size_t at_ipv4, size_t at_ipv6)
{
	struct field_value v = { .family = p->family };

	if (p->family == 4)
		v.value.w[0] = word_at(p, p->l3 + at_ipv4);
	else
		for (unsigned int i = 0; i < 4; i++)
			v.value.w[i] = word_at(p, p->l3 + at_ipv6 + 4 * i);
	return v;
}

/* DSCP and ECN together: the second byte of IPv4, bits 4 to 11 of IPv6. */
static unsigned int traffic_class(const struct packet *p)
{
	return p->family == 4 ? byte_at(p, p->l3 + 1) : half_at(p, p->l3) >> 4 & 0xff;
}

/* A device that nobody names: different from every device of the policy. */
#define NO_DEVICE 0xffffffffu

static uint32_t incoming_device(const struct packet *p)
{
	if (p->frame->hook != POLICY_TC_EGRESS)
		return p->frame->device;
	return p->frame->iif >= 0 ? (uint32_t)p->frame->iif : NO_DEVICE;
}

static struct field_value read_field(const struct packet *p, enum field field)
{
	switch (field) {
	case FIELD_ETHER_TYPE:
		return number(p->etype);
	case FIELD_ETHER_DADDR:
		return mac_at(p, 0);
	case FIELD_ETHER_SADDR:
		return mac_at(p, 6);
	case FIELD_VLAN_ID:
		return number(p->tag[0] & 0xfff);
	case FIELD_VLAN_PCP:
		return number(p->tag[0] >> 13);
	case FIELD_VLAN_INNER_ID:
		return number(p->tag[1] & 0xfff);
	case FIELD_VLAN_INNER_PCP:
		return number(p->tag[1] >> 13);
	case FIELD_SADDR:
	case FIELD_IP_SADDR:
	case FIELD_IP6_SADDR:
		return address(p, 12, 8);
	case FIELD_DADDR:
	case FIELD_IP_DADDR:
	case FIELD_IP6_DADDR:
		return address(p, 16, 24);
	case FIELD_DSCP:
	case FIELD_IP_DSCP:
	case FIELD_IP6_DSCP:
		return number(traffic_class(p) >> 2);
	case FIELD_ECN:
	case FIELD_IP_ECN:
	case FIELD_IP6_ECN:
		return number(traffic_class(p) & 3);
	case FIELD_TTL:
	case FIELD_IP_TTL:
	case FIELD_IP6_HOPLIMIT:
		return number(byte_at(p, p->l3 + (p->family == 4 ? 8 : 7)));
	case FIELD_FRAGMENT:
		return number(p->fragment.any);
	case FIELD_IP_PROTOCOL:
		return number(byte_at(p, p->l3 + 9));
	case FIELD_IP6_NEXTHDR:
		return number(byte_at(p, p->l3 + 6));
	case FIELD_IP_LENGTH:
		return number(half_at(p, p->l3 + 2));
	case FIELD_IP6_LENGTH:
		return number(half_at(p, p->l3 + 4));
	case FIELD_IP_FRAG_OFF:
		return number(half_at(p, p->l3 + 6));
	case FIELD_IP_OPTIONS:
		return number(p->has_options);
	case FIELD_IP6_EXTHDR:
		return number(p->has_extensions);
	case FIELD_FRAG_OFF:
		return number(p->fragment.offset);
	case FIELD_FRAG_MORE:
		return number(p->fragment.more);
	case FIELD_TCP_SPORT:
	case FIELD_UDP_SPORT:
	case FIELD_SCTP_SPORT:
	case FIELD_TH_SPORT:
		return number(half_at(p, p->l4));
	case FIELD_TCP_DPORT:
	case FIELD_UDP_DPORT:
	case FIELD_SCTP_DPORT:
	case FIELD_TH_DPORT:
		return number(half_at(p, p->l4 + 2));
	case FIELD_TCP_FLAGS:
		return number(byte_at(p, p->l4 + 13));
	case FIELD_ICMP_TYPE:
	case FIELD_ICMPV6_TYPE:
		return number(byte_at(p, p->l4));
	case FIELD_ICMP_CODE:
	case FIELD_ICMPV6_CODE:
		return number(byte_at(p, p->l4 + 1));
	case FIELD_META_L4PROTO:
		return number(p->proto);
	case FIELD_META_NFPROTO:
		return number(p->family);
	case FIELD_META_LENGTH:
		return number(p->frame->wire_length - p->l3);
	case FIELD_META_MARK:
		return number(p->frame->mark);
	case FIELD_META_SKUID:
		return number(p->frame->skuid);
	case FIELD_IIF:
		return number(incoming_device(p));
	case FIELD_OIF:
	case FIELD_DEVICE:
		return number(p->frame->device);
	case FIELD_MAX:
		break;
	}
	abort();
}

/* ---- conditions ---- */

static int compare_values(const struct value *a, const struct value *b)
{
	for (unsigned int i = 0; i < 4; i++)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

static bool in_range(const struct field_value *v, const struct range *range)
{
	return v->family == range->family && compare_values(&range->lo, &v->value) <= 0 &&
	       compare_values(&v->value, &range->hi) <= 0;
}

static bool in_elements(const struct field_value *v, unsigned int n_fields, const struct element *elements, size_t n)
{
	for (size_t e = 0; e < n; e++) {
		unsigned int i = 0;

		while (i < n_fields && in_range(&v[i], &elements[e].part[i]))
			i++;
		if (i == n_fields)
			return true;
	}
	return false;
}

static bool condition_holds(const struct packet *p, const struct condition *c)
{
	struct field_value v[CONCAT_MAX];
	bool found;

	for (unsigned int i = 0; i < c->n_fields; i++) {
		if (!layer_is_there(p, field_info[c->field[i]].layer))
			return false;
		v[i] = read_field(p, c->field[i]);
	}
	if (c->has_mask)
		for (unsigned int i = 0; i < 4; i++)
			v[0].value.w[i] &= c->mask.w[i];
	if (c->set)
		found = in_elements(v, c->n_fields, c->set->elements, c->set->n_elements);
	else
		found = in_elements(v, c->n_fields, c->elements, c->n_elements);
	return found != c->negated;
}

/* ---- filters ---- */

struct judging {
	const struct policy *policy;
	const struct packet *packet;
	const struct filter *filter;
	struct model_result result;
	struct model_counters *counters;
};

static void count(const struct judging *j, struct model_count *sum)
{
	sum->packets++;
	sum->bytes += j->packet->frame->wire_length;
}

static struct model_result decide(struct judging *j, enum policy_verdict verdict, enum reason reason)
{
	j->result.verdict = verdict;
	j->result.reason = reason;
	if (j->counters && j->result.filter >= 0) {
		count(j, &j->counters->reason[j->result.filter][reason]);
		if (j->result.rule >= 0)
			count(j, &j->counters->rule[j->result.filter][j->result.rule]);
	}
	return j->result;
}

/* True where all conditions held. Counts what stands before the first that fails. */
static bool rule_applies(struct judging *j, size_t number_of_rule)
{
	const struct rule *rule = &j->filter->rules[number_of_rule];

	for (size_t i = 0; i < rule->n_items; i++) {
		const struct item *item = &rule->items[i];

		if (item->kind == ITEM_CONDITION && !condition_holds(j->packet, &item->condition))
			return false;
		if (item->kind == ITEM_COUNTER && j->counters) {
			if (item->counter.named >= 0)
				count(j, &j->counters->named[item->counter.named]);
			else
				count(j, &j->counters->own[j->result.filter][number_of_rule]);
		}
	}
	return true;
}

static struct model_result judge_by_rules(struct judging *j)
{
	const struct fragment *fragment = &j->packet->fragment;

	for (size_t i = 0; i < j->filter->n_rules; i++) {
		const struct rule *rule = &j->filter->rules[i];

		if (!rule_applies(j, i) || rule->verdict == POLICY_NONE)
			continue;
		j->result.rule = (int)i;
		if (rule->verdict == POLICY_REDIRECT)
			j->result.redirect = (int)rule->redirect;
		return decide(j, rule->verdict, REASON_RULE);
	}
	if (fragment->later && j->filter->fragments == POLICY_ACCEPT)
		return decide(j, POLICY_ACCEPT, REASON_FRAGMENT);
	return decide(j, j->filter->default_verdict, REASON_DEFAULT);
}

static int find_filter(const struct policy *policy, const struct model_frame *frame)
{
	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		if (filter->hook != frame->hook)
			continue;
		for (size_t d = 0; d < filter->n_devices; d++)
			if ((int)filter->devices[d].device == frame->device)
				return (int)f;
	}
	return MODEL_NONE;
}

struct model_result model_judge(const struct policy *policy, const struct model_frame *frame,
				struct model_counters *counters)
{
	struct packet packet = { .frame = frame };
	struct judging j = {
		.policy = policy,
		.packet = &packet,
		.result = { .filter = find_filter(policy, frame), .rule = MODEL_NONE, .redirect = MODEL_NONE },
		.counters = counters,
	};
	enum reason malformed;

	if (j.result.filter == MODEL_NONE)
		return decide(&j, POLICY_ACCEPT, REASON_UNBOUND);
	j.filter = &policy->filters[j.result.filter];
	malformed = read_packet(&packet);
	if (malformed != FINE)
		return decide(&j, j.filter->malformed, malformed);
	if (packet.fragment.any && j.filter->fragments == POLICY_DROP)
		return decide(&j, POLICY_DROP, REASON_FRAGMENT);
	return judge_by_rules(&j);
}

/* ---- counters and words ---- */

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct model_counters *model_counters_new(const struct policy *policy)
{
	struct model_counters *c = must(calloc(1, sizeof(*c)));

	c->n_filters = policy->n_filters;
	c->reason = must(calloc(policy->n_filters + 1, sizeof(*c->reason)));
	c->rule = must(calloc(policy->n_filters + 1, sizeof(*c->rule)));
	c->own = must(calloc(policy->n_filters + 1, sizeof(*c->own)));
	c->named = must(calloc(policy->n_counters + 1, sizeof(*c->named)));
	for (size_t f = 0; f < policy->n_filters; f++) {
		c->rule[f] = must(calloc(policy->filters[f].n_rules + 1, sizeof(**c->rule)));
		c->own[f] = must(calloc(policy->filters[f].n_rules + 1, sizeof(**c->own)));
	}
	return c;
}

void model_counters_free(struct model_counters *counters)
{
	if (!counters)
		return;
	for (size_t f = 0; f < counters->n_filters; f++) {
		free(counters->rule[f]);
		free(counters->own[f]);
	}
	free(counters->reason);
	free(counters->rule);
	free(counters->own);
	free(counters->named);
	free(counters);
}

void model_print(const struct policy *policy, const struct model_result *result, char *text, size_t size)
{
	static const char *const verdicts[] = { "none", "accept", "drop", "redirect" };
	static const char *const reasons[] = {
#define X(name, json, kind, sentence) json,
		REASONS(X)
#undef X
	};

	snprintf(text, size, "%s (%s) filter %s rule %d redirect %s", verdicts[result->verdict],
		 reasons[result->reason], result->filter < 0 ? "-" : policy->filters[result->filter].name, result->rule,
		 result->redirect < 0 ? "-" : policy->devices[result->redirect]);
}
