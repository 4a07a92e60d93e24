"""Metrics of CloudWatch, many in a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datawarehouse.errors import DataWarehouseError

_QUERIES_MAX = 500
"""CloudWatch API, GetMetricData."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one resource. dimension: its name and its value."""

    namespace: str
    name: str
    dimension: tuple[str, str]
    statistic: str


Points = Mapping[datetime, float]
"""Values by the beginnings of their periods, in the order of time."""


def read_metrics(
    cloudwatch: Any, metrics: Sequence[Metric], start: datetime, end: datetime, period_s: int
) -> dict[Metric, Points]:
    """What CloudWatch has of each metric; nothing of one that had no data. 500 metrics and 100,800 values are a call.

    Raises DataWarehouseError if CloudWatch could not read one of them.
    """
    found: dict[Metric, dict[datetime, float]] = {metric: {} for metric in metrics}
    for first in range(0, len(metrics), _QUERIES_MAX):
        asked = metrics[first : first + _QUERIES_MAX]
        queries = [_query(number, metric, period_s) for number, metric in enumerate(asked)]
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"
        )
        for each in (result for page in pages for result in page["MetricDataResults"]):
            metric = asked[int(each["Id"][1:])]
            if each["StatusCode"] not in ("Complete", "PartialData"):  # PartialData: more comes on the next page
                reasons = "; ".join(message["Value"] for message in each.get("Messages", []))
                raise DataWarehouseError(
                    f"CloudWatch could not read {metric.name} of {metric.dimension[1]}: {each['StatusCode']}. {reasons}"
                )
            found[metric].update(zip(each["Timestamps"], each["Values"], strict=True))
    return {metric: dict(sorted(points.items())) for metric, points in found.items()}


def _query(number: int, metric: Metric, period_s: int) -> dict[str, Any]:
    name, value = metric.dimension
    counted = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": [{"Name": name, "Value": value}]}
    return {"Id": f"m{number}", "MetricStat": {"Metric": counted, "Period": period_s, "Stat": metric.statistic}}
