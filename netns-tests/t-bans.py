#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""`ban`: packets put their source into a set, which drops what comes after; the command sees it and undoes it."""
import re
import time

from frame import THERE, frame
from lab import Counters, Tap, Wire, check, equal, main, pair_world, wait

US, US6 = "10.0.0.1", "fd00::1"

RULES = """
set noisy { type addr; size %(size)d; timeout 10m }
filter edge { hook %(hook)s; device g0; default accept; counters off
    saddr @noisy counter banned drop
    udp dport 9 limit rate over 1/hour burst 5 packets per saddr ban %(time)s counter over drop
    udp dport 10 ban %(time)s %(what)s @noisy counter asked drop
}
"""


class Gate:
    def __init__(self, hook="ingress", size=1000, time="10m", what=""):
        self.world, self.wire, self.guard = pair_world()
        self.size, self.hook, self.time = size, hook, time
        self.apply(what)
        self.tap, self.out = Tap(self.guard, "g0", THERE), Wire(self.wire, "w0")

    def apply(self, what="", more=""):
        text = RULES % {"size": self.size, "hook": self.hook, "time": self.time, "what": what}
        path = self.world.file("gate.rules", text.replace("ban %s counter over" % self.time,
                                                          "ban %s @noisy counter over" % self.time) + more)
        return self.guard.weir("apply", path, expect=0)

    def weir(self, *words, **how):
        return self.guard.weir(*words, **how)

    def send(self, saddr, dport, n=1):
        """(banned, over, asked, arrived) of n packets."""
        before = self.now()
        self.out.send(frame("udp", saddr, US6 if ":" in saddr else US, dport=dport), n)
        wait(lambda: sum(self.now()) - sum(before) >= n, 10)
        return tuple(a - b for a, b in zip(self.now(), before))

    def ask(self, addresses):
        """One packet of each, which asks for a ban; returns how many got there."""
        before = self.now()[2]
        for saddr in addresses:
            self.out.send(frame("udp", saddr, US, dport=10))
        wait(lambda: self.now()[2] - before >= len(addresses))
        return self.now()[2] - before

    def now(self):
        counters = Counters(self.guard, part="counters")
        return (counters.named("banned"), counters.named("over"), counters.named("asked"), self.tap.read())

    def listed(self):
        ran = self.weir("set", "list", "noisy", expect=0)
        return {line.split()[0]: line for line in ran.out.splitlines() if re.match(r"[0-9a-f:]+", line)}


def verbs(hook):
    gate = Gate(hook)
    equal("five packets are within the limit, the sixth is over it, the rest of a banned source",
          gate.send("192.0.2.1", 9, 10), (4, 1, 0, 5))
    equal("another source is not banned", gate.send("192.0.2.2", 9, 5), (0, 0, 0, 5))
    equal("what a banned source sends elsewhere is dropped, too", gate.send("192.0.2.1", 80, 3), (3, 0, 0, 0))
    listed = gate.listed()
    equal("the set has the one", list(listed), ["192.0.2.1"])
    check("with the time that is left", re.search(r" expires 9m5\d", listed.get("192.0.2.1", "")), listed)
    equal("`set test` says so", gate.weir("set", "test", "noisy", "192.0.2.1").code, 0)
    equal("`show` counts it", [s["elements"] for s in gate.weir("show", "sets", "--json").json["sets"]], [1])
    equal("`set del` lifts it", gate.weir("set", "del", "noisy", "192.0.2.1").code, 0)
    equal("its packets are within no limit yet, so that the next one bans again", gate.send("192.0.2.1", 9, 2),
          (1, 1, 0, 0))
    gate.weir("set", "del", "noisy", "192.0.2.1", expect=0)
    equal("elsewhere they pass", gate.send("192.0.2.1", 80, 2), (0, 0, 0, 2))
    gate.send("192.0.2.3", 10)
    gate.apply(more="# another file\nset other { type port; 1 }\n")
    equal("a ban survives an apply", gate.send("192.0.2.3", 80), (1, 0, 0, 0))
    equal("`set flush` ends it", gate.weir("set", "flush", "noisy").code, 0)
    equal("its packets pass", gate.send("192.0.2.3", 80), (0, 0, 0, 1))
    equal("bans go on behind the flush", gate.send("192.0.2.3", 10, 2), (1, 0, 1, 0))
    gate.world.close()


def t_on_xdp():
    verbs("ingress")


def t_on_tc():
    verbs("ingress tc")


def t_the_ban_ends():
    gate = Gate(time="300ms")
    equal("banned", gate.send("192.0.2.1", 10, 3), (2, 0, 1, 0))
    time.sleep(0.35)
    equal("and not any more", gate.send("192.0.2.1", 80), (0, 0, 0, 1))
    equal("nor in the list", gate.listed(), {})
    equal("banned again", gate.send("192.0.2.1", 10, 2), (1, 0, 1, 0))


def t_ipv6():
    gate = Gate()
    equal("IPv6", gate.send("2001:db8:1::1", 10), (0, 0, 1, 0))
    equal("is banned with its neighbours", gate.send("2001:db8:1::2:3", 80), (1, 0, 0, 0))
    equal("and not with others", gate.send("2001:db8:1:1::1", 80), (0, 0, 0, 1))
    equal("the list has the /64", list(gate.listed()), ["2001:db8:1::/64"])
    equal("`set del` lifts it", gate.weir("set", "del", "noisy", "2001:db8:1::/64").code, 0)
    equal("all of it", gate.send("2001:db8:1::2:3", 80), (0, 0, 0, 1))
    gate.apply("saddr/24/128")
    equal("a /128", gate.send("2001:db8:1::1", 10, 2), (1, 0, 1, 0))
    equal("is alone", gate.send("2001:db8:1::2", 80), (0, 0, 0, 1))
    equal("an IPv4 /24", gate.send("192.0.2.1", 10), (0, 0, 1, 0))
    equal("is not", gate.send("192.0.2.200", 80), (1, 0, 0, 0))
    equal("nor all there is", gate.send("192.0.3.1", 80), (0, 0, 0, 1))
    equal("the list has both", sorted(gate.listed()), ["192.0.2.0/24", "2001:db8:1::1"])


def t_full():
    gate = Gate(size=8, time="1s")
    some, others = (["192.0.2.%d" % (n + i) for i in range(8)] for n in (0, 100))

    def no_room():
        return gate.weir("show", "counters", "--json", expect=0).json["bans_full"]

    gate.ask(some + others[:1] * 2)
    equal("there are as many bans as the size says", sorted(gate.listed()), some)
    equal("what found no room is counted", no_room(), 2)
    time.sleep(1)
    gate.ask(others)
    equal("what has expired makes room", sorted(gate.listed()), others)
    equal("for all of them", no_room(), 2)
    gate.weir("set", "del", "noisy", others[3], expect=0)
    for n in range(3):
        time.sleep(1)
        gate.ask(["192.0.%d.%d" % (3 + n, i) for i in range(16)])
        equal("never more than its size", len(gate.listed()), 8)
    time.sleep(1)
    equal("and again it is there for others", gate.send("192.0.2.1", 10, 2), (1, 0, 1, 0))


main()
