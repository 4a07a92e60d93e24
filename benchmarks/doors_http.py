"""Athena's API by plain HTTP for doors.py, of pages or of the file of the result: what the door costs without a client.

Reads statements, prints the seconds of each answer, its rows, and the CPU seconds of this process meanwhile.
"""

import http.client
import json
import re
import sys
import time

TOKEN = re.compile(rb'"NextToken":"([^"]+)"')
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
is_file = sys.argv[2] == "file"


def call(operation, **given):
    headers = {
        "X-Amz-Target": f"AmazonAthena.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/eu-west-1/athena/aws4_request",
    }
    connection.request("POST", "/", json.dumps(given), headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return body


def paged(id):
    rows, token = -1, {}  # the names come first
    while True:
        page = call("GetQueryResults", QueryExecutionId=id, **token)
        rows += page.count(b'{"Data":')
        found = TOKEN.search(page, len(page) - 100)
        if not found:
            return rows
        token = {"NextToken": found[1].decode()}


def of_file(id):
    authorization = "AWS4-HMAC-SHA256 Credential=any/20260101/eu-west-1/s3/aws4_request"
    connection.request("GET", f"/athena-results/{id}.csv", headers={"Authorization": authorization})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return body.count(b"\n") - 1


for line in sys.stdin:
    began, cpu = time.perf_counter(), time.process_time()
    id = json.loads(call("StartQueryExecution", QueryString=json.loads(line)))["QueryExecutionId"]
    while b'"State":"RUNNING"' in (told := call("GetQueryExecution", QueryExecutionId=id)):
        time.sleep(0.02)  # the first call has waited; those after it answer at once
    assert b'"State":"SUCCEEDED"' in told, told
    rows = of_file(id) if is_file else paged(id)
    print(json.dumps([time.perf_counter() - began, rows, time.process_time() - cpu]), flush=True)
