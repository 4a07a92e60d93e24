"""The statements that a real Trino was asked: each line of statements.txt over columns of edge values, and literals.

A line of statements.txt is a whole statement, if it begins with SELECT, WITH, VALUES or TABLE, or else an expression:
`$n` is the column n of the table `edges`, and `@(x|y)` stands for x in one expression and for y in another. An
expression becomes `SELECT id, ... FROM edges ORDER BY id`, and a statement with the literals of three rows in the place
of its columns, of which the first has NULL everywhere.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LINES = Path(__file__).with_name("statements.txt")

ROWS = 8
NULL = "NULL"
# For each column its type, in Trino and as it is declared here, and its values: NULL, nothing, the greatest, the least,
# two that are ordinary, one outside ASCII, and one that is odd.
EDGES: dict[str, tuple[str, str, list[str]]] = {
    "b": ("boolean", "boolean", [NULL, "false", "true", "false", "true", NULL, "true", "false"]),
    "ti": ("tinyint", "tinyint", [NULL, "0", "127", "-128", "5", "-7", "42", "1"]),
    "si": ("smallint", "smallint", [NULL, "0", "32767", "-32768", "12", "-13", "300", "2"]),
    "i": ("integer", "int", [NULL, "0", "2147483647", "-2147483648", "17", "-19", "1000", "3"]),
    "n": (
        "bigint",
        "bigint",
        [NULL, "0", "9223372036854775807", "-9223372036854775808", "25", "-100", "1700000000", "4"],
    ),
    "r": ("real", "float", [NULL, "0", "3.4028235E38", "-1.4E-45", "1.5E0", "-2.25E0", "0.1E0", "nan()"]),
    "d": (
        "double",
        "double",
        [NULL, "0", "1.7976931348623157E308", "-4.9E-324", "2.5E0", "-1234.5678E0", "0.1E0", "infinity()"],
    ),
    "amt": (
        "decimal(12,2)",
        "decimal(12,2)",
        [
            NULL,
            *(f"decimal '{value}'" for value in "0.00 9999999999.99 -9999999999.99 12.50 -0.05 1234.56 1.00".split()),
        ],
    ),
    "big": (
        "decimal(38,0)",
        "decimal(38,0)",
        [NULL, "0", "decimal '" + "9" * 38 + "'", "decimal '-" + "9" * 38 + "'", "15", "-25", "10000000000", "7"],
    ),
    "s": (
        "varchar",
        "string",
        [NULL, "''", "'zzz'", "'   '", "'Hello World'", "'a,b,,c'", "'Straße 信念 😀'", "' null\t'"],
    ),
    "p": ("varchar", "string", [NULL, "''", "'z'", "' '", "'o'", "','", "'ß'", "'l'"]),
    "num": (
        "varchar",
        "string",
        [NULL, "''", "'9223372036854775807'", "'-128'", "'12'", "'1.5'", "' 7 '", "'1e3'"],
    ),
    "u": (
        "varchar",
        "string",
        [
            NULL,
            "''",
            "'https://user@example.com:8080/a%20b/c?x=1&y=&x=2#frag'",
            "'http://localhost'",
            "'mailto:a@b.c'",
            "'/path?q=%C3%A9+x'",
            "'http://example.com/ü?k=ß'",
            "'not a url'",
        ],
    ),
    "bin": (
        "varbinary",
        "binary",
        [NULL, "X''", "X'ff'", "X'00'", "X'48656c6c6f'", "X'0001ff7f'", "X'e4bfa1'", "X'c3'"],
    ),
    "dt": (
        "date",
        "date",
        [
            NULL,
            *(
                f"date '{value}'"
                for value in "1970-01-01 9999-12-31 0001-01-01 2024-02-29 2026-11-23 1969-12-31 2000-01-03".split()
            ),
        ],
    ),
    "ts": (
        "timestamp(3)",
        "timestamp",
        [
            NULL,
            "timestamp '1970-01-01 00:00:00.000'",
            "timestamp '9999-12-31 23:59:59.999'",
            "timestamp '0001-01-01 00:00:00.000'",
            "timestamp '2024-02-29 12:34:56.789'",
            "timestamp '2026-11-23 07:08:09.010'",
            "timestamp '1969-12-31 23:59:59.999'",
            "timestamp '2000-12-31 00:30:00.000'",
        ],
    ),
    "a": (
        "array(bigint)",
        "array<bigint>",
        [
            NULL,
            "array[]",
            "array[9223372036854775807]",
            "array[-1, -1, 0]",
            "array[3, 1, 2, 1]",
            "array[5, null, 4]",
            "array[null]",
            "array[null, null, 1]",
        ],
    ),
    "sa": (
        "array(varchar)",
        "array<string>",
        [
            NULL,
            "array[]",
            "array['']",
            "array['b', 'a', 'b']",
            "array['x', null, '']",
            "array['ä', 'z']",
            "array[null]",
            "array['1', '10', '2']",
        ],
    ),
    "da": (
        "array(double)",
        "array<double>",
        [
            NULL,
            "array[]",
            "array[1e308]",
            "array[5e-1, -5e-1]",
            "array[1e0, 2e0]",
            "array[null, 25e-1]",
            "array[infinity()]",
            "array[3e0, 1e0]",
        ],
    ),
    "aa": (
        "array(array(bigint))",
        "array<array<bigint>>",
        [
            NULL,
            "array[]",
            "array[array[]]",
            "array[array[1], array[2, 3]]",
            "array[array[1, null]]",
            "array[null, array[4]]",
            "array[null]",
            "array[array[1], array[1]]",
        ],
    ),
    "m": (
        "map(varchar, bigint)",
        "map<string,bigint>",
        [
            NULL,
            "map(array[], array[])",
            "map(array['k'], array[9223372036854775807])",
            "map(array['', 'a'], array[0, -1])",
            "map(array['a', 'b'], array[1, 2])",
            "map(array['x'], array[null])",
            "map(array['ä'], array[1])",
            "map(array['a', 'b', 'c'], array[3, 1, 2])",
        ],
    ),
    "rw": (
        "row(x bigint, y varchar)",
        "struct<x:bigint,y:string>",
        [
            NULL,
            "row(0, '')",
            "row(9223372036854775807, 'z')",
            "row(null, null)",
            "row(1, 'a')",
            "row(2, null)",
            "row(null, 'ü')",
            "row(3, 'b')",
        ],
    ),
    "js": (
        "varchar",
        "string",
        [
            NULL,
            "'{}'",
            "'9223372036854775807'",
            "'[]'",
            """'{"a": {"b": [1, 2, {"c": null}]}, "s": "t", "n": 12}'""",
            """'[1, "x", null, true, 25]'""",
            """'"ä\\u00e9"'""",
            "'null'",
        ],
    ),
}

# ruff: noqa: E501 - a row stands on one line
# An example: what a shop sold. For aggregates, windows, joins and set operations.
SALES = (
    "id bigint, region varchar, product varchar, day date, sold timestamp(3), quantity integer, price double, "
    "amount decimal(12,2), paid boolean, tags array(varchar)"
)
SALES_GLUE = (
    "id:bigint region:string product:string day:date sold:timestamp quantity:int price:double "
    "amount:decimal(12,2) paid:boolean tags:array<string>"
)
SALES_ROWS = """
1, 'north', 'pen', date '2026-01-01', timestamp '2026-01-01 08:00:00.000', 3, 1.5E0, decimal '4.50', true, array['a', 'b']
2, 'north', 'ink', date '2026-01-01', timestamp '2026-01-01 09:30:00.000', 1, 7.25E0, decimal '7.25', true, array['b']
3, 'south', 'pen', date '2026-01-02', timestamp '2026-01-02 00:00:00.000', 10, 1.5E0, decimal '15.00', false, array[]
4, 'south', null, date '2026-01-02', timestamp '2026-01-02 23:59:59.999', null, null, null, null, null
5, null, 'pad', date '2026-01-31', timestamp '2026-01-31 12:00:00.001', 2, 4E0, decimal '8.00', true, array['c', null]
6, 'east', 'pen', null, null, -1, 1.5E0, decimal '-1.50', false, array['a']
7, 'east', 'ink', date '2026-02-28', timestamp '2026-02-28 06:06:06.006', 4, 7.5E0, decimal '30.00', true, array['b', 'a']
8, 'north', 'pen', date '2026-02-28', timestamp '2026-02-28 06:06:06.006', 3, 1.75E0, decimal '5.25', null, array['a', 'a']
9, 'north', null, date '2026-03-01', timestamp '2026-03-01 18:45:30.500', 0, 0E0, decimal '0.00', false, array[null]
10, 'été', 'crème', date '2026-03-01', timestamp '2026-03-01 18:45:30.500', 6, 2.125E0, decimal '12.75', true, array['ä']
11, 'south', 'ink', date '2026-12-31', timestamp '2026-12-31 23:00:00.000', 5, 7.25E0, decimal '36.25', true, null
12, 'south', 'pen', date '2026-01-02', timestamp '2026-01-02 00:00:00.000', 10, 1.5E0, decimal '15.00', false, array[]
"""
REGIONS = "region varchar, name varchar, chief varchar, opened date"
REGIONS_GLUE = "region:string name:string chief:string opened:date"
REGIONS_ROWS = """
'north', 'Nord', 'Ada', date '2020-01-01'
'south', 'Süd', null, date '2021-06-30'
'west', 'West', 'Bob', null
null, 'Nowhere', 'Cy', date '2019-12-31'
'été', 'Été', 'Ada', date '2024-02-29'
"""


class Case(NamedTuple):
    """If the whole statement fails, each part is asked alone, in `form` in the place of {}; those that do not fail once
    more together."""

    whole: str
    form: str = ""
    parts: tuple[str, ...] = ()

    def of(self, *parts: str) -> str:
        return self.form.replace("{}", ", ".join(parts))


def tables() -> Iterator[tuple[str, str, str]]:
    """Each table: its name, what makes it in Trino, and its columns as a declaration has them."""
    columns = ", ".join(
        f"CAST(v{position} AS {kind}) AS {name}" for position, (name, (kind, _, _)) in enumerate(EDGES.items())
    )
    rows = [
        f"SELECT {row + 1} AS id, "
        + ", ".join(f"CAST({values[row]} AS {kind}) AS v{at}" for at, (kind, _, values) in enumerate(EDGES.values()))
        for row in range(ROWS)
    ]
    glue = " ".join(["id:int", *(f"{name}:{glue}" for name, (_, glue, _) in EDGES.items())])
    yield "edges", f"CREATE TABLE edges AS SELECT id, {columns} FROM ({' UNION ALL '.join(rows)})", glue
    for name, typed, declared, lines in (
        ("sales", SALES, SALES_GLUE, SALES_ROWS),
        ("regions", REGIONS, REGIONS_GLUE, REGIONS_ROWS),
    ):
        kinds = [column.strip().split(" ", 1) for column in re.split(r", (?=[a-z]+ )", typed)]
        casts = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in kinds)
        names = ", ".join(column for column, _ in kinds)
        values = ", ".join(f"({line})" for line in lines.strip().splitlines())
        yield name, f"CREATE TABLE {name} AS SELECT {casts} FROM (VALUES {values}) AS t({names})", declared


def cases() -> Iterator[Case]:
    for number, line in enumerate(LINES.read_text(encoding="utf-8").splitlines()):
        if not line.strip() or line.startswith("#"):
            continue
        for text in _variants(line.strip()):
            if re.match(r"(?i)(select|with|values|table)\b", text):
                yield Case(text)
            else:
                yield from _of_expression(text, number)


def _variants(line: str) -> Iterator[str]:
    pieces = re.split(r"@\(((?:[^()]|\([^()]*\))*)\)", line)
    choices = [piece.split("|") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    return map("".join, itertools.product(*choices))


def _of_expression(text: str, number: int) -> Iterator[Case]:
    plain = _filled(text, None)
    if plain == text:
        yield Case(f"SELECT {text}")
        return
    every = f"SELECT id, {plain} FROM edges"
    yield Case(f"{every} ORDER BY id", every + " WHERE id IN ({}) ORDER BY id", tuple(map(str, range(1, ROWS + 1))))
    rows = (0, 1 + number % 3, 4 + number % 4)
    literals = tuple(_filled(text, row) for row in rows)
    yield Case(f"SELECT {', '.join(literals)}", "SELECT {}", literals)


def _filled(text: str, row: int | None) -> str:
    """The expression over columns, or with the literals of a row."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        if name not in EDGES:
            return match[0]
        kind, _, values = EDGES[name]
        if row is None:
            return name
        value = values[row]
        # Elsewhere the literal has the type by itself.
        plain = kind in ("tinyint", "smallint", "real", "decimal(38,0)") or kind.startswith(("array", "map", "row"))
        needs_cast = value == NULL or plain
        return f"CAST({value} AS {kind})" if needs_cast or name in ("n", "d") else value

    return re.sub(r"\$([a-z]+)", part, text)


# A text, a name in quotes, or a number with a point and without an exponent.
_BARE = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|(?<![\w.])(\d+\.\d*|\.\d+)(?![\w.])""")


def for_trino(statement: str) -> str:
    """The statement with each bare decimal literal as a double, which it is in Athena, and a decimal in Trino."""
    return _BARE.sub(lambda found: found[1] or f"{found[2]}E0", statement)
