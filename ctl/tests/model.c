// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_bans.h"
#include "model_flows.h"
#include "model_fragments.h"
#include "model_limits.h"
#include "model_packet.h"
#include "reason_words.h"

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
	return p->frame->iif != MODEL_NONE ? (uint32_t)p->frame->iif : NO_DEVICE; /* elsewhere is one of its own */
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
	case FIELD_CT_STATE:
		return number(p->ct);
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

static bool condition_holds(const struct packet *p, const struct condition *c, const struct model_bans *bans)
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
		found = in_elements(v, c->n_fields, c->set->elements, c->set->n_elements) ||
			(c->set->banned && model_bans_have(bans, c->set, v[0].family, &v[0].value, p->frame->now_ns));
	else
		found = in_elements(v, c->n_fields, c->elements, c->n_elements);
	return found != c->negated;
}

/* ---- limits ---- */

static void mask_address(struct value *value, unsigned int prefix_len)
{
	for (unsigned int bit = prefix_len; bit < 128; bit++)
		value->w[bit / 32] &= ~(0x80000000u >> bit % 32);
}

static bool limit_holds(const struct packet *p, const struct limit_rate *limit, struct model_limits *limits)
{
	uint32_t key[MODEL_LIMIT_WORDS] = { 0 };

	for (unsigned int i = 0; i < limit->n_fields; i++) {
		struct field_value v;

		if (!layer_is_there(p, field_info[limit->field[i]].layer))
			continue;
		v = read_field(p, limit->field[i]);
		if (v.family)
			mask_address(&v.value, v.family == 4 ? limit->prefix4[i] : limit->prefix6[i]);
		memcpy(&key[4 * i], v.value.w, sizeof(v.value.w));
	}
	return model_limits_within(limits, limit, key, p->frame->wire_length, p->frame->now_ns) != limit->over;
}

/* ---- bans ---- */

static void ban(const struct packet *p, const struct ban_statement *statement, struct model_bans *bans)
{
	struct field_value v;

	if (!layer_is_there(p, LAYER_IP_ANY))
		return;
	v = read_field(p, FIELD_SADDR);
	model_bans_add(bans, statement, v.family, &v.value, p->frame->now_ns);
}

/* ---- filters ---- */

struct judging {
	const struct policy *policy;
	struct packet *packet;
	const struct filter *filter;
	struct model_result result;
	struct model_state *state;
	struct model_counters *counters;
	bool anew; /* the packet begins a flow anew */
};

static void count(const struct judging *j, struct model_count *sum)
{
	sum->packets++;
	sum->bytes += j->packet->frame->wire_length;
}

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* Of no packet here the cookie is right. */
static enum policy_verdict synproxy_verdict(const struct judging *j, enum reason *reason)
{
	struct field_value flags = { 0 };

	if (j->packet->ct == POLICY_CT_ESTABLISHED || j->anew)
		return POLICY_ACCEPT;
	if (layer_is_there(j->packet, LAYER_TCP))
		flags = read_field(j->packet, FIELD_TCP_FLAGS);
	if ((flags.value.w[0] & (FIN | SYN | RST | ACK)) == SYN)
		return POLICY_SYNPROXY;
	*reason = REASON_SYNPROXY_COOKIE;
	return POLICY_DROP;
}

static struct model_result decide(struct judging *j, enum policy_verdict verdict, enum reason reason)
{
	if (verdict == POLICY_SYNPROXY)
		verdict = synproxy_verdict(j, &reason);
	j->result.verdict = verdict;
	j->result.reason = reason;
	if (j->counters && j->result.filter >= 0) {
		count(j, &j->counters->reason[j->result.filter][reason]);
		if (j->result.rule >= 0)
			count(j, &j->counters->rule[j->result.filter][j->result.rule]);
	}
	if (reason == REASON_SYNPROXY_COOKIE) /* the rule counts it, and does not answer for it */
		j->result.rule = MODEL_NONE;
	return j->result;
}

/* True where all conditions and limits held. Counts what stands before the first that fails. */
static bool rule_applies(struct judging *j, size_t number_of_rule)
{
	const struct rule *rule = &j->filter->rules[number_of_rule];

	for (size_t i = 0; i < rule->n_items; i++) {
		const struct item *item = &rule->items[i];

		if (item->kind == ITEM_CONDITION && !condition_holds(j->packet, &item->condition, j->state->bans))
			return false;
		if (item->kind == ITEM_LIMIT && !limit_holds(j->packet, &item->limit, j->state->limits))
			return false;
		if (item->kind == ITEM_BAN)
			ban(j->packet, &item->ban, j->state->bans);
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
	if (fragment->later && j->filter->fragments == FRAGMENTS_ACCEPT)
		return decide(j, POLICY_ACCEPT, REASON_FRAGMENT);
	return decide(j, j->filter->default_verdict, REASON_DEFAULT);
}

/* ---- which filter, and whether it tracks flows: found again, not as the language library found it ---- */

static bool has_device(const struct filter *filter, int device)
{
	for (size_t d = 0; d < filter->n_devices; d++)
		if ((int)filter->devices[d].device == device)
			return true;
	return false;
}

static int find_filter(const struct policy *policy, enum policy_hook hook, int device)
{
	for (size_t f = 0; f < policy->n_filters; f++)
		if (policy->filters[f].hook == hook && !policy->filters[f].implied &&
		    has_device(&policy->filters[f], device))
			return (int)f;
	return MODEL_NONE;
}

static bool asks_for_state(const struct filter *filter)
{
	for (size_t r = 0; r < filter->n_rules; r++) {
		if (filter->rules[r].verdict == POLICY_SYNPROXY)
			return true;
		for (size_t i = 0; i < filter->rules[r].n_items; i++) {
			const struct item *item = &filter->rules[r].items[i];

			if (item->kind != ITEM_CONDITION)
				continue;
			for (unsigned int n = 0; n < item->condition.n_fields; n++)
				if (item->condition.field[n] == FIELD_CT_STATE)
					return true;
		}
	}
	return false;
}

static bool device_is_tracked(const struct policy *policy, int device)
{
	for (size_t f = 0; f < policy->n_filters; f++)
		if (has_device(&policy->filters[f], device) && asks_for_state(&policy->filters[f]))
			return true;
	return false;
}

static bool filter_tracks(const struct policy *policy, const struct filter *filter)
{
	for (size_t d = 0; d < filter->n_devices; d++)
		if (device_is_tracked(policy, (int)filter->devices[d].device))
			return true;
	return false;
}

/* The rules have no filter for this direction of a tracked device: one on TC that accepts everything is there. */
static bool implicit_filter_is_there(const struct policy *policy, enum policy_hook hook, int device)
{
	if (hook == POLICY_XDP || !device_is_tracked(policy, device))
		return false;
	return hook == POLICY_TC_EGRESS || find_filter(policy, POLICY_XDP, device) == MODEL_NONE;
}

static const struct filter *filter_of(const struct policy *policy, const struct model_frame *frame, int *ret_number)
{
	static const struct filter implicit = {
		.default_verdict = POLICY_ACCEPT,
		.malformed = POLICY_ACCEPT,
		.fragments = FRAGMENTS_ACCEPT,
	};
	int number = find_filter(policy, frame->hook, frame->device);

	if (number == MODEL_NONE && implicit_filter_is_there(policy, frame->hook, frame->device))
		number = MODEL_IMPLICIT;
	*ret_number = number;
	return number == MODEL_NONE ? NULL : number == MODEL_IMPLICIT ? &implicit : &policy->filters[number];
}

static struct model_result judge_with_state(struct judging *j)
{
	struct model_said said = model_flows_ask(j->state->flows, j->packet);
	struct model_result result;

	j->packet->ct = said.state;
	j->result.ct = said.state;
	j->anew = said.anew;
	result = judge_by_rules(j);
	if (said.begins && (result.verdict == POLICY_ACCEPT || result.verdict == POLICY_REDIRECT ||
			    (result.verdict == POLICY_REJECT && j->packet->frame->hook == POLICY_TC_EGRESS)))
		model_flows_begin(j->state->flows, j->packet);
	return result;
}

static struct model_result judge_whole(struct judging *j)
{
	int ct = j->packet->frame->ct;

	if (ct == MODEL_NONE && (j->result.filter == MODEL_IMPLICIT || filter_tracks(j->policy, j->filter)))
		return judge_with_state(j);
	j->packet->ct = ct == MODEL_NONE ? POLICY_CT_UNTRACKED : (enum policy_ct)ct;
	return judge_by_rules(j);
}

/* Later fragments get what their first one got. */
static struct model_result judge_fragment(struct judging *j)
{
	struct model_met met = model_fragments_meet(j->state->fragments, j->packet);
	struct model_result result;

	if (met.reason != REASON_RULE) {
		j->result.redirect = met.redirect;
		return decide(j, met.verdict, met.reason);
	}
	result = judge_whole(j);
	model_fragments_note(j->state->fragments, j->packet, &result);
	return result;
}

struct model_result model_judge(const struct policy *policy, const struct model_frame *frame, struct model_state *state,
				struct model_counters *counters)
{
	struct packet packet = { .frame = frame };
	struct judging j = {
		.policy = policy,
		.packet = &packet,
		.result = { .rule = MODEL_NONE, .redirect = MODEL_NONE, .ct = MODEL_NONE },
		.state = state,
		.counters = counters,
	};
	enum reason malformed;

	model_bans_end(state->bans);
	j.filter = filter_of(policy, frame, &j.result.filter);
	if (!j.filter)
		return decide(&j, POLICY_ACCEPT, REASON_UNBOUND);
	malformed = read_packet(&packet);
	if (malformed != REASON_RULE)
		return decide(&j, j.filter->malformed, malformed);
	if (packet.fragment.any && j.filter->fragments == FRAGMENTS_DROP)
		return decide(&j, POLICY_DROP, REASON_FRAGMENT);
	if (packet.fragment.any && j.filter->fragments == FRAGMENTS_TRACK)
		return judge_fragment(&j);
	return judge_whole(&j);
}

/* ---- state ---- */

struct model_state *model_state_new(const struct policy *policy)
{
	struct model_state *state = calloc(1, sizeof(*state));

	if (!state)
		abort();
	state->flows = model_flows_new(&policy->flows);
	state->limits = model_limits_new();
	state->bans = model_bans_new();
	state->fragments = model_fragments_new();
	return state;
}

void model_state_free(struct model_state *state)
{
	if (!state)
		return;
	model_flows_free(state->flows);
	model_limits_free(state->limits);
	model_bans_free(state->bans);
	model_fragments_free(state->fragments);
	free(state);
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
	const char *filter = result->filter == MODEL_IMPLICIT ? "implicit"
			     : result->filter < 0             ? "-"
							      : policy->filters[result->filter].name;

	snprintf(text, size, "%s (%s) filter %s rule %d redirect %s%s%s", policy_verdict_word(result->verdict),
		 reason_words[result->reason], filter, result->rule,
		 result->redirect < 0 ? "-" : policy->devices[result->redirect], result->ct < 0 ? "" : " ct ",
		 result->ct < 0 ? "" : policy_ct_word((enum policy_ct)result->ct));
}
