"""Data files: written under a temporary name, then published under their own name, with a footer that says what they
hold.

Fresh files are written fast and read soon (Snappy, no dictionaries, no statistics); merged files are written once and
read often (Zstandard level 1, with both). Each page has a checksum, and each file a digest; both are checked before
other files are made of its rows, so that damage is never written anew. Row groups have about 120,000 rows, which
measured best for scans of one column and of all columns (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.definition.event_times import EventTimes
from datawarehouse.definition.tables import Column
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, publish
from datawarehouse.parquet.digest import check_digest, digest_of
from datawarehouse.parquet.event_times import counted
from datawarehouse.parquet.footer import DataFile, Footer, folder_for, joined
from datawarehouse.parquet.schema import arrow_type, column_type

ROW_GROUP_ROWS = 120_000
FOOTER_KEY = b"datawarehouse"


class Lake:
    """The folder that contains the tables' folders of data files: a data folder here, a bucket on AWS."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made: set[Path] = set()

    def write(
        self,
        name: str,
        schema: pa.Schema,
        tables: Iterable[pa.Table],
        footer: Footer,
        *,
        merged: bool,
        event_time: str | None = None,
    ) -> DataFile:
        """Publish a file of these rows in the folder of its partition. event_time: a column by whose hours its footer
        counts the rows."""
        folder = self.root / folder_for(footer.table, footer.kind, footer.partition)
        if folder not in self._made:
            make_folder(LOCAL_DISK, self.root, folder)
            self._made.add(folder)
        target = folder / f"{name}.parquet"
        aside = target.with_name(target.name + ASIDE_SUFFIX)
        times = EventTimes(event_time, 0, ()) if event_time else None
        try:
            with pq.ParquetWriter(
                aside,
                schema,
                compression="zstd" if merged else "snappy",
                compression_level=1 if merged else None,
                use_dictionary=merged,
                write_statistics=merged,
                write_page_checksum=True,
            ) as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
                    times = counted(times, table) if times else None
                footer = msgspec.structs.replace(footer, event_times=times)
                writer.add_key_value_metadata({FOOTER_KEY: msgspec.json.encode(footer)})
            digest = digest_of(aside)
            publish(LOCAL_DISK, aside, target)
            found = target.stat()
        except BaseException:
            aside.unlink(missing_ok=True)  # important when the disk is full
            raise
        path = str(target.relative_to(self.root))
        return DataFile(path, found.st_size, footer, digest, found.st_ino, found.st_mtime_ns)

    def merge(
        self,
        name: str,
        files: Sequence[DataFile],
        schema: pa.Schema,
        schema_version: int,
        sort_by: Sequence[str] = (),
        event_time: str | None = None,
    ) -> DataFile:
        """Publish one file with the rows of several of one partition. The sources stay.

        sort_by: columns to order the rows by (NULLs last); all rows are in memory while they are ordered.
        """
        first = files[0].footer
        footer = Footer(
            table=first.table,
            kind=first.kind,
            partition=first.partition,
            spans=joined([span for file in files for span in file.footer.spans]),
            records=sum(file.footer.records for file in files),
            rows=sum(file.footer.rows for file in files),
            schema_version=schema_version,
            replaces=[file.path for file in files],
            deduplicated=sum(self._deduplicated(file) for file in files),
        )
        tables = self._row_groups(files, schema)
        if sort_by:
            tables = _sorted(pa.concat_tables(tables), sort_by)
        return self.write(name, schema, tables, footer, merged=True, event_time=event_time)

    def deduplicate(
        self,
        name: str,
        files: Sequence[DataFile],
        schema: pa.Schema,
        schema_version: int,
        key: str,
        event_time: str | None = None,
    ) -> tuple[list[tuple[str, DataFile]], int]:
        """Publish new files without duplicates: rows whose `key` was in an earlier row are left out.

        The result: for each file that had duplicates, (path of the old file, the new file); and how many rows were left
        out. A new file may be without rows: its footer says where its records are. NULLs are not duplicates of each
        other. The sources stay; all keys are in memory.
        """
        import pyarrow.compute as pc

        repeated = _repeated(pa.concat_tables([self._key_column(file, schema, key) for file in files])[key])
        replaced: list[tuple[str, DataFile]] = []
        removed = start = 0
        for number, file in enumerate(files):
            here = repeated.slice(start, file.footer.rows)
            start += file.footer.rows
            extra = pc.sum(here).as_py() or 0
            if not extra:
                continue
            removed += extra
            new = self._without(f"{name}-{number:04d}", file, schema, schema_version, here, event_time)
            replaced.append((file.path, new))
        return replaced, removed

    def _key_column(self, file: DataFile, schema: pa.Schema, key: str) -> pa.Table:
        only = pa.schema([schema.field(key)])
        with self._open(file) as source:
            if key not in source.schema_arrow.names:  # a file of an older schema
                return pa.table({key: pa.nulls(file.footer.rows, only.field(0).type)})
            return pa.Table.from_batches([conform(batch, only) for batch in source.iter_batches(columns=[key])], only)

    def _without(
        self,
        name: str,
        file: DataFile,
        schema: pa.Schema,
        schema_version: int,
        leave_out: pa.ChunkedArray,
        event_time: str | None,
    ) -> DataFile:
        import pyarrow.compute as pc

        gone = pc.sum(leave_out).as_py() or 0
        footer = msgspec.structs.replace(
            file.footer,
            rows=file.footer.rows - gone,
            schema_version=schema_version,
            replaces=[file.path],
            deduplicated=self._deduplicated(file) + gone,
        )
        keep = pc.invert(leave_out)

        def tables() -> Iterator[pa.Table]:
            start = 0
            for table in self._row_groups([file], schema):
                yield table.filter(keep.slice(start, table.num_rows))
                start += table.num_rows

        return self.write(name, schema, tables(), footer, merged=True, event_time=event_time)

    def _deduplicated(self, file: DataFile) -> int:
        """What the footer of a source says, which the catalog does not know."""
        try:
            footer = read_footer(self.root / file.path)
        except (OSError, pa.ArrowException):
            return 0  # reading its rows raises FileDamaged, before anything is published
        return footer.deduplicated if footer else 0

    def _open(self, file: DataFile) -> pq.ParquetFile:
        """A file to read, whose bytes are those that were written. Raises FileDamaged."""
        path = self.root / file.path
        check_digest(path, file.footer.table, file.path, file.digest)
        return pq.ParquetFile(path, page_checksum_verification=True)

    def _row_groups(self, files: Sequence[DataFile], schema: pa.Schema) -> Iterator[pa.Table]:
        """The rows of files, in tables of about a row group; an empty one if there are no rows."""
        waiting: list[pa.RecordBatch] = []
        rows, has_rows = 0, False
        for file in files:
            with self._open(file) as source:
                for batch in source.iter_batches(batch_size=ROW_GROUP_ROWS):
                    waiting.append(conform(batch, schema))
                    rows += batch.num_rows
                    if rows >= ROW_GROUP_ROWS:
                        yield pa.Table.from_batches(waiting, schema)
                        waiting, rows, has_rows = [], 0, True
        if waiting or not has_rows:
            yield pa.Table.from_batches(waiting, schema)


_LARGE = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


def _sorted(table: pa.Table, by: Sequence[str]) -> Iterator[pa.Table]:
    """The rows in order, NULLs last, equal rows in their old order; in pieces of a row group."""
    import pyarrow.compute as pc

    # One array of strings holds at most 2 GiB, and Arrow takes rows from one array only.
    kinds = [field.with_type(_LARGE.get(field.type, field.type)) for field in table.schema]
    whole = table.cast(pa.schema(kinds)).combine_chunks()
    order = pc.sort_indices(whole, [(name, "ascending") for name in by])
    for start in range(0, len(order), ROW_GROUP_ROWS):
        yield whole.take(order.slice(start, ROW_GROUP_ROWS)).cast(table.schema)


def _repeated(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """For each value, whether an equal value comes before it."""
    import pyarrow.compute as pc

    places = pa.array(np.arange(len(values)))
    firsts = pa.table({"value": values, "place": places}).group_by("value").aggregate([("place", "min")])["place_min"]
    repeated = np.ones(len(values), dtype=bool)
    repeated[firsts.to_numpy()] = False
    return pc.and_(pa.chunked_array([pa.array(repeated)]), pc.is_valid(values))


def read_footer(path: Path) -> Footer | None:
    """The footer of a data file; None if it is a Parquet file that this package did not write.

    Raises OSError, or ArrowException if it is not, or no longer, what it should be.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
        return msgspec.json.decode(metadata[FOOTER_KEY], type=Footer) if FOOTER_KEY in metadata else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise pa.ArrowInvalid(f"the footer is damaged: {error}") from None


def problem_of(path: Path) -> str:
    """What is wrong with the pages of a data file, by their own checksums; empty if nothing is."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(batch_size=ROW_GROUP_ROWS):
                continue
    except (OSError, pa.ArrowException):
        return "its bytes are not those that were written"
    return ""


def columns_in(path: Path, declared: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of a data file; of those that are declared with another type that is stored in the same way, the type
    that is declared."""
    types = {column.name: column.type for column in declared}
    found = []
    for field in pq.read_schema(path):
        kind = types.get(field.name)
        fits = kind is not None and arrow_type(kind).equals(field.type)
        found.append(Column(field.name, kind if kind is not None and fits else column_type(field.type)))
    return tuple(found)


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the columns of a newer schema: missing columns are NULL, narrower types are cast."""
    arrays = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        arrays.append(pa.nulls(batch.num_rows, field.type) if at < 0 else _conformed(batch.column(at), field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _conformed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type.equals(kind):
        return array
    if pa.types.is_nested(kind):  # rare: a field was added inside a struct
        return pa.array(array.to_pylist(), kind)
    return array.cast(kind)
