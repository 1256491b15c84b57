/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checked policy: what a rule file says, typed and resolved, and nothing about how it is enforced.
 *
 * The tree lives in one arena that policy_free() drops at once. Everything below is read-only for its
 * users (compile/, cmd/, the reference model of the tests). Numbers are host order.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"

/* The order is that of the hooks and verdicts in the data path; the compiler translates by name. */
enum policy_hook { POLICY_XDP, POLICY_TC_INGRESS, POLICY_TC_EGRESS, POLICY_HOOK_MAX };
enum policy_verdict {
	POLICY_NONE,
	POLICY_ACCEPT,
	POLICY_DROP,
	POLICY_REDIRECT,
	POLICY_REJECT,
	POLICY_SYNPROXY,
	POLICY_VERDICT_MAX
};

/* The state of a packet's flow, as in nft; the order is that of the data path. */
enum policy_ct {
	POLICY_CT_ESTABLISHED,
	POLICY_CT_RELATED,
	POLICY_CT_NEW,
	POLICY_CT_UNTRACKED,
	POLICY_CT_INVALID,
	POLICY_CT_MAX
};

/* As in a rule file. */
const char *policy_verdict_word(enum policy_verdict verdict);
const char *policy_ct_word(enum policy_ct ct);

/* What an element of a set or a value of a match is. */
enum value_type {
	TYPE_INT,  /* a number without names: length, ttl, mark, frag-off */
	TYPE_ADDR, /* IPv4 or IPv6; the range says which */
	TYPE_MAC,
	TYPE_PORT,   /* with service names */
	TYPE_PROTO,  /* IP protocol, with names */
	TYPE_ETYPE,  /* EtherType, with names */
	TYPE_ICMP,   /* icmp type, with names */
	TYPE_ICMPV6, /* icmpv6 type, with names */
	TYPE_DSCP,   /* with names: cs0, af11, ef, ... */
	TYPE_TCPFLAGS,
	TYPE_IFACE, /* a device name: w[0] is its number in policy.devices */
	TYPE_USER,  /* a uid, with names */
	TYPE_MARK,
	TYPE_BOOL,    /* exists 1, missing 0 */
	TYPE_NFPROTO, /* ipv4 4, ipv6 6 */
	TYPE_CTSTATE, /* enum policy_ct */
	TYPE_MAX
};

/*
 * The fields a rule can match. X(ID, "words as written", value type, bits, layer, hooks)
 * Layer: what a packet must be for the field to exist. A condition on an absent field never matches,
 * negated or not (as in nft); the family-neutral saddr and daddr exist in any IP packet.
 * Hooks: I ingress only (XDP, TC), E egress only, T both TC hooks, A all.
 */
/* clang-format off */
#define FIELDS(X)                                                              \
	X(ETHER_TYPE, "ether type", TYPE_ETYPE, 16, LINK_OR_IP, A) /* behind all VLAN tags */ \
	X(ETHER_SADDR, "ether saddr", TYPE_MAC, 48, LINK, A)                   \
	X(ETHER_DADDR, "ether daddr", TYPE_MAC, 48, LINK, A)                   \
	X(VLAN_ID, "vlan id", TYPE_INT, 12, VLAN, A) /* the outer tag */       \
	X(VLAN_PCP, "vlan pcp", TYPE_INT, 3, VLAN, A)                          \
	X(VLAN_INNER_ID, "vlan inner id", TYPE_INT, 12, VLAN2, A)              \
	X(VLAN_INNER_PCP, "vlan inner pcp", TYPE_INT, 3, VLAN2, A)             \
	X(SADDR, "saddr", TYPE_ADDR, 128, IP_ANY, A)                           \
	X(DADDR, "daddr", TYPE_ADDR, 128, IP_ANY, A)                           \
	X(DSCP, "dscp", TYPE_DSCP, 6, IP_ANY, A)                               \
	X(ECN, "ecn", TYPE_INT, 2, IP_ANY, A)                                  \
	X(TTL, "ttl", TYPE_INT, 8, IP_ANY, A) /* or hop limit; also written hoplimit */ \
	X(FRAGMENT, "fragment", TYPE_BOOL, 1, IP_ANY, A) /* a first or later fragment, not an atomic one */ \
	X(IP_SADDR, "ip saddr", TYPE_ADDR, 32, IP4, A)                         \
	X(IP_DADDR, "ip daddr", TYPE_ADDR, 32, IP4, A)                         \
	X(IP_PROTOCOL, "ip protocol", TYPE_PROTO, 8, IP4, A) /* the header's byte */ \
	X(IP_DSCP, "ip dscp", TYPE_DSCP, 6, IP4, A)                            \
	X(IP_ECN, "ip ecn", TYPE_INT, 2, IP4, A)                               \
	X(IP_TTL, "ip ttl", TYPE_INT, 8, IP4, A)                               \
	X(IP_LENGTH, "ip length", TYPE_INT, 16, IP4, A)                        \
	X(IP_FRAG_OFF, "ip frag-off", TYPE_INT, 16, IP4, A) /* all 16 bits: flags and offset */ \
	X(IP_OPTIONS, "ip options", TYPE_BOOL, 1, IP4, A)                      \
	X(IP6_SADDR, "ip6 saddr", TYPE_ADDR, 128, IP6, A)                      \
	X(IP6_DADDR, "ip6 daddr", TYPE_ADDR, 128, IP6, A)                      \
	X(IP6_NEXTHDR, "ip6 nexthdr", TYPE_PROTO, 8, IP6, A) /* the fixed header's byte */ \
	X(IP6_DSCP, "ip6 dscp", TYPE_DSCP, 6, IP6, A)                          \
	X(IP6_ECN, "ip6 ecn", TYPE_INT, 2, IP6, A)                             \
	X(IP6_HOPLIMIT, "ip6 hoplimit", TYPE_INT, 8, IP6, A)                   \
	X(IP6_LENGTH, "ip6 length", TYPE_INT, 16, IP6, A) /* payload length */ \
	X(IP6_EXTHDR, "ip6 exthdr", TYPE_BOOL, 1, IP6, A) /* any extension header, AH included */ \
	X(FRAG_OFF, "frag frag-off", TYPE_INT, 13, FRAGHDR, A) /* offset of the IPv6 fragment header, in units of 8 bytes */ \
	X(FRAG_MORE, "frag more-fragments", TYPE_INT, 1, FRAGHDR, A)           \
	X(TCP_SPORT, "tcp sport", TYPE_PORT, 16, TCP, A)                       \
	X(TCP_DPORT, "tcp dport", TYPE_PORT, 16, TCP, A)                       \
	X(TCP_FLAGS, "tcp flags", TYPE_TCPFLAGS, 8, TCP, A)                    \
	X(UDP_SPORT, "udp sport", TYPE_PORT, 16, UDP, A)                       \
	X(UDP_DPORT, "udp dport", TYPE_PORT, 16, UDP, A)                       \
	X(SCTP_SPORT, "sctp sport", TYPE_PORT, 16, SCTP, A)                    \
	X(SCTP_DPORT, "sctp dport", TYPE_PORT, 16, SCTP, A)                    \
	X(TH_SPORT, "th sport", TYPE_PORT, 16, PORTS, A) /* tcp, udp or sctp; also written sport */ \
	X(TH_DPORT, "th dport", TYPE_PORT, 16, PORTS, A) /* also written dport */ \
	X(ICMP_TYPE, "icmp type", TYPE_ICMP, 8, ICMP, A)                       \
	X(ICMP_CODE, "icmp code", TYPE_INT, 8, ICMP, A)                        \
	X(ICMPV6_TYPE, "icmpv6 type", TYPE_ICMPV6, 8, ICMPV6, A)               \
	X(ICMPV6_CODE, "icmpv6 code", TYPE_INT, 8, ICMPV6, A)                  \
	X(META_L4PROTO, "meta l4proto", TYPE_PROTO, 8, IP_ANY, A) /* behind extension headers and AH; also written proto, protocol */ \
	X(META_NFPROTO, "meta nfproto", TYPE_NFPROTO, 8, IP_ANY, A)            \
	X(META_LENGTH, "meta length", TYPE_INT, 32, ANY, A) /* bytes behind the link-layer header and tags, padding included */ \
	X(META_MARK, "meta mark", TYPE_MARK, 32, ANY, T)                       \
	X(META_SKUID, "meta skuid", TYPE_USER, 32, SKUID, E)                   \
	X(CT_STATE, "ct state", TYPE_CTSTATE, 3, ANY, A) /* what the flow table says of the packet */ \
	X(IIF, "iif", TYPE_IFACE, 32, ANY, A) /* also iifname, meta iif, meta iifname; egress: of forwarded packets */ \
	X(OIF, "oif", TYPE_IFACE, 32, ANY, E) /* also oifname, meta oif, meta oifname */ \
	X(DEVICE, "device", TYPE_IFACE, 32, ANY, A) /* the device whose hook this is: iif on ingress, oif on egress */
/* clang-format on */

enum field {
#define X(id, words, type, bits, layer, hooks) FIELD_##id,
	FIELDS(X)
#undef X
		FIELD_MAX
};

enum layer {
	LAYER_ANY,
	LAYER_LINK,       /* has an Ethernet header */
	LAYER_LINK_OR_IP, /* every packet: without an Ethernet header the IP version gives the EtherType */
	LAYER_VLAN,       /* has a VLAN tag */
	LAYER_VLAN2,      /* has two */
	LAYER_IP_ANY,
	LAYER_IP4,
	LAYER_IP6,
	LAYER_FRAGHDR, /* IPv6 with a fragment header */
	LAYER_TCP,     /* these five: and the transport header is in this packet (no later fragment) */
	LAYER_UDP,
	LAYER_SCTP,
	LAYER_PORTS,  /* TCP, UDP or SCTP */
	LAYER_ICMP,   /* on IPv4 */
	LAYER_ICMPV6, /* on IPv6 */
	LAYER_SKUID,  /* a full socket on this host owns the packet */
	LAYER_MAX
};

struct field_info {
	const char *words;
	enum value_type type;
	unsigned int bits;
	enum layer layer;
	char hooks; /* I, E, T or A */
};
extern const struct field_info field_info[FIELD_MAX];

/*
 * A value of up to 128 bits, most significant word first: integers, ports and IPv4 addresses in w[0];
 * MACs as w[0] first four bytes, w[1] last two; IPv6 addresses in w[0..3]. Unused words are zero.
 */
struct value {
	uint32_t w[4];
};

struct range {
	uint8_t family;      /* TYPE_ADDR: 4 or 6; else 0 */
	uint8_t prefix_len;  /* written or read as a prefix: its length (32 or 128: one address); 255: a true range */
	struct value lo, hi; /* inclusive; lo == hi: one value */
};

#define CONCAT_MAX 6

/* What is said of one element of a set, in milliseconds; 0: not stated. */
struct element_extra {
	uint64_t timeout_ms;
	uint64_t expires_ms; /* what is left of the timeout, as lists print it */
	uint64_t packets, bytes;
	bool counter;
};

/*
 * Addresses from files, the way a million of them fit: those of one family in order, each once. They come on top of the
 * elements of a set or list.
 */
struct address_range4 {
	uint32_t lo, hi;
};
struct address_range6 {
	uint32_t lo[4], hi[4];
};
struct addresses {
	struct address_range4 *v4;
	struct address_range6 *v6;
	size_t n4, n6;
};

/* One element: a range for each part of the concatenation; n = 1 for ordinary ones. */
struct element {
	struct location loc;
	struct range *part;
	const struct element_extra *extra; /* or NULL */
};

struct set {
	const char *name;
	struct location loc;
	uint8_t n_types;
	enum value_type type[CONCAT_MAX];
	uint32_t size;       /* most elements; 0: not stated */
	bool has_content;    /* the file gives elements (inline, `file` or stdin); false: filled by `weir set` only */
	bool auto_type;      /* the type was inferred */
	bool has_timeout;    /* elements may expire */
	uint64_t timeout_ms; /* of elements that say nothing else; 0: they stay */
	bool has_counter;    /* each element counts its packets */
	struct element *elements; /* inline and from files, in order, duplicates removed */
	size_t n_elements;
	struct addresses addresses; /* more elements, from large files */
	size_t n_duplicates;        /* elements of files that stood there before */
	uint64_t digest;            /* of type, size and elements: equal digests, equal content */
	unsigned int number;        /* index in policy.sets */
	bool used;                  /* a rule names it */
	bool banned;                /* a rule puts addresses into it */
};

/* A condition: the fields, joined, are (or are not) in a set or among the elements. */
struct condition {
	struct location loc;
	uint8_t n_fields; /* more than one: a concatenation */
	enum field field[CONCAT_MAX];
	bool negated;
	bool has_mask; /* (field & mask) is compared; one field only, elements only */
	struct value mask;
	const struct set *set; /* a named set, or NULL: */
	struct element *elements;
	size_t n_elements;
	bool implied; /* nobody wrote it: what a limit or the verdict of the rule needs of a packet */
};

/*
 * `limit rate [over] N/UNIT [burst M packets|bytes] [per KEY] [full over|under]`. With 256e9 * unit / rate as the cost of
 * a packet or byte, in 1/256 ns, that cost is at least 1, burst * cost is below 2^62, and so is the cost of 2^20 bytes.
 * Packets without a field of the key do not get here: implied conditions stand in front of the limit.
 */
struct limit_rate {
	struct location loc;
	bool over;        /* holds for packets beyond the rate, not for those within */
	bool bytes;       /* rate and burst are of bytes */
	bool full_under;  /* a packet for which there is no room to count is within the rate; else beyond it */
	uint64_t rate;    /* per unit, at least 1 */
	uint32_t unit;    /* seconds: 1, 60, 3600, 86400, 604800 */
	uint64_t burst;   /* packets, or bytes (as in nft the rate and what is stated): what a full bucket holds */
	uint8_t n_fields; /* what a bucket is for; 0: one bucket for all packets */
	enum field field[CONCAT_MAX];
	uint8_t prefix4[CONCAT_MAX], prefix6[CONCAT_MAX]; /* of an address: bits of it that count; else 0 */
};

#define LIMIT_BURST     5  /* packets, when not stated */
#define LIMIT_PREFIX4   32 /* and of addresses */
#define LIMIT_PREFIX6   64
#define LIMIT_KEY_WORDS 12 /* an address has four of them, a MAC address two, everything else one */

/* `ban TIME [saddr/24/64] @SET`: the packet's source goes into the set, from the next packet on; what is not IP does not. */
struct ban_statement {
	struct location loc;
	uint64_t timeout_ms;
	uint8_t prefix4, prefix6; /* bits of the source that count */
	const struct set *set;    /* one that set_takes_bans() */
};

#define BAN_PREFIX4 32 /* when not stated: what a limit per saddr counts by */
#define BAN_PREFIX6 64

/*
 * What a reject answers: a TCP reset, or destination unreachable with the code of the packet's family. An implied condition
 * leaves it only the packets that it is for.
 */
enum reject_kind { REJECT_WITH_ICMP, REJECT_WITH_TCP_RESET };
struct reject {
	enum reject_kind kind;
	uint8_t family; /* 4: with icmp, 6: with icmpv6, for such packets only; 0: with icmpx */
	uint8_t code4, code6;
};

/*
 * What a synproxy offers in its SYN-ACK, if the client did. An implied condition leaves it TCP only. The filter tracks, and
 * is on XDP.
 */
struct synproxy {
	struct location loc;
	uint16_t mss;   /* 0: that of Ethernet */
	int8_t scale;   /* -1: no window scaling */
	bool timestamp; /* without it neither scale nor sack is offered */
	bool sack;
};

#define SYNPROXY_MSS_LEAST  88 /* the kernel's least */
#define SYNPROXY_MSS_MOST   65535
#define SYNPROXY_SCALE_MOST 14

enum item_kind { ITEM_CONDITION, ITEM_COUNTER, ITEM_LOG, ITEM_LIMIT, ITEM_BAN };

/* A rule's items are worked through from left to right, as in nft: a condition that fails ends the rule,
 * a counter, a log or a ban behind it has not happened then. */
struct item {
	enum item_kind kind;
	union {
		struct condition condition;
		struct {
			int named; /* number in policy.counters, or -1: the rule's own */
		} counter;
		struct {
			int prefix; /* number in policy.log_prefixes, or -1 */
		} log;
		struct limit_rate limit;
		struct ban_statement ban;
	};
};

struct rule {
	struct location loc;
	struct item *items;
	size_t n_items;
	enum policy_verdict verdict; /* POLICY_NONE: the search goes on */
	unsigned int redirect;       /* number in policy.devices */
	struct reject reject;
	struct synproxy synproxy;
	const char *comment; /* or NULL */
	uint64_t handle;     /* stable: of the filter's name, the canonical text, and which of equal ones */
};

struct filter_device {
	unsigned int device; /* number in policy.devices */
	bool optional;
	struct location loc;
};

/*
 * drop (when not stated): fragments are dropped before any rule. accept: rules judge them (a later fragment has no ports),
 * and a later fragment that no rule decides is accepted. track: rules judge the first one, and what it gets, all get.
 */
enum policy_fragments { FRAGMENTS_DROP, FRAGMENTS_ACCEPT, FRAGMENTS_TRACK };

const char *policy_fragments_word(enum policy_fragments fragments);

struct filter {
	const char *name;
	struct location loc;
	enum policy_hook hook;
	bool generic; /* XDP in the stack's generic hook */
	struct filter_device *devices;
	size_t n_devices;
	enum policy_verdict default_verdict; /* accept or drop */
	enum policy_verdict
		malformed; /* drop (when not stated) or accept, for each malformed packet, before any rule */
	enum policy_fragments fragments;
	bool tracks;        /* packets have a ct state here, and make flows */
	bool implied;       /* stands not in the file: accepts all, for its devices are tracked (track.c) */
	bool rule_counters; /* each rule counts what it decided; `counters off` leaves it to `counter` */
	struct rule *rules;
	size_t n_rules;
	uint64_t handle;
};

/* X(NAME, "protocol", "state", seconds): how long a flow stays without a packet; nft's words, mostly the kernel's times. */
#define FLOW_TIMES(X)                                                                                                  \
	X(TCP_SYN_SENT, "tcp", "syn_sent", 120)                                                                                                              \
	X(TCP_SYN_RECV, "tcp", "syn_recv", 60)                                                                                                              \
	X(TCP_ESTABLISHED, "tcp", "established", 432000)                                                                                                              \
	X(TCP_FIN_WAIT, "tcp", "fin_wait", 120)                                                                                                              \
	X(TCP_CLOSE_WAIT, "tcp", "close_wait", 60)                                                                                                              \
	X(TCP_LAST_ACK, "tcp", "last_ack", 30)                                                                                                              \
	X(TCP_TIME_WAIT, "tcp", "time_wait", 120)                                                                                                              \
	X(TCP_CLOSE, "tcp", "close", 10)                                                                                                              \
	X(UDP_UNREPLIED, "udp", "unreplied", 30)                                                                                                              \
	X(UDP_REPLIED, "udp", "replied", 120)                                                                                                              \
	X(SCTP_UNREPLIED, "sctp", "unreplied", 30)                                                                                                              \
	X(SCTP_REPLIED, "sctp", "replied", 210)                                                                                                              \
	X(ICMP_UNREPLIED, "icmp", "unreplied", 30)                                                                                                              \
	X(ICMP_REPLIED, "icmp", "replied", 30)                                                                                                              \
	X(OTHER_UNREPLIED, "other", "unreplied", 600)                                                                                                              \
	X(OTHER_REPLIED, "other", "replied", 600)

enum flow_time {
#define X(name, protocol, state, seconds) FLOW_TIME_##name,
	FLOW_TIMES(X)
#undef X
		FLOW_TIME_COUNT
};

struct flow_time_info {
	const char *protocol, *state;
	uint32_t seconds; /* when not stated */
};
extern const struct flow_time_info flow_time_info[FLOW_TIME_COUNT];

/* `flows { ... }`: the table behind ct state. */
struct flows {
	struct location loc;      /* file 0: the rules do not say */
	uint32_t size;            /* flows that it is made for; 65536 when not stated */
	enum policy_verdict full; /* drop (when not stated) or accept: what an accepted new flow gets without room */
	uint64_t time_ms[FLOW_TIME_COUNT]; /* each has a value */
};

#define FLOWS_SIZE       65536
#define FLOWS_SIZE_LEAST 1024
#define FLOWS_SIZE_MOST  (1u << 24)

/* What holds when the rules say nothing. */
void flows_default(struct flows *ret);

/*
 * Guards: who on this host may talk to an endpoint; nobody else may. Endpoints of different guards do not overlap.
 */
enum guard_principal_kind { GUARD_ALLOW_USER, GUARD_ALLOW_GROUP, GUARD_ALLOW_CGROUP, GUARD_ALLOW_SERVICE };
enum guard_audit_word { GUARD_WORD_DENIED, GUARD_WORD_ALL, GUARD_WORD_NONE };

/* What counts as a token, bits; the order is that of the data path. */
enum guard_token {
	TOKEN_AWS = 1 << 0,
	TOKEN_GCP = 1 << 1,
	TOKEN_AZURE = 1 << 2,
	TOKEN_ALIBABA = 1 << 3,
	TOKEN_ORACLE = 1 << 4
};

struct guard_target {
	struct location loc;
	const char *provider; /* whose endpoint it is, or NULL: stated by address */
	struct range addr;    /* a prefix; one address mostly */
	uint16_t port;        /* 0: all that goes to the address, whatever it carries */
	unsigned int tokens;  /* enum guard_token */
};

/* `allow user NAME|UID | group NAME|GID | cgroup "/PATH" | service NAME [token required] [path "/PATH"]` */
struct guard_allow {
	struct location loc;
	enum guard_principal_kind kind;
	const char *name; /* as written; of a service with the suffix of its unit */
	uint32_t id;      /* of a user or group */
	bool token;
	const char *path; /* or NULL; with a slash at its end all below it, else this one alone */
};

struct guard_statement {
	const char *name;
	struct location loc;
	struct guard_target *targets;
	size_t n_targets;
	struct guard_allow *allows; /* in the order of the file: their number is their bit */
	size_t n_allows;
	bool forwarded;        /* `forwarded allow`: from these devices, or from all where there are none */
	unsigned int *devices; /* numbers in policy.devices */
	size_t n_devices;
	int deny_errno; /* ECONNREFUSED when not stated */
	enum guard_audit_word audit;
	uint64_t handle; /* stable: of its name */
};

#define GUARD_MOST_ALLOWS  64
#define GUARD_MOST_DEVICES 8
#define GUARD_PATH_MOST    127
#define GUARD_CGROUP_MOST  16  /* names of a cgroup's path */
#define GUARD_NAME_MOST    255 /* bytes of one of them, of a unit, a user or a group */
#define GUARD_ERRNO        ECONNREFUSED

/* The same address and port? Two providers may share them. */
bool guard_target_same(const struct guard_target *a, const struct guard_target *b);

/* As in a rule file. */
const char *guard_principal_word(enum guard_principal_kind kind);
const char *guard_audit_text(enum guard_audit_word audit);
const char *guard_errno_word(int error); /* NULL: none that a guard can answer */
const char *guard_token_word(enum guard_token token);

/* `test` blocks: one packet and what is expected of it. */
struct test_packet {
	enum {
		PACKET_TCP,
		PACKET_UDP,
		PACKET_SCTP,
		PACKET_ICMP,
		PACKET_ICMPV6,
		PACKET_PROTO,
		PACKET_ARP,
		PACKET_ETHER,
		PACKET_HEX
	} kind;
	uint8_t family; /* 4, 6, or 0 where kind says it all */
	struct value saddr, daddr;
	uint16_t sport, dport;
	uint8_t tcp_flags; /* syn when not stated */
	uint8_t icmp_type, icmp_code;
	uint8_t proto;
	uint16_t ether_type;
	struct value smac, dmac; /* zero: made-up locally administered ones */
	int vlan, vlan_inner;    /* -1: none */
	uint8_t ttl;             /* 64 when not stated */
	uint8_t dscp;
	uint32_t length;   /* meta length wanted; 0: as small as it gets */
	uint16_t frag_off; /* as in KEY_FRAG of IPv4: flags and offset; IPv6: offset and more made from it */
	uint32_t mark;
	int64_t skuid; /* -1: no socket */
	int iif;       /* number in policy.devices, or -1 */
	int ct;        /* enum policy_ct: taken as said; -1: what an empty flow table says */
	uint8_t *hex;
	size_t n_hex;
};

struct test {
	const char *name;
	struct location loc;
	unsigned int filter; /* number in policy.filters: the one named, else the only one, else the first on ingress */
	int device;          /* number in policy.devices, or -1: the filter's first */
	struct test_packet packet;
	enum policy_verdict verdict;
	struct location expect_loc;
	/* expect ... by FILTER:LINE | by default | by REASON; none of them: any reason */
	unsigned int by_line;  /* 0: not stated */
	const char *by_file;   /* base name, when stated: by edge.rules:14 */
	const char *by_reason; /* json name of a reason, or NULL */
};

struct source {
	const char *name; /* as opened; "-" is standard input */
	const char *text;
	size_t length;
};

/* Elements of a set in a source, all but the first: of long lists only. */
struct source_gap {
	const char *from, *to;
};

struct policy {
	struct filter *filters;
	size_t n_filters;
	struct set *sets;
	size_t n_sets;
	struct test *tests;
	size_t n_tests;
	struct flows flows;
	struct guard_statement *guards;
	size_t n_guards;
	const char **counters; /* names */
	size_t n_counters;
	const char **log_prefixes;
	size_t n_log_prefixes;
	const char **devices; /* names; each once */
	size_t n_devices;
	const struct source *sources; /* the rule file and its includes, not the element files of sets */
	size_t n_sources;
	struct source_gap *gaps;
	size_t n_gaps;
	struct arena *arena;
	struct lang_private *private; /* the library's own; NULL in a policy made by hand */
};

/* How the library reaches the world: it makes no system call itself. Any member may be NULL. */
struct lang_env {
	void *context;
	/* 0 and a malloc'ed text, or a negative errno. */
	int (*read_file)(void *context, const char *path, char **ret_text, size_t *ret_length);
	/* Paths that match a pattern with * or ?, sorted; malloc'ed array of malloc'ed strings. None: 0 and n = 0. */
	int (*glob)(void *context, const char *pattern, char ***ret_paths, size_t *ret_n);
	int (*lookup_user)(void *context, const char *name, uint32_t *ret_uid);
	int (*lookup_group)(void *context, const char *name, uint32_t *ret_gid);
	/* What a set without a stated type holds when its elements are not at hand (running rules read back): the number
	 * of types, 0: not known. */
	unsigned int (*set_type)(void *context, const char *set, enum value_type types[CONCAT_MAX]);
};

/*
 * Parse and check the rule file `name`, whose text is read through env. All problems go into diag; errors there mean that
 * *ret is left alone and -EINVAL comes back. Warnings do not. -ENOMEM when memory ends.
 */
int policy_parse_file(struct policy **ret, const char *name, const struct lang_env *env, struct diag *diag);
void policy_free(struct policy *policy);

/* A source without what its gaps leave out, line ends apart: a policy of these texts has the same rules. malloc'ed. */
char *policy_source_brief(const struct policy *policy, size_t source, size_t *ret_length);

/* Elements and addresses. */
size_t set_size(const struct set *set);
/* May packets put addresses into it? It must have room for a known number of them, and let them go again. */
bool set_takes_bans(const struct set *set);
void address_range4(const struct address_range4 *address, struct range *ret);
void address_range6(const struct address_range6 *address, struct range *ret);

/* Elements of a set given as text (the command line, a line of a file): "192.0.2.0/24", "192.0.2.1 . tcp . 80".
 * Appends to *elements (malloc'ed; each part array malloc'ed with it, one block per call). origin names the source in errors. */
struct element_list {
	struct element *elements;
	size_t n, capacity;
	struct addresses addresses; /* of a large text */
	struct arena *arena;
};
/* set gives the types. devices named in elements are added to policy.devices of `policy` (its arena). */
int elements_parse(struct element_list *list, struct policy *policy, const struct set *set, const char *origin,
		   const char *text, size_t length, unsigned int column, struct diag *diag);
void element_list_clear(struct element_list *list);

/* Canonical text. Returned strings are malloc'ed; NULL when memory ends. */
char *policy_print(const struct policy *policy); /* a whole file that parses to the same policy */
char *rule_print(const struct policy *policy, const struct rule *rule); /* one rule, without newline */
/*
 * The lines of a guard's block, one statement each, without the newlines; a malloc'ed array of malloc'ed lines, NULL when
 * memory ends. numbers: behind a user's or group's name, as a comment, which one it is.
 */
char **guard_lines(const struct policy *policy, const struct guard_statement *guard, bool numbers, size_t *ret_n);
void guard_lines_free(char **lines, size_t n);
char *guard_target_print(const struct guard_target *target); /* ADDR[/LEN][:PORT] */
/* What stands behind an element, with a blank in front; "" for nothing. */
char *element_extra_print(const struct element_extra *extra);
char *element_print(const struct policy *policy, const struct set *set, const struct range *parts);
const char *policy_location_file(const struct policy *policy, struct location loc); /* base name */
/* A time as in a rule file: 1d2h, 10m, 300ms. */
#define DURATION_MOST 40
void duration_print(uint64_t ms, char ret[DURATION_MOST]);
const char *value_type_name(enum value_type type); /* as in `type addr . proto` */
