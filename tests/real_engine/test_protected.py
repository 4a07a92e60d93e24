"""What a slip deletes of a production stack, by the real engine: nothing that holds, feeds, names or guards data.

The closure is that of tests/aws/test_protection, computed from the state of the stack; that all of it is still there is
asked of AWS.
"""

import itertools
import json

import pytest
from deletion import destroyed
from lifecycle import Gone
from programs import every_kind, graph_of
from test_protection import closure

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def created(new_stack, tmp_path_factory):
    """Makes stacks with every kind of table, each in a folder of its own, since Pulumi selects a stack by folder."""

    def create():
        cli = new_stack(every_kind(tmp_path_factory.mktemp("every-kind") / "program"), f"prod{next(_NUMBERS)}")
        done = cli.change("up", "--skip-preview")
        assert done.code == 0, done.said
        return cli

    return create


@pytest.fixture(scope="module")
def shared(created):
    return created()


@pytest.fixture
def production(shared):
    """A stack for all tests, and its graph. What one of them deletes is created again after it."""
    cli = shared
    declare(cli)
    cli.provider.calls.clear()
    yield cli, graph_of(cli.state())
    if writes(cli):
        declare(cli)
        done = cli.change("up", "--skip-preview")
        assert done.code == 0, done.said


def declare(cli, **given):
    cli.ok("config", "set", "given", json.dumps(given))


def there(cli, graph):
    """Those resources of a graph that AWS has; the call of a function is nothing that it could have."""
    found = set()
    for node in graph.custom:
        if node.kind == "Invocation":
            continue
        try:
            cli.provider.account.describe(node.type, node.outputs)
        except Gone:
            continue
        found.add(node.urn)
    return found


def writes(cli):
    """The calls that change something in AWS."""
    return [call for call in cli.provider.calls if call[0] != "read"]


def kept(cli, graph):
    """Asserts that the closure is whole, in AWS and in the state; the kinds of what is gone."""
    present, known = there(cli, graph), {each["urn"] for each in cli.state()}
    lost = {graph.nodes[urn].label for urn in closure(graph) if graph.nodes[urn].custom and urn not in present}
    assert lost == set()
    # A log stream is forgotten and stays (`retain_on_delete`).
    assert {graph.nodes[urn].label for urn in closure(graph) - known if graph.nodes[urn].kind != "LogStream"} == set()
    return {node.kind for node in graph.custom if node.urn not in present} - {"Invocation"}


def test_a_destroy_with_a_preview_deletes_nothing(production):
    cli, graph = production
    done = cli.change("destroy")
    assert done.code and "cannot be deleted" in done.said
    assert writes(cli) == [] and kept(cli, graph) == set()


def test_a_destroy_without_one_deletes_what_the_recorded_graph_says(production):
    cli, graph = production
    done = cli.change("destroy", "--skip-preview")
    assert done.code, done.said
    gone = kept(cli, graph)
    expected = destroyed(graph)
    calls = sorted(call[1:] for call in cli.provider.calls if call[0] == "delete")
    assert calls == sorted((node.kind, node.name) for node in expected.deleted if node.custom)
    assert gone >= {"Workgroup", "MetricAlarm"} and not gone & {"Stream", "CatalogDatabase"}
    done = cli.change("up", "--skip-preview")
    assert done.code == 0, done.said
    assert kept(cli, graph_of(cli.state())) == set()


DROPPED = {
    "dropped": {"clicks": None, "aggregates": None},
    "of a job": {"sessions": None},
    "of a user": {"facts": None},
}
RENAMED = {"clicks": {"name": "klicks"}, "aggregates": None}


@pytest.mark.parametrize("change", [*DROPPED.values(), RENAMED], ids=[*DROPPED, "renamed"])
def test_a_table_that_is_dropped_or_renamed_is_refused_by_a_preview(production, change):
    cli, graph = production
    declare(cli, **change)
    done = cli.change("up")
    assert done.code and "because it is protected" in done.said, done.said
    assert writes(cli) == [] and kept(cli, graph) == set()


@pytest.mark.parametrize("change", DROPPED.values(), ids=DROPPED)
def test_without_a_preview_its_data_stays_and_what_feeds_it(production, change):
    cli, graph = production
    declare(cli, **change)
    done = cli.change("up", "--skip-preview")
    assert done.code and "because it is protected" in done.said, done.said
    kept(cli, graph)


def test_a_table_that_is_renamed_without_a_preview_stays_beside_the_new_one(created):
    cli = created()
    graph = graph_of(cli.state())
    declare(cli, **RENAMED)
    done = cli.change("up", "--skip-preview")
    assert done.code and "because it is protected" in done.said, done.said
    kept(cli, graph)
    assert {"clicks", "klicks"} <= {node.inputs["name"] for node in graph_of(cli.state()).all("CatalogTable")}


@pytest.mark.parametrize("options", [(), ("--skip-preview",)], ids=["preview", "no preview"])
def test_a_renamed_stack_replaces_nothing_and_names_what_it_would(production, options):
    cli, _ = production
    name = cli.ok("stack", "--show-name").said.strip()
    cli.ok("stack", "rename", "live")
    renamed = graph_of(cli.state())
    try:
        done = cli.change("up", *options)
        assert done.code and "unable to replace resource" in done.said, done.said
        assert "analytics_dw-database" in done.said
        assert "delete" not in {verb for verb, _, _ in cli.provider.calls}
        assert kept(cli, renamed) == set()
    finally:
        cli.ok("stack", "rename", name)


def test_a_removal_in_two_steps_deletes_everything(production):
    cli, graph = production
    declare(cli, arguments={"data_is_disposable": True})
    done = cli.change("up")
    assert done.code == 0 and done.did("delete") == [], done.said
    done = cli.change("destroy")
    assert done.code == 0, done.said
    assert cli.state() == []
    assert {graph.nodes[urn].kind for urn in there(cli, graph)} <= {"LogStream"}
