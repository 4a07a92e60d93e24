"""Batch input tables: a run sees what is committed, replaces its partition whole, and harms nothing if it fails."""

import json
import re
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from running import running, until

from datawarehouse import open_warehouse
from datawarehouse.errors import UnknownName
from datawarehouse.runtime.declaration import load
from datawarehouse.testing.clock import TestClock

AT = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)
MODULE = """
import os, subprocess, sys, tempfile, time
from datawarehouse import Warehouse

def hourly_counts(job):
    for event_type in ("clicks", "views"):
        [(count,)] = job.query(f"select count(*) from {event_type} where inserted_at = ?", [job.open_partition])
        yield {"event_type": event_type, "count": count, "time": job.partition}

def behave(job):
    from pathlib import Path
    how = Path(__file__).with_name("how").read_text()
    scope = {"job": job, **globals()}
    exec(how, scope)
    return scope["result"]

columns = {"id": "string"}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", columns)
    .with_streaming_input_table("views", columns)
    .with_batch_input_table(
        "aggregates", {"event_type": "string", "count": "int", "time": "string"}, hourly_counts, "cron(0 0 1 1 ? 2090)",
        partition_keys={"hour": "string"}, data_format="JSON",
    )
    .with_batch_input_table(
        "behaved", {"n": "int", "price": "decimal(9,2)", "day": "date", "at": "timestamp"}, behave,
        "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"},
    )
)
"""


DECORATED = """
from datawarehouse import Warehouse
from decorators_of_shop import counted

@counted
def hourly(job):
    yield {"n": 7}

warehouse = Warehouse("shop").with_batch_input_table("sums", {"n": "int"}, hourly, "rate(1 hour)")
"""


def test_a_job_that_a_decorator_of_another_module_made(tmp_path, monkeypatch):
    decorator = """
import functools
def counted(function):
    @functools.wraps(function)
    def call(job):
        return function(job)
    return call
"""
    (tmp_path / "decorators_of_shop.py").write_text(decorator)
    (tmp_path / "decorated_shop.py").write_text(DECORATED)
    monkeypatch.syspath_prepend(str(tmp_path))
    from decorated_shop import warehouse

    with open_warehouse(warehouse, tmp_path / "data") as opened:
        opened.run("sums", AT)
        assert list(opened.query("select n from sums")) == [(7,)]


def test_jobs_of_two_declarations_whose_files_have_one_name(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "shop_twice", raising=False)
    opened = []
    for n in (1, 2):
        (tmp_path / f"{n}").mkdir()
        (tmp_path / f"{n}" / "shop_twice.py").write_text(
            "from datawarehouse import Warehouse\n"
            f"def job(job): return [{{'n': {n}}}]\n"
            "warehouse = Warehouse('shop').with_batch_input_table('sums', {'n': 'int'}, job, 'rate(1 hour)')\n"
        )
        opened.append(open_warehouse(load(str(tmp_path / f"{n}" / "shop_twice.py")), tmp_path / f"{n}" / "data"))
    for n, warehouse in enumerate(opened, 1):
        with warehouse:
            warehouse.run("sums", AT)
            assert list(warehouse.query("select n from sums")) == [(n,)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "declared_shop.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_shop", raising=False)
    from declared_shop import warehouse

    return warehouse


@pytest.fixture
def opened(project, tmp_path):
    with open_warehouse(project, tmp_path / "data", {"convert_interval_ms": 10}) as warehouse:
        yield warehouse


@pytest.fixture
def behave(opened, tmp_path):
    """Run the job `behaved` as this text says."""

    def run(how, **settings):
        (tmp_path / "how").write_text(textwrap.dedent(how))
        return opened.run("behaved", AT)

    return run


def rows(warehouse, columns="n"):
    return list(warehouse.query(f"select {columns}, hour from behaved order by hour, n"))


def test_a_run_counts_what_is_committed(project, tmp_path):
    with open_warehouse(project, tmp_path / "data", clock=TestClock(AT)) as opened:
        opened.put("clicks", [{"id": str(n)} for n in range(3)])
        opened.put("views", [{"id": "v"}])
        opened.flush()
        assert list(opened.query("select max(inserted_at) from clicks")) == [("2026/11/23/08",)]
        run = opened.run("aggregates", AT + timedelta(minutes=10))
        assert (run.outcome, run.rows, run.error) == ("succeeded", 2, None)
        found = list(opened.query("select event_type, count, time, hour from aggregates order by 1"))
    before = "2026/11/23/07"  # the newest hour that ended
    assert run.partition == before
    assert found == [("clicks", 3, before, before), ("views", 1, before, before)]


def test_a_later_run_replaces_its_partition_and_no_other(behave, opened):
    assert behave("result = [{'n': 1}, {'n': 2}]").rows == 2
    behave("job.write([{'n': 7}], partition='2026/11/23/01'); result = None")
    assert behave("result = ({'n': n} for n in (5,))").rows == 1
    assert rows(opened) == [(7, "2026/11/23/01"), (5, "2026/11/23/07")]
    behave("result = []")
    assert rows(opened) == [(7, "2026/11/23/01")]
    assert [run.outcome for run in opened.catalog.runs.latest("behaved")] == ["succeeded"] * 4


def test_values_become_what_they_would_in_an_event(behave, opened):
    run = behave(
        """
        from datetime import date, datetime, timezone
        from decimal import Decimal
        result = [{"n": "12", "price": Decimal("9.50"), "day": date(2026, 3, 1),
                   "at": datetime(2026, 3, 1, 7, 8, 9, tzinfo=timezone.utc)}]
        """
    )
    assert run.outcome == "succeeded", run.error
    assert rows(opened, "n, price, day, at") == [
        (12, Decimal("9.50"), date(2026, 3, 1), datetime(2026, 3, 1, 7, 8, 9), "2026/11/23/07")
    ]


def test_many_rows(behave, opened):
    assert behave("result = ({'n': n} for n in range(10_000))").rows == 10_000
    assert list(opened.query("select count(*), sum(n) from behaved")) == [(10_000, 49_995_000)]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("result = [{'n': 1}, {'n': 'x'}]", "Row 2 for table 'behaved' does not fit: .*Column 'n': expected a whole"),
        (
            "result = [{'m': 1}]",
            "Row 1 for table 'behaved' has 'm', which is not a column; there are at, day, n, price",
        ),
        ("result = [1]", "Row 1 for table 'behaved' is 1; a row maps column names to values"),
        ("result = [{'n': object()}]", "Row 1 for table 'behaved' cannot be written"),
        ("job.write([], partition='today'); result = None", "Not an hourly partition: 'today'"),
        ("job.query('select * from nothing')", "nothing"),
        ("sys.exit(3)", "SystemExit: 3"),
        ("os._exit(3)", r"The run's process died: .*\(status 3\)"),
        ("open(tempfile.mktemp(), 'wb').write(bytes(600 * 1024 * 1024)); result = None", "wrote a file of more than"),
    ],
)  # fmt: skip
def test_a_run_that_fails_is_recorded_and_leaves_the_previous_output(behave, opened, tmp_path, how, reason):
    behave("result = [{'n': 1}]")
    run = behave(how)
    assert run.outcome == "failed"
    assert re.match(f"(?s).*(?:{reason})", run.error), run.error
    assert rows(opened) == [(1, "2026/11/23/07")]
    assert len(list((tmp_path / "data" / "behaved").rglob("*.parquet*"))) == 1, "nothing half done is left"


LOADED = "sorted({'duckdb', 'sqlglot'} & set(sys.modules))"


def test_a_run_that_asks_nothing_loads_no_engine(behave, opened):
    assert behave(f"assert {LOADED} == [], {LOADED}; result = [{{'n': 1}}]").error is None
    assert behave(f"job.query('select 1'); assert {LOADED} == ['duckdb', 'sqlglot']; result = []").error is None


def test_a_run_loads_pandas_when_the_job_imports_it_and_arrow_then_knows_it(behave, opened):
    """pyarrow would load it, where it is installed, with the first array that it makes."""
    run = behave(
        """
        import importlib.util
        job.write([{"n": 1, "day": "2026-11-23", "at": "2026-11-23 08:00:00", "price": "1.5"}])
        job.query("select ?", [1]).arrow()
        assert importlib.util.find_spec("pandas")
        assert "pandas" not in sys.modules
        import pandas.api.types
        import pyarrow
        assert pyarrow.array(pandas.Series([1.5, float("nan")])).null_count == 1
        assert pyarrow.table(pandas.DataFrame({"n": [2]})).num_rows == 1
        job.write([{"n": n} for n in pandas.Series([2]).tolist()])
        result = []
        """
    )
    assert run.error is None
    assert rows(opened) == [(1, "2026/11/23/07"), (2, "2026/11/23/07")]


def test_an_engine_that_cannot_be_loaded_is_the_error_of_the_run(behave):
    run = behave("sys.modules['duckdb'] = None; job.query('select 1'); result = []")
    assert (run.outcome, run.error.splitlines()[0].partition(":")[0]) == ("failed", "ModuleNotFoundError")
    assert "duckdb" in run.error.splitlines()[0]


def test_the_threads_of_a_run_share_one_engine(behave):
    """Each engine may take the memory of a query: the limits hold for a run because it has one of them."""
    run = behave(
        """
        import gc
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: list(job.query("select ?", [n])), range(16)))
        assert answers == [[(n,)] for n in range(16)], answers
        from datawarehouse.query.engine import Engine
        engines = sum(isinstance(found, Engine) for found in gc.get_objects())
        assert engines == 1, engines
        result = []
        """
    )
    assert run.error is None


def test_the_traceback_is_kept(behave):
    run = behave("def inner():\n    raise KeyError('here')\ninner()")
    assert "in inner" in run.error
    assert "KeyError: 'here'" in run.error


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this system has no limit of memory; Linux has")
def test_a_run_out_of_memory_fails_alone(project, tmp_path):
    (tmp_path / "how").write_text("result = [{'n': len(bytearray(2_000_000_000))}]")
    with open_warehouse(project, tmp_path / "data", {"job_memory_bytes_max": "1GiB"}) as warehouse:
        run = warehouse.run("behaved", AT)
        assert run.outcome == "failed"
        assert "MemoryError: the run needed more memory than 1073741824 bytes (job_memory_bytes_max)" in run.error


def test_a_run_that_hangs_is_ended_with_what_it_started(project, tmp_path):
    (tmp_path / "how").write_text(
        f"child = subprocess.Popen(['sleep', '600']); open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    with open_warehouse(project, tmp_path / "data", {"job_time_max_s": 3}) as warehouse:
        run = warehouse.run("behaved", AT)
        assert (run.outcome, run.error) == ("failed", "The run took longer than 3 s (job_time_max_s) and was ended.")
    pid = (tmp_path / "pid").read_text()
    until(lambda: not alive(pid), "what the run started is ended")


def alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


def test_an_unknown_job(opened):
    with pytest.raises(UnknownName, match="There is no batch input table 'clicks'; there are 'aggregates', 'behaved'"):
        opened.run("clicks")


def test_runs_from_the_command_line(tmp_path):
    (tmp_path / "how").write_text("result = [{'n': 1}]")
    with running(tmp_path, declaration=MODULE) as warehouse:
        done = warehouse.dw("run", "behaved", "--at", "2026-11-23T08:20:00Z", "--output", "json")
        found = json.loads(done.stdout)
        assert (found["outcome"], found["rows"], found["partition"]) == ("succeeded", 1, "2026/11/23/07")
        assert warehouse.query("select n, hour from behaved") == [{"n": 1, "hour": "2026/11/23/07"}]
        (tmp_path / "how").write_text("raise RuntimeError('no luck')")
        failed = warehouse.dw("run", "behaved", check=False)
        assert failed.returncode == 1
        assert "RuntimeError: no luck" in failed.stdout
        assert warehouse.dw("run", "nothing", check=False).returncode == 2
        assert warehouse.dw("run", "behaved", "--at", "soon", check=False).returncode == 2
    runs = json.loads(warehouse.dw("jobs", "behaved", "--output", "json").stdout)
    assert [run["outcome"] for run in runs] == ["failed", "succeeded"]
    (tmp_path / "how").write_text("result = [{'n': 2}]")
    alone = warehouse.dw("run", "behaved", "--at", "2026-11-23T08:20:00Z")
    assert "succeeded" in alone.stdout
    count = json.loads(warehouse.dw("query", "select n from behaved", "--output", "json").stdout)
    assert count == [{"n": 2}]


def test_a_run_that_died_with_its_owner_is_told(project, tmp_path):
    with open_warehouse(project, tmp_path / "data") as warehouse:
        warehouse.catalog.runs.start("behaved", 0, "1969/12/31/23", attempt=1, cause="asked for", now_ms=0)
    with open_warehouse(project, tmp_path / "data") as warehouse:
        [run] = warehouse.catalog.runs.latest("behaved")
        assert (run.outcome, run.ended_ms is not None) == ("interrupted", True)


RUNS = (
    'select job, scheduled, "partition", attempt, cause, outcome, "rows", error from job_runs order by started, attempt'
)


def test_the_runs_are_a_table(behave, opened):
    behave("result = [{'n': 1}, {'n': 2}]")
    behave("raise RuntimeError('no luck')")
    scheduled = AT.replace(tzinfo=None)
    first, second = opened.query(RUNS)
    assert first == ("behaved", scheduled, "2026/11/23/07", 1, "asked for", "succeeded", 2, None)
    assert second[:-1] == ("behaved", scheduled, "2026/11/23/07", 1, "asked for", "failed", None)
    assert second[-1].splitlines()[0] == "RuntimeError: no luck"
    # Neither `rows` nor `partition` nor `error` is reserved in Trino's grammar (SqlBase.g4, nonReserved).
    unquoted = (
        "select rows, r.partition, error is null from job_runs as r where rows > 1 group by rows, partition, error"
    )
    assert list(opened.query(unquoted)) == [(2, "2026/11/23/07", True)]
    assert list(opened.query("select count(*) from job_runs where ended >= started")) == [(2,)]


def test_the_runs_are_a_table_of_a_running_warehouse(tmp_path):
    (tmp_path / "how").write_text("raise RuntimeError('no luck')")
    with running(tmp_path, declaration=MODULE) as warehouse:
        assert warehouse.query(RUNS) == []
        warehouse.dw("run", "behaved", "--at", "2026-11-23T08:20:00Z", check=False)
        [run] = warehouse.query('select job, scheduled, outcome, "rows", error from job_runs')
        assert run.pop("error").splitlines()[0] == "RuntimeError: no luck"
        assert run == {"job": "behaved", "scheduled": "2026-11-23T08:20:00.000Z", "outcome": "failed", "rows": None}
        found = warehouse.dw("query", "select rows, outcome from job_runs", "--output", "json")
        assert json.loads(found.stdout) == [{"rows": None, "outcome": "failed"}]
