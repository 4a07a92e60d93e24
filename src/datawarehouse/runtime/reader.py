"""Reading a data folder without owning it: beside a running owner, or when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from datawarehouse.alerts.store import stored_alerts
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import WallClock
from datawarehouse.definition.tables import Column
from datawarehouse.definition.workgroups import Workgroup, chosen, for_people
from datawarehouse.folder import alerts_path, catalog_path, holder_of
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.status import status_of
from datawarehouse.runtime.upgrades import ready_to_read
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from datawarehouse.query.engine import Engine


class Reader:
    """Queries the committed data of a data folder. Raises FolderError if there is no data folder."""

    def __init__(self, folder: Path, settings: Settings, workgroup: str | None = "") -> None:
        """workgroup: whose queries they are; "" is production's, None the one `for_people` by the folder's size."""
        self.folder = folder.absolute()
        ready_to_read(self.folder)
        self.settings = settings
        self.catalog = Catalog(catalog_path(self.folder), writable=False)
        self._workgroup_name = workgroup

    @cached_property
    def workgroup(self) -> Workgroup:
        """Raises BadRequest if there is none of the name that was given."""
        name = self._workgroup_name
        return chosen(self.catalog.workgroups(), for_people(self.catalog.live_bytes()) if name is None else name)

    @cached_property
    def engine(self) -> Engine:
        """What answers SQL. It is loaded when it is first asked for: most commands read the catalog alone."""
        from datawarehouse.query.engine import Engine
        from datawarehouse.query.scratch_tables import scratch_rights

        name, clock = self.catalog.warehouse_name(), WallClock()
        others = [each.query_time_max_s or 0 for each in self.catalog.workgroups().values()]
        limits = ScratchLimits.of(self.settings, max(self.settings.number("query_time_max_s"), *others))
        scratch = scratch_rights(limits, self.folder, clock)
        return Engine(name, self.catalog, self.folder, self.limits, read_json, clock, self.workgroup, scratch)

    @cached_property
    def limits(self) -> QueryLimits:
        """Those of the workgroup, and no longer than the files that an owner retires meanwhile are kept."""
        limits, holder = QueryLimits.of(self.settings, self.workgroup), holder_of(self.folder)
        if holder is None or holder.query_time_max_s is None:
            return limits
        return replace(limits, time_max_s=min(limits.time_max_s, holder.query_time_max_s))

    def status(self) -> dict[str, Any]:
        """As `OpenWarehouse.status`, without pending records and lag, which only an owner knows."""
        status = status_of(self.catalog, self.folder, self.settings, WallClock())
        return status | {"alerts": stored_alerts(alerts_path(self.folder)), "alert_deliveries": []}

    def close(self) -> None:
        if "engine" in vars(self):
            self.engine.close()
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_json(path: Path, columns: Sequence[Column]) -> pa.Table:
    """The rows of a JSON table's file. The converter is imported only now, because most queries read no JSON."""
    from datawarehouse.convert.json_files import read_json_lines

    return read_json_lines(path, columns)
