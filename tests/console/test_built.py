"""What is in the package is what the sources make, is small, and asks nobody else for anything."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from patience import patient

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console"
BUILT = ROOT / "src" / "datawarehouse" / "server" / "console"
LIBRARIES = ROOT / ".venv" / "console" / "node_modules"
COMPRESSED_BYTES_MAX = 250_000

pages = [BUILT / "index.html", BUILT / "favicon.svg", *sorted((BUILT / "assets").iterdir())]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(
    not (shutil.which("node") and LIBRARIES.exists()),
    reason="this machine has no node, or no npm with which `make test` installs console/package.json",
)
def test_the_sources_make_what_is_in_the_package(tmp_path):
    """`make console` builds it anew."""
    for name in ("src", "build.mjs", "package.json"):
        (shutil.copytree if (SOURCES / name).is_dir() else shutil.copy)(SOURCES / name, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(LIBRARIES)
    command = ["node", "build.mjs", tmp_path / "built"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=patient(60))
    assert contents(tmp_path / "built") == contents(BUILT)


def test_it_is_small_and_has_no_source_map():
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in pages) < COMPRESSED_BYTES_MAX
    for path in pages:
        assert path.suffix != ".map" and "sourceMappingURL" not in path.read_text()


def test_the_editor_is_loaded_on_its_page_alone():
    [editor] = (BUILT / "assets").glob("editor-*.js")
    importing = [path.name for path in pages if f'from"./{editor.name}"' in path.read_text()]
    assert not importing
    asking = [path.name.split("-")[0] for path in pages if f'import("./{editor.name}")' in path.read_text()]
    assert asking == ["sql"]


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere():
    page = (BUILT / "index.html").read_text()
    assert "style=" not in page and "<style" not in page and not re.search(r"<script(?![^>]*src=)", page)
    assert all(address.startswith("/console/") for address in re.findall(r'(?:src|href)="([^"]+)"', page))


def test_the_lock_names_no_registry():
    assert "resolved" not in (SOURCES / "package-lock.json").read_text()
