#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Named sets under traffic, and sets as large as the public feeds."""
import glob
import gzip
import ipaddress
import os
import random
import subprocess
import time

from frame import THERE, frame
from lab import WEIR, Counters, Tap, Wire, check, equal, main, pair_world, wait

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


def listed(gate, name="blocked"):
    """Elements of a set that remembers things of them, by name."""
    return {e["element"]: e for e in gate.weir("set", "list", name, "--json", expect=0).json["elements"]}


def t_timeouts():
    gate = Gate(ONE.replace("size 1000", "timeout 1h").replace("HOOK", "ingress"))
    if not check("a set with a timeout", gate.applied.code == 0, gate.applied):
        return
    gate.weir("set", "add", "blocked", "192.0.2.1", "198.51.0.0/16", "2001:db8::1", expect=0)
    gate.weir("set", "add", "blocked", "192.0.2.2", "timeout", "700ms", "192.0.2.3", "timeout", "10m",
              "198.51.100.0/24 timeout 700ms", "2001:db8::2", "timeout", "700ms", "2001:db8:1::/48", "timeout", "700ms",
              "203.0.113.0/24", "timeout", "700ms", expect=0)
    began = time.monotonic()
    short = ["192.0.2.2", "2001:db8::2", "2001:db8:1::9", "203.0.113.9"]
    long = ["192.0.2.1", "198.51.7.7", "198.51.100.7", "2001:db8::1"]
    dropped = gate.send(short + long)
    if time.monotonic() - began < 0.6:
        equal("elements that have not expired", dropped, (8, 0))
    ran = gate.weir("set", "add", "blocked", "192.0.2.3", "timeout", "1h")
    check("adding again refreshes", "1 refreshed" in ran.out and listed(gate)["192.0.2.3"]["expires_ms"] > 3500000, ran)
    if wait(lambda: time.monotonic() > began + 0.75, 2):
        equal("expired ones, and longer prefixes that expired inside a shorter one", gate.send(short + long), (4, 4))
    equal("a list is without them", sorted(listed(gate)), ["192.0.2.1", "192.0.2.3", "198.51.0.0/16", "2001:db8::1"])
    check("set test, too", gate.weir("set", "test", "blocked", "192.0.2.2").code == 4)
    left = listed(gate)["192.0.2.1"]
    check("an element has the set's timeout", left["timeout_ms"] == 3600000 and 3500000 < left["expires_ms"] <= 3600000, left)
    ran = gate.weir("set", "add", "blocked", "192.0.2.2")
    check("an expired one is added, not refreshed", "1 added" in ran.out, ran)
    equal("and drops", gate.send(["192.0.2.2"]), (1, 0))
    before = listed(gate)
    gate.weir("apply", "-", stdin=ONE.replace("size 1000", "timeout 1h").replace("HOOK", "ingress") + "set more { 1 }\n", expect=0)
    after = listed(gate)
    check("an apply keeps elements and their time", sorted(after) == sorted(before) and
          all(0 < after[e]["expires_ms"] <= before[e]["expires_ms"] for e in before), (before, after))
    text = gate.weir("set", "list", "blocked", expect=0).out
    gate.weir("set", "load", "blocked", "-", stdin=text, expect=0)
    again = listed(gate)
    check("what list prints, load takes, with the time that was left", sorted(again) == sorted(after) and
          all(abs(again[e]["expires_ms"] - after[e]["expires_ms"]) < 5000 for e in after), again)
    ran = gate.weir("set", "load", "blocked", "-", stdin="192.0.2.9 timeout soon\n")
    check("a bad timeout is refused", ran.code in (1, 3) and "expected a time" in ran.err, ran)


def t_timeouts_of_concatenations():
    gate = Gate("""set s { type addr . port; flags timeout; elements = { 192.0.2.1 . 9, 192.0.2.2 . 9 timeout 600ms } }
        filter edge { hook ingress; device g0; default accept
            saddr . udp dport @s counter hit drop
        }""")
    if not check("apply", gate.applied.code == 0, gate.applied):
        return
    equal("list", {e: v["timeout_ms"] for e, v in listed(gate, "s").items()}.get("192.0.2.1 . 9", 0), None)
    equal("both, then one", wait(lambda: gate.send(["192.0.2.1", "192.0.2.2"]) == (1, 1), 3), True)
    ran = gate.weir("set", "add", "s", "192.0.2.3 . 9", "timeout", "1h")
    equal("the next command deletes it", (ran.code, sorted(listed(gate, "s"))), (0, ["192.0.2.1 . 9", "192.0.2.3 . 9"]))


def t_element_counters():
    rules = """set seen { type addr; counter; elements { 192.0.2.1, 2001:db8::/32 } }
        filter edge { hook ingress; device g0; default accept
            saddr @seen counter hit drop
        }
    """
    gate = Gate(rules)
    if not check("a set that counts", gate.applied.code == 0, gate.applied):
        return
    gate.weir("set", "add", "seen", "192.0.2.2", expect=0)
    gate.send(["192.0.2.1", "192.0.2.1", "2001:db8::7", "192.0.2.9"])
    want = {"192.0.2.1": 2, "192.0.2.2": 0, "2001:db8::/32": 1}

    def packets():
        return {e: v["packets"] for e, v in listed(gate, "seen").items()}

    equal("packets of each element", packets(), want)
    check("and bytes", listed(gate, "seen")["192.0.2.1"]["bytes"] > 80)
    check("the text has them", "192.0.2.1 counter packets 2 bytes " in gate.weir("set", "list", "seen").out)
    gate.weir("apply", "-", stdin=rules.replace("default accept", "default accept; udp dport 11 drop"), expect=0)
    equal("an apply keeps them", packets(), want)
    gate.send(["192.0.2.2"] * 3)
    gate.weir("set", "add", "seen", "192.0.2.2", expect=0)
    want["192.0.2.2"] = 3
    equal("adding again does not clear them", packets(), want)
    gate.weir("set", "load", "seen", "-", stdin="192.0.2.5 counter packets 10 bytes 1000\n192.0.2.6\n", expect=0)
    gate.send(["192.0.2.5"])
    equal("a list with counts is taken with them", packets(), {"192.0.2.5": 11, "192.0.2.6": 0})


def t_growth():
    """A set that outgrows table and pool while packets look into it: one that is in stays in, one that is not stays out."""
    gate = Gate("""set blocked { type addr }
        filter edge { hook ingress; device g0; default accept
            saddr @blocked counter hit drop
        }""")
    sure = ["192.0.2.1", "198.51.100.9", "2001:db8::1", "2001:db8:5::9"]
    never = ["192.0.2.2", "198.51.101.9", "2001:db8::2", "2001:db8:6::9"]
    gate.weir("set", "add", "blocked", "192.0.2.1", "198.51.100.0/24", "2001:db8::1", "2001:db8:5::/48", expect=0)
    sent = dropped = arrived = at = 0
    while at < 60000:
        more = 1 + at
        text = "".join("10.%d.%d.%d\n172.%d.%d.%d/31\n2001:db8:%x:%x::\n2001:db8:%x:%x::/64\n"
                       % (n >> 16, n >> 8 & 255, n & 255, 16 + (n >> 15), n >> 7 & 255, n * 2 & 254,
                          256 + (n >> 16), n & 65535, 512 + (n >> 16), n & 65535)
                       for n in range(at, at + more))
        batch = gate.world.file("batch", text)
        child = gate.guard.popen("sh", "-c", 'exec "$0" set add blocked - <"$1"', WEIR, batch, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, env=dict(os.environ, WEIR_BPFFS=gate.world.root))
        while child.poll() is None:
            d, a = gate.send(sure + never)
            sent, dropped, arrived = sent + 4, dropped + d, arrived + a
        said = child.communicate()[0]
        gate.world.children.remove(child)
        if child.returncode or "%d added" % (4 * more) not in said:
            check("adding %d" % (4 * more), False, said)
            return
        at += more
    equal("%d frames while %d elements were added" % (2 * sent, 4 * at), (dropped, arrived), (sent, sent))
    check("the pool grew", max(int(p.split("/")[0]) for p in gate.world.pins() if p[0].isdigit()) >= 3, gate.world.pins())
    equal("all are there", len(gate.weir("set", "list", "blocked", expect=0).out.split()), 4 * at + 4)
    last = at - 1
    equal("the last ones drop", gate.send(["10.%d.%d.%d" % (last >> 16, last >> 8 & 255, last & 255),
                                           "2001:db8:%x:%x::" % (256 + (last >> 16), last & 65535), "10.250.0.1"]), (2, 1))
    text = "".join("10.%d.%d.%d\n" % (n >> 16, n >> 8 & 255, n & 255) for n in range(at))
    ran = gate.weir("set", "del", "blocked", "-", stdin=text)
    check("and are deleted again", "%d deleted" % at in ran.out, ran)
    equal("only they", gate.send(["10.0.0.1", "10.0.7.7", "172.16.0.1", "192.0.2.1"]), (2, 2))


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
