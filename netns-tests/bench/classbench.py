# SPDX-License-Identifier: GPL-2.0
"""ClassBench rule sets and traces, from $WEIR_DATA/classbench.

A rule is `@s/len d/len splo : sphi dplo : dphi proto/mask flags/mask`; a header of a trace `saddr daddr sport dport
proto flags rule`, in decimal. The flags are 16 bits, of which the upper byte is the TCP header's; the sets have them
in rules of other protocols too, where they mean nothing and are left out.
"""
import gzip
import os

from flows import Flows
from ruleset import ANY_PORT, Rule, text4

HAVE_PORTS = (6, 17, 132)


def path(name):
    """The file, or None where the data is not here."""
    found = os.path.join(os.environ.get("WEIR_DATA", ""), "classbench", name + ".gz")
    return found if os.environ.get("WEIR_DATA") and os.path.exists(found) else None


def prefix(text):
    """Masked, as text; None for everything."""
    at, length = text.split("/")
    length = int(length)
    if not length:
        return None
    a, b, c, d = (int(part) for part in at.split("."))
    value = (a << 24 | b << 16 | c << 8 | d) & (0xFFFFFFFF << 32 - length) & 0xFFFFFFFF
    return "%s/%d" % (text4(value), length)


def rule(line):
    saddr, daddr, sport, dport, proto, flags = line.lstrip("@").split("\t")[:6]
    number, mask = (int(part, 16) for part in proto.split("/"))
    value, flag_mask = (int(part, 16) >> 8 & 255 for part in flags.split("/"))
    if mask not in (0, 255):
        raise ValueError("a protocol mask of %#x" % mask)
    return Rule(saddr=prefix(saddr), daddr=prefix(daddr), proto=number if mask else None,
                sport=tuple(int(part) for part in sport.split(" : ")),
                dport=tuple(int(part) for part in dport.split(" : ")),
                flags=(value & flag_mask, flag_mask) if flag_mask and number == 6 and mask else None)


def rules(name):
    with gzip.open(path(name), "rt") as lines:
        return [rule(line) for line in lines if line.strip()]


def trace(name):
    """Flows, each a frame that is well-formed: one without ports where the protocol has none."""
    rows = []
    with gzip.open(path(name + "_trace"), "rt") as lines:
        for line in lines:
            saddr, daddr, sport, dport, proto, flags = (int(word) for word in line.split()[:6])
            if proto not in HAVE_PORTS:
                sport = dport = 0
            rows.append((saddr, daddr, proto, sport, dport, flags >> 8 & 255 if proto == 6 else 0))
    return Flows(rows), rows


assert ANY_PORT == (0, 65535)
