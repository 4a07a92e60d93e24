"""`dw push` of the tables that users fill themselves: their files, as they are, under the same names.

The catalog has no ledger of them: rows are counted on both sides, here by the engine and there by Athena. An object
that this data folder has put says so in its metadata, and is replaced when the file has changed here. One of the same
name and with the same bytes is taken for the same. Any other object in a folder of the table is of the deployed
warehouse: the whole folder is then refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from datawarehouse.catalog.records import StoredTable
from datawarehouse.errors import QueryError
from datawarehouse.export.export import names_below
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.clients import ClientError, error_code
from datawarehouse.functions.objects import split_url
from datawarehouse.operate.push_hours import ONE_BY_ONE
from datawarehouse.operate.push_survey import Here, glue_table
from datawarehouse.parquet.digest import digest_of, digest_of_opened

_SAID = "dw-push"
_PIECE_BYTES = 1024 * 1024

Count = Callable[[str], Iterable[Sequence[Any]]]
"""The rows of a statement here."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file to put. name: below its folder."""

    path: Path
    name: str
    bytes: int


@dataclass(slots=True)
class OwnFolder:
    """A folder of files: of a registered partition, or of the whole table, whose values are (). url: where they go,
    with a slash at the end. done: how many of its files are there already. why: it is refused."""

    values: tuple[str, ...]
    url: str
    files: list[OwnFile] = field(default_factory=list)
    done: int = 0
    why: str = ""


@dataclass(slots=True)
class OwnPlan:
    """What is to be done for a table. described: by Glue."""

    stored: StoredTable
    described: Mapping[str, Any]
    folders: list[OwnFolder]

    @property
    def files(self) -> list[OwnFile]:
        return [file for folder in self.folders if not folder.why for file in folder.files]

    @property
    def refused(self) -> dict[str, str]:
        return {_shown(self.stored.name, folder): folder.why for folder in self.folders if folder.why}


@dataclass(slots=True)
class OwnPushed:
    """What became of a table. rows: that both sides have in the folders that were pushed."""

    name: str
    rows: int = 0
    files: int = 0
    bytes: int = 0
    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def planned_own(here: Here, glue: Any, s3: Any, database: str, stored: StoredTable) -> OwnPlan:
    """Compare the files of a table with its objects. Its description must fit (`push_plan.faults_of`)."""
    described = glue_table(glue, database, stored.name)
    assert described is not None
    home, base = here.lake / stored.name, described["StorageDescriptor"]["Location"].rstrip("/") + "/"
    if stored.partition_keys:
        places = [
            (each.values, Path(each.location) if each.location else home.joinpath(*each.values))
            for each in here.catalog.registered_partitions(stored.name)
        ]
    else:
        places = [((), home)]
    folders = []
    for values, place in places:
        folder = OwnFolder(values, base + "".join(f"{value}/" for value in values))
        try:
            _compare(here, s3, folder, place)
        except OSError as error:
            folder.why = f"{error.filename or place} cannot be read: {error.strerror}"
        folders.append(folder)
    return OwnPlan(stored, described, folders)


def _compare(here: Here, s3: Any, folder: OwnFolder, place: Path) -> None:
    bucket, prefix = split_url(folder.url)
    there: dict[str, int] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        there |= {each["Key"].removeprefix(prefix): each["Size"] for each in page.get("Contents", [])}
    names = list(names_below(place))
    visible = [name for name in there if not any(part.startswith(("_", ".")) for part in name.split("/"))]
    if foreign := sorted(set(visible).difference(names)):
        folder.why = f"the deployed warehouse has files of its own there, such as {folder.url}{foreign[0]}"
        return
    for name in names:
        file = OwnFile(place / name, name, (place / name).stat().st_size)
        state = _state(here, s3, bucket, prefix + name, file, there.get(name))
        if state == "other":
            folder.why = f"the deployed warehouse has another {folder.url}{name}"
            return
        if state == "same":
            folder.done += 1
        else:
            folder.files.append(file)


def _state(here: Here, s3: Any, bucket: str, key: str, file: OwnFile, size: int | None) -> str:
    """Whether an object is "missing" or an older one of this data folder, "same", or the "other" side's."""
    if size is None:
        return "missing"
    said = s3.head_object(Bucket=bucket, Key=key)["Metadata"].get(_SAID, "")
    identity, _, digest = said.partition("/")
    if identity == here.identity:
        return "same" if size == file.bytes and digest == digest_of(file.path) else "missing"
    if size != file.bytes:
        return "other"
    found = xxhash.xxh3_128()
    for piece in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_PIECE_BYTES):
        found.update(piece)
    return "same" if found.hexdigest() == digest_of(file.path) else "other"


class OwnPush:
    """Pushes such tables."""

    def __init__(self, here: Here, glue: Any, s3: Any, athena: Athena, count: Count, on_bytes: Callable[[int], None]):
        self._here, self._glue, self._s3 = here, glue, s3
        self._athena, self._count, self._on_bytes = athena, count, on_bytes

    def run(self, plan: OwnPlan) -> OwnPushed:
        """Put the files of a table, register its partitions, and compare its rows. Raises what AWS answers."""
        name = plan.stored.name
        pushed = OwnPushed(name, refused=plan.refused)
        fine = [folder for folder in plan.folders if not folder.why and (folder.files or folder.done)]
        for folder in fine:
            if why := self._put(folder):
                pushed.refused[_shown(name, folder)] = why
                continue
            pushed.files += len(folder.files)
            pushed.bytes += sum(file.bytes for file in folder.files)
            pushed.done += folder.done
            if folder.values and (why := self._register(plan, folder)):
                pushed.refused[_shown(name, folder)] = why
        self._compare_rows(plan, fine, pushed)
        return pushed

    def _put(self, folder: OwnFolder) -> str:
        """Put the files of a folder; returns why one cannot be, or nothing."""
        bucket, prefix = split_url(folder.url)
        for file in folder.files:
            try:
                with file.path.open("rb", buffering=0) as source:
                    digest = digest_of_opened(source)
                    source.seek(0)
                    said = {"Metadata": {_SAID: f"{self._here.identity}/{digest}"}}
                    self._s3.upload_fileobj(source, bucket, prefix + file.name, ExtraArgs=said, Config=ONE_BY_ONE)
            except OSError as error:
                return f"{file.path} cannot be read: {error.strerror}"
            self._on_bytes(file.bytes)
        return ""

    def _register(self, plan: OwnPlan, folder: OwnFolder) -> str:
        """Register the partition of a folder; returns why it cannot be, or nothing."""
        database, name = plan.described["DatabaseName"], plan.stored.name
        storage = {**plan.described["StorageDescriptor"], "Location": folder.url}
        given = {"Values": list(folder.values), "StorageDescriptor": storage}
        try:
            self._glue.create_partition(DatabaseName=database, TableName=name, PartitionInput=given)
            return ""
        except ClientError as error:
            if error_code(error) != "AlreadyExistsException":
                raise
        found = self._glue.get_partition(DatabaseName=database, TableName=name, PartitionValues=given["Values"])
        location = found["Partition"]["StorageDescriptor"]["Location"]
        if location.rstrip("/") == folder.url.rstrip("/"):
            return ""
        return f"its partition is at {location} there"

    def _compare_rows(self, plan: OwnPlan, folders: Sequence[OwnFolder], pushed: OwnPushed) -> None:
        wanted = {folder.values: folder for folder in folders if _shown(pushed.name, folder) not in pushed.refused}
        if not wanted:
            return
        keys = [f'cast("{key.name}" as varchar)' for key in plan.stored.partition_keys]
        groups = f" GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
        sql = f'SELECT {", ".join([*keys, "count(*)"])} FROM "{pushed.name}"{groups}'
        try:
            here, there = (
                {tuple(row[:-1]): int(row[-1]) for row in rows} for rows in (self._count(sql), self._athena.query(sql))
            )
        except QueryError as error:
            pushed.refused[pushed.name] = f"its files are there, and its rows could not be counted: {_sentence(error)}"
            return
        for values, folder in wanted.items():
            ours, theirs = here.get(values, 0), there.get(values, 0)
            if ours == theirs:
                pushed.rows += ours
            else:
                pushed.refused[_shown(pushed.name, folder)] = (
                    f"its files are there, and Athena counts {theirs} rows in it where there are {ours} here"
                )


def _sentence(error: Exception) -> str:
    return str(error).removesuffix(".")


def _shown(table: str, folder: OwnFolder) -> str:
    return "/".join(folder.values) or table
