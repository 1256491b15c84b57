#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A guard from its rule file to what users feel: applied, changed, taken down, killed at its work, as devices and cgroups
come and go."""
import json
import os
import random
import re
import subprocess
import time

from guarded import (ALLOWED, CLOUD, DENIED, ENDPOINT, ENDPOINT6, FOLDER, PORT, GuardCounters, GuardedWorld, guard)
from lab import WEIR, check, doomed, equal, main, run, wait

N = int(os.environ.get("N") or 40)
SEED = int(os.environ.get("SEED") or time.time())
ADDRESSES = (ENDPOINT, ENDPOINT6)
CALLS = ("connect4", "connect6", "sendmsg4", "sendmsg6")
QUICK = 0.1  # seconds, at most, until who is denied knows
# A socket that was closed for its owner; one that was reset; one that nobody answers.
ENDED = ("ECONNABORTED", "EDESTADDRREQ", "ECONNRESET", "timeout")
FILTER = "filter plain {\n\thook ingress\n\tdevice h0\n\tdefault accept\n}\n"
HOLD = """
import errno, os, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM if sys.argv[3] == "udp" else socket.SOCK_STREAM)
s.settimeout(3)
if len(sys.argv) > 4:
    os.setuid(int(sys.argv[4]))
s.connect((sys.argv[1], int(sys.argv[2])))
def ask():
    try:
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: endpoint\\r\\n\\r\\n")
        return "answered" if s.recv(65536) else "closed"
    except OSError as error:
        return errno.errorcode.get(error.errno, "timeout")
print(ask(), flush=True)
sys.stdin.readline()
print(ask(), flush=True)
"""


def allow(*uids):
    return guard(*("allow user %d" % uid for uid in uids))


def as_user(world, uid, command, cgroup=None, space=None):
    """The command of that user, in the cgroup whose calls are judged or in another one."""
    into = os.path.join(cgroup or world.guarded, "cgroup.procs")
    return (space or world.host).enter("sh", "-c", 'echo $$ >"$0" && exec setpriv --reuid %d --regid %d --clear-groups "$@"'
                                       % (uid, uid), into, *command)


def curl(world, uid, address, cgroup=None, port=PORT):
    """(answered, seconds)"""
    host = "[%s]" % address if ":" in address else address
    done = subprocess.run(as_user(world, uid, ["curl", "-sS", "-g", "--max-time", "5", "-o", "/dev/null", "-w",
                                               "%{http_code} %{size_download} %{time_total}",
                                               "http://%s:%d/" % (host, port)], cgroup),
                          capture_output=True, text=True)
    status, size, seconds = done.stdout.split()
    if done.returncode and int(size):
        raise RuntimeError("%s bytes came, then: %s" % (size, done.stderr))
    return status == "200", float(seconds)


def answers(world, *uids, cgroup=None):
    """Who is answered, of those users, by both families alike."""
    found = []
    for uid in uids:
        both = {curl(world, uid, address, cgroup)[0] for address in ADDRESSES}
        if both == {True}:
            found.append(uid)
        elif len(both) == 2:
            found.append("%d by one family only" % uid)
    return found


def everywhere(world, *uids):
    """The same, seen by both layers: in the cgroup that calls are judged in, and outside of it."""
    inside, outside = answers(world, *uids), answers(world, *uids, cgroup=world.outside)
    return inside if inside == outside else {"inside": inside, "outside": outside}


def attachments(world):
    """Of guards: the calls, and the devices with how they are attached."""
    found = [a for a in world.host.weir("show", "devices", "--json", expect=0).json["attachments"] if a["guard"] and not a["gone"]]
    return (sorted(a["how"].split()[1] for a in found if a["cgroup"]), sorted(a["device"] for a in found if a["device"]))


class Hold:
    """A connection that somebody keeps open, and asks by when told to. becomes: between socket() and connect()."""

    def __init__(self, world, uid, address, proto="tcp", cgroup=None, becomes=None):
        self.world, self.who = world, "%s of %d to %s" % (proto, uid, address)
        self.child = subprocess.Popen(as_user(world, uid, ["/usr/bin/python3", "-c", HOLD, address, str(PORT), proto,
                                                     *([str(becomes)] if becomes else [])], cgroup),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        world.children.append(self.child)
        self.first = self.child.stdout.readline().strip()

    def again(self):
        out, _ = self.child.communicate("\n", timeout=10)
        self.world.children.remove(self.child)
        return out.strip()


def t_allowed_and_denied():
    world = GuardedWorld()
    equal("before: everybody is answered", everywhere(world, ALLOWED, DENIED, 0), [ALLOWED, DENIED, 0])
    world.apply(allow(ALLOWED))
    for cgroup, where in ((world.guarded, "a call that is judged"), (world.outside, "packets alone")):
        for address in ADDRESSES:
            answered, seconds = curl(world, ALLOWED, address, cgroup)
            check("%s, %s: the allowed user is answered" % (where, address), answered)
            for uid in (DENIED, 0):
                answered, seconds = curl(world, uid, address, cgroup)
                check("%s, %s: user %d is not, and knows at once" % (where, address, uid), not answered and seconds < QUICK,
                      "answered: %s after %.3f s" % (answered, seconds))
    counters = GuardCounters(world)
    equal("calls: allowed and denied are counted", (counters.packets("call", "allow"), counters.packets("call", "deny")), (2, 4))
    equal("and packets that no call stopped", counters.denials("packet"), 4)
    for address, port in ((CLOUD, PORT), (ENDPOINT, PORT + 7), ("[%s]" % ENDPOINT6, PORT + 7)):
        said = subprocess.run(as_user(world, DENIED, ["curl", "-sS", "-g", "http://%s:%d/" % (address, port)]),
                              capture_output=True, text=True).stderr
        check("to %s port %d: it is the other side that refuses" % (address, port), "refused" in said or "connect" in said, said)
    equal("what goes elsewhere is nobody's business", GuardCounters(world).denials_since(counters), {"call": 0, "packet": 0})
    text = world.host.weir("show", "guards", expect=0).out
    for want in ("guard metadata:", "allow user %d" % ALLOWED, "calls    deny:", "packets  deny:", "h0 (", world.guarded):
        check("show guards says '%s'" % want, want in text, text)
    plain = world.host.weir("show", expect=0).out
    check("and so does show", "guard metadata:" in plain, plain)


def t_applied_again_changed_taken_down():
    world = GuardedWorld()
    world.apply(allow(ALLOWED))
    equal("the programs are in place", attachments(world), (sorted(CALLS), ["h0"]))
    pins = world.pins()
    ran = world.host.weir("apply", "-", "--json", stdin=allow(ALLOWED), expect=0)
    check("the same rules again: nothing to do", ran.json["unchanged"], ran)
    ran = world.host.weir("apply", "-", "--json", stdin=allow(DENIED), expect=0)
    check("other rules are not", not ran.json["unchanged"], ran)
    equal("now the other one is answered", everywhere(world, ALLOWED, DENIED), [DENIED])
    equal("and where the programs are stayed", world.pins(), pins)
    world.host.weir("apply", "-", stdin=allow(ALLOWED, DENIED), expect=0)
    equal("both", everywhere(world, ALLOWED, DENIED, 0), [ALLOWED, DENIED])
    world.host.weir("apply", "-", stdin=guard("audit none"), expect=0)
    equal("nobody", everywhere(world, ALLOWED, DENIED, 0), [])
    world.host.weir("down", expect=0)
    equal("everybody, once it is taken down", everywhere(world, ALLOWED, DENIED, 0), [ALLOWED, DENIED, 0])
    out = run("bpftool", "cgroup", "show", world.guarded) + world.host.run("bpftool", "net", "show")
    check("nothing stays attached", "weir" not in out, out)


def t_rules_without_and_with_guards():
    """Programs that know no guards, then such that do, then rules that have none any more."""
    world = GuardedWorld()
    world.apply(FILTER)
    equal("a filter alone: no guard anywhere", attachments(world), ([], []))
    check("nor its maps", not [p for p in world.pins() if "guard" in p], world.pins())
    world.apply(FILTER + allow(ALLOWED))
    equal("with a guard: the right one is answered", everywhere(world, ALLOWED, DENIED, 0), [ALLOWED])
    equal("and the programs are in place", attachments(world), (sorted(CALLS), ["h0"]))
    world.apply(FILTER)
    equal("without it: everybody", everywhere(world, ALLOWED, DENIED), [ALLOWED, DENIED])
    equal("and the programs are gone", attachments(world), ([], []))
    world.apply(FILTER + allow(DENIED))
    equal("and with one again", everywhere(world, ALLOWED, DENIED), [DENIED])
    world.apply("set s {\n\ttype addr\n\tsize 100\n}\n" + FILTER.replace("default", "ip saddr @s drop\n\tdefault") + allow(ALLOWED))
    for n in range(3):
        world.host.weir("set", "add", "s", "198.51.100.%d" % n, expect=0)
        world.host.weir("set", "load", "s", world.file("list", "203.0.113.%d\n" % n), expect=0)
        if not equal("a set that changes takes no guard with it", everywhere(world, ALLOWED, DENIED), [ALLOWED]):
            break


def t_connections_that_are_older():
    world = GuardedWorld()
    holds = {(uid, proto, address): Hold(world, uid, address, proto, cgroup)
             for uid, cgroup in ((ALLOWED, world.guarded), (DENIED, world.guarded), (0, world.outside))
             for proto in ("tcp", "udp") for address in ADDRESSES}
    equal("before: all are answered", {h.first for h in holds.values()}, {"answered"})
    ran = world.host.weir("apply", "--cgroup", world.guarded, "-", "--json", stdin=allow(ALLOWED), expect=0)
    can_close = "no CONFIG" not in world.host.weir("doctor").out
    equal("apply says how many it closed", ran.json["sockets_closed"], 8 if can_close else 0)
    for (uid, proto, address), hold in holds.items():
        got = hold.again()
        if uid == ALLOWED:
            equal("%s: it goes on" % hold.who, got, "answered")
        else:
            check("%s: it has ended" % hold.who, got in ENDED, got)


def t_connections_that_may_be_somebody_elses():
    """Whose group, cgroup or service might be allowed is left to the packets; what another one connected, too."""
    world = GuardedWorld()
    held = [Hold(world, DENIED, address) for address in ADDRESSES]
    ran = world.host.weir("apply", "--cgroup", world.guarded, "-", "--json", stdin=guard("allow group %d" % ALLOWED), expect=0)
    equal("nothing is closed where groups are allowed", ran.json["sockets_closed"], 0)
    for hold in held:
        check("%s: its next packet ends it" % hold.who, hold.again() in ENDED)
    world.apply(allow(ALLOWED, DENIED))
    held = [Hold(world, DENIED, address) for address in ADDRESSES]
    ran = world.host.weir("apply", "-", "--json", stdin=allow(ALLOWED), expect=0)
    equal("who is no longer allowed: closed", ran.json["sockets_closed"], 2)
    for hold in held:
        check("%s: it has ended" % hold.who, hold.again() in ENDED)
    held = [Hold(world, 0, address, becomes=ALLOWED) for address in ADDRESSES]
    equal("root's socket, connected by who is allowed", {h.first for h in held}, {"answered"})
    ran = world.host.weir("apply", "-", "--json", stdin=allow(ALLOWED, DENIED), expect=0)
    equal("is not closed when the rules change", ran.json["sockets_closed"], 0)
    for hold in held:
        equal("%s: it goes on" % hold.who, hold.again(), "answered")


def without_link_header(space, name):
    """Of the kinds of such devices, one that this kernel has."""
    try:
        space.ip("tuntap", "add", name, "mode", "tun")
    except RuntimeError:
        space.ip("link", "add", name, "type", "ipip", "local", "198.51.100.1", "remote", "198.51.100.9")


def t_devices_that_come():
    world = GuardedWorld()
    world.apply(allow(ALLOWED))
    world.veth(world.cloud, "c1", world.host, "h1", ipv6=True)
    without_link_header(world.host, "t1")
    equal("devices that came have no guard yet", attachments(world)[1], ["h0"])
    ran = world.host.weir("apply", "-", "--json", stdin=allow(ALLOWED), expect=0)
    check("so there is something to do", not ran.json["unchanged"] and ran.json["attached"] >= 2, ran)
    equal("now they have", [d for d in attachments(world)[1] if d in ("h0", "h1", "t1")], ["h0", "h1", "t1"])
    kinds = {name: "gdr" if name == "t1" else "gde" for name in ("h0", "h1", "t1")}
    for name, kind in kinds.items():
        check("%s: by its kind of header" % name, [p for p in world.pins() if re.match("links/%s-[a-z]+-%d$" % (
            kind, world.host.ifindex(name)), p)], world.pins())
    gone = [world.host.ifindex(name) for name in ("h1", "t1")]
    world.host.ip("addr", "add", "198.51.100.1/24", "dev", "h1")
    world.cloud.ip("addr", "add", "198.51.100.2/24", "dev", "c1")
    for space, device, way in ((world.host, "h1", "198.51.100.2"), (world.cloud, "c1", "198.51.100.1")):
        space.ip("route", "replace", ENDPOINT if space is world.host else "192.0.2.2", "via", way, "dev", device)
    world.host.ip("route", "flush", "cache")
    equal("and judge what leaves by them", [curl(world, uid, ENDPOINT, world.outside)[0] for uid in (ALLOWED, DENIED)],
          [True, False])
    world.host.ip("link", "del", "h1")
    world.host.ip("link", "del", "t1")
    world.host.weir("apply", "-", stdin=allow(ALLOWED) + "# changed\n", expect=0)
    equal("of those that left nothing stays", [p for p in world.pins() if re.match("links/gd.*-(%d|%d)$" % tuple(gone), p)], [])


def t_devices_that_a_filter_has_too():
    """Both at egress of one device; who came first goes first, or last."""
    world = GuardedWorld()
    egress = "filter out {\n\thook egress\n\tdevice h0\n\tdefault accept\n\tudp dport 7 drop\n}\n"
    clean = world.host.run("tc", "qdisc", "show", "dev", "h0")
    for first, second in ((egress, allow(ALLOWED)), (allow(ALLOWED), egress)):
        world.apply(first)
        world.apply(egress + allow(ALLOWED))
        equal("the guard judges", everywhere(world, ALLOWED, DENIED), [ALLOWED])
        world.apply(second)
        equal("what is left does its work", everywhere(world, ALLOWED, DENIED), [ALLOWED] if "guard" in second else [ALLOWED, DENIED])
        world.apply(egress + allow(DENIED))
        equal("both again", everywhere(world, ALLOWED, DENIED), [DENIED])
        world.host.weir("down", expect=0)
        equal("and nothing stays on the device", world.host.run("tc", "qdisc", "show", "dev", "h0"), clean)


def t_whose_calls():
    world = GuardedWorld()
    ran = world.host.weir("apply", "--cgroup", "/tmp", "-", stdin=allow(ALLOWED))
    check("a folder is no cgroup", ran.code == 1 and "no cgroup of version 2" in ran.err, ran)
    ran = world.host.weir("apply", "--cgroup", world.guarded + "/none", "-", stdin=allow(ALLOWED))
    check("nor is what is not there", ran.code == 1 and "cannot find the cgroup" in ran.err, ran)
    equal("nothing was done", world.pins(), [])
    other = world.cgroup("other.slice")
    world.apply(allow(ALLOWED))
    world.host.weir("apply", "--cgroup", other, "-", stdin=allow(ALLOWED), expect=0)
    where = {a["cgroup"] for a in world.host.weir("show", "devices", "--json").json["attachments"] if a["cgroup"]}
    equal("an apply may move them", where, {other})
    before = GuardCounters(world)
    equal("the right one is answered", everywhere(world, ALLOWED, DENIED), [ALLOWED])
    equal("calls elsewhere are no longer judged", GuardCounters(world).denials_since(before)["call"], 0)
    curl(world, DENIED, ENDPOINT, other)
    equal("those there are", GuardCounters(world).denials_since(before)["call"], 1)
    os.rmdir(other)
    world.cgroups.remove(other)
    ran = world.host.weir("apply", "-", stdin=allow(DENIED))
    check("a cgroup that is gone is an error, not the top", ran.code == 1 and "is gone" in ran.err and "--cgroup" in ran.err, ran)
    os.mkdir(other)
    world.cgroups.append(other)
    ran = world.host.weir("apply", "-", stdin=allow(DENIED))
    check("nor is another one of that name the same", ran.code == 1 and "is gone" in ran.err, ran)
    equal("packets are still judged", answers(world, ALLOWED, DENIED), [ALLOWED])
    world.apply(allow(DENIED))
    equal("and all is well at another one", everywhere(world, ALLOWED, DENIED), [DENIED])


def shape(pins):
    return sorted(re.sub(r"\d+", "#", p) for p in pins)


def t_killed_at_work():
    print("      SEED=%d" % SEED)
    rng = random.Random(SEED)
    world = GuardedWorld()
    files = [world.file("rules%d" % k, allow((ALLOWED, DENIED)[k]) + "# %d\n" % k * k) for k in (0, 1)]
    first = [["apply", "--cgroup", world.guarded, f] for f in files]
    before = time.monotonic()
    world.host.weir(*first[0], expect=0)
    fresh = time.monotonic() - before
    before = time.monotonic()
    world.host.weir(*first[1], expect=0)
    takes, clean, killed, outcomes = time.monotonic() - before, shape(world.pins()), 0, {ALLOWED: 0, DENIED: 0}
    asked = lambda: curl(world, 0, ENDPOINT) if rng.random() < 0.3 else time.sleep(0.001)
    for n in range(max(10, N // 2)):
        if n % 5 == 4:  # from nothing, or through nothing
            killed += doomed(world.host, world.root, ["down"], rng.uniform(0, 0.05), lambda: None)
            world.host.weir("down")
            if world.pins() or everywhere(world, 0) != [0]:
                check("kill %d of a down: the next one takes the rest" % n, False, world.pins())
                return
            killed += doomed(world.host, world.root, first[n % 2], rng.uniform(0, fresh), lambda: None)
            world.host.weir(*first[n % 2], expect=0)
        elif n % 5 == 2:  # from rules without a guard, whose programs know none
            world.host.weir("down", expect=0)
            world.host.weir("apply", "-", stdin=FILTER, expect=0)
            killed += doomed(world.host, world.root, first[n % 2], rng.uniform(0, fresh), lambda: None)
            if everywhere(world, ALLOWED, DENIED, 0) not in ([ALLOWED], [DENIED], [ALLOWED, DENIED, 0]):
                check("kill %d: the guard, or none" % n, False)
                return
            world.host.weir(*first[n % 2], expect=0)
        else:
            killed += doomed(world.host, world.root, first[n % 2], takes * 1.2 * rng.random(), asked)
        found = everywhere(world, ALLOWED, DENIED, 0)
        ran = world.host.weir("show")
        if found not in ([ALLOWED], [DENIED]) or ran.code or shape(world.pins()) != clean:
            check("kill %d: the old rules or the new ones, and the next command tidies up" % n, False,
                  "%s\n%s\nwanted %s\ngot    %s" % (found, ran, clean, shape(world.pins())))
            return
        outcomes[found[0]] += 1
        if everywhere(world, ALLOWED, DENIED, 0) != found:
            check("kill %d: tidying up changes nothing" % n, False)
            return
    check("%d kills while it ran: %s" % (killed, outcomes), killed and all(outcomes.values()), outcomes)


def asker(world, uid, cgroup):
    child = subprocess.Popen(as_user(world, uid, ["/usr/bin/python3", os.path.join(FOLDER, "asker.py"), str(PORT), *ADDRESSES],
                                     cgroup), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    world.children.append(child)
    child.stdout.readline()
    return child


def t_applies_under_traffic():
    """Steady traffic of an allowed and a denied user, in the cgroup and outside of it, while rules change in all ways."""
    world = GuardedWorld()
    others = [allow(ALLOWED), allow(0, ALLOWED), guard("allow group 47009", "allow user %d" % ALLOWED),
              FILTER + allow(ALLOWED), allow(ALLOWED) + guard("allow user 0", name="more").replace(ENDPOINT, "198.51.100.9")
              .replace(ENDPOINT6, "2001:db8:9::9")]
    world.apply(others[0])
    askers = {(uid, where): asker(world, uid, cgroup)
              for uid in (ALLOWED, DENIED) for where, cgroup in (("inside", world.guarded), ("outside", world.outside))}
    rng, counts = random.Random(SEED), [0, 0]
    for n in range(N):
        counts[0] += 1
        world.host.weir("apply", "-", stdin=others[n % len(others)] + "# %d\n" % n, expect=0)
        if n % 10 == 9:  # larger programs: they replace those that run
            counts[1] += 1
            world.host.weir("apply", "-", stdin="flows {\n\tsize %d\n}\n" % (70000 << min(n // 10, 4)) + FILTER.replace(
                "default", "ct state established accept\n\tdefault") + allow(ALLOWED), expect=0)
        time.sleep(rng.uniform(0, 0.02))
    counted = {(c["layer"], c["outcome"]): c["packets"] for c in GuardCounters(world).counters() if c["packets"]}
    for (uid, where), child in askers.items():
        out, _ = child.communicate("", timeout=20)
        world.children.remove(child)
        said = json.loads(out)
        if uid == ALLOWED:
            check("%d applies, %d with larger programs; %s: each of %d requests of the allowed user is answered" %
                  (*counts, where, said["answered"]), said["answered"] > N and not said["refused"], (said, counted))
        else:
            check("%s: none of %d requests of the denied user is" % (where, said["refused"]),
                  said["refused"] > N and not said["answered"] and not said["bytes"], said)


main(limit=120 + 10 * N)
