"""Views for DuckDB. Pure.

The live files of one schema version are one list, and the partition is a part of their path. DuckDB evaluates a
predicate that needs only the path before it opens files, so a predicate on the partition removes files from the list.
With 8,760 files in the list a query of one hour took 0.13 s and read one file. One select for each partition, with the
value as a constant, prunes equally well, but is slow to plan: 1.6 s with 3,000 partitions.

A column that an older version does not have is NULL, and a narrower one is cast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import ColumnType
from datawarehouse.export.dialects import DUCKDB
from datawarehouse.export.tables import ExportedTable, PartitionFiles

_PARTITION_CHARACTERS = len("YYYY/MM/DD/HH")
_PATH = "$file"  # no column can have this name


def script(tables: Iterable[ExportedTable]) -> str:
    """A view for each table."""
    return "\n".join(f"create or replace view {DUCKDB.name(table.name)} as\n{_selects(table)};\n" for table in tables)


def _selects(table: ExportedTable) -> str:
    selects = _users(table) if table.versions is None else _managed(table, table.versions)
    return "\nunion all\n".join(selects or [f"select {', '.join(_nulls((*table.columns, *table.keys)))} where false"])


def _managed(table: ExportedTable, versions: Mapping[int, tuple[Column, ...]]) -> list[str]:
    lists: dict[int, list[str]] = {}
    for partition in table.partitions:
        for name, version in partition.files:
            lists.setdefault(version, []).append(f"{partition.folder}/{name}")
    start = len(table.folder) + 2  # substr counts from 1, and a slash stands between
    keys = [
        f"substr({DUCKDB.name(_PATH)}, {start}, {_PARTITION_CHARACTERS}) as {DUCKDB.name(key.name)}"
        for key in table.keys
    ]
    selects = []
    for version, paths in sorted(lists.items()):
        had = {column.name: column.type for column in versions[version]}
        outputs = [_output(column, had.get(column.name)) for column in table.columns]
        files = f"read_parquet({_listed(paths)}, filename = {DUCKDB.literal(_PATH)})"
        selects.append(f"select {', '.join(outputs + keys)}\nfrom {files}")
    return selects


def _output(column: Column, stored: ColumnType | None) -> str:
    name = DUCKDB.name(column.name)
    if stored == column.type:
        return name
    return f"cast({'null' if stored is None else name} as {DUCKDB.type(column.type)}) as {name}"


def _users(table: ExportedTable) -> list[str]:
    """A select for each partition of a table that the user fills: the path does not have the value, and the columns of
    the files are not known."""
    return [_users_partition(table, partition) for partition in table.partitions if partition.files]


def _users_partition(table: ExportedTable, partition: PartitionFiles) -> str:
    paths = [f"{partition.folder}/{name}" for name, _ in partition.files]
    outputs = [
        f"cast({DUCKDB.name(column.name)} as {DUCKDB.type(column.type)}) as {DUCKDB.name(column.name)}"
        for column in table.columns
    ]
    outputs += [
        f"cast({DUCKDB.literal(value)} as {DUCKDB.type(key.type)}) as {DUCKDB.name(key.name)}"
        for key, value in zip(table.keys, partition.values, strict=True)
    ]
    return (
        f"select {', '.join(outputs)}\nfrom (select {', '.join(_nulls(table.columns))} where false\n"
        f"union all by name select * from read_parquet({_listed(paths)}, union_by_name = true))"
    )


def _nulls(columns: Iterable[Column]) -> list[str]:
    return [f"cast(null as {DUCKDB.type(column.type)}) as {DUCKDB.name(column.name)}" for column in columns]


def _listed(paths: Iterable[str]) -> str:
    return "[\n" + ",\n".join(f"  {DUCKDB.literal(path)}" for path in paths) + "]"
