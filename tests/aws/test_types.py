"""The arguments of resources and components as mypy sees them in the source: misspelt names do not get past it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """\
from datawarehouse import Warehouse
from datawarehouse.aws import InputStream, ServerlessDataWarehouse

deployed = ServerlessDataWarehouse("analytics_dw", {"warehouse": Warehouse("analytics_dw"), "is_dev": True})
InputStream(
    "orders", {"bucket": "lake", "database_name": "lake", "table_name": "orders", "columns": {"id": "string"}}
)
name: str = deployed.with_table("facts", columns={"thing": "string"}).list_tables()[0]
"""


MISTAKES = {
    "misspelt": ('"is_dev": True', '"is_development": True', 'Argument 2 to "ServerlessDataWarehouse"'),
    "mistyped": ('"is_dev": True', '"is_dev": "yes"', 'Argument 2 to "ServerlessDataWarehouse"'),
    "missing": ('"table_name": "orders", ', "", 'Missing key "table_name"'),
    "unknown": ("columns={", "colums={", 'Unexpected keyword argument "colums"'),
    "mistaken": ("name: str", "name: int", "Incompatible types in assignment"),
}
"""What is replaced in the program, by what, and what mypy says."""


@pytest.mark.timeout(600)  # without its cache mypy reads Pulumi's AWS provider first
def test_the_components_and_programs_that_use_them_rightly_and_wrongly(tmp_path):
    (tmp_path / "right.py").write_text(PROGRAM)
    for name, (right, wrong, _) in MISTAKES.items():
        assert right in PROGRAM
        (tmp_path / f"{name}.py").write_text(PROGRAM.replace(right, wrong))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", "pyproject.toml"),
            *("src/datawarehouse/aws", "src/datawarehouse/functions"),
            *sorted(map(str, tmp_path.glob("*.py"))),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(found) == len(MISTAKES), done.stdout + done.stderr
    for name, (_, _, said) in MISTAKES.items():
        assert any(f"{name}.py:" in line and said in line for line in found), done.stdout
