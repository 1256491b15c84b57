#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""N applies alternating two policies under traffic that only a mixture or a gap would let through or lose:
XDP, TC ingress and TC egress on four devices at once (the drawing and the kinds of frames: chain.py)."""
import os
import subprocess
import time

from chain import Chain, policy_text
from lab import WEIR, check, equal, main
from setgate import SetGate, a_list

N = int(os.environ.get("N") or 60)


def t_the_frames_tell_the_policies_apart():
    chain = Chain()
    chain.apply(0)
    equal("under A each hook drops A's probe only", chain.state(), [0] * 5)
    chain.apply(1)
    equal("under B each hook drops B's probe only", chain.state(), [1] * 5)
    for turn in (0, 1):
        check("a plain frame behind all others arrives", chain.burst(turn))
    equal("and nothing else", chain.leaks, [])
    chain.guard.weir("down", expect=0)
    chain.burst(0)
    check("without weir they do not reach the end of the chain", chain.lost == 1 and not chain.leaks)


def t_swaps_under_traffic():
    chain = Chain()
    chain.apply(0)
    now = 0
    began = time.monotonic()
    for n in range(N):
        turn = now
        if n == N // 2:  # once in between: one that needs larger tables
            path = chain.world.file("big.rules", policy_text(1 - now, filler=6000))
        else:
            path = chain.files[1 - now]
        child = chain.guard.popen(WEIR, "--bpffs", chain.world.root, "apply", path,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while child.poll() is None and not chain.lost:
            chain.burst(turn)
        said = child.communicate()[0]
        if child.returncode:
            check("apply %d succeeds" % n, False, said)
            return
        now = 1 - now
        chain.world.children.remove(child)
        chain.burst(turn)  # nothing of this turn is in flight any more when the next begins
        if chain.lost or chain.leaks:
            break
    seconds = time.monotonic() - began
    check("%d applies, %d frames, %d a second" % (N, chain.frames, chain.frames / seconds), True)
    equal("each hook runs the last policy", chain.state(), [now] * 5)
    equal("nothing came through that both policies drop", chain.leaks[:10], [])
    equal("nothing was lost that both policies accept", chain.lost, 0)
    equal("each drop was counted, once, across all generations", chain.counted(), chain.sent)


def t_sets_under_traffic():
    """Loads, additions and deletions, larger and smaller: members of all versions never come through."""
    gate = SetGate()
    gate.weir("apply", gate.rules, expect=0)
    sizes = (10, 3000, 300, 20000, 50)
    lists = [gate.world.file("list%d" % k, a_list(20 + k, n)) for k, n in enumerate(sizes)]
    lists.append(gate.world.file("list5", a_list(25, 1000) + "\n".join("2001:db8:%x::/48" % k for k in range(3000)) + "\n"))
    gate.weir("set", "load", "blocked", lists[0], expect=0)
    gate.members = ["10.30.1.7", "10.50.1.1"]
    others = ["10.9.8.7", "10.31.0.1", "10.49.255.255"]
    passed = frames = 0
    for n in range(N):
        words = [("load", "blocked", lists[n // 3 % len(lists)]),
                 ("add", "blocked", *("10.60.%d.%d" % (n & 255, k) for k in range(1 + n % 30)), "10.61.%d.0/24" % (n & 255)),
                 ("del", "blocked", *("10.60.%d.%d" % (n - 1 & 255, k) for k in range(1 + n % 7)), "10.61.%d.0/24" % (n - 1 & 255))]
        child = gate.guard.popen(WEIR, "--bpffs", gate.world.root, "set", *words[n % 3], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        while child.poll() is None:
            gate.traffic()
            frames += len(gate.members)
            for address in others:
                frames += 1
                passed += not gate.drops(address)
        said = child.communicate()[0]
        gate.world.children.remove(child)
        if child.returncode:
            check("set %s" % " ".join(words[n % 3])[:100], False, said)
            return
        if n % 3 == 0 and not gate.drops("10.%d.0.1" % (20 + n // 3 % len(lists))):
            check("load %d is in force when the command returns" % n, False)
            return
    check("%d changes, %d frames" % (N, frames), frames)
    equal("others always came through", passed, frames * 3 // 5)
    gate.ends()


main(limit=120 + 5 * N)
