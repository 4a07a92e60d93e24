"""Starting `dw up` as a user does, and talking to it."""

import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

from forked_up import fork_up

from datawarehouse.cli.main import main
from datawarehouse.runtime.client import client_of
from datawarehouse.server import openapi
from patience import patient

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
IN_CHILDREN = """
import sys
from datawarehouse.runtime import workers
if sys.orig_argv[-1] == "convert":
    change()
def import_and_change(import_libraries=workers.import_libraries):
    import_libraries()
    change()
workers.import_libraries = import_and_change
"""
"""The end of a sitecustomize.py: makes `change` in the process that converts, whether it is forked or started."""

NO_ROUTE = {400, 401, 403, 404, 405, 408, 413, 421, 431, 500, 503}
"""What may be answered to a request for a route that there is not: some faults are found before."""

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
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=patient(30))
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            answer = response.read()
            _check_described(method, path, response.status)
            return response.status, response.headers, answer
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
        """Run the command in the project's folder, in this process."""
        done = command(self.folder, *arguments, stdin=stdin)
        assert not check or done.returncode == 0, done.stderr
        return done

    def flush(self):
        """As `dw flush`, without starting a process."""
        client = client_of(self.folder / "data")
        client.call("POST", "/v1/admin/flush", b"")
        client.close()

    def status(self):
        """As `dw status --output json`."""
        client = client_of(self.folder / "data")
        try:
            return client.call("GET", "/v1/admin/status")
        finally:
            client.close()

    def kinesis(self):
        return self.aws("kinesis")

    def aws(self, service, key_id="any", secret="any"):
        """An unmodified boto3 client."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def children(self):
        """The command lines of its child processes and of theirs, by pid."""
        processes = _processes()
        found, parents = {}, [self.process.pid]
        while parents:
            parent = parents.pop()
            born = {pid: command for pid, (above, command) in processes.items() if above == parent}
            found |= born
            parents += born
        return found

    def stop(self, number=signal.SIGTERM):
        """Stop as an operator does; the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(patient(30))
        finally:
            self.process.kill()
            self.process.stdout.close()


def _processes():
    """All processes: pid -> (that of its parent, its command line), which ends in <defunct> once the process has."""
    if not sys.platform.startswith("linux"):
        wide = ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="]  # -ww: whole lines, whatever COLUMNS says
        listed = subprocess.run(wide, capture_output=True, text=True).stdout
        rows = [line.split(maxsplit=2) for line in listed.splitlines()]
        return {int(row[0]): (int(row[1]), row[2].rstrip()) for row in rows if len(row) == 3}
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):  # a `ps` would take more than all else that a look does
        with suppress(OSError):  # it ended meanwhile
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").rstrip()
            found[int(folder.name)] = int(parent), "<defunct>" if state in "ZX" else command
    return found


def _check_described(method, path, status):
    """Fails if /v1/openapi.json does not say that a request may have this answer."""
    path = unquote(path.partition("?")[0])
    if path.startswith("/v1/") and method != "OPTIONS":  # which browsers ask of any path
        described = openapi.statuses_of(method, path)
        assert status in (described or NO_ROUTE), f"{method} {path}: {status} is not in {described}"


def start(folder, *arguments, declaration=DECLARATION, environment=None, fresh=False):
    """Start `dw up` in a project folder, and return when it takes events.

    fresh: as a program of its own, as a user does; else it may be forked (`forked_up`), unless Python gets a path.
    """
    if declaration:
        (folder / "warehouse.py").write_text(declaration)
    command = ["up", "--port", "0", "--output", "json", *arguments]
    environment = {**os.environ, **(environment or {})}
    log = folder / "errors.log"
    with log.open("ab") as errors:
        forked = None if fresh or "PYTHONPATH" in environment else fork_up(folder, command, environment, log)
        process = forked or subprocess.Popen(
            [DW, *command], cwd=folder, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
    line = process.stdout.readline()
    if not line:
        process.kill()
        process.wait()
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
        started.process.stdout.close()  # also of one that was ended otherwise


@contextmanager
def started(command, **options):
    """A process that is killed at the end if it still runs, and whose pipes are closed."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def command(folder, *arguments, stdin=None):
    """`dw` in a folder: what it prints and its exit code, without the half second that a process takes.

    `tests/journey/test_processes.py` runs each verb once as a process. `dw up` is always one: it sets up logs and
    signals for a process of its own.
    """
    if arguments[0] == "up":
        return subprocess.run([DW, *arguments], cwd=folder, capture_output=True, text=True, timeout=patient(60))
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    given = io.TextIOWrapper(io.BytesIO((stdin or "").encode()), "utf-8")
    with (
        warnings.catch_warnings(action="ignore", category=ResourceWarning),  # a process ends, and its sockets with it
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(errors),
        patch.object(sys, "stdin", given),
        patch.object(sys, "path", list(sys.path)),
    ):
        known = set(sys.modules)
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as wrong_use:  # argparse
            code = wrong_use.code
        for name in sys.modules.keys() - known:  # the user's: another project's have the same names
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]
    printed = (text.buffer.getvalue().decode().replace("\r\n", "\n") for text in (out, errors))
    return subprocess.CompletedProcess(["dw", *arguments], code, *printed)


def until(condition, what, limit_s=20.0):
    """Wait until `condition()` is true; its value. limit_s: times DW_TEST_PATIENCE."""
    limit_s = patient(limit_s)
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.02)
