"""The function that runs jobs, in this process, against the emulator's Glue and S3 and the small Athena."""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError
from functions_stack import HOUR, ROW, answer
from running import until

from datawarehouse.definition.storage import STORAGE
from datawarehouse.errors import BadRequest, QueryFailed, QueryLimitExceeded, QueryRefused
from datawarehouse.functions import run_job
from datawarehouse.functions.publish import Publisher


def test_a_json_table_without_partitions_has_one_object_an_hour(stack, run):
    stack.table("facts", key=None)
    assert run("facts", lambda job: [ROW, {"count": None}]) == {HOUR: 2}
    key = f"facts/{HOUR}/rows.json"
    assert stack.objects(stack.data) == {
        key: b'{"event_type":"it\'s","count":3,"at":"2026-11-23 06:00:00.250","price":1.50}\n{}\n'
    }
    assert run("facts", lambda job: {"count": 4}) == {HOUR: 1}
    assert stack.objects(stack.data) == {key: b'{"count":4}\n'}
    assert answer(run, "facts", "select count, event_type from facts") == [(4, None)]


def test_a_partitioned_json_table_is_repointed_by_a_rerun(stack, run):
    stack.table("facts")

    def job(job):
        job.write([{"count": 1}], job.open_partition)
        yield {"count": 2}

    assert run("facts", job) == {"2026/11/23/07": 1, HOUR: 1}
    first = {value: found["Location"] for value, found in stack.partitions("facts").items()}
    assert first.keys() == {"2026/11/23/07", HOUR}
    assert all(place.startswith(f"s3://{stack.data}/facts/{value}/") for value, place in first.items())
    run("facts", job)
    second = {value: found["Location"] for value, found in stack.partitions("facts").items()}
    assert not set(first.values()) & set(second.values())
    sql = "select inserted_at, count from facts where inserted_at >= ? order by 1"
    assert answer(run, "facts", sql, [HOUR]) == [(HOUR, 2), ("2026/11/23/07", 1)]
    # The job that asked was a run without rows itself.
    assert answer(run, "facts", sql, [HOUR]) == [("2026/11/23/07", 1)]


def test_a_partitioned_parquet_table_is_repointed_by_a_rerun(stack, run):
    stack.parquet_table("aggregates")
    stack.table("other", {"n": "int"}, key=None)
    assert run("aggregates", lambda job: [ROW, {"count": 2, "tags": ["a", None]}]) == {HOUR: 2}
    first = stack.partitions("aggregates")[HOUR]["Location"]
    [written] = stack.objects(stack.data)
    assert f"s3://{stack.data}/{written}".startswith(first) and first.startswith(
        f"s3://{stack.data}/aggregates/{HOUR}/"
    )
    sql = "select event_type, count, at, price, json_format(cast(tags as json)), inserted_at from aggregates order by 2"
    assert answer(run, "other", sql) == [
        (None, 2, None, None, '["a",null]', HOUR),
        ("it's", 3, datetime(2026, 11, 23, 6, 0, 0, 250_000), Decimal("1.50"), None, HOUR),
    ]
    run("aggregates", lambda job: [{"count": 7}])
    second = stack.partitions("aggregates")[HOUR]
    assert second["Location"] != first and second["SerdeInfo"]["SerializationLibrary"] == STORAGE["parquet"].serde
    assert answer(run, "other", "select count from aggregates") == [(7,)]
    run("aggregates", lambda job: [{"count": 8}])
    assert len(stack.objects(stack.data, "aggregates/")) == 3  # queries may still read the first two


@pytest.mark.parametrize("key", ["inserted_at", None])
def test_expired_hours_of_a_job_leave_the_catalog(stack, run, monkeypatch, key):
    stack.table("facts", key=key)

    def job(job):
        for hour in ("2026/11/20/05", "2026/11/21/06", "2026/11/21/07"):
            job.write([{"count": 1}], hour)
        yield {"count": 2}

    monkeypatch.setenv("DW_RETENTION_DAYS", "2")
    assert len(run("facts", job)) == 4
    assert set(stack.partitions("facts")) == ({"2026/11/21/07", HOUR} if key else set())


@pytest.mark.parametrize("form", ["JSON", "parquet"])
def test_runs_are_deleted_but_for_the_last_and_the_one_that_queries_may_still_read(stack, run, monkeypatch, form):
    (stack.table if form == "JSON" else stack.parquet_table)("aggregates")
    monkeypatch.setattr("datawarehouse.functions.publish._STALE", timedelta(hours=-1))
    written = []
    for count in range(3):
        run("aggregates", lambda job, count=count: [{"count": count}])
        [new] = stack.objects(stack.data, f"aggregates/{HOUR}/").keys() - set(written)
        written.append(new)
    assert set(stack.objects(stack.data)) == set(written[1:])
    # With a run goes the mark that it was complete.
    folders = [key.rpartition("/")[0] for key in written[1:]]
    assert sorted(stack.keys(stack.data)) == sorted([*written[1:], *(f"{folder}/_complete" for folder in folders)])


def test_the_first_run_of_the_next_hour_deletes_what_the_hour_before_no_longer_needs(stack, run, monkeypatch):
    stack.table("aggregates")
    stack.table("other", {"n": "int"}, key=None)
    for count in range(3):
        run("aggregates", lambda job, count=count: [{"count": count}])
    assert len(stack.objects(stack.data)) == 3
    monkeypatch.setattr("datawarehouse.functions.publish._STALE", timedelta(hours=-1))
    run("aggregates", lambda job: [{"count": 9}], "2026-11-23T08:20:00Z")
    assert len(stack.objects(stack.data, f"aggregates/{HOUR}/")) == 1
    assert answer(run, "other", "select count from aggregates order by 1") == [(2,), (9,)]


def test_a_run_without_rows_leaves_an_hour_without_rows(stack, run):
    stack.parquet_table("aggregates")
    stack.table("facts")
    stack.table("other", {"n": "int"}, key=None)
    for table in ("aggregates", "facts"):
        assert run(table, lambda job: [{"count": 1}]) == {HOUR: 1}
        assert answer(run, "other", f"select count from {table}") == [(1,)]
        assert run(table, lambda job: None) == {HOUR: 0}
        assert answer(run, "other", f"select count from {table}") == []
        assert HOUR in stack.partitions(table)
    assert len(stack.objects(stack.results, "staging/")) == 1


EARLIER = "2026/11/23/05"


@pytest.fixture
def pointed_again(stack, monkeypatch):
    """Calls the function of the job of a table, so that it points hours to their newest complete runs."""

    def again(table, since):
        monkeypatch.setenv("DW_TABLE", table)
        monkeypatch.setenv("DW_RESULTS", f"s3://{stack.results}")
        return run_job.handler({"point_again_from": since}, None)

    return again


@pytest.mark.parametrize("form", ["JSON", "parquet"])
def test_pointers_that_are_lost_are_found_again(stack, run, pointed_again, form):
    (stack.table if form == "JSON" else stack.parquet_table)("aggregates")
    stack.table("other", {"n": "int"}, key=None)
    for count in (1, 2):
        run("aggregates", lambda job, count=count: [{"count": count}])
    run("aggregates", lambda job: [{"count": 5}], "2026-11-23T06:20:00Z")
    before = {value: found["Location"] for value, found in stack.partitions("aggregates").items()}
    assert before.keys() == {EARLIER, HOUR}
    # A run that ended before it was complete has a later name, and no mark.
    folder = before[HOUR].removeprefix(f"s3://{stack.data}/").rstrip("/").rpartition("/")[0]
    stack.s3.put_object(Bucket=stack.data, Key=f"{folder}/20991231T000000.000000Z-00000000/half.parquet", Body=b"x")
    table = stack.glue.get_table(DatabaseName=stack.name, Name="aggregates")["Table"]
    for value in before:
        stack.glue.delete_partition(DatabaseName=stack.name, TableName="aggregates", PartitionValues=[value])
    assert pointed_again("aggregates", HOUR) == {HOUR: 0}
    assert pointed_again("aggregates", "2026/11/01/00") == {EARLIER: 0}
    assert pointed_again("aggregates", "2026/11/01/00") == {}
    found = stack.partitions("aggregates")
    assert {value: each["Location"] for value, each in found.items()} == before
    assert {tuple(each["Columns"][0].items()) for each in found.values()} == {
        tuple(table["StorageDescriptor"]["Columns"][0].items())
    }
    assert answer(run, "other", "select count from aggregates order by 1") == [(2,), (5,)]


def test_a_pointer_to_an_older_run_is_moved_and_an_hour_without_rows_stays_one(stack, run, pointed_again):
    stack.table("aggregates")
    stack.table("other", {"n": "int"}, key=None)
    run("aggregates", lambda job: [{"count": 1}])
    older = stack.partitions("aggregates")[HOUR]
    run("aggregates", lambda job: None)
    newer = stack.partitions("aggregates")[HOUR]["Location"]
    stack.glue.delete_partition(DatabaseName=stack.name, TableName="aggregates", PartitionValues=[HOUR])
    moved = {"Values": [HOUR], "StorageDescriptor": older}
    stack.glue.create_partition(DatabaseName=stack.name, TableName="aggregates", PartitionInput=moved)
    assert pointed_again("aggregates", HOUR) == {HOUR: 0}
    assert stack.partitions("aggregates")[HOUR]["Location"] == newer
    assert answer(run, "other", "select count from aggregates") == []


def test_what_cannot_be_pointed_again_is_told(stack, pointed_again):
    stack.table("facts", key=None)
    with pytest.raises(BadRequest, match="no partition key"):
        pointed_again("facts", HOUR)
    stack.table("aggregates")
    with pytest.raises(BadRequest, match="Not an hourly partition"):
        pointed_again("aggregates", "yesterday")
    assert pointed_again("aggregates", HOUR) == {}


def test_a_parquet_table_without_partitions_has_the_objects_of_the_last_run_alone(stack, run):
    stack.parquet_table("aggregates", key=None)
    stack.table("other", {"n": "int"}, key=None)
    run("aggregates", lambda job: [{"count": 1}])
    run("aggregates", lambda job: [{"count": 10}], "2026-11-23T08:20:00Z")
    run("aggregates", lambda job: [{"count": 2}])
    assert answer(run, "other", "select count from aggregates order by 1") == [(2,), (10,)]
    keys = list(stack.objects(stack.data, "aggregates/"))
    assert len(keys) == 2
    assert all(key.endswith("-0.parquet") for key in keys)
    run("aggregates", lambda job: [])
    assert answer(run, "other", "select count from aggregates") == [(10,)]


def test_of_runs_that_overlap_the_latest_remains_in_a_table_without_partitions(stack, run, monkeypatch):
    """Two runs for an hour copy their files before either looks what is there: none must delete the other's."""
    stack.parquet_table("aggregates", key=None)
    stack.table("other", {"n": "int"}, key=None)
    early, late = Publisher._written, []

    def overtaken(publisher, partition, rows):
        target = early(publisher, partition, rows)
        if not late:
            late.append("begun")
            run("aggregates", lambda job: [{"count": 2}])
        return target

    monkeypatch.setattr(Publisher, "_written", overtaken)
    run("aggregates", lambda job: [{"count": 1}])
    assert answer(run, "other", "select count from aggregates") == [(2,)]


def test_the_staging_table_says_by_which_column_a_run_is_found(stack, run):
    stack.parquet_table("t", {"run": "string", "n": "int"}, run_key="_run")
    stack.table("other", {"n": "int"}, key=None)
    run("t", lambda job: [{"run": "a", "n": 1}])
    assert answer(run, "other", "select run, n from t") == [("a", 1)]


POINTED = {("glue", name) for name in ("CreatePartition", "BatchUpdatePartition", "GetPartition")} | {
    ("s3", name) for name in ("PutObject", "ListObjectsV2", "DeleteObjects")
}
QUERY = {("athena", name) for name in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults")}


@pytest.mark.parametrize(
    ("form", "key", "wanted"),
    [
        ("JSON", None, {("s3", "PutObject")}),
        ("JSON", "inserted_at", POINTED),
        ("parquet", "inserted_at", POINTED),
        ("parquet", None, {("s3", name) for name in ("PutObject", "ListObjectsV2", "CopyObject", "DeleteObjects")}),
    ],
)
def test_a_job_calls_what_its_role_is_to_allow_and_nothing_else(stack, run, calls, monkeypatch, form, key, wanted):
    monkeypatch.setattr("datawarehouse.functions.publish._STALE", timedelta(hours=-1))
    if form == "JSON":
        stack.table("t", key=key)
    else:
        stack.parquet_table("t", key=key)
    for _ in range(3):
        run("t", lambda job: [{"count": job.query("select 1")[0][0]}])
    assert calls == wanted | QUERY | {("glue", "GetTable")}


@pytest.mark.parametrize("kind", ["JSON", "parquet"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, {"count": "many"}], "Row 2 for table 't' does not fit: .*Column 'count': expected a whole number"),
        ([ROW, {"counts": 1}], "Row 2 for table 't' has 'counts', which is not a column; there are at, count"),
        ([ROW, ["count", 1]], "Row 2 for table 't' is .'count', 1.; a row maps column names to values"),
        ([{"count": 1}, {"event_type": object()}], "Row 2 for table 't' cannot be written: column 'event_type'"),
    ],
)
def test_a_row_that_does_not_fit_leaves_everything_as_it_was(stack, run, kind, rows, message):
    if kind == "JSON":
        stack.table("t")
    else:
        stack.parquet_table("t")
    run("t", lambda job: [{"count": 1}])
    before = stack.objects(stack.data), stack.objects(stack.results), stack.partitions("t")
    with pytest.raises(BadRequest, match=message):
        run("t", lambda job: iter(rows))
    assert (stack.objects(stack.data), stack.objects(stack.results), stack.partitions("t")) == before


def test_what_the_job_raises_is_raised(stack, run):
    stack.table("facts")

    def job(job):
        job.write([{"count": 1}])
        raise ZeroDivisionError("of the user's")

    with pytest.raises(ZeroDivisionError, match="of the user's"):
        run("facts", job)
    assert stack.objects(stack.data) == {}


def test_the_context_has_the_same_hours_as_the_embedded_one(stack, run):
    stack.table("facts")
    seen = []
    run("facts", lambda job: seen.append((job.time, job.partition, job.open_partition)))
    assert seen == [(datetime(2026, 11, 23, 7, 20, tzinfo=UTC), HOUR, "2026/11/23/07")]


# -- queries


def test_values_come_as_the_embedded_host_gives_them(stack, run):
    stack.table("facts")
    sql = """
        select 1, bigint '9007199254740993', 1.5e0, 1e300, -0.25e-7, nan(), -infinity(), cast(1.5 as real),
            decimal '12.30', 'x', '', cast(null as varchar), true, false, timestamp '2026-11-23 06:00:00.250',
            date '2026-11-23', X'00ff', json_format(json_parse('{"a":1}')), null
    """
    [row] = answer(run, "facts", sql)
    assert repr(row[5]) == "nan"
    assert row[:5] + row[6:] == (
        1, 9007199254740993, 1.5, 1e300, -0.25e-7, float("-inf"), 1.5, Decimal("12.30"), "x", "", None, True, False,
        datetime(2026, 11, 23, 6, 0, 0, 250_000), date(2026, 11, 23), b"\x00\xff", '{"a":1}', None,
    )  # fmt: skip
    kinds = [type(value) for value in row]
    assert kinds[:2] == [int, int] and kinds[8] is Decimal and kinds[12] is bool


@pytest.mark.parametrize(
    "value",
    [
        "it's", "'", "''", "abc", "x + 1", "now()", "?", "", "ü\n", 0, -3, 2**62, 1.5, 1e300, -1e-7, True, False, None,
        Decimal("12.30"), Decimal("-0.05"), date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 678_000), b"\x00\xff",
    ],
    ids=repr,
)  # fmt: skip
def test_a_parameter_arrives_as_it_was_given(stack, run, value):
    stack.table("facts")
    [(found, marked)] = answer(run, "facts", "select ?, 'what?'", [value])
    assert (found, type(found), marked) == (value, type(value), "what?")


def test_a_parameter_that_is_no_value_is_refused(stack, run):
    stack.table("facts")
    with pytest.raises(BadRequest, match="valid are str, int"):
        answer(run, "facts", "select ?", [object()])
    with pytest.raises(BadRequest, match="1024"):
        answer(run, "facts", "select ?", ["x" * 1023])


def test_an_instant_with_a_zone_is_a_parameter_in_utc(stack, run):
    stack.table("facts")
    given = datetime.fromisoformat("2026-11-23T09:00:00+02:00")
    assert answer(run, "facts", "select ?", [given]) == [(datetime(2026, 11, 23, 7),)]


def test_results_of_several_pages_are_whole(stack, run):
    stack.table("facts")
    rows = answer(run, "facts", "select x from unnest(sequence(1, 2500)) as t(x) order by x")
    assert rows == [(n,) for n in range(1, 2501)]
    assert [key for key in stack.objects(stack.results) if not key.startswith("batch/facts/")] == []


def test_a_listing_has_no_row_of_names(stack, run):
    stack.table("facts")
    assert answer(run, "facts", "show tables") == [("facts",)]


@pytest.mark.parametrize("value", ["array[1]", "map(array['a'], array[1])", "cast(row(1, 2) as row(a int, b int))"])
def test_a_nested_result_is_refused_with_advice(stack, run, value):
    stack.table("facts")
    with pytest.raises(QueryRefused, match=r"json_format\(CAST\(x AS JSON\)\)"):
        answer(run, "facts", f"select {value} as x")


def test_a_query_that_fails_is_raised(stack, run):
    stack.table("facts")
    with pytest.raises(QueryFailed, match=r"failed: .*nowhere"):
        answer(run, "facts", "select * from nowhere")
    with pytest.raises(ClientError, match="InvalidRequestException"):
        answer(run, "facts", "selec 1")


def test_a_query_is_stopped_before_the_function_is_out_of_time(aws, stack, run):
    stack.table("facts")
    sql = """
        select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y),
            unnest(sequence(1, 10000)) c(z)
        where (x * y) % 7 = 3
    """
    with pytest.raises(QueryLimitExceeded, match="was stopped") as raised:
        run("facts", lambda job: job.query(sql) and [], remaining_ms=1000)
    id = str(raised.value).split()[2]
    execution = aws.client("athena").get_query_execution(QueryExecutionId=id)["QueryExecution"]
    assert execution["Status"]["State"] == "CANCELLED"
    computing = [thread for thread in threading.enumerate() if thread.name == "statement"]
    until(lambda: not any(thread.is_alive() for thread in computing), "the statement takes no time from other tests")
