"""The catalogs that clients of Trino find beside the warehouse's own, and where a client is among them.

`tpch` has the tables of the benchmark TPC-H in two sizes, for tests and trials; `system` describes this server. Who
asks by another door has no `tpch`, as on Athena.

Source of the names and types of columns: Trino documentation, "TPC-H connector" (column naming SIMPLIFIED, decimals as
double), and TPC-H specification 1.4.
"""

from __future__ import annotations

from typing import NamedTuple

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.schema import TableSchema

TPCH = "tpch"
SCALES = {"tiny": "0.01", "sf1": "1"}
"""The schemas of TPCH, and the scale factor of each."""

_TPCH = {
    "customer": "custkey:bigint name:varchar(25) address:varchar(40) nationkey:bigint phone:varchar(15) acctbal:double "
    "mktsegment:varchar(10) comment:varchar(117)",
    "lineitem": "orderkey:bigint partkey:bigint suppkey:bigint linenumber:int quantity:double extendedprice:double "
    "discount:double tax:double returnflag:varchar(1) linestatus:varchar(1) shipdate:date commitdate:date "
    "receiptdate:date shipinstruct:varchar(25) shipmode:varchar(10) comment:varchar(44)",
    "nation": "nationkey:bigint name:varchar(25) regionkey:bigint comment:varchar(152)",
    "orders": "orderkey:bigint custkey:bigint orderstatus:varchar(1) totalprice:double orderdate:date "
    "orderpriority:varchar(15) clerk:varchar(15) shippriority:int comment:varchar(79)",
    "part": "partkey:bigint name:varchar(55) mfgr:varchar(25) brand:varchar(10) type:varchar(25) size:int "
    "container:varchar(10) retailprice:double comment:varchar(23)",
    "partsupp": "partkey:bigint suppkey:bigint availqty:int supplycost:double comment:varchar(199)",
    "region": "regionkey:bigint name:varchar(25) comment:varchar(152)",
    "supplier": "suppkey:bigint name:varchar(25) address:varchar(40) nationkey:bigint phone:varchar(15) acctbal:double "
    "comment:varchar(101)",
}


def _schema(scale: str, name: str, columns: str) -> TableSchema:
    parts = (column.partition(":") for column in columns.split())
    found = tuple(Column(column, parse_type(kind)) for column, _, kind in parts)
    return TableSchema(f"{TPCH}.{scale}.{name}", found, ())


TPCH_TABLES = {
    f"{TPCH}.{scale}.{name}": _schema(scale, name, columns) for scale in SCALES for name, columns in _TPCH.items()
}
"""By catalog, schema and name."""


class Session(NamedTuple):
    """Where a client is: the catalog and the schema that it has chosen, if it has, in lower case. describes: "input" or
    "output" if it wants to know that of a statement, and not its rows. is_trino: whether it is a client of Trino, which
    gets Trino's form of what is shown, and its catalogs; if not, it is one of Athena in a schema of scratch."""

    catalog: str | None = None
    schema: str | None = None
    describes: str | None = None
    is_trino: bool = True

    def owners(self, written: list[str], others: tuple[str, ...]) -> list[str]:
        """The catalog and the schema of a name that is written after `written`. others: the catalogs in which a client
        can be that are not the warehouse's; elsewhere what is not written is the warehouse's."""
        if self.catalog not in others or len(written) > 1:
            return written
        schema = written or ([self.schema] if self.schema else [])
        return [str(self.catalog), *schema] if schema else []


def is_trino(session: Session | None) -> bool:
    return session is not None and session.is_trino
