#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""weir watch on guards: who is named, what was lost, never a token, and a reader that stands still holds nobody up.

N=100000 is how many attempts 50 users make.
"""
import json
import os
import signal
import subprocess

from guarded import ALLOWED, DENIED, ENDPOINT, ENDPOINT6, FOLDER, PORT, SEND, GuardCounters, GuardedWorld, guard, ways
from lab import check, equal, main, wait
from watcher import Watcher

USERS = 50
ATTEMPTS = int(os.environ.get("N") or 20000)
FIRST = 48000
SECRET = "SecretSecretSecretSecret0123456789"

RULES = guard("allow user %d" % ALLOWED, "audit all")
REQUESTS = """guard metadata {
    endpoint %s:%d token aws
    allow user %d token required path "/latest/"
    audit all
}
""" % (ENDPOINT, PORT, ALLOWED)


def attempts(world, attempts_of_one):
    out = world.host.run("/usr/bin/python3", os.path.join(FOLDER, "attempts.py"), world.guarded, str(FIRST), str(USERS),
                         str(attempts_of_one), ENDPOINT, str(PORT))
    return json.loads(out)


def by_uid(records):
    """Reported and lost, of each user that was denied."""
    reported, lost = {}, {}
    for each in records:
        if each["event"] == "guard.deny":
            reported[each["euid"]] = reported.get(each["euid"], 0) + 1
        elif each["event"] == "events.lost":
            lost[each["uid"]] = lost.get(each["uid"], 0) + each["count"]
    return reported, lost


def t_who():
    world = GuardedWorld()
    world.apply(RULES)
    watcher = Watcher(world.host)
    check("it reads", watcher.ready())
    for family, address in (("4", ENDPOINT), ("6", ENDPOINT6)):
        for uid, event in ((DENIED, "guard.deny"), (ALLOWED, "guard.allow")):
            before = len(watcher.records())
            world.send(ways()["tcp-connect"], family, "--uid", str(uid)).end()
            check("%s over %s: told" % (event, family), wait(lambda: len(watcher.records()) > before))
            found = [each for each in watcher.records()[before:] if each["layer"] == "call"]
            if not check("a call", len(found) == 1, found):
                continue
            e = found[0]
            equal("who, over " + family, (e["event"], e["guard"], e["uid"], e["euid"], e["program"], e["path"]),
                  (event, "metadata", uid, uid, "send", os.path.realpath(SEND)))
            equal("where", (e["cgroup"], e["netns"]), (world.cgroup_path(world.guarded), netns_of(world.host)))
            equal("what", (e["dst_addr"], e["dst_port"], e["version"], e["proto"], e["verdict"]),
                  (address, PORT, int(family), "tcp", event.split(".")[1]))
            equal("by which line", e["rule"].split(":")[-1], "3" if uid == ALLOWED else "1")
    watcher.end()


def t_container():
    """Its number is longer than a name in an event."""
    world = GuardedWorld()
    number = "0123456789abcdef" * 4
    inside = world.cgroup("guarded.slice/docker-%s.scope" % number)
    world.apply(RULES)
    watcher = Watcher(world.host, "container", number[:12], "verdict", "deny")
    check("it reads", watcher.ready())
    for cgroup in (world.guarded, inside):
        world.send(ways()["tcp-connect"], "4", "--uid", str(DENIED), "--cgroup", cgroup).end()
    check("told", wait(watcher.lines))
    watcher.end()
    equal("the one that is in it", [(e["container_id"], e["service"], e["cgroup"]) for e in watcher.records()],
          [(number, "docker-%s.scope" % number, world.cgroup_path(inside))])


def netns_of(space):
    return os.stat("/run/netns/" + space.name).st_ino


def t_all_of_them():
    """Each attempt is reported or counted as lost, by identity."""
    world = GuardedWorld()
    world.apply(RULES)
    watcher = Watcher(world.host)
    check("it reads", watcher.ready())
    done = attempts(world, ATTEMPTS // USERS)
    equal("all are refused", sum(done["refused"].values()), ATTEMPTS)
    watcher.end()
    reported, lost = by_uid(watcher.records())
    print("      %d attempts in %.2f s, %.0f a second: %d reported, %d lost" % (ATTEMPTS, done["seconds"], ATTEMPTS / done["seconds"],
                                                                            sum(reported.values()), sum(lost.values())))
    equal("reported and lost", sum(reported.values()) + sum(lost.values()), ATTEMPTS)
    wrong = [uid for uid in range(FIRST, FIRST + USERS) if reported.get(uid, 0) + lost.get(uid, 0) != ATTEMPTS // USERS]
    equal("of each user", (wrong, lost.get(None)), ([], None))
    check("each is reported at least once", all(reported.get(uid) for uid in range(FIRST, FIRST + USERS)), reported)
    before = len(watcher.lines())
    watcher = Watcher(world.host, name="second")
    records = lambda: [each for each in watcher.records() if each["event"] == "events.lost"]
    check("the next one begins with what was lost before", wait(lambda: len(records()) >= USERS), before)
    equal("as totals", (sum(each["count"] for each in records()), sum(each["total"] for each in records())),
          (0, sum(lost.values())))
    watcher.end()


def t_reader_stands_still():
    """In turns, so that what else the machine does meets all of them; the best turn of each counts."""
    world = GuardedWorld()
    world.apply(RULES)
    rates = {}

    def turn(state):
        before = GuardCounters(world)
        done = attempts(world, ATTEMPTS // USERS)
        refused, counted = sum(done["refused"].values()), GuardCounters(world).denials_since(before)["call"]
        equal("all are refused and counted while the reader " + state, (refused, counted), (ATTEMPTS, ATTEMPTS))
        rates[state] = max(rates.get(state, 0), ATTEMPTS / done["seconds"])

    for number in range(6):
        watcher = Watcher(world.host, name="watch%d" % number)
        check("it reads", watcher.ready())
        turn("reads")
        watcher.tell(signal.SIGSTOP)
        turn("stands still")
        watcher.end(signal.SIGKILL, want=-signal.SIGKILL)
        turn("is gone")
        if min(rates["stands still"], rates["is gone"]) > rates["reads"] / 2:
            break
    print("      attempts a second while the reader " + ", ".join("%s: %.0f" % each for each in rates.items()))
    check("nobody is held up", min(rates["stands still"], rates["is gone"]) > rates["reads"] / 2, rates)


def ask(world, uid, *headers, path="/latest/meta-data/", method="GET"):
    """A request of a process that has the token in its arguments, too."""
    request = "%s %s HTTP/1.1\\r\\nHost: x\\r\\n%s\\r\\n" % (method, path, "".join(each + "\\r\\n" for each in headers))
    script = "import socket,sys,os\nos.setgroups([]); os.setresgid(%d,%d,%d); os.setresuid(%d,%d,%d)\n" % ((uid,) * 6)
    script += "s=socket.create_connection((%r,%d),3)\ns.sendall(b'%s')\ntry: print(len(s.recv(999)))\nexcept OSError as e: print(e)\n" % (
        ENDPOINT, PORT, request)
    command = "echo 0 >%s/cgroup.procs; exec /usr/bin/python3 -c \"$0\" %s" % (world.guarded, SECRET)
    return subprocess.run(world.host.enter("/bin/sh", "-c", command, script), capture_output=True, text=True).stdout


def t_no_token():
    world = GuardedWorld()
    world.apply(REQUESTS)
    watcher = Watcher(world.host)
    check("it reads", watcher.ready())
    header = "X-aws-ec2-metadata-token: " + SECRET
    # headers and path, what comes of it
    table = [((header,), "/latest/meta-data/", "request"), ((), "/latest/meta-data/?token=" + SECRET, "no-token"),
             ((header,), "/other/?" + SECRET, "path"), ((header, "Broken " + SECRET), "/latest/", "bad-request"),
             ((header,), "/latest/user-data?" + SECRET, "request")]
    for headers, where, outcome in table:
        ask(world, ALLOWED, *headers, path=where)
        check("%s: %s" % (where.replace(SECRET, "..."), outcome),
              wait(lambda: any(each.get("outcome") == outcome for each in watcher.records())), watcher.lines()[-2:])
    ask(world, DENIED, header, path="/" + SECRET)
    watcher.end()
    requests = [each for each in watcher.records() if each.get("method")]
    check("methods and paths", {"/latest/meta-data/", "/other/"} <= {each["request_path"] for each in requests}, requests)
    check("no token anywhere", SECRET not in "\n".join(watcher.lines()))


main()
