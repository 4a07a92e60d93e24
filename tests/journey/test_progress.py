"""What commands that take long say meanwhile: a line on a terminal, which is erased. And how long they say it took."""

import contextlib
import itertools
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time

import pytest
from running import DW, running, started, until
from terminal import COLOUR

from datawarehouse.cli.answers import begun
from datawarehouse.cli.progress import progress
from patience import patient

ERASE = "\r\x1b[K"
FOREVER = "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1"
JOB = """
import time
from pathlib import Path
from datawarehouse import Warehouse

def waiting(job):
    while not Path("GO").exists():
        time.sleep(0.01)
    yield {"n": 1}

warehouse = (
    Warehouse("shop").with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_batch_input_table("sums", {"n": "int"}, waiting, "cron(0 0 1 1 ? 2090)")
)
"""


class Terminal:
    """A terminal whose other end is `file`; `text` is all that was written."""

    def __init__(self):
        self.end, file = pty.openpty()
        self.file = os.fdopen(file, "w")
        self.text = ""

    def read(self):
        while select.select([self.end], [], [], 0.01)[0]:
            self.text += os.read(self.end, 65536).decode().replace("\r\n", "\n")
        return self.text

    def screen(self):
        """What is left of it, without colours."""
        return "".join(line.rpartition(ERASE)[2] for line in re.split("(?<=\n)", COLOUR.sub("", self.read())))

    def until(self, pattern):
        until(lambda: re.search(pattern, self.read()), f"{pattern} on the terminal")


@pytest.fixture
def terminal():
    opened = Terminal()
    yield opened
    opened.file.close()
    os.close(opened.end)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with running(tmp_path_factory.mktemp("project")) as warehouse:
        warehouse.events("clicks", b"\n".join(json.dumps({"id": "x", "n": n}).encode() for n in range(3000)))
        warehouse.flush()
        yield warehouse


@contextlib.contextmanager
def command(folder, terminal, *arguments):
    with started([DW, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=terminal.file) as process:
        yield process


def test_a_query_says_that_it_runs_and_leaves_its_error_alone(filled, terminal):
    with command(filled.folder, terminal, "query", FOREVER, "--query-time-max-s", "4") as process:
        assert process.wait(patient(30)) == 4
    assert re.search("The query runs, [1-4] s", terminal.read())
    assert terminal.screen().startswith("dw query: The query took longer than 4 s"), terminal.text


def test_a_query_over_files_says_how_much_is_done(filled, terminal):
    wide = b"".join(b'{"id": "%0600d", "n": %d}\n' % (7 ** (n + 100) % 10**600, n) for n in range(5000))
    assert filled.events("views", wide)[0] == 200
    filled.flush()
    long = "select count(*) from views a, views b where regexp_replace(a.id || b.id, '[0-7]+', 'y') = a.id"
    with command(filled.folder, terminal, "query", long) as process:
        terminal.until("The query runs: [0-9]{1,2}%, [0-9]+ s")
        process.send_signal(signal.SIGINT)
        assert process.wait(patient(30)) == 130
    assert terminal.screen() == ""


SLOW_END = """
select n, if(n < 190000, 0, cardinality(array_distinct(transform(sequence(1, 10000), e -> e * n % 7919)))) as x
from unnest(flatten(transform(sequence(1, 50), s -> sequence(10000 * (s - 1) + 1, 10000 * s)))) t(n)"""


def test_an_answer_that_stands_still_says_how_far_it_is(filled, terminal, tmp_path):
    csv = [DW, "query", SLOW_END, "--output", "csv"]
    with (
        (tmp_path / "out").open("wb") as out,
        started(csv, cwd=filled.folder, stdout=out, stderr=terminal.file) as process,
    ):
        terminal.until("The query runs: [0-9]{6} rows, [0-9]+ s$")
        assert (tmp_path / "out").stat().st_size
        process.send_signal(signal.SIGINT)
        assert process.wait(patient(30)) == 130
    assert terminal.screen() == ""


class Asked:
    def progress(self):
        return {"rows": 7, "share": None}


def test_the_same_where_the_answer_is_on_the_screen(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal.file)
    monkeypatch.setattr(sys, "stdout", terminal.file)
    goes_on = threading.Event()

    def pieces():
        yield b"first"
        assert goes_on.wait(patient(30))
        yield b"second"

    def look():
        terminal.until("The query runs: 7 rows, [0-9]+ s$")
        goes_on.set()

    with contextlib.closing(begun(pieces(), Asked())) as coming:
        assert b"".join(itertools.islice(coming, 1)) == b"first"
        threading.Thread(target=look).start()
        assert next(coming) == b"second"
        assert terminal.screen() == ""
        assert next(coming, None) is None


def test_ctrl_c_leaves_no_line(filled, terminal):
    with command(filled.folder, terminal, "query", FOREVER) as process:
        terminal.until("The query runs, ")
        process.send_signal(signal.SIGINT)
        assert process.wait(patient(30)) == 130
    assert terminal.screen() == ""


def test_a_query_whose_process_is_killed_leaves_its_reason_alone(filled, terminal):
    with command(filled.folder, terminal, "query", FOREVER, "--query-threads", "1") as process:  # which runs it here
        terminal.until("The query runs, ")
        [child] = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(child), signal.SIGKILL)
        assert process.wait(patient(30)) == 4
    assert terminal.screen().startswith("dw query: The process of the query was ended by SIGKILL"), terminal.text


def test_what_is_no_terminal_gets_no_line(filled):
    done = subprocess.run(
        [DW, "query", FOREVER, "--query-time-max-s", "3"],
        cwd=filled.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.startswith("dw query: The query took longer than 3 s")
    assert len(done.stderr.splitlines()) == 1


def test_the_line_says_what_was_said_last_in_the_width_of_the_terminal(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal.file)
    with progress("The query runs") as say:
        terminal.until("The query runs, [0-9]+ s$")
        say("The query runs: 10000 rows")
        terminal.until("The query runs: 10000 rows, [0-9]+ s$")
        say("x" * 1000)
        terminal.until("x" * 10)
    assert terminal.screen() == ""
    assert max(map(len, terminal.text.split(ERASE))) < 80


def test_what_takes_no_time_shows_no_line(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal.file)
    with progress("The query runs"):
        pass
    assert terminal.read() == ""


def test_a_run_says_that_its_job_runs(tmp_path, terminal):
    with (
        running(tmp_path, declaration=JOB.replace("GO", str(tmp_path / "go"))),
        command(tmp_path, terminal, "run", "sums", "--output", "json") as process,
    ):
        terminal.until("The job sums runs, [0-9]+ s")
        (tmp_path / "go").touch()
        assert json.loads(process.stdout.read())["outcome"] == "succeeded"
        assert process.wait(patient(30)) == 0
    assert terminal.screen() == ""


def test_a_flush_says_what_it_waits_for(tmp_path, terminal):
    with running(tmp_path) as warehouse:
        warehouse.events("clicks", b'{"id":"before"}')
        warehouse.flush()
        [converting] = [pid for pid, line in warehouse.children().items() if line.endswith("convert")]
        os.kill(converting, signal.SIGSTOP)
        warehouse.events("clicks", b'{"id":"a"}\n{"id":"b"}')
        with command(tmp_path, terminal, "flush") as process:
            terminal.until("Waiting for clicks: 2 records behind; converting for [0-9]+ s, [0-9]+ s")
            os.kill(converting, signal.SIGCONT)
            assert process.wait(patient(30)) == 0
    assert terminal.screen() == ""


@pytest.mark.parametrize("form", ["table", "csv"])
def test_the_time_of_a_query_is_the_whole_until_the_last_row_is_written(filled, form):
    sql = "select a.id, a.n, b.n as m from clicks a, clicks b where b.n < 20"
    began = time.monotonic()
    with started(
        [DW, "query", sql, "--output", form], cwd=filled.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.read(1)
        threading.Event().wait(1.5)  # a slow reader: more is written than a pipe holds
        rest = process.stdout.read()
        remark = process.stderr.read().decode()
        took = time.monotonic() - began
    assert len(rest) > 500_000
    said = float(re.fullmatch(r"60000 rows in ([0-9.]+) s; read .*\n", remark)[1])
    assert 1.5 <= said <= took
