"""dw init"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from datawarehouse.cli.drafts import declaration_of, drafted, print_drafts, tests_of
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.declaration import DECLARATION

_DECLARATION = """\
from datawarehouse import Warehouse

columns = {"id": "string", "session_id": "string", "event_time": "timestamp"}


def hourly_counts(job):
    for event_type in ("clicks", "impressions"):
        [(count,)] = job.query(f"select count(*) from {event_type} where inserted_at = ?", [job.partition])
        yield {"event_type": event_type, "count": count, "time": job.partition}


warehouse = (
    Warehouse("analytics_dw")
    .with_streaming_input_table("impressions", columns=columns)
    .with_streaming_input_table("clicks", columns=columns)
    .with_batch_input_table(
        "aggregates",
        columns={"event_type": "string", "count": "int", "time": "string"},
        job=hourly_counts,
        schedule_expression="rate(1 hour)",
        reads=["clicks", "impressions"],
        run_when_complete=True,
    )
)
"""

_TEST = """\
\"\"\"Each test gets `warehouse`, a new warehouse of warehouse.py, and controls its clock.\"\"\"


def event(id):
    return {"id": id, "session_id": "s1", "event_time": "2026-01-05T09:00:00Z"}


def test_an_hour_is_counted_once_when_it_is_over(warehouse):
    warehouse.put("impressions", [event("1"), event("2"), event("3")])
    warehouse.put("clicks", event("4"))
    warehouse.advance("59m")
    warehouse.assert_table("aggregates", [])
    warehouse.advance("2h")
    counts = warehouse.query("select event_type, count from aggregates where time = '2026/01/05/09' order by 1")
    assert list(counts) == [("clicks", 1), ("impressions", 3)]


def test_a_malformed_event_is_kept_and_blocks_nothing(warehouse):
    warehouse.put("clicks", [event("1"), {"id": "2", "event_time": "soon"}])
    warehouse.assert_table("clicks", [{"id": "1", "session_id": "s1"}])
    [rejected] = warehouse.quarantine("clicks")
    assert (rejected["column_name"], rejected["raw_data"]) == ("event_time", b'{"id":"2","event_time":"soon"}')


def test_a_failed_run_is_made_up_for(warehouse):
    warehouse.fail_job("aggregates")
    warehouse.put("clicks", event("1"))
    warehouse.advance("1h")
    warehouse.assert_table("aggregates", [])
    warehouse.advance("1m")
    assert [run.outcome for run in warehouse.runs("aggregates")] == ["failed", "succeeded"]
    warehouse.assert_table("aggregates", [
        {"event_type": "clicks", "count": 1, "time": "2026/01/05/09"},
        {"event_type": "impressions", "count": 0, "time": "2026/01/05/09"},
    ])
"""

_MAKEFILE = """\
.PHONY: up test

up:  ## take events at http://127.0.0.1:8321
\tdw up

test:
\tpython -m pytest -q
"""

TESTS = "test_warehouse.py"
_FILES = {DECLARATION: _DECLARATION, TESTS: _TEST, "Makefile": _MAKEFILE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where to write it (default: here)")
    what = "files of events: a table for each, with the columns and types that are found (JSON, CSV, Parquet; also .gz)"
    parser.add_argument("--from", dest="samples", metavar="FILE", nargs="+", type=Path, default=[], help=what)


def run(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder)
    _check_free(folder)
    if arguments.samples:
        drafts = drafted(arguments.samples)
        _write(folder, {**_FILES, DECLARATION: declaration_of(drafts), TESTS: tests_of(drafts)})
        print_drafts(drafts, folder)
        return
    write_first(folder)
    enter = "" if str(folder) == "." else f"cd {shlex.quote(str(folder))}; "
    print(f"Wrote {', '.join(str(folder / name) for name in _FILES)}. Next: `{enter}dw up`, and in another terminal")
    event = '{"id": "1", "session_id": "a", "event_time": "2026-11-23T07:00:00Z"}'
    print(f"  {enter}echo '{event}' | dw send clicks -")
    print("  dw query 'select * from clicks'")
    print("`make test` tests the declaration; it needs pytest.")


def write_first(folder: Path) -> None:
    """Write the first declaration, its test and a Makefile. Raises BadRequest if one of them is there."""
    _check_free(folder)
    _write(folder, _FILES)


def _check_free(folder: Path) -> None:
    there = [name for name in _FILES if (folder / name).exists()]
    if there:
        raise BadRequest(f"{folder / there[0]} exists already; nothing was written. Give another folder.")


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise BadRequest(
            f"{error.filename or folder} cannot be written: {error.strerror}. Give a new folder, or an empty one."
        ) from None
