"""Ctrl-C ends a query in a user's own process, and the warehouse goes on."""

import signal
import threading
import time
from contextlib import closing

import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.errors import QueryFailed, QueryLimitExceeded
from datawarehouse.folder import catalog_path
from datawarehouse.query.engine import Engine
from datawarehouse.query.interruptible import interruptible
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.reader import read_json
from patience import patient


def press_ctrl_c():
    """A real signal, which wakes the main thread where it waits for a lock; `interrupt_main` does not."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    with open_warehouse(declared, tmp_path_factory.mktemp("interrupt") / "data") as opened:
        opened.put("clicks", [{"id": str(n), "n": n} for n in range(20_000)])
        opened.flush()
        yield opened


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1",
        "select a.id || b.id from clicks a, clicks b where a.n * b.n = -1",
        # One call, which hears of no interrupt.
        "select cardinality(array_sort(flatten(transform(sequence(1, 2000), s -> sequence(1, 10000)))))",
    ],
    ids=["an aggregate", "rows", "one function"],
)
def test_ctrl_c_ends_a_query(opened, sql):
    began = []

    def press():
        began.append(time.monotonic())
        press_ctrl_c()

    threading.Timer(0.3, press).start()
    with pytest.raises(KeyboardInterrupt):
        opened.query(sql)
    assert time.monotonic() - began[0] < patient(1)
    assert list(opened.query("select count(*) from clicks where n >= 0")) == [(20_000,)]


def test_an_engine_that_has_not_begun_yet_hears_it_as_well():
    """As DuckDB, which forgets an interrupt that comes between the preparation of a query and its begin."""
    heard, ended = threading.Semaphore(0), threading.Event()

    def work(started):
        started(heard.release)
        press_ctrl_c()
        heard.acquire()
        heard.acquire()
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        interruptible(work)
    assert ended.wait(patient(5))


def test_errors_and_other_threads_are_as_before(opened):
    with pytest.raises(QueryFailed, match="nowhere"):
        opened.query("select * from nowhere")
    found = []
    asking = threading.Thread(target=lambda: found.append(list(opened.query("select max(n) from clicks"))))
    asking.start()
    asking.join()
    assert found == [[(19_999,)]]


def test_a_time_limit_that_is_over_before_the_query_begins_ends_it_all_the_same(opened):
    with closing(Catalog(catalog_path(opened.folder), writable=False)) as catalog:
        limits = QueryLimits(time_max_s=0, memory_bytes_max=1 << 30, threads=1, result_rows_max=10)
        with closing(Engine("shop", catalog, opened.folder, limits, read_json, opened.clock)) as engine:
            engine.warm_up()
            began = time.monotonic()
            with pytest.raises(QueryLimitExceeded, match="query_time_max_s"):
                engine.query("select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1")
            assert time.monotonic() - began < patient(2)


def test_the_time_limit_is_named_as_before(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"n": "int"})
    with open_warehouse(declared, tmp_path / "data", settings={"query_time_max_s": 1}) as opened:
        opened.put("clicks", [{"n": n} for n in range(20_000)])
        opened.flush()
        with pytest.raises(QueryLimitExceeded, match="query_time_max_s"):
            opened.query("select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1")
