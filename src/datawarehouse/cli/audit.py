"""dw audit"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datawarehouse.catalog.records import File
from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, quantity, remark, size
from datawarehouse.cli.run import instant
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.auditing import Audit, Audited, Report, Wanted
from datawarehouse.runtime.reader import Reader
from datawarehouse.tidy.audit import DATA, FILES, LEVELS, MEND_FILE

_SHOWN_MAX = 20
_SEE = "docs/reference/audit.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "default: all tables that the warehouse fills"
    parser.add_argument("tables", nargs="*", metavar="table", help=what)
    parser.add_argument("--from", dest="start", metavar="TIME", help="the first hour, e.g. 2026-11-23T08")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the hour after the last one")
    what = "what is read: the catalog alone, the footer of each file, or each file whole (default: files)"
    parser.add_argument("--level", choices=LEVELS, default=FILES, help=what)
    what = "read only a share of the files, e.g. 1/30; all of 1/30 to 30/30 read each file once"
    parser.add_argument("--subset", metavar="N/M", default="1/1", help=what)
    what = "note there what was read; the same call continues after an interruption"
    parser.add_argument("--state", metavar="FILE", type=Path, help=what)
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    wanted = _wanted(arguments)
    with Reader(settings.folder, settings) as reader:
        audit = Audit(reader.catalog, reader.folder, wanted, WallClock())
        by_bytes = wanted.level == DATA
        total = sum(file.bytes if by_bytes else 1 for table in audit.tables for file in table.chosen)
        unit = {"unit": "B", "unit_scale": True} if by_bytes else {"unit": " files"}
        with tqdm(total=total, desc="audit", disable=not sys.stderr.isatty(), **unit) as bar:

            def on_read(file: File) -> None:
                bar.update(file.bytes if by_bytes else 1)

            report = audit.run(on_read)
    if arguments.output == "json":
        print_json(_json(report))
    else:
        _print(report)
    if report.interrupted:
        remark(
            f"Interrupted; the same call with --state {wanted.state} continues it."
            if wanted.state
            else "Interrupted; an audit with --state FILE can be continued."
        )
    return report.code


def _wanted(arguments: argparse.Namespace) -> Wanted:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", arguments.subset)
    share, shares = map(int, match.groups()) if match else (0, 0)
    if not 1 <= share <= shares:
        raise BadRequest(f"--subset is {arguments.subset!r}; valid is N/M with 1 <= N <= M, e.g. 1/30.")
    low, high = (
        None if text is None else partition_of(milliseconds_of(instant(text)) + extra)
        for text, extra in ((arguments.start, 0), (arguments.end, HOUR_MS - 1))
    )
    if low is not None and high is not None and low >= high:
        raise BadRequest(f"No hour is from {arguments.start} to {arguments.end}; give --to a later time than --from.")
    return Wanted(
        tuple(dict.fromkeys(arguments.tables)), low, high, arguments.level, share - 1, shares, arguments.state
    )


# -- as zpool status prints it


def _print(report: Report) -> None:
    for table in report.tables:
        _print_table(table, report)
    for wrong in report.scratch[:_SHOWN_MAX]:
        whose = f", {quantity(wrong.rows, 'row')} of {wrong.table} of {wrong.key}" if wrong.table else ""
        print(f"scratch: {wrong.path}: {wrong.problem}{whose}; {MEND_FILE}")
    for note in report.notes[:_SHOWN_MAX]:
        print(f"note: {note}")
    if len(report.notes) > _SHOWN_MAX:
        print(f"note: and {len(report.notes) - _SHOWN_MAX} more; --output json has all")
    damaged = [table.table for table in report.tables if table.findings] + ["scratch"] * bool(report.scratch)
    if damaged:
        errors = sum(len(table.findings) for table in report.tables) + len(report.scratch)
        print(f"{quantity(errors, 'error')} in {', '.join(damaged)}")
    elif report.code:
        print("no known data errors in what was read; the audit is incomplete")
    else:
        print("no known data errors")


def _print_table(table: Audited, report: Report) -> None:
    print(f"  table: {table.table}")
    print(f"  state: {table.state}")
    if table.findings:
        print(" status: Some of what was stored is not there, or not what was written. Queries of these hours are")
        print("         refused, or wrong; all other hours can be read.")
        print(" action: Restore the files from a back-up, or set them aside with `dw doctor --repair`, which counts")
        print("         their rows and records as lost.")
        print(f"    see: {_SEE}")
    elif table.unread:
        print(f" status: {quantity(len(table.unread), 'file')} could not be read.")
        print(" action: Repeat the audit as a user who may read the data folder.")
        print(f"    see: {_SEE}")
    print(f"   scan: {_scan(table, report)}")
    print(f" ledger: {_ledger(table)}")
    rows, records = (sum(getattr(each, name) for each in table.findings) for name in ("rows", "records"))
    lost = f"{quantity(len(table.findings), 'error')}: {quantity(rows, 'row')}, {quantity(records, 'record')}"
    print(f" errors: {lost if table.findings else 'none'}")
    for each in table.findings[:_SHOWN_MAX]:
        print(f"         {each.hour}  {each.path or 'the hour as a whole'}")
        print(f"             {each.problem}")
        print(f"             {quantity(each.rows, 'row')}, {quantity(each.records, 'record')}; {each.mend}")
    if len(table.findings) > _SHOWN_MAX:
        print(f"         and {len(table.findings) - _SHOWN_MAX} more; --output json has all")
    for path, why in table.unread[:_SHOWN_MAX]:
        print(f" unread: {path}: {why}")
    print()


def _scan(table: Audited, report: Report) -> str:
    what = {
        "catalog": "the catalog alone was read",
        "files": f"footers of {table.read:,} of {quantity(len(table.files), 'file')}",
        "data": f"all bytes of {table.read:,} of {quantity(len(table.files), 'file')}, {size(table.read_bytes)}",
    }[report.level]
    seconds = (report.ended_ms - report.began_ms) / 1000
    began = f"{instant_of(report.began_ms):%Y-%m-%dT%H:%M:%SZ}"
    how = f"begun at {began} and continued" if report.continued else f"at {began}, {seconds:.1f} s for all tables"
    return f"{what}; {how}{'; interrupted' if report.interrupted else ''}"


def _ledger(table: Audited) -> str:
    total = _totals(table)
    return (
        f"{quantity(len(table.ledger), 'hour')}; {total['received']:,} records received = {total['stored']:,} stored + "
        f"{total['rejected']:,} rejected; {total['stored_rows']:,} rows stored = {total['live_rows']:,} live + "
        f"{total['deduplicated_rows']:,} deduplicated + {total['expired_rows']:,} expired + {total['lost_rows']:,} lost"
    )


def _totals(table: Audited) -> dict[str, int]:
    names = (
        "received", "stored", "rejected", "stored_rows", "deduplicated_rows", "expired_rows", "expired_records",
        "lost_rows", "lost_records",
    )  # fmt: skip
    totals = {name: sum(getattr(account, name) for account in table.ledger) for name in names}
    return totals | {"live_rows": sum(file.rows for file in table.files if file.kind == "rows")}


def _json(report: Report) -> dict[str, Any]:
    return {
        "level": report.level,
        "began": f"{instant_of(report.began_ms):%Y-%m-%dT%H:%M:%SZ}",
        "seconds": (report.ended_ms - report.began_ms) / 1000,
        "complete": not report.interrupted and not any(table.unread for table in report.tables),
        "exit_code": report.code,
        "tables": [
            {
                "table": table.table,
                "state": table.state,
                "files": len(table.files),
                "files_read": table.read,
                "bytes_read": table.read_bytes,
                "hours": len(table.ledger),
                **_totals(table),
                "errors": [asdict(each) for each in table.findings],
                "unread": [{"path": path, "why": why} for path, why in table.unread],
            }
            for table in report.tables
        ],
        "scratch": [asdict(each) for each in report.scratch],
        "notes": report.notes,
    }
