#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""learn: what is seen becomes rules; under these the same goes on, something new does not, and `watch --baseline` tells it.

    far:  f0 192.0.2.1 2001:db8::1  <---- cable ---->  h0 192.0.2.2 2001:db8::2  :host

weir looks on in host, at a cgroup of our own that all of host is in. far answers HTTP on 8080 and 8081, and DNS.
"""
import json
import os
import pwd
import signal
import stat
import subprocess
import sys

from lab import WEIR, Space, World, check, curl, equal, main, nginx, wait

FAR, FAR6, HOST, HOST6 = "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"
NOBODY = pwd.getpwnam("nobody").pw_uid

DNS = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 53))
while True:
    query, address = server.recvfrom(512)
    server.sendto(query[:2] + b"\\x81\\x80" + query[4:], address)
"""

# As dig does: a socket that is connected, or not, and the answer's number.
ASK = """
import os, socket, struct, sys
to, way = sys.argv[1:3]
os.setuid(%d)
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
query = struct.pack("!6H", 4711, 0x100, 1, 0, 0, 0) + b"\\1a\\0" + struct.pack("!2H", 1, 1)
if way == "connected":
    s.connect((to, 53))
    s.send(query)
elif way == "sent":
    s.sendto(query, (to, 53))
else:
    s.connect((to, 4444))  # and nothing is sent
    sys.exit(0)
sys.exit(s.recv(512)[:2] != query[:2])
""" % NOBODY

PING = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(1)
s.sendto(b"\\x08\\x00\\xf7\\xff\\0\\0\\0\\0", (sys.argv[1], 0))
s.recv(100)
"""


class Member(Space):
    """All of its commands run in a cgroup."""

    def __init__(self, world, role, cgroup):
        self.cgroup = cgroup
        super().__init__(world, role)

    def enter(self, *command):
        return ["sh", "-c", 'echo 0 >"$0"/cgroup.procs; exec "$@"', self.cgroup, *super().enter(*command)]


class LearnWorld(World):
    def __init__(self):
        super().__init__()
        self.cgroup_dir = self.cgroup("learn")
        self.far, self.host = self.space("far"), self.space("host", Member, self.cgroup_dir)
        self.veth(self.far, "f0", self.host, "h0", ipv6=True)
        for space, device, four, six in ((self.far, "f0", FAR, FAR6), (self.host, "h0", HOST, HOST6)):
            space.ip("addr", "add", four + "/24", "dev", device)
            space.ip("addr", "add", six + "/64", "dev", device, "nodad")
        nginx(self.far, self, listen=("8080", "[::]:8080", "8081", "80"))
        self.far.popen("/usr/bin/python3", "-c", DNS)
        wait(lambda: "0035 " in self.far.run("cat", "/proc/net/udp6"))
        self.web = nginx(self.host, self, listen=("80", "[::]:80"))
        self.rules = os.path.join(self.dir, "learned.rules")

    def python(self, text, *words):
        return self.host.run("/usr/bin/python3", "-c", text, *words, expect=None) == ""

    def traffic(self):
        """What host does all day: by name, whether it went well."""
        return {
            "curl": curl(self.host, "http://%s:8080/" % FAR)[0] == 0,
            "curl over IPv6": curl(self.host, "http://[%s]:8080/" % FAR6)[0] == 0,
            "nginx": curl(self.far, "http://%s/" % HOST)[0] == 0,
            "nginx over IPv6": curl(self.far, "http://[%s]/" % HOST6)[0] == 0,
            "dns": self.python(ASK, FAR, "sent"),
            "dns over IPv6, connected": self.python(ASK, FAR6, "connected"),
            "ping": self.python(PING, FAR),
        }

    def start(self, *words, **how):
        child = self.host.popen(WEIR, *words, "--bpffs", self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **how)
        return child

    def learn(self, during, *words):
        """The command's exit code and what it said."""
        child = self.start("learn", "--for", "1h", "--out", self.rules, "--cgroup", self.cgroup_dir, *words)
        first = child.stdout.readline()
        during()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        self.children.remove(child)
        return child.returncode, first + out, err

    def watch(self, during):
        """The departures that `watch` tells, as pairs of what counts."""
        child = self.start("watch", "--json", "--baseline", self.rules, "--cgroup", self.cgroup_dir)
        attached = wait(lambda: "learn_connect4" in subprocess.run(
            ["bpftool", "cgroup", "show", self.cgroup_dir], capture_output=True, text=True).stdout)
        check("watch is there", attached)
        during()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        self.children.remove(child)
        equal("watch ends well", (child.returncode, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]


def short(event):
    return (event["event"], event["direction"], event["euid"], event["path"], event["proto"],
            event["src_addr"] or event["dst_addr"], event["dst_port"])


def rule_lines(path):
    with open(path) as rules:
        return [line.strip() for line in rules if " comment " in line or "skuid" in line]


def t_learn_apply_alarm():
    world = LearnWorld()
    before = world.traffic()
    equal("all of it works", [n for n, good in before.items() if not good], [])

    def day():
        world.traffic()
        world.python(ASK, FAR, "nothing")

    code, out, err = world.learn(day)
    check("learn ends well", code == 0 and not err, "%s\n%s\n%s" % (code, out, err))
    equal("the file is its owner's alone", stat.S_IMODE(os.stat(world.rules).st_mode), 0o600)
    python = os.path.realpath("/usr/bin/python3")
    equal("the rules", rule_lines(world.rules), [
        'tcp dport 80 saddr { %s, %s } accept comment "by %s"' % (FAR, FAR6, os.path.realpath("/usr/sbin/nginx")),
        "meta skuid root meta l4proto icmp daddr %s accept" % FAR,
        'meta skuid root tcp dport 8080 daddr { %s, %s } accept comment "by %s"' % (FAR, FAR6, os.path.realpath("/usr/bin/curl")),
        'meta skuid nobody udp dport 53 daddr { %s, %s } accept comment "by %s"' % (FAR, FAR6, python)])
    ran = world.host.weir("check", world.rules)
    check("check takes them", ran.code == 0 and not ran.err, ran)
    equal("nothing of it stays", sorted(n for n in os.listdir(world.dir) if n.startswith("learned")), ["learned.rules"])
    check("nor in the kernel", "learn_" not in subprocess.run(["bpftool", "cgroup", "show", world.cgroup_dir],
                                                              capture_output=True, text=True).stdout)

    ran = world.host.weir("apply", world.rules)
    check("apply takes them", ran.code == 0, ran)
    equal("both filters drop by default", [f["default"]["verdict"] for f in world.host.weir("show", "--json").json["filters"]],
          ["drop", "drop"])
    code = {}

    def usual():
        code["usual"] = world.traffic()

    def unusual():
        code["port"] = curl(world.host, "http://%s:8081/" % FAR, timeout=1)[0]
        code["again"] = curl(world.host, "http://%s:8081/" % FAR, timeout=1)[0]

    equal("what was learned is no departure", [short(e) for e in world.watch(usual)], [])
    equal("and goes on", [n for n, good in code["usual"].items() if not good], [])
    equal("a new destination is told, once", [short(e) for e in world.watch(unusual)],
          [("baseline.departure", "out", 0, os.path.realpath("/usr/bin/curl"), "tcp", FAR, 8081)])
    equal("and does not work", (code["port"], code["again"]), (28, 28))


def t_baseline_without_rules():
    world = LearnWorld()
    world.learn(world.traffic)

    def serve(port):
        world.host.popen("/usr/bin/python3", "-m", "http.server", "--bind", "::", str(port), stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, cwd=world.dir)
        wait(lambda: curl(world.far, "http://%s:%d/" % (HOST, port))[0] == 0)

    def departures():
        serve(81)
        world.web.terminate()
        world.web.wait()
        serve(80)
        # the same program and port, another user; then another program of that user
        world.host.run("setpriv", "--reuid", "nobody", "curl", "-s", "-o", "/dev/null", "http://%s:8080/" % FAR)
        world.python("import socket; socket.create_connection(('%s', 8080))" % FAR)

    python = os.path.realpath("/usr/bin/python3")
    equal("a server that is new, one in place of another, a user, a program",
          sorted(map(short, world.watch(departures)), key=str), [
        ("baseline.departure", "in", 0, python, "tcp", FAR, 80),
        ("baseline.departure", "in", 0, python, "tcp", FAR, 81),
        ("baseline.departure", "out", 0, python, "tcp", FAR, 8080),
        ("baseline.departure", "out", NOBODY, os.path.realpath("/usr/bin/curl"), "tcp", FAR, 8080)])
    ran = world.host.weir("watch", "--cgroup", world.cgroup_dir)
    check("a cgroup alone says nothing to watch", ran.code == 2 and "--baseline" in ran.err, ran)
    ran = world.host.weir("watch", "--baseline", world.file("broken", "filter {\n"))
    check("nor does a broken file", ran.code == 3 and "broken:1" in ran.err, ran)


def t_what_was_there_before():
    world = LearnWorld()
    # connections in both directions that are older than learn
    with_curl = world.host.popen("curl", "-s", "telnet://%s:8080" % FAR, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    from_far = world.far.popen("curl", "-s", "telnet://%s:80" % HOST, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait(lambda: world.host.run("cat", "/proc/net/tcp").count(" 01 ") >= 2)
    world.learn(lambda: None)
    equal("they have rules", rule_lines(world.rules), [
        'tcp dport 80 saddr %s accept comment "by %s"' % (FAR, os.path.realpath("/usr/sbin/nginx")),
        'meta skuid root tcp dport 8080 daddr %s accept comment "by %s"' % (FAR, os.path.realpath("/usr/bin/curl"))])
    for child in (with_curl, from_far):
        child.terminate()


def t_files_and_words():
    world = LearnWorld()
    code, _, err = world.learn(lambda: None)
    equal("nothing was seen", (code, err), (0, ""))
    with open(world.rules) as rules:
        old = rules.read()
    ran = world.host.weir("learn", "--for", "1s", "--out", world.rules)
    check("a file that is there stays", ran.code == 1 and "--force" in ran.err, ran)
    with open(world.rules) as rules:
        equal("as it was", rules.read(), old)
    world.learn(world.traffic, "--force", "--device", "eth0,eth1", "--widen", "0")
    with open(world.rules) as rules:
        check("--force replaces it, --device names devices", 'device "eth0", "eth1"' in rules.read())
    target = os.path.join(world.dir, "target")
    os.symlink(target, os.path.join(world.dir, "link"))
    ran = world.host.weir("learn", "--for", "200ms", "--out", os.path.join(world.dir, "link"), "--cgroup", world.cgroup_dir)
    check("a link is not followed", ran.code == 1 and not os.path.exists(target), ran)
    ran = world.host.weir("learn", "--for", "200ms", "--out", "-", "--cgroup", world.cgroup_dir)
    check("to standard output", ran.code == 0 and ran.out.startswith("#") and "filter learned-out" in ran.out, ran)
    ran = world.host.weir("learn", "--for", "200ms", "--out", world.dir + "/json.rules", "--json", "--cgroup", world.cgroup_dir)
    check("JSON", ran.code == 0 and ran.json["ok"] and ran.json["talks"] == 0 and ran.json["lost"] == 0, ran)
    for words, code in (("--for never", 2), ("--for 0s", 2), ("--for 32d", 2), ("--for 1s --widen 1", 2),
                        ("--for 1s --widen x", 2), ("--for 1s --device eth0,", 0), ("--for 1s --device ,", 2),
                        ("--for 1s --cgroup /proc", 1), ("--for 1s --cgroup /nosuch", 1)):
        out = os.path.join(world.dir, "words.rules")
        if code == 0:
            words += " --cgroup " + world.cgroup_dir
        ran = world.host.weir("learn", *words.split(), "--out", out)
        check("learn %s: exit %d" % (words, code), ran.code == code and (code == 0 or ran.err), ran)


main()
