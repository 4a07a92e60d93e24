"""Statements of Trino that are about the session or the catalog, as its clients send them: pure, from text to text.

A statement about the session (USE, PREPARE, START TRANSACTION, ...) is answered by headers that the client sends back
with its next statement; the server keeps nothing. SHOW and DESCRIBE become queries of `sql.metadata`. EXECUTE gets the
text that was prepared. Everything else stays what it is.

Source: Trino documentation, "Trino client REST API" and "SQL statement syntax".
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote_plus, unquote_plus

from datawarehouse.errors import QueryFailed

_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_NAME = r"(?:\"(?:[^\"]|\"\")+\"|[A-Za-z_][A-Za-z0-9_$]*)"
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME}){{0,2}}"
_LIKE = r"(?:\s+LIKE\s+'(?P<like>(?:[^']|'')*)'(?:\s+ESCAPE\s+'(?P<escape>(?:[^']|'')+)')?)?"
_OF = rf"(?:\s+(?:FROM|IN)\s+(?P<of>{_NAMES}))?"

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Done:
    """A statement that was nothing but a change of the session. kind: Trino's updateType. headers: what the client
    keeps of it."""

    kind: str
    headers: list[Header] = field(default_factory=list)


class Session(NamedTuple):
    """What a client says with each statement. schema: the one that it has chosen. prepared: texts by name."""

    schema: str
    prepared: Mapping[str, str]


def understood(sql: str, session: Session) -> Done | str:
    """What a statement changes, or the statement to run in its place. Raises QueryFailed for a name that was not
    prepared."""
    text = _COMMENTS.sub("", sql, count=1).rstrip().removesuffix(";").rstrip()
    for form, meant in _FORMS:
        found = form.fullmatch(text)
        if found:
            return meant(found, session)
    return sql


def prepared_statements(header: str) -> dict[str, str]:
    """The texts that the header X-Trino-Prepared-Statement names."""
    pairs = (pair.partition("=") for pair in header.split(",") if pair.strip())
    return {unquote_plus(name.strip()): unquote_plus(text.strip()) for name, _, text in pairs}


def properties(header: str) -> dict[str, str]:
    """The properties that the header X-Trino-Session names."""
    return prepared_statements(header)


def _header(name: str, value: str) -> Header:
    return name.encode(), value.encode("latin-1", "replace")


def _use(found: re.Match[str], _: Session) -> Done:
    *catalog, schema = _parts(found["of"])
    headers = [_header("x-trino-set-catalog", catalog[-1])] if catalog else []
    return Done("USE", [*headers, _header("x-trino-set-schema", schema)])


def _set(found: re.Match[str], _: Session) -> Done:
    value = found["value"].strip()
    text = value[1:-1].replace("''", "'") if value.startswith("'") else value
    name = ".".join(_parts(found["of"]))
    return Done("SET SESSION", [_header("x-trino-set-session", f"{name}={quote_plus(text)}")])


def _reset(found: re.Match[str], _: Session) -> Done:
    return Done("RESET SESSION", [_header("x-trino-clear-session", ".".join(_parts(found["of"])))])


def _prepare(found: re.Match[str], _: Session) -> Done:
    [name] = _parts(found["of"])
    value = f"{quote_plus(name)}={quote_plus(found['text'].strip())}"
    return Done("PREPARE", [_header("x-trino-added-prepare", value)])


def _deallocate(found: re.Match[str], session: Session) -> Done:
    name = _prepared(found, session)[0]
    return Done("DEALLOCATE", [_header("x-trino-deallocated-prepare", quote_plus(name))])


def _execute(found: re.Match[str], session: Session) -> Done | str:
    text = _prepared(found, session)[1]
    if not found["using"]:
        return understood(text, session)
    quoted = text.replace("'", "''")
    return f"EXECUTE IMMEDIATE '{quoted}' USING {found['using']}"


def _prepared(found: re.Match[str], session: Session) -> tuple[str, str]:
    [name] = _parts(found["of"])
    if name not in session.prepared:
        names = ", ".join(session.prepared) or "none"
        raise QueryFailed(f"NOT_FOUND: Prepared statement not found: {name}. Those of this session are {names}.")
    return name, session.prepared[name]


def _begin(_: re.Match[str], __: Session) -> Done:
    return Done("START TRANSACTION", [_header("x-trino-started-transaction-id", secrets.token_hex(16))])


def _end(found: re.Match[str], _: Session) -> Done:
    return Done(found[1].upper(), [_header("x-trino-clear-transaction-id", "true")])


def _catalogs(found: re.Match[str], _: Session) -> str:
    return _listed("Catalog", "catalog_name", "system.metadata.catalogs", found)


def _schemas(found: re.Match[str], _: Session) -> str:
    return _listed("Schema", "schema_name", "information_schema.schemata", found)


def _tables(found: re.Match[str], session: Session) -> str:
    schema = _parts(found["of"])[-1] if found["of"] else session.schema
    return _listed("Table", "table_name", "information_schema.tables", found, f"table_schema = {_text(schema)}")


def _columns(found: re.Match[str], session: Session) -> str:
    *schema, table = _parts(found["of"])
    of = f"table_schema = {_text(schema[-1] if schema else session.schema)} and table_name = {_text(table)}"
    listed = (
        'select column_name as "Column", data_type as "Type", coalesce(extra_info, \'\') as "Extra", '
        "coalesce(comment, '') as \"Comment\" from information_schema.columns where "
    )
    return f"{listed}{of}{_like('column_name', found)} order by ordinal_position"


def _no_session(_: re.Match[str], __: Session) -> str:
    columns = ", ".join(f"'' as \"{name}\"" for name in ("Name", "Value", "Default", "Type", "Description"))
    return f"select {columns} where false"


def _listed(title: str, column: str, table: str, found: re.Match[str], where: str = "true") -> str:
    return f'select {column} as "{title}" from {table} where {where}{_like(column, found)} order by 1'


def _like(column: str, found: re.Match[str]) -> str:
    given = found.groupdict()
    if not given.get("like"):
        return ""
    escape = f" escape '{given['escape']}'" if given.get("escape") else ""
    return f" and {column} like '{given['like']}'{escape}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _parts(names: str) -> list[str]:
    found = re.findall(_NAME, names)
    return [(part[1:-1].replace('""', '"') if part[0] == '"' else part).lower() for part in found]


_Meant = Callable[[re.Match[str], Session], Done | str]
_FORMS: list[tuple[re.Pattern[str], _Meant]] = [
    (re.compile(form.replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL), meant)
    for form, meant in (
        (rf"USE (?P<of>{_NAMES})", _use),
        (rf"SET SESSION (?P<of>{_NAMES})\s*=\s*(?P<value>.+)", _set),
        (rf"RESET SESSION (?P<of>{_NAMES})", _reset),
        (rf"PREPARE (?P<of>{_NAME}) FROM (?P<text>.+)", _prepare),
        (rf"DEALLOCATE PREPARE (?P<of>{_NAME})", _deallocate),
        (rf"EXECUTE (?!IMMEDIATE\b)(?P<of>{_NAME})(?: USING (?P<using>.+))?", _execute),
        (r"START TRANSACTION.*", _begin),
        (r"(COMMIT|ROLLBACK)(?: WORK)?", _end),
        (rf"SHOW CATALOGS{_LIKE}", _catalogs),
        (rf"SHOW SCHEMAS{_OF}{_LIKE}", _schemas),
        (rf"SHOW TABLES{_OF}{_LIKE}", _tables),
        (rf"(?:SHOW COLUMNS (?:FROM|IN)|DESCRIBE|DESC) (?P<of>{_NAMES}){_LIKE}", _columns),
        (r"SHOW SESSION.*", _no_session),
    )
]
