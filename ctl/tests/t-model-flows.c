// SPDX-License-Identifier: GPL-2.0
/*
 * The flow table of the reference model by itself: conversations, and what is said of each packet. The programs are
 * compared with that model (t-sequence); here it is compared with what people know of TCP and of conntrack.
 *
 * We are 192.0.2.1, port 40000; the other end is 198.51.100.1, port 80. Unless a row says something else, our sequence
 * numbers begin with 1000, theirs with 5000.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "frame.h"
#include "model.h"

enum way {
	END,
	OUT,     /* made by this host */
	FORWARD, /* the same, but from another device */
	IN,
};

enum { F = 1, S = 2, R = 4, P = 8, A = 16, U = 32 };

struct step {
	enum way way;
	struct frame_spec packet;
	enum policy_ct said;
	unsigned int after; /* seconds since the packet before */
	bool dropped;       /* by a rule that does not ask for ct state */
	/* what an ICMP error quotes: a packet that goes the way `quoted`, as much of it, with this lie */
	enum way quoted;
	const struct frame_spec *quote;
	unsigned int quote_bytes; /* 0: 8 behind its IP header */
	const struct frame_poke *quote_lie;
};

#define E POLICY_CT_ESTABLISHED
#define L POLICY_CT_RELATED
#define N POLICY_CT_NEW
#define Q POLICY_CT_UNTRACKED
#define I POLICY_CT_INVALID

/* clang-format off */
/* way, flags, sequence number, acknowledgement, bytes, what is said; then members of struct frame_spec */
#define TCP(w, f, s, a, n, c, ...) \
	.way = w, .said = c, .packet = { .flags = f, .seq = s, .ack = a, .payload = n, ##__VA_ARGS__ }
#define UDP(w, c, ...)       .way = w, .said = c, .packet = { .proto = 17, ##__VA_ARGS__ }
#define SCTP(w, c, ...)      .way = w, .said = c, .packet = { .proto = 132, ##__VA_ARGS__ }
#define PROTO(p, w, c, ...)  .way = w, .said = c, .packet = { .proto = p, .payload = 40, ##__VA_ARGS__ }
#define ICMP(t, w, c, ...)   .way = w, .said = c, .packet = { .proto = 1, .type = t, ##__VA_ARGS__ }
#define ICMPV6(t, w, c, ...) .way = w, .said = c, .packet = { .family = 6, .proto = 58, .type = t, ##__VA_ARGS__ }
#define OPTIONS(words, ...) \
	.tcp_options = words, .tcp_bytes = (const uint8_t[]){ __VA_ARGS__ }, \
	.n_tcp_bytes = sizeof((const uint8_t[]){ __VA_ARGS__ })
#define SCALE(n)             OPTIONS(1, 1, 3, 3, n)
#define QUOTE(w, ...)        .quoted = w, .quote = &(const struct frame_spec){ __VA_ARGS__ }
#define LIE(...)             .quote_lie = &(const struct frame_poke){ __VA_ARGS__ }

#define HANDSHAKE \
	{ TCP(OUT, S, 1000, 0, 0, N) }, \
	{ TCP(IN, S | A, 5000, 1001, 0, E) }, \
	{ TCP(OUT, A, 1001, 5001, 0, E) }
#define SCALED \
	{ TCP(OUT, S, 1000, 0, 0, N, SCALE(7)) }, \
	{ TCP(IN, S | A, 5000, 1001, 0, E, SCALE(7)) }, \
	{ TCP(OUT, A, 1001, 5001, 0, E) }
#define CLOSED \
	HANDSHAKE, \
	{ TCP(OUT, F | A, 1001, 5001, 0, E) }, \
	{ TCP(IN, A, 5001, 1002, 0, E) }, \
	{ TCP(IN, F | A, 5001, 1002, 0, E) }, \
	{ TCP(OUT, A, 1002, 5002, 0, E) }
/* clang-format on */

static const struct conversation {
	const char *belief;
	struct step step[16];
} conversations[] = {
	/* ---- TCP: begin and end ---- */
	{ "a connection of ours",
	  { HANDSHAKE,
	    { TCP(OUT, P | A, 1001, 5001, 300, E) },
	    { TCP(IN, A, 5001, 1301, 1400, E) },
	    { TCP(OUT, A, 1301, 6401, 0, E) } } },
	{ "a connection to us",
	  { { TCP(IN, S, 5000, 0, 0, N) },
	    { TCP(OUT, S | A, 1000, 5001, 0, E) },
	    { TCP(IN, A, 5001, 1001, 0, E) },
	    { TCP(OUT, P | A, 1001, 5001, 5, E) } } },
	{ "the same over IPv6",
	  { { TCP(OUT, S, 1000, 0, 0, N, .family = 6) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, .family = 6) },
	    { TCP(OUT, A, 1001, 5001, 0, E, .family = 6) } } },
	{ "behind extension headers it is the same flow",
	  { { TCP(OUT, S, 1000, 0, 0, N, .family = 6, .ext = { { EXT_DESTINATION } }) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, .family = 6, .ext = { { EXT_HOP }, { EXT_AH, 4 } }) } } },
	{ "a segment before any SYN, from the other end",
	  { { TCP(IN, A, 5001, 1001, 0, I) },
	    { TCP(IN, A, 5001, 1001, 9, I) },
	    { TCP(IN, F | A, 5001, 1001, 0, I) } } },
	{ "a SYN-ACK that nobody asked for",
	  { { TCP(IN, S | A, 5000, 1001, 0, I) }, { TCP(OUT, S | A, 5000, 1001, 0, I) } } },
	{ "a reset without a flow", { { TCP(IN, R, 5000, 0, 0, I) }, { TCP(OUT, R | A, 1000, 5001, 0, I) } } },
	{ "a dropped SYN begins nothing",
	  { { TCP(IN, S, 5000, 0, 0, N), .dropped = true }, { TCP(OUT, S | A, 1000, 5001, 0, I) } } },
	{ "a SYN to another port is another flow",
	  { HANDSHAKE,
	    { TCP(OUT, S, 1000, 0, 0, N, .dport = 81) },
	    { TCP(IN, S | A, 5000, 1001, 0, I, .dport = 82) } } },
	{ "a connection that is older than the rules, of this host",
	  { { TCP(OUT, A, 1001, 5001, 10, N) },
	    { TCP(OUT, A, 1011, 5001, 10, N) },
	    { TCP(IN, A, 9999999, 77, 10, E) },
	    { TCP(OUT, A, 0x80000000, 1, 10, E) },
	    { TCP(IN, R, 3, 0, 0, E) },
	    { TCP(IN, A, 4, 0, 0, E), .after = 9 },
	    { TCP(IN, A, 4, 0, 0, I), .after = 11 } } },
	{ "the same, forwarded, is not believed",
	  { { TCP(FORWARD, A, 1001, 5001, 10, I) }, { TCP(IN, A, 5001, 1001, 10, I) } } },
	{ "nor is a FIN of this host", { { TCP(OUT, F | A, 1001, 5001, 0, I) }, { TCP(IN, A, 5001, 1002, 0, I) } } },
	{ "a forwarded SYN is as good as one of this host",
	  { { TCP(FORWARD, S, 1000, 0, 0, N) }, { TCP(IN, S | A, 5000, 1001, 0, E) } } },
	{ "an old connection whose ACK is dropped is none",
	  { { TCP(OUT, A, 1001, 5001, 10, N), .dropped = true }, { TCP(IN, A, 5001, 1011, 10, I) } } },
	{ "a close, its last packets again, and the end of the time",
	  { CLOSED,
	    { TCP(IN, F | A, 5001, 1002, 0, E) },
	    { TCP(OUT, A, 1002, 5002, 0, E) },
	    { TCP(OUT, A, 1002, 5002, 0, E), .after = 119 },
	    { TCP(IN, A, 5002, 1002, 0, I), .after = 121 } } },
	{ "half closed, the other half goes on",
	  { HANDSHAKE,
	    { TCP(OUT, F | A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5001, 1002, 1000, E) },
	    { TCP(OUT, A, 1002, 6001, 0, E) },
	    { TCP(IN, F | A, 6001, 1002, 0, E) },
	    { TCP(OUT, A, 1002, 6002, 0, E) } } },
	{ "what is left of half a close: a minute",
	  { HANDSHAKE,
	    { TCP(OUT, F | A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5001, 1002, 0, E), .after = 119 },
	    { TCP(IN, A, 5001, 1002, 0, E), .after = 59 },
	    { TCP(IN, A, 5001, 1002, 0, I), .after = 61 } } },
	{ "a new connection takes the ports of a closed one",
	  { CLOSED,
	    { TCP(OUT, S, 90000, 0, 0, N) },
	    { TCP(IN, A, 5002, 1002, 0, E) },
	    { TCP(IN, F | A, 5002, 1002, 0, I) },
	    { TCP(IN, S | A, 70000, 90001, 0, E) },
	    { TCP(OUT, A, 90001, 70001, 0, E) } } },
	{ "also from the other end, which is the origin then",
	  { CLOSED,
	    { TCP(IN, S, 90000, 0, 0, N) },
	    { TCP(IN, S | A, 90000, 0, 0, I) },
	    { TCP(OUT, S | A, 70000, 90001, 0, E) } } },
	{ "a SYN that is dropped leaves the closed connection",
	  { CLOSED,
	    { TCP(OUT, S, 90000, 0, 0, N), .dropped = true, .after = 100 },
	    { TCP(IN, A, 5002, 1002, 0, E) },
	    { TCP(OUT, S, 90000, 0, 0, N), .dropped = true, .after = 119 },
	    { TCP(IN, A, 5002, 1002, 0, I), .after = 2 } } },
	/* ---- TCP: SYN again, both at once ---- */
	{ "a SYN again",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(OUT, S, 1000, 0, 0, N), .after = 119 },
	    { TCP(IN, S | A, 5000, 1001, 0, E), .after = 119 } } },
	{ "a SYN without an answer lasts two minutes",
	  { { TCP(OUT, S, 1000, 0, 0, N) }, { TCP(IN, S | A, 5000, 1001, 0, I), .after = 121 } } },
	{ "another SYN, the answer must be to it",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(OUT, S, 8000, 0, 0, N) },
	    { TCP(IN, S | A, 5000, 1001, 0, I) },
	    { TCP(IN, S | A, 5000, 8001, 0, E) } } },
	{ "a SYN-ACK again",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) } } },
	{ "a SYN-ACK of the origin", { HANDSHAKE, { TCP(OUT, S | A, 1000, 5001, 0, I) } } },
	{ "a SYN-ACK of the origin that has no answer",
	  { { TCP(OUT, S, 1000, 0, 0, N) }, { TCP(OUT, S | A, 1000, 5001, 0, I) } } },
	{ "a SYN-ACK that acknowledges too little or too much",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, S | A, 5000, 1000, 0, I) },
	    { TCP(IN, S | A, 5000, 1002, 0, I) },
	    { TCP(IN, S | A, 5000, 0x80001001, 0, I) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) } } },
	{ "both at once",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, S, 5000, 0, 0, E) },
	    { TCP(OUT, S | A, 1000, 5001, 0, E) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5001, 1001, 20, E) },
	    { TCP(OUT, S | A, 1000, 5001, 0, I) } } },
	{ "both at once, and data at the edge of the window of a SYN",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, S, 5000, 0, 0, E) },
	    { TCP(IN, A, 5002 + 2 * 65536, 1001, 0, I) },
	    { TCP(IN, A, 5001 + 65536, 1001, 0, E) } } },
	{ "a SYN of the origin into an open connection does nothing, nor does it keep it",
	  { { TCP(IN, S, 1000, 0, 0, N) },
	    { TCP(OUT, S | A, 5000, 1001, 0, E) },
	    { TCP(IN, A, 1001, 5001, 0, E) },
	    { TCP(IN, S, 77777, 0, 0, E), .after = 432000 - 10 },
	    { TCP(IN, A, 1001, 5001, 0, I), .after = 11 } } },
	{ "a SYN from the other side of an open connection",
	  { HANDSHAKE, { TCP(IN, S, 77777, 0, 0, I) }, { TCP(IN, A, 5001, 1001, 0, E) } } },
	{ "this host begins anew",
	  { HANDSHAKE,
	    { TCP(OUT, S, 77777, 0, 0, N) },
	    { TCP(IN, S | A, 9000, 77777, 0, I) },
	    { TCP(IN, S | A, 9000, 77778, 0, E) },
	    { TCP(OUT, A, 77778, 9001, 0, E) } } },
	{ "this host has forgotten a connection, and answers the SYN of another one",
	  { { TCP(IN, S, 1000, 0, 0, N) },
	    { TCP(OUT, S | A, 5000, 1001, 0, E) },
	    { TCP(IN, A, 1001, 5001, 0, E) },
	    { TCP(IN, S, 7777777, 0, 0, E) },
	    { TCP(OUT, S | A, 9000000, 7777778, 0, E) },
	    { TCP(IN, A, 7777778, 9000001, 0, E) },
	    { TCP(OUT, A, 9000001, 7777778, 10, E) },
	    { TCP(IN, R, 1, 0, 0, E) } } },
	{ "data before the SYN has an answer",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(OUT, A, 1001, 0, 10, I) },
	    { TCP(IN, A, 5000, 1001, 0, E) },
	    { TCP(IN, F | A, 5000, 1001, 0, I) },
	    { TCP(OUT, F | A, 1001, 0, 0, I) } } },
	{ "fast open: data in the SYN, acknowledged",
	  { { TCP(OUT, S, 1000, 0, 100, N) },
	    { TCP(IN, S | A, 5000, 1101, 0, E) },
	    { TCP(OUT, A, 1101, 5001, 0, E) } } },
	{ "fast open: not acknowledged, or in part",
	  { { TCP(OUT, S, 1000, 0, 100, N) },
	    { TCP(IN, S | A, 5000, 1102, 0, I) },
	    { TCP(IN, S | A, 5000, 1000, 0, I) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 100, E) } } },
	{ "fast open: the server speaks behind its SYN-ACK",
	  { { TCP(OUT, S, 1000, 0, 100, N) },
	    { TCP(IN, S | A, 5000, 1101, 0, E) },
	    { TCP(IN, A, 5001, 1101, 1400, E) },
	    { TCP(OUT, A, 1101, 6401, 0, E) } } },
	{ "until the origin answers, a connection has a minute",
	  { { TCP(IN, S, 5000, 0, 0, N) },
	    { TCP(OUT, S | A, 1000, 5001, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 9, E), .after = 59 },
	    { TCP(IN, A, 5001, 1001, 0, E), .after = 59 },
	    { TCP(IN, A, 5001, 1001, 0, E), .after = 431999 } } },
	/* ---- TCP: flags ---- */
	{ "flags that no segment has",
	  { HANDSHAKE,
	    { TCP(IN, S | F, 5001, 1001, 0, I) },
	    { TCP(IN, U | P, 5001, 1001, 0, I) },
	    { TCP(IN, F, 5001, 1001, 0, I) },
	    { TCP(IN, S | R, 5001, 1001, 0, I) },
	    { TCP(IN, R | F | A, 5001, 1001, 0, I) },
	    { TCP(IN, S | F | A, 5001, 1001, 0, I) },
	    { TCP(IN, F | S | R | P | A | U, 5001, 1001, 0, I) },
	    { TCP(IN, A | P | U | 0xc0, 5001, 1001, 0, E) } } },
	{ "flags that do not count",
	  { { TCP(OUT, S | 0xc0 | P, 1000, 0, 0, N) }, { TCP(IN, S | A | 0x40, 5000, 1001, 0, E) } } },
	/* ---- TCP: resets ---- */
	{ "refused",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, R | A, 0, 1001, 0, E) },
	    { TCP(IN, R | A, 0, 1001, 0, E), .after = 9 },
	    { TCP(OUT, S, 1000, 0, 0, N), .after = 2 },
	    { TCP(IN, S | A, 5000, 1001, 0, E) } } },
	{ "a refusal must acknowledge the SYN",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, R, 1001, 0, 0, I) },
	    { TCP(IN, R, 1001, 1001, 0, I) },
	    { TCP(IN, R | A, 0, 1000, 0, I) },
	    { TCP(IN, R | A, 0, 1002, 0, I) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) } } },
	{ "the origin gives up",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(OUT, R, 1000, 0, 0, N) },
	    { TCP(OUT, R, 1002, 0, 0, N) },
	    { TCP(OUT, R, 1001, 0, 0, N) },
	    { TCP(OUT, R, 1001, 0, 0, N) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(IN, S | A, 5000, 1001, 0, I), .after = 10 } } },
	{ "what the origin of a refused connection says: its window is one byte",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { TCP(IN, R | A, 0, 1001, 0, E) },
	    { TCP(OUT, A, 999, 0, 0, E) },
	    { TCP(OUT, A, 998, 0, 0, E) },
	    { TCP(OUT, A, 1001, 1, 0, I) } } },
	{ "a reset in the window ends it in ten seconds",
	  { HANDSHAKE,
	    { TCP(IN, R, 5001, 0, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 0, E), .after = 9 },
	    { TCP(OUT, A, 1001, 5001, 0, N), .after = 11 } } },
	{ "a reset beyond the window",
	  { HANDSHAKE, { TCP(IN, R, 5001 + 65537, 0, 0, I) }, { TCP(IN, R | A, 5001 + 65536, 1001, 0, E) } } },
	{ "a reset before the window",
	  { HANDSHAKE, { TCP(IN, R, 5001 - 65537, 0, 0, I) }, { TCP(IN, R, 5001 - 65536, 0, 0, E) } } },
	{ "a reset does not keep what is closed",
	  { HANDSHAKE,
	    { TCP(IN, R, 5001, 0, 0, E) },
	    { TCP(IN, R, 5001, 0, 0, E), .after = 6 },
	    { TCP(IN, R, 5001, 0, 0, I), .after = 6 } } },
	{ "a reset that is in the window, and not where the other end waits, ends nothing",
	  { HANDSHAKE,
	    { TCP(IN, R, 5002, 0, 0, E) },
	    { TCP(IN, R, 5000, 0, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 0, E), .after = 3600 } } },
	/* ---- TCP: windows ---- */
	{ "data at the edge of the window and beyond",
	  { HANDSHAKE,
	    { TCP(IN, A, 5001 + 65536, 1001, 100, E) },
	    { TCP(IN, A, 5001 + 2 * 65536, 1001, 1, E) },
	    { TCP(IN, A, 5002 + 2 * 65536, 1001, 1, I) } } },
	{ "an acknowledgement of what was not sent",
	  { HANDSHAKE, { TCP(IN, A, 5001, 1002, 0, I) }, { TCP(IN, A, 5001, 1001, 0, E) } } },
	{ "an acknowledgement of what is long past",
	  { HANDSHAKE,
	    { TCP(OUT, A, 1001, 5001, 1000, E) },
	    { TCP(IN, A, 5001, 2001 - 65536, 0, E) },
	    { TCP(IN, A, 5001, 2001 - 65537, 0, E) } } },
	{ "data again, and data that is too old",
	  { HANDSHAKE,
	    { TCP(IN, A, 5001, 1001, 1000, E) },
	    { TCP(IN, A, 5001, 1001, 1000, E) },
	    { TCP(IN, A, 6001 - 65537, 1001, 0, E) },
	    { TCP(IN, A, 6001 - 65538, 1001, 0, E) },
	    { TCP(IN, A, 6001 - 65538, 1001, 0, E), .after = 432000 - 10 },
	    { TCP(IN, A, 6001, 1001, 0, I), .after = 11 } } },
	{ "keepalive: one byte before the end",
	  { HANDSHAKE, { TCP(IN, A, 5000, 1001, 0, E) }, { TCP(IN, A, 5000, 1001, 1, E) } } },
	{ "data out of order",
	  { HANDSHAKE,
	    { TCP(IN, A, 6001, 1001, 1000, E) },
	    { TCP(IN, A, 5001, 1001, 1000, E) },
	    { TCP(OUT, A, 1001, 7001, 0, E) } } },
	{ "a window of zero lets one byte ask",
	  { { TCP(OUT, S, 1000, 0, 0, N, .window = 1) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 0, E, .window = -1) },
	    { TCP(IN, A, 5001, 1001, 1, E) },
	    { TCP(IN, A, 5002, 1001, 1, E) },
	    { TCP(IN, A, 5004, 1001, 1, I) } } },
	{ "a window that grows",
	  { { TCP(OUT, S, 1000, 0, 0, N, .window = 1) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(IN, A, 5004, 1001, 10, I) },
	    { TCP(OUT, A, 1001, 5001, 0, E, .window = 1000) },
	    { TCP(IN, A, 6001, 1001, 10, E) },
	    { TCP(IN, A, 7026, 1001, 10, I) } } },
	{ "windows are scaled where both ends say so",
	  { SCALED,
	    { TCP(IN, A, 5001 + (65535 << 7), 1001, 10, E) },
	    { TCP(IN, A, 5002 + (131071 << 7), 1001, 10, I) } } },
	{ "the window of a SYN is not scaled",
	  { { TCP(OUT, S, 1000, 0, 0, N, SCALE(7)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, SCALE(7)) },
	    { TCP(OUT, A, 1001, 5001, 0, E, .window = 1) },
	    { TCP(IN, A, 5001 + 65536, 1001, 10, E) },
	    { TCP(IN, A, 5002 + 2 * 65536, 1001, 10, I) } } },
	{ "nor is any where one end says nothing",
	  { { TCP(OUT, S, 1000, 0, 0, N, SCALE(7)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5002 + 2 * 65536, 1001, 10, I) } } },
	{ "a scale above 14 is 14",
	  { { TCP(OUT, S, 1000, 0, 0, N, SCALE(200)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, SCALE(0)) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5001 + (65535 << 14), 1001, 10, E) },
	    { TCP(IN, A, 5002 + (131071 << 14), 1001, 10, I) } } },
	{ "a scale behind other options",
	  { { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(5, 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 2)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, SCALE(0)) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5001 + 4 * 65535, 1001, 10, E) },
	    { TCP(IN, A, 5002 + 4 * 131071, 1001, 10, I) } } },
	{ "a scale behind the end of options, or behind nonsense",
	  { { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(2, 0, 3, 3, 2)) },
	    { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(2, 8, 0, 3, 3, 2)) },
	    { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(2, 8, 9, 3, 3, 2)) },
	    { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(1, 1, 1, 3, 3)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, SCALE(0)) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5002 + 2 * 65536, 1001, 10, I) } } },
	{ "a scale behind the end of options that has a length, or that ends in the data",
	  { { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(2, 0, 2, 3, 3, 2)) },
	    { TCP(OUT, S, 1000, 0, 10, N, OPTIONS(1, 1, 1, 3, 3)) },
	    { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(2, 8, 1, 3, 3, 2)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, SCALE(0)) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5002 + 2 * 65536, 1001, 10, I) } } },
	{ "of two scales the first counts, of one of another length none",
	  { { TCP(OUT, S, 1000, 0, 0, N, OPTIONS(3, 3, 4, 9, 9, 3, 3, 1, 3, 3, 5)) },
	    { TCP(IN, S | A, 5000, 1001, 0, E, SCALE(0)) },
	    { TCP(OUT, A, 1001, 5001, 0, E) },
	    { TCP(IN, A, 5001 + 2 * 65535, 1001, 10, E) },
	    { TCP(IN, A, 5002 + 2 * 131071, 1001, 10, I) } } },
	{ "sequence numbers go round",
	  { { TCP(OUT, S, 0xffffffff, 0, 0, N) },
	    { TCP(IN, S | A, 0xfffffff0, 0, 0, E) },
	    { TCP(OUT, A, 0, 0xfffffff1, 40, E) },
	    { TCP(IN, A, 0xfffffff1, 40, 30, E) },
	    { TCP(OUT, A, 40, 15, 0, E) },
	    { TCP(IN, A, 15, 41, 0, I) } } },
	{ "padding of the frame is no data",
	  { HANDSHAKE, { TCP(IN, A, 5001, 1001, 0, E, .pad = 6) }, { TCP(OUT, A, 1001, 5002, 0, I) } } },
	{ "options are no data",
	  { HANDSHAKE,
	    { TCP(IN, A, 5001, 1001, 0, E, .tcp_options = 3, .options = 2) },
	    { TCP(OUT, A, 1001, 5002, 0, I) } } },
	/* ---- UDP, SCTP, others ---- */
	{ "a question and answers",
	  { { UDP(OUT, N) }, { UDP(OUT, N) }, { UDP(IN, E) }, { UDP(OUT, E) }, { UDP(IN, E) } } },
	{ "the same over IPv6", { { UDP(IN, N, .family = 6) }, { UDP(OUT, E, .family = 6) } } },
	{ "half a minute for the answer",
	  { { UDP(OUT, N) }, { UDP(OUT, N), .after = 29 }, { UDP(IN, E), .after = 29 } } },
	{ "later it is a question", { { UDP(OUT, N) }, { UDP(IN, N), .after = 31 }, { UDP(OUT, E) } } },
	{ "two minutes behind an answer",
	  { { UDP(OUT, N) }, { UDP(IN, E) }, { UDP(IN, E), .after = 119 }, { UDP(IN, N), .after = 121 } } },
	{ "a dropped question has no answer", { { UDP(OUT, N), .dropped = true }, { UDP(IN, N) } } },
	{ "dropped packets of a flow keep it",
	  { { UDP(OUT, N) },
	    { UDP(OUT, N), .dropped = true, .after = 20 },
	    { UDP(IN, E), .dropped = true, .after = 20 } } },
	{ "another port, another flow; TCP is none of it",
	  { { UDP(OUT, N) }, { UDP(IN, N, .sport = 40001) }, { SCTP(IN, N) }, { TCP(IN, S | A, 1, 1, 0, I) } } },
	{ "packets from oneself to oneself are never answers",
	  { { UDP(OUT, N, .daddr = (const uint8_t[]){ 192, 0, 2, 1 }, .dport = 40000) },
	    { UDP(OUT, N, .daddr = (const uint8_t[]){ 192, 0, 2, 1 }, .dport = 40000) } } },
	{ "SCTP by its ports",
	  { { SCTP(OUT, N) },
	    { SCTP(IN, E), .after = 29 },
	    { SCTP(IN, E), .after = 209 },
	    { SCTP(OUT, N), .after = 211 } } },
	{ "GRE: addresses only",
	  { { PROTO(47, IN, N) }, { PROTO(47, OUT, E), .after = 599 }, { PROTO(47, IN, N), .after = 601 } } },
	{ "ICMP in IPv6, ICMPv6 in IPv4",
	  { { PROTO(1, OUT, I, .family = 6) },
	    { PROTO(1, OUT, I, .family = 6, .type = 8) },
	    { PROTO(58, IN, I, .type = 135) },
	    { PROTO(58, OUT, I, .type = 128) } } },
	/* ---- ICMP ---- */
	{ "ping",
	  { { ICMP(8, OUT, N) }, { ICMP(8, OUT, N) }, { ICMP(0, IN, E) }, { ICMP(8, OUT, E) }, { ICMP(0, IN, E) } } },
	{ "ping over IPv6",
	  { { ICMPV6(128, IN, N) },
	    { ICMPV6(129, OUT, E) },
	    { ICMPV6(129, IN, I) },
	    { ICMPV6(129, OUT, E), .after = 29 },
	    { ICMPV6(129, OUT, I), .after = 31 } } },
	{ "an answer to nothing", { { ICMP(0, IN, I) }, { ICMP(0, OUT, I) }, { ICMPV6(129, IN, I) } } },
	{ "the answer to another",
	  { { ICMP(8, OUT, N) }, { ICMP(0, IN, I, .ident = 2) }, { ICMP(14, IN, I) }, { ICMP(0, IN, E) } } },
	{ "the other questions",
	  { { ICMP(13, OUT, N) },
	    { ICMP(14, IN, E) },
	    { ICMP(15, OUT, N) },
	    { ICMP(16, IN, E) },
	    { ICMP(17, OUT, N) },
	    { ICMP(18, IN, E) },
	    { ICMPV6(139, OUT, N) },
	    { ICMPV6(140, IN, E) } } },
	{ "both ping with one identifier",
	  { { ICMP(8, OUT, N) }, { ICMP(8, IN, N) }, { ICMP(0, IN, E) }, { ICMP(0, OUT, E) } } },
	{ "the same, and it is the type of the question",
	  { { ICMP(8, OUT, N, .ident = 8) },
	    { ICMP(8, IN, I, .ident = 8) },
	    { ICMP(0, OUT, I, .ident = 8) },
	    { ICMP(0, IN, E, .ident = 8) } } },
	{ "types that are neither",
	  { { ICMP(9, OUT, I) },
	    { ICMP(40, IN, I) },
	    { ICMPV6(0, IN, I) },
	    { ICMPV6(5, IN, I) },
	    { ICMPV6(138, IN, I) },
	    { ICMPV6(142, IN, I) } } },
	{ "neighbours and groups",
	  { { ICMPV6(130, IN, Q) },
	    { ICMPV6(133, OUT, Q) },
	    { ICMPV6(135, IN, Q) },
	    { ICMPV6(137, IN, Q) },
	    { ICMPV6(143, OUT, Q) } } },
	/* ---- ICMP errors ---- */
	{ "an error for a packet of a flow",
	  { { UDP(OUT, N) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 17) },
	    { ICMP(4, IN, L), QUOTE(OUT, .proto = 17) },
	    { ICMP(5, IN, L), QUOTE(OUT, .proto = 17) },
	    { ICMP(11, IN, L), QUOTE(OUT, .proto = 17) },
	    { ICMP(12, IN, L), QUOTE(OUT, .proto = 17) } } },
	{ "of another flow, or one that is over",
	  { { UDP(OUT, N) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17, .dport = 81) },
	    { ICMP(3, IN, I), QUOTE(OUT) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 17), .after = 29 },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17), .after = 2 } } },
	{ "an error tells the sender, nobody else",
	  { { UDP(OUT, N) },
	    { ICMP(3, IN, I), QUOTE(IN, .proto = 17) },
	    { ICMP(3, OUT, L), QUOTE(IN, .proto = 17) },
	    { ICMP(3, OUT, I), QUOTE(OUT, .proto = 17) } } },
	{ "an error from a router on the way",
	  { { TCP(OUT, S, 1000, 0, 0, N) },
	    { ICMP(11, IN, L, .saddr = (const uint8_t[]){ 203, 0, 113, 9 }),
	      QUOTE(OUT, .options = 3, .tcp_options = 4) } } },
	{ "an error for a ping, and for an answer",
	  { { ICMP(8, OUT, N) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 1, .type = 8) },
	    { ICMP(3, OUT, L), QUOTE(IN, .proto = 1, .type = 0) },
	    { ICMP(3, OUT, I), QUOTE(IN, .proto = 1, .type = 8) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 1, .type = 3) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 1, .type = 9) } } },
	{ "quotes that end early",
	  { { UDP(OUT, N) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 17), .quote_bytes = 28 },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17), .quote_bytes = 27 },
	    { ICMP(3, IN, I, .pad = 20), QUOTE(OUT, .proto = 17), .quote_bytes = 27 },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17, .options = 1), .quote_bytes = 28 },
	    { ICMP(3, IN, I) } } },
	{ "quotes that lie",
	  { { UDP(OUT, N) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17), LIE(L3, 0, 1, 0x65) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17), LIE(L3, 0, 1, 0x44) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17), LIE(L3, 0, 1, 0x4f) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 17), LIE(L3, 2, 2, 0xffff) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 17), LIE(L3, 6, 2, 1) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 17), LIE(L3, 6, 2, 0x2000) } } },
	{ "an IP header that is too short, where only addresses count",
	  { { PROTO(47, OUT, N) },
	    { ICMP(3, IN, I), QUOTE(OUT, .proto = 47, .payload = 20), LIE(L3, 0, 1, 0x44) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 47, .payload = 20) } } },
	{ "errors of IPv6",
	  { { UDP(OUT, N, .family = 6) },
	    { ICMPV6(1, IN, L), QUOTE(OUT, .family = 6, .proto = 17) },
	    { ICMPV6(2, IN, L), QUOTE(OUT, .family = 6, .proto = 17) },
	    { ICMPV6(3, IN, L), QUOTE(OUT, .family = 6, .proto = 17) },
	    { ICMPV6(4, IN, L), QUOTE(OUT, .family = 6, .proto = 17) },
	    { ICMPV6(1, IN, I), QUOTE(OUT, .family = 6, .proto = 17), .quote_bytes = 47 },
	    { ICMPV6(1, IN, I), QUOTE(OUT, .proto = 17), .quote_bytes = 60 },
	    { ICMPV6(1, IN, I), QUOTE(OUT, .family = 6, .proto = 17, .ext = { { EXT_HOP } }), .quote_bytes = 60 } } },
	{ "an error does not keep a flow, nor begin one",
	  { { PROTO(47, OUT, N) },
	    { ICMP(3, IN, L), QUOTE(OUT, .proto = 47), .after = 500 },
	    { PROTO(47, IN, N), .after = 101 },
	    { ICMP(3, OUT, I), QUOTE(OUT, .proto = 17) } } },
	{ "an error says of a new connection what it is",
	  { { TCP(OUT, S, 1000, 0, 0, N) }, { ICMP(3, IN, L), QUOTE(OUT) }, { TCP(IN, S | A, 5000, 1001, 0, E) } } },
	/* ---- what has no flow ---- */
	{ "what is not IP", { { .way = IN, .said = Q, .packet = { .family = -1, .etype = 0x0806, .payload = 28 } } } },
	{ "later fragments, and the first one",
	  { { UDP(OUT, N) },
	    { UDP(IN, I, .frag_offset = 100) },
	    { UDP(IN, E, .more = true) },
	    { .way = IN,
	      .said = I,
	      .packet = { .family = 6, .proto = 58, .type = 135, .ext = { { EXT_FRAGMENT, .frag = 800 } } } } } },
};

/* ---- a policy of two filters: the first rule drops by mark, the second asks ---- */

#define ONE(kind, number)                                                                                              \
	&(struct element)                                                                                              \
	{                                                                                                              \
		.part = &(struct range)                                                                                \
		{                                                                                                      \
			.lo = { { number } }, .hi = { { number } }                                                     \
		}                                                                                                      \
	}

static struct item is_marked = {
	.condition = { .n_fields = 1, .field = { FIELD_META_MARK }, .elements = ONE(0, 1), .n_elements = 1 }
};
static struct item is_invalid = { .condition = { .n_fields = 1,
						 .field = { FIELD_CT_STATE },
						 .elements = ONE(0, POLICY_CT_INVALID),
						 .n_elements = 1 } };
static struct rule rules[] = {
	{ .items = &is_marked, .n_items = 1, .verdict = POLICY_DROP },
	{ .items = &is_invalid, .n_items = 1, .verdict = POLICY_DROP },
};
static struct filter_device eth0 = { .device = 0 };
static struct filter filters[] = {
	{ "in", .hook = POLICY_TC_INGRESS, .devices = &eth0, .n_devices = 1, .default_verdict = POLICY_ACCEPT,
	  .malformed = POLICY_DROP, .fragments = FRAGMENTS_ACCEPT, .rules = rules, .n_rules = 2 },
	{ "out", .hook = POLICY_TC_EGRESS, .devices = &eth0, .n_devices = 1, .default_verdict = POLICY_ACCEPT,
	  .malformed = POLICY_DROP, .fragments = FRAGMENTS_ACCEPT, .rules = rules, .n_rules = 2 },
};
static const struct policy policy = {
	.filters = filters,
	.n_filters = 2,
	.devices = (const char *[]){ "eth0" },
	.n_devices = 1,
	.flows.time_ms = {
#define X(name, protocol, state, seconds) [FLOW_TIME_##name] = seconds * 1000ull,
		FLOW_TIMES(X)
#undef X
	},
};

/* ---- frames ---- */

static const uint8_t ours[4] = { 192, 0, 2, 1 }, theirs[4] = { 198, 51, 100, 1 };
static const uint8_t ours6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 }, theirs6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 2 };

/* A row's ports are ours and theirs, not source and destination. */
static struct frame_spec sent(const struct frame_spec *packet, enum way way)
{
	struct frame_spec s = *packet;
	const uint8_t *here = s.family == 6 ? ours6 : ours, *there = s.family == 6 ? theirs6 : theirs;
	uint16_t our_port = s.sport ? s.sport : 40000, their_port = s.dport ? s.dport : 80;

	s.saddr = s.saddr ? s.saddr : way == IN ? there : here;
	s.daddr = s.daddr ? s.daddr : way == IN ? here : there;
	s.sport = way == IN ? their_port : our_port;
	s.dport = way == IN ? our_port : their_port;
	return s;
}

static void make(struct frame *ret, const struct step *step)
{
	static struct frame quoted;
	struct frame_spec s;
	unsigned int bytes;

	if (step->quote) {
		s = sent(step->quote, step->quoted);
		if (step->quote_lie)
			s.pokes[0] = *step->quote_lie;
		frame_make(&quoted, &s);
	}
	s = sent(&step->packet, step->way);
	if (step->quote) {
		bytes = step->quote_bytes ? step->quote_bytes : quoted.l4 + 8 - quoted.l3;
		s.data = quoted.bytes + quoted.l3;
		s.n_data = bytes;
	}
	frame_make(ret, &s);
}

static void play(const struct conversation *c)
{
	struct model_state *state = model_state_new(&policy);
	uint64_t now = 1000000000000;
	static struct frame frame;

	for (const struct step *step = c->step; step->way != END; step++) {
		struct model_frame mf;
		struct model_result r;

		make(&frame, step);
		now += step->after * 1000000000ull;
		mf = (struct model_frame){ .hook = step->way == IN ? POLICY_TC_INGRESS : POLICY_TC_EGRESS,
					   .bytes = frame.bytes,
					   .length = frame.length,
					   .wire_length = frame.wire_length,
					   .iif = step->way == OUT  ? MODEL_NONE
						  : step->way == IN ? 0
								    : MODEL_ELSEWHERE,
					   .mark = step->dropped,
					   .skuid = -1,
					   .now_ns = now,
					   .ct = MODEL_NONE };
		r = model_judge(&policy, &mf, state, NULL);
		check(r.ct == (int)step->said, "%s: packet %td is %s, not %s", c->belief, step - c->step + 1,
		      r.ct < 0 ? "not judged" : policy_ct_word((enum policy_ct)r.ct), policy_ct_word(step->said));
		check((r.verdict == POLICY_DROP) == (step->dropped || step->said == POLICY_CT_INVALID),
		      "%s: packet %td has verdict %d", c->belief, step - c->step + 1, r.verdict);
	}
	model_state_free(state);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(conversations) / sizeof(*conversations); i++)
		play(&conversations[i]);
	printf("%zu conversations\n", sizeof(conversations) / sizeof(*conversations));
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
