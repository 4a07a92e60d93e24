"""The description of the routes below /v1 says what the server's code has, and nothing else."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datawarehouse.server import openapi
from datawarehouse.server.openapi_model import WITHOUT_CLASS
from datawarehouse.server.openapi_routes import ROUTES

ROOT = Path(__file__).parents[3]
SOURCES = [path for path in (ROOT / "src/datawarehouse/server").glob("*.py") if not path.stem.startswith("openapi")]
VALUES = {"table": "clicks", "id": "0a1b", "n": "12", "name": "mine", "job": "daily"}
PATHS = {route.path.format(**VALUES): route.path for route in ROUTES}
DOCUMENT = json.loads(openapi.encoded())


def texts(tree):
    """The texts of a module that are paths below /v1 or patterns of such."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"/v1/\S+", node.value):
            yield node.value


def dispatched(tree):
    """(method, path) of each case that is chosen by both."""
    for node in ast.walk(tree):
        if isinstance(node, ast.MatchSequence) and len(node.patterns) == 2:
            methods, path = node.patterns
            if isinstance(path, ast.MatchValue) and str(path.value.value).startswith("/v1/"):
                for method in getattr(methods, "patterns", [methods]):
                    yield method.value.value, path.value.value


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_path_in_the_code_is_described(source):
    tree = ast.parse(source.read_text())
    for text in texts(tree):
        if text.endswith("/"):
            assert any(path.startswith(text) for path in PATHS), text
        elif re.search(r"[(\[]", text):
            assert any(re.fullmatch(text, path) for path in PATHS), text
        else:
            assert openapi.methods_of(text), text
    for method, path in dispatched(tree):
        assert method in openapi.methods_of(path), (method, path)


def test_the_code_of_the_server_is_read():
    """Else the test above would find nothing, and pass."""
    found = {pair for source in SOURCES for pair in dispatched(ast.parse(source.read_text()))}
    assert {("POST", "/v1/query"), ("GET", "/v1/admin/flush"), ("POST", "/v1/admin/keys/rotate")} <= found
    assert len(found) > 12


def test_a_path_has_the_methods_and_statuses_that_are_described():
    assert openapi.methods_of("/v1/queries/0a/pages/3") == ["GET"]
    assert openapi.methods_of("/v1/queries/0a") == ["GET", "DELETE"]
    for path in ("/v1/queries/x", "/v1/queries/0a/pages/x", "/v1/tables/a/b/events", "/v1/query/", "/v2/query", ""):
        assert openapi.methods_of(path) == []
    assert {200, 400, 403, 409, 413, 422, 429, 500, 503} < openapi.statuses_of("POST", "/v1/query")
    assert openapi.statuses_of("PUT", "/v1/query") == set()
    assert 404 not in openapi.statuses_of("POST", "/v1/query")


def test_the_document_is_whole():
    operations = [each for path in DOCUMENT["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations) == len(ROUTES)
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
            assert {"200", "201", "202", "204"} & operation["responses"].keys()
            for status, answer in operation["responses"].items():
                assert bool(answer.get("content")) == (status != "204"), (path, status)
            for scheme in operation["security"]:
                assert scheme.keys() <= DOCUMENT["components"]["securitySchemes"].keys()
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"]["schemas"], name


def test_the_reference_has_each_route_and_each_code():
    text = (ROOT / "docs/reference/http.md").read_text()
    for path in {route.path for route in ROUTES if not route.path.startswith("/v1/admin/")}:
        assert re.sub(r"{(\w+)}", r"<\1>", path) in text, path
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", text.partition("\n## Errors\n")[2], re.MULTILINE)
    codes = {code: int(status) for status, names in rows for code in re.findall(r"\w+", names)}
    others = {"NotFound": 404, "MethodNotAllowed": 405, "Unauthorized": 401, "Unreachable": 503}
    assert codes == WITHOUT_CLASS | others


def test_it_is_made_without_the_engine():
    program = (
        "import sys; from datawarehouse.server import openapi; openapi.encoded(); "
        "print(sorted({'duckdb', 'pyarrow', 'numpy', 'sqlglot'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
