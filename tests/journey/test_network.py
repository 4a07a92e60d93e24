"""Where `dw up` listens with keys: TLS, a proxy, and pages of other sites."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.config import Config
from receiving import CERTIFICATE
from running import DECLARATION, command, running, until

PAGE = "https://shop.example.com"


def key(folder, *arguments):
    (folder / "warehouse.py").write_text(DECLARATION)
    return json.loads(command(folder, "keys", "create", *arguments, "--output", "json").stdout)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A warehouse with TLS on every address, its certificate, and a key that may put."""
    folder = tmp_path_factory.mktemp("tls")
    made = key(folder, "producer", "--may", "put:clicks")
    arguments = ("--host", "0.0.0.0", "--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))
    with running(folder, *arguments) as warehouse:
        yield warehouse, CERTIFICATE, made


def test_clients_over_tls(secured):
    warehouse, cert, made = secured
    assert warehouse.url.startswith("https://127.0.0.1:")
    client = boto3.client(
        "kinesis", endpoint_url=warehouse.url, region_name="eu-west-1", aws_access_key_id=made["id"],
        aws_secret_access_key=made["secret"], verify=str(cert), config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    records = [{"Data": json.dumps({"id": "tls", "n": n}).encode(), "PartitionKey": "a"} for n in range(500)]
    assert client.put_records(StreamName="clicks", Records=records)["FailedRecordCount"] == 0
    trusted = ssl.create_default_context(cafile=cert)
    authorization = {"Authorization": f"Bearer {made['token']}"}
    for is_2 in (False, True):
        with httpx.Client(http1=not is_2, http2=is_2, verify=trusted) as other:
            path = f"{warehouse.url}/v1/tables/clicks/events"
            answer = other.post(path, content=b'{"id":"tls"}\n' * 20_000, headers=authorization)
            assert (answer.http_version, answer.json()) == (f"HTTP/{2 if is_2 else 1.1}", {"accepted": 20_000})
            assert other.post(path, content=b"{}").status_code == 401
    warehouse.dw("flush")
    rows = warehouse.dw("query", "select count(*) as c from clicks where id = 'tls'", "--output", "json").stdout
    assert json.loads(rows) == [{"c": 40_500}]


def test_clients_of_trino_over_tls(secured):
    """The address of the next page is one that the client can reach, over either HTTP; a name is not trusted."""
    warehouse, cert, putter = secured
    made = json.loads(warehouse.dw("keys", "create", "analyst", "--may", "query", "--output", "json").stdout)
    statement = f"{warehouse.url}/v1/statement"
    named = {"X-Trino-User": "somebody else"}
    for is_2 in (False, True):
        with httpx.Client(http1=not is_2, http2=is_2, verify=ssl.create_default_context(cafile=cert)) as client:
            for how in (
                {"auth": (made["id"], made["secret"])},
                {"headers": {"Authorization": f"Bearer {made['token']}"}},
            ):
                asked = {**how, "headers": {**named, **how.get("headers", {})}}
                answer = client.post(statement, content=b"select 40 + 2", **asked).json()
                assert answer["nextUri"].startswith(f"{statement}/"), answer
                found = client.get(answer["nextUri"], **asked)
                assert found.http_version == f"HTTP/{2 if is_2 else 1.1}" and found.json()["data"] == [[42]]
            assert client.get(answer["nextUri"], headers=named).status_code == 401
            assert client.post(statement, content=b"select 1", headers=named).status_code == 401
            assert client.post(statement, content=b"select 1", auth=(putter["id"], putter["secret"])).status_code == 403
            listed = client.get(f"{warehouse.url}/v1/queries", auth=(made["id"], made["secret"])).json()["queries"]
            assert {query["who"] for query in listed} == {"analyst"}


def test_plain_http_and_old_tls_get_nowhere(secured):
    warehouse, _, _ = secured
    port = urlsplit(warehouse.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with pytest.raises((http.client.HTTPException, OSError)), contextlib.closing(connection):
        connection.request("GET", "/health")
        connection.getresponse()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port)) as bare, pytest.raises(ssl.SSLError):
        old.wrap_socket(bare)


def test_those_who_say_nothing_use_up_no_place_of_others(tmp_path):
    key(tmp_path, "a", "--may", "put")
    files = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))
    with running(tmp_path, *files, "--connections-max", "5") as warehouse, contextlib.ExitStack() as opened:
        trusted = ssl.create_default_context(cafile=CERTIFICATE)
        with httpx.Client(base_url=warehouse.url, verify=trusted) as first:
            assert first.get("/health").status_code == 200
            port = urlsplit(warehouse.url).port
            silent = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)]
            until(lambda: "connections are open (connections_max" in (tmp_path / "errors.log").read_text(), "a refusal")
            closed = 0
            for each in silent:
                each.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    closed += each.recv(1) == b""
            assert closed == 36  # with the first one, four have a place
            assert first.get("/health").status_code == 200
            until(lambda: reached(warehouse.url, trusted), "a place, once the handshakes have taken too long")


def reached(url, trusted):
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", verify=trusted).status_code == 200


def certificate(folder, name="server"):
    """A certificate that is its own authority, and its key: two files."""
    cert, private = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name}", "-keyout", private, "-out", cert,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, private


def shown(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


@pytest.mark.skipif(not shutil.which("openssl"), reason="this machine has no openssl")
def test_a_certificate_is_read_again_on_sighup(tmp_path):
    cert, private = certificate(tmp_path)
    key(tmp_path, "a", "--may", "put")
    with running(tmp_path, "--tls-cert", str(cert), "--tls-key", str(private)) as warehouse:
        port = urlsplit(warehouse.url).port
        first = shown(port)
        assert first.strip() == cert.read_text().strip()
        other_cert, other_key = certificate(tmp_path, "other")
        shutil.copy(other_cert, cert)  # with the key of the one before
        warehouse.process.send_signal(signal.SIGHUP)
        log = tmp_path / "errors.log"
        until(lambda: "the certificate stays the one that it was" in log.read_text(), "a refusal in the log")
        assert shown(port) == first
        assert warehouse.dw("status").returncode == 0
        shutil.copy(other_key, private)
        warehouse.process.send_signal(signal.SIGHUP)
        until(lambda: "the certificate was read again" in log.read_text(), "a line in the log")
        assert shown(port).strip() == other_cert.read_text().strip()
        assert warehouse.dw("status").returncode == 0
        assert warehouse.stop() == 0


def test_a_reload_without_a_certificate_changes_nothing(tmp_path):
    with running(tmp_path) as warehouse:
        warehouse.process.send_signal(signal.SIGHUP)
        log = tmp_path / "errors.log"
        until(lambda: "there is no certificate to read again" in log.read_text(), "a line in the log")
        assert warehouse.events("clicks", b"{}") == (200, {"accepted": 1})


def own_address():
    """An address of this machine that is not loopback, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
        asking.connect(("192.0.2.1", 9))  # which sends nothing
        return asking.getsockname()[0]
    return ""


def test_plain_http_is_for_the_proxy_alone(tmp_path):
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    made = key(tmp_path, "a", "--may", "put")
    authorization = {"Authorization": f"Bearer {made['token']}"}
    for proxy, status in (("192.0.2.1", 403), (address, 200)):
        with running(tmp_path, "--host", "0.0.0.0", "--behind-proxy", proxy, "--access-log", "yes") as warehouse:
            port = urlsplit(warehouse.url).port
            for host, expected in (("127.0.0.1", 200), (address, status)):
                connection = http.client.HTTPConnection(host, port, timeout=30)
                forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
                connection.request("POST", "/v1/tables/clicks/events?token=hidden", b"{}", authorization | forwarded)
                assert connection.getresponse().status == expected
                connection.close()
    log = (tmp_path / "errors.log").read_text()
    assert "198.51.100.7 a POST /v1/tables/clicks/events 200" in log
    assert f"{address} - POST /v1/tables/clicks/events 403" in log
    assert "hidden" not in log


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A warehouse with a public token for pages of a shop."""
    folder = tmp_path_factory.mktemp("shop")
    made = key(folder, "page", "--may", "put:clicks", "--origin", PAGE, "--address-events-per-s", "20")
    with running(folder, "--access-log", "yes") as warehouse:
        yield warehouse, f"/v1/tables/clicks/events?token={made['token']}", made


def asking(warehouse, path, origin=PAGE):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    return warehouse.request("OPTIONS", path, headers=asked)


def test_a_page_may_send(shop):
    warehouse, path, _ = shop
    status, headers, answer = asking(warehouse, path)
    assert (status, answer, headers["access-control-allow-methods"]) == (200, b"", "POST")
    assert "content-type" in headers["access-control-allow-headers"]
    for _ in range(2):
        status, headers, answer = warehouse.request("POST", path, b'{"id":"page"}', {"Origin": PAGE})
        assert (status, json.loads(answer)) == (200, {"accepted": 1})
        assert headers["access-control-allow-origin"] == PAGE
        assert headers["access-control-allow-credentials"] == "true"
        assert headers["vary"] == "origin"


def test_what_a_page_may_not_do(shop):
    warehouse, path, made = shop
    sent = {"Origin": PAGE}
    other = path.replace("clicks", "views")
    for method, where, body, headers, status in (
        ("POST", path, b"{}", {"Origin": "https://evil.example"}, 403),
        ("POST", path, b"{}", {}, 403),
        ("POST", path, b"{}", {"Origin": "null"}, 403),
        ("POST", path + "x", b"{}", sent, 401),
        ("POST", "/v1/tables/clicks/events", b"{}", sent, 403),
        ("POST", other, b"{}", sent, 403),
        ("POST", "/v1/query?" + path.partition("?")[2], b'{"sql":"select 1"}', sent, 403),
        ("GET", "/metrics?" + path.partition("?")[2], None, sent, 403),
        ("POST", "/?" + path.partition("?")[2], b"{}", sent | {"X-Amz-Target": "Kinesis_20131202.ListStreams"}, 400),
        ("POST", path, b" " * 65_537, sent, 413),
        ("POST", path, b"{}", sent | {"Content-Encoding": "gzip"}, 400),
        ("POST", path.partition("?")[0], b"{}", {"Authorization": f"Bearer {made['token']}"}, 401),
        ("POST", path.partition("?")[0], b"{}", {"Authorization": f"Bearer {made['id']}."}, 401),
    ):
        assert warehouse.request(method, where, body, headers)[0] == status, (method, where, headers)
    for where, origin in ((path, "https://evil.example"), (path + "x", PAGE), ("/v1/query", PAGE)):
        status, headers, _ = asking(warehouse, where, origin)
        assert (status, headers["access-control-allow-origin"]) == (403, None)
    log = (warehouse.folder / "errors.log").read_text()
    assert made["token"] not in log + json.dumps(warehouse.status())
    assert "- page POST /v1/tables/views/events 403" in log.replace("127.0.0.1 page", "- page")
    [shown] = [each for each in warehouse.status()["keys"] if each["name"] == "page"]
    assert shown["refused"]["AccessDenied"] >= 4


def test_an_address_has_a_rate(shop):
    warehouse, path, _ = shop
    found = [warehouse.request("POST", path, b"{}\n" * 40, {"Origin": PAGE}) for _ in range(2)]
    assert found[-1][0] == 429
    assert found[-1][1]["access-control-allow-origin"] == PAGE
    assert int(found[-1][1]["retry-after"]) >= 1
