"""What README.md and the other documents say is so. The first commands of README.md are in test_wheel.py."""

import os
import re
import subprocess
import sys
from pathlib import Path

from pages import commands, follow

ROOT = Path(__file__).parents[2]


def test_the_tutorial_says_what_happens(tmp_path):
    text = (ROOT / "docs" / "tutorial.md").read_text()
    follow(commands(text), tmp_path, {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})


def test_the_python_of_the_readme_says_what_it_gives(tmp_path):
    declaration, use = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    statement, result = re.search(r"^ *(w\.query.*?)  # (.*)$", use, re.MULTILINE).groups()
    code = declaration + use.replace(statement, f"print({statement})")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == result


def test_links_lead_somewhere():
    for page in [
        ROOT / "README.md",
        ROOT / "ARCHITECTURE.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
