"""Casts, where the value is the same in both engines.

Sources: Amazon Redshift Database Developer Guide, "Data types", "Type compatibility and conversion" and
"enable_numeric_rounding"; for Athena, the rules of `sql.translate.casts`.
"""

from __future__ import annotations

import re

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Translator
from datawarehouse.sql.redshift.values import Value, fitted
from datawarehouse.sql.types import Type

_TYPES = {
    exp.DType.BOOLEAN: types.BOOLEAN,
    exp.DType.SMALLINT: types.SMALLINT,
    exp.DType.INT: types.INTEGER,
    exp.DType.BIGINT: types.BIGINT,
    exp.DType.FLOAT: types.REAL,
    exp.DType.DOUBLE: types.DOUBLE,
    exp.DType.DATE: types.DATE,
    exp.DType.TIMESTAMP: types.TIMESTAMP,
}
_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.NVARCHAR)
_LENGTH_DEFAULT = 256
_DIGITS = {types.SMALLINT: 6, types.INTEGER: 11, types.BIGINT: 20, types.DATE: 10}
"""The most characters of the text of a value."""


def cast(t: Translator, node: exp.Cast) -> Value:
    value = t.expression(node.this)
    to = node.args["to"]
    if to.this in _TEXTS:
        return _to_text(t, value, _length(to))
    return casted(t, value, _type(to))


def _type(to: exp.DataType) -> Type:
    kind, arguments = to.this, [part.name for part in to.expressions]
    if kind == exp.DType.DECIMAL:
        if len(arguments) > 2 or not all(each.isdigit() for each in arguments):
            raise NeedsPerson(f"{to.sql(dialect='redshift')} is not a type; a decimal has a precision and a scale")
        precision, scale = [int(each) for each in arguments] + [18, 0][len(arguments) :]
        return types.decimal(precision, scale)
    if kind in _TYPES and not arguments:
        return _TYPES[kind]
    name = to.sql(dialect="redshift")
    if kind in (exp.DType.CHAR, exp.DType.NCHAR, exp.DType.BPCHAR):
        raise NeedsPerson(f"{name} cuts a text and fills it with blanks, in bytes; write substr(...), or leave it out")
    if kind in (exp.DType.TIMESTAMPTZ, exp.DType.TIMETZ):
        raise NeedsPerson(f"{name}: tables have timestamps in UTC without a zone; write the time in UTC")
    if kind == exp.DType.SUPER:
        raise NeedsPerson("super: a declared column has the type of what is in it: struct, array or map")
    raise NeedsPerson(f"a cast to {name} has no form that is known to be the same")


def _length(to: exp.DataType) -> int:
    if not to.expressions:
        return _LENGTH_DEFAULT
    name = to.expressions[0].name
    return int(name) if name.isdigit() else 65535


def _to_text(t: Translator, value: Value, length: int) -> Value:
    source = value.type
    if value.literal is not None and len(value.literal.encode()) <= length:
        return value
    if value.is_null:
        return Value("CAST(NULL AS varchar)", types.VARCHAR)
    if source == types.VARCHAR:
        raise NeedsPerson(
            f"varchar({length}) cuts a text after {length} bytes, Athena after as many characters; leave the cast out, "
            f"or write substr(..., 1, {length})"
        )
    if source == types.TIMESTAMP:
        raise NeedsPerson(
            "a timestamp as text has as many digits after the second as it needs in Redshift, and three in Athena; "
            "write date_format(...)"
        )
    if source == types.BOOLEAN:
        raise NeedsPerson("a boolean has no text in Redshift as it has in Athena; write case when ... then 'true' ...")
    if source in types.FLOATS:
        raise NeedsPerson("a double precision number as text is 25.6 in Redshift and 2.56E1 in Athena; write format()")
    if source is None:
        t.assume(f"{value.text} is a whole number or a date, or a text that its length does not cut")
    elif _digits(source) > length:
        raise NeedsPerson(f"varchar({length}) is too short for each {source}")
    return Value(f"CAST({value.text} AS varchar)", types.VARCHAR)


def _digits(type: Type) -> int:
    return type.precision + 2 if type.name == "decimal" else _DIGITS.get(type, types.DECIMAL_DIGITS_MAX)


def casted(t: Translator, value: Value, target: Type) -> Value:
    source = value.type
    if value.literal is not None and target in (types.DATE, types.TIMESTAMP):
        return fitted(value, target)
    if source == target and not value.literal:
        return value
    if source in types.FLOATS and (target in types.INTEGERS or target.name == "decimal"):
        raise NeedsPerson(
            f"which way Redshift rounds a {source} to {target} is not documented; write round(), floor() or ceil() "
            "as it is meant"
        )
    if source and source.name == "decimal" and _loses_digits(source, target):
        raise NeedsPerson(
            f"a cast of {source} to {target} rounds or truncates as enable_numeric_rounding says; write round() or "
            "truncate() around it"
        )
    if value.literal is not None and target.name == "decimal":
        return fitted_decimal(value, target)
    if source == types.VARCHAR and target.name == "decimal":
        raise NeedsPerson(f"whether Redshift rounds or cuts a text with more digits than {target} is not documented")
    if source is None and not value.is_null:
        _assume(t, value, target)
    if source in (types.DATE, types.TIMESTAMP) and target not in (types.DATE, types.TIMESTAMP):
        raise NeedsPerson(f"{source} is not cast to {target} in Athena")
    if source == types.BOOLEAN and target not in types.INTEGERS:
        raise NeedsPerson(f"a boolean is not cast to {target} alike; write case when ... then 1 else 0 end")
    return Value(f"CAST({value.text} AS {_name(target)})", target)


def fitted_decimal(value: Value, target: Type) -> Value:
    """A text literal as a decimal that has all of its digits."""
    found = re.fullmatch(r"-?\d+(?:\.(\d+))?", value.literal or "")
    if not found or len(found[1] or "") > target.scale:
        raise NeedsPerson(f"{value.text} has other digits than {target}; write the number that is meant")
    return Value(f"CAST({value.text} AS {target})", target)


def _loses_digits(source: Type, target: Type) -> bool:
    return (target in types.INTEGERS and source.scale > 0) or (target.name == "decimal" and target.scale < source.scale)


def _assume(t: Translator, value: Value, target: Type) -> None:
    if target in types.INTEGERS or target.name == "decimal":
        t.assume(f"{value.text} is a text or a whole number: others are rounded otherwise")
    elif target == types.TIMESTAMP:
        t.assume(f"{value.text} is a text, a date, or a timestamp without a time zone")


def _name(type: Type) -> str:
    return "timestamp" if type == types.TIMESTAMP else str(type)
