#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Many connection attempts of many users at once.

    attempts.py CGROUP FIRST_UID USERS ATTEMPTS ADDRESS PORT

Each user is a process of its own in the cgroup, and calls connect() ATTEMPTS times. Says {"uid": [refused, others]} and the
seconds that it took, as JSON; all begin at the same time.
"""
import errno
import json
import os
import socket
import sys
import time


def become(cgroup, uid):
    with open(os.path.join(cgroup, "cgroup.procs"), "w") as procs:
        procs.write("0")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def attempt(attempts, where):
    refused = 0
    for _ in range(attempts):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.setblocking(False)
            refused += s.connect_ex(where) == errno.ECONNREFUSED
    return refused


def child(cgroup, uid, attempts, where, start, report):
    become(cgroup, uid)
    os.read(start, 1)
    begin = time.monotonic()
    refused = attempt(attempts, where)
    os.write(report, json.dumps([uid, refused, begin, time.monotonic()]).encode() + b"\n")


def main():
    cgroup, (first, users, attempts), where = sys.argv[1], map(int, sys.argv[2:5]), (sys.argv[5], int(sys.argv[6]))
    start, begin = os.pipe()
    result, report = os.pipe()
    for uid in range(first, first + users):
        if os.fork() == 0:
            os.close(begin)
            child(cgroup, uid, attempts, where, start, report)
            os._exit(0)
    os.close(begin)  # all read the end of it
    os.close(report)
    for _ in range(users):
        os.wait()
    with os.fdopen(result) as rows:
        done = [json.loads(row) for row in rows]
    print(json.dumps({"refused": {uid: refused for uid, refused, _, _ in done}, "attempts": users * attempts,
                      "seconds": max(row[3] for row in done) - min(row[2] for row in done)}))


main()
