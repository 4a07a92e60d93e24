"""An answer -> bytes in the requested format, batch by batch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.query.engine import QueryAnswer
from datawarehouse.query.result import csv_row, json_rows, tuples


def write_parquet(table: pa.Table, out: IO[bytes]) -> None:
    """A result as one Parquet file."""
    pq.write_table(table, out)


def encoded(answer: QueryAnswer, form: str) -> Iterator[bytes]:
    """The pieces of an answer in a format of messages.CONTENT_TYPES. JSON is one array of objects."""
    match form:
        case "ndjson":
            for batch in answer.batches:
                yield b"".join(row + b"\n" for row in json_rows(batch))
        case "json":
            before = b"["
            for batch in answer.batches:
                rows = list(json_rows(batch))
                if rows:
                    yield before + b",\n".join(rows)
                    before = b",\n"
            yield b"]\n" if before != b"[" else b"[]\n"
        case "csv":
            yield csv_row(answer.schema.names).encode()
            for batch in answer.batches:
                yield "".join(map(csv_row, tuples(batch))).encode()
        case _:
            yield from _arrow(answer)


def _arrow(answer: QueryAnswer) -> Iterator[bytes]:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        for batch in answer.batches:
            writer.write_batch(batch)
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    """The bytes that were written since the last call."""
    written = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return written
