"""dw stop"""

from __future__ import annotations

import argparse
import os
import signal
import time

from datawarehouse.cli.options import add_settings, settings_of
from datawarehouse.cli.output import remark
from datawarehouse.cli.progress import progress
from datawarehouse.errors import FolderInUse, Unreachable
from datawarehouse.folder import check_format, holder_of

_LOOK_EVERY_S = 0.05
_WAIT_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    """Ask the running warehouse to stop, as SIGTERM does, and return when it has."""
    folder = settings_of(arguments).folder
    check_format(folder)
    holder = holder_of(folder)
    if holder is None:
        remark(f"Nothing runs in {folder}.")
        return
    if not holder.url:
        raise FolderInUse(
            f"{folder} is in use by process {holder.pid}, which is no `dw up`. End that program, or wait for it."
        )
    try:
        os.kill(holder.pid, signal.SIGTERM)
    except PermissionError:
        raise Unreachable(
            f"Process {holder.pid}, which serves {folder}, is another user's, and was not stopped."
        ) from None
    except ProcessLookupError:
        pass  # it has just ended
    end = time.monotonic() + _WAIT_S
    with progress(f"Process {holder.pid} stops"):
        while (now := holder_of(folder)) is not None and now.pid == holder.pid:
            if time.monotonic() > end:
                raise Unreachable(
                    f"Process {holder.pid} was told to stop, and has not within {_WAIT_S:.0f} s. It still ends answers "
                    "and jobs; look again, or end it with SIGKILL, which loses nothing that was acknowledged."
                )
            time.sleep(_LOOK_EVERY_S)
    remark(f"Process {holder.pid} has stopped.")
