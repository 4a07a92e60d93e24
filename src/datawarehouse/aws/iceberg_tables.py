"""A streaming input table as an Iceberg table of the Glue catalog. Pure.

Glue makes the metadata of an Iceberg table when it creates it, and never again: a later change of the Glue table would
leave the metadata as it was (terraform-provider-aws, issue 36641; aws-cloudformation/cloudformation-coverage-roadmap,
issue 1919). So the table is created once and never updated by a deployment, and columns are changed by a statement in
Athena, which `changes` names.

Sources: AWS Glue API reference, CreateIcebergTableInput; Iceberg table specification, "Schemas and Data Types" and
"Partitioning", and its appendix C for types as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.definition.types import Array, ColumnType, Map, Primitive, Struct

FORMAT_VERSION = "2"
FIRST_PARTITION_ID = 1000
"""Iceberg table specification, "Partition Specs": what writers number the fields of a partition from."""
FIRST_HOUR = "2026/11/01/00"
"""Before this there was no such table, so there can be no error documents: the first hour of its quarantine."""
_PRIMITIVES = {"bigint": "long"}


def iceberg_arguments(table: StreamingInputTable, location: Any) -> dict[str, Any]:
    """The arguments of the resource. location: the s3:// address of the table's folder, or an output of one."""
    ids = count(1)
    columns = [*((column.name, column.type) for column in table.columns), (table.partition_key_name, _STRING)]
    numbered = [(next(ids), name, kind) for name, kind in columns]
    fields = [
        {"id": number, "name": name, "required": False, "type": json.dumps(_json_type(kind, ids))}
        for number, name, kind in numbered
    ]
    hour, name, _ = numbered[-1]
    partition = {"name": name, "source_id": hour, "transform": "identity", "field_id": FIRST_PARTITION_ID}
    return {
        "name": table.name,
        "open_table_format_input": {
            "iceberg_input": {
                "metadata_operation": "CREATE",
                "version": FORMAT_VERSION,
                "iceberg_table_input": {
                    "location": location,
                    "schema": {"type": "struct", "schema_id": 0, "fields": fields},
                    "partition_spec": {"spec_id": 0, "fields": [partition]},
                },
            }
        },
    }


_STRING = Primitive("string")


def _json_type(kind: ColumnType, ids: Iterator[int]) -> Any:
    """A type as Iceberg writes it in JSON; the fields in it are numbered on."""
    match kind:
        case Array(element):
            number = next(ids)
            return {
                "type": "list",
                "element-id": number,
                "element-required": False,
                "element": _json_type(element, ids),
            }
        case Map(key, value):
            key_id, value_id = next(ids), next(ids)
            return {
                "type": "map",
                "key-id": key_id,
                "key": _json_type(key, ids),
                "value-id": value_id,
                "value-required": False,
                "value": _json_type(value, ids),
            }
        case Struct(fields):
            numbered = [(next(ids), name, inner) for name, inner in fields]
            return {
                "type": "struct",
                "fields": [
                    {"id": number, "name": name, "required": False, "type": _json_type(inner, ids)}
                    for number, name, inner in numbered
                ],
            }
        case Primitive(name):
            return _PRIMITIVES.get(name, name)
        case _:
            return str(kind)
