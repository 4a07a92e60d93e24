"""What the engine would delete: its rule for deletions, applied to two recorded graphs.

1. A resource that both graphs have is replaced if an input differs that its service cannot change. If it is protected
   before and after, the run stops there, before anything is deleted (step_generator.go, "unable to replace resource").
2. What only the first graph has is deleted, and so are the old copies of what was replaced: dependents first
   (deployment_executor.go, ScheduleDeletes).
3. Whether a resource is protected is asked when it is its turn (step.go, DeleteStep.Apply). A protected one fails, and
   the run goes on (step_executor.go, cancelDueToError). That is the rule without a preview, as the Automation API runs;
   a preview refuses the run for one protected resource.
4. A resource with `retain_on_delete` is forgotten and stays.

What is here in place of the engine: state (the first graph), and the provider's list of inputs that replace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from graph import Graph, Node, suffix

REPLACING = {
    "Bucket": {"bucket", "region"},
    "BucketLifecycleConfiguration": {"bucket", "region"},
    "BucketObject": {"bucket", "key", "region"},
    "BucketPolicy": {"bucket", "region"},
    "BucketPublicAccessBlock": {"bucket", "region"},
    "BucketServerSideEncryptionConfiguration": {"bucket", "region"},
    "CatalogDatabase": {"name", "catalogId", "region"},
    "CatalogTable": {"name", "databaseName", "catalogId", "region"},
    "EventRule": {"name", "region"},
    "EventTarget": {"rule", "targetId", "region"},
    "FirehoseDeliveryStream": {"name", "destination", "kinesisSourceConfiguration", "region"},
    "Function": {"name", "region"},
    "FunctionEventInvokeConfig": {"functionName", "region"},
    "Invocation": {"functionName", "input", "triggers", "region"},
    "LogGroup": {"name", "region"},
    "LogStream": {"name", "logGroupName", "region"},
    "Dashboard": {"dashboardName", "region"},
    "MetricAlarm": {"name", "region"},
    "Permission": {"statementId", "action", "function", "principal", "sourceArn", "region"},
    "Queue": {"name", "region"},
    "QueuePolicy": {"queueUrl", "region"},
    "Role": {"name"},
    "RolePolicy": {"name", "role"},
    "RolePolicyAttachment": {"role", "policyArn"},
    "Stream": {"name", "region"},
    "Topic": {"name", "region"},
    "TopicPolicy": {"arn", "region"},
    "TopicSubscription": {"topic", "protocol", "endpoint", "region"},
    "Workgroup": {"name", "region"},
}
"""By kind, the inputs with ForceNew (terraform-provider-aws, the schema of each resource)."""


@dataclass
class Outcome:
    """The resources that a run deleted, that it refused to delete, and that it refused to replace."""

    deleted: list[Node] = field(default_factory=list)
    refused: list[Node] = field(default_factory=list)
    not_replaced: list[Node] = field(default_factory=list)


def destroyed(before: Graph) -> Outcome:
    """`pulumi destroy --skip-preview`."""
    return _deleted(before, before)


def updated(before: Graph, after: Graph) -> Outcome:
    """`pulumi up --skip-preview` of another program, or of another declaration, on the state of the first.

    Names of stacks are left out of the comparison: `pulumi stack rename` changes them in the state as well. What the
    provider once named keeps its name.
    """
    there = {_without_stack(node.urn): node for node in after}
    common = [(node, there[_without_stack(node.urn)]) for node in before if _without_stack(node.urn) in there]
    same = {suffix(new.urn): suffix(old.urn) for old, new in common}
    replaced = [(old, new) for old, new in common if _is_replaced(old, new, same)]
    kept = [old for old, new in replaced if old.protect and new.protect]
    if kept:
        return Outcome(not_replaced=kept)
    gone = [node for node in before if _without_stack(node.urn) not in there]
    return _deleted(before, [*gone, *(old for old, _ in replaced)])


def _is_replaced(old: Node, new: Node, same: Mapping[str, str]) -> bool:
    keys = REPLACING[old.kind] if old.type.startswith("aws:") else set()
    return any(_named(old.inputs.get(key), {}) != _named(new.inputs.get(key), same) for key in keys)


def _named(value: Any, same: Mapping[str, str]) -> str:
    """An input as text, with the names that the provider once gave."""
    return re.sub(r"[0-9a-f]{7}", lambda found: same.get(found[0], found[0]), json.dumps(value, sort_keys=True))


def _without_stack(urn: str) -> str:
    return urn.split("::", 1)[1]


def needs(node: Node) -> set[str]:
    """The URNs of what a resource depends on: its inputs, `depends_on` and its component."""
    return {*node.dependencies, *(urn for urns in node.property_dependencies.values() for urn in urns), node.parent}


def _deleted(before: Graph, gone: Iterable[Node]) -> Outcome:
    outcome = Outcome()
    wanted = {node.urn for node in gone}
    order = TopologicalSorter({node.urn: needs(node) & before.nodes.keys() for node in before}).static_order()
    for urn in reversed(list(order)):
        node = before.nodes[urn]
        if urn not in wanted:
            continue
        if node.protect:
            outcome.refused.append(node)
        elif not node.retain_on_delete and not node.existing:
            outcome.deleted.append(node)
    return outcome
