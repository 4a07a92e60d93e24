"""trino-python-client for doors.py.

Reads statements, prints the seconds of each answer, its rows, and the CPU seconds of this process meanwhile.
"""

import json
import sys
import time

from trino.dbapi import connect

connection = connect(host="127.0.0.1", port=int(sys.argv[1]), user="bench", catalog="awsdatacatalog", schema="bench")
for line in sys.stdin:
    began, cpu = time.perf_counter(), time.process_time()
    rows = connection.cursor().execute(json.loads(line)).fetchall()
    print(json.dumps([time.perf_counter() - began, len(rows), time.process_time() - cpu]), flush=True)
