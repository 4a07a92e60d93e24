"""Tables for Spark 4 in its own catalog or a Hive metastore. Pure.

Every partition is added with its folder, because Spark itself finds only folders that are named `key=value`. Spark
reads NULL for a column that an older file does not have, and widens narrower types (4.0 on).
"""

from __future__ import annotations

from collections.abc import Iterable

from datawarehouse.export.dialects import SPARK
from datawarehouse.export.tables import ExportedTable, PartitionFiles

PARTITIONS_MAX = 1000
"""Partitions that one statement adds."""


def script(tables: Iterable[ExportedTable]) -> str:
    """The statements that drop and create each table; each ends with ';' at the end of a line, and no other line
    does."""
    return "\n".join(f"{statement};\n" for table in tables for statement in _statements(table))


def _statements(table: ExportedTable) -> list[str]:
    name = SPARK.name(table.name)
    columns = ",\n".join(f"  {SPARK.name(each.name)} {SPARK.type(each.type)}" for each in (*table.columns, *table.keys))
    keys = f" partitioned by ({', '.join(SPARK.name(key.name) for key in table.keys)})" if table.keys else ""
    created = f"create table {name} (\n{columns}\n) using parquet{keys} location {SPARK.literal(table.folder)}"
    statements = [f"drop table if exists {name}", created]
    partitions = table.partitions if table.keys else ()
    for start in range(0, len(partitions), PARTITIONS_MAX):
        added = "\n".join(_partition(table, each) for each in partitions[start : start + PARTITIONS_MAX])
        statements.append(f"alter table {name} add\n{added}")
    return statements


def _partition(table: ExportedTable, partition: PartitionFiles) -> str:
    values = ", ".join(
        f"{SPARK.name(key.name)} = {SPARK.literal(value)}"
        for key, value in zip(table.keys, partition.values, strict=True)
    )
    return f"  partition ({values}) location {SPARK.literal(partition.folder)}"
