"""How each engine writes types, names and texts. Pure.

Sources: DuckDB documentation, "Data Types"; Spark SQL reference, "Data Types" and "Literals"; Trino documentation,
"Data types"; for Glue's own types, `definition/types.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datawarehouse.definition.types import Array, ColumnType, Decimal, Map, Primitive, Struct, Text


@dataclass(frozen=True, slots=True)
class Dialect:
    """primitives: the types that have another name in Glue; text: the name for char(n) and varchar(n); array, map,
    field and struct: format strings for these types; quote: the quotation mark around names; escapes: replacements of
    characters inside a text.
    """

    primitives: Mapping[str, str]
    text: str
    array: str
    map: str
    field: str
    struct: str
    quote: str
    escapes: Mapping[str, str]

    def type(self, kind: ColumnType) -> str:
        match kind:
            case Primitive(name):
                return self.primitives.get(name, name)
            case Decimal(precision, scale):
                return f"decimal({precision},{scale})"
            case Text(name, length):
                return self.text.format(name=name, length=length)
            case Array(element):
                return self.array.format(self.type(element))
            case Map(key, value):
                return self.map.format(self.type(key), self.type(value))
            case Struct(fields):
                parts = (self.field.format(self.name(name), self.type(field)) for name, field in fields)
                return self.struct.format(", ".join(parts))

    def name(self, name: str) -> str:
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def literal(self, text: str) -> str:
        """A text in single quotes."""
        return "'" + "".join(self.escapes.get(character, character) for character in text) + "'"


DUCKDB = Dialect(
    primitives={"int": "integer", "string": "varchar", "binary": "blob"},
    text="varchar",
    array="{}[]",
    map="map({}, {})",
    field="{} {}",
    struct="struct({})",
    quote='"',
    escapes={"'": "''"},
)
# timestamp_ntz, because the files' timestamps have no zone. string for char(n) and varchar(n), because Spark pads the
# values of a char(n) when it reads them.
SPARK = Dialect(
    primitives={"timestamp": "timestamp_ntz"},
    text="string",
    array="array<{}>",
    map="map<{}, {}>",
    field="{}: {}",
    struct="struct<{}>",
    quote="`",
    escapes={"'": "\\'", "\\": "\\\\"},
)
TRINO = Dialect(
    primitives={
        "int": "integer",
        "float": "real",
        "string": "varchar",
        "binary": "varbinary",
        "timestamp": "timestamp(3)",
    },
    text="{name}({length})",
    array="array({})",
    map="map({}, {})",
    field="{} {}",
    struct="row({})",
    quote='"',
    escapes={"'": "''"},
)
