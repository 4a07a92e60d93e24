"""A batch: a part of the journal -> published data files, hour by hour.

  1. Read blocks from the converted position of the table on, until about `bytes_max` bytes.
  2. Convert their records in groups; a change of the arrival hour closes the files of the hour before.
  3. Write each hour's rows and rejects under temporary names and publish them. The files exist, but no query reads them
     yet.
  4. Report the files and the position that was reached. The commit in the catalog makes them visible.

A batch can run in another process, and can be killed at any point, because nothing refers to its files before the
commit. Files of a batch that was not committed are removed when the folder is opened next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

import pyarrow as pa

from datawarehouse.convert.orders import BatchOrder, BatchResult, ConvertAnswer, ConvertOrder, HourCount
from datawarehouse.convert.rows import GROUP_RECORDS, RowConverter
from datawarehouse.definition.partition import partition_of
from datawarehouse.definition.rejects import CRASHED, DAMAGED, Reason, counted_causes
from datawarehouse.definition.tables import QUARANTINE_COLUMNS, from_wire
from datawarehouse.definition.unknown_keys import add_keys
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.journal.block import Block
from datawarehouse.journal.read import Damage, read_spans
from datawarehouse.journal.sequence import COUNTER_STEP, sequence_number, shard_id
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import REJECTS, ROWS, DataFile, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.tidy.inspect import inspect_files
from datawarehouse.tidy.orders import InspectOrder
from datawarehouse.tidy.rewrite import rewrite

REJECTS_SCHEMA = arrow_schema(QUARANTINE_COLUMNS)


def use_one_thread() -> None:
    """Keep Arrow to one thread, for a process that shares the machine with intake and queries."""
    pa.set_cpu_count(1)


def use_fast_memory() -> None:
    """Let Arrow take memory from its own allocator, also if the process was forked from one that does not."""
    with suppress(NotImplementedError):  # this Arrow was built without it
        pa.set_memory_pool(pa.mimalloc_memory_pool())


class BatchConverter:
    """Runs orders; keeps the row converters of the tables it has seen."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], RowConverter] = {}

    def run(self, order: ConvertOrder) -> ConvertAnswer:
        if isinstance(order, InspectOrder):
            return inspect_files(order)
        if not isinstance(order, BatchOrder):
            return rewrite(order)
        key = (order.table, order.schema_version)
        if key not in self._rows:
            self._rows[key] = RowConverter(from_wire(order.columns))
        batch = _Batch(order, self._rows[key])
        try:
            return batch.run()
        except BaseException:
            for file in batch.files:  # they will never be committed
                (batch.lake.root / file.path).unlink(missing_ok=True)
            raise


class _Batch:
    def __init__(self, order: BatchOrder, rows: RowConverter) -> None:
        self.order = order
        self.converter = rows
        self.lake = Lake(Path(order.lake))
        self.files: list[DataFile] = []
        self.hours: list[HourCount] = []
        self.first = self.next_record = order.first_record
        self.waiting: list[Block] = []
        self.waiting_records = 0
        self.rows: list[pa.RecordBatch] = []
        self.rejects: list[tuple[int, int, int, Reason, bytes]] = []
        self.unknown_keys = dict.fromkeys(order.known_keys, 0)  # so that new names do not take their places

    def run(self) -> BatchResult:
        position = self.order.spans[0].start
        arrival = self.order.arrival_ms
        for block in read_spans(self.order.spans, LOCAL_DISK, self.order.first_record, self.order.bytes_max):
            position = block.end
            if isinstance(block, Damage):
                self.damaged(block, arrival)
                continue
            if not block.count:
                continue
            self.turn_to(block.arrival_ms)
            arrival = block.arrival_ms
            self.waiting.append(block)
            self.waiting_records += block.count
            self.next_record = block.first_record + block.count
            if self.waiting_records >= GROUP_RECORDS:
                self.convert_waiting()
        self.close_hour()
        unknown_keys = {key: count for key, count in self.unknown_keys.items() if count}
        return BatchResult(self.files, self.hours, position, self.next_record, arrival, unknown_keys)

    def turn_to(self, arrival_ms: int) -> None:
        """Close the open hour if a record that arrived at this time is not in it."""
        partition = partition_of(arrival_ms)
        if not self.hours or self.hours[-1].partition != partition:
            self.close_hour()
            self.hours.append(HourCount(partition))
            self.first = self.next_record

    def convert_waiting(self) -> None:
        blocks, self.waiting, self.waiting_records = self.waiting, [], 0
        for group, joined, owners in _groups(blocks):
            if self.order.progress:
                self.convert_carefully(group, owners)
                continue
            result = self.converter.convert(group, joined)
            self.rows += result.batches
            self.reject(group, owners, result.rejects)
            add_keys(self.unknown_keys, result.unknown_keys)

    def convert_carefully(self, group: list[bytes], owners: list[tuple[int, Block, int]]) -> None:
        """Convert a group record by record, and report the number of each record before it is converted."""
        for place, record in enumerate(group):
            block, offset = _owner(owners, place)
            number = block.first_record + offset
            if number in self.order.poison:
                reason = Reason(CRASHED, "a record", "one that ended the process")
                self.reject(group, owners, [(place, reason)])
                continue
            Path(self.order.progress).write_text(str(number))
            result = self.converter.convert([record])
            self.rows += result.batches
            add_keys(self.unknown_keys, result.unknown_keys)
            self.reject(group, owners, [(place, reason) for _, reason in result.rejects])

    def reject(
        self, group: list[bytes], owners: list[tuple[int, Block, int]], rejects: list[tuple[int, Reason]]
    ) -> None:
        """Keep rejected records of a group: (place in the group, reason)."""
        block, begin, end = owners[0][1], 0, 0  # the records at places begin to end are in the block
        for place, reason in rejects:
            if not begin <= place < end:
                block, offset = _owner(owners, place)
                begin, end = place - offset, place - offset + block.count
            offset = place - begin
            shard = block.shards[offset] if block.shards else 0
            self.rejects.append((block.arrival_ms, shard, block.first_record + offset, reason, group[place]))

    def damaged(self, damage: Damage, arrival_ms: int) -> None:
        """Keep the bytes that were found in the place of some records, one reject for each record."""
        self.convert_waiting()
        self.turn_to(arrival_ms)
        for index in range(damage.count):
            reason = Reason(DAMAGED, "the bytes that were acknowledged", "a damaged part of the journal")
            found = damage.found if index == 0 else b""
            self.rejects.append((arrival_ms, 0, damage.first_record + index, reason, found))
        self.next_record = damage.first_record + damage.count

    def close_hour(self) -> None:
        self.convert_waiting()
        if not self.hours:
            return
        hour, last = self.hours[-1], self.next_record - 1
        hour.received = self.next_record - self.first
        hour.rejected = len(self.rejects)
        hour.causes = counted_causes(reason for *_, reason, _ in self.rejects)
        hour.stored = hour.received - hour.rejected
        hour.rows = sum(batch.num_rows for batch in self.rows)
        span = [(self.first, last)]
        if hour.rows:
            table = pa.Table.from_batches(self.rows, self.converter.schema)
            self.publish(
                ROWS,
                table,
                Footer(self.order.table, ROWS, hour.partition, span, hour.stored, hour.rows, self.order.schema_version),
            )
        if self.rejects:
            table = self.reject_table()
            self.publish(
                REJECTS, table, Footer(self.order.table, REJECTS, hour.partition, span, hour.rejected, hour.rejected, 0)
            )
        self.rows, self.rejects = [], []

    def publish(self, kind: str, table: pa.Table, footer: Footer) -> None:
        name = f"{self.first:016d}-{self.order.name}"
        event_time = self.order.event_time if kind == ROWS else None
        self.files.append(self.lake.write(name, table.schema, [table], footer, merged=False, event_time=event_time))

    def reject_table(self) -> pa.Table:
        created = self.order.stream_created_ms
        arrivals, shards, records, reasons, raw = zip(*self.rejects, strict=True)
        places = list(zip(shards, arrivals, strict=True))
        first = {of: sequence_number(created, of[0], 0, of[1]) for of in set(places)}
        shard_ids = {shard: shard_id(shard) for shard in set(shards)}
        columns = (
            arrivals,
            [shard_ids[shard] for shard in shards],
            [str(first[of] + record * COUNTER_STEP) for of, record in zip(places, records, strict=True)],
            [reason.code for reason in reasons],
            [reason.message for reason in reasons],
            [reason.column or None for reason in reasons],
            [reason.expected for reason in reasons],
            [reason.received for reason in reasons],
            raw,
        )
        arrays = [pa.array(values, kind) for values, kind in zip(columns, REJECTS_SCHEMA.types, strict=True)]
        return pa.Table.from_arrays(arrays, schema=REJECTS_SCHEMA)


def _groups(blocks: list[Block]) -> Iterator[tuple[list[bytes], bytes, list[tuple[int, Block, int]]]]:
    """Groups of about GROUP_RECORDS records: (records, their bytes in one piece, their blocks).

    The blocks are in order; each has the place in the group from which on the records are in it, and the number in the
    block of the first of them.
    """
    records: list[bytes] = []
    pieces: list[bytes] = []
    owners: list[tuple[int, Block, int]] = []
    for block in blocks:
        ends = list(accumulate(block.lengths, initial=0))
        for start in range(0, block.count, GROUP_RECORDS):
            stop = min(start + GROUP_RECORDS, block.count)
            owners.append((len(records), block, start))
            payload = block.payload
            records += [payload[a:b] for a, b in zip(ends[start:stop], ends[start + 1 : stop + 1], strict=True)]
            pieces.append(payload[ends[start] : ends[stop]] if stop - start < block.count else payload)
            if len(records) >= GROUP_RECORDS:
                yield records, b"".join(pieces) if len(pieces) > 1 else pieces[0], owners
                records, pieces, owners = [], [], []
    if records:
        yield records, b"".join(pieces) if len(pieces) > 1 else pieces[0], owners


def _owner(owners: list[tuple[int, Block, int]], place: int) -> tuple[Block, int]:
    """The block that has a record of a group, and the record's number in it."""
    first, block, start = owners[bisect_right(owners, place, key=itemgetter(0)) - 1]
    return block, start + place - first
