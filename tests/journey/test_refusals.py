"""Why requests and records were refused stands in the log, once in a while, and in the metrics, for every client."""

import json
import os
import re
import signal
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from running import running, until

from patience import patient

EVENT = b'{"id":"x","n":1}\n'


def refused(server, what, **labels):
    """A metric of refusals, by its labels."""
    text = server.request("GET", "/metrics")[2].decode()
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(f"dw_{what}_refused_total") and dict(re.findall(r'(\w+)="([^"]*)"', name)) == labels:
            return float(value)
    return None


def log_lines(server):
    return (server.folder / "errors.log").read_text().splitlines()


def warnings(server):
    """The log lines of refusals, without their time."""
    return [line.split(maxsplit=2)[2] for line in log_lines(server) if " refused (" in line]


def raw(server, sent):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), patient(30)) as connection:
        connection.sendall(sent)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


@pytest.mark.parametrize("client", ["kinesis", "kinesis, one by one", "events"])
def test_what_a_limit_keeps_out_is_said_once_and_counted(tmp_path, client):
    limits = ("--journal-bytes-max", "1MiB", "--queue-bytes-max", "1MiB", "--convert-interval-ms", "60000")
    with running(tmp_path, *limits) as server:
        assert refused(server, "records", table="clicks", reason="journal_bytes_max") == 0, "before the first"
        assert server.events("clicks", EVENT * 30_000)[0] == 200
        kinesis = server.kinesis()
        data = b"x" * 900_000
        for _ in range(20):
            if client == "kinesis":
                answer = kinesis.put_records(StreamName="clicks", Records=[{"Data": data, "PartitionKey": "a"}])
                [entry] = answer["Records"]
                assert entry["ErrorMessage"].startswith("Rate exceeded for shard shardId-000000000000"), "as on AWS"
            elif client == "events":
                assert server.events("clicks", b'{"id":"' + data + b'"}')[0] == 429
            else:
                with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
                    kinesis.put_record(StreamName="clicks", Data=data, PartitionKey="a")
        assert refused(server, "records", table="clicks", reason="journal_bytes_max") == 20
        assert refused(server, "records", table="views", reason="journal_bytes_max") == 0
        why = "refused (journal_bytes_max): 1048576 bytes of 'clicks' wait for conversion"
        assert warnings(server) == [f"1 record of table 'clicks' {why}"]
        server.stop()
        assert warnings(server) == [f"1 record of table 'clicks' {why}", f"19 records of table 'clicks' {why}"]


def test_a_shard_that_is_limited_is_counted(tmp_path):
    with running(tmp_path, "--shard-rate-limited", "yes") as server:
        records = [{"Data": b" " * 4000, "PartitionKey": "a"}] * 500  # 2 MB
        failed = server.kinesis().put_records(StreamName="clicks", Records=records)["FailedRecordCount"]
        assert failed
        assert refused(server, "records", table="clicks", reason="shard_rate_limited") == failed
        assert "a shard takes 1000 records and 1048576 bytes a second" in warnings(server)[0]


def test_mistakes_of_clients_are_counted_by_their_code_and_said_once(tmp_path):
    with running(tmp_path, "--record-bytes-max", "1KiB") as server:
        for _ in range(30):
            assert server.events("nothing%0A2026-01-01T00:00:00Z%20error%20forged", EVENT)[0] == 404
            assert server.events("clicks", b"[")[0] == 400
            assert server.events("clicks", EVENT + b'{"id":"' + b"x" * 2000 + b'"}')[0] == 200
            with pytest.raises(ClientError, match="ResourceNotFoundException"):
                server.kinesis().put_record(StreamName="nothing", Data=b"x", PartitionKey="a")
            with pytest.raises(ClientError, match=r"2000 bytes with its partition key"):
                records = [{"Data": b"{}", "PartitionKey": "a"}, {"Data": b"x" * 1999, "PartitionKey": "a"}]
                server.kinesis().put_records(StreamName="views", Records=records)
            assert server.request("GET", "/", headers={"Host": "evil.example"})[0] == 421
            assert raw(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
            assert server.request("POST", "/v1/query", json.dumps({"sql": "select 'secret' +"}))[0] == 400
        codes = (
            "UnknownName", "BadRequest", "ResourceNotFoundException", "MisdirectedRequest", "InvalidHttp",
            "InvalidArgumentException",
        )  # fmt: skip
        for code in codes:
            assert refused(server, "requests", reason=code) == 30
        assert refused(server, "requests", reason="SqlSyntaxError") == 30
        assert refused(server, "records", table="clicks", reason="record_bytes_max") == 30
        assert refused(server, "records", table="views", reason="record_bytes_max") == 60, "nothing of it is written"
        said = warnings(server)
        assert sorted(re.findall(r"refused \((\w+)\)", "\n".join(said))) == sorted([*codes, *["record_bytes_max"] * 2])
        lines = log_lines(server)
        assert len(lines) < 14, "nothing else"
        assert not any(line.startswith("2026-01-01") for line in lines), "no line is of a client's making"
        assert "secret" not in "\n".join(lines), "a query's error is told to who asked, and to nobody else"
        server.stop()
        assert all(line.startswith(("29 ", "58 records of table 'views'")) for line in warnings(server)[len(said) :])
        assert len(warnings(server)) == 2 * len(said)


def begun(server, sql):
    """A connection on which a long answer has begun."""
    body = json.dumps({"sql": sql}).encode()
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), patient(30))
    connection.sendall(
        b"POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    return connection


def rest(connection):
    found = b""
    while piece := connection.recv(1_000_000):
        found = (found + piece)[-100:]
    return found


@pytest.mark.parametrize("reason", ["its process is killed", "it has too many rows"])
def test_an_answer_that_is_cut_off_is_one_line(tmp_path, reason):
    """It was a traceback of the HTTP server."""
    sql = "select x, y from unnest(sequence(1, 3000)) a(x), unnest(sequence(1, 3000)) b(y)"
    with running(tmp_path, "--query-processes", "1", "--query-result-rows-max", "1000000") as server:
        with closing(begun(server, sql)) as connection:
            said = "The result has more than 1000000 rows (query_result_rows_max)"
            if reason == "its process is killed":
                for pid, command in server.children().items():
                    if "query" in command:
                        os.kill(pid, signal.SIGKILL)
                said = "The query process ended (status -9)"
            assert not rest(connection).endswith(b"0\r\n\r\n"), "nobody takes the part for the whole"
        [line] = until(lambda: [line for line in log_lines(server) if "cut off" in line], "it is said")
        assert f"POST /v1/query: the answer was cut off: {said}" in line
        assert "Traceback" not in (server.folder / "errors.log").read_text()
        assert server.query("select 1 as one") == [{"one": 1}]
