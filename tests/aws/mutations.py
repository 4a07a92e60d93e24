"""Alters every input of a recorded graph, one at a time, and counts what the checks see.

1. Leaves: every number, text, truth value or empty container in the inputs of every resource, also inside the JSON
   of policies and events, and every file of an archive (its name, not its text).
2. Mutants: the leaf dropped, its key misspelt, its type wrong, its text wrong, its number out of range, its ARN that
   of something else, its truth value turned; in policies also a whole statement dropped.
3. Structurally equal mutants (same type, path and value but for the names of resources) are tried once.
4. Cheap checks first: types, the house's rules on the resource, then on those others whose rules look up such a
   resource, parliament; then cfn-lint on the altered resources, hundreds in one template.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cloudformation
import graph as graphs
import hints
import house
import policies
from graph import ARCHIVE, ASSET, SIGNATURE, Graph, Node

Path = tuple[str | int, ...]

# Stands in a path for "the JSON in this text".
INSIDE = "{json}"

DROPPED, MISSPELT, TYPE, TEXT, RANGE, ARN, TURNED = (
    "dropped",
    "misspelt key",
    "wrong type",
    "wrong text",
    "out of range",
    "wrong ARN",
    "turned",
)


@dataclass(frozen=True)
class Mutant:
    """One altered input: whose, where (`rules[0].status`), how, and what the value was and became."""

    urn: str
    label: str
    path: Path
    kind: str
    was: Any
    becomes: Any

    @property
    def where(self) -> str:
        """The path as text."""
        parts = [f"[{one}]" if isinstance(one, int) else f".{one}" for one in self.path]
        return "".join(parts).lstrip(".")

    def __str__(self) -> str:
        return f"{self.label} {self.where}: {self.kind}, {self.was!r} -> {self.becomes!r}"


@dataclass
class Report:
    """How many mutants were tried, how many each check caught (the first that did), and those that none did.

    `alike` counts the further mutants that are structurally equal to one that was tried.
    """

    total: int = 0
    caught: dict[str, int] = field(default_factory=dict)
    survivors: list[Mutant] = field(default_factory=list)
    alike: int = 0

    @property
    def rate(self) -> float:
        """The share that was caught, 0 to 1."""
        return 1 - len(self.survivors) / self.total if self.total else 1.0


class _Gone:
    """Marks a value that is to be removed."""


GONE = _Gone()


# Inputs that are JSON to AWS as well, beside policies.
_EVENTS = {"Dashboard": "dashboardBody", "Invocation": "input", "EventTarget": "input"}


def leaves_of(node: Node) -> Iterator[tuple[Path, Any]]:
    """The leaves of the inputs of a resource, with their paths."""
    documents = {policies.policy_input(node), _EVENTS.get(node.kind)}
    for key, value in node.inputs.items():
        yield from leaves(value, (key,), is_document=key in documents)


def leaves(value: Any, path: Path, *, is_document: bool = False) -> Iterator[tuple[Path, Any]]:
    """The leaves of a value, with their paths; those inside of a JSON text if it is a document to AWS."""
    if isinstance(value, dict) and value.get(SIGNATURE) == ARCHIVE:
        yield path, value
        yield from (((*path, "assets", name), asset) for name, asset in value.get("assets", {}).items())
    elif isinstance(value, dict) and value and value.get(SIGNATURE) != ASSET:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    elif is_document and isinstance(value, str) and (inner := _document(value)) is not None:
        yield path, value
        yield from leaves(inner, (*path, INSIDE))
    else:
        yield path, value


def _document(text: str) -> dict[str, Any] | None:
    """The object in a JSON text, if it is one."""
    if not text.startswith("{"):
        return None
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def altered(value: Any, path: Path, new: Any, *, key: str | None = None) -> Any:
    """A copy of inputs with another value at a path, GONE to remove it, or with another key for it."""
    step, rest = path[0], path[1:]
    if step == INSIDE:
        return json.dumps(altered(json.loads(value), rest, new, key=key))
    result = copy.copy(value)
    if rest:
        result[step] = altered(value[step], rest, new, key=key)
    elif key is not None:
        result = {key if one == step else one: item for one, item in value.items()}
    elif new is GONE:
        del result[step]
    else:
        result[step] = new
    return result


def _wrong_arn(arn: str) -> str:
    """The ARN of something that is not there: another name at its end, before a wildcard."""
    match = re.fullmatch(r"(.*?)((?:[:/](?:log-stream:)?)?\*)?", arn)
    assert match
    return f"{match[1]}x{match[2] or ''}"


def mutants_of(node: Node) -> Iterator[Mutant]:
    """All mutants of one resource."""
    make = functools.partial(Mutant, node.urn, node.label)
    for path, value in leaves_of(node):
        last = path[-1]
        in_document = INSIDE in path
        yield make(path, DROPPED, value, None)
        if isinstance(last, str):
            yield make(path, MISSPELT, last, f"{last}{last[-1]}" if not last.endswith(".py") else f"x{last}")
        if isinstance(value, dict) and SIGNATURE in value:
            if value[SIGNATURE] == ARCHIVE:
                yield make(path, TYPE, "archive", "text")
            continue
        if isinstance(value, bool):
            yield make(path, TYPE, value, "perhaps")
            yield make(path, TURNED, value, not value)
        elif isinstance(value, (int, float)):
            yield make(path, TYPE, value, "many")
            yield make(path, RANGE, value, -1)
            yield make(path, RANGE, value, 10**15 + 1 + value)
        elif isinstance(value, str):
            yield make(path, TYPE, value, 12345 if in_document else {"wrong": "type"})
            if value.startswith("arn:"):
                yield make(path, ARN, value, _wrong_arn(value))
            elif _document(value) is not None:
                yield make(path, TEXT, value, value[:-1])
            elif re.fullmatch(r"-?\d+", value):
                yield make(path, TEXT, value, f"{value}x")
                yield make(path, RANGE, value, "-1")
            else:
                yield make(path, TEXT, value, f"{value}x")
    for key, value in node.inputs.items():
        parsed = _document(value) if isinstance(value, str) else None
        statements = parsed.get("Statement") if parsed else None
        for number, statement in enumerate(statements if isinstance(statements, list) else []):
            yield make((key, INSIDE, "Statement", number), DROPPED, statement, None)


def mutated(node: Node, mutant: Mutant) -> Node:
    """The resource as it would be recorded with the altered input; what the provider answers follows from it."""
    if mutant.kind == MISSPELT:
        inputs = altered(node.inputs, mutant.path, None, key=mutant.becomes)
    else:
        inputs = altered(node.inputs, mutant.path, GONE if mutant.kind == DROPPED else mutant.becomes)
    identity, outputs = graphs.provider_answer(node.type, node.name, node.urn, inputs)
    return replace(node, inputs=inputs, outputs=outputs, id=identity)


class _Alike:
    """Gives mutants that differ in the names of resources alone the same key."""

    def __init__(self, graph: Graph) -> None:
        names: dict[str, str] = {}
        for node in graph:
            names[node.name] = f"<{node.kind} logical>"
            if node.physical_name:
                names[node.physical_name] = f"<{node.kind}>"
        self.names = names
        ordered = sorted((name for name in names if len(name) > 2), key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, ordered)) or "(?!)")
        self._neutral: dict[str, str] = {}

    def neutral(self, value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        if text not in self._neutral:
            self._neutral[text] = self.pattern.sub(lambda match: self.names[match[0]], text)
        return self._neutral[text]

    def key(self, node: Node, mutant: Mutant) -> tuple[Any, ...]:
        in_document = INSIDE in mutant.path
        path = tuple("[]" if isinstance(one, int) and not in_document else one for one in mutant.path)
        was = "archive" if isinstance(mutant.was, dict) and SIGNATURE in mutant.was else self.neutral(mutant.was)
        becomes = self.neutral(mutant.becomes) if mutant.kind in (TYPE, RANGE) else ""
        # The same statement may be needed in one policy and not in another: alike are only whole policies.
        document = self.neutral(node.inputs[str(mutant.path[0])]) if in_document else ""
        return node.type, path, mutant.kind, was, becomes, document


# Given the graph with the altered resource in it, and that resource: the errors.
Check = Callable[[Graph, Node], Collection[str]]


class _Noting(house.World):
    """A world that notes what rules look up in it: by kind, by kind and name, by ARN; `arns` for all ARNs."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.asked: set[Any] = set()
        world = self

        class Arns(dict[str, Node]):
            def __contains__(self, arn: object) -> bool:
                world.asked.add(("arn", arn))
                return super().__contains__(arn)

            def __getitem__(self, arn: str) -> Node:
                world.asked.add(("arn", arn))
                return super().__getitem__(arn)

            def __iter__(self) -> Iterator[str]:
                world.asked.add("arns")
                return super().__iter__()

            def items(self) -> Any:
                world.asked.add("arns")
                return super().items()

        class Sharing(dict[tuple[str, str], list[Node]]):
            def __getitem__(self, place: tuple[str, str]) -> list[Node]:
                world.asked.add(place)
                return super().__getitem__(place)

        self.by_arn, self.sharing = Arns(self.by_arn), Sharing(self.sharing)

    def all(self, kind: str) -> list[Node]:
        self.asked.add(kind)
        return super().all(kind)

    def named(self, kind: str, name: Any) -> Node | None:
        self.asked.add((kind, name) if isinstance(name, str) else kind)
        return super().named(kind, name)

    def at(self, arn: Any) -> Node | None:
        self.asked.add(("arn", arn) if isinstance(arn, str) else "arns")
        return super().at(arn)


def _found_by(node: Node) -> set[Any]:
    """By what a world finds a resource, as `_Noting` notes it."""
    arn = node.outputs.get("arn")
    return {node.kind, (node.kind, node.physical_name), *((("arn", arn), "arns") if isinstance(arn, str) else ())}


class _Checks:
    """The checks on one graph, with what they find in it as it is, which no mutant gets the credit for."""

    def __init__(self, graph: Graph, more: Mapping[str, Check]) -> None:
        self.graph = graph
        self.more = more
        self.world = house.World(graph)
        self.before: dict[str, set[str]] = {}
        self.asked: dict[str, set[Any]] = {}
        for node in graph.custom:
            found = {*hints.check_node(node), *policies.check_node(node)}
            world = _Noting(graph)
            self.before[node.urn] = found | set(house.check_node(node, world))
            self.asked[node.urn] = world.asked

    def cheap(self, node: Node) -> str | None:
        """The first check other than cfn-lint that finds something new, with the altered resource in its place."""
        before = self.before[node.urn]
        if set(hints.check_node(node)) - before:
            return "hints"
        graph = Graph({**self.graph.nodes, node.urn: node}, self.graph.exports)
        try:
            original = self.graph.nodes[node.urn]
            world = self.world.altered(graph, original, node)
            if set(house.check_node(node, world)) - before:
                return "house"
            found_by = _found_by(original) | _found_by(node)
            for other in graph.custom:
                if other.urn == node.urn or found_by.isdisjoint(self.asked[other.urn]):
                    continue
                if set(house.check_beside(other, world)) - self.before[other.urn]:
                    return "house (other resource)"
        except Exception:
            # A test that calls the rules fails then, too; it says less than an error of theirs.
            return "house (raised)"
        try:
            if set(policies.check_node(node)) - before:
                return "parliament"
        except Exception:
            return "parliament (raised)"
        return next((name for name, check in self.more.items() if check(graph, node)), None)


def _lint(candidates: list[tuple[Mutant, Node]], graph: Graph, report: Report) -> None:
    """Give the rest to cfn-lint; what it does not see either survives."""
    resources: dict[str, dict[str, Any]] = {}
    rest: list[tuple[str, Mutant, str]] = []
    for number, (mutant, node) in enumerate(candidates):
        if node.type in cloudformation.OUTSIDE:
            report.survivors.append(mutant)
            continue
        original = graph.nodes[node.urn]
        unaltered = f"B{cloudformation.logical_id(original)}"
        resources[unaltered] = cloudformation.resource(original)
        try:
            resources[f"M{number}"] = cloudformation.resource(node)
        except cloudformation.Unmapped:
            report.caught["cfn-lint"] = report.caught.get("cfn-lint", 0) + 1
            continue
        rest.append((f"M{number}", mutant, unaltered))
    found = cloudformation.lint_resources(resources)
    for key, mutant, unaltered in rest:
        if set(found[key]) - set(found[unaltered]):
            report.caught["cfn-lint"] = report.caught.get("cfn-lint", 0) + 1
        else:
            report.survivors.append(mutant)


def mutate(graph: Graph, *, more: Mapping[str, Check] | None = None) -> Report:
    """Try every mutant of a graph that was recorded by an up and that the checks find nothing in.

    `more` are further checks by name, asked before cfn-lint: such as the audit of a role against recorded calls.
    """
    report = Report()
    alike, checks = _Alike(graph), _Checks(graph, more or {})
    seen: set[tuple[Any, ...]] = set()
    caught: Counter[str] = Counter()
    candidates: list[tuple[Mutant, Node]] = []
    for node in graph.custom:
        for mutant in mutants_of(node):
            key = alike.key(node, mutant)
            if key in seen:
                report.alike += 1
                continue
            seen.add(key)
            report.total += 1
            altered_node = mutated(node, mutant)
            check = checks.cheap(altered_node)
            if check is None:
                candidates.append((mutant, altered_node))
            else:
                caught[check] += 1
    report.caught = dict(caught)
    _lint(candidates, graph, report)
    return report
