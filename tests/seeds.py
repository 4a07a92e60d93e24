"""The seeds of the property tests: a fixed set, the same in each run, and a random share, new in each run.

`@pytest.mark.seeds(fixed=60, random=15)` runs a test with that many values of its argument `seed`. The random ones
follow from one number, which stands in pytest's header and beside each failure: DW_TEST_SEED=number runs them again.
DW_TEST_EXAMPLES=10 makes the random share ten times as large; its beginning stays the same.
"""

import os
import re
from random import Random, SystemRandom

import pytest

_SEED, _EXAMPLES = "DW_TEST_SEED", "DW_TEST_EXAMPLES"
_run_seed, _factor = pytest.StashKey[int](), pytest.StashKey[int]()


def _whole_number(variable: str, default: int) -> int:
    given = os.environ.get(variable) or str(default)
    if not re.fullmatch("[0-9]+", given):
        raise pytest.UsageError(f"{variable} is {given!r}; valid is a whole number, such as {variable}={default}.")
    return int(given)


def pytest_configure(config):
    config.addinivalue_line("markers", "seeds(fixed, random): the test takes so many fixed and random values of `seed`")
    config.stash[_factor] = _whole_number(_EXAMPLES, 1)
    if hasattr(config, "workerinput"):  # a process of pytest-xdist: all of them collect the same tests
        config.stash[_run_seed] = config.workerinput[_SEED]
    else:
        config.stash[_run_seed] = _whole_number(_SEED, SystemRandom().getrandbits(32))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput[_SEED] = node.config.stash[_run_seed]


def pytest_report_header(config):
    return f"property tests: {_again(config)} runs the same random examples again"


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("seeds")
    if marker:
        count = marker.kwargs["random"] * metafunc.config.stash[_factor]
        run_seed = metafunc.config.stash[_run_seed]
        drawn = [Random(f"{run_seed} {number}").getrandbits(32) for number in range(count)]
        metafunc.parametrize(
            "seed",
            [*range(marker.kwargs["fixed"]), *drawn],
            ids=[*map(str, range(marker.kwargs["fixed"])), *(f"random-{number}" for number in range(count))],
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and item.get_closest_marker("seeds") and item.callspec.id.startswith("random-"):
        command = f"{_again(item.config)} python -m pytest '{item.nodeid}'"
        report.sections.append(("how to run it again", f"seed = {item.callspec.params['seed']}\n{command}"))
    return report


def _again(config) -> str:
    factor = config.stash[_factor]
    return f"{_SEED}={config.stash[_run_seed]}" + (f" {_EXAMPLES}={factor}" if factor != 1 else "")
