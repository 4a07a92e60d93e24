"""`dw up` forked from a process that has imported what it and its children need: a start takes a tenth of the work.

The tests of a session share that process (`prepared_up`). What it forks has the environment and the folder that a
program of its own would have. Tests of the start itself, or of what Python does at its start, ask for a program of its
own: `running(..., fresh=True)`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from datawarehouse.runtime.prepared import PreparedProcess
from leftovers import MARK, marked

_PROGRAM = [sys.executable, str(Path(__file__).with_name("prepared_up.py"))]
_process = None


class Forked:
    """A forked `dw up`, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, child):
        self._child = child
        self.pid = child.pid
        self.stdout = child.stdout

    def poll(self):
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout=None):
        return self._child.wait(timeout)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self._child.kill()


def fork_up(folder, arguments, environment, errors):
    """Start `dw` with these arguments; None where that is not possible. errors: the file for its standard error."""
    global _process
    if sys.platform != "linux":
        return None
    if _process is None:
        with patch.dict(os.environ, {MARK: _mark()}):
            _process = PreparedProcess(_PROGRAM)
    child = _process.child("up")
    if child is None:
        return None
    order = {"folder": str(folder), "arguments": arguments, "environment": environment, "errors": str(errors)}
    with child.stdin as pipe:
        pipe.write(json.dumps(order).encode())
    return Forked(child)


def left_of_forks():
    """What still runs of all that was forked, and of what that forked: pid -> command line."""
    return {pid: command for pid, command in marked(_mark()).items() if pid != _process.pid} if _process else {}


def close():
    """End the process that forks."""
    global _process
    if _process:
        _process.close()
    _process = None


def _mark():
    """A process has for ever the mark that the environment of its program had: all forked ones have this."""
    return f"{os.getpid()}:forked"
