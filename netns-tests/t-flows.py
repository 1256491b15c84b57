#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""`weir flow` and `weir show`: what real packets leave in the flow table, picked by words, and ended.

    wire ns:  w0  <---- cable ---->  g0  :guard ns
    10.0.0.2 fd00::2      10.0.0.1 fd00::1, weir
"""
import json
import socket
import subprocess
import time

from frame import frame
from lab import WEIR, Counters, check, equal, main, pair_world, wait

US, THEM, US6, THEM6 = "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"
NOBODY, NOBODY6 = "10.0.0.99", "fd00::99"
HOOKS = ("ingress", "ingress tc")
RULES = """filter edge { hook HOOK; device g0; default drop
    ether type arp accept
    ct state { established, related } accept
    ct state invalid counter bad drop
    ct state untracked icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    tcp dport { 80, 81 } accept
    udp dport { 53, 54 } accept
    sctp dport 5000 accept
    icmp type echo-request accept
    icmpv6 type echo-request accept
}
"""
NO_STATE = "filter edge { hook ingress; device g0; default accept\n    tcp dport 22 drop\n}\n"
KEYS = ["proto", "family", "src", "dst", "sport", "dport", "state", "replied", "assured", "liberal", "expires_ms"]


class Host:
    def __init__(self, rules=RULES, hook="ingress", apply=True):
        self.world, self.wire, self.guard = pair_world()
        for space, device, four, six in ((self.wire, "w0", THEM, THEM6), (self.guard, "g0", US, US6)):
            space.sysctl("ipv6/conf/%s/disable_ipv6" % device, 0)
            space.ip("addr", "add", four + "/24", "dev", device)
            space.ip("addr", "add", six + "/64", "dev", device, "nodad")
        self.listener = self.guard.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.listener.bind(("::", 80))
        self.listener.listen()
        self.open = [self.listener]
        self.raw = self.wire.wire("w0")
        self.rules = rules.replace("HOOK", hook)
        if apply:
            self.apply()

    def apply(self, text=None):
        return self.guard.weir("apply", self.world.file("edge.rules", text or self.rules), expect=0)

    def connect(self, address=US, port=80):
        """A connection of the wire's: its socket there, and the one here."""
        client = self.wire.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(5)
        client.connect((address, port))
        server, _ = self.listener.accept()
        server.settimeout(5)
        self.open += [client, server]
        return client, server

    def datagrams(self, space, address, port=0):
        s = space.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(5)
        s.bind((address, port))
        self.open.append(s)
        return s

    def flows(self, words=""):
        return self.guard.weir("flow", "list", *words.split(), "--json", expect=0).json["flows"]

    def one(self, what, words, timeout=5, **want):
        """The only flow of the words has these members, soon."""
        def has():
            flows = self.flows(words)
            return len(flows) == 1 and all(flows[0].get(k) == v for k, v in want.items()) and flows[0]

        found = wait(has, timeout)
        check(what, found, "" if found else self.flows(words))
        return found or {}

    def stays(self, what, flow, seconds):
        check("%s: %d s" % (what, seconds), (seconds - 15) * 1000 < flow.get("expires_ms", -1) <= seconds * 1000, flow)


# ---- what packets leave ----


def t_tcp():
    for hook in HOOKS:
        host = Host(hook=hook)
        for us, them, family in ((US, THEM, "ipv4"), (US6, THEM6, "ipv6")):
            what = "%s, %s" % (hook, family)
            client, server = host.connect(us)
            port = client.getsockname()[1]
            client.send(b"question")
            server.recv(100)
            server.send(b"answer")
            client.recv(100)
            found = host.one("%s: a connection" % what, "sport %d" % port, proto="tcp", family=family, src=them, dst=us,
                             sport=port, dport=80, state="established", replied=True, assured=True, liberal=False)
            equal("%s: its members in their order" % what, list(found), KEYS)
            host.stays("%s: established" % what, found, 432000)
            client.shutdown(socket.SHUT_WR)
            host.stays("%s: close_wait" % what, host.one("%s: one side has closed" % what, "sport %d" % port,
                                                        state="close_wait"), 60)
            server.close()
            host.stays("%s: time_wait" % what, host.one("%s: both have" % what, "sport %d" % port, state="time_wait"), 120)
            refused = host.wire.socket(socket.AF_INET6 if family == "ipv6" else socket.AF_INET, socket.SOCK_STREAM)
            check("%s: a port where nobody listens" % what, refused.connect_ex((us, 81)), "it answered")
            host.stays("%s: close" % what, host.one("%s: is reset" % what, "dport 81 family " + family, state="close",
                                                   replied=True), 10)
        host.raw.send(frame("tcp", THEM, NOBODY, dport=80))
        found = host.one("%s: nobody is there" % hook, "dst " + NOBODY, state="syn_sent", replied=False, assured=False)
        host.stays("%s: syn_sent" % hook, found, 120)
        # The other way: nobody wrote a filter for what leaves.
        theirs = host.wire.socket(socket.AF_INET, socket.SOCK_STREAM)
        theirs.bind((THEM, 7000))
        theirs.listen()
        ours = host.guard.socket(socket.AF_INET, socket.SOCK_STREAM)
        ours.settimeout(5)
        ours.connect((THEM, 7000))
        host.one("%s: a connection of the host's own" % hook, "dport 7000", src=US, dst=THEM, state="established",
                 assured=True)


def t_others():
    for hook in HOOKS:
        host = Host(hook=hook)
        for us, them, family in ((US, THEM, "ipv4"), (US6, THEM6, "ipv6")):
            what = "%s, %s" % (hook, family)
            words = "proto udp dport 53 family " + family
            here, there = host.datagrams(host.guard, us, 53), host.datagrams(host.wire, them)
            there.sendto(b"question", (us, 53))
            _, peer = here.recvfrom(100)
            host.stays("%s: unreplied" % what, host.one("%s: a question" % what, words, state="unreplied", replied=False,
                                                       src=them, dst=us, sport=peer[1]), 30)
            here.sendto(b"answer", peer)
            there.recv(100)
            host.stays("%s: replied" % what, host.one("%s: and an answer" % what, words, state="replied", replied=True,
                                                     assured=False), 120)
            there.sendto(b"more", (us, 53))
            here.recv(100)
            host.one("%s: and more" % what, words, state="replied", assured=True)
            kind, icmp = ("icmp", (8, 0)) if family == "ipv4" else ("icmpv6", (128, 0))
            host.raw.send(frame(kind, them, us, icmp=icmp))
            found = host.one("%s: an echo" % what, "proto " + kind, src=them, dst=us, state="replied",
                             type="echo-request", id=7, sport=None, dport=None)
            host.stays("%s: echo" % what, found, 30)
        host.raw.send(frame("sctp", THEM, NOBODY, dport=5000))
        host.one("%s: sctp has ports" % hook, "proto sctp", sport=40000, dport=5000, state="unreplied")


def t_older_than_the_rules():
    host = Host(apply=False)
    client, server = host.connect()
    host.apply()
    server.send(b"still here")
    client.recv(100)
    client.send(b"me too")
    server.recv(100)
    host.one("a connection that is older than the rules", "proto tcp", src=US, sport=80, state="established", liberal=True)
    check("its line says so", " liberal " in host.guard.weir("flow", "list", "proto", "tcp").out)


# ---- words ----


def strangers(host):
    """Flows that stay as they are, since nobody answers."""
    for kind, src, dst, more in (
            ("tcp", THEM, NOBODY, {"sport": 1000, "dport": 80}), ("tcp", "10.0.0.66", NOBODY, {"sport": 1001, "dport": 81}),
            ("tcp", THEM6, NOBODY6, {"sport": 1000, "dport": 80}), ("udp", THEM, NOBODY, {"sport": 1000, "dport": 53}),
            ("udp", THEM6, NOBODY6, {"sport": 2000, "dport": 54}), ("sctp", THEM, NOBODY, {"sport": 1000, "dport": 5000}),
            ("icmp", THEM, NOBODY, {})):
        host.raw.send(frame(kind, src, dst, **more))
    check("seven flows", wait(lambda: len(host.flows("dst %s,%s" % (NOBODY, NOBODY6))) == 7), host.flows())


def t_filters():
    host = Host()
    strangers(host)
    for words, want in (("proto tcp", 3), ("proto 6", 3), ("proto udp", 2), ("proto icmp", 1), ("proto gre", 0),
                        ("proto tcp family ipv6", 1), ("family ipv4", 5), ("src " + THEM, 4), ("src 10.0.0.64/26", 1),
                        ("src 10.0.0.0/24", 5), ("src 10.0.0.1-10.0.0.3", 4), ("src fd00::/64", 2), ("src ::/0", 2),
                        ("src " + NOBODY, 0), ("dst %s src %s" % (NOBODY, THEM), 4), ("sport 1000", 4), ("sport 0", 0),
                        ("dport 80", 2), ("dport http", 2), ("dport 80-81", 3), ("dport 53,80", 3), ("dport 8", 0),
                        ("state syn_sent", 3), ("state unreplied", 4), ("state established", 0),
                        ("state syn_sent dport 80 family ipv4 proto tcp sport 1000 src %s dst %s" % (THEM, NOBODY), 1)):
        words += "" if "dst" in words else " dst %s,%s" % (NOBODY, NOBODY6)  # neighbours may talk, too
        flows = host.flows(words)
        equal("flow list %s" % words, len(flows), want)
        ran = host.guard.weir("flow", "list", *words.split())
        equal("as lines", (ran.code, len(ran.out.splitlines())), (0, want))
    for lists in (("flow", "list"), ("show", "flows"), ("show", "--json", "flows")):
        equal("weir %s" % " ".join(lists), len(host.guard.weir(*lists, "--json", "src", "10.0.0.66").json["flows"]), 1)
    equal("a line", host.guard.weir("show", "flows", "src", "10.0.0.66").out.split(" expires ")[0],
          "tcp 10.0.0.66:1001 -> 10.0.0.99:81 syn_sent")
    equal("a line of IPv6", host.guard.weir("flow", "list", "proto", "udp", "family", "ipv6").out.split(" expires ")[0],
          "udp [fd00::2]:2000 -> [fd00::99]:54 unreplied")
    equal("a line of ICMP", host.guard.weir("flow", "list", "proto", "icmp").out.split(" expires ")[0],
          "icmp 10.0.0.2 -> 10.0.0.99 echo-request id 7 unreplied")


def t_wrong_words():
    host = Host(apply=False)
    # words, exit code, what is said; nothing is loaded yet, which is no reason not to look at them
    table = [("flow list prot tcp", 2, "did you mean 'proto'"), ("flow list tcp", 2, "one of: proto, src, dst"),
             ("flow list proto", 2, "needs a value"), ("flow list src", 2, "needs a value"), ("flow list proto tpc", 2, "tcp"),
             ("flow list src 10.0.0", 2, "not an address"), ("flow list src 10.0.0.1/33", 2, "10.0.0.1/33"),
             ("flow list sport 65536", 2, "65536"), ("flow list dport htpp", 2, "http"), ("flow list dport 80 dport 81", 2, "twice"),
             ("flow list state established state close", 2, "twice"), ("flow list state up", 2, "syn_sent, syn_recv, established"),
             ("flow list state establshed", 2, "did you mean 'established'"), ("flow list family inet", 2, "ipv4"),
             ("flow list src #", 2, "needs a value"), ("flow del", 2, "missing"), ("flow del all proto tcp", 2, "all"),
             ("flow", 2, "list, del"), ("flow ls", 2, "flow list"), ("show flow", 2, "flows"), ("show flows prot tcp", 2, "proto"),
             ("flow list", 1, "nothing is loaded"), ("flow del all", 1, "nothing is loaded")]
    for words, code, said in table:
        ran = host.guard.weir(*words.split())
        check("weir %s: exit %d, %s" % (words, code, said), ran.code == code and said in ran.err and not ran.out, ran)
        ran = host.guard.weir(*words.split(), "--json")
        check("as JSON", ran.code == code and not ran.json["ok"] and ran.json["problems"] and not ran.err, ran)
    host.apply(NO_STATE)
    for words in ("flow list", "flow list proto tcp", "show flows", "flow del all"):
        ran = host.guard.weir(*words.split())
        check("weir %s: says that nothing is tracked" % words, ran.code == 1 and "do not track" in ran.err
              and "ct state" in ran.err, ran)


# ---- del ----


def t_del():
    for hook in HOOKS:
        host = Host(hook=hook)
        strangers(host)
        client, server = host.connect()
        other, other_server = host.connect()
        client.send(b"before")
        server.recv(100)
        equal("%s: none of them" % hook, host.guard.weir("flow", "del", "proto", "gre", "--json", expect=0).json["ended"], 0)
        ran = host.guard.weir("flow", "del", "proto", "tcp", "sport", str(client.getsockname()[1]))
        equal("%s: says how many" % hook, (ran.code, ran.out), (0, "1 flow ended\n"))
        equal("%s: it is no more" % hook, host.flows("sport %d" % client.getsockname()[1]), [])
        client.send(b"after")
        check("%s: its next packet is invalid" % hook, wait(lambda: Counters(host.guard).named("bad")))
        server.setblocking(False)
        try:
            check("%s: and dropped" % hook, False, server.recv(100))
        except BlockingIOError:
            check("%s: and dropped" % hook, True)
        other.send(b"me?")
        equal("%s: another one goes on" % hook, other_server.recv(100), b"me?")
        equal("%s: all of a protocol" % hook,
              host.guard.weir("flow", "del", "proto", "udp", "--json", expect=0).json["ended"], 2)
        left = len(host.flows())
        equal("%s: all" % hook, host.guard.weir("flow", "del", "all", "--json", expect=0).json["ended"], left)
        equal("%s: nothing is left" % hook, host.flows("proto tcp"), [])


# ---- show, check, plan ----


def t_show():
    host = Host()
    strangers(host)
    host.connect()
    shown = host.guard.weir("show", "--json", expect=0).json
    equal("filters that track, and who wrote them", [(f["name"], f["tracks"], f["implied"]) for f in shown["filters"]],
          [("edge", True, False), ("(egress)", True, True)])
    states = shown["flow_table"]["states"]
    equal("flows by state", (states["tcp"]["syn_sent"], states["tcp"]["established"], states["udp"]["unreplied"],
                             states["sctp"]["unreplied"]), (3, 1, 2, 1))
    equal("and all of them", shown["flow_table"]["flows"], sum(n for of in states.values() for n in of.values()))
    equal("the size", (shown["flow_table"]["size"], shown["flow_table"]["evicted"]), (65536, 0))
    equal("what the rules have not", (shown["limits_full"], shown["answers"]), (None, None))
    text = host.guard.weir("show", expect=0).out
    for line in ("filter edge: xdp on g0 (xdp", ", tracks flows\n", "filter (egress): tc-egress on g0 (",
                 "), implied: tracks flows\n", "made for 65536\n", "           3 tcp syn_sent\n"):
        check("show says '%s'" % line.strip(), line in text, text)
    host.apply(NO_STATE)
    shown = host.guard.weir("show", "--json", expect=0).json
    equal("rules without ct state", (shown["flow_table"], [f["tracks"] for f in shown["filters"]]), (None, [False]))
    check("have no line of flows", "flows" not in host.guard.weir("show", expect=0).out)


def t_full():
    host = Host("flows { size 1024; full drop }\n" + RULES)
    for port in range(1, 5001):
        host.raw.send(frame("udp", THEM, NOBODY, sport=port, dport=53))
    check("all are accepted", wait(lambda: Counters(host.guard).rule("edge.rules:8") == 5000))
    table = host.guard.weir("show", "--json", expect=0).json["flow_table"]
    check("no more flows than lines", 1024 <= table["flows"] <= 2048, table)
    check("those that made room are counted", table["evicted"] >= 5000 - 2048, table)
    check("and said", "to make room" in host.guard.weir("show", expect=0).out)


def t_limits_and_answers():
    host = Host("filter edge { hook ingress; device g0; default accept\n"
                "    tcp dport 22 reject with tcp reset\n    udp dport 9 limit rate over 1/second per saddr drop\n}\n")
    host.raw.send(frame("tcp", THEM, US, dport=22))
    check("an answer is counted",
          wait(lambda: (host.guard.weir("show", "--json").json["answers"] or {}).get("sent") == 1),
          host.guard.weir("show", "--json"))
    shown = host.guard.weir("show", "--json", expect=0).json
    equal("limits had room, flows are none", (shown["limits_full"], shown["flow_table"]), (0, None))
    equal("the other answers", (shown["answers"]["limited"], shown["answers"]["refused"]), (0, 0))


def t_check_and_plan():
    host = Host()
    same = host.guard.weir("plan", host.world.file("edge.rules", host.rules))
    equal("the same rules are no change", (same.code, same.out), (0, "nothing would change\n"))
    path = host.world.file("edge.rules", "flows { size 100000; timeout tcp { established 1d } }\n" + host.rules)
    ran = host.guard.weir("plan", path, "--json")
    equal("other flows are", (ran.code, ran.json["flows"], ran.json["filters"]),
          (4, [{"name": "size", "old": "65536", "new": "100000"},
               {"name": "timeout tcp established", "old": "5d", "new": "1d"}], []))
    check("as text", "  +      timeout tcp established 1d\n" in host.guard.weir("plan", path).out)
    checked = host.guard.weir("check", path, "--json", expect=0).json
    equal("check knows their memory", checked["memory"], {"flows": 262144 * 64, "limits": 0, "fragments": 0})
    check("and says it", "room for 100000 in 16384 KiB" in host.guard.weir("check", path).out)
    ran = host.guard.weir("plan", host.world.file("edge.rules", NO_STATE), "--json")
    equal("without ct state nothing is implied",
          [(f["name"], f["change"], f["implied"]) for f in ran.json["filters"]],
          [("(egress)", "removed", True), ("edge", "changed", False)])
    check("and nothing tracked", {"name": "tracks", "old": "flows", "new": None} in ran.json["filters"][1]["properties"], ran)


# ---- large tables ----


def t_large():
    host = Host("flows { size 1000000 }\n" + RULES)
    for third in range(3):
        for port in range(1, 20001):
            host.raw.send(frame("udp", "10.0.0.%d" % (100 + third), NOBODY, sport=port, dport=53))
    # Its reader sleeps: somebody else's command must not wait for that.
    slow = host.guard.popen("env", "WEIR_BPFFS=" + host.world.root, WEIR, "flow", "list", stdout=subprocess.PIPE)
    slow.stdout.read(1)
    for words in ("show", "flow list proto icmp", "flow del sport 1-100", "flow list src 10.0.0.101 sport 20000"):
        begun = time.monotonic()
        ran = host.guard.weir(*words.split())
        took = time.monotonic() - begun
        check("weir %s: %.2f s with 2,097,152 lines" % (words, took), ran.code == 0 and took < 2, ran)
    check("it has not ended", slow.poll() is None)
    slow.stdout.close()
    equal("a reader that leaves is no news", slow.wait(10), 1)
    equal("60,000 flows but 300", len(json.loads(host.guard.weir("flow", "list", "--json", "proto", "udp").out)["flows"]), 59700)


main()
