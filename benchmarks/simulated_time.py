"""How fast does a test's time pass?

1. The example's 72 hours of tests/journey/test_hours.py: events of each quarter of an hour put, hours counted when they
   are complete, files compacted. Bar: 10 s.
2. The fixture `warehouse` as a test uses it: open, put 100 events, flush, query, close. Bar: 150 ms.
3. 50 such tests, by pytest on two processes, as their user waits for them. Bar: 12 s.
4. A month: 720 hours with 1,000 events each, a job, compaction, and expiry after 7 days. Bar: 90 s. What is on disk at
   the end of each day stays as small as 7 days and the day at hand need.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import report, spread

from datawarehouse import Warehouse
from datawarehouse.testing import simulate

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "journey"), str(ROOT / "examples" / "acme_ads")]

COLUMNS = {"id": "string", "session_id": "string", "event_time": "timestamp"}
RETENTION_DAYS = 7
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(50))
def test_a_hundred_events(warehouse, number):
    warehouse.put("clicks", [{"id": f"c{n}", "session_id": "s"} for n in range(100)])
    warehouse.flush()
    assert list(warehouse.query("select count(*), count(distinct id) from clicks")) == [(100, 100)]
"""


def counts(job):
    [(count,)] = job.query("select count(*) from clicks where inserted_at = ?", [job.partition])
    yield {"count": count, "time": job.partition}


def month_declared():
    return (
        Warehouse("month")
        .with_streaming_input_table("clicks", COLUMNS, dedupe_key="id", sort_by=["id"], retention_days=RETENTION_DAYS)
        .with_batch_input_table(
            "aggregates",
            {"count": "int", "time": "string"},
            counts,
            "rate(1 hour)",
            reads=["clicks"],
            run_when_complete=True,
        )
    )


def hours() -> float:
    from test_hours import HOURS, counted, go_on

    with tempfile.TemporaryDirectory() as folder:
        expected = counted(Path(folder))
        started = time.perf_counter()
        with go_on(Path(folder), HOURS) as simulated:
            simulated.assert_table("aggregates", expected)
        return time.perf_counter() - started


def fixture() -> float:
    with tempfile.TemporaryDirectory() as folder:
        events = [{"id": f"c{n}", "session_id": "s"} for n in range(100)]
        started = time.perf_counter()
        with simulate(month_declared(), Path(folder) / "data") as simulated:
            simulated.put("clicks", events)
            simulated.flush()
            assert list(simulated.query("select count(*) from clicks")) == [(100,)]
        return time.perf_counter() - started


def fifty() -> float:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([Path(sys.executable).parent / "dw", "init", folder], check=True, capture_output=True)
        (Path(folder) / "test_warehouse.py").write_text(TESTS)
        started = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        assert "50 passed" in done.stdout
        return time.perf_counter() - started


def month() -> tuple[float, list[int], list[int]]:
    """(seconds, bytes of data files at the end of each day, how many files)"""
    sizes, files = [], []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with simulate(month_declared(), Path(folder) / "data") as simulated:
            for hour in range(720):
                simulated.put("clicks", [{"id": f"{hour}-{n % 990}", "session_id": f"s{n % 50}"} for n in range(1000)])
                simulated.advance("1h")
                if hour % 24 == 23:
                    paths = list((Path(folder) / "data").rglob("*.parquet"))
                    sizes.append(sum(path.stat().st_size for path in paths))
                    files.append(len(paths))
            seconds = time.perf_counter() - started
            [(rows, least, most)] = simulated.query('select count(*), min("count"), max("count") from aggregates')
            assert (rows, least, most) == (720, 1000, 1000)
            [table] = [each for each in simulated.status()["tables"] if each["table"] == "clicks"]
            assert table["stored"] == 720_000 == table["rows"] + table["deduplicated"] + table["expired"]
    return seconds, sizes, files


def main() -> None:
    fixture()
    opened = [fixture() * 1000 for _ in range(30)]
    suites = [fifty() for _ in range(3)]
    simulated = [hours() for _ in range(3)]
    seconds, sizes, files = month()
    steady = sizes[RETENTION_DAYS + 1 :]
    report(
        "How fast does a test's time pass?",
        [
            ("the fixture: open, 100 events, flush, query, close (bar 150 ms)", f"{spread(opened, '{:.0f}')} ms"),
            ("50 such tests, two processes (bar 12 s)", f"{spread(suites, '{:.1f}')} s"),
            ("72 hours of the example (bar 10 s)", f"{spread(simulated, '{:.1f}')} s"),
            ("a month of 1,000 events an hour (bar 90 s)", f"{seconds:.1f} s"),
            ("data files at the ends of days 9 to 30, bytes", f"{spread(steady)} in at most {max(files)} files"),
        ],
    )


if __name__ == "__main__":
    main()
