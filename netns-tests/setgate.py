# SPDX-License-Identifier: GPL-2.0
"""One set under traffic: frames from members, which must never come through, and a plain one, which must always."""
from frame import frame
from lab import Wire, equal, pair_world


class SetGate:
    """One set that a rule drops by, and frames that tell what is in it; a plain frame behind each one says when to stop
    waiting for it."""

    def __init__(self):
        self.world, wire, self.guard = pair_world()
        self.rules = self.world.file("set.rules", """
            set blocked { type addr; size 400000 }
            filter edge { hook ingress; device g0; default accept
                saddr @blocked counter hit drop
            }
        """)
        self.out, self.back = Wire(wire, "w0"), Wire(self.guard, "g0")
        self.plain = frame("udp", "10.9.9.9", "10.0.0.1", dport=9)
        self.lost = self.leaked = 0
        self.members = []

    def weir(self, *words, **how):
        return self.guard.weir(*words, **how)

    def drops(self, address):
        data = frame("udp", address, "10.0.0.1", dport=9)
        self.out.send(data)
        self.out.send(self.plain)
        found = False
        while True:
            got = self.back.seen(2.0)
            if got is None:
                self.lost += 1
                return not found
            if got == self.plain:
                return not found
            found = found or got == data

    def traffic(self):
        """Members, all the while."""
        for address in self.members:
            self.leaked += not self.drops(address)

    def ends(self):
        equal("members never came through", self.leaked, 0)
        equal("the others always did", self.lost, 0)


def a_list(own, n, both=True):
    lines = ["10.%d.%d.%d" % (own + (k >> 16), k >> 8 & 255, k & 255) for k in range(n)]
    lines += ["10.%d.0.0/20" % (own + 100)]
    return "\n".join(lines + (["10.30.%d.%d" % (k >> 8, k & 255) for k in range(1000)] + ["10.50.0.0/20"]) * both) + "\n"
