"""`dw sql`: on a pseudo-terminal as somebody types there, and with statements from a file."""

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from running import DW, command, running, until
from terminal import typed

from datawarehouse.cli.shell.commands import COMMANDS
from datawarehouse.cli.shell.printing import MODES
from patience import patient

PROMPT = "dw> $"
FOREVER = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1;\n"
)
MANY = "unnest(flatten(transform(sequence(1, 50), s -> sequence(10000 * (s - 1) + 1, 10000 * s)))) t(n)"
"""500,000 rows."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shell")) as warehouse:
        warehouse.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(100)]).encode())
        warehouse.flush()
        yield warehouse


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    with running(tmp_path_factory.mktemp("stopped")) as warehouse:
        warehouse.events("clicks", b'{"id": "one", "n": 1}')
        warehouse.flush()
    return warehouse.folder


@pytest.fixture
def shell(shop, tmp_path):
    with typed([DW, "sql"], shop.folder, XDG_STATE_HOME=str(tmp_path), PAGER="sed s/^/paged:/") as shell:
        shell.until(PROMPT)
        yield shell


def told(shell, line):
    """What is written after a line, until the next prompt."""
    shell.forget()
    shell.type(line + "\n")
    text = shell.until(r"(?s)\n.*dw> $")
    return text.partition("\n")[2].removesuffix("dw> ")


def left(shell):
    shell.type("\\q\n")
    assert shell.process.wait(patient(10)) == 0


def test_each_command(shell, shop):
    (shop.folder / "some.sql").write_text("select 7 as seven;\n\\timing off\n\\timing\n")
    (shop.folder / "round.sql").write_text("\\i some.sql\n\\i round.sql\n")
    says = {
        "\\?": "the tables, or the columns of one",
        "\\d": r"clicks_quarantine +table +\d+\n",
        "\\d clicks": r"column +type +remark\n[- ]+\nid +varchar\nn +integer\n(.*\n)+inserted_at +varchar +part",
        '\\d "clicks"': "id +varchar",
        "\\d clickz": "There is no table 'clickz'. Did you mean clicks",
        "\\x": "a line for each value",
        "\\x off": "as a table",
        "\\x perhaps": "Valid are on and off; got 'perhaps'",
        "\\mode": "The mode is table; there are:\n  table",
        "\\mode csv": "",
        "\\mode sheet": "There is no mode 'sheet'; there are table, expanded",
        "\\mode table": "",
        "\\rows 3": "3 rows",
        "\\rows": "3 rows",
        "\\rows none": "takes all, or a number of rows from 1; got 'none'",
        "\\rows all": "all rows",
        "\\pager on": "PAGER",
        "\\pager off": "No pager",
        "\\timing off": "not said",
        "\\timing": "is said",
        "\\workgroup": "that of people",
        "\\workgroup adhoc": "Workgroup: adhoc",
        "\\i some.sql": "seven\n-----\n    7\n",
        "\\i round.sql": r"seven\n-----\n    7\n(.*\n)+round.sql includes itself",
        "\\i": "takes a file",
        "\\i none.sql": "none.sql cannot be read",
        "\\nonsense": r"There is no command \\nonsense. \\\? lists them",
        "\\timin": r"Did you mean \\timing\?",
        "\\q now": "takes nothing; got now",
    }
    assert {line.split()[0] for line in says} >= COMMANDS.keys()
    for line, pattern in says.items():
        found = told(shell, line)
        assert re.search(pattern, found), (line, found)
    assert "ScanRefused" not in told(shell, "select 1;")
    assert "requires a range of hours" in told(shell, "select * from clicks;")  # it is in the workgroup adhoc now
    left(shell)


def test_each_mode(shell):
    sql = "select n, if(n = 1, 'a|b') as \"text\" from clicks where n < 2 order by n;"
    texts = {
        "table": "n  text\n-  ----\n0  NULL\n1  a|b\n",
        "expanded": "-[ row 1 ]\n   n  0\ntext  NULL\n-[ row 2 ]\n   n  1\ntext  a|b\n",
        "markdown": "| n | text |\n| --- | --- |\n| 0 | NULL |\n| 1 | a\\|b |\n",
        "csv": '"n","text"\n"0",\n"1","a|b"\n',
        "json": '[{"n":0,"text":null},\n{"n":1,"text":"a|b"}]\n',
        "ndjson": '{"n":0,"text":null}\n{"n":1,"text":"a|b"}\n',
    }
    assert texts.keys() == MODES.keys()
    told(shell, "\\timing off")
    for mode, text in texts.items():
        told(shell, f"\\mode {mode}")
        assert told(shell, sql) == text, mode
    told(shell, "\\rows 1")
    for mode in texts:
        told(shell, f"\\mode {mode}")
        found = told(shell, sql)
        assert "a|b" not in found and "a\\|b" not in found and "1 more row; " in found, (mode, found)
    left(shell)


def test_lines_history_and_what_is_given_up(shell, shop, tmp_path):
    shell.forget()
    shell.type("select 40\n")
    shell.until(r"\.\.> $")
    shell.type("  + 2 as answer;\n")
    shell.until(r"(?s)answer\n-+\n +42\n1 row in .*dw> $")
    shell.type("select 'a;\n")  # a semicolon in a quote ends nothing, nor is a backslash a command there
    shell.until(r"\.\.> $")
    shell.type("\\q' as t")
    shell.until("as t$")
    shell.type("\x03")
    shell.until(r"as t\n?(\^C)?\ndw> $")
    shell.type("\x1b[A")  # the arrow up
    shell.until(r"dw> select 40 \+ 2 as answer;$")
    shell.type("\n")
    shell.until(r"(?s)42.*42\n1 row in .*dw> $")
    assert "Unknown" not in told(shell, " select 'secret';")
    shell.type("\x04")
    assert shell.process.wait(patient(10)) == 0
    [kept] = tmp_path.rglob("sql_history")
    assert kept.read_text() == "select 40 + 2 as answer;\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with typed([DW, "sql"], shop.folder, XDG_STATE_HOME=str(tmp_path)) as again:
        again.until(PROMPT)
        again.type("\x1b[A")
        again.until(r"dw> select 40 \+ 2 as answer;$")


def test_the_tab_key(shell):
    def completed(text, to):
        shell.forget()
        shell.type(f"{text}\t\t")
        shell.until(to)
        shell.type("\x03")
        shell.until(PROMPT)

    completed("select * from clicks_q", "select \\* from clicks_quarantine$")
    completed("select * from query_h", "select \\* from query_history$")
    completed("select * from clicks where inserted", "where inserted_at$")
    completed("select * from clicks c where c.inserted", "where c.inserted_at$")
    completed("SELECT DISTI", "SELECT DISTINCT$")
    completed("\\tim", r"\\timing$")
    completed("\\mode mark", r"\\mode markdown$")
    completed("\\d view", r"\\d views$")
    left(shell)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no /proc")
def test_ctrl_c_while_the_tab_key_waits_for_names_drops_the_line(shell, shop):
    threads = Path(f"/proc/{shell.process.pid}/task")
    shop.process.send_signal(signal.SIGSTOP)
    try:
        shell.type("select * from cl")
        shell.until("cl$")
        shell.type("\t")
        until(lambda: len(list(threads.iterdir())) > 1, "the names are asked for")
        shell.type("\x03")
        shell.until(r"cl\n?(\^C)?\ndw> $")
    finally:
        shop.process.send_signal(signal.SIGCONT)
    left(shell)


def computing(shop):
    return {pid for pid, line in shop.children().items() if line == "dw up: query"}


def test_ctrl_c_ends_the_query_and_not_the_shell(shell, shop):
    shell.type(FOREVER)
    shell.until("The query runs, [0-9]+ s$")
    before = computing(shop)
    shell.type("\x03")
    shell.until("The query was ended.\ndw> $")
    until(lambda: not before <= computing(shop), "the process that computed has ended")
    assert "1 row in" in told(shell, "select 1;")
    left(shell)


def children_of(process):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return set(listed.stdout.split())


@pytest.mark.skipif(sys.platform == "darwin", reason="ps of macOS has no --ppid")
def test_when_nothing_runs_the_folder_is_read(stopped, tmp_path):
    with typed([DW, "sql"], stopped, XDG_STATE_HOME=str(tmp_path)) as shell:
        shell.until("since nothing runs. .*\ndw> $")
        assert "id   n  \n" not in told(shell, "select id, n from clicks;")
        shell.type(FOREVER)
        shell.until("The query runs, [0-9]+ s$")
        [child] = children_of(shell.process)
        shell.type("\x03")
        shell.until("The query was ended.\ndw> $")
        assert child not in children_of(shell.process)
        assert "one  1\n1 row in" in told(shell, "select id, n from clicks;")
        assert "clicks_quarantine" in told(shell, "\\d")
        with running(stopped, declaration=None):  # from now on it is asked
            assert "one  1\n1 row in" in told(shell, "select id, n from clicks;")
        assert "one  1\n1 row in" in told(shell, "select id, n from clicks;")
        left(shell)


def test_the_first_screen_does_not_wait_for_the_last_row(shell):
    """The answer fails after 450,000 of its 500,000 rows: what comes before is on the screen all the same."""
    found = told(shell, f"select n, 1 / (n - 450000) as x from {MANY};")
    assert "\n40  0\nDIVISION_BY_ZERO" in found, found
    assert "499960 more rows; " in told(shell, f"select n from {MANY};")
    left(shell)


def test_the_pager_gets_all_rows_and_may_be_left(shell, shop, tmp_path):
    told(shell, "\\pager on")
    assert "paged:99  e99\n" in told(shell, "select n, id from clicks order by n;")
    with typed([DW, "sql"], shop.folder, XDG_STATE_HOME=str(tmp_path), PAGER="head -n 3") as early:
        early.until(PROMPT)
        told(early, "\\pager on")
        assert told(early, f"select n from {MANY};").endswith("1\n")
        left(early)
    with typed([DW, "sql"], shop.folder, XDG_STATE_HOME=str(tmp_path), PAGER="no-such-pager") as none:
        none.until(PROMPT)
        told(none, "\\pager on")
        assert "no-such-pager' cannot be started" in told(none, "select 1;")
        left(none)


def test_a_wide_answer_fits_into_the_terminal(shell):
    found = told(shell, "select lpad('', 60, '漢') as a, lpad('', 60, 'x') as b, 12 as c;")
    assert max(map(len, found.split("\n")[:3])) <= 80
    assert "漢...  " in found and "x...  12\n" in found
    many = ", ".join(f"'text {n}' as column_{n}" for n in range(20))
    found = told(shell, f"select {many};")
    assert re.search(r"Columns that have no place here: column_\d, .*column_19; \\x shows all", found)
    told(shell, "\\x")
    assert "column_19  text 19\n" in told(shell, f"select {many};")
    left(shell)


# -- not typed


def test_statements_that_are_given(shop):
    def dw(*arguments, stdin=None):
        done = command(shop.folder, "sql", *arguments, stdin=stdin)
        return done.returncode, done.stdout, done.stderr

    (shop.folder / "two.sql").write_text("-- two\nselect 1 as a;\n\\mode csv\nselect 2 as b;\nselect 3 as c")
    assert dw("-c", "select 1 as a", "-c", "select 2 as b;") == (0, "a\n-\n1\nb\n-\n2\n", "")
    assert dw("-f", "two.sql") == (0, 'a\n-\n1\n"b"\n"2"\n"c"\n"3"\n', "")
    assert dw("-f", "-", "--output", "ndjson", stdin="select 5 as x;") == (0, '{"x":5}\n', "")
    assert dw(stdin="select 6 as x;\n\\q\nselect 7 as y;") == (0, "x\n-\n6\n", "")
    assert dw(stdin="") == (0, "", "")
    code, out, errors = dw("-c", "select 1 as a;\n  select nope;\nselect 2;")
    assert (code, out) == (1, "a\n-\n1\n")
    assert errors.startswith("dw sql: COLUMN_NOT_FOUND: line 2:10: Column 'nope'")
    (shop.folder / "wrong.sql").write_text("\\timing off\n\nselect 1;\nselect nope")
    assert dw("-f", "wrong.sql")[2].splitlines()[-1].startswith("dw sql: COLUMN_NOT_FOUND: line 4:8: Column 'nope'")
    assert dw("-c", "\\nonsense")[0] == 2
    assert dw("-c", "drop schema clicks")[0] == 10
    assert dw("-c", "select * from clicks", "--workgroup", "adhoc")[0] == 11
    assert dw("-c", "select 1", "--data", "nowhere")[0] == 4
    code, out, _ = dw("-c", f"select n from {MANY}")  # no terminal: no limit
    assert (code, out.count("\n")) == (0, 500_002)
