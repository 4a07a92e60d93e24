"""Does what an order says with the files of a partition. The sources stay, and nothing is visible before a commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.tidy.orders import Deduplicated, MergeOrder, RewriteOrder, Rewritten


def rewrite(order: RewriteOrder) -> Rewritten:
    """Publish the files that an order asks for."""
    lake, schema = Lake(Path(order.lake)), arrow_schema(_columns(order.columns))
    if isinstance(order, MergeOrder):
        return lake.merge(order.name, order.files, schema, order.schema_version, order.sort_by)
    replaced, removed = lake.deduplicate(order.name, order.files, schema, order.schema_version, order.key)
    return Deduplicated(replaced, removed)


def _columns(pairs: Sequence[tuple[str, str]]) -> list[Column]:
    return [Column(name, parse_type(kind)) for name, kind in pairs]
