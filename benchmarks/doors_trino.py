"""trino-python-client for doors.py: reads statements, prints how long the answer took and how many rows it has."""

import json
import sys
import time

from trino.dbapi import connect

connection = connect(host="127.0.0.1", port=int(sys.argv[1]), user="bench", catalog="awsdatacatalog", schema="bench")
for line in sys.stdin:
    began = time.perf_counter()
    rows = connection.cursor().execute(json.loads(line)).fetchall()
    print(json.dumps([time.perf_counter() - began, len(rows)]), flush=True)
