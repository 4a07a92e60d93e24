"""A table's files -> the sub-select that a scan of it becomes.

Files of one schema are read together; what an older schema has narrower is cast, what it does not have is NULL. The
partition key is not in the files: of a table that the warehouse fills it is read off their path, of a user's table
it is what the user registered.

Lists of files and values are bound as parameters: no file name is ever part of the SQL text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import LiveFile, Partition, StoredTable
from datawarehouse.definition.tables import (
    QUARANTINE_COLUMNS,
    Column,
    Table,
)
from datawarehouse.definition.types import INTEGER_BITS, Array, ColumnType, Decimal, Map, Primitive, Struct, Text
from datawarehouse.durable import ASIDE_SUFFIX
from datawarehouse.errors import QueryFailed
from datawarehouse.folder import history_path
from datawarehouse.parquet.footer import REJECTS, folder_for
from datawarehouse.query import description, own_tables, tpch
from datawarehouse.query.event_times import files_by_event_time
from datawarehouse.query.footers import COUNT, PARTITION, extremes
from datawarehouse.query.readable import HISTORY, RUNS, Made, Readable, partition_values
from datawarehouse.query.scratch_files import check_scratch
from datawarehouse.query.verify import Verifier
from datawarehouse.sql import metadata
from datawarehouse.sql.catalogs import TPCH_TABLES
from datawarehouse.sql.plan import ROW_COUNT, Scan

JsonReader = Callable[[Path, Sequence[Column]], pa.Table]
"""Reads a file of JSON lines as rows of these columns. Raises BadLine."""

_PARTITION_CHARACTERS = len("YYYY/MM/DD/HH")
_TYPES = {"int": "integer", "string": "varchar", "binary": "blob"}


@dataclass
class Sources:
    """What the scans of a plan read.

    selects: scan id -> sub-select. tables: those in memory, by name. summarized: the ids of scans whose sub-select
    gives summaries in the place of rows (see `sql.plan.Scan`). partitions, files, bytes: those that are opened; of a
    file of which only the footer is read, the bytes of the footer. made_bytes: those of files of TPC-H, which count for
    no budget. update: Trino's name for what a statement changes.
    """

    selects: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)
    summarized: set[str] = field(default_factory=set)
    partitions: int = 0
    files: int = 0
    bytes: int = 0
    made_bytes: int = 0
    update: str = ""

    def bind(self, value: Any) -> str:
        name = f"s{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def hold(self, table: pa.Table) -> str:
        """Keep a table in memory; how SQL names it. Names of a statement have no `$` (see `Compiler.unique`)."""
        name = f"memory${len(self.tables)}"
        self.tables[name] = table
        return _quoted(name)


def open_sources(
    catalog: Catalog,
    lake: Path,
    tables: Mapping[str, Readable],
    scans: Iterable[Scan],
    read_json: JsonReader,
    verifier: Verifier,
    deadline: float,
    database: str,
    own: str = "",
) -> Sources:
    """Find what the scans read, as it is at one moment. own: the schema of the scratch of whoever asks.

    Raises FileDamaged, and TimeoutError if reading files takes until `deadline` (of time.monotonic).
    """
    sources = Sources()
    listed: list[tuple[Scan, _Listed]] = []
    kept: list[Made] = []
    with catalog.moment():
        for scan in scans:
            if scan.table in TPCH_TABLES:
                sources.selects[scan.id] = f"({_made(sources, lake, scan, deadline)})"
                continue
            if scan.table in metadata.TABLES:
                schemas = [each.schema for each in tables.values()]
                described = description.rows(scan.table, database, schemas, history_path(lake), own)
                sources.selects[scan.id] = f"({_in_memory(sources, described, scan)[0]})"
                continue
            if scan.table.endswith(metadata.PARTITIONS):
                of = tables[scan.table.removesuffix(metadata.PARTITIONS)]
                sources.selects[scan.id] = f"({_partitions(sources, catalog, of, scan)})"
                continue
            table = tables[scan.table]
            if table.kind == RUNS:
                selects = _in_memory(sources, own_tables.runs(catalog), scan)
            elif table.kind == HISTORY:
                selects = _in_memory(sources, own_tables.history(history_path(lake)), scan)
            elif table.made:
                selects = _of_scratch(sources, table, table.made, scan)
                kept.append(table.made)
            elif table.stored.kind == Table.kind:
                selects = _users(sources, catalog, table.stored, lake, scan, read_json)
            elif scan.extremes is not None and not scan.extremes:
                selects = _counts(sources, catalog, table, scan)
            else:
                listed.append((scan, _list(catalog, table, lake, scan)))
                continue
            sources.selects[scan.id] = _united(selects, table, scan)
    for made in kept:
        check_scratch(made, own, lake, verifier, deadline)
    for scan, files in listed:  # with the catalog free for others, for this may open many files
        sources.partitions += len(files.partitions)
        verifier.check(files.table.stored.name, files.files, deadline)
        selects = _summaries(sources, files, scan, deadline) if scan.extremes else _managed(sources, files, scan)
        sources.selects[scan.id] = _united(selects, files.table, scan)
    return sources


def _united(selects: list[str], table: Readable, scan: Scan) -> str:
    return f"({' union all '.join(selects or [_nothing(table, scan)])})"


# -- tables that the warehouse fills


@dataclass(frozen=True, slots=True)
class _Listed:
    """The live files of a table in the partitions that a scan needs. by_version: schema version -> paths."""

    table: Readable
    partitions: list[str]
    files: list[LiveFile]
    by_version: dict[int, list[str]]
    sizes: dict[str, int]
    partition_at: int
    """The index in a path at which its partition begins."""

    def partition(self, path: str) -> str:
        return path[self.partition_at : self.partition_at + _PARTITION_CHARACTERS]

    def columns(self, version: int) -> dict[str, ColumnType]:
        """The columns that files of a schema version have."""
        stored = self.table.stored
        columns = QUARANTINE_COLUMNS if self.table.kind == REJECTS else stored.columns[version]
        return {column.name: column.type for column in columns}


def _list(catalog: Catalog, table: Readable, lake: Path, scan: Scan) -> _Listed:
    name, keys = table.stored.name, [key.name for key in table.stored.partition_keys]
    timed = files_by_event_time(catalog, table.stored, table.kind, scan)
    if timed is not None:
        partitions = list(dict.fromkeys(each.partition for each in timed))
        files = [each.file for each in timed]
    else:
        low, high = scan.predicate.bounds(keys[0]) if keys else (None, None)
        partitions = [
            partition
            for partition in catalog.partitions_between(name, table.kind, low, high)
            if not keys or scan.predicate.matches({keys[0]: partition})
        ]
        files = catalog.live_paths(name, table.kind, partitions)
    by_version: dict[int, list[str]] = {}
    sizes: dict[str, int] = {}
    for file in files:
        path = f"{lake}/{file.path}"
        by_version.setdefault(file.schema_version, []).append(path)
        sizes[path] = file.bytes
    return _Listed(table, partitions, files, by_version, sizes, len(str(lake / folder_for(name, table.kind, ""))) + 1)


def _managed(sources: Sources, listed: _Listed, scan: Scan) -> list[str]:
    return [
        _of_files(sources, listed, scan, version, paths, listed.table.columns)
        for version, paths in listed.by_version.items()
    ]


def _of_files(
    sources: Sources, listed: _Listed, scan: Scan, version: int, paths: list[str], columns: Iterable[Column]
) -> str:
    """Of these files, which have one schema, these columns of the table and its partition key."""
    sources.files += len(paths)
    sources.bytes += sum(listed.sizes[path] for path in paths)
    keys = [key.name for key in listed.table.stored.partition_keys]
    named = scan.hidden_columns or len(listed.partitions) > 1
    if keys and len(listed.partitions) == 1:  # a constant: DuckDB decides a condition on it once, not for each row
        key_text = dict.fromkeys(keys, f"cast({sources.bind(listed.partitions[0])} as varchar)")
    else:  # substr counts from 1
        key_text = dict.fromkeys(keys, f"substr({_FILE}, {listed.partition_at + 1}, {_PARTITION_CHARACTERS})")
    had = listed.columns(version)
    outputs = [_output(column, had.get(column.name)) for column in columns]
    outputs += [f"{text} as {_quoted(key)}" for key, text in key_text.items()]
    files = sources.bind(paths)
    if scan.hidden_columns:
        outputs += _hidden(sources, files, paths, listed.sizes)
    if scan.extremes is not None:
        outputs.append(f"cast(1 as bigint) as {_quoted(ROW_COUNT)}")
    return f"select {', '.join(outputs)} from {_read(files, named=named)}"


# -- summaries in the place of rows


def _counts(sources: Sources, catalog: Catalog, table: Readable, scan: Scan) -> list[str]:
    """How many rows the partitions have, as the catalog knows it: no file is opened.

    Some may be more than the scan needs: the statement asks its conditions of them again, as of any rows.
    """
    keys = [key.name for key in table.stored.partition_keys]
    low, high = scan.predicate.bounds(keys[0]) if keys else (None, None)
    counts = catalog.row_counts(table.stored.name, table.kind, low, high)
    sources.summarized.add(scan.id)
    # Lists that are bound, not a table in memory: with its first such table DuckDB takes a gigabyte of address space.
    outputs = [
        f"unnest(cast({sources.bind([name for name, _ in counts])} as varchar[])) as {_quoted(key)}" for key in keys
    ]
    outputs.append(f"unnest(cast({sources.bind([rows for _, rows in counts])} as bigint[])) as {_quoted(ROW_COUNT)}")
    return [f"select {', '.join(outputs)}"]


def _summaries(sources: Sources, listed: _Listed, scan: Scan, deadline: float) -> list[str]:
    """The extremes of columns as the footers of files say them; the rows of files whose footers do not."""
    wanted = [column for column in listed.table.columns if column.name in (scan.extremes or ())]
    keys = [key.name for key in listed.table.stored.partition_keys]
    sources.summarized.add(scan.id)
    selects = []
    for version, paths in listed.by_version.items():
        had = listed.columns(version)
        stored = [Column(column.name, had[column.name]) for column in wanted if column.name in had]
        told = extremes(((path, listed.partition(path)) for path in paths), stored, deadline)
        if told.table is not None:
            outputs = [_cast(column, column.name in had) for column in wanted]
            outputs += [f"{_quoted(PARTITION)} as {_quoted(key)}" for key in keys]
            outputs.append(f"{_quoted(COUNT)} as {_quoted(ROW_COUNT)}")
            selects.append(f"select {', '.join(outputs)} from {sources.hold(told.table)}")
        sources.files += len(paths) - len(told.silent)
        sources.bytes += told.bytes
        if told.silent:
            selects.append(_of_files(sources, listed, scan, version, told.silent, wanted))
    return selects


def _output(column: Column, stored: ColumnType | None) -> str:
    return _quoted(column.name) if stored == column.type else _cast(column, stored is not None)


def _cast(column: Column, has_it: bool) -> str:
    name = _quoted(column.name)
    return f"cast({name if has_it else 'null'} as {duckdb_type(column.type)}) as {name}"


# -- tables that are made


def _made(sources: Sources, lake: Path, scan: Scan, deadline: float) -> str:
    file = tpch.file_of(scan.table, lake, deadline)
    sources.files += 1
    sources.made_bytes += file.stat().st_size
    outputs = [
        f"cast({_quoted(tpch.stored_name(scan.table, column.name))} as {duckdb_type(column.type)})"
        f" as {_quoted(column.name)}"
        for column in TPCH_TABLES[scan.table].columns
    ]
    if scan.hidden_columns:
        outputs += [f"cast(null as {kind}) as {_quoted(hidden)}" for hidden, kind in _HIDDEN_TYPES.items()]
    return f"select {', '.join(outputs)} from {_read(sources.bind([str(file)]), named=False)}"


# -- tables that are in memory


def _in_memory(sources: Sources, table: pa.Table, scan: Scan) -> list[str]:
    outputs = [_quoted(column) for column in table.column_names]
    if scan.hidden_columns:
        outputs += [f"cast(null as {kind}) as {_quoted(hidden)}" for hidden, kind in _HIDDEN_TYPES.items()]
    return [f"select {', '.join(outputs)} from {sources.hold(table)}"]


def _partitions(sources: Sources, catalog: Catalog, table: Readable, scan: Scan) -> str:
    """The values of partition keys, of partitions that have rows or that a user registered."""
    keys, values = table.stored.partition_keys, partition_values(catalog, table)
    columns = list(zip(*values, strict=True)) or [()] * len(keys)
    lists = [f"unnest(cast({sources.bind(list(column))} as varchar[]))" for column in columns]
    outputs = [
        f"cast({each} as {duckdb_type(key.type)}) as {_quoted(key.name)}" for key, each in zip(keys, lists, strict=True)
    ]
    if scan.hidden_columns:
        outputs += [f"cast(null as {kind}) as {_quoted(hidden)}" for hidden, kind in _HIDDEN_TYPES.items()]
    if scan.extremes is not None:
        outputs.append(f"cast(1 as bigint) as {_quoted(ROW_COUNT)}")
    return f"select {', '.join(outputs)}"


# -- tables of a scratch


def _of_scratch(sources: Sources, table: Readable, made: Made, scan: Scan) -> list[str]:
    if not made.paths:
        return []
    paths = list(made.paths)
    files = {path: file.bytes for path, file in zip(paths, made.table.files, strict=True)}
    sources.files += len(files)
    sources.bytes += sum(files.values())
    outputs = [_cast(column, has_it=True) for column in table.columns]
    bound = sources.bind(paths)
    if scan.hidden_columns:
        outputs += _hidden(sources, bound, paths, files)
    return [f"select {', '.join(outputs)} from {_read(bound, named=scan.hidden_columns)}"]


# -- tables that the user fills


def _users(
    sources: Sources, catalog: Catalog, stored: StoredTable, lake: Path, scan: Scan, read_json: JsonReader
) -> list[str]:
    selects = []
    for values, folder, files in folders_of(catalog, stored, lake, scan):
        sources.folders.add(folder)
        sources.partitions += 1
        sources.files += len(files)
        sources.bytes += sum(file.stat().st_size for file in files)
        keys = [
            f"cast({sources.bind(values[key.name])} as {duckdb_type(key.type)}) as {_quoted(key.name)}"
            for key in stored.partition_keys
        ]
        read = _users_json if stored.data_format == "JSON" else _users_parquet
        selects += read(sources, stored, files, keys, scan.hidden_columns, read_json)
    return selects


def folders_of(
    catalog: Catalog, stored: StoredTable, lake: Path, scan: Scan
) -> Iterator[tuple[dict[str, str | int], Path, list[Path]]]:
    """The partitions of a user's table that a scan needs and that have files: the values of the keys, the folder, and
    the files."""
    home = lake / stored.name
    whole = [Partition((), str(home))]
    partitions = catalog.registered_partitions(stored.name) if stored.partition_keys else whole
    for partition in partitions:
        values = {
            key.name: _key_value(stored.name, key, text)
            for key, text in zip(stored.partition_keys, partition.values, strict=True)
        }
        if not scan.predicate.matches(values):
            continue
        folder = Path(partition.location) if partition.location else home.joinpath(*partition.values)
        if files := _files_in(folder):
            yield values, folder, files


def _users_parquet(
    sources: Sources, stored: StoredTable, files: list[Path], keys: list[str], hidden: bool, _: JsonReader
) -> list[str]:
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for file in files:
        try:
            schema = pq.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise QueryFailed(
                f"Table {stored.name!r}: {file} cannot be read as Parquet ({error}). Remove it from the table's "
                "folder, or begin its name with '_' or '.', which hides it."
            ) from None
        groups.setdefault(tuple((field.name, str(field.type)) for field in schema), []).append(str(file))
    selects = []
    for fields, paths in groups.items():
        names = {name.lower(): name for name, _ in fields}
        outputs = [
            f"cast({_quoted(names[column.name]) if column.name in names else 'null'} as {duckdb_type(column.type)})"
            f" as {_quoted(column.name)}"
            for column in stored.columns[stored.schema_version]
        ]
        bound = sources.bind(paths)
        outputs += keys
        if hidden:
            outputs += _hidden(sources, bound, paths, {path: Path(path).stat().st_size for path in paths})
        selects.append(f"select {', '.join(outputs)} from {_read(bound, named=hidden)}")
    return selects


def _users_json(
    sources: Sources, stored: StoredTable, files: list[Path], keys: list[str], hidden: bool, read_json: JsonReader
) -> list[str]:
    selects = []
    for file in files:
        columns = stored.columns[stored.schema_version]
        name = sources.hold(read_json(file, columns))
        outputs = [_quoted(column.name) for column in columns] + keys
        if hidden:
            at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            values = (str(file), file.stat().st_size, at)
            outputs += [
                f"cast({sources.bind(value)} as {kind}) as {_quoted(column)}"
                for value, (column, kind) in zip(values, _HIDDEN_TYPES.items(), strict=True)
            ]
        selects.append(f"select {', '.join(outputs)} from {name}")
    return selects


def _files_in(folder: Path) -> list[Path]:
    """The files below a folder that Athena would read: no name on the way begins with '_' or '.'."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(("_", ".")) or path.name.endswith(ASIDE_SUFFIX):
            continue
        found += _files_in(path) if path.is_dir() else [path]
    return found


def _key_value(table: str, key: Column, text: str) -> str | int:
    if isinstance(key.type, Primitive) and key.type.name in INTEGER_BITS:
        try:
            return int(text)
        except ValueError:
            raise QueryFailed(
                f"Table {table!r} has a partition registered with {key.name} = {text!r}; the key is {key.type}."
            ) from None
    return text


# -- the parts of SQL text

_FILE = '"$file"'  # no column is called so


def _read(files: str, *, named: bool) -> str:
    return f"read_parquet({files}, filename = '$file')" if named else f"read_parquet({files})"


_HIDDEN_TYPES = {"$path": "varchar", "$file_size": "bigint", "$file_modified_time": "timestamptz"}


def _hidden(sources: Sources, files: str, paths: list[str], sizes: Mapping[str, int]) -> list[str]:
    times = [datetime.fromtimestamp(Path(path).stat().st_mtime, UTC) for path in paths]
    place = f"list_position({files}, {_FILE})"
    return [
        f'{_FILE} as "$path"',
        f'cast({sources.bind([sizes[path] for path in paths])}[{place}] as bigint) as "$file_size"',
        f'cast({sources.bind(times)}[{place}] as timestamptz) as "$file_modified_time"',
    ]


def _nothing(table: Readable, scan: Scan) -> str:
    """A select of no rows, with the types of the table."""
    outputs = [
        f"cast(null as {duckdb_type(column.type)}) as {_quoted(column.name)}"
        for column in (*table.columns, *table.stored.partition_keys)
    ]
    if scan.hidden_columns:
        outputs += [f"cast(null as {kind}) as {_quoted(name)}" for name, kind in _HIDDEN_TYPES.items()]
    if scan.extremes is not None:
        outputs.append(f"cast(null as bigint) as {_quoted(ROW_COUNT)}")
    return f"select {', '.join(outputs)} where false"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def duckdb_type(kind: ColumnType) -> str:
    """The DuckDB type that a Parquet column of this type is read as."""
    match kind:
        case Primitive(name):
            return _TYPES.get(name, name)
        case Decimal(precision, scale):
            return f"decimal({precision},{scale})"
        case Text():
            return "varchar"
        case Array(element):
            return f"{duckdb_type(element)}[]"
        case Map(key, value):
            return f"map({duckdb_type(key)}, {duckdb_type(value)})"
        case Struct(fields):
            return f"struct({', '.join(f'{_quoted(name)} {duckdb_type(field)}' for name, field in fields)})"
