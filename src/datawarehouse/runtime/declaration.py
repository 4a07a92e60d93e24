"""Loads a user's declaration from its file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from datawarehouse.errors import DeclarationError

if TYPE_CHECKING:
    from datawarehouse.definition.warehouse import Warehouse

DECLARATION = "warehouse.py"


def split(text: str) -> tuple[Path, str]:
    """FILE[:NAME] -> (file, name)"""
    path, colon, name = text.rpartition(":")
    return (Path(path), name) if colon and path else (Path(text), "warehouse")


def load(text: str, folder: Path | None = None) -> Warehouse:
    """The Warehouse of FILE[:NAME], relative to a folder. Raises DeclarationError if there is none."""
    from datawarehouse.definition.warehouse import Warehouse  # only here: most commands load no declaration

    path, name = split(text)
    path = folder / path if folder else path
    if not path.is_file():
        raise DeclarationError(
            f"There is no declaration {path}. Write one with `dw init`, or name yours with --warehouse FILE[:NAME]."
        )
    sys.path.insert(0, str(path.parent.absolute()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except DeclarationError:
        raise
    except Exception as error:
        raise DeclarationError(f"{_place(path, error)}: {type(error).__name__}: {_said(error)}") from error
    found = getattr(module, name, None)
    if not isinstance(found, Warehouse):
        others = [other for other, value in vars(module).items() if isinstance(value, Warehouse)]
        hint = f"it has {', '.join(others)}" if others else "it has no Warehouse"
        raise DeclarationError(f"{path} has no Warehouse named {name!r}; {hint}. Give it as --warehouse FILE:NAME.")
    return found


def _place(path: Path, error: Exception) -> str:
    """The place of the error in the user's code: the innermost line in a file beside the declaration, as file:line."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).absolute().is_relative_to(path.parent.absolute())
        and "site-packages" not in frame.filename
    ]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(path)


def _said(error: Exception) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)
