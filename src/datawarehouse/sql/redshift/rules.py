"""Every rule of the translation."""

from __future__ import annotations

from collections.abc import Mapping

from datawarehouse.sql.plan import TableSchema
from datawarehouse.sql.redshift.expressions import RULES
from datawarehouse.sql.redshift.functions import CALLS
from datawarehouse.sql.redshift.queries import query
from datawarehouse.sql.redshift.translator import Translator


def translator_for(tables: Mapping[str, TableSchema] | None) -> Translator:
    return Translator({**RULES, **CALLS}, query, tables)
