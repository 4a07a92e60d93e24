"""The scratch of the local user and of keys: what statements keep there, for how long, who reads it and who writes."""

from datetime import UTC, datetime, timedelta

import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import AccessDenied, QueryFailed, QueryLimitExceeded, QueryRefused
from datawarehouse.folder import scratch_root
from datawarehouse.testing import simulate

COLUMNS = {
    "id": "string", "n": "int", "at": "timestamp", "day": "date", "price": "decimal(10,2)", "x": "double",
    "tags": "array<string>", "m": "map<string,double>", "s": "struct<a:int,b:string>", "raw": "binary", "ok": "boolean",
}  # fmt: skip
EVENT = {
    "id": "e1", "n": 5, "at": "2026-01-01T12:00:00.5Z", "day": "2026-01-31", "price": 1.25, "x": 2.5,
    "tags": ["a", None], "m": {"k": 0.5}, "s": {"a": 1, "b": "c"}, "ok": True,
}  # fmt: skip
DECLARED = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_streaming_input_table("orders", {"id": "string"})
    .with_workgroup("people", scratch_bytes_max=10**7)
    .with_workgroup("others", scratch_bytes_max=10**7)
    .with_workgroup("readers")
)
"""


@pytest.fixture
def opened(tmp_path):
    warehouse = Warehouse("shop").with_streaming_input_table("clicks", COLUMNS)
    with open_warehouse(warehouse, tmp_path) as opened:
        opened.put("clicks", [EVENT, {"id": "e2", "n": -1}])
        opened.flush()
        yield opened


def rows(opened, sql):
    return [tuple(row.values()) for row in opened.query(sql).dicts()]


def files(folder):
    return sorted(path.name for path in scratch_root(folder).rglob("*.parquet*"))


def test_a_table_of_a_query_has_its_rows_and_types(opened):
    assert rows(opened, "create table scratch.copied as select * from clicks") == [(2,)]
    assert rows(opened, "select * from scratch.copied order by id") == rows(opened, "select * from clicks order by id")
    described = "select column_name, data_type from information_schema.columns where table_name = '{}'"
    assert rows(opened, described.format("copied")) == rows(opened, described.format("clicks"))
    assert rows(opened, "select n from memory.default.copied where id = 'e1'") == [(5,)]
    assert rows(opened, "select scratch.copied.n from awsdatacatalog.scratch.copied where id = 'e1'") == [(5,)]


def test_each_statement_does_what_it_says(opened):
    assert rows(opened, "create table scratch.t (a integer, b varchar, c decimal(5,1))") == [(True,)]
    assert rows(opened, "insert into scratch.t values (1, 'x', decimal '1.5'), (2, null, null)") == [(2,)]
    assert rows(opened, "insert into scratch.t (b) select id from clicks") == [(2,)]
    assert rows(opened, "select count(*), sum(a), count(b) from scratch.t") == [(4, 3, 3)]
    assert rows(opened, "create or replace view scratch.v as select a from scratch.t where a > 1") == [(True,)]
    assert rows(opened, "select * from scratch.v") == [(2,)]
    opened.query("alter table scratch.t rename to scratch.u")
    with pytest.raises(QueryFailed, match=r"INVALID_VIEW: .*TABLE_NOT_FOUND"):
        opened.query("select * from scratch.v")
    opened.query("create or replace view scratch.v as select b from scratch.u")
    with pytest.raises(QueryFailed, match=r"INVALID_VIEW: The view .* reads itself"):
        opened.query("create or replace view scratch.v as select b from scratch.v")
    assert rows(opened, "select count(b) from scratch.v") == [(3,)]
    opened.query("delete from scratch.u")
    assert rows(opened, "select count(*) from scratch.u") == [(0,)]
    assert rows(opened, "create table if not exists scratch.u as select 1 as x") == [(0,)]
    assert rows(opened, "create table scratch.e as select 1 as x with no data") == [(0,)]
    assert rows(opened, "select * from scratch.e") == []
    listed = "select table_name, table_type from information_schema.tables where table_schema = 'scratch'"
    assert rows(opened, listed) == [("e", "BASE TABLE"), ("u", "BASE TABLE"), ("v", "VIEW")]
    for sql in (
        "drop view scratch.v",
        "drop table scratch.u",
        "drop table scratch.e",
        "drop table if exists scratch.u",
    ):
        assert rows(opened, sql) == [(True,)]
    assert rows(opened, listed) == []
    opened.query("create schema if not exists scratch")


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("create table scratch.t as select 1 as a", QueryFailed, "TABLE_ALREADY_EXISTS"),
        ("create or replace view scratch.t as select 1 as a", QueryFailed, "TABLE_ALREADY_EXISTS"),
        ("create view scratch.w as select * from scratch.w", QueryFailed, "TABLE_NOT_FOUND"),
        ("create view scratch.w as select ? as a", Exception, "parameter"),
        ("create table scratch.w as select 1", QueryFailed, "MISSING_COLUMN_NAME"),
        ("create table scratch.w as select interval '1' day as d", QueryFailed, "NOT_SUPPORTED"),
        ("create table scratch.w as select null as d", QueryFailed, "NOT_SUPPORTED"),
        ("insert into scratch.t select 'text'", QueryFailed, "TYPE_MISMATCH"),
        ("insert into scratch.t select 1, 2", QueryFailed, "TYPE_MISMATCH"),
        ("insert into scratch.t (z) select 1", QueryFailed, "COLUMN_NOT_FOUND"),
        ("insert into scratch.none select 1", QueryFailed, "TABLE_NOT_FOUND"),
        ("drop view scratch.t", QueryFailed, "is a table"),
        ("drop table scratch.none", QueryFailed, "TABLE_NOT_FOUND"),
        ("alter table scratch.t rename to shop.t", AccessDenied, "PERMISSION_DENIED"),
        ("create table w as select 1 as a", AccessDenied, "PERMISSION_DENIED"),
        ("insert into clicks select 'x', 1", AccessDenied, "PERMISSION_DENIED"),
        ("drop table shop.clicks", AccessDenied, "PERMISSION_DENIED"),
        ("create table scratch_ann.t as select 1 as a", AccessDenied, "PERMISSION_DENIED"),
        ('create table scratch."../t" as select 1 as a', QueryRefused, "INVALID_NAME"),
        ("create table scratch.w with (external_location = 's3://x/') as select 1 as a", QueryRefused, "format"),
        ("delete from scratch.t where a = 1", QueryRefused, "not supported"),
        ("drop schema scratch", QueryRefused, "not supported"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(opened, sql, error, said):
    opened.query("create table scratch.t (a integer)")
    with pytest.raises(error, match=said):
        opened.query(sql)
    assert rows(opened, "select * from scratch.t") == []
    assert rows(opened, "select table_name from information_schema.tables where table_schema = 'scratch'") == [("t",)]


def test_a_scratch_is_bounded_and_keeps_nothing_of_what_did_not_fit(tmp_path):
    warehouse = Warehouse("shop").with_table("t", {"a": "int"})
    with open_warehouse(warehouse, tmp_path, {"scratch_bytes_max": "100KB", "query_time_max_s": 60}) as opened:
        many = "select cast(uuid() as varchar) as id from unnest(sequence(1, 5000))"
        with pytest.raises(QueryLimitExceeded, match=r"at most 100,000 bytes \(scratch_bytes_max\)"):
            opened.query(f"create table scratch.large as {many}")
        numbers = "unnest(sequence(1, 10000))"
        with pytest.raises(QueryLimitExceeded, match="scratch_bytes_max"):  # long before its last row
            opened.query(
                "create table scratch.endless as select cast(uuid() as varchar) as id "
                f"from {numbers}, {numbers}, {numbers}"
            )
        assert files(tmp_path) == []
        opened.query("create table scratch.small as select cast(uuid() as varchar) as id from unnest(sequence(1, 500))")
        with pytest.raises(QueryLimitExceeded):
            opened.query(f"insert into scratch.small {many}")
        assert rows(opened, "select count(*) from scratch.small") == [(500,)]
        assert len(files(tmp_path)) == 1
        for _ in range(12):  # the files of dropped tables go when their room is needed
            opened.query("drop table scratch.small")
            opened.query(
                "create table scratch.small as select cast(uuid() as varchar) as id from unnest(sequence(1, 500))"
            )
        assert sum(path.stat().st_size for path in scratch_root(tmp_path).rglob("*.parquet")) <= 100_000
    with (
        open_warehouse(warehouse, tmp_path, {"scratch_bytes_max": 0}) as opened,
        pytest.raises(AccessDenied, match="no scratch"),
    ):
        opened.query("create table scratch.x as select 1 as a")


def test_a_table_goes_when_its_time_is_over(tmp_path):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    warehouse = Warehouse("shop").with_table("t", {"a": "int"})
    with simulate(warehouse, tmp_path, start=start, settings={"scratch_keep_days": 2}) as world:
        world.query("create table scratch.old as select 1 as a")
        world.query("create view scratch.v as select 1 as a")
        world.advance(timedelta(days=1))
        world.query("insert into scratch.old select 2")
        world.advance(timedelta(days=1, hours=1))
        listed = "select table_name from information_schema.tables where table_schema = 'scratch'"
        assert rows(world, listed) == [("old",)]
        world.advance(timedelta(days=1))
        with pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
            world.query("select * from scratch.old")
        world.expire()
        world.advance(timedelta(days=1))
        world.expire()
        assert files(tmp_path) == []
