"""Fixtures of the tests of the functions."""

import itertools
import sys
import types

import boto3
import pytest
from athena_endpoint import emulator_with_athena
from functions_stack import TICK, Lambda, Stack

from datawarehouse.functions import run_job

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def aws():
    with emulator_with_athena() as started:
        yield started


@pytest.fixture
def stack(aws, monkeypatch):
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    made = Stack(aws, f"stack_{next(_NUMBERS)}")
    monkeypatch.setenv("DW_DATABASE", made.name)
    return made


@pytest.fixture
def run(stack, monkeypatch):
    """Runs a function as the job of a table."""

    def run(table, job, time=TICK, remaining_ms=300_000):
        module = types.ModuleType("a_users_module")
        module.job = job
        monkeypatch.setitem(sys.modules, "a_users_module", module)
        monkeypatch.setenv("DW_TABLE", table)
        monkeypatch.setenv("DW_JOB", "a_users_module:job")
        monkeypatch.setenv("DW_WORKGROUP", "batch")
        monkeypatch.setenv("DW_RESULTS", f"s3://{stack.results}")
        return run_job.handler({"time": time}, Lambda(remaining_ms))

    return run


@pytest.fixture
def calls(stack):
    """The operations that clients of this process have sent since, as (service, operation)."""
    made = set()

    def note(event_name, **_):
        made.add(tuple(event_name.split(".")[1:]))

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-call", note)
    yield made
    boto3.setup_default_session()
