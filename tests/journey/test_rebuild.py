"""A catalog that is made again: of the record of commits exactly, of the files as far as they say it."""

import shutil
from contextlib import contextmanager
from datetime import timedelta

import pytest

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.check import put_in_place
from datawarehouse.folder import catalog_path
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import START, TestClock

HOURS = 72
OLDER = 60  # hours after which the catalog was copied
EXPIRED_FILES_GONE = 22


# As examples/acme_ads declares them.
impression = {
    "id": "string",
    "session_id": "string",
    "event_time": "timestamp",
    "campaign": "string",
    "position": "int",
    "query": "string",
    "device": "struct<os:string,width:int>",
}
click = {
    "id": "string",
    "impression_id": "string",
    "session_id": "string",
    "event_time": "timestamp",
    "price": "decimal(9,4)",
}


def hourly_counts(job):
    for event_type in ("clicks", "impressions"):
        [(count,)] = job.query(f"select count(*) from {event_type} where inserted_at = ?", [job.partition])
        yield {"event_type": event_type, "count": count, "time": job.partition}


def declared():
    return (
        Warehouse("acme_ads")
        .with_streaming_input_table("impressions", columns=impression, input_stream_shard_count=2, dedupe_key="id")
        .with_streaming_input_table("clicks", columns=click, retention_days=2, sort_by=["session_id"], dedupe_key="id")
        .with_table("facts", columns={"campaign": "string"}, data_format="JSON")
        .with_batch_input_table(
            "aggregates", columns={"event_type": "string", "count": "int", "time": "string"}, job=hourly_counts,
            schedule_expression="rate(1 hour)", reads=["clicks", "impressions"], run_when_complete=True,
        )
        .with_batch_input_table(
            "rare", columns={"n": "int"}, job=nothing_by_day, schedule_expression="cron(30 0/5 * * ? *)"
        )
    )  # fmt: skip


def nothing_by_day(job):
    return [{"n": job.time.hour}] if job.time.hour % 2 else []


def fill(warehouse):
    """Three days: late merges, duplicates in a file and across files, an hour whose second file is nothing but
    duplicates, rejects, an hour without events."""
    for quarter in range(HOURS * 4):
        hour = quarter // 4
        if quarter == OLDER * 4:
            put_in_place(catalog_path(warehouse.folder), warehouse.folder.parent / "older.sqlite")
        if hour != 20:
            for table, many in (("impressions", 7), ("clicks", 3)):
                events = [{"id": f"{hour}-{quarter % 4}-{n}", "session_id": f"s{n % 3}"} for n in range(many)]
                events += events[:1] if hour % 3 == 0 else []
                events += [{"id": f"{hour}-0-0"}] if quarter % 4 else []
                events += [b"{", {"event_time": "never"}] if hour % 5 == 0 else []
                if hour % 7 == 3 and quarter % 4 == 3:
                    events = [{"id": f"{hour}-0-{n}"} for n in range(many)]
                warehouse.put(table, events)
        warehouse.advance(timedelta(minutes=15))


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rebuild") / "data"
    with simulate(declared(), folder) as warehouse:
        fill(warehouse)
        warehouse.put("clicks", [{"id": "late"}])
    return folder


@pytest.fixture(scope="session")
def with_retired(tmp_path_factory):
    """The same, without the deletion of retired files."""
    folder = tmp_path_factory.mktemp("retired") / "data"
    with simulate(declared(), folder) as warehouse:
        warehouse.converter.delete_retired = lambda: 0
        fill(warehouse)
        warehouse.put("clicks", [{"id": "late"}])
    return folder


def copied(source, target):
    shutil.copytree(source, target)
    return target


@contextmanager
def opened(folder, hours=HOURS):
    with simulate(declared(), folder, start=START + timedelta(hours=hours)) as warehouse:
        yield warehouse


def contents(warehouse):
    """Rows, rejects, ledger and runs."""
    query, rows = warehouse.query, warehouse.catalog.store.rows
    return {
        "impressions": sorted(query('select id, session_id, inserted_at from "impressions"'), key=repr),
        "clicks": sorted(query("select id, session_id, inserted_at from clicks"), key=repr),
        "aggregates": sorted(query("select * from aggregates"), key=repr),
        "rare": sorted(query("select * from rare"), key=repr),
        "rejects": sorted(
            [tuple(row) for table in ("clicks", "impressions") for row in query(f"select * from {table}_quarantine")],
            key=repr,
        ),
        "ledger": {(table, partition): numbers for table, partition, *numbers in rows("select * from ledger")},
        "runs": rows(
            "select job, scheduled_ms, partition, row_count from runs where outcome = 'succeeded' order by 1, 2"
        ),
        "reached": dict(rows("select job, reached_ms from schedules")),
        "streams": {name: warehouse.catalog.converted(name).next_record for name in warehouse.catalog.streams()},
        "totals": {name: warehouse.catalog.totals(name) for name in warehouse.catalog.streams()},
    }


def before(folder, tmp_path):
    with opened(copied(folder, tmp_path / "before")) as warehouse:
        return contents(warehouse)


def repair(folder, warehouse=None, hours=HOURS):
    clock = TestClock(START + timedelta(hours=hours))
    with doctor_of(folder, warehouse, clock) as doctor:
        done = doctor.repair()
    with doctor_of(folder, warehouse, clock) as doctor:
        assert [finding for finding in doctor.look() if finding.is_damage] == []
    return done


def lose_catalog(folder):
    for path in folder.glob("_catalog.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("which", ["template", "with_retired"])
def test_a_lost_catalog_is_made_again_of_the_record_of_commits_exactly(which, request, tmp_path):
    source = request.getfixturevalue(which)
    expected = before(source, tmp_path)
    folder = copied(source, tmp_path / "data")
    lose_catalog(folder)
    [done] = [finding for finding in repair(folder) if finding.is_damage]
    assert (done.what, done.cause, done.loss) == ("_catalog.sqlite", "it is missing", "nothing")
    with opened(folder) as warehouse:
        found = contents(warehouse)
        assert found == expected
        warehouse.advance("1s")
        assert len(warehouse.runs()) == len(expected["runs"]), "no job runs twice"


@pytest.mark.parametrize("which", ["template", "with_retired"])
def test_without_the_record_of_commits_the_files_say_all_but_what_is_listed(which, request, tmp_path):
    source = request.getfixturevalue(which)
    expected = before(source, tmp_path)
    folder = copied(source, tmp_path / "data")
    lose_catalog(folder)
    shutil.rmtree(folder / "_commits")
    [done] = [finding for finding in repair(folder, declared()) if finding.is_damage]
    gone = sorted(key for key, numbers in expected["ledger"].items() if key[0] == "clicks" and numbers[5])
    here = {file.partition for file in ledger_of(folder).live("clicks")} | retired(folder, "clicks")
    gone = {key for key in gone if key[1] not in here}
    assert len(gone) == (EXPIRED_FILES_GONE if which == "template" else 0)
    received = sum(expected["ledger"][key][0] for key in gone)
    spans = f"table clicks: {received} records (0 to {received - 1}) are in no file"
    assert (spans in done.loss) == bool(gone)
    without_output = {run for run in map(tuple, expected["runs"]) if not run[3]}
    assert len(without_output) == 9
    assert done.loss.endswith(
        "runs of jobs that failed or had no output; partitions that were registered for tables that you fill; the "
        "ledger of hours of which no file is left"
    )
    with opened(folder) as warehouse:
        found = contents(warehouse)
        for name in ("impressions", "clicks", "aggregates", "rare", "rejects", "reached", "streams"):
            assert found[name] == expected[name], name
        of_nothing = {("rare", partition) for _, _, partition, _ in without_output}
        assert found["ledger"] == {
            key: numbers for key, numbers in expected["ledger"].items() if key not in gone | of_nothing
        }
        assert {*map(tuple, found["runs"])} == {*map(tuple, expected["runs"])} - without_output
        warehouse.advance("1s")
        assert len(warehouse.runs()) == len(found["runs"]), "no job runs twice"
        warehouse.advance("1h")
        assert warehouse.runs("aggregates")[-1].partition == "2026/01/08/09", "the jobs go on"


def ledger_of(folder):
    return Catalog(catalog_path(folder), writable=False).ledger


def retired(folder, table):
    catalog = Catalog(catalog_path(folder), writable=False)
    return {file.partition for file in catalog.retired_before(2**62) if file.table == table}


def test_an_older_catalog_and_no_record_of_commits_what_is_newer_is_found_in_the_files(template, tmp_path):
    """The ledger of the hours that expired before it was copied is in the older one."""
    expected = before(template, tmp_path)
    folder = copied(template, tmp_path / "data")
    lose_catalog(folder)
    shutil.rmtree(folder / "_commits")
    shutil.copy(template.parent / "older.sqlite", catalog_path(folder))
    [done] = [finding for finding in repair(folder, declared()) if finding.is_damage]
    assert "older than its data" in done.cause
    assert "beginning with what was known at commit" in done.action
    with opened(folder) as warehouse:
        found = contents(warehouse)
        for name in ("impressions", "clicks", "aggregates", "rare", "rejects", "streams"):
            assert found[name] == expected[name], name
        later = {key for key, numbers in expected["ledger"].items() if key[0] == "rare" and not any(numbers)}
        assert {**expected["ledger"], **found["ledger"]} == expected["ledger"]
        assert expected["ledger"].keys() - found["ledger"].keys() <= later, "only runs without output are not known"
        warehouse.advance("1s")
        assert [run.scheduled_ms for run in warehouse.runs("aggregates")] == [
            run[1] for run in expected["runs"] if run[0] == "aggregates"
        ]
