"""Clients that nobody here wrote, as they are: each record that one says was taken is there, once.

`make test-clients` installs them; Node.js and curl have to be there. boto3 and the AWS command are in tests/journey.
"""

import gzip
import json
import os
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from running import AWS, running

from patience import patient

PROGRAMS = Path(__file__).with_name("programs")
INSTALLED = Path(__file__).parents[2] / ".venv" / "clients"
READERS = INSTALLED.with_name("readers") / "bin" / "python"
DECLARATION = """
from datawarehouse import Warehouse

columns = {"id": "string", "n": "int"}
kinds = {
    "id": "string", "n": "int", "tags": "array<string>", "m": "map<string,int>", "s": "struct<a:int,b:string>",
    "at": "timestamp", "day": "date",
}
warehouse = (
    Warehouse("dw")
    .with_streaming_input_table("clicks", columns, input_stream_shard_count=4)
    .with_streaming_input_table("kept", kinds)
)
"""
KINESIS = ("-H", "X-Amz-Target: Kinesis_20131202.PutRecords", "-H", "Content-Type: application/x-amz-json-1.1")
SIGNED = ("--aws-sigv4", "aws:amz:eu-west-1:kinesis", "--user", "any:any")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules")  # where Node.js looks for packages
    with running(folder, declaration=DECLARATION) as server:
        yield server


def printed(server, *command, stdin=None):
    environment = {**os.environ, **AWS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.url}
    done = subprocess.run(
        command, env=environment, cwd=server.folder, input=stdin, capture_output=True, text=True, timeout=patient(120)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(server, name):
    """How many records a client has there, and how many different ones."""
    server.flush()
    [row] = server.query("select count(*) as c, count(distinct n) as d from clicks where id = ?", name)
    return row["c"], row["d"]


@pytest.mark.parametrize(
    ("program", "name", "count"),
    [
        ((INSTALLED / "bin" / "python", "aiobotocore_put.py"), "aiobotocore", 10_001),
        (("node", "js_v2_put.cjs"), "js v2", 5_001),
        (("node", "js_v3_put.mjs"), "js v3", 5_001),
    ],
    ids=["aiobotocore", "aws-sdk-js v2", "aws-sdk-js v3 over HTTP/1.1"],
)
def test_an_sdk(server, program, name, count):
    assert int(printed(server, *program)) == count
    assert stored(server, name) == (count, count)


def test_clients_of_trino(server):
    events = [
        {"id": "one", "n": 1, "tags": ["x", "y"], "m": {"k": 1}, "s": {"a": 1, "b": "b"}, "day": "2026-01-31"},
        {"id": "two", "n": 2, "at": "2026-01-31T12:00:00.5Z"},
    ]
    assert server.events("kept", json.dumps(events).encode())[0] == 200
    server.flush()
    port = str(urlsplit(server.url).port)
    assert printed(server, INSTALLED / "bin" / "python", "trino_read.py", port) == "all held\n"


def test_readers_of_files(tmp_path):
    """awswrangler, s3fs, pandas, polars and PyAthena's cursors over files, as they are."""
    shutil.copy(PROGRAMS / "read_files.py", tmp_path)
    with running(tmp_path, declaration=DECLARATION) as server:
        clicks = "\n".join(json.dumps({"id": str(n), "n": n}) for n in range(1000))
        kept = [
            {"id": "one", "n": 1, "tags": ["x", "y"], "m": {"k": 1}, "s": {"a": 1, "b": "b"}, "day": "2026-01-31"},
            {"id": "two", "n": 2, "at": "2026-01-31T12:00:00.5Z"},
        ]
        assert server.events("clicks", clicks.encode())[0] == server.events("kept", json.dumps(kept).encode())[0] == 200
        server.flush()
        assert printed(server, READERS, "read_files.py") == "all held\n"


@pytest.mark.parametrize("how", ["kinesis", "lines", "chunks", "gzip"])
def test_curl(server, how):
    events = [json.dumps({"id": f"curl {how}", "n": n}) for n in range(500)]
    lines = "\n".join(events) + "\n"
    address = f"{server.url}/v1/tables/clicks/events"
    curl = ("curl", "--http1.1", "--silent", "--show-error", "--fail-with-body", "--data-binary", "@-")
    match how:
        case "kinesis":
            records = [{"Data": b64encode(event.encode()).decode(), "PartitionKey": "a"} for event in events]
            lines = json.dumps({"StreamName": "clicks", "Records": records})
            sent = (*curl, *SIGNED, *KINESIS, server.url)
        case "gzip":
            (server.folder / "lines.gz").write_bytes(gzip.compress(lines.encode()))
            sent = (*curl[:-1], "@lines.gz", "-H", "Content-Encoding: gzip", address)
        case "chunks":
            sent = (*curl, "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", address)
        case _:
            sent = (*curl, "-H", "Content-Type: application/x-ndjson", address)
    answer = json.loads(printed(server, *sent, stdin=lines))
    assert answer.get("accepted") == 500 or answer["FailedRecordCount"] == 0
    assert stored(server, f"curl {how}") == (500, 500)
