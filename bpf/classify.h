/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packet -> first matching rule: a walk over the generation's nodes (abi.h, enum node_op).
 *
 * The first WALK_INLINE steps run without a call; what needs more goes on in bpf_loop, whose body is
 * verified once however often it runs. Running out of steps and leaving the tables are reasons of their own.
 */
#pragma once

#include "events.h"

static __always_inline const void *classify_node(const void *half, __u64 number)
{
	return half + cfg.nodes_off + (number & cfg.node_mask) * sizeof(struct node);
}

static __always_inline __u64 classify_ref(const void *half, __u64 number)
{
	return *(const __u32 *)(half + cfg.refs_off + (number & cfg.ref_mask) * sizeof(__u32));
}

/* What a step says of where to go: a node's number, or this: to the next rule of the list, or the next fork. */
#define GO_ON RULE_NONE

/* What is searched. */
enum round {
	ROUND_DECIDING, /* the rules that decide */
	ROUND_EAGER,    /* the lowest eager rule behind the floor */
	ROUND_DONE_ONE, /* its program runs; then they are searched again */
};

static __always_inline __u64 classify_fail(struct scratch *s, enum reason reason)
{
	s->done = 1;
	s->reason = reason;
	s->counter = COUNTER_NONE;
	return AT_END;
}

static __always_inline __u64 classify_decide(struct scratch *s, __u32 verdict, enum reason reason, __u32 rule,
					     __u32 counter)
{
	s->done = 1;
	s->verdict = verdict;
	s->reason = reason;
	s->rule = rule;
	s->counter = counter;
	return AT_END;
}

/* The next rule of the list, else the next fork, else the end: nothing left can come before the best. */
static __always_inline __u64 classify_resume(struct scratch *s, const void *half)
{
	if (s->cursor) {
		__u64 ref = classify_ref(half, s->cursor) & REF_NODE;

		s->cursor++;
		if (ref)
			return ref;
		s->cursor = 0;
	}
	return s->best < s->rest ? AT_END : s->side;
}

static __always_inline __u64 high_bits(__u64 difference, __u64 shift)
{
	__u64 half = shift >> 1;

	return difference >> (half & 63) >> ((shift - half) & 63); /* in two steps: a shift by 64 is none */
}

/* 0 where all of the rule's fields hold. Without branches: what a packet looks like is not predictable. */
static __always_inline __u64 classify_compare(const struct scratch *s, const struct node_rule *rule,
					      const struct node_quad *quad)
{
	__u64 ports = s->key[KEY_PORTS];
	__u64 sport = ports >> 16, dport = ports & 0xffff;
	__u64 differ = ((__u64)s->key[KEY_CLASS] ^ rule->class) & rule->class_mask;

	differ |= (sport - rule->sport_lo | (__u64)rule->sport_hi - sport | dport - rule->dport_lo |
		   (__u64)rule->dport_hi - dport) >> 63;
	if (quad) {
		differ |= high_bits(s->quad.saddr[0] ^ quad->saddr[0], rule->saddr_shift) |
			  high_bits(s->quad.saddr[1] ^ quad->saddr[1], rule->saddr & 0xff) |
			  high_bits(s->quad.daddr[0] ^ quad->daddr[0], rule->daddr_shift) |
			  high_bits(s->quad.daddr[1] ^ quad->daddr[1], rule->saddr >> 8 & 0xff);
	} else {
		differ |= ((__u64)s->key[KEY_SADDR0] ^ rule->saddr) >> (rule->saddr_shift & 63) |
			  ((__u64)s->key[KEY_DADDR0] ^ rule->daddr) >> (rule->daddr_shift & 63);
	}
	return differ;
}

static __always_inline __u64 classify_rule(struct scratch *s, __u64 current, const struct node_rule *rule,
					   const struct node_quad *quad)
{
	if (current >= s->best || current <= s->floor || classify_compare(s, rule, quad))
		return GO_ON;
	if (rule->flags & RULE_PROGRAM && s->round == ROUND_DECIDING) {
		s->candidate = current;
		return rule->more;
	}
	s->best = current;
	s->action = current;
	s->cursor = 0; /* the list's next ones come later in the file */
	return GO_ON;
}

/* The reference in a bucket of four that has the tag; no tag is there twice. */
static __always_inline __u64 classify_bucket(const void *half, __u64 first, __u64 tag)
{
	const __u32 *ref = half + cfg.refs_off + (first & cfg.ref_mask & -REF_BUCKET) * sizeof(__u32);
	__u64 found = 0;

	for (unsigned int i = 0; i < REF_BUCKET; i++) {
		__u64 other = ref[i] ^ tag << REF_TAG_SHIFT; /* below 1 << REF_TAG_SHIFT: the tag is the same */

		found |= ref[i] & (other - (1u << REF_TAG_SHIFT)) >> 32;
	}
	return found;
}

/* false: nothing in the fork can come before the best. */
static __always_inline bool classify_enter(struct scratch *s, const struct node_fork *fork)
{
	s->side = fork->side;
	s->rest = fork->rest;
	s->cursor = 0;
	return s->best >= fork->low;
}

/* The group that the hash picks. */
static __always_inline __u64 classify_group(struct scratch *s, const void *half, const struct node_fork *fork,
					    __u64 hash)
{
	__u64 ref;

	barrier(); /* Verifier: what is spilled across this should be little, see counters.h. */
	barrier_var(hash);
	ref = classify_bucket(half, fork->base + (__u64)node_bucket(hash, fork->bits) * REF_BUCKET, node_tag(hash));
	if (ref & REF_LIST) {
		s->cursor = ref & REF_NODE;
		return GO_ON;
	}
	ref &= REF_NODE;
	return ref ? ref : GO_ON;
}

static __always_inline __u64 classify_hash(struct scratch *s, const void *half, const struct node_fork *fork,
					   __u64 saddr, __u64 daddr)
{
	__u64 hash;

	barrier();
	hash = node_hash(saddr, daddr, s->key[KEY_PORTS] & fork->ports_mask, s->key[KEY_CLASS] & fork->proto,
			 fork->seed);
	return classify_group(s, half, fork, hash);
}

static __always_inline __u64 classify_hash4(struct scratch *s, const void *half, const struct node_fork *fork)
{
	if (!classify_enter(s, fork))
		return GO_ON;
	return classify_hash(s, half, fork, s->key[KEY_SADDR0] & fork->saddr_mask,
			     s->key[KEY_DADDR0] & fork->daddr_mask);
}

static __always_inline __u64 classify_hash6(struct scratch *s, const void *half, const struct node_fork *fork,
					    const struct node_quad *mask)
{
	__u64 saddr, daddr;

	if (!classify_enter(s, fork))
		return GO_ON;
	barrier();
	saddr = node_fold(s->quad.saddr[0] & mask->saddr[0], s->quad.saddr[1] & mask->saddr[1]);
	barrier_var(saddr);
	daddr = node_fold(s->quad.daddr[0] & mask->daddr[0], s->quad.daddr[1] & mask->daddr[1]);
	barrier_var(daddr);
	return classify_hash(s, half, fork, saddr, daddr);
}

static __always_inline __u64 classify_word(struct scratch *s, const void *half, const struct node_fork *fork)
{
	__u64 word;

	if (!classify_enter(s, fork))
		return GO_ON;
	word = s->key[fork->proto & (KEY_MAX - 1)] & fork->saddr_mask;
	return classify_group(s, half, fork, node_hash(word, 0, 0, 0, fork->seed));
}

static __always_inline __u64 classify_list(struct scratch *s, const struct node_fork *fork)
{
	if (classify_enter(s, fork))
		s->cursor = fork->base;
	return GO_ON;
}

/*
 * The end of a search. Of eager rules: what the lowest one does, and the search goes on behind it. Else what
 * the best rule does.
 */
static __always_inline __u64 classify_end(struct scratch *s, const void *half)
{
	const struct node_rule *rule;

	if (s->eager) {
		s->cursor = 0;
		s->side = AT_END;
		s->rest = RULE_NONE;
		if (s->round == ROUND_DECIDING) {
			s->bound = s->best;
			s->bound_action = s->action;
		}
		if (s->round != ROUND_EAGER) {
			s->round = ROUND_EAGER;
			return s->eager;
		}
		if (s->best < s->bound) {
			rule = classify_node(half, s->best);
			s->floor = s->best;
			s->best = s->bound;
			s->action = s->bound_action;
			s->round = ROUND_DONE_ONE;
			return rule->more;
		}
	}
	if (s->best == RULE_NONE)
		return classify_decide(s, s->fallback, REASON_DEFAULT, RULE_NONE, COUNTER_NONE);
	rule = classify_node(half, s->action);
	if (rule->op != NODE_RULE4 && rule->op != NODE_RULE6)
		return s->action;
	s->node = s->best;
	if (rule->flags & RULE_ACTION)
		return rule->more;
	return classify_decide(s, rule->flags & RULE_VERDICT, REASON_RULE, RULE_NONE, rule->more);
}

/* One of the nodes of which rules' programs are made. */
static __always_inline __u64 classify_program(struct scratch *s, const struct node *node)
{
	__u32 value;

	switch (node->op) {
	case NODE_TEST:
		value = s->key[node->word & (KEY_MAX - 1)] & node->mask;
		return value - node->lo <= node->hi - node->lo ? node->yes : node->no;
	case NODE_RESUME:
		return GO_ON;
	case NODE_CANDIDATE:
		s->best = s->candidate; /* it was lower when its program began, and nothing came between */
		s->action = node->yes;
		s->cursor = 0;
		return GO_ON;
	case NODE_VERDICT:
		s->redirect = node->yes;
		return classify_decide(s, node->word, node->mask, node->lo, node->hi);
	case NODE_COUNT:
		if (!counter_add(s, node->lo))
			return classify_fail(s, REASON_TABLE);
		return node->yes;
	case NODE_LOG:
		event_log(node->lo, node->hi);
		return node->yes;
	default:
		return classify_fail(s, REASON_TABLE);
	}
}

static __always_inline __u64 classify_step(struct scratch *s, const void *half, __u64 current)
{
	const struct node *node = classify_node(half, current);
	const void *more;

	switch (node->op) {
	case NODE_HASH4:
		return classify_hash4(s, half, (const void *)node);
	case NODE_RULE4:
		return classify_rule(s, current, (const void *)node, NULL);
	case NODE_RULE6:
		more = classify_node(half, current + 1);
		return classify_rule(s, current, (const void *)node, more);
	case NODE_HASH6:
		more = classify_node(half, current + 1);
		return classify_hash6(s, half, (const void *)node, more);
	case NODE_WORD:
		return classify_word(s, half, (const void *)node);
	case NODE_LIST:
		return classify_list(s, (const void *)node);
	case NODE_END:
		return classify_end(s, half);
	default:
		return classify_program(s, node);
	}
}

/* Up to WALK_INLINE steps, from where the last ones ended. */
static __always_inline void classify_steps(struct scratch *s, const void *half)
{
	__u64 current = s->current;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < WALK_INLINE && !s->done; i++) {
		__u64 nought = *(volatile __u32 *)&s->nought;

		/* Verifier: unknown again, so that the paths through one step meet at the next. */
		asm volatile("%0 ^= %1" : "+r"(current) : "r"(nought));
		if (current > cfg.node_mask)
			classify_fail(s, REASON_TABLE);
		else
			current = classify_step(s, half, current);
		if (current == GO_ON)
			current = classify_resume(s, half);
	}
	s->steps += i;
	s->current = current;
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

/* The words that rules are compared by, from those that the parser found. */
static __always_inline __u32 classify_prepare(struct scratch *s)
{
	__u32 proto = s->key[KEY_PROTO], l4 = s->key[KEY_L4];

	s->key[KEY_PORTS] = s->key[KEY_SPORT] << 16 | s->key[KEY_DPORT] | s->key[KEY_ICMP];
	s->key[KEY_CLASS] = (proto & 0xff) << CLASS_PROTO | (l4 != PROTO_NONE) << CLASS_L4 |
			    (s->key[KEY_PRESENT] / PRESENT_PORTS & 1) << CLASS_PORTS |
			    (s->key[KEY_NEXTHDR] & 0xff) << CLASS_NEXTHDR | s->key[KEY_SETS0] << CLASS_SETS;
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

/* Leaves verdict, reason and rule in s. */
static __always_inline void classify(struct scratch *s, const struct tables_head *t, const struct filter_head *filter)
{
	__u32 family = classify_prepare(s);

	s->current = filter->root[family];
	s->cursor = 0;
	s->side = AT_END;
	s->rest = RULE_NONE;
	s->best = RULE_NONE;
	s->eager = filter->eager[family];
	s->round = ROUND_DECIDING;
	s->floor = 0;
	s->fallback = filter->fallback;
	classify_steps(s, t);
	if (!s->done)
		bpf_loop(WALK_CHUNKS, classify_chunk, NULL, 0);
	if (!s->done)
		classify_fail(s, REASON_STEPS);
	if (!counter_add(s, s->counter))
		s->reason = REASON_TABLE;
}
