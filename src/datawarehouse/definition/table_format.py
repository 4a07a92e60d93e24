"""The format of a streaming input table on AWS, its compaction there, and what a table in Iceberg cannot have.

Sources: Iceberg table specification, "Schemas and Data Types"; Firehose developer guide, "Considerations and
limitations" of Apache Iceberg tables as a destination (16 levels). The embedded host stores Parquet in both formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datawarehouse.definition.tables import (
    COMPACTIONS,
    HIVE,
    ICEBERG,
    TABLE_FORMATS,
    Column,
    StreamingInputTable,
    Table,
)
from datawarehouse.definition.types import Array, ColumnType, Map, Primitive, Struct, Text
from datawarehouse.errors import DeclarationError

LEVELS_MAX = 16
TABLE = "table.json"
"""A file beside the code of the function that converts records, which describes their table: {"hour": name,
"columns": [[name, type], ...]}."""
_HOURLY = "rate(1 hour)"
_INSTEAD = {"tinyint": "int", "smallint": "int", "char": "string", "varchar": "string"}


def checked_compaction(table: str, compaction: str | None) -> str | None:
    """A valid compaction, else DeclarationError."""
    if compaction is not None and compaction not in COMPACTIONS:
        raise DeclarationError(
            f"Table {table!r}: compaction is {compaction!r}; valid is {COMPACTIONS[0]!r}. Leave it out for none."
        )
    return compaction


def checked_table_format(
    table: str,
    table_format: Any,
    columns: Sequence[Column],
    schedule: str,
    retention_days: int | None,
    compaction: str | None,
) -> str:
    """A valid format, else DeclarationError. schedule: how often partitions are registered."""
    if table_format not in TABLE_FORMATS:
        valid = " and ".join(map(repr, TABLE_FORMATS))
        raise DeclarationError(f"Table {table!r}: table_format is {table_format!r}; valid are {valid}.")
    if table_format == HIVE:
        return HIVE
    for column in columns:
        if problem := _problem(column.type, 1):
            raise DeclarationError(
                f"Table {table!r}, column {column.name!r}: with table_format='iceberg' it cannot be {column.type}, "
                f"because {problem}."
            )
    if retention_days is not None:
        raise DeclarationError(
            f"Table {table!r}: retention_days is {retention_days}; with table_format='iceberg' it cannot be given, "
            "because S3 would delete files that the table still names. Leave it out, and delete old hours by a "
            "statement in Athena: docs/reference/iceberg.md."
        )
    if compaction is not None:
        raise DeclarationError(
            f"Table {table!r}: compaction is {compaction!r}; with table_format='iceberg' it cannot be given, because "
            "the files of such a table are named in its own metadata, and Glue compacts it. Leave it out."
        )
    if schedule != _HOURLY:
        raise DeclarationError(
            f"Table {table!r}: partition_schedule_expression is {schedule!r}; with table_format='iceberg' no "
            "partition is ever registered. Leave it out."
        )
    return ICEBERG


def unseen_late_rows(tables: Sequence[Table]) -> str:
    """Why a job that reads these tables cannot run again for hours that got rows since; "" if it can."""
    for table in tables:
        if isinstance(table, StreamingInputTable) and table.table_format == ICEBERG:
            return (
                f"cannot be given for a job that reads {table.name!r}, which is in Iceberg: which of its hours got "
                "rows is not known. Leave it out, and run the job again when the alarm 'late' was on"
            )
    return ""


def _problem(kind: ColumnType, level: int) -> str:
    """Why a type is not for Iceberg; "" if it is."""
    if level > LEVELS_MAX:
        return f"Firehose takes {LEVELS_MAX} levels of nesting"
    match kind:
        case Primitive(name) | Text(name) if name in _INSTEAD:
            return f"Iceberg has no {name}; declare {_INSTEAD[name]}"
        case Array(element):
            return _problem(element, level + 1)
        case Map(key, value):
            if key != Primitive("string"):
                return f"nothing says that Firehose reads a key of type {key} from JSON; declare string as its key"
            return _problem(value, level + 1)
        case Struct(fields):
            return next((found for _, field in fields if (found := _problem(field, level + 1))), "")
        case _:
            return ""
