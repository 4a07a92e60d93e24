"""Asks what trino-python-client and SQLAlchemy ask, and prints the answers as JSON: host, port, then what is asked."""

import sys
from decimal import Decimal

from sqlalchemy import MetaData, Table, create_engine, func, inspect, select
from trino.dbapi import connect
from trino.exceptions import TrinoUserError

port = int(sys.argv[1])
cursor = connect(host="127.0.0.1", port=port, user="ana", catalog="awsdatacatalog", schema="dw").cursor()


def rows(sql, *parameters):
    return [tuple(row) for row in cursor.execute(sql, *parameters).fetchall()]


assert rows("select 1, 'a', 2.5e0, decimal '1.50', true, null") == [(1, "a", 2.5, Decimal("1.50"), True, None)]
assert rows("select id, n from kept where n < ? order by n", (2,)) == [("one", 1)]
assert rows("select tags, m, s from kept where n = 1") == [(["x", "y"], {"k": 1}, (1, "b"))]
assert rows("select typeof(at), day from kept where n = 1")[0][0] == "timestamp(3)"
many = "select a.x * 1000 + b.y from unnest(sequence(0, 199)) a(x), unnest(sequence(1, 1000)) b(y)"
assert sorted(rows(many)) == [(n,) for n in range(1, 200_001)]
assert rows("show tables") == [("clicks",), ("clicks_quarantine",), ("kept",), ("kept_quarantine",), ("query_history",)]
try:
    rows("select nope from kept")
except TrinoUserError as error:
    assert error.error_name == "COLUMN_NOT_FOUND"
else:
    raise AssertionError("no error")

cursor.execute("select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
               "unnest(sequence(1, 10000)) c(z) where x * y * z = -1")  # fmt: skip
cursor.cancel()

engine = create_engine(f"trino://ana@127.0.0.1:{port}/awsdatacatalog/dw")
found = inspect(engine)
assert sorted(found.get_schema_names()) == ["dw", "information_schema", "scratch"], found.get_schema_names()
assert "kept" in found.get_table_names() and found.get_view_names() == []
assert [column["name"] for column in found.get_columns("kept")][:3] == ["id", "n", "tags"]
kept = Table("kept", MetaData(), autoload_with=engine)
with engine.connect() as connection:
    counted = select(kept.c.id, func.count()).where(kept.c.id.like("o%")).group_by(kept.c.id)
    assert connection.execute(counted).all() == [("one", 1)]
sys.stdout.write("all held\n")
