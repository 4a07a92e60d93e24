"""The console: its page, signing in from a browser, and the routes that stand behind it, through a real `dw up`."""

import base64
import gzip
import json
import re
import socket
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from urllib.parse import quote, urlsplit

import pytest
from running import running, until

from datawarehouse.access.sessions import WRONG_PER_MIN
from datawarehouse.definition.partition import start_of
from datawarehouse.folder import history_path, holder_of, saved_queries_path
from datawarehouse.server.console_files import FOLDER
from datawarehouse.server.saved_queries import OF_ONE_MAX
from datawarehouse.server.tail import TAILS_MAX

HEADER = {"X-DW-Console": "1"}
THOUSAND = "unnest(sequence(1, 1000))"
LONG = f"select count(*) from {THOUSAND} a(x), {THOUSAND} b(y), {THOUSAND} c(z), {THOUSAND} d(w) where x * y = z * w"


@pytest.fixture(scope="module")
def open_warehouse(tmp_path_factory):
    """Without keys."""
    with running(tmp_path_factory.mktemp("open")) as started:
        rows = [json.dumps({"id": f"e{n}", "n": n}) for n in range(30)]
        started.events("clicks", "\n".join([*rows, '{"id": "bad", "n": "x"}', '{"id": ']))
        started.flush()
        yield started


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """With keys."""
    with running(tmp_path_factory.mktemp("keyed")) as started:
        started.analyst = created(started, "analyst", "--may", "query:clicks")
        started.boss = created(started, "boss", "--may", "administer,query")
        yield started


def created(warehouse, *arguments):
    return json.loads(warehouse.dw("keys", "create", *arguments, "--output", "json").stdout)


def asked(warehouse, path, **headers):
    status, _, answer = warehouse.request(
        "GET", path, None, {name.replace("_", "-"): headers[name] for name in headers}
    )
    return status, json.loads(answer)


def signed_in(warehouse, name, secret, **headers):
    """(status, headers, answer, the cookie as a browser sends it back)."""
    body = json.dumps({"name": name, "secret": secret})
    status, given, answer = warehouse.request("POST", "/v1/session", body, headers)
    cookie = next(iter(SimpleCookie(given["Set-Cookie"] or "").items()), None)
    return status, given, json.loads(answer), cookie and f"{cookie[0]}={cookie[1].value}"


# -- the page


@pytest.mark.skipif(not (FOLDER / "index.html").exists(), reason="the console is not built: make console")
def test_the_page_loads_what_the_package_has_and_permits_nothing_else(open_warehouse):
    status, headers, page = open_warehouse.request("GET", "/", None, {"Accept": "text/html,*/*;q=0.8"})
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert (policy["frame-ancestors"], headers["X-Content-Type-Options"]) == ("'none'", "nosniff")
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.decode()):
        status, headers, body = open_warehouse.request("GET", path, None, {"Accept-Encoding": "gzip"})
        assert status == 200, path
        if headers["Content-Encoding"] == "gzip":
            assert gzip.decompress(body) == (FOLDER / path.removeprefix("/console/")).read_bytes()
        again = open_warehouse.request("GET", path, None, {"If-None-Match": headers["ETag"]})
        assert (again[0], again[2]) == (304, b"")
        assert open_warehouse.request("HEAD", path)[2] == b""


def test_a_program_that_asks_for_json_gets_no_page(open_warehouse):
    status, answer = asked(open_warehouse, "/", Accept="application/json")
    assert (status, answer["error"]["code"]) == (404, "NotFound")
    assert open_warehouse.request("GET", "/console/assets/..%2f..%2fapp.py")[0] == 404


def test_a_page_elsewhere_cannot_make_the_server_work(open_warehouse):
    """An image whose address is a query has no Origin; the browser says where it is."""
    path = "/v1/query?sql=select+1"
    assert open_warehouse.request("GET", path, None, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    for site in ("same-origin", "none"):
        assert open_warehouse.request("GET", path, None, {"Sec-Fetch-Site": site})[0] == 200


# -- signing in


def test_without_keys_everybody_here_is_told_what_they_may(open_warehouse):
    status, answer = asked(open_warehouse, "/v1/session")
    assert (status, answer["needs_key"], answer["signed_in"], answer["warehouse"]) == (
        200,
        False,
        False,
        "analytics_dw",
    )
    assert answer["may"] == {"query": [], "query_all": True, "put": True, "monitor": True, "administer": False}


def test_without_keys_the_owner_signs_in_with_the_token_of_the_lock_file(open_warehouse):
    token = holder_of(open_warehouse.folder / "data").token
    status, _, answer, cookie = signed_in(open_warehouse, "owner", token)
    assert (status, answer["name"], answer["may"]["administer"]) == (200, "owner", True)
    assert asked(open_warehouse, "/v1/admin/status")[0] == 401
    assert asked(open_warehouse, "/v1/admin/status", Cookie=cookie)[0] == 200


def test_a_cookie_permits_what_its_key_may_and_ends_with_it(keyed):
    assert asked(keyed, "/v1/overview")[0] == 401
    status, given, answer, cookie = signed_in(keyed, "analyst", keyed.analyst["secret"])
    assert (status, answer["name"], answer["may"]["query"]) == (200, "analyst", ["clicks"])
    words = given["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= set(words) and "Secure" not in words
    assert [each["table"] for each in asked(keyed, "/v1/overview", Cookie=cookie)[1]["tables"]] == ["clicks"]
    assert asked(keyed, "/v1/admin/status", Cookie=cookie)[0] == 403
    assert asked(keyed, "/v1/session", Cookie=cookie)[1]["name"] == "analyst"
    temporary = created(keyed, "temporary", "--may", "query")
    _, _, _, cookie = signed_in(keyed, temporary["id"], temporary["secret"])
    assert asked(keyed, "/v1/overview", Cookie=cookie)[0] == 200
    keyed.dw("keys", "revoke", "temporary")
    assert asked(keyed, "/v1/overview", Cookie=cookie)[0] == 401


def test_what_changes_something_needs_more_than_the_cookie(keyed):
    _, _, _, cookie = signed_in(keyed, "boss", keyed.boss["secret"])
    here = keyed.url.removeprefix("http://")

    def flushed(**headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return keyed.request("POST", "/v1/admin/flush", b"", {"Cookie": cookie, **named})[0]

    assert flushed() == 403
    assert flushed(X_DW_Console="1") == 200
    assert flushed(X_DW_Console="1", Origin=f"http://{here}") == 200
    assert flushed(X_DW_Console="1", Origin="http://127.0.0.1:1") == 403  # the same site, and another page
    assert flushed(X_DW_Console="1", Origin="null") == 403
    assert asked(keyed, "/v1/overview", Cookie=cookie, Sec_Fetch_Site="same-site")[0] == 403
    assert keyed.request("POST", "/v1/session", b"{}", {"Origin": "http://127.0.0.1:1"})[0] == 403


def test_signing_out_ends_the_session(keyed):
    _, _, _, cookie = signed_in(keyed, "boss", keyed.boss["secret"])
    status, given, answer = keyed.request("DELETE", "/v1/session", None, {"Cookie": cookie, **HEADER})
    assert (status, json.loads(answer)["signed_in"]) == (200, False) and "Max-Age=0" in given["Set-Cookie"]
    assert asked(keyed, "/v1/overview", Cookie=cookie)[0] == 401


def test_a_cookie_is_for_the_routes_of_the_console_alone(keyed):
    _, _, _, cookie = signed_in(keyed, "boss", keyed.boss["secret"])
    headers = {"Cookie": cookie, "X-Amz-Target": "Kinesis_20131202.ListStreams", **HEADER}
    assert keyed.request("POST", "/", b"{}", headers)[0] == 400
    assert keyed.request("POST", "/v1/query", b"{}", headers)[0] == 400
    assert keyed.request("GET", "/metrics", None, {"Cookie": cookie})[0] == 401


def test_wrong_secrets_are_counted(tmp_path):
    with running(tmp_path) as warehouse:
        key = created(warehouse, "ana", "--may", "query")
        wrong = [signed_in(warehouse, "ana", f"wrong{n}")[0] for n in range(WRONG_PER_MIN + 1)]
        assert wrong == [401] * WRONG_PER_MIN + [429]
        status, given, _, cookie = signed_in(warehouse, "ana", key["secret"])
        assert (status, cookie) == (429, None) and int(given["Retry-After"]) > 0
        log = (warehouse.folder / "errors.log").read_text()
        assert "POST /v1/session: Unauthorized" in log and key["secret"] not in log and "wrong0" not in log


# -- overview


def test_who_has_shown_no_key_may_send_little(keyed):
    """Else the room for large bodies of those who have one could be taken."""
    status, _, answer = keyed.request("POST", "/v1/session", b" " * 20_000)
    assert (status, json.loads(answer)["error"]["code"]) == (413, "BodyTooLarge")


def test_the_overview_counts_and_says_what_needs_attention(open_warehouse):
    answer = asked(open_warehouse, "/v1/overview")[1]
    clicks = next(each for each in answer["tables"] if each["table"] == "clicks")
    assert (clicks["received"], clicks["stored"], clicks["rejected"], clicks["pending"]) == (32, 30, 2, 0)
    assert clicks["newest_hour"] and clicks["bytes"] > 0 and clicks["lag_s"] == 0
    alerts = {each["alert"]: each for each in answer["attention"]}
    assert alerts["no_backup"]["severity"] == "note" and "dw backup" in alerts["no_backup"]["next_step"]
    assert alerts["rejects"]["severity"] == "bad" if "rejects" in alerts else True


def test_a_key_sees_its_tables_alone(keyed):
    headers = {"Authorization": f"Bearer {keyed.analyst['token']}"}
    answer = asked(keyed, "/v1/overview", **headers)[1]
    assert [each["table"] for each in answer["tables"]] == ["clicks"]
    assert answer["disk_free_bytes"] is None and not [each for each in answer["attention"] if not each["table"]]


def test_the_overview_has_the_queries_that_run_of_a_key_its_own(keyed):
    boss, analyst = ({"Authorization": f"Bearer {each['token']}"} for each in (keyed.boss, keyed.analyst))
    body = json.dumps({"sql": LONG, "format": "ndjson"})
    id = json.loads(keyed.request("POST", "/v1/queries", body, boss)[2])["id"]
    try:
        until(lambda: asked(keyed, "/v1/overview", **boss)[1]["queries"][0]["state"] == "running", "it runs")
        [query] = asked(keyed, "/v1/overview", **boss)[1]["queries"]
        assert (query["id"], query["who"], query["sql"]) == (id, "boss", LONG)
        assert asked(keyed, "/v1/overview", **analyst)[1]["queries"] == []
    finally:
        keyed.request("DELETE", f"/v1/queries/{id}", None, boss)
    assert asked(keyed, "/v1/overview", **boss)[1]["queries"] == []


# -- tables


def is_over(hour):
    """Whether the clock has passed the hour in which the events came."""
    return datetime.now(UTC) >= start_of(hour) + timedelta(hours=1)


def test_the_hours_of_a_table_are_lists_and_csv(open_warehouse):
    status, answer = asked(open_warehouse, "/v1/tables/clicks/hours")
    assert (status, answer["received"], answer["stored"], answer["rejected"]) == (200, [32], [30], [2])
    [hour] = answer["hour"]
    assert answer["rows"] == [30] and (answer["state"] == "o" or is_over(hour))
    assert answer["bytes"][0] > 0 and answer["files"][0] >= 2
    status, headers, text = open_warehouse.request("GET", "/v1/tables/clicks/hours?format=csv")
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="clicks_hours.csv"')
    names, values = text.decode().splitlines()
    assert dict(zip(names.split(","), values.split(","), strict=True))["state"] == '"open"' or is_over(hour)
    assert asked(open_warehouse, "/v1/tables/clicks/hours?from=2020/01/01/00&to=2020/01/02/00")[1]["hour"] == []
    for wrong in ("from=2020", "from=2026/13/01/00", "format=xml", "from=2026/01/01/00&to=2025/01/01/00"):
        assert asked(open_warehouse, f"/v1/tables/clicks/hours?{wrong}")[0] == 400
    assert asked(open_warehouse, "/v1/tables/nothing/hours")[0] == 404


def test_a_table_is_described_and_profiled(open_warehouse):
    answer = asked(open_warehouse, "/v1/tables/clicks")[1]
    assert (
        answer["columns"][1] == {"name": "n", "type": "int", "json_key": "n"}
        and answer["first_hour"] == answer["newest_hour"]
    )
    assert [each["table"] for each in asked(open_warehouse, "/v1/tables")[1]["tables"]] == ["clicks", "facts", "views"]
    answer = asked(open_warehouse, "/v1/tables/clicks/profile?rows=20")[1]
    columns = {each["name"]: each for each in answer["columns"]}
    assert (answer["rows"], columns["at"]["nulls"], columns["at"]["null_share"]) == (20, 20, 1.0)
    assert columns["n"]["distinct"] == 20 and columns["n"]["least"] < columns["n"]["greatest"]
    assert columns["inserted_at"]["top"] == [{"value": answer["hours"][0], "count": 20}]
    files = asked(open_warehouse, "/v1/tables/clicks/files?limit=1")[1]
    assert len(files["files"]) == 1 and files["more"] >= 1


def test_lateness_needs_a_declared_event_time(tmp_path, open_warehouse):
    assert asked(open_warehouse, "/v1/tables/clicks/lateness")[1]["error"]["code"] == "BadRequest"
    declaration = """
from datawarehouse import Warehouse
warehouse = (
    Warehouse("w")
    .with_streaming_input_table("clicks", {"id": "string", "at": "timestamp"}, event_time="at")
    .with_view("ids", "select id from clicks")
)
"""
    with running(tmp_path, declaration=declaration) as warehouse:
        warehouse.events("clicks", '{"id": "a", "at": "2020-01-01T00:00:00Z"}\n{"id": "b"}')
        warehouse.flush()
        answer = asked(warehouse, "/v1/tables/clicks/lateness")[1]
        shown = json.loads(warehouse.dw("lateness", "clicks", "--output", "json").stdout)
        assert answer["all"] == {name: shown[name] for name in answer["all"]} and answer["all"]["without"] == 1
        named = {each["name"]: each["columns"] for each in asked(warehouse, "/v1/completion")[1]["tables"]}
        assert named["ids"] == [{"name": "id", "type": "string"}]
        csv = warehouse.request("GET", "/v1/tables/clicks/lateness?format=csv")[2].decode().splitlines()
        assert csv[0].startswith("hour,events,without") and csv[1].startswith('"20')


def test_a_key_sees_no_other_table(keyed):
    headers = {"Authorization": f"Bearer {keyed.analyst['token']}"}
    assert [each["table"] for each in asked(keyed, "/v1/tables", **headers)[1]["tables"]] == ["clicks"]
    assert asked(keyed, "/v1/tables/views", **headers)[0] == 404
    assert asked(keyed, "/v1/tables/views/profile", **headers)[0] == 404
    assert asked(keyed, "/v1/tables/clicks/profile", **headers)[0] == 200
    producer = created(keyed, "producer", "--may", "put")
    headers = {"Authorization": f"Bearer {producer['token']}"}
    assert {asked(keyed, path, **headers)[0] for path in ("/v1/tables", "/v1/overview", "/v1/tables/clicks")} == {403}


# -- events as they come, and those that were rejected


def test_the_tail_shows_events_before_they_are_converted_and_says_what_is_wrong(open_warehouse):
    cursor = asked(open_warehouse, "/v1/tables/views/tail")[1]["cursor"]
    bad = '{"id": "b", "device": {"a": [1, 2]}, "n": "many"}'
    open_warehouse.events("views", f'{{"id": "good", "n": 1}}\n{bad}\n{{"id": ')
    answer = asked(open_warehouse, f"/v1/tables/views/tail?after={cursor}&wait_s=20")[1]
    good, wrong, cut = answer["events"]
    assert (answer["received"], answer["shown"], answer["sampled"], answer["rejected"]) == (3, 3, False, 2)
    assert (good["ok"], good["text"], good["reason"]) == (True, '{"id": "good", "n": 1}', None)
    reason = wrong["reason"]
    assert (wrong["ok"], reason["column"], bad[reason["start"] : reason["end"]]) == (False, "n", '"many"')
    assert cut["reason"]["code"].endswith("ParseError") and cut["reason"]["start"] is not None
    again = asked(open_warehouse, f"/v1/tables/views/tail?after={answer['cursor']}&wait_s=1")[1]
    assert (again["events"], again["received"], again["cursor"]) == ([], 0, answer["cursor"])


def test_of_many_events_the_tail_shows_some_and_the_bad_one(open_warehouse):
    cursor = asked(open_warehouse, "/v1/tables/views/tail")[1]["cursor"]
    rows = [f'{{"n": {n}}}' for n in range(300)] + ['{"n": "x"}'] + [f'{{"n": {n}}}' for n in range(15)]
    open_warehouse.events("views", "\n".join(rows))
    answer = asked(open_warehouse, f"/v1/tables/views/tail?after={cursor}&wait_s=20&limit=10")[1]
    assert (answer["received"], answer["shown"], answer["sampled"], answer["rejected"]) == (316, 10, True, 1)
    numbers = [each["number"] for each in answer["events"]]
    assert numbers == sorted(numbers) and [each["ok"] for each in answer["events"]].count(False) == 1
    assert answer["events"][-1]["text"] == '{"n": 14}'


def test_what_is_no_text_is_shown_in_base64_too(open_warehouse):
    cursor = asked(open_warehouse, "/v1/tables/views/tail")[1]["cursor"]
    open_warehouse.events("views", b'{"id": "\xff"}')
    event = asked(open_warehouse, f"/v1/tables/views/tail?after={cursor}&wait_s=20")[1]["events"][0]
    assert base64.b64decode(event["base64"]) == b'{"id": "\xff"}'
    assert event["text"][event["reason"]["start"] : event["reason"]["end"]] == "\N{REPLACEMENT CHARACTER}"


def test_the_quarantine_has_causes_and_samples(open_warehouse):
    answer = asked(open_warehouse, "/v1/tables/clicks/quarantine")[1]
    assert (answer["rejected"], answer["trend"]["rejected"], answer["trend"]["received"]) == (2, [2], [32])
    causes = {each["column_name"]: each for each in answer["causes"]}
    assert (causes["n"]["records"], causes[""]["error_code"]) == (1, "DataFormatConversion.ParseError")
    csv = open_warehouse.request("GET", "/v1/tables/clicks/quarantine?format=csv")[2].decode().splitlines()
    assert csv[0].startswith("error_code,column_name") and len(csv) == 3
    (sample,) = asked(open_warehouse, "/v1/tables/clicks/quarantine/samples?column_name=n")[1]["samples"]
    assert sample["text"] == '{"id": "bad", "n": "x"}'
    assert sample["text"][sample["start"] : sample["end"]] == '"x"'
    assert len(asked(open_warehouse, "/v1/tables/clicks/quarantine/samples")[1]["samples"]) == 2
    assert len(asked(open_warehouse, "/v1/tables/clicks/quarantine/samples?column_name=")[1]["samples"]) == 1


def test_rejected_events_are_for_who_may_query_the_quarantine(keyed):
    headers = {"Authorization": f"Bearer {keyed.analyst['token']}"}
    cursor = asked(keyed, "/v1/tables/clicks/tail", **headers)[1]["cursor"]
    sent = {"Authorization": f"Bearer {created(keyed, 'sender', '--may', 'put:clicks')['token']}"}
    assert keyed.request("POST", "/v1/tables/clicks/events", '{"n": "secret"}\n{"n": 1}', sent)[0] == 200
    answer = asked(keyed, f"/v1/tables/clicks/tail?after={cursor}&wait_s=20", **headers)[1]
    assert ([each["text"] for each in answer["events"]], answer["rejected"]) == (['{"n": 1}'], 1)
    assert asked(keyed, "/v1/tables/clicks/quarantine", **headers)[0] == 403
    assert asked(keyed, "/v1/tables/clicks/quarantine/samples", **headers)[0] == 403
    assert asked(keyed, "/v1/tables/clicks/tail", **sent)[0] == 403


def test_a_tail_ends_with_its_client_and_few_are_served(open_warehouse):
    cursor = asked(open_warehouse, "/v1/tables/views/tail")[1]["cursor"]
    address = urlsplit(open_warehouse.url)
    request = f"GET /v1/tables/views/tail?after={cursor}&wait_s=60 HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(2 * TAILS_MAX):  # one may come while the question below is answered
            stack.enter_context(socket.create_connection((address.hostname, address.port))).sendall(request)
        until(lambda: asked(open_warehouse, "/v1/tables/views/tail")[0] == 429, "no more are served")
    until(lambda: asked(open_warehouse, "/v1/tables/views/tail")[0] == 200, "there is room again")


# -- SQL


def submitted(warehouse, sql, form="ndjson"):
    status, _, answer = warehouse.request("POST", "/v1/queries", json.dumps({"sql": sql, "format": form}))
    assert status == 202, answer
    id = json.loads(answer)["id"]
    return id, asked(warehouse, f"/v1/queries/{id}?wait_s=30")[1]


def test_a_window_of_a_result_has_its_rows_wherever_they_are(open_warehouse):
    sql = (
        "select a * 100000 + b as n, cast(1.5 as decimal(10, 2)) as d, 'x' as d_1 from unnest(sequence(0, 2)) t(a) "
        "cross join unnest(sequence(0, 9999)) u(b) order by 1"
    )
    id, state = submitted(open_warehouse, sql)
    assert (state["state"], state["result"]["pages"] > 0) == ("succeeded", True)
    for offset in (0, 1, 9_990, 29_995, 40_000):
        status, answer = asked(open_warehouse, f"/v1/queries/{id}/rows?offset={offset}&limit=20")
        expected = [a * 100_000 + b for a in range(3) for b in range(10_000)][offset : offset + 20]
        assert (status, [row[0] for row in answer["rows"]]) == (200, expected)
        assert (answer["total"], answer["is_complete"], answer["offset"]) == (30_000, True, offset)
    assert (answer["columns"], answer["types"][1]) == (["n", "d", "d_1"], "decimal(10,2)")
    id, _ = submitted(open_warehouse, "select id, n from clicks where n > 1000")
    answer = asked(open_warehouse, f"/v1/queries/{id}/rows")[1]
    assert (answer["columns"], answer["types"], answer["rows"], answer["total"]) == (
        ["id", "n"],
        ["varchar", "integer"],
        [],
        0,
    )
    id, _ = submitted(open_warehouse, "select 1", "csv")
    assert asked(open_warehouse, f"/v1/queries/{id}/rows")[0] == 400
    assert asked(open_warehouse, f"/v1/queries/{id}/rows?limit=1001")[0] == 400


def test_a_result_is_a_file_of_a_link(open_warehouse):
    sql = quote("select id, n from clicks order by n limit 2")
    status, headers, body = open_warehouse.request("GET", f"/v1/query?sql={sql}&download=top%20users")
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="top_users.csv"')
    assert body.decode().splitlines()[0] == '"id","n"' and len(body.decode().splitlines()) == 3
    body = open_warehouse.request("GET", f"/v1/query?sql={sql}&format=ndjson")[2]
    assert [json.loads(line)["n"] for line in body.splitlines()] == [0, 1]
    assert open_warehouse.request("GET", f"/v1/query?sql={sql}&format=xml")[0] == 400


def test_an_error_of_sql_says_where_it_is(open_warehouse):
    sql = "select id,\n  nonsense from clicks"
    _, state = submitted(open_warehouse, sql)
    assert (state["error"]["line"], state["error"]["column"]) == (2, 3)
    status, _, answer = open_warehouse.request("POST", "/v1/query", json.dumps({"sql": "select id fro clicks x y"}))
    error = json.loads(answer)["error"]
    assert status == 400 and error["line"] == 1 and error["column"] > 1


def test_completion_has_what_a_statement_can_name(open_warehouse, keyed):
    answer = asked(open_warehouse, "/v1/completion")[1]
    tables = {each["name"]: each for each in answer["tables"]}
    assert {"clicks", "clicks_quarantine", "views", "facts", "query_history"} <= tables.keys()
    assert {"name": "n", "type": "int"} in tables["clicks"]["columns"] and tables["clicks"]["newest_hour"]
    assert {"date_trunc", "count", "row_number"} <= {each["name"] for each in answer["functions"]}
    headers = {"Authorization": f"Bearer {keyed.analyst['token']}"}
    answer = asked(keyed, "/v1/completion", **headers)[1]
    assert ([each["name"] for each in answer["tables"]], answer["workgroups"]) == (["clicks"], ["adhoc"])


def test_the_history_is_of_who_asks(keyed):
    headers = {"Authorization": f"Bearer {keyed.analyst['token']}"}
    mark = "select 'mine', count(*) from clicks where inserted_at > '2999/01/01/00' and inserted_at < '2999/01/01/02'"
    assert keyed.request("POST", "/v1/query", json.dumps({"sql": mark}), headers)[0] == 200
    boss = {"Authorization": f"Bearer {keyed.boss['token']}"}
    assert keyed.request("POST", "/v1/query", json.dumps({"sql": "select 'theirs'"}), boss)[0] == 200
    until(lambda: "select 'theirs'" in [each["sql"] for each in history(keyed, boss)], "the history has it")
    assert mark in [each["sql"] for each in history(keyed, boss)]
    own = history(keyed, headers)
    assert own[0]["sql"] == mark and {each["who"] for each in own} == {"analyst"}
    assert history(keyed, headers, f"?before={own[0]['number']}") == own[1:]


def history(warehouse, headers, more=""):
    return asked(warehouse, f"/v1/queries/history{more}", **headers)[1]["queries"]


def test_a_key_of_the_name_of_another_finds_none_of_its_results(keyed):
    first = {"Authorization": f"Bearer {created(keyed, 'temp', '--may', 'query')['token']}"}
    endless = "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y) where x * y = -1"
    ids = []
    for sql in ("select 'private' as a", endless):
        status, _, answer = keyed.request("POST", "/v1/queries", json.dumps({"sql": sql}), first)
        assert status == 202, answer
        ids.append(json.loads(answer)["id"])
    assert keyed.request("GET", f"/v1/queries/{ids[0]}/pages/0?wait_s=20", None, first)[2] == b'{"a":"private"}\n'
    assert asked(keyed, f"/v1/queries/{ids[0]}?wait_s=20", **first)[1]["state"] == "succeeded"
    keyed.dw("keys", "revoke", "temp")
    second = {"Authorization": f"Bearer {created(keyed, 'temp', '--may', 'query:views')['token']}"}
    assert asked(keyed, f"/v1/queries/{ids[0]}/pages/0", **second)[0] == 404
    ended = asked(keyed, f"/v1/queries/{ids[1]}?wait_s=20", **second)[1]
    assert (ended["state"], ended["result"]) == ("ended", None)


def test_saved_queries_are_kept_and_are_ones_own(keyed):
    ana, boss = ({"Authorization": f"Bearer {key['token']}"} for key in (keyed.analyst, keyed.boss))
    path = f"/v1/saved-queries/{quote('top users ü?')}"
    status, _, answer = keyed.request("PUT", path, json.dumps({"sql": "select 1"}), ana)
    assert (status, json.loads(answer)["name"]) == (200, "top users ü?")
    keyed.request("PUT", path, json.dumps({"sql": "select 2"}), ana)
    assert [each["sql"] for each in asked(keyed, "/v1/saved-queries", **ana)[1]["queries"]] == ["select 2"]
    assert asked(keyed, "/v1/saved-queries", **boss)[1]["queries"] == []
    assert json.loads(keyed.request("DELETE", path, None, boss)[2]) == {"removed": False}
    assert keyed.request("PUT", path, json.dumps({"sql": "x" * 70_000}), ana)[0] == 400
    assert keyed.request("PUT", "/v1/saved-queries/" + "n" * 101, json.dumps({"sql": "x"}), ana)[0] == 400
    assert json.loads(keyed.request("DELETE", path, None, ana)[2]) == {"removed": True}
    for number in range(OF_ONE_MAX):
        assert keyed.request("PUT", f"/v1/saved-queries/q{number}", '{"sql": ""}', boss)[0] == 200
    assert keyed.request("PUT", "/v1/saved-queries/more", '{"sql": ""}', boss)[0] == 400
    assert keyed.request("PUT", "/v1/saved-queries/q0", '{"sql": "select 3"}', boss)[0] == 200


@pytest.mark.parametrize("content", [b"", b'[{"who": "\xff"}]', b"[null]"])
def test_a_damaged_file_of_saved_queries_stays_as_it_is_and_is_told_of(open_warehouse, content):
    path = saved_queries_path(open_warehouse.folder / "data")
    path.write_bytes(content)
    body = json.dumps({"sql": "select 1"})
    for method, name in (("GET", ""), ("PUT", "/a"), ("DELETE", "/a")):
        status, _, answer = open_warehouse.request(method, f"/v1/saved-queries{name}", body if name == "/a" else None)
        error = json.loads(answer)["error"]
        assert (status, error["code"]) == (500, "FolderError"), error
        assert "move it away to begin anew" in error["message"]
    assert path.read_bytes() == content
    path.unlink()


def test_a_damaged_history_is_told_of_and_stops_no_other_query(open_warehouse):
    assert open_warehouse.query("select 1 as one") == [{"one": 1}]
    path = history_path(open_warehouse.folder / "data")
    until(path.exists, "the history")
    path.write_bytes(b"this is no database " * 1000)
    path.with_name("history.sqlite-wal").write_bytes(b"")
    body = json.dumps({"sql": "select count(*) from query_history"})
    for answered in (
        open_warehouse.request("GET", "/v1/queries/history"),
        open_warehouse.request("POST", "/v1/query", body),
    ):
        error = json.loads(answered[2])["error"]
        assert (error["code"], "`dw stop` and `dw up` move it aside" in error["message"]) == ("FolderError", True)
    assert open_warehouse.query("select 1 as one") == [{"one": 1}]
