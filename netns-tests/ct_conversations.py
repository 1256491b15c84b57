# SPDX-License-Identifier: GPL-2.0
"""The conversations of a run of ct_witness.py: every second one of the scripts, the others random."""
import random

from ct_scripts import SCRIPTS
from ct_talk import Talk


# ---- random ones ----


def forge(t):
    """Something that somebody else says in between."""
    side = t.r.choice("ab")
    far = t.r.choice([1 << 22, -(1 << 22), 1 << 29, -(1 << 29)])
    what = t.r.randrange(9)
    if what == 0:
        t.tcp(side, "R", seq=far, forged=True)
    elif what == 1:
        t.tcp(side, t.r.choice(["A", "PA"]), t.r.randint(0, 500), seq=far, forged=True)
    elif what == 2:
        t.tcp(side, "A", ack=far, forged=True)
    elif what == 3:
        t.tcp(side, "S", absolute=t.r.getrandbits(32), forged=True)
    elif what == 4:
        t.tcp(side, "SA", absolute=t.r.getrandbits(32), forged=True)
    elif what == 5:
        t.tcp(side, t.r.choice(["", "F", "FPU", "SF", "SR", "P", "FR"]), forged=True)
    elif what == 6 and t.packets:
        about = t.r.choice(t.packets)
        if about.proto == 6:
            t.error("b" if about.side == "a" else "a", about, t.r.choice(["unreachable", "too-big", "exceeded"]))
    elif what == 7:
        t.tcp(side, "A", seq=-1, forged=True)
    elif what == 8 and t.packets:
        t.again(t.r.choice(t.packets))


def r_tcp(t):
    r = t.r
    for _ in range(r.choice([1, 1, 2, 3])):  # connections, one after another between the same ends
        t.handshake(scale=r.choice([("a", "b"), ("a", "b"), (), ("a",)]), window=r.choice([4096, 8192, 64240, 1 << 20]))
        for _ in range(r.randint(0, 6)):
            t.exchange(1, min(1400, t.window["a"]))
            if r.random() < 0.15:
                forge(t)
        end = r.random()
        if end < 0.7:
            t.close(r.choice("ab"))
        else:
            t.tcp(r.choice("ab"), r.choice(["R", "RA"]))
    lose(t)


def r_udp(t):
    sent = []
    for _ in range(t.r.randint(1, 8)):
        what = t.r.random()
        if what < 0.7 or not sent:
            sent.append(t.udp(t.r.choice("aab")))
        else:
            about = t.r.choice(sent)
            t.error("b" if about.side == "a" else "a", about, t.r.choice(["unreachable", "exceeded", "too-big"]))
    lose(t)


def r_icmp(t):
    for _ in range(t.r.randint(1, 8)):
        t.r.choice([t.ask, t.answer])(t.r.choice("ab"), ident=t.port["a"] + t.r.choice([0, 0, 0, 1]))
    lose(t)


def lose(t):
    """Packets that were lost on their way, came twice, or late."""
    r, out = t.r, []
    harm = r.choice([0, 0.02, 0.1, 0.3])
    for packet in t.packets:
        what = r.random() / harm if harm else 9
        if what < 0.4:
            continue
        out.append(packet)
        if what < 0.7:
            out.append(packet)
        elif what < 1 and len(out) > 1:
            out[-1], out[-2] = out[-2], out[-1]
    t.packets = out


# ---- all of a run ----


def conversations(n, seed):
    """Talks, each with its packets."""
    r = random.Random(seed)
    scripts = SCRIPTS * (n // (2 * len(SCRIPTS)) + 1)
    found = []
    for number in range(n):
        one = random.Random(r.getrandbits(64))
        make = scripts[number // 2] if number % 2 == 0 else one.choice([r_tcp] * 6 + [r_udp, r_icmp])
        talk = Talk(one, number, 4 if number // 2 % 2 else 6)
        talk.name = make.__name__[2:]
        make(talk)
        found.append(talk)
    return found


def interleaved(talks, seed, at_once=8):
    """(talk, packet) of all, a few conversations going on at a time."""
    r = random.Random(seed)
    waiting, going = list(talks), []
    while waiting or going:
        while waiting and len(going) < at_once:
            going.append(iter([(waiting[0], p) for p in waiting[0].packets]))
            waiting.pop(0)
        one = r.choice(going)
        try:
            yield next(one)
        except StopIteration:
            going.remove(one)
