"""Tables for Trino's Hive connector. Pure.

Source: Trino documentation, "Hive connector", create table with external_location and system.register_partition.
The latter needs hive.allow-register-partition-procedure=true and takes one partition a call.
"""

from __future__ import annotations

from collections.abc import Iterable

from datawarehouse.export.dialects import TRINO
from datawarehouse.export.tables import ExportedTable, PartitionFiles


def script(schema: str, tables: Iterable[ExportedTable]) -> str:
    """The statements that drop and create each table in a schema of the session's catalog."""
    statements = [f"create schema if not exists {TRINO.name(schema)}"]
    for table in tables:
        statements += _statements(schema, table)
    return "\n".join(f"{statement};\n" for statement in statements)


def _statements(schema: str, table: ExportedTable) -> list[str]:
    name = f"{TRINO.name(schema)}.{TRINO.name(table.name)}"
    columns = ",\n".join(f"  {TRINO.name(each.name)} {TRINO.type(each.type)}" for each in (*table.columns, *table.keys))
    keys = ", ".join(TRINO.literal(key.name) for key in table.keys)
    partitioned = f", partitioned_by = array[{keys}]" if keys else ""
    properties = f"format = 'PARQUET', external_location = {TRINO.literal(table.folder)}{partitioned}"
    statements = [f"drop table if exists {name}", f"create table {name} (\n{columns}\n) with ({properties})"]
    if keys:
        statements += [_registered(schema, table, keys, partition) for partition in table.partitions]
    return statements


def _registered(schema: str, table: ExportedTable, keys: str, partition: PartitionFiles) -> str:
    values = ", ".join(map(TRINO.literal, partition.values))
    return (
        f"call system.register_partition({TRINO.literal(schema)}, {TRINO.literal(table.name)}, "
        f"array[{keys}], array[{values}], {TRINO.literal(partition.folder)})"
    )
