#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""make demo, second part: who may ask for a machine's credentials.

      cloud  169.254.169.254, fd00:ec2::254    what a cloud puts beside each machine: whoever asks it is answered
        |
       host  weir judges each connect() by the user who makes it, and each packet by the owner of its socket
        |
       box   like a container: a network of its own behind the host

Everything lives in network namespaces and cgroups of this run and is gone at the end, also after an interrupt.
"""
import os
import subprocess
import sys
import time

from guarded import ENDPOINT, ENDPOINT6, PORT, GuardedWorld, routed_box
from lab import WEIR, wait

APP, GUEST = 47001, 47002  # users that have no name
RULES = """guard metadata {
	endpoint %s:%d token aws, [%s]:%d token aws
	allow user root
	allow user %d token required path "/latest/meta-data/"
	audit all
}
""" % (ENDPOINT, PORT, ENDPOINT6, PORT, APP)
URL = "http://%s/latest/meta-data/"
TOKEN = ["-H", "X-aws-ec2-metadata-token: AQAEAL1mb2c=="]
WIDTH = 112


class Demo:
    def __init__(self):
        self.world = GuardedWorld()
        self.box = routed_box(self.world)
        self.shown = self.wrong = 0

    def asked(self, uid, options, space=None):
        """(what came of it, seconds)"""
        into = os.path.join(self.world.guarded, "cgroup.procs")
        command = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "curl", "-sS", "-g", "--max-time", "3",
                   "-o", "/dev/null", "-w", "%{http_code} %{time_total}", *options]
        where = (space or self.world.host).enter("sh", "-c", 'echo $$ >"$0" && exec "$@"', into, *command)
        done = subprocess.run(where, capture_output=True, text=True)
        status, seconds = done.stdout.split()
        if status == "200":
            return "answered", float(seconds)
        for words, outcome in (("refused", "refused"), ("reset", "reset"), ("timed out", "nothing"), ("Could", "refused")):
            if words in done.stderr:
                return outcome, float(seconds)
        return done.stderr.strip() or status, float(seconds)

    def row(self, who, what, expected, uid, *options, space=None):
        outcome, seconds = self.asked(uid, options, space)
        good = outcome in expected
        self.shown += 1
        self.wrong += not good
        print("%-22s %-52s %-10s %7.1f ms%s" % (who, what, outcome, seconds * 1e3, "" if good else "   <-- NOT AS EXPECTED"),
              flush=True)


def events(world):
    """A `weir watch` that runs, and what it says."""
    out = open(os.path.join(world.dir, "events"), "w+")
    child = world.host.popen(WEIR, "--bpffs", world.root, "watch", stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    return child, out


def main():
    began = time.monotonic()
    print("\n" + __doc__.split("\n\n", 1)[1].rsplit("\n\n", 1)[0] + "\n")
    demo = Demo()
    world, box = demo.world, demo.box.space
    print("without a guard:")
    demo.row("guest", "GET /latest/meta-data/", ("answered",), GUEST, URL % ENDPOINT)
    demo.row("root in the box", "the same", ("answered",), 0, URL % ENDPOINT, space=box)
    print("\n" + RULES)
    ran = world.apply(RULES, expect=None)
    print("$ weir apply\n" + (ran.out + ran.err).rstrip(), flush=True)
    if ran.code:
        sys.exit(1)
    child, said = events(world)
    time.sleep(0.5)  # nothing says when it listens; what it misses is not counted below
    print("\n%-22s %-52s %-10s %10s\n%s" % ("who", "asks", "gets", "in", "-" * WIDTH))
    demo.row("root", "GET /latest/meta-data/", ("answered",), 0, URL % ENDPOINT)
    demo.row("root", "the same over IPv6", ("answered",), 0, URL % "[%s]" % ENDPOINT6)
    demo.row("app", "the same: any redirect could make it do that", ("reset", "Empty"), APP, URL % ENDPOINT)
    demo.row("app", "PUT for a token", ("answered",), APP, "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60",
             "http://%s/latest/api/token" % ENDPOINT)
    demo.row("app", "GET with the token", ("answered",), APP, *TOKEN, URL % ENDPOINT)
    demo.row("app", "GET with the token, another path", ("reset",), APP, *TOKEN, "http://%s/latest/user-data" % ENDPOINT)
    demo.row("guest", "GET", ("refused",), GUEST, URL % ENDPOINT)
    demo.row("guest", "GET with a token", ("refused",), GUEST, *TOKEN, URL % ENDPOINT)
    demo.row("guest", "GET over IPv6", ("refused",), GUEST, URL % "[%s]" % ENDPOINT6)
    demo.row("root in the box", "GET", ("reset", "refused"), 0, URL % ENDPOINT, space=box)
    print("-" * WIDTH)
    wait(lambda: os.fstat(said.fileno()).st_size, 2)
    child.terminate()
    child.wait(5)
    world.children.remove(child)
    said.seek(0)
    print("$ weir watch")
    for line in said.read().splitlines():
        print(line)
    ran = world.host.weir("down")
    left = world.pins()
    print("$ weir down\n" + ran.out.rstrip())
    world.close()
    print("%d of %d as expected; the world is gone again, in %.0f s" % (demo.shown - demo.wrong, demo.shown, time.monotonic() - began))
    sys.exit(0 if not demo.wrong and not ran.code and not left else 1)


main()
