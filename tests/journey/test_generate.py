"""`dw generate`: what it says it sent is what the warehouse has."""

import json
import re
import signal
import subprocess
import time

import pytest
from running import DECLARATION, DW, running, started, until
from running import command as dw

from patience import patient

NAMES = ("sent", "good", "malformed", "late", "duplicates", "seed")


def generated(done, code=0):
    assert done.returncode == code, done.stderr
    numbers = json.loads(done.stdout)
    assert tuple(numbers) == NAMES
    return numbers


def status_of(folder):
    """{table: its row of dw status}"""
    done = dw(folder, "status", "--output", "json")
    return {table["table"]: table for table in json.loads(done.stdout)["tables"]}


def totals(folder):
    """What became of all events: received, stored and rejected."""
    streaming = [row for row in status_of(folder).values() if "received" in row]
    return tuple(sum(row[name] for row in streaming) for name in ("received", "stored", "rejected"))


def test_good_events_are_stored_and_malformed_ones_rejected(tmp_path):
    with running(tmp_path) as warehouse:
        options = ("--rate", "0", "--count", "20000", "--malformed", "0.05", "--seed", "5", "--output", "json")
        numbers = generated(warehouse.dw("generate", "clicks", "views", *options))
        warehouse.flush()
        assert numbers["sent"] == numbers["good"] + numbers["malformed"] == 20000
        assert 800 < numbers["malformed"] < 1200
        assert (numbers["late"], numbers["duplicates"], numbers["seed"]) == (0, 0, 5)
        assert totals(tmp_path) == (20000, numbers["good"], numbers["malformed"])
        assert all(status_of(tmp_path)[table]["received"] > 9000 for table in ("clicks", "views"))


def test_late_events_and_second_copies_can_be_found_by_sql(tmp_path):
    with running(tmp_path) as warehouse:
        options = ("--rate", "0", "--count", "30000", "--late", "0.1", "--duplicates", "0.2", "--output", "json")
        numbers = generated(warehouse.dw("generate", "clicks", *options))
        warehouse.flush()
        # Events of 30 seconds, the last of them of now; late ones lie at least an hour before they were sent.
        [row] = warehouse.query(
            "select count(*) as n, count(distinct id) as ids, "
            "count_if(at < current_timestamp - interval '59' minute) as late from clicks"
        )
        assert numbers["late"] > 2000 and numbers["duplicates"] > 1000
        assert row == {"n": 30000, "ids": 30000 - numbers["duplicates"], "late": numbers["late"]}


def test_at_a_rate_until_ctrl_c(tmp_path):
    with running(tmp_path) as warehouse:
        command = [DW, "generate", "clicks", "--rate", "200", "--malformed", "0.1", "--output", "json"]
        with started(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            until(lambda: totals(tmp_path)[0] > 50, "events arrive")
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=patient(30))
        assert process.returncode == 130
        numbers = json.loads(out)
        warehouse.flush()
        assert numbers["sent"] > 50
        assert totals(tmp_path) == (numbers["sent"], numbers["good"], numbers["malformed"])


def test_the_rate_is_kept(tmp_path):
    with running(tmp_path) as warehouse:
        began = time.monotonic()
        warehouse.dw("generate", "clicks", "--rate", "100", "--count", "150")
        assert time.monotonic() - began > 1.49  # the last event is due 1.49 s after the first


def test_what_is_throttled_is_not_counted(tmp_path):
    """A journal that is full and is not converted takes no more: the command says how many it took before."""
    with running(tmp_path, "--journal-bytes-max", "1MiB", "--convert-interval-ms", "60000") as warehouse:
        options = ("--rate", "0", "--count", "100000", "--patience-s", "0.5", "--output", "json")
        done = warehouse.dw("generate", "clicks", *options, check=False)
        numbers = generated(done, code=4)
        assert "journal_bytes_max" in done.stderr
        assert 0 < numbers["sent"] < 100_000
        assert totals(tmp_path)[0] == numbers["sent"]


def test_throttled_events_are_sent_again(tmp_path):
    with running(tmp_path, "--journal-bytes-max", "1MiB", "--convert-interval-ms", "60000") as warehouse:
        command = [
            DW,
            "generate",
            "clicks",
            "--rate",
            "0",
            "--count",
            "40000",
            "--malformed",
            "0.1",
            "--output",
            "json",
        ]

        def was_throttled():
            metrics = warehouse.request("GET", "/metrics")[2].decode()
            return any(float(n) > 0 for n in re.findall(r"^dw_records_refused_total\S* (\S+)$", metrics, re.MULTILINE))

        def has_ended():
            warehouse.flush()  # makes room
            return process.poll() is not None

        with started(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            until(was_throttled, "the journal is full")
            until(has_ended, "all are sent", limit_s=60)
            out, _ = process.communicate(timeout=patient(30))
        warehouse.flush()
        numbers = json.loads(out)
        assert totals(tmp_path) == (40000, numbers["good"], numbers["malformed"])


def test_where_nothing_runs_it_opens_the_folder(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    options = ("--rate", "0", "--count", "12000", "--malformed", "0.1", "--output", "json")
    numbers = generated(dw(tmp_path, "generate", "clicks", *options))
    assert dw(tmp_path, "flush").returncode == 0
    assert totals(tmp_path) == (12000, numbers["good"], numbers["malformed"])


def test_to_files_that_can_be_sent(tmp_path):
    with running(tmp_path) as warehouse:
        options = ("--count", "6000", "--malformed", "0.1", "--output", "json", "--to", "{table}.ndjson")
        numbers = generated(warehouse.dw("generate", "clicks", "views", *options))
        lines = {name: (tmp_path / f"{name}.ndjson").read_bytes().count(b"\n") for name in ("clicks", "views")}
        assert sum(lines.values()) == 6000
        for name, count in lines.items():
            assert warehouse.dw("send", name, f"{name}.ndjson").stdout.startswith(f"{count} events accepted: ")
        warehouse.flush()
        assert totals(tmp_path) == (6000, numbers["good"], numbers["malformed"])


def test_to_standard_output(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    done = dw(tmp_path, "generate", "clicks", "--count", "20", "--seed", "3", "--to", "-")
    assert [json.loads(line).keys() <= {"id", "n", "at"} for line in done.stdout.splitlines()] == [True] * 20
    assert done.stderr == "20 sent, 20 good, 0 malformed, 0 late, 0 duplicates (seed 3)\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("facts",), "has no input stream 'facts'"),
        (("nothing",), "there is no table 'nothing'"),
        (("clicks", "--rate", "-1"), "--rate is -1; valid are events a second, or 0"),
        (("clicks", "--count", "-1"), "--count is -1; valid is a number of events from 0 on"),
        (("clicks", "--late", "7"), "The share of late events is 7.0; valid is a number from 0 to 1"),
        (("clicks", "views", "--to", "all.ndjson"), "--to '{table}.ndjson'"),
        (("clicks", "--to", "missing/clicks.ndjson"), "Cannot write missing/clicks.ndjson: No such file"),
    ],
)
def test_wrong_use(tmp_path, arguments, told):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    done = dw(tmp_path, "generate", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "data").exists()
