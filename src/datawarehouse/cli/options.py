"""Arguments that verbs share, and what they stand for."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DeclarationError
from datawarehouse.settings import FILE_NAME, SETTINGS, Settings, resolve

DECLARATION = "warehouse.py"


def add_warehouse(parser: argparse.ArgumentParser) -> None:
    what = f"the declaration (default: {DECLARATION}:warehouse)"
    parser.add_argument("--warehouse", metavar="FILE[:NAME]", default=DECLARATION, help=what)


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Flags for settings: those named, or all."""
    for setting in SETTINGS:
        if not names or setting.name in names:
            parser.add_argument(setting.flag, dest=setting.name, metavar=setting.unit.upper(), help=setting.help)


def add_output(parser: argparse.ArgumentParser, *forms: str) -> None:
    parser.add_argument("--output", choices=forms, default="table", help="how to print (default: table)")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings, from flags, environment, and dw.toml beside the declaration."""
    names = {setting.name for setting in SETTINGS}
    flags = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    declaration, _ = _split(getattr(arguments, "warehouse", DECLARATION))
    return resolve(flags, os.environ, declaration.parent / FILE_NAME)


def warehouse_of(arguments: argparse.Namespace) -> Warehouse:
    """The declaration, loaded from its file. Raises DeclarationError if there is none."""
    path, name = _split(arguments.warehouse)
    if not path.is_file():
        raise DeclarationError(
            f"There is no declaration {path}. Write one with `dw init`, or name yours with --warehouse FILE[:NAME]."
        )
    sys.path.insert(0, str(path.parent.absolute()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not isinstance(found, Warehouse):
        others = [other for other, value in vars(module).items() if isinstance(value, Warehouse)]
        hint = f"it has {', '.join(others)}" if others else "it has no Warehouse"
        raise DeclarationError(f"{path} has no Warehouse named {name!r}; {hint}. Give it as --warehouse FILE:NAME.")
    return found


def _split(text: str) -> tuple[Path, str]:
    path, colon, name = text.rpartition(":")
    return (Path(path), name) if colon and path else (Path(text), "warehouse")
