"""Converts between a data file as it was published and as the catalog stores it."""

from __future__ import annotations

from datawarehouse.catalog.records import File
from datawarehouse.parquet.footer import DataFile, Footer


def stored_file(file: DataFile, compacted: str | None = None) -> File:
    """A published file as the catalog stores it."""
    footer = file.footer
    return File(
        footer.table,
        footer.kind,
        footer.partition,
        file.path,
        footer.schema_version,
        footer.spans,
        footer.records,
        footer.rows,
        file.bytes,
        compacted=compacted,
        digest=file.digest,
        inode=file.inode,
        modified_ns=file.modified_ns,
        event_times=footer.event_times,
    )


def data_file(file: File) -> DataFile:
    """A file of the catalog as it was published."""
    footer = Footer(
        file.table,
        file.kind,
        file.partition,
        file.spans,
        file.records,
        file.rows,
        file.schema_version,
        event_times=file.event_times,
    )
    return DataFile(file.path, file.bytes, footer, file.digest, file.inode, file.modified_ns)
