"""Alarms on failures; all are sent to one topic.

Metrics: "Monitor Amazon Data Firehose using CloudWatch metrics", "Monitor the Amazon Kinesis Data Streams service with
Amazon CloudWatch", "Types of metrics for Lambda functions", "Available CloudWatch metrics for Amazon SQS".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.naming import ALARM_MAX, short_name
from datawarehouse.aws.protection import replaceable
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.functions.metric_names import LATE_HOURS, LATE_OBJECTS, NAMESPACE, REJECTED_RECORDS

PERIOD_SECONDS = 300
ITERATOR_AGE_MS_MAX = 3_600_000
"""One of the 24 or more hours that a stream keeps records: there is time to act before one is lost."""


def conditions_of(declared: Warehouse) -> Conditions:
    """The conditions of all alerts of a declaration together: the strictest of each, None if no alert has it.

    Warns of receivers, which are not used here: who subscribes to the topic is told.
    """
    alerts = declared.alerts()
    if any(alert.webhook or alert.command for alert in alerts):
        pulumi.log.warn(
            f"Warehouse {declared.name!r}: webhooks and commands of with_alert are not used on AWS. Its alarms go to "
            "the topic alarm_topic; subscribe to that, or give alarm_emails."
        )

    def strictest(name: str) -> Any:
        given = [value for alert in alerts if (value := getattr(alert.conditions, name)) is not None]
        return min(given, default=None)

    names = ("rejects", "rejects_share", "refused_share", "failed_runs", "missed_runs", "lag_s", "window_minutes")
    return replace(Conditions(), **{name: strictest(name) for name in names})


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm on a metric that is above a threshold in one period. name: the end of its name.

    is_below: whether it is on a metric that is below the threshold, or has no data, in all of `periods`.
    """

    name: str
    description: str
    namespace: str
    metric: str
    statistic: str
    threshold: int
    is_below: bool = False
    period_seconds: int = PERIOD_SECONDS
    periods: int = 1


def stream_alarms(flush_interval_seconds: int, lag_s: int) -> Iterator[Alarm]:
    """The alarms of an input stream that nobody reads in time.

    Firehose reads each shard about once a second, whether or not there are records ("Sending data from a Kinesis
    stream"); so the count of its calls is a metric that exists without data. Another reader of the stream hides that
    Firehose reads nothing.
    """
    yield Alarm(
        "behind",
        "Records have waited for an hour, or for lag_s, to be read. Those that wait longer than the stream's retention "
        "are lost.",
        "AWS/Kinesis",
        "GetRecords.IteratorAgeMilliseconds",
        "Maximum",
        max(ITERATOR_AGE_MS_MAX, 1000 * _late_s(flush_interval_seconds, lag_s)),
    )
    yield Alarm(
        "unread",
        "Nobody reads the stream: is the delivery stream there, and may its role read? Records that wait longer than "
        "the stream's retention are lost.",
        "AWS/Kinesis",
        "GetRecords.Success",
        "Sum",
        1,
        is_below=True,
        periods=min(max(UNREAD_PERIODS, -(-lag_s // PERIOD_SECONDS)), PERIODS_MAX),
    )


def _late_s(flush_interval_seconds: int, lag_s: int) -> int:
    return flush_interval_seconds + max(flush_interval_seconds, lag_s)


def late_alarm(flush_interval_seconds: int, lag_s: int, freshness: str) -> Alarm:
    """The alarm of a delivery that is late; a record may wait for the flush interval first. freshness: the metric."""
    return Alarm(
        "late",
        "Records are not delivered within twice the flush interval, or lag_s after it: see the delivery stream's log.",
        "AWS/Firehose",
        freshness,
        "Maximum",
        _late_s(flush_interval_seconds, lag_s),
    )


def function_alarms(failed_runs: int, attempts: int, gap_hours: int) -> tuple[Alarm, Alarm]:
    """The alarms of a function whose runs fail, and of the queue of those that failed for good.

    An event is tried so many times (`attempts`) within an hour, and the next event comes after gap_hours at the most;
    Lambda's metrics do not tell for which hour a run was. A period has at most a day (CloudWatch API, PutMetricAlarm),
    so that more failures than a day can have are not waited for.
    """
    events, gap = -(-failed_runs // attempts), max(gap_hours, 1)
    hours = min((events - 1) * gap + 1, 24)
    most = attempts * ((hours - 1) // gap + 1)
    failed = Alarm(
        "errors",
        "As many runs failed as with_alert allows: see the function's log.",
        "AWS/Lambda",
        "Errors",
        "Sum",
        min(failed_runs, most) - 1,
        period_seconds=3600 * hours,
    )
    lost = Alarm(
        "dead-letters",
        "A run failed, and so did its retries: the event that it was called with is in the queue.",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "Maximum",
        events - 1,
    )
    return failed, lost


REGISTRAR_IDLE = (
    "No hours were registered: is the rule disabled? When the hours that are registered ahead have passed, new "
    "events are invisible in every engine."
)
COMPACTION_IDLE = (
    "No hours were compacted: is the rule disabled? Objects that come late for an hour that was compacted are "
    "invisible until the next run."
)
LATE_OBJECTS_ALARM = Alarm(
    "late-objects",
    "Objects were delivered into an hour that was compacted: they were invisible until this run, which adds them. See "
    "why delivery was late.",
    NAMESPACE,
    LATE_OBJECTS,
    "Sum",
    0,
)


LATE_HOURS_ALARM = Alarm(
    "late-hours",
    "Hours got rows after the job had run for them, so that its rows for these hours lack some. With rerun_when_late "
    "it runs again for them; otherwise run it again, as the guide says.",
    NAMESPACE,
    LATE_HOURS,
    "Sum",
    0,
    period_seconds=3600,
)


def idle_alarm(gap_hours: int, missed_runs: int, description: str) -> Alarm | None:
    """The alarm of a function that has not run for so many times its schedule's longest gap, at the least as many hours
    and at the most a week, which is how far an alarm looks back (CloudWatch API, PutMetricAlarm, EvaluationPeriods);
    None for a gap of a week."""
    if gap_hours >= IDLE_HOURS_MAX:
        return None
    return Alarm(
        "idle",
        description,
        "AWS/Lambda",
        "Invocations",
        "Sum",
        1,
        is_below=True,
        period_seconds=3600,
        periods=min(missed_runs * max(gap_hours, 1), IDLE_HOURS_MAX),
    )


IDLE_HOURS_MAX = 7 * 24
UNREAD_PERIODS = 3
PERIODS_MAX = 86_400 // PERIOD_SECONDS
"""A day: how far an alarm with periods below an hour looks back (CloudWatch API, PutMetricAlarm)."""

NOT_WRITTEN = Alarm(
    "failed",
    "Firehose could not write rows to the Iceberg table: they are below errors/<table>/iceberg-failed/ in the bucket.",
    "AWS/Firehose",
    "DeliveryToIceberg.FailedRowCount",
    "Sum",
    0,
)
NOT_CONVERTED = Alarm(
    "converter-errors",
    "The function that converts records failed: see its log. Firehose calls it again, and gives up in the end.",
    "AWS/Lambda",
    "Errors",
    "Sum",
    0,
)
NOT_CALLED = Alarm(
    "converter-throttles",
    "Lambda refused to run the function that converts records: raise the quota of concurrent executions. What Firehose "
    "tried in vain is below errors/<table>/processing-failed/ in the bucket; dw quarantine replay puts it again.",
    "AWS/Lambda",
    "Throttles",
    "Sum",
    0,
)

STALLED = (
    "stalled",
    "Records arrive and none is delivered: Firehose cannot read the stream or write the bucket. Records that "
    "wait longer than the stream's retention are lost.",
)
STALLED_PERIODS = 2
"""Records that arrive at the end of one period are delivered in the next."""


Metric = tuple[str, str, str, pulumi.Input[str]]
"""Namespace, name, and the name and the value of the dimension."""


def delivery_metrics(
    delivery_stream: pulumi.Input[str], converter: pulumi.Input[str] | None
) -> tuple[Metric, Metric, Metric]:
    """The metrics of a delivery: the age of its oldest record, how many it has delivered, and how many were rejected.
    converter: the name of the function that converts records for an Iceberg table."""
    firehose = ("DeliveryStreamName", delivery_stream)
    if converter is None:
        return (
            ("AWS/Firehose", "DeliveryToS3.DataFreshness", *firehose),
            ("AWS/Firehose", "DeliveryToS3.Records", *firehose),
            ("AWS/Firehose", "FailedConversion.Records", *firehose),
        )
    return (
        ("AWS/Firehose", "DeliveryToIceberg.DataFreshness", *firehose),
        ("AWS/Firehose", "DeliveryToIceberg.SuccessfulRowCount", *firehose),
        (NAMESPACE, REJECTED_RECORDS, "Function", converter),
    )


def _stream_metrics(stream: pulumi.Input[str]) -> dict[str, Metric]:
    return {
        "arrived": ("AWS/Kinesis", "IncomingRecords", "StreamName", stream),
        "refused": ("AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", stream),
    }


def add_delivery_alarms(
    name: str,
    stream: pulumi.Input[str],
    delivery_stream: pulumi.Input[str],
    flush_interval_seconds: int,
    conditions: Conditions,
    topic_arn: pulumi.Input[str],
    parent: pulumi.Resource,
    region: pulumi.Input[str] | None = None,
    converter: pulumi.Input[str] | None = None,
) -> list[aws.cloudwatch.MetricAlarm]:
    """The alarms of a stream and of its delivery into its table, of the conditions that are declared. converter: the
    name of the function that converts records for an Iceberg table, and counts those that it rejects.

    No single metric shows that delivery has stopped, because a Firehose that does nothing publishes no metrics. Rejects
    are counted when a buffer is delivered, so over two flush intervals at the least; all causes count together, since
    CloudWatch knows none. Records that Kinesis refuses are not among those that arrive.
    """
    lasting = max(2 * flush_interval_seconds, PERIOD_SECONDS)
    freshness, delivered, rejected = delivery_metrics(delivery_stream, converter)
    made: list[aws.cloudwatch.MetricAlarm] = []
    counted = {**_stream_metrics(stream), "delivered": delivered, "rejected": rejected}

    def add(ending: str, description: str, label: str, expression: str, period: int, periods: int) -> None:
        logical = f"{name}-{ending}"
        alarm = aws.cloudwatch.MetricAlarm(
            logical,
            name=short_name(logical, ALARM_MAX),
            alarm_description=description,
            metric_queries=[
                *(_summed(id, *counted[id], period) for id in counted if id in expression),
                {"id": "result", "expression": expression, "label": label, "return_data": True},
            ],
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            evaluation_periods=periods,
            treat_missing_data="notBreaching",
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            region=region,
            opts=replaceable(parent),
        )
        made.append(alarm)

    if converter is not None and conditions.failed_runs is not None:
        made.append(add_alarm(name, NOT_WRITTEN, {"DeliveryStreamName": delivery_stream}, topic_arn, parent, region))
        function = {"FunctionName": converter}
        made += [add_alarm(name, each, function, topic_arn, parent, region) for each in (NOT_CONVERTED, NOT_CALLED)]
    window_seconds = conditions.window_minutes * 60
    if conditions.refused_share is not None:
        over = (
            f"IF(FILL(refused, 0) > {_decimal(conditions.refused_share)} * (FILL(arrived, 0) + FILL(refused, 0)), 1, 0)"
        )
        label = "More records of producers are refused than with_alert allows"
        next_step = "the stream has too few shards, or one partition key gets too many records."
        add("throttled", f"{label}: {next_step}", label, over, max(window_seconds, PERIOD_SECONDS), 1)
    if conditions.lag_s is not None:
        for alarm in stream_alarms(flush_interval_seconds, conditions.lag_s):
            made.append(add_alarm(name, alarm, {"StreamName": stream}, topic_arn, parent, region))
        late = late_alarm(flush_interval_seconds, conditions.lag_s, freshness[1])
        made.append(add_alarm(name, late, {"DeliveryStreamName": delivery_stream}, topic_arn, parent, region))
        stalled = "IF(FILL(arrived, 0) > 0 AND FILL(delivered, 0) + FILL(rejected, 0) == 0, 1, 0)"
        label = "Records arrive and none is delivered"
        add(*STALLED, label, stalled, _whole_minutes(lasting), STALLED_PERIODS)
    if over := _over(conditions):
        window = _whole_minutes(max(lasting, window_seconds))
        label = "More malformed records than with_alert allows"
        add("rejected", f"{label}: see the table's quarantine.", label, over, window, 1)
    return made


def _over(conditions: Conditions) -> str:
    """Whether more records were rejected than one of the conditions allows; "" without such a condition."""
    over = []
    if conditions.rejects is not None:
        over.append(f"FILL(rejected, 0) > {conditions.rejects}")
    if conditions.rejects_share is not None:
        over.append(f"FILL(rejected, 0) > {_decimal(conditions.rejects_share)} * FILL(arrived, 0)")
    return f"IF({' OR '.join(over)}, 1, 0)" if over else ""


def _decimal(share: float) -> str:
    """A share in metric math, which knows no exponents."""
    return format(Decimal(str(share)), "f")


def _whole_minutes(seconds: int) -> int:
    return -(-seconds // 60) * 60


def _summed(id: str, namespace: str, metric: str, dimension: str, value: pulumi.Input[str], period: int) -> Any:
    counted = {"namespace": namespace, "metric_name": metric, "dimensions": {dimension: value}}
    return {"id": id, "metric": {**counted, "period": period, "stat": "Sum"}}


def add_alarm(
    name: str,
    alarm: Alarm,
    dimensions: Mapping[str, pulumi.Input[str]],
    topic_arn: pulumi.Input[str],
    parent: pulumi.Resource,
    region: pulumi.Input[str] | None = None,
) -> aws.cloudwatch.MetricAlarm:
    """An alarm that sends a message to the topic when it begins and when it ends. Missing data means that nothing
    happened: no alarm, unless it is about what should happen."""
    logical = f"{name}-{alarm.name}"
    return aws.cloudwatch.MetricAlarm(
        logical,
        name=short_name(logical, ALARM_MAX),
        alarm_description=alarm.description,
        namespace=alarm.namespace,
        metric_name=alarm.metric,
        dimensions=dimensions,
        statistic=alarm.statistic,
        comparison_operator="LessThanThreshold" if alarm.is_below else "GreaterThanThreshold",
        threshold=alarm.threshold,
        period=alarm.period_seconds,
        evaluation_periods=alarm.periods,
        treat_missing_data="breaching" if alarm.is_below else "notBreaching",
        alarm_actions=[topic_arn],
        ok_actions=[topic_arn],
        region=region,
        opts=replaceable(parent),
    )
