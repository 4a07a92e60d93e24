"""Hands a message to a command on its standard input."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from datawarehouse.alerts.messages import Message
from datawarehouse.alerts.webhook import Undelivered

TIME_MAX_S = 30.0
_OUTPUT_BYTES_MAX = 2000
_LOOK_EVERY_S = 0.05


class Command:
    """A program that is started for each message, without a shell, in a session of its own."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.name = f"command {Path(argv[0]).name}"
        self._argv = list(argv)
        self._is_aborted = False

    def send(self, message: Message) -> None:
        """Run the command; returns when it has ended with 0. Raises Undelivered, with the end of what it printed."""
        with tempfile.TemporaryFile() as document:
            document.write(message.body.encode())
            document.seek(0)
            try:
                process = subprocess.Popen(
                    self._argv,
                    stdin=document,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise Undelivered(f"it could not be started: {error}") from error
        with process:
            try:
                printed = self._watched(process)
            finally:
                _end(process)
        said = printed.decode(errors="replace").strip()
        output = f"; it printed: {said}" if said else ""
        if self._is_aborted:
            raise Undelivered("it was ended, because the warehouse closes")
        if process.returncode:
            how = f"it ended with {process.returncode}"
            if process.returncode == -signal.SIGKILL:
                how = f"it took longer than {TIME_MAX_S:g} s, or was killed"
            raise Undelivered(f"{how}{output}")

    def _watched(self, process: subprocess.Popen[bytes]) -> bytes:
        """Wait for the end of the process; the last of what it printed."""
        assert process.stdout
        pipe = process.stdout.fileno()
        end, printed, is_open = time.monotonic() + TIME_MAX_S, b"", True
        while time.monotonic() < end and not self._is_aborted:
            ended = process.poll() is not None
            if is_open and select.select([pipe], [], [], 0 if ended else _LOOK_EVERY_S)[0]:
                read = os.read(pipe, 65536)
                is_open = bool(read)
                printed = (printed + read)[-_OUTPUT_BYTES_MAX:]
            elif ended:
                break
            elif not is_open:
                time.sleep(_LOOK_EVERY_S)
        return printed

    def abort(self) -> None:
        """End the command that runs, from another thread; no other is started."""
        self._is_aborted = True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the command: the processes that it started as well."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
