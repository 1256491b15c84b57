#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The least that must work on every kernel, in seconds even on an emulated machine: load, attach, judge real frames
at XDP and both TC hooks, swap, change a set, share a device through libxdp's dispatcher where that works, down."""
import os
import re
import shutil

from frame import HERE, THERE, frame
from lab import FOREIGN, Counters, Tap, Wire, check, equal, main, pair_world, wait

US, YOU = "10.0.0.1", "10.0.0.2"
RULES = """
set blocked { type addr; size 100 }
filter in { hook ingress; device g0; malformed drop; default accept
    saddr @blocked counter blocked drop
    udp dport %d counter xdp drop
}
filter stack { hook ingress tc; device g0; default accept
    udp dport 8 counter tc drop
}
filter out { hook egress; device g0; default accept
    udp dport 9 counter egress drop
}
"""


def counts(guard, *names):
    counters = Counters(guard)
    return [counters.named(n) for n in names]


def passes(tap, out, port, saddr=YOU):
    """A frame to that port, and one behind it that says when to stop waiting."""
    before = tap.read()
    out.send(frame("udp", saddr, US, dport=port))
    out.send(frame("udp", YOU, US, dport=1))
    wait(lambda: tap.read() > before)
    wait(lambda: tap.read() > before + 1, 0.1)
    return tap.read() == before + 2


def t_gate():
    world, wire, guard = pair_world()
    print("      Linux " + os.uname().release)
    tap, out, far, near = Tap(guard, "g0", THERE), Wire(wire, "w0"), Wire(wire, "w0"), Wire(guard, "g0")
    check("before: everything passes", passes(tap, out, 7))
    ran = guard.weir("apply", "-", stdin=RULES % 7)
    if not check("apply", ran.code == 0, ran):
        return
    names = ("blocked", "xdp", "tc", "egress")
    for port in (7, 8):
        check("port %d is dropped" % port, not passes(tap, out, port))
    for tags in ([(0x8100, 5)], [(0x88A8, 5), (0x8100, 6)]):
        out.send(frame("udp", YOU, US, dport=7, tags=tags))
        out.send(frame("udp", YOU, US, dport=8, tags=tags))
    equal("behind tags too", wait(lambda: counts(guard, "xdp", "tc") == [3, 3]), True)
    far.count()
    for port in (9, 10):
        near.send(frame("udp", US, YOU, dport=port, src=HERE, dst=THERE))
    equal("egress lets one of two out", far.count(HERE, 1) + far.count(HERE, 1, 0.1), 1)
    equal("each drop is counted", counts(guard, *names), [0, 3, 3, 1])
    check("a member of no set passes", passes(tap, out, 20, "192.0.2.1"))
    guard.weir("set", "add", "blocked", "192.0.2.1", "2001:db8::/32", expect=0)
    check("added, it is dropped", not passes(tap, out, 20, "192.0.2.1"))
    out.send(frame("udp", "2001:db8::5", "fd00::1", dport=20))
    equal("so is an IPv6 neighbour", wait(lambda: counts(guard, "blocked") == [2]), True)
    guard.weir("apply", "-", stdin=RULES % 70, expect=0)
    equal("another rule file: swapped", (passes(tap, out, 7), passes(tap, out, 70)), (True, False))
    equal("the set has kept its elements, the rules their counts", counts(guard, *names), [2, 4, 3, 1])
    more = RULES.replace("saddr @blocked", "\n".join("udp dport %d saddr 172.16.0.0/12 drop" % n for n in range(2000, 5000)) + "\nsaddr @blocked")
    guard.weir("apply", "-", stdin=more % 7, expect=0)
    equal("a much larger one", (passes(tap, out, 7), passes(tap, out, 70), passes(tap, out, 20, "192.0.2.1")), (False, True, False))
    equal("down", (guard.weir("down").code, world.pins()), (0, []))
    check("everything passes again", all(passes(tap, out, p) for p in (7, 8)))


def t_dispatcher():
    """Two programs on one device: weir and somebody else's, attached by xdp-loader, in either order."""
    loader = shutil.which("xdp-loader") or shutil.which("/usr/sbin/xdp-loader")
    if not loader or not os.path.exists(FOREIGN):
        print("      no xdp-loader (package xdp-tools): left out")
        return
    for first in ("theirs", "ours"):
        world, wire, guard = pair_world()
        tap, out = Tap(guard, "g0", THERE), Wire(wire, "w0")

        def theirs(*words):
            return guard.run(loader, *words, expect=None)

        theirs("load", "-m", "native", "-s", "xdp", "g0", FOREIGN)
        found = re.search(r"prog/xdp id (\d+) name (\w+)", guard.ip("-d", "link", "show", "dev", "g0"))
        if not found or not found[2].startswith("xdp_disp"):
            theirs("unload", "g0", "--all")
            print("      this kernel refuses libxdp's dispatcher: left out")
            return
        check("xdp-loader's program drops its port", not passes(tap, out, 4343))
        if first == "ours":
            theirs("unload", "g0", "--all")
        ran = guard.weir("apply", "-", stdin=RULES % 7)
        if not check("%s first: apply" % first, ran.code == 0, ran):
            theirs("unload", "g0", "--all")
            continue
        if first == "ours":
            said = theirs("load", "-m", "native", "-s", "xdp", "g0", FOREIGN)
        else:
            said = ""
        got = [passes(tap, out, port) for port in (7, 4343, 20)]
        check("%s first: both judge" % first, got == [False, False, True],
              "%s\n%s\n%s" % (got, said, theirs("status", "g0")))
        guard.weir("apply", "-", stdin=RULES % 70, expect=0)
        equal("%s first: a swap leaves theirs" % first, [passes(tap, out, port) for port in (7, 70, 4343)],
              [True, False, False])
        equal("%s first: down leaves theirs" % first,
              (guard.weir("down").code, [passes(tap, out, port) for port in (70, 4343)]), (0, [True, False]))
        theirs("unload", "g0", "--all")
        world.close()


main(limit=240)
