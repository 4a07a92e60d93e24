"""Lines that somebody types: history, and the Tab key. With readline, where Python has it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

try:
    import readline
except ModuleNotFoundError:  # Python can be built without it
    readline = None  # type: ignore[assignment]

_HISTORY_LINES_MAX = 10_000
_AGAIN_S = 0.02
_BETWEEN_WORDS = " \t\n()[]{}<>=+-*/%,;|'\""

Complete = Callable[[str, str], Sequence[str]]
"""What may stand in the place of a word (the second argument) after a text (the first)."""


def history_path() -> Path:
    """Beside what other programs remember of this user (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "datawarehouse" / "sql_history"


class Lines:
    def __init__(self, complete: Complete) -> None:
        self._complete, self._before = complete, ""
        self._found: Sequence[str] = ()
        if readline is None:
            return
        readline.set_history_length(_HISTORY_LINES_MAX)
        if hasattr(readline, "set_auto_history"):
            readline.set_auto_history(False)
        with contextlib.suppress(OSError):
            readline.read_history_file(history_path())
        readline.set_completer(self._completion)
        readline.set_completer_delims(_BETWEEN_WORDS)
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")

    def read(self, prompt: str, before: str) -> str:
        """The next line. before: the lines of the same statement. Raises EOFError at the end of the input, and
        KeyboardInterrupt."""
        self._before = before
        handled = signal.signal(signal.SIGINT, self._interrupted)
        try:
            return input(prompt)
        finally:
            signal.signal(signal.SIGINT, handled)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C. What is raised while the Tab key's names are looked up is lost in readline: there it comes again."""
        while frame is not None and frame.f_code is not Lines._completion.__code__:
            frame = frame.f_back
        if frame is None:
            raise KeyboardInterrupt
        again = (threading.main_thread().ident, signal.SIGINT)
        timer = threading.Timer(_AGAIN_S, signal.pthread_kill, again)
        timer.daemon = True
        timer.start()

    def remember(self, text: str) -> None:
        """Keep a statement in the history, in one line if it has no comments; none that begins with a blank."""
        if readline is None or not text.strip() or text[0].isspace():
            return
        lines = text.split("\n")
        for line in lines if "--" in text else [" ".join(filter(None, map(str.strip, lines)))]:
            last = readline.get_current_history_length()
            if line.strip() and (not last or readline.get_history_item(last) != line):
                readline.add_history(line)

    def close(self) -> None:
        """Write the history into its file, which only this user can read."""
        if readline is None:
            return
        path = history_path()
        with contextlib.suppress(OSError):  # a home that cannot be written has no history
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            readline.write_history_file(path)

    def _completion(self, word: str, number: int) -> str | None:
        if number == 0:
            try:
                typed = f"{self._before}{readline.get_line_buffer()[: readline.get_begidx()]}"
                self._found = self._complete(typed, word)
            except Exception:  # readline would say nothing of it, and the line that is typed goes on
                self._found = ()
        return self._found[number] if number < len(self._found) else None
