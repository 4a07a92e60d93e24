"""Colour on a terminal, and nowhere else; each command in a pseudo-terminal."""

import json
import re
import subprocess

import pytest
from running import DW, running
from terminal import COLOUR, typed

from patience import patient

DECLARATION = """
from datawarehouse import Warehouse

def divide(job):
    yield {"n": 1 // 0}

warehouse = (
    Warehouse("shop").with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_batch_input_table("sums", {"n": "int"}, divide, "cron(0 0 1 1 ? 2090)")
)
"""
EVENTS = [{"id": "NULL", "n": 1}, {"n": 2}, {"id": "three", "n": 3}, {"id": "x", "n": "y"}]
SQL = "select n, id from clicks order by n"
BOLD, FAINT, RED, GREEN, YELLOW = (rf"\x1b\[{style}m" for style in ("1", "2", "31", "32", "33"))
END = r"\x1b\[0m"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("colour"), declaration=DECLARATION) as warehouse:
        warehouse.events("clicks", json.dumps(EVENTS).encode())
        warehouse.flush()
        subprocess.run([DW, "run", "sums"], cwd=warehouse.folder, capture_output=True, timeout=patient(60))
        yield warehouse


def on_a_terminal(shop, *arguments, **environment):
    """All that a command writes there, with its colours."""
    with typed([DW, *arguments], shop.folder, columns=200, **environment) as terminal:
        terminal.process.wait(patient(60))
        return terminal.raw.replace("\r\n", "\n")


@pytest.mark.parametrize("more", [(), ("--all",), ("--query-threads", "1")], ids=["", "all", "by itself"])
def test_the_answer_of_a_query(shop, more):
    raw = on_a_terminal(shop, "query", SQL, *more)
    assert re.search(rf"{BOLD}n  id{END}\n{FAINT}-  -----{END}\n1  NULL\n2  {FAINT}NULL{END}\n3  three\n", raw), raw
    assert re.search(rf"{FAINT}3 rows in .*{END}\n$", raw), raw


def test_an_error(shop):
    raw = on_a_terminal(shop, "query", "select nope from clicks")
    assert re.fullmatch(rf"{RED}dw query:{END} COLUMN_NOT_FOUND: [^\x1b]*\n", raw), raw
    assert re.match(rf"{RED}dw:{END} There is no verb 'sned'", on_a_terminal(shop, "sned"))


def test_jobs_and_status(shop):
    raw = on_a_terminal(shop, "jobs")
    assert re.search(rf"{BOLD}job{END} +{BOLD}scheduled{END} ", raw), raw
    assert re.search(rf"{RED}failed{END} +{FAINT}NULL{END} .*{RED}ZeroDivisionError: .*{END}\n", raw), raw
    raw = on_a_terminal(shop, "status")
    assert re.match(rf"{BOLD}shop{END} in .*, {GREEN}running{END}\n", raw), raw
    assert re.search(rf"\nclicks +4 +3 +{YELLOW}1{END} +0 ", raw), raw
    assert re.search(rf"\nsums .* {RED}failed{END} ", raw), raw


def test_the_shell(shop, tmp_path):
    with typed([DW, "sql"], shop.folder, XDG_STATE_HOME=str(tmp_path)) as shell:

        def told(line):
            shell.until("dw> $")
            shell.forget()
            shell.type(f"{line}\n")
            shell.until(r"(?s)\n.*dw> $")
            return shell.raw.replace("\r\n", "\n")

        raw = told(f"{SQL};")
        assert re.search(rf"{BOLD}n  id{END}\n{FAINT}-  -----{END}\n1  NULL\n2  {FAINT}NULL{END}\n3  three\n", raw), raw
        raw = told("select nope from clicks;")
        assert re.search(rf"{RED}COLUMN_NOT_FOUND:{END} line 1:8: ", raw), raw
        raw = told("\\d clicks")
        assert re.search(rf"{BOLD}column{END} +{BOLD}type{END} ", raw), raw
        told("\\x")
        raw = told(f"{SQL};")
        assert re.search(rf"{FAINT}-\[ row 2 \]-*{END}\n{BOLD} n{END}  2\n{BOLD}id{END}  {FAINT}NULL{END}\n", raw), raw
        for mode in ("markdown", "csv", "json", "ndjson"):
            told(f"\\mode {mode}")
            assert not COLOUR.search(told(f"{SQL};").partition("3 row")[0].rpartition("\x1b")[0]), mode


@pytest.mark.parametrize("arguments", [("query", SQL), ("query", "oops"), ("status",), ("jobs",)], ids=" ".join)
def test_where_nobody_wants_it(shop, arguments):
    raw = on_a_terminal(shop, *arguments, NO_COLOR="1")
    assert raw and not COLOUR.search(raw), raw


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_has_none(shop, term):
    raw = on_a_terminal(shop, "query", SQL, TERM=term)
    assert raw and "\x1b[" not in raw, raw


def test_no_color_that_is_empty_does_not_count(shop):
    assert COLOUR.search(on_a_terminal(shop, "query", SQL, NO_COLOR=""))


def test_a_pipe_has_none_though_stderr_is_a_terminal(shop):
    with typed(["sh", "-c", f"{DW} query '{SQL}' > out"], shop.folder) as terminal:
        terminal.process.wait(patient(60))
        assert re.fullmatch(rf"{FAINT}3 rows in .*{END}\n", terminal.raw.replace("\r\n", "\n"))
    assert (shop.folder / "out").read_text() == "n  id\n-  -----\n1  NULL\n2  NULL\n3  three\n"


def test_a_pager_gets_none(shop, tmp_path):
    with typed([DW, "sql"], shop.folder, XDG_STATE_HOME=str(tmp_path), PAGER="cat -v") as shell:
        shell.until("dw> $")
        shell.type(f"\\pager on\n{SQL};\n")
        shell.until(r"(?s)3  three\n.*dw> $")
        assert "^[" not in shell.text
