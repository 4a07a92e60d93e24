"""`datawarehouse.producer` towards a warehouse with keys and TLS: who may not is told at once, and nothing is lost."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from receiving import CERTIFICATE
from running import DECLARATION, command, running, start, until

from datawarehouse.errors import AccessDenied, BadRequest, DataWarehouseError, Throttled, Unauthorized
from datawarehouse.producer import AsyncProducer, Producer, Undelivered
from patience import patient

TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))
LONG = "x" * 1_000
"""Makes batches larger than what a connection holds, so that a refusal comes while they are still being sent."""


def key(folder, name, *arguments):
    (folder / "warehouse.py").write_text(DECLARATION)
    made = command(folder, "keys", "create", name, *arguments, "--output", "json")
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)["token"]


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A warehouse with keys and TLS, and what a producer needs for it."""
    folder = tmp_path_factory.mktemp("secured")
    token = key(folder, "tracker", "--may", "put:clicks")
    with running(folder, *TLS) as warehouse:
        yield warehouse, {"url": warehouse.url, "key": token, "ca": CERTIFICATE}


def event(name, number):
    return {"id": f"{name}-{number}", "n": number}


def stored(warehouse, name):
    """How often each number of the events of a name is stored."""
    warehouse.dw("flush")
    sql = f"select n, count(*) as c from clicks where id like '{name}-%' group by n order by n"
    return {row["n"]: row["c"] for row in json.loads(warehouse.dw("query", sql, "--output", "json").stdout)}


def once(count):
    return dict.fromkeys(range(count), 1)


def test_a_producer_with_a_key_over_tls(secured):
    warehouse, given = secured
    assert given["url"].startswith("https://")
    with Producer("clicks", **given | {"key": f" {given['key']}\n", "ca": str(CERTIFICATE)}) as producer:
        for number in range(12_000):
            producer.put(event("tls", number))
    assert stored(warehouse, "tls") == once(12_000)


def test_the_same_for_asyncio(secured):
    warehouse, given = secured

    async def program():
        async with AsyncProducer("clicks", **given, linger_s=0.01) as producer:
            for number in range(2_000):
                delivery = await producer.put(event("async", number))
            await delivery
        with pytest.raises(Undelivered, match="no key"):
            async with AsyncProducer("clicks", **given | {"key": "DWQ.wrong"}, retry_s=patient(60)) as refused:
                delivery = await refused.put(event("async", -1))
                with pytest.raises(Unauthorized):
                    await delivery

    asyncio.run(program())
    assert stored(warehouse, "async") == once(2_000)


@pytest.mark.parametrize(
    ("changed", "table", "error"),
    [
        ({"key": "DWQCITBPH5UFTANF3WKB.C4AQBi7wE6C1I0ygyctrTq5kJrWx3bNVah79Arz3"}, "clicks", Unauthorized),
        ({"key": None}, "clicks", Unauthorized),
        ({}, "views", AccessDenied),
    ],
    ids=["no such key", "no key", "not this table"],
)
def test_who_may_not_is_told_at_once_and_has_the_events_back(secured, changed, table, error):
    warehouse, given = secured
    told = []
    with Producer(
        table, **given | changed, retry_s=patient(60), linger_s=3600, on_failure=lambda *each: told.append(each)
    ) as producer:
        began = time.monotonic()
        for number in range(3_000):
            producer.put(event("denied", number) | {"x": LONG})
        producer.flush(patient(20))
        assert time.monotonic() - began < patient(20)
    assert producer.counts().retries == 0
    assert sorted(json.loads(each)["n"] for events, _ in told for each in events) == list(range(3_000))
    assert all(type(each) is error for _, each in told)
    assert not any(given["key"].partition(".")[2] in str(each) for _, each in told)
    assert stored(warehouse, "denied") == {}


def test_a_key_that_is_revoked_on_the_way(secured):
    warehouse, given = secured
    token = key(warehouse.folder, "leaver", "--may", "put:clicks")
    with Producer("clicks", **given | {"key": token}, retry_s=patient(60), linger_s=3600) as producer:
        for number in range(100):
            producer.put(event("revoked", number))
        producer.flush()
        warehouse.dw("keys", "revoke", "leaver")
        for number in range(100, 200):
            producer.put(event("revoked", number))
        with pytest.raises(Undelivered, match="100 events were not delivered: The key is revoked") as lost:
            producer.flush()
        assert [json.loads(each)["n"] for each in lost.value.events] == list(range(100, 200))
        producer.put(event("revoked", 200))
        with pytest.raises(Undelivered, match="1 events"):  # and so is each later one, not the first alone
            producer.flush()
    assert stored(warehouse, "revoked") == once(100)


def test_beyond_a_rate_a_producer_waits_and_loses_nothing(secured):
    warehouse, given = secured
    token = key(warehouse.folder, "slow", "--may", "put:clicks", "--events-per-s", "300")
    with Producer("clicks", **given | {"key": token}, linger_s=0, connections=4) as producer:
        for number in range(1_000):
            producer.put(event("rate", number))
            if number % 50 == 0:
                producer.flush()
    assert producer.counts().retries > 0
    assert stored(warehouse, "rate") == once(1_000)


def test_a_warehouse_with_keys_that_is_killed_and_started_again_has_each_event_once(tmp_path):
    token = key(tmp_path, "tracker", "--may", "put:clicks")
    first = start(tmp_path, *TLS)
    port = str(urlsplit(first.url).port)
    with Producer("clicks", url=first.url, key=token, ca=CERTIFICATE, linger_s=0.01) as producer:
        for number in range(2_000):
            producer.put(event("kill", number))
        first.process.kill()
        first.process.wait()
        first.process.stdout.close()
        producer.put(event("kill", 2_000))
        until(lambda: producer.counts().retries, "an attempt while it is gone")
        first = start(tmp_path, *TLS, "--port", port, declaration=None)
        producer.flush()
    try:
        assert stored(first, "kill") == once(2_001)
    finally:
        first.stop()


# -- whom it trusts


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["an unknown authority", "another name"])
def test_a_certificate_that_is_not_trusted_is_told_at_once_and_gets_no_key(secured, name):
    warehouse, given = secured
    url = f"https://{name}:{urlsplit(given['url']).port}"
    trusted = {"ca": CERTIFICATE} if name == "localhost" else {"ca": None}
    with Producer("clicks", **given | trusted | {"url": url}, retry_s=patient(60), linger_s=3600) as producer:
        producer.put(event("untrusted", 0))
        with pytest.raises(Undelivered, match="certificate that is not trusted") as lost:
            producer.flush(patient(20))
        assert [json.loads(each) for each in lost.value.events] == [event("untrusted", 0)]
    assert stored(warehouse, "untrusted") == {}


def test_the_systems_trust_is_enough(secured):
    warehouse, given = secured
    program = (
        "from datawarehouse.producer import Producer\n"
        f"with Producer('clicks', url={given['url']!r}, key={given['key']!r}) as producer:\n"
        "    producer.put({'id': 'system-0', 'n': 0})\n"
    )
    trusting = {**os.environ, "SSL_CERT_FILE": str(CERTIFICATE)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=patient(60), env=trusting)
    assert stored(warehouse, "system") == once(1)


def test_what_is_wrong_is_refused_when_the_producer_is_made(tmp_path):
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    https, here = "https://dw.example.com", "http://127.0.0.1:8080"
    for wrong, says in [
        ({"url": here, "key": ""}, "dw keys create"),
        ({"url": here, "key": "Bearer id.secret-of-it"}, "dw keys create"),
        ({"url": here, "key": "id.secret-of-it\r\nX-Other: 1"}, "dw keys create"),
        ({"url": here, "key": b"id.secret-of-it"}, "dw keys create"),
        ({"url": "http://dw.example.com", "key": "id.secret-of-it"}, "plain text"),
        ({"url": "http://10.0.0.1", "key": "id.secret-of-it"}, "plain text"),
        ({"url": "http://a.localhost", "key": "id.secret-of-it"}, "plain text"),
        ({"url": "http://[::2]", "key": "id.secret-of-it"}, "plain text"),
        ({"url": "https://id:secret-of-it@dw.example.com"}, "give key="),
        ({"url": here, "ca": CERTIFICATE}, "https://"),
        ({"url": https, "ca": tmp_path / "gone.pem"}, "gone.pem"),
        ({"url": https, "ca": nothing}, "nothing.pem"),
        ({"url": https, "ca": tmp_path}, "PEM"),
        ({"url": https, "ca": 7}, "PEM"),
        ({"url": https, "ca": ""}, "empty"),
        ({"kinesis": object(), "key": "id.secret-of-it"}, "aws_secret_access_key"),
        ({"kinesis": object(), "ca": CERTIFICATE}, "verify"),
    ]:
        with pytest.raises(BadRequest, match=says) as refused:
            Producer("clicks", **wrong)
        assert "secret-of-it" not in str(refused.value)
    for right in ("http://localhost:1", "http://127.9.9.9:1", "http://[::1]:1", https):
        Producer("clicks", url=right, key="id.secret").close()


# -- answers that our own server does not give


class Throttling(BaseHTTPRequestHandler):
    """Answers as the test says, then takes everything; keeps when each request came."""

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
        self.server.came.append(time.monotonic())
        status, headers, body = self.server.answers.pop(0) if self.server.answers else (200, {}, b"")
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        body = body or json.dumps({"accepted": len(lines)}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def throttling(*answers):
    with ThreadingHTTPServer(("127.0.0.1", 0), Throttling) as server:
        server.came, server.answers = [], list(answers)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


OURS = json.dumps({"error": {"code": "Throttled", "message": "The key 'a' has reached its rate."}}).encode()
HTML = b"<html>429</html>"
DATE, LATER = "Mon, 30 Nov 2026 07:00:00 GMT", "Mon, 30 Nov 2026 07:00:01 GMT"


@pytest.mark.parametrize("body", [OURS, HTML], ids=["ours", "a proxy's"])
@pytest.mark.parametrize(
    "asked", [{"Retry-After": "1"}, {"Date": DATE, "Retry-After": LATER}], ids=["seconds", "a date"]
)
def test_it_comes_again_when_it_was_asked_to_and_not_before(body, asked):
    with throttling((429, asked, body)) as (server, url):
        with Producer("clicks", url=url, linger_s=0) as producer:
            producer.put({})
        first, second = server.came
        assert second - first >= 1


@pytest.mark.parametrize(
    "asked",
    [{"Retry-After": "3600"}, {"Date": DATE, "Retry-After": "Mon, 30 Nov 2026 08:00:00 GMT"}],
    ids=["seconds", "a date"],
)
def test_who_is_to_wait_longer_than_it_may_is_told_at_once(asked):
    with throttling((429, asked, OURS)) as (server, url), Producer("clicks", url=url, linger_s=3600) as producer:
        delivery = producer.put({"id": "a"})
        with pytest.raises(Undelivered, match="reached its rate") as lost:
            producer.flush(patient(20))
        assert lost.value.events == [b'{"id":"a"}']
        with pytest.raises(Throttled):
            delivery.result()
        assert len(server.came) == 1


@pytest.mark.parametrize("asked", ["soon", "", "-1", "Mon, 30 Feb 2026 07:00:00 GMT", LATER])
def test_a_time_that_is_none_is_as_good_as_none(asked):
    """The last is a date in an answer that has none itself."""
    with throttling((429, {"Retry-After": asked}, HTML)) as (server, url):
        with Producer("clicks", url=url, linger_s=0) as producer:
            producer.put({})
        assert len(server.came) == 2


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, AccessDenied), (302, DataWarehouseError)])
def test_a_refusal_of_a_proxy_is_told_at_once(status, error):
    with throttling((status, {"Location": "https://login.example.com"}, b"<html>")) as (server, url):
        told = []
        with Producer("clicks", url=url, on_failure=lambda *each: told.append(each), linger_s=0) as producer:
            producer.put({"id": "a"})
        assert [(events, type(each)) for events, each in told] == [([b'{"id":"a"}'], error)]
        assert len(server.came) == 1
