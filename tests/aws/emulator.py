"""MiniStack, an emulator of AWS, as a process of its own on a free port of the loopback interface.

It lives in a venv of its own beside the one that runs the tests, since it pins another botocore. Functions it runs with
the interpreter of a third venv, which has what AWS Lambda has: it would take its own. Its files are in a folder that is
removed with it; it is told to open no other port, and of no Docker.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from leftovers import MARK
from patience import patient

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_S = 60.0
STOP_S = 10.0

_RUN = """
import os, sys, threading

def end_with_tests():
    sys.stdin.buffer.read()
    os.killpg(0, 9)

threading.Thread(target=end_with_tests, daemon=True).start()
sys.executable = sys.argv.pop(1)
from ministack.app import main
main()
"""


@dataclass(frozen=True)
class Emulator:
    """url: of all services but those in `elsewhere`, (service, url) pairs."""

    url: str
    log: Path
    elsewhere: tuple[tuple[str, str], ...] = ()

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment for its clients to come here."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": self.url,
            **{f"AWS_ENDPOINT_URL_{service.upper()}": url for service, url in self.elsewhere},
        }

    def client(self, service: str):
        """A boto3 client of a service."""
        return client(service, dict(self.elsewhere).get(service, self.url))


_SESSION, _LOCK = boto3.Session(), threading.Lock()


def client(service: str, url: str):
    """A boto3 client that goes to a URL, whatever the environment says; one for all threads, made in a session of
    its own."""
    with _LOCK:
        return _client(service, url)


@cache
def _client(service: str, url: str):
    return _SESSION.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def interpreter(name: str) -> Path:
    """The Python of a venv beside ours; without it the test is skipped, and fails where CI is set."""
    python = Path(sys.prefix) / name / "bin" / "python"
    if not python.exists():
        message = f"{python} is missing; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return python


@contextmanager
def emulator(**elsewhere: str):
    """A running emulator. elsewhere: the URLs of services that stand beside it, for the functions that it runs."""
    python, lambda_python = interpreter("emulator"), interpreter("lambda")
    with tempfile.TemporaryDirectory(prefix="emulator-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        for _ in range(5):  # another process may take the port first
            started = Emulator(f"http://127.0.0.1:{_free_port()}", log, tuple(elsewhere.items()))
            process = _start(python, lambda_python, started, Path(folder))
            try:
                if _is_ready(process, started):
                    yield started
                    return
            finally:
                _stop(process)
        pytest.fail(f"the emulator did not start:\n{log.read_text()}")


def _start(python: Path, lambda_python: Path, started: Emulator, folder: Path) -> subprocess.Popen:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "GATEWAY_PORT": started.url.rpartition(":")[2],
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
        "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "2",
        MARK: f"{os.getpid()}:session",
        **started.environment(),
    }
    with started.log.open("wb") as log:
        return subprocess.Popen(
            [python, "-c", _RUN, lambda_python],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,  # closed when this process is gone, however it ends
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def _is_ready(process: subprocess.Popen, started: Emulator) -> bool:
    """Whether it answers before it ends."""
    deadline = time.monotonic() + patient(START_S)
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{started.url}/_ministack/ready", timeout=5) as answer:
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen) -> None:
    """End it and the functions that it runs, which are in its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(patient(STOP_S))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
