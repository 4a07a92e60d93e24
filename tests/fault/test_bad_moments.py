"""A record that ends the converting process, a journal that rots, a connection that breaks: nothing else is harmed."""

import contextlib
import json
import os
import re
import signal
import socket
import threading
from urllib.parse import urlsplit

import pytest
from running import COLUMNS, IN_CHILDREN, running

from datawarehouse import Warehouse
from datawarehouse.clock import WallClock
from datawarehouse.errors import JournalDamaged
from datawarehouse.folder import Holder
from datawarehouse.runtime.client import Client
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.lines import Lines, batches
from datawarehouse.runtime.sending import Sender
from datawarehouse.runtime.sent_files import sent_file
from datawarehouse.settings import resolve

# Python runs this module when it starts; in the process that converts, it makes one record deadly.
DEADLY = """
import os, signal
def change():
    from datawarehouse.convert.rows import RowConverter
    convert = RowConverter.convert
    def deadly(self, records, joined=None):
        if any(b"deadly" in record for record in records):
            os.kill(os.getpid(), signal.SIGKILL)
        return convert(self, records, joined)
    RowConverter.convert = deadly
"""
DEADLY += IN_CHILDREN


def test_a_record_that_ends_the_process_is_kept_and_its_neighbours_are_stored(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DEADLY)
    with running(tmp_path, environment={"PYTHONPATH": str(tmp_path / "site")}) as warehouse:
        events = [b'{"id":"e%d"}' % n for n in range(40)]
        events[13] = b'{"id":"deadly"}'
        warehouse.events("views", b'{"id":"elsewhere"}')
        warehouse.events("clicks", b"\n".join(events))
        warehouse.flush()
        assert warehouse.query("select count(*) as c, count(distinct id) as d from clicks") == [{"c": 39, "d": 39}]
        assert warehouse.query("select id from views") == [{"id": "elsewhere"}]
        [reject] = warehouse.query("select error_code, from_utf8(raw_data) as raw from clicks_quarantine")
        assert reject == {"error_code": "DataWarehouse.ConversionCrashed", "raw": '{"id":"deadly"}'}
        [faults] = re.findall(
            rb"^dw_thread_faults_total.*convert-0.* ([0-9.]+)$", warehouse.request("GET", "/metrics")[2], re.M
        )
        assert float(faults) >= 3, "each death is counted"
        warehouse.events("clicks", b'{"id":"after"}')
        warehouse.flush()
        assert warehouse.query("select count(*) as c from clicks") == [{"c": 40}]
        assert not list((tmp_path / "data").glob("*.progress")), "nothing is left of the search for the record"


def declared():
    return Warehouse("dw").with_streaming_input_table("clicks", json.loads(COLUMNS))


def owned(folder):
    return OpenWarehouse(declared(), folder, resolve({"convert_interval_ms": 10}), WallClock())


def spoil(folder, text):
    """Change one byte of a record that stands in the journal."""
    [segment] = (folder / "_journal" / "clicks").iterdir()
    data = bytearray(segment.read_bytes())
    data[data.index(text)] ^= 0x20
    segment.write_bytes(data)


def test_a_part_of_the_journal_that_rots_is_kept_in_the_quarantine(tmp_path):
    warehouse = owned(tmp_path / "data")
    warehouse.put("clicks", [{"id": "before"}])
    warehouse.put("clicks", [{"id": "rotten"}, {"id": "lost"}])
    warehouse.put("clicks", [{"id": "behind"}])
    spoil(tmp_path / "data", b"rotten")
    warehouse.start(LocalExecutor)
    with warehouse:
        warehouse.flush()
        assert list(warehouse.query("select id from clicks order by id")) == [("before",), ("behind",)]
        kept = list(warehouse.query("select error_code, raw_data from clicks_quarantine order by sequence_number"))
        assert [code for code, _ in kept] == ["DataWarehouse.DamagedJournal"] * 2
        assert b'"lost"' in kept[0][1], "the bytes that were found are kept"
        [table] = warehouse.status()["tables"]
        assert (table["received"], table["stored"], table["rejected"], table["pending"]) == (4, 2, 2, 0)


def test_a_journal_that_rotted_while_nobody_had_it_is_refused(tmp_path):
    warehouse = owned(tmp_path / "data")
    warehouse.put("clicks", [{"id": "rotten"}])
    warehouse.put("clicks", [{"id": "behind"}])
    warehouse.close()
    spoil(tmp_path / "data", b"rotten")
    with pytest.raises(JournalDamaged, match=r"\.journal"):
        owned(tmp_path / "data")


class Interrupting:
    """A proxy that breaks connections: it passes a request on, and loses the answers whose number is in `lost`."""

    def __init__(self, url, lost):
        self.target = urlsplit(url)
        self.lost = lost
        self.answers = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection((self.target.hostname, self.target.port))
            forth = threading.Thread(target=self.forth, args=(client, server), daemon=True)
            forth.start()
            with client, server:
                while data := server.recv(65536):
                    self.answers += data.startswith(b"HTTP/1.1 ")
                    if self.answers - 1 in self.lost:
                        break
                    client.sendall(data)
                for end in (client, server):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                forth.join()

    @staticmethod
    def forth(client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_sending_over_a_connection_that_breaks_doubles_nothing(tmp_path):
    source = tmp_path / "events.ndjson"
    lines = [json.dumps({"id": f"e{n}", "n": n, "text": "x" * 400}).encode() for n in range(12_000)]
    source.write_bytes(b"\n".join(lines))
    with running(tmp_path) as warehouse:
        proxy = Interrupting(warehouse.url, lost={1, 3, 4})
        sender = Sender(lambda: Client(Holder(0, proxy.url)), "clicks", 30)
        with source.open("rb") as file, sent_file(tmp_path / "data", "clicks", source, "") as record:
            sender.send(batches(Lines(file)), record.name, record)
        proxy.listener.close()
        assert proxy.answers > 5, "the file went in several batches, some of them twice"
        assert sender.sent.accepted == len(lines)
        again = warehouse.dw("send", "clicks", str(source), "--output", "json")
        assert json.loads(again.stdout)["again"] == len(lines)
        warehouse.flush()
        assert warehouse.query("select count(*) as c, count(distinct id) as d from clicks") == [
            {"c": len(lines), "d": len(lines)}
        ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_merges_what_is_there_and_leaves_nothing_running(tmp_path, number):
    with running(tmp_path, environment={"DW_STOP_TIME_MAX_S": "20"}) as warehouse:
        for n in range(3):
            warehouse.events("clicks", b'{"n":%d}' % n)
            warehouse.flush()
        warehouse.events("clicks", b'{"n":3}')
        children = list(warehouse.children())
        assert children
        assert warehouse.stop(number) == 0
        for pid in children:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    assert len(list((tmp_path / "data" / "clicks").rglob("*.parquet"))) >= 1
    done = json.loads(warehouse.dw("query", "select count(*) as c, sum(n) as s from clicks", "--output", "json").stdout)
    assert done == [{"c": 4, "s": 6}]


def test_a_stop_is_bounded_and_what_is_not_converted_stays_in_the_journal(tmp_path):
    (tmp_path / "site").mkdir()
    slow = DEADLY.replace("os.kill(os.getpid(), signal.SIGKILL)", "signal.pause()")
    (tmp_path / "site" / "sitecustomize.py").write_text(slow)
    stuck = {"PYTHONPATH": str(tmp_path / "site"), "DW_STOP_TIME_MAX_S": "1"}
    with running(tmp_path, environment=stuck) as warehouse:
        warehouse.events("clicks", b'{"id":"deadly"}\n{"id":"b"}')
        assert warehouse.stop() == 0
    with running(tmp_path) as warehouse:
        warehouse.flush()
        assert warehouse.query("select id from clicks order by id") == [{"id": "b"}, {"id": "deadly"}]
