# SPDX-License-Identifier: GPL-2.0
"""Other users than root: what they may run and what they may try."""
import ctypes
import errno
import os
import pickle
import platform
import shutil
import struct
import traceback

from lab import LIBC, WEIR

NEEDED = ("bpf", "net_admin", "perfmon")
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_MAP_LOOKUP_ELEM, BPF_OBJ_GET, BPF_LINK_UPDATE, BPF_LINK_DETACH = 1, 7, 29, 34
BPF_BY_ID = {"program": 13, "map": 14, "link": 30}
BPF_NEXT_ID = {"program": 11, "map": 12, "link": 31}
BPF_F_RDONLY = 1 << 3


def attempt(function, *words):
    """0, or the errno of what the system said."""
    try:
        function(*words)
        return 0
    except OSError as error:
        return error.errno or errno.ETIMEDOUT


def last_errno():
    return ctypes.get_errno()


def become(uid, groups=()):
    os.setgroups(list(groups))
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def as_user(uid, function, groups=()):
    """What the function returns in a process of that user, without a capability."""

    def work():
        become(uid, groups)
        return function()

    return in_child(work)


def in_child(function):
    """What the function returns in a process of its own; its exception is ours."""
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = (True, function())
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(sink, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as answers:
        well, answer = pickle.load(answers)
    os.waitpid(pid, 0)
    if not well:
        raise RuntimeError(answer)
    return answer


def with_caps(uid, caps, *command):
    """The command, as that user with just these capabilities."""
    only = ",".join(["-all"] + ["+" + cap for cap in caps])
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--bounding-set", only,
            "--inh-caps", only, "--ambient-caps", only, *command]


def program_for_all(world):
    """The command where every user can run it."""
    path = os.path.join(world.dir, "weir")
    if not os.path.exists(path):
        shutil.copy(WEIR, path)
        os.chmod(path, 0o755)
    return path


# ---- what a service manager's sandbox takes ----

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_FILTER = 38, 22, 2
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]


def only_families(*families):
    """From now on this process opens sockets of these families alone, as with RestrictAddressFamilies= of a unit."""
    load, equal, give = 0x20, 0x15, 0x06  # classic BPF: BPF_LD | W | ABS, BPF_JMP | JEQ | K, BPF_RET | K
    allow, refuse = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
    code = [(load, 0, 0, 0), (equal, 0, len(families) + 2, SYS_SOCKET), (load, 0, 0, 16)]
    code += [(equal, len(families) - i, 0, family) for i, family in enumerate(families)]
    code += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    words = b"".join(struct.pack("=HBBI", *each) for each in code)
    room = ctypes.create_string_buffer(words)
    program = struct.pack("=HxxxxxxQ", len(code), ctypes.addressof(room))
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(PR_SET_SECCOMP, SECCOMP_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp")


# ---- bpf(2), by itself ----


class Attr(ctypes.Union):
    _fields_ = [("u32", ctypes.c_uint32 * 32), ("u64", ctypes.c_uint64 * 16)]


def bpf(command, attr):
    got = LIBC.syscall(SYS_BPF, command, ctypes.byref(attr), ctypes.sizeof(attr))
    if got < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got


def bpf_get(path, flags=0):
    name = ctypes.create_string_buffer(path.encode())
    attr = Attr()
    attr.u64[0] = ctypes.addressof(name)
    attr.u32[3] = flags
    return bpf(BPF_OBJ_GET, attr)


def bpf_by_id(kind, number):
    attr = Attr()
    attr.u32[0] = number
    return bpf(BPF_BY_ID[kind], attr)


def bpf_ids(kind):
    """All that there are, for who may know."""
    number = 0
    while True:
        attr = Attr()
        attr.u32[0] = number
        try:
            bpf(BPF_NEXT_ID[kind], attr)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return
            raise
        number = attr.u32[1]
        yield number


def bpf_link_detach(fd):
    attr = Attr()
    attr.u32[0] = fd
    bpf(BPF_LINK_DETACH, attr)


def bpf_first_value(fd, size):
    """Of an array of one."""
    key, value = ctypes.c_uint32(0), ctypes.create_string_buffer(size)
    attr = Attr()
    attr.u32[0] = fd
    attr.u64[1], attr.u64[2] = ctypes.addressof(key), ctypes.addressof(value)
    bpf(BPF_MAP_LOOKUP_ELEM, attr)
    return value.raw
