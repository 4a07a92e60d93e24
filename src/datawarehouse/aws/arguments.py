"""What components are given is checked before anything is created: names of arguments, numbers, choices."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from datawarehouse.errors import DeclarationError

LOG_RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""CloudWatch Logs API reference, PutRetentionPolicy."""


def checked_arguments(component: str, given: Any, shape: type) -> dict[str, Any]:
    """The arguments of a component, as a dict of their own. shape: its TypedDict.

    Raises DeclarationError if one is unknown, with the one that may be meant, or if one that is required is missing.
    """
    if not isinstance(given, Mapping):
        raise DeclarationError(f"{component}: the arguments are {given!r}; valid is a dict of {_listed(shape)}.")
    for name in given:
        if name not in shape.__annotations__:
            close = difflib.get_close_matches(str(name), shape.__annotations__, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DeclarationError(f"{component}: there is no argument {name!r}; valid are {_listed(shape)}.{hint}")
    required: frozenset[str] = shape.__required_keys__  # type: ignore[attr-defined]
    missing = [name for name in shape.__annotations__ if name in required and given.get(name) is None]
    if missing:
        raise DeclarationError(
            f"{component}: the argument {missing[0]!r} is missing; required are {_sorted(required)}."
        )
    return {name: value for name, value in given.items() if value is not None}


def checked_number(component: str, argument: str, value: Any, low: int, high: int, source: str) -> int:
    """A whole number within a service's limits. source: the page that states them."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DeclarationError(
            f"{component}: {argument} is {value!r}; valid is a whole number from {low} to {high} ({source})."
        )
    return value


def checked_choice(component: str, argument: str, value: Any, valid: Collection[Any]) -> Any:
    """One of the values that are valid."""
    if value not in valid or isinstance(value, bool):
        raise DeclarationError(f"{component}: {argument} is {value!r}; valid are {', '.join(map(repr, valid))}.")
    return value


def _listed(shape: type) -> str:
    return ", ".join(map(repr, shape.__annotations__))


def _sorted(names: Collection[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
