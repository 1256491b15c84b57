#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The kernel's conntrack as an independent witness: the same packets, the same `ct state`.

    ct_witness.py [CONVERSATIONS [SEED]]

Two worlds get the same frames, one at a time: each is sent when the one before has come out. Both tell the state of
each frame by how it comes out:

    wire ns:  wa ----> in0 :weir ns: in1 <---- wb         redirected to the device of its state:  s_new, s_est, ...
    wire ns:  na ----> in0 :nft ns:  in1 <---- nb         forwarded, the state in its DSCP

a and b are the two sides of the conversations. Packets carry their number, as identification (IPv4) or flow label (IPv6).
weir runs twice: at XDP, and at TC, where the devices s_... are tracked, too: there each packet is seen twice, on its way
in and on its way out, as on a router.

Half of the conversations are those of ct_scripts.py, the others random: packets lost in front of both or behind both, sent
twice, in another order, with forged ones in between. Where the two say something else, and why, stands in ct_known.py;
all of these are explained in docs/decisions/0011-flows.md.
"""
import os
import select
import sys
import time

import lab
from ct_conversations import conversations, interleaved
from ct_known import KNOWN, Story, explanation
from ct_talk import A_MAC, B_MAC, IN0_MAC, IN1_MAC, number_of

CONVERSATIONS = 200
STATES = ["established", "related", "new", "untracked", "invalid"]  # as DSCP: number + 1
DEVICES = ["s_est", "s_rel", "s_new", "s_unt", "s_inv"]


# ---- the two worlds ----


class Weir:
    """One namespace with two devices in and one out for each state."""

    def __init__(self, world, wire, hook):
        self.space = world.space("weir")
        for far, near, mac in (("wa", "in0", IN0_MAC), ("wb", "in1", IN1_MAC)):
            world.veth(wire, far, self.space, near, mac_b=mac)
        self.entry = {"a": wire.wire("wa"), "b": wire.wire("wb")}
        self.exits = []
        for device in DEVICES:
            world.veth(self.space, device, wire, "x" + device)
            wire.run("ethtool", "-K", "x" + device, "gro", "on")  # a veth takes redirected frames only from a NAPI
            self.exits.append(wire.wire("x" + device))
        devices = ["in0", "in1"] + (DEVICES if hook == "ingress tc" else [])
        self.space.weir("apply", "-", expect=0, stdin="filter witness { hook %s; device %s; default drop\n%s}\n" % (
            hook, ", ".join(devices), "".join("\tct state %s redirect to %s\n" % pair for pair in zip(STATES, DEVICES))))

    def word(self, index, data):
        return STATES[index]


class Nft:
    """A router that writes the state into each packet."""

    def __init__(self, world, wire):
        self.space = space = world.space("nft")
        for far, near, mac_far, mac in (("na", "in0", A_MAC, IN0_MAC), ("nb", "in1", B_MAC, IN1_MAC)):
            world.veth(wire, far, space, near, mac_a=mac_far, mac_b=mac, ipv6=True)
            wire.sysctl("ipv6/conf/%s/disable_ipv6" % far, 1)
        space.sysctl("ipv4/ip_forward", 1)
        space.sysctl("ipv6/conf/all/forwarding", 1)
        for name in ("all", "in0", "in1"):
            space.sysctl("ipv4/conf/%s/rp_filter" % name, 0)
            space.sysctl("ipv4/conf/%s/send_redirects" % name, 0)
        for device, net4, net6, mac in (("in0", "10.10.0.254/24", "fd0a::fe/64", A_MAC), ("in1", "10.11.0.254/24", "fd0b::fe/64", B_MAC)):
            space.ip("addr", "add", net4, "dev", device)
            space.ip("addr", "add", net6, "dev", device, "nodad")
            for host in [*range(1, 10), 77, 99]:
                space.ip("neigh", "add", net4.replace("254/24", str(host)), "lladdr", mac, "dev", device)
                space.ip("neigh", "add", net6.replace("fe/64", str(host)), "lladdr", mac, "dev", device)
        marks = "".join("\t\tct state %s %s dscp set %d\n" % (state, family, i + 1) for i, state in enumerate(STATES)
                        for family in ("ip", "ip6"))
        if not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_max"):
            lab.skip("this kernel has no conntrack")
        space.run("nft", "-f", "-", input="table inet witness { chain c {\n\t\ttype filter hook forward priority 0\n%s\t}\n}\n" % marks)
        space.sysctl("netfilter/nf_conntrack_tcp_loose", 0)
        self.entry = {"a": wire.wire("na"), "b": wire.wire("nb")}
        self.exits = [self.entry["a"], self.entry["b"]]

    def word(self, index, data):
        dscp = number_of(data)[1]
        return STATES[dscp - 1] if 1 <= dscp <= len(STATES) else "dscp %d" % dscp


def pass_through(side, packet, number):
    """The word for a frame, or None: it has not come out."""
    side.entry[packet.side].send(packet.frame(number))
    end = time.monotonic() + 0.25
    while time.monotonic() < end:
        ready, _, _ = select.select([e.socket for e in side.exits], [], [], 0.25)
        for index, exit_ in enumerate(side.exits):
            if exit_.socket in ready:
                data = exit_.seen()
                if data is not None and number_of(data)[0] == number:
                    return side.word(index, data)
    return None


# ---- the comparison ----


def show(talk, seen, words):
    print("difference in '%s', IPv%d:" % (talk.name, talk.family))
    for (packet, weir, nft), known in zip(seen, words):
        numbers = "%10d %10d %5d" % tuple(packet.how[k] for k in ("seq", "ack", "window")) if "flags" in packet.how else ""
        print("    %-36s %-28s weir %-12s nft %-12s %s" % (packet.note, numbers, weir, nft, known or ""))
    sys.stdout.flush()


def compare(hook, n, seed, tally):
    with lab.World() as world:
        wire = world.space("wire")
        weir = Weir(world, wire, hook)
        nft = Nft(world, wire)
        talks = conversations(n, seed)
        seen = {talk: [] for talk in talks}
        for number, (talk, packet) in enumerate(interleaved(talks, seed), 1):
            words = [pass_through(side, packet, number & 0xFFFF) for side in (weir, nft)]
            seen[talk].append((packet, *words))
        for talk in talks:
            differs, story, words = False, Story(), []
            for packet, by_weir, by_nft in seen[talk]:
                tally["states"][by_nft] = tally["states"].get(by_nft, 0) + 1
                known = by_weir != by_nft and explanation(story, packet, by_weir, by_nft)
                story.tell(packet, by_weir, by_nft)
                if by_weir == by_nft:
                    tally["passed"] += 1
                elif known:
                    tally["explained"][known] = tally["explained"].get(known, 0) + 1
                else:
                    tally["failed"] += 1
                    differs = True
                    known = "NOT EXPLAINED"
                words.append(known)
            if differs:
                tally["shown"] += 1
                if tally["shown"] <= 12:
                    show(talk, seen[talk], words)


def main():
    words = [int(word) for word in sys.argv[1:]]
    n, seed = (words + [CONVERSATIONS, 1][len(words) :])[:2]
    print("%d conversations, seed %d" % (n, seed), flush=True)
    tally = {"passed": 0, "failed": 0, "shown": 0, "explained": {}, "states": {}}
    for hook in ("ingress", "ingress tc"):
        before = time.monotonic()
        compare(hook, n, seed, tally)
        print("%s: %.1f s" % (hook, time.monotonic() - before))
    print("nft said:", ", ".join("%s %d" % pair for pair in sorted(tally["states"].items(), key=str)))
    for name, *_, why in KNOWN + [("follows", "what comes behind such a packet, in a connection of which the two believe something else")]:
        print("explained: %5d  %-14s %s" % (tally["explained"].get(name, 0), name, why))
    print("%d passed, %d failed" % (tally["passed"], tally["failed"]), flush=True)
    sys.exit(1 if tally["failed"] else 0)


if __name__ == "__main__":
    main()
