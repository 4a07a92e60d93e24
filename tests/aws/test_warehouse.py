"""The graph of resources that a declaration becomes."""

import json
import re
from pathlib import Path

import graph as graphs
import house
import pulumi_aws as aws
import pytest
from declared import COLUMNS, daily_sessions, everything, hourly_counts, tidy
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import EventGenerator, InputStream, LambdaCronJob, ServerlessDataWarehouse
from datawarehouse.aws.warehouse import ServerlessDataWarehouseArgs
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.operate.deployment import DeployedTable, find_deployment


def deployed(name="analytics_dw", arguments=None, **options):
    """The graph of one warehouse, of all kinds of tables unless the arguments say otherwise."""
    return deploy(lambda: ServerlessDataWarehouse(name, arguments or {"warehouse": everything()}) and None, **options)


@pytest.fixture(scope="module")
def graph():
    return deployed()


def statements(node):
    return json.loads(node.inputs["policy"])["Statement"]


def granted(node, sid):
    [found] = [statement for statement in statements(node) if statement["Sid"] == sid]
    return found


def test_a_column_takes_another_key_of_events():
    columns = {"id": "string", "gross_us": ("double", "US Gross")}
    declared = Warehouse("films").with_streaming_input_table("films", columns=columns)
    graph = deployed("films", {"warehouse": declared})
    [delivery] = graph.all("FirehoseDeliveryStream")
    conversion = delivery.inputs["extendedS3Configuration"]["dataFormatConversionConfiguration"]
    assert conversion["inputFormatConfiguration"]["deserializer"]["openXJsonSerDe"] == {
        "caseInsensitive": True,
        "columnToJsonKeyMappings": {"gross_us": "us gross"},
    }
    [table] = [node for node in graph.all("CatalogTable") if node.inputs["name"] == "films"]
    assert [each["name"] for each in table.inputs["storageDescriptor"]["columns"]] == ["id", "gross_us"]


def test_what_a_program_reaches_of_the_warehouse():
    found = {}

    def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {"warehouse": everything()})
        found["tables"] = warehouse.list_tables()
        return {
            "data": warehouse.data_warehouse_bucket.bucket,
            "results": warehouse.query_results_bucket.bucket,
            "database": warehouse.database.name,
            "table": warehouse.get_table("clicks").name,
            "stream": warehouse.get_input_stream("clicks").name,
            "production": warehouse.workgroups["production"].name,
        }

    graph = deploy(program)
    assert found["tables"] == ["impressions", "clicks", "facts", "prices", "aggregates", "sessions"]
    buckets = {node.name: node.outputs["bucket"] for node in graph.all("Bucket")}
    assert graph.exports == {
        "data": buckets["analytics-dw-data"],
        "results": buckets["analytics-dw-query-results"],
        "database": "analytics_dw_dev",
        "table": "clicks",
        "stream": graph.one("Stream", "analytics_dw-clicks-input-stream").outputs["name"],
        "production": "analytics_dw-dev-production",
    }


def test_the_addresses_are_those_of_all_parts_also_of_tables_that_come_later(tmp_path):
    def program(**arguments):
        warehouse = ServerlessDataWarehouse("analytics_dw", {"warehouse": everything(), **arguments})
        warehouse.with_table("late", columns={"a": "string"})
        return {"warehouse": warehouse.addresses}

    def read(graph):
        (tmp_path / "outputs.json").write_text(json.dumps(graph.exports))
        return find_deployment(str(tmp_path / "outputs.json"), tmp_path / "dw.toml")

    graph = deploy(program)
    found = read(graph)
    buckets = {node.name: node.outputs["bucket"] for node in graph.all("Bucket")}
    assert (found.data_bucket, found.results_bucket) == (
        buckets["analytics-dw-data"],
        buckets["analytics-dw-query-results"],
    )
    assert (found.warehouse, found.database, found.region) == ("analytics_dw", "analytics_dw_dev", graphs.REGION)
    assert found.workgroups["adhoc"] == "analytics_dw-dev-adhoc"
    clicks = "analytics_dw-clicks-"
    assert found.tables["clicks"] == DeployedTable(
        "clicks",
        "streaming input table",
        stream=graph.one("Stream", f"{clicks}input-stream").outputs["name"],
        delivery=graph.one("FirehoseDeliveryStream", f"{clicks}input-delivery").outputs["name"],
        registrar=graph.one("Function", f"{clicks}partitions-cron-function").outputs["name"],
    )
    aggregates = found.tables["aggregates"]
    assert aggregates.function == graph.one("Function", "analytics_dw-aggregates-job-cron-function").outputs["name"]
    assert parse_schedule(aggregates.schedule)
    assert list(found.tables) == [*everything().list_tables(), "late"]
    projected = deploy(lambda: program(partition_projection_start="2026/11/01/00"))
    assert read(projected).tables["clicks"].registrar is None


def test_unknown_tables_and_streams_are_named_with_those_there_are():
    def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {"warehouse": everything()})
        with pytest.raises(KeyError, match="no table 'clickz'; it has 'impressions', 'clicks'"):
            warehouse.get_table("clickz")
        with pytest.raises(KeyError, match="'facts' is a table, which has none; it has 'impressions', 'clicks'"):
            warehouse.get_input_stream("facts")

    deploy(program)


def test_declaring_tables_one_by_one_gives_the_same_resources(graph):
    def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {})
        added = (
            warehouse.with_streaming_input_table("impressions", COLUMNS, input_stream_shard_count=2, retention_days=90)
            .with_streaming_input_table(
                "clicks", COLUMNS | {"tags": "array<string>", "price": "decimal(9,4)"}, partition_key_name="arrived_at"
            )
            .with_table("facts", columns=[{"name": "thing", "type": "string"}, {"name": "color", "type": "string"}],
                        data_format="JSON")
            .with_table("prices", {"item": "string", "price": "double"}, {"day": "string"})
            .with_batch_input_table(
                "aggregates", {"event_type": "string", "count": "int", "time": "string"}, hourly_counts,
                "rate(1 hour)", data_format="JSON", reads=["clicks", "impressions"], run_when_complete=True,
            )
            .with_batch_input_table(
                "sessions", {"session_id": "string", "events": "bigint"}, daily_sessions, "cron(30 2 * * ? *)",
                partition_keys={"hour": "string"},
                policy_arns_to_attach=["arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"], retention_days=30,
            )
        )  # fmt: skip
        assert added is warehouse

    one_by_one = deploy(program)
    assert {urn: node.inputs for urn, node in one_by_one.nodes.items()} == {
        urn: node.inputs for urn, node in graph.nodes.items()
    }


def test_streams_and_deliveries_have_the_declared_settings(graph):
    stream = graph.one("Stream", "analytics_dw-impressions-input-stream")
    assert stream.inputs["shardCount"] == 2
    assert stream.inputs["streamModeDetails"] == {"streamMode": "PROVISIONED"}
    assert (stream.inputs["encryptionType"], stream.inputs["kmsKeyId"]) == ("KMS", "alias/aws/kinesis")
    delivery = graph.one("FirehoseDeliveryStream", "analytics_dw-impressions-input-delivery").inputs
    target = delivery["extendedS3Configuration"]
    assert delivery["kinesisSourceConfiguration"]["kinesisStreamArn"] == stream.outputs["arn"]
    assert target["prefix"] == "impressions/!{timestamp:yyyy/MM/dd/HH}/"
    assert target["errorOutputPrefix"] == (
        "errors/impressions/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
    )
    assert (target["bufferingInterval"], target["bufferingSize"]) == (900, 128)
    schema = target["dataFormatConversionConfiguration"]["schemaConfiguration"]
    assert (schema["databaseName"], schema["tableName"]) == ("analytics_dw_dev", "impressions")


def test_on_demand_streams_have_no_shards():
    graph = deployed(arguments={"warehouse": everything(), "on_demand_streams": ["clicks"]})
    stream = graph.one("Stream", "analytics_dw-clicks-input-stream")
    assert "shardCount" not in stream.inputs
    assert stream.inputs["streamModeDetails"] == {"streamMode": "ON_DEMAND"}
    assert graph.one("Stream", "analytics_dw-impressions-input-stream").inputs["shardCount"] == 2


@pytest.mark.parametrize("change", [{"tags": "array<int>"}, {"added": "string"}, {"price": None}])
def test_a_changed_column_is_in_the_inputs_of_its_delivery_stream_alone_and_registers_hours_anew(graph, change):
    changed = {
        name: kind
        for name, kind in (COLUMNS | {"tags": "array<string>", "price": "decimal(9,4)"} | change).items()
        if kind
    }
    declared = Warehouse("every_kind")
    for table in everything().tables():
        if table.name == "clicks":
            declared.with_streaming_input_table("clicks", changed, partition_key_name="arrived_at")
        else:
            declared.add(table)
    after = deployed(arguments={"warehouse": declared})
    differing = {
        node.name
        for urn, node in after.nodes.items()
        if node.kind in ("FirehoseDeliveryStream", "Invocation") and node.inputs != graph.nodes[urn].inputs
    }
    assert differing == {"analytics_dw-clicks-input-delivery", "analytics_dw-clicks-partitions-now"}


def test_old_log_streams_stay_when_columns_change(graph):
    [log] = [node for node in graph.all("LogStream") if node.name.startswith("analytics_dw-clicks-input-log-")]
    assert log.retain_on_delete and "name" not in log.inputs  # one of the same name would be in its way


def test_hours_are_registered_for_a_table_and_its_quarantine_and_at_once(graph):
    function = graph.one("Function", "analytics_dw-clicks-partitions-cron-function")
    assert function.inputs["environment"]["variables"] == {
        "DW_DATABASE": "analytics_dw_dev",
        "DW_TABLES": "clicks,clicks_error_docs",
        "DW_HOURS_AHEAD": "12",
    }
    rule = graph.one("EventRule", "analytics_dw-clicks-partitions-cron-rule")
    assert rule.inputs["scheduleExpression"] == "rate(1 hour)"
    now = graph.one("Invocation", "analytics_dw-clicks-partitions-now")
    assert json.loads(now.inputs["input"]) == {"source": "deployment"}
    assert now.inputs["functionName"] == function.outputs["name"]
    # What is added is registered at once, too: a table, a column of the hours that are there already.
    assert now.inputs["triggers"].keys() == {"tables", "columns"}
    assert now.inputs["triggers"]["tables"] == "clicks,clicks_error_docs"


def test_ticks_and_runs_are_tried_again_for_six_hours_and_kept_then(graph):
    name = "analytics_dw-aggregates-job-cron"
    queue = graph.one("Queue", f"{name}-dead-letters").outputs["arn"]
    target = graph.one("EventTarget", f"{name}-target")
    assert target.inputs["retryPolicy"] == {"maximumEventAgeInSeconds": 21_600, "maximumRetryAttempts": 185}
    assert target.inputs["deadLetterConfig"] == {"arn": queue}
    # A tick that comes before the permission is refused for good.
    assert graph.one("Permission", f"{name}-permission").urn in target.dependencies
    runs = graph.one("FunctionEventInvokeConfig", f"{name}-retries").inputs
    assert (runs["maximumRetryAttempts"], runs["maximumEventAgeInSeconds"]) == (2, 21_600)
    assert runs["destinationConfig"] == {"onFailure": {"destination": queue}}


@pytest.mark.parametrize(
    ("schedule", "ahead"), [("rate(5 minutes)", "12"), ("rate(1 day)", "25"), ("cron(0 9 ? * MON-FRI *)", "73")]
)
def test_hours_are_registered_until_the_next_run(schedule, ahead):
    declared = Warehouse("w").with_streaming_input_table("clicks", COLUMNS, partition_schedule_expression=schedule)
    function = deployed(arguments={"warehouse": declared}).one("Function")
    assert function.inputs["environment"]["variables"]["DW_HOURS_AHEAD"] == ahead


def test_projected_hours_need_no_registrar():
    graph = deployed(arguments={"warehouse": everything(), "partition_projection_start": "2026/11/01/00"})
    assert not graph.all("HourlyPartitionRegistrar")
    bucket = graph.one("Bucket", "analytics-dw-data").outputs["bucket"]
    clicks = graph.one("CatalogTable", "analytics_dw-clicks").inputs["parameters"]
    assert clicks["projection.arrived_at.range"] == "2026/11/01/00,NOW+1HOURS"
    assert clicks["storage.location.template"] == f"s3://{bucket}/clicks/${{arrived_at}}/"
    rejected = graph.one("CatalogTable", "analytics_dw-clicks_error_docs").inputs["parameters"]
    assert rejected["storage.location.template"] == (
        f"s3://{bucket}/errors/clicks/format-conversion-failed/${{arrived_at}}/"
    )
    # Where hours expire, no query looks for hours that are gone.
    kept = graph.one("CatalogTable", "analytics_dw-impressions").inputs["parameters"]
    assert kept["projection.inserted_at.range"] == "NOW-91DAYS,NOW+1HOURS"


def test_a_job_has_the_rights_to_read_what_it_names_and_to_write_its_table(graph):
    policy = graph.one("RolePolicy", "analytics_dw-aggregates-job-cron-policy")
    bucket = graph.one("Bucket", "analytics-dw-data").outputs["arn"]
    assert granted(policy, "ReadData")["Resource"] == [
        f"{bucket}/clicks/*",
        f"{bucket}/errors/clicks/format-conversion-failed/*",
        f"{bucket}/impressions/*",
        f"{bucket}/errors/impressions/format-conversion-failed/*",
        f"{bucket}/aggregates/*",
    ]
    assert granted(policy, "WriteData")["Resource"] == f"{bucket}/aggregates/*"
    assert not [statement for statement in statements(policy) if statement["Sid"] == "WritePartitions"]
    partitioned = graph.one("RolePolicy", "analytics_dw-sessions-job-cron-policy")
    assert granted(partitioned, "WritePartitions")["Resource"][-1].endswith(":table/analytics_dw_dev/sessions")
    attached = graph.one("RolePolicyAttachment", "analytics_dw-sessions-job-cron-attachment-0")
    assert attached.inputs["policyArn"] == "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"


@pytest.mark.parametrize(
    ("table", "is_dev", "schedule"),
    [
        # The flush interval of its streams, 15 minutes, and five for delivery.
        ("aggregates", False, "cron(20 * * * ? *)"),
        ("aggregates", True, "rate(1 minute)"),
        ("sessions", False, "cron(30 2 * * ? *)"),
        ("sessions", True, "cron(30 2 * * ? *)"),
    ],
)
def test_when_jobs_run(table, is_dev, schedule):
    graph = deployed(arguments={"warehouse": everything(), "is_dev": is_dev})
    rule = graph.one("EventRule", f"analytics_dw-{table}-job-cron-rule")
    assert rule.inputs["scheduleExpression"] == schedule


def test_jobs_wait_for_the_tables_of_other_jobs():
    declared = everything().with_batch_input_table(
        "totals", {"count": "int"}, hourly_counts, "rate(1 hour)", reads=["aggregates"], run_when_complete=True
    )
    graph = deployed(arguments={"warehouse": declared})
    assert graph.one("EventRule", "analytics_dw-totals-job-cron-rule").inputs["scheduleExpression"] == (
        "cron(35 * * * ? *)"
    )


def test_development_is_fast_and_leaves_nothing():
    graph = deployed(arguments={"warehouse": everything(), "is_dev": True})
    delivery = graph.one("FirehoseDeliveryStream", "analytics_dw-clicks-input-delivery").inputs
    assert delivery["extendedS3Configuration"]["bufferingInterval"] == 60
    rule = graph.one("EventRule", "analytics_dw-clicks-partitions-cron-rule")
    assert rule.inputs["scheduleExpression"] == "rate(1 minute)"
    assert _disposable(graph) == set(STORES)


STORES = ("analytics-dw-data", "analytics_dw-clicks-input-stream", "analytics_dw-impressions-input-stream")


def _disposable(graph):
    """Which of what holds data is not protected, and can be deleted with what is in it."""
    stores = [graph.one("Bucket", STORES[0]), *(graph.one("Stream", name) for name in STORES[1:])]
    assert stores[0].inputs["forceDestroy"] is not stores[0].protect
    return {store.name for store in stores if not store.protect}


def test_data_is_protected_and_results_are_not(graph):
    assert _disposable(graph) == set()
    results = graph.one("Bucket", "analytics-dw-query-results")
    assert not results.protect and results.inputs["forceDestroy"] is True


def test_data_can_be_given_up_without_what_else_development_means():
    graph = deployed(arguments={"warehouse": everything(), "data_is_disposable": True})
    assert _disposable(graph) == set(STORES)
    rule = graph.one("EventRule", "analytics_dw-clicks-partitions-cron-rule")
    assert rule.inputs["scheduleExpression"] == "rate(1 hour)"
    kept = deployed(arguments={"warehouse": everything(), "is_dev": True, "data_is_disposable": False})
    assert _disposable(kept) == set()


def test_the_role_of_delivery_does_not_wait_for_the_stream(graph):
    """AWS knows a new role everywhere after a while only; a stream takes as long to be made."""
    role = graph.one("Role", "analytics_dw-clicks-input-delivery-role")
    stream = graph.one("Stream", "analytics_dw-clicks-input-stream")
    waits_for = {urn for urns in role.property_dependencies.values() for urn in urns} | set(role.dependencies)
    assert waits_for and stream.urn not in waits_for
    [trusted] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trusted["Condition"] == {"StringEquals": {"sts:ExternalId": "123456789012"}}


@pytest.mark.parametrize(
    ("schedule", "is_early"),
    [
        ("rate(1 hour)", True),
        ("rate(41 minutes)", True),
        ("rate(40 minutes)", False),
        ("cron(19 * * * ? *)", True),
        ("cron(20 * * * ? *)", False),
        ("cron(0,20 3 * * ? *)", False),
    ],
)
def test_a_job_that_can_run_before_its_hour_is_delivered_is_told(caplog, schedule, is_early):
    declared = (
        Warehouse("early")
        .with_streaming_input_table("clicks", COLUMNS)
        .with_batch_input_table("counts", {"n": "int"}, hourly_counts, schedule, reads=["clicks"])
    )
    deployed("early", {"warehouse": declared, "is_dev": True})
    assert "Table 'counts'" not in caplog.text
    deployed("early", {"warehouse": declared})
    told = f"Table 'counts': with {schedule} the last run for an hour can come before"
    assert caplog.text.count(told) == is_early
    assert caplog.text.count("20 minutes after its end for clicks") == is_early


def test_folders_of_tables_with_a_retention_expire(graph):
    rules = graph.one("BucketLifecycleConfiguration", "analytics-dw-data-lifecycle").inputs["rules"]
    expiring = {rule["filter"]["prefix"]: rule["expiration"]["days"] for rule in rules if "expiration" in rule}
    assert expiring == {"errors/impressions/": 90, "impressions/": 90, "sessions/": 30}


def test_a_retention_that_comes_after_the_rules_are_settled_is_refused():
    async def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {})
        await warehouse.database.name.future()
        with pytest.raises(ValueError, match="retention_days comes too late"):
            warehouse.with_streaming_input_table("clicks", COLUMNS, retention_days=3)

    deploy(program)


def test_workgroups_have_limits_of_their_own(graph):
    settings = {node.name: node.inputs["configuration"] for node in graph.all("Workgroup")}
    assert settings["analytics_dw-workgroups-adhoc"]["bytesScannedCutoffPerQuery"] == 100_000_000_000
    assert settings["analytics_dw-workgroups-adhoc"]["enforceWorkgroupConfiguration"] is True
    assert settings["analytics_dw-workgroups-production"]["bytesScannedCutoffPerQuery"] == 1_000_000_000_000
    assert settings["analytics_dw-workgroups-batch"]["bytesScannedCutoffPerQuery"] == 1_000_000_000_000
    assert settings["analytics_dw-workgroups-batch"]["enforceWorkgroupConfiguration"] is False


def test_declared_workgroups_are_those_of_athena():
    declared = everything().with_workgroup("adhoc", scan_bytes_max=2 * 10**10, query_time_max_s=60)
    declared.with_workgroup("analysts", scan_bytes_max=10**10).with_workgroup("dashboards", threads=1)
    assert bytes_max({"warehouse": declared}) == {
        "production": 10**12, "adhoc": 2 * 10**10, "batch": 10**12, "analysts": 10**10, "dashboards": 10**12,
    }  # fmt: skip
    readers = {"reader_account_ids": ["210987654321"]}
    assert bytes_max({"warehouse": declared, **readers})["readers"] == 2 * 10**10
    declared.with_workgroup("readers", scan_bytes_max=10**9)
    assert bytes_max({"warehouse": declared, **readers})["readers"] == 10**9
    assert bytes_max({"warehouse": declared})["readers"] == 10**9


def bytes_max(arguments):
    """At how many bytes Athena ends a query, by workgroup."""
    return {
        node.name.removeprefix("analytics_dw-workgroups-"): node.inputs["configuration"]["bytesScannedCutoffPerQuery"]
        for node in deployed(arguments=arguments).all("Workgroup")
    }


def test_readers_of_other_accounts_get_one_role_and_one_workgroup():
    graph = deployed(arguments={"warehouse": everything(), "reader_account_ids": ["210987654321"]})
    role = graph.one("Role", "analytics_dw-reader-role")
    [trusted] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trusted["Principal"] == {"AWS": ["arn:aws:iam::210987654321:root"]}
    assert trusted["Condition"] == {"StringEquals": {"sts:ExternalId": "analytics_dw_dev"}}
    policy = graph.one("RolePolicy", "analytics_dw-reader-policy")
    assert granted(policy, "Browse")["Resource"].endswith(":datacatalog/AwsDataCatalog")
    assert granted(policy, "Query")["Resource"].endswith(":workgroup/analytics_dw-dev-readers")
    results = graph.one("Bucket", "analytics-dw-query-results").outputs["arn"]
    assert granted(policy, "Results")["Resource"] == f"{results}/readers/*"


def test_alarms_go_to_one_topic_and_its_subscribers():
    graph = deployed(arguments={"warehouse": everything(), "alarm_emails": ["ops@example.com"]})
    topic = graph.one("Topic").outputs["arn"]
    alarms = {node.name: node.inputs for node in graph.all("MetricAlarm")}
    assert all(alarm["alarmActions"] == [topic] for alarm in alarms.values())
    assert alarms["analytics_dw-clicks-input-late"]["threshold"] == 1800
    stalled = alarms["analytics_dw-clicks-input-stalled"]["metricQueries"]
    assert {query["metric"]["period"] for query in stalled if "metric" in query} == {1800}
    # What arrives at the end of one period is delivered in the next.
    assert alarms["analytics_dw-clicks-input-stalled"]["evaluationPeriods"] == 2
    per_stream = {"throttled", "behind", "unread", "rejected", "late", "stalled"}
    assert {name.rsplit("-", 1)[1] for name in alarms if name.startswith("analytics_dw-clicks-input-")} == per_stream
    for cron in ("clicks-partitions", "aggregates-job"):
        assert {f"analytics_dw-{cron}-cron-errors", f"analytics_dw-{cron}-cron-dead-letters"} < alarms.keys()
    assert graph.one("TopicSubscription").inputs == {
        "topic": topic, "protocol": "email", "endpoint": "ops@example.com"
    }  # fmt: skip


def test_queues_and_the_topic_refuse_all_without_tls_and_take_what_their_service_sends():
    graph = deployed()
    topic = graph.one("TopicPolicy").inputs
    sent, refused = json.loads(topic["policy"])["Statement"]
    assert topic["arn"] == graph.one("Topic").outputs["arn"] == sent["Resource"] == refused["Resource"]
    assert sent["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert (sent["Principal"], sent["Effect"]) == ({"Service": "cloudwatch.amazonaws.com"}, "Allow")
    queues = {node.outputs["url"]: node.outputs["arn"] for node in graph.all("Queue")}
    policies = {node.inputs["queueUrl"]: json.loads(node.inputs["policy"]) for node in graph.all("QueuePolicy")}
    assert queues.keys() == policies.keys() and len(queues) > 1
    for url, policy in policies.items():
        sent, refused = policy["Statement"]
        assert (sent["Principal"], sent["Effect"]) == ({"Service": "events.amazonaws.com"}, "Allow")
        assert refused == {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": queues[url],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }


def test_a_database_that_is_there_already_is_used():
    def program():
        database = aws.glue.CatalogDatabase("shared", name="shared")
        ServerlessDataWarehouse("analytics_dw", {"warehouse": everything(), "database": database})

    graph = deploy(program)
    assert graph.one("CatalogDatabase").name == "shared"
    assert {node.inputs["databaseName"] for node in graph.all("CatalogTable")} == {"shared"}


def test_a_region_is_that_of_every_resource_that_has_one():
    graph = deployed(arguments={"warehouse": everything(), "region": "eu-north-1", "alarm_emails": ["a@example.com"]})
    elsewhere = {node.kind for node in graph.custom if node.inputs.get("region") != "eu-north-1"}
    assert elsewhere == {"Role", "RolePolicy", "RolePolicyAttachment"}  # IAM is global


def test_too_many_shards_for_the_default_quota_are_told(caplog):
    declared = Warehouse("big")
    for number in range(3):
        declared.with_streaming_input_table(f"clicks_{number}", COLUMNS, input_stream_shard_count=200)
    deployed("big", {"warehouse": declared, "region": "us-east-1"})
    assert caplog.text.count("600 provisioned shards are needed, 500 are the default") == 1


def test_a_quota_is_told_once_however_many_tables_need_more(caplog):
    def program():
        warehouse = ServerlessDataWarehouse("big", {"region": "us-east-1"})
        for number in range(5):
            warehouse.with_streaming_input_table(f"clicks_{number}", COLUMNS, input_stream_shard_count=200)

    deploy(program)
    assert caplog.text.count("provisioned shards are needed") == 1


def test_receivers_of_alerts_are_told_to_have_no_effect(caplog):
    plain = deployed(arguments={"warehouse": everything().with_alert()})
    assert "with_alert" not in caplog.text
    told = deployed(arguments={"warehouse": everything().with_alert("https://example.com/secret", rejects=1)})
    assert caplog.text.count("webhooks and commands of with_alert are not used on AWS") == 1
    assert "secret" not in caplog.text
    assert {node.name for node in told.custom} == {node.name for node in plain.custom}


def test_on_demand_streams_that_no_table_has_are_told(caplog):
    def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {"on_demand_streams": ["clikcs", "clicks"]})
        warehouse.with_streaming_input_table("clicks", COLUMNS)

    deploy(program)
    assert "on_demand_streams names 'clikcs'" in caplog.text and "'clicks'" not in caplog.text


LONGEST = {
    "FirehoseDeliveryStream": 64,
    "Function": 64,
    "Role": 64,
    "EventRule": 64,
    "Bucket": 63,
    "Queue": 80,
    "RolePolicy": 128,
}


def test_long_names_stay_within_the_limits_and_apart():
    declared = Warehouse("long")
    for end in ("a", "b"):
        declared.with_streaming_input_table("clicks_" + "x" * 70 + end, COLUMNS)
    graph = deployed("w" * 40, {"warehouse": declared})
    for kind, most in LONGEST.items():
        names = [node.physical_name for node in graph.all(kind)]
        assert len(set(names)) == len(names) and max(map(len, names)) <= most
    assert house.check(graph) == []


def test_components_work_alone():
    def program():
        bucket = aws.s3.Bucket("lake")
        database = aws.glue.CatalogDatabase("lake", name="lake")
        stream = InputStream(
            "orders",
            {
                "bucket": bucket.bucket,
                "database_name": database.name,
                "table_name": "orders",
                "columns": {"id": "string"},
                "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1",
                "retention_hours": 48,
            },
        )
        declared = Warehouse("lake").with_streaming_input_table("orders", {"id": "string"})
        EventGenerator(
            "orders-events",
            {
                "table": declared.get_table("orders"),
                "stream_name": stream.input_stream.name,
                "stream_arn": stream.input_stream.arn,
            },
        )
        LambdaCronJob("tidy", {"schedule_expression": "rate(1 day)", "job": tidy})

    graph = deploy(program)
    assert graph.one("Stream").inputs["kmsKeyId"] == "arn:aws:kms:eu-west-1:123456789012:key/1"
    key = granted(graph.one("RolePolicy", "orders-delivery-policy"), "Key")
    context = key["Condition"]["StringEquals"]["kms:EncryptionContext:aws:kinesis:arn"]
    assert context == graph.one("Stream").outputs["arn"]
    function = graph.one("Function", "tidy-function").inputs
    assert (function["timeout"], function["memorySize"], function["handler"]) == (900, 3008, "declared.tidy")
    assert not graph.all("MetricAlarm")  # no topic was given


def test_the_guide_has_every_argument():
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "deploy-to-aws.md").read_text()
    arguments = re.findall(r"^\| `([a-z_]+)` \|", guide.partition("## Arguments")[2].partition("## Remove")[0], re.M)
    assert arguments == list(ServerlessDataWarehouseArgs.__annotations__)


def test_preview_has_the_same_resources(graph):
    preview = deployed(preview=True)
    assert preview.nodes.keys() == graph.nodes.keys()


def test_every_component_says_its_outputs_once(graph):
    assert {len(node.registered_outputs) for node in graph.components} == {1}
