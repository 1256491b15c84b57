# SPDX-License-Identifier: GPL-2.0
"""A host with guards, the endpoint that they guard, and what is like a container.

    cloud: c0 192.0.2.1    2001:db8::1  <---- cable ---->  h0 192.0.2.2 2001:db8::2 :host: v0  <---- cable ---->  b0 :box
              169.254.169.254
              fd00:ec2::254

weir runs in host; of the calls it judges those of our cgroup guarded.slice. The endpoint answers HTTP, UDP and UDP-Lite
at PORT, HTTP over MPTCP at MPTCP_PORT, and ping. Boxes are at the end.
"""
import json
import os
import subprocess

from lab import BUILD, Space, World, cgroup_root, run, wait

SEND = os.path.join(BUILD, "netns-tests", "send")
FOLDER = os.path.dirname(os.path.abspath(__file__))

ENDPOINT, ENDPOINT6 = "169.254.169.254", "fd00:ec2::254"
PORT, MPTCP_PORT = 80, 81
CLOUD, CLOUD6 = "192.0.2.1", "2001:db8::1"
HOST, HOST6 = "192.0.2.2", "2001:db8::2"
CLOUD_MAC, HOST_MAC = "02:00:00:00:00:c0", "02:00:00:00:00:40"
ALLOWED, DENIED = 47001, 47002  # users that have no name

ENDPOINTS = "endpoint " + ", ".join(
    form % (address, port) for form, address in (("%s:%d", ENDPOINT), ("[%s]:%d", ENDPOINT6)) for port in (PORT, MPTCP_PORT)
)


def guard(*statements, name="metadata"):
    """A rule file with one guard."""
    return "guard %s {\n\t%s\n}\n" % (name, "\n\t".join((ENDPOINTS, *statements)))


def ways():
    """What `send` can, by name."""
    out = subprocess.run([SEND, "list"], capture_output=True, text=True, check=True).stdout
    return {each["way"]: each for each in map(json.loads, out.splitlines())}


class Link:
    """What who writes headers by hand has to know: addresses, the device, and its MAC and the next one's."""

    def __init__(self, four, six, device, own_mac, mac):
        self.source = {"4": four, "6": six}
        self.options = ["--device", device, "--own-mac", own_mac, "--mac", mac]


class Sending:
    """A `send` that runs; with before=True it has had an answer and waits to ask again."""

    def __init__(self, space, link, way, family, options, before=False, to=None):
        address = to or (ENDPOINT6 if family == "6" else ENDPOINT)
        command = [SEND, *options]
        if way["raw"]:
            command += ["--raw", "--from", link.source[family], *link.options]
        if before:
            command.append("--before")
        port = MPTCP_PORT if way["way"] == "mptcp" else PORT
        self.child = space.popen(*command, way["way"], family, address, str(port), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.world = space.world
        self.first = self.child.stdout.readline() if before else None

    @property
    def is_ready(self):
        return self.first == "ready\n"

    def end(self):
        """Asks again if it waits for that; what came of it."""
        try:
            out, err = self.child.communicate("\n" if self.is_ready else None, timeout=20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            out, err = self.child.communicate()
            err += "killed: it hung"
        self.world.children.remove(self.child)
        out = out or ("" if self.is_ready else self.first or "")
        if self.child.returncode:
            return {"step": "none", "errno": -1, "error": "exit %d: %s" % (self.child.returncode, err), "ms": 0, "bytes": 0}
        return json.loads(out)


class GuardedWorld(World):
    def __init__(self):
        super().__init__()
        self.host, self.cloud = self.space("host"), self.space("cloud")
        self.outside, self.guarded = self.cgroup("outside.slice"), self.cgroup("guarded.slice")
        self.cable()
        self.endpoint()

    def cable(self):
        host, cloud = self.host, self.cloud
        self.veth(cloud, "c0", host, "h0", mac_a=CLOUD_MAC, mac_b=HOST_MAC, ipv6=True)
        self.addresses(cloud, "c0", CLOUD + "/24", CLOUD6 + "/64", ENDPOINT + "/32", ENDPOINT6 + "/128")
        self.addresses(host, "h0", HOST + "/24", HOST6 + "/64")
        self.routes(host, "h0")
        host.sysctl("ipv4/ping_group_range", "0 2147483647")
        for device in ("all", "c0"):
            cloud.sysctl("ipv6/conf/%s/seg6_enabled" % device, 1)
        # Data in the SYN, without the cookie of an earlier connection.
        host.sysctl("ipv4/tcp_fastopen", 0x5)
        cloud.sysctl("ipv4/tcp_fastopen", 0x602)

    def cgroup_path(self, directory):
        """As rules and /proc name it."""
        return "/" + os.path.relpath(directory, cgroup_root())

    @staticmethod
    def addresses(space, device, *addresses):
        for each in addresses:
            space.ip("addr", "add", each, "dev", device, *(["nodad"] if ":" in each else []))

    @staticmethod
    def routes(space, device, via=(None, None)):
        """To the endpoint: on the link, as in a cloud, or by a router."""
        for address, router in zip((ENDPOINT, ENDPOINT6), via):
            space.ip("route", "add", address, *(["via", router] if router else []), "dev", device)

    def endpoint(self):
        child = self.cloud.popen("/usr/bin/python3", os.path.join(FOLDER, "endpoint.py"), str(PORT), str(MPTCP_PORT),
                                 ENDPOINT, ENDPOINT6, stdout=subprocess.PIPE, text=True)
        if child.stdout.readline() != "ready\n":
            raise RuntimeError("the endpoint does not start")

    def send(self, way, family, *options, before=False, to=None):
        """As a process of the host; see send/main.c."""
        options = ("--via", CLOUD6, *options)
        link = Link(HOST, HOST6, "h0", HOST_MAC, CLOUD_MAC)
        return Sending(self.host, link, way, family, ["--cgroup", self.guarded, *options], before=before, to=to)

    def forward(self):
        self.host.sysctl("ipv4/ip_forward", 1)
        self.host.sysctl("ipv6/conf/all/forwarding", 1)

    def apply(self, rules, expect=0):
        """What is outside of `guarded` is not judged by calls: its packets are."""
        return self.host.weir("apply", "--cgroup", self.guarded, "-", stdin=rules, expect=expect)


class GuardCounters:
    """`weir show guards --json`."""

    def __init__(self, world):
        self.guards = world.host.weir("show", "guards", "--json", expect=0).json["guards"]

    def counters(self, name="metadata"):
        return next(each["counters"] for each in self.guards if each["name"] == name)

    def packets(self, layer, outcome, name="metadata"):
        return next(each["packets"] for each in self.counters(name) if (each["layer"], each["outcome"]) == (layer, outcome))

    def denials(self, layer, name="metadata"):
        return sum(each["packets"] for each in self.counters(name) if each["denied"] and each["layer"] == layer)

    def denials_since(self, before):
        """By layer."""
        return {layer: self.denials(layer) - before.denials(layer) for layer in ("call", "packet")}


# ---- boxes: namespaces that reach the endpoint through the host ----

BOX_MAC, INNER_MAC = "02:00:00:00:00:b0", "02:00:00:00:00:10"


class Box:
    """A namespace, how the host connects it, and the host's device by which its packets come in (None: there is none)."""

    def __init__(self, world, space, link, came_by):
        self.world, self.space, self.link, self.came_by = world, space, link, came_by
        self.cannot = set()  # ways that do not get through, guard or not

    def send(self, way, family, *options):
        return Sending(self.space, self.link, way, family, options)


def as_user(uid):
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]


def can_be_rootless():
    """May an ordinary user make a user namespace? Some systems forbid it, and what runs in a chroot never may."""
    return not subprocess.run([*as_user(ALLOWED), "unshare", "--user", "true"], capture_output=True).returncode


class RootlessSpace(Space):
    """A namespace as an ordinary user makes one: he is root in it, and nobody outside."""

    def __init__(self, world, role, uid):
        self.uid, self.pid = uid, None
        super().__init__(world, role)

    def make(self):
        child = subprocess.Popen([*as_user(self.uid), "unshare", "--user", "--net", "sleep", "1000"])
        self.world.children.append(child)
        own, its = (os.readlink("/proc/self/ns/net"), "/proc/%d/ns/net" % child.pid)
        if not wait(lambda: os.readlink(its) != own):
            raise RuntimeError("no namespace of user %d came up" % self.uid)
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (child.pid, name), "w") as out:
                out.write("0 %d 1" % self.uid)
        run("ip", "netns", "attach", self.name, str(child.pid))
        self.pid = child.pid

    def enter(self, *command):
        return ["nsenter", "--target", str(self.pid), "--user", "--net", *command]


def box_space(world, kind=Space, *how):
    space = world.space("box", kind, *how)
    space.sysctl("ipv4/ping_group_range", "0 2147483647")
    return space


def cabled(world, space):
    world.veth(space, "b0", world.host, "v0", mac_a=BOX_MAC, mac_b=INNER_MAC, ipv6=True)


def routed_box(world, kind=Space, *how):
    """v0 is a router's: 10.9.0.1, fd09::1."""
    space = box_space(world, kind, *how)
    cabled(world, space)
    world.addresses(world.host, "v0", "10.9.0.1/24", "fd09::1/64")
    world.addresses(space, "b0", "10.9.0.2/24", "fd09::2/64")
    world.routes(space, "b0", via=("10.9.0.1", "fd09::1"))
    world.forward()
    world.cloud.ip("route", "add", "10.9.0.0/24", "via", HOST)
    world.cloud.ip("route", "add", "fd09::/64", "via", HOST6)
    return Box(world, space, Link("10.9.0.2", "fd09::2", "b0", BOX_MAC, INNER_MAC), "v0")


def masqueraded_box(world):
    """The same, and to the cloud it is the host that asks."""
    box = routed_box(world)
    world.cloud.ip("route", "del", "10.9.0.0/24")
    world.cloud.ip("route", "del", "fd09::/64")
    world.host.run("nft", "-f", "-", input="""table inet nat {
        chain out { type nat hook postrouting priority srcnat; oifname "h0" iifname "v0" masquerade; }
    }
    """)
    box.cannot = {"udplite-connect"}  # not all kernels translate it
    return box


def bridged_box(world):
    """h0 and v0 are ports of a bridge, which has the host's addresses."""
    host, space = world.host, box_space(world)
    cabled(world, space)
    host.ip("link", "add", "br0", "address", HOST_MAC, "type", "bridge")
    for device in ("h0", "v0"):
        host.ip("addr", "flush", "dev", device)
        host.ip("-6", "route", "flush", "dev", device)
        host.ip("link", "set", device, "master", "br0")
    host.ip("link", "set", "br0", "up")
    world.addresses(host, "br0", HOST + "/24", HOST6 + "/64")
    world.routes(host, "br0")
    world.addresses(space, "b0", "192.0.2.3/24", "2001:db8::3/64")
    world.routes(space, "b0")
    return Box(world, space, Link("192.0.2.3", "2001:db8::3", "b0", BOX_MAC, CLOUD_MAC), "v0")


def macvlan_box(world):
    """A device of its own on the host's: None where the kernel has none."""
    space = box_space(world)
    try:
        world.host.ip("link", "add", "b0", "link", "h0", "address", BOX_MAC, "netns", space.name, "type", "macvlan", "mode", "bridge")
    except RuntimeError:
        return None
    space.ip("link", "set", "b0", "up")
    world.addresses(space, "b0", "192.0.2.4/24", "2001:db8::4/64")
    world.routes(space, "b0")
    return Box(world, space, Link("192.0.2.4", "2001:db8::4", "b0", BOX_MAC, CLOUD_MAC), None)
