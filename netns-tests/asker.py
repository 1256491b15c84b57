#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Asks an endpoint again and again, each time by a new connection, until its stdin ends; then says how it went.

    asker.py PORT ADDRESS...

{"answered": N, "refused": N, "bytes": N, "errors": [first few]}
"""
import json
import select
import socket
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: endpoint\r\n\r\n"
LIMIT = 3  # seconds: who takes longer hangs


def ask(address, port):
    """The bytes that came back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(LIMIT)
        s.connect((address, port))
        s.sendall(REQUEST)
        return len(s.recv(65536))


def main():
    port, addresses = int(sys.argv[1]), sys.argv[2:]
    said = {"answered": 0, "refused": 0, "bytes": 0, "errors": []}
    print("ready", flush=True)
    n = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            got = ask(addresses[n % len(addresses)], port)
            said["answered"] += 1
            said["bytes"] += got
        except OSError as error:
            said["refused"] += 1
            if len(said["errors"]) < 5:
                said["errors"].append("%s: %s" % (addresses[n % len(addresses)], error))
        n += 1
    print(json.dumps(said), flush=True)


main()
