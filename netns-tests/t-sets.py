#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Named sets under traffic, and sets as large as the public feeds."""
import glob
import gzip
import ipaddress
import os
import random

from frame import THERE, frame
from lab import Counters, Tap, Wire, check, equal, main, pair_world, wait

US, US6 = "10.0.0.1", "fd00::1"


class Gate:
    """One set, one rule that drops by it; hits() says for addresses which are dropped, proved by counters."""

    def __init__(self, rules, hook="ingress", **files):
        self.world, self.wire, self.guard = pair_world()
        for name, text in files.items():
            self.world.file(name + ".txt", text)
        path = self.world.file("gate.rules", rules.replace("HOOK", hook))
        self.applied = self.guard.weir("apply", path)
        self.tap, self.out = Tap(self.guard, "g0", THERE), Wire(self.wire, "w0")

    def weir(self, *words, **how):
        return self.guard.weir(*words, **how)

    def hits(self):
        return Counters(self.guard, part="counters").named("hit")

    def send(self, addresses, **how):
        """(dropped, arrived) of one frame from each."""
        dropped, arrived = self.hits(), self.tap.read()
        n = 0
        for address in addresses:
            us = US if ":" not in address else US6
            self.out.send(frame("udp", address, us, dport=9, **how))
            n += 1

        def now():
            return self.hits() - dropped, self.tap.read() - arrived

        wait(lambda: sum(now()) >= n, 10)
        return now()


ONE = """
set blocked { type addr; size 1000 }
filter edge { hook HOOK; device g0; default accept
    saddr @blocked counter hit drop
}
"""


def verbs(hook):
    gate = Gate(ONE, hook)
    if not check("%s: an empty set" % hook, gate.applied.code == 0, gate.applied):
        return

    # words of the command, stdin, exit code, dropped afterwards, arriving afterwards
    table = [
        ("add 192.0.2.1", None, 0, ["192.0.2.1"], ["192.0.2.2", "2001:db8::1"]),
        ("add 198.51.100.0/24 2001:db8::/64 2001:db8:1::7", None, 0,
         ["192.0.2.1", "198.51.100.0", "198.51.100.255", "2001:db8::1", "2001:db8:1::7"],
         ["198.51.99.255", "198.51.101.0", "2001:db8:0:1::1", "2001:db8:1::8"]),
        ("add 192.0.2.1", None, 0, ["192.0.2.1"], []),
        ("del 192.0.2.1", None, 0, ["198.51.100.9"], ["192.0.2.1"]),
        ("add -", "203.0.113.1 # one\n\n# none\n203.0.113.2\n", 0, ["203.0.113.1", "203.0.113.2"], ["203.0.113.3"]),
        ("add 192.0.2.300", None, None, ["203.0.113.1"], ["192.0.2.3"]),
        ("add -", "192.0.2.4\nrubbish\n", None, ["203.0.113.1"], ["192.0.2.4"]),
        ("load -", "192.0.2.8/29\n10.1.0.1-10.1.0.5\n", 0, ["192.0.2.8", "192.0.2.15", "10.1.0.1", "10.1.0.5"],
         ["192.0.2.7", "192.0.2.16", "10.1.0.6", "203.0.113.1", "198.51.100.9", "2001:db8::1"]),
        ("del 192.0.2.8/29", None, 0, ["10.1.0.3"], ["192.0.2.9"]),
        ("flush", None, 0, [], ["10.1.0.1", "192.0.2.8"]),
    ]
    for words, stdin, code, dropped, arriving in table:
        verb, *rest = words.split()
        ran = gate.weir("set", verb, "blocked", *rest, stdin=stdin)
        what = "%s: set %s" % (hook, words)
        check(what + ": exit code", ran.code == code if code is not None else ran.code in (1, 2, 3), ran)
        equal(what + ": traffic", gate.send(dropped + arriving), (len(dropped), len(arriving)))
        for address in dropped[:2] + arriving[:2]:
            want = 0 if address in dropped else None
            ran = gate.weir("set", "test", "blocked", address)
            check("%s: set test %s agrees" % (hook, address), (ran.code == 0) == (want == 0) and ran.code in (0, 4, 1), ran)
    gate.weir("set", "load", "blocked", "-", stdin="192.0.2.1\n10.0.0.0/8\n2001:db8::1\n", expect=0)
    listed = gate.weir("set", "list", "blocked", expect=0)
    check("%s: set list" % hook, all(e in listed.out.split() for e in ("192.0.2.1", "10.0.0.0/8", "2001:db8::1")), listed)
    again = gate.weir("set", "load", "blocked", "-", stdin=listed.out)
    equal("%s: what list prints, load takes" % hook, (again.code, gate.weir("set", "list", "blocked").out), (0, listed.out))
    check("%s: set list --json is a document" % hook, gate.weir("set", "list", "blocked", "--json").json)
    for ran in (gate.weir("set", "list", "nosuch"), gate.weir("set", "add", "blockd", "192.0.2.1")):
        check("%s: an unknown set is refused, with its name" % hook, ran.code in (1, 3) and ("nosuch" in ran.err or "blocked" in ran.err), ran)
    many = "".join("10.2.%d.%d\n" % (n >> 8, n & 255) for n in range(1001))
    ran = gate.weir("set", "load", "blocked", "-", stdin=many)
    check("%s: more than its size is refused" % hook, ran.code == 1, ran)
    equal("%s: and the old content stays" % hook, gate.send(["192.0.2.1", "10.2.0.0", "10.200.0.1", "11.0.0.1"]), (3, 1))


def t_verbs():
    verbs("ingress")
    verbs("ingress tc")


def t_apply_keeps_what_the_file_does_not_say():
    gate = Gate(ONE)
    gate.weir("set", "add", "blocked", "192.0.2.1", expect=0)
    changed = ONE.replace("HOOK", "ingress").replace("counter hit drop", "counter hit drop\n    udp dport 10 drop")
    gate.weir("apply", "-", stdin=changed, expect=0)
    equal("elements added by hand outlive an apply of a file without content", gate.send(["192.0.2.1", "192.0.2.2"]), (1, 1))


def t_types():
    """One element of each type of set, hit and missed."""
    # type, expression, element, hitting frame, missing frame
    table = [
        ("port", "udp dport", "1000-1003", dict(dport=1002), dict(dport=1004)),
        ("proto", "meta l4proto", "udp", dict(kind="udp"), dict(kind="tcp")),
        ("mac", "ether saddr", THERE, dict(), dict(src="02:00:00:00:00:03")),
        ("iface", "iif", "g0", dict(), None),
        ("addr . proto . port", "saddr . meta l4proto . th dport", "10.0.0.2 . udp . 9", dict(dport=9), dict(dport=10)),
        ("addr . port", "saddr . udp dport", "fd00::2 . 9", dict(saddr="fd00::2", dport=9), dict(dport=9)),
    ]
    for types, expression, element, hit, miss in table:
        world, wire, guard = pair_world()
        ran = guard.weir("apply", "-", stdin="""
            set s { type %s; size 100 }
            filter edge { hook ingress; device g0; default accept
                %s @s counter hit drop
                counter miss accept
            }
        """ % (types, expression))
        if not check("a set of type %s" % types, ran.code == 0, ran):
            world.close()
            continue
        out = Wire(wire, "w0")

        def counts(how):
            how = {"kind": "udp", "saddr": "10.0.0.2", **how}
            kind, saddr = how.pop("kind"), how.pop("saddr")
            before = Counters(guard)
            out.send(frame(kind, saddr, US6 if ":" in saddr else US, **how))
            wait(lambda: sum(Counters(guard).named(n) - before.named(n) for n in ("hit", "miss")), 2)
            after = Counters(guard)
            return [after.named(n) - before.named(n) for n in ("hit", "miss")]

        equal("type %s: empty" % types, counts(hit), [0, 1])
        guard.weir("set", "add", "s", element, expect=0)
        equal("type %s: an element is hit" % types, counts(hit), [1, 0])
        if miss:
            equal("type %s: another value is not" % types, counts(miss), [0, 1])
        guard.weir("set", "del", "s", element, expect=0)
        equal("type %s: deleted" % types, counts(hit), [0, 1])
        world.close()


FEEDS = """
set blocked   { type addr; file "blocked.txt" column 1; size 130000 }
set countries { type addr; file "v4.txt" column 1; file "v6.txt" column 1; size 260000 }
filter edge { hook HOOK; device g0; default accept
    saddr @blocked counter hit drop
    saddr @countries counter hit drop
}
"""


def feed_size(name, blocked, v4, v6):
    """Real frames from members and from others; who is who comes from Python's own arithmetic."""
    rng = random.Random(3)
    gate = Gate(FEEDS, blocked=blocked, v4=v4, v6=v6)
    if not check("%s: apply" % name, gate.applied.code == 0, gate.applied):
        return
    listed = {line.split()[0] for line in blocked.splitlines() if line and line[0] != "#"}
    nets = [ipaddress.ip_network(line.split()[0], strict=False)
            for text in (v4, v6) for line in text.splitlines() if line and line[0] != "#"]
    by_length = {}
    for net in nets:
        by_length.setdefault((net.version, net.prefixlen), set()).add(int(net.network_address))

    def member(text):
        address = ipaddress.ip_address(text)
        bits = address.max_prefixlen
        return text in listed or any(
            int(address) >> (bits - length) << (bits - length) in known
            for (version, length), known in by_length.items() if version == address.version)

    sample = rng.sample(sorted(listed), 1500)
    for net in rng.sample(nets, 1500):
        sample += [str(net[0]), str(net[-1])]
        if int(net[-1]) + 1 < 1 << net.max_prefixlen:
            sample.append(str(net[-1] + 1))  # just behind it
    for _ in range(3000):
        sample.append(str(ipaddress.IPv4Address(rng.getrandbits(32))))
        sample.append(str(ipaddress.IPv6Address(0x2 << 124 | rng.getrandbits(125))))
    want = sum(map(member, sample))
    dropped = arrived = 0
    for at in range(0, len(sample), 100):  # below the size of the device's ring
        got = gate.send(sample[at : at + 100])
        dropped, arrived = dropped + got[0], arrived + got[1]
    equal("%s: %d frames, %d from members" % (name, len(sample), want), (dropped, arrived), (want, len(sample) - want))


def t_generated_feeds():
    rng = random.Random(11)
    blocked = {str(ipaddress.IPv4Address(rng.randrange(1 << 24, 224 << 24))) for _ in range(120000)}
    v4 = {"%s/%d" % (ipaddress.IPv4Address(rng.randrange(1 << 16, 1 << 24) << 8 & ~0 << 32 - length), length)
          for length in (rng.choice((16, 19, 20, 22, 23, 24, 24)) for _ in range(173000))}
    v6 = {"%s/%d" % (ipaddress.IPv6Address((0x2 << 124 | rng.getrandbits(44) << 80) >> 128 - length << 128 - length), length)
          for length in (rng.choice((32, 36, 40, 44, 48)) for _ in range(74000))}
    feed_size("generated", *("# a feed\n" + "\n".join(sorted(s)) + "\n" for s in (blocked, v4, v6)))


def t_real_feeds():
    data = os.environ.get("WEIR_DATA")
    if not data or not glob.glob(data + "/feeds/*.gz"):
        print("      WEIR_DATA points to no feeds/*.txt.gz: left out")
        return
    texts = []
    for name in ("ipsum", "country-ipv4", "country-ipv6"):
        with gzip.open("%s/feeds/%s.txt.gz" % (data, name), "rt") as text:
            texts.append(text.read())
    feed_size("real", *texts)


main()
