"""What a user installs: the wheel, in a venv that has its dependencies and nothing of this folder."""

import json
import os
import re
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from first_minute import DECLARATION, INSTALL, README
from packaging.requirements import Requirement
from pages import commands, follow
from running import started

from patience import patient

ROOT = Path(__file__).parents[2]
PACKAGE = "serverless-datawarehouse"


def needed(name, found=None):
    """The distributions that a distribution needs on this machine, itself left out; no extras."""
    found = {} if found is None else found
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        if requirement.name not in found and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
            found[requirement.name] = distribution(requirement.name)
            needed(requirement.name, found)
    return found


def run(*command, folder):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=patient(100))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the programs of a venv with the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    wheel = folder / run(sys.executable, "-c", build, folder, folder=ROOT).strip()
    venv.create(folder / "venv", symlinks=True)
    [site] = (folder / "venv").glob("lib/python*/site-packages")
    for other in needed(PACKAGE).values():
        for part in {path.parts[0] for path in other.files if path.parts[0] not in ("..", "__pycache__")}:
            (site / part).symlink_to(other.locate_file(part))
    programs = folder / "venv" / "bin"
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    run(sys.executable, "-m", "pip", "--python", programs / "python", "install", *options, wheel, folder=folder)
    return programs


def test_the_installed_command_answers_a_query(installed, tmp_path):
    assert "answer one SQL statement" in run(installed / "dw", "--help", folder=tmp_path)
    run(installed / "dw", "init", ".", folder=tmp_path)
    run(installed / "dw", "generate", "clicks", "--rate", "0", "--count", "7", folder=tmp_path)
    run(installed / "dw", "flush", folder=tmp_path)
    found = run(installed / "dw", "query", "select count(*) as c from clicks", "--output", "json", folder=tmp_path)
    assert json.loads(found) == [{"c": 7}]


def test_the_installed_command_has_the_console(installed, tmp_path):
    run(installed / "dw", "init", ".", folder=tmp_path)
    command = [installed / "dw", "up", "--port", "0", "--output", "json"]
    with started(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        url = json.loads(process.stdout.readline())["url"]
        with urlopen(Request(url, headers={"Accept": "text/html"}), timeout=patient(30)) as answer:
            page = answer.read().decode()
        named = re.findall(r'(?:src|href)="(/[^"]+)"', page)
        assert {path.rpartition(".")[2] for path in named} == {"svg", "css", "js"}
        for path in named:
            with urlopen(url + path, timeout=patient(30)) as answer:
                assert answer.status == 200 and answer.read()


def test_every_module_comes_from_the_wheel_and_needs_no_tool_of_developers(installed, tmp_path):
    """Those that need an extra, AWS's own libraries or pytest are left out."""
    code = """
import importlib, pkgutil, sys
import datawarehouse
apart = ("aws", "functions", "operate", "cli.on_aws", "cli.push", "testing.plugin")
for module in pkgutil.walk_packages(datawarehouse.__path__, "datawarehouse.", onerror=lambda name: None):
    if not module.name.removeprefix("datawarehouse.").startswith(apart):
        importlib.import_module(module.name)
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("datawarehouse"):
        print(module.__file__)
print(*sys.path, sep="\\n")
"""
    lines = run(installed / "python", "-c", code, folder=tmp_path).splitlines()
    assert len(lines) > 100
    assert not [line for line in lines if line.startswith(str(ROOT))]
    assert len([line for line in lines if line.startswith(str(installed.parent))]) > 100


def test_the_first_commands_of_the_readme_in_an_empty_home(installed, tmp_path):
    """`make first-minute` does the first one too, which installs what is installed here."""
    home, folder = tmp_path / "home", tmp_path / "clone"
    home.mkdir()
    folder.mkdir()
    [(install, _), *steps] = commands(README)
    assert INSTALL in install
    path = f"{installed}:/usr/local/bin:/usr/bin:/bin"
    follow(steps, folder, {"HOME": str(home), "PATH": path, "PYTHONPATH": ""})
    assert (folder / "shop" / "warehouse.py").read_text() == DECLARATION
