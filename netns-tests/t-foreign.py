#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Somebody else's XDP program and TC filters on the device stay as they are, through apply and down."""
import re

from frame import HERE, THERE, frame
from lab import FOREIGN, Counters, Tap, Wire, check, equal, main, pair_world, wait

US, YOU = "10.0.0.1", "10.0.0.2"
RULES = """
filter %(name)s { hook %(hook)s; device g0; default accept
    udp dport 9 counter ours drop
}
"""


class Shared:
    def __init__(self):
        self.world, self.wire, self.guard = pair_world()
        self.object = FOREIGN
        self.tap, self.out = Tap(self.guard, "g0", THERE), Wire(self.wire, "w0")

    def rules(self, hook):
        return self.world.file("rules.rules", RULES % {"hook": hook, "name": "f"})

    def passes(self, port):
        """Whether a datagram to that port gets in; another behind it says when to stop waiting."""
        before = self.tap.read()
        self.out.send(frame("udp", YOU, US, dport=port))
        self.out.send(frame("udp", YOU, US, dport=1))
        wait(lambda: self.tap.read() > before)
        wait(lambda: self.tap.read() > before + 1, 0.1)
        return self.tap.read() == before + 2

    def leaves(self, port):
        near, far = Wire(self.guard, "g0"), Wire(self.wire, "w0")
        near.send(frame("udp", US, YOU, dport=port, src=HERE, dst=THERE))
        near.send(frame("udp", US, YOU, dport=1, src=HERE, dst=THERE))
        n = far.count(HERE, 1) + far.count(HERE, 1, 0.1)
        near.close(), far.close()
        return n == 2

    def xdp_id(self):
        found = re.search(r"prog/xdp id (\d+)", self.guard.ip("link", "show", "dev", "g0"))
        return int(found[1]) if found else None

    def filters(self, side):
        return self.guard.run("tc", "filter", "show", "dev", "g0", side)


def t_xdp_program_of_another():
    for mode in ("xdpdrv", "xdpgeneric"):
        s = Shared()
        s.guard.ip("link", "set", "dev", "g0", mode, "obj", s.object, "sec", "xdp")
        theirs = s.xdp_id()
        check("%s: their program drops its port" % mode, not s.passes(4343))
        ran = s.guard.weir("apply", s.rules("ingress"))
        if ran.code == 0:  # a kernel with freplace and their program attached by libxdp: not with ip(8)
            check("%s: apply is refused" % mode, False, ran)
        else:
            equal("%s: apply fails" % mode, ran.code, 1)
            check("%s: it names the device, the program and the way out" % mode,
                  "g0" in ran.err and str(theirs) in ran.err and "--force" in ran.err, ran)
            equal("%s: their program stays" % mode, (s.xdp_id(), s.passes(4343), s.passes(9)), (theirs, False, True))
            shown = s.guard.weir("show", "--json")
            check("%s: nothing of ours runs" % mode, shown.code == 0 and shown.json["generation"] is None, shown)
        s.guard.weir("down")
        equal("%s: and outlives down" % mode, (s.xdp_id(), s.passes(4343)), (theirs, False))
        ran = s.guard.weir("apply", s.rules("ingress tc"))
        equal("%s: beside it, TC is ours" % mode, (ran.code, s.passes(9), s.passes(4343), s.xdp_id()),
              (0, False, False, theirs))
        equal("%s: down leaves theirs" % mode, (s.guard.weir("down").code, s.passes(9), s.xdp_id()), (0, True, theirs))
        ran = s.guard.weir("apply", "--force", s.rules("ingress"))
        check("%s: apply --force takes the place" % mode, ran.code == 0, ran)
        equal("%s: and ours decides" % mode, (s.passes(9), s.passes(4343)), (False, True))
        equal("%s: down leaves the device empty" % mode, (s.guard.weir("down").code, s.xdp_id()), (0, None))
        s.world.close()


def t_tc_filters_of_another():
    s = Shared()
    s.guard.run("tc", "qdisc", "add", "dev", "g0", "clsact")
    for side in ("ingress", "egress"):
        s.guard.run("tc", "filter", "add", "dev", "g0", side, "prio", "7", "bpf", "da", "obj", s.object, "sec", "tc")
    theirs = [s.filters(side) for side in ("ingress", "egress")]
    equal("their filters drop their port", (s.passes(4242), s.leaves(4242)), (False, False))
    for n, (hook, side) in enumerate((("ingress tc", 0), ("egress", 1)), 1):
        ran = s.guard.weir("apply", s.rules(hook))
        check("%s: apply beside their filters" % hook, ran.code == 0, ran)
        ours = s.passes if side == 0 else s.leaves
        equal("%s: ours drops ours" % hook, ours(9), False)
        equal("%s: theirs drop theirs" % hook, (s.passes(4242), s.leaves(4242)), (False, False))
        equal("%s: ours counted" % hook, Counters(s.guard).named("ours"), n)
    s.guard.weir("down", expect=0)
    equal("down leaves their filters as they were", [s.filters(side) for side in ("ingress", "egress")], theirs)
    equal("and they work", (s.passes(4242), s.leaves(4242), s.passes(9), s.leaves(9)), (False, False, True, True))


def t_a_qdisc_of_another():
    s = Shared()
    s.guard.run("tc", "qdisc", "add", "dev", "g0", "clsact")
    s.guard.weir("apply", s.rules("egress"), expect=0)
    s.guard.weir("down", expect=0)
    check("a clsact that was there stays", "clsact" in s.guard.run("tc", "qdisc", "show", "dev", "g0"))


main()
