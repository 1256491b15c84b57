#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""weir watch on the events of log statements: as lines and as JSON, picked, in files, and what is said of those that are lost."""
import json
import os
import signal
import stat
import subprocess
import time

from frame import frame
from lab import WEIR, check, equal, main, pair_world, wait
from watcher import Watcher

RULES = """filter edge { hook ingress; device g0; default accept
    udp dport 53 log prefix "a query" counter queries drop
    udp dport 54 counter last drop
    tcp dport 22 log drop
}
"""
QUERY = frame("udp", "10.0.0.2", "10.0.0.1", dport=53)
LAST = frame("udp", "10.0.0.2", "10.0.0.1", dport=54)
SYN6 = frame("tcp", "fd00::2", "fd00::1", dport=22)


BURST = 20000  # more events than the ring has room for


def watched_world():
    world, wire, guard = pair_world()
    guard.weir("apply", world.file("edge.rules", RULES), expect=0)
    return world, wire.wire("w0"), guard


def counted(guard, name):
    document = guard.weir("show", "counters", "--json", expect=0).json
    return next(each["packets"] for each in document["counters"] if each["name"] == name)


def send(guard, wire, frame_bytes, n=1):
    """And until the last one is through."""
    before = counted(guard, "last")
    wire.send(frame_bytes, n)
    wire.send(LAST)
    check("the frames came", wait(lambda: counted(guard, "last") > before))


def t_events():
    world, wire, guard = watched_world()
    watcher = Watcher(guard)
    check("it reads", watcher.ready())
    before = time.time()
    send(guard, wire, QUERY)
    send(guard, wire, SYN6)
    check("two lines", wait(lambda: len(watcher.lines()) == 2), watcher.lines())
    watcher.end()
    query, syn = watcher.records()
    equal("what is said of a query", {key: query[key] for key in ("event", "hook", "device", "filter", "rule", "prefix", "saddr", "dport",
                                                                "src_addr", "dst_addr", "dst_port", "version")},
          {"event": "filter.log", "hook": "xdp", "device": "g0", "filter": "edge",
           "rule": "edge.rules:2", "prefix": "a query", "saddr": "10.0.0.2", "dport": 53, "src_addr": "10.0.0.2",
           "dst_addr": "10.0.0.1", "dst_port": 53, "version": 4})
    equal("of a SYN", [syn[key] for key in ("rule", "prefix", "proto", "flags", "src_addr", "dst_port", "version")],
          ["edge.rules:4", None, "tcp", "syn", "fd00::2", 22, 6])
    check("its time is in UTC, and now", abs(time.mktime(time.strptime(query["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                                             - before) < 5 and query["time"].endswith("Z"), query["time"])


def t_text_and_filter():
    world, wire, guard = watched_world()
    watcher = Watcher(guard, "dst", "fd00::/8", "dport", "22", json_lines=False)
    check("it reads", watcher.ready())
    send(guard, wire, QUERY)
    send(guard, wire, SYN6)
    check("a line", wait(watcher.lines))
    watcher.end(signal.SIGINT)
    lines = watcher.lines()
    check("of the packet that is meant, and of no other", len(lines) == 1 and " filter.log " in lines[0] and
          " g0 edge edge.rules:4 length " in lines[0] and " daddr fd00::1 " in lines[0] and " dport 22 " in lines[0], lines)


def t_wrong_words():
    world, _, guard = watched_world()
    # words, what is said
    table = [("prgram curl", "did you mean 'program'"), ("nonsense x", "event, guard, filter, verdict"), ("verdict drop", "allow, deny"),
             ("event guard.dney", "did you mean 'guard.deny'"), ("outcome dney", "did you mean 'deny'"), ("user", "needs a value"),
             ("user no-such-user-here", "not a user"), ("dst 10.0.0.1/33", "10.0.0.1/33"), ("pid 1 pid 2", "twice"),
             ("--format jsn", "did you mean 'json'"), ("--format text --json", "contradict"),
             ("--format syslog --output x", "does not go to a file"), ("--rotate 1M", "needs --output"),
             ("--output x --rotate 1", "from 4K"), ("--output x --rotate 1M,0", "no size"), ("--output x --rotate 1M,5x", "no size"),
             ("--output x --rotate 99999999999G", "no size")]
    for words, said in table:
        ran = guard.weir("watch", *words.split())
        check("weir watch %s: %s" % (words, said), ran.code == 2 and (said in ran.err or said in ran.out), ran)
    ran = guard.weir("watch", "--output", world.dir)
    check("a file that cannot be written", ran.code == 1 and "cannot open" in ran.err, ran)
    for form, path in (("syslog", "/dev/log"), ("journal", "/run/systemd/journal/socket")):
        if not os.path.exists(path):
            ran = guard.weir("watch", "--format", form)
            check("no daemon for %s" % form, ran.code == 1 and path in ran.err, ran)


def total(watcher, event="filter.log"):
    """Reported, and counted as lost."""
    records = watcher.records()
    return (sum(each["event"] == event for each in records),
            sum(each["count"] for each in records if each["event"] == "events.lost"))


def t_lost():
    world, wire, guard = watched_world()
    send(guard, wire, QUERY, BURST)
    watcher = Watcher(guard)
    check("what was lost before is but a total", wait(lambda: any(each["event"] == "events.lost" for each in watcher.records())))
    lost = [each for each in watcher.records() if each["event"] == "events.lost"]
    reported = wait(lambda: total(watcher)[0])
    equal("lost of filters", [(each["lost"], each["count"]) for each in lost], [("filter.log", 0)])
    check("what was in the ring and what was lost", wait(lambda: total(watcher)[0] + lost[0]["total"] == BURST), (reported, lost))
    before = total(watcher)[0]
    watcher.tell(signal.SIGSTOP)
    send(guard, wire, QUERY, BURST)
    equal("a reader that stands still changes nothing for packets", counted(guard, "queries"), 2 * BURST)
    watcher.tell(signal.SIGCONT)
    watcher.end()
    now, count = total(watcher)
    check("some were reported", now > before, now)
    equal("the rest was counted", now - before + count, BURST)


def t_reader_killed():
    world, wire, guard = watched_world()
    watcher = Watcher(guard)
    check("it reads", watcher.ready())
    watcher.end(signal.SIGKILL, want=-signal.SIGKILL)
    send(guard, wire, QUERY, 10)
    equal("packets do not care", counted(guard, "queries"), 10)
    watcher = Watcher(guard, name="second")
    check("the next one has them", wait(lambda: len(watcher.records()) == 10), watcher.lines())
    watcher.end()


def t_pipe():
    world, wire, guard = watched_world()
    read, write = os.pipe()
    os.close(read)
    child = guard.popen(WEIR, "--bpffs", world.root, "watch", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    send(guard, wire, QUERY)
    equal("where nobody listens any more it ends, without a word", (child.wait(10), child.stderr.read()), (1, b""))


def t_file():
    world, wire, guard = watched_world()
    path = os.path.join(world.dir, "events.json")
    watcher = Watcher(guard, "--output", path, "--rotate", "4K,3")
    check("it writes", wait(lambda: os.path.exists(path)))
    equal("made for its owner", stat.S_IMODE(os.stat(path).st_mode), 0o600)
    for _ in range(5):
        send(guard, wire, QUERY, 20)
    files = lambda: [path + end for end in ("", ".1", ".2", ".3") if os.path.exists(path + end)]
    check("it rotates", wait(lambda: len(files()) == 4), os.listdir(world.dir))
    check("small ones", wait(lambda: all(0 < os.path.getsize(each) <= 4096 for each in files())), files())
    check("no more", not os.path.exists(path + ".4"))
    os.rename(path, path + ".moved")
    watcher.tell(signal.SIGHUP)
    check("SIGHUP: a new one", wait(lambda: os.path.exists(path)))
    send(guard, wire, SYN6)
    check("with what comes", wait(lambda: os.path.getsize(path)))
    watcher.end()
    with open(path, "a") as cut:
        cut.write('{"cut":')
    watcher = Watcher(guard, "--output", path, name="second")
    check("it reads", watcher.ready())
    send(guard, wire, SYN6)
    check("it appends", wait(lambda: open(path).read().count("filter.log") == 2))
    watcher.end()
    lines = open(path).read().splitlines()
    check("lines are whole, but for the one that was cut", len(lines) == 3 and lines[1] == '{"cut":' and json.loads(lines[0]) and
          json.loads(lines[2]), lines)
    equal("nothing goes elsewhere", watcher.lines(), [])
    os.symlink("/nosuch", path + ".link")
    ran = guard.weir("watch", "--output", path + ".link")
    check("not through a link", ran.code == 1 and "symbolic link" in ran.err, ran)


def t_rules_change():
    """Other rules, a larger instance, no rules, rules again: it goes on."""
    world, wire, guard = watched_world()
    watcher = Watcher(guard)
    check("it reads", watcher.ready())
    seen = 0
    more = "".join("    udp dport %d drop\n" % port for port in range(1000, 1800))
    sets = "set many { type addr; timeout 1d; size 4096 }\n"
    steps = [("moved down", "\n\n" + RULES, "edge.rules:4"),
             ("grown", sets + RULES.replace("}\n", more + "    saddr @many drop\n    ct state new limit rate over 9/second per saddr drop\n}\n"),
              "edge.rules:3")]
    for what, rules, place in steps:
        guard.weir("apply", world.file("edge.rules", rules), expect=0)
        send(guard, wire, QUERY)
        seen += 1
        check("%s: an event more" % what, wait(lambda: len(watcher.records()) == seen), watcher.lines())
        equal("%s: with its place" % what, watcher.records()[-1]["rule"], place)
    guard.weir("down", expect=0)
    guard.weir("apply", world.file("edge.rules", RULES), expect=0)
    check("it reads the new ones", watcher.ready())
    ran = guard.weir("watch")
    check("alone", ran.code == 1 and "another process" in ran.err, ran)
    send(guard, wire, QUERY)
    check("down and up: an event more", wait(lambda: len(watcher.records()) == seen + 1), watcher.lines())
    watcher.end()


main()
