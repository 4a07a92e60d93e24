"""How files are shaped: fresh ones are merged at the interval, at a size, at the hour's turn, at a clean stop."""

import threading
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from running import until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.parquet.files import Footer, read_footer
from datawarehouse.tidy.merges import MANY_FILES

HOUR = 3_600_000


class Clock:
    """A clock that the test moves."""

    def __init__(self, text="2026-11-23T07:10:00+00:00"):
        self.now = int(datetime.fromisoformat(text).timestamp() * 1000)

    def now_ms(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    def open_it(warehouse=None, **settings):
        settings = {"convert_interval_ms": 10, **settings}
        return open_warehouse(warehouse or declared(), tmp_path / "data", settings, clock)

    return open_it


def declared():
    return Warehouse("dw").with_streaming_input_table("clicks", {"n": "int"})


def put(warehouse, *numbers):
    """Put each number in a file of its own."""
    for n in numbers:
        warehouse.put("clicks", [{"n": n}, "bad"])
        warehouse.flush()


def live(warehouse, kind="rows"):
    """The live files of a kind, by partition."""
    found = {}
    for partition in warehouse.catalog.partitions_between("clicks", kind, None, None):
        found[partition] = [file.path for file in warehouse.catalog.live_files("clicks", kind, [partition])]
    return found


def numbers(warehouse):
    return [n for (n,) in warehouse.query("select n from clicks order by n")]


def counts(warehouse):
    return {kind: [len(paths) for paths in live(warehouse, kind).values()] for kind in ("rows", "rejects")}


def test_fresh_files_are_merged_at_the_flush_interval(opened, clock):
    with opened() as warehouse:
        put(warehouse, 1, 2, 3)
        assert counts(warehouse) == {"rows": [3], "rejects": [3]}
        clock.now += 899_000
        put(warehouse, 4)
        assert counts(warehouse) == {"rows": [4], "rejects": [4]}
        clock.now += 1_000
        until(lambda: counts(warehouse) == {"rows": [1], "rejects": [1]}, "the files are merged")
        assert numbers(warehouse) == [1, 2, 3, 4]
        assert list(warehouse.query("select count(*) from clicks_quarantine")) == [(4,)]


def test_fresh_files_are_merged_at_the_turn_of_the_hour(opened, clock):
    with opened() as warehouse:
        clock.now += 49 * 60_000
        put(warehouse, 1, 2)
        clock.now += 60_000
        put(warehouse, 3, 4)
        until(lambda: counts(warehouse)["rows"] == [1, 2], "the closed hour has one file, the open one its own")
        assert list(live(warehouse)) == ["2026/11/23/07", "2026/11/23/08"]


def test_fresh_files_are_merged_at_a_clean_stop(opened):
    with opened() as warehouse:
        put(warehouse, 1, 2, 3)
    with opened() as warehouse:
        assert counts(warehouse) == {"rows": [1], "rejects": [1]}
        assert numbers(warehouse) == [1, 2, 3]


def test_many_fresh_files_are_merged(opened):
    with opened() as warehouse:
        put(warehouse, *range(MANY_FILES))
        until(lambda: counts(warehouse)["rows"][0] < 10, "there are few again")
        assert numbers(warehouse) == list(range(MANY_FILES))


def test_a_merged_file_tells_what_it_holds(opened, clock):
    with opened() as warehouse:
        put(warehouse, 1, 2)
        clock.now += HOUR
        until(lambda: counts(warehouse)["rows"] == [1], "merged")
        [[path]] = live(warehouse).values()
        footer = read_footer(warehouse.folder / path)
        assert footer == Footer("clicks", "rows", "2026/11/23/07", [(0, 3)], 2, 2, 1, footer.replaces)
        assert len(set(footer.replaces)) == 2
        [[path]] = live(warehouse, "rejects").values()
        footer = read_footer(warehouse.folder / path)
        assert footer == Footer("clicks", "rejects", "2026/11/23/07", [(0, 3)], 2, 2, 0, footer.replaces)
        schema = pq.read_schema(warehouse.folder / path)
        assert str(schema.field("arrival_timestamp").type) == "timestamp[ms]"


@pytest.mark.parametrize(("of_settings", "of_a_workgroup"), [(300, 1), (1, 300)])
def test_retired_files_outlive_the_longest_query(opened, clock, of_settings, of_a_workgroup):
    limited = declared().with_workgroup("analysts", query_time_max_s=of_a_workgroup)
    with opened(limited, query_time_max_s=of_settings) as warehouse:
        put(warehouse, 1, 2)
        [before] = live(warehouse).values()
        clock.now += HOUR
        until(lambda: counts(warehouse)["rows"] == [1], "merged")
        clock.now += 300_000
        put(warehouse, 3)
        assert all((warehouse.folder / path).exists() for path in before)
        clock.now += 61_000
        until(lambda: not any((warehouse.folder / path).exists() for path in before), "deleted after the grace")
        assert numbers(warehouse) == [1, 2, 3]


def test_queries_see_the_same_rows_while_files_are_merged(opened, clock):
    with opened() as warehouse:
        put(warehouse, *range(40))
        stop = threading.Event()
        seen = set()

        def ask():
            while not stop.is_set():
                seen.add(next(iter(warehouse.query("select count(*), count(distinct n), sum(n) from clicks"))))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        clock.now += HOUR
        until(lambda: counts(warehouse)["rows"] == [1], "merged")
        stop.set()
        for thread in threads:
            thread.join()
        assert seen == {(40, 40, sum(range(40)))}


def test_arrival_never_runs_backwards_and_a_closed_hour_stays_closed(opened, clock):
    with opened() as warehouse:
        put(warehouse, 1)
        clock.now -= 2 * HOUR
        put(warehouse, 2)
        assert list(live(warehouse)) == ["2026/11/23/07"]
    clock.now -= HOUR
    with opened() as warehouse:
        put(warehouse, 3)
        assert list(live(warehouse)) == ["2026/11/23/07"]
        arrivals = [at for (at,) in warehouse.query("select arrival_timestamp from clicks_quarantine")]
        assert arrivals == [datetime(2026, 11, 23, 7, 10)] * 3


def test_a_batch_that_spans_hours_is_split(opened, clock):
    with opened(convert_interval_ms=60_000) as warehouse:
        put(warehouse, 0)
        for n in range(1, 4):
            warehouse.put("clicks", [{"n": n}, "bad"])
            clock.now += HOUR
        warehouse.flush()
        hours = ["2026/11/23/07", "2026/11/23/08", "2026/11/23/09"]
        assert list(warehouse.query("select inserted_at, n from clicks where n > 0 order by n")) == list(
            zip(hours, (1, 2, 3), strict=True)
        )
        assert [
            hour for (hour,) in warehouse.query("select distinct inserted_at from clicks_quarantine order by 1")
        ] == hours


def test_the_ledger_closes(opened, clock):
    """Per hour, received = stored + rejected, and the footers of the files alone say the same."""
    with opened() as warehouse:
        for n in range(5):
            warehouse.put("clicks", ['{"n":1}{"n":2}', "bad", {"n": n}])
            warehouse.flush()
            clock.now += HOUR // 2
        ledger = warehouse.catalog.store.rows(
            "select table_name, partition, received_records, stored_records, stored_rows, rejected_records from ledger"
            " order by partition"
        )
        for table, partition, received, stored, rows, rejected in ledger:
            assert (table, received) == ("clicks", stored + rejected)
            footers = {
                kind: [
                    read_footer(warehouse.folder / file.path)
                    for file in warehouse.catalog.live_files("clicks", kind, [partition])
                ]
                for kind in ("rows", "rejects")
            }
            assert sum(footer.records for footer in footers["rows"]) == stored
            assert sum(footer.rows for footer in footers["rows"]) == rows
            assert sum(footer.records for footer in footers["rejects"]) == rejected
            spans = sorted({span for footer in footers["rows"] for span in footer.spans})
            assert sum(last - first + 1 for first, last in spans) == received
        assert sum(row[2] for row in ledger) == 15
        assert datetime.fromtimestamp(clock.now / 1000, UTC).hour == 9


def test_columns_may_be_called_as_what_the_engine_adds(tmp_path):
    columns = {"filename": "string", "file_row_number": "string"}
    declared = Warehouse("w").with_streaming_input_table("t", columns)
    with open_warehouse(declared, tmp_path / "data") as warehouse:
        warehouse.put("t", {"filename": "one that is longer than a path", "file_row_number": "7"})
        warehouse.flush()
        [(hour, *row)] = warehouse.query('select inserted_at, filename, file_row_number, "$path" from t')
        assert row[:2] == ["one that is longer than a path", "7"]
        assert f"/t/{hour}/" in row[2]
