"""Executes an order to read files and to compare them with what was published."""

from __future__ import annotations

from pathlib import Path

from datawarehouse.definition.tables import from_wire
from datawarehouse.parquet.inspection import inspect
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.tidy.orders import InspectedFiles, InspectOrder


def inspect_files(order: InspectOrder) -> InspectedFiles:
    """Read the files of an order whole."""
    schema = arrow_schema(from_wire(order.columns)) if order.columns else None
    return InspectedFiles([inspect(Path(order.lake), file, whole=True, schema=schema) for file in order.files])
