"""What somebody who operates a warehouse sees and does: `dw status`, `dw jobs`, `dw stop`, `dw partition`."""

import os

import pytest
from running import command, running

from datawarehouse import Warehouse, open_warehouse

DECLARED = """
from datawarehouse import Warehouse

def broken(job):
    wanted = {}
    yield {"n": wanted["nothing"]}

def working(job):
    yield {"n": 1}

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_table("prices", {"item": "string"}, {"day": "string"})
    .with_batch_input_table("sums", {"n": "int"}, working, "cron(0 0 1 1 ? 2090)")
    .with_batch_input_table("faults", {"n": "int"}, broken, "cron(0 0 1 1 ? 2090)")
    .with_batch_input_table("idle", {"n": "int"}, working, "cron(0 0 1 1 ? 2090)")
)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("operating"), declaration=DECLARED) as warehouse:
        assert warehouse.dw("run", "sums").returncode == 0
        assert warehouse.dw("run", "faults", check=False).returncode == 1
        yield warehouse


@pytest.mark.parametrize("is_stopped", [False, True])
def test_status_is_short_and_has_jobs_and_own_tables(shop, tmp_path, is_stopped):
    if is_stopped:
        with running(tmp_path, declaration=DECLARED) as other:
            other.dw("run", "sums")
            other.dw("run", "faults", check=False)
        text = command(tmp_path, "status").stdout
    else:
        text = shop.dw("status").stdout
    assert f"shop in {(tmp_path if is_stopped else shop.folder) / 'data'}, {'not ' * is_stopped}running" in text
    assert "tables that you fill: prices" in text
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "succeeded" in lines["sums"] and "failed" in lines["faults"] and "KeyError: 'nothing'" in lines["faults"]
    assert lines["idle"].split() == ["idle", "NULL", "NULL", "NULL", "NULL", "NULL"]
    assert "query_time_max_s" not in text and len(text.splitlines()) < 20
    settings = command(tmp_path if is_stopped else shop.folder, "status", "--settings").stdout
    assert "query_time_max_s" in settings


def test_jobs_says_when_and_where(shop):
    shown = shop.dw("jobs", "faults")
    assert "started" in shown.stdout.splitlines()[0]
    assert "warehouse.py, line 6, in broken: yield {" in shown.stderr
    mistyped = shop.dw("jobs", "fault", check=False)
    assert (mistyped.returncode, mistyped.stdout) == (2, "")
    assert mistyped.stderr.endswith("there are 'faults', 'idle', 'sums'. Did you mean 'faults'?\n")
    assert "Did you mean 'sums'?" in shop.dw("run", "sum", check=False).stderr
    assert "Did you mean 'clicks'?" in shop.dw("send", "click", "-", stdin='{"id": "x"}', check=False).stderr


def test_a_partition_needs_its_folder(shop):
    for more in ((), ("--location", str(shop.folder / "elsewhere"))):
        refused = shop.dw("partition", "prices", "2026-11-01", *more, check=False)
        assert (refused.returncode, "there is no folder" in refused.stderr) == (2, True)
    (shop.folder / "data" / "prices" / "2026-11-01").mkdir(parents=True)
    assert shop.dw("partition", "prices", "2026-11-01").returncode == 0


def test_stop(tmp_path):
    assert command(tmp_path, "stop").returncode == 4  # no data folder
    with running(tmp_path, declaration=DECLARED) as warehouse:
        stopped = warehouse.dw("stop")
        assert stopped.stderr == f"Process {warehouse.process.pid} has stopped.\n"
        assert warehouse.process.wait(10) == 0
    again = command(tmp_path, "stop")
    assert (again.returncode, again.stderr) == (0, "Nothing runs in data.\n")


def test_stop_says_so_when_another_program_has_the_folder(tmp_path):
    with open_warehouse(Warehouse("shop").with_streaming_input_table("t", {"n": "int"}), tmp_path / "data"):
        refused = command(tmp_path, "stop")
    assert refused.returncode == 4 and f"process {os.getpid()}, which is no `dw up`" in refused.stderr
