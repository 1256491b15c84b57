#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""docs/map-abi.md from bpf/abi.h with the headers that it includes, bpf/maps.h and the lists of LISTS.

    map-abi.py            print the page
    map-abi.py --check    exit 1 where docs/map-abi.md is another one

Words come from the headers' comments, numbers from a C program that the compiler makes of the same headers. A line
that is not understood is an error, and so is a hole between two fields: padding has a name here.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "map-abi.md")

DEFINE = re.compile(r"#define (\w+)\s+(\S.*?)(?:\s*/\* (.*) \*/)?$")
INCLUDE = re.compile(r'^#include "(\w+\.h)"', re.M)
OPEN = re.compile(r"(enum|struct) (\w+) \{")
# Members, wherever lines break. A comment on the member's own line belongs to it, any other to what follows.
MEMBER = {
    "struct": re.compile(r"((?:struct |enum )?\w+) (\w+(?:, \w+)*)((?:\[[\w /]+\])*);(?:[ \t]*/\*(.*?)\*/)?\s*", re.S),
    "enum": re.compile(r"(\w+)(?: = \w[\w +-]*)?\s*(?:,|$|(?=/))(?:[ \t]*/\*(.*?)\*/)?\s*", re.S),
}
GROUP = re.compile(r"/\*(.*?)\*/\s*", re.S)
MAP = re.compile(r"struct \{\n((?:\t.*\n)+)\} (\w+) __weak SEC\(\"\.maps\"\);")
OUTER = re.compile(r"^SET_OUTER\((\w+), (\w+), (\w+), struct (\w+)\);", re.M)
LISTED = re.compile(r'X\((\w+), "([a-z-]+)", ([A-Z]), "([^"]*)"\)')
# Headers with a list of X(NAME, "json-name", kind, "sentence"): a table each.
LISTS = ("reasons.h", "guard_outcomes.h")
REASONS = {"R": "the rule file", "M": "its `malformed` policy", "F": "always drop"}
OUTCOMES = {"A": "goes on", "D": "is denied"}


def read(name):
    with open(os.path.join(TOP, "bpf", name)) as file:
        return file.read()


def comment_text(lines):
    """The words of a block comment: paragraphs, and indented lines as they stand."""
    return [re.sub(r"^ ?\*? ?", "", re.sub(r"\s*\*/$", "", re.sub(r"^\s*/\*", "", line))).rstrip() for line in lines]


def members(kind, body):
    """("member", ...) and ("group", comment) in order; None where something else stands between them."""
    out, at = [], 0
    while at < len(body):
        member, group = MEMBER[kind].match(body, at), GROUP.match(body, at)
        if not member and not group:
            return None
        words = (member or group).groups()
        comment = " ".join((words[-1] or "").split())
        if not member:
            out.append(("group", comment))
        elif kind == "enum":
            out.append(("member", words[0], comment))
        else:
            out += [("member", words[0], field, words[2], comment) for field in words[1].split(", ")]
        at = (member or group).end()
    return out


def with_included(name):
    """The header and those that it includes, the outermost first, without LISTS"""
    names = [name]
    for outer in names:
        names += [inner for inner in INCLUDE.findall(read(outer)) if inner not in names and inner not in LISTS]
    return names


def parse(name):
    """Items of a header in order: ("text" | "define" | "enum" | "struct" | "code", ...)"""
    items, comment, lines = [], [], read(name).split("\n")
    at = 0

    def fail():
        sys.exit("bpf/%s:%d: not understood: %s" % (name, at + 1, lines[at]))

    while at < len(lines):
        line = lines[at]
        if line.startswith("/*"):
            start = at
            while "*/" not in lines[at]:
                at += 1
            comment = comment_text(lines[start:at + 1])
        elif OPEN.match(line):
            start = at
            while not lines[at].endswith("};"):
                at += 1
            kind, what = OPEN.match(line).groups()
            body = "\n".join(lines[start:at + 1])
            items.append((kind, what, comment, members(kind, body[body.index("{") + 1:-2].strip()) or fail()))
            comment = []
        elif line.startswith("static inline"):
            start = at
            while lines[at] != "}":
                at += 1
            items.append(("code", comment, lines[start:at + 1]))
            comment = []
        elif DEFINE.match(line):
            items.append(("define", comment) + DEFINE.match(line).groups())
            comment = []
        elif not line:
            if comment:
                items.append(("text", comment))
            comment = []
        elif line.startswith("_Static_assert"):
            while not lines[at].endswith(";"):
                at += 1
        elif not line.startswith("#"):
            fail()
        at += 1
    return items


def ask(items):
    """What the compiler says: {"NAME" | "struct" | "struct.field": numbers}"""
    asks = []
    for item in items:
        if item[0] == "define":
            asks.append('printf("%s %%llu\\n", (unsigned long long)(%s));' % (item[2], item[2]))
        elif item[0] == "enum":
            asks += ['printf("%s %%llu\\n", (unsigned long long)%s);' % (m[1], m[1])
                     for m in item[3] if m[0] == "member"]
        elif item[0] == "struct":
            asks.append('printf("%s %%zu\\n", sizeof(struct %s));' % (item[1], item[1]))
            asks += ['printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));' %
                     (item[1], m[2], item[1], m[2], item[1], m[2]) for m in item[3] if m[0] == "member"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "ask.c"), os.path.join(folder, "ask")
        with open(source, "w") as file:
            file.write('#include <stddef.h>\n#include <stdio.h>\n#include "bpf/abi.h"\nint main(void)\n{\n%s\n}\n' %
                       "\n".join(asks))
        compiler = shlex.split(os.environ.get("CC") or "gcc")
        subprocess.run(compiler + ["-std=gnu11", "-I", TOP, "-o", program, source], check=True)
        answer = subprocess.run([program], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    return {line.split()[0]: [int(word) for word in line.split()[1:]] for line in answer.splitlines()}


def prose(lines):
    """Comment lines as Markdown: an indented line is shown as it stands."""
    out, quoted = [], False
    for line in lines:
        if line.startswith("  ") != quoted and line and out and out[-1]:
            out.append("")
        if line:
            quoted = line.startswith("  ")
        out.append("    " + line.strip() if line.startswith("  ") else line)
    while out and not out[0]:
        out.pop(0)
    while out and not out[-1]:
        out.pop()
    return out + [""] if out else []


def cell(text):
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def table(heads, rows):
    return ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)] + \
           ["| " + " | ".join(row) + " |" for row in rows] + [""]


def fields(name, body, numbers):
    rows, end = [], 0
    for member in body:
        if member[0] == "group":
            rows.append(("", "", "", "", cell(member[1] + ":")))
            continue
        _, kind, field, array, comment = member
        offset, size = numbers["%s.%s" % (name, field)]
        if offset != end:
            sys.exit("struct %s has a hole before '%s'" % (name, field))
        end = offset + size
        rows.append((str(offset), str(size), "`%s`" % field, "`%s%s`" % (kind, array),
                     cell(comment or ("always zero" if field == "pad" else ""))))
    if numbers[name][0] != end:
        sys.exit("struct %s has a hole at its end" % name)
    return rows


def value(written, number):
    if re.match(r"^\d+$", written):
        return written
    return hex(number) if re.search(r"<<|0x", written) else str(number)


def layouts(items, numbers):
    out, rows = [], []

    def flush():
        nonlocal out, rows
        if rows:
            out += table(("constant", "value", ""), rows)
        rows = []

    for item in items:
        if item[0] == "define":
            if item[1]:
                flush()
                out += prose(item[1])
            rows.append(("`%s`" % item[2], value(item[3], numbers[item[2]][0]), cell(item[4])))
            continue
        flush()
        if item[0] == "text":
            out += prose(item[1])
        elif item[0] == "enum":
            out += ["### enum %s" % item[1], ""] + prose(item[2])
            out += table(("value", "name", ""), [(str(numbers[m[1]][0]), "`%s`" % m[1], cell(m[2]))
                                                 for m in item[3] if m[0] == "member"])
        elif item[0] == "struct":
            out += ["### struct %s, %d bytes" % (item[1], numbers[item[1]][0]), ""] + prose(item[2])
            out += table(("offset", "size", "field", "type", ""), fields(item[1], item[3], numbers))
        else:
            out += ["### " + re.search(r"(\w+)\((?:const )?\w+ ", item[2][0]).group(1), ""] + prose(item[1])
            out += [("    " + line.replace("\t", "        ")).rstrip() for line in item[2]] + [""]
    flush()
    return out


def attribute(body, name):
    found = re.search(r"__(?:uint|type)\(%s, ([^;]*)\);" % name, body)
    return found.group(1) if found else ""


def map_type(name):
    return name[len("BPF_MAP_TYPE_"):].lower().replace("_", " ")


def comment_before(text, start):
    """The block comment that ends right before this place."""
    before = text[:start].rstrip("\n")
    return before[before.rindex("/*"):].split("\n") if before.endswith("*/") else None


def maps(text):
    out = []
    for found in MAP.finditer(text):
        body, name = found.groups()
        comment = comment_before(text, found.start())
        if not comment:
            continue # scratch: a packet's own
        about = map_type(attribute(body, "type")) + (", mmapable" if "MMAPABLE" in attribute(body, "map_flags") else "")
        for what, said in (("key", ", key `%s`"), ("value", ", value `%s`"), ("max_entries", "; entries: %s")):
            about += said % attribute(body, what) if attribute(body, what) else ""
        out += ["### %s" % name, "", about + ".", ""]
        out += prose(comment_text(comment))
    outers = list(OUTER.finditer(text))
    out += ["### " + ", ".join(found.group(1) for found in outers), ""]
    out += prose(comment_text(comment_before(text, text.index("#define SET_OUTER"))))
    out += table(("map", "inner map", "key", "value"),
                 [("`%s`" % found.group(1), map_type(found.group(2)), "`struct %s`" % found.group(4), "`__u32`, 1")
                  for found in outers])
    return out


def listed(name, prefix, kind, kinds):
    rows = [(str(i), "`%s%s`" % (prefix, r[0]), "`%s`" % r[1], kinds[r[2]], cell(r[3]))
            for i, r in enumerate(LISTED.findall(read(name)))]
    return table(("value", "name", "in JSON", kind, ""), rows)


def page():
    items = [item for name in with_included("abi.h") for item in parse(name)]
    numbers = ask(items)
    out = ["<!-- SPDX-License-Identifier: GPL-2.0 -->", "<!-- Made by `make abi`; edit the headers instead. -->", "",
           "# Map ABI, version %d" % numbers["WEIR_ABI_VERSION"][0], "",
           "What an instance pins below its directory (`/sys/fs/bpf/weir/N`), from `bpf/abi*.h`, `bpf/maps.h`,",
           "`bpf/reasons.h` and `bpf/guard_outcomes.h`. An instance of another version is refused. Offsets and",
           "sizes are bytes.", "",
           "## Maps", "", "Sizes here are the smallest; the command sets the real ones before it loads.", ""]
    out += maps(read("maps.h"))
    out += ["## Layouts", ""] + layouts(items, numbers)
    out += ["## Reasons", "", "Each filter has one counter for each, in this order.", ""]
    out += listed("reasons.h", "REASON_", "verdict from", REASONS)
    out += ["## Outcomes of guards", "", "Each guard has one counter for each and layer: [layer][outcome].", ""]
    out += listed("guard_outcomes.h", "GUARD_DID_", "it", OUTCOMES)
    return "\n".join(out).rstrip("\n") + "\n"


def main():
    text = page()
    if sys.argv[1:] == ["--check"]:
        with open(PAGE) as file:
            if file.read() != text:
                sys.exit("docs/map-abi.md is not what bpf/ says: run `make abi`")
    elif sys.argv[1:]:
        sys.exit("usage: map-abi.py [--check]")
    else:
        sys.stdout.write(text)


main()
