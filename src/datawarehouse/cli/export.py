"""dw export"""

from __future__ import annotations

import argparse
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.cli.options import add_settings, settings_of
from datawarehouse.cli.output import print_table, quantity, remark
from datawarehouse.export.export import export
from datawarehouse.folder import catalog_path
from datawarehouse.runtime.upgrades import ready_to_read

_ENGINES = {
    "duckdb": "views",
    "spark": "tables of Spark",
    "trino": "tables of Trino's Hive connector",
    "glue": "inputs of the AWS command line; needs --location",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "default: all tables that the warehouse fills, and their quarantines"
    parser.add_argument("tables", nargs="*", metavar="table", help=what)
    engines = parser.add_mutually_exclusive_group(required=True)
    for engine, text in _ENGINES.items():
        engines.add_argument(f"--{engine}", dest="engine", action="store_const", const=engine, help=text)
    parser.add_argument(
        "--to", type=Path, default=Path("export"), metavar="DIR", help="where to write (default: export)"
    )
    parser.add_argument("--location", metavar="URI", help="where the engine finds the files of DIR, if you copy them")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    folder = settings_of(arguments).folder
    ready_to_read(folder)
    catalog = Catalog(catalog_path(folder), writable=False)
    try:
        done = export(catalog, folder, arguments.tables, arguments.engine, arguments.to, arguments.location)
    finally:
        catalog.close()
    rows = [(table.name, str(len(table.partitions)), str(table.files), table.folder) for table in done.tables]
    print_table(("table", "partitions", "files", "folder"), rows)
    for path in done.written:
        remark(f"Wrote {path}")
    for name, reason in done.skipped.items():
        remark(f"Skipped {name}: {reason}.")
    if done.symbolic_links:
        remark(
            f"{quantity(done.symbolic_links, 'link')} had to be symbolic, because {arguments.to} is on another file "
            "system: they break after the next merges, so export again then. Hard links, on the file system of the "
            "data folder, do not break."
        )
