"""Kill -9 at each commit of the catalog between a late event and the rerun for it: it runs once, whenever that was."""

import shutil
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

from forks import forks

from datawarehouse.testing import simulate

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHILD = """
import os, signal
from contextlib import contextmanager
from datetime import datetime, UTC
from pathlib import Path

import datawarehouse.query.engine
from datawarehouse import Warehouse
from datawarehouse.catalog.store import Store
from datawarehouse.testing import simulate

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "at": "timestamp"}, event_time="at")
    .with_batch_input_table(
        "counted", {"n": "bigint"}, schedule_expression="rate(1 hour)", partition_keys={"hour": "string"},
        reads=["clicks"], run_when_complete=True, rerun_when_event_hour_changes=True,
        sql="select count(*) as n from clicks where date_format(at, '%Y/%m/%d/%H') = :partition",
    )
)
EVENT = {"id": "e", "at": "2026-03-02T09:30:00Z"}


def kill_at(number, is_before):
    real, seen = Store.transaction, 0

    @contextmanager
    def counted(self):
        nonlocal seen
        seen += 1
        is_it = seen == number
        with real(self):
            yield
            if is_it and is_before:
                os.kill(os.getpid(), signal.SIGKILL)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.transaction = counted


def main(folder, number, when):
    kill_at(int(number), when == "before")
    with simulate(warehouse, folder, start=datetime(2026, 3, 2, 10, 30, tzinfo=UTC)) as opened:
        opened.put("clicks", EVENT)
        Path(folder, "came").touch()
        opened.advance("30m")
"""


def test_a_kill_at_any_commit_neither_loses_nor_doubles_a_rerun(tmp_path):
    scope = {}
    exec(CHILD, scope)
    (tmp_path / "rerun_child.py").write_text(CHILD)
    with simulate(scope["warehouse"], tmp_path / "base", start=NINE) as warehouse:
        warehouse.put("clicks", scope["EVENT"])
        warehouse.advance("90m")
    met = Counter()
    with forks("rerun_child", tmp_path, tmp_path) as begin:
        for when in ("before", "after"):
            number, code = 0, -signal.SIGKILL
            while code == -signal.SIGKILL:
                number += 1
                folder = tmp_path / f"{when}_{number}"
                shutil.copytree(tmp_path / "base", folder)
                code = begin(folder, number, when).wait()
                came = (folder / "came").exists()
                with simulate(scope["warehouse"], folder, start=NINE + timedelta(hours=2)) as warehouse:
                    warehouse.advance("5h")
                    outcomes = [run.outcome for run in warehouse.runs("counted") if run.partition.endswith("09")]
                    assert outcomes.count("succeeded") == 1 + came, (when, number, outcomes)
                    assert list(warehouse.query("select n from counted where hour like '%09'")) == [(1 + came,)]
                    assert warehouse.status()["reruns"][0]["waiting_events"] == 0
                met[came, "interrupted" in outcomes] += 1
                shutil.rmtree(folder)
            assert code == 0
    assert met[True, True]  # during the rerun
    assert met[True, False] > 2  # at other commits
