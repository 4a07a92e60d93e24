"""Real input, whole: 9,999 web requests through boto3, and every number equal to the standard library's own count."""

import gzip
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running import running

FILE = Path(__file__).parents[3] / "shared" / "data" / "web_requests.ndjson.gz"

DECLARATION = """
from datawarehouse import Warehouse

warehouse = Warehouse("analytics_dw").with_streaming_input_table(
    "web_requests",
    columns={
        "id": "string", "session_id": "string", "event_time": "timestamp", "method": "string", "path": "string",
        "query": "map<string,string>", "status": "int", "bytes": "bigint", "referrer": "string", "agent": "string",
        "is_bot": "boolean",
    },
)
"""


def canonical(row):
    """A row as one line of text that both sides can make."""
    return json.dumps(row, sort_keys=True, separators=(",", ":"))


@pytest.mark.skipif(
    not FILE.exists(), reason="this machine has no shared/data/web_requests.ndjson.gz, which is no part of the project"
)
def test_all_web_requests_come_back_as_they_were(tmp_path):
    with gzip.open(FILE, "rb") as file:
        lines = file.read().splitlines()
    requests = [json.loads(line) for line in lines]
    assert len(requests) == 9999

    with running(tmp_path, declaration=DECLARATION) as warehouse:
        kinesis = warehouse.kinesis()
        for start in range(0, len(lines), 500):
            records = [{"Data": line, "PartitionKey": "any"} for line in lines[start : start + 500]]
            assert kinesis.put_records(StreamName="web_requests", Records=records)["FailedRecordCount"] == 0
        warehouse.flush()
        [status] = json.loads(warehouse.dw("status", "--output", "json").stdout)["tables"]
        rows = warehouse.query("select * from web_requests")
        counts = warehouse.query("select status, count(*) as c from web_requests group by status")
        [totals] = warehouse.query(
            "select count(*) as c, sum(bytes) as b, count(distinct session_id) as s, count(distinct id) as i "
            "from web_requests"
        )
        quarantined = warehouse.query("select count(*) as c from web_requests_quarantine")

    assert (status["received"], status["stored"], status["rejected"]) == (9999, 9999, 0)
    assert quarantined == [{"c": 0}]
    assert totals == {
        "c": 9999,
        "b": sum(request["bytes"] or 0 for request in requests),
        "s": len({request["session_id"] for request in requests}),
        "i": 9999,
    }
    assert {row["status"]: row["c"] for row in counts} == Counter(request["status"] for request in requests)

    for request in requests:
        if request["query"] is not None:
            request["query"] = {key.lower(): value for key, value in request["query"].items()}
        instant = datetime.strptime(request["event_time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        request["event_time"] = instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for row in rows:
        del row["inserted_at"]
    expected = hashlib.sha256("\n".join(sorted(map(canonical, requests))).encode()).hexdigest()
    assert hashlib.sha256("\n".join(sorted(map(canonical, rows))).encode()).hexdigest() == expected
