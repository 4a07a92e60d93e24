"""Exports for other engines that are refreshed after each compaction, if the settings name any."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import get_args

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.errors import BadRequest
from datawarehouse.export.export import Engine, export
from datawarehouse.folder import catalog_path
from datawarehouse.settings import Settings

log = logging.getLogger("datawarehouse.export")


class Exports:
    """See the settings export_engines, export_folder and export_location. Raises BadRequest for an unknown engine."""

    def __init__(self, lake: Path, settings: Settings) -> None:
        self._lake = lake
        self._to = Path(settings.text("export_folder"))
        self._location = settings.text("export_location") or None
        asked = settings.text("export_engines").replace(",", " ").split()
        self._engines: list[Engine] = [engine for engine in get_args(Engine) if engine in asked]
        unknown = set(asked) - set(self._engines)
        if unknown:
            raise BadRequest(
                f"export_engines names {', '.join(sorted(unknown))}; valid are {', '.join(get_args(Engine))}."
            )

    def refresh(self) -> None:
        """Write the exports again. An export that fails is left as it was; the log says why."""
        for engine in self._engines:
            catalog = Catalog(catalog_path(self._lake), writable=False)
            try:
                done = export(catalog, self._lake, [], engine, self._to, self._location)
                log.info("refreshed the export for %s: %d tables", engine, len(done.tables))
            except Exception:
                log.exception("the export for %s could not be refreshed; it stays as it was", engine)
            finally:
                catalog.close()
