"""Results of Athena's API: pages of GetQueryResults, and the file that a client finds on S3.

The registry keeps the pieces of `query.athena_form`. A page is made of them: a token says in which piece it begins,
and at which row of that. The file is these pieces as they are; of a statement that is no query it is text with tabs.

Source: Amazon Athena API reference, GetQueryResults; Amazon Athena user guide, "Working with query results".
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from datawarehouse.query.registry import Query, QueryRegistry
from datawarehouse.server.athena_executions import Execution
from datawarehouse.server.athena_statements import Kind
from datawarehouse.server.aws_json import INVALID, ServiceError

PAGE_ROWS_MAX = 1000
_PAGE_BYTES = 4 * 1024 * 1024  # a page that was made of so many bytes ends, whatever rows were asked for
_COLUMNS, _NAMES, _ROWS = 0, 1, 2  # the pieces that these are, or begin with
_CELL = re.compile(r'("[^"]*(?:""[^"]*)*"|)[,\n]')
_TOKEN = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_READ_BYTES = 1024 * 1024
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the MD5 of no bytes

Cell = str
"""A value as CSV has it: in quotes; NULL is empty."""


async def page(registry: QueryRegistry, execution: Execution, token: Any, rows_max: int) -> dict[str, Any]:
    """A page of a result that is complete. Raises ServiceError, or UnknownQuery if it is no longer kept."""
    query = execution.query
    if not query.is_over:
        raise ServiceError(INVALID, f"Query has not yet finished. Current state: {execution.state}")
    if query.error or query.result is None:
        raise ServiceError(INVALID, f"Query did not finish successfully. Final query state: {execution.state}")
    pieces = len(query.result.ends)
    piece, at = _begin(token, pieces, execution.kind.has_names)
    columns = await registry.page(query, _COLUMNS)
    width = _width(columns)
    rows: list[list[Cell]] = []
    size = 0
    while piece < pieces and len(rows) < rows_max and size < _PAGE_BYTES:
        read = await registry.page(query, piece)
        found = rows_of(read, width)
        taken = found[at : at + rows_max - len(rows)]
        rows += taken
        size += len(read)
        at += len(taken)
        if at >= len(found):
            piece, at = piece + 1, 0
    answer: dict[str, Any] = {
        "UpdateCount": 0,
        "ResultSet": {
            "Rows": [{"Data": [_datum(cell) for cell in row]} for row in rows],
            "ResultSetMetadata": {"ColumnInfo": _told(columns, execution.kind)},
        },
    }
    if piece < pieces:
        answer["NextToken"] = f"{piece}.{at}"
    return answer


def _told(columns: bytes, kind: Kind) -> Any:
    """The columns as Athena tells them: statements that are no queries have texts alone, without a length."""
    if kind.has_names:
        return msgspec.Raw(columns)
    found = msgspec.json.decode(columns)
    for column in found:
        column |= {"Type": "string", "Precision": 0, "CaseSensitive": False}
    return found


def _begin(token: Any, pieces: int, has_names: bool) -> tuple[int, int]:
    if token is None:
        return (_NAMES if has_names else _ROWS), 0
    found = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if not found or not _NAMES <= int(found[1]) < pieces:
        raise ServiceError(INVALID, f"Invalid NextToken {token!r}")
    return int(found[1]), int(found[2])


def rows_of(piece: bytes, width: int) -> list[list[Cell]]:
    """The rows of lines of CSV. width: how many columns they have."""
    cells = _CELL.findall(piece.decode())
    return [cells[at : at + width] for at in range(0, len(cells), width)]


def _width(columns: bytes) -> int:
    return columns.count(b'"CatalogName":')


def _datum(cell: Cell) -> dict[str, str]:
    return {"VarCharValue": _value(cell)} if cell else {}


def _value(cell: Cell) -> str:
    return cell[1:-1].replace('""', '"')


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
        if execution.state == "SUCCEEDED" and execution.query.result and execution.location:
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
    assert execution.query.result
    width = _width(await registry.page(execution.query, _COLUMNS))
    lines = []
    for piece in range(_ROWS, len(execution.query.result.ends)):
        rows = rows_of(await registry.page(execution.query, piece), width)
        lines += ["\t".join(map(_value, row)) + "\n" for row in rows]
    return "".join(lines).encode()
