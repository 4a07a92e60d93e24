"""Which live files of a table hold rows of which hours of event time.

Each live file of rows of a table that declares its event time has an entry here: triggers of the catalog see to it, so
that no file is ever left out because nothing is known of it. What is known of it takes the place of UNKNOWN, which may
be any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from datawarehouse.catalog.records import File, LiveFile
from datawarehouse.catalog.store import Store
from datawarehouse.definition.event_times import EventTimes, Span

ALWAYS_MS = 2**62
"""Beyond every instant that a column can hold."""

_KNOWN = "(select json_array(column_name, counts) from event_times where file = files.id)"

EVENT_TIMES = f"coalesce({_KNOWN}, '')"
"""In a select from files: what `decoded` reads."""


@dataclass(frozen=True, slots=True)
class TimedFile:
    """A live file with its partition and its first and last event time (ms); `counts` is for `decoded_counts`, None if
    nothing is known of it."""

    file: LiveFile
    partition: str
    least_ms: int
    greatest_ms: int
    counts: str | None


def insert(store: Store, files: Iterable[File]) -> None:
    """Store what is known of files that were inserted before; only inside `transaction`."""
    store.execute_many(
        "update event_times set least_ms = ?, greatest_ms = ?, counts = ? where column_name = ?"
        " and file = (select id from files where path = ?)",
        [
            (*_extremes(file.event_times), encoded(file.event_times), file.event_times.column, file.path)
            for file in files
            if file.event_times
        ],
    )


def note_unknown(store: Store, table: str) -> None:
    """Let each live file of a table have an entry for the column that the table declares now; inside `transaction`."""
    store.execute(
        "insert or replace into event_times (file, of_table, column_name, least_ms, greatest_ms, counts)"
        " select files.id, tables.name, tables.event_time, ?, ?, null from tables join files"
        " on files.table_name = tables.name left join event_times on event_times.file = files.id"
        " where tables.name = ? and tables.event_time is not null and files.kind = 'rows'"
        " and files.retired_ms is null and event_times.column_name is not tables.event_time",
        (-ALWAYS_MS, ALWAYS_MS, table),
    )


class FilesByEventTime:
    """The part of the catalog that queries on event time use."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def between(
        self, table: str, low_ms: int | None, high_ms: int | None, partitions: tuple[str | None, str | None]
    ) -> list[TimedFile]:
        """The live files, in the order of their partitions, that may hold rows of these instants and have one of these
        partitions, all inclusive; None means no bound."""
        low, high = partitions
        # Whichever bound is likely to leave fewer files goes first; a `cross join` keeps its order in SQLite.
        first = "files indexed by files_live cross join event_times" if low else "event_times cross join files"
        rows = self._store.rows(
            "select path, schema_version, bytes, digest, inode, modified_ns, damage, partition, least_ms, greatest_ms,"
            f" counts from {first} where file = files.id and of_table = ?1 and table_name = ?1 and kind = 'rows'"
            " and retired_ms is null and greatest_ms >= ?2 and least_ms <= ?3 and partition between ?4 and ?5"
            " order by partition, files.id",
            (
                table,
                -ALWAYS_MS if low_ms is None else low_ms,
                ALWAYS_MS if high_ms is None else high_ms,
                low or "",
                "\U0010ffff" if high is None else high,
            ),
        )
        return [TimedFile(LiveFile(*row[:7]), *row[7:]) for row in rows]

    def counts(self, table: str, low: str = "", high: str = "\U0010ffff") -> list[tuple[str, str | None, int]]:
        """(partition, counts, rows) of the live files of a table that have an entry, in the order of their partitions,
        from `low` to the one before `high`."""
        return self._store.rows(
            "select partition, counts, row_count from event_times join files on files.id = file"
            " where of_table = ? and retired_ms is null and partition >= ? and partition < ? order by partition",
            (table, low, high),
        )


def encoded(times: EventTimes) -> str:
    return msgspec.json.encode((times.nulls, times.spans)).decode()


def decoded_counts(counts: str) -> tuple[int, tuple[Span, ...]]:
    """How many rows have no event time, and the spans of the others."""
    return _COUNTS.decode(counts)


def decoded(text: str) -> EventTimes | None:
    """What EVENT_TIMES gives for a file."""
    if not text:
        return None
    column, counts = _KNOWN_TIMES.decode(text)
    return EventTimes(column, *decoded_counts(counts)) if counts else None


def _extremes(times: EventTimes) -> tuple[int, int]:
    """The first and the last instant. A file without any holds no row that a bound of event time lets pass."""
    return (times.spans[0][0], times.spans[-1][1]) if times.spans else (ALWAYS_MS, -ALWAYS_MS)


_COUNTS = msgspec.json.Decoder(tuple[int, tuple[Span, ...]])
_KNOWN_TIMES = msgspec.json.Decoder(tuple[str, str | None])
