# SPDX-License-Identifier: GPL-2.0
"""A `weir watch` that runs beside a test, and what it said."""
import json
import os
import signal
import subprocess

from lab import WEIR, check, wait


class Watcher:
    def __init__(self, space, *words, json_lines=True, name="watch"):
        self.space = space
        self.path = os.path.join(space.world.dir, name)
        self.out = open(self.path + ".out", "wb")
        self.err = open(self.path + ".err", "wb")
        command = [WEIR, "--bpffs", space.world.root, "watch", *(["--json"] if json_lines else []), *words]
        # nsenter becomes the command: the same process
        self.child = space.popen(*command, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    def ready(self):
        """Until it has locked the ring for itself."""
        return wait(self._has_claim, 10) and self

    def _has_claim(self):
        where = "/proc/%d/" % self.child.pid
        for fd in os.listdir(where + "fd"):
            try:
                with open(where + "fdinfo/" + fd) as info:
                    if os.readlink(where + "fd/" + fd).endswith("/links") and "FLOCK" in info.read():
                        return True
            except OSError:
                pass  # it has closed it again
        return False

    def tell(self, number):
        self.child.send_signal(number)

    def lines(self):
        """Whole ones: it may be writing just now."""
        with open(self.path + ".out") as out:
            text = out.read()
        return text[: text.rfind("\n") + 1].splitlines()

    def records(self):
        return [json.loads(line) for line in self.lines()]

    def error(self):
        with open(self.path + ".err") as err:
            return err.read()

    def end(self, number=signal.SIGTERM, want=0):
        """Tells it to stop, and waits; its exit code is a belief."""
        if self.child.poll() is None:
            self.tell(number)
        code = self.child.wait(10)
        self.out.close()
        self.err.close()
        self.space.world.children.remove(self.child)
        check("watch ends with %d" % want, code == want, "exit %d: %s" % (code, self.error()))
        return code
