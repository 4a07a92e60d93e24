"""How a data folder of an earlier release is upgraded to this release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datawarehouse.catalog import schema
from datawarehouse.catalog.store import StoreError, check_there
from datawarehouse.errors import CatalogDamaged
from datawarehouse.folder import FORMAT, Ownership, Upgrade, catalog_path, check_format, is_new


def _upgrade_from(version: int) -> Upgrade:
    def upgrade(folder: Path) -> None:
        path = catalog_path(folder)
        if is_new(folder):  # the owner died before it created the catalog
            return
        check_there(path, writable=True)
        try:
            schema.upgrade(path, version)
        except StoreError as error:
            raise CatalogDamaged(
                f"The catalog {path} is of an earlier release and cannot be upgraded: {error}. Nothing was changed. "
                f"Restore it from a back-up, or see what `dw doctor --data {folder}` says."
            ) from None

    return upgrade


UPGRADES: Mapping[int, Upgrade] = {version: _upgrade_from(version) for version in range(1, FORMAT)}
"""Version -> the function that upgrades a folder of that version to the next version."""


def ready_to_read(folder: Path) -> None:
    """Upgrade an older folder that has no owner, so that it can be read without owning it.

    Raises FolderError if it is not a data folder, FormatTooNew, or FolderInUse if an older release owns it.
    """
    if check_format(folder) < FORMAT:
        Ownership(folder, UPGRADES).release()
