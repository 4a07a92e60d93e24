"""Loads a user's declaration from its file."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
import traceback
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from datawarehouse.errors import DeclarationError

if TYPE_CHECKING:
    from datawarehouse.definition.warehouse import Warehouse

DECLARATION = "warehouse.py"
_INSTALLED = {"site-packages", "dist-packages"}


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


class Sources:
    """The files that a declaration was read from: its own, and what it imported from beside it; as they are now."""

    def __init__(self, text: str) -> None:
        """text: FILE[:NAME], which was loaded just before."""
        self._folder = split(text)[0].parent.absolute()
        modules = [module for module in tuple(sys.modules.values()) if isinstance(module, ModuleType)]
        files = [Path(file) for module in modules if isinstance(file := vars(module).get("__file__"), str)]
        self._digests = {file: _digest(file) for file in files if file.suffix == ".py" and self._is_own(file)}

    def changed(self) -> list[str]:
        """Those whose content is another one now, or that are gone; relative to the declaration's folder."""
        found = (file for file, digest in self._digests.items() if _digest(file) != digest)
        return sorted(str(file.relative_to(self._folder)) for file in found)

    def _is_own(self, file: Path) -> bool:
        is_installed = bool(_INSTALLED & {*file.parts}) or file.is_relative_to(sysconfig.get_path("stdlib"))
        return file.is_relative_to(self._folder) and not is_installed


def _digest(file: Path) -> bytes | None:
    with suppress(OSError):
        return blake2b(file.read_bytes()).digest()
    return None


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
