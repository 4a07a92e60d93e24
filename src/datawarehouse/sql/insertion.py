"""The statement of a job in SQL, checked against the table that it fills. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.tables import QUARANTINE_SUFFIX, BatchInputTable, Column, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, DeclarationError, QueryError
from datawarehouse.sql import types
from datawarehouse.sql.plan import Plan, plan
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.statement import qualified_names
from datawarehouse.sql.views import schemas_of_warehouse

_ANY_TIME_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def check_sql_jobs(warehouse: Warehouse) -> None:
    """Check the statements of all jobs in SQL; raises DeclarationError, which names the table and what does not fit."""
    schemas = schemas_of_warehouse(warehouse)
    for table in warehouse.tables():
        if isinstance(table, BatchInputTable) and isinstance(table.job, SqlJob):
            check_sql_job(table, table.job, schemas, warehouse.name)


def check_sql_job(table: BatchInputTable, job: SqlJob, schemas: Mapping[str, TableSchema], database: str) -> None:
    """Raises DeclarationError if Athena would refuse the statement, or its result does not fit the table's columns.
    schemas: what it may name. In the place of a view it reads the tables below that."""
    planned = _planned(table.name, job, schemas, database)
    read = {scan.table.removesuffix(QUARANTINE_SUFFIX) for scan in planned.scans}
    unnamed = sorted(read - set(table.reads))
    if table.reads and unnamed:
        raise DeclarationError(
            f"Table {table.name!r}: its sql reads {unnamed[0]!r}{_through(job, unnamed[0], schemas)}, which is not in "
            f"reads; there are {', '.join(map(repr, table.reads))}."
        )
    _check_columns(table, planned)


def _through(job: SqlJob, table: str, schemas: Mapping[str, TableSchema]) -> str:
    """By which view a statement reads a table, if it does not name it."""
    named = {name for _, name in qualified_names(job.bound(_ANY_TIME_MS))}
    views = [view for view in sorted(named & schemas.keys()) if table in schemas[view].below]
    return f" through the view {views[0]!r}" if views and table not in named else ""


def insertion(columns: Iterable[Column], statement: str) -> str:
    """A statement whose columns are those of a table, in its order and of its types."""
    cast = ", ".join(
        f'CAST("{column.name}" AS {types.of_column(column.type)}) AS "{column.name}"' for column in columns
    )
    return f"SELECT {cast} FROM (\n{statement}\n)"


def _planned(name: str, job: SqlJob, schemas: Mapping[str, TableSchema], database: str) -> Plan:
    statement = job.bound(_ANY_TIME_MS)
    try:
        planned = plan(statement, schemas, database)
    except (QueryError, BadRequest) as error:
        raise DeclarationError(f"Table {name!r}: its sql cannot run: {error}") from None
    if planned.kind != "select":
        raise DeclarationError(f"Table {name!r}: its sql is not a SELECT, whose rows would be those of the table.")
    return planned


def _check_columns(table: Table, planned: Plan) -> None:
    """A column of the result has the name of a declared column, and a type that the declared one holds."""
    names = [name.lower() for name in planned.column_names]
    declared = {column.name: types.of_column(column.type) for column in table.columns}
    for name, given in zip(names, planned.column_names, strict=True):
        if name not in declared:
            raise DeclarationError(
                f"Table {table.name!r}: its sql gives {given!r}, which is not a column; there are "
                f"{', '.join(declared)}. Name each result column with AS."
            )
        if names.count(name) > 1:
            raise DeclarationError(f"Table {table.name!r}: its sql has two columns named {given!r}; leave one out.")
    found = dict(zip(names, planned.types, strict=True))
    for name, kind in declared.items():
        if name not in found:
            raise DeclarationError(
                f"Table {table.name!r}: its sql does not give the column {name!r}; write cast(null as {kind}) as "
                f"{name} if it has no value."
            )
        if not types.coerces(found[name], kind):
            raise DeclarationError(
                f"Table {table.name!r}: its sql gives {name!r} as {found[name]}, and the column is {kind}; write "
                f"cast(... as {kind}) as {name}."
            )
