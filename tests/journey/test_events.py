"""Plain HTTP for events: what is accepted, what is refused, and what counts once."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from running import running, until

from patience import patient


def ids(warehouse, name):
    warehouse.flush()
    return [row["n"] for row in warehouse.query("select n from clicks where id = ? order by n", name)]


@pytest.mark.parametrize(
    ("name", "body", "numbers"),
    [
        ("one object", '{"id":"one object","n":1}', [1]),
        ("pretty", '{\n  "id": "pretty",\n  "n": 1\n}\n', [1]),
        ("array", '[{"id":"array","n":1}, {"id":"array","n":2}]', [1, 2]),
        ("pretty array", '[\n  {"id": "pretty array", "n": 1},\n  {"id": "pretty array", "n": 2}\n]', [1, 2]),
        ("lines", '{"id":"lines","n":1}\n{"id":"lines","n":2}\n', [1, 2]),
        ("no final newline", '{"id":"no final newline","n":1}\n{"id":"no final newline","n":2}', [1, 2]),
        ("blank lines", '\n\n{"id":"blank lines","n":1}\n \n{"id":"blank lines","n":2}\n\n', [1, 2]),
        ("crlf", '{"id":"crlf","n":1}\r\n{"id":"crlf","n":2}\r\n', [1, 2]),
        ("bom", '\ufeff{"id":"bom","n":1}\n{"id":"bom","n":2}', [1, 2]),
        ("two in one", '{"id":"two in one","n":1}{"id":"two in one","n":2}\n{"id":"two in one","n":3}', [1, 2, 3]),
    ],
)  # fmt: skip
def test_bodies(warehouse, name, body, numbers):
    status, answer = warehouse.events("clicks", body.encode())
    assert status == 200
    assert ids(warehouse, name) == numbers
    assert answer == {"accepted": 2 if name == "two in one" else len(numbers)}


def test_a_malformed_line_is_kept_and_its_neighbours_stored(warehouse):
    body = b'{"id":"neighbours","n":1}\nnot json at all\n{"id":"neighbours","n":"x"}\n{"id":"neighbours","n":2}'
    assert warehouse.events("clicks", body) == (200, {"accepted": 4})
    assert ids(warehouse, "neighbours") == [1, 2]
    kept = warehouse.query(
        "select from_utf8(raw_data) as raw, column_name, expected, received, error_code from clicks_quarantine"
        ' where raw_data in (to_utf8(\'not json at all\'), to_utf8(\'{"id":"neighbours","n":"x"}\')) order by raw desc'
    )
    assert kept == [
        {
            "raw": '{"id":"neighbours","n":"x"}',
            "column_name": "n",
            "expected": "a whole number from -2147483648 to 2147483647",
            "received": 'the string "x"',
            "error_code": "DataFormatConversion.MalformedData",
        },
        {
            "raw": "not json at all",
            "column_name": None,
            "expected": "JSON",
            "received": "invalid character (byte 4)",
            "error_code": "DataFormatConversion.ParseError",
        },
    ]


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
def test_lines_are_lines_whatever_they_begin_with(warehouse, content_type):
    body = f'[07:00] oops {content_type}\n{{"id":"{content_type}","n":1}}\n{{\n"id":"{content_type}","n":2}}\n'.encode()
    assert warehouse.events("clicks", body, Content_Type=content_type) == (200, {"accepted": 4})
    assert ids(warehouse, content_type) == [1]
    kept = "select count(*) as n from clicks_quarantine where from_utf8(raw_data) like ?"
    assert warehouse.query(kept, f"%{content_type}%") == [{"n": 2}], "the first line and one of the others"
    assert warehouse.events("clicks", b"[1, 2]", Content_Type=content_type) == (200, {"accepted": 1})


@pytest.mark.parametrize("each", [1, 2, 12])
def test_events_are_spread_over_the_shards_whatever_the_size_of_requests(warehouse, each):
    events = [f"event {number} in requests of {each}" for number in range(12)]
    for start in range(0, 12, each):
        assert warehouse.events("views", "\n".join(events[start : start + each]).encode()) == (200, {"accepted": each})
    warehouse.flush()
    counted = warehouse.query(
        "select shard_id, count(*) as n from views_quarantine where from_utf8(raw_data) like ? group by 1 order by 1",
        f"event % in requests of {each}",
    )
    assert counted == [{"shard_id": f"shardId-{shard:012d}", "n": 4} for shard in range(3)]


def test_gzip(warehouse):
    body = gzip.compress(b'{"id":"zipped","n":1}\n', mtime=0) + gzip.compress(b'{"id":"zipped","n":2}\n')
    assert warehouse.events("clicks", body, Content_Encoding="gzip") == (200, {"accepted": 2})
    assert ids(warehouse, "zipped") == [1, 2]


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"", {}, 400, "The body has no events; send newline-delimited JSON"),
        (b" \r\n ", {}, 400, "The body has no events"),
        (b"[]", {}, 400, "empty array"),
        (b'[{"id":1}, oops]', {}, 400, "does not parse .* none was taken"),
        (b'{"id":1}', {"Content_Encoding": "br"}, 400, "The Content-Encoding is 'br'; valid are gzip and none"),
        (b'{"id":1}', {"Content_Encoding": "gzip"}, 400, "The body is not valid gzip"),
        (gzip.compress(b'{"id":1}', mtime=0)[:-4], {"Content_Encoding": "gzip"}, 400, "ends before it is complete"),
        (gzip.compress(b" " * 40_000_000, mtime=0), {"Content_Encoding": "gzip"}, 413, "to more than 33554432 bytes"),
        (
            b"{}\n" * 500_001,
            {},
            413,
            "has more than 500000 lines; send it in smaller parts, or raise request_events_max",
        ),
        (b"[" + b"{}," * 500_000 + b"{}]", {}, 413, "an array of more than 500000 events"),
        (b"[" + b"1," * 12_000_000 + b"1]", {}, 413, "or of very many values"),
        (gzip.compress(b"") * 500_001, {"Content_Encoding": "gzip"}, 413, "has more than 500000 members"),
        (b'{"id":1}', {"Idempotency_Key": "k" * 257}, 400, "has 257 characters; valid are 1 to 256"),
    ],
)
def test_bodies_that_are_refused(warehouse, body, headers, status, says):
    import re

    found, answer = warehouse.events("clicks", body, **headers)
    assert found == status
    assert re.search(says, answer["error"]["message"])


def test_a_body_that_is_too_large_is_refused_before_it_is_read(warehouse):
    status, _, answer = warehouse.request("POST", "/v1/tables/clicks/events", b"x", {"Content-Length": str(33554433)})
    assert status == 413
    assert "larger than 33554432 bytes (request_bytes_max)" in json.loads(answer)["error"]["message"]


def test_an_event_that_is_too_large_is_refused_alone(warehouse):
    large = json.dumps({"id": "large", "n": 2, "x": "x" * 10_000_000}).encode()
    body = b'{"id":"large","n":1}\n' + large + b'\n{"id":"large","n":3}'
    status, answer = warehouse.events("clicks", body)
    assert (status, answer["accepted"]) == (200, 2)
    [refused] = answer["refused"]
    assert refused["event"] == 2
    assert f"has {len(large)} bytes; the largest record is 1048576 (record_bytes_max)" in refused["message"]
    assert ids(warehouse, "large") == [1, 3]
    assert warehouse.events("clicks", large)[0] == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "/v1/tables/nothing/events", 404, "no input stream 'nothing'; there are 'clicks', 'views'"),
        ("POST", "/v1/tables/facts/events", 404, "no input stream 'facts'"),
        ("GET", "/v1/tables/clicks/events", 405, "There is no GET /v1/tables/clicks/events; use POST."),
        ("GET", "/nowhere", 404, "There is no GET /nowhere; there are POST /v1/tables/<table>/events"),
        ("POST", "/v1/admin/flush", 401, "token of the data folder's lock file"),
    ],
)
def test_paths(warehouse, method, path, status, says):
    found, _, answer = warehouse.request(method, path, b'{"id":"1"}' if method == "POST" else None)
    assert found == status
    assert says in json.loads(answer)["error"]["message"]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", ""]
)
def test_other_hosts_are_refused(warehouse, host):
    status, _, answer = warehouse.request("GET", "/health", headers={"Host": host})
    assert status == 421
    assert "answers to localhost" in json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8321", "[::1]:8321", "warehouse.localhost"])
def test_names_of_this_machine_are_answered(warehouse, host):
    assert warehouse.request("GET", "/health", headers={"Host": host})[0] == 200


def test_pages_of_other_sites_are_refused(warehouse):
    status, _, _ = warehouse.request("POST", "/v1/tables/clicks/events", b"{}", {"Origin": "https://evil.example"})
    assert status == 403
    assert warehouse.request("GET", "/health", headers={"Origin": "http://localhost:3000"})[0] == 200


def test_a_repeated_key_counts_once(warehouse):
    body = b'{"id":"repeated","n":1}\n{"id":"repeated","n":2}'
    first = warehouse.events("clicks", body, Idempotency_Key="repeat me")
    assert first == (200, {"accepted": 2})
    assert warehouse.events("clicks", body, Idempotency_Key="repeat me") == (200, {"accepted": 2, "again": True})
    assert warehouse.events("clicks", body, Idempotency_Key="another") == (200, {"accepted": 2})
    assert ids(warehouse, "repeated") == [1, 1, 2, 2]
    status, answer = warehouse.events("clicks", b'{"id":"other"}', Idempotency_Key="repeat me")
    assert status == 400
    assert "used for a request with another body" in answer["error"]["message"]


def test_a_key_sent_many_times_at_once_counts_once(warehouse):
    body = b'{"id":"at once","n":1}'
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: warehouse.events("clicks", body, Idempotency_Key="at once"), range(32)))
    assert all(status == 200 and answer["accepted"] == 1 for status, answer in answers)
    assert sum("again" not in answer for _, answer in answers) == 1
    assert ids(warehouse, "at once") == [1]


def test_a_key_is_remembered_after_a_restart(tmp_path):
    body = b'{"id":"a","n":1}'
    with running(tmp_path) as first:
        first.events("clicks", body, Idempotency_Key="k")
        first.process.kill()
        first.stop()
    with running(tmp_path) as second:
        assert second.events("clicks", body, Idempotency_Key="k") == (200, {"accepted": 1, "again": True})
        assert ids(second, "a") == [1]


def test_an_event_is_visible_a_second_later(warehouse):
    import time

    for n in range(5):
        warehouse.events("clicks", json.dumps({"id": "fresh", "n": n}).encode())
        acknowledged = time.monotonic()
        until(
            lambda n=n: {"n": n} in warehouse.query("select n from clicks where id = 'fresh'"),
            "the event is visible",
            5,
        )
        assert time.monotonic() - acknowledged < patient(2), "a second, and another for a busy machine"


def test_a_stuck_table_throttles_itself_alone(tmp_path):
    # No conversion happens within the test, so that bytes pile up in the journal.
    with running(tmp_path, "--journal-bytes-max", "2MiB", "--convert-interval-ms", "60000") as stuck:
        body = b'{"id":"x","n":1}\n' * 50_000
        statuses = [stuck.events("clicks", body)[0] for _ in range(4)]
        assert statuses[0] == 200
        assert statuses[-1] == 429
        status, headers, answer = stuck.request("POST", "/v1/tables/clicks/events", body)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert (
            "wait for conversion (journal_bytes_max). Send them again later" in json.loads(answer)["error"]["message"]
        )
        records = [{"Data": b"x" * 600_000, "PartitionKey": "a"}] * 3
        answer = stuck.kinesis().put_records(StreamName="clicks", Records=records)
        assert answer["FailedRecordCount"] == 3
        assert answer["Records"][0]["ErrorCode"] == "ProvisionedThroughputExceededException"
        with pytest.raises(ClientError, match=r"InvalidArgument.* can never be taken at once \(journal_bytes_max\)"):
            stuck.kinesis().put_records(StreamName="views", Records=[{"Data": b"x" * 900_000, "PartitionKey": "a"}] * 3)
        status, never = stuck.events("views", b'{"id":"x","n":1}\n' * 200_000)
        assert (status, "more than 2097152 can never be taken at once" in never["error"]["message"]) == (413, True)
        assert stuck.events("views", b'{"id":"y"}') == (200, {"accepted": 1}), "the other table takes events"
        count = 50_000 * (statuses.count(429) + 1) + 3
        shown = f'dw_records_refused_total{{reason="journal_bytes_max",table="clicks"}} {count}.0'
        assert shown in stuck.request("GET", "/metrics")[2].decode().splitlines()
        stuck.flush()
        accepted = 50_000 * statuses.count(200)
        assert stuck.query("select count(*) as c from clicks") == [{"c": accepted}], "what was acknowledged is there"
        assert stuck.events("clicks", body)[0] == 200, "and the table takes events again"


def test_a_full_disk_takes_no_events_and_says_so(tmp_path):
    with running(tmp_path, "--disk-free-bytes-min", "1000000GB") as full:
        status, answer = full.events("clicks", b'{"id":"x"}')
        assert status == 429
        assert "disk_free_bytes_min" in answer["error"]["message"]
        status, _, answer = full.request("GET", "/ready")
        assert status == 503
        assert "disk is almost full" in json.loads(answer)["reason"]
        assert full.request("GET", "/health")[0] == 200


def test_health_ready_and_metrics(warehouse):
    assert json.loads(warehouse.request("GET", "/health")[2]) == {"status": "ok"}
    assert json.loads(warehouse.request("GET", "/ready")[2]) == {"ready": True, "reason": None}
    status, headers, text = warehouse.request("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    from prometheus_client.parser import text_string_to_metric_families

    warehouse.events("views", b'{"id":"counted"}\nbad')
    warehouse.flush()
    text = warehouse.request("GET", "/metrics")[2].decode()
    families = list(text_string_to_metric_families(text))
    assert {family.name: family.type for family in families}["dw_rows"] == "gauge", "rows go when hours expire"
    samples = {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("table") == "views"
    }
    assert (
        samples["dw_records_received_total"]
        == samples["dw_records_stored_total"] + samples["dw_records_rejected_total"]
    )
    assert samples["dw_records_rejected_total"] >= 1
    assert samples["dw_records_pending"] == 0


@pytest.mark.parametrize("limit", [("--request-events-max", "1000"), ("--request-bytes-max", "5000")])
def test_a_file_is_sent_whatever_the_most_of_one_request_is(tmp_path, limit):
    with running(tmp_path, *limit) as server:
        (tmp_path / "same.ndjson").write_text('{"id":"same"}\n' * 3_001)
        assert server.dw("send", "clicks", "same.ndjson").stdout.startswith("3001 events accepted: 3001 stored")
        assert server.dw("send", "clicks", "same.ndjson").stdout.startswith("0 events accepted\n3001 events of this")
        server.flush()
        assert server.query("select count(*) as n from clicks where id = 'same'") == [{"n": 3_001}]
        (tmp_path / "long.ndjson").write_text('{"id":"first"}\n' + json.dumps({"id": "x" * 20_000}) + "\n")
        if "bytes" in limit[0]:
            refused = server.dw("send", "clicks", "long.ndjson", check=False)
            assert (refused.returncode, "request_bytes_max" in refused.stderr) == (2, True)
