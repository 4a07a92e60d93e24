"""`dw push` of the example's hours to the deployed example, killed again and again: equal rows, and nothing twice.

`DW_TEST_PUSH_HOURS=72 DW_TEST_PUSH_KILLS=20` pushes three days, and kills twenty calls one after the other.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from athena_endpoint import emulator_with_athena
from deployed_example import EXAMPLE, DeployedExample
from running import command

from datawarehouse.cli.exits import INTERRUPTED
from datawarehouse.functions.athena import Athena
from datawarehouse.operate.push_plan import MARK
from datawarehouse.runtime.declaration import load
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate
from patience import patient

HOURS = int(os.environ.get("DW_TEST_PUSH_HOURS", "8"))
KILLS = int(os.environ.get("DW_TEST_PUSH_KILLS", "5"))
# Runs the command, and kills or interrupts it before a request that changes something on AWS, or after its answer.
COMMAND = """
import itertools, os, signal, sys
from botocore.client import BaseClient
from datawarehouse.cli.main import main

at, is_before, ending = int(sys.argv.pop(1)), sys.argv.pop(1) == "before", int(sys.argv.pop(1))
changes, call = itertools.count(1), BaseClient._make_api_call

def killed(client, operation, given):
    is_it = not operation.startswith(("Get", "List", "Head", "BatchGet")) and next(changes) == at
    if is_it and is_before:
        os.kill(os.getpid(), ending)
    answer = call(client, operation, given)
    if is_it:
        os.kill(os.getpid(), ending)
    return answer

BaseClient._make_api_call = killed
sys.exit(main())
"""
QUERIES = {
    "impressions": "select inserted_at, id, session_id, event_time, campaign, position, query, device.os, device.width"
    " from impressions",
    "clicks": "select inserted_at, id, impression_id, session_id, event_time, price from clicks",
    "aggregates": "select event_type, count, time from aggregates",
    "facts": "select campaign, advertiser, budget from facts",
}


def fill(folder):
    """The example's data folder with hours before the present one. In some, an hour has several files."""
    for name in ("warehouse.py", "facts.json"):
        shutil.copy(EXAMPLE / name, folder / name)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    with simulate(load(str(folder / "warehouse.py")), folder / "data", start=start) as warehouse:
        for hour in range(HOURS):
            for half in range(2):
                warehouse.put("impressions", [impression(hour, half, n) for n in range(3)])
                warehouse.put("clicks", [click(hour, half, n) for n in range(hour % 4)])
                warehouse.advance("30m")
    (folder / "data" / "facts").mkdir()
    shutil.copy(EXAMPLE / "facts.json", folder / "data" / "facts" / "facts.json")


def impression(hour, half, n):
    return {
        "id": f"i{hour}-{half}-{n}", "session_id": "s1", "event_time": "2026-11-23T07:00:00.250Z", "campaign": "tents",
        "position": n, "query": "two-person tent, 'light'", "device": {"os": "android", "width": 400 + n},
    }  # fmt: skip


def click(hour, half, n):
    """Each third is malformed."""
    when = "soon" if n == 2 else "2026-11-23 07:00:09"
    return {"id": f"c{hour}-{half}-{n}", "event_time": when, "price": f"{n}.5200"}


@pytest.mark.timeout(600)
@pytest.mark.seeds(fixed=0, random=1)
def test_killed_at_any_moment_and_gone_on_with(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    fill(tmp_path)
    with emulator_with_athena() as aws:
        deployed = DeployedExample(aws, "push", tmp_path)
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        left, done = objects_to_put(deployed), 0  # done: of a table that is not complete; they are counted as left
        for kill in range(KILLS):
            rest = left - done
            at = chance.randint(1, max(1, min(2 * rest // (KILLS - kill + 1), rest // 2)))
            when = chance.choice(("before", "after"))
            ending = chance.choice((signal.SIGKILL, signal.SIGINT))  # Ctrl-C
            code, said = pushed(deployed, str(at), when, ending)
            assert code == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: INTERRUPTED}[ending], said
            before, left = left, objects_to_put(deployed)
            done = done + at if left == before else 0
            sys.stdout.write(f"{ending.name} {when} change {at}; {left} are left\n")
        assert left > 0
        code, said = pushed(deployed, "0", "before")
        assert code == 0, said
        check(deployed)
        before = everything(deployed)
        code, said = pushed(deployed, "0", "before")
        assert code == 0 and "To put: 0 B in 0 objects" in said, said
        assert everything(deployed) == before


def pushed(deployed, at, when, ending=signal.SIGKILL):
    """The exit code of `dw push` in a process of its own, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, at, when, str(int(ending)), "push", "--output", "json"],
        cwd=deployed.folder, env=deployed.environment, capture_output=True, text=True, timeout=patient(120),
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def objects_to_put(deployed):
    done = command(deployed.folder, "push", "--dry-run")
    assert done.returncode == 0, done.stderr
    return int(done.stderr.partition(" objects. ")[0].rpartition(" ")[2])


def everything(deployed):
    bucket = deployed.at["data_bucket"]
    pages = deployed.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {each["Key"]: (each["ETag"], each["LastModified"]) for page in pages for each in page["Contents"]}


def check(deployed):
    """Both sides have the same rows in the same hours, and each file of the data folder is there once."""
    athena = Athena(
        deployed.aws.client("athena"), deployed.at["database"], "adhoc", f"s3://{deployed.at['results_bucket']}/x/",
        lambda: 10**9,
    )  # fmt: skip
    with Reader(deployed.folder / "data", resolve()) as reader:
        for table, sql in QUERIES.items():
            here = Counter(reader.engine.query(sql))
            assert Counter(athena.query(sql)) == here, table
            assert len(here) == here.total() > 0
        [(rejects,)] = reader.engine.query("select count(*) from clicks_quarantine")
        names = {
            file.digest
            for table in ("impressions", "clicks")
            for file in reader.catalog.files_between(table, None, f"{datetime.now(UTC):%Y/%m/%d/%H}")
        }
    [found] = athena.query("select count(*), count(distinct raw_data) from clicks_quarantine")
    assert found == (rejects, rejects) and rejects > 0
    put = Counter(key.rpartition("pushed-")[2].partition(".")[0] for key in everything(deployed) if "/pushed-" in key)
    assert put == dict.fromkeys(names, 1)
    marks = [key for key in everything(deployed) if key.endswith(MARK)]
    s3 = deployed.aws.client("s3")
    for key in marks:
        said = json.loads(s3.get_object(Bucket=deployed.at["data_bucket"], Key=key)["Body"].read())
        assert said["is_counted"], key
