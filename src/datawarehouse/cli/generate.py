"""dw generate"""

from __future__ import annotations

import argparse
import io
import itertools
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tqdm import tqdm

from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json
from datawarehouse.clock import WallClock
from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.generator.events import MALFORMED, GeneratedEvent, generate
from datawarehouse.runtime.client import Patience, client_of
from datawarehouse.runtime.lines import Lines, batches
from datawarehouse.runtime.sending import Sender

_TICK_MS = 100  # the events of this time are sent together
_BATCH_EVENTS = 5000
_UNPACED_RATE = 1000.0  # event times advance at this rate when events are not paced

Send = Callable[[str, list[bytes]], None]
"""Takes the events of a table; returns when they are durable."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="a streaming input table; clicks follow impressions")
    parser.add_argument("--rate", type=float, default=1000, help="events a second, 0 for full speed (default: 1000)")
    parser.add_argument("--malformed", type=float, default=0, metavar="SHARE", help="share that is rejected, 0 to 1")
    parser.add_argument("--late", type=float, default=0, metavar="SHARE", help="share whose time is hours earlier")
    parser.add_argument("--duplicates", type=float, default=0, metavar="SHARE", help="share that is sent again later")
    parser.add_argument("--count", type=int, help="how many events (default: until Ctrl-C)")
    parser.add_argument("--seed", type=int, help="the same seed gives the same events (default: a new one)")
    parser.add_argument("--to", metavar="FILE", help="write to a file, - for standard output, instead of sending")
    parser.add_argument("--patience-s", type=float, default=60, help="how long to retry without success (default: 60)")
    add_output(parser, "table", "json")
    add_warehouse(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    warehouse = warehouse_of(arguments)
    tables = _tables(arguments, warehouse)
    if arguments.rate < 0:
        raise BadRequest(f"--rate is {arguments.rate:g}; valid are events a second, or 0 for as fast as possible.")
    if arguments.count is not None and arguments.count < 0:
        raise BadRequest(f"--count is {arguments.count}; valid is a number of events from 0 on.")
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    paced = arguments.rate != 0 and not arguments.to
    rate = arguments.rate or _UNPACED_RATE
    start_ms = WallClock().now_ms()
    if not paced and arguments.count:
        start_ms = max(start_ms - int(arguments.count * 1000 / rate), 0)  # so that the last event has the present time
    events = generate(
        tables,
        seed=seed,
        start_ms=start_ms,
        rate=rate,
        malformed=arguments.malformed,
        late=arguments.late,
        duplicates=arguments.duplicates,
    )
    sent: Counter[str] = Counter()
    with ExitStack() as stack:
        stopping = stack.enter_context(_stopped_by_ctrl_c())
        deliver = _writer(arguments, stack) if arguments.to else _sender(arguments, warehouse, stack)
        bar = stack.enter_context(tqdm(unit=" events", total=arguments.count, disable=not sys.stderr.isatty()))
        try:
            for batch in _batches(itertools.islice(events, arguments.count), start_ms if paced else None, stopping):
                for table in tables:
                    if chosen := [event for event in batch if event.table == table.name]:
                        deliver(table.name, [event.data for event in chosen])
                        _count(sent, chosen)
                bar.update(len(batch))
        finally:
            bar.close()
            _tell(arguments, sent, seed)
    return 130 if stopping.is_set() else 0


def _tables(arguments: argparse.Namespace, warehouse: Warehouse) -> list[StreamingInputTable]:
    names = list(dict.fromkeys(arguments.tables))
    if arguments.to and len(names) > 1 and "{table}" not in arguments.to:
        raise BadRequest(
            f"--to {arguments.to} would mix the events of {len(names)} tables, and no line names its table. Give one "
            "table, or a file for each: --to '{table}.ndjson'."
        )
    streams = [warehouse.get_input_stream(name).name for name in names]  # raises an error for a wrong name
    return [table for name in streams if isinstance(table := warehouse.get_table(name), StreamingInputTable)]


def _batches(
    events: Iterator[tuple[int, GeneratedEvent]], start_ms: int | None, stopping: threading.Event
) -> Iterator[list[GeneratedEvent]]:
    """Events to send together, each group at its time; at once if there is no instant of the start."""
    began = time.monotonic()
    batch: list[GeneratedEvent] = []
    tick = since_ms = 0

    def wait() -> None:
        if start_ms is not None:
            stopping.wait(max(0.0, began + min(tick, since_ms) / 1000 - time.monotonic()))

    for instant, event in events:
        since_ms = instant - start_ms if start_ms is not None else 0
        if batch and (len(batch) == _BATCH_EVENTS or since_ms >= tick > 0):
            wait()
            if stopping.is_set():
                return
            yield batch
            batch = []
        if start_ms is not None and since_ms >= tick:
            tick = (since_ms // _TICK_MS + 1) * _TICK_MS
        batch.append(event)
    wait()
    if batch and not stopping.is_set():
        yield batch


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that the present request is finished and counted; a second Ctrl-C ends
    the command."""
    stopping = threading.Event()

    def interrupted(*_: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


def _writer(arguments: argparse.Namespace, stack: ExitStack) -> Send:
    files: dict[str, IO[bytes]] = {"-": sys.stdout.buffer}

    def write(table: str, events: list[bytes]) -> None:
        name = arguments.to.replace("{table}", table)
        if name not in files:
            files[name] = stack.enter_context(_opened(Path(name)))
        files[name].write(_lines(events))
        files[name].flush()

    return write


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise BadRequest(
            f"Cannot write {path}: {error.strerror}. Give a file in a folder that you can write."
        ) from None


def _sender(arguments: argparse.Namespace, warehouse: Warehouse, stack: ExitStack) -> Send:
    """Sends to the running owner; if the folder has no owner, this process becomes it."""
    settings, patience_s = settings_of(arguments), arguments.patience_s
    folder = settings.folder
    run_name, numbers = secrets.token_hex(8), itertools.count()  # each request counts once, however often it is retried
    if client_of(folder) is None:
        opened = stack.enter_context(open_alone(warehouse, settings))

        def put(table: str, events: list[bytes]) -> None:
            key, patience = f"{run_name} {next(numbers)}", Patience(patience_s)
            while True:
                try:
                    opened.put(table, events, key)
                    return
                except DataWarehouseError as error:
                    patience.wait(error)

        return put

    def post(table: str, events: list[bytes]) -> None:
        sender = Sender(lambda: client_of(folder), table, patience_s)
        sender.send(batches(Lines(io.BytesIO(_lines(events)))), f"{run_name} {next(numbers)}")
        if sender.sent.refused:
            raise DataWarehouseError(
                f"{sender.sent.refused} of {len(events)} events for {table!r} were refused, the first because: "
                f"{sender.sent.first_refusal}"
            )

    return post


def _lines(events: list[bytes]) -> bytes:
    return b"".join(event + b"\n" for event in events)


def _count(sent: Counter[str], events: list[GeneratedEvent]) -> None:
    sent["sent"] += len(events)
    sent["malformed"] += sum(event.kind == MALFORMED for event in events)
    sent["late"] += sum(event.is_late for event in events)
    sent["duplicates"] += sum(event.is_duplicate for event in events)


def _tell(arguments: argparse.Namespace, sent: Counter[str], seed: int) -> None:
    numbers = {
        "sent": sent["sent"],
        "good": sent["sent"] - sent["malformed"],
        **{name: sent[name] for name in ("malformed", "late", "duplicates")},
    }
    to_stdout = arguments.to == "-"
    if arguments.output == "json" and not to_stdout:
        print_json({**numbers, "seed": seed})
    else:
        told = ", ".join(f"{number} {name}" for name, number in numbers.items())
        print(f"{told} (seed {seed})", file=sys.stderr if to_stdout else sys.stdout)
