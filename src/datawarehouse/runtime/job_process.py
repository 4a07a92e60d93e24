"""The process of one run of a job, as its owner sees it. Nothing that it answers is trusted."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from typing import IO

import msgspec

from datawarehouse.errors import WorkerDied
from datawarehouse.jobs.orders import ANSWER_BYTES_MAX, JobFailure, JobOrder, JobOutput, shortened
from datawarehouse.runtime.workers import LENGTH_BYTES, QuerySetup, write

_ANSWER = msgspec.msgpack.Decoder(JobOutput | JobFailure)
_SOON_S = 0.5
_END_S = 10.0  # longer than its supervisor takes to end everything


class JobProcess:
    """Gives one order to a process, and ends it with all that it started. Any thread may call `kill`."""

    def __init__(self, setup: QuerySetup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._late: threading.Timer | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "datawarehouse.runtime.workers", "job"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the owner's terminal is for the owner
        )

    def run(self, order: JobOrder) -> JobOutput | JobFailure:
        """Do a run. Raises WorkerDied if the process ends without an answer."""
        process = self._process
        assert process and process.stdin and process.stdout
        try:
            write(process.stdin, self._setup)
            write(process.stdin, order)
        except OSError:
            raise _died() from None
        size = int.from_bytes(process.stdout.read(LENGTH_BYTES), "little")
        if size > ANSWER_BYTES_MAX:
            return JobFailure(f"The run's process answered {size} bytes; valid are at most {ANSWER_BYTES_MAX}.")
        data = process.stdout.read(size)
        if not size or len(data) < size:
            raise _died()
        try:
            answer: JobOutput | JobFailure = _ANSWER.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return JobFailure(f"The run's process answered what is no answer of a run: {error}.")
        if isinstance(answer, JobFailure):  # only the owner knows whether it has to be repeated
            return JobFailure(shortened(answer.reason), shortened(answer.traceback))
        return answer

    def kill(self) -> None:
        """Let its supervisor end everything now; a supervisor that does not is killed itself."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGCONT):  # the second, if somebody has stopped it
            process.send_signal(number)
        self._late = threading.Timer(_END_S, process.kill)
        self._late.daemon = True
        self._late.start()

    def end(self) -> None:
        """Wait until everything that the process started has ended; one that still works is killed."""
        process = self._process
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            _close(pipe)
        try:
            process.wait(_SOON_S)  # one that has answered is about to end
        except subprocess.TimeoutExpired:
            self.kill()
            process.wait()
        if self._late:
            self._late.cancel()


def _close(pipe: IO[bytes] | None) -> None:
    assert pipe
    with contextlib.suppress(BrokenPipeError):  # it may hold bytes that a dead process did not read
        pipe.close()


def _died() -> WorkerDied:
    return WorkerDied("The job process ended without an answer. Its work was not done and can be repeated.")
