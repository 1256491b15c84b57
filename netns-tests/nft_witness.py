#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""nft as an independent witness: the same rules, the same frames, the same verdicts.

    nft_witness.py [POLICIES [FRAMES [SEED]]]

For the part of the rule language that nft has, a random policy is written twice: as a weir rule file and as an nft
chain at netdev ingress. Each frame goes down both cables; who lets it pass is compared frame by frame.

    wire ns:  w0 <---- cable ----> in0  :weir ns   weir at XDP of in0; a packet socket on in0 sees what passed
    wire ns:  n0 <---- cable ----> in0  :nft ns    nft at ingress of in0; accept is `fwd to out0`,
                                   out0 <---- cable ----> out1, whose packet socket sees what passed

Where nft judges otherwise, and why, stands in KNOWN below: those frames are counted as explained. A frame carries its
number in its last bytes, behind the IP packet.
"""
import ipaddress
import random
import re
import struct
import subprocess
import sys
import time

import lab
from frame import ether, ip4, ip6, mac, transport

POLICIES, FRAMES = 20, 300
BATCH = 60
MAGIC = 0x57E17000
LAST = 0xFFFFFFFF  # the number of the frame that says: nothing comes behind this
MARKER = 0x88B5    # its EtherType, which no generated frame has

# A frame is of some kinds; a difference about one of these is nft's. (kind, what the policy must ask about, why)
# All of these were seen on 6.18 with nft 1.0.6.
KNOWN = [
    ("qinq", None, "nft takes one tag off; behind the second one it sees no IP"),
    ("service-tag", "vlan", "nft's `vlan id` asks for EtherType 0x8100; an 802.1ad tag is no VLAN to it"),
    ("tag", "ether-and-more", "with `ether saddr` in a rule, nft wants its IP right behind the Ethernet header"),
    ("ah", None, "nft takes an authentication header for the transport: it hides the ports"),
    ("later", "transport", "nft takes the first bytes of a later IPv4 fragment for a transport header"),
    ("later6", "transport", "nft takes the start of the IPv6 header for the transport header of a later fragment"),
    ("late-ext", None, "nft does not follow mobility, host identity and shim6 headers"),
    ("malformed", None, "nft has no word for malformed packets: its matches fail, or read what the header says"),
]

# One more is kept out of the policies, since it hangs on the rule and not on the frame: of two negated matches on
# neighbouring bytes (`ip6 nexthdr != 0 ip6 hoplimit != 1`) nft makes one comparison of both bytes, which holds where
# only one of them differs. So a rule has at most one `!=` here.

V4 = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.1", "192.0.2.77", "198.51.100.7", "203.0.113.10"]
V6 = ["2001:db8::1", "2001:db8::2", "2001:db8:7::1", "2001:db8:7:ff:8000::9", "fe80::2ff:fe00:1", "fd00::1"]
P4 = ["10.0.0.0/8", "10.0.0.0/24", "192.0.2.0/24", "192.0.2.64/26", "198.51.100.6/31", "128.0.0.0/1"]
P6 = ["2001:db8::/32", "2001:db8:7::/48", "fe80::/10", "2001:db8::/127", "8000::/1"]
MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:5e:01:02:03"]
PORTS = [1, 22, 53, 80, 81, 89, 90, 443, 1024, 8080, 40000, 65535]
PROTOS = [6, 17, 132, 1, 50, 47, 2]
VLANS = [0, 1, 2, 7, 100, 4094]


# ---- policies: every condition as (weir, nft) ----


def pick_range(r, pool):
    a, b = sorted(r.sample(pool, 2))
    return "%d-%d" % (a, b)


def address_range(r, pool):
    a, b = sorted(r.sample(pool, 2), key=ipaddress.ip_address)
    return "%s-%s" % (a, b)


def one_of(r, values):
    """A value, or a list, with or without `!=`; values: a function that makes one."""
    sign = r.choice(["", "", "!= "])
    if r.random() < 0.6:
        return sign + values()
    return sign + "{ %s }" % ", ".join(sorted({values() for _ in range(r.randint(1, 5))}))


def same(text):
    return text, text


def numbers(r, field, pool, plain=False):
    kind = r.random()
    if kind < 0.2 and not plain:
        return same("%s %s %d" % (field, r.choice(["<", ">", "<=", ">="]), r.choice([p for p in pool if p][:-1])))
    return same("%s %s" % (field, one_of(r, lambda: pick_range(r, pool) if r.random() < 0.25 else str(r.choice(pool)))))


def addresses(r):
    family, pool, prefixes = r.choice([("ip", V4, P4), ("ip6", V6, P6)])
    field = r.choice(["saddr", "daddr"])

    def value():
        kind = r.random()
        return r.choice(pool) if kind < 0.5 else r.choice(prefixes) if kind < 0.8 else address_range(r, pool)

    if r.random() < 0.2:  # the neutral field, which nft does not have
        text = value()
        return "%s %s" % (field, text), "%s %s %s" % (family, field, text)
    return same("%s %s %s" % (family, field, one_of(r, value)))


def masked(r):
    return same(r.choice([
        "ip saddr & 255.255.0.255 == 10.0.0.1",
        "ip daddr & 0.0.0.255 != 0.0.0.1",
        "ip6 saddr & ffff:ffff:: == 2001:db8::",
        "tcp dport & 0x1 == 0x1",
        "udp sport & 0xff00 != 0x0",
        "ip frag-off & 0x1fff != 0x0",
        "ip frag-off & 0x4000 == 0x4000",
        "ip frag-off & 0x2000 != 0x0",
    ]))


def tcp_flags(r):
    return same("tcp flags " + r.choice([
        "syn", "== syn", "!= syn", "syn,ack", "& (syn | ack) == syn", "& (fin | syn | rst | ack) == syn",
        "& (syn | ack) != syn", "& syn != 0", "syn / syn,ack", "!= syn / syn,ack", "syn,ack / syn,ack",
        "& (fin | syn) == (fin | syn)", "{ syn, ack }", "!= { syn, ack }",
    ]))


def ports(r):
    field = "%s %s" % (r.choice(["tcp", "tcp", "udp", "udp", "sctp"]), r.choice(["sport", "dport", "dport"]))
    return numbers(r, field, PORTS)


def any_ports(r):
    text = "th %s" % numbers(r, r.choice(["sport", "dport"]), PORTS)[0]
    return text, "meta l4proto { tcp, udp, sctp } " + text


def header(r):
    field, pool = r.choice([
        ("ip ttl", [1, 2, 64, 128, 255]), ("ip6 hoplimit", [1, 2, 64, 128, 255]), ("ip length", [28, 40, 60, 100, 576]),
        ("ip6 length", [8, 20, 28, 40, 100]), ("ip protocol", PROTOS), ("ip6 nexthdr", PROTOS + [44, 0, 60]),
        ("meta l4proto", PROTOS + [58, 59]), ("ip dscp", [0, 8, 10, 26, 46]), ("ip6 dscp", [0, 8, 10, 26, 46]),
        ("ip ecn", [0, 1, 2, 3]), ("ip6 ecn", [0, 1, 2, 3]), ("icmp type", [0, 3, 8, 11]), ("icmp code", [0, 1, 3]),
        ("icmpv6 type", [1, 128, 129, 135, 136]), ("icmpv6 code", [0, 1, 3]), ("frag frag-off", [0, 2, 185]),
        ("frag more-fragments", [0, 1]), ("meta length", [40, 60, 68, 100, 108, 576]),
    ])
    return numbers(r, field, pool, plain=field in ("frag more-fragments",))


def vlan(r):
    return numbers(r, "vlan id", VLANS) if r.random() < 0.7 else numbers(r, "vlan pcp", [0, 1, 5, 7])


def link(r):
    if r.random() < 0.4:
        return same("ether %s %s" % (r.choice(["saddr", "daddr"]), one_of(r, lambda: r.choice(MACS))))
    text = one_of(r, lambda: r.choice(["ip", "ip6", "arp", "0x88cc"]))
    return "ether type " + text, "meta protocol " + text  # nft's `ether type` is that of the tag


def joined(r):
    family, pool = r.choice([("ip", V4), ("ip6", V6)])
    proto = r.choice(["tcp", "udp"])
    pairs = sorted({"%s . %d" % (r.choice(pool), r.choice(PORTS)) for _ in range(r.randint(1, 6))})
    sign = r.choice(["", "", "!= "])
    return same("%s saddr . %s dport %s{ %s }" % (family, proto, sign, ", ".join(pairs)))


class Set:
    def __init__(self, r, number):
        self.name = "s%d" % number
        self.kind = r.choice(["v4", "v6", "port", "pair"])
        n = r.randint(1, 12)
        if self.kind == "port":
            elements = {pick_range(r, PORTS) if r.random() < 0.2 else str(r.choice(PORTS)) for _ in range(n)}
            self.weir_type, self.nft_type, self.flags = "port", "inet_service", "flags interval; auto-merge;"
        elif self.kind == "pair":
            elements = {"%s . %s . %d" % (r.choice(V4), r.choice(["tcp", "udp"]), r.choice(PORTS)) for _ in range(n)}
            self.weir_type, self.nft_type, self.flags = (
                "addr . proto . port", "ipv4_addr . inet_proto . inet_service", "")
        else:
            pool, prefixes = (V4, P4) if self.kind == "v4" else (V6, P6)
            elements = {r.choice([r.choice(pool), r.choice(prefixes), address_range(r, pool)]) for _ in range(n)}
            self.weir_type, self.flags = "addr", "flags interval; auto-merge;"
            self.nft_type = "ipv4_addr" if self.kind == "v4" else "ipv6_addr"
        self.elements = ", ".join(sorted(elements))

    def weir(self):
        return "set %s {\n\ttype %s\n\telements { %s }\n}\n" % (self.name, self.weir_type, self.elements)

    def nft(self):
        return "\tset %s { type %s; %s elements = { %s } }\n" % (self.name, self.nft_type, self.flags, self.elements)

    def condition(self, r):
        sign = r.choice(["", "", "!= "])
        field = {
            "v4": "ip " + r.choice(["saddr", "daddr"]),
            "v6": "ip6 " + r.choice(["saddr", "daddr"]),
            "port": r.choice(["tcp", "udp"]) + " " + r.choice(["sport", "dport"]),
            "pair": "ip saddr . meta l4proto . th dport",
        }[self.kind]
        text = "%s %s@%s" % (field, sign, self.name)
        return text, ("meta l4proto { tcp, udp, sctp } " if self.kind == "pair" else "") + text


# nft refuses a rule that asks for two protocols of one layer; weir warns that it never matches.
LAYERS = [
    {"ip": "ip", "ip6": "ip6", "frag": "ip6", "icmp": "ip", "icmpv6": "ip6", "vlan": "vlan", "protocol": "protocol"},
    {"tcp": "tcp", "udp": "udp", "sctp": "sctp", "th": "th", "icmp": "icmp", "icmpv6": "icmpv6", "l4proto": "l4proto",
     "protocol": "protocol", "nexthdr": "nexthdr"},
]


FIRST_WORDS = {"ether", "vlan", "ip", "ip6", "frag", "tcp", "udp", "sctp", "th", "icmp", "icmpv6", "meta"}


def without_lists(text):
    return re.sub(r"{.*?}", "", text).split()


def words_of_fields(nft):
    """First words of the fields of a rule: ether, ip, tcp, ..."""
    return {word for word in without_lists(nft) if word in FIRST_WORDS}


def together(nft_parts):
    """nft takes these in one rule."""
    words = without_lists(" ".join(nft_parts))
    return all(len({layer[word] for word in words if word in layer}) <= 1 for layer in LAYERS)


class Policy:
    """One policy in both languages."""

    def __init__(self, seed):
        r = random.Random(seed)
        self.seed = seed
        self.fragments = r.choice(["drop", "accept"])
        self.default = r.choice(["drop", "accept"])
        self.sets = [Set(r, i) for i in range(r.randint(0, 4))]
        self.rules = [self.rule(r) for _ in range(r.randint(1, 25))]
        words = {word for _, nft, _ in self.rules for word in words_of_fields(nft)}
        self.uses = words & {"vlan"}
        if any("ether" in nft.split() and words_of_fields(nft) != {"ether"} for _, nft, _ in self.rules):
            self.uses.add("ether-and-more")
        if words & {"tcp", "udp", "sctp", "th", "icmp", "icmpv6"}:
            self.uses.add("transport")

    def rule(self, r):
        makers = [addresses] * 4 + [ports] * 4 + [tcp_flags, any_ports, joined, masked, vlan, link] + [header] * 3
        parts = []
        for _ in range(1 if r.random() < 0.6 else r.randint(2, 3)):
            if self.sets and r.random() < 0.25:
                part = r.choice(self.sets).condition(r)
            else:
                part = r.choice(makers)(r)
            texts = [p[1] for p in parts] + [part[1]]
            if not parts or (together(texts) and sum("!=" in text for text in texts) <= 1):
                parts.append(part)
        return " ".join(p[0] for p in parts), " ".join(p[1] for p in parts), r.choice(["accept", "drop"])

    def weir(self):
        rules = "".join("\t%s %s\n" % (weir, verdict) for weir, _, verdict in self.rules)
        return "".join(s.weir() for s in self.sets) + (
            "filter witness {\n\thook ingress\n\tdevice in0\n\tmalformed drop\n\tfragments %s\n\tdefault %s\n"
            "\tether type 0x%x accept\n%s}\n" % (self.fragments, self.default, MARKER, rules))

    def nft(self):
        words = {"accept": 'fwd to "out0"', "drop": "drop"}
        lines = ['meta protocol 0x%x %s' % (MARKER, words["accept"])]
        if self.fragments == "drop":
            lines += ["ip frag-off & 0x3fff != 0 drop", "frag frag-off != 0 drop", "frag more-fragments 1 drop"]
        lines += ["%s %s" % (nft, words[verdict]) for _, nft, verdict in self.rules]
        # A later fragment that no rule decides passes where fragments may.
        lines += ["ip frag-off & 0x1fff != 0 " + words["accept"], "frag frag-off != 0 " + words["accept"]]
        lines.append(words[self.default])
        return "table netdev witness {\n%s\tchain c {\n\t\t%s\n%s\t}\n}\n" % (
            "".join(s.nft() for s in self.sets), "type filter hook ingress device in0 priority 0; policy drop;",
            "".join("\t\t%s\n" % line for line in lines))


# ---- frames ----


class Frame:
    def __init__(self, data, kinds):
        self.data, self.kinds = data, kinds

    def numbered(self, number):
        return self.data + struct.pack("!II", MAGIC, number)


def extensions(r, kinds):
    names = {0: "hop", 43: "routing", 60: "destination", 51: "ah", 135: "late-ext", 139: "late-ext", 140: "late-ext"}
    chain = []
    for _ in range(r.randint(1, 3)):
        number = r.choice(list(names))
        kinds.add(names[number])
        if number == 51:
            chain.append((51, b"\4" + b"\0" * 22))
        else:
            units = r.randint(0, 2)
            chain.append((number, bytes([units]) + b"\0" * (units * 8 + 6)))
    return chain


def pick_transport(r, family):
    """(protocol number, kind and details of transport())"""
    kind = r.choice(["tcp"] * 5 + ["udp"] * 4 + ["sctp", "icmp", "raw"])
    payload = b"p" * r.choice([0, 0, 8, 40, 60, 500])
    ports_ = {"sport": r.choice(PORTS), "dport": r.choice(PORTS)}
    if kind == "icmp" and family == 6:
        kind = "icmpv6"
    if kind == "tcp":
        doff = r.choice([5, 5, 5, 8, 15])
        return 6, kind, dict(ports_, flags=r.choice(["S", "SA", "A", "PA", "R", "FA", "F", "SF", "FPU"]), doff=doff,
                             payload=payload)
    if kind in ("udp", "sctp"):
        return {"udp": 17, "sctp": 132}[kind], kind, dict(ports_, payload=payload)
    if kind == "raw":
        return r.choice([50, 47, 2, 59] if family == 6 else [50, 47, 2]), kind, {"payload": b"\0" * r.choice([0, 4, 40])}
    types = [1, 128, 129, 135, 136] if family == 6 else [0, 3, 8, 11]
    return (58 if family == 6 else 1), kind, {"icmp": (r.choice(types), r.choice([0, 1, 3])), "payload": payload}


def lie(r, packet, family, kinds):
    """One header field that is not true."""
    kinds.add("malformed")
    packet = bytearray(packet)
    at = 40 if family == 6 else 20
    lies = ["version", "length"] + (["ihl", "offset"] if family == 4 else [])
    what = r.choice(lies)
    if what == "version":
        packet[0] ^= r.choice([0x10, 0x20, 0xF0])
    elif what == "ihl":
        packet[0] = 0x40 | r.choice([0, 1, 4, 15])
    elif what == "offset":
        struct.pack_into("!H", packet, 6, 1 | r.choice([0, 0x2000]))
    else:
        struct.pack_into("!H", packet, 4 if family == 6 else 2, r.choice([0, 1, 19, at + 2, 2000, 65535]))
    return bytes(packet)


def pick_frame(r):
    kinds = set()
    link_ = {"src": r.choice(MACS), "dst": r.choice(MACS), "tags": []}
    tags = r.random()
    if tags < 0.25:
        n = 1 if tags < 0.18 else 2
        link_["tags"] = [(r.choice([0x8100, 0x8100, 0x88A8]), r.choice([0, 0x2000, 0xA000, 0xE000]) | r.choice(VLANS))
                         for _ in range(n)]
        kinds.add("tag" if n == 1 else "qinq")
        if any(tpid == 0x88A8 for tpid, _ in link_["tags"]):
            kinds.add("service-tag")
    if r.random() < 0.05:
        ether_type = r.choice([0x0806, 0x88CC, 0x8847, 40])
        kinds.add("llc" if ether_type == 40 else "not-ip")
        return Frame(ether(b"\0" * 46, ether_type, **link_), kinds)

    family = r.choice([4, 6])
    pool = [ipaddress.ip_address(a) for a in (V4 if family == 4 else V6)]
    saddr, daddr = r.choice(pool), r.choice(pool)
    if r.random() < 0.1:
        saddr += r.choice([1, 2, 256])
    number, kind, how = pick_transport(r, family)
    body = transport(kind, saddr, daddr, **how)
    common = {"ttl": r.choice([1, 2, 64, 128, 255]), "tos": r.choice([0, 8, 10, 26, 46]) << 2 | r.choice([0, 0, 1, 2, 3])}
    if family == 4:
        if r.random() < 0.1:
            common["options"] = b"\1" * 4 * r.randint(1, 10)
            kinds.add("options")
        common["frag"] = r.choice([0, 0, 0x4000])
        if r.random() < 0.06:
            body = bytes([number, 4]) + b"\0" * 22 + body
            number = 51
            kinds.add("ah")
        if r.random() < 0.1:
            common["frag"] = r.choice([0x2000, 2, 185, 0x2000 | 2, 0x1FFF])
            kinds.add("later" if common["frag"] & 0x1FFF else "first")
        packet = ip4(body, saddr, daddr, number, **common)
    else:
        chain = extensions(r, kinds) if r.random() < 0.2 else []
        if r.random() < 0.15:
            field = r.choice([0, 0, 1, 2 << 3, 185 << 3, 2 << 3 | 1, 6])
            kinds.add("later6" if field >> 3 else "first" if field & 1 else "atomic")
            chain.append((44, bytes([r.choice([0, 9])]) + struct.pack("!HI", field, 7)))
        packet = ip6(body, saddr, daddr, number, extensions=chain, **common)
    if r.random() < 0.04:
        packet = lie(r, packet, family, kinds)
    return Frame(ether(packet, 0x0800 if family == 4 else 0x86DD, **link_), kinds or {"plain"})


# ---- the two cables ----


class Side:
    """Where frames go in, and where those come out that passed."""

    def __init__(self, entry, exit_):
        self.entry, self.exit = entry, exit_

    def number_of(self, data):
        if data is None or len(data) < 8:
            return None
        magic, number = struct.unpack("!II", data[-8:])
        return number if magic == MAGIC else None

    def judge(self, frames):
        """Numbers of those frames that passed."""
        passed = set()
        while self.exit.seen() is not None:
            pass
        for number, frame in frames:
            self.entry.send(frame.numbered(number))
        self.entry.send(ether(b"\0" * 46, MARKER) + struct.pack("!II", MAGIC, LAST))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            number = self.number_of(self.exit.seen(0.5))
            if number == LAST:
                return passed
            if number is not None:
                passed.add(number)
        raise RuntimeError("the last frame does not arrive at " + self.exit.device)


class Cables:
    def __init__(self, world):
        self.world = world
        self.wire, self.weir, self.nft = world.space("wire"), world.space("weir"), world.space("nft")
        world.veth(self.wire, "w0", self.weir, "in0")
        world.veth(self.wire, "n0", self.nft, "in0")
        world.veth(self.nft, "out0", self.nft, "out1")
        for space, device in ((self.wire, "w0"), (self.wire, "n0"), (self.weir, "in0"), (self.nft, "in0"),
                              (self.nft, "out0"), (self.nft, "out1")):
            space.ip("link", "set", device, "promisc", "on")
            # One queue, so that what is sent last arrives last; nothing may join frames.
            space.run("ethtool", "-L", device, "rx", "1", "tx", "1", expect=None)
            space.run("ethtool", "-K", device, "gro", "off", "gso", "off", "tso", "off", expect=None)
        self.sides = [Side(self.wire.wire("w0"), self.weir.wire("in0")), Side(self.wire.wire("n0"), self.nft.wire("out1"))]

    def load(self, policy):
        path = self.world.file("witness.rules", policy.weir())
        self.weir.weir("apply", path, expect=0)
        # Behind XDP, veth switches GRO on again.
        self.weir.run("ethtool", "-K", "in0", "gro", "off", expect=None)
        self.nft.run("nft", "-f", "-", input="table netdev witness\ndelete table netdev witness\n" + policy.nft())

    def explain(self, frame):
        from frame import write_pcap

        path = self.world.file("difference.pcap", "")
        write_pcap(path, [frame.numbered(0)])
        return self.weir.weir("explain", "--device", "in0", "--hook", "xdp", "--json", path).out.strip()


# ---- the comparison ----


def reason_known(frame, policy):
    for kind, word, why in KNOWN:
        if kind in frame.kinds and (word is None or word in policy.uses):
            return kind
    return None


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.explained = {}
        self.kinds = {}
        self.accepted = 0


def show(cables, policy, frame, by_weir, tally_shown):
    words = {True: "accept", False: "drop"}
    if not tally_shown:
        print("---- policy of seed %d\n%s%s" % (policy.seed, policy.weir(), policy.nft()))
    print("difference: weir %s, nft %s; %s\n  %s\n  %s" % (words[by_weir], words[not by_weir],
                                                     ", ".join(sorted(frame.kinds)),
                                                     frame.data.hex(), cables.explain(frame)), flush=True)


def try_policy(cables, policy, n_frames, tally):
    r = random.Random(policy.seed + 1)
    frames = list(enumerate(pick_frame(r) for _ in range(n_frames)))
    cables.load(policy)
    shown = 0
    for start in range(0, n_frames, BATCH):
        batch = frames[start : start + BATCH]
        weir, nft = (side.judge(batch) for side in cables.sides)
        for number, frame in batch:
            tally.accepted += number in nft
            for kind in frame.kinds:
                tally.kinds[kind] = tally.kinds.get(kind, 0) + 1
            if (number in weir) == (number in nft):
                tally.passed += 1
                continue
            known = reason_known(frame, policy)
            if known:
                tally.explained[known] = tally.explained.get(known, 0) + 1
                continue
            tally.failed += 1
            if shown < 5:
                show(cables, policy, frame, number in weir, shown)
            shown += 1


def main():
    numbers_ = [int(word) for word in sys.argv[1:]]
    policies, n_frames, seed = (numbers_ + [POLICIES, FRAMES, int(time.time())][len(numbers_) :])[:3]
    print("%d policies of %d frames, seed %d" % (policies, n_frames, seed), flush=True)
    tally = Tally()
    with lab.World() as world:
        cables = Cables(world)
        try:
            cables.nft.run("nft", "add", "table", "netdev", "probe")
        except RuntimeError as error:
            lab.skip("this kernel has no nft at netdev ingress: " + str(error).splitlines()[-1])
        for i in range(policies):
            policy = Policy(seed + i)
            try:
                try_policy(cables, policy, n_frames, tally)
            except (RuntimeError, subprocess.SubprocessError) as error:
                tally.failed += 1
                print("policy of seed %d: %s\n%s\n%s" % (policy.seed, error, policy.weir(), policy.nft()), flush=True)
    print("frames:", ", ".join("%s %d" % pair for pair in sorted(tally.kinds.items())))
    print("nft accepted %d of %d" % (tally.accepted, policies * n_frames))
    for kind, _, why in KNOWN:
        print("explained: %5d  %-12s %s" % (tally.explained.get(kind, 0), kind, why))
    print("%d passed, %d failed" % (tally.passed, tally.failed), flush=True)
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
