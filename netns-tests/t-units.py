#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The systemd units: where `make install` puts them, what systemd says of them, and that uninstall leaves nothing."""
import os
import re
import shutil
import socket
import subprocess
import tempfile

from guarded import ALLOWED, DENIED, ENDPOINT, PORT, GuardedWorld, guard
from lab import TOP, WEIR, Ran, check, equal, main
from user import only_families

UNITS = ("weir.service", "weir-agent.service")
EXPOSURE_MOST = 3.0


def make(*words):
    done = subprocess.run(["make", "-C", TOP, *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def files(where):
    return sorted(os.path.relpath(os.path.join(at, f), where) for at, _, names in os.walk(where) for f in names)


def analyze(*words, **env):
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, env=dict(os.environ, **env))
    return done.returncode, done.stdout + done.stderr


def t_install():
    where = tempfile.mkdtemp(prefix="weir-t-")
    try:
        make("install", "PREFIX=" + where)
        units = os.path.join(where, "lib/systemd/system")
        equal("the units are there", sorted(os.listdir(units)), sorted(UNITS))
        for name in UNITS:
            with open(os.path.join(units, name)) as file:
                text = file.read()
            commands = re.findall(r"^Exec\w+=(\S*weir)", text, re.M)
            check("%s runs what was installed" % name, commands and all(os.access(c, os.X_OK) for c in commands), commands)
            if not shutil.which("systemd-analyze"):
                continue
            path = os.path.join(units, name)
            code, out = analyze("verify", path, MANPATH=os.path.join(where, "share/man"))
            check("systemd-analyze verify %s" % name, code == 0 and not out.strip(), out)
            code, out = analyze("security", "--offline=true", path)
            found = re.search(r"Overall exposure level for \S+: ([\d.]+)", out)
            check("systemd-analyze security %s: %s" % (name, found[1] if found else "?"),
                  found and float(found[1]) < EXPOSURE_MOST, out)
        make("uninstall", "PREFIX=" + where)
        equal("uninstall takes it all away", files(where), [])
    finally:
        shutil.rmtree(where)


def t_address_families():
    """Sockets of other families are refused to the units: what they apply must be what anybody would."""
    families = {}
    for name in UNITS:
        with open(os.path.join(TOP, "docs/systemd", name)) as file:
            words = re.search(r"^RestrictAddressFamilies=(.*)$", file.read(), re.M)[1].split()
        families[name] = [getattr(socket, word) for word in words]
    world = GuardedWorld()
    rules = world.file("metadata.rules", guard("allow user %d" % ALLOWED))

    def confined(name, *words):
        done = subprocess.run(world.host.enter(WEIR, "--bpffs", world.root, *words), capture_output=True, text=True,
                              preexec_fn=lambda: only_families(*families[name]))
        return Ran(done.returncode, done.stdout, done.stderr)

    def answered(uid):
        return not subprocess.run(world.host.enter(
            "setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "curl", "-sS", "--max-time", "3",
            "http://%s:%d/" % (ENDPOINT, PORT)), capture_output=True).returncode

    ran = confined("weir.service", "apply", "--cgroup", world.guarded, rules)
    check("apply", ran.code == 0, ran)
    equal("who is answered", [uid for uid in (ALLOWED, DENIED, 0) if answered(uid)], [ALLOWED])
    ran = world.host.weir("apply", rules)
    check("the same, unconfined, is no change", ran.code == 0 and "unchanged" in ran.out, ran)
    child = world.host.popen(WEIR, "--bpffs", world.root, "agent", "--interval", "1", stdout=subprocess.PIPE, text=True,
                             preexec_fn=lambda: only_families(*families["weir-agent.service"]))
    equal("the agent begins", child.stdout.readline().split()[0], "agent.start")
    world.host.ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    equal("and follows", child.stdout.readline().split()[0], "agent.refresh")
    equal("who is answered behind it", [uid for uid in (ALLOWED, DENIED, 0) if answered(uid)], [ALLOWED])


def t_order():
    """What a boot depends on, in the file's own words."""
    with open(os.path.join(TOP, "docs/systemd/weir.service")) as file:
        lines = file.read().splitlines()
    for line in ("Wants=network-pre.target", "DefaultDependencies=no", "RemainAfterExit=yes"):
        check(line, line in lines)
    check("before the network", any(l.startswith("Before=") and "network-pre.target" in l for l in lines))
    check("a stop leaves the rules", not any(l.startswith("ExecStop") for l in lines))


main()
