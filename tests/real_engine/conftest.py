"""An emulator, and the real CLI attached to it, for each file of tests; a stack for each test."""

import pytest
from emulator import emulator
from pulumi_cli import Cli, attached


@pytest.fixture(scope="module")
def aws():
    with emulator() as started:
        yield started


@pytest.fixture(scope="module")
def engine(aws, tmp_path_factory):
    """The provider, and the environment of the CLI."""
    with attached(aws, tmp_path_factory.mktemp("pulumi")) as found:
        yield found


@pytest.fixture(scope="module")
def new_stack(engine):
    """Makes a stack of the program in a folder; names must differ within a file of tests."""

    def make(folder, name, **config):
        cli = Cli(folder, *engine, name)
        cli.ok("stack", "init", name)
        for key, value in config.items():
            cli.ok("config", "set", key, value)
        return cli

    return make


@pytest.fixture(autouse=True)
def _calls_of_one_test(engine):
    provider, _ = engine
    provider.calls.clear()
    yield
    provider.before = lambda *_: None
