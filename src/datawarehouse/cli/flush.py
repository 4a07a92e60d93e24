"""dw flush"""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from datawarehouse.cli.options import add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import quantity, remark
from datawarehouse.cli.progress import is_terminal, progress
from datawarehouse.errors import DataWarehouseError
from datawarehouse.runtime.client import client_of

_SAY_AFTER_S, _SAY_EVERY_S = 2.0, 10.0
_ASK_EVERY_S = 0.8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_warehouse(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    client = client_of(settings.folder, timeout_s=None)  # a conversion that hangs is ended by the owner, not here
    asking = client_of(settings.folder)
    if client and asking:
        with contextlib.closing(client), contextlib.closing(asking):
            _saying(
                lambda: client.call("POST", "/v1/admin/flush", b""),
                lambda: asking.call("GET", "/v1/admin/flush")["behind"],
            )
        return
    with open_alone(warehouse_of(arguments), settings) as opened:
        _saying(opened.flush, opened.behind)


def _saying(flush: Callable[[], object], behind: Callable[[], list[dict[str, Any]]]) -> None:
    """Flush; while that takes long, say on stderr what it waits for: on a terminal in a line that is erased."""
    faults: list[BaseException] = []

    def flushing() -> None:
        try:
            flush()
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=flushing, name="flush", daemon=True)
    thread.start()
    if is_terminal():
        _showing(thread, behind)
    else:
        _remarking(thread, behind)
    if faults:
        raise faults[0]


def _remarking(flushing: threading.Thread, behind: Callable[[], list[dict[str, Any]]]) -> None:
    wait_s = _SAY_AFTER_S
    while True:
        flushing.join(wait_s)
        if not flushing.is_alive():
            return
        wait_s = _SAY_EVERY_S
        try:
            for each in behind():
                remark(_described(each))
        except DataWarehouseError as error:  # the flush itself will say so, or go on
            remark(str(error))


def _showing(flushing: threading.Thread, behind: Callable[[], list[dict[str, Any]]]) -> None:
    with progress("Flushing") as say:
        while True:
            flushing.join(_ASK_EVERY_S)
            if not flushing.is_alive():
                return
            with contextlib.suppress(DataWarehouseError):  # the flush itself will say so, or go on
                tables = behind()
                if tables:
                    others = f"; {quantity(len(tables) - 1, 'more table')}" if len(tables) > 1 else ""
                    say(_described(tables[0]) + others)


def _described(behind: dict[str, Any]) -> str:
    doing = behind["doing"]
    text = f"Waiting for {behind['table']}: {quantity(behind['records'], 'record')} behind; "
    text += "its turn has not come yet" if doing == "waiting" else f"{doing} for {behind['seconds']:.0f} s"
    return text + (f"; failed {quantity(behind['failures'], 'time')}, the log says why" if behind["failures"] else "")
