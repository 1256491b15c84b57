# SPDX-License-Identifier: GPL-2.0
"""Small worlds of network namespaces, real frames, and the command under test.

A test file is a list of functions t_...(); each makes a World, which goes away with everything in it, also on
failure, interrupt and SIGTERM; what a kill -9 leaves behind, the next World sweeps. `check` counts one belief;
main() prints 'N passed, N failed' at the end. DEBUG=1 opens a shell inside at the first failure.
"""
import atexit
import ctypes
import errno
import inspect
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

from frame import HERE, THERE, mac

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, os.environ.get("B", ".build"))
WEIR = os.environ.get("WEIR") or os.path.join(BUILD, "weir")
FOREIGN = os.path.join(BUILD, "netns-tests", "foreign.bpf.o")  # somebody else's programs
BPFFS = "/sys/fs/bpf"
ETH_P_ALL = 3
PACKET_OUTGOING = 4
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)

passed = failed = 0
worlds = []


# ---- beliefs ----


def check(what, ok, detail=""):
    """One belief. Returns ok, so that a test can give up where going on makes no sense."""
    global passed, failed
    if ok:
        passed += 1
        print("ok    " + what, flush=True)
        return True
    failed += 1
    print("FAIL  " + what, flush=True)
    for line in str(detail).rstrip().splitlines():
        print("      " + line, flush=True)
    if os.environ.get("DEBUG") and sys.stdin.isatty():
        debug()
    return False


def equal(what, got, want):
    return check(what, got == want, "wanted %r\ngot    %r" % (want, got))


def debug():
    print("      the world is still up:", *[n.name for w in worlds for n in w.spaces.values()])
    print("      enter a namespace with: nsenter --net=/run/netns/NAME; leave with exit", flush=True)
    env = dict(os.environ, WEIR=WEIR)
    if worlds:
        env["WEIR_BPFFS"] = worlds[-1].root
    subprocess.call(["/bin/bash", "--norc"], env=env)


def skip(reason):
    """The whole file does not apply here."""
    print("SKIP  " + reason)
    sys.exit(77)


def wait(condition, timeout=5.0):
    """Until the condition holds; its last value. No sleeping for luck."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.002)


def too_long(*_):
    raise TimeoutError("the test takes too long")


def main(limit=120):
    """Runs the t_ functions of the file that calls, each for at most `limit` seconds; words on the command line pick
    some."""
    signal.signal(signal.SIGALRM, too_long)
    caller = inspect.getmodule(inspect.stack()[1][0])
    tests = [(n, f) for n, f in vars(caller).items() if n.startswith("t_") and callable(f)]
    words = sys.argv[1:]
    global failed
    for name, function in tests:
        if words and not any(w in name for w in words):
            continue
        print("---- " + name[2:].replace("_", " "), flush=True)
        before = time.monotonic()
        signal.alarm(limit)
        try:
            function()
        except Exception:
            failed += 1
            print("FAIL  " + name)
            traceback.print_exc(file=sys.stdout)
        finally:
            signal.alarm(0)
            while worlds:
                worlds[-1].close()
        print("     %.1f s" % (time.monotonic() - before), flush=True)
    print("%d passed, %d failed" % (passed, failed), flush=True)
    sys.exit(1 if failed else 0)


# ---- namespaces ----


class inside:
    """This thread is in another network namespace for as long as the block lasts."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        fd = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            if LIBC.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "cannot enter " + self.name)
        finally:
            os.close(fd)

    def __exit__(self, *_):
        if LIBC.setns(HOME, CLONE_NEWNET):
            os._exit(1)  # never go on in the wrong namespace


def run(*command, expect=0, **how):
    """A command that must succeed; its stdout."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)
    if expect is not None and done.returncode != expect:
        raise RuntimeError("'%s' returned %d:\n%s" % (" ".join(command), done.returncode, done.stdout))
    return done.stdout


class Ran:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return "exit %s\nstdout: %s\nstderr: %s" % (self.code, self.out[:4000], self.err[:4000])


class Space:
    """One network namespace, named by its role."""

    def __init__(self, world, role):
        self.world, self.role = world, role
        self.name = "%s-%s" % (world.prefix, role)
        self.make()
        with inside(self.name):
            for name in ("all", "default", "lo"):
                self._write("ipv6/conf/%s/accept_dad" % name, 0)
        self.ip("link", "set", "lo", "up")

    def make(self):
        run("ip", "netns", "add", self.name)

    @staticmethod
    def _write(key, value):
        try:
            with open("/proc/sys/net/" + key, "w") as out:
                out.write(str(value))
        except OSError:
            pass  # a kernel without IPv6

    def sysctl(self, key, value):
        with inside(self.name):
            self._write(key, value)

    def ip(self, *words):
        return self.run("ip", *words)  # not `ip -n`: that wants a mount namespace of its own

    def enter(self, *command):
        return ["nsenter", "--net=/run/netns/" + self.name, *command]

    def run(self, *command, **how):
        return run(*self.enter(*command), **how)

    def popen(self, *command, **how):
        child = subprocess.Popen(self.enter(*command), **how)
        self.world.children.append(child)
        return child

    def socket(self, *how):
        with inside(self.name):
            return socket.socket(*how)

    def wire(self, device):
        return Wire(self, device)

    def tap(self, device, source=THERE):
        return Tap(self, device, source)

    def ifindex(self, device):
        with inside(self.name):
            return socket.if_nametoindex(device)

    def weir(self, *words, expect=None, root=None, **how):
        return weir(*words, expect=expect, root=root or self.world.root, space=self, **how)


def weir(*words, expect=None, root=None, space=None, stdin=None, env=None, text=True):
    """Runs the command; Ran. expect: the exit code that going on depends on."""
    command = [WEIR, *words]
    if space:
        command = space.enter(*command)
    env = dict(os.environ, **(env or {}))
    env.pop("WEIR_BPFFS", None)
    if root:
        env["WEIR_BPFFS"] = root
    how = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    done = subprocess.run(command, capture_output=True, text=text, env=env, **how)
    ran = Ran(done.returncode, done.stdout, done.stderr)
    if expect is not None and ran.code != expect:
        raise RuntimeError("'weir %s': wanted exit %d\n%s" % (" ".join(words), expect, ran))
    return ran


def doomed(space, root, words, delay, meanwhile):
    """Runs the command and kills it after `delay` seconds; true if it was still running."""
    child = space.popen(WEIR, "--bpffs", root, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT)
    end = time.monotonic() + delay
    while child.poll() is None and time.monotonic() < end:
        meanwhile()
    killed = child.poll() is None
    child.kill()  # nsenter has become the command: the same process
    child.communicate()
    space.world.children.remove(child)
    return killed


class World:
    """Namespaces by role, a bpffs root, a scratch directory; all gone at close()."""

    def __init__(self):
        if os.geteuid():
            skip("needs root")
        if not worlds:
            sweep()
        mount_bpffs()
        self.prefix = "weir-%d-%d" % (os.getpid(), len(worlds))
        self.root = "%s/weir-t-%d-%d" % (BPFFS, os.getpid(), len(worlds))
        self.roots = {self.root}
        self.spaces, self.children, self.sockets, self.cgroups = {}, [], [], []
        self.dir = tempfile.mkdtemp(prefix="weir-t-")
        os.chmod(self.dir, 0o755)  # nginx's workers are somebody else
        worlds.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self in worlds:
            worlds.remove(self)
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for each in self.sockets:
            each.close()
        for root in self.roots:
            space = next(iter(self.spaces.values()), None)
            if os.path.isdir(root) and space:
                weir("down", root=root, space=space)
            shutil.rmtree(root, ignore_errors=True)
        for space in self.spaces.values():
            drop_space(space.name)
        for path in reversed(self.cgroups):
            drop_cgroup(path)
        shutil.rmtree(self.dir, ignore_errors=True)

    def space(self, role, kind=Space, *how):
        self.spaces[role] = kind(self, role, *how)
        return self.spaces[role]

    def cgroup(self, name):
        """A cgroup of our own below the root; 'a/b' below 'a'. Its directory."""
        top, *below = name.split("/")
        path = os.path.join(cgroup_root(), "%s-%s" % (self.prefix, top), *below)
        os.mkdir(path)
        self.cgroups.append(path)
        return path

    def other_root(self):
        root = "%s-%d" % (self.root, len(self.roots))
        self.roots.add(root)
        return root

    def veth(self, a, device_a, b, device_b, *, mac_a=None, mac_b=None, mtu=None, ipv6=False):
        """A cable. IPv6 is off unless asked for: its chatter would spoil exact counters."""
        run("ip", "link", "add", device_a, "netns", a.name, *(["address", mac_a] if mac_a else []), "type", "veth",
            "peer", "name", device_b, *(["address", mac_b] if mac_b else []), "netns", b.name)
        for space, device in ((a, device_a), (b, device_b)):
            if not ipv6:
                space.sysctl("ipv6/conf/%s/disable_ipv6" % device, 1)
            if mtu:
                space.ip("link", "set", device, "mtu", str(mtu))
            space.ip("link", "set", device, "up")

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def pins(self, root=None):
        found = []
        for where, dirs, files in os.walk(root or self.root):
            found += [os.path.relpath(os.path.join(where, f), root or self.root) for f in files]
        return sorted(found)


def pair_world():
    """The smallest world:      wire ns:  w0  <---- cable ---->  g0  :guard ns

    w0 has THERE as its address, g0 has HERE; weir runs in guard, on g0.
    """
    world = World()
    wire, guard = world.space("wire"), world.space("guard")
    world.veth(wire, "w0", guard, "g0", mac_a=THERE, mac_b=HERE)
    return world, wire, guard


def drop_space(name):
    """A namespace and what still runs in it; only ever called with names that this library made."""
    out = run("ip", "netns", "pids", name, expect=None)
    for pid in re.findall(r"^\d+$", out, re.M):
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run("ip", "netns", "del", name, expect=None)


def cgroup_root():
    """Where the kernel's one tree of cgroups (version 2) is mounted."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, where, kind, *_ = line.split()
            if kind == "cgroup2":
                return where
    skip("no cgroup2 is mounted here")


def drop_cgroup(path):
    """A cgroup, those below it, and what still runs in them; only ever called with names that this library made."""
    for where, _, _ in os.walk(path, topdown=False):
        with open(os.path.join(where, "cgroup.procs")) as pids:
            for pid in pids:
                os.kill(int(pid), signal.SIGKILL)
        wait(lambda: "populated 0" in open(os.path.join(where, "cgroup.events")).read())
        os.rmdir(where)


def sweep():
    """What a killed run left: names carry the process id of their maker."""
    ours = r"weir-(\d+)-"
    places = [("/run/netns", ours, drop_space),
              (BPFFS, r"weir-t-(\d+)-", lambda name: shutil.rmtree(os.path.join(BPFFS, name), ignore_errors=True))]
    with open("/proc/self/mounts") as mounts:
        if " cgroup2 " in mounts.read():
            root = cgroup_root()
            places.append((root, ours, lambda name: drop_cgroup(os.path.join(root, name))))
    for where, pattern, drop in places:
        for name in os.listdir(where) if os.path.isdir(where) else []:
            found = re.match(pattern, name)
            if found and not os.path.exists("/proc/" + found[1]):
                drop(name)


def mount_bpffs():
    with open("/proc/mounts") as mounts:
        if not any(line.split()[1] == BPFFS for line in mounts):
            run("mount", "-t", "bpf", "bpf", BPFFS)


@atexit.register
def clean_up():
    while worlds:
        worlds[-1].close()


for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, lambda number, _: sys.exit(128 + number))  # through atexit: clean_up()


# ---- sending and counting ----


class Wire:
    """A packet socket on a device: sends raw frames, reads what passes the device (on ingress: behind XDP,
    before TC; on the far side of a cable: what left)."""

    def __init__(self, space, device, room=1 << 25):
        self.device = device
        self.socket = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, room)  # SO_RCVBUFFORCE
        with inside(space.name):
            self.socket.bind((device, ETH_P_ALL))
        space.world.sockets.append(self)

    def close(self):
        self.socket.close()

    def send(self, data, n=1):
        for _ in range(n):
            try:
                self.socket.send(data)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # what a drop at TC egress looks like from here
                    raise

    def seen(self, timeout=0.0):
        """The next frame that came in (not one that went out), or None."""
        end = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(0.0, end - time.monotonic()) or 0.0)
            try:
                data, address = self.socket.recvfrom(65536)
            except (BlockingIOError, TimeoutError):
                return None
            if address[2] != PACKET_OUTGOING:
                return data

    def count(self, source=None, want=None, timeout=2.0):
        """How many frames came in since, from `source` (a MAC); returns early at `want`."""
        n = 0
        end = time.monotonic() + timeout
        while want is None or n < want:
            data = self.seen(max(0.0, end - time.monotonic()) if want else 0.0)
            if data is None:
                return n
            n += source is None or data[6:12] == mac(source)
        return n


class Tap:
    """Counts what reaches the host through a device, behind XDP and behind TC: an nft chain at netdev ingress."""

    def __init__(self, space, device, source, name=""):
        self.space = space
        self.name = "tap_" + re.sub(r"\W", "_", device) + name
        space.run("nft", "-f", "-", input="""table netdev %s
        delete table netdev %s
        table netdev %s {
            counter c { }
            chain in { type filter hook ingress device %s priority 500; policy accept;
                ether saddr %s counter name c
            }
        }
        """ % (self.name, self.name, self.name, device, source))

    def read(self):
        out = self.space.run("nft", "list", "table", "netdev", self.name)
        return int(re.search(r"packets (\d+)", out)[1])


# ---- what the command counted ----


class Counters:
    """`weir show --json`, as rules and names (docs/weir.8); part: only that, where the rest would take long."""

    def __init__(self, space, root=None, part=None):
        self.document = space.weir("show", *([part] if part else []), "--json", expect=0, root=root).json

    def rule(self, place):
        """Packets decided by the rule at 'edge.rules:14'."""
        name, line = place.rsplit(":", 1)
        for each in self.document["filters"]:
            for rule in each["rules"]:
                if rule["file"] == name and rule["line"] == int(line):
                    return rule["packets"]
        raise KeyError(place)

    def named(self, name):
        for each in self.document["counters"]:
            if each["name"] == name:
                return each["packets"]
        raise KeyError(name)

    def reason(self, filter_name, name):
        for each in self.document["filters"]:
            if each["name"] == filter_name:
                return each["reasons"][name]["packets"]
        raise KeyError(filter_name)


def nginx(space, world, body="weir lets you in\n", listen=("80",), files=None):
    """A real server; returns when it answers. listen: as in its configuration."""
    site = os.path.join(world.dir, "www-" + space.role)
    os.makedirs(site, exist_ok=True)
    for name, text in {"index.html": body, **(files or {})}.items():
        with open(os.path.join(site, name), "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
    conf = world.file("nginx-%s.conf" % space.role, """
        daemon off; master_process off; pid %(dir)s/nginx-%(role)s.pid; error_log %(dir)s/nginx-%(role)s.log;
        events { worker_connections 256; }
        http {
            access_log off;
            client_body_temp_path %(dir)s/t1; proxy_temp_path %(dir)s/t2; fastcgi_temp_path %(dir)s/t3;
            uwsgi_temp_path %(dir)s/t4; scgi_temp_path %(dir)s/t5;
            server { %(listen)s root %(site)s; }
        }
        """ % {"dir": world.dir, "role": space.role, "site": site, "listen": "".join("listen %s; " % p for p in listen)})
    path = shutil.which("nginx") or "/usr/sbin/nginx"
    child = space.popen(path, "-p", world.dir, "-c", conf, "-e", world.dir + "/nginx-start.log",
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers():
        if child.poll() is not None:
            with open(world.dir + "/nginx-start.log") as log:
                raise RuntimeError("nginx did not start: " + log.read())
        return ":0050 " in space.run("cat", "/proc/net/tcp", "/proc/net/tcp6", expect=None)

    if not wait(answers, 10):
        raise RuntimeError("nginx does not listen")
    return child


def curl(space, url, timeout=3):
    """Exit code of curl and the body."""
    done = subprocess.run(space.enter("curl", "-sS", "-g", "--max-time", str(timeout), url), capture_output=True, text=True)
    return done.returncode, done.stdout
