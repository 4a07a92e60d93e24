"""A client of `/v1/query` for doors.py.

Reads statements, prints the seconds of each answer, its rows, and the CPU seconds of this process meanwhile.
"""

import http.client
import json
import sys
import time

import pyarrow as pa

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for line in sys.stdin:
    began, cpu = time.perf_counter(), time.process_time()
    connection.request("POST", "/v1/query", json.dumps({"sql": json.loads(line), "format": "arrow"}))
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    rows = pa.ipc.open_stream(answer).read_all().num_rows
    answer.read()
    print(json.dumps([time.perf_counter() - began, rows, time.process_time() - cpu]), flush=True)
