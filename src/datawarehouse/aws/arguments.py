"""Checks the arguments of components before anything is created: their names, types, numbers and choices.

Types are read from a component's TypedDict. The value of an output is known only later, so it is not checked.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NotRequired, get_args, get_origin

import pulumi

from datawarehouse.aws.capacity import REGION_NAME
from datawarehouse.errors import DeclarationError

_SOME = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
LOG_RETENTION_DAYS = frozenset(_SOME)
"""CloudWatch Logs API reference, PutRetentionPolicy."""
LOG_DAYS = 30

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BUCKET = (re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), "the name of a bucket, e.g. 'lake', without s3:// and ARN")
_GLUE_NAME = (re.compile(r"[a-z0-9_-]{1,255}"), "a name in lower case, as Glue has it")
_EXTERNAL_ID = (re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII), "2 to 1224 of letters, digits and _+=,.@:/-")
_PATTERNS = {
    **dict.fromkeys(("bucket", "data_bucket", "results_bucket"), _BUCKET),
    **dict.fromkeys(("database_name", "table_name"), _GLUE_NAME),
    "region": (REGION_NAME, "an AWS Region, e.g. 'eu-west-1'"),
    **dict.fromkeys(("external_id", "reader_external_id"), _EXTERNAL_ID),
}
"""The valid form of texts, by the argument: Amazon S3 user guide, "Bucket naming rules"; Amazon Athena user guide,
"Name databases, tables, and columns"; AWS STS API reference, AssumeRole."""

_TEXT = pulumi.Input[str]
_SHARED = ("alarm_topic_arn", "conditions", "kms_key_arn", "log_retention_days", "region")


def checked_name(kind: str, name: Any, pattern: re.Pattern[str] = _NAME) -> str:
    """The name of a component in messages: its kind and its own name, from which the names of its resources are made.

    Raises DeclarationError if AWS would refuse them.
    """
    if not isinstance(name, str) or not pattern.fullmatch(name):
        raise DeclarationError(
            f"{kind} {name!r}: the name is not valid, since resources are named after it; valid is {pattern.pattern}."
        )
    return f"{kind} {name!r}"


def checked_arguments(component: str, given: Any, shape: type) -> dict[str, Any]:
    """The arguments of a component, as a new dict. shape: its TypedDict.

    Raises DeclarationError if an argument is unknown (with the name that may be meant), if a required one is missing,
    or if one has a wrong type.
    """
    if not isinstance(given, Mapping):
        raise DeclarationError(f"{component}: the arguments are {shown(given)}; valid is a dict of {_listed(shape)}.")
    for name in given:
        if name not in shape.__annotations__:
            close = difflib.get_close_matches(str(name), shape.__annotations__, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DeclarationError(f"{component}: there is no argument {name!r}; valid are {_listed(shape)}.{hint}")
    required: frozenset[str] = shape.__required_keys__  # type: ignore[attr-defined]
    missing = [name for name in shape.__annotations__ if name in required and given.get(name) is None]
    if missing:
        needed = ", ".join(map(repr, sorted(required)))
        raise DeclarationError(f"{component}: the argument {missing[0]!r} is missing; required are {needed}.")
    found = {name: value for name, value in given.items() if value is not None}
    for name, value in found.items():
        hint = shape.__annotations__[name]
        is_wrapped = get_origin(hint) is NotRequired  # type: ignore[comparison-overlap]
        valid = _invalid(value, get_args(hint)[0] if is_wrapped else hint)
        if not valid and name.endswith("_arn") and isinstance(value, str) and not value.startswith("arn:"):
            valid = "an ARN, e.g. 'arn:aws:sns:eu-west-1:123456789012:alarms'"
        pattern, like = _PATTERNS.get(name, (None, None))
        if not valid and pattern and isinstance(value, str) and not pattern.fullmatch(value):
            valid = like
        if valid:
            raise DeclarationError(f"{component}: {name} is {shown(value)}; valid is {valid}.")
    if "log_retention_days" in shape.__annotations__:
        days = found.setdefault("log_retention_days", LOG_DAYS)
        if not isinstance(days, int) or isinstance(days, bool) or days not in LOG_RETENTION_DAYS:
            valid = ", ".join(map(str, sorted(LOG_RETENTION_DAYS)))
            raise DeclarationError(f"{component}: log_retention_days is {shown(days)}; valid are {valid}.")
    return found


def shared_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """The checked arguments that a component passes on to the component inside it."""
    return {name: given[name] for name in _SHARED if name in given}


def checked_number(component: str, argument: str, value: Any, low: int, high: int, source: str) -> int:
    """A whole number within a service's limits. source: the page that states them."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DeclarationError(
            f"{component}: {argument} is {shown(value)}; valid is a whole number from {low} to {high} ({source})."
        )
    return value


def checked_choice(component: str, argument: str, value: Any, valid: Collection[Any]) -> Any:
    """One of the values that are valid."""
    if value not in valid:
        raise DeclarationError(f"{component}: {argument} is {shown(value)}; valid are {', '.join(map(repr, valid))}.")
    return value


def shown(value: Any) -> str:
    """A value as it is shown in a message; the value of an output is not known yet."""
    return "an output" if isinstance(value, pulumi.Output) else repr(value)


def _invalid(value: Any, hint: Any) -> str | None:
    """What would be valid instead of a value; None if it has the type, or the type is not checked here."""
    if hint == _TEXT:
        return None if _is_text(value) else "a text, or an output of one"
    if hint is str:
        return None if isinstance(value, str) and value else "a text"
    if hint is bool:
        return None if isinstance(value, bool) else "True or False"
    if get_origin(hint) is Sequence and get_args(hint)[0] in (str, _TEXT):
        is_list = isinstance(value, list | tuple)
        return None if is_list and all(map(_is_text, value)) else "a list of texts"
    if get_origin(hint) is Sequence and inspect.isclass(item := get_args(hint)[0]):
        is_list = isinstance(value, list | tuple) and all(isinstance(each, item) for each in value)
        return None if is_list else f"a list of {item.__module__}.{item.__qualname__}"
    if get_origin(hint) is Mapping or hint is dict:
        return None if isinstance(value, Mapping) else "a dict"
    if inspect.isclass(hint) and not issubclass(hint, int | float):
        return None if isinstance(value, hint) else f"a {hint.__module__}.{hint.__qualname__}"
    return None


def _is_text(value: Any) -> bool:
    return (isinstance(value, str) and value != "") or isinstance(value, pulumi.Output) or inspect.isawaitable(value)


def _listed(shape: type) -> str:
    return ", ".join(map(repr, shape.__annotations__))
