# SPDX-License-Identifier: GPL-2.0
"""A SYN flood at the speed of one CPU: live frames of flood.bpf.c, by bpf(2) itself.

    flood.py PROGRAM DEVICE       until stdin ends; then 'PACKETS SECONDS' on stdout
"""
import ctypes
import os
import select
import socket
import struct
import subprocess
import sys
import time

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.environ.get("B", ".build"))
OBJECT = os.path.join(BUILD, "netns-tests", "flood.bpf.o")
FRAME = 78  # of IPv6; IPv4 has padding
BATCH = 64
REPEAT = 1 << 14
OBJ_GET, TEST_RUN, LIVE_FRAMES = 7, 10, 2
SYS_BPF = 321 if os.uname().machine == "x86_64" else 280


def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, 144)
    r = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, command, attributes, 144)
    if r < 0:
        raise OSError(ctypes.get_errno(), "bpf(%d)" % command)
    return r


def send(path, device):
    name = ctypes.create_string_buffer(path.encode())
    program = bpf(OBJ_GET, struct.pack("QII", ctypes.addressof(name), 0, 0))
    data = ctypes.create_string_buffer(FRAME)
    context = ctypes.create_string_buffer(struct.pack("6I", 0, FRAME, 0, socket.if_nametoindex(device), 0, 0))
    run = struct.pack("IIIIQQIIIIQQIII", program, 0, FRAME, 0, ctypes.addressof(data), 0, REPEAT, 0, len(context) - 1, 0,
                      ctypes.addressof(context), 0, LIVE_FRAMES, 0, BATCH)
    sent, start = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        bpf(TEST_RUN, run)
        sent += REPEAT
    print(sent, time.monotonic() - start)


class Flood:
    """A flood from a device of a space on a CPU for as long as the block lasts; then `packets` and `seconds`."""

    def __init__(self, space, device, cpu=1):
        self.space, self.device, self.cpu = space, device, cpu
        self.packets = self.seconds = 0

    @staticmethod
    def prepare(space, device):
        """The device's end of the cable, and the programs' place; a cable's other end must have XDP, too."""
        where = space.world.root + "-flood"
        space.world.roots.add(where)
        subprocess.run(["bpftool", "prog", "loadall", OBJECT, where], check=True)
        space.run("bpftool", "net", "attach", "xdpdrv", "pinned", where + "/origin", "dev", device)

    def __enter__(self):
        self.child = self.space.popen("nice", "-n", "-15", "taskset", "-c", str(self.cpu), sys.executable, os.path.abspath(__file__),
                                      self.space.world.root + "-flood/flood", self.device, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        out, _ = self.child.communicate("\n")
        self.packets, self.seconds = (float(word) for word in out.split())

    @property
    def rate(self):
        return self.packets / self.seconds


if __name__ == "__main__":
    send(sys.argv[1], sys.argv[2])
