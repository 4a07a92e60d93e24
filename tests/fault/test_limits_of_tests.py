"""Tests that leave something behind fail, and tests wait as long as DW_TEST_PATIENCE says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leftovers import MARK, lives

TESTS = Path(__file__).parents[1]
SUPPORT = ("conftest.py", "leftovers.py", "patience.py", "seeds.py", "journey/forked_up.py")
SETTINGS = "[pytest]\npythonpath = .\ntimeout = 100\naddopts = --import-mode=importlib\n"
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this system has no /proc")


def run(folder, code, **environment):
    """A run of pytest over a file of its own, with what holds for all tests here."""
    for name in SUPPORT:
        shutil.copy(TESTS / name, folder)
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_it.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "test_it.py"]
    inherited = {name: value for name, value in os.environ.items() if name != MARK}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the others take half the time of a start
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=inherited | environment).stdout


@LINUX
def test_a_process_that_is_left_fails_the_file_and_is_ended(tmp_path):
    code = (
        "import subprocess\n"
        "def test_it():\n"
        "    begun = 'until [ $(cat /proc/$!/comm) = sleep ]; do :; done'\n"
        "    subprocess.Popen(['sh', '-c', f'sleep 98765 & echo $! > pid; {begun}'], start_new_session=True).wait()\n"
    )
    said = run(tmp_path, code, DW_TEST_PATIENCE="0.1")
    assert "1 passed, 1 error" in said
    assert "processes of test_it.py still ran when the tests were over, and were killed" in said
    assert "sleep 98765" in said
    process = Path("/proc", (tmp_path / "pid").read_text().strip())
    assert not process.exists() or not lives(process)


@LINUX
def test_a_port_that_is_left_fails_the_session(tmp_path):
    code = "import socket\nkept = []\ndef test_it():\n    kept.append(socket.create_server(('127.0.0.1', 0)))\n"
    said = run(tmp_path, code)
    assert "1 passed, 1 error" in said
    assert "the tests of this session still listen on {" in said


@LINUX
def test_what_a_test_ended_is_no_fault(tmp_path):
    code = (
        "import socket, subprocess\n"
        "def test_it():\n"
        "    process = subprocess.Popen(['sleep', '98765'])\n"
        "    process.kill()\n"
        "    socket.create_server(('127.0.0.1', 0)).close()\n"
    )
    assert "1 passed in" in run(tmp_path, code)


SKIPPED = (
    "import pytest\n"
    "@pytest.mark.skipif(True, reason='{0}')\ndef test_marked():\n    pass\n"
    "@pytest.fixture\ndef tool():\n    pytest.skip('{0}')\n"
    "def test_with_fixture(tool):\n    pass\n"
)


@pytest.mark.parametrize(
    ("reason", "ci", "says"),
    [
        ("java is not installed", "true", "2 errors"),
        ("java is not installed", "", "2 skipped"),
        ("this machine has no second screen", "true", "2 skipped"),
    ],
)
def test_where_ci_is_set_no_test_is_skipped_for_want_of_a_tool(tmp_path, reason, ci, says):
    said = run(tmp_path, SKIPPED.format(reason), CI=ci)
    assert says in said.splitlines()[-1], said
    assert ("was skipped, and CI is set: java is not installed" in said) == ("errors" in says)


def test_the_limit_of_a_test_and_of_a_wait_are_multiplied(tmp_path):
    code = (
        "import pytest\nfrom patience import patient\n"
        "def limit(request):\n    return request.node.get_closest_marker('timeout').args[0]\n"
        "def test_it(request):\n    assert (limit(request), patient(20)) == (250, 50)\n"
        "@pytest.mark.timeout(600)\ndef test_own(request):\n    assert limit(request) == 1500\n"
    )
    said = run(tmp_path, code, DW_TEST_PATIENCE="2.5")
    assert "2 passed" in said, said


@pytest.mark.parametrize("value", ["long", "0", "-1", "nan", "inf"])
def test_a_factor_that_is_none_is_refused(value):
    done = subprocess.run(
        [sys.executable, "-c", "import patience"],
        cwd=TESTS,
        env={**os.environ, "DW_TEST_PATIENCE": value},
        capture_output=True,
        text=True,
    )
    assert f"DW_TEST_PATIENCE is {value!r}; give a number above 0, e.g. 3" in done.stderr
