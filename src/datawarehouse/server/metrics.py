"""GET /metrics, for Prometheus. Every number is computed when it is requested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from datawarehouse.definition.alerts import OF_A_JOB, OF_A_STREAM, OF_THE_WAREHOUSE
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable
from datawarehouse.intake.refusals import Refusals

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

_RERUN_METRICS = {
    "reruns": ("dw_job_reruns", "Runs for event hours that changed, as far as records of runs are kept."),
    "waiting_hours": ("dw_job_event_hours_changed", "Event hours that changed and that no run has counted since."),
    "left_out_events": ("dw_job_events_left_out", "Events that came too late for a rerun and that no run has counted."),
}
_DELIVERY_METRICS = {
    "delivered": (CounterMetricFamily, "dw_alert_deliveries", "Alerts that a receiver has taken."),
    "failed": (CounterMetricFamily, "dw_alert_delivery_failures", "Attempts to deliver an alert that failed."),
    "waiting": (GaugeMetricFamily, "dw_alert_deliveries_waiting", "Alerts on their way to a receiver."),
}
_ALERTS_OF = {StreamingInputTable.kind: OF_A_STREAM, BatchInputTable.kind: OF_A_JOB}


class _Alerts(Collector):
    """Each alert that there can be has a line, so that one that is off is 0 and not missing."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        active = {("", alert): 0 for alert in OF_THE_WAREHOUSE}
        for table in self._status["tables"]:
            active |= {(table["table"], alert): 0 for alert in _ALERTS_OF.get(table["kind"], ())}
        for on in self._status["alerts"]:
            place = (on["table"] or "", on["alert"])
            active[place] = active.get(place, 0) + 1
        gauge = GaugeMetricFamily("dw_alert_active", "Alerts that are on.", labels=["alert", "table"])
        for (name, alert), count in active.items():
            gauge.add_metric([alert, name], count)
        yield gauge
        for field, (kind, name, text) in _DELIVERY_METRICS.items():
            metric = kind(name, text, labels=["to"])
            totals: Counter[str] = Counter()
            for each in self._status["alert_deliveries"]:  # two URLs of one host have one name
                totals[each["to"]] += each[field]
            for to, total in totals.items():
                metric.add_metric([to], total)
            yield metric


class _Tables(Collector):
    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        for field, (kind, name, text) in _TABLE_METRICS.items():
            metric = kind(name, text, labels=["table"])
            for table in self._status["tables"]:
                if field in table:
                    metric.add_metric([table["table"]], table[field])
            yield metric
        unknown = CounterMetricFamily(
            "dw_unknown_keys",
            "Keys of stored records that no column has and that were left out; others than the first 100 have no name.",
            labels=["table", "key"],
        )
        for table in self._status["tables"]:
            for key, count in table.get("unknown_keys", {}).items():
                unknown.add_metric([table["table"], key], count)
        yield unknown
        yield from self._reruns()
        faults = CounterMetricFamily(
            "dw_thread_faults", "Failures after which a thread of the warehouse went on.", labels=["thread"]
        )
        for thread, count in self._status["thread_faults"].items():
            faults.add_metric([thread], count)
        yield faults
        ahead = self._status["clock"]["ahead_s"]
        yield GaugeMetricFamily(
            "dw_clock_ahead_seconds", "How far the wall clock is ahead of the time that has passed.", ahead
        )
        backup = self._status["backup"]
        if backup and backup["age_s"] is not None:
            yield GaugeMetricFamily("dw_backup_age_seconds", "Age of the last complete back-up.", backup["age_s"])
        damaged = GaugeMetricFamily("dw_damaged_files", "Live data files known to be damaged.", labels=["table"])
        known = Counter(file["table"] for file in self._status["damaged_files"])
        for name in {table["table"] for table in self._status["tables"]} | known.keys():
            damaged.add_metric([name], known[name])
        yield damaged
        age_s = self._status["audit"]["age_s"]
        if age_s is not None:
            yield GaugeMetricFamily("dw_audit_age_seconds", "Since a daily share of the files was read whole.", age_s)

    def _reruns(self) -> Iterable[Metric]:
        for field, (name, text) in _RERUN_METRICS.items():
            gauge = GaugeMetricFamily(name, text, labels=["job"])
            for job in self._status["reruns"]:
                gauge.add_metric([job["job"]], job[field])
            yield gauge


class _Refused(Collector):
    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def collect(self) -> Iterable[Metric]:
        records = CounterMetricFamily(
            "dw_records_refused", "Records that were not taken, by the limit.", labels=["table", "reason"]
        )
        for (table, limit), count in self._refusals.of_records.items():
            records.add_metric([table, limit], count)
        yield records
        requests = CounterMetricFamily(
            "dw_requests_refused", "Requests that were refused, by the code of the error.", labels=["reason"]
        )
        for code, count in self._refusals.of_requests.items():
            requests.add_metric([code], count)
        yield requests
        keys = CounterMetricFamily(
            "dw_key_requests_refused",
            "Requests that were refused, by the name of the key; without a name: no key that there is.",
            labels=["key", "reason"],
        )
        for (name, code), count in self._refusals.of_keys.items():
            keys.add_metric([name, code], count)
        yield keys


def exposition(status: dict[str, Any], refusals: Refusals) -> bytes:
    """The metrics page for a status (see runtime)."""
    registry = CollectorRegistry()
    registry.register(_Tables(status))
    registry.register(_Refused(refusals))
    registry.register(_Alerts(status))
    return generate_latest(registry)
