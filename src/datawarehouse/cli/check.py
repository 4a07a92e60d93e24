"""dw check"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from datawarehouse.cli.options import add_output, add_warehouse, warehouse_of
from datawarehouse.cli.output import keys_shown, print_json, quantity
from datawarehouse.definition.tables import Column, StreamingInputTable
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.event_files import event_file

if TYPE_CHECKING:
    from datawarehouse.definition.rejects import Reason

_CAUSES_SHOWN = 10


class Checked:
    """What would become of events: how many rows, and how many rejects for each cause, with the first one's place."""

    def __init__(self) -> None:
        self.events = self.rows = 0
        self.causes: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], tuple[int, Reason]] = {}
        self.unknown_keys: Counter[str] = Counter()

    @property
    def rejected(self) -> int:
        return self.causes.total()

    def as_json(self) -> dict[str, object]:
        causes = []
        for (column, expected), count in self.causes.most_common():
            place, reason = self.first[column, expected]
            cause = {"column_name": column or None, "expected": expected, "records": count}
            causes.append(cause | {"first_event": place + 1, "first_received": reason.received})
        counts = {"events": self.events, "rows": self.rows, "rejected": self.rejected}
        return {**counts, "causes": causes, "unknown_keys": dict(self.unknown_keys)}


def checked(lines: Iterable[bytes], columns: Sequence[Column]) -> Checked:
    """Convert events as the warehouse would, and keep nothing."""
    from datawarehouse.convert.rows import GROUP_RECORDS, RowConverter

    found, converter, source = Checked(), RowConverter(columns), iter(lines)
    while group := list(islice(source, GROUP_RECORDS)):
        rows = converter.convert([line.rstrip(b"\n") for line in group])
        for place, reason in rows.rejects:
            cause = (reason.column or "", reason.expected)
            found.causes[cause] += 1
            found.first.setdefault(cause, (found.events + place, reason))
        found.rows += rows.row_count
        found.unknown_keys.update(rows.unknown_keys)
        found.events += len(group)
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="newline-delimited JSON, a JSON array, CSV or Parquet; also .gz")
    parser.add_argument("--table", required=True, help="the streaming input table that it is for")
    add_warehouse(parser)
    add_output(parser, "table", "json")


def run(arguments: argparse.Namespace) -> int:
    warehouse = warehouse_of(arguments)
    table = warehouse.get_table(arguments.table)
    if not isinstance(table, StreamingInputTable):
        raise BadRequest(f"{table.name!r} is a {table.kind}; events go to streaming input tables.")
    with event_file(arguments.file) as file:
        found = checked(file.lines, table.columns)
    if arguments.output == "json":
        print_json(found.as_json())
    else:
        print_checked(found, table.name)
    return 1 if found.rejected else 0


def print_checked(found: Checked, table: str) -> None:
    print(f"{quantity(found.events, 'event')} would give {quantity(found.rows, 'row')} of {table}", end="")
    print(f", and {found.rejected} would be rejected:" if found.rejected else ", and none would be rejected")
    for (column, expected), count in found.causes.most_common(_CAUSES_SHOWN):
        place, reason = found.first[column, expected]
        where = f"column {column}, " if column else ""
        print(f"  {count}: {where}expected {expected}; the first, event {place + 1}, has {reason.received}")
    if len(found.causes) > _CAUSES_SHOWN:
        print(f"  and {len(found.causes) - _CAUSES_SHOWN} more causes (--output json has them all)")
    if found.unknown_keys:
        print(f"keys that no column has, and that would be left out: {keys_shown(dict(found.unknown_keys))}")
