"""Our answers to the statements of a real Trino, and whether they are the same.

`python tests/golden/golden_answers.py` shows what differs and is not in differences.toml.
"""

from __future__ import annotations

import datetime
import math
import re
import struct
import sys
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from real_trino import is_ordered, recorded
from trino_values import INTERNALS

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DataWarehouseError
from datawarehouse.parquet.schema import arrow_type
from datawarehouse.query.failures import described
from datawarehouse.sql.plan import SETTING, TableSchema, plan
from datawarehouse.sql.types import DAYTIMES_WITH_OFFSET, Type, of_column
from datawarehouse.sql.types import duckdb as duckdb_type

DIFFERENCES = Path(__file__).with_name("differences.toml")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sql.md"
NOW_MS = 1_795_564_799_000


class Warehouse:
    """The tables as Trino said them, in a DuckDB."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute(SETTING)
        self._schemas: dict[str, TableSchema] = {}
        self._macros: set[str] = set()
        for line in lines:
            if "table" in line:
                self._make(line["table"], line["columns"], line["rows"])

    def _make(self, name: str, declared: str, rows: list[list[Any]]) -> None:
        pairs = [column.split(":", 1) for column in declared.split()]
        columns = tuple(Column(column, parse_type(kind)) for column, kind in pairs)
        arrays = [
            pa.array([_python(value, arrow_type(column.type)) for value in values], arrow_type(column.type))
            for column, values in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        kinds = ", ".join(
            f"CAST({column.name} AS {duckdb_type(of_column(column.type))}) AS {column.name}" for column in columns
        )
        self._connection.register("filled", pa.table(arrays, [column.name for column in columns]))
        self._connection.execute(f"CREATE TABLE {name} AS SELECT {kinds} FROM filled")
        self._connection.unregister("filled")
        self._schemas[name] = TableSchema(name, columns, ())

    def load(self, name: str, declared: str, file: Path) -> None:
        """A table from a file of values with `|` after each, as dbgen writes it."""
        pairs = [column.split(":", 1) for column in declared.split()]
        columns = tuple(Column(column, parse_type(kind)) for column, kind in pairs)
        kinds = {column.name: duckdb_type(of_column(column.type)) for column in columns}
        self._connection.execute(
            f"CREATE TABLE {name} AS SELECT * EXCLUDE (_) FROM read_csv(?, delim = '|', header = false, quote = '', "
            f"escape = '', columns = {kinds | {'_': 'VARCHAR'}})",
            [str(file)],
        )
        self._schemas[name] = TableSchema(name, columns, ())

    def ask(self, statement: str) -> dict[str, Any]:
        """As `real_trino.Trino.ask`; an error that is not one for users has the key "raw"."""
        try:
            planned = plan(statement, self._schemas, "memory", now_ms=NOW_MS)
        except DataWarehouseError as error:
            return {"error": str(error)}
        cursor = self._connection.cursor()
        for macro in planned.macros:
            if macro not in self._macros:
                cursor.execute(macro)
                self._macros.add(macro)
        text = planned.render({scan.id: f"(SELECT * FROM {scan.table})" for scan in planned.scans})
        try:
            table = cursor.sql(text, params=dict(planned.parameters) or None).to_arrow_table()
        except duckdb.Error as error:
            said = described(str(error))
            return {"error": said, **({"raw": str(error)} if INTERNALS.search(said) else {})}
        columns = list(zip(table.columns, planned.types, strict=True))
        rows = [[_with_zone(_shown(column[at]), kind) for column, kind in columns] for at in range(table.num_rows)]
        return {"types": list(planned.column_types), "rows": rows}


def _python(value: Any, kind: pa.DataType) -> Any:
    """A value of Trino for pyarrow."""
    match value:
        case {"m": pairs}:
            return [(_python(key, kind.key_type), _python(item, kind.item_type)) for key, item in pairs]
        case {"b": digits}:
            return bytes.fromhex(digits)
        case {"d": text}:
            return Decimal(text)
        case {"r": text} | {"f": text}:
            return float(text)
        case {"t": text}:
            return pa.scalar(text).cast(kind).as_py()
        case list() if pa.types.is_struct(kind):
            return {field.name: _python(item, field.type) for field, item in zip(kind, value, strict=True)}
        case list():
            return [_python(item, kind.value_type) for item in value]
    return value


def difference(trino: dict[str, Any], ours: dict[str, Any], *, ordered: bool) -> str:
    """ "" if the answers are the same; else how they differ."""
    if "raw" in ours:
        return "raw"
    if "error" in ours:
        return "" if "error" in trino else "refused"
    if "error" in trino:
        return "accepted"
    if list(map(_kind, trino["types"])) != list(map(_kind, ours["types"])):
        return "type"
    mine, theirs = ours["rows"], [[_canonical(value) for value in row] for row in trino["rows"]]
    if not ordered:
        mine, theirs = sorted(mine, key=repr), sorted(theirs, key=repr)
    return "" if repr(mine) == repr(theirs) else "value"


def _kind(type: str) -> str:
    """A varchar has no length here, and a timestamp at least milliseconds."""
    plain = re.sub(r"varchar\(\d+\)", "varchar", type).replace(" ", "").replace('"', "")
    return re.sub(r"timestamp\([0-2]\)", "timestamp(3)", plain)


def _canonical(value: Any) -> Any:
    """A value of Trino in the form of `_shown`."""
    match value:
        case {"m": pairs}:
            return {"m": sorted(([_canonical(key), _canonical(item)] for key, item in pairs), key=repr)}
        case {"r": text}:
            return {"r": _real(float(text))}
        case {"f": text}:
            return float(text)
        case {"t": text}:
            return {"t": _moment(text)}
        case {"d": text}:
            return Decimal(text)
        case {"b": digits}:
            return bytes.fromhex(digits)
        case list():
            return [_canonical(item) for item in value]
    return value


def _shown(scalar: Any) -> Any:
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(kind, pa.BaseExtensionType):
        scalar, kind = scalar.value, kind.storage_type
    if pa.types.is_struct(kind):
        return [_shown(scalar[at]) for at in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return {"m": sorted(([_shown(entry[0]), _shown(entry[1])] for entry in scalar.values), key=repr)}
    if pa.types.is_list(kind):
        return [_shown(item) for item in scalar.values]
    if pa.types.is_float32(kind):
        return {"r": _real(scalar.as_py())}
    if pa.types.is_interval(kind):
        months, days, nanoseconds = scalar.as_py()
        return {"t": _interval(months, days * 86_400_000 + nanoseconds // 1_000_000)}
    if pa.types.is_timestamp(kind):
        zone = " UTC" if kind.tz else ""
        micros = scalar.cast(pa.timestamp("us")).value
        return {"t": _moment(_instant(micros) + zone)}
    if pa.types.is_time(kind):
        return {"t": _moment(_instant(scalar.value)[11:])}
    if pa.types.is_date(kind):
        return {"t": _instant(scalar.value * 86_400_000_000)[:-16]}
    return scalar.as_py()


def _with_zone(value: Any, kind: Type) -> Any:
    """The value, with times in other zones than UTC, which are texts, marked as times."""
    if value is None:
        return None
    if kind.zone or kind in DAYTIMES_WITH_OFFSET:
        return {"t": _moment(value)}
    if kind.name == "map":
        marked = ([_with_zone(*pair) for pair in zip(entry, kind.args, strict=True)] for entry in value["m"])
        return {"m": sorted(marked, key=repr)}
    if kind.name in ("array", "row"):
        kinds = kind.args * (len(value) if kind.name == "array" else 1)
        return [_with_zone(*pair) for pair in zip(value, kinds, strict=True)]
    return value


def _real(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0]) if math.isfinite(value) else value


def _instant(micros: int) -> str:
    """Years may have more than four digits, or be before 1."""
    days, rest = divmod(micros, 86_400_000_000)
    shift, days_in_cycle = divmod(days, 146_097)  # of the 400 years that the calendar repeats
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(days=days_in_cycle, microseconds=rest)
    year = moment.year + 400 * shift
    return f"{'-' if year < 0 else ''}{abs(year):04d}-{moment:%m-%d %H:%M:%S}.{moment.microsecond:06d}"


def _moment(text: str) -> str:
    """A year beyond 9999 has a sign in Java."""
    return re.sub(r"([.]\d{3}\d*?)0+(?=\D|$)", r"\1", text.removeprefix("+"))


def _interval(months: int, millis: int) -> str:
    if months:
        years, rest = divmod(abs(months), 12)
        return f"{'-' if months < 0 else ''}{years}-{rest}"
    days, rest = divmod(abs(millis), 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{'-' if millis < 0 else ''}{days} {hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def documented() -> dict[str, list[dict[str, Any]]]:
    """row: what differs; accepted: what Athena refuses and is answered here. Each may name statements."""
    return tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))


def named() -> list[str]:
    """The statements that differences.toml names, in its order."""
    return [statement for kind in documented().values() for row in kind for statement in row.get("statements", ())]


def tables_of_the_page() -> dict[str, str]:
    """What stands in docs/reference/sql.md between `<!-- differs -->` or `<!-- accepted -->` and `<!-- end -->`."""
    forms = {"differs": ("row", ("what", "here", "why")), "accepted": ("accepted", ("statement", "here"))}
    heads = {"differs": "| What | Here | Why |\n|---|---|---|", "accepted": "| Statement | Answered here |\n|---|---|"}
    return {
        name: "\n".join([heads[name], *(f"| {' | '.join(row[key] for key in keys)} |" for row in documented()[kind])])
        for name, (kind, keys) in forms.items()
    }


def differing(
    lines: list[dict[str, Any]], part: int = 0, parts: int = 1
) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each statement whose answer here is not Trino's: how it differs, and both answers. part: of so many equal parts
    of the statements, the one that is asked."""
    warehouse, found = Warehouse(lines), {}
    for line in [line for line in lines if "sql" in line][part::parts]:
        ours = warehouse.ask(line["sql"])
        if kind := difference(line, ours, ordered=is_ordered(line["sql"])):
            found[line["sql"]] = (kind, line, ours)
    return found


def shown(statement: str, kind: str, trino: dict[str, Any], ours: dict[str, Any]) -> str:
    there, here = (
        str(each.get("error") or each["types" if kind == "type" else "rows"])[:400] for each in (trino, ours)
    )
    return f"{kind}: {statement}\n    Trino {there}\n    here  {here}"


def main() -> None:
    """What differs and is not named; with the argument `page`, the tables of the page are written anew."""
    if sys.argv[1:] == ["page"]:
        text = PAGE.read_text(encoding="utf-8")
        for name, table in tables_of_the_page().items():
            before, _, rest = text.partition(f"<!-- {name} -->\n")
            text = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
        PAGE.write_text(text, encoding="utf-8")
        return
    known = set(named())
    for statement, found in differing(recorded()).items():
        if statement not in known:
            print(shown(statement, *found))


if __name__ == "__main__":
    main()
