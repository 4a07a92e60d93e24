"""A child process for work that is not trusted, and the end of everything that it starts.

1. This process becomes the one that inherits orphans (Linux: PR_SET_CHILD_SUBREAPER, prctl(2)), so that it finds what
   the work starts also after setsid and a double fork. It forks before it has a thread, and runs nothing of the user's.
2. It collects what the child answers, and watches how much memory all processes of the work take together.
3. When the child has ended, when a limit is passed, when SIGTERM comes, or when the owner has gone, it kills everything
   that is left of the work, and goes on until the kernel says that it has no more children.

Other systems have no such inheritance: there the child's process group is killed. Standard library only: this process
exists for each run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

LOOK_EVERY_S = 0.1
_LOOKING_SHARE = 20  # looking takes at most a twentieth of the time
_KILL_EVERY_S = 0.002
_END_S = 5.0  # a process that has become another user's cannot be killed
_PIECE_BYTES = 64 * 1024
_IS_LINUX = sys.platform == "linux"
_OWNER_GONE = "The owner of the run has ended."
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Ended:
    """How work ended. answer: what it gave, empty if it gave nothing. status: of its process, negative if a signal
    ended it. reason: why it was ended from here; empty if it was not."""

    answer: bytes
    status: int
    reason: str = ""


def supervised(
    work: Callable[[], bytes],
    owner: tuple[int, int],
    memory_bytes_max: int,
    answer_bytes_max: int,
    is_late: Callable[[], str],
) -> Ended:
    """Do work, which returns its answer, in a child process; when this returns, no process of it is left.

    owner: the pipes from and to the owner, which the child does not get. memory_bytes_max: private memory of all
    processes of the work together (Linux). is_late: is asked now and then; a text is the reason why the work must end.
    SIGTERM must not be ignored.
    """
    if _IS_LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    here = os.getpid()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # so that it is written to the pipe
    reading, writing = os.pipe()
    living, lives = os.pipe()
    child = os.fork()
    if not child:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what it starts would ignore what it ignores
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for pipe in (woken, wake, reading, lives, owner[1]):
            os.close(pipe)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, owner[0])  # the user's code that reads its standard input gets an empty one
        os.close(nothing)
        _do(work, here, living, writing)
    for pipe in (writing, living):
        os.close(pipe)
    return _Supervisor(child, owner[0], reading, woken, memory_bytes_max, answer_bytes_max, is_late).until_ended()


def _do(work: Callable[[], bytes], supervisor: int, living: int, writing: int) -> NoReturn:
    """What the child does."""
    status = 1
    try:
        os.setsid()
        _end_with(supervisor, living)
        rest = memoryview(work())
        while rest:
            rest = rest[os.write(writing, rest) :]
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(status)  # no work is left, and closing an engine in order takes a while


def _end_with(supervisor: int, living: int) -> None:
    """End this process, and its group, when the supervisor ends, which somebody may kill."""
    if _IS_LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)

    def wait() -> None:
        os.read(living, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="supervisor", daemon=True).start()


class _Supervisor:
    def __init__(
        self,
        child: int,
        owner: int,
        answers: int,
        woken: int,
        memory_bytes_max: int,
        answer_bytes_max: int,
        is_late: Callable[[], str],
    ) -> None:
        self._child = child
        self._owner = owner
        self._answers = answers
        self._woken = woken
        self._memory_bytes_max = memory_bytes_max
        self._answer_bytes_max = answer_bytes_max
        self._is_late = is_late
        self._parent = os.getppid()
        self._answer = bytearray()
        self._status: int | None = None
        self._reason = ""

    def until_ended(self) -> Ended:
        try:
            self._watch()
        finally:
            self._end_all()
        os.set_blocking(self._answers, False)
        with contextlib.suppress(BlockingIOError):  # a process that could not be killed has the pipe
            while not self._reason and self._read():
                continue
        return Ended(bytes(self._answer), -1 if self._status is None else self._status, self._reason)

    def _watch(self) -> None:
        waiting = select.poll()
        for pipe in (self._owner, self._answers, self._woken):
            waiting.register(pipe, select.POLLIN)
        look_at = time.monotonic() + LOOK_EVERY_S
        while self._status is None and not self._reason:
            for pipe, _ in waiting.poll(max(0.0, look_at - time.monotonic()) * 1000):
                self._take(pipe, waiting)
            self._reap()
            began = time.monotonic()
            if began >= look_at:
                self._look()
                look_at = began + max(LOOK_EVERY_S, _LOOKING_SHARE * (time.monotonic() - began))

    def _take(self, pipe: int, waiting: select.poll) -> None:
        if pipe == self._answers:
            if not self._read():
                waiting.unregister(pipe)
        elif pipe == self._woken:
            if signal.SIGTERM in os.read(pipe, _PIECE_BYTES):
                self._reason = "The run was ended from outside."
        elif not os.read(pipe, 1):
            self._reason = _OWNER_GONE

    def _look(self) -> None:
        if _IS_LINUX and private_bytes(self._memory_bytes_max) > self._memory_bytes_max:
            reason = (
                f"The processes of the run took more than {self._memory_bytes_max} bytes of memory together "
                "(job_memory_bytes_max), and were ended."
            )
        elif os.getppid() != self._parent:  # somebody else may hold the pipe open, such as a process that it forked
            reason = _OWNER_GONE
        else:
            reason = self._is_late()
        self._reason = self._reason or reason

    def _read(self) -> bool:
        """Take a piece of the answer; False at its end."""
        piece = os.read(self._answers, _PIECE_BYTES)
        self._answer += piece
        if len(self._answer) > self._answer_bytes_max:
            self._reason = f"The run's process answered more than {self._answer_bytes_max} bytes, and was ended."
        return bool(piece)

    def _reap(self) -> bool:
        """Note the processes that have ended; False if no child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid == self._child:
                self._status = os.waitstatus_to_exitcode(status)

    def _end_all(self) -> None:
        """Kill all processes of the work, until none is left: what one has forked meanwhile, this one inherits."""
        give_up = time.monotonic() + _END_S
        while self._reap() and time.monotonic() < give_up:
            for number in (signal.SIGSTOP, signal.SIGKILL):  # a process that is stopped forks no other
                for pid in descendants() if _IS_LINUX else ():
                    _kill(os.kill, pid, number)
            if self._status is None or not _IS_LINUX:
                _kill(os.killpg, self._child, signal.SIGKILL)
            time.sleep(_KILL_EVERY_S)
        if not _IS_LINUX:
            _kill(os.killpg, self._child, signal.SIGKILL)  # those that the child has left behind


def _kill(call: Callable[[int, int], None], target: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        call(target, number)


def _prctl(option: int, value: int) -> None:
    """Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "prctl")


# -- what the processes are and take, from /proc (proc(5))


def descendants() -> list[int]:
    """The processes below this one; Linux."""
    here = os.getpid()
    is_listed = Path(f"/proc/{here}/task/{here}/children").exists()  # a kernel can be built without it
    children = _children if is_listed else _by_parent().__getitem__
    found: list[int] = []
    waiting = [here]
    while waiting:
        below = list(children(waiting.pop()))
        found += below
        waiting += below
    return found


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                yield from map(int, (task / "children").read_bytes().split())


def _by_parent() -> dict[int, list[int]]:
    """The children of each process, by looking at all processes."""
    found: dict[int, list[int]] = defaultdict(list)
    with os.scandir("/proc") as entries:
        processes = [entry.name for entry in entries if entry.name.isdigit()]
    for process in processes:
        with contextlib.suppress(OSError):
            stat = _content(f"/proc/{process}/stat")  # the name in it, in parentheses, can hold anything
            found[int(stat.rpartition(b")")[2].split(maxsplit=2)[1])].append(int(process))
    return found


def _content(path: str) -> bytes:
    """The content of a small file of /proc; a run is looked at ten times a second, and hundreds of these are read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, _PIECE_BYTES)
    finally:
        os.close(file)


def private_bytes(enough: int) -> int:
    """The private memory of the processes below this one, shared pages counted once; Linux.

    What each process says of itself is read at first, which is cheap and counts shared pages once for each process. The
    kernel is asked for their shares (smaps_rollup) only if that is more than `enough`.
    """
    pids = descendants()
    most = sum(_kibibytes(pid, "status", (b"RssAnon:", b"RssShmem:", b"VmSwap:")) for pid in pids) * 1024
    if most <= enough or len(pids) == 1:
        return most
    return sum(_kibibytes(pid, "smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")) for pid in pids) * 1024


def _kibibytes(pid: int, file: str, names: tuple[bytes, ...]) -> int:
    with contextlib.suppress(OSError):
        lines = _content(f"/proc/{pid}/{file}").split(b"\n")  # the name in it can hold all but this
        return sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0
