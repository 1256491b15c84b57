#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""rules/server.rules on a host that really uses the net: what it asks for comes back, what it offers can be had, and a
scanner sees nothing else. And 500 connections that outlive applies, growing instances and kills.

    host eth0 ------ near0 near1 ------ far1 far0 ------ world0 world
    203.0.113.10              1400 bytes                 198.51.100.7, and an admin: 192.0.2.7
    2001:db8:9::10                                       2001:db8:1::7               2001:db8:7::7

Between the routers packets must be smaller than at both ends, so that large ones need MTU discovery.
Nothing is switched off by ethtool: offloads of veth stay as they are, unless a test is about them.
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from lab import TOP, Counters, World, check, curl, doomed, equal, main, nginx, wait

SECONDS = int(os.environ.get("N") or 4)  # of each way to survive
SEED = int(os.environ.get("SEED") or time.time())
HOST4, HOST6, WORLD4, WORLD6 = "203.0.113.10", "2001:db8:9::10", "198.51.100.7", "2001:db8:1::7"
ADMIN4, ADMIN6 = "192.0.2.7", "2001:db8:7::7"
HOPS4, HOPS6 = ["203.0.113.1", "10.9.0.2", WORLD4], ["2001:db8:9::1", "fd09::2", WORLD6]
SMALL_MTU = 1400
BIG = 20 << 20
TALK = os.path.join(TOP, "netns-tests", "talk.py")

with open(os.path.join(TOP, "rules", "server.rules")) as file:
    SERVER = file.read()


def server_rules(hook):
    """The rule file as it stands, or on another hook on the way in."""
    return SERVER.replace("hook ingress", "hook " + hook)


class Internet:
    def __init__(self):
        world = self.world = World()
        self.host, self.near, self.far, self.outside = (world.space(r) for r in ("host", "near", "far", "world"))
        world.veth(self.host, "eth0", self.near, "near0", ipv6=True)
        world.veth(self.near, "near1", self.far, "far1", ipv6=True, mtu=SMALL_MTU)
        world.veth(self.far, "far0", self.outside, "world0", ipv6=True)
        for space, device, *addresses in (
                (self.host, "eth0", HOST4 + "/24", HOST6 + "/64"),
                (self.near, "near0", "203.0.113.1/24", "2001:db8:9::1/64"),
                (self.near, "near1", "10.9.0.1/24", "fd09::1/64"),
                (self.far, "far1", "10.9.0.2/24", "fd09::2/64"),
                (self.far, "far0", "198.51.100.1/24", "2001:db8:1::1/64"),
                (self.outside, "world0", WORLD4 + "/24", WORLD6 + "/64", ADMIN4 + "/32", ADMIN6 + "/128")):
            for address in addresses:
                # Deprecated: answers come from the address that was asked.
                words = ["nodad", *(["preferred_lft", "0"] if address == ADMIN6 + "/128" else [])] if ":" in address else []
                space.ip("addr", "add", address, "dev", device, *words)
        for space in (self.near, self.far):
            space.sysctl("ipv4/ip_forward", 1)
            space.sysctl("ipv6/conf/all/forwarding", 1)
        for space in self.world.spaces.values():  # each test counts on each error being told
            space.sysctl("ipv4/icmp_ratelimit", 0)
            space.sysctl("ipv4/icmp_msgs_per_sec", 100000)
            space.sysctl("ipv4/icmp_msgs_burst", 100000)
            space.sysctl("ipv6/icmp/ratelimit", 0)
            space.sysctl("ipv4/ping_group_range", "0 0")
        for space, via4, via6 in ((self.host, "203.0.113.1", "2001:db8:9::1"), (self.near, "10.9.0.2", "fd09::2"),
                                  (self.far, "10.9.0.1", "fd09::1"), (self.outside, "198.51.100.1", "2001:db8:1::1")):
            space.ip("route", "add", "default", "via", via4)
            space.ip("-6", "route", "add", "default", "via", via6)
        for addresses in ((ADMIN4, "198.51.100.7"), (ADMIN6, "2001:db8:1::7")):
            self.far.ip("route", "add", addresses[0], "via", addresses[1])

    def apply(self, text):
        self.host.weir("apply", "-", stdin=text, expect=0)

    def forget_mtu(self):
        """On both ends: who knows of a small MTU also says so when a connection begins."""
        for space in (self.host, self.outside):
            for family in ("-4", "-6"):
                space.ip(family, "route", "flush", "cache")

    def knows_mtu(self, to):
        return "mtu %d" % SMALL_MTU in self.host.ip("route", "get", to)

    def serve_files(self, *spaces):
        for space in spaces:
            nginx(space, self.world, listen=("80", "[::]:80"), files={"big": b"\0" * BIG})

    def serve(self, space, port, kind=socket.SOCK_STREAM):
        """Something that answers like ssh, or a datagram with itself, until the world ends."""
        s = space.socket(socket.AF_INET6, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::", port))
        self.world.sockets.append(s)
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        threading.Thread(target=stream_server if kind == socket.SOCK_STREAM else datagram_server, args=(s,),
                         daemon=True).start()


def stream_server(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.sendall(b"SSH-2.0-test\r\n")
        connection.close()


def datagram_server(s):
    while True:
        try:
            data, who = s.recvfrom(2000)
            s.sendto(data, who)
        except OSError:
            return


def fetched(space, url, timeout=30):
    """Bytes that curl got."""
    out = space.run("curl", "-sS", "-g", "--max-time", str(timeout), "-o", "/dev/null", "-w", "%{size_download}", url,
                    expect=None)
    return int(out.split("\n")[-1])


def greeting(space, source, address, port, timeout=1.0):
    """What a server says first, or the error's name."""
    with space.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(timeout)
        try:
            s.bind((source, 0))
            s.connect((address, port))
            return s.recv(50).decode().strip()
        except OSError as error:
            return type(error).__name__


def answer(space, address, port, data=b"question", timeout=1.0):
    with space.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        try:
            s.connect((address, port))
            s.send(data)
            return s.recv(2000)
        except OSError as error:
            return type(error).__name__


# ---- traceroute, as far as a socket can tell ----

IP_RECVERR, IPV6_RECVERR, IPV6_UNICAST_HOPS, MSG_ERRQUEUE = 11, 25, 16, 0x2000


def offender(s, six):
    """Who sent the ICMP error that waits in the socket's error queue, or None."""
    try:
        _, ancillary, _, _ = s.recvmsg(2000, 500, MSG_ERRQUEUE)
    except BlockingIOError:
        return None
    for _, _, data in ancillary:
        if len(data) >= 16 + (28 if six else 8):  # struct sock_extended_err, then the sender's address
            return socket.inet_ntop(socket.AF_INET6, data[24:40]) if six else socket.inet_ntop(socket.AF_INET, data[20:24])
    return None


def trace(space, to, kind):
    """Who answers probes with a ttl of 1, 2, 3: the routers, then the end itself."""
    six = ":" in to
    found = []
    for ttl in (1, 2, 3):
        proto = 0 if kind == "udp" else socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
        with space.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM, proto) as s:
            s.setblocking(False)
            if six:
                s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
                s.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl)
            else:
                s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
                s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            probe = b"probe" if kind == "udp" else struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, ttl)
            s.sendto(probe, (to, 33434 + ttl))

            def heard():
                who = offender(s, six)
                if who:
                    return who
                try:
                    return s.recvfrom(2000)[1][0]
                except OSError:
                    return None

            found.append(wait(heard, 1.0))
    return found


# ---- what the host needs ----


def outwards(hook):
    net = Internet()
    host, outside = net.host, net.outside
    net.serve_files(outside, host)
    net.serve(outside, 22)
    net.serve(outside, 53, socket.SOCK_DGRAM)
    net.apply(server_rules(hook))

    for to, name in ((WORLD4, "IPv4"), (WORLD6, "IPv6")):
        bracketed = "[%s]" % to if ":" in to else to
        what = "%s, %s: " % (hook, name)
        equal(what + "a small file", curl(host, "http://%s/" % bracketed), (0, "weir lets you in\n"))
        equal(what + "a large file", fetched(host, "http://%s/big" % bracketed), BIG)
        equal(what + "a name server's answer", answer(host, to, 53), b"question")
        equal(what + "ssh", greeting(host, HOST6 if ":" in to else HOST4, to, 22), "SSH-2.0-test")
        equal(what + "a closed port is known at once", greeting(host, HOST6 if ":" in to else HOST4, to, 9),
              "ConnectionRefusedError")
        equal(what + "a closed datagram port too", answer(host, to, 9), "ConnectionRefusedError")
        for kind in ("udp", "icmp"):
            equal(what + "traceroute by " + kind, trace(host, to, kind), HOPS6 if ":" in to else HOPS4)
    for to, back, name in ((HOST4, WORLD4, "IPv4"), (HOST6, WORLD6, "IPv6")):
        bracketed = "[%s]" % to if ":" in to else to
        equal("%s, %s: the host gives a small file" % (hook, name), curl(outside, "http://%s/" % bracketed),
              (0, "weir lets you in\n"))
        net.forget_mtu()
        check("%s, %s: so far it knew of no small MTU" % (hook, name), not net.knows_mtu(back))
        equal("%s, %s: the host gives a large file" % (hook, name), fetched(outside, "http://%s/big" % bracketed), BIG)
        check("%s, %s: that took MTU discovery" % (hook, name), net.knows_mtu(back), host.ip("route", "get", back))
    equal("%s: nothing of all that is invalid" % hook, Counters(host).named("invalid"), 0)

    net.serve(host, 22)
    net.serve(host, 25)
    net.serve(host, 161, socket.SOCK_DGRAM)
    equal("%s: ssh is open to an admin" % hook, greeting(outside, ADMIN4, HOST4, 22), "SSH-2.0-test")
    equal("%s: over IPv6, too" % hook, greeting(outside, ADMIN6, HOST6, 22), "SSH-2.0-test")
    before = Counters(host)
    equal("%s: and closed to others" % hook, greeting(outside, WORLD4, HOST4, 22, 0.3), "TimeoutError")
    equal("%s: over IPv6, too" % hook, greeting(outside, WORLD6, HOST6, 22, 0.3), "TimeoutError")
    check("%s: which is counted" % hook, Counters(host).named("ssh") >= before.named("ssh") + 2)
    equal("%s: mail is not open" % hook, greeting(outside, ADMIN4, HOST4, 25, 0.3), "TimeoutError")
    equal("%s: a datagram to a port that is not open" % hook, answer(outside, HOST4, 161, timeout=0.3), "TimeoutError")
    check("%s: which the default counts" % hook,
          Counters(host).reason("server", "default") >= before.reason("server", "default") + 2)
    equal("%s: pings are answered" % hook, trace(outside, HOST4, "icmp")[2], HOST4)
    equal("%s: also over IPv6" % hook, trace(outside, HOST6, "icmp")[2], HOST6)
    net.world.close()


def t_in_and_out_xdp():
    outwards("ingress")


def t_in_and_out_generic():
    outwards("ingress generic")


def t_in_and_out_tc():
    outwards("ingress tc")


def t_without_related():
    """MTU discovery lives on related: without the word a large file stays where it is."""
    net = Internet()
    net.serve_files(net.host)
    for family, to in (("IPv4", HOST4), ("IPv6", "[%s]" % HOST6)):
        net.apply(SERVER.split("\ntest ")[0].replace("established,related", "established"))
        net.forget_mtu()
        check("%s: without `related` a large file hangs" % family, fetched(net.outside, "http://%s/big" % to, 2) < BIG)
        net.apply(SERVER)
        equal("%s: with it, it comes" % family, fetched(net.outside, "http://%s/big" % to), BIG)


TWO_WAYS = """
filter in { hook %s; device eth0; default drop
    ct state established,related accept
    ct state invalid counter invalid drop
    ct state untracked accept
    tcp dport { 80, 81 } ct state new accept
    icmp type echo-request ct state new accept
    icmpv6 type echo-request ct state new accept
}
filter out { hook egress; device eth0; default drop
    ct state established,related accept
    ct state invalid counter odd-out drop
    ct state untracked accept
    ct state new counter outwards drop
}
"""


def t_egress_answers_only():
    """A host that may answer and not ask."""
    for hook in ("ingress", "ingress tc"):
        net = Internet()
        host, outside = net.host, net.outside
        net.serve_files(host, outside)
        net.apply(TWO_WAYS % hook)
        for to, name in ((HOST4, "IPv4"), ("[%s]" % HOST6, "IPv6")):
            equal("%s, %s: it gives a large file" % (hook, name), fetched(outside, "http://%s/big" % to), BIG)
        equal("%s: a port that nobody listens at is refused" % hook, greeting(outside, WORLD4, HOST4, 81),
              "ConnectionRefusedError")
        equal("%s: pings are answered" % hook, trace(outside, HOST4, "icmp")[2], HOST4)
        counters = Counters(host)
        equal("%s: nothing of that was new or odd" % hook,
              [counters.named(n) for n in ("outwards", "invalid", "odd-out")], [0, 0, 0])
        equal("%s: it fetches none" % hook, curl(host, "http://%s/" % WORLD4, 1)[0], 28)
        equal("%s: nor asks" % hook, answer(host, WORLD4, 53, timeout=0.2), "TimeoutError")
        check("%s: which is counted" % hook, Counters(host).named("outwards") >= 2)
        net.world.close()


def t_egress_alone():
    """No filter on ingress: one that only tracks is there for the answers."""
    net = Internet()
    net.serve_files(net.outside)
    net.apply("""
        filter out { hook egress; device eth0; default drop
            ct state established,related accept
            ct state untracked accept
            tcp dport 80 ct state new accept
        }
    """)
    for to, name in ((WORLD4, "IPv4"), ("[%s]" % WORLD6, "IPv6")):
        equal("%s: a large file" % name, fetched(net.host, "http://%s/big" % to), BIG)
    equal("and no other port", greeting(net.host, HOST4, WORLD4, 22, 0.3), "TimeoutError")


# ---- what a scanner sees ----


def scan(space, kind, ports, to):
    """{port: state} by nmap."""
    out = space.run("nmap", *(["-6"] if ":" in to else []), "-n", "-Pn", kind, "-p", ",".join(map(str, ports)), "-T5",
                    "--max-retries", "1", "--initial-rtt-timeout", "50ms", "--max-rtt-timeout", "50ms", "--min-rate", "500",
                    "-oX", "-", to)
    found = {int(p): s for p, s in re.findall(r'portid="(\d+)"><state state="([a-z|]+)"', out)}
    rest = re.search(r'<extraports state="([a-z|]+)"', out)
    return {p: found.get(p, rest and rest[1]) for p in ports}


def t_scan():
    if not shutil.which("nmap"):
        print("      no nmap: left out")
        return
    net = Internet()
    nginx(net.host, net.world, listen=("80", "[::]:80"))
    net.serve(net.host, 22)
    net.serve(net.host, 25)
    net.serve(net.host, 161, socket.SOCK_DGRAM)
    ports = [22, 25, 80, 443, 3306, 8080]
    closed = dict.fromkeys(ports, "filtered")
    silent = dict.fromkeys(ports, "open|filtered")
    # the scan; what it sees; what counts it
    table = [
        ("-sS", ports, {**closed, 80: "open", 443: "closed"}, "default"),
        ("-sA", ports, closed, "invalid"),
        ("-sF", ports, silent, "invalid"),
        ("-sX", ports, silent, "invalid"),
        ("-sN", ports, silent, "invalid"),
        ("-sM", ports, silent, "invalid"),
        ("-sW", ports, closed, "invalid"),
        ("-sU", [53, 161, 443], {53: "open|filtered", 161: "open|filtered", 443: "closed"}, "default"),
    ]
    for hook in ("ingress", "ingress tc"):
        net.apply(server_rules(hook))
        for to in (HOST4, HOST6):
            for kind, asked, want, counter in table:
                before = Counters(net.host)
                equal("%s: nmap %s %s" % (hook, kind, to), scan(net.outside, kind, asked, to), want)
                after = Counters(net.host)
                took = [c.named("invalid") if counter == "invalid" else c.reason("server", "default") for c in (before, after)]
                check("which %s counts" % counter, took[1] > took[0], took)
    equal("and the web is still open", curl(net.outside, "http://%s/" % HOST4)[0], 0)


# ---- bulk, and what offloads make of it ----


def bulk(net, what):
    before = Counters(net.host)
    for to, back in ((HOST4, WORLD4), ("[%s]" % HOST6, "[%s]" % WORLD6)):
        equal("%s: out to %s" % (what, to), fetched(net.outside, "http://%s/big" % to), BIG)
        equal("%s: in from %s" % (what, back), fetched(net.host, "http://%s/big" % back), BIG)
    after = Counters(net.host)
    equal("%s: none of it is invalid, on either side" % what, [after.named(n) - before.named(n) for n in ("invalid", "odd-out")],
          [0, 0])
    lost = [sum(c.reason(f, r) for f in ("in", "out") for r in ("truncated", "bad-length", "fragment")) for c in (before, after)]
    equal("%s: nor malformed" % what, lost[1] - lost[0], 0)


def t_offloads():
    """Several segments in one packet, checksums that are not there yet: as veth has them, then with less."""
    rules = TWO_WAYS.replace("ct state new counter outwards drop", "ct state new accept")
    for hook in ("ingress", "ingress generic", "ingress tc"):
        net = Internet()
        net.serve_files(net.host, net.outside)
        net.apply(rules % hook)
        bulk(net, hook + ", as veth is made")
        for setting in ("gro on", "tso off gso off", "gro off", "tx off"):
            for space, device in ((net.host, "eth0"), (net.near, "near0")):
                space.run("ethtool", "-K", device, *setting.split())
            bulk(net, "%s, then %s" % (hook, setting))
        net.world.close()


def t_big_tcp():
    """Packets of more than 64 KB: their IPv6 header has no length."""
    net = Internet()
    host, near = net.host, net.near
    net.serve_files(host, near)
    try:
        for space, device in ((host, "eth0"), (near, "near0")):
            space.ip("link", "set", "dev", device, "gso_max_size", "180000", "gro_max_size", "180000")
    except RuntimeError:
        print("      not here: left out")
        return
    net.apply(TWO_WAYS.replace("ct state new counter outwards drop", "ct state new accept") % "ingress tc")
    wire = host.wire("eth0")
    for space, url in ((host, "http://[2001:db8:9::1]/big"), (near, "http://[%s]/big" % HOST6)):
        equal("%s gets a large file" % space.role, fetched(space, url), BIG)
    longest = 0
    while True:
        try:
            longest = max(longest, len(wire.socket.recv(1 << 18, socket.MSG_DONTWAIT | socket.MSG_TRUNC)))
        except BlockingIOError:
            break
    check("in packets of more than 64 KB", longest > 1 << 16, longest)
    equal("none of it is invalid", [Counters(host).named(n) for n in ("invalid", "odd-out")], [0, 0])


# ---- survival ----


class Talk:
    """A peer process: `talk.py answer` or `talk.py ask`."""

    def __init__(self, space, *words):
        self.child = space.popen(TALK, *map(str, words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.child.stdout.readline()
        if not line.startswith("ready"):
            raise RuntimeError("talk.py %s did not start: %s" % (words, line))

    def end(self):
        """Says what it has seen."""
        self.child.send_signal(signal.SIGTERM)
        return json.loads(self.child.stdout.read())


def retransmitted(space):
    out = space.run("cat", "/proc/net/snmp")
    names, values = [line.split() for line in out.splitlines() if line.startswith("Tcp:")]
    return int(values[names.index("RetransSegs")])


def survival(what, changes):
    """changes: yields rule files. Half of the applies are tried once before, and killed at a random moment."""
    rng = random.Random(SEED)
    print("      SEED=%d" % SEED)
    net = Internet()
    host, outside = net.host, net.outside
    # Windows as they are by default or smaller, not this machine's: they are what a flow table is wrong about first.
    for space in (host, outside):
        space.sysctl("ipv4/tcp_rmem", "4096 65536 262144")
    changes = changes(net)
    host.weir("apply", next(changes), expect=0)
    for space, port in ((host, 80), (outside, 7)):
        Talk(space, "answer", port)
    askers = []
    for n, size, pause in CONNECTIONS:
        askers += [Talk(outside, "ask", HOST4, 80, n // 2, size, pause), Talk(host, "ask", WORLD6, 7, n - n // 2, size, pause)]
    lost = sum(map(retransmitted, (host, outside)))
    applies = killed = 0
    takes = 0.2
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or applies < 4:
        path = next(changes)
        if rng.random() < 0.5:
            killed += doomed(host, net.world.root, ["apply", path], takes * 1.2 * rng.random(), lambda: time.sleep(0.001))
        before = time.monotonic()
        ran = host.weir("apply", path)
        takes = 0.7 * takes + 0.3 * (time.monotonic() - before)
        applies += 1
        if ran.code:
            check("%s: apply %d" % (what, applies), False, ran)
            return
    said = [a.end() for a in askers]
    print("      %d applies, of %.0f ms in the end, and %d killed; %d exchanges, the slowest of %.0f ms; %d invalid, %d sent again"
          % (applies, takes * 1000, killed, sum(s["exchanges"] for s in said), max(s["slowest_ms"] for s in said),
             Counters(host).named("invalid"), sum(map(retransmitted, (host, outside))) - lost))
    n = sum(s["connections"] for s in said)
    equal("%s: %d connections, none broken" % (what, n), [b for s in said for b in s["broken"]][:10], [])
    check("%s: each of them was used" % what, all(s["fewest"] > 0 for s in said), said)
    net.world.close()


# Connections, bytes of a question, ms between two: many that say little, and some that fill their windows.
CONNECTIONS = [(500, 100, 200), (8, 1 << 20, 20)]
FEATURE = "\tudp dport 9 limit rate 1/second counter nine drop\n"


def numbered(net, filler=0, flows=65536, other=""):
    """server.rules with rules that nobody meets, and a flow table of some size."""
    rules = "".join("\ttcp sport %d tcp dport 7 saddr 192.0.2.%d drop\n" % (1 + n // 200, n % 200) for n in range(filler))
    text = SERVER.split("\ntest ")[0].replace("default drop\n", "default drop\n" + rules + other)
    return net.world.file("%d-%d%s.rules" % (filler, flows, other and "-other"), "flows { size %d }\n" % flows + text)


def swapping(net):
    files = [numbered(net), numbered(net, 200, other=FEATURE)]
    while True:
        yield from files


def growing(net):
    """Every other file needs a larger instance than all before: for its rules, or for its flow table."""
    filler, flows = 1000, 1024
    while True:
        yield numbered(net, 0, flows)
        yield numbered(net, filler, flows, FEATURE)
        flows *= 2 if flows < 1 << 19 else 1
        yield numbered(net, 0, flows)
        yield numbered(net, filler // 2, flows, FEATURE)
        filler *= 2 if filler < 30000 else 1


def t_survive_swaps():
    survival("swaps and kills", swapping)


def t_survive_growing():
    survival("growing", growing)


main(limit=180 + 2 * SECONDS)
