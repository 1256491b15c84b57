# SPDX-License-Identifier: GPL-2.0
"""Lists of flows: what the generator sends, in the order it sends it (flow.h)."""
import ipaddress
import random
import struct
from array import array

MAGIC = 0x776F6C66
TCP, UDP = 6, 17
SYN, ACK = 2, 16


def be32(value):
    return int.from_bytes(value.to_bytes(4, "big"), "little")


def address(text_or_int):
    """(family, int) of an address as text, or of an IPv4 address as a number."""
    if isinstance(text_or_int, int):
        return 4, text_or_int
    parsed = ipaddress.ip_address(text_or_int)
    return parsed.version, int(parsed)


class Flows:
    """Narrow while every flow is IPv4, as numbers; wide() makes one of any family."""

    def __init__(self, rows, wide=False):
        """rows: (saddr, daddr, proto, sport, dport, flags), addresses as int; wide: (family, ...) in front."""
        self.wide = wide
        self.count = len(rows)
        self.before = []  # Flows that are sent once each, so that the filter knows these
        self.tcp = all(row[3 if wide else 2] == TCP for row in rows)
        if wide:
            self.data = b"".join(self._wide(*row) for row in rows)
        else:
            self.data = self._narrow(rows)

    @staticmethod
    def _narrow(rows):
        words = array("I", bytes(16 * len(rows)))
        for i, column in ((0, 0), (1, 1)):
            words[i::4] = array("I", [row[column] for row in rows])
        words[2::4] = array("I", [row[3] << 16 | row[4] for row in rows])
        words.byteswap()
        words[3::4] = array("I", [row[2] | row[5] << 8 for row in rows])
        return words.tobytes()

    @staticmethod
    def _wide(family, saddr, daddr, proto, sport, dport, flags):
        def words(value):
            return value.to_bytes(16, "big") if family == 6 else value.to_bytes(4, "big") + bytes(12)

        return struct.pack("4B2H", family, proto, flags, 0, *struct.unpack("2H", struct.pack(">2H", sport, dport))) \
            + words(saddr) + words(daddr)

    def write(self, path):
        with open(path, "wb") as out:
            out.write(struct.pack("4I", MAGIC, 10 if self.wide else 4, self.count, int(self.tcp)))
            out.write(self.data)
        return path

    def cut(self, count):
        """The same, but only the first `count`: of a shuffled list, a hot set."""
        short = Flows.__new__(Flows)
        size = 40 if self.wide else 16
        short.before = self.before
        short.wide, short.tcp, short.count = self.wide, self.tcp, min(count, self.count)
        short.data = self.data[:size * short.count]
        return short


def syn(rng, saddr, dport, daddr=None):
    """A TCP SYN to a port, from an address; the rest is random."""
    return saddr, rng.getrandbits(32) if daddr is None else daddr, TCP, rng.randrange(1024, 65536), dport, SYN


def generator(name):
    """The same case has the same flows in every run."""
    return random.Random("weir " + name)
