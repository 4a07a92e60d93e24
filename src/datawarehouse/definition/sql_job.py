"""A job that is one SELECT: its result becomes the rows of the hour. No row passes through Python.

with_batch_input_table("daily", {"id": "string", "clicks": "bigint"}, schedule_expression="rate(1 hour)", sql='''
    select id, count(*) as clicks from clicks where inserted_at = :partition group by id
''')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.errors import DeclarationError

STATEMENT = "statement.sql"
"""The file that has the statement among the code of a Lambda function."""

VALUES = ("partition", "open_partition", "time")
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|:([A-Za-z_][A-Za-z0-9_]*)|;""", re.DOTALL)
_NOTHING = re.compile(r"(?>[\s;]|--[^\n]*|/\*.*?\*/)*+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SqlJob:
    """sql: as it was declared, with `:partition`, `:open_partition` and `:time` in the place of the run's values."""

    sql: str

    def bound(self, time_ms: int) -> str:
        """The statement of the run for a scheduled instant."""
        return bound(self.sql, time_ms)


def bound(sql: str, time_ms: int) -> str:
    """A statement with the values of a run; names in texts, quoted names and comments are no values."""
    values = {
        "partition": f"'{partition_of(time_ms - HOUR_MS)}'",
        "open_partition": f"'{partition_of(time_ms)}'",
        "time": f"timestamp '{instant_of(time_ms):%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d}'",
    }
    return _TOKEN.sub(lambda found: values[found[1]] if found[1] else found[0], sql)


def checked_sql_job(table: str, sql: Any) -> SqlJob:
    """Raises DeclarationError if it is no text, or names a value that a run does not have."""
    if not isinstance(sql, str) or not sql.strip():
        raise DeclarationError(f"Table {table!r}: sql is {sql!r}; it is the text of one SELECT.")
    for found in _TOKEN.finditer(sql):
        if found[1] and found[1] not in VALUES:
            valid = ", ".join(f":{name}" for name in VALUES)
            raise DeclarationError(f"Table {table!r}: sql has {found[0]!r}, which no run has; there are {valid}.")
    return SqlJob(_without_end(sql).strip())


def _without_end(sql: str) -> str:
    """A statement without the semicolon at its end, also if only comments follow it: it becomes a part of another."""
    for found in _TOKEN.finditer(sql):
        if found[0] == ";" and _NOTHING.fullmatch(sql, found.start()):
            return sql[: found.start()]
    return sql
