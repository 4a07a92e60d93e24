"""How late the events of a deployed table come, as its hourly job has counted them, and the statements that are refused
for what is not known of event time on AWS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from datawarehouse.definition.lateness import counted
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import (
    BadRequest,
    DataWarehouseError,
    DeclarationError,
    QueryError,
    QueryFailed,
    ScanRefused,
)
from datawarehouse.operate.clients import Clients, error_code
from datawarehouse.operate.deployment import DeployedTable, Deployment
from datawarehouse.operate.statements import PEOPLE, Question, answer
from datawarehouse.query.lateness import Lateness
from datawarehouse.sql.arrival import refusal_of, tables_to_measure
from datawarehouse.sql.plan import TableSchema, plan
from datawarehouse.sql.statement import tables_named


def measured_by_hour(deployment: Deployment, clients: Clients, name: str, now_ms: int) -> dict[str, Lateness]:
    """The lateness of each of the last 168 hours of arrival that have events and are measured, in order.

    Raises UnknownName, and BadRequest for a table without event time.
    """
    table = deployment.streaming(name)
    if table.event_time is None:
        having = ", ".join(sorted(repr(each.name) for each in deployment.tables.values() if each.event_time)) or "none"
        raise BadRequest(
            f"Table {name!r} is deployed without event_time, so that it is not known when its events happened; those "
            f"with one are {having}. Declare it, and run `pulumi up`."
        )
    found: dict[str, Lateness] = {}
    for hours, events, arrived in _rows(deployment, clients, table, now_ms, PEOPLE, by_hour=True):
        _count(found.setdefault(arrived, Lateness()), hours, events)
    return dict(sorted(found.items()))


def check_event_time(
    deployment: Deployment,
    clients: Clients,
    sql: str,
    parameters: Sequence[str],
    now_ms: int,
    workgroup: str = PEOPLE,
) -> bool:
    """Whether it is known what a statement asks for; False for one that only Athena reads, and that names a table with
    event time.

    Raises ScanRefused, with one that may run, for a statement that bounds only event time: Athena would read all hours,
    or the caller might leave some out without knowing what is missed.
    """
    timed = {table.name for table in deployment.tables.values() if table.event_time}
    try:
        named = tables_named(sql) if timed else set()
    except QueryError:
        return not any(name in sql.lower() for name in timed)
    if not timed & named:
        return True
    glue = clients("glue")
    try:
        schemas = {name: schema for name in sorted(named) if (schema := _schema(deployment, glue, name))}
        planned = partial(plan, tables=schemas, database=deployment.database, parameters=parameters, now_ms=now_ms)
        wanted = tables_to_measure(planned(sql), schemas, now_ms)
    except (QueryError, BadRequest, DeclarationError):
        return False
    lateness = {
        name: _observed(deployment, clients, deployment.tables[name], now_ms, workgroup) for name in sorted(wanted)
    }
    if refusal := refusal_of(sql, planned, schemas, lateness, now_ms):
        raise ScanRefused(str(refusal))
    return True


def explained(
    deployment: Deployment, clients: Clients, asked: Question, now_ms: int, refused: ScanRefused
) -> ScanRefused:
    """The refusal of a guarded workgroup. Its gateway knows nothing of event time, and proposes the last hours: where
    nothing but a bound of arrival is missing, and the caller may read the catalog, ours is told instead."""
    try:
        check_event_time(deployment, clients, asked.sql, asked.parameters, now_ms, asked.workgroup)
    except ScanRefused as ours:
        return ours
    except (ClientError, DataWarehouseError):
        return refused
    return refused


def _observed(
    deployment: Deployment, clients: Clients, table: DeployedTable, now_ms: int, workgroup: str
) -> Counter[int]:
    found = Lateness()
    for hours, events in _rows(deployment, clients, table, now_ms, workgroup, by_hour=False):
        _count(found, hours, events)
    return found.by_hours


def _count(found: Lateness, hours: int | None, events: int) -> None:
    if hours is None:
        found.without += events
    else:
        found.by_hours[hours] += events


def _rows(
    deployment: Deployment, clients: Clients, table: DeployedTable, now_ms: int, workgroup: str, *, by_hour: bool
) -> Any:
    """The counts of the job: lateness, events and, if wanted, the hour of arrival."""
    sql = counted(table.name, str(table.event_time), now_ms, by_hour=by_hour)
    try:
        return answer(deployment, clients, Question(sql, (), workgroup), lambda rows: None).result
    except (QueryFailed, ScanRefused) as error:
        raise QueryFailed(f"How late the events of {table.name} come could not be read: {error}") from None


def _schema(deployment: Deployment, glue: Any, name: str) -> TableSchema | None:
    """A table as SQL sees it; None if there is none. In Iceberg the hour is one of the columns. Raises DeclarationError
    for a type that only Glue knows."""
    try:
        found: Mapping[str, Any] = glue.get_table(DatabaseName=deployment.database, Name=name)["Table"]
    except ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        return None
    columns = [Column(each["Name"], parse_type(each["Type"])) for each in found["StorageDescriptor"]["Columns"]]
    keys = [Column(each["Name"], parse_type(each["Type"])) for each in found.get("PartitionKeys", [])]
    table = deployment.tables.get(name)
    if table is None or table.hours is None:
        return TableSchema(name, tuple(columns), tuple(keys))
    keys = keys or [column for column in columns if column.name == table.hours]
    rest = tuple(column for column in columns if column not in keys)
    return TableSchema(name, rest, tuple(keys), table.hours, table.event_time)
