"""`open_warehouse`: an owner in the caller's process, which also answers queries."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock, machine_clock
from datawarehouse.convert.batch import BatchConverter
from datawarehouse.convert.orders import ConvertAnswer, ConvertOrder
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.definition.workgroups import chosen
from datawarehouse.folder import catalog_path
from datawarehouse.query.engine import Engine
from datawarehouse.query.interruptible import interruptible
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.result import Result
from datawarehouse.query.scratch_tables import scratch_rights
from datawarehouse.runtime.opening import Means
from datawarehouse.runtime.owner import Owner
from datawarehouse.runtime.reader import read_json
from datawarehouse.settings import Settings, resolve
from datawarehouse.sql.names import LOCAL


def open_warehouse(
    warehouse: Warehouse, path: str | Path, settings: Mapping[str, object] | None = None, clock: Clock | None = None
) -> OpenWarehouse:
    """Open a warehouse in this process, in the folder `path`, which is made if it is missing.

        with open_warehouse(warehouse, "data") as w:
            w.put("clicks", [{"id": "1"}])
            w.flush()
            w.query("select * from clicks").dicts()

    settings: values by name, as in docs/reference/settings.md. Raises FolderInUse if another process owns the folder,
    SchemaChangeRefused if the declaration no longer fits its data, FormatTooNew, JournalDamaged.
    """
    resolved = resolve(settings)
    clock = clock or machine_clock(resolved.number("clock_ahead_max_s"))
    opened = OpenWarehouse(warehouse, Path(path), resolved, clock)
    opened.start(LocalExecutor)
    return opened


def open_for_command(warehouse: Warehouse, settings: Settings) -> OpenWarehouse:
    """Own a folder while a command runs: events are converted, but no schedule is followed, and nothing is compacted or
    expired."""
    clock = machine_clock(settings.number("clock_ahead_max_s"))
    opened = OpenWarehouse(warehouse, settings.folder, settings, clock, Means(brief=True))
    opened.start(LocalExecutor, only_convert=True)
    return opened


class OpenWarehouse(Owner):
    """A warehouse that this process owns and queries. Methods can be called from any thread."""

    def __init__(
        self, warehouse: Warehouse, folder: Path, settings: Settings, clock: Clock, means: Means | None = None
    ) -> None:
        super().__init__(warehouse, folder, settings, clock, means)
        try:
            self._reading = Catalog(catalog_path(self.folder), writable=False)
            self._engines: dict[str, Engine] = {}
            self._engines_lock = threading.Lock()
            self._engine_of("")
        except BaseException:
            super().close()
            raise

    def query(self, sql: str, params: Sequence[Any] | None = None, workgroup: str = "") -> Result:
        """The result of one statement of Athena SQL; each `?` in it takes the next of `params`.

        workgroup: whose query it is; "" is production's. Raises SqlSyntaxError, QueryRefused, ScanRefused, QueryFailed,
        QueryLimitExceeded, or BadRequest if there is no such workgroup. Ctrl-C interrupts it.
        """
        self.check_open()
        engine = self._engine_of(workgroup)
        return interruptible(lambda started: engine.query(sql, params or (), started=started, asker=LOCAL))

    def _engine_of(self, workgroup: str) -> Engine:
        found = chosen(self.warehouse.workgroups(), workgroup)
        with self._engines_lock:
            if found.name not in self._engines:
                limits = QueryLimits.of(self.settings, found)
                self._engines[found.name] = Engine(
                    self.warehouse.name,
                    self._reading,
                    self.folder,
                    limits,
                    read_json,
                    self.clock,
                    found,
                    scratch_rights(self.scratch_limits, self.folder, self.clock),
                )
            return self._engines[found.name]

    def close(self) -> None:
        with ExitStack() as steps:  # the last one first
            steps.callback(self._reading.close)
            for engine in self._engines.values():
                steps.callback(engine.close)
            super().close()


class LocalExecutor:
    """Runs orders in the calling thread."""

    def __init__(self) -> None:
        self._converter = BatchConverter()

    def run(self, order: ConvertOrder) -> ConvertAnswer:
        return self._converter.run(order)

    def stop(self) -> None:
        """Nothing to stop."""

    def kill(self) -> None:
        """A thread cannot be killed; it ends after its present batch."""
