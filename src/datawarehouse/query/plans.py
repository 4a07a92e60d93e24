"""Plans of statements that come again. Planning is pure, so the same text, parameters and tables give the same plan,
and the same time if the statement asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from datawarehouse.sql.plan import Plan, TableSchema, plan

_PLANS_MAX = 256
_CHARACTERS_MAX = 8_192  # of a statement that is kept, with its parameters
_EXACT = (type(None), bool, int, str)  # 0.0 == -0.0 and Decimal("1") == Decimal("1.0"), though their plans differ

_Planned = Callable[[str, tuple[tuple[type, object], ...]], Plan]


class Plans:
    """Plans statements over the tables of one database, and keeps the last plans until the tables change."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._kept = self._keeping({})

    def of(self, sql: str, tables: Mapping[str, TableSchema], parameters: Sequence[object], now_ms: int) -> Plan:
        """The plan of a statement at a time. Raises what `sql.plan.plan` raises."""
        size = len(sql) + sum(len(value) for value in parameters if isinstance(value, str))
        if size > _CHARACTERS_MAX or any(type(value) not in _EXACT for value in parameters):
            return plan(sql, tables, self.database, parameters, now_ms)
        kept = self._kept  # one read: another thread may put new tables in its place
        if kept[0] != tables:
            self._kept = kept = self._keeping(tables)
        found = kept[1](sql, tuple((type(value), value) for value in parameters))
        return plan(sql, tables, self.database, parameters, now_ms) if found.reads_clock else found

    def _keeping(self, tables: Mapping[str, TableSchema]) -> tuple[Mapping[str, TableSchema], _Planned]:
        @lru_cache(_PLANS_MAX)
        def planned(sql: str, parameters: tuple[tuple[type, object], ...]) -> Plan:
            return plan(sql, tables, self.database, [value for _, value in parameters])

        return tables, planned
