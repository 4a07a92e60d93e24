"""Runs of a deployed job: one, or those of a period in the past.

A run is one call of the job's function with the scheduled instant; it writes the hour before that instant and replaces
what an earlier run wrote there (`functions/publish.py`). So a run whose answer was lost can be repeated, and of several
instants in one hour only the last is run for a period. An hour that has a complete run counts as done: the mark in the
folder that its partition points to or, without partitions, an object in its folder. That is in the bucket, so a period
can be continued after whatever ended it, and by anybody.
"""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.functions.objects import run_of, split_url
from datawarehouse.functions.tables import DescribedTable, read_table
from datawarehouse.jobs.due import backfill_instants
from datawarehouse.operate.clients import Clients, error_code, told_in_our_words
from datawarehouse.operate.deployment import DeployedTable, Deployment

RUNS_AT_ONCE = 4
_ANSWER_S = 910
"""A function has at most 900 s."""
_REFUSED_TRIES_MAX = 6
_REFUSED_PAUSE_S = 5.0
_BUSY = {"TooManyRequestsException", "ResourceConflictException"}
"""Nothing ran: the account's concurrency is used up, or the function is being updated (Lambda API, Invoke)."""


@dataclass(frozen=True, slots=True)
class DeployedRun:
    """A run that has ended. rows: None if the function does not tell. seconds: until its answer came."""

    job: str
    scheduled: str
    partition: str
    outcome: str
    rows: int | None
    seconds: float
    error: str | None

    def described(self) -> dict[str, Any]:
        """As `dw run --output json` prints it."""
        return {**asdict(self), "attempt": 1, "cause": "asked"}


def run_job(clients: Clients, job: DeployedTable, at: datetime) -> DeployedRun:
    """Run a job for a scheduled instant, and wait for it. Raises what AWS answers when nothing ran."""
    return _run(_caller(clients), job, at)


def _caller(clients: Clients) -> Any:
    """A client that waits as long as a function can take, and never calls it twice by itself."""
    return clients.once("lambda", connect_timeout=10, read_timeout=_ANSWER_S)


def _run(caller: Any, job: DeployedTable, at: datetime) -> DeployedRun:
    scheduled, hour = _named(at)
    began = time.monotonic()
    answer = called(caller, str(job.function), json.dumps({"time": scheduled}))
    told = json.loads(answer["Payload"].read() or "null")
    error = _error(told) if answer.get("FunctionError") else None
    return DeployedRun(
        job.name,
        scheduled,
        hour,
        "failed" if error else "succeeded",
        None if error else _rows(told),
        round(time.monotonic() - began, 3),
        error,
    )


def _named(at: datetime) -> tuple[str, str]:
    """An instant in ISO 8601, and the hour that a run for it writes."""
    instant = at.astimezone(UTC)
    written = instant.isoformat(timespec="seconds").replace("+00:00", "Z")
    return written, partition_of(milliseconds_of(instant) - HOUR_MS)


def called(caller: Any, name: str, payload: str) -> Mapping[str, Any]:
    """The answer of Invoke, which is repeated with pauses while AWS refuses to run the function."""
    for tried in range(1, _REFUSED_TRIES_MAX + 1):
        try:
            answer: Mapping[str, Any] = caller.invoke(FunctionName=name, Payload=payload)
            return answer
        except ClientError as error:
            if error_code(error) not in _BUSY or tried == _REFUSED_TRIES_MAX:
                raise
        time.sleep(random.uniform(0.5, 1.0) * _REFUSED_PAUSE_S * tried)
    raise AssertionError


def _rows(told: Any) -> int | None:
    """A function answers with rows by partition, one of a statement with {"partition": ...}."""
    counts = list(told.values()) if isinstance(told, dict) else []
    return sum(counts) if all(isinstance(count, int) for count in counts) else None


def _error(told: Any) -> str:
    if not isinstance(told, dict):
        return str(told)
    kind, message = told.get("errorType"), told.get("errorMessage", "no message")
    return f"{kind}: {message}" if kind else str(message)


# -- a period


def period_instants(job: DeployedTable, start: datetime, end: datetime) -> list[datetime]:
    """The instants for which a job must run to write a period, as on the embedded host; of those in one hour, the
    last."""
    instants = backfill_instants(parse_schedule(str(job.schedule)), start, end)
    return list({_named(at)[1]: at for at in instants}.values())


def left_to_run(
    deployment: Deployment, clients: Clients, job: DeployedTable, instants: Sequence[datetime]
) -> list[datetime]:
    """The instants whose hours have no complete run."""
    table = read_table(clients("glue"), deployment.database, job.name)
    hours = {_named(at)[1]: at for at in instants}
    done = _complete_hours(clients, table, min(hours), max(hours)) if hours else set()
    return [at for hour, at in hours.items() if hour not in done]


def _complete_hours(clients: Clients, table: DescribedTable, first: str, last: str) -> set[str]:
    found, marked = listed_runs(clients("s3"), table, first, last)
    if not table.partition_key:
        return found
    return complete_of(table, _locations(clients, table), marked)


def complete_of(table: DescribedTable, locations: Iterable[str], marked: Collection[str]) -> set[str]:
    """The hours of those locations of partitions that are folders of complete runs, `<hour>/<run>` in `marked`."""
    pointed = (location.removeprefix(table.location).strip("/") for location in locations)
    return {run.rpartition("/")[0] for run in pointed if run in marked}


def listed_runs(s3: Any, table: DescribedTable, first: str, last: str) -> tuple[set[str], set[str]]:
    """(hours that have an object, `<hour>/<run>` of complete runs) in the folders of a job's table, from an hour to
    another."""
    bucket, home = split_url(table.location)
    lists = s3.get_paginator("list_objects_v2")
    pages = lists.paginate(Bucket=bucket, Prefix=home, StartAfter=f"{home}{first}")
    keys = (each["Key"].removeprefix(home) for page in pages for each in page.get("Contents", []))
    found: set[str] = set()
    marked: set[str] = set()
    for key in keys:
        hour = "/".join(key.split("/")[:4])
        if hour > last:
            break
        partition, run = run_of(key)
        if run:
            marked.add(f"{partition}/{run}")
        elif not key.rpartition("/")[2].startswith("_"):
            found.add(hour)
    return found, marked


def _locations(clients: Clients, table: DescribedTable) -> Iterator[str]:
    lists = clients("glue").get_paginator("get_partitions")
    for page in lists.paginate(DatabaseName=table.database, TableName=table.name, ExcludeColumnSchema=True):
        yield from (partition["StorageDescriptor"]["Location"] for partition in page["Partitions"])


def run_all(clients: Clients, job: DeployedTable, instants: Sequence[datetime]) -> Iterator[DeployedRun]:
    """The runs of instants as they end, four at once. A run that AWS did not take, or whose answer was lost, has failed
    with that as its error.

    Whoever stops asking for runs starts no more; those that run go on in AWS.
    """
    todo, ended, over = iter(instants), queue.Queue[DeployedRun](), threading.Event()
    lock, caller = threading.Lock(), _caller(clients)

    def work() -> None:
        while not over.is_set():
            with lock:
                at = next(todo, None)
            if at is None:
                return
            ended.put(_tried(caller, job, at))

    for number in range(min(RUNS_AT_ONCE, len(instants))):
        threading.Thread(target=work, name=f"run {number}", daemon=True).start()
    try:
        for _ in instants:
            yield ended.get()
    finally:
        over.set()


def _tried(caller: Any, job: DeployedTable, at: datetime) -> DeployedRun:
    began = time.monotonic()
    try:
        with told_in_our_words():
            return _run(caller, job, at)
    except Exception as error:  # a thread must tell, whatever it is
        took = round(time.monotonic() - began, 3)
        return DeployedRun(job.name, *_named(at), "failed", None, took, f"{error}")
