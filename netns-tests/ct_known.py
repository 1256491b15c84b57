# SPDX-License-Identifier: GPL-2.0
"""Where weir and the kernel's conntrack say something else of a packet, and why: KNOWN, for ct_witness.py."""


class Story:
    """What has been in a conversation so far, as far as the differences hang on it."""

    def __init__(self, parted=()):
        self.began = None      # the side that began
        self.open = False      # that side has said more than its SYN
        self.closing = False   # a FIN was there
        self.asked = None      # the side whose SYN has no answer yet
        self.syn = None        # its sequence number
        self.given_up = False  # the side that asked has reset that, or asks anew
        self.refused = False   # a reset was that answer
        self.begins = False    # a SYN came into a connection that is there
        self.parted = set(parted)  # differences after which the two believe different things of the connection

    def tell(self, packet, by_weir, by_nft):
        flags = packet.how.get("flags")
        if flags is None or "error" in packet.note:
            return
        if flags == "S" and self.asked == packet.side and packet.how["seq"] != self.syn:
            self.given_up = True
            self.parted.add("begins-anew")
        if flags == "S":
            self.syn = packet.how["seq"]
        if flags == "S" and by_weir == "new":
            self.__init__(self.parted if by_nft != "new" or self.given_up else set())
            self.asked, self.began, self.syn = packet.side, packet.side, packet.how["seq"]
        elif flags == "S" and by_weir == by_nft:
            self.begins = True
        if self.asked == packet.side and "R" in flags and by_nft == "new":
            self.given_up = True
            self.parted.add("begins-anew")
        if by_nft != "established":
            return
        if not self.open and not self.asked and packet.side != self.began and packet.how["payload"]:
            self.parted.add("early-data")
        self.open |= not self.asked and packet.side == self.began
        self.closing |= "F" in flags
        if is_answer(self, packet):
            self.refused = "R" in flags
            if flags in ("SA", "R", "RA"):
                self.asked = None
        elif "R" in flags and by_weir == by_nft:
            self.parted.add("after-reset")


def flags_of(packet):
    return packet.how.get("flags") if packet.proto == 6 else None


def is_answer(story, packet):
    return story.asked not in (None, packet.side)


def is_half_open(story, packet):
    if is_answer(story, packet):
        return flags_of(packet) in ("A", "PA")
    return flags_of(packet) in ("R", "RA") and packet.side == story.asked


# (name, weir's words, nft's words, whether it is about this packet, whether more differences follow from it, why)
# docs/decisions/0011-flows.md has them, too. All were seen on 6.18.
KNOWN = [
    ("begins-again", ("invalid", "established"), ("established", "invalid", "new"), lambda s, p: s.begins and flags_of(p), True,
     "one side has forgotten the connection: the kernel notes that SYN, and a right answer begins the flow anew"),
    ("half-open", ("new", "established"), ("established", "invalid"), is_half_open, True,
     "the side whose SYN has no answer may reset what it knows of an older connection, and an ACK of that is no answer yet"),
    ("syn-ack-back", ("established",), ("invalid",), lambda s, p: flags_of(p) == "SA", False,
     "an answer to a SYN from the side that began, before the connection is open, is not held against the window"),
    ("unopened", ("established",), ("invalid",),
     lambda s, p: not s.open and p.side != s.began and flags_of(p) in ("A", "PA", "FA"), True,
     "before the side that began has answered, the kernel knows less of the windows"),
    ("syn-back", ("established",), ("invalid",), lambda s, p: flags_of(p) == "S", False,
     "a SYN from the side that did not begin, before the connection is open, is invalid to the kernel"),
    ("bare-reset", ("invalid",), ("established",), lambda s, p: is_answer(s, p) and flags_of(p) == "R", True,
     "a reset without ack is no answer to a SYN; the kernel believes it"),
    ("early-answer", ("invalid",), ("established",), lambda s, p: is_answer(s, p) and flags_of(p) == "SA", True,
     "an answer that does not acknowledge the SYN; the kernel believes older acknowledgements"),
    ("refused", ("established",), ("invalid",), lambda s, p: s.refused and flags_of(p), False,
     "the kernel forgets a flow whose only answer is a reset at once, weir after timeout close"),
    ("begins-anew", ("new",), ("established", "invalid"), lambda s, p: flags_of(p) == "S", True,
     "a SYN after TIME_WAIT or CLOSE always begins anew; in the kernel only if the other side closed, or the same one reset"),
    ("closing-reset", ("invalid",), ("established", "new"),
     lambda s, p: flags_of(p) in ("R", "RA") and (s.closing or not s.open or "forged" not in p.note), True,
     "while a connection begins or ends, the kernel believes a reset from outside of the window"),
    ("reset-ack", ("established", "new"), ("invalid",), lambda s, p: flags_of(p) == "RA", True,
     "a reset is told by its sequence number alone, not by its acknowledgement"),
    ("short-quote", ("invalid",), ("related",),
     lambda s, p: "error" in p.note and len(p.how["payload"]) < (28 if p.saddr.version == 4 else 48), False,
     "an error must quote 8 bytes behind the IP header; four are enough for the kernel"),
]


def explanation(story, packet, by_weir, by_nft):
    for name, weir, nft, about, lasting, _ in KNOWN:
        if by_weir in weir and by_nft in nft and about(story, packet):
            if lasting:
                story.parted.add(name)
            return name
    return "follows" if story.parted and by_nft is not None else None
