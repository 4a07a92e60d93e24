"""A program on a terminal, as somebody types and reads there."""

import os
import pty
import re
import select
import subprocess
from contextlib import contextmanager

from running import until

ERASE = "\r\x1b[K"
COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Typed:
    """text: all that was written since `forget`, without what was erased, and without colours."""

    def __init__(self, process, end):
        self.process, self._end = process, end
        self._written = b""

    @property
    def text(self):
        while select.select([self._end], [], [], 0)[0]:
            try:
                data = os.read(self._end, 1 << 20)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            self._written += data
        written = COLOUR.sub("", self._written.decode(errors="ignore"))
        lines = written.replace("\r\n", "\n").replace("\x07", "").split("\n")
        return "\n".join(line.rpartition(ERASE)[2] for line in lines)

    @property
    def raw(self):
        """With what was erased, and with colours."""
        assert self.text is not None
        return self._written.decode(errors="ignore")

    def forget(self):
        assert self.text is not None
        self._written = b""

    def type(self, text):
        os.write(self._end, text.encode())

    def until(self, pattern, **more):
        try:
            until(lambda: re.search(pattern, self.text), f"{pattern} on the terminal", **more)
        except AssertionError as error:
            raise AssertionError(f"{error}, which has {self.text!r}") from None
        return self.text


@contextmanager
def typed(command, folder, rows=30, columns=80, **environment):
    """A command whose terminal has so many rows and columns. It is killed at the end if it still runs."""
    end, file = pty.openpty()
    subprocess.run(["stty", "rows", str(rows), "columns", str(columns)], stdin=file, check=True)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "", "LINES": "", "NO_COLOR": "", **environment}
    environment.pop("INPUTRC", None)
    with subprocess.Popen(
        command, cwd=folder, stdin=file, stdout=file, stderr=file, env=environment, preexec_fn=lambda: os.login_tty(0)
    ) as process:
        os.close(file)
        try:
            yield Typed(process, end)
        finally:
            process.kill()
            process.wait()
            os.close(end)
