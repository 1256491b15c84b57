/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `learn` sees: who talks to what. Shared by learn.bpf.c and the command, in one process; nothing of it is pinned.
 */
#pragma once

#include <linux/types.h>

#include "abi.h"

#define LEARN_IDENTITIES 2048
#define LEARN_TALKS      16384 /* of each direction */
#define LEARN_SERVERS    4096

enum learn_direction { LEARN_OUT, LEARN_IN, LEARN_DIRECTION_MAX };

/* Who, as one key. Incoming: the program is not known when a packet comes, exe_* are zero. */
struct learn_who {
	__u32 euid;  /* effective uid of the process that called; incoming: the socket's owner */
	__u32 owner; /* of the socket: what `meta skuid` goes by */
	__u32 exe_device;
	__u32 pad;
	__u64 exe_inode;
	__u64 cgroup_id; /* 0: where news are read, whatever the cgroup */
};

struct learn_identity {
	struct learn_who who;
	__u32 pid; /* of the process that was seen first; 0: not known */
	__u32 pad;
	char exe[GUARD_PARTS][GUARD_PART];
	char cgroup[GUARD_PARTS][GUARD_PART];
};

struct learn_talk {
	__u32 identity; /* index of struct learn_identity */
	__u16 port;     /* of the other end; incoming: the local one; 0: the protocol has none */
	__u8 proto;     /* IPPROTO_* */
	__u8 family;    /* 4 or 6 */
	__u32 addr[4];  /* of the other end, as in the key of packets */
};

/* A port that somebody listens on, or bound by UDP. */
struct learn_server {
	__u16 port;
	__u8 proto;
	__u8 pad;
	__u32 owner;
};

struct learn_count {
	__u64 n;                 /* calls, connections, or packets of UDP from outside */
	__u64 first_ns, last_ns; /* CLOCK_MONOTONIC */
};

/* What a reader is told of a talk when it is new. */
struct learn_news {
	__u32 direction;
	__u32 pad;
	struct learn_talk talk;
};

/* What could not be noted. */
enum learn_loss {
	LEARN_LOST_IDENTITIES, /* talks of identities for which there was no room */
	LEARN_LOST_OUT,        /* talks for which there was no room */
	LEARN_LOST_IN,
	LEARN_LOST_NEWS, /* news for which the ring had no room */
	LEARN_FOREIGN,   /* talks of other network namespaces: left out on purpose */
	LEARN_LOSS_MAX
};

_Static_assert(sizeof(struct learn_who) == 32, "learn_who");
_Static_assert(sizeof(struct learn_talk) == 24, "learn_talk");
