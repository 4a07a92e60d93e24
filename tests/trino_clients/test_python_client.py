"""All integration tests of trino-python-client, as they are: each passes, or is left out with its reason."""

import os
import re
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from clients_there import installed

from patience import patient

LEFT_OUT = Path(__file__).with_name("left_out.txt")
SHARE_MIN = 0.76


def left_out():
    """The patterns of names, and why tests of these names are left out."""
    reason, found = "", []
    for line in LEFT_OUT.read_text().splitlines():
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        elif line:
            found.append((line, reason))
    return found


@pytest.fixture(scope="module")
def outcomes(server, tmp_path_factory):
    """What became of each test, by its name."""
    port = re.search(r":(\d+)$", server.url)[1]
    source = installed("source/tests/integration", "the repository of trino-python-client").parents[1]
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "tests").symlink_to(
        source / "tests"
    )  # beside no `trino`, which would be found in the place of the package
    report = folder / "report.xml"
    environment = {**os.environ, "TRINO_RUNNING_HOST": "127.0.0.1", "TRINO_RUNNING_PORT": port, "TZ": "UTC"}
    for name in ("TRINO_VERSION", "PYTEST_ADDOPTS"):
        environment.pop(name, None)
    python = installed("bin/python", "trino-python-client")
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "--tb=line",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        "tests/integration",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=patient(600))
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname').rpartition('.')[2].removeprefix('test_')}::{case.get('name')}"
        marks = {child.tag for child in case}
        found[name] = "skipped" if "skipped" in marks else "failed" if marks & {"failure", "error"} else "passed"
    return found


@pytest.mark.timeout(700)
def test_each_passes_or_is_left_out_with_its_reason(outcomes):
    patterns = left_out()
    failed = [
        name
        for name, outcome in outcomes.items()
        if outcome != "passed" and not any(fnmatchcase(name, pattern) for pattern, _ in patterns)
    ]
    passing = {
        pattern
        for pattern, _ in patterns
        if not any(fnmatchcase(name, pattern) for name, outcome in outcomes.items() if outcome != "passed")
    }
    assert not failed and not passing, f"not left out: {failed}; left out, though they pass or are not there: {passing}"


def test_as_many_pass_as_the_reference_tells(outcomes, documented):
    counts = Counter(outcomes.values())
    total = sum(counts.values())
    documented(
        "trino-python-client",
        [f"{counts['passed']} of its {total} integration tests pass; the others: `tests/trino_clients/left_out.txt`"],
    )
    assert counts["passed"] / total >= SHARE_MIN
