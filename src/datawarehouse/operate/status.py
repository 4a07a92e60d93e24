"""What `dw status --on aws` shows: from CloudWatch, Glue and S3, by calls whose number does not grow with the data.

Three reads of metrics (`metrics.read_metrics`), one list of alarms, and for each streaming input table one call of Glue
and at most nine of S3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable
from datawarehouse.functions.compacted import FOLDER
from datawarehouse.functions.metric_names import NAMESPACE, REJECTED_RECORDS
from datawarehouse.functions.tables import registered_among
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import DeployedTable, Deployment
from datawarehouse.operate.metrics import Metric, Points, read_metrics

_DAYS_KEPT = 455
"""CloudWatch user guide, "Metrics retention": of periods of an hour or more."""
_DAY_S, _PERIOD_S = 86_400, 300
_LAG_HOURS = 3
_RUNS_DAYS = 35
_HOURS_AHEAD = 24
_AT_ONCE = 8

RESTS_ON = {
    "received": "IncomingRecords of the stream, in CloudWatch: minutes old; an aggregate of the KPL is one record.",
    "stored": "SucceedConversion.Records of the delivery stream, or DeliveryToIceberg.SuccessfulRowCount, in "
    "CloudWatch: a flush interval and some minutes old. Firehose delivers at least once; what it delivers twice counts "
    "twice.",
    "rejected": "FailedConversion.Records of the delivery stream, or what the function of a table in Iceberg counts "
    "(RejectedRecords), in CloudWatch: as old as stored.",
    "lag_s": "DataFreshness of the delivery stream (DeliveryToS3, DeliveryToIceberg) plus the iterator age of the "
    f"stream, in CloudWatch, at lag_at; NULL if there was nothing to deliver for {_LAG_HOURS} hours, or nothing is "
    "delivered.",
    "newest_hour": "the folders of the table in S3, now; NULL for a table in Iceberg, whose folders are its own.",
    "registered_until": "the partitions in the Glue catalog, now: from the present hour on, without a gap, at most "
    f"{_HOURS_AHEAD} hours ahead; NULL if the present hour is not registered, or no hours ever are.",
    "last_run": "Invocations of the function, in CloudWatch: the five minutes in which it was called last, in "
    f"{_RUNS_DAYS} days; some minutes old.",
    "alerts": "alarms of CloudWatch in the state ALARM, now; each has its own delay.",
}
"""What each figure is made of, and how old it may be."""


def status_of(deployment: Deployment, clients: Clients, now: datetime) -> dict[str, Any]:
    """The state of the deployed warehouse. Names are those of the embedded host's status where the same is meant.

    received, stored, rejected are counted since `counted_since`: CloudWatch keeps counts for 455 days.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=_DAYS_KEPT - 1)
    tables = sorted(deployment.tables.values(), key=lambda table: table.name)
    streaming = [table for table in tables if table.kind == StreamingInputTable.kind]
    jobs = [table for table in tables if table.kind == BatchInputTable.kind]
    cloudwatch = clients("cloudwatch")
    counts = read_metrics(cloudwatch, [m for t in streaming for m in _counts(t).values()], since, now, _DAY_S)
    lag_since = now - timedelta(hours=_LAG_HOURS)
    lags = read_metrics(cloudwatch, [m for t in streaming for m in _lags(t)], lag_since, now, _PERIOD_S)
    functions = [str(name) for table in tables for name in (table.registrar, table.function) if name]
    runs_since = now - timedelta(days=_RUNS_DAYS)
    runs = read_metrics(cloudwatch, [m for name in functions for m in _runs(name)], runs_since, now, _PERIOD_S)
    glue, s3 = clients("glue"), clients("s3")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        newest = pool.map(lambda table: newest_hour(s3, deployment.data_bucket, f"{table.name}/"), streaming)
        ahead = pool.map(lambda table: _registered_until(glue, deployment.database, table, now), streaming)
        found = dict(zip((table.name for table in streaming), zip(newest, ahead, strict=True), strict=True))
    shown = []
    for table in tables:
        one: dict[str, Any] = {"table": table.name, "kind": table.kind}
        if table.name in found:
            one |= {name: round(sum(counts[metric].values())) for name, metric in _counts(table).items()}
            one |= _lag(*(lags[metric] for metric in _lags(table)))
            one |= dict(zip(("newest_hour", "registered_until"), found[table.name], strict=True))
            one |= {"registrar": _last_runs(table.registrar, runs, now) if table.registrar else None}
        shown.append(one)
    return {
        "warehouse": deployment.warehouse,
        "database": deployment.database,
        "region": deployment.region,
        "at": written(now),
        "counted_since": written(since),
        "tables": shown,
        "jobs": [
            {"job": job.name, "schedule": job.schedule, **_last_runs(str(job.function), runs, now)} for job in jobs
        ],
        "alerts": _alerts(deployment, cloudwatch),
        "rests_on": RESTS_ON,
    }


def written(instant: datetime) -> str:
    """An instant in ISO 8601, UTC."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _counts(table: DeployedTable) -> dict[str, Metric]:
    delivery = ("DeliveryStreamName", str(table.delivery))
    stored = Metric("AWS/Firehose", "SucceedConversion.Records", delivery, "Sum")
    rejected = Metric("AWS/Firehose", "FailedConversion.Records", delivery, "Sum")
    if table.converter:
        stored = Metric("AWS/Firehose", "DeliveryToIceberg.SuccessfulRowCount", delivery, "Sum")
        rejected = Metric(NAMESPACE, REJECTED_RECORDS, ("Function", table.converter), "Sum")
    received = Metric("AWS/Kinesis", "IncomingRecords", ("StreamName", str(table.stream)), "Sum")
    return {"received": received, "stored": stored, "rejected": rejected}


def _lags(table: DeployedTable) -> tuple[Metric, Metric]:
    freshness = f"DeliveryTo{'Iceberg' if table.converter else 'S3'}.DataFreshness"
    age = "GetRecords.IteratorAgeMilliseconds"
    return (
        Metric("AWS/Firehose", freshness, ("DeliveryStreamName", str(table.delivery)), "Maximum"),
        Metric("AWS/Kinesis", age, ("StreamName", str(table.stream)), "Maximum"),
    )


def _lag(freshness: Points, age_ms: Points) -> dict[str, Any]:
    if not freshness:
        return {"lag_s": None, "lag_at": None}
    at = max(freshness)
    unread_s = age_ms[max(age_ms)] / 1000 if age_ms else 0.0
    return {"lag_s": freshness[at] + unread_s, "lag_at": written(at)}


def _runs(function: str) -> tuple[Metric, Metric]:
    dimension = ("FunctionName", function)
    return Metric("AWS/Lambda", "Invocations", dimension, "Sum"), Metric("AWS/Lambda", "Errors", dimension, "Sum")


def _last_runs(function: str, runs: Mapping[Metric, Points], now: datetime) -> dict[str, Any]:
    called, failed = (runs[metric] for metric in _runs(function))
    yesterday = now - timedelta(days=1)
    last = max((at for at, count in called.items() if count), default=None)
    return {
        "last_run": last and written(last),
        "runs_24h": _sum_since(yesterday, called),
        "failed_24h": _sum_since(yesterday, failed),
    }


def _sum_since(start: datetime, points: Points) -> int:
    return round(sum(count for at, count in points.items() if at >= start))


def newest_hour(s3: Any, bucket: str, home: str) -> str | None:
    """The newest hour that has a folder below a table's; None if there is none. At most nine lists of one page."""
    children = _children(s3, bucket, home)
    found = [_newest_below(s3, bucket, home, children)]
    if FOLDER in children:
        compacted = f"{home}{FOLDER}/"
        found.append(_newest_below(s3, bucket, compacted, _children(s3, bucket, compacted)))
    return max((hour for hour in found if hour), default=None)


def _newest_below(s3: Any, bucket: str, home: str, years: Iterable[str]) -> str | None:
    hour, children = "", years
    for _ in range(4):  # year, month, day, hour
        numbers = [name for name in children if name.isdigit()]
        if not numbers:
            return None
        hour += f"{max(numbers)}/"
        children = _children(s3, bucket, home + hour) if hour.count("/") < 4 else ()
    return hour.rstrip("/")


def _children(s3: Any, bucket: str, prefix: str) -> list[str]:
    """The names of the folders in a folder, without years after 1,000 of them."""
    answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [each["Prefix"].removeprefix(prefix).rstrip("/") for each in answer.get("CommonPrefixes", [])]


def _registered_until(glue: Any, database: str, table: DeployedTable, now: datetime) -> str | None:
    if not table.registrar:
        return None
    start = milliseconds_of(now)
    hours = [partition_of(start + number * HOUR_MS) for number in range(_HOURS_AHEAD + 1)]
    known = {each["Values"][0] for each in registered_among(glue, database, table.name, hours)}
    missing = next((number for number, hour in enumerate(hours) if hour not in known), len(hours))
    return hours[missing - 1] if missing else None


def _alerts(deployment: Deployment, cloudwatch: Any) -> list[dict[str, Any]] | None:
    """The alarms of the warehouse that are on, the oldest first; None if its topic is not known."""
    if deployment.alarm_topic is None:
        return None
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        StateValue="ALARM", AlarmNamePrefix=f"{deployment.warehouse}-", AlarmTypes=["MetricAlarm"]
    )
    on = [
        {
            "alert": alarm["AlarmName"],
            "began": written(alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]),
            "cause": f"{alarm.get('AlarmDescription', '')} ({alarm.get('StateReason', '')})",
        }
        for page in pages
        for alarm in page["MetricAlarms"]
        if deployment.alarm_topic in alarm["AlarmActions"]
    ]
    return sorted(on, key=lambda each: (each["began"], each["alert"]))
