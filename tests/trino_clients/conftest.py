"""One warehouse for the clients of Trino, with a table of every type that a column can have."""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from running import running

from patience import patient

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "trino-clients.md"
DECLARATION = """
from datawarehouse import Warehouse

every = {
    "id": "string", "tiny": "tinyint", "small": "smallint", "n": "int", "big": "bigint", "share": "float",
    "x": "double", "price": "decimal(9,4)", "large": "decimal(38,10)", "ok": "boolean", "day": "date",
    "at": "timestamp", "code": "varchar(5)", "raw": "binary", "tags": "array<string>", "m": "map<string,int>",
    "device": "struct<os:string,width:int>", "deep": "array<struct<k:string,v:array<double>>>",
}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("every", every)
    .with_streaming_input_table("orders", {"id": "string", "customer": "string", "amount": "double", "at": "timestamp"})
)
"""
FULL = {
    "id": "full", "tiny": -128, "small": 32767, "n": -5, "big": 2**62, "share": 0.1, "x": 2.5e300, "price": 1.5,
    "large": 12345.0625, "ok": True, "day": "2026-01-31", "at": "2026-01-31T12:00:00.5Z", "code": "abc",
    "tags": ["x", None], "m": {"k": 1}, "device": {"os": "ios", "width": 320}, "deep": [{"k": "a", "v": [0.5, None]}],
}  # fmt: skip
ORDERS = [
    {"id": f"o{n}", "customer": f"c{n % 3}", "amount": n * 1.5, "at": f"2026-01-{n % 28 + 1:02d}T00:00:00Z"}
    for n in range(100)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("trino"), declaration=DECLARATION) as started:
        lines = lambda events: "\n".join(map(json.dumps, events)).encode()  # noqa: E731
        assert started.events("every", lines([FULL, {"id": "empty"}]))[0] == 200
        assert started.events("orders", lines(ORDERS))[0] == 200
        started.flush()
        yield started


@pytest.fixture
def port(server):
    return str(urlsplit(server.url).port)


@pytest.fixture
def ran(server, tmp_path):
    """Runs a command, and gives what it printed."""

    def run(*command, folder=tmp_path, **environment):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=patient(170),
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture
def documented():
    """Compares what a client did with the table of the reference."""

    def check(client, done):
        """done: one line for each thing that the client was asked for and did."""
        lines = DOCUMENT.read_text().splitlines()
        rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
        told = [what for name, what in rows if name == client]
        assert told == done, "docs/reference/trino-clients.md tells something else of this client:\n" + "\n".join(
            f"| {client} | {what} |" for what in done
        )

    return check
