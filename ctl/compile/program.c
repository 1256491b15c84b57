// SPDX-License-Identifier: GPL-2.0
/* Growing arrays of nodes and references. Programs are made from their ends backwards, so costs are known at once. */
#include <stdlib.h>
#include <string.h>

#include "program.h"

/* Room for n more nodes; false when memory ends. */
static bool grow_nodes(struct program *program, size_t n)
{
	size_t capacity = program->node_capacity ? program->node_capacity : 256;
	struct node *nodes;
	uint32_t *cost;

	if (program->n_nodes + n <= program->node_capacity)
		return true;
	while (capacity < program->n_nodes + n)
		capacity *= 2;
	nodes = realloc(program->nodes, capacity * sizeof(*nodes));
	if (nodes)
		program->nodes = nodes;
	cost = realloc(program->cost, capacity * sizeof(*cost));
	if (cost)
		program->cost = cost;
	if (!nodes || !cost) {
		program->out_of_memory = true;
		return false;
	}
	program->node_capacity = capacity;
	return true;
}

uint32_t program_reserve(struct program *program, size_t n)
{
	uint32_t first = program->n_nodes;

	if (!grow_nodes(program, n))
		return 0;
	memset(program->nodes + first, 0, n * sizeof(*program->nodes));
	for (size_t i = 0; i < n; i++)
		program->cost[first + i] = 1;
	program->n_nodes += n;
	return first;
}

uint32_t program_reserve_refs(struct program *program, size_t n, size_t align)
{
	size_t first = (program->n_refs + align - 1) & ~(align - 1);

	if (first + n > program->ref_capacity) {
		size_t capacity = (first + n) * 2;
		uint32_t *refs = realloc(program->refs, capacity * sizeof(*refs));

		if (!refs) {
			program->out_of_memory = true;
			return 0;
		}
		program->refs = refs;
		program->ref_capacity = capacity;
	}
	memset(program->refs + program->n_refs, 0, (first + n - program->n_refs) * sizeof(*program->refs));
	program->n_refs = first + n;
	return first;
}

int program_begin(struct program *program)
{
	program_reserve_refs(program, 1, 1);
	program_reserve(program, 2);
	return program->out_of_memory ? -1 : 0;
}

/* Returns the node's number; 0 after memory ended (program->out_of_memory says so). */
uint32_t program_add(struct program *program, struct node node)
{
	uint32_t number = program_reserve(program, 1), yes, no;

	if (program->out_of_memory)
		return 0;
	program->nodes[number] = node;
	if (node.op >= NODE_TEST && node.op <= NODE_BAN) {
		yes = program->cost[node.yes];
		no = node.op == NODE_TEST ? program->cost[node.no] : 0;
		program->cost[number] = 1 + (yes > no ? yes : no);
	}
	return number;
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
