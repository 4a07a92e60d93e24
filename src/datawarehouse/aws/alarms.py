"""Alarms on failures; all are sent to one topic.

Metrics: "Monitor Amazon Data Firehose using CloudWatch metrics", "Monitor the Amazon Kinesis Data Streams service with
Amazon CloudWatch", "Types of metrics for Lambda functions", "Available CloudWatch metrics for Amazon SQS".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.naming import ALARM_MAX, short_name
from datawarehouse.aws.protection import replaceable
from datawarehouse.definition.alerts import Alert
from datawarehouse.definition.warehouse import Warehouse

PERIOD_SECONDS = 300
FRESHNESS_SECONDS_MIN = 300
"""Data is never called late before that: delivery needs this time whatever the interval."""
ITERATOR_AGE_MS_MAX = 3_600_000
"""One of the 24 or more hours that a stream keeps records: there is time to act before one is lost."""


def warn_of_alerts(declared: Warehouse) -> None:
    """Warn that alerts with receivers or conditions of their own are not followed here: the alarms are those below."""
    if any(alert != Alert() for alert in declared.alerts()):
        pulumi.log.warn(
            f"Warehouse {declared.name!r}: with_alert is not used on AWS yet. Its alarms go to the topic alarm_topic; "
            "subscribe to that, or give alarm_emails."
        )


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm on a metric that is above a threshold in one period. name: the end of its name."""

    name: str
    description: str
    namespace: str
    metric: str
    statistic: str
    threshold: int


def stream_alarms() -> Iterator[Alarm]:
    """The alarms of an input stream."""
    yield Alarm(
        "throttled",
        "Records of producers are refused: the stream has too few shards, or one partition key gets too many records.",
        "AWS/Kinesis",
        "WriteProvisionedThroughputExceeded",
        "Sum",
        0,
    )
    yield Alarm(
        "behind",
        "Records have waited for an hour to be read; records that wait longer than the stream's retention are lost.",
        "AWS/Kinesis",
        "GetRecords.IteratorAgeMilliseconds",
        "Maximum",
        ITERATOR_AGE_MS_MAX,
    )


def delivery_alarms(flush_interval_seconds: int) -> Iterator[Alarm]:
    """The alarms of the delivery of a stream into its table."""
    yield Alarm(
        "rejected",
        "Malformed records: see the table's quarantine.",
        "AWS/Firehose",
        "FailedConversion.Records",
        "Sum",
        0,
    )
    yield Alarm(
        "late",
        "Records are not delivered within twice the flush interval, or 5 minutes: see the delivery stream's log.",
        "AWS/Firehose",
        "DeliveryToS3.DataFreshness",
        "Maximum",
        max(2 * flush_interval_seconds, FRESHNESS_SECONDS_MIN),
    )


FUNCTION_ALARM = Alarm("errors", "A run failed: see its log.", "AWS/Lambda", "Errors", "Sum", 0)
DEAD_LETTER_ALARM = Alarm(
    "dead-letters",
    "A run failed, and so did its retries: the event that it was called with is in the queue.",
    "AWS/SQS",
    "ApproximateNumberOfMessagesVisible",
    "Maximum",
    0,
)


STALLED = (
    "stalled",
    "Records arrive and none is delivered: Firehose cannot read the stream or write the bucket. Records that "
    "wait longer than the stream's retention are lost.",
)
STALLED_PERIODS = 2
"""Records that arrive at the end of one period are delivered in the next."""


def add_stalled_alarm(
    name: str,
    stream: pulumi.Input[str],
    delivery_stream: pulumi.Input[str],
    flush_interval_seconds: int,
    topic_arn: pulumi.Input[str],
    parent: pulumi.Resource,
    region: pulumi.Input[str] | None = None,
) -> aws.cloudwatch.MetricAlarm:
    """An alarm for delivery that has stopped. No single metric shows it, because a Firehose that does nothing publishes
    no metrics."""
    ending, description = STALLED
    period = -(-max(2 * flush_interval_seconds, PERIOD_SECONDS) // 60) * 60

    def summed(id: str, namespace: str, metric: str, dimension: str, value: pulumi.Input[str]) -> Any:
        counted = {"namespace": namespace, "metric_name": metric, "dimensions": {dimension: value}}
        return {"id": id, "metric": {**counted, "period": period, "stat": "Sum"}}

    firehose = ("DeliveryStreamName", delivery_stream)
    logical = f"{name}-{ending}"
    return aws.cloudwatch.MetricAlarm(
        logical,
        name=short_name(logical, ALARM_MAX),
        alarm_description=description,
        metric_queries=[
            summed("arrived", "AWS/Kinesis", "IncomingRecords", "StreamName", stream),
            summed("delivered", "AWS/Firehose", "DeliveryToS3.Records", *firehose),
            summed("rejected", "AWS/Firehose", "FailedConversion.Records", *firehose),
            {
                "id": "stalled",
                "expression": "IF(FILL(arrived, 0) > 0 AND FILL(delivered, 0) + FILL(rejected, 0) == 0, 1, 0)",
                "label": "Records arrive and none is delivered",
                "return_data": True,
            },
        ],
        comparison_operator="GreaterThanThreshold",
        threshold=0,
        evaluation_periods=STALLED_PERIODS,
        treat_missing_data="notBreaching",
        alarm_actions=[topic_arn],
        ok_actions=[topic_arn],
        region=region,
        opts=replaceable(parent),
    )


def add_alarm(
    name: str,
    alarm: Alarm,
    dimensions: Mapping[str, pulumi.Input[str]],
    topic_arn: pulumi.Input[str],
    parent: pulumi.Resource,
    region: pulumi.Input[str] | None = None,
) -> aws.cloudwatch.MetricAlarm:
    """An alarm that sends a message to the topic when it begins and when it ends. Missing data is no alarm, because it
    means that nothing happened."""
    logical = f"{name}-{alarm.name}"
    return aws.cloudwatch.MetricAlarm(
        logical,
        name=short_name(logical, ALARM_MAX),
        alarm_description=alarm.description,
        namespace=alarm.namespace,
        metric_name=alarm.metric,
        dimensions=dimensions,
        statistic=alarm.statistic,
        comparison_operator="GreaterThanThreshold",
        threshold=alarm.threshold,
        period=PERIOD_SECONDS,
        evaluation_periods=1,
        treat_missing_data="notBreaching",
        alarm_actions=[topic_arn],
        ok_actions=[topic_arn],
        region=region,
        opts=replaceable(parent),
    )
