"""What planning computes of a clock, texts and times is what the engine computes; else pruning would leave out rows.

A constant reaches the predicate of a scan, so it is read there.
"""

import random
from contextlib import suppress
from datetime import UTC, date, datetime

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import QueryError
from datawarehouse.sql.plan import SETTING, TableSchema, plan
from datawarehouse.sql.predicate import Compare

TABLES = {
    "t": TableSchema("t", (), tuple(Column(*each) for each in (("k", parse_type("string")), ("d", parse_type("date")))))
}
UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
FORMATS = {
    "date_format": ("%Y/%m/%d/%H", "%Y-%m-%d", "%H:%i:%s", "%c/%e/%k", "100%%", "%T %W", "%y"),
    "format_datetime": ("yyyy/MM/dd/HH", "yyyy-MM-dd'T'HH:mm:ss", "M/d/H", "EEE", "y"),
}


class Expressions:
    """Makes expressions of constants: texts, dates, and times with and without a zone."""

    def __init__(self, chance):
        self.chance = chance

    def pick(self, *choices):
        return self.chance.choice(choices)

    def time(self, depth=2):
        if not depth or self.pick(True, False, False):
            moment = datetime(2026, self.pick(1, 2, 12), self.pick(1, 28), self.pick(0, 23), self.pick(0, 59))
            return self.pick("now()", "current_timestamp", "localtimestamp", f"timestamp '{moment}'")
        inner = self.time(depth - 1)
        return self.pick(
            f"{inner} {self.pick('+', '-')} {self.interval()}",
            f"{self.interval()} + {inner}",
            f"date_add('{self.pick(*UNITS)}', {self.pick(-40, -1, 0, 1, 13)}, {inner})",
            f"date_trunc('{self.pick(*UNITS)}', {inner})",
            f"({inner})",
            f"{inner} at time zone 'UTC'",
        )

    def date(self, depth=2):
        if not depth or self.pick(True, False, False):
            day = date(self.pick(2024, 2026), self.pick(1, 2, 3), self.pick(1, 28))
            return self.pick("current_date", f"date '{day}'", f"cast('{day}' as date)")
        inner = self.date(depth - 1)
        return self.pick(
            f"{inner} {self.pick('+', '-')} {self.interval()}",
            f"date_add('{self.pick(*UNITS[3:])}', {self.pick(-40, -1, 0, 1, 13)}, {inner})",
            f"date_trunc('{self.pick(*UNITS[3:])}', {inner})",
            f"date({self.time(depth - 1)})",
            f"cast({self.time(depth - 1)} as date)",
        )

    def interval(self):
        return f"interval '{self.pick('-1', '1', '3', '31')}' {self.pick(*UNITS[:4], *UNITS[5::2])}"

    def text(self, depth=2):
        written = self.pick(*FORMATS)
        if not depth or self.pick(True, False):
            return f"{written}({self.pick(self.time(), self.date())}, '{self.pick(*FORMATS[written])}')"
        return self.pick(
            f"cast({self.date()} as varchar)",
            f"replace({self.text(depth - 1)}, '{self.pick('-', '/', '00')}', '{self.pick('/', '')}')",
            f"{self.text(depth - 1)} || '/00'",
            f"concat({self.text(depth - 1)}, '/', {self.text(depth - 1)})",
            f"lpad(cast({self.pick('hour', 'day', 'year')}({self.time()}) as varchar), {self.pick(1, 2, 5)}, '0')",
        )


@pytest.fixture(scope="module")
def engine():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(SETTING)
    return connection


def instants(chance):
    """Also at the ends of hours, days, months and of a leap day."""
    day = chance.choice([datetime(2024, 2, 29), datetime(2026, 11, 30), datetime(2025, 12, 31), datetime(2026, 3, 1)])
    time = chance.choice([(0, 0, 0, 0), (23, 59, 59, 999_000), (7, 8, 9, 10_000)])
    moment = day.replace(hour=time[0], minute=time[1], second=time[2], microsecond=time[3], tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def constant(column, text, now_ms):
    """The value that planning knows of an expression, None if it knows none. Raises QueryError if it is not valid."""
    planned = plan(f"select {text} from t where {column} = {text}", TABLES, "db", now_ms=now_ms)
    predicate = planned.scans[0].predicate
    return predicate.value if isinstance(predicate, Compare) else None


def drawn(seed, count):
    """Expressions with the column that each is compared with, and an instant."""
    chance = random.Random(seed)
    make, now_ms = Expressions(chance), instants(chance)
    return [(*chance.choice([("k", make.text()), ("d", make.date())]), now_ms) for _ in range(count)]


@settings(max_examples=80, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 2**32))
def test_values(engine, seed):
    for column, text, now_ms in drawn(seed, 6):
        with suppress(
            QueryError, duckdb.Error
        ):  # where the engine refuses an expression there are no rows to leave out
            if (known := constant(column, text, now_ms)) is not None:
                value = plan(f"select {text}", TABLES, "db", now_ms=now_ms)
                for macro in value.macros:
                    engine.execute(macro)
                (found,) = engine.execute(value.sql, value.parameters or None).fetchone()
                assert known == str(found), text


def test_most_have_a_value():
    known = []
    for column, text, now_ms in drawn(7, 300):
        with suppress(QueryError):
            known.append(constant(column, text, now_ms) is not None)
    assert len(known) > 150
    assert sum(known) > len(known) / 2
