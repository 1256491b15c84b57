# SPDX-License-Identifier: GPL-2.0
"""Frames as bytes, honest unless told to lie: sane defaults, right checksums, every field can be overridden.

    frame("tcp", "10.0.0.2", "10.0.0.1", dport=22)                       a SYN
    frame("udp", "fd00::2", "fd00::1", dport=53, tags=[(0x8100, 5)])     behind a VLAN tag
    frame("tcp", ..., ihl=4)  frame("tcp", ..., total=20)  frame("udp", ..., frag=0x2000, payload=b"x" * 64)

No scapy: it takes eight seconds to import on an emulated machine.
"""
import ipaddress
import struct

PROTO = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
HERE = "02:00:00:00:00:01"   # the guarded device, in every world
THERE = "02:00:00:00:00:02"  # who sends to it


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport(kind, saddr, daddr, *, sport=40000, dport=80, flags="S", doff=5, seq=1, ack=0, window=64240, tcp_options=b"",
              payload=b"", icmp=(8, 0), rest=None):
    """tcp_options: of whole words; rest: the second word of an ICMP header, an identifier of 7 when not stated."""
    if kind == "tcp":
        bits = sum(FLAGS[f] for f in flags)
        doff += len(tcp_options) // 4
        head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, doff << 4, bits, window, 0, 0)
        head += tcp_options
        head += b"\1" * max(0, doff * 4 - len(head))
        at = 16
    elif kind == "udp":
        head, at = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0), 6
    elif kind in ("icmp", "icmpv6"):
        head, at = struct.pack("!BBHI", *icmp, 0, 7 << 16 | 1 if rest is None else rest), 2
    elif kind == "sctp":
        return struct.pack("!HHII", sport, dport, 0, 0) + payload  # its CRC is nobody's business here
    else:
        return payload
    pseudo = b""
    if kind != "icmp":
        pseudo = saddr.packed + daddr.packed + struct.pack("!IHBB", len(head) + len(payload), 0, 0, PROTO[kind])
    total = checksum(pseudo + head + payload)
    return head[:at] + struct.pack("!H", total) + head[at + 2 :] + payload


def ip4(body, saddr, daddr, proto, *, ttl=64, frag=0, ihl=None, total=None, options=b"", tos=0, version=4, ident=1):
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(body) if total is None else total
    head = struct.pack(
        "!BBHHHBBH4s4s", version << 4 | ihl, tos, total, ident, frag, ttl, proto, 0, saddr.packed, daddr.packed
    )
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ip6(body, saddr, daddr, proto, *, ttl=64, total=None, extensions=(), version=6, tos=0, ident=0):
    """extensions: (protocol number, bytes without its first, the next-header byte), outermost first; ident: the flow label."""
    chain, next_header = body, proto
    for number, rest in reversed(extensions):
        chain = bytes([next_header]) + rest + chain
        next_header = number
    total = len(chain) if total is None else total
    word = version << 28 | tos << 20 | ident
    return struct.pack("!IHBB16s16s", word, total, next_header, ttl, saddr.packed, daddr.packed) + chain


def ether(body, ether_type, *, src=THERE, dst=HERE, tags=()):
    head = mac(dst) + mac(src)
    for tpid, vid in tags:
        head += struct.pack("!HH", tpid, vid)
    return head + struct.pack("!H", ether_type) + body


def frame(kind, saddr, daddr, *, src=THERE, dst=HERE, tags=(), proto=None, cut=None, **how):
    """kind: tcp udp icmp icmpv6 sctp, or raw (payload is all there is behind the IP header, proto its number)."""
    saddr, daddr = ipaddress.ip_address(saddr), ipaddress.ip_address(daddr)
    network = {k: how.pop(k) for k in ("ttl", "frag", "ihl", "total", "options", "extensions", "tos", "version", "ident") if k in how}
    body = transport(kind, saddr, daddr, **how)
    number = PROTO.get(kind, proto) if proto is None else proto
    if saddr.version == 4:
        packet, ether_type = ip4(body, saddr, daddr, number, **network), 0x0800
    else:
        packet, ether_type = ip6(body, saddr, daddr, number, **network), 0x86DD
    return ether(packet, ether_type, src=src, dst=dst, tags=tags)[:cut]


def arp_request(saddr, daddr, *, src=THERE):
    s, d = ipaddress.ip_address(saddr).packed, ipaddress.ip_address(daddr).packed
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac(src) + s + b"\0" * 6 + d
    return ether(body, 0x0806, src=src, dst="ff:ff:ff:ff:ff:ff")


def write_pcap(path, frames, *, link_type=1):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type))
        for data in frames:
            out.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)


def write_pcapng(path, frames):
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    with open(path, "wb") as out:
        out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        out.write(block(1, struct.pack("<HHI", 1, 0, 262144)))
        for data in frames:
            out.write(block(6, struct.pack("<IIIII", 0, 0, 0, len(data), len(data)) + data))
