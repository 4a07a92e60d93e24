"""Queries in a workgroup, over HTTP, by the command and in a program: what it does not permit reads nothing."""

import json
import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import running, until

from datawarehouse import Warehouse
from datawarehouse.cli.output import size
from datawarehouse.definition import workgroups
from datawarehouse.errors import BadRequest, DeclarationError, QueryLimitExceeded, ScanRefused
from datawarehouse.testing import simulate
from datawarehouse.testing.simulated import JobFailed

RANGE = "inserted_at >= date_format(now() - interval '1' hour, '%Y/%m/%d/%H')"


@pytest.fixture(scope="module")
def filled(warehouse):
    warehouse.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(5)]).encode())
    warehouse.flush()
    return warehouse


def ask(warehouse, sql, **more):
    status, _, body = warehouse.request("POST", "/v1/query", json.dumps({"sql": sql, "format": "json", **more}))
    return status, json.loads(body)


def test_a_query_is_permitted_by_what_it_makes_readable(filled):
    for sql in ("select count(*) as c from clicks", f"select count(*) as c from clicks where {RANGE} or true"):
        status, answer = ask(filled, sql, workgroup="adhoc")
        assert status == 403
        assert answer["error"]["code"] == "ScanRefused"
        assert "nothing bounds inserted_at of clicks from below" in answer["error"]["message"]
        assert (
            "This statement may run:\nselect count(*) as c from clicks where inserted_at >= '20"
            in answer["error"]["message"]
        )
        for workgroup in ("", "production", "batch"):
            assert ask(filled, sql, workgroup=workgroup) == (200, [{"c": 5}])
    assert ask(filled, f"select count(*) as c from clicks where {RANGE}", workgroup="adhoc") == (200, [{"c": 5}])
    assert ask(filled, "select count(*) as c from clicks_quarantine", workgroup="adhoc")[0] == 403
    status, answer = ask(filled, "select 1", workgroup="analysts")
    assert status == 400
    assert "there are production, adhoc, batch" in answer["error"]["message"]


def test_a_dry_run_says_what_would_be_read_and_reads_nothing(filled):
    [[files, size]] = [
        [each["files"], each["bytes"]] for each in filled.status()["tables"] if each["table"] == "clicks"
    ]
    status, answer = ask(filled, "select * from clicks", workgroup="adhoc", dry_run=True)
    assert status == 200
    assert answer["estimate"] == {"partitions": 1, "files": files, "bytes": size, "athena_usd": 5e-05}
    assert (answer["allowed"], len(answer["refusals"])) == (False, 1)
    allowed = {"allowed": True, "refusals": [], "rewritten": None, "estimate": answer["estimate"]}
    allowed["text"] = ask(filled, answer["rewritten"], workgroup="adhoc", dry_run=True)[1]["text"]
    assert allowed["text"].startswith("It reads at most 1 partition") and answer["text"].startswith("Workgroup 'adhoc'")
    assert ask(filled, answer["rewritten"], workgroup="adhoc", dry_run=True) == (200, allowed)
    assert ask(filled, "select * from clicks where n / 0 = 1", dry_run=True) == (200, allowed)
    assert ask(filled, "select * from clickz", dry_run=True)[0] == 422


def test_the_command_has_the_same_rules(filled):
    refused = filled.dw("query", "--workgroup", "adhoc", "select * from clicks", check=False)
    assert (refused.returncode, refused.stdout) == (11, "")
    assert refused.stderr.startswith("dw query: Workgroup 'adhoc' requires a range of hours for each table")
    dry = filled.dw("query", "--workgroup", "adhoc", "--dry-run", "select * from clicks", check=False)
    assert dry.returncode == 11
    assert dry.stdout.startswith("Workgroup 'adhoc' requires a range")
    free = filled.dw("query", "--dry-run", "select * from clicks")
    assert free.stdout.startswith("It reads at most 1 partition") and "on Athena at most $0.00005" in free.stdout
    as_json = json.loads(filled.dw("query", "--dry-run", "--output", "json", "select 1").stdout)
    assert as_json["estimate"]["files"] == 0
    rows = filled.dw(
        "query", "--workgroup", "adhoc", "--output", "json", f"select count(*) as c from clicks where {RANGE}"
    )
    assert json.loads(rows.stdout) == [{"c": 5}]
    elsewhere = filled.dw("query", "--on", "aws", "--dry-run", "select 1", check=False)
    assert (elsewhere.returncode, elsewhere.stdout) == (2, "")


def test_the_command_asks_for_a_range_of_hours_in_a_large_folder_alone(filled, monkeypatch):
    def asked(*more, sql="select count(*) as c from clicks"):
        # With a limit of its own the command reads the folder itself.
        return filled.dw("query", "--query-threads", "1", "--output", "json", *more, sql, check=False)

    live = sum(each.get("bytes", 0) for each in filled.status()["tables"])
    monkeypatch.setattr(workgroups, "LARGE_BYTES", live + 1)
    assert json.loads(asked().stdout) == [{"c": 5}]
    monkeypatch.setattr(workgroups, "LARGE_BYTES", live)
    for refused in (asked(), asked("--dry-run"), asked("--allow-full-scan"), asked("--allow-full-scan", "--dry-run")):
        assert refused.returncode == 11
        assert f"because it names none and the live files of this data folder have {size(live)}" in refused.stderr
        assert "With --workgroup production it needs no range of hours." in refused.stderr
    named = asked("--workgroup", "adhoc")
    assert (named.returncode, "it names none" in named.stderr) == (11, False)
    for free in (asked("--workgroup", "production"), asked(sql=f"select count(*) as c from clicks where {RANGE}")):
        assert json.loads(free.stdout) == [{"c": 5}]
    assert asked("--dry-run", "--workgroup", "production").returncode == 0
    assert (workgroups.for_people(live - 1), workgroups.for_people(live)) == ("production", "adhoc")


def test_a_running_warehouse_asks_for_a_range_as_well(tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    change = "from datawarehouse.definition import workgroups; workgroups.LARGE_BYTES = 1"
    (tmp_path / "path" / "sitecustomize.py").write_text(change)
    sql = "select count(*) as c from clicks"
    with running(tmp_path, environment={"PYTHONPATH": str(tmp_path / "path")}) as large:
        assert ask(large, sql, workgroup=None) == (200, [{"c": 0}])
        large.events("clicks", b'{"id": "one"}')
        large.flush()
        assert ask(large, sql) == (200, [{"c": 1}])
        assert ask(large, sql, workgroup=None)[0] == 403
        monkeypatch.setattr(workgroups, "LARGE_BYTES", 1)
        for more in ((), ("--dry-run",)):
            refused = large.dw("query", *more, sql, check=False)
            assert refused.returncode == 11
            assert "It is in workgroup 'adhoc' because it names none and the live files" in refused.stderr
        assert large.dw("query", "--output", "csv", "--workgroup", "production", sql).stdout == '"c"\n"1"\n'


DECLARED = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_workgroup("analysts", require_partition_filter=True, partitions_max=24, concurrency_max=1, result_rows_max=3)
    .with_workgroup("slow", concurrency_max=1)
    .with_workgroup("auditors", partitions_max=1, allow_full_scan=True, scan_bytes_max=10 * 1024**2)
    .with_workgroup("dashboards", query_time_max_s=1, memory_bytes_max=64 * 1024**2)
)
"""
ENDLESS = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1"
)

START_S = 60.0
"""A query that is ended while its process starts has its memory until then."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(5)]).encode())
        started.flush()
        yield started


def test_a_declared_workgroup_has_its_own_limits(shop):
    rows = f"select id from clicks where {RANGE}"
    status, answer = ask(shop, rows, workgroup="analysts")
    assert (status, answer["error"]["code"]) == (422, "QueryLimitExceeded")
    assert "more than 3 rows" in answer["error"]["message"]
    assert ask(shop, f"{rows} limit 3", workgroup="analysts")[0] == 200
    assert len(ask(shop, rows)[1]) == 5
    assert ask(shop, rows.replace("'1' hour", "'24' hour"), workgroup="analysts")[0] == 403
    status, answer = ask(shop, ENDLESS, workgroup="dashboards")
    assert (status, "longer than 1 s" in answer["error"]["message"]) == (422, True)
    status, answer = ask(shop, "select max(s) from (select array_agg(x) as s from unnest(sequence(1, 10000)) a(x), "
                         "unnest(sequence(1, 10000)) b(y))", workgroup="dashboards")  # fmt: skip
    assert (status, answer["error"]["code"]) == (422, "QueryLimitExceeded")


def test_a_full_scan_is_asked_for_where_it_is_permitted(shop):
    everything = "select count(*) as c from clicks"
    assert ask(shop, everything, workgroup="auditors")[0] == 403
    assert ask(shop, everything, workgroup="auditors", full_scan=True) == (200, [{"c": 5}])
    assert ask(shop, everything, full_scan=True) == (200, [{"c": 5}])
    status, answer = ask(shop, everything, workgroup="adhoc", full_scan=True)
    assert (status, "permits no full scan" in answer["error"]["message"]) == (403, True)
    told = shop.dw("query", "--workgroup", "auditors", "--allow-full-scan", "--output", "json", everything)
    assert json.loads(told.stdout) == [{"c": 5}]
    refused = shop.dw("query", "--workgroup", "adhoc", "--allow-full-scan", "--dry-run", everything, check=False)
    assert (refused.returncode, "allow_full_scan=True" in refused.stderr) == (11, True)


def test_the_command_knows_the_declared_workgroups(shop):
    """From the data folder: it does not read the declaration."""
    refused = shop.dw("query", "--workgroup", "analysts", "select * from clicks", check=False)
    assert (refused.returncode, "permits 24 hours" in refused.stderr or "range of hours" in refused.stderr) == (
        11,
        True,
    )
    too_long = shop.dw("query", "--workgroup", "analysts", f"select * from clicks where {RANGE}", check=False)
    assert (too_long.returncode, "more than 3 rows" in too_long.stderr) == (4, True)
    unknown = shop.dw("query", "--workgroup", "interns", "select 1", check=False)
    assert unknown.returncode == 2
    assert (
        "There is no workgroup 'interns'; there are production, adhoc, batch, analysts, slow, auditors, dashboards."
        in unknown.stderr
    )


def test_a_busy_workgroup_holds_up_nobody_else(shop):
    """Its queries run in processes of their own, which production's go before."""
    with ThreadPoolExecutor(2) as others:
        slow = [others.submit(ask, shop, ENDLESS, workgroup="slow") for _ in range(2)]  # one runs, the other waits
        until(lambda: of_others(shop), "a query runs")
        assert ask(shop, "select 1 as one") == (200, [{"one": 1}])
        assert not any(each.done() for each in slow)

        def all_ended():
            for process in of_others(shop):
                os.kill(process, signal.SIGKILL)
            return all(each.done() for each in slow)

        until(all_ended, "both queries were ended")
    assert [each.result()[0] for each in slow] == [503, 503]


def test_the_memory_of_all_queries_is_given_out_once_and_production_first(tmp_path):
    limits = ("--query-memory-bytes-max", "64MiB", "--query-memory-total-bytes", "128MiB")
    with running(tmp_path, *limits, declaration=DECLARED) as started:

        def submitted(workgroup):
            body = json.dumps({"sql": ENDLESS, "workgroup": workgroup})
            return json.loads(started.request("POST", "/v1/queries", body)[2])["id"]

        def states():
            told = json.loads(started.request("GET", "/v1/queries")[2])["queries"]
            return [each["state"] for each in told]

        ids = [submitted(workgroup) for workgroup in ("adhoc", "batch", "slow")]
        until(lambda: states() == ["running", "waiting", "waiting"], "a part is kept for production")
        ids.append(submitted("production"))
        until(lambda: states()[3] == "running", "which does not wait")
        ids.append(submitted("production"))
        until(lambda: states()[4] == "waiting", "until nothing is left")
        started.request("DELETE", f"/v1/queries/{ids[0]}")
        until(lambda: states() == ["ended", "waiting", "waiting", "running", "running"], "production is served first")
        for id in ids[3:]:
            started.request("DELETE", f"/v1/queries/{id}")
        left = ["ended", "running", "waiting", "ended", "ended"]
        until(lambda: states() == left, "and then one of the others", START_S)
        for id in ids[1:3]:
            started.request("DELETE", f"/v1/queries/{id}")
    too_much = started.dw("up", "--query-memory-total-bytes", "512MiB", check=False)
    assert (too_much.returncode, "query_memory_total_bytes" in too_much.stderr) == (2, True)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has this policy")
def test_queries_of_others_give_way_to_production(shop):
    """Every thread of their processes runs when no other one wants the processor; none of production's does."""

    def policies(process):
        return [os.sched_getscheduler(int(each.name)) for each in Path(f"/proc/{process}/task").iterdir()]

    def with_engine():
        """The processes that have loaded the engine, which starts threads; (production's, those of others)."""
        loaded = {each for each in query_processes(shop) if len(policies(each)) > 1}
        others = loaded & set(of_others(shop))
        return loaded - others, others

    with ThreadPoolExecutor(2) as asking:
        asked = [asking.submit(ask, shop, ENDLESS, workgroup=workgroup) for workgroup in ("slow", "production")]
        until(lambda: all(with_engine()), "both have a process")
        production, others = with_engine()
        assert {policy for each in others for policy in policies(each)} == {os.SCHED_IDLE}
        assert {policy for each in production for policy in policies(each)} == {os.SCHED_OTHER}

        def all_ended():
            for process in query_processes(shop):
                os.kill(process, signal.SIGKILL)
            return all(each.done() for each in asked)

        until(all_ended, "both queries were ended")
    assert [each.result()[0] for each in asked] == [503, 503]


def query_processes(shop):
    return [process for process, command in shop.children().items() if command == "dw up: query"]


def of_others(shop):
    """The processes that answer queries at a lower priority than production's."""
    return [process for process in query_processes(shop) if os.getpriority(os.PRIO_PROCESS, process) == 10]


def test_a_program_names_its_workgroup(tmp_path):
    declared = (
        Warehouse("shop")
        .with_streaming_input_table("clicks", {"id": "string"})
        .with_workgroup("production", result_rows_max=2)
        .with_workgroup("batch", partitions_max=2)
    )
    with simulate(declared, tmp_path / "data") as warehouse:
        warehouse.put("clicks", [{"id": id} for id in "abc"])
        with pytest.raises(QueryLimitExceeded, match="more than 2 rows"):
            warehouse.query("select * from clicks")
        with pytest.raises(ScanRefused, match="nothing bounds inserted_at"):
            warehouse.query("select * from clicks", workgroup="adhoc")
        assert len(warehouse.query(f"select * from clicks where {RANGE}", workgroup="adhoc")) == 3
        with pytest.raises(BadRequest, match="no workgroup 'ops'; there are production, adhoc, batch"):
            warehouse.query("select 1", workgroup="ops")


def test_the_queries_of_jobs_are_of_batch(tmp_path):
    declared = (
        Warehouse("shop")
        .with_streaming_input_table("clicks", {"id": "string"})
        .with_workgroup("batch", partitions_max=2)
        .with_batch_input_table("counts", {"c": "bigint"}, of_everything, "rate(1 hour)", {"hour": "string"})
    )
    with (
        simulate(declared, tmp_path / "simulated") as warehouse,
        pytest.raises(JobFailed, match="Workgroup 'batch' requires"),
    ):
        warehouse.run("counts")
    with running(tmp_path, declaration=JOB) as started:
        failed = started.dw("run", "counts", check=False)
        assert failed.returncode == 1
        assert "Workgroup 'batch' requires a range of hours" in failed.stdout


def of_everything(job):
    [(count,)] = job.query("select count(*) from clicks")
    yield {"c": count}


JOB = """
from datawarehouse import Warehouse


def of_everything(job):
    yield {"c": list(job.query("select count(*) from clicks"))[0][0]}


warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_workgroup("batch", partitions_max=2)
    .with_batch_input_table("counts", {"c": "bigint"}, of_everything, "rate(1 hour)", {"hour": "string"})
)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "Analysts"}, "valid are 1 to 40 of a-z"),
        ({"name": 5}, "valid are 1 to 40 of a-z"),
        ({"name": "a", "partitions_max": 0}, "partitions_max is 0; valid is a whole number from 1 to"),
        ({"name": "a", "partitions_max": True}, "partitions_max is True"),
        (
            {"name": "a", "scan_bytes_max": 1.5e9},
            "scan_bytes_max is 1500000000.0; valid is a whole number from 10485760",
        ),
        ({"name": "a", "query_time_max_s": 50_000}, "from 1 to 43200"),
        ({"name": "a", "memory_bytes_max": 5}, "memory_bytes_max is 5"),
        ({"name": "a", "require_partition_filter": "yes"}, "valid are True and False"),
        ({"name": "a", "allow_full_scan": 1}, "allow_full_scan is 1; valid are True and False"),
    ],
)
def test_a_wrong_workgroup_is_refused_by_name(arguments, message):
    declared = Warehouse("shop")
    with pytest.raises(DeclarationError, match=re.escape(message)):
        declared.with_workgroup(**arguments)
    assert list(declared.workgroups()) == ["production", "adhoc", "batch"]


def test_a_workgroup_is_declared_once():
    declared = Warehouse("shop").with_workgroup("adhoc", partitions_max=24)
    assert declared.workgroups()["adhoc"].partitions_max == 24
    with pytest.raises(DeclarationError, match="already declares the workgroup 'adhoc'"):
        declared.with_workgroup("adhoc")
