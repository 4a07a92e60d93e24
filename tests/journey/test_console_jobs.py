"""The console's routes of jobs and of cost, through a real `dw up`."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from running import running, until

from datawarehouse.folder import holder_of

DECLARED = """
from datawarehouse import Warehouse


def hourly(job):
    yield {"c": 1}


def broken(job):
    raise RuntimeError("no such luck")


warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_batch_input_table("counts", {"c": "bigint"}, hourly, "rate(1 day)", {"hour": "string"})
    .with_batch_input_table("wrong", {"c": "bigint"}, broken, "cron(0 0 1 1 ? 2090)", {"hour": "string"})
)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", '{"id": "a"}\n{"id": "b"}')
        started.flush()
        yield started


def asked(shop, method, path, body=None, *, is_owner=True):
    headers = {"Authorization": f"Bearer {holder_of(shop.folder / 'data').token}"} if is_owner else {}
    status, _, answer = shop.request(method, path, None if body is None else json.dumps(body), headers)
    return status, json.loads(answer)


def over(shop, id):
    def task():
        found = next(each for each in asked(shop, "GET", "/v1/job-tasks")[1]["tasks"] if each["id"] == id)
        return found if found["state"] != "running" else None

    return until(task, "the task is over", 150)


def test_a_job_runs_again_and_says_what_went_wrong(shop):
    status, answer = asked(shop, "POST", "/v1/jobs/wrong/runs", {"at": "2026-01-02T03:00:00Z"})
    assert (status, answer["task"]["state"], answer["task"]["total"]) == (202, "running", 1)
    task = over(shop, answer["task"]["id"])
    assert (task["done"], task["failed"], task["who"]) == (1, 1, "owner")
    assert task["errors"] == ["2026-01-02T03:00:00.000Z: RuntimeError: no such luck"]
    (run,) = asked(shop, "GET", "/v1/jobs/wrong/runs?hour=2026/01/02/02")[1]["runs"]
    assert run["outcome"] == "failed" and "Traceback" in run["error"]
    listed = asked(shop, "GET", "/v1/jobs?from=2026/01/01/00&to=2026/01/03/00")[1]
    wrong = next(job for job in listed["jobs"] if job["job"] == "wrong")
    assert [(each["hour"], each["outcome"], each["attempts"]) for each in wrong["runs"]] == [
        ("2026/01/02/02", "failed", 1)
    ]
    assert listed["may_run"] and "error" not in wrong["runs"][0]
    noted = asked(shop, "GET", "/v1/overview")[1]["attention"]
    assert not [each for each in noted if each["alert"] == "failed_runs"]  # somebody asked for that run


def test_a_backfill_goes_on_and_leaves_out_what_has_succeeded(shop):
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    period = {"from": begin.isoformat(), "to": (begin + timedelta(days=2)).isoformat()}
    task = over(shop, asked(shop, "POST", "/v1/jobs/counts/backfills", period)[1]["task"]["id"])
    assert (task["kind"], task["state"], task["total"], task["done"], task["failed"]) == ("backfill", "done", 2, 2, 0)
    status, again = asked(shop, "POST", "/v1/jobs/counts/backfills", period)
    assert (status, again["task"]["total"], again["task"]["left_out"]) == (202, 0, 2)
    period["again"] = True
    id = asked(shop, "POST", "/v1/jobs/counts/backfills", period)[1]["task"]["id"]
    assert asked(shop, "DELETE", f"/v1/job-tasks/{id}")[0] == 200
    task = over(shop, id)
    assert task["state"] == "ended" and task["done"] < 2


@pytest.mark.parametrize(
    "body",
    [
        {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
        {"from": "2020-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
        {"from": "1900-03-02T00:00:00Z", "to": "1900-03-03T00:00:00Z"},
        {"from": "2026-03-02"},
        {"from": "2026-03-02T00:00:00"},
        {},
    ],
)
def test_a_period_that_cannot_be_run_is_refused(shop, body):
    assert asked(shop, "POST", "/v1/jobs/counts/backfills", body)[1]["error"]["code"] == "BadRequest"


def test_runs_are_for_who_may_administer(shop):
    for method, path, body in (
        ("GET", "/v1/jobs/counts/runs", None), ("POST", "/v1/jobs/counts/runs", {}), ("GET", "/v1/job-tasks", None),
        ("POST", "/v1/jobs/counts/backfills", {"from": "2026-03-01T00:00:00Z"}), ("DELETE", "/v1/job-tasks/0a", None),
    ):  # fmt: skip
        assert asked(shop, method, path, body, is_owner=False)[0] == 401, path
    assert asked(shop, "GET", "/v1/jobs", is_owner=False)[1]["may_run"] is False
    assert asked(shop, "POST", "/v1/jobs/clicks/runs", {})[0] == 404
    assert asked(shop, "DELETE", "/v1/job-tasks/0a")[0] == 404


def test_the_cost_is_of_what_arrived(shop):
    status, answer = asked(shop, "GET", "/v1/cost?days=1")
    (stream,) = answer["streams"]
    assert (status, answer["days"], stream["table"], stream["events_per_day"]) == (200, 1, "clicks", 48.0)
    assert 10 < stream["event_bytes"] < 1000 and answer["usd_per_day"] > 0 and answer["forms"]
    assert asked(shop, "GET", "/v1/cost?days=0")[0] == 400
