"""What each hour of a table has: the counts of the ledger, and its live files."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from datawarehouse.catalog.ledger import files_where
from datawarehouse.catalog.records import File
from datawarehouse.catalog.store import Store

OPEN, COMPLETE, COMPACTED, DAMAGED = "o", "c", "k", "d"
"""The states of an hour: it can still change; it cannot; its rows are merged too; a file is damaged."""
STATES = {OPEN: "open", COMPLETE: "complete", COMPACTED: "compacted", DAMAGED: "damaged"}

KEPT_S = 10.0
_KEPT_MAX = 8
_OF_FILES = (
    "select partition, count(*), sum(bytes), count(compacted), max(fresh), count(damage) from files"
    " indexed by files_live where table_name = ? and kind = ?"
    " and retired_ms is null and partition >= ? and partition < ? group by partition"
)


@dataclass(slots=True)
class Hours:
    """A list for each number, with an entry for each hour that has anything, in order. state: a letter for each hour.

    received, stored, rejected: records. rows: those that are live.
    """

    hour: list[str] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    state: str = ""


def hours_between(store: Store, table: str, low: str, high: str, until: str) -> Hours:
    """The hours from `low` to the one before `high`. until: the first hour that can still change."""
    period = (low, high)
    with store.moment():
        rows = {found[0]: found[1:] for found in store.rows(_OF_FILES, (table, "rows", *period))}
        rejects = {found[0]: found[1:] for found in store.rows(_OF_FILES, (table, "rejects", *period))}
        ledger = store.rows(
            "select partition, received_records, stored_records, rejected_records,"
            " stored_rows - deduplicated_rows - expired_rows - lost_rows from ledger"
            " where table_name = ? and partition >= ? and partition < ? order by partition",
            (table, *period),
        )
    nothing = (0, 0, 0, 0, 0)
    hours, states = Hours(), []
    for hour, received, stored, rejected, live in ledger:
        files, size, compacted, fresh, damaged = rows.get(hour, nothing)
        others, their_size, _, _, also_damaged = rejects.get(hour, nothing)
        hours.hour.append(hour)
        hours.received.append(received)
        hours.stored.append(stored)
        hours.rejected.append(rejected)
        hours.rows.append(live)
        hours.files.append(files + others)
        hours.bytes.append(size + their_size)
        is_merged = files and (compacted == files or (files == 1 and not fresh))
        is_bad = damaged or also_damaged
        states.append(DAMAGED if is_bad else OPEN if hour >= until else COMPACTED if is_merged else COMPLETE)
    hours.state = "".join(states)
    return hours


class KeptHours:
    """Keeps what was read of hours that are closed for a few seconds: a year of them is some 50 ms of work, and only
    compaction, expiry and damage change them. Methods can be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, Hours]] = OrderedDict()

    def between(self, store: Store, table: str, low: str, high: str, until: str) -> Hours:
        """As `hours_between`."""
        edge = min(high, max(low, until))
        closed = self._closed(store, table, low, edge)
        return _joined(closed, hours_between(store, table, edge, high, until))

    def _closed(self, store: Store, table: str, low: str, edge: str) -> Hours:
        place = (table, low, edge)
        with self._lock:
            at, found = self._kept.get(place, (0.0, None))
            if found is None or time.monotonic() - at > KEPT_S:
                found = hours_between(store, table, low, edge, edge)
                self._kept[place] = (time.monotonic(), found)
                while len(self._kept) > _KEPT_MAX:
                    self._kept.popitem(last=False)
            return found


def _joined(first: Hours, second: Hours) -> Hours:
    return Hours(*(getattr(first, name) + getattr(second, name) for name in first.__slots__))


def first_and_last_hour(store: Store, table: str) -> tuple[str | None, str | None]:
    """The first and the last hour of a table that ever had anything."""
    return tuple(store.rows("select min(partition), max(partition) from ledger where table_name = ?", (table,))[0])


def newest_rows(store: Store, table: str, wanted: int, hours_max: int) -> list[str]:
    """The newest hours that have so many live rows together, or as many as there are in `hours_max` hours."""
    found: list[str] = []
    counted = 0
    for hour, rows in store.rows(
        "select partition, sum(row_count) from files indexed by files_live where table_name = ? and kind = 'rows'"
        " and retired_ms is null group by partition having sum(row_count) > 0 order by partition desc limit ?",
        (table, hours_max),
    ):
        found.append(hour)
        counted += rows
        if counted >= wanted:
            break
    return sorted(found)


def files_of(store: Store, table: str, hour: str | None, limit: int) -> tuple[list[File], int]:
    """The live files of an hour, or the newest of a table, and how many more there are."""
    where, parameters = "table_name = ? and retired_ms is null", [table]
    if hour is not None:
        where, parameters = f"{where} and partition = ?", [table, hour]
    found = files_where(store, f"{where} order by partition desc, id desc limit ?", [*parameters, limit])
    count = int(store.rows(f"select count(*) from files where {where}", parameters)[0][0])
    return found, count - len(found)
