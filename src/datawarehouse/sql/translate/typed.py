"""DuckDB text with the Trino type of its value; only the functions of this module insert text of the user into it.

Translated text is made of fixed templates, of numbers that were read as numbers, and of names and strings that went
through `quoted_name` and `quoted_text`. An operator's text has its own parentheses, so that it can be inserted
anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from datawarehouse.errors import BadRequest
from datawarehouse.sql.types import UNKNOWN, Type, duckdb


@dataclass(frozen=True, slots=True)
class Typed:
    sql: str
    type: Type


NULL = Typed("NULL", UNKNOWN)


def quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    if "\0" in text:
        raise BadRequest(
            f"The text {text!r} has a NUL character, which is not possible here in a statement; remove it."
        )
    return "'" + text.replace("'", "''") + "'"


def failing(message: str, type: Type) -> str:
    """An expression of `type` that fails with `message` when it is evaluated.

    DuckDB's `error()` counts as volatile, and TRY refuses volatile expressions; a cast that cannot succeed is used
    instead.
    """
    return f"CAST(CAST({quoted_text(message)} AS INTEGER) AS {duckdb(type)})"


def coerced(value: Typed, target: Type) -> str:
    """`value` as DuckDB's type for `target`; for coercions and other casts in which both engines agree."""
    have, want = duckdb(value.type), duckdb(target)
    if value.type == UNKNOWN and target.args:
        return f"CAST(NULL AS {want})"
    if target.name == value.type.name == "char" and target != value.type:
        return f"rpad({value.sql}, {target.precision}, ' ')"
    if have == want and value.type != UNKNOWN:
        return value.sql
    if "row" in (value.type.name, target.name) and value.type.names != target.names:
        # DuckDB casts a struct to a struct by the names of fields, Trino by their positions.
        positions = duckdb(Type("row", value.type.args, (None,) * len(value.type.args)))
        return f"CAST(CAST({value.sql} AS {positions}) AS {want})"
    return f"CAST({value.sql} AS {want})"
