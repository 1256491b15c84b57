#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What an apply keeps, what it changes, and what it refuses."""
import json
import os
import subprocess

from frame import HERE, THERE, frame
from lab import WEIR, Counters, Tap, Wire, World, check, equal, main, pair_world, wait

US, YOU = "10.0.0.1", "10.0.0.2"


class Gate:
    """wire: w0 ---- g0 :guard, w1 ---- g1"""

    def __init__(self, devices=1):
        self.world = World()
        self.wire, self.guard = self.world.space("wire"), self.world.space("guard")
        self.taps, self.outs = [], []
        for n in range(devices):
            self.cable(n)

    def cable(self, n):
        self.world.veth(self.wire, "w%d" % n, self.guard, "g%d" % n, mac_a=THERE, mac_b=HERE)
        self.taps[n:] = [Tap(self.guard, "g%d" % n, THERE)]
        self.outs[n:] = [Wire(self.wire, "w%d" % n)]

    def apply(self, text, *words, **how):
        return self.guard.weir("apply", *words, self.world.file("gate.rules", text), **how)

    def passes(self, port, device=0, kind="udp"):
        tap, out = self.taps[device], self.outs[device]
        before = tap.read()
        out.send(frame(kind, YOU, US, dport=port))
        out.send(frame("udp", YOU, US, dport=1))
        wait(lambda: tap.read() > before)
        wait(lambda: tap.read() > before + 1, 0.05)
        return tap.read() == before + 2


def rules(*lines, head="hook ingress; device g0; default accept", name="edge"):
    return "filter %s {\n    %s\n%s\n}\n" % (name, head, "\n".join("    " + line for line in lines))


def t_counters_survive():
    g = Gate()
    g.apply(rules("udp dport 7 drop", "udp dport 8 counter eight drop", "tcp dport 9 drop"), expect=0)
    for _ in range(5):
        g.passes(7)
        g.passes(8)
    equal("before", [Counters(g.guard).rule("gate.rules:%d" % n) for n in (3, 4, 5)], [5, 5, 0])
    ran = g.apply(rules("tcp dport 10 drop", "udp dport 8 counter eight drop", "tcp dport 9 drop", "udp dport 7 drop"))
    check("rules move, one comes", ran.code == 0, ran)
    counters = Counters(g.guard)
    equal("each kept its count", [counters.rule("gate.rules:%d" % n) for n in (3, 4, 5, 6)], [0, 5, 0, 5])
    equal("the named counter too", counters.named("eight"), 5)
    g.passes(7)
    equal("and goes on counting", Counters(g.guard).rule("gate.rules:6"), 6)
    g.apply(rules("udp dport 8 counter eight accept", "udp dport 7 drop", "udp dport 7 drop"), expect=0)
    counters = Counters(g.guard)
    equal("another verdict is another rule; the first of two equal ones is the old one",
          [counters.rule("gate.rules:%d" % n) for n in (3, 4, 5)], [0, 6, 0])
    equal("the name still has its count", counters.named("eight"), 5)
    g.apply(rules("udp dport 7 drop"), expect=0)
    g.apply(rules("udp dport 7 drop", "udp dport 8 counter eight drop"), expect=0)
    equal("what was away begins anew", Counters(g.guard).named("eight"), 0)


def t_unchanged():
    g = Gate()
    text = rules("udp dport 7 counter seven drop")
    equal("plan of what is not there: a difference", g.guard.weir("plan", g.world.file("p.rules", text)).code, 4)
    g.apply(text, expect=0)
    g.passes(7)
    first = Counters(g.guard).document
    equal("plan of what runs: none", g.guard.weir("plan", g.world.file("gate.rules", text)).code, 0)
    ran = g.apply(text)
    check("the same file again", ran.code == 0, ran)
    check("says that nothing changed", "unchanged" in ran.out, ran)
    equal("is the same generation", Counters(g.guard).document["generation"], first["generation"])
    equal("with its counts", Counters(g.guard).named("seven"), 1)
    ran = g.apply("# a comment\n" + text.replace("udp dport 7", "udp   dport  7"))
    equal("white space and comments decide nothing", (ran.code, Counters(g.guard).named("seven"), g.passes(7)), (0, 1, False))


def t_devices():
    g = Gate()
    head = "hook ingress; device %s; default accept"
    text = rules("udp dport 7 drop", head=head % "g0, nosuch")
    ran = g.apply(text)
    equal("a device that is not there is an error", ran.code in (1, 3), True)
    check("which names it and the way out", "nosuch" in ran.err and "optional" in ran.err, ran)
    check("and nothing was loaded", g.passes(7))
    ran = g.apply(rules("udp dport 7 drop", head="hook ingress; device g0, nosuch optional; default accept"))
    equal("an optional one is not", (ran.code, g.passes(7)), (0, False))


def t_two_devices():
    g = Gate(2)
    g.apply(rules("udp dport 7 counter seven drop", head="hook ingress; device g0, g1; default accept"), expect=0)
    equal("two devices of one filter", (g.passes(7, 0), g.passes(7, 1), Counters(g.guard).named("seven")), (False, False, 2))
    g.apply(rules("udp dport 7 drop") + rules("udp dport 8 drop", head="hook ingress; device g1; default accept", name="b"), expect=0)
    equal("a filter each", [g.passes(p, d) for d in (0, 1) for p in (7, 8)], [False, True, True, False])
    g.apply(rules("udp dport 7 drop"), expect=0)
    equal("a device that the file no longer names is free", [g.passes(p, 1) for p in (7, 8)], [True, True])
    check("and nothing is attached to it", "xdp" not in g.guard.ip("link", "show", "dev", "g1"))
    both = rules("device g0 udp dport 7 drop", "iif g1 udp dport 8 drop", head="hook ingress; device g0, g1; default accept")
    ran = g.apply(both)
    equal("rules for one device of two", (ran.code, [g.passes(p, d) for d in (0, 1) for p in (7, 8)]),
          (0, [False, True, True, False]))


def t_device_comes_back():
    g = Gate(2)
    text = rules("udp dport 7 drop", head="hook ingress; device g0, g1; default accept")
    g.apply(text, expect=0)
    g.guard.ip("link", "del", "g1")
    ran = g.guard.weir("show")
    equal("a device leaves: show works", ran.code, 0)
    equal("and the other is guarded", g.passes(7), False)
    g.cable(1)
    check("a new device of the same name is not guarded by itself", g.passes(7, 1))
    ran = g.apply(text)
    equal("the next apply guards it", (ran.code, g.passes(7, 1), g.passes(7, 0)), (0, False, False))
    g.guard.ip("link", "del", "g1")
    equal("down works with a device gone", (g.guard.weir("down").code, g.passes(7)), (0, True))


def t_device_of_a_set_comes_back():
    g = Gate(devices=2)
    text = 'set doors { type iface; "g0", "g1" }\n' + rules("iif @doors udp dport 7 drop")
    g.apply(text, expect=0)
    before = g.guard.weir("set", "list", "doors", expect=0).out
    g.guard.ip("link", "del", "g1")
    ran = g.guard.weir("set", "list", "doors")
    check("gone: listed without a crash", ran.code == 0 and '"g0"' in ran.out, ran)
    g.guard.ip("link", "add", "g1", "index", "777", "type", "veth", "peer", "name", "g1far")
    ran = g.apply(text, expect=0)
    check("made anew: an apply takes its new number", "1 loaded" in ran.out, ran)
    equal("the set lists it", g.guard.weir("set", "list", "doors", expect=0).out, before)
    equal("and finds it", g.guard.weir("set", "test", "doors", "g1").code, 0)


def t_growth():
    g = Gate()
    g.apply(rules("udp dport 7 counter seven drop"), expect=0)
    g.passes(7)
    many = ["udp dport %d saddr 172.16.%d.%d drop" % (2000 + n % 1000, n >> 8, n & 255) for n in range(20000)]
    ran = g.apply(rules("udp dport 7 counter seven drop", *many, "udp dport 8 drop"))
    check("from one rule to 20,002", ran.code == 0, ran)
    equal("the first and the last rule hold", (g.passes(7), g.passes(8), g.passes(9)), (False, False, True))
    equal("the count came along", Counters(g.guard).named("seven"), 2)
    g.outs[0].send(frame("udp", "172.16.78.31", US, dport=2999))
    place = "gate.rules:%d" % (3 + 1 + 19999)
    equal("rule 20,001 took its frame", wait(lambda: Counters(g.guard).rule(place)), 1)
    ran = g.apply(rules("udp dport 7 counter seven drop"))
    equal("and back to one", (ran.code, g.passes(8), g.passes(7), Counters(g.guard).named("seven")), (0, True, False, 3))


def t_other_programs():
    g = Gate()
    text = rules("udp dport 7 drop")
    g.apply(text, expect=0)
    g.passes(7)
    control = os.path.join(g.world.root, "1", "control")
    ran = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", control], capture_output=True, text=True, check=True)
    value = json.loads(ran.stdout)[0]["value"]
    value[40] = hex(int(value[40], 16) ^ 0xFF)  # struct control: the hash of the programs
    subprocess.run(["bpftool", "map", "update", "pinned", control, "key", *["0"] * 4, "value", *value], check=True)
    check("programs of another build are replaced, though the rules are the same", not g.passes(7) and
          "unchanged" not in g.apply(text, expect=0).out and os.path.isdir(os.path.join(g.world.root, "2")))
    check("the old ones are gone", not os.path.exists(os.path.join(g.world.root, "1")))
    equal("the new ones judge, and the count goes on", (g.passes(7), Counters(g.guard).rule("gate.rules:3")), (False, 3))
    check("once is enough", "unchanged" in g.apply(text, expect=0).out)


def t_two_weirs():
    g = Gate()
    other = g.world.space("other")
    g.world.veth(g.wire, "v0", other, "g0", mac_a=THERE, mac_b=HERE)
    tap, out, root = Tap(other, "g0", THERE), Wire(g.wire, "v0"), g.world.other_root()
    g.apply(rules("udp dport 7 counter seven drop"), expect=0)
    path = g.world.file("other.rules", rules("udp dport 8 counter eight drop"))
    ran = other.weir("apply", path, root=root)
    check("a second weir in another namespace, with its own root", ran.code == 0, ran)
    for port in (7, 8):
        out.send(frame("udp", YOU, US, dport=port))
    wait(lambda: Counters(other, root).named("eight") and tap.read())
    equal("judges by its own rules", (Counters(other, root).named("eight"), tap.read()), (1, 1))
    equal("and so does the first", (g.passes(7), g.passes(8)), (False, True))
    ran = other.weir("apply", path)
    check("the first one's root is refused in another namespace", ran.code == 1 and "namespace" in ran.err, ran)
    ran = other.weir("down")
    check("so is down", ran.code == 1, ran)
    equal("and nothing changed", (g.passes(7), g.passes(8)), (False, True))
    equal("down takes its own", (other.weir("down", root=root).code, g.passes(7)), (0, False))
    check("its root is empty", not g.world.pins(root), g.world.pins(root))


def t_two_applies_at_once():
    g = Gate()
    files = [g.world.file("%d.rules" % n, rules("udp dport %d drop" % (7 + n), "udp dport 100-%d drop" % (200 + n))) for n in range(2)]
    g.guard.weir("apply", files[0], expect=0)
    for _ in range(5):
        both = [g.guard.popen(WEIR, "--bpffs", g.world.root, "apply", f, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) for f in files]
        said = [b.communicate()[0] for b in both]
        codes = [b.returncode for b in both]
        busy = [c == 1 and "lock" in s for c, s in zip(codes, said)]  # waiting or refusing with a reason: both are right
        if not all(c == 0 or b for c, b in zip(codes, busy)):
            check("two applies at once both end well", False, said)
            break
        whole = (g.passes(7), g.passes(8))
        if whole not in ((False, True), (True, False)):
            check("and one of them holds", False, whole)
            break
    else:
        check("two applies at once, five times: one waits, one holds", True)


def t_broken_file():
    g = Gate()
    g.apply(rules("udp dport 7 drop"), expect=0)
    generation = Counters(g.guard).document["generation"]
    ran = g.apply(rules("udp dprot 7 drop", "udp dport 70000 drop", "saddr @nosuch drop"))
    equal("a broken file is rejected", ran.code, 3)
    for place in ("gate.rules:3:", "gate.rules:4:", "gate.rules:5:"):
        check("with each place: " + place, place in ran.err, ran)
    equal("the old rules hold", (g.passes(7), Counters(g.guard).document["generation"]), (False, generation))
    failing = rules("udp dport 8 drop") + """
        test "eight passes" {
            packet udp 10.0.0.2:5 > 10.0.0.1:8
            expect accept
        }
    """
    ran = g.apply(failing)
    check("a file whose own test fails is not applied", ran.code in (1, 3, 4) and "eight passes" in ran.err + ran.out, ran)
    equal("and the old rules hold", (g.passes(7), g.passes(8)), (False, True))
    equal("an unreadable file", g.guard.weir("apply", g.world.dir + "/nosuch.rules").code in (1, 3), True)


def t_down():
    g = Gate()
    g.apply(rules("udp dport 7 drop") + rules("udp dport 7 drop", head="hook ingress tc; device g0; default accept", name="t")
            + rules("udp dport 7 drop", head="hook egress; device g0; default accept", name="o"), expect=0)
    equal("three hooks of a device", g.passes(7), False)
    equal("down", (g.guard.weir("down").code, g.passes(7)), (0, True))
    check("nothing is pinned", not g.world.pins(), g.world.pins())
    check("nothing is attached", "xdp" not in g.guard.ip("link", "show", "dev", "g0"))
    out = g.guard.run("bpftool", "net", "show")
    check("to any hook", "g0" not in out, out)
    ran = g.guard.weir("down")
    check("down again is no failure, or says that nothing is there", ran.code in (0, 1), ran)


main()
