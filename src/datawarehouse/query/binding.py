"""Whether the engine takes a statement: it is planned, and bound to tables without rows. Nothing is read.

The planner knows names, types and functions; what belongs into GROUP BY, and the like, the engine knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from datawarehouse.errors import QueryFailed
from datawarehouse.query.failures import described
from datawarehouse.sql import types
from datawarehouse.sql.plan import ROW_COUNT, SETTING, Plan, Scan, plan
from datawarehouse.sql.schema import HIDDEN_COLUMNS, Declared, TableSchema


class Binding:
    """Plans statements over declared tables, at one time (ms since 1970), and binds the plans."""

    def __init__(self, declared: Declared, now_ms: int) -> None:
        self._declared = declared
        self._now_ms = now_ms
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute(SETTING)

    def planned(self, sql: str, parameters: Sequence[object] = ()) -> Plan:
        """The plan of a statement. Raises what `sql.plan.plan` raises, and QueryFailed if the engine refuses it."""
        found = plan(sql, self._declared.tables, self._declared.database, parameters, self._now_ms)
        if found.kind == "select" or found.kind.startswith("explain"):
            sources = {scan.id: _nothing(self._declared.tables[scan.table], scan) for scan in found.scans}
            try:
                for macro in found.macros:
                    self._connection.execute(macro)
                self._connection.sql(found.render(sources), params=dict(found.parameters) or None)
            except duckdb.Error as error:
                raise QueryFailed(described(str(error))) from None
        return found

    def close(self) -> None:
        self._connection.close()


def _nothing(table: TableSchema, scan: Scan) -> str:
    fields = [*table.fields(), *(HIDDEN_COLUMNS.items() if scan.hidden_columns else ())]
    fields += [(ROW_COUNT, types.BIGINT)] if scan.extremes is not None else []
    columns = ", ".join(f'CAST(NULL AS {types.duckdb(type)}) AS "{name}"' for name, type in fields)
    return f"(SELECT {columns} WHERE false)"
