"""The column types of the Glue Data Catalog (Hive type strings), parsed and printed.

Source of the grammar: Amazon Athena user guide, "Data types in Amazon Athena"; Glue API, `Column.Type`
(at most 131,072 characters).

    type      = primitive | decimal | text | array | map | struct
    primitive = boolean tinyint smallint int bigint float double string binary date timestamp
    decimal   = decimal [ ( precision [ , scale ] ) ]      1 <= precision <= 38, 0 <= scale <= precision
    text      = char ( 1..255 ) | varchar ( 1..65535 )
    array     = array < type >
    map       = map < key type that is not nested , type >
    struct    = struct < name : type [ , name : type ]... >
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from datawarehouse.errors import DeclarationError

TYPE_CHARACTERS_MAX = 131_072
NESTING_LEVELS_MAX = 64

PRIMITIVES = (
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "string",
    "binary",
    "date",
    "timestamp",
)
INTEGER_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}

# Names of types in other dialects of SQL and in Python, and the name to write instead.
_MEANT = {
    "integer": "int",
    "long": "bigint",
    "int64": "bigint",
    "int32": "int",
    "real": "float",
    "number": "double",
    "numeric": "decimal",
    "str": "string",
    "text": "string",
    "bool": "boolean",
    "datetime": "timestamp",
    "timestamptz": "timestamp",
    "bytes": "binary",
    "varbinary": "binary",
    "json": "string",
    "list": "array<...>",
    "set": "array<...>",
    "dict": "map<...>",
    "object": "struct<...>",
    "row": "struct<...>",
}
_VALID = (
    "valid types are "
    + ", ".join(PRIMITIVES)
    + ", decimal(precision,scale), char(n), varchar(n), array<type>, map<key,value> and struct<name:type,...>"
)


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of `PRIMITIVES`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Decimal:
    """An exact number of at most `precision` digits, `scale` of them after the point."""

    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True, slots=True)
class Text:
    """`char(length)` or `varchar(length)`; the length counts Unicode characters."""

    name: str
    length: int

    def __str__(self) -> str:
        return f"{self.name}({self.length})"


@dataclass(frozen=True, slots=True)
class Array:
    element: ColumnType

    def __str__(self) -> str:
        return f"array<{self.element}>"


@dataclass(frozen=True, slots=True)
class Map:
    key: ColumnType
    value: ColumnType

    def __str__(self) -> str:
        return f"map<{self.key},{self.value}>"


@dataclass(frozen=True, slots=True)
class Struct:
    fields: tuple[tuple[str, ColumnType], ...]

    def __str__(self) -> str:
        return "struct<" + ",".join(f"{name}:{kind}" for name, kind in self.fields) + ">"


ColumnType = Primitive | Decimal | Text | Array | Map | Struct

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[<>(),:])")
FIELD_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def parse_type(text: str) -> ColumnType:
    """Parse a Glue type string; blanks between its parts are ignored.

    Raises DeclarationError with the place of the first fault and what is valid there.
    """
    if not isinstance(text, str):
        raise DeclarationError(f"A column type is a string such as 'bigint'; got {text!r}; {_VALID}.")
    if len(text) > TYPE_CHARACTERS_MAX:
        raise DeclarationError(
            f"A column type has at most {TYPE_CHARACTERS_MAX} characters (a limit of Glue); got {len(text)}."
        )
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.level = 0

    def parse(self) -> ColumnType:
        kind = self.type()
        if self.peek():
            self.fail(f"nothing may follow {kind}")
        return kind

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match:
            return match[1]
        return self.text[self.at :].strip()[:1]

    def take(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        if not match:
            self.fail(_VALID)
        self.at = match.end()
        return match[1]

    def expect(self, token: str) -> None:
        if self.peek() != token:
            self.fail(f"expected {token!r} here")
        self.take()

    def fail(self, what: str) -> NoReturn:
        rest = self.text[self.at :].strip()
        found = f"{rest[:30]!r}" if rest else "the end"
        raise DeclarationError(f"Malformed column type {self.text[:200]!r}: found {found}; {what}.")

    def type(self) -> ColumnType:
        start, name = self.at, self.take()
        if name in PRIMITIVES:
            return Primitive(name)
        if name == "decimal":
            return self.decimal()
        if name in ("char", "varchar"):
            return self.sized_text(name)
        if name in ("array", "map", "struct"):
            return self.nested(name)
        self.at = start
        if name.lower() != name:
            self.fail(f"type names are lower case: {name.lower()!r}")
        if name in _MEANT:
            self.fail(f"Glue calls it {_MEANT[name]!r}")
        self.fail(_VALID)

    def number(self, what: str, low: int, high: int) -> int:
        start, token = self.at, self.take()
        if not token.isdigit() or not low <= int(token) <= high:
            self.at = start
            self.fail(f"{what} is a whole number from {low} to {high}")
        return int(token)

    def decimal(self) -> Decimal:
        if self.peek() != "(":
            return Decimal(10, 0)
        self.take()
        precision, scale = self.number("the precision of a decimal", 1, 38), 0
        if self.peek() == ",":
            self.take()
            scale = self.number("the scale of a decimal", 0, precision)
        self.expect(")")
        return Decimal(precision, scale)

    def sized_text(self, name: str) -> Text:
        longest = 255 if name == "char" else 65_535
        if self.peek() != "(":
            self.fail(f"{name} needs its length, {name}(1..{longest}); without a length use string")
        self.take()
        length = self.number(f"the length of {name}", 1, longest)
        self.expect(")")
        return Text(name, length)

    def nested(self, name: str) -> ColumnType:
        self.level += 1
        if self.level > NESTING_LEVELS_MAX:
            self.fail(f"types nest at most {NESTING_LEVELS_MAX} levels")
        self.expect("<")
        kind: ColumnType
        if name == "array":
            kind = Array(self.type())
        elif name == "map":
            start = self.at
            key = self.type()
            if isinstance(key, Array | Map | Struct):
                self.at = start
                self.fail("the key of a map is not a nested type")
            self.expect(",")
            kind = Map(key, self.type())
        else:
            kind = Struct(self.fields())
        self.expect(">")
        self.level -= 1
        return kind

    def fields(self) -> tuple[tuple[str, ColumnType], ...]:
        fields: list[tuple[str, ColumnType]] = []
        while True:
            start, name = self.at, self.take()
            if not FIELD_NAME.fullmatch(name):
                self.at = start
                self.fail("the name of a struct's field has lower-case letters, digits and underscores")
            if any(name == other for other, _ in fields):
                self.at = start
                self.fail(f"the struct has two fields named {name!r}")
            self.expect(":")
            fields.append((name, self.type()))
            if self.peek() != ",":
                return tuple(fields)
            self.take()
