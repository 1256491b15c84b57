/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Each outcome of a packet: its name and its sentence for people. Written once: the enum, the counters,
 * the JSON names and the table in the man page come from here.
 *
 * X(NAME, "json-name", kind, "sentence")
 * kind: R decided by the rule file, M malformed (the filter's `malformed` policy), F fail closed (drop)
 */
#pragma once

#define REASONS(X)                                                                                                     \
	X(RULE, "rule", R, "a rule decided")                                                                                                              \
	X(DEFAULT, "default", R, "no rule decided; the filter's default")                                                                                                              \
	X(FRAGMENT, "fragment", R, "a fragment; the filter's fragments policy")                                                                                                              \
	X(UNBOUND, "unbound", R, "the device has no filter on this hook")                                                                                                              \
	X(TRUNCATED, "truncated", M, "the frame ends inside a header")                                                                                                              \
	X(TOO_MANY_TAGS, "too-many-tags", M, "more than two VLAN tags")                                                                                                              \
	X(BAD_VERSION, "bad-version", M, "the IP version is not the EtherType's")                                                                                                              \
	X(BAD_IHL, "bad-ihl", M, "the IPv4 header length is below 20 bytes or beyond the packet")                                                                                                              \
	X(BAD_LENGTH, "bad-length", M, "the IP length is below the header's or beyond the frame")                                                                                                              \
	X(BAD_DOFF, "bad-doff", M, "the TCP header length is below 20 bytes or beyond the packet")                                                                                                              \
	X(TINY_FRAGMENT, "tiny-fragment", M, "a first fragment that ends inside the transport header")                                                                                                              \
	X(FRAGMENT_OFFSET, "fragment-offset", M, "an IPv4 fragment at offset 1, over the first one's flags")                                                                                                              \
	X(CHAIN_END, "chain-end", M, "the extension headers run off the end of the packet")                                                                                                              \
	X(CHAIN_LENGTH, "chain-length", M, "more extension headers than weir follows")                                                                                                              \
	X(STEPS, "steps", F, "the rules took more steps than a packet has")                                                                                                              \
	X(TABLE, "table", F, "an index pointed outside the tables")                                                                                                              \
	X(SET_MISSING, "set-missing", F, "a set that a rule names is not loaded")                                                                                                              \
	X(FLOWS_FULL, "flows-full", R, "a rule accepted a new flow, and the flow table has no room for it")                                                                                                              \
	X(BAD_FRAGMENT, "bad-fragment", F, "a fragment that is empty, of an odd length, too far, or in another one")                                                                                                              \
	X(FRAGMENT_EARLY, "fragment-early", F, "a later fragment came before its first one")                                                                                                              \
	X(FRAGMENT_OVERLAP, "fragment-overlap", F, "a fragment overlaps its datagram's others or its end, or came twice")                                                                                                              \
	X(FRAGMENT_GAPS, "fragment-gaps", F, "a fragment comes while its datagram has too many gaps")                                                                                                              \
	X(FRAGMENTS_FULL, "fragments-full", F, "no room to note what later fragments should get")                                                                                                              \
	X(SYNPROXY_COOKIE, "synproxy-cookie", R, "a synproxy rule met what is no SYN, of no flow, and without a right cookie")

enum reason {
#define X(name, json, kind, text) REASON_##name,
	REASONS(X)
#undef X
		REASON_MAX
};

/* Reasons of kind M, one bit each. */
#define REASON_KIND_R 0u
#define REASON_KIND_M 1u
#define REASON_KIND_F 0u
enum reasons_malformed {
#define X(name, json, kind, text) | REASON_KIND_##kind << REASON_##name
	REASONS_MALFORMED = 0 REASONS(X)
#undef X
	};

_Static_assert((int)REASON_MAX <= 31, "a bit a reason");
