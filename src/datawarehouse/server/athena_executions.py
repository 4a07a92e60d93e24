"""The queries that came by Athena's API: what the registry does not know of them, and what the API says of them.

An execution is forgotten when the registry has forgotten its query, and with it the token by which a client repeats
the request that started it.

Sources: Amazon Athena API reference, QueryExecution; Amazon Athena user guide, "Athena error catalog".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datawarehouse.access.identity import Identity
from datawarehouse.errors import QueryLimitExceeded, Throttled, UnknownQuery
from datawarehouse.query.registry import ENDED, SUCCEEDED, WAITING, Query, QueryRegistry
from datawarehouse.server.athena_statements import Kind
from datawarehouse.server.athena_workgroups import ENGINE, Named
from datawarehouse.server.aws_json import INVALID, ServiceError
from datawarehouse.server.query import may_see
from datawarehouse.server.trino_errors import error_of

_INVALID_ID = "INVALID_QUERY_EXECUTION_ID"
_STOPPED = "Query cancelled by user"
_FORGET_FROM = 100  # so many are not looked through at each start of a query
_SYSTEM, _USER = 1, 2
_INTERNAL_ERROR, _USER_ERROR = 100, 1000
_OF_LIMITS = {"query_time_max_s": (_USER, 206), "query_memory_bytes_max": (_USER, 0)}


@dataclass(slots=True, eq=False)
class Execution:
    """sql: as the client wrote it. location: the folder of its result, with a slash behind; "" if nobody named one.
    reuse_age_min: how old an earlier result may be that the client would take; none is used. request: the digest of
    what it sent, to tell a repetition of it from another request with its token.
    """

    query: Query
    sql: str
    kind: Kind
    workgroup: Named
    location: str
    database: str
    parameters: list[str]
    reuse_age_min: int | None
    token: str
    request: bytes
    was_asked_for: bool = False
    told: bytes | None = None
    """What GetQueryResults says of its columns, once somebody has asked; see `athena_results`."""

    @property
    def state(self) -> str:
        query = self.query
        if not query.is_over:
            return "QUEUED" if query.state == WAITING else "RUNNING"
        return {SUCCEEDED: "SUCCEEDED", ENDED: "CANCELLED"}.get(query.state, "FAILED")

    @property
    def file_name(self) -> str:
        """Of what writes rows elsewhere there is no file of this name."""
        return f"{self.query.id}{self.kind.suffix or ''}"

    def document(self) -> dict[str, Any]:
        """What GetQueryExecution says of it."""
        query = self.query
        found: dict[str, Any] = {
            "QueryExecutionId": query.id,
            "Query": self.sql,
            "StatementType": self.kind.type,
            "SubstatementType": self.kind.of,
            "QueryExecutionContext": {"Database": self.database, "Catalog": "awsdatacatalog"},
            "Status": self._status(),
            "Statistics": self.statistics(),
            "WorkGroup": self.workgroup.name,
            "EngineVersion": ENGINE,
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": self._reuse()},
        }
        if self.location:
            found["ResultConfiguration"] = {"OutputLocation": self.location + self.file_name}
        else:
            found["ManagedQueryResultsConfiguration"] = {"Enabled": True}
        if self.parameters:
            found["ExecutionParameters"] = self.parameters
        return found

    def _reuse(self) -> dict[str, Any]:
        if self.reuse_age_min is None:
            return {"Enabled": False}
        return {"Enabled": True, "MaxAgeInMinutes": self.reuse_age_min}

    def statistics(self) -> dict[str, Any]:
        """Times in milliseconds; an unfinished query has those so far."""
        query = self.query
        ended_ms = query.ended_ms or query.started_ms or query.asked_ms
        started_ms = query.started_ms or ended_ms
        return {
            "EngineExecutionTimeInMillis": max(1, ended_ms - started_ms),
            "QueryQueueTimeInMillis": max(1, started_ms - query.asked_ms),
            "TotalExecutionTimeInMillis": max(1, ended_ms - query.asked_ms),
            "QueryPlanningTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": 0,
            "DataScannedInBytes": query.bytes,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }

    def _status(self) -> dict[str, Any]:
        query = self.query
        status: dict[str, Any] = {"State": self.state, "SubmissionDateTime": query.asked_ms / 1000}
        if query.ended_ms is not None:
            status["CompletionDateTime"] = query.ended_ms / 1000
        if self.state == "CANCELLED":
            status["StateChangeReason"] = f"{_STOPPED}: {query.ended_because}"
        elif query.error:
            reason, status["AthenaError"] = _error(query.error)
            status["StateChangeReason"] = reason
        return status


def _error(error: Exception) -> tuple[str, dict[str, Any]]:
    """The reason of a failure, and what the API says of it beside that."""
    of_trino = error_of(error)
    reason = f"{of_trino['errorName']}: {of_trino['message']}"
    category, kind = _USER, _USER_ERROR
    if isinstance(error, Throttled):
        reason = f"QUERY_REJECTED: {error}"
    elif isinstance(error, QueryLimitExceeded):
        category, kind = _OF_LIMITS.get(error.limit, (_USER, _USER_ERROR))
    elif of_trino["errorType"] == "INTERNAL_ERROR":
        category, kind = _SYSTEM, _INTERNAL_ERROR
    retryable = bool(getattr(error, "retryable", False))
    return reason, {"ErrorCategory": category, "ErrorType": kind, "Retryable": retryable, "ErrorMessage": reason}


class Executions:
    """Those whose queries the registry has, in the order in which they were asked."""

    def __init__(self, registry: QueryRegistry) -> None:
        self._registry = registry
        self._found: dict[str, Execution] = {}
        self._tokens: dict[tuple[str, str], Execution] = {}
        self._most = _FORGET_FROM

    def add(self, execution: Execution) -> None:
        if len(self._found) >= self._most:
            self._forget()
            self._most = max(_FORGET_FROM, 2 * len(self._found))
        self._found[execution.query.id] = execution
        if execution.token:
            self._tokens[execution.query.who, execution.token] = execution

    def repeated(self, who: str, token: str, request: bytes) -> Execution | None:
        """The execution that a request began whose answer was lost. Raises ServiceError for another request with its
        token."""
        found = self._tokens.get((who, token))
        if found is None or not self._is_known(found):
            return None
        if found.request != request:
            raise ServiceError(INVALID, "Idempotent parameters do not match")
        return found

    def get(self, identity: Identity, id: Any) -> Execution:
        """Raises ServiceError."""
        found = self._found.get(id) if isinstance(id, str) else None
        if found is None or not may_see(identity, found.query) or not self._is_known(found):
            raise ServiceError(INVALID, f"QueryExecution {id} was not found", more={"AthenaErrorCode": _INVALID_ID})
        return found

    def seen_by(self, identity: Identity) -> list[Execution]:
        self._forget()
        return [each for each in self._found.values() if may_see(identity, each.query)]

    def _is_known(self, execution: Execution) -> bool:
        try:
            return self._registry.get(execution.query.id) is execution.query
        except UnknownQuery:
            return False

    def _forget(self) -> None:
        known = {query.id for query in self._registry.all()}
        for execution in [each for each in self._found.values() if each.query.id not in known]:
            del self._found[execution.query.id]
            key = execution.query.who, execution.token
            if self._tokens.get(key) is execution:
                del self._tokens[key]
