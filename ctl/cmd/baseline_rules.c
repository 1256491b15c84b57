// SPDX-License-Identifier: GPL-2.0
#include "baseline_rules.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "learn_rules.h"

/* ---- what a talk has of a field ---- */

static bool has_port(const struct talk *talk, enum field field)
{
	switch (field) {
	case FIELD_TCP_DPORT:
		return talk->proto == IPPROTO_TCP;
	case FIELD_UDP_DPORT:
		return talk->proto == IPPROTO_UDP;
	case FIELD_SCTP_DPORT:
		return talk->proto == IPPROTO_SCTP;
	default:
		return talk->proto == IPPROTO_TCP || talk->proto == IPPROTO_UDP || talk->proto == IPPROTO_SCTP;
	}
}

static bool is_address(const struct talk *talk, enum field field)
{
	bool in = talk->direction == LEARN_IN;

	switch (field) {
	case FIELD_SADDR:
		return in;
	case FIELD_DADDR:
		return !in;
	case FIELD_IP_SADDR:
		return in && talk->family == 4;
	case FIELD_IP_DADDR:
		return !in && talk->family == 4;
	case FIELD_IP6_SADDR:
		return in && talk->family == 6;
	case FIELD_IP6_DADDR:
		return !in && talk->family == 6;
	default:
		return false;
	}
}

static bool value_of(const struct talk *talk, enum field field, struct value *ret)
{
	*ret = (struct value){ 0 };
	switch (field) {
	case FIELD_META_SKUID:
		ret->w[0] = talk->owner;
		return talk->direction == LEARN_OUT;
	case FIELD_META_L4PROTO:
		ret->w[0] = talk->proto;
		return true;
	case FIELD_IP_PROTOCOL:
		ret->w[0] = talk->proto;
		return talk->family == 4;
	case FIELD_IP6_NEXTHDR:
		ret->w[0] = talk->proto;
		return talk->family == 6;
	case FIELD_META_NFPROTO:
		ret->w[0] = talk->family;
		return true;
	case FIELD_ETHER_TYPE:
		ret->w[0] = talk->family == 4 ? 0x0800 : 0x86dd;
		return true;
	case FIELD_CT_STATE:
		ret->w[0] = POLICY_CT_NEW;
		return true;
	case FIELD_TCP_DPORT:
	case FIELD_UDP_DPORT:
	case FIELD_SCTP_DPORT:
	case FIELD_TH_DPORT:
		ret->w[0] = talk->port;
		return has_port(talk, field);
	default:
		memcpy(ret->w, talk->addr, sizeof(ret->w));
		return is_address(talk, field);
	}
}

/* ---- conditions ---- */

static int compare(const struct value *a, const struct value *b)
{
	for (int i = 0; i < 4; i++)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

static bool range_holds(const struct range *range, const struct talk *talk, const struct value *value)
{
	return (!range->family || range->family == talk->family) && compare(&range->lo, value) <= 0 &&
	       compare(value, &range->hi) <= 0;
}

static bool element_holds(const struct element *element, unsigned int n, const struct talk *talk,
			  const struct value *values)
{
	for (unsigned int i = 0; i < n; i++)
		if (!range_holds(&element->part[i], talk, &values[i]))
			return false;
	return true;
}

static bool addresses_hold(const struct addresses *addresses, const struct talk *talk, const struct value *value)
{
	struct range range;

	for (size_t i = 0; i < addresses->n4; i++) {
		address_range4(&addresses->v4[i], &range);
		if (range_holds(&range, talk, value))
			return true;
	}
	for (size_t i = 0; i < addresses->n6; i++) {
		address_range6(&addresses->v6[i], &range);
		if (range_holds(&range, talk, value))
			return true;
	}
	return false;
}

static bool condition_holds(const struct condition *condition, const struct talk *talk)
{
	const struct element *elements = condition->set ? condition->set->elements : condition->elements;
	size_t n = condition->set ? condition->set->n_elements : condition->n_elements;
	struct value values[CONCAT_MAX];
	bool found = false;

	if (condition->has_mask)
		return false;
	for (unsigned int i = 0; i < condition->n_fields; i++)
		if (!value_of(talk, condition->field[i], &values[i]))
			return false;
	for (size_t i = 0; i < n && !found; i++)
		found = element_holds(&elements[i], condition->n_fields, talk, values);
	if (!found && condition->set && condition->n_fields == 1)
		found = addresses_hold(&condition->set->addresses, talk, &values[0]);
	return found != condition->negated;
}

/* ---- rules ---- */

static bool is_program(const char *name, size_t length, const struct strbuf *path)
{
	if (length && *name == '*')
		return path->length >= length - 1 &&
		       !memcmp(path->text + path->length - (length - 1), name + 1, length - 1);
	return path->length == length && !memcmp(path->text, name, length);
}

static bool comment_holds(const char *comment, const struct talk *talk)
{
	struct strbuf path = { 0 };
	bool found = false;

	if (!comment || strncmp(comment, LEARN_BY, strlen(LEARN_BY)) != 0)
		return true;
	learn_path_encode(&path, talk->exe);
	for (comment += strlen(LEARN_BY); *comment && !found && path.length;) {
		size_t length = strcspn(comment, ",");

		found = is_program(comment, length, &path);
		comment += length;
		comment += strspn(comment, ", ");
	}
	strbuf_clear(&path);
	return found;
}

static bool rule_holds(const struct rule *rule, const struct talk *talk)
{
	for (size_t i = 0; i < rule->n_items; i++)
		if (rule->items[i].kind == ITEM_CONDITION && !condition_holds(&rule->items[i].condition, talk))
			return false;
	return comment_holds(rule->comment, talk);
}

static bool filter_names(const struct filter *filter, const struct talk *talk)
{
	for (size_t i = 0; i < filter->n_rules; i++) {
		const struct rule *rule = &filter->rules[i];

		if (rule->verdict != POLICY_NONE && rule_holds(rule, talk))
			return rule->verdict == POLICY_ACCEPT || rule->verdict == POLICY_SYNPROXY;
	}
	return false;
}

bool baseline_names(const struct policy *policy, const struct talk *talk)
{
	for (size_t i = 0; i < policy->n_filters; i++) {
		const struct filter *filter = &policy->filters[i];
		bool out = filter->hook == POLICY_TC_EGRESS;

		if (out == (talk->direction == LEARN_OUT) && !filter->implied && filter_names(filter, talk))
			return true;
	}
	return false;
}
