/* SPDX-License-Identifier: GPL-2.0 */
/* The guards' programs, loaded, and tables for them that a test fills by hand. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <bpf/libbpf.h>

#include "../../bpf/abi.h"

struct weir_bpf;

struct guard_world {
	struct weir_bpf *bpf;
	struct control *control;
	struct guard_tables *half; /* two */
	struct guard_tables next;  /* what the next turn brings */
	int n_cpus;
};

/* 0, or what the kernel said. */
int guard_world_open(struct guard_world *w);
void guard_world_close(struct guard_world *w);
/* `next` is what counts from now on. */
void guard_world_turn(struct guard_world *w);
/* No guard, nobody allowed; the network namespace is the caller's. */
void guard_world_clear(struct guard_world *w);

/* All of these change `next`. address: as people write it; port 0: all packets. */
void guard_world_endpoint(struct guard_world *w, unsigned int guard, const char *address, unsigned int bits,
			  unsigned int port);
void guard_world_allow(struct guard_world *w, unsigned int guard, enum guard_who who, uint64_t id, uint64_t rules);
/* A name's id, of a path or a service. */
uint64_t guard_world_name(const struct guard_world *w, const char *name);

struct guard *guard_world_guard(struct guard_world *w, unsigned int guard);
/* How often that was the outcome. */
uint64_t guard_world_count(const struct guard_world *w, unsigned int guard, enum guard_layer layer,
			   enum guard_outcome outcome);
uint64_t guard_world_lost(const struct guard_world *w);
/* The outcomes of a layer of guard 0 since the last look at it, one bit each. */
uint32_t guard_world_outcomes(const struct guard_world *w, enum guard_layer layer);
const char *guard_world_outcome_name(unsigned int outcome);
uint64_t guard_world_netns(void);
