# SPDX-License-Identifier: GPL-2.0
"""Packets of conversations between two sides, a and b, for ct_witness.py."""
import ipaddress
import struct

from frame import ether, ip4, ip6, transport

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
