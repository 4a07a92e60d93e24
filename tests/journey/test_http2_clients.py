"""Unmodified clients that speak HTTP/2 from the first byte; what they sent is there once."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from running import AWS

from patience import patient

CLIENT = Path(__file__).parents[1] / "fixtures" / "kinesis_client.mjs"
MODULES = Path(__file__).parents[2] / ".venv" / "node" / "node_modules"
REQUESTS = 40
ROWS = {"sql": "select x, y from unnest(sequence(1, 1000)) a(x), unnest(sequence(1, 300)) b(y)"}


def curl_speaks_http2():
    found = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout if shutil.which("curl") else ""
    return "HTTP2" in found


@pytest.mark.skipif(
    not (shutil.which("node") and MODULES.exists()),
    reason="this machine has no node, or no npm with which `make test` installs requirements/node",
)
def test_the_aws_sdk_for_javascript_with_its_defaults(warehouse, tmp_path):
    """More requests at once than a connection may have."""
    script = tmp_path / CLIENT.name  # modules are looked for beside the script
    shutil.copy(CLIENT, script)
    (tmp_path / "node_modules").symlink_to(MODULES)
    environment = os.environ | AWS | {"AWS_ENDPOINT_URL": warehouse.url, "AWS_REGION": "eu-west-1"}
    done = subprocess.run(
        ["node", script, str(3 * REQUESTS)], env=environment, capture_output=True, text=True, timeout=patient(120)
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("shard") in {f"shardId-00000000000{shard}" for shard in range(3)}
    assert said == {
        "handler": "h2",
        "failed": 0,
        "shards": 3,
        "status": "ACTIVE",
        "open": 3,
        "names": ["clicks", "views"],
        "refusal": {"name": "ResourceNotFoundException", "status": 400},
    }
    warehouse.flush()
    [counts] = warehouse.query("select count(*) as n, count(distinct id) as ids from views where id like 'js-%'")
    assert counts == {"n": 3 * REQUESTS * 500 + 1, "ids": 3 * REQUESTS * 500 + 1}


@pytest.mark.skipif(not curl_speaks_http2(), reason="this machine has no curl that speaks HTTP/2")
def test_curl_with_prior_knowledge(warehouse, tmp_path):
    def curl(path, *arguments):
        command = ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{stderr}%{http_version} %{http_code}"]
        done = subprocess.run([*command, *arguments, warehouse.url + path], capture_output=True, timeout=patient(60))
        assert done.returncode == 0, done.stderr
        return done.stderr.decode(), done.stdout

    events = tmp_path / "events.ndjson"
    events.write_bytes(b"".join(b'{"id":"curl-%d"}\n' % number for number in range(100_000)))
    assert curl("/v1/tables/clicks/events", "--data-binary", f"@{events}") == ("2 200", b'{"accepted":100000}\n')
    assert curl("/health", "--head")[0] == "2 200"
    warehouse.flush()
    counted = curl("/v1/query", "-d", """{"sql": "select count(*) as n from clicks where id like 'curl-%'"}""")
    assert counted == ("2 200", b'{"n":100000}\n')
    rows = curl("/v1/query", "-d", json.dumps(ROWS))
    assert rows == ("2 200", warehouse.request("POST", "/v1/query", json.dumps(ROWS))[2])


def test_httpx(warehouse):
    """Many requests at once, each a generator, so that each event is a frame of its own; and a large result.

    Of one thread: two that share such a client can lose a frame, because h2 is not made for that.
    """

    async def ask():
        async with httpx.AsyncClient(http1=False, http2=True, base_url=warehouse.url, timeout=patient(60)) as client:

            async def put(request):
                async def lines():
                    for number in range(500):
                        yield b'{"id":"httpx-%d-%d"}\n' % (request, number)

                return await client.post("/v1/tables/clicks/events", content=lines())

            answers = await asyncio.gather(*map(put, range(REQUESTS)))
            assert {(answer.http_version, answer.text) for answer in answers} == {("HTTP/2", '{"accepted":500}\n')}
            warehouse.flush()
            sql = "select count(*) as n, count(distinct id) as ids from clicks where id like 'httpx-%'"
            counts = await client.post("/v1/query", json={"sql": sql})
            assert counts.json() == {"n": REQUESTS * 500, "ids": REQUESTS * 500}
            return (await client.post("/v1/query", json=ROWS)).content

    assert asyncio.run(ask()) == warehouse.request("POST", "/v1/query", json.dumps(ROWS))[2]
