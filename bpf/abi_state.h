/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What packets leave behind for those that follow: flows, datagrams in parts, buckets of limits, bans; and how the rules
 * of a generation set them. A part of abi.h, and by its rules.
 */
#pragma once

#include "abi_hash.h"

/*
 * The flow table: one line of 64 bytes a flow, in buckets of FLOW_BUCKET lines. A flow's home line is named by its hash,
 * which does not know directions; where that is taken, the flow is in another line of the bucket, and the home line counts it
 * (FLOW_MORE). Packets write it; the command reads it, and ends flows, through mmap.
 *
 * `word`: bits 0-31 expires, 32-39 enum flow_state, 40-47 protocol, 48-55 FLOW_* flags, 56-59 lane of the home line
 * in the bucket, 60-63 how many flows whose home this line is are elsewhere (a count at its highest stays).
 */
struct flow {
	__u32 expires; /* in ticks of 1 << FLOW_TICK ns of CLOCK_MONOTONIC: from then on the flow is not there */
	__u8 state;    /* enum flow_state */
	__u8 proto;
	__u8 flags;       /* FLOW_* */
	__u8 home_more;   /* lane of the home line; count << 4 */
	__u32 addr[2][4]; /* the origin's address, the other end's; as in the key */
	__u32 ports;      /* origin's << 16 | other end's. ICMP: identifier << 16 | type of the request */
	__u32 end[2];     /* TCP, per direction: sequence number behind the highest byte seen */
	__u32 max_end[2]; /* and the highest one that the other end has allowed */
	__u8 window[2];   /* the largest window that this side has offered is at most 1 << window */
	__u8 scale[2];    /* shift of the side's windows; FLOW_NO_SCALE: it offered none */
};

/* Which flow, as a packet says: source, destination. */
struct flow_id {
	__u32 addr[2][4];
	__u32 ports; /* source << 16 | destination; of ICMP as in struct flow */
	__u32 proto;
	__u32 ipv6; /* FLOW_IPV6 or 0 */
	__u32 pad;
};

/* The home line is hash >> 32, as far as the table goes. Does not know directions: what both ends hash to is added. */
static inline __attribute__((always_inline)) __u64 flow_hash(const struct flow_id *id, __u64 seed)
{
	__u64 hash[2];

	for (int i = 0; i < 2; i++) {
		__u64 upper = (__u64)id->addr[i][0] << 32 | id->addr[i][1];
		__u64 lower = (__u64)id->addr[i][2] << 32 | id->addr[i][3];
		__u64 port = i ? id->ports & 0xffff : id->ports >> 16;

		hash[i] = node_mix((node_fold(upper, lower) ^ seed) * 0x9e3779b97f4a7c15u + port);
	}
	return node_mix(hash[0] + hash[1] + id->proto * 0xc2b2ae3d27d4eb4fu);
}

enum flow_state {
	FLOW_FREE,
	FLOW_BUSY, /* being written */
	FLOW_SYN_SENT,
	FLOW_SYN_RECV,
	FLOW_ESTABLISHED,
	FLOW_FIN_WAIT,
	FLOW_CLOSE_WAIT,
	FLOW_LAST_ACK,
	FLOW_TIME_WAIT,
	FLOW_CLOSE,
	FLOW_OTHER, /* not TCP */
	FLOW_STATE_MAX
};

#define FLOW_IPV6     (1u << 0)
#define FLOW_REPLIED  (1u << 1) /* a packet of the other direction came */
#define FLOW_ASSURED  (1u << 2) /* both ends mean it: makes room for nobody */
#define FLOW_LIBERAL  (1u << 3) /* TCP, met in its middle: sequence numbers are not checked */
#define FLOW_TICK     24
#define FLOW_BUCKET   16
#define FLOW_NO_SCALE 0xff
#define FLOW_ORIGINAL 0 /* directions */
#define FLOW_REPLY    1

/* How long a flow stays without a packet. TCP's in the order of enum flow_state, then pairs: unreplied, replied. */
enum flow_timeout {
	FLOW_TIMEOUT_TCP, /* of FLOW_SYN_SENT */
	FLOW_TIMEOUT_UDP = FLOW_TIMEOUT_TCP + FLOW_CLOSE - FLOW_SYN_SENT + 1,
	FLOW_TIMEOUT_SCTP = FLOW_TIMEOUT_UDP + 2,
	FLOW_TIMEOUT_ICMP = FLOW_TIMEOUT_SCTP + 2,
	FLOW_TIMEOUT_OTHER = FLOW_TIMEOUT_ICMP + 2,
	FLOW_TIMEOUT_MAX = FLOW_TIMEOUT_OTHER + 2
};

struct flow_settings {
	__u32 timeout[FLOW_TIMEOUT_MAX]; /* ticks */
	__u8 full;                       /* enum verdict: what a new flow gets when there is no room for it */
	__u8 pad[7];
};

/*
 * A datagram of which a fragment came, under `fragments track`: one line of 64 bytes, in buckets of one line more (maps.h).
 * Parts are in units of 8 bytes, joined where they touch, in no order; a part that ends at 0 is none.
 *
 * Words of the key: source, destination (0 to 7), identification (8), ifindex (9), and in word 10
 * protocol of the header, of IPv4 | enum hook << 8 | DATAGRAM_IPV6.
 */
#define DATAGRAM_KEY          11
#define DATAGRAM_IPV6         (1u << 16)
#define DATAGRAM_PARTS        4
#define DATAGRAM_LANES        7 /* of a bucket */
#define DATAGRAM_BUCKET_BYTES 512
#define DATAGRAM_TIMEOUT      (30000000000ull >> FLOW_TICK) /* ticks from its first one on, as in net.ipv4.ipfrag_time */

enum datagram_state {
	DATAGRAM_FREE,
	DATAGRAM_WAITS,    /* the rules judge its first fragment */
	DATAGRAM_OPEN,     /* passes, as `verdict` says */
	DATAGRAM_COMPLETE, /* all of it came: another first fragment begins it anew */
	DATAGRAM_DROPPED   /* all that comes of it is dropped */
};

struct datagram_part {
	__u16 from;
	__u16 to; /* behind it */
};

struct datagram {
	__u32 key[DATAGRAM_KEY];
	__u8 state;   /* enum datagram_state */
	__u8 verdict; /* enum verdict: accept or redirect */
	__u8 last;    /* 1: the last fragment came, so the highest part's end is the datagram's */
	__u8 pad;
	struct datagram_part part[DATAGRAM_PARTS];
};

/*
 * A limit: how much of a key may pass. State is one number a key: the time (1/256 ns) up to which what passed has been paid for
 * (GCRA, ITU-T I.371). A packet costs; it is within the limit if the time that is paid for stays within `burst` from now.
 */
#define LIMITS_MAX  256
#define LIMIT_WORDS 16

struct limit {
	__u64 cost;   /* of a packet or a byte, in 1/256 ns */
	__u64 burst;  /* 1/256 ns */
	__u32 number; /* names its buckets; the same through generations */
	__u8 flags;   /* LIMIT_* */
	__u8 n_words;
	__u16 pad;
	__u8 word[LIMIT_WORDS];     /* enum key_word: what a key is; none: one bucket for all */
	__u32 mask[2][LIMIT_WORDS]; /* of IPv4 and others, of IPv6 */
};

#define LIMIT_OVER       (1u << 0) /* the packet passes the node if it is over the limit, not if it is within */
#define LIMIT_BYTES      (1u << 1) /* cost is of a byte */
#define LIMIT_FULL_UNDER (1u << 2) /* a packet without a bucket counts as within the limit; else as over it */
#define LIMIT_TICK       8         /* 1/256 ns */

/* Four buckets in a line; a key's are in a pair of lines. A bucket whose time is past holds nothing. */
struct bucket {
	__u64 key; /* hash of the limit's number and the key's words, seeded; 0: never used */
	__u64 paid;
};

#define BUCKETS_PER_LINE 4

struct bucket_line {
	struct bucket bucket[BUCKETS_PER_LINE];
};

/*
 * A ban: packets put their source into a set, which is in kernel maps. What they put there has a line of the set's ring
 * (SET_RING): lines are handed out in turn, and one whose element has expired is used again, the element deleted. So a set
 * never has more elements from packets than lines, and none is kept for ever.
 */
#define BANS_MAX 256

struct ban {
	__u64 timeout_ns;
	__u32 lines;  /* of the ring, without line 0 */
	__u16 slot;   /* of the set */
	__u8 prefix4; /* bits of the source that go into a trie; 0: all of them, into a hash */
	__u8 prefix6;
	__u32 mask[2][4]; /* the same as masks of its words: of IPv4, of IPv6 */
};

struct ban_line {
	__u32 word[4];    /* the element: an address as in the key, bits behind its prefix zero */
	__u64 expires_ns; /* CLOCK_BOOTTIME, at least until then it is there. Line 0: how many lines were handed out */
	__u32 map;        /* enum set_map; it is in use where expires_ns is not 0 */
	__u32 prefix_len; /* in a trie; else 0 */
};

_Static_assert(sizeof(struct flow) == 64, "flow");
_Static_assert(sizeof(struct datagram) == 64, "datagram");
_Static_assert(sizeof(struct bucket) == 16, "bucket");
_Static_assert(sizeof(struct bucket_line) == 64, "bucket_line");
_Static_assert(sizeof(struct ban) == 48, "ban");
_Static_assert(sizeof(struct ban_line) == 32, "ban_line");
