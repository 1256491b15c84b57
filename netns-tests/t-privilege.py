#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Who may change the rules. An ordinary user attacks each pin, directory, socket and descriptor of a running weir, and after
each try the rules stand as they did; a user with three capabilities and nothing else does all that root does."""
import errno
import json
import os
import signal
import socket
import stat
import subprocess

import user
from frame import frame
from guarded import ALLOWED, CLOUD, DENIED, ENDPOINT, HOST, PORT, GuardedWorld, guard
from lab import (BPFFS, LIBC, WEIR, Counters, Ran, check, equal, inside, main, pair_world, run, wait)
from user import as_user, attempt, with_caps

OWNER = 47003  # an ordinary user with a weir of its own
GROUP = "games"  # one that Debian has, and nobody is in
REFUSED = (errno.EPERM, errno.EACCES)
# What could be refused for another reason says nothing.
PTRACE_ATTACH, SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 16, 434, 438
RULES = guard("allow user %d" % ALLOWED) + """
filter edge {
    hook ingress tc
    device h0
    default accept
    udp dport 9 counter nine log drop
}
"""


# ---- what must stay ----


class Standing:
    """The rules of a world, as they are enforced and as they are pinned."""

    def __init__(self, world, root=None):
        self.world, self.root = world, root or world.root
        self.wire = world.cloud.wire("c0")
        self.pins = [os.path.join(self.root, p) for p in world.pins(self.root)]
        self.directories = sorted({self.root, *map(os.path.dirname, self.pins)})
        self.programs = {kind: set(user.bpf_ids(kind)) for kind in user.BPF_NEXT_ID}
        self.before = self.look()

    def look(self):
        """Each file as it is; what the kernel goes by."""
        files = {}
        for path in self.pins + self.directories:
            st = os.lstat(path) if os.path.lexists(path) else None
            files[path] = st and (st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_nlink if stat.S_ISREG(st.st_mode) else 0)
        fd = user.bpf_get(self.control)
        try:
            return files, user.bpf_first_value(fd, 80)
        finally:
            os.close(fd)

    @property
    def control(self):
        return next(p for p in self.pins if p.endswith("/control"))

    def is_same(self):
        return self.look() == self.before

    def connect(self, uid):
        """What a user's connect() to the endpoint says, in the cgroup that is judged."""

        def judged():
            with open(os.path.join(self.world.guarded, "cgroup.procs"), "w") as out:
                out.write(str(os.getpid()))
            inside(self.world.host.name).__enter__()  # for good: this process ends here
            user.become(uid)
            s = socket.socket()
            s.settimeout(3)
            return attempt(s.connect, (ENDPOINT, PORT))

        return user.in_child(judged)

    def nine(self):
        return Counters(self.world.host, part="counters").named("nine")

    def judges(self, what):
        """Packets and calls are judged as before, and all is as it was."""
        before = self.nine()
        self.wire.send(frame("udp", CLOUD, HOST, dport=9), 3)
        counted = wait(lambda: self.nine() - before == 3)
        who = [uid for uid in (ALLOWED, DENIED, 0) if not self.connect(uid)]
        gone = [a for a in self.world.host.weir("show", "devices", "--json", expect=0).json["attachments"] if a["gone"]]
        check("%s: calls and packets are judged as before" % what,
              counted and who == [ALLOWED] and not gone and self.is_same(),
              "3 counted: %s; answered: %s; gone: %s; same: %s" % (counted, who, gone, self.is_same()))


def guarded_world():
    world = GuardedWorld()
    world.apply(RULES)
    return world, Standing(world)


def refused(what, got, standing, allowed=REFUSED):
    """got: errnos by what was tried."""
    through = {name: errno.errorcode.get(number, number) for name, number in got.items() if number not in allowed}
    check("%s: %d tries, each refused" % (what, len(got)), got and not through, through)
    standing.judges(what)


# ---- an ordinary user ----


def open_and_close(path, flags, mode=0o600):
    os.close(os.open(path, flags, mode))


FILE_ATTACKS = {
    "open to read": lambda p: open_and_close(p, os.O_RDONLY),
    "open to write": lambda p: open_and_close(p, os.O_RDWR),
    "truncate": lambda p: os.truncate(p, 0),
    "unlink": os.unlink,
    "rename away": lambda p: os.rename(p, os.path.join(BPFFS, "weir-taken")),
    "link": lambda p: os.link(p, os.path.join(BPFFS, "weir-linked")),
    "chmod": lambda p: os.chmod(p, 0o666),
    "chown": lambda p: os.chown(p, DENIED, DENIED),
    "BPF_OBJ_GET": lambda p: os.close(user.bpf_get(p)),
    "BPF_OBJ_GET to read": lambda p: os.close(user.bpf_get(p, user.BPF_F_RDONLY)),
}

DIRECTORY_ATTACKS = {
    "list": os.listdir,
    "make a file": lambda p: open_and_close(os.path.join(p, "mine"), os.O_CREAT | os.O_WRONLY),
    "make a directory": lambda p: os.mkdir(os.path.join(p, "2-ready")),
    "make a link": lambda p: os.symlink("/tmp", os.path.join(p, "2-ready")),
    "remove": os.rmdir,
    "rename": lambda p: os.rename(p, os.path.join(BPFFS, "weir-taken")),
    "chmod": lambda p: os.chmod(p, 0o777),
    "chown": lambda p: os.chown(p, DENIED, DENIED),
}


def t_pins():
    world, standing = guarded_world()
    modes = {p: "%o" % os.lstat(p).st_mode for p in standing.pins + standing.directories}
    equal("files 600, directories 700, all of root's",
          {m for p, m in modes.items()} | {os.lstat(p).st_uid for p in modes}, {"100600", "40700", 0})
    check("links of filters and guards are among them", len([p for p in standing.pins if "/links/" in p]) >= 6, standing.pins)
    for attacks, where in ((FILE_ATTACKS, standing.pins), (DIRECTORY_ATTACKS, standing.directories)):
        for name, attack in attacks.items():
            got = {}
            for path in where:
                got[path] = as_user(DENIED, lambda: attempt(attack, path))
                if not standing.is_same():
                    check("%s %s: all is as it was" % (name, path), False)
                    return
            refused(name, got, standing)
    # The one directory where everybody may make files is the mount itself, if that: not below a name that is taken.
    for name, attack in (("replace by a directory", lambda: os.mkdir(world.root, 0o777)),
                         ("replace by a link", lambda: os.symlink("/tmp", world.root))):
        refused(name, {world.root: as_user(DENIED, lambda: attempt(attack))}, standing, (errno.EEXIST, *REFUSED))


def t_numbers_and_descriptors():
    """What has no name: objects by number, descriptors of one's own and of others."""
    world, standing = guarded_world()
    for kind, ids in standing.programs.items():
        got = as_user(DENIED, lambda: {n: attempt(user.bpf_by_id, kind, n) for n in ids})
        refused("a %s by its number" % kind, got, standing)
    got = as_user(DENIED, lambda: {fd: attempt(user.bpf_link_detach, fd) for fd in range(64)})
    refused("BPF_LINK_DETACH of guessed descriptors", got, standing, (errno.EBADF, errno.EINVAL, *REFUSED))


def running(world, *words, command=None, **how):
    """A command that keeps running; returns when it has given up what it does not need."""
    child = world.host.popen(*(command or [WEIR]), "--bpffs", how.pop("root", world.root), *words, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
    if not wait(lambda: status(child.pid).get("NoNewPrivs") == "1", 10):
        raise RuntimeError("weir %s does not come up: %s" % (words, child.stderr.read() if child.poll() is not None else ""))
    return child


def status(pid):
    try:
        with open("/proc/%d/status" % pid) as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def capabilities(pid):
    """By set, as names in order."""
    names = {12: "net_admin", 21: "sys_admin", 38: "perfmon", 39: "bpf"}
    found = {}
    for key in ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"):
        bits = int(status(pid)[key], 16)
        found[key] = sorted(names.get(bit, str(bit)) for bit in range(64) if bits >> bit & 1)
    return found


def peek(pid):
    """errnos of every way into a process of somebody."""
    got = {"ptrace": 0 if LIBC.ptrace(PTRACE_ATTACH, pid, 0, 0) == 0 else user.last_errno(),
           "memory": attempt(open_and_close, "/proc/%d/mem" % pid, os.O_RDWR),
           "descriptors": attempt(os.listdir, "/proc/%d/fd" % pid),
           "environment": attempt(lambda: open("/proc/%d/environ" % pid).read())}
    pidfd = LIBC.syscall(SYS_PIDFD_OPEN, pid, 0)
    for fd in range(32):
        got["/proc fd %d" % fd] = attempt(open_and_close, "/proc/%d/fd/%d" % (pid, fd), os.O_RDWR)
        taken = LIBC.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
        got["pidfd_getfd %d" % fd] = 0 if taken >= 0 else user.last_errno()
    return got


def t_processes():
    """Of those that keep running: root's, and those of the attacker's own user, which have less to lose."""
    world, standing = guarded_world()
    own = OwnDirectory(world)
    own.weir("apply", "--cgroup", world.outside, own.rules(), expect=0)
    program = user.program_for_all(world)
    table = (
        ("agent", DENIED, running(world, "agent")),
        ("watch", DENIED, running(world, "watch")),
        ("agent", OWNER, running(world, "agent", root=own.root, command=with_caps(OWNER, user.NEEDED, program))),
        ("watch", OWNER, running(world, "watch", root=own.root, command=with_caps(OWNER, user.NEEDED, program))),
    )
    for name, attacker, child in table:
        what = "%s of %s" % (name, "root" if attacker == DENIED else "the attacker's own user")
        keeps = sorted(user.NEEDED) if name == "agent" else []
        found = capabilities(child.pid)
        equal("%s: what it keeps" % what, (found["CapPrm"], found["CapEff"], found["CapInh"], found["CapAmb"]), (keeps, keeps, [], []))
        if attacker == DENIED:
            equal("%s: exec gives it nothing back" % what, found["CapBnd"], [])
        fds = os.listdir("/proc/%d/fdinfo" % child.pid)
        kept = [fd for fd in fds if int(fd) > 2 and not closes_on_exec(child.pid, fd)]
        equal("%s: no descriptor outlives exec" % what, kept, [])
        refused(what, as_user(attacker, lambda: peek(child.pid)), standing, (*REFUSED, errno.EBADF, errno.ENOENT))
        if attacker == DENIED:
            got = {n: as_user(DENIED, lambda: attempt(os.kill, child.pid, n)) for n in (signal.SIGKILL, signal.SIGSTOP, signal.SIGHUP)}
            refused("signals to the " + what, got, standing)
        child.kill()
        child.wait()
        standing.judges("%s killed" % what)
    own.close()


def closes_on_exec(pid, fd):
    try:
        with open("/proc/%d/fdinfo/%s" % (pid, fd)) as file:
            return int(next(line for line in file if line.startswith("flags")).split()[1], 8) & os.O_CLOEXEC
    except FileNotFoundError:
        return True


def t_no_capability_through_a_user_namespace():
    """Who is root in a namespace of its own has all capabilities there, and none here."""
    world, standing = guarded_world()
    program = user.program_for_all(world)
    for words in (["down"], ["show"], ["apply", world.file("open.rules", "filter edge { hook ingress; device h0; default accept }\n")]):
        done = subprocess.run(world.host.enter("setpriv", "--reuid", str(DENIED), "--regid", str(DENIED), "--clear-groups",
                                               "unshare", "-Ur", program, "--bpffs", world.root, *words),
                              capture_output=True, text=True)
        check("unshare -Ur weir %s is refused" % words[0], done.returncode == 1 and "belongs to user" in done.stderr
              or "could replace" in done.stderr or "ermission denied" in done.stderr, done.stderr)
        standing.judges("unshare -Ur weir " + words[0])


# ---- directories that are not ours ----


def t_directories_of_others():
    world, standing = guarded_world()
    rules = world.file("edge.rules", "filter edge { hook ingress tc; device h0; default accept }\n")
    place = world.other_root()

    def apply(path):
        return world.host.weir("--bpffs", path, "apply", rules)

    def made_by(uid, function):
        as_user(uid, function)

    def case(what, words, path=place):
        ran = apply(path)
        check("%s is refused" % what, ran.code == 1 and words in ran.err, ran)
        ran = world.host.weir("--bpffs", path, "show")
        check("%s: show, too, or it sees nothing" % what, ran.code == 1 or "nothing is loaded" in ran.out, ran)
        standing.judges(what)

    made_by(DENIED, lambda: os.mkdir(place, 0o700))
    case("a directory that somebody made first", "belongs to user %d" % DENIED)
    made_by(DENIED, lambda: (os.chmod(place, 0o777), os.mkdir(place + "/links", 0o777)))
    case("the same, open to all", "belongs to user %d" % DENIED)
    case("a directory in it", "could replace it", place + "/below")
    made_by(DENIED, lambda: (os.rmdir(place + "/links"), os.rmdir(place)))

    made_by(DENIED, lambda: os.symlink(world.root, place))
    case("a link to our own directory", "symbolic link")
    case("a link on the way", "symbolic link", place + "/below")
    made_by(DENIED, lambda: os.unlink(place))

    os.mkdir(place)
    os.chmod(place, 0o777)
    case("a place in root's own directory, open to all", "could replace it", place + "/below")
    os.rmdir(place)

    os.mkdir(place, 0o770)
    os.chmod(place, 0o770)
    case("one that a group may write to", "mode 770")
    os.chmod(place, 0o750)
    case("one that a group may read", "mode 750")
    os.chmod(place, 0o700)
    equal("made its own alone, it will do", apply(place).code, 0)
    for name, change, back in (("a pin", 0o644, 0o600), ("a directory", 0o755, 0o700)):
        path = os.path.join(place, "1/tables" if name == "a pin" else "links")
        os.chmod(path, change)
        case("%s that others may read" % name, "belongs to user 0")
        os.chmod(path, back)
        os.chown(path, DENIED, 0)
        case("%s of somebody else's" % name, "belongs to user %d" % DENIED)
        os.chown(path, 0, 0)
    os.symlink("1/tables", place + "/links/xdp-link-1")
    case("a link among the pins", "links/xdp-link-1")
    os.unlink(place + "/links/xdp-link-1")
    ran = world.host.weir("--bpffs", place, "down")
    equal("as it was, it comes down", (ran.code, os.path.exists(place)), (0, False))
    for path, words in ((BPFFS + "/../bpf/weir-t", "without dots"), ("weir-t", "absolute"), ("/tmp/weir-t", "BPF file system"),
                        (world.dir + "/weir-t", "BPF file system"), (BPFFS + "/" + "x" * 300, "absolute")):
        case("--bpffs %s" % path[:40], words, path)
        check("and nothing was made there", not os.path.exists(path) or path.startswith(BPFFS + "/.."))


# ---- who may ----


class OwnDirectory:
    """A BPF file system of an ordinary user's own, and commands of that user."""

    def __init__(self, world):
        self.world = world
        self.mount = os.path.join(world.dir, "bpf")
        os.mkdir(self.mount)
        run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", self.mount)
        os.chown(self.mount, OWNER, OWNER)
        self.root = self.mount + "/rules"
        self.space = next(iter(world.spaces.values()))

    def rules(self):
        return self.world.file("own.rules", RULES)

    def weir(self, *words, caps=user.NEEDED, expect=None):
        program = user.program_for_all(self.world)
        done = subprocess.run(self.space.enter(*with_caps(OWNER, caps, program, "--bpffs", self.root, *words)),
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        ran = Ran(done.returncode, done.stdout, done.stderr)
        if expect is not None and ran.code != expect:
            raise RuntimeError("weir %s as user %d: %s" % (" ".join(words), OWNER, ran))
        return ran

    def close(self):
        self.weir("down")
        run("umount", self.mount, expect=None)


def t_three_capabilities():
    world = GuardedWorld()
    own = OwnDirectory(world)
    try:
        ran = own.weir("apply", "--cgroup", world.guarded, own.rules())
        check("a user with three capabilities applies", ran.code == 0, ran)
        found = {(oct(os.lstat(os.path.join(at, name)).st_mode & 0o777), os.lstat(os.path.join(at, name)).st_uid)
                 for at, dirs, files in os.walk(own.root) for name in dirs + files}
        equal("its pins are its own", found, {("0o600", OWNER), ("0o700", OWNER)})
        wire = world.cloud.wire("c0")
        wire.send(frame("udp", CLOUD, HOST, dport=9), 3)
        counted = wait(lambda: [c["packets"] for c in own.weir("show", "--json", expect=0).json["counters"]] == [3])
        check("packets are judged", counted, own.weir("show"))
        for words, code in (("plan %s" % own.rules(), 0), ("test %s" % own.rules(), 0), ("doctor", 0), ("flow list", 1), ("show guards", 0)):
            ran = own.weir(*words.split())
            check("weir %s" % words.split()[0], ran.code == code, ran)
        ran = world.host.weir("--bpffs", own.root, "show")
        check("root does not take a user's directory for its own", ran.code == 1 and "belongs to user %d" % OWNER in ran.err, ran)
        for missing in user.NEEDED:
            caps = [c for c in user.NEEDED if c != missing]
            ran = own.weir("apply", "--cgroup", world.guarded, own.rules(), caps=caps)
            check("without CAP_%s: it is named, and no other" % missing.upper(), ran.code == 1 and
                  "missing capabilities: CAP_%s\n" % missing.upper() in ran.err, ran)
            ran = own.weir("doctor", "--json", caps=caps)
            detail = [p["detail"] for p in ran.json["probes"] if p["name"] == "capabilities" and p["state"] == "no"]
            check("doctor says so, too", detail and detail[0].startswith("missing: CAP_%s;" % missing.upper()), ran)
        ran = own.weir("show", caps=())
        check("without any: all three", "missing capabilities: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON\n" in ran.err, ran)
        equal("CAP_SYS_ADMIN stands for two of them", own.weir("show", caps=("sys_admin", "net_admin")).code, 0)
        ran = own.weir("down")
        check("and takes it down", ran.code == 0 and not os.path.exists(own.root), ran)
    finally:
        own.close()


def t_mounting_takes_more():
    """Where no BPF file system is, weir mounts one: as an ordinary user it says who must."""
    world, wire, guard_space = pair_world()
    program = user.program_for_all(world)
    rules = world.file("edge.rules", "filter edge { hook ingress tc; device g0; default accept }\n")
    done = subprocess.run(guard_space.enter("unshare", "-m", "sh", "-c", "umount -R %s 2>/dev/null; umount -R %s 2>/dev/null; "
                                            "unshare -m true; exec \"$@\"" % (BPFFS, BPFFS), "sh",
                                            *with_caps(OWNER, user.NEEDED, "sh", "-c", "%s apply %s; exit $?" % (program, rules))),
                          capture_output=True, text=True)
    check("mounting is refused with its reason", done.returncode == 1 and "CAP_SYS_ADMIN" in done.stderr, done.stderr)


def t_dispatcher_takes_more():
    """Programs in libxdp's dispatcher are found by number, which takes CAP_SYS_ADMIN: without it they stay as they are."""
    world, _, space = pair_world()
    state = [p["state"] for p in space.weir("doctor", "--json", expect=0).json["probes"] if p["name"] == "dispatcher"]
    if state != ["yes"]:
        print("      no dispatcher here")
        return
    rules = "filter edge {\n\thook ingress\n\tdevice g0\n\tdefault accept\n\tudp dport 9 drop\n}\n"
    one, two = world.file("one.rules", rules), world.file("two.rules", rules.replace("9", "7"))

    def limited(*words):
        only = ",".join(["-all"] + ["+" + cap for cap in user.NEEDED])
        done = subprocess.run(space.enter("setpriv", "--bounding-set", only, "--inh-caps", "-all", WEIR, "--bpffs", world.root,
                                          *words), capture_output=True, text=True)
        return Ran(done.returncode, done.stdout, done.stderr)

    def how():
        found = space.weir("show", "devices", "--json", expect=0).json["attachments"]
        return [(a["how"], a["gone"]) for a in found]

    space.weir("apply", one, expect=0)
    equal("root attaches through the dispatcher", how(), [("xdp dispatcher", False)])
    equal("the same again, with three capabilities", limited("apply", one).out.split()[1], "unchanged,")
    equal("other rules, too", limited("apply", two).code, 0)
    equal("the attachment stays", how(), [("xdp dispatcher", False)])
    ran = limited("down")
    check("down is refused, and says what it takes", ran.code == 1 and "CAP_SYS_ADMIN" in ran.err, ran)
    equal("and nothing went", how(), [("xdp dispatcher", False)])
    space.weir("down", expect=0)
    ran = limited("apply", one)
    check("without it weir attaches alone", ran.code == 0 and how() == [("xdp native", False)], ran)


# ---- events for a group ----


def t_events_for_a_group():
    world, standing = guarded_world()
    path = os.path.join(world.dir, "events.log")
    gid = int(run("getent", "group", GROUP).split(":")[2])
    child = running(world, "watch", "--json", "--output", path, "--group", GROUP)
    standing.wire.send(frame("udp", CLOUD, HOST, dport=9))
    check("events come", wait(lambda: os.path.getsize(path)))
    st = os.stat(path)
    equal("the file", ("%o" % st.st_mode, st.st_uid, st.st_gid), ("100640", 0, gid))
    equal("who is of the group reads it",
          as_user(DENIED, lambda: json.loads(open(path).readline())["event"], groups=[gid]), "filter.log")
    got = {"write": as_user(DENIED, lambda: attempt(open_and_close, path, os.O_WRONLY), groups=[gid]),
           "read, of another": as_user(DENIED, lambda: attempt(open_and_close, path, os.O_RDONLY))}
    for pin in standing.pins:
        got[pin] = as_user(DENIED, lambda: attempt(user.bpf_get, pin, user.BPF_F_RDONLY), groups=[gid])
    refused("the group gets no more than the file", got, standing)
    os.rename(path, path + ".old")
    child.send_signal(signal.SIGHUP)
    check("the next file is like it", wait(lambda: os.path.exists(path) and "%o" % os.stat(path).st_mode == "100640"
                                           and os.stat(path).st_gid == gid))
    child.terminate()
    child.wait()


main(limit=300)
