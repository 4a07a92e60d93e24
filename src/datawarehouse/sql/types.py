"""Trino's types, how they are coerced, and their names in DuckDB.

Source: Trino documentation, "Data types" and "Conversion functions"; Amazon Athena user guide, "Data types".

Two simplifications, both from the data: a timestamp has at least milliseconds, as Athena's tables have, and a varchar
has no length. DuckDB keeps microseconds, so that a time has at most six digits after the second.

A timestamp with time zone is an instant. Those of one type are all in UTC, or all in the `zone` of their type, which is
a type of its own, so that no function can mistake its local time for that in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

from datawarehouse.definition.types import Array, ColumnType, Decimal, Map, Primitive, Struct, Text


@dataclass(frozen=True, slots=True)
class Type:
    """`args`: the element of an array, key and value of a map, the fields of a row. `names`: a row's field names.
    `zone`: of all values of a timestamp with time zone, "" for UTC."""

    name: str
    args: tuple[Type, ...] = ()
    names: tuple[str | None, ...] = ()
    precision: int = 0
    scale: int = 0
    zone: str = ""

    def __str__(self) -> str:
        if self.name == "char":
            return f"char({self.precision})"
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "row":
            fields = (f"{name} {arg}" if name else str(arg) for name, arg in zip(self.names, self.args, strict=True))
            return f"row({', '.join(fields)})"
        if self.args:
            return f"{self.name}({', '.join(map(str, self.args))})"
        return self.name


UNKNOWN = Type("unknown")
BOOLEAN = Type("boolean")
TINYINT, SMALLINT, INTEGER, BIGINT = Type("tinyint"), Type("smallint"), Type("integer"), Type("bigint")
REAL, DOUBLE = Type("real"), Type("double")
VARCHAR, VARBINARY, JSON = Type("varchar"), Type("varbinary"), Type("json")
DATE, TIMESTAMP, INSTANT = Type("date"), Type("timestamp(3)"), Type("timestamp(3) with time zone")
DIGITS_MIN, DIGITS_MAX = 3, 6
"""Of a timestamp, after the second."""
TIMESTAMPS = tuple(Type(f"timestamp({digits})") for digits in range(DIGITS_MIN, DIGITS_MAX + 1))
INSTANTS = tuple(Type(f"{type.name} with time zone") for type in TIMESTAMPS)
DAYTIMES = tuple(Type(f"time({digits})") for digits in range(DIGITS_MAX + 1))
"""The types `time`."""
DAYTIMES_WITH_OFFSET = tuple(Type(f"{type.name} with time zone") for type in DAYTIMES)
DAY_TO_SECOND, YEAR_TO_MONTH = Type("interval day to second"), Type("interval year to month")
HYPERLOGLOG = Type("HyperLogLog")
UUID, IPADDRESS = Type("uuid"), Type("ipaddress")
"""A UUID is its text here, an address the hexadecimal digits of its 16 bytes: both have the order of Trino's."""

INTEGERS = (TINYINT, SMALLINT, INTEGER, BIGINT)
FLOATS = (REAL, DOUBLE)
TIMES = (DATE, *TIMESTAMPS, *INSTANTS)
INTERVALS = (DAY_TO_SECOND, YEAR_TO_MONTH)
_DIGITS = {TINYINT: 3, SMALLINT: 5, INTEGER: 10, BIGINT: 19}
DECIMAL_DIGITS_MAX = 38

_DUCKDB = {
    UNKNOWN: "INTEGER",
    BOOLEAN: "BOOLEAN",
    TINYINT: "TINYINT",
    SMALLINT: "SMALLINT",
    INTEGER: "INTEGER",
    BIGINT: "BIGINT",
    REAL: "FLOAT",
    DOUBLE: "DOUBLE",
    VARCHAR: "VARCHAR",
    VARBINARY: "BLOB",
    JSON: "JSON",
    DATE: "DATE",
    **dict.fromkeys(TIMESTAMPS, "TIMESTAMP"),
    **dict.fromkeys(INSTANTS, "TIMESTAMPTZ"),
    **dict.fromkeys(DAYTIMES, "TIME"),
    **dict.fromkeys(DAYTIMES_WITH_OFFSET, "VARCHAR"),  # as Trino writes it: DuckDB's TIMETZ has another equality
    DAY_TO_SECOND: "INTERVAL",
    YEAR_TO_MONTH: "INTERVAL",
    HYPERLOGLOG: "INTEGER[]",
    UUID: "VARCHAR",
    IPADDRESS: "VARCHAR",
}
_GLUE = {
    "boolean": BOOLEAN,
    "tinyint": TINYINT,
    "smallint": SMALLINT,
    "int": INTEGER,
    "bigint": BIGINT,
    "float": REAL,
    "double": DOUBLE,
    "string": VARCHAR,
    "binary": VARBINARY,
    "date": DATE,
    "timestamp": TIMESTAMP,
}


def array(element: Type) -> Type:
    return Type("array", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def row(fields: tuple[Type, ...], names: tuple[str | None, ...] | None = None) -> Type:
    return Type("row", fields, names or (None,) * len(fields))


def decimal(precision: int, scale: int) -> Type:
    return Type("decimal", precision=precision, scale=scale)


def char(length: int) -> Type:
    """Text that is filled with blanks to its length; in a comparison the blanks do not count."""
    return Type("char", precision=length)


def timestamp(digits: int) -> Type:
    """digits: after the second, from 3 to 6."""
    return TIMESTAMPS[digits - DIGITS_MIN]


def instant(digits: int, zone: str = "") -> Type:
    """A timestamp with time zone."""
    return Type(INSTANTS[digits - DIGITS_MIN].name, zone=zone)


def is_instant(type: Type) -> bool:
    """Whether it is a timestamp with time zone, in whatever zone."""
    return type.name.startswith("timestamp(") and type.name.endswith(" with time zone")


def digits_of(type: Type) -> int:
    """How many a time or timestamp has after the second."""
    return int(type.name.partition("(")[2][0])


def in_utc(type: Type) -> Type:
    """The same type without its zone: in a comparison zones do not count."""
    return instant(digits_of(type)) if type.zone else type


def is_numeric(type: Type) -> bool:
    return type in INTEGERS or type in FLOATS or type.name == "decimal"


def as_decimal(type: Type) -> Type:
    """The decimal type that holds every value of an integer type; a decimal type itself."""
    return decimal(_DIGITS[type], 0) if type in INTEGERS else type


def holds(type: Type, part: Type) -> bool:
    """Whether a type is `part` or has it inside."""
    return type == part or any(holds(arg, part) for arg in type.args)


def of_column(type: ColumnType) -> Type:
    """The type under which SQL sees a declared column."""
    match type:
        case Primitive(name):
            return _GLUE[name]
        case Text():
            return VARCHAR
        case Decimal(precision, scale):
            return decimal(precision, scale)
        case Array(element):
            return array(of_column(element))
        case Map(key, value):
            return map_of(of_column(key), of_column(value))
        case Struct(fields):
            return row(tuple(of_column(field) for _, field in fields), tuple(name for name, _ in fields))


_COLUMN_TYPES = {type: Primitive(name) for name, type in _GLUE.items()}


def column_type(type: Type) -> ColumnType | None:
    """The type of a column that holds values of `type`, as the Glue catalog names it; None if there is none."""
    if type in _COLUMN_TYPES:
        return _COLUMN_TYPES[type]
    if type.name == "char":
        return Text("char", type.precision)
    if type.name == "decimal":
        return Decimal(type.precision, type.scale)
    args = [found for arg in type.args if (found := column_type(arg))]
    if not args or len(args) != len(type.args):
        return None
    if type.name == "row":
        names = [str(name) for name in type.names if name]
        return Struct(tuple(zip(names, args, strict=True))) if len(names) == len(args) else None
    return Array(args[0]) if type.name == "array" else Map(args[0], args[1])


def duckdb(type: Type) -> str:
    """The DuckDB type that holds values of `type`."""
    if type in _DUCKDB:
        return _DUCKDB[type]
    if type.zone:
        return "TIMESTAMPTZ"
    if type.name == "char":
        return "VARCHAR"
    if type.name == "decimal":
        return f"DECIMAL({type.precision}, {type.scale})"
    if type.name == "array":
        return duckdb(type.args[0]) + "[]"
    if type.name == "map":
        return f"MAP({duckdb(type.args[0])}, {duckdb(type.args[1])})"
    fields = zip(type.names, type.args, strict=True)
    if None in type.names:
        return f"TUPLE({', '.join(duckdb(arg) for _, arg in fields)})"
    quoted = ('"' + str(name).replace('"', '""') + '" ' + duckdb(arg) for name, arg in fields)
    return f"STRUCT({', '.join(quoted)})"


def common(a: Type, b: Type) -> Type | None:
    """The type to which both are coerced without an explicit cast, or None."""
    if a == b or b == UNKNOWN:
        return a
    if a == UNKNOWN:
        return b
    if is_numeric(a) and is_numeric(b):
        return _common_number(a, b)
    if a.name == b.name == "char":
        return max(a, b, key=lambda type: type.precision)
    if a in TIMES and b in TIMES:
        return _common_time(a, b)
    if a.zone == b.zone != "" or (a in DAYTIMES and b in DAYTIMES):
        return max(a, b, key=digits_of)
    if a.name == b.name and len(a.args) == len(b.args) and a.args:
        args = [common(x, y) for x, y in zip(a.args, b.args, strict=True)]
        if None in args:
            return None
        names = tuple(x if x == y else None for x, y in zip(a.names, b.names, strict=True))
        return Type(a.name, tuple(arg for arg in args if arg), names)
    return None


def coerces(source: Type, target: Type) -> bool:
    return common(source, target) == target or (source.name == "char" and target == VARCHAR)


def is_inserted(source: Type, target: Type) -> bool:
    """Whether values are inserted into a column without an explicit cast: those of rows whatever their names are."""
    if source.name == target.name and source.args and len(source.args) == len(target.args):
        return all(map(is_inserted, source.args, target.args))
    return coerces(source, target)


def _common_time(a: Type, b: Type) -> Type:
    digits = max((digits_of(type) for type in (a, b) if type != DATE), default=0)
    if not digits:
        return DATE
    return instant(digits) if a in INSTANTS or b in INSTANTS else timestamp(digits)


def _common_number(a: Type, b: Type) -> Type:
    if a in INTEGERS and b in INTEGERS:
        return max(a, b, key=INTEGERS.index)
    if DOUBLE in (a, b):
        return DOUBLE
    if REAL in (a, b):
        return REAL
    a, b = as_decimal(a), as_decimal(b)
    scale = max(a.scale, b.scale)
    return decimal(min(DECIMAL_DIGITS_MAX, max(a.precision - a.scale, b.precision - b.scale) + scale), scale)
