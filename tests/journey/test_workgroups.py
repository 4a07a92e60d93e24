"""Queries in a workgroup, over HTTP, by the command and in a program: what it does not permit reads nothing."""

import json

import pytest

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
    assert "valid are production, adhoc, batch" in answer["error"]["message"]


def test_a_dry_run_says_what_would_be_read_and_reads_nothing(filled):
    [[files, size]] = [
        [each["files"], each["bytes"]] for each in filled.status()["tables"] if each["table"] == "clicks"
    ]
    status, answer = ask(filled, "select * from clicks", workgroup="adhoc", dry_run=True)
    assert status == 200
    assert answer["estimate"] == {"partitions": 1, "files": files, "bytes": size, "athena_usd": 5e-05}
    assert (answer["allowed"], len(answer["refusals"])) == (False, 1)
    allowed = {"allowed": True, "refusals": [], "rewritten": None, "estimate": answer["estimate"]}
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
