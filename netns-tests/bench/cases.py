# SPDX-License-Identifier: GPL-2.0
"""The cases: for each a rule set, the flows, what it may cost, and where it stands in the plots.

Every packet of every case has to be dropped, so that one that comes through proves a filter wrong: where a case is
about packets that no rule or set knows, the default drops them and the rules accept.
"""
import gzip
import ipaddress
import os
from typing import Callable, NamedTuple, Optional

import classbench
from flows import ACK, SYN, TCP, UDP, Flows, generator, syn
from ruleset import Limit, Rule, Ruleset, text4, text6

HOT = 1024
COLD = 65536       # more packets than a second-level cache holds of anything
COLD_SET = 65536  # more would measure how the generator's own list fills the cache


class Case(NamedTuple):
    name: str
    what: str            # for people
    ceiling: int         # ns a packet over dropping at once
    build: Callable      # () -> (Ruleset, Flows)
    plot: Optional[tuple] = None  # (curve, x)
    needs: Optional[str] = None   # a file of WEIR_DATA
    accepted: bool = False        # the packets are accepted: only weir alone can say what that costs
    without: tuple = ()           # tables of the kernel that cannot do it

    @property
    def missing(self):
        """Why the case cannot run here, or None."""
        if self.needs and not os.path.exists(os.path.join(os.environ.get("WEIR_DATA", "/nonexistent"), self.needs)):
            return "no %s below $WEIR_DATA" % self.needs
        return None


# ---- rules ----


def plain_rules(rng, count):
    """Distinct hosts, each with a port."""
    return [Rule(saddr=text4(host) + "/32", proto=TCP, dport=(port, port))
            for host, port in zip(rng.sample(range(1 << 24, 224 << 24), count),
                                  [rng.randrange(1, 65536) for _ in range(count)])]


def host(rule):
    return int(ipaddress.ip_address(rule.saddr.split("/")[0]))


def last_rule(count):
    def build():
        rng = generator("rules-%d" % count)
        rules = plain_rules(rng, count)
        return Ruleset(rules), Flows([syn(rng, host(rules[-1]), rules[-1].dport[0]) for _ in range(HOT)])
    return build


def every_rule(count, hook="ingress"):
    def build():
        rng = generator("spread-%d" % count)
        rules = plain_rules(rng, count)
        picked = [rng.choice(rules) for _ in range(COLD)]
        return Ruleset(rules, hook=hook), Flows([syn(rng, host(rule), rule.dport[0]) for rule in picked])
    return build


def from_classbench(name, hot=False):
    def build():
        flows, _ = classbench.trace(name)
        return Ruleset(classbench.rules(name), default="drop"), flows.cut(HOT) if hot else flows
    return build


def inside(rng, prefix):
    """A random address of a prefix."""
    net = ipaddress.ip_network(prefix)
    return int(net.network_address) + rng.randrange(net.num_addresses)


def rules6(count, hot=False):
    """Networks of /32 to /64 and hosts below a few hundred providers, most with a port."""
    def build():
        rng = generator("rules6-%d" % count)
        providers = [0x2A00 << 112 | rng.getrandbits(20) << 96 for _ in range(300)]

        def prefix():
            length = rng.choice((32, 40, 48, 48, 56, 64, 64, 128, 128, 128))
            value = rng.choice(providers) | rng.getrandbits(32) << 64 | (rng.getrandbits(64) if length == 128 else 0)
            return str(ipaddress.IPv6Network((value & ~((1 << 128 - length) - 1), length)))

        rules, rows = [], []
        for _ in range(count):
            proto = rng.choice((TCP, TCP, TCP, UDP))
            low = rng.randrange(1, 60000)
            dport = rng.choice(((low, low), (low, low), (low, low + rng.randrange(5000)), (0, 65535)))
            rules.append(Rule(saddr=prefix(), daddr=prefix(), proto=proto, dport=dport))
        for _ in range(COLD):
            rule = rng.choice(rules)
            rows.append((6, inside(rng, rule.saddr), inside(rng, rule.daddr), rule.proto, rng.randrange(1024, 65536),
                         rng.randint(*rule.dport), SYN if rule.proto == TCP else 0))
        return Ruleset(rules), Flows(rows, wide=True).cut(HOT if hot else COLD)
    return build


# ---- sets ----


def hosts4(rng, count):
    return rng.sample(range(1 << 24, 224 << 24), count)


def hosts6(rng, count):
    found = set()
    while len(found) < count:
        found.add(0x2A << 120 | rng.getrandbits(120))
    return list(found)


def set_of_hosts(count, packets, timeout=None):
    def build():
        rng = generator("hosts-%d" % count)
        members = hosts4(rng, count)
        flows = Flows([syn(rng, rng.choice(members), 443) for _ in range(packets)])
        return Ruleset([Rule(set="big")], sets={"big": [text4(m) for m in members]},
                       timeout=timeout), flows
    return build


def set_of_hosts6(count, packets):
    def build():
        rng = generator("hosts6-%d" % count)
        members = hosts6(rng, count)
        to = int(ipaddress.ip_address("2001:db8::1"))
        flows = Flows([(6, rng.choice(members), to, TCP, rng.randrange(1024, 65536), 443, SYN) for _ in range(packets)],
                      wide=True)
        return Ruleset([Rule(set="big")], sets={"big": [text6(m) for m in members]}), flows
    return build


def strangers(count, packets, timeout=None):
    """Addresses that are not in the set: rules accept who is, the default drops who is not."""
    def build():
        rng = generator("strangers-%d" % count)
        both = hosts4(rng, count + packets)
        flows = Flows([syn(rng, saddr, 443) for saddr in both[count:]])
        return Ruleset([Rule(set="big", verdict="accept")], default="drop",
                       sets={"big": [text4(m) for m in both[:count]]}, timeout=timeout), flows
    return build


def disjoint_prefixes(rng, count):
    """Prefixes as routing tables and blocklists have them, most /24; none inside another, which some peers refuse."""
    taken, found = set(), []
    lengths = [16] * 1 + [20] * 6 + [21] * 4 + [22] * 12 + [23] * 10 + [24] * 55 + [27] * 4 + [28] * 3 + [32] * 5
    while len(found) < count:
        length = rng.choice(lengths)
        value = rng.randrange(1 << 24, 224 << 24) & (0xFFFFFFFF << 32 - length) & 0xFFFFFFFF
        # Places of 256 addresses: coarse, but a prefix below /24 may have one of its own.
        places = range(value >> 8, (value >> 8) + max(1, 1 << 24 - min(length, 24)))
        if not any(place in taken for place in places):
            taken.update(places)
            found.append((value, length))
    return found


def set_of_prefixes(count):
    def build():
        rng = generator("prefixes-%d" % count)
        prefixes = disjoint_prefixes(rng, count)
        picked = [rng.choice(prefixes) for _ in range(COLD * 4)]
        flows = Flows([syn(rng, value + rng.randrange(1 << 32 - length), 443) for value, length in picked])
        return Ruleset([Rule(set="big")], sets={"big": ["%s/%d" % (text4(v), n) for v, n in prefixes]}), flows
    return build


def feed(name):
    with gzip.open(os.path.join(os.environ["WEIR_DATA"], "feeds", name), "rt") as lines:
        words = [line.split()[0] for line in lines if line.strip() and line[0] != "#"]
    return list(dict.fromkeys(words))


def countries():
    rng = generator("countries")
    prefixes = feed("country-ipv4.txt.gz") + feed("country-ipv6.txt.gz")
    to = {4: int(ipaddress.ip_address("192.0.2.1")), 6: int(ipaddress.ip_address("2001:db8::1"))}
    rows = []
    for prefix in (rng.choice(prefixes) for _ in range(COLD * 2)):
        family = 6 if ":" in prefix else 4
        rows.append((family, inside(rng, prefix), to[family], TCP, rng.randrange(1024, 65536), 443, SYN))
    return Ruleset([Rule(set="big")], sets={"big": prefixes}), Flows(rows, wide=True)


def whole(rules, addresses):
    """Each rule asks for a network, a server and a port, and for a source that is in one large set."""
    def build():
        rng = generator("whole-%d-%d" % (rules, addresses))
        members = hosts4(rng, addresses)
        networks = {}
        for member in members:
            networks.setdefault(member >> 22, []).append(member)
        made, rows = [], []
        for network, server in zip((rng.choice(members) >> 22 for _ in range(rules)), hosts4(rng, rules)):
            port = rng.randrange(1, 65536)
            made.append((network, server, port))
        for _ in range(COLD_SET):
            network, server, port = rng.choice(made)
            rows.append(syn(rng, rng.choice(networks[network]), port, server))
        return Ruleset([Rule(set="big", saddr="%s/10" % text4(network << 22), daddr=text4(server) + "/32", proto=TCP,
                             dport=(port, port)) for network, server, port in made],
                       sets={"big": [text4(m) for m in members]}), Flows(rows)
    return build


# ---- state ----


NETS = 10 << 24, 172 << 24 | 16 << 16  # of origins, of the other ends


def ends(rng, count):
    """Distinct pairs of two hosts and their ports."""
    return [(NETS[0] | host, NETS[1] | rng.getrandbits(20), rng.randrange(1024, 65536), 443)
            for host in rng.sample(range(1, 1 << 24), count)]


def known_flows(count, proto):
    """All packets belong to flows that both ends have used: of TCP, those whose handshake was seen."""
    def build():
        rng = generator("state-%d-%d" % (count, proto))
        begin, answer, then = (SYN, SYN | ACK, ACK) if proto == TCP else (0, 0, 0)
        pairs = ends(rng, count)
        packets = [(saddr, daddr, proto, sport, dport, then) for saddr, daddr, sport, dport in pairs]
        first = [[row[:5] + (begin,) for row in packets],
                 [(daddr, saddr, proto, dport, sport, answer) for saddr, daddr, sport, dport in pairs], list(packets)]
        rng.shuffle(packets)  # not the order in which a table may have put them into memory
        flows = Flows(packets)
        # One after the other: the kernel looks up a whole batch of packets before it remembers the first of them.
        flows.before = [Flows(rows) for rows in first]
        return Ruleset([Rule(ct="established")], flows=max(1024, 2 * count)), flows  # all of them find room
    return build


def new_flows(count, size):
    """Every packet begins a flow, in a table that is full of such: by the time one comes again it is forgotten."""
    def build():
        rng = generator("flood-%d" % count)
        rows = [(saddr, daddr, TCP, sport, dport, SYN) for saddr, daddr, sport, dport in ends(rng, count)]
        flows = Flows(rows)
        flows.before = [flows]
        return Ruleset([Rule(ct="new", verdict="accept")], default="drop", flows=size), flows
    return build


def limited(sources, limit):
    """Sources by turns; whether within the limit or over it, the default drops them, too."""
    def build():
        rng = generator("limit-%d" % sources)
        hosts = rng.sample(range(1, 1 << 24), sources)
        flows = Flows([syn(rng, NETS[0] | rng.choice(hosts), 443, NETS[1] | 1) for _ in range(max(HOT, sources))])
        return Ruleset([Rule(limit=limit)], default="drop"), flows
    return build


# ---- the list ----


def count_text(count):
    return "%dM" % (count // 1000000) if count >= 1000000 else "%dk" % (count // 1000) if count >= 1000 else str(count)


def thousands(count):
    return "{:,}".format(count)


def rule_cases(scaled):
    yield Case("rules-1", "one rule", 25, last_rule(1), ("rules, any matches", 1))
    for count, ceiling in ((10, 30), (100, 35), (1000, 40), (10000, 50)):
        n = scaled(count)
        what = thousands(n) + " rules, "
        yield Case("rules-" + count_text(count), what + "the last one matches", ceiling, last_rule(n),
                   ("rules, last one matches", n))
        yield Case("spread-" + count_text(count), what + "each of them matches", ceiling, every_rule(n),
                   ("rules, any matches", n))


def classbench_cases(most):
    for kind in ("acl1", "fw1", "ipc1"):
        for count, cold, hot in ((1000, 60, 35), (10000, 100, 40), (100000, 150, 70)):
            if count > most:
                continue
            data, name = "%s.%d" % (kind, count), "%s-%s" % (kind, count_text(count))
            what = "ClassBench %s, %s, " % (kind, count_text(count))
            needs = "classbench/%s.gz" % data
            yield Case(name, what + "whole trace", cold, from_classbench(data), (kind + " cold", count), needs)
            yield Case(name + "-hot", what + "1024 flows", hot, from_classbench(data, True), (kind + " hot", count), needs)


def set_cases(scaled):
    for count, ceiling, packets in ((1000, 25, COLD), (100000, 50, COLD_SET), (1000000, 50, COLD_SET)):
        n = scaled(count)
        yield Case("set-" + count_text(count), "set of %s addresses, members" % thousands(n), ceiling,
                   set_of_hosts(n, packets), ("addresses", n))
    for count, ceiling, packets in ((1000, 60, COLD), (100000, 150, COLD_SET)):
        n = scaled(count)
        yield Case("bans-" + count_text(count), "set of %s addresses that expire, members" % thousands(n), ceiling,
                   set_of_hosts(n, packets, "1h"), ("addresses that expire", n))
    n = scaled(1000)
    yield Case("unbanned-" + count_text(1000), "set of %s addresses that expire, strangers" % thousands(n), 80,
               strangers(n, COLD_SET, "1h"))
    n = scaled(1000000)
    yield Case("set6-1M", "set of %s IPv6 addresses, members" % thousands(n), 160, set_of_hosts6(n, COLD_SET // 2),
               ("IPv6 addresses", n))
    yield Case("strangers-1M", "set of %s addresses, strangers" % thousands(n), 30, strangers(n, COLD_SET),
               ("addresses, strangers", n))
    for count, ceiling in ((10000, 30), (100000, 55)):
        n = scaled(count)
        yield Case("prefix-" + count_text(count), "set of %s prefixes" % thousands(n), ceiling, set_of_prefixes(n),
                   ("prefixes", n))
    yield Case("countries", "prefixes of all countries, IPv4 and IPv6", 80, countries, None, "feeds/country-ipv4.txt.gz")


def state_cases(scaled):
    for count, ceiling in ((1, 30), (65536, 70), (1000000, 180)):
        n = scaled(count) if count > 1 else 1
        name = {1: "1", 65536: "64k", 1000000: "1M"}[count]
        yield Case("state-" + name, "ct state established, %s TCP flow%s" % (thousands(n), "s" * (n > 1)), ceiling,
                   known_flows(n, TCP), ("TCP flows", n))
        yield Case("state-udp-" + name, "ct state established, %s UDP flow%s" % (thousands(n), "s" * (n > 1)), ceiling,
                   known_flows(n, UDP), ("UDP flows", n))
    n = scaled(1000000)
    yield Case("flood", "ct state new, %s flows by turns, table of %s" % (thousands(n), thousands(n // 16)), 400,
               new_flows(n, n // 16), None, None, True, ("hash map", "conntrack kfunc"))  # both refuse more than they hold


def limit_cases(scaled):
    each, burst = 1000000, 1000000
    yield Case("limit-1", "one limit for all packets", 60, limited(HOT, Limit(each, burst)))
    for name, count, ceiling in (("1k", HOT, 60), ("100k", 100000, 150)):
        n = scaled(count)
        yield Case("limit-" + name, "a limit for each of %s sources" % thousands(n), ceiling,
                   limited(n, Limit(each, burst, True, True)), ("sources", n))


def all_cases(scale=1):
    """scale: sets and rules are divided by it, for a run that only has to prove that the bench works."""
    def scaled(count):
        return max(10, count // scale)

    found = [*rule_cases(scaled), *classbench_cases(100000 if scale == 1 else 10000)]
    rules, addresses = scaled(10000), scaled(1000000)
    found.append(Case("whole", "%s rules that test a cold set of %s addresses" % (thousands(rules), thousands(addresses)),
                      110, whole(rules, addresses)))
    for count, ceiling in ((1000, 80), (10000, 100)):
        n = scaled(count)
        found.append(Case("v6-" + count_text(count), thousands(n) + " IPv6 rules", ceiling, rules6(n), ("IPv6 rules", n)))
    found += set_cases(scaled)
    found += [*state_cases(scaled), *limit_cases(scaled)]
    n = scaled(1000)
    found.append(Case("egress-1k", thousands(n) + " rules on egress (TC)", 60, every_rule(n, "egress")))
    return found


QUICK = ("rules-1", "rules-10k", "spread-10k", "acl1-10k", "fw1-10k", "ipc1-10k", "ipc1-10k-hot", "v6-1k", "set-1k",
         "set-1M", "prefix-100k", "egress-1k", "state-1", "state-64k", "state-1M", "flood", "limit-1k")


def pick(cases, words):
    """`all`, those that are named, and for a word that names none those that have it in their name."""
    names = {case.name for case in cases}
    return [case for case in cases if any(word in ("all", case.name) or (word not in names and word in case.name)
                                          for word in words)]
