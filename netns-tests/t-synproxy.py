#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""synproxy as its users meet it: real handshakes, data, a SYN flood at full speed, and what the host must allow.

                     flood (live frames, one CPU)
    client ns:  c0 <------------- cable -------------> s0  :server ns     weir on s0, nginx on port 80

N is how many connections a client makes in the flood (100; long form 1000).
"""
import os
import random
import re
import selectors
import socket
import time

from flood import Flood
from frame import HERE, THERE, frame
from lab import Counters, Tap, World, check, equal, inside, main, nginx, skip, wait

N = int(os.environ.get("N") or 100)
ADDRESSES = {"192.0.2.2": socket.AF_INET, "2001:db8::2": socket.AF_INET6}
BODY = random.Random(1).randbytes(3_000_000)
SMALL = random.Random(2).randbytes(20_000)
SECONDS = 3.0  # over which the clients of the flood begin
FULL = "mss 1460 wscale %d timestamp sack-perm"

RULES = """filter in {
	hook ingress %(generic)s
	device s0
	default accept
	malformed accept
	ct state invalid drop
	ct state established accept
	tcp dport { 80, 81, 82 } %(verdict)s
}
"""


class Place(World):
    """Both namespaces, with what synproxy asks of the second one."""

    def __init__(self, syncookies=2, timestamps=2):
        super().__init__()
        self.client, self.server = self.space("client"), self.space("server")
        self.veth(self.client, "c0", self.server, "s0", mac_a=THERE, mac_b=HERE, ipv6=True)
        for space, device, last in ((self.client, "c0", 1), (self.server, "s0", 2)):
            space.ip("addr", "add", "192.0.2.%d/24" % last, "dev", device)
            space.ip("addr", "add", "2001:db8::%d/64" % last, "dev", device, "nodad")
        self.server.ip("route", "add", "default", "via", "192.0.2.1")  # else SYNs of nobody's are not even answered
        self.server.ip("-6", "route", "add", "default", "via", "2001:db8::1")
        Flood.prepare(self.client, "c0")
        self.server.sysctl("ipv4/tcp_syncookies", syncookies)
        self.server.sysctl("ipv4/tcp_timestamps", timestamps)

    def scale(self):
        with inside(self.server.name), open("/proc/sys/net/ipv4/tcp_rmem") as rmem:
            most = int(rmem.read().split()[2])
        with open("/proc/sys/net/core/rmem_max") as other:
            most = max(most, int(other.read()))
        return max(0, min(14, most.bit_length() - 1 - 15))

    def apply(self, verdict, generic="", expect=0):
        return self.server.weir("apply", self.file("in.rules", RULES % {"verdict": verdict, "generic": generic}),
                                expect=expect)

    def synproxy(self, options=None):
        return self.apply("synproxy " + (FULL % self.scale() if options is None else options))

    def nginx(self, body=SMALL):
        nginx(self.server, self, body="", listen=("80", "[::]:80"), files={"data": body})


# ---- clients ----


class Client:
    """One GET of /data, without waiting for it: step() goes on when the selector says so."""

    def __init__(self, space, host, port=80, bind=None):
        self.socket = space.socket(ADDRESSES[host], socket.SOCK_STREAM)
        self.socket.setblocking(False)
        if bind:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("", bind))
        self.start = time.monotonic()
        self.took = None
        self.got = bytearray()
        self.sent = self.over = False
        self.socket.connect_ex((host, port))

    def step(self):
        try:
            if not self.sent:
                self.socket.sendall(b"GET /data HTTP/1.0\r\n\r\n")
                self.took = time.monotonic() - self.start
                self.sent = True
                return
            more = self.socket.recv(1 << 20)
            self.got += more
            self.over = not more
        except BlockingIOError:
            pass
        except OSError:
            self.over = True

    @property
    def body(self):
        return bytes(self.got).partition(b"\r\n\r\n")[2]


def clients(space, hosts, n, timeout=20.0, over=0.0, at_once=20):
    """n connections that begin over so many seconds, a few at a time: when they are over, or had their time."""
    selector = selectors.DefaultSelector()
    waiting, busy, done, start = n, [], [], time.monotonic()
    while waiting or busy:
        while waiting and len(busy) < at_once and time.monotonic() - start >= over * (n - waiting) / n:
            one = Client(space, hosts[waiting % len(hosts)])
            selector.register(one.socket, selectors.EVENT_WRITE, one)
            busy.append(one)
            waiting -= 1
        for key, _ in selector.select(0.01):
            key.data.step()
            if key.data.sent:
                selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
        for one in [b for b in busy if b.over or time.monotonic() - b.start > timeout]:
            selector.unregister(one.socket)
            one.socket.close()
            busy.remove(one)
            done.append(one)
    return done


def get(space, host, timeout=5.0, **how):
    """The body, or None where there was no connection."""
    one = Client(space, host, **how)
    selector = selectors.DefaultSelector()
    selector.register(one.socket, selectors.EVENT_WRITE, one)
    while not one.over and time.monotonic() - one.start < timeout:
        for key, _ in selector.select(0.2):
            one.step()
            if one.sent:
                selector.modify(one.socket, selectors.EVENT_READ, one)
    one.socket.close()
    return one.body if one.sent and one.got else None


def listener(place, port):
    with inside(place.server.name):
        s = socket.socket(socket.AF_INET6)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::", port))
        s.listen(16)
    s.settimeout(5)
    place.sockets.append(s)
    return s


def connect(place, host, port, **how):
    s = place.client.socket(ADDRESSES[host], socket.SOCK_STREAM)
    s.settimeout(how.get("timeout", 5))
    place.sockets.append(s)
    s.connect((host, port))
    return s


def info(space, port):
    """What ss says of the established connections to a port of this space."""
    return space.run("ss", "-tinoOH", "state", "established", "sport", "=", ":%d" % port)


# ---- handshakes ----


def t_data():
    place = Place()
    place.nginx(BODY)
    place.synproxy()
    for host in ADDRESSES:
        check("%s: 3 MB arrive as they were" % host, get(place.client, host, 20) == BODY)
    counters = Counters(place.server)
    place.stray = counters.reason("in", "synproxy-cookie")
    equal("no segment of theirs was taken for a stranger's", place.stray, 0)
    recv = place.server.run("nstat", "-asz", "TcpExtSyncookiesRecv", "TcpExtSyncookiesSent", "TcpExtSyncookiesFailed")
    said = dict(re.findall(r"TcpExtSyncookies(\w+)\s+(\d+)", recv))
    equal("the stack made both connections of cookies, and sent none itself", said,
          {"Sent": "0", "Recv": "2", "Failed": "0"})
    place.close()


def t_options():
    """What the two ends agree on, as both of them see it."""
    place = Place()
    scale = place.scale()
    place.synproxy()
    port = listener(place, 81)
    with inside(place.client.name), open("/proc/sys/net/ipv4/tcp_rmem") as rmem:
        theirs = max(0, min(14, max(int(rmem.read().split()[2]), 0).bit_length() - 1 - 15))
    rows = (
        # what the client does not offer         in ss of the server: wanted, and not
        ({}, ["ts", "sack", "wscale:%d,%d" % (theirs, scale)], []),
        ({"tcp_sack": 0}, ["ts", "wscale:%d,%d" % (theirs, scale)], ["sack"]),
        ({"tcp_window_scaling": 0}, ["ts", "sack"], ["wscale"]),
        ({"tcp_timestamps": 0}, [], ["ts", "sack", "wscale"]),
    )
    for host in ADDRESSES:
        for unset, wanted, unwanted in rows:
            for key, value in unset.items():
                place.client.sysctl("ipv4/" + key, value)
            near = connect(place, host, 81)
            far, _ = port.accept()
            far.sendall(b"x" * 1000)
            words = info(place.server, 81).split()
            mirror = place.client.run("ss", "-tinoOH", "state", "established", "dport", "=", ":81").split()
            what = "%s without %s" % (host, ", ".join(unset) or "nothing")
            check(what + ": what the server kept", all(w in words for w in wanted) and
                  not any(w.partition(":")[0] in unwanted for w in words), (words, wanted, unwanted))
            flipped = [re.sub(r"wscale:(\d+),(\d+)", r"wscale:\2,\1", w) for w in wanted]
            check(what + ": and the client, the same", all(w in mirror for w in flipped) and
                  not any(w.partition(":")[0] in unwanted for w in mirror), (mirror, flipped, unwanted))
            equal(what + ": bytes", near.recv(1000, socket.MSG_WAITALL), b"x" * 1000)
            near.close()
            far.close()
            for key in unset:
                place.client.sysctl("ipv4/" + key, 1)
            wait(lambda: not info(place.server, 81).strip())
    # The MSS that the client says is in the cookie, as one of a few.
    near = place.client.socket(socket.AF_INET, socket.SOCK_STREAM)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 700)
    near.settimeout(5)
    place.sockets.append(near)
    near.connect(("192.0.2.2", 81))
    far, _ = port.accept()
    mss = int(re.search(r" mss:(\d+)", info(place.server, 81))[1])
    check("a small MSS is kept, rounded down", 500 <= mss <= 536, mss)
    far.close()
    place.close()


def t_plain():
    """Without `timestamp` it works with every tcp_timestamps, and keeps the MSS alone."""
    place = Place(timestamps=1)
    place.nginx(BODY)
    port = listener(place, 81)
    for value in (1, 0, 2):
        place.server.sysctl("ipv4/tcp_timestamps", value)
        place.synproxy("mss 1400" if value else "")
        for host in ADDRESSES:
            check("tcp_timestamps=%d, %s: 3 MB arrive" % (value, host), get(place.client, host, 20) == BODY)
    place.synproxy("mss 1400")
    connect(place, "192.0.2.2", 81)
    far, _ = port.accept()
    words = place.client.run("ss", "-tinoOH", "state", "established", "dport", "=", ":81").split()
    check("the client knows the MSS and no more", "mss:1400" in words and
          not any(w.startswith(("wscale", "ts", "sack")) for w in words), words)
    far.close()
    place.close()


def t_generic():
    place = Place()
    place.nginx()
    place.apply("synproxy " + FULL % place.scale(), generic="generic")
    for host in ADDRESSES:
        check("%s in generic mode" % host, get(place.client, host) == SMALL)
    place.close()


# ---- what is not a handshake ----


def t_strangers():
    place = Place()
    place.nginx()
    place.synproxy()
    tap = Tap(place.server, "s0", "02:00:00:00:00:77")
    wire = place.client.wire("c0")
    for kind, addresses in (("tcp", ("192.0.2.77", "192.0.2.2")), ("tcp", ("2001:db8::77", "2001:db8::2"))):
        for flags in ("A", "PA", "FA", "R", "RA", "F", "SA", "SF", ""):
            wire.send(frame(kind, *addresses, dport=80, flags=flags, src="02:00:00:00:00:77"), 3)
    strangers = lambda: Counters(place.server).reason("in", "synproxy-cookie") + Counters(place.server).rule("in.rules:6")
    check("54 segments without a flow are dropped", wait(lambda: strangers() == 54), strangers())
    equal("none of them reached the host", tap.read(), 0)
    wire.send(frame("tcp", "192.0.2.77", "192.0.2.2", dport=80, src="02:00:00:00:00:77"), 1000)
    check("1000 SYNs match the rule", wait(lambda: Counters(place.server).rule("in.rules:8") >= 1000))
    equal("and none of them reached the host", tap.read(), 0)
    check("a real client still connects", get(place.client, "192.0.2.2") == SMALL)
    place.close()


def t_closed_port():
    place = Place()
    place.synproxy()
    try:
        answer = connect(place, "192.0.2.2", 82).recv(1)
    except ConnectionResetError:
        answer = "reset"
    equal("nobody listens: the handshake ends, then comes the stack's reset", answer, "reset")
    place.close()


def t_again():
    """The same port at once, while the server's end is in TIME_WAIT: the SYN goes to the stack, which knows."""
    place = Place()
    place.nginx()
    place.synproxy()
    for host in ADDRESSES:
        for again in range(3):
            check("%s from port 5555, time %d" % (host, again + 1), get(place.client, host, bind=5555) == SMALL)
    before = Counters(place.server).rule("in.rules:8")
    place.server.weir("apply", place.file("in.rules", RULES % {"verdict": "drop", "generic": ""}), expect=0)
    equal("without the rule there is nothing", get(place.client, "192.0.2.2", 1), None)
    check("(which had work before)", before > 0)
    place.close()


# ---- what the host must allow ----


def t_settings():
    place = Place(syncookies=1)
    verdict = "synproxy " + FULL % place.scale()
    for key, value, name in (("tcp_syncookies", 1, "synproxy"), ("tcp_syncookies", 0, "synproxy"),
                             ("tcp_timestamps", 1, "synproxy timestamp"), ("tcp_timestamps", 0, "synproxy timestamp"),
                             ("tcp_sack", 0, "synproxy sack-perm"), ("tcp_window_scaling", 0, "synproxy wscale")):
        right = 2 if key in ("tcp_syncookies", "tcp_timestamps") else 1
        place.server.sysctl("ipv4/tcp_syncookies", 2)
        place.server.sysctl("ipv4/" + key, value)
        ran = place.apply(verdict, expect=None)
        check("%s=%d is refused, with what to set" % (key, value), ran.code == 3 and
              "'%s' needs net.ipv4.%s = %d" % (name, key, right) in ran.err and
              "sysctl -w net.ipv4.%s=%d" % (key, right) in ran.err, ran)
        if key == "tcp_syncookies":
            check("doctor says so", "net.ipv4.tcp_syncookies is %d here" % value in place.server.weir("doctor").out)
        place.server.sysctl("ipv4/" + key, right)
    check("doctor names the host's window scale", "`wscale` is %d" % place.scale() in place.server.weir("doctor").out)
    other = place.scale() - 1
    ran = place.apply("synproxy " + FULL % other)
    check("another window scale is a warning", "by %d, not by %d" % (place.scale(), other) in ran.err, ran)
    ran = place.apply(verdict)
    equal("and the right one is none", ran.err, "")
    port = listener(place, 81)
    place.server.sysctl("ipv4/tcp_syncookies", 1)
    try:
        connect(place, "192.0.2.2", 81).recv(1)
        said = "connected"
    except ConnectionResetError:
        said = "reset"
    except TimeoutError:
        said = "nothing"
    equal("with tcp_syncookies=1 a listener that had no cookies of late refuses", said, "reset")
    port.close()
    place.close()


# ---- the flood ----


def flooded(place, what, n, timeout):
    """How many of n clients got their bytes while the flood went on."""
    with Flood(place.client, "c0") as flood:
        time.sleep(1)  # until the listener's queue is full, if it ever gets there
        done = clients(place.client, list(ADDRESSES), n, timeout, SECONDS)
    right = sum(c.body == SMALL for c in done)
    took = sorted(c.took for c in done if c.took is not None) or [float("nan")]
    print("      %-34s %7.0f SYNs/s: %4d of %d connections, median %.0f ms, slowest %.0f ms"
          % (what, flood.rate, right, n, took[len(took) // 2] * 1e3, took[-1] * 1e3))
    return right, flood


def t_flood():
    if os.cpu_count() < 2:
        skip("needs two CPUs")
    place = Place()
    place.nginx()
    few = max(20, N // 10)

    place.synproxy()
    equal("without a flood", sum(c.body == SMALL for c in clients(place.client, list(ADDRESSES), few)), few)
    before = Counters(place.server).rule("in.rules:8")
    right, flood = flooded(place, "synproxy", N, 20)
    equal("synproxy: every connection of a real client succeeds", right, N)
    seen = Counters(place.server).rule("in.rules:8") - before
    check("the flood was one: %d SYNs met the rule" % seen, seen > 50_000 and flood.rate > 20_000)

    place.apply("accept")
    place.server.sysctl("ipv4/tcp_syncookies", 0)
    right, flood = flooded(place, "accept, tcp_syncookies=0", few, 3)
    check("accept without SYN cookies: %d of %d" % (right, few), right < few // 2)
    place.server.sysctl("ipv4/tcp_syncookies", 1)
    flooded(place, "accept, tcp_syncookies=1 (default)", few, 10)
    place.server.sysctl("ipv4/tcp_syncookies", 2)
    place.close()


main()
