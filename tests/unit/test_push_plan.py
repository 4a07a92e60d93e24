"""What `dw push` decides for an hour, from what is on both sides."""

from dataclasses import replace

import pytest

from datawarehouse.catalog.accounts import Account
from datawarehouse.catalog.records import File, StoredTable
from datawarehouse.definition.tables import checked_columns
from datawarehouse.operate.push_plan import Decision, Form, Found, Hour, Mark, Step, decide, first_projected, hours_of

HOUR, FOLDER = "2026/11/23/07", "s3://lake/clicks/2026/11/23/07/"
STREAM, RUNS, LOOSE = Form(False, False, ".parquet"), Form(True, False, ".parquet"), Form(False, True, ".json")
FILES = tuple(
    File("clicks", "rows", HOUR, f"clicks/{HOUR}/{digest}.parquet", 1, [], 2, 2, 100, created_ms=1_795_417_200_123,
         digest=digest * 32)
    for digest in "ab"
)  # fmt: skip
OURS = ["pushed-" + "a" * 32 + ".parquet", "pushed-" + "b" * 32 + ".parquet"]
MARK = Mark("me", 4, ["a" * 32, "b" * 32], OURS)


def decided(found, form=STREAM, files=FILES, rows=None):
    rows = sum(file.rows for file in files) if rows is None else rows
    return decide(form, Hour(HOUR, files, rows), found, "me", FOLDER)


def found(names=(), mark=None, location=None):
    return Found(frozenset(names), mark, "etag", location)


def test_an_hour_that_is_not_there_is_put():
    assert decided(found()) == Decision(Step.PUT)
    assert decided(found(location=FOLDER)) == Decision(Step.PUT)  # registered ahead
    assert decided(found(), RUNS) == Decision(Step.PUT)


@pytest.mark.parametrize("form", [STREAM, RUNS, LOOSE])
def test_what_the_deployed_warehouse_has_itself_is_refused(form):
    decision = decided(found(["theirs.parquet"]), form)
    assert decision.step is Step.REFUSED and "an object such as theirs.parquet" in decision.why.replace(",", "")
    assert decided(found(location="s3://lake/compacted/"), STREAM).step is Step.REFUSED
    assert decided(found(location=f"{FOLDER}20261123T080000Z/"), RUNS).step is Step.REFUSED


def test_an_hour_that_was_begun_is_gone_on_with():
    assert decided(found(OURS[:1], MARK)) == Decision(Step.PUT)
    assert decided(found(OURS, MARK)) == Decision(Step.PUT)


def test_objects_of_files_that_were_merged_meanwhile_are_deleted():
    merged = (replace(FILES[0], digest="c" * 32, rows=4),)
    assert decided(found(OURS[:1], MARK), files=merged) == Decision(Step.PUT, gone=frozenset(OURS[:1]))
    again = Mark("me", 4, ["c" * 32], ["pushed-" + "c" * 32 + ".parquet"], OURS)
    assert decided(found(OURS, again), files=merged) == Decision(Step.PUT, gone=frozenset(OURS))


def test_objects_beside_those_of_the_deployed_warehouse_are_taken_back():
    decision = decided(found([*OURS, "theirs"], MARK))
    assert (decision.step, decision.gone, decision.is_withdrawn) == (Step.REFUSED, frozenset(OURS), True)
    # A job there would write under the same name, so that nothing says whose it is.
    loose = Mark("me", 4, ["a" * 32], ["rows.json"])
    decision = decided(found(["rows.json", "theirs"], loose), LOOSE, FILES[:1])
    assert (decision.step, decision.gone, decision.is_withdrawn) == (Step.REFUSED, frozenset(), False)


COUNTED = Mark("me", 4, ["a" * 32, "b" * 32], OURS, is_counted=True)


def test_an_hour_that_was_counted_is_not_touched_again():
    assert decided(found(OURS, COUNTED)) == Decision(Step.DONE)
    assert decided(found([*OURS, "late"], COUNTED)) == Decision(Step.DONE)
    merged = (replace(FILES[0], digest="c" * 32, rows=4),)
    assert decided(found(OURS, COUNTED), files=merged) == Decision(Step.DONE)


def test_a_counted_hour_that_has_other_rows_here_now_is_refused_but_for_that_of_a_job():
    fewer = (replace(FILES[0], digest="c" * 32),)
    decision = decided(found(OURS, COUNTED), files=fewer)
    assert decision.step is Step.REFUSED and "it had 4 rows when it was pushed" in decision.why
    run = RUNS.names(FILES[:1])
    mark = Mark("me", 2, ["a" * 32], run, is_counted=True)
    assert decided(found(run, mark), RUNS, fewer) == Decision(Step.PUT, gone=frozenset(run))
    assert decided(found([*run, "20261124T000000Z/theirs"], mark), RUNS, fewer).step is Step.REFUSED
    at = f"{FOLDER}{run[0].partition('/')[0]}/"
    assert decided(found(run, mark, at), RUNS, fewer).step is Step.PUT
    assert decided(found(run, mark, f"{FOLDER}20261124T000000Z/"), RUNS, fewer).step is Step.REFUSED  # without rows


def test_another_data_folder():
    decision = decided(found(OURS, Mark("other", 4, ["a" * 32, "b" * 32], OURS)))
    assert decision.step is Step.REFUSED and "another data folder" in decision.why


def test_an_hour_whose_files_are_not_what_the_catalog_says():
    assert "See `dw audit`" in decided(found(), rows=5).why
    assert "is damaged: it is torn" in decided(found(), files=(replace(FILES[0], damage="it is torn"),)).why


def test_names_depend_on_bytes_and_those_of_runs_are_in_the_order_of_time():
    assert STREAM.names(FILES) == OURS
    assert RUNS.names(FILES[:1]) == ["20261123T070000.123000Z-aaaaaaaa/" + OURS[0]]
    assert RUNS.run(FILES[:1]) == "20261123T070000.123000Z-aaaaaaaa"
    assert Form(False, True, ".parquet").names(FILES[:1]) == ["20261123T070000.123000Z-aaaaaaaa-0.parquet"]
    assert LOOSE.names(FILES[:1]) == ["rows.json"]


def test_what_a_table_becomes():
    columns, keys = checked_columns("t", {"n": "int"}), checked_columns("t", {"hour": "string"})

    def form(kind, keys, data_format, files="rows"):
        return Form.of(StoredTable("t", kind, keys, data_format, 1, {1: columns}), files)

    assert form("streaming input table", keys, "parquet") == STREAM
    assert form("streaming input table", keys, "parquet", "rejects") == Form(False, False, ".json")
    assert form("batch input table", keys, "parquet") == RUNS
    assert form("batch input table", (), "JSON") == LOOSE


def test_hours_and_their_rows_by_the_ledger():
    ledger = [Account(HOUR, 10, 8, 9, 2, 1, 2, 0, 3, 1)]
    rejects = replace(FILES[0], kind="rejects")
    assert hours_of([*FILES, rejects], "rows", ledger) == [Hour(HOUR, FILES, 3)]
    assert hours_of([*FILES, rejects], "rejects", ledger) == [Hour(HOUR, (rejects,), 1)]


def test_the_first_hour_of_a_projection():
    def glue(text):
        parameters = {"projection.enabled": "true", "projection.hour.range": f"{text},NOW+1HOURS"}
        return {"Parameters": parameters, "PartitionKeys": [{"Name": "hour"}]}

    assert first_projected({"Parameters": {}}, 0) is None
    assert first_projected(glue("2026/11/01/00"), 0) == "2026/11/01/00"
    assert first_projected(glue("NOW-31DAYS"), 1_795_417_200_123) == "2026/10/23/07"
