// SPDX-License-Identifier: GPL-2.0
/* The flow table from outside: carried into a larger one, listed, flows ended. Packets go on using it meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "root.h"

struct flow_table {
	struct flow *at;
	uint32_t n; /* lines, a power of two */
	uint64_t seed;
	uint32_t now; /* ticks */
};

static size_t flow_bytes(uint32_t n)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (n * sizeof(struct flow) + page - 1) & ~(page - 1);
}

static int table_open(struct flow_table *ret, const struct instance *instance, struct diag *diag)
{
	const struct capacity *capacity = &instance->memory.capacity;
	void *at = mmap(NULL, flow_bytes(capacity->n_flows), PROT_READ | PROT_WRITE, MAP_SHARED, instance->flows, 0);

	if (at == MAP_FAILED)
		return diag_errno(diag, errno, "cannot map the flow table into memory");
	*ret = (struct flow_table){
		.at = at, .n = capacity->n_flows, .seed = capacity->seed, .now = runner_clock() >> FLOW_TICK
	};
	return 0;
}

static void table_close(struct flow_table *table)
{
	munmap(table->at, flow_bytes(table->n));
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

/* The same protocol as packets follow (bpf/flows.h): count at home, claim, fill, publish. A flow that finds no place is lost. */
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

int flows_carry(const struct instance *from, const struct instance *to, struct diag *diag)
{
	struct flow_table old, new;
	int r;

	if (from->memory.capacity.n_flows == to->memory.capacity.n_flows) /* the same table */
		return 0;
	r = table_open(&old, from, diag);
	if (r)
		return r;
	r = table_open(&new, to, diag);
	for (uint32_t i = 0; r == 0 && i < old.n; i++) {
		struct flow flow = old.at[i];

		if (is_live(&old, &flow))
			put(&new, &flow);
	}
	if (r == 0)
		table_close(&new);
	table_close(&old);
	return r;
}

int flows_copy(const struct instance *from, int to, struct diag *diag)
{
	struct flow_table table;
	size_t bytes = flow_bytes(from->memory.capacity.n_flows);
	void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	int r;

	if (copy == MAP_FAILED)
		return diag_errno(diag, errno, "cannot map the flow table into memory");
	r = table_open(&table, from, diag);
	if (r == 0) {
		memcpy(copy, table.at, bytes);
		table_close(&table);
	}
	munmap(copy, bytes);
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
