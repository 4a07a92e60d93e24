"""What does an answer of many rows cost in each format, in CPU time?

Method: tables of 100,000 rows in one file each: narrow (a text, two numbers, a time), wide (15 columns, of them a row
and a list), texts (four of a hundred characters; in a tenth of them quotes, line ends or umlauts), NULLs (eight
columns, half of the values), nested (a list of rows, a map, a row in a row). `select *` of each, in rounds, all formats
one after the other in each round:

- writing: the result is in memory; `encoded` in this process. The baseline is Parquet.
- `dw query --output FORMAT > /dev/null`: the process and its child, from start to end. The baseline is Parquet.
- HTTP: the process of the query and the owner, for one request. The baseline is Arrow, which is not text.

CPU time, since it sways less than the clock on a busy machine; medians, and for the ratios medians of the rounds'.
`BENCH_ROUNDS` are the rounds, `BENCH_EVENTS` the rows; `BENCH_FORMATS="writing command http"` asks some of the three.
"""

import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from measuring import DW, report
from queries import commit

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.definition.partition import partition_of
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.query.formats import encoded
from datawarehouse.tidy.files import stored_file

PARTS = os.environ.get("BENCH_FORMATS", "writing command http").split()
ROUNDS, EVENTS = int(os.environ.get("BENCH_ROUNDS", 7)), int(os.environ.get("BENCH_EVENTS", 100_000))
TABLES = {
    "narrow": {"id": "string", "n": "bigint", "at": "timestamp", "price": "double"},
    "wide": {
        "id": "string", "session_id": "string", "user_id": "bigint", "event_time": "timestamp", "day": "date",
        "event_type": "string", "position": "int", "price": "decimal(12,2)", "score": "double", "share": "float",
        "is_bot": "boolean", "url": "string", "device": "struct<os:string,version:string,width:int>",
        "tags": "array<string>", "referrer": "string",
    },
    "texts": dict.fromkeys("abcd", "string"),
    "NULLs": {"a": "string", "b": "string", "c": "bigint", "d": "int", "e": "double", "f": "timestamp", "g": "boolean",
              "h": "decimal(12,2)"},
    "nested": {"l": "array<struct<k:string,n:int>>", "m": "map<string,double>",
               "s": "struct<x:struct<y:int,z:string>>"},
}  # fmt: skip
COMMAND = ("parquet", "ndjson", "csv", "json", "table")
WIRE = ("arrow", "ndjson", "csv", "json")


class Values:
    """Random columns of a type of Arrow."""

    def __init__(self) -> None:
        self.chance = np.random.default_rng(1)

    def of(self, name: str, kind: pa.DataType, count: int) -> pa.Array:
        if pa.types.is_struct(kind):
            children = [self.of(field.name, field.type, count) for field in kind]
            return pa.StructArray.from_arrays(children, fields=list(kind))
        if pa.types.is_map(kind):
            keys = pa.array(["first", "second"] * count)
            offsets = pa.array(range(0, 2 * count + 1, 2), pa.int32())
            return pa.MapArray.from_arrays(offsets, keys, self.of(name, kind.item_type, 2 * count))
        if pa.types.is_list(kind):
            offsets = np.concatenate([[0], np.cumsum(self.chance.integers(0, 4, count))])
            inner = self.of(name, kind.value_type, int(offsets[-1]))
            return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, type=kind)
        return self.flat(name, kind, count)

    def flat(self, name: str, kind: pa.DataType, count: int) -> pa.Array:
        numbers = self.chance.integers(0, 10**7, count)
        if pa.types.is_string(kind):
            return self.texts(name, numbers)
        if pa.types.is_boolean(kind):
            return pa.array(numbers % 20 == 0)
        if pa.types.is_timestamp(kind):
            return pa.array(1_780_000_000_000 + numbers * 1000 + numbers % 1000).cast(pa.timestamp("ms")).cast(kind)
        if pa.types.is_date32(kind):
            return pa.array((20_000 + numbers % 1000).astype(np.int32)).cast(kind)
        if pa.types.is_decimal(kind):
            return pa.array(np.round(numbers / 100, 2)).cast(kind)
        if pa.types.is_floating(kind):
            return pa.array(self.chance.random(count) if name == "score" else np.round(numbers / 100, 2)).cast(kind)
        return pa.array(numbers).cast(kind, safe=False)

    def texts(self, name: str, numbers: np.ndarray) -> pa.Array:
        if name in TABLES["texts"]:
            odd = ('"', "\n", "ä", "\\")
            texts = [f"{n:08d} " + "some words " * 8 + (odd[n % 4] if n % 10 == 0 else ".") for n in numbers.tolist()]
        elif name in ("id", "session_id"):
            texts = [f"{n * 0x9E3779B97F4A7C15 & (1 << 64) - 1:016x}" for n in numbers.tolist()]
        elif name == "url":
            texts = [f"https://shop.example.com/search?q=running+shoes&page={n % 20_000}" for n in numbers.tolist()]
        else:
            texts = [f"{name}-{n % 300}" for n in numbers.tolist()]
        return pa.array(texts)


def declared() -> Warehouse:
    warehouse = Warehouse("bench")
    for name, columns in TABLES.items():
        warehouse = warehouse.with_streaming_input_table(name.lower(), columns)
    return warehouse


def fill(folder: Path) -> None:
    warehouse = declared()
    open_warehouse(warehouse, folder).close()
    lake, values, files = Lake(folder), Values(), []
    partition = partition_of(1_780_000_000_000)
    for table in warehouse.tables():
        schema = arrow_schema(table.columns)
        columns = [values.of(field.name, field.type, EVENTS) for field in schema]
        if table.name == "nulls":
            columns = [pa.array(c.to_pylist(), c.type, mask=values.chance.random(EVENTS) < 0.5) for c in columns]
        rows = pa.Table.from_arrays(columns, schema=schema)
        footer = Footer(table.name, ROWS, partition, [(0, EVENTS - 1)], EVENTS, EVENTS, 1)
        files.append(stored_file(lake.write("0-bench", schema, [rows], footer, merged=True)))
    commit(folder, files)


def rounds(calls: dict[str, Callable[[], tuple[float, ...]]]) -> dict[str, list[tuple[float, ...]]]:
    """What each call gives, once to warm up and then in ROUNDS rounds."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in calls}
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            used = call()
            if number:
                found[name].append(used)
    return found


def lines(title: str, found: dict[str, list[tuple[float, ...]]], baseline: str, at: int = 0) -> list[tuple[str, str]]:
    shown = []
    for name, used in found.items():
        ratio = statistics.median(u[at] / b[at] for u, b in zip(used, found[baseline], strict=True))
        milliseconds = statistics.median(u[at] for u in used) * 1000
        shown.append((f"{title}, {name}", f"{milliseconds:,.0f} ms = {ratio:.2f} x {baseline}"))
    return shown


def writing(table: pa.Table) -> dict[str, list[tuple[float, ...]]]:
    def used(form: str) -> tuple[float]:
        before = time.process_time()
        for _ in encoded(table.schema, table.to_batches(), form):
            pass
        return (time.process_time() - before,)

    return rounds({form: lambda form=form: used(form) for form in ("parquet", "arrow", "ndjson", "csv", "json")})


def by_command(folder: Path, sql: str) -> dict[str, list[tuple[float, ...]]]:
    def used(form: str) -> tuple[float]:
        command = [DW, "query", sql, "--data", str(folder), "--output", form]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, spent = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, form
        return (spent.ru_utime + spent.ru_stime,)

    return rounds({form: lambda form=form: used(form) for form in COMMAND})


def by_http(server: subprocess.Popen, url: str, sql: str) -> dict[str, list[tuple[float, ...]]]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port)

    def used(form: str) -> tuple[float, float]:
        processes = (query_process(server.pid), server.pid)
        before = [on_cpu_s(pid) for pid in processes]
        connection.request("POST", "/v1/query", json.dumps({"sql": sql, "format": form}))
        answer = connection.getresponse()
        while answer.read(1 << 20):
            pass
        assert answer.status == 200
        spent = [on_cpu_s(pid) - was for pid, was in zip(processes, before, strict=True)]
        return spent[0], spent[1]

    found = rounds({form: lambda form=form: used(form) for form in WIRE})
    connection.close()
    return found


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    quiet = ("--query-processes", "1", "--compact-bytes-per-minute", "0")
    command = [DW, "up", "--port", "0", "--output", "json", "--data", str(folder), *quiet]
    with subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.PIPE) as server:
        try:
            yield server, json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def query_process(owner: int) -> int:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(owner)], capture_output=True, text=True, check=True
    )
    [found] = [int(line.split()[0]) for line in listed.stdout.splitlines() if line.endswith("workers query")]
    return found


def on_cpu_s(pid: int) -> float:
    """How long the threads that a process has now were on a processor (Linux)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name) / "data"
        fill(folder)
        (Path(name) / "warehouse.py").write_text(
            "from datawarehouse import Warehouse\nwarehouse = Warehouse('bench')\n"
            + "".join(
                f"warehouse = warehouse.with_streaming_input_table({table.lower()!r}, {columns!r})\n"
                for table, columns in TABLES.items()
            )
        )
        for table in TABLES:
            sql, rows = f"select * from {table.lower()}", []
            if "writing" in PARTS:
                with open_warehouse(declared(), folder, {"compact_bytes_per_minute": 0}) as opened:
                    rows += lines("writing", writing(opened.query(sql).arrow()), "parquet")
            if "command" in PARTS:
                rows += lines("dw query", by_command(folder, sql), "parquet")
            if "http" in PARTS:
                with serving(folder) as (server, url):
                    found = by_http(server, url, sql)
                rows += lines("HTTP, process of the query", found, "arrow") + lines("HTTP, owner", found, "arrow", 1)
            report(f"{EVENTS:,} rows, {table}: CPU time", rows)


if __name__ == "__main__":
    main()
