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

    def counted(self):
        return counted(self.space, self.world.root)


def counted(space, root):
    """Packets that weir has given a reason."""
    document = space.weir("show", "reasons", "--json", expect=0, root=root).json
    return sum(reason["packets"] for each in document["filters"] for reason in each["reasons"].values())


def program(root, ifindex, hook):
    """weir's program for the driver: what is attached, or on TC what is pinned in the latest instance."""
    if hook == "ingress":
        return "xdp:%d" % ifindex
    latest = max((name for name in os.listdir(root) if name.isdigit()), key=int)
    return os.path.join(root, latest, "prog_tc_egress")


def check_verdicts(target, want, count):
    got = target["verdicts"]
    if got[want] != count or target["odd"]:
        raise Invalid("%d of %d flows were not dropped (verdicts %s)" % (count - got[want], count, got))


def alone(space, ifindex, program, hook, path, count, counted, options):
    """drop, parse and weir of one set of flows, checked; space: where ifindex is."""
    before = counted()
    words = [*options, "--device", ifindex, "--verify"]
    if hook == "egress":
        words.append("--tc")
    targets = drive(space, "test", path, [("drop", "drop"), ("parse", "parse"), ("weir", program)], *words,
                    slice_ms=options[options.index("--slice") + 1])
    check_verdicts(targets["weir"], DROP[hook], count)
    came = counted() - before
    if came != targets["weir"]["sent"]:
        raise Invalid("weir counted %d packets of %d" % (came, targets["weir"]["sent"]))
    found = figures(targets, "drop")
    parse = found["parse"]["over"]["median"]
    if abs(parse) > found["drop"]["ns"]["median"]:
        raise Invalid("finding two ports cost %.1f ns more than dropping: the clock or the machine is off" % parse)
    return found


def run_case(bed, case, options, tamper=None):
    """The row of one case: a dict. tamper: selfcheck's way of breaking the rules."""
    rules, flows = case.build()
    text, _ = ruleset.weir_text(rules, "w0", bed.world.dir)
    path = flows.write(os.path.join(bed.world.dir, "flows"))
    row = {"case": case.name, "what": case.what, "ceiling": case.ceiling, "flows": flows.count}
    try:
        row["apply"] = bed.apply(tamper(text) if tamper else text)
        row["figures"] = alone(bed.space, bed.ifindex, program(bed.world.root, bed.ifindex, rules.hook), rules.hook, path,
                               flows.count, bed.counted, options)
    finally:
        bed.down()
    return row
