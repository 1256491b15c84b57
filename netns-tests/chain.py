# SPDX-License-Identifier: GPL-2.0
"""One frame through five hooks on four devices, and two policies between which every mistake of a swap shows.

    guard ns:    l0 ======== l1  -- redirect -->  m0 ======== m1 --> counted here
                 0 egress    1 XDP                3 egress    4 XDP
                             2 TC ingress

Kinds of frames, by destination port and source address:

  pair i<j, turn   Hook i drops it under the policy that the turn leaves, hook j under the policy that it turns to. Both
                   policies lose it; it arrives only if hook i had turned when the frame came by and hook j, which
                   it reached later, had not. A frame in flight during the turn sees the order old, new: never that.
  set              Source addresses of two blocks a hook: one dropped by the prefix set, the other by a rule; the
                   policies swap the parts. Both policies lose both blocks; the rules of one with the set of the
                   other, an empty set, or a hook without its rules for a moment would let one through.
  plain            Accepted by both policies at all hooks: it must arrive, each one.
  probe            Dropped at one hook under one policy: tells which policy a hook runs.

Each drop also counts in a counter that both policies name, so the sums are exact.
"""
import itertools
import random

from frame import frame
from lab import Counters, Wire, World, weir

HOOKS = ("egress", "ingress", "ingress tc", "egress", "ingress")
DEVICES = ("l0", "l1", "l1", "m0", "m1")
PAIRS = list(itertools.combinations(range(5), 2))
PREFIXES = 256
MARK = "02:00:00:00:00:0a"


def pair_port(turn, number):
    return 1000 * (1 + turn) + number  # turn 0: A to B, 1: B to A


def probe_port(policy, hook):
    return 3000 + 1000 * policy + hook


def prefixes(block):
    """Every other /27, so that no two merge."""
    return ["10.%d.%d.%d/27" % (block, n * 64 // 256, n * 64 % 256) for n in range(PREFIXES)]


def policy_text(policy, filler=0):
    """policy: 0 is A, 1 is B; filler: rules that no frame here meets."""
    out = []
    for hook in range(5):
        by_set, by_rule = (10 + hook, 50 + hook) if policy == 0 else (50 + hook, 10 + hook)
        out.append("set p%d { type addr; %s }" % (hook, ", ".join(prefixes(by_set))))
        out.append("filter h%d {\n hook %s; device %s; default accept" % (hook, HOOKS[hook], DEVICES[hook]))
        if hook == 1:
            out += [" tcp sport %d tcp dport 7 saddr 192.0.2.%d drop" % (1 + n // 200, n % 200) for n in range(filler)]
        out.append(" saddr @p%d counter set%d drop" % (hook, hook))
        out.append(" saddr 10.%d.0.0/16 counter set%d drop" % (by_rule, hook))
        for turn in (0, 1):
            for number, (i, j) in enumerate(PAIRS):
                if hook == (i if policy == turn else j):
                    port = pair_port(turn, number)
                    out.append(" udp dport %d counter pair%d drop" % (port, port))
        out.append(" udp dport %d counter probe drop" % probe_port(policy, hook))
        if hook == 2:
            out.append(" redirect m0")
        out.append("}")
    return "\n".join(out) + "\n"


class Chain:
    def __init__(self):
        self.world = World()
        self.guard = guard = self.world.space("guard")
        self.world.veth(guard, "l0", guard, "l1")
        self.world.veth(guard, "m0", guard, "m1")
        guard.run("ethtool", "-K", "m1", "gro", "on")
        self.files = [self.world.file("%s.rules" % "ab"[p], policy_text(p)) for p in (0, 1)]
        self.send_wire, self.end_wire = Wire(guard, "l0"), Wire(guard, "m1")
        self.plain = self._frame("10.99.0.1", 9)
        self.probes = {(p, h): self._frame("10.99.0.1", probe_port(p, h)) for p in (0, 1) for h in range(5)}
        rng = random.Random(7)
        self.by_set = []
        for hook in range(5):
            for block in (10 + hook, 50 + hook):
                for _ in range(2):
                    n = rng.randrange(PREFIXES) * 64 + rng.randrange(1, 31)
                    self.by_set.append((hook, self._frame("10.%d.%d.%d" % (block, n // 256, n % 256), 9)))
        self.pairs = [
            [(pair_port(t, n), self._frame("10.99.0.1", pair_port(t, n))) for n in range(len(PAIRS))] for t in (0, 1)
        ]
        self.sent = {}
        self.frames = self.lost = 0
        self.leaks = []

    @staticmethod
    def _frame(saddr, port):
        return frame("udp", saddr, "10.98.0.1", dport=port, src=MARK, payload=b"0123456789")

    def apply(self, policy, text=None):
        return self.guard.weir("apply", "-" if text else self.files[policy], stdin=text, expect=0)

    def _arrived(self, timeout):
        """The port of the next frame that came through."""
        while True:
            data = self.end_wire.seen(timeout)
            if data is None:
                return None
            if data[6:12] == self.plain[6:12]:
                return data

    def burst(self, turn):
        """All kinds that a turn in this direction could let through, then a plain one, which must arrive."""
        send = self.send_wire.send
        for port, data in self.pairs[turn]:
            send(data)
        for hook, data in self.by_set:
            send(data)
        send(self.plain)
        for port, _ in self.pairs[turn]:
            self.sent["pair%d" % port] = self.sent.get("pair%d" % port, 0) + 1
        for hook, _ in self.by_set:
            self.sent["set%d" % hook] = self.sent.get("set%d" % hook, 0) + 1
        self.frames += len(self.pairs[turn]) + len(self.by_set) + 1
        return self.wait_plain()

    def wait_plain(self):
        while True:
            data = self._arrived(2.0)
            if data is None:
                self.lost += 1
                return False
            if data == self.plain:
                return True
            self.leaks.append("%d.%d.%d.%d port %d" % (*data[26:30], int.from_bytes(data[36:38], "big")))

    def state(self):
        """What each hook runs: 0 A, 1 B, None neither or both."""
        passed = {}
        for which, data in self.probes.items():
            self.send_wire.send(data)
            self.send_wire.send(self.plain)
            self.frames += 2
            passed[which] = False
            while True:
                got = self._arrived(2.0)
                if got is None:
                    self.lost += 1
                    break
                if got == self.plain:
                    break
                passed[which] = True
        found = []
        for hook in range(5):
            a, b = passed[0, hook], passed[1, hook]
            found.append(None if a == b else int(a))  # A drops its own probe: B's passes
        return found

    def counted(self):
        counters = Counters(self.guard)
        return {name: counters.named(name) for name in self.sent}
