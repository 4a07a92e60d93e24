"""What alarms watch, when they go off, and whom they tell."""

import re

import pytest
from declared import COLUMNS, hourly_counts
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse

FLUSHED = {"clicks": 900, "views": 170, "visits": 10}
LATE = {"clicks": 1800, "views": 470, "visits": 310}
"""Twice the flush interval, or five minutes after it."""
STALLED = {"clicks": 1800, "views": 360, "visits": 300}
"""The same in whole minutes, which is what CloudWatch takes as a period."""

# By what is watched: how its name ends, what CloudWatch calls it, and of each alarm the metric, statistic, threshold.
WATCHED = {
    "Stream": (
        "-stream", "AWS/Kinesis", "StreamName", {
            "behind": ("GetRecords.IteratorAgeMilliseconds", "Maximum", 3_600_000),
        },
    ),
    "FirehoseDeliveryStream": (
        "-delivery", "AWS/Firehose", "DeliveryStreamName", {
            "late": ("DeliveryToS3.DataFreshness", "Maximum", LATE),
        },
    ),
    "Function": ("-function", "AWS/Lambda", "FunctionName", {"errors": ("Errors", "Sum", 2)}),
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
                    "period": 3600 if alarm == "errors" else 300,
                    "evaluationPeriods": 1,
                }
    found = {node.name: dict(node.inputs) for node in graph.all("MetricAlarm") if "metricQueries" not in node.inputs}
    assert all(inputs.pop("alarmDescription") for inputs in found.values())
    idle = {name: found.pop(name) for name in list(found) if name.endswith("-idle")}
    unread = {name: found.pop(name) for name in list(found) if name.endswith("-unread")}
    assert len(found) == 3 * (1 + 1 + 2) + 2 and found == expected
    assert len(unread) == 3
    assert unread["watched-clicks-input-unread"] == {
        **told(graph),
        "namespace": "AWS/Kinesis",
        "metricName": "GetRecords.Success",
        "dimensions": {"StreamName": graph.one("Stream", "watched-clicks-input-stream").outputs["name"]},
        "statistic": "Sum",
        # Firehose reads each second, also when there is nothing: no data is no reader.
        "comparisonOperator": "LessThanThreshold",
        "treatMissingData": "breaching",
        "threshold": 1,
        "period": 300,
        "evaluationPeriods": 3,
    }
    assert len(idle) == 3
    assert idle["watched-clicks-partitions-cron-idle"] == {
        **told(graph),
        "namespace": "AWS/Lambda",
        "metricName": "Invocations",
        "dimensions": {
            "FunctionName": graph.one("Function", "watched-clicks-partitions-cron-function").outputs["name"]
        },
        "statistic": "Sum",
        # Without a run for three hours; that there is no data then says the same.
        "comparisonOperator": "LessThanThreshold",
        "treatMissingData": "breaching",
        "threshold": 1,
        "period": 3600,
        "evaluationPeriods": 3,
    }


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


def alarms_of(*alerts, **arguments):
    """The alarms of a stream that is flushed each 15 minutes, by the ends of their names."""
    declared = Warehouse("watched").with_streaming_input_table("clicks", COLUMNS, **arguments)
    for alert in alerts:
        declared.with_alert(**alert)
    graph = deploy(lambda: ServerlessDataWarehouse("watched", {"warehouse": declared}) and None)
    return {node.name.rsplit("-", 1)[1]: node.inputs for node in graph.all("MetricAlarm")}


def is_rejected_alarm(alarm, arrived, rejected):
    return is_alarm_of(alarm, arrived=arrived, rejected=rejected)


def is_alarm_of(alarm, **sums):
    *metrics, result = alarm["metricQueries"]
    values = {query["id"]: sums[query["id"]] for query in metrics}
    return evaluated(result["expression"], values) > alarm["threshold"]


@pytest.mark.parametrize(
    ("alert", "arrived", "rejected", "is_alarm"),
    [
        ({}, 35_000 * 1800, 10_000, False), ({}, 35_000 * 1800, 10_001, True),
        ({}, 1000, 10, False), ({}, 1000, 11, True), ({}, None, None, False), ({}, 1000, None, False),
        ({"rejects": 5, "rejects_share": None}, 1, 5, False), ({"rejects": 5, "rejects_share": None}, 1000, 6, True),
        ({"rejects": None, "rejects_share": 0.000001}, 1_000_000, 1, False),
        ({"rejects": None, "rejects_share": 0.000001}, 1_000_000, 2, True),
        ({"rejects": 0}, 10**6, 1, True), ({"rejects": None, "rejects_share": 1e-9}, 10**6, 1, True),
    ],
)  # fmt: skip
def test_malformed_records_are_an_alarm_from_where_with_alert_says(alert, arrived, rejected, is_alarm):
    assert is_rejected_alarm(alarms_of(alert)["rejected"], arrived, rejected) is is_alarm


def test_the_time_over_which_malformed_records_are_counted():
    """At the least two flush intervals, since Firehose counts them when it delivers a buffer."""

    def period(alert, **arguments):
        [first, *_] = alarms_of(alert, **arguments)["rejected"]["metricQueries"]
        return first["metric"]["period"]

    assert period({}) == 1800 and period({"window_minutes": 60}) == 3600
    assert period({}, file_flush_interval_seconds=10) == 300


@pytest.mark.parametrize(
    ("alert", "arrived", "refused", "is_alarm"),
    [
        ({}, 35_000 * 300, 100_000, False), ({}, 990, 10, False), ({}, 989, 11, True), ({}, None, 1, True),
        ({}, None, None, False), ({}, 100, None, False), ({"refused_share": 1}, None, 100, False),
        ({"refused_share": 0}, 10**9, 1, True), ({"refused_share": 0}, 10**9, None, False),
    ],
)  # fmt: skip
def test_refused_records_are_an_alarm_from_the_share_on_that_with_alert_says(alert, arrived, refused, is_alarm):
    alarm = alarms_of(alert)["throttled"]
    assert is_alarm_of(alarm, arrived=arrived, refused=refused) is is_alarm
    assert {query["metric"]["period"] for query in alarm["metricQueries"][:-1]} == {300}


@pytest.mark.parametrize(
    ("runs", "schedule", "failed", "hours", "letters"),
    [
        (1, "rate(1 hour)", 1, 1, 1), (3, "rate(1 hour)", 3, 1, 1), (4, "rate(1 hour)", 4, 2, 2),
        (30, "rate(1 hour)", 30, 10, 10), (1000, "rate(1 hour)", 72, 24, 334), (3, "rate(1 day)", 3, 1, 1),
        (6, "rate(1 day)", 3, 24, 2), (6, "rate(12 hours)", 6, 13, 2), (9, "rate(12 hours)", 6, 24, 3),
    ],
)  # fmt: skip
def test_failed_runs_are_an_alarm_from_so_many_on_within_the_hours_that_they_take(
    runs, schedule, failed, hours, letters
):
    found = alarms_of({"failed_runs": runs}, partition_schedule_expression=schedule)
    errors, dead = found["errors"], found["letters"]
    assert (errors["threshold"] + 1, errors["period"], errors["evaluationPeriods"]) == (failed, hours * 3600, 1)
    assert dead["threshold"] + 1 == letters


OF_CONDITIONS = {
    ("rejects", "rejects_share"): {"rejected"},
    ("refused_share",): {"throttled"},
    ("lag_s",): {"late", "stalled", "behind", "unread"},
    ("failed_runs",): {"errors", "letters"},
    ("missed_runs",): {"idle"},
}
"""Each alarm, by the conditions without which it is not there."""


@pytest.mark.parametrize("left_out", OF_CONDITIONS)
def test_conditions_that_are_left_out_have_no_alarm(left_out):
    everything = set().union(*OF_CONDITIONS.values())
    assert alarms_of(dict.fromkeys(left_out)).keys() == everything - OF_CONDITIONS[left_out]


def test_a_longer_lag_is_late_later_and_of_several_alerts_the_strictest_counts():
    later = alarms_of({"lag_s": 7200})
    assert later["late"]["threshold"] == 900 + 7200
    assert (later["behind"]["threshold"], later["unread"]["evaluationPeriods"]) == ((900 + 7200) * 1000, 24)
    assert alarms_of({"lag_s": 31_536_000})["unread"]["evaluationPeriods"] == 288
    both = alarms_of(
        {"lag_s": 7200, "rejects": 5}, {"webhook": "https://example.com/x", "lag_s": 1800, "rejects": None}
    )
    assert both["late"]["threshold"] == 900 + 1800 and is_rejected_alarm(both["rejected"], 10**6, 6)


@pytest.mark.parametrize(
    ("missed", "schedule", "hours"),
    [
        (3, "rate(1 day)", 72), (3, "rate(2 hours)", 6), (3, "rate(5 minutes)", 3), (1, "rate(2 hours)", 2),
        (3, "cron(0 9 ? * MON-FRI *)", 168), (1000, "rate(1 hour)", 168), (3, "rate(7 days)", None),
    ],
)  # fmt: skip
def test_a_registrar_that_does_not_run_is_an_alarm(missed, schedule, hours):
    alarm = alarms_of({"missed_runs": missed}, partition_schedule_expression=schedule).get("idle")
    assert (alarm and alarm["evaluationPeriods"]) == hours


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
