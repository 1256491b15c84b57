// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "guard_world_bpf.h"
#include "weir.skel.h"

#define COUNTERS (COUNTERS_RESERVED + GUARDS_MAX * GUARD_LAYER_MAX * GUARD_OUTCOME_MAX)

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static void *share(const struct bpf_map *map, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int guard_world_open(struct guard_world *w)
{
	struct bpf_program *program;
	int r;

	memset(w, 0, sizeof(*w));
	libbpf_set_print(silent);
	w->n_cpus = libbpf_num_possible_cpus();
	w->bpf = weir_bpf__open();
	if (!w->bpf)
		return -errno;
	bpf_object__for_each_program(program, w->bpf->obj) bpf_program__set_autoload(
		program, !strncmp(bpf_program__name(program), "weir_guard_", strlen("weir_guard_")));
	r = bpf_map__set_max_entries(w->bpf->maps.counters, COUNTERS) ?: weir_bpf__load(w->bpf);
	if (r)
		return r;
	w->control = share(w->bpf->maps.control, sizeof(*w->control));
	w->half = share(w->bpf->maps.guards, 2 * sizeof(*w->half));
	return w->control && w->half ? 0 : -errno;
}

void guard_world_close(struct guard_world *w)
{
	weir_bpf__destroy(w->bpf);
}

void guard_world_turn(struct guard_world *w)
{
	uint64_t next = w->control->generation + 1;

	w->half[next & 1] = w->next;
	__atomic_store_n(&w->control->generation, next, __ATOMIC_RELEASE);
}

void guard_world_clear(struct guard_world *w)
{
	memset(&w->next, 0, sizeof(w->next));
	w->next.netns = guard_world_netns();
	w->next.secret = 0x123456789abcdef0u;
	w->next.seed = 7;
}

struct guard *guard_world_guard(struct guard_world *w, unsigned int guard)
{
	struct guard *at = &w->next.guard[guard];

	if (!at->counters) {
		if (guard >= w->next.n_guards)
			w->next.n_guards = guard + 1;
		at->counters = COUNTERS_RESERVED + guard * GUARD_LAYER_MAX * GUARD_OUTCOME_MAX;
		at->deny_errno = ECONNREFUSED;
		at->n_rules = GUARD_RULES_MAX;
		at->first_rule = guard * GUARD_RULES_MAX;
	}
	return at;
}

void guard_world_endpoint(struct guard_world *w, unsigned int guard, const char *address, unsigned int bits,
			  unsigned int port)
{
	struct guard_endpoint *e = &w->next.endpoint[w->next.n_endpoints++];
	struct guard_tables *t = &w->next;
	uint32_t first;

	guard_world_guard(w, guard);
	e->family = strchr(address, ':') ? 6 : 4;
	e->guard = guard;
	e->port = port;
	if (inet_pton(e->family == 6 ? AF_INET6 : AF_INET, address, e->addr) != 1)
		abort();
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int left = bits > 32 * i ? bits - 32 * i : 0;

		e->mask[i] = left >= 32 ? ~0u : left ? ~0u << (32 - left) : 0;
		e->addr[i] = ntohl(e->addr[i]) & e->mask[i];
	}
	first = e->addr[0] >> 16;
	for (uint32_t n = first; n <= (first | (~e->mask[0] >> 16)); n++)
		t->near[e->family == 6][n / 64] |= 1ull << n % 64;
}

void guard_world_allow(struct guard_world *w, unsigned int guard, enum guard_who who, uint64_t id, uint64_t rules)
{
	uint32_t place = guard_principal_place(id, guard, who, w->next.seed);

	for (uint32_t i = 0; i < GUARD_PRINCIPAL_LOOKS; i++) {
		struct guard_principal *p = &w->next.principal[(place + i) % GUARD_PRINCIPALS];

		if (!p->rules || (p->id == id && p->guard == guard && p->who == who)) {
			*p = (struct guard_principal){ .id = id, .rules = rules, .guard = guard, .who = who };
			return;
		}
	}
	abort();
}

uint64_t guard_world_name(const struct guard_world *w, const char *name)
{
	uint64_t hash = w->next.secret;

	while (*name)
		hash = guard_name_hash(hash, *name++);
	return hash;
}

static uint64_t count(const struct guard_world *w, uint32_t number)
{
	struct counter values[w->n_cpus];
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(w->bpf->maps.counters), &number, values))
		abort();
	for (int cpu = 0; cpu < w->n_cpus; cpu++)
		sum += values[cpu].packets;
	return sum;
}

uint64_t guard_world_count(const struct guard_world *w, unsigned int guard, enum guard_layer layer,
			   enum guard_outcome outcome)
{
	return count(w, w->next.guard[guard].counters + layer * GUARD_OUTCOME_MAX + outcome);
}

uint64_t guard_world_lost(const struct guard_world *w)
{
	return count(w, COUNTER_GUARD_LOST);
}

uint32_t guard_world_outcomes(const struct guard_world *w, enum guard_layer layer)
{
	static uint64_t seen[GUARD_LAYER_MAX][GUARD_OUTCOME_MAX];
	uint32_t outcomes = 0;

	for (unsigned int i = 0; i < GUARD_OUTCOME_MAX; i++) {
		uint64_t now = guard_world_count(w, 0, layer, i);

		outcomes |= (uint32_t)(now != seen[layer][i]) << i;
		seen[layer][i] = now;
	}
	return outcomes;
}

const char *guard_world_outcome_name(unsigned int outcome)
{
	static const char *const names[GUARD_OUTCOME_MAX] = {
#define X(name, json, kind, text) json,
		GUARD_OUTCOMES(X)
#undef X
	};

	return outcome < GUARD_OUTCOME_MAX ? names[outcome] : "nothing";
}

uint64_t guard_world_netns(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &n))
		abort();
	close(fd);
	return cookie;
}
