/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which rules could match: all forks of a filter's index are asked for a reference (bpf/abi.h, struct
 * node_fork), then the rules found are compared in full.
 *
 * What a packet finds is not predictable, and a branch that is guessed wrong costs as much as a fork. So
 * nothing branches on it: a reference goes into the array of rules and into the array of rows, and only the
 * end of the right one moves. The reads of different forks do not wait for each other either.
 */
#pragma once

#include "maps.h"

static __always_inline const void *search_node(const void *half, __u64 number)
{
	return half + cfg.nodes_off + (number & cfg.node_mask) * sizeof(struct node);
}

static __always_inline __u64 search_ref(const void *half, __u64 number)
{
	return *(const __u32 *)(half + cfg.refs_off + (number & cfg.ref_mask) * sizeof(__u32));
}

/* 1 where a < b, both below 1 << 63. Hidden from clang, which would make it a branch. */
static __always_inline __u64 below(__u64 a, __u64 b)
{
	a -= b;
	barrier_var(a);
	a >>= 63;
	barrier_var(a);
	return a;
}

/* The reference in a bucket of four that has the tag; no tag is there twice. */
static __always_inline __u64 search_bucket(const void *half, __u64 first, __u64 tag)
{
	const __u32 *ref = half + cfg.refs_off + (first & cfg.ref_mask & -REF_BUCKET) * sizeof(__u32);
	__u64 found = 0;

	for (unsigned int i = 0; i < REF_BUCKET; i++)
		found |= ref[i] & -below(ref[i] ^ tag << REF_TAG_SHIFT, 1u << REF_TAG_SHIFT);
	return found;
}

static __always_inline __u64 search_hash4(const struct scratch *s, const struct node_fork *fork)
{
	return node_hash(s->key[KEY_SADDR0] & fork->saddr_mask, s->key[KEY_DADDR0] & fork->daddr_mask,
			 s->key[KEY_PORTS] & fork->ports_mask, s->key[KEY_CLASS] & fork->proto, fork->seed);
}

static __always_inline __u64 search_hash6(const struct scratch *s, const struct node_fork *fork,
					  const struct node_quad *mask)
{
	__u64 saddr, daddr;

	saddr = node_fold(s->quad.saddr[0] & mask->saddr[0], s->quad.saddr[1] & mask->saddr[1]);
	barrier_var(saddr); /* Verifier: few values at once, or clang spills them in parts; see counters.h. */
	daddr = node_fold(s->quad.daddr[0] & mask->daddr[0], s->quad.daddr[1] & mask->daddr[1]);
	barrier_var(daddr);
	return node_hash(saddr, daddr, s->key[KEY_PORTS] & fork->ports_mask, s->key[KEY_CLASS] & fork->proto,
			 fork->seed);
}

static __always_inline __u64 search_word(const struct scratch *s, const struct node_fork *fork)
{
	return node_hash(s->key[fork->proto & (KEY_MAX - 1)] & fork->saddr_mask, 0, 0, 0, fork->seed);
}

/* Verifier: unknown again, so that the paths through one round of a loop meet at the next. */
static __always_inline __u64 forget(const struct scratch *s, __u64 value)
{
	__u64 nought = *(const volatile __u32 *)&s->nought;

	asm volatile("%0 ^= %1" : "+r"(value) : "r"(nought));
	return value;
}

/*
 * Fills s->found with what the forks from ref on name. false: more forks than a search may ask; the compiler
 * does not make such an index.
 */
static __always_inline bool search_forks(struct scratch *s, const void *half, __u64 ref)
{
	__u64 rules = 0, rows = 0, row = 0;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i <= SEARCH_FORKS; i++) {
		const struct node_fork *fork;
		__u64 hash, found, is_row;

		ref = forget(s, ref);
		rules = forget(s, rules) & (SEARCH_FORKS - 1);
		rows = forget(s, rows) & (SEARCH_FORKS - 1);
		row = forget(s, row) & (SEARCH_FORKS - 1);
		if ((ref & REF_KIND) != REF_FORK) { /* the end of a row */
			s->found[rules] = ref & REF_UNTAGGED;
			rules += below(0, ref & REF_NUMBER);
			if (row == rows)
				break;
			ref = s->rows[row++];
		}
		ref = forget(s, ref);
		fork = search_node(half, ref & REF_NUMBER);
		if (fork->op == NODE_HASH4)
			hash = search_hash4(s, fork);
		else if (fork->op == NODE_HASH6)
			hash = search_hash6(s, fork, search_node(half, (ref & REF_NUMBER) + 1));
		else
			hash = search_word(s, fork);
		hash = forget(s, hash);
		found = search_bucket(half, fork->base + (__u64)node_bucket(hash, fork->bits) * REF_BUCKET,
				      node_tag(hash)) & REF_UNTAGGED;
		is_row = found >> REF_KIND_SHIFT >> 1;
		s->found[rules] = found;
		s->rows[rows] = found;
		rows += is_row;
		rules += below(0, found) & ~is_row;
		ref = fork->next;
	}
	s->n_found = rules;
	s->steps += i;
	return i <= SEARCH_FORKS;
}

static __always_inline __u64 high_bits(__u64 difference, __u64 shift)
{
	__u64 half = shift >> 1;

	return difference >> (half & 63) >> ((shift - half) & 63); /* in two steps: a shift by 64 is none */
}

/* 0 where all of the rule's fields hold, else below 1 << 32. */
static __always_inline __u64 search_compare(const struct scratch *s, const void *half, __u64 number,
					    const struct node_rule *rule)
{
	__u64 ports = s->key[KEY_PORTS];
	__u64 sport = ports >> 16, dport = ports & 0xffff;
	__u64 differ = ((__u64)s->key[KEY_CLASS] ^ rule->class) & rule->class_mask;

	differ |= (sport - rule->sport_lo | (__u64)rule->sport_hi - sport | dport - rule->dport_lo |
		   (__u64)rule->dport_hi - dport) >> 63;
	if (rule->op == NODE_RULE6) {
		const struct node_quad *quad = search_node(half, number + 1);

		differ |= high_bits(s->quad.saddr[0] ^ quad->saddr[0], rule->saddr_shift) |
			  high_bits(s->quad.saddr[1] ^ quad->saddr[1], rule->saddr & 0xff) |
			  high_bits(s->quad.daddr[0] ^ quad->daddr[0], rule->daddr_shift) |
			  high_bits(s->quad.daddr[1] ^ quad->daddr[1], rule->saddr >> 8 & 0xff);
		return (differ | differ >> 32) & 0xffffffff;
	}
	return differ | ((__u64)s->key[KEY_SADDR0] ^ rule->saddr) >> (rule->saddr_shift & 63) |
	       ((__u64)s->key[KEY_DADDR0] ^ rule->daddr) >> (rule->daddr_shift & 63);
}

/* The next rule to compare: 0 where a list ended or began, RULE_NONE at the end of all. */
static __always_inline __u64 search_next(struct scratch *s, const void *half)
{
	__u64 ref;

	if (s->cursor) {
		ref = search_ref(half, s->cursor) & REF_NUMBER;
		s->cursor = ref ? s->cursor + 1 : 0;
		return ref;
	}
	if (s->next_found >= s->n_found)
		return RULE_NONE;
	ref = s->found[s->next_found++ & (SEARCH_FORKS - 1)];
	if ((ref & REF_KIND) == REF_RULE)
		return ref & REF_NUMBER;
	s->cursor = ref & REF_NUMBER;
	return 0;
}

/*
 * Leaves the lowest plain rule that matches in s->best, and those that match as far as a comparison can say in
 * s->programs. false: there is more to compare, from where s stands.
 */
static __always_inline bool search_rules(struct scratch *s, const void *half)
{
	__u64 best = s->best, programs = 0;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < SEARCH_INLINE; i++) {
		__u64 number = search_next(s, half), holds, program, candidate;
		const struct node_rule *rule;

		if (number == RULE_NONE)
			break;
		number = forget(s, number);
		best = forget(s, best);
		programs = forget(s, programs) & (SEARCH_FORKS - 1);
		rule = search_node(half, number);
		holds = 1 - below(0, search_compare(s, half, number, rule));
		holds &= below(s->floor, number);
		program = holds & rule->flags / RULE_PROGRAM & s->with_programs;
		s->programs[programs] = number;
		programs += program;
		candidate = number | -(1 - (holds & ~program));
		best ^= (best ^ candidate) & -below(candidate & RULE_NONE, best);
		best &= RULE_NONE;
	}
	s->best = best;
	s->n_programs = programs;
	s->steps += i;
	return i < SEARCH_INLINE;
}
