"""The real Pulumi CLI, with our language host and provider attached to it and its state in a folder of the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from aws_provider import AwsProvider
from emulator import REGION
from language_host import LanguageHost
from lifecycle import Account
from pulumi.runtime.proto import language_pb2_grpc, provider_pb2_grpc

from patience import patient

PULUMI = Path(sys.prefix) / "engine" / "pulumi"
THREADS = 64
RUN_S = 120


@dataclass(frozen=True)
class Done:
    """A command that has ended. steps: (operation, kind, logical name) of all but what stayed the same, in the order
    in which the engine began them; failed: those that failed."""

    code: int
    said: str
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)

    def counted(self) -> Counter[str]:
        """How many steps there are of each operation."""
        return Counter(step[0] for step in self.steps)

    def did(self, operation: str) -> list[tuple[str, str]]:
        """(kind, logical name) of the resources that an operation was done to."""
        return sorted(step[1:] for step in self.steps if step[0] == operation and step not in self.failed)


@dataclass
class Cli:
    """The CLI in a folder with a program and its only stack. environment: what its processes are started with."""

    folder: Path
    provider: AwsProvider
    environment: dict[str, str]
    stack: str
    events: int = 0

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that runs, in a session of its own."""
        return subprocess.Popen(
            [PULUMI, *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> Done:
        """A command, to its end."""
        return self.finish(self.start(*arguments))

    def finish(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a command that was started."""
        try:
            said, _ = process.communicate(timeout=patient(RUN_S))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{process.args} did not end: {process.communicate()[0]}")
        return Done(process.returncode, said)

    def ok(self, *arguments: str) -> Done:
        """A command that has to succeed."""
        done = self.run(*arguments)
        assert done.code == 0, done.said
        return done

    def change(self, verb: str, *arguments: str) -> Done:
        """`up`, `destroy` or `refresh`, with its steps."""
        return self.finish_change(*self.start_change(verb, *arguments))

    def start_change(self, verb: str, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
        """A command of `change` that runs, and the file of its events."""
        self.events += 1
        log = Path(self.environment["PULUMI_HOME"]) / f"events-{self.events}"
        return self.start(verb, "--yes", "--event-log", str(log), *arguments), log

    def finish_change(self, process: subprocess.Popen[str], log: Path) -> Done:
        """Wait for a command of `start_change`."""
        done = self.finish(process)
        steps, failed = _steps(log)
        return Done(done.code, done.said, steps, failed)

    def state(self) -> list[dict[str, Any]]:
        """The resources in the state of the stack."""
        return json.loads(self.ok("stack", "export").said)["deployment"].get("resources", [])

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return json.loads(self.ok("stack", "output", "--json").said)


_NO_STEP = {"same", "read", "read-discard", "refresh"}


def _steps(log: Path) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Those of the last run in a log of events, which may begin with a preview. A refresh tells only afterwards what
    it found."""
    steps: list[tuple[str, str, str]] = []
    failed: list[tuple[str, str, str]] = []
    refreshing: set[str] = set()
    for line in log.read_text().splitlines() if log.exists() else ():
        event = json.loads(line)
        if "preludeEvent" in event:
            steps, failed, refreshing = [], [], set()
        for name in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            if name not in event:
                continue
            at = event[name]["metadata"]
            step = (at["op"], at["type"].rpartition(":")[2], at["urn"].rpartition("::")[2])
            if at["op"] == "refresh":
                refreshing.add(at["urn"])
            if name == "resOpFailedEvent":
                failed.append(step)
            elif at["op"] not in _NO_STEP and (name == "resourcePreEvent" or at["urn"] in refreshing):
                steps.append(step)
    return steps, failed


@contextmanager
def attached(aws: Any, home: Path) -> Iterator[tuple[AwsProvider, dict[str, str]]]:
    """The provider, for an emulator, and the environment in which the CLI finds it and the language host."""
    if not PULUMI.exists():
        pytest.fail(f"{PULUMI} is missing; `make test-engine` builds it where Go is", pytrace=False)
    provider, host = AwsProvider(Account(aws.url, region=REGION)), LanguageHost()
    server = grpc.server(ThreadPoolExecutor(THREADS))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    state = home / "state"
    state.mkdir(parents=True)
    try:
        yield (
            provider,
            {
                **os.environ,
                "PATH": f"{PULUMI.parent}{os.pathsep}{os.environ['PATH']}",
                "PULUMI_HOME": str(home),
                "PULUMI_BACKEND_URL": f"file://{state}",
                "PULUMI_CONFIG_PASSPHRASE": "of a test",
                "PULUMI_DEBUG_COMMANDS": "true",  # it hides --event-log otherwise
                "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
                "PULUMI_DEBUG_LANGUAGES": f"python:{port}",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
        )
    finally:
        server.stop(0).wait()
