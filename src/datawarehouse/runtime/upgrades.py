"""How a data folder of an earlier release is upgraded to this release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datawarehouse.catalog import schema
from datawarehouse.folder import FORMAT, Ownership, Upgrade, catalog_path, check_format


def _upgrade_catalog(folder: Path) -> None:
    schema.upgrade(catalog_path(folder), 1)


UPGRADES: Mapping[int, Upgrade] = {1: _upgrade_catalog}
"""Version -> the function that upgrades a folder of that version to the next version."""


def ready_to_read(folder: Path) -> None:
    """Upgrade an older folder that has no owner, so that it can be read without owning it.

    Raises FolderError if it is not a data folder, FormatTooNew, or FolderInUse if an older release owns it.
    """
    if check_format(folder) < FORMAT:
        Ownership(folder, UPGRADES).release()
