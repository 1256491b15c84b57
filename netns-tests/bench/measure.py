# SPDX-License-Identifier: GPL-2.0
"""Runs the driver, and makes figures of its slices.

A figure is the median over rounds of the difference to the base in the same round, in ns a packet: what drifts, drifts
in both. p25 and p75 go with it. Below 3 ns or 2 % of the base nothing can be told apart.
"""
import json
import os
import statistics
import subprocess

import lab

BUILD = os.path.join(lab.BUILD, "bench")
DRIVE = os.path.join(BUILD, "drive")
NOISE_NS = 3.0
NOISE_PART = 0.02


class Invalid(Exception):
    """The run proves nothing: a packet was not where it should be."""


def drive(space, mode, flows, targets, *options, timeout=300):
    """One run of the driver in a namespace; its targets by name."""
    command = space.enter(DRIVE, mode, "--flows", flows, *[str(o) for o in options],
                          *["%s=%s" % (name, what) for name, what in targets])
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Invalid("the driver failed: " + (done.stderr.strip() or "exit %d" % done.returncode))
    return {target["name"]: target for target in json.loads(done.stdout)["targets"]}


def timed(space, command, root=None, stdin=None, timeout=600):
    """A whole command in a namespace: milliseconds from fork to exit, and peak memory."""
    env = dict(os.environ, **({"WEIR_BPFFS": root} if root else {}))
    done = subprocess.run(space.enter(os.path.join(BUILD, "timed"), *command), env=env, capture_output=True, text=True,
                          timeout=timeout, **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    out, _, last = done.stdout.rpartition("\nTIMED ")
    if done.returncode or not last or last.split()[2] != "0":
        raise RuntimeError("'%s' failed: %s" % (" ".join(command), (out + done.stderr).strip()[:1000]))
    us, kb, _ = (int(word) for word in last.split())
    return {"ms": us / 1000, "kb": kb, "out": out}


def per_packet(target):
    """ns a packet of each round."""
    return [(ns + soft) / packets for packets, ns, soft in target["slices"]]


def quartiles(values):
    if len(values) < 2:
        return values * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, middle, high]


def summary(values):
    low, middle, high = quartiles(values)
    return {"median": middle, "p25": low, "p75": high}


def figures(targets, base):
    """name -> {ns, over: {median, p25, p75}, ratio, noise}"""
    floor = per_packet(targets[base])
    found = {}
    for name, target in targets.items():
        values = per_packet(target)
        over = summary([value - ground for value, ground in zip(values, floor)])
        ns = summary(values)
        found[name] = {
            "ns": ns, "over": over, "ratio": statistics.median(v / g for v, g in zip(values, floor)),
            "noise": name != base and abs(over["median"]) < max(NOISE_NS, NOISE_PART * ns["median"]),
            "slices": [[packets, n, soft] for packets, n, soft in target["slices"]],
            "ksoftirqd_part": sum(s[2] for s in target["slices"]) / max(1, sum(s[1] + s[2] for s in target["slices"])),
        }
    return found


def verdict(over, ceiling, ns):
    """`noise`: over by less than can be told apart."""
    excess = over["median"] - ceiling
    return "pass" if excess <= 0 else "noise" if excess < max(NOISE_NS, NOISE_PART * ns["median"]) else "OVER"
