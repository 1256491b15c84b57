# SPDX-License-Identifier: GPL-2.0
"""What is not a cost of a packet: whole commands, memory, single elements, and rules that change under traffic.

A row is {what, unit, ceiling (or None), values: {who: number or [numbers]}, absent: {who: reason}}; of several numbers
the median counts.
"""
import os
import re
import statistics
import subprocess
import time

import cases
import guarded_calls
import lab
import live
import quick
import ruleset
from flows import Flows, generator, syn
from measure import DRIVE, Invalid, timed
from peers import Iptables, Nft, NotHere

MEMORY_ROOTS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


class Pen:
    """A cgroup of our own: what a command and the kernel on its behalf hold in it."""

    def __init__(self):
        self.path = self.file = None
        for root in MEMORY_ROOTS:
            for name in ("memory.kmem.usage_in_bytes", "memory.usage_in_bytes", "memory.current"):
                path = "%s/weir-bench-%d" % (root, os.getpid())
                try:
                    os.makedirs(path, exist_ok=True)
                except OSError:
                    continue
                if os.path.exists(os.path.join(path, name)):
                    self.path, self.file = path, os.path.join(path, name)
                    return
                os.rmdir(path)

    def enter(self, command):
        return ["sh", "-c", 'echo $$ >"$0"/cgroup.procs && exec "$@"', self.path, *command]

    def bytes(self):
        if os.path.exists(os.path.join(self.path, "memory.force_empty")):
            with open(os.path.join(self.path, "memory.force_empty"), "w") as out:
                out.write("0")  # pages of files that the command read are nobody's memory
        with open(self.file) as found:
            return int(found.read())

    def close(self):
        if self.path:
            try:
                os.rmdir(self.path)
            except OSError:
                pass  # what the kernel still holds goes with it later


def row(what, unit, ceiling=None):
    return {"what": what, "unit": unit, "ceiling": ceiling, "values": {}, "absent": {}}


def weir_file(bed, receiver, rules, name):
    text, _ = ruleset.weir_text(rules, "g0", live.Weir._directory(receiver))
    return receiver.file(name, text)


# ---- whole commands ----


def varied(rules):
    """The same size, another content: one rule, one element less."""
    return rules._replace(rules=rules.rules[:-1] if len(rules.rules) > 1 else rules.rules,
                          sets={name: elements[:-1] for name, elements in rules.sets.items()})


def apply_times(bed, case, what, ceiling_ms, ceiling_mb, repeat):
    """First, where nothing runs; then over rules of the same size. Peers: the same, if they can."""
    rules, _ = case.build()
    other = varied(rules)
    first = row("apply %s, nothing loaded before: programs go through the verifier" % what, "ms")
    again = row("apply %s over as many" % what, "ms", ceiling_ms)
    peak = row("apply %s, peak memory of the command" % what, "MB", ceiling_mb)
    kernel = row("%s, memory of the kernel" % what, "MB")
    receiver = bed.receiver(live.Weir(), False)
    pen = Pen()
    try:
        command = [lab.WEIR, "apply", weir_file(bed, receiver, rules, "apply")]
        before = pen.bytes() if pen.path else 0
        runs = [timed(receiver.space, pen.enter(command) if pen.path else command, receiver.root)]
        first["values"]["weir"] = runs[0]["ms"]
        if pen.path:
            kernel["values"]["weir"] = (pen.bytes() - before) / 1e6
        else:
            kernel["absent"]["weir"] = "no memory cgroup here"
        again["values"]["weir"] = []
        for i in range(repeat):
            weir_file(bed, receiver, (other, rules)[i & 1], "apply")
            runs.append(timed(receiver.space, command, receiver.root))
            again["values"]["weir"].append(runs[-1]["ms"])
        peak["values"]["weir"] = max(run["kb"] for run in runs) * 1024 / 1e6
    finally:
        receiver.space.weir("down", root=receiver.root)
        pen.close()
    for peer in bed.peers:
        if isinstance(peer, (Nft, Iptables)) and peer.hook == "ingress" and peer.name in ("nft netdev", "iptables"):
            peer_load(bed, peer, rules, first, peak)
    return [first, again, peak, kernel]


def peer_load(bed, peer, rules, first, peak):
    reason = peer.refuses(rules)
    receiver = bed.receiver(peer, False)
    try:
        if reason:
            raise NotHere(reason)
        peer.clear(receiver)
        how = peer.load(receiver, rules)
        first["values"][peer.name], peak["values"][peer.name] = how["ms"], how["kb"] * 1024 / 1e6
    except NotHere as error:
        first["absent"][peer.name] = str(error)
    finally:
        peer.clear(receiver)


# ---- one element ----


def one_element(bed, case, what, ceiling_ms, repeat, element):
    """`element`: number -> an element that is not in the set."""
    rules, _ = case.build()
    found = row("one element into a set of %s, whole command" % what, "ms", ceiling_ms)
    gone = row("one element out of a set of %s, whole command" % what, "ms", ceiling_ms)
    receiver = bed.receiver(live.Weir(), False)
    try:
        timed(receiver.space, [lab.WEIR, "apply", weir_file(bed, receiver, rules, "one")], receiver.root)
        for values, verb in ((found, "add"), (gone, "del")):
            values["values"]["weir"] = [timed(receiver.space, [lab.WEIR, "set", verb, "big", element(i)],
                                              receiver.root)["ms"] for i in range(repeat)]
    finally:
        receiver.space.weir("down", root=receiver.root)
    for peer in bed.peers:
        command = {"nft netdev": lambda verb, e: ["nft", {"add": "add", "del": "delete"}[verb], "element", "netdev", "bench",
                                                  "big4", "{ %s }" % e],
                   "iptables": lambda verb, e: ["ipset", verb, "big4", e]}.get(peer.name)
        if not command:
            continue
        name = "ipset" if peer.name == "iptables" else peer.name
        receiver = bed.receiver(peer, False)
        try:
            reason = peer.refuses(rules)
            if reason:
                raise NotHere(reason)
            peer.load(receiver, rules)
            few = max(3, repeat // 4)
            for values, verb in ((found, "add"), (gone, "del")):
                values["values"][name] = [timed(receiver.space, command(verb, element(i)))["ms"] for i in range(few)]
        except (NotHere, RuntimeError) as error:
            for values in (found, gone):
                values["absent"][name] = str(error).splitlines()[0][:200]
        finally:
            peer.clear(receiver)
    return [found, gone]


# ---- under traffic ----


MEMBER_PORT, STRANGER_PORT = 443, 80


class Traffic:
    """Members and strangers of a set by turns, without end. Each kind has a count of its own behind the filter: of the
    members none may be there, of the strangers all."""

    def __init__(self, bed, receiver, flows, cpu):
        self.receiver = receiver
        self.space = receiver.space
        self.space.run("nft", "-f", "-", input="table netdev judged {\nchain c {\n"
                       'type filter hook ingress device "g0" priority 400\n'
                       "tcp dport %d counter\ntcp dport %d counter\n}\n}\n" % (MEMBER_PORT, STRANGER_PORT))
        self.came = receiver.came()
        path = flows.write(os.path.join(bed.world.dir, "traffic"))
        self.child = subprocess.Popen(
            bed.gen.enter(DRIVE, "live", "--flows", path, "--until-eof", "--rounds", "1000", "--slice", "20",
                          "--most", "t=20000", "--pause", "500", "--cpu", str(cpu), "--dmac", live.DMAC,
                          "t=%d" % receiver.target),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not lab.wait(lambda: receiver.came() > self.came + 10000 or self.child.poll() is not None, 10):
            raise Invalid("no traffic came")

    def stop(self):
        """Packets sent, and how many were misjudged."""
        out, err = self.child.communicate(timeout=60)
        time.sleep(0.05)
        members, strangers = (int(n) for n in re.findall(r"packets (\d+)", self.space.run(
            "nft", "list", "table", "netdev", "judged")))
        self.space.run("nft", "delete", "table", "netdev", "judged")
        if self.child.returncode:
            raise Invalid("the driver failed: " + err.strip())
        sent, came = int(re.search(r'"sent":(\d+)', out)[1]), self.receiver.came() - self.came
        if came != sent or sent % 2:
            raise Invalid("%d frames were sent and %d came" % (sent, came))
        return sent, members + sent // 2 - strangers


def changes(bed, receiver, flows, cpu, steps):
    """Does the steps while traffic runs: (packets, misjudged, steps done)."""
    traffic = Traffic(bed, receiver, flows, cpu)
    done = 0
    try:
        for step in steps:
            step()
            done += 1
            if traffic.child.poll() is not None:
                raise Invalid("the traffic ended before the changes did")
    finally:
        sent, wrong = traffic.stop()
    return sent, wrong, done


def under_traffic(bed, count, repeat, cpu, forget=0):
    """Sets of `count` prefixes replaced, edited and applied again, while members and strangers come. forget: selfcheck
    leaves that many members out of the second version."""
    rng = generator("traffic-%d" % count)
    prefixes = cases.disjoint_prefixes(rng, count + 400)
    extra, strangers, members = prefixes[:200], prefixes[200:400], prefixes[400:]

    def text(some):
        return ["%s/%d" % (ruleset.text4(value), length) for value, length in some]

    def host(prefix):
        return prefix[0] + rng.randrange(1 << 32 - prefix[1])

    rows = []
    for _ in range(20000):
        rows += [syn(rng, host(rng.choice(members)), MEMBER_PORT), syn(rng, host(rng.choice(strangers)), STRANGER_PORT)]
    flows = Flows(rows)
    versions = [text(members), text(members[forget:] + extra)]
    found = [weir_changes(bed, versions, text(extra), flows, repeat, cpu)]
    if not forget:
        found += [nft_changes(bed, versions, flows, max(3, repeat // 2), cpu)]
    return [each for some in found for each in some]


def weir_changes(bed, versions, extra, flows, repeat, cpu):
    receiver = bed.receiver(live.Weir(), False)
    rules = [ruleset.Ruleset([ruleset.Rule(set="big")] + [ruleset.Rule(saddr="192.0.2.%d/32" % (1 + i), proto=6,
             dport=(9, 9))], sets={"big": each}) for i, each in enumerate(versions)]
    lists = [receiver.file("list-%d" % i, "\n".join(each) + "\n") for i, each in enumerate(versions)]

    def weir(*words):
        return lambda: receiver.space.weir(*words, expect=0, root=receiver.root)

    def apply(number):
        def step():
            path = weir_file(bed, receiver, rules[number], "traffic-rules")
            receiver.space.weir("apply", path, expect=0, root=receiver.root)
        return step

    kinds = (
        ("a set is replaced", [weir("set", "load", "big", lists[(i + 1) & 1]) for i in range(repeat)]),
        ("elements come and go", [weir("set", ("add", "del")[i & 1], "big", *extra[i // 2::10]) for i in range(2 * repeat)]),
        ("rules are applied", [apply((i + 1) & 1) for i in range(repeat)]),
    )
    found = []
    for what, steps in kinds:
        apply(0)()
        sent, wrong, done = changes(bed, receiver, flows, cpu, steps)
        each = row("packets misjudged while %s (%d times, %d prefixes)" % (what, done, len(versions[0])), "packets", 0)
        each["values"]["weir"], each["sent"] = wrong, {"weir": sent}
        found.append(each)
    receiver.space.weir("down", root=receiver.root)
    return found


def nft_changes(bed, versions, flows, repeat, cpu):
    """The same by a peer: a set flushed and filled in one transaction, and the whole table made anew in one."""
    peer = next((each for each in bed.peers if each.name == "nft netdev"), None)
    both = [ruleset.Ruleset([ruleset.Rule(set="big")], sets={"big": each}) for each in versions]
    refill = "flush set netdev bench big4\nadd element netdev bench big4 { %s }\n"
    kinds = (("a set is replaced", lambda i: refill % ", ".join(versions[i])),
             ("rules are applied", lambda i: "delete table netdev bench\n" + peer.text(both[i])))
    found = []
    for what, text in kinds:
        each = row("packets misjudged while %s (%d times, %d prefixes), by a peer" % (what, repeat, len(versions[0])),
                   "packets")
        found.append(each)
        if not peer or peer.refuses(both[0]):
            each["absent"]["nft netdev"] = "not here"
            continue
        receiver = bed.receiver(peer, False)
        files = [receiver.file("list-%d" % i, text(i)) for i in range(2)]
        try:
            peer.load(receiver, both[0])
            sent, wrong, _ = changes(bed, receiver, flows, cpu, [
                lambda i=i: receiver.space.run("nft", "-f", files[(i + 1) & 1]) for i in range(repeat)])
            each["values"]["nft netdev"], each["sent"] = wrong, {"nft netdev": sent}
        except (NotHere, RuntimeError) as error:
            each["absent"]["nft netdev"] = str(error).splitlines()[0][:200]
        finally:
            peer.clear(receiver)
    return found


# ---- limits ----


EXACT = 0.02  # what passes may differ that much from what the rate allows


class Offer:
    """Test runs of weir's program on several CPUs at a time, for as long as the block lasts."""

    def __init__(self, bed, path, cpus):
        self.children = [subprocess.Popen(
            bed.space.enter(DRIVE, "test", "--flows", path, "--cpu", str(cpu), "--rounds", "1000", "--slice", "100",
                            "--until-eof", "weir=xdp:%d" % bed.ifindex), stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL) for cpu in cpus]

    def __enter__(self):
        # The driver leaves no CPU to others: who reads the counters, and what it starts, comes before it.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))
        return self

    def __exit__(self, *_):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        for child in self.children:
            child.stdin.close()
        for child in self.children:
            child.wait(60)


def decided(bed, reason):
    """(when, packets that were decided so)"""
    before = time.monotonic()
    document = bed.space.weir("show", "reasons", "--json", expect=0, root=bed.world.root).json
    count = sum(each["reasons"].get(reason, {"packets": 0})["packets"] for each in document["filters"])
    return (before + time.monotonic()) / 2, count


def all_spent(bed, sources):
    """Sources come by turns: once each was refused many times, what the bursts were is gone, and they offer enough."""
    time.sleep(0.1)
    return decided(bed, "default")[1] > 100 * sources


def limit_exactness(sources, rate, cpus, seconds):
    """What passes of each source's packets, when all offer far more, to what the rate allows."""
    what = "{:,} source{} at {:,} a second each, {} CPUs: passed, of what the rate allows".format(
        sources, "s" * (sources > 1), rate, len(cpus))
    found = row(what, "ratio")
    rng = generator("exact-%d" % sources)
    limit = ruleset.Limit(rate, rate // 2, True)
    flows = Flows([syn(rng, 10 << 24 | 1 + i, 443) for i in range(sources)] * (1 + 1024 // sources))
    bed = quick.Bed()
    try:
        text, _ = ruleset.weir_text(ruleset.Ruleset([ruleset.Rule(limit=limit, verdict="accept")], default="drop"), "w0",
                                    bed.world.dir)
        bed.apply(text)
        with Offer(bed, flows.write(os.path.join(bed.world.dir, "flows")), cpus):
            if not lab.wait(lambda: all_spent(bed, sources), 20):
                raise Invalid("the bursts were not used up in time")
            (start, first), _, (end, last) = decided(bed, "rule"), time.sleep(seconds), decided(bed, "rule")
    finally:
        bed.down()
        bed.close()
    found["values"]["weir"] = ratio = (last - first) / ((end - start) * rate * sources)
    if abs(ratio - 1) > EXACT:
        found["invalid"] = "%.4f of what the rate allows" % ratio
    return [found]


# ---- all of it ----


def everything(bed, every, scale, smoke, cpu, say):
    """Rows of all of the above; a part that fails is a row with `invalid`."""
    by_name = {case.name: case for case in every}
    repeat = 3 if smoke else 7
    many = 5 if smoke else 31
    structured = by_name.get("acl1-10k")
    if structured is None or structured.missing:
        structured = by_name["spread-10k"]
    parts = [
        ("apply rules", lambda: apply_times(bed, structured, structured.what, 300, None, repeat)),
        ("apply prefixes", lambda: apply_times(bed, by_name["prefix-100k"], by_name["prefix-100k"].what, 120, None, repeat)),
        ("apply addresses", lambda: apply_times(bed, by_name["set-1M"], by_name["set-1M"].what, 700, 120, repeat)),
        ("one address", lambda: one_element(bed, by_name["set-1M"], "{:,} addresses".format(1000000 // scale), 4, many,
                                            lambda i: "240.0.%d.%d" % (i >> 8, i & 255))),
        ("one prefix", lambda: one_element(bed, by_name["prefix-100k"], "{:,} prefixes".format(100000 // scale), 4, many,
                                           lambda i: "240.%d.%d.0/24" % (i >> 7, 2 * i & 255))),
        *[("limit %d" % sources, lambda sources=sources, rate=rate: limit_exactness(
            sources, rate, range(os.cpu_count()), 1 if smoke else 3)) for sources, rate in ((1, 100000), (100, 5000),
                                                                                            (10000, 200))],
        ("guards", lambda: guarded_calls.costs(row, repeat * 3, 2000 if smoke else 50000, cpu)),
        ("changes under traffic", lambda: under_traffic(bed, 10000 // scale, 5 if smoke else 20, cpu)),
    ]
    found = []
    for name, part in parts:
        say("# " + name)
        try:
            found += part()
        except (Invalid, RuntimeError, subprocess.SubprocessError) as error:
            failed = row(name, "")
            failed["invalid"] = str(error)
            found.append(failed)
    return found


def median(value):
    return statistics.median(value) if isinstance(value, list) else value
