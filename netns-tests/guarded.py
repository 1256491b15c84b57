# SPDX-License-Identifier: GPL-2.0
"""A host with guards, the endpoint that they guard, and a container beside it.

    cloud ns: c0 192.0.2.1            <---- cable ---->  h0 192.0.2.2  :host ns: v0 10.9.0.1 <---- cable ----> b0 :box ns
              169.254.169.254                               2001:db8::2             fd09::1
              2001:db8::1 fd00:ec2::254

weir runs in host, and guards the cgroup `guarded` (host's processes) of ours. The endpoint answers HTTP at PORT, MPTCP at
MPTCP_PORT, UDP and UDP-Lite at PORT, and ping.
"""
import json
import os
import subprocess

from lab import BUILD, World

SEND = os.path.join(BUILD, "netns-tests", "send")
FOLDER = os.path.dirname(os.path.abspath(__file__))

ENDPOINT, ENDPOINT6 = "169.254.169.254", "fd00:ec2::254"
PORT, MPTCP_PORT = 80, 81
CLOUD, CLOUD6 = "192.0.2.1", "2001:db8::1"
HOST, HOST6 = "192.0.2.2", "2001:db8::2"
CLOUD_MAC, HOST_MAC = "02:00:00:00:00:c0", "02:00:00:00:00:40"
ALLOWED, DENIED = 47001, 47002  # users that have no name

LAYERS = ("call", "packet")
DENIALS = ("deny", "deny-forwarded", "no-owner", "no-token", "path", "bad-request", "table")

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


class Sending:
    """A `send` that runs; with before=True it has had an answer and waits to ask again."""

    def __init__(self, space, options, way, family, before=False, raw=False, source=None, device=None):
        address = ENDPOINT6 if family == "6" else ENDPOINT
        command = [SEND, *options]
        if raw:
            command += ["--raw", "--from", source, "--device", device[0], "--own-mac", device[1], "--mac", device[2]]
        if before:
            command.append("--before")
        port = MPTCP_PORT if way == "mptcp" else PORT
        self.child = space.popen(*command, way, family, address, str(port), stdin=subprocess.PIPE,
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
        self.outside, self.guarded = self.cgroup("outside"), self.cgroup("guarded")
        self.cable()
        self.endpoint()

    def cable(self):
        host, cloud = self.host, self.cloud
        self.veth(cloud, "c0", host, "h0", mac_a=CLOUD_MAC, mac_b=HOST_MAC, ipv6=True)
        self.addresses(cloud, "c0", CLOUD + "/24", CLOUD6 + "/64", ENDPOINT + "/32", ENDPOINT6 + "/128")
        self.addresses(host, "h0", HOST + "/24", HOST6 + "/64")
        self.routes(host, "h0")
        host.sysctl("ipv4/ping_group_range", "0 2147483647")
        # Data in the SYN, without the cookie of an earlier connection.
        host.sysctl("ipv4/tcp_fastopen", 0x5)
        cloud.sysctl("ipv4/tcp_fastopen", 0x602)

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

    def send(self, way, family, *options, before=False):
        """As a process of the host; see send/main.c."""
        return Sending(self.host, ["--cgroup", self.guarded, *options], way["way"], family, before=before, raw=way["raw"],
                       source=HOST6 if family == "6" else HOST, device=("h0", HOST_MAC, CLOUD_MAC))

    def apply(self, rules, expect=0):
        """What is outside of `guarded` is not judged by calls: its packets are."""
        return self.host.weir("apply", "--cgroup", self.guarded, "-", stdin=rules, expect=expect)


class GuardCounters:
    """`weir show guards --json`."""

    def __init__(self, world):
        self.guards = world.host.weir("show", "guards", "--json", expect=0).json["guards"]

    def packets(self, layer, outcome, name="metadata"):
        for each in self.guards:
            if each["name"] == name:
                for counter in each["counters"]:
                    if (counter["layer"], counter["outcome"]) == (layer, outcome):
                        return counter["packets"]
                return 0
        raise KeyError(name)

    def denials(self, name="metadata"):
        return {layer: sum(self.packets(layer, outcome, name) for outcome in DENIALS) for layer in LAYERS}

    def denials_since(self, before, name="metadata"):
        earlier = before.denials(name)
        return {layer: n - earlier[layer] for layer, n in self.denials(name).items()}
