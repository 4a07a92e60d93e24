"""Whether AWS can have a declared table. Everything is checked before anything is created."""

from collections.abc import Mapping
from typing import Any

from datawarehouse.aws.batch_job import POLICY_CHARACTERS_MAX, code_of, job_policy_characters
from datawarehouse.aws.glue_tables import RUN_KEY, GlueTable, glue_tables_of, staging_of, view_of
from datawarehouse.aws.lateness import lateness_of
from datawarehouse.aws.partitions import check_hours
from datawarehouse.aws.schedules import job_schedule
from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.tables import NAME_CHARACTERS_MAX, BatchInputTable, StreamingInputTable, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DeclarationError
from datawarehouse.sql.insertion import check_sql_job
from datawarehouse.sql.views import schemas_of_warehouse


def check_table(warehouse: str, table: Table, declared: Warehouse, given: Mapping[str, Any]) -> None:
    """Raises DeclarationError if AWS cannot have a table of a declaration. warehouse, given: the name and the arguments
    of the deployed warehouse."""
    if isinstance(table, BatchInputTable):
        if table.rerun_when_event_hour_changes:
            raise DeclarationError(
                f"Table {table.name!r}: rerun_when_event_hour_changes cannot be given on AWS, where it is not known "
                "which hours of event time a late object changes. Next: leave it out; rerun_when_late=True runs the "
                "job again for hours of arrival that got rows after it had run for them."
            )
        job_schedule(table, declared.get_table, given["is_dev"])
        _check_job(warehouse, table, declared)
    longest = max(map(len, _names_of(table)))
    if longest > NAME_CHARACTERS_MAX:
        raise DeclarationError(
            f"Table {table.name!r}: on AWS one of its Glue tables has a name of {longest} characters; "
            f"Glue takes {NAME_CHARACTERS_MAX}. Choose a shorter name."
        )
    taken = {name: other.name for other in declared.tables() for name in _names_of(other)[1:]}
    for name in declared.list_tables():
        if name in taken:
            raise DeclarationError(
                f"The table name {name!r} is already used on AWS, for a table that belongs to {taken[name]!r}. "
                "Choose another name."
            )
    if isinstance(table, StreamingInputTable):
        check_hours(table, "partition_projection_start" in given)


def checked_views(declared: Warehouse) -> list[GlueTable]:
    """The Glue tables of the views of a declaration. Raises DeclarationError for one that cannot be read, or that has
    the name of another Glue table."""
    schemas = schemas_of_warehouse(declared)
    taken = {name: other.name for other in declared.tables() for name in _names_of(other)[1:]}
    for view in declared.views():
        if view.name in taken:
            raise DeclarationError(
                f"The view name {view.name!r} is already used on AWS, for a table that belongs to "
                f"{taken[view.name]!r}. Choose another name."
            )
    return [view_of(schemas[view.name]) for view in declared.views()]


def readable_views(table: BatchInputTable, declared: Warehouse) -> list[str]:
    """The views that a job may read: of those that are declared, the ones of its own table and of those in `reads`."""
    views = [each for each in schemas_of_warehouse(declared).values() if each.statement] if declared.views() else []
    return [view.name for view in views if view.below <= {*table.reads, table.name}]


def _names_of(table: Table) -> list[str]:
    """The names of all Glue tables that a declared table needs; the first is its own."""
    measured = lateness_of(table) if isinstance(table, StreamingInputTable) else None
    return [*(each.name for each in glue_tables_of(table)), *([measured.name] if measured else [])]


def _check_job(warehouse: str, table: BatchInputTable, declared: Warehouse) -> None:
    code_of(table)
    if isinstance(table.job, SqlJob):
        check_sql_job(table, table.job, schemas_of_warehouse(declared), declared.name)
    if staging_of(table) and any(column.name == RUN_KEY for column in table.columns):
        raise DeclarationError(
            f"Table {table.name!r}: the column name {RUN_KEY!r} is already used on AWS, for runs whose rows are "
            "converted to Parquet. Choose another name."
        )
    reads = [declared.get_table(name) for name in table.reads]
    characters = job_policy_characters(warehouse, table, reads, readable_views(table, declared))
    if characters > POLICY_CHARACTERS_MAX:
        raise DeclarationError(
            f"Table {table.name!r}: with {len(table.reads)} tables in reads, the policy of its job has about "
            f"{characters} characters; IAM takes {POLICY_CHARACTERS_MAX} (a role's inline policies). Name fewer "
            "tables, or leave reads out: the job may then read all of the warehouse."
        )
