"""PyAthena for doors.py: reads statements, prints how long the answer took and how many rows it has."""

import json
import sys
import time

from pyathena import connect

connection = connect(
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    region_name="eu-west-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    work_group="primary-managed",
)
for line in sys.stdin:
    began = time.perf_counter()
    rows = connection.cursor().execute(json.loads(line)).fetchall()
    print(json.dumps([time.perf_counter() - began, len(rows)]), flush=True)
