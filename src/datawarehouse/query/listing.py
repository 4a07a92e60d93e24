"""Statements that list: SHOW TABLES, SHOW PARTITIONS, SHOW STATS, DESCRIBE and EXPLAIN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.definition.tables import Table
from datawarehouse.errors import QueryFailed
from datawarehouse.query.readable import Readable, partition_values
from datawarehouse.sql import metadata, types
from datawarehouse.sql.plan import Plan
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.types import Type
from datawarehouse.sql.wildcards import matches

_STATS = ("column_name", "data_size", "distinct_values_count", "nulls_fraction", "row_count", "low_value", "high_value")
_TEXTS = ("column_name", "low_value", "high_value")


class Listing(NamedTuple):
    table: pa.Table
    types: Sequence[Type]


def listing(
    planned: Plan,
    tables: Mapping[str, Readable],
    schemas: Mapping[str, TableSchema],
    catalog: Catalog,
    explained: Callable[[], list[str]],
) -> Listing:
    """What a statement lists of the tables that it may read. explained: what EXPLAIN says of it. Raises QueryFailed for
    the partitions of a view."""
    match planned.kind:
        case "show_tables":
            wanted = planned.pattern
            found = [*schemas, *metadata.TABLES] if planned.schema else list(schemas)
            names = sorted(name.rpartition(".")[2] for name in found if name.rpartition(".")[0] == planned.schema)
            return _texts(tab_name=[name for name in names if wanted is None or any(matches(name, p) for p in wanted)])
        case "describe":
            schema = schemas.get(str(planned.table)) or metadata.TABLES[str(planned.table)]
            rows = [(column.name, str(column.type), "") for column in schema.columns]
            rows += [(key.name, str(key.type), "partition key") for key in schema.partition_keys]
            columns = list(zip(*rows, strict=True))
            return _texts(col_name=columns[0], data_type=columns[1], comment=columns[2])
        case "show_partitions":
            return _texts(partition=_partitions(catalog, tables[str(planned.table)]))
        case "show_stats":
            return _stats(catalog, tables[str(planned.table)])
        case "explain_validate":
            return Listing(pa.table({"Valid": pa.array([True])}), [types.BOOLEAN])
        case "explain_io":
            return _texts(**{"Query Plan": explained()})
        case _:
            return _texts(plan=explained())


def _texts(**columns: Sequence[str]) -> Listing:
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return Listing(table, [types.VARCHAR] * table.num_columns)


def _partitions(catalog: Catalog, table: Readable) -> list[str]:
    if table.schema.statement:
        below = f"; ask for those of {', '.join(sorted(table.below))}" if table.below else ""
        raise QueryFailed(f"NOT_SUPPORTED: {table.schema.short!r} is a view, which has no partitions{below}.")
    keys = [key.name for key in table.stored.partition_keys]
    found = partition_values(catalog, table)
    return ["/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True)) for values in found]


def _stats(catalog: Catalog, table: Readable) -> Listing:
    """Trino's form of what is known without reading a file: the number of rows."""
    names = [name for name, _ in table.schema.fields()]
    columns = {column: pa.nulls(len(names) + 1, pa.string() if column in _TEXTS else pa.float64()) for column in _STATS}
    columns["column_name"] = pa.array([*names, None], pa.string())
    columns["row_count"] = pa.array([*[None] * len(names), _row_count(catalog, table)], pa.float64())
    kinds = [types.VARCHAR if column in _TEXTS else types.DOUBLE for column in _STATS]
    return Listing(pa.table(columns), kinds)


def _row_count(catalog: Catalog, table: Readable) -> float | None:
    if table.made:
        return None if table.made.table.statement else float(sum(file.rows for file in table.made.table.files))
    if table.view or table.stored.kind == Table.kind:
        return None
    return float(sum(rows for _, rows in catalog.row_counts(table.stored.name, table.kind, None, None)))
