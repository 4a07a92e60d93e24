"""Events of a sample -> the columns of a table, each with what was seen and why it has its type. Pure.

A column takes the narrowest type by whose rule (`coercion`) every value of the sample is taken, so that no value of the
sample is rejected or changed. Whole numbers are bigint, and other numbers double, since a sample seldom has the
largest. What is text in a file that has only texts (CSV) may also be a number, or true and false; a text of JSON may
not, since `"007"` is no number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from datawarehouse.definition.coercion import Rule, rule_for
from datawarehouse.definition.documents import Number, Object
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.tables import ILLEGAL_IN_KEY, NAME_CHARACTERS_MAX
from datawarehouse.definition.types import FIELD_NAME, parse_type

_FIELDS_MAX = 60
"""An object of more keys is a map: its keys are data."""
_LEVELS_MAX = 8
_EXAMPLE_CHARACTERS = 24
_TEXT_TYPES = ("date", "timestamp")
_FROM_TEXTS = ("boolean", "bigint", "double", *_TEXT_TYPES)
_WORDS = {"boolean": "true or false", "date": "dates", "timestamp": "timestamps"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NAME_SIGNS = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """key: of the events, if it cannot be the name. why: what was seen, in words."""

    name: str
    type: str
    key: str | None
    why: str


@dataclass
class _Seen:
    """The values of one place in the events."""

    only_texts: bool
    level: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    fitting: dict[str, Rule] = field(default_factory=dict)
    """The types of texts that have taken each text until now."""
    numbers: list[float] = field(default_factory=list)
    whole: bool = True
    examples: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """Of objects: the first spelling of each key, by its lower case."""
    inner: dict[str, _Seen] = field(default_factory=dict)
    elements: _Seen | None = None

    def __post_init__(self) -> None:
        kinds = _FROM_TEXTS if self.only_texts else _TEXT_TYPES
        self.fitting = {kind: rule_for(parse_type(kind)) for kind in kinds}

    def add(self, value: Any) -> None:
        kind = _kind_of(value)
        if kind == "null":
            return
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        match kind:
            case "object":
                self.add_object(value)
            case "array":
                self.elements = self.elements or _Seen(self.only_texts, self.level + 1)
                for item in value:
                    self.elements.add(item)
            case "number":
                self._add_number(value)
            case "text":
                self._add_text(value)

    def add_object(self, value: Object) -> None:
        for key, item in value:
            lowered = key.lower()
            if lowered not in self.inner:
                self.keys[lowered] = key
                self.inner[lowered] = _Seen(self.only_texts, self.level + 1)
            self.inner[lowered].add(item)

    def _add_number(self, value: Number) -> None:
        number = float(value)
        self.whole = self.whole and value.lstrip("-").isdigit() and _takes(_BIGINT, value)
        self.numbers = [min([number, *self.numbers]), max([number, *self.numbers])]

    def _add_text(self, value: str) -> None:
        if not _DATE.match(value):  # digits alone may be an instant, and are more often a number or a name
            self.fitting = {kind: rule for kind, rule in self.fitting.items() if kind not in _TEXT_TYPES}
        self.fitting = {kind: rule for kind, rule in self.fitting.items() if _takes(rule, value)}
        if {"bigint", "double"} & self.fitting.keys():
            number = float(value)
            self.numbers = [min([number, *self.numbers]), max([number, *self.numbers])]
        if len(self.examples) < 2 and value and value not in self.examples:
            self.examples.append(value)

    def type(self) -> str:
        kinds = set(self.kinds)
        if kinds == {"object"}:
            return self._object_type()
        if kinds == {"array"} and self.elements and self.level < _LEVELS_MAX:
            return f"array<{self.elements.type()}>"
        if kinds == {"boolean"}:
            return "boolean"
        if kinds == {"number"}:
            return "bigint" if self.whole else "double"
        if kinds == {"text"}:
            order = [kind for kind in ("boolean", "bigint", "double", "date", "timestamp") if kind in self.fitting]
            return order[0] if order else "string"
        return "string"

    def _object_type(self) -> str:
        if self.level >= _LEVELS_MAX or not self.inner:
            return "string"
        if len(self.inner) <= _FIELDS_MAX and all(map(FIELD_NAME.fullmatch, self.inner)):
            return f"struct<{','.join(f'{name}:{seen.type()}' for name, seen in self.inner.items())}>"
        types = {seen.type() for seen in self.inner.values() if seen.kinds}
        return f"map<string,{types.pop() if len(types) == 1 else 'string'}>"

    def why(self, kind: str, events: int) -> str:
        """What was seen in so many events, for a column of this type."""
        if not self.kinds:
            return "no value but null was seen"
        count = sum(self.kinds.values())
        where = "all" if count == events else f"{count:,} of {events:,}"
        return f"{self._what(kind)}, in {where} events"

    def _what(self, kind: str) -> str:
        if len(self.kinds) > 1:
            return "values of several kinds: " + ", ".join(f"{n:,} {_PLURALS[each]}" for each, n in self.kinds.items())
        [only] = self.kinds
        if only in ("object", "array", "boolean"):
            return _PLURALS[only]
        if kind in ("bigint", "double"):
            low, high = self.numbers
            return f"{'whole ' if kind == 'bigint' else ''}numbers, {low:.12g} to {high:.12g}"
        shown = " and ".join(repr(_shortened(example)) for example in self.examples)
        if kind in _WORDS:
            return f"{_WORDS[kind]}, such as {shown}"
        return f"texts, such as {shown}" if shown else "empty texts"


_BIGINT = rule_for(parse_type("bigint"))
_PLURALS = {"object": "objects", "array": "arrays", "number": "numbers", "text": "texts", "boolean": "true or false"}


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case Object():
            return "object"
        case list():
            return "array"
        case Number():
            return "number"
        case _:
            return "text"


def _takes(rule: Callable[[Any], Any], value: Any) -> bool:
    try:
        rule(value)
    except Reject:
        return False
    return True


def _shortened(text: str) -> str:
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 3] + "..."


def infer(events: Iterable[Object], *, only_texts: bool = False, taken: Sequence[str] = ()) -> list[InferredColumn]:
    """The columns for these events, in the order in which their keys came.

    only_texts: whether the file can say nothing but texts. taken: names that no column may have. Keys that have quotes,
    backslashes or control characters cannot be read into a column; they are left out.
    """
    seen = _Seen(only_texts)
    count = 0
    for event in events:
        seen.add_object(event)
        count += 1
    names = _names(seen.keys, taken)
    found = []
    for lowered, name in names:
        inner = seen.inner[lowered]
        kind = inner.type()
        if len(kind) > _TYPE_CHARACTERS:
            kind = "string"
        found.append(
            InferredColumn(name, kind, None if lowered == name else seen.keys[lowered], inner.why(kind, count))
        )
    return found


_TYPE_CHARACTERS = 20_000


def _names(keys: dict[str, str], taken: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each key in lower case, and the name of its column."""
    used = {*taken, *(lowered for lowered in keys if column_name(lowered) == lowered)} - (keys.keys() & set(taken))
    for lowered, key in keys.items():
        if ILLEGAL_IN_KEY.search(key) or not key or len(key) > NAME_CHARACTERS_MAX:
            continue
        name = column_name(lowered)
        if name != lowered or name in taken:
            stem, number = name, 2
            while name in used or name in taken:
                name, number = f"{stem}_{number}", number + 1
            used.add(name)
        yield lowered, name


def column_name(text: str) -> str:
    """A text as a name that tables and columns may have."""
    name = _NAME_SIGNS.sub("_", text.lower()).strip("_")
    if not name or not name[0].isalpha():
        name = f"c_{name}".rstrip("_")
    return name[:NAME_CHARACTERS_MAX]
