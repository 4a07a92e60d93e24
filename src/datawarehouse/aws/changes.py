"""Which changes of a deployed table lose or hide what is stored, or are refused by AWS. Pure.

The rule for columns is that of the embedded host (catalog/evolution.py), less what Athena cannot read: there files stay
as they were written, and every registered hour keeps the columns that it was registered with. Athena compares the
columns of a partition with those of its table by name for Parquet, so that a column may be added anywhere, and by place
for JSON, so that it may be added only at the end (Athena user guide, "Update tables with partitions").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datawarehouse.catalog.evolution import problems
from datawarehouse.definition.storage import RETENTION_DAYS
from datawarehouse.definition.tables import HIVE, ICEBERG, BatchInputTable, Column, StreamingInputTable, Table
from datawarehouse.definition.types import ColumnType, Decimal, Primitive, Struct

_TYPES = 'Athena user guide, "Change a column data type": compatible data types'
READABLE = {
    ("tinyint", "smallint"): _TYPES,
    ("tinyint", "int"): _TYPES,
    ("tinyint", "bigint"): _TYPES,
    ("smallint", "int"): _TYPES,
    ("smallint", "bigint"): _TYPES,
    ("int", "bigint"): _TYPES,
    ("float", "double"): _TYPES,
}
"""The changes of a type after which Athena reads older files and partitions, with the source.

The same page: for Parquet a column can have another type only if the table is partitioned, since each partition then
has the type of its files. So no type may change where hours are projected or there are none. Fields that are added at
the end of a struct change none of the others (trinodb/trino, HiveCoercionPolicy). Everything else is refused, since
nothing says that Athena reads it: a wider decimal, varchar or element of an array. What people report of those is
HIVE_PARTITION_SCHEMA_MISMATCH (NREL/buildstockbatch, issue 269) and HIVE_BAD_DATA
(moj-analytical-services/etl_manager, issue 65; prestodb/presto, issue 14548).
"""

SHARDS = "datawarehouse.input_stream_shard_count"
STREAM_HOURS = "datawarehouse.stream_retention_hours"
"""Parameters of a Glue table, with RETENTION_DAYS: what it was deployed with, besides what Glue itself describes."""
ON_DEMAND = "on-demand"
FOR_EVER = "none"


@dataclass(frozen=True, slots=True)
class DeployedTable:
    """A table as the Glue catalog has it. data_format: None if it is neither Parquet nor JSON."""

    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]
    data_format: str | None
    parameters: Mapping[str, str]

    @property
    def is_iceberg(self) -> bool:
        """Iceberg's GlueCatalog, and Glue itself, mark their tables so."""
        return self.parameters.get("table_type", "").upper() == "ICEBERG"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a table cannot be changed in this way.

    subject: the name by which the change can be allowed, `<table>.<what>`; "" if AWS itself would refuse it.
    """

    subject: str
    text: str


def settings_of(table: Table, is_on_demand: bool, stream_retention_hours: int) -> dict[str, str]:
    """The parameters of a table's Glue table: what the next deployment compares its own with."""
    found: dict[str, str] = {}
    if isinstance(table, StreamingInputTable):
        found[SHARDS] = ON_DEMAND if is_on_demand else str(table.input_stream_shard_count)
        found[STREAM_HOURS] = str(stream_retention_hours)
    if isinstance(table, StreamingInputTable | BatchInputTable):
        found[RETENTION_DAYS] = FOR_EVER if table.retention_days is None else str(table.retention_days)
    return found


def problems_of(
    before: DeployedTable, table: Table, settings: Mapping[str, str], *, is_projected: bool = False
) -> list[Problem]:
    """What is wrong with deploying `table` over what is there. settings: as `settings_of` gives them."""
    is_iceberg = isinstance(table, StreamingInputTable) and table.table_format == ICEBERG
    if is_iceberg != before.is_iceberg:
        was, now = (ICEBERG, HIVE) if before.is_iceberg else (HIVE, ICEBERG)
        text = (
            f"table_format was {was!r} and is now {now!r}, and the files that there are stay what they are: keep "
            f"{was!r}, or declare a table of another name"
        )
        return [Problem("", text)]
    if is_iceberg:
        return [*_iceberg_columns(before, table), *_others(before, table, settings)]
    found = [*_columns(before, table, is_projected), *_keys(before, table)]
    if before.data_format and before.data_format != table.data_format:
        found.append(
            Problem(
                f"{table.name}.data_format",
                f"data_format was {before.data_format!r} and is now {table.data_format!r}, and the files that there "
                f"are stay what they are: keep {before.data_format!r}, or declare a table of another name",
            )
        )
    return [*found, *_others(before, table, settings)]


def _others(before: DeployedTable, table: Table, settings: Mapping[str, str]) -> list[Problem]:
    return [*_shards(before.parameters, settings), *_retention(before.parameters, table.name, settings)]


def _iceberg_columns(before: DeployedTable, table: Table) -> list[Problem]:
    """Columns of an Iceberg table change by statements alone (`iceberg_tables`), after which they are as declared.

    Athena user guide, "ALTER TABLE ADD COLUMNS", "ALTER TABLE CHANGE COLUMN" and "Evolve Iceberg table schema".
    """
    declared = {column.name: column.type for column in (*table.columns, *table.partition_keys)}
    stored = {column.name: column.type for column in before.columns}
    found = []
    for name in {**stored, **declared}:
        was, now = stored.get(name), declared.get(name)
        if was == now:
            continue
        if was is None:
            problem, statement = f"column {name!r} ({now}) is new", f"ADD COLUMNS (`{name}` {now})"
        elif now is None:
            problem, statement = f"column {name!r} ({was}) is no longer declared", f"DROP COLUMN `{name}`"
        elif _is_promoted(was, now):
            problem, statement = f"column {name!r} was {was} and is now {now}", f"CHANGE COLUMN `{name}` `{name}` {now}"
        else:
            text = f"column {name!r} was {was} and is now {now}, which Iceberg cannot make of it: keep {was}"
            found.append(Problem("", text))
            continue
        hint = ", which hides its stored values, or declare it again" if now is None else ""
        found.append(
            Problem(
                "",
                f"{problem}, and no deployment changes the columns of a table in Iceberg: run in Athena "
                f"ALTER TABLE `{table.name}` {statement}{hint}, and deploy again",
            )
        )
    return found


def _is_promoted(old: ColumnType, new: ColumnType) -> bool:
    """Iceberg table specification, "Schema Evolution"."""
    match old, new:
        case Primitive(a), Primitive(b):
            return (a, b) in {("int", "bigint"), ("float", "double")}
        case Decimal(precision, scale), Decimal(wider, same):
            return scale == same and precision < wider
        case _:
            return False


def _columns(before: DeployedTable, table: Table, is_projected: bool) -> list[Problem]:
    declared = {column.name: column.type for column in table.columns}
    has_partitions = bool(before.partition_keys) and not is_projected
    found = []
    for column in before.columns:
        subject = f"{table.name}.{column.name}"
        if general := problems([column], table.columns):
            found.append(Problem(subject, general[0]))
        elif not _is_readable(column.type, declared[column.name], has_partitions or table.data_format == "JSON"):
            found.append(
                Problem(
                    subject,
                    f"column {column.name!r} was {column.type} and is now {declared[column.name]}, which nothing says "
                    f"that Athena can read from the files that there are: keep {column.type} and add a column of "
                    "another name for the new type",
                )
            )
    return found + _places(before, table)


def _places(before: DeployedTable, table: Table) -> list[Problem]:
    """Columns of JSON in partitions that are no longer where they were."""
    if table.data_format != "JSON" or not before.partition_keys:
        return []
    now = {column.name: place for place, column in enumerate(table.columns, 1)}
    moved = [
        (column.name, place) for place, column in enumerate(before.columns, 1) if now.get(column.name, place) != place
    ]
    return [
        Problem(
            f"{table.name}.{name}",
            f"column {name!r} was number {place} and is now number {now[name]}, and Athena compares the columns of a "
            "partition of JSON with those of its table by their places: keep the order, and add columns at the end",
        )
        for name, place in moved[:1]
    ]


def _is_readable(old: ColumnType, new: ColumnType, has_types: bool) -> bool:
    """Whether Athena reads an older column as a new one. has_types: whether older files are read by types of their own,
    or have none."""
    match old, new:
        case Primitive(a), Primitive(b) if a != b:
            return has_types and (a, b) in READABLE
        case Struct(before), Struct(after):
            return before == after[: len(before)]
        case _:
            return old == new


def _keys(before: DeployedTable, table: Table) -> list[Problem]:
    """A partition key that has another name or type, is gone or was added."""
    old, new = before.partition_keys, table.partition_keys
    if old == new:
        return []
    differing = next((place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(old), len(new)) if differing is None else differing
    name = (old[place] if place < len(old) else new[place]).name
    was, now = (", ".join(f"{key.name!r} ({key.type})" for key in keys) or "none" for keys in (old, new))
    return [
        Problem(
            f"{table.name}.{name}",
            f"the partition keys were {was} and are now {now}: the partitions that there are stay as they are, and "
            f"statements and jobs that name the old key fail. Keep {was}, or declare a table of another name",
        )
    ]


def _shards(before: Mapping[str, str], settings: Mapping[str, str]) -> list[Problem]:
    """Kinesis API, UpdateShardCount: one call at most doubles and at most halves the number of open shards."""
    was, now = before.get(SHARDS, ""), settings.get(SHARDS, "")
    if not (was.isdigit() and now.isdigit()):
        return []
    low, high = -(-int(was) // 2), 2 * int(was)
    if low <= int(now) <= high:
        return []
    step = high if int(now) > high else low
    return [
        Problem(
            "",
            f"input_stream_shard_count was {was} and is now {now}, and AWS at most doubles and at most halves the "
            f"number of shards in one change: deploy {step} first, and {_next(step, int(now))} after that",
        )
    ]


def _next(step: int, goal: int) -> int:
    return min(2 * step, goal) if goal > step else max(-(-step // 2), goal)


def _retention(before: Mapping[str, str], table: str, settings: Mapping[str, str]) -> list[Problem]:
    found = []
    was, now = before.get(RETENTION_DAYS, ""), settings.get(RETENTION_DAYS, "")
    if now.isdigit() and (was == FOR_EVER or (was.isdigit() and int(now) < int(was))):
        kept = f"{was} days" if was.isdigit() else "not declared"
        found.append(
            Problem(
                f"{table}.retention_days",
                f"retention_days was {kept} and is now {now} days: S3 deletes what is older than that within days. "
                "Keep it as it was, or copy first what must stay",
            )
        )
    was, now = before.get(STREAM_HOURS, ""), settings.get(STREAM_HOURS, "")
    if was.isdigit() and now.isdigit() and int(now) < int(was):
        found.append(
            Problem(
                f"{table}.stream_retention_hours",
                f"stream_retention_hours was {was} and is now {now}: the stream forgets at once what is older than "
                "that, delivered or not. Keep it until nothing waits to be delivered",
            )
        )
    return found
