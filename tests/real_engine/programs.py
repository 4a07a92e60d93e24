"""Pulumi programs of the tests, each in a folder of its own, and their state as a graph."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import declared
import graph as graphs
from test_example import EXAMPLE

_EVERY_KIND = """
import json
from dataclasses import replace

import pulumi
from declared import everything

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.tables import checked_columns

given = json.loads(pulumi.Config().get("given") or "{}")
warehouse = Warehouse("every_kind")
for table in everything().tables():
    change = given.get(table.name, {})
    if change is None:
        continue
    if "columns" in change:
        change["columns"] = (*table.columns, *checked_columns(table.name, change["columns"]))
    warehouse.add(replace(table, **change))
ServerlessDataWarehouse("analytics_dw", {"warehouse": warehouse, **given.get("arguments", {})})
"""


def example(folder: Path) -> Path:
    """A copy of examples/acme_ads."""
    return shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))


def every_kind(folder: Path) -> Path:
    """A program with every kind of table. Its configuration `given` is a JSON object: by the name of a table what is
    changed of it (null leaves it out), and `arguments` of the warehouse."""
    folder.mkdir()
    shutil.copy(declared.__file__, folder / "declared.py")
    (folder / "__main__.py").write_text(_EVERY_KIND)
    (folder / "Pulumi.yaml").write_text("name: every-kind\nruntime: python\n")
    return folder


def edit(file: Path, changes: Mapping[str, str]) -> None:
    """Replace texts that a file has."""
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, f"{file} has no {old!r}"
        text = text.replace(old, new)
    file.write_text(text)


def graph_of(resources: Iterable[Mapping[str, Any]]) -> graphs.Graph:
    """The state of a stack as a recorded graph has it."""
    found = graphs.Graph()
    for each in resources:
        if each["type"] == graphs.STACK_TYPE or each["type"].startswith("pulumi:providers:"):
            continue
        parent = each.get("parent", "")
        found.nodes[each["urn"]] = graphs.Node(
            urn=each["urn"],
            type=each["type"],
            name=each["urn"].rpartition("::")[2],
            parent="" if graphs.STACK_TYPE in parent else parent,
            custom=each["custom"],
            inputs=graphs.plain(each.get("inputs", {})),
            outputs=graphs.plain(each.get("outputs", {})),
            id=each.get("id", ""),
            dependencies=each.get("dependencies", []),
            property_dependencies=each.get("propertyDependencies", {}),
            protect=each.get("protect", False),
            retain_on_delete=each.get("retainOnDelete", False),
            existing=each.get("external", False),
            order=len(found.nodes),
        )
    return found
