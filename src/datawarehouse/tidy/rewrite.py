"""Executes an order on the files of a partition. The sources stay, and the new files are not visible before a
commit."""

from __future__ import annotations

from pathlib import Path

from datawarehouse.definition.tables import from_wire
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.tidy.orders import Deduplicated, MergeOrder, RewriteOrder, Rewritten


def rewrite(order: RewriteOrder) -> Rewritten:
    """Publish the files that an order asks for."""
    lake, schema = Lake(Path(order.lake)), arrow_schema(from_wire(order.columns))
    if isinstance(order, MergeOrder):
        return lake.merge(order.name, order.files, schema, order.schema_version, order.sort_by, order.event_time)
    replaced, removed = lake.deduplicate(
        order.name, order.files, schema, order.schema_version, order.key, order.event_time
    )
    return Deduplicated(replaced, removed)
