"""How a command ends: its exit code, its error on one line, and work that can be ended at once."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable

from datawarehouse.cli.output import print_error
from datawarehouse.cli.progress import erase_line
from datawarehouse.durable import lacks_space
from datawarehouse.errors import DataWarehouseError, FolderError, QueryLimitExceeded

_GRACE_S = 0.5  # normally the process ends its work in time itself
INTERRUPTED = 130


def exit_code(verb: str, call: Callable[[], int | None]) -> int:
    """Make a call and return its exit code; print an error of this package as one line."""
    if sys.stdout is None:  # it is closed: `dw query ... >&-`
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        code = call() or 0
        sys.stdout.flush()  # an output that cannot be written is noticed here, and not while Python exits
        return code
    except DataWarehouseError as error:
        print_error(f"dw {verb}: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of the output has ended: `dw query ... | head`
        _drop_output()
        return 1
    except Exception as error:
        if not lacks_space(error):
            raise
        _drop_output()
        print_error(f"dw {verb}: There is no space left where the output or a file is written ({error}).")
        return FolderError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _drop_output() -> None:
    """Let what is still to be written go nowhere, so that Python exits without a word about it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_a_process(verb: str, work: Callable[[Callable[[], None]], None], time_max_s: float) -> int:
    """Do work in a process of its own, and return its exit code.

    work: is called with a function that it calls when its result is there and only has to be printed; until then it has
    `time_max_s`. The process is ended at once by Ctrl-C, and when the time is over. Raises QueryLimitExceeded if it is
    ended for its time, or ended without a word, as happens when memory is refused.
    """
    reading, writing = os.pipe()
    orphaned, living = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.close(living)
        threading.Thread(target=_end_with_parent, args=(orphaned,), daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides
        try:
            code = exit_code(verb, lambda: work(lambda: os.close(writing)))
            sys.stdout.flush()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        os._exit(code)
    os.close(writing)
    os.close(orphaned)
    has_ended = False
    try:
        has_ended = bool(select.select([reading], [], [], time_max_s + _GRACE_S)[0])
        if not has_ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except KeyboardInterrupt:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if not has_ended:
            erase_line()
        return INTERRUPTED
    finally:
        os.close(reading)
        os.close(living)
    if status < 0:
        erase_line()
    if not has_ended:
        raise QueryLimitExceeded(
            f"The query took longer than {time_max_s:g} s (query_time_max_s) and was ended. Read fewer partitions, or "
            "raise the limit.",
            "query_time_max_s",
        )
    if status < 0:
        raise QueryLimitExceeded(
            f"The process of the query was ended by {signal.Signals(-status).name}. It probably needed more memory "
            "than query_memory_bytes_max, or than there is. Read fewer partitions or columns.",
            "query_memory_bytes_max",
        )
    return status


def _end_with_parent(pipe: int) -> None:
    """End this process when the one that has the other end of a pipe has ended, however it did."""
    os.read(pipe, 1)
    os._exit(INTERRUPTED)
