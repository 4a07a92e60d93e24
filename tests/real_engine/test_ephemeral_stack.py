"""`EphemeralStack` with the real CLI: what tests/aws/test_stack.py says of it with a stand-in."""

import io
import os
import signal
import subprocess

import pytest
from programs import example

from datawarehouse.aws.stack import EphemeralStack
from datawarehouse.errors import DeploymentFailed


@pytest.fixture
def folder(engine, tmp_path, monkeypatch):
    """The example; what this process starts finds the CLI as a user's would."""
    _, environment = engine
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return example(tmp_path / "program")


@pytest.fixture
def interruptible():
    """This process hears SIGINT as Python does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def databases(aws):
    return {each["Name"] for each in aws.client("glue").get_databases()["DatabaseList"]}


def stacks(folder):
    found = subprocess.run(["pulumi", "stack", "ls"], cwd=folder, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()[1:]


def test_it_is_there_in_its_block_only(aws, folder):
    before, said = databases(aws), io.StringIO()
    with EphemeralStack(folder, {"dev": True, "aws:region": "us-east-1"}, output=said) as stack:
        assert databases(aws) - before == {stack.outputs["database_name"]}
        assert stack.outputs["click_input_stream"] in aws.client("kinesis").list_streams(Limit=1000)["StreamNames"]
    assert databases(aws) == before and stacks(folder) == []
    assert f"The stack {stack.name} is removed." in said.getvalue()


def test_nothing_is_left_of_one_that_was_interrupted(aws, engine, folder, interruptible):
    provider, _ = engine
    before, interrupted = databases(aws), []

    def interrupt(verb, kind, name):
        if (verb, kind) == ("create", "FirehoseDeliveryStream") and not interrupted:
            interrupted.append(name)
            os.kill(os.getpid(), signal.SIGINT)

    provider.before = interrupt
    with pytest.raises((KeyboardInterrupt, DeploymentFailed)), EphemeralStack(folder, {"dev": True}):
        pytest.fail("the block ran")
    assert interrupted and databases(aws) == before and stacks(folder) == []


def test_production_is_left_over_and_named(aws, folder):
    with pytest.raises(DeploymentFailed) as failed, EphemeralStack(folder, output=io.StringIO()) as stack:
        pass
    assert failed.value.is_left_over and failed.value.stack == stack.name
    assert "aws:kinesis/stream:Stream" in str(failed.value) and "pulumi destroy --yes" in str(failed.value)
    assert stack.outputs["database_name"] in databases(aws)
