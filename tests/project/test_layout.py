"""The layout that ARCHITECTURE.md draws is the layout there is, and its rooms stay small enough to be read."""

import ast
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "datawarehouse"
FILES = sorted(SOURCE.rglob("*.py"))
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70


def drawn() -> set[str]:
    """The folders and files of the block that begins with `src/datawarehouse/`."""
    block = (ROOT / "ARCHITECTURE.md").read_text().split("```text\nsrc/datawarehouse/\n")[1].split("```")[0]
    found, folder = set(), ""
    for line in filter(None, block.splitlines()):
        names, _, _ = line.strip().partition("  ")
        if not line.startswith("    "):
            folder = names
            found.add(names)
        else:  # files that are named below their folder
            found.update(folder + name for name in names.split(", "))
    return found


def there() -> set[str]:
    """The folders of the package, and the files beside them."""
    folders = {f"{path.parent.relative_to(SOURCE)}/" for path in SOURCE.rglob("__init__.py")} - {"./"}
    return folders | {path.name for path in SOURCE.glob("*.py")}


def test_what_is_drawn_is_there_and_nothing_else():
    assert drawn() >= there(), "ARCHITECTURE.md does not name these"
    missing = [name for name in drawn() if not (SOURCE / name).exists()]
    assert not missing, "ARCHITECTURE.md names what is not there"


def test_the_picture_names_folders_that_are_there():
    picture = ElementTree.parse(ROOT / "docs" / "pictures" / "architecture.svg")
    named = [part.text for part in picture.iter() if part.get("class") == "folder"]
    assert named and {f"{name}/" for name in named} <= there()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_can_be_read(path):
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if node.end_lineno - node.lineno >= FUNCTION_LINES_MAX]
    assert not long
