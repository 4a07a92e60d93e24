"""The example as a stack of the real engine: created, unchanged, changed, refused, removed."""

import itertools
import re
from pathlib import Path

import pytest
from aws_provider import digested
from programs import edit, example, graph_of

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "deploy-to-aws.md"
CREATED = int(re.search(r"\| in all \| (\d+) ", GUIDE.read_text())[1])
"""The resources of a production stack."""


MORE = ('    "price": "decimal(9,4)",\n', '    "price": "decimal(9,4)",\n    "more": "int",\n')
"""A column more, in the declaration of `clicks`."""
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def production(new_stack, tmp_path_factory):
    """The example in production; its tests leave it as it is."""
    cli = new_stack(example(tmp_path_factory.mktemp("production") / "program"), "prod")
    done = cli.change("up")
    assert done.code == 0, done.said
    return cli, done


@pytest.fixture
def changed(new_stack, tmp_path):
    """A stack of its own for a test that changes it."""
    cli = new_stack(example(tmp_path / "program"), f"changed{next(_NUMBERS)}")
    done = cli.change("up", "--skip-preview")
    assert done.code == 0, done.said
    cli.provider.calls.clear()
    return cli


def writes(cli):
    """The calls that change something in AWS."""
    return [call for call in cli.provider.calls if call[0] != "read"]


def log_streams(aws):
    """The log streams of deliveries."""
    logs = aws.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    streams = [(group, logs.describe_log_streams(logGroupName=group)["logStreams"]) for group in groups]
    return {(group, each["logStreamName"]) for group, found in streams for each in found if "-input-log-" in group}


def everything_there(aws):
    """What an account has of the kinds that have names: (kind, name)."""
    iam, glue = aws.client("iam"), aws.client("glue")
    databases = [each["Name"] for each in glue.get_databases()["DatabaseList"]]
    roles = [each["RoleName"] for each in iam.list_roles()["Roles"]]
    rules = [each["Name"] for each in aws.client("events").list_rules()["Rules"]]
    firehose = aws.client("firehose").list_delivery_streams(Limit=1000)["DeliveryStreamNames"]
    found = {
        "database": databases,
        "table": [(one, each["Name"]) for one in databases for each in glue.get_tables(DatabaseName=one)["TableList"]],
        "role": roles,
        "policy": [(one, each) for one in roles for each in iam.list_role_policies(RoleName=one)["PolicyNames"]],
        "rule": rules,
        "target": [
            (one, each["Id"])
            for one in rules
            for each in aws.client("events").list_targets_by_rule(Rule=one)["Targets"]
        ],
        "firehose": firehose,
        "stream": aws.client("kinesis").list_streams(Limit=1000)["StreamNames"],
        "function": [each["FunctionName"] for each in aws.client("lambda").list_functions()["Functions"]],
        "bucket": [each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]],
        "topic": [each["TopicArn"] for each in aws.client("sns").list_topics()["Topics"]],
        "queue": aws.client("sqs").list_queues().get("QueueUrls", []),
        "alarm": [each["AlarmName"] for each in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "workgroup": [each["Name"] for each in aws.client("athena").list_work_groups()["WorkGroups"]],
        "log": log_streams(aws),
    }
    return {(kind, name) for kind, names in found.items() for name in names}


def test_up_creates_what_the_guide_lists(production, aws):
    cli, done = production
    graph = graph_of(cli.state())
    assert len(graph.custom) == CREATED
    assert len(done.steps) == done.counted()["create"] == CREATED + len(graph.components) + 2  # the stack, a provider
    outputs = cli.outputs()
    assert outputs["database_name"] == "analytics_dw_prod"
    streams = aws.client("kinesis").list_streams()["StreamNames"]
    assert {outputs["click_input_stream"], outputs["impression_input_stream"]} <= set(streams)


def test_a_second_up_changes_nothing(production):
    cli, _ = production
    done = cli.change("up")
    assert (done.code, done.steps, writes(cli)) == (0, [], []), done.said


def test_neither_does_a_refresh(production):
    cli, _ = production
    before = graph_of(cli.state())
    done = cli.change("refresh")
    assert (done.code, done.steps, writes(cli)) == (0, [], []), done.said
    assert len([call for call in cli.provider.calls if call[0] == "read"]) >= CREATED
    for node in graph_of(cli.state()):
        was = before.nodes[node.urn]
        assert (node.id, digested(node.inputs), digested(node.outputs)) == (
            was.id,
            digested(was.inputs),
            digested(was.outputs),
        )
    done = cli.change("up")
    assert (done.code, done.steps) == (0, []), done.said


def test_a_dropped_column_is_refused_in_one_line(production, tmp_path):
    cli, _ = production
    edit(cli.folder / "warehouse.py", {'    "position": "int",\n': ""})
    try:
        for options in ((), ("--skip-preview",)):
            done = cli.change("up", *options)
            assert done.code and writes(cli) == []
            assert "Table 'impressions': column 'position' (int) is no longer declared" in done.said
            assert "Traceback" not in done.said
    finally:
        edit(
            cli.folder / "warehouse.py",
            {'    "query": "string",\n': '    "position": "int",\n    "query": "string",\n'},
        )


def test_production_is_not_destroyed(production):
    cli, _ = production
    done = cli.change("destroy")
    assert done.code and writes(cli) == []
    assert "cannot be deleted" in done.said and "because it is protected" in done.said, done.said


def test_what_somebody_changed_in_aws_is_seen_and_put_right(changed, aws):
    """A table that was deleted, and a column that was taken out of one."""
    glue, database = aws.client("glue"), changed.outputs()["database_name"]
    table = glue.get_table(DatabaseName=database, Name="clicks")["Table"]
    given = {key: table[key] for key in ("Name", "TableType", "PartitionKeys", "Parameters", "StorageDescriptor")}
    whole = list(given["StorageDescriptor"]["Columns"])
    given["StorageDescriptor"]["Columns"] = whole[:-1]
    glue.update_table(DatabaseName=database, TableInput=given)
    glue.delete_table(DatabaseName=database, Name="facts")
    done = changed.change("refresh")
    assert done.code == 0, done.said
    assert sorted(done.steps) == [
        ("delete", "CatalogTable", "analytics_dw-facts"),
        ("update", "CatalogTable", "analytics_dw-clicks"),
    ]
    done = changed.change("up")
    assert done.code == 0, done.said
    assert sorted(done.steps) == [
        ("create", "CatalogTable", "analytics_dw-facts"),
        ("update", "CatalogTable", "analytics_dw-clicks"),
    ]
    assert glue.get_table(DatabaseName=database, Name="clicks")["Table"]["StorageDescriptor"]["Columns"] == whole


def test_a_column_is_added(changed, aws):
    """Firehose is updated, so that it reads the columns anew, and the registrar is called again. The log stream of the
    columns before is forgotten and stays."""
    logs = log_streams(aws)
    edit(changed.folder / "warehouse.py", {MORE[0]: MORE[1]})
    done = changed.change("up")
    assert done.code == 0, done.said
    assert sorted(done.steps) == [
        ("create", "LogStream", "analytics_dw-clicks-input-log-4e327a68d009"),
        ("create-replacement", "Invocation", "analytics_dw-clicks-partitions-now"),
        ("delete", "LogStream", "analytics_dw-clicks-input-log-b000c584c0e6"),
        ("delete-replaced", "Invocation", "analytics_dw-clicks-partitions-now"),
        ("replace", "Invocation", "analytics_dw-clicks-partitions-now"),
        ("update", "CatalogTable", "analytics_dw-clicks"),
        ("update", "FirehoseDeliveryStream", "analytics_dw-clicks-input-delivery"),
        ("update", "Function", "analytics_dw-aggregates-job-cron-function"),  # the declaration is in its archive
    ]
    assert ("delete", "LogStream") not in {call[:2] for call in changed.provider.calls}
    assert logs < log_streams(aws) and len(log_streams(aws) - logs) == 1
    order = [call[1] for call in changed.provider.calls if call[0] == "update"]
    assert order.index("CatalogTable") < order.index("FirehoseDeliveryStream")
    assert changed.change("up").steps == []


def test_development_is_destroyed_completely(new_stack, tmp_path, aws):
    """With objects in its bucket. Of the account's own, only the log groups stay that nobody has."""
    before = everything_there(aws)
    cli = new_stack(example(tmp_path / "program"), "dev", dev="true")
    done = cli.change("up", "--skip-preview")
    assert done.code == 0, done.said
    [data] = {
        node.outputs["bucket"] for node in graph_of(cli.state()).all("Bucket") if node.name == "analytics-dw-data"
    }
    aws.client("s3").put_object(Bucket=data, Key="clicks/2026/11/23/07/a", Body=b"a")
    assert len(everything_there(aws) - before) > 60
    done = cli.change("destroy")
    assert done.code == 0, done.said
    assert cli.state() == []
    assert everything_there(aws) == before
