"""The plan of compaction: what is done with the files of an hour, and the reason that is given for each case."""

from dataclasses import replace

import pytest

from datawarehouse.catalog.records import File
from datawarehouse.tidy.compaction import Hours, Step, Wanted, plan_of

HOUR = "2026/03/01/07"
HOURS = Hours(open="2026/03/01/12", compacted="2026/03/01/10")


def file(id, size=10, first=None, *, compacted=None):
    """A file of ten records; the first of them has the number `first`, by default that of files in a row."""
    first = id * 10 if first is None else first
    return File(
        "clicks", "rows", HOUR, f"clicks/{HOUR}/{id}.parquet", 1, [(first, first + 9)], 10, 10, size, id, 0, compacted
    )


PLAIN = Wanted(100)


def planned(files, wanted=PLAIN, *, fresh=False, partition=HOUR):
    return plan_of(files, fresh, partition, HOURS, wanted)


def merges(found):
    assert all(step.kind == "merge" for step in found.steps)
    return [[file.id for file in step.files] for step in found.steps]


@pytest.mark.parametrize(
    ("partition", "fresh", "files", "reason"),
    [
        ("2026/03/01/12", False, 2, "the hour is open"),
        ("2026/03/01/13", False, 2, "the hour is open"),
        ("2026/03/01/11", False, 2, "it is one of the newest hours (compact_after_hours)"),
        ("2026/03/01/10", False, 2, "it is one of the newest hours (compact_after_hours)"),
        ("2026/03/01/09", True, 2, "files wait for the merge at the end of the hour"),
        ("2026/03/01/09", False, 0, "it has no files"),
        ("2026/03/01/09", False, 1, "it is one file"),
    ],
)
def test_why_an_hour_is_left_alone(partition, fresh, files, reason):
    found = planned([file(id) for id in range(files)], fresh=fresh, partition=partition)
    assert (found.steps, found.reason) == ((), reason)


def test_the_last_hour_before_the_newest_is_compacted():
    found = planned([file(1), file(2)], partition="2026/03/01/09")
    assert (merges(found), found.reason) == ([[1, 2]], "2 files become 1")


def test_neighbours_are_merged_up_to_the_target_and_not_a_byte_beyond():
    exact = planned([file(1, 40), file(2, 60), file(3, 1), file(4, 99), file(5, 1)])
    assert (merges(exact), exact.reason) == ([[1, 2], [3, 4]], "5 files become 3")
    assert [step.bytes for step in exact.steps] == [100, 100]
    beyond = planned([file(1, 40), file(2, 61)])
    reason = "no two neighbours of its 2 files fit into 100 bytes (compact_bytes)"
    assert (beyond.steps, beyond.reason) == ((), reason)


def test_a_file_above_the_target_stays_as_it_is():
    found = planned([file(1, 30), file(2, 500), file(3, 30), file(4, 30)])
    assert (merges(found), found.reason) == ([[3, 4]], "4 files become 3")


def test_files_go_in_the_order_of_their_records_and_not_of_their_making():
    late = file(9, first=0)  # merged from the first files of the hour, after the others were made
    assert merges(planned([file(2), file(3), late])) == [[9, 2, 3]]
    duplicates = planned([file(2), file(3), late], Wanted(100, dedupe_key="id"))
    assert [file.id for file in duplicates.steps[0].files] == [9, 2, 3]


def test_ordered_rows_are_asked_for_by_name_and_a_single_file_is_ordered_too():
    wanted = Wanted(100, sort_by=("a", "b"))
    found = planned([file(1), file(2)], wanted)
    assert (merges(found), found.reason) == ([[1, 2]], "2 files become 1, ordered by a, b")
    single = planned([file(1)], wanted)
    assert (merges(single), single.reason) == ([[1]], "1 files become 1, ordered by a, b")
    done = planned([file(1, compacted=wanted.arrangement)], wanted)
    assert (done.steps, done.reason) == ((), "it is one file")


def test_another_order_than_the_files_have_orders_them_anew():
    was, now = Wanted(100, sort_by=("a",)), Wanted(100, sort_by=("b",))
    files = [file(1, 90, compacted=was.arrangement), file(2, 90, compacted=now.arrangement)]
    assert merges(planned(files, now)) == [[1]]
    no_more = planned(files, Wanted(100))
    assert no_more.reason == "no two neighbours of its 2 files fit into 100 bytes (compact_bytes)"


def test_duplicates_go_first_in_all_files_together_whatever_their_size():
    wanted = Wanted(100, sort_by=("a",), dedupe_key="id")
    files = (file(1, 80), file(2, 80), file(3, 500))
    found = planned(files, wanted)
    assert found.steps == (Step("deduplicate", files),)
    assert found.reason == "duplicates in 'id' are not removed yet"


def test_one_file_of_late_records_brings_all_files_back_to_the_search_for_duplicates():
    wanted = Wanted(100, dedupe_key="id")
    clean = file(1, 90, compacted=wanted.deduped)
    assert planned([clean, file(2, 90, compacted=wanted.deduped)], wanted).steps == ()
    found = planned([clean, file(2, 90)], wanted)
    assert [step.kind for step in found.steps] == ["deduplicate"]
    assert len(found.steps[0].files) == 2


@pytest.mark.parametrize("mark", ["idx|", "i|", "|id", "|", "other|"])
def test_a_mark_for_another_key_does_not_count(mark):
    found = planned([file(1, compacted=mark)], Wanted(100, dedupe_key="id"))
    assert [step.kind for step in found.steps] == ["deduplicate"]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(100),
        Wanted(100, sort_by=("a",)),
        Wanted(100, dedupe_key="id"),
        Wanted(100, sort_by=("a", "b"), dedupe_key="id"),
    ],
)
@pytest.mark.parametrize("sizes", [[10], [60, 60, 60], [5] * 50, [100, 1, 99, 1, 300], [33, 33, 33, 33]])
@pytest.mark.parametrize("shrink", [1.0, 0.4])
def test_what_was_done_is_not_done_again(wanted, sizes, shrink):
    """Doing what is planned ends, after at most as many steps as there are files and one search, in a plan of nothing.

    shrink: how large a merged file is, of the files it is made of.
    """
    files = [file(id, size) for id, size in enumerate(sizes)]
    rows, steps = sum(file.rows for file in files), []
    while (found := planned(files, wanted)).steps:
        step = found.steps[0]
        steps.append(step.kind)
        if step.kind == "deduplicate":
            files = [replace(each, compacted=wanted.deduped) for each in files]
            continue
        first, *_ = step.files
        made = replace(
            first,
            id=100 + len(steps),
            bytes=round(step.bytes * shrink),
            rows=sum(each.rows for each in step.files),
            compacted=wanted.arrangement,
        )
        files = [each for each in files if each not in step.files] + [made]
        assert len(steps) <= 2 * len(sizes) + 1, "it goes on and on"
    assert sum(each.rows for each in files) == rows
    assert steps.count("deduplicate") == (1 if wanted.dedupe_key else 0)
    if wanted.sort_by:
        assert {each.compacted for each in files} == {wanted.arrangement}
    assert planned(list(reversed(files)), wanted) == found, "nor in another order of the files"


def test_a_plan_changes_nothing_and_is_the_same_each_time():
    files = [file(3), file(1), file(2)]
    assert planned(files) == planned(files)
    assert [file.id for file in files] == [3, 1, 2]
