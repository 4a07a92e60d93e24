"""What is in a data file that is open: its rows as Python values, or the same rows with newer columns.

A file that is open can be read to its end, also when its owner deletes it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow.parquet as pq

from datawarehouse.definition.tables import Column
from datawarehouse.parquet.files import ROW_GROUP_ROWS, conform
from datawarehouse.parquet.schema import arrow_schema

_ROWS_AT_ONCE = 10_000


def rows_in(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The rows, with the values of Python; a map is a dict."""
    with pq.ParquetFile(file, page_checksum_verification=True) as source:
        for batch in source.iter_batches(batch_size=_ROWS_AT_ONCE):
            yield from batch.to_pylist(maps_as_pydicts="strict")


def write_with_columns(file: IO[bytes], target: IO[bytes], columns: Sequence[Column]) -> None:
    """Write the rows of a file to another one, with these columns: missing ones are NULL, narrower types are cast."""
    schema = arrow_schema(columns)
    with (
        pq.ParquetFile(file, page_checksum_verification=True) as source,
        pq.ParquetWriter(target, schema, compression="zstd", compression_level=1, write_page_checksum=True) as writer,
    ):
        for batch in source.iter_batches(batch_size=ROW_GROUP_ROWS):
            writer.write_batch(conform(batch, schema), row_group_size=ROW_GROUP_ROWS)
