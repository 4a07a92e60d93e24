"""Puts the hours of a table into the deployed warehouse, 48 at a time.

1. Read the live files of these hours, and decide what to do with each (`push_plan`).
2. Write the mark of each hour, unless somebody else has done so. It says which objects will be put.
3. Put the objects. A file that its owner retires meanwhile is read to its end if it is open; if it is gone, the hour
   is read from the catalog again.
4. Show the hours: register them in Glue or, for a job's table, point them to the folder of the run. The run that was
   there before stays, since queries may be reading it; a call that is made an hour later deletes it.
5. Count their rows with Athena, compare them with the ledger, and write into the mark that they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from boto3.s3.transfer import TransferConfig

from datawarehouse.errors import BadRequest, DataWarehouseError, FileDamaged, QueryError
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.clients import ClientError, error_code
from datawarehouse.functions.objects import COMPLETE, split_url
from datawarehouse.functions.tables import point_to, refresh, register
from datawarehouse.operate.push_objects import object_of
from datawarehouse.operate.push_plan import MARK, Found, Hour, Mark, Step
from datawarehouse.operate.push_survey import THREADS, Here, Lane, Planned, decided, found_in, read_mark
from datawarehouse.parquet.digest import check_digest

HOURS_A_ROUND = 48
_READ_AGAIN_MAX = 3
_PART_BYTES = 64 * 1024 * 1024
ONE_BY_ONE = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False)
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_DELETE_A_CALL_MAX = 1000

OnBytes = Callable[[int], None]


@dataclass(slots=True)
class Pushed:
    """What became of a lane. hours, rows, files, bytes: those that this call has put and counted. refused: why an hour
    was not, by hour. gone: hours that expired here meanwhile."""

    lane: Lane
    hours: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0
    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Put:
    """An hour whose objects are there. etag: of its mark. old: objects of a table without partitions that it replaces,
    to be deleted at last."""

    hour: Hour
    mark: Mark
    etag: str
    old: list[str]


class _Refused(Exception):
    """An hour that is not put, and why."""


class HoursPush:
    """Pushes the tables that the warehouse fills. call: names this call of `dw push`."""

    def __init__(self, here: Here, glue: Any, s3: Any, athena: Athena, call: str, on_bytes: OnBytes) -> None:
        self._here, self._glue, self._s3, self._athena = here, glue, s3, athena
        self._call = call
        self._on_bytes = on_bytes

    def run(self, plan: Planned) -> Pushed:
        """Push the hours of a lane. Raises what AWS answers; the next call then goes on."""
        pushed = Pushed(plan.lane, done=plan.done, refused=dict(plan.refused))
        for partition, names in plan.withdrawn.items():
            self._withdraw(plan.lane, partition, names)
        for partition, names in plan.replaced.items():
            runs = {name.partition("/")[0] for name in names}
            self._delete(plan.lane, partition, {*names, *(f"{run}/{COMPLETE}" for run in runs)})
        wanted = [hour.partition for hour in plan.hours]
        for start in range(0, len(wanted), HOURS_A_ROUND):
            self._round(plan, wanted[start : start + HOURS_A_ROUND], pushed)
        return pushed

    def _round(self, plan: Planned, wanted: Sequence[str], pushed: Pushed) -> None:
        lane, left = plan.lane, list(wanted)
        put: list[_Put] = []
        for _ in range(_READ_AGAIN_MAX):
            hours = {hour.partition: hour for hour in self._here.hours(lane, left)}
            for partition in left:
                if partition not in hours:
                    if mark := plan.found[partition].mark:
                        self._withdraw(lane, partition, {*mark.names, *mark.before})
                    pushed.gone.append(partition)
            moved: list[str] = []
            for partition, result in self._put_all(plan, list(hours.values())):
                if isinstance(result, _Put):
                    put.append(result)
                elif isinstance(result, FileDamaged) and not self._here.catalog.accounts.is_live(result.path):
                    moved.append(partition)
                    plan.found |= found_in(self._glue, self._s3, lane, [partition])
                elif result is not None:
                    pushed.refused[partition] = _sentence(result)
                else:
                    pushed.done += 1
            left = moved
            if not left:
                break
        pushed.refused |= dict.fromkeys(left, "its files changed while they were read; push again")
        if put:
            self._show(lane, put)
            self._settle(lane, put, pushed)

    def _put_all(self, plan: Planned, hours: Sequence[Hour]) -> list[tuple[str, _Put | Exception | None]]:
        """What became of each hour: its objects are there; why it is not put; None if it was there already."""
        with ThreadPoolExecutor(THREADS) as pool:
            futures = [(hour, pool.submit(self._put, plan.lane, hour, plan.found[hour.partition])) for hour in hours]
            try:
                return [(hour.partition, future.result()) for hour, future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _put(self, lane: Lane, hour: Hour, found: Found) -> _Put | Exception | None:
        decision = decided(self._here, lane, hour, found)
        if decision.step is not Step.PUT:
            return None if decision.step is Step.DONE else _Refused(decision.why)
        try:
            for file in hour.files:  # before anything changes there
                check_digest(self._here.lake / file.path, file.table, file.path, file.digest)
            mark, etag = self._claim(lane, hour, found)
            at_once = decision.gone if lane.form.is_of_stream else frozenset()
            self._delete(lane, hour.partition, at_once)
            self._put_objects(lane, hour, found.names)
        except (FileDamaged, BadRequest, _Refused) as problem:
            return problem
        return _Put(hour, mark, etag, sorted(decision.gone - at_once) if lane.form.is_loose else [])

    def _claim(self, lane: Lane, hour: Hour, found: Found) -> tuple[Mark, str]:
        """Write the mark of an hour, in the place of the one that was found."""
        names = lane.form.names(hour.files)
        before = {*found.mark.names, *found.mark.before}.difference(names) if found.mark else set()
        digests = [file.digest for file in hour.files]
        mark = Mark(self._here.identity, hour.rows, digests, names, sorted(before), self._call)
        return mark, self._write_mark(lane, hour.partition, mark, found.etag)

    def _write_mark(self, lane: Lane, partition: str, mark: Mark, etag: str) -> str:
        """Write a mark in the place of the one with this ETag, or of none; returns its ETag.

        An answer that is lost makes boto3 repeat the call, which is then refused because of the first one.
        """
        bucket, folder = split_url(lane.folder(partition))
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            body = msgspec.json.encode(mark)
            return str(self._s3.put_object(Bucket=bucket, Key=f"{folder}{MARK}", Body=body, **condition)["ETag"])
        except ClientError as error:
            if error_code(error) not in _TAKEN:
                raise
        there, its_etag, _ = read_mark(self._s3, lane, partition)
        if there != mark:
            raise _Refused("another call of `dw push` is putting it; push again when that has ended")
        return its_etag

    def _put_objects(self, lane: Lane, hour: Hour, there: Collection[str]) -> None:
        bucket, folder = split_url(lane.folder(hour.partition))
        for file, name in zip(hour.files, lane.form.names(hour.files), strict=True):
            if name not in there or lane.form.is_loose:  # a loose one has the same name whatever is in it
                with object_of(file, lane.stored, self._here.lake, lane.target.database) as body:
                    self._s3.upload_fileobj(body, bucket, f"{folder}{name}", Config=ONE_BY_ONE)
            self._on_bytes(file.bytes)

    # -- showing and counting

    def _show(self, lane: Lane, put: Sequence[_Put]) -> None:
        """Make the hours visible to queries; objects of a table without partitions are, as soon as they are there."""
        hours = [each.hour for each in put]
        if lane.form.in_runs:
            for hour in hours:
                target = f"{lane.folder(hour.partition)}{lane.form.run(hour.files)}/"
                bucket, key = split_url(f"{target}{COMPLETE}")
                self._s3.put_object(Bucket=bucket, Key=key, Body=b"")
                point_to(self._glue, lane.target, hour.partition, target)
        elif lane.form.is_of_stream and lane.first is None:
            partitions = [hour.partition for hour in hours]
            register(self._glue, lane.target, partitions)
            refresh(self._glue, lane.target, partitions)
        for each in put:
            self._delete(lane, each.hour.partition, each.old)

    def _settle(self, lane: Lane, put: Sequence[_Put], pushed: Pushed) -> None:
        """Compare the rows that Athena counts with the ledger, and note in the marks of the hours that they agree."""
        try:
            counts = self._counts(lane, [each.hour for each in put])
        except QueryError as error:
            why = f"its objects are there, and Athena could not count its rows: {_sentence(error)}"
            pushed.refused |= dict.fromkeys([each.hour.partition for each in put], why)
            return
        for each in put:
            hour = each.hour
            counted = counts.get(hour.partition, 0)
            if counted != hour.rows:
                pushed.refused[hour.partition] = (
                    f"its objects are there, and Athena counts {counted} rows in it where the ledger has {hour.rows}"
                )
                continue
            try:
                self._write_mark(lane, hour.partition, msgspec.structs.replace(each.mark, is_counted=True), each.etag)
            except _Refused as problem:
                pushed.refused[hour.partition] = _sentence(problem)
                continue
            pushed.hours += 1
            pushed.rows += hour.rows
            pushed.files += len(hour.files)
            pushed.bytes += hour.bytes

    def _counts(self, lane: Lane, hours: Sequence[Hour]) -> dict[str, int]:
        """How many rows Athena finds, by hour; in a table without partitions, by the objects of the hour."""
        key = lane.target.partition_key
        if key is not None:
            return dict(self._athena.query(_count_by(f'"{key}"', lane.target.name, [hour.partition for hour in hours])))
        paths = {
            f"{lane.folder(hour.partition)}{name}": hour.partition
            for hour in hours
            for name in lane.form.names(hour.files)
        }
        counts: dict[str, int] = {}
        for path, count in self._athena.query(_count_by('"$path"', lane.target.name, list(paths))):
            counts[paths[path]] = counts.get(paths[path], 0) + count
        return counts

    # -- deleting what this push has put

    def _withdraw(self, lane: Lane, partition: str, names: Iterable[str]) -> None:
        """Take back what an earlier call put for an hour, and its mark."""
        self._delete(lane, partition, names)
        self._delete(lane, partition, [MARK])

    def _delete(self, lane: Lane, partition: str, names: Iterable[str]) -> None:
        bucket, folder = split_url(lane.folder(partition))
        keys = [{"Key": f"{folder}{name}"} for name in sorted(names)]
        for start in range(0, len(keys), _DELETE_A_CALL_MAX):
            given = {"Objects": keys[start : start + _DELETE_A_CALL_MAX], "Quiet": True}
            for error in self._s3.delete_objects(Bucket=bucket, Delete=given).get("Errors", []):
                raise DataWarehouseError(f"s3://{bucket}/{error['Key']} could not be deleted: {error['Message']}.")


def _count_by(column: str, table: str, values: Sequence[str]) -> str:
    chosen = ", ".join(f"'{value}'" for value in values)
    return f'SELECT {column}, count(*) FROM "{table}" WHERE {column} IN ({chosen}) GROUP BY 1'


def _sentence(problem: Exception) -> str:
    return str(problem).removesuffix(".")
