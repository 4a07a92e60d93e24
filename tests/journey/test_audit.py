"""`dw audit`: what it finds, what it leaves alone, and how it ends."""

import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from damage import fill, flip, live, opened, rot
from running import command, running
from test_upgrade import OLD

from datawarehouse.clock import WallClock
from datawarehouse.errors import BadRequest
from datawarehouse.parquet.files import Lake, read_footer
from datawarehouse.runtime.auditing import Audit, Wanted
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.tidy.audit import LEVELS

CLEAN, USAGE, DAMAGED, INCOMPLETE = 0, 2, 20, 21


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A closed data folder; copy it before you change it."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with opened(folder, compact_after_hours=0) as warehouse:
        fill(warehouse)
        files = {file.path: file for file in live(warehouse)}
        assert warehouse.status()["tables"][3]["deduplicated"]
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    return folder, files


@pytest.fixture
def copied(filled, tmp_path):
    """(a folder that is as the original one was left, its live files by path)"""
    folder = tmp_path / "data"
    shutil.copytree(filled[0], folder)
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        for path in db.execute("select path from files where retired_ms is null").fetchall():
            said = (folder / path[0]).stat()
            db.execute(
                "update files set inode = ?, modified_ns = ? where path = ?", (said.st_ino, said.st_mtime_ns, *path)
            )
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")
        rows = db.execute("select path from files where retired_ms is null").fetchall()
    with Reader(folder, resolve({})) as reader:
        files = {file.path: file for file in live(reader)}
    assert set(files) == {path for (path,) in rows}
    return folder, files


def audit(folder, *arguments):
    done = command(folder.parent, "audit", "--data", folder, "--output", "json", *arguments)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def errors(report):
    return [error for table in report["tables"] for error in table["errors"]]


def contents(folder):
    return {
        path.relative_to(folder): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.name.endswith("-shm")  # SQLite's own, of every reader
    }


def a_file(files, table="clicks", kind="rows", place=0):
    return [file for file in files.values() if (file.table, file.kind) == (table, kind)][place]


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_said_of_what_is_sound_and_nothing_is_changed(copied, level):
    folder, files = copied
    before = contents(folder)
    code, report = audit(folder, "--level", level)
    assert (code, report["exit_code"], report["complete"]) == (CLEAN, CLEAN, True)
    assert (errors(report), report["notes"]) == ([], [])
    tables = {table["table"]: table for table in report["tables"]}
    assert {name: table["state"] for name, table in tables.items()} == dict.fromkeys(
        ("clicks", "counts", "views"), "SOUND"
    )
    read = sum(table["bytes_read"] for table in tables.values())
    size = sum(file.bytes for file in files.values())
    assert {"catalog": read == 0, "files": 0 < read < size, "data": read == size}[level]
    assert sum(table["files"] for table in tables.values()) == len(files)
    assert tables["views"]["deduplicated_rows"] > 0
    assert tables["clicks"]["received"] == 3 * 3 * 42
    assert tables["counts"]["live_rows"] > 0
    assert contents(folder) == before


def test_what_people_see(copied):
    folder, files = copied
    done = command(folder.parent, "audit", "--data", folder)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (CLEAN, "no known data errors")
    assert "status:" not in done.stdout and "action:" not in done.stdout
    assert done.stderr == ""
    file = a_file(files)
    (folder / file.path).unlink()
    done = command(folder.parent, "audit", "--data", folder)
    assert done.returncode == DAMAGED
    blocks = dict(block.split("\n", 1) for block in done.stdout.split("  table: ")[1:])
    assert [name for name, block in blocks.items() if "status:" in block] == ["clicks"]
    assert file.path in blocks["clicks"] and file.partition in blocks["clicks"]
    assert f"{file.rows} rows, {file.records} records; restore the file from a back-up" in blocks["clicks"]
    assert "see: docs/reference/audit.md" in blocks["clicks"]
    assert done.stdout.splitlines()[-1] == "1 error in clicks"


# -- each kind of damage to a file


def lose(folder, file, files):
    (folder / file.path).unlink()
    return "it is missing"


def cut(folder, file, files):
    os.truncate(folder / file.path, file.bytes - 1)
    return f"it has {file.bytes - 1} bytes, and {file.bytes} were written"


def zero(folder, file, files):
    (folder / file.path).write_bytes(bytes(file.bytes))
    return "its footer cannot be read"


def edit(folder, file, files):
    flip(folder / file.path, 8 * 40)
    return "its bytes are not those that were written"


def swap(folder, file, files, other):
    """In place, with the same size, so that only the footer tells."""
    path = folder / file.path
    shutil.copy(folder / other.path, path)
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:  # else the size would tell
        db.execute("update files set bytes = ? where path = ?", (path.stat().st_size, file.path))
        db.commit()


def swap_table(folder, file, files):
    other = next(each for each in files.values() if each.table == "views" and each.kind == file.kind)
    swap(folder, file, files, other)
    return "its footer says table views, and not clicks"


def swap_hour(folder, file, files):
    other = [each for each in files.values() if each.table == "clicks" and each.kind == file.kind][-1]
    swap(folder, file, files, other)
    return f"its footer says partition {other.partition}, and not {file.partition}"


def swap_within_the_hour(folder, file, files):
    """Another file of the same hour, kept from before a merge."""
    footer, rows = read_footer(folder / file.path), pq.read_table(folder / file.path)
    footer = msgspec.structs.replace(footer, spans=[(500, 501)])
    other = Lake(folder).write("other", rows.schema, [rows], footer, merged=True)
    (folder / other.path).replace(folder / file.path)
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        db.execute("update files set bytes = ? where path = ?", (other.bytes, file.path))
        db.commit()
    return "its footer says spans [(500, 501)], and not"


@pytest.mark.parametrize("kind", ["rows", "rejects"])
@pytest.mark.parametrize("level", ["files", "data"])
@pytest.mark.parametrize("damage", [lose, cut, zero, edit, swap_table, swap_hour, swap_within_the_hour])
def test_a_file_that_is_not_what_was_written_is_named_with_its_loss(copied, damage, level, kind):
    folder, files = copied
    file = a_file(files, kind=kind)
    says = damage(folder, file, files)
    code, report = audit(folder, "--level", level)
    [error] = errors(report)
    assert code == DAMAGED
    assert (error["table"], error["hour"], error["path"]) == ("clicks", file.partition, file.path)
    assert error["problem"].startswith(says)
    assert (error["rows"], error["records"]) == (file.rows if kind == "rows" else 0, file.records)
    assert "dw doctor --repair" in error["mend"]
    assert audit(folder, "--level", "catalog")[0] == CLEAN
    assert audit(folder, "views", "counts", "--level", level)[0] == CLEAN


def test_a_file_with_fewer_rows_than_its_footer_says_is_damage(copied):
    folder, files = copied
    file = a_file(files)
    footer, rows = read_footer(folder / file.path), pq.read_table(folder / file.path)
    other = Lake(folder).write("other", rows.schema, [rows.slice(1)], footer, merged=True)
    (folder / other.path).replace(folder / file.path)
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        db.execute("update files set bytes = ? where path = ?", (other.bytes, file.path))
        db.commit()
    [error] = errors(audit(folder)[1])
    assert (error["path"], error["problem"]) == (
        file.path,
        f"it has {file.rows - 1} rows, and {file.rows} were written",
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_file_that_is_marked_as_damaged_is_an_error_at_each_level(copied, level):
    folder, files = copied
    file = a_file(files, "views")
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        db.execute("update files set damage = 'it is missing' where path = ?", (file.path,))
        db.commit()
    code, report = audit(folder, "--level", level)
    assert code == DAMAGED
    assert [(each["path"], each["problem"], each["rows"]) for each in errors(report)] == [
        (file.path, "it is marked as damaged: it is missing", file.rows)
    ]


def test_something_else_in_the_place_of_a_file_is_damage(copied):
    folder, files = copied
    for place, make in enumerate((os.mkfifo, os.mkdir)):
        path = folder / a_file(files, place=place).path
        path.unlink()
        make(path)
    code, report = audit(folder)
    assert (code, [error["problem"] for error in errors(report)]) == (DAMAGED, ["it is not a file"] * 2)


def test_the_output_of_a_job_is_audited_too(copied):
    folder, files = copied
    rot(folder / a_file(files, "counts").path, 8 * 40)
    assert audit(folder)[0] == CLEAN, "the file system says nothing"
    code, report = audit(folder, "--level", "data")
    assert (code, [error["table"] for error in errors(report)]) == (DAMAGED, ["counts"])


def test_a_double_is_a_note_and_so_are_files_of_others_and_those_set_aside(copied):
    folder, files = copied
    file = a_file(files)
    double = (folder / file.path).with_name(f"{0:016d}-0000000a.parquet")
    shutil.copy(folder / file.path, double)
    (folder / "views/theirs.parquet").write_bytes(b"x")
    (folder / "_aside/clicks").mkdir(parents=True)
    (folder / "_aside/clicks/old.parquet").write_bytes(b"x")
    code, report = audit(folder)
    assert (code, errors(report)) == (CLEAN, [])
    assert report["notes"] == [
        f"{double.relative_to(folder)} is not in the catalog; no query reads it",
        "views/theirs.parquet is not in the catalog; no query reads it",
        "_aside/clicks/old.parquet was set aside; no query reads it",
    ]


@pytest.mark.parametrize(
    ("column", "difference", "says", "rows", "records"),
    [
        ("received_records", 3, "is not stored", 0, 3),
        ("stored_rows", 5, "stored rows", 5, 0),
        ("expired_rows", 2, "stored rows", 2, 0),
        ("lost_rows", 2, "stored rows", 2, 0),
        ("rejected_records", -1, "rejected", 0, 1),
        ("lost_records", 1, "rejected", 0, 1),
    ],
)
def test_a_ledger_that_does_not_add_up_is_found_without_a_file(copied, column, difference, says, rows, records):
    folder, files = copied
    hour = a_file(files).partition
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        db.execute(f"update ledger set {column} = {column} + ? where table_name = 'clicks' and partition = ?",
                   (difference, hour))  # fmt: skip
        db.commit()
    code, report = audit(folder, "--level", "catalog")
    found = [error for error in errors(report) if says in error["problem"]]
    assert code == DAMAGED
    assert {(error["table"], error["hour"], error["path"]) for error in errors(report)} == {("clicks", hour, "")}
    assert (rows, records) in {(error["rows"], error["records"]) for error in found}


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("delete from files where path = :path", "stored rows"),
        ("delete from ledger where table_name = 'clicks' and partition = :hour", "is not in the ledger"),
        ("update files set records = records - 1 where path = :path", "hold 119 records"),
        (
            "update files set spans = '[[0, 7]]' where table_name = 'clicks' and partition = :hour",
            "received 126, and the files are of 8 records",
        ),
    ],
)
def test_a_catalog_that_lost_or_changed_a_line_is_found(copied, sql, says):
    folder, files = copied
    file = a_file(files)
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        assert db.execute(sql, {"path": file.path} if ":path" in sql else {"hour": file.partition}).rowcount
        db.commit()
    code, report = audit(folder, "--level", "catalog")
    assert code == DAMAGED
    assert any(says in error["problem"] for error in errors(report)), errors(report)
    assert {(error["table"], error["hour"]) for error in errors(report)} == {("clicks", file.partition)}


def test_records_in_two_live_files_are_found(copied):
    """A file that was committed twice, under another name, with a ledger that says so."""
    folder, files = copied
    file = a_file(files)
    double = file.path.replace("-", "-0")
    shutil.copy(folder / file.path, folder / double)
    with closing(sqlite3.connect(folder / "_catalog.sqlite")) as db:
        names = [row[1] for row in db.execute("pragma table_info(files)") if row[1] not in ("id", "path")]
        listed = ", ".join(names)
        db.execute(f"insert into files (path, {listed}) select ?, {listed} from files where path = ?",
                   (double, file.path))  # fmt: skip
        db.execute("update ledger set stored_rows = stored_rows + ? where table_name = 'clicks' and partition = ?",
                   (file.rows, file.partition))  # fmt: skip
        db.commit()
    code, report = audit(folder, "--level", "catalog")
    assert code == DAMAGED
    assert any("both hold record" in error["problem"] for error in errors(report))


# -- what is read


def test_the_shares_together_are_all_files_and_each_file_has_its_share(copied):
    folder, files = copied
    rotten = sorted(files)[::2]
    for path in rotten:
        rot(folder / path, 8 * 30)
    found, read = [], 0
    for share in range(1, 5):
        _, report = audit(folder, "--level", "data", "--subset", f"{share}/4")
        again = audit(folder, "--level", "data", "--subset", f"{share}/4")[1]
        assert errors(again) == errors(report)
        found += [error["path"] for error in errors(report)]
        read += sum(table["files_read"] for table in report["tables"])
    assert sorted(found) == rotten
    assert read == len(files)


def test_hours_are_chosen_from_one_to_before_another(copied):
    folder, files = copied
    hours = sorted({file.partition for file in files.values()})
    for file in files.values():
        (folder / file.path).unlink()
    for given, chosen in (
        (["--from", "2026-03-01T08:00"], hours[1:]),
        (["--to", "2026-03-01T08"], hours[:1]),
        (["--from", "2026-03-01T08:10", "--to", "2026-03-01T08:20"], hours[1:2]),
        ([], hours),
    ):
        code, report = audit(folder, *given)
        assert (code, sorted({error["hour"] for error in errors(report)})) == (DAMAGED, chosen)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["facts"], "No table 'facts' to audit; there are clicks, counts, views"),
        (["--subset", "0/3"], "--subset is '0/3'; valid is N/M"),
        (["--subset", "4/3"], "valid is N/M"),
        (["--subset", "x"], "valid is N/M"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "give --to a later time than --from"),
        (["--from", "noon"], "'noon' is not an instant"),
        (["--level", "all"], "invalid choice: 'all'"),
    ],
)
def test_wrong_use(copied, arguments, says):
    code, told = audit(copied[0], *arguments)
    assert code == USAGE
    assert says in told


def test_a_file_that_may_not_be_read_makes_the_audit_incomplete(copied):
    folder, files = copied
    file = a_file(files)
    path = folder / file.path
    path.unlink()
    path.symlink_to(path.name)  # a loop, which also root cannot read
    code, report = audit(folder)
    [table] = [table for table in report["tables"] if table["unread"]]
    assert (code, report["complete"], errors(report)) == (INCOMPLETE, False, [])
    assert [each["path"] for each in table["unread"]] == [file.path]
    done = command(folder.parent, "audit", "--data", folder)
    assert done.returncode == INCOMPLETE
    assert done.stdout.splitlines()[-1] == "no known data errors in what was read; the audit is incomplete"
    (folder / a_file(files, "views").path).unlink()
    assert audit(folder)[0] == DAMAGED, "damage is said first"


# -- interrupted and continued


def interrupted(folder, wanted, after):
    """Ctrl-C while the file after so many is read."""
    read = []

    def on_read(file):
        read.append(file.path)
        if len(read) == after:
            raise KeyboardInterrupt

    with Reader(folder, resolve({})) as reader:
        return read, Audit(reader.catalog, folder, wanted, WallClock()).run(on_read)


def test_an_interrupted_audit_continues_with_its_state_file(copied, tmp_path):
    folder, files = copied
    state = tmp_path / "state"
    first = a_file(files).path
    rot(folder / first, 100)
    before = contents(folder)
    wanted = Wanted(level="data", state=state)
    read, report = interrupted(folder, wanted, 5)
    assert report.interrupted
    assert report.code == (DAMAGED if first in read else INCOMPLETE)
    with state.open("a") as cut_off:
        cut_off.write(next(iter(files))[:10])
    for path in read:  # they are not read again: the damage after the look is not seen
        if path != first:
            rot(folder / path, 100)
    code, report = audit(folder, "--level", "data", "--state", state)
    assert code == DAMAGED
    assert [error["path"] for error in errors(report)] == [first], "what was damaged is read again"
    assert sum(table["files_read"] for table in report["tables"]) == len(files)
    assert not state.exists()
    assert before.keys() == contents(folder).keys()


def test_a_state_file_of_another_call_is_refused_and_kept(copied, tmp_path):
    folder, _ = copied
    state = tmp_path / "state"
    interrupted(folder, Wanted(level="data", state=state), 3)
    kept = state.read_bytes()
    for arguments in (["--level", "files"], ["--level", "data", "clicks"], ["--level", "data", "--subset", "1/2"]):
        code, told = audit(folder, "--state", state, *arguments)
        assert code == USAGE
        assert "is of another audit, or something else" in told
    notes = tmp_path / "notes.txt"
    notes.write_bytes(b"\xffmy notes")
    assert audit(folder, "--state", notes)[0] == USAGE
    assert (state.read_bytes(), notes.read_bytes()) == (kept, b"\xffmy notes")
    code, told = audit(folder, "--state", tmp_path / "none" / "state")
    assert code == USAGE
    assert "cannot be used: No such file or directory" in told


def test_ctrl_c_is_a_report_and_exit_code_21(copied, tmp_path):
    folder, files = copied
    looks = []

    def on_event(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "_inspect":
            looks.append(frame)
            if len(looks) == 4:
                signal.raise_signal(signal.SIGINT)

    for state, says in ((tmp_path / "state", f"the same call with --state {tmp_path}/state continues it"),
                        (None, "an audit with --state FILE can be continued")):  # fmt: skip
        looks.clear()
        sys.setprofile(on_event)
        try:
            done = command(tmp_path, "audit", "--data", folder, *(["--state", state] if state else []))
        finally:
            sys.setprofile(None)
        assert done.returncode == INCOMPLETE, (done.stdout, done.stderr)
        assert f"Interrupted; {says}" in done.stderr
        assert (
            f"footers of 3 of {len([file for file in files.values() if file.table == 'clicks'])} files" in done.stdout
        )
        assert done.stdout.splitlines()[-1] == "no known data errors in what was read; the audit is incomplete"
    assert command(tmp_path, "audit", "--data", folder, "--state", tmp_path / "state").returncode == CLEAN


def test_what_is_retired_while_the_audit_runs_is_no_finding(tmp_path):
    folder = tmp_path / "data"
    with opened(folder) as warehouse:
        fill(warehouse, hours=1)
        with Reader(folder, resolve({})) as reader:
            found = Audit(reader.catalog, folder, Wanted(level="data"), WallClock())
            before = {file.path for table in found.tables for file in table.chosen}
            warehouse.advance("3h")  # merged, and compacted; and the sources are deleted
            assert not any((folder / path).exists() for path in before)
            report = found.run()
            assert (report.code, [table.findings for table in report.tables]) == (CLEAN, [[]] * 3)
            assert Audit(reader.catalog, folder, Wanted(level="data"), WallClock()).run().code == CLEAN


def test_beside_a_running_warehouse_what_waits_for_its_commit_is_no_note(tmp_path):
    with running(tmp_path) as warehouse:
        warehouse.events("clicks", b'{"id": "a"}\n{')
        warehouse.flush()
        written = tmp_path / "data/clicks/2026/01/01/00" / f"{0:016d}-0000000a.parquet"
        written.parent.mkdir(parents=True)
        written.write_bytes(b"x")
        report = json.loads(warehouse.dw("audit", "--level", "data", "--output", "json").stdout)
        assert (report["notes"], errors(report)) == ([], [])
        assert {table["table"]: table["files_read"] for table in report["tables"]} == {"clicks": 2, "views": 0}
        os.utime(written, (0, 0))
        assert len(json.loads(warehouse.dw("audit", "--output", "json").stdout)["notes"]) == 1
    done = command(tmp_path, "audit", "--level", "data")
    assert done.returncode == CLEAN
    assert "is not in the catalog" in done.stdout


@pytest.fixture
def read_only(copied):
    """A folder that this user, which is not root then, may not write; and nobody has its catalog open."""
    with tempfile.TemporaryDirectory() as outside:  # other users may not look into pytest's own folders
        folder = Path(outside) / "data"
        copied[0].rename(folder)
        for name in ("-wal", "-shm"):
            folder.joinpath(f"_catalog.sqlite{name}").unlink(missing_ok=True)
        Path(outside).chmod(0o755)
        paths = [folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            for path in paths:
                path.chmod(0o755)


def test_a_folder_that_cannot_be_written_is_audited(read_only):
    before = contents(read_only)
    assert [audit(read_only, "--level", level)[0] for level in LEVELS] == [CLEAN] * 3
    assert contents(read_only) == before


def test_a_wrong_state_is_a_bad_request(copied, tmp_path):
    with Reader(copied[0], resolve({})) as reader, pytest.raises(BadRequest):
        Audit(reader.catalog, copied[0], Wanted(state=tmp_path), WallClock())


def test_the_files_of_the_first_format_have_their_pages_read(tmp_path):
    """They have no digest and no checksums."""
    folder = tmp_path / "data"
    shutil.copytree(OLD, folder)
    for level in LEVELS:
        assert audit(folder, "--level", level)[0] == CLEAN
    [path] = folder.glob("clicks/**/*.parquet")
    data = bytearray(path.read_bytes())
    data[4:40] = bytes(36)
    path.write_bytes(data)
    code, report = audit(folder, "--level", "data")
    assert code == DAMAGED
    assert "its pages cannot be read" in errors(report)[0]["problem"]
