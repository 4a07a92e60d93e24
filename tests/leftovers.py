"""Finds processes that tests left running, and ports on which they listen. Linux only; elsewhere nothing is found.

Whatever a test starts inherits the environment variable MARK, also when its parent dies first, so a process is found
by that. What is started with an environment of its own looks after itself.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MARK = "DW_TEST_MARK"

_PROC = Path("/proc")
_LISTEN = "0A"  # proc(5): the state in /proc/net/tcp, of include/net/tcp_states.h


def marked(mark: str) -> dict[int, str]:
    """The processes that live and whose mark begins so: pid -> command line."""
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is somebody else's
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes() and lives(folder):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found[int(folder.name)] = command
    return found


def lives(process: Path) -> bool:
    """Whether the process of a folder of /proc runs; one that nobody asked for its end yet does not."""
    state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    return state not in "ZX"


def ended(find: Callable[[], dict[int, str]], limit_s: float) -> dict[int, str]:
    """Waits until what `find` finds has ended by itself; kills what has not, and returns it."""
    end = time.monotonic() + limit_s
    while (left := find()) and time.monotonic() < end:
        time.sleep(0.02)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def listening(pid: int) -> set[int]:
    """The TCP ports on which a process listens."""
    inodes = set()
    for descriptor in _PROC.glob(f"{pid}/fd/*"):
        with suppress(OSError):
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    ports = set()
    for table in _PROC.glob(f"{pid}/net/tcp*"):
        for line in table.read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == _LISTEN and cells[9] in inodes:
                ports.add(int(cells[1].rpartition(":")[2], 16))
    return ports
