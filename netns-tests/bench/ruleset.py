# SPDX-License-Identifier: GPL-2.0
"""Rules without a language, and how weir writes them; what the peers write is in peers.py."""
import ipaddress
from typing import NamedTuple, Optional

PROTOS = {1: "icmp", 6: "tcp", 17: "udp", 132: "sctp"}
AH = 51
ANY_PORT = (0, 65535)


class Limit(NamedTuple):
    rate: int   # packets a second
    burst: int  # packets
    per_source: bool = False
    over: bool = False


class Rule(NamedTuple):
    saddr: Optional[str] = None  # a prefix
    daddr: Optional[str] = None
    proto: Optional[int] = None
    sport: tuple = ANY_PORT
    dport: tuple = ANY_PORT
    flags: Optional[tuple] = None  # (value, mask) of the TCP flags
    set: Optional[str] = None  # the source is in this set
    ct: Optional[str] = None   # the state of the packet's flow
    limit: Optional[Limit] = None
    verdict: str = "drop"

    @property
    def has_ports(self):
        return self.sport != ANY_PORT or self.dport != ANY_PORT

    @property
    def possible(self):
        """Ports are TCP's, UDP's and SCTP's, flags TCP's: with another protocol the rule never matches."""
        if self.has_ports and self.proto not in (None, 6, 17, 132):
            return False
        return not self.flags or self.proto in (None, 6)


class Ruleset(NamedTuple):
    rules: list
    default: str = "accept"
    sets: dict = {}  # name -> list of elements as text
    hook: str = "ingress"  # or egress
    flows: int = 0  # room for that many, where a rule asks for ct
    timeout: Optional[str] = None  # elements of sets expire, as bans do

    @property
    def tracks(self):
        return any(rule.ct for rule in self.rules)

    @property
    def stateful(self):
        return any(rule.ct or rule.limit for rule in self.rules)

    def plain(self):
        """The same without state: what is left when its cost is taken away."""
        return self._replace(rules=[rule._replace(ct=None, limit=None) for rule in self.rules], flows=0)


def ports(pair):
    return "%d" % pair[0] if pair[0] == pair[1] else "%d-%d" % pair


def weir_rule(rule):
    words = []
    if rule.set:
        words.append("saddr @" + rule.set)
    if rule.saddr:
        words.append("saddr " + rule.saddr)
    if rule.daddr:
        words.append("daddr " + rule.daddr)
    if rule.proto == AH:
        words.append("ip protocol 51")  # l4proto would be what is behind it
    elif rule.proto is not None and (rule.proto not in (6, 17, 132) or not rule.has_ports):
        words.append("meta l4proto %s" % PROTOS.get(rule.proto, rule.proto))
    if rule.has_ports:
        head = PROTOS[rule.proto] if rule.proto is not None else "th"
        if rule.sport != ANY_PORT:
            words.append("%s sport %s" % (head, ports(rule.sport)))
        if rule.dport != ANY_PORT:
            words.append("%s dport %s" % (head, ports(rule.dport)))
    if rule.flags:
        words.append("tcp flags & 0x%x == 0x%x" % (rule.flags[1], rule.flags[0]))
    if rule.ct:
        words.append("ct state " + rule.ct)
    if rule.limit:
        words.append("limit rate %s%d/second burst %d packets%s" % (
            "over " if rule.limit.over else "", rule.limit.rate, rule.limit.burst,
            " per saddr" if rule.limit.per_source else ""))
    return " ".join(words + [rule.verdict])


def weir_text(ruleset, device, directory):
    """The rule file, and for each rule its line in it (None: it cannot match, and is left out)."""
    lines = []
    for name, elements in ruleset.sets.items():
        path = "%s/%s.txt" % (directory, name)
        with open(path, "w") as out:
            out.write("\n".join(elements) + "\n")
        extra = "timeout %s; size %d; " % (ruleset.timeout, len(elements)) if ruleset.timeout else ""
        lines.append('set %s { type addr; %sfile "%s" }' % (name, extra, path))
    if ruleset.flows:
        lines += ["flows {", "size %d" % ruleset.flows, "}"]
    lines += ["filter f {", "hook " + ruleset.hook, "device " + device, "default " + ruleset.default]
    places = []
    for rule in ruleset.rules:
        if rule.possible:
            lines.append(weir_rule(rule))
            places.append(len(lines))
        else:
            places.append(None)
    lines.append("}")
    return "\n".join(lines) + "\n", places


def text4(value):
    return "%d.%d.%d.%d" % (value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255)


def text6(value):
    return str(ipaddress.IPv6Address(value))
