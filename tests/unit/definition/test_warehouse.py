"""The declaration: what it holds, and that a wrong one fails at once and says what is valid."""

import functools

import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable, Table
from datawarehouse.errors import DeclarationError, UnknownName

COLUMNS = {"id": "string", "session_id": "string", "event_time": "timestamp"}


def hourly(job):
    return []


def takes_none():
    return []


@pytest.fixture
def warehouse():
    return Warehouse("analytics_dw")


def test_calls_can_be_chained_or_written_one_by_one(warehouse):
    chained = warehouse.with_streaming_input_table("clicks", columns=COLUMNS)
    assert chained is warehouse
    warehouse.with_table("facts", columns={"thing": "string"}, data_format="JSON")
    warehouse.with_batch_input_table("aggregates", {"count": "int"}, hourly, "rate(1 hour)", data_format="JSON")
    assert warehouse.list_tables() == ["clicks", "facts", "aggregates"]


def test_what_a_streaming_input_table_holds(warehouse):
    table = warehouse.with_streaming_input_table("clicks", columns=COLUMNS).get_table("clicks")
    assert isinstance(table, StreamingInputTable)
    assert [(column.name, str(column.type)) for column in table.columns] == list(COLUMNS.items())
    assert (table.partition_key_name, str(table.partition_keys[0].type)) == ("inserted_at", "string")
    assert table.input_stream_shard_count == 1
    assert table.partition_schedule_expression == "rate(1 hour)"
    assert table.file_flush_interval_seconds == 900
    assert table.data_format == "parquet"


def test_what_the_other_tables_hold(warehouse):
    warehouse.with_table("facts", [{"name": "thing", "type": "string"}], partition_keys={"day": "string", "n": "int"})
    facts = warehouse.get_table("facts")
    assert isinstance(facts, Table)
    assert facts.data_format == "parquet"
    assert [key.name for key in facts.partition_keys] == ["day", "n"]
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    warehouse.with_batch_input_table("sums", {"n": "int"}, hourly, "cron(20 * * * ? *)", policy_arns_to_attach=[arn])
    sums = warehouse.get_table("sums")
    assert isinstance(sums, BatchInputTable)
    assert sums.job is hourly
    assert sums.policy_arns_to_attach == (arn,)


def test_input_streams_are_named_as_their_tables(warehouse):
    warehouse.with_streaming_input_table("clicks", COLUMNS, input_stream_shard_count=3).with_table("facts", COLUMNS)
    stream = warehouse.get_input_stream("clicks")
    assert (stream.name, stream.shard_count) == ("clicks", 3)
    with pytest.raises(
        UnknownName, match=r"no input stream 'facts': 'facts' is a table, which has none; it has 'clicks'"
    ):
        warehouse.get_input_stream("facts")
    with pytest.raises(UnknownName, match="there is no table 'nothing'; it has 'clicks'"):
        warehouse.get_input_stream("nothing")
    with pytest.raises(UnknownName, match="no table 'nothing'; it has 'clicks', 'facts'"):
        warehouse.get_table("nothing")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("clicks", "already has a streaming input table 'clicks'"),
        ("Clicks", "already has a streaming input table 'clicks'; got 'Clicks'.*in whatever case"),
        ("Views", "Illegal table name 'Views': .*lower-case letter.* Try 'views'"),
        ("page views", "Try 'page_views'"),
        ("page-views", "Try 'page_views'"),
        ("1st", "Illegal table name"),
        ("_hidden", "Illegal table name"),
        ("", "Illegal table name ''"),
        ("a" * 256, "at most 255"),
        ("../etc", "Illegal table name"),
        ("errors", "reserved: it is the name of the folder of rejected records"),
        ("clicks_quarantine", "reserved: '<table>_quarantine' holds the rejected records"),
        ("information_schema", "reserved"),
        (None, "Illegal table name None"),
    ],
)
def test_wrong_table_names(warehouse, name, says):
    warehouse.with_streaming_input_table("clicks", COLUMNS)
    for declare in (
        lambda: warehouse.with_table(name, COLUMNS),
        lambda: warehouse.with_streaming_input_table(name, COLUMNS),
        lambda: warehouse.with_batch_input_table(name, COLUMNS, hourly, "rate(1 hour)"),
    ):
        with pytest.raises(DeclarationError, match=says):
            declare()
    assert warehouse.list_tables() == ["clicks"], "a wrong declaration adds nothing"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "has no columns; declare at least one"),
        ([], "has no columns"),
        ({"Id": "string"}, r"column 'Id': Illegal column name 'Id'.* Try 'id'"),
        ({"id": "strin"}, "column 'id': Malformed column type 'strin'"),
        ({"id": None}, "column 'id': A column type is a string"),
        ([{"name": "id", "type": "string"}, {"name": "id", "type": "int"}], "two columns named 'id'"),
        ([{"name": "id"}], "columns are a mapping {name: type} or a list"),
        (["id"], "columns are a mapping"),
        ("id string", "columns are a mapping"),
        (7, "columns are a mapping"),
        ({"inserted_at": "string"}, "'inserted_at' is declared as a column and as a partition key"),
    ],
)
def test_wrong_columns(warehouse, columns, says):
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_streaming_input_table("clicks", columns)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"data_format": "json"}, "unknown data format 'json'; valid are 'parquet' and 'JSON'"),
        ({"data_format": None}, "unknown data format None"),
        ({"partition_keys": {"id": "string"}}, "'id' is declared as a column and as a partition key"),
        ({"partition_keys": {"day": "array<int>"}}, "partition key 'day' is array<int>; use string"),
        ({"partition_keys": {"Day": "string"}}, "Illegal partition key name 'Day'"),
    ],
)
def test_wrong_tables(warehouse, arguments, says):
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_table("facts", COLUMNS, **arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"input_stream_shard_count": 0}, "input_stream_shard_count is 0; valid is a whole number from 1 to 500"),
        ({"input_stream_shard_count": 1.0}, "input_stream_shard_count is 1.0"),
        ({"input_stream_shard_count": True}, "input_stream_shard_count is True"),
        ({"file_flush_interval_seconds": 0}, "file_flush_interval_seconds is 0; valid is a whole number from 1 to 900"),
        ({"file_flush_interval_seconds": 901}, "file_flush_interval_seconds is 901"),
        ({"partition_key_name": "id"}, "'id' is declared as a column and as a partition key"),
        ({"partition_key_name": "Hour"}, "Illegal partition key name"),
        ({"partition_schedule_expression": "hourly"}, "Not a schedule expression: 'hourly'"),
    ],
)
def test_wrong_streaming_input_tables(warehouse, arguments, says):
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_streaming_input_table("clicks", COLUMNS, **arguments)


class Jobs:
    def method(self, job):
        return []


async def later(job):
    return []


@functools.wraps(hourly)
def decorated(job):
    return hourly(job)


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (lambda job: [], "the job is a lambda; a job is a function defined with `def` at the top level"),
        (Jobs().method, "a job is a function"),
        (Jobs.method, "not at the top level"),
        ("hourly", "the job is 'hourly'"),
        (None, "give job=... or sql=..."),
        (takes_none, r"takes_none\(\) cannot be called with one argument"),
        (later, "the job later is `async`, and nothing awaits it"),
        (decorated, "the job hourly is not what other processes find under that name in its module"),
    ],
)
def test_wrong_jobs(warehouse, job, says):
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_batch_input_table("sums", COLUMNS, job, "rate(1 hour)")


def test_a_nested_function_is_no_job(warehouse):
    def nested(job):
        return []

    with pytest.raises(DeclarationError, match="nested', which is not at the top level"):
        warehouse.with_batch_input_table("sums", COLUMNS, nested, "rate(1 hour)")


@pytest.mark.parametrize("arns", ["arn:aws:iam::aws:policy/X", ["AmazonS3ReadOnlyAccess"], ["arn:aws:s3:::b"]])
def test_wrong_policies(warehouse, arns):
    with pytest.raises(DeclarationError, match="valid is a list of IAM policy ARNs"):
        warehouse.with_batch_input_table("sums", COLUMNS, hourly, "rate(1 hour)", policy_arns_to_attach=arns)


def test_a_warehouse_has_a_name_that_glue_takes():
    with pytest.raises(DeclarationError, match=r"Illegal warehouse name 'Analytics DW'.* Try 'analytics_dw'"):
        Warehouse("Analytics DW")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reads": ["nothing"]}, "reads has 'nothing', which is not declared before it; there are 'clicks', 'facts'"),
        ({"reads": ["sums"]}, "reads has 'sums', which is not declared before it"),
        ({"run_when_complete": 1}, "run_when_complete is 1; valid are True and False"),
        ({"run_when_complete": True}, r"needs the tables that the job reads: give reads=\[...\]"),
        (
            {"run_when_complete": True, "reads": ["clicks", "facts"]},
            "cannot wait for 'facts', which you fill yourself: leave it out of reads",
        ),
        (
            {"run_when_complete": True, "reads": ["clicks"], "schedule_expression": "rate(2 hours)"},
            r"runs once an hour; its schedule_expression is 'rate\(2 hours\)': give 'rate\(1 hour\)'",
        ),
        (
            {"run_when_complete": True, "reads": ["clicks"], "schedule_expression": "cron(0 * * * ? *)"},
            "its schedule_expression is 'cron",
        ),
        ({"schedule_expression": "hourly"}, "Not a schedule expression: 'hourly'"),
        ({"rerun_when_late": 1}, "rerun_when_late is 1; valid are True and False"),
        ({"rerun_when_late": True}, r"needs the streaming input tables that the job reads: give reads=\[...\]"),
        ({"rerun_when_late": True, "reads": ["facts"]}, "needs the streaming input tables"),
        (
            {"rerun_when_late": True, "reads": ["clicks"], "schedule_expression": "rate(1 day)"},
            "rerun_when_late needs a run for each hour: give a schedule_expression",
        ),
        (
            {"rerun_when_late": True, "reads": ["clicks"], "schedule_expression": "cron(20 8-18 * * ? *)"},
            "rerun_when_late needs a run for each hour",
        ),
        ({"rerun_when_late": True, "reads": ["clicks"]}, "needs hours that can be replaced: give partition_keys="),
        ({"rerun_when_event_hour_changes": "yes"}, "rerun_when_event_hour_changes is 'yes'; valid are True and False"),
        (
            {"rerun_when_event_hour_changes": True, "reads": ["clicks"]},
            "needs a streaming input table that the job reads and that declares its event time: give reads=",
        ),
        ({"missed_runs": "none"}, "missed_runs is 'none'; valid are 'latest', 'all', 'skip'"),
        ({"missed_runs": None}, "missed_runs is None"),
        ({"memory_mb": 64}, "memory_mb is 64; valid is a whole number from 128 to 10240"),
        ({"timeout_s": 901}, "timeout_s is 901; valid is a whole number from 1 to 900"),
        ({"timeout_s": None}, "timeout_s is None"),
        ({"retention_days": 0}, "retention_days is 0; valid is a whole number from 1 to 36500"),
        ({"retention_days": 36_501}, "retention_days is 36501"),
        ({"retention_days": 1.5}, "retention_days is 1.5"),
        ({"retention_days": True}, "retention_days is True"),
        ({"partition_keys": {"hour": "string", "n": "string"}}, "partition keys are hour string, n string"),
        ({"partition_keys": {"hour": "int"}}, "has none, or one of type string"),
    ],
)
def test_wrong_batch_input_tables(warehouse, arguments, says):
    warehouse.with_streaming_input_table("clicks", COLUMNS).with_table("facts", COLUMNS)
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_batch_input_table(
            "sums", COLUMNS, hourly, **{"schedule_expression": "rate(1 hour)", **arguments}
        )
    assert warehouse.list_tables() == ["clicks", "facts"]


@pytest.mark.parametrize("argument", ["reads", "policy_arns_to_attach"])
@pytest.mark.parametrize("given", [None, [7], 7])
def test_lists_of_names(warehouse, argument, given):
    with pytest.raises(DeclarationError, match=r"Table 'sums'.* valid is a list of texts\. Leave"):
        warehouse.with_batch_input_table("sums", COLUMNS, hourly, "rate(1 hour)", **{argument: given})


NESTED = {"id": "string", "tags": "array<string>", "device": "struct<os:string>", "more": "map<string,int>"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sort_by": ["nothing"]}, "sort_by names 'nothing'; valid are the columns that are not nested: 'id'"),
        ({"sort_by": "tags"}, "sort_by names 'tags'; valid are the columns that are not nested: 'id'"),
        ({"sort_by": ["id", "device"]}, "sort_by names 'device'"),
        ({"sort_by": ["inserted_at"]}, "sort_by names 'inserted_at'"),
        ({"sort_by": None}, "sort_by is None; valid is a list of texts. Leave it out for none."),
        ({"dedupe_key": "nothing"}, "dedupe_key names 'nothing'; valid are the columns that are not nested: 'id'"),
        ({"dedupe_key": "more"}, "dedupe_key names 'more'"),
        ({"compaction": "daily"}, "compaction is 'daily'; valid is 'hourly'. Leave it out for none."),
        ({"compaction": True}, "compaction is True; valid is 'hourly'"),
        ({"retention_days": 0}, "retention_days is 0; valid is a whole number from 1 to 36500"),
        ({"retention_days": 36_501}, "retention_days is 36501"),
        ({"retention_days": "30"}, "retention_days is '30'"),
        ({"event_time": "tags"}, "event_time names 'tags', which is array<string>; valid are .* type timestamp: none."),
        ({"event_time": "inserted_at"}, "event_time names 'inserted_at', which is no column of it"),
        ({"event_time": ["id"]}, r"event_time names \['id'\], which is no column"),
        ({"event_time": ""}, "event_time names '', which is no column"),
    ],
)
def test_wrong_compaction_and_expiry(warehouse, arguments, says):
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_streaming_input_table("clicks", NESTED, **arguments)
    assert warehouse.list_tables() == []


@pytest.mark.parametrize("kind", ["date", "bigint", "string", "struct<at:timestamp>"])
def test_event_time_is_a_timestamp(warehouse, kind):
    columns = {"at": kind, "seen": "timestamp", "sent": "timestamp"}
    with pytest.raises(DeclarationError, match=r"which is .*; valid are its columns of type timestamp: 'seen', 'sent'"):
        warehouse.with_streaming_input_table("clicks", columns, event_time="at")
    warehouse.with_streaming_input_table("clicks", columns, event_time="sent")
    assert warehouse.get_table("clicks").event_time == "sent"


def test_what_is_declared_of_compaction_expiry_and_runs(warehouse):
    warehouse.with_streaming_input_table(
        "clicks", NESTED, retention_days=36_500, sort_by="id", dedupe_key="id", compaction="hourly"
    )
    clicks = warehouse.get_table("clicks")
    assert (clicks.retention_days, clicks.sort_by, clicks.dedupe_key, clicks.compaction) == (
        *(36_500, ("id",), "id"),
        "hourly",
    )
    warehouse.with_batch_input_table(
        "sums", {"n": "int"}, hourly, "rate(1 hour)", reads="clicks", run_when_complete=True, missed_runs="all"
    )
    sums = warehouse.get_table("sums")
    assert (sums.reads, sums.run_when_complete, sums.missed_runs, sums.retention_days) == (
        ("clicks",),
        True,
        "all",
        None,
    )
