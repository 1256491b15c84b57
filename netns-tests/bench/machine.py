# SPDX-License-Identifier: GPL-2.0
"""Where a run was made: what figures depend on."""
import glob
import os
import shutil
import platform
import subprocess
import time

import lab


def said(*command):
    """First line of what a command prints, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines and not done.returncode else None


def read(path):
    try:
        with open(path) as found:
            return found.read().strip()
    except OSError:
        return None


def cpu_model():
    for line in (read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def caches():
    found = {}
    for index in sorted(glob.glob("/sys/devices/system/cpu/cpu0/cache/index*")):
        kind = read(index + "/type") or ""
        found["L%s%s" % (read(index + "/level"), {"Data": "d", "Instruction": "i"}.get(kind, ""))] = read(index + "/size")
    return found


def mitigations():
    return {os.path.basename(path): read(path) for path in sorted(glob.glob("/sys/devices/system/cpu/vulnerabilities/*"))
            if read(path) != "Not affected"}


def describe():
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "cpu": cpu_model(), "cpus": os.cpu_count(), "caches": caches(),
        "kernel": platform.release(), "arch": platform.machine(), "mitigations": mitigations(),
        "load": os.getloadavg()[0], "virtual": "hypervisor" in (read("/proc/cpuinfo") or ""),
        "versions": {name: version for name, version in (
            ("weir", said(lab.WEIR, "version")), ("commit", not os.environ.get("WEIR") and said("git", "-C", lab.TOP, "rev-parse", "--short=12", "HEAD")),
            ("clang", said(os.environ.get("CLANG") or shutil.which("clang-19") or "clang", "--version")), ("nft", said("nft", "--version")),
            ("iptables", said("iptables-legacy", "--version") or said("iptables", "--version")),
            ("ipset", said("ipset", "--version")), ("xdp-filter", said("xdp-filter", "--version")),
            ("iproute2", said("ip", "-V"))) if version},
    }
