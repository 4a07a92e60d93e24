"""Statements of a guarded workgroup: asked of the gateway, which decides and starts them (`functions/gateway.py`)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore import exceptions as known

from datawarehouse.errors import BadRequest, DataWarehouseError, rebuilt
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import Deployment
from datawarehouse.operate.runs import called

_ANSWER_S = 310
"""The function has 300 s."""
_LOST_TRIES_MAX = 3


@dataclass(frozen=True, slots=True)
class Decided:
    """What the guard says. values: as JSON has it; text: for people. not_counted: the tables that the estimate leaves
    out, since it is not known what is stored of them."""

    values: Mapping[str, Any]
    text: str
    not_counted: Sequence[str]


class Gateway:
    """The gateway of a deployed warehouse, for one of its guarded workgroups. Raises BadRequest if that has none.

    A call whose answer is lost is repeated with the same token, so that no statement is started twice.
    """

    def __init__(self, deployment: Deployment, clients: Clients, workgroup: str) -> None:
        if workgroup not in deployment.gateway:
            behind = ", ".join(sorted(deployment.gateway)) or "none"
            raise BadRequest(
                f"On AWS nothing guards the workgroup {workgroup!r}; guarded are {behind}. Declare it, "
                f"with_workgroup({workgroup!r}, require_partition_filter=True), and run `pulumi up`."
            )
        self._function, self._workgroup = deployment.gateway[workgroup], workgroup
        self._caller = clients.once("lambda", connect_timeout=10, read_timeout=_ANSWER_S)

    def start(self, sql: str, parameters: Sequence[str], *, full_scan: bool) -> str:
        """Start a statement, and return the id of its query. Raises ScanRefused, and what planning raises."""
        return str(self._asked(sql, parameters, full_scan, uuid.uuid4().hex)["query_execution_id"])

    def decide(self, sql: str, parameters: Sequence[str], *, full_scan: bool) -> Decided:
        """What the guard says to a statement, which is not run. Raises what planning raises."""
        answer = self._asked(sql, parameters, full_scan, "")
        return Decided(answer["decision"], answer["text"], answer["not_counted"])

    def _asked(self, sql: str, parameters: Sequence[str], full_scan: bool, token: str) -> Mapping[str, Any]:
        question = {
            "workgroup": self._workgroup,
            "sql": sql,
            "parameters": list(parameters),
            "full_scan": full_scan,
            "token": token,
        }
        told = self._told(json.dumps(question))
        if error := told.get("error"):
            raise rebuilt(error["kind"], error["message"], error["attributes"])
        return told

    def _told(self, question: str) -> Mapping[str, Any]:
        """The answer of the function, which is called again if it is lost."""
        tried = 0
        while True:
            tried += 1
            try:
                answer = called(self._caller, self._function, question)
                told = json.loads(answer["Payload"].read() or "null")
                break
            except (known.ConnectionError, known.HTTPClientError, known.IncompleteReadError):
                if tried == _LOST_TRIES_MAX:
                    raise
        if answer.get("FunctionError") or not isinstance(told, dict):
            raise DataWarehouseError(f"The gateway {self._function!r} failed: {told}. Its log says more.")
        return told
