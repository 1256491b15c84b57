// SPDX-License-Identifier: GPL-2.0
/*
 * A rule as nodes. A rule is emitted from its end to its start, so that each item knows where to go on:
 * a condition that holds goes to the next item, one that does not goes to the next rule (AT_RESUME).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/reasons.h"
#include "program.h"

static const enum verdict verdict_of[POLICY_VERDICT_MAX] = {
	[POLICY_NONE] = VERDICT_DROP,         [POLICY_ACCEPT] = VERDICT_ACCEPT, [POLICY_DROP] = VERDICT_DROP,
	[POLICY_REDIRECT] = VERDICT_REDIRECT, [POLICY_REJECT] = VERDICT_REJECT, [POLICY_SYNPROXY] = VERDICT_SYNPROXY,
};

enum verdict lower_verdict_of(enum policy_verdict verdict)
{
	return verdict_of[verdict];
}

const char *verdict_word(enum verdict verdict)
{
	for (int i = POLICY_NONE + 1; i < POLICY_VERDICT_MAX; i++)
		if (verdict_of[i] == verdict)
			return policy_verdict_word((enum policy_verdict)i);
	return "unknown";
}

const char *ct_word(enum ct_state ct)
{
	_Static_assert((int)POLICY_CT_INVALID == (int)CT_INVALID && (int)POLICY_CT_MAX == (int)CT_MAX,
		       "the same order");

	return ct < CT_MAX ? policy_ct_word((enum policy_ct)ct) : "unknown";
}

/* The lookup that a condition on a named set needs; equal ones share a bit. -ENOSPC or -E2BIG with a problem. */
int lower_lookup_bit(struct lower_context *c, const struct condition *condition)
{
	const struct set *set = condition->set;
	struct lookup lookup = { .slot = c->input->set_slot[set->number],
				 .flags = (set_in_pool(set) ? 0 : LOOKUP_KERNEL) |
					  (set->has_timeout ? LOOKUP_EXPIRES : 0) |
					  (set->has_counter ? LOOKUP_COUNTS : 0) };
	struct place place = { 0 };

	for (unsigned int i = 0; i < condition->n_fields; i++) {
		if (condition->n_fields > 1)
			place_part(&place, condition->field[i], set->type[i], c->filter->hook);
		else
			place_field(&place, condition->field[i], c->filter->hook, false);
	}
	if (condition->n_fields > 1) {
		if (place.n > TUPLE_WORDS) {
			diag_error(c->diag, condition->loc, "the concatenation takes %u words, at most %d fit", place.n,
				   TUPLE_WORDS);
			diag_hint(c->diag, "an address takes 5 words, a MAC 2, everything else 1");
			return -E2BIG;
		}
		lookup.kind = LOOKUP_TUPLE;
		lookup.count = place.n;
		for (unsigned int i = 0; i < place.n; i++) {
			lookup.word[i] = place.word[i];
			lookup.wmask[i] = place.mask[i];
			lookup.wshift[i] = place.shift[i];
		}
	} else {
		lookup.kind = set->type[0] == TYPE_ADDR  ? LOOKUP_ADDR
			      : set->type[0] == TYPE_MAC ? LOOKUP_MAC
							 : LOOKUP_WORD;
		lookup.word[0] = place.word[0];
		lookup.mask = place.mask[0];
		lookup.shift = place.shift[0];
		lookup.count = 1;
	}
	for (unsigned int i = 0; i < c->head->n_lookups; i++)
		if (!memcmp(&c->lookups[i], &lookup, sizeof(lookup)))
			return i;
	if (c->head->n_lookups == LOOKUPS_PER_FILTER) {
		diag_error(c->diag, condition->loc, "filter '%s' looks into more than %d sets", c->filter->name,
			   LOOKUPS_PER_FILTER);
		diag_hint(c->diag, "the same set looked up by the same field counts once");
		return -ENOSPC;
	}
	c->head->n_pool_lookups += set_in_pool(set);
	c->lookups[c->head->n_lookups] = lookup;
	return c->head->n_lookups++;
}

static uint32_t lower_ports(struct program *program, uint32_t yes)
{
	static const uint32_t proto[] = { 6, 17, 132 }; /* TCP, UDP, SCTP */
	struct place place = { .n = 1, .word = { KEY_L4 }, .mask = { UINT32_MAX } };
	struct spans spans = { 0 };
	uint32_t entry;

	for (size_t i = 0; i < sizeof(proto) / sizeof(proto[0]); i++)
		if (spans_add(&spans, &(struct span){ .lo = { proto[i] }, .hi = { proto[i] } }))
			program->out_of_memory = true;
	entry = spans_emit(program, &spans, &place, yes, AT_RESUME);
	free(spans.at);
	return entry;
}

static uint32_t lower_condition(struct program *program, const struct meaning *m, uint32_t yes)
{
	uint32_t in = m->negated ? AT_RESUME : yes, out = m->negated ? yes : AT_RESUME, entry;

	if (m->is_set) {
		uint32_t bit = 1u << (m->lookup_bit & 31);

		entry = program_test(program, KEY_SETS0 + (m->lookup_bit >> 5), bit, bit, bit, in, out);
	} else if (m->two) {
		uint32_t v4 = spans_emit(program, &m->spans[0], &m->place[0], in, out);
		uint32_t v6 = spans_emit(program, &m->spans[1], &m->place[1], in, out);

		entry = program_test(program, KEY_FAMILY, UINT32_MAX, 4, 4, v4, v6);
	} else {
		entry = spans_emit(program, &m->spans[0], &m->place[0], in, out);
	}
	if (m->ports)
		entry = lower_ports(program, entry);
	for (size_t i = m->n_guards; i-- > 0;)
		entry = program_test(program, m->guard[i].word, m->guard[i].mask, m->guard[i].lo, m->guard[i].hi, entry,
				     AT_RESUME);
	return entry;
}

static uint32_t synproxy_answer(const struct synproxy *synproxy)
{
	uint32_t answer = synproxy->mss;

	if (!synproxy->timestamp)
		return answer;
	if (synproxy->scale >= 0)
		answer |= SYNPROXY_SCALES | (uint32_t)synproxy->scale << SYNPROXY_SCALE;
	return answer | SYNPROXY_TIMESTAMP | (synproxy->sack ? SYNPROXY_SACK : 0);
}

/* Its verdict is all that can be said of it: no ifindex, no answer. */
static bool verdict_is_plain(enum policy_verdict verdict)
{
	return verdict == POLICY_ACCEPT || verdict == POLICY_DROP;
}

static uint32_t lower_verdict(struct lower_context *c, size_t number)
{
	const struct rule *rule = &c->filter->rules[number];
	struct node node = { .op = NODE_VERDICT,
			     .word = lower_verdict_of(rule->verdict),
			     .mask = REASON_RULE,
			     .lo = number,
			     .hi = c->input->counters->rule[c->filter_number][number] };

	if (rule->verdict == POLICY_NONE)
		return AT_RESUME;
	if (rule->verdict == POLICY_REDIRECT)
		node.yes = c->input->devices[rule->redirect].ifindex;
	else if (rule->verdict == POLICY_REJECT)
		node.yes = rule->reject.kind == REJECT_WITH_TCP_RESET
				   ? REJECT_RESET
				   : REJECT_ICMP | (uint32_t)rule->reject.code4 << REJECT_CODE4 |
					     (uint32_t)rule->reject.code6 << REJECT_CODE6;
	else if (rule->verdict == POLICY_SYNPROXY)
		node.yes = synproxy_answer(&rule->synproxy);
	return program_add(c->program, node);
}

static uint32_t lower_statement(struct lower_context *c, size_t number, size_t i, const uint32_t *states, uint32_t yes)
{
	const struct counter_plan *counters = c->input->counters;
	const struct item *item = &c->filter->rules[number].items[i];

	if (item->kind == ITEM_LIMIT)
		return program_add(c->program,
				   (struct node){ .op = NODE_LIMIT, .yes = yes, .no = AT_RESUME, .lo = states[i] });
	if (item->kind == ITEM_BAN)
		return program_add(c->program, (struct node){ .op = NODE_BAN, .yes = yes, .lo = states[i] });

	if (item->kind == ITEM_COUNTER)
		return program_add(c->program,
				   (struct node){ .op = NODE_COUNT,
						  .yes = yes,
						  .lo = item->counter.named >= 0
								? counters->named[item->counter.named]
								: counters->own[c->filter_number][number] });
	return program_add(c->program,
			   (struct node){ .op = NODE_LOG,
					  .yes = yes,
					  .hi = number,
					  .lo = item->log.prefix >= 0 ? (uint32_t)item->log.prefix : RULE_NONE });
}

/* Where the statements begin behind which nothing can say no any more. */
static size_t action_start(const struct rule *rule)
{
	size_t i = rule->n_items;

	while (i > 0 && rule->items[i - 1].kind != ITEM_CONDITION && rule->items[i - 1].kind != ITEM_LIMIT)
		i--;
	return i;
}

size_t lower_conditions(const struct rule *rule)
{
	size_t i = 0;

	while (i < rule->n_items && rule->items[i].kind == ITEM_CONDITION)
		i++;
	return i;
}

bool lower_has_limit(const struct rule *rule)
{
	for (size_t i = 0; i < rule->n_items; i++)
		if (rule->items[i].kind == ITEM_LIMIT)
			return true;
	return false;
}

/* A limit, too: it may say no, and takes note of those packets only that got there. */
bool lower_is_eager(const struct rule *rule)
{
	return rule->verdict == POLICY_NONE || lower_conditions(rule) < action_start(rule);
}

/* What a rule does once its conditions hold: the statements at its end, then the verdict. */
static uint32_t lower_action(struct lower_context *c, size_t number, const uint32_t *states)
{
	const struct rule *rule = &c->filter->rules[number];
	uint32_t entry = lower_verdict(c, number);

	for (size_t i = rule->n_items; i > action_start(rule); i--)
		entry = lower_statement(c, number, i - 1, states, entry);
	return entry;
}

void lower_rule(struct lower_context *c, size_t number, const struct meaning *meanings, const bool *settled,
		const uint32_t *states, uint8_t *ret_flags, uint32_t *ret_more)
{
	const struct rule *rule = &c->filter->rules[number];
	bool eager = lower_is_eager(rule), all_settled = true, plain;
	uint32_t entry;

	for (size_t i = 0; i < action_start(rule); i++)
		all_settled = all_settled && settled[i];
	plain = action_start(rule) == rule->n_items && verdict_is_plain(rule->verdict);
	if (!eager && all_settled && plain) {
		*ret_flags = lower_verdict_of(rule->verdict);
		*ret_more = c->input->counters->rule[c->filter_number][number];
		return;
	}
	entry = lower_action(c, number, states);
	*ret_flags = all_settled && !eager ? RULE_ACTION : RULE_PROGRAM;
	if (!eager && !all_settled)
		entry = program_add(c->program, (struct node){ .op = NODE_CANDIDATE, .yes = entry });
	for (size_t i = action_start(rule); i-- > 0;) {
		if (rule->items[i].kind != ITEM_CONDITION)
			entry = lower_statement(c, number, i, states, entry);
		else if (!settled[i])
			entry = lower_condition(c->program, &meanings[i], entry);
	}
	*ret_more = entry;
}
