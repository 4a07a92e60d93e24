"""What a command that takes long is doing: one line on stderr, on a terminal alone, which is erased at the end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHOW_AFTER_S, _SHOW_EVERY_S = 1.0, 0.5
_ERASE = "\r\x1b[K"  # the whole line (ECMA-48, EL)


@contextmanager
def progress(
    doing: str, look: Callable[[], str | None] = lambda: None, began_s: float | None = None
) -> Iterator[Callable[[str], None]]:
    """After a second, show what is being done and for how long. Gives a function that says what is done now. look: says
    it, too, and is called whenever the line is shown, in another thread; None changes nothing. began_s: since when it
    is done (monotonic), if that is not now."""
    if not is_terminal():
        yield lambda _: None
        return
    said = [doing]
    over = threading.Event()
    now = time.monotonic()
    started = now if began_s is None else began_s

    def show() -> None:
        is_shown = False
        wait_s = max(_SHOW_EVERY_S, started + _SHOW_AFTER_S - now)
        while not over.wait(wait_s):
            said[0] = look() or said[0]
            if over.is_set():
                break
            show_line(f"{said[0]}, {time.monotonic() - started:.0f} s")
            is_shown, wait_s = True, _SHOW_EVERY_S
        if is_shown:
            erase_line()

    def say(text: str) -> None:
        said[0] = text

    thread = threading.Thread(target=show, name="progress", daemon=True)
    thread.start()
    try:
        yield say
    finally:
        over.set()
        thread.join()


def show_line(text: str) -> None:
    """Put a text in the place of the line that is shown, cut to the width of the terminal."""
    columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    sys.stderr.write(_ERASE + text[: columns - 1])
    sys.stderr.flush()


def erase_line() -> None:
    """Erase the line that is shown, if stderr is a terminal."""
    if is_terminal():
        sys.stderr.write(_ERASE)
        sys.stderr.flush()


def is_terminal() -> bool:
    """Whether a person sees stderr."""
    return sys.stderr is not None and sys.stderr.isatty()
