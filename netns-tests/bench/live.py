# SPDX-License-Identifier: GPL-2.0
"""Method 1: the whole system. Frames from a generator reach a receiver over a cable, one receiver a configuration:

    gen ns:  t0 ---- g0 :drop       XDP drops at once: the base of every figure
             t1 ---- g0 :weir
             t2 ---- g0 :nft netdev
             ...
    egress:  tN ---- g0 [nft: fwd to o0] o0 ---- o1 :TC drop, weir, nft egress   (the filter is on o0)

All are up at once, and each round of a run visits all of them. Two things are counted by others than the filter: frames
that came to g0 (the device's own count), which must be what was sent, and packets behind the filter (an nft chain with
a late priority, or what o1 received), which must be none. A filter that drops never calls that chain.
"""
import json
import os
import re
import time

import lab
import quick
import ruleset
from measure import DRIVE, Invalid, drive, figures, send_once, timed
from peers import NotHere, all_peers
from tables import PROGRAMS, Room, Tables

DMAC = "02:00:00:00:00:01"


class Receiver:
    """A namespace with a device g0 that takes frames from the generator, and a count behind the filter."""
    device = "g0"

    def __init__(self, bed, name, number, where, egress=False):
        self.name, self.where, self.egress = name, where, egress
        self.world, self.bed = bed.world, bed
        self.space = bed.world.space("r%d" % number)
        self.sender = "t%d" % number
        bed.world.veth(bed.gen, self.sender, self.space, "g0", mac_b=DMAC)
        self.space.sysctl("ipv6/conf/g0/disable_ipv6", 0)  # the generator's end keeps quiet, so counts stay exact
        self.space.run("ethtool", "-K", "g0", "gro", "on")  # without XDP: else it has no queue for frames
        self.space.sysctl("ipv4/conf/all/rp_filter", 0)
        self.target = bed.gen.ifindex(self.sender)
        self.ifindex = self.space.ifindex("g0")
        self.root = bed.world.other_root()
        if egress:
            bed.world.veth(self.space, "o0", self.space, "o1")
            # Not bpf_redirect from TC: the kernel lets such packets pass by nft's egress hook.
            self._nft('table netdev hand {\nchain c {\ntype filter hook ingress device "g0" priority 0\nfwd to "o0"\n}\n}\n')
        elif where == "forward":
            self._route()
            self._watch()
        else:
            self._watch()

    def _route(self):
        """The kernel only remembers flows whose packets it hands on: all go to o1, which is not whom they are for. o0 has
        g0's address, since a frame's memory is used again by the generator with what was written into it."""
        self.bed.world.veth(self.space, "o0", self.space, "o1", mac_a=DMAC)
        for device in ("g0", "o0"):
            self.space.sysctl("ipv4/conf/%s/rp_filter" % device, 0)
        self.space.ip("link", "set", "dev", "o0", "arp", "off")
        self.space.sysctl("ipv4/conf/all/forwarding", 1)
        self.space.ip("route", "add", "default", "dev", "o0")

    def _watch(self):
        family, hook = ("netdev", 'ingress device "g0"') if self.where == "ingress" else ("inet", self.where)
        self._nft("table %s watch {\nchain c {\ntype filter hook %s priority 500\ncounter %s\n}\n}\n" % (
            family, hook, "accept" if self.where == "forward" else "drop"))
        self.watched = family

    def _nft(self, text):
        self.space.run("nft", "-f", "-", input=text)

    def file(self, name, text):
        return self.world.file("%s-%s" % (self.space.role, name), text)

    def came(self):
        """Frames that reached g0."""
        return self._received("g0")

    def leaked(self):
        """Packets behind the filter."""
        if self.egress:
            return self._received("o1")
        return int(re.search(r"packets (\d+)", self.space.run("nft", "list", "table", self.watched, "watch"))[1])

    def _received(self, device):
        return json.loads(self.space.run("ip", "-s", "-j", "link", "show", "dev", device))[0]["stats64"]["rx"]["packets"]


class Weir:
    """The command under test, as a configuration like its peers."""
    name, where = "weir", "ingress"

    def __init__(self, tamper=None):
        self.tamper = tamper

    def refuses(self, _):
        return None

    def load(self, receiver, rules):
        device = "o0" if rules.hook == "egress" else "g0"
        text, _ = ruleset.weir_text(rules, device, self._directory(receiver))
        path = receiver.file("rules", self.tamper(text) if self.tamper else text)
        return timed(receiver.space, [lab.WEIR, "apply", path], receiver.root)

    @staticmethod
    def _directory(receiver):
        path = os.path.join(receiver.world.dir, receiver.space.role)
        os.makedirs(path, exist_ok=True)
        return path

    @staticmethod
    def counted(receiver):
        return quick.counted(receiver.space, receiver.root)

    def clear(self, receiver):
        receiver.space.weir("down", expect=0, root=receiver.root)


class Plain(Weir):
    """The same command, with the rules without state."""
    name = quick.PLAIN

    def load(self, receiver, rules):
        return super().load(receiver, rules.plain())


class Table:
    """One of the kernel's tables, as an XDP program (tables.py)."""
    where = "ingress"

    def __init__(self, name, program):
        self.name, self.program, self.tables = name, program, None

    def refuses(self, _):
        return None

    def load(self, receiver, rules):
        self.tables = Tables(receiver.world, receiver.space, 2 * rules.flows, [(self.name, self.program)])
        if self.tables.absent:
            raise NotHere(self.tables.absent[self.name])
        receiver.space.ip("link", "set", "dev", "g0", "xdpdrv", "pinned", self.tables.targets()[0][1])
        return None

    def clear(self, receiver):
        receiver.space.run("ip", "link", "set", "dev", "g0", "xdpdrv", "off", expect=None)
        if self.tables:
            self.tables.close()
        receiver.space.run("conntrack", "-F", expect=None)


class Base:
    """Drops at once, in XDP or on TC egress."""
    where = "ingress"

    def __init__(self, name, egress):
        self.name, self.egress = name, egress

    def refuses(self, _):
        return None

    def load(self, receiver, _):
        pins = receiver.bed.pins()
        if self.egress:
            receiver.space.run("tc", "qdisc", "replace", "dev", "o0", "clsact")
            receiver.space.run("tc", "filter", "replace", "dev", "o0", "egress", "prio", "1", "handle", "1", "bpf", "da",
                               "object-pinned", pins + "/drop_tc")
        else:
            receiver.space.ip("link", "set", "dev", "g0", "xdpdrv", "pinned", pins + "/drop_xdp")
        return None

    def clear(self, receiver):
        if self.egress:
            receiver.space.run("tc", "qdisc", "del", "dev", "o0", "clsact", expect=None)
        else:
            receiver.space.run("ip", "link", "set", "dev", "g0", "xdpdrv", "off", expect=None)


class Bed:
    """The generator and the receivers, made when a configuration is first wanted and kept for later cases."""

    def __init__(self, bpfilter=None, peers=True, tamper=None):
        self.world = lab.World()
        self.gen = self.world.space("gen")
        self.receivers = {}
        self.pinned = None
        self.tamper = tamper
        self.peers = all_peers(bpfilter) if peers else []

    def close(self):
        for receiver in self.receivers.values():
            if os.path.isdir(receiver.root):
                receiver.space.weir("down", root=receiver.root)
        self.world.close()

    def pins(self):
        """A directory with the bench's programs."""
        if not self.pinned:
            directory = self.world.root + "-programs"
            os.makedirs(directory, mode=0o700)
            self.world.roots.add(directory)
            self.gen.run(DRIVE, "pin", directory)
            self.pinned = directory
        return self.pinned

    def receiver(self, config, egress):
        key = (config.name, config.where, egress)
        if key not in self.receivers:
            self.receivers[key] = Receiver(self, config.name, len(self.receivers), config.where, egress)
        return self.receivers[key]

    def configurations(self, rules):
        egress = rules.hook == "egress"
        found = [Base("TC drop" if egress else "XDP drop", egress), Weir(self.tamper)]
        if rules.stateful:
            found.append(Plain())
        if rules.tracks and self.peers:
            found += [Table(*each) for each in PROGRAMS]
        return found + [peer for peer in self.peers if peer.hook == rules.hook and peer.tracks == rules.tracks]


def check(config, receiver, sent, before, spared=0):
    """Raises Invalid unless every frame came and none got through."""
    came, leaked = receiver.came() - before["came"], receiver.leaked() - before["leaked"]
    if came != sent:
        raise Invalid("%d frames were sent and %d came" % (sent, came))
    if leaked > spared:
        raise Invalid("%d of %d packets that had to be dropped got through" % (leaked, sent))
    if isinstance(config, Weir):
        counted = config.counted(receiver) - before["counted"]
        if counted != sent:
            raise Invalid("weir counted %d packets of %d" % (counted, sent))


def run_case(bed, case, options, built=None):
    """The row of a case: figures by configuration (method 1) and `alone` (method 2); `absent` says why others are not
    there, `invalid` what was wrong."""
    rules, flows = built or case.build()
    path = flows.write(os.path.join(bed.world.dir, "flows"))
    row = {"case": case.name, "what": case.what, "ceiling": case.ceiling, "flows": flows.count, "rules": len(rules.rules),
           "elements": sum(len(each) for each in rules.sets.values()), "plot": case.plot, "load": {}, "absent": {},
           "invalid": {}, "figures": {}, "alone": {}, "stateful": rules.stateful}
    loaded = []
    try:
        with Room(rules.flows):
            for config in bed.configurations(rules):
                load(bed, config, rules, row, loaded)
            make_known(bed, loaded, flows, path, options)
            measure(bed, row, loaded, path, options)
        if not rules.stateful:
            measure_alone(row, loaded, rules.hook, path, flows.count, options)
    finally:
        for config, receiver in loaded:
            config.clear(receiver)
    return row


def load(bed, config, rules, row, loaded):
    reason = config.refuses(rules)
    if reason:
        row["absent"][config.name] = reason
        return
    receiver = bed.receiver(config, rules.hook == "egress")
    # What g0 itself sends is counted as well where flows are tracked.
    receiver.space.sysctl("ipv6/conf/g0/disable_ipv6", int(rules.stateful))
    try:
        how = config.load(receiver, rules)
    except NotHere as error:
        row["absent"][config.name] = str(error)
        config.clear(receiver)
        return
    except RuntimeError as error:  # weir itself, or the base
        row["invalid"][config.name] = str(error)
        config.clear(receiver)
        return
    row["load"][config.name] = how and {"ms": how["ms"], "kb": how["kb"]}
    loaded.append((config, receiver))


def make_known(bed, loaded, flows, path, options):
    """What is sent before anything is measured. All of it has been judged, so that nothing of it comes late: a device
    counts frames when they are sent, weir when it has seen them."""
    def seen():
        return [config.counted(receiver) for config, receiver in loaded if isinstance(config, Weir)]

    for each in flows.before:
        wanted = [count + each.count for count in seen()]
        send_once(bed.gen, "live", [each], path + "-before", [(config.name, receiver.target) for config, receiver
                                                              in loaded], *options, "--dmac", DMAC)
        if not lab.wait(lambda wanted=wanted: seen() == wanted):
            raise Invalid("not every frame came of those that make flows known")
        time.sleep(0.1)  # what peers have seen cannot be asked


def measure(bed, row, loaded, path, options):
    before = {config.name: {"came": receiver.came(), "leaked": receiver.leaked(),
                            "counted": config.counted(receiver) if isinstance(config, Weir) else 0}
              for config, receiver in loaded}
    targets = drive(bed.gen, "live", path, [(config.name, receiver.target) for config, receiver in loaded],
                    *options, "--dmac", DMAC, "--pause", 200, slice_ms=options[options.index("--slice") + 1])
    time.sleep(0.02)  # a poll that the last slice left behind
    base = loaded[0][0].name
    for config, receiver in loaded:
        try:
            sent = targets[config.name]["sent"]
            spared = -(-sent * quick.roomless(row["flows"]) // row["flows"]) if row["stateful"] else 0
            check(config, receiver, sent, before[config.name], spared)
        except Invalid as error:
            row["invalid"][config.name] = str(error)
    if base in row["invalid"]:
        raise Invalid("the base itself: " + row["invalid"][base])
    row["base"] = base
    row["figures"] = {name: each for name, each in figures(targets, base).items() if name not in row["invalid"]}


def measure_alone(row, loaded, hook, path, count, options):
    for config, receiver in loaded:
        if not isinstance(config, Weir):
            continue
        device = "o0" if hook == "egress" else "g0"
        ifindex = receiver.space.ifindex(device)
        try:
            row["alone"] = quick.alone(receiver.space, ifindex, quick.program(receiver.root, ifindex, hook), hook, path,
                                       count, lambda: config.counted(receiver), options)
        except Invalid as error:
            row["invalid"]["weir alone"] = str(error)
