"""The pytest plugin, installed with the package: the fixture `warehouse`, new for each test.

The declaration is `warehouse` in warehouse.py beside pytest's configuration, or the file and name in the ini option:

    [tool.pytest.ini_options]
    datawarehouse = "analytics/warehouse.py:dw"

A test file or a conftest.py can define a fixture `warehouse_declaration` to use another declaration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # what a warehouse needs is imported by the tests that use one
    from datawarehouse.definition.warehouse import Warehouse
    from datawarehouse.testing.simulated import SimulatedWarehouse

_OPTION = "datawarehouse"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_OPTION, "the declaration of the warehouse under test, FILE[:NAME]", default="warehouse.py")


@pytest.fixture(scope="session")
def warehouse_declaration(pytestconfig: pytest.Config) -> Warehouse:
    """The declared warehouse. Raises DeclarationError if its file is missing or has none."""
    from datawarehouse.runtime.declaration import load

    return load(str(pytestconfig.getini(_OPTION)), pytestconfig.rootpath)


@pytest.fixture
def warehouse(warehouse_declaration: Warehouse, tmp_path: Path) -> Iterator[SimulatedWarehouse]:
    """An empty warehouse of the declaration; its clock shows 2026-01-05T09:00:00Z until the test advances it."""
    from datawarehouse.testing.simulated import simulate

    with simulate(warehouse_declaration, tmp_path / "data") as simulated:
        yield simulated
