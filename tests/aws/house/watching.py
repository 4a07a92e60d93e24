"""What tells that something went wrong: alarms, topics, queues, logs."""

from __future__ import annotations

import json
import re
from typing import Any

from graph import Node
from policies import as_list

from house.world import Errors, World, about, number_in

_UP = ("GreaterThanThreshold", "GreaterThanOrEqualToThreshold")
_DOWN = ("LessThanThreshold", "LessThanOrEqualToThreshold")

_BY_FUNCTION = "DataWarehouse, by function"

# namespace -> (dimension, kind that it names, {metric: (statistics, operators)}). "Monitor Amazon Data Firehose using
# CloudWatch metrics", "Monitor the Amazon Kinesis Data Streams service with Amazon CloudWatch", "Types of metrics for
# Lambda functions", "Available CloudWatch metrics for Amazon SQS", "Monitoring Amazon EventBridge".
_METRICS: dict[str, tuple[str, str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]]] = {
    "AWS/Events": ("RuleName", "EventRule", {"FailedInvocations": (("Sum",), _UP)}),
    "AWS/Firehose": (
        "DeliveryStreamName",
        "FirehoseDeliveryStream",
        {
            "DeliveryToS3.Records": (("Sum",), _UP),
            "DeliveryToS3.DataFreshness": (("Maximum", "Average"), _UP),
            "DeliveryToS3.Success": (("Average", "Minimum"), _DOWN),
            "DeliveryToIceberg.DataFreshness": (("Maximum", "Average"), _UP),
            "DeliveryToIceberg.FailedRowCount": (("Sum",), _UP),
            "DeliveryToIceberg.SuccessfulRowCount": (("Sum",), _UP),
            "FailedConversion.Records": (("Sum",), _UP),
            "KinesisMillisBehindLatest": (("Maximum",), _UP),
            "ThrottledGetRecords": (("Sum",), _UP),
        },
    ),
    "AWS/Kinesis": (
        "StreamName",
        "Stream",
        {
            "GetRecords.IteratorAgeMilliseconds": (("Maximum",), _UP),
            "GetRecords.Success": (("Sum",), _DOWN),
            "IncomingRecords": (("Sum",), _UP),
            "PutRecords.ThrottledRecords": (("Sum",), _UP),
            "ReadProvisionedThroughputExceeded": (("Sum",), _UP),
            "WriteProvisionedThroughputExceeded": (("Sum", "Average"), _UP),
        },
    ),
    "AWS/Lambda": (
        "FunctionName",
        "Function",
        {
            "AsyncEventsDropped": (("Sum",), _UP),
            "DeadLetterErrors": (("Sum",), _UP),
            "DestinationDeliveryFailures": (("Sum",), _UP),
            "Duration": (("Maximum", "Average"), _UP),
            "Errors": (("Sum",), _UP),
            "Invocations": (("Sum",), _DOWN),
            "Throttles": (("Sum",), _UP),
        },
    ),
    # What our functions publish.
    "DataWarehouse": ("Table", "CatalogTable", {"LateHours": (("Sum",), _UP), "LateObjects": (("Sum",), _UP)}),
    _BY_FUNCTION: ("Function", "Function", {"RejectedRecords": (("Sum",), _UP)}),
    "AWS/SQS": (
        "QueueName",
        "Queue",
        {
            "ApproximateAgeOfOldestMessage": (("Maximum",), _UP),
            "ApproximateNumberOfMessagesVisible": (("Maximum", "Sum"), _UP),
        },
    ),
}


@about("MetricAlarm")
def alarm_rule(node: Node, world: World) -> Errors:
    """Metrics that exist, on resources that exist, sent to the topic; Amazon CloudWatch API, PutMetricAlarm."""
    inputs = node.inputs
    if inputs.get("metricQueries") is None:
        yield from _metric_errors(inputs, inputs.get("statistic"), world)
        yield from _period_errors(inputs.get("period"))
    else:
        yield from _query_errors(inputs["metricQueries"], world)
    metrics = _METRICS.get(str(inputs.get("namespace")), ("", "", {}))[2]
    _, operators = metrics.get(str(inputs.get("metricName")), ((), _UP))
    if inputs.get("comparisonOperator") not in operators:
        yield f"is compared with {inputs.get('comparisonOperator')!r}, not one of {operators}"
    threshold = inputs.get("threshold")
    if not isinstance(threshold, (int, float)) or isinstance(threshold, bool) or not 0 <= threshold < 10**12:
        yield f"threshold is {threshold!r}"
    # PutMetricAlarm, EvaluationPeriods: a day in all, or seven with periods of an hour or more.
    seconds = inputs.get("period") or 60
    longest = 86_400 if not isinstance(seconds, int) or seconds < 3600 else 604_800
    if not number_in(inputs.get("evaluationPeriods"), 1, longest // (seconds if isinstance(seconds, int) else 60)):
        yield f"evaluationPeriods is {inputs.get('evaluationPeriods')!r}"
    points = inputs.get("datapointsToAlarm")
    if points is not None and not number_in(points, 1, inputs.get("evaluationPeriods") or 0):
        yield f"datapointsToAlarm is {points!r}"
    if inputs.get("treatMissingData") not in ("breaching", "notBreaching", "ignore"):
        yield f"treatMissingData is {inputs.get('treatMissingData')!r}"
    if len(str(inputs.get("alarmDescription", ""))) < 20:
        yield "does not say what it means and where to look"
    if not inputs.get("alarmActions"):
        yield "tells nobody"
    for key in ("alarmActions", "okActions", "insufficientDataActions"):
        for arn in as_list(inputs.get(key) or []):
            topic = world.at(arn)
            if topic is None or topic.kind != "Topic":
                yield f"{key} has {arn!r}, no topic of this stack"


def _metric_errors(metric: dict[str, Any], statistic: Any, world: World) -> Errors:
    """A metric that exists, of a resource of this stack, summed up as it can be."""
    namespace = str(metric.get("namespace"))
    if (namespace, metric.get("metricName")) == ("DataWarehouse", "RejectedRecords"):
        namespace = _BY_FUNCTION
    dimension, kind, metrics = _METRICS.get(namespace, ("", "", {}))
    if metric.get("metricName") not in metrics:
        yield f"no metric {metric.get('namespace')} {metric.get('metricName')}"
        return
    statistics, _ = metrics[metric["metricName"]]
    if statistic not in statistics:
        yield f"statistic of {metric['metricName']} is {statistic!r}, not one of {statistics}"
    dimensions = metric.get("dimensions")
    if namespace == "DataWarehouse" and isinstance(dimensions, dict):
        database = dimensions.get("Database")
        dimensions = {name: value for name, value in dimensions.items() if name != "Database"}
        if world.named("CatalogDatabase", database) is None:
            yield f"Database {database!r} is not in this stack"
    if not isinstance(dimensions, dict) or set(dimensions) != {dimension}:
        yield f"dimensions are {dimensions!r}, not {dimension}"
    elif world.named(kind, dimensions[dimension]) is None:
        yield f"{dimension} {dimensions[dimension]!r} is not in this stack"


def _period_errors(period: Any) -> Errors:
    if not number_in(period, 60, 86_400) or period % 60:
        yield f"period is {period!r}, not a multiple of 60 s of at most a day"


def _query_errors(queries: Any, world: World) -> Errors:
    """Amazon CloudWatch API, MetricDataQuery: one of them is the alarm's, an expression over the others."""
    found = [one for one in queries if isinstance(one, dict)] if isinstance(queries, list) else []
    metrics = {str(one.get("id")): one.get("metric") for one in found if "metric" in one}
    periods = set()
    for metric in metrics.values():
        if not isinstance(metric, dict):
            yield f"metric is {metric!r}"
            continue
        yield from _metric_errors(metric, metric.get("stat"), world)
        yield from _period_errors(metric.get("period"))
        periods.add(metric.get("period"))
    if len(periods) != 1:
        yield f"metrics are of the periods {periods}, not of one"
    told = [one for one in found if one.get("returnData") is True]
    if len(told) != 1 or "expression" not in told[0]:
        yield "not one expression of the queries is the alarm's"
    for one in found:
        if not re.fullmatch(r"[a-z][A-Za-z0-9_]*", str(one.get("id"))):
            yield f"id is {one.get('id')!r}"
        used = set(re.findall(r"\b[a-z][A-Za-z0-9_]*", str(one.get("expression", ""))))
        if "expression" in one and used != metrics.keys():
            yield f"the expression is over {sorted(used)}, the metrics are {sorted(metrics)}"


_GRID = 24


@about("Dashboard")
def dashboard_rule(node: Node, world: World) -> Errors:
    """Metrics of resources that exist, alarms that exist; "Dashboard body structure and syntax" (CloudWatch API)."""
    try:
        widgets = json.loads(node.inputs["dashboardBody"])["widgets"]
    except (ValueError, KeyError, TypeError):
        yield "dashboardBody is not the JSON of widgets"
        return
    taken: set[tuple[int, int]] = set()
    for widget in widgets:
        if set(widget) != {"type", "x", "y", "width", "height", "properties"}:
            yield f"a widget has {sorted(widget)}"
            continue
        yield from _place_errors(widget, taken)
        properties = widget["properties"]
        if not isinstance(properties, dict) or not str(properties.get("title") or "")[:1].isalpha():
            yield f"a widget without a title: {properties!r}"
        elif widget["type"] == "alarm":
            yield from _shown_alarm_errors(properties, world)
        elif widget["type"] == "metric":
            yield from _graph_errors(properties, world)
        else:
            yield f"type is {widget['type']!r}"


def _place_errors(widget: dict[str, Any], taken: set[tuple[int, int]]) -> Errors:
    x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
    if not (number_in(x, 0, 23) and number_in(y, 0, 1000) and number_in(width, 1, 24) and number_in(height, 1, 1000)):
        yield f"a widget is at {x!r}, {y!r}, {width!r} by {height!r}"
        return
    cells = {(x + right, y + down) for right in range(width) for down in range(height)}
    if x + width > _GRID or cells & taken:
        yield f"a widget is over the edge, or over another: {x}, {y}"
    taken |= cells


def _shown_alarm_errors(properties: dict[str, Any], world: World) -> Errors:
    if set(properties) != {"title", "alarms"} or not isinstance(properties["alarms"], list):
        yield f"an alarm widget has {sorted(properties)}"
        return
    if not 1 <= len(properties["alarms"]) <= 100:
        yield f"{len(properties['alarms'])} alarms in a widget, not 1 to 100"
    for arn in properties["alarms"]:
        found = world.at(arn)
        if found is None or found.kind != "MetricAlarm":
            yield f"{arn!r} is no alarm of this stack"


def _graph_errors(properties: dict[str, Any], world: World) -> Errors:
    if set(properties) != {"title", "view", "period", "metrics", "region"} or properties["view"] != "timeSeries":
        yield f"a graph has {properties}"
        return
    yield from _period_errors(properties["period"])
    if properties["region"] not in {arn.split(":")[3] for arn, node in world.by_arn.items() if node.kind == "Topic"}:
        yield f"region is {properties['region']!r}"
    metrics = properties["metrics"]
    if not isinstance(metrics, list) or not 1 <= len(metrics) <= 500:
        yield f"metrics are {metrics!r}, not 1 to 500"
        return
    for metric in metrics:
        if not isinstance(metric, list) or len(metric) != 5 or not isinstance(metric[4], dict):
            yield f"a metric is {metric!r}"
            continue
        namespace, name, dimension, value, options = metric
        given = {"namespace": namespace, "metricName": name, "dimensions": {dimension: value}}
        yield from _metric_errors(given, options.get("stat"), world)
        if set(options) != {"stat"}:
            yield f"a metric has {options}"


@about("TopicSubscription")
def subscription_rule(node: Node, world: World) -> Errors:
    """Amazon SNS API, Subscribe: protocols and the form of their endpoints."""
    forms = {
        "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
        "email-json": r"[^@\s]+@[^@\s]+\.[^@\s]+",
        "http": r"http://\S+",
        "https": r"https://\S+",
        "lambda": r"arn:aws:lambda:.+",
        "sms": r"\+\d+",
        "sqs": r"arn:aws:sqs:.+",
    }
    protocol = node.inputs.get("protocol")
    if protocol not in forms:
        yield f"protocol is {protocol!r}, not one of {sorted(forms)}"
    elif not re.fullmatch(forms[protocol], str(node.inputs.get("endpoint"))):
        yield f"endpoint {node.inputs.get('endpoint')!r} is none of {protocol}"
    topic = world.at(node.inputs.get("topic"))
    if topic is None or topic.kind != "Topic":
        yield f"topic is {node.inputs.get('topic')!r}, no topic of this stack"


@about("Queue")
def queue_rule(node: Node) -> Errors:
    """Amazon SQS API, SetQueueAttributes: its limits. Encrypted, and a standard queue, as dead letters need one.

    EventBridge user guide, "Using dead-letter queues to process undelivered events".
    """
    if node.inputs.get("fifoQueue"):
        yield "dead letters need a standard queue"
    if not number_in(node.inputs.get("messageRetentionSeconds"), 60, 1_209_600):
        yield f"messageRetentionSeconds is {node.inputs.get('messageRetentionSeconds')!r}, not 60 to 1209600"
    if node.inputs.get("sqsManagedSseEnabled") is not True and not node.inputs.get("kmsMasterKeyId"):
        yield "is not encrypted"


_RETENTION_DAYS = {
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
}


@about("LogGroup")
def log_group_rule(node: Node) -> Errors:
    """Amazon CloudWatch Logs API, PutRetentionPolicy: these days and no others. Logs end."""
    if node.inputs.get("retentionInDays") not in _RETENTION_DAYS:
        yield f"retentionInDays is {node.inputs.get('retentionInDays')!r}"
