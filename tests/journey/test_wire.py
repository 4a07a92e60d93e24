"""What was wrong when clients that nobody here wrote, and hostile ones, talked to the server: over real sockets.

The rest of these cases are in test_connections.py, test_refusals.py, test_kinesis.py and test_events.py.
"""

import gzip
import json
import resource
import socket
import subprocess
import threading
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from running import running

from patience import patient

MEMBER = gzip.compress(b"", mtime=0)
GZIP = {"Content-Encoding": "gzip"}


def tree_memory(pid):
    """Bytes of resident memory of a process and its children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return sum(size * 1024 for each, parent, size in rows if pid in (each, parent))


@pytest.mark.parametrize(("size", "status"), [(2 << 20, 400), (20 << 20, 413)], ids=["2 MiB", "20 MiB"])
def test_a_body_of_empty_gzip_members_is_answered(warehouse, size, status):
    """The work for it was quadratic: half a minute for 2 MiB, and no end for 20. A request here may take 30 s."""
    body = MEMBER * (size // len(MEMBER))
    assert warehouse.request("POST", "/v1/tables/clicks/events", body, GZIP)[0] == status


def test_an_event_in_each_gzip_member_is_taken(warehouse):
    body = b"".join(gzip.compress(b'{"id":"a member","n":%d}\n' % n) for n in range(40_000))
    assert json.loads(warehouse.request("POST", "/v1/tables/clicks/events", body, GZIP)[2]) == {"accepted": 40_000}
    warehouse.flush()
    [row] = warehouse.query("select count(*) as c, count(distinct n) as d from clicks where id = 'a member'")
    assert row == {"c": 40_000, "d": 40_000}


def test_millions_of_events_in_a_small_body_are_refused_and_take_no_memory(tmp_path):
    """144 KB of gzip, 11 million events; they were taken, and 1.7 GB of memory with them."""
    body = gzip.compress(b"{}\n" * 11_000_000)
    assert len(body) < 150_000
    with running(tmp_path) as server:
        peak, stopping = [0], threading.Event()

        def watch():
            while not stopping.wait(0.02):
                peak[0] = max(peak[0], tree_memory(server.process.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            status, _, answer = server.request("POST", "/v1/tables/clicks/events", body, GZIP)
        finally:
            stopping.set()
            watching.join()
        assert (status, b"request_events_max" in answer) == (413, True)
        assert peak[0] < 500_000_000


def test_no_body_keeps_the_server_from_stopping(tmp_path):
    """It was unpacked for minutes, in a thread for which the end waited."""
    body = MEMBER * 90_000 + gzip.compress(b'{"id":"late"}\n' * 90_000) * 10
    with running(tmp_path, "--stop-time-max-s", "5") as server, ExitStack() as stack:
        address = urlsplit(server.url)
        head = (
            b"POST /v1/tables/clicks/events HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: "
        )
        for _ in range(8):
            connection = stack.enter_context(socket.create_connection((address.hostname, address.port), patient(30)))
            connection.sendall(head + b"%d\r\n\r\n" % len(body) + body)
        assert server.stop() == 0, "within 30 s"


def test_thousands_of_idle_connections_are_held(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 6_000:
        pytest.skip("this system has no 6,000 open files for a process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (6_000, hard))
    try:
        with running(tmp_path, "--connections-max", "5500") as server, ExitStack() as stack:
            address = urlsplit(server.url)
            idle = [
                stack.enter_context(socket.create_connection((address.hostname, address.port), patient(30)))
                for _ in range(5_000)
            ]
            assert server.request("GET", "/ready")[0] == 200
            assert server.events("clicks", b'{"id":"beside"}') == (200, {"accepted": 1})
            for connection in (idle[0], idle[-1]):
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
