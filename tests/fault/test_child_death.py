"""A child that dies while an order is on its way to it: whoever gave the order gets WorkerDied, and no other error."""

import fcntl
import os
import signal
import struct
import subprocess
import termios
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from running import until

from datawarehouse.errors import WorkerDied
from datawarehouse.query.messages import QueryOrder
from datawarehouse.runtime.workers import Worker
from patience import patient


@pytest.fixture
def sending():
    """A worker whose child is stopped, and the future of an order that does not fit in the pipe to it.

    What does not fit is short enough to wait in the writer's buffer, which would be written again when it is closed.
    """
    worker = Worker("query")
    worker.start()
    child = worker.pid
    os.kill(child, signal.SIGSTOP)
    pipe = os.open(f"/proc/{child}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    size = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    order = QueryOrder("x" * (size + 4000), [], "json")

    def is_full():
        return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))) == (size,)

    with ThreadPoolExecutor(1) as executor:
        sent = executor.submit(worker.begin, order)
        try:
            try:
                until(is_full, "the pipe is full")
            finally:
                os.close(pipe)
            yield worker, sent
        finally:
            worker.kill()
    worker.stop()


def test_a_child_killed_while_an_order_is_sent(sending):
    worker, sent = sending
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match=r"The query process ended \(status -9\)"):
        sent.result(20)


def test_stopping_a_worker_that_an_order_is_sent_to(sending):
    worker, sent = sending
    worker.kill()
    worker.stop()
    with pytest.raises(WorkerDied):
        sent.result(20)
    assert worker.pid is None


def test_a_query_that_is_ended_while_its_process_is_started():
    """Else the process would be nobody's, and compute for as long as its query takes."""
    begins, goes_on, started = threading.Event(), threading.Event(), []

    def slowly(kind):
        begins.set()
        goes_on.wait(patient(20))
        started.append(subprocess.Popen(["sleep", "1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return started[0]

    worker = Worker("query", start_child=slowly)
    with ThreadPoolExecutor(2) as executor:
        sent = executor.submit(worker.begin, QueryOrder("select 1", [], "json"))
        assert begins.wait(patient(20))
        worker.kill()
        stopped = executor.submit(worker.stop, 0)
        with suppress(TimeoutError):
            stopped.result(0.3)  # not before the process is there
        goes_on.set()
        stopped.result(patient(20))
        sent.result(patient(20))
    try:
        assert started[0].wait(patient(5)) == -signal.SIGKILL
    finally:
        started[0].kill()
    with pytest.raises(WorkerDied):
        worker.begin(QueryOrder("select 1", [], "json"))
    assert len(started) == 1
