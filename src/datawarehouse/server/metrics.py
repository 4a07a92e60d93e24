"""GET /metrics, for Prometheus. Every number is computed when it is requested."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"

_TABLE_METRICS = {
    "received": (CounterMetricFamily, "dw_records_received", "Records acknowledged."),
    "stored": (CounterMetricFamily, "dw_records_stored", "Records converted to rows."),
    "rejected": (CounterMetricFamily, "dw_records_rejected", "Records kept in the quarantine."),
    "rows": (GaugeMetricFamily, "dw_rows", "Live rows; fewer after duplicates were removed or hours expired."),
    "pending": (GaugeMetricFamily, "dw_records_pending", "Records acknowledged and not yet converted."),
    "lag_s": (GaugeMetricFamily, "dw_lag_seconds", "Age of the oldest record that is not converted."),
    "files": (GaugeMetricFamily, "dw_files", "Live data files."),
    "bytes": (GaugeMetricFamily, "dw_file_bytes", "Bytes in live data files."),
    "journal_bytes": (GaugeMetricFamily, "dw_journal_bytes", "Bytes in the journal that are not yet converted."),
}


class _Tables(Collector):
    def __init__(self, status: dict[str, Any], throttled: int) -> None:
        self._status = status
        self._throttled = throttled

    def collect(self) -> Iterable[Metric]:
        for field, (kind, name, text) in _TABLE_METRICS.items():
            metric = kind(name, text, labels=["table"])
            for table in self._status["tables"]:
                if field in table:
                    metric.add_metric([table["table"]], table[field])
            yield metric
        yield CounterMetricFamily("dw_records_throttled", "Records refused because of a limit.", self._throttled)


def exposition(status: dict[str, Any], throttled: int) -> bytes:
    """The metrics page for a status (see runtime)."""
    registry = CollectorRegistry()
    registry.register(_Tables(status, throttled))
    return generate_latest(registry)
