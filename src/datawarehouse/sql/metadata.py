"""The tables that describe a warehouse: `information_schema`, and those of `system` that clients of Trino ask.

Sources: Trino documentation, "information_schema" of its connectors and "System connector"; Amazon Athena user guide,
"Query the AWS Glue Data Catalog". What is in them depends on the warehouse; their columns do not.
"""

from __future__ import annotations

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.schema import TableSchema

CATALOG = "awsdatacatalog"
"""The catalog that all tables of a warehouse are in, as in Athena."""

SYSTEM = "system"

TRINO_VERSION = "435"
"""The release of Trino whose answers a statement gets."""

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
}  # fmt: skip


_TYPES = {kind: parse_type(kind) for kind in ("string", "bigint", "boolean")}


def _schema(name: str, columns: str) -> TableSchema:
    parts = (column.partition(":") for column in columns.split())
    return TableSchema(name, tuple(Column(column, _TYPES[kind or "string"]) for column, _, kind in parts), ())


TABLES = {name: _schema(name, columns) for name, columns in _COLUMNS.items()}
"""By schema and name, and those of the catalog `system` by that, too."""


def table_of(owners: list[str], name: str) -> TableSchema | None:
    """The table of these owners (a catalog and a schema) and this name, all in lower case."""
    return TABLES.get(".".join([*(owners[1:] if owners[:1] == [CATALOG] else owners), name]))
