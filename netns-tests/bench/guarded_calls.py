# SPDX-License-Identifier: GPL-2.0
"""What a guard costs who does not talk to its endpoint: a connect(), a packet that leaves; beside owner rules of others.

Each configuration has a namespace and a cable of its own. What is sent has somebody else's MAC address: the other end of
the cable drops it first thing.
"""
import json
import os
import subprocess

import lab
from measure import BUILD, Invalid

CALLS = os.path.join(BUILD, "calls")
PEER, PORT = "10.9.0.2", "9"
ENDPOINTS = ("169.254.169.254", "fd00:ec2::254")
GUARD = "guard metadata {\n\tprovider aws, gcp, azure\n\tallow user root\n}\n"
NFT = "table inet owner {\nchain out {\ntype filter hook output priority 0\n%s}\n}\n" % "".join(
    "%s daddr %s meta skuid != 0 reject\n" % (family, address) for family, address in zip(("ip", "ip6"), ENDPOINTS))


def with_nothing(_world, _space, _cgroup):
    pass


def with_weir(world, space, cgroup):
    space.weir("apply", "--cgroup", cgroup, "-", stdin=GUARD, expect=0)


def with_iptables(_world, space, _cgroup):
    for program, address in zip(("iptables", "ip6tables"), ENDPOINTS):
        space.run(program, "-A", "OUTPUT", "-d", address, "-m", "owner", "!", "--uid-owner", "0", "-j", "REJECT")


def with_nft(_world, space, _cgroup):
    space.run("nft", "-f", "-", input=NFT)


WHO = {"none": with_nothing, "weir": with_weir, "iptables": with_iptables, "nft inet": with_nft}


class Place:
    def __init__(self, world, number, setup):
        self.space, self.end = world.space("c%d" % number), world.space("e%d" % number)
        world.veth(self.space, "d0", self.end, "d1")
        self.space.ip("addr", "add", "10.9.0.1/24", "dev", "d0")
        self.space.ip("neigh", "add", PEER, "lladdr", "02:00:00:00:00:99", "dev", "d0")
        self.cgroup = world.cgroup("calls%d" % number)
        setup(world, self.space, self.cgroup)

    def words(self, name):
        return "%s=/run/netns/%s,%s" % (name, self.space.name, self.cgroup)


def costs(row, rounds, calls, cpu):
    """Two rows: ns over the same call where nothing filters."""
    world = lab.World()
    places, absent = {}, {}
    try:
        for number, (name, setup) in enumerate(WHO.items()):
            try:
                places[name] = Place(world, number, setup)
            except (RuntimeError, OSError) as error:
                absent[name] = str(error).splitlines()[0][:200]
        return [cost(row, places, absent, how, what, ceiling, rounds, calls, cpu) for how, what, ceiling in (
            ("connect", "connect() to an address that no guard is for", 100),
            ("send", "a packet that leaves, to an address that no guard is for", 30))]
    finally:
        world.close()


def cost(row, places, absent, how, what, ceiling, rounds, calls, cpu):
    done = subprocess.run([CALLS, "--cpu", str(cpu), "--rounds", str(rounds), "--calls", str(calls), how, PEER, PORT,
                           *[place.words(name) for name, place in places.items()]], capture_output=True, text=True)
    if done.returncode:
        raise Invalid(done.stderr.strip())
    ns = {target["name"]: target["ns"] for target in json.loads(done.stdout)["targets"]}
    found = row(what, "ns", ceiling)
    found["absent"] = dict(absent)
    for name in ns:
        if name != "none":
            found["values"][name] = [a - b for a, b in zip(ns[name], ns["none"])]
    return found
