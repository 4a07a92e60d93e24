"""Prepared statements of Athena's API: texts that a workgroup keeps by name, until this server ends.

Source: Amazon Athena API reference, CreatePreparedStatement; Amazon Athena user guide, "Use parameterized queries".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datawarehouse.clock import Clock
from datawarehouse.errors import BadRequest
from datawarehouse.server import aws_json
from datawarehouse.server.athena_statements import Kind, deallocated, kind_of, meant, prepared
from datawarehouse.server.athena_workgroups import Workgroups
from datawarehouse.server.aws_json import INVALID, Arguments, ServiceError, text_of
from datawarehouse.server.http import Request

STATEMENTS_MAX = 1000
"""Of a workgroup (Amazon Athena user guide, "Service Quotas")."""
CHARACTERS_MAX = 4 * 1024 * 1024
_NOTHING = "select 1 where false"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_@:]{0,255}")
_PER_PAGE = 50
_DESCRIPTION_CHARACTERS_MAX = 1024
_MISSING = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class _Statement:
    text: str
    description: str
    changed_s: float


class PreparedStatements:
    def __init__(self, workgroups: Workgroups, clock: Clock) -> None:
        self._workgroups = workgroups
        self._clock = clock
        self._found: dict[str, dict[str, _Statement]] = {}
        """By workgroup and name."""

    def operations(self) -> dict[str, aws_json.Operation]:
        return {
            "CreatePreparedStatement": self._create,
            "UpdatePreparedStatement": self._update,
            "GetPreparedStatement": self._get,
            "BatchGetPreparedStatement": self._batch_get,
            "ListPreparedStatements": self._list,
            "DeletePreparedStatement": self._delete,
        }

    def changed(self, workgroup: str, sql: str, parameters: Sequence[str]) -> tuple[str, Kind]:
        """The statement to run, and what the one that came is to Athena: EXECUTE is what it executes. A statement that
        prepares or forgets one does that, and becomes one without rows. Raises BadRequest or ServiceError."""
        if found := prepared(sql):
            self._keep(workgroup, *found, "")
            return _NOTHING, kind_of(sql)
        if name := deallocated(sql):
            self._remove(workgroup, name)
            return _NOTHING, kind_of(sql)
        statement = meant(sql, {name: each.text for name, each in self._of(workgroup).items()}, parameters)
        return statement, kind_of(statement)

    def _of(self, workgroup: str) -> dict[str, _Statement]:
        return self._found.setdefault(workgroup, {})

    def _keep(self, workgroup: str, name: str, text: str, description: str) -> None:
        statements = self._of(workgroup)
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"The name {name!r} of a prepared statement is not valid: letters, digits and _, @, : are."
            )
        if name not in statements and len(statements) >= STATEMENTS_MAX:
            raise BadRequest(f"The workgroup has {STATEMENTS_MAX} prepared statements already. Delete some.")
        others = sum(len(each.text) for other, each in statements.items() if other != name)
        if others + len(text) > CHARACTERS_MAX:
            raise BadRequest(f"The prepared statements of a workgroup have up to {CHARACTERS_MAX} characters together.")
        statements[name] = _Statement(text, description, self._clock.now_ms() / 1000)

    def _remove(self, workgroup: str, name: str) -> None:
        if name not in self._of(workgroup):
            raise _missing(name)
        del self._of(workgroup)[name]

    def _workgroup(self, request: Request, given: Arguments) -> str:
        return self._workgroups.chosen(request.identity, given.get("WorkGroup")).own_name

    async def _create(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        workgroup, name = self._workgroup(request, given), text_of(given, "StatementName")
        if name in self._of(workgroup):
            raise ServiceError(INVALID, f"Prepared statement {name} already exists")
        self._keep(workgroup, name, text_of(given, "QueryStatement"), _description(given))
        return {}

    async def _update(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        workgroup, name = self._workgroup(request, given), text_of(given, "StatementName")
        if name not in self._of(workgroup):
            raise _missing(name)
        self._keep(workgroup, name, text_of(given, "QueryStatement"), _description(given))
        return {}

    async def _get(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        workgroup, name = self._workgroup(request, given), text_of(given, "StatementName")
        if name not in self._of(workgroup):
            raise _missing(name)
        return {"PreparedStatement": _document(name, self._of(workgroup)[name], given)}

    async def _batch_get(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        statements, names = self._of(self._workgroup(request, given)), given.get("PreparedStatementNames")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > _PER_PAGE:
            raise ServiceError(INVALID, f"PreparedStatementNames are a list of texts, {_PER_PAGE} at most.")
        missing = [
            {"StatementName": name, "ErrorCode": _MISSING, "ErrorMessage": _missing(name).message}
            for name in names
            if name not in statements
        ]
        found = [_document(name, statements[name], given) for name in names if name in statements]
        return {"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}

    async def _list(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        statements = self._of(self._workgroup(request, given))
        names, token = aws_json.page(sorted(statements), given, _PER_PAGE)
        return {
            "PreparedStatements": [
                {"StatementName": name, "LastModifiedTime": statements[name].changed_s} for name in names
            ],
            **token,
        }

    async def _delete(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        self._remove(self._workgroup(request, given), text_of(given, "StatementName"))
        return {}


def _description(given: Arguments) -> str:
    return str(given.get("Description") or "")[:_DESCRIPTION_CHARACTERS_MAX]


def _document(name: str, statement: _Statement, given: Arguments) -> dict[str, Any]:
    return {
        "StatementName": name,
        "QueryStatement": statement.text,
        "WorkGroupName": given.get("WorkGroup"),
        "Description": statement.description,
        "LastModifiedTime": statement.changed_s,
    }


def _missing(name: str) -> ServiceError:
    return ServiceError(_MISSING, f"PreparedStatement {name} was not found in workGroup")
