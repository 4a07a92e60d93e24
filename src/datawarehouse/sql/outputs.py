"""DESCRIBE INPUT and DESCRIBE OUTPUT of Trino: what a statement takes and gives, as another statement that lists it.

Source: Trino documentation, "DESCRIBE INPUT" and "DESCRIBE OUTPUT".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from datawarehouse.sql import types
from datawarehouse.sql.types import Type

INPUT, OUTPUT = "input", "output"

_SIZES = {
    types.BOOLEAN: 1,
    types.TINYINT: 1,
    types.SMALLINT: 2,
    types.INTEGER: 4,
    types.DATE: 4,
    types.REAL: 4,
    types.BIGINT: 8,
    types.DOUBLE: 8,
    **dict.fromkeys((*types.TIMESTAMPS, *types.DAYTIMES), 8),
    types.INSTANT: 8,
}
_SHORT_DECIMAL_DIGITS = 18
_COLUMNS = {
    INPUT: '"Position", "Type"',
    OUTPUT: '"Column Name", "Catalog", "Schema", "Table", "Type", "Type Size", "Aliased"',
}


class OutputColumn(NamedTuple):
    """A column of a result. origin: the catalog, the schema and the table of the column that it is a copy of."""

    name: str
    type: Type
    is_aliased: bool
    origin: Sequence[str] = ("", "", "")


def listing_of_input(parameters: int) -> str:
    """What is asked of whoever fills in so many `?`, whose types nothing says."""
    return _listing(INPUT, (f"cast({position} as bigint), 'unknown'" for position in range(parameters)))


def listing_of_output(columns: Sequence[OutputColumn]) -> str:
    return _listing(OUTPUT, map(_row, columns))


def _row(column: OutputColumn) -> str:
    texts = ", ".join(map(_text, (column.name, *column.origin, str(column.type))))
    return f"{texts}, cast({_size(column.type)} as bigint), {'true' if column.is_aliased else 'false'}"


def _size(kind: Type) -> int:
    """In bytes; 0 if values have different sizes."""
    if kind.name == "decimal":
        return 8 if kind.precision <= _SHORT_DECIMAL_DIGITS else 16
    return _SIZES.get(kind, 0)


def _listing(what: str, rows: Iterable[str]) -> str:
    listed = ", ".join(f"({row})" for row in rows)
    if not listed:
        empty = "cast(null as bigint), 'unknown'"
        return f"select * from (values ({empty})) t({_COLUMNS[what]}) where false"
    return f"select * from (values {listed}) t({_COLUMNS[what]})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
