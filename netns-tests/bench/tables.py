# SPDX-License-Identifier: GPL-2.0
"""Filters with state are compared with tables that the kernel has, as tiny XDP programs (tables.bpf.c), and the kernel's
conntrack gets the room it needs: its size is one number for all namespaces, and is put back."""
import os
import shutil

from measure import DRIVE

PROGRAMS = (("hash map", "hash_xdp"), ("LRU map", "lru_xdp"), ("conntrack kfunc", "ct_xdp"))
MOST = "/proc/sys/net/netfilter/nf_conntrack_max"
BUCKETS = "/sys/module/nf_conntrack/parameters/hashsize"


class Tables:
    """Pinned programs, each with an empty table. `absent`: name -> why this kernel refuses it."""

    def __init__(self, world, space, entries, wanted=PROGRAMS):
        self.directory = "%s-tables-%s-%s" % (world.root, space.role, wanted[0][1])
        self.absent, self.wanted = {}, wanted
        os.makedirs(self.directory, mode=0o700)
        world.roots.add(self.directory)
        for label, program in wanted:
            refused = space.run(DRIVE, "table", "--entries", str(entries), os.path.join(self.directory, program))
            if refused:
                self.absent[label] = refused.strip()

    def targets(self):
        """[(name, pinned program)] of those that are there."""
        return [(name, os.path.join(self.directory, program)) for name, program in self.wanted if name not in self.absent]

    def close(self):
        shutil.rmtree(self.directory)


class Room:
    """Conntrack entries for `flows`, in as many hash buckets, while the block lasts."""

    def __init__(self, flows):
        self.flows, self.before = flows, {}

    def __enter__(self):
        for path, want in ((BUCKETS, self.flows), (MOST, 2 * self.flows)):
            if os.path.exists(path):
                with open(path) as found:
                    value = int(found.read())
                if value < want:
                    self.before[path] = value
                    self._write(path, want)

    def __exit__(self, *_):
        for path, value in self.before.items():
            self._write(path, value)

    @staticmethod
    def _write(path, value):
        with open(path, "w") as out:
            out.write(str(value))
