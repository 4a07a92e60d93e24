"""Trino's client protocol at the port of everything else, as its clients speak it: over HTTP, page after page."""

import json

import pytest
from running import running, until

from datawarehouse.folder import queries_root

DECLARED = """
from datawarehouse import Warehouse

columns = {
    "id": "string", "n": "int", "big": "bigint", "price": "decimal(10,2)", "x": "double", "ok": "boolean",
    "day": "date", "at": "timestamp", "tags": "array<string>", "s": "struct<a:int,b:decimal(3,1)>",
    "m": "map<string,double>", "raw": "binary",
}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", columns)
    .with_workgroup("small", result_rows_max=3)
)
"""
EVENT = {
    "id": 'a"\\\n', "n": -1, "big": 2**62, "price": 1.5, "x": 2.5, "ok": True, "day": "2026-01-31",
    "at": "2026-01-31T12:00:00.5Z", "tags": ["x", None], "s": {"a": 1, "b": 2.5}, "m": {"k": 0.5},
}  # fmt: skip
ENDLESS = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([EVENT, {}]).encode())
        started.flush()
        yield started


class Client:
    """A client with a session: what it is told to keep it sends with the next statement."""

    def __init__(self, shop, **headers):
        self.shop = shop
        self.headers = {f"X-Trino-{name}": value for name, value in headers.items()}
        self.kept = {}

    def send(self, sql):
        status, self.kept, body = self.shop.request("POST", "/v1/statement", sql.encode(), self.headers)
        assert status == 200, body
        return json.loads(body)

    def at(self, address, method="GET"):
        assert address.startswith(self.shop.url)
        status, _, body = self.shop.request(method, address.removeprefix(self.shop.url), None, self.headers)
        return status, body

    def answers(self, sql):
        """All answers to a statement, the last one without an address."""
        found = [self.send(sql)]
        while "nextUri" in found[-1]:
            status, body = self.at(found[-1]["nextUri"])
            assert status == 200
            found.append(json.loads(body))
        return found

    def rows(self, sql):
        answers = self.answers(sql)
        assert "error" not in answers[-1], answers[-1]
        return [row for answer in answers for row in answer.get("data", [])]

    def error(self, sql):
        return self.answers(sql)[-1]["error"]


@pytest.fixture
def client(shop):
    return Client(shop)


def test_each_type_has_its_signature_and_its_form(client):
    answers = client.answers("select * from clicks where id is not null or n is null order by id")
    columns = answers[-1]["columns"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("id", "varchar"), ("n", "integer"), ("big", "bigint"), ("price", "decimal(10, 2)"), ("x", "double"),
        ("ok", "boolean"), ("day", "date"), ("at", "timestamp(3)"), ("tags", "array(varchar)"),
        ("s", "row(a integer, b decimal(3, 1))"), ("m", "map(varchar, double)"), ("raw", "varbinary"),
        ("inserted_at", "varchar"),
    ]  # fmt: skip
    assert columns[3]["typeSignature"] == {
        "rawType": "decimal",
        "arguments": [{"kind": "LONG", "value": 10}, {"kind": "LONG", "value": 2}],
    }
    assert columns[7]["typeSignature"] == {"rawType": "timestamp", "arguments": [{"kind": "LONG", "value": 3}]}
    assert columns[9]["typeSignature"]["arguments"][0] == {
        "kind": "NAMED_TYPE",
        "value": {"fieldName": {"name": "a"}, "typeSignature": {"rawType": "integer", "arguments": []}},
    }
    [full, empty] = [row for answer in answers for row in answer.get("data", [])]
    assert full[:-1] == [
        'a"\\\n', -1, 2**62, "1.50", 2.5, True, "2026-01-31", "2026-01-31 12:00:00.500", ["x", None], [1, "2.5"],
        {"k": 0.5}, None,
    ]  # fmt: skip
    assert empty[:-1] == [None] * 12


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("nan()", "NaN"),
        ("-infinity()", "-Infinity"),
        ("cast(1.25 as real)", 1.25),
        ("timestamp '2026-01-31 12:00:00 UTC'", "2026-01-31 12:00:00.000 UTC"),
        ("timestamp '2026-01-31 12:00:00.120000'", "2026-01-31 12:00:00.120000"),
        ("timestamp '2026-01-31 12:00:00.1234 Europe/Berlin'", "2026-01-31 12:00:00.1234 Europe/Berlin"),
        ("map(array[time '01:02'], array[time '01:02:03.4 +05:30'])", {"01:02:00": "01:02:03.4+05:30"}),
        (
            "row(cast('1:2:3.45' as time(1)), array[timestamp '2026-01-31 12:00 +01:00'])",
            [
                "01:02:03.5",
                ["2026-01-31 12:00:00.000 +01:00"],
            ],
        ),
        ("interval '2' day + interval '1' second", "2 00:00:01.000"),
        ("interval '-14' month", "-1-2"),
        ("null", None),
        ("row(1, 'a', null)", [1, "a", None]),
        ("map(array[1, 2], array['b', null])", {"1": "b", "2": None}),
        ("map(array[date '2026-01-31'], array[map(array['k'], array[1])])", {"2026-01-31": {"k": 1}}),
        ("array[array[1], array[], null]", [[1], [], None]),
        ("cast('ab' as char(4))", "ab  "),
        ("X'6869'", "aGk="),
        ("cast(3.4028235e38 as real)", 3.4028235e38),
        ("cast(1.4e-45 as real)", 1.4e-45),
        (r"U&'\2603 \\ \+01F600''s'", "☃ \\ 😀's"),
        ("u&'!2603' uescape '!'", "☃"),
        ("array[cast(null as interval year to month), interval '-14' month]", [None, "-1-2"]),
        ("map(array[nan(), 1.5e0], array[1, 2])", {"NaN": 1, "1.5": 2}),
        ("json_parse('{\"a\": [1]}')", '{"a":[1]}'),
        ("row(decimal '1.50', timestamp '2026-01-31 00:00:00')", ["1.50", "2026-01-31 00:00:00.000"]),
    ],
)
def test_a_value(client, sql, value):
    assert client.rows(f"select {sql}") == [[value]]
    assert client.rows(f"select v from (values ({sql}, 1), (null, 2)) t(v, k) order by k") == [[value], [None]]


def test_a_large_result_comes_in_pages_that_can_be_asked_for_again(client):
    sql = "select (a.x - 1) * 100 + b.y as v from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 100)) b(y)"
    answers = client.answers(sql)
    pages = [answer for answer in answers if "data" in answer]
    assert len(pages) > 2
    assert sorted(row[0] for page in pages for row in page["data"]) == list(range(1, 1_000_001))
    address = (
        answers[1]["nextUri"]
        if "data" in answers[1]
        else next(answer["nextUri"] for answer in answers if "data" in answer and "nextUri" in answer)
    )
    assert json.loads(client.at(address)[1])["data"] == json.loads(client.at(address)[1])["data"]


def test_a_result_without_rows_has_its_columns(client):
    last = client.answers("select 1 as one where false")[-1]
    assert [column["name"] for column in last["columns"]] == ["one"]
    assert "data" not in last and last["stats"]["state"] == "FINISHED"


@pytest.mark.parametrize(
    ("sql", "name", "code", "kind"),
    [
        ("selec 1", "SYNTAX_ERROR", 1, "USER_ERROR"),
        ("select nope from clicks", "COLUMN_NOT_FOUND", 47, "USER_ERROR"),
        ("select * from nowhere", "TABLE_NOT_FOUND", 46, "USER_ERROR"),
        ("select n / 0 from clicks", "DIVISION_BY_ZERO", 8, "USER_ERROR"),
        ("drop table clicks", "PERMISSION_DENIED", 4, "USER_ERROR"),
        ("execute nothing", "NOT_FOUND", 5, "USER_ERROR"),
    ],
)
def test_an_error_has_the_name_that_trino_gives_it(client, sql, name, code, kind):
    error = client.error(sql)
    assert (error["errorName"], error["errorCode"], error["errorType"]) == (name, code, kind)


def test_an_error_says_where(client):
    assert client.error("select\n  nope from clicks")["errorLocation"] == {"lineNumber": 2, "columnNumber": 3}


def test_a_limit_that_ends_a_query(shop):
    client = Client(shop, Session="workgroup=small")
    error = client.error("select x from unnest(sequence(1, 10)) a(x)")
    assert error["errorType"] == "INSUFFICIENT_RESOURCES" and "result_rows_max" in error["message"]


def test_delete_ends_the_query(shop, client):
    begun = client.send(ENDLESS)
    id = begun["id"]
    state = lambda: json.loads(shop.request("GET", f"/v1/queries/{id}")[2])  # noqa: E731
    until(lambda: state()["state"] == "running", "it runs")
    assert client.at(begun["nextUri"], "DELETE") == (204, b"")
    assert json.loads(client.at(begun["nextUri"])[1])["error"]["errorName"] == "USER_CANCELED"
    assert state()["state"] == "ended"


def test_a_page_of_a_result_that_is_gone(shop, client):
    answers = client.answers("select 1")
    shop.request("DELETE", f"/v1/queries/{answers[0]['id']}")
    status, body = client.at(answers[0]["nextUri"])
    assert status == 404 and json.loads(body)["error"]["code"] == "UnknownQuery"
    until(lambda: not any(queries_root(shop.folder / "data").glob(f"{answers[0]['id']}*")), "its file is gone")


def test_statements_about_the_session_are_kept_by_the_client(client):
    assert client.send("USE other.one")["updateType"] == "USE"
    assert (client.kept["x-trino-set-catalog"], client.kept["x-trino-set-schema"]) == ("other", "one")
    client.send("set session workgroup = 'small'")
    assert client.kept["x-trino-set-session"] == "workgroup=small"
    client.send("START TRANSACTION")
    assert client.kept["x-trino-started-transaction-id"]
    client.send("COMMIT")
    assert client.kept["x-trino-clear-transaction-id"] == "true"


def test_a_prepared_statement(shop, client):
    client.send("PREPARE p FROM select n, '?' from clicks where id = ?")
    told = client.kept["x-trino-added-prepare"]
    asking = Client(shop, **{"Prepared-Statement": told})
    assert asking.rows("execute p using 'a\"\\\n'") == [[-1, "?"]]
    asking.send("deallocate prepare p")
    assert asking.kept["x-trino-deallocated-prepare"] == "p"


def test_what_clients_ask_of_the_catalog(shop, client):
    assert client.rows("SHOW CATALOGS") == [["awsdatacatalog"], ["memory"], ["system"], ["tpch"]]
    assert client.rows("show schemas from awsdatacatalog") == [["information_schema"], ["scratch"], ["shop"]]
    assert client.rows("SHOW TABLES LIKE 'cl%'") == [["clicks"], ["clicks_quarantine"]]
    assert client.rows("show tables from information_schema")[0] == ["columns"]
    assert client.rows("DESCRIBE shop.clicks")[-1] == ["inserted_at", "varchar", "partition key", ""]
    assert client.rows("show columns from clicks like 'pri%'") == [["price", "decimal(10,2)", "", ""]]
    columns = "select column_name, ordinal_position, data_type from information_schema.columns "
    assert client.rows(columns + "where table_name = 'clicks' and ordinal_position = 4") == [
        ["price", 4, "decimal(10,2)"]
    ]
    catalogs = [["awsdatacatalog"], ["memory"], ["system"], ["tpch"]]
    assert client.rows("select table_cat from system.jdbc.catalogs order by 1") == catalogs
    assert client.rows("select version(), current_schema, current_catalog") == [["435", None, None]]
    there = Client(shop, Catalog="awsdatacatalog", Schema="shop")
    assert there.rows("select current_catalog, current_schema") == [["awsdatacatalog", "shop"]]
    assert client.rows("select count(*) from system.metadata.materialized_views") == [[0]]
    status, _, body = shop.request("GET", "/v1/info")
    assert status == 200 and json.loads(body)["starting"] is False


def test_the_query_is_in_the_history_under_the_name_that_the_client_gives(shop):
    Client(shop, User="ana").rows("select 41 + 1")
    asked = "select who, outcome, rows from query_history where sql = 'select 41 + 1' and outcome <> 'running'"
    [found] = until(lambda: shop.query(asked), "it is written")
    assert found == {"who": "ana", "outcome": "succeeded", "rows": 1}


def test_behind_a_proxy_the_address_of_the_next_page_is_the_proxys(shop):
    headers = {"Host": "127.0.0.1:9443", "X-Forwarded-Proto": "https"}
    _, _, body = shop.request("POST", "/v1/statement", b"select 1", headers)
    assert json.loads(body)["nextUri"].startswith("https://127.0.0.1:9443/v1/statement/")


def test_what_is_given_for_a_parameter_is_any_constant_expression(client):
    given = "array[1, null], row(row(decimal '3.10', 'x'), date '2026-01-31'), X'00', 1 + 1, cast('a' as char(2))"
    sql = f"execute immediate 'select typeof(?), ?, ?, ?, ?, ?' using array[decimal '1.5'], {given}"
    assert client.rows(sql) == [
        ["array(decimal(2,1))", [1, None], [["3.10", "x"], "2026-01-31"], "AA==", 2, "a "]
    ]  # fmt: skip


def test_the_tables_of_tpch_are_there_for_reading(shop):
    client = Client(shop, Catalog="tpch", Schema="tiny")
    assert client.rows("select count(*), sum(quantity), min(shipdate) from lineitem") == [
        [60175, 1536127.0, "1992-01-04"]
    ]
    joined = (
        "select tiny.nation.name, r.name from tiny.nation join tpch.tiny.region r using (regionkey) where nationkey = 3"
    )
    assert client.rows(joined) == [["CANADA", "AMERICA"]]
    assert client.rows("show tables like 'p%'") == [["part"], ["partsupp"]]
    assert client.rows("show schemas") == [["information_schema"], ["sf1"], ["tiny"]]
    assert client.rows("describe orders")[3] == ["totalprice", "double", "", ""]
    assert client.error("drop table nation")["errorName"] == "PERMISSION_DENIED"
    assert client.error("select * from tpch.sf9.nation")["errorName"] == "TABLE_NOT_FOUND"
    elsewhere = Client(shop, Catalog="awsdatacatalog", Schema="shop")
    assert elsewhere.rows("select count(*) from clicks, tpch.tiny.region") == [[10]]
    assert len(list((shop.folder / "data" / "_tpch" / "tiny").iterdir())) == 3


def test_the_tables_of_tpch_are_trinos_alone(shop):
    status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": "select * from tpch.tiny.nation"}).encode())
    assert status == 422 and "TABLE_NOT_FOUND" in json.loads(body)["error"]["message"]


def test_what_system_says_of_queries(shop):
    client = Client(shop, User="mia")
    client.rows("select 6 * 7")
    client.error("select nope from clicks where n = 67")
    asked = "select state, user, error_code from system.runtime.queries where query like '%6%7' and user = 'mia'"
    expected = [["FAILED", "mia", "COLUMN_NOT_FOUND"], ["FINISHED", "mia", None]]
    until(lambda: sorted(client.rows(asked)) == expected, "the ends of both are written")


def test_a_query_is_killed_by_another_client(shop, client):
    begun = client.send(ENDLESS)
    id = begun["id"]
    until(lambda: json.loads(shop.request("GET", f"/v1/queries/{id}")[2])["state"] == "running", "it runs")
    killer = Client(shop, User="admin")
    assert (
        killer.send(f"CALL system.runtime.kill_query(query_id => '{id}', message => 'enough')")["updateType"] == "CALL"
    )
    until(lambda: "error" in (found := json.loads(client.at(begun["nextUri"])[1])) and found, "it has ended")
    error = json.loads(client.at(begun["nextUri"])[1])["error"]
    assert error["errorName"] == "USER_CANCELED" and "enough" in error["message"]
    assert killer.error(f"call system.runtime.kill_query('{id}', 'x')")["errorName"] == "NOT_SUPPORTED"
    assert killer.error("call system.runtime.kill_query('0', 'x')")["errorName"] == "NOT_FOUND"
    assert killer.error("call system.runtime.kill_query()")["errorName"] == "INVALID_PROCEDURE_ARGUMENT"


def test_what_a_prepared_statement_takes_and_gives(shop, client):
    client.send("PREPARE p FROM select n, price as cost, 1, n + ? from clicks where id = ?")
    asking = Client(shop, **{"Prepared-Statement": client.kept["x-trino-added-prepare"]})
    assert asking.rows("DESCRIBE INPUT p") == [[0, "unknown"], [1, "unknown"]]
    assert asking.rows("describe output p") == [
        ["n", "awsdatacatalog", "shop", "clicks", "integer", 4, False],
        ["cost", "awsdatacatalog", "shop", "clicks", "decimal(10,2)", 8, True],
        ["_col2", "", "", "", "integer", 4, False],
        ["_col3", "", "", "", "integer", 4, False],
    ]
    client.send("PREPARE q FROM select 1")
    asking = Client(shop, **{"Prepared-Statement": client.kept["x-trino-added-prepare"]})
    assert asking.rows("describe input q") == []
    assert asking.error("describe output p")["errorName"] == "NOT_FOUND"


def test_the_session(shop, client):
    client.send("SET TIME ZONE 'UTC'")
    assert client.kept["x-trino-set-session"] == "time_zone_id=UTC"
    assert client.error("set time zone 'Europe/Brussels'")["errorName"] == "NOT_SUPPORTED"
    client.send("SET ROLE ALL")
    assert client.kept["x-trino-set-role"] == "system=ALL"
    assert client.error("set role admin")["errorName"] == "NOT_SUPPORTED"
    shown = Client(shop, Session="workgroup=small,query_priority=1").rows("show session")
    assert [row[:2] for row in shown] == [["query_priority", "1"], ["time_zone_id", "UTC"], ["workgroup", "small"]]


def test_a_client_that_would_take_spooled_segments_gets_rows(shop):
    client = Client(shop, **{"Query-Data-Encoding": "json+zstd,json"})
    assert client.rows("select 1") == [[1]]


def test_memory_is_the_scratch_of_whoever_asks_with_schemas_of_any_name(shop):
    client = Client(shop, Catalog="memory", Schema="marts")
    made = client.answers("create table totals as select n, count(*) as c from awsdatacatalog.shop.clicks group by n")
    assert (made[-1]["updateType"], made[-1]["updateCount"]) == ("CREATE TABLE", 2)
    assert client.rows("select marts.totals.c from marts.totals where totals.n = -1") == [[1]]
    client.rows("create view best as select * from totals where n is null")
    assert client.rows("select n from memory.marts.best") == [[None]]
    assert client.answers("insert into totals values (7, 8), (8, 9)")[-1]["updateCount"] == 2
    created = client.answers("create table empty (a varchar)")[-1]
    assert created["updateType"] == "CREATE TABLE" and "updateCount" not in created
    assert client.rows("show tables") == [["best"], ["empty"], ["totals"]]
    assert client.rows("show schemas") == [["default"], ["information_schema"], ["marts"]]
    elsewhere = Client(shop, Catalog="awsdatacatalog", Schema="scratch")
    assert elsewhere.rows("select max(n) from marts__totals") == [[8]]
    client.rows("create schema memory.more")
    client.rows("alter table totals rename to memory.more.totals")
    assert client.error("select * from totals")["errorName"] == "TABLE_NOT_FOUND"
    for dropped in ("drop table memory.more.totals", "drop view best", "drop table empty"):
        client.rows(dropped)
    assert client.rows("show schemas") == [["default"], ["information_schema"]]


def test_a_transaction_writes_nothing_since_nothing_could_be_taken_back(client, shop):
    client.send("START TRANSACTION")
    inside = Client(shop, **{"Transaction-Id": client.kept["x-trino-started-transaction-id"]})
    assert inside.rows("select 1") == [[1]]
    assert inside.error("create table scratch.t as select 1 as a")["errorName"] == "AUTOCOMMIT_WRITE_CONFLICT"
