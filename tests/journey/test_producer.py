"""`datawarehouse.producer` towards a running warehouse: nothing lost, nothing twice, whatever happens on the way."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from lossy import lossy
from running import running, start, until

from datawarehouse.errors import BadRequest, BodyTooLarge, Closed, DataWarehouseError, Throttled
from datawarehouse.producer import AsyncProducer, Producer, Undelivered
from patience import patient

EVENTS = int(os.environ.get("DW_TEST_PRODUCER_EVENTS", "4000"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("producer")) as server:
        yield server


@pytest.fixture
def free_port():
    """A port at which nobody listens: it is bound, and takes no connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def event(name, number):
    return {"id": f"{name}-{number}", "n": number}


def stored(server, name):
    """How often each number of the events of a name is stored."""
    server.flush()
    rows = server.query(f"select n, count(*) as c from clicks where id like '{name}-%' group by n order by n")
    return {row["n"]: row["c"] for row in rows}


def once(count):
    return dict.fromkeys(range(count), 1)


def test_each_event_that_was_put_is_stored(server):
    with Producer("clicks", url=server.url) as producer:
        deliveries = [producer.put(event("plain", number)) for number in range(12_000)]
        producer.put('{"id": "plain-text", "n": -1}')
    assert all(delivery.done() for delivery in deliveries)
    assert producer.counts() == type(producer.counts())(12_001, 12_001, 0, 0, 0, 0)
    assert stored(server, "plain") == {-1: 1, **once(12_000)}


def test_an_event_is_sent_when_it_has_waited_long_enough(server):
    with Producer("clicks", url=server.url, linger_s=0.05) as producer:
        assert producer.put(event("linger", 0)).result(patient(10)).sequence_number == ""
        assert stored(server, "linger") == once(1)


def test_events_wait_for_others_until_they_are_flushed(server):
    with Producer("clicks", url=server.url, linger_s=3600) as producer:
        delivery = producer.put(event("flush", 0))
        with pytest.raises(TimeoutError, match="still being sent"):
            delivery.result(0.05)
        producer.flush()
        assert delivery.done()


def test_events_can_wait_without_end(server):
    producer = Producer("clicks", url=server.url, linger_s=float("inf"), connections=1)
    delivery = producer.put(event("endless", 0))
    with pytest.raises(TimeoutError):
        delivery.result(0.1)
    producer.close(patient(10))
    assert stored(server, "endless") == once(1)


def test_lost_answers_double_nothing(server):
    chance = random.Random(4)
    with (
        lossy(server.url, lambda number: chance.random() < 0.4) as network,
        Producer("clicks", url=network.url, linger_s=0, connections=4) as producer,
    ):
        for number in range(3_000):
            producer.put(event("lost", number))
            if number % 200 == 0:
                producer.flush()
    assert network.lost > 5
    assert producer.counts().retries >= network.lost
    assert stored(server, "lost") == once(3_000)


def test_a_warehouse_that_is_killed_and_started_again_has_each_event_once(tmp_path):
    first = start(tmp_path)
    port = first.url.rpartition(":")[2]
    kills = 4
    with Producer("clicks", url=first.url, linger_s=0.01) as producer:
        number = 0
        for _ in range(kills):
            until_number = number + 2_000
            while number < until_number:
                producer.put(event("kill", number))
                number += 1
            first.process.kill()
            first.process.wait()
            first.process.stdout.close()
            for _ in range(500):
                producer.put(event("kill", number))
                number += 1
            first = start(tmp_path, "--port", port, declaration=None)
        producer.flush()
        assert stored(first, "kill") == once(number)
        assert producer.counts().retries
    first.stop()


def test_refusals_lost_answers_and_kills_together_leave_each_event_once(tmp_path):
    """DW_TEST_PRODUCER_EVENTS=100000 sends as many."""
    chance, kills = random.Random(11), max(2, EVENTS // 25_000)
    limit = ("--request-events-max", "300")
    first = start(tmp_path, *limit)
    port = first.url.rpartition(":")[2]
    with (
        lossy(first.url, lambda number: chance.random() < 0.2) as network,
        Producer("clicks", url=network.url, linger_s=0.01, connections=4) as producer,
    ):
        for number in range(EVENTS):
            producer.put(event("all", number))
            if number % (EVENTS // kills) == EVENTS // (2 * kills):
                first.process.kill()
                first.process.wait()
                first.process.stdout.close()
                first = start(tmp_path, *limit, "--port", port, declaration=None)
        producer.flush()
        assert network.lost >= kills and network.requests > EVENTS // 300
        assert stored(first, "all") == once(EVENTS)
        assert producer.counts().delivered == EVENTS
    first.stop()


def test_an_event_that_can_never_be_taken_is_told_by_the_next_call(server):
    producer = Producer("clicks", url=server.url, linger_s=3600)
    good = producer.put(event("large", 0))
    bad = producer.put({"id": "large-x", "text": "x" * 1_100_000})
    producer.put(event("large", 1))
    with pytest.raises(Undelivered, match="1 events were not delivered: The event has 1100") as told:
        producer.close()
    assert [json.loads(each)["id"] for each in told.value.events] == ["large-x"]
    assert good.result()
    with pytest.raises(BodyTooLarge, match="record_bytes_max"):
        bad.result()
    assert (producer.counts().delivered, producer.counts().failed, producer.counts().waiting) == (2, 1, 0)
    assert stored(server, "large") == once(2)


def test_more_refusals_than_an_answer_names_are_all_told(tmp_path):
    told = []
    with (
        running(tmp_path, "--record-bytes-max", "2000") as server,
        Producer("clicks", url=server.url, linger_s=3600, on_failure=lambda *each: told.append(each)) as producer,
    ):
        for number in range(600):
            producer.put(event("many", number) | {"x": "y" * (3_000 if number % 3 == 0 else 10)})
        producer.flush()
        assert stored(server, "many") == {number: 1 for number in range(600) if number % 3}
    failed = [json.loads(each)["n"] for events, _ in told for each in events]
    assert sorted(failed) == list(range(0, 600, 3))


def test_a_request_that_is_larger_than_the_warehouse_takes_is_cut(tmp_path):
    with running(tmp_path, "--request-events-max", "100") as server:
        with Producer("clicks", url=server.url, linger_s=3600) as producer:
            for number in range(1_000):
                producer.put(event("cut", number))
        assert stored(server, "cut") == once(1_000)


class Front(BaseHTTPRequestHandler):
    """A proxy that takes bodies of 5,000 bytes, and says so in HTML, as nginx does."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = 413, b"<html>413 Request Entity Too Large</html>"
        if len(body) <= 5_000:
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            with urlopen(Request(f"{self.server.to}{self.path}", body, headers)) as answered:
                status, answer = answered.status, answered.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def front(server):
    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as front:
        front.to = server.url
        serving = threading.Thread(target=front.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{front.server_port}"
        front.shutdown()
        serving.join()


def test_a_request_that_is_larger_than_a_proxy_takes_is_cut(server, front):
    with Producer("clicks", url=front, linger_s=3600) as producer:
        for number in range(1_000):
            producer.put(event("proxy", number))
    assert stored(server, "proxy") == once(1_000)


def test_a_table_that_is_not_there_gives_up_at_once(server):
    began = time.monotonic()
    with pytest.raises(Undelivered, match="nowhere"), Producer("nowhere", url=server.url) as producer:
        producer.put(event("nowhere", 0))
    assert time.monotonic() - began < patient(5)


def test_an_error_keeps_nothing_of_those_who_asked_for_it(free_port):
    told = []
    with Producer("clicks", url=f"http://127.0.0.1:{free_port}", retry_s=0, on_failure=lambda *_: told.append(1)) as it:
        deliveries = [it.put(event("asked", number)) for number in range(100)]
    for delivery in deliveries:
        with pytest.raises(DataWarehouseError) as error:
            delivery.result()
    assert len(traceback.extract_tb(error.value.__traceback__)) < 5


def test_what_is_given_up_goes_to_the_callback(free_port):
    told = []
    with Producer(
        "clicks", url=f"http://127.0.0.1:{free_port}", retry_s=0, on_failure=lambda *each: told.append(each)
    ) as producer:
        producer.put(event("gone", 7))
        producer.flush()
    [([given_up], error)] = told
    assert json.loads(given_up) == event("gone", 7)
    assert "does not answer" in str(error)


def test_a_callback_that_fails_does_not_swallow_events(free_port):
    def fails(events, error):
        raise RuntimeError("full")

    producer = Producer("clicks", url=f"http://127.0.0.1:{free_port}", retry_s=0, on_failure=fails)
    producer.put(event("gone", 8))
    with pytest.raises(Undelivered) as told:
        producer.close()
    assert json.loads(told.value.events[0]) == event("gone", 8)
    assert "full" in told.value.errors[0].__notes__[0]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda producer: sys.exit(1), "SystemExit: 1"),
        (lambda producer: producer.flush(), "cannot flush"),
        (lambda producer: producer.close(), "cannot flush"),
        (lambda producer: producer.put("x" * 1_000), "wait to be sent"),
    ],
    ids=["exit", "flush", "close", "put"],
)
def test_a_callback_cannot_stop_the_producer(free_port, call, told):
    is_full = threading.Event()

    def calls(events, error):
        is_full.wait(patient(10))
        call(producer)

    url = f"http://127.0.0.1:{free_port}"
    producer = Producer("clicks", url=url, retry_s=0, connections=1, buffer_bytes_max=2_000, on_failure=calls)
    delivery = producer.put("y" * 1_000)
    with pytest.raises(Throttled):
        producer.put("y" * 1_000, timeout_s=0)
    is_full.set()
    try:
        until(delivery.done, "the thread goes on")
    finally:
        with pytest.raises(Undelivered) as lost:
            producer.close(patient(10))
    assert lost.value.events == [b"y" * 1_000]
    assert told in lost.value.errors[0].__notes__[0]


def test_a_callback_that_puts_does_not_swallow_what_others_lost(free_port):
    told = []

    def puts(events, error):
        told.append(events)
        if len(told) == 1:
            raise RuntimeError("full")
        if len(told) == 2:
            producer.put("third")

    url = f"http://127.0.0.1:{free_port}"
    producer = Producer("clicks", url=url, retry_s=0, linger_s=3600, connections=1, on_failure=puts)
    producer.put("x" * 600_000)
    producer.put("y" * 600_000)  # in a batch of its own
    with pytest.raises(Undelivered) as lost:
        producer.flush()
    assert lost.value.events == [b"x" * 600_000]
    producer.close()
    assert told[2] == [b"third"]


def test_memory_is_bounded_and_put_waits(free_port):
    producer = Producer("clicks", url=f"http://127.0.0.1:{free_port}", retry_s=0.2, buffer_bytes_max=10_000)
    with pytest.raises(Throttled, match="buffer_bytes_max"):
        for number in range(100):
            producer.put(event("bound", number), timeout_s=0)
    assert producer.counts().waiting_bytes <= 10_000
    taken = producer.counts().put
    with pytest.raises(Undelivered):  # there is room again once these are given up, which comes first
        producer.put(event("bound", 101))
    assert producer.counts().put == taken
    producer.close()


def test_what_cannot_be_sent_is_refused_by_put(server, free_port):
    with Producer("clicks", url=server.url) as producer:
        with pytest.raises(BadRequest, match="nan"):
            producer.put({"n": float("nan")})
        with pytest.raises(BadRequest, match="line break"):
            producer.put(b'{"id": "a"\n')
        with pytest.raises(BadRequest, match="nothing in it"):
            producer.put("  ")
        with pytest.raises(BadRequest, match="no partition key"):
            producer.put({}, "key")
        with pytest.raises(BodyTooLarge, match="largest"):
            producer.put("x" * (11 << 20))
        producer.put(b'{"id":\n "lines-0",\r\n "n": 0}')
    assert stored(server, "lines") == once(1)
    with pytest.raises(Closed):
        producer.put({})
    for wrong in (
        {},
        {"url": "x", "kinesis": object()},
        {"url": "ftp://example.org"},
        {"url": "localhost:80"},
        {"url": server.url, "aggregate": True},
        {"url": server.url, "connections": 0},
        {"url": server.url, "linger_s": float("nan")},
        {"url": server.url, "request_timeout_s": 0},
        {"url": server.url, "request_timeout_s": float("nan")},
        {"url": server.url, "request_timeout_s": float("inf")},
        {"kinesis": object(), "request_timeout_s": 5},
        {"url": f"{server.url}/prefix"},
        {"url": "http://127.0.0.1:port"},
        {"url": "http://[::1"},
    ):
        with pytest.raises(BadRequest):
            Producer("clicks", **wrong)


def test_a_program_that_does_not_close_still_sends(server):
    program = (
        "from datawarehouse.producer import Producer\n"
        f"producer = Producer('clicks', url={server.url!r}, linger_s=3600)\n"
        "for number in range(50): producer.put({'id': f'exit-{number}', 'n': number})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=patient(60))
    assert stored(server, "exit") == once(50)


def test_a_program_that_ends_says_what_it_could_not_send(free_port):
    program = (
        "from datawarehouse.producer import Producer\n"
        f"producer = Producer('clicks', url='http://127.0.0.1:{free_port}', retry_s=0.1)\n"
        "producer.put({'id': 'x'})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=patient(60))
    assert done.stderr.startswith("1 events were not delivered: ")
    assert done.stderr.count("\n") == 1


def test_closing_takes_as_long_as_a_batch_is_tried_however_many_wait(free_port):
    retry_s = patient(1)
    producer = Producer("clicks", url=f"http://127.0.0.1:{free_port}", retry_s=retry_s, connections=1)
    for number in range(20):
        producer.put(str(number % 10) * 600_000)  # each in a batch of its own
    began = time.monotonic()
    with pytest.raises(Undelivered) as lost:
        producer.close()
    assert time.monotonic() - began < 8 * retry_s
    assert len(lost.value.events) == 20


def test_closing_ends_although_a_server_takes_connections_and_never_answers():
    timeout_s = patient(0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        producer = Producer("clicks", url=url, retry_s=0, connections=1, request_timeout_s=timeout_s)
        for number in range(40):
            producer.put(str(number % 10) * 600_000)  # each in a batch of its own
        began = time.monotonic()
        with pytest.raises(Undelivered, match=r"does not answer.*the rest was not tried any more") as lost:
            producer.close()
    assert time.monotonic() - began < 10 * timeout_s
    assert len(lost.value.events) == 40


class _CtrlC(KeyboardInterrupt):
    pass


@pytest.fixture
def interrupts():
    """While it is wanted, a signal of another process raises _CtrlC at any moment."""
    state = SimpleNamespace(wanted=False)

    def interrupt(*_):
        if state.wanted:
            state.wanted = False
            raise _CtrlC

    before = signal.signal(signal.SIGUSR1, interrupt)
    program = (
        "import os, random, signal, time\nfor _ in range(60_000):\n"
        f"    os.kill({os.getpid()}, signal.SIGUSR1)\n    time.sleep(random.uniform(0.0002, 0.002))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as sending:
        yield state
        state.wanted = False
        sending.kill()
    signal.signal(signal.SIGUSR1, before)


def test_ctrl_c_at_any_moment_of_put_leaves_a_producer_that_works(server, interrupts):
    producer = Producer("clicks", url=server.url, linger_s=0.001)
    taken, interrupted, number = set(), set(), 0
    while number < 20_000:
        try:
            interrupts.wanted = True
            while number < 20_000:
                number += 1
                producer.put(event("ctrl-c", number))
                taken.add(number)
            interrupts.wanted = False
        except _CtrlC:
            interrupted.add(number)
    producer.close(patient(60))
    found = stored(server, "ctrl-c")
    assert len(interrupted) > 5
    assert taken <= found.keys() <= taken | interrupted  # one that was interrupted may have been taken
    assert set(found.values()) == {1}
    assert producer.counts() == type(producer.counts())(len(found), len(found), 0, 0, 0, 0)


def test_a_second_ctrl_c_ends_closing_and_says_what_is_left(free_port):
    program = (
        "import logging, sys\n"
        "from datawarehouse.producer import Producer\n"
        "class Telling(Producer):\n"
        "    def flush(self, timeout_s=None):\n"
        "        print('flushes', flush=True)\n"
        "        super().flush(timeout_s)\n"
        "logging.basicConfig()\n"
        f"with Telling('clicks', url='http://127.0.0.1:{free_port}') as producer:\n"
        "    producer.put({'id': 'x'})\n"
        "    print('put', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running_program:
        for said in ("put", "flushes"):
            assert running_program.stdout.readline() == f"{said}\n"
            running_program.send_signal(signal.SIGINT)
        errors = running_program.communicate(timeout=patient(60))[1]
    assert "closing was interrupted while 1 events were not delivered yet" in errors
    assert running_program.returncode == -signal.SIGINT


@pytest.mark.parametrize(
    "waits", ["producer.close()", "producer.flush()", "producer.put({'id': 'y'})", "delivery.result()"]
)
def test_ctrl_c_ends_a_wait_that_it_does_not_wake(free_port, waits):
    """A signal that another thread gets wakes the waiting one as little as one that comes just before the wait."""
    program = (
        "import os, signal, threading, time\n"
        "from datawarehouse.producer import Producer\n"
        "def interrupt():\n"
        "    asleep = 0\n"
        "    while asleep < 10:\n"
        "        time.sleep(0.01)\n"
        "        with open(f'/proc/{os.getpid()}/task/{os.getpid()}/stat') as stat:\n"
        "            asleep = asleep + 1 if stat.read().rpartition(')')[2].split()[0] == 'S' else 0\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        f"producer = Producer('clicks', url='http://127.0.0.1:{free_port}', buffer_bytes_max=250)\n"
        "delivery = producer.put({'id': 'x'})\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "try:\n"
        f"    {waits}\n"
        "except KeyboardInterrupt:\n"
        "    print('heard', flush=True)\n"
        "    os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=patient(30))
    assert (done.stdout, done.returncode) == ("heard\n", 0), done.stderr


def test_a_task_that_is_cancelled_leaves_a_producer_that_works(server):
    async def cancelled():
        producer = AsyncProducer("clicks", url=server.url, linger_s=0.001, buffer_bytes_max=2_000)
        deliveries = {}

        async def put_all(first):
            for number in range(first, first + 1_000):
                deliveries[number] = await producer.put(event("cancelled", number))

        tasks = [asyncio.create_task(put_all(first)) for first in range(0, 8_000, 1_000)]
        await asyncio.sleep(0)
        while len(deliveries) < 500:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        closing = asyncio.create_task(producer.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await producer.close()
        return deliveries, producer.counts()

    deliveries, counts = asyncio.run(asyncio.wait_for(cancelled(), patient(60)))
    assert stored(server, "cancelled") == dict.fromkeys(sorted(deliveries), 1)
    assert (counts.delivered, counts.waiting) == (len(deliveries), 0)


def test_a_producer_belongs_to_its_process(server):
    with Producer("clicks", url=server.url, linger_s=3600) as producer:
        delivery = producer.put(event("fork", 0))
        child = os.fork()
        if not child:  # no pytest in here
            refused = 0
            for call in (
                lambda: producer.put(event("fork", 1)), producer.flush, producer.close, producer.counts,
                lambda: delivery.result(0.1), delivery.result, lambda: next(delivery.__await__()),
            ):  # fmt: skip
                try:
                    call()
                except Closed:
                    refused += 1
                    continue
                except BaseException:
                    os._exit(101)
                os._exit(100)
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        producer.flush()
        delivery.result(patient(60))
        child = os.fork()
        if not child:  # what was known before the fork is known after it
            os._exit(0 if delivery.result(0) == delivery.result() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stored(server, "fork") == once(1)


def test_threads_share_a_producer(server):
    with Producer("clicks", url=server.url, linger_s=0.001, buffer_bytes_max=50_000) as producer:
        threads = [
            threading.Thread(target=lambda at=at: [producer.put(event("threads", n)) for n in range(at, 4_000, 8)])
            for at in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert stored(server, "threads") == once(4_000)


def test_a_program_of_asyncio(server):
    async def program():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async with AsyncProducer("clicks", url=server.url, buffer_bytes_max=20_000) as producer:
            deliveries = [await producer.put(event("async", number)) for number in range(2_000)]
            await producer.flush()
            assert all(delivery.done() for delivery in deliveries)
            last = await producer.put(event("async", 2_000))
            assert (await last).sequence_number == ""
            cancelled = asyncio.create_task(producer.flush())
            await asyncio.sleep(0)
            cancelled.cancel()
        ticking.cancel()
        assert ticks > 100, "the loop went on"

    asyncio.run(program())
    assert stored(server, "async") == once(2_001)


def test_closing_does_not_wait_in_the_loop_for_those_who_still_put(free_port):
    async def program():
        producer = AsyncProducer("clicks", url=f"http://127.0.0.1:{free_port}", retry_s=0.2, buffer_bytes_max=2_000)

        async def puts():
            with pytest.raises(Closed):
                while True:
                    with suppress(Undelivered):
                        await producer.put({"id": "x" * 500})

        putting = [asyncio.create_task(puts()) for _ in range(8)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(producer.close())
        await asyncio.sleep(0)
        with pytest.raises(Closed):
            await producer.put({"id": "late"})
        with suppress(Undelivered):
            await closing
        await asyncio.wait_for(asyncio.gather(*putting), patient(10))

    asyncio.run(program())


def test_a_program_of_asyncio_hears_of_failures(free_port):
    async def program():
        producer = AsyncProducer("clicks", url=f"http://127.0.0.1:{free_port}", retry_s=0.1, buffer_bytes_max=2_000)
        delivery = await producer.put({"id": "x"})
        with pytest.raises(DataWarehouseError, match="does not answer"):
            await delivery
        with pytest.raises(Undelivered):
            for _ in range(100):
                await producer.put({"id": "y"})
        with pytest.raises(Undelivered):
            await producer.put({"id": "z"})
            await producer.flush()
        await producer.close()

    asyncio.run(program())


# -- Kinesis


def client(url):
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20),
    )


def test_events_go_to_a_kinesis_stream(server):
    with Producer("clicks", kinesis=client(server.url)) as producer:
        delivery = producer.put(event("kinesis", 0), "a key")
        for number in range(1, 1_200):
            producer.put(event("kinesis", number))
    assert delivery.result().shard_id == "shardId-000000000000"
    assert delivery.result().sequence_number.startswith("49")
    assert stored(server, "kinesis") == once(1_200)


def test_the_partition_key_chooses_the_shard(server):
    with Producer("v", stream="views", kinesis=client(server.url)) as producer:
        sent = {key: producer.put({"id": key}, key) for key in map(str, range(40))}
    shards = {delivery.result().shard_id for delivery in sent.values()}
    assert len(shards) == 3


def test_a_stream_that_cannot_be_reached_gives_up_nothing(tmp_path):
    first = start(tmp_path)
    first.stop()
    port = first.url.rpartition(":")[2]
    with Producer("clicks", kinesis=client(first.url)) as producer:
        producer.put(event("unreached", 0))
        until(lambda: producer.counts().retries or producer.counts().failed, "it was tried")
        assert producer.counts().failed == 0
        again = start(tmp_path, "--port", port, declaration=None)
    assert stored(again, "unreached") == once(1)
    again.stop()


def test_what_a_full_shard_refuses_is_sent_again(tmp_path):
    """A shard takes 1,000 records a second; the answer says which of the 500 it refused."""
    with running(tmp_path, "--shard-rate-limited", "yes") as server:
        with Producer("clicks", kinesis=client(server.url), connections=4) as producer:
            for number in range(3_000):
                producer.put(event("rate", number))
        assert producer.counts().retries
        assert (producer.counts().delivered, producer.counts().failed) == (3_000, 0)
        assert stored(server, "rate") == once(3_000)


def test_packed_events_share_records_and_are_stored_apart(server):
    with Producer("clicks", kinesis=client(server.url), aggregate=True) as producer:
        sent = [producer.put(event("packed", number) | {"at": None}) for number in range(5_000)]
        large = producer.put({"id": "packed-large", "n": -1, "text": "ü" * 100_000})
    assert stored(server, "packed") == {-1: 1, **once(5_000)}
    records = {delivery.result().sequence_number for delivery in sent}
    assert 1 < len(records) < 20
    assert large.result().sequence_number not in records


def test_an_answer_that_is_lost_may_double_but_loses_nothing(server):
    with (
        lossy(server.url, lambda number: number % 3 == 0) as network,
        Producer("clicks", kinesis=client(network.url), linger_s=0) as producer,
    ):
        for number in range(3_000):
            producer.put(event("twice", number))
    assert network.lost
    assert set(stored(server, "twice")) == set(range(3_000))


def test_a_stream_that_is_not_there_gives_up_at_once(server):
    began = time.monotonic()
    with (
        pytest.raises(Undelivered, match="ResourceNotFoundException"),
        Producer("nowhere", kinesis=client(server.url)) as producer,
    ):
        producer.put({"id": "x"})
    assert time.monotonic() - began < patient(10)


def test_what_cannot_be_put_into_kinesis_is_refused(server):
    packing = Producer("clicks", kinesis=client(server.url), aggregate=True)
    with packing, pytest.raises(BadRequest, match="aggregate=True"):
        packing.put({}, "key")
    with Producer("clicks", kinesis=client(server.url)) as producer:
        with pytest.raises(BadRequest, match="257 characters"):
            producer.put({}, "k" * 257)
        with pytest.raises(BodyTooLarge):
            producer.put("x" * (1 << 20))
