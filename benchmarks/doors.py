"""What does a client cost that speaks another protocol than ours?

Method: a table of a million rows (a text, two numbers, a time) in one file, behind `dw up`. In rounds, one after the
other, each in a process of its own, from asking to the last row in the client's own form:

- Arrow: `POST /v1/query` with the format Arrow, read into a table. The baseline.
- Trino: trino-python-client, `fetchall()` (`make .venv/trino/.ready` installs it).
- Athena's file: PyAthena's PandasCursor, which reads the file of the result by S3's API (`make .venv/athena/.ready`).
- Athena's pages: PyAthena's plain cursor, `fetchall()` of pages of 1,000 rows; of BENCH_PAGED rows, since it is slow.
- The same pages by boto3 alone: PyAthena makes a client of S3 for each result, half of its CPU for a small one.
- The same two by plain HTTP, with hardly a client: what the door costs.

With each, the CPU of the client, and of the server's first process, which is the door: queries run in another one.

Then a small query of a table of one row, all doors one after the other in each round, beside the engine alone: the
same statement in the process of the benchmark, with the data folder open for reading.

`BENCH_ROUNDS` are the rounds, `BENCH_EVENTS` the rows.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
from formats import TABLES, Values
from measuring import DW, report
from queries import commit

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.definition.partition import partition_of
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.tidy.files import stored_file

ROUNDS, EVENTS = int(os.environ.get("BENCH_ROUNDS", 2)), int(os.environ.get("BENCH_EVENTS", 1_000_000))
PAGED = min(EVENTS, int(os.environ.get("BENCH_PAGED", 50_000)))
SMALL_QUERIES = 50
HERE = Path(__file__).parent
COLUMNS = TABLES["narrow"]
LARGE = "select * from t"
SMALL = "select n from one where n = 5 limit 1"
OF_TRINO, OF_ATHENA = (HERE.parent / ".venv" / name / "bin" / "python" for name in ("trino", "athena"))
PAGES, OF_BOTO3 = "Athena's pages", "Athena's pages by boto3"
CLIENTS = {
    "Arrow": (sys.executable, "doors_arrow.py"),
    "Trino": (OF_TRINO, "doors_trino.py"),
    "Athena's file": (OF_ATHENA, "doors_athena.py", "file"),
    PAGES: (OF_ATHENA, "doors_athena.py", "pages"),
    OF_BOTO3: (OF_ATHENA, "doors_athena.py", "boto3"),
    "Athena's file by HTTP": (sys.executable, "doors_http.py", "file"),
    "Athena's pages by HTTP": (sys.executable, "doors_http.py", "pages"),
}
"""The Python and the program of each door, and what it is to read. A program takes the port; it reads statements as
JSON, one on each line, and prints the seconds of each answer, the number of its rows, and its CPU seconds."""


def fill(folder: Path) -> None:
    warehouse = Warehouse("bench").with_streaming_input_table("t", COLUMNS).with_streaming_input_table("one", COLUMNS)
    open_warehouse(warehouse, folder).close()
    (folder.parent / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\n"
        f"warehouse = Warehouse('bench').with_streaming_input_table('t', {COLUMNS!r})"
        f".with_streaming_input_table('one', {COLUMNS!r})\n"
    )
    lake, values, partition, files = Lake(folder), Values(), partition_of(1_780_000_000_000), []
    for table, count in (("t", EVENTS), ("one", 1)):
        schema = arrow_schema(next(each.columns for each in warehouse.tables() if each.name == table))
        rows = pa.Table.from_arrays([values.of(field.name, field.type, count) for field in schema], schema=schema)
        footer = Footer(table, ROWS, partition, [(0, count - 1)], count, count, 1)
        files.append(stored_file(lake.write("0-bench", schema, [rows], footer, merged=True)))
    commit(folder, files)


class Client:
    """A program of CLIENTS that runs."""

    def __init__(self, name: str, port: int) -> None:
        python, program, *form = CLIENTS[name]
        command = [str(python), str(HERE / program), str(port), *form]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, sql: str) -> tuple[float, int, float]:
        """The seconds of an answer, its rows, and the CPU seconds of the client."""
        self.process.stdin.write(json.dumps(sql) + "\n")
        self.process.stdin.flush()
        seconds, rows, cpu = json.loads(self.process.stdout.readline())
        return seconds, rows, cpu

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def serving(folder: Path):
    command = [DW, "up", "--port", "0", "--output", "json", "--data", str(folder), "--compact-bytes-per-minute", "0",
               "--query-result-rows-max", "100000000", "--query-results-bytes-max", "10000000000",
               "--keep-alive-s", "600"]  # fmt: skip
    with subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.PIPE) as server:
        try:
            yield json.loads(server.stdout.readline())["url"], server.pid
        finally:
            server.terminate()


def spread(values: list[float], form: str = "{:,.0f}") -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def main() -> None:
    there = [name for name, (python, *_) in CLIENTS.items() if Path(python).exists()]
    for name in CLIENTS.keys() - there:
        print(f"{name} is left out: its client is not installed")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as temporary:
        folder = Path(temporary) / "data"
        fill(folder)
        with serving(folder) as (url, pid):
            clients = {name: Client(name, urlsplit(url).port) for name in there}
            small(clients, folder, pid)
            large(clients, pid)
            for client in clients.values():
                client.close()


def cpu_of(pid: int) -> float:
    """The CPU seconds of a process until now, without those of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def small(clients: dict[str, Client], folder: Path, pid: int) -> None:
    found: dict[str, list[float]] = {name: [] for name in (*clients, "engine")}
    cpu: dict[str, list[float]] = {name: [] for name in clients}
    door = dict.fromkeys(clients, 0.0)
    with Reader(folder, resolve({})) as reader:
        for number in range(SMALL_QUERIES + 10):
            for name, client in clients.items():
                before = cpu_of(pid)
                seconds, _, used = client.ask(SMALL)
                if number >= 10:
                    found[name].append(seconds * 1000)
                    cpu[name].append(used * 1000)
                    door[name] += (cpu_of(pid) - before) * 1000 / SMALL_QUERIES
            began = time.perf_counter()
            reader.engine.query(SMALL)
            if number >= 10:
                found["engine"].append((time.perf_counter() - began) * 1000)
    p50 = {name: statistics.median(values) for name, values in found.items()}
    rows = [("engine: p50, ms", f"{p50['engine']:.1f}")]
    for name in clients:
        shares = f"{statistics.median(cpu[name]):.1f} and {door[name]:.1f}"
        rows += [
            (f"{name}: p50, ms", f"{p50[name]:.1f}"),
            ("  less the engine, ms (bar 10)", f"{p50[name] - p50['engine']:.1f}"),
            ("  CPU of the client and of the door, ms", shares),
        ]
    report("A small query over each door", rows)


def large(clients: dict[str, Client], pid: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in clients}
    cpu: dict[str, list[float]] = {name: [] for name in clients}
    door: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(ROUNDS):
        for name, client in clients.items():
            asked = PAGED if name in (PAGES, OF_BOTO3) else EVENTS
            before = cpu_of(pid)
            seconds, rows, used = client.ask(f"{LARGE} limit {asked}")
            assert rows == asked, (name, rows)
            rates[name].append(rows / seconds)
            cpu[name].append(used * 1e6 / rows)
            door[name].append((cpu_of(pid) - before) * 1e6 / rows)
    rows = []
    for name, found in rates.items():
        count = f" ({PAGED:,} rows)" if name in (PAGES, OF_BOTO3) else ""
        shares = f"{statistics.median(cpu[name]):.2f} and {statistics.median(door[name]):.2f}"
        rows += [
            (f"{name}: rows/s{count}", spread(found)),
            ("  CPU of the client and of the door, microseconds a row", shares),
        ]
        if name != "Arrow":
            ratios = [a / b for a, b in zip(found, rates["Arrow"], strict=True)]
            rows.append(("  of Arrow's rate", f"{statistics.median(ratios):.3f}"))
    report(f"{EVENTS:,} rows over each door", rows)


if __name__ == "__main__":
    main()
