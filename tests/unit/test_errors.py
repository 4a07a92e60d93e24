"""One table of errors: the classes, their docstring and the reference say the same, and so does another process."""

import re
from pathlib import Path

import msgspec
import pytest

from datawarehouse import errors
from datawarehouse.errors import DataWarehouseError, QueryLimitExceeded, Throttled, Unreachable, rebuilt
from datawarehouse.query.messages import Failure
from datawarehouse.runtime.client import Patience

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DataWarehouseError)
}
TREE_LINE = re.compile(r" {4}([│├└─ ]*)(\w+) +(\d+) +(\d+) +(yes|no) {3}(.+)")
TABLE_LINE = re.compile(r"\| ((?:&emsp;)*)`(\w+)` \| (\d+) \| (\d+) \| (yes|no) \| (.+) \|")


def told(text, line, indent):
    """What a tree or a table tells of each error: (name, parent, HTTP status, exit code, again later), meaning."""
    above = []
    for found in filter(None, map(line.fullmatch, text.splitlines())):
        shift, name, status, code, again, means = found.groups()
        above = [*above[: len(shift) // indent], name]
        parent = above[-2] if len(above) > 1 else ""
        yield (name, parent, int(status), int(code), again == "yes"), means


def test_the_docstring_shows_the_classes_as_they_are():
    shown = [row for row, _ in told(errors.__doc__, TREE_LINE, 4)]
    parents = {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()} | {"DataWarehouseError": ""}
    defined = [
        (name, parents[name], kind.http_status, kind.exit_code, kind.retryable) for name, kind in CLASSES.items()
    ]
    assert sorted(shown) == sorted(defined)


def test_the_reference_has_the_same_table():
    text = (REFERENCE / "errors.md").read_text()
    assert list(told(text, TABLE_LINE, len("&emsp;"))) == list(told(errors.__doc__, TREE_LINE, 4))


@pytest.mark.parametrize(
    ("section", "raised"),
    [
        ("Events", "BadRequest UnknownName BodyTooLarge Throttled InternalFailure Closed"),
        ("Queries", "BadRequest SqlSyntaxError QueryRefused ScanRefused BodyTooLarge QueryFailed BadLine "
         "QueryLimitExceeded QueryEnded UnknownQuery Throttled InternalFailure WorkerDied"),
    ],
)  # fmt: skip
def test_the_reference_has_the_statuses_of_a_route(section, raised):
    text = (REFERENCE / "http.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+)(, `Retry-After`)?[ `].*\|$", text, re.MULTILINE)
    documented = {(int(status), bool(again)) for status, again in rows if status != "200"}
    assert documented == {(CLASSES[name].http_status, CLASSES[name].retryable) for name in raised.split()}


def test_whatever_has_no_class_of_its_own_is_not_the_fault_of_the_caller():
    class New(DataWarehouseError):
        pass

    assert (New.http_status, New.exit_code, New.retryable) == (500, 1, False)


@pytest.mark.parametrize("kind", CLASSES.values(), ids=lambda kind: kind.__name__)
def test_only_what_is_not_the_callers_fault_can_succeed_later(kind):
    assert not kind.retryable or kind.http_status in (429, 500, 503)


def crossed(error):
    """An error after it went to another process as a message."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(Failure.of(error)), type=Failure).as_error()


@pytest.mark.parametrize("kind", CLASSES.values(), ids=lambda kind: kind.__name__)
def test_an_error_crosses_to_another_process(kind):
    again = crossed(kind("what happened"))
    assert (type(again), str(again)) == (kind, "what happened")


def test_an_error_keeps_what_it_says_besides_its_text():
    again = crossed(QueryLimitExceeded("too long", "query_time_max_s"))
    assert again.limit == "query_time_max_s"
    again = crossed(Throttled("too much", "queue_bytes_max", 7.0))
    assert (again.limit, again.retry_after_s) == ("queue_bytes_max", 7.0)
    again = crossed(errors.DeploymentFailed("half of it is there", "stack", True))
    assert (again.stack, again.is_left_over) == ("stack", True)


def test_a_fault_of_the_program_crosses_as_one():
    again = crossed(KeyError("x"))
    assert (type(again), str(again)) == (RuntimeError, "KeyError: 'x'")


@pytest.mark.parametrize("name", ["OfALaterRelease", "annotations", "rebuilt", "Any", ""])
def test_a_name_that_is_no_error_gives_a_plain_one(name):
    assert type(rebuilt(name, "text")) is DataWarehouseError


def test_a_pause_is_never_shorter_than_the_server_asks_and_differs_between_producers():
    pauses = [Patience(60).pause_s(Throttled("", "", 7.0)) for _ in range(200)]
    assert min(pauses) >= 7
    assert max(pauses) <= 7 * 1.5
    assert len(set(pauses)) > 100


def test_pauses_grow_up_to_a_bound_and_differ_between_producers():
    producers = [Patience(60) for _ in range(200)]
    rounds = [[each.pause_s(Unreachable("")) for each in producers] for _ in range(8)]
    for longest, pauses in zip((0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0), rounds, strict=True):
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
        assert len(set(pauses)) > 100
