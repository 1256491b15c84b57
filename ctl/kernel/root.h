/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of kernel/ share about an open weir. */
#pragma once

#include "cgroup.h"
#include "load.h"

/* One loaded copy of programs and maps, pinned in a directory of its own. */
struct instance {
	unsigned int number;
	struct memory memory;
	int control, tables, manifest, counters, counter_base, lines, flows, buckets, datagrams, events;
	int guards, guard_stamps, guard_rates; /* -1: without FEATURE_GUARDS */
	int set[SET_OUTER_MAX];
	int program[ENTRY_MAX]; /* -1: without its feature */
};

struct weir_root {
	char path[256];
	int lock;                  /* the directory itself, locked */
	struct instance *instance; /* NULL: nothing loaded */
	struct running running;
	struct manifest *contents; /* owns what running points to */
};

const struct instance *root_instance(const struct weir_root *root);
int root_reload(struct weir_root *root, struct diag *diag); /* reads the running generation again */
int root_check_netns(const struct weir_root *root, struct diag *diag);

/* instance.c */
int instance_create(struct instance **ret, const char *root, unsigned int number, const struct capacity *capacity,
		    const struct instance *shares, struct diag *diag);
int instance_open(struct instance **ret, const char *directory, unsigned int number, struct diag *diag);
void instance_close(struct instance *instance);
int instance_remove(const char *root, const char *name);
int directory_remove(const char *path);
/* Of all instances that follow each other; nobody else may know it. */
int seed_draw(uint64_t *ret, struct diag *diag);

/* elements.c */
void root_flip(struct weir_root *root); /* the other half runs */
int set_full(const struct set *set, struct diag *diag);
/* -ENOSPC where the file states a smaller size */
int set_fits(const struct set *set, const struct set_image *image, struct diag *diag);

/* counters.c: fd is the counters map (a per-CPU array), or for counters_clear() also the array of bases */
int counters_sum(int fd, uint32_t first, uint32_t n, struct counter *ret);
int counters_clear(int fd, const uint32_t *numbers, size_t n);

/*
 * flows.c: the flows of `from` go into the table of `to`: before any packet asks for them there, and once none asks the old
 * one any more, what has been added. *ret is NULL, which the others take, if the table is one and the same.
 */
struct flow_carry;
int flow_carry_begin(struct flow_carry **ret, const struct instance *from, const struct instance *to,
		     struct diag *diag);
void flow_carry_rest(struct flow_carry *carry);
void flow_carry_end(struct flow_carry *carry);

/* All flows as they are now, into a table of the same size and seed that no packet uses. */
int flows_copy(const struct instance *from, int to, struct diag *diag);
/* The host's TCP connections that the table has not yet; settings: those of the running generation, or the next. */
int flows_seed(const struct instance *instance, const struct flow_settings *settings, struct diag *diag);

/* sockets.c: calls for each TCP connection of this network namespace, without its time. */
typedef void (*flow_sink)(void *context, const struct flow *flow);
int sockets_list(flow_sink sink, void *context, struct diag *diag);

/* wait.c: returns when every packet that could still read the old half is through */
int wait_for_packets(struct diag *diag);

/* manifest.c: the generation's sources, numbers and slots, as text in the instance */
struct manifest {
	struct policy *policy;
	struct device_env *devices;
	struct counter_plan *counters;
	uint16_t *slots;
	char *file;
	int64_t applied_at;
	uint64_t netns;
	struct cgroup cgroup; /* whose calls the guards judge; id 0: there are none */
	bool names_unknown;   /* a user or group could not be looked up, for another reason than that there is none */
};
int manifest_write(char **ret, const struct policy *policy, const struct device_env *devices,
		   const struct counter_plan *counters, const uint16_t *slots, const char *file, uint64_t netns,
		   const struct cgroup *cgroup);
int manifest_read(struct manifest **ret, const char *text, struct diag *diag);
/* Only the set slots a manifest names, with the kernel maps there; 0 where it cannot be read. */
struct slot;
size_t manifest_slots(const char *text, struct slot *slots, size_t most);
void manifest_free(struct manifest *manifest);
uint64_t netns_number(void);

/* attach.c */
struct pin {
	char name[64]; /* of the file under links/ */
	enum entry entry;
	char kind[8]; /* link, gen, disp, tcx, cls, clsq, cgroup */
	uint32_t ifindex;
	uint64_t cgroup; /* id, of a call */
};
int pins_list(struct pin **ret, size_t *ret_n, const char *root);
/* Does it stand at a cgroup, not at a device? */
bool entry_is_call(enum entry entry);
int attach_add(const struct weir_root *root, enum hook hook, uint32_t ifindex, const char *device, bool generic,
	       bool force, struct diag *diag);
int attach_remove(const struct weir_root *root, const struct pin *pin, struct diag *diag);
/* false: it takes rights that this process has not. */
bool attach_may_move(const struct pin *pin);
/* Makes the attachment run the programs of this instance. */
int attach_move(const struct weir_root *root, const struct pin *pin, const struct instance *to, struct diag *diag);
bool attach_alive(const struct weir_root *root, const struct pin *pin);

/* apply.c: does every device that filters name, as far as it is there, have its program? */
bool filters_attached(const struct weir_root *root, const struct policy *policy, const struct device_env *devices);

/* probe.c: asked once a run */
bool kernel_has_dispatcher(void);

/* recover.c */
int recover(struct weir_root *root, struct diag *diag);
int grow(struct weir_root *root, const struct capacity *need, struct diag *diag);
/* Forgets sets and attachments that the running generation does not name. */
int tidy(struct weir_root *root, struct diag *diag);
/* Afterwards no packet reads the other half: it, and the regions of the pool that it alone names, may be written. */
int root_settle(struct weir_root *root, struct diag *diag);
