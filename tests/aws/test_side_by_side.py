"""Two warehouses in one program, and two stacks of one program, live in one account: they share no name."""

import pytest
from declared import everything
from recorder import deploy

from datawarehouse.aws import ServerlessDataWarehouse

ARGUMENTS = {"reader_account_ids": ["210987654321"], "alarm_emails": ["ops@example.com"]}


def two():
    for name in ("analytics_dw", "billing_dw"):
        ServerlessDataWarehouse(name, {"warehouse": everything(), **ARGUMENTS})


def names(graph, below=""):
    """(type, name) of everything that AWS tells apart by name, tables by their database, log streams by their group."""
    found = []
    for node in graph.custom:
        if below and not node.name.startswith((below, below.replace("_", "-"))):
            continue
        inside = node.inputs.get("databaseName") or node.inputs.get("logGroupName") or ""
        if node.physical_name:
            found.append((node.kind, inside, node.physical_name))
    return found


def test_two_warehouses_in_one_program():
    graph = deploy(two)
    first, second = names(graph, "analytics_dw"), names(graph, "billing_dw")
    assert len(first) == len(second) > 40
    assert len(set(first)) == len(first)
    assert not set(first) & set(second)


@pytest.mark.parametrize("other", [{"stack": "prod"}, {"stack": "alice-dev"}])
def test_the_same_program_under_another_stack_name(other):
    first, second = names(deploy(two)), names(deploy(two, **other))
    assert len(first) == len(second)
    assert not set(first) & set(second)


def test_one_warehouse_has_no_right_on_the_other():
    graph = deploy(two)
    for node in graph.all("RolePolicy"):
        mine, other = ("analytics", "billing") if node.name.startswith("analytics") else ("billing", "analytics")
        assert mine in node.inputs["policy"] and other not in node.inputs["policy"]
