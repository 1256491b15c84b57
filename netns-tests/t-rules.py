#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Each rule file that a user may copy: it checks without a warning, its own tests pass, and it applies."""
import glob
import os
import re

from lab import TOP, World, check, equal, main


def t_rule_files():
    files = sorted(glob.glob(os.path.join(TOP, "rules", "*.rules")))
    check("there are rule files", files)
    for path in files:
        name = os.path.basename(path)
        world = World()
        host, far = world.space("host"), world.space("far")
        ran = host.weir("check", path)
        check("%s: checks without a warning" % name, ran.code == 0 and "warning" not in ran.err, ran)
        ran = host.weir("test", path)
        check("%s: its own tests pass" % name, ran.code == 0, ran)
        with open(path) as text:
            body = re.sub(r"#.*", "", text.read())
        guards = re.search(r"^\s*guard\s", body, re.M)
        if not guards or re.search(r"^\s*filter\s", body, re.M):  # tests are of filters
            check("%s: it has tests" % name, re.search(r"^\s*test\s+\"", body, re.M))
        ran = host.weir("plan", "--offline", "--json", path)
        devices = set()
        for words in re.findall(r"\b(?:device|redirect|iif|oif)\s+([^;\n]+)", body) + re.findall(r"^\s*define\s+\w+\s*=\s*\{?([^}\n]+)", body, re.M):
            devices |= set(re.findall(r"\b[a-z]+\d\b", words))
        for n, device in enumerate(sorted(devices)):
            world.veth(far, "far%d" % n, host, device)
        # Guards of a test judge nobody but whom it starts.
        ran = host.weir("apply", *(["--cgroup", world.cgroup("rules")] if guards else []), path)
        check("%s: applies (devices %s)" % (name, " ".join(sorted(devices)) or "none"), ran.code == 0, ran)
        equal("%s: plan sees no difference then" % name, host.weir("plan", path).code, 0)
        equal("%s: down" % name, host.weir("down").code, 0)
        world.close()


main()
