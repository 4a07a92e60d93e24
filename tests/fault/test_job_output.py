"""What a run's process answers is checked: it runs a user's code, which can find the pipe and answer anything."""

import os
import re
import sys
from datetime import UTC, datetime

import msgspec
import pytest

from datawarehouse import open_warehouse
from datawarehouse.catalog.records import File
from datawarehouse.errors import DataWarehouseError
from datawarehouse.jobs.execute import execute_here
from datawarehouse.jobs.orders import JobOrder
from datawarehouse.runtime.job_output import check_output
from datawarehouse.tidy.inspect import inspect_files

DECLARED = """
import os, stat, sys
from pathlib import Path
import msgspec
import pyarrow as pa
from datawarehouse import Warehouse
from datawarehouse.jobs import execute, orders

HOME = Path(__file__).parent

def pipes():
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            if stat.S_ISFIFO(os.fstat(int(name)).st_mode):
                found.append(int(name))
        except OSError:
            pass
    return found

def answer(data):
    for pipe in pipes():
        try:
            os.write(pipe, data)
        except OSError:
            pass
    os._exit(0)

def changed(change):
    \"\"\"Write the rows as every run does, and change the report of it.\"\"\"
    genuine = execute._published
    def published(order, columns, context):
        return change(order, genuine(order, columns, context))
    execute._published = published

def with_file(output, **changes):
    return msgspec.structs.replace(output, files=[msgspec.structs.replace(output.files[0], **changes)])

def with_footer(output, **changes):
    return with_file(output, footer=msgspec.structs.replace(output.files[0].footer, **changes))

def behave(job):
    scope = {"job": job, **globals()}
    exec((HOME / "how").read_text(), scope)
    return scope["result"]

warehouse = Warehouse("shop").with_batch_input_table(
    "behaved", {"n": "int"}, behave, "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"}
).with_batch_input_table("other", {"n": "int"}, behave, "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"})
"""
AT = datetime(2026, 11, 23, 7, 20, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "declared_output.py").write_text(DECLARED)
    return tmp_path


@pytest.fixture
def opened(home, monkeypatch):
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.delitem(sys.modules, "declared_output", raising=False)
    from declared_output import warehouse

    with open_warehouse(warehouse, home / "data", {"job_time_max_s": 60}) as opened:
        yield opened


@pytest.fixture
def behave(opened, home):
    """Run a job as a text says, after one that wrote the row 1; what it gives is (outcome, first line of the error)."""
    (home / "how").write_text("result = [{'n': 1}]")
    assert opened.run("behaved", AT).outcome == "succeeded"

    def run(how):
        before = opened.catalog.paths()
        (home / "how").write_text(how)
        ended = opened.run("behaved", AT)
        if ended.outcome == "failed":
            assert opened.catalog.paths() == before, "nothing is committed"
            assert list(opened.query("select n from behaved")) == [(1,)]
        return ended.outcome, (ended.error or "").partition("\n")[0]

    return run


def refused(error):
    return f"The output of the run is not committed: {error}."


NO_ANSWER = "The run's process answered what is no answer of a run: "


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("b'\\xc1'", NO_ANSWER),
        ("msgspec.msgpack.encode({'type': 'JobOutput', 'partitions': 1, 'files': [], 'rows': 0})", NO_ANSWER),
        ("b'\\x91' * 1_000_000", NO_ANSWER),
        ("msgspec.msgpack.encode(orders.JobFailure('mine', '', True))", "mine"),
    ],
)
def test_an_answer_that_is_none_fails_the_run(behave, data, error):
    outcome, said = behave(f"answer({data})")
    assert outcome == "failed"
    assert error in said
    assert len(said) < 20_100


def test_an_answer_without_end_fails_the_run(behave):
    write = "def write(pipe):\n    try:\n        while True: os.write(pipe, bytes(1 << 16))\n    except OSError: pass\n"
    endless = f"{write}for pipe in pipes(): write(pipe)"
    assert behave(endless) == ("failed", "The run's process answered more than 8388608 bytes, and was ended.")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows the files of a process")
def test_what_is_written_into_the_supervisors_own_pipe_is_checked_as_well(behave):
    text = """
name = f"/proc/{os.getppid()}/fd"
for fd in os.listdir(name):
    try:
        with open(f"{name}/{fd}", "wb", buffering=0) as pipe:
            if stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode):
                os.set_blocking(pipe.fileno(), False)
                pipe.write((1 << 31).to_bytes(4, "little") + bytes(1000))
    except OSError:
        pass
result = []
"""
    outcome, error = behave(text)
    assert outcome == "failed"
    assert error.startswith("The run's process answered "), error


OUTSIDE = "is not the file that this run may write for partition 2026/11/23/06"
NOT_A_RUNS = "is described as what a run does not write"
ELSEWHERE = "is not a regular file in the folder of its table"


def with_file(output, **changes):
    return msgspec.structs.replace(output, files=[msgspec.structs.replace(output.files[0], **changes)])


def with_footer(output, **changes):
    return with_file(output, footer=msgspec.structs.replace(output.files[0].footer, **changes))


def moved(path, home, make):
    """Move what is at a path away, and make something else of it."""
    path.rename(home / "real")
    make(path)


def rewritten(content):
    def change(output, path, home):
        path.write_bytes(content)
        found = path.stat()
        return with_file(output, bytes=found.st_size, inode=found.st_ino, modified_ns=found.st_mtime_ns)

    return change


CHANGES = {
    "a path outside": (lambda o, *_: with_file(o, path="../outside/evil.parquet"), OUTSIDE),
    "an absolute path": (lambda o, *_: with_file(o, path="/etc/passwd"), OUTSIDE),
    "a path of another table": (lambda o, *_: with_file(o, path="other/2026/11/23/06/x.parquet"), OUTSIDE),
    "a path with dots": (lambda o, *_: with_file(o, path="behaved/2026/11/23/06/../06/run.parquet"), OUTSIDE),
    "a file of an earlier run": (lambda o, *_: with_file(o, path="behaved/2026/11/23/06/earlier.parquet"), OUTSIDE),
    "a very long path": (lambda o, *_: with_file(o, path="x" * 100_000), OUTSIDE),
    "another table": (lambda o, *_: with_footer(o, table="other"), NOT_A_RUNS),
    "another kind": (lambda o, *_: with_footer(o, kind="rejects"), NOT_A_RUNS),
    "another partition": (
        lambda o, *_: with_footer(o, partition="2026/11/23/05"),
        "is not the one file of a partition",
    ),
    "more rows": (lambda o, *_: with_footer(o, rows=7, records=7), "its footer says "),
    "other records": (lambda o, *_: with_footer(o, records=7), NOT_A_RUNS),
    "no rows": (lambda o, *_: with_footer(o, rows=0, records=0), NOT_A_RUNS),
    "spans": (lambda o, *_: with_footer(o, spans=[(0, 9)]), NOT_A_RUNS),
    "another run": (lambda o, *_: with_footer(o, run=(1, 0)), NOT_A_RUNS),
    "another version": (lambda o, *_: with_footer(o, schema_version=2), NOT_A_RUNS),
    "another size": (lambda o, *_: with_file(o, bytes=5), "was changed after it was written"),
    "another digest": (lambda o, *_: with_file(o, digest="0" * 32), "its bytes are not those that were written"),
    "no digest": (lambda o, *_: with_file(o, digest=""), NOT_A_RUNS),
    "a file twice": (lambda o, *_: msgspec.structs.replace(o, files=o.files * 2), "is not the one file of a partition"),
    "a partition twice": (
        lambda o, *_: msgspec.structs.replace(o, partitions=o.partitions * 2),
        "a partition is reported twice",
    ),
    "a partition that is none": (
        lambda o, *_: msgspec.structs.replace(o, partitions=["../x"]),
        "Not an hourly partition",
    ),
    "a file that is gone": (lambda o, path, _: path.unlink() or o, "cannot be read (No such file or directory)"),
    "a link": (lambda o, path, home: moved(path, home, lambda p: p.symlink_to(home / "real")) or o, ELSEWHERE),
    "a folder that is a link": (
        lambda o, path, home: moved(path.parent, home, lambda p: p.symlink_to(home / "real")) or o,
        ELSEWHERE,
    ),
    "a pipe": (lambda o, path, home: moved(path, home, os.mkfifo) or o, ELSEWHERE),
    "no Parquet": (rewritten(b"no parquet"), "is not a Parquet file"),
    "an empty file": (rewritten(b""), "is not a Parquet file"),
    "a footer of gigabytes": (rewritten(b"PAR1" + b"\xff\xff\xff\x7fPAR1"), "is not a Parquet file"),
    "a footer of zeros": (rewritten(b"PAR1" + bytes(20) + b"\x10\0\0\0PAR1"), "its footer cannot be read"),
}


def written(home, columns):
    """What a genuine run wrote: its order and its report."""
    kinds = [(name, kind) for name, kind, _ in columns]
    order = JobOrder(
        run=5,
        table="behaved",
        columns=kinds,
        schema_version=1,
        module="",
        file="",
        function="",
        search=[],
        time_ms=1_795_418_400_000,
        lake=str(home),
        name="run",
        scratch=str(home),
        memory_bytes_max=1 << 30,
        file_bytes_max=1 << 30,
    )
    rows = [{name: value for name, _, value in columns}]
    output = execute_here(order, None, lambda: lambda job: rows)
    return msgspec.structs.replace(order, columns=[("n", "int")]), output


@pytest.mark.parametrize(("change", "error"), CHANGES.values(), ids=CHANGES)
def test_a_report_that_is_not_true_is_refused(tmp_path, change, error):
    order, output = written(tmp_path, [("n", "int", 1)])
    check_output(order, output, inspect_files)
    path = tmp_path / output.files[0].path
    with pytest.raises(DataWarehouseError, match=re.escape(error)) as raised:
        check_output(order, change(output, path, tmp_path), inspect_files)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("columns", [[("n", "string", "x")], [("m", "int", 1)], [("n", "int", 1), ("m", "int", 1)]])
def test_a_file_with_other_columns_is_refused(tmp_path, columns):
    order, output = written(tmp_path, columns)
    with pytest.raises(DataWarehouseError, match="its columns are not those of its table"):
        check_output(order, output, inspect_files)


def test_a_table_on_another_disk_is_no_link_to_refuse(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "behaved").symlink_to(tmp_path / "disk")
    check_output(*written(tmp_path, [("n", "int", 1)]), inspect_files)


def test_a_report_that_is_not_true_is_not_committed(behave):
    forged = "changed(lambda order, o: with_file(o, path='../outside/evil.parquet')); result = [{'n': 2}]"
    outcome, said = behave(forged)
    assert (outcome, said) == ("failed", refused(f"'../outside/evil.parquet' {OUTSIDE}"))


def test_a_run_that_was_refused_leaves_no_file(behave, opened, home):
    behave("changed(lambda order, o: with_file(o, digest='0' * 32)); result = [{'n': 2}]")
    assert len(list((home / "data" / "behaved").rglob("*.parquet*"))) == 1
    assert behave("result = [{'n': 3}]") == ("succeeded", "")
    assert list(opened.query("select n from behaved")) == [(3,)]


@pytest.mark.parametrize("link", [False, True])
def test_what_is_outside_of_the_tables_folder_is_never_deleted(opened, home, link, caplog):
    """A release that checked nothing may have committed such a path."""
    outside = home / "outside"
    outside.mkdir()
    (outside / "precious.parquet").write_text("precious")
    path = "../outside/precious.parquet"
    if link:
        (home / "data" / "behaved" / "2026").mkdir(parents=True)
        (home / "data" / "behaved" / "2026" / "11").symlink_to(outside)
        path = "behaved/2026/11/precious.parquet"
    file = File("behaved", "rows", "2026/11/23/06", path, 1, [], 1, 1, 8)
    run = opened.catalog.runs.start("behaved", 0, "2026/11/23/06", attempt=1, cause="asked for", now_ms=0)
    opened.catalog.commit_run(run, "behaved", ["2026/11/23/06"], [file], 0)
    opened.catalog.commit_run(run, "behaved", ["2026/11/23/06"], [], 0)
    opened.converter.delete_retired()
    assert opened.catalog.paths() == set()
    assert (outside / "precious.parquet").read_text() == "precious"
    assert "is not deleted, because it is not in the table's folder" in caplog.text
