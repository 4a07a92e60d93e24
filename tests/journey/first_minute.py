"""`make first-minute`: a stranger's first minute, from README.md alone.

In an empty HOME each time, the commands of README's first block are run as they stand there, and must print what it
says: in a fresh clone, and in a folder that has nothing but the wheel built there, which is installed in place of the
clone. What each took is printed. Packages come from the registry that pip uses here, and nothing from its cache.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pages import commands, follow

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DECLARATION = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
INSTALL, WHEEL = "pip install --quiet .", "pip install --quiet serverless_datawarehouse-*.whl"


def first_minute(title: str, folder: Path, home: Path, steps: list[tuple[str, str]]) -> None:
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    path = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent)
    environment = {"HOME": str(home), "PATH": path, "VIRTUAL_ENV": "", "PYTHONPATH": ""}
    took = follow(steps, folder, environment, limit_s=900)
    assert (folder / "shop" / "warehouse.py").read_text() == DECLARATION
    print(f"\n{title}: {sum(took):.1f} s")
    for (command, _), seconds in zip(steps, took, strict=True):
        print(f"{seconds:6.1f} s  {command[:110]}")


def main() -> None:
    steps = list(commands(README))
    assert INSTALL in steps[0][0] and WHEEL in README
    with tempfile.TemporaryDirectory() as temporary:
        clone, wheel = Path(temporary, "clone"), Path(temporary, "wheel")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        first_minute("From a clone", clone, Path(temporary, "home"), steps)
        began = time.monotonic()
        build = [clone / ".venv" / "bin" / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheel, clone]
        subprocess.run(build, check=True)
        print(f"\nThe wheel was built in {time.monotonic() - began:.1f} s")
        steps[0] = (steps[0][0].replace(INSTALL, WHEEL), steps[0][1])
        first_minute("From the wheel", wheel, Path(temporary, "home-of-wheel"), steps)


if __name__ == "__main__":
    main()
