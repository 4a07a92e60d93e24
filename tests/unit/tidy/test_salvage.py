"""Which files are live, from nothing but what they say of themselves."""

import pytest

from datawarehouse.parquet.footer import REJECTS, ROWS, DataFile, Footer
from datawarehouse.tidy.salvage import salvage

HOUR = "2026/01/05/09"


def file(name, *spans, kind=ROWS, records=None, rows=None, replaces=(), written=0, run=None, partition=HOUR):
    records = sum(b - a + 1 for a, b in spans) if records is None else records
    rows = records if rows is None else rows
    footer = Footer("t", kind, partition, list(spans), records, rows, 1, list(replaces), run)
    return DataFile(name, 1, footer, "", 0, written)


def names(files):
    return sorted(each.path for each in files)


def test_what_another_file_replaces_is_not_live_even_if_that_one_was_replaced_too():
    files = [
        file("a", (0, 9)), file("b", (10, 19)),
        file("b2", (10, 19), rows=4, replaces=["b"]),
        file("m", (0, 19), rows=14, replaces=["a", "b2"]),
    ]  # fmt: skip
    found = salvage(files, 20)
    assert (names(found.live), names(found.retired)) == (["m"], ["a", "b", "b2"])
    assert (found.next_record, found.missing) == (20, [])


def test_what_the_deleted_middle_of_a_chain_had_replaced_is_within_the_last_one():
    files = [file("a", (0, 9), written=1), file("m", (0, 19), replaces=["a2", "b"], written=2)]
    found = salvage(files, None)
    assert (names(found.live), names(found.retired)) == (["m"], ["a"])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_batches_with_the_same_records_the_later_one_was_committed(order):
    """A process died after it had published `dead`; its records were converted again, in other batches."""
    files = [file("dead", (0, 14), written=1), file("a", (0, 9), written=2), file("b", (10, 19), written=3)]
    found = salvage(files[::order], 20)
    assert (names(found.live), names(found.retired)) == (["a", "b"], ["dead"])


def test_a_file_of_which_some_records_are_nowhere_else_is_neither():
    files = [file("dead", (0, 25), written=1), file("a", (0, 9), written=2), file("b", (10, 19), written=3)]
    found = salvage(files, 26)
    assert (names(found.live), found.retired) == (["a", "b"], [])


@pytest.mark.parametrize(("again_from", "live", "next_record"), [
    (10, ["a"], 10),  # the journal has the batch, and it is converted again
    (11, ["a", "b"], 20),  # it has only a part of it
    (None, ["a", "b"], 20),
])  # fmt: skip
def test_a_batch_whose_rejects_are_not_there_was_not_committed(again_from, live, next_record):
    files = [file("a", (0, 9)), file("b", (10, 19), records=7)]
    found = salvage(files, again_from)
    assert (names(found.live), found.next_record) == (live, next_record)


def test_a_batch_of_rows_and_rejects_is_whole_and_so_is_one_that_was_merged():
    both = [file("b", (10, 19), records=7), file("r", (10, 19), records=3, kind=REJECTS)]
    assert salvage([file("a", (0, 9)), *both], 0).next_record == 20
    merged = file("m", (0, 19), records=17, replaces=["a", "b"])
    assert salvage([merged], 0).next_record == 20


def test_of_a_job_the_output_of_the_latest_run_is_live_in_each_hour():
    files = [
        file("one", run=(1, 0), rows=5), file("two", run=(2, 0), rows=5),
        file("other", run=(1, 0), rows=5, partition="2026/01/05/10"),
    ]  # fmt: skip
    found = salvage(files, None)
    assert (names(found.live), names(found.retired), found.next_record) == (["other", "two"], ["one"], 0)


def test_records_that_are_in_no_file_are_named():
    found = salvage([file("a", (5, 9)), file("b", (20, 29), partition="2026/01/05/10")], None)
    assert found.missing == [(0, 4), (10, 19)]
