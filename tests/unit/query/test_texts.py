"""Texts that a writer of single values cannot give, or gives otherwise; and how much is written at a time.

`tests/property/test_texts_equal_rows.py` compares all others with such a writer.
"""

import json
import struct
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from datawarehouse.errors import QueryFailed
from datawarehouse.query.formats import encoded


def written(column, form="ndjson"):
    batch = pa.RecordBatch.from_arrays([column], ["c"])
    return b"".join(encoded(batch.schema, [batch], form)).decode()


@pytest.mark.parametrize(
    ("kind", "key", "text"),
    [
        (pa.bool_(), True, "true"),
        (pa.float64(), 1e16, "1e16"),
        (pa.float64(), float("-inf"), "-Infinity"),
        (pa.decimal128(9, 2), Decimal("1.50"), "1.50"),
        (pa.list_(pa.string()), ["a", None], '["a",null]'),
        (pa.struct({"x": pa.int32()}), {"x": 1}, '{"x":1}'),
    ],
    ids=str,
)
def test_the_key_of_a_map_is_written_as_a_cell_with_its_value(kind, key, text):
    column = pa.array([[(key, 7)]], pa.map_(kind, pa.int32()))
    assert written(column) == json.dumps({"c": {text: 7}}, separators=(",", ":")) + "\n"


def test_years_that_python_does_not_have_are_written():
    days = pa.array([-719529, 2932897, 11_248_737, -12_687_428], pa.int32())
    assert written(days.cast(pa.date32()), "csv").split()[1:] == [
        '"-0001-12-31"', '"10000-01-01"', '"32767-12-31"', '"-32767-01-01"',
    ]  # fmt: skip
    instants = pa.array([253402300800_000_000, 253402300800_000_001, -62167219200_000_001], pa.int64())
    assert written(instants.cast(pa.timestamp("us")), "csv").split()[1:] == [
        '"10000-01-01T00:00:00.000Z"', '"10000-01-01T00:00:00.000001Z"', '"-0001-12-31T23:59:59.999999Z"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None, 11_248_738], pa.int32()).cast(pa.date32()),
        pa.array([-12_687_429], pa.int32()).cast(pa.date32()),
        pa.array([11_248_738 * 86_400_000], pa.int64()).cast(pa.timestamp("ms")),
        pa.array([2**63 - 1], pa.int64()).cast(pa.timestamp("us", "UTC")),
    ],
)
@pytest.mark.parametrize("form", ["ndjson", "csv", "json"])
def test_a_year_that_has_no_text_is_an_error_that_says_so(column, form):
    with pytest.raises(QueryFailed, match="outside of the years -32767 to 32767, which has no text"):
        written(column, form)


def test_texts_with_whatever_has_to_be_escaped_and_with_null_between_them():
    every = "".join(map(chr, range(0x80)))
    column = pa.array([every, None, "", every * 2]).slice(1)
    assert written(column) == "".join(
        json.dumps({"c": text}, separators=(",", ":")) + "\n" for text in [None, "", every * 2]
    ).replace("\\u007f", "\x7f")
    below_null = pa.StringArray.from_buffers(
        3, pa.py_buffer(struct.pack("4i", 0, 1, 3, 4)), pa.py_buffer(b"a\n\x01b"), pa.py_buffer(bytes([0b101]))
    )
    assert written(below_null, "json") == '[{"c":"a"},\n{"c":null},\n{"c":"b"}]\n'


def test_large_rows_are_written_a_few_at_a_time():
    batch = pa.RecordBatch.from_arrays([pa.array(["x" * 1_000_000] * 40)], ["c"])
    pieces = list(encoded(batch.schema, [batch], "ndjson"))
    assert max(map(len, pieces)) < 5_000_000
    assert b"".join(pieces) == (b'{"c":"' + b"x" * 1_000_000 + b'"}\n') * 40


NAME = "is_a_name_that_takes_more_than_its_value"


@pytest.mark.parametrize(
    "columns",
    [
        {f"{NAME}_{number}": pa.array([True] * 10_000) for number in range(30)},
        {"row": pa.StructArray.from_arrays([pa.array([True] * 10_000)] * 30, [f"{NAME}{n}" for n in range(30)])},
        {
            "rows": pa.ListArray.from_arrays(
                pa.array(range(0, 300_001, 300), pa.int32()),
                pa.StructArray.from_arrays([pa.array([True] * 300_000)], [NAME]),
            )
        },
    ],
    ids=["columns", "a row", "lists of rows"],
)
def test_many_small_values_are_written_a_few_at_a_time(columns):
    batch = pa.RecordBatch.from_pydict(columns)
    pieces = list(encoded(batch.schema, [batch], "ndjson"))
    assert max(map(len, pieces)) < 5_000_000
    assert sum(piece.count(NAME.encode()) for piece in pieces) == 300_000


def test_a_piece_is_written_before_the_next_batch_is_read():
    batch, read = pa.RecordBatch.from_arrays([pa.array([1])], ["c"]), []

    def batches():
        for number in range(3):
            read.append(number)
            yield batch

    for form, rows_before in (("ndjson", 0), ("json", 0), ("csv", 1)):
        read.clear()
        pieces = encoded(batch.schema, batches(), form)
        for _ in range(rows_before + 1):
            next(pieces)
        assert read == [0], form


def test_an_error_of_a_batch_comes_after_what_was_written_before():
    batch = pa.RecordBatch.from_arrays([pa.array([1])], ["c"])

    def batches():
        yield batch
        raise QueryFailed("the second batch")

    pieces = encoded(batch.schema, batches(), "ndjson")
    assert next(pieces) == b'{"c":1}\n'
    with pytest.raises(QueryFailed, match="the second batch"):
        next(pieces)


def test_what_duckdb_gives_for_each_type_is_written():
    row = """select true as b, 1::tinyint as t, 9223372036854775807 as big, 170141183460469231731::hugeint as huge,
    0.1::float as r, 1e16::double as d, 0.0000001::decimal(20,10) as small, 'a"\\' || chr(10) as s,
    '\\xC3\\xA4'::blob as raw, date '2026-01-02' as day, timestamp '2026-01-02 03:04:05.678901' as at,
    timestamptz '2026-01-02 03:04:05+00' as tz, interval 3 days as i, '{"a": 1}'::json as j,
    [1, null] as l, {'x': 'y', 'z': null} as row, map {'k': [1]} as m,
    time '01:02:03.4' as clock, time '01:02:03.456789' as exact, null as nothing"""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    table = connection.sql(row).to_arrow_table()
    assert b"".join(encoded(table.schema, table.to_batches(), "ndjson")).decode() == (
        '{"b":true,"t":1,"big":9223372036854775807,"huge":170141183460469231731,"r":0.10000000149011612,"d":1e16,'
        '"small":0.0000001000,"s":"a\\"\\\\\\n","raw":"w6Q=","day":"2026-01-02","at":"2026-01-02T03:04:05.678901Z",'
        '"tz":"2026-01-02T03:04:05.000Z","i":[0,3,0],"j":"{\\"a\\": 1}","l":[1,null],"row":{"x":"y","z":null},'
        '"m":{"k":[1]},"clock":"01:02:03.400","exact":"01:02:03.456789","nothing":null}\n'
    )
