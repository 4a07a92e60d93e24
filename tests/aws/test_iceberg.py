"""A streaming input table in Iceberg: what it becomes on AWS, how it changes, and what is refused by name."""

import base64
import json

import pytest
from apply import Emulator, apply
from declared import COLUMNS, hourly_counts, in_iceberg
from emulator import REGION
from graph import Graph
from lambda_zip import run
from policies import audit, lambda_implies, role_documents, role_of
from recorder import deploy
from test_protection import closure

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.errors import DeclarationError, SchemaChangeRefused
from datawarehouse.operate.rejects import rejects_of

ARRIVED_MS = 1_795_332_645_123  # 2026-11-22T07:30:45.123Z
EVENTS = COLUMNS | {"price": "decimal(9,4)", "count": "int"}


def events(columns=None, **arguments):
    declared = {"table_format": "iceberg", **arguments}
    return Warehouse("shop").with_streaming_input_table("events", columns or EVENTS, **declared)


def deployed(declared, before=None, **arguments):
    program = lambda: ServerlessDataWarehouse("dw", {"warehouse": declared, **arguments}) and None  # noqa: E731
    return deploy(program, deployed=before)


@pytest.fixture(scope="module")
def graph():
    return deployed(in_iceberg())


@pytest.fixture(scope="module")
def before():
    return deployed(events(input_stream_shard_count=2), stream_retention_hours=48)


# -- what there is


def test_nothing_registers_its_hours_and_glue_tidies_it(graph):
    functions = {node.name for node in graph.all("Function")}
    assert functions == {"dw-clicks-partitions-cron-function", "dw-events-input-converter-function"}
    optimizers = {node.inputs["type"] for node in graph.all("CatalogTableOptimizer")}
    assert optimizers == {"compaction", "retention", "orphan_file_deletion"}
    assert {node.inputs["tableName"] for node in graph.all("CatalogTableOptimizer")} == {"events"}


def test_its_metadata_have_every_column_and_the_hour(graph):
    table = graph.one("CatalogTable", "dw-events").inputs["openTableFormatInput"]["icebergInput"]
    made = table["icebergTableInput"]
    names = [field["name"] for field in made["schema"]["fields"]]
    assert names == [column.name for column in in_iceberg().get_table("events").columns] + ["arrived_at"]
    [hour] = made["partitionSpec"]["fields"]
    assert (hour["name"], hour["transform"], hour["sourceId"]) == ("arrived_at", "identity", len(names))
    types = {field["name"]: json.loads(field["type"]) for field in made["schema"]["fields"]}
    assert (types["price"], types["count"], types["event_time"]) == ("decimal(9,4)", "long", "timestamp")
    assert types["device"]["fields"][1] == {
        "id": 11,
        "name": "sizes",
        "required": False,
        "type": {
            "type": "map",
            "key-id": 12,
            "key": "string",
            "value-id": 13,
            "value-required": False,
            "value": {"type": "list", "element-id": 14, "element-required": False, "element": "long"},
        },
    }


def test_error_documents_are_in_projected_hours_from_the_first_that_there_can_be(graph):
    parameters = graph.one("CatalogTable", "dw-events_error_docs").inputs["parameters"]
    assert parameters["projection.arrived_at.range"] == "2026/11/01/00,NOW+1HOURS"
    assert "projection.enabled" not in graph.one("CatalogTable", "dw-clicks_error_docs").inputs["parameters"]


def test_another_table_of_the_warehouse_is_as_it_would_be_alone(graph):
    alone = deployed(Warehouse("half_iceberg").with_streaming_input_table("clicks", COLUMNS))
    of_clicks = {node.urn: node.inputs for node in alone.custom if node.name.startswith("dw-clicks")}
    assert of_clicks and {urn: graph.nodes[urn].inputs for urn in of_clicks} == of_clicks


def test_jobs_may_read_it(graph):
    declared = in_iceberg().with_batch_input_table(
        "counts", {"n": "bigint"}, hourly_counts, "cron(20 * * * ? *)", data_format="JSON", reads=["events"]
    )
    policy = deployed(declared).one("RolePolicy", "dw-counts-job-cron-policy").inputs["policy"]
    [read] = [one["Resource"] for one in json.loads(policy)["Statement"] if one["Sid"] == "ReadData"]
    assert [arn.partition("/")[2] for arn in read][:2] == ["events/*", "errors/events/format-conversion-failed/*"]


def test_jobs_that_read_it_and_another_table_look_for_late_hours_of_the_other_alone(graph):
    hourly = {"schedule_expression": "rate(1 hour)", "partition_keys": {"inserted_at": "string"}}
    declared = in_iceberg()
    for name, reads in {"both": ["clicks", "events"], "one": ["events"]}.items():
        sql = f"select count(*) as n from {reads[-1]} where {'arrived_at' if reads == ['events'] else 'id'} is not null"
        declared = declared.with_batch_input_table(name, {"n": "bigint"}, sql=sql, reads=reads, **hourly)
    found = deployed(declared)
    variables = {node.name: node.inputs["environment"]["variables"] for node in found.all("Function")}
    assert variables["dw-both-job-cron-function"]["DW_WATCHED"] == "clicks"
    assert "DW_WATCHED" not in variables["dw-one-job-cron-function"]
    late = {node.name for node in found.all("MetricAlarm") if node.name.endswith("late-hours")}
    assert late == {"dw-both-job-late-hours"}


def test_what_feeds_and_names_it_is_protected(graph):
    kept = closure(graph)
    assert {graph.nodes[urn].name for urn in kept} >= {
        "dw-events", "dw-events_error_docs", "dw-events_quarantine",
        "dw-events-input", "dw-events-input-stream", "dw-events-input-delivery",
        "dw-events-input-converter", "dw-events-input-converter-function", "dw-events-input-converter-role",
        "dw-events-input-converter-policy", "dw-events-input-delivery-role", "dw-events-input-delivery-policy",
    }  # fmt: skip
    # Deployments may replace the stream of the log.
    open_to_loss = [graph.nodes[urn].label for urn in kept if not graph.nodes[urn].protect]
    assert [label for label in open_to_loss if not label.startswith("LogStream")] == []


def test_alarms_watch_its_own_metrics(graph):
    alarms = {node.name.removeprefix("dw-events-input-"): node.inputs for node in graph.all("MetricAlarm")}
    function = graph.one("Function", "dw-events-input-converter-function").physical_name
    delivery = graph.one("FirehoseDeliveryStream", "dw-events-input-delivery").physical_name
    assert alarms["late"]["metricName"] == "DeliveryToIceberg.DataFreshness"
    assert alarms["failed"]["metricName"] == "DeliveryToIceberg.FailedRowCount"
    assert alarms["failed"]["dimensions"] == {"DeliveryStreamName": delivery}
    assert alarms["converter-errors"]["dimensions"] == {"FunctionName": function}
    assert alarms["converter-throttles"]["metricName"] == "Throttles"
    for name in ("stalled", "rejected"):
        metrics = {one["id"]: one["metric"] for one in alarms[name]["metricQueries"] if "metric" in one}
        assert metrics["rejected"]["namespace"] == "DataWarehouse"
        assert metrics["rejected"]["dimensions"] == {"Function": function}
    assert metrics.keys() <= {"arrived", "delivered", "rejected"}


def test_alarms_of_failures_can_be_left_out():
    declared = in_iceberg().with_alert(failed_runs=None)
    names = {node.name.removeprefix("dw-events-input-") for node in deployed(declared).all("MetricAlarm")}
    assert {"failed", "converter-errors", "converter-throttles"}.isdisjoint(names) and {"late", "rejected"} <= names


def test_the_dashboard_shows_its_own_metrics(graph):
    function = graph.one("Function", "dw-events-input-converter-function").physical_name
    delivery = graph.one("FirehoseDeliveryStream", "dw-events-input-delivery").physical_name
    widgets = json.loads(graph.one("Dashboard").inputs["dashboardBody"])["widgets"]
    shown = {tuple(metric[:4]) for widget in widgets for metric in widget["properties"].get("metrics", ())}
    assert shown >= {
        ("AWS/Firehose", "DeliveryToIceberg.SuccessfulRowCount", "DeliveryStreamName", delivery),
        ("AWS/Firehose", "DeliveryToIceberg.DataFreshness", "DeliveryStreamName", delivery),
        ("DataWarehouse", "RejectedRecords", "Function", function),
        ("AWS/Lambda", "Errors", "FunctionName", function),
    }
    assert ("AWS/Firehose", "DeliveryToS3.Records", "DeliveryStreamName", delivery) not in shown
    alarms = {arn for widget in widgets for arn in widget["properties"].get("alarms", ())}
    assert alarms == {node.outputs["arn"] for node in graph.all("MetricAlarm")}


def test_a_warehouse_of_one_table_in_iceberg_shows_no_empty_graph():
    widgets = json.loads(deployed(events()).one("Dashboard").inputs["dashboardBody"])["widgets"]
    assert all(widget["properties"].get("metrics") or widget["properties"].get("alarms") for widget in widgets)


# -- the function as it is deployed, in an interpreter that has what Lambda has


def test_the_function_has_the_rights_for_what_it_does_and_no_others(graph, aws):
    apply(
        Graph({urn: node for urn, node in graph.nodes.items() if node.kind == "Bucket"}),
        Emulator(aws.url, region=REGION),
    )
    function = graph.one("Function", "dw-events-input-converter-function")
    records = [
        {
            "recordId": str(number),
            "data": base64.b64encode(data).decode(),
            "kinesisRecordMetadata": {"sequenceNumber": str(number), "approximateArrivalTimestamp": ARRIVED_MS},
        }
        for number, data in enumerate([b'{"id":"a","price":"1.5","device":{"os":"x"}}', b'{"count":"many"}'])
    ]
    extras = {key: value for key, value in aws.environment().items() if key.startswith("AWS_")}
    done = run(function, {"records": records}, extras=extras, record_calls=True)
    assert done.error is None, done.errors
    stored, dropped = done.result["records"]
    assert dropped == {"recordId": "1", "result": "Dropped"}
    assert json.loads(base64.b64decode(stored["data"])) == {
        **dict.fromkeys(("session_id", "event_time", "count", "ratio", "tags")),
        "id": "a",
        "price": "1.5000",
        "device": {"os": "x", "sizes": None},
        "arrived_at": "2026/11/22/07",
    }
    found = audit(role_documents(graph, role_of(graph, function)), done.calls, lambda_implies(graph, function))
    assert (found.missing, found.unused) == ([], [])
    [line] = [line for line in done.lines if "_aws" in line]
    assert (line["Function"], line["RejectedRecords"]) == (function.physical_name, 1)
    [(_, _, put)] = [call for call in done.calls if call[1] == "PutObject"]
    assert put["Key"].startswith("errors/events/format-conversion-failed/2026/11/22/07/1-1-")
    body = aws.client("s3").get_object(Bucket=put["Bucket"], Key=put["Key"])["Body"].read()
    [reject] = rejects_of(put["Key"], body)
    assert reject.code == "DataFormatConversion.MalformedData" and "'count'" in reject.message
    assert (reject.raw, milliseconds_of(reject.arrived)) == (b'{"count":"many"}', ARRIVED_MS)


# -- changes


def test_a_second_deployment_of_the_same_changes_nothing(before):
    again = deployed(events(input_stream_shard_count=2), before, stream_retention_hours=48)
    assert {node.urn: node.inputs for node in again} == {node.urn: node.inputs for node in before}


def refusal(before, declared, **arguments):
    with pytest.raises(SchemaChangeRefused) as refused:
        deployed(declared, before, **{"stream_retention_hours": 48, **arguments})
    return str(refused.value)


def now(columns=None, **arguments):
    return events(columns, **{"input_stream_shard_count": 2, **arguments})


@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        (
            now(EVENTS | {"color": "string"}),
            ["column 'color' (string) is new", "ALTER TABLE `events` ADD COLUMNS (`color` string), and deploy again"],
        ),
        (
            now(EVENTS | {"count": "bigint"}),
            [
                "column 'count' was int and is now bigint",
                "ALTER TABLE `events` CHANGE COLUMN `count` `count` bigint, and",
            ],
        ),
        (
            now(EVENTS | {"price": "decimal(12,4)"}),
            ["ALTER TABLE `events` CHANGE COLUMN `price` `price` decimal(12,4), and deploy again"],
        ),
        (
            now(COLUMNS | {"price": "decimal(9,4)"}),
            ["column 'count' (int) is no longer declared", "ALTER TABLE `events` DROP COLUMN `count`, which hides"],
        ),
        (now(EVENTS | {"count": "string"}), ["was int and is now string, which Iceberg cannot make of it: keep int"]),
        (now(EVENTS | {"price": "decimal(9,2)"}), ["which Iceberg cannot make of it: keep decimal(9,4)"]),
        (now(partition_key_name="hour"), ["column 'inserted_at' (string) is no longer declared", "'hour' (string) is"]),
        (now(input_stream_shard_count=8), ["was 2 and is now 8", "deploy 4 first, and 8 after that"]),
        (now(table_format="hive"), ["table_format was 'iceberg' and is now 'hive'", "a table of another name"]),
    ],
    ids=["added", "widened", "wider decimal", "dropped", "retyped", "scale", "hour", "shards", "format"],
)
@pytest.mark.parametrize("disposable", [False, True])
def test_what_a_deployment_cannot_do_names_the_next_step(before, declared, parts, disposable):
    message = refusal(before, declared, data_is_disposable=disposable)
    assert [part for part in parts if part not in message] == []
    assert "allow_data_loss" not in message, "there is nothing that it could allow"


def test_a_stream_that_would_forget_records_is_refused_as_for_any_table(before):
    assert "stream_retention_hours was 48 and is now 24" in refusal(before, now(), stream_retention_hours=24)


def test_a_table_of_hive_does_not_become_iceberg():
    hive = deployed(events(table_format="hive"))
    assert "table_format was 'hive' and is now 'iceberg'" in refusal(hive, events(), stream_retention_hours=24)


def test_after_the_statement_the_function_gets_the_column_and_the_table_is_left_alone(before):
    wider = EVENTS | {"color": "string"}
    altered = deployed(now(wider), stream_retention_hours=48)  # what the catalog says after ALTER TABLE
    after = deployed(now(wider), altered, stream_retention_hours=48)
    changed = {node.name for node in after if node.inputs != before.nodes.get(node.urn, node).inputs}
    assert changed == {
        "dw-events",
        "dw-events-input-converter-function",
        "dw-events-input-delivery",  # the name of its log stream, which makes it look at the table again
    }
    assert after.one("CatalogTable", "dw-events").ignore_changes == ["openTableFormatInput"]


# -- what cannot work


def test_projection_is_refused():
    with pytest.raises(DeclarationError) as refused:
        deployed(events(), partition_projection_start="2026/11/01/00")
    assert "Table 'events': table_format is 'iceberg'" in str(refused.value)
    assert "Leave partition_projection_start out, or declare this table in a warehouse of its own." in str(
        refused.value
    )


# -- the embedded host


def test_the_embedded_host_stores_it_as_any_other_table(tmp_path):
    with open_warehouse(in_iceberg(), tmp_path) as warehouse:
        warehouse.put("events", [{"id": "a", "price": "1.5"}])
        warehouse.flush()
        assert [tuple(row) for row in warehouse.query("select id, price from events")]
    assert list(tmp_path.glob("events/*/*/*/*/*.parquet"))
