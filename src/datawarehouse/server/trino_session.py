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

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql.catalogs import Session as Chosen
from datawarehouse.sql.metadata import CATALOG, OTHER_CATALOGS
from datawarehouse.sql.outputs import INPUT, OUTPUT

_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_NAME = r"(?:\"(?:[^\"]|\"\")+\"|[A-Za-z_][A-Za-z0-9_$]*)"
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME}){{0,2}}"
_LIKE = r"(?:\s+LIKE\s+'(?P<like>(?:[^']|'')*)'(?:\s+ESCAPE\s+'(?P<escape>(?:[^']|'')+)')?)?"
_OF = rf"(?:\s+(?:FROM|IN)\s+(?P<of>{_NAMES}))?"
_ARGUMENT = re.compile(rf"\s*(?:(?P<name>{_NAME})\s*=>\s*)?'(?P<text>(?:[^']|'')*+)'\s*(?:,|$)")
_HEADER_CHARACTERS_MAX = 32_768
_NO_HEADER = re.compile(r"[\x00-\x1f\x7f]")

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Done:
    """A statement that was nothing but a change of the session. kind: Trino's updateType. headers: what the client
    keeps of it."""

    kind: str
    headers: list[Header] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Kill:
    """The query that a statement ends, and why."""

    id: str
    because: str


@dataclass(frozen=True, slots=True)
class Describe:
    """A statement that is not run: what it takes ("input") or gives ("output") is asked."""

    what: str
    text: str


Meant = Done | Kill | Describe | str


class Session(NamedTuple):
    """What a client says with each statement. chosen: the catalog and the schema where it is. home: the schema of the
    warehouse. prepared: texts by name. given: properties by name."""

    chosen: Chosen
    home: str
    prepared: Mapping[str, str]
    given: Mapping[str, str]


def understood(sql: str, session: Session) -> Meant:
    """What a statement changes or ends, or the statement to run in its place. Raises QueryFailed for a name that was
    not prepared, and QueryRefused for what a session cannot be."""
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
    """Raises QueryRefused for what would be a header of its own."""
    if _NO_HEADER.search(value):
        raise QueryRefused(f"What a session keeps has no control characters; this has some: {value[:100]!r}.")
    if len(value) > _HEADER_CHARACTERS_MAX:
        raise QueryRefused(
            f"What a session keeps goes with each request in a header, and this would have {len(value)} characters; "
            f"valid are up to {_HEADER_CHARACTERS_MAX}. Send the statement itself, without PREPARE."
        )
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


def _set_zone(found: re.Match[str], _: Session) -> Done:
    zone = found["zone"].strip().strip("'")
    if zone.upper() not in _UTC:
        raise QueryRefused(
            f"The time zone of a session is UTC, as on Athena; {zone!r} is not supported. "
            "Write AT TIME ZONE in a statement."
        )
    return Done("SET TIME ZONE", [_header("x-trino-set-session", "time_zone_id=UTC")])


def _set_role(found: re.Match[str], _: Session) -> Done:
    role = found["role"].upper()
    if role not in ("ALL", "NONE"):
        raise QueryRefused(f"There is no role {found['role']}: what a client may do is a matter of its key.")
    catalog = _parts(found["of"])[0] if found["of"] else "system"
    return Done("SET ROLE", [_header("x-trino-set-role", f"{catalog}={role}")])


def _kill(found: re.Match[str], _: Session) -> Kill:
    """Arguments have names, or their order."""
    values: dict[str, str] = {}
    end = 0
    for place in ("query_id", "message"):
        given = _ARGUMENT.match(found["arguments"], end)
        if given is None:
            break
        values[(given["name"] or place).lower()] = given["text"].replace("''", "'")
        end = given.end()
    if "query_id" not in values:
        raise QueryFailed(
            "INVALID_PROCEDURE_ARGUMENT: kill_query needs query_id => '...' and may have message => '...'."
        )
    return Kill(values["query_id"], values.get("message", ""))


def _describe(found: re.Match[str], session: Session) -> Describe:
    return Describe(INPUT if found["what"].upper() == "INPUT" else OUTPUT, _prepared(found, session)[1])


def _prepare(found: re.Match[str], _: Session) -> Done:
    [name] = _parts(found["of"])
    value = f"{quote_plus(name)}={quote_plus(found['text'].strip())}"
    return Done("PREPARE", [_header("x-trino-added-prepare", value)])


def _deallocate(found: re.Match[str], session: Session) -> Done:
    name = _prepared(found, session)[0]
    return Done("DEALLOCATE", [_header("x-trino-deallocated-prepare", quote_plus(name))])


def _execute(found: re.Match[str], session: Session) -> Meant:
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


def _schemas(found: re.Match[str], session: Session) -> str:
    catalog = _parts(found["of"])[0] if found["of"] else session.chosen.catalog
    return _listed("Schema", "schema_name", _information(catalog, "schemata"), found)


def _tables(found: re.Match[str], session: Session) -> str:
    catalog, schema = _place(_parts(found["of"]) if found["of"] else [], session)
    listed = _information(catalog, "tables")
    return _listed("Table", "table_name", listed, found, f"table_schema = {_text(schema)}")


def _place(owners: list[str], session: Session) -> tuple[str | None, str]:
    """The catalog and the schema that a statement means."""
    chosen = session.chosen
    catalog = owners[0] if len(owners) > 1 else chosen.catalog
    schema = owners[-1] if owners else chosen.schema
    if schema is None and catalog in OTHER_CATALOGS:
        raise QueryFailed(f"MISSING_SCHEMA_NAME: Schema must be specified when session schema is not set: {catalog}.")
    return catalog, schema or session.home


def _information(catalog: str | None, table: str) -> str:
    """A table of `information_schema`; what is no other catalog is the warehouse's."""
    return f"{catalog if catalog in OTHER_CATALOGS else CATALOG}.information_schema.{table}"


def _session(found: re.Match[str], session: Session) -> str:
    """The properties that mean something here, and those that the client keeps."""
    known = {"workgroup": "The workgroup whose limits hold", "time_zone_id": "Always UTC"}
    rows = []
    for name in sorted({*known, *session.given}):
        default = "UTC" if name == "time_zone_id" else ""
        shown = (name, session.given.get(name, default), default, "varchar", known.get(name, "Changes nothing here"))
        rows.append(f"({', '.join(map(_text, shown))})")
    columns = '"Name", "Value", "Default", "Type", "Description"'
    where = _like('"Name"', found)
    return f"select * from (values {', '.join(rows)}) t({columns}) where true{where} order by 1"


def _no_roles(_: re.Match[str], __: Session) -> str:
    return "select '' as \"Role\" where false"


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


_UTC = ("UTC", "Z", "GMT", "ETC/UTC", "+00:00", "LOCAL")
_FORMS: list[tuple[re.Pattern[str], Callable[[re.Match[str], Session], Meant]]] = [
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
        (rf"DESCRIBE (?P<what>INPUT|OUTPUT) (?P<of>{_NAME})", _describe),
        (rf"SHOW SESSION{_LIKE}", _session),
        (r"SHOW (?:CURRENT |)ROLES.*", _no_roles),
        (r"SET TIME ZONE (?P<zone>.+)", _set_zone),
        (rf"SET ROLE (?P<role>{_NAME})(?: IN (?P<of>{_NAME}))?", _set_role),
        (r"CALL (?:system\s*\.\s*)?runtime\s*\.\s*kill_query\s*\((?P<arguments>.*)\)", _kill),
    )
]
