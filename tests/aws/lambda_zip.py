"""Builds the zip that a recorded function would be deployed with, and runs its handler from it, without Docker.

The interpreter is that of the venv `lambda` beside ours, isolated: Python 3.13 where there is one, boto3, nothing of
ours.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph import ASSET, REGION, SIGNATURE, Node

PYTHON = Path(sys.prefix) / "lambda" / "bin" / "python"

# What Lambda calls the handler with, in the interpreter of the function. It writes what came of it to a file, since
# what handlers print is their log.
_BOOT = """
import base64, importlib, json, os, platform, sys, time, traceback
folder, handler, event, report, record, milliseconds = sys.argv[1:]
sys.path.insert(0, folder)
os.chdir(folder)
calls = []

def encoded(value):
    if isinstance(value, dict):
        return {str(key): encoded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return {"base64": base64.b64encode(value).decode()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)

if record == "yes":
    import botocore.client
    call = botocore.client.BaseClient._make_api_call

    def recorded(self, operation, parameters):
        calls.append([self.meta.service_model.service_name, operation, encoded(parameters)])
        return call(self, operation, parameters)

    botocore.client.BaseClient._make_api_call = recorded

class Context:
    aws_request_id = "00000000-0000-0000-0000-000000000000"
    function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    function_version = "$LATEST"
    memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
    invoked_function_arn = os.environ["DW_TEST_FUNCTION_ARN"]
    log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
    end = time.monotonic() + int(milliseconds) / 1000

    def get_remaining_time_in_millis(self):
        return max(0, int((self.end - time.monotonic()) * 1000))

outcome = {"python": platform.python_version(), "result": None, "error": None}
try:
    module, _, name = handler.rpartition(".")
    outcome["result"] = getattr(importlib.import_module(module.replace("/", ".")), name)(json.loads(event), Context())
    json.dumps(outcome["result"])
except BaseException as error:
    outcome["error"] = f"{type(error).__name__}: {error}"
    traceback.print_exc()
outcome["calls"] = calls
with open(report, "w") as file:
    json.dump(outcome, file)
"""


@dataclass(frozen=True)
class Invocation:
    """What one run of a handler did. `log` is its stdout, `errors` its stderr, `python` the version that ran it.

    `calls` are (service, operation, parameters) as boto3 got them; bytes are {"base64": text}.
    """

    result: Any
    error: str | None
    log: str
    errors: str
    calls: list[tuple[str, str, dict[str, Any]]]
    python: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log lines that are JSON objects."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


def files_of(archive: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a recorded archive: name in the zip -> content."""
    if archive.get("path"):
        path = Path(archive["path"])
        if path.is_dir():
            return {one.relative_to(path).as_posix(): one.read_bytes() for one in path.rglob("*") if one.is_file()}
        with zipfile.ZipFile(path) as packed:
            return {name: packed.read(name) for name in packed.namelist()}
    if "assets" not in archive:
        raise ValueError(f"An archive has a path or assets; got the keys {sorted(archive)}.")
    files: dict[str, bytes] = {}
    for name, part in archive["assets"].items():
        if part[SIGNATURE] == ASSET:
            files[name] = part["text"].encode() if "text" in part else Path(part["path"]).read_bytes()
        else:
            files.update({f"{name}/{inner}": content for inner, content in files_of(part).items()})
    return files


def zip_of(archive: Mapping[str, Any]) -> bytes:
    """The zip of a recorded archive; the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(files_of(archive).items()):
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return packed.getvalue()


def environment_of(function: Node) -> dict[str, str]:
    """The environment variables that a recorded function is deployed with."""
    variables: dict[str, str] = function.inputs.get("environment", {}).get("variables", {})
    return variables


def run(
    function: Node,
    event: Mapping[str, Any],
    *,
    extras: Mapping[str, str] | None = None,
    record_calls: bool = False,
    left_ms: int | None = None,
    python: Path = PYTHON,
) -> Invocation:
    """Run the handler of a recorded function with its recorded environment, the variables of Lambda, and `extras`.

    `extras` say where the services are (`AWS_ENDPOINT_URL`). The recorded timeout is what the context counts down
    from, or `left_ms`, and in the end ends the process. A handler that raises gives an `Invocation` with `error`.
    """
    timeout_s = int(function.inputs.get("timeout", 3))
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(zip_of(function.inputs["code"]))) as packed:
            packed.extractall(folder)
        with tempfile.TemporaryDirectory() as beside:
            report = Path(beside) / "report.json"
            variables = {
                "PATH": os.defpath,
                "PYTHONDONTWRITEBYTECODE": "1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": REGION,
                "AWS_REGION": REGION,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.inputs.get('runtime')}",
                "LAMBDA_TASK_ROOT": folder,
                "TZ": ":UTC",
                "_HANDLER": function.inputs["handler"],
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_NAME": function.physical_name or function.name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.inputs.get("memorySize", 128)),
                "AWS_LAMBDA_LOG_GROUP_NAME": function.inputs.get("loggingConfig", {}).get("logGroup", ""),
                "DW_TEST_FUNCTION_ARN": function.outputs.get("arn", ""),
                **environment_of(function),
                **(extras or {}),
            }
            record = "yes" if record_calls else "no"
            arguments = [
                folder,
                function.inputs["handler"],
                json.dumps(event),
                report,
                record,
                str(left_ms or timeout_s * 1000),
            ]
            process = subprocess.run(
                [python, "-I", "-c", _BOOT, *arguments],
                env=variables,
                capture_output=True,
                text=True,
                timeout=timeout_s,
            )
            if not report.exists():
                raise RuntimeError(f"The interpreter ended with {process.returncode}: {process.stderr[-2000:]}")
            outcome = json.loads(report.read_text())
    return Invocation(
        result=outcome["result"],
        error=outcome["error"],
        log=process.stdout,
        errors=process.stderr,
        calls=[(service, operation, parameters) for service, operation, parameters in outcome["calls"]],
        python=outcome["python"],
    )


def decoded(value: Mapping[str, str]) -> bytes:
    """The bytes of a parameter that was recorded as {"base64": text}."""
    return base64.b64decode(value["base64"])
