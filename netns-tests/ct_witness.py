#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The kernel's conntrack as an independent witness: the same packets, the same `ct state`.

    ct_witness.py [CONVERSATIONS [SEED]]

Two worlds get the same frames, one at a time: each is sent when the one before has come out. Both tell the state of
each frame by how it comes out:

    wire ns:  wa ----> in0 :weir ns: in1 <---- wb         redirected to the device of its state:  s_new, s_est, ...
    wire ns:  na ----> in0 :nft ns:  in1 <---- nb         forwarded, the state in its DSCP

a and b are the two sides of the conversations. Packets carry their number, as identification (IPv4) or flow label (IPv6).
weir runs twice: at XDP, and at TC, where the devices s_... are tracked, too: there each packet is seen twice, on its way
in and on its way out, as on a router.

Half of the conversations are the scripts below, the others random: packets lost in front of both or behind both, sent
twice, in another order, with forged ones in between. Where the two say something else, and why, stands in KNOWN; all
of these are explained in docs/decisions/0011-flows.md.

	ct_witness.py [CONVERSATIONS [SEED]]
"""
import ipaddress
import os
import random
import select
import struct
import sys
import time

import lab
from frame import ether, ip4, ip6, transport

CONVERSATIONS = 200
STATES = ["established", "related", "new", "untracked", "invalid"]  # as DSCP: number + 1
DEVICES = ["s_est", "s_rel", "s_new", "s_unt", "s_inv"]
A_MAC, B_MAC, IN0_MAC, IN1_MAC = ("02:00:00:00:0a:%02x" % n for n in (1, 2, 3, 4))
M32 = 0xFFFFFFFF


# ---- packets ----


class Packet:
    def __init__(self, side, proto, saddr, daddr, note, kinds=(), **how):
        self.side, self.proto, self.note, self.kinds, self.how = side, proto, note, set(kinds), how
        self.saddr, self.daddr = ipaddress.ip_address(saddr), ipaddress.ip_address(daddr)

    def ip(self, number):
        """The IP packet."""
        kind = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(self.proto, "raw")
        how = dict(self.how)
        link = {k: how.pop(k) for k in ("ttl",) if k in how}
        body = transport(kind, self.saddr, self.daddr, **how)
        if self.saddr.version == 4:
            return ip4(body, self.saddr, self.daddr, self.proto, ident=number & 0xFFFF, **link)
        return ip6(body, self.saddr, self.daddr, self.proto, ident=number & 0xFFFFF, **link)

    def frame(self, number):
        src, dst = (A_MAC, IN0_MAC) if self.side == "a" else (B_MAC, IN1_MAC)
        return ether(self.ip(number), 0x0800 if self.saddr.version == 4 else 0x86DD, src=src, dst=dst)


def number_of(data):
    """The number of a frame that came out, and its DSCP."""
    kind = data[12:14]
    if kind == b"\x08\x00":
        return struct.unpack("!H", data[18:20])[0], data[15] >> 2
    if kind == b"\x86\xdd":
        word = struct.unpack("!I", data[14:18])[0]
        return word & 0xFFFFF, word >> 22 & 63
    return None, None


# ---- conversations ----


class Talk:
    """Two ends and what they say; a packet is what one says, right or wrong."""

    def __init__(self, r, number, family):
        self.r, self.family = r, family
        self.address = {"a": ("10.10.0.%d" if family == 4 else "fd0a::%x") % r.randint(1, 9),
                        "b": ("10.11.0.%d" if family == 4 else "fd0b::%x") % r.randint(1, 9)}
        # No two conversations have the same ends.
        self.port = {"a": 1024 + number % 60000, "b": r.choice([22, 53, 80, 443, 8080])}
        self.packets = []

    def add(self, side, proto, note, kinds=(), to=None, **how):
        other = "b" if side == "a" else "a"
        packet = Packet(side, proto, self.address[side], to or self.address[other], note, kinds, **how)
        self.packets.append(packet)
        return packet

    # -- not TCP --

    def udp(self, side, n=20):
        other = "b" if side == "a" else "a"
        return self.add(side, 17, "udp", sport=self.port[side], dport=self.port[other], payload=b"u" * n)

    def icmp(self, side, kind, code=0, ident=None, data=b"ping"):
        return self.add(side, 1 if self.family == 4 else 58, "icmp %d/%d" % (kind, code), icmp=(kind, code),
                        rest=(self.port["a"] if ident is None else ident) << 16 | 1, payload=data)

    def ask(self, side, **how):
        return self.icmp(side, 8 if self.family == 4 else 128, **how)

    def answer(self, side, **how):
        return self.icmp(side, 0 if self.family == 4 else 129, **how)

    def other(self, side, proto):
        return self.add(side, proto, "protocol %d" % proto, payload=b"o" * 24)

    def error(self, side, about, kind="unreachable", cut=None, to=None, kinds=()):
        """An ICMP error about a packet, from somebody behind `side`, to who sent it."""
        types = {"unreachable": ((3, 1), (1, 3)), "too-big": ((3, 4), (2, 0)), "exceeded": ((11, 0), (3, 0)),
                 "parameter": ((12, 0), (4, 0)), "quench": ((4, 0), (1, 0)), "redirect": ((5, 1), (1, 0))}[kind]
        quote = about.ip(0)[: cut or (28 if self.family == 4 else 48)]
        router = ("10.11.0.99" if side == "b" else "10.10.0.99") if self.family == 4 else (
            "fd0b::99" if side == "b" else "fd0a::99")
        packet = Packet(side, 1 if self.family == 4 else 58, router, to or about.saddr, "error %s about %s" % (kind, about.note),
                        kinds, icmp=types[0 if self.family == 4 else 1], rest=0, payload=quote)
        self.packets.append(packet)
        return packet

    # -- TCP --

    def open(self, scale=("a", "b"), isn=None, window=64240):
        """Both ends as they are before a connection."""
        self.nxt = isn or {"a": self.r.getrandbits(32), "b": self.r.getrandbits(32)}
        self.rcv = {"a": None, "b": None}
        self.window = {"a": window, "b": window}
        self.scale = {side: 7 if side in scale else None for side in "ab"}
        self.fin = {"a": False, "b": False}

    def tcp(self, side, flags, length=0, seq=0, ack=0, window=None, forged=False, kinds=(), note=None, absolute=None):
        """seq and ack are beside the right ones. A forged packet leaves the ends as they were."""
        other = "b" if side == "a" else "a"
        at = self.nxt[side] + seq if absolute is None else absolute
        acknowledged = ((self.rcv[side] or 0) + ack) if "A" in flags else 0
        options = struct.pack("!BBBB", 1, 3, 3, self.scale[side]) if "S" in flags and self.scale[side] is not None else b""
        if window is None:
            window = self.window[side]
            if "S" not in flags and self.scale["a"] is not None and self.scale["b"] is not None:
                window >>= 7
        note = note or "%s%s %s%s%s%s" % ("forged " if forged else "", side, flags, " %d bytes" % length if length else "",
                                         " seq%+d" % seq if seq else "", " ack%+d" % ack if ack else "")
        packet = self.add(side, 6, note, kinds, sport=self.port[side], dport=self.port[other], flags=flags, seq=at, ack=acknowledged,
                          window=min(window, 65535), tcp_options=options, payload=b"d" * length)
        if not forged:
            self.nxt[side] = (at + length + ("S" in flags) + ("F" in flags)) & M32
            self.rcv[other] = self.nxt[side]
            self.fin[side] |= "F" in flags
        return packet

    def again(self, packet):
        self.packets.append(packet)

    def handshake(self, **how):
        self.open(**how)
        return [self.tcp("a", "S"), self.tcp("b", "SA"), self.tcp("a", "A")]

    def exchange(self, n=2, most=1400):
        for _ in range(n):
            side = self.r.choice("ab")
            self.tcp(side, "PA", self.r.randint(1, most))
            self.tcp("b" if side == "a" else "a", "A")

    def close(self, first="a"):
        second = "b" if first == "a" else "a"
        self.tcp(first, "FA")
        self.tcp(second, "A")
        self.tcp(second, "FA")
        self.tcp(first, "A")


# ---- the scripts ----


def s_whole_connection(t):
    t.handshake()
    t.exchange(4)
    t.close(t.r.choice("ab"))


def s_no_scale(t):
    t.handshake(scale=t.r.choice([(), ("a",), ("b",)]))
    t.exchange(3)
    t.close("b")


def s_syn_again(t):
    t.open()
    syn = t.tcp("a", "S")
    t.again(syn)
    t.again(syn)
    answer = t.tcp("b", "SA")
    t.again(answer)
    t.tcp("a", "A")
    t.again(answer)
    t.again(syn)
    t.exchange()


def s_nobody_answers(t):
    t.open()
    for _ in range(3):
        t.tcp("a", "S", forged=True)


def s_refused(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "RA")
    t.tcp("b", "RA", forged=True)


def s_refused_then_again(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "RA")
    t.handshake()
    t.exchange()


def s_reset_without_ack_answers_syn(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "R", forged=True)
    t.tcp("b", "SA")
    t.tcp("a", "A")


def s_wrong_answers_to_syn(t):
    t.open()
    t.tcp("a", "S")
    for off in (1, -1, 1000, -1000, 1 << 31):
        t.tcp("b", "SA", ack=off, forged=True)
        t.tcp("b", "RA", ack=off, forged=True)
    t.tcp("b", "SA")
    t.tcp("a", "A")
    t.exchange()


def s_answer_without_question(t):
    t.open()
    t.tcp("b", "SA")
    t.tcp("a", "R", forged=True)
    t.tcp("a", "A", forged=True)


def s_stray_segments(t):
    t.open()
    for flags in ("A", "PA", "FA", "RA", "R", "SA", "F", "", "FPU", "SF", "SR", "FR", "SFA", "PAU", "U", "P"):
        t.tcp(t.r.choice("ab"), flags, forged=True)


def s_odd_flags_inside(t):
    t.handshake()
    t.exchange(1)
    for flags in ("F", "", "FPU", "SF", "SR", "FR", "SFA", "U", "P", "PAU", "FRA", "SRA"):
        t.tcp(t.r.choice("ab"), flags, forged=True)
    t.exchange(1)


def s_both_begin(t):
    """Simultaneous open."""
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "S")
    t.rcv["a"], t.rcv["b"] = t.nxt["b"], t.nxt["a"]
    t.tcp("a", "SA", seq=-1)
    t.tcp("b", "SA", seq=-1)
    t.tcp("a", "A")
    t.exchange()


def s_both_close(t):
    """Simultaneous close."""
    t.handshake()
    t.exchange(1)
    a, b = t.rcv["a"], t.rcv["b"]
    t.tcp("a", "FA")
    t.rcv["b"] = b
    t.tcp("b", "FA")
    t.rcv["b"] = t.nxt["a"]
    t.rcv["a"] = t.nxt["b"]
    t.tcp("a", "A")
    t.tcp("b", "A")


def s_half_closed(t):
    t.handshake()
    t.tcp("a", "FA")
    t.tcp("b", "A")
    for _ in range(4):
        t.tcp("b", "PA", 900)
        t.tcp("a", "A")
    t.tcp("b", "FA")
    t.tcp("a", "A")


def s_fin_again(t):
    t.handshake()
    t.exchange(1)
    fin = t.tcp("a", "FA")
    t.again(fin)
    t.tcp("b", "A")
    t.again(fin)
    second = t.tcp("b", "FA")
    t.again(second)
    last = t.tcp("a", "A")
    t.again(second)
    t.again(last)


def s_fin_before_ack(t):
    """The one who is asked closes at once."""
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "SA")
    t.tcp("b", "FA")
    t.tcp("a", "A")
    t.tcp("a", "FA")
    t.tcp("b", "A")


def s_data_before_answer(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("a", "PA", 100, forged=True)
    t.tcp("a", "A", forged=True)
    t.tcp("b", "SA")
    t.tcp("a", "A")


def s_late_segments(t):
    t.handshake()
    t.exchange(3)
    t.close()
    t.tcp("b", "PA", 100, seq=-1000, forged=True)
    t.tcp("a", "A", forged=True)
    t.tcp("a", "R", forged=True)
    t.tcp("b", "A", forged=True)


def s_port_again_after_close(t):
    t.handshake()
    t.exchange(1)
    t.close()
    t.handshake()
    t.exchange(2)
    t.close("b")


def s_port_again_from_other_side(t):
    t.handshake()
    t.close()
    t.open()
    t.tcp("b", "S")
    t.tcp("a", "SA")
    t.tcp("b", "A")
    t.exchange(2)


def s_port_again_after_reset(t):
    t.handshake()
    t.tcp(t.r.choice("ab"), "R")
    t.handshake()
    t.exchange(2)


def s_syn_inside(t):
    """A new SYN while the connection lives: it is not believed."""
    t.handshake()
    t.exchange(1)
    t.tcp("a", "S", absolute=t.r.getrandbits(32), forged=True)
    t.exchange(1)
    t.tcp("b", "S", absolute=t.r.getrandbits(32), forged=True)
    t.exchange(1)


def s_begins_again_while_open(t):
    """One end has forgotten the connection, the other begins it again."""
    t.handshake()
    t.exchange(1)
    t.handshake()
    t.exchange(1)


def s_forgotten_by_who_asked(t):
    """Half open: the answer to the new SYN is an ACK of the old connection, which the one who asked resets."""
    t.open()
    t.tcp("a", "S", forged=True)
    old = t.r.getrandbits(32)
    t.tcp("b", "A", absolute=t.r.getrandbits(32), ack=old, forged=True)
    t.tcp("a", "R", absolute=old, forged=True)
    t.handshake()
    t.exchange(1)


def s_syn_ack_inside(t):
    t.handshake()
    t.tcp("b", "SA", absolute=t.r.getrandbits(32), forged=True)
    t.tcp("a", "SA", absolute=t.r.getrandbits(32), forged=True)
    t.exchange(1)


def s_reset(t):
    t.handshake()
    t.exchange(2)
    t.tcp("a", "RA")
    t.tcp("b", "A", forged=True)
    t.tcp("b", "PA", 10, forged=True)


def s_reset_out_of_window(t):
    t.handshake()
    t.exchange(2)
    for off in (1 << 20, -(1 << 20), 1 << 30, -(1 << 30)):
        t.tcp("a", "R", seq=off, forged=True)
        t.tcp("b", "RA", seq=off, forged=True)
    t.exchange(1)


def s_data_out_of_window(t):
    t.handshake()
    t.exchange(2)
    for off in (1 << 20, -(1 << 20), 1 << 30, -(1 << 30)):
        t.tcp("a", "PA", 100, seq=off, forged=True)
        t.tcp("b", "A", seq=off, forged=True)
    t.exchange(1)


def s_ack_out_of_window(t):
    t.handshake()
    t.exchange(2)
    for off in (1, 2, 1000, 1 << 20, -(1 << 20), 1 << 30, -(1 << 30)):
        t.tcp("a", "A", ack=off, forged=True)
        t.tcp("b", "PA", 100, ack=off, forged=True)
    t.exchange(1)


def s_zero_window(t):
    t.handshake(window=4096)
    t.tcp("a", "PA", 1000)
    t.tcp("b", "A", window=0)
    t.tcp("a", "A", seq=-1, forged=True)  # a probe
    t.tcp("b", "A", window=0)
    t.tcp("a", "PA", 1, forged=True)      # Linux sends one byte more
    t.tcp("b", "A")
    t.tcp("a", "PA", 1000)
    t.tcp("b", "A")


def s_overrun(t):
    """More than the window, by a little and by a lot."""
    t.handshake(window=8192)
    for _ in range(7):
        t.tcp("a", "PA", 1400)
    t.tcp("b", "A")
    t.tcp("a", "PA", 1400, seq=40000, forged=True)
    t.exchange(1)


def s_keepalive(t):
    t.handshake()
    t.exchange(1)
    for side in "abab":
        t.tcp(side, "A", seq=-1, forged=True)
        t.tcp("b" if side == "a" else "a", "A")


def s_large_transfer(t):
    t.handshake(window=0x20000)
    for _ in range(20):
        for _ in range(t.r.randint(1, 10)):
            t.tcp("b", "A", 1400)
        t.tcp("a", "A")
    t.close("b")


def s_wraps(t):
    """Sequence numbers beyond 2^32."""
    t.handshake(isn={"a": M32 - 1000, "b": M32 - 2000})
    for _ in range(4):
        t.tcp("a", "PA", 700)
        t.tcp("b", "A")
        t.tcp("b", "PA", 700)
        t.tcp("a", "A")
    t.close()


def s_udp(t):
    for side in t.r.choice(["aab", "abab", "abbba", "aaaa", "ba", "bab"]):
        t.udp(side)


def s_echo(t):
    for _ in range(3):
        t.ask("a")
        t.answer("b")
    t.answer("b")


def s_echo_oddities(t):
    t.answer("a")
    t.ask("a")
    t.answer("a")
    t.ask("b")
    t.answer("b", ident=t.port["a"] + 1)
    t.answer("b")
    t.answer("a")
    t.ask("a")


def s_icmp_else(t):
    for kind, code in (((13, 0), (15, 0), (17, 0), (10, 0), (9, 0), (14, 0), (42, 0), (8, 1), (0, 1)) if t.family == 4 else
                       ((138, 0), (144, 0), (200, 0), (100, 0), (139, 0), (140, 0), (128, 1), (129, 1))):
        t.icmp("a", kind, code)


def s_queries(t):
    """Timestamp, information and address mask; node information."""
    for kind in (13, 15, 17) if t.family == 4 else (139,):
        t.icmp("a", kind)
        t.icmp("b", kind + 1)
        t.icmp("a", kind)
        t.icmp("a", kind + 1)


def s_neighbours(t):
    if t.family == 6:
        for kind in (133, 134, 135, 136, 130, 131, 132, 143):
            t.icmp("a", kind)


def errors_about(t, packet, side):
    """All errors about a packet, from behind `side`."""
    for kind in ("unreachable", "too-big", "exceeded", "parameter", "quench", "redirect"):
        t.error(side, packet, kind)


def s_errors(t):
    syn, answer, ack = t.handshake()
    t.exchange(1)
    errors_about(t, t.packets[-2], "b" if t.packets[-2].side == "a" else "a")
    errors_about(t, syn, "b")
    errors_about(t, answer, "a")
    t.error("b", syn, cut=60)
    t.exchange(1)


def s_errors_about_syn(t):
    t.open()
    syn = t.tcp("a", "S")
    t.error("b", syn)
    t.error("b", syn, "exceeded")


def s_errors_of_nothing(t):
    """About packets that were never sent."""
    t.open()
    ghost = t.tcp("a", "A", 100, forged=True)
    t.packets.remove(ghost)
    errors_about(t, ghost, "b")
    ghost = t.udp("a")
    t.packets.remove(ghost)
    t.error("b", ghost)
    ghost = t.ask("a")
    t.packets.remove(ghost)
    t.error("b", ghost)
    ghost = t.answer("b")
    t.packets.remove(ghost)
    t.error("a", ghost)


def s_errors_to_somebody_else(t):
    question = t.udp("a")
    t.udp("b")
    somebody = "10.10.0.77" if t.family == 4 else "fd0a::77"
    t.error("b", question, to=somebody)
    t.error("b", question)
    t.error("a", question, to=t.address["b"])


def s_errors_short(t):
    question = t.udp("a")
    least = 28 if t.family == 4 else 48
    for cut in (least - 1, least - 8, 10, least, least + 4):
        t.error("b", question, cut=cut)


def s_errors_about_datagrams(t):
    question = t.udp("a")
    errors_about(t, question, "b")
    answer = t.udp("b")
    errors_about(t, answer, "a")
    t.error("b", question)
    echo = t.ask("a")
    errors_about(t, echo, "b")
    reply = t.answer("b")
    errors_about(t, reply, "a")


def s_error_about_error(t):
    question = t.udp("a")
    error = t.error("b", question)
    t.error("a", error, cut=56 if t.family == 4 else 88)


def s_other_protocols(t):
    for proto in (50, 4, 89):
        t.other("a", proto)
        t.other("a", proto)
        t.other("b", proto)
        t.other("a", proto)


SCRIPTS = [f for name, f in sorted(globals().items()) if name.startswith("s_")]


# ---- random ones ----


def forge(t):
    """Something that somebody else says in between."""
    side = t.r.choice("ab")
    far = t.r.choice([1 << 22, -(1 << 22), 1 << 29, -(1 << 29)])
    what = t.r.randrange(9)
    if what == 0:
        t.tcp(side, "R", seq=far, forged=True)
    elif what == 1:
        t.tcp(side, t.r.choice(["A", "PA"]), t.r.randint(0, 500), seq=far, forged=True)
    elif what == 2:
        t.tcp(side, "A", ack=far, forged=True)
    elif what == 3:
        t.tcp(side, "S", absolute=t.r.getrandbits(32), forged=True)
    elif what == 4:
        t.tcp(side, "SA", absolute=t.r.getrandbits(32), forged=True)
    elif what == 5:
        t.tcp(side, t.r.choice(["", "F", "FPU", "SF", "SR", "P", "FR"]), forged=True)
    elif what == 6 and t.packets:
        about = t.r.choice(t.packets)
        if about.proto == 6:
            t.error("b" if about.side == "a" else "a", about, t.r.choice(["unreachable", "too-big", "exceeded"]))
    elif what == 7:
        t.tcp(side, "A", seq=-1, forged=True)
    elif what == 8 and t.packets:
        t.again(t.r.choice(t.packets))


def r_tcp(t):
    r = t.r
    for _ in range(r.choice([1, 1, 2, 3])):  # connections, one after another between the same ends
        t.handshake(scale=r.choice([("a", "b"), ("a", "b"), (), ("a",)]), window=r.choice([4096, 8192, 64240, 1 << 20]))
        for _ in range(r.randint(0, 6)):
            t.exchange(1, min(1400, t.window["a"]))
            if r.random() < 0.15:
                forge(t)
        end = r.random()
        if end < 0.7:
            t.close(r.choice("ab"))
        else:
            t.tcp(r.choice("ab"), r.choice(["R", "RA"]))
    lose(t)


def r_udp(t):
    sent = []
    for _ in range(t.r.randint(1, 8)):
        what = t.r.random()
        if what < 0.7 or not sent:
            sent.append(t.udp(t.r.choice("aab")))
        else:
            about = t.r.choice(sent)
            t.error("b" if about.side == "a" else "a", about, t.r.choice(["unreachable", "exceeded", "too-big"]))
    lose(t)


def r_icmp(t):
    for _ in range(t.r.randint(1, 8)):
        t.r.choice([t.ask, t.answer])(t.r.choice("ab"), ident=t.port["a"] + t.r.choice([0, 0, 0, 1]))
    lose(t)


def lose(t):
    """Packets that were lost on their way, came twice, or late."""
    r, out = t.r, []
    harm = r.choice([0, 0.02, 0.1, 0.3])
    for packet in t.packets:
        what = r.random() / harm if harm else 9
        if what < 0.4:
            continue
        out.append(packet)
        if what < 0.7:
            out.append(packet)
        elif what < 1 and len(out) > 1:
            out[-1], out[-2] = out[-2], out[-1]
    t.packets = out


def conversations(n, seed):
    """Talks, each with its packets."""
    r = random.Random(seed)
    scripts = SCRIPTS * (n // (2 * len(SCRIPTS)) + 1)
    found = []
    for number in range(n):
        one = random.Random(r.getrandbits(64))
        make = scripts[number // 2] if number % 2 == 0 else one.choice([r_tcp] * 6 + [r_udp, r_icmp])
        talk = Talk(one, number, 4 if number // 2 % 2 else 6)
        talk.name = make.__name__[2:]
        make(talk)
        found.append(talk)
    return found


def interleaved(talks, seed, at_once=8):
    """(talk, packet) of all, a few conversations going on at a time."""
    r = random.Random(seed)
    waiting, going = list(talks), []
    while waiting or going:
        while waiting and len(going) < at_once:
            going.append(iter([(waiting[0], p) for p in waiting[0].packets]))
            waiting.pop(0)
        one = r.choice(going)
        try:
            yield next(one)
        except StopIteration:
            going.remove(one)


# ---- what is known to differ ----


def behind(a, b):
    """a comes before b, as sequence numbers do."""
    return bool((a - b) & 0x80000000)


class Story:
    """What has been in a conversation so far, as far as the differences hang on it."""

    def __init__(self, parted=()):
        self.high = {}         # the highest sequence number that a side has sent
        self.allowed = {}      # and the one that the other side has allowed it
        self.scale = set()     # sides that have stated a window scale, which is 7
        self.began = None      # the side that began
        self.open = False      # that side has said more than its SYN
        self.closing = False   # a FIN was there
        self.asked = None      # the side whose SYN has no answer yet
        self.syn = None        # its sequence number
        self.given_up = False  # the side that asked has reset that, or asks anew
        self.refused = False   # a reset was that answer
        self.begins = False    # a SYN came into a connection that is there
        self.parted = set(parted)  # differences after which the two believe different things of the connection

    def tell(self, packet, by_weir, by_nft):
        flags = packet.how.get("flags")
        if flags is None or "error" in packet.note:
            return
        end = packet.how["seq"] + len(packet.how["payload"]) + ("S" in flags) + ("F" in flags)
        if flags == "S" and self.asked == packet.side and packet.how["seq"] != self.syn:
            self.given_up = True
            self.parted.add("begins-anew")
        if flags == "S":
            self.syn = packet.how["seq"]
        if flags == "S" and by_weir == "new":
            self.__init__(self.parted if by_nft != "new" or self.given_up else set())
            self.asked, self.began, self.syn = packet.side, packet.side, packet.how["seq"]
            if packet.how["tcp_options"]:
                self.scale.add(packet.side)
        elif flags == "S" and by_weir == by_nft:
            self.begins = True
        if self.asked == packet.side and "R" in flags and by_nft == "new":
            self.given_up = True
            self.parted.add("begins-anew")
        if by_nft != "established":
            return
        if not self.open and not self.asked and packet.side != self.began and packet.how["payload"]:
            self.parted.add("early-data")
        self.open |= not self.asked and packet.side == self.began
        self.closing |= "F" in flags
        answers = self.asked not in (None, packet.side)
        if answers:
            self.refused = "R" in flags
            if flags in ("SA", "R", "RA"):
                self.asked = None
        elif "R" in flags and by_weir == by_nft:
            self.parted.add("after-reset")
        if "forged" in packet.note:
            return
        other = "b" if packet.side == "a" else "a"
        if "S" in flags and packet.how["tcp_options"]:
            self.scale.add(packet.side)
        if "A" in flags:
            window = packet.how["window"] << (7 if len(self.scale) == 2 and "S" not in flags else 0)
            allowed = packet.how["ack"] + max(window, 1) & M32
            if other not in self.allowed or behind(self.allowed[other], allowed):
                self.allowed[other] = allowed
        if packet.side not in self.high or (answers and "S" in flags) or ("S" not in flags and behind(self.high[packet.side], end)):
            self.high[packet.side] = end & M32


def flags_of(packet):
    return packet.how.get("flags") if packet.proto == 6 else None


def is_answer(story, packet):
    return story.asked not in (None, packet.side)


def is_half_open(story, packet):
    if is_answer(story, packet):
        return flags_of(packet) in ("A", "PA")
    return flags_of(packet) in ("R", "RA") and packet.side == story.asked


# (name, weir's words, nft's words, whether it is about this packet, whether more differences follow from it, why)
# docs/decisions/0011-flows.md has them, too. All were seen on 6.18.
KNOWN = [
    ("begins-again", ("invalid", "established"), ("established", "invalid", "new"), lambda s, p: s.begins and flags_of(p), True,
     "one side has forgotten the connection: the kernel notes that SYN, and a right answer begins the flow anew"),
    ("half-open", ("new", "established"), ("established", "invalid"), is_half_open, True,
     "the side whose SYN has no answer may reset what it knows of an older connection, and an ACK of that is no answer yet"),
    ("syn-ack-back", ("established",), ("invalid",), lambda s, p: flags_of(p) == "SA", False,
     "an answer to a SYN from the side that began, before the connection is open, is not held against the window"),
    ("unopened", ("established",), ("invalid",),
     lambda s, p: not s.open and p.side != s.began and flags_of(p) in ("A", "PA", "FA"), True,
     "before the side that began has answered, the kernel knows less of the windows"),
    ("syn-back", ("established",), ("invalid",), lambda s, p: flags_of(p) == "S", False,
     "a SYN from the side that did not begin, before the connection is open, is invalid to the kernel"),
    ("bare-reset", ("invalid",), ("established",), lambda s, p: is_answer(s, p) and flags_of(p) == "R", True,
     "a reset without ack is no answer to a SYN; the kernel believes it"),
    ("early-answer", ("invalid",), ("established",), lambda s, p: is_answer(s, p) and flags_of(p) == "SA", True,
     "an answer that does not acknowledge the SYN; the kernel believes older acknowledgements"),
    ("refused", ("established",), ("invalid",), lambda s, p: s.refused and flags_of(p), False,
     "the kernel forgets a flow whose only answer is a reset at once, weir after timeout close"),
    ("begins-anew", ("new",), ("established", "invalid"), lambda s, p: flags_of(p) == "S", True,
     "a SYN after TIME_WAIT or CLOSE always begins anew; in the kernel only if the other side closed, or the same one reset"),
    ("closing-reset", ("invalid",), ("established", "new"),
     lambda s, p: flags_of(p) in ("R", "RA") and (s.closing or not s.open or "forged" not in p.note), True,
     "while a connection begins or ends, the kernel believes a reset from outside of the window"),
    ("reset-ack", ("established", "new"), ("invalid",), lambda s, p: flags_of(p) == "RA", True,
     "a reset is told by its sequence number alone, not by its acknowledgement"),
    ("short-quote", ("invalid",), ("related",),
     lambda s, p: "error" in p.note and len(p.how["payload"]) < (28 if p.saddr.version == 4 else 48), False,
     "an error must quote 8 bytes behind the IP header; four are enough for the kernel"),
]


def explanation(story, packet, by_weir, by_nft):
    for name, weir, nft, about, lasting, _ in KNOWN:
        if by_weir in weir and by_nft in nft and about(story, packet):
            if lasting:
                story.parted.add(name)
            return name
    return "follows" if story.parted and by_nft is not None else None


# ---- the two worlds ----


class Weir:
    """One namespace with two devices in and one out for each state."""

    def __init__(self, world, wire, hook):
        self.space = world.space("weir")
        for far, near, mac in (("wa", "in0", IN0_MAC), ("wb", "in1", IN1_MAC)):
            world.veth(wire, far, self.space, near, mac_b=mac)
        self.entry = {"a": wire.wire("wa"), "b": wire.wire("wb")}
        self.exits = []
        for device in DEVICES:
            world.veth(self.space, device, wire, "x" + device)
            wire.run("ethtool", "-K", "x" + device, "gro", "on")  # a veth takes redirected frames only from a NAPI
            self.exits.append(wire.wire("x" + device))
        devices = ["in0", "in1"] + (DEVICES if hook == "ingress tc" else [])
        self.space.weir("apply", "-", expect=0, stdin="filter witness { hook %s; device %s; default drop\n%s}\n" % (
            hook, ", ".join(devices), "".join("\tct state %s redirect to %s\n" % pair for pair in zip(STATES, DEVICES))))

    def word(self, index, data):
        return STATES[index]


class Nft:
    """A router that writes the state into each packet."""

    def __init__(self, world, wire):
        self.space = space = world.space("nft")
        for far, near, mac_far, mac in (("na", "in0", A_MAC, IN0_MAC), ("nb", "in1", B_MAC, IN1_MAC)):
            world.veth(wire, far, space, near, mac_a=mac_far, mac_b=mac, ipv6=True)
            wire.sysctl("ipv6/conf/%s/disable_ipv6" % far, 1)
        space.sysctl("ipv4/ip_forward", 1)
        space.sysctl("ipv6/conf/all/forwarding", 1)
        for name in ("all", "in0", "in1"):
            space.sysctl("ipv4/conf/%s/rp_filter" % name, 0)
            space.sysctl("ipv4/conf/%s/send_redirects" % name, 0)
        for device, net4, net6, mac in (("in0", "10.10.0.254/24", "fd0a::fe/64", A_MAC), ("in1", "10.11.0.254/24", "fd0b::fe/64", B_MAC)):
            space.ip("addr", "add", net4, "dev", device)
            space.ip("addr", "add", net6, "dev", device, "nodad")
            for host in [*range(1, 10), 77, 99]:
                space.ip("neigh", "add", net4.replace("254/24", str(host)), "lladdr", mac, "dev", device)
                space.ip("neigh", "add", net6.replace("fe/64", str(host)), "lladdr", mac, "dev", device)
        marks = "".join("\t\tct state %s %s dscp set %d\n" % (state, family, i + 1) for i, state in enumerate(STATES)
                        for family in ("ip", "ip6"))
        if not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_max"):
            lab.skip("this kernel has no conntrack")
        space.run("nft", "-f", "-", input="table inet witness { chain c {\n\t\ttype filter hook forward priority 0\n%s\t}\n}\n" % marks)
        space.sysctl("netfilter/nf_conntrack_tcp_loose", 0)
        self.entry = {"a": wire.wire("na"), "b": wire.wire("nb")}
        self.exits = [self.entry["a"], self.entry["b"]]

    def word(self, index, data):
        dscp = number_of(data)[1]
        return STATES[dscp - 1] if 1 <= dscp <= len(STATES) else "dscp %d" % dscp


def pass_through(side, packet, number):
    """The word for a frame, or None: it has not come out."""
    side.entry[packet.side].send(packet.frame(number))
    end = time.monotonic() + 0.25
    while time.monotonic() < end:
        ready, _, _ = select.select([e.socket for e in side.exits], [], [], 0.25)
        for index, exit_ in enumerate(side.exits):
            if exit_.socket in ready:
                data = exit_.seen()
                if data is not None and number_of(data)[0] == number:
                    return side.word(index, data)
    return None


# ---- the comparison ----


def show(talk, seen, words):
    print("difference in '%s', IPv%d:" % (talk.name, talk.family))
    for (packet, weir, nft), known in zip(seen, words):
        numbers = "%10d %10d %5d" % tuple(packet.how[k] for k in ("seq", "ack", "window")) if "flags" in packet.how else ""
        print("    %-36s %-28s weir %-12s nft %-12s %s" % (packet.note, numbers, weir, nft, known or ""))
    sys.stdout.flush()


def compare(hook, n, seed, tally):
    with lab.World() as world:
        wire = world.space("wire")
        weir = Weir(world, wire, hook)
        nft = Nft(world, wire)
        talks = conversations(n, seed)
        seen = {talk: [] for talk in talks}
        for number, (talk, packet) in enumerate(interleaved(talks, seed), 1):
            words = [pass_through(side, packet, number & 0xFFFF) for side in (weir, nft)]
            seen[talk].append((packet, *words))
        for talk in talks:
            differs, story, words = False, Story(), []
            for packet, by_weir, by_nft in seen[talk]:
                tally["states"][by_nft] = tally["states"].get(by_nft, 0) + 1
                known = by_weir != by_nft and explanation(story, packet, by_weir, by_nft)
                story.tell(packet, by_weir, by_nft)
                if by_weir == by_nft:
                    tally["passed"] += 1
                elif known:
                    tally["explained"][known] = tally["explained"].get(known, 0) + 1
                else:
                    tally["failed"] += 1
                    differs = True
                    known = "NOT EXPLAINED"
                words.append(known)
            if differs:
                tally["shown"] += 1
                if tally["shown"] <= 12:
                    show(talk, seen[talk], words)


def main():
    words = [int(word) for word in sys.argv[1:]]
    n, seed = (words + [CONVERSATIONS, 1][len(words) :])[:2]
    print("%d conversations, seed %d" % (n, seed), flush=True)
    tally = {"passed": 0, "failed": 0, "shown": 0, "explained": {}, "states": {}}
    for hook in ("ingress", "ingress tc"):
        before = time.monotonic()
        compare(hook, n, seed, tally)
        print("%s: %.1f s" % (hook, time.monotonic() - before))
    print("nft said:", ", ".join("%s %d" % pair for pair in sorted(tally["states"].items(), key=str)))
    for name, *_, why in KNOWN + [("follows", "what comes behind such a packet, in a connection of which the two believe something else")]:
        print("explained: %5d  %-14s %s" % (tally["explained"].get(name, 0), name, why))
    print("%d passed, %d failed" % (tally["passed"], tally["failed"]), flush=True)
    sys.exit(1 if tally["failed"] else 0)


if __name__ == "__main__":
    main()
