/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one packet of the bench is made from, and the file that brings flows to the generator: shared by the
 * programs (scaffold.bpf.c), the driver (drive.c), the oracle (oracle.c) and flows.py.
 *
 * A file is a struct flow_file and then `count` records of one of the two forms. The narrow form keeps a cold list
 * of a million flows at 16 MB: what the generator reads competes with the tables under test for the cache.
 */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#define FLOW_MAGIC 0x776f6c66 /* "flow" */

struct flow_file {
	__u32 magic;
	__u32 words; /* of a record: FLOW4_WORDS or FLOW_WORDS */
	__u32 count;
	__u32 tcp; /* 1: every record is TCP */
};

/* IPv4 */
struct flow4 {
	__u32 saddr_be;
	__u32 daddr_be;
	__u32 ports_be; /* source and destination port as in the transport header */
	__u8 proto;
	__u8 flags; /* of TCP, as in byte 13 of its header */
	__u16 pad;
};

/* Any family */
struct flow {
	__u8 family; /* 4 or 6 */
	__u8 proto;
	__u8 flags;
	__u8 pad;
	__u32 ports_be;
	__u32 saddr_be[4]; /* IPv4 in the first word */
	__u32 daddr_be[4];
};

#define FLOW4_WORDS 4
#define FLOW_WORDS  10

_Static_assert(sizeof(struct flow4) == 4 * FLOW4_WORDS, "flow4");
_Static_assert(sizeof(struct flow) == 4 * FLOW_WORDS, "flow");

/* What one run's frames have in common: fixed at load, so that the verifier drops what the run does not use. */
struct frame_config {
	__u32 words;      /* of a record */
	__u32 count;      /* of records */
	__u32 tcp;        /* 1: nothing but TCP */
	__u32 total4;     /* IPv4 total length */
	__u32 payload6;   /* IPv6 payload length */
	__u32 transport4; /* bytes of transport header and payload over IPv4 */
};

#define FRAME_MIN   60 /* 64 bytes on the wire: the check sequence is not ours to write */
#define FRAME_MIN_6 74 /* TCP over IPv6 does not fit into less */
