"""A child process that hangs is ended after a limit, as if it had died: nothing waits for it for ever."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import IN_CHILDREN, running, until

from datawarehouse import Warehouse
from datawarehouse.clock import WallClock
from datawarehouse.errors import WorkerDied
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.workers import Worker
from datawarehouse.settings import resolve
from datawarehouse.tidy.orders import MergeOrder

CLICKS = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})

# Python runs this module when it starts; in the process that converts, one record takes for ever.
ENDLESS = """
import time
def change():
    from datawarehouse.convert.rows import RowConverter
    convert = RowConverter.convert
    def endless(self, records, joined=None):
        while any(b"endless" in record for record in records):
            time.sleep(1)
        return convert(self, records, joined)
    RowConverter.convert = endless
"""
ENDLESS += IN_CHILDREN


def converting(warehouse):
    [child] = [pid for pid, command in warehouse.children().items() if command.endswith("convert")]
    return child


def test_a_flush_ends_by_itself_when_the_process_that_converts_is_stopped(tmp_path):
    with running(tmp_path, "--convert-time-max-s", "4") as warehouse:
        warehouse.events("clicks", b'{"id":"before"}')
        warehouse.flush()
        stopped = converting(warehouse)
        os.kill(stopped, signal.SIGSTOP)
        warehouse.events("clicks", b'{"id":"a"}\n{"id":"b"}')
        said = warehouse.dw("flush").stderr
        assert said.startswith("Waiting for clicks: 2 records behind; converting for "), said
        assert warehouse.query("select count(*) as c from clicks") == [{"c": 3}]
        assert converting(warehouse) != stopped
        assert "took longer than 4 s (convert_time_max_s) and was ended" in (tmp_path / "errors.log").read_text()
        assert warehouse.dw("flush").stderr == "", "what takes no time says nothing"


def test_flushes_that_wait_keep_no_status_waiting(tmp_path):
    with running(tmp_path) as warehouse:
        warehouse.events("clicks", b'{"id":"before"}')
        warehouse.flush()
        stopped = converting(warehouse)
        os.kill(stopped, signal.SIGSTOP)
        warehouse.events("clicks", b'{"id":"a"}')
        with ThreadPoolExecutor(20) as threads:
            flushes = [threads.submit(warehouse.flush) for _ in range(20)]
            for _ in range(10):  # some of them surely after the flushes have begun to wait
                assert warehouse.request("GET", "/metrics")[0] == 200
            assert not any(flush.done() for flush in flushes)
            os.kill(stopped, signal.SIGKILL)
            for flush in flushes:
                flush.result(60)


def test_a_record_at_which_conversion_hangs_is_rejected_and_its_neighbours_are_stored(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ENDLESS)
    environment = {"PYTHONPATH": str(tmp_path / "site"), "DW_CONVERT_TIME_MAX_S": "5"}
    with running(tmp_path, environment=environment) as warehouse:
        events = [b'{"id":"e%d"}' % n for n in range(5)]
        events[3] = b'{"id":"endless"}'
        warehouse.events("clicks", b"\n".join(events))
        warehouse.flush()
        assert warehouse.query("select count(*) as c from clicks") == [{"c": 4}]
        [reject] = warehouse.query("select error_code, from_utf8(raw_data) as raw from clicks_quarantine")
        assert reject == {"error_code": "DataWarehouse.ConversionCrashed", "raw": '{"id":"endless"}'}


@pytest.mark.parametrize("kind", ["convert", "compact"])
def test_a_process_that_hangs_is_replaced_by_another(kind, tmp_path):
    worker = Worker(kind, time_max_s=60)
    nothing = MergeOrder([], [("id", "string")], 1, str(tmp_path), "none")
    with pytest.raises(Exception, match="index out of range"):  # it answers
        worker.run(nothing)
    worker.time_max_s = 1  # now that it has been started
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerDied, match=rf"The {kind} process took longer than 1 s \(convert_time_max_s\)"):
        worker.run(nothing)
    worker.stop()


class Waiting(LocalExecutor):
    """Runs an order when the test lets it."""

    def __init__(self):
        super().__init__()
        self.has_begun, self.goes_on = threading.Event(), threading.Event()

    def run(self, order):
        self.has_begun.set()
        self.goes_on.wait(60)
        return super().run(order)


def test_what_a_flush_waits_for_is_known_without_waiting(tmp_path):
    executor = Waiting()
    with OpenWarehouse(CLICKS, tmp_path / "data", resolve({}), WallClock()) as warehouse:
        assert warehouse.behind() == []
        warehouse.put("clicks", [{"id": "a"}, {"id": "b"}])
        [behind] = warehouse.behind()
        assert behind == {"table": "clicks", "records": 2, "doing": "waiting", "seconds": 0.0, "failures": 0}
        warehouse.start(lambda: executor, only_convert=True)
        assert executor.has_begun.wait(20)
        [behind] = warehouse.behind()
        assert (behind["records"], behind["doing"]) == (2, "converting")
        executor.goes_on.set()
        warehouse.flush()
        until(lambda: warehouse.behind() == [], "nothing is behind")
