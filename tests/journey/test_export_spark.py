"""PySpark reads exported tables: the right values, and only the files of the asked hours. Skipped without Java."""

import importlib.util
import os
import pickle
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_export import HOUR, ROWS, Clock, fill, live

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.export.export import export
from patience import patient


def has_java():
    """Whether Java runs; on macOS there may be a `java` that only tells where to get one."""
    java = shutil.which("java")
    return java is not None and subprocess.run([java, "-version"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.skipif(not has_java(), reason="Spark needs Java, and no java on the PATH answers to -version"),
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed: requirements/spark.txt"
    ),
]
EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_ads"
HOURS = {
    "inserted_at = '2026/11/23/08'": (["08"], [3, 4, 2**40]),
    "inserted_at >= '2026/11/23/08' and n < 7": (["08", "09"], [3, 4, 6]),
    "inserted_at in ('2026/11/23/07', '2026/11/23/09')": (["07", "09"], [1, 2, 6, 7]),
    "inserted_at < '2026/11/23/07'": ([], []),
}
CLICK_THROUGH = (
    "select campaign, count(*) as shown, count(c.id) as clicked, sum(c.price) as spent from impressions i"
    " left join clicks c on c.impression_id = i.id where i.inserted_at < '2026/11/23/09' group by campaign order by 1"
)
ASKED = {
    "evolved": [
        "select * from clicks order by inserted_at, n",
        "select raw_data, inserted_at from clicks_quarantine",
        "select hour(at) as hour, cast(at as string) as text from clicks where n = 1",
    ]
    + [f"select n from clicks where {predicate}" for predicate in HOURS],
    "example": [
        "select * from impressions order by id",
        "select * from clicks order by id",
        "select error_code, count(*) as records from impressions_quarantine group by error_code order by 1",
        CLICK_THROUGH,
    ],
    "own": ["select * from daily order by day", "select n from daily where day = 6", "select * from mine"],
}

# The timestamps of the files have no zone: that of the session must not move them.
SESSION = """
import pickle, sys
from pathlib import Path
from pyspark.sql import SparkSession

folder, asked = Path.cwd(), pickle.load(sys.stdin.buffer)
options = {
    "spark.ui.enabled": False, "spark.driver.host": "localhost", "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.session.timeZone": "America/New_York", "spark.sql.warehouse.dir": str(folder / "databases"),
    "spark.local.dir": str(folder), "spark.sql.shuffle.partitions": 1, "spark.sql.adaptive.enabled": False,
}
builder = SparkSession.builder.master("local[1]")
for name, value in options.items():
    builder.config(name, value)
spark = builder.getOrCreate()
answers = {}
for name, queries in asked.items():
    spark.sql(f"create database {name}")
    spark.sql(f"use {name}")
    for _ in range(2):  # as after a refresh
        for statement in (folder / name / "out" / "spark.sql").read_text().split(";\\n"):
            if statement.strip():
                spark.sql(statement)
    for sql in queries:
        frame = spark.sql(sql)
        rows = [row.asDict(recursive=True) for row in frame.collect()]
        plan = frame._jdf.queryExecution().executedPlan()
        leaves = plan.collectLeaves()
        files = sum(leaves.apply(at).metrics().apply("numFiles").value() for at in range(leaves.size()))
        answers[name, sql] = {"rows": rows, "files": files, "plan": plan.toString()}
(folder / "answers").write_bytes(pickle.dumps(answers))
"""


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """(warehouse, query) -> what Spark answers; `live` and `mine` are what the warehouse knew and answered."""
    folder = tmp_path_factory.mktemp("spark")
    with fill(folder / "evolved" / "data")[0] as warehouse:
        export(warehouse.catalog, warehouse.folder, [], "spark", folder / "evolved" / "out")
        paths = [path for path, _ in live(warehouse)]
    with example(folder / "example" / "data") as warehouse:
        export(warehouse.catalog, warehouse.folder, [], "spark", folder / "example" / "out")
        mine = {sql: warehouse.query(sql).dicts() for sql in ASKED["example"]}
    with own(folder / "own" / "data", folder / "elsewhere") as warehouse:
        export(warehouse.catalog, warehouse.folder, ["daily", "mine"], "spark", folder / "own" / "out")
    command, asked = [sys.executable, "-c", SESSION], pickle.dumps(ASKED)
    # A virtual machine that lives for some seconds is better off without its second compiler.
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    done = subprocess.run(command, cwd=folder, input=asked, capture_output=True, timeout=patient(110), env=environment)
    assert done.returncode == 0, done.stderr.decode()
    answers = pickle.loads((folder / "answers").read_bytes())
    return {**answers, "live": paths, "mine": mine}


def example(folder):
    """The example's warehouse, open: events in three hours, those of two merged."""
    clock = Clock()
    declared = runpy.run_path(str(EXAMPLE / "warehouse.py"))["warehouse"]
    warehouse = open_warehouse(declared, folder, {"convert_interval_ms": 10}, clock)
    for number in range(60):
        campaign, at = ("tents", "boots", "lamps")[number % 3], f"2026-11-23T07:00:{number:02}.250Z"
        shown = {"id": f"i{number}", "session_id": "s", "event_time": at, "campaign": campaign, "position": number % 5}
        warehouse.put("impressions", [{**shown, "device": {"os": "web", "width": number}}, "malformed"])
        if number % 4 == 0:
            clicked = {"id": f"c{number}", "impression_id": f"i{number}", "event_time": at, "price": number / 16}
            warehouse.put("clicks", [clicked])
        if number % 10 == 9:
            warehouse.flush()
            clock.now += HOUR // 2
    return warehouse


def own(folder, elsewhere):
    """A warehouse, open, with tables that a user fills: one with registered partitions, one without."""
    declared = (
        Warehouse("own")
        .with_table("daily", {"n": "int"}, partition_keys={"region": "string", "day": "int"})
        .with_table("mine", {"n": "bigint", "missing": "string"})
    )
    warehouse = open_warehouse(declared, folder)
    for region, day in (("it's", 5), ("us", 6)):
        (elsewhere / region).mkdir(parents=True)
        pq.write_table(pa.table({"n": pa.array([day], pa.int32())}), elsewhere / region / "a.parquet")
        warehouse.register_partition("daily", [region, str(day)], elsewhere / region)
    (folder / "mine").mkdir()
    pq.write_table(pa.table({"n": pa.array([7], pa.int32())}), folder / "mine" / "a.parquet")
    return warehouse


def test_values_of_every_type_and_schema_are_right(spark):
    all_rows, rejects, time = ASKED["evolved"][:3]
    assert [tuple(row.values()) for row in spark["evolved", all_rows]["rows"]] == ROWS
    assert spark["evolved", rejects]["rows"] == [{"raw_data": b"bad", "inserted_at": "2026/11/23/07"}]
    assert spark["evolved", time]["rows"] == [{"hour": 7, "text": "2026-11-23 07:08:09.123"}]


@pytest.mark.parametrize("predicate", HOURS)
def test_only_files_of_the_asked_hours_are_read(spark, predicate):
    hours, numbers = HOURS[predicate]
    answer = spark["evolved", f"select n from clicks where {predicate}"]
    assert sorted(row["n"] for row in answer["rows"]) == numbers
    assert answer["files"] == sum(path.split("/")[4] in hours for path in spark["live"])
    [filters] = re.findall(r"PartitionFilters: \[(.*?)\], PushedFilters", answer["plan"])
    assert "inserted_at" in filters


def test_the_tables_of_the_example_are_read_as_the_warehouse_reads_them(spark):
    for sql in ASKED["example"]:
        assert spark["example", sql]["rows"] == spark["mine"][sql], sql
    shown = sum(row["shown"] for row in spark["mine"][CLICK_THROUGH])
    assert (shown, len(spark["mine"][ASKED["example"][0]])) == (40, 60)


def test_tables_of_the_users_own_are_read_where_they_are(spark):
    by_day, one_day, mine = ASKED["own"]
    assert spark["own", by_day]["rows"] == [
        {"n": 5, "region": "it's", "day": 5},
        {"n": 6, "region": "us", "day": 6},
    ]
    assert (spark["own", one_day]["rows"], spark["own", one_day]["files"]) == ([{"n": 6}], 1)
    assert spark["own", mine]["rows"] == [{"n": 7, "missing": None}]
