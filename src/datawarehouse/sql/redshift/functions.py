"""Functions: what a call of Redshift becomes. One that is not here needs a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift import aggregates, texts, times
from datawarehouse.sql.redshift.calls import Call, read
from datawarehouse.sql.redshift.casts import casted
from datawarehouse.sql.redshift.expressions import compared, same
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Rule, Translator, knowing
from datawarehouse.sql.redshift.values import PREDICATE, PRODUCT, Value, aligned, fitted
from datawarehouse.sql.types import Type

Function = Callable[[Translator, Sequence[exp.Expr]], Value]


@dataclass(frozen=True, slots=True)
class Alike:
    """A function of both engines. kinds: of each argument, "t" a text, "n" a number, "i" a whole number, "*" anything;
    the last ones may be left out down to `fewest`. type: of the result, or the argument whose type it has."""

    name: str
    kinds: str
    type: Type | int
    fewest: int | None = None


ALIKE = {
    **{name: Alike(name, "n", types.DOUBLE) for name in
       "sqrt cbrt exp ln sin cos tan asin acos atan degrees radians".split()},
    "log": Alike("log10", "n", types.DOUBLE),
    "dlog10": Alike("log10", "n", types.DOUBLE),
    "dlog1": Alike("ln", "n", types.DOUBLE),
    "dexp": Alike("exp", "n", types.DOUBLE),
    "power": Alike("power", "nn", types.DOUBLE),
    "pow": Alike("power", "nn", types.DOUBLE),
    "atan2": Alike("atan2", "nn", types.DOUBLE),
    "pi": Alike("pi", "", types.DOUBLE),
    "random": Alike("random", "", types.DOUBLE),
    "abs": Alike("abs", "n", 0),
    "lower": Alike("lower", "t", types.VARCHAR),
    "upper": Alike("upper", "t", types.VARCHAR),
    **{name: Alike("length", "t", types.INTEGER) for name in "len length char_length character_length textlen".split()},
    "strpos": Alike("strpos", "tt", types.INTEGER),
    "replace": Alike("replace", "ttt", types.VARCHAR),
    "reverse": Alike("reverse", "t", types.VARCHAR),
    "translate": Alike("translate", "ttt", types.VARCHAR),
    "strtol": Alike("from_base", "ti", types.BIGINT),
    "json_array_length": Alike("json_array_length", "t", types.INTEGER),
}  # fmt: skip
_KINDS = {"t": "a text", "n": "a number", "i": "a whole number"}

REASONS = {
    "convert_timezone": "it gives a time of a zone, and the cast that would do it gives different times in Athena and "
    "Trino; write date_format(with_timezone(x, 'UTC') AT TIME ZONE 'zone', ...) for a text of it, or keep UTC",
    "timezone": "it gives a time of a zone; keep UTC, or write AT TIME ZONE inside of date_format(...)",
    "median": "Athena has no median; approx_percentile(x, 0.5) is an approximation",
    "percentile_cont": "Athena has no percentile_cont; approx_percentile(x, p) is an approximation",
    "percentile_disc": "Athena has no percentile_disc; approx_percentile(x, p) is an approximation",
    "json_extract_path_text": "json_extract_scalar(x, '$.a.b') gives the same for texts, numbers and booleans, but "
    "NULL for an object or array, of which Redshift gives the text, and for a text that is no JSON, which is "
    "an error in Redshift",
    "json_extract_array_element_text": "json_extract_scalar(x, '$[n]') gives the same for texts, numbers and "
    "booleans, and NULL for an object or array, of which Redshift gives the text",
    "json_parse": "it makes a SUPER; declare the column as a struct, array or map, or write json_extract_scalar(...)",
    "add_months": "it keeps the last day of a month, date_add does not: write which is meant",
    "months_between": "Athena has no months with a fraction; write date_diff('month', ...) for whole ones",
    "next_day": "write date_add('day', ...) from day_of_week(...)",
    "to_timestamp": "it gives a time with a zone; write date_parse(...), which gives a timestamp in UTC",
    "to_number": "write CAST(... AS decimal(p, s)) of a text of digits",
    "initcap": "Athena has no initcap; write it with regexp_replace or in the program",
    "pg_sleep": "Athena has no such function",
    "stddev": "whether Redshift computes it of decimals or of doubles is not documented for each type; write "
    "stddev(CAST(x AS double))",
    "variance": "write variance(CAST(x AS double))",
    "object": "it makes a SUPER; Athena makes a row: CAST(ROW(...) AS ROW(name type, ...))",
    "generate_series": "it runs on the leader node alone; write UNNEST(sequence(...))",
}


def call(t: Translator, node: exp.Expr) -> Value:
    found = read(t, node)
    if found.name in aggregates.RULES:
        return aggregates.RULES[found.name](t, found)
    if found.name in REASONS:
        raise NeedsPerson(f"{found.name}: {REASONS[found.name]}")
    if not found.is_plain:
        raise NeedsPerson(f"{found.name} with DISTINCT, OVER or WITHIN GROUP has no form that is known to be the same")
    if found.name in ALIKE:
        return _alike(t, found, ALIKE[found.name])
    if found.name in RULES:
        fewest, most, rule = RULES[found.name]
        if not fewest <= len(found.arguments) <= most:
            raise NeedsPerson(f"{found.name} with {len(found.arguments)} arguments is not translated")
        return rule(t, found.arguments)
    raise NeedsPerson(f"the function {found.name} has no form that is known to be the same in Athena")


def _alike(t: Translator, found: Call, form: Alike) -> Value:
    given = [t.expression(node) for node in found.arguments]
    if len(given) != len(form.kinds):
        raise NeedsPerson(f"{found.name} with {len(given)} arguments is not translated")
    given = [_of_kind(found.name, value, kind) for value, kind in zip(given, form.kinds, strict=True)]
    if form.name in ("replace", "strpos") and given[1].literal == "":
        raise NeedsPerson(f"{found.name} of an empty text: whether both engines find it alike is not documented")
    type = given[form.type].type if isinstance(form.type, int) else form.type
    return Value(f"{form.name}({', '.join(value.text for value in given)})", type)


def _of_kind(name: str, value: Value, kind: str) -> Value:
    if value.type is None:
        return value
    if kind == "n" and value.literal is not None:
        return fitted(value, types.DOUBLE)
    is_right = {
        "t": value.type == types.VARCHAR,
        "n": types.is_numeric(value.type),
        "i": value.type in types.INTEGERS,
    }[kind]
    if not is_right:
        raise NeedsPerson(f"{name} takes {_KINDS[kind]}, and {value.text} is {value.type}; write the cast")
    return value


# -- conditions and choices


def coalesce(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    listed, type = aligned([t.expression(node) for node in nodes], "coalesce")
    return Value(f"coalesce({', '.join(value.text for value in listed)})", type)


def nvl2(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    asked, *results = (t.expression(node) for node in nodes)
    results, type = aligned(results, "nvl2")
    return Value(f"if({asked.text} IS NOT NULL, {results[0].text}, {results[1].text})", type)


def nullif(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    (left, right), _ = same(t, [t.expression(node) for node in nodes], "nullif")
    return Value(f"nullif({left.text}, {right.text})", left.type)


def decode(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    """Unlike a CASE, decode finds a NULL with a NULL."""
    asked, pairs = t.expression(nodes[0]), nodes[1:]
    default = t.expression(pairs[-1]) if len(pairs) % 2 else None
    searched = [t.expression(node) for node in pairs[0 : len(pairs) - len(pairs) % 2 : 2]]
    results = [t.expression(node) for node in pairs[1::2]]
    results, type = aligned([*results, *([default] if default else [])], "decode")
    branches = []
    for wanted, then in zip(searched, results, strict=False):
        if wanted.is_null:
            when = f"{asked.inside(PREDICATE + 1)} IS NULL"
        elif wanted.literal is not None or (wanted.type and wanted.text.isdigit()):
            when = compared(t, asked, "=", wanted).text
        else:
            (left, right), _ = same(t, [asked, wanted], "decode")
            when = f"{left.inside(PREDICATE + 1)} IS NOT DISTINCT FROM {right.inside(PREDICATE + 1)}"
        branches.append(f"WHEN {when} THEN {then.text}")
    return Value(f"CASE {' '.join(branches)}{f' ELSE {results[-1].text}' if default else ''} END", type)


def extreme(name: str) -> Function:
    """greatest and least leave out NULL in Redshift; in Athena one NULL makes the result NULL."""

    def rule(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
        listed, type = same(t, [t.expression(node) for node in nodes], name)
        items = ", ".join(value.text for value in listed)
        largest = "array_max" if name == "greatest" else "array_min"
        return Value(f"{largest}(filter(ARRAY[{items}], x -> x IS NOT NULL))", type)

    return rule


# -- numbers


def mod(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    left, right = (_of_kind("mod", t.expression(node), "n") for node in nodes)
    type = types.common(left.type, right.type) if left.type and right.type else None
    return Value(f"{left.inside(PRODUCT)} % {right.inside(PRODUCT + 1)}", type, PRODUCT)


def rounded(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    value = t.expression(nodes[0])
    if value.type in types.FLOATS:
        raise NeedsPerson(
            f"which way Redshift rounds a half of a {value.type} is not documented; write which way "
            "is meant, e.g. with floor()"
        )
    if value.type is None and not value.is_null:
        t.assume(f"{value.text} is a decimal: a half of a double precision number may be rounded otherwise")
    elif value.type and not types.is_numeric(value.type):
        raise NeedsPerson(f"{value.text} is {value.type}; write the cast")
    digits = [t.expression(node).text for node in nodes[1:]]
    return Value(f"round({', '.join([value.text, *digits])})", value.type)


def whole(name: str) -> Function:
    def rule(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
        value = _of_kind(name, t.expression(nodes[0]), "n")
        type = value.type if value.type in (*types.INTEGERS, types.DOUBLE) else None
        return Value(f"{name}({value.text})", type)

    return rule


def date(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    return casted(t, t.expression(nodes[0]), types.DATE)


RULES: dict[str, tuple[int, int, Function]] = {
    "nvl": (1, 99, coalesce),
    "coalesce": (1, 99, coalesce),
    "nvl2": (3, 3, nvl2),
    "nullif": (2, 2, nullif),
    "decode": (3, 999, decode),
    "greatest": (1, 99, extreme("greatest")),
    "least": (1, 99, extreme("least")),
    "mod": (2, 2, mod),
    "round": (1, 2, rounded),
    "ceil": (1, 1, whole("ceil")),
    "ceiling": (1, 1, whole("ceil")),
    "floor": (1, 1, whole("floor")),
    "sign": (1, 1, whole("sign")),
    "getdate": (0, 0, times.getdate),
    "sysdate": (0, 0, times.sysdate),
    "dateadd": (3, 3, times.dateadd),
    "date_add": (3, 3, times.dateadd),
    "datediff": (3, 3, times.datediff),
    "date_diff": (3, 3, times.datediff),
    "date_trunc": (2, 2, times.date_trunc),
    "date_part": (2, 2, times.date_part),
    "last_day": (1, 1, times.last_day),
    "date": (1, 1, date),
    "trunc": (1, 2, times.trunc),
    "to_char": (2, 2, times.to_char),
    "to_date": (2, 2, times.to_date),
    **texts.FUNCTIONS,
}

CALLS: dict[type[exp.Expr], Rule] = {
    exp.Anonymous: call,
    exp.Window: call,
    exp.WithinGroup: call,
    exp.IgnoreNulls: call,
    exp.RespectNulls: call,
    exp.CurrentDate: times.current_date,
    exp.Extract: knowing("this expression", times.extract),
    exp.Trim: texts.trim_of,
    exp.Substring: texts.substring_of,
    exp.StrPosition: texts.position_of,
}
