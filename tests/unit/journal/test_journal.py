"""Opening, numbering, reading and trimming a stream's journal, on real files."""

import errno
import shutil
from array import array
from pathlib import Path

import pytest

from datawarehouse.durable import LOCAL_DISK, LocalDisk
from datawarehouse.errors import Closed, JournalDamaged
from datawarehouse.journal.block import HEADER_BYTES, IdempotencyKeys
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.journal.opening import Start, examine
from datawarehouse.journal.read import Damage, Span, read_spans


class Clock:
    """Time as the test wants it."""

    def __init__(self, now=1_795_000_000_000):
        self.now = now

    def now_ms(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    def open_journal(start=None, disk=LOCAL_DISK, **options):
        return Journal(tmp_path, "clicks", clock, disk, start, **options)

    return open_journal


def records_after(journal, position=0, record=0, bytes_max=10**9):
    return [
        each
        for block in read_spans(journal.spans(position, bytes_max), LOCAL_DISK, record, bytes_max)
        if not isinstance(block, Damage)
        for each in block.records()
    ]


def test_records_are_numbered_across_restarts(opened):
    first = opened()
    assert first.append(entry_of([b"a", b"b"])).first_record == 0
    assert first.append(entry_of([b"c"])).first_record == 2
    first.close()
    again = opened()
    assert again.next_record == 3
    assert again.append(entry_of([b"d"])).first_record == 3
    assert records_after(again) == [b"a", b"b", b"c", b"d"]
    assert again.created_ms == first.created_ms


def test_empty_records_and_shards_come_back(opened):
    journal = opened()
    journal.append(entry_of([b"", b"x", b""], array("H", [2, 0, 1])))
    [_, block] = read_spans(journal.spans(0, 1), LOCAL_DISK, 0, 10**9)
    assert list(block.records()) == [b"", b"x", b""]
    assert [block.shard_of(index) for index in range(3)] == [2, 0, 1]


def test_arrival_never_runs_backwards(opened, clock):
    journal = opened()
    clock.now = 5000
    assert journal.append(entry_of([b"a"])).arrival_ms == 5000
    clock.now = 4000
    assert journal.append(entry_of([b"b"])).arrival_ms == 5000
    journal.close()
    clock.now = 3000
    assert opened().append(entry_of([b"c"])).arrival_ms == 5000


def test_a_queue_is_written_by_one_flush_in_order(opened):
    journal = opened()
    tickets = [journal.enqueue(entry_of([b"%d" % number])) for number in range(5)]
    assert journal.has_queued
    assert journal.next_record == 0, "nothing is numbered before it is written"
    journal.flush()
    assert [ticket.outcome().first_record for ticket in tickets] == [0, 1, 2, 3, 4]
    assert not journal.has_queued


def test_segments_roll_and_are_trimmed(opened):
    journal = opened(segment_bytes=1000)
    for number in range(20):
        journal.append(entry_of([b"%04d" % number * 50]))
    names = [path.name for path in sorted(journal.folder.iterdir())]
    assert len(names) == 5
    assert len(records_after(journal)) == 20
    fourth = int(names[3].removesuffix(".journal"))
    journal.trim(fourth)
    assert [path.name for path in sorted(journal.folder.iterdir())] == names[3:]
    journal.trim(journal.synced)
    assert [path.name for path in journal.folder.iterdir()] == names[-1:], "the last segment always stays"
    journal.close()
    assert opened().next_record == 20


def test_a_torn_tail_is_cut(opened):
    journal = opened()
    journal.append(entry_of([b"kept"]))
    end = journal.synced
    journal.close()
    path = next(journal.folder.iterdir())
    with path.open("ab") as file:
        file.write(b"DWJ\x01 half a block")
    again = opened()
    assert again.synced == end == path.stat().st_size
    assert records_after(again) == [b"kept"]


def test_a_segment_that_was_being_created_is_removed(opened):
    journal = opened()
    journal.append(entry_of([b"kept"]))
    journal.close()
    (journal.folder / f"{journal.synced:020d}.journal").write_bytes(b"DWJ")
    again = opened()
    assert records_after(again) == [b"kept"]
    assert len(list(journal.folder.iterdir())) == 1


def test_damage_to_acknowledged_bytes_is_refused(opened):
    journal = opened()
    journal.append(entry_of([b"first" * 20]))
    at = journal.synced - 10
    journal.append(entry_of([b"second"]))
    journal.close()
    path = next(journal.folder.iterdir())
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match=r"'clicks' is damaged: a block of records, at byte \d+ of .*acknowledged"):
        opened()
    assert path.read_bytes() == data, "nothing was changed"


def test_a_gap_between_segments_is_refused(opened):
    journal = opened(segment_bytes=100)
    for number in range(4):
        journal.append(entry_of([b"%d" % number * 100]))
    journal.close()
    sorted(journal.folder.iterdir())[1].unlink()
    with pytest.raises(JournalDamaged, match=r"lacks \d+ bytes before .*456\.journal"):
        opened()


@pytest.mark.parametrize("spoil", ["header", "body"])
def test_reading_tells_what_was_damaged_and_goes_on(opened, spoil):
    journal = opened(segment_bytes=600)
    for number in range(6):
        journal.append(entry_of([b"%d" % number * 100] * 2))
    first = sorted(journal.folder.iterdir())[0]
    data = bytearray(first.read_bytes())
    second_block = data.index(b"DWJ\x01", data.index(b"DWJ\x01", HEADER_BYTES) + 1)
    data[second_block + (5 if spoil == "header" else HEADER_BYTES + 20)] ^= 1
    first.write_bytes(data)
    blocks = list(read_spans(journal.spans(0, 10**9), LOCAL_DISK, 0, 10**9))
    [damage] = [block for block in blocks if isinstance(block, Damage)]
    assert (damage.first_record, damage.count) == (2, 2)
    assert damage.start == second_block
    assert b"1" * 90 in damage.found
    whole = [record for block in blocks if not isinstance(block, Damage) for record in block.records()]
    assert whole == [b"%d" % number * 100 for number in (0, 2, 3, 4, 5) for _ in range(2)]


def test_a_reader_stops_at_a_block_after_enough_bytes(opened):
    journal = opened()
    for number in range(10):
        journal.append(entry_of([b"%d" % number * 1000]))
    some = records_after(journal, bytes_max=2500)
    assert some == [b"%d" % number * 1000 for number in range(3)]


def test_a_block_larger_than_a_chunk_is_read_whole(opened):
    journal = opened()
    large = b"x" * (20 * 1024 * 1024)
    journal.append(entry_of([b"before"]))
    journal.append(entry_of([large]))
    journal.append(entry_of([b"after"]))
    assert records_after(journal) == [b"before", large, b"after"]


def test_no_record_is_lost_wherever_a_piece_ends(opened):
    """A piece may end within a header, within a body or between two blocks."""
    journal = opened()
    sent = [b"%d" % number * (number * 7 % 40) for number in range(12)]
    for record in sent:
        journal.append(entry_of([record]))
    spans = journal.spans(0, 10**9)
    for piece_bytes in range(HEADER_BYTES, journal.synced + 1):
        blocks = list(read_spans(spans, LOCAL_DISK, 0, 10**9, piece_bytes))
        assert not [block for block in blocks if isinstance(block, Damage)], f"in pieces of {piece_bytes} bytes"
        assert [record for block in blocks for record in block.records()] == sent


def test_a_long_span_is_read_in_pieces_of_8_mib(opened):
    journal = opened()
    for _ in range(20):
        journal.append(entry_of([b"x" * (1024 * 1024 - 300)]))
    lengths = []

    class Recording(LocalDisk):
        def read(self, path, offset=0, length=None):
            lengths.append(length)
            return super().read(path, offset, length)

    assert len(list(read_spans(journal.spans(0, 10**9), Recording(), 0, 10**9))) == 21
    assert max(lengths) == 8 * 1024 * 1024
    assert len(lengths) == 3


def test_idempotency_keys_are_remembered_across_rolls_and_restarts(opened, clock):
    journal = opened(segment_bytes=500, key_window_ms=1000)
    keys = IdempotencyKeys(b"k" * 16, b"c" * 16)
    appended = journal.append(entry_of([b"a"], keys=keys))
    for _ in range(5):
        journal.append(entry_of([b"x" * 200]))
    journal.trim(journal.synced)
    journal.close()
    journal = opened(segment_bytes=500, key_window_ms=1000)
    assert journal.seen(keys) == (True, appended)
    assert journal.seen(IdempotencyKeys(keys.key, b"other content...")) == (False, appended)
    assert journal.seen(IdempotencyKeys(b"unknown.........", b"c" * 16)) is None
    clock.now += 1001
    assert journal.seen(keys) is None, "the window is over"


def test_the_last_20_000_keys_are_remembered(opened):
    def keys(number):
        return IdempotencyKeys(number.to_bytes(16), b"c" * 16)

    journal = opened()
    tickets = [journal.enqueue(entry_of([b"a"], keys=keys(number))) for number in range(20_001)]
    journal.flush()
    assert journal.seen(keys(0)) is None
    assert journal.seen(keys(1)) == (True, tickets[1].outcome())
    journal.close()
    journal = opened()
    assert journal.seen(keys(0)) is None
    assert journal.seen(keys(1)) == (True, tickets[1].outcome())


class FullDisk(LocalDisk):
    """The real disk, which refuses to write or to sync when it is told so."""

    def __init__(self):
        self.refuse = ""

    def open(self, path, *, new):
        file = super().open(path, new=new)
        disk = self

        class File:
            def write(self, buffers):
                if disk.refuse == "write":
                    file.write([b"".join(buffers)[:10]])  # part of it got through
                    raise OSError(errno.ENOSPC, "No space left on device")
                file.write(buffers)

            def sync(self):
                if disk.refuse == "sync":
                    disk.refuse = "once"
                    raise OSError(errno.EIO, "Input/output error")
                file.sync()

            truncate = file.truncate
            close = file.close

        return File()


class CountingDisk(LocalDisk):
    """The real disk, which knows the files that are open for writing."""

    def __init__(self):
        self.open_paths = []

    def open(self, path, *, new):
        file, disk = super().open(path, new=new), self
        disk.open_paths.append(path)

        class File:
            write, sync, truncate = file.write, file.sync, file.truncate

            def close(self):
                file.close()
                disk.open_paths.remove(path)

        return File()


@pytest.mark.parametrize("refuse", ["write", "sync"])
def test_a_disk_that_refuses_loses_nothing_and_takes_more_later(opened, refuse):
    disk = FullDisk()
    journal = opened(disk=disk)
    journal.append(entry_of([b"before"]))
    disk.refuse = refuse
    with pytest.raises(OSError):
        journal.append(entry_of([b"refused"]))
    assert journal.next_record == 1
    disk.refuse = ""
    assert journal.append(entry_of([b"after"])).first_record == 1
    assert records_after(journal) == [b"before", b"after"]
    journal.close()
    assert records_after(opened()) == [b"before", b"after"]


def test_after_a_failed_sync_nothing_is_written_to_that_file_again(opened):
    """What a failed sync leaves of the file in the page cache is in doubt: the next records go to a new segment."""
    disk = FullDisk()
    journal = opened(disk=disk)
    journal.append(entry_of([b"before"]))
    [first] = journal.folder.iterdir()
    end, before = journal.synced, first.read_bytes()
    disk.refuse = "sync"
    with pytest.raises(OSError):
        journal.append(entry_of([b"refused"]))
    disk.refuse = ""
    journal.append(entry_of([b"after"]))
    assert first.read_bytes() == before
    assert sorted(path.name for path in journal.folder.iterdir()) == [first.name, f"{end:020d}.journal"]
    journal.append(entry_of([b"later"]))
    assert len(list(journal.folder.iterdir())) == 2, "one new segment is enough"


def test_only_the_last_segment_is_open(opened):
    disk = CountingDisk()
    journal = opened(disk=disk, segment_bytes=1)
    for number in range(10):
        journal.append(entry_of([b"%d" % number]))
        assert disk.open_paths == [sorted(journal.folder.iterdir())[-1]]
    assert len(list(journal.folder.iterdir())) == 11, "the first has its first block and nothing else"
    journal.close()
    assert disk.open_paths == []


def lenient(tmp_path, clock, start):
    """What a repair opens: the journal, and what it had to pass over."""
    found = examine(LOCAL_DISK, tmp_path / "clicks", start, lenient=True)
    return Journal(tmp_path, "clicks", clock, LOCAL_DISK, start, examined=found), found.problems


def test_a_journal_that_is_gone_is_refused_and_a_repair_goes_on_where_the_catalog_says(opened, tmp_path, clock):
    start = Start(5000, 70, 1_795_000_000_001)
    with pytest.raises(JournalDamaged, match="ends at position 0 of the stream, and 5000 was converted"):
        opened(start)
    assert not (tmp_path / "clicks").exists(), "nothing was changed"
    journal, problems = lenient(tmp_path, clock, start)
    assert len(problems) == 1
    assert journal.append(entry_of([b"a"])).first_record == 70
    assert records_after(journal, 5000, 70) == [b"a"]


def test_a_journal_that_ends_too_early_is_refused_and_a_repair_goes_on_behind_what_was_converted(
    opened, tmp_path, clock
):
    journal = opened()
    journal.append(entry_of([b"a" * 100]))
    start = Start(journal.synced, journal.next_record)
    journal.close()
    path = next(journal.folder.iterdir())
    left = path.read_bytes()[: HEADER_BYTES + 28]  # all but its first block is gone
    path.write_bytes(left)
    with pytest.raises(JournalDamaged, match="ends at position 76 of the stream, and 228 was converted"):
        opened(start)
    assert path.read_bytes() == left, "nothing was changed"
    again, problems = lenient(tmp_path, clock, start)
    assert len(problems) == 1
    again.append(entry_of([b"b"]))
    assert again.spans(start.position, 1)[0].start == start.position
    assert records_after(again, start.position, start.record) == [b"b"]
    again.close()
    assert records_after(opened(start), start.position, start.record) == [b"b"]


def damages_after(journal, start, bytes_max=10**9):
    blocks = read_spans(journal.spans(start.position, bytes_max), LOCAL_DISK, start.record, bytes_max)
    return [(each.first_record, each.count) for each in blocks if isinstance(each, Damage)]


def test_records_before_the_first_segment_are_refused_and_a_repair_counts_them(opened, tmp_path, clock):
    journal = opened(segment_bytes=100)
    for number in range(4):
        journal.append(entry_of([b"%d" % number * 100] * 3))
    journal.close()
    sorted(journal.folder.iterdir())[0].unlink()
    start = Start(HEADER_BYTES + 28, 0)
    with pytest.raises(JournalDamaged, match="records 0 to 2 are neither in it nor converted"):
        opened(start)
    again, _ = lenient(tmp_path, clock, start)
    assert damages_after(again, start) == [(0, 3)]
    assert len(records_after(again, HEADER_BYTES + 28, 0)) == 9


def test_many_lost_records_are_counted_in_pieces_that_can_be_continued(opened, tmp_path, clock):
    journal = opened(segment_bytes=100)
    for _ in range(3):
        journal.append(entry_of([b"a"] * 25_000))
    journal.close()
    sorted(journal.folder.iterdir())[0].unlink()
    again, _ = lenient(tmp_path, clock, Start())
    position = record = 0
    counted, rounds = [], 0
    while record < 75_000:
        for each in read_spans(again.spans(position, 1), LOCAL_DISK, record, 1):
            position = each.end
            if isinstance(each, Damage):
                counted += range(each.first_record, each.first_record + each.count)
                record = each.first_record + each.count
            else:
                record = each.first_record + each.count
        rounds += 1
    assert counted == list(range(25_000))
    assert rounds > 4


@pytest.mark.parametrize("what", ["a segment in the middle", "the end of a segment", "the first block of the last one"])
def test_a_repair_counts_what_is_lost_between_records(opened, tmp_path, clock, what):
    journal = opened(segment_bytes=100)
    for number in range(4):
        journal.append(entry_of([b"%d" % number * 100] * 3))
    journal.append(entry_of([b"last"]))
    journal.append(entry_of([b"very last"]))  # says that the one before it was synced
    journal.close()
    paths = sorted(journal.folder.iterdir())
    if what == "a segment in the middle":
        paths[1].unlink()
        lost = [(3, 3)]
    elif what == "the end of a segment":
        paths[1].write_bytes(paths[1].read_bytes()[:-20])
        lost = [(3, 3)]
    else:
        data = bytearray(paths[-1].read_bytes())
        data[HEADER_BYTES + 3] ^= 1
        paths[-1].write_bytes(data)
        lost = [(13, 0)]
    with pytest.raises(JournalDamaged):
        opened(Start())
    again, problems = lenient(tmp_path, clock, Start())
    assert len(problems) == 1
    assert again.next_record == 14
    assert damages_after(again, Start()) == lost
    assert records_after(again)[-2:] == [b"last", b"very last"]
    assert again.append(entry_of([b"next"])).first_record == 14
    again.close()
    reached = Start(again.synced, again.next_record)
    again.trim(again.synced)
    assert opened(reached).next_record == 15, "the next opening has nothing to pass over"


def test_a_block_that_is_there_twice_counts_once(opened):
    journal = opened()
    journal.append(entry_of([b"a", b"b"]))
    begin = journal.synced
    journal.append(entry_of([b"c", b"d", b"e"]))
    journal.close()
    [path] = journal.folder.iterdir()
    path.write_bytes(path.read_bytes() + path.read_bytes()[begin:])
    again = opened()
    assert again.next_record == 5
    assert records_after(again) == [b"a", b"b", b"c", b"d", b"e"]
    again.append(entry_of([b"f"]))
    assert records_after(again) == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_records_whose_numbers_are_missing_between_two_blocks_are_counted(opened):
    journal = opened()
    blocks = [journal.synced]
    for number in range(3):
        journal.append(entry_of([b"%d" % number] * 4))
        blocks.append(journal.synced)
    [path] = journal.folder.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: blocks[1]] + data[blocks[2] :])
    found = list(read_spans([Span(str(path), 0, blocks[0], path.stat().st_size)], LOCAL_DISK, 0, 10**9))
    assert [(each.first_record, each.count) for each in found] == [(0, 4), (4, 4), (8, 4)]
    assert [isinstance(each, Damage) for each in found] == [False, True, False]


def test_a_cut_says_how_many_bytes_it_took(opened, caplog):
    journal = opened()
    journal.append(entry_of([b"a" * 50]))
    journal.close()
    [path] = journal.folder.iterdir()
    path.write_bytes(path.read_bytes() + b"torn")
    opened()
    assert "stream clicks: cut off the last 4 bytes" in caplog.text


def test_a_last_block_of_full_length_is_kept_when_it_is_cut_off(opened, caplog):
    journal = opened()
    journal.append(entry_of([b"first"]))
    end = journal.synced
    journal.append(entry_of([b"a"] * 5))
    journal.close()
    path = next(journal.folder.iterdir())
    spoilt = path.read_bytes()[:-1] + b"b"
    path.write_bytes(spoilt)
    assert opened().next_record == 1
    kept = path.with_name(f"{path.name}.{end}.cut")
    assert kept.read_bytes() == spoilt[end:]
    assert f"the last block, of 5 records, is not what was written; its bytes are kept in {kept}" in caplog.text


def test_a_block_that_a_dying_process_cut_short_is_not_kept(opened):
    journal = opened()
    journal.append(entry_of([b"first"]))
    journal.append(entry_of([b"second"]))
    journal.close()
    path = next(journal.folder.iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    assert opened().next_record == 1
    assert [each.name for each in journal.folder.iterdir()] == [path.name]


@pytest.mark.parametrize("converted", [False, True])
def test_a_segment_of_another_stream_is_refused_and_a_repair_does_without_it(tmp_path, clock, converted):
    journals = [Journal(tmp_path, name, clock, LOCAL_DISK, segment_bytes=100) for name in ("clicks", "views")]
    for journal in journals:
        for _ in range(3):
            journal.append(entry_of([journal.stream.encode() * 30] * 2))
        journal.close()
    one, other = (sorted(journal.folder.iterdir())[1] for journal in journals)
    shutil.copy(other, one.with_name(other.name))
    if one.name != other.name:
        one.unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.journal")}
    start = Start(HEADER_BYTES + 28, 0) if converted else None
    with pytest.raises(JournalDamaged, match=r"of its files, these are of another stream: .*/clicks/0"):
        examine(LOCAL_DISK, tmp_path / "clicks", start)
    assert {path: path.read_bytes() for path in before} == before
    found = examine(LOCAL_DISK, tmp_path / "clicks", start, lenient=True)
    assert [segment.first_record for segment in found.segments] == [0, 4]
    assert (found.state.next_record, len(found.left)) == (6, 1)


def test_a_converted_position_in_the_middle_of_a_block_is_refused(opened, tmp_path):
    journal = opened()
    journal.append(entry_of([b"a" * 100]))
    position = journal.synced
    journal.append(entry_of([b"b" * 100]))
    journal.close()
    for start in (Start(position - 1, 1), Start(position + 1, 1), Start(position, 0)):
        with pytest.raises(JournalDamaged, match="where it was: the file is of another stream, or was written anew"):
            opened(start)
    opened(Start(position, 1)).close()


@pytest.mark.parametrize("first", [False, True])
def test_a_last_segment_that_held_records_and_has_no_first_block_is_refused(opened, tmp_path, first):
    journal = opened(segment_bytes=100)
    for _ in range(1 if first else 3):
        journal.append(entry_of([b"a" * 100]))
    journal.close()
    path = sorted(journal.folder.iterdir())[-1]
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(JournalDamaged, match="is not what was written; what was in it is lost"):
        opened()
    path.write_bytes(bytes(HEADER_BYTES + 28))  # as a power loss may leave a segment that was being created
    assert opened().next_record == (0 if first else 2)


def test_when_the_oldest_record_arrived(opened, clock):
    journal = opened()
    assert journal.arrival_after(0) is None
    clock.now = 2_000_000_000_000
    journal.append(entry_of([b"a"]))
    position = journal.synced
    clock.now = 2_000_000_000_500
    journal.append(entry_of([b"b"]))
    assert journal.arrival_after(0) == 2_000_000_000_000
    assert journal.arrival_after(position) == 2_000_000_000_500


@pytest.mark.parametrize("rolled", [True, False])
def test_a_damaged_last_block_tells_how_many_records_it_held(opened, rolled):
    journal = opened(segment_bytes=1) if rolled else opened()
    journal.append(entry_of([b"a", b"b"]))
    position = journal.synced
    journal.append(entry_of([b"c", b"d", b"e"]))
    last = journal.spans(position, 1 << 20)[-1]
    if rolled:
        journal.append(entry_of([b"f"]))
    data = bytearray(Path(last.path).read_bytes())
    at = bytes(data).rindex(b"cde") - 3 * 4 - HEADER_BYTES
    data[at] ^= 1  # in the header
    Path(last.path).write_bytes(data)
    found = list(read_spans(journal.spans(0, 1 << 20), LOCAL_DISK, 0, 1 << 20))
    assert sum(part.count for part in found) == (6 if rolled else 5)
    [damage] = [part for part in found if isinstance(part, Damage)]
    assert (damage.first_record, damage.count) == (2, 3)


@pytest.mark.parametrize("spoilt", ["the end of the body", "the header"])
@pytest.mark.parametrize("next_is_spoilt", [False, True])
def test_after_a_restart_damage_still_tells_how_many_records_it_held(opened, spoilt, next_is_spoilt):
    """The first block of the segment behind it tells the number of its first record."""
    journal = opened(segment_bytes=1)
    for records in ([b"a", b"b"], [b"c", b"d", b"e"], [b"f"], [b"g"]):
        journal.append(entry_of(records))
    journal.close()
    _, _, damaged, behind, _ = sorted(journal.folder.iterdir())
    data = bytearray(damaged.read_bytes())
    at = bytes(data).rindex(b"cde")
    data[at + 2 if spoilt == "the end of the body" else at - 3 * 4 - HEADER_BYTES] ^= 1
    damaged.write_bytes(data)
    if next_is_spoilt:
        behind.write_bytes(b"\0" + behind.read_bytes()[1:])
    again = opened(segment_bytes=1)
    found = list(read_spans(again.spans(0, 10**9), LOCAL_DISK, 0, 10**9))
    parts = [part for part in found if isinstance(part, Damage)]
    if next_is_spoilt and spoilt == "the header":  # nothing tells where the one ends and the other begins
        assert [(part.first_record, part.count) for part in parts] == [(2, 0), (2, 3)]
    else:
        assert [(part.first_record, part.count) for part in parts] == [(2, 3), (5, 0)][: 1 + next_is_spoilt]
    whole = [record for part in found if not isinstance(part, Damage) for record in part.records()]
    assert whole == [b"a", b"b", b"f", b"g"]
    assert sum(part.count for part in found) == again.next_record == 7


def test_a_closed_journal_takes_nothing(opened, tmp_path):
    journal = opened()
    journal.append(entry_of([b"a"]))
    journal.close()
    with (tmp_path / "another").open("wb") as other:  # which may get the number of the file that was closed
        with pytest.raises(Closed, match="the warehouse is closed"):
            journal.append(entry_of([b"b"]))
        assert other.tell() == 0
    assert (tmp_path / "another").read_bytes() == b""
