// SPDX-License-Identifier: GPL-2.0
/* The search of bpf/search.h for one packet: all rules whose comparison holds, not only the first. */
#include "program.h"

static uint64_t high_bits(uint64_t difference, uint32_t shift)
{
	return shift >= 64 ? 0 : difference >> shift;
}

static bool compare(const struct node *node, const struct visit_key *key)
{
	const struct node_rule *rule = (const struct node_rule *)node;
	const struct node_quad *quad = (const struct node_quad *)(node + 1);
	uint32_t sport = key->ports >> 16, dport = key->ports & 0xffff;

	if ((key->class ^ rule->class) & rule->class_mask)
		return false;
	if (sport < rule->sport_lo || sport > rule->sport_hi || dport < rule->dport_lo || dport > rule->dport_hi)
		return false;
	if (rule->op == NODE_RULE4)
		return !high_bits((uint32_t)key->saddr[1] ^ rule->saddr, rule->saddr_shift) &&
		       !high_bits((uint32_t)key->daddr[1] ^ rule->daddr, rule->daddr_shift);
	return !high_bits(key->saddr[0] ^ quad->saddr[0], rule->saddr_shift) &&
	       !high_bits(key->saddr[1] ^ quad->saddr[1], rule->saddr & 0xff) &&
	       !high_bits(key->daddr[0] ^ quad->daddr[0], rule->daddr_shift) &&
	       !high_bits(key->daddr[1] ^ quad->daddr[1], rule->saddr >> 8 & 0xff);
}

static uint64_t hash_of(const struct node *node, const struct visit_key *key)
{
	const struct node_fork *fork = (const struct node_fork *)node;
	const struct node_quad *mask = (const struct node_quad *)(node + 1);
	uint64_t saddr, daddr;

	if (fork->op == NODE_WORD)
		return node_hash(key->word[fork->proto] & fork->saddr_mask, 0, 0, 0, fork->seed);
	if (fork->op == NODE_HASH6) {
		saddr = node_fold(key->saddr[0] & mask->saddr[0], key->saddr[1] & mask->saddr[1]);
		daddr = node_fold(key->daddr[0] & mask->daddr[0], key->daddr[1] & mask->daddr[1]);
	} else {
		saddr = (uint32_t)key->saddr[1] & fork->saddr_mask;
		daddr = (uint32_t)key->daddr[1] & fork->daddr_mask;
	}
	return node_hash(saddr, daddr, key->ports & fork->ports_mask, key->class & fork->proto, fork->seed);
}

static uint32_t take(const struct program *program, const struct node_fork *fork, uint64_t hash)
{
	const uint32_t *ref = program->refs + fork->base + node_bucket(hash, fork->buckets) * REF_BUCKET;

	for (unsigned int i = 0; i < REF_BUCKET; i++)
		if (ref[i] && ref[i] >> REF_TAG_SHIFT == node_tag(hash))
			return ref[i] & REF_UNTAGGED;
	return 0;
}

static uint32_t taken_by(const struct program *program, const struct node *node, const struct visit_key *key)
{
	const struct node_fork *fork = (const struct node_fork *)node;

	if (fork->op == NODE_LIST)
		return REF_LIST | fork->base;
	if (fork->op == NODE_CUT) /* by ports alone */
		return program->refs[fork->base + (key->ports >> fork->seed & ((1u << fork->bits) - 1))];
	return take(program, fork, hash_of(node, key));
}

static bool visit_rules(const struct program *program, uint32_t ref, const struct visit_key *key,
			bool (*found)(void *context, uint32_t node), void *context)
{
	const uint32_t one[2] = { ref & REF_NUMBER };
	const uint32_t *refs = (ref & REF_KIND) == REF_LIST ? program->refs + (ref & REF_NUMBER) : one;

	for (; *refs; refs++)
		if (compare(&program->nodes[*refs & REF_NUMBER], key) && found(context, *refs & REF_NUMBER))
			return true;
	return false;
}

void index_visit(const struct program *program, uint32_t ref, const struct visit_key *key,
		 bool (*found)(void *context, uint32_t node), void *context)
{
	while ((ref & REF_KIND) == REF_FORK) {
		const struct node *node = &program->nodes[ref & REF_NUMBER];
		const struct node_fork *fork = (const struct node_fork *)node;
		uint32_t taken = taken_by(program, node, key);

		if ((taken & REF_KIND) == REF_FORK) {
			ref = taken; /* a row that ends at fork->next */
			continue;
		}
		if (visit_rules(program, taken, key, found, context))
			return;
		ref = fork->next;
	}
	visit_rules(program, ref, key, found, context);
}
