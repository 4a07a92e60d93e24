"""Views of a declaration: their rows, what is said of them, and what the guard and the rights of a key make of them."""

from pathlib import Path

import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import AccessDenied, DeclarationError, QueryFailed, ScanRefused
from datawarehouse.testing import simulate


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
        .with_streaming_input_table("orders", {"id": "string"})
        .with_view("doubled", "select id, n * 2 as m, inserted_at from positive where n < 100")
        .with_view("positive", "select id, n, inserted_at from clicks where n > 0")
        .with_view("both", "select c.id from positive c join orders o on o.id = c.id")
        .with_view("hours", "with clicks as (select distinct inserted_at as hour from clicks) select * from clicks")
    )


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_warehouse(declared(), tmp_path_factory.mktemp("views")) as opened:
        opened.put("clicks", [{"id": f"e{n}", "n": n} for n in (-1, 1, 2, 1000)])
        opened.put("orders", [{"id": "e1"}])
        opened.flush()
        yield opened


def test_a_view_has_the_rows_of_its_query(opened):
    assert opened.query("select id, m from doubled order by id").dicts() == [{"id": "e1", "m": 2}, {"id": "e2", "m": 4}]
    assert opened.query("select id from both").dicts() == [{"id": "e1"}]
    assert opened.query("select count(*) as c from shop.positive p join doubled using (id)").dicts() == [{"c": 2}]
    assert opened.query("select count(*) as c from hours").dicts() == [{"c": 1}]
    # a name of the statement around it means nothing inside
    named = "with clicks as (select 1 as x) select count(*) as c from positive, clicks"
    assert opened.query(named).dicts() == [{"c": 3}]
    assert opened.query("select x from doubled as d(x, y, z) where y = ? order by x", [4]).dicts() == [{"x": "e2"}]


def test_metadata_knows_views_and_their_columns(opened):
    listed = "select table_name, table_type from information_schema.tables where table_schema = 'shop'"
    kinds = {row["table_name"]: row["table_type"] for row in opened.query(listed).dicts()}
    assert (kinds["doubled"], kinds["clicks"]) == ("VIEW", "BASE TABLE")
    of_columns = "select column_name, data_type from information_schema.columns where table_name = 'doubled'"
    assert [tuple(row.values()) for row in opened.query(of_columns).dicts()] == [
        ("id", "varchar"), ("m", "integer"), ("inserted_at", "varchar"),
    ]  # fmt: skip
    of_views = "select view_definition from information_schema.views where table_name = 'positive'"
    assert opened.query(of_views).dicts() == [
        {"view_definition": "select id, n, inserted_at from clicks where n > 0"},
    ]
    assert "doubled" in [row["tab_name"] for row in opened.query("show tables").dicts()]
    assert [row["col_name"] for row in opened.query("describe doubled").dicts()] == ["id", "m", "inserted_at"]


def test_the_guard_decides_by_what_a_view_makes_readable(opened):
    with pytest.raises(ScanRefused, match="nothing bounds inserted_at of clicks") as refused:
        opened.query("select * from doubled", workgroup="adhoc")
    proposed = str(refused.value).partition("This statement may run:\n")[2]
    assert proposed.startswith("select * from doubled where inserted_at >= '")
    assert len(opened.query(proposed, workgroup="adhoc").dicts()) == 2
    with pytest.raises(ScanRefused) as refused:
        opened.query("select count(*) from hours", workgroup="adhoc")
    assert "This statement may run" not in str(refused.value)  # a condition on its column bounds nothing


def test_a_bound_on_a_view_prunes_what_is_below_it(opened):
    plan = opened.query("explain select * from doubled where inserted_at = '2020/01/01/00'").dicts()
    assert plan[0]["plan"].startswith("clicks: partitions where inserted_at")
    assert plan[-1]["plan"] == "0 files, 0 bytes"


def test_a_view_gives_no_right(opened):
    engine = opened._engine_of("")
    for only, visible in (({"clicks"}, {"positive", "doubled", "hours"}), ({"orders"}, set()), ({"doubled"}, set())):
        with engine.answer("show tables", only=only) as answer:
            [names] = [column.to_pylist() for batch in answer.batches for column in batch.columns] or [[]]
        assert set(names) - {"clicks", "orders"} == visible
    for sql in ("select * from both", "select 1 where exists (select 1 from shop.both)"):
        with pytest.raises(AccessDenied, match="may not read both;"), engine.answer(sql, only={"clicks"}):
            pass


def test_a_view_that_doubles_again_and_again_ends(tmp_path):
    grown = Warehouse("shop").with_table("t", {"a": "int"}).with_view("v0", "select a from t")
    for n in range(1, 12):
        grown.with_view(f"v{n}", f"select x.a from v{n - 1} x join v{n - 1} y on x.a = y.a")
    with pytest.raises(DeclarationError, match="reads views more than 100 times"):
        open_warehouse(grown, tmp_path)


REFUSED = [
    ({"a": "select b.x from b", "b": "select a.x from a"}, "reads itself: a, b, a"),
    ({"a": "select * from a"}, "reads itself: a, a"),
    ({"a": "select 1"}, "MISSING_COLUMN_NAME"),
    ({"a": "select n, n from t"}, "DUPLICATE_COLUMN_NAME"),
    ({"a": "select x from t"}, "COLUMN_NOT_FOUND"),
    ({"a": "select n from u"}, "TABLE_NOT_FOUND"),
    ({"a": "select n from t where n = ?"}, "parameter"),
    ({"a": "show tables"}, "rows of a SELECT"),
    ({"a": "drop table t"}, "DROP TABLE statements are not allowed"),
    ({"a": "select interval '1' day as x"}, "no column of a table or view can be"),
    ({"a": " "}, "valid is the text of one SELECT"),
    ({"t": "select 1 as x"}, "already has a table 't'"),
    ({"a_quarantine": "select 1 as x"}, "reserved"),
]


@pytest.mark.parametrize(("views", "said"), REFUSED, ids=[said[:30] for _, said in REFUSED])
def test_a_view_that_cannot_be_is_refused_when_the_warehouse_is_opened(tmp_path, views, said):
    with pytest.raises(DeclarationError, match=said):
        warehouse = Warehouse("shop").with_table("t", {"n": "int"})
        for name, sql in views.items():
            warehouse.with_view(name, sql)
        open_warehouse(warehouse, tmp_path / "data")


def test_a_view_that_is_no_longer_declared_is_gone(tmp_path):
    with open_warehouse(declared(), tmp_path) as opened:
        assert opened.query("select count(*) as c from doubled").dicts() == [{"c": 0}]
    without = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    with open_warehouse(without, tmp_path) as opened, pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
        opened.query("select * from doubled")


def test_a_view_takes_no_statement_that_writes(opened):
    with pytest.raises(AccessDenied, match="Statements write in your own scratch alone"):
        opened.query("insert into doubled select 'x', 1, 'y'")


def test_a_view_leaves_duplicates_out_before_and_after_compaction(tmp_path):
    """The view of docs/decisions/0018-duplicates.md; asked for an hour, it reads that hour alone."""
    text = (Path(__file__).parents[2] / "docs" / "decisions" / "0018-duplicates.md").read_text()
    columns = {"id": "string", "total": "int", "event_time": "timestamp"}
    warehouse = Warehouse("shop").with_streaming_input_table("orders", columns, dedupe_key="id")
    warehouse.with_view("orders_once", text.partition('"""')[2].partition('"""')[0])
    order = {"id": "o1", "total": 5, "event_time": "2026-01-05T09:00:00Z"}
    with simulate(warehouse, tmp_path) as simulated:

        def totals():
            answer = simulated.query("select inserted_at, sum(total) as t from orders_once group by 1 order by 1")
            return [(row["inserted_at"], row["t"]) for row in answer.dicts()]

        simulated.put("orders", [order, order, {**order, "id": "o2"}])
        simulated.advance("1h")
        simulated.put("orders", [order, {**order, "event_time": None}])
        before = totals()
        assert before == [("2026/01/05/09", 10), ("2026/01/05/10", 5)]
        one_hour = simulated.query("select sum(total) from orders_once where inserted_at = '2026/01/05/10'")
        assert list(one_hour) == [(5,)]
        assert one_hour.statistics.files < simulated.query("select id from orders").statistics.files
        simulated.advance("6h")
        assert list(simulated.query("select count(*) from orders")) == [(3,)], "compaction has removed them"
        assert totals() == before
