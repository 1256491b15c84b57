#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Real frames on each hook: what arrives, and which counter says why not."""
import os
import socket
import struct

from frame import HERE, THERE, arp_request, ether, frame
from lab import Counters, Tap, Wire, World, check, curl, equal, main, nginx, pair_world, skip, wait

US, YOU = "10.0.0.1", "10.0.0.2"
US6, YOU6 = "fd00::1", "fd00::2"
N = 3

RULES = """
set office { 192.0.2.0/24, 2001:db8:7::/48 }
filter edge {
    %s
    malformed drop
    fragments drop
    default accept
    tcp dport 22 saddr @office counter office accept
    tcp dport 22 counter ssh drop
    udp dport { 53, 1000-1010 } counter ports drop
    vlan id 7 counter seven drop
    icmp type echo-request counter ping drop
    icmpv6 type echo-request counter ping drop
    sctp dport 9 counter stream drop
    ether type arp counter arp drop
    ether type 0x88b5 counter odd drop
    ip saddr != 10.0.0.0/8 ip saddr != 192.0.2.0/24 counter strange drop
    tcp flags syn / syn,ack tcp dport 81 counter syn drop
    meta length > 1400 udp dport 99 counter long drop
}
"""

AH = (51, bytes([4]) + b"\0" * 22)       # 24 bytes
HOPOPT = (0, bytes([0, 1, 4]) + b"\0" * 4)
DSTOPT = (60, bytes([0, 1, 4]) + b"\0" * 4)
LATER6 = (44, b"\0" + struct.pack("!HI", 100 << 3, 1))
FIRST6 = (44, b"\0" + struct.pack("!HI", 1, 1))
ATOMIC6 = (44, b"\0" + struct.pack("!HI", 0, 1))


def ah4(sport, dport):
    """IPv4, an authentication header, TCP."""
    tcp = frame("tcp", YOU, US, sport=sport, dport=dport)[34:]
    return frame("raw", YOU, US, proto=51, payload=bytes([6, 4]) + b"\0" * 22 + tcp)


# what we believe, the frame, the counter or the reason that takes it (None: it arrives)
ROWS = [
    ("plain http passes", frame("tcp", YOU, US, dport=80), None),
    ("ssh is dropped", frame("tcp", YOU, US, dport=22), "ssh"),
    ("ssh over IPv6 is dropped", frame("tcp", YOU6, US6, dport=22), "ssh"),
    ("ssh from the office passes", frame("tcp", "192.0.2.7", US, dport=22), None),
    ("ssh from the IPv6 office passes", frame("tcp", "2001:db8:7::5", US6, dport=22), None),
    ("udp port of a list", frame("udp", YOU, US, dport=53), "ports"),
    ("udp port inside a range", frame("udp", YOU6, US6, dport=1005), "ports"),
    ("udp port beside a range", frame("udp", YOU, US, dport=1011), None),
    ("ping", frame("icmp", YOU, US), "ping"),
    ("ping6", frame("icmpv6", YOU6, US6, icmp=(128, 0)), "ping"),
    ("echo reply", frame("icmp", YOU, US, icmp=(0, 0)), None),
    ("sctp", frame("sctp", YOU, US, dport=9, payload=b"\0" * 8), "stream"),
    ("arp", arp_request(YOU, US), "arp"),
    ("an EtherType of no one's", ether(b"\0" * 50, 0x88B5), "odd"),
    ("another EtherType", ether(b"\0" * 50, 0x88B6), None),
    ("a source from elsewhere", frame("tcp", "198.51.100.9", US, dport=80), "strange"),
    ("a syn", frame("tcp", YOU, US, dport=81), "syn"),
    ("a syn with ack", frame("tcp", YOU, US, dport=81, flags="SA"), None),
    ("a long datagram", frame("udp", YOU, US, dport=99, payload=b"x" * 1400), "long"),
    ("a short one", frame("udp", YOU, US, dport=99, payload=b"x" * 100), None),
    ("behind IPv4 options", frame("tcp", YOU, US, dport=22, options=b"\1" * 12), "ssh"),
    ("behind a VLAN tag", frame("tcp", YOU, US, dport=22, tags=[(0x8100, 5)]), "ssh"),
    ("behind an 802.1ad tag", frame("tcp", YOU, US, dport=22, tags=[(0x88A8, 5)]), "ssh"),
    ("behind a priority tag", frame("tcp", YOU, US, dport=22, tags=[(0x8100, 0xE000)]), "ssh"),
    ("behind two tags", frame("tcp", YOU, US, dport=22, tags=[(0x88A8, 5), (0x8100, 6)]), "ssh"),
    ("behind two 802.1Q tags", frame("tcp", YOU6, US6, dport=22, tags=[(0x8100, 5), (0x8100, 6)]), "ssh"),
    ("http behind a tag passes", frame("tcp", YOU, US, dport=80, tags=[(0x8100, 5)]), None),
    ("a tag of its own rule", frame("tcp", YOU, US, dport=80, tags=[(0x8100, 7)]), "seven"),
    ("the same with a priority", frame("tcp", YOU, US, dport=80, tags=[(0x8100, 0x6007)]), "seven"),
    ("the inner tag is not the outer", frame("tcp", YOU, US, dport=80, tags=[(0x8100, 5), (0x8100, 7)]), None),
    ("behind hop-by-hop options", frame("tcp", YOU6, US6, dport=22, extensions=[HOPOPT]), "ssh"),
    ("behind three extension headers", frame("tcp", YOU6, US6, dport=22, extensions=[HOPOPT, DSTOPT, AH]), "ssh"),
    ("behind an IPv6 authentication header", frame("tcp", YOU6, US6, dport=22, extensions=[AH]), "ssh"),
    ("behind an IPv4 authentication header", ah4(40000, 22), "ssh"),
    ("in an atomic fragment", frame("tcp", YOU6, US6, dport=22, extensions=[ATOMIC6]), "ssh"),
    ("padded to the Ethernet minimum", frame("tcp", YOU, US, dport=22) + b"\0" * 6, "ssh"),
    ("a first fragment", frame("tcp", YOU, US, dport=80, frag=0x2000, payload=b"x" * 12), "fragment"),
    ("a later fragment", frame("raw", YOU, US, proto=6, frag=100, payload=b"x" * 40), "fragment"),
    ("a first IPv6 fragment", frame("tcp", YOU6, US6, dport=80, extensions=[FIRST6], payload=b"x" * 12), "fragment"),
    ("a later IPv6 fragment", frame("raw", YOU6, US6, proto=6, extensions=[LATER6], payload=b"x" * 40), "fragment"),
    ("an IPv4 header of four words", frame("tcp", YOU, US, dport=80, ihl=4), "bad-ihl"),
    ("a TCP header of four words", frame("tcp", YOU, US, dport=80, doff=4), "bad-doff"),
    ("a length below the header", frame("tcp", YOU, US, dport=80, total=10), "bad-length"),
    ("a length beyond the frame", frame("tcp", YOU, US, dport=80, total=400), "bad-length"),
    ("IPv6 that says it is 4", frame("tcp", YOU6, US6, dport=80, version=4), "bad-version"),
    ("IPv4 that ends in its header", frame("tcp", YOU, US, dport=80, cut=30), "truncated"),
    ("a fragment over the flags", frame("raw", YOU, US, proto=6, frag=1, payload=b"x" * 40), "fragment-offset"),
    ("a first fragment without ports", frame("raw", YOU, US, proto=6, frag=0x2000, payload=b"x" * 8), "tiny-fragment"),
    ("three tags", frame("tcp", YOU, US, dport=80, tags=[(0x8100, 5)] * 3), "too-many-tags"),
]
REASONS = ("fragment", "bad-ihl", "bad-doff", "bad-length", "bad-version", "truncated", "fragment-offset",
           "tiny-fragment", "too-many-tags")


def value(counters, name):
    return counters.reason("edge", name) if name in REASONS else counters.named(name)


def rows(hook, space, send, arrived):
    """Each row N times: taken by its counter, or arrived."""
    before = Counters(space)
    for what, data, taken_by in ROWS:
        here = arrived()
        send(data, N)
        if taken_by:
            wait(lambda: value(Counters(space), taken_by) >= value(before, taken_by) + N, 2)
            after = Counters(space)
            got = (value(after, taken_by) - value(before, taken_by), arrived() - here)
            equal("%s: %s: dropped by %s" % (hook, what, taken_by), got, (N, 0))
            before = after
        else:
            wait(lambda: arrived() >= here + N, 2)
            equal("%s: %s: arrives" % (hook, what), arrived() - here, N)


def ingress(hook, words):
    world, wire, guard = pair_world()
    tap, out = Tap(guard, "g0", THERE), Wire(wire, "w0")
    out.send(frame("udp", YOU, US, dport=9))
    wait(lambda: tap.read() == 1)
    guard.weir("apply", "-", stdin=RULES % ("hook %s; device g0" % words), expect=0)
    rows(hook, guard, out.send, tap.read)


def t_xdp_native():
    ingress("xdp", "ingress")


def t_xdp_generic():
    ingress("generic", "ingress generic")


def t_tc_ingress():
    ingress("tc", "ingress tc")


def t_tc_egress():
    world, wire, guard = pair_world()
    out, far = Wire(guard, "g0"), Wire(wire, "w0")
    guard.weir("apply", "-", stdin=RULES % "hook egress; device g0", expect=0)
    seen = [0]

    def arrived():
        seen[0] += far.count()
        return seen[0]

    rows("egress", guard, out.send, arrived)


def t_tags_in_metadata():
    """A bridge port that adds a tag does so in the skb, not in the frame: the egress program must see it."""
    with World() as world:
        guard, wire = world.space("guard"), world.space("wire")
        world.veth(wire, "w0", guard, "g0")
        world.veth(wire, "w1", guard, "g1")
        try:
            guard.ip("link", "add", "name", "br0", "type", "bridge", "vlan_filtering", "1")
            for device in ("g0", "g1"):
                guard.ip("link", "set", device, "master", "br0")
            guard.ip("link", "set", "br0", "up")
            guard.run("bridge", "vlan", "add", "dev", "g0", "vid", "5", "pvid", "untagged")
            guard.run("bridge", "vlan", "del", "dev", "g0", "vid", "1")
            guard.run("bridge", "vlan", "add", "dev", "g1", "vid", "5")
        except RuntimeError:
            print("      this kernel's bridge has no VLANs: left out")
            return
        out, far = Wire(wire, "w0"), Wire(wire, "w1")
        http, ssh = (frame("tcp", YOU, US, dport=p) for p in (80, 22))

        def forwards():
            out.send(http)
            return far.count(THERE, 1, 0.1)

        check("the bridge forwards", wait(forwards, 5))
        guard.weir("apply", "-", expect=0, stdin="""
            filter tagged { hook egress; device g1; default accept
                vlan id 5 tcp dport 22 counter tagged drop
                tcp dport 22 counter untagged drop
                vlan id 5 counter five accept
            }
        """)
        far.count()
        out.send(ssh, N)
        out.send(http, N)
        equal("http arrives", far.count(THERE, N), N)
        counters = Counters(guard)
        got = [counters.named(n) for n in ("tagged", "untagged", "five")]
        equal("the rule on the tag took ssh, and saw the tag of http", got, [N, 0, N])


def t_owner_and_mark():
    world, wire, guard = pair_world()
    guard.ip("addr", "add", "10.0.0.1/24", "dev", "g0")
    guard.ip("neigh", "add", "10.0.0.2", "lladdr", THERE, "dev", "g0")
    guard.weir("apply", "-", expect=0, stdin="""
        filter out { hook egress; device g0; default accept
            meta skuid 1234 udp dport 9 counter user drop
            meta skuid root udp dport 10 counter root drop
            meta skuid != { 0, 1234 } udp dport 12 counter others drop
            meta mark 0x77 udp dport 11 counter marked drop
        }
    """)
    far = Wire(wire, "w0")

    def datagram(port, uid=0, mark=0):
        """A datagram through a socket made by that user."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                each = None
                os.setgroups([])
                from lab import inside
                with inside(guard.name):
                    if uid:
                        os.seteuid(uid)
                    each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    os.seteuid(0)
                if mark:
                    each.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
                each.sendto(b"x" * 20, ("10.0.0.2", port))
                os._exit(0)
            except OSError as error:
                os.write(writer, str(error).encode())
                os._exit(1)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        said = os.read(reader, 200)
        os.close(reader)
        if status:
            print("      sendto said:", said.decode())

    # what                                    port, user, mark   counter   arrives
    table = [
        ("the user's port is dropped for him", (9, 1234, 0), "user", 0),
        ("and open for others", (9, 0, 0), "user", 1),
        ("root's port is dropped for root", (10, 0, 0), "root", 0),
        ("and open for others", (10, 1234, 0), "root", 1),
        ("a user of no list is dropped", (12, 4321, 0), "others", 0),
        ("those of the list pass", (12, 1234, 0), "others", 1),
        ("a marked datagram is dropped", (11, 0, 0x77), "marked", 0),
        ("an unmarked one passes", (11, 0, 0), "marked", 1),
    ]
    for what, how, counter, arrives in table:
        before = Counters(guard).named(counter)
        datagram(*how)
        got = (Counters(guard).named(counter) - before, far.count(HERE, 1, 0.5 if arrives else 0.0))
        equal(what, got, (1 - arrives, arrives))


def t_redirect():
    """   wire: w0 ---- g0 :guard: g1 ---- b0 :back    frames to port 7 leave through g1"""
    for hook in ("ingress", "ingress generic", "ingress tc"):
        world, wire, guard = pair_world()
        back = world.space("back")
        world.veth(guard, "g1", back, "b0")
        back.run("ethtool", "-K", "b0", "gro", "on")
        guard.weir("apply", "-", expect=0, stdin="""
            filter edge { hook %s; device g0; default accept
                udp dport 7 counter sent redirect g1
            }
        """ % hook)
        tap, out, far = Tap(guard, "g0", THERE), Wire(wire, "w0"), Wire(back, "b0")
        out.send(frame("udp", YOU, US, dport=7, payload=b"x" * 100), 50)
        out.send(frame("udp", YOU, US, dport=8), 1)
        wait(lambda: tap.read())
        got = (far.count(THERE, 50), tap.read(), Counters(guard).named("sent"))
        equal("%s: 50 frames leave through the other device, one stays" % hook, got, (50, 1, 50))
        world.close()


def stream(hook, mtu):
    world = World()
    client, guard = world.space("client"), world.space("guard")
    world.veth(client, "c0", guard, "g0", mtu=mtu)
    client.ip("addr", "add", "10.0.0.2/24", "dev", "c0")
    guard.ip("addr", "add", "10.0.0.1/24", "dev", "g0")
    size = 24 << 20
    nginx(guard, world, files={"big": b"\0" * size})
    nginx(client, world, files={"big": b"\0" * size})
    guard.weir("apply", "-", expect=0, stdin="""
        filter edge { hook %s; device g0; default drop
            ether type arp accept
            tcp dport 80 counter web accept
            tcp sport 80 counter back accept
        }
    """ % hook)
    for who, url in ((client, "http://10.0.0.1/big"), (guard, "http://10.0.0.2/big")):
        before = Counters(guard)
        out = who.run("curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{size_download}", url, expect=None)
        equal("%s, MTU %d: %s gets a stream of 24 MB" % (hook, mtu, who.role), out, str(size))
        after = Counters(guard)
        check("and it is counted", any(after.named(n) > before.named(n) + 3 for n in ("web", "back")))
    counters = Counters(guard)
    equal("none of it is taken for malformed",
          [counters.reason("edge", r) for r in ("truncated", "bad-length", "default")], [0, 0, 0])
    world.close()


def t_streams():
    for hook in ("ingress", "ingress generic", "ingress tc", "egress"):
        for mtu in (1500, 9000):
            stream(hook, mtu)


main()
