"""The bytes of the objects that `dw push` puts: those of a data file, or what is made of its rows.

A file of Parquet is put as it is, unless it is from before a column got a wider type: then its rows are written with
the present columns, because Athena may not read an older type (docs/guides/deploy-to-aws.md, "Changing tables"). Rows
of a JSON table become lines of JSON, and rejects become Firehose's error documents.

A file is opened, compared with its digest, and then read through the same opening.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO

from datawarehouse.catalog.records import File, StoredTable
from datawarehouse.functions.rows import RowWriter
from datawarehouse.parquet.digest import damaged, digest_of_opened
from datawarehouse.parquet.footer import REJECTS
from datawarehouse.parquet.opened import rows_in, write_with_columns
from datawarehouse.quarantine.documents import error_documents


@contextmanager
def object_of(file: File, stored: StoredTable, lake: Path, database: str) -> Iterator[IO[bytes]]:
    """The bytes of the object that is made of a file, to be read. Raises FileDamaged, BadRequest for a row that JSON
    cannot express."""
    with _opened(file, lake) as source:
        if file.kind != REJECTS and stored.data_format == "parquet" and not _is_older(file, stored):
            yield source
            return
        with tempfile.TemporaryFile() as made:
            if file.kind == REJECTS:
                made.writelines(_lines(error_documents(database, stored.name, rows_in(source))))
            elif stored.data_format == "parquet":
                write_with_columns(source, made, stored.columns[stored.schema_version])
            else:
                writer = RowWriter(stored.name, stored.columns[stored.schema_version])
                made.writelines(writer.line(number, row) for number, row in enumerate(rows_in(source)))
            made.seek(0)
            yield made


@contextmanager
def _opened(file: File, lake: Path) -> Iterator[FileIO]:
    try:
        source = (lake / file.path).open("rb", buffering=0)
    except FileNotFoundError:
        raise damaged(file.table, file.path, "it is missing") from None
    except OSError as error:
        raise damaged(file.table, file.path, f"it cannot be read ({error.strerror})") from None
    with source:
        try:
            found = digest_of_opened(source)
        except OSError as error:
            raise damaged(file.table, file.path, f"it cannot be read ({error.strerror})") from None
        if found != file.digest:
            raise damaged(file.table, file.path, "its bytes are not those that were written")
        source.seek(0)
        yield source


def _is_older(file: File, stored: StoredTable) -> bool:
    """Whether a column of the file has another type than the table's. A column that it lacks is NULL for everybody."""
    types = {column.name: column.type for column in stored.columns[stored.schema_version]}
    return any(types.get(column.name) != column.type for column in stored.columns[file.schema_version])


def _lines(documents: Iterable[bytes]) -> Iterator[bytes]:
    return (document + b"\n" for document in documents)
