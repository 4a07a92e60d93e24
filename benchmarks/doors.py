"""What does a client cost that speaks another protocol than ours?

Method: a table of a million rows (a text, two numbers, a time) in one file, behind `dw up`. In rounds, one after the
other, each in a process of its own, from asking to the last row in the client's own form:

- Arrow: `POST /v1/query` with the format Arrow, read into a table. The baseline.
- Trino: trino-python-client, `fetchall()` (`make .venv/trino/.ready` installs it).
- Athena: PyAthena, `fetchall()` of its plain cursor, which reads pages of 1,000 rows (`make .venv/athena/.ready`).

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

ROUNDS, EVENTS = int(os.environ.get("BENCH_ROUNDS", 7)), int(os.environ.get("BENCH_EVENTS", 1_000_000))
SMALL_QUERIES = 100
HERE = Path(__file__).parent
COLUMNS = TABLES["narrow"]
LARGE = "select * from t"
SMALL = "select n from one where n = 5 limit 1"
CLIENTS = {
    "Arrow": (sys.executable, HERE / "doors_arrow.py"),
    "Trino": (HERE.parent / ".venv" / "trino" / "bin" / "python", HERE / "doors_trino.py"),
    "Athena": (HERE.parent / ".venv" / "athena" / "bin" / "python", HERE / "doors_athena.py"),
}
"""The Python and the program of each door. A program takes the port; it reads statements as JSON, one on each line, and
prints the seconds of each answer and the number of its rows."""


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
        program = [str(part) for part in CLIENTS[name]]
        self.process = subprocess.Popen([*program, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, sql: str) -> tuple[float, int]:
        """The seconds of an answer, and its rows."""
        self.process.stdin.write(json.dumps(sql) + "\n")
        self.process.stdin.flush()
        seconds, rows = json.loads(self.process.stdout.readline())
        return seconds, rows

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def serving(folder: Path):
    command = [DW, "up", "--port", "0", "--output", "json", "--data", str(folder), "--compact-bytes-per-minute", "0",
               "--query-result-rows-max", "100000000", "--query-results-bytes-max", "10000000000"]  # fmt: skip
    with subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.PIPE) as server:
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def spread(values: list[float], form: str = "{:,.0f}") -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def main() -> None:
    there = [name for name, (program, _) in CLIENTS.items() if Path(program).exists()]
    for name in CLIENTS.keys() - there:
        print(f"{name} is left out: its client is not installed")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as temporary:
        folder = Path(temporary) / "data"
        fill(folder)
        with serving(folder) as url:
            measure(there, folder, urlsplit(url).port)


def measure(there: list[str], folder: Path, port: int) -> None:
    clients = {name: Client(name, port) for name in there}
    large: dict[str, list[float]] = {name: [] for name in there}
    small: dict[str, list[float]] = {name: [] for name in (*there, "engine")}
    with Reader(folder, resolve({})) as reader:
        for number in range(ROUNDS + 1):
            for name, client in clients.items():
                seconds, rows = client.ask(LARGE)
                assert rows == EVENTS, (name, rows)
                if number:
                    large[name].append(EVENTS / seconds)
        for number in range(SMALL_QUERIES + 10):
            for name, client in clients.items():
                seconds, _ = client.ask(SMALL)
                if number >= 10:
                    small[name].append(seconds * 1000)
            began = time.perf_counter()
            reader.engine.query(SMALL)
            if number >= 10:
                small["engine"].append((time.perf_counter() - began) * 1000)
    for client in clients.values():
        client.close()
    rows = [(f"{name}: rows/s", spread(found)) for name, found in large.items()]
    rows += [
        (
            f"  {name} / Arrow",
            f"{statistics.median(a / b for a, b in zip(large[name], large['Arrow'], strict=True)):.2f}",
        )
        for name in there
        if name != "Arrow"
    ]
    report(f"{EVENTS:,} rows over each door", rows)
    p50 = {name: statistics.median(found) for name, found in small.items()}
    rows = [(f"{name}: p50, ms", f"{value:.1f}") for name, value in p50.items()]
    rows += [(f"  {name} - engine, ms (bar 10)", f"{p50[name] - p50['engine']:.1f}") for name in there]
    report("A small query over each door", rows)


if __name__ == "__main__":
    main()
