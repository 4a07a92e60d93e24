"""What holds for all tests: waits that scale, and no process or port that outlives the tests that started it."""

import gc
import os

import forked_up
import pytest

from leftovers import MARK, ended, listening, marked
from patience import PATIENCE, patient

pytest_plugins = ["seeds"]

_NOBODY_CAN_HELP = ("this machine has no ", "this system has no ")
"""How the reasons begin for which a test may be skipped where CI is set: no installation would let it run."""

_END_S = 10
"""A child of an owner that was killed ends by itself, a moment later."""


def pytest_collection_modifyitems(config, items):
    for item in items:
        own = item.get_closest_marker("timeout")
        limit_s = own.args[0] if own else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(limit_s * PATIENCE), append=False)


def pytest_collection_finish(session):
    """What modules and thousands of tests are made of stays: no search for garbage need look through it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where CI is set a test does not go missing because a tool does."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(_NOBODY_CAN_HELP):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, and CI is set: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_of_the_session():
    """Fails if a process that tests started, or a port that they listen on, is there after the last of them."""
    before = listening(os.getpid())
    os.environ[MARK] = mark = f"{os.getpid()}:session"
    yield
    forked_up.close()
    del os.environ[MARK]
    _check(lambda: marked(mark.partition(":")[0] + ":"), "of the tests of this session")
    left = listening(os.getpid()) - before
    assert not left, f"the tests of this session still listen on {sorted(left)}"


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_of_the_module(request, _nothing_is_left_of_the_session):
    """Fails if a process that the tests of a file started still lives when they are over."""
    outer = os.environ[MARK]
    os.environ[MARK] = mark = f"{os.getpid()}:{request.node.nodeid}"
    yield
    os.environ[MARK] = outer
    _check(lambda: marked(mark) | forked_up.left_of_forks(), f"of {request.node.nodeid}")


def _check(find, whose: str) -> None:
    left = ended(find, patient(_END_S))
    assert not left, f"processes {whose} still ran when the tests were over, and were killed: {left}"
