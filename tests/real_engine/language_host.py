"""The language host of Python programs, for the real engine: `run_program` in a process for each run.

The CLI attaches to it by PULUMI_DEBUG_LANGUAGES. No wheel carries Pulumi's own, which would run the same SDK.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import grpc
from engine import RUNNER
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, language_pb2, language_pb2_grpc, plugin_pb2

ALREADY_SAID = (1, 32)
"""The exit codes of `run_program` with which the engine has the error already."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs. One engine at a time may be attached: that of the last handshake gets what programs print."""

    def __init__(self) -> None:
        self.engine_address = ""

    def Handshake(self, request: Any, context: Any) -> Any:
        self.engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        """Asked for after an interrupt: the engine itself refuses what the program registers from then on."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="3.0.0")

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        """None: the provider is attached as well."""
        return language_pb2.GetRequiredPackagesResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def About(self, request: Any, context: Any) -> Any:
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def Run(self, request: Any, context: Any) -> Any:
        """Run a program to its end; it ends as well if the engine goes away."""
        order = {
            "monitor": request.monitor_address,
            "engine": self.engine_address,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "dry_run": request.dryRun,
            "folder": request.info.program_directory,
            "main": "__main__.py",
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
        }
        process = subprocess.Popen(
            [sys.executable, RUNNER, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        context.add_callback(process.kill)  # nothing happens if it has ended
        said, _ = process.communicate()
        if said and context.is_active():
            self._say(said)
        if process.returncode == 0:
            return language_pb2.RunResponse()
        if process.returncode in ALREADY_SAID:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"The program ended with {process.returncode}.")

    def _say(self, text: str) -> None:
        with grpc.insecure_channel(self.engine_address) as channel:
            request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text)
            assert isinstance(engine_pb2_grpc.EngineStub(channel).Log(request), empty_pb2.Empty)
