"""A user's file of JSON lines -> rows, by the same rules as events; a line that does not fit the columns is an error.

The file may be compressed with gzip (its name ends in .gz).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from datawarehouse.convert.rows import GROUP_RECORDS, RowConverter
from datawarehouse.definition.documents import BYTE_ORDER_MARK
from datawarehouse.definition.tables import Column
from datawarehouse.errors import BadLine


def read_json_lines(path: Path, columns: Sequence[Column]) -> pa.Table:
    """The rows of a file, which has one or more objects a line. Raises BadLine, naming the file and the first bad
    line."""
    converter = RowConverter(columns)
    batches: list[pa.RecordBatch] = []
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while lines := list(islice(file, GROUP_RECORDS)):
                numbered = [(number + place, line) for place, line in enumerate(lines, 1) if line.strip()]
                if number == 0 and numbered:
                    numbered[0] = (numbered[0][0], numbered[0][1].removeprefix(BYTE_ORDER_MARK))
                rows = converter.convert([line for _, line in numbered])
                if rows.rejects:
                    place, reason = min(rows.rejects, key=lambda reject: reject[0])
                    line = numbered[place][0]
                    raise BadLine(f"{path}, line {line}: {reason.message} Correct the line, or remove it.")
                batches += rows.batches
                number += len(lines)
    except (OSError, EOFError) as error:
        raise BadLine(f"{path} cannot be read after line {number}: {error}.") from None
    return pa.Table.from_batches(batches, converter.schema)
