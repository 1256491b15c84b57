#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""N applies alternating two policies under traffic that only a mixture or a gap would let through or lose:
XDP, TC ingress and TC egress on four devices at once (the drawing and the kinds of frames: chain.py)."""
import os
import subprocess
import time

from chain import Chain, policy_text
from lab import WEIR, check, equal, main

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


main(limit=120 + 5 * N)
