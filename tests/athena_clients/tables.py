"""The tables that PyAthena's tests read, as a declaration, and their rows."""

import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse import Warehouse

_COMPLEX = {
    "col_boolean": "boolean", "col_tinyint": "tinyint", "col_smallint": "smallint", "col_int": "int",
    "col_bigint": "bigint", "col_float": "float", "col_double": "double", "col_string": "string",
    "col_varchar": "varchar(10)", "col_timestamp": "timestamp", "col_date": "date", "col_binary": "binary",
    "col_array": "array<int>", "col_map": "map<int,int>", "col_struct": "struct<a:int,b:int>",
    "col_decimal": "decimal(10,1)",
}  # fmt: skip
_NUMBERS = {"number_of_rows": "int"}
_EMPTY = [
    "execute_many", "execute_many_aio", "execute_many_pandas", "execute_many_pandas_unload_auto",
    "execute_many_pandas_unload_pyarrow", "execute_many_arrow", "execute_many_arrow_unload", "execute_many_polars",
    "execute_many_polars_unload",
]  # fmt: skip

warehouse = (
    Warehouse("pyathena")
    .with_table("one_row", _NUMBERS)
    .with_table("view_one_row", _NUMBERS)
    .with_table("many_rows", {"a": "int"})
    .with_table("one_row_complex", _COMPLEX)
    .with_table("partition_table", {"a": "string"}, partition_keys={"b": "int"})
    .with_table("integer_na_values", {"a": "int", "b": "int"})
    .with_table("boolean_na_values", {"a": "boolean", "b": "boolean"})
    .with_table("parquet_with_compression", {"a": "int"})
)
for _name in _EMPTY:
    warehouse.with_table(_name, {"a": "int", "b": "string"})


def fill(lake: Path) -> None:
    """Write the rows of PyAthena's tests/resources/rows and of insert_into_table.sql."""
    ints = pa.int32()
    numbers = pa.table({"number_of_rows": pa.array([1], ints)})
    pairs = pa.struct([("a", ints), ("b", ints)])
    tables = {
        "one_row": numbers,
        "view_one_row": numbers,
        "many_rows": pa.table({"a": pa.array(range(10_000), ints)}),
        "integer_na_values": pa.table({"a": pa.array([1, 1, None], ints), "b": pa.array([2, None, None], ints)}),
        "boolean_na_values": pa.table({"a": [True, False, None], "b": [False, None, None]}),
        "one_row_complex": pa.table(
            {
                "col_boolean": [True],
                "col_tinyint": pa.array([127], pa.int8()),
                "col_smallint": pa.array([32767], pa.int16()),
                "col_int": pa.array([2147483647], ints),
                "col_bigint": [9223372036854775807],
                "col_float": pa.array([0.5], pa.float32()),
                "col_double": [0.25],
                "col_string": ["a string"],
                "col_varchar": ["varchar"],
                "col_timestamp": pa.array([datetime(2017, 1, 1)], pa.timestamp("ms")),
                "col_date": [date(2017, 1, 2)],
                "col_binary": [b"123"],
                "col_array": pa.array([[1, 2]], pa.list_(ints)),
                "col_map": pa.array([[(1, 2), (3, 4)]], pa.map_(ints, ints)),
                "col_struct": pa.array([{"a": 1, "b": 2}], pairs),
                "col_decimal": pa.array([Decimal("0.1")], pa.decimal128(10, 1)),
            }
        ),
    }
    for name, table in tables.items():
        (lake / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, lake / name / "rows.parquet")


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
