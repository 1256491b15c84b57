// SPDX-License-Identifier: GPL-2.0
/* The flow table from outside: carried into a larger one, listed, flows ended. Packets go on using it meanwhile. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "root.h"

struct flow_table {
	struct flow *at;
	uint32_t n; /* lines, a power of two */
	uint64_t seed;
	uint32_t now; /* ticks */
};

static int lines_map(struct flow **ret, int fd, uint32_t n, struct diag *diag)
{
	return memory_map_one((void **)ret, fd, sizeof(**ret), n, "flows", diag);
}

static int table_open(struct flow_table *ret, const struct instance *instance, struct diag *diag)
{
	const struct capacity *capacity = &instance->memory.capacity;

	*ret = (struct flow_table){ .n = capacity->n_flows,
				    .seed = capacity->seed,
				    .now = runner_clock() >> FLOW_TICK };
	return lines_map(&ret->at, instance->flows, ret->n, diag);
}

static void table_close(struct flow_table *table)
{
	memory_unmap_one(table->at, sizeof(*table->at), table->n);
}

static bool is_live(const struct flow_table *table, const struct flow *flow)
{
	return flow->state > FLOW_BUSY && (int32_t)(flow->expires - table->now) > 0;
}

static uint32_t home_of(const struct flow_table *table, const struct flow *flow)
{
	struct flow_id id = { .ports = flow->ports, .proto = flow->proto, .ipv6 = flow->flags & FLOW_IPV6 };

	memcpy(id.addr, flow->addr, sizeof(id.addr));
	return (flow_hash(&id, table->seed) >> 32) & (table->n - 1);
}

/* The i-th line that a flow with this home may be in. */
static uint32_t line_of(uint32_t home, uint32_t i)
{
	return (home & ~(FLOW_BUCKET - 1u)) | ((home + i) & (FLOW_BUCKET - 1));
}

/* ---- carrying ---- */

static bool same_flow(const struct flow *a, const struct flow *b)
{
	return a->proto == b->proto && (a->flags & FLOW_IPV6) == (b->flags & FLOW_IPV6) && a->ports == b->ports &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* In either direction. */
static bool is_same_flow(const struct flow *a, const struct flow *b)
{
	struct flow turned = *b;

	memcpy(turned.addr[0], b->addr[1], sizeof(turned.addr[0]));
	memcpy(turned.addr[1], b->addr[0], sizeof(turned.addr[1]));
	turned.ports = b->ports << 16 | b->ports >> 16;
	return same_flow(a, b) || same_flow(a, &turned);
}

/*
 * The same protocol as packets follow (bpf/flow_make.h): count at home, claim, fill, publish. A flow that finds no place is
 * lost.
 */
static void put(struct flow_table *table, const struct flow *flow)
{
	uint32_t home = home_of(table, flow), at = 0;
	struct flow *line = NULL, filled;
	uint64_t word, claim;

	for (uint32_t i = 0; i < FLOW_BUCKET; i++)
		if (is_live(table, &table->at[line_of(home, i)]) && is_same_flow(&table->at[line_of(home, i)], flow))
			return;
	for (uint32_t i = 0; i < FLOW_BUCKET && !line; i++) {
		at = line_of(home, i);
		if (!is_live(table, &table->at[at]) && table->at[at].state != FLOW_BUSY)
			line = &table->at[at];
	}
	if (!line)
		return;
	word = __atomic_load_n((uint64_t *)line, __ATOMIC_ACQUIRE);
	filled = *flow;
	filled.state = FLOW_BUSY;
	filled.home_more = (word >> 56 & 0xf0) | (home & (FLOW_BUCKET - 1));
	memcpy(&claim, &filled, sizeof(claim));
	if (!__atomic_compare_exchange_n((uint64_t *)line, &word, claim, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	if (at != home && table->at[home].home_more >> 4 != 15)
		__atomic_fetch_add((uint64_t *)&table->at[home], 1ull << 60, __ATOMIC_ACQ_REL);
	memcpy((char *)line + sizeof(word), (const char *)flow + sizeof(word), sizeof(*flow) - sizeof(word));
	__atomic_store_n(&line->state, flow->state, __ATOMIC_RELEASE);
}

/* `to` learns what packets told `from` of the same connection, while some went by one table and some by the other. */
static void add(struct flow *to, const struct flow *from)
{
	if (to->state == FLOW_SYN_SENT && from->state >= FLOW_LAST_ACK && from->state <= FLOW_CLOSE)
		return; /* it has begun anew */
	for (int i = 0; i < 2; i++) {
		if ((int32_t)(from->end[i] - to->end[i]) > 0)
			to->end[i] = from->end[i];
		if ((int32_t)(from->max_end[i] - to->max_end[i]) > 0)
			to->max_end[i] = from->max_end[i];
		if (from->window[i] > to->window[i])
			to->window[i] = from->window[i];
		if (to->scale[i] == FLOW_NO_SCALE)
			to->scale[i] = from->scale[i];
	}
	if (from->state > to->state)
		to->state = from->state;
	__atomic_fetch_or(&to->flags, from->flags & (FLOW_REPLIED | FLOW_ASSURED), __ATOMIC_ACQ_REL);
	if ((int32_t)(from->expires - to->expires) > 0)
		to->expires = from->expires;
}

static struct flow *find(const struct flow_table *table, const struct flow *flow)
{
	uint32_t home = home_of(table, flow);

	for (uint32_t i = 0; i < FLOW_BUCKET; i++) {
		struct flow *line = &table->at[line_of(home, i)];

		if (is_live(table, line) && same_flow(line, flow))
			return line;
	}
	return NULL;
}

/*
 * Programs move to the new table one by one: until the last one has, the packets of one direction may be told to one table
 * and those of the other to the other, and neither is right about sequence numbers. So TCP flows are liberal in both
 * for as long as that takes. A command that is killed meanwhile leaves them liberal.
 */
struct flow_carry {
	struct flow_table old, new;
	uint8_t *strict; /* a bit a line of the old table: its flow was not liberal before */
};

static bool was_strict(const struct flow_carry *carry, uint32_t line)
{
	return carry->strict[line / 8] >> line % 8 & 1;
}

void flow_carry_end(struct flow_carry *carry)
{
	if (!carry)
		return;
	table_close(&carry->old);
	table_close(&carry->new);
	free(carry->strict);
	free(carry);
}

int flow_carry_begin(struct flow_carry **ret, const struct instance *from, const struct instance *to, struct diag *diag)
{
	struct flow_carry *carry;
	int r;

	*ret = NULL;
	if (from->memory.capacity.n_flows == to->memory.capacity.n_flows) /* the same table */
		return 0;
	carry = calloc(1, sizeof(*carry));
	if (!carry)
		return diag_oom(diag);
	r = table_open(&carry->old, from, diag);
	if (r == 0)
		r = table_open(&carry->new, to, diag);
	if (r == 0) {
		carry->strict = calloc(carry->old.n / 8 + 1, 1);
		if (!carry->strict)
			r = diag_oom(diag);
	}
	for (uint32_t i = 0; r == 0 && i < carry->old.n; i++) {
		struct flow *line = &carry->old.at[i], flow;

		if (!is_live(&carry->old, line))
			continue;
		if (line->proto == IPPROTO_TCP && !(line->flags & FLOW_LIBERAL)) {
			carry->strict[i / 8] |= 1 << i % 8;
			__atomic_fetch_or(&line->flags, FLOW_LIBERAL, __ATOMIC_ACQ_REL);
		}
		flow = *line;
		put(&carry->new, &flow);
	}
	if (r)
		flow_carry_end(carry);
	else
		*ret = carry;
	return r;
}

void flow_carry_rest(struct flow_carry *carry)
{
	if (!carry)
		return;
	carry->old.now = carry->new.now = runner_clock() >> FLOW_TICK;
	for (uint32_t i = 0; i < carry->old.n; i++) {
		struct flow flow = carry->old.at[i], *line;

		if (flow.state <= FLOW_BUSY)
			continue;
		line = find(&carry->new, &flow);
		if (line && flow.proto == IPPROTO_TCP)
			add(line, &flow);
		else if (!line && is_live(&carry->old, &flow))
			put(&carry->new, &flow);
		if (line && was_strict(carry, i))
			__atomic_fetch_and(&line->flags, (uint8_t)~FLOW_LIBERAL, __ATOMIC_ACQ_REL);
	}
}

int flows_copy(const struct instance *from, int to, struct diag *diag)
{
	struct flow_table table;
	struct flow *copy = NULL;
	int r = table_open(&table, from, diag);

	if (r)
		return r;
	r = lines_map(&copy, to, table.n, diag);
	if (r == 0)
		memcpy(copy, table.at, table.n * sizeof(*copy));
	memory_unmap_one(copy, sizeof(*copy), table.n);
	table_close(&table);
	return r;
}

/* ---- connections that are older than the table ---- */

struct seed {
	struct flow_table *table;
	uint32_t timeout;
};

static void sow(void *context, const struct flow *flow)
{
	const struct seed *seed = context;
	struct flow known = *flow;

	known.expires = seed->table->now + seed->timeout;
	put(seed->table, &known);
}

int flows_seed(const struct instance *instance, const struct flow_settings *settings, struct diag *diag)
{
	struct flow_table table;
	struct seed seed = { &table, settings->timeout[FLOW_TIMEOUT_TCP + FLOW_ESTABLISHED - FLOW_SYN_SENT] };
	int r = table_open(&table, instance, diag);

	if (r)
		return r;
	r = sockets_list(sow, &seed, diag);
	table_close(&table);
	return r;
}

/* ---- listing and ending ---- */

int root_flows(struct weir_root *root, flow_handler handler, void *context, struct diag *diag)
{
	struct flow_table table;
	int r = table_open(&table, root->instance, diag);

	if (r)
		return r;
	for (uint32_t i = 0; r == 0 && i < table.n; i++) {
		struct flow flow = table.at[i];
		bool end = false;

		if (!is_live(&table, &flow))
			continue;
		r = handler(context, &flow, (uint64_t)(flow.expires - table.now) << FLOW_TICK, &end);
		/* Only if it is still that flow: its line may have been taken since. */
		if (end && same_flow(&table.at[i], &flow))
			__atomic_store_n(&table.at[i].expires, table.now, __ATOMIC_RELEASE);
	}
	table_close(&table);
	return r;
}
