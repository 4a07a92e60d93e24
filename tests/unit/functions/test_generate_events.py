"""How made-up events are put into a stream: so many a call, and with waits before what is repeated."""

import json
from types import SimpleNamespace

import pytest

from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions import generate_events


class Kinesis:
    """Takes calls up to the `attempts`-th not at all; keeps the entries of all."""

    def __init__(self, attempts=1):
        self.attempts, self.calls = attempts, []

    def put_records(self, StreamName, Records):
        self.calls.append(Records)
        if len(self.calls) >= self.attempts:
            return {"FailedRecordCount": 0, "Records": [{"SequenceNumber": "1"}] * len(Records)}
        return {"FailedRecordCount": len(Records), "Records": [{"ErrorCode": "InternalFailure"}] * len(Records)}


@pytest.mark.parametrize(("columns", "rate", "calls"), [(80, 600, 3), (1, 1001, 3)])
def test_no_call_has_more_than_kinesis_takes(tmp_path, monkeypatch, columns, rate, calls):
    """Kinesis API reference, PutRecords: 500 records, and 5 MiB with their partition keys."""
    kinesis = Kinesis()
    table = {"name": "wide", "columns": [[f"{'c' * 230}{number}", "double"] for number in range(columns)]}
    (tmp_path / "events.json").write_text(json.dumps({"tables": [table], "rate": rate, "malformed": 0.0}))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DW_STREAM", "any")
    monkeypatch.setattr(generate_events, "client", lambda service: kinesis)
    answer = generate_events.handler({"time": "2026-11-23T07:20:00Z"}, None)
    assert answer == {"events": rate, "sent_again": 0}
    assert len(kinesis.calls) == calls and sum(map(len, kinesis.calls)) == rate
    for entries in kinesis.calls:
        sizes = [len(entry["Data"]) + len(entry["PartitionKey"].encode()) for entry in entries]
        assert len(sizes) <= 500 and sum(sizes) <= 5 * 1024 * 1024
        assert columns == 1 or min(sizes) > 18_000


def test_each_attempt_waits_longer_than_the_one_before(monkeypatch):
    kinesis, waits = Kinesis(attempts=99), []
    monkeypatch.setattr(
        generate_events, "time", SimpleNamespace(sleep=lambda seconds: waits.append((len(kinesis.calls), seconds)))
    )
    with pytest.raises(DataWarehouseError, match="InternalFailure"):
        generate_events.send(kinesis, "any", [{"PartitionKey": "a", "Data": b"1"}])
    assert [made for made, _ in waits] == list(range(len(kinesis.calls)))
    seconds = [each for _, each in waits]
    assert seconds == sorted(set(seconds)) and seconds[0] == 0 and seconds[-1] >= 5
