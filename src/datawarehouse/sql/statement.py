"""The kind of a statement. A text must have exactly one statement, of a kind that reads.

1. Leave out leading comments and the final semicolon.
2. SHOW and DESCRIBE are Hive's language in Athena, with its back-ticks and patterns: they are matched here.
3. EXPLAIN is removed, and the rest is read as a query.
4. A query goes through the grammar; the tree must be one SELECT, VALUES, TABLE or set operation.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import NamedTuple

from sqlglot import exp

from datawarehouse.errors import QueryRefused, SqlSyntaxError
from datawarehouse.sql import changes, grammar
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.wildcards import Part, hive, like

ALLOWED = (
    "SELECT, WITH ... SELECT, VALUES, TABLE, UNION, INTERSECT, EXCEPT, EXPLAIN SELECT, SHOW TABLES, SHOW COLUMNS, "
    "SHOW PARTITIONS and DESCRIBE"
)
_FIRST_WORDS = ("SELECT", "WITH", "VALUES", "TABLE")
_TWO_WORDS = ("CREATE", "DROP", "ALTER", "MSCK")
QUERIES = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)

INVALID_VIEW = "INVALID_VIEW"

_COMMENT = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/)", re.DOTALL)
_NAME = r"(?:\"[^\"]+\"|`[^`]+`|[A-Za-z_][A-Za-z0-9_$]*)"
_TABLE = rf"(?P<table>{_NAME}(?:\s*\.\s*{_NAME}){{0,2}})"
_LIKE = r"(?:\s+LIKE\s+'(?P<like>(?:[^']|'')*)'|\s+'(?P<wildcard>[^']*)')?"
_FORMS = {
    "show_tables": rf"SHOW\s+TABLES(?:\s+(?:IN|FROM)\s+(?P<database>{_NAME}))?{_LIKE}",
    "describe": rf"(?:DESCRIBE|DESC)(?:\s+(?:EXTENDED|FORMATTED))?\s+{_TABLE}",
    "show_columns": rf"SHOW\s+COLUMNS\s+(?:IN|FROM)\s+{_TABLE}(?:\s+(?:IN|FROM)\s+(?P<database>{_NAME}))?{_LIKE}",
    "show_catalogs": rf"SHOW\s+CATALOGS{_LIKE}",
    "show_schemas": rf"SHOW\s+(?:SCHEMAS|DATABASES)(?:\s+(?:IN|FROM)\s+{_NAME})?{_LIKE}",
    "show_views": rf"SHOW\s+VIEWS(?:\s+(?:IN|FROM)\s+(?P<database>{_NAME}))?{_LIKE}",
    "show_create": rf"SHOW\s+CREATE\s+(?P<what>TABLE|VIEW)\s+{_TABLE}",
    "show_functions": rf"SHOW\s+FUNCTIONS{_LIKE}",
    "show_stats": rf"SHOW\s+STATS\s+FOR\s+{_TABLE}",
    "show_partitions": rf"SHOW\s+PARTITIONS\s+{_TABLE}",
}
_FORM = {kind: re.compile(rf"(?:{form})\s*;?", re.IGNORECASE) for kind, form in _FORMS.items()}


_EXPLAIN = re.compile(
    r"\s*EXPLAIN(?P<analyze>\s+ANALYZE(?:\s+VERBOSE)?)?(?:\s*\(\s*(?P<options>(?:TYPE|FORMAT)\s+\w+(?:\s*,\s*(?:TYPE|FORMAT)"
    r"\s+\w+)*)\s*\))?(?=[\s(])",
    re.IGNORECASE,
)
_EXPLAINED = {
    frozenset(): "explain",
    **dict.fromkeys(
        (
            *(frozenset((kind,)) for kind in ("TYPE LOGICAL", "TYPE DISTRIBUTED", "FORMAT TEXT")),
            *(frozenset((kind, "FORMAT TEXT")) for kind in ("TYPE LOGICAL", "TYPE DISTRIBUTED")),
        ),
        "explain",
    ),
    **dict.fromkeys((frozenset(("TYPE IO",)), frozenset(("TYPE IO", "FORMAT JSON"))), "explain_io"),
    **dict.fromkeys((frozenset(("TYPE VALIDATE",)), frozenset(("TYPE VALIDATE", "FORMAT TEXT"))), "explain_validate"),
}
"""What the options of EXPLAIN ask for."""

_IMMEDIATE = re.compile(
    r"\s*EXECUTE\s+IMMEDIATE\s+'(?P<text>(?:[^']|'')*)'(?:\s+USING\s+(?P<using>.+?))?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """`kind` is that of `plan.Plan`; `query` was read from `text`; names are as written, without their quotes."""

    kind: str
    query: exp.Expr | None = None
    text: str = ""
    table: tuple[str, ...] = ()
    database: str | None = None
    pattern: tuple[tuple[Part, ...], ...] | None = None
    what: str = ""


def read(sql: str) -> Statement:
    """The one statement of `sql`. Raises SqlSyntaxError, or QueryRefused with the kinds that are allowed."""
    size = len(sql.encode("utf-8", "surrogatepass"))
    if size > grammar.QUERY_BYTES_MAX:
        raise QueryRefused(f"The statement has {size} bytes; Athena takes at most {grammar.QUERY_BYTES_MAX}.")
    if "\0" in sql:
        raise SqlSyntaxError("The statement has a NUL character; remove it.")
    text = _without_leading_comments(sql)
    if not text.strip(" \t\r\n;"):
        raise SqlSyntaxError(f"The statement is empty. Allowed are {ALLOWED}.")
    word = re.split(r"\W", text.lstrip(), maxsplit=1)[0].upper()
    if word in ("SHOW", "DESCRIBE", "DESC"):
        return _metadata(text.strip())
    if word == "EXPLAIN":
        return _explain(sql, text)
    return Statement("select", _query(sql), sql)


def view_query(view: TableSchema) -> exp.Expr:
    """The query of a view. Raises SqlSyntaxError or QueryRefused."""
    found = read(str(view.statement))
    if found.kind != "select" or found.query is None:
        raise QueryRefused(f"It is {found.kind}, and a view has the rows of a SELECT.")
    if found.query.find(exp.Placeholder):
        raise QueryRefused("It has a parameter '?', for which a view gets no value.")
    return found.query


class Immediate(NamedTuple):
    """A statement in another one: its text, the values for its `?`, and the text that these were read from."""

    text: str
    values: list[exp.Expr]
    values_text: str


def immediate(sql: str) -> Immediate | None:
    """What `EXECUTE IMMEDIATE 'text' USING values` executes; None for another statement."""
    found = _IMMEDIATE.fullmatch(_without_leading_comments(sql))
    if not found:
        return None
    values: list[exp.Expr] = []
    values_text = f"SELECT {found['using']}"
    if found["using"]:
        [tree] = grammar.parse(values_text)
        if not isinstance(tree, exp.Select) or len(tree.args["expressions"]) != len(list(tree.iter_expressions())):
            raise SqlSyntaxError("USING of EXECUTE IMMEDIATE takes a list of values, such as 5, 'a'.")
        values = tree.expressions
    return Immediate(found["text"].replace("''", "'"), values, values_text)


def tables_named(sql: str) -> set[str]:
    """The names in a statement that may be of tables, in lower case. Raises what `read` raises."""
    return {name for _, name in qualified_names(sql)}


def qualified_names(sql: str) -> set[tuple[str, str]]:
    """The names in a statement that may be of tables, each with the schema before it, "" for none; in lower case.
    Raises what `read` raises."""
    inner = immediate(sql)
    text = inner.text if inner else sql
    written = changes.read(text)
    statement = read(written.query or "SELECT 1" if written else text)
    if statement.query is None:
        *owners, name = ["", *(part.lower() for part in statement.table)][-2:]
        return {(owners[0] if owners else "", name)}
    return {(node.db.lower(), node.name.lower()) for node in statement.query.find_all(exp.Table)}


def _explain(sql: str, text: str) -> Statement:
    found = _EXPLAIN.match(text)
    if not found:
        raise SqlSyntaxError("EXPLAIN is followed by a query; write EXPLAIN SELECT ...")
    options = frozenset(" ".join(part.upper().split()) for part in (found["options"] or "").split(",") if part.strip())
    kind = "explain_analyze" if found["analyze"] and not options else _EXPLAINED.get(options)
    if kind is None or (found["analyze"] and options):
        raise QueryRefused(
            f"EXPLAIN with {', '.join(sorted(options))} is not supported; write EXPLAIN SELECT, EXPLAIN ANALYZE "
            "SELECT, or EXPLAIN with (TYPE IO, FORMAT JSON), (TYPE VALIDATE) or (TYPE DISTRIBUTED)."
        )
    # Blanks in its place keep the positions of the following text, for messages.
    start = len(sql) - len(text) + found.end()
    query = re.sub(r"[^\n]", " ", sql[:start]) + sql[start:]
    if changes.is_change(sql[start:]):
        raise QueryRefused("EXPLAIN of a statement that writes is not supported; explain its query alone.")
    return Statement(kind, _query(query), query)


def _query(sql: str) -> exp.Expr:
    _check_kind(_without_leading_comments(sql))
    trees = grammar.parse(sql)
    if len(trees) != 1:
        raise QueryRefused(f"The text has {len(trees)} statements; send one at a time.")
    if not isinstance(trees[0], QUERIES):
        raise QueryRefused(f"{trees[0].key.upper()} statements are not allowed. Allowed are {ALLOWED}.")
    return trees[0]


def _check_kind(text: str) -> None:
    """Refuse a statement that is not a query by its first words, whether or not the grammar knows the rest of it."""
    words = re.match(r"\s*([A-Za-z_]+)(?:\s+([A-Za-z_]+))?", text)
    if words and words[1].upper() not in _FIRST_WORDS:
        if near := difflib.get_close_matches(words[1].upper(), _FIRST_WORDS, cutoff=0.8):
            raise SqlSyntaxError(f"line 1:1: not a statement of Athena SQL: {words[1]!r}. Did you mean {near[0]}?")
        kind = " ".join(word for word in words.groups() if word) if words[1].upper() in _TWO_WORDS else words[1]
        raise QueryRefused(f"{kind.upper()} statements are not allowed. Allowed are {ALLOWED}.")


def _metadata(text: str) -> Statement:
    for kind, form in _FORM.items():
        match = form.fullmatch(text)
        if not match:
            continue
        found = match.groupdict()
        table = found.get("table") or ""
        database = found.get("database")
        return Statement(
            kind,
            table=tuple(_unquoted(part) for part in re.findall(_NAME, table)),
            database=_unquoted(database) if database else None,
            pattern=_pattern(found.get("like"), found.get("wildcard")),
            what=(found.get("what") or "").upper(),
        )
    raise QueryRefused(
        f"Not understood: {text[:100]!r}. Allowed are SHOW TABLES [IN database] [LIKE '...' | '...*'], "
        "SHOW DATABASES, SHOW VIEWS, SHOW COLUMNS IN table, SHOW PARTITIONS table, SHOW CREATE TABLE and VIEW, SHOW "
        "FUNCTIONS, SHOW STATS FOR table, SHOW CATALOGS and DESCRIBE table."
    )


def _pattern(pattern: str | None, wildcard: str | None) -> tuple[tuple[Part, ...], ...] | None:
    """The patterns for a whole name, from one of LIKE (% and _) or from several of Hive (* and |)."""
    if pattern is not None:
        return (tuple(like(pattern.replace("''", "'"))),)
    if wildcard is not None:
        return tuple(tuple(hive(each)) for each in wildcard.split("|"))
    return None


def _unquoted(name: str) -> str:
    return name[1:-1] if name[0] in '"`' else name


def _without_leading_comments(sql: str) -> str:
    at = 0
    while comment := _COMMENT.match(sql, at):
        at = comment.end()
    return sql[at:]
