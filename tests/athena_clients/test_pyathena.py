"""PyAthena's own tests, as they are in its repository, ask `dw up`: each passes, or is in the table of those left out.

The tables that they read are those of `tables.py`; the tests that write, and some others, are in `excluded.txt`, each
with the reason. ArrowCursor reads files by a library that knows no endpoint but AWS's: its tests run in a workgroup
with managed results, of which there are no files.
"""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest
from running import AWS, running

from patience import patient

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".venv" / "athena"
TESTS = INSTALLED / "pyathena"
LIMITS = ("--query-result-rows-max", "1000000000", "--query-results-bytes-max", "20000000000")
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ATHENA_S3_STAGING_DIR": "s3://results/stage/",
    "AWS_ATHENA_WORKGROUP": "primary",
    "AWS_ATHENA_SPARK_WORKGROUP": "none",
    "AWS_ATHENA_MANAGED_WORKGROUP": "primary-managed",
}
RESULTS_MIN, ASKED_MIN = 450, 240


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pyathena")
    declaration = (HERE / "tables.py").read_text()
    with running(folder, *LIMITS, declaration=declaration) as started:
        subprocess.run([sys.executable, HERE / "tables.py", folder / "data"], check=True)
        yield started


def outcomes(server, folder, name, *arguments, **environment):
    """(outcome, requests) of each test, by its id."""
    report = folder / f"{name}.xml"
    command = [INSTALLED / "bin" / "python", "-m", "pytest", "-q", "-p", "suite", "-n", "2", "-k", "not spark"]
    given = {**os.environ, **AWS, **ENVIRONMENT, **environment, "AWS_ENDPOINT_URL": server.url}
    given |= {"PYTHONPATH": f"{HERE}{os.pathsep}{TESTS}", "PYATHENA_EXCLUDED": str(HERE / "excluded.txt")}
    done = subprocess.run(
        [*command, f"--junitxml={report}", *arguments],
        cwd=TESTS,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patient(1500),
    )
    sys.stderr.write(done.stdout[-4000:])
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = [each.tag for each in case if each.tag in ("failure", "error", "skipped")]
        requests = [int(each.get("value")) for each in case.iter("property") if each.get("name") == "requests"]
        found[f"{case.get('classname')}::{case.get('name')}"] = (wrong or ["passed"])[0], sum(requests)
    return found


@pytest.mark.timeout(3600)
def test_pyathenas_tests_pass(server, tmp_path):
    shutil.copy(TESTS / "setup.cfg", tmp_path)
    arrow = ["tests/pyathena/arrow", "tests/pyathena/aio/arrow"]
    others = ["tests/pyathena", *(f"--ignore={each}" for each in arrow)]
    found = {
        **outcomes(server, tmp_path, "others", *others),
        **outcomes(server, tmp_path, "arrow", *arrow, AWS_ATHENA_DEFAULT_WORKGROUP="primary-managed"),
    }
    folders = Counter(name.partition("::")[0].rpartition(".")[0] for name in found)
    for folder, count in sorted(folders.items()):
        sys.stderr.write(f"{count:5} results of {folder}\n")
    asked = sum(1 for outcome, requests in found.values() if outcome == "passed" and requests)
    sys.stderr.write(f"{len(found)} results, {asked} of which ask the door\n")
    assert {name: outcome for name, (outcome, _) in found.items() if outcome not in ("passed", "skipped")} == {}
    assert sum(1 for outcome, _ in found.values() if outcome == "passed") >= RESULTS_MIN
    assert asked >= ASKED_MIN
