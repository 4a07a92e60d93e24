"""HTTP/2 from the first byte: the same answers as over HTTP/1.1, also for a client that goes away in between."""

import json
import socket
import time
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from http2_client import connected
from hyperframe.frame import GoAwayFrame, PingFrame, PriorityFrame
from running import running, until

from patience import patient

EVENT = b'{"id":"http2"}'
ENDLESS = json.dumps(
    {
        "sql": "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
        "unnest(sequence(1, 10000)) c(z)"
    }
).encode()
ROWS = json.dumps(
    {"sql": "select x, y from unnest(sequence(1, 1000)) a(x), unnest(sequence(1, 300)) b(y) order by 1, 2"}
).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    flags = ("--request-bytes-max", "2MiB", "--query-processes", "1")
    with running(tmp_path_factory.mktemp("http2"), *flags) as server:
        yield server


def stored(server):
    server.flush()
    return server.query("select count(*) as n from clicks where id = 'http2'")[0]["n"]


def test_many_requests_at_once_are_answered_each(server):
    before = stored(server)
    with connected(server) as client:
        puts = [client.post(EVENT) for _ in range(40)]
        health = client.get("/health")
        assert [client.answer(put).json() for put in puts] == [{"accepted": 1}] * 40
        assert client.answer(health).json() == {"status": "ok"}
    assert stored(server) == before + 40


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/health", b""),
        ("GET", "/nowhere?a=b#c", b""),
        ("GET", "/v1/tables/clicks/events", b""),
        ("POST", "/v1/tables/n%6fne/events", EVENT),
        ("POST", "/v1/tables/clicks/events", b"[1"),
        ("POST", "/v1/tables/clicks/events", b"x" * (2 * 1024 * 1024 + 1)),
        ("POST", "/v1/query", b'{"sql": "select"}'),
        ("POST", "/v1/query", b'{"sql": "select 1/0 as a"}'),
        ("POST", "/v1/query", ROWS),
        ("POST", "/v1/admin/flush", b""),
    ],
    ids=lambda value: value[:30].decode() if isinstance(value, bytes) else value,
)
def test_answers_are_those_of_http_1(server, method, path, body):
    status, headers, expected = server.request(method, path, body)
    with connected(server) as client:
        stream = client.begin(method, path, more=[("content-length", str(len(body)))])
        if len(body) <= 2 * 1024 * 1024:  # else the answer comes at once
            client.body(stream, body)
        answer = client.answer(stream)
    assert (answer.status, answer.body) == (status, expected)
    names = {name.lower() for name in headers} - {"transfer-encoding", "connection"}
    assert set(answer.headers) == names


def test_head_has_no_body(server):
    with connected(server) as client:
        answer = client.answer(client.begin("HEAD", "/health", end=True))
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "16", b"")
        assert (answer.is_ended, answer.reset) == (True, None)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent_and_the_rest_is_not_wanted(server):
    before = stored(server)
    with connected(server) as client:
        stream = client.begin()
        client.body(stream, b"x" * (2 * 1024 * 1024), end=False)
        client.body(stream, b"xx", end=False)
        answer = client.answer(stream)
        client.until(lambda: answer.reset is not None)
        assert (answer.status, answer.code, answer.reset) == (413, "BodyTooLarge", ErrorCodes.NO_ERROR)
        assert client.answer(client.post(EVENT)).status == 200, "the connection goes on"
    assert stored(server) == before + 1


def test_a_client_that_looks_at_no_answer_before_all_is_sent_gets_it(server):
    """As many do, curl among them, which lose an answer if their stream is reset at once."""

    def sent(client):
        stream, rest = client.begin("POST", "/v1/admin/run"), b" " * 400_000
        while rest and client.answers[stream].reset is None:
            room = min(client.library.local_flow_control_window(stream), client.library.max_outbound_frame_size)
            if room <= 0:
                client.read()
                continue
            part, rest = rest[:room], rest[room:]
            client.library.send_data(stream, part, end_stream=not rest)
            client.send()
        return client.answer(stream)

    with connected(server) as client:
        answers = (sent(client) for _ in range(5))  # of a busy machine: what takes half a second is reset
        assert [answer.status for answer in answers if answer.reset is None][:1] == [401]
        assert client.answer(client.post(EVENT)).status == 200, "the connection goes on"


def test_trailers_end_a_request(server):
    before = stored(server)
    with connected(server) as client:
        stream = client.begin()
        client.body(stream, EVENT, end=False)
        client.library.send_headers(stream, [("x-checksum", "1")], end_stream=True)
        client.send()
        assert client.answer(stream).json() == {"accepted": 1}
    assert stored(server) == before + 1


def test_a_client_that_waits_for_100_gets_it(server):
    with connected(server) as client:
        stream = client.begin(more=[("expect", "100-continue")])
        client.until(lambda: client.answers[stream].headers)
        assert client.answers[stream].headers == {"informational": b"100"}
        client.body(stream, EVENT)
        assert client.answer(stream).status == 200


def frame_of_head(client, headers):
    client.answers[1] = None
    client.library.send_headers(1, headers, end_stream=False)
    client.send()


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ([(":method", "POST"), (":scheme", "http"), (":authority", "localhost")], ":path"),
        ([(":scheme", "http"), (":path", "/health"), (":authority", "localhost")], ":method"),
        ([(":method", "GET"), (":path", "/health"), (":authority", "localhost")], ":scheme"),
        ([(":method", "GET"), (":scheme", "http"), (":path", "/health")], ":authority"),
        ([(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "localhost")], ":path"),
    ],
    ids=["path", "method", "scheme", "authority", "empty path"],
)
def test_a_request_without_what_it_must_have_ends_the_connection_with_the_reason(server, headers, says):
    with connected(server) as client:
        frame_of_head(client, headers)
        code, message = client.end()
        assert code == ErrorCodes.PROTOCOL_ERROR
        assert says in message


@pytest.mark.parametrize(
    "more",
    [("Upper", "case"), ("connection", "close"), ("transfer-encoding", "chunked"), ("te", "gzip"), ("x", "a\r\nb: c")],
    ids=lambda pair: pair[0],
)
def test_headers_that_http_2_does_not_have_end_the_connection(server, more):
    with connected(server) as client:
        client.begin(more=[more])
        assert client.end()[0] == ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize("announced", [3, 300], ids=["less", "more"])
def test_a_body_of_another_length_than_announced_is_not_stored(server, announced):
    before = stored(server)
    with connected(server) as client:
        client.body(client.begin(more=[("content-length", str(announced))]), EVENT)
        code, message = client.end()
        assert (code, str(announced) in message) == (ErrorCodes.PROTOCOL_ERROR, True)
    assert stored(server) == before


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"authority": "evil.example"}, 421),
        ({"more": [("host", "localhost"), ("origin", "http://evil.example")]}, 403),
        ({"path": "no/slash"}, 400),
        ({"path": "/\xff"}, 400),
        ({"method": "BREW", "path": "/health"}, 404),
    ],
    ids=["authority", "origin", "no slash", "not ASCII", "method"],
)
def test_hosts_origins_paths_and_methods(server, options, status):
    with connected(server) as client:
        assert client.answer(client.begin(**options, end=True)).status == status
        assert client.answer(client.get("/health")).status == 200


def test_a_query_whose_client_resets_it_ends_and_makes_room(server):
    with connected(server) as client:
        query = client.post(ENDLESS, "/v1/query")
        until(lambda: busy(server), "the query runs")
        client.library.reset_stream(query, ErrorCodes.CANCEL)
        client.send()
        began = time.monotonic()
        assert client.answer(client.post(b'{"sql": "select 1 as one"}', "/v1/query")).json() == {"one": 1}
        assert time.monotonic() - began < patient(20)


def busy(server):
    """Whether the child process that answers queries computes."""
    for pid, command in server.children().items():
        if "query" in command:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) > 100
    return False


def test_a_result_is_sent_as_fast_as_the_client_takes_it_while_others_are_answered(server):
    with connected(server, reads=False) as client:
        query = client.post(ROWS, "/v1/query")
        client.until(lambda: len(client.answers[query].body) == 65_535)
        client.library.increment_flow_control_window(60_000)  # of the connection, so that others have some
        assert client.answer(client.post(EVENT)).status == 200
        assert len(client.answers[query].body) == 65_535
        client.library.increment_flow_control_window(2**30, query)
        assert client.answer(client.begin("HEAD", "/health", end=True)).status == 200
        client.library.increment_flow_control_window(2**30)
        client.send()
        answer = client.answer(query)
    assert answer.body == server.request("POST", "/v1/query", ROWS)[2]


def test_an_error_in_the_middle_of_a_result_resets_its_stream(tmp_path):
    """So that no client takes a part for the whole."""
    with running(tmp_path, "--query-result-rows-max", "100000") as server, connected(server) as client:
        answer = client.answer(client.post(ROWS, "/v1/query"))
        assert (answer.status, answer.is_ended, answer.reset) == (200, False, ErrorCodes.INTERNAL_ERROR)
        assert client.answer(client.get("/health")).status == 200


def test_a_client_that_closes_its_side_gets_its_answers(server):
    before = stored(server)
    with connected(server) as client:
        puts = [client.post(EVENT) for _ in range(5)]
        query = client.post(ENDLESS, "/v1/query")
        client.socket.shutdown(socket.SHUT_WR)
        client.send = lambda: None
        assert [client.answer(put).status for put in puts] == [200] * 5
        client.until(lambda: client.is_closed)
        assert client.answers[query].status is None
    assert stored(server) == before + 5


def test_a_client_that_says_goodbye_gets_what_it_asked_for(server):
    with connected(server) as client:
        put = client.post(EVENT)
        client.raw(GoAwayFrame(0).serialize())
        assert client.answer(put).status == 200
        client.until(lambda: client.is_closed)


def test_a_client_that_says_goodbye_and_reads_late_gets_all(server):
    """It gives window while it reads; a connection that is closed already would answer that with a reset."""
    with connected(server) as client:
        client.widen()
        asked = [client.get("/metrics") for _ in range(90)]
        client.raw(GoAwayFrame(0).serialize())
        time.sleep(1)
        assert {client.answer(stream).status for stream in asked} == {200}
        client.until(lambda: client.is_closed)


def test_priorities_and_frames_of_other_types_are_ignored(server):
    with connected(server) as client:
        client.raw(b"\0\0\3\xee\0\0\0\0\0abc")
        client.raw(PriorityFrame(3, depends_on=3, stream_weight=1).serialize())
        assert client.answer(client.get("/health")).status == 200


@pytest.mark.parametrize("size", [1, 5, 30])
def test_frames_may_come_in_any_pieces(server, size):
    """Also the preface: its first byte is that of a POST."""
    before = stored(server)
    with connected(server, pieces=size) as client:
        client.raw(PingFrame(0, b"12345678").serialize())
        client.raw(PriorityFrame(3, depends_on=1, stream_weight=1).serialize())
        assert client.answer(client.post(EVENT)).json() == {"accepted": 1}
        assert client.pings == 1
    assert stored(server) == before + 1
