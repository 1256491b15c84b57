/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that talks to the kernel (libbpf, libxdp, libnl, libcap-ng). Functions return 0 or a negative errno and say why in diag.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi.h"
#include "../../bpf/reasons.h"
#include "../compile/compile.h"
#include "../lang/policy.h"

/* ---- runner.c: a private copy of the programs that touches no interface ---- */

struct runner;

struct runner_frame {
	enum hook hook;
	const uint8_t *bytes;
	size_t length;      /* bytes at hand (captured) */
	size_t wire_length; /* bytes of the frame; >= length; 0: the same */
	uint32_t ifindex;   /* the device the programs believe in: must be bound in the image */
	uint32_t iif;       /* egress: where a forwarded packet came in, else 0 */
	uint32_t mark;
	int64_t skuid;   /* -1: no socket */
	uint64_t now_ns; /* CLOCK_MONOTONIC, as the programs shall believe; 0: some fixed time */
	bool bans;       /* rules ban into the runner's own sets; else they change nothing */
	bool has_ct;     /* the packet is said to have state ct; else the flow table is asked */
	enum ct_state ct;
};

struct runner_result {
	enum verdict verdict;
	enum reason reason;
	uint32_t filter;   /* number in policy.filters; RULE_NONE: the device has none */
	uint32_t rule;     /* number in the filter's rules, or RULE_NONE */
	uint32_t redirect; /* ifindex */
	uint32_t steps;
	enum ct_state ct; /* CT_MAX: the filter tracks no flows, or did not come to it */
};

/* Loads the programs with room for images of this size (0: a small default). */
int runner_open(struct runner **ret, size_t n_nodes, size_t n_refs, struct diag *diag);
/* The time that flows and limits go by, in ns: CLOCK_MONOTONIC. */
uint64_t runner_clock(void);
/* Same, over the sets of a running instance and with a copy of its flows (NULL root: as above). */
struct weir_root;
int runner_open_running(struct runner **ret, struct weir_root *root, struct diag *diag);
void runner_close(struct runner *runner);
/* Puts an image and the contents of its sets in place; may be called again. -E2BIG: open a larger one.
 * Set slots must be 0 ... policy->n_sets - 1 (set_slots_plain), interface numbers those of `devices`. */
int runner_load(struct runner *runner, const struct policy *policy, const struct device_env *devices,
		const struct image *image, struct diag *diag);
/* No flow was ever seen, no limit ever used. */
int runner_forget(struct runner *runner);
/* About 2 us a frame. */
int runner_run(struct runner *runner, const struct runner_frame *frame, struct runner_result *ret);
/* Counters of the private copy, since runner_load. */
int runner_counters(struct runner *runner, uint32_t first, uint32_t n, struct counter *ret);

/* slot[i] = i */
uint16_t *set_slots_plain(const struct policy *policy);
/* Every device of the policy gets a made-up ifindex (number + 1000), so that policies run where the devices do not exist. */
struct device_env *device_env_plain(const struct policy *policy);

/* ---- root.c: the pinned state of one weir (/sys/fs/bpf/weir), locked while open ---- */

#define WEIR_ROOT_DEFAULT "/sys/fs/bpf/weir"

enum root_mode {
	ROOT_READ,   /* -ENOENT (and no problem in diag) where nothing is loaded */
	ROOT_CREATE, /* make what is missing */
};
/* Takes the lock (waits; says so on stderr never), tidies up what a killed command left. Mounts bpffs at /sys/fs/bpf when nothing is there. */
int root_open(struct weir_root **ret, const char *path, enum root_mode mode, struct diag *diag);
void root_close(struct weir_root *root);
const char *root_path(const struct weir_root *root);

/* What runs now: read back from the pinned manifest and parsed again. Owned by root; NULL: nothing loaded. */
struct running {
	uint64_t generation;
	const struct policy *policy;
	const struct device_env *devices; /* per policy.devices, as resolved at apply */
	const struct counter_plan *counters;
	const uint16_t *set_slot; /* per policy.sets */
	const char *file;         /* the rule file's name as given to apply */
	int64_t applied_at;       /* seconds since 1970 */
};
const struct running *root_running(const struct weir_root *root);

struct apply_options {
	bool force;         /* replace somebody else's XDP program */
	const char *file;   /* for the manifest */
	const char *cgroup; /* whose calls guards judge; NULL: where they are now, else the top of the hierarchy */
	bool follow;        /* the running rules again, for devices that changed: what is missing is no error */
};
struct apply_result {
	uint64_t generation;
	bool unchanged; /* the same policy ran already; nothing was done */
	size_t attached, detached;
	double stage_ms, swap_ms;
	size_t sets_loaded, sets_kept;
	size_t closed; /* sockets that a guard no longer allows */
};
/* Stage, verify (test blocks), swap, forget. On failure the old generation runs on, whole. */
int root_apply(struct weir_root *root, const struct policy *policy, const struct apply_options *options,
	       struct apply_result *ret, struct diag *diag);
/*
 * The guards as they should be by now: names of users and groups and of devices looked up anew, programs on devices that came,
 * none of those that left. *ret_changed: something was done. To be called now and then, and when a device comes or goes.
 * Where a name cannot be looked up just now, all stays as it is, and an error says so.
 */
int root_refresh(struct weir_root *root, bool *ret_changed, struct diag *diag);
/* Takes everything of ours away. -ENOENT where there is nothing. */
int root_down(const char *path, struct diag *diag);

int root_counters(struct weir_root *root, uint32_t first, uint32_t n, struct counter *ret, struct diag *diag);

/* ---- attachments ---- */
struct attachment {
	bool guard;     /* the guards', else a filter's */
	enum hook hook; /* HOOK_MAX: a call in a cgroup, not a device */
	uint32_t ifindex;
	char device[64];
	const char *cgroup; /* its path, root's; of a device NULL */
	const char *how;    /* "xdp native", "xdp generic", "xdp dispatcher", "tcx", "clsact", "cgroup connect4", ... */
	bool gone;          /* the device or cgroup left */
};
int root_attachments(struct weir_root *root, struct attachment **ret, size_t *ret_n, struct diag *diag);

/* ---- elements of the running sets ---- */
struct set_change {
	size_t added, deleted, unchanged;
	size_t refreshed; /* were there, and have their time anew */
};
/* Elements are as of elements_parse() with root_running()->policy's set. Each element is atomic for a reader. */
int root_set_add(struct weir_root *root, const struct set *set, const struct element_list *elements,
		 struct set_change *ret, struct diag *diag);
int root_set_del(struct weir_root *root, const struct set *set, const struct element_list *elements,
		 struct set_change *ret, struct diag *diag);
/* The whole content in one step: a packet sees the old set or the new one. No elements: flush. */
int root_set_replace(struct weir_root *root, const struct set *set, const struct element_list *elements,
		     struct set_change *ret, struct diag *diag);
/* true where a packet with this value would be found. One value a part, no ranges. */
int root_set_test(struct weir_root *root, const struct set *set, const struct element *element, bool *ret,
		  struct diag *diag);
/* Elements as stored (ranges have become prefixes): as keys; how many; or as ranges, sorted. */
int root_set_image(struct weir_root *root, const struct set *set, struct set_image *ret, struct diag *diag);
int root_set_count(struct weir_root *root, const struct set *set, size_t *ret, struct diag *diag);
/* *ret: n * n_types ranges, malloc'ed. *values (may be NULL): of each, expires_ns being the time left, malloc'ed; NULL
 * where the set has none. */
int root_set_list(struct weir_root *root, const struct set *set, struct range **ret, struct set_value **values,
		  size_t *ret_n, struct diag *diag);

/* ---- flows ---- */
/* left_ns: until it is gone. *end: set it to end the flow. Not 0: stop. */
typedef int (*flow_handler)(void *context, const struct flow *flow, uint64_t left_ns, bool *end);
/* Calls the handler for each flow of the running instance; what it returned last. */
int root_flows(struct weir_root *root, flow_handler handler, void *context, struct diag *diag);

/* ---- events.c: what `log` statements and guards report through the ring buffer ---- */
int root_unlock(struct weir_root *root); /* watching must not hold others up */
/* false: since it was opened, its rules went, other programs took them over, or others run: open it again. */
bool root_is_current(const struct weir_root *root);

/* A record is a struct event or a struct guard_event, as its first word says (enum event_kind), and whole. Not 0: stop. */
typedef int (*event_handler)(void *context, const void *record, size_t size);
bool event_is_whole(const void *record, size_t size);

/* Packets never wait for the reader: what finds the ring full is lost, and counted. */
struct event_reader;
/* The one reader of this root's events. -EBUSY where there is another. It outlives root, and other programs in its place. */
int events_open(struct event_reader **ret, const struct weir_root *root, struct diag *diag);
void events_close(struct event_reader *reader);
/* What is there or comes within timeout_ms; 0, a negative errno with a problem, or what the handler returned. */
int events_read(struct event_reader *reader, int timeout_ms, event_handler handler, void *context, struct diag *diag);
/* Records so far that were not whole, and so not handed on. */
uint64_t events_malformed(const struct event_reader *reader);
/* The rules were taken down: nothing will come any more. */
bool events_ended(const struct event_reader *reader);

/* What was not reported, of all time; the identities of guards alone, those that nothing was lost of left out. */
struct guard_loss {
	struct guard_rate_key who;
	uint64_t lost;
};
struct event_losses {
	uint64_t generation; /* whose numbers of guards these are */
	uint64_t logs, guards;
	struct guard_loss *loss; /* malloc'ed */
	size_t n;
};
int root_losses(struct weir_root *root, struct event_losses *ret, struct diag *diag);

/* ---- cgroup_path.c ---- */
/* Its way down from the root, "/system.slice/x.service", malloc'ed; NULL where it is gone, or cannot be seen from here. */
char *cgroup_path(uint64_t id);

/* ---- what this kernel can do ---- */
enum probe_state { PROBE_NO, PROBE_YES, PROBE_UNKNOWN };
struct probe {
	const char *name; /* "xdp", "xdp-frags", "dispatcher", "tcx", "clsact", "bpffs", "btf", "membarrier", ... */
	enum probe_state state;
	char detail[200]; /* why, and what follows */
};
int kernel_probe(struct probe **ret, size_t *ret_n);
/* Verified instructions of each program: for `make verifier`. */
struct verified {
	const char *program;
	uint32_t instructions;
};
int kernel_verified(struct verified *ret, size_t *ret_n, struct diag *diag);

/* ---- link.c: interfaces, through netlink ---- */
struct link_info {
	char name[64];
	uint32_t ifindex;
	bool ethernet;
	bool loopback;
	bool up;
	unsigned int mtu;
	char kind[32];
	uint32_t xdp_prog_id; /* of any mode; 0: none */
};
/* -ENODEV where there is no such interface in this network namespace. */
int link_get(const char *name, struct link_info *ret, struct diag *diag);
/* All that this network namespace has, without their XDP programs. */
int link_list(struct link_info **ret, size_t *ret_n, struct diag *diag);
int link_name(uint32_t ifindex, char ret[64]);
