"""Reads tables with awswrangler, s3fs, pandas, polars and PyAthena at AWS_ENDPOINT_URL, and compares what they give."""

import os
import sys
from datetime import datetime

import awswrangler as wr
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import s3fs
from pyathena import connect
from pyathena.arrow.cursor import ArrowCursor
from pyathena.pandas.cursor import PandasCursor
from pyathena.polars.cursor import PolarsCursor
from pyathena.s3fs.cursor import S3FSCursor

TABLE = "s3://dw-tables/clicks/"
KEPT = {
    "id": "string", "n": "int", "tags": "array<string>", "m": "map<string,int>", "s": "struct<a:int,b:string>",
    "at": "timestamp", "day": "date", "inserted_at": "string",
}  # fmt: skip

# -- awswrangler: the catalog
assert wr.catalog.databases()["Database"].tolist() == ["dw"]
assert wr.catalog.tables(database="dw")["Table"].tolist() == ["clicks", "clicks_quarantine", "kept", "kept_quarantine"]
assert wr.catalog.tables(database="dw", name_contains="ep")["Table"].tolist() == ["kept", "kept_quarantine"]
assert wr.catalog.tables(database="dw", name_suffix="cks")["Table"].tolist() == ["clicks"]
assert [each["Name"] for each in wr.catalog.search_tables(text="kept")] == ["kept", "kept_quarantine"]
assert wr.catalog.get_table_types("dw", "kept") == KEPT
assert (wr.catalog.does_table_exist("dw", "clicks"), wr.catalog.does_table_exist("dw", "none")) == (True, False)
assert wr.catalog.get_table_location("dw", "clicks") == TABLE
[(location, [hour])] = wr.catalog.get_partitions("dw", "clicks").items()
assert location == f"{TABLE}{hour}/"
assert wr.catalog.get_partitions("dw", "clicks", expression=f"inserted_at = '{hour}'") == {location: [hour]}
assert wr.catalog.get_partitions("dw", "clicks", expression=f"inserted_at > '{hour}' and inserted_at like '20%'") == {}

# -- awswrangler: files, and queries with the file of their result
assert sorted(wr.s3.read_parquet(TABLE)["n"]) == list(range(1000))
assert len(wr.s3.read_parquet(location, dataset=True)) == 1000
kept = wr.s3.read_parquet_table(database="dw", table="kept")
assert kept["n"].tolist() == [1, 2]
assert list(kept["tags"][0]) == ["x", "y"]
values = "'a \"b\", c' as x, cast(null as varchar) as z, date '2026-01-31' as d"
sql = f"select id, n, {values} from clicks where n < 3 order by n"
for options in ({}, {"s3_output": "s3://mine/out/"}, {"workgroup": "primary-managed"}):
    frame = wr.athena.read_sql_query(sql, database="dw", ctas_approach=False, **options)
    assert frame["n"].tolist() == [0, 1, 2]
    assert frame["x"].tolist() == ['a "b", c'] * 3
    assert frame["z"].isna().all()
    assert str(frame["d"][0]) == "2026-01-31"
chunks = wr.athena.read_sql_query("select n from clicks", database="dw", ctas_approach=False, chunksize=300)
assert sum(map(len, chunks)) == 1000
assert wr.athena.read_sql_table("kept", database="dw", ctas_approach=False)["at"][1] == datetime(
    2026, 1, 31, 12, 0, 0, 500_000
)
assert wr.sts.get_account_id() == "000000000000"

# -- s3fs, pandas, polars, pyarrow
files = s3fs.S3FileSystem()
[path] = files.find("dw-tables/clicks")
assert files.glob("dw-tables/clicks/*/*/*/*/*.parquet") == [path]
assert (files.isdir("dw-tables/clicks"), files.exists(f"{path}x")) == (True, False)
with files.open(path) as file:
    assert (file.read(4), file.seek(-4, 2) > 0, file.read()) == (b"PAR1", True, b"PAR1")
try:
    files.pipe("dw-tables/clicks/mine", b"x")
except PermissionError:
    pass
else:
    raise AssertionError("it was written")
assert pd.read_parquet(TABLE)["n"].sum() == 499_500
plain = {"aws_allow_http": "true", "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
assert (
    pl.scan_parquet(f"{TABLE}**/*.parquet", storage_options=plain).select(pl.col("n").sum()).collect().item() == 499_500
)
assert ds.dataset(TABLE.rstrip("/"), format="parquet").count_rows() == 1000

# -- PyAthena, whose cursors read the file of a result
for cursor in (PandasCursor, PolarsCursor, S3FSCursor):
    with connect(
        s3_staging_dir="s3://mine/stage/", schema_name="dw", cursor_class=cursor, poll_interval=0.05
    ) as opened:
        found = opened.cursor().execute("select id, n from clicks where n < 3 order by n").fetchall()
        assert [tuple(row) for row in found] == [("0", 0), ("1", 1), ("2", 2)], cursor
with connect(work_group="primary-managed", schema_name="dw", cursor_class=ArrowCursor, poll_interval=0.05) as opened:
    assert opened.cursor().execute("select n from clicks").as_arrow().num_rows == 1000
sys.stdout.write("all held\n")
