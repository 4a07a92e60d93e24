"""The guide docs/guides/athena-clients.md: each of its examples, on clients as they are, prints what it says."""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from running import AWS, running

from patience import patient

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "athena" / "bin"
GUIDE = (ROOT / "docs" / "guides" / "athena-clients.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
[DECLARATION] = [text for kind, text in BLOCKS if kind == "python" and "with_streaming_input_table" in text]
EXAMPLES = [(kind, text, said) for (kind, text), (following, said) in itertools.pairwise(BLOCKS) if following == "text"]
CLICKS = [{"ad": "red", "price": 2.0}, {"ad": "red", "price": 3.0}, {"ad": "blue", "price": 1.5}]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARATION) as started:
        started.events("clicks", json.dumps(CLICKS).encode())
        started.flush()
        yield started


def printed(shop, *command):
    environment = {
        **os.environ,
        **AWS,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": shop.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    done = subprocess.run(
        command, env=environment, cwd=shop.folder, capture_output=True, text=True, timeout=patient(150)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("kind", "program", "said"), EXAMPLES, ids=[text.split("\n")[0] for _, text, _ in EXAMPLES])
def test_an_example_prints_what_the_guide_says(shop, kind, program, said):
    command = {"bash": ("bash", "-ec"), "python": (BIN / "python", "-c")}[kind]
    assert printed(shop, *command, program) == said


def test_dbt_debug_passes_with_the_profile_of_the_guide(shop):
    [profile] = [text for kind, text in BLOCKS if kind == "yaml"]
    (shop.folder / "profiles.yml").write_text(profile)
    (shop.folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    assert "All checks passed!" in printed(shop, BIN / "dbt", "debug", "--profiles-dir", ".")


def test_the_guide_has_an_example_for_each_client():
    assert len(EXAMPLES) == 7
