"""Where a record is in a journal, when only its number is known."""

import pytest

from datawarehouse.durable import LOCAL_DISK
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.journal.opening import Start, examine
from datawarehouse.journal.place import Place, place_of
from datawarehouse.journal.read import Damage, read_spans
from datawarehouse.testing.clock import START, TestClock

NOW = TestClock(START).now_ms()


@pytest.fixture
def journal(tmp_path):
    """Records 0 to 11 in blocks of 2 and segments of two blocks; `ends[n]` is the position after block n."""
    journal = Journal(tmp_path, "s", TestClock(START), LOCAL_DISK, segment_bytes=150)
    journal.ends = []
    for _ in range(6):
        journal.append(entry_of([b"a" * 20] * 2))
        journal.ends.append(journal.synced)
    journal.close()
    assert len(list(journal.folder.iterdir())) > 2
    return journal


@pytest.mark.parametrize("block", range(1, 6))
def test_it_is_behind_the_block_before_it(journal, block):
    assert place_of(LOCAL_DISK, journal.folder, 2 * block) == Place(journal.ends[block - 1], 0, NOW)
    assert place_of(LOCAL_DISK, journal.folder, 2 * block - 1) == Place(journal.ends[block - 1], 0, NOW)


def test_at_and_behind_the_end(journal):
    assert place_of(LOCAL_DISK, journal.folder, 12) == Place(journal.ends[-1], 0, NOW)
    assert place_of(LOCAL_DISK, journal.folder, 50) == Place(journal.ends[-1] + 1, 0, NOW)


def test_a_record_that_is_gone_is_in_the_place_of_the_next_one_that_is_there_and_can_be_counted(journal):
    gone, first = sorted(journal.folder.iterdir())[:2]
    gone.unlink()
    assert place_of(LOCAL_DISK, journal.folder, 1) == Place(int(first.stem), 2, NOW)
    start = Start(int(first.stem), 1)
    assert examine(LOCAL_DISK, journal.folder, start).problems == [], "an opening takes it"
    again = Journal(journal.folder.parent, "s", TestClock(START), LOCAL_DISK, start)
    found = list(read_spans(again.spans(start.position, 10**6), LOCAL_DISK, start.record, 10**6))
    assert [(each.first_record, each.count) for each in found if isinstance(each, Damage)] == [(1, 1)]
    again.close()


def test_a_damaged_block_is_in_its_own_place(journal):
    path = sorted(journal.folder.iterdir())[1]
    path.write_bytes(path.read_bytes()[:-1] + b"b")
    start = Start(place_of(LOCAL_DISK, journal.folder, 2).position, 2)
    assert start.position == journal.ends[0]
    assert examine(LOCAL_DISK, journal.folder, start).problems == []


def test_a_stream_without_a_journal(tmp_path):
    assert place_of(LOCAL_DISK, tmp_path / "none", 7) == Place(0, None, 0)
