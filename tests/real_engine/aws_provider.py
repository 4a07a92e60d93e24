"""The `aws` provider for the real engine: Pulumi's protocol over an account in the emulator.

Check invents names, Diff says what is replaced (`deletion.REPLACING`), and the rest is `lifecycle.Account`. The CLI
attaches to it by PULUMI_DEBUG_PROVIDERS. What the real provider does besides: defaults, validation, retries, tags.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import graph as graphs
import grpc
from botocore.exceptions import ClientError
from deletion import REPLACING
from google.protobuf import empty_pb2
from lifecycle import Account, Gone
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

DEFAULTS = "__defaults"
"""The names of the inputs that the provider invented; pulumi-terraform-bridge keeps them under this key."""
_INVENTED = {"EventTarget": "targetId", "Permission": "statementId"}
"""Outputs that the provider invents when it creates, of kinds without a name."""


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """calls: (verb, kind, logical name), in the order in which they came; previews are not among them.

    before: called with each of them first, in the thread of the call; what it raises is the answer of the call.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.calls: list[tuple[str, str, str]] = []
        self.before: Callable[[str, str, str], None] = lambda *_: None
        self._lock = threading.Lock()

    def _note(self, verb: str, request: Any) -> None:
        call = (verb, request.type.rpartition(":")[2], request.name)
        with self._lock:
            self.calls.append(call)
        self.before(*call)

    # -- the provider itself

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi_aws"))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse()

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            answer = self.account.invoke(request.tok, graphs.plain(request.args))
        except graphs.Missing as error:
            # The engine puts "invocation of ... returned an error" before it.
            context.abort(grpc.StatusCode.UNKNOWN, str(error).partition("returned an error: ")[2])
        return provider_pb2.InvokeResponse(**{"return": graphs.to_struct(answer)})

    # -- resources

    def Check(self, request: Any, context: Any) -> Any:
        """The inputs, with a name that is invented once and then kept."""
        inputs, olds = graphs.plain(request.news), graphs.plain(request.olds)
        inputs.pop(DEFAULTS, None)
        key = graphs.name_input(request.type)
        if graphs.has_physical_name(request.type) and inputs.get(key) is None:
            if key in olds.get(DEFAULTS, []):
                inputs[key] = olds[key]
            else:
                salt = request.randomSeed.hex()
                inputs[key] = graphs.physical_name(request.type, request.name, request.urn + salt, inputs)
            inputs[DEFAULTS] = [key]
        failures = [provider_pb2.CheckFailure(reason=wrong) for wrong in self.account.check(request.type, inputs)]
        return provider_pb2.CheckResponse(inputs=graphs.to_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = graphs.plain(request.old_inputs), graphs.plain(request.news)
        changed = different(old, new)
        replacing = sorted(changed & REPLACING[request.type.rpartition(":")[2]])
        key = graphs.name_input(request.type)
        # pulumi-terraform-bridge, nameRequiresDeleteBeforeReplace: two cannot have a name that the program gives.
        is_named = key in new and key not in new.get(DEFAULTS, []) and old.get(key) == new[key]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=replacing,
            deleteBeforeReplace=bool(replacing) and graphs.has_physical_name(request.type) and is_named,
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = without_defaults(graphs.plain(request.properties))
        if request.preview:
            return provider_pb2.CreateResponse(properties=graphs.to_struct(planned(request, inputs)))
        self._note("create", request)
        kind = request.type.rpartition(":")[2]
        if key := _INVENTED.get(kind):
            inputs.setdefault(key, f"{request.name}-{graphs.suffix(request.urn, str(len(self.calls)))}")
        with answered(context):
            id, outputs = self.account.create(request.type, request.name, request.urn, inputs)
        return provider_pb2.CreateResponse(id=id, properties=graphs.to_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        """What is deployed; without an id if it is not there."""
        self._note("read", request)
        inputs, state = graphs.plain(request.inputs), graphs.plain(request.properties)
        with answered(context):
            try:
                seen = self.account.seen(request.type, request.name, state, without_defaults(inputs))
            except Gone:
                return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id, inputs=graphs.to_struct(inputs | seen), properties=graphs.to_struct(state | seen)
        )

    def Update(self, request: Any, context: Any) -> Any:
        old, new = graphs.plain(request.old_inputs), graphs.plain(request.news)
        changed, state = different(old, new), graphs.plain(request.olds)
        new = without_defaults(new)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=graphs.to_struct(state | new))
        self._note("update", request)
        with answered(context):
            outputs = self.account.change(request.type, request.name, request.urn, state, new, changed)
        return provider_pb2.UpdateResponse(properties=graphs.to_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        self._note("delete", request)
        with answered(context):
            self.account.delete(request.type, graphs.plain(request.properties))
        return empty_pb2.Empty()


class answered:
    """An error of AWS is the answer of a call, as the real provider gives it."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ClientError):
            self.context.abort(grpc.StatusCode.UNKNOWN, str(error))


def different(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """The inputs that differ. The state has no more of an asset or an archive than its digest."""
    return {key for key in old.keys() | new.keys() if digested(old.get(key)) != digested(new.get(key))} - {DEFAULTS}


def digested(value: Any) -> Any:
    """A value with the digests of assets and archives in place of them."""
    if isinstance(value, dict):
        if value.get(graphs.SIGNATURE) in (graphs.ASSET, graphs.ARCHIVE):
            return value["hash"]
        return {key: digested(item) for key, item in value.items()}
    return [digested(item) for item in value] if isinstance(value, list) else value


def without_defaults(inputs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key != DEFAULTS}


def planned(request: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs in a preview: those that only the service gives are not known yet."""
    _, outputs = graphs.provider_answer(request.type, request.name, request.urn, inputs)
    return {**dict.fromkeys(outputs, graphs.UNKNOWN), **inputs}
