"""A row through both hosts of a job: the rows that the embedded context keeps, and the JSON that Lambda writes."""

from enum import Enum, IntEnum

from datawarehouse.convert.rows import RowConverter
from datawarehouse.definition.tables import checked_columns
from datawarehouse.errors import BadRequest
from datawarehouse.functions.rows import RowWriter
from datawarehouse.jobs.context import EmbeddedJobContext


class Color(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


COLUMNS = {
    "s": "string",
    "i": "int",
    "n": "bigint",
    "f": "float",
    "d": "double",
    "b": "boolean",
    "t": "timestamp",
    "day": "date",
    "dec": "decimal(12,3)",
    "c": "varchar(4)",
    "bin": "binary",
    "a": "array<double>",
    "m": "map<string,int>",
    "mi": "map<int,timestamp>",
    "md": "map<date,decimal(5,1)>",
    "mf": "map<double,boolean>",
    "st": "struct<x:int,y:string,z:array<struct<k:date>>>",
}
CHECKED = checked_columns("t", COLUMNS)
# Made once, as both hosts make them once for many rows.
CONTEXT = EmbeddedJobContext("t", CHECKED, 0, lambda sql, parameters: ())
CONVERTER = RowConverter(CHECKED)
WRITER = RowWriter("t", CHECKED)


def embedded(row):
    """The Arrow rows of the embedded host, or its error."""
    CONTEXT.written.clear()
    try:
        CONTEXT.write([row])
    except (BadRequest, ValueError, RecursionError) as error:
        return error
    [[batch]] = CONTEXT.written.values()
    return batch.to_pylist()


def in_lambda(row):
    """The line that Lambda writes, read back by the same rules; or its error."""
    try:
        line = WRITER.line(0, row)
    except BadRequest as error:
        return error
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    rows = CONVERTER.convert([line])
    assert not rows.rejects, (line, rows.rejects[0][1].message)
    return rows.batches[0].to_pylist()


def same(row):
    here, there = embedded(row), in_lambda(row)
    if isinstance(here, Exception):
        assert isinstance(there, BadRequest), f"embedded: {here!r}; in Lambda: {there!r}"
        if isinstance(here, BadRequest) and "cannot be written" not in str(here):
            assert str(there) == str(here)
    else:
        assert repr(there) == repr(here)  # repr tells -0.0 from 0.0
