"""What alarms watch, when they go off, and whom they tell."""

import re

import pytest
from declared import COLUMNS, hourly_counts
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse

FLUSHED = {"clicks": 900, "views": 170, "visits": 10}
LATE = {"clicks": 1800, "views": 340, "visits": 300}
"""Twice the flush interval, at the least five minutes."""
STALLED = {"clicks": 1800, "views": 360, "visits": 300}
"""The same in whole minutes, which is what CloudWatch takes as a period."""

# By what is watched: how its name ends, what CloudWatch calls it, and of each alarm the metric, statistic, threshold.
WATCHED = {
    "Stream": (
        "-stream", "AWS/Kinesis", "StreamName", {
            "throttled": ("WriteProvisionedThroughputExceeded", "Sum", 0),
            "behind": ("GetRecords.IteratorAgeMilliseconds", "Maximum", 3_600_000),
        },
    ),
    "FirehoseDeliveryStream": (
        "-delivery", "AWS/Firehose", "DeliveryStreamName", {
            "rejected": ("FailedConversion.Records", "Sum", 0),
            "late": ("DeliveryToS3.DataFreshness", "Maximum", LATE),
        },
    ),
    "Function": ("-function", "AWS/Lambda", "FunctionName", {"errors": ("Errors", "Sum", 0)}),
    "Queue": (
        "-dead-letters", "AWS/SQS", "QueueName", {
            "dead-letters": ("ApproximateNumberOfMessagesVisible", "Maximum", 0),
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    declared = Warehouse("watched")
    for name, seconds in FLUSHED.items():
        declared.with_streaming_input_table(name, COLUMNS, file_flush_interval_seconds=seconds)
    declared.with_batch_input_table("counts", {"count": "int"}, hourly_counts, "cron(30 * * * ? *)")
    return deploy(lambda: ServerlessDataWarehouse("watched", {"warehouse": declared}) and None)


def told(graph):
    """What all alarms have in common: no data is no alarm, and the topic hears of its beginning and of its end."""
    topic = graph.one("Topic").outputs["arn"]
    return {
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "alarmActions": [topic],
        "okActions": [topic],
    }


def test_everything_that_can_fail_is_watched(graph):
    expected = {}
    for kind, (ending, namespace, dimension, alarms) in WATCHED.items():
        for node in graph.all(kind):
            watched = node.name.removesuffix(ending)
            for alarm, (metric, statistic, threshold) in alarms.items():
                expected[f"{watched}-{alarm}"] = {
                    **told(graph),
                    "namespace": namespace,
                    "metricName": metric,
                    "dimensions": {dimension: node.outputs["name"]},
                    "statistic": statistic,
                    "threshold": threshold[watched.split("-")[1]] if threshold is LATE else threshold,
                    "period": 300,
                    "evaluationPeriods": 1,
                }
    found = {node.name: dict(node.inputs) for node in graph.all("MetricAlarm") if "metricQueries" not in node.inputs}
    assert all(inputs.pop("alarmDescription") for inputs in found.values())
    assert len(found) == 3 * (2 + 2 + 2) + 2 and found == expected


@pytest.mark.parametrize("table", FLUSHED)
def test_delivery_that_stalls_is_seen_from_both_of_its_ends(graph, table):
    alarm = dict(graph.one("MetricAlarm", f"watched-{table}-input-stalled").inputs)
    *metrics, result = alarm.pop("metricQueries")
    assert alarm.pop("alarmDescription") and alarm == {**told(graph), "threshold": 0, "evaluationPeriods": 2}
    stream = {"StreamName": graph.one("Stream", f"watched-{table}-input-stream").outputs["name"]}
    delivery = graph.one("FirehoseDeliveryStream", f"watched-{table}-input-delivery").outputs["name"]
    assert [query["metric"] for query in metrics] == [
        {"namespace": namespace, "metricName": metric, "dimensions": of, "period": STALLED[table], "stat": "Sum"}
        for namespace, metric, of in (
            ("AWS/Kinesis", "IncomingRecords", stream),
            ("AWS/Firehose", "DeliveryToS3.Records", {"DeliveryStreamName": delivery}),
            ("AWS/Firehose", "FailedConversion.Records", {"DeliveryStreamName": delivery}),
        )
    ]
    # An alarm is on one result.
    assert result["returnData"] is True and not any(query.get("returnData") for query in metrics)


def evaluated(expression, values):
    """An expression of CloudWatch's metric math, of one value or none of each metric."""
    functions = {
        "IF": lambda condition, then, otherwise: then if condition else otherwise,
        "FILL": lambda value, default: default if value is None else value,
    }
    python = re.sub(r"\b(AND|OR)\b", lambda word: word[0].lower(), expression)
    return eval(python, {"__builtins__": {}}, {**functions, **values})


@pytest.mark.parametrize(
    ("arrived", "delivered", "rejected", "is_stalled"),
    [
        (1, 0, 0, True),
        (5, None, None, True),  # a Firehose that does nothing publishes nothing
        (5, 1, 0, False),
        (5, 3, None, False),
        (5, 0, 1, False),
        (5, None, 2, False),
        (0, 0, 0, False),
        (0, 3, 0, False),
        (None, None, None, False),
    ],
)
def test_what_stalls(graph, arrived, delivered, rejected, is_stalled):
    alarm = graph.one("MetricAlarm", "watched-clicks-input-stalled").inputs
    *metrics, result = alarm["metricQueries"]
    sums = {
        "IncomingRecords": arrived, "DeliveryToS3.Records": delivered, "FailedConversion.Records": rejected
    }  # fmt: skip
    values = {query["id"]: sums[query["metric"]["metricName"]] for query in metrics}
    assert (evaluated(result["expression"], values) > alarm["threshold"]) is is_stalled
