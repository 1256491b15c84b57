# SPDX-License-Identifier: GPL-2.0
"""Method 2: weir's programs alone, by BPF_PROG_TEST_RUN, over the bench's own floors. No peers: they are no programs
that can be called. What is checked: every single flow gets `drop`, and weir has counted every packet that was sent."""
import os

import lab
import ruleset
from measure import Invalid, drive, figures, timed

DROP = {"ingress": 1, "egress": 2}  # XDP_DROP, TC_ACT_SHOT


class Bed:
    """One namespace with a cable; weir stands on w0."""

    def __init__(self):
        self.world = lab.World()
        self.space = self.world.space("bench")
        self.world.veth(self.space, "w0", self.space, "w1")
        self.ifindex = self.space.ifindex("w0")

    def close(self):
        self.world.close()

    def apply(self, text):
        """Milliseconds and peak memory (KB) of the whole command."""
        path = self.world.file("bench.rules", text)
        return timed(self.space, [lab.WEIR, "apply", path], self.world.root)

    def down(self):
        self.space.weir("down", expect=0)

    def program(self, hook):
        if hook == "ingress":
            return "xdp:%d" % self.ifindex
        return os.path.join(instance(self.world.root), "prog_tc_egress")

    def counted(self):
        """Packets that weir has given a reason."""
        document = self.space.weir("show", "reasons", "--json", expect=0).json
        return sum(reason["packets"] for each in document["filters"] for reason in each["reasons"].values())


def instance(root):
    """Directory of the running programs: numbers below the root, the highest counts."""
    return os.path.join(root, max((name for name in os.listdir(root) if name.isdigit()), key=int))


def check_verdicts(target, want, count):
    got = target["verdicts"]
    if got[want] != count or target["odd"]:
        raise Invalid("%d of %d flows were not dropped (verdicts %s)" % (count - got[want], count, got))


def run_case(bed, case, rounds, slice_ms, cpu, size=60, tamper=None):
    """The row of one case: a dict. tamper: selfcheck's way of breaking the rules."""
    rules, flows = case.build()
    text, _ = ruleset.weir_text(rules, "w0", bed.world.dir)
    if tamper:
        text = tamper(text)
    path = flows.write(os.path.join(bed.world.dir, "flows"))
    row = {"case": case.name, "what": case.what, "ceiling": case.ceiling, "flows": flows.count}
    try:
        row["apply"] = bed.apply(text)
        before = bed.counted()
        checked = min(flows.count, 100000)
        options = ["--rounds", rounds, "--slice", slice_ms, "--cpu", cpu, "--size", size, "--device", bed.ifindex,
                   "--verify", checked]
        if rules.hook == "egress":
            options.append("--tc")
        targets = drive(bed.space, "test", path, [("drop", "drop"), ("parse", "parse"),
                                                  ("weir", bed.program(rules.hook))], *options)
        check_verdicts(targets["weir"], DROP[rules.hook], checked)
        counted = bed.counted() - before
        if counted != targets["weir"]["sent"]:
            raise Invalid("weir counted %d packets of %d" % (counted, targets["weir"]["sent"]))
        row["figures"] = figures(targets, "drop")
    finally:
        bed.down()
    return row
