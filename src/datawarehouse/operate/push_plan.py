"""What `dw push` does with each hour: what is here, what the deployed warehouse has, and which of it was put there by
an earlier call. Pure.

An hour that is pushed has a mark in its folder, an object whose name every engine takes for hidden. It says from which
data folder the hour came and which objects were put for it, and at last that Athena has counted its rows. So a call
that was ended is gone on with, a second one does nothing, and what the deployed warehouse has got itself is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from datawarehouse.catalog.accounts import Account
from datawarehouse.catalog.records import File, StoredTable
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import BatchInputTable, Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DeclarationError
from datawarehouse.parquet.footer import ROWS

MARK = "_pushed"
_PREFIX = "pushed-"


class Step(Enum):
    PUT, DONE, REFUSED = "put", "done", "refused"


class Mark(msgspec.Struct, frozen=True):
    """identity: of the data folder. rows, digests: of the hour and of its files when it was pushed. names: of its
    objects, below the folder of the hour; before: of those that it had before its files changed here. call: names the
    call that wrote the mark. is_counted: whether Athena has counted these rows."""

    identity: str
    rows: int
    digests: list[str]
    names: list[str]
    before: list[str] = []
    call: str = ""
    is_counted: bool = False


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of a table here: its live files, and the rows or rejects that the ledger has of it."""

    partition: str
    files: tuple[File, ...]
    rows: int

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def fault(self) -> str:
        """Why it cannot be pushed, whatever the deployed warehouse has; empty if it can be."""
        for file in self.files:
            if file.damage:
                return f"the file {file.path} is damaged: {file.damage}. See `dw doctor`"
        found = sum(file.rows for file in self.files)
        if found != self.rows:
            return f"the ledger has {self.rows} rows, and its files have {found}. See `dw audit`"
        return ""


@dataclass(frozen=True, slots=True)
class Found:
    """What the deployed warehouse has of an hour: the names of its visible objects below its folder, the mark and its
    ETag, the location of its partition (None: it is not registered), and when the mark was written."""

    names: frozenset[str] = frozenset()
    mark: Mark | None = None
    etag: str = ""
    location: str | None = None
    marked_ms: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with an hour; why: of a refusal. gone: the objects of an earlier call that are to be deleted;
    of an hour that is done, once no query reads them any more. is_withdrawn: whether these are all, because the
    deployed warehouse itself has the hour."""

    step: Step
    why: str = ""
    gone: frozenset[str] = frozenset()
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What the objects of a table are, and where they are.

    in_runs: whether an hour is one folder of a run, to which its partition is pointed, as jobs leave it. is_loose:
    whether the table has no partitions. suffix: of their names.
    """

    in_runs: bool
    is_loose: bool
    suffix: str

    @property
    def is_of_stream(self) -> bool:
        return not (self.in_runs or self.is_loose)

    @classmethod
    def of(cls, stored: StoredTable, kind: str) -> Form:
        of_job = stored.kind == BatchInputTable.kind
        has_keys = bool(stored.partition_keys)
        suffix = ".parquet" if kind == ROWS and stored.data_format == "parquet" else ".json"
        return cls(of_job and has_keys, not has_keys, suffix)

    def names(self, files: Sequence[File]) -> list[str]:
        """The names of the objects that are made of files, in their order, below the folder of the hour.

        They depend on the bytes of the files, so that the same file is put only once. Those of a job's table are the
        ones that the job itself would choose for a run at the time when the file was made, so that its next run
        replaces them (`functions/publish.py`).
        """
        if self.is_loose:
            return ["rows.json" if self.suffix == ".json" else f"{_run(file)}-0.parquet" for file in files]
        names = [f"{_PREFIX}{file.digest}{self.suffix}" for file in files]
        return [f"{self.run(files)}/{name}" for name in names] if self.in_runs else names

    def run(self, files: Sequence[File]) -> str:
        """The folder of the run, below that of the hour; "" if there is none."""
        return _run(max(files, key=lambda file: file.created_ms)) if self.in_runs else ""


def _run(file: File) -> str:
    return f"{instant_of(file.created_ms):%Y%m%dT%H%M%S.%f}Z-{file.digest[:8]}"


def hours_of(files: Sequence[File], kind: str, ledger: Sequence[Account]) -> list[Hour]:
    """The hours that have live files of a kind, in order."""
    accounts = {account.partition: account for account in ledger}
    found: dict[str, list[File]] = {}
    for file in files:
        if file.kind == kind:
            found.setdefault(file.partition, []).append(file)
    return [Hour(at, tuple(each), _rows(accounts.get(at), kind)) for at, each in sorted(found.items())]


def _rows(account: Account | None, kind: str) -> int:
    if account is None:
        return -1
    if kind == ROWS:
        return account.stored_rows - account.deduplicated_rows - account.expired_rows - account.lost_rows
    return account.rejected - account.expired_records - account.lost_records


def decide(form: Form, hour: Hour, found: Found, identity: str, folder: str) -> Decision:
    """folder: of the hour in the deployed warehouse, with a slash at its end."""
    if hour.fault:
        return Decision(Step.REFUSED, hour.fault)
    names, mark = frozenset(form.names(hour.files)), found.mark
    if mark is None:
        return _without_mark(form, found, folder)
    if mark.identity != identity:
        return Decision(Step.REFUSED, "it was pushed there from another data folder")
    if mark.is_counted:
        is_merged = form.is_of_stream and mark.rows == hour.rows  # a merge changes files, never rows
        if is_merged or set(mark.digests) == {file.digest for file in hour.files}:
            replaced = found.names & frozenset(mark.before) if form.in_runs else frozenset()
            return Decision(Step.DONE, gone=replaced.difference(mark.names))
        if not form.in_runs:
            why = f"it had {mark.rows} rows when it was pushed, and other ones, {hour.rows}, are here now"
            return Decision(Step.REFUSED, f"{why}. Delete what is in {folder}, {MARK} too, and push it again")
    ours = frozenset(mark.names) | frozenset(mark.before)
    if form.in_runs and found.location not in (None, *_runs(folder, ours | names)):
        return Decision(Step.REFUSED, f"the deployed warehouse has another run of it, at {found.location}")
    if foreign := found.names - ours - names:
        is_withdrawn = not (mark.is_counted or form.is_loose)
        return Decision(Step.REFUSED, _has(foreign), found.names & ours if is_withdrawn else frozenset(), is_withdrawn)
    return Decision(Step.PUT, gone=(found.names & ours) - names)


def _without_mark(form: Form, found: Found, folder: str) -> Decision:
    if found.names:
        return Decision(Step.REFUSED, _has(found.names))
    at = found.location
    if at is not None and (form.in_runs or at.rstrip("/") != folder.rstrip("/")):
        return Decision(Step.REFUSED, f"the deployed warehouse has it at {at}")
    return Decision(Step.PUT)


def _runs(folder: str, names: Collection[str]) -> set[str]:
    """The locations that the partition has while one of these runs is the hour's, and before there is any."""
    return {folder, *(f"{folder}{name.partition('/')[0]}/" for name in names)}


def _has(names: Collection[str]) -> str:
    count = f"{len(names)} objects" if len(names) > 1 else "an object"
    return f"the deployed warehouse has it too, with {count}, such as {min(names)}"


def faults_of(stored: StoredTable, glue: Mapping[str, Any] | None, kind: str | None) -> list[str]:
    """What keeps a table from being pushed. glue: its description by Glue, None if there is none. kind: of the deployed
    table, None if it is not known."""
    if glue is None:
        return ["the deployed warehouse has no such table: deploy the same declaration, or name the tables to push"]
    parameters = glue.get("Parameters", {})
    if parameters.get("table_type", "").upper() == "ICEBERG":
        return [
            "it is an Iceberg table there, and no file can be put into one: name the other tables, and copy its rows "
            "by statements in Athena, as docs/reference/iceberg.md says"
        ]
    found = [f"it is a {kind} there and a {stored.kind} here"] if kind not in (None, stored.kind) else []
    is_json = parameters.get("classification") == "json"
    if is_json != (stored.data_format == "JSON"):
        found.append(f"its files are {'JSON' if is_json else 'Parquet'} there and {stored.data_format} here")
    found += _differing("column", stored.columns[stored.schema_version], glue["StorageDescriptor"]["Columns"])
    here, there = stored.partition_keys, glue.get("PartitionKeys", [])
    names = [[key["Name"] for key in there], [key.name for key in here]]
    if names[0] != names[1]:
        found.append("its partition keys are {} there and {} here".format(*(", ".join(n) or "none" for n in names)))
    else:
        found += _differing("partition key", here, there)
    return found


def _differing(what: str, here: Sequence[Column], glue: Sequence[Mapping[str, str]]) -> list[str]:
    """Columns that one side has, or that have two types: neither side reads the other's files then as it should."""
    there = {column["Name"]: _type_text(column["Type"]) for column in glue}
    ours = {column.name: str(column.type) for column in here}
    return [
        f"the {what} {name!r} is {there.get(name, 'missing')} there and {ours.get(name, 'missing')} here"
        for name in sorted(there.keys() | ours.keys())
        if there.get(name) != ours.get(name)
    ]


def _type_text(text: str) -> str:
    try:
        return str(parse_type(text))
    except DeclarationError:
        return text


def first_projected(glue: Mapping[str, Any], now_ms: int) -> str | None:
    """The first hour of which Athena sees anything, if it computes the hours; None if they are registered.

    Athena user guide, "Partition projection", the type date: a range begins with a value or with NOW-<n>DAYS.
    """
    parameters = glue.get("Parameters", {})
    if parameters.get("projection.enabled") != "true":
        return None
    key = glue["PartitionKeys"][0]["Name"]
    first = str(parameters.get(f"projection.{key}.range", "")).partition(",")[0]
    days = re.fullmatch(r"NOW-(\d+)DAYS", first)
    return partition_of(now_ms - int(days[1]) * 24 * HOUR_MS) if days else first
