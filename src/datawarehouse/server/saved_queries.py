"""/v1/saved-queries: statements that people keep by a name, in the data folder; each key has its own."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from datawarehouse.access.identity import Identity
from datawarehouse.clock import Clock
from datawarehouse.definition.instants import written
from datawarehouse.durable import LOCAL_DISK, replace
from datawarehouse.errors import BadRequest, FolderError
from datawarehouse.server.bodies import SavedQueryBody
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.openapi import no_route
from datawarehouse.server.query import who_asks

PATH = "/v1/saved-queries"
OF_ONE_MAX, OF_ALL_MAX = 200, 2000
SQL_CHARACTERS_MAX, NAME_CHARACTERS_MAX = 65_536, 100
_BODY_BYTES_MAX = 16 * SQL_CHARACTERS_MAX
_NAME = re.compile(rf"{PATH}/([^/]+)")

log = logging.getLogger("datawarehouse")


class Saved(msgspec.Struct, frozen=True):
    """A statement that somebody keeps."""

    who: str
    name: str
    sql: str
    saved_ms: int

    def values(self) -> dict[str, Any]:
        return {"name": self.name, "sql": self.sql, "saved_at": written(self.saved_ms)}


@dataclass(slots=True)
class SavedQueries:
    """path: the file, which is read anew each time. executor: where it is read and written."""

    path: Path
    executor: Executor
    clock: Clock
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def route(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Answer a request below PATH. Raises BadRequest, or FolderError if the file cannot be written."""
        loop = asyncio.get_running_loop()
        who = who_asks(request.identity)
        found = _NAME.fullmatch(request.path)
        match request.method:
            case "GET" if request.path == PATH:
                kept = await loop.run_in_executor(self.executor, self._of, who)
                return json_response(200, {"queries": [each.values() for each in kept]})
            case "PUT" if found:
                request.body_bytes_max = _BODY_BYTES_MAX
                saved = _checked(request.identity, found[1], await body(), self.clock.now_ms())
                await loop.run_in_executor(self.executor, self._put, saved)
                return json_response(200, saved.values())
            case "DELETE" if found:
                is_removed = await loop.run_in_executor(self.executor, self._remove, who, found[1])
                return json_response(200, {"removed": is_removed})
            case _:
                return no_route(request)

    def _of(self, who: str) -> list[Saved]:
        return sorted((each for each in self._read() if each.who == who), key=lambda each: each.name.lower())

    def _put(self, saved: Saved) -> None:
        with self.lock:
            kept = [each for each in self._read() if (each.who, each.name) != (saved.who, saved.name)]
            own = sum(each.who == saved.who for each in kept)
            if own >= OF_ONE_MAX or len(kept) >= OF_ALL_MAX:
                most = f"{OF_ONE_MAX} queries are kept for one, and {OF_ALL_MAX} in all"
                raise BadRequest(f"{most}, and no more. Remove one, or save under a name that there is.")
            self._write([*kept, saved])

    def _remove(self, who: str, name: str) -> bool:
        with self.lock:
            there = self._read()
            kept = [each for each in there if (each.who, each.name) != (who, name)]
            if len(kept) < len(there):
                self._write(kept)
        return len(kept) < len(there)

    def _read(self) -> list[Saved]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[Saved])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FolderError(
                f"The saved queries in {self.path} cannot be read: {error}. Nothing was changed. Put the file right, "
                "or move it away to begin anew."
            ) from None

    def _write(self, kept: list[Saved]) -> None:
        try:
            self.path.parent.mkdir(exist_ok=True)
            replace(LOCAL_DISK, self.path, msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
        except OSError as error:
            raise FolderError(f"The saved queries in {self.path} cannot be written: {error.strerror}.") from None


def _checked(identity: Identity, name: str, body: bytes, now_ms: int) -> Saved:
    try:
        asked = msgspec.json.decode(body, type=SavedQueryBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f'The body does not have the required form, {{"sql": "select ..."}}: {error}.') from None
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable() or not name.strip():
        raise BadRequest(f"The name is {name[:200]!r}; valid are up to {NAME_CHARACTERS_MAX} printable characters.")
    if len(asked.sql) > SQL_CHARACTERS_MAX:
        raise BadRequest(f"The statement has {len(asked.sql)} characters; valid are up to {SQL_CHARACTERS_MAX}.")
    return Saved(who_asks(identity), name, asked.sql, now_ms)
