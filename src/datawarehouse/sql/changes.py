"""Statements that write: in one's own scratch alone. They are taken apart here; `plan` finds out what they mean.

Source of the forms: Trino documentation, "SQL statement syntax"; Amazon Athena user guide, "CREATE TABLE AS", "CREATE
VIEW", "INSERT INTO".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from datawarehouse.definition.tables import Column
from datawarehouse.errors import AccessDenied, QueryRefused, SqlSyntaxError

FORMS = (
    "CREATE [OR REPLACE] VIEW name AS SELECT, CREATE TABLE [IF NOT EXISTS] name AS SELECT, CREATE TABLE name "
    "(columns), INSERT INTO name SELECT, DROP TABLE, DROP VIEW, ALTER TABLE name RENAME TO name"
)
VIEW, TABLE, INSERT, DROP, RENAME, EMPTY, SCHEMA = "view", "table", "insert", "drop", "rename", "empty", "schema"
_WORDS = ("CREATE", "INSERT", "DROP", "ALTER", "DELETE", "TRUNCATE")
_TABLE_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,254}")

_COMMENT = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_NAME = r"(?:\"(?:[^\"]|\"\")+\"|`[^`]+`|[A-Za-z_][A-Za-z0-9_$]*)"
_NAMES = rf"{_NAME}(?: ?\. ?{_NAME}){{0,2}}"
_LIST = r"\((?:[^()']|'(?:[^']|'')*'|\((?:[^()']|\([^()]*\))*\))*\)"
_TEXT = r"'(?:[^']|'')*'"
_OF = rf"(?P<of>{_NAMES})"
_LATER = rf"(?: COMMENT {_TEXT})?(?: WITH ?(?P<with>{_LIST}))?"
_FORMS = [
    (kind, re.compile(form.replace(" ?", r"\s*").replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL))
    for kind, form in (
        (VIEW, rf"CREATE(?P<or> OR REPLACE)? VIEW {_OF}(?: COMMENT {_TEXT})?(?: SECURITY (?:DEFINER|INVOKER))? AS\b"),
        (TABLE, rf"CREATE TABLE(?P<if> IF NOT EXISTS)? {_OF}{_LATER} AS\b"),
        (TABLE, rf"CREATE TABLE(?P<if> IF NOT EXISTS)? {_OF} ?(?P<columns>{_LIST}){_LATER}"),
        (INSERT, rf"INSERT INTO {_OF} ?(?P<names>\( ?{_NAME}(?: ?, ?{_NAME})* ?\))?(?=[\s(])"),
        (DROP, rf"DROP (?P<what>TABLE|VIEW)(?P<if> IF EXISTS)? {_OF}"),
        (RENAME, rf"ALTER (?P<what>TABLE|VIEW)(?P<if> IF EXISTS)? {_OF} RENAME TO (?P<to>{_NAMES})"),
        (EMPTY, rf"(?:DELETE FROM|TRUNCATE TABLE) {_OF}"),
        (SCHEMA, rf"CREATE SCHEMA(?P<if> IF NOT EXISTS)? {_OF}"),
    )
]
_WITH_QUERY = (VIEW, TABLE, INSERT)
_DATA = re.compile(r"\sWITH\s+(?P<no>NO\s+)?DATA\s*;?\s*$", re.IGNORECASE)
_PROPERTY = re.compile(rf"\s*({_NAME})\s*=\s*({_TEXT})\s*", re.IGNORECASE)
_UPDATES = {VIEW: "CREATE VIEW", TABLE: "CREATE TABLE", INSERT: "INSERT", SCHEMA: "CREATE SCHEMA", EMPTY: "DELETE"}


@dataclass(frozen=True, slots=True)
class Written:
    """A statement that writes, taken apart. of, to: a table's name with what owns it, in small letters. query: the text
    of its query, at its place in the statement; "" for none. columns: the text of declared columns. names: columns that
    an INSERT names."""

    kind: str
    of: tuple[str, ...]
    what: str = "TABLE"
    to: tuple[str, ...] = ()
    replaces: bool = False
    is_lenient: bool = False
    query: str = ""
    columns: str = ""
    names: tuple[str, ...] = ()
    has_rows: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What a statement does to the scratch of whoever asks, beside the query of its plan, if it has one.

    kind: VIEW and the following. what: "TABLE" or "VIEW". name, to: of tables or views there. replaces, is_lenient: OR
    REPLACE and IF [NOT] EXISTS. statement, home: of a view, and the schema of names without one in it. columns: of what
    is made, or of the table that gets rows. positions: for each of these the column of the query that it gets, None for
    NULL. is_empty: whether no rows are written.
    """

    kind: str
    what: str
    name: str
    to: str = ""
    replaces: bool = False
    is_lenient: bool = False
    statement: str = ""
    home: str = ""
    columns: tuple[Column, ...] = ()
    positions: tuple[int | None, ...] = field(default=())
    is_empty: bool = False

    @property
    def update(self) -> str:
        """The name that Trino has for the change."""
        if self.kind in (DROP, RENAME):
            return f"{self.kind.upper()} {self.what}"
        return _UPDATES[self.kind]


def is_change(sql: str) -> bool:
    """Whether a statement begins as one that writes does."""
    return re.split(r"\W", sql[_COMMENT.match(sql).end() :], maxsplit=1)[0].upper() in _WORDS  # type: ignore[union-attr]


def read(sql: str) -> Written | None:
    """A statement that writes, None for another one. Raises QueryRefused or SqlSyntaxError for one of another form."""
    if not is_change(sql):
        return None
    start = _COMMENT.match(sql).end()  # type: ignore[union-attr]
    for kind, form in _FORMS:
        found = form.match(sql, start)
        if not found:
            continue
        given = found.groupdict()
        rest, has_rows = sql[found.end() :], True
        is_query = kind in _WITH_QUERY and given.get("columns") is None
        if is_query and kind == TABLE and (data := _DATA.search(rest)):
            rest, has_rows = rest[: data.start()], not data["no"]
        if not is_query and _COMMENT.sub("", rest.strip().removesuffix(";")).strip():
            continue
        if is_query and not rest.strip(" \t\r\n;"):
            raise SqlSyntaxError(f"The statement has no query. Valid are {FORMS}.")
        _check_properties(given.get("with"))
        return Written(
            kind,
            _parts(given["of"]),
            (given.get("what") or ("VIEW" if kind == VIEW else "TABLE")).upper(),
            _parts(given["to"]) if given.get("to") else (),
            bool(given.get("or")),
            bool(given.get("if")),
            # Blanks in the place of what is before the query keep its places, for messages.
            re.sub(r"[^\n]", " ", sql[: found.end()]) + rest if is_query else "",
            (given.get("columns") or "")[1:-1],
            tuple(_parts(given["names"][1:-1])) if given.get("names") else (),
            has_rows,
        )
    raise QueryRefused(f"This form of statement is not supported: {sql[start : start + 60]!r}. Valid are {FORMS}.")


def checked_table_name(name: str) -> str:
    """A name that a table of scratch can have. Raises QueryRefused."""
    if not _TABLE_NAME.fullmatch(name):
        raise QueryRefused(
            f"INVALID_NAME: A table or view of scratch cannot be called {name!r}; valid are up to 255 letters, digits, "
            "'_' and '-', the last not as the first."
        )
    return name


def not_there(written: Written, own: str) -> AccessDenied:
    """What is said of a statement that would write elsewhere. own: what `scratch` means."""
    return AccessDenied(
        f"PERMISSION_DENIED: Statements write in your own scratch alone, as scratch.{written.of[-1]} (for others "
        f"{own}.{written.of[-1]}); {'.'.join(written.of)!r} is elsewhere."
    )


def declared_columns(text: str) -> list[tuple[str, str]]:
    """The names and types of `id integer, name varchar`. Raises SqlSyntaxError or QueryRefused."""
    found = []
    for part in _split(text):
        match = re.fullmatch(rf"\s*({_NAME})\s+(.+?)\s*", part, re.DOTALL)
        if not match:
            raise SqlSyntaxError(f"A column is written as a name and a type; got {part.strip()!r}.")
        kind = re.sub(rf"\s+COMMENT\s+{_TEXT}$", "", match[2], flags=re.IGNORECASE)
        if re.search(r"\b(?:NOT\s+NULL|WITH|PRIMARY|DEFAULT|LIKE)\b", kind, re.IGNORECASE):
            raise QueryRefused(f"A column of scratch has a name and a type alone; got {part.strip()!r}.")
        found.append((_parts(match[1])[0], kind))
    return found


def _split(text: str) -> list[str]:
    """The parts between commas that are in no parentheses."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign in "(<") - (sign in ")>")
        if sign == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _check_properties(text: str | None) -> None:
    """Raises QueryRefused for a property of a table that scratch does not have."""
    for part in _split(text[1:-1]) if text else ():
        found = _PROPERTY.fullmatch(part)
        if not found or (found[1].lower().strip('"'), found[2].lower()) != ("format", "'parquet'"):
            raise QueryRefused(f"A table of scratch has the property format = 'PARQUET' alone; got {part.strip()!r}.")


def _parts(names: str) -> tuple[str, ...]:
    return tuple(
        (part[1:-1].replace('""', '"') if part[0] in '"`' else part).lower() for part in re.findall(_NAME, names)
    )
