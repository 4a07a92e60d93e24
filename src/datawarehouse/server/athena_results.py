"""Results of Athena's API: pages of GetQueryResults, and the file that a client finds on S3.

The registry keeps the pieces of `query.athena_form`. A page is made of them: a token says in which piece it begins,
and at which row of that. The file is these pieces as they are; of a statement that is no query it is text with tabs.

Source: Amazon Athena API reference, GetQueryResults; Amazon Athena user guide, "Working with query results".
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from datawarehouse.query.registry import Query, QueryRegistry, unknown
from datawarehouse.server.athena_executions import Execution
from datawarehouse.server.athena_statements import Kind
from datawarehouse.server.aws_json import INVALID, ServiceError

PAGE_ROWS_MAX = 1000
_PAGE_BYTES = 4 * 1024 * 1024  # a page that was made of so many bytes ends, whatever rows were asked for
_COLUMNS, _NAMES, _ROWS = 0, 1, 2  # the pieces that these are, or begin with
_CONTROL = re.compile(rb"[\x00-\x1f]")
_TOKEN = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_READ_BYTES = 1024 * 1024
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the MD5 of no bytes

_ROW, _END, _NULL, _VALUE = b'{"Data":[', b"]}", b"{}", b'{"VarCharValue":"'
_SEPARATED = {ord(","): b",", ord("\n"): _END + b"\n" + _ROW}


async def page(registry: QueryRegistry, execution: Execution, token: Any, rows_max: int) -> dict[str, Any]:
    """A page of a result that is complete. Raises ServiceError, or UnknownQuery if it is no longer kept."""
    query = execution.query
    if not query.is_over:
        raise ServiceError(INVALID, f"Query has not yet finished. Current state: {execution.state}")
    if query.error or query.result is None:
        raise ServiceError(INVALID, f"Query did not finish successfully. Final query state: {execution.state}")
    pieces = len(query.result.ends)
    if query.update:
        return _changed(*(await _read(registry, query, _COLUMNS, _ROWS))[::2])
    piece, at = _begin(token, pieces, execution.kind.has_names)
    held: dict[int, bytes] = {}
    if execution.told is None:
        held = dict(enumerate(await _read(registry, query, _COLUMNS, min(_ROWS, pieces - 1))))
        execution.told = _told(held[_COLUMNS], execution.kind)
    rows: list[bytes] = []
    size = 0
    while piece < pieces and len(rows) < rows_max and size < _PAGE_BYTES:
        read = held.get(piece) or (await _read(registry, query, piece, piece))[0]
        found = rows_of(read)
        taken = found[at : at + rows_max - len(rows)]
        rows += taken
        size += len(read)
        at += len(taken)
        if at >= len(found):
            piece, at = piece + 1, 0
    answer: dict[str, Any] = {
        "UpdateCount": 0,
        "ResultSet": {
            "Rows": msgspec.Raw(b"[" + b",".join(rows) + b"]"),
            "ResultSetMetadata": {"ColumnInfo": msgspec.Raw(execution.told)},
        },
    }
    if piece < pieces:
        answer["NextToken"] = f"{piece}.{at}"
    return answer


async def _read(registry: QueryRegistry, query: Query, first: int, last: int) -> list[bytes]:
    """The pieces from one to another, read at once. Raises UnknownQuery."""
    if query.result is None:
        raise unknown(query.id)
    ends = [query.result.ends[first - 1] if first else 0, *query.result.ends[first : last + 1]]
    octets = await registry.octets(query, ends[0], ends[-1])
    return [octets[begin - ends[0] : end - ends[0]] for begin, end in itertools.pairwise(ends)]


def _changed(columns: bytes, line: bytes) -> dict[str, Any]:
    """What is told of a statement that writes: how many rows it has written, if it is one that writes rows."""
    value = line.strip(b'"\n')
    is_counted = value.isdigit()
    metadata = {"ColumnInfo": msgspec.Raw(columns if is_counted else b"[]")}
    answer: dict[str, Any] = {"ResultSet": {"Rows": [], "ResultSetMetadata": metadata}}
    return {"UpdateCount": int(value), **answer} if is_counted else answer


def _told(columns: bytes, kind: Kind) -> bytes:
    """The columns as Athena tells them: statements that are no queries have texts alone, without a length."""
    if kind.has_names:
        return columns
    found = msgspec.json.decode(columns)
    for column in found:
        column |= {"Type": "string", "Precision": 0, "CaseSensitive": False}
    return msgspec.json.encode(found)


def _begin(token: Any, pieces: int, has_names: bool) -> tuple[int, int]:
    if token is None:
        return (_NAMES if has_names else _ROWS), 0
    found = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if not found or not _NAMES <= int(found[1]) < pieces:
        raise ServiceError(INVALID, f"Invalid NextToken {token!r}")
    return int(found[1]), int(found[2])


def rows_of(piece: bytes) -> list[bytes]:
    """The rows of lines of CSV, each as JSON: {"Data":[{"VarCharValue":"a"},{}]}.

    Quotes cut a piece into what is between values and what is in them, in turn; nothing between values is a quote in
    one. What is between values is nearly always the same, and becomes what is between them in JSON.
    """
    parts = piece.split(b'"')
    texts = b'"'.join(parts[1::2])
    if b"\\" in texts or _CONTROL.search(texts):
        texts = _CONTROL.sub(lambda found: b"\\u%04x" % found[0][0], texts.replace(b"\\", b"\\\\"))
        parts[1::2] = texts.split(b'"')
    parts[-1] = parts[-1][:-1]  # the last line has no other behind it
    if len(parts) == 1:
        parts = [_NULL + _separated(parts[0]) + _NULL if parts[0] else _NULL]
    else:
        between = {each: b'"}' + _separated(each) + _VALUE if each else b'\\"' for each in set(parts[2:-1:2])}
        parts[2:-1:2] = [between[each] for each in parts[2:-1:2]]
        parts[0] = (_NULL + _separated(parts[0]) if parts[0] else b"") + _VALUE
        parts[-1] = b'"}' + (_separated(parts[-1]) + _NULL if parts[-1] else b"")
    return (_ROW + b"".join(parts) + _END).split(b"\n")


def _separated(separators: bytes) -> bytes:
    """What is between values in JSON, with NULL where two separators follow each other."""
    return _NULL.join([_SEPARATED[each] for each in separators])


# -- files


@dataclass(frozen=True, slots=True)
class ResultObject:
    """The file of a result. size: in bytes."""

    bucket: str
    key: str
    size: int
    etag: str
    modified_ms: int
    read: Callable[[int, int], AsyncIterator[bytes]]
    """Gives the bytes from the first number on, without those from the second one on. Raises UnknownQuery if the result
    has gone meanwhile."""


async def result_objects(registry: QueryRegistry, executions: Iterable[Execution]) -> list[ResultObject]:
    """The files of those that have one: `<id>.csv` or `<id>.txt`, and the same with `.metadata`, which is empty."""
    found: list[ResultObject] = []
    for execution in executions:
        has_file = execution.location and execution.kind.suffix
        if execution.state == "SUCCEEDED" and execution.query.result and has_file:
            found += await _objects(registry, execution)
    return found


async def _objects(registry: QueryRegistry, execution: Execution) -> list[ResultObject]:
    query = execution.query
    assert query.result
    bucket, _, key = (execution.location.removeprefix("s3://") + execution.file_name).partition("/")
    first, last = query.result.ends[_COLUMNS], query.result.ends[-1]
    modified_ms, etag = query.ended_ms or 0, query.id.replace("-", "")
    if execution.kind.has_names:
        size, read = last - first, partial(_octets, registry, query, first)
    else:
        text = await _tabbed(registry, execution)
        size, read = len(text), partial(_part, text)
    return [
        ResultObject(bucket, key, size, etag, modified_ms, read),
        ResultObject(bucket, f"{key}.metadata", 0, _EMPTY, modified_ms, partial(_part, b"")),
    ]


async def _octets(registry: QueryRegistry, query: Query, first: int, begin: int, end: int) -> AsyncIterator[bytes]:
    for at in range(begin, end, _READ_BYTES):
        yield await registry.octets(query, first + at, first + min(end, at + _READ_BYTES))


async def _part(text: bytes, begin: int, end: int) -> AsyncIterator[bytes]:
    yield text[begin:end]


async def _tabbed(registry: QueryRegistry, execution: Execution) -> bytes:
    """What a statement that is no query told, as text: a tab between the columns, and no names."""
    query, lines = execution.query, []
    assert query.result
    for piece in range(_ROWS, 0 if query.update else len(query.result.ends)):
        for row in rows_of(await registry.page(query, piece)):
            data = msgspec.json.decode(row)["Data"]
            lines.append("\t".join(datum.get("VarCharValue", "") for datum in data) + "\n")
    return "".join(lines).encode()
