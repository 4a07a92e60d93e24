"""A process that has imported a module, and forks a child that runs its `main` for each order.

A test that kills fifty processes pays for their imports once. Nothing but modules is there before the fork: each child
opens its folder, its files and DuckDB itself.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

from running import started

_SERVER = """
import importlib, json, os, sys, traceback
import pandas  # pyarrow imports it with the first array that a process makes
sys.path[:0] = json.loads(sys.argv[2])
module = importlib.import_module(sys.argv[1])
for line in sys.stdin:
    out, arguments = json.loads(line)
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(out, os.O_WRONLY), 1)
            module.main(*arguments)
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Child:
    """A forked process; one at a time. stdout: what it prints, as text."""

    def __init__(self, server, out, arguments):
        self._server = server
        server.stdin.write(json.dumps([str(out), [str(argument) for argument in arguments]]) + "\n")
        server.stdin.flush()
        self.pid = int(server.stdout.readline())
        self.stdout = out.open()
        self.code = None

    def kill(self):
        """Kill it; its exit code, which is not that of a kill if it had ended before."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self):
        """Wait for its end; its exit code."""
        if self.code is None:
            self.stdout.read()
            self.stdout.close()
            self.code = int(self._server.stdout.readline())
        return self.code


@contextmanager
def forks(module, folder, *paths):
    """What begins a child, given the arguments of the module's `main`. paths: where to import from, first."""
    out = folder / "out"
    os.mkfifo(out)
    command = [sys.executable, "-c", _SERVER, module, json.dumps([str(path) for path in paths])]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        children = []

        def begin(*arguments):
            children.append(Child(server, out, arguments))
            return children[-1]

        try:
            yield begin
        finally:
            for child in children[-1:]:
                child.kill()
