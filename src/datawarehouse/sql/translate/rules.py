"""The whole language: every kind of node that reaches DuckDB, with the module that translates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from datawarehouse.sql.catalogs import Session
from datawarehouse.sql.names import NOBODY, Asker
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.translate import (
    aggregates,
    arithmetic,
    calls,
    casts,
    constants,
    documents,
    json_calls,
    literals,
    nested,
    operators,
    queries,
    strings,
    times,
)
from datawarehouse.sql.translate.compiler import Compiler, Rule

RULES: dict[type[exp.Expr], Rule] = {
    **literals.RULES,
    **operators.RULES,
    **arithmetic.RULES,
    **casts.RULES,
    **calls.RULES,
    **json_calls.RULES,
    **strings.RULES,
    **times.RULES,
}

WITH_SPECIALS = (aggregates, documents, nested, strings, times)
"""Modules that add functions to `calls.SPECIALS` when they are imported."""


def compiler_for(
    sql: str,
    tables: Mapping[str, TableSchema],
    database: str,
    parameters: Sequence[object],
    now_ms: int | None,
    session: Session | None,
    asker: Asker = NOBODY,
) -> Compiler:
    return Compiler(sql, tables, database, parameters, RULES, queries.query, constants.constant, now_ms, session, asker)
