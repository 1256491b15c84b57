/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guards: who on this host may talk to which endpoint. Part of the ABI (abi.h).
 *
 * Two layers read one half of the `guards` map: programs at the cgroup's connect and sendmsg calls, which know the
 * process, and one behind every device's egress, which knows the packet and its socket.
 */
#pragma once

#include <linux/types.h>

#include "abi_hash.h"
#include "guard_outcomes.h"

#define GUARDS_MAX            32
#define GUARD_ENDPOINTS_MAX   256
#define GUARD_RULES_MAX       64   /* `allow` statements of one guard: a bit each */
#define GUARD_PRINCIPALS      2048 /* places of the table of principals, a power of two */
#define GUARD_PRINCIPAL_LOOKS 8    /* places in a row where one may be */
#define GUARD_DEVICES         8    /* that forwarded packets may come from */
#define GUARD_PATH            128  /* bytes of a path in a rule */
#define GUARD_CGROUP_DEPTH    16 /* levels of cgroups below the root that are looked at; a longer way is a stranger's */
#define GUARD_NEAR_WORDS      1024 /* a bit for each first 16 bits of an address */
#define GUARD_NAME            256  /* bytes of a cgroup's name with its zero */

enum guard_layer { GUARD_CALL, GUARD_PACKET, GUARD_LAYER_MAX };

/* Proofs that a request was made on purpose: what a redirected or forged request does not have. */
#define GUARD_TOKEN_AWS     (1u << 0) /* PUT for a session token, else X-aws-ec2-metadata-token */
#define GUARD_TOKEN_GCP     (1u << 1) /* Metadata-Flavor: Google */
#define GUARD_TOKEN_AZURE   (1u << 2) /* Metadata: true */
#define GUARD_TOKEN_ALIBABA (1u << 3) /* as AWS, X-aliyun-ecs-metadata-token */
#define GUARD_TOKEN_ORACLE  (1u << 4) /* Authorization: Bearer Oracle */
#define GUARD_TOKENS        5

/* Addresses as in the key: host order words, most significant first, an IPv4 address in word 0. */
struct guard_endpoint {
	__u32 addr[4]; /* masked */
	__u32 mask[4];
	__u16 port;  /* 0: every packet to the address, whatever it carries */
	__u8 family; /* 4 or 6 */
	__u8 guard;
	__u32 tokens; /* GUARD_TOKEN_*: what counts as a token there */
};

/* What an `allow` names. id: a uid, a gid (numbers of the initial user namespace), or guard_name_hash(). */
enum guard_who {
	GUARD_USER,
	GUARD_GROUP,
	GUARD_CGROUP,  /* the cgroup of this path, and all below it */
	GUARD_SERVICE, /* the systemd unit of this name: the first cgroup on the way down that is no slice */
	GUARD_WHO_MAX
};

/* Place: guard_principal_place(), or one of the GUARD_PRINCIPAL_LOOKS behind it; a place of rules 0 is empty. */
struct guard_principal {
	__u64 id;
	__u64 rules; /* bit r: rule r of the guard allows it */
	__u8 guard;
	__u8 who; /* enum guard_who */
	__u8 pad[6];
};

/* What an `allow` asks of a request; one that asks nothing allows every packet. */
struct guard_rule {
	__u8 flags;  /* GUARD_RULE_* */
	__u8 n_path; /* bytes; 0: any path */
	__u8 pad[6];
	char path[GUARD_PATH]; /* with a slash at its end: all below it; else this one alone */
};

#define GUARD_RULE_TOKEN (1u << 0)

struct guard {
	__u64 plain;                 /* bit r: rule r asks nothing of a request */
	__u32 counters;              /* first of GUARD_LAYER_MAX * GUARD_OUTCOME_MAX counters: [layer][outcome] */
	__u32 deny_errno;            /* positive */
	__u32 device[GUARD_DEVICES]; /* ifindex; GUARD_FROM_SOME: where forwarded packets may come from */
	__u8 forwarded;              /* enum guard_forwarded */
	__u8 audit;                  /* enum guard_audit */
	__u8 n_devices;
	__u8 n_rules;
	__u32 first_rule; /* in guard_tables.rule */
};

enum guard_forwarded { GUARD_FROM_NONE, GUARD_FROM_SOME, GUARD_FROM_ALL };
enum guard_audit { GUARD_AUDIT_DENIED, GUARD_AUDIT_ALL, GUARD_AUDIT_NONE };

#define GUARD_RULES_TOTAL 512

/* One half of the `guards` map. */
struct guard_tables {
	__u64 netns; /* cookie of the network namespace that the guards are for: processes elsewhere count as forwarded */
	__u64 secret; /* of guard_name_hash(); the same through generations, since stamps keep what it made */
	__u32 n_endpoints;
	__u32 n_guards;
	__u32 seed; /* of guard_principal_place() */
	__u32 pad;
	/* By family (4, 6) and the first 16 bits of an address: is there any endpoint? */
	__u64 near[2][GUARD_NEAR_WORDS];
	struct guard guard[GUARDS_MAX];
	struct guard_endpoint endpoint[GUARD_ENDPOINTS_MAX];
	struct guard_principal principal[GUARD_PRINCIPALS];
	struct guard_rule rule[GUARD_RULES_TOTAL];
};

static inline __attribute__((always_inline)) __u32 guard_principal_place(__u64 id, __u32 guard, __u32 who, __u32 seed)
{
	__u64 h = (id ^ seed) * 0x9e3779b97f4a7c15u + (guard << 8 | who) * 0xc2b2ae3d27d4eb4fu;

	h ^= h >> 32;
	h *= 0x9fb21c651e98df25u;
	return (h ^ h >> 29) & (GUARD_PRINCIPALS - 1);
}

/*
 * One more byte of a name, from guard_tables.secret on. Of a service: the bytes of its unit's name. Of a cgroup: for each
 * name on the way down from the root a '/' and its bytes ("/system.slice/nginx.service"); of the root itself, none.
 *
 * Whoever was delegated a cgroup chooses names below it. Without a secret he could choose some that meet another's hash.
 */
static inline __attribute__((always_inline)) __u64 guard_name_hash(__u64 hash, __u8 byte)
{
	return node_mix((hash ^ byte) + 0x9e3779b97f4a7c15u);
}

/* What the call of a process leaves at its socket, for the packets: who it was (map guard_stamps, socket storage). */
#define GUARD_STAMP_PRINCIPALS 8

struct guard_stamp_principal {
	__u64 id;
	__u32 who;
	__u32 pad;
};

struct guard_stamp {
	__u64 generation; /* under which `rules` was found: under another one the principals are looked up again */
	__u64 rules;      /* bits as of struct guard_principal; 0: denied */
	__u32 guard;
	__u32 n; /* principals that matched */
	__u32 pid;
	__u32 euid;
	struct guard_stamp_principal principal[GUARD_STAMP_PRINCIPALS];
};

/* How often an identity is reported: a burst, then a rate; what is not is counted (map guard_rates). */
#define GUARD_EVENTS_BURST      20
#define GUARD_EVENTS_PER_SECOND 10
#define GUARD_RATES             4096 /* identities; entry of uid GUARD_RATE_OTHERS: all for whom there was no room */
#define GUARD_RATE_OTHERS       0xffffffffu

struct guard_rate_key {
	__u32 uid;
	__u16 guard;
	__u16 denied; /* 1, or 0: allowed */
};

struct guard_rate {
	__u64 paid_ns; /* as of a limit, CLOCK_MONOTONIC */
	__u64 untold;  /* not reported, and not named in an event since */
	__u64 lost;    /* of all time: not reported, by the rate or since the ring was full */
};

#define GUARD_PARTS 12 /* names of a path, its last one first */
#define GUARD_PART  48 /* bytes of each, the zero included; a longer one is cut */

#define GUARD_HAS_TASK  (1u << 0) /* the process is known: it made a call */
#define GUARD_HAS_OWNER (1u << 1) /* owner is known: a socket of this host sent the packet */
#define GUARD_HAS_HTTP  (1u << 2)
#define GUARD_HAS_STAMP (1u << 3) /* pid and euid are those of the call that connected the socket */

/* enum event_kind EVENT_GUARD in the ring buffer. */
struct guard_event {
	__u32 kind; /* as the first word of every event */
	__u32 guard;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 generation;
	__u64 untold; /* of this identity, before this one */
	__u64 cookie; /* of the socket, or 0 */
	__u64 cgroup_id;
	__u8 layer;   /* enum guard_layer */
	__u8 outcome; /* enum guard_outcome */
	__u8 family;
	__u8 proto;  /* IPPROTO_*; of a call that of its socket */
	__u16 sport; /* 0: not known */
	__u16 dport;
	__u32 saddr[4]; /* zero: not known */
	__u32 daddr[4];
	__u32 rule; /* of the guard, that allowed it, or RULE_NONE */
	__u32 has;  /* GUARD_HAS_* */
	__u32 uid;
	__u32 euid;
	__u32 gid;       /* the effective one */
	__u32 login_uid; /* 0xffffffff: none */
	__u32 session;   /* 0xffffffff: none */
	__u32 pid;       /* of the process (tgid) */
	__u32 ppid;
	__u32 owner;   /* uid that made the socket */
	__u32 netns;   /* inode number */
	__u32 ifindex; /* the packet leaves by; 0: a call */
	__u32 iif;     /* a forwarded packet came in by */
	__u32 pad;
	char comm[16];
	char exe[GUARD_PARTS][GUARD_PART];    /* from the file's name upwards */
	char cgroup[GUARD_PARTS][GUARD_PART]; /* from its own name upwards, without the root */
	char method[8];
	char path[GUARD_PATH]; /* without what stands behind a '?' */
};

_Static_assert(sizeof(struct guard_endpoint) == 40, "guard_endpoint");
_Static_assert(sizeof(struct guard_principal) == 24, "guard_principal");
_Static_assert(sizeof(struct guard_rule) == 8 + GUARD_PATH, "guard_rule");
_Static_assert(sizeof(struct guard_stamp) == 32 + 16 * GUARD_STAMP_PRINCIPALS, "guard_stamp");
_Static_assert(sizeof(struct guard_tables) % 8 == 0, "guard_tables");
_Static_assert(sizeof(struct guard_event) % 8 == 0, "guard_event");
