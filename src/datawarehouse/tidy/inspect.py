"""Executes an order to read files and to compare them with what was published."""

from __future__ import annotations

from pathlib import Path

from datawarehouse.parquet.inspection import inspect
from datawarehouse.tidy.orders import InspectedFiles, InspectOrder


def inspect_files(order: InspectOrder) -> InspectedFiles:
    """Read the files of an order whole."""
    return InspectedFiles([inspect(Path(order.lake), file, whole=True) for file in order.files])
