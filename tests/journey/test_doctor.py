"""dw doctor, as a user runs it."""

import json
import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from running import DECLARATION, command, running

from datawarehouse import Warehouse
from datawarehouse.cli.main import main
from datawarehouse.clock import WallClock
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.testing import simulate


@pytest.fixture
def project(tmp_path):
    """A project whose data folder has 20 events, one of them rejected, in files of both kinds."""
    with running(tmp_path) as warehouse:
        lines = b"".join(b'{"id": "e%d", "n": %d}\n' % (n, n) for n in range(19))
        assert warehouse.events("clicks", lines + b"{\n")[0] == 200
        warehouse.dw("flush")
    return tmp_path


def doctor(project, *arguments, code):
    done = command(project, "doctor", *arguments)
    assert done.returncode == code, done
    return done


def files_of(project):
    return {path: path.read_bytes() for path in (project / "data").rglob("*") if path.is_file()}


def test_a_healthy_folder_with_and_without_an_owner(project):
    before = files_of(project)
    assert doctor(project, code=0).stdout == "Nothing is wrong in data.\n"
    answer = json.loads(doctor(project, "--output", "json", code=0).stdout)
    assert answer == {"healthy": True, "findings": [], "repaired": []}
    assert files_of(project) == before, "a look leaves nothing behind"
    with running(project) as warehouse:
        assert doctor(project, code=0).stdout == "Nothing is wrong in data.\n"
        done = doctor(project, "--repair", code=4)
        assert f"is in use by process {warehouse.process.pid}, which serves it at {warehouse.url}" in done.stderr


def test_a_lost_catalog_is_named_and_made_again(project):
    (project / "data" / "_catalog.sqlite").unlink()
    refused = command(project, "query", "select count(*) from clicks")
    assert "`dw doctor --data" in refused.stderr
    done = doctor(project, code=20)
    assert done.stdout.startswith(
        "_catalog.sqlite: it is missing\n  lost      nothing\n  repair    it is made again of"
    )
    assert done.stdout.endswith("1 thing wrong in data.\n")
    assert "`dw doctor --repair --data data`" in done.stderr
    assert not (project / "data" / "_catalog.sqlite").exists()
    done = doctor(project, "--repair", code=0)
    assert "  repaired  it is made again of the record of commits" in done.stdout
    assert done.stdout.endswith("Nothing is wrong in data.\n")
    with running(project) as warehouse:
        assert warehouse.query("select count(*) as n from clicks") == [{"n": 19}]


def test_a_damaged_file_is_set_aside_and_what_it_held_is_in_status(project):
    [path] = (project / "data" / "clicks").rglob("*.parquet")
    path.write_bytes(b"PAR1")
    assert "is damaged" in command(project, "query", "select sum(n) from clicks").stderr
    found = json.loads(doctor(project, "--output", "json", code=20).stdout)["findings"]
    name = str(path.relative_to(project / "data"))
    assert [(each["what"], each["can_be_repaired"], each["is_damage"]) for each in found] == [(name, True, True)]
    assert found[0]["cause"].startswith("it has 4 bytes, and ")
    assert found[0]["loss"].startswith("19 rows of table clicks, hour ")
    answer = json.loads(doctor(project, "--repair", "--output", "json", code=0).stdout)
    assert answer["healthy"]
    assert [each["what"] for each in answer["repaired"]] == [name]
    assert [each["what"] for each in answer["findings"]] == ["_aside"]
    assert (project / "data" / "_aside" / name).read_bytes() == b"PAR1"
    assert command(project, "query", "select count(*) from clicks", "--output", "csv").stdout.split() == [
        '"_col0"',
        '"0"',
    ]
    [status] = [
        each for each in json.loads(command(project, "status", "--output", "json").stdout)["tables"]
        if each["table"] == "clicks"
    ]  # fmt: skip
    shown = [status[name] for name in ("received", "stored", "rejected", "rows", "lost", "lost_rejects")]
    assert shown == [20, 19, 1, 0, 19, 0]


def test_a_file_that_was_missing_and_comes_back_is_not_deleted(tmp_path):
    """As when its disk was not there while the folder was repaired."""
    warehouse = Warehouse("shop").with_streaming_input_table("t", {"id": "string"})
    with simulate(warehouse, tmp_path / "data") as opened:
        opened.put("t", [{"id": "a"}])
        opened.flush()
        [file] = opened.catalog.ledger.live("t")
        now = opened.now
    (tmp_path / "data" / file.path).rename(tmp_path / "elsewhere")
    with doctor_of(tmp_path / "data", warehouse, WallClock()) as doctor:
        [found] = [each for each in doctor.repair() if each.is_damage]
        assert (found.what, found.cause) == (file.path, "it is missing")
    (tmp_path / "elsewhere").rename(tmp_path / "data" / file.path)
    with simulate(warehouse, tmp_path / "data", start=now + timedelta(days=400)) as opened:
        assert opened.catalog.totals("t").lost == 1
        opened.converter.delete_retired()
        assert (tmp_path / "data" / file.path).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become another user")
def test_files_that_this_user_may_not_read_are_not_lost(tmp_path):
    warehouse = Warehouse("shop").with_streaming_input_table("t", {"id": "string"})
    with tempfile.TemporaryDirectory() as place:  # which another user may look into
        Path(place).chmod(0o755)
        folder = Path(place, "data")
        with simulate(warehouse, folder) as opened:
            opened.put("t", [{"id": "a"}])
            opened.flush()
            [file] = opened.catalog.ledger.live("t")
        path = folder / file.path
        shutil.copy(path, tmp_path / "copy")
        path.unlink()
        shutil.copy(tmp_path / "copy", path)  # so that it is read: the file system says something new
        for each in (folder, *folder.rglob("*")):
            os.chown(each, 65534, 65534)
        os.chown(path, 0, 0)
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            with doctor_of(folder, warehouse, WallClock()) as doctor:
                [found] = [each for each in doctor.repair() if each.is_damage]
        finally:
            os.seteuid(0)
        assert (found.what, found.cause, found.mend) == (file.path, "this user may not read it", None)
        assert path.exists()


def test_a_file_that_the_owner_deletes_meanwhile_is_not_missing(tmp_path):
    warehouse = Warehouse("shop").with_streaming_input_table("t", {"id": "string"})
    with simulate(warehouse, tmp_path / "data") as opened:
        opened.put("t", [{"id": "a"}])
        opened.flush()
        opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
        with doctor_of(tmp_path / "data", warehouse, WallClock()) as doctor:
            [file] = opened.catalog.ledger.live("t")

            look = doctor._of_file

            def meanwhile(each):
                assert opened.catalog.expire("t", file.partition, 0)
                assert opened.converter.delete_retired() == 1
                return look(each)

            doctor._of_file = meanwhile
            assert doctor.look() == []
            assert doctor.has_owner
            assert not (tmp_path / "data" / file.path).exists()


def test_without_the_declaration_it_says_what_needs_it(project):
    shutil.rmtree(project / "data" / "_commits")
    (project / "data" / "_catalog.sqlite").unlink()
    (project / "warehouse.py").unlink()
    done = doctor(project, "--repair", code=20)
    assert "Going on without the declaration: There is no declaration warehouse.py" in done.stderr
    assert "give it with --warehouse" in done.stdout
    (project / "declared.py").write_text(DECLARATION)
    done = doctor(project, "--repair", "--warehouse", "declared.py", code=0)
    assert "it is made again of the data files and journals" in done.stdout


@pytest.mark.parametrize("there", [True, False])
def test_any_other_folder_is_left_alone(tmp_path, there, capsys):
    folder = tmp_path / "photos"
    if there:
        folder.mkdir()
        (folder / "one.jpg").write_text("x")
    for repair in ([], ["--repair"]):
        assert main(["doctor", *repair, "--data", str(folder)]) == 4
        assert ("is not a data folder" if there else "There is no data folder") in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == (["photos", "one.jpg"] if there else [])


def test_a_new_folder_is_healthy(tmp_path, capsys):
    (tmp_path / "FORMAT").write_text('{"format": 3}')
    assert main(["doctor", "--data", str(tmp_path)]) == 0
    (tmp_path / "FORMAT").write_text('{"format": 99}')
    assert main(["doctor", "--repair", "--data", str(tmp_path)]) == 20
    assert "install the newer release" in capsys.readouterr().out


def test_a_folder_of_a_newer_release_is_left_alone(project):
    (project / "data" / "FORMAT").write_text('{"format": 99}')
    (project / "data" / "_catalog.sqlite").write_bytes(b"in another form")
    before = files_of(project)
    doctor(project, "--repair", code=20)
    assert {path: data for path, data in files_of(project).items() if path.name != "_lock"} == {
        path: data for path, data in before.items() if path.name != "_lock"
    }


def test_the_journal_of_a_table_that_is_no_longer_declared_is_mended_too(project):
    (project / "warehouse.py").write_text(DECLARATION.replace('"clicks"', '"others"'))
    [path] = (project / "data" / "_journal" / "clicks").iterdir()
    path.unlink()
    done = doctor(project, "--repair", code=0)
    assert "_journal/clicks: The journal of stream 'clicks': it ends at position 0" in done.stdout
    assert "records at its end, of which nothing says how many they were" in done.stdout
