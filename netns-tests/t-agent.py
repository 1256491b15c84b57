#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The agent: devices that come again get their filters and guards back, it holds nothing up, and nothing needs it."""
import fcntl
import json
import os
import signal
import socket
import subprocess

from frame import HERE, THERE, frame
from guarded import ALLOWED, DENIED, ENDPOINT, GuardedWorld, guard
from lab import WEIR, Counters, check, equal, main, pair_world, wait

RULES = """
filter edge { hook ingress tc; device g0; default accept
    udp dport 9 counter nine drop
}
filter out { hook egress; device g0; default accept
    udp sport 9 counter sent drop
}
filter fast { hook ingress; device g0; default accept
    udp dport 7 counter seven drop
}
"""
LONG = "3600"  # seconds: what happens does not happen by the clock


class Agent:
    """The agent of a namespace, ready; `events`: what it said so far."""

    def __init__(self, space, *words, env=None):
        self.events, self.rest = [], ""
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = os.path.join(space.world.dir, "notify-%d" % id(self))
        self.notes.bind(self.path)
        self.notes.settimeout(20)
        self.child = space.popen(WEIR, "--bpffs", space.world.root, "agent", "--json", *words, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=dict(os.environ, NOTIFY_SOCKET=self.path, **(env or {})))
        os.set_blocking(self.child.stdout.fileno(), False)
        self.world = space.world
        while self.note() != "READY=1\n":
            pass

    def note(self):
        return self.notes.recv(4096).decode()

    def read(self):
        try:
            self.rest += (os.read(self.child.stdout.fileno(), 65536) or b"").decode()
        except BlockingIOError:
            pass
        *lines, self.rest = self.rest.split("\n")
        self.events += [json.loads(line) for line in lines]
        return self.events

    def said(self, event, n=1, timeout=10):
        return wait(lambda: len([e for e in self.read() if e["event"] == event]) >= n, timeout)

    def stop(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        code = self.child.wait(10)
        self.world.children.remove(self.child)
        self.notes.close()
        return code


def judged(wire, guard_space):
    """Do all filters of g0 judge?"""
    before = Counters(guard_space, part="counters")
    for port in (9, 7):
        wire.send(frame("udp", "10.0.0.2", "10.0.0.1", dport=port), 3)

    def counted():
        now = Counters(guard_space, part="counters")
        return all(now.named(name) - before.named(name) == 3 for name in ("nine", "seven"))

    return wait(counted, 3)


def attached(space):
    found = space.weir("show", "devices", "--json", expect=0).json["attachments"]
    return sorted((a["device"], a["hook"], a["guard"]) for a in found if a["device"] and not a["gone"])


def again(world, wire_space, guard_space):
    """g0 with its cable, made anew."""
    world.veth(wire_space, "w0", guard_space, "g0", mac_a=THERE, mac_b=HERE)
    return wire_space.wire("w0")


def t_device_made_anew():
    world, wire_space, guard_space = pair_world()
    guard_space.weir("apply", world.file("edge.rules", RULES), expect=0)
    wire = wire_space.wire("w0")
    check("before: g0 is judged", judged(wire, guard_space))
    want = attached(guard_space)
    guard_space.ip("link", "del", "g0")
    wire = again(world, wire_space, guard_space)
    check("without the agent it has no filter any more", not judged(wire, guard_space))
    agent = Agent(guard_space, "--interval", LONG)
    check("the agent finds it when it begins", agent.said("agent.refresh") and judged(wire, guard_space), agent.events)
    equal("all that was lost", attached(guard_space), want)
    for n in range(3):
        guard_space.ip("link", "del", "g0")
        check("it left: that is noticed", wait(lambda: attached(guard_space) == []))
        wire = again(world, wire_space, guard_space)
        check("it came again: judged", wait(lambda: attached(guard_space) == want) and judged(wire, guard_space), agent.read())
    equal("what is not there is no trouble", [e for e in agent.read() if e["event"] == "agent.trouble"], [])
    shown = guard_space.weir("show", "--json", expect=0).json
    equal("the rules are those of the file", [os.path.basename(shown["file"]), len(shown["filters"])], ["edge.rules", 3])
    ran = guard_space.weir("plan", world.file("edge.rules", RULES))
    equal("and plan finds no difference", ran.code, 0)
    equal("SIGTERM ends it", agent.stop(), 0)
    check("which changes nothing", attached(guard_space) == want and judged(wire, guard_space))


def t_sets_and_tests_stay():
    """What was done to sets, and tests that only their first contents pass."""
    world, wire_space, guard_space = pair_world()
    rules = """set blocked { type addr; file "list" }
set mine { type iface; g0 }
filter edge { hook ingress tc; device g0; default accept
    saddr @blocked counter hit drop
    iif @mine udp dport 7 counter dev drop
}
test "blocked from the start" {
    packet udp 10.0.0.9:40000 > 10.0.0.1:53
    expect drop by edge:4
}
"""
    world.file("list", "10.0.0.9\n")
    guard_space.weir("apply", world.file("sets.rules", rules), expect=0)
    guard_space.weir("set", "del", "blocked", "10.0.0.9", expect=0)
    guard_space.weir("set", "add", "blocked", "10.0.0.2", expect=0)
    agent = Agent(guard_space, "--interval", LONG)
    guard_space.ip("link", "del", "g0")
    wire = again(world, wire_space, guard_space)
    check("g0 has its filter again", wait(lambda: len(attached(guard_space)) == 1), agent.read())
    equal("the set is as it was changed", guard_space.weir("set", "list", "blocked", expect=0).out.split(), ["10.0.0.2"])
    wire.send(frame("udp", "10.0.0.2", "10.0.0.1", dport=53), 2)
    check("and judges", wait(lambda: Counters(guard_space).named("hit") == 2))
    wire.send(frame("udp", "10.0.0.3", "10.0.0.1", dport=7), 2)
    check("a set of devices has the new one", wait(lambda: Counters(guard_space).named("dev") == 2))
    agent.stop()


def t_killed():
    world, wire_space, guard_space = pair_world()
    guard_space.weir("apply", world.file("edge.rules", RULES), expect=0)
    wire = wire_space.wire("w0")
    agent = Agent(guard_space, "--interval", "1")
    want, pins = attached(guard_space), world.pins()
    agent.stop(signal.SIGKILL)
    check("killed: the rules hold", attached(guard_space) == want and world.pins() == pins and judged(wire, guard_space))


def t_holds_nothing_up():
    world, wire_space, guard_space = pair_world()
    agent = Agent(guard_space, "--interval", LONG)
    check("it begins with nothing loaded", not [e for e in agent.read() if e["event"] == "agent.trouble"], agent.events)
    guard_space.weir("apply", world.file("edge.rules", RULES), expect=0)
    fd = os.open(world.root, os.O_RDONLY)

    def is_free():
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(fd, fcntl.LOCK_UN)
            return True
        except BlockingIOError:
            return False

    check("while it waits the lock is free", wait(is_free) and all(is_free() for _ in range(200)))

    def held():
        folder = "/proc/%d/fd" % agent.child.pid
        return [each for each in map(os.path.realpath, (os.path.join(folder, number) for number in os.listdir(folder))) if "bpf" in each]

    check("nor has it anything of BPF open", wait(lambda: not held()), held())
    os.close(fd)
    guard_space.weir("down", expect=0)
    guard_space.weir("apply", world.file("edge.rules", RULES), expect=0)
    equal("down and apply go on beside it", len(attached(guard_space)), 3)
    equal("it ends well", agent.stop(), 0)


def t_signals_and_interval():
    world, wire_space, guard_space = pair_world()
    guard_space.weir("apply", world.file("edge.rules", RULES), expect=0)
    for words, how in ((("--interval", LONG), "SIGHUP"), (("--interval", "1"), "the interval")):
        agent = Agent(guard_space, *words)
        want = attached(guard_space)
        name = next(p for p in world.pins() if p.startswith("links/tci-"))
        # Nobody is told that a program went: only a look finds it.
        os.unlink(os.path.join(world.root, name))
        guard_space.run("tc", "filter", "del", "dev", "g0", "ingress", expect=None)
        check("%s: it is gone" % how, len(attached(guard_space)) < len(want) or how != "SIGHUP")
        if how == "SIGHUP":
            agent.child.send_signal(signal.SIGHUP)
        check("%s: found, and put back" % how, wait(lambda: attached(guard_space) == want, 10), agent.read())
        notes = []
        agent.child.send_signal(signal.SIGTERM)
        while not notes or notes[-1] != "STOPPING=1\n":
            notes.append(agent.note())
        check("%s: the service manager is told the end" % how, notes[-1] == "STOPPING=1\n", notes)
        agent.stop(0)
    for words in (("--interval", "0"), ("--interval", "1h"), ("--interval", "99999"), ("now",)):
        equal("weir agent %s" % " ".join(words), guard_space.weir("agent", *words).code, 2)


def t_trouble():
    """What cannot be done is said once, and that it can be again."""
    world, wire_space, guard_space = pair_world()
    guard_space.weir("apply", world.file("edge.rules", RULES), expect=0)
    agent = Agent(guard_space, "--interval", "1")
    os.chmod(os.path.join(world.root, "links"), 0o755)
    check("trouble is said", agent.said("agent.trouble"), agent.events)
    agent.child.send_signal(signal.SIGHUP)
    agent.child.send_signal(signal.SIGHUP)
    os.chmod(os.path.join(world.root, "links"), 0o700)
    check("and its end", agent.said("agent.well"), agent.events)
    equal("each once", [e["event"] for e in agent.read() if e["event"] != "agent.refresh"], ["agent.start", "agent.trouble", "agent.well"])
    agent.stop()


def t_guards():
    """A device that a guard has not seen, and users that get another number."""
    world = GuardedWorld()
    world.apply(guard("allow user %d" % ALLOWED))
    agent = Agent(world.host, "--interval", LONG)
    want = attached(world.host)
    world.host.ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    check("a new device gets the guards' programs", wait(lambda: ("d0", "tc-egress", True) in attached(world.host)), agent.read())
    world.host.ip("link", "del", "d0")
    check("that it left is noticed", wait(lambda: attached(world.host) == want), agent.read())
    for way, uid, answered in (("tcp", ALLOWED, True), ("tcp", DENIED, False)):
        got = subprocess.run(world.host.enter("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "curl", "-sS",
                                              "-g", "--max-time", "3", "http://%s/" % ENDPOINT), capture_output=True)
        equal("user %d" % uid, got.returncode == 0, answered)
    agent.stop()


main()
