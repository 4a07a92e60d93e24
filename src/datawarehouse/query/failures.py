"""An error of the engine in the words of the language that the user wrote: without generated SQL, and without advice
that only the engine's own users can follow.

Each pattern names the error of Trino that the statement would have there, as Athena shows it. What is not known here is
named by its kind alone.
"""

from __future__ import annotations

import re

_CAST = "INVALID_CAST_ARGUMENT"
_ARGUMENT = "INVALID_FUNCTION_ARGUMENT"
_RANGE = "NUMERIC_VALUE_OUT_OF_RANGE"

_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"Division by zero", "DIVISION_BY_ZERO: Division by zero. Use try(...), or nullif(divisor, 0)."),
    # Texts of `macros` and `typed.failing`: a cast that cannot succeed says what is wrong.
    (r"(?s)Could not convert string ['\"](Cannot cast .*)['\"] to \w+", _CAST + r": \1."),
    (r"(?s)invalid (?:date|timestamp) field format: \"(.*?)\", expected", _CAST + r": \1."),
    (r"(?s)Could not convert string '(Not a[n]? .*|Not in UTC.*)' to \w+", _ARGUMENT + r": \1."),
    (r"(?s)Could not convert string '(Array subscript .*)' to \w+", _ARGUMENT + r": \1."),
    (r"(?s)Could not convert string '(.* .*)' to \w+", _ARGUMENT + r": \1."),
    (r"(?s)Could not convert string '(.*)' to (\w+)", _CAST + r": Cannot cast '\1' to \2."),
    (
        r"Type (\w+) with value (\S+) can't be cast .* out of range for the destination type (\w+)",
        r"NUMERIC_VALUE_OUT_OF_RANGE: \2 is out of range for \3. Cast to a wider type, or use try_cast.",
    ),
    (r"not in timestamp range", _ARGUMENT + ": A date or a time is outside of the years that are possible here."),
    (
        r"Could not c(?:onvert string|ast value) \"?(.*?)\"? to (\S+)",
        _RANGE + r": \1 is out of range for \2. Use a smaller number, or try(...).",
    ),
    (r"Casting value \"(.*?)\" to type (\S+) failed", _RANGE + r": \1 is out of range for \2. Use a wider decimal."),
    (
        r"Overflow in (\w+) of \S+ \((.*?)\)",
        _RANGE + r": Overflow in the \1 \2. Cast one side to a wider type, or use try(...).",
    ),
    (r"Overflow", _RANGE + ": A number is too large for its type. Cast it to a wider one, or use try(...)."),
    (
        r"(?:Map keys must be unique|Map keys can not be NULL)",
        _ARGUMENT + ": The keys of a map must be unique and not NULL.",
    ),
    (
        r"Could not parse string \"(.*?)\" according to format specifier \"(.*?)\"",
        _ARGUMENT + r": The text '\1' is not of the format that was given.",
    ),
    (r"Failed to decode string \"(.*?)\" using URL decoding", _ARGUMENT + r": The text '\1' is not that of a URL."),
    (r"Interval value \S+ \w+ out of range", _RANGE + ": The interval is too long."),
    (r"Pattern failed to parse, error: '(.*?)'", _ARGUMENT + r": The pattern cannot be read (\1)."),
    (
        r"Invalid replacement string for regexp_replace",
        _ARGUMENT + ": The replacement names a group that the pattern does not have.",
    ),
    (r"Malformed JSON", _ARGUMENT + ": The text is not JSON. Use try(...), or json_extract, which gives NULL."),
    (
        r"More than one row returned by a subquery",
        "SUBQUERY_MULTIPLE_ROWS: A query used as a value gave more than one row. Aggregate it, or add LIMIT 1.",
    ),
    (
        r"column \"(.*?)\" must appear in the GROUP BY clause",
        r"EXPRESSION_NOT_AGGREGATE: '\1' must be an aggregate expression or appear in GROUP BY clause.",
    ),
    (r"window \"(.*?)\"", r"NOT_SUPPORTED: The window \1 cannot be used in this place here; write its clauses there."),
    # RE2's, of patterns that are values of rows
    (
        r"^invalid perl operator: (.*)",
        r"NOT_SUPPORTED: A pattern that is a value of the row cannot have \1 here; write the pattern as a literal.",
    ),
    (
        r"^((?:missing|unexpected|trailing|invalid|bad|no) [^:]*|pattern too large[^:]*): (.*)",
        _ARGUMENT + r": The pattern cannot be read at '\2' (\1).",
    ),
    (r"Not implemented|correlated", "NOT_SUPPORTED: This form of query cannot be answered here; write it as a join."),
    (r"(?s)^([A-Z_]+: .*)$", r"\1"),
)

_TYPES = {
    "INT8": "tinyint",
    "INT16": "smallint",
    "INT32": "integer",
    "INT64": "bigint",
    "FLOAT": "real",
    "VARCHAR": "varchar",
    "BLOB": "varbinary",
}


def described(text: str) -> str:
    """What a user is told of an error of the engine."""
    first = re.split(r"\n\s*\n?LINE \d+:", text, maxsplit=1)[0].strip()
    plain = re.sub(r"^(?:[A-Za-z]+ )+Error: ", "", first)
    for pattern, said in _PATTERNS:
        if found := re.search(pattern, plain):
            return _without_internals(found.expand(said))
    kind = re.match(r"((?:[A-Za-z]+ )+)Error: ", first)
    if kind and kind[1].strip() in ("Binder", "Parser", "Catalog", "INTERNAL", "Internal"):
        return "NOT_SUPPORTED: This statement cannot be answered here; write it in another form."
    return _without_internals(plain.split("\n", 1)[0])


def _without_internals(text: str) -> str:
    kept = re.sub(r"\s*You might want to .*|\s*Use TRY.*SET .*", "", text)
    named = re.sub(r"\b(INT8|INT16|INT32|INT64|FLOAT|VARCHAR|BLOB)\b", lambda found: _TYPES[found[0]], kept)
    return re.sub(r"\btrino_(\w+)", r"\1", named).strip()
