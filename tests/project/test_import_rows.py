"""Imports point from higher rows to lower ones (ARCHITECTURE.md); inside one folder they have no cycles."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "datawarehouse"

ROWS = [
    {"errors"},
    {"definition", "durable", "settings", "clock"},
    {"journal", "parquet", "catalog", "sql", "folder"},
    {"tidy", "backup", "access", "scratch"},
    {"intake", "convert", "query", "generator"},
    {"server", "jobs", "quarantine", "export", "alerts", "functions"},
    {"runtime", "aws", "operate"},
    {"cli", "testing", "producer"},
]
ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}
HEAVY = {
    "pyarrow": {"parquet", "convert", "query", "jobs", "runtime", "operate"},  # runtime: for an annotation alone
    "duckdb": {"query"},
    "sqlglot": {"sql"},
    "sqlite3": {"catalog"},
    "h2": {"runtime"},
    "hpack": {"runtime"},
    "hyperframe": {"runtime"},
    "uvicorn": {"runtime"},
    "uvloop": {"runtime"},
    "pulumi": {"aws"},
    "pulumi_aws": {"aws"},
    "boto3": {"functions", "operate"},
    "botocore": {"functions", "producer", "operate"},
}


def modules():
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        yield ".".join(("datawarehouse", *parts)), path


@cache
def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def part_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_module_imports_from_lower_rows_only(module, path):
    part = part_of(module)
    if part in (
        "",
        "__main__",
    ):  # datawarehouse/__init__.py names its public names, and resolves them when they are used
        return
    for imported in imports(path):
        if imported.startswith("datawarehouse.") and part_of(imported) != part:
            other = part_of(imported)
            if other in ROW_OF:
                assert ROW_OF[other] < ROW_OF[part], f"{module} (row {ROW_OF[part]}) imports {imported}"
        library = imported.split(".")[0]
        if library in HEAVY:
            assert part in HEAVY[library], f"{module} imports {library}"


def test_no_import_cycles():
    known = dict(modules())
    graph = {
        name: {other for other in imports(path) if other in known and other != name} for name, path in known.items()
    }
    graph.pop("datawarehouse")
    for name in graph:
        graph[name].discard("datawarehouse")
        package = name.rpartition(".")[0]
        graph[name].discard(package)  # a package is imported before what is in it
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_what_a_statement_reads_is_known_without_what_it_becomes():
    """Only `plan` brings the two subjects of sql/ together."""
    for module, path in modules():
        if module.startswith("datawarehouse.sql.") and not module.startswith("datawarehouse.sql.translate"):
            translated = [name for name in imports(path) if name.startswith("datawarehouse.sql.translate")]
            assert module == "datawarehouse.sql.plan" or not translated, f"{module} imports {translated}"


BESIDE = {"generate_events": "generator", "gateway": "sql", "readable": "sql", "stored": "sql"}
"""The modules of `functions/` whose archive has one more folder of this package (aws/packaging.py)."""


def test_a_function_on_lambda_imports_what_its_archive_has():
    for module, path in modules():
        if part_of(module) == "functions":
            name = module.rpartition(".")[2]
            own = [each for each in imports(path) if each.startswith("datawarehouse.")]
            assert {part_of(each) for each in own} <= {"", "errors", "definition", "functions", BESIDE.get(name)}, (
                module
            )
            others = {each.split(".")[2] for each in own if each.startswith("datawarehouse.functions.")}
            assert name == "gateway" or name == "stored" or not others & BESIDE.keys(), module


def test_every_part_of_the_package_has_a_row():
    parts = {path.stem if path.is_file() else path.name for path in SOURCE.iterdir()}
    assert parts - {"__init__", "__main__", "__pycache__", "py"} - {"py.typed"} == set(ROW_OF)
