#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that are older than the rules, or than a larger flow table: they go on, from either side."""
import os
import socket

from lab import World, check, equal, main, run

RULES = """
filter stateful {
	hook ingress
	device s0
	default drop
	ether type arp accept
	icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
	ct state established accept
}
"""
PLAIN = "filter plain {\n\thook ingress\n\tdevice s0\n\tdefault accept\n}\n"
REFUSE = "int idiagnl_connect(void *socket) { (void)socket; return -1; }\n"
ADDRESSES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


class Pair:
    """server: s0 <---- cable ----> c0 :client, a listener for both families on one socket, as most servers have."""

    def __init__(self):
        self.world = World()
        self.server, self.client = self.world.space("server"), self.world.space("client")
        self.world.veth(self.server, "s0", self.client, "c0", ipv6=True)
        for space, device, last in ((self.server, "s0", 1), (self.client, "c0", 2)):
            space.ip("addr", "add", "192.0.2.%d/24" % last, "dev", device)
            space.ip("addr", "add", "2001:db8::%d/64" % last, "dev", device, "nodad")
        self.listener = self.server.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.listener.bind(("::", 7000))
        self.listener.listen()
        self.world.sockets.append(self.listener)
        self.ends = []

    def connect(self, family, address, timeout=3):
        near = self.client.socket(family, socket.SOCK_STREAM)
        self.world.sockets.append(near)
        near.settimeout(timeout)
        try:
            near.connect((address, 7000))
        except OSError:
            return None
        far = self.listener.accept()[0]
        far.settimeout(timeout)
        self.world.sockets.append(far)
        self.ends.append((near, far))
        return near

    def apply(self, text, env=None):
        return self.server.weir("apply", self.world.file("rules", text), expect=0, env=env)


def passes(sender, receiver):
    try:
        sender.sendall(b"still there")
        return receiver.recv(100) == b"still there"
    except OSError:
        return False


def t_connections_older_than_the_rules():
    pair = Pair()
    for each in ADDRESSES:
        check("a connection to %s before there are rules" % each[1], pair.connect(*each))
    pair.apply(RULES)
    for (near, far), each in zip(pair.ends, ADDRESSES):
        check("%s: the client's bytes still come in" % each[1], passes(near, far))
        check("%s: and the server's go out" % each[1], passes(far, near))
    equal("a new connection does not", pair.connect(*ADDRESSES[0], timeout=1), None)


def no_socket_list(world):
    """An environment in which the kernel does not say which connections there are."""
    source, library = world.file("refuse.c", REFUSE), os.path.join(world.dir, "refuse.so")
    run(os.environ.get("CC") or "gcc", "-shared", "-fPIC", "-o", library, source)
    return {"LD_PRELOAD": library}


def t_rules_run_where_nobody_says_what_is_older():
    pair = Pair()
    for each in ADDRESSES:
        check("a connection to %s before there are rules" % each[1], pair.connect(*each))
    ran = pair.apply(RULES, env=no_socket_list(pair.world))
    check("apply says what follows", "connections older than the rules are invalid until this host sends" in ran.err, ran)
    check("and why", "cannot ask for the host's connections: " in ran.err, ran)
    equal("it says so once", ran.err.count("warning:"), 1)
    equal("the rules run", pair.connect(*ADDRESSES[0], timeout=1), None)
    for (near, far), each in zip(pair.ends, ADDRESSES):
        check("%s: once this host has sent" % each[1], passes(far, near))
        check("%s: the client's bytes come in" % each[1], passes(near, far))


def t_connections_older_than_the_first_rule_that_asks():
    pair = Pair()
    pair.apply(PLAIN)
    for each in ADDRESSES:
        check("a connection to %s under rules that keep no state" % each[1], pair.connect(*each))
    pair.apply(RULES)
    for (near, far), each in zip(pair.ends, ADDRESSES):
        check("%s: it goes on under rules that do" % each[1], passes(near, far) and passes(far, near))


def t_flows_move_into_a_larger_table():
    pair = Pair()
    pair.apply(RULES.replace("ct state established accept", "ct state { new, established } accept"))
    for each in ADDRESSES * 20:
        pair.connect(*each)
    equal("connections were made", len(pair.ends), 40)
    pair.apply("flows {\n\tsize 300000\n}\n" + RULES)
    equal("all go on in a larger table", sum(passes(a, b) and passes(b, a) for a, b in pair.ends), 40)
    equal("and nothing new does", pair.connect(*ADDRESSES[0], timeout=1), None)


main()
