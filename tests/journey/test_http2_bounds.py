"""HTTP/2 as no well-behaved client speaks it: each connection ends by itself, with the reason, and others go on."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from http2_client import connected
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from running import running, until

from datawarehouse.runtime.http2_frames import SPARE_MAX
from datawarehouse.runtime.http2_link import CONNECTION_WINDOW, STREAM_WINDOW, STREAMS_MAX
from patience import patient

MAX = 30
EVENT = b'{"id":"http2"}'
ENDLESS = json.dumps(
    {
        "sql": "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
        "unnest(sequence(1, 10000)) c(z)"
    }
).encode()
ROWS = json.dumps({"sql": "select x, y from unnest(sequence(1, 1000)) a(x), unnest(sequence(1, 900)) b(y)"}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    flags = ("--request-time-max-s", "2", "--keep-alive-s", "3", "--query-processes", "1")
    with running(tmp_path_factory.mktemp("bounds"), *flags) as server:
        yield server


def settings(numbers):
    """A SETTINGS frame with these settings, which need not be known."""
    body = b"".join(number.to_bytes(2) + b"\0\0\0\1" for number in numbers)
    return len(body).to_bytes(3) + b"\4\0\0\0\0\0" + body


def stored(server):
    server.flush()
    return server.query("select count(*) as n from clicks where id = 'http2'")[0]["n"]


def test_what_is_announced(server):
    with connected(server) as client:
        client.until(lambda: client.settings)
        assert client.settings[SettingCodes.MAX_CONCURRENT_STREAMS] == STREAMS_MAX == 100
        assert client.settings[SettingCodes.MAX_HEADER_LIST_SIZE] == 64 * 1024
        assert client.settings[SettingCodes.INITIAL_WINDOW_SIZE] == STREAM_WINDOW


def test_more_requests_at_once_than_announced_end_the_connection(server):
    with connected(server) as client:
        for number in range(1, 2 * STREAMS_MAX + 3, 2):
            frame = HeadersFrame(number, client.library.encoder.encode(client.headers()), flags=["END_HEADERS"])
            client.raw(frame.serialize())
        assert client.end()[0] == ErrorCodes.PROTOCOL_ERROR
    assert server.request("GET", "/health")[0] == 200


def test_a_request_counts_until_it_is_ended_here_not_until_it_is_reset(tmp_path):
    """Else a client that resets what it asks has as many at work as it likes."""
    with running(tmp_path, "--query-processes", "1", "--query-waiting-max", "200") as server:
        with connected(server) as client:
            queries = [client.post(ENDLESS, "/v1/query") for _ in range(STREAMS_MAX)]
            frames = b"".join(RstStreamFrame(number).serialize() for number in queries)
            body = client.library.encoder.encode(client.headers("GET", "/health"))
            last = queries[-1] + 2
            frames += HeadersFrame(last, body, flags=["END_HEADERS", "END_STREAM"]).serialize()
            client.answers[last] = None
            client.raw(frames)
            resets = until_reset(client, last)
        assert resets == ErrorCodes.REFUSED_STREAM
        assert server.query("select 1 as one") == [{"one": 1}]


def until_reset(client, number):
    """Read frames by hand: the library of the client does not know of this stream."""
    import hyperframe.frame as frames

    found = b""
    while True:
        piece = client.socket.recv(65536)
        assert piece, "the connection was closed"
        found += piece
        while len(found) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(found[:9]))
            if len(found) < 9 + length:
                break
            frame.parse_body(memoryview(found[9 : 9 + length]))
            found = found[9 + length :]
            if frame.stream_id == number:
                return ErrorCodes(frame.error_code) if isinstance(frame, RstStreamFrame) else None


def test_requests_count_as_connections(tmp_path):
    with (
        running(tmp_path, "--connections-max", str(MAX), "--request-time-max-s", "60") as server,
        ExitStack() as stack,
    ):
        first = stack.enter_context(connected(server))
        waiting = [first.begin() for _ in range(MAX)]
        answer = first.answer(first.begin())
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "Unreachable", "1")
        other = stack.enter_context(connected(server))
        answer = other.answer(other.get("/health"))
        assert (answer.status, answer.code) == (503, "Unreachable")
        assert other.end() is None, "it is closed, since it is one too many"
        assert server.request("GET", "/health")[0] == 503, "so is one of HTTP/1.1"
        for stream in waiting:
            first.body(stream, EVENT)
            assert first.answer(stream).status == 200
        assert server.request("GET", "/health")[0] == 200
        second = stack.enter_context(connected(server))
        assert second.answer(second.get("/health")).status == 200


FLOODS = {
    "resets": lambda number: RstStreamFrame(1, 8),
    "pings": lambda number: PingFrame(0, b"12345678"),
    "settings": lambda number: SettingsFrame(0, {3: number}),
    "acknowledged settings": lambda number: SettingsFrame(0, flags=["ACK"]),
    "window updates": lambda number: WindowUpdateFrame(0, 1),
    "empty data": lambda number: DataFrame(1, b""),
    "padded data": lambda number: DataFrame(1, b"", pad_length=3, flags=["PADDED"]),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_of_frames_that_ask_for_nothing_end_the_connection(server, kind):
    with connected(server) as client:
        client.begin()
        frames = b"".join(FLOODS[kind](number).serialize() for number in range(SPARE_MAX + 100))
        with suppress(OSError):  # it is closed at some point
            client.raw(frames)
        code, message = client.end()
        assert (code, "ask for nothing" in message) == (ErrorCodes.ENHANCE_YOUR_CALM, True)
    assert server.request("GET", "/health")[0] == 200


def test_requests_that_are_reset_at_once_end_the_connection(server):
    before = stored(server)
    with connected(server) as client:
        with suppress(OSError):
            for number in range(1, 2 * SPARE_MAX + 200, 2):
                head = HeadersFrame(number, client.library.encoder.encode(client.headers()), flags=["END_HEADERS"])
                client.raw(head.serialize() + RstStreamFrame(number, 8).serialize())
        assert client.end()[0] == ErrorCodes.ENHANCE_YOUR_CALM
    assert stored(server) == before
    assert server.request("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        ([16_000] * 12, ErrorCodes.ENHANCE_YOUR_CALM),
        ([0] * 80, ErrorCodes.PROTOCOL_ERROR),
        ([1] * 80, ErrorCodes.PROTOCOL_ERROR),
    ],
    ids=["many bytes", "empty frames", "small frames"],
)
def test_headers_that_go_on_and_on_end_the_connection(server, sizes, code):
    with connected(server) as client:
        with suppress(OSError):
            client.raw(HeadersFrame(1, client.library.encoder.encode(client.headers())).serialize())
            for size in sizes:
                client.raw(ContinuationFrame(1, b"\x00" * size).serialize())
        assert client.end()[0] == code
    assert server.request("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "more",
    [
        [("x", "y" * 70_000)],
        [(f"x-{number}", "y") for number in range(300)],
        [("x", "y" * 40_000), ("z", "y" * 40_000)],
    ],
    ids=["one long header", "many headers", "two long headers"],
)
def test_headers_that_are_too_large_are_refused_and_nothing_is_stored(server, more):
    before = stored(server)
    with connected(server) as client:
        answer = client.answer(client.post(EVENT, more=more))
        assert (answer.status, answer.code) == (431, "HeadersTooLarge")
        assert client.answer(client.post(EVENT, more=[("x", "y" * 60_000)])).status == 200
    assert stored(server) == before + 1


def test_headers_that_unpack_to_very_much_end_the_connection(server):
    """64 bytes for each of the thousands of times that a header of 4,000 is repeated."""
    with connected(server) as client:
        encoder = client.library.encoder
        block = encoder.encode([*client.headers(), ("x", "y" * 4_000)])
        block += encoder.encode([("x", "y" * 4_000)]) * 15_000
        assert len(block) < 16_384 + 4_000
        client.raw(HeadersFrame(1, block[:16_000]).serialize())
        client.raw(ContinuationFrame(1, block[16_000:], flags=["END_HEADERS"]).serialize())
        assert client.end()[0] == ErrorCodes.ENHANCE_YOUR_CALM


def test_headers_that_are_changes_of_the_table_end_the_connection(server):
    """They are a byte each and no headers, so that no bound of headers counts them."""
    with connected(server) as client:
        block = b"\x20" * 10_000 + client.library.encoder.encode(client.headers("GET", "/health"))
        client.raw(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]).serialize())
        assert client.end()[0] == ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("frame", "code", "says"),
    [
        (b"\xff\xff\xff\0\0\0\0\0\1", ErrorCodes.FRAME_SIZE_ERROR, "16777215"),
        (b"\0\x40\1\0\0\0\0\0\1", ErrorCodes.FRAME_SIZE_ERROR, "16385"),
        (settings(range(100, 140)), ErrorCodes.ENHANCE_YOUR_CALM, "240"),
        (SettingsFrame(0, {SettingCodes.INITIAL_WINDOW_SIZE: 2**31}).serialize(), ErrorCodes.FLOW_CONTROL_ERROR, ""),
        (WindowUpdateFrame(0, 2**31 - 1).serialize(), ErrorCodes.FLOW_CONTROL_ERROR, ""),
        (b"\0\0\4\x08\0\0\0\0\0\0\0\0\0", ErrorCodes.PROTOCOL_ERROR, ""),
        (DataFrame(7, b"x").serialize(), ErrorCodes.PROTOCOL_ERROR, ""),
        (HeadersFrame(2, b"\x82", flags=["END_HEADERS"]).serialize(), ErrorCodes.PROTOCOL_ERROR, ""),
        (HeadersFrame(1, b"\xff\xff\xff\xff\xff", flags=["END_HEADERS"]).serialize(), ErrorCodes.PROTOCOL_ERROR, ""),
        (ContinuationFrame(1, b"").serialize(), ErrorCodes.PROTOCOL_ERROR, ""),
    ],
    ids=[
        "16 MB announced", "a byte too many", "many settings", "window too large", "window overflows", "window of 0",
        "data of no stream", "even stream", "not HPACK", "continuation of nothing",
    ],
)  # fmt: skip
def test_frames_that_are_wrong_end_the_connection_with_the_reason(server, frame, code, says):
    with connected(server) as client:
        client.until(lambda: client.settings)
        client.raw(frame)
        found, message = client.end()
        assert found == code
        assert says in message
    assert server.request("GET", "/health")[0] == 200


def test_the_first_frame_must_be_settings(server):
    with connected(server) as client:
        client.socket.close()
    import socket

    host, _, port = server.url.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), patient(30)) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + PingFrame(0, b"12345678").serialize())
        found = b""
        while piece := connection.recv(1000):
            found += piece
        assert b"The first frame of a connection must be SETTINGS." in found


def test_settings_that_nobody_knows_are_ignored_and_many_of_them_end_the_connection(server):
    """The library keeps each of 65,536, and goes through all for each frame."""
    with connected(server) as client:
        for begin in range(100, 400, 30):
            client.raw(settings(range(begin, begin + 30)))
        assert client.answer(client.get("/health")).status == 200
        with suppress(OSError):
            for begin in range(400, 65_500, 30):
                client.raw(settings(range(begin, begin + 30)))
        assert client.end()[0] == ErrorCodes.ENHANCE_YOUR_CALM


def test_what_is_announced_for_bodies(server):
    with connected(server) as client:
        client.until(lambda: client.library.outbound_flow_control_window == CONNECTION_WINDOW)
        assert client.library.local_flow_control_window(client.begin()) == STREAM_WINDOW


def flush(client, server):
    """Begin a request whose body is not read, and which takes a moment: there are events to convert."""
    assert client.answer(client.post(EVENT * 1000)).status == 200
    token = json.loads((server.folder / "data" / "_lock").read_text())["token"]
    return client.begin("POST", "/v1/admin/flush", more=[("authorization", f"Bearer {token}")])


def test_a_client_gets_window_for_what_was_read(server):
    with connected(server) as client:
        client.until(lambda: client.library.outbound_flow_control_window == CONNECTION_WINDOW)
        stream = flush(client, server)
        client.body(stream, b"x" * 200_000, end=False)
        left = STREAM_WINDOW - 200_000
        assert client.library.local_flow_control_window(stream) == left
        client.until(lambda: client.answers[stream].status or client.library.local_flow_control_window(stream) > left)
        assert client.answers[stream].status  # what nobody reads gives no window before it is thrown away
        read = client.begin()
        client.body(read, b"x" * 200_000, end=False)
        client.until(lambda: client.library.local_flow_control_window(read) > left)


def test_a_client_that_sends_more_than_its_window_is_ended(server):
    with connected(server) as client:
        client.until(lambda: client.library.outbound_flow_control_window == CONNECTION_WINDOW)
        stream = flush(client, server)
        with suppress(OSError):
            client.raw(DataFrame(stream, b"x" * 16_000).serialize() * 20)
        assert client.end()[0] == ErrorCodes.FLOW_CONTROL_ERROR


def test_nothing_is_read_from_a_client_that_does_not_read(tmp_path):
    """Else the answers to what it sends, here a reset for each piece of a body that comes too late, would heap up."""
    with running(tmp_path, "--request-time-max-s", "60") as server, connected(server, buffer=4096) as client:
        late = client.begin(path="/nowhere")
        assert client.answer(late).status == 404
        client.widen()
        client.post(ROWS, "/v1/query")
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(2_000):  # 128 MB, far beyond the buffers between the two
                client.raw(DataFrame(late, b"x" * 16_000).serialize() * 4)
                time.sleep(0.005)
        assert server.request("GET", "/health")[0] == 200


def test_headers_of_answers_are_not_kept_however_many_the_client_allows(server):
    with connected(server) as client:
        client.library.decoder.max_allowed_table_size = 2**30
        client.library.update_settings({SettingCodes.HEADER_TABLE_SIZE: 2**30})
        for _ in range(3):
            assert client.answer(client.get("/health")).status == 200
        assert client.library.decoder.header_table_size == 0


@pytest.mark.parametrize("sent", [b"", EVENT[:-3]], ids=["no body", "half of the body"])
def test_a_request_that_does_not_come_to_an_end_is_ended_and_its_neighbours_go_on(server, sent):
    before = stored(server)
    with connected(server) as client:
        half = client.begin()
        if sent:
            client.body(half, sent, end=False)
        began = time.monotonic()
        answer = client.answer(half)
        assert (answer.status, answer.code) == (408, "RequestTimeout")
        assert time.monotonic() - began > 1.5
        client.until(lambda: answer.reset == ErrorCodes.NO_ERROR)
        assert client.answer(client.post(EVENT)).status == 200
    assert stored(server) == before + 1


def test_a_request_that_trickles_is_ended(server):
    with connected(server) as client:
        stream = client.begin()
        end = time.monotonic() + patient(10)
        while client.answers[stream].status is None and time.monotonic() < end:
            client.raw(DataFrame(stream, b"x").serialize())
            client.socket.settimeout(0.02)
            with suppress(TimeoutError):
                client.read()
        assert client.answers[stream].status == 408


@pytest.mark.parametrize("pings", [False, True])
def test_an_idle_connection_is_closed_pings_or_not(server, pings):
    with connected(server) as client:
        assert client.answer(client.get("/health")).status == 200
        began = time.monotonic()
        while not client.is_closed:
            if pings:
                time.sleep(0.05)
                with suppress(OSError):
                    client.raw(PingFrame(0, b"12345678").serialize())
                client.socket.settimeout(0.05)
            with suppress(TimeoutError):
                client.read()
        assert 2.5 < time.monotonic() - began < patient(10)
        assert client.gone[0] == ErrorCodes.NO_ERROR
        assert "keep_alive_s" in client.gone[1]


@pytest.mark.parametrize("sent", [0, 20], ids=["nothing", "half of a preface"])
def test_a_connection_that_does_not_begin_is_ended(server, sent):
    with connected(server) as client:
        client.until(lambda: client.settings)
        began = time.monotonic()
        client.end()
        assert 1.5 < time.monotonic() - began < patient(10)


def test_a_block_of_headers_that_does_not_come_to_an_end_is_ended(server):
    with connected(server) as client:
        client.raw(HeadersFrame(1, client.library.encoder.encode(client.headers())).serialize())
        began = time.monotonic()
        client.end()
        assert time.monotonic() - began < patient(10)


def test_a_client_that_gives_no_window_is_not_waited_for(server):
    """Each such client would keep the place of a query; its connection goes on."""
    with connected(server, reads=False) as client:
        query = client.post(ROWS, "/v1/query")
        client.until(lambda: client.answers[query].status)
        assert server.query("select 1 as one") == [{"one": 1}]
        answer = client.answer(query)
        assert (answer.is_ended, answer.reset) == (False, ErrorCodes.CANCEL)


def test_a_client_that_gives_a_window_of_single_bytes_is_not_waited_for(server):
    with connected(server, reads=False) as client:
        query = client.post(ROWS, "/v1/query")
        answer = client.answers[query]
        client.until(lambda: len(answer.body) == 65_535)
        client.library.increment_flow_control_window(2**30)  # of the connection
        client.send()
        client.socket.settimeout(0.05)
        end = time.monotonic() + patient(10)
        while answer.reset is None and time.monotonic() < end:
            client.library.increment_flow_control_window(1, query)
            client.send()
            time.sleep(0.02)  # faster ones would be a flood
            with suppress(TimeoutError):
                client.read()
        assert answer.reset == ErrorCodes.CANCEL
        assert len(answer.body) > 65_535


def test_a_client_that_does_not_read_is_closed(server):
    with connected(server, buffer=4096) as client:
        client.widen()
        client.post(ROWS, "/v1/query")
        assert server.query("select 1 as one") == [{"one": 1}]


def test_a_stop_lets_answers_finish_and_refuses_later_requests(tmp_path):
    with (
        running(tmp_path) as server,
        connected(server) as client,
        connected(server) as idle,
        ThreadPoolExecutor(1) as threads,
    ):
        assert idle.answer(idle.get("/health")).status == 200
        put = client.begin()
        client.body(put, EVENT, end=False)
        assert client.answer(client.get("/health")).status == 200
        stopping = threads.submit(server.stop)
        client.until(lambda: client.gone)
        assert client.gone == (ErrorCodes.NO_ERROR, "The server stops.")
        frame = HeadersFrame(
            put + 4,
            client.library.encoder.encode(client.headers("GET", "/health")),
            flags=["END_HEADERS", "END_STREAM"],
        )
        client.raw(frame.serialize() + DataFrame(put, b"\n" + EVENT, flags=["END_STREAM"]).serialize())
        found = b""
        while piece := client.socket.recv(65536):
            found += piece
        assert b'{"accepted":2}' in found
        assert RstStreamFrame(put + 4, ErrorCodes.REFUSED_STREAM).serialize() in found
        assert idle.end()[0] == ErrorCodes.NO_ERROR
        client.socket.close()
        assert stopping.result() == 0


def test_a_stop_does_not_wait_for_a_client_that_does_not_finish(tmp_path):
    with running(tmp_path) as server, connected(server) as client:
        client.body(client.begin(), EVENT, end=False)
        assert client.answer(client.get("/health")).status == 200
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < patient(10)
    assert until(lambda: server.process.poll() == 0, "it has ended")
