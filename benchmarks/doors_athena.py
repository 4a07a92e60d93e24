"""Clients of Athena for doors.py: PyAthena with its plain cursor or with that of pandas, which reads the file of the
result, or boto3 alone.

Reads statements, prints the seconds of each answer, its rows, and the CPU seconds of this process meanwhile.
"""

import json
import sys
import time

import boto3
from pyathena import connect
from pyathena.cursor import Cursor
from pyathena.pandas.cursor import PandasCursor

form = sys.argv[2]
client = {
    "endpoint_url": f"http://127.0.0.1:{sys.argv[1]}",
    "region_name": "eu-west-1",
    "aws_access_key_id": "any",
    "aws_secret_access_key": "any",
}
if form == "boto3":
    athena = boto3.client("athena", **client)
elif form == "file":
    connection = connect(work_group="primary", s3_staging_dir="s3://results/", cursor_class=PandasCursor, **client)
else:
    connection = connect(work_group="primary-managed", cursor_class=Cursor, **client)


def rows_of(sql):
    if form != "boto3":
        cursor = connection.cursor().execute(sql)
        return len(cursor.as_pandas() if form == "file" else cursor.fetchall())
    id = athena.start_query_execution(QueryString=sql)["QueryExecutionId"]
    while athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]["State"] == "RUNNING":
        time.sleep(0.02)
    rows, found = -1, {}  # the names come first
    while rows < 0 or "NextToken" in found:
        token = {"NextToken": found["NextToken"]} if found else {}
        found = athena.get_query_results(QueryExecutionId=id, **token)
        rows += len(found["ResultSet"]["Rows"])
    return rows


for line in sys.stdin:
    began, cpu = time.perf_counter(), time.process_time()
    rows = rows_of(json.loads(line))
    print(json.dumps([time.perf_counter() - began, rows, time.process_time() - cpu]), flush=True)
