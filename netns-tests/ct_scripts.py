# SPDX-License-Identifier: GPL-2.0
"""Conversations that ct_witness.py always has: s_* fills a Talk with packets."""
from ct_talk import M32


def s_whole_connection(t):
    t.handshake()
    t.exchange(4)
    t.close(t.r.choice("ab"))


def s_no_scale(t):
    t.handshake(scale=t.r.choice([(), ("a",), ("b",)]))
    t.exchange(3)
    t.close("b")


def s_syn_again(t):
    t.open()
    syn = t.tcp("a", "S")
    t.again(syn)
    t.again(syn)
    answer = t.tcp("b", "SA")
    t.again(answer)
    t.tcp("a", "A")
    t.again(answer)
    t.again(syn)
    t.exchange()


def s_nobody_answers(t):
    t.open()
    for _ in range(3):
        t.tcp("a", "S", forged=True)


def s_refused(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "RA")
    t.tcp("b", "RA", forged=True)


def s_refused_then_again(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "RA")
    t.handshake()
    t.exchange()


def s_reset_without_ack_answers_syn(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "R", forged=True)
    t.tcp("b", "SA")
    t.tcp("a", "A")


def s_wrong_answers_to_syn(t):
    t.open()
    t.tcp("a", "S")
    for off in (1, -1, 1000, -1000, 1 << 31):
        t.tcp("b", "SA", ack=off, forged=True)
        t.tcp("b", "RA", ack=off, forged=True)
    t.tcp("b", "SA")
    t.tcp("a", "A")
    t.exchange()


def s_answer_without_question(t):
    t.open()
    t.tcp("b", "SA")
    t.tcp("a", "R", forged=True)
    t.tcp("a", "A", forged=True)


def s_stray_segments(t):
    t.open()
    for flags in ("A", "PA", "FA", "RA", "R", "SA", "F", "", "FPU", "SF", "SR", "FR", "SFA", "PAU", "U", "P"):
        t.tcp(t.r.choice("ab"), flags, forged=True)


def s_odd_flags_inside(t):
    t.handshake()
    t.exchange(1)
    for flags in ("F", "", "FPU", "SF", "SR", "FR", "SFA", "U", "P", "PAU", "FRA", "SRA"):
        t.tcp(t.r.choice("ab"), flags, forged=True)
    t.exchange(1)


def s_both_begin(t):
    """Simultaneous open."""
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "S")
    t.rcv["a"], t.rcv["b"] = t.nxt["b"], t.nxt["a"]
    t.tcp("a", "SA", seq=-1)
    t.tcp("b", "SA", seq=-1)
    t.tcp("a", "A")
    t.exchange()


def s_both_close(t):
    """Simultaneous close."""
    t.handshake()
    t.exchange(1)
    a, b = t.rcv["a"], t.rcv["b"]
    t.tcp("a", "FA")
    t.rcv["b"] = b
    t.tcp("b", "FA")
    t.rcv["b"] = t.nxt["a"]
    t.rcv["a"] = t.nxt["b"]
    t.tcp("a", "A")
    t.tcp("b", "A")


def s_half_closed(t):
    t.handshake()
    t.tcp("a", "FA")
    t.tcp("b", "A")
    for _ in range(4):
        t.tcp("b", "PA", 900)
        t.tcp("a", "A")
    t.tcp("b", "FA")
    t.tcp("a", "A")


def s_fin_again(t):
    t.handshake()
    t.exchange(1)
    fin = t.tcp("a", "FA")
    t.again(fin)
    t.tcp("b", "A")
    t.again(fin)
    second = t.tcp("b", "FA")
    t.again(second)
    last = t.tcp("a", "A")
    t.again(second)
    t.again(last)


def s_fin_before_ack(t):
    """The one who is asked closes at once."""
    t.open()
    t.tcp("a", "S")
    t.tcp("b", "SA")
    t.tcp("b", "FA")
    t.tcp("a", "A")
    t.tcp("a", "FA")
    t.tcp("b", "A")


def s_data_before_answer(t):
    t.open()
    t.tcp("a", "S")
    t.tcp("a", "PA", 100, forged=True)
    t.tcp("a", "A", forged=True)
    t.tcp("b", "SA")
    t.tcp("a", "A")


def s_late_segments(t):
    t.handshake()
    t.exchange(3)
    t.close()
    t.tcp("b", "PA", 100, seq=-1000, forged=True)
    t.tcp("a", "A", forged=True)
    t.tcp("a", "R", forged=True)
    t.tcp("b", "A", forged=True)


def s_port_again_after_close(t):
    t.handshake()
    t.exchange(1)
    t.close()
    t.handshake()
    t.exchange(2)
    t.close("b")


def s_port_again_from_other_side(t):
    t.handshake()
    t.close()
    t.open()
    t.tcp("b", "S")
    t.tcp("a", "SA")
    t.tcp("b", "A")
    t.exchange(2)


def s_port_again_after_reset(t):
    t.handshake()
    t.tcp(t.r.choice("ab"), "R")
    t.handshake()
    t.exchange(2)


def s_syn_inside(t):
    """A new SYN while the connection lives: it is not believed."""
    t.handshake()
    t.exchange(1)
    t.tcp("a", "S", absolute=t.r.getrandbits(32), forged=True)
    t.exchange(1)
    t.tcp("b", "S", absolute=t.r.getrandbits(32), forged=True)
    t.exchange(1)


def s_begins_again_while_open(t):
    """One end has forgotten the connection, the other begins it again."""
    t.handshake()
    t.exchange(1)
    t.handshake()
    t.exchange(1)


def s_forgotten_by_who_asked(t):
    """Half open: the answer to the new SYN is an ACK of the old connection, which the one who asked resets."""
    t.open()
    t.tcp("a", "S", forged=True)
    old = t.r.getrandbits(32)
    t.tcp("b", "A", absolute=t.r.getrandbits(32), ack=old, forged=True)
    t.tcp("a", "R", absolute=old, forged=True)
    t.handshake()
    t.exchange(1)


def s_syn_ack_inside(t):
    t.handshake()
    t.tcp("b", "SA", absolute=t.r.getrandbits(32), forged=True)
    t.tcp("a", "SA", absolute=t.r.getrandbits(32), forged=True)
    t.exchange(1)


def s_reset(t):
    t.handshake()
    t.exchange(2)
    t.tcp("a", "RA")
    t.tcp("b", "A", forged=True)
    t.tcp("b", "PA", 10, forged=True)


def s_reset_out_of_window(t):
    t.handshake()
    t.exchange(2)
    for off in (1 << 20, -(1 << 20), 1 << 30, -(1 << 30)):
        t.tcp("a", "R", seq=off, forged=True)
        t.tcp("b", "RA", seq=off, forged=True)
    t.exchange(1)


def s_data_out_of_window(t):
    t.handshake()
    t.exchange(2)
    for off in (1 << 20, -(1 << 20), 1 << 30, -(1 << 30)):
        t.tcp("a", "PA", 100, seq=off, forged=True)
        t.tcp("b", "A", seq=off, forged=True)
    t.exchange(1)


def s_ack_out_of_window(t):
    t.handshake()
    t.exchange(2)
    for off in (1, 2, 1000, 1 << 20, -(1 << 20), 1 << 30, -(1 << 30)):
        t.tcp("a", "A", ack=off, forged=True)
        t.tcp("b", "PA", 100, ack=off, forged=True)
    t.exchange(1)


def s_zero_window(t):
    t.handshake(window=4096)
    t.tcp("a", "PA", 1000)
    t.tcp("b", "A", window=0)
    t.tcp("a", "A", seq=-1, forged=True)  # a probe
    t.tcp("b", "A", window=0)
    t.tcp("a", "PA", 1, forged=True)      # Linux sends one byte more
    t.tcp("b", "A")
    t.tcp("a", "PA", 1000)
    t.tcp("b", "A")


def s_overrun(t):
    """More than the window, by a little and by a lot."""
    t.handshake(window=8192)
    for _ in range(7):
        t.tcp("a", "PA", 1400)
    t.tcp("b", "A")
    t.tcp("a", "PA", 1400, seq=40000, forged=True)
    t.exchange(1)


def s_keepalive(t):
    t.handshake()
    t.exchange(1)
    for side in "abab":
        t.tcp(side, "A", seq=-1, forged=True)
        t.tcp("b" if side == "a" else "a", "A")


def s_large_transfer(t):
    t.handshake(window=0x20000)
    for _ in range(20):
        for _ in range(t.r.randint(1, 10)):
            t.tcp("b", "A", 1400)
        t.tcp("a", "A")
    t.close("b")


def s_wraps(t):
    """Sequence numbers beyond 2^32."""
    t.handshake(isn={"a": M32 - 1000, "b": M32 - 2000})
    for _ in range(4):
        t.tcp("a", "PA", 700)
        t.tcp("b", "A")
        t.tcp("b", "PA", 700)
        t.tcp("a", "A")
    t.close()


def s_udp(t):
    for side in t.r.choice(["aab", "abab", "abbba", "aaaa", "ba", "bab"]):
        t.udp(side)


def s_echo(t):
    for _ in range(3):
        t.ask("a")
        t.answer("b")
    t.answer("b")


def s_echo_oddities(t):
    t.answer("a")
    t.ask("a")
    t.answer("a")
    t.ask("b")
    t.answer("b", ident=t.port["a"] + 1)
    t.answer("b")
    t.answer("a")
    t.ask("a")


def s_icmp_else(t):
    for kind, code in (((13, 0), (15, 0), (17, 0), (10, 0), (9, 0), (14, 0), (42, 0), (8, 1), (0, 1)) if t.family == 4 else
                       ((138, 0), (144, 0), (200, 0), (100, 0), (139, 0), (140, 0), (128, 1), (129, 1))):
        t.icmp("a", kind, code)


def s_queries(t):
    """Timestamp, information and address mask; node information."""
    for kind in (13, 15, 17) if t.family == 4 else (139,):
        t.icmp("a", kind)
        t.icmp("b", kind + 1)
        t.icmp("a", kind)
        t.icmp("a", kind + 1)


def s_neighbours(t):
    if t.family == 6:
        for kind in (133, 134, 135, 136, 130, 131, 132, 143):
            t.icmp("a", kind)


def errors_about(t, packet, side):
    """All errors about a packet, from behind `side`."""
    for kind in ("unreachable", "too-big", "exceeded", "parameter", "quench", "redirect"):
        t.error(side, packet, kind)


def s_errors(t):
    syn, answer, ack = t.handshake()
    t.exchange(1)
    errors_about(t, t.packets[-2], "b" if t.packets[-2].side == "a" else "a")
    errors_about(t, syn, "b")
    errors_about(t, answer, "a")
    t.error("b", syn, cut=60)
    t.exchange(1)


def s_errors_about_syn(t):
    t.open()
    syn = t.tcp("a", "S")
    t.error("b", syn)
    t.error("b", syn, "exceeded")


def s_errors_of_nothing(t):
    """About packets that were never sent."""
    t.open()
    ghost = t.tcp("a", "A", 100, forged=True)
    t.packets.remove(ghost)
    errors_about(t, ghost, "b")
    ghost = t.udp("a")
    t.packets.remove(ghost)
    t.error("b", ghost)
    ghost = t.ask("a")
    t.packets.remove(ghost)
    t.error("b", ghost)
    ghost = t.answer("b")
    t.packets.remove(ghost)
    t.error("a", ghost)


def s_errors_to_somebody_else(t):
    question = t.udp("a")
    t.udp("b")
    somebody = "10.10.0.77" if t.family == 4 else "fd0a::77"
    t.error("b", question, to=somebody)
    t.error("b", question)
    t.error("a", question, to=t.address["b"])


def s_errors_short(t):
    question = t.udp("a")
    least = 28 if t.family == 4 else 48
    for cut in (least - 1, least - 8, 10, least, least + 4):
        t.error("b", question, cut=cut)


def s_errors_about_datagrams(t):
    question = t.udp("a")
    errors_about(t, question, "b")
    answer = t.udp("b")
    errors_about(t, answer, "a")
    t.error("b", question)
    echo = t.ask("a")
    errors_about(t, echo, "b")
    reply = t.answer("b")
    errors_about(t, reply, "a")


def s_error_about_error(t):
    question = t.udp("a")
    error = t.error("b", question)
    t.error("a", error, cut=56 if t.family == 4 else 88)


def s_other_protocols(t):
    for proto in (50, 4, 89):
        t.other("a", proto)
        t.other("a", proto)
        t.other("b", proto)
        t.other("a", proto)


SCRIPTS = [f for name, f in sorted(globals().items()) if name.startswith("s_")]
