"""The dashboard shows what a warehouse has: every metric is one of its resources', and no resource is left out."""

import json

import cloudformation
import house
import pulumi
import pytest
from declared import COLUMNS, everything
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.aws.dashboard import FUNCTIONS_MAX, STREAMS_MAX

SHOWN = {
    ("AWS/Kinesis", "StreamName"): ("Stream", {
        "IncomingRecords": "Sum", "WriteProvisionedThroughputExceeded": "Sum",
        "GetRecords.IteratorAgeMilliseconds": "Maximum",
    }),
    ("AWS/Firehose", "DeliveryStreamName"): ("FirehoseDeliveryStream", {
        "DeliveryToS3.Records": "Sum", "FailedConversion.Records": "Sum", "DeliveryToS3.DataFreshness": "Maximum",
    }),
    ("AWS/Lambda", "FunctionName"): ("Function", {"Invocations": "Sum", "Errors": "Sum", "Duration": "Maximum"}),
    ("AWS/SQS", "QueueName"): ("Queue", {"ApproximateNumberOfMessagesVisible": "Maximum"}),
}  # fmt: skip
"""By namespace and dimension: the kind of resource, and of each the metrics with their statistics."""


def deployed(declared, **arguments):
    return deploy(lambda: ServerlessDataWarehouse(declared.name, {"warehouse": declared, **arguments}) and None)


def widgets_of(graph):
    return json.loads(graph.one("Dashboard").inputs["dashboardBody"])["widgets"]


@pytest.fixture(scope="module")
def graph():
    return deployed(everything())


def test_every_resource_that_can_fail_is_shown_with_its_metrics_and_nothing_else(graph):
    shown = sorted(
        (namespace, metric, dimension, value, options["stat"])
        for widget in widgets_of(graph) if widget["type"] == "metric"
        for namespace, metric, dimension, value, options in widget["properties"]["metrics"]
    )  # fmt: skip
    assert shown == sorted(
        (namespace, metric, dimension, node.outputs["name"], statistic)
        for (namespace, dimension), (kind, metrics) in SHOWN.items()
        for node in graph.all(kind)
        for metric, statistic in metrics.items()
    )
    regions = {widget["properties"].get("region") for widget in widgets_of(graph) if widget["type"] == "metric"}
    assert regions == {"eu-west-1"}


def test_every_alarm_is_shown_once(graph):
    shown = [arn for widget in widgets_of(graph) if widget["type"] == "alarm" for arn in widget["properties"]["alarms"]]
    assert sorted(shown) == sorted(node.outputs["arn"] for node in graph.all("MetricAlarm")) and len(shown) > 20


def test_every_table_with_a_stream_has_a_row(graph):
    titles = [widget["properties"]["title"] for widget in widgets_of(graph)]
    assert [title for title in titles if title.endswith("records that arrive")] == [
        "impressions: records that arrive", "clicks: records that arrive"
    ]  # fmt: skip
    rows = {}
    for widget in widgets_of(graph):
        rows.setdefault(widget["y"], []).append(widget["width"])
    assert {sum(row) for row in rows.values()} == {24}


def test_many_alarms_are_in_several_widgets_and_a_warehouse_without_any_has_none():
    declared = Warehouse("many")
    for number in range(12):
        declared.with_streaming_input_table(f"t{number}", COLUMNS)
    many = deployed(declared)
    lengths = [len(one["properties"]["alarms"]) for one in widgets_of(many) if one["type"] == "alarm"]
    assert lengths[0] == 100 and sum(lengths) == len(many.all("MetricAlarm")) == 12 * 9
    assert house.check(many) == [] == cloudformation.check(many)
    left_out = dict.fromkeys(["rejects", "rejects_share", "refused_share", "lag_s", "failed_runs", "missed_runs"])
    quiet = Warehouse("quiet").with_streaming_input_table("clicks", COLUMNS).with_alert(**left_out)
    assert [one["type"] for one in widgets_of(deployed(quiet))] == ["metric"] * 8
    assert widgets_of(deployed(Warehouse("nothing"))) == []


def test_a_dashboard_stays_within_the_limits_of_aws(monkeypatch):
    assert STREAMS_MAX * 4 + 4 + 10 <= 500 and STREAMS_MAX * 6 + FUNCTIONS_MAX * 4 <= 2500 and FUNCTIONS_MAX <= 500
    said = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    monkeypatch.setattr("datawarehouse.aws.dashboard.STREAMS_MAX", 1)
    monkeypatch.setattr("datawarehouse.aws.dashboard.FUNCTIONS_MAX", 1)
    declared = Warehouse("two").with_streaming_input_table("a", COLUMNS).with_streaming_input_table("b", COLUMNS)
    graphs = [one["properties"]["metrics"] for one in widgets_of(deployed(declared)) if one["type"] == "metric"]
    assert [len(metrics) for metrics in graphs] == [2, 2, 1, 1, 1, 1, 1, 1]
    assert "The dashboard has no room for b, some functions; its alarms are all there." in said


def test_no_two_stacks_or_warehouses_share_a_dashboard():
    """A dashboard belongs to no Region, and a second one of its name takes its place."""

    def name(warehouse="dw", **place):
        graph = deploy(lambda: ServerlessDataWarehouse(warehouse, {}) and None, **place)
        return graph.one("Dashboard").inputs["dashboardName"]

    names = [name(), name("dw2"), name(stack="a.b"), name(stack="a-b"), name(project="other"), name(stack="s" * 300)]
    assert len(set(names)) == 6 and name() == names[0]
    assert all(each.startswith("dw") and len(each) <= 255 and "." not in each for each in names)


def test_tables_that_are_added_one_by_one_are_shown():
    def program():
        warehouse = ServerlessDataWarehouse("dw", {})
        warehouse.with_streaming_input_table("clicks", COLUMNS)

    assert len(widgets_of(deploy(program))) == 9


def test_a_table_that_comes_too_late_is_said_to_be_missing(monkeypatch):
    said = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))

    async def program():
        warehouse = ServerlessDataWarehouse("dw", {})
        await warehouse._dashboard.resource.dashboard_body.future()
        warehouse.with_streaming_input_table("clicks", COLUMNS)

    assert widgets_of(deploy(program)) == []
    assert sum("Table 'clicks' is not on the dashboard" in text for text in said) == 2
