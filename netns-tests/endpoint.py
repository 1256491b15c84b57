#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What a guard guards: one line over HTTP, an echo over UDP and UDP-Lite.

    endpoint.py PORT MPTCP_PORT ADDRESS...

Says 'ready' when it answers. Bound to each address, so that an answer comes from where it was asked.
"""
import selectors
import socket
import sys

IPPROTO_UDPLITE, IPPROTO_MPTCP = 136, 262
LINE = b"the endpoint answers\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(LINE), LINE)

polled = selectors.DefaultSelector()


def listen(family, address, port, protocol):
    try:
        s = socket.socket(family, socket.SOCK_STREAM, protocol)
    except OSError:
        return  # a kernel without it
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(512)
    polled.register(s, selectors.EVENT_READ, accept)


def accept(listener):
    s, _ = listener.accept()
    waiting = bytearray()
    polled.register(s, selectors.EVENT_READ, lambda s: serve(s, waiting))


def serve(s, waiting):
    try:
        data = s.recv(65536)
    except OSError:
        data = b""
    waiting += data
    try:
        while b"\r\n\r\n" in waiting:
            del waiting[: waiting.index(b"\r\n\r\n") + 4]
            s.sendall(ANSWER)
    except OSError:
        data = b""
    if not data:
        polled.unregister(s)
        s.close()


def echo(s):
    data, who = s.recvfrom(65536)
    try:
        s.sendto(data, who)
    except OSError:
        pass


def main():
    port, mptcp_port = map(int, sys.argv[1:3])
    for address in sys.argv[3:]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listen(family, address, port, 0)
        listen(family, address, mptcp_port, IPPROTO_MPTCP)
        for protocol in (0, IPPROTO_UDPLITE):
            try:
                s = socket.socket(family, socket.SOCK_DGRAM, protocol)
            except OSError:
                continue
            s.bind((address, port))
            polled.register(s, selectors.EVENT_READ, echo)
    print("ready", flush=True)
    while True:
        for key, _ in polled.select():
            key.data(key.fileobj)


main()
