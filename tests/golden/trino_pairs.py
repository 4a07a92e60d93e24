"""How much of what Trino's own tests ask is answered here as they expect it.

`python tests/golden/trino_pairs.py` asks the pairs in scope of a warehouse in a temporary folder and counts; with
`--list WRONG REFUSED` it shows the pairs of these outcomes. It fails if an answer is wrong and not documented, or if an
error is one of the engine. The pairs are described in `trino_values.py`.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from trino_values import ABSENT, INTERNALS, expected, nearly_same_rows, pairs, rows_of, same_rows

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import machine_clock
from datawarehouse.errors import DataWarehouseError
from datawarehouse.folder import catalog_path
from datawarehouse.query import tpch
from datawarehouse.query.engine import Engine
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.result import tuples
from datawarehouse.runtime.reader import read_json
from datawarehouse.settings import resolve
from datawarehouse.sql.catalogs import TPCH_TABLES, Session

RIGHT, REFUSED, WRONG, DOCUMENTED = "RIGHT", "REFUSED", "WRONG", "WRONG-DOCUMENTED"
INVALID, UNCHECKED = "ACCEPTED-INVALID", "UNCHECKED"
OUTCOMES = (RIGHT, UNCHECKED, REFUSED, INVALID, DOCUMENTED, WRONG)
"""From the best to the worst: of the two forms of a pair the worse counts."""

OUT_OF_SCOPE = re.compile(
    r"time \(type\)|timestamp|timestamp with time zone"  # types of which each precision is asked alike
    r"|type/(?:Char|Uuid|IpAddress)Operators|scalar/IpAddressFunctions"
    r"|query/\w*RowPattern\w*"  # MATCH_RECOGNIZE
    # Functions that exist in Trino's tests alone
    r"|gen/VarArgsToArrayAdapterGenerator"
    r"|scalar/(?:BlockAndPositionNullConvention|CustomFunctions|IsNullAnnotation|ScalarParser)"
    r"|type/(?:CastDependencies|ConventionDependencies|InstanceFunction)"
)

LIMITS = QueryLimits(time_max_s=60, memory_bytes_max=2 * 2**30, threads=1, result_rows_max=10**7)
_TINY = Session("tpch", "tiny")
_SQLITE_STEPS = 50_000_000


class Difference(NamedTuple):
    """A documented difference. row: how it is called in differences.toml, and in docs/reference/sql.md. what: of a
    statement that it changes."""

    row: str
    what: re.Pattern[str]


DIFFERENCES = (
    Difference("Doubles and reals next to zero (below 1e-307 and 1e-37), and a few large ones", re.compile("1e-323")),
    Difference("NaN", re.compile(r"(?i)\bnan\b")),
    Difference("`approx_distinct`, `approx_percentile`, `approx_set`", re.compile(r"(?i)\bapprox_distinct\b")),
    Difference("`array_join` and casts of a `timestamp` to text", re.compile(r"array_join\(.*TIMESTAMP '[^.']*'")),
    Difference("`char(n)` columns, lengths of `varchar(n)`", re.compile(r"typeof\(.*VARCHAR\(\d+\)")),
)


class Immeasurable(NamedTuple):
    """What cannot be compared. area: of the pairs. what: of a statement, or of what is expected of it."""

    why: str
    area: str
    what: re.Pattern[str]


IMMEASURABLE = (
    Immeasurable(
        "the test asks in a session whose zone is Pacific/Apia; here a session is in UTC, as on Athena",
        "scalar/DateTimeFunctions",
        re.compile("Pacific/Apia"),
    ),
    Immeasurable("the version is that of the test", "scalar/VersionFunction", re.compile("testversion")),
    Immeasurable(
        "the test has the functions with lengths of varchar, which has none here, and with descriptions",
        "query/ShowQueries",
        re.compile("SHOW FUNCTIONS"),
    ),
    Immeasurable("the test redirects the table to another one", "tpch/TpchTableScanRedirection", re.compile("nation")),
)


class Answer(NamedTuple):
    """table: of the rows; None if there is an error."""

    table: pa.Table | None
    error: str = ""

    @property
    def is_raw(self) -> bool:
        return bool(INTERNALS.search(self.error))


class Asked:
    """Our engine over the tables of TPC-H, asked as the door for clients of Trino asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._catalog = Catalog(catalog_path(folder), writable=False)
        self._engine = Engine(
            "pairs", self._catalog, folder, LIMITS, read_json, machine_clock(resolve({}).number("clock_ahead_max_s"))
        )

    def ask(self, statement: str, session: Session = _TINY) -> Answer:
        try:
            with self._engine.answer(statement, session=session) as answer:
                return Answer(pa.Table.from_batches(list(answer.batches), answer.schema))
        except DataWarehouseError as error:
            return Answer(None, str(error))

    def close(self) -> None:
        self._engine.close()
        self._catalog.close()


class Others:
    """The same tables in SQLite, and in DuckDB for what SQLite does not understand."""

    def __init__(self, folder: Path) -> None:
        self._duckdb = duckdb.connect(config={"threads": 1})
        self._duckdb.execute("SET integer_division = true")
        self._duckdb.execute("CREATE MACRO rand() AS random()")
        self._sqlite = sqlite3.connect(":memory:")
        for table in (name for name in TPCH_TABLES if ".tiny." in name):
            self._load(table, tpch.file_of(table, folder, time.monotonic() + LIMITS.time_max_s))

    def _load(self, table: str, file: Path) -> None:
        name, columns = table.rpartition(".")[2], [column.name for column in TPCH_TABLES[table].columns]
        outputs = ", ".join(f"{tpch.stored_name(table, column)} AS {column}" for column in columns)
        self._duckdb.execute(f"CREATE TABLE {name} AS SELECT {outputs} FROM read_parquet('{file}')")
        for column, kind in self._duckdb.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [name]
        ).fetchall():
            if kind.startswith("DECIMAL"):
                self._duckdb.execute(f"ALTER TABLE {name} ALTER {column} TYPE DOUBLE")
        self._sqlite.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        rows = self._duckdb.execute(f"SELECT * FROM {name}").fetchall()
        texts = ([str(value) if hasattr(value, "isoformat") else value for value in row] for row in rows)
        self._sqlite.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", texts)

    def answers(self, statement: str) -> Iterator[list[Any]]:
        """What each of them says that says anything to a statement of H2, which rounds halves up."""
        statement = statement.replace("CAST(totalprice AS BIGINT)", "CAST(floor(totalprice + 0.5) AS BIGINT)")
        self._sqlite.set_progress_handler(lambda: True, _SQLITE_STEPS)  # ends it
        with suppress(sqlite3.Error):
            yield self._sqlite.execute(statement).fetchall()
        with suppress(duckdb.Error):
            yield self._duckdb.execute(statement).fetchall()

    def close(self) -> None:
        self._duckdb.close()
        self._sqlite.close()


class Found(NamedTuple):
    """What became of a statement. shown: the answer. wanted: what Trino's test expects."""

    outcome: str
    statement: str
    shown: str
    wanted: str
    is_raw: bool = False


class Measure:
    def __init__(self, folder: Path) -> None:
        self._ours = Asked(folder)
        self._others = Others(folder)

    def close(self) -> None:
        self._ours.close()
        self._others.close()

    def found(self, record: dict[str, Any]) -> list[Found]:
        """What became of each form of a pair."""
        statements = dict.fromkeys(filter(None, (record.get("sql"), record.get("sql_values"))))
        return [self._of(statement, record) for statement in statements]

    def _of(self, statement: str, record: dict[str, Any]) -> Found:
        answer, wanted = self._ours.ask(statement, _session(record)), record["expected"]
        outcome = self._outcome(statement, answer, wanted, ordered=bool(record.get("ordered")))
        if outcome == WRONG and row_of(statement):
            outcome = DOCUMENTED
        if outcome == WRONG and why_not(statement, record):
            outcome = UNCHECKED
        said = answer.error if answer.table is None else str(answer.table.slice(0, 20).to_pylist())
        return Found(outcome, statement, said, str(wanted), answer.is_raw)

    def _outcome(self, statement: str, answer: Answer, wanted: dict[str, Any], *, ordered: bool) -> str:
        if answer.table is None:
            return RIGHT if wanted["kind"] == "error" else REFUSED
        match wanted["kind"]:
            case "error":
                return INVALID
            case "succeeds":
                return RIGHT
            case "value":
                same = same_rows(rows_of(answer.table), [[expected(wanted["v"])]])
            case "rows":
                same = same_rows(rows_of(answer.table), expected(wanted["v"]), ordered=ordered)
            case "sql":
                other = self._ours.ask(wanted["sql"]).table
                if other is None:
                    return UNCHECKED
                same = same_rows(rows_of(answer.table), rows_of(other), ordered=ordered)
            case "h2":
                rows, is_known = list(tuples(answer.table)), False
                for others in self._others.answers(wanted["sql"]):
                    is_known = True
                    if nearly_same_rows(rows, others, ordered=ordered):
                        return RIGHT
                if is_known:
                    return WRONG
                # Trino's own form, such as VALUES 1, 2, which neither understands
                other = self._ours.ask(wanted["sql"]).table if wanted["sql"] != statement else None
                if other is None:
                    return UNCHECKED
                same = nearly_same_rows(rows, list(tuples(other)), ordered=ordered)
            case kind:
                raise ValueError(f"{kind!r} is no kind of an expected answer")
        return RIGHT if same else WRONG


def row_of(statement: str) -> str:
    """The documented difference that changes what a statement gives; "" if there is none."""
    return next((each.row for each in DIFFERENCES if each.what.search(statement)), "")


def why_not(statement: str, record: dict[str, Any]) -> str:
    """Why a pair cannot be compared; "" if it can."""
    asked = f"{statement} {record['expected']}"
    return next((each.why for each in IMMEASURABLE if each.area == record["area"] and each.what.search(asked)), "")


def _session(record: dict[str, Any]) -> Session:
    """Where the test has asked: what asks for the catalog and the schema has none."""
    return Session() if record["area"] == "query/SessionFunctions" else _TINY


@contextmanager
def measuring() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as steps:
        steps.enter_context(open_warehouse(Warehouse("pairs"), folder))
        measure = Measure(Path(folder))
        steps.callback(measure.close)
        yield measure


def worst(found: Iterable[Found]) -> Found:
    return max(found, key=lambda each: OUTCOMES.index(each.outcome))


def in_scope(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if not OUT_OF_SCOPE.fullmatch(record["area"])]


def main(arguments: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", nargs="+", choices=OUTCOMES, default=(), help="show the pairs of these outcomes")
    parser.add_argument("--area", default="", help="only areas in which this regular expression is found")
    options = parser.parse_args(arguments)
    records = pairs()
    if not records:
        print(f"Skipped: {ABSENT}.")
        return ""
    scope = [record for record in in_scope(records) if re.search(options.area, record["area"])]
    with measuring() as measure:
        results = []
        for record in scope:
            found = measure.found(record)
            results.append(found)
            for each in found:
                if each.outcome in options.list or each.is_raw:
                    print(told(record, each), flush=True)
    print(f"{len(scope)} pairs in scope, of {len(records)}; a pair counts as the worse of its two forms")
    print("\n".join(summary(scope, results)))
    counts = Counter(worst(found).outcome for found in results)
    raw = sum(each.is_raw for found in results for each in found)
    return f"{counts[WRONG]} wrong, {raw} errors of the engine" if counts[WRONG] or raw else ""


def told(record: dict[str, Any], found: Found) -> str:
    head = f"{found.outcome}{', the engine shows' * found.is_raw}: {record['area']} {record['origin']}"
    return f"{head}\n    {found.statement}\n    here  {found.shown[:600]}\n    Trino {found.wanted[:600]}"


def summary(scope: list[dict[str, Any]], results: list[list[Found]]) -> Iterator[str]:
    counts = Counter(worst(found).outcome for found in results)
    for outcome in (RIGHT, REFUSED, WRONG, DOCUMENTED, INVALID, UNCHECKED):
        yield f"{counts[outcome]:6} {outcome}"
    fails = [record["expected"]["kind"] == "error" for record in scope]
    both = sum(fail and worst(found).outcome == RIGHT for fail, found in zip(fails, results, strict=True))
    over_rows = sum([each.outcome for each in found] == [RIGHT, REFUSED] for found in results)
    yield f"Of those that are RIGHT, {both} are refused by both."
    yield f"Of those that are REFUSED, {over_rows} are right with literals, and refused over rows of values."
    for difference in DIFFERENCES:
        count = sum(
            worst(found).outcome == DOCUMENTED and row_of(found[0].statement) == difference.row for found in results
        )
        yield f"Of those that are WRONG-DOCUMENTED, {count}: {difference.row}."
    for each in IMMEASURABLE:
        count = sum(
            worst(found).outcome == UNCHECKED and why_not(found[0].statement, record) == each.why
            for record, found in zip(scope, results, strict=True)
        )
        yield f"Of those that are UNCHECKED, {count}: {each.why}."
    yield f"Errors that show the engine: {sum(each.is_raw for found in results for each in found)}"


if __name__ == "__main__":
    sys.exit(main() or 0)
