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
from lab import WEIR, check, doomed, equal, main
from setgate import SetGate, a_list

N = int(os.environ.get("N") or 20)
SEED = int(os.environ.get("SEED") or time.time())


def shape(pins):
    """Pins without the numbers that change with each generation."""
    return sorted(re.sub(r"\d+", "#", p) for p in pins)


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


class Gate(SetGate):
    def takes(self, *words):
        before = time.monotonic()
        self.weir(*words, expect=0)
        return time.monotonic() - before

    def doomed(self, words, takes, rng, power=2):  # more of the early moments: the swap comes early
        return doomed(self.guard, self.world.root, words, takes * 1.2 * rng.random() ** power, self.traffic)

    def tidied(self, clean):
        ran = self.weir("show")
        return check("the next command tidies up", ran.code == 0 and shape(self.world.pins()) == clean,
                     "%s\nwanted %s\ngot    %s" % (ran, clean, self.world.pins())) if (
            ran.code or shape(self.world.pins()) != clean) else True


def t_set_load():
    rng = random.Random(SEED + 2)
    gate = Gate()
    gate.weir("apply", gate.rules, expect=0)
    gate.members = ["10.30.1.7", "10.50.1.1"]
    lists = [gate.world.file("list%d" % k, a_list(20 + k, 20000)) for k in (0, 1)]
    gate.weir("set", "load", "blocked", lists[1], expect=0)
    takes = gate.takes("set", "load", "blocked", lists[0])
    clean, now, killed = shape(gate.world.pins()), 0, 0
    for n in range(N):
        killed += gate.doomed(["set", "load", "blocked", lists[1 - now]], takes, rng)
        state = [[gate.drops("10.%d.3.4" % own) for own in (20 + k, 120 + k)] for k in (0, 1)]
        if state not in ([[True] * 2, [False] * 2], [[False] * 2, [True] * 2]):
            check("kill %d: the old list or the new one" % n, False, state)
            return
        now = 0 if state[0][0] else 1
        if not gate.tidied(clean):
            return
        gate.traffic()
    check("%d kills of set load, %d while it ran" % (N, killed), killed)
    gate.ends()


def t_pool_grows():
    """Each time from a small pool: the load needs a larger instance, whose programs replace the running ones."""
    rng = random.Random(SEED + 3)
    gate = Gate()
    small, large = (gate.world.file("list%d" % k, a_list(20 + 50 * k, (100, 150000)[k])) for k in (0, 1))
    gate.weir("apply", gate.rules, expect=0)
    gate.weir("set", "load", "blocked", small, expect=0)
    clean = shape(gate.world.pins())
    takes = 3 * gate.takes("set", "load", "blocked", large)  # under traffic it takes longer
    outcomes = [0, 0]
    for n in range(max(8, N // 3)):
        gate.members = []
        gate.weir("down", expect=0)
        gate.weir("apply", gate.rules, expect=0)
        gate.weir("set", "load", "blocked", small, expect=0)
        gate.members = ["10.30.1.7", "10.50.1.1"]
        gate.doomed(["set", "load", "blocked", large], takes, rng, power=1)
        state = [[gate.drops("10.%d.0.4" % own) for own in (20 + 50 * k, 120 + 50 * k)] for k in (0, 1)]
        if state not in ([[True] * 2, [False] * 2], [[False] * 2, [True] * 2]):
            check("kill %d: the old list or the new one" % n, False, state)
            return
        outcomes[state[1][0]] += 1
        if not gate.tidied(clean):
            return
        gate.weir("set", "load", "blocked", large, expect=0)
        if not (gate.drops("10.71.3.4") and gate.drops("10.170.1.1")):
            check("kill %d: a load behind it works" % n, False)
            return
        gate.traffic()
    check("a load that grows the pool: %d left the old list, %d the new one" % tuple(outcomes), True)
    gate.ends()


def t_set_add():
    """Elements that no longer fit where the table is: it is laid out anew, in the end in a larger pool."""
    rng = random.Random(SEED + 4)
    gate = Gate()
    gate.weir("apply", gate.rules, expect=0)
    gate.weir("set", "load", "blocked", gate.world.file("few", a_list(20, 100)), expect=0)
    gate.members = ["10.30.1.7", "10.50.1.1", "10.20.0.99"]
    clean = shape(gate.world.pins())
    for n in range(N):
        own = 60 + n % 40
        count = 1000 * (1 + n % 7)
        batch = gate.world.file("batch", "\n".join("10.%d.%d.%d" % (own, k >> 8, k & 255) for k in range(count)) + "\n" +
                                "\n".join("172.%d.%d.0/24" % (16 + n % 16, k) for k in range(200)) + "\n")
        words = ["sh", "-c", "exec \"$@\" <%s" % batch, "sh", WEIR, "--bpffs", gate.world.root, "set", "add", "blocked", "-"]
        child = gate.guard.popen(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        end = time.monotonic() + rng.uniform(0, 0.03)
        while child.poll() is None and time.monotonic() < end:
            gate.traffic()
        child.kill()
        child.communicate()
        gate.world.children.remove(child)
        gate.traffic()
        if not gate.tidied(clean):
            return
        gate.weir("set", "add", "blocked", "-", stdin=open(batch).read(), expect=0)
        want = ["10.%d.0.0" % own, "10.%d.%d.%d" % (own, count - 1 >> 8, count - 1 & 255), "172.%d.199.1" % (16 + n % 16)]
        if not all(map(gate.drops, want)) or gate.drops("172.%d.200.1" % (16 + n % 16)):
            check("kill %d: adding again adds all" % n, False, want)
            return
    check("%d kills of set add" % N, True)
    listed = gate.weir("set", "list", "blocked", expect=0).out.split()
    equal("no element twice", len(set(listed)), len(listed))
    gate.ends()


main(limit=120 + 10 * N)
