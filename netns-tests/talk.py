#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Many TCP connections that go on talking, in one process.

    talk.py answer PORT                           sends back what comes, to everybody
    talk.py ask ADDRESS PORT N BYTES PAUSE_MS     N connections; each sends BYTES, waits for the same back, pauses

Both say 'ready' when they are. On SIGTERM `ask` lets the last exchanges end and says as JSON what became of its
connections: broken are those that were reset or closed, that got other bytes back, or nothing for STALL seconds.
"""
import heapq
import json
import os
import selectors
import signal
import socket
import sys
import time

STALL = 10.0
CHUNK = 1 << 18
over = False


def stop(*_):
    global over
    over = True


def answer(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    listener.setblocking(False)
    polled = selectors.DefaultSelector()
    polled.register(listener, selectors.EVENT_READ)
    waiting = {}  # connection: bytes to send back
    print("ready", flush=True)
    while not over:
        for key, _ in polled.select(0.1):
            s = key.fileobj
            if s is listener:
                s, _ = listener.accept()
                s.setblocking(False)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting[s] = bytearray()
                polled.register(s, selectors.EVENT_READ)
                continue
            try:
                # No more is read while more than that waits: the other side feels it.
                if len(waiting[s]) < CHUNK:
                    try:
                        data = s.recv(CHUNK)
                        if not data:
                            raise ConnectionResetError
                        waiting[s] += data
                    except BlockingIOError:
                        pass
                if waiting[s]:
                    del waiting[s][: s.send(waiting[s])]
            except BlockingIOError:
                pass
            except OSError:
                polled.unregister(s)
                s.close()
                del waiting[s]
                continue
            wanted = (selectors.EVENT_READ if len(waiting[s]) < CHUNK else 0) | (selectors.EVENT_WRITE if waiting[s] else 0)
            if wanted != key.events:
                polled.modify(s, wanted)


class Asker:
    """One connection."""

    def __init__(self, number, address, port, size):
        self.name = "connection %d" % number
        self.socket = socket.create_connection((address, port), 10)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pattern = os.urandom(min(size, 4096) or 1) * (size // 4096 + 1)
        self.size, self.sent, self.got, self.exchanges, self.began = size, 0, 0, 0, 0.0

    def begin(self):
        self.sent = self.got = 0
        self.began = time.monotonic()

    @property
    def busy(self):
        return bool(self.began)

    def go_on(self):
        """Sends and reads what can be; true when the exchange is complete."""
        try:
            if self.sent < self.size:
                self.sent += self.socket.send(memoryview(self.pattern)[self.sent : self.size])
        except BlockingIOError:
            pass
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return False
        if not data:
            raise OSError("closed by the other side")
        if self.pattern[self.got : self.got + len(data)] != data:
            raise OSError("other bytes came back")
        self.got += len(data)
        return self.got == self.size


def ask(address, port, n, size, pause):
    askers = [Asker(i, address, port, size) for i in range(n)]
    polled = selectors.DefaultSelector()
    start = time.monotonic()
    due = [(start + pause * i / n, i) for i in range(n)]  # spread over the first pause
    broken, slowest, ends = [], 0.0, None
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        if over and ends is None:
            ends, due = now + STALL, []
        if ends is not None and (now > ends or not any(a.busy for a in askers)):
            break
        while due and due[0][0] <= now:
            asker = askers[heapq.heappop(due)[1]]
            asker.begin()
            polled.register(asker.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, asker)
        for key, _ in polled.select(0.05 if not due else max(0, min(0.05, due[0][0] - now))):
            asker = key.data
            try:
                done = asker.go_on()
            except OSError as error:
                broken.append("%s after %d exchanges: %s" % (asker.name, asker.exchanges, error))
                polled.unregister(asker.socket)
                asker.began = 0.0
                continue
            if done:
                polled.unregister(asker.socket)
                slowest = max(slowest, time.monotonic() - asker.began)
                asker.began = 0.0
                asker.exchanges += 1
                if ends is None:
                    heapq.heappush(due, (time.monotonic() + pause, askers.index(asker)))
            elif asker.sent == asker.size and key.events != selectors.EVENT_READ:
                polled.modify(asker.socket, selectors.EVENT_READ, asker)
    now = time.monotonic()
    for a in askers:
        if a.busy:
            broken.append("%s: no answer for %.1f s, %d of %d bytes" % (a.name, now - a.began, a.got, a.size))
    print(json.dumps({"connections": n, "exchanges": sum(a.exchanges for a in askers), "fewest": min(a.exchanges for a in askers),
                      "broken": broken, "slowest_ms": 1000 * slowest}), flush=True)


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
if sys.argv[1] == "answer":
    answer(int(sys.argv[2]))
else:
    ask(sys.argv[2], *map(int, sys.argv[3:6]), int(sys.argv[6]) / 1000)
