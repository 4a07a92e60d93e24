"""Rows of CSV as Athena writes it become rows of JSON as its API gives them."""

import csv
import io
import json
from random import Random

import pyarrow as pa
import pytest

from datawarehouse.query.texts import lines_of
from datawarehouse.server.athena_results import rows_of

VALUES = [None, "", "a", '"', '""', ",", ",,", "\n", '","', '",\n"', "\\", "\\u0041", "\0", "\x1f\t", "é\u2028😀", "{}"]


def lines(rows, width):
    columns = [pa.array([row[at] for row in rows], pa.large_string()) for at in range(width)]
    return lines_of(pa.RecordBatch.from_arrays(columns, [str(at) for at in range(width)]))


def expected(rows):
    return [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows]


@pytest.mark.seeds(fixed=40, random=20)
def test_each_value_comes_through(seed):
    chance = Random(seed)
    width = chance.randint(1, 4)
    likely = chance.sample(VALUES, chance.randint(1, len(VALUES)))
    rows = [[chance.choice(likely) for _ in range(width)] for _ in range(chance.randint(1, 50))]
    found = rows_of(lines(rows, width))
    assert [json.loads(row) for row in found] == expected(rows)
    assert not any(b"\n" in row for row in found)


def test_rows_of_nulls_alone():
    assert [json.loads(row) for row in rows_of(lines([[None], [None]], 1))] == expected([[None], [None]])
    assert [json.loads(row) for row in rows_of(lines([[None] * 3], 3))] == expected([[None] * 3])


def test_the_names_are_a_row():
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(["a", 'b"', "c,\n"])
    assert [json.loads(row) for row in rows_of(written.getvalue().encode())] == expected([["a", 'b"', "c,\n"]])
