# SPDX-License-Identifier: GPL-2.0
"""Does weir decide as the rules say? Every header of a ClassBench trace, the frames as the generator writes them, through
`weir explain` on the loaded rules, and beside it an oracle that tries one rule after the other."""
import ipaddress
import json
import os
import struct
import subprocess

import lab
import ruleset
from measure import BUILD, DRIVE


def pack(rule):
    def net(prefix):
        if not prefix:
            return 0, 0
        parsed = ipaddress.ip_network(prefix)
        return int(parsed.network_address), int(parsed.netmask)

    value, mask = rule.flags or (0, 0)
    return struct.pack("4I5H2B", *net(rule.saddr), *net(rule.daddr), *rule.sport, *rule.dport,
                       256 if rule.proto is None else rule.proto, value, mask)


def oracle(rules, flows_path, directory):
    """Per flow the number of its rule, or -1."""
    path = os.path.join(directory, "oracle-rules")
    with open(path, "wb") as out:
        out.write(b"".join(pack(rule) for rule in rules))
    done = subprocess.run([os.path.join(BUILD, "oracle"), path, flows_path], capture_output=True, check=True, text=True)
    return [int(line) for line in done.stdout.split()]


def explained(space, capture):
    """Per packet of a capture (verdict, line of the rule or None)."""
    command = space.enter(lab.WEIR, "explain", "--json", "--device", "w0", "--hook", "xdp", capture)
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, WEIR_BPFFS=space.world.root))
    for line in done.stdout.splitlines():
        said = json.loads(line)
        yield said["verdict"], int(said["rule"].rsplit(":", 1)[1]) if said["rule"] else None


def compare(bed, case):
    """{packets, mismatches, first}; bed: of quick.py."""
    rules, flows = case.build()
    # Every other rule accepts, so that a wrong rule shows as a wrong verdict, too.
    rules = rules._replace(rules=[rule._replace(verdict="accept" if i & 1 else "drop")
                                  for i, rule in enumerate(rules.rules)])
    text, places = ruleset.weir_text(rules, "w0", bed.world.dir)
    path = flows.write(os.path.join(bed.world.dir, "flows"))
    capture = os.path.join(bed.world.dir, "frames.pcap")
    with open(capture, "wb") as out:
        subprocess.run([DRIVE, "pcap", "--flows", path], stdout=out, check=True)
    wanted = oracle(rules.rules, path, bed.world.dir)
    bed.apply(text)
    try:
        found = list(explained(bed.space, capture))
    finally:
        bed.down()
        os.unlink(capture)
    if len(found) != flows.count or len(wanted) != flows.count:
        raise RuntimeError("%d packets, %d explained, %d by the oracle" % (flows.count, len(found), len(wanted)))
    wrong = [(i, want, got) for i, (want, got) in enumerate(zip(wanted, found))
             if got != ((rules.rules[want].verdict, places[want]) if want >= 0 else (rules.default, None))]
    return {"case": case.name, "packets": flows.count, "mismatches": len(wrong), "unmatched": wanted.count(-1),
            "first": None if not wrong else "packet %d: rule %d by the oracle, %s at line %s by weir" % (
                wrong[0][0], wrong[0][1], *wrong[0][2])}
