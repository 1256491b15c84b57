// SPDX-License-Identifier: GPL-2.0
/* Growing arrays of nodes and references. Nodes are made from their targets backwards, so costs are known at once. */
#include <stdlib.h>

#include "program.h"

uint32_t program_cost(const struct program *program, uint32_t node)
{
	return node == NODE_NEXT ? 0 : program->cost[node];
}

/* Returns the node's number; 0 after memory ended (program->out_of_memory says so). */
uint32_t program_add(struct program *program, struct node node)
{
	uint32_t yes = 0, no = 0;

	if (program->n_nodes == program->node_capacity) {
		size_t capacity = program->node_capacity ? program->node_capacity * 2 : 256;
		struct node *nodes = realloc(program->nodes, capacity * sizeof(*nodes));
		uint32_t *cost;

		if (nodes)
			program->nodes = nodes;
		cost = realloc(program->cost, capacity * sizeof(*cost));
		if (cost)
			program->cost = cost;
		if (!nodes || !cost) {
			program->out_of_memory = true;
			return 0;
		}
		program->node_capacity = capacity;
	}
	if (node.op == NODE_TEST || node.op == NODE_COUNT || node.op == NODE_LOG)
		yes = program_cost(program, node.yes);
	if (node.op == NODE_TEST)
		no = program_cost(program, node.no);
	program->nodes[program->n_nodes] = node;
	program->cost[program->n_nodes] = 1 + (yes > no ? yes : no);
	return program->n_nodes++;
}

uint32_t program_test(struct program *program, uint8_t word, uint32_t mask, uint32_t lo, uint32_t hi, uint32_t yes,
		      uint32_t no)
{
	if (yes == no)
		return yes;
	return program_add(
		program,
		(struct node){ .op = NODE_TEST, .word = word, .mask = mask, .lo = lo, .hi = hi, .yes = yes, .no = no });
}

/* A rule list: the entries, then `last`, which must decide. */
uint32_t program_list(struct program *program, const uint32_t *entries, size_t n, uint32_t last)
{
	uint32_t start = program->n_refs, number;
	uint64_t cost = 1;

	if (n == 0)
		return last;
	if (program->n_refs + n + 1 > program->ref_capacity) {
		size_t capacity = (program->n_refs + n + 1) * 2;
		uint32_t *refs = realloc(program->refs, capacity * sizeof(*refs));

		if (!refs) {
			program->out_of_memory = true;
			return 0;
		}
		program->refs = refs;
		program->ref_capacity = capacity;
	}
	for (size_t i = 0; i < n; i++) {
		program->refs[program->n_refs++] = entries[i];
		cost += program_cost(program, entries[i]);
	}
	program->refs[program->n_refs++] = last;
	cost += program_cost(program, last);
	number = program_add(program, (struct node){ .op = NODE_LIST, .lo = start });
	if (!program->out_of_memory)
		program->cost[number] = cost > UINT32_MAX ? UINT32_MAX : cost;
	return number;
}
