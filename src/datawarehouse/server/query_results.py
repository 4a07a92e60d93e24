"""The files of results of Athena's API as the objects of buckets, read only.

A client says into which bucket and folder a result is to go. A bucket is there for whoever has a result in it, and the
one of results whose client names none is there for all who may query; each sees its own results.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from datawarehouse.access.identity import Identity
from datawarehouse.server.athena import Athena
from datawarehouse.server.athena_executions import Execution
from datawarehouse.server.athena_results import ResultObject, result_objects
from datawarehouse.server.athena_workgroups import RESULTS
from datawarehouse.server.objects import Listed, Lister, Object

_OF_NOBODY = RESULTS.removeprefix("s3://").strip("/")
_CONTENT_TYPE = "application/octet-stream"


def result_buckets(athena: Athena, identity: Identity) -> list[ResultBucket]:
    """Those that are there for an identity."""
    if not identity.rights.may_query:
        return []
    names = {_OF_NOBODY, *(_bucket(each) for each in athena.executions.seen_by(identity) if each.location)}
    return [ResultBucket(name, athena) for name in sorted(names)]


@dataclass(frozen=True, slots=True)
class ResultBucket:
    name: str
    athena: Athena

    def refusal(self, identity: Identity, key: str) -> str:
        return ""  # each sees its own results, and that is all that is here

    async def lister(self, identity: Identity, prefix: str) -> Lister:
        mine = [each for each in self._mine(identity) if _path(each).startswith(prefix)]
        found = sorted(Listed(each.key, each.size, _etag(each), each.modified_ms) for each in await self._objects(mine))

        def listed(prefix: str, after: str, limit: int) -> list[Listed]:
            return [each for each in found if each.key.startswith(prefix) and each.key > after][:limit]

        return listed

    def ends_whole(self, last: Listed, following: Listed) -> bool:
        return True

    async def find(self, identity: Identity, key: str) -> Object | None:
        mine = [each for each in self._mine(identity) if key.startswith(_path(each))]
        for each in await self._objects(mine):
            if each.key == key:
                return _object(each)
        return None

    def _mine(self, identity: Identity) -> list[Execution]:
        seen = self.athena.executions.seen_by(identity)
        return [each for each in seen if each.location and _bucket(each) == self.name]

    async def _objects(self, executions: Iterable[Execution]) -> list[ResultObject]:
        return await result_objects(self.athena.registry, executions)


def _object(found: ResultObject) -> Object:
    async def read(begin: int, end: int) -> AsyncGenerator[bytes]:
        async for piece in found.read(begin, end):
            yield piece

    async def opened(begin: int, end: int) -> AsyncGenerator[bytes]:
        return read(begin, end)

    return Object(found.size, _etag(found), found.modified_ms, _CONTENT_TYPE, opened)


def _etag(found: ResultObject) -> str:
    return f'"{found.etag}-1"'


def _bucket(execution: Execution) -> str:
    return execution.location.removeprefix("s3://").partition("/")[0]


def _path(execution: Execution) -> str:
    """The key of its result."""
    return execution.location.removeprefix("s3://").partition("/")[2] + execution.file_name
