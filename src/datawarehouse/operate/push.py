"""`dw push`: moves what a data folder has into the deployed warehouse, which then has the same rows in the same hours.

  1. Compare the tables of both sides. If one differs, nothing is pushed.
  2. Decide what to do with each complete hour, from the catalog, and from the objects and marks that are there.
  3. Put the hours of each table (`push_hours`), and the files of those that users fill (`push_own`).

Whatever ends it, the next call goes on: objects have names that depend on their bytes, and one that is there is not put
again. Only complete hours are pushed, so that no row comes later. One call of a data folder runs at a time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from datawarehouse.definition.tables import Table
from datawarehouse.errors import FolderInUse
from datawarehouse.functions.athena import Athena
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import Deployment
from datawarehouse.operate.push_hours import HOURS_A_ROUND, HoursPush
from datawarehouse.operate.push_own import Count, OwnPlan, OwnPush, planned_own
from datawarehouse.operate.push_survey import Here, Planned, chosen, lanes_of, planned

_NO_LIMIT_MS = 10**9
_SCANNED_BYTES_MIN = 10_000_000
_MARKS_AN_HOUR = 2


@dataclass(slots=True)
class Outcome:
    """What would become, or became, of a table. hours, rows, files, bytes: those that are put. there_already: how many
    hours were put before; files, for a table that its user fills. refused: why an hour is not put, by hour. expired:
    hours that expired here meanwhile. open_hours: how many are left for later, because they may still change."""

    table: str
    hours: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0
    there_already: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    expired: list[str] = field(default_factory=list)
    open_hours: int = 0


@dataclass(slots=True)
class Plan:
    """What a call is to do. objects: how many requests put something; scanned_bytes: what Athena bills at least."""

    lanes: list[Planned]
    own: list[OwnPlan]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for plan in self.lanes for file in plan.files) + sum(
            file.bytes for plan in self.own for file in plan.files
        )

    @property
    def objects(self) -> int:
        marks = sum((_MARKS_AN_HOUR + plan.lane.form.in_runs) * len(plan.hours) for plan in self.lanes)
        return marks + sum(len(plan.files) for plan in self.lanes) + sum(len(plan.files) for plan in self.own)

    @property
    def scanned_bytes(self) -> int:
        """Athena reads the footers of Parquet alone to count rows; of JSON it reads all."""
        found = sum(file.bytes for plan in self.own for file in plan.files)
        for plan in self.lanes:
            read = sum(file.bytes for file in plan.files) if plan.lane.form.suffix == ".json" else 0
            found += max(read, -(-len(plan.hours) // HOURS_A_ROUND) * _SCANNED_BYTES_MIN)
        counted = [plan for plan in self.own if any(folder.files or folder.done for folder in plan.folders)]
        return found + _SCANNED_BYTES_MIN * len(counted)

    def outcomes(self) -> list[Outcome]:
        """What would become of each table."""
        lanes = [
            Outcome(
                plan.lane.name, len(plan.hours), plan.rows, len(plan.files), sum(file.bytes for file in plan.files),
                plan.done, plan.refused, open_hours=plan.open_hours,
            )
            for plan in self.lanes
        ]  # fmt: skip
        own = [
            Outcome(
                plan.stored.name,
                files=len(plan.files),
                bytes=sum(file.bytes for file in plan.files),
                there_already=sum(folder.done for folder in plan.folders),
                refused=plan.refused,
            )
            for plan in self.own
        ]
        return [*lanes, *own]


class Push:
    """One call. count: the rows of a statement here."""

    def __init__(self, here: Here, deployment: Deployment, clients: Clients, count: Count) -> None:
        self._here, self._database, self._count = here, deployment.database, count
        self._kinds = {name: table.kind for name, table in deployment.tables.items()}
        self._glue, self._s3 = clients("glue"), clients("s3")
        counted_in = (
            "batch" if "adhoc" in deployment.gateway else "adhoc"
        )  # only its gateway starts queries in a guarded one
        self._athena = Athena(
            clients("athena"),
            deployment.database,
            deployment.workgroups[counted_in],
            f"s3://{deployment.results_bucket}/{counted_in}/",
            lambda: _NO_LIMIT_MS,
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other call push the same data folder meanwhile. Raises FolderInUse."""
        file = os.open(self._here.lake / "FORMAT", os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUse(
                    f"Another `dw push` of {self._here.lake} is running. Push again when it has ended."
                ) from None
            yield
        finally:
            os.close(file)

    def plan(self, names: Collection[str], now_ms: int) -> Plan:
        """What is to be done for these tables, or for all. Raises UnknownName, or BadRequest if the sides differ."""
        tables = chosen(self._here, names)
        lanes = lanes_of(self._here, self._glue, self._database, tables, self._kinds, now_ms)
        own = [stored for stored in tables if stored.kind == Table.kind]
        return Plan(
            [planned(self._here, self._glue, self._s3, lane, now_ms) for lane in lanes],
            [planned_own(self._here, self._glue, self._s3, self._database, stored) for stored in own],
        )

    def run(self, plan: Plan, on_bytes: Callable[[int], Any]) -> list[Outcome]:
        """Do it. on_bytes is called with the size of each file that is there. Raises what AWS answers."""
        hours = HoursPush(self._here, self._glue, self._s3, self._athena, secrets.token_hex(8), on_bytes)
        own = OwnPush(self._here, self._glue, self._s3, self._athena, self._count, on_bytes)
        found = []
        for lane in plan.lanes:
            each = hours.run(lane)
            numbers = (each.hours, each.rows, each.files, each.bytes, each.done)
            found.append(Outcome(each.lane.name, *numbers, each.refused, each.gone, lane.open_hours))
        for user in map(own.run, plan.own):
            found.append(Outcome(user.name, 0, user.rows, user.files, user.bytes, user.done, user.refused))
        return found
