"""Checks recorded inputs against the types that pulumi_aws generates from the provider's schema, at any depth.

Python itself only refuses an unknown argument at the top; a misspelt key in a nested dictionary goes to the engine
in silence. The types know names and kinds of values, no enumerations, ranges or patterns.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi
from graph import SIGNATURE, UNKNOWN, Graph, Node
from pulumi._types import input_type_py_to_pulumi_names, input_type_types


@functools.cache
def args_class(type: str) -> type:
    """The generated class with the inputs of a resource type."""
    _, module, name = type.split(":")
    namespace = module.split("/")[0]
    path = "pulumi_aws" if namespace == "index" else f"pulumi_aws.{'lambda_' if namespace == 'lambda' else namespace}"
    with warnings.catch_warnings():
        # A module warns of the deprecated resources in it when it is loaded.
        warnings.simplefilter("ignore", DeprecationWarning)
        resource = getattr(importlib.import_module(path), name)
    defined_in = sys.modules[resource.__module__]
    # `XArgs` is a nested type where a resource X has an input of the type X; its own is `XInitArgs` then.
    found: type = getattr(defined_in, f"{name}InitArgs", None) or getattr(defined_in, f"{name}Args")
    return found


@functools.cache
def members(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    """The camelCase inputs of a generated class with their types, and which of them are required."""
    names = input_type_py_to_pulumi_names(cls)
    types = input_type_types(cls)
    parameters = inspect.signature(cls.__init__).parameters.values()
    required = {one.name for one in parameters if one.name != "self" and one.default is one.empty}
    found = {camel: types.get(camel, types.get(python)) for python, camel in names.items()}
    return found, frozenset(camel for python, camel in names.items() if python in required)


@functools.cache
def alternatives(hint: Any) -> tuple[Any, ...]:
    """What a type allows, without the wrappers Input, Output, Awaitable and Optional."""
    origin = typing.get_origin(hint)
    if origin is typing.Union:
        return tuple(one for part in typing.get_args(hint) for one in alternatives(part))
    if hint is type(None) or origin is pulumi.Output or getattr(origin, "__name__", "") in ("Output", "Awaitable"):
        return ()
    return (hint,)


def _is_object(hint: Any) -> bool:
    return (
        inspect.isclass(hint)
        and hint.__module__.startswith("pulumi_aws")
        and not typing.is_typeddict(hint)
        and not issubclass(hint, (str, pulumi.Resource))
    )


def _is_enumeration(hint: Any) -> bool:
    return inspect.isclass(hint) and hint.__module__.startswith("pulumi_aws") and issubclass(hint, str)


def _check(value: Any, hint: Any, path: str) -> Iterator[str]:
    allowed = alternatives(hint) if hint is not None else ()
    if not allowed or value is None or value == UNKNOWN:
        return
    is_asset = isinstance(value, dict) and SIGNATURE in value
    if any(inspect.isclass(one) and issubclass(one, (pulumi.Asset, pulumi.Archive)) for one in allowed):
        if not is_asset:
            yield f"{path}: expected an asset or archive, got {value!r}"
        return
    objects = [one for one in allowed if _is_object(one)]
    if objects:
        if isinstance(value, dict):
            yield from _check_object(value, objects[0], path)
        elif not (isinstance(value, str) and str in allowed):
            yield f"{path}: expected an object, got {value!r}"
        return
    lists = [one for one in allowed if typing.get_origin(one) in (list, tuple, Sequence)]
    if lists:
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from _check(item, typing.get_args(lists[0])[0], f"{path}[{number}]")
        else:
            yield f"{path}: expected a list, got {value!r}"
        return
    maps = [one for one in allowed if typing.get_origin(one) in (dict, Mapping)]
    if maps:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from _check(item, typing.get_args(maps[0])[1], f"{path}.{key}")
        else:
            yield f"{path}: expected a map, got {value!r}"
        return
    kinds = {one for one in allowed if one in (str, int, float, bool)}
    kinds |= {str for one in allowed if _is_enumeration(one)}
    if kinds and not _fits(value, kinds):
        yield f"{path}: expected {'/'.join(sorted(one.__name__ for one in kinds))}, got {value!r}"


def _fits(value: Any, kinds: set[type]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int):
        return bool(kinds & {int, float})
    return type(value) in kinds


def _check_object(values: dict[str, Any], cls: type, path: str) -> Iterator[str]:
    known, required = members(cls)
    for key, value in values.items():
        if key not in known:
            yield f"{path}.{key}: not an input of {cls.__name__}"
        else:
            yield from _check(value, known[key], f"{path}.{key}")
    for key in sorted(required - values.keys()):
        yield f"{path}.{key}: required by {cls.__name__}, missing"


def check_node(node: Node) -> list[str]:
    """What the inputs of one resource have that its type does not allow, and what they lack."""
    return list(_check_object(node.inputs, args_class(node.type), node.label))


def check(graph: Graph) -> list[str]:
    """`check_node` for every resource of the AWS provider."""
    return [error for node in graph.custom if node.type.startswith("aws:") for error in check_node(node)]
