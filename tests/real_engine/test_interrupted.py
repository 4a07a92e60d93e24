"""An `up` that is interrupted half-way, and what it takes to finish it."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from programs import example, graph_of
from running import until
from test_example_stack import CREATED

from patience import patient

WAIT_S = 60


class Halt:
    """Holds the calls of a verb for a kind, until it is released; `held` once one of them waits."""

    def __init__(self, verb, kind):
        self.verb, self.kind = verb, kind
        self.held, self.released = threading.Event(), threading.Event()

    def __call__(self, verb, kind, name):
        if (verb, kind) == (self.verb, self.kind):
            self.held.set()
            assert self.released.wait(patient(WAIT_S))

    def wait(self):
        assert self.held.wait(patient(WAIT_S))


@pytest.fixture
def folder(tmp_path):
    return example(tmp_path / "program")


def whole(cli):
    """Asserts that a further up and a refresh change nothing, so that all there is is in the state."""
    for verb in ("up", "refresh"):
        done = cli.change(verb)
        assert done.code == 0 and done.steps == [], done.said


@pytest.mark.parametrize("kind", ["CatalogTable", "FirehoseDeliveryStream"])
def test_after_an_interrupt_the_next_up_goes_on(new_stack, folder, kind):
    cli = new_stack(folder, f"sigint-{kind.lower()}")
    halt = cli.provider.before = Halt("create", kind)
    process, log = cli.start_change("up", "--skip-preview")
    halt.wait()
    process.send_signal(signal.SIGINT)
    halt.released.set()
    first = cli.finish_change(process, log)
    assert first.code and 0 < len(graph_of(cli.state()).custom) < CREATED, first.said
    second = cli.change("up", "--skip-preview")
    assert second.code == 0, second.said
    whole(cli)


def databases(glue):
    return {each["Name"] for each in glue.get_databases()["DatabaseList"]}


def streams(aws):
    return set(aws.client("kinesis").list_streams(Limit=1000)["StreamNames"])


def pending(cli):
    """The URNs of what the engine does not know whether it was created."""
    found = json.loads(cli.ok("stack", "export").said)["deployment"].get("pending_operations", [])
    assert {each["type"] for each in found} <= {"creating"}
    return [each["resource"]["urn"] for each in found]


def stopped_between_writes(process, checkpoint, kind):
    """Stops Pulumi; False, and it goes on, if that is in the middle of a write, or while it creates something of
    another kind, of which it would not know either what became of it.

    A state in a folder is written in place, so that a kill then leaves an empty file.
    """
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        latest = json.loads(checkpoint.read_text())["checkpoint"]["latest"]
    except ValueError:
        latest = None
    creating = [each["resource"]["type"] for each in (latest or {}).get("pending_operations", [])]
    if creating and all(each.endswith(f":{kind}") for each in creating):
        return True
    os.killpg(process.pid, signal.SIGCONT)
    return False


def killed(cli, kind):
    """An `up` that is killed while it creates a resource of a kind, whose creation succeeds all the same."""
    halt = cli.provider.before = Halt("create", kind)
    process, log = cli.start_change("up", "--skip-preview")
    halt.wait()
    [checkpoint] = Path(cli.environment["PULUMI_HOME"]).glob(f"state/.pulumi/stacks/*/{cli.stack}.json")
    until(lambda: stopped_between_writes(process, checkpoint, kind), "the state is written")
    os.killpg(process.pid, signal.SIGKILL)
    assert cli.finish_change(process, log).code == -signal.SIGKILL
    halt.released.set()
    locked = cli.change("up", "--skip-preview")
    assert locked.code and "the stack is currently locked" in locked.said
    cli.ok("cancel", "--yes")


def test_after_a_kill_what_has_a_name_of_its_own_is_deleted_by_hand(new_stack, folder, aws):
    """The database is there and the state does not know it, so that it cannot be created again. A refresh does not
    find it. It is new, so that nothing is lost with it."""
    cli, glue, name = new_stack(folder, "sigkill-named"), aws.client("glue"), "analytics_dw_sigkill_named"
    killed(cli, "CatalogDatabase")
    until(lambda: name in databases(glue), "the database is created")
    assert [urn for urn in pending(cli) if urn.endswith("::analytics_dw-database")]
    for _ in range(2):
        again = cli.change("up", "--skip-preview")
        assert again.code and f"Database {name} already exists" in again.said, again.said
        assert cli.change("refresh").code == 0
    glue.delete_database(Name=name)
    assert cli.change("refresh", "--clear-pending-creates").code == 0 and pending(cli) == []
    done = cli.change("up", "--skip-preview")
    assert done.code == 0, done.said
    whole(cli)


def test_after_a_kill_what_has_an_invented_name_is_there_twice(new_stack, folder, aws):
    cli = new_stack(folder, "sigkill-invented")
    before = streams(aws)
    killed(cli, "Stream")
    until(lambda: streams(aws) - before, "a stream is created")
    begun = [urn for urn in pending(cli) if "kinesis/stream:Stream" in urn]
    assert begun
    done = cli.change("up", "--skip-preview")
    assert done.code == 0, done.said
    assert all(urn in done.said for urn in begun)  # the warning names each
    assert cli.change("refresh", "--clear-pending-creates").code == 0 and pending(cli) == []
    whole(cli)
    known = {node.outputs["name"] for node in graph_of(cli.state()).all("Stream")}
    orphans = streams(aws) - before - known
    assert orphans and len(orphans) <= len(begun)
