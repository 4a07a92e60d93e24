"""Every argument of a component arrives where it belongs, and so do the settings that nobody can choose."""

import json

import pulumi
import pulumi_aws as aws
import pytest
from declared import COLUMNS, daily_sessions, everything, tidy
from lambda_zip import files_of
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import (
    EventGenerator,
    HourlyPartitionRegistrar,
    InputStream,
    LambdaCronJob,
    ServerlessDataWarehouse,
)
from datawarehouse.aws.event_generator import EventGeneratorArgs
from datawarehouse.aws.input_stream import InputStreamArgs, schema_digest
from datawarehouse.aws.lambda_cron import LambdaCronJobArgs
from datawarehouse.aws.naming import short_name
from datawarehouse.aws.partitions import HourlyPartitionRegistrarArgs
from datawarehouse.aws.warehouse import ServerlessDataWarehouseArgs
from datawarehouse.definition.alerts import Conditions

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"
DATABASE = "arn:aws:glue:eu-west-1:123456789012:database/lake"
TABLE = everything().get_table("clicks")
STATEMENT = {"Sid": "Lake", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::lake/*"}
SHARED = {"alarm_topic_arn": TOPIC, "log_retention_days": 90, "region": "eu-north-1"}
FAILING = {"conditions": Conditions(failed_runs=7, missed_runs=5)}

# No argument has its default.
WAREHOUSE = {
    "warehouse": everything(),
    "is_dev": True,
    "data_is_disposable": False,
    "region": "eu-north-1",
    "kms_key_arn": KEY,
    "allow_data_loss": ["clicks.gone"],
    "partition_projection_start": "2026/11/01/00",
    "on_demand_streams": ["clicks"],
    "warm_mib_per_second": {"clicks": 60},
    "stream_retention_hours": 48,
    "reader_account_ids": ["210987654321"],
    "reader_external_id": "agreed",
    "alarm_emails": ["ops@example.com", "data@example.com"],
    "results_retention_days": 3,
    "log_retention_days": 90,
}
INPUT_STREAM = {
    "bucket": "lake",
    "database_name": "lake",
    "table_name": "orders",
    "columns": {"id": "string", "price": "double"},
    "retention_hours": 48,
    "is_disposable": True,
    "kms_key_arn": KEY,
    "bucket_kms_key_arn": KEY,
    "conditions": Conditions(lag_s=5000),
    "file_flush_interval_seconds": 90,
    **SHARED,
}
ORDERS = Warehouse("lake").with_streaming_input_table("orders", INPUT_STREAM["columns"]).get_table("orders")
CRON = {
    "schedule_expression": "cron(7 3 * * ? *)",
    "environment": {"LAKE": "lake"},
    "policy_statements": [STATEMENT],
    "policy_arns_to_attach": ["arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"],
    "timeout_seconds": 70,
    "memory_mb": 512,
    "kms_key_arn": KEY,
    "retries": 0,
    **SHARED,
    **FAILING,
}
ARCHIVE = pulumi.AssetArchive({"lake.py": pulumi.StringAsset("def tidy(event, context): pass")})
GENERATOR = {
    "table": TABLE, "stream_name": "orders", "stream_arn": STREAM, "events_per_minute": 7, "malformed": 0.25,
    "kms_key_arn": KEY, **SHARED, **FAILING
}  # fmt: skip
REGISTRAR = {
    "database_arn": DATABASE,
    "database_name": "lake",
    "table_names": ["orders", "returns"],
    "schedule_expression": "rate(2 hours)",
    "hours_ahead": 5,
    "kms_key_arn": KEY,
    "columns_digest": "c01",
    "retention_days": 30,
    "compacted_table_name": "orders",
    "data_bucket": "lake",
    **SHARED,
    **FAILING,
}


def graph_of_a_warehouse():
    def program():
        shared = aws.glue.CatalogDatabase("shared", name="shared", region="eu-north-1")
        ServerlessDataWarehouse("dw", {**WAREHOUSE, "database": shared})

    deployed = deploy(program)
    with_one_more = deployed.one("CatalogTable", "dw-clicks").inputs["storageDescriptor"]["columns"]
    with_one_more.append({"name": "gone", "type": "int"})
    return deploy(program, deployed=deployed)


def named_database():
    arguments = {"warehouse": everything(), "database_name": "lake_of_shop", "reader_account_ids": ["210987654321"]}
    graph = deploy(lambda: ServerlessDataWarehouse("dw", arguments) and None)
    assert set(each(graph, "CatalogTable", "databaseName")) == {"lake_of_shop"}
    assert trusted(graph, "dw-reader-role")["Condition"]["StringEquals"]["sts:ExternalId"] == "lake_of_shop"
    return each(graph, "CatalogDatabase", "name")


def graph_of_streams():
    def program():
        InputStream("shards", {**INPUT_STREAM, "shard_count": 3})
        InputStream("demand", {**INPUT_STREAM, "stream_mode": "on-demand", "warm_mib_per_second": 60})

    return deploy(program)


def iceberg_stream():
    """The delivery to a table in Iceberg, and the file that tells its function of the table."""
    arguments = {**INPUT_STREAM, "table_format": "iceberg", "hour_column": "arrived_at"}
    graph = deploy(lambda: InputStream("rows", arguments) and None)
    described = files_of(graph.one("Function", "rows-converter-function").inputs["code"])["table.json"]
    return graph.one("FirehoseDeliveryStream").inputs, json.loads(described)


def graph_of_jobs():
    def program():
        LambdaCronJob("mine", {**CRON, "job": tidy})
        LambdaCronJob("packed", {**CRON, "code": ARCHIVE, "handler": "lake.tidy"})

    return deploy(program)


GRAPHS = {
    ServerlessDataWarehouseArgs: graph_of_a_warehouse,
    InputStreamArgs: graph_of_streams,
    LambdaCronJobArgs: graph_of_jobs,
    EventGeneratorArgs: lambda: deploy(lambda: EventGenerator("made", GENERATOR) and None),
    HourlyPartitionRegistrarArgs: lambda: deploy(lambda: HourlyPartitionRegistrar("hours", REGISTRAR) and None),
}


@pytest.fixture(scope="module")
def graphs():
    return {shape: deployed() for shape, deployed in GRAPHS.items()}


def each(graph, kind, *path):
    """What all resources of a kind have at a path of their inputs."""
    found = []
    for node in graph.all(kind):
        value = node.inputs
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        found.append(value)
    return found


def by_name(graph, kind, *path):
    return dict(zip([node.name for node in graph.all(kind)], each(graph, kind, *path), strict=True))


def targets(graph, *path):
    return each(graph, "FirehoseDeliveryStream", "extendedS3Configuration", *path)


def schemas(graph, key):
    return targets(graph, "dataFormatConversionConfiguration", "schemaConfiguration", key)


def granted(graph, sid):
    """The statements of that name in all policies of roles."""
    policies = [json.loads(policy)["Statement"] for policy in each(graph, "RolePolicy", "policy")]
    return [statement for statements in policies for statement in statements if statement["Sid"] == sid]


def trusted(graph, role):
    [statement] = json.loads(graph.one("Role", role).inputs["assumeRolePolicy"])["Statement"]
    return statement


def environment(graph, variable):
    return each(graph, "Function", "environment", "variables", variable)


def regions(graph):
    return {node.inputs.get("region") for node in graph.custom if not node.type.startswith("aws:iam/")}


def hours(graph):
    """From which hour on Athena projects the tables of clicks, which are kept forever."""
    tables = by_name(graph, "CatalogTable", "parameters", "projection.arrived_at.range")
    return {name: hours.split(",")[0] for name, hours in tables.items() if hours}


def events(graph):
    [code] = each(graph, "Function", "code")
    return json.loads(files_of(code)["events.json"])


def told(graph):
    return {tuple(actions) for key in ("alarmActions", "okActions") for actions in each(graph, "MetricAlarm", key)}


def kept_logs(graph):
    return set(each(graph, "LogGroup", "retentionInDays"))


LOG_KEY = {"kms_key_arn": (lambda graph: set(each(graph, "LogGroup", "kmsKeyId")), {KEY})}
EVERYWHERE = {
    "alarm_topic_arn": (told, {(TOPIC,)}),
    "log_retention_days": (kept_logs, {90}),
    "region": (regions, {"eu-north-1"}),
}


def told_from(graph):
    """From how many dead letters on, and after how many hours without a run."""
    alarms = {node.name: node.inputs for node in graph.all("MetricAlarm")}
    letters = {alarm["threshold"] + 1 for name, alarm in alarms.items() if name.endswith("-dead-letters")}
    return letters, {alarm["evaluationPeriods"] for name, alarm in alarms.items() if name.endswith("-idle")}


SETTINGS = {
    ServerlessDataWarehouseArgs: {
        "warehouse": (
            lambda graph: {node.inputs["name"] for node in graph.all("CatalogTable")} & set(everything().list_tables()),
            set(everything().list_tables()),
        ),
        "is_dev": (
            lambda graph: (targets(graph, "bufferingInterval"), by_name(graph, "EventRule", "scheduleExpression")),
            ([60, 60], {"dw-aggregates-job-cron-rule": "rate(1 minute)",
                        "dw-sessions-job-cron-rule": "cron(30 2 * * ? *)"}),
        ),
        "data_is_disposable": (
            lambda graph: [node.protect for node in [*graph.all("Stream"), graph.one("Bucket", "dw-data")]],
            [True, True, True],
        ),
        "database": (
            lambda graph: (each(graph, "CatalogDatabase", "name"), set(each(graph, "CatalogTable", "databaseName")),
                           set(environment(graph, "DW_DATABASE")), set(schemas(graph, "databaseName"))),
            (["shared"], {"shared"}, {"shared"}, {"shared"}),
        ),
        "kms_key_arn": (
            lambda graph: (
                each(graph, "LogGroup", "kmsKeyId"), each(graph, "Stream", "kmsKeyId"),
                [rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
                 for rules in each(graph, "BucketServerSideEncryptionConfiguration", "rules") for rule in rules],
                each(graph, "Topic", "kmsMasterKeyId"),
                [
                    found["resultConfiguration"]["encryptionConfiguration"]["kmsKeyArn"]
                    for found in each(graph, "Workgroup", "configuration")
                ],
                [key["Resource"] for key in granted(graph, "BucketKey")],
            ),
            # Two deliveries, two jobs and the readers use the key by way of the buckets.
            ([KEY] * 4, [KEY] * 2, [KEY] * 2, [KEY], [KEY] * 4, [KEY] * 5),
        ),
        # The other way to say which database it is.
        "database_name": (lambda graph: named_database(), ["lake_of_shop"]),
        "region": (regions, {"eu-north-1"}),
        # One that is not allowed ends the program: test_changes.py.
        "allow_data_loss": (lambda graph: graph.one("CatalogTable", "dw-clicks").inputs["databaseName"], "shared"),
        "partition_projection_start": (
            lambda graph: (hours(graph), graph.all("HourlyPartitionRegistrar")),
            ({"dw-clicks": "2026/11/01/00", "dw-clicks_error_docs": "2026/11/01/00"}, []),
        ),
        "on_demand_streams": (
            lambda graph: by_name(graph, "Stream", "streamModeDetails", "streamMode"),
            {"dw-impressions-input-stream": "PROVISIONED", "dw-clicks-input-stream": "ON_DEMAND"},
        ),
        "warm_mib_per_second": (
            lambda graph: by_name(graph, "Stream", "warmThroughputMibPs"),
            {"dw-impressions-input-stream": None, "dw-clicks-input-stream": 60},
        ),
        "stream_retention_hours": (lambda graph: each(graph, "Stream", "retentionPeriod"), [48, 48]),
        "reader_account_ids": (
            lambda graph: trusted(graph, "dw-reader-role")["Principal"], {"AWS": ["arn:aws:iam::210987654321:root"]}
        ),
        "reader_external_id": (
            lambda graph: trusted(graph, "dw-reader-role")["Condition"],
            {"StringEquals": {"sts:ExternalId": "agreed"}},
        ),
        "alarm_emails": (
            lambda graph: [(node.inputs["protocol"], node.inputs["endpoint"])
                           for node in graph.all("TopicSubscription")],
            [("email", "ops@example.com"), ("email", "data@example.com")],
        ),
        "results_retention_days": (
            lambda graph: [
                (rule["filter"], rule["expiration"])
                for rule in graph.one(
                    "BucketLifecycleConfiguration", "dw-query-results-lifecycle"
                ).inputs["rules"] if "expiration" in rule
            ],
            [({"prefix": ""}, {"days": 3})],
        ),
        "log_retention_days": (kept_logs, {90}),
    },
    InputStreamArgs: {
        "bucket": (lambda graph: targets(graph, "bucketArn"), ["arn:aws:s3:::lake"] * 2),
        "database_name": (lambda graph: schemas(graph, "databaseName"), ["lake"] * 2),
        "table_name": (lambda graph: schemas(graph, "tableName"), ["orders"] * 2),
        "columns": (
            lambda graph: [node.name for node in graph.all("LogStream")],
            [f"{name}-log-{schema_digest(ORDERS.columns)}" for name in ("shards", "demand")],
        ),
        "shard_count": (
            lambda graph: by_name(graph, "Stream", "shardCount"), {"shards-stream": 3, "demand-stream": None}
        ),
        "stream_mode": (
            lambda graph: by_name(graph, "Stream", "streamModeDetails", "streamMode"),
            {"shards-stream": "PROVISIONED", "demand-stream": "ON_DEMAND"},
        ),
        "warm_mib_per_second": (
            lambda graph: by_name(graph, "Stream", "warmThroughputMibPs"), {"shards-stream": None, "demand-stream": 60}
        ),
        "retention_hours": (lambda graph: each(graph, "Stream", "retentionPeriod"), [48, 48]),
        "is_disposable": (lambda graph: [node.protect for node in graph.all("Stream")], [False, False]),
        # Firehose may use the key for the records of this stream alone, and only as Kinesis asks for it.
        "kms_key_arn": (
            lambda graph: (each(graph, "Stream", "kmsKeyId"), [
                (key["Action"], key["Resource"], key["Condition"]["StringEquals"]["kms:ViaService"])
                for key in granted(graph, "Key")
            ]),
            ([KEY, KEY], [(["kms:Decrypt"], KEY, "kinesis.eu-west-1.amazonaws.com")] * 2),
        ),
        "conditions": (
            lambda graph: [node.inputs["threshold"] for node in graph.all("MetricAlarm") if "-late" in node.name],
            [5090, 5090],
        ),
        "bucket_kms_key_arn": (
            lambda graph: [
                (key["Action"], key["Resource"], key["Condition"]["StringEquals"])
                for key in granted(graph, "BucketKey")
            ],
            [(["kms:Decrypt", "kms:GenerateDataKey"], KEY, {"kms:ViaService": "s3.eu-west-1.amazonaws.com"})] * 2,
        ),
        "file_flush_interval_seconds": (
            lambda graph: (targets(graph, "bufferingInterval"), iceberg_stream()[0]["icebergConfiguration"][
                "bufferingInterval"
            ]),
            ([90, 90], 90),
        ),
        "table_format": (
            lambda graph: (each(graph, "FirehoseDeliveryStream", "destination"), iceberg_stream()[0]["destination"]),
            (["extended_s3"] * 2, "iceberg"),
        ),
        "hour_column": (lambda graph: iceberg_stream()[1]["hour"], "arrived_at"),
        **EVERYWHERE,
    },
    LambdaCronJobArgs: {
        "conditions": (told_from, ({7}, set())),
        "schedule_expression": (
            lambda graph: each(graph, "EventRule", "scheduleExpression"), ["cron(7 3 * * ? *)"] * 2
        ),
        "job": (
            lambda graph: "def tidy(" in files_of(graph.one("Function", "mine-function").inputs["code"])[
                "declared.py"
            ].decode(),
            True,
        ),
        "code": (lambda graph: list(files_of(graph.one("Function", "packed-function").inputs["code"])), ["lake.py"]),
        "handler": (
            lambda graph: by_name(graph, "Function", "handler"),
            {"mine-function": "declared.tidy", "packed-function": "lake.tidy"},
        ),
        "environment": (lambda graph: each(graph, "Function", "environment", "variables"), [{"LAKE": "lake"}] * 2),
        "policy_statements": (lambda graph: granted(graph, "Lake"), [STATEMENT] * 2),
        "policy_arns_to_attach": (
            lambda graph: each(graph, "RolePolicyAttachment", "policyArn"), CRON["policy_arns_to_attach"] * 2
        ),
        "timeout_seconds": (lambda graph: each(graph, "Function", "timeout"), [70, 70]),
        "memory_mb": (lambda graph: each(graph, "Function", "memorySize"), [512, 512]),
        "retries": (lambda graph: each(graph, "FunctionEventInvokeConfig", "maximumRetryAttempts"), [0, 0]),
        **LOG_KEY,
        **EVERYWHERE,
    },
    EventGeneratorArgs: {
        "conditions": (told_from, ({3}, set())),
        "table": (
            lambda graph: events(graph)["tables"],
            [{"name": "clicks", "columns": [[column.name, str(column.type)] for column in TABLE.columns]}],
        ),
        "stream_name": (lambda graph: environment(graph, "DW_STREAM"), ["orders"]),
        "stream_arn": (lambda graph: [put["Resource"] for put in granted(graph, "Put")], [STREAM]),
        "events_per_minute": (lambda graph: events(graph)["rate"], 7),
        "malformed": (lambda graph: events(graph)["malformed"], 0.25),
        "kms_key_arn": (
            lambda graph: (each(graph, "LogGroup", "kmsKeyId"), [
                (key["Action"], key["Resource"], key["Condition"]["StringEquals"])
                for key in granted(graph, "StreamKey")
            ]),
            ([KEY], [(["kms:GenerateDataKey"], KEY, {"kms:ViaService": "kinesis.eu-west-1.amazonaws.com"})]),
        ),
        **EVERYWHERE,
    },
    HourlyPartitionRegistrarArgs: {
        "conditions": (told_from, ({3}, {10})),
        "database_arn": (
            lambda graph: granted(graph, "Partitions")[0]["Resource"][1:],
            [DATABASE, *(f"{DATABASE.replace(':database', ':table')}/{name}" for name in REGISTRAR["table_names"])],
        ),
        "database_name": (lambda graph: environment(graph, "DW_DATABASE"), ["lake"]),
        "table_names": (lambda graph: environment(graph, "DW_TABLES"), ["orders,returns"]),
        "schedule_expression": (lambda graph: each(graph, "EventRule", "scheduleExpression"), ["rate(2 hours)"]),
        "hours_ahead": (lambda graph: environment(graph, "DW_HOURS_AHEAD"), ["5"]),
        "retention_days": (
            lambda graph: (environment(graph, "DW_RETENTION_DAYS"), granted(graph, "Partitions")[0]["Action"][-1]),
            (["30"], "glue:DeletePartition"),
        ),
        "compacted_table_name": (lambda graph: environment(graph, "DW_COMPACTED"), ["orders"]),
        "data_bucket": (lambda graph: granted(graph, "Compacted")[0]["Resource"], "arn:aws:s3:::lake"),
        "columns_digest": (lambda graph: each(graph, "Invocation", "triggers", "columns"), ["c01"]),
        **LOG_KEY,
        **EVERYWHERE,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "argument"),
    [
        pytest.param(shape, argument, id=f"{shape.__name__}-{argument}")
        for shape in SETTINGS
        for argument in shape.__annotations__
    ],
)
def test_an_argument_arrives(graphs, shape, argument):
    find, expected = SETTINGS[shape][argument]
    assert find(graphs[shape]) == expected


def test_a_job_has_what_its_table_says():
    declared = Warehouse("lake")
    declared.with_batch_input_table("small", {"n": "int"}, daily_sessions, "rate(1 day)")
    declared.with_batch_input_table("large", {"n": "int"}, daily_sessions, "rate(1 day)", memory_mb=2048, timeout_s=60)
    graph = deploy(lambda: ServerlessDataWarehouse("dw", {"warehouse": declared}) and None)
    found = {node.name: (node.inputs["memorySize"], node.inputs["timeout"]) for node in graph.all("Function")}
    assert found == {"dw-small-job-cron-function": (512, 900), "dw-large-job-cron-function": (2048, 60)}


def test_functions_have_the_memory_and_the_time_that_their_work_takes(graphs):
    small = [*graphs[EventGeneratorArgs].all("Function"), *graphs[HourlyPartitionRegistrarArgs].all("Function")]
    found = {node.name: (node.inputs["memorySize"], node.inputs["timeout"]) for node in small}
    assert found == {"made-cron-function": (256, 60), "hours-cron-function": (256, 900)}


def test_what_failed_for_good_is_kept_for_two_weeks(graphs):
    kept = [days for graph in graphs.values() for days in each(graph, "Queue", "messageRetentionSeconds")]
    assert len(kept) == 6 and set(kept) == {14 * 24 * 3600}


def test_workgroups_go_with_the_stack_queried_or_not(graphs):
    assert each(graphs[ServerlessDataWarehouseArgs], "Workgroup", "forceDestroy") == [True] * 4


# -- names

MOST = {
    "FirehoseDeliveryStream": 64, "Function": 64, "Role": 64, "EventRule": 64, "Queue": 80, "Stream": 128,
    "RolePolicy": 128, "MetricAlarm": 255, "Permission": 100,
}  # fmt: skip


def long_names(**where):
    """(type, name) of what has no room for a random suffix, in a warehouse and tables with long names."""
    declared = Warehouse("long")
    for characters in (70, 240):
        declared.with_streaming_input_table("t" * characters, COLUMNS)
    graph = deploy(lambda: ServerlessDataWarehouse("w" * 40, {"warehouse": declared}) and None, **where)
    names = [(node.kind, node.inputs.get("name") or node.inputs.get("statementId")) for node in graph.custom]
    return [(kind, name) for kind, name in names if kind in MOST and name]


def test_long_names_of_stacks_and_projects_are_their_own():
    mine = long_names()
    assert {kind for kind, _ in mine} == set(MOST) and len(set(mine)) == len(mine)
    assert all(len(name) <= MOST[kind] for kind, name in mine)
    for other in ({"stack": "prod"}, {"project": "bank"}):
        others = long_names(**other)
        assert len(others) == len(mine) and not set(others) & set(mine)


def test_a_name_is_chosen_only_where_a_random_suffix_has_no_room():
    names = {}
    deploy(lambda: names.update({length: short_name("n" * length, 64) for length in (56, 57, 64, 200)}))
    assert names.pop(56) is None and [len(name) for name in names.values()] == [64] * 3


def test_workgroups_of_stacks_with_long_names_are_their_own():
    names = [
        name
        for end in "ab"
        for name in each(
            deploy(lambda: ServerlessDataWarehouse("w" * 40, {}) and None, stack="s" * 90 + end), "Workgroup", "name"
        )
    ]
    assert len(set(names)) == 6 and max(map(len, names)) <= 128


def test_a_database_is_named_in_lower_case_whatever_its_stack():
    graph = deploy(lambda: ServerlessDataWarehouse("analytics_dw", {}) and None, stack="Alice.Dev-2")
    assert each(graph, "CatalogDatabase", "name") == ["analytics_dw_alice_dev_2"]
