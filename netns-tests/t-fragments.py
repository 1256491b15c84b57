#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""`fragments track`: large datagrams of real hosts through each hook, and the attacks of old on their parts."""
import socket
import struct

from frame import HERE, THERE, checksum, frame, transport
from lab import Counters, World, check, equal, inside, main, wait

US, YOU = "10.0.0.1", "10.0.0.2"
US6, YOU6 = "fd00::1", "fd00::2"
OPEN, SHUT = 5353, 5354

RULES = """
filter edge {
    %s; device g0
    fragments track
    default drop
    ether type arp accept
    icmp type { echo-request, echo-reply } accept
    meta l4proto icmpv6 accept
    udp dport 5353 accept
    %s
}
"""


def world_of(hook):
    """   far: f0 ---- g0 :guard    the guard's filter is on g0"""
    world = World()
    far, guard = world.space("far"), world.space("guard")
    world.veth(far, "f0", guard, "g0", mac_a=THERE, mac_b=HERE, ipv6=True)
    for space, device, address, address6 in ((far, "f0", YOU, YOU6), (guard, "g0", US, US6)):
        space.ip("addr", "add", address + "/24", "dev", device)
        space.ip("addr", "add", address6 + "/64", "dev", device, "nodad")
    guard.weir("apply", "-", stdin=RULES % ("hook " + hook, ""), expect=0)
    return world, far, guard


def bound(space, address, port):
    each = space.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with inside(space.name):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        each.bind((address, port))
    each.setblocking(False)
    space.world.sockets.append(each)
    return each


def received(each, timeout=2.0):
    """The next datagram, or None."""
    def read():
        try:
            return each.recv(70000)
        except BlockingIOError:
            return None
    return wait(read, timeout)


def reassemblies(space):
    """Fragments that reached the host: IPv4's and IPv6's."""
    text = space.run("cat", "/proc/net/snmp", "/proc/net/snmp6")
    ip = [line.split() for line in text.splitlines() if line.startswith("Ip:")]
    four = int(ip[1][ip[0].index("ReasmReqds")])
    return four + next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Ip6ReasmReqds"))


# ---- real hosts ----


def ping(space, address, size):
    """An echo of so many bytes; does the same come back?"""
    six = ":" in address
    each = space.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW,
                        socket.getprotobyname("ipv6-icmp" if six else "icmp"))
    space.world.sockets.append(each)
    each.setblocking(False)
    payload = bytes(i * 7 & 0xFF for i in range(size))
    head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1)
    if not six:
        head = head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:]
    each.sendto(head + payload, (address, 0))

    def came():
        try:
            data = each.recv(70000)
        except BlockingIOError:
            return False
        data = data if six else data[20:]
        return data[0] == (129 if six else 0) and data[8:] == payload
    return wait(came, 3)


def t_large_datagrams():
    for hook in ("ingress", "ingress generic", "ingress tc", "egress"):
        world, far, guard = world_of(hook)
        sender, receiver = (guard, far) if hook == "egress" else (far, guard)
        for here, there in ((YOU, US), (YOU6, US6)):
            here, there = (there, here) if hook == "egress" else (here, there)
            server, closed = bound(receiver, there, OPEN), bound(receiver, there, SHUT)
            client = bound(sender, here, 0)
            family = "IPv6" if ":" in there else "IPv4"
            for size in (1000, 8192, 20001, 40000, 60000):
                data = bytes(i * 13 + size & 0xFF for i in range(size))
                client.sendto(data, (there, OPEN))
                check("%s: %s: %d bytes arrive whole" % (hook, family, size), received(server) == data)
            before, arrived = Counters(guard).reason("edge", "fragment"), reassemblies(receiver)
            try:
                for _ in range(3):
                    client.sendto(b"x" * 20000, (there, SHUT))
            except PermissionError:
                pass  # a drop at TC egress is told to the sender
            check("%s: %s: nothing arrives at another port" % (hook, family), received(closed, 0.2) is None)
            later = Counters(guard).reason("edge", "fragment") - before
            check("%s: %s: later fragments follow the first one" % (hook, family),
                  later == 0 if hook == "egress" and later == 0 else later % 13 == 0 and later > 0, later)
            equal("%s: %s: none of them reaches the host" % (hook, family), reassemblies(receiver) - arrived, 0)
            check("%s: %s: an echo of 3000 bytes comes back" % (hook, family), ping(sender, there, 3000))
        wrong = {r: Counters(guard).reason("edge", r) for r in
                 ("bad-fragment", "fragment-early", "fragment-overlap", "fragment-gaps", "fragments-full")}
        equal("%s: of honest hosts, none is refused" % hook, {r: n for r, n in wrong.items() if n}, {})
        world.close()


# ---- attacks ----

PAYLOAD = bytes(range(64, 64 + 88))  # with the UDP header 96 bytes: units 0 to 11


class Attacker:
    """Sends parts of one datagram at a time to the open port; each attack has an identification of its own."""

    def __init__(self, far, guard, six):
        self.guard, self.six, self.ident = guard, six, 100
        self.out = far.wire("f0")
        self.here, self.there = (YOU6, US6) if six else (YOU, US)
        self.server = bound(guard, self.there, OPEN)

    def send(self, start, stop, *, more=True, port=OPEN, ident=None):
        """Units from start up to stop of a datagram whose bytes are right."""
        import ipaddress
        ident = ident or self.ident
        body = transport("udp", ipaddress.ip_address(self.here), ipaddress.ip_address(self.there), dport=port,
                         payload=PAYLOAD)[start * 8:stop * 8]
        if self.six:
            header = (44, b"\0" + struct.pack("!HI", start << 3 | more, ident))
            self.out.send(frame("raw", self.here, self.there, proto=17, extensions=[header], payload=body))
        else:
            self.out.send(frame("raw", self.here, self.there, proto=17, frag=more << 13 | start, ident=ident,
                                payload=body))

    def try_parts(self, what, parts, reasons, arrives=None):
        """arrives: fragments that reach the host; None: the datagram does."""
        before, seen = Counters(self.guard), reassemblies(self.guard)
        self.ident += 1
        for part in parts:
            self.send(*part[:2], **(part[2] if len(part) > 2 else {}))
        got = received(self.server, 2.0 if arrives is None else 0.1)
        equal(what, got, PAYLOAD if arrives is None else None)
        after = Counters(self.guard)
        equal("... counted", {r: n for r in ("bad-fragment", "fragment", "fragment-early", "fragment-overlap", "fragment-gaps")
                              for n in [after.reason("edge", r) - before.reason("edge", r)] if n}, reasons)
        if arrives is not None:
            equal("... and the host got that many parts", reassemblies(self.guard) - seen, arrives)


LAST = {"more": False}


def t_attacks():
    for hook in ("ingress", "ingress tc"):
        world, far, guard = world_of(hook)
        for six in (False, True):
            a = Attacker(far, guard, six)
            tag = "%s, IPv%d: " % (hook, 6 if six else 4)
            a.try_parts(tag + "two honest parts are a datagram", [(0, 4), (4, 12, LAST)], {"fragment": 1})
            a.try_parts(tag + "in any order behind the first", [(0, 4), (8, 12, LAST), (6, 8), (4, 6)], {"fragment": 3})
            a.try_parts(tag + "teardrop: the second one begins inside the first one",
                        [(0, 4), (3, 12, LAST)], {"fragment-overlap": 1}, 1)
            a.try_parts(tag + "bonk: a gap, then over the first one",
                        [(0, 4), (5, 12, LAST), (2, 4)], {"fragment": 1, "fragment-overlap": 1}, 2)
            a.try_parts(tag + "rose: first, last, and parts over each other",
                        [(0, 4), (11, 12, LAST), (5, 7), (6, 8), (4, 6), (7, 11)],
                        {"fragment": 4, "fragment-overlap": 1}, 3)
            a.try_parts(tag + "gaps only: the host need not keep them",
                        [(0, 3), (4, 5), (6, 7), (8, 9), (10, 11), (3, 4)], {"fragment": 4, "fragment-gaps": 1}, 4)
            a.try_parts(tag + "a later one that comes first, and all behind it",
                        [(4, 12, LAST), (0, 4), (4, 12, LAST)], {"fragment-early": 1, "fragment": 2}, 0)
            a.try_parts(tag + "a part twice", [(0, 4), (4, 6), (4, 6), (6, 12, LAST)],
                        {"fragment": 2, "fragment-overlap": 1}, 2)
            a.try_parts(tag + "the first one twice, to two ports", [(0, 4), (0, 4, {"port": SHUT}), (4, 12, LAST)],
                        {"fragment-overlap": 1, "fragment": 1}, 1)
            a.try_parts(tag + "two ends", [(0, 4), (10, 12, LAST), (4, 6, LAST)],
                        {"fragment": 1, "fragment-overlap": 1}, 2)
            a.try_parts(tag + "later parts of what the rules drop", [(0, 4, {"port": SHUT}), (4, 12, LAST)],
                        {"fragment": 1}, 0)
            a.try_parts(tag + "of another datagram", [(0, 4), (4, 12, dict(LAST, ident=99))], {"fragment-early": 1}, 1)
            a.try_parts(tag + "an end beyond 65,535", [(0, 4), (8191, 8192, LAST)], {"bad-fragment": 1}, 1)
        world.close()


def t_an_apply_between_two_parts():
    world, far, guard = world_of("ingress")
    a = Attacker(far, guard, False)
    a.send(0, 4)
    check("the first part is for the rules", wait(lambda: Counters(guard).document["filters"][0]["rules"][3]["packets"] == 1))
    guard.weir("apply", "-", expect=0, stdin=RULES % (
        "hook ingress", "udp dport 99 limit rate 5/second accept\n    udp dport 98 ct state new accept"))
    a.send(4, 12, more=False)
    equal("a datagram outlives an apply, and larger programs", received(a.server), PAYLOAD)
    guard.weir("apply", "-", expect=0, stdin=(RULES % ("hook ingress", "")).replace("track", "drop"))
    a.ident += 1
    a.send(0, 4)
    a.send(4, 12, more=False)
    equal("with `fragments drop`, none arrives", received(a.server, 0.1), None)


main()
