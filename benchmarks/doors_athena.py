"""PyAthena for doors.py, with its plain cursor or with the one of pandas, which reads the file of the result.

Reads statements, prints the seconds of each answer, its rows, and the CPU seconds of this process meanwhile.
"""

import json
import sys
import time

from pyathena import connect
from pyathena.cursor import Cursor
from pyathena.pandas.cursor import PandasCursor

is_file = sys.argv[2] == "file"
place = {"work_group": "primary", "s3_staging_dir": "s3://results/"} if is_file else {"work_group": "primary-managed"}
connection = connect(
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    region_name="eu-west-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    cursor_class=PandasCursor if is_file else Cursor,
    **place,
)
for line in sys.stdin:
    began, cpu = time.perf_counter(), time.process_time()
    cursor = connection.cursor().execute(json.loads(line))
    rows = len(cursor.as_pandas() if is_file else cursor.fetchall())
    print(json.dumps([time.perf_counter() - began, rows, time.process_time() - cpu]), flush=True)
