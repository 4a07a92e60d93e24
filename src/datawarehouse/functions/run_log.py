"""What the log of a job's function says of each run; `dw jobs --on aws` reads it there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from datawarehouse.definition.instants import instant_of
from datawarehouse.functions.logs import log

STARTS, STORED, FAILED = "the run starts", "the run's rows are stored", "the run failed"
"""The message of a line. Each has scheduled, an instant in ISO 8601, and partition, the hour that a run writes."""


@contextmanager
def logged_run(table: str, partition: str, time_ms: int) -> Iterator[dict[str, int]]:
    """Log that a run starts, and how it ends. Gives a mapping for how many rows it stored, by partition."""
    told = {"table": table, "scheduled": instant_of(time_ms).isoformat(), "partition": partition}
    log(STARTS, **told)
    rows: dict[str, int] = {}
    try:
        yield rows
    except BaseException as error:  # also of a job that calls sys.exit
        log(FAILED, **told, error=f"{type(error).__name__}: {error}")
        raise
    log(STORED, **told, rows=rows)
