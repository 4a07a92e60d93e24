"""Statements of Trino's own tests with the answers that these expect: no answer here is another one.

The pairs are not part of the project: `../shared/data/trino_pairs.jsonl.gz`, described in the README beside it. By
default each fortieth is asked; DW_TEST_TRINO_PAIRS=1 asks all that need no table.
"""

import collections
import decimal
import gzip
import json
import math
import os
import re
import struct
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from datawarehouse.errors import BadRequest, QueryError
from datawarehouse.query.failures import described
from datawarehouse.sql.plan import plan
from datawarehouse.sql.translate.macros import SETTING

PAIRS = Path(__file__).parents[3].parent / "shared" / "data" / "trino_pairs.jsonl.gz"
STEP = int(os.environ.get("DW_TEST_TRINO_PAIRS", "40"))
TABLES = re.compile(
    r"\b(?:orders|lineitem|nation|region|customer|part|partsupp|supplier|tpch)\b|approx_distinct|\b(?:now|random|rand)\(",
    re.I,
)
# Types that are not there: docs/reference/sql.md, "What differs from Athena".
DIFFERENT = re.compile(
    r"(?i)nan|typeof|array_join\(.*TIMESTAMP|(?:cast|to_iso8601|date_add)\(.*TIMESTAMP|time '|as JSON\) AS array\(DEC"
    r"|CAST\(a AS array\(DEC"
)
INTERNALS = re.compile(r"LINE \d|trino_|SET |HUGEINT|CAST\(|(?:Binder|Parser|Catalog) Error")


def pairs():
    if not PAIRS.exists():
        return []
    with gzip.open(PAIRS, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        record for record in records[::STEP] if not TABLES.search(record["sql"] + str(record["expected"].get("sql")))
    ]


def shown(scalar):
    """A value of Arrow as a value that can be compared; rows and arrays as lists."""
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(kind, pa.ExtensionType):
        scalar, kind = scalar.value, kind.storage_type
    if pa.types.is_struct(kind):
        return [shown(scalar[at]) for at in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return {"m": sorted(([shown(entry[0]), shown(entry[1])] for entry in scalar.values), key=repr)}
    if pa.types.is_list(kind):
        return [shown(item) for item in scalar.values]
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        text = (
            str(scalar.cast(pa.timestamp("ms")).as_py()) if pa.types.is_timestamp(kind) else scalar.as_py().isoformat()
        )
        return {"t": moment(text)}
    if pa.types.is_interval(kind):
        value = scalar.as_py()
        return {"i": value.months * 2_592_000_000 + value.days * 86_400_000 + value.nanoseconds // 1_000_000}
    return scalar.as_py()


def moment(text):
    text = re.sub(r"[ T]UTC$|Z$", "", text.replace("T", " "))
    text = text if len(text) > 10 else f"{text} 00:00:00"
    return re.sub(r"([.]\d*?)0+$", r"\1", text).rstrip(".")


def expected(value):
    if isinstance(value, list):
        return [expected(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(tag, inner)] = value.items()
    match tag:
        case "f":
            return float(inner)
        case "r":
            return struct.unpack("f", struct.pack("f", float(inner)))[0]
        case "d":
            return decimal.Decimal(inner)
        case "b":
            return bytes.fromhex(inner)
        case "m":
            return {"m": sorted(([expected(a), expected(b)] for a, b in inner), key=repr)}
        case "t":
            return {"t": moment(str(inner))}
        case "idt":
            return {"i": int(inner)}
        case "iym":
            return {"i": int(inner) * 2_592_000_000}


def equal(one, other):
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, str):
        return one == {"t": moment(other)}
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one is other or (type(one) is not bool and type(other) is not bool and one == other)


@pytest.fixture(scope="module")
def asked():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(SETTING)

    def asked(sql):
        planned = plan(sql, {}, "db", now_ms=1_700_000_000_000)
        for macro in planned.macros:
            connection.execute(macro)
        relation = connection.sql(planned.render({}), params=dict(planned.parameters))
        return [
            [shown(column[at]) for column in relation.columns]
            for relation in [relation.to_arrow_table()]
            for at in range(len(relation))
        ]

    return asked


@pytest.mark.skipif(not PAIRS.exists(), reason="the statements of Trino's tests are not beside the project")
def test_no_answer_differs_from_trinos(asked):
    """Refused is what cannot be answered; what is answered has Trino's value, and no error shows the engine."""
    wrong, internal, outcomes = [], [], collections.Counter()
    for record in pairs():
        for sql in filter(None, (record["sql"], record.get("sql_values"))):
            outcome = "right"
            try:
                found = asked(sql)
            except (QueryError, BadRequest):
                outcome = "refused"
            except duckdb.Error as error:
                outcome = "failed"
                if INTERNALS.search(described(str(error))):
                    internal.append((sql, described(str(error))))
            else:
                kind, want = record["expected"]["kind"], None
                if kind == "value":
                    want = [[expected(record["expected"]["v"])]]
                elif kind == "rows":
                    want = expected(record["expected"]["v"])
                elif kind == "sql":
                    try:
                        want = asked(record["expected"]["sql"])
                    except (QueryError, BadRequest, duckdb.Error):
                        outcome = "unchecked"
                if want is not None and not equal(sorted(found, key=repr), sorted(want, key=repr)):
                    outcome = "different"
                    if not DIFFERENT.search(sql):
                        wrong.append((sql, found, want))
            outcomes[outcome] += 1
    assert not wrong, "\n".join(map(str, wrong))
    assert not internal, "\n".join(map(str, internal))
    assert outcomes["right"] > outcomes["different"] + outcomes["failed"] > 0, outcomes
