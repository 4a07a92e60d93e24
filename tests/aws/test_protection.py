"""What a slip can delete of a production stack: nothing that holds data, nor what feeds, names or guards it.

The closure is computed from the recorded graph alone, without knowing what the program protects; `deletion` has the
engine's rule.
"""

import json
import re
from dataclasses import replace

import pytest
from declared import everything
from deletion import destroyed, needs, updated
from engine import Engine
from house.iceberg import location_of
from recorder import deploy
from test_example import EXAMPLE

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.tables import checked_columns


def deployed(declared=None, stack="prod", **arguments):
    warehouse = declared or everything()
    return deploy(
        lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": warehouse, **arguments}) and None, stack=stack
    )


def granting(graph, action):
    """The names of the roles that a policy of the graph grants an action."""
    return {
        node.inputs["role"]
        for node in graph.all("RolePolicy")
        if any(action in statement["Action"] for statement in json.loads(node.inputs["policy"])["Statement"])
    }


WIRING = {
    "RolePolicy": "Role",
    "EventTarget": "Function",
    "Permission": "Function",
    "FunctionEventInvokeConfig": "Function",
    "QueuePolicy": "Queue",
}
"""What belongs to a resource although that does not need it: rights of a role, callers of a function, and so on."""


def closure(graph):
    """The URNs of what holds data, of what feeds, names and guards it, and of everything that those need."""
    deliveries = graph.all("FirehoseDeliveryStream")
    settings = [
        node.inputs["extendedS3Configuration"] for node in deliveries if node.inputs["destination"] != "iceberg"
    ]
    [data] = {one["bucketArn"].rpartition(":")[2] for one in settings}
    # A BucketObject has its content from the program, which can put it there again.
    guards = [node for node in graph if re.match("Bucket(?!Object)", node.kind) and node.inputs.get("bucket") == data]
    holds = [*graph.all("Stream"), *(node for node in graph.all("Bucket") if node.outputs["bucket"] == data)]
    names = [
        *graph.all("CatalogDatabase"),
        *(
            node
            for node in graph.all("CatalogTable")
            if node.inputs.get("tableType") == "VIRTUAL_VIEW" or location_of(node).startswith(f"s3://{data}/")
        ),
    ]
    roles = {node.outputs["arn"] for node in graph.all("Role")
             if node.outputs["name"] in granting(graph, "glue:BatchCreatePartition")}  # fmt: skip
    registrars = [node for node in graph.all("Function") if node.inputs["role"] in roles]
    found = {node.urn for node in [*guards, *holds, *names, *deliveries, *registrars]}
    while True:
        needed = {urn for urn in found for urn in needs(graph.nodes[urn])} & graph.nodes.keys()
        wired = {
            node.urn
            for node in graph
            if any(graph.nodes[urn].kind == WIRING.get(node.kind) for urn in needs(node) & found)
        }
        if not (needed | wired) - found:
            return found
        found |= needed | wired


@pytest.fixture(scope="module")
def production():
    return deployed()


def lost(outcome, before):
    kept = closure(before)
    return [node.label for node in outcome.deleted if node.urn in kept]


def changed(changes):
    """Every kind of table; changes: by name, None to leave a table out, a text to rename it, or other fields."""
    declared = Warehouse("every_kind")
    for table in everything().tables():
        change = changes.get(table.name, {})
        if isinstance(change, str):
            change = {"name": change}
        if change is not None:
            declared.add(replace(table, **change))
    return declared


def test_the_closure_is_what_one_would_list(production):
    kinds = {}
    for urn in closure(production):
        node = production.nodes[urn]
        kinds[node.kind] = kinds.get(node.kind, 0) + 1
    assert kinds == {
        "ServerlessDataWarehouse": 1, "PrivateBucket": 1, "InputStream": 2, "HourlyPartitionRegistrar": 2,
        "LambdaCronJob": 2, "Bucket": 1, "BucketPolicy": 1, "BucketPublicAccessBlock": 1,
        "BucketServerSideEncryptionConfiguration": 1, "BucketLifecycleConfiguration": 1, "CatalogDatabase": 1,
        "CatalogTable": 10, "Stream": 2, "FirehoseDeliveryStream": 2, "LogGroup": 4, "LogStream": 2, "Role": 4,
        "RolePolicy": 4, "Function": 2, "FunctionEventInvokeConfig": 2, "Permission": 2, "EventRule": 2,
        "EventTarget": 2, "Queue": 2, "QueuePolicy": 2,
    }  # fmt: skip


def test_all_of_it_is_protected_and_nothing_that_deployments_replace(production):
    unprotected = {production.nodes[urn].kind for urn in closure(production) if not production.nodes[urn].protect}
    assert unprotected == {"LogStream"}  # which stays when it is deleted, and changes with the columns
    assert all(node.retain_on_delete for node in production.all("LogStream"))
    others = {node.kind for node in production if node.protect and node.urn not in closure(production)}
    assert others == set()


@pytest.mark.parametrize("what", ["declared", "the example"])
def test_a_destroy_without_a_preview_deletes_none_of_it(production, what):
    if what == "the example":
        done = Engine(project="acme-ads", stack="prod").run(EXAMPLE, config={"acme-ads:dev": "false"})
        assert done.code == 0, done.messages
        production = done.graph
    outcome = destroyed(production)
    assert lost(outcome, production) == []
    assert outcome.deleted and {node.urn for node in outcome.refused} >= {
        urn for urn in closure(production) if not production.nodes[urn].retain_on_delete
    }
    # What is deleted can be made again as it was: nothing in it is known nowhere else.
    assert not {"Stream", "CatalogDatabase", "FirehoseDeliveryStream"} & {node.kind for node in outcome.deleted}


@pytest.mark.parametrize(
    "change",
    [
        {"clicks": None, "aggregates": None},
        {"clicks": "klicks", "aggregates": None},
        {"sessions": None},
        {"facts": None},
    ],
    ids=["dropped", "renamed", "of a job", "of a user"],
)
def test_a_table_that_is_dropped_or_renamed_keeps_its_data_and_what_feeds_it(production, change):
    outcome = updated(production, deployed(changed(change)))
    assert outcome.refused and lost(outcome, production) == []


def test_a_renamed_stack_replaces_nothing_and_names_what_it_would(production):
    outcome = updated(production, deployed(stack="live"))
    assert outcome.deleted == []
    named = {node.kind for node in outcome.not_replaced}
    assert named == {"CatalogDatabase", "CatalogTable"}
    assert {node.name for node in outcome.not_replaced} >= {"analytics_dw-database", "analytics_dw-sessions"}


def test_a_stack_is_renamed_if_its_database_has_a_name_of_its_own(production):
    """That of the present database will do."""
    outcome = updated(production, deployed(stack="live", database_name="analytics_dw_prod"))
    assert (outcome.refused, outcome.not_replaced) == ([], [])
    assert {node.kind for node in outcome.deleted} == {"Dashboard", "Workgroup"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"log_retention_days": 90, "stream_retention_hours": 48, "alarm_emails": ["ops@example.com"]},
        {"on_demand_streams": ["clicks"]},
        {"reader_account_ids": ["210987654321"]},
    ],
)
def test_ordinary_changes_are_not_in_the_way_of_protection(production, arguments):
    for before, after in ((production, deployed(**arguments)), (deployed(**arguments), production)):
        outcome = updated(before, after)
        assert (outcome.refused, outcome.not_replaced) == ([], [])


def test_neither_are_added_columns_and_policies_of_jobs(production):
    columns = (*everything().get_table("clicks").columns, *checked_columns("clicks", {"more": "int"}))
    changes = {"clicks": {"columns": columns}, "sessions": {"policy_arns_to_attach": ()}}
    outcome = updated(production, deployed(changed(changes)))
    assert (outcome.refused, outcome.not_replaced) == ([], [])
    assert {node.kind for node in outcome.deleted} == {"Invocation", "RolePolicyAttachment"}


def test_a_removal_in_two_steps_deletes_everything(production):
    given_up = deployed(data_is_disposable=True)
    assert updated(production, given_up).deleted == []
    assert not [node for node in given_up if node.protect]
    outcome = destroyed(given_up)
    assert outcome.refused == [] and len(outcome.deleted) == len(given_up.nodes) - 2  # old logs stay


def test_registrars_go_in_two_steps_as_well(production):
    projected = {"partition_projection_start": "2026/11/01/00"}
    assert {node.kind for node in updated(production, deployed(**projected)).refused} >= {"Function", "EventRule"}
    outcome = updated(deployed(data_is_disposable=True), deployed(**projected))
    assert outcome.refused == [] and lost(outcome, deployed(**projected)) == []


def test_so_does_a_removal_of_one_table(production):
    outcome = updated(deployed(data_is_disposable=True), deployed(changed({"sessions": None})))
    assert outcome.refused == []
    assert {"analytics_dw-sessions", "analytics_dw-sessions-job"} <= {node.name for node in outcome.deleted}
