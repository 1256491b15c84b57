/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every type, size and number that the BPF programs and the command share; nothing else.
 *
 * Compiles alone, in BPF and in user space. All integers are host order unless the name ends in _be.
 * Padding is a named field and always zero. docs/map-abi.md is made from this file and those that it
 * includes (make abi): abi_state.h has what packets leave behind, abi_hash.h the mixing of bits.
 */
#pragma once

#include "abi_hash.h"
#include "abi_state.h"

/* Rises with every change of a layout below; a pinned instance of another version is refused. */
#define WEIR_ABI_VERSION 4
#define WEIR_ABI_MAGIC   0x72696577 /* "weir" as the bytes of a little-endian word */

enum hook { HOOK_XDP, HOOK_TC_INGRESS, HOOK_TC_EGRESS, HOOK_MAX };

enum verdict { VERDICT_ACCEPT, VERDICT_DROP, VERDICT_REDIRECT, VERDICT_REJECT, VERDICT_SYNPROXY, VERDICT_MAX };

/*
 * The key: what the parser found in one packet, as 32-bit words, so that a rule is a list of
 * comparisons of words. Addresses are most significant word first; an IPv4 address is in word 0 and
 * words 1 to 3 are zero. A word whose header is absent is zero: conditions test presence first
 * (KEY_FAMILY, KEY_L4, KEY_PRESENT).
 */
enum key_word {
	KEY_SETS0,   /* bit n: lookup n of the filter found its element */
	KEY_SETS1,   /* the same for lookups 32 to 63 */
	KEY_PRESENT, /* PRESENT_* bits */
	KEY_IIF,     /* ifindex the packet came in by; 0: made by this host */
	KEY_OIF,     /* ifindex the packet leaves by; 0 on ingress */
	KEY_MARK,
	KEY_SKUID,
	KEY_LENGTH, /* bytes behind the link-layer header, Ethernet padding included */
	KEY_ETYPE,  /* EtherType behind all VLAN tags */
	KEY_DMAC0,  /* first four bytes of the destination MAC */
	KEY_DMAC1,  /* last two bytes */
	KEY_SMAC0,
	KEY_SMAC1,
	KEY_VLAN0,   /* outer tag: priority << 13 | drop eligible << 12 | id */
	KEY_VLAN1,   /* inner tag */
	KEY_FAMILY,  /* 4, 6, or 0 for what is not IP */
	KEY_NEXTHDR, /* protocol byte of the IPv4 header, next-header byte of the IPv6 header */
	KEY_PROTO,   /* transport protocol behind extension and authentication headers; PROTO_NONE */
	KEY_L4,      /* the same, but only if the transport header is in this packet; else PROTO_NONE */
	KEY_SADDR0,
	KEY_SADDR1,
	KEY_SADDR2,
	KEY_SADDR3,
	KEY_DADDR0,
	KEY_DADDR1,
	KEY_DADDR2,
	KEY_DADDR3,
	KEY_TOS,   /* DSCP << 2 | ECN */
	KEY_TTL,   /* or hop limit */
	KEY_IPLEN, /* IPv4 total length, IPv6 payload length */
	KEY_FRAG,  /* IPv4: flags << 13 | offset; IPv6: offset << 3 | reserved | more */
	KEY_SPORT,
	KEY_DPORT,
	KEY_TCPFLAGS, /* as in byte 13 of the TCP header */
	KEY_ICMP,     /* type << 8 | code */
	KEY_PORTS,    /* source port << 16 | destination port; ICMP: KEY_ICMP */
	KEY_CLASS,    /* CLASS_* bits */
	KEY_CT,       /* enum ct_state, in filters that track flows */
	KEY_WORDS,
	KEY_MAX = 64 /* a power of two, so that a mask bounds any index */
};

#define PROTO_NONE 256

#define PRESENT_VLAN0    (1u << 0)
#define PRESENT_VLAN1    (1u << 1)
#define PRESENT_OPTIONS  (1u << 2) /* IPv4 options, or any IPv6 extension header */
#define PRESENT_FRAGHDR  (1u << 3) /* an IPv6 fragment header, also an atomic one */
#define PRESENT_FRAGMENT (1u << 4) /* a part of a packet, first or later */
#define PRESENT_LATER    (1u << 5) /* a part that is not the first: no transport header */
#define PRESENT_SKUID    (1u << 6) /* a full socket owns the packet */
#define PRESENT_LINK     (1u << 7) /* an Ethernet header is there */
#define PRESENT_PORTS    (1u << 8) /* a TCP, UDP or SCTP header is there */

/* Bits of KEY_CLASS, made from the words above once the sets are looked up. */
#define CLASS_PROTO     0  /* 8 bits: KEY_PROTO */
#define CLASS_L4        8  /* the transport header is in this packet: KEY_L4 is KEY_PROTO */
#define CLASS_PORTS     9  /* and has ports: TCP, UDP, SCTP */
#define CLASS_DIRECT    10 /* the transport header follows the IP header: KEY_PROTO is KEY_NEXTHDR */
#define CLASS_TCPFLAGS  11 /* 8 bits: KEY_TCPFLAGS */
#define CLASS_CT        19 /* 3 bits: KEY_CT */
#define CLASS_SETS      22 /* the first lookups of the filter, as in KEY_SETS0 */
#define CLASS_SETS_BITS 10

/* What the flow table says of a packet. The order makes established and related one comparison. */
enum ct_state { CT_ESTABLISHED, CT_RELATED, CT_NEW, CT_UNTRACKED, CT_INVALID, CT_MAX };

/*
 * The rules of a generation: an array of nodes of 32 bytes and an array of references between them.
 *
 * For each family a filter has an index over its rules: a row of forks. Each fork hashes some of the packet's
 * fields to a bucket, where a reference leads to the one rule, the short list or the further row of forks
 * that these fields could mean; rules are compared in full (NODE_RULE4, _RULE6). Rules stand in the array in
 * the order of the file, so the lowest node number that matches is the first match, and a fork that knows the
 * lowest rule in it and behind it ends the search as soon as nothing earlier can win.
 *
 * What the comparison of a rule cannot say is a program of further nodes:
 *
 *   NODE_TEST       (key[word] & mask) in [lo, hi] ? go to yes : go to no
 *   NODE_COUNT      add the packet to counter lo, go to yes
 *   NODE_LOG        send an event with prefix number lo for rule hi, go to yes
 *   NODE_LIMIT      is the packet within limit lo ? go to yes : go to no
 *   NODE_BAN        put the packet's source into a set as ban lo says, go to yes
 *   NODE_CANDIDATE  all of the rule matched; node yes is what it does
 *   NODE_VERDICT    end: verdict `word`, reason mask, rule lo, counter hi; yes is the ifindex to redirect to, or what
 *                   a reject or synproxy answers (REJECT_*, SYNPROXY_*)
 *
 * AT_RESUME as a target: the rule does not match. Rules that do something before their last condition, or do
 * not decide, are eager: they have an index of their own, which is searched for the lowest one before the
 * first match of the others, again and again until there is none.
 */
enum node_op {
	NODE_NONE, /* nodes 0 and 1, so that 0 is no reference and AT_RESUME no rule */
	NODE_RULE4,
	NODE_RULE6, /* takes two nodes: struct node_quad is the second */
	NODE_HASH4,
	NODE_HASH6, /* takes two nodes: struct node_quad is the second */
	NODE_WORD,
	NODE_LIST,
	NODE_CUT,
	NODE_TEST,
	NODE_COUNT,
	NODE_LOG,
	NODE_LIMIT,
	NODE_BAN,
	NODE_CANDIDATE,
	NODE_VERDICT,
	NODE_OP_MAX
};

#define AT_RESUME    1u
#define COUNTER_NONE 0xffffffffu

/* The first counters of all: what no filter has for itself. */
enum global_counter {
	COUNTER_EVENTS_LOST,     /* `log` events that found the ring buffer full */
	COUNTER_ANSWERS,         /* answers of `reject` that were sent */
	COUNTER_ANSWERS_LIMITED, /* and those that were not: more than ANSWERS_PER_SECOND */
	COUNTER_ANSWERS_REFUSED, /* packets that nobody may answer: resets, ICMP errors, broadcasts */
	COUNTER_FLOWS_EVICTED,   /* flows without an answer that made room for others */
	COUNTER_LIMITS_FULL,     /* packets that found no bucket for their key */
	COUNTER_BANS_FULL,       /* bans for which there was no room */
	COUNTER_COOKIES_SENT,    /* SYNs that `synproxy` answered */
	COUNTER_COOKIES_RIGHT,   /* and handshakes that came back with a right cookie */
	COUNTER_GUARD_LOST,      /* reports of guards that found the ring buffer full, or came too fast */
	COUNTERS_RESERVED = 16
};
#define RULE_NONE 0xffffffffu

struct node {
	__u8 op;   /* enum node_op */
	__u8 word; /* enum key_word, or enum verdict */
	__u16 pad;
	__u32 mask;
	__u32 lo;
	__u32 hi;
	__u32 yes;
	__u32 no;
	__u32 pad2[2];
};

#define RULE_VERDICT 3u        /* bits: enum verdict, where `more` is a counter */
#define RULE_ACTION  (1u << 2) /* `more` is the node of what the rule does */
#define RULE_PROGRAM (1u << 3) /* `more` is the node of what else must hold */

/* A comparison of addresses, ports and class. IPv4: shift 32 is any address. */
struct node_rule {
	__u8 op;
	__u8 flags;       /* RULE_* */
	__u8 saddr_shift; /* low bits that may differ; IPv6: of the upper half, 0 to 64 */
	__u8 daddr_shift;
	__u32 saddr; /* IPv6: the shifts of the lower halves, saddr's in the low byte, daddr's in the next */
	__u32 daddr;
	__u16 sport_lo;
	__u16 sport_hi;
	__u16 dport_lo; /* ICMP: type << 8 | code */
	__u16 dport_hi;
	__u32 class; /* KEY_CLASS & class_mask */
	__u32 class_mask;
	__u32 more; /* counter number or COUNTER_NONE; a node with RULE_ACTION or RULE_PROGRAM */
};

/* The upper and lower halves of two IPv6 addresses (of a rule) or masks (of a fork), host order. */
struct node_quad {
	__u64 saddr[2];
	__u64 daddr[2];
};

/*
 * A fork. NODE_HASH4 and _HASH6 hash masked fields (node_hash()), NODE_WORD one word of the key: the result
 * picks one of the buckets of two references; the one with the right tag is taken. NODE_CUT picks one of
 * 1 << bits references by as many bits of a word. NODE_LIST takes the list at `base`.
 */
struct node_fork {
	__u8 op;
	__u8 bits;        /* NODE_CUT */
	__u8 proto;       /* 0xff: the protocol is hashed, 0: not. NODE_WORD, NODE_CUT: enum key_word */
	__u8 seed;        /* NODE_CUT: the bits' shift */
	__u32 base;       /* first reference; of buckets an even number */
	__u32 next;       /* a reference: the next fork of the row, behind the last one that of the row above; or 0 */
	__u32 low;        /* lowest rule in this fork and in all that follow */
	__u32 saddr_mask; /* NODE_WORD: the word's mask */
	__u32 daddr_mask;
	__u32 ports_mask; /* source port << 16 | destination port */
	__u32 buckets;    /* of a fork that hashes */
};

/*
 * A reference: number and kind, 0 none; in a bucket with a tag. The number of a list is that of its first
 * reference; a list is sorted and ends with 0.
 */
#define REF_NUMBER     0x007fffffu
#define REF_KIND_SHIFT 23
#define REF_RULE       (0u << REF_KIND_SHIFT)
#define REF_LIST       (1u << REF_KIND_SHIFT)
#define REF_FORK       (2u << REF_KIND_SHIFT)
#define REF_KIND       (3u << REF_KIND_SHIFT)
#define REF_UNTAGGED   (REF_NUMBER | REF_KIND)
#define REF_TAG_SHIFT  25
#define REF_BUCKET     2u

/* Forks that one search may ask: the compiler stays below. */
#define SEARCH_FORKS 32
#define SEARCH_LISTS 32 /* lists that it may leave for later, a power of two */

/* Fields already masked; IPv6 addresses folded by node_fold(). ports: source << 16 | destination. */
static inline __attribute__((always_inline)) __u64 node_hash(__u64 saddr, __u64 daddr, __u32 ports, __u32 proto,
							     __u8 seed)
{
	return node_mix(saddr * 0x9e3779b97f4a7c15u + daddr * 0xc2b2ae3d27d4eb4fu +
			(ports | (__u64)(proto | (__u32)seed << 8) << 32) * 0x165667b19e3779f9u);
}

static inline __attribute__((always_inline)) __u32 node_tag(__u64 hash)
{
	return hash >> 8 & 0x7f;
}

/* Below `buckets`. */
static inline __attribute__((always_inline)) __u32 node_bucket(__u64 hash, __u32 buckets)
{
	return (hash >> 32) * buckets >> 32;
}

/* What a reject answers: the kind in the low byte, then the codes of ICMP and ICMPv6 destination unreachable. */
#define REJECT_RESET       1u /* a TCP reset; other packets get nothing */
#define REJECT_ICMP        2u
#define REJECT_CODE4       8 /* shifts */
#define REJECT_CODE6       16
#define ANSWERS_PER_SECOND 1000u

/* What a synproxy answers: the MSS in the low half, 0 for that of Ethernet; the window scale; what it may offer. */
#define SYNPROXY_MSS       0xffffu
#define SYNPROXY_SCALE     16 /* shift of 4 bits */
#define SYNPROXY_SCALES    (1u << 20)
#define SYNPROXY_SACK      (1u << 21)
#define SYNPROXY_TIMESTAMP (1u << 22) /* without it none of the two above: a SYN cookie keeps them in the timestamp */

/* Rules that one packet may be compared with one by one, and eager rules that it may meet. */
#define LISTS_MAX (1u << 20)
/* Rules of one search that wait for their programs: LIST_INLINE a fork at most. */
#define PROGRAMS_MAX 128 /* a power of two */
/* Nodes on the longest way through one program. */
#define PROGRAM_MAX 128

/*
 * A set is a slot: tables in the pool (struct set_head) where it has one type and nothing to remember about
 * its elements; else kernel maps, which are at the same slot of the outer maps. Which of them are
 * filled depends on the element type.
 */
enum set_map {
	SET_WORD,     /* hash: one word (IPv4 address, port, protocol, interface, ...) */
	SET_WORD_LPM, /* LPM trie: a prefix of one word */
	SET_QUAD,     /* hash: four words (IPv6 address, MAC) */
	SET_QUAD_LPM, /* LPM trie: a prefix of four words */
	SET_TUPLE,    /* hash: a concatenation */
	SET_MAP_MAX,
	SET_RING = SET_MAP_MAX, /* no elements: an array of what packets put into the set, struct ban_line */
	SET_OUTER_MAX
};

#define SET_SLOTS   1024
#define TUPLE_WORDS 16

struct set_word_key {
	__u32 word;
};

struct set_word_lpm_key {
	__u32 prefix_len; /* bits */
	__u32 word_be;
};

/* The same in the kernel's trie: its key is 4 bytes longer, so that the value behind it is aligned. */
struct set_word_trie_key {
	__u32 prefix_len;
	__u32 word_be;
	__u32 pad;
};

struct set_quad_key {
	__u32 word[4];
};

struct set_quad_lpm_key {
	__u32 prefix_len; /* bits */
	__u32 word_be[4];
};

struct set_tuple_key {
	__u32 word[TUPLE_WORDS]; /* unused words zero */
};

/* What the kernel maps hold of an element. */
struct set_value {
	__u64 expires_ns; /* CLOCK_BOOTTIME; an element past it is not there any more; 0: never */
	__u64 timeout_ns; /* what it was given, for lists; 0: none */
	__u64 packets;    /* that found it, in sets that count; each lookup of a packet counts */
	__u64 bytes;
	__u32 prefix_len; /* of an element of a trie: its own */
	__u32 ring;       /* its line in the set's ring; 0: the command put it there */
};

/*
 * The pool: lines of 64 bytes in one array. Sets of one type without timeout or counters have their
 * elements there, in up to four tables, each a region of its own; line 0 is never used. Packets read, the
 * command writes through mmap: each element changes with one aligned store that readers see whole.
 */
struct line {
	__u64 word[8];
};

enum set_table {
	TABLE_WORD,        /* exact values of one word */
	TABLE_WORD_PREFIX, /* prefixes of one word */
	TABLE_QUAD,        /* exact values of four words */
	TABLE_QUAD_PREFIX, /* prefixes of four words */
	SET_TABLE_MAX
};

struct table {
	__u32 first; /* line in the pool; 0: there is no such table, nothing is in it */
	__u32 lines; /* of the region */
	__u32 size;  /* what it means is the kind's */
	__u8 kind;   /* the same */
	__u8 bits;   /* the same */
	__u16 seed;  /* of the hash, where the kind has one */
};

struct set_head {
	struct table table[SET_TABLE_MAX];
};

/*
 * Tables of exact values. The hash of a value names its home line; where that is full, the value goes to one of
 * EXACT_PROBES spare lines in a row. struct table: size is the number of home lines, exact_spare(size) spare
 * ones follow, kind is enum exact_kind, bits is 0.
 *
 *   TABLE_WORD    home lines, spare lines
 *   TABLE_QUAD    home lines, spare lines, then for each of them, in the same order, 8 lines of entries
 *
 * A line has lanes of 16 or 32 bits; 0 is an empty one. Lane n of word i begins at bit n * width. The highest lane of
 * word 7 is no lane: it has EXACT_ZERO and EXACT_MORE. Lanes of TABLE_WORD hold hashes (32 bits), which are values in another
 * order, so that a lane decides. In a home line of EXACT_HALVES the lower half of the hash is enough: with 65536 lines or
 * more, no two values of a line have the same. A lane that would be 0 is the flag EXACT_ZERO of its home line instead.
 * Lanes of TABLE_QUAD are tags, no two the same in a line; the value of lane n of word i is entry 8 * n + i, four words.
 *
 * Values never move and appear by one store: first EXACT_MORE of the lines before, then the entry, if any, then the lane.
 * What a writer leaves that was killed is a count that is too high: one line is read for nothing.
 */
enum exact_kind {
	EXACT_WORDS = 1, /* TABLE_WORD: 15 lanes of 32 bits */
	EXACT_HALVES,    /* TABLE_WORD: 31 lanes of 16 bits in home lines, 15 of 32 bits in spare lines */
	EXACT_TAGS,      /* TABLE_QUAD: 31 lanes of 16 bits */
};

#define EXACT_ZERO        (1ull << 63)      /* in word 7: the value whose lane would be 0 is in the set */
#define EXACT_MORE        (0x3fffull << 48) /* in word 7: how many values went on to the next line of their row */
#define EXACT_MORE_ONE    (1ull << 48)      /* the count's lowest bit; at its highest it counts no more, and stays */
#define EXACT_PROBES      3
#define EXACT_SPARE       16                    /* home lines that have a spare line more */
#define EXACT_ENTRY_LINES 8                     /* of TABLE_QUAD, for each line of tags */
#define EXACT_HALVES_MIN  65536                 /* home lines */
#define EXACT_ONES_HALF   0x0001000100010001ull /* 1 in each lane */
#define EXACT_ONES_WORD   0x0000000100000001ull
#define EXACT_LOW_HALF    0x7fff7fff7fff7fffull /* each lane but its highest bit */
#define EXACT_LOW_WORD    0x7fffffff7fffffffull
#define EXACT_LANES_HALF  0x7f00ff00ff00ff00ull /* all that exact_scan_half() can say */
#define EXACT_LANES_WORD  0x7f000000ff000000ull /* all that exact_scan_word() can say */

/* Spare lines of a table. */
static inline __attribute__((always_inline)) __u32 exact_spare(__u32 size)
{
	return size / EXACT_SPARE + EXACT_PROBES;
}

/* A number below n, by the upper bits of the hash. */
static inline __attribute__((always_inline)) __u32 exact_pick(__u32 hash, __u32 n)
{
	return (__u64)hash * n >> 32;
}

/* One to one: no two words have the same hash. The seed keeps secret which words share a line. */
static inline __attribute__((always_inline)) __u32 exact_hash_word(__u32 word, __u16 seed)
{
	word ^= seed * 0x9e3779b1u;
	word = (word ^ word >> 16) * 0x7feb352du;
	return (word ^ word >> 15) * 0x846ca68bu;
}

/* Home line by the upper half; spare line by the lower half, tag by its lower bits. */
static inline __attribute__((always_inline)) __u64 exact_hash_quad(const __u32 *word, __u16 seed)
{
	__u64 hash = seed * 0x9e3779b97f4a7c15u;

	hash = (hash ^ (__u64)word[0] << 32 ^ word[1]) * 0xbf58476d1ce4e5b9u;
	hash = (hash ^ hash >> 32 ^ (__u64)word[2] << 32 ^ word[3]) * 0x94d049bb133111ebu;
	return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

/* First of the spare lines of a value, counted from the first of all: hash is that of a word, or the lower half. */
static inline __attribute__((always_inline)) __u32 exact_pick_spare(__u32 hash, __u32 size)
{
	return exact_pick(hash * 0x9e3779b1u, exact_spare(size) - (EXACT_PROBES - 1));
}

/* 1 ... 65535: a lane of 0 is an empty one. */
static inline __attribute__((always_inline)) __u32 exact_tag(__u64 hash)
{
	return ((hash & 0xffff) * 0xffff >> 16) + 1;
}

/* The highest bit of a lane is 0 where the word's lane is the pattern's. `low`: all bits of each lane but the highest. */
static inline __attribute__((always_inline)) __u64 exact_differ(__u64 word, __u64 pattern, __u64 low)
{
	word ^= pattern;
	return ((word & low) + low) | word;
}

/*
 * Which lanes are the pattern's? Bit 16 * n + 8 + i, or 32 * n + 24 + i, for lane n of word i. No branches: few paths for
 * the verifier, nothing to mispredict.
 */
static inline __attribute__((always_inline)) __u64 exact_scan(const struct line *line, __u64 pattern, __u64 low)
{
	__u64 differ = 0;

	for (int i = 0; i < 8; i++)
		differ = differ >> 1 | (exact_differ(line->word[i], pattern, low) & ~low);
	return ~differ;
}

static inline __attribute__((always_inline)) __u64 exact_scan_half(const struct line *line, __u32 lane)
{
	return exact_scan(line, lane * EXACT_ONES_HALF, EXACT_LOW_HALF) & EXACT_LANES_HALF;
}

static inline __attribute__((always_inline)) __u64 exact_scan_word(const struct line *line, __u32 lane)
{
	return exact_scan(line, lane * EXACT_ONES_WORD, EXACT_LOW_WORD) & EXACT_LANES_WORD;
}

/*
 * Tables of prefixes: a tree that holds just the elements, six bits a level, so that the table is the whole truth about
 * itself. Nothing else is needed to list it or to edit it. Addresses are 128 bits from the top: hi, lo. A word is the
 * upper half of hi and has no lead bits. A quad is turned by PREFIX_FLIP, which makes 2000::/3, where nearly all
 * addresses are, begin with three lead bits of zero. Region, in words of 64 bits counted from its first line:
 *
 *   0             struct prefix_head, which packets do not read
 *   PREFIX_SLOTS  slots, 32 bits each: 2^bits by the bits behind the lead where that is zero; behind them, if there are
 *                 lead bits, 2^lead more by the lead alone. A slot is the word of its root node, or 0, and has
 *                 PREFIX_COVERED if an element as long as the slot's bits, or shorter, holds all of the slot
 *   then          those short elements, one bit each. Number of a bit whose lead is all there and zero:
 *                 1 << length - lead | bits of the prefix; of another one: (2 << bits) + (1 << length | bits)
 *   then          nodes and leaves; from the end of the region down records of retired blocks
 *
 * A node or leaf at depth d knows the lengths d to d + 5: bit 1 << length - d | bits of the prefix behind d. A leaf is
 * just these 64 bits, a node has children too, by the six bits behind d. Both kinds of children lie around its base,
 * without gaps, in the order of their bits: nodes from base on, leaves from base - 1 down. A node skips levels that
 * have neither elements nor branches; its depth is behind them.
 *
 * An edit sets or clears one bit of `internal`, or makes a new root node and all that differs below it, and stores the
 * slot. Nothing else of a node ever changes. Replaced blocks are retired: used again when no packet can read them.
 * struct table: bits; size and kind are 0.
 */
#define PREFIX_SLOTS       72          /* word; sizeof(struct prefix_head) */
#define PREFIX_COVERED     0x80000000u /* in a slot */
#define PREFIX_LEAD        3           /* lead bits of a quad */
#define PREFIX_FLIP        (1ull << 61)
#define PREFIX_STRIDE      6  /* bits of a level */
#define PREFIX_SKIP_MAX    24 /* bits that a node can skip */
#define PREFIX_DEPTHS      21 /* nodes from a slot down, at most */
#define PREFIX_DEPTHS_WORD 6  /* the same, of a table of words: it has at least one bit of slots */
#define PREFIX_CLASSES     128

struct prefix_node {
	__u64 internal; /* elements that end here */
	__u64 nodes;    /* bit v: a child node for the value v */
	__u64 leaves;   /* bit v: a leaf */
	__u32 base;     /* word of the first child node, a multiple of 4; the first leaf is before it */
	__u32 skip;     /* number of bits skipped << 24 | the bits */
};

/* The allocator's; class c is a block of c words, or from 65 on one of (c - 64) * 4 words that begins like a node. */
struct prefix_head {
	__u32 used;    /* first word that was never in a block */
	__u32 retired; /* records at the end of the region: class << 32 | word of the block */
	__u32 mending; /* number of the short element whose slots are being written; after a kill the next edit goes on */
	__u32 pad[13];
	__u32 free[PREFIX_CLASSES]; /* class - 1: first free block; its first word is the next one, or 0 */
};

/* What in `internal` holds an address whose bits from the node's depth on are these. */
static inline __attribute__((always_inline)) __u64 prefix_holders(__u64 bits)
{
	__u32 v = bits >> 58;

	return 1ull << (32 | v >> 1) | 1ull << (16 | v >> 2) | 1ull << (8 | v >> 3) | 1ull << (4 | v >> 4) |
	       1ull << (2 | v >> 5) | 2;
}

/* How many of the bits are set: BPF has no instruction for it. */
static inline __attribute__((always_inline)) __u32 prefix_count(__u64 bits)
{
	bits -= bits >> 1 & 0x5555555555555555ull;
	bits = (bits & 0x3333333333333333ull) + (bits >> 2 & 0x3333333333333333ull);
	return ((bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0full) * 0x0101010101010101ull >> 56;
}

/* How a packet is looked up in a set before the walk: lookup n of a filter decides bit n of KEY_SETS. */
enum lookup_kind {
	LOOKUP_ADDR,  /* word[0] is the address: KEY_SADDR0 or KEY_DADDR0; the family picks the maps */
	LOOKUP_WORD,  /* (key[word[0]] & mask) >> shift */
	LOOKUP_MAC,   /* word[0], word[0] + 1 */
	LOOKUP_TUPLE, /* count words, word[0] on */
	LOOKUP_KIND_MAX
};

struct lookup {
	__u8 kind;  /* enum lookup_kind */
	__u8 count; /* words of a tuple */
	__u16 slot; /* below SET_SLOTS */
	__u32 mask;
	__u16 shift;
	__u16 flags;              /* LOOKUP_* */
	__u8 word[TUPLE_WORDS];   /* enum key_word */
	__u8 wshift[TUPLE_WORDS]; /* of a tuple: right shift of each word */
	__u32 wmask[TUPLE_WORDS]; /* of a tuple: mask of each word, before the shift */
};

#define LOOKUP_KERNEL  (1u << 0) /* the set is in kernel maps, not in the pool */
#define LOOKUP_EXPIRES (1u << 1) /* its elements may have expired */
#define LOOKUP_COUNTS  (1u << 2) /* its elements count packets */

/* Which index of a filter judges a packet. */
enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILY_OTHER, FAMILY_MAX };

#define LOOKUPS_PER_FILTER 64
#define LOOKUPS_MAX        1024
#define FILTERS_MAX        64
#define BINDINGS_MAX       256 /* slots of the device table of one hook, a power of two */

#define FILTER_NEEDS_SKUID (1u << 0)
#define FILTER_TRACKS      (1u << 1) /* packets get a ct state, and make flows where they are accepted */
#define FILTER_FOLLOWS     (1u << 2) /* a later fragment gets what its first one got; `fragments` is drop */
#define FILTER_SYNPROXY    (1u << 3) /* SYN cookies may come back to it */

struct filter_head {
	__u32 root[FAMILY_MAX];  /* a reference; 0: there are no rules */
	__u32 eager[FAMILY_MAX]; /* the same for eager rules */
	__u32 counters;          /* first of REASON_MAX counters, one a reason */
	__u32 lookups;           /* first lookup; those of sets in the pool come first */
	__u16 n_lookups;
	__u8 malformed;        /* enum verdict */
	__u8 fragments;        /* enum verdict; see fragments_judged */
	__u8 fragments_judged; /* 1: rules first, `fragments` where none decides; 0: `fragments` at once */
	__u8 flags;            /* FILTER_* */
	__u8 fallback;         /* enum verdict, where no rule decides */
	__u8 n_pool_lookups;   /* how many lookups are of sets in the pool */
};

/* Which filter a device has. Slot: binding_slot(). An empty slot has ifindex 0. */
struct binding {
	__u32 ifindex;
	__u16 filter;
	__u8 raw_ip; /* 1: frames of this device start with the IP header */
	__u8 pad;
};

/* ifindex -> slot. The compiler picks a seed under which no two devices share one. */
static inline __attribute__((always_inline)) __u32 binding_slot(__u32 ifindex, __u32 seed)
{
	return (ifindex * 0x9e3779b1u ^ seed) * 0x85ebca6bu >> 24;
}

/* The part of fixed size of one half of the `tables` map; nodes and refs follow (see struct config). */
struct tables_head {
	__u32 seed[HOOK_MAX];
	__u32 pad;
	struct binding binding[HOOK_MAX][BINDINGS_MAX];
	struct filter_head filter[FILTERS_MAX];
	struct lookup lookup[LOOKUPS_MAX];
	struct set_head set[SET_SLOTS]; /* per slot: the set's tables in the pool */
	struct limit limit[LIMITS_MAX];
	struct ban ban[BANS_MAX];
	struct flow_settings flows;
};

/* What is fixed when the programs are loaded (read-only data, so that the verifier prunes by it). */
struct config {
	__u32 node_mask; /* nodes of a half - 1; a power of two minus one */
	__u32 ref_mask;  /* refs of a half - 1 */
	__u32 nodes_off; /* byte offset of the nodes in a half */
	__u32 refs_off;
	__u32 trace;     /* 1: this copy of the programs serves `explain` and tests: read and fill struct trace */
	__u32 features;  /* FEATURE_*: what the rules need; the rest is left out of the programs when they are loaded */
	__u32 flow_mask; /* lines of the flow table - 1 */
	__u32 bucket_mask;   /* lines of the limits' buckets - 1 */
	__u32 datagram_mask; /* buckets of datagrams - 1 */
	__u32 pad;
	__u64 seed; /* of the hashes of flows, limits and datagrams: not to be known by those who send packets */
};

#define FEATURE_FLOWS     (1u << 0)
#define FEATURE_LIMITS    (1u << 1)
#define FEATURE_ANSWERS   (1u << 2)
#define FEATURE_FRAGMENTS (1u << 3)
#define FEATURE_BANS      (1u << 4)
#define FEATURE_SYNPROXY  (1u << 5)
#define FEATURE_GUARDS    (1u << 6) /* the guards' programs are there, and their tables */

/* The one word. Written by the command with one store through mmap; everything turns with it. */
struct control {
	__u64 generation; /* half = generation & 1; 0: no rules yet, everything passes uncounted */
	__u64 settled;    /* the last generation after which the old half was seen to be unused */
	__u32 magic;
	__u32 abi_version;
	__u32 n_nodes; /* what one half of this instance holds: powers of two */
	__u32 n_refs;
	__u32 n_counters;
	__u32 n_manifest;  /* bytes of one half of the manifest */
	__u64 programs;    /* hash of the BPF object that was loaded: another one replaces the programs */
	__u32 n_lines;     /* lines of the pool */
	__u32 features;    /* FEATURE_* */
	__u32 n_flows;     /* lines of the flow table */
	__u32 n_buckets;   /* lines of the limits' buckets */
	__u32 n_datagrams; /* buckets of datagrams */
	__u32 pad;
	__u64 seed; /* see struct config */
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Instead of an interface: what a packet of `explain` came with, and what became of it. */
struct trace {
	/* in */
	__u32 ifindex; /* the device the programs should believe in */
	__u32 iif;
	__u32 length; /* bytes of the frame, which may be more than were handed over */
	__u32 mark;
	__u32 skuid;
	__u32 has_skuid;
	__u32 ct;      /* enum ct_state that the packet is said to have, or CT_MAX: the flow table is asked */
	__u32 bans;    /* 1: a ban goes into the set; 0: nothing is changed */
	__u64 now_ns;  /* CLOCK_MONOTONIC */
	__u64 boot_ns; /* CLOCK_BOOTTIME */
	/* out */
	__u32 verdict;  /* enum verdict */
	__u32 reason;   /* enum reason */
	__u32 rule;     /* number in the filter's rule list, or RULE_NONE */
	__u32 node;     /* where rule is RULE_NONE: the rule's node, or 0 */
	__u32 filter;   /* number of the filter, or RULE_NONE where the device has none */
	__u32 redirect; /* ifindex */
	__u32 steps;
	__u32 ct_said; /* enum ct_state, or CT_MAX: the filter tracks no flows, or did not come to it */
};

/* The first word of each record in the ring buffer. */
enum event_kind { EVENT_LOG, EVENT_GUARD };

/* A record of a `log` statement in the ring buffer. */
struct event {
	__u32 kind; /* EVENT_LOG */
	__u32 pad;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 generation;
	__u32 hook; /* enum hook */
	__u32 ifindex;
	__u32 filter;
	__u32 rule;
	__u32 prefix; /* number of the log prefix in the manifest, or RULE_NONE */
	__u32 length;
	__u32 key[KEY_WORDS];
};

#include "abi_guard.h"

_Static_assert(sizeof(struct node) == 32, "node");
_Static_assert(sizeof(struct node_rule) == 32, "node_rule");
_Static_assert(sizeof(struct node_quad) == 32, "node_quad");
_Static_assert(sizeof(struct node_fork) == 32, "node_fork");
_Static_assert(sizeof(struct lookup) == 108, "lookup");
_Static_assert(sizeof(struct line) == 64, "line");
_Static_assert(sizeof(struct set_head) == 64, "set_head");
_Static_assert(sizeof(struct filter_head) == 40, "filter_head");
_Static_assert(sizeof(struct prefix_node) == 32, "prefix_node");
_Static_assert(sizeof(struct prefix_head) == PREFIX_SLOTS * 8, "prefix_head");
_Static_assert(sizeof(struct binding) == 8, "binding");
_Static_assert(sizeof(struct tables_head) % 8 == 0, "what follows the head is aligned");
_Static_assert(sizeof(struct control) == 80, "control");
_Static_assert(sizeof(struct set_value) == 40, "set_value");
_Static_assert((int)KEY_WORDS <= (int)KEY_MAX, "key words");
_Static_assert(sizeof(struct event) % 8 == 0, "event");
