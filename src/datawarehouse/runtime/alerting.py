"""The thread that finds out every few seconds whether something is wrong, and tells those who are declared.

  1. Gather the facts. 2. Let each watch compare them with its conditions (`alerts/watch.py`; pure).
  3. Store what is on, and the messages. 4. Write the log. The threads of `alerts/delivery.py` send the messages.

Alerts with the same conditions share a watch, so that a cause is found, and written to the log, once.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from datawarehouse.alerts.causes import Facts, FailingJob
from datawarehouse.alerts.command import Command
from datawarehouse.alerts.counts import Inflow
from datawarehouse.alerts.delivery import Delivery, Receiver, stop
from datawarehouse.alerts.messages import Message, described, message_of, sentence
from datawarehouse.alerts.store import Store
from datawarehouse.alerts.watch import BEGAN, RESOLVED, Notice, Stored, Watch, of_each_cause
from datawarehouse.alerts.webhook import Webhook
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock, GuardedClock
from datawarehouse.convert.converter import Converter
from datawarehouse.convert.orders import HourCount
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.folder import alerts_path
from datawarehouse.intake.intake import Intake
from datawarehouse.intake.refusals import OF_THE_RECORD
from datawarehouse.runtime.backups import backup_status
from datawarehouse.runtime.closing import Closing

log = logging.getLogger("datawarehouse.alerts")

T = TypeVar("T")

_EVERY_S = 5.0


@dataclass(slots=True)
class _Told:
    """A watch, and the receivers of its alerts by the keys of their queues."""

    watch: Watch
    receivers: dict[str, Receiver] = field(default_factory=dict)


class Alerting:
    """Watches a warehouse. Methods can be called from any thread."""

    def __init__(
        self,
        warehouse: Warehouse,
        folder: Path,
        secrets: list[bytes],
        clock: Clock,
        closing: Closing,
        catalog: Catalog,
        converter: Converter,
        intake: Intake,
        free_bytes: Callable[[Path], int],
    ) -> None:
        """secrets: those with which messages to webhooks are signed."""
        self._warehouse = warehouse
        self._folder = folder
        self._clock = clock
        self._closing = closing
        self._catalog = catalog
        self._converter = converter
        self._intake = intake
        self._free_bytes = free_bytes
        self._secrets = secrets
        self._store = Store(alerts_path(folder))
        self._inflow = Inflow()
        self._refused: dict[tuple[str, str], int] = {}
        self._told = self._watches()
        self._deliveries: list[Delivery] = []
        self._known = Facts()
        self._unknown: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_watch, name="alerts", daemon=True)
        for name, table in converter.tables.items():
            table.on_counted = partial(self._count, name)

    def _watches(self) -> dict[str, _Told]:
        found: dict[str, _Told] = {}
        for alert in self._warehouse.alerts():
            name = _name(alert.conditions)
            if name not in found:
                found[name] = _Told(Watch(alert.conditions, self._warehouse.name, self._store.watch(name)))
            if alert.webhook:
                found[name].receivers[_key("webhook", alert.webhook)] = Webhook(
                    alert.webhook, self._secrets, self._clock
                )
            if alert.command:
                found[name].receivers[_key("command", *alert.command)] = Command(alert.command)
        return found

    def start(self) -> None:
        """Start the thread that watches, and one for each receiver."""
        receivers = {key: receiver for told in self._told.values() for key, receiver in told.receivers.items()}
        if not self._secrets and any(isinstance(receiver, Webhook) for receiver in receivers.values()):
            log.warning("alerts are sent without a signature: set alert_webhook_secret (DW_ALERT_WEBHOOK_SECRET)")
        self._end_what_is_not_watched(receivers)
        self._deliveries = [Delivery(receiver, key, self._store, self._clock) for key, receiver in receivers.items()]
        for delivery in self._deliveries:
            delivery.start()
        self._thread.start()

    def _end_what_is_not_watched(self, receivers: dict[str, Receiver]) -> None:
        """Tell that alerts are over whose conditions are no longer declared."""
        now = self._clock.now_ms()
        messages: dict[str, list[Message]] = {}
        for stored in self._store.keep(self._told, receivers).values():
            for on in stored.on:
                notice = Notice(RESOLVED, now, on)
                log.info("its conditions are no longer declared: %s", sentence(notice))
                for key in receivers.keys() & set(stored.receivers):
                    messages.setdefault(key, []).append(message_of(self._warehouse.name, notice))
        self._store.put({}, messages)

    def evaluate(self) -> list[dict[str, Any]]:
        """Find out what is wrong now, and tell what changed; returns the documents of what changed."""
        with self._lock:
            facts = self._facts()
            self._count_refused()
            inflow, now = self._inflow.take(), self._clock.now_ms()
            started = {delivery.key for delivery in self._deliveries}
            notices: list[Notice] = []
            documents: list[dict[str, Any]] = []
            watches: dict[str, Stored] = {}
            messages: dict[str, list[Message]] = {}
            for name, told in self._told.items():
                found = told.watch.step(now, inflow, facts)
                made = [message_of(self._warehouse.name, notice) for notice in found]
                messages |= dict.fromkeys(told.receivers.keys() & started, made)
                watches[name] = told.watch.stored(list(told.receivers))
                notices += found
                documents += [json.loads(message.body) for message in made]
            if notices or any(counted.rejects or counted.refused for counted in inflow.values()):
                self._store.put(watches, messages)
        for notice in notices:
            log.log(logging.WARNING if notice.kind == BEGAN else logging.INFO, "%s", sentence(notice))
        return documents

    def next_ms(self) -> int | None:
        """The next instant at which time alone may end an alert."""
        now = self._clock.now_ms()
        instants = [told.watch.next_ms(now) for told in self._told.values()]
        return min((at for at in instants if at is not None), default=None)

    def status(self) -> dict[str, Any]:
        """The alerts that are on, each cause once, and what became of messages since the warehouse was opened."""
        with self._lock:
            on = of_each_cause(each for told in self._told.values() for each in told.watch.on)
        return {
            "alerts": [described(each) for each in on],
            "alert_deliveries": [
                {
                    "to": each.receiver.name,
                    "delivered": each.delivered,
                    "failed": each.failed,
                    "waiting": self._store.waiting(each.key),
                }
                for each in self._deliveries
            ],
        }

    def stop(self) -> None:
        """Look once more, let messages go that are taken at once, and end the threads. Closing must have begun."""
        if self._thread.ident is not None:  # it was started; it may have ended by itself by now
            self._thread.join()
            self._evaluate()  # of what was converted while the warehouse closed
        self._intake.refusals.say(all_of_them=True)
        stop(self._deliveries, self._closing.left_s)
        self._store.close()

    def _keep_watch(self) -> None:
        while not self._closing.wait(_EVERY_S):
            self._evaluate()

    def _evaluate(self) -> None:
        self._intake.refusals.say()
        nothing: list[dict[str, Any]] = []
        self._found("what is wrong", self.evaluate, nothing)

    def _count(self, table: str, hours: list[HourCount]) -> None:
        for hour in hours:
            self._inflow.add(table, hour.received, hour.causes)

    def _count_refused(self) -> None:
        refused = self._intake.refusals.of_records
        for (table, limit), count in refused.items():
            more = count - self._refused.get((table, limit), 0)
            if more and limit not in OF_THE_RECORD:
                self._inflow.add(table, 0, {}, {limit: more})
        self._refused = refused

    # -- facts

    def _facts(self) -> Facts:
        before = self._known
        self._known = Facts(
            failing=self._found("which jobs fail", self._failing_jobs, before.failing),
            lag_s=self._found("how late conversion is", self._lags, before.lag_s),
            disk_free_bytes=self._found("how much disk is free", self._disk_free, before.disk_free_bytes),
            damage=self._found("which files are damaged", self._damage, before.damage),
            backup_age_s=self._found("how old the last back-up is", self._backup_age, before.backup_age_s),
            clock_ahead_ms=self._clock.ahead_ms if isinstance(self._clock, GuardedClock) else 0,
        )
        return self._known

    def _found(self, what: str, find: Callable[[], T], before: T) -> T:
        """A fact, or what it was before if it cannot be found out: that one is unknown must not keep the others from
        being told. A catalog that fails, for instance, makes conversion late."""
        try:
            found = find()
        except Exception:
            if what not in self._unknown:
                log.exception("%s could not be found out; trying again every %g s", what, _EVERY_S)
            self._unknown.add(what)
            return before
        self._unknown.discard(what)
        return found

    def _disk_free(self) -> int | None:
        return self._free_bytes(self._folder)

    def _failing_jobs(self) -> Sequence[FailingJob]:
        found: dict[str, FailingJob] = {}
        tables = {table.name: table for table in self._warehouse.tables() if isinstance(table, BatchInputTable)}
        for job, _, failed, scheduled_ms, error, run in self._catalog.runs.failing():
            table = tables.get(job)
            # Without a partition key the next hour's run replaces all rows, so that an earlier failure is over.
            if table is None or (not table.partition_keys and self._catalog.runs.last_success(job) > run):
                continue
            before = found.get(job)
            hours = before.hours + 1 if before else 1
            if before is None or failed >= before.failed:
                found[job] = FailingJob(job, failed, scheduled_ms, hours, error)
            else:
                found[job] = FailingJob(job, before.failed, before.scheduled_ms, hours, before.error)
        return tuple(found.values())

    def _damage(self) -> Sequence[str]:
        return [f"The file {file.path} of {file.table} is damaged: {file.damage}." for file in self._catalog.damaged()]

    def _backup_age(self) -> float | None:
        backup = backup_status(self._catalog, self._clock)
        return backup["age_s"] if backup else None

    def _lags(self) -> Mapping[str, float]:
        now = self._clock.now_ms()
        found = {}
        for name, table in self._converter.tables.items():
            if self._converter.pending(name):
                oldest = table.journal.arrival_after(self._intake.streams[name].converted)
                found[name] = max(0, now - oldest) / 1000 if oldest is not None else 0.0
        return found


def _name(conditions: Conditions) -> str:
    return json.dumps(asdict(conditions), sort_keys=True)


def _key(*parts: str) -> str:
    """The name of a receiver's queue; not the URL, which can be a secret."""
    return f"{parts[0]}-{blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()}"
