"""docs/reference/declaration.md has each argument of each method of a declaration, with its default."""

import inspect
import re
from pathlib import Path

import pytest

from datawarehouse import Warehouse

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "declaration.md").read_text()
METHODS = ["Warehouse", *(name for name in vars(Warehouse) if name.startswith("with_"))]
NEEDED = {"schedule_expression"}  # None in the signature, where positional arguments follow one with a default


def documented(method):
    section = re.search(rf"^## {method}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section, f"there is no section {method}"
    rows = re.findall(r"^\| `(\w+)` \|(.*?)\|", section[1], re.MULTILINE)
    return {name: default.strip() for name, default in rows}


def signature(method):
    function = Warehouse.__init__ if method == "Warehouse" else getattr(Warehouse, method)
    return {name: each for name, each in inspect.signature(function).parameters.items() if name != "self"}


@pytest.mark.parametrize("method", METHODS)
def test_each_argument_is_there_with_its_default(method):
    found, given = documented(method), signature(method)
    assert list(found) == list(given)
    for name, parameter in given.items():
        default = parameter.default
        if default is inspect.Parameter.empty or name in NEEDED:
            assert found[name] == "", f"{name} has no default"
        elif default in (None, ()):
            assert found[name] == "none", name
        else:
            assert eval(found[name].strip("`")) == default, name


def test_there_are_no_other_sections():
    assert set(re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)) == {"Columns", *METHODS}
