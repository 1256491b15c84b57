#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What the refused one feels: an errno at once, from each hook, over both families, and not too often."""
import errno
import os
import socket
import time

from frame import HERE, THERE, frame
from lab import Counters, Wire, World, check, equal, main, wait

US, YOU = "10.0.0.1", "10.0.0.2"
US6, YOU6 = "fd00::1", "fd00::2"
REFUSED, UNREACHABLE = errno.ECONNREFUSED, errno.EHOSTUNREACH

RULES = """
    default accept
    tcp dport 22 counter closed reject with tcp reset
    udp dport 53 counter deaf reject
    udp dport 54 counter private reject with icmpx admin-prohibited
    tcp dport 23 counter silent drop
"""


def world_of_two():
    """   wire: w0 10.0.0.2 fd00::2  <---- cable ---->  10.0.0.1 fd00::1 g0 :guard"""
    world = World()
    wire, guard = world.space("wire"), world.space("guard")
    world.veth(wire, "w0", guard, "g0", mac_a=THERE, mac_b=HERE, ipv6=True)
    for space, device, four, six in ((wire, "w0", YOU, YOU6), (guard, "g0", US, US6)):
        space.ip("addr", "add", four + "/24", "dev", device)
        space.ip("addr", "add", six + "/64", "dev", device, "nodad")
    # A cable takes what XDP sends back only where its other end has a program, too.
    wire.weir("apply", "-", stdin="filter w { hook ingress; device w0; default accept }", root=world.other_root(), expect=0)
    return world, wire, guard


def ask(space, kind, address, port, patience=2.0):
    """The errno of who connects, or sends a datagram and waits for an answer; and the milliseconds it took."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = space.socket(family, kind)
    s.settimeout(patience)
    before, error = time.monotonic(), 0
    try:
        s.connect((address, port))
        if kind == socket.SOCK_DGRAM:
            s.send(b"x" * 100)
            s.recv(1)
    except TimeoutError:
        error = errno.ETIMEDOUT
    except OSError as e:
        error = e.errno
    finally:
        s.close()
    return error, (time.monotonic() - before) * 1000


def refused(what, space, kind, address, port, want=REFUSED):
    error, took = ask(space, kind, address, port)
    equal("%s: %s port %d: %s" % (what, address, port, os.strerror(want)), error, want)
    check("at once", took < 300, "%d ms" % took)


def all_refused(what, space, addresses):
    for address in addresses:
        refused(what, space, socket.SOCK_STREAM, address, 22)
        refused(what, space, socket.SOCK_DGRAM, address, 53)
        # Linux tells a user of IPv6 the same as EACCES: RFC 4443 has it as a code of its own.
        refused(what, space, socket.SOCK_DGRAM, address, 54, errno.EACCES if ":" in address else UNREACHABLE)


def counted(what, guard):
    counters = Counters(guard)
    equal(what + ": the rules counted", [counters.named(n) for n in ("closed", "deaf", "private")], [2, 2, 2])


def t_ingress():
    for words in ("ingress", "ingress generic", "ingress tc"):
        world, wire, guard = world_of_two()
        guard.weir("apply", "-", stdin="filter edge { hook %s; device g0 %s }" % (words, RULES), expect=0)
        all_refused(words, wire, (US, US6))
        counted(words, guard)
        equal("%s: a drop is none" % words, ask(wire, socket.SOCK_STREAM, US, 23, 0.5)[0], errno.ETIMEDOUT)
        world.close()


def t_egress():
    world, wire, guard = world_of_two()
    guard.weir("apply", "-", stdin="filter out { hook egress; device g0 %s }" % RULES, expect=0)
    all_refused("egress", guard, (YOU, YOU6))
    counted("egress", guard)


def t_loopback():
    world, wire, guard = world_of_two()
    guard.weir("apply", "-", stdin="filter own { hook egress; device lo %s }" % RULES, expect=0)
    all_refused("egress of lo", guard, ("127.0.0.1", "::1"))
    counted("egress of lo", guard)


def t_forwarded():
    """   wire: w0 ---- g0 :guard: g1 ---- f0 :far    on either side of the router"""
    for device, words in (("g0", "ingress"), ("g0", "ingress tc"), ("g1", "egress")):
        world, wire, guard = world_of_two()
        far = world.space("far")
        world.veth(far, "f0", guard, "g1", ipv6=True)
        for space, name, host in ((far, "f0", 2), (guard, "g1", 1)):
            space.ip("addr", "add", "10.0.1.%d/24" % host, "dev", name)
            space.ip("addr", "add", "fd01::%d/64" % host, "dev", name, "nodad")
        guard.sysctl("ipv4/ip_forward", 1)
        guard.sysctl("ipv6/conf/all/forwarding", 1)
        wire.ip("route", "add", "10.0.1.0/24", "via", US)
        wire.ip("route", "add", "fd01::/64", "via", US6)
        guard.weir("apply", "-", stdin="filter edge { hook %s; device %s %s }" % (words, device, RULES), expect=0)
        all_refused("%s of a router" % words, wire, ("10.0.1.2", "fd01::2"))
        counted("%s of a router" % words, guard)
        world.close()


def t_state():
    """A host that takes only answers hears its own filter's answers, too."""
    world, wire, guard = world_of_two()
    guard.weir("apply", "-", expect=0, stdin="""
        filter in { hook ingress tc; device g0; default drop
            ether type arp accept
            ip6 nexthdr icmpv6 icmpv6 type { 135, 136 } accept
            ct state established,related accept
        }
        filter out { hook egress; device g0 %s }
    """ % RULES)
    all_refused("egress, answers only", guard, (YOU, YOU6))


def t_rate():
    """A flood is not answered packet by packet."""
    for words in ("ingress", "ingress tc"):
        world, wire, guard = world_of_two()
        guard.weir("apply", "-", stdin="filter edge { hook %s; device g0 %s }" % (words, RULES), expect=0)
        out = Wire(wire, "w0")
        before = time.monotonic()
        out.send(frame("tcp", YOU, US, dport=22), 3000)
        wait(lambda: Counters(guard).named("closed") == 3000)
        took = time.monotonic() - before
        n = out.count(HERE)
        equal("%s: all are rejected" % words, Counters(guard).named("closed"), 3000)
        check("%s: %d of 3000 answered in %.2f s" % (words, n, took), 40 <= n <= 60 + 1000 * took)
        world.close()


main()
