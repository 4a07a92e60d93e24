"""Statements of Trino's own tests with the answers that these expect: no answer here is another one.

The pairs are not part of the project, see tests/golden/trino_values.py. By default each fortieth is asked;
DW_TEST_TRINO_PAIRS=1 asks all that need no table. `make trino-pairs` counts what is right, with the tables of TPC-H.
"""

import collections
import os
import re

import duckdb
import pytest
from trino_values import ABSENT, INTERNALS, PAIRS, expected, pairs, rows_of, same_rows

from datawarehouse.errors import BadRequest, QueryError
from datawarehouse.query.failures import described
from datawarehouse.sql.plan import plan
from datawarehouse.sql.translate.macros import SETTING

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


def without_tables():
    return [
        record for record in pairs()[::STEP] if not TABLES.search(record["sql"] + str(record["expected"].get("sql")))
    ]


@pytest.fixture(scope="module")
def asked():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(SETTING)

    def asked(sql):
        planned = plan(sql, {}, "db", now_ms=1_700_000_000_000)
        for macro in planned.macros:
            connection.execute(macro)
        relation = connection.sql(planned.render({}), params=dict(planned.parameters))
        return rows_of(relation.to_arrow_table())

    return asked


@pytest.mark.skipif(not PAIRS.exists(), reason=ABSENT)
def test_no_answer_differs_from_trinos(asked):
    """Refused is what cannot be answered; what is answered has Trino's value, and no error shows the engine."""
    wrong, internal, outcomes = [], [], collections.Counter()
    for record in without_tables():
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
                if want is not None and not same_rows(found, want):
                    outcome = "different"
                    if not DIFFERENT.search(sql):
                        wrong.append((sql, found, want))
            outcomes[outcome] += 1
    assert not wrong, "\n".join(map(str, wrong))
    assert not internal, "\n".join(map(str, internal))
    assert outcomes["right"] > outcomes["different"] + outcomes["failed"] > 0, outcomes
