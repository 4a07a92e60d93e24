"""Named queries of Athena's API: statements that a workgroup keeps, in the data folder, by ids.

Whoever may use a workgroup sees and changes what is kept there. A request that is repeated with its token keeps one.

Source: Amazon Athena API reference, CreateNamedQuery and NamedQuery.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from datawarehouse.access.identity import Identity
from datawarehouse.durable import LOCAL_DISK, replace
from datawarehouse.errors import FolderError
from datawarehouse.server import aws_json
from datawarehouse.server.athena_workgroups import Workgroups
from datawarehouse.server.aws_json import INVALID, Arguments, ServiceError, text_of
from datawarehouse.server.http import Request

NAMED_MAX = 1000
CHARACTERS_MAX = 4 * 1024 * 1024
"""Of the statements of a workgroup together, as for prepared ones."""
_MOST = {"Name": 128, "Description": 1024, "Database": 255, "QueryString": 262_144}
"""Characters (bytes, of a statement)."""
_BATCH_MAX = _PER_PAGE = 50


class _Named(msgspec.Struct, frozen=True):
    id: str
    workgroup: str
    name: str
    description: str
    database: str
    sql: str
    token: str = ""

    def document(self) -> dict[str, str]:
        return {
            "NamedQueryId": self.id,
            "WorkGroup": self.workgroup,
            "Name": self.name,
            "Description": self.description,
            "Database": self.database,
            "QueryString": self.sql,
        }


@dataclass(slots=True)
class NamedQueries:
    """path: the file, which is read anew each time. executor: where it is read and written."""

    path: Path
    workgroups: Workgroups
    executor: Executor
    lock: threading.Lock = field(default_factory=threading.Lock)

    def operations(self) -> dict[str, aws_json.Operation]:
        return {
            "CreateNamedQuery": self._in_thread(self._create),
            "UpdateNamedQuery": self._in_thread(self._update),
            "GetNamedQuery": self._in_thread(self._get),
            "BatchGetNamedQuery": self._in_thread(self._batch_get),
            "ListNamedQueries": self._in_thread(self._list),
            "DeleteNamedQuery": self._in_thread(self._delete),
        }

    def _in_thread(self, answer: Callable[[Identity, Arguments], Mapping[str, Any]]) -> aws_json.Operation:
        def alone(identity: Identity, given: Arguments) -> Mapping[str, Any]:
            with self.lock:
                return answer(identity, given)

        async def call(request: Request, given: Arguments) -> Mapping[str, Any]:
            return await asyncio.get_running_loop().run_in_executor(self.executor, alone, request.identity, given)

        return call

    def _create(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        workgroup = self.workgroups.chosen(identity, given.get("WorkGroup")).own_name
        name, sql = _checked(given, "Name"), _checked(given, "QueryString")
        database, description = _checked(given, "Database"), _checked(given, "Description", optional=True)
        token = _checked({"Name": given.get("ClientRequestToken")}, "Name", optional=True)
        new = _Named(str(uuid4()), workgroup, name, description, database, sql, token)
        kept = self._read()
        for each in kept:
            if token and (each.workgroup, each.token) == (workgroup, token):
                if msgspec.structs.replace(new, id=each.id) != each:
                    raise ServiceError(INVALID, "Idempotent parameters do not match")
                return {"NamedQueryId": each.id}
        self._write([*kept, new], workgroup)
        return {"NamedQueryId": new.id}

    def _update(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        found, kept = self._one(identity, given.get("NamedQueryId"))
        changed = msgspec.structs.replace(found, name=_checked(given, "Name"), sql=_checked(given, "QueryString"))
        if "Description" in given:
            changed = msgspec.structs.replace(changed, description=_checked(given, "Description", optional=True))
        self._write([changed if each is found else each for each in kept], found.workgroup)
        return {}

    def _get(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        return {"NamedQuery": self._one(identity, given.get("NamedQueryId"))[0].document()}

    def _batch_get(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        ids = given.get("NamedQueryIds")
        if not isinstance(ids, list) or not 1 <= len(ids) <= _BATCH_MAX:
            raise ServiceError(INVALID, f"NamedQueryIds are 1 to {_BATCH_MAX} ids.")
        seen = {each.id: each for each in self._seen(identity)}
        found = [seen[id].document() for id in ids if isinstance(id, str) and id in seen]
        missing = [
            {"NamedQueryId": str(id), "ErrorCode": INVALID, "ErrorMessage": _missing(id).message}
            for id in ids
            if not isinstance(id, str) or id not in seen
        ]
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    def _list(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        workgroup = self.workgroups.chosen(identity, given.get("WorkGroup")).own_name
        kept = [each.id for each in self._read() if each.workgroup == workgroup]
        ids, token = aws_json.page(kept, given, _PER_PAGE)
        return {"NamedQueryIds": ids, **token}

    def _delete(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        found, kept = self._one(identity, given.get("NamedQueryId"))
        self._write([each for each in kept if each is not found], found.workgroup)
        return {}

    def _seen(self, identity: Identity) -> list[_Named]:
        """Those of the workgroups that an identity may use."""
        return [each for each in self._read() if identity.workgroup in ("", each.workgroup)]

    def _one(self, identity: Identity, id: Any) -> tuple[_Named, list[_Named]]:
        """One that an identity sees, and all that are kept. Raises ServiceError."""
        kept = self._read()
        for each in kept:
            if each.id == id and identity.workgroup in ("", each.workgroup):
                return each, kept
        raise _missing(id)

    def _read(self) -> list[_Named]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[_Named])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise FolderError(
                f"The named queries in {self.path} cannot be read: {error}. Nothing was changed. Mend or move the file."
            ) from None

    def _write(self, kept: list[_Named], workgroup: str) -> None:
        """Raises ServiceError if the workgroup would keep too much, or FolderError."""
        own = [each for each in kept if each.workgroup == workgroup]
        if len(own) > NAMED_MAX or sum(len(each.sql) for each in own) > CHARACTERS_MAX:
            most = f"{NAMED_MAX} named queries, whose statements have {CHARACTERS_MAX} characters together"
            raise ServiceError(INVALID, f"A workgroup keeps up to {most}. Delete some.")
        try:
            self.path.parent.mkdir(exist_ok=True)
            replace(LOCAL_DISK, self.path, msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
        except OSError as error:
            raise FolderError(f"The named queries in {self.path} cannot be written: {error.strerror}.") from None


def _checked(given: Arguments, name: str, *, optional: bool = False) -> str:
    """A text of a call, of a size that it can have. Raises ServiceError."""
    value = "" if optional and not given.get(name) else text_of(given, name)
    if len(value.encode()) > _MOST[name]:
        raise ServiceError(INVALID, f"{name} has up to {_MOST[name]} bytes.")
    return value


def _missing(id: Any) -> ServiceError:
    return ServiceError(INVALID, f"NamedQuery {str(id)[:128]} was not found")
