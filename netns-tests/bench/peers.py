# SPDX-License-Identifier: GPL-2.0
"""Other filters with the same rules: nft, iptables with ipset, xdp-filter, bpfilter.

Each stands in a receiver of its own (live.py), gets a Ruleset by load(), and says by refuses() why it cannot have one:
that is a row in the table, never a failure. Rules count, as weir's do.
"""
import ipaddress
import os
import shutil

from measure import timed
from ruleset import ANY_PORT, ports

LINEAR_MOST = 10000  # rules that are walked one by one: beyond, a packet takes more than a tenth of a millisecond
FLAG_NAMES = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")


class NotHere(Exception):
    """The peer is not installed, or refused; the message is the reason."""


def families(ruleset):
    """Which of 4 and 6 the rules speak of."""
    found = set()
    for elements in ruleset.sets.values():
        found |= {6 if ":" in element else 4 for element in elements}
    for rule in ruleset.rules:
        found |= {6 if ":" in prefix else 4 for prefix in (rule.saddr, rule.daddr) if prefix}
    return sorted(found) or [4]


def elements_of(elements, family):
    return [element for element in elements if (":" in element) == (family == 6)]


def load_with(receiver, *command, stdin=None):
    try:
        return timed(receiver.space, command, stdin=stdin)
    except RuntimeError as error:
        raise NotHere(str(error).splitlines()[0][:200]) from None


class Peer:
    name = hook = program = None
    where = "prerouting"  # where a packet that got through is seen
    tracks = False        # is it asked for the state of flows, and for nothing else?

    def refuses(self, ruleset):
        if not shutil.which(self.program):
            return "%s is not installed" % self.program
        if ruleset.hook != self.hook:
            return "no rules on %s here" % ruleset.hook
        return None

    def clear(self, receiver):
        raise NotImplementedError


# ---- nft ----


def nft_rule(rule, family, verdict):
    ip = "ip6" if family == 6 else "ip"
    words = []
    if rule.set:
        words.append("%s saddr @%s%d" % (ip, rule.set, family))
    if rule.saddr:
        words.append("%s saddr %s" % (ip, rule.saddr))
    if rule.daddr:
        words.append("%s daddr %s" % (ip, rule.daddr))
    if rule.proto is not None and (rule.proto not in (6, 17, 132) or not rule.has_ports):
        words.append("ip protocol 51" if rule.proto == 51 else "meta l4proto %d" % rule.proto)
    if rule.has_ports:
        if rule.proto is None:
            words.append("meta l4proto { tcp, udp, sctp }")
        head = {6: "tcp", 17: "udp", 132: "sctp", None: "th"}[rule.proto]
        words += ["%s %s %s" % (head, name, ports(pair)) for name, pair in (("sport", rule.sport), ("dport", rule.dport))
                  if pair != ANY_PORT]
    if rule.flags:
        words.append("tcp flags & 0x%x == 0x%x" % (rule.flags[1], rule.flags[0]))
    if rule.ct:
        words.append("ct state " + rule.ct)
    if rule.limit:
        text = "limit rate %s%d/second burst %d packets" % ("over " if rule.limit.over else "", rule.limit.rate,
                                                            rule.limit.burst)
        words.append("update @sources { ip saddr %s }" % text if rule.limit.per_source else text)
    return " ".join(words + ["counter", verdict])


def overlap(elements):
    """Sets that overlap have to be merged; others are spared it, since nft takes long over it."""
    ranges = sorted((int(net.network_address), int(net.broadcast_address)) for net in map(ipaddress.ip_network, elements))
    return any(low <= end for (_, end), (low, _) in zip(ranges, ranges[1:]))


def nft_sets(ruleset):
    for name, elements in ruleset.sets.items():
        for family in (4, 6):
            some = elements_of(elements, family)
            if some:
                interval = ""
                if any("/" in element for element in some):
                    interval = "flags interval; " + ("auto-merge; " if overlap(some) else "")
                yield "set %s%d { type ipv%d_addr; %selements = { %s } }" % (name, family, family, interval,
                                                                              ", ".join(some))


SOURCES = "set sources {\ntype ipv4_addr\nsize 262144\nflags dynamic,timeout\ntimeout 1h\n}"  # a key of a limit each


def nft_table(family, hook, ruleset, rules, extra=()):
    if any(rule.limit and rule.limit.per_source for rule in ruleset.rules):
        extra = [*extra, SOURCES]
    return "table %s bench {\n%s\nchain c {\ntype filter hook %s; policy %s;\n%s\n}\n}\n" % (
        family, "\n".join([*nft_sets(ruleset), *extra]), hook, ruleset.default, "\n".join(rules))


class Nft(Peer):
    """Rules one by one, as they are written."""
    program = "nft"

    def __init__(self, name, family, hook, where, at="ingress", tracks=False):
        self.name, self.family, self.hook_text, self.where, self.hook = name, family, hook, where, at
        self.tracks = tracks

    def refuses(self, ruleset):
        reason = super().refuses(ruleset)
        if not reason and len(ruleset.rules) > LINEAR_MOST:
            reason = "above %d rules one by one" % LINEAR_MOST
        return reason

    def text(self, ruleset):
        of_set = {name: [f for f in (4, 6) if elements_of(some, f)] for name, some in ruleset.sets.items()}
        rules = []
        for rule in ruleset.rules:
            prefix = rule.saddr or rule.daddr or ""
            for family in of_set.get(rule.set) or [6 if ":" in prefix else 4]:
                if rule.possible and (not prefix or (":" in prefix) == (family == 6)):
                    rules.append(nft_rule(rule, family, rule.verdict))
        return nft_table(self.family, self.hook_text, ruleset, rules)

    def load(self, receiver, ruleset):
        path = receiver.file("nft", self.text(ruleset))
        return load_with(receiver, "nft", "-f", path)

    def clear(self, receiver):
        receiver.space.run("nft", "delete", "table", self.family, "bench", expect=None)
        if self.tracks:
            receiver.space.run("conntrack", "-F", expect=None)


class NftPairs(Nft):
    """What somebody who knows nft makes of hosts with a port each: one rule, one set of concatenations."""

    def refuses(self, ruleset):
        reason = Peer.refuses(self, ruleset)
        simple = all(rule.saddr and rule.saddr.endswith("/32") and not rule.daddr and not rule.set and rule.proto == 6 and
                     rule.sport == ANY_PORT and rule.dport[0] == rule.dport[1] and not rule.flags and not rule.ct and
                     not rule.limit and rule.verdict == "drop" for rule in ruleset.rules)
        return reason or (None if simple and len(ruleset.rules) > 1 else "not one set of pairs")

    def text(self, ruleset):
        pairs = ", ".join("%s . %d" % (rule.saddr.split("/")[0], rule.dport[0]) for rule in ruleset.rules)
        return nft_table(self.family, self.hook_text, ruleset, ["ip saddr . tcp dport @pairs counter drop"],
                         ["set pairs { type ipv4_addr . inet_service; elements = { %s } }" % pairs])


# ---- iptables, ipset ----


def flag_names(bits):
    return ",".join(name for i, name in enumerate(FLAG_NAMES) if bits >> i & 1) or "NONE"


def iptables_rules(rule, family):
    """One rule, or one a protocol where ports come without one."""
    head = ["-A PREROUTING"]
    if rule.set:
        head.append("-m set --match-set %s%d src" % (rule.set, family))
    if rule.saddr:
        head.append("-s " + rule.saddr)
    if rule.daddr:
        head.append("-d " + rule.daddr)
    protos = [rule.proto] if rule.proto is not None or not rule.has_ports else [6, 17, 132]
    for proto in protos:
        words = list(head)
        if proto is not None:
            words.append("-p %d" % proto)
        for name, pair in (("--sport", rule.sport), ("--dport", rule.dport)):
            if pair != ANY_PORT:
                words.append("-m %s %s %d:%d" % ({6: "tcp", 17: "udp", 132: "sctp"}[proto], name, *pair))
        if rule.flags:
            if rule.flags[1] > 63:
                raise NotHere("iptables does not know ECE and CWR in --tcp-flags")
            words.append("-m tcp --tcp-flags %s %s" % (flag_names(rule.flags[1]), flag_names(rule.flags[0])))
        if rule.ct:
            words.append("-m conntrack --ctstate " + rule.ct.upper())
        if rule.limit:
            words.append("-m hashlimit --hashlimit-%s %d/second --hashlimit-burst %d --hashlimit-name bench "
                         "--hashlimit-htable-size 65536 --hashlimit-htable-max 262144%s" % (
                             "above" if rule.limit.over else "upto", rule.limit.rate, rule.limit.burst,
                             " --hashlimit-mode srcip" if rule.limit.per_source else ""))
        yield " ".join(words + ["-j", rule.verdict.upper()])


class Iptables(Peer):
    """In raw PREROUTING, the first place it has; the older engine where it is there, which is the faster one."""
    name, hook, table = "iptables", "ingress", "raw"

    def __init__(self):
        self.program = "iptables-legacy-restore" if shutil.which("iptables-legacy-restore") else "iptables-restore"

    def refuses(self, ruleset):
        reason = super().refuses(ruleset)
        if not reason and len(ruleset.rules) > LINEAR_MOST:
            reason = "above %d rules one by one" % LINEAR_MOST
        if not reason and ruleset.sets and not shutil.which("ipset"):
            reason = "ipset is not installed"
        return reason

    def load(self, receiver, ruleset):
        spent = {"ms": 0, "kb": 0}

        def add(how):
            spent["ms"] += how["ms"]
            spent["kb"] = max(spent["kb"], how["kb"])

        for name, elements in ruleset.sets.items():
            for family in (4, 6):
                some = elements_of(elements, family)
                if some:
                    kind = "hash:net" if any("/" in element for element in some) else "hash:ip"
                    room = max(65536, len(some) + 1000)  # for single elements, too
                    lines = ["create %s%d %s family %s maxelem %d counters" % (
                        name, family, kind, "inet6" if family == 6 else "inet", room)]
                    lines += ["add %s%d %s" % (name, family, element) for element in some]
                    add(load_with(receiver, "ipset", "restore", stdin="\n".join(lines) + "\n"))
        for family in families(ruleset):
            lines = ["*" + self.table, ":PREROUTING %s [0:0]" % ruleset.default.upper()]
            for rule in ruleset.rules:
                prefix = rule.saddr or rule.daddr
                if rule.possible and (not prefix or (":" in prefix) == (family == 6)):
                    lines += iptables_rules(rule, family)
            add(load_with(receiver, self._restore(family), stdin="\n".join(lines + ["COMMIT", ""])))
        return spent

    def _restore(self, family):
        return self.program if family == 4 else self.program.replace("iptables", "ip6tables")

    def clear(self, receiver):
        for family in (4, 6):
            if shutil.which(self._restore(family)):
                receiver.space.run(self._restore(family), input="*%s\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n" % self.table,
                                   expect=None)
        receiver.space.run("ipset", "destroy", expect=None)


class IptablesState(Iptables):
    """Behind conntrack."""
    table, where, tracks = "mangle", "forward", True

    def clear(self, receiver):
        super().clear(receiver)
        receiver.space.run("conntrack", "-F", expect=None)


# ---- XDP ----


class XdpFilter(Peer):
    """Exact addresses and ports only; its commands take one element each."""
    name, hook, program, where = "xdp-filter", "ingress", "xdp-filter", "ingress"
    loaded = False

    def refuses(self, ruleset):
        reason = super().refuses(ruleset)
        hosts = [element for elements in ruleset.sets.values() for element in elements]
        if not reason and (len(ruleset.rules) != 1 or not ruleset.rules[0].set or ruleset.default != "accept" or
                           any("/" in host for host in hosts) or len(hosts) > 2000):
            reason = "not a short list of addresses"
        return reason

    def load(self, receiver, ruleset):
        spent = load_with(receiver, "xdp-filter", "load", "-m", "native", "-f", "ipv4", "-p", "allow", receiver.device)
        self.loaded = True
        script = "".join("xdp-filter ip -m src %s || exit 1\n" % host for host in ruleset.sets[ruleset.rules[0].set])
        more = load_with(receiver, "sh", "-s", stdin=script)
        return {"ms": spent["ms"] + more["ms"], "kb": spent["kb"]}

    def clear(self, receiver):
        if self.loaded:
            receiver.space.run("xdp-filter", "unload", receiver.device, expect=None)
            self.loaded = False
            try:
                os.rmdir("/sys/fs/bpf/xdp")  # libxdp makes it and leaves it; others' is not empty
            except OSError:
                pass


class Bpfilter(Peer):
    """A built bfcli, given on the command line. One chain of our own name: its ruleset may be the host's."""
    name, hook, where = "bpfilter", "ingress", "ingress"

    def __init__(self, path):
        self.program = path

    def refuses(self, ruleset):
        reason = super().refuses(ruleset)
        return reason or ("above %d rules one by one" % LINEAR_MOST if len(ruleset.rules) > LINEAR_MOST else None)

    def load(self, receiver, ruleset):
        lines = ["chain weir_bench BF_HOOK_XDP{ifindex=%d} %s" % (receiver.ifindex, ruleset.default.upper())]
        for rule in ruleset.rules:
            lines += ["rule %s counter %s" % (match, rule.verdict.upper()) for match in self._matches(rule, ruleset)]
        path = receiver.file("bpfilter", "\n".join(lines) + "\n")
        return load_with(receiver, self.program, "chain", "set", "--from-file", path)

    @staticmethod
    def _matches(rule, ruleset):
        """One rule, or one a kind of element for a set."""
        if rule.flags or (rule.has_ports and rule.proto is None):
            raise NotHere("the bench has no words for flags, or ports without a protocol, in bpfilter's language")
        words = []
        for name, prefix in (("s", rule.saddr), ("d", rule.daddr)):
            if prefix:
                words.append("ip%d.%snet eq %s" % (6 if ":" in prefix else 4, name, prefix))
        if rule.proto is not None:
            words.append("meta.l4_proto eq %d" % rule.proto)
        for name, pair in (("meta.sport", rule.sport), ("meta.dport", rule.dport)):
            if pair != ANY_PORT:
                words.append("%s %s" % (name, "eq %d" % pair[0] if pair[0] == pair[1] else "range %d-%d" % pair))
        if not rule.set:
            return [" ".join(words)]
        found = []
        for family in (4, 6):
            for nets in (False, True):
                some = [e for e in elements_of(ruleset.sets[rule.set], family) if ("/" in e) == nets]
                if some:
                    key = "ip%d.%s" % (family, "snet" if nets else "saddr")
                    found.append(" ".join(["(%s) in { %s }" % (key, "; ".join(some)), *words]))
        return found

    def clear(self, receiver):
        receiver.space.run(self.program, "chain", "flush", "--name", "weir_bench", expect=None)


def all_peers(bpfilter=None):
    found = [Nft("nft netdev", "netdev", "ingress device g0 priority 0", "ingress"),
             NftPairs("nft netdev, one set", "netdev", "ingress device g0 priority 0", "ingress"),
             Nft("nft inet", "inet", "prerouting priority -300", "prerouting"),
             Nft("nft egress", "netdev", "egress device o0 priority 0", "out", "egress"),
             Iptables(), XdpFilter(),
             Nft("nft inet", "inet", "prerouting priority -150", "forward", tracks=True), IptablesState()]
    if bpfilter:
        found.append(Bpfilter(os.path.abspath(bpfilter)))
    return found
