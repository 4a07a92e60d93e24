"""`connect`: a running warehouse from a program, with and without keys, over TLS, and as `open_warehouse` answers."""

import importlib.util
import json
import subprocess
import sys
import threading

import pytest
from receiving import CERTIFICATE
from running import DECLARATION, command, running, until

from datawarehouse import connect, open_warehouse
from datawarehouse.errors import (
    AccessDenied,
    BadRequest,
    DataWarehouseError,
    QueryFailed,
    QueryRefused,
    ScanRefused,
    SqlSyntaxError,
    Unauthorized,
    UnknownName,
    Unreachable,
)
from datawarehouse.runtime.declaration import load
from patience import patient

VALUES = """select * from (values
    (1, bigint '9007199254740993', 1.5e0, real '0.1', true, decimal '1.10', date '2026-01-01', 'plain', x'00ff'),
    (-2, null, nan(), real '-2.7', false, decimal '-0.05', date '0001-12-31', 'a "b" ' || chr(10) || '漢字', x''),
    (3, 0, -infinity(), null, null, decimal '12345678901234567890123456789012345.67', null, '', null),
    (4, 0, -0e0, cast(-0e0 as real), true, decimal '-0.00', date '2026-01-01', '', x''),
    (null, null, null, null, null, null, null, null, null)
) as t (n, big, double, single, truth, price, day, text, bytes) order by n"""
NESTED = """select array[1, null] as list, map(array[1, 2], array['a', null]) as numbered, 
    array[array[decimal '1.5']] as deep,
    map(array['x'], array[timestamp '2026-01-01 00:00:00.120']) as timed, timestamp '2026-01-01 00:00:00' as at,
    cast(row(1, array[row(null, 'b')]) as row(n int, parts array(row(a double, b varchar)))) as nested,
    map(array[true], array[0]) as truths, cast(json '{"a": 1}' as json) as doc, 1 as a, 2 as a,
    cast(timestamp '2026-01-01 00:00:00 UTC' as timestamp with time zone) as instant,
    timestamp '2026-01-01 00:00:00.5 Asia/Tokyo' as there, array[timestamp '2026-01-01 00:00:00.1234'] as exact,
    time '01:02:03.4' as clock, time '01:02 +05:30' as theirs, null as nothing"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("connect")) as warehouse:
        yield warehouse


@pytest.fixture
def w(shop):
    with connect(shop.url) as found:
        yield found


def test_put_and_query(shop, w):
    assert w.put("clicks", {"id": "one", "n": 1}) == 1
    assert w.put("clicks", ['{"id": "two", "n": 2}', b'{\n"id": "three",\n"n": 3}', "malformed"]) == 3
    assert w.put("clicks", ({"id": str(n), "n": n} for n in range(100, 12_100))) == 12_000
    assert w.put("clicks", []) == 0
    for _ in range(2):
        w.put("clicks", {"id": "once", "n": 0}, idempotency_key="a name")
    shop.flush()
    found = w.query("select id, n from clicks where n < cast(? as int) order by n", ["4"])
    assert (found.columns, list(found)) == (["id", "n"], [("once", 0), ("one", 1), ("two", 2), ("three", 3)])
    assert (len(found), found.statistics.rows) == (4, 4) and found.statistics.files >= 1 and found.statistics.bytes > 0
    assert found.dicts()[0] == {"id": "once", "n": 0}
    assert list(w.rows("select count(*) as c from clicks")) == [{"c": 12_004}]
    assert list(w.rows("select id from clicks where n = -1")) == []


@pytest.mark.parametrize("sql", [VALUES, NESTED], ids=["plain", "nested"])
def test_values_are_those_of_open_warehouse(shop, w, tmp_path, sql):
    with open_warehouse(load("warehouse.py", shop.folder), tmp_path / "data") as opened:
        expected = opened.query(sql)
    found = w.query(sql)
    assert found.arrow().schema == expected.arrow().schema
    assert repr(found.dicts()) == repr(expected.dicts())
    rows = list(w.rows(sql))
    has_signs = "-0.0" in repr(expected.dicts())  # of which == tells nothing, and NaN is not equal to itself
    assert (rows == expected.dicts() and not has_signs) or repr(rows) == repr(expected.dicts())


def test_what_other_libraries_get(w):
    found = w.query("select 1 as n, 'x' as t")
    assert found.df().to_dict("list") == {"n": [1], "t": ["x"]}
    assert found.arrow().to_pydict() == {"n": [1], "t": ["x"]}
    if importlib.util.find_spec("polars"):
        assert found.polars().to_dict(as_series=False) == {"n": [1], "t": ["x"]}
    else:
        with pytest.raises(DataWarehouseError, match="pip install polars"):
            found.polars()


def test_a_preview_for_notebooks(w):
    sql = "select x, if(x = 1, '<b>&' || lpad('', 100, 'x')) as t from unnest(sequence(1, 25)) a(x) order by x"
    shown = w.query(sql)._repr_html_()
    assert shown.startswith(
        "<table><thead><tr><th>x</th><th>t</th></tr></thead><tbody><tr><td>1</td><td>&lt;b&gt;&amp;xx"
    )
    assert "<td>20</td><td>NULL</td></tr></tbody></table><p>25 rows, of which the first 20 are shown</p>" in shown
    assert "x" * 90 not in shown
    assert w.query("select 1 as one")._repr_html_().endswith("<p>1 row</p>")


def test_errors_have_the_same_classes(w):
    for sql, kind in {
        "selec": SqlSyntaxError,
        "drop schema clicks": QueryRefused,
        "select nope from clicks": QueryFailed,
    }.items():
        for ask in (w.query, lambda sql: list(w.rows(sql))):
            with pytest.raises(kind):
                ask(sql)
    with pytest.raises(ScanRefused):
        w.query("select * from clicks", workgroup="adhoc")
    with pytest.raises(BadRequest, match="There is no workgroup"):
        w.query("select 1", workgroup="none")
    with pytest.raises(UnknownName):
        w.put("nowhere", {})
    with pytest.raises(BadRequest, match="cannot be written as JSON"):
        w.put("clicks", [{"n": float("nan")}])
    with pytest.raises(BadRequest, match="largest record"):
        w.put("clicks", [{"id": "x" * 2_000_000}, {"id": "kept"}])
    with pytest.raises(Unauthorized):  # without keys, only its owner may
        w.status()


def test_an_error_in_the_middle_is_raised(w):
    sql = "select 1 / (x - 9) from unnest(flatten(transform(sequence(1, 20), s -> sequence(10, 5000)))) a(x) "
    sql = f"{sql} union all select 1 / (x - 1) from unnest(sequence(1, 10000)) b(x)"
    with pytest.raises(QueryFailed, match="DIVISION_BY_ZERO"):
        w.query(sql)


def test_by_the_data_folder_one_is_the_owner(shop, tmp_path):
    with connect(shop.folder / "data") as owner:
        assert owner.status()["warehouse"] == "analytics_dw"
        owner.put("views", {"id": "flushed"})
        owner.flush()
        assert list(owner.rows("select count(*) as c from views")) == [{"c": 1}]
    with pytest.raises(Unreachable, match="Start `dw up`"):
        connect(tmp_path)
    for where, more in (("ftp://x", {}), ("http://x:y@127.0.0.1", {}), (shop.folder, {"key": "a.b"})):
        with pytest.raises((BadRequest, Unreachable)):
            connect(where, **more)
    with pytest.raises(Unreachable), connect("http://127.0.0.1:1") as nobody:
        nobody.query("select 1")


def test_leaving_rows_ends_the_query(shop, w):
    many = "select x, y from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y)"

    def listed():
        return json.loads(shop.request("GET", "/v1/queries")[2])["queries"]

    rows = w.rows(many)
    assert next(rows).keys() == {"x", "y"}
    assert [each["state"] for each in listed()] == ["running"]
    rows.close()
    until(lambda: not listed(), "it has ended")


def test_threads_may_share_it(w):
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(w.query("select cast(? as int) as n", [str(n)]).dicts()))
        for n in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(patient(30))
    assert sorted(rows[0]["n"] for rows in found) == list(range(8))


def test_rows_load_no_pyarrow(shop):
    program = """
import sys
from datawarehouse import connect
with connect(sys.argv[1]) as w:
    print(list(w.rows("select decimal '1.5' as d")), w.put("clicks", {"id": "x"}))
print(sorted({"duckdb", "pyarrow", "numpy", "pandas"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program, shop.url], capture_output=True, text=True, check=True)
    assert done.stdout == "[{'d': Decimal('1.5')}] 1\n[]\n"


def test_with_keys_and_tls(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    tokens = {}
    rights = {
        "sender": ("put:clicks",),
        "reader": ("query:clicks", "--workgroup", "production"),
        "keeper": ("administer",),
    }
    for name, may in rights.items():
        made = command(tmp_path, "keys", "create", name, "--may", *may, "--output", "json")
        tokens[name] = json.loads(made.stdout)["token"]
    with running(tmp_path, "--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)) as secured:

        def by(name):
            return connect(secured.url, key=tokens[name], ca=CERTIFICATE)

        with by("sender") as sender, by("reader") as reader, by("keeper") as keeper:
            assert sender.put("clicks", {"id": "one"}) == 1
            keeper.flush()
            assert (
                reader.query("select id from clicks").dicts()
                == [{"id": "one"}]
                == list(reader.rows("select id from clicks"))
            )
            assert keeper.status()["warehouse"] == "analytics_dw"
            for refused in (
                lambda: sender.query("select 1"),
                lambda: sender.put("views", {}),
                lambda: reader.put("clicks", {}),
                lambda: reader.query("select * from views"),
                lambda: list(reader.rows("select * from views")),
                lambda: reader.status(),
            ):
                with pytest.raises(AccessDenied):
                    refused()
        with pytest.raises(Unauthorized), connect(secured.url, ca=CERTIFICATE) as nobody:
            nobody.query("select 1")
        with (
            pytest.raises(DataWarehouseError, match="not trusted"),
            connect(secured.url, key=tokens["reader"]) as other,
        ):
            other.query("select 1")
    with pytest.raises(BadRequest, match="plain text"):
        connect("http://dw.example.com", key="a.b")
