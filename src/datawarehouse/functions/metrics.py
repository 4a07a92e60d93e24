"""Publishes metrics to CloudWatch."""

from __future__ import annotations

from datawarehouse.functions.clients import client
from datawarehouse.functions.metric_names import NAMESPACE


def publish_count(metric: str, database: str, table: str, count: int) -> None:
    """Publish how often something happened in a table."""
    dimensions = [{"Name": "Database", "Value": database}, {"Name": "Table", "Value": table}]
    data = {"MetricName": metric, "Dimensions": dimensions, "Value": count, "Unit": "Count"}
    client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=[data])
