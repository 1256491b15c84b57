/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF object: opened with the sizes of an instance, loaded, its shared memory mapped. */
#pragma once

#include "kernel.h"

struct weir_bpf;
struct bpf_program;

/* The entry points of an instance's programs: those of the hooks, then the guards'. */
enum entry {
	ENTRY_XDP = HOOK_XDP,
	ENTRY_TC_INGRESS = HOOK_TC_INGRESS,
	ENTRY_TC_EGRESS = HOOK_TC_EGRESS,
	ENTRY_GUARD_EGRESS, /* devices with an Ethernet header */
	ENTRY_GUARD_EGRESS_IP,
	ENTRY_GUARD_CONNECT4,
	ENTRY_GUARD_CONNECT6,
	ENTRY_GUARD_SENDMSG4,
	ENTRY_GUARD_SENDMSG6,
	ENTRY_MAX
};

struct entry_info {
	const char *name; /* in the object */
	const char *file; /* in an instance's directory */
	uint32_t feature; /* FEATURE_* without which it is not there; 0: always there */
};
extern const struct entry_info entry_info[ENTRY_MAX];

/* What one half of an instance holds, and where. Counts of nodes and refs are powers of two. */
struct capacity {
	uint32_t n_nodes, n_refs, n_counters, n_manifest;
	uint32_t n_lines;  /* of the pool, which both halves share; any number from POOL_MIN */
	uint32_t features; /* FEATURE_* of the programs */
	/* powers of two; where the programs have no such feature, the fewest */
	uint32_t n_flows, n_buckets; /* lines */
	uint32_t n_datagrams;        /* buckets */
	uint64_t seed;               /* of the hashes of flows, limits and datagrams; 0: a new one is drawn */
};

#define FLOWS_MIN     FLOW_BUCKET
#define BUCKETS_MIN   64
#define DATAGRAMS_MIN 1

#define POOL_MIN 2048 /* lines */

/* Smallest capacity that holds this much, with room to grow; the smallest pool. */
struct capacity capacity_for(size_t n_nodes, size_t n_refs, size_t n_counters, size_t n_manifest);
bool capacity_holds(const struct capacity *have, const struct capacity *need);

struct half_layout {
	size_t nodes_off, refs_off, size; /* of one half */
};
struct half_layout half_layout(const struct capacity *capacity);

enum load_flags {
	LOAD_TRACE = 1,    /* for test runs: struct trace instead of an interface */
	LOAD_XDP_ONLY = 2, /* the XDP program alone, and not loaded yet: libxdp does that */
};

/* Maps of a running instance that a new object shares; -1: make new ones. */
struct shared_maps {
	int set[SET_OUTER_MAX];
	int events;
	int guard_stamps, guard_rates;
	int lines;
	int flows, buckets, datagrams;
	/* only for LOAD_XDP_ONLY: */
	int control, tables, manifest, counters, counter_base;
};
extern const struct shared_maps shared_none;

/* Opened, sized and (without LOAD_XDP_ONLY) loaded. The caller destroys it with load_close(). */
int load_open(struct weir_bpf **ret, const struct capacity *capacity, unsigned int flags,
	      const struct shared_maps *shared, struct diag *diag);
void load_close(struct weir_bpf *bpf);
/* The program with these FEATURE_*. */
struct bpf_program *load_entry(const struct weir_bpf *bpf, enum entry entry, uint32_t features);
/* Of the object inside this command. */
uint64_t load_programs_hash(void);

/* The shared memory of the mmapable maps. */
struct memory {
	struct control *control;
	uint8_t *tables;
	uint8_t *manifest;
	struct line *lines;
	struct guard_tables *guards; /* two; NULL: the programs have no guards */
	struct capacity capacity;
};
struct memory_files {
	int control, tables, manifest, lines;
	int guards; /* -1: none */
};
int memory_map(struct memory *ret, const struct memory_files *files, const struct capacity *capacity,
	       struct diag *diag);
void memory_unmap(struct memory *memory);
/* One mmapable map, whose name is for the problem; NULL is unmapped already. */
int memory_map_one(void **ret, int fd, size_t value_size, size_t entries, const char *name, struct diag *diag);
void memory_unmap_one(void *at, size_t value_size, size_t entries);
/* Zeroes an mmapable map. -errno. */
int memory_clear(int fd, size_t value_size, size_t entries);
/* The other half becomes the same as the one that runs. Returns its head. */
struct tables_head *memory_repeat_half(struct memory *memory);
struct tables_head *memory_head(const struct memory *memory, uint64_t generation);
struct guard_tables *memory_guards(const struct memory *memory, uint64_t generation);
void memory_write_half(struct memory *memory, unsigned int half, const struct image *image);

/* What libbpf and libxdp last said; they never print by themselves. */
const char *load_log_tail(void);
void load_log_reset(void);
