"""A small table in a real DuckDB, and a way to run Athena SQL over it."""

import duckdb
import pytest

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.plan import SETTING, TableSchema, plan

HIDDEN = """, '/data/' || id || '.parquet' AS "$path", 100 AS "$file_size",
    TIMESTAMPTZ '2026-01-01 00:00:00+00' AS "$file_modified_time" """
EVENTS = {
    "id": "bigint",
    "name": "string",
    "price": "double",
    "amount": "decimal(12,2)",
    "small": "smallint",
    "flag": "boolean",
    "at": "timestamp",
    "day": "date",
    "tags": "array<string>",
    "props": "map<string,int>",
    "geo": "struct<lat:double,city:string>",
    "parts": "array<struct<a:int,b:string>>",
    "payload": "string",
}
ROWS = """
    (1, 'ann', 1.5, 10.00, 7, TRUE, '2026-11-23 07:08:09.123', '2026-11-23', ['x', 'y'], MAP {'k': 1, 'l': 2},
     {'lat': 48.1, 'city': 'Ulm'}, [{'a': 1, 'b': 'p'}, {'a': 2, 'b': 'q'}], '{"a": {"b": [1, 2]}, "s": "t"}',
     '2026/11/23/07'),
    (2, 'bob', 2.5, 0.05, 8, FALSE, '2026-11-24 00:00:00', '2026-02-28', ['z'], MAP {'k': 3}, NULL, [], 'no json',
     '2026/11/24/00'),
    (3, 'Cid', NULL, NULL, NULL, NULL, NULL, NULL, [], NULL, NULL, NULL, NULL, '2026/11/24/00')
"""


def schema(name, columns, keys):
    def typed(fields):
        return tuple(Column(field, parse_type(text)) for field, text in fields.items())

    return TableSchema(name, typed(columns), typed(keys))


@pytest.fixture(scope="session")
def tables():
    return {
        "events": schema("events", EVENTS, {"inserted_at": "string"}),
        "users": schema("users", {"id": "bigint", "name": "string"}, {"region": "string", "year": "int"}),
    }


@pytest.fixture(scope="session")
def connection():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(SETTING)
    types = [
        *"BIGINT VARCHAR DOUBLE DECIMAL(12,2) SMALLINT BOOLEAN TIMESTAMP DATE VARCHAR[]".split(),
        "MAP(VARCHAR, INTEGER)",
        "STRUCT(lat DOUBLE, city VARCHAR)",
        "STRUCT(a INTEGER, b VARCHAR)[]",
        *"VARCHAR VARCHAR".split(),
    ]
    columns = ", ".join(f'"{name}" {type}' for name, type in zip([*EVENTS, "inserted_at"], types, strict=True))
    connection.execute(f"CREATE TABLE events ({columns})")
    connection.execute(f"INSERT INTO events VALUES {ROWS}")
    connection.execute("CREATE TABLE users (id BIGINT, name VARCHAR, region VARCHAR, year INTEGER)")
    connection.execute(
        "INSERT INTO users VALUES (1, 'Ann A.', 'eu', 2025), (2, 'Bob B.', 'us', 2026), (4, 'Dan', 'eu', 2026)"
    )
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def answer(connection, tables):
    """Run a statement of Athena SQL; `.rows` are tuples of Python values, `.plan` is its plan."""

    class Answer:
        def __init__(self, sql, *parameters):
            self.plan = plan(sql, tables, "db", parameters)
            sources = {
                scan.id: f"(SELECT *{HIDDEN if scan.hidden_columns else ''} FROM {scan.table})"
                for scan in self.plan.scans
            }
            # A cursor for each: a statement that failed half-way leaves nothing behind for the next.
            cursor = connection.cursor()
            for macro in self.plan.macros:
                cursor.execute(macro)
            relation = cursor.sql(self.plan.render(sources), params=dict(self.plan.parameters) or None)
            columns = relation.to_arrow_table().columns
            self.rows = [tuple(column[row].as_py() for column in columns) for row in range(len(columns[0]))]
            self.types = [str(type) for type in relation.types]

    return Answer
