"""A process that has imported what child processes need, and forks them: a child is there in milliseconds.

1. The owner forks it before it opens anything and before it loads the declaration. If it is killed, it is started anew.
   It keeps no file of the owner, does its imports, and waits for requests. Nothing in it starts a thread.
2. A request is the kind of a child, with three descriptors: of its orders, of its answers, and of a line to the owner.
   The child keeps the first two and no other. It opens its own files, and its own connections.
3. Over the line the owner gets the number of the child, and a descriptor of it (pidfd) by which it is ended: a number
   may belong to another process by then. The exit code follows when it has ended.
4. It ends when the owner closes the requests or ends. Its children do not need it any more; they end with their orders.

Only on Linux: macOS does not let a process fork safely once it has loaded its system libraries.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn, Protocol

log = logging.getLogger("datawarehouse")

_NUMBER = struct.Struct("<i")
_KIND_BYTES_MAX = 64
_CODE_MAX_S = 1.0  # it comes at once, unless the prepared process hangs
_OF_THE_OWNER = (signal.SIGINT, signal.SIGTERM)
_STANDARD = 3  # the descriptors below are standard input, output and error


class Child(Protocol):
    """A child process with pipes for its orders and its answers; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Its number; 0 if it could not be started."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended; its exit code, or None if that is not known. Raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """End it at once."""


def is_possible() -> bool:
    """Whether this process can fork a prepared process and get descriptors of processes."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
        return _has_one_thread()
    except OSError:  # before Linux 5.3, or forbidden in a container
        return False


def _has_one_thread() -> bool:
    return len(list(Path("/proc/self/task").iterdir())) == 1


class PreparedProcess:
    """A prepared process, as its owner sees it. `child` can be called from any thread."""

    def __init__(self, command: list[str], main: Callable[[], NoReturn] | None = None) -> None:
        """command: a program that calls `serve`. main: does the same in a fork of this process, which begins sooner.

        It may be forked from a process that has one thread, and nothing in memory that a child must not have.
        """
        self._command = command
        self._lock = threading.Lock()
        self._is_usable = True
        self._requests, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._pid = _forked_prepared(its, main) if main else self._executed(its)

    @property
    def pid(self) -> int:
        """Its number; 0 if it has ended."""
        return self._pid

    def child(self, kind: str) -> ForkedChild | None:
        """Start a child process, which may not have begun when this returns; None if that is not possible here."""
        with self._lock:
            while self._is_usable:
                if not self._pid:
                    self._start_anew()
                elif not self._has_ended(os.WNOHANG):
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        return ForkedChild(kind, self._requests, self.kill)
                    self._has_ended(0)  # it is ending: it has closed its requests
            return None

    def kill(self) -> None:
        """End it at once. The next call of `child` starts another."""
        with self._lock:
            if self._pid:
                os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self.kill()
        with self._lock:
            if self._pid:
                os.waitpid(self._pid, 0)
            self._pid, self._is_usable = 0, False
            self._requests.close()

    def _has_ended(self, options: int) -> bool:
        """Whether it has ended. If it did so by itself, it does not work here; if it was killed, it is started anew."""
        pid, status = os.waitpid(self._pid, options)
        if pid:
            self._pid, self._is_usable = 0, os.WIFSIGNALED(status)
            self._requests.close()
        return bool(pid)

    def _start_anew(self) -> None:
        self._requests, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._pid = self._executed(its)

    def _executed(self, its: socket.socket) -> int:
        as_input = [(os.POSIX_SPAWN_DUP2, its.fileno(), 0)]
        return os.posix_spawn(self._command[0], self._command, os.environ, file_actions=as_input)


def _forked_prepared(its: socket.socket, main: Callable[[], NoReturn]) -> int:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_OWNER)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    try:
        _ignore_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.dup2(its.fileno(), 0)
        main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


class ForkedChild:
    """A child of a prepared process, as the owner sees it. Methods can be called from any thread."""

    def __init__(self, kind: str, requests: socket.socket, kill_prepared: Callable[[], None]) -> None:
        """Ask for it. Raises BrokenPipeError or ConnectionResetError if the prepared process has ended."""
        self._kill_prepared = kill_prepared
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._handle = -1
        self._code: int | None = None
        self._has_ended = False
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
            orders, order_end = os.pipe()
            its.callback(os.close, orders)
            self.stdin: IO[bytes] | None = ours.enter_context(os.fdopen(order_end, "wb"))
            answer_end, answers = os.pipe()
            its.callback(os.close, answers)
            self.stdout: IO[bytes] | None = ours.enter_context(os.fdopen(answer_end, "rb"))
            self._line, its_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(self._line)
            its.enter_context(its_line)
            given = [orders, answers, its_line.fileno()]
            socket.send_fds(requests, [kind.encode()], given, socket.MSG_DONTWAIT)
            ours.pop_all()
        weakref.finalize(self, self._line.close)  # not earlier: another thread may be waiting

    @property
    def pid(self) -> int:
        self._has_begun(None)
        return self._pid or 0

    def wait(self, timeout: float | None = None) -> int | None:
        end = None if timeout is None else time.monotonic() + timeout
        if not self._has_begun(timeout) or not self._is_over(None if end is None else end - time.monotonic()):
            raise subprocess.TimeoutExpired("a forked child", timeout or 0)
        with self._lock:
            if not self._has_ended and self._pid and _is_readable(self._line.fileno(), _CODE_MAX_S):
                code = self._line.recv(_NUMBER.size)
                self._code = _NUMBER.unpack(code)[0] if code else None
            self._has_ended = True
        return self._code

    def kill(self) -> None:
        if not self._has_begun(0):
            self._kill_prepared()  # it is about to start this child, or hangs
            self._has_begun(_CODE_MAX_S)  # the child is known now, or ends by itself
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _has_begun(self, timeout: float | None) -> bool:
        """Whether it is known that it was started, or that it cannot be."""
        if self._pid is None and _is_readable(self._line.fileno(), timeout):
            with self._lock:
                if self._pid is None:
                    number, given, _, _ = socket.recv_fds(self._line, _NUMBER.size, 1, socket.MSG_CMSG_CLOEXEC)
                    if given:
                        [self._handle] = given
                        weakref.finalize(self, os.close, self._handle)
                    self._pid = _NUMBER.unpack(number)[0] if given else 0
        return self._pid is not None

    def _is_over(self, timeout: float | None) -> bool:
        return not self._pid or _is_readable(self._handle, timeout)


def _is_readable(descriptor: int, timeout: float | None) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(None if timeout is None else max(0, timeout) * 1000))


# -- in the prepared process


def serve(prepare: Callable[[], None], become: Callable[[str], NoReturn]) -> NoReturn:
    """Be a prepared process, whose standard input are the requests.

    prepare: does the imports. become: does in a child what a child of this kind does.
    """
    _ignore_signals()
    _close_all()
    while (null := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        continue  # one of the three was closed
    requests = os.dup(0)
    os.dup2(null, 0)
    os.dup2(2, 1)  # whoever reads the owner's output must not wait for this process
    _show_as("dw up: prepared")
    prepare()
    if not _has_one_thread():
        log.warning("child processes are started one by one: an imported library has started a thread")
        os._exit(1)
    gc.freeze()
    _fork_as_asked(socket.socket(fileno=requests), become)


def _fork_as_asked(requests: socket.socket, become: Callable[[str], NoReturn]) -> NoReturn:
    children: dict[int, tuple[int, socket.socket]] = {}
    waiting = select.poll()
    waiting.register(requests, select.POLLIN)
    while True:
        for ready, _ in waiting.poll():
            if ready in children:
                waiting.unregister(ready)
                _report(ready, *children.pop(ready))
                continue
            kind, given, _, _ = socket.recv_fds(requests, _KIND_BYTES_MAX, 3, socket.MSG_CMSG_CLOEXEC)
            if not kind:
                os._exit(0)  # the owner has ended
            orders, answers, line = given
            told, telling = os.pipe()
            pid = _forked(kind.decode(), orders, answers, told, become)
            for descriptor in (orders, answers, told):
                os.close(descriptor)
            if pid:
                handle = os.pidfd_open(pid)
                children[handle] = pid, socket.socket(fileno=line)
                waiting.register(handle, select.POLLIN)
                with contextlib.suppress(OSError):  # the owner does not wait for it any more
                    socket.send_fds(children[handle][1], [_NUMBER.pack(pid)], [handle])
                    os.write(telling, b"1")
            else:
                os.close(line)
            os.close(telling)


def _forked(kind: str, orders: int, answers: int, told: int, become: Callable[[str], NoReturn]) -> int:
    """The number of a new child; 0 if there can be none. told: says something when the owner knows of the child; if
    this process ends before, so does the child, which nobody could end."""
    try:
        pid = os.fork()
    except OSError as error:
        log.warning("a process (%s) could not be started: %s", kind, error.strerror)
        return 0
    if pid:
        return pid
    try:
        os.dup2(orders, 0)
        os.dup2(answers, 1)
        waits = os.dup2(told, _STANDARD)
        _close_all(but=waits)
        if not os.read(waits, 1):
            os._exit(1)
        os.close(waits)
        _show_as(f"dw up: {kind}")
        become(kind)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _report(handle: int, pid: int, line: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with line, contextlib.suppress(OSError):
        line.send(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os.close(handle)


def _ignore_signals() -> None:
    """The owner decides when it ends; a Ctrl-C in its terminal reaches this process as well."""
    for number in _OF_THE_OWNER:
        signal.signal(number, signal.SIG_IGN)


def _close_all(but: int = 0) -> None:
    """Close all descriptors but the standard ones and this one.

    Objects that had them stay in the frames below, which never end.
    """
    for path in list(Path("/proc/self/fd").iterdir()):  # the highest possible one may be a thousand million
        if int(path.name) >= _STANDARD and int(path.name) != but:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.close(int(path.name))


def _show_as(title: str) -> None:
    """Let `ps` and `top` show this process by what it does, not by the command line that it was forked with."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(title)
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = int(fields[45]), int(fields[46])  # proc_pid_stat(5): arg_start and arg_end, where `ps` reads
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(begin)
            memory.write(title.encode()[: end - begin - 1].ljust(end - begin, b"\0"))
