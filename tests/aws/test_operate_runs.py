"""`dw run` and `dw backfill` with `--on aws`, as processes, against a deployed warehouse."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from athena_endpoint import emulator_with_athena
from deployed import Deployed

from patience import patient


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with emulator_with_athena() as aws:
        yield Deployed(aws, tmp_path_factory.mktemp("runs"))


def backfill(job, start, end, *more):
    return ("backfill", job, "--from", start, "--to", end, "--output", "json", *more)


def counted(deployed):
    """How many rows each hour of `counts` has."""
    sql = "select hour, count(*) as n from counts group by 1"
    return {row["hour"]: row["n"] for row in json.loads(deployed.dw("query", sql, "--output", "json")[0])}


def runs_of(deployed, hour):
    """The complete runs that an hour of `counts` has had, those that were replaced included."""
    return [key for key in deployed.keys(f"counts/{hour}/") if key.endswith("/_complete")]


def test_a_run_writes_its_hour_and_a_second_one_replaces_it(deployed):
    for _ in range(2):
        out, err = deployed.dw("run", "counts", "--at", "2026-10-01T08:20:00+01:00", "--output", "json")
        ended = json.loads(out)
        assert ended.pop("seconds") > 0 and err == ""
        assert ended == {
            "job": "counts", "scheduled": "2026-10-01T07:20:00Z", "partition": "2026/10/01/06", "attempt": 1,
            "cause": "asked", "outcome": "succeeded", "rows": 2, "error": None,
        }  # fmt: skip
    assert counted(deployed)["2026/10/01/06"] == 2


def test_wrong_names_are_told(deployed):
    _, err = deployed.dw("run", "clicks", code=2)
    assert "'clicks' is a streaming input table; the batch input tables are counts, plain" in err
    _, err = deployed.dw("backfill", "count", "--from", "2026-11-01", code=2)
    assert "no table 'count'; it has bought, clicks, counts, facts, plain" in err


def test_a_run_that_fails_says_why(deployed):
    out, _ = deployed.dw("run", "counts", "--at", "2026-10-31T07:20:00Z", "--output", "json", code=1)
    ended = json.loads(out)
    assert ended["outcome"] == "failed" and ended["rows"] is None
    assert ended["error"].endswith(": no counts of 2026/10/31/06")


def test_a_period_goes_on_after_a_run_that_failed(deployed):
    out, _ = deployed.dw(*backfill("counts", "2026-10-31T22:00Z", "2026-11-01T02:00Z"), code=1)
    ended = {one["partition"]: one["outcome"] for one in json.loads(out)}
    assert ended == {
        "2026/10/31/22": "failed", "2026/10/31/23": "failed", "2026/11/01/00": "succeeded", "2026/11/01/01": "succeeded"
    }  # fmt: skip
    out, err = deployed.dw(*backfill("counts", "2026-10-31T22:00Z", "2026-11-01T02:00Z"), code=1)
    assert {one["partition"] for one in json.loads(out)} == {"2026/10/31/22", "2026/10/31/23"}
    assert "2 runs of these succeeded before and are left out" in err


def test_a_period_is_continued_after_kills(deployed):
    hours = [f"2026/11/02/{hour:02}" for hour in range(16)]
    command = backfill("counts", "2026-11-02T00:00Z", "2026-11-02T16:00Z")
    for fewest in (0, 1, 6, 9):
        process = deployed.start(*command)
        deployed.until(lambda fewest=fewest: sum(bool(runs_of(deployed, hour)) for hour in hours) >= fewest)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    out, err = deployed.dw(*command)
    left = [ended["partition"] for ended in json.loads(out)]
    assert len(left) <= 7 and f"{16 - len(left)} runs of these succeeded before and are left out" in err
    assert {hour: count for hour, count in counted(deployed).items() if hour in hours} == dict.fromkeys(hours, 2)
    out, err = deployed.dw(*command)
    assert json.loads(out) == [] and "16 runs of these succeeded before" in err
    before = runs_of(deployed, hours[0])
    deployed.dw(*backfill("counts", "2026-11-02T00:00Z", "2026-11-02T01:00Z", "--again"))
    assert len(runs_of(deployed, hours[0])) == len(before) + 1
    assert counted(deployed)[hours[0]] == 2


def test_a_complete_run_that_no_partition_points_to_does_not_count(deployed):
    command = backfill("counts", "2026-11-03T00:00Z", "2026-11-03T01:00Z")
    deployed.dw(*command)
    deployed.aws.client("glue").delete_partition(
        DatabaseName=deployed.at["database"], TableName="counts", PartitionValues=["2026/11/03/00"]
    )
    out, _ = deployed.dw(*command)
    assert [ended["outcome"] for ended in json.loads(out)] == ["succeeded"]
    assert counted(deployed)["2026/11/03/00"] == 2


def test_without_partitions_an_object_says_that_an_hour_is_done(deployed):
    command = backfill("plain", "2026-11-04T00:00Z", "2026-11-04T03:00Z")
    out, _ = deployed.dw(*command)
    assert [ended["partition"] for ended in json.loads(out)] == [f"2026/11/04/0{hour}" for hour in range(3)]
    out, err = deployed.dw(*command)
    assert json.loads(out) == [] and "3 runs of these succeeded before" in err


def test_two_backfills_at_once_give_the_rows_of_one(deployed):
    command = backfill("counts", "2026-11-05T00:00Z", "2026-11-05T04:00Z")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(deployed.dw, *command) for _ in range(2)]:
            done.result()
    found = counted(deployed)
    assert [found[f"2026/11/05/{hour:02}"] for hour in range(4)] == [2, 2, 2, 2]


def test_ctrl_c_ends_it_at_once(deployed):
    process = deployed.start(*backfill("counts", "2026-11-06T00:00Z", "2026-11-08T00:00Z"))
    deployed.until(lambda: runs_of(deployed, "2026/11/06/00"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=patient(10))
    assert process.returncode == 130 and "Traceback" not in err


def test_it_loads_neither_duckdb_nor_pyarrow(deployed):
    code = (
        "import sys\nfrom datawarehouse.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print(sorted({'duckdb', 'pyarrow', 'numpy', 'sqlglot', 'pulumi'} & sys.modules.keys()))\nsys.exit(code)"
    )
    for verb in (("run", "counts"), backfill("counts", "2026-11-01T00:00Z", "2026-11-01T01:00Z")):
        done = subprocess.run(
            [sys.executable, "-c", code, *verb, "--on", "aws"],
            cwd=deployed.folder, env=deployed.environment, capture_output=True, text=True, timeout=patient(60),
        )  # fmt: skip
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr
