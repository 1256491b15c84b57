#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Who counts as whom: containers of all kinds, user namespaces, users that are one thing and effectively another.

What is said here is what docs/guard.md says. Each world is tried without a guard first: everybody is answered.
"""
from guarded import (ALLOWED, DENIED, ENDPOINT, ENDPOINT6, GuardCounters, GuardedWorld, RootlessSpace, bridged_box,
                     can_be_rootless, guard, macvlan_box, masqueraded_box, routed_box, ways)
from lab import check, equal, main

WAYS = ways()
ROOT = 0
FAMILIES = ("4", "6")
WHO = {ALLOWED: "the allowed user", DENIED: "another user", ROOT: "root"}
BOXES = {"routed": routed_box, "masqueraded": masqueraded_box, "bridged": bridged_box, "macvlan": macvlan_box}
FORWARDED = ("tcp-connect", "mptcp", "udp-sendto", "udplite-connect", "ping", "packet-udp", "packet-syn")
PATIENCE = {True: "3000", False: "80"}  # an answer that has to come, one that must not
PROMPT_MS = 100


def here(names):
    """The ways that this kernel has. One that is not there says so by the step `open`."""
    return [WAYS[name] for name in WAYS if name in names]


def lacks(outcome):
    return outcome["step"] == "open" and outcome["error"] in ("EPROTONOSUPPORT", "ESOCKTNOSUPPORT")


def expect(world, what, send, answered, layer=None, outcome=None):
    """send(patience) is answered or not, and counted as that."""
    before = GuardCounters(world) if layer else None
    said = send(PATIENCE[answered])
    if lacks(said):
        return None
    if answered:
        check(what + ": answered", said["bytes"] > 0, said)
    else:
        equal(what + ": not a byte comes back", said["bytes"], 0)
    if layer:
        n = [c.packets(layer, outcome) for c in (before, GuardCounters(world))]
        check("%s: counted as %s by the %s layer" % (what, outcome, layer), n[1] > n[0], "%s, %s" % (n, said))
    return said


# ---- containers ----


def senders(world, box, names=FORWARDED):
    """Users of a box, inside and outside of the cgroup whose calls are judged: (text, way, its cgroup is judged, send)."""
    for cgroup, judged, where, users in ((world.guarded, True, "", (ROOT, ALLOWED)),
                                         (world.outside, False, ", from a cgroup elsewhere", (ROOT,))):
        for way in here(set(names) - box.cannot):
            for family in FAMILIES:
                for user in users:
                    text = "%s in the box%s, %s over %s" % (WHO[user], where, way["way"], family)
                    yield text, way, judged, lambda patience, w=way, f=family, u=user, c=cgroup: box.send(
                        w, f, "--uid", str(u), "--cgroup", c, "--timeout", patience).end()


def told_at_once(said):
    return said["error"] == "ECONNREFUSED" and said["ms"] < PROMPT_MS


def box_behind(kind, world, box, statement, answered):
    world.apply(guard("allow user %d" % ALLOWED, "allow user root", *([statement] if statement else [])))
    for text, way, judged, send in senders(world, box):
        # `allow from DEVICE` is for the packet layer alone; the other two are said at the call, where there is one.
        layer = "call" if judged and way["call"] and (not answered and "from" not in statement) else "packet"
        said = expect(world, "%s, '%s': %s" % (kind, statement, text), send, answered, layer,
                      "forwarded" if answered else "deny-forwarded")
        if said and not answered and way["way"] in ("tcp-connect", "mptcp"):
            # On a machine that does much else, one measurement says little.
            tries = [said]
            while not told_at_once(tries[-1]) and len(tries) < 3:
                tries.append(send(PATIENCE[False]))
            check("%s, '%s': %s: told at once" % (kind, statement, text), told_at_once(tries[-1]), tries)
    for family in FAMILIES:
        for user, allowed in ((ALLOWED, True), (DENIED, False)):
            expect(world, "%s, '%s': %s of the host over %s" % (kind, statement, WHO[user], family),
                   lambda patience: world.send(WAYS["tcp-connect"], family, "--uid", str(user), "--timeout", patience).end(),
                   allowed, "call", "allow" if allowed else "deny")


def container(kind):
    world = GuardedWorld()
    world.veth(world.host, "v8", world.host, "v9")
    box = BOXES[kind](world)
    if not box:
        print("      no %s in this kernel" % kind)
        return
    for text, _, _, send in senders(world, box):
        expect(world, "%s, no guard: %s" % (kind, text), send, True)
    for statement, answered in (("", False), ("forwarded allow", True), ("forwarded allow from v8", False),
                                # A macvlan's packets come in by no device of the host: none can be named.
                                ("forwarded allow from v8, %s" % (box.came_by or "h0"), bool(box.came_by))):
        box_behind(kind, world, box, statement, answered)


def t_routed():
    container("routed")


def t_masqueraded():
    container("masqueraded")


def t_bridged():
    container("bridged")


def t_macvlan():
    container("macvlan")


def t_rootless():
    """A container that an ordinary user has made: root and CAP_NET_RAW within, nobody outside."""
    if not can_be_rootless():
        print("      users may not make user namespaces here")
        return
    world = GuardedWorld()
    box = routed_box(world, RootlessSpace, ALLOWED)
    rows = [(way, family) for way in here(("tcp-connect", "udp-sendto", "ping", "packet-udp", "packet-syn", "packet-bypass-udp"))
            for family in FAMILIES]

    def send(way, family, patience):
        return box.send(way, family, "--uid", "0", "--timeout", patience).end()

    for way, family in rows:
        expect(world, "rootless, no guard: %s over %s" % (way["way"], family), lambda p: send(way, family, p), True)
    world.apply(guard("allow user %d" % ALLOWED, "allow user root"))
    for way, family in rows:
        # Not even around traffic control: the host's own device comes after the cable.
        expect(world, "rootless: %s over %s" % (way["way"], family), lambda p: send(way, family, p), False, "packet",
               "deny-forwarded")


# ---- users ----


def identities(world, rules, rows):
    """rows: text, options of send, is the call answered, is a packet without a call. Both families."""
    for text, options, call, packet in rows:
        for way in here(("tcp-connect", "udp-sendto")):
            for family in FAMILIES:
                expect(world, "no guard: %s, %s over %s" % (text, way["way"], family),
                       lambda p: world.send(way, family, "--timeout", p, *options).end(), True)
    world.apply(rules)
    calls = ("tcp-connect", "tcp-fastopen", "mptcp", "udp-connect", "udp-sendto", "udp-sendmmsg", "uring-connect-sqpoll",
             "uring-sendmsg-sqpoll")
    packets = ("ping", "udplite-connect", "raw-udp", "packet-udp")
    for text, options, call, packet in rows:
        for names, layer, answered in ((calls, "call", call), (packets, "packet", packet)):
            for way in here(names):
                for family in FAMILIES:
                    expect(world, "%s, %s over %s" % (text, way["way"], family),
                           lambda p: world.send(way, family, "--timeout", p, *options).end(), answered, layer,
                           "allow" if answered else "deny")


def t_users():
    """A call goes by the effective user; a packet without one by the file-system user that made its socket."""
    world, rows = GuardedWorld(), []
    for uid in (ALLOWED, DENIED):
        for euid in (ALLOWED, DENIED):
            for fsuid in (ALLOWED, DENIED):
                text = ", ".join("%s %s" % (name, "allowed" if u == ALLOWED else "denied")
                                 for name, u in (("real", uid), ("effective", euid), ("file-system", fsuid)))
                rows.append((text, ("--uid", "%d,%d,%d" % (uid, euid, fsuid)), euid == ALLOWED, fsuid == ALLOWED))
    identities(world, guard("allow user %d" % ALLOWED), rows)


def t_user_namespaces():
    """Root within is who he is without."""
    if not can_be_rootless():
        print("      users may not make user namespaces here")
        return
    world = GuardedWorld()
    inner = ("tcp-connect", "tcp-fastopen", "mptcp", "udp-sendto", "uring-connect", "udplite-connect", "ping")
    for user in (ALLOWED, DENIED):
        for way in here(inner):
            expect(world, "no guard: root within, %s: %s" % (WHO[user], way["way"]),
                   lambda p: world.send(way, "4", "--uid", str(user), "--userns", "--timeout", p).end(), True)
    for rules, answered in (("allow user %d" % ALLOWED, ALLOWED), ("allow user root", None)):
        world.apply(guard(rules))
        for user in (ALLOWED, DENIED):
            for way in here(inner):
                for family in FAMILIES:
                    expect(world, "'%s': root within, %s: %s over %s" % (rules, WHO[user], way["way"], family),
                           lambda p: world.send(way, family, "--uid", str(user), "--userns", "--timeout", p).end(),
                           user == answered, "call" if way["call"] else "packet", "allow" if user == answered else "deny")


def t_nobody():
    """The user 65534 is a user; forwarded packets, which the kernel gives that number, are none of his."""
    world = GuardedWorld()
    box = routed_box(world)
    tcp, lite = here(("tcp-connect", "udplite-connect"))
    for way in (tcp, lite):
        for family in FAMILIES:
            for rules, host, forwarded in (("allow user 65534", True, False), ("forwarded allow", False, True)):
                world.apply(guard(rules))
                expect(world, "'%s': nobody, %s over %s" % (rules, way["way"], family),
                       lambda p: world.send(way, family, "--uid", "65534", "--timeout", p).end(), host,
                       "call" if way["call"] else "packet", "allow" if host else "deny")
                expect(world, "'%s': nobody in the box, %s over %s" % (rules, way["way"], family),
                       lambda p: box.send(way, family, "--uid", "65534", "--cgroup", world.outside, "--timeout", p).end(),
                       forwarded, "packet", "forwarded" if forwarded else "deny-forwarded")


# ---- groups, cgroups and services: of processes, so for calls; a packet without one has but its owner ----


def t_groups():
    world, group = GuardedWorld(), 47100
    identities(world, guard("allow group %d" % group), [
        ("its own group", ("--uid", str(DENIED), "--gid", str(group)), True, False),
        ("one of its groups", ("--uid", str(DENIED), "--groups", "47001,%d,47003" % group), True, False),
        ("other groups", ("--uid", str(DENIED), "--gid", "47101", "--groups", "47001,47003"), False, False),
    ])


def rows_of(names):
    """Processes of the denied user: [(text, directory, is the call answered)]."""
    return [(text, ("--uid", str(DENIED), "--cgroup", directory), answered, False) for text, directory, answered in names]


def t_cgroups():
    world = GuardedWorld()
    named = world.cgroup("guarded.slice/in")
    identities(world, guard('allow cgroup "%s"' % world.cgroup_path(named)), rows_of([
        ("in the cgroup", named, True),
        ("below the cgroup", world.cgroup("guarded.slice/in/below"), True),
        ("in one whose name begins so", world.cgroup("guarded.slice/inn"), False),
        ("in one of that name elsewhere", world.cgroup("guarded.slice/inn/in"), False),
        ("above it", world.guarded, False),
    ]))


def t_services():
    """The unit is the first cgroup on the way down that is no slice."""
    world = GuardedWorld()
    identities(world, guard("allow service \"app\""), rows_of([
        ("in the service", world.cgroup("guarded.slice/app.service"), True),
        ("in a cgroup that the service made", world.cgroup("guarded.slice/app.service/worker"), True),
        ("in another service", world.cgroup("guarded.slice/other.service"), False),
        ("in a cgroup of that name that another service made", world.cgroup("guarded.slice/other.service/app.service"), False),
        ("in a service whose name begins so", world.cgroup("guarded.slice/app2.service"), False),
        ("in the slice", world.guarded, False),
    ]))


def t_services_in_slices():
    world = GuardedWorld()
    world.cgroup("guarded.slice/deep.slice")
    identities(world, guard("allow service \"app.service\""), rows_of([
        ("in a slice of a slice", world.cgroup("guarded.slice/deep.slice/app.service"), True)]))


def t_later():
    """A cgroup that is named before it is there."""
    world = GuardedWorld()
    world.apply(guard('allow cgroup "%s/later"' % world.cgroup_path(world.guarded)))
    later = world.cgroup("guarded.slice/later")
    for family in FAMILIES:
        for cgroup, answered in ((later, True), (world.guarded, False)):
            expect(world, "%s, over %s" % ("in it" if answered else "outside of it", family),
                   lambda p: world.send(WAYS["tcp-connect"], family, "--uid", str(DENIED), "--cgroup", cgroup, "--timeout", p).end(),
                   answered, "call", "allow" if answered else "deny")


# ---- other names for the endpoint ----


def t_translated():
    """The host's own address translation: the call names another address, the packet the endpoint."""
    world = GuardedWorld()
    world.host.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.1")
    world.host.ip("route", "add", "2001:db8:1::/64", "via", "2001:db8::1")
    world.host.run("nft", "-f", "-", input="""
        table ip nat { chain out {
            type nat hook output priority -100; ip daddr 198.51.100.1 dnat to %s;
        }; }
        table ip6 nat { chain out {
            type nat hook output priority -100; ip6 daddr 2001:db8:1::1 dnat to %s;
        }; }
    """ % (ENDPOINT, ENDPOINT6))

    def send(way, family, user, patience):
        to = "198.51.100.1" if family == "4" else "2001:db8:1::1"
        return world.send(way, family, "--uid", str(user), "--timeout", patience, to=to).end()

    names = ("tcp-connect", "udp-sendto", "udp-connect", "uring-connect")
    for guarded in (False, True):
        if guarded:
            world.apply(guard("allow user %d" % ALLOWED))
        for way in here(names):
            for family in FAMILIES:
                for user in (ALLOWED, DENIED):
                    answered = user == ALLOWED or not guarded
                    expect(world, "%s: %s, translated, %s over %s" % ("guard" if guarded else "no guard", WHO[user], way["way"], family),
                           lambda p: send(way, family, user, p), answered, "packet" if guarded else None,
                           "allow" if answered else "deny")


main(limit=600)
