"""What no off-the-shelf tool checks: what holds between resources, and rules of this architecture.

1. `world` finds resources by kind, name, ARN and location.
2. Each rule, in a module per area, is a small function of one resource, or of one and the `World` around it, that
   yields errors. Its docstring names the page of AWS's documentation or the API it comes from; one without is of this
   architecture.
3. `check` asks every rule about every resource of the kinds that the rule is about.
"""

from __future__ import annotations

import functools
import re

from graph import Graph, Node, texts

from house.archives import import_rule, library_rule
from house.functions import (
    environment_rule,
    function_rule,
    invocation_rule,
    invoke_config_rule,
    permission_rule,
    schedule_rule,
    target_rule,
)
from house.iceberg import optimizer_rule
from house.identity import (
    STAR_ONLY,
    attachment_rule,
    document_rule,
    identity_rule,
    resource_policy_rule,
    trust_rule,
)
from house.naming import (
    MANAGED_POLICIES,
    arn_rule,
    hyphened,
    name_rule,
    order_rule,
    parent_rule,
    reference_rule,
    tags_rule,
    text_rule,
)
from house.rights import firehose_rights, function_rights_rule, reader_rule
from house.storage import (
    bucket_part_rule,
    bucket_rule,
    database_rule,
    object_rule,
    table_rule,
    workgroup_rule,
)
from house.streams import firehose_rule, stream_rule
from house.watching import alarm_rule, dashboard_rule, log_group_rule, queue_rule, subscription_rule
from house.world import OwnRule, Rule, World, among

__all__ = [
    "MANAGED_POLICIES",
    "OWN_RULES",
    "RULES",
    "STAR_ONLY",
    "World",
    "check",
    "check_beside",
    "check_components",
    "check_node",
    "firehose_rights",
]

OWN_RULES: tuple[OwnRule, ...] = (
    text_rule,
    tags_rule,
    document_rule,
    identity_rule,
    attachment_rule,
    import_rule,
    invocation_rule,
    stream_rule,
    database_rule,
    queue_rule,
    log_group_rule,
)
RULES: tuple[Rule, ...] = (
    parent_rule,
    name_rule,
    arn_rule,
    reference_rule,
    trust_rule,
    resource_policy_rule,
    function_rule,
    function_rights_rule,
    reader_rule,
    environment_rule,
    library_rule,
    invoke_config_rule,
    permission_rule,
    schedule_rule,
    target_rule,
    bucket_rule,
    bucket_part_rule,
    object_rule,
    firehose_rule,
    table_rule,
    optimizer_rule,
    workgroup_rule,
    alarm_rule,
    dashboard_rule,
    subscription_rule,
    order_rule,
)
own_rules_of = functools.cache(functools.partial(among, OWN_RULES))
rules_of = functools.cache(functools.partial(among, RULES))


def check_node(node: Node, world: World) -> list[str]:
    """The errors of one resource."""
    own = [f"{node.label}: {text}" for rule in own_rules_of(node.kind) for text in rule(node)]
    return own + check_beside(node, world)


def check_beside(node: Node, world: World) -> list[str]:
    """Those errors of one resource that can come and go when another resource is altered."""
    return [f"{node.label}: {text}" for rule in rules_of(node.kind) for text in rule(node, world)]


def check_components(graph: Graph) -> list[str]:
    """A component registers its outputs exactly once and has children; exports are resolved."""
    errors = []
    for node in graph.components:
        if len(node.registered_outputs) != 1:
            errors.append(f"{node.label}: registered its outputs {len(node.registered_outputs)} times")
        if not graph.children(node):
            errors.append(f"{node.label}: has no resources")
        parent = graph.parent(node)
        if parent is not None and not hyphened(node.name).startswith(f"{hyphened(parent.name)}-"):
            errors.append(f"{node.label}: name does not begin with that of its component, {parent.name}-")
    for path, text in texts(graph.exports):
        if re.search(r"\bNone\b|Output<", text):
            errors.append(f"output {path} of the stack is {text!r}")
    errors += [f"output {key} of the stack is None" for key, value in graph.exports.items() if value is None]
    return errors


def check(graph: Graph) -> list[str]:
    """All errors of a graph that was recorded by an up; empty when it keeps the house's rules."""
    world = World(graph)
    return check_components(graph) + [error for node in graph.custom for error in check_node(node, world)]
