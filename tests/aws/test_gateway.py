"""The gateway's function against the emulator and the small Athena: it decides as the embedded host does."""

# ruff: noqa: E501 - a statement stands on one line

import json
import random
import re
import subprocess
import sys
import threading
import types
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from functions_stack import Lambda
from lambda_zip import PYTHON

from datawarehouse import Warehouse
from datawarehouse.aws.packaging import library, planner_files
from datawarehouse.definition.gateway import WORKGROUPS, described
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.storage import RETENTION_DAYS
from datawarehouse.errors import ScanRefused
from datawarehouse.functions import gateway, stored
from datawarehouse.testing import simulate
from made_statements import Statements

START = datetime(2026, 11, 23, tzinfo=UTC)
NOW_MS = int(START.timestamp() * 1000) + 30 * HOUR_MS
CLICKS = {"id": "string", "n": "int"}
WAREHOUSE = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", CLICKS)
    .with_streaming_input_table("views", CLICKS)
    .with_table("users", {"id": "string", "name": "string"}, data_format="JSON")
    .with_table("prices", {"item": "string"}, {"day": "string", "shop": "int"}, data_format="JSON")
    .with_workgroup("adhoc", require_partition_filter=True, partitions_max=744)
    .with_workgroup("small", partitions_max=10, scan_bytes_max=10 * 1024 * 1024, allow_full_scan=True)
)
HOURLY = {RETENTION_DAYS: "none"}


class Asking:
    """Asks the handler of a function whose archive is in a folder, for the tables of a stack."""

    def __init__(self, stack):
        self.stack, self.remaining_ms = stack, 300_000

    def answer(self, sql, *parameters, workgroup="adhoc", full_scan=False, token=""):
        event = {
            "workgroup": workgroup,
            "sql": sql,
            "parameters": list(parameters),
            "full_scan": full_scan,
            "token": token,
        }
        return json.loads(json.dumps(gateway.handler(event, Lambda(self.remaining_ms))))

    def start(self, sql, *parameters, **options):
        return self.answer(sql, *parameters, token=uuid.uuid4().hex, **options)

    def error(self, *arguments, **options):
        """(kind, message) of what is answered in the place of a decision."""
        error = self.answer(*arguments, **options)["error"]
        return error["kind"], error["message"]

    def estimate(self, sql, **options):
        found = self.answer(sql, **options)["decision"]["estimate"]
        return found["partitions"], found["files"], found["bytes"]


@pytest.fixture
def ask(stack, monkeypatch, tmp_path):
    permits = {name: described(each, f"shop-dev-{name}") for name, each in WAREHOUSE.workgroups().items()}
    (tmp_path / WORKGROUPS).write_text(json.dumps({name: permits[name] for name in ("adhoc", "small")}))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DW_BUCKET", stack.data)
    monkeypatch.setenv("DW_RESULTS", f"s3://{stack.results}")
    monkeypatch.setattr(gateway, "time", types.SimpleNamespace(time_ns=lambda: NOW_MS * 1_000_000))
    for table in ("clicks", "views"):
        stack.table(table, CLICKS, "parquet", parameters=HOURLY)
    stack.table("users", {"id": "string", "name": "string"}, "JSON", key=None)
    return Asking(stack)


def hour(number):
    return partition_of(int(START.timestamp() * 1000) + number * HOUR_MS)


def register(stack, table, hours, location=None):
    storage = stack.glue.get_table(DatabaseName=stack.name, Name=table)["Table"]["StorageDescriptor"]
    home = storage["Location"]
    inputs = [
        {"Values": [each], "StorageDescriptor": {**storage, "Location": location or f"{home}{each}/"}} for each in hours
    ]
    for start in range(0, len(inputs), 100):
        stack.glue.batch_create_partition(
            DatabaseName=stack.name, TableName=table, PartitionInputList=inputs[start : start + 100]
        )


def put(stack, key, size=1000):
    stack.s3.put_object(Bucket=stack.data, Key=key, Body=b" " * size)


@pytest.fixture
def both(ask, stack, tmp_path):
    """The same files in the same hours on both hosts."""
    with simulate(WAREHOUSE, tmp_path / "data", start=START) as here:
        for number in range(30):
            here.put("clicks", [{"id": f"u{n}", "n": n} for n in range(number % 5 * 10)])
            here.put("views", [{"id": "u1", "n": number}])
            here.advance(timedelta(hours=1))
        users = here.folder / "users"
        users.mkdir()
        (users / "users.json").write_text('{"id": "u1", "name": "Ann"}\n')
        stack.s3.put_object(Bucket=stack.data, Key="users/users.json", Body=(users / "users.json").read_bytes())
        for table in ("clicks", "views"):
            register(stack, table, [hour(number) for number in range(-5, 43)])
            for (path,) in here.query(f'select distinct "$path" from {table}'):
                file = Path(path.removeprefix("file://"))
                key = f"{table}/{'/'.join(file.parts[-5:])}"
                stack.s3.put_object(Bucket=stack.data, Key=key, Body=file.read_bytes())
        yield here


STATEMENTS = [
    ("select count(*) from clicks", "adhoc"),
    ("select count(*) from clicks where n = 5 or inserted_at > '2026/11/23/12'", "adhoc"),
    ("select * from clicks c join views v on c.id = v.id where c.inserted_at = '2026/11/23/12'", "adhoc"),
    ("select * from clicks c join users u on c.id = u.id", "adhoc"),
    ("select * from clicks c left join views v on c.id = v.id and v.inserted_at >= '2026/11/23/05'", "adhoc"),
    ("select * from clicks where inserted_at between '2026/11/23/02' and '2026/11/23/22'", "small"),
    ("select id from clicks where inserted_at >= '2020/01/01/00' order by id limit 3", "adhoc"),
    ("with c as (select * from clicks) select count(*) from c where cast(inserted_at as varchar) > ''", "adhoc"),
]


def test_a_refusal_is_that_of_the_embedded_host(both, ask):
    for sql, workgroup in STATEMENTS:
        with pytest.raises(ScanRefused) as refused:
            both.query(sql, workgroup=workgroup)
        answer = ask.start(sql, workgroup=workgroup)
        assert answer["error"]["kind"] == "ScanRefused"
        assert answer["error"]["message"] == str(refused.value), sql
        dry = ask.answer(sql, workgroup=workgroup)
        assert (dry["text"], dry["query_execution_id"]) == (str(refused.value), None)
        if rewritten := dry["decision"]["rewritten"]:
            assert ask.answer(rewritten, workgroup=workgroup)["decision"]["allowed"], rewritten


def test_what_is_permitted_is_started_word_for_word(both, ask, stack, aws):
    sql = "select id, n from clicks -- all\nwhere inserted_at = '2026/11/23/04' and id <> ? order by n"
    id = ask.start(sql, "u'1")["query_execution_id"]
    athena = aws.client("athena")
    started = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]
    assert (started["Query"], started["WorkGroup"]) == (sql, "shop-dev-adhoc")
    assert started["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{stack.results}/adhoc/")
    decided = both._engine_of("adhoc").decide(sql, ["u'1"])
    assert ask.estimate(sql.replace("?", "'u1'")) == (
        decided.estimate.partitions, decided.estimate.files, decided.estimate.bytes
    )  # fmt: skip


def test_a_call_that_is_repeated_starts_nothing_new(ask, stack, aws):
    register(stack, "clicks", [hour(1)])
    token, sql = uuid.uuid4().hex, f"select count(*) as c{uuid.uuid4().hex} from clicks where inserted_at = '{hour(1)}'"
    first, second = (ask.answer(sql, token=token)["query_execution_id"] for _ in range(2))
    assert first == second
    athena = aws.client("athena")
    ids = athena.list_query_executions()["QueryExecutionIds"]
    texts = [athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Query"] for id in ids]
    assert texts.count(sql) == 1


def test_a_full_scan_where_the_workgroup_permits_it(ask, stack):
    register(stack, "clicks", [hour(1)])
    assert ask.start("select n from clicks", workgroup="small", full_scan=True)["query_execution_id"]
    kind, message = ask.error("select n from clicks", full_scan=True)
    assert kind == "ScanRefused" and message.startswith("Workgroup 'adhoc' permits no full scan")
    put(stack, f"clicks/{hour(1)}/large", 11 * 1024 * 1024)
    kind, message = ask.error("select n from clicks", workgroup="small", full_scan=True, token="t" * 32)
    assert kind == "ScanRefused" and "(scan_bytes_max), and the files of this one have 11.5 MB" in message


@pytest.mark.parametrize(
    ("sql", "kind", "text"),
    [
        ("selectt 1", "SqlSyntaxError", "Did you mean SELECT?"),
        ("drop table clicks", "QueryRefused", "DROP TABLE statements are not allowed"),
        ("unload (select 1) to 's3://x/' with (format = 'parquet')", "QueryRefused", "UNLOAD statements are not"),
        ("select * from nothing", "QueryFailed", "Table 'nothing' does not exist. The tables of database"),
        ("select * from other.clicks", "QueryFailed", "Table 'other.clicks' does not exist"),
        ("execute immediate 'select * from clicks'", "ScanRefused", "nothing bounds inserted_at of clicks"),
        ("select * from clicks where n = ?", "BadRequest", ""),
    ],
)
def test_statements_that_are_refused_before_anything_is_asked_of_athena(ask, sql, kind, text):
    found, message = ask.error(sql, token="t" * 32)
    assert found == kind and text in message


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({}, "workgroup is None"),
        ({"workgroup": "production"}, "There is no guarded workgroup 'production'; there are adhoc, small"),
        ({"sql": 5}, "sql is 5"),
        ({"parameters": [5]}, "valid is a list of texts"),
        ({"token": "short"}, "token has 5 characters"),
    ],
)
def test_calls_that_nobody_meant(ask, event, text):
    whole = {"workgroup": "adhoc", "sql": "select 1", "parameters": [], "full_scan": False, "token": ""}
    error = gateway.handler({**whole, **event} if event else {}, Lambda())["error"]
    assert error["kind"] == "BadRequest" and text in error["message"]


# -- what is stored


def test_hours_without_objects_hidden_ones_and_hours_that_point_elsewhere(ask, stack):
    register(stack, "clicks", [hour(number) for number in range(6)])
    compacted = f"s3://{stack.data}/clicks/compacted/{hour(6)}/run2/"
    register(stack, "clicks", [hour(6)], compacted)
    put(stack, f"clicks/{hour(0)}/a", 10)
    put(stack, f"clicks/{hour(0)}/b", 20)
    put(stack, f"clicks/{hour(1)}/_hidden", 10)
    put(stack, f"clicks/{hour(2)}/empty", 0)
    put(stack, f"clicks/{hour(9)}/not registered", 10)
    put(stack, f"clicks/{hour(6)}/was compacted", 10)
    put(stack, f"clicks/compacted/{hour(6)}/run1/older", 10)
    put(stack, f"clicks/compacted/{hour(6)}/run2/rows", 7)
    put(stack, f"clicks/compacted/{hour(6)}/run2/_complete", 9)
    bounded = f"select n from clicks where inserted_at >= '{hour(0)}'"
    assert ask.estimate(bounded) == (2, 3, 37)
    assert ask.estimate(f"select n from clicks where inserted_at = '{hour(0)}'") == (1, 2, 30)
    assert ask.estimate(f"select n from clicks where inserted_at in ('{hour(1)}', '{hour(6)}')") == (1, 1, 7)


def test_hours_that_are_projected(ask, stack):
    def projected(first):
        return {
            **HOURLY,
            "projection.enabled": "true",
            "projection.inserted_at.type": "date",
            "projection.inserted_at.range": f"{first},NOW+1HOURS",
            "storage.location.template": f"s3://{stack.data}/taps/${{inserted_at}}/",
        }

    for table, first in (("taps", hour(2)), ("last_day", "NOW-1DAYS")):
        stack.table(table, CLICKS, "parquet", parameters=projected(first))
    for number in (0, 2, 6, 29, 30):
        put(stack, f"taps/{hour(number)}/a", 10)
    assert ask.estimate(f"select n from taps where inserted_at >= '{hour(0)}'") == (4, 4, 40)
    assert ask.estimate("select n from taps") == (4, 4, 40)
    assert ask.estimate("select n from last_day") == (3, 3, 30)
    assert ask.estimate(f"select n from taps where inserted_at < '{hour(3)}'") == (1, 1, 10)


def test_tables_of_a_user_have_no_hours(ask, stack):
    stack.table("prices", {"item": "string"}, key="day")
    put(stack, "users/a", 10)
    register(stack, "prices", ["x", "it's"])
    put(stack, "prices/it's/a", 5)
    assert ask.answer("select * from users, prices")["decision"]["allowed"]
    assert ask.estimate("select * from users, prices where day like 'it%'") == (2, 2, 15)
    assert ask.estimate("select * from prices where day = 'x'") == (0, 0, 0)


def test_quarantines_and_tables_that_are_not_the_warehouses(ask, stack):
    documents = f"s3://{stack.data}/errors/clicks/format-conversion-failed/"
    stack.table("clicks_error_docs", {"rawdata": "string"}, location=documents)
    register(stack, "clicks_error_docs", [hour(1)])
    put(stack, f"errors/clicks/format-conversion-failed/{hour(1)}/a", 12)
    for name in ("clicks_quarantine", "by_hand"):
        columns = [{"Name": "raw_data", "Type": "binary"}, {"Name": "inserted_at", "Type": "string"}]
        view = {"Name": name, "TableType": "VIRTUAL_VIEW", "StorageDescriptor": {"Columns": columns}}
        stack.glue.create_table(DatabaseName=stack.name, TableInput={**view, "Parameters": {"presto_view": "true"}})
    stack.table("elsewhere", location="s3://other/x/")
    stack.table("odd", {"u": "uniontype<int,string>"})
    kind, message = ask.error("select * from clicks_quarantine", token="t" * 32)
    assert kind == "ScanRefused" and "nothing bounds inserted_at of clicks_quarantine" in message
    assert ask.estimate(f"select raw_data from clicks_quarantine where inserted_at = '{hour(1)}'") == (1, 1, 12)
    assert ask.estimate(f"select rawdata from clicks_error_docs where inserted_at = '{hour(1)}'") == (1, 1, 12)
    link = {"CatalogId": "210987654321", "DatabaseName": "theirs", "Name": "linked"}
    stack.glue.create_table(DatabaseName=stack.name, TableInput={"Name": "linked", "TargetTable": link})
    refused = {"by_hand": "is a view", "elsewhere": "has its files elsewhere", "odd": "has a column of a type"}
    for name, why in {**refused, "linked": "has its files elsewhere"}.items():
        kind, message = ask.error(f"select * from {name}")
        assert kind == "QueryRefused" and message.startswith(f"{name!r} {why}")


def test_a_table_in_iceberg_needs_hours_and_is_not_counted(ask, stack):
    stack.table("rows_error_docs", {"rawdata": "string"})
    columns = {**CLICKS, "inserted_at": "string"}
    stack.table("rows", columns, "parquet", key=None, parameters={"table_type": "ICEBERG"})
    assert "nothing bounds inserted_at of rows" in ask.answer("select * from rows")["text"]
    found = ask.answer(f"select n, inserted_at from rows where inserted_at = '{hour(1)}'")
    assert found["decision"]["allowed"] and found["not_counted"] == ["rows"]


# -- calls of AWS


@pytest.fixture
def intercepted(stack):
    """Answers operations of boto3 in the place of AWS, by their names; where it returns None, AWS answers."""
    answers = {}

    def answer(model, params, **_):
        return (answers.get(model.name) or (lambda params: None))(params)

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-call", answer)
    yield answers
    boto3.setup_default_session()


def refusing(code):
    response = types.SimpleNamespace(status_code=400, headers={}, raw=None)
    return lambda params: (response, {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {}})


def test_a_year_of_hours_is_listed_by_days_and_read_once(ask, stack, intercepted):
    calls, lock = [], threading.Lock()

    def counted(name):
        def count(params):
            with lock:
                calls.append((name, params["body"]))

        return count

    for name in ("GetPartitions", "ListObjectsV2"):
        intercepted[name] = counted(name)
    first = NOW_MS - 8759 * HOUR_MS
    register(stack, "clicks", [partition_of(first + number * HOUR_MS) for number in range(8760)])
    for number in (0, 8759):
        put(stack, f"clicks/{partition_of(first + number * HOUR_MS)}/a", 10)
    found = ask.answer("select count(*) from clicks")
    assert found["text"].endswith(f"where inserted_at >= '{hour(7)}'") and not found["decision"]["allowed"]
    assert found["decision"]["estimate"]["partitions"] == 2
    names = [name for name, _ in calls]
    assert (names.count("ListObjectsV2"), names.count("GetPartitions")) == (366, 1)  # the emulator knows no pages
    calls.clear()
    ask.answer(f"select n from clicks where inserted_at between '{hour(3)}' and '{hour(5)}'")
    [(_, body)] = [call for call in calls if call[0] == "GetPartitions"]
    assert json.loads(body)["Expression"] == f"inserted_at >= '{hour(3)}' AND inserted_at <= '{hour(5)}'"


def test_a_key_that_glue_does_not_parse(ask, stack, intercepted):
    register(stack, "clicks", [hour(1), hour(2)])
    put(stack, f"clicks/{hour(1)}/a", 10)
    refuse = refusing("InvalidInputException")
    intercepted["GetPartitions"] = lambda params: refuse(params) if b"Expression" in _bytes(params["body"]) else None
    assert ask.estimate(f"select n from clicks where inserted_at = '{hour(1)}'") == (1, 1, 10)


def _bytes(body):
    return body if isinstance(body, bytes) else body.encode()


@pytest.mark.parametrize(
    ("operation", "code", "kind"),
    [
        ("GetTables", "ThrottlingException", "Throttled"),
        ("GetPartitions", "AccessDeniedException", "DataWarehouseError"),
        ("ListObjectsV2", "SlowDown", "Throttled"),
        ("StartQueryExecution", "TooManyRequestsException", "Throttled"),
    ],
)
def test_calls_that_aws_refuses(ask, stack, intercepted, operation, code, kind):
    register(stack, "clicks", [hour(1)])
    intercepted[operation] = refusing(code)
    found, message = ask.error(f"select n from clicks where inserted_at = '{hour(1)}'", token="t" * 32)
    assert found == kind and message.startswith(f"The gateway's {operation} was refused: ")


def test_too_much_to_count_in_the_time_of_the_function(ask, stack):
    register(stack, "clicks", [hour(1)])
    put(stack, f"clicks/{hour(1)}/a")
    ask.remaining_ms = stored.STOP_BEFORE_END_MS - 1
    kind, message = ask.error("select n from clicks")
    assert kind == "QueryLimitExceeded" and "Bound it to fewer hours" in message


# -- the archive

_PLANNING = """
import json, sys
sys.path.insert(0, sys.argv[1])
import datawarehouse.functions.gateway
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DataWarehouseError
from datawarehouse.sql.plan import TableSchema, plan

columns = [Column(name, parse_type(kind)) for name, kind in json.loads(sys.argv[2]).items()]
tables = {name: TableSchema(name, (columns[2], columns[3]), (columns[0], columns[1]), "k") for name in "ab"}
found = []
for sql in json.load(sys.stdin):
    try:
        planned = plan(sql, tables, "db", now_ms=0)
        found.append([planned.kind, [str(scan.predicate) for scan in planned.scans], list(planned.column_types)])
    except DataWarehouseError as error:
        found.append([type(error).__name__, str(error)])
print(json.dumps(found))
"""
_FORMS = """
select k from a tablesample bernoulli (10)|select * from a pivot (sum(v) for k in ('x', 'y'))|table a|values (1, 'a')
select * from a, unnest(array[1, 2]) with ordinality as u(x, n)|select * from a, a.t|select (values 1)|show tables
select transform(array[1], x -> x + 1), cast(row(1, 2) as row(p int, q int)).p, map(array['k'], array[1])['k']
select sum(v) over (partition by k order by h rows between 1 preceding and current row) from a
select k, count(*) from a group by grouping sets ((k), ()) having count(*) > 1 order by 2 desc nulls first limit 3
select date_format(now() - interval '1' day, '%Y'), extract(day from current_date), timestamp '2026-01-01 00:00:00 UTC'
select json_extract_scalar('{"a": 1}', '$.a'), x'ff', 1e3, decimal '1.5', try_cast('x' as int), trim(both 'x' from t) from a
with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select * from r
select * from a full outer join b using (k) where a.k like 'x!_%' escape '!' or exists (select 1 from b where b.k = a.k)
select k from a except all select k from b intersect select 'x'|select case k when 'a' then 1 else 2 end, if(h > 1, 2) from a
merge into a using b on true when matched then delete|select * from a match_recognize (pattern (x) define x as true)
select * from a for version as of 5|select $1|select `k` from a|select [1]|explain analyze select 1|execute immediate 'table a'
select approx_percentile(v, 0.5), max_by(v, h), array_agg(distinct k order by k), listagg(k, ',') within group (order by k) from a
"""


def test_the_archive_plans_as_this_package_does(tmp_path):
    """In an interpreter that has nothing but what Lambda has: of sqlglot it needs no file that is not packed."""
    code = library("gateway.handler", extra=planner_files())
    for name, text in code.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    made = [Statements(random.Random(seed)).statement() for seed in range(200)]
    asked = [*re.split(r"\||\n", _FORMS.strip()), *made]

    def planned(python, folder):
        columns = {name: "string" if name in "kt" else "int" for name in "khtv"}
        command = [python, "-I", "-c", _PLANNING, folder, json.dumps(columns)]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    there, here = planned(PYTHON, str(tmp_path)), planned(sys.executable, str(Path(gateway.__file__).parents[2]))
    assert there == here
    kinds = [kind for kind, *_ in here]
    assert kinds.count("select") > 150 and len({*kinds} & {"QueryRefused", "SqlSyntaxError", "QueryFailed"}) >= 2
    assert not [name for name in code.files if name.startswith("sqlglot/executor")]
