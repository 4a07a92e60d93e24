"""The pairs of a statement and the answer that Trino's own tests expect of it, and whether an answer is that.

They are not part of the project: `../shared/data/trino_pairs.jsonl.gz`, described in the README beside it.
"""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa

PAIRS = Path(__file__).parents[2].parent / "shared" / "data" / "trino_pairs.jsonl.gz"
ABSENT = "this machine has no statements of Trino's tests, which are no part of the project"
INTERNALS = re.compile(
    r"LINE \d+:|trino_\w|\bSET \w+ ?=|HUGEINT|CAST\(|list_\w+\(|(?i:binder|parser|catalog|internal) (?i:error)"
)
"""What only the engine says; no user is told that."""

_DAY_MS = 86_400_000


def pairs() -> list[dict[str, Any]]:
    """All of them; none where the file is not there."""
    if not PAIRS.exists():
        return []
    with gzip.open(PAIRS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def rows_of(table: pa.Table) -> list[list[Any]]:
    """The rows of an answer, as values that `equal` compares."""
    return [[shown(column[at]) for column in table.columns] for at in range(table.num_rows)]


def shown(scalar: Any) -> Any:
    """A value of Arrow as a value that can be compared; rows and arrays as lists."""
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(kind, pa.ExtensionType):
        scalar, kind = scalar.value, kind.storage_type
    if pa.types.is_struct(kind):
        return [shown(scalar[at]) for at in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return {"m": sorted(([shown(entry[0]), shown(entry[1])] for entry in scalar.values), key=repr)}
    if pa.types.is_list(kind):
        return [shown(item) for item in scalar.values]
    if pa.types.is_interval(kind):
        value = scalar.as_py()
        return {"i": (value.months * 30 + value.days) * _DAY_MS + value.nanoseconds // 1_000_000}
    if pa.types.is_timestamp(kind):
        return {"t": moment(str(scalar.cast(pa.timestamp("ms")).as_py()))}
    if pa.types.is_temporal(kind):
        return {"t": moment(scalar.as_py().isoformat())}
    return scalar.as_py()


def moment(text: str) -> str:
    text = re.sub(r"[ T]UTC$|Z$", "", text.replace("T", " "))
    text = text if len(text) > 10 else f"{text} 00:00:00"
    return re.sub(r"([.]\d*?)0+$", r"\1", text).rstrip(".")


def expected(value: Any) -> Any:
    """A value of a pair in the form of `shown`."""
    if isinstance(value, list):
        return [expected(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(tag, inner)] = value.items()
    match tag:
        case "f":
            return float(inner)
        case "r":
            return struct.unpack("f", struct.pack("f", float(inner)))[0]
        case "d":
            return decimal.Decimal(inner)
        case "b":
            return bytes.fromhex(inner)
        case "m":
            return {"m": sorted(([expected(a), expected(b)] for a, b in inner), key=repr)}
        case "t":
            return {"t": moment(str(inner))}
        case "idt":
            return {"i": int(inner)}
        case "iym":
            return {"i": int(inner) * 30 * _DAY_MS}


def same_rows(one: list[list[Any]], other: list[list[Any]], *, ordered: bool = False) -> bool:
    return equal(one, other) if ordered else equal(sorted(one, key=repr), sorted(other, key=repr))


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, str):
        return one == {"t": moment(other)}
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one is other or (type(one) is not bool and type(other) is not bool and one == other)


# -- answers of another engine, which has other types


def nearly_same_rows(one: list[Any], other: list[Any], *, ordered: bool = False) -> bool:
    """Whether rows of Python's values are the same but for the last digits of numbers with a fraction. A boolean may be
    0 or 1, and a time its text, as in SQLite."""
    plain, others = ([[_plain(value) for value in row] for row in rows] for rows in (one, other))
    if not ordered:
        plain.sort(key=_rounded)
        others.sort(key=_rounded)
    return len(plain) == len(others) and all(map(_nearly, plain, others))


def _plain(value: Any) -> Any:
    match value:
        case bool():
            return int(value)
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime.datetime():
            return moment(str(value)).removesuffix(" 00:00:00")
        case datetime.date() | datetime.time():
            return str(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return [_plain(item) for item in value.values()]
    return value


def _rounded(value: Any) -> str:
    """What rows are sorted by: those that are nearly the same are side by side."""
    if isinstance(value, list):
        return f"[{', '.join(map(_rounded, value))}]"
    return format(value, ".7g") if isinstance(value, int | float) else repr(value)


def _nearly(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_nearly, one, other))
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    if isinstance(one, int | float) and isinstance(other, int | float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)
