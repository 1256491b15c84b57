/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every map: who writes it, who reads it, what happens when it is full, how long it lives.
 *
 * Definitions are weak because each entry file brings them and the linker keeps one. Sizes here are the
 * smallest; the command sets the real ones before it loads.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "reasons.h"

/* The one word (struct control). Writer: apply and set load, one store through mmap. Reader: each packet, once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control __weak SEC(".maps");

/*
 * Two halves: entry generation & 1 is read by packets, the other one is written by the command through
 * mmap. One entry: struct tables_head, nodes, refs (struct config says where). A generation that does
 * not fit gets a larger instance of programs and maps first.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(value_size, sizeof(struct tables_head));
} tables __weak SEC(".maps");

/* Two halves again, for the command alone: the sources of the generation as JSON text, ended by a zero. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(value_size, 4096);
} manifest __weak SEC(".maps");

/* Writer: packets. Reader: show. Numbers are given out by apply; an old number is cleared before it is used again. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct counter);
} counters __weak SEC(".maps");

/* What the counters of an earlier, smaller instance had reached. Writer: apply, when it grows. Reader: show. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct counter);
} counter_base __weak SEC(".maps");

/*
 * Sets that are not in the pool (concatenations, timeouts, counters): slot -> inner map, one outer map a key
 * shape. Writer: apply and `set` (new inner maps go to a free slot, the slot is named by the next generation
 * and emptied once no packet reads it; single elements change in place). Reader: packets, which also count in
 * the values. An inner map that is full refuses the new element (E2BIG).
 */
#define SET_OUTER(name, inner_type, inner_flags, key_type)                                                             \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                              \
		__uint(max_entries, SET_SLOTS);                                                                        \
		__type(key, __u32);                                                                                    \
		__array(                                                                                               \
			values, struct {                                                                               \
				__uint(type, inner_type);                                                              \
				__uint(map_flags, inner_flags);                                                        \
				__uint(max_entries, 1);                                                                \
				__uint(key_size, sizeof(key_type));                                                    \
				__uint(value_size, sizeof(struct set_value));                                          \
			});                                                                                            \
	} name __weak SEC(".maps")

SET_OUTER(set_word, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct set_word_key);
SET_OUTER(set_word_lpm, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct set_word_trie_key);
SET_OUTER(set_quad, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct set_quad_key);
SET_OUTER(set_quad_lpm, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct set_quad_lpm_key);
SET_OUTER(set_tuple, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct set_tuple_key);

/*
 * The rings of sets that packets write to (abi.h: struct ban_line), at the same slots. Writer and reader: packets that
 * ban. Made with the set and gone with it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SET_SLOTS);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP); /* of any size */
			__uint(max_entries, 1);
			__uint(key_size, sizeof(__u32));
			__uint(value_size, sizeof(struct ban_line));
		});
} set_ring __weak SEC(".maps");

/*
 * The pool of lines (abi.h): the tables of sets. Writer: apply and `set`, through mmap. Reader: packets.
 * A region that is full is laid out anew, larger, by a new generation; a pool that is full by a larger instance.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct line);
} lines __weak SEC(".maps");

/*
 * Flows (struct flow): shared by all instances that follow each other. Writer and reader: packets. The command
 * lists them, and ends them by one store to `state`, through mmap. Full: filter_settle().
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_BUCKET);
	__type(key, __u32);
	__type(value, struct flow);
} flows __weak SEC(".maps");

/*
 * The buckets of limits: lines by the hash of a key, in pairs (limit.h). Writer: packets. Full: the packet is on the
 * side that its limit says, and counted. A bucket that is idle is taken by the next key.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct bucket_line);
} buckets __weak SEC(".maps");

/* Verifier: a lock must be a member of the value. One line, then a line each datagram. */
struct datagram_bucket {
	struct bpf_spin_lock lock;      /* of all that follows */
	__u32 expires[DATAGRAM_LANES];  /* ticks, as of flows */
	__u32 redirect[DATAGRAM_LANES]; /* ifindex */
	__u32 pad;
	struct datagram lane[DATAGRAM_LANES];
};
_Static_assert(sizeof(struct datagram_bucket) == DATAGRAM_BUCKET_BYTES, "datagram_bucket");

/*
 * Datagrams whose fragments come (struct datagram): shared by all instances that follow each other. Writer and reader:
 * fragments. Full: a new first fragment is dropped; complete and dropped datagrams make room for others.
 * Mmapable only for its alignment: the kernel refuses to map what has a lock.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct datagram_bucket);
} datagrams __weak SEC(".maps");

/*
 * Guards: two halves as of `tables` (struct guard_tables), turned by the same word. Writer: the command, through mmap.
 * Reader: the guards' programs. Like those programs and the maps below, it is not there where no rule file has a guard.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(value_size, sizeof(struct guard_tables));
} guards __weak SEC(".maps");

/* Verifier: a lock must be a member of the value. */
struct guard_stamp_slot {
	struct bpf_spin_lock lock; /* of all that follows: threads share sockets */
	__u32 pad;
	struct guard_stamp stamp;
};

/* Who connected a socket, or sent from it last (struct guard_stamp). Writer: calls. Reader: packets. Gone with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct guard_stamp_slot);
} guard_stamps __weak SEC(".maps");

/* How often each identity was reported. Writer: the guards' programs. Reader: watch. Full: one entry for all others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GUARD_RATES);
	__type(key, struct guard_rate_key);
	__type(value, struct guard_rate);
} guard_rates __weak SEC(".maps");

/* struct event, struct guard_event. Writer: packets that meet a `log`, guards. Reader: watch. Full: the event is lost and counted. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20); /* the bursts of 50 identities at once, 30 reports each */
} events __weak SEC(".maps");

#define HEADER_BYTES 128 /* an IPv4 header with all options, and 8 bytes more; a power of two */

/*
 * One packet's working memory, a CPU's own. In a map and not on the stack, so that the verifier forgets
 * values between stages and its states merge. No hook interrupts another on the same CPU: all run with
 * bottom halves off.
 */
struct scratch {
	__u32 key[KEY_MAX];
	__u32 length;  /* bytes of the frame */
	__u32 ip;      /* offset of the IP header, or of what else follows the tags */
	__u32 l3;      /* the same; once the IP header is parsed, of the transport header, if that is in the packet */
	__u32 end;     /* offset behind the IP packet: padding does not count */
	__u32 half;    /* generation & 1 */
	__u32 filter;  /* number of the filter */
	__u32 done;    /* a verdict or a failure was met */
	__u32 verdict; /* enum verdict */
	__u32 reason;  /* enum reason */
	__u32 rule;
	__u32 redirect; /* ifindex */
	__u32 hook;     /* enum hook */
	__u32 steps;
	__u32 ifindex;
	__u32 nought; /* always 0, which the verifier does not know */
	__u32 node;   /* of the rule that decided, where `rule` does not say it; else 0 */
	/* of the search for the first rule (search.h, classify.h) */
	__u32 best;          /* lowest rule so far, or RULE_NONE */
	__u32 action;        /* what its program says that it does, or 0: its comparison says it */
	__u32 floor;         /* rules up to here do not count */
	__u32 with_programs; /* 1: a rule that has a program waits in `programs` */
	__u32 eager;         /* reference of the eager rules */
	__u32 fallback;      /* enum verdict */
	__u32 next_found;
	__u32 n_found;
	__u32 n_programs;
	__u32 outside;                /* 1: a number led outside the tables */
	__u32 current;                /* the node that a program is at */
	__u32 counter;                /* of the rule that decided, or COUNTER_NONE */
	__u32 number;                 /* key of a lookup */
	__u32 found[SEARCH_LISTS];    /* where the lists that were left go on */
	__u32 programs[PROGRAMS_MAX]; /* rules whose programs must still say whether they match */
	struct node_quad quad;        /* the IPv6 addresses again */
	__u64 generation;
	/* of the packet's flow (flows.h) */
	struct flow_id id;
	__u32 now;       /* ticks */
	__u32 flow;      /* its line, or FLOW_NONE */
	__u32 flow_home; /* the line where it would be */
	__u32 flow_make; /* enum flow_state of the flow that the packet makes if it is accepted; 0: none */
	__u32 reply;     /* 1: its source is not the flow's origin */
	__u32 seq;       /* TCP, as in the header */
	__u32 seq_end;   /* behind the segment */
	__u32 ack;
	__u32 window;      /* not scaled; ICMP: the identifier */
	__u32 scale;       /* of a SYN, or FLOW_NO_SCALE */
	__u32 flow_evicts; /* 1: the line that flow_pick() found has a flow */
	__u32 cookie;      /* 1: the packet acknowledges a SYN cookie of this host */
	__u32 offered;     /* SYNPROXY_*: options of a SYN */
	__u32 tsval;       /* and its timestamp */
	__u32 n_header;    /* bytes of `header` that flow_read() left: options of a SYN, what an ICMP error quotes */
	/* of a fragment (fragments.h) */
	__u32 fragment_id;    /* identification: of an IPv6 packet, that of the first header that makes it a fragment */
	__u32 fragment_at;    /* offset of what it has of its datagram; 0: it is a fragment in a fragment */
	__u32 fragment_from;  /* units of 8 bytes, in the datagram */
	__u32 fragment_to;    /* behind it */
	__u32 fragment_last;  /* 1: nothing follows */
	__u32 fragment_bad;   /* 1: it can be no part of any datagram */
	__u32 fragment_waits; /* 1: the rules' verdict is to be noted */
	__u32 datagram_bucket;
	__u32 datagram_lane;       /* its own, or DATAGRAM_LANES */
	__u32 datagram_room;       /* the one that a new datagram may take, or DATAGRAM_LANES */
	struct datagram datagram;  /* key and part, for comparing and copying */
	__u8 header[HEADER_BYTES]; /* a copy of a header that is not in the frame's linear part */
	/* of the packet's ban (ban.h) */
	struct ban_line ban;        /* what goes into the set */
	struct set_value ban_value; /* with this value */
	__u32 ban_key[5];           /* as the kernel's maps have the key */
	__u32 pad;
	/* CLOCK_BOOTTIME as of this CPU's latest look at it, and when that was (sets.h) */
	__u64 clock_ns;
	__u64 clock_jiffies;
	__u64 tick_jiffies; /* when `ticks` was read: ticks_now() */
	__u32 ticks;
	__u32 pad3;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch __weak SEC(".maps");

/* What a guard judges: a call, on its stack; or a packet, in its CPU's struct guard_packet. */
struct guard_case {
	__u64 generation;
	__u64 rules;    /* of the guard, that name who sent it */
	__u64 untold;   /* of this identity, before this one */
	__u32 layer;    /* enum guard_layer */
	__u32 family;   /* 4 or 6 */
	__u32 addr[4];  /* where it goes, as in the key */
	__u32 port;     /* or GUARD_NO_PORT */
	__u32 bytes;    /* for the counter */
	__u32 endpoint; /* that it goes to */
	__u32 guard;    /* of the endpoint */
	__u32 identity; /* uid that reports are counted by, or GUARD_RATE_OTHERS */
	__u32 outcome;  /* enum guard_outcome */
	__u32 rule;     /* that allowed it, or RULE_NONE */
	__u32 quiet;    /* 1: what allows it was told before: it is counted, and not told again */
};

/* One packet to an endpoint, with its sender: a CPU's own, as above. */
struct guard_packet {
	struct guard_case judged;
	__u64 sock; /* the kernel's address of it, while it is being read */
	__u64 netns;
	__u32 netns_inode;
	__u32 owner;  /* uid */
	__u32 kernel; /* 1: it is a socket of the kernel's own */
	__u32 has;    /* GUARD_HAS_* */
	struct guard_stamp stamp;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_packet);
} guard_packets __weak SEC(".maps");

/* An answer of `reject` while it is being written (answer.h): a CPU's own, as above. */
struct answer {
	__u32 link_bytes;  /* of `link`; 0: frames start with the IP header */
	__u32 bytes;       /* of `packet` */
	__u8 link[24];     /* Ethernet header and tags */
	__u64 packet[160]; /* the IP packet, zero behind its end */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer);
} answer_buffer __weak SEC(".maps");

#define HTTP_HEAD_MOST 2048 /* bytes of a request's head; a power of two */
#define HTTP_TEXT_MOST 48   /* bytes that any text which the scanner looks for may have */

/* A request to a guarded endpoint while it is being read (guard_http.h): a CPU's own, as above. */
struct guard_request {
	/* in */
	__u32 tokens; /* GUARD_TOKEN_*: what counts as a token */
	/* out */
	__u32 result; /* enum guard_http_result */
	__u32 n_method;
	__u32 n_path;   /* bytes of the path as it was sent, also if `path` has only its beginning; 0: not known */
	__u32 odd_path; /* 1: a server may take the path for another one; no rule names it */
	__u32 session;  /* 1: it asks for a session token, which rules for paths let pass */
	char method[8]; /* zero behind its end, as the path */
	char path[GUARD_PATH];
	/* of the scanner */
	__u32 state;
	__u32 from; /* of the text that is being read */
	__u32 to;   /* behind it */
	__u32 verb; /* enum http_verb */
	__u32 header;
	__u32 seen;      /* bit of each enum http_header */
	__u32 good;      /* of those, the ones with a value that they should have */
	__u32 data;      /* offset of the head in the frame */
	__u32 path_from; /* in the head */
	__u8 head[HTTP_HEAD_MOST + HTTP_TEXT_MOST];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_request);
} guard_request __weak SEC(".maps");

/*
 * The key of an array as a whole stack slot. Verifier: a slot that is written in part keeps what it held before
 * alive, and states that differ only there do not merge.
 */
static __always_inline __u64 array_key(__u32 number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return (__u64)number << 32;
#else
	return number;
#endif
}

static __always_inline const struct line *pool_line(__u32 number)
{
	__u64 key = array_key(number);

	return bpf_map_lookup_elem(&lines, &key);
}

const volatile struct config cfg __weak = {};
struct trace trace __weak;

/* The time up to which the answers that were sent have been paid for (answer.h). Written and read by packets on all CPUs. */
__u64 answers_paid __weak;

/* The packet's scratch and half again, in a function that cannot be given them. false: not there (never). */
static __always_inline bool packet_memory(struct scratch **s, const void **half)
{
	__u64 zero = 0, number;

	*s = bpf_map_lookup_elem(&scratch, &zero);
	if (!*s)
		return false;
	number = array_key((*s)->half);
	*half = bpf_map_lookup_elem(&tables, &number);
	return *half;
}

/* Verifier: unknown again, so that the paths through one round of a loop meet at the next. */
static __always_inline __u64 forget(const struct scratch *s, __u64 value, const __u64 mask)
{
	__u64 nought = *(const volatile __u32 *)&s->nought;

	asm volatile("%0 ^= %1" : "+r"(value) : "r"(nought));
	return value & mask;
}

/* 1 where a < b, both below 1 << 63. Hidden from clang, which would make it a branch. */
static __always_inline __u64 below(__u64 a, __u64 b)
{
	a -= b;
	barrier_var(a);
	a >>= 63;
	barrier_var(a);
	return a;
}

/* The inner map of a slot; a rule that names an empty slot must not decide anything. */
#define SET_INNER(outer, slot)                                                                                         \
	({                                                                                                             \
		__u32 slot_ = (slot);                                                                                  \
		bpf_map_lookup_elem(&(outer), &slot_);                                                                 \
	})

/* CLOCK_MONOTONIC in ticks, of flows and datagrams. The clock takes 13 ns, the number of the jiffy none; ticks are longer than jiffies. */
static __always_inline __u32 ticks_now(struct scratch *s)
{
	__u64 jiffies = bpf_jiffies64();

	if (cfg.trace)
		return trace.now_ns >> FLOW_TICK;
	if (s->tick_jiffies != jiffies) {
		s->ticks = bpf_ktime_get_coarse_ns() >> FLOW_TICK;
		s->tick_jiffies = jiffies;
	}
	return s->ticks;
}

/*
 * One more word of a key, times a secret number of its own: who does not know the seed cannot choose two keys that are
 * more likely to meet than any others. *secret begins as cfg.seed; mix what comes out.
 */
static __always_inline __u64 secret_hash(__u64 hash, __u64 *secret, __u32 word)
{
	*secret += 0x9e3779b97f4a7c15u;
	return hash + node_mix(*secret) * word;
}
