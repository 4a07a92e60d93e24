"""Tools with which users test their warehouse: a pytest fixture, a clock that the test controls, and faults on demand.

The names below are resolved on first use: pytest loads the plugin beside them in projects that have no warehouse, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["JobFailed", "SimulatedWarehouse", "simulate"]

if TYPE_CHECKING:
    from datawarehouse.testing.simulated import JobFailed, SimulatedWarehouse, simulate


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'datawarehouse.testing' has no attribute {name!r}")
    return getattr(import_module("datawarehouse.testing.simulated"), name)
