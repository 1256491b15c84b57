#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The command line as scripts meet it: exit codes, standard input, JSON from every verb, help without root."""
import json
import os
import shutil
import subprocess
import tempfile

from lab import WEIR, check, equal, main, pair_world, weir

VERBS = ("check", "plan", "apply", "down", "show", "set add", "flow list", "test", "explain", "doctor", "version")
GOOD = """set blocked { type addr; size 100 }
filter edge { hook ingress; device g0; default accept
    saddr @blocked drop
    tcp dport 22 counter ssh drop
}
test "ssh is dropped" {
    packet tcp 192.0.2.1:40000 > 203.0.113.1:22 flags syn
    expect drop by edge:4
}
"""
WRONG_TEST = GOOD.replace("expect drop by edge:4", "expect accept")
BROKEN = "filter edge { hook ingress; device g0; default accept\n    tcp dprot 22 drop\n}\n"


def nobody(*words, stdin=None):
    """As a user with no rights at all."""

    def become():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    env = dict(os.environ)
    env.pop("WEIR_BPFFS", None)
    with tempfile.TemporaryDirectory() as where:  # the tree itself may be unreadable for others
        os.chmod(where, 0o755)
        program = shutil.copy(WEIR, where)
        return subprocess.run([program, *words], input=stdin or "", capture_output=True, text=True, preexec_fn=become,
                              cwd="/", env=env)


def document(ran):
    """One document, or None."""
    try:
        return json.loads(ran.out)
    except json.JSONDecodeError:
        return None


def t_exit_codes():
    world, wire, guard = pair_world()
    good, broken = world.file("good.rules", GOOD), world.file("broken.rules", BROKEN)
    wrong = world.file("wrong.rules", WRONG_TEST)
    nodevice = world.file("nodevice.rules", GOOD.replace("device g0", "device nosuch"))
    # words, exit code
    table = [
        ("version", 0), ("--help", 0), ("help", 0), ("", 2), ("nosuch", 2), ("--nosuch", 2),
        ("check", 2), ("check %s" % good, 0), ("check %s" % broken, 3), ("check /nosuch.rules", 3), ("check --nosuch %s" % good, 2),
        ("check %s %s" % (good, good), None),
        ("test %s" % good, 0), ("test %s" % wrong, 1), ("test %s" % broken, 3),
        ("show", 0), ("down", (0, 1)), ("set list blocked", 1),
        ("plan %s" % good, 4), ("plan --offline %s" % good, (0, 4)),
        ("apply %s" % nodevice, (1, 3)), ("apply %s" % broken, 3), ("apply", 2),
        ("apply %s" % good, 0), ("plan %s" % good, 0), ("show", 0), ("doctor", 0),
        ("set", 2), ("set add", 2), ("set load blocked", 2), ("set add blocked 192.0.2.1", 0), ("set test blocked 192.0.2.1", 0),
        ("set test blocked 192.0.2.2", 4), ("set list blocked", 0), ("set list nosuch", 1), ("set ad blocked 192.0.2.1", 2),
        ("set del blocked 192.0.2.1", 0), ("set flush blocked", 0), ("set add blocked nonsense", 1),
        ("flow", 2), ("flow list", 1), ("flow list prto tcp", 2), ("flow del", 2), ("flow del all", 1), ("show flows", 1),
        ("explain", 2), ("down now", 2), ("down", 0),
    ]
    for words, want in table:
        ran = guard.weir(*words.split())
        if want is None:
            check("weir %s: no crash" % words[:12], 0 <= ran.code <= 4, ran)
            continue
        want = want if isinstance(want, tuple) else (want,)
        what = "weir %s" % words.replace(world.dir + "/", "")
        check("%s: exit %s" % (what, " or ".join(map(str, want))), ran.code in want, ran)
        if ran.code in (1, 2, 3):
            # what a test run found is its result; everything else that goes wrong is said beside the results
            results = words.startswith("test") and ran.code == 1
            check("%s: says why, in the right place" % what, ran.err.strip() and bool(ran.out.strip()) == results, ran)


def t_standard_input():
    world, wire, guard = pair_world()
    for verb, want in (("check", 0), ("test", 0), ("plan", 4), ("apply", 0)):
        ran = guard.weir(verb, "-", stdin=GOOD)
        equal("%s - takes rules from stdin" % verb, ran.code, want)
        ran = guard.weir(verb, "-", stdin=BROKEN)
        check("%s - rejects, with the place" % verb, ran.code == 3 and ":2:" in ran.err, ran)
    ran = guard.weir("set", "add", "blocked", "-", stdin="192.0.2.1\n192.0.2.2\n")
    equal("set add - takes elements from stdin", (ran.code, guard.weir("set", "test", "blocked", "192.0.2.2").code), (0, 0))


def t_json():
    world, wire, guard = pair_world()
    good, broken = world.file("good.rules", GOOD), world.file("broken.rules", BROKEN)
    for words in ("check GOOD", "check BROKEN", "check /nosuch", "plan GOOD", "plan --offline GOOD", "test GOOD", "show", "set list blocked",
                  "apply BROKEN", "apply GOOD", "apply GOOD", "plan GOOD", "show", "set add blocked 192.0.2.1",
                  "set test blocked 192.0.2.1", "set test blocked 192.0.2.9", "set list blocked", "set load blocked LIST",
                  "set del blocked 192.0.2.7", "set flush blocked", "flow list", "show flows proto tcp", "flow del all", "set list nosuch", "set add blocked rubbish",
                  "doctor", "version", "down", "show"):
        real = words.replace("GOOD", good).replace("BROKEN", broken).replace("LIST", world.file("list", "192.0.2.7\n"))
        verb, *rest = real.split()
        after, before = guard.weir(verb, *rest, "--json"), None
        check("%s --json: one document, nothing else" % words, document(after) is not None and not after.err.strip(), after)
        if words in ("show", "version", "doctor"):
            before = guard.weir("--json", verb, *rest)
            check("--json %s too" % words, document(before) is not None and before.code == after.code, before)
    ran = guard.weir("check", "--json", broken)
    problems = (document(ran) or {}).get("problems", [])
    check("a problem has its place", problems and problems[0].get("line") == 2 and problems[0].get("column") == 9
          and problems[0].get("severity") == "error", ran)


def t_help_and_no_root():
    for words in (["--help"], ["version"], *[[*v.split(), "--help"] for v in VERBS]):
        ran = nobody(*words)
        check("%s needs no root" % " ".join(words), ran.returncode == 0 and ran.stdout.strip(), ran.stderr)
    out = nobody("--help").stdout
    check("help names every verb", all(v in out for v in VERBS), out)
    equal("check needs no root", nobody("check", "-", stdin=GOOD).returncode, 0)
    equal("nor to reject", nobody("check", "-", stdin=BROKEN).returncode, 3)
    check("nor does plan --offline", nobody("plan", "--offline", "-", stdin=GOOD).returncode in (0, 4))
    ran = nobody("apply", "-", stdin=GOOD)
    check("apply does, and says so", ran.returncode == 1 and "root" in ran.stderr, ran.stderr)


def t_hints():
    for words, hint in (("chekc", "check"), ("aply", "apply"), ("set lst blocked", "list"), ("check --jsn -", "--json"),
                        ("show --bpfs /x", "--bpffs")):
        ran = weir(*words.split(), stdin="")
        check("'weir %s' suggests %s" % (words, hint), ran.code == 2 and hint in ran.err, ran)
    ran = weir("chec", "-", stdin=GOOD)
    equal("a beginning is not enough", ran.code, 2)


def t_bpffs():
    world, wire, guard = pair_world()
    other = world.other_root()
    good = world.file("good.rules", GOOD)
    ran = guard.weir("--bpffs", other, "apply", good)
    check("--bpffs decides", ran.code == 0 and world.pins(other) and not world.pins(), ran)
    ran = guard.weir("show", root=other)
    check("WEIR_BPFFS is its default", ran.code == 0 and "22" in ran.out, ran)
    mode = os.stat(other).st_mode & 0o777
    equal("the root is its owner's alone", oct(mode), oct(0o700))
    equal("down there", guard.weir("down", "--bpffs", other).code, 0)
    # `ip netns exec` hides /sys/fs/bpf: what would be mounted and pinned there ends with the command
    ran = subprocess.run(["ip", "netns", "exec", guard.name, WEIR, "--bpffs", world.root, "apply", good],
                         capture_output=True, text=True)
    check("where pins would not last, nothing is applied", ran.returncode == 1 and "nsenter" in ran.stderr, ran.stderr)


main()
