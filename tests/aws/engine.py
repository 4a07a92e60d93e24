"""A small stand-in for the Pulumi engine: runs an unmodified program folder in a process of its own.

It speaks the engine's gRPC protocol (ResourceMonitor and Engine). What it does not do: diff, state, order of
replacement and deletion, the provider's own checks, aliases (recorded, not resolved), refresh, import. A green run
proves that the program speaks correctly to an engine, not that the real one accepts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import graph as graphs
import grpc
from google.protobuf import empty_pb2
from graph import Graph
from pulumi.runtime.proto import (
    callback_pb2,
    callback_pb2_grpc,
    engine_pb2,
    engine_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from patience import patient

RUNNER = Path(__file__).parent / "run_program.py"
ORGANIZATION = "organization"
THREADS = 64

# Features of the protocol that are implemented here; the SDK works around the others.
_NOT_SERVED = ("STATE_MIGRATIONS", "INVOKE_DEPENDS_ON", "INVOKE_PARENT", "BYTE_STRING")
_FEATURES = [number for name, number in resource_pb2.ResourceMonitorFeature.items() if not name.endswith(_NOT_SERVED)]
_OLD_FEATURES = {
    "secrets",
    "resourceReferences",
    "outputValues",
    "aliasSpecs",
    "deletedWith",
    "transforms",
    "invokeTransforms",
}


class Provider:
    """Answers as the AWS provider would and creates nothing; `apply.Emulator` creates for real.

    deployed: what is there already, for provider functions.
    """

    def __init__(self, deployed: Graph | None = None) -> None:
        self.deployed = deployed

    def check(self, type: str, inputs: dict[str, Any]) -> list[str]:
        """What is wrong with the inputs of a resource, in preview and up; nothing here."""
        return []

    def create(self, type: str, name: str, urn: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The id and outputs of a new resource."""
        return graphs.provider_answer(type, name, urn, inputs)

    def read(self, type: str, name: str, urn: str, id: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The state of a resource that exists already."""
        return graphs.read_answer(type, name, urn, id, inputs)

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer of a provider function."""
        return graphs.invoke_answer(token, arguments, self.deployed)


@dataclass
class Run:
    """One run of a program: its graph, the stack's outputs, exit code, log lines (severity, text) and errors."""

    graph: Graph
    outputs: dict[str, Any] = field(default_factory=dict)
    code: int = -1
    log: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    invokes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stdout: str = ""
    stderr: str = ""

    @property
    def messages(self) -> str:
        """Everything the run said, for assertions on errors."""
        return "\n".join([text for _, text in self.log] + self.errors + [self.stderr])


class Engine:
    """`Engine(provider).run(folder)`: each run has its own servers, process and graph."""

    def __init__(self, provider: Provider | None = None, *, project: str = "shop", stack: str = "dev") -> None:
        self.provider = provider or Provider()
        self.project = project
        self.stack = stack

    def run(
        self,
        folder: Path,
        *,
        preview: bool = False,
        config: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
        main: str = "__main__.py",
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120,
    ) -> Run:
        """Run the program in `folder`. `config` has full keys; those in `secrets` are secret values.

        `env` is added to this process's environment. Never raises for a failing program: look at `code` and `errors`.
        """
        service = _Service(self, preview, dict(config or {}), list(secrets))
        server = grpc.server(ThreadPoolExecutor(THREADS))
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(service, server)
        engine_pb2_grpc.add_EngineServicer_to_server(service, server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        order = {
            "monitor": address,
            "engine": address,
            "project": self.project,
            "stack": self.stack,
            "organization": ORGANIZATION,
            "dry_run": preview,
            "folder": str(folder.resolve()),
            "main": main,
            "config": service.config,
            "secret_keys": service.secrets,
        }
        try:
            process = subprocess.run(
                [sys.executable, str(RUNNER), json.dumps(order)],
                capture_output=True,
                text=True,
                timeout=patient(timeout_s),
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            )
        finally:
            service.close()
            server.stop(0).wait()
        run = service.run
        run.code, run.stdout, run.stderr = process.returncode, process.stdout, process.stderr
        run.graph.exports = run.outputs
        return run


class _Service(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """The two gRPC services of one run."""

    def __init__(self, engine: Engine, preview: bool, config: dict[str, str], secrets: list[str]) -> None:
        self.provider = engine.provider
        self.project = engine.project
        self.stack = engine.stack
        self.preview = preview
        self.config = config
        self.secrets = secrets
        self.run = Run(Graph())
        self.root = ""
        self.stack_urn = ""
        self.stack_transforms: list[Any] = []
        self.lock = threading.Lock()
        self.channels: dict[str, grpc.Channel] = {}

    def close(self) -> None:
        for channel in self.channels.values():
            channel.close()

    def fail(self, context: grpc.ServicerContext, message: str) -> NoReturn:
        self.run.errors.append(message)
        context.abort(grpc.StatusCode.UNKNOWN, message)
        raise AssertionError("abort raises")

    # The Engine service.

    def Log(self, request: Any, context: Any) -> empty_pb2.Empty:
        if request.severity != engine_pb2.DEBUG:
            self.run.log.append((engine_pb2.LogSeverity.Name(request.severity), request.message))
        return empty_pb2.Empty()

    def SetRootResource(self, request: Any, context: Any) -> Any:
        self.root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def GetRootResource(self, request: Any, context: Any) -> Any:
        return engine_pb2.GetRootResourceResponse(urn=self.root)

    def RequirePulumiVersion(self, request: Any, context: Any) -> Any:
        return engine_pb2.RequirePulumiVersionResponse()

    # The ResourceMonitor service.

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _OLD_FEATURES)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:
        return resource_pb2.DeploymentInfo(
            project=self.project,
            stack=self.stack,
            organization=ORGANIZATION,
            config=self.config,
            configSecretKeys=self.secrets,
            dryRun=self.preview,
            parallel=8,
            supportedFeatures=_FEATURES,
        )

    def RegisterPackage(self, request: Any, context: Any) -> Any:
        return resource_pb2.RegisterPackageResponse(ref=f"{request.name}@{request.version}")

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def RegisterResourceHook(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def RegisterErrorHook(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def RegisterStackTransform(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.stack_transforms.append(request)
        return empty_pb2.Empty()

    def RegisterResource(self, request: Any, context: Any) -> Any:
        self.transform(request)
        nodes = self.run.graph.nodes
        urn = graphs.make_urn(self.project, self.stack, request.parent, request.type, request.name)
        if request.type == graphs.STACK_TYPE:
            self.stack_urn = urn
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        with self.lock:
            if urn in nodes:
                self.fail(context, f"Duplicate resource URN '{urn}'; try giving it a unique name")
            node = nodes[urn] = graphs.node_of(request, urn, len(nodes))
        for needed in [*([request.parent] if request.parent else []), *request.dependencies]:
            if needed not in nodes and needed != self.stack_urn:
                self.fail(context, f"{urn} needs {needed}, which is not registered")
        if not node.custom or node.type.startswith("pulumi:"):
            node.outputs = dict(node.inputs)
            node.id = f"provider-{graphs.suffix(urn)}" if node.custom else ""
            return resource_pb2.RegisterResourceResponse(urn=urn, id=node.id, object=request.object)
        if wrong := self.provider.check(node.type, node.inputs):
            self.fail(context, f"{urn}: {'; '.join(wrong)}")
        if self.preview:
            node.outputs = dict(node.inputs)
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        try:
            node.id, node.outputs = self.provider.create(node.type, node.name, urn, node.inputs)
        except Exception as error:
            self.fail(context, f"creating {urn}: {type(error).__name__}: {error}")
        answer = graphs.answer_struct(request.object, node.outputs)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=node.id, object=answer)

    def transform(self, request: Any) -> None:
        """Let the program's own transforms change a request, as the engine does through the callback server."""
        stack_wide = [] if request.type == graphs.STACK_TYPE else self.stack_transforms
        for callback in [*request.transforms, *stack_wide]:
            with self.lock:
                if callback.target not in self.channels:
                    self.channels[callback.target] = grpc.insecure_channel(callback.target)
                channel = self.channels[callback.target]
            options = resource_pb2.TransformResourceOptions(
                depends_on=request.dependencies,
                ignore_changes=request.ignoreChanges,
                provider=request.provider,
                aliases=request.aliases,
                version=request.version,
            )
            if request.HasField("protect"):
                options.protect = request.protect
            question = resource_pb2.TransformRequest(
                type=request.type,
                name=request.name,
                custom=request.custom,
                parent=request.parent,
                properties=request.object,
                options=options,
            )
            reply = callback_pb2_grpc.CallbacksStub(channel).Invoke(
                callback_pb2.CallbackInvokeRequest(token=callback.token, request=question.SerializeToString())
            )
            changed = resource_pb2.TransformResponse.FromString(reply.response)
            request.object.CopyFrom(changed.properties)
            if changed.HasField("options"):
                del request.dependencies[:]
                request.dependencies.extend(changed.options.depends_on)
                del request.ignoreChanges[:]
                request.ignoreChanges.extend(changed.options.ignore_changes)
                if changed.options.HasField("protect"):
                    request.protect = changed.options.protect

    def RegisterResourceOutputs(self, request: Any, context: Any) -> empty_pb2.Empty:
        outputs = graphs.plain(request.outputs)
        if request.urn == self.stack_urn:
            self.run.outputs = outputs
            return empty_pb2.Empty()
        node = self.run.graph.nodes.get(request.urn)
        if node is None:
            self.fail(context, f"outputs of {request.urn}, which is not registered")
        node.registered_outputs.append(outputs)
        return empty_pb2.Empty()

    def ReadResource(self, request: Any, context: Any) -> Any:
        urn = graphs.make_urn(self.project, self.stack, request.parent, request.type, request.name)
        given = graphs.plain(request.properties)
        try:
            state = self.provider.read(request.type, request.name, urn, request.id, given)
        except Exception as error:
            self.fail(context, f"reading {urn}: {type(error).__name__}: {error}")
        nodes = self.run.graph.nodes
        with self.lock:
            nodes[urn] = graphs.existing_node(request, urn, len(nodes), state)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=graphs.to_struct(state))

    def Invoke(self, request: Any, context: Any) -> Any:
        arguments = graphs.plain(request.args)
        self.run.invokes.append((request.tok, arguments))
        if request.tok == "pulumi:pulumi:getResource":
            node = self.run.graph.nodes[arguments["urn"]]
            answer = {"urn": node.urn, "id": node.id, "state": node.outputs}
        else:
            try:
                answer = self.provider.invoke(request.tok, arguments)
            except graphs.Missing as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
            except Exception as error:
                self.fail(context, f"invoking {request.tok}: {type(error).__name__}: {error}")
        return resource_pb2.ResourceInvokeResponse(**{"return": graphs.to_struct(answer)})
