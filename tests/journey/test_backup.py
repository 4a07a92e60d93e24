"""Back-ups: consistent while the folder is written, incremental, verified when made and when restored."""

import json
import os
import resource
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from running import command, running, until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.backup.manifest import decode, moment_of
from datawarehouse.backup.restore import restore
from datawarehouse.clock import WallClock
from datawarehouse.errors import BackupError, Closed, FileDamaged, FolderError
from datawarehouse.folder import journal_root
from datawarehouse.parquet.digest import digest_of
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
COLUMNS = {"id": "string", "n": "int"}


def count(context):
    return [{"n": 1}]


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", COLUMNS, sort_by=["n"], dedupe_key="id", input_stream_shard_count=4)
        .with_streaming_input_table("views", COLUMNS, input_stream_shard_count=64)
        .with_streaming_input_table("nothing", COLUMNS)
        .with_batch_input_table("counts", {"n": "int"}, count, "rate(1 hour)", {"hour": "string"})
        .with_table("facts", {"thing": "string"}, data_format="JSON")
    )


TABLES = ("clicks", "views", "nothing", "clicks_quarantine", "views_quarantine", "counts", "facts")


@pytest.fixture
def opened(tmp_path):
    with simulate(declared(), tmp_path / "data", start=START, settings={"compact_after_hours": 0}) as opened:
        yield opened


@pytest.fixture
def to(tmp_path):
    return tmp_path / "backups"


def fill(opened, name, hours=2):
    """Hours with merges, compaction, deduplication, rejects and a job."""
    for hour in range(hours):
        for minute in range(3):
            events = [{"id": f"{name}-{hour}-{minute}-{n}", "n": n} for n in range(3)]
            opened.put("clicks", [*events, events[0], b"no event"])
            opened.put("views", [*events, b"{"])
            opened.advance("20m")


def answers(opened):
    """All rows of all tables, and the ledger."""
    rows = {name: sorted(opened.query(f"select * from {name}"), key=repr) for name in TABLES}
    return rows, {name: opened.catalog.totals(name) for name in ("clicks", "views", "nothing", "counts")}


def bring_back(to, folder, at_ms=None):
    return restore(to, folder, at_ms, lambda progress: None)


def reopened(folder, now):
    return simulate(declared(), folder, start=now, settings={"compact_after_hours": 0})


def manifests(to):
    names = sorted(path.name for path in to.iterdir() if moment_of(path.name) is not None)
    return [decode((to / name).read_bytes()) for name in names]


def copies(to):
    return {path.name: path for path in (to / "files").glob("*/*")}


def flip(path, at=-20):
    """Flip a bit; the file system says what it said before."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) == (
        before.st_ino, before.st_size, before.st_mtime_ns
    )  # fmt: skip


def live(opened, table):
    found = opened.catalog.partitions_between(table, "rows", None, None)
    return [file.path for file in opened.catalog.live_files(table, "rows", found)]


def check_ledger(opened):
    for table in ("clicks", "views"):
        totals = opened.catalog.totals(table)
        [(rows,)] = opened.query(f"select count(*) from {table}")
        [(rejects,)] = opened.query(f"select count(*) from {table}_quarantine")
        assert (totals.rows, totals.rejected) == (rows, rejects)
        assert totals.received == totals.rows + totals.deduplicated + totals.rejected


# -- what is in it


def test_a_restored_folder_is_what_was_backed_up(opened, to, tmp_path):
    facts = opened.folder / "facts"
    (facts / "deep").mkdir(parents=True)
    (facts / "deep" / "a.json").write_text('{"thing": "x"}\n')
    (facts / "empty.json").touch()
    fill(opened, "a")
    opened.put("clicks", {"id": "pending", "n": 1})
    assert opened.converter.pending("clicks") == 1
    made = opened.backup(to)
    assert (made.problems, made.left_out, made.removed) == ([], [], [])
    expected, runs = answers(opened), opened.runs()
    done = bring_back(to, tmp_path / "other")
    assert (done.problems, done.files, done.bytes) == ([], made.files, made.bytes)
    with reopened(tmp_path / "other", opened.now) as again:
        assert answers(again) == expected
        assert [(run.scheduled_ms, run.outcome) for run in again.runs()] == [
            (run.scheduled_ms, run.outcome) for run in runs
        ]
        check_ledger(again)
        stats = again.catalog.store.rows("select path, inode, modified_ns from files where retired_ms is null")
        for path, inode, modified_ns in stats:  # so that queries need not read the files to know that they are right
            found = (tmp_path / "other" / path).stat()
            assert (found.st_ino, found.st_mtime_ns) == (inode, modified_ns)
        # It goes on as the first one does.
        for each in (opened, again):
            fill(each, "b", 1)
        assert answers(again)[0]["clicks"] == answers(opened)[0]["clicks"]
        assert again.backup(to).new_files > 0, "it may go on with the same back-ups"


def test_what_comes_and_goes_meanwhile_is_no_matter(opened, to, tmp_path):
    """Between any two files events come, hours close, files are merged, compacted, retired and deleted."""
    fill(opened, "a", 3)
    opened.put("views", {"id": "pending", "n": 1})
    before = answers(opened)[0]
    opened.put("clicks", {"id": "last", "n": 1})
    went_on = []
    listed = opened.catalog.paths()
    segments = {path.name for path in (journal_root(opened.folder) / "clicks").iterdir()}

    def go_on(progress):
        if len(went_on) < 40:
            went_on.append(f"during-{len(went_on)}")
            fill(opened, went_on[-1], 1)
            for stream in opened.intake.streams.values():
                stream.journal._must_roll = True  # each batch is a segment of its own

    made = opened.backup(to, on_progress=go_on)
    assert len(went_on) == 40
    assert made.problems == []
    opened.converter.delete_retired()
    assert listed - opened.catalog.paths(), "files that the back-up has were deleted, once it had ended"
    assert not segments & {path.name for path in (journal_root(opened.folder) / "clicks").iterdir()}, "and trimmed"
    bring_back(to, tmp_path / "other")
    with reopened(tmp_path / "other", opened.now) as again:
        after = answers(again)[0]
        for table in ("clicks", "views"):
            ids = Counter(row[0] for row in after[table])
            assert {row[0] for row in before[table]} <= ids.keys()
            assert not {id: n for id, n in ids.items() if n > 1 and table == "views"}
        assert "last" in {row[0] for row in after["clicks"]}
        check_ledger(again)
        again.advance("2h")
        check_ledger(again)


def test_files_that_users_fill_are_copied_and_others_are_named(opened, to, tmp_path):
    facts = opened.folder / "facts"
    facts.mkdir()
    (tmp_path / "outside.json").write_text('{"thing": "linked"}\n')
    (facts / "link.json").symlink_to(tmp_path / "outside.json")
    (facts / "dangling.json").symlink_to(tmp_path / "nowhere")
    (facts / "folder").symlink_to(tmp_path)
    os.mkfifo(facts / "pipe")
    aside = opened.folder / "_aside" / "clicks" / "0.parquet"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"rows that are nowhere else")
    made = opened.backup(to)
    assert made.problems == []
    assert [what.rpartition("/")[2] for what in made.left_out] == ["folder, which is a link", "pipe, which is no file"]
    bring_back(to, tmp_path / "other")
    link = tmp_path / "other" / "facts" / "link.json"
    assert not link.is_symlink()
    assert link.read_text() == '{"thing": "linked"}\n'
    assert (tmp_path / "other" / "_aside" / "clicks" / "0.parquet").read_bytes() == aside.read_bytes()


def test_partitions_elsewhere_and_files_of_others_are_named(tmp_path, to):
    warehouse = Warehouse("shop").with_table("prices", {"item": "string"}, {"day": "string"})
    warehouse = warehouse.with_streaming_input_table("clicks", COLUMNS)
    with simulate(warehouse, tmp_path / "data", start=START) as opened:
        opened.register_partition("prices", ["2026-03-01"], tmp_path / "elsewhere")
        opened.register_partition("prices", ["2026-03-02"])
        (opened.folder / "clicks").mkdir()
        (opened.folder / "clicks" / "theirs.parquet").write_bytes(b"?")
        opened.advance("25h")
        opened.advance("25h")
        left_out = opened.backup(to).left_out
        assert len(left_out) == 2
        assert str(tmp_path / "elsewhere") in left_out[0]
        assert "'prices'" in left_out[0]
        assert "clicks/theirs.parquet" in left_out[1]


def test_a_table_that_is_no_longer_declared_is_kept(opened, to, tmp_path):
    fill(opened, "a")
    opened.put("views", {"id": "pending", "n": 1})
    opened.close()
    fewer = Warehouse("shop").with_streaming_input_table("nothing", COLUMNS)
    with simulate(fewer, opened.folder, start=opened.now) as left:
        left.backup(to)
    bring_back(to, tmp_path / "other")
    with reopened(tmp_path / "other", opened.now) as again:
        assert ("pending", 1) in [row[:2] for row in answers(again)[0]["views"]]
        check_ledger(again)


# -- one after the other


def test_the_next_one_copies_only_what_is_new(opened, to):
    facts = opened.folder / "facts"
    facts.mkdir()
    for name in ("same.json", "changed.json"):
        (facts / name).write_text('{"thing": "x"}\n' * 100 + name)
        os.utime(facts / name, (1e9, 1e9))
    fill(opened, "a")
    first = opened.backup(to)
    assert first.new_files == len(copies(to)) <= first.files
    there = {name: path.stat().st_ino for name, path in copies(to).items()}
    flip(facts / "same.json")  # nothing says that it was changed: it is not even read
    second = opened.backup(to)
    assert second.files == first.files
    assert second.new_files == 1, "the catalog, which knows of the first one"
    (facts / "changed.json").write_text('{"thing": "y"}\n' * 100)
    known = opened.catalog.paths()
    opened.put("clicks", [{"id": "b", "n": 1}])
    opened.flush()
    [new] = opened.catalog.paths() - known
    third = opened.backup(to)
    assert third.new_files == 4, "the catalog, a journal, a data file, a changed file"
    assert digest_of(opened.folder / new) in copies(to)
    assert third.new_bytes < first.bytes
    assert there.items() <= {name: path.stat().st_ino for name, path in copies(to).items()}.items()


def test_older_ones_are_pruned_with_what_only_they_have(opened, to, tmp_path):
    for name in "abc":
        opened.put("clicks", [{"id": name, "n": 1}])
        opened.flush()
        opened.backup(to, kept=0)
        opened.advance("3h")
    (first, second, third) = manifests(to)
    made = opened.backup(to, kept=2)
    assert len(made.removed) == 2
    assert [manifest.moment_ms for manifest in manifests(to)] == [third.moment_ms, made.moment_ms]
    listed = {file.digest for manifest in manifests(to) for file in manifest.files}
    assert copies(to).keys() == listed
    assert {file.digest for file in (*first.files, *second.files)} - listed, "there was something to remove"
    for number, manifest in enumerate(manifests(to)):
        bring_back(to, tmp_path / str(number), manifest.moment_ms)
    with reopened(tmp_path / "0", opened.now) as again:
        assert [row[0] for row in answers(again)[0]["clicks"]] == ["a", "b", "c"]


def test_the_newest_complete_one_is_not_pruned(opened, to):
    fill(opened, "a", 1)
    complete = opened.backup(to, kept=1)
    opened.put("views", [{"id": "b", "n": 1}])
    opened.flush()
    flip(opened.folder / live(opened, "views")[-1])
    for _ in range(3):
        opened.advance("1m")
        made = opened.backup(to, kept=1)
        assert made.problems
    assert [manifest.moment_ms for manifest in manifests(to)] == [complete.moment_ms, made.moment_ms]


def test_no_copy_is_removed_while_a_manifest_cannot_be_read(opened, to):
    fill(opened, "a", 1)
    opened.backup(to)
    [path] = to.glob("2*.json")
    damaged = path.read_bytes()
    path.write_bytes(damaged[:-40])
    opened.advance("9h")
    before = copies(to)
    for _ in range(2):
        opened.advance("1h")
        opened.backup(to, kept=1)
    assert before.keys() <= copies(to).keys()
    path.write_bytes(damaged)
    opened.advance("1h")
    opened.backup(to, kept=1)
    assert copies(to).keys() == {file.digest for file in manifests(to)[0].files}


def test_a_clock_that_was_set_back_overwrites_nothing(opened, to):
    moments = [opened.backup(to).moment_ms for _ in range(3)]
    assert moments == [moments[0], moments[0] - 1, moments[0] - 2]
    assert len(manifests(to)) == 3


def test_one_of_an_instant(opened, to, tmp_path):
    now = []
    for name in "abc":
        opened.put("clicks", [{"id": name, "n": 1}])
        now.append(opened.backup(to).moment_ms)
        opened.advance(timedelta(seconds=90.25))
    assert bring_back(to, tmp_path / "0").manifest.moment_ms == now[2]
    assert bring_back(to, tmp_path / "1", now[1]).manifest.moment_ms == now[1]
    assert bring_back(to, tmp_path / "2", now[1] + 60_000).manifest.moment_ms == now[1]
    whole_second = now[2] // 1000 * 1000
    assert whole_second < now[2]
    assert bring_back(to, tmp_path / "3", whole_second).manifest.moment_ms == now[2]
    with pytest.raises(
        BackupError, match=r"no back-up of 2026-03-01T06:59:59.000Z or before. There are 2026-03-01T07:0"
    ):
        bring_back(to, tmp_path / "4", now[0] - 1000)
    assert not (tmp_path / "4").exists()
    with reopened(tmp_path / "1", opened.now) as again:
        assert [row[0] for row in answers(again)[0]["clicks"]] == ["a", "b"]


# -- where


def test_places_that_are_refused(opened, to, tmp_path):
    (tmp_path / "link").symlink_to(opened.folder)
    for place in (opened.folder, opened.folder / "backups", tmp_path / "link" / "backups"):
        with pytest.raises(BackupError, match="is in the data folder"):
            opened.backup(place)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(BackupError, match=r"is not empty and holds no back-ups: it has notes.txt"):
        opened.backup(tmp_path / "full")
    with pytest.raises(BackupError, match=r"cannot be made|is not a folder"):
        opened.backup(tmp_path / "full" / "notes.txt")
    with pytest.raises(BackupError, match="cannot be made"):
        opened.backup(tmp_path / "full" / "notes.txt" / "more")
    opened.backup(to)
    before = {path: path.read_bytes() for path in to.rglob("*") if path.is_file()}
    with (
        simulate(declared(), tmp_path / "second", start=START) as second,
        pytest.raises(BackupError, match=r"holds the back-ups of another data folder, of the warehouse 'shop'"),
    ):
        second.backup(to)
    assert {path: path.read_bytes() for path in to.rglob("*") if path.is_file()} == before
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    opened.backup(tmp_path / "disk")


def test_one_at_a_time(opened, to, tmp_path):
    refused = []

    def again(progress):
        for place in (to, tmp_path / "elsewhere"):
            with pytest.raises(BackupError, match="is being made"):
                opened.backup(place)
        with pytest.raises(BackupError, match="is in use: a back-up is being written"):
            bring_back(to, tmp_path / "other")
        refused.append(progress)

    opened.put("clicks", {"id": "a", "n": 1})
    opened.backup(to, on_progress=again)
    assert refused


def test_a_restore_needs_an_empty_folder_and_back_ups(opened, to, tmp_path):
    opened.backup(to)
    for place in (opened.folder, to):
        with pytest.raises(BackupError, match=r"is not empty: it has .* Nothing was restored"):
            bring_back(to, place)
    with pytest.raises(BackupError, match="There is no folder"):
        bring_back(tmp_path / "nowhere", tmp_path / "other")
    with pytest.raises(BackupError, match=r"holds no back-ups: it has no file BACKUPS, but it has .*FORMAT"):
        bring_back(opened.folder, tmp_path / "other")
    for path in to.glob("2*.json"):
        path.unlink()
    with pytest.raises(BackupError, match="has no back-up that was finished"):
        bring_back(to, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_restore_that_was_interrupted_cannot_be_opened_or_continued(opened, to, tmp_path):
    fill(opened, "a")
    opened.backup(to)

    class Interrupted(Exception):
        pass

    def interrupt(progress):
        if progress.files == progress.files_all - 1:  # FORMAT is the last
            raise Interrupted

    with pytest.raises(Interrupted):
        restore(to, tmp_path / "other", None, interrupt)
    before = {path: path.read_bytes() for path in (tmp_path / "other").rglob("*") if path.is_file()}
    with pytest.raises(FolderError, match=r"holds a back-up that was not restored to its end.*`dw restore`"):
        reopened(tmp_path / "other", START)
    with pytest.raises(FolderError, match="not restored to its end"):
        Reader(tmp_path / "other", resolve({}))
    with doctor_of(tmp_path / "other", opened.warehouse, WallClock()) as doctor:
        for look in (doctor.look, doctor.repair):
            with pytest.raises(FolderError, match="cannot be opened or repaired"):
                look()
    (tmp_path / "other/_lock").unlink()
    assert {path: path.read_bytes() for path in (tmp_path / "other").rglob("*") if path.is_file()} == before
    with pytest.raises(BackupError, match="may be a restore that was interrupted"):
        bring_back(to, tmp_path / "other")


# -- damage


def test_a_bit_that_flipped_in_a_data_file_is_named_and_the_rest_is_backed_up(opened, to, tmp_path):
    fill(opened, "a")
    victim = live(opened, "views")[0]
    flip(opened.folder / victim)
    made = opened.backup(to)
    assert [(problem.path, problem.problem) for problem in made.problems] == [
        (victim, "its bytes are not those that were written")
    ]
    [shown] = opened.status()["damaged_files"]
    assert shown["path"] == victim
    with pytest.raises(FileDamaged, match=victim):
        opened.query("select * from views")
    assert opened.status()["backup"]["result"] == "incomplete"
    assert opened.status()["backup"]["age_s"] is None
    done = bring_back(to, tmp_path / "other")
    assert [problem.path for problem in done.problems] == [victim]
    with reopened(tmp_path / "other", opened.now) as again:
        with pytest.raises(FileDamaged, match=victim):
            again.query("select * from views")
        assert list(again.query("select count(*) from clicks")) == list(opened.query("select count(*) from clicks"))


def test_a_file_that_is_missing_or_cannot_be_read_is_named(opened, to):
    fill(opened, "a")
    gone, folder = live(opened, "views")
    (opened.folder / gone).unlink()
    (opened.folder / folder).unlink()
    (opened.folder / folder).mkdir()
    assert {problem.path: problem.problem for problem in opened.backup(to).problems} == {
        gone: "it is missing",
        folder: "it cannot be read (Is a directory)",
    }
    assert [file["path"] for file in opened.status()["damaged_files"]] == [gone], "the other may be readable later"
    retired = opened.catalog.retired_before(2**62)
    assert retired
    for file in retired:
        (opened.folder / file.path).unlink()
    assert len(opened.backup(to).problems) == 2, "what is retired is in other files as well"


def test_what_an_earlier_back_up_has_is_restored_in_place_of_a_damaged_file(opened, to, tmp_path):
    fill(opened, "a")
    expected = answers(opened)
    opened.backup(to)
    opened.advance("1m")
    for path in live(opened, "clicks"):
        flip(opened.folder / path)
    assert opened.backup(to).problems == []
    bring_back(to, tmp_path / "other")
    with reopened(tmp_path / "other", opened.now) as again:
        assert answers(again) == expected


def test_a_bit_that_flipped_in_a_copy_is_found(opened, to, tmp_path):
    fill(opened, "a")
    opened.backup(to)
    opened.advance("1m")
    opened.put("clicks", {"id": "pending", "n": 1})
    opened.backup(to)
    older, newer = manifests(to)
    kept = {file.path: copies(to)[file.digest] for file in newer.files}
    victim = live(opened, "views")[0]
    flip(kept[victim])
    done = bring_back(to, tmp_path / "data-file")
    assert [problem.path for problem in done.problems] == [victim]
    assert not (tmp_path / "data-file" / victim).exists()
    with reopened(tmp_path / "data-file", opened.now) as again:
        assert list(again.query("select count(*) from clicks")) == list(opened.query("select count(*) from clicks"))
        with pytest.raises(FileDamaged, match="not those that were written"):
            again.query("select * from views")
    [journal] = [path for path in kept if path.startswith("_journal/clicks/")]
    for path in (journal, "_catalog.sqlite", "FORMAT"):
        flip(kept[path], -3)
        with pytest.raises(BackupError, match=rf"the copy of {path}, .*Nothing was restored. There are also .*--at"):
            bring_back(to, tmp_path / "other")
        assert not (tmp_path / "other").exists()
        if path != "FORMAT":
            bring_back(to, tmp_path / path.replace("/", "-"), older.moment_ms)
        flip(kept[path], -3)
    kept["FORMAT"].unlink()
    with pytest.raises(BackupError, match=r"the copy of FORMAT, .*: it is missing"):
        bring_back(to, tmp_path / "other")


def test_copies_are_read_again_now_and_then_and_damaged_ones_replaced(opened, to, tmp_path):
    fill(opened, "a")
    opened.backup(to)
    damaged = [
        copies(to)[digest_of(opened.folder / path)] for path in (*live(opened, "views"), *live(opened, "clicks"))
    ]
    for path in damaged:
        flip(path)
    new = 0
    for _ in range(30):
        made = opened.backup(to, kept=2)
        assert made.problems == []
        new += made.new_files
    assert new == 30 + len(damaged), "a catalog each time, and each damaged copy once"
    assert all(digest_of(path) == path.name for path in damaged)
    assert bring_back(to, tmp_path / "other").problems == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "outside"])
def test_a_damaged_manifest_is_refused_and_the_others_are_named(opened, to, tmp_path, damage):
    first = opened.backup(to)
    opened.advance("1m")
    opened.backup(to)
    path = max(to.glob("2*.json"))
    content = path.read_bytes()
    if damage == "flipped":
        flip(path, 200)
    elif damage == "outside":
        path.write_bytes(content.replace(b'"path":"FORMAT"', b'"path":"../../x"'))
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(BackupError, match=r"is damaged: .*There are 2026-03-01T07:00:00.000Z, .*--at"):
        bring_back(to, tmp_path / "other")
    assert bring_back(to, tmp_path / "other", first.moment_ms).problems == []


# -- what fails


def test_a_target_that_takes_no_more_leaves_the_back_ups_that_were_there(opened, to, tmp_path):
    """A limit on the size of files stands for a full disk: each write beyond it fails."""
    fill(opened, "a", 1)
    opened.backup(to)
    expected = answers(opened)
    before = {path: digest_of(path) for path in to.rglob("*") if path.is_file()}
    (opened.folder / "facts").mkdir()
    (opened.folder / "facts" / "large.json").write_text('{"thing": "x"}\n' * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    opened.advance("1m")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(BackupError, match=r"was not made: .*The back-ups that were there before are as they were"):
            opened.backup(to)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = {path: digest_of(path) for path in to.rglob("*") if path.is_file()}
    assert before.items() <= after.items()
    assert len(manifests(to)) == 1
    bring_back(to, tmp_path / "other")
    with reopened(tmp_path / "other", opened.now) as again:
        assert answers(again) == expected
    (to / "2026-03-01T06-00-00.000Z.json.aside").write_text("half a manifest of a process that died")
    made = opened.backup(to)
    assert made.problems == []
    assert not list(to.rglob("*.aside"))
    assert {file.digest for file in manifests(to)[-1].files} <= copies(to).keys()
    with opened.converter.keeping():
        assert opened.converter._keepers == 1, "nothing is held after a failure"


def test_a_disk_without_the_room_is_refused_before_it_is_full(tmp_path, to):
    """The room that events need on the same disk is set higher than any disk has."""
    with simulate(declared(), tmp_path / "data", start=START, settings={"disk_free_bytes_min": 2**60}) as opened:
        opened.backup(to)
        (opened.folder / "facts").mkdir()
        (opened.folder / "facts" / "a.json").write_text('{"thing": "x"}\n')
        with pytest.raises(BackupError, match=r"was not begun: it needs 15 bytes, and there are 0 besides the \d+ "):
            opened.backup(to)
        assert len(manifests(to)) == 1


@pytest.mark.parametrize("lost", ["FORMAT", "journal"])
def test_without_a_file_that_it_needs_none_is_made(opened, to, lost):
    fill(opened, "a", 1)
    path = opened.folder / "FORMAT" if lost == "FORMAT" else max((journal_root(opened.folder) / "clicks").iterdir())
    path.unlink()
    with pytest.raises(BackupError, match=rf"was not made, because of \S*{path.name} in .*: it is missing"):
        opened.backup(to)
    assert manifests(to) == []


def test_a_catalog_that_sqlite_cannot_read_makes_none(opened, to):
    fill(opened, "a")
    opened.catalog.store.rows("pragma wal_checkpoint(truncate)")
    roots = opened.catalog.store.rows("select rootpage from sqlite_schema where name in ('files', 'ledger')")
    with (opened.folder / "_catalog.sqlite").open("r+b") as file:
        for (page,) in roots:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
    with pytest.raises(BackupError, match=r"was not made: .*malformed"):
        opened.backup(to)
    assert manifests(to) == []


def test_a_closing_warehouse_ends_it(opened, to):
    def close(progress):
        opened.begin_closing()

    fill(opened, "a")
    with pytest.raises(Closed):
        opened.backup(to, on_progress=close)
    assert manifests(to) == []


# -- the command, and the schedule


def test_the_command_beside_an_owner_and_without(tmp_path):
    with running(tmp_path) as warehouse:
        warehouse.events("clicks", b'{"id": "a"}\n{')
        said = warehouse.dw("backup", "backups")
        assert "Every event acknowledged before 20" in said.stdout
        status = json.loads(warehouse.dw("status", "--output", "json").stdout)["backup"]
        assert (status["result"], status["to"]) == ("complete", str(tmp_path / "backups"))
        assert 0 <= status["age_s"] < 1000
        _, _, metrics = warehouse.request("GET", "/metrics")
        assert b"\ndw_backup_age_seconds " in metrics
        assert "every event acknowledged before 20" in warehouse.dw("status").stderr
        refused = warehouse.dw("backup", "data/backups", check=False)
        assert refused.returncode == 4
        assert "is in the data folder" in refused.stderr
        warehouse.events("clicks", b'{"id": "b"}')
    made = json.loads(command(tmp_path, "backup", "backups", "--backups-kept", "1", "--output", "json").stdout)
    assert (made["result"], len(made["removed"])) == ("complete", 1)
    restored = command(tmp_path, "restore", "backups", "--data", "other", "--at", made["at"])
    assert restored.returncode == 0, restored.stderr
    assert f"Every event acknowledged before {made['at']} is in it" in restored.stdout
    answer = command(tmp_path, "query", "select id from clicks order by id", "--data", "other", "--output", "csv")
    assert answer.stdout.split() == ['"id"', '"a"', '"b"']
    with running(tmp_path, "--data", "other") as warehouse:
        assert warehouse.query("select count(*) as n from clicks_quarantine") == [{"n": 1}]
    wrong = command(tmp_path, "restore", "backups", "--data", "third", "--at", "yesterday")
    assert (wrong.returncode, "--at is 'yesterday'; valid is" in wrong.stderr) == (2, True)
    [victim] = [file for file in manifests(tmp_path / "backups")[0].files if file.path.startswith("errors/clicks/")]
    flip(copies(tmp_path / "backups")[victim.digest])
    damaged = command(tmp_path, "restore", "backups", "--data", "third")
    assert damaged.returncode == 1
    assert f"{victim.path}: the bytes of its copy are not those that were written" in damaged.stderr


class Clock:
    def __init__(self):
        self.now = 1_772_348_400_000

    def now_ms(self):
        return self.now


def test_the_schedule(tmp_path, to, caplog):
    clock = Clock()
    settings = {"backup_to": str(to), "backup_every_hours": 6, "backups_kept": 2}

    def failures():
        return [line.getMessage() for line in caplog.records if line.getMessage().startswith("back-up: ")]

    def status():
        return opened.status()["backup"]

    with open_warehouse(declared(), tmp_path / "data", settings, clock) as opened:
        assert status() is None or status()["at"]
        until(lambda: status() and status()["result"] == "complete", "the first one is made at once")
        assert len(manifests(to)) == 1
        for hours, expected in ((6, 2), (6, 2)):
            clock.now += hours * 3_600_000
            until(lambda: status()["age_s"] == 0, "the next one is made")
            until(lambda n=expected: len(manifests(to)) == n, "and older ones are pruned")
    moved = tmp_path / "moved"
    to.rename(moved)
    clock.now += 5 * 3_600_000
    with open_warehouse(declared(), tmp_path / "data", settings, clock) as opened:
        assert (status()["age_s"], status()["result"]) == (5 * 3600, "complete"), (
            "known over a restart, and not due yet"
        )
        clock.now += 3_600_000
        until(lambda: status()["result"] == "failed", "the disk is not there")
        assert "has no back-ups any more: is its disk there?" in status()["failure"]
        assert status()["age_s"] == 6 * 3600
        assert not to.exists(), "none is begun where a disk belongs"
        to.write_text("something else")
        clock.now += 8 * 60_000
        until(lambda: opened._backups._retry_ms > clock.now, "it is tried again after five to eight minutes")
        assert len(failures()) == 1, "told once for a cause"
        to.unlink()
        moved.rename(to)
        clock.now += 8 * 60_000
        until(lambda: status()["result"] == "complete", "tried again, and made")
        assert status()["age_s"] == 0
        assert len(manifests(to)) == 2


def test_an_alert_tells_that_the_last_complete_one_is_old(tmp_path, to):
    with simulate(declared().with_alert(), tmp_path / "data", start=START) as opened:

        def told(hours):
            opened.advance(timedelta(hours=hours))
            return [each["type"] for each in opened.alerts if each["data"]["alert"] == "backup_age"]

        assert told(40) == [], "there was never one"
        opened.backup(to)
        assert told(36) == []
        assert told(1) == ["alert.began"]
        opened.backup(to)
        assert told(0.1) == ["alert.began", "alert.resolved"]
