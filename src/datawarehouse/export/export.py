"""Writing an export: the live files at one moment, links to them, and the text that names the links.

1. Read the catalog at one moment: the tables, their live files, the partitions that users registered.
2. Link the live files of the tables that the warehouse fills (`links.py`).
3. Write the engine's text under a temporary name, and rename it. It names the links at their own path, or at `location`
   if they are copied there.

Running the same export again brings everything up to date. Nothing in the data folder changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import StoredTable
from datawarehouse.definition.tables import QUARANTINE_COLUMNS, QUARANTINE_SUFFIX, StreamingInputTable, Table
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, replace
from datawarehouse.errors import BadRequest, UnknownName
from datawarehouse.export import duckdb, glue, spark, trino
from datawarehouse.export.links import alone_in, link_tables
from datawarehouse.export.tables import ExportedTable, PartitionFiles
from datawarehouse.parquet.footer import REJECTS, ROWS, folder_for

Engine = Literal["duckdb", "spark", "trino", "glue"]

_PARTITION_CHARACTERS = len("YYYY/MM/DD/HH")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote. skipped: requested tables that are not in it -> the reason. symbolic_links: how many links
    are symbolic, and so break when the warehouse deletes the file."""

    written: tuple[Path, ...]
    tables: tuple[ExportedTable, ...]
    skipped: dict[str, str]
    symbolic_links: int


@dataclass(frozen=True, slots=True)
class _Linked:
    """A table that the warehouse fills, and its links: path below its folder -> file."""

    table: ExportedTable
    links: dict[str, Path]


def export(
    catalog: Catalog, lake: Path, tables: Sequence[str], engine: Engine, to: Path, location: str | None = None
) -> Exported:
    """Export the named tables, or all tables that the warehouse fills and their quarantines, to the folder `to`.

    lake: the data folder. location: where the engine finds the contents of `to`, if they are copied elsewhere; Glue
    needs one. Raises UnknownName, BadRequest, or FolderError if `to` has another file or folder in the place of a
    table's links.
    """
    lake, to = lake.absolute(), to.absolute()
    _check(lake, to, engine, location)
    base = location.rstrip("/") if location else f"{'' if engine == 'duckdb' else 'file://'}{to}"
    linked: list[_Linked] = []
    users: list[ExportedTable] = []
    skipped: dict[str, str] = {}
    with catalog.moment():
        warehouse = catalog.warehouse_name()
        for name, stored, kind in _chosen(catalog, tables):
            if stored.kind != Table.kind:
                linked.append(_linked(catalog, lake, name, stored, kind, base))
            elif reason := _not_exportable(stored, location):
                skipped[name] = reason
            else:
                users.append(_users(catalog, lake, stored, "" if engine == "duckdb" else "file://"))
    found = (*(each.table for each in linked), *users)
    with alone_in(to):
        symbolic = link_tables(to, {each.table.name: each.links for each in linked})
        written = tuple(_write(to, engine, warehouse, found))
    return Exported(written, found, skipped, symbolic)


def _check(lake: Path, to: Path, engine: Engine, location: str | None) -> None:
    if to.resolve().is_relative_to(lake.resolve()):
        raise BadRequest(f"Cannot export to {to}, which is in the data folder {lake}; give a folder outside it.")
    if location is not None and "://" not in location:
        raise BadRequest(f"The location {location!r} is no URI; valid is e.g. 's3://bucket/prefix'.")
    if engine == "glue" and not (location or "").startswith("s3://"):
        given = "no location was given" if location is None else f"the location is {location!r}"
        raise BadRequest(
            f"Glue tables are in S3, and {given}. Say where you copy the exported folders to: --location s3://BUCKET/PREFIX."
        )


def _chosen(catalog: Catalog, names: Sequence[str]) -> list[tuple[str, StoredTable, str]]:
    """(name, table, kind of its files) of each table to export."""
    known = {}
    for stored in catalog.tables():
        known[stored.name] = (stored.name, stored, ROWS)
        if stored.kind == StreamingInputTable.kind:
            quarantine = stored.name + QUARANTINE_SUFFIX
            known[quarantine] = (quarantine, stored, REJECTS)
    for name in names:
        if name not in known:
            raise UnknownName(f"There is no table {name!r} to export; there are {', '.join(sorted(known))}.")
    return [found for name, found in known.items() if (name in names if names else found[1].kind != Table.kind)]


def _linked(catalog: Catalog, lake: Path, name: str, stored: StoredTable, kind: str, base: str) -> _Linked:
    home = folder_for(stored.name, kind, "")
    folder = f"{base}/{name}"
    links: dict[str, Path] = {}
    files: dict[str, list[tuple[str, int]]] = {}
    paths = catalog.live_paths(stored.name, kind, catalog.partitions_between(stored.name, kind, None, None))
    for path, version, *_ in paths:
        below = path.removeprefix(home)
        partition, file = below[:_PARTITION_CHARACTERS], below[_PARTITION_CHARACTERS + 1 :]
        if not stored.partition_keys:  # one folder for all, because engines do not look into folders below
            partition, file = "", below.replace("/", "-")
        links[f"{partition}/{file}".lstrip("/")] = lake / path
        files.setdefault(partition, []).append((file, version))
    partitions = tuple(
        PartitionFiles((partition,) if partition else (), f"{folder}/{partition}".rstrip("/"), tuple(each))
        for partition, each in files.items()
    )
    columns, versions = stored.columns[stored.schema_version], dict(stored.columns)
    if kind == REJECTS:
        columns, versions = (
            QUARANTINE_COLUMNS,
            dict.fromkeys((file.schema_version for file in paths), QUARANTINE_COLUMNS),
        )
    return _Linked(ExportedTable(name, columns, stored.partition_keys, versions, folder, partitions), links)


def _not_exportable(stored: StoredTable, location: str | None) -> str | None:
    if stored.data_format == "JSON":
        return "its files are JSON, which this warehouse reads by its own rules"
    if location:
        return "its files are your own and are not linked, so none of them is at the location"
    return None


def _users(catalog: Catalog, lake: Path, stored: StoredTable, scheme: str) -> ExportedTable:
    """A table that the user fills: the engine reads its folders without links."""
    home = lake / stored.name
    if stored.partition_keys:
        folders = [
            (each.values, Path(each.location).absolute() if each.location else home.joinpath(*each.values))
            for each in catalog.registered_partitions(stored.name)
        ]
    else:
        folders = [((), home)]
    partitions = tuple(
        PartitionFiles(values, f"{scheme}{folder}", tuple((name, 0) for name in names_below(folder)))
        for values, folder in folders
    )
    columns = stored.columns[stored.schema_version]
    return ExportedTable(stored.name, columns, stored.partition_keys, None, f"{scheme}{home}", partitions)


def names_below(folder: Path, before: str = "") -> Iterator[str]:
    """The paths of the files that the warehouse reads: no name on the way begins with '_' or '.'."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(("_", ".")) or path.name.endswith(ASIDE_SUFFIX):
            continue
        if path.is_dir():
            yield from names_below(path, f"{before}{path.name}/")
        else:
            yield f"{before}{path.name}"


def _write(to: Path, engine: Engine, warehouse: str, tables: Sequence[ExportedTable]) -> Iterator[Path]:
    match engine:
        case "duckdb":
            text = duckdb.script(tables)
        case "spark":
            text = spark.script(tables)
        case "trino":
            text = trino.script(warehouse, tables)
        case "glue":
            for table in tables:
                yield from _write_glue(to / "_glue" / table.name, warehouse, table)
            return
    path = to / f"{engine}.sql"
    replace(LOCAL_DISK, path, text.encode())
    yield path


def _write_glue(folder: Path, database: str, table: ExportedTable) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    inputs: dict[Path, Any] = {folder / "create-table.json": glue.create_table(database, table)}
    for number, each in enumerate(glue.create_partitions(database, table), 1):
        inputs[folder / f"batch-create-partition-{number:04}.json"] = each
    for path, value in inputs.items():
        replace(LOCAL_DISK, path, json.dumps(value, indent=1).encode() + b"\n")
    for path in set(folder.iterdir()) - set(inputs):
        path.unlink()
    return list(inputs)
