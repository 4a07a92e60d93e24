"""dw send"""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from datawarehouse.cli.exits import INTERRUPTED
from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import keys_shown, print_json, quantity, remark
from datawarehouse.errors import DataWarehouseError, rebuilt
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.event_files import EventFile, event_file
from datawarehouse.runtime.lines import Lines, batches
from datawarehouse.runtime.outcome import Outcome, account_before, outcome_of
from datawarehouse.runtime.sending import Sender
from datawarehouse.runtime.sent_files import SentFile, sent_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="a streaming input table")
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        help="lines of JSON, one array, .csv, .tsv or Parquet, also .gz; - is stdin",
    )
    parser.add_argument("--new", action="store_true", help="count events again that were sent from this file before")
    parser.add_argument("--patience-s", type=float, default=60, help="how long to retry without success (default: 60)")
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    folder, table = settings_of(arguments).folder, arguments.table
    sender = Sender(lambda: client_of(folder), table, arguments.patience_s)
    sending = _Sending(arguments, sender)
    with ExitStack() as stack:
        source, on_progress = stack.enter_context(_opened(arguments.file, table))
        before = sender.ask(lambda client: account_before(client, table))
        record = None
        if before and arguments.file != "-":
            new_run = secrets.token_hex(8) if arguments.new else ""
            record = stack.enter_context(sent_file(folder, table, Path(arguments.file), new_run))
        try:
            sending.send(source, record, on_progress)
        except DataWarehouseError as error:
            raise rebuilt(type(error).__name__, f"{error}{sending.stopped(record, error.retryable)}") from None
        except KeyboardInterrupt:
            remark(f"Interrupted.{sending.stopped(record, goes_on=True)}")
            return INTERRUPTED
        outcome = None
        if before and sender.sent.accepted:
            with suppress(DataWarehouseError, KeyboardInterrupt):  # all is sent; only what became of it is not known
                outcome = outcome_of(client_of(folder), table, before, sender.sent.accepted)
    sending.told(outcome)
    return 1 if sender.sent.refused else 0


class _Sending:
    """One run of the command, and what it says."""

    def __init__(self, arguments: argparse.Namespace, sender: Sender) -> None:
        self._arguments = arguments
        self._sent = sender.sent
        self._sender = sender
        self._earlier = 0  # events that earlier runs had sent
        self._unfinished_bytes = 0

    def send(self, file: EventFile, record: SentFile | None, on_progress: Callable[[int], object]) -> None:
        rest = iter(file.lines)
        if record is None:  # it cannot be read again, so that it is always new
            self._sender.send(batches(rest), secrets.token_hex(8), None, on_progress)
            return
        self._earlier = record.sent.events
        parts = chain(record.rest(rest), batches(rest))
        self._sender.send(parts, record.name, record, on_progress)
        self._unfinished_bytes = file.unfinished_bytes

    def stopped(self, record: SentFile | None, goes_on: bool) -> str:
        """How much is in, and how it goes on, if it can."""
        sent, file = self._sent, self._arguments.file
        if self._arguments.output == "json":
            print_json(self._numbers())
        taken = sent.accepted + sent.again + sent.refused
        if not goes_on and not taken:
            return ""
        more = f", and up to {sent.unknown} more, for which no answer came" if sent.unknown else ""
        if record is None:
            return (
                f" {quantity(taken, 'event')} of standard input are in{more}. It cannot be read again from here: send "
                f"what comes after its first {quantity(taken, 'line')}, without counting blank lines."
            )
        again = shlex.join(["dw", "send", self._arguments.table, file])
        how = f" The same command goes on there, and counts each event once: {again}" if goes_on else ""
        return f" {quantity(self._earlier + taken, 'event')} of {file} are in{more}.{how}"

    def told(self, outcome: Outcome | None) -> None:
        sent, table = self._sent, self._arguments.table
        if self._arguments.output == "json":
            print_json(self._numbers() | (_as_json(outcome) if outcome else {}))
        else:
            became = f": {_became(outcome, table)}" if outcome and not outcome.elsewhere else ""
            print(f"{quantity(sent.accepted, 'event')} accepted{became}")
            if outcome:
                _print_outcome(outcome, table)
            if before := self._earlier + sent.again:
                print(
                    f"{quantity(before, 'event')} of this file {'was' if before == 1 else 'were'} sent before and "
                    f"{'counts' if before == 1 else 'count'} once (--new sends the whole file as new events)"
                )
        if self._unfinished_bytes:
            remark(
                f"The last {self._unfinished_bytes} bytes of {self._arguments.file} are a line without a line end that "
                "is not whole JSON. It was not sent: the same command sends it once the line is complete."
            )
        if sent.refused:
            remark(f"{quantity(sent.refused, 'event')} refused, the first because: {sent.first_refusal}")

    def _numbers(self) -> dict[str, object]:
        numbers = asdict(self._sent)
        numbers["again"] += self._earlier
        return numbers | {"unfinished_bytes": self._unfinished_bytes}


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {name: getattr(outcome, name) for name in outcome.__struct_fields__}


def _became(outcome: Outcome, table: str) -> str:
    where = f" (`dw quarantine ls {table}`)" if outcome.rejected else ""
    waiting = f", {outcome.waiting} still waiting (`dw flush` waits for them)" if outcome.waiting else ""
    return f"{outcome.stored} stored, {outcome.rejected} rejected{where}{waiting}"


def _print_outcome(outcome: Outcome, table: str) -> None:
    if outcome.elsewhere:
        print(f"all of {table} meanwhile: {_became(outcome, table)}; {outcome.elsewhere} of these were not sent here")
    for cause in outcome.causes:
        column = f"column {cause['column_name']}, " if cause["column_name"] else ""
        print(f"{cause['records']} rejected: {column}expected {cause['expected']}")
    if outcome.unknown_keys:
        print(f"keys that no column has, and that were left out: {keys_shown(outcome.unknown_keys)}")


@contextmanager
def _opened(name: str, table: str) -> Iterator[tuple[EventFile, Callable[[int], object]]]:
    """The events of a file, unpacked, and a function that shows on a terminal how far they are read."""
    is_hidden = not sys.stderr.isatty()
    if name == "-":
        with tqdm(unit="B", unit_scale=True, desc=table, disable=is_hidden) as bar:
            yield EventFile("JSON", Lines(sys.stdin.buffer), sys.stdin.buffer), bar.update
        return
    path = Path(name)
    with event_file(path, is_growing=True) as file:
        size = path.stat().st_size
        with tqdm(total=size, unit="B", unit_scale=True, desc=table, disable=is_hidden) as bar:
            yield file, lambda _: bar.update(file.raw.tell() - bar.n)
