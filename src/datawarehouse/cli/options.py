"""Arguments that verbs share, and the values that they give."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from datawarehouse.runtime.declaration import DECLARATION, load, split
from datawarehouse.settings import FILE_NAME, SETTINGS, Settings, resolve

if TYPE_CHECKING:
    from datawarehouse.definition.warehouse import Warehouse
    from datawarehouse.runtime.embedded import OpenWarehouse


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


def add_on(parser: argparse.ArgumentParser) -> None:
    """What sends a verb to the deployed warehouse."""
    parser.add_argument("--on", choices=("aws",), help="the deployed warehouse instead of the data folder")
    what = "with --on aws: a file with the stack's outputs (default: as [aws] in dw.toml says, or those of Pulumi)"
    parser.add_argument("--outputs", metavar="FILE", help=what)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings, from flags, environment, and dw.toml beside the declaration."""
    names = {setting.name for setting in SETTINGS}
    flags = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    declaration, _ = split(getattr(arguments, "warehouse", DECLARATION))
    return resolve(flags, os.environ, declaration.parent / FILE_NAME)


def warehouse_of(arguments: argparse.Namespace) -> Warehouse:
    """The declaration, loaded from its file. Raises DeclarationError if there is none."""
    return load(arguments.warehouse)


def open_alone(warehouse: Warehouse, settings: Settings) -> OpenWarehouse:
    """Own the data folder for one command, when nobody else does.

    What converts and queries is loaded here: a command that a running warehouse answers needs none of it.
    """
    from datawarehouse.runtime.embedded import open_for_command

    return open_for_command(warehouse, settings)
