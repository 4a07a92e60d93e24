"""Registering a folder of files as a partition of a table that its user fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from datawarehouse.definition.tables import Table
from datawarehouse.errors import BadRequest

PartitionValues = Sequence[str] | Mapping[str, str] | str
"""A value for each partition key: in order, by name, or the one value of a single key."""


def checked_partition(
    table: Table, values: PartitionValues, location: str | Path | None
) -> tuple[list[str], str | None]:
    """The values in the order of the keys, and the location, as the catalog keeps them. Raises BadRequest."""
    keys = [key.name for key in table.partition_keys]
    given = [values] if isinstance(values, str) else values
    if isinstance(given, Mapping):
        given = [given[key] for key in keys] if set(given) == set(keys) else []
    problem = ""
    if table.kind != Table.kind:
        problem = f"it is a {table.kind}, whose partitions the warehouse makes"
    elif len(given) != len(keys) or not keys:
        problem = f"it has the partition keys ({', '.join(keys)}), and {values!r} was given"
    elif location is None and any(part in ("", ".", "..") for value in given for part in str(value).split("/")):
        problem = f"{values!r} does not make a folder below the table's; give its location"
    elif location is not None and not Path(location).is_absolute():
        problem = f"the location {str(location)!r} is not an absolute path"
    if problem:
        raise BadRequest(f"A partition of table {table.name!r} was not registered: {problem}.")
    return [str(value) for value in given], None if location is None else str(location)
