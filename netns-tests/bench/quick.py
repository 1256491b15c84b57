# SPDX-License-Identifier: GPL-2.0
"""Method 2: weir's programs alone, by BPF_PROG_TEST_RUN, over the bench's own floors. No peers: they are no programs
that can be called. What is checked: every single flow gets `drop`, and weir has counted every packet that was sent."""
import os

import lab
import ruleset
from measure import Invalid, drive, figures, send_once, timed
from tables import Room, Tables

DROP = {"ingress": 1, "egress": 2}  # XDP_DROP, TC_ACT_SHOT
PASS = {"ingress": 2, "egress": 0}
PLAIN = "weir, plain"  # the same rules without state


class Bed:
    """One namespace with a cable; weir stands on w0, and on w1 where it is compared with itself."""

    def __init__(self):
        self.world = lab.World()
        self.space = self.world.space("bench")
        self.world.veth(self.space, "w0", self.space, "w1")
        self.ifindex = self.space.ifindex("w0")
        self.plain_root = self.world.other_root()

    def close(self):
        self.world.close()

    def apply(self, text, root=None):
        """Milliseconds and peak memory (KB) of the whole command."""
        path = self.world.file("bench.rules", text)
        return timed(self.space, [lab.WEIR, "apply", path], root or self.world.root)

    def down(self):
        self.space.weir("down", expect=0)
        if os.path.isdir(self.plain_root):
            self.space.weir("down", expect=0, root=self.plain_root)

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


def roomless(count):
    """Of that many flows, how many may have found a full bucket, though the table is not: one in 100,000."""
    return count // 100000


def check_verdicts(target, want, count, spared=0):
    got = target["verdicts"]
    if got[want] + spared < count or target["odd"]:
        raise Invalid("%d of %d flows were not %s (verdicts %s)" % (
            count - got[want], count, "dropped" if want in DROP.values() else "accepted", got))


def alone(space, ifindex, program, hook, path, count, counted, options, others=(), before=(), accepted=False):
    """drop, parse and weir of one set of flows, checked; space: where ifindex is. others: more programs, that get the
    same verdicts; before: what all of them see first."""
    words = [*options, "--device", ifindex]
    if hook == "egress":
        words.append("--tc")
    programs = [("weir", program), *others]
    send_once(space, "test", before, path + "-before", programs, *words)
    earlier = counted()
    targets = drive(space, "test", path, [("drop", "drop"), ("parse", "parse"), *programs], *words, "--verify",
                    slice_ms=options[options.index("--slice") + 1])
    for name, _ in programs:
        try:
            check_verdicts(targets[name], (PASS if accepted else DROP)[hook], count, roomless(count) if before else 0)
        except Invalid as error:
            raise Invalid("%s: %s" % (name, error)) from None
    came = counted() - earlier
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
        judge = program(bed.world.root, bed.ifindex, rules.hook)
        if rules.stateful:
            row["figures"] = beside_plain(bed, case, rules, flows, path, judge, options, row)
        else:
            row["figures"] = alone(bed.space, bed.ifindex, judge, rules.hook, path, flows.count, bed.counted, options)
    finally:
        bed.down()
    return row


def beside_plain(bed, case, rules, flows, path, judge, options, row):
    """The same with weir's rules without state, on w1, and with the kernel's tables where rules ask for flows."""
    text, _ = ruleset.weir_text(rules.plain(), "w1", bed.world.dir)
    bed.apply(text, bed.plain_root)
    others = [(PLAIN, program(bed.plain_root, bed.space.ifindex("w1"), rules.hook))]
    tables = Tables(bed.world, bed.space, 2 * rules.flows) if rules.tracks else None
    try:
        with Room(0 if case.accepted else rules.flows):
            if tables:
                others += [each for each in tables.targets() if each[0] not in case.without]
                row["absent"] = tables.absent
            found = alone(bed.space, bed.ifindex, judge, rules.hook, path, flows.count, bed.counted, options, others,
                          flows.before, case.accepted)
    finally:
        if tables:
            tables.close()
        bed.space.run("conntrack", "-F", expect=None)
    return found
