"""A recorded graph with what the rules look up in it, and the type of a rule."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from graph import ASSET, SIGNATURE, Graph, Node, arn_types

Errors = Iterator[str]


class World:
    """A graph with what rules look up in it.

    like: of a graph that has some of the same resources, not only equal ones; what was found in those is not looked
    for again.
    """

    def __init__(self, graph: Graph, like: World | None = None) -> None:
        self.graph = graph
        self._texts: dict[str, list[tuple[str, str]]] = {}
        if like:
            self._texts = {
                urn: found for urn, found in like._texts.items() if graph.nodes[urn] is like.graph.nodes[urn]
            }
        self.by_kind: dict[str, list[Node]] = defaultdict(list)
        self.by_name: dict[str, dict[str, Node]] = defaultdict(dict)
        self.by_arn: dict[str, Node] = {}
        for node in graph:
            self.by_kind[node.kind].append(node)
            if node.physical_name is not None:
                self.by_name[node.kind][node.physical_name] = node
            arn = node.outputs.get("arn")
            if isinstance(arn, str) and node.type in arn_types():
                self.by_arn[arn] = node

    def texts(self, node: Node) -> list[tuple[str, str]]:
        """`texts` of the inputs of a resource."""
        if self.graph.nodes.get(node.urn) is not node:
            return list(texts(node.inputs))
        if node.urn not in self._texts:
            self._texts[node.urn] = list(texts(node.inputs))
        return self._texts[node.urn]

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


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in inputs with its path, also those inside JSON documents; the contents of assets are left out."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == ASSET:
            return
        for key, item in value.items():
            yield from texts(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts(item, f"{path}[{number}]")
    elif isinstance(value, str):
        inner = None
        if value[:1] == "{":
            try:
                inner = json.loads(value)
            except ValueError:
                inner = None
        if inner is None:
            yield path, value
        else:
            yield from texts(inner, path)


def number_in(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


Rule = Callable[[Node, World], Errors]
"""A function of a resource and what is around it that yields what is wrong with the resource."""
