"""Statements that list: SHOW, DESCRIBE and EXPLAIN."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.definition.tables import Table
from datawarehouse.query.readable import Readable
from datawarehouse.sql.plan import Plan, TableSchema
from datawarehouse.sql.wildcards import matches


def listing(
    planned: Plan,
    tables: Mapping[str, Readable],
    schemas: Mapping[str, TableSchema],
    catalog: Catalog,
    explained: Callable[[Plan, Mapping[str, Readable]], list[str]],
) -> pa.Table:
    match planned.kind:
        case "show_tables":
            wanted = planned.pattern
            names = [name for name in sorted(tables) if wanted is None or any(matches(name, each) for each in wanted)]
            return pa.table({"tab_name": pa.array(names, pa.string())})
        case "describe":
            schema = schemas[str(planned.table)]
            rows = [(column.name, str(column.type), "") for column in schema.columns]
            rows += [(key.name, str(key.type), "partition key") for key in schema.partition_keys]
            columns, types, comments = zip(*rows, strict=True)
            return pa.table({"col_name": columns, "data_type": types, "comment": comments})
        case "show_partitions":
            table = tables[str(planned.table)]
            return pa.table({"partition": pa.array(_partitions(catalog, table), pa.string())})
        case _:
            return pa.table({"plan": pa.array(explained(planned, tables), pa.string())})


def _partitions(catalog: Catalog, table: Readable) -> list[str]:
    keys = [key.name for key in table.stored.partition_keys]
    found: list[tuple[str, ...]]
    if table.stored.kind == Table.kind:
        found = [partition.values for partition in catalog.registered_partitions(table.stored.name)]
    else:
        found = [(value,) for value in catalog.partitions_between(table.stored.name, table.kind, None, None)]
    return ["/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True)) for values in found]
