"""examples/acme_ads in a real AWS account: deployed as an ephemeral stack, used as by its users, removed.

`make test-aws` runs it; it needs credentials of an account, a Region, and the Pulumi CLI, logged in. It takes about
twenty minutes and costs some cents (docs/guides/deploy-to-aws.md). Should the stack stay, the error names it and has
the commands that remove it.

What is asserted is what the warehouse promises. What AWS documents only, a record that holds several documents, is
written to the output and not asserted.
"""

import base64
import json
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from datawarehouse.aws.stack import EphemeralStack

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_ads"
ARRIVAL_S = 20 * 60
QUERY_S = 5 * 60
POLL_S = 10
JOB_S = 15 * 60


def missing() -> list[str]:
    """What this test lacks, a line each."""
    found = []
    if shutil.which("pulumi") is None:
        found.append("the Pulumi CLI: curl -fsSL https://get.pulumi.com | sh")
    elif subprocess.run(["pulumi", "whoami", "--non-interactive"], capture_output=True).returncode:
        found.append("a place for Pulumi's state: pulumi login, or pulumi login --local and PULUMI_CONFIG_PASSPHRASE")
    session = boto3.Session()
    if session.region_name is None:
        found.append("a Region: export AWS_REGION=eu-west-1")
    try:
        session.client("sts", region_name=session.region_name or "us-east-1").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        found.append(f"credentials of an AWS account, say with export AWS_PROFILE=...: {error}")
    return found


@dataclass(frozen=True)
class Account:
    """The deployed example, and what is sent to it. run: in the session_id of all events that are sent here."""

    stack: EphemeralStack
    session: boto3.Session
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def client(self, service: str):
        """A boto3 client of a service; it waits as long as a job may run, and never runs one twice."""
        retries = {"total_max_attempts": 1 if service == "lambda" else 8}
        return self.session.client(service, config=Config(read_timeout=JOB_S, retries=retries))

    def click(self, id: str, part: str) -> bytes:
        """An event. part: of the test that it is for."""
        return json.dumps(
            {
                "id": id,
                "impression_id": f"täglich {id}",
                "session_id": f"{self.run}-{part}",
                "event_time": "2026-11-23T07:00:09.250Z",
                "price": 0.52,
            }
        ).encode()

    def row(self, id: str) -> tuple:
        """What Athena says of that event."""
        return (id, f"täglich {id}", "2026-11-23 07:00:09.250", "0.5200")


def report(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def send(account: Account, *records: bytes) -> None:
    answer = account.client("kinesis").put_records(
        StreamName=account.stack.outputs["click_input_stream"],
        Records=[{"Data": record, "PartitionKey": account.run} for record in records],
    )
    assert answer["FailedRecordCount"] == 0, answer


def query(account: Account, sql: str) -> list[tuple]:
    """The rows of a statement as text, by the workgroup of people."""
    athena = account.client("athena")
    id = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": account.stack.outputs["database_name"]},
        WorkGroup=f"analytics_dw-{account.stack.name}-adhoc",
    )["QueryExecutionId"]
    deadline = time.monotonic() + QUERY_S
    while True:
        status = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        assert time.monotonic() < deadline, sql
        time.sleep(1)
    assert status["State"] == "SUCCEEDED", f"{status}: {sql}"
    rows = [
        tuple(datum.get("VarCharValue") for datum in row["Data"])
        for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=id)
        for row in page["ResultSet"]["Rows"]
    ]
    return rows[1:]


def within(condition, what: str, limit_s: float = ARRIVAL_S):
    """Wait until `condition()` is true; its value."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(POLL_S)
    return value


def hours_since(start: datetime) -> str:
    """The partitions that events sent since then can be in, as a list of SQL."""
    found, hour = [], start
    while hour <= datetime.now(UTC) + timedelta(hours=1):
        found.append(f"'{hour:%Y/%m/%d/%H}'")
        hour += timedelta(hours=1)
    return f"({', '.join(found)})"


def clicks(account: Account, part: str, since: datetime) -> list[tuple]:
    """(id, impression_id, event_time, price, inserted_at) of the events of a part."""
    return query(
        account,
        f"""select id, impression_id, event_time, price, inserted_at from clicks
            where inserted_at in {hours_since(since)} and session_id = '{account.run}-{part}' order by id""",
    )


def quarantined(account: Account, since: datetime) -> dict[bytes, str]:
    """Error code by raw bytes, of the quarantine; those of the example's own events are among them."""
    rows = query(
        account,
        f"""select to_base64(raw_data), error_code from clicks_quarantine
            where inserted_at in {hours_since(since)}""",
    )
    return {base64.b64decode(raw): code for raw, code in rows}


def begin_delivery(account: Account, since: datetime) -> None:
    """Send until something arrives: Firehose reads a stream from when it is ready, and that it does not tell."""

    def arrives() -> bool:
        send(account, account.click("probe", "probe"))
        return bool(clicks(account, "probe", since))

    within(arrives, "the first event is in `clicks`")


def job_name(account: Account) -> str:
    """The function of the job of `aggregates`, which the example does not export."""
    names = []
    for page in account.client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            variables = function.get("Environment", {}).get("Variables", {})
            if (variables.get("DW_DATABASE"), variables.get("DW_TABLE"), "DW_JOB" in variables) == (
                account.stack.outputs["database_name"],
                "aggregates",
                True,
            ):
                names.append(function["FunctionName"])
    [name] = names
    return name


def invoke(account: Account, function: str, event: dict):
    """What a deployed function answers."""
    answer = account.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said
    return said


def tick_after(hour: str) -> str:
    """The tick of the hourly job that counts this hour."""
    start = datetime.strptime(hour, "%Y/%m/%d/%H").replace(tzinfo=UTC)
    return f"{start + timedelta(hours=1, minutes=20):%Y-%m-%dT%H:%M:%SZ}"


def check_events(account: Account, since: datetime) -> str:
    """Events come back with the values that were sent, the malformed one raw in the quarantine; their first hour."""
    ids = [f"click-{number}" for number in range(1, 6)]
    malformed = f'{{"id": "{account.run}", "price": '.encode()
    send(account, *(account.click(id, "exact") for id in ids[:3]), malformed)
    send(account, *(account.click(id, "exact") for id in ids[3:]))
    found = within(
        lambda: rows if len(rows := clicks(account, "exact", since)) >= len(ids) else None, "the events are in `clicks`"
    )
    assert [row[:4] for row in found] == [account.row(id) for id in ids]
    code = within(lambda: quarantined(account, since).get(malformed), "the malformed event is in `clicks_quarantine`")
    assert code.startswith("DataFormatConversion."), code
    return min(row[4] for row in found)


def check_aggregates(account: Account, hour: str) -> None:
    """The job's row says what a query of the hour says, and again after a rerun. Sample events keep coming meanwhile.

    So a run counts if the query says the same before and after it.
    """
    function = job_name(account)
    count = f"select count(*) from clicks where inserted_at = '{hour}'"
    for attempt in ("the run", "the rerun"):

        def is_undisturbed() -> bool:
            before = query(account, count)
            invoke(account, function, {"time": tick_after(hour)})
            found = query(
                account, f"""select "count" from aggregates where event_type = 'clicks' and "time" = '{hour}'"""
            )
            if before != query(account, count):
                return False
            assert found == before
            assert int(found[0][0]) >= 1
            return True

        within(is_undisturbed, f"{attempt} of the job between two deliveries")


def report_packed_records(account: Account, since: datetime) -> None:
    """How AWS takes records of several documents: facts that its documentation leaves open."""
    spoilt = f'{{"id": "{account.run}-spoilt", "price": '.encode()
    records = {
        "two documents": account.click("two-1", "packed") + account.click("two-2", "packed"),
        "two lines": account.click("lines-1", "packed") + b"\n" + account.click("lines-2", "packed") + b"\n",
        "a malformed document last": account.click("last-1", "packed") + b"\n" + spoilt,
        "a malformed line between two": b"\n".join(
            [account.click("between-1", "packed"), spoilt, account.click("between-2", "packed")]
        ),
    }
    send(account, *records.values(), account.click("end", "end"))
    within(lambda: clicks(account, "end", since), "the event after the packed ones is in `clicks`")
    ids = [row[0] for row in clicks(account, "packed", since)]
    refused = quarantined(account, since)
    for what, record in records.items():
        whole = refused.get(record, "no")
        parts = [f"{raw!r}: {code}" for raw, code in refused.items() if raw in record and raw != record]
        report(f"A record of {what}: sent {record!r}; quarantined whole: {whole}; in parts: {parts}")
    report(f"Rows of all packed records: {ids}")


@pytest.mark.timeout(0)  # a stack must never be left because a test took long; each wait has its own limit
def test_the_example_on_aws():
    if lacks := missing():
        pytest.fail("\n".join(["This test needs an AWS account and Pulumi. Missing:", *lacks]), pytrace=False)
    session = boto3.Session()
    since = datetime.now(UTC)
    with EphemeralStack(EXAMPLE, {"dev": True, "aws:region": session.region_name}) as stack:
        account = Account(stack, session)
        begin_delivery(account, since)
        check_aggregates(account, check_events(account, since))
        report_packed_records(account, since)
