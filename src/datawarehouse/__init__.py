"""A warehouse for events: declared once in Python, run on one machine or on AWS.

The names below are resolved on first use, so that importing `Warehouse` loads nothing but the
standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Warehouse", "connect", "open_warehouse"]

_HOME_OF = {
    "Warehouse": "datawarehouse.definition.warehouse",
    "connect": "datawarehouse.runtime.remote",
    "open_warehouse": "datawarehouse.runtime.embedded",
}

if TYPE_CHECKING:
    from datawarehouse.definition.warehouse import Warehouse
    from datawarehouse.runtime.embedded import open_warehouse
    from datawarehouse.runtime.remote import connect


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'datawarehouse' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
