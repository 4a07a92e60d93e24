"""Hostile records over every route: the right answer or a clear error, neighbours stored, the process alive."""

import gzip
import json

import pytest

DEEP = 100_000

# name -> (record, whether it is stored: the id it has, or None if it is rejected)
RECORDS = {
    "deep array": (b'{"id":"deep","x":' + b"[" * DEEP + b"]" * DEEP + b"}", None),
    "deep object": (b'{"id":"deep","x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", None),
    "unclosed depth": (b"[" * DEEP, None),
    "invalid UTF-8": (b'{"id":"\xff\xfe"}', None),
    "invalid UTF-8 where no column is": (b'{"id":"a","x":"\xc3\x28"}', None),
    "overlong UTF-8": (b'{"id":"\xc0\xaf"}', None),
    "a surrogate as UTF-8": (b'{"id":"\xed\xa0\x80"}', None),
    "a raw NUL": (b'{"id":"a\x00b"}', None),
    "only NULs": (b"\x00" * 100, None),
    "an escaped NUL": (b'{"id":"a\\u0000b"}', "a\0b"),
    "a lone surrogate": (b'{"id":"\\ud800"}', None),
    "surrogates the wrong way round": (b'{"id":"\\udc00\\ud800"}', None),
    "a surrogate pair": (b'{"id":"\\ud83d\\ude00"}', "😀"),
    "a key twice": (b'{"id":"a","id":"b"}', None),
    "a key twice by case": (b'{"id":"a","ID":"b"}', None),
    "a byte order mark": (b'\xef\xbb\xbf{"id":"bom"}', "bom"),
    "CRLF": (b'{"id":"crlf"}\r\n', "crlf"),
    "UTF-16": ('{"id":"a"}'.encode("utf-16"), None),
    "a huge number": (b'{"id":"n","n":' + b"9" * 100_000 + b"}", None),
    "a huge exponent": (b'{"id":"n","n":1e999999999}', None),
    "a tiny exponent": (b'{"id":"n","n":1e-999999999}', None),
    "many keys": (b'{"id":"keys",' + b",".join(b'"k%d":%d' % (n, n) for n in range(20_000)) + b"}", "keys"),
    "truncated": (b'{"id":"tru', None),
    "empty": (b"", None),
    "a script": (b"<script>alert(1)</script>", None),
    "SQL": (b'{"id":"\'; drop table clicks; --"}', "'; drop table clicks; --"),
    "NaN": (b'{"id":"nan","n":NaN}', None),
    "a comma too many": (b'{"id":"a",}', None),
    "a 1 MiB string": (b'{"id":"' + b"x" * 1_000_000 + b'"}', "x" * 1_000_000),
    "control characters": (b'{"id":"\x1b[31m"}', None),
    "a comment": (b'/* hi */{"id":"a"}', None),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_hostile_record_harms_nobody(warehouse, name):
    record, stored = RECORDS[name]
    before, after = (json.dumps({"id": f"{name}, {side}", "n": 7}).encode() for side in ("before", "after"))
    records = [{"Data": data, "PartitionKey": "a"} for data in (before, record, after)]
    answer = warehouse.kinesis().put_records(StreamName="clicks", Records=records)
    assert answer["FailedRecordCount"] == 0
    number = answer["Records"][1]["SequenceNumber"]
    warehouse.flush()
    neighbours = warehouse.query("select n from clicks where id in (?, ?)", f"{name}, before", f"{name}, after")
    assert neighbours == [{"n": 7}, {"n": 7}]
    rejects = warehouse.query(
        "select raw_data = from_hex(?) as same, error_message from clicks_quarantine where sequence_number = ?",
        record.hex().upper() if len(record) < 1000 else "",
        number,
    )
    if stored is None:
        [reject] = rejects
        assert reject["error_message"].startswith(("Encountered malformed JSON.", "Data does not match the schema."))
        assert reject["same"] or len(record) >= 1000, "the raw bytes are kept"
    else:
        assert rejects == []
        assert warehouse.query("select count(*) as c from clicks where id = ?", stored) == [{"c": 1}]


def test_several_objects_in_a_record_are_several_rows(warehouse):
    data = b'{"id":"several","n":1}{"id":"several","n":2}\n{"id":"several","n":3}'
    warehouse.kinesis().put_record(StreamName="clicks", Data=data, PartitionKey="a")
    warehouse.flush()
    rows = warehouse.query("select n from clicks where id = 'several' order by n")
    assert rows == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_record_of_10_mb_is_refused_with_the_limit(warehouse):
    from botocore.exceptions import ClientError

    large = b'{"id":"' + b"x" * 10_000_000 + b'"}'
    with pytest.raises(ClientError, match=r"takes records of up to 1048576 bytes \(record_bytes_max\)"):
        warehouse.kinesis().put_record(StreamName="clicks", Data=large, PartitionKey="a")
    status, answer = warehouse.events("clicks", large)
    assert status == 413
    assert "the largest record is 1048576 (record_bytes_max)" in answer["refused"][0]["message"]


def test_truncated_gzip_is_refused_with_the_reason(warehouse):
    status, answer = warehouse.events("clicks", gzip.compress(b'{"id":"a"}')[:-6], Content_Encoding="gzip")
    assert status == 400
    assert "gzip body ends before it is complete" in answer["error"]["message"]


def test_requests_that_are_no_http_harm_nobody(warehouse):
    import socket
    from urllib.parse import urlsplit

    address = urlsplit(warehouse.url)
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"A" * 100_000,
        b"\r\n\r\n",
    ):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(garbage)
    assert warehouse.request("GET", "/health")[0] == 200


def test_the_same_processes_lived_through_all_of_it(warehouse):
    assert warehouse.process.poll() is None
    log = (warehouse.folder / "errors.log").read_text()
    assert "process ended" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("depth", [400, 600, 990, 1100])
def test_values_nested_deeply_in_a_string_column_keep_nobody_waiting(warehouse, depth):
    status, _ = warehouse.events("clicks", b'{"id":' + b"[" * depth + b"]" * depth + b',"n":%d}' % depth)
    assert status == 200
    warehouse.events("clicks", b'{"id":"beside %d"}' % depth)
    warehouse.flush()
    assert warehouse.query("select count(*) as c from clicks where id = ?", f"beside {depth}") == [{"c": 1}]
    stored = warehouse.query("select count(*) as c from clicks where n = ?", depth)[0]["c"]
    kept = warehouse.query(
        "select count(*) as c from clicks_quarantine where length(raw_data) = ?", 2 * depth + 12 + len(str(depth))
    )[0]["c"]
    assert stored + kept == 1


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1e99999999999999999999", "1e-99999999999999999999"])
def test_numbers_with_exponents_beyond_all_use_keep_nobody_waiting(warehouse, number):
    warehouse.events("clicks", f'{{"id":"far {number}","n":{number}}}\n{{"id":"far {number}","at":{number}}}')
    warehouse.events("clicks", f'{{"id":"near {number}"}}')
    warehouse.flush()
    assert warehouse.query("select count(*) as c from clicks where id = ?", f"near {number}") == [{"c": 1}]
    assert warehouse.query(
        "select column_name, received from clicks_quarantine where from_utf8(raw_data) like ? order by 1",
        f"%far {number}%",
    ) == [{"column_name": name, "received": f"the number {number}"} for name in ("at", "n")]


def test_a_few_odd_times_among_many_usual_ones(warehouse):
    odd = [
        "2024-01-01 00:00:01",
        "2024-01-01 0:00:01",
        "1700000000",
        "2024-01-01T00:00:00+02:00",
        "2024-02-30T00:00:00Z",
    ]
    times = ["2024-01-01T00:00:00Z"] * 95 + odd
    warehouse.events("clicks", "\n".join(f'{{"id":"time","n":{n},"at":"{at}"}}' for n, at in enumerate(times)))
    warehouse.flush()
    found = warehouse.query("select n, at from clicks where id = 'time' order by n")
    assert len(found) == 98
    assert [row["at"] for row in found[95:]] == [
        "2024-01-01T00:00:01.000Z",
        "2024-01-01T00:00:01.000Z",
        "2023-11-14T22:13:20.000Z",
    ]
