"""What `dw push` finds before it begins: the tables on both sides, the hours here, and the objects there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import File, StoredTable
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import ERROR_DOCUMENTS_SUFFIX, QUARANTINE_SUFFIX, StreamingInputTable, Table
from datawarehouse.errors import BadRequest, UnknownName
from datawarehouse.functions.clients import ClientError, error_code
from datawarehouse.functions.objects import split_url
from datawarehouse.functions.tables import DescribedTable, read_table
from datawarehouse.operate.push_plan import (
    MARK,
    Decision,
    Form,
    Found,
    Hour,
    Mark,
    Step,
    decide,
    faults_of,
    first_projected,
    hours_of,
)
from datawarehouse.parquet.digest import digest_of
from datawarehouse.parquet.footer import REJECTS, ROWS

THREADS = 8
_HOUR_CHARACTERS = len("YYYY/MM/DD/HH")
_QUERY_MS = HOUR_MS
"""As long as runs of a job let queries read what they replaced (`functions/publish.py`)."""
_ABSENT = ("404", "NoSuchKey")


@dataclass(frozen=True, slots=True)
class Lane:
    """The rows or the rejects of a table on their way to a table of Glue.

    until: the hour from which on hours may still change. first: the first hour of which Athena sees anything, if it
    computes the hours; None if they are registered.
    """

    stored: StoredTable
    kind: str
    form: Form
    target: DescribedTable
    until: str
    first: str | None

    @property
    def name(self) -> str:
        return self.stored.name if self.kind == ROWS else f"{self.stored.name}{QUARANTINE_SUFFIX}"

    def folder(self, partition: str) -> str:
        return self.target.folder(partition)


@dataclass(slots=True)
class Planned:
    """What is to be done for a lane. hours: to put, in order. found: what the deployed warehouse has of an hour. done:
    how many hours an earlier call has put. refused: why an hour is not put. withdrawn: objects of an earlier call that
    stand beside those of the deployed warehouse itself, by hour. replaced: objects that an earlier call has replaced so
    long ago that no query reads them any more, by hour. open_hours: how many hours are here that may still
    change, from `lane.until` on."""

    lane: Lane
    hours: list[Hour] = field(default_factory=list)
    found: dict[str, Found] = field(default_factory=dict)
    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, frozenset[str]] = field(default_factory=dict)
    replaced: dict[str, frozenset[str]] = field(default_factory=dict)
    open_hours: int = 0

    @property
    def rows(self) -> int:
        return sum(hour.rows for hour in self.hours)

    @property
    def files(self) -> list[File]:
        return [file for hour in self.hours for file in hour.files]


@dataclass(frozen=True, slots=True)
class Here:
    """The data folder. identity: tells it from other ones. until_ms: by table, up to when it can no longer change."""

    catalog: Catalog
    lake: Path
    identity: str
    until_ms: Mapping[str, int]

    def hours(self, lane: Lane, partitions: Sequence[str] | None = None) -> list[Hour]:
        """The complete hours of a lane, or those of `partitions` that there are still, as the catalog has them now."""
        stored, kind = lane.stored, lane.kind
        with self.catalog.moment():
            if partitions is None:
                files = self.catalog.files_between(stored.name, None, lane.until)
            else:
                files = self.catalog.live_files(stored.name, kind, partitions)
            ledger = self.catalog.accounts.ledger(stored.name, None, lane.until)
        return hours_of([self._with_digest(file) for file in files if file.kind == kind], kind, ledger)

    def _with_digest(self, file: File) -> File:
        """Releases before format 3 kept no digests."""
        if file.digest:
            return file
        try:
            return replace(file, digest=digest_of(self.lake / file.path))
        except OSError as error:
            return replace(file, damage=f"it cannot be read ({error.strerror})")


def chosen(here: Here, names: Collection[str]) -> list[StoredTable]:
    """The declared tables of these names, or all. Raises UnknownName."""
    known = {stored.name: stored for stored in here.catalog.tables()}
    for name in names:
        if name not in known:
            raise UnknownName(f"The data folder has no table {name!r} to push; it has {', '.join(known)}.")
    return [stored for name, stored in known.items() if not names or name in names]


def lanes_of(
    here: Here, glue: Any, database: str, tables: Sequence[StoredTable], kinds: Mapping[str, str], now_ms: int
) -> list[Lane]:
    """The lanes of the tables that the warehouse fills. kinds: of the deployed tables.

    Raises BadRequest, naming all tables that cannot be pushed.
    """
    lanes: list[Lane] = []
    faults: list[str] = []
    for stored in tables:
        described = glue_table(glue, database, stored.name)
        faults += [f"table {stored.name!r}: {fault}" for fault in faults_of(stored, described, kinds.get(stored.name))]
        if stored.kind == Table.kind or described is None:
            continue
        until = partition_of(here.until_ms.get(stored.name, 0))
        filled = (ROWS, REJECTS) if stored.kind == StreamingInputTable.kind else (ROWS,)
        for kind in filled:
            name = stored.name if kind == ROWS else f"{stored.name}{ERROR_DOCUMENTS_SUFFIX}"
            if kind == REJECTS and not (described := glue_table(glue, database, name)):
                faults.append(f"table {name!r}: the deployed warehouse has no such table")
            elif not any(fault.startswith(f"table {stored.name!r}") for fault in faults):
                assert described is not None
                first = first_projected(described, now_ms)
                target = read_table(glue, database, name)
                lanes.append(Lane(stored, kind, Form.of(stored, kind), target, until, first))
    if faults:
        raise BadRequest("Nothing was pushed, because the two sides differ:\n- " + "\n- ".join(faults))
    return lanes


def glue_table(glue: Any, database: str, name: str) -> Mapping[str, Any] | None:
    """A table as Glue describes it; None if there is none."""
    try:
        found: Mapping[str, Any] = glue.get_table(DatabaseName=database, Name=name)["Table"]
    except ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        return None
    return found


def planned(here: Here, glue: Any, s3: Any, lane: Lane, now_ms: int) -> Planned:
    """Decide what to do with each complete hour of a lane."""
    plan = Planned(lane)
    plan.open_hours = len(here.catalog.partitions_between(lane.stored.name, lane.kind, lane.until, None))
    hours = here.hours(lane)
    if not hours:
        return plan
    plan.found = found_in(glue, s3, lane, [hour.partition for hour in hours])
    for hour in hours:
        decision = decided(here, lane, hour, plan.found[hour.partition])
        if decision.step is Step.PUT:
            plan.hours.append(hour)
        elif decision.step is Step.DONE:
            plan.done += 1
            if decision.gone and plan.found[hour.partition].marked_ms < now_ms - _QUERY_MS:
                plan.replaced[hour.partition] = decision.gone
        else:
            plan.refused[hour.partition] = decision.why
            if decision.is_withdrawn:
                plan.withdrawn[hour.partition] = decision.gone
    return plan


def decided(here: Here, lane: Lane, hour: Hour, found: Found) -> Decision:
    """As `decide`, and refused if Athena would not see the hour."""
    if lane.first is not None and hour.partition < lane.first:
        return Decision(Step.REFUSED, f"Athena sees no hour before {lane.first} there (partition_projection_start)")
    return decide(lane.form, hour, found, here.identity, lane.folder(hour.partition))


def found_in(glue: Any, s3: Any, lane: Lane, partitions: Sequence[str]) -> dict[str, Found]:
    """What the deployed warehouse has of these hours, which are in order."""
    names: dict[str, set[str]] = {partition: set() for partition in partitions}
    marked: list[str] = []
    for partition, name in _listed(s3, lane, partitions[0], partitions[-1]):
        if partition not in names:
            continue
        if name == MARK:
            marked.append(partition)
        elif not any(part.startswith(("_", ".")) for part in name.split("/")):
            names[partition].add(name)
    with ThreadPoolExecutor(THREADS) as pool:
        marks = dict(zip(marked, pool.map(lambda partition: read_mark(s3, lane, partition), marked), strict=True))
    locations = _locations(glue, lane)
    found: dict[str, Found] = {}
    for partition, each in names.items():
        mark, etag, marked_ms = marks.get(partition, (None, "", 0))
        found[partition] = Found(frozenset(each), mark, etag, locations.get(partition), marked_ms)
    return found


def _listed(s3: Any, lane: Lane, first: str, last: str) -> Iterator[tuple[str, str]]:
    """(hour, name below its folder) of the objects of a lane, from one hour to another."""
    bucket, home = split_url(lane.target.location)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=home, StartAfter=f"{home}{first}")
    for page in pages:
        for each in page.get("Contents", []):
            below = each["Key"].removeprefix(home)
            partition, name = below[:_HOUR_CHARACTERS], below[_HOUR_CHARACTERS + 1 :]
            if partition > last:
                return
            yield partition, name


def _locations(glue: Any, lane: Lane) -> dict[str, str]:
    """Where the registered hours of a lane are."""
    if lane.first is not None or lane.target.partition_key is None:
        return {}
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=lane.target.database, TableName=lane.target.name, ExcludeColumnSchema=True
    )
    return {each["Values"][0]: each["StorageDescriptor"]["Location"] for page in pages for each in page["Partitions"]}


def read_mark(s3: Any, lane: Lane, partition: str) -> tuple[Mark | None, str, int]:
    """The mark of an hour, its ETag, and when it was written in ms; (None, "", 0) if it has none. Raises BadRequest if
    it is not one."""
    bucket, folder = split_url(lane.folder(partition))
    try:
        answer = s3.get_object(Bucket=bucket, Key=f"{folder}{MARK}")
        written_ms = int(answer["LastModified"].timestamp() * 1000)
        return msgspec.json.decode(answer["Body"].read(), type=Mark), answer["ETag"], written_ms
    except ClientError as error:
        if error_code(error) not in _ABSENT:
            raise
        return None, "", 0
    except msgspec.DecodeError as error:
        raise BadRequest(
            f"s3://{bucket}/{folder}{MARK} is not what `dw push` of this release writes: {error}. Install the newest "
            "release, or delete it together with the objects of the hour that were pushed."
        ) from None
