"""Plans of statements that come again. Planning is pure, so the same text, parameters and tables give the same plan,
and the same time if the statement asks for it. Who may read other tables has other plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from datawarehouse.sql.catalogs import Session
from datawarehouse.sql.names import NOBODY, Asker
from datawarehouse.sql.plan import Plan, TableSchema, plan

_PLANS_MAX = 256
_SETS_MAX = 64  # of tables that somebody may read
_CHARACTERS_MAX = 8_192  # of a statement that is kept, with its parameters
_EXACT = (type(None), bool, int, str)  # 0.0 == -0.0 and Decimal("1") == Decimal("1.0"), though their plans differ


class _Visible:
    """Tables that a statement may read, as they were when they were first seen; each is a part of the key of a plan."""

    __slots__ = ("tables",)

    def __init__(self, tables: Mapping[str, TableSchema]) -> None:
        self.tables = tables


class Plans:
    """Plans statements over the tables of one database, or over those of them that a statement may read. It keeps the
    last plans, each until these tables change."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._visible: dict[tuple[str, ...], _Visible] = {}

        @lru_cache(_PLANS_MAX)
        def planned(
            visible: _Visible,
            sql: str,
            parameters: tuple[tuple[type, object], ...],
            session: Session | None,
            asker: Asker,
        ) -> Plan:
            return plan(sql, visible.tables, database, [value for _, value in parameters], None, session, asker)

        self._planned = planned

    def of(
        self,
        sql: str,
        tables: Mapping[str, TableSchema],
        parameters: Sequence[object],
        now_ms: int,
        session: Session | None = None,
        asker: Asker = NOBODY,
    ) -> Plan:
        """The plan of a statement at a time. Raises what `sql.plan.plan` raises."""
        size = len(sql) + sum(len(value) for value in parameters if isinstance(value, str))
        if size > _CHARACTERS_MAX or any(type(value) not in _EXACT for value in parameters):
            return plan(sql, tables, self.database, parameters, now_ms, session, asker)
        values = tuple((type(value), value) for value in parameters)
        found = self._planned(self._seen(tables), sql, values, session, asker)
        return plan(sql, tables, self.database, parameters, now_ms, session, asker) if found.reads_clock else found

    def _seen(self, tables: Mapping[str, TableSchema]) -> _Visible:
        names = tuple(tables)
        seen = self._visible.get(names)
        if seen is None or seen.tables != tables:
            if len(self._visible) >= _SETS_MAX:
                self._visible = {}  # another thread may still fill the one before
            self._visible[names] = seen = _Visible(tables)
        return seen
