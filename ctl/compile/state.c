// SPDX-License-Identifier: GPL-2.0
/* Limits, bans, the flow table's settings and what else packets leave behind, in the data path's units. */
#include <string.h>

#include "program.h"

#define TICKS_PER_SECOND (1000000000ull << LIMIT_TICK)

/* ---- limits ---- */

static void key_word(struct limit *limit, uint8_t word, uint32_t mask4, uint32_t mask6)
{
	if (limit->n_words == LIMIT_WORDS) /* the language allows no more */
		return;
	limit->word[limit->n_words] = word;
	limit->mask[0][limit->n_words] = mask4;
	limit->mask[1][limit->n_words] = mask6;
	limit->n_words++;
}

uint32_t prefix_word(unsigned int length, unsigned int word)
{
	unsigned int bits = length > word * 32 ? length - word * 32 : 0;

	return bits >= 32 ? UINT32_MAX : bits ? UINT32_MAX << (32 - bits) : 0;
}

static void key_field(struct limit *limit, const struct limit_rate *rate, unsigned int i, enum policy_hook hook)
{
	enum field field = rate->field[i];
	struct place place = { 0 };

	place_field(&place, field, hook, field_info[field].type == TYPE_ADDR);
	if (field_info[field].type == TYPE_ADDR) {
		key_word(limit, KEY_FAMILY, UINT32_MAX,
			 UINT32_MAX); /* an IPv4 address may have the bits of an IPv6 one */
		for (unsigned int w = 0; w < 4; w++)
			key_word(limit, place.word[0] + w, w ? 0 : prefix_word(rate->prefix4[i], 0),
				 prefix_word(rate->prefix6[i], w));
		return;
	}
	for (unsigned int w = 0; w < place.n; w++)
		key_word(limit, place.word[w], place.mask[w], place.mask[w]);
}

int limit_add(struct lower_context *c, const struct limit_rate *rate, uint64_t handle, uint32_t ordinal, uint32_t *ret)
{
	struct limit limit = { .number = handle ^ handle >> 32 ^ ordinal * 0x9e3779b1u };

	if (*c->n_limits == LIMITS_MAX)
		return diag_error(c->diag, rate->loc, "more than %d limits in all filters", LIMITS_MAX);
	limit.cost = rate->unit * TICKS_PER_SECOND / rate->rate;
	limit.burst = limit.cost * rate->burst;
	limit.flags = (rate->over ? LIMIT_OVER : 0) | (rate->bytes ? LIMIT_BYTES : 0) |
		      (rate->full_under ? LIMIT_FULL_UNDER : 0);
	for (unsigned int i = 0; i < rate->n_fields; i++) {
		key_field(&limit, rate, i, c->filter->hook);
		if (rate->field[i] == FIELD_META_SKUID)
			c->head->flags |= FILTER_NEEDS_SKUID;
	}
	c->limits[*c->n_limits] = limit;
	*ret = (*c->n_limits)++;
	return 0;
}

/* ---- bans ---- */

int ban_add(struct lower_context *c, const struct ban_statement *statement, uint32_t *ret)
{
	const struct set *set = statement->set;
	struct ban ban = { .timeout_ns = statement->timeout_ms * 1000000,
			   .lines = set->size,
			   .slot = c->input->set_slot[set->number],
			   .prefix4 = statement->prefix4 < 32 ? statement->prefix4 : 0,
			   .prefix6 = statement->prefix6 < 128 ? statement->prefix6 : 0 };

	ban.mask[0][0] = prefix_word(statement->prefix4, 0);
	for (unsigned int w = 0; w < 4; w++)
		ban.mask[1][w] = prefix_word(statement->prefix6, w);
	for (*ret = 0; *ret < *c->n_bans; (*ret)++)
		if (!memcmp(&c->bans[*ret], &ban, sizeof(ban)))
			return 0;
	if (*ret == BANS_MAX)
		return diag_error(c->diag, statement->loc, "more than %d different bans in all filters", BANS_MAX);
	c->bans[(*c->n_bans)++] = ban;
	return 0;
}

/* ---- flows ---- */

static uint32_t flow_ticks(uint64_t ms)
{
	uint64_t ticks = ms * 1000000 >> FLOW_TICK;

	return ticks ? ticks : 1;
}

static const uint8_t timeout_of[FLOW_TIME_COUNT] = {
	[FLOW_TIME_TCP_SYN_SENT] = FLOW_TIMEOUT_TCP,
	[FLOW_TIME_TCP_SYN_RECV] = FLOW_TIMEOUT_TCP + FLOW_SYN_RECV - FLOW_SYN_SENT,
	[FLOW_TIME_TCP_ESTABLISHED] = FLOW_TIMEOUT_TCP + FLOW_ESTABLISHED - FLOW_SYN_SENT,
	[FLOW_TIME_TCP_FIN_WAIT] = FLOW_TIMEOUT_TCP + FLOW_FIN_WAIT - FLOW_SYN_SENT,
	[FLOW_TIME_TCP_CLOSE_WAIT] = FLOW_TIMEOUT_TCP + FLOW_CLOSE_WAIT - FLOW_SYN_SENT,
	[FLOW_TIME_TCP_LAST_ACK] = FLOW_TIMEOUT_TCP + FLOW_LAST_ACK - FLOW_SYN_SENT,
	[FLOW_TIME_TCP_TIME_WAIT] = FLOW_TIMEOUT_TCP + FLOW_TIME_WAIT - FLOW_SYN_SENT,
	[FLOW_TIME_TCP_CLOSE] = FLOW_TIMEOUT_TCP + FLOW_CLOSE - FLOW_SYN_SENT,
	[FLOW_TIME_UDP_UNREPLIED] = FLOW_TIMEOUT_UDP,
	[FLOW_TIME_UDP_REPLIED] = FLOW_TIMEOUT_UDP + 1,
	[FLOW_TIME_SCTP_UNREPLIED] = FLOW_TIMEOUT_SCTP,
	[FLOW_TIME_SCTP_REPLIED] = FLOW_TIMEOUT_SCTP + 1,
	[FLOW_TIME_ICMP_UNREPLIED] = FLOW_TIMEOUT_ICMP,
	[FLOW_TIME_ICMP_REPLIED] = FLOW_TIMEOUT_ICMP + 1,
	[FLOW_TIME_OTHER_UNREPLIED] = FLOW_TIMEOUT_OTHER,
	[FLOW_TIME_OTHER_REPLIED] = FLOW_TIMEOUT_OTHER + 1,
};

uint32_t power_of_two(size_t least, uint32_t from)
{
	while (from < least && from < 1u << 31)
		from *= 2;
	return from;
}

#define LINES_PER_FLOW 2
#define BUCKETS_LINES  (1u << 18) /* a million buckets, 16 MiB */
#define DATAGRAMS      (1u << 10) /* buckets: 7168 datagrams, half a MiB */

static uint32_t verdict_feature(enum policy_verdict verdict)
{
	return verdict == POLICY_REJECT ? FEATURE_ANSWERS : verdict == POLICY_SYNPROXY ? FEATURE_SYNPROXY : 0;
}

static uint32_t rule_features(const struct rule *rule)
{
	uint32_t features = verdict_feature(rule->verdict);

	for (size_t i = 0; i < rule->n_items; i++)
		features |= rule->items[i].kind == ITEM_LIMIT ? FEATURE_LIMITS
			    : rule->items[i].kind == ITEM_BAN ? FEATURE_BANS
							      : 0;
	return features;
}

uint32_t policy_features(const struct policy *policy)
{
	uint32_t features = policy->n_guards ? FEATURE_GUARDS : 0;

	for (size_t f = 0; f < policy->n_filters; f++) {
		features |= policy->filters[f].tracks ? FEATURE_FLOWS : 0;
		features |= policy->filters[f].fragments == FRAGMENTS_TRACK ? FEATURE_FRAGMENTS : 0;
		for (size_t i = 0; i < policy->filters[f].n_rules; i++)
			features |= rule_features(&policy->filters[f].rules[i]);
	}
	return features;
}

void state_settings(struct image *image, const struct policy *policy, uint32_t n_limits)
{
	struct flow_settings *flows = &image->head->flows;

	image->features = policy_features(policy);
	image->n_buckets = n_limits ? BUCKETS_LINES : 0;
	image->n_datagrams = image->features & FEATURE_FRAGMENTS ? DATAGRAMS : 0;
	if (!(image->features & FEATURE_FLOWS))
		return;
	image->n_flows = power_of_two(policy->flows.size * LINES_PER_FLOW, FLOW_BUCKET);
	flows->full = lower_verdict_of(policy->flows.full);
	for (int i = 0; i < FLOW_TIME_COUNT; i++)
		flows->timeout[timeout_of[i]] = flow_ticks(policy->flows.time_ms[i]);
}
