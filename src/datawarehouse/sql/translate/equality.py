"""`=` of arrays, maps and rows, which is unknown where NULL inside them leaves it open, as in SQL.

DuckDB takes NULL inside such a value as a value, and maps with the same entries in another order as different.
Source: ISO 9075-2, <comparison predicate>; Trino documentation, "Comparison functions and operators".
"""

from __future__ import annotations

from collections.abc import Sequence

from datawarehouse.sql import types
from datawarehouse.sql.translate import nans
from datawarehouse.sql.translate.scope import row_field
from datawarehouse.sql.translate.typed import Typed
from datawarehouse.sql.types import Type


def equal(left: str, right: str, type: Type, depth: int = 0) -> str:
    """Whether two values of one type are equal: true, false, or NULL if that is not known."""
    if not type.args:
        return nans.compared(Typed(left, type), "=", Typed(right, type), (left, right))
    if type.name == "row":
        sides = (Typed(left, type), Typed(right, type))
        fields = zip(*([row_field(side, at).sql for at in range(len(type.args))] for side in sides), strict=True)
        compared = (equal(a, b, part, depth) for (a, b), part in zip(fields, type.args, strict=True))
        return f"({' AND '.join(compared)})"
    item = f'"q{depth}#"'
    if type.name == "array":
        parts = equal(f"struct_extract({item}, 1)", f"struct_extract({item}, 2)", type.args[0], depth + 1)
        size, same_keys = "len", ""
        pairs = f"list_zip({left}, {right})"
    else:
        value = type.args[1]
        parts = equal(f"{item}.value", f"map_extract_value({right}, {item}.key)", value, depth + 1)
        size, same_keys = "cardinality", f"WHEN NOT list_has_all(map_keys({right}), map_keys({left})) THEN FALSE "
        pairs = f"map_entries({left})"
    return (
        f"(CASE WHEN {left} IS NULL OR {right} IS NULL THEN NULL WHEN {size}({left}) <> {size}({right}) THEN FALSE "
        f"{same_keys}ELSE trino_all(list_transform({pairs}, lambda {item}: {parts})) END)"
    )


def any_equal(value: str, items: Sequence[str], type: Type) -> str:
    """`value IN (items)`."""
    if not type.args:
        return f"({value} IN ({', '.join(items)}))"
    return f"({' OR '.join(equal(value, item, type) for item in items)})"


def in_query(values: Sequence[str], kinds: Sequence[Type], query: str, relation: str) -> str:
    """`(values) IN (query)`: the query has as many columns, and `relation` is a name that nothing else has.

    It is true if a row is equal, and unknown if a row may be equal, which takes a NULL on one of both sides. Written in
    this way, DuckDB finds equal rows by a hash, and looks at each pair only where there is such a NULL.
    """
    columns = [f"{relation}.c{at}" for at in range(len(values))]
    same = [equal(value, column, kind) for value, column, kind in zip(values, columns, kinds, strict=True)]
    rows = f"SELECT 1 FROM ({query}) AS {relation}({', '.join(f'c{at}' for at in range(len(values)))}) WHERE"
    maybe = " AND ".join(f"{each} IS NOT FALSE" for each in same)
    open_here, open_there = (
        " OR ".join(_has_null(text, kind) for text, kind in zip(texts, kinds, strict=True))
        for texts in (values, columns)
    )
    return (
        f"(CASE WHEN EXISTS ({rows} {' AND '.join(same)}) THEN TRUE "
        f"WHEN EXISTS ({rows} ({open_there}) AND {maybe}) OR EXISTS ({rows} ({open_here}) AND {maybe}) THEN NULL "
        "ELSE FALSE END)"
    )


def is_listed(values: Sequence[str], query: str, relation: str) -> str:
    """`(values) IN (query)` where NULL inside of rows is a value: what Trino gives except in a WHERE."""
    columns = ", ".join(f"c{at}" for at in range(len(values)))
    same = " AND ".join(f"{relation}.c{at} IS NOT DISTINCT FROM {value}" for at, value in enumerate(values))
    return f"EXISTS (SELECT 1 FROM ({query}) AS {relation}({columns}) WHERE {same})"


def is_nested_listed(value: Typed, query: str, relation: str) -> str:
    """The same for an array or a map; a whole value that is NULL stays unknown."""
    rows = f"SELECT 1 FROM ({query}) AS {relation}(c0)"
    same = f"{canonical(Typed(f'{relation}.c0', value.type))} = {canonical(value)}"
    return (
        f"(CASE WHEN EXISTS ({rows} WHERE {same}) THEN TRUE "
        f"WHEN EXISTS ({rows} WHERE {relation}.c0 IS NULL OR {value.sql} IS NULL) THEN NULL ELSE FALSE END)"
    )


def _has_null(text: str, type: Type) -> str:
    """Whether a value is NULL, or may have NULL inside."""
    return "TRUE" if type.args else f"{text} IS NULL"


def canonical(value: Typed) -> str:
    """The same value with the entries of its maps in the order of their keys, so that equal values are the same."""
    type = value.type
    if not has_map(type):
        return value.sql
    item = '"k#"'
    if type.name == "array":
        return f"list_transform({value.sql}, lambda {item}: {canonical(Typed(item, type.args[0]))})"
    if type.name == "map" and not any(has_map(part) for part in type.args):
        return f"map_from_entries(list_sort(map_entries({value.sql})))"
    if type.name == "map":
        inner = canonical(Typed(f"{item}.value", type.args[1]))
        entries = f"list_transform(map_entries({value.sql}), lambda {item}: {{'key': {item}.key, 'value': {inner}}})"
        return f"map_from_entries(list_sort({entries}))"
    fields = (canonical(row_field(value, at)) for at in range(len(type.args)))
    return f"CASE WHEN {value.sql} IS NOT NULL THEN CAST(row({', '.join(fields)}) AS {types.duckdb(type)}) END"


def has_map(type: Type) -> bool:
    return type.name == "map" or any(map(has_map, type.args))
