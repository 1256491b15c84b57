/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The first rule that matches: a walk along rows of forks (bpf/abi.h, struct node_fork), which compares the
 * rules it finds. A branch that is guessed wrong costs as much as a fork, so comparisons have none.
 */
#pragma once

#include "maps.h"

/* Rules of a list that are compared at once. */
#define LIST_INLINE 4

static __always_inline const void *search_node(const void *half, __u64 number)
{
	return half + cfg.nodes_off + (number & cfg.node_mask) * sizeof(struct node);
}

/* 0, and a note in s, where the tables say to look outside of themselves. */
static __always_inline __u64 search_ref(struct scratch *s, const void *half, __u64 number)
{
	if (number > cfg.ref_mask) {
		s->outside = 1;
		return 0;
	}
	return *(const __u32 *)(half + cfg.refs_off + (number & cfg.ref_mask) * sizeof(__u32));
}

/* The reference in a bucket of two that has the tag, or 0; no tag is there twice. */
static __always_inline __u64 search_bucket(struct scratch *s, const void *half, __u64 first, __u64 tag)
{
	const __u32 *ref = half + cfg.refs_off + (first & cfg.ref_mask & -REF_BUCKET) * sizeof(__u32);
	__u64 found;

	if (first > cfg.ref_mask) {
		s->outside = 1;
		return 0;
	}
	found = ref[0] & -below(ref[0] ^ tag << REF_TAG_SHIFT, 1u << REF_TAG_SHIFT);

	return (found | (ref[1] & -below(ref[1] ^ tag << REF_TAG_SHIFT, 1u << REF_TAG_SHIFT))) & REF_UNTAGGED;
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
	barrier_var(saddr);
	daddr = node_fold(s->quad.daddr[0] & mask->daddr[0], s->quad.daddr[1] & mask->daddr[1]);
	barrier_var(daddr);
	return node_hash(saddr, daddr, s->key[KEY_PORTS] & fork->ports_mask, s->key[KEY_CLASS] & fork->proto,
			 fork->seed);
}

static __always_inline __u64 search_word(const struct scratch *s, const struct node_fork *fork)
{
	return node_hash(s->key[fork->proto & (KEY_MAX - 1)] & fork->saddr_mask, 0, 0, 0, fork->seed);
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

	barrier_var(differ); /* Verifier: few values at once, or clang spills them in parts; see counters.h. */
	differ |= (sport - rule->sport_lo | (__u64)rule->sport_hi - sport | dport - rule->dport_lo |
		   (__u64)rule->dport_hi - dport) >>
		  63;
	barrier_var(differ);
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

/*
 * Compares one rule; the lower one of it and best. A rule with a program waits in s->programs, except where the
 * caller runs the programs itself (eager).
 */
static __always_inline __u64 search_rule(struct scratch *s, const void *half, __u64 number, __u64 best,
					 const bool eager)
{
	const struct node_rule *rule = search_node(half, number);
	__u64 differ = search_compare(s, half, number, rule);

	if (!eager && rule->flags & RULE_PROGRAM) {
		if (!differ)
			s->programs[s->n_programs++ & (PROGRAMS_MAX - 1)] = number;
		return best;
	}
	if (eager)
		differ |= below(number, (__u64)s->floor + 1);
	number |= -below(0, differ) & RULE_NONE;
	return best ^ ((best ^ number) & -below(number, best));
}

static __always_inline __u64 search_bits(const struct scratch *s, const struct node_fork *fork)
{
	return (__u64)s->key[fork->proto & (KEY_MAX - 1)] >> (fork->seed & 31) & ((1ull << (fork->bits & 31)) - 1);
}

/* What a fork names for this packet. */
static __always_inline __u64 search_fork(struct scratch *s, const void *half, const struct node_fork *fork,
					 __u64 number)
{
	__u64 hash;

	if (fork->op == NODE_HASH4)
		hash = search_hash4(s, fork);
	else if (fork->op == NODE_HASH6)
		hash = search_hash6(s, fork, search_node(half, number + 1));
	else if (fork->op == NODE_CUT)
		return search_ref(s, half, fork->base + search_bits(s, fork));
	else if (fork->op == NODE_WORD)
		hash = search_word(s, fork);
	else
		return REF_LIST | fork->base;
	hash = forget(s, hash, ~0ull);
	return search_bucket(s, half, fork->base + (__u64)node_bucket(hash, fork->buckets) * REF_BUCKET,
			     node_tag(hash));
}

/* The rule that a reference names, 0 none. */
static __always_inline __u64 search_inside(struct scratch *s, __u64 ref)
{
	ref &= REF_NUMBER;
	if (ref > cfg.node_mask) {
		s->outside = 1;
		return 0;
	}
	return ref;
}

/*
 * From a reference on: leaves the lowest rule that matches in s->best, rules that match as far as a comparison can
 * say in s->programs, and lists that are longer than LIST_INLINE in s->found, from where they were left. Where a
 * number led outside the tables, s->outside says so. false: there are more forks than a search may ask. The compiler
 * makes no such index.
 */
static __always_inline bool search(struct scratch *s, const void *half, __u64 ref, const bool eager)
{
	__u64 best = s->best, i;

	s->n_programs = 0;
	s->n_found = 0;
	s->outside = 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < SEARCH_FORKS; i++) {
		__u64 found, cursor = 0;

		ref = forget(s, ref, REF_UNTAGGED);
		best = forget(s, best, RULE_NONE);
		found = ref;
		if ((ref & REF_KIND) == REF_FORK) {
			__u64 number = search_inside(s, ref);
			const struct node_fork *fork = search_node(half, number);

			if (best < fork->low)
				break;
			found = search_fork(s, half, fork, number);
			ref = fork->next;
			if ((found & REF_KIND) == REF_FORK) {
				ref = found;
				continue;
			}
		} else {
			ref = 0;
		}
		if ((found & REF_KIND) == REF_LIST) {
			cursor = found & REF_NUMBER;
			found = search_ref(s, half, cursor);
		}
		found = search_inside(s, found);
		for (__u64 k = 0; k < LIST_INLINE && found; k++) {
			found = forget(s, found, REF_NUMBER);
			best = forget(s, best, RULE_NONE);
			best = search_rule(s, half, found, best, eager);
			found = cursor ? search_inside(s, search_ref(s, half, ++cursor)) : 0;
		}
		if (found)
			s->found[s->n_found++ & (SEARCH_LISTS - 1)] = cursor;
		if (!ref)
			break;
	}
	s->best = best;
	s->steps += i;
	return i < SEARCH_FORKS;
}
