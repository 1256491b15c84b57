/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packet -> verdict node: a walk over the generation's nodes (abi.h, enum node_op).
 *
 * The first WALK_INLINE steps run without a call; what needs more goes on in bpf_loop, whose body is
 * verified once however often it runs. Running out of steps and leaving the tables are reasons of their own.
 */
#pragma once

#include "events.h"

static __always_inline void classify_fail(struct scratch *s, enum reason reason)
{
	s->done = 1;
	s->reason = reason;
}

static __always_inline void classify_finish(struct scratch *s, const struct node *node)
{
	s->done = 1;
	s->verdict = node->word;
	s->reason = node->mask;
	s->rule = node->lo;
	s->redirect = node->yes;
	if (!counter_add(node->hi, s->length))
		s->reason = REASON_TABLE;
}

/* Up to WALK_INLINE steps, from where the last ones ended. */
static __always_inline void classify_steps(struct scratch *s, const void *half)
{
	__u32 current = s->current, cursor = s->cursor;
	int i;

	for (i = 0; i < WALK_INLINE; i++) {
		const struct node *node;
		__u32 nought = *(volatile __u32 *)&s->nought;

		/* Verifier: unknown again, so that the paths through one step meet at the next. */
		asm volatile("%0 ^= %2; %1 ^= %2" : "+r"(current), "+r"(cursor) : "r"(nought));
		if (current == NODE_NEXT) {
			if (cursor > cfg.ref_mask)
				return classify_fail(s, REASON_TABLE);
			current = *(const __u32 *)(half + cfg.refs_off + (cursor & cfg.ref_mask) * sizeof(__u32));
			cursor++;
		}
		if (current > cfg.node_mask)
			return classify_fail(s, REASON_TABLE);
		node = half + cfg.nodes_off + (current & cfg.node_mask) * sizeof(*node);
		if (node->op == NODE_TEST) {
			__u32 value = s->key[node->word & (KEY_MAX - 1)] & node->mask;

			current = value - node->lo <= node->hi - node->lo ? node->yes : node->no;
		} else if (node->op == NODE_LIST) {
			cursor = node->lo;
			current = NODE_NEXT;
		} else if (node->op == NODE_VERDICT) {
			s->steps += i + 1;
			return classify_finish(s, node);
		} else if (node->op == NODE_COUNT) {
			if (!counter_add(node->lo, s->length))
				return classify_fail(s, REASON_TABLE);
			current = node->yes;
		} else if (node->op == NODE_LOG) {
			event_log(node->lo, node->hi);
			current = node->yes;
		} else if (node->op == NODE_CANDIDATE) {
			if (node->lo < s->best) {
				s->best = node->lo;
				s->action = node->yes;
			}
			current = node->no;
		} else if (node->op == NODE_BEFORE) {
			current = node->lo < s->best ? node->yes : node->no;
		} else if (node->op == NODE_FINISH) {
			current = s->best == RULE_NONE ? node->yes : s->action;
		} else {
			return classify_fail(s, REASON_TABLE);
		}
	}
	s->steps += WALK_INLINE;
	s->current = current;
	s->cursor = cursor;
}

/* bpf_loop callback */
static long classify_chunk(__u32 i, void *unused)
{
	__u32 zero = 0, number;
	struct scratch *s;
	const void *half;

	(void)i;
	(void)unused;
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 1;
	number = s->half;
	half = bpf_map_lookup_elem(&tables, &number);
	if (!half)
		return 1;
	classify_steps(s, half);
	return s->done ? 1 : 0;
}

/* Leaves verdict, reason and rule in s. */
static __always_inline void classify(struct scratch *s, const struct tables_head *t, const struct filter_head *filter)
{
	s->current = filter->root;
	s->cursor = 0;
	s->best = RULE_NONE;
	classify_steps(s, t);
	if (s->done)
		return;
	bpf_loop(WALK_CHUNKS, classify_chunk, NULL, 0);
	if (!s->done)
		classify_fail(s, REASON_STEPS);
}
