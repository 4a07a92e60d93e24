"""Runs a Pulumi program in this process and records what it registers; nothing is created.

What the provider would answer comes from `graph.provider_answer`. Not shown by this level: transforms (the engine
runs them), and everything a process does (`__main__.py`, configuration files, exit codes): see `engine`.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import graph as graphs
import pulumi
from google.protobuf import empty_pb2
from graph import Graph
from pulumi.runtime import mocks, settings
from pulumi.runtime import resource as pulumi_resource
from pulumi.runtime import stack as pulumi_stack
from pulumi.runtime.proto import provider_pb2, resource_pb2, source_pb2

with warnings.catch_warnings():
    # pulumi_aws loads its modules when an attribute is read, and each warns of the deprecated resources in it.
    warnings.simplefilter("ignore", DeprecationWarning)
    for _namespace in ("athena", "cloudwatch", "glue", "iam", "kinesis", "lambda_", "s3", "sns", "sqs"):
        hasattr(importlib.import_module(f"pulumi_aws.{_namespace}"), "loaded")

# For each resource the calls that lead to it, which are shown to people: a quarter of the time of a program.
pulumi_resource._get_stack_trace = source_pb2.StackTrace

Program = Callable[[], "Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None"]


class _NoMocks(mocks.Mocks):
    """The recording monitor answers by itself; these are never asked."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise NotImplementedError(args.typ)

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise NotImplementedError(args.token)


class _Recorder(mocks.MockMonitor):
    """A monitor that keeps whole requests, refuses what the engine refuses and answers as the provider would."""

    def __init__(
        self, project: str, stack: str, preview: bool, fail: Mapping[str, str], deployed: Graph | None
    ) -> None:
        super().__init__(_NoMocks())
        self.deployed = deployed
        self.project = project
        self.stack = stack
        self.preview = preview
        self.fail = fail
        self.graph = Graph()

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:
        urn = graphs.make_urn(self.project, self.stack, request.parent, request.type, request.name)
        if request.type == graphs.STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if urn in self.graph.nodes:
            raise ValueError(f"Duplicate resource URN '{urn}'; try giving it a unique name")
        if request.name in self.fail:
            raise RuntimeError(f"creating {urn}: {self.fail[request.name]}")
        node = graphs.node_of(request, urn, len(self.graph.nodes))
        self.graph.nodes[urn] = node
        if not node.custom or node.type.startswith("pulumi:"):
            node.outputs = dict(node.inputs)
            node.id = f"provider-{graphs.suffix(urn)}" if node.custom else ""
            return resource_pb2.RegisterResourceResponse(urn=urn, id=node.id, object=request.object)
        if self.preview:
            node.outputs = dict(node.inputs)
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        node.id, node.outputs = graphs.provider_answer(node.type, node.name, urn, node.inputs)
        answer = graphs.answer_struct(request.object, node.outputs)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=node.id, object=answer)

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:
        node = self.graph.nodes.get(request.urn)
        if node is not None:
            node.registered_outputs.append(graphs.plain(request.outputs))
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:
        urn = graphs.make_urn(self.project, self.stack, request.parent, request.type, request.name)
        properties = graphs.read_answer(request.type, request.name, urn, request.id, graphs.plain(request.properties))
        self.graph.nodes[urn] = graphs.existing_node(request, urn, len(self.graph.nodes), properties)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=graphs.to_struct(properties))

    def Invoke(self, request: Any) -> resource_pb2.ResourceInvokeResponse:
        try:
            found = graphs.invoke_answer(request.tok, graphs.plain(request.args), self.deployed)
        except graphs.Missing as error:
            return resource_pb2.ResourceInvokeResponse(failures=[provider_pb2.CheckFailure(reason=str(error))])
        return resource_pb2.ResourceInvokeResponse(**{"return": graphs.to_struct(found)})


def deploy(
    program: Program,
    *,
    project: str = "shop",
    stack: str = "dev",
    preview: bool = False,
    fail: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    deployed: Graph | None = None,
) -> Graph:
    """Run `program` (a function, may be async; what it returns are the stack's outputs) and give the recorded graph.

    `fail` maps logical names to what the provider says when it refuses to create them. `config` has full keys
    (`aws:region`, `shop:dev`). Raises what the program raises, at whatever time, and ValueError for a second resource
    with the same URN. In a preview, ids and computed outputs are unknown.
    `deployed` is what is there already, for provider functions.
    """
    recorder = _Recorder(project, stack, preview, fail or {}, deployed)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    pulumi.runtime.set_all_config(dict(config or {}), [])
    settings.set_root_resource(None)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        mocks.set_mocks(recorder.mocks, project=project, stack=stack, preview=preview, monitor=recorder)
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs.clear()

        async def run() -> None:
            result = program()
            if isinstance(result, Awaitable):
                result = await result
            for key, value in (result or {}).items():
                output = pulumi.Output.from_input(value)
                known = await output.is_known()
                recorder.graph.exports[key] = await output.future() if known else graphs.UNKNOWN

        loop.run_until_complete(pulumi_stack.run_pulumi_func(run))
    finally:
        _end_tasks(loop)  # of a program that raised
        loop.close()
        asyncio.set_event_loop(None)
        settings.set_root_resource(None)
    return recorder.graph


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
