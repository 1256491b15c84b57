#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""`weir explain`: one JSON object a packet, no interface touched."""
import json
import os
import random
import struct
import time

from frame import frame, write_pcap, write_pcapng
from lab import World, check, equal, main, pair_world

US, YOU = "203.0.113.22", "198.51.100.7"

RULES = """set office { 192.0.2.0/24 }
filter edge {
    hook ingress
    device eth9
    malformed drop
    fragments drop
    default accept
    tcp dport 22 saddr @office accept
    tcp dport 22 counter ssh drop
    udp dport 53 log prefix "dns" accept
    udp dport 54 redirect eth8
}
filter out { hook egress; device eth9; default drop
    tcp sport 80 accept
    meta mark 5 accept
}
filter stack { hook ingress tc; device eth9; default accept
    tcp dport 22 drop
}
"""


def line(n, verdict, rule, reason, hook="xdp", name="edge"):
    return {"packet": n, "hook": hook, "verdict": verdict, "filter": name,
            "rule": "edge.rules:%d" % rule if rule else None, "reason": reason, "ct": None}


# the packet, what explain says of it on XDP
PACKETS = [
    (frame("tcp", YOU, US, dport=80), ("accept", None, "default")),
    (frame("tcp", YOU, US, dport=22), ("drop", 9, "rule")),
    (frame("tcp", "192.0.2.9", US, dport=22), ("accept", 8, "rule")),
    (frame("udp", YOU, US, dport=53), ("accept", 10, "rule")),
    (frame("udp", YOU, US, dport=54), ("redirect", 11, "rule")),
    (frame("tcp", YOU, US, dport=80, ihl=4), ("drop", None, "bad-ihl")),
    (frame("tcp", YOU, US, dport=80, frag=0x2000, payload=b"x" * 12), ("drop", None, "fragment")),
    (frame("tcp", YOU, US, dport=22, tags=[(0x8100, 3)]), ("drop", 9, "rule")),
    (frame("tcp", "2001:db8::1", "2001:db8::2", dport=22), ("drop", 9, "rule")),
    (frame("tcp", YOU, US, dport=80, payload=b"x" * 1400), ("accept", None, "default")),
    (frame("tcp", YOU, US, dport=80)[:20], ("drop", None, "truncated")),
]


def explain(world, space, capture, *words, device="eth9", hook="xdp", rules=RULES):
    path = world.file("edge.rules", rules)
    return space.weir("explain", "--rules", path, "--device", device, "--hook", hook, "--json", capture, *words)


def objects(ran):
    return [json.loads(l) for l in ran.out.splitlines()]


def quiet_world():
    world = World()
    return world, world.space("alone")


def t_the_lines():
    world, space = quiet_world()
    capture = os.path.join(world.dir, "a.pcap")
    want = [line(n + 1, *said) for n, (_, said) in enumerate(PACKETS)]
    for name, write in (("pcap", write_pcap), ("pcapng", write_pcapng)):
        write(capture, [data for data, _ in PACKETS])
        ran = explain(world, space, capture)
        equal("%s: exit code" % name, ran.code, 0)
        got = objects(ran)
        equal("%s: as many lines as packets" % name, len(got), len(want))
        for have, should in zip(got, want):
            equal("%s: packet %d: %s" % (name, should["packet"], should["reason"]), have, should)
        equal("%s: the keys in their order" % name, list(got[0]), list(want[0]))
    check("spelled as documented", '{"packet":2,"hook":"xdp","verdict":"drop","filter":"edge","rule":"edge.rules:9","reason":"rule","ct":null}'
          in ran.out.replace(" ", ""), ran)
    check("no interface appeared", "eth9" not in space.ip("link"))
    check("nothing was pinned", not world.pins())


def t_other_hooks():
    world, space = quiet_world()
    capture = os.path.join(world.dir, "a.pcap")
    write_pcap(capture, [frame("tcp", YOU, US, dport=22), frame("tcp", US, YOU, sport=80)])
    got = objects(explain(world, space, capture, hook="tc-ingress"))
    equal("tc-ingress", got, [line(1, "drop", 18, "rule", "tc-ingress", "stack"), line(2, "accept", None, "default", "tc-ingress", "stack")])
    got = objects(explain(world, space, capture, hook="tc-egress"))
    equal("tc-egress", got, [line(1, "drop", None, "default", "tc-egress", "out"), line(2, "accept", 14, "rule", "tc-egress", "out")])


def t_captures_by_scapy():
    """Somebody else's writer, and packets built by somebody else."""
    try:
        from scapy.all import Dot1Q, Ether, ICMP, IP, IPv6, TCP, UDP, wrpcap
        from scapy.utils import PcapNgWriter
    except ImportError:
        print("      no scapy: left out")
        return
    world, space = quiet_world()
    packets = [
        Ether() / IP(src=YOU, dst=US) / TCP(dport=22, flags="S"),
        Ether() / Dot1Q(vlan=9) / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(dport=22),
        Ether() / IP(src=YOU, dst=US) / UDP(dport=53) / b"query",
        Ether() / IP(src=YOU, dst=US) / ICMP(),
    ]
    want = [line(1, "drop", 9, "rule"), line(2, "drop", 9, "rule"), line(3, "accept", 10, "rule"), line(4, "accept", None, "default")]
    capture = os.path.join(world.dir, "scapy.pcap")
    wrpcap(capture, packets)
    equal("pcap", objects(explain(world, space, capture)), want)
    capture = os.path.join(world.dir, "scapy.pcapng")
    writer = PcapNgWriter(capture)
    for packet in packets:
        writer.write(packet)
    writer.close()
    equal("pcapng", objects(explain(world, space, capture)), want)
    capture = os.path.join(world.dir, "raw.pcap")
    wrpcap(capture, [p[IP] for p in packets if IP in p], linktype=101)
    equal("frames without Ethernet header", [o["verdict"] for o in objects(explain(world, space, capture))],
          ["drop", "accept", "accept"])


def t_speed():
    world, space = quiet_world()
    rng = random.Random(5)
    frames = [frame(rng.choice(("tcp", "udp")), "198.51.%d.%d" % (rng.randrange(256), rng.randrange(256)), US,
                    dport=rng.choice((22, 53, 80, 443)), payload=b"x" * rng.randrange(200)) for _ in range(2000)]
    capture = os.path.join(world.dir, "many.pcap")
    write_pcap(capture, frames * 50)
    begun = time.monotonic()
    ran = explain(world, space, capture)
    rate = 100000 / (time.monotonic() - begun)
    equal("100,000 packets", (ran.code, ran.out.count("\n")), (0, 100000))
    check("%d packets a second, 20,000 wanted" % rate, rate >= 20000)
    equal("the last line is the last packet", objects(ran)[-1]["packet"], 100000)


def t_running_generation():
    world, wire, guard = pair_world()
    path = world.file("edge.rules", RULES.replace("eth9", "g0").replace("eth8", "g0"))
    ran = guard.weir("apply", path)
    if not check("apply", ran.code == 0, ran):
        return
    before = guard.weir("show", "--json").json
    capture = os.path.join(world.dir, "a.pcap")
    write_pcap(capture, [data for data, _ in PACKETS])
    ran = guard.weir("explain", "--device", "g0", "--hook", "xdp", "--json", capture)
    for have, (n, (_, said)) in zip(objects(ran), enumerate(PACKETS, 1)):
        equal("without --rules: the running ones: packet %d" % n, have, line(n, *said))
    equal("whose counters do not move", guard.weir("show", "--json").json, before)


def t_garbage():
    world, space = quiet_world()
    capture = os.path.join(world.dir, "bad")
    good = os.path.join(world.dir, "good")
    write_pcap(good, [data for data, _ in PACKETS])
    with open(good, "rb") as whole:
        image = whole.read()
    cases = [("an empty file", b""), ("text", b"this is no capture\n" * 10), ("noise", random.Random(1).randbytes(4096)),
             ("a file that ends inside a packet", image[:-5]), ("a header and nothing else", image[:24]),
             ("a packet longer than the file", image[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30) + b"x" * 50),
             ("a pcapng that lies", struct.pack("<IIIHHq", 0x0A0D0D0A, 0xFFFFFFF0, 0x1A2B3C4D, 1, 0, -1))]
    for name, data in cases:
        with open(capture, "wb") as out:
            out.write(data)
        ran = explain(world, space, capture)
        want = 0 if name.startswith("a header") else 1
        check("%s: exit %d, and a reason" % (name, want), ran.code == want and (want == 0 or ran.err or ran.out), ran)
    equal("no such file", explain(world, space, world.dir + "/nosuch").code, 1)
    check("a device without a filter is said", explain(world, space, good, device="eth7").code in (0, 1))
    equal("an unknown hook is a bad command line", explain(world, space, good, hook="sideways").code, 2)
    equal("broken rules are rejected", explain(world, space, good, rules="filter {").code, 3)


main()
