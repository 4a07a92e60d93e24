"""A recorded graph with what the rules look up in it, and the type of a rule."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from graph import Graph, Node, arn_types

Errors = Iterator[str]
_LOCATED = ("CatalogTable", "FirehoseDeliveryStream", "Workgroup")  # whose inputs say where something is written


class World:
    """A graph with what rules look up in it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.by_kind: dict[str, list[Node]] = defaultdict(list)
        self.by_name: dict[str, dict[str, Node]] = defaultdict(dict)
        self.by_arn: dict[str, Node] = {}
        self.sharing: dict[tuple[str, str], list[Node]] = defaultdict(list)
        for node in graph:
            self.by_kind[node.kind].append(node)
            if (name := node.physical_name) is not None:
                self.by_name[node.kind][name] = node
                self.sharing[node.kind, name].append(node)
            arn = node.outputs.get("arn")
            if isinstance(arn, str) and node.type in arn_types():
                self.by_arn[arn] = node

    def altered(self, graph: Graph, old: Node, new: Node) -> World:
        """The world of a graph that differs from this one's in one resource alone; made of this one where that is
        sooner."""
        if (old.physical_name, old.outputs.get("arn")) != (new.physical_name, new.outputs.get("arn")):
            return World(graph)
        world = copy.copy(self)
        world.graph = graph
        if old.kind in _LOCATED:
            for name in ("table_locations", "folders", "_written"):
                world.__dict__.pop(name, None)

        def replaced(nodes: list[Node]) -> list[Node]:
            return [new if each is old else each for each in nodes]

        world.by_kind = {**self.by_kind, old.kind: replaced(self.by_kind[old.kind])}
        if (name := old.physical_name) is not None:
            place = old.kind, name
            world.sharing = {**self.sharing, place: replaced(self.sharing[place])}
            world.by_name = {**self.by_name, old.kind: {**self.by_name[old.kind], name: world.sharing[place][-1]}}
        if (arn := old.outputs.get("arn")) in self.by_arn and self.by_arn[arn] is old:
            world.by_arn = {**self.by_arn, arn: new}
        return world

    def all(self, kind: str) -> list[Node]:
        return self.by_kind.get(kind, [])

    def named(self, kind: str, name: Any) -> Node | None:
        return self.by_name.get(kind, {}).get(name) if isinstance(name, str) else None

    def at(self, arn: Any) -> Node | None:
        return self.by_arn.get(arn) if isinstance(arn, str) else None

    def pointing(self, kind: str, key: str, target: Node) -> list[Node]:
        """Resources of a kind whose input `key` is the name, id or ARN of `target`."""
        wanted = {target.physical_name, target.id, target.outputs.get("arn"), target.outputs.get("url")} - {None, ""}
        return [node for node in self.all(kind) if node.inputs.get(key) in wanted]

    @functools.cached_property
    def table_locations(self) -> dict[str, Node]:
        """Location of every Glue table."""
        found = {}
        for node in self.all("CatalogTable"):
            iceberg = "openTableFormatInput.icebergInput.icebergTableInput.location"
            location = get(node.inputs, "storageDescriptor.location") or get(node.inputs, iceberg)
            if isinstance(location, str):
                found[location] = node
        return found

    @functools.cached_property
    def folders(self) -> set[str]:
        """First folders of keys that some part of the warehouse writes: tables, errors, results of queries."""
        found = {"batch", "errors", "staging", "unload"}
        output = "configuration.resultConfiguration.outputLocation"
        for location in [*self.table_locations, *(get(node.inputs, output) for node in self.all("Workgroup"))]:
            if isinstance(location, str):
                found.add(location.removeprefix("s3://").partition("/")[2].partition("/")[0])
        return found

    def is_written(self, bucket: str, key: str) -> bool:
        """Whether some part of the warehouse writes below, or around, a prefix of keys in a bucket."""
        top, _, rest = key.partition("/")
        if top in ("batch", "staging", "unload") and rest:
            return self.named("CatalogTable", rest.partition("/")[0]) is not None
        prefix = f"s3://{bucket}/{key}"
        return any(one.startswith(prefix) or prefix.startswith(one) for one in self._written)

    @functools.cached_property
    def _written(self) -> set[str]:
        found = set(self.table_locations)
        for node in self.all("Workgroup"):
            found.add(str(get(node.inputs, "configuration.resultConfiguration.outputLocation")))
        for node in self.all("FirehoseDeliveryStream"):
            backup = get(node.inputs, "icebergConfiguration.s3Configuration")
            if isinstance(backup, dict):
                bucket = str(backup.get("bucketArn")).rpartition(":")[2]
                errors = str(backup.get("errorOutputPrefix")).partition("!")[0]
                kinds = ("format-conversion-failed", "iceberg-failed", "processing-failed")
                found |= {f"s3://{bucket}/{errors}{kind}/" for kind in kinds}
                continue
            bucket = str(get(node.inputs, "extendedS3Configuration.bucketArn")).rpartition(":")[2]
            found.add(f"s3://{bucket}/{str(get(node.inputs, 'extendedS3Configuration.prefix')).partition('!')[0]}")
            errors = str(get(node.inputs, "extendedS3Configuration.errorOutputPrefix")).partition("!")[0]
            found |= {f"s3://{bucket}/{errors}{kind}/" for kind in ("format-conversion-failed", "processing-failed")}
        return found


def get(values: Any, path: str) -> Any:
    """The value at a dotted path of objects; None when any part is missing."""
    for key in path.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def number_in(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


OwnRule = Callable[[Node], Errors]
"""A function of a resource that yields what is wrong with it, whatever is around it."""
Rule = Callable[[Node, World], Errors]
"""A function of a resource and what is around it that yields what is wrong with the resource."""
AnyRule = TypeVar("AnyRule", OwnRule, Rule)


def about(*kinds: str) -> Callable[[AnyRule], AnyRule]:
    """Marks a rule that is about resources of these kinds alone."""

    def marked(rule: AnyRule) -> AnyRule:
        rule.kinds = frozenset(kinds)
        return rule

    return marked


def among(rules: tuple[AnyRule, ...], kind: str) -> tuple[AnyRule, ...]:
    """Those of the rules that are about resources of a kind."""
    return tuple(rule for rule in rules if kind in getattr(rule, "kinds", (kind,)))
