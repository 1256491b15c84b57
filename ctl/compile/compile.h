/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Policy -> map images: pure functions, no system call, the same bytes for the same input.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi.h"
#include "../lang/policy.h"

/* What the compiler cannot know by itself; one entry per policy.devices. */
struct device_env {
	uint32_t ifindex; /* 0: not there: a filter's device is left out, a match on it never holds */
	bool raw_ip;      /* no Ethernet header (tun, wireguard) */
};

/* Counter numbers of one generation. NULL arrays are not allowed where the count is not zero. */
struct counter_plan {
	uint32_t *filter; /* per filter: first of REASON_MAX counters */
	uint32_t **rule;  /* per filter and rule: what it decided, or COUNTER_NONE */
	uint32_t **own;   /* per filter and rule: its `counter` statement, or COUNTER_NONE */
	uint32_t *named;  /* per policy.counters */
	uint32_t *guard;  /* per policy.guards: first of GUARD_COUNTERS */
	uint32_t n;       /* counters in use: one more than the highest number */
};

struct compile_input {
	const struct policy *policy;
	const struct device_env *devices;
	const uint16_t *set_slot; /* per policy.sets */
	const struct counter_plan *counters;
	uint64_t netns;  /* cookie of the network namespace that guards are for */
	uint64_t secret; /* of the names that guards allow: the same for all generations that follow each other */
};

/* One generation, ready to be copied into a half of the tables map. */
struct image {
	struct tables_head *head;
	struct guard_tables *guards; /* NULL: no guard */
	struct node *nodes;
	size_t n_nodes;
	uint32_t *refs;
	size_t n_refs;
	uint32_t n_counters; /* one more than the highest number */
	uint32_t features;   /* FEATURE_*: what the programs must have */
	uint32_t n_flows;    /* lines of the flow table, of the limits' buckets */
	uint32_t n_buckets;
	uint32_t n_datagrams; /* buckets of datagrams */
	uint32_t *rule_of;    /* per node that compares: the rule's number in its filter */
	/* for `check` and `explain` */
	size_t bytes;                      /* of head, nodes and refs */
	uint32_t worst_steps[FILTERS_MAX]; /* longest path a packet of this filter can take */
};

/* FEATURE_* that the programs must have for these rules. */
uint32_t policy_features(const struct policy *policy);
/* `from`, a power of two itself, or the first one behind it that is not below `least`. */
uint32_t power_of_two(size_t least, uint32_t from);

/* lower.c: verdicts and states of the data path; POLICY_NONE, which has none, is drop. Words: as in a rule file. */
enum verdict lower_verdict_of(enum policy_verdict verdict);
const char *verdict_word(enum verdict verdict);
const char *ct_word(enum ct_state ct);

/* -EINVAL with problems in diag (too large, too many steps); warnings for rules that can never match. */
int compile_policy(struct image **ret, const struct compile_input *input, struct diag *diag);
void image_free(struct image *image);
/* The guards alone, as compile_policy() does it: for who was renumbered since. *ret: free() it; NULL where there is none. */
int compile_guards(struct guard_tables **ret, const struct compile_input *input, struct diag *diag);

#define GUARD_COUNTERS (GUARD_LAYER_MAX * GUARD_OUTCOME_MAX)

/* Numbers all counters from COUNTERS_RESERVED on, for check, explain --rules and tests. */
int counter_plan_plain(struct counter_plan **ret, const struct policy *policy);
void counter_plan_free(struct counter_plan *plan);
/* For plans with history: every rule COUNTER_NONE, n behind the reserved numbers. NULL when memory ends. */
struct counter_plan *counter_plan_new(const struct policy *policy);
/* Does the rule count what it decides? *ret_own: has it a `counter` statement of its own? */
bool counter_plan_wants(const struct filter *filter, const struct rule *rule, bool *ret_own);

/* The elements of a set as keys for its five maps. */
struct set_image {
	struct set_word_key *word;
	struct set_word_lpm_key *word_lpm;
	struct set_quad_key *quad;
	struct set_quad_lpm_key *quad_lpm;
	struct set_tuple_key *tuple;
	size_t n[SET_MAP_MAX];
	size_t capacity[SET_MAP_MAX];
	struct set_value *value[SET_MAP_MAX]; /* beside the keys, expires_ns being the time that is left; or NULL */
	bool has_values;
};

/* Is the set in the pool of lines? Else it is in kernel maps. */
bool set_in_pool(const struct set *set);
/* Do its elements carry more than being there: a time, a counter? */
bool set_has_values(const struct set *set);
/* Which of the kernel maps a set uses (bit per enum set_map); none where it is in the pool. */
unsigned int set_maps_used(const struct set *set);
/* Adds keys for elements; devices resolve interface names. -EINVAL with a problem where a range is too wide to expand. */
int set_image_add(struct set_image *image, const struct set *set, const struct element *elements, size_t n,
		  const struct device_env *devices, struct diag *diag);
/* The same for addresses. */
int set_image_add_addresses(struct set_image *image, const struct set *set, const struct addresses *addresses,
			    struct diag *diag);
/* All that the file says of a set. */
int set_image_of(struct set_image *image, const struct set *set, const struct device_env *devices, struct diag *diag);
void set_image_clear(struct set_image *image);
/* Memory for so many keys. */
int set_image_reserve(struct set_image *image, enum set_map map, size_t capacity);
/* One key as it is; value may be NULL. */
int set_image_push(struct set_image *image, enum set_map map, const void *key, const struct set_value *value);
const void *set_image_key(const struct set_image *image, enum set_map map, size_t i);
struct set_value set_image_value(const struct set_image *image, enum set_map map, size_t i);
size_t set_image_count(const struct set_image *image);
size_t set_key_bytes(enum set_map map);
/* Keys of `bytes` each in order of their bytes, each once; returns how many are left. */
size_t set_keys_sort(void *keys, size_t n, size_t bytes);

/* A test packet as bytes on the wire. malloc'ed. raw_ip: without Ethernet header. */
int frame_build(uint8_t **ret, size_t *ret_length, const struct test_packet *packet, bool raw_ip);
