"""Beside a running warehouse `dw query` and `dw status` are clients of it; without one they read the folder."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading

import pyarrow.parquet as pq
import pytest
from running import DW, command, running, started, until

from patience import patient

LOADED = """
import sys
from datawarehouse.cli.main import main
code = main(sys.argv[1:])
print(code, sorted({"duckdb", "pyarrow", "numpy", "sqlglot", "sqlite3"} & set(sys.modules)), file=sys.stderr)
"""
VALUES = """select * from (values
    (1, 'plain', 1.5e0, true, decimal '1.10', timestamp '2026-01-01 00:00:00', array[1, 2], x'00ff'),
    (-2, 'quo"ted, and' || chr(10) || 'cut', nan(), false, decimal '-0.05', null, array[], null),
    (300, '', infinity(), null, null, timestamp '2026-01-01 00:00:00.123', null, x''),
    (null, null, null, null, null, null, null, null),
    (4, 'wide 漢字 e' || chr(769), -0e0, true, decimal '12345.00', null, array[3], null)
) as t (n, text, double, truth, price, "at", list, bytes) order by n"""
FORMS = ("table", "json", "ndjson", "csv", "parquet")
FOREVER = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1"
)
LONG = (
    "select x, 'text ' || cast(x as varchar) as t "
    "from unnest(flatten(transform(sequence(1, 20), s -> sequence(1, 5000)))) a(x)"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("thin")) as warehouse:
        warehouse.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(100)]).encode())
        warehouse.flush()
        yield warehouse


def run(folder, *arguments, **more):
    return subprocess.run([*arguments], cwd=folder, capture_output=True, check=False, timeout=patient(60), **more)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("query", "select id, n from clicks where n < 3", "--output", form) for form in FORMS),
        ("query", "--dry-run", "select * from clicks"),
        ("status",),
    ],
    ids=" ".join,
)
def test_no_engine_is_loaded(shop, arguments):
    done = run(shop.folder, sys.executable, "-c", LOADED, *arguments)
    assert done.stderr.decode().splitlines()[-1] == "0 []"


def test_with_a_limit_of_its_own_the_command_reads_the_folder_itself(shop):
    done = run(shop.folder, sys.executable, "-c", LOADED, "query", "select 1", "--query-threads", "1")
    assert "duckdb" in done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_what_it_is_without_a_running_warehouse(shop, form):
    answers = []
    for more in ((), ("--query-threads", "2")):
        done = run(shop.folder, DW, "query", VALUES, "--output", form, *more)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(b"5 rows in ")
        answers.append(done.stdout)
    if form == "parquet":
        (shop.folder / "one.parquet").write_bytes(answers[0])
        (shop.folder / "two.parquet").write_bytes(answers[1])
        one, two = (pq.read_table(shop.folder / name).to_pydict() for name in ("one.parquet", "two.parquet"))
        assert repr(one) == repr(two)  # NaN is not equal to itself
    else:
        assert answers[0] == answers[1]


def test_what_is_refused_is_refused_as_before(shop):
    for sql, code, says in (
        ("selec", 2, ""),
        ("drop schema clicks", 10, "drop schema"),
        ("select * from clicjs", 1, "clicks"),
    ):
        done = run(shop.folder, DW, "query", sql)
        assert (done.returncode, done.stdout) == (code, b"")
        assert says in done.stderr.decode() and done.stderr.startswith(b"dw query: ")
    shop.dw("query", "select * from clicks where n = cast(? as int) and id = ?", "--param", "7", "--param", "e7")


def test_an_error_in_the_middle_of_an_answer_is_told(shop):
    sql = LONG.replace("select x,", "select 1 / (x - 5000 * cast(x = 5000 as int)) as d,")
    done = run(shop.folder, DW, "query", sql, "--output", "csv")
    assert done.returncode == 1
    assert "DIVISION_BY_ZERO" in done.stderr.decode().splitlines()[-1]


def test_the_limits_of_a_workgroup_hold(tmp_path):
    declaration = """
from datawarehouse import Warehouse
warehouse = Warehouse("shop").with_workgroup("few", result_rows_max=3).with_workgroup("quick", query_time_max_s=1)
"""
    with running(tmp_path, declaration=declaration) as shop:
        done = shop.dw("query", "--workgroup", "few", LONG, check=False)
        assert done.returncode == 4 and "more than 3 rows" in done.stderr
        done = shop.dw("query", "--workgroup", "quick", FOREVER, check=False)
        assert done.returncode == 4 and "longer than 1 s" in done.stderr
    assert command(tmp_path, "query", "select 1 as x", "--output", "csv").stdout == '"x"\n"1"\n'


def computing(shop):
    return [pid for pid, line in shop.children().items() if line == "dw up: query"]


def test_ctrl_c_ends_the_work_of_the_engine(shop):
    with started([DW, "query", FOREVER], cwd=shop.folder, stderr=subprocess.PIPE) as process:
        [asked] = until(lambda: [q for q in listed(shop) if q["state"] == "running"], "it runs")
        before = computing(shop)
        process.send_signal(signal.SIGINT)
        assert process.wait(patient(10)) == 130
        assert process.stderr.read() == b""
        until(lambda: not set(before) <= set(computing(shop)), "the process that computed has ended")
    state = json.loads(shop.request("GET", f"/v1/queries/{asked['id']}")[2])
    assert (state["state"], state["error"]["code"]) == ("ended", "QueryEnded")


def listed(shop):
    return json.loads(shop.request("GET", "/v1/queries")[2])["queries"]


def test_an_id_of_ones_own(shop):
    def ask(**more):
        status, _, answer = shop.request("POST", "/v1/query", json.dumps({"sql": "select n from clicks", **more}))
        return status, answer.decode()

    assert ask(id="0123456789abcdef")[0] == 200
    state = json.loads(shop.request("GET", "/v1/queries/0123456789abcdef")[2])
    assert (state["state"], state["progress"]["rows"]) == ("succeeded", 100)
    assert state["id"] not in {each["id"] for each in listed(shop)}
    status, answer = ask(id="0123456789abcdef")
    assert status == 400 and "already" in answer
    for wrong in ("", "0123", "x" * 16, "0123456789ABCDEF", 7):
        assert ask(id=wrong)[0] == 400
    assert shop.request("DELETE", "/v1/queries/0123456789abcdef")[0] == 200
    assert shop.request("GET", "/v1/queries/0123456789abcdef")[0] == 404


# -- on a terminal


def on_a_terminal(folder, *arguments, columns=60):
    """What a command prints on a terminal, and its exit code."""
    end, file = pty.openpty()
    text = []

    def read():
        while True:
            try:
                if not (data := os.read(end, 65536)):
                    return
            except OSError:  # the other side is closed
                return
            text.append(data)

    environment = {**os.environ, "COLUMNS": "", "LINES": "", "NO_COLOR": "1"}
    subprocess.run(["stty", "rows", "30", "columns", str(columns)], stdin=file, check=True)
    reading = threading.Thread(target=read)
    with started([DW, *arguments], cwd=folder, stdin=file, stdout=file, stderr=file, env=environment) as process:
        reading.start()
        code = process.wait(patient(60))
        os.close(file)
        reading.join()
    os.close(end)
    lines = b"".join(text).decode().replace("\r\n", "\n").split("\n")
    return "\n".join(line.rpartition("\r\x1b[K")[2] for line in lines), code  # without what was erased


@pytest.fixture(params=["running", "not running"])
def more(request):
    """With a limit of its own, the command reads the folder itself."""
    return () if request.param == "running" else ("--query-threads", "1")


def test_a_table_on_a_terminal_ends_after_forty_rows(shop, more):
    text, code = on_a_terminal(shop.folder, "query", "select n, id from clicks order by n", *more)
    lines = text.splitlines()
    assert code == 0
    assert lines[:3] == [" n  id", "--  ---", " 0  e0"]
    assert lines[41] == "39  e39"
    assert lines[42] == "60 more rows; --all prints all."
    assert re.fullmatch("100 rows in .* s; read 1 file, .*", lines[43])
    text, code = on_a_terminal(shop.folder, "query", "select n, id from clicks order by n", "--all", *more)
    assert text.splitlines()[101] == "99  e99"
    assert "more" not in text


def test_a_table_fits_into_the_terminal(shop, more):
    sql = "select 123456789 as a, lpad('', 70, '漢') as b, lpad('', 50, 'x') as c, 'short' as d"
    text, _ = on_a_terminal(shop.folder, "query", sql, *more, columns=62)
    assert text.splitlines()[2] == f"123456789  {'漢' * 9}...  {'x' * 18}...  short"
    text, _ = on_a_terminal(shop.folder, "query", sql, *more, columns=29)
    assert text.splitlines()[2] == "123456789  漢漢...   xxxxx..."
    assert "Columns that have no place here: d; --all prints all.\n" in text
    text, _ = on_a_terminal(shop.folder, "query", sql, "--all", *more, columns=29)
    assert f"{'漢' * 70}  {'x' * 50}  short\n" in text


def test_a_long_answer_shows_its_first_screen_before_its_end(shop):
    """The rows are there while the rest is still counted."""
    text, _ = on_a_terminal(shop.folder, "query", LONG)
    assert text.splitlines()[42] == "99960 more rows; --all prints all."
