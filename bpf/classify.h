/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packet -> first matching rule -> what it does.
 *
 * The usual rule is found by search.h alone and says itself what to do. What is rarer goes through functions
 * that are called, and verified once: long lists, programs of rules, eager rules.
 */
#pragma once

#include "ban.h"
#include "events.h"
#include "limit.h"
#include "search.h"

/* What became of a program. */
enum run { RUN_NO_MATCH, RUN_MATCH, RUN_DECIDED };

static __always_inline int classify_fail(struct scratch *s, enum reason reason)
{
	s->done = 1;
	s->reason = reason;
	s->counter = COUNTER_NONE;
	return RUN_DECIDED;
}

static __always_inline int classify_decide(struct scratch *s, __u32 verdict, enum reason reason, __u32 rule,
					   __u32 counter)
{
	s->done = 1;
	s->verdict = verdict;
	s->reason = reason;
	s->rule = rule;
	s->counter = counter;
	return RUN_DECIDED;
}

/* One node of a program; -1: it goes on at s->current. */
static __always_inline int classify_node(struct scratch *s, const void *half)
{
	__u32 number = s->current;
	const struct node *node = search_node(half, number);
	__u32 value;

	if (number == AT_RESUME)
		return RUN_NO_MATCH;
	if (number > cfg.node_mask)
		return classify_fail(s, REASON_TABLE);
	switch (node->op) {
	case NODE_TEST:
		value = s->key[node->word & (KEY_MAX - 1)] & node->mask;
		s->current = value - node->lo <= node->hi - node->lo ? node->yes : node->no;
		return -1;
	case NODE_CANDIDATE:
		s->action = node->yes;
		return RUN_MATCH;
	case NODE_VERDICT:
		s->redirect = node->yes;
		return classify_decide(s, node->word, node->mask, node->lo, node->hi);
	case NODE_COUNT:
		if (!counter_add(s, node->lo))
			return classify_fail(s, REASON_TABLE);
		s->current = node->yes;
		return -1;
	case NODE_BAN:
	case NODE_LOG:
		if (node->op == NODE_LOG)
			event_log(node->lo, node->hi);
		else if (cfg.features & FEATURE_BANS)
			ban_source(node->lo);
		s->current = node->yes;
		return -1;
	case NODE_LIMIT:
		if (!(cfg.features & FEATURE_LIMITS) || node->lo >= LIMITS_MAX)
			return classify_fail(s, REASON_TABLE);
		s->current = limit_within(node->lo) ? node->yes : node->no;
		return -1;
	default:
		return classify_fail(s, REASON_TABLE);
	}
}

/* Runs the program that begins at node `start`: enum run. */
__weak __noinline int classify_run(__u32 start)
{
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return RUN_DECIDED;
	s->current = start;
#pragma clang loop unroll(disable)
	for (int i = 0; i < PROGRAM_MAX; i++) {
		int run = classify_node(s, half);

		s->steps++;
		if (run >= 0)
			return run;
	}
	return classify_fail(s, REASON_STEPS);
}

/* A rule holds as far as its comparison says. false: the search is over. */
static __always_inline bool classify_try(struct scratch *s, __u32 number, const struct node_rule *rule)
{
	int run;

	if (number >= s->best)
		return true;
	if (!(rule->flags & RULE_PROGRAM) || !s->with_programs) {
		s->best = number;
		s->action = 0;
		return true;
	}
	run = classify_run(rule->more);
	if (run == RUN_MATCH)
		s->best = number;
	return run != RUN_DECIDED;
}

/* bpf_loop callback: the next rule of the lists that search() left, its program at once. */
static long classify_lists_step(__u32 i, void *unused)
{
	const struct node_rule *rule;
	const void *half;
	struct scratch *s;
	__u64 number;

	(void)i;
	(void)unused;
	if (!packet_memory(&s, &half) || !s->n_found)
		return 1;
	number = search_inside(s, search_ref(s, half, s->found[s->next_found & (SEARCH_LISTS - 1)]++));
	if (s->outside)
		return classify_fail(s, REASON_TABLE) != RUN_NO_MATCH;
	if (!number || number > s->best) /* lists are sorted */
		return ++s->next_found >= s->n_found;
	s->steps++;
	rule = search_node(half, number);
	if (number <= s->floor || search_compare(s, half, number, rule))
		return 0;
	return !classify_try(s, number, rule);
}

static __always_inline void classify_lists(struct scratch *s)
{
	if (bpf_loop(LISTS_MAX, classify_lists_step, NULL, 0) == LISTS_MAX)
		classify_fail(s, REASON_STEPS);
}

/* Rules whose programs wait, then lists that were left. */
__weak __noinline int classify_rest(void)
{
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return 0;
	s->floor = 0;
	s->with_programs = 1;
	s->next_found = 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < PROGRAMS_MAX; i++) {
		__u32 number;

		if (i >= s->n_programs || s->done)
			break;
		number = s->programs[i];
		classify_try(s, number, search_node(half, number));
	}
	if (s->n_found && !s->done)
		classify_lists(s);
	return 0;
}

/* Looks for the lowest rule above s->floor and below s->best. */
static __always_inline void classify_search(struct scratch *s, const void *half, __u32 ref, const bool eager)
{
	bool ended = search(s, half, ref, eager);

	if (s->outside || !ended)
		classify_fail(s, s->outside ? REASON_TABLE : REASON_STEPS);
}

/* The same for eager rules, as a function of its own, so that it is verified once. */
__weak __noinline int classify_search_eager(void)
{
	const void *half;
	struct scratch *s;

	if (!packet_memory(&s, &half))
		return 0;
	s->next_found = 0;
	classify_search(s, half, s->eager, true);
	return 0;
}

/*
 * bpf_loop callback: the next eager rule before the first match of the others, and its program. Calls as little
 * as it can: all frames from the program to event_log() share 512 bytes.
 */
static long classify_eager_step(__u32 i, void *unused)
{
	const struct node_rule *rule;
	const void *half;
	struct scratch *s;
	__u32 bound, action;

	(void)i;
	(void)unused;
	if (!packet_memory(&s, &half))
		return 1;
	bound = s->best;
	action = s->action;
	classify_search_eager();
	if (s->n_found && !s->done)
		classify_lists(s);
	if (s->done || s->best == bound)
		return 1;
	rule = search_node(half, s->best);
	s->floor = s->best;
	s->best = bound;
	s->action = action;
	return classify_run(rule->more) == RUN_DECIDED;
}

/* What the best rule does. */
static __always_inline void classify_act(struct scratch *s, const void *half)
{
	const struct node_rule *rule = search_node(half, s->best);
	__u32 start = s->action;

	if (s->best == RULE_NONE) {
		classify_decide(s, s->fallback, REASON_DEFAULT, RULE_NONE, COUNTER_NONE);
		return;
	}
	s->node = s->best;
	if (!start && rule->flags & RULE_ACTION)
		start = rule->more;
	if (start)
		classify_run(start);
	else
		classify_decide(s, rule->flags & RULE_VERDICT, REASON_RULE, RULE_NONE, rule->more);
}

/* What the sets say joins the words that rules are compared by; which index judges. */
static __always_inline __u32 classify_prepare(struct scratch *s)
{
	s->key[KEY_CLASS] |= s->key[KEY_SETS0] << CLASS_SETS;
	if (s->key[KEY_FAMILY] == 4)
		return FAMILY_IPV4;
	if (s->key[KEY_FAMILY] != 6)
		return FAMILY_OTHER;
	for (int i = 0; i < 2; i++) {
		s->quad.saddr[i] = (__u64)s->key[KEY_SADDR0 + 2 * i] << 32 | s->key[KEY_SADDR0 + 2 * i + 1];
		s->quad.daddr[i] = (__u64)s->key[KEY_DADDR0 + 2 * i] << 32 | s->key[KEY_DADDR0 + 2 * i + 1];
	}
	return FAMILY_IPV6;
}

/* Can an eager rule come before the first match of the others? Its index says the lowest one that it has. */
static __always_inline bool classify_has_eager(struct scratch *s, const void *half)
{
	const struct node_fork *fork = search_node(half, s->eager & REF_NUMBER);

	return s->eager && ((s->eager & REF_KIND) != REF_FORK || fork->low < s->best);
}

/* Leaves verdict, reason and rule in s. */
static __always_inline void classify(struct scratch *s, const struct tables_head *t, const struct filter_head *filter)
{
	__u32 family = classify_prepare(s);

	s->eager = filter->eager[family];
	s->fallback = filter->fallback;
	s->best = RULE_NONE;
	s->action = 0;
	classify_search(s, t, filter->root[family], false);
	if ((s->n_programs || s->n_found) && !s->done)
		classify_rest();
	if (!s->done && classify_has_eager(s, t)) {
		s->floor = 0;
		s->with_programs = 0;
		if (bpf_loop(LISTS_MAX, classify_eager_step, NULL, 0) == LISTS_MAX)
			classify_fail(s, REASON_STEPS);
	}
	if (!s->done)
		classify_act(s, t);
	if (!counter_add(s, s->counter))
		s->reason = REASON_TABLE;
}
