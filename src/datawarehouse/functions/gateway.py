"""The handler of the Lambda function through which statements of guarded workgroups go to Athena.

1. Read which tables there are in the Glue catalog.
2. Plan the statement and decide, as the embedded host does (`sql`; pure), by the partitions of the catalog and the
   sizes of their objects. The time of the statement is that of the call.
3. If it is permitted, start it in Athena as it was written, in the workgroup, and answer with its id. Its result is
   fetched by the caller.

The caller's token goes to Athena with the statement: a call that is repeated, since its answer was lost, starts nothing
new. Between the decision and the query, files may come in; Athena ends it at the limit of its workgroup.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datawarehouse.definition.gateway import WORKGROUPS
from datawarehouse.definition.workgroups import Workgroup, for_a_full_scan
from datawarehouse.errors import BadRequest, DataWarehouseError, QueryRefused, ScanRefused, Throttled
from datawarehouse.functions.athena import Athena, as_sql, not_started
from datawarehouse.functions.clients import THROTTLED, ClientError, client, error_code
from datawarehouse.functions.logs import log
from datawarehouse.functions.readable import Database, read_database
from datawarehouse.functions.run_job import LambdaContext
from datawarehouse.functions.stored import StoredSizes
from datawarehouse.sql.guard import Decision, decide
from datawarehouse.sql.plan import plan
from datawarehouse.sql.statement import tables_named

TOKEN_CHARACTERS = (32, 128)
"""Amazon Athena API reference, StartQueryExecution, ClientRequestToken."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement and how it is to be run. parameters: the texts for its `?`. token: the caller's name for the call, 32
    to 128 characters; "" for a dry run, which only decides."""

    workgroup: str
    sql: str
    parameters: tuple[str, ...]
    full_scan: bool
    token: str


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The decision as `Decision.values()` has it, its text, the tables whose files are not in the estimate, and the id
    of the query, None for a dry run.

    An error of ours is answered as {"error": {"kind": its class, "message": ..., "attributes": ...}}; so is a refusal,
    but for a dry run. Errors of AWS are told in the same way.
    """
    try:
        asked = _asked(event)
        with_log = partial(log, "a statement", workgroup=asked.workgroup, sql=asked.sql, full_scan=asked.full_scan)
        try:
            answer = _answer(asked, context)
        except (DataWarehouseError, ClientError) as error:
            with_log(outcome="refused", error=f"{type(error).__name__}: {error}")
            raise
        with_log(outcome="started" if asked.token else "decided", id=answer["query_execution_id"], **answer["decision"])
        return answer
    except DataWarehouseError as error:
        return _told(error)
    except ClientError as error:
        message = f"The gateway's {error.operation_name} was refused: {error}."
        return _told(Throttled(message) if error_code(error) in THROTTLED else DataWarehouseError(message))


def _told(error: DataWarehouseError) -> dict[str, Any]:
    return {"error": {"kind": type(error).__name__, "message": str(error), "attributes": vars(error)}}


def _asked(event: Mapping[str, Any]) -> Asked:
    """Raises BadRequest."""
    valid = {"workgroup": str, "sql": str, "parameters": list, "full_scan": bool, "token": str}
    for name, kind in valid.items():
        if not isinstance(event.get(name), kind):
            raise BadRequest(f"{name} is {event.get(name)!r}; valid is a {kind.__name__}.")
    if not all(isinstance(value, str) for value in event["parameters"]):
        raise BadRequest(f"parameters are {event['parameters']!r}; valid is a list of texts.")
    if event["token"] and not TOKEN_CHARACTERS[0] <= len(event["token"]) <= TOKEN_CHARACTERS[1]:
        raise BadRequest(f"token has {len(event['token'])} characters; valid are 32 to 128, or none for a dry run.")
    return Asked(event["workgroup"], event["sql"], tuple(event["parameters"]), event["full_scan"], event["token"])


def _answer(asked: Asked, context: LambdaContext) -> dict[str, Any]:
    workgroup, name = _workgroup(asked.workgroup)
    if asked.full_scan:
        workgroup = for_a_full_scan(workgroup)
    decision, not_counted = _decided(asked, workgroup, context)
    if not asked.token:
        return _answered(decision, not_counted, None)
    if not decision.is_allowed:
        raise ScanRefused(str(decision))
    results = f"{os.environ['DW_RESULTS']}/{asked.workgroup}/"
    athena = Athena(client("athena"), os.environ["DW_DATABASE"], name, results, context.get_remaining_time_in_millis)
    try:
        return _answered(decision, not_counted, athena.start(asked.sql, asked.parameters, asked.token))
    except ClientError as error:
        raise not_started(error) or error from None


def _answered(decision: Decision, not_counted: set[str], id: str | None) -> dict[str, Any]:
    return {
        "decision": decision.values(),
        "text": str(decision),
        "not_counted": sorted(not_counted),
        "query_execution_id": id,
    }


def _workgroup(name: str) -> tuple[Workgroup, str]:
    """(what it permits, its name in Athena). Raises BadRequest for one that is not guarded."""
    known = json.loads((Path(os.environ["LAMBDA_TASK_ROOT"]) / WORKGROUPS).read_text(encoding="utf-8"))
    if name not in known:
        raise BadRequest(f"There is no guarded workgroup {name!r}; there are {', '.join(known)}.")
    return Workgroup(name, **known[name]["permits"]), known[name]["athena"]


def _decided(asked: Asked, workgroup: Workgroup, context: LambdaContext) -> tuple[Decision, set[str]]:
    """The decision, and the tables of which is not known how much would be read."""
    for value in asked.parameters:
        as_sql(value)  # raises what Athena would not take
    name, now_ms = os.environ["DW_DATABASE"], time.time_ns() // 1_000_000
    glue = client("glue")
    database = read_database(glue, name, os.environ["DW_BUCKET"])
    _check_names(asked.sql, database)
    schemas = database.schemas
    planned = partial(plan, tables=schemas, database=name, parameters=asked.parameters, now_ms=now_ms)
    sizes = StoredSizes(glue, client("s3"), database.tables, now_ms, context.get_remaining_time_in_millis)
    return decide(asked.sql, planned, schemas, workgroup, sizes.of, now_ms), sizes.not_counted


def _check_names(sql: str, database: Database) -> None:
    """Raises QueryRefused if a statement names a table of which is not known what it would read."""
    for name in sorted(tables_named(sql) & database.others.keys()):
        raise QueryRefused(f"{name!r} {database.others[name]}. A guarded workgroup does not read it.")
