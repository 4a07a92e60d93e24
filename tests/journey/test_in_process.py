"""The Python API: an owner in the caller's process, without a server."""

import threading
from datetime import date, datetime
from decimal import Decimal

import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import (
    BadRequest,
    Closed,
    FolderError,
    FolderInUse,
    FormatTooNew,
    QueryFailed,
    QueryLimitExceeded,
    UnknownName,
)

ALL_TYPES = {
    "c_boolean": "boolean", "c_tinyint": "tinyint", "c_smallint": "smallint", "c_int": "int", "c_bigint": "bigint",
    "c_float": "float", "c_double": "double", "c_decimal": "decimal(9,2)", "c_string": "string", "c_char": "char(3)",
    "c_varchar": "varchar(3)", "c_date": "date", "c_timestamp": "timestamp", "c_binary": "binary",
    "c_array": "array<int>", "c_map": "map<string,double>", "c_struct": "struct<a:int,b:array<struct<c:timestamp>>>",
}  # fmt: skip


def declared():
    columns = {"id": "string", "n": "int"}
    return (
        Warehouse("dw")
        .with_streaming_input_table("clicks", columns)
        .with_streaming_input_table("views", columns, input_stream_shard_count=3)
    )


@pytest.fixture
def opened(tmp_path):
    with open_warehouse(declared(), tmp_path / "data") as warehouse:
        yield warehouse


def test_put_flush_query(opened):
    assert opened.put("clicks", [{"id": "a", "n": 1}, '{"id": "b", "n": "2"}', b'{"id": "c"}']) == 3
    assert opened.put("clicks", {"id": "d", "n": 4}) == 1
    opened.flush()
    result = opened.query("select id, n from clicks order by id")
    assert list(result) == [("a", 1), ("b", 2), ("c", None), ("d", 4)]
    assert result.columns == ["id", "n"]
    assert result.dicts()[0] == {"id": "a", "n": 1}
    assert result.arrow().num_rows == len(result) == 4
    assert result.df()["n"].sum() == 7
    assert result.statistics.rows == 4
    assert result.statistics.files >= 1


def test_every_type_comes_back_as_it_was(tmp_path):
    event = {
        "c_boolean": True, "c_tinyint": -128, "c_smallint": 32767, "c_int": -2147483648, "c_bigint": 2**63 - 1,
        "c_float": 0.5, "c_double": 0.1, "c_decimal": "-1234567.89", "c_string": "ä", "c_char": "abc", "c_varchar": "x",
        "c_date": "2026-03-01", "c_timestamp": "2026-03-01T07:08:09.123Z", "c_array": [1, None],
        "c_map": {"K": 1.5}, "c_struct": {"a": 1, "b": [{"c": 0}, None]},
    }  # fmt: skip
    with open_warehouse(Warehouse("dw").with_streaming_input_table("t", ALL_TYPES), tmp_path / "data") as warehouse:
        warehouse.put("t", [event, {}])
        warehouse.flush()
        [row, empty] = warehouse.query("select * from t order by c_int").dicts()
        types = dict(warehouse.query("describe t").arrow().select(["col_name", "data_type"]).to_pandas().values)
    inserted_at = row.pop("inserted_at")
    assert row == {
        "c_boolean": True, "c_tinyint": -128, "c_smallint": 32767, "c_int": -2147483648, "c_bigint": 2**63 - 1,
        "c_float": 0.5, "c_double": 0.1, "c_decimal": Decimal("-1234567.89"), "c_string": "ä", "c_char": "abc",
        "c_varchar": "x", "c_date": date(2026, 3, 1), "c_timestamp": datetime(2026, 3, 1, 7, 8, 9, 123_000),
        "c_binary": None, "c_array": [1, None], "c_map": {"k": 1.5},
        "c_struct": {"a": 1, "b": [{"c": datetime(1970, 1, 1)}, None]},
    }  # fmt: skip
    assert empty == {**dict.fromkeys(ALL_TYPES), "inserted_at": inserted_at}
    assert types == {**ALL_TYPES, "inserted_at": "string"}


def test_events_stand_in_the_hour_of_their_arrival(opened):
    opened.put("clicks", {"id": "a"})
    opened.flush()
    [(hour, path)] = opened.query('select inserted_at, "$path" from clicks')
    assert datetime.strptime(hour, "%Y/%m/%d/%H")
    assert path.startswith(f"{opened.folder}/clicks/{hour}/")
    assert path.endswith(".parquet")


def test_several_shards(opened):
    opened.put("views", [{"id": str(n)} for n in range(100)] + ["bad"])
    opened.flush()
    assert list(opened.query("select count(*) from views")) == [(100,)]
    [(shard, number)] = opened.query("select shard_id, sequence_number from views_quarantine")
    assert shard in {f"shardId-{n:012d}" for n in range(3)}
    assert int(f"{int(number):x}"[38:46], 16) == int(shard[-12:])


def test_events_are_spread_over_the_shards_one_by_one_as_well(opened):
    for _ in range(4):
        opened.put("views", "bad")
    opened.put("views", ["bad"] * 5)
    opened.flush()
    counted = list(opened.query("select shard_id, count(*) from views_quarantine group by 1 order by 1"))
    assert counted == [(f"shardId-{shard:012d}", 3) for shard in range(3)]


def test_events_that_cannot_be_taken(opened):
    with pytest.raises(
        BadRequest, match=r"Event 2 cannot be written as JSON .* no event was taken. It is {'id': <object"
    ):
        opened.put("clicks", [{"id": "a"}, {"id": object()}])
    with pytest.raises(BadRequest, match=r"Event 1 has \d+ bytes; the largest record is 1048576 \(record_bytes_max\)"):
        opened.put("clicks", {"id": "x" * 2_000_000})
    with pytest.raises(UnknownName, match="no input stream 'nothing'; there are 'clicks', 'views'"):
        opened.put("nothing", {})
    opened.flush()
    assert list(opened.query("select count(*) from clicks")) == [(0,)]


def test_an_idempotency_key_counts_a_put_once(opened):
    events = [{"id": str(n)} for n in range(3)]
    assert opened.put("clicks", events, idempotency_key="k") == 3
    assert opened.put("clicks", events, idempotency_key="k") == 3
    opened.flush()
    assert list(opened.query("select count(*) from clicks")) == [(3,)]


def test_many_threads_put_and_query(opened):
    def work(worker):
        for n in range(20):
            opened.put("clicks", {"id": f"{worker}", "n": n})
            opened.query("select count(*) from clicks")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.flush()
    assert list(opened.query("select count(*), count(distinct id), sum(n) from clicks")) == [(160, 8, 8 * 190)]


def test_a_folder_has_one_owner(opened):
    with pytest.raises(FolderInUse, match=r"is in use by process \d+, which opened it in Python"):
        open_warehouse(declared(), opened.folder)


def test_a_closed_warehouse_says_so(tmp_path):
    warehouse = open_warehouse(declared(), tmp_path / "data")
    warehouse.put("clicks", {"id": "a"})
    warehouse.close()
    warehouse.close()
    for call in (lambda: warehouse.put("clicks", {}), warehouse.flush, lambda: warehouse.query("select 1")):
        with pytest.raises(Closed, match="The warehouse is closed"):
            call()
    with open_warehouse(declared(), tmp_path / "data") as again:
        assert list(again.query("select id from clicks")) == [("a",)]


def test_a_folder_that_is_none_of_ours(tmp_path):
    (tmp_path / "thesis.doc").write_text("precious")
    with pytest.raises(FolderError, match=r"is not a data folder: it has no file FORMAT, but it has thesis.doc"):
        open_warehouse(declared(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"thesis.doc", "_lock"}


def test_a_newer_format_is_refused(tmp_path):
    folder = tmp_path / "data"
    open_warehouse(declared(), folder).close()
    (folder / "FORMAT").write_text('{"format": 999}')
    with pytest.raises(FormatTooNew, match="has format 999, written by a newer release"):
        open_warehouse(declared(), folder)


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", *(f'{{"format": {bad}}}' for bad in ("-1", "0", '"2"', "null", "NaN", "2.5", "true"))],
)
def test_a_format_that_cannot_be_read_is_refused(tmp_path, text):
    folder = tmp_path / "data"
    open_warehouse(declared(), folder).close()
    (folder / "FORMAT").write_text(text)
    with pytest.raises(FolderError, match=r"FORMAT does not hold the version .* Nothing was changed\."):
        open_warehouse(declared(), folder)


def test_limits_end_a_query_alone(tmp_path):
    limits = {"query_result_rows_max": 10, "query_time_max_s": 1}
    with open_warehouse(declared(), tmp_path / "data", limits) as warehouse:
        warehouse.put("clicks", [{"id": str(n), "n": n} for n in range(2000)])
        warehouse.flush()
        with pytest.raises(QueryLimitExceeded, match=r"more than 10 rows \(query_result_rows_max\)") as caught:
            warehouse.query("select * from clicks")
        assert caught.value.limit == "query_result_rows_max"
        many = "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1"
        with pytest.raises(QueryLimitExceeded, match=r"longer than 1 s \(query_time_max_s\)"):
            warehouse.query(many)
    with open_warehouse(declared(), tmp_path / "data", {"query_memory_bytes_max": "64MiB"}) as warehouse:
        with pytest.raises(QueryLimitExceeded, match=r"67108864 bytes of memory \(query_memory_bytes_max\)"):
            warehouse.query(
                "select count(*) from (select a.id || b.id x, array_agg(a.n) from clicks a, clicks b group by 1)"
            )
        assert list(warehouse.query("select count(*) from clicks")) == [(2000,)], "the next query is answered"


def test_errors_of_queries_name_what_is_wrong(opened):
    opened.put("clicks", {"id": "abc"})
    opened.flush()
    with pytest.raises(QueryFailed, match="abc"):
        opened.query("select cast(id as int) from clicks")
    with pytest.raises(QueryFailed, match="clicks"):
        opened.query("select * from clicjs")


def test_listing_statements(opened):
    opened.put("clicks", {"id": "a"})
    opened.flush()
    assert [name for (name,) in opened.query("show tables")] == [
        "clicks",
        "clicks_quarantine",
        "query_history",
        "views",
        "views_quarantine",
    ]
    assert [name for (name,) in opened.query("show tables 'clicks*'")] == ["clicks", "clicks_quarantine"]
    [(partition,)] = opened.query("show partitions clicks")
    assert partition.startswith("inserted_at=2")
    lines = [line for (line,) in opened.query("explain select * from clicks where inserted_at = '2020/01/01/00'")]
    assert lines == ["clicks: partitions where inserted_at = '2020/01/01/00'", "0 files, 0 bytes"]


def test_pruning_reads_only_the_partitions_asked_for(opened):
    opened.put("clicks", {"id": "a"})
    opened.flush()
    [(hour,)] = opened.query("select inserted_at from clicks")
    assert opened.query("select * from clicks where inserted_at = ?", [hour]).statistics.files == 1
    assert opened.query("select * from clicks where inserted_at < ?", [hour]).statistics.files == 0
    assert opened.query("select * from clicks where id = 'a'").statistics.files == 1
