"""What some rows say of each column. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

_TOP = 10
_SHOWN_ROWS = 50
_CHARACTERS_MAX = 200
_NESTED = ("array", "map", "struct", "row")


def profiled(columns: Sequence[tuple[str, str]], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """columns: their names and types. Long texts are cut."""
    return {
        "columns": [_column(name, kind, [row.get(name) for row in rows]) for name, kind in columns],
        "sample": [{name: _short(value) for name, value in row.items()} for row in rows[:_SHOWN_ROWS]],
    }


def _column(name: str, kind: str, values: list[Any]) -> dict[str, Any]:
    there = [value for value in values if value is not None]
    nulls = len(values) - len(there)
    shown: dict[str, Any] = {
        "name": name, "type": kind, "nulls": nulls, "null_share": round(nulls / len(values), 6) if values else 0.0,
        "least": None, "greatest": None, "distinct": None, "top": [],
    }  # fmt: skip
    if kind.startswith(_NESTED) or not all(isinstance(value, str | int | float | bool) for value in there):
        return shown
    counts = Counter(there)
    ordered = [value for value in counts if not isinstance(value, str)] or list(counts)  # NaN and infinities are texts
    return shown | {
        "least": _short(min(ordered, default=None)),
        "greatest": _short(max(ordered, default=None)),
        "distinct": len(counts),
        "top": [{"value": _short(value), "count": count} for value, count in counts.most_common(_TOP)],
    }


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _CHARACTERS_MAX:
        return value[:_CHARACTERS_MAX] + "…"
    if isinstance(value, list | dict) and len(str(value)) > _CHARACTERS_MAX * 5:
        return str(value)[: _CHARACTERS_MAX * 5] + "…"
    return value
