"""The tables and views of scratch that a statement may name, and what a statement does to them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.catalog.records import StoredTable
from datawarehouse.clock import Clock
from datawarehouse.definition.tables import Column, from_wire
from datawarehouse.definition.workgroups import Workgroup
from datawarehouse.errors import AccessDenied, FolderError, QueryFailed
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.query.readable import Made, Readable
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.scratch.store import Draft, Place, Scratch, ScratchFile, ScratchTable, place_of, too_large
from datawarehouse.sql import changes
from datawarehouse.sql.changes import Change
from datawarehouse.sql.names import LOCAL, Asker, schema_of

_GROUP_ROWS = 120_000
_GROUP_BYTES = 32 * 1024 * 1024


def scratch_readables(scratch: Scratch, asker: Asker, *, must: bool) -> dict[str, Readable]:
    """Those of whoever asks and of the same workgroup, by the name of the schema as others call it, and theirs. must:
    whether the statement names some. Raises FolderError if these cannot be told; otherwise there are none."""
    found = {}
    for key in {asker.key, *scratch.keys(asker.group)}:
        place = Place(asker.group, key)
        try:
            tables = scratch.tables(place)
        except FolderError:
            if must:
                raise
            continue
        for table in tables.values():
            name = f"{schema_of(key)}.{table.name}"
            columns = _columns(tuple(map(tuple, table.columns)))
            paths = tuple(str(scratch.path(place, file)) for file in table.files)
            stored = StoredTable(name, Made.kind, (), "", 1, {1: columns})
            found[name] = Readable(stored, Made.kind, columns, made=Made(table, schema_of(key), paths))
    return found


@lru_cache(1024)
def _columns(pairs: tuple[tuple[str, str], ...]) -> tuple[Column, ...]:
    return from_wire(pairs)


@dataclass(frozen=True, slots=True)
class ScratchRights:
    """Who may write how much. local_bytes_max: what the local user may have; a key has what its workgroup says.
    free_bytes_min: with less free disk, nobody writes."""

    store: Scratch
    local_bytes_max: int
    free_bytes_min: int

    def writer(self, asker: Asker, workgroup: Workgroup) -> ScratchWriter:
        """Raises AccessDenied for who may not write."""
        is_local = asker.group == LOCAL.group
        bytes_max = self.local_bytes_max if is_local else workgroup.scratch_bytes_max or 0
        if not bytes_max:
            whose = "the local user" if is_local else f"workgroup {workgroup.name!r}"
            raise AccessDenied(f"PERMISSION_DENIED: There is no scratch to write in for {whose} (scratch_bytes_max).")
        return ScratchWriter(self.store, place_of(asker), bytes_max, self.free_bytes_min)


def scratch_rights(limits: ScratchLimits, folder: Path, clock: Clock) -> ScratchRights:
    """Those in a data folder."""
    return ScratchRights(Scratch.of(limits, folder, clock), limits.local_bytes_max, limits.free_bytes_min)


class ScratchWriter:
    """Writes in the scratch of whoever asks, up to so many bytes."""

    def __init__(self, scratch: Scratch, place: Place, bytes_max: int, free_bytes_min: int) -> None:
        self._scratch = scratch
        self._place = place
        self._bytes_max = bytes_max
        self._free_bytes_min = free_bytes_min

    def has_to_compute(self, change: Change) -> bool:
        """Whether the rows of a statement are needed. Raises QueryFailed if the change cannot be made."""
        return _is_due(change, self._scratch.tables(self._place))

    def apply(self, change: Change, reads: Iterable[str]) -> None:
        """Make a change without rows. reads: the tables of the warehouse that a view reads. Raises QueryFailed."""
        with _told("The change cannot be made"), self._scratch.changing(self._place, self._bytes_max) as draft:
            if _is_due(change, draft.tables):
                _apply(change, draft, sorted(reads))

    def write(self, change: Change, batches: Iterable[pa.RecordBatch], reads: Iterable[str]) -> int:
        """Write rows as a new table, or into one; returns their number. reads: the tables of the warehouse that they
        are made of. Raises QueryFailed or QueryLimitExceeded; then there is nothing of them."""
        held = sum(file.bytes for table in self._scratch.tables(self._place).values() for file in table.files)
        with _told("The rows cannot be written"), self._scratch.new_file(self._place) as new:
            rows = self._written(new.file, new.path, change, batches, self._bytes_max - held)
            with self._scratch.changing(self._place, self._bytes_max) as draft:
                if not _is_due(change, draft.tables):
                    return 0
                if draft.bytes() + new.bytes() > self._bytes_max:
                    raise too_large(self._bytes_max)
                before = draft.tables.get(change.name)
                if change.kind == changes.INSERT and before:
                    _check_same(change, before)
                    files, reads = before.files, {*before.reads, *reads}
                else:
                    files = []
                files = [*files, new.kept(rows)] if rows else files
                draft.tables[change.name] = _table(change, draft, sorted(reads), files)
        return rows

    def _written(
        self, file: IO[bytes], path: Path, change: Change, batches: Iterable[pa.RecordBatch], room: int
    ) -> int:
        rows = 0
        schema = arrow_schema(change.columns)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for table in _groups(batches, schema, change.positions, is_empty=change.is_empty):
                writer.write_table(table)
                rows += table.num_rows
                if file.tell() > room:
                    raise too_large(self._bytes_max)
                if shutil.disk_usage(path.parent).free < self._free_bytes_min:
                    raise QueryFailed(
                        "The rows are not written: the disk would have fewer than "
                        f"{self._free_bytes_min:,} free bytes, which events need (disk_free_bytes_min)."
                    )
        return rows


@contextmanager
def _told(what: str) -> Iterator[None]:
    """An error of the disk as a QueryFailed, which says what cannot be done."""
    try:
        yield
    except OSError as error:
        raise QueryFailed(f"{what}: {error.strerror or error}.") from None


def _groups(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, positions: tuple[int | None, ...], *, is_empty: bool
) -> Iterator[pa.Table]:
    """Rows in the form of a file's row groups."""
    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        if is_empty:
            continue
        waiting.append(_as_stored(batch, schema, positions))
        count, size = count + batch.num_rows, size + waiting[-1].nbytes
        if count >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, count, size = [], 0, 0
    if count:
        yield pa.Table.from_batches(waiting, schema)


def _as_stored(batch: pa.RecordBatch, schema: pa.Schema, positions: tuple[int | None, ...]) -> pa.RecordBatch:
    columns = [
        pa.nulls(batch.num_rows, field.type) if position is None else _cast(batch.column(position), field.type)
        for field, position in zip(schema, positions, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type.equals(kind) else column.cast(kind)


def _is_due(change: Change, tables: dict[str, ScratchTable]) -> bool:
    """Whether there is something to change; not if IF [NOT] EXISTS says so. Raises QueryFailed if it cannot be done."""
    found, shown = tables.get(change.name), f"scratch.{change.name}"
    if change.kind == changes.SCHEMA:
        if change.is_lenient or change.name:  # a name: a schema of `memory`, which is there with its first table
            return False
        raise QueryFailed("SCHEMA_ALREADY_EXISTS: Schema 'scratch' already exists.")
    if change.kind in (changes.TABLE, changes.VIEW):
        if found is None or (change.replaces and found.kind == change.what):
            return True
        if change.is_lenient:
            return False
        raise QueryFailed(f"TABLE_ALREADY_EXISTS: {found.kind.capitalize()} {shown!r} already exists.")
    if found is None:
        if change.is_lenient:
            return False
        raise QueryFailed(f"TABLE_NOT_FOUND: {change.what.capitalize()} {shown!r} does not exist.")
    if found.kind != change.what:
        raise QueryFailed(f"TABLE_NOT_FOUND: {shown!r} is a {found.kind.lower()}; write {found.kind} in the statement.")
    if change.to and change.to in tables:
        raise QueryFailed(f"TABLE_ALREADY_EXISTS: 'scratch.{change.to}' already exists.")
    return True


def _apply(change: Change, draft: Draft, reads: list[str]) -> None:
    match change.kind:
        case changes.DROP:
            draft.drop(change.name)
        case changes.RENAME:
            table = draft.tables.pop(change.name)
            draft.tables[change.to] = ScratchTable(
                change.to, table.columns, table.reads, table.written_ms, table.files, table.statement, table.home
            )
        case changes.EMPTY:
            columns = draft.tables[change.name].columns
            draft.drop(change.name)
            draft.tables[change.name] = ScratchTable(change.name, columns, [], draft.now_ms)
        case _:
            draft.tables[change.name] = _table(change, draft, reads, [])


def _table(change: Change, draft: Draft, reads: list[str], files: list[ScratchFile]) -> ScratchTable:
    statement = change.statement or None
    return ScratchTable(change.name, _pairs(change.columns), reads, draft.now_ms, files, statement, change.home)


def _pairs(columns: Iterable[Column]) -> list[tuple[str, str]]:
    return [(column.name, str(column.type)) for column in columns]


def _check_same(change: Change, table: ScratchTable) -> None:
    """Raises QueryFailed if the table is no longer the one that the statement was planned for."""
    if table.columns != _pairs(change.columns):
        raise QueryFailed(f"TABLE_NOT_FOUND: 'scratch.{change.name}' was replaced meanwhile; ask again.")
