"""Folders of links: whole or not at all, exactly what was asked for, and never over what is somebody else's."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from datawarehouse.errors import FolderError
from datawarehouse.export.links import alone_in, link_tables


@pytest.fixture
def file(tmp_path):
    """Makes a file of the warehouse."""

    def make(name):
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        return path

    return make


@pytest.fixture
def to(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def held(link):
    """Path below a table's folder -> what the file says."""
    folder = link.resolve()
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_links_are_hard_and_outlive_their_files(file, to):
    a, b = file("a"), file("b")
    assert link_tables(to, {"t": {"07/a": a, "08/b": b}, "u": {}}) == 0
    assert (to / "t" / "07" / "a").samefile(a)
    a.unlink()
    assert held(to / "t") == {"07/a": "a", "08/b": "b"}
    assert held(to / "u") == {}


def test_the_next_links_take_the_place_of_all_before(file, to):
    link_tables(to, {"t": {"07/a": file("a"), "08/b": file("b")}, "u": {"c": file("c")}})
    link_tables(to, {"t": {"07/ab": file("ab")}})
    assert held(to / "t") == {"07/ab": "ab"}
    assert held(to / "u") == {"c": "c"}
    link_tables(to, {"t": {"07/ab": file("ab")}})
    assert sorted(path.name for path in (to / "_links" / "t").iterdir()) == ["2", "3"], "and the one before"


def test_a_file_that_is_gone_leaves_all_tables_as_they_were(file, to):
    link_tables(to, {"t": {"a": file("a")}, "u": {"b": file("b")}})
    with pytest.raises(FolderError, match=r"data/gone was live .* deleted now.*export again"):
        link_tables(to, {"t": {"c": file("c")}, "u": {"gone": to.parent / "data" / "gone"}})
    assert held(to / "t") == {"a": "a"}
    assert held(to / "u") == {"b": "b"}
    link_tables(to, {"t": {"c": file("c")}, "u": {}})
    left = sorted(str(path.relative_to(to / "_links")) for path in (to / "_links").glob("*/*"))
    assert left == ["t/1", "t/3", "u/1", "u/3"], "what failed is cleared away"


def test_a_folder_that_is_being_listed_stays_whole(file, to):
    link_tables(to, {"t": {"a": file("a"), "b": file("b")}})
    reader = os.open(to / "t", os.O_RDONLY | os.O_DIRECTORY)
    try:
        link_tables(to, {"t": {"ab": file("ab")}})
        with os.scandir(reader) as entries:
            assert sorted(entry.name for entry in entries) == ["a", "b"]
    finally:
        os.close(reader)
    assert held(to / "t") == {"ab": "ab"}


def test_without_hard_links_they_are_symbolic(file, to, monkeypatch):
    def refused(self, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "hardlink_to", refused)
    assert link_tables(to, {"t": {"07/a": file("a"), "b": file("b")}}) == 2
    assert (to / "t" / "07" / "a").is_symlink()
    assert held(to / "t") == {"07/a": "a", "b": "b"}


def test_what_an_export_did_not_make_is_left_alone(file, to):
    (to / "t").mkdir()
    with pytest.raises(FolderError, match=r"out/t was not made by an export"):
        link_tables(to, {"t": {"a": file("a")}})
    assert list(to.iterdir()) == [to / "t"]


def test_one_export_at_a_time_writes_to_a_folder(tmp_path):
    with alone_in(tmp_path / "out"), (tmp_path / "out" / "_lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "out" / "_lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
