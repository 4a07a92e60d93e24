"""Starting `dw up` as a user does, and talking to it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from datawarehouse.runtime.client import client_of

DW = str(Path(sys.executable).parent / "dw")

COLUMNS = '{"id": "string", "n": "int", "at": "timestamp"}'
DECLARATION = f"""
from datawarehouse import Warehouse

columns = {COLUMNS}

warehouse = (
    Warehouse("analytics_dw")
    .with_streaming_input_table("clicks", columns=columns)
    .with_streaming_input_table("views", columns=columns, input_stream_shard_count=3)
    .with_table("facts", columns={{"thing": "string", "color": "string"}}, data_format="JSON")
)
"""
AWS = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class Running:
    """A running warehouse."""

    def __init__(self, process, folder, url):
        self.process = process
        self.folder = folder
        self.url = url

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request over a connection of its own."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def events(self, table, body, **headers):
        """The status and the JSON answer to plain events."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, answer = self.request("POST", f"/v1/tables/{table}/events", body, names)
        return status, json.loads(answer)

    def query(self, sql, *parameters):
        """The rows of a query, as dicts, over HTTP."""
        body = json.dumps({"sql": sql, "parameters": list(parameters), "format": "json"})
        status, _, answer = self.request("POST", "/v1/query", body)
        assert status == 200, answer
        return json.loads(answer)

    def dw(self, *arguments, stdin=None, check=True):
        """Run the command in the project's folder."""
        done = subprocess.run(
            [DW, *arguments], cwd=self.folder, input=stdin, capture_output=True, text=True, timeout=60
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def flush(self):
        """As `dw flush`, without starting a process."""
        client = client_of(self.folder / "data")
        client.call("POST", "/v1/admin/flush", b"")
        client.close()

    def kinesis(self):
        """An unmodified boto3 client."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "kinesis",
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def children(self):
        """The command lines of the child processes, by pid."""
        wide = ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="]  # -ww: whole lines, whatever COLUMNS says
        listed = subprocess.run(wide, capture_output=True, text=True).stdout
        rows = (line.split(maxsplit=2) for line in listed.splitlines())
        return {int(row[0]): row[2] for row in rows if int(row[1]) == self.process.pid and len(row) == 3}

    def stop(self, number=signal.SIGTERM):
        """Stop as an operator does; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


def start(folder, *arguments, declaration=DECLARATION, environment=None):
    """Start `dw up` in a project folder, and return when it takes events."""
    if declaration:
        (folder / "warehouse.py").write_text(declaration)
    with (folder / "errors.log").open("ab") as errors:
        process = subprocess.Popen(
            [DW, "up", "--port", "0", "--output", "json", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
    line = process.stdout.readline()
    if not line:
        process.wait(30)
        process.stdout.close()
        raise AssertionError(f"dw up ended: {(folder / 'errors.log').read_text()}")
    ready = json.loads(line)
    assert ready["event"] == "ready"
    return Running(process, folder, ready["url"])


@contextmanager
def running(folder, *arguments, **options):
    """A warehouse that is stopped at the end."""
    started = start(folder, *arguments, **options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


def until(condition, what, limit_s=20.0):
    """Wait until `condition()` is true; its value."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.02)
