"""A child that dies while an order is on its way to it: whoever gave the order gets WorkerDied, and no other error."""

import fcntl
import os
import signal
import struct
import termios
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import until

from datawarehouse.errors import WorkerDied
from datawarehouse.query.messages import QueryOrder
from datawarehouse.runtime.workers import Worker


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
