"""Athena's API, JSON 1.1, over the registry of queries: for clients that know Athena, unmodified.

1. StartQueryExecution gives the statement to the registry and returns; the same token gives the same execution.
2. The first GetQueryExecution waits for the end, for a little less than the second after which clients ask again.
3. GetQueryResults gives pages of a result that is complete.

What a key may do is checked where a query is ordered, as at every door; a key sees its own executions.

Source: Amazon Athena API reference, 2017-05-18. Not served are operations that change a catalog, notebooks and Spark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import uuid4

import msgspec

from datawarehouse.catalog.history import TEXT_CHARACTERS_MAX
from datawarehouse.clock import Clock
from datawarehouse.errors import AccessDenied
from datawarehouse.query.messages import ATHENA
from datawarehouse.query.registry import QueryRegistry
from datawarehouse.server import athena_results, aws_json
from datawarehouse.server.athena_catalog import AthenaCatalog
from datawarehouse.server.athena_executions import Execution, Executions
from datawarehouse.server.athena_named import NamedQueries
from datawarehouse.server.athena_prepared import PreparedStatements
from datawarehouse.server.athena_results import PAGE_ROWS_MAX
from datawarehouse.server.athena_statements import PARAMETERS_MAX
from datawarehouse.server.athena_workgroups import RESULTS, Workgroups
from datawarehouse.server.aws_json import INVALID, Arguments, ServiceError, text_of
from datawarehouse.server.bodies import QueryBody
from datawarehouse.server.http import Request, Response
from datawarehouse.server.live_files import BUCKET
from datawarehouse.server.query import order_of, who_asks

_FIRST_WAIT_S = 0.9
_BATCH_MAX = 50
_STATEMENT_BYTES_MAX = 262_144
_LOCATION = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/.*)?")
_NOT_SERVED = (
    "This endpoint starts queries, gives results, keeps statements, and tells of workgroups, tables and databases."
)


@dataclass(slots=True)
class Athena:
    registry: QueryRegistry
    workgroups: Workgroups
    catalog: AthenaCatalog
    named: NamedQueries
    clock: Clock
    executions: Executions = field(init=False)
    prepared: PreparedStatements = field(init=False)
    _operations: dict[str, aws_json.Operation] = field(init=False)

    def __post_init__(self) -> None:
        self.executions = Executions(self.registry)
        self.prepared = PreparedStatements(self.workgroups, self.clock)
        self._operations = {
            "StartQueryExecution": self._start,
            "GetQueryExecution": self._get,
            "BatchGetQueryExecution": self._batch_get,
            "ListQueryExecutions": self._list,
            "StopQueryExecution": self._stop,
            "GetQueryResults": self._results,
            "GetQueryRuntimeStatistics": self._statistics,
            **self.workgroups.operations(),
            **self.catalog.operations(),
            **self.prepared.operations(),
            **self.named.operations(),
        }

    async def handle(self, request: Request, body: bytes) -> Response:
        """Answer one call. Raises DataWarehouseError; see `aws_json.failure`."""
        if not request.identity.rights.may_query:
            _, _, operation = request.header(b"x-amz-target").partition(".")
            raise AccessDenied(
                f"You are not authorized to perform: athena:{operation} on the resource. The key "
                f"{request.identity.name!r} does not have the right 'query', which this needs."
            )
        return await aws_json.answered(request, body, self._operations, _NOT_SERVED)

    # -- queries

    async def _start(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        identity, who = request.identity, who_asks(request.identity)
        sql = text_of(given, "QueryString")
        if not sql.strip() or len(sql.encode()) > _STATEMENT_BYTES_MAX:
            raise ServiceError(INVALID, f"QueryString has 1 to {_STATEMENT_BYTES_MAX} bytes.")
        token, digest = given.get("ClientRequestToken") or "", sha256(msgspec.json.encode(given)).digest()
        if not isinstance(token, str):
            raise ServiceError(INVALID, "ClientRequestToken is a text.")
        database, session = await self.catalog.place_of(identity, given.get("QueryExecutionContext") or {})
        # From here on nothing waits: a repetition that comes meanwhile would start a second query.
        if token and (found := self.executions.repeated(who, token, digest)):
            return {"QueryExecutionId": found.query.id}
        workgroup = self.workgroups.chosen(identity, given.get("WorkGroup"))
        parameters = given.get("ExecutionParameters") or []
        if not isinstance(parameters, list) or not all(isinstance(each, str) for each in parameters):
            raise ServiceError(INVALID, "ExecutionParameters are a list of texts.")
        size = sum(map(len, parameters))
        if len(parameters) > PARAMETERS_MAX or size > _STATEMENT_BYTES_MAX:
            most = f"{PARAMETERS_MAX} ExecutionParameters, which have {_STATEMENT_BYTES_MAX} characters together"
            raise ServiceError(INVALID, f"There are up to {most}.")
        location = "" if workgroup.is_managed else _location(given)
        statement, kind = self.prepared.changed(workgroup.own_name, sql, parameters)
        order = order_of(QueryBody(statement, format=ATHENA, workgroup=workgroup.own_name), identity, session)
        query = self.registry.submit(order, who, str(uuid4()))
        told = parameters if size <= TEXT_CHARACTERS_MAX else []
        text, age_min = sql[:TEXT_CHARACTERS_MAX], _reuse_age_min(given)
        self.executions.add(Execution(query, text, kind, workgroup, location, database, told, age_min, token, digest))
        return {"QueryExecutionId": query.id}

    async def _get(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        execution = self.executions.get(request.identity, given.get("QueryExecutionId"))
        if not execution.was_asked_for:
            execution.was_asked_for = True
            await execution.query.wait(lambda: execution.query.is_over, _FIRST_WAIT_S)
        return {"QueryExecution": execution.document()}

    async def _batch_get(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        ids = given.get("QueryExecutionIds")
        if not isinstance(ids, list) or not 1 <= len(ids) <= _BATCH_MAX:
            raise ServiceError(INVALID, f"QueryExecutionIds are 1 to {_BATCH_MAX} ids.")
        found, missing = [], []
        for id in ids:
            try:
                found.append(self.executions.get(request.identity, id).document())
            except ServiceError as error:
                missing.append({"QueryExecutionId": str(id), "ErrorCode": error.code, "ErrorMessage": error.message})
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    async def _list(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        workgroup = self.workgroups.chosen(request.identity, given.get("WorkGroup"))
        seen = [
            each.query.id
            for each in self.executions.seen_by(request.identity)
            if each.workgroup.own_name == workgroup.own_name
        ]
        ids, token = aws_json.page(seen[::-1], given, 50)
        return {"QueryExecutionIds": ids, **token}

    async def _stop(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        execution = self.executions.get(request.identity, given.get("QueryExecutionId"))
        self.registry.end(execution.query, f"{who_asks(request.identity)} asked for that")
        return {}

    async def _results(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        execution = self.executions.get(request.identity, given.get("QueryExecutionId"))
        most = given.get("MaxResults")
        if most is not None and (type(most) is not int or not 1 <= most <= PAGE_ROWS_MAX):
            raise ServiceError(INVALID, f"MaxResults is {most!r}; valid is a whole number from 1 to {PAGE_ROWS_MAX}.")
        return await athena_results.page(self.registry, execution, given.get("NextToken"), most or PAGE_ROWS_MAX)

    async def _statistics(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        execution = self.executions.get(request.identity, given.get("QueryExecutionId"))
        query, timeline = execution.query, execution.statistics()
        size = query.result.size if query.result else 0
        rows = {"InputRows": 0, "InputBytes": query.bytes, "OutputRows": query.rows, "OutputBytes": size}
        keep = [name for name in timeline if name.endswith("InMillis")]
        return {"QueryRuntimeStatistics": {"Timeline": {name: timeline[name] for name in keep}, "Rows": rows}}


def _reuse_age_min(given: Arguments) -> int | None:
    """How many minutes old an earlier result may be that the client would take; None if it takes none."""
    match given.get("ResultReuseConfiguration"):
        case {"ResultReuseByAgeConfiguration": {"Enabled": True, **more}}:
            age = more.get("MaxAgeInMinutes")
            return age if type(age) is int else 60
        case _:
            return None


def _location(given: Arguments) -> str:
    """The folder of the result, with a slash behind."""
    configuration = given.get("ResultConfiguration") or {}
    if not isinstance(configuration, dict):
        raise ServiceError(INVALID, "ResultConfiguration is an object.")
    location = configuration.get("OutputLocation") or RESULTS
    if not isinstance(location, str) or not _LOCATION.fullmatch(location):
        raise ServiceError(INVALID, f"outputLocation {location!r} is not a valid S3 path: s3://bucket/folder/ is one.")
    if location.partition("//")[2].partition("/")[0] == BUCKET:
        raise ServiceError(INVALID, f"The bucket {BUCKET} has the files of tables alone. Name another one for results.")
    return location if location.endswith("/") else f"{location}/"
