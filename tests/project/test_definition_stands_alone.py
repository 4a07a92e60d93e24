"""A user's declaration can be read with the standard library alone, and costs no engine to import."""

import shutil
import subprocess
import sys
from pathlib import Path

from datawarehouse.cli.main import VERBS

SOURCE = Path(__file__).parents[2] / "src" / "datawarehouse"

DECLARATION = """
from datawarehouse import Warehouse

columns = {"id": "string", "session_id": "string", "event_time": "timestamp"}

def hourly_counts(job):
    yield {"event_type": "clicks", "count": 1}

warehouse = (
    Warehouse("analytics_dw")
    .with_streaming_input_table("impressions", columns=columns, input_stream_shard_count=1)
    .with_streaming_input_table("clicks", columns=columns, input_stream_shard_count=1)
    .with_table("facts", columns={"thing": "string", "color": "string"}, data_format="JSON")
)
warehouse.with_batch_input_table(
    "aggregates", {"event_type": "string", "count": "int"}, hourly_counts, "rate(1 hour)", data_format="JSON"
)
"""


def run_isolated(folder: Path, code: str) -> str:
    """Run Python without site-packages, with only `folder` to import from."""
    prefix = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    command = [sys.executable, "-I", "-S", "-c", prefix + code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_declaration_needs_nothing_but_the_definition(tmp_path):
    package = tmp_path / "datawarehouse"
    shutil.copytree(SOURCE / "definition", package / "definition")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(SOURCE / name, package / name)
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    output = run_isolated(tmp_path, "from warehouse import warehouse; print(warehouse.list_tables())")
    assert output == "['impressions', 'clicks', 'facts', 'aggregates']\n"


def test_importing_warehouse_loads_no_engine():
    code = (
        "import sys; from datawarehouse import Warehouse; "
        "print(sorted({'duckdb', 'pyarrow', 'numpy', 'sqlglot', 'msgspec', 'sqlite3'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output == "[]\n"


def test_the_owner_that_serves_loads_no_engine():
    """`dw up` itself only takes events; what converts and queries lives in its children."""
    code = (
        "import sys, datawarehouse.cli.up; print(sorted({'duckdb', 'pyarrow', 'numpy', 'sqlglot'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output == "[]\n"


def test_a_command_that_asks_no_query_loads_no_engine():
    """A command that a running warehouse answers, or that reads the catalog alone, starts in a tenth of a second."""
    modules = [f"datawarehouse.cli.{verb.replace('-', '_')}" for verb in VERBS if verb not in ("query", "quarantine")]
    heavy = {"duckdb", "pyarrow", "numpy", "sqlglot"}
    code = f"import sys, {', '.join(modules)}; print(sorted({heavy} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output == "[]\n"
