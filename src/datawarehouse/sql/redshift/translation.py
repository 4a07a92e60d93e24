"""A statement of Redshift, translated and checked.

1. What is not a query needs a person, with what takes its place; the query in it is translated for its own sake.
2. A query is translated, or needs a person for each part that has no form known to give the same answer.
3. What was translated passes the planner of Athena SQL, against the declared tables. What that refuses needs a person.
4. Without a declaration, tables and columns cannot be checked: the grammar is, and what the form rests on is said.
5. A query that bounds the event time of a table, and not its arrival, gets the bound of arrival suggested: Athena
   leaves out partitions by that alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from datawarehouse.errors import QueryError
from datawarehouse.sql import hours
from datawarehouse.sql.arrival import refusal_of
from datawarehouse.sql.plan import Plan
from datawarehouse.sql.redshift import others
from datawarehouse.sql.redshift.grammar import parse
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.rules import translator_for
from datawarehouse.sql.redshift.translator import BREAK, Translator
from datawarehouse.sql.schema import Declared
from datawarehouse.sql.scripts import quoted_texts
from datawarehouse.sql.statement import read

Planned = Callable[[str], Plan]

_OF_TEXTS = "texts that are compared have no blanks at their ends: Redshift leaves those out of a comparison"
_LINE_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Translation:
    """sql: the statement in Athena SQL, None if it needs a person. reasons: why it does. unchecked: what could not be
    checked, without a declaration. notes: how the answers may differ. bounded: the statement with a bound of arrival.
    query: the query in a statement that needs a person for what is around it."""

    sql: str | None
    reasons: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bounded: str | None = None
    query: Translation | None = None


def translate(sql: str, declared: Declared | None, planned: Planned, now_ms: int) -> Translation:
    """Translate one statement of Redshift. declared: None where there is no declaration. planned: makes the plan of a
    statement of Athena SQL; raises QueryError for one that is refused."""
    reasons = others.reasons(sql)
    if reasons:
        inner = others.inner_query(sql)
        found = translate(inner, declared, planned, now_ms) if inner else None
        if found:  # its places are of the inner text, which nobody sees
            found = replace(found, reasons=tuple(_without_place(reason) for reason in found.reasons))
        return Translation(None, tuple(reasons), query=found)
    try:
        _check_text(sql)
        tree = parse(sql)
        into = tree.args.get("into")
        if into:
            tree.set("into", None)
        translator = translator_for(declared.tables if declared else None)
        text = _laid_out(translator.query(tree)[0])
    except NeedsPerson as reason:
        return Translation(None, (f"{reason}.",))
    except RecursionError:
        return Translation(None, ("it nests too deeply to be read.",))
    if translator.reasons:
        return Translation(None, tuple(dict.fromkeys(translator.reasons)))
    notes = [*translator.notes, *([_OF_TEXTS] if translator.has_text_keys else [])]
    found = _checked(text, translator, planned, notes)
    if found.sql and declared:
        found = _with_bound(found, found.sql, declared, planned, now_ms)
    if into and found.sql:
        instead = "SELECT INTO makes a table: name its query with WITH, or declare a batch input table whose job it is."
        return Translation(None, (instead,), query=found)
    return found


def _laid_out(text: str) -> str:
    """A long text with a line for each clause."""
    return text.replace(BREAK, "\n" if len(text) > _LINE_CHARACTERS else " ")


def _check_text(sql: str) -> None:
    if BREAK in sql:
        raise NeedsPerson("it has a NUL character")
    for text in quoted_texts(sql):
        if re.search(r"\\(?![\\'])", text.replace("\\\\", "")):
            raise NeedsPerson(
                f"in the text {text[:60]} a backslash stands alone: Redshift reads what follows it as an escape; "
                "double it if a backslash is meant"
            )


def _checked(text: str, translator: Translator, planned: Planned, notes: list[str]) -> Translation:
    checks = list(translator.assumptions)
    try:
        if translator.undeclared:
            listed = ", ".join(dict.fromkeys(translator.undeclared))
            checks.insert(0, f"the tables and columns of {listed}: there is no declaration")
            read(text)
        else:
            planned(text)
    except QueryError as error:
        return _refused(error)
    return Translation(text, unchecked=tuple(checks), notes=tuple(notes))


def _refused(error: QueryError) -> Translation:
    """What the planner says, without the place, which is not one of the statement of Redshift."""
    return Translation(None, (f"its form in Athena SQL is refused: {_without_place(str(error))}",))


def _without_place(text: str) -> str:
    return re.sub(r"\bline [0-9]+:[0-9]+: ", "", text)


def _with_bound(found: Translation, text: str, declared: Declared, planned: Planned, now_ms: int) -> Translation:
    plan, notes = planned(text), list(found.notes)
    refusal = refusal_of(text, planned, declared.tables, {}, now_ms)
    for scan in plan.scans:
        table = declared.tables[scan.table]
        of_events = scan.predicate.bounds(table.event_time) if table.event_time else (None, None)
        arrivals = hours.ranges(scan.predicate, table.hours, now_ms) if table.hours else ()
        if of_events == (None, None) and not hours.is_bounded(arrivals):
            notes.append(f"nothing bounds {table.hours} of {table.name}: Athena reads each of its hours")
    bounded = refusal.rewritten if refusal else None
    if bounded and plan.reads_clock:
        notes.append("the bound of arrival below is counted from now; count it anew when the statement runs again")
    return replace(found, notes=tuple(dict.fromkeys(notes)), bounded=bounded)
