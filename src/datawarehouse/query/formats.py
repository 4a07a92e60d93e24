"""An answer -> bytes in the requested format, batch by batch."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.errors import QueryFailed
from datawarehouse.query import athena_form, messages, trino_form
from datawarehouse.query.names import distinct
from datawarehouse.query.result import csv_row
from datawarehouse.query.texts import csv_lines, inside, json_lines
from datawarehouse.sql.types import Type

_PART_BYTES_MAX = 4 * 1024 * 1024  # of Arrow and of names: what is written of it takes a few times as much
_GROUP_BYTES = 32 * 1024 * 1024  # of Arrow, in a group of rows of a Parquet file
_AROUND_BYTES = 9  # "":false,


def encoded(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], form: str, kinds: Sequence[Type] = ()
) -> Iterator[bytes]:
    """The pieces of an answer in a format of messages.CONTENT_TYPES, or in messages.TRINO or ATHENA, for which `kinds`
    are the types of the columns. JSON is one array of objects, Parquet one
    file.

    Raises QueryFailed for a value that has no text, and what the batches raise.
    """
    match form:
        case "ndjson":
            names = distinct(schema.names)
            for part in _parts(batches):
                yield json_lines(part, names, "", "\n")
        case "json":
            yield from _json(schema, batches)
        case "csv":
            yield csv_row(schema.names).encode()
            for part in _parts(batches):
                yield csv_lines(part)
        case messages.TRINO:
            yield trino_form.columns(schema.names, kinds)
            yield from trino_form.pages(kinds, _parts(batches))
        case messages.ATHENA:
            yield from athena_form.pieces(schema.names, kinds, _parts(batches))
        case "rows":
            yield trino_form.columns(schema.names, kinds) + b"\n"
            for page in trino_form.pages(kinds, _parts(batches)):
                yield page + b"\n"
        case "parquet":
            yield from _parquet(schema, batches)
        case _:
            yield from _arrow(schema, batches)


def _json(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    names, separator, is_first = distinct(schema.names), ",\n", True
    for part in _parts(batches):
        rows = json_lines(part, names, separator, "")
        if rows:
            yield b"[" + rows[len(separator) :] if is_first else rows
            is_first = False
    yield b"[]\n" if is_first else b"]\n"


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, in batches of a bounded size (a single row may be larger), none of them empty."""
    for batch in batches:
        rest = [batch] if batch.num_rows else []
        while rest:
            part = rest.pop()
            if part.num_rows > 1 and part.nbytes + _bytes_of_names(part) > _PART_BYTES_MAX:
                half = part.num_rows // 2
                rest += [part.slice(half), part.slice(0, half)]
            else:
                yield part


def _bytes_of_names(part: pa.RecordBatch) -> int:
    """What JSON has around the values of rows: for many small values that is nearly all of it."""
    return sum(
        part.num_rows * (len(name) + _AROUND_BYTES) + _bytes_inside(column)
        for name, column in zip(part.schema.names, part.columns, strict=True)
    )


def _bytes_inside(column: pa.Array) -> int:
    kind = column.type
    if pa.types.is_struct(kind):
        names = sum(len(field.name) + _AROUND_BYTES for field in kind)
        return len(column) * names + sum(_bytes_inside(column.field(at)) for at in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _bytes_inside(inside(column, column.items))
    if pa.types.is_list(kind):
        return _bytes_inside(inside(column, column.values))
    return 0


def _arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What was written and not taken yet, and how much was written in all, which a Parquet file is made of."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        self._written += len(self.pieces[-1])
        return len(self.pieces[-1])

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """A group of rows at a time."""
    sink = _Sink()
    try:
        with pq.ParquetWriter(sink, schema) as writer:
            for group in _groups(batches):
                writer.write_table(pa.Table.from_batches(group, schema))
                yield sink.taken()
    except pa.ArrowNotImplementedError as error:
        raise QueryFailed(f"The result has a column that Parquet has no type for ({error}). Cast it.") from None
    yield sink.taken()


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """The same batches, some together, so that what is read of a file is read in large pieces."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(each.nbytes for each in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group
