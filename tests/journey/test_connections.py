"""Connections as no well-behaved client makes them: each ends by itself, and those of others go on."""

import gzip
import json
import signal
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from running import running, until

from patience import patient

MAX = 40
EVENT = b'{"id":"connections"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    flags = ("--connections-max", str(MAX), "--request-time-max-s", "2", "--keep-alive-s", "3")
    with running(tmp_path_factory.mktemp("connections"), *flags) as server:
        yield server


@contextmanager
def connected(server):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), patient(30)) as connection:
        yield connection


def post(body=EVENT, path="/v1/tables/clicks/events", more=""):
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def answer(connection):
    """(status, code of the error, headers) of what comes until the end, which must come."""
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return parsed(found)


def parsed(found):
    head, _, body = found.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else None
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError):
        code = None
    return status, code, head.lower()


def stored(server):
    server.flush()
    return server.query("select count(*) as n from clicks where id = 'connections'")[0]["n"]


def test_beyond_the_limit_the_newest_is_refused_and_the_first_go_on(server):
    with ExitStack() as stack:
        first = stack.enter_context(connected(server))
        idle = [stack.enter_context(connected(server)) for _ in range(MAX - 1)]
        newest = stack.enter_context(connected(server))
        status, code, head = answer(newest)
        assert (status, code, b"retry-after: 1" in head, b"connection: close" in head) == (
            503,
            "Unreachable",
            True,
            True,
        )
        first.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        idle[0].sendall(post())
        assert idle[0].recv(1000).startswith(b"HTTP/1.1 200")
    until(lambda: server.request("GET", "/health")[0] == 200, "there is room again")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /health HTTP/1.1\r\nHost: loc", post()[:-3], post()[: len(post()) - len(EVENT)]],
    ids=["nothing", "half of the headers", "half of the body", "no body"],
)
def test_a_request_that_does_not_come_to_an_end_is_ended(server, sent):
    before = stored(server)
    with connected(server) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        assert answer(connection)[:2] == (408, "RequestTimeout")
        assert time.monotonic() - began > 1.5
    assert stored(server) == before


def test_a_request_that_trickles_is_ended(server):
    with connected(server) as connection:
        with pytest.raises(OSError):
            for byte in post(b"x" * 10_000):
                connection.sendall(bytes([byte]))
                time.sleep(0.01)
        assert connection


def test_an_idle_connection_is_kept_for_its_time(server):
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            found = b""
            while not found.endswith(b"}\n"):
                found += connection.recv(1000)
            assert found.startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert connection.recv(1000) == b""
        assert time.monotonic() - began > 2.5, "longer than a request may take"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process as Linux shows it")
def test_an_idle_connection_does_not_hold_the_request_that_was_answered(tmp_path):
    body = json.dumps({"id": "idle", "more": "x" * 60_000}).encode()

    def ask(connection):
        server.process.send_signal(signal.SIGSTOP)  # so that it reads all at once
        connection.sendall(post(body))
        server.process.send_signal(signal.SIGCONT)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")

    with running(tmp_path) as server, ExitStack() as stack:
        for _ in range(20):  # what the process takes once
            with connected(server) as connection:
                ask(connection)
        before = memory(server.process.pid)
        for _ in range(120):
            ask(stack.enter_context(connected(server)))
        assert memory(server.process.pid) - before < 4_500_000, "120 bodies have 7.2 MB"


def test_large_requests_under_way_have_room_for_so_many_bytes_and_small_ones_go_on(tmp_path):
    size = 1_000_000
    large = json.dumps({"id": "large", "more": "x" * (size - 50)}).encode()
    call = {"X-Amz-Target": "Kinesis_20131202.ListStreams", "Authorization": "any"}

    def outcome(body, headers):
        status, _, answer = server.request("POST", "/v1/tables/clicks/events", body, headers)
        answer = json.loads(answer)
        return status, answer.get("__type") or answer.get("error", {}).get("code")

    with running(tmp_path, "--request-bytes-max", str(size)) as server:
        with ExitStack() as stack:
            for _ in range(24):  # more than there is room for, which is 16: some may come behind those that are asked
                stack.enter_context(connected(server)).sendall(post(b"y" * size)[:-2])
            until(lambda: outcome(large, {}) == (503, "Unreachable"), "they have come")
            assert outcome(large, call) == (503, "ServiceUnavailable")
            assert outcome(b"{}", {}) == (200, None)
        until(lambda: outcome(large, {}) == (200, None), "those that were closed have left their room")
        assert 'dw_requests_refused_total{reason="Unreachable"}' in server.request("GET", "/metrics")[2].decode()
    assert "that are under way have 16000000 bytes together" in (tmp_path / "errors.log").read_text()


def memory(pid):
    """Bytes of memory that a process has in use."""
    [resident] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(resident.split()[1]) * 1024


@pytest.mark.parametrize(
    "head",
    [
        "X: " + "y" * 70_000 + "\r\n",
        "".join(f"X-{number}: y\r\n" for number in range(300)),
        "X: " + "y" * 60_000 + "\r\n" + "Z: " + "y" * 60_000 + "\r\n",
    ],
    ids=["one long header", "many headers", "two long headers"],
)
def test_headers_that_are_too_large_are_refused_and_nothing_is_stored(server, head):
    before = stored(server)
    with connected(server) as connection:
        try:
            connection.sendall(post(more=head))
            assert answer(connection)[:2] == (431, "HeadersTooLarge")
        except ConnectionResetError:  # it was closed while more was sent
            pass
    assert stored(server) == before
    with connected(server) as connection:
        connection.sendall(post(more="X: " + "y" * 60_000 + "\r\nConnection: close\r\n"))
        assert answer(connection)[0] == 200


def test_a_head_that_never_ends_takes_no_memory_and_no_time(server):
    with connected(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
        with suppress(OSError):  # it is closed at some point
            for _ in range(1_000):
                connection.sendall(b"y" * 100_000)
    assert server.request("GET", "/health")[0] == 200


@pytest.mark.parametrize("body", [EVENT, gzip.compress(EVENT)], ids=["plain", "gzip"])
def test_a_client_that_closes_its_side_gets_its_answer(server, body):
    before = stored(server)
    for _ in range(5):
        with connected(server) as connection:
            connection.sendall(post(body, more="Content-Encoding: gzip\r\n" if body != EVENT else ""))
            connection.shutdown(socket.SHUT_WR)
            status, _, head = answer(connection)
            assert (status, b"connection: close" in head) == (200, True)
    assert stored(server) == before + 5


def test_a_client_that_closes_its_side_ends_its_query(server):
    sql = json.dumps(
        {
            "sql": "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
            "unnest(sequence(1, 10000)) c(z)"
        }
    )
    with connected(server) as connection:
        connection.sendall(post(sql.encode(), "/v1/query"))
        connection.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        assert connection.recv(1000) == b""
        assert time.monotonic() - began < patient(5)


def test_requests_of_one_connection_are_answered_in_order(server):
    with connected(server) as connection:
        connection.sendall(
            post() + post(b"[]") + b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        found = b""
        while piece := connection.recv(65536):
            found += piece
    assert [line.split()[1] for line in found.splitlines() if line.startswith(b"HTTP/1.1")] == [b"200", b"400", b"200"]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", 421),
        ("GET /health HTTP/1.1\r\nHost: evil.example\r\nHost: localhost", 421),
        ("GET /health HTTP/1.1\r\nHost: 127.999.1.1", 421),
        ("GET /health HTTP/1.1\r\nHost: ..localhost", 421),
        ("GET /health HTTP/1.1\r\nHost: localhost.", 200),
        ("GET /health HTTP/1.1\r\nHost: a.b.localhost:80", 200),
        ("GET http://evil.example/health HTTP/1.1\r\nHost: localhost", 421),
        ("GET http://localhost:80/health HTTP/1.1\r\nHost: evil.example", 200),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: chrome-extension://localhost", 403),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost:3000", 200),
        ("HEAD /health HTTP/1.1\r\nHost: localhost", 200),
        ("HEAD /ready HTTP/1.1\r\nHost: localhost", 200),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close", 200),
    ],
)
def test_hosts_and_methods(server, lines, status):
    with connected(server) as connection:
        close = "" if "Connection" in lines else "\r\nConnection: close"
        connection.sendall(f"{lines}{close}\r\n\r\n".encode())
        found = b""
        while piece := connection.recv(65536):
            found += piece
        assert parsed(found)[0] == status
        if lines.startswith("HEAD"):
            assert found.endswith(b"\r\n\r\n"), "no body"


def until_the_end_of_a_body(connection):
    found = b""
    while not found.endswith(b"}\n"):
        piece = connection.recv(1000)
        assert piece, found
        found += piece
    return found


def test_a_connection_that_only_sends_line_ends_is_closed_when_it_is_idle(server):
    """The parser skips line ends before a request, so that they begin none."""
    with connected(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert until_the_end_of_a_body(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        assert connection.recv(1000) == b""


def test_a_connection_is_closed_when_it_is_idle_after_a_body_that_nobody_wanted(server):
    """The answer is there before the body has come."""
    with connected(server) as connection:
        connection.sendall(post(path="/nowhere").removesuffix(EVENT))
        assert until_the_end_of_a_body(connection).startswith(b"HTTP/1.1 404")
        connection.sendall(EVENT)
        assert connection.recv(1000) == b""


def test_those_that_are_refused_do_not_take_the_places_of_others(server):
    """A refused connection stays for a moment, in which its client may read why; it is not one of the 40."""
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(server)) for _ in range(MAX)]
        refused = [stack.enter_context(connected(server)) for _ in range(MAX)]
        assert refused[-1].recv(1000).startswith(b"HTTP/1.1 503")
        for connection in idle[1:]:
            connection.close()
        idle[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")  # its answer: the others are closed
        assert idle[0].recv(1000).startswith(b"HTTP/1.1 200")
        connection = stack.enter_context(connected(server))
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_request_behind_one_that_takes_long_has_its_time_when_that_one_is_answered(tmp_path):
    """While a request is answered, nothing of the one behind it is read."""
    sql = (
        "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
        "unnest(sequence(1, 10000)) c(z)"
    )
    with (
        running(tmp_path, "--request-time-max-s", "1", "--query-time-max-s", "3") as server,
        connected(server) as connection,
    ):
        connection.sendall(post(json.dumps({"sql": sql}).encode(), "/v1/query") + post()[:-3])
        assert until_the_end_of_a_body(connection).startswith(b"HTTP/1.1 422")
        connection.sendall(post()[-3:])
        assert until_the_end_of_a_body(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [1, 40, 100_000], ids=["byte by byte", "in pieces", "at once"])
def test_events_that_come_with_a_wish_for_http_2_are_taken(server, size):
    """Java's HttpClient asks with each request, unless it is told otherwise."""
    before = stored(server)
    wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    sent = post(more=wish) + post(b"[" + EVENT + b"]", more=wish) + post()
    with connected(server) as connection:
        for at in range(0, len(sent), size):
            connection.sendall(sent[at : at + size])
        found = b""
        while found.count(b'{"accepted":1}') < 3:
            piece = connection.recv(1000)
            assert piece, found
            found += piece
    assert stored(server) == before + 3


def test_a_client_that_does_not_read_its_answer_is_not_waited_for(tmp_path):
    """Each such client would keep the place of a query."""
    rows = {"sql": "select x, y from unnest(sequence(1, 1000)) a(x), unnest(sequence(1, 1000)) b(y)"}
    with (
        running(tmp_path, "--request-time-max-s", "1", "--query-processes", "1") as server,
        connected(server) as deaf,
    ):
        deaf.sendall(post(json.dumps(rows).encode(), "/v1/query"))
        deaf.recv(1000)
        assert server.query("select 1 as one") == [{"one": 1}]


def statuses(found):
    return [line.split()[1].decode() for line in found.splitlines() if line.startswith(b"HTTP/1.1")]


MANY_HEADERS = "".join(f"X-{number}: y\r\n" for number in range(300))
SLOW = gzip.compress(b'{"id":"slow"}\n' * 50_000)  # is unpacked in a thread, so that more is read meanwhile


@pytest.mark.parametrize(
    ("behind", "status"),
    [
        (post(more="X: " + "y" * 150_000 + "\r\n"), "431"),
        (post(more=MANY_HEADERS), "431"),
        (b"nonsense\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", "400"),
    ],
    ids=["one long header", "many headers", "no HTTP", "a body that is none"],
)
@pytest.mark.parametrize("before", [1, 3])
def test_a_request_that_is_refused_takes_no_earlier_one_its_answer(server, behind, status, before):
    first = post(SLOW, more="Content-Encoding: gzip\r\n")
    with connected(server) as connection:
        connection.sendall(first * before + behind)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    assert statuses(found) == ["200"] * before + [status]
    assert found.count(b'{"accepted":50000}') == before


def test_nothing_behind_a_request_that_is_refused_is_looked_at(server):
    before = stored(server)
    for refused in (post(more=MANY_HEADERS), b"nonsense\r\n\r\n"):
        with connected(server) as connection:
            connection.sendall(refused + post() + post(more=MANY_HEADERS))
            found = b""
            with suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    found += piece
            assert len(statuses(found)) == 1
    assert stored(server) == before


def test_a_client_that_closes_its_side_within_a_next_request_gets_the_answer_to_the_first(server):
    with connected(server) as connection:
        connection.sendall(post(SLOW, more="Content-Encoding: gzip\r\n") + b"GET /health HTTP/1.1\r\nHost:")
        connection.shutdown(socket.SHUT_WR)
        assert answer(connection)[0] == 200
