/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of hostile and odd frames: what we believe of each, and what every hook must say.
 *
 * Five guards judge. `open` lets all pass but tcp/22. `closed` lets nothing pass but tcp/80. `strict` is `open` with
 * fragments refused, `lenient` is `open` with malformed frames let through, and so does
 * `track`, whose fragments follow their first one; each row is the first packet of all (t-datagrams has more).
 */
#pragma once

#include "frame.h"
#include "../../bpf/reasons.h"
#include "../lang/policy.h"

/* clang-format off */
#define ON_HOOK(name, hook, rules) \
	"filter " #name "_" hook "\n\tdevice " #name "\n" rules "}\n"
#define ON_HOOKS(name, rules)                              \
	ON_HOOK(name, "xdp {\n\thook ingress", rules)      \
	ON_HOOK(name, "tc {\n\thook ingress tc", rules)    \
	ON_HOOK(name, "out {\n\thook egress", rules)

static const char frame_rules[] =
	ON_HOOKS(open, "\tmalformed drop\n\tfragments accept\n\tdefault accept\n\ttcp dport 22 drop\n")
	ON_HOOKS(closed, "\tmalformed drop\n\tfragments drop\n\tdefault drop\n\ttcp dport 80 accept\n")
	ON_HOOKS(strict, "\tdefault accept\n\ttcp dport 22 drop\n")
	ON_HOOKS(lenient, "\tmalformed accept\n\tfragments accept\n\tdefault accept\n\ttcp dport 22 drop\n")
	ON_HOOKS(track, "\tmalformed accept\n\tfragments track\n\tdefault accept\n\ttcp dport 22 drop\n");

struct frame_row {
	const char *belief;
	struct frame_spec frame;
	const char *verdict; /* "DROP" or "ACCEPT" */
	const char *reason;  /* as the enum spells it */
};

#define DROP   "DROP"
#define ACCEPT "ACCEPT"

#define SSH4(...)  { .family = 4, .dport = 22, ##__VA_ARGS__ }
#define SSH6(...)  { .family = 6, .dport = 22, ##__VA_ARGS__ }
#define WEB4(...)  { .family = 4, .dport = 80, ##__VA_ARGS__ }
#define WEB6(...)  { .family = 6, .dport = 80, ##__VA_ARGS__ }
#define UDP4(...)  { .family = 4, .proto = 17, ##__VA_ARGS__ }
#define UDP6(...)  { .family = 6, .proto = 17, ##__VA_ARGS__ }
#define SCTP4(...) { .family = 4, .proto = 132, ##__VA_ARGS__ }
#define PING4(...) { .family = 4, .proto = 1, .type = 8, ##__VA_ARGS__ }
#define PING6(...) { .family = 6, .proto = 58, .type = 128, ##__VA_ARGS__ }
#define ETHER(...) { .family = -1, ##__VA_ARGS__ }
#define TAGS(...)  .tag = { __VA_ARGS__ }
#define EXTS(...)  .ext = { __VA_ARGS__ }
#define LIE(...)   .pokes = { __VA_ARGS__ }
#define Q(id)      { 0x8100, id }
#define AD(id)     { 0x88a8, id }
#define HOP        { EXT_HOP }
#define ROUTING    { EXT_ROUTING }
#define DEST       { EXT_DESTINATION }
#define MOBILITY   { EXT_MOBILITY }
#define AH         { EXT_AH, .length = 4 }
#define FRAG(field) { EXT_FRAGMENT, .frag = (field) }
#define MORE       1
#define OFFSET(n)  ((n) << 3)

static const struct frame_row rows_open[] = {
	/* what the rule is about, plainly */
	{ "tcp/22 over IPv4 is dropped",                       SSH4(),                                     DROP,   "RULE" },
	{ "tcp/22 over IPv6 is dropped",                       SSH6(),                                     DROP,   "RULE" },
	{ "tcp/23 is not tcp/22",                              { .dport = 23 },                            ACCEPT, "DEFAULT" },
	{ "a source port of 22 is not a destination port",     { .sport = 22, .dport = 23 },               ACCEPT, "DEFAULT" },
	{ "udp/22 is not tcp/22",                              UDP4(.dport = 22),                          ACCEPT, "DEFAULT" },
	{ "udp/22 over IPv6 is not tcp/22",                    UDP6(.dport = 22),                          ACCEPT, "DEFAULT" },
	{ "sctp/22 is not tcp/22",                             SCTP4(.dport = 22),                         ACCEPT, "DEFAULT" },

	/* disguises of tcp/22: none gets through */
	{ "a VLAN tag does not hide the port",                 SSH4(TAGS(Q(7))),                           DROP,   "RULE" },
	{ "a VLAN tag does not hide the port of IPv6",         SSH6(TAGS(Q(7))),                           DROP,   "RULE" },
	{ "a priority tag (id 0) does not hide the port",      SSH4(TAGS(Q(0xe000))),                      DROP,   "RULE" },
	{ "a service tag alone does not hide the port",        SSH4(TAGS(AD(7))),                          DROP,   "RULE" },
	{ "QinQ does not hide the port",                       SSH4(TAGS(AD(7), Q(8))),                    DROP,   "RULE" },
	{ "QinQ does not hide the port of IPv6",               SSH6(TAGS(AD(7), Q(8))),                    DROP,   "RULE" },
	{ "two 802.1Q tags do not hide the port",              SSH4(TAGS(Q(7), Q(8))),                     DROP,   "RULE" },
	{ "one word of IPv4 options does not hide the port",   SSH4(.options = 1),                         DROP,   "RULE" },
	{ "ten words of IPv4 options do not hide the port",    SSH4(.options = 10),                        DROP,   "RULE" },
	{ "AH on IPv4 does not hide the port",                 SSH4(EXTS(AH)),                             DROP,   "RULE" },
	{ "two AH on IPv4 do not hide the port",               SSH4(EXTS(AH, AH)),                         DROP,   "RULE" },
	{ "AH behind IPv4 options does not hide the port",     SSH4(.options = 2, EXTS(AH)),               DROP,   "RULE" },
	{ "AH on IPv6 does not hide the port",                 SSH6(EXTS(AH)),                             DROP,   "RULE" },
	{ "the shortest AH (8 bytes) does not hide the port",  SSH6(EXTS({ EXT_AH })),                     DROP,   "RULE" },
	{ "the longest AH does not hide the port",             SSH6(EXTS({ EXT_AH, 255 })),                DROP,   "RULE" },
	{ "a hop-by-hop header does not hide the port",        SSH6(EXTS(HOP)),                            DROP,   "RULE" },
	{ "a long hop-by-hop header does not hide the port",   SSH6(EXTS({ EXT_HOP, 255 })),               DROP,   "RULE" },
	{ "a routing header does not hide the port",           SSH6(EXTS(ROUTING)),                        DROP,   "RULE" },
	{ "destination options do not hide the port",          SSH6(EXTS(DEST)),                           DROP,   "RULE" },
	{ "a mobility header does not hide the port",          SSH6(EXTS(MOBILITY)),                       DROP,   "RULE" },
	{ "a host identity header does not hide the port",     SSH6(EXTS({ EXT_HIP })),                    DROP,   "RULE" },
	{ "a shim6 header does not hide the port",             SSH6(EXTS({ EXT_SHIM6 })),                  DROP,   "RULE" },
	{ "an atomic fragment does not hide the port",         SSH6(EXTS(FRAG(0))),                        DROP,   "RULE" },
	{ "its reserved byte is no length",                    SSH6(EXTS({ EXT_FRAGMENT, .reserved = 9 })), DROP,  "RULE" },
	{ "its reserved byte is no length (255)",              SSH6(EXTS({ EXT_FRAGMENT, .reserved = 255 })), DROP, "RULE" },
	{ "its reserved bits make no fragment",                SSH6(EXTS(FRAG(6))),                        DROP,   "RULE" },
	{ "two atomic fragment headers do not hide the port",  SSH6(EXTS(FRAG(0), FRAG(0))),               DROP,   "RULE" },
	{ "a whole chain does not hide the port",              SSH6(EXTS(HOP, DEST, ROUTING, FRAG(0), AH, DEST, MOBILITY)), DROP, "RULE" },
	{ "headers in a wrong order do not hide the port",     SSH6(EXTS(DEST, HOP, HOP)),                 DROP,   "RULE" },
	{ "a chain behind QinQ does not hide the port",        SSH6(TAGS(AD(1), Q(2)), EXTS(HOP, DEST)),   DROP,   "RULE" },
	{ "a first fragment has its port",                     SSH4(.more = true, .payload = 8),           DROP,   "RULE" },
	{ "a first fragment with options has its port",        SSH4(.more = true, .options = 3),           DROP,   "RULE" },
	{ "a first fragment with AH has its port",             SSH4(.more = true, EXTS(AH)),               DROP,   "RULE" },
	{ "a first fragment of IPv6 has its port",             SSH6(EXTS(FRAG(MORE))),                     DROP,   "RULE" },
	{ "also behind other headers",                         SSH6(EXTS(HOP, FRAG(MORE), DEST)),          DROP,   "RULE" },
	{ "also with a reserved byte",                         SSH6(EXTS({ EXT_FRAGMENT, .frag = MORE, .reserved = 77 })), DROP, "RULE" },
	{ "padding does not hide the port",                    SSH4(.pad = 6),                             DROP,   "RULE" },
	{ "much padding does not hide the port",               SSH6(.pad = 900),                           DROP,   "RULE" },
	{ "a jumbo frame does not hide the port",              SSH4(.payload = 8900),                      DROP,   "RULE" },
	{ "a jumbo frame of IPv6 does not hide the port",      SSH6(.payload = 8900),                      DROP,   "RULE" },
	{ "a jumbo frame with tags and a chain does not",      SSH6(TAGS(AD(1), Q(2)), EXTS(HOP, DEST), .payload = 8800), DROP, "RULE" },
	{ "a header far into the frame does not hide the port", SSH6(EXTS({ EXT_HOP, 255 }, { EXT_DESTINATION, 99 })), DROP, "RULE" },
	{ "no flag hides the port",                            SSH4(.flags = 0xff),                        DROP,   "RULE" },
	{ "tcp options do not hide the port",                  SSH4(.tcp_options = 10),                    DROP,   "RULE" },
	{ "the dont-fragment bit does not hide the port",      SSH4(.dont = true),                         DROP,   "RULE" },
	{ "the reserved bit of IPv4 does not hide the port",   SSH4(LIE({ L3, 6, 2, 0x8000 })),            DROP,   "RULE" },
	{ "a wrong IPv4 checksum does not hide the port",      SSH4(LIE({ L3, 10, 2, 0xdead })),           DROP,   "RULE" },
	{ "a ttl of 0 does not hide the port",                 SSH4(LIE({ L3, 8, 1, 0 })),                 DROP,   "RULE" },

	/* what looks like tcp/22 and is not */
	{ "a later fragment has no port, whatever it looks like", SSH4(.frag_offset = 2, .more = true),    ACCEPT, "FRAGMENT" },
	{ "a last fragment has no port",                       SSH4(.frag_offset = 185),                   ACCEPT, "FRAGMENT" },
	{ "the highest offset is a later fragment",            SSH4(.frag_offset = 0x1fff),                ACCEPT, "FRAGMENT" },
	{ "a later fragment of AH is not followed",            SSH4(.frag_offset = 4, EXTS(AH)),           ACCEPT, "FRAGMENT" },
	{ "a later fragment of IPv6 has no port",              SSH6(EXTS(FRAG(OFFSET(2) | MORE))),         ACCEPT, "FRAGMENT" },
	{ "a last fragment of IPv6 has no port",               SSH6(EXTS(FRAG(OFFSET(2)))),                ACCEPT, "FRAGMENT" },
	{ "offset 1 of IPv6 is a later fragment",              SSH6(EXTS(FRAG(OFFSET(1)))),                ACCEPT, "FRAGMENT" },
	{ "a later fragment behind a chain has no port",       SSH6(EXTS(HOP, DEST, FRAG(OFFSET(9)))),     ACCEPT, "FRAGMENT" },
	{ "what follows a later fragment header is payload",   SSH6(EXTS(FRAG(OFFSET(9)), HOP, DEST)),     ACCEPT, "FRAGMENT" },
	{ "an atomic header behind a later one is payload",    SSH6(EXTS(FRAG(OFFSET(9)), FRAG(0))),       ACCEPT, "FRAGMENT" },
	{ "a later fragment may be of any size",               SSH4(.frag_offset = 2, .short_by = 20),     ACCEPT, "FRAGMENT" },
	{ "a later fragment of IPv6 may be of any size",       SSH6(EXTS(FRAG(OFFSET(2))), .short_by = 20), ACCEPT, "FRAGMENT" },
	{ "ESP is not looked into",                            { .proto = 50, .payload = 40 },             ACCEPT, "DEFAULT" },
	{ "ESP on IPv6 is not looked into",                    { .family = 6, .proto = 50, .payload = 40 }, ACCEPT, "DEFAULT" },
	{ "ESP behind AH is not looked into",                  { EXTS(AH), .proto = 50, .payload = 40 },   ACCEPT, "DEFAULT" },
	{ "no next header: what follows is nothing",           { .family = 6, .proto = 59, .payload = 20 }, ACCEPT, "DEFAULT" },
	{ "GRE has no ports",                                  { .proto = 47, .payload = 40 },             ACCEPT, "DEFAULT" },
	{ "IP in IP is not looked into",                       { .proto = 4, .payload = 40 },              ACCEPT, "DEFAULT" },
	{ "on IPv4 a hop-by-hop number is just a protocol",    SSH4(.proto = -1, .payload = 40),           ACCEPT, "DEFAULT" },
	{ "on IPv4 a routing header is just a protocol",       { .proto = 43, .payload = 40 },             ACCEPT, "DEFAULT" },
	{ "on IPv4 a fragment header is just a protocol",      { .proto = 44, .payload = 40 },             ACCEPT, "DEFAULT" },
	{ "DCCP has no ports that weir reads",                 { .proto = 33, .payload = 40 },             ACCEPT, "DEFAULT" },

	/* not IP: the default */
	{ "ARP is judged by the default",                      ETHER(.etype = 0x0806, .payload = 28),      ACCEPT, "DEFAULT" },
	{ "ARP in a VLAN too",                                 ETHER(TAGS(Q(3)), .etype = 0x0806, .payload = 28), ACCEPT, "DEFAULT" },
	{ "an empty ARP frame is not malformed",               ETHER(.etype = 0x0806),                     ACCEPT, "DEFAULT" },
	{ "neighbour solicitation is ICMPv6",                  { .family = 6, .proto = 58, .type = 135, .payload = 24 }, ACCEPT, "DEFAULT" },
	{ "an LLC frame has a length for an EtherType",        ETHER(.etype = 38, .payload = 46),          ACCEPT, "DEFAULT" },
	{ "an LLC length of 0x0600 - 1 is no EtherType",       ETHER(.etype = 0x05ff, .payload = 46),      ACCEPT, "DEFAULT" },
	{ "LLDP passes by the default",                        ETHER(.etype = 0x88cc, .payload = 46),      ACCEPT, "DEFAULT" },
	{ "MPLS is not looked into",                           ETHER(.etype = 0x8847, .payload = 60),      ACCEPT, "DEFAULT" },
	{ "PPPoE is not looked into",                          ETHER(.etype = 0x8864, .payload = 60),      ACCEPT, "DEFAULT" },
	{ "0x9100 is not a tag that weir follows",             ETHER(.etype = 0x9100, .payload = 60),      ACCEPT, "DEFAULT" },
	{ "a frame of an Ethernet header alone is a frame",    ETHER(.etype = 0x88cc),                     ACCEPT, "DEFAULT" },
	{ "a tagged frame may end behind the tag",             ETHER(TAGS(Q(3)), .etype = 0x88cc),         ACCEPT, "DEFAULT" },

	/* truncated: one byte less than the header */
	{ "one byte is no frame",                              SSH4(.cut_to = 1),                          DROP,   "TRUNCATED" },
	{ "six bytes are no frame",                            SSH4(.cut_to = 6),                          DROP,   "TRUNCATED" },
	{ "12 bytes are no frame",                             SSH4(.cut_to = 12),                         DROP,   "TRUNCATED" },
	{ "13 bytes are no frame",                             SSH4(.cut_to = 13),                         DROP,   "TRUNCATED" },
	{ "13 bytes are no frame, IP or not",                  ETHER(.etype = 0x88cc, .cut_to = 13),       DROP,   "TRUNCATED" },
	{ "an IPv4 frame without IPv4",                        SSH4(.cut_to = 14),                         DROP,   "TRUNCATED" },
	{ "an IPv6 frame without IPv6",                        SSH6(.cut_to = 14),                         DROP,   "TRUNCATED" },
	{ "a tag of 3 bytes is cut",                           SSH4(TAGS(Q(7)), .cut_to = 17),             DROP,   "TRUNCATED" },
	{ "a tag of 0 bytes is cut",                           SSH4(TAGS(Q(7)), .cut_to = 14),             DROP,   "TRUNCATED" },
	{ "an inner tag of 3 bytes is cut",                    SSH4(TAGS(AD(7), Q(8)), .cut_to = 21),      DROP,   "TRUNCATED" },
	{ "a third tag of 3 bytes is cut",                     SSH4(TAGS(Q(7), Q(8), Q(9)), .cut_to = 25), DROP,   "TRUNCATED" },
	{ "19 bytes of IPv4",                                  SSH4(.cut_to = 33),                         DROP,   "TRUNCATED" },
	{ "39 bytes of IPv6",                                  SSH6(.cut_to = 53),                         DROP,   "TRUNCATED" },
	{ "an IPv4 packet of a header alone, of TCP",          SSH4(.short_by = 20),                       DROP,   "TRUNCATED" },
	{ "19 bytes of TCP",                                   SSH4(.short_by = 1),                        DROP,   "TRUNCATED" },
	{ "19 bytes of TCP over IPv6",                         SSH6(.short_by = 1),                        DROP,   "TRUNCATED" },
	{ "padding does not make up for 19 bytes of TCP",      SSH4(.short_by = 1, .pad = 20),             DROP,   "TRUNCATED" },
	{ "7 bytes of UDP",                                    UDP4(.short_by = 1),                        DROP,   "TRUNCATED" },
	{ "8 bytes of UDP are enough",                         UDP4(.dport = 22),                          ACCEPT, "DEFAULT" },
	{ "7 bytes of UDP over IPv6",                          UDP6(.short_by = 1),                        DROP,   "TRUNCATED" },
	{ "11 bytes of SCTP",                                  SCTP4(.short_by = 1),                       DROP,   "TRUNCATED" },
	{ "12 bytes of SCTP are enough",                       SCTP4(.dport = 22),                         ACCEPT, "DEFAULT" },
	{ "7 bytes of ICMP",                                   PING4(.short_by = 1),                       DROP,   "TRUNCATED" },
	{ "8 bytes of ICMP are enough",                        PING4(),                                    ACCEPT, "DEFAULT" },
	{ "7 bytes of ICMPv6",                                 PING6(.short_by = 1),                       DROP,   "TRUNCATED" },
	{ "8 bytes of ICMPv6 are enough",                      PING6(),                                    ACCEPT, "DEFAULT" },
	{ "19 bytes of TCP behind AH",                         SSH4(EXTS(AH), .short_by = 1),              DROP,   "TRUNCATED" },
	{ "19 bytes of TCP behind an atomic fragment header",  SSH6(EXTS(FRAG(0)), .short_by = 1),         DROP,   "TRUNCATED" },
	{ "ICMPv6 on IPv4 must be whole too",                  { .proto = 58, .short_by = 1 },             DROP,   "TRUNCATED" },

	/* tags */
	{ "a third tag is one too many",                       SSH4(TAGS(Q(7), Q(8), Q(9))),               DROP,   "TOO_MANY_TAGS" },
	{ "a third tag of 802.1ad too",                        SSH6(TAGS(AD(7), AD(8), AD(9))),            DROP,   "TOO_MANY_TAGS" },
	{ "four tags",                                         SSH4(TAGS(Q(7), Q(8), Q(9), Q(10))),        DROP,   "TOO_MANY_TAGS" },
	{ "three tags on what is not IP",                      ETHER(TAGS(Q(7), Q(8), Q(9)), .etype = 0x0806, .payload = 28), DROP, "TOO_MANY_TAGS" },

	/* version */
	{ "version 6 in an IPv4 frame",                        SSH4(LIE({ L3, 0, 1, 0x65 })),              DROP,   "BAD_VERSION" },
	{ "version 0 in an IPv4 frame",                        SSH4(LIE({ L3, 0, 1, 0x05 })),              DROP,   "BAD_VERSION" },
	{ "version 5 in an IPv4 frame",                        SSH4(LIE({ L3, 0, 1, 0x55 })),              DROP,   "BAD_VERSION" },
	{ "version 4 in an IPv6 frame",                        SSH6(LIE({ L3, 0, 1, 0x45 })),              DROP,   "BAD_VERSION" },
	{ "version 7 in an IPv6 frame",                        SSH6(LIE({ L3, 0, 1, 0x70 })),              DROP,   "BAD_VERSION" },
	{ "an IPv6 packet in an IPv4 frame",                   SSH6(.etype = 0x0800),                      DROP,   "BAD_VERSION" },
	{ "an IPv4 packet in an IPv6 frame",                   SSH4(.etype = 0x86dd),                      DROP,   "BAD_VERSION" },
	{ "the version goes before the header length",         SSH4(LIE({ L3, 0, 1, 0x60 })),              DROP,   "BAD_VERSION" },

	/* IPv4 header length */
	{ "a four-word IPv4 header",                           SSH4(LIE({ L3, 0, 1, 0x44 })),              DROP,   "BAD_IHL" },
	{ "an IPv4 header of no words",                        SSH4(LIE({ L3, 0, 1, 0x40 })),              DROP,   "BAD_IHL" },
	{ "a 15-word header in 59 bytes",                      { .proto = 99, .payload = 39, LIE({ L3, 0, 1, 0x4f }) }, DROP, "BAD_IHL" },
	{ "a 15-word header in 60 bytes",                      { .proto = 99, .payload = 40, LIE({ L3, 0, 1, 0x4f }) }, ACCEPT, "DEFAULT" },
	{ "a six-word header that was five: TCP begins later", SSH4(.payload = 4, LIE({ L3, 0, 1, 0x46 })), DROP,  "BAD_DOFF" },
	{ "a five-word header that was six: options are TCP",  SSH4(.options = 1, LIE({ L3, 0, 1, 0x45 })), DROP,  "BAD_DOFF" },

	/* IP length */
	{ "a total length below the header",                   SSH4(LIE({ L3, 2, 2, 19 })),                DROP,   "BAD_LENGTH" },
	{ "a total length of the header alone",                { .proto = 99, .payload = 9, LIE({ L3, 2, 2, 20 }) }, ACCEPT, "DEFAULT" },
	{ "a total length of the header alone, of TCP",        SSH4(LIE({ L3, 2, 2, 20 })),                DROP,   "TRUNCATED" },
	{ "a total length that ends inside TCP",               SSH4(LIE({ L3, 2, 2, 39 })),                DROP,   "TRUNCATED" },
	{ "a total length below the options",                  SSH4(.options = 2, LIE({ L3, 2, 2, 27 })),  DROP,   "BAD_LENGTH" },
	{ "a total length one byte beyond the frame",          SSH4(LIE({ L3, 2, 2, 41 })),                DROP,   "BAD_LENGTH" },
	{ "a total length far beyond the frame",               SSH4(LIE({ L3, 2, 2, 0xffff })),            DROP,   "BAD_LENGTH" },
	{ "a frame that lost its last byte",                   SSH4(.cut_by = 1),                          DROP,   "BAD_LENGTH" },
	{ "an IPv4 header alone, that speaks of more",         SSH4(.cut_to = 34),                         DROP,   "BAD_LENGTH" },
	{ "a total length of 0",                               SSH4(LIE({ L3, 2, 2, 0 })),                 DROP,   "BAD_LENGTH" },
	{ "a total length of 0 in 65535 bytes",                SSH4(.beyond = 65535 - 40, LIE({ L3, 2, 2, 0 })), DROP, "BAD_LENGTH" },
	{ "a total length of 0 in 65536 bytes is BIG TCP",     SSH4(.beyond = 65536 - 40, LIE({ L3, 2, 2, 0 })), DROP, "RULE" },
	{ "a payload length one byte beyond the frame",        SSH6(LIE({ L3, 4, 2, 21 })),                DROP,   "BAD_LENGTH" },
	{ "a payload length far beyond the frame",             SSH6(LIE({ L3, 4, 2, 0xffff })),            DROP,   "BAD_LENGTH" },
	{ "an IPv6 frame that lost its last byte",             SSH6(.cut_by = 1),                          DROP,   "BAD_LENGTH" },
	{ "an IPv6 header alone, that speaks of more",         SSH6(.cut_to = 54),                         DROP,   "BAD_LENGTH" },
	{ "a payload length that ends inside TCP",             SSH6(LIE({ L3, 4, 2, 19 })),                DROP,   "TRUNCATED" },
	{ "a payload length of 0, of TCP",                     SSH6(LIE({ L3, 4, 2, 0 })),                 DROP,   "TRUNCATED" },
	{ "a payload length of 0, of nothing",                 { .family = 6, .proto = 59 },               ACCEPT, "DEFAULT" },
	{ "a payload length of 0 before 65535 bytes",          SSH6(.beyond = 65535 - 20, LIE({ L3, 4, 2, 0 })), DROP, "TRUNCATED" },
	{ "a payload length of 0 before 65536 bytes is BIG TCP", SSH6(.beyond = 65536 - 20, LIE({ L3, 4, 2, 0 })), DROP, "RULE" },

	/* TCP header length */
	{ "a four-word TCP header",                            SSH4(LIE({ L4, 12, 1, 0x40 })),             DROP,   "BAD_DOFF" },
	{ "a TCP header of no words",                          SSH6(LIE({ L4, 12, 1, 0x00 })),             DROP,   "BAD_DOFF" },
	{ "a five-word TCP header",                            SSH4(LIE({ L4, 12, 1, 0x50 })),             DROP,   "RULE" },
	{ "a six-word TCP header in 23 bytes",                 SSH4(.payload = 3, LIE({ L4, 12, 1, 0x60 })), DROP, "BAD_DOFF" },
	{ "a six-word TCP header in 24 bytes",                 SSH4(.payload = 4, LIE({ L4, 12, 1, 0x60 })), DROP, "RULE" },
	{ "a 15-word TCP header in 20 bytes",                  SSH6(LIE({ L4, 12, 1, 0xf0 })),             DROP,   "BAD_DOFF" },
	{ "a 15-word TCP header in 60 bytes",                  SSH6(.tcp_options = 10),                    DROP,   "RULE" },
	{ "padding does not lengthen the TCP header",          SSH4(.pad = 40, LIE({ L4, 12, 1, 0x60 })),  DROP,   "BAD_DOFF" },
	{ "a four-word TCP header of another port",            WEB4(LIE({ L4, 12, 1, 0x40 })),             DROP,   "BAD_DOFF" },

	/* first fragments */
	{ "a first fragment with 19 bytes of TCP",             SSH4(.more = true, .short_by = 1),          DROP,   "TINY_FRAGMENT" },
	{ "a first fragment with 8 bytes of TCP",              SSH4(.more = true, .short_by = 12),         DROP,   "TINY_FRAGMENT" },
	{ "a first fragment with nothing",                     SSH4(.more = true, .short_by = 20),         DROP,   "TINY_FRAGMENT" },
	{ "a tiny fragment of an innocent port",               WEB4(.more = true, .short_by = 12),         DROP,   "TINY_FRAGMENT" },
	{ "a first fragment of IPv6 with 19 bytes of TCP",     SSH6(EXTS(FRAG(MORE)), .short_by = 1),      DROP,   "TINY_FRAGMENT" },
	{ "a first fragment that ends in the TCP options",     SSH4(.more = true, .tcp_options = 2, .short_by = 1), DROP, "TINY_FRAGMENT" },
	{ "a first fragment with all TCP options",             SSH4(.more = true, .tcp_options = 2),       DROP,   "RULE" },
	{ "a first fragment with a four-word TCP header",      SSH4(.more = true, LIE({ L4, 12, 1, 0x40 })), DROP, "BAD_DOFF" },
	{ "a first fragment with 7 bytes of UDP",              UDP4(.more = true, .short_by = 1),          DROP,   "TINY_FRAGMENT" },
	{ "a first fragment with 8 bytes of UDP",              UDP4(.more = true),                         ACCEPT, "DEFAULT" },
	{ "a first fragment with 11 bytes of SCTP",            SCTP4(.more = true, .short_by = 1),         DROP,   "TINY_FRAGMENT" },
	{ "a first fragment with 7 bytes of ICMP",             PING4(.more = true, .short_by = 1),         DROP,   "TINY_FRAGMENT" },
	{ "a first fragment with 7 bytes of ICMPv6",           PING6(EXTS(FRAG(MORE)), .short_by = 1),     DROP,   "TINY_FRAGMENT" },
	{ "padding does not fill a tiny fragment",             SSH4(.more = true, .short_by = 12, .pad = 30), DROP, "TINY_FRAGMENT" },
	{ "a first fragment whose header is cut by another",   SSH6(EXTS(FRAG(MORE), FRAG(0)), .short_by = 1), DROP, "TINY_FRAGMENT" },

	/* IPv4 fragments at offset 1 (RFC 1858) */
	{ "offset 1 would overwrite the TCP flags",            SSH4(.frag_offset = 1),                     DROP,   "FRAGMENT_OFFSET" },
	{ "offset 1 with more to come",                        SSH4(.frag_offset = 1, .more = true),       DROP,   "FRAGMENT_OFFSET" },
	{ "offset 1 of any protocol",                          UDP4(.frag_offset = 1),                     DROP,   "FRAGMENT_OFFSET" },
	{ "offset 1 behind tags",                              SSH4(TAGS(AD(1), Q(2)), .frag_offset = 1),  DROP,   "FRAGMENT_OFFSET" },
	{ "offset 2 is only a later fragment",                 UDP4(.frag_offset = 2),                     ACCEPT, "FRAGMENT" },
	{ "the length goes before the offset",                 SSH4(.frag_offset = 1, LIE({ L3, 2, 2, 41 })), DROP, "BAD_LENGTH" },

	/* chains that run off the end */
	{ "7 bytes of a hop-by-hop header",                    SSH6(EXTS(HOP), .short_by = 21),            DROP,   "CHAIN_END" },
	{ "8 bytes of a hop-by-hop header and no TCP",         SSH6(EXTS(HOP), .short_by = 20),            DROP,   "TRUNCATED" },
	{ "a hop-by-hop header 8 bytes too long",              SSH6(EXTS(HOP), LIE({ EXT, 1, 1, 3 })),     DROP,   "CHAIN_END" },
	{ "a hop-by-hop header over all that is there",        { .family = 6, EXTS(HOP), .proto = 99, .payload = 16, LIE({ EXT, 1, 1, 2 }) }, ACCEPT, "DEFAULT" },
	{ "a hop-by-hop header of the largest length",         SSH6(EXTS(HOP), LIE({ EXT, 1, 1, 255 })),   DROP,   "CHAIN_END" },
	{ "padding does not lengthen the chain",               SSH6(EXTS(HOP), .pad = 200, LIE({ EXT, 1, 1, 9 })), DROP, "CHAIN_END" },
	{ "a next header of destination options, and nothing", { .family = 6, .proto = 60 },               DROP,   "CHAIN_END" },
	{ "7 bytes of a fragment header",                      SSH6(EXTS(FRAG(0)), .short_by = 21),        DROP,   "CHAIN_END" },
	{ "7 bytes of a later fragment's header",              SSH6(EXTS(FRAG(OFFSET(3))), .short_by = 21), DROP,  "CHAIN_END" },
	{ "8 bytes of a later fragment's header are enough",   SSH6(EXTS(FRAG(OFFSET(3))), .short_by = 20), ACCEPT, "FRAGMENT" },
	{ "a first fragment whose chain runs off the end",     SSH6(EXTS(FRAG(MORE), HOP), .short_by = 21), DROP,  "CHAIN_END" },
	{ "7 bytes of AH",                                     SSH4(EXTS({ EXT_AH }), .short_by = 21),     DROP,   "CHAIN_END" },
	{ "AH 4 bytes too long",                               { EXTS({ EXT_AH }), .proto = 99, .payload = 20, LIE({ EXT, 1, 1, 6 }) }, DROP, "CHAIN_END" },
	{ "AH over all that is there",                         { EXTS({ EXT_AH }), .proto = 99, .payload = 20, LIE({ EXT, 1, 1, 5 }) }, ACCEPT, "DEFAULT" },
	{ "AH of IPv6 4 bytes too long",                       { .family = 6, EXTS({ EXT_AH }), .proto = 99, .payload = 20, LIE({ EXT, 1, 1, 6 }) }, DROP, "CHAIN_END" },
	{ "a first fragment of AH that is cut",                SSH4(.more = true, EXTS(AH), .short_by = 21), DROP, "CHAIN_END" },

	/* chains that are too long to follow */
	{ "eight headers are followed",                        SSH6(EXTS(HOP, DEST, DEST, DEST, DEST, DEST, DEST, DEST)), DROP, "RULE" },
	{ "the ninth is one too many",                         SSH6(EXTS(HOP, DEST, DEST, DEST, DEST, DEST, DEST, DEST, DEST)), DROP, "CHAIN_LENGTH" },
	{ "the ninth is refused even when it is cut",          SSH6(EXTS(HOP, DEST, DEST, DEST, DEST, DEST, DEST, DEST, DEST), .short_by = 25), DROP, "CHAIN_LENGTH" },
	{ "eight AH on IPv4 are followed",                     SSH4(EXTS(AH, AH, AH, AH, AH, AH, AH, AH)), DROP,   "RULE" },
	{ "the ninth AH is one too many",                      SSH4(EXTS(AH, AH, AH, AH, AH, AH, AH, AH, AH)), DROP, "CHAIN_LENGTH" },
	{ "eight fragment headers are followed",               SSH6(EXTS(FRAG(0), FRAG(0), FRAG(0), FRAG(0), FRAG(0), FRAG(0), FRAG(0), FRAG(0))), DROP, "RULE" },
	{ "a later fragment in the eighth",                    SSH6(EXTS(HOP, DEST, DEST, DEST, DEST, DEST, DEST, FRAG(OFFSET(5)))), ACCEPT, "FRAGMENT" },
	{ "a fragment header in the ninth",                    SSH6(EXTS(HOP, DEST, DEST, DEST, DEST, DEST, DEST, DEST, FRAG(OFFSET(5)))), DROP, "CHAIN_LENGTH" },

	/* other lies */
	{ "the UDP length is not judged: too long",            UDP4(.dport = 53, LIE({ L4, 4, 2, 0xffff })), ACCEPT, "DEFAULT" },
	{ "the UDP length is not judged: zero",                UDP4(.dport = 53, LIE({ L4, 4, 2, 0 })),    ACCEPT, "DEFAULT" },
	{ "a land packet is just a packet",                    { .saddr = (const uint8_t[]){ 192, 0, 2, 1 }, .daddr = (const uint8_t[]){ 192, 0, 2, 1 }, .dport = 22 }, DROP, "RULE" },
};

static const struct frame_row rows_closed[] = {
	{ "tcp/80 over IPv4 is accepted",                      WEB4(),                                     ACCEPT, "RULE" },
	{ "tcp/80 over IPv6 is accepted",                      WEB6(),                                     ACCEPT, "RULE" },
	{ "tcp/80 in a VLAN is tcp/80",                        WEB4(TAGS(Q(7))),                           ACCEPT, "RULE" },
	{ "tcp/80 in QinQ is tcp/80",                          WEB4(TAGS(AD(7), Q(8))),                    ACCEPT, "RULE" },
	{ "tcp/80 behind options is tcp/80",                   WEB4(.options = 10),                        ACCEPT, "RULE" },
	{ "tcp/80 behind a chain is tcp/80",                   WEB6(EXTS(HOP, DEST, AH)),                  ACCEPT, "RULE" },
	{ "tcp/80 in an atomic fragment is tcp/80",            WEB6(EXTS(FRAG(0))),                        ACCEPT, "RULE" },
	{ "tcp/80 with padding is tcp/80",                     WEB4(.pad = 6),                             ACCEPT, "RULE" },
	{ "tcp/80 in a jumbo frame is tcp/80",                 WEB4(.payload = 8900),                      ACCEPT, "RULE" },
	{ "tcp/81 is dropped",                                 { .dport = 81 },                            DROP,   "DEFAULT" },
	{ "udp/80 is dropped",                                 UDP4(.dport = 80),                          DROP,   "DEFAULT" },
	{ "sctp/80 is dropped",                                SCTP4(.dport = 80),                         DROP,   "DEFAULT" },
	{ "ICMP is dropped",                                   PING4(),                                    DROP,   "DEFAULT" },
	{ "ARP is dropped: no rule names it",                  ETHER(.etype = 0x0806, .payload = 28),      DROP,   "DEFAULT" },
	{ "neighbour discovery is dropped: no rule names it",  { .family = 6, .proto = 58, .type = 135, .payload = 24 }, DROP, "DEFAULT" },
	{ "LLC is dropped",                                    ETHER(.etype = 38, .payload = 46),          DROP,   "DEFAULT" },
	{ "ESP is dropped",                                    { .proto = 50, .payload = 40 },             DROP,   "DEFAULT" },
	{ "no next header is dropped",                         { .family = 6, .proto = 59, .payload = 40 }, DROP,  "DEFAULT" },
	{ "a first fragment is dropped",                       WEB4(.more = true),                         DROP,   "FRAGMENT" },
	{ "a later fragment is dropped",                       WEB4(.frag_offset = 2),                     DROP,   "FRAGMENT" },
	{ "a first fragment of IPv6 is dropped",               WEB6(EXTS(FRAG(MORE))),                     DROP,   "FRAGMENT" },
	{ "a later fragment of IPv6 is dropped",               WEB6(EXTS(FRAG(OFFSET(2)))),                DROP,   "FRAGMENT" },
	{ "a tiny fragment is malformed first",                WEB4(.more = true, .short_by = 1),          DROP,   "TINY_FRAGMENT" },
	{ "a third tag is dropped",                            WEB4(TAGS(Q(7), Q(8), Q(9))),               DROP,   "TOO_MANY_TAGS" },
	{ "a short header length is dropped",                  WEB4(LIE({ L3, 0, 1, 0x44 })),              DROP,   "BAD_IHL" },
	{ "a short TCP header length is dropped",              WEB4(LIE({ L4, 12, 1, 0x40 })),             DROP,   "BAD_DOFF" },
	{ "a port in the padding is no port",                  WEB4(.short_by = 17, .pad = 17, LIE({ L4, 2, 2, 80 })), DROP, "TRUNCATED" },
};

static const struct frame_row rows_strict[] = {
	{ "without a word, malformed is dropped",              WEB4(LIE({ L3, 0, 1, 0x44 })),              DROP,   "BAD_IHL" },
	{ "without a word, first fragments are dropped",       WEB4(.more = true, .payload = 8),           DROP,   "FRAGMENT" },
	{ "without a word, later fragments are dropped",       WEB4(.frag_offset = 2),                     DROP,   "FRAGMENT" },
	{ "fragments are dropped before the rules",            SSH4(.more = true),                         DROP,   "FRAGMENT" },
	{ "IPv6 fragments are dropped",                        WEB6(EXTS(FRAG(MORE))),                     DROP,   "FRAGMENT" },
	{ "later IPv6 fragments are dropped",                  WEB6(EXTS(FRAG(OFFSET(3)))),                DROP,   "FRAGMENT" },
	{ "an atomic fragment is whole: the rules judge it",   WEB6(EXTS(FRAG(0))),                        ACCEPT, "DEFAULT" },
	{ "also with reserved bits",                           WEB6(EXTS(FRAG(6))),                        ACCEPT, "DEFAULT" },
	{ "and the port of an atomic fragment counts",         SSH6(EXTS(FRAG(0))),                        DROP,   "RULE" },
	{ "a first fragment header counts, a last one of 0 does not undo it", WEB6(EXTS(FRAG(MORE), FRAG(0))), DROP, "FRAGMENT" },
	{ "dont-fragment is no fragment",                      WEB4(.dont = true),                         ACCEPT, "DEFAULT" },
	{ "fragments of what has no ports too",                { .proto = 50, .payload = 40, .more = true }, DROP,  "FRAGMENT" },
};

static const struct frame_row rows_lenient[] = {
	{ "truncated may pass",                                SSH4(.cut_to = 33),                         ACCEPT, "TRUNCATED" },
	{ "a frame of 13 bytes may pass",                      SSH4(.cut_to = 13),                         ACCEPT, "TRUNCATED" },
	{ "three tags may pass",                               SSH4(TAGS(Q(7), Q(8), Q(9))),               ACCEPT, "TOO_MANY_TAGS" },
	{ "a wrong version may pass",                          SSH4(LIE({ L3, 0, 1, 0x65 })),              ACCEPT, "BAD_VERSION" },
	{ "a short header length may pass",                    SSH4(LIE({ L3, 0, 1, 0x44 })),              ACCEPT, "BAD_IHL" },
	{ "a length beyond the frame may pass",                SSH4(LIE({ L3, 2, 2, 41 })),                ACCEPT, "BAD_LENGTH" },
	{ "a short TCP header length may pass",                SSH4(LIE({ L4, 12, 1, 0x40 })),             ACCEPT, "BAD_DOFF" },
	{ "a tiny fragment may pass",                          SSH4(.more = true, .short_by = 1),          ACCEPT, "TINY_FRAGMENT" },
	{ "offset 1 may pass",                                 SSH4(.frag_offset = 1),                     ACCEPT, "FRAGMENT_OFFSET" },
	{ "a cut chain may pass",                              SSH6(EXTS(HOP), .short_by = 21),            ACCEPT, "CHAIN_END" },
	{ "a long chain may pass",                             SSH6(EXTS(HOP, HOP, HOP, HOP, HOP, HOP, HOP, HOP, HOP)), ACCEPT, "CHAIN_LENGTH" },
	{ "tcp/22 may not",                                    SSH4(),                                     DROP,   "RULE" },
	{ "tcp/22 in disguise may not",                        SSH6(TAGS(AD(1), Q(2)), EXTS(HOP, FRAG(0))), DROP,  "RULE" },
};

static const struct frame_row rows_track[] = {
	{ "a first fragment is for the rules",                 WEB4(.more = true, .payload = 4),           ACCEPT, "DEFAULT" },
	{ "and what they drop is dropped",                     SSH4(.more = true, .payload = 4),           DROP,   "RULE" },
	{ "a first fragment of IPv6 is for the rules",         SSH6(EXTS(FRAG(MORE)), .payload = 4),       DROP,   "RULE" },
	{ "an atomic fragment is for the rules",               SSH6(EXTS(FRAG(0))),                        DROP,   "RULE" },
	{ "of two atomic headers as well",                     SSH6(EXTS(FRAG(0), FRAG(0))),               DROP,   "RULE" },
	{ "a later fragment has no first one",                 WEB4(.frag_offset = 2),                     DROP,   "FRAGMENT_EARLY" },
	{ "a later fragment of IPv6 has no first one",         WEB6(EXTS(FRAG(OFFSET(2) | MORE)), .payload = 4), DROP, "FRAGMENT_EARLY" },
	{ "20 bytes are no multiple of 8, and more follows",   WEB4(.more = true),                         DROP,   "BAD_FRAGMENT" },
	{ "of IPv6 neither",                                   WEB6(EXTS(FRAG(MORE))),                     DROP,   "BAD_FRAGMENT" },
	{ "the last one may have any length",                  WEB4(.frag_offset = 2, .payload = 1),       DROP,   "FRAGMENT_EARLY" },
	{ "others than the last one may not",                  WEB4(.frag_offset = 2, .more = true, .payload = 1), DROP, "BAD_FRAGMENT" },
	{ "padding does not make it even",                     WEB4(.more = true, .pad = 4),               DROP,   "BAD_FRAGMENT" },
	{ "nor odd",                                           WEB4(.more = true, .payload = 4, .pad = 3), ACCEPT, "DEFAULT" },
	{ "options are no part of it",                         WEB4(.more = true, .payload = 4, .options = 1), ACCEPT, "DEFAULT" },
	{ "AH is",                                             WEB4(.more = true, EXTS({ EXT_AH, 4 })),    DROP,   "BAD_FRAGMENT" },
	{ "a header before the fragment header is not",        WEB6(EXTS(HOP, FRAG(MORE)), .payload = 4),  ACCEPT, "DEFAULT" },
	{ "one behind it is",                                  WEB6(EXTS(FRAG(MORE), DEST), .payload = 4), ACCEPT, "DEFAULT" },
	{ "AH of 12 bytes behind it makes it even",            WEB6(EXTS(FRAG(MORE), { EXT_AH, 1 })),      ACCEPT, "DEFAULT" },
	{ "an empty first fragment is none",                   { .proto = 50, .more = true },              DROP,   "BAD_FRAGMENT" },
	{ "an empty last fragment is none",                    { .proto = 50, .frag_offset = 9 },          DROP,   "BAD_FRAGMENT" },
	{ "an empty fragment of IPv6 is none",                 { .family = 6, .proto = 50, EXTS(FRAG(OFFSET(9))) }, DROP, "BAD_FRAGMENT" },
	{ "up to 65,535 bytes",                                { .proto = 50, .frag_offset = 8189, .payload = 3 }, DROP, "FRAGMENT_EARLY" },
	{ "and no further",                                    { .proto = 50, .frag_offset = 8189, .payload = 4 }, DROP, "BAD_FRAGMENT" },
	{ "up to 65,535 bytes behind the IPv6 header",         { .family = 6, .proto = 50, EXTS(FRAG(OFFSET(8191))), .payload = 7 }, DROP, "FRAGMENT_EARLY" },
	{ "and no further",                                    { .family = 6, .proto = 50, EXTS(FRAG(OFFSET(8191))), .payload = 8 }, DROP, "BAD_FRAGMENT" },
	{ "what stands before the fragment header counts",     { .family = 6, .proto = 50, EXTS(HOP, FRAG(OFFSET(8191))), .payload = 7 }, DROP, "BAD_FRAGMENT" },
	{ "the highest offset of IPv4 is too far",             SSH4(.frag_offset = 0x1fff),                DROP,   "BAD_FRAGMENT" },
	{ "a fragment in a fragment is none",                  WEB6(EXTS(FRAG(MORE), FRAG(MORE)), .payload = 4), DROP, "BAD_FRAGMENT" },
	{ "nor is an atomic one in it",                        WEB6(EXTS(FRAG(MORE), FRAG(0)), .payload = 4), DROP, "BAD_FRAGMENT" },
	{ "nor a later one",                                   WEB6(EXTS(FRAG(MORE), FRAG(OFFSET(3))), .payload = 4), DROP, "BAD_FRAGMENT" },
	{ "one in an atomic one is",                           SSH6(EXTS(FRAG(0), FRAG(MORE)), .payload = 4), DROP, "RULE" },
	{ "what is malformed is let through unseen",           SSH4(.more = true, .short_by = 1),          ACCEPT, "TINY_FRAGMENT" },
	{ "offset 1 too",                                      SSH4(.frag_offset = 1),                     ACCEPT, "FRAGMENT_OFFSET" },
	{ "a whole packet is no fragment",                     SSH4(.dont = true),                         DROP,   "RULE" },
};
/* clang-format on */
