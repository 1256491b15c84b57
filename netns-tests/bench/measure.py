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


def drive(space, mode, flows, targets, *options, slice_ms=None):
    """One run of the driver in a namespace: its targets by name, each with the fixed cost of its slices. A run that
    was too noisy is made again, and after three thrown away."""
    command = space.enter(DRIVE, mode, "--flows", flows, *[str(o) for o in options],
                          *["%s=%s" % (name, what) for name, what in targets])
    for attempt in range(3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Invalid("the driver failed: " + (done.stderr.strip() or "exit %d" % done.returncode))
        answer = json.loads(done.stdout)
        found = {target["name"]: dict(target, fixed_ns=answer["fixed_ns"]) for target in answer["targets"]}
        if attempt:  # what earlier attempts sent was sent, too
            for name, target in found.items():
                target["sent"] += before[name]
        before = {name: target["sent"] for name, target in found.items()}
        noise = noisy(found, targets[0][0], slice_ms)
        if not noise:
            return found
    raise Invalid("the machine is too busy to measure: " + noise)


def send_once(space, mode, several, path, targets, *options):
    """Lists of flows, one after the other: each once to each target, and nothing else."""
    for flows in several:
        command = space.enter(DRIVE, mode, "--flows", flows.write(path), *[str(o) for o in options], "--once",
                              "--rounds", "0", *["%s=%s" % (name, what) for name, what in targets])
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Invalid("the driver failed: " + (done.stderr.strip() or "exit %d" % done.returncode))


def noisy(targets, base, slice_ms):
    """Why the figures of a run mean nothing, or None."""
    low, middle, high = quartiles(per_packet(targets[base]))
    if high - low > middle / 2:
        return "dropping at once took %.0f to %.0f ns" % (low, high)
    if slice_ms and targets[base]["fixed_ns"] > slice_ms * 1e5:
        return "%.1f ms of a slice went to what is not packets" % (targets[base]["fixed_ns"] / 1e6)
    for name, target in targets.items():
        lengths = [(ns + soft) / 1e6 for packets, ns, soft in target["slices"] if packets > 64]
        if slice_ms and lengths and not slice_ms / 3 < statistics.median(lengths) < slice_ms * 3:
            return "a slice of '%s' took %.1f ms and not %d" % (name, statistics.median(lengths), slice_ms)
    return None


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
    return [max(0, ns + soft - target["fixed_ns"]) / packets for packets, ns, soft in target["slices"]]


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
            "fixed_ns": target["fixed_ns"],
            "slices": [[packets, n, soft] for packets, n, soft in target["slices"]],
            "ksoftirqd_part": sum(s[2] for s in target["slices"]) / max(1, sum(s[1] + s[2] for s in target["slices"])),
        }
    return found


def over(found, name, base):
    """Of what figures() found: one over another, paired."""
    return summary([a - b for a, b in zip(per_packet(found[name]), per_packet(found[base]))])


def verdict(over, ceiling, ns):
    """`noise`: over by less than can be told apart."""
    excess = over["median"] - ceiling
    return "pass" if excess <= 0 else "noise" if excess < max(NOISE_NS, NOISE_PART * ns["median"]) else "OVER"
