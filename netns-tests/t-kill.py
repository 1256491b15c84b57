#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""kill -9 at N random moments of `apply` and `set load`: the old or the new one, whole, never nothing, under
traffic that would show it; the next command tidies up."""
import os
import random
import re
import subprocess
import time

from chain import Chain
from frame import frame
from lab import WEIR, Wire, check, equal, main, pair_world

N = int(os.environ.get("N") or 20)
SEED = int(os.environ.get("SEED") or time.time())


def shape(pins):
    """Pins without the numbers that change with each generation."""
    return sorted(re.sub(r"\d+", "#", p) for p in pins)


def doomed(space, root, words, delay, meanwhile):
    """Runs the command and kills it after `delay` seconds; true if it was still running."""
    child = space.popen(WEIR, "--bpffs", root, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT)
    end = time.monotonic() + delay
    while child.poll() is None and time.monotonic() < end:
        meanwhile()
    killed = child.poll() is None
    child.kill()  # nsenter has become the command: the same process
    child.communicate()
    space.world.children.remove(child)
    return killed


def t_apply():
    print("      SEED=%d" % SEED)
    rng = random.Random(SEED)
    chain = Chain()
    chain.apply(0)
    before = time.monotonic()
    chain.apply(1)
    takes = time.monotonic() - before
    clean, now, killed = shape(chain.world.pins()), 1, 0
    outcomes = {"old": 0, "new": 0}
    for n in range(N):
        turn = now
        delay = takes * 1.2 * rng.random() ** 2  # more of the early ones: the swap comes early
        words = ["apply", chain.files[1 - now]]
        killed += doomed(chain.guard, chain.world.root, words, delay, lambda: chain.burst(turn))
        found = chain.state()
        if found not in ([0] * 5, [1] * 5):
            check("kill %d after %.4f s: all hooks run one policy" % (n, delay), False, found)
            return
        outcomes["old" if found[0] == now else "new"] += 1
        now = found[0]
        chain.burst(0)
        chain.burst(1)
        ran = chain.guard.weir("show")
        if ran.code or shape(chain.world.pins()) != clean:
            check("kill %d after %.4f s: the next command tidies up" % (n, delay), False,
                  "%s\nwanted %s\ngot    %s" % (ran, clean, chain.world.pins()))
            return
        if chain.state() != found:
            check("kill %d: tidying up changes no verdict" % n, False, chain.state())
            return
        if chain.leaks or chain.lost:
            break
    check("%d kills of apply, %d while it ran: %d left the old policy, %d the new one"
          % (N, killed, outcomes["old"], outcomes["new"]), killed)
    equal("nothing came through that both policies drop", chain.leaks[:10], [])
    equal("nothing was lost that both policies accept", chain.lost, 0)
    equal("each drop was counted, once", chain.counted(), chain.sent)
    chain.apply(1 - now)
    equal("an apply after it all works", chain.state(), [1 - now] * 5)


def t_first_apply_and_down():
    """Nothing runs before and nothing after: here the choice is all or nothing."""
    rng = random.Random(SEED + 1)
    chain = Chain()
    before = time.monotonic()
    chain.apply(0)
    takes = time.monotonic() - before
    clean = shape(chain.world.pins())
    killed = 0
    for n in range(max(5, N // 4)):
        chain.guard.weir("down", expect=0)
        killed += doomed(chain.guard, chain.world.root, ["apply", chain.files[0]], rng.uniform(0, takes), lambda: None)
        chain.apply(0)
        if chain.state() != [0] * 5 or shape(chain.world.pins()) != clean:
            check("kill %d of a first apply: the next apply is whole" % n, False, chain.world.pins())
            return
        killed += doomed(chain.guard, chain.world.root, ["down"], rng.uniform(0, 0.05), lambda: None)
        ran = chain.guard.weir("down")
        if ran.code or chain.world.pins():
            check("kill %d of a down: the next down takes the rest" % n, False, "%s\n%s" % (ran, chain.world.pins()))
            return
    check("first apply and down, %d killed while they ran" % killed, True)
    out = chain.guard.run("bpftool", "net", "show")
    check("nothing stays attached", "weir" not in out, out)


def t_set_load():
    rng = random.Random(SEED + 2)
    world, wire, guard = pair_world()
    rules = world.file("set.rules", """
        set blocked { type addr; size 200000 }
        filter edge { hook ingress; device g0; default accept
            saddr @blocked counter hit drop
        }
    """)
    guard.weir("apply", rules, expect=0)
    lists = []
    for k in (0, 1):
        own = ["10.%d.%d.%d" % (20 + k, n >> 8, n & 255) for n in range(20000)]
        both = ["10.30.%d.%d" % (n >> 8, n & 255) for n in range(20000)]
        lists.append(world.file("list%d" % k, "\n".join(own + both + ["10.%d.0.0/20" % (40 + k), "10.50.0.0/20"]) + "\n"))
    in_one = [[frame("udp", a % (k,), "10.0.0.1", dport=9) for a in ("10.2%d.3.4", "10.4%d.3.4")] for k in (0, 1)]
    in_both = [frame("udp", a, "10.0.0.1", dport=9) for a in ("10.30.7.7", "10.50.1.1")]
    plain = frame("udp", "10.9.9.9", "10.0.0.1", dport=9)
    out, back = Wire(wire, "w0"), Wire(guard, "g0")
    seen = {"both": 0, "sent": 0, "lost": 0}

    def arrived(data):
        """True if `data` came through; a plain frame behind it says when to stop waiting."""
        out.send(data)
        out.send(plain)
        seen["sent"] += 1
        found = False
        while True:
            got = back.seen(2.0)
            if got is None:
                seen["lost"] += 1
                return found
            if got == plain:
                return found
            found = found or got == data

    def traffic():
        for data in in_both:
            seen["both"] += arrived(data)

    before = time.monotonic()
    guard.weir("set", "load", "blocked", lists[0], expect=0)
    takes = time.monotonic() - before
    clean, now, killed = shape(world.pins()), 0, 0
    for n in range(N):
        delay = takes * 1.2 * rng.random() ** 2  # more of the early ones: the swap comes early
        killed += doomed(guard, world.root, ["set", "load", "blocked", lists[1 - now]], delay, traffic)
        state = [[not arrived(data) for data in in_one[k]] for k in (0, 1)]
        if state not in ([[True] * 2, [False] * 2], [[False] * 2, [True] * 2]):
            check("kill %d after %.4f s: the old list or the new one" % (n, delay), False, state)
            return
        now = 0 if state[0][0] else 1
        ran = guard.weir("show")
        if ran.code or shape(world.pins()) != clean:
            check("kill %d: the next command tidies up" % n, False, "%s\nwanted %s\ngot    %s" % (ran, clean, world.pins()))
            return
        traffic()
    check("%d kills of set load, %d while it ran" % (N, killed), killed)
    equal("members of both lists never came through", seen["both"], 0)
    equal("the others always did", seen["lost"], 0)


main(limit=120 + 10 * N)
