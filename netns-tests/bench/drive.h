/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the driver share: its options, its targets, the loaded programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "flow.h"

struct scaffold_bpf;

#define TARGETS_MAX 16 /* slots of the program arrays */
#define ROUNDS_MAX  1000
#define FRAME_ROOM  9216
#define FRAME_MOST  3072 /* live frames take no more than a page holds */

struct options {
	const char *flows, *most[TARGETS_MAX];
	size_t n_most;
	unsigned long size, rounds, cpu, device; /* size: bytes of a frame */
	unsigned long slice_ms, packets, pause_us, entries;
	unsigned char dmac[6];
	bool tc, live, until_eof, verify, once;
};

struct slice {
	unsigned long packets, ns, ksoftirqd_ns;
};

struct target {
	const char *name;
	unsigned int ifindex; /* live: where to; test: the device that its packets came by, or 0: o.device */
	bool floor;           /* one of the bench's own programs */
	unsigned long most;   /* packets of a slice, at most; 0: no limit */
	double ns;            /* of a packet, estimated */
	unsigned long verdicts[8];
	unsigned long odd; /* verdicts beyond */
	unsigned long sent;
	struct slice slice[ROUNDS_MAX];
};

extern struct options o;
extern struct target targets[TARGETS_MAX];
extern int n_targets;

/* drive.c */
_Noreturn void die(const char *what, int error);
unsigned long number(const char *text);

/* drive_clock.c */
unsigned long now(clockid_t clock);
void clock_check(void);
void clock_settle_on_cpu(void);
void ksoftirqd_open(void);
unsigned long ksoftirqd_ns(void);

/* drive_load.c */
extern struct scaffold_bpf *bpf;
extern unsigned char frame[FRAME_ROOM]; /* the template */
const struct flow_file *flows_open(const char *path);
void programs_load(const struct flow_file *file);
void programs_pin(const char *directory);
void target_set_program(int slot, const char *program);

/* drive_run.c */
extern unsigned long fixed_ns; /* of a test run, whatever it runs */
void verify_flows(int t, unsigned long count);
void send_once(int t, unsigned long count);
void run_rounds(void);
void write_pcap(unsigned int count);

/* drive_tables.c */
void table_pin(const char *path);
