"""Each command once as a process of its own, as `dw` is installed; what they print is tested where they run cheaper."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from running import DW, running

from datawarehouse.cli.main import VERBS
from patience import patient

DECLARATION = """
from datawarehouse import Warehouse

def job(context):
    yield {"n": 7}

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "at": "timestamp"}, event_time="at")
    .with_table("prices", {"item": "string"}, {"day": "string"})
    .with_batch_input_table("sums", {"n": "int"}, job, "rate(1 day)")
)
"""
LOAD = ("--events-per-day", "1e6", "--event-bytes", "100")
CALLS = {
    "init": (("new",), "Wrote new/warehouse.py"),
    "check": (("one.ndjson", "--table", "clicks"), "1 event would give 1 row of clicks"),
    "send": (("clicks", "-"), "1 event accepted: 1 stored, 0 rejected"),
    "generate": (("clicks", "--rate", "0", "--count", "5", "--output", "json"), '"sent": 5'),
    "flush": ((), ""),
    "query": (("select id from clicks where id = 'one'", "--output", "csv"), '"one"'),
    "sql": (("-c", "select id from clicks where id = 'one'", "--output", "csv"), '"one"'),
    "lint-sql": (("one.sql",), "1 statement, 0 problems"),
    "translate": (("--from", "redshift", "one.sql"), "1 statement: 1 translated"),
    "queries": ((), "workgroup"),
    "tables": ((), "streaming input table"),
    "status": ((), "running"),
    "doctor": ((), "Nothing is wrong"),
    "run": (("sums",), "succeeded"),
    "backfill": (("sums", "--from", "2026-11-01", "--to", "2026-11-02", "--again"), "succeeded"),
    "jobs": ((), "succeeded"),
    "lateness": (("clicks",), "maximum"),
    "audit": ((), "no known data errors"),
    "compact": ((), "files_before"),
    "expire": (("--dry-run",), "partition"),
    "backup": (("backups",), "is in it"),
    "restore": (("backups", "--data", "restored"), "compared with its digest"),
    "quarantine": (("ls", "clicks"), ""),
    "export": (("--duckdb",), "duckdb.sql"),
    "cost": (LOAD, "Kinesis Data Streams"),
    "rights": (("--account", "123456789012"), "kinesis:CreateStream"),
    "keys": (("ls",), "workgroup"),
    "partition": (("prices", "2026-11-01"), ""),
    "completion": (("bash",), "complete -o default"),
    "push": (("--help",), "usage: dw push"),  # tests/aws/test_push_kill.py runs it as a process
    "stop": ((), "has stopped"),
}
"""Verb -> (arguments, a part of what it prints), in an order in which each has something to do."""


FORMS = ("table", "csv", "parquet")


@pytest.mark.parametrize("verb", sorted(CALLS.keys() | (VERBS.keys() - {"up", "demo"})))
def test_there_is_a_call_of_each_verb(verb):
    assert verb in CALLS
    assert verb in VERBS


def test_each_verb_as_a_process(tmp_path):
    (tmp_path / "one.sql").write_text("select id from clicks where id = 'one'")
    (tmp_path / "one.ndjson").write_text('{"id":"one"}\n')
    with running(tmp_path, declaration=DECLARATION, fresh=True):  # the verb `up`
        (tmp_path / "data" / "prices" / "2026-11-01").mkdir(parents=True)
        for verb, (arguments, says) in CALLS.items():
            done = subprocess.run(
                [DW, verb, *arguments],
                cwd=tmp_path,
                input='{"id":"one"}\n',
                capture_output=True,
                text=True,
                timeout=patient(60),
            )
            assert (done.returncode, "Traceback" in done.stderr) == (0, False), (verb, done.stderr)
            assert says in done.stdout + done.stderr, (verb, done.stdout, done.stderr)
    status = subprocess.run([DW, "status", "--output", "json"], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(status.stdout)["running"] is False


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_one_line_and_an_exit_code(tmp_path):
    rows = "select x from unnest(flatten(transform(sequence(1, 10), s -> sequence(1, 10000)))) a(x)"
    with running(tmp_path, declaration=DECLARATION):
        for call in ("tables", "status --output json", *(f"query '{rows}' --output {form}" for form in FORMS)):
            done = subprocess.run(["sh", "-c", f"exec {DW} {call} > /dev/full"], cwd=tmp_path, text=True, stderr=-1)
            said = f"dw {call.split()[0]}: There is no space left where the output or a file is written "
            assert (done.returncode, done.stderr) == (4, f"{said}([Errno 28] No space left on device).\n"), call


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this system has no /proc/<pid>/maps")
def test_a_process_that_converts_loads_no_pandas(tmp_path):
    """pyarrow would load it, where it is installed, with the first array that it makes."""
    assert importlib.util.find_spec("pandas")
    with running(tmp_path, declaration=DECLARATION, fresh=True) as warehouse:
        warehouse.events("clicks", b'{"id": "one"}\n{"id": 2}')
        warehouse.flush()
        [converts] = [pid for pid, command in warehouse.children().items() if command.endswith(" convert")]
        loaded = Path(f"/proc/{converts}/maps").read_text()
        assert "pyarrow" in loaded
        assert "pandas" not in loaded
