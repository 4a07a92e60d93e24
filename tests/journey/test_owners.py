"""One owner at a time, really: whatever is removed, whoever looks, and whoever comes back for one command."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from running import until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import CatalogDamaged, FolderError, FolderInUse, JournalDamaged
from datawarehouse.folder import Holder, Ownership, holder_of
from datawarehouse.runtime.embedded import open_for_command
from datawarehouse.runtime.upgrades import UPGRADES
from datawarehouse.settings import resolve
from patience import patient

LOOK = """
import sys
from pathlib import Path
from datawarehouse.folder import holder_of
print("looking", flush=True)
while True:
    holder_of(Path(sys.argv[1]))
"""
OPEN = """
import sys
from pathlib import Path
from datawarehouse.folder import Ownership
ownership = Ownership(Path(sys.argv[1]), {}, brief=sys.argv[2] == "brief")
print("open", flush=True)
sys.stdin.read()
"""


def declared():
    return Warehouse("shop").with_streaming_input_table("t", {"id": "string"})


def started(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@pytest.fixture
def other(tmp_path):
    """Starts another process that owns the folder."""
    processes = []

    def start(how="long"):
        processes.append(started(OPEN, tmp_path, how))
        assert processes[-1].stdout.readline() == b"open\n"
        return processes[-1]

    yield start
    for process in processes:
        process.stdin.close()
        process.wait(patient(30))
        process.stdout.close()


def test_removing_the_lock_file_lets_nobody_in(tmp_path, other):
    process = other()
    (tmp_path / "_lock").unlink()
    for _ in range(2):
        with pytest.raises(FolderInUse, match="is in use by another process"):
            open_warehouse(declared(), tmp_path)
    process.stdin.close()
    process.wait(patient(30))
    open_warehouse(declared(), tmp_path).close()


def test_an_owner_makes_its_lock_file_again(tmp_path):
    with open_warehouse(declared(), tmp_path) as opened:
        before = holder_of(tmp_path)
        assert before.pid == os.getpid()
        for spoil in (lambda path: path.unlink(), lambda path: (path.unlink(), path.write_text("mine"))):
            spoil(tmp_path / "_lock")
            opened.ownership.restore()
            assert holder_of(tmp_path) == before
            assert (tmp_path / "_lock").stat().st_mode & 0o777 == 0o600
        (tmp_path / "_lock").unlink()
        opened.tidying.wake()
        until(lambda: holder_of(tmp_path) == before, "the thread that tidies makes it again")
        inode = (tmp_path / "_lock").stat().st_ino
        opened.ownership.restore()
        assert (tmp_path / "_lock").stat().st_ino == inode
    assert holder_of(tmp_path) is None


def test_a_look_does_not_keep_an_owner_out(tmp_path):
    Ownership(tmp_path, UPGRADES).release()
    lookers = [started(LOOK, tmp_path) for _ in range(4)]
    try:
        for looker in lookers:
            assert looker.stdout.readline() == b"looking\n"
        for _ in range(500):
            Ownership(tmp_path, UPGRADES).release()
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()


def test_an_owner_waits_for_one_that_only_runs_a_command(tmp_path, other):
    process = other("brief")
    assert holder_of(tmp_path) == Holder(process.pid, brief=True)
    done = threading.Event()

    def start():
        open_warehouse(declared(), tmp_path).close()
        done.set()

    thread = threading.Thread(target=start)
    thread.start()
    assert not done.wait(0.5), "it has not come in beside the command"
    process.stdin.close()
    assert done.wait(patient(30))
    thread.join()


def test_a_command_says_that_it_is_brief(tmp_path):
    with open_for_command(declared(), resolve({"data": str(tmp_path)})):
        assert holder_of(tmp_path).brief
    with open_warehouse(declared(), tmp_path):
        assert not holder_of(tmp_path).brief


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("spoil", ["catalog", "journal", "declaration"])
def test_a_refused_opening_leaves_nothing_open(tmp_path, spoil):
    with open_warehouse(declared(), tmp_path) as opened:
        opened.put("t", {"id": "a"})
        opened.flush()
    now = declared()
    expected = CatalogDamaged
    if spoil == "catalog":
        (tmp_path / "_catalog.sqlite").write_bytes(b"garbage" * 1000)
    elif spoil == "journal":
        [path] = (tmp_path / "_journal/t").iterdir()
        path.unlink()
        expected = JournalDamaged
    else:
        now = Warehouse("shop").with_streaming_input_table("t", {"id": "int"})
        expected = Exception
    count = descriptors()
    caught = []
    for _ in range(5):
        with pytest.raises(expected) as each:
            open_warehouse(now, tmp_path)
        caught.append(each)  # what an exception holds is not freed
    assert descriptors() == count


@pytest.mark.parametrize("spoil", ["the folder is a file", "the lock is a folder", "its parent is a file"])
def test_a_folder_that_cannot_be_one_is_refused_in_a_line(tmp_path, spoil):
    folder = tmp_path / "data"
    if spoil == "the folder is a file":
        folder.write_text("x")
    elif spoil == "the lock is a folder":
        (folder / "_lock").mkdir(parents=True)
    else:
        folder.write_text("x")
        folder = folder / "below"
    with pytest.raises(FolderError, match=r"^The data folder .* cannot be used: .*\.$"):
        open_warehouse(declared(), folder)


def test_a_table_that_is_no_longer_declared_keeps_nobody_out(tmp_path):
    two = declared().with_streaming_input_table("old", {"id": "string"})
    with open_warehouse(two, tmp_path) as opened:
        opened.put("old", {"id": "a"})
        opened.flush()
    shutil.rmtree(tmp_path / "_journal/old")
    with pytest.raises(JournalDamaged):
        open_warehouse(two, tmp_path)
    with open_warehouse(declared(), tmp_path) as opened:
        opened.put("t", {"id": "a"})
