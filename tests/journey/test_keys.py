"""Keys in each door, and what each of them may not do: through `dw keys`, HTTP and boto3."""

import base64
import json
import re
import stat
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from running import running

from datawarehouse.folder import keys_path


def created(warehouse, *arguments):
    return json.loads(warehouse.dw("keys", "create", *arguments, "--output", "json").stdout)


def bearer(key):
    return {"Authorization": f"Bearer {key['token']}"}


def kinesis(warehouse, key, **more):
    return boto3.client(
        "kinesis",
        endpoint_url=warehouse.url,
        region_name="eu-west-1",
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        config=Config(retries={"total_max_attempts": 1}),
        **more,
    )


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    with running(folder) as started:
        yield started


@pytest.fixture(scope="module")
def producer(warehouse):
    return created(warehouse, "producer", "--may", "put:clicks")


@pytest.fixture(scope="module")
def analyst(warehouse, producer):
    warehouse.events("clicks", b"")
    return created(warehouse, "analyst", "--may", "query:clicks")


def asked(warehouse, key, sql, **more):
    body = json.dumps({"sql": sql, "format": "json", **more})
    status, _, answer = warehouse.request("POST", "/v1/query", body, bearer(key))
    return status, json.loads(answer)


def code(answer):
    status, body = answer
    return status, body["error"]["code"]


def test_one_key_in_each_door(warehouse, producer):
    answer = kinesis(warehouse, producer).put_records(
        StreamName="clicks", Records=[{"Data": b'{"id":"door","n":1}', "PartitionKey": "a"}]
    )
    assert answer["FailedRecordCount"] == 0
    basic = base64.b64encode(f"{producer['id']}:{producer['secret']}".encode()).decode()
    for authorization in (f"Bearer {producer['token']}", f"Basic {basic}", f"bearer {producer['token']}"):
        assert warehouse.events("clicks", b'{"id":"door"}', Authorization=authorization) == (200, {"accepted": 1})
    warehouse.flush()
    owner = json.loads(
        warehouse.dw("query", "select count(*) as c from clicks where id = 'door'", "--output", "json").stdout
    )
    assert owner == [{"c": 4}]


def test_without_a_key_there_is_nothing_but_health(warehouse, producer):
    for path in ("/health", "/ready"):
        assert warehouse.request("GET", path)[0] == 200
        assert warehouse.request("GET", path, headers={"Host": "events.example.com"})[0] == 200
    for method, path in (("POST", "/v1/query"), ("GET", "/metrics"), ("GET", "/nothing"), ("GET", "/v1/admin/status")):
        status, headers, answer = warehouse.request(method, path, b"{}")
        assert (status, json.loads(answer)["error"]["code"]) == (401, "Unauthorized")
        assert headers["www-authenticate"].startswith("Bearer")
    assert code(warehouse.events("clicks", b"{}")) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer a", "Bearer {id}", "Bearer {id}.x", "Bearer {id}.", "Bearer .{secret}", "Bearer {id}.{secret}x",
     "Basic x", "Basic e30=", "Digest {id}", "Bearer \u00e9.\u00e9", "Basic {id}:{secret}"],
)  # fmt: skip
def test_a_wrong_key(warehouse, producer, authorization):
    given = authorization.format(**producer)
    assert code(warehouse.events("clicks", b"{}", Authorization=given)) == (401, "Unauthorized")


def test_a_producer_may_only_put_into_its_table(warehouse, producer):
    assert code(warehouse.events("views", b"{}", **bearer(producer))) == (403, "AccessDenied")
    assert code(asked(warehouse, producer, "select 1")) == (403, "AccessDenied")
    for path in ("/metrics", "/v1/admin/status", "/v1/admin/keys"):
        status, _, answer = warehouse.request("GET", path, headers=bearer(producer))
        assert (status, json.loads(answer)["error"]["code"]) == (403, "AccessDenied")
    client = kinesis(warehouse, producer)
    assert client.list_streams()["StreamNames"] == ["clicks"]
    assert client.describe_stream_summary(StreamName="clicks")
    for stream in ("views", "nothing"):
        with pytest.raises(ClientError) as refused:
            client.put_record(StreamName=stream, Data=b"{}", PartitionKey="a")
        error = refused.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDeniedException", 400)
        assert f"kinesis:PutRecord on resource: arn:aws:kinesis:us-east-1:000000000000:stream/{stream}" in str(error)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from views",
        "select 1 from clicks, views",
        "select 1 from clicks where id in (select id from views)",
        "with v as (select * from views) select 1 from v",
        "select * from clicks_quarantine",
        "select 1 from clicks union all select 1 from facts",
        "describe views",
        "show partitions views",
        "explain select * from views",
        "select count(*) from views",
        'select 1 from analytics_dw."VIEWS"',
    ],
)
def test_an_analyst_may_only_read_its_table(warehouse, analyst, sql):
    for more in ({}, {"dry_run": True}):
        status, answer = asked(warehouse, analyst, sql, **more)
        if more and not sql.startswith(("select", "with")):
            continue
        assert (status, answer["error"]["code"]) == (403, "AccessDenied"), answer
        assert "it may read clicks" in answer["error"]["message"]


def test_what_an_analyst_may_not_read_does_not_exist_for_it(warehouse, analyst):
    assert asked(warehouse, analyst, "show tables")[1] == [{"tab_name": "clicks"}]
    status, answer = asked(warehouse, analyst, "select 1 from viewz")
    assert (status, "views" in answer["error"]["message"]) == (422, False)
    hours = "inserted_at >= date_format(now() - interval '1' hour, '%Y/%m/%d/%H')"
    assert (
        asked(
            warehouse, analyst, f"with views as (select 1 as n from clicks where {hours}) select n from views limit 0"
        )[0]
        == 200
    )
    assert code(warehouse.events("clicks", b"{}", **bearer(analyst))) == (403, "AccessDenied")


def test_a_key_sees_its_own_queries(warehouse, producer, analyst):
    other = created(warehouse, "other", "--may", "query:views", "--workgroup", "batch")
    body = json.dumps({"sql": "select 1 as n"})
    status, _, answer = warehouse.request("POST", "/v1/queries", body, bearer(analyst))
    submitted = json.loads(answer)
    assert (status, submitted["who"], submitted["workgroup"]) == (202, "analyst", "adhoc")
    path = f"/v1/queries/{submitted['id']}"
    for sees, key in ((True, analyst), (False, other)):
        _, _, answer = warehouse.request("GET", "/v1/queries", headers=bearer(key))
        assert any(each["id"] == submitted["id"] for each in json.loads(answer)["queries"]) == sees
    for method, where in (("GET", path), ("GET", f"{path}/pages/0"), ("DELETE", path)):
        status, _, answer = warehouse.request(method, where, headers=bearer(other))
        assert (status, json.loads(answer)["error"]["code"]) == (404, "UnknownQuery")
        assert warehouse.request(method, where, headers=bearer(producer))[0] == 403
    assert warehouse.request("GET", f"{path}?wait_s=30", headers=bearer(analyst))[0] == 200
    assert json.loads(warehouse.request("GET", f"{path}/pages/0", headers=bearer(analyst))[2]) == {"n": 1}
    assert submitted["id"] in warehouse.dw("queries").stdout
    body = json.dumps({"sql": "select * from clicks"})
    _, _, answer = warehouse.request("POST", "/v1/queries", body, bearer(other))
    failed = f"/v1/queries/{json.loads(answer)['id']}?wait_s=30"
    _, _, answer = warehouse.request("GET", failed, headers=bearer(other))
    assert json.loads(answer)["error"]["code"] == "AccessDenied"


def by_trino(warehouse, key, sql):
    """The last answer to a statement by Trino's protocol, and its rows."""
    rows, address, method, body = [], "/v1/statement", "POST", sql
    basic = base64.b64encode(f"{key['id']}:{key['secret']}".encode()).decode()
    while True:
        status, _, text = warehouse.request(method, address, body, {"Authorization": f"Basic {basic}"})
        assert status == 200, text
        answer = json.loads(text)
        rows += answer.get("data", [])
        if "nextUri" not in answer:
            return answer, rows
        address, method, body = answer["nextUri"].removeprefix(warehouse.url), "GET", None


def test_a_client_of_trino_has_the_rights_of_its_key(warehouse, producer, analyst):
    assert by_trino(warehouse, analyst, "show tables")[1] == [["clicks"]]
    tables = "select distinct table_name from information_schema.columns where table_schema <> 'information_schema'"
    assert by_trino(warehouse, analyst, tables)[1] == [["clicks"]]
    refused = by_trino(warehouse, analyst, "select * from views")[0]
    assert refused["error"]["errorName"] == "PERMISSION_DENIED"
    other = created(warehouse, "another", "--may", "query:views")
    page = f"/v1/statement/{refused['id']}/1"
    assert warehouse.request("GET", page, headers=bearer(other))[0] == 404
    assert warehouse.request("DELETE", page, headers=bearer(other))[0] == 404
    for path in ("/v1/statement", "/v1/info"):
        assert warehouse.request("POST", path, "select 1", bearer(producer))[0] == 403
        assert warehouse.request("POST", path, "select 1")[0] == 401


def test_a_key_has_one_workgroup(warehouse, analyst):
    assert analyst["workgroup"] == "adhoc"
    assert code(asked(warehouse, analyst, "select * from clicks")) == (403, "ScanRefused")
    assert code(asked(warehouse, analyst, "select 1", workgroup="production")) == (403, "AccessDenied")
    assert asked(warehouse, analyst, "select 1 as n", workgroup="adhoc")[1] == [{"n": 1}]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("secret", "InvalidSignatureException"),
        ("id", "UnrecognizedClientException"),
        ("clock", "InvalidSignatureException"),
        ("body", "InvalidSignatureException"),
        ("token", "UnrecognizedClientException"),
        ("bearer", "UnrecognizedClientException"),
        ("incomplete", "IncompleteSignatureException"),
        ("missing", "MissingAuthenticationTokenException"),
    ],
)
def test_a_signature_that_is_not_right(warehouse, producer, change, says):
    key, more = dict(producer), {}
    if change in ("secret", "id"):
        key[change] += "x"
    if change == "token":
        more["aws_session_token"] = "a"
    client = kinesis(warehouse, key, **more)

    def on_the_way(request, **_):
        match change:
            case "body":
                request.body = request.body.replace(b"clicks", b"Clicks")
            case "bearer":
                request.headers["Authorization"] = "Bearer a.b"
            case "incomplete":
                request.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=a"
            case "missing":
                del request.headers["Authorization"]

    client.meta.events.register("before-send.kinesis", on_the_way)
    then = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=16 if change == "clock" else 0)
    with patch("botocore.auth.get_current_datetime", lambda **_: then), pytest.raises(ClientError) as refused:
        client.put_record(StreamName="clicks", Data=b"{}", PartitionKey="a")
    response = refused.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (says, 400)
    assert key["secret"] not in str(response)


@pytest.mark.parametrize(("service", "status"), [("kinesis", 200), ("s3", 400)])
def test_a_signature_is_for_a_service(warehouse, producer, service, status):
    said = {"X-Amz-Target": "Kinesis_20131202.ListStreams", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"{warehouse.url}/", said, b"{}")
    SigV4Auth(Credentials(producer["id"], producer["secret"]), service, "eu-west-1").add_auth(request)
    answered, _, answer = warehouse.request("POST", "/", b"{}", dict(request.headers.items()))
    assert answered == status
    assert status == 200 or b"scoped to correct service: 'kinesis'" in answer


def test_a_rate(warehouse, producer):
    key = created(warehouse, "slow", "--may", "put,query", "--events-per-s", "10", "--queries-per-min", "1")
    assert warehouse.events("clicks", b"{}\n" * 600, **bearer(key))[0] == 200
    status, headers, answer = warehouse.request("POST", "/v1/tables/clicks/events", b"{}", bearer(key))
    assert (status, json.loads(answer)["error"]["code"]) == (429, "Throttled")
    assert 50 <= int(headers["retry-after"]) <= 60
    with pytest.raises(ClientError, match=r"ProvisionedThroughputExceededException.*'slow'.*events_per_s"):
        kinesis(warehouse, key).put_record(StreamName="clicks", Data=b"{}", PartitionKey="a")
    assert asked(warehouse, key, "select 1 as n", workgroup="adhoc")[0] == 200
    assert code(asked(warehouse, key, "select 1 as n")) == (429, "Throttled")


def test_two_secrets_while_one_is_replaced_and_none_after_it_is_revoked(warehouse, producer):
    first = created(warehouse, "billing", "--may", "put:views", "--expires", "90d")
    second = json.loads(warehouse.dw("keys", "rotate", "billing", "--output", "json").stdout)
    assert first["id"] != second["id"] and first["secret"] != second["secret"]
    for key in (first, second):
        assert warehouse.events("views", b"{}", **bearer(key))[0] == 200
    again = warehouse.dw("keys", "create", "billing", "--may", "put", check=False)
    assert (again.returncode, "There is a key 'billing' already" in again.stderr) == (2, True)
    assert "billing is revoked" in warehouse.dw("keys", "revoke", "billing").stdout
    for key in (first, second):
        assert code(warehouse.events("views", b"{}", **bearer(key))) == (401, "Unauthorized")
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            kinesis(warehouse, key).list_streams()


def test_a_key_that_administers(warehouse, producer):
    key = created(warehouse, "operator", "--may", "administer")
    status, _, answer = warehouse.request("POST", "/v1/admin/keys", b'{"name":"made","may":["monitor"]}', bearer(key))
    made = json.loads(answer)
    assert status == 201
    status, _, metrics = warehouse.request("GET", "/metrics", headers=bearer(made))
    assert (status, b"dw_records_received_total" in metrics) == (200, True)
    assert code(warehouse.events("clicks", b"{}", **bearer(key))) == (403, "AccessDenied")


def test_what_is_refused_is_counted_and_no_secret_is_written(warehouse, producer, analyst):
    warehouse.events("views", b"{}", **bearer(producer))
    warehouse.events("views", b"{}", Authorization=f"Bearer {producer['id']}.{analyst['secret']}")
    warehouse.events("views", b"{}", Authorization="Bearer a.b")
    status = warehouse.status()
    by_name = {key["name"]: key for key in status["keys"]}
    assert by_name["producer"]["refused"]["AccessDenied"] >= 1
    assert by_name["producer"]["refused"]["Unauthorized"] >= 1
    key = created(warehouse, "watcher", "--may", "monitor")
    _, _, metrics = warehouse.request("GET", "/metrics", headers=bearer(key))
    for name, reason in (("producer", "AccessDenied"), ("producer", "Unauthorized"), ("", "Unauthorized")):
        assert re.search(rf'dw_key_requests_refused_total{{key="{name}",reason="{reason}"}} [1-9]', metrics.decode())
    listed = warehouse.dw("keys", "ls").stdout + warehouse.dw("keys", "ls", "--output", "json").stdout
    log = (warehouse.folder / "errors.log").read_text()
    shown = listed + json.dumps(status) + log + metrics.decode() + warehouse.dw("status").stdout
    for key in (producer, analyst):
        assert key["secret"] not in shown
    assert "audit: owner from 127.0.0.1: POST /v1/admin/keys producer may put:clicks: done" in log
    file = keys_path(warehouse.folder / "data")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x", "--may", "put:nothing"], "There is no input stream 'nothing'"),
        (["x", "--may", "query:nothing"], "There is no table to query 'nothing'"),
        (["x", "--may", "put:facts"], "There is no input stream 'facts'"),
        (["x", "--may", "write"], "There is no right 'write'; valid are put"),
        (["x", "--may", "monitor:clicks"], "There is no right"),
        (["x", "--may", ","], "A key needs a right"),
        (["x"], "Say with --may"),
        (["owner", "--may", "put"], "The name of a key is 'owner'"),
        (["a/b", "--may", "put"], "The name of a key is 'a/b'"),
        (["x", "--may", "query", "--workgroup", "y"], "There is no workgroup 'y'"),
        (["x", "--may", "put", "--expires", "soon"], "--expires is 'soon'; valid is a number and a unit"),
        (["x", "--may", "put", "--expires", "0d"], "valid is 1 to"),
        (["x", "--may", "put", "--events-per-s", "0"], "The limit events_per_s is 0"),
        (["x", "--may", "put", "--origin", "https://a.example"], "A public token, which has origins, may only put"),
        (["x", "--may", "put:clicks", "--origin", "a.example/b"], "The origin is 'a.example/b'"),
    ],
)
def test_a_wrong_wish(warehouse, arguments, says):
    done = warehouse.dw("keys", "create", *arguments, check=False)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not [key for key in warehouse.status()["keys"] if key["name"] in ("x", "owner", "a/b")]


def test_keys_are_in_no_back_up(warehouse, producer, tmp_path):
    warehouse.dw("backup", tmp_path / "copies")
    held = [path for path in (tmp_path / "copies").rglob("*") if path.is_file()]
    assert held and not any(producer["secret"].encode() in path.read_bytes() for path in held)
    assert "audit: owner from 127.0.0.1: POST /v1/admin/backup: done" in (warehouse.folder / "errors.log").read_text()


def test_keys_are_made_before_there_is_a_server_and_stay(tmp_path):
    from running import DECLARATION, command, start

    (tmp_path / "warehouse.py").write_text(DECLARATION)
    made = json.loads(command(tmp_path, "keys", "create", "a", "--may", "put", "--output", "json").stdout)
    command(tmp_path, "keys", "create", "b\n-audit:", "--may", "put:nothing")
    assert "not running" in command(tmp_path, "status").stdout
    file = keys_path(tmp_path / "data")
    file.chmod(0o644)
    stored = json.loads(file.read_text())
    stored["keys"].append(stored["keys"][0] | {"name": "old", "id": "DWOLD", "expires_ms": 1})
    file.write_text(json.dumps(stored))
    with running(tmp_path) as warehouse:
        assert warehouse.events("clicks", b"{}", **bearer(made))[0] == 200
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        old = {"id": "DWOLD", "secret": made["secret"], "token": f"DWOLD.{made['secret']}"}
        assert code(warehouse.events("clicks", b"{}", **bearer(old))) == (401, "Unauthorized")
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            kinesis(warehouse, old).list_streams()
        log = (tmp_path / "errors.log").read_text()
        told = re.findall(r"audit: owner at \d{4}-\S+Z, when no warehouse ran: (.*)", log)
        assert told == ["dw keys create a may put: done", "dw keys create b -audit: may put:nothing: BadRequest"]
        assert made["secret"] not in log
        warehouse.dw("keys", "revoke", made["id"])
        assert code(warehouse.events("clicks", b"{}")) == (401, "Unauthorized")  # none is left, and one is needed
    command(tmp_path, "keys", "create", "c", "--may", "query")
    (tmp_path / "errors.log").unlink()
    start(tmp_path).stop()
    told = re.findall(r"when no warehouse ran: (.*)", (tmp_path / "errors.log").read_text())
    assert told == ["dw keys create c may query: done"]  # each line once
    assert "revoked" in command(tmp_path, "keys", "ls").stdout
    for damaged in (b"{", b'{"keys": [{"id": "\xff"}]}'):
        file.write_bytes(damaged)
        done = command(tmp_path, "up", "--port", "0")
        assert (done.returncode, "Traceback" in done.stderr, "cannot be read" in done.stderr) == (4, False, True)
