#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""make demo: a small world, guarded by rules/edge.rules.

      client                      attacker
      10.77.0.2  fd77::2          10.77.0.66  fd77::66
          |                           |
          +------- the street --------+       a bridge in a namespace of its own
                       |
                     edge0                     weir judges here, in XDP, before the server's kernel sees a frame
                     server  10.77.0.1  fd77::1
                     nginx on port 80, something that answers like ssh on port 22

Everything lives in network namespaces of this machine and is gone at the end, also after an interrupt.
"""
import os
import socket
import sys
import threading
import time

from frame import frame
from lab import TOP, Counters, Tap, Wire, World, curl, nginx, wait

RULES = os.path.join(TOP, "rules", "edge.rules")
CLIENT, ATTACKER, EDGE = "02:00:00:00:00:02", "02:00:00:00:00:66", "02:00:00:00:00:01"
SERVER4, SERVER6 = "10.77.0.1", "fd77::1"
OFFICE = "10.77.0.10"       # a second address of the client
LISTED = "203.0.113.66"
N = 10


class Demo:
    def __init__(self):
        world = self.world = World()
        self.client, self.attacker = world.space("client"), world.space("attacker")
        street, self.server = world.space("street"), world.space("server")
        street.ip("link", "add", "street", "type", "bridge")
        for space, port, device, mac in ((self.client, "p1", "eth0", CLIENT), (self.attacker, "p2", "eth0", ATTACKER),
                                         (self.server, "p3", "edge0", EDGE)):
            world.veth(space, device, street, port, mac_a=mac, ipv6=True)
            street.ip("link", "set", port, "master", "street")
        street.ip("link", "set", "street", "up")
        for words in ("iptables", "ip6tables", "arptables"):  # a switch does not look into IP
            street.sysctl("bridge/bridge-nf-call-" + words, 0)
        for space, device, host in ((self.client, "eth0", "2"), (self.attacker, "eth0", "66"), (self.server, "edge0", "1")):
            space.ip("addr", "add", "10.77.0.%s/24" % host, "dev", device)
            space.ip("addr", "add", "fd77::%s/64" % host, "dev", device, "nodad")
        self.client.ip("addr", "add", OFFICE + "/32", "dev", "eth0")
        self.taps = {mac: Tap(self.server, "edge0", mac, name) for mac, name in ((CLIENT, "client"), (ATTACKER, "attacker"))}
        self.wires = {CLIENT: Wire(self.client, "eth0"), ATTACKER: Wire(self.attacker, "eth0")}
        nginx(self.server, world, listen=("80", "[::]:80"))
        self.ssh = self.server.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.ssh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.ssh.bind(("0.0.0.0", 22))
        self.ssh.listen(16)
        threading.Thread(target=self.answer, daemon=True).start()
        self.wrong = self.shown = 0

    def answer(self):
        while True:
            try:
                connection, _ = self.ssh.accept()
            except OSError:
                return
            connection.sendall(b"SSH-2.0-demo\r\n")
            connection.close()

    # ---- ways of sending; each returns how many of how many arrived ----

    def http(self, address):
        answers = sum("weir lets you in" in curl(self.client, "http://%s/" % address)[1] for _ in range(N))
        return N, answers

    def ssh_from(self, address):
        answers = 0
        for _ in range(3):
            with self.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
                s.settimeout(1)
                try:
                    s.bind((address, 0))
                    s.connect((SERVER4, 22))
                    answers += s.recv(20).startswith(b"SSH")
                except OSError:
                    pass
        return 3, answers

    def raw(self, source, data):
        tap = self.taps[source]
        before, expected = tap.read(), Counters(self.server)
        self.wires[source].send(data, N)
        wait(lambda: tap.read() - before >= N or sum(d for d, *_ in deciders(expected, Counters(self.server))) >= N, 2)
        return N, tap.read() - before

    # ---- the table ----

    def row(self, what, passes, how):
        before = Counters(self.server)
        sent, arrived = how()
        counted, place, text = max(deciders(before, Counters(self.server)), default=(0, "nothing", ""))
        good = arrived == (sent if passes else 0) and counted >= sent
        self.wrong += not good
        self.shown += 1
        print("%-44s %4d %8d   %-14s %5d  %s%s" % (what, sent, arrived, place, counted, text, "" if good else "   <-- NOT AS EXPECTED"),
              flush=True)


def deciders(before, after):
    """(packets, place, text) of each rule, default and reason that took packets in between."""
    found = []
    for old, new in zip(before.document["filters"], after.document["filters"]):
        for a, b in zip(old["rules"], new["rules"]):
            found.append(((b["packets"] or 0) - (a["packets"] or 0), "%s:%d" % (b["file"], b["line"]), b["text"]))
        for name, b in new["reasons"].items():
            if name not in ("rule", "unbound"):
                text = {"default": "default " + new["default"]["verdict"], "fragment": "fragments " + new["fragments"]["verdict"]}
                found.append((b["packets"] - old["reasons"][name]["packets"], new["name"],
                              text.get(name, "malformed %s: %s" % (new["malformed"]["verdict"], name))))
    return [f for f in found if f[0] > 0]


def main():
    if not os.path.exists(RULES):
        sys.exit("no " + RULES)
    began = time.monotonic()
    print(__doc__.split("\n\n", 1)[1].rsplit("\n\n", 1)[0] + "\n")
    demo = Demo()
    print("$ weir apply rules/edge.rules")
    ran = demo.server.weir("apply", RULES)
    print(ran.out.rstrip() or ran.err.rstrip(), flush=True)
    if ran.code:
        sys.exit(1)
    tcp = dict(saddr="10.77.0.2", daddr=SERVER4, src=CLIENT, dst=EDGE)
    bad = dict(saddr="10.77.0.66", daddr=SERVER4, src=ATTACKER, dst=EDGE)
    print("\n%-44s %4s %8s   %-14s %5s  %s" % ("what was sent to the server", "sent", "arrived", "decided by", "times", "which says"))
    print("-" * 118)
    demo.row("web page, IPv4, real nginx", True, lambda: demo.http(SERVER4))
    demo.row("web page, IPv6", True, lambda: demo.http("[%s]" % SERVER6))
    demo.row("ping", True, lambda: demo.raw(CLIENT, frame("icmp", **tcp)))
    demo.row("ssh from the office, a real connection", True, lambda: demo.ssh_from(OFFICE))
    demo.row("ssh from anywhere else", False, lambda: demo.raw(CLIENT, frame("tcp", dport=22, **tcp)))
    demo.row("ssh over IPv6", False, lambda: demo.raw(CLIENT, frame("tcp", "fd77::2", SERVER6, dport=22, src=CLIENT, dst=EDGE)))
    demo.row("ssh hidden behind a VLAN tag", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=22, tags=[(0x8100, 5)], **bad)))
    demo.row("ssh behind two tags (QinQ)", False,
             lambda: demo.raw(ATTACKER, frame("tcp", dport=22, tags=[(0x88A8, 5), (0x8100, 6)], **bad)))
    demo.row("ssh behind IPv4 options", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=22, options=b"\1" * 8, **bad)))
    demo.row("a web request from a listed address", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, **{**bad, "saddr": LISTED})))
    demo.row("a spoofed source: the server's own", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, **{**bad, "saddr": SERVER4})))
    demo.row("a spoofed source: loopback", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, **{**bad, "saddr": "127.0.0.1"})))
    demo.row("a scan with SYN and FIN", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, flags="SF", **bad)))
    demo.row("SNMP, which nobody allowed", False, lambda: demo.raw(ATTACKER, frame("udp", dport=161, **bad)))
    demo.row("an IPv4 header that says four words", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, ihl=4, **bad)))
    demo.row("a length beyond the frame", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, total=900, **bad)))
    demo.row("a frame that ends inside a header", False, lambda: demo.raw(ATTACKER, frame("tcp", dport=80, cut=30, **bad)))
    demo.row("a first fragment of ssh", False,
             lambda: demo.raw(ATTACKER, frame("tcp", dport=22, frag=0x2000, payload=b"x" * 20, **bad)))
    demo.row("a later fragment", False, lambda: demo.raw(ATTACKER, frame("raw", proto=6, frag=185, payload=b"x" * 40, **bad)))
    print("-" * 118)
    ran = demo.server.weir("down")
    left = demo.world.pins()
    print("$ weir down\n" + ran.out.rstrip())
    demo.ssh.close()
    demo.world.close()
    good = not demo.wrong and not ran.code and not left
    print("%d of %d as expected; the world is gone again, in %.0f s" % (demo.shown - demo.wrong, demo.shown, time.monotonic() - began))
    sys.exit(0 if good else 1)


main()
