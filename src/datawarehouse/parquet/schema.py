"""Declared column types -> the Arrow types that Parquet files are written from.

Athena reads every one of them (Athena user guide, "Data types in Amazon Athena"): integers with their width,
timestamps in whole milliseconds without a zone, decimals as fixed-length bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import Array, ColumnType, Decimal, Map, Primitive, Struct, Text

_PRIMITIVES = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
}


def arrow_type(kind: ColumnType) -> pa.DataType:
    match kind:
        case Primitive(name):
            return _PRIMITIVES[name]
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Text():
            return pa.string()
        case Array(element):
            return pa.list_(arrow_type(element))
        case Map(key, value):
            return pa.map_(arrow_type(key), arrow_type(value))
        case Struct(fields):
            return pa.struct([(name, arrow_type(field)) for name, field in fields])


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    return pa.schema([(column.name, arrow_type(column.type)) for column in columns])


def column_type(kind: pa.DataType) -> ColumnType:
    """The declared type that `arrow_type` gives `kind` for; of several, the widest."""
    if pa.types.is_decimal(kind):
        return Decimal(kind.precision, kind.scale)
    if pa.types.is_list(kind):
        return Array(column_type(kind.value_type))
    if pa.types.is_map(kind):
        return Map(column_type(kind.key_type), column_type(kind.item_type))
    if pa.types.is_struct(kind):
        return Struct(tuple((field.name, column_type(field.type)) for field in kind))
    return next(Primitive(name) for name, stored in _PRIMITIVES.items() if stored.equals(kind))
