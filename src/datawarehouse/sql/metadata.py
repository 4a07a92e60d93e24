"""The tables that describe a warehouse: `information_schema`, and those of `system` that clients of Trino ask.

Sources: Trino documentation, "information_schema" of its connectors and "System connector"; Amazon Athena user guide,
"Query the AWS Glue Data Catalog". What is in them depends on the warehouse; their columns do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.catalogs import TPCH, TPCH_TABLES, Session, is_trino
from datawarehouse.sql.names import MEMORY, at_home, of_memory, scratch_schema
from datawarehouse.sql.schema import TableSchema

CATALOG = "awsdatacatalog"
"""The catalog that all tables of a warehouse are in, as in Athena."""

SYSTEM = "system"
INFORMATION = "information_schema"
OTHER_CATALOGS = (SYSTEM, TPCH, MEMORY)

TRINO_VERSION = "435"
"""The release of Trino whose answers a statement gets."""

PARTITIONS = "$partitions"
"""After the name of a table: the table of its partitions, as in Athena."""

_COLUMNS = {
    "information_schema.schemata": "catalog_name schema_name",
    "information_schema.tables": "table_catalog table_schema table_name table_type",
    "information_schema.columns": "table_catalog table_schema table_name column_name ordinal_position:bigint "
    "column_default is_nullable data_type comment extra_info",
    "information_schema.views": "table_catalog table_schema table_name view_definition",
    "system.jdbc.catalogs": "table_cat",
    "system.jdbc.schemas": "table_schem table_catalog",
    "system.jdbc.table_types": "table_type",
    "system.jdbc.tables": "table_cat table_schem table_name table_type remarks type_cat type_schem type_name "
    "self_referencing_col_name ref_generation",
    "system.jdbc.columns": "table_cat table_schem table_name column_name data_type:bigint type_name column_size:bigint "
    "buffer_length:bigint decimal_digits:bigint num_prec_radix:bigint nullable:bigint remarks column_def "
    "sql_data_type:bigint sql_datetime_sub:bigint char_octet_length:bigint ordinal_position:bigint is_nullable "
    "scope_catalog scope_schema scope_table source_data_type:bigint is_autoincrement is_generatedcolumn",
    "system.metadata.catalogs": "catalog_name connector_id connector_name",
    "system.metadata.table_comments": "catalog_name schema_name table_name comment",
    "system.metadata.materialized_views": "catalog_name schema_name name storage_catalog storage_schema storage_table "
    "freshness owner comment definition",
    "system.runtime.nodes": "node_id http_uri node_version coordinator:boolean state",
    "system.runtime.queries": "query_id state user source query queued_time_ms:bigint analysis_time_ms:bigint "
    "planning_time_ms:bigint created:timestamp started:timestamp last_heartbeat:timestamp end:timestamp error_type "
    "error_code",
}  # fmt: skip


CATALOGS = (CATALOG, *OTHER_CATALOGS)

_TYPES = {kind: parse_type(kind) for kind in ("string", "bigint", "boolean", "timestamp")}


def _schema(name: str, columns: str) -> TableSchema:
    parts = (column.partition(":") for column in columns.split())
    return TableSchema(name, tuple(Column(column, _TYPES[kind or "string"]) for column, _, kind in parts), ())


_OWN = {name: _schema(name, columns) for name, columns in _COLUMNS.items()}
_OF_OTHERS = {
    f"{catalog}.{name}": _schema(f"{catalog}.{name}", columns)
    for catalog in OTHER_CATALOGS
    for name, columns in _COLUMNS.items()
    if name.startswith(INFORMATION)
}
TABLES = {**_OWN, **_OF_OTHERS, **TPCH_TABLES}
"""By schema and name, and those of another catalog by that, too. They are made when they are asked for."""

SCHEMAS = frozenset(name.split(".")[-2] for name in TABLES)


def home_of(session: Session | None, own: str) -> str:
    """The schema of scratch in which a client is; "" if it is in none. After a `/` comes what names without a schema
    begin with (`names.of_memory`). own: the schema that `scratch` means."""
    if session is None or session.schema is None:
        return ""
    owners = [session.schema] if session.catalog in (None, CATALOG) else [str(session.catalog), session.schema]
    owners, beginning = of_memory(owners, "")
    schema = scratch_schema(owners, own) or ""
    return f"{schema}/{session.schema}" if schema and beginning else schema


def find(
    tables: Mapping[str, TableSchema],
    database: str,
    owners: list[str],
    name: str,
    session: Session | None,
    own: str,
    home: str,
) -> TableSchema | None:
    """What owners (a catalog and a schema) and a name mean, all in lower case; `t$partitions` are the partitions of a
    table of the warehouse. tables: by name, those of a scratch with
    its schema before it. own: the schema that `scratch` means. home: that of names without one; "" is the
    warehouse's."""
    if name.endswith(PARTITIONS):
        of = find(tables, database, owners, name.removesuffix(PARTITIONS), session, own, home)
        return TableSchema(of.name + PARTITIONS, of.partition_keys, ()) if of and of.partition_keys else None
    if not owners and home:
        return tables.get(at_home(home, name))
    if session and session.is_trino:
        owners, name = of_memory(session.owners(owners, OTHER_CATALOGS), name)
    if len(owners) == 2 and owners[0] == CATALOG:
        owners = owners[1:]
    if owners in ([], [database]) and "." not in name and (found := tables.get(name)):
        return found
    if schema := scratch_schema(owners, own):
        return tables.get(f"{schema}.{name}")
    return table_of(owners, name, of_trino=is_trino(session)) if owners else None


def table_of(owners: list[str], name: str, *, of_trino: bool = False) -> TableSchema | None:
    """The table of these owners (a catalog and a schema) and this name, all in lower case. of_trino: whether a client
    of Trino asks."""
    tables = TABLES if of_trino else _OWN
    return tables.get(".".join([*(owners[1:] if owners[:1] == [CATALOG] else owners), name]))
